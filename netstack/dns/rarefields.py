"""Fields of records that are seldom met: positions on the earth (RFC 1876), certificates (RFC 4398), numbers of network cards (RFC
7043), locators (RFC 6742)."""

import re

from ..errors import UsageError
from .fields import Field, Number
from .reader import Reader
from .text import Words

_CERTIFICATES = {
    1: "PKIX", 2: "SPKI", 3: "PGP", 4: "IPKIX", 5: "ISPKI", 6: "IPGP", 7: "ACPKIX", 8: "IACPKIX", 253: "URI", 254: "OID",
}  # fmt: skip
ALGORITHMS = {  # of keys: RFC 8624 and the registry
    1: "RSAMD5", 2: "DH", 3: "DSA", 5: "RSASHA1", 6: "NSEC3DSA", 7: "NSEC3RSASHA1", 8: "RSASHA256", 10: "RSASHA512", 12: "ECCGOST",
    13: "ECDSAP256SHA256", 14: "ECDSAP384SHA384", 15: "ED25519", 16: "ED448", 252: "INDIRECT", 253: "PRIVATEDNS", 254: "PRIVATEOID",
}  # fmt: skip
_EQUATOR = 1 << 31
_GROUND = 100_000_00  # centimetres from the reference to where altitudes are counted from
_HEX = re.compile(r"[0-9a-fA-F]+")
_METRES = re.compile(r"(-?)(\d{1,8})(?:\.(\d{1,2}))?m?", re.ASCII)


class Named(Number):
    """A number that has names. Both are read."""

    def __init__(self, size: int, names: dict[int, str]) -> None:
        super().__init__(size)
        self.names = names
        self.numbers = {name: number for number, name in names.items()}

    def text(self, value: int) -> str:
        return self.names.get(value) or str(value)

    def parse(self, words: Words, what: str, origin: bytes) -> int:
        known = self.numbers.get(words.words[words.at].upper()) if words.left() else None
        if known is None:
            return super().parse(words, what, origin)
        words.next(what)
        return known


class Groups(Field):
    """So many octets in hexadecimal, in groups."""

    def __init__(self, size: int, group: int, between: str) -> None:
        self.size, self.group, self.between = size, group, between

    def read(self, r: Reader) -> bytes:
        return r.take(self.size)

    def write(self, value: bytes) -> bytes:
        if len(value) != self.size:
            raise UsageError(f"{value!r} has {len(value)} octets: {self.size} are due")
        return value

    def text(self, value: bytes) -> str:
        return self.between.join(value[i : i + self.group].hex() for i in range(0, self.size, self.group))

    def parse(self, words: Words, what: str, origin: bytes) -> bytes:
        word = words.next(what)
        parts = word.split(self.between)
        good = len(parts) * self.group == self.size and all(0 < len(p) <= 2 * self.group and _HEX.fullmatch(p) for p in parts)
        if not good:
            raise UsageError(f"{word!r} is not a {what}: write it like {self.text(bytes(range(self.size)))}")
        return b"".join(int(part, 16).to_bytes(self.group, "big") for part in parts)


class Position(Field):
    """The whole of a LOC record: (size, horizontal and vertical precision in cm; latitude, longitude in thousandths of a second of
    arc from the equator and Greenwich, north and east positive; altitude in cm)."""

    def read(self, r: Reader) -> tuple[int, ...]:
        version = r.u8()
        if version != 0:
            raise r.fail(f"a position of version {version}")
        sizes = []
        for _ in range(3):
            octet = r.u8()
            if octet >> 4 > 9 or octet & 15 > 9:
                raise r.fail(f"a size of {octet >> 4} times ten to the {octet & 15}")
            sizes.append((octet >> 4) * 10 ** (octet & 15))
        latitude, longitude = r.u32() - _EQUATOR, r.u32() - _EQUATOR
        if abs(latitude) > 90 * 3_600_000 or abs(longitude) > 180 * 3_600_000:
            raise r.fail("a position beyond the poles, or more than half around the world")
        return (*sizes, latitude, longitude, r.u32() - _GROUND)

    def write(self, value: tuple[int, ...]) -> bytes:
        *sizes, latitude, longitude, altitude = value
        octets = bytes(_size(each) for each in sizes)
        numbers = (latitude + _EQUATOR, longitude + _EQUATOR, altitude + _GROUND)
        return b"\0" + octets + b"".join(n.to_bytes(4, "big") for n in numbers)

    def text(self, value: tuple[int, ...]) -> str:
        size, horizontal, vertical, latitude, longitude, altitude = value
        high = f"{'-' if altitude < 0 else ''}{abs(altitude) // 100}.{abs(altitude) % 100:02d}m"
        sizes = " ".join(f"{n // 100}m" if n >= 100 else f"0.{n:02d}m" for n in (size, horizontal, vertical))
        return f"{_angle(latitude, 'NS')} {_angle(longitude, 'EW')} {high} {sizes}"

    def parse(self, words: Words, what: str, origin: bytes) -> tuple[int, ...]:
        latitude = _parse_angle(words, "latitude", "NS", 90)
        longitude = _parse_angle(words, "longitude", "EW", 180)
        altitude = _parse_metres(words.next("altitude"))
        sizes = [abs(_parse_metres(word)) for word in words.rest()]
        if len(sizes) > 3 or not -_GROUND <= altitude < (1 << 32) - _GROUND:
            raise UsageError(f"{words.text!r} is not a position: at most three sizes, and an altitude from -100 km to 42849 km")
        return (*sizes, *(100, 1_000_000, 1000)[len(sizes) :], latitude, longitude, altitude)  # RFC 1876 3


def _size(centimetres: int) -> int:
    power = 0
    while centimetres > 9:
        centimetres, power = centimetres // 10, power + 1
    if power > 9:
        raise UsageError("a size of a position is at most 90000 km")
    return centimetres << 4 | power


def _angle(thousandths: int, sides: str) -> str:
    minutes, rest = divmod(abs(thousandths), 60_000)
    return f"{minutes // 60} {minutes % 60} {rest // 1000}.{rest % 1000:03d} {sides[thousandths < 0]}"


def _parse_angle(words: Words, what: str, sides: str, most: int) -> int:
    total = 0
    for unit in (3_600_000, 60_000, 1000):
        word = words.next(what)
        if word.upper() in sides and unit != 3_600_000:
            break
        if not re.fullmatch(r"\d{1,3}(\.\d{1,3})?" if unit == 1000 else r"\d{1,3}", word, re.ASCII):
            raise UsageError(f"{word!r} in {words.text!r} is not a {what}: write degrees, minutes, seconds and one of {sides}")
        whole, _, part = word.partition(".")
        total += int(whole) * unit + int(part.ljust(3, "0") or 0)
    else:
        word = words.next(what)
    if word.upper() not in sides or total > most * 3_600_000:
        raise UsageError(f"{words.text!r} has no {what}: up to {most} degrees and one of {sides}")
    return total if word.upper() == sides[0] else -total


def _parse_metres(word: str) -> int:
    match = _METRES.fullmatch(word)
    if match is None:
        raise UsageError(f"{word!r} is not a length: write metres, like 10.50m")
    centimetres = int(match[2]) * 100 + int((match[3] or "").ljust(2, "0"))
    return -centimetres if match[1] else centimetres


CERTIFICATE = Named(2, _CERTIFICATES)
ALGORITHM = Named(1, ALGORITHMS)
EUI48 = Groups(6, 1, "-")
EUI64 = Groups(8, 1, "-")
LOCATOR = Groups(8, 2, ":")
POSITION = Position()
