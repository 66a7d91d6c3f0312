"""Addresses: small values over an int. Text only at the edges; on the packet path they are plain ints."""

from __future__ import annotations

import functools
import re

from .errors import UsageError

_OCTETS = re.compile(r"(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})", re.ASCII)
_MAC = re.compile(r"[0-9a-fA-F]{1,2}([:-])[0-9a-fA-F]{1,2}(?:\1[0-9a-fA-F]{1,2}){4}", re.ASCII)


@functools.total_ordering
class _Value:
    """An int with a type: equal only to its own kind."""

    __slots__ = ("_value",)
    _bits = 32

    def __init__(self, value: int) -> None:
        if not 0 <= value < 1 << self._bits:
            raise UsageError(f"{value} does not fit in the {self._bits} bits of {type(self).__name__}")
        self._value = value

    def __int__(self) -> int:
        return self._value

    def __index__(self) -> int:
        return self._value

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._value == self._value

    def __lt__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._value < other._value

    def __hash__(self) -> int:
        return hash((type(self), self._value))

    def __bytes__(self) -> bytes:
        return self._value.to_bytes(self._bits // 8, "big")

    def __repr__(self) -> str:
        return f"{type(self).__name__}.parse({str(self)!r})"


class Mac(_Value):
    """A 48-bit link address."""

    __slots__ = ()
    _bits = 48

    @classmethod
    def parse(cls, text: str) -> Mac:
        """`"02:00:00:00:00:01"` or with dashes. Raises UsageError."""
        if not _MAC.fullmatch(text):
            raise UsageError(f"{text!r} is not a link address: write six hexadecimal pairs like 02:00:00:00:00:01")
        return cls(int.from_bytes(bytes(int(part, 16) for part in re.split("[:-]", text)), "big"))

    def __str__(self) -> str:
        return bytes(self).hex(":")

    @property
    def is_group(self) -> bool:
        """Broadcast or multicast."""
        return bool(self._value >> 40 & 1)


class Ip4(_Value):
    """An IPv4 address."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Ip4:
        """Dotted quad, no leading zeros (they were octal to some and decimal to others). Raises UsageError."""
        match = _OCTETS.fullmatch(text)
        octets = [int(part) for part in match.groups()] if match else []
        if not octets or max(octets) > 255:
            raise UsageError(f"{text!r} is not an IPv4 address: write four numbers up to 255 like 10.79.0.2")
        return cls(int.from_bytes(bytes(octets), "big"))

    def __str__(self) -> str:
        return ip4_text(self._value)

    @property
    def is_multicast(self) -> bool:
        return self._value >> 28 == 0xE


def ip4_text(value: int) -> str:
    """A 32-bit int as a dotted quad."""
    return f"{value >> 24 & 255}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"


class Cidr:
    """An IPv4 address with the length of its network's prefix: `10.79.0.2/24`."""

    __slots__ = ("address", "length")

    def __init__(self, address: Ip4, length: int) -> None:
        if not 0 <= length <= 32:
            raise UsageError(f"/{length} is not a prefix length: write a number from 0 to 32")
        self.address = address
        self.length = length

    @classmethod
    def parse(cls, text: str) -> Cidr:
        """`"10.79.0.2/24"`; without a length it is a host of its own, /32. Raises UsageError."""
        address, slash, length = text.partition("/")
        if slash and not (length.isascii() and length.isdigit() and len(length) <= 2):
            raise UsageError(f"{text!r} is not an address with a prefix: write it like 10.79.0.2/24")
        return cls(Ip4.parse(address), int(length) if slash else 32)

    @classmethod
    def parse_whole(cls, text: str) -> Cidr:
        """The same, where the length must be said: of an address without its network nobody else is within reach."""
        cidr = cls.parse(text)
        if "/" not in text:
            raise UsageError(f"{text} has no prefix length: write the network too, like {text}/24")
        return cidr

    @property
    def mask(self) -> int:
        return (0xFFFFFFFF << (32 - self.length)) & 0xFFFFFFFF

    @property
    def network(self) -> int:
        return int(self.address) & self.mask

    @property
    def broadcast(self) -> int | None:
        """The directed broadcast address; none on /31 (RFC 3021) and /32."""
        return self.network | (self.mask ^ 0xFFFFFFFF) if self.length < 31 else None

    def __contains__(self, address: Ip4 | int) -> bool:
        return int(address) & self.mask == self.network

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cidr) and (other.address, other.length) == (self.address, self.length)

    def __hash__(self) -> int:
        return hash((self.address, self.length))

    def __str__(self) -> str:
        return f"{self.address}/{self.length}"

    def __repr__(self) -> str:
        return f"Cidr.parse({str(self)!r})"
