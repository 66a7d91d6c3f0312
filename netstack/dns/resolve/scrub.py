"""What a response says to the question that was asked of a zone's server: all that it may say, and nothing else.

A server of `zone` is believed about names in `zone`. Records of other owners are not looked at, whatever section they stand in,
nor those of another class. Of the answer section counts what the question's name has, or its alias, and not what the alias's
target has. Of the authority section a SOA and proofs for a denial, an NS set for a referral. Of the additional section addresses of
servers that the referral names, if they are in `zone` too: glue for names elsewhere is what cache poisoning is made of (RFC 5452
6). NS sets beside an answer are not looked at: no answer can change who serves a zone.

Who does not serve the zone at all is lame. It shows by a referral to the zone itself, upwards or sideways, by a denial in the name
of a zone above, or by answers from a cache (RA without AA). What a lame server said is kept for when nobody says better.
"""

from __future__ import annotations

import enum

from .. import const as dc
from .. import name as names
from ..message import Message, Record
from ..numbers import Rcode, Type
from .cache import Found
from .cuts import MOST_ADDRESSES, MOST_NAMES

_PROOFS = (Type.NSEC, Type.NSEC3)


class Sort(enum.Enum):
    ANSWER = "an answer, or aliases that lead to one"
    NODATA = "no data of the type"
    NXDOMAIN = "no such name"
    REFERRAL = "a referral"
    LAME = "lame"


class RRset:
    """Records of one owner and type, and the data of their signatures. `ttl` is the least of them (RFC 2181 5.2)."""

    __slots__ = ("name", "rdatas", "signatures", "ttl", "type")

    def __init__(self, name: bytes, type: int, ttl: int) -> None:
        self.name = name
        self.type = type
        self.ttl = ttl
        self.rdatas: tuple[bytes, ...] = ()
        self.signatures: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"<RRset {names.text(self.name)} {self.type} {self.ttl}: {len(self.rdatas)}>"

    def records(self, dnssec: bool) -> list[Record]:
        found = [Record(self.name, self.type, dc.IN, self.ttl, data) for data in self.rdatas]
        if dnssec:
            found += [Record(self.name, int(Type.RRSIG), dc.IN, self.ttl, data) for data in self.signatures]
        return found


def one(record: Record) -> RRset:
    """A set of one record."""
    made = RRset(record.name, record.type, record.ttl)
    made.rdatas = (record.rdata,)
    return made


Sets = dict[tuple[bytes, int], RRset]


class Reading:
    """`links`: the sets of the answer, or an alias, behind its DNAME if it has one; `target`: where that leads to. `soa` of a
    denial; `proof`: NSEC and NSEC3 sets of the authority section. `cut`, `servers` and `ttl` of a referral. `usable`: of a lame
    server, what it says may be taken for want of better. `too_long`: a DNAME makes a name that can't be."""

    __slots__ = ("aa", "cut", "links", "proof", "servers", "soa", "sort", "target", "too_long", "ttl", "usable", "why")

    def __init__(self) -> None:
        self.sort = Sort.LAME
        self.aa = False
        self.links: list[RRset] = []
        self.target: bytes | None = None
        self.soa: RRset | None = None
        self.proof: tuple[RRset, ...] = ()
        self.cut = names.ROOT
        self.servers: dict[bytes, list[bytes]] = {}
        self.ttl = 0
        self.usable = False
        self.too_long = False
        self.why = ""


def gather(records: list[Record], zone: bytes) -> Sets:
    """The sets of a section whose owners are in `zone`, signatures with what they cover."""
    found: Sets = {}
    signatures: dict[tuple[bytes, int], list[bytes]] = {}
    for r in records:
        key = names.key(r.name)
        if r.rclass != dc.IN or not names.under(key, zone):
            continue
        if r.type == Type.RRSIG and len(r.rdata) > 18:
            signatures.setdefault((key, r.rdata[0] << 8 | r.rdata[1]), []).append(r.rdata)
        kept = found.get((key, r.type))
        if kept is None:
            kept = found[key, r.type] = RRset(r.name, r.type, r.ttl)
        kept.ttl = min(kept.ttl, r.ttl)
        if r.rdata not in kept.rdatas:
            kept.rdatas += (r.rdata,)
    for place, datas in signatures.items():
        if place in found:
            found[place].signatures = tuple(datas)
    return found


def rewritten(name: bytes, owner: bytes, target: bytes) -> bytes | None:
    """`name` below a DNAME's `owner`, below its `target` (RFC 6672 2.2). None where that is longer than a name can be."""
    found = name[: len(name) - len(owner)] + target
    return found if len(found) <= dc.MAX_NAME else None


def alias_of(name: bytes, renaming: RRset, to: bytes) -> RRset:
    """The CNAME that a DNAME makes; it lives as long."""
    return one(Record(name, int(Type.CNAME), dc.IN, renaming.ttl, to))


def read(m: Message, zone: bytes, name: bytes, type: int) -> Reading:
    """What `m`, with rcode NOERROR, NXDOMAIN or YXDOMAIN, says as a response of a server of `zone`, a key, to the question for
    `name` and `type`."""
    found = Reading()
    found.aa = m.aa
    answers = gather(m.answer, zone)
    authority = gather(m.authority, zone)
    _follow(found, answers, zone, name, type)
    if found.links:
        found.sort = Sort.ANSWER
        found.proof = tuple(s for (_, t), s in authority.items() if t in _PROOFS)  # of a wildcard, where one was used
        if m.ra and not m.aa:
            found.sort, found.usable, found.why = Sort.LAME, True, "answers from a cache"
        return found
    if m.rcode == Rcode.NOERROR and not _says_soa(authority, name):
        _refer(found, m, authority, answers, zone, name, type)
        if found.sort is Sort.REFERRAL or found.why:
            return found
    _deny(found, m, authority, zone, name)
    return found


def _follow(found: Reading, sets: Sets, zone: bytes, name: bytes, type: int) -> None:
    """What the answer section has for `name`: what was asked for, or one alias. What its target has is not the server's own word,
    and is asked for again, by that name (RFC 2181 5.4.1)."""
    key = names.key(name)
    if type == Type.ANY:
        found.links = [s for (owner, t), s in sets.items() if owner == key and t != Type.RRSIG]
        return
    exact = sets.get((key, type))
    if exact is not None:
        found.links = [exact]
        return
    renaming = _renaming(sets, key)
    alias = sets.get((key, int(Type.CNAME)))
    if renaming is not None:
        to = rewritten(name, renaming.name, renaming.rdatas[0])
        found.links = [renaming]
        found.too_long = to is None
        if to is not None:
            found.links.append(alias_of(name, renaming, to))  # RFC 6672 3.1: ours, and not what came along
            found.target = to
    elif alias is not None:
        alias.rdatas = alias.rdatas[:1]  # RFC 2181 10.1: there can be one
        found.links = [alias]
        found.target = alias.rdatas[0]


def _renaming(sets: Sets, key: bytes) -> RRset | None:
    """The DNAME that `key` is below of, the uppermost: below it there is nothing (RFC 6672 2.4)."""
    best = None
    for (owner, type), s in sets.items():
        below = type == Type.DNAME and owner != key and names.under(key, owner)
        if below and (best is None or len(owner) < len(best.name)):
            best = s
    return best


def _says_soa(authority: Sets, name: bytes) -> bool:
    return any(type == Type.SOA and names.under(names.key(name), owner) for owner, type in authority)


def _refer(found: Reading, m: Message, authority: Sets, answers: Sets, zone: bytes, name: bytes, type: int) -> None:
    """A referral downwards, or one that shows that the server is lame."""
    key = names.key(name)
    down: RRset | None = None
    for sets in (authority, answers if not m.aa and type in (Type.NS, Type.ANY) else {}):
        for (owner, t), s in sets.items():
            deeper = down is None or len(owner) > len(down.name)
            if t == Type.NS and owner != zone and names.under(key, owner) and deeper:
                down = s
    if down is not None and not (type == Type.DS and names.key(down.name) == key):
        found.sort = Sort.REFERRAL
        found.cut = names.key(down.name)
        found.ttl = down.ttl
        found.servers = glue(m, down, zone)
        return
    if down is not None or (zone, int(Type.NS)) in authority:
        if not m.aa and down is None:
            found.why = f"refers {names.text(zone)} to itself"
        return
    if not m.answer and any(r.type == Type.NS for r in m.authority):
        found.why = "refers upwards or sideways"


def _deny(found: Reading, m: Message, authority: Sets, zone: bytes, name: bytes) -> None:
    """Nothing is there."""
    soas = [s for (owner, t), s in authority.items() if t == Type.SOA and names.under(names.key(name), owner)]
    if soas:
        found.soa = max(soas, key=lambda s: len(s.name))
    elif any(r.type == Type.SOA for r in m.authority):
        found.why = f"denies in the name of another zone than {names.text(zone)}"
        return
    found.proof = tuple(s for (_, t), s in authority.items() if t in _PROOFS)
    found.sort = Sort.NXDOMAIN if m.rcode == Rcode.NXDOMAIN else Sort.NODATA
    if m.ra and not m.aa:
        found.sort, found.usable, found.why = Sort.LAME, True, "denies from a cache"
    elif found.sort is Sort.NODATA and found.soa is None and not (m.aa and m.authority):
        found.sort, found.usable, found.why = Sort.LAME, True, "says nothing at all"  # lawful (RFC 2308 2.2), and mostly a mistake


def authority_of(found: Reading, max_ttl: int, dnssec: bool) -> tuple[Record, ...]:
    """What goes into the authority section: a denial's SOA, with the TTL that the denial has (RFC 2308 3), and proofs."""
    records = [r for s in found.proof for r in s.records(True)] if dnssec else []
    said = found.soa
    if said is not None:
        made = RRset(said.name, said.type, min(said.ttl, int.from_bytes(said.rdatas[0][-4:], "big"), max_ttl))
        made.rdatas, made.signatures = said.rdatas[:1], said.signatures
        records = [*made.records(dnssec), *records]
    return tuple(records)


def denial(found: Reading, m: Message) -> Sort:
    """What a usable reading of a lame server would be, were it not lame."""
    return Sort.ANSWER if found.links else Sort.NXDOMAIN if m.rcode == Rcode.NXDOMAIN else Sort.NODATA


def glue(m: Message, servers: RRset, zone: bytes) -> dict[bytes, list[bytes]]:
    """The names of an NS set, bounded, and those of their addresses in `m` that are in `zone`."""
    found: dict[bytes, list[bytes]] = {names.key(target): [] for target in servers.rdatas[:MOST_NAMES]}
    left = MOST_ADDRESSES
    for r in m.additional:
        key = names.key(r.name)
        if r.type in (Type.A, Type.AAAA) and r.rclass == dc.IN and key in found and names.under(key, zone) and left:
            found[key].append(r.rdata)
            left -= 1
    return found


def set_of(found: Found, name: bytes) -> RRset:
    """An entry's records under the name that was asked for, in its letters."""
    made = RRset(name, found.entry.type, found.ttl)
    made.rdatas, made.signatures = found.entry.rdatas, found.entry.signatures
    return made


def soa_records(found: Found, dnssec: bool) -> list[Record]:
    """Of a denial (RFC 2308 6)."""
    entry = found.entry
    if entry.soa is None:
        return []
    made = RRset(entry.soa[0], int(Type.SOA), found.ttl)
    made.rdatas, made.signatures = (entry.soa[1],), entry.signatures
    return made.records(dnssec)
