"""Messages (RFC 1035 4): decoded whole into light objects, and encoded from them.

A record's data is kept as octets of the wire with its names uncompressed; `rdata.unpack` says what they mean, on demand.
"""

from ..errors import WireError
from . import const as dc
from .builder import Builder
from .edns import Edns, from_record
from .numbers import class_text, rcode_text, type_text
from .reader import Reader


class Question:
    """`name` as it came, with the case of its letters (which 0x20 needs)."""

    __slots__ = ("name", "rclass", "type")

    def __init__(self, name: bytes, type: int, rclass: int = dc.IN) -> None:
        self.name = name
        self.type = type
        self.rclass = rclass

    def __eq__(self, other: object) -> bool:
        """As the DNS compares: letters are the same in both cases (RFC 4343)."""
        if not isinstance(other, Question):
            return NotImplemented
        return self.type == other.type and self.rclass == other.rclass and self.name.lower() == other.name.lower()

    def __hash__(self) -> int:
        return hash((self.name.lower(), self.type, self.rclass))

    def __repr__(self) -> str:
        return f"Question({self.name!r}, {type_text(self.type)}, {class_text(self.rclass)})"


class Record:
    """One resource record. `ttl` in seconds; `rdata` in uncompressed wire form."""

    __slots__ = ("name", "rclass", "rdata", "ttl", "type")

    def __init__(self, name: bytes, type: int, rclass: int, ttl: int, rdata: bytes) -> None:
        self.name = name
        self.type = type
        self.rclass = rclass
        self.ttl = ttl
        self.rdata = rdata

    def __eq__(self, other: object) -> bool:
        """All five are the same, the letters of the owner in either case."""
        if not isinstance(other, Record):
            return NotImplemented
        return (
            self.type == other.type
            and self.rclass == other.rclass
            and self.ttl == other.ttl
            and self.rdata == other.rdata
            and self.name.lower() == other.name.lower()
        )

    def __hash__(self) -> int:
        return hash((self.name.lower(), self.type, self.rclass, self.rdata))

    def __repr__(self) -> str:
        return f"Record({self.name!r}, {type_text(self.type)}, {class_text(self.rclass)}, {self.ttl}, {self.rdata!r})"


class Message:
    """`flags` are the sixteen bits after the id: QR, opcode, AA, TC, RD, RA, Z, AD, CD, and four of the rcode. The OPT record is
    `edns` and does not stand in `additional`; a TSIG record stands there, as the last (`tsig.py` verifies it, on the octets)."""

    __slots__ = ("additional", "answer", "authority", "edns", "flags", "id", "question")

    def __init__(self, id: int = 0, flags: int = 0) -> None:
        self.id = id
        self.flags = flags
        self.question: list[Question] = []
        self.answer: list[Record] = []
        self.authority: list[Record] = []
        self.additional: list[Record] = []
        self.edns: Edns | None = None

    @property
    def opcode(self) -> int:
        return self.flags >> 11 & 15

    @property
    def rcode(self) -> int:
        """All twelve bits."""
        return self.flags & 15 | (0 if self.edns is None else self.edns.ext_rcode << 4)

    @property
    def qr(self) -> bool:
        """It is a response."""
        return bool(self.flags & dc.QR)

    @property
    def aa(self) -> bool:
        return bool(self.flags & dc.AA)

    @property
    def tc(self) -> bool:
        return bool(self.flags & dc.TC)

    @property
    def rd(self) -> bool:
        return bool(self.flags & dc.RD)

    @property
    def ra(self) -> bool:
        return bool(self.flags & dc.RA)

    @property
    def ad(self) -> bool:
        return bool(self.flags & dc.AD)

    @property
    def cd(self) -> bool:
        return bool(self.flags & dc.CD)

    def __repr__(self) -> str:
        return (
            f"<Message {self.id} {rcode_text(self.rcode)} flags={self.flags:#06x} {self.question}: {len(self.answer)} answer, "
            f"{len(self.authority)} authority, {len(self.additional)} additional{', EDNS' if self.edns is not None else ''}>"
        )

    def encode(self, limit: int = dc.MAX_MESSAGE, *, pad: int = 0, exact: bool = False) -> bytes:
        """The wire form, at most `limit` octets. What does not fit is left out by whole sets, and TC says so where they were of the
        answer or the authority section (RFC 2181 9); additional records are left out silently."""
        more = self.additional
        if more and more[-1].type == dc.TSIG:
            return self._encode_signed(limit, pad, exact)
        b = Builder(limit, self.edns, exact)
        b.begin(self.id, self.flags)
        for q in self.question:
            if not b.question(q.name, q.type, q.rclass):
                b.truncated()
                return b.finish(pad)
        if not _put(b, 1, self.answer) or not _put(b, 2, self.authority):
            b.truncated()
        else:
            _put(b, 3, self.additional)
        return b.finish(pad)

    def _encode_signed(self, limit: int, pad: int, exact: bool) -> bytes:
        """With the TSIG record behind all others, the OPT record too (RFC 8945 5.1)."""
        t = self.additional.pop()
        try:
            tail = Builder(dc.MAX_MESSAGE)
            tail.record(3, t.name, t.type, t.rclass, t.ttl, t.rdata)
            last = tail.finish()[dc.HEADER :]
            wire = self.encode(limit - len(last), pad=pad, exact=exact)
        finally:
            self.additional.append(t)
        count = int.from_bytes(wire[10:12], "big") + 1
        return wire[:10] + count.to_bytes(2, "big") + wire[12:] + last


def _put(b: Builder, section: int, records: list[Record]) -> bool:
    """Whole sets as long as they fit: records of one owner and type that follow each other."""
    mark = b.n
    done = 0
    before: Record | None = None
    for r in records:
        if before is None or r.type != before.type or r.rclass != before.rclass or r.name.lower() != before.name.lower():
            mark = b.n
            done = 0
        before = r
        if not b.record(section, r.name, r.type, r.rclass, r.ttl, r.rdata):
            b.back(mark)
            b.forget(section, done)
            return False
        done += 1
    return True


def decode(data: "bytes | bytearray | memoryview", multicast: bool = False) -> Message:
    """The message that `data` is, to its last octet. Raises WireError, which says what is wrong and where.

    Addresses and the data of types with compressible names are checked here, other data when it is unpacked. `multicast`: more
    types have such names (RFC 6762 18.14).
    """
    r = Reader(data)
    r.multicast = multicast
    if r.end < dc.HEADER:
        raise WireError(f"a message of {r.end} octets: its header has 12")
    if r.end > dc.MAX_MESSAGE:
        raise WireError(f"a message of {r.end} octets: 65535 are lawful")
    m = Message(r.u16(), r.u16())
    qd = r.u16()
    an = r.u16()
    ns = r.u16()
    ar = r.u16()
    if qd * 5 + (an + ns + ar) * 11 > r.end - r.o:  # the least that they need: no loop for what can't be there
        raise WireError(f"{qd} questions and {an + ns + ar} records can't be in {r.end} octets")
    r.section = 1
    for r.index in range(qd):
        m.question.append(Question(r.name(), r.u16(), r.u16()))
    records(r, m, 2, an, m.answer)
    records(r, m, 3, ns, m.authority)
    records(r, m, 4, ar, m.additional)
    r.section = 0
    r.finish()
    return m


def records(r: Reader, m: Message, section: int, n: int, into: list[Record]) -> None:
    """Read `n` records of a section."""
    r.section = section
    i = 0
    while i < n:
        r.index = i
        i += 1
        name = r.name()
        type = r.u16()
        rclass = r.u16()
        ttl = r.u32()
        size = r.u16()
        if type == dc.OPT:
            if section != 4:
                raise r.fail("an OPT record outside of the additional section")
            if len(name) != 1:
                raise r.fail("an OPT record that isn't the root's")  # RFC 6891 6.1.2
            if m.edns is not None:
                raise r.fail("a second OPT record")  # RFC 6891 6.1.1: FORMERR
            m.edns = from_record(rclass, ttl, r.take(size))
            continue
        if type == dc.TSIG and (section != 4 or i < n):
            raise r.fail("a TSIG record that isn't the last of the message")  # RFC 8945 5.2: FORMERR
        if ttl > dc.MAX_TTL:
            ttl = 0  # RFC 2181 8
        if size == 0 and rclass >= dc.NONE_CLASS and m.flags & dc.OPCODE == dc.UPDATE:
            into.append(Record(name, type, rclass, ttl, b""))  # RFC 2136 2.4, 2.5: of class NONE or ANY, all of a type are meant
            continue
        into.append(Record(name, type, rclass, ttl, r.rdata(type, size)))


def last_record(data: bytes) -> int:
    """Where the last record of the additional section begins; -1 where that is empty. Raises WireError.

    Without a look at what is before: for who wants a signature's record, of messages that are decoded afterwards.
    """
    r = Reader(data)
    if r.end < dc.HEADER:
        raise WireError(f"a message of {r.end} octets: its header has 12")
    r.o = 4
    qd = r.u16()
    n = r.u16()
    n += r.u16()
    ar = r.u16()
    n += ar
    if ar == 0:
        return -1
    i = 0
    while i < qd:
        r.skip_name()
        r.skip(4)
        i += 1
    at = r.o
    i = 0
    while i < n:
        at = r.o
        r.skip_name()
        r.skip(8)
        r.skip(r.u16())
        i += 1
    return at
