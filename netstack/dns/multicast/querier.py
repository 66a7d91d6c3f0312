"""Questions to everybody (RFC 6762 5): asked as long as somebody here wants to know, ever more rarely, in company, and not at all
where the answer is there or somebody else has just asked.

An `Ask` is one name and type, whoever wants to know it. A series begins 20 to 120 ms after the first interest, goes on after a
second and doubles its pauses up to an hour. It ends with an answer that is its owner's alone; from then on the cache says when that
is to be asked for again. Who wants to know once (`once`) asks four times at most, and is not told when nobody answers: he has his
own clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import frozen

from ...const import MILLISECOND, SECOND
from ...instant import NEVER
from ...signatures import Rng
from .. import const as dc
from ..numbers import Type
from . import message
from .cache import DOUBTS, Cache, Heard, Key
from .message import Packet
from .mib import MdnsMib
from .records import LONG_AGO, Own

DELAY = 20 * MILLISECOND  # RFC 6762 5.2: 20 to 120 before the first
SPREAD = 100 * MILLISECOND
LONGEST = 3600 * SECOND
ONCE = 4  # times that a single answer is asked for: after 0, 1, 3 and 7 seconds
COMPANY = 20 * MILLISECOND  # questions that are due so soon go along
UNICAST_FOR = 2 * SECOND  # RFC 6762 6: so long after a question for it an answer to us alone is taken
RECONFIRM = 2  # RFC 6762 10.4

NSEC = int(Type.NSEC)


@frozen
class Change:
    """Something became true, or is so no longer. `denied`: it's that there is no such record."""

    record: Heard
    there: bool
    denied: bool = False


Listener = Callable[[Change], None]


class Ask:
    """`next` is when it goes out next, `sent` how often it did. `hint`: asked without anybody's interest, to see who answers."""

    __slots__ = ("hint", "interval", "key", "listeners", "name", "next", "once", "sent", "type", "unicast")

    def __init__(self, name: bytes, type: int) -> None:
        self.name = name
        self.type = type
        self.key: Key = (name.lower(), type)
        self.listeners: dict[Interest, None] = {}
        self.next = int(NEVER)
        self.interval = SECOND
        self.sent = 0
        self.once = True
        self.hint = 0
        self.unicast = False


class Interest:
    """Somebody's in one name and type; ended by `Querier.leave`."""

    __slots__ = ("ask", "listener", "once")

    def __init__(self, ask: Ask, listener: Listener, once: bool) -> None:
        self.ask = ask
        self.listener = listener
        self.once = once


class Querier:
    """`settled()` is called after each message and each turn, when all that it changed has been told."""

    def __init__(
        self, rng: Rng, mib: MdnsMib, limit: int, cache_limit: int, unicast_until: int, settled: Callable[[], None]
    ) -> None:
        """`unicast_until`: the link is new to us, and until then the answers to first questions need not be for all (5.4)."""
        self.rng = rng
        self.mib = mib
        self.limit = limit
        self.unicast_until = unicast_until  # LONG_AGO: never
        self.settled = settled
        self.asks: dict[Key, Ask] = {}
        self.cache = Cache(rng, mib, cache_limit, self.wanted, self.changed, self.stale)
        self.asked_unicast = LONG_AGO
        self.now = 0  # of the last call

    # -- interests --------------------------------------------------------------------------------------------------------------

    def want(self, name: bytes, type: int, listener: Listener, now: int, once: bool = False) -> Interest:
        """Tell `listener` of all records of a name and type, from now on; what is known it is told before this returns. `once`: for
        as long as there is no answer somebody is asked, and nobody after that."""
        self.now = now
        key = name.lower(), type
        ask = self.asks.get(key)
        if ask is None:
            ask = self.asks[key] = Ask(name, type)
        interest = Interest(ask, listener, once)
        ask.listeners[interest] = None
        ask.once = ask.once and once
        known = self.cache.get(key)
        for record in known:
            listener(Change(record, True))
        denial = self.denial(key)
        if denial is not None:
            listener(Change(denial, True, denied=True))
        if ask.next == NEVER and not self.answered(ask):
            self.begin(ask, now)
        return interest

    def leave(self, interest: Interest) -> None:
        ask = interest.ask
        ask.listeners.pop(interest, None)
        if ask.listeners:
            ask.once = all(each.once for each in ask.listeners)
        elif ask.hint == 0:
            self.asks.pop(ask.key, None)

    def begin(self, ask: Ask, now: int) -> None:
        """In the company of what begins as well, if there is any."""
        soon = [each.next for each in self.asks.values() if each.sent == 0 and now < each.next <= now + DELAY + SPREAD]
        ask.sent = 0
        ask.interval = SECOND
        ask.next = min(soon, default=now + DELAY + (SPREAD * self.rng.getrandbits(10) >> 10))
        ask.unicast = ask.next < self.unicast_until

    def answered(self, ask: Ask) -> bool:
        """Is all known that there is to know?"""
        found = self.cache.get(ask.key)
        if ask.once:
            return bool(found) or self.denial(ask.key) is not None
        return any(record.flush for record in found)

    def denial(self, key: Key) -> Heard | None:
        """What says that there are no such records."""
        for record in self.cache.get((key[0], NSEC)):
            types = message.denied_types(record.rdata)
            if types is not None and key[1] not in types:
                return record
        return None

    def wanted(self, key: Key) -> bool:
        return key in self.asks

    def reconfirm(self, name: bytes, type: int, now: int) -> None:
        """Whoever tried to use these records was not well served: unless somebody says them again, they go (RFC 6762 10.4)."""
        key = name.lower(), type
        records = [record for record in self.cache.get(key) if not record.own]
        if not records:
            return
        for record in records:
            self.cache.doubt(record, now, DOUBTS)
        ask = self.asks.get(key)
        if ask is None:
            ask = self.asks[key] = Ask(name, type)
        ask.hint = RECONFIRM
        ask.next = now

    def relink(self, now: int) -> None:
        """What was heard was heard elsewhere; the first questions may be answered to us alone again."""
        self.now = now
        if self.unicast_until > LONG_AGO:
            self.unicast_until = now + SECOND
        self.cache.clear()
        for ask in self.asks.values():
            if not ask.hint:
                self.begin(ask, now)

    # -- what the cache says ----------------------------------------------------------------------------------------------------

    def changed(self, record: Heard, there: bool) -> None:
        if record.type == NSEC and there:
            types = message.denied_types(record.rdata)
            if types is not None:
                for ask in [ask for ask in self.asks.values() if ask.key[0] == record.key and ask.type not in types]:
                    self.tell(ask, Change(record, True, denied=True))
        asked = self.asks.get((record.key, record.type)) if record.type != NSEC else None
        if asked is not None:
            self.tell(asked, Change(record, there))

    def tell(self, ask: Ask, change: Change) -> None:
        for interest in list(ask.listeners):
            interest.listener(change)
        if ask.hint:
            return
        if self.answered(ask):
            ask.next = int(NEVER)
        elif not ask.once and ask.next == NEVER:
            self.begin(ask, self.now)  # it was answered, and is no longer

    def stale(self, key: Key, now: int) -> None:
        """A record nears its end: ask again where that matters to somebody (RFC 6762 5.2)."""
        ask = self.asks.get(key)
        if ask is not None and not ask.once and ask.next > now:
            ask.next = now

    # -- what others say --------------------------------------------------------------------------------------------------------

    def response(self, packet: Packet, now: int) -> None:
        self.now = now
        records = (*packet.answers, *packet.additional)
        self.cache.hear([said for said in records if said.rclass == dc.IN and said.type != dc.OPT], now)
        self.settled()

    def query(self, packet: Packet, now: int) -> None:
        """Others ask everybody too (RFC 6762 7.3, 10.5)."""
        self.now = now
        if packet.truncated:
            return  # what else they know we can't tell
        known = {(said.key, said.type, said.rdata) for said in packet.answers}
        for question in packet.questions:
            if question.unicast or question.rclass not in (dc.IN, dc.ANY_CLASS):
                continue
            key = question.key, question.type
            for record in self.cache.get(key):
                if (record.key, record.type, record.rdata) not in known:
                    self.cache.doubt(record, now)
            ask = self.asks.get(key)
            if ask is not None and ask.next < NEVER and ask.next - now <= ask.interval // 4:
                ours = {(record.key, record.type, record.rdata) for record in self.cache.get(key)}
                if all(each in ours for each in known if each[:2] == key):
                    self.mib.DuplicateQuestions += 1
                    self.asked(ask, now)
                    if ask.next < NEVER:
                        ask.next += SPREAD * self.rng.getrandbits(10) >> 10  # or all who heard it would go on in step

    def own(self, own: Own, there: bool, now: int) -> None:
        self.now = now
        self.cache.own(own, there)
        ask = self.asks.get((own.key, own.type))
        if not there and ask is not None and not ask.once:
            ask.next = min(ask.next, now + DELAY)  # others may have said the same, and were not listened to

    # -- asking -----------------------------------------------------------------------------------------------------------------

    def run(self, now: int) -> list[bytes]:
        """The queries that are due."""
        self.now = now
        self.cache.run(now)
        out: list[bytes] = []
        if any(ask.next <= now for ask in self.asks.values()):
            due = [ask for ask in self.asks.values() if ask.next <= now + COMPANY]
            questions = [(ask.name, ask.type, ask.unicast and ask.sent == 0) for ask in due]
            if any(unicast for _, _, unicast in questions):
                self.asked_unicast = now
            known = [item for ask in due if not ask.hint for item in self.known(ask, now)]
            out = message.queries(questions, known, self.limit)
            self.mib.OutQueries += len(out)
            for ask in due:
                self.asked(ask, now)
        self.settled()
        return out

    def known(self, ask: Ask, now: int) -> Sequence[tuple[bytes, int, int, bytes]]:
        """Known answers: those with more than half of their life before them (RFC 6762 7.1)."""
        return [
            (record.name, record.type, record.left(now), record.rdata)
            for record in self.cache.get(ask.key)
            if not record.own and 2 * record.left(now) > record.ttl
        ]

    def asked(self, ask: Ask, now: int) -> None:
        """It was asked, by us or another: when is the next time?"""
        if ask.hint:
            ask.hint -= 1
            ask.next = now + SECOND if ask.hint else int(NEVER)
            if not ask.hint and not ask.listeners:
                self.asks.pop(ask.key, None)
            elif not ask.hint:
                ask.next = now + ask.interval
            return
        ask.sent += 1
        if (ask.once and ask.sent >= ONCE) or self.answered(ask):
            ask.next = int(NEVER)
            return
        ask.next = now + ask.interval
        ask.interval = min(2 * ask.interval, LONGEST)

    def deadline(self) -> int:
        return min(self.cache.deadline(), min((ask.next for ask in self.asks.values()), default=int(NEVER)))
