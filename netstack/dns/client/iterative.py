"""The iterative resolver on somebody else's wire: `iterative(root_hints, transport, now)` gives an object whose `resolve` takes a
whole query and gives the whole response. Nothing here knows sockets, clocks or an event loop: it awaits what the transport gives
it, under any runtime, or under none.

    resolver = iterative({"a.root.example.": "192.0.2.1"}, transport, time.monotonic)
    response = await resolver.resolve(query)
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Awaitable, Callable
from typing import Any

from ...errors import UsageError, WireError
from ...signatures import Rng
from .. import const as dc
from ..resolve.cache import SECOND, Cache
from ..resolve.hints import HintsLike
from ..resolve.job import Job, Outcome, Settled, Step
from ..resolve.query import SendDatagram, SendStream
from ..resolve.recursion import Recursion, RecursionConfig
from . import whole

Exchange = Callable[[bytes, str, int, bool, float], Awaitable[bytes | None]]
"""`(query, address, port, over TCP, timeout in seconds)`: the response; None, or TimeoutError, where none came in time."""

METHODS = ("exchange", "query", "send", "request")
ORDER = ("wire query message data packet payload", "address server host ip addr destination", "port", "tcp stream", "timeout")
PARAMETERS = {name: i for i, names in enumerate(ORDER) for name in names.split()}


class Iterative:
    """See `iterative`."""

    def __init__(self, recursion: Recursion, exchange: Exchange, now: Callable[[], int]) -> None:
        self.recursion = recursion
        self._exchange = exchange
        self._now = now

    async def resolve(self, wire: bytes, limit: int = dc.MAX_MESSAGE) -> bytes:
        """The response to a query, of at most `limit` octets: SERVFAIL with an extended error at worst, FORMERR for what can't be
        read. No octets, which is silence, for what is not a query at all."""
        try:
            asked = whole.read(bytes(wire), limit)
        except WireError:
            return b""
        if isinstance(asked, bytes):
            return asked
        found = self.recursion.seek(asked.question, self._now(), dnssec=asked.dnssec, checking_disabled=asked.asked.cd)
        return asked.answer(found if isinstance(found, Outcome) else await self._run(found))

    async def _run(self, job: Job) -> Outcome:
        clock = Clock(self._now)
        try:
            step = job.start(clock.read())
            while not isinstance(step, Settled):
                step = await self._send(job, step, clock)
        except BaseException:
            job.cancel()
            raise
        return step.outcome

    async def _send(self, job: Job, sent: SendDatagram | SendStream, clock: Clock) -> Step:
        server = sent.server
        over_stream = isinstance(sent, SendStream)
        assert job.deadline is not None
        timeout = (job.deadline - clock.read()) / SECOND
        step: Step | None = None
        said: bytes | None = None
        try:
            said = await self._exchange(sent.data, server.address, server.port, over_stream, timeout)
        except TimeoutError:
            pass
        except Exception as error:  # whatever a transport has for "there is nobody"
            step = job.failed(clock.read(), str(error) or type(error).__name__)
        now = clock.read()
        if said is None:
            pass
        elif isinstance(sent, SendDatagram):
            step = job.datagram(now, bytes(said), server.address, server.port, sent.source)
        else:
            step = job.message(now, bytes(said))
        while step is None:  # nothing else comes of this exchange
            assert job.deadline is not None
            step = job.expired(clock.reach(job.deadline))
        return step


class Clock:
    """The caller's, but for time-outs, which have passed when they are told, whatever it says."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._least = 0

    def read(self) -> int:
        self._least = max(self._least, self._now())
        return self._least

    def reach(self, instant: int) -> int:
        self._least = max(self._least, instant)
        return self.read()


def iterative(
    root_hints: HintsLike,
    transport: object,
    now: Callable[[], float],
    *,
    config: RecursionConfig | None = None,
    cache: Cache | None = None,
    rng: Rng | None = None,
) -> Iterative:
    """A resolver that starts from `root_hints`: names with addresses, the text of a hints file, or addresses.

    `transport` is an async callable, or an object with an async method `exchange`, of `(query, address)`, to which it may add
    `port`, `tcp` (a bool) and `timeout` (seconds), in this order or under these names. It gives the response; None or TimeoutError
    where none came in time, and when that is is up to it if it takes no timeout; any other error where none can come.

    `now` gives nanoseconds, an int, or seconds, a float. Raises UsageError.
    """
    return Iterative(Recursion(root_hints, rng or random.SystemRandom(), cache=cache, config=config), adapt(transport), clock(now))


def clock(now: Callable[[], float]) -> Callable[[], int]:
    """In nanoseconds, whatever it was in."""

    def read() -> int:
        said = now()
        return said if isinstance(said, int) else int(said * SECOND)

    return read


def adapt(transport: object) -> Exchange:
    """`transport` with the parameters of an Exchange: those that it has, by their names, or, where these say nothing, by their
    order. Raises UsageError where it is no transport."""
    method: Any = next((m for each in METHODS if callable(m := getattr(transport, each, None))), transport)
    if not callable(method):
        raise UsageError(f"{transport!r} is no transport: give an async function of (query, address, port, tcp, timeout)")
    places = list(inspect.signature(method).parameters.values())
    named = {p.name: PARAMETERS[p.name] for p in places if p.name in PARAMETERS and p.kind is not p.POSITIONAL_ONLY}
    by_order = not {0, 1} <= set(named.values())
    many = len(ORDER) if any(p.kind is p.VAR_POSITIONAL for p in places) else len(places)

    async def exchange(*values: Any) -> bytes | None:
        if by_order:
            return await method(*values[:many])  # type: ignore[no-any-return]  # it is the user's
        return await method(**{name: values[i] for name, i in named.items()})  # type: ignore[no-any-return]

    return exchange
