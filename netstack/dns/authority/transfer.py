"""Whole zones and their changes, going out (RFC 5936, RFC 1995).

A transfer is made as it is sent: who pulls the next message has sent the one before, so that what is in memory is one message and
the place in the zone, however large that is and however slow who reads it. What he gets is the zone as it was at the first message:
`Zone.records` and the journal's changes promise that, whatever is changed meanwhile.

IXFR sends the journal's changes one by one as they happened. Joining them would be shorter, but a secondary that keeps a journal
itself, for others behind it, would lose the versions between. Where the journal does not reach back, the whole zone goes.

Names in a transfer keep their letters (RFC 5936 3.3), so compression here compares letters exactly: `encode(limit, exact=True)`.
"""

from collections.abc import Iterable, Iterator

from ... import serial
from .. import const as dc
from ..edns import Edns
from ..message import Message, Record
from ..numbers import Class, Rcode, Type
from .journal import Change
from .zone import Zone

MESSAGE = 32768  # octets before compression: half of them can be pointed to, and a key's owner waits for no more
SPARE = 512  # of a limit: header, question, OPT record and a signature fit


def outgoing(zone: Zone, message: Message, limit: int = dc.MAX_MESSAGE, *, stream: bool = True) -> Iterator[Message]:
    """The messages that answer `message`, a query for AXFR or IXFR of exactly this zone, which its sender may have. `limit` in
    octets; `stream`: False over UDP, where there is one message, and AXFR is not possible (RFC 5936 4.2).

    Encode each with `exact=True`. One without lawful records to say is an error: FORMERR, SERVFAIL for a zone that can't be served.
    """
    if len(message.question) != 1 or message.question[0].type not in (Type.AXFR, Type.IXFR):
        yield _head(message, Rcode.FORMERR)
        return
    question = message.question[0]
    soa = None if zone.expired else _soa(zone)
    if question.name.lower() != zone.origin or question.rclass != Class.IN:
        yield _head(message, Rcode.NOTAUTH)  # RFC 5936 2.2.1
    elif soa is None:
        yield _head(message, Rcode.SERVFAIL)
    elif question.type == Type.AXFR:
        if not stream:
            yield _head(message, Rcode.FORMERR)
        else:
            yield from _packed(message, _whole(zone, soa), limit)
    else:
        yield from _incremental(zone, message, soa, limit, stream)


def _incremental(zone: Zone, message: Message, soa: Record, limit: int, stream: bool) -> Iterator[Message]:
    theirs = [r for r in message.authority if r.type == Type.SOA and r.name.lower() == zone.origin]
    if len(theirs) != 1 or len(theirs[0].rdata) < 22:  # RFC 1995 3
        yield _head(message, Rcode.FORMERR)
        return
    old, new = serial_of(theirs[0].rdata), serial_of(soa.rdata)
    if serial.le(new, old):  # RFC 1995 2: theirs is as new, or newer
        yield from _packed(message, iter((soa,)), limit)
        return
    changes = zone.journal.since(old)
    if stream:
        yield from _packed(message, _whole(zone, soa) if changes is None else _differences(soa, changes), limit)
        return
    if changes is not None and sum(change.size for change in changes) <= 4 * limit:  # more can't be in one datagram
        whole = list(_packed(message, _differences(soa, changes), 65535))
        if len(whole) == 1 and len(whole[0].encode(exact=True)) <= limit - SPARE:
            yield whole[0]
            return
    yield from _packed(message, iter((soa,)), limit)  # come again over TCP (RFC 1995 2)


def _whole(zone: Zone, soa: Record) -> Iterator[Record]:
    yield from zone.records()
    yield soa


def _differences(soa: Record, changes: Iterable[Change]) -> Iterator[Record]:
    """RFC 1995 4: the SOA of now around all; of each change the old one before its deletions, the new one before its additions."""
    yield soa
    for change in changes:
        yield from change.removed
        yield from change.added
    yield soa


def _packed(message: Message, records: Iterator[Record], limit: int) -> Iterator[Message]:
    """Records in messages. What a message holds is counted as it is without compression, so it always fits."""
    most = max(min(limit - SPARE, MESSAGE), 512)
    head = _head(message, Rcode.NOERROR)
    room = most
    for r in records:
        n = len(r.name) + 10 + len(r.rdata)
        if n > room and head.answer:
            yield head
            head = Message(message.id, head.flags)  # without a question, as RFC 5936 2.2 lets it
            room = most
        head.answer.append(r)
        room -= n
    yield head


def _head(message: Message, rcode: int) -> Message:
    answer = Message(message.id, dc.QR | (dc.AA if rcode == Rcode.NOERROR else 0) | message.flags & (dc.OPCODE | dc.RD) | rcode)
    answer.question = message.question[:1]
    if message.edns is not None:
        answer.edns = Edns()
    return answer


def _soa(zone: Zone) -> Record | None:
    kept = zone.rrset(zone.name, Type.SOA)
    return None if kept is None else Record(zone.name, Type.SOA, Class.IN, kept.ttl, kept.rdatas[0])


def serial_of(soa: bytes) -> int:
    """Of a SOA's data."""
    return int.from_bytes(soa[-20:-16], "big")
