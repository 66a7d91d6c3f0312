"""The iterative resolver on somebody else's wire: `iterative(root_hints, transport, now)` gives an object whose `resolve` takes a
whole query and gives the whole response. Nothing here knows sockets, clocks or an event loop: it awaits what the transport gives
it, under any runtime, or under none.

    resolver = iterative({"a.root.example.": "192.0.2.1"}, transport, time.monotonic)
    response = await resolver.resolve(query)
"""

from __future__ import annotations

import inspect
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
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

METHODS = ("exchange", "query", "send", "request", "ask")
ORDER = (  # what an Exchange is given, and how people call it
    "wire query message data packet payload msg request question q",
    "address server host ip addr destination dest dst target nameserver ns",
    "port dport",
    "tcp stream use_tcp via_tcp over_tcp is_tcp",
    "timeout",
    "proto protocol transport network",  # "tcp" or "udp"
)
PARAMETERS = {name: i for i, names in enumerate(ORDER) for name in names.split()}
TYPES = {"bytes": 0, "str": 1, "int": 2, "bool": 3, "float": 4}  # of a parameter whose name says nothing


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
        except UsageError:
            raise
        except Exception as error:  # whatever a transport has for "there is nobody"
            step = job.failed(clock.read(), str(error) or type(error).__name__)
        now = clock.read()
        if said is None:
            pass
        elif isinstance(sent, SendDatagram):
            step = job.datagram(now, said, server.address, server.port, sent.source)
        else:
            step = job.message(now, said)
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
    root_hints: HintsLike | os.PathLike[str],
    transport: object,
    now: Callable[[], float],
    *,
    config: RecursionConfig | None = None,
    cache: Cache | None = None,
    rng: Rng | None = None,
) -> Iterative:
    """A resolver that starts from `root_hints`: names with addresses, pairs of them, addresses, a hints file or its text.

    `transport` is an async callable, or an object with an async method `exchange`, of `(query, address)`, to which it may add
    `port`, `tcp` (a bool; or `proto`, "tcp" or "udp") and `timeout` (seconds), in this order or under these names; an address is a
    text. It gives the response; None or TimeoutError where none came in time, and when that is is up to it if it takes no timeout;
    any other error where none can come.

    `now` gives nanoseconds, an int, or seconds, a float. Raises UsageError, OSError where the file can't be read.
    """
    recursion = Recursion(_hints(root_hints), rng or random.SystemRandom(), cache=cache, config=config)
    return Iterative(recursion, adapt(transport), clock(now))


def _hints(said: HintsLike | os.PathLike[str]) -> HintsLike:
    """A path is read; a text of one word that is no address is one."""
    if isinstance(said, os.PathLike):
        return Path(said).read_text("utf-8")
    if isinstance(said, str) and len(said.split()) == 1 and Path(said).is_file():
        return Path(said).read_text("utf-8")
    return said


def clock(now: Callable[[], float]) -> Callable[[], int]:
    """In nanoseconds, whatever it was in. Raises UsageError."""
    if not callable(now):
        raise UsageError(f"{now!r} is no clock: give a function like time.monotonic, not what it said")

    def read() -> int:
        said = now()
        return said if isinstance(said, int) else int(said * SECOND)

    return read


def adapt(transport: object) -> Exchange:
    """`transport` with the parameters of an Exchange: those that it has, by their names or types, or, where these say nothing, by
    their order. Raises UsageError where it is no transport."""
    methods = [m for each in METHODS if callable(m := getattr(transport, each, None))]
    method: Any = transport if callable(transport) or not methods else methods[0]
    wanted = "give an async function of (query, address, port, tcp, timeout)"
    if hasattr(type(transport), "bind_datagrams"):
        raise UsageError("a net is more than a transport: write Resolver(net, net, finder=Recursion(root_hints, rng))")
    if not callable(method) or inspect.isclass(transport):
        raise UsageError(f"{transport!r} is no transport: {wanted}")
    try:
        signature = inspect.signature(method)
    except ValueError:
        raise UsageError(f"nobody knows what {method!r} is to be called with: {wanted}") from None
    by_place, by_name = _places(list(signature.parameters.values()))
    try:
        signature.bind(*by_place, **by_name)
    except TypeError as error:
        raise UsageError(f"{method!r} can't be called as a transport, {error}: {wanted}") from None
    if not {0, 1} <= {*by_place, *by_name.values()}:
        raise UsageError(f"{method!r} takes no query and address: {wanted}")

    async def exchange(*said: Any) -> bytes | None:
        values = (*said, "tcp" if said[3] else "udp")
        given = method(*(values[i] for i in by_place), **{name: values[i] for name, i in by_name.items()})
        return _octets(await given if inspect.isawaitable(given) else given, said[1])

    return exchange


def _places(parameters: list[inspect.Parameter]) -> tuple[list[int], dict[str, int]]:
    """Which of the values of ORDER a function is given: by place, and by name."""
    fixed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    meant = {p.name: _meaning(p) for p in parameters}
    plain = all(meant[p.name] is None for p in fixed)
    left = [i for i in range(5) if i not in meant.values()]
    by_place: list[int] = []
    for p in fixed:
        i = meant[p.name]
        if i is None and (plain or p.default is p.empty) and left:
            i = left.pop(0)
        if i is None:
            break  # it has a default, or can't be called: what follows goes by name
        by_place.append(i)
    by_name = {p.name: i for p in parameters if p not in fixed[: len(by_place)] and (i := meant[p.name]) is not None}
    kinds = {p.kind for p in parameters}
    if inspect.Parameter.VAR_POSITIONAL in kinds and not by_name and by_place == list(range(len(by_place))):
        by_place = list(range(5))
    elif inspect.Parameter.VAR_KEYWORD in kinds:
        taken = {*by_place, *by_name.values()}
        by_name |= {ORDER[i].split()[0]: i for i in range(5) if i not in taken}
    return by_place, by_name


def _meaning(p: inspect.Parameter) -> int | None:
    if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
        return None
    said = PARAMETERS.get(p.name.strip("_").lower())
    if said is not None:
        return said
    if p.default is not p.empty:
        return None  # whatever it is, it need not be said
    return TYPES.get(p.annotation if isinstance(p.annotation, str) else getattr(p.annotation, "__name__", ""))


def _octets(said: Any, address: str) -> bytes | None:
    """What a transport gave: octets, or, as sockets have it, octets and where they are from. Raises UsageError."""
    if isinstance(said, tuple) and len(said) == 2:
        said, where = said
        if (where[0] if isinstance(where, tuple) else where) != address:
            return None  # somebody else's, and so not the answer
    if said is None or isinstance(said, bytes):
        return said
    if isinstance(said, (bytearray, memoryview)):
        return bytes(said)
    raise UsageError(f"the transport gave {said!r}: it is to give octets, or None")
