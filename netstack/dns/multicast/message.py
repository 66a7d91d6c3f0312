"""Messages of multicast DNS (RFC 6762 18): what differs from those of unicast DNS.

The top bit of a class is none of the class: in a question it asks for an answer to the querier alone (18.12), in a record it says
that these are all of the set (18.13). More names are compressed, those in SRV and NSEC records among them (18.14). Ids are 0,
queries say nothing in their flags, responses say AA, and what is too long for one datagram goes on in the next.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from ...errors import WireError
from .. import const as dc
from .. import message
from ..builder import ADDITIONAL, ANSWER, AUTHORITY, Builder
from ..edns import Edns
from ..fields import BITMAP
from ..message import Record
from ..numbers import Type
from ..reader import Reader
from .records import Own

GROUP = "224.0.0.251"
PORT = 5353
TOP = 0x8000
MOST = 8972  # RFC 6762 17: 9000 octets with the headers of IPv4 and UDP, and only for a single record
RESPONSE = dc.QR | dc.AA


@frozen
class Asked:
    """A question. `key` is its name in small letters; `unicast`: an answer to the querier alone will do."""

    name: bytes
    key: bytes
    type: int
    rclass: int
    unicast: bool


@frozen
class Said:
    """A record of somebody else's. `key` is the owner in small letters; `flush`: what was heard before of this set is no longer
    true; `ttl` in seconds."""

    name: bytes
    key: bytes
    type: int
    rclass: int
    flush: bool
    ttl: int
    rdata: bytes


@frozen
class Packet:
    """A message that came. `known` are a query's known answers, or a response's answers; `edns`, where there is one, is the size of
    datagrams that the sender takes."""

    id: int
    response: bool
    truncated: bool
    lawful: bool
    questions: list[Asked]
    answers: list[Said]
    authority: list[Said]
    additional: list[Said]
    edns: int | None


def read(data: bytes) -> Packet:
    """The message that `data` is. Raises WireError."""
    m = message.decode(data, True)
    return Packet(
        m.id,
        m.qr,
        m.tc,
        m.opcode == 0 and m.flags & 15 == 0,
        [Asked(q.name, q.name.lower(), q.type, q.rclass & ~TOP, bool(q.rclass & TOP)) for q in m.question],
        said(m.answer),
        said(m.authority),
        said(m.additional),
        None if m.edns is None else m.edns.payload,
    )


def said(records: list[Record]) -> list[Said]:
    return [Said(r.name, r.name.lower(), r.type, r.rclass & ~TOP, bool(r.rclass & TOP), r.ttl, r.rdata) for r in records]


# -- queries ---------------------------------------------------------------------------------------------------------------------


def queries(
    questions: Sequence[tuple[bytes, int, bool]], known: Sequence[tuple[bytes, int, int, bytes]], limit: int
) -> list[bytes]:
    """Questions are (name, type, unicast), known answers (name, type, ttl, rdata). What the first datagram has no room for follows
    in others, and TC says so (RFC 6762 7.2)."""
    out: list[bytes] = []
    b = begin(limit, 0)
    asked = 0
    for name, type, unicast in questions:
        if not b.question(name, type, dc.IN | (TOP if unicast else 0)):
            out.append(b.finish())
            b = begin(limit, 0)
            asked = 0
            b.question(name, type, dc.IN | (TOP if unicast else 0))  # no question is as long as a datagram
        asked += 1
    for name, type, ttl, rdata in known:
        if b.record(ANSWER, name, type, dc.IN, ttl, rdata):
            continue
        if asked or b.an:
            b.truncated()
            out.append(b.finish())
            b = begin(limit, 0)
            asked = 0
            b.record(ANSWER, name, type, dc.IN, ttl, rdata)  # else it is longer than a datagram: it isn't told
    if asked or b.an or not out:
        out.append(b.finish())
    return out


def probe(claims: Sequence[Sequence[Own]], limit: int) -> bytes | None:
    """Ask for everything that has the names of these records, each a claim's with one name, and propose them (RFC 6762 8.1, 8.2).
    None where not all fit."""
    b = begin(limit, 0)
    for owns in claims:
        if not b.question(owns[0].name, dc.ANY, dc.IN | TOP):
            return None
    for owns in claims:
        for own in owns:
            if not b.record(AUTHORITY, own.name, own.type, dc.IN, own.ttl, own.rdata):
                return None
    return b.finish()


# -- responses -------------------------------------------------------------------------------------------------------------------


def responses(
    answers: Sequence[Own], additional: Sequence[Own], limit: int, goodbye: bool = False
) -> tuple[list[bytes], list[Own]]:
    """Datagrams with all `answers`, and what went along of `additional`, which has to fit into the last. `goodbye`: with TTL 0."""
    out: list[bytes] = []
    b = begin(limit, RESPONSE)
    for own in answers:
        if put(b, ANSWER, own, goodbye):
            continue
        if b.an:
            out.append(b.finish())
            b = begin(limit, RESPONSE)
            if put(b, ANSWER, own, goodbye):
                continue
        alone = begin(MOST, RESPONSE)
        if put(alone, ANSWER, own, goodbye):  # RFC 6762 17: alone, in fragments
            out.append(alone.finish())
    went = [own for own in additional if put(b, ADDITIONAL, own, goodbye)]
    if b.an:
        out.append(b.finish())
    else:
        went = []
    return out, went


def put(b: Builder, section: int, own: Own, goodbye: bool) -> bool:
    return b.record(section, own.name, own.type, dc.IN | (TOP if own.unique else 0), 0 if goodbye else own.ttl, own.rdata)


def legacy(query: Packet, answers: Sequence[Own], additional: Sequence[Own], limit: int) -> bytes:
    """As a server of unicast DNS would answer (RFC 6762 6.7): with the question and its id, short TTLs, plain classes."""
    payload = max(dc.MIN_PAYLOAD, query.edns or 0)
    b = Builder(min(payload, limit), None if query.edns is None else Edns(limit), True)
    b.begin(query.id, RESPONSE)
    for q in query.questions:
        if not b.question(q.name, q.type, q.rclass | (TOP if q.unicast else 0)):
            b.truncated()
            return b.finish()
    for own in answers:
        if not b.record(ANSWER, own.name, own.type, dc.IN, min(own.ttl, 10), own.rdata):
            b.truncated()
            return b.finish()
    for own in additional:
        b.record(ADDITIONAL, own.name, own.type, dc.IN, min(own.ttl, 10), own.rdata)
    return b.finish()


def begin(limit: int, flags: int) -> Builder:
    b = Builder(limit, None, True, True)
    b.begin(0, flags)
    return b


# -- that there is nothing -----------------------------------------------------------------------------------------------------


def denial(name: bytes, types: Sequence[int]) -> bytes:
    """The data of the NSEC record of a name that has records of these types and no others (RFC 6762 6.1)."""
    return name + BITMAP.write(tuple(types))


def denied_types(rdata: bytes) -> frozenset[int] | None:
    """The types that there are, of an NSEC record of multicast DNS; None where it does not say."""
    r = Reader(rdata)
    try:
        r.plain_name()  # RFC 6762 6.1: whatever it is
        types = frozenset(BITMAP.read(r))
    except WireError:
        return None
    return None if Type.NSEC in types else types  # with it, it is one of unicast DNS
