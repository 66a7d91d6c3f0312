"""A cursor over a message, or over one record's data, that returns something lawful or raises WireError saying what and where.

Compression (RFC 1035 4.1.4) is a loop that a stranger writes. A pointer must lead to before the labels that it continues, so each
jump is strictly backwards and there is no circle; labels end after 255 octets; pointers that lead to pointers and never to a label
end after 127. And all names of a message together may jump no more often than the message has octets: else one of 64 KiB could ask
for more than a million jumps.
"""

from .. import raw
from ..errors import WireError
from . import const as dc

_SECTIONS = ("", "question", "answer", "authority", "additional")

# Where names stand in data that may be compressed when we receive it: the types of RFC 1035, and those that RFC 3597 4 names beside
# them. A number skips so many octets, N is a name, S a character-string, R the rest. Nothing else has pointers: what looks like one
# there is data.
_N, _S, _R = 78, 83, 82
_LAYOUTS: dict[int, bytes] = {
    2: b"N", 3: b"N", 4: b"N", 5: b"N", 7: b"N", 8: b"N", 9: b"N", 12: b"N",  # NS MD MF CNAME MB MG MR PTR
    6: b"NN\x14", 14: b"NN", 15: b"\x02N",  # SOA MINFO MX
    17: b"NN", 18: b"\x02N", 21: b"\x02N", 24: b"\x12NR", 26: b"\x02NN", 30: b"NR",  # RP AFSDB RT SIG PX NXT
    33: b"\x06N", 35: b"\x04SSSN",  # SRV NAPTR
}  # fmt: skip
_MULTICAST: dict[int, bytes] = {36: b"\x02N", 39: b"N", 47: b"NR"}  # KX DNAME NSEC, over multicast only (RFC 6762 18.14)


class Reader:
    """`o` is the next octet, `end` where what is being read ends: the message, or the data of one record. `multicast`: more types
    have compressible names."""

    __slots__ = ("b", "end", "index", "jumps", "last", "last_at", "multicast", "o", "scratch", "section")

    def __init__(self, data: "bytes | bytearray | memoryview") -> None:
        self.multicast = False
        self.b = bytearray(data)
        self.o = 0
        self.end = len(self.b)
        self.jumps = self.end + dc.MAX_POINTERS
        self.section = 0
        self.index = 0
        self.last_at = -1  # the name that the reader met last, and where: most pointers are to the same
        self.last = b""
        self.scratch = bytearray(256)

    def fail(self, what: str) -> WireError:
        """The error to raise."""
        where = f" of {_SECTIONS[self.section]} {self.index}" if self.section else ""
        return WireError(f"{what}, at octet {self.o}{where}")

    def need(self, n: int) -> None:
        if n > self.end - self.o:
            raise self.fail(f"{n} octets are due, {self.end - self.o} are left")

    def left(self) -> int:
        """How many octets are left."""
        return self.end - self.o

    def u8(self) -> int:
        self.need(1)
        v = raw.g8(self.b, self.o)
        self.o += 1
        return v

    def u16(self) -> int:
        self.need(2)
        v = raw.g16(self.b, self.o)
        self.o += 2
        return v

    def u32(self) -> int:
        self.need(4)
        v = raw.g32(self.b, self.o)
        self.o += 4
        return v

    def take(self, n: int) -> bytes:
        self.need(n)
        v = raw.take(self.b, self.o, n)
        self.o += n
        return v

    def rest(self) -> bytes:
        return self.take(self.end - self.o)

    def string(self) -> bytes:
        """A character-string, without its length (RFC 1035 3.3)."""
        return self.take(self.u8())

    def finish(self) -> None:
        if self.o != self.end:
            raise self.fail(f"{self.end - self.o} octets too many")

    def name(self) -> bytes:
        """A name, with pointers or without."""
        b = self.b
        p = self.o
        end = self.end
        first = p
        low = p
        n = 0
        jumps = 0
        after = -1
        while True:
            if p >= end:
                raise self.fail("a name runs past the end")
            c = raw.g8(b, p)
            if c < 64:
                if c + 1 > end - p:
                    raise self.fail("a label runs past the end")
                if n + c + 1 > dc.MAX_NAME:
                    raise self.fail("a name of more than 255 octets")
                raw.move(self.scratch, n, b, p, c + 1)
                n += c + 1
                p += c + 1
                if c == 0:
                    break
                continue
            if c < 192:
                raise self.fail(f"a label of type {c >> 6}")  # RFC 6891 5: extended ones are gone
            if end - p < 2:
                raise self.fail("half of a pointer")
            target = raw.g16(b, p) & 0x3FFF
            if after < 0:
                after = p + 2
                if p == first:
                    if target == self.last_at:
                        self.o = after
                        return self.last
                    first = target
            if target >= low:
                raise self.fail(f"a pointer that doesn't lead backwards, to {target}")
            if target < dc.HEADER:
                raise self.fail(f"a pointer into the header, to {target}")
            jumps += 1
            if jumps > dc.MAX_POINTERS:
                raise self.fail("more pointers than a name can have labels")
            self.jumps -= 1
            if self.jumps < 0:
                raise self.fail("more pointers followed than the message has octets")
            p = target
            low = target
            end = len(b)
        self.o = p if after < 0 else after
        self.last_at = first
        self.last = raw.take(self.scratch, 0, n)
        return self.last

    def skip(self, n: int) -> None:
        self.need(n)
        self.o += n

    def skip_name(self) -> None:
        """Past a name, wherever its pointer leads."""
        b = self.b
        p = self.o
        end = self.end
        while p < end:
            c = raw.g8(b, p)
            if c >= 192:
                p += 2
                break
            if c > 63:
                raise self.fail(f"a label of type {c >> 6}")
            p += c + 1
            if c == 0:
                break
        else:
            raise self.fail("a name runs past the end")
        if p > end:
            raise self.fail("a name runs past the end")
        self.o = p

    def plain_name(self) -> bytes:
        """A name that must not be compressed."""
        b = self.b
        p = self.o
        while True:
            if p >= self.end:
                raise self.fail("a name runs past the end")
            c = raw.g8(b, p)
            if c > 63:
                raise self.fail(f"a label of type {c >> 6} in a name that must not be compressed")
            p += c + 1
            if p - self.o > dc.MAX_NAME:
                raise self.fail("a name of more than 255 octets")
            if c == 0:
                return self.take(p - self.o)

    def rdata(self, type: int, n: int) -> bytes:
        """The data of a record, `n` octets, without compression. Addresses and types with names are checked, others on demand."""
        self.need(n)
        if type == dc.A or type == dc.AAAA:
            if n != (4 if type == dc.A else 16):
                raise self.fail(f"an address of {n} octets")
            return self.take(n)
        layout = _LAYOUTS.get(type) if type <= 35 else None
        if self.multicast and layout is None:
            layout = _MULTICAST.get(type)
        if layout is None:
            return self.take(n)
        outer = self.end
        start = self.o
        self.end = start + n
        if layout == b"N":
            data = self.name()
        elif layout == b"NR":
            try:
                data = self.expand(layout)
            except WireError:  # RFC 6762 6.1: a message must not be ignored because of an NSEC record that can't be read
                self.o = start
                data = self.rest()
        else:
            data = self.expand(layout)
        self.finish()
        self.end = outer
        return data

    def expand(self, layout: bytes) -> bytes:
        """Data with names inside."""
        parts: list[bytes] = []
        for op in layout:
            if op == _N:
                parts.append(self.name())
            elif op == _S:
                self.need(1)
                parts.append(self.take(raw.g8(self.b, self.o) + 1))
            elif op == _R:
                parts.append(self.rest())
            else:
                parts.append(self.take(op))
        return b"".join(parts)
