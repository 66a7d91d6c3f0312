"""Dynamic update (RFC 2136 3): what must be true of a zone, and then what is to change in it, all of it or nothing.

The sections have other names here: the question is the zone, the answer are the prerequisites, the authority section are the
updates. What a record means is said by its class: the zone's own (IN), ANY, or NONE.

Updates work on a draft of what they touch, and the difference goes to `Zone.apply` in one piece, so it stands in the journal as one
change. Where an update says no serial itself, the serial becomes the next one, once (3.6).

Where RFC 2136 is silent we do as BIND does: a DNAME, like a CNAME, replaces the one before; NSEC, KEY and signatures may stand
beside a CNAME (RFC 4034). A signed zone is served as it is: who updates one brings its signatures and proofs along.
"""

from collections.abc import Callable, Iterable, Sequence

from ... import serial
from ...errors import UsageError, WireError
from .. import name as names
from .. import rdata as data
from ..message import Message, Record
from ..numbers import Class, Opcode, Rcode, Type
from .draft import Draft
from .node import Set, canonical
from .transfer import serial_of
from .zone import Zone

_ALONE = (int(Type.CNAME), int(Type.DNAME))  # a second one replaces the first
_BESIDE_CNAME = (int(Type.CNAME), int(Type.NSEC), int(Type.KEY), int(Type.RRSIG))
_APEX = (int(Type.SOA), int(Type.NS))

Sets = dict[int, Set]


Keep = Callable[[Sequence[Record], Sequence[Record]], None]
"""Is told what was removed and what was added, before the update is answered, and writes it down. Raises OSError where it can't."""


def apply(zone: Zone, message: Message, keep: Keep | None = None) -> int:
    """Update `zone` as `message` says, whose sender may; the rcode of the answer. Nothing has changed where that is an error."""
    if message.opcode != Opcode.UPDATE or len(message.question) != 1 or message.question[0].type != Type.SOA:
        return int(Rcode.FORMERR)  # 3.1.1
    question = message.question[0]
    if question.rclass != Class.IN or names.key(question.name) != zone.origin or zone.rrset(zone.name, Type.SOA) is None:
        return int(Rcode.NOTAUTH)
    draft = zone.draft()
    try:
        rcode = _prerequisites(draft, message.answer) or _prescan(draft, message.authority)
        if rcode:
            return rcode
        for r in message.authority:
            _update(draft, r)
        _commit(zone, draft, keep)
    except OSError:  # it could not be stored (3.5)
        return int(Rcode.SERVFAIL)
    except UsageError:  # a set of more than a message holds, and the like: what the zone refuses to anybody (3.4.2.1)
        return int(Rcode.SERVFAIL)
    return int(Rcode.NOERROR)


# -- 3.2: prerequisites -------------------------------------------------------------------------------------------------------


def _prerequisites(draft: Draft, records: list[Record]) -> int:
    wanted: dict[tuple[bytes, int], set[bytes]] = {}
    for r in records:
        if r.ttl:
            return int(Rcode.FORMERR)
        key = names.key(r.name)
        if not names.under(key, draft.origin):
            return int(Rcode.NOTZONE)
        if r.rclass in (Class.ANY, Class.NONE):
            if r.rdata:
                return int(Rcode.FORMERR)
            sets = draft.at(key)
            there = bool(sets) if r.type == Type.ANY else bool(_values(sets, r.type))
            if there != (r.rclass == Class.ANY):
                if r.type == Type.ANY:
                    return int(Rcode.NXDOMAIN if r.rclass == Class.ANY else Rcode.YXDOMAIN)
                return int(Rcode.NXRRSET if r.rclass == Class.ANY else Rcode.YXRRSET)
        elif r.rclass == Class.IN:
            if not _lawful(r):
                return int(Rcode.FORMERR)
            wanted.setdefault((key, r.type), set()).add(canonical(r.type, r.rdata))
        else:
            return int(Rcode.FORMERR)
    for (key, type), values in wanted.items():
        if {canonical(type, value) for value in _values(draft.at(key), type)} != values:
            return int(Rcode.NXRRSET)
    return 0


def _values(sets: Sets, type: int) -> tuple[bytes, ...]:
    """The data of all records of a type, signatures too."""
    if type == Type.RRSIG:
        return tuple(value for kept in sets.values() for value in kept.signatures)
    kept = sets.get(type)
    return () if kept is None else kept.rdatas


# -- 3.4.1: prescan -----------------------------------------------------------------------------------------------------------


def _prescan(draft: Draft, records: list[Record]) -> int:
    for r in records:
        if not names.under(names.key(r.name), draft.origin):
            return int(Rcode.NOTZONE)
        if r.rclass == Class.IN:
            lawful = not _meta(r.type) and _lawful(r)
        elif r.rclass == Class.ANY:
            lawful = not r.ttl and not r.rdata and (r.type == Type.ANY or not _meta(r.type))
        elif r.rclass == Class.NONE:
            lawful = not r.ttl and not _meta(r.type) and _lawful(r)
        else:
            lawful = False
        if not lawful:
            return int(Rcode.FORMERR)
    return 0


def _meta(type: int) -> bool:
    """Types of questions and of messages, which no zone has (RFC 6895 3.1)."""
    return type == 0 or type == Type.OPT or 128 <= type <= 255


def _lawful(r: Record) -> bool:
    try:
        data.unpack(r.type, r.rdata)
    except WireError:
        return False
    return True


# -- 3.4.2: update ------------------------------------------------------------------------------------------------------------


def _update(draft: Draft, r: Record) -> None:
    key = names.key(r.name)
    if r.rclass == Class.IN:
        _add(draft, key, r)
    elif r.rclass == Class.ANY:
        apex = key == draft.origin
        if r.type != Type.ANY:
            if not (apex and r.type in _APEX):
                draft.remove(r.name, r.type, None)
        elif not apex:
            draft.remove(r.name, None, None)
        else:
            for type in (*draft.at(key), int(Type.RRSIG)):
                if type not in _APEX:
                    draft.remove(r.name, type, None)
    elif r.type != Type.SOA and not (r.type == Type.NS and key == draft.origin and _is_last(draft.at(key), r)):
        draft.remove(r.name, r.type, r.rdata)


def _is_last(sets: Sets, r: Record) -> bool:
    there = _values(sets, r.type)
    return len(there) == 1 and canonical(r.type, there[0]) == canonical(r.type, r.rdata)


def _add(draft: Draft, key: bytes, r: Record) -> None:
    """3.4.2.2: some are ignored, some replace what is there."""
    sets = draft.at(key)
    if r.type == Type.SOA:
        there = _values(sets, Type.SOA)
        if there and serial.lt(serial_of(there[0]), serial_of(r.rdata)):
            draft.replace_soa(r)
        return
    if r.type == Type.CNAME and any(kept.rdatas for type, kept in sets.items() if type not in _BESIDE_CNAME):
        return
    if r.type not in _BESIDE_CNAME and _values(sets, Type.CNAME):
        return
    if r.type in _ALONE:
        draft.remove(r.name, r.type, None)
    elif r.type == Type.WKS:  # one for an address and protocol
        for value in _values(sets, Type.WKS):
            if value[:5] == r.rdata[:5]:
                draft.remove(r.name, r.type, value)
    draft.add(r.name, r.type, r.ttl, r.rdata, latest=True)


def _commit(zone: Zone, draft: Draft, keep: Keep | None) -> None:
    gone, come = draft.difference()
    if not gone and not come:
        return  # nothing has changed, and so the serial does not
    if not _has_soa(come):
        kept = draft.soa()
        assert kept is not None
        soa = kept.rdatas[0]
        number = serial.add(serial_of(soa), 1) or 1  # never zero (RFC 2136 4.2)
        draft.replace_soa(Record(zone.name, Type.SOA, Class.IN, kept.ttl, soa[:-20] + number.to_bytes(4, "big") + soa[-16:]))
        gone, come = draft.difference()
    zone.apply(gone, come)
    if keep is not None:
        try:
            keep(gone, come)
        except OSError:
            zone.apply(come, gone)
            raise


def _has_soa(records: Iterable[Record]) -> bool:
    return any(r.type == Type.SOA for r in records)
