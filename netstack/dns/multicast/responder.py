"""Answers (RFC 6762 6, 7): what we say to whom, and when.

Answers for everybody wait in one table, `due`, a record once, whoever asked and how often. They leave together: what is due, and
what has waited for its 20 ms and would be due soon. Answers for one querier are `Reply`s, and so is what waits for the rest of a
list of known answers. A set of records that is ours alone goes whole or not at all (RFC 6762 10.2).

When: at once, where we alone can answer and there was one question only; 20 to 120 ms later where others may answer as well; 400 to
500 ms later where more known answers are to come. To everybody a record goes once a second at most, in the answer to a probe four
times (RFC 6762 6).

What strangers can make us keep or send. The table holds no more than our own records. Of replies there are at most `REPLIES`; who
sends known answers for ever has his answer after `PATIENCE` all the same. Answers to one querier have a budget, since whoever can
forge a source on the link could have us flood it: `UNICAST_BURST` at once, `UNICAST_RATE` a second, some 1.5 Mbit/s of the longest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...const import MILLISECOND, SECOND
from ...instant import NEVER
from ...signatures import Rng
from .. import const as dc
from ..numbers import Type
from . import message
from .claims import Claims
from .message import Asked, Packet, Said
from .mib import MdnsMib
from .records import LONG_AGO, Own, Place

DELAY = 20 * MILLISECOND  # RFC 6762 6: 20 to 120
SPREAD = 100 * MILLISECOND
TRUNCATED_DELAY = 400 * MILLISECOND  # RFC 6762 7.2: 400 to 500
PATIENCE = 3 * SECOND  # for a list of known answers that does not end
GAP = SECOND  # RFC 6762 6: between two times that a record goes to the group …
PROBE_GAP = 250 * MILLISECOND  # … and where it defends a name
REPLIES = 64  # queriers that wait: a link with more of them within 120 ms has other troubles
UNICAST_RATE = 128  # a second
UNICAST_BURST = 128

PTR = int(Type.PTR)
SRV = int(Type.SRV)
TXT = int(Type.TXT)
ADDRESSES = (dc.A, dc.AAAA)

Datagram = tuple[bytes, str, int]  # data, address and port


class Reply:
    """What is to be said at `when`: `owns` to the querier, `group` to everybody. `first`: when it was asked; `held`: known answers
    may still come."""

    __slots__ = ("first", "group", "held", "owns", "port", "query", "source", "when")

    def __init__(
        self, when: int, now: int, source: str, port: int, owns: list[Own], group: list[Own], held: bool, query: Packet | None
    ) -> None:
        self.when = when
        self.first = now
        self.source = source
        self.port = port
        self.owns = owns
        self.group = group
        self.held = held
        self.query = query  # of one that knows unicast DNS only


class Responder:
    def __init__(self, claims: Claims, rng: Rng, mib: MdnsMib, limit: int) -> None:
        self.claims = claims
        self.rng = rng
        self.mib = mib
        self.limit = limit
        self.due: dict[Own, tuple[int, int]] = {}  # when, and when it was asked for first
        self.replies: list[Reply] = []
        self.out: list[Datagram] = []
        self.credit = UNICAST_BURST * SECOND // UNICAST_RATE  # in ns: one answer costs SECOND // UNICAST_RATE
        self.credited = LONG_AGO

    # -- queries ----------------------------------------------------------------------------------------------------------------

    def query(self, packet: Packet, source: str, port: int, to_group: bool, near: bool, now: int) -> None:
        """`near`: the source is on our link, so that it would take an answer sent to it alone."""
        if port != message.PORT:
            if near:
                self.legacy(packet, source, port, now)
            return
        known = {(said.key, said.type, said.rdata): said.ttl for said in packet.answers}
        if known:
            self.more_known(packet, source, known, now)
        if not packet.questions:
            return
        group: dict[Own, None] = {}
        alone: dict[Own, None] = {}
        shared = len(packet.questions) > 1
        for question in packet.questions:
            place = self.claims.places.get(question.key)
            if place is None or question.rclass not in (dc.IN, dc.ANY_CLASS):
                shared = True  # somebody else may know
                continue
            owns = self.unknown(matching(place, question), known)
            if is_probe(question, packet):
                self.defend(owns, question.unicast and near, source, now)
                continue
            shared = shared or not place.exclusive
            for own in owns:
                if near and (question.unicast or not to_group) and now - own.sent < own.ttl * SECOND // 4:
                    alone[own] = None
                else:
                    group[own] = None
        if not group and not alone:
            return
        if packet.truncated:
            when = now + TRUNCATED_DELAY + self.random(SPREAD)
            self.reply(Reply(when, now, source, port, list(alone), list(group), True, None), now)
            return
        when = now + DELAY + self.random(SPREAD) if shared else now
        if alone:
            self.reply(Reply(when, now, source, port, list(alone), [], False, None), now)
        self.schedule(group, when, now, GAP)

    def unknown(self, owns: list[Own], known: dict[tuple[bytes, int, bytes], int]) -> list[Own]:
        """Without what the querier knows (RFC 6762 7.1): single records, or the whole of a set that is ours alone."""
        if not known or not owns:
            return owns
        fresh = [own for own in owns if 2 * known.get(own.ident, -1) < own.ttl]
        wanted = {(own.key, own.type) for own in fresh if own.unique}
        found = [own for own in owns if (own.key, own.type) in wanted or (not own.unique and own in fresh)]
        self.mib.KnownAnswers += len(owns) - len(found)
        return found

    def more_known(self, packet: Packet, source: str, known: dict[tuple[bytes, int, bytes], int], now: int) -> None:
        """Known answers go on in another datagram (RFC 6762 7.2)."""
        for reply in self.replies:
            if reply.held and reply.source == source:
                reply.owns = self.unknown(reply.owns, known)
                reply.group = self.unknown(reply.group, known)
                if packet.truncated and not packet.questions:
                    reply.when = min(now + TRUNCATED_DELAY + self.random(SPREAD), max(reply.first + PATIENCE, now))

    def defend(self, owns: list[Own], unicast: bool, source: str, now: int) -> None:
        """Somebody probes for a name of ours: he has to hear of it at once (RFC 6762 6, 8.1)."""
        owns = [own for own in owns if own.unique]
        if unicast and owns and self.may_unicast(now):
            self.unicast(owns, source, message.PORT)
            owns = [own for own in owns if now - own.sent >= own.ttl * SECOND // 4]  # RFC 6762 5.4
        self.schedule(owns, now, now, PROBE_GAP)

    def legacy(self, packet: Packet, source: str, port: int, now: int) -> None:
        """A resolver of unicast DNS has asked (RFC 6762 6.7)."""
        owns: dict[Own, None] = {}
        shared = False
        for question in packet.questions:
            place = self.claims.places.get(question.key)
            if place is not None and question.rclass in (dc.IN, dc.ANY_CLASS):
                shared = shared or not place.exclusive
                owns.update(dict.fromkeys(matching(place, question)))
        if owns:
            when = now + DELAY + self.random(SPREAD) if shared or len(packet.questions) > 1 else now
            self.reply(Reply(when, now, source, port, list(owns), [], False, packet), now)

    def reply(self, reply: Reply, now: int) -> None:
        """Now, or when it is due."""
        if reply.when <= now:
            self.give(reply, now)
        elif len(self.replies) < REPLIES:
            self.replies.append(reply)
        else:
            self.mib.RepliesFull += 1

    def give(self, reply: Reply, now: int) -> None:
        there = [own for own in reply.owns if self.present(own)]
        if there and self.may_unicast(now):
            self.unicast(there, reply.source, reply.port, reply.query)
        self.schedule(reply.group, now, now, GAP)

    # -- what others answer -----------------------------------------------------------------------------------------------------

    def heard(self, said: Said, now: int) -> None:
        """Somebody has told everybody a record that may be ours as well (RFC 6762 6.6, 7.4)."""
        own = self.claims.owns.get((said.key, said.type, said.rdata))
        if own is None:
            return
        if 2 * said.ttl < own.ttl:
            self.mib.Rescued += 1
            self.schedule(self.whole([own]), now, now, GAP)
        elif said.ttl >= own.ttl and self.due.pop(own, None) is not None:
            self.mib.DuplicateAnswers += 1
            own.sent = now

    # -- sending ----------------------------------------------------------------------------------------------------------------

    def schedule(self, owns: Iterable[Own], when: int, now: int, gap: int) -> None:
        """To everybody at `when`, or as soon as the last time is `gap` ago."""
        for own in owns:
            at = max(when, own.sent + gap)
            before = self.due.get(own)
            self.due[own] = (at, now) if before is None else (min(at, before[0]), before[1])

    def announce(self, owns: Iterable[Own], now: int) -> None:
        self.schedule(owns, now, now, GAP)

    def run(self, now: int) -> list[Datagram]:
        """All that is due."""
        for reply in [reply for reply in self.replies if reply.when <= now]:
            self.replies.remove(reply)
            self.give(reply, now)
        out, self.out = self.out, []
        if any(when <= now for when, _ in self.due.values()):
            ripe = [own for own, (when, asked) in self.due.items() if when <= now or self.joins(own, when, asked, now)]
            for own in ripe:
                del self.due[own]
            out += self.multicast([own for own in ripe if self.present(own)], now)
        return out

    def joins(self, own: Own, when: int, asked: int, now: int) -> bool:
        """It is not yet due, and may go along."""
        return when - now <= SPREAD and now - asked >= DELAY and now - own.sent >= GAP

    def present(self, own: Own) -> bool:
        if own.claims:
            return True
        place = self.claims.places.get(own.key)
        return place is not None and place.denial is own

    def multicast(self, owns: list[Own], now: int) -> list[Datagram]:
        owns = self.whole(owns)
        if not owns:
            return []
        along = [own for own in self.additional(owns) if now - own.sent >= GAP]
        datagrams, went = message.responses(owns, along, self.limit)
        for own in (*owns, *went):
            own.sent = now
            self.due.pop(own, None)
        self.mib.OutResponses += len(datagrams)
        self.mib.OutAnswers += len(owns)
        return [(data, message.GROUP, message.PORT) for data in datagrams]

    def goodbye(self, owns: Sequence[Own]) -> list[Datagram]:
        """They are no longer true (RFC 6762 10.1)."""
        for own in owns:
            self.due.pop(own, None)
        datagrams, _ = message.responses(owns, (), self.limit, goodbye=True)
        self.mib.OutResponses += len(datagrams)
        return [(data, message.GROUP, message.PORT) for data in datagrams]

    def unicast(self, owns: list[Own], source: str, port: int, query: Packet | None = None) -> None:
        owns = self.whole(owns)
        along = self.additional(owns)
        if query is not None:
            datagrams = [message.legacy(query, owns, along, self.limit)]
            self.mib.OutLegacy += 1
        else:
            datagrams, _ = message.responses(owns, along, self.limit)
        self.mib.OutUnicast += len(datagrams)
        self.mib.OutAnswers += len(owns)
        self.out += [(data, source, port) for data in datagrams]

    def may_unicast(self, now: int) -> bool:
        price = SECOND // UNICAST_RATE
        self.credit = min(self.credit + now - self.credited, UNICAST_BURST * price)
        self.credited = now
        if self.credit < price:
            self.mib.UnicastLimited += 1
            return False
        self.credit -= price
        return True

    def whole(self, owns: Iterable[Own]) -> list[Own]:
        """With all of each set that is ours alone (RFC 6762 10.2), and nothing twice."""
        found: dict[Own, None] = {}
        for own in owns:
            place = self.claims.places.get(own.key)
            if own.unique and place is not None and own is not place.denial:
                found.update(dict.fromkeys(each for each in place.owns if each.type == own.type))
            else:
                found[own] = None
        return list(found)

    def additional(self, owns: list[Own]) -> list[Own]:
        """What who gets these will ask for next (RFC 6763 12, RFC 6762 6.1, 6.2)."""
        found: dict[Own, None] = {}
        todo = list(owns)
        for own in todo:
            if own.type == PTR:
                place = self.claims.places.get(own.rdata.lower())
                more = [] if place is None else [each for each in place.owns if each.type in (SRV, TXT)]
            elif own.type == SRV:
                place = self.claims.places.get(own.rdata[6:].lower())
                more = [] if place is None else [each for each in place.owns if each.type in ADDRESSES]
            elif own.type in ADDRESSES:
                place = self.claims.places[own.key]
                more = [each for each in place.owns if each.type in ADDRESSES]
                if place.denial is not None:
                    more.append(place.denial)
            else:
                continue
            for each in more:
                if each not in found and each not in owns:
                    found[each] = None
                    todo.append(each)
        return list(found)

    def deadline(self) -> int:
        when = min((when for when, _ in self.due.values()), default=int(NEVER))
        return min(when, min((reply.when for reply in self.replies), default=when))

    def random(self, most: int) -> int:
        return most * self.rng.getrandbits(10) >> 10


def matching(place: Place, question: Asked) -> list[Own]:
    """The records that answer a question; where the name is ours alone and has none, the one that says so (RFC 6762 6, 6.1)."""
    if question.type == dc.ANY:
        return list(place.owns)
    found = [own for own in place.owns if own.type == question.type]
    if not found and place.denial is not None:
        return [place.denial]
    return found


def is_probe(question: Asked, packet: Packet) -> bool:
    """Does it propose an answer to itself (RFC 6762 6)?"""
    return any(said.key == question.key and question.type in (dc.ANY, said.type) for said in packet.authority)
