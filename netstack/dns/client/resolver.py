"""`Resolver`: what programs ask.

    resolver = Resolver(net, net, ["10.0.0.1"])
    answer = await resolver.resolve("www.example.com", "AAAA")
    for record in answer: ...

The same question is asked once for all who want to know it at that moment, in a task of its own: who gives up leaves it to the
others, and the last one ends it. What is to be known anew in the background, because it is about to expire or was stale, is found
out in such a task too, which nobody waits for.
"""

from __future__ import annotations

import ipaddress
import random
import ssl
from collections import deque
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Generic, TypeVar

from ...errors import ClosedError, TimedOut, UsageError
from ...instant import Duration, seconds
from ...runtime.waits import Waits
from ...signatures import DatagramStack, Rng, StreamStack
from .. import const as dc
from ..message import Question
from ..numbers import Ede, Rcode
from ..resolve.cache import Cache, CacheConfig
from ..resolve.forward import ForwardConfig, Forwarder
from ..resolve.job import Finder, Job, Outcome
from ..resolve.upstream import Upstream
from . import whole
from .answer import Answer, answer, wire_name, wire_type
from .drive import Driver
from .errors import LookupTimedOut

if TYPE_CHECKING:
    from ...runtime.waits import Event, Spawned

D_co = TypeVar("D_co", bound=DatagramStack, covariant=True)
S_co = TypeVar("S_co", bound=StreamStack, covariant=True)

LIMIT = 512  # questions under way: each has a port or a place on a stream, and a server upstream that works for us

Key = tuple[bytes, int, int, bool, bool, bool]


class Turns:
    """At most `free` at a time, in the order in which they came."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._queue: deque[Event] = deque()

    async def take(self, waits: Waits) -> None:
        if self._free:
            self._free -= 1
            return
        turn = waits.event()
        self._queue.append(turn)
        try:
            await turn.wait()
        except BaseException:
            if turn in self._queue:
                self._queue.remove(turn)
            else:
                self.give()
            raise

    def give(self) -> None:
        if self._queue:
            self._queue.popleft().set()
        else:
            self._free += 1


class Full(Exception):
    """As many questions are under way as may be."""


class Flight:
    """One question on its way, for all who want to know."""

    def __init__(self, key: Key, over: Event) -> None:
        self.key = key
        self.over = over
        self.outcome: Outcome | None = None
        self.error: BaseException | None = None
        self.waiting = 0
        self.landed = False
        self.task: Spawned | None = None


class Resolver(Generic[D_co, S_co]):
    """`servers` as `10.0.0.1`, `10.0.0.1:5353`, `tcp://10.0.0.1`, `tls://10.0.0.1#dns.example`; `domains` are servers of their own
    for names below a domain. Or a `finder` that has its own ways: a Forwarder, a Recursion.

    `search` and `ndots` are for `getaddrinfo`, as in resolv.conf: `resolve` takes every name as it is. `limit` questions may be
    under way; further ones wait, and those of `query` are refused. Raises UsageError.
    """

    def __init__(
        self,
        datagrams: D_co,
        streams: S_co,
        servers: Iterable[str | Upstream] = (),
        *,
        finder: Finder | None = None,
        domains: Mapping[str, Iterable[str | Upstream]] | None = None,
        config: ForwardConfig | None = None,
        cache: CacheConfig | Cache | None = None,
        tls: ssl.SSLContext | None = None,
        search: Iterable[str] = (),
        ndots: int = 1,
        limit: int = LIMIT,
        rng: Rng | None = None,
        waits: Waits | None = None,
    ) -> None:
        if finder is not None and (servers or domains or config is not None or cache is not None):
            raise UsageError("a finder has its own servers, domains, config and cache: leave them out")
        if limit < 1:
            raise UsageError(f"a limit of {limit} questions lets nobody ask: choose 1 or more")
        if finder is None:
            kept = cache if isinstance(cache, Cache) or cache is None else Cache(cache)
            finder = Forwarder(servers, rng or random.SystemRandom(), domains=domains, cache=kept, config=config)
        self._finder = finder
        self._driver: Driver[D_co, S_co] = Driver(datagrams, streams, waits, tls=tls)
        self._limit = limit
        self._flights: dict[Key, Flight] = {}
        self._turns = Turns(limit)
        self._closed = False
        self.search = tuple(search)
        self.ndots = ndots
        for domain in self.search:
            wire_name(domain)

    @property
    def finder(self) -> Finder:
        return self._finder

    @property
    def driver(self) -> Driver[D_co, S_co]:
        return self._driver

    @property
    def closed(self) -> bool:
        return self._closed

    def refresh(self, now: int) -> None:
        """Called before each question: whoever has his servers from elsewhere looks whether they have changed."""

    # -- asking ---------------------------------------------------------------------------------------------------------------

    async def resolve(
        self, name: str | bytes, type: str | int = "A", *, timeout: float | None = None, dnssec: bool = False
    ) -> Answer:
        """The records of `name`, behind all its aliases. `timeout` in seconds; without one it takes as long as the servers may
        (`ForwardConfig.query.patience`: eight seconds). `dnssec` wants their signatures too, which `Answer.outcome` has.

        Raises NameNotFound, NoData, ServerFailure, LookupTimedOut, Unanswerable: each a `socket.gaierror`; UsageError, ClosedError.
        """
        question = Question(wire_name(name), wire_type(type))
        return answer(await self.seek(question, dnssec=dnssec, timeout=None if timeout is None else seconds(timeout)))

    async def reverse(self, address: str, *, timeout: float | None = None) -> Answer:
        """The names of an address: its PTR records (RFC 1035 3.5, RFC 3596 2.5). Raises as `resolve` does."""
        try:
            pointer = ipaddress.ip_address(address.partition("%")[0]).reverse_pointer
        except ValueError:
            raise UsageError(f"{address!r} is not an address: write one like 192.0.2.1 or 2001:db8::1") from None
        return await self.resolve(pointer, "PTR", timeout=timeout)

    async def seek(
        self, question: Question, *, dnssec: bool = False, checking_disabled: bool = False, timeout: Duration | None = None
    ) -> Outcome:
        """What is found out about `question`, whatever that is; `timeout` in nanoseconds. Raises LookupTimedOut, ClosedError."""
        found = self.begin(question, dnssec=dnssec, checking_disabled=checking_disabled)
        if isinstance(found, Outcome):
            await self._driver.waits.check()
            return found
        return await self.end(found, timeout)

    def begin(
        self, question: Question, *, dnssec: bool = False, checking_disabled: bool = False, patient: bool = True
    ) -> Outcome | Flight:
        """What is known, or a look-up under way, of which `end` must be awaited. So who has several questions asks them at once.
        Raises Full for the impatient."""
        self._check()
        now = self._driver.waits.now()
        self.refresh(now)
        key = (question.name.lower(), question.type, question.rclass, dnssec, checking_disabled, False)
        flight = self._flights.get(key)
        if flight is None:
            found = self._finder.seek(question, now, dnssec=dnssec, checking_disabled=checking_disabled)
            if isinstance(found, Outcome):
                if found.refresh:
                    self._renew(question, dnssec, checking_disabled)
                return found
            if not patient and len(self._flights) >= self._limit:
                raise Full
            flight = self._take_off(key, found)
        flight.waiting += 1
        return flight

    async def seek_all(self, questions: Iterable[Question]) -> list[Outcome]:
        """What is found out about each of them; they are asked at once."""
        begun = [self.begin(question) for question in questions]
        outcomes: list[Outcome] = []
        try:
            while begun:
                found = begun.pop(0)
                outcomes.append(found if isinstance(found, Outcome) else await self.end(found))
        finally:
            for left in begun:
                if isinstance(left, Flight):
                    self._leave(left)
        return outcomes

    async def end(self, flight: Flight, timeout: Duration | None = None) -> Outcome:
        """Raises LookupTimedOut, ClosedError."""
        try:
            await self._driver.waits.wait(flight.over, timeout)
        except TimedOut:
            raise LookupTimedOut("no server said anything in time") from None
        finally:
            self._leave(flight)
        if flight.outcome is None:
            raise flight.error or ClosedError("this resolver is closed")
        return flight.outcome

    # -- whole messages -------------------------------------------------------------------------------------------------------

    async def query(self, wire: bytes, limit: int = dc.MAX_MESSAGE) -> bytes:
        """The response to a whole query, of at most `limit` octets: what a forwarding server says. Raises WireError for what can't
        be answered: octets without a header, and responses; ClosedError."""
        asked = whole.read(wire, limit)
        if isinstance(asked, bytes):
            return asked
        try:
            found = self.begin(asked.question, dnssec=asked.dnssec, checking_disabled=asked.asked.cd, patient=False)
        except Full:
            return asked.failure(Rcode.SERVFAIL, (Ede.NOT_READY, "too many questions at once"))
        return asked.answer(found if isinstance(found, Outcome) else await self.end(found))

    # -- flights --------------------------------------------------------------------------------------------------------------

    def _renew(self, question: Question, dnssec: bool, checking_disabled: bool) -> None:
        """Find it out anew, in the background: where there is time for that, and nobody is at it."""
        key = (question.name.lower(), question.type, question.rclass, dnssec, checking_disabled, True)
        if key in self._flights or len(self._flights) >= self._limit:
            return
        now = self._driver.waits.now()
        found = self._finder.seek(question, now, dnssec=dnssec, checking_disabled=checking_disabled, fresh=True)
        if not isinstance(found, Outcome):
            self._take_off(key, found)

    def _take_off(self, key: Key, job: Job) -> Flight:
        waits = self._driver.waits
        flight = self._flights[key] = Flight(key, waits.event())

        async def fly() -> None:
            try:
                await self._turns.take(waits)
                try:
                    flight.outcome = await self._driver.run(job)
                finally:
                    self._turns.give()
            except Exception as error:  # it is raised to those who wait
                flight.error = error
            finally:
                self._land(flight)
            if flight.outcome is not None and flight.outcome.refresh and not self._closed:
                self._renew(flight.outcome.question, key[3], key[4])

        flight.task = waits.spawn(fly)
        return flight

    def _leave(self, flight: Flight) -> None:
        """One who wanted to know doesn't any longer."""
        flight.waiting -= 1
        if not flight.waiting and not flight.landed and flight.task is not None:
            flight.task.cancel()
            self._land(flight)

    def _land(self, flight: Flight) -> None:
        """It is over, or nobody wants to know any longer. A task that is cancelled before its first step never says so itself."""
        flight.landed = True
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        flight.over.set()

    # -- leaving --------------------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._closed:
            raise ClosedError("this resolver is closed")

    async def aclose(self) -> None:
        """What is under way raises ClosedError; streams are closed. Twice is once."""
        self._closed = True
        flights = list(self._flights.values())
        for flight in flights:
            if flight.task is not None:
                flight.task.cancel()
        for flight in flights:
            if flight.task is not None:
                await flight.task.join()
            self._land(flight)
        await self._driver.aclose()

    async def __aenter__(self) -> Resolver[D_co, S_co]:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        await self.aclose()
