"""What the zones of a server say together: an alias may lead from one to another, and ANY may have all. And what the server says of
itself."""

from __future__ import annotations

from .. import const as dc
from .. import name as names
from ..ask import Ask
from ..authority.zone import Reply, Zone
from ..authority.zones import Zones
from ..message import Message, Question, Record
from ..numbers import Class, Type
from .config import DnsConfig

MOST_ZONES = 8  # that one chain of aliases may lead through: each is a look-up, and zones are written by others
_VERSION = (names.parse("version.bind"), names.parse("version.server"))
_IDENTITY = (names.parse("id.server"), names.parse("hostname.bind"))
_EVERY_TYPE = sorted({int(t) for t in Type} - {int(Type.OPT), int(Type.RRSIG), *range(249, 256)})


def chaos(ask: Ask, config: DnsConfig) -> Message | None:
    """Who are you, in the class where that is asked (RFC 4892): as far as `config` says it."""
    key = ask.key[:-4]
    text = config.version if key in _VERSION else config.identity if key in _IDENTITY else ""
    if ask.rclass != Class.CH or not text:
        return None
    m = Message(0, dc.QR | dc.AA)
    m.question.append(Question(ask.name, ask.type, ask.rclass))
    if ask.type in (Type.TXT, Type.ANY):
        said = text.encode()[:255]
        m.answer.append(Record(ask.name, Type.TXT, Class.CH, 0, bytes((len(said),)) + said))
    return m


def look_up(zones: Zones, zone: Zone, ask: Ask, every: bool = False) -> tuple[Reply, bytes | None]:
    """What `zone` says, and what others of `zones` say where its aliases lead there; and the name at which they leave all. `every`:
    ANY is answered with all sets that we know by name."""
    type = ask.type
    reply = zone.answer(ask.name, type, ask.do)
    if every and type == Type.ANY and reply.answer:
        _everything(zone, ask, reply)
    for _ in range(MOST_ZONES):
        target = alias_end(reply, type)
        if target is None:
            return reply, None
        following = zones.find_for(names.key(target), type)
        if following is None:
            return reply, target
        if following is zone:
            return reply, None
        zone = following
        more = zone.answer(target, type, ask.do)
        reply.answer = reply.answer + more.answer
        reply.authority, reply.additional = more.authority, more.additional
        reply.rcode, reply.glue = more.rcode, more.glue
    return reply, None


def _everything(zone: Zone, ask: Ask, reply: Reply) -> None:
    """All sets of the name, where the name itself has them."""
    answer: list[Record] = []
    for type in _EVERY_TYPE:
        found = zone.rrset(ask.key[:-4], type)
        if found is not None and found.rdatas:
            answer += [Record(ask.name, type, Class.IN, found.ttl, each) for each in found.rdatas]
            if ask.do:
                answer += [Record(ask.name, Type.RRSIG, Class.IN, found.ttl, each) for each in found.signatures]
    reply.answer = answer or reply.answer


def alias_end(reply: Reply, type: int) -> bytes | None:
    """Where the chain of aliases in `reply` leads, if it ends with one."""
    if reply.rcode or type in (Type.CNAME, Type.ANY):
        return None
    for r in reversed(reply.answer):
        if r.type != Type.RRSIG:
            return r.rdata if r.type == Type.CNAME else None
    return None
