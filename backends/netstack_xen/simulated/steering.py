"""The control ring's words as Linux's netback answers them: a hash of flows that the front end chooses, and where it leads."""

import struct
from collections.abc import Callable

from . import layout
from .units import flow

KEY_MAX, MAPPING_MAX = 40, 128  # XEN_NETBK_MAX_HASH_KEY_SIZE, XEN_NETBK_MAX_HASH_MAPPING_SIZE
PAGE = 4096


def toeplitz(key: bytes, data: bytes) -> int:
    """The key slides below the data; where a bit of the data is set, the 32 bits of the key that it stands on are taken in."""
    window = int.from_bytes(key.ljust(len(data) + 8, b"\0"), "big")
    width = (len(data) + 8 if len(key) < len(data) + 8 else len(key)) * 8
    value = 0
    for at, byte in enumerate(data):
        for bit in range(8):
            if byte & 0x80 >> bit:
                value ^= window >> (width - 32 - at * 8 - bit) & 0xFFFFFFFF
    return value


class Steering:
    """`fetch(ref, length)` copies from a page of the front end's; None where it isn't granted."""

    def __init__(self, fetch: "Callable[[int, int], bytes | None]") -> None:
        self._fetch = fetch
        self.algorithm = layout.ALGORITHM_NONE
        self.flags = 0
        self.key = bytes(KEY_MAX)
        self.mapping: list[int] = []

    def answer(self, kind: int, data: "tuple[int, int, int]", queues: int) -> "tuple[int, int]":
        """(status, data) of a response."""
        if kind == layout.SET_HASH_ALGORITHM:
            return self._set_algorithm(data[0]), 0
        if kind == layout.GET_HASH_FLAGS:
            return (layout.SUCCESS, 15) if self.algorithm else (layout.NOT_SUPPORTED, 0)
        if kind == layout.SET_HASH_FLAGS:
            return self._set_flags(data[0]), 0
        if kind == layout.SET_HASH_KEY:
            return self._set_key(data[0], data[1]), 0
        if kind == layout.GET_HASH_MAPPING_SIZE:
            return layout.SUCCESS, MAPPING_MAX
        if kind == layout.SET_HASH_MAPPING_SIZE:
            if data[0] > MAPPING_MAX:
                return layout.INVALID_PARAMETER, 0
            self.mapping = [0] * data[0]
            return layout.SUCCESS, 0
        if kind == layout.SET_HASH_MAPPING:
            return self._set_mapping(data[0], data[1], data[2], queues), 0
        return layout.NOT_SUPPORTED, 0  # static grants, and what nobody knows

    def _set_algorithm(self, algorithm: int) -> int:
        if algorithm not in (layout.ALGORITHM_NONE, layout.ALGORITHM_TOEPLITZ):
            return layout.INVALID_PARAMETER
        self.algorithm = algorithm
        return layout.SUCCESS

    def _set_flags(self, flags: int) -> int:
        if flags & ~15 or not self.algorithm:
            return layout.INVALID_PARAMETER
        self.flags = flags
        return layout.SUCCESS

    def _set_key(self, ref: int, length: int) -> int:
        if length > KEY_MAX:
            return layout.INVALID_PARAMETER
        key = self._fetch(ref, length) if length else b""
        if key is None:
            return layout.INVALID_PARAMETER
        self.key = key.ljust(KEY_MAX, b"\0")
        return layout.SUCCESS

    def _set_mapping(self, ref: int, length: int, offset: int, queues: int) -> int:
        if offset + length > len(self.mapping) or length * 4 > PAGE:
            return layout.INVALID_PARAMETER
        text = self._fetch(ref, length * 4) if length else b""
        if text is None:
            return layout.INVALID_PARAMETER
        entries = struct.unpack(f"<{length}I", text)
        if any(entry >= queues for entry in entries):
            return layout.INVALID_PARAMETER
        self.mapping[offset : offset + length] = entries
        return layout.SUCCESS

    def hashed(self, frame: bytes) -> "tuple[int, int] | None":
        """(number of the hash's type, its value), of the most that is known of the flow; None where nothing was asked for."""
        found = flow(frame) if self.algorithm and self.flags else None
        if found is None:
            return None
        version, words = found
        plain, tcp = (layout.HASH_IPV4, layout.HASH_IPV4_TCP) if version == 4 else (layout.HASH_IPV6, layout.HASH_IPV6_TCP)
        addresses = 8 if version == 4 else 32
        if len(words) > addresses and self.flags >> tcp & 1:
            return tcp, toeplitz(self.key, words)
        if self.flags >> plain & 1:
            return plain, toeplitz(self.key, words[:addresses])
        return None

    def queue(self, value: int, queues: int) -> int:
        return self.mapping[value % len(self.mapping)] if self.mapping else value % queues
