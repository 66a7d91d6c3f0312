"""The DNS of a router's guests: names that it knows by itself, a cache, and the host's servers behind it.

    dns = GuestDns(net, world, names, may_ask=policy.may_ask, on_answer=policy.on_answer)
    await dns.start(["10.0.2.3", "10.0.2.2"])

A question takes this way: `may_ask` says whether this guest may ask it at all, or makes up the answer; then what the router knows
(names.py); then others. Every answer with addresses is told to `on_answer` *before* it leaves, and every guest's by itself, also
what comes from the cache: policy must know what a guest was told, and by which name. For this the desk keeps no ready answers; what
it costs is a walk through Python for each question, and guests ask tens in a second, not thousands.

Nothing is answered that wasn't sent to one of our own addresses, and nobody but guests can send there; so whoever asks may ask.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from ...address import Ip4
from ...dns import name as wire_names
from ...dns import rdata
from ...dns.client.drive import Driver
from ...dns.message import Question, Record
from ...dns.numbers import Ede, Rcode, Type
from ...dns.resolve.job import Finder, Job, Outcome
from ...dns.serve.client import Client
from ...dns.serve.config import DnsConfig
from ...dns.serve.desk import Answers, Desk
from ...dns.serve.handlers import Answer
from ...dns.serve.later import Case, Flight, Later
from ...dns.serve.server import DnsServer
from ...dns.svcb import IPV4HINT
from ...errors import WireError
from ...signatures import Rng
from .names import Known, LocalNames
from .upstreams import finder_for

PORT = 53
SHARE = 4  # of the questions that are under way for all (DnsConfig.pending), one guest may have a fourth: names that don't exist
# under a domain that doesn't answer fill whatever there is in seconds
HINTS = (int(Type.SVCB), int(Type.HTTPS))

# may this guest ask for this name and type? True; False: there is no such name; or the addresses that it shall have
MayAsk = Callable[[Ip4, str, int], "bool | Iterable[Ip4 | str]"]
# guest, name as it was asked for, addresses that it was given, for how many seconds
OnAnswer = Callable[[Ip4, str, tuple[Ip4, ...], int], object]


class GuestDesk(Desk):
    """Tells of each answer that a finder gave, and to whom it goes; and lets no guest take all places of those who wait."""

    told: Callable[[Client, Question, Iterable[Record]], None]

    def __init__(self, **said: Any) -> None:
        super().__init__(**said)
        self._share = max(self.config.pending // SHARE, 1)
        self._owed: dict[Flight, str] = {}  # to whom
        self._waiting: Counter[str] = Counter()

    def _later(
        self, case: Case, now: int, key: object, what: str, job: Job | None = None, work: Awaitable[Any] | None = None
    ) -> Answers | Later:
        guest = case.client.address
        if self._waiting[guest] >= self._share:
            self.mib.PendingRej += 1
            Flight(None, now, what, job, work).drop()
            return (self.replies.refuse(case, Rcode.SERVFAIL),)
        said = super()._later(case, now, key, what, job, work)
        if isinstance(said, Later):
            self._owed[said.flight] = guest
            self._waiting[guest] += 1
        return said

    def _land(self, flight: Flight) -> None:
        guest = self._owed.pop(flight, None)
        if guest is not None:
            self._waiting[guest] -= 1
            if not self._waiting[guest]:
                del self._waiting[guest]
        super()._land(flight)

    def _outcome(self, case: Case, outcome: Outcome, key: object, now: int) -> bytes:
        ask = self.ask
        self.told(case.client, Question(ask.name, ask.type), outcome.answer)
        return super()._outcome(case, outcome, key, now)


class GuestDns:
    """`net` is the guests' side, `world` (streams and datagrams, `netstack.open("posix:")`) the side where others are asked.

    `servers`: "system", a list, or a `Finder`. `made_up` is how many seconds an answer of `may_ask` holds.
    """

    def __init__(
        self,
        net: Any,
        world: Any,
        names: LocalNames,
        *,
        servers: Iterable[str] | str | Finder = "system",
        may_ask: MayAsk | None = None,
        on_answer: OnAnswer | None = None,
        made_up: int = 30,
        rng: Rng | None = None,
    ) -> None:
        rng = rng or random.SystemRandom()
        finder: Finder = servers if hasattr(servers, "seek") else finder_for(servers, rng)  # type: ignore[assignment]  # one of both
        self.names = names
        self.may_ask = may_ask
        self.on_answer = on_answer
        self._made_up = made_up
        # no answer is kept beside the finder's cache, and no cookies: our guests' addresses are known to the router
        config = DnsConfig(recursion=("any",), kept=0, cookies=False)
        self.desk = GuestDesk(rng=rng, config=config, finder=finder)
        self.desk.told = self._told
        self.desk.answer("*.", self._answer)
        self.server: DnsServer[Any, Any] = DnsServer(net, net, desk=self.desk, driver=Driver(world, world))
        self.finder = finder

    async def start(self, addresses: Iterable[str]) -> None:
        """Answer on these addresses of the net. Raises AddressInUse, Unreachable."""
        for address in addresses:
            await self.server.listen(PORT, address)

    async def aclose(self) -> None:
        await self.server.aclose()

    def counters(self) -> dict[str, dict[str, int]]:
        return self.server.counters()

    def meanings(self) -> dict[str, dict[str, str]]:
        return self.server.meanings()

    # -- answers --------------------------------------------------------------------------------------------------------------

    def _answer(self, question: Question, client: Client) -> Answer | int | None:
        name = _text(question.name)
        guest = Ip4.parse(client.address)
        if self.may_ask is not None:
            said = self.may_ask(guest, name, int(question.type))
            if said is False:
                return Answer(rcode=int(Rcode.NXDOMAIN), aa=False, error=(int(Ede.BLOCKED), "not allowed here"))
            if said is not True:
                addresses = tuple(each if isinstance(each, Ip4) else Ip4.parse(each) for each in said)
                return self._known(question, guest, name, Known(addresses, ttl=self._made_up))
        pointer = self.names.backwards(name)
        if pointer is not None:
            if not pointer:
                return int(Rcode.NXDOMAIN)
            return Answer.of(question, 60, pointer + ".") if question.type == Type.PTR else Answer()
        known = self.names.find(name)
        return None if known is None else self._known(question, guest, name, known)

    def _known(self, question: Question, guest: Ip4, name: str, known: Known) -> Answer | int:
        if not known.exists:
            return int(Rcode.NXDOMAIN)
        if question.type not in (Type.A, Type.ANY) or not known.addresses:
            return Answer()
        if self.on_answer is not None:
            self.on_answer(guest, name, known.addresses, known.ttl)
        return Answer.of(Question(question.name, int(Type.A)), known.ttl, *map(str, known.addresses))

    def _told(self, client: Client, question: Question, answer: Iterable[Record]) -> None:
        if self.on_answer is None:
            return
        addresses, ttl = addresses_of(answer)
        if addresses:
            self.on_answer(Ip4.parse(client.address), _text(question.name), addresses, ttl)


def addresses_of(answer: Iterable[Record]) -> tuple[tuple[Ip4, ...], int]:
    """The addresses of IPv4 that a client may take from these records, those that HTTPS records hint at too (RFC 9460 7.3), and how
    long they hold."""
    found: dict[Ip4, None] = {}
    ttl = 0x7FFFFFFF
    for record in answer:
        packed = b""
        if record.type == Type.A and len(record.rdata) == 4:
            packed = record.rdata
        elif record.type in HINTS:
            packed = _hints(record)
        for i in range(0, len(packed), 4):
            found[Ip4(int.from_bytes(packed[i : i + 4], "big"))] = None
        if packed:
            ttl = min(ttl, record.ttl)
    return tuple(found), ttl if found else 0


def _hints(record: Record) -> bytes:
    try:
        value = rdata.unpack(record.type, record.rdata)
    except WireError:
        return b""
    assert isinstance(value, rdata.SVCB)
    hints = dict(value.params).get(IPV4HINT, b"")
    return hints if len(hints) % 4 == 0 else b""


def _text(name: bytes) -> str:
    return wire_names.text(name).lower().removesuffix(".")
