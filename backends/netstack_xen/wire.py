"""The words of a network interface on Xen beside those of the packet path (slots.py): keys of the store, and control messages.

A control message asks the other end to do something with more words than the store is for: which queue a flow goes to. Requests and
responses of 16 bytes go through a ring of their own (xen/io/netif.h, "Control ring").
"""

import struct
from enum import IntEnum, IntFlag
from functools import cache
from typing import NamedTuple

MTU = 1500  # where the store says none


class Control(IntEnum):
    """What is asked."""

    GET_HASH_FLAGS = 1
    SET_HASH_FLAGS = 2
    SET_HASH_KEY = 3
    GET_HASH_MAPPING_SIZE = 4
    SET_HASH_MAPPING_SIZE = 5
    SET_HASH_MAPPING = 6
    SET_HASH_ALGORITHM = 7
    GET_GREF_MAPPING_SIZE = 8
    ADD_GREF_MAPPING = 9
    DEL_GREF_MAPPING = 10


class Status(IntEnum):
    """How it went."""

    SUCCESS = 0
    NOT_SUPPORTED = 1
    INVALID_PARAMETER = 2
    BUFFER_OVERFLOW = 3


class Algorithm(IntEnum):
    NONE = 0
    TOEPLITZ = 1


class HashFlags(IntFlag):
    """What is hashed of a packet: always the most that it has."""

    IPV4 = 1
    IPV4_TCP = 2
    IPV6 = 4
    IPV6_TCP = 8


class ControlRequest(NamedTuple):
    id: int
    type: int
    data: tuple[int, int, int] = (0, 0, 0)

    def pack(self) -> bytes:
        return _REQUEST.pack(self.id, self.type, *self.data)

    @classmethod
    def unpack(cls, data: "bytes | memoryview") -> "ControlRequest":
        """16 bytes, any of them."""
        id, type, *rest = _REQUEST.unpack(data)
        return cls(id, type, (rest[0], rest[1], rest[2]))


class ControlResponse(NamedTuple):
    id: int
    type: int
    status: int
    data: int = 0

    def pack(self) -> bytes:
        """16 bytes, a whole slot."""
        return _RESPONSE.pack(*self)

    @classmethod
    def unpack(cls, data: "bytes | memoryview") -> "ControlResponse":
        return cls(*_RESPONSE.unpack(data))


_REQUEST = struct.Struct("=HH3I")
_RESPONSE = struct.Struct("=HHII4x")


def toeplitz(key: bytes, data: bytes) -> int:
    """The hash of 32 bits. What is missing of the key is zeros."""
    width = 8 * len(data)
    window = int.from_bytes(key[: len(data) + 4].ljust(len(data) + 4, b"\0"), "big")
    bits = int.from_bytes(data, "big")
    value = 0
    for i in range(width):
        if bits >> width - 1 - i & 1:
            value ^= window >> width - i
    return value & 0xFFFFFFFF


# A key of 16 bits over and over: both directions of a flow hash to the same (Woo and Park, "Scalable TCP Session Monitoring with
# Symmetric Receive-Side Scaling", 2012), and the hash is that of all 16-bit words of the data, taken together by exclusive or.
SYMMETRIC_KEY = bytes.fromhex("6d5a") * 20


@cache
def folded_hashes() -> bytes:
    """Hash modulo 256 of each high byte and, behind them, of each low byte of such a word: their exclusive or is the word's."""
    return bytes(toeplitz(SYMMETRIC_KEY, bytes((i, 0))) & 0xFF for i in range(256)) + bytes(
        toeplitz(SYMMETRIC_KEY, bytes((0, i))) & 0xFF for i in range(256)
    )
