"""What a message of a recursive server says about a name: the chain of its aliases, and what stands at its end.

Nothing counts except what leads from the question to its end: a record of another name in the answer, whoever put it there, is not
looked at (RFC 2181 5.4.1, RFC 5452 6).
"""

from collections.abc import Callable

from attrs import frozen

from .. import const as dc
from .. import name as names
from ..message import Message, Record
from ..numbers import Rcode
from .cache import Kind


@frozen
class RRset:
    """Records of one owner and type, with the least of their TTLs (RFC 2181 5.2), and the signatures over them."""

    name: bytes
    type: int
    rclass: int
    ttl: int
    rdatas: tuple[bytes, ...]
    signatures: tuple[bytes, ...] = ()

    def records(self, signed: bool) -> list[Record]:
        found = [Record(self.name, self.type, self.rclass, self.ttl, data) for data in self.rdatas]
        if signed:
            found += [Record(self.name, dc.RRSIG, self.rclass, self.ttl, data) for data in self.signatures]
        return found


@frozen
class Reading:
    """`kind` is None where the chain ends at `name`, of which nothing is said: it is to be asked for. `circle`: it never ends."""

    aliases: tuple[RRset, ...]
    name: bytes
    kind: Kind | None
    found: RRset | None = None
    soa: Record | None = None
    circle: bool = False


def read(m: Message, name: bytes, type: int, limit: int, follows: Callable[[bytes], bool]) -> Reading:
    """What `m` says about `name` and `type`. At most `limit` aliases are followed, and none to a name for which `follows` is
    false: who answered has no say there."""
    aliases: list[RRset] = []
    seen = {name.lower()}
    while True:
        found = rrset(m, name, type)
        if found is not None:
            return Reading(tuple(aliases), name, Kind.RECORDS, found)
        alias = None if type == dc.CNAME else rrset(m, name, dc.CNAME)
        if alias is None:
            break
        above = _dname(m, name)
        if above is not None:
            aliases.append(above)
        aliases.append(alias)
        name = alias.rdatas[0]
        key = name.lower()
        if key in seen or len(seen) > limit:
            return Reading(tuple(aliases), name, None, circle=True)
        seen.add(key)
        if not follows(key):
            return Reading(tuple(aliases), name, None)
    soa = _soa(m, name)
    if m.rcode == Rcode.NXDOMAIN:
        return Reading(tuple(aliases), name, Kind.NXDOMAIN, soa=soa)
    if aliases and soa is None:
        return Reading(tuple(aliases), name, None)  # it left the rest to us
    return Reading(tuple(aliases), name, Kind.NODATA, soa=soa)


def rrset(m: Message, name: bytes, type: int) -> RRset | None:
    """The set in the answer section, its owner spelt as `name` is; of type ANY, whatever the name has, under the first's TTL."""
    key = name.lower()
    rdatas: list[bytes] = []
    signatures: list[bytes] = []
    ttl = dc.MAX_TTL
    rclass = m.question[0].rclass if m.question else dc.IN
    for r in m.answer:
        if r.rclass != rclass or r.name.lower() != key:
            continue
        if r.type == type:
            if r.rdata not in rdatas:
                rdatas.append(r.rdata)
            ttl = min(ttl, r.ttl)
        elif r.type == dc.RRSIG and int.from_bytes(r.rdata[:2], "big") == type:
            signatures.append(r.rdata)
    if not rdatas:
        return None
    return RRset(name, type, rclass, ttl, tuple(rdatas), tuple(signatures))


def _dname(m: Message, name: bytes) -> RRset | None:
    """The DNAME above `name` of which its CNAME was made (RFC 6672 3.1)."""
    if not any(r.type == dc.DNAME for r in m.answer):
        return None
    while len(name) > 1:
        name = names.parent(name)
        found = rrset(m, name, dc.DNAME)
        if found is not None:
            return found
    return None


def _soa(m: Message, name: bytes) -> Record | None:
    """The SOA record of a zone that `name` can be in."""
    key = name.lower()
    return next((r for r in m.authority if r.type == dc.SOA and names.under(key, r.name.lower())), None)
