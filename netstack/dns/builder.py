"""Writes a message into one buffer: names compressed, to a limit, the OPT record last.

What compresses: owners, and the names in the data of the types of RFC 1035; RFC 3597 4 forbids it for all others. A name compresses
against any equal one before it, whatever the case of its letters (RFC 1035 4.1.4 with RFC 4343); `exact` compares the letters
too, for who must hand them on (transfers, multicast DNS).

A set of records goes in whole or not at all (RFC 2181 9). The room for the OPT record is kept free from the beginning.
"""

from .. import raw
from ..errors import UsageError
from . import const as dc
from .edns import Edns
from .edns import to_wire as edns_wire

QUESTION = 0
ANSWER = 1
AUTHORITY = 2
ADDITIONAL = 3

_N = 78
_MAY_COMPRESS: dict[int, bytes] = {
    2: b"N", 3: b"N", 4: b"N", 5: b"N", 6: b"NN\x14", 7: b"N", 8: b"N", 9: b"N", 12: b"N", 14: b"NN", 15: b"\x02N",
}  # fmt: skip
_MULTICAST: dict[int, bytes] = {  # RFC 6762 18.14: RP AFSDB RT PX SRV KX DNAME NSEC
    17: b"NN", 18: b"\x02N", 21: b"\x02N", 26: b"\x02NN", 33: b"\x06N", 36: b"\x02N", 39: b"N", 47: b"N",
}  # fmt: skip


class Builder:
    """`limit`: octets that the finished message may have, OPT record included."""

    __slots__ = (
        "ad",
        "an",
        "buf",
        "edns",
        "exact",
        "last",
        "last_at",
        "limit",
        "multicast",
        "n",
        "names",
        "ns",
        "opt",
        "qd",
        "section",
        "trail",
    )

    def __init__(
        self, limit: int = dc.MAX_MESSAGE, edns: Edns | None = None, exact: bool = False, multicast: bool = False
    ) -> None:
        """`multicast`: the data of more types is compressed, SRV and NSEC among them."""
        self.multicast = multicast
        self.edns = edns
        self.opt = b"" if edns is None else edns_wire(edns)
        self.limit = min(limit, dc.MAX_MESSAGE) - len(self.opt)
        if self.limit < dc.HEADER:
            raise UsageError(f"a limit of {limit} octets leaves no room for a header and the OPT record")
        self.exact = exact
        self.buf = bytearray(512)
        self.names: dict[bytes, int] = {}  # a name, or the end of one, and where it stands
        self.trail: list[bytes] = []  # the keys of `names` in the order of their positions, to take them back
        self.n = dc.HEADER
        self.qd = self.an = self.ns = self.ad = 0
        self.section = QUESTION
        self.last = b""  # the owner written last: records of a set have the same one
        self.last_at = -1

    def begin(self, id: int, flags: int) -> None:
        """Id and the sixteen bits after it."""
        raw.p16(self.buf, 0, id)
        raw.p16(self.buf, 2, flags)

    def truncated(self) -> None:
        """Set TC."""
        raw.p16(self.buf, 2, raw.g16(self.buf, 2) | dc.TC)

    def room(self, n: int) -> bool:
        """Make room for `n` more octets. False where the limit forbids it."""
        n += self.n
        if n > self.limit:
            return False
        if n > len(self.buf):
            self.buf.extend(bytes(n + len(self.buf)))
        return True

    def put_name(self, name: bytes) -> bool:
        """Write `name`, compressed. False where it doesn't fit: half of it is there then, for `back` to remove."""
        if name is self.last and self.last_at > 0:
            if not self.room(2):
                return False
            raw.p16(self.buf, self.n, self.last_at | 0xC000)
            self.n += 2
            return True
        key = name if self.exact else name.lower()
        o = 0
        n = name[0]
        start = self.n
        while n:
            rest = key[o:] if o else key
            found = self.names.get(rest)
            if found is not None:
                at = found
                if not self.room(2):
                    return False
                raw.p16(self.buf, self.n, at | 0xC000)
                self.n += 2
                if o == 0:
                    start = at
                break
            if not self.room(n + 1):
                return False
            if self.n < 0x4000:
                self.names[rest] = self.n
                self.trail.append(rest)
            raw.fill(self.buf, self.n, name, o, n + 1)
            self.n += n + 1
            o += n + 1
            n = name[o]
        else:
            if not self.room(1):
                return False
            raw.p8(self.buf, self.n, 0)
            self.n += 1
        if start < 0x4000 and len(name) > 2:
            self.last = name
            self.last_at = start
        return True

    def question(self, name: bytes, type: int, rclass: int) -> bool:
        """False where it doesn't fit."""
        if self.section != QUESTION:
            raise UsageError("questions come before records")
        mark = self.n
        if not self.put_name(name) or not self.room(4):
            self.back(mark)
            return False
        raw.p16(self.buf, self.n, type)
        raw.p16(self.buf, self.n + 2, rclass)
        self.n += 4
        self.qd += 1
        return True

    def record(self, section: int, name: bytes, type: int, rclass: int, ttl: int, rdata: bytes) -> bool:
        """One record; `ttl` in seconds. False where it doesn't fit: nothing of it is there then."""
        if section < self.section or not 1 <= section <= 3:
            raise UsageError("sections follow each other: answer, authority, additional")
        mark = self.n
        if not self.put_name(name) or not self.room(10):
            self.back(mark)
            return False
        at = self.n
        raw.p16(self.buf, at, type)
        raw.p16(self.buf, at + 2, rclass)
        raw.p32(self.buf, at + 4, ttl)
        self.n += 10
        layout = _MAY_COMPRESS.get(type) if type <= 15 else None
        if self.multicast and type > 15:
            layout = _MULTICAST.get(type)
        if layout is None:
            fits = self.room(len(rdata))
            if fits:
                raw.fill(self.buf, self.n, rdata, 0, len(rdata))
                self.n += len(rdata)
        else:
            fits = self.put_data(layout, rdata)
        if not fits:
            self.back(mark)
            return False
        raw.p16(self.buf, at + 8, self.n - at - 10)
        self.section = section
        if section == 1:
            self.an += 1
        elif section == 2:
            self.ns += 1
        else:
            self.ad += 1
        return True

    def put_data(self, layout: bytes, rdata: bytes) -> bool:
        """Data of a type that may be compressed: what does not have its layout goes in as it is."""
        o = 0
        keep = self.last
        keep_at = self.last_at
        for op in layout:
            if op == _N:
                end = _name_end(rdata, o)
                if end < 0:
                    break
                if not self.put_name(rdata[o:end]):
                    return False
                o = end
            else:
                end = min(o + op, len(rdata))
                if not self.room(end - o):
                    return False
                raw.fill(self.buf, self.n, rdata, o, end - o)
                self.n += end - o
                o = end
        end = len(rdata)
        if not self.room(end - o):
            return False
        raw.fill(self.buf, self.n, rdata, o, end - o)
        self.n += end - o
        self.last = keep
        self.last_at = keep_at
        return True

    def rrset(self, section: int, name: bytes, type: int, rclass: int, ttl: int, rdatas: list[bytes]) -> bool:
        """All of a set or nothing. False where it doesn't fit: the caller knows whether that is to be told with TC."""
        mark = self.n
        was = self.section
        for done, rdata in enumerate(rdatas):
            if not self.record(section, name, type, rclass, ttl, rdata):
                self.back(mark)
                self.forget(section, done)
                self.section = was
                return False
        return True

    def forget(self, section: int, n: int) -> None:
        """`n` records of `section` were taken back."""
        if section == 1:
            self.an -= n
        elif section == 2:
            self.ns -= n
        else:
            self.ad -= n

    def back(self, mark: int) -> None:
        """Take back all from `mark` on. Counts are the caller's (`forget`)."""
        while self.trail and self.names[self.trail[-1]] >= mark:
            del self.names[self.trail.pop()]
        self.n = mark
        if self.last_at >= mark:
            self.last = b""
            self.last_at = -1

    def finish(self, pad: int = 0) -> bytes:
        """The message. `pad`: the OPT record gets a padding option that makes the length a multiple of so many octets, where the
        limit allows it (RFC 7830, RFC 8467)."""
        opt = self.opt
        if self.edns is not None:
            if pad > 0:
                most = self.limit - self.n - 4
                missing = (pad - (self.n + len(opt) + 4) % pad) % pad
                if most >= 0:
                    opt = edns_wire(self.edns, min(missing, most))
            self.limit += len(self.opt)
            self.room(len(opt))
            raw.fill(self.buf, self.n, opt, 0, len(opt))
        raw.p16(self.buf, 4, self.qd)
        raw.p16(self.buf, 6, self.an)
        raw.p16(self.buf, 8, self.ns)
        raw.p16(self.buf, 10, self.ad + (1 if opt else 0))
        n = self.n + len(opt)
        if self.edns is not None:
            self.limit -= len(self.opt)
        return raw.take(self.buf, 0, n)


def _name_end(data: bytes, o: int) -> int:
    """Where the name at `o` ends, or -1 when there is none."""
    start = o
    end = len(data)
    while o < end:
        n = data[o]
        o += n + 1
        if n > 63 or o - start > 255:
            return -1
        if n == 0:
            return o
    return -1
