"""What stands in the data of records: each kind of field in its four forms, from the wire and to it, from text and to it.

Values: numbers are int, names uncompressed wire octets, addresses text, other octets bytes. A kind that takes the rest must be a
record's last.
"""

from collections.abc import Sequence
from typing import Any

from ..errors import UsageError, WireError
from . import name, numbers, text
from .reader import Reader
from .text import Words

_MAX_CHUNK = 56  # characters: dig's and BIND's breaks of long base64


class Field:
    """One kind. `read` raises WireError, `write` and `parse` UsageError; `origin` completes relative names."""

    def read(self, r: Reader) -> Any:
        raise NotImplementedError

    def write(self, value: Any) -> bytes:
        raise NotImplementedError

    def text(self, value: Any) -> str:
        return str(value)

    def parse(self, words: Words, what: str, origin: bytes) -> Any:
        raise NotImplementedError


class Number(Field):
    """Unsigned, of so many octets."""

    def __init__(self, size: int) -> None:
        self.size = size

    def read(self, r: Reader) -> int:
        return r.u8() if self.size == 1 else r.u16() if self.size == 2 else r.u32()

    def write(self, value: int) -> bytes:
        if not 0 <= value < 1 << 8 * self.size:
            raise UsageError(f"{value} does not fit in {self.size} octets")
        return value.to_bytes(self.size, "big")

    def parse(self, words: Words, what: str, origin: bytes) -> int:
        return words.number(8 * self.size, what)


class Seconds(Number):
    """A duration: `1h` is read."""

    def parse(self, words: Words, what: str, origin: bytes) -> int:
        return text.seconds(words.next(what))


class Instant(Number):
    """YYYYMMDDHHmmSS."""

    def text(self, value: int) -> str:
        return text.instant_text(value)

    def parse(self, words: Words, what: str, origin: bytes) -> int:
        return text.instant(words.next(what))


class TypeNumber(Number):
    """A record type by its name."""

    def text(self, value: int) -> str:
        return numbers.type_text(value)

    def parse(self, words: Words, what: str, origin: bytes) -> int:
        return numbers.type_number(words.next(what))


class Address(Field):
    def __init__(self, size: int) -> None:
        self.size = size

    def read(self, r: Reader) -> str:
        return text.address_text(r.take(self.size))

    def write(self, value: str) -> bytes:
        return text.ip4_octets(value) if self.size == 4 else text.ip6_octets(value)

    def parse(self, words: Words, what: str, origin: bytes) -> str:
        return text.address_text(self.write(words.next(what)))


class Name(Field):
    def read(self, r: Reader) -> bytes:
        return r.plain_name()

    def write(self, value: bytes) -> bytes:
        try:
            return name.check(value)
        except WireError as error:
            raise UsageError(f"{value!r} is not a name: {error}") from None

    def text(self, value: bytes) -> str:
        return name.text(value)

    def parse(self, words: Words, what: str, origin: bytes) -> bytes:
        return name.parse(words.next(what), origin)


class String(Field):
    """A character-string: at most 255 octets after their number."""

    def read(self, r: Reader) -> bytes:
        return r.string()

    def write(self, value: bytes) -> bytes:
        if len(value) > 255:
            raise UsageError(f"a string of {len(value)} octets: at most 255 are possible")
        return bytes((len(value),)) + value

    def text(self, value: bytes) -> str:
        return text.quote(value)

    def parse(self, words: Words, what: str, origin: bytes) -> bytes:
        return text.octets(words.next(what))


class Strings(Field):
    """One or more of them."""

    def read(self, r: Reader) -> tuple[bytes, ...]:
        found = [r.string()]
        while r.left():
            found.append(r.string())
        return tuple(found)

    def write(self, value: Sequence[bytes]) -> bytes:
        if not value:
            raise UsageError("at least one string is needed")
        return b"".join(map(STRING.write, value))

    def text(self, value: Sequence[bytes]) -> str:
        return " ".join(map(text.quote, value))

    def parse(self, words: Words, what: str, origin: bytes) -> tuple[bytes, ...]:
        first = text.octets(words.next(what))
        return (first, *map(text.octets, words.rest()))


class Octets(Field):
    """The rest."""

    def read(self, r: Reader) -> bytes:
        return r.rest()

    def write(self, value: bytes) -> bytes:
        return bytes(value)


class Hex(Octets):
    """The rest in hexadecimal."""

    def text(self, value: bytes) -> str:
        return value.hex().upper()

    def parse(self, words: Words, what: str, origin: bytes) -> bytes:
        return text.hexadecimal(words.rest(), what)


class Base64(Octets):
    """The rest in base64."""

    def text(self, value: bytes) -> str:
        whole = text.base64_text(value)
        return " ".join(whole[i : i + _MAX_CHUNK] for i in range(0, len(whole), _MAX_CHUNK))

    def parse(self, words: Words, what: str, origin: bytes) -> bytes:
        return text.base64_octets(words.rest(), what)


class Quoted(Octets):
    """The rest as one string without a length."""

    def text(self, value: bytes) -> str:
        return text.quote(value)

    def parse(self, words: Words, what: str, origin: bytes) -> bytes:
        return text.octets(words.next(what))


class Tag(String):
    """The tag of CAA: letters and digits (RFC 8659 4.1)."""

    def read(self, r: Reader) -> bytes:
        tag = r.string()
        if not tag.isalnum():
            raise r.fail(f"a tag {tag!r}: letters and digits are lawful")
        return tag

    def write(self, value: bytes) -> bytes:
        if not value.isalnum():
            raise UsageError(f"{value!r} is not a tag: letters and digits are")
        return super().write(value)

    def text(self, value: bytes) -> str:
        return value.decode("ascii")


class Salt(String):
    """NSEC3's: `-` where it is empty (RFC 5155 3.3)."""

    def text(self, value: bytes) -> str:
        return value.hex().upper() or "-"

    def parse(self, words: Words, what: str, origin: bytes) -> bytes:
        word = words.next(what)
        return b"" if word == "-" else text.hexadecimal([word], what)


class Hashed(String):
    """NSEC3's next owner: in base32hex (RFC 5155 3.3)."""

    def text(self, value: bytes) -> str:
        return text.base32hex_text(value)

    def parse(self, words: Words, what: str, origin: bytes) -> bytes:
        return text.base32hex_octets(words.next(what), what)


class Bitmap(Field):
    """The types that exist, as sorted numbers (RFC 4034 4.1.2)."""

    def read(self, r: Reader) -> tuple[int, ...]:
        types: list[int] = []
        before = -1
        while r.left():
            window = r.u8()
            n = r.u8()
            if window <= before:
                raise r.fail(f"window {window} of a bitmap after {before}")
            if not 1 <= n <= 32:
                raise r.fail(f"a bitmap of {n} octets")
            before = window
            bits = r.take(n)
            types += [window << 8 | i << 3 | j for i, octet in enumerate(bits) for j in range(8) if octet >> (7 - j) & 1]
        return tuple(types)

    def write(self, value: Sequence[int]) -> bytes:
        windows: dict[int, bytearray] = {}
        for type in sorted(set(value)):
            if not 0 <= type <= 0xFFFF:
                raise UsageError(f"{type} is not a record type: numbers up to 65535 are")
            bits = windows.setdefault(type >> 8, bytearray())
            bits.extend(bytes(max(0, (type >> 3 & 31) + 1 - len(bits))))
            bits[type >> 3 & 31] |= 0x80 >> (type & 7)
        return b"".join(bytes((window, len(bits))) + bits for window, bits in windows.items())

    def text(self, value: Sequence[int]) -> str:
        return " ".join(map(numbers.type_text, value))

    def parse(self, words: Words, what: str, origin: bytes) -> tuple[int, ...]:
        return tuple(sorted({numbers.type_number(word) for word in words.rest()}))


U8 = Number(1)
U16 = Number(2)
U32 = Number(4)
SECONDS = Seconds(4)
INSTANT = Instant(4)
TYPE = TypeNumber(2)
IP4 = Address(4)
IP6 = Address(16)
NAME = Name()
STRING = String()
STRINGS = Strings()
HEX = Hex()
BASE64 = Base64()
QUOTED = Quoted()
TAG = Tag()
SALT = Salt()
HASHED = Hashed()
BITMAP = Bitmap()
