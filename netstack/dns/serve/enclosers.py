"""Answers for names that are not there, all names of one length below one that is.

A flood of random names must neither fill the table nor take the long way for each. But what is said of them is the same: a name
that isn't there is denied, or made from a wildcard, or referred to other servers, by its closest encloser, the longest name above
it that is there (RFC 4592 3.3.1). The answers to two such names differ in their question alone, and in where pointers lead, which
depends on its length. So an answer is kept for each length of name, below an encloser where it was seen that names are asked for
which aren't there.

What must not be so answered:

- What is there. The zone's own table of names is asked each time: the child of the encloser towards the name must not be in it.
- Below a DNAME, since names are rewritten there.
- Where names in the answer share labels with the question beyond the encloser: there the pointers of one answer are not those
  of another. A denial of `hostmaster.example.` is compressed otherwise than all others, when the SOA has that name.
- With DNSSEC: each gap between names is proved by other records.
- Where another zone of this server lies below the zone, or somebody stands before its zones.
"""

from typing import Any

from ... import raw
from .. import const as dc
from .. import message as messages
from .. import name as names
from ..ask import Ask
from ..authority.store import Store
from ..packed import Packed
from .shelf import Kept, kept_for

ENCLOSERS = 1024  # the one that came first makes room: who asks below many names is answered the long way
ANSWERS = 8192  # in all: 250 lengths and any type below each encloser are for a stranger to choose. All are dropped, and begun anew

_SIGNED = (dc.DNSKEY, dc.NSEC, dc.NSEC3PARAM)  # what a signed zone has at its apex


class Encloser:
    """One name that is there. `avoid`: names below it, with one label more, that its answers have something to do with. `odd`:
    names below it are rewritten, or its answers have data that isn't known here."""

    __slots__ = ("answers", "avoid", "cut", "odd", "signed", "tree", "version", "zone")

    def __init__(self, zone: Any, signed: bool) -> None:
        self.zone = zone
        self.version = zone.version
        self.tree: Store = zone.tree
        self.cut = len(zone.origin)
        self.signed = signed
        self.odd = False
        self.answers: dict[int, Kept] = {}
        self.avoid: set[bytes] = set()


class Enclosers:
    """Of the zones of `filler`, a desk."""

    __slots__ = ("filler", "held", "hosts", "table")

    def __init__(self, filler: Any) -> None:
        self.filler = filler
        self.table: dict[bytes, Encloser] = {}
        self.held = 0
        self.hosts: set[bytes] | None = None  # origins of zones that have others below them; None: not looked at yet

    def clear(self) -> None:
        """Zones have come or gone."""
        self.table.clear()
        self.held = 0
        self.hosts = None

    def find(self, ask: Ask) -> Kept | None:
        """The answer for all names like this one."""
        if self.held == 0:
            return None
        key = ask.key
        n = len(key) - 4
        buf = ask.buf
        o = 0
        e: Encloser | None = None
        while e is None:
            at = o
            size = raw.g8(buf, 12 + o)
            if size == 0:
                return None
            o += size + 1
            e = self.table.get(key[o:n])
        kept: Kept | None = e.answers.get(ask.type << 8 | n)
        if kept is None or (ask.do and e.signed) or ask.rclass != dc.IN or e.version != e.zone.version:
            return None
        if e.tree.find(key[at : n - e.cut]) or key[at:n] in e.avoid:
            return None
        return kept

    def learn(self, ask: Ask, packed: Packed, zone: Any) -> bool:
        """`packed` is what was filled in for `ask`: whether it is kept here."""
        key = ask.key
        n = len(key) - 4
        cut = len(zone.origin)
        if key[0] == 0 or n <= cut:
            return False
        tree: Store = zone.tree
        if tree.find(key[: n - cut]):
            return False
        at = o = 0
        while True:
            at = o
            o += key[o] + 1
            if o >= n - cut or tree.find(key[o : n - cut]):
                break
        e: Encloser | None = self.table.get(key[o:n])
        if e is None or e.version != zone.version or e.zone is not zone:
            self.note(key[o:n], zone)
            return False
        child = key[at:n]
        if e.odd or child in e.avoid or (ask.do and e.signed):
            return False
        avoid = related(ask, packed, key[o:n])
        if avoid is None:
            e.odd = True
            return False
        e.avoid |= avoid
        if child in avoid:
            return False
        if self.held >= ANSWERS:
            self.table.clear()
            self.held = 0
            return False
        e.answers[ask.type << 8 | n] = kept_for(key[o:n], packed)
        self.held += 1
        return True

    def note(self, encloser: bytes, zone: Any) -> None:
        """A name below `encloser` was asked for that is not there: perhaps there will be more."""
        if self.hosts is None:
            self.hosts = hosts_of([each.origin for each in self.filler.zones])
        if zone.origin in self.hosts or not self.filler.plain:
            return
        before = self.table.pop(encloser, None)
        if before is None and len(self.table) >= ENCLOSERS:
            before = self.table.pop(next(iter(self.table)))
        if before is not None:
            self.held -= len(before.answers)
        self.table[encloser] = Encloser(zone, is_signed(zone))


def is_signed(zone: Any) -> bool:
    return any(zone.rrset(zone.origin, type) is not None for type in _SIGNED)


def hosts_of(origins: list[bytes]) -> set[bytes]:
    """Those that have others below them."""
    there = set(origins)
    found = set()
    for origin in origins:
        while origin != b"\0":
            origin = names.parent(origin)
            if origin in there:
                found.add(origin)
    return found


def related(ask: Ask, packed: Packed, encloser: bytes) -> set[bytes] | None:
    """The children of `encloser` towards the names that are compressed in `packed`, but for the question's; None where that can't
    be said."""
    head = bytes(4) + b"\0\1" + b"".join(count.to_bytes(2, "big") for count in (packed.an, packed.ns, packed.ar))
    m = messages.decode(head + bytes(ask.buf[12 : ask.end]) + packed.body)
    asked = ask.key[:-4]
    found: set[bytes] = set()
    for record in (*m.answer, *m.authority, *m.additional):
        inside = names_in(record.type, record.rdata)
        if inside is None:
            return None
        owner = names.key(record.name)
        if owner != asked:
            inside.append(owner)
        for each in map(names.key, inside):
            if each != encloser and names.under(each, encloser):
                found.add(names.tail(each, names.count(encloser) + 1))
    return found


def names_in(type: int, data: bytes) -> list[bytes] | None:
    """Names that are compressed in data of this type (`builder.py`). None for a DNAME, and for the obsolete ones of them."""
    if type in (dc.NS, dc.CNAME, dc.PTR):
        return [data]
    if type == dc.MX:
        return [data[2:]]
    if type == dc.SOA:
        o = 0
        while data[o]:
            o += data[o] + 1
        return [data[: o + 1], data[o + 1 : -20]]
    return None if type in (3, 4, 7, 8, 9, 14, dc.DNAME) else []
