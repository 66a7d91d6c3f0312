"""One service that exists when it is wanted.

            wanted                 reached                  nobody left
    DOWN ------------> STARTING ------------> UP ---------------------------+
     ^                    |                    |  `idle` without a caller    |
     |   the start failed |                    |  or it has ended by itself  v
     +------- FAILED <----+                    +----------------------> STOPPING ---> DOWN

Whoever wants it, by a name or by a SYN, wants the same one: there is one start at a time, and all wait for it. FAILED is a DOWN
that remembers: for `pause` seconds those who want it are refused at once, so that a broken program is not started for each packet
of whoever insists.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from attrs import define, field, frozen, validators

from ..address import Ip4
from ..errors import NetstackError, TimedOut, Unreachable, UsageError
from ..runtime.doors.joint import End

log = logging.getLogger("netstack.justintime")

BREAKS = (OSError, NetstackError)
STEP = 0.05  # seconds between two looks whether what was started takes connections yet; a machine takes seconds, a process tenths


class Instance(Protocol):
    """What was started."""

    async def reach(self, port: int) -> End:
        """A connection to it. Raises OSError or NetstackError, also as long as it isn't ready."""

    @property
    def ended(self) -> bool:
        """It is over, by itself."""

    async def stop(self) -> None:
        """End it, with all that belongs to it. Called once, also when it has ended."""


Start = Callable[[], Awaitable[Instance]]
positive = validators.gt(0.0)


@frozen
class Service:
    """What a user says.

    name      what the DNS says of it: `www.example`
    address   where clients find it: an address of the appliance's own
    ports     on which SYNs are caught; the first is where it is looked whether it is up
    start     makes an instance. It need not take connections yet when this returns; what it raises is a failure
    idle      seconds without a caller after which it is stopped
    patience  seconds that a start may take: clients repeat their first SYN after 1, 3, 7 and 15, and ask a name for 5 to 30
    pause     seconds for which a failure is remembered
    """

    name: str
    address: str
    start: Start
    ports: tuple[int, ...] = (80,)
    idle: float = field(default=60.0, validator=positive)
    patience: float = field(default=20.0, validator=positive)
    pause: float = field(default=5.0, validator=positive)

    def __attrs_post_init__(self) -> None:
        Ip4.parse(self.address)
        if not self.ports or not all(0 < port < 65536 for port in self.ports):
            raise UsageError(f"{self.name} needs a port, or several, from 1 to 65535: that is what SYNs are caught on")


class State(enum.Enum):
    DOWN = "down"
    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"
    FAILED = "failed"


@define
class Tally:
    """What happened to a service. `took` is how long its last start took, in seconds."""

    starts: int = 0
    failures: int = 0
    stops: int = 0
    died: int = 0  # ended by itself
    took: float = 0.0


class Life:
    """The service as it is now. `room(life)` is asked before each start: it gives another one that makes way and has to be waited
    for, None where there is a place, and raises Unreachable where there is none."""

    def __init__(self, service: Service, room: Callable[[Life], Life | None]) -> None:
        self.service = service
        self.state = State.DOWN
        self.counts = Tally()
        self.instance: Instance | None = None
        self.callers = 0
        self.used = 0.0  # when somebody wanted it last, on the loop's clock
        self._room = room
        self._failed = 0.0
        self._why = ""
        self._work: asyncio.Task[None] | None = None  # a start, or a stop
        self._timer: asyncio.TimerHandle | None = None
        self._over = False
        self._spare: End | None = None  # the connection that has shown that it is up, for who waits for one

    @property
    def occupies(self) -> bool:
        """Does it take one of the places?"""
        return self.state in (State.STARTING, State.UP, State.STOPPING)

    def want(self) -> None:
        """Somebody will want it soon: start it. Raises Unreachable, at once, where that can't be."""
        loop = asyncio.get_running_loop()
        self.used = loop.time()
        if self.state is State.UP and self.instance is not None and self.instance.ended:
            self.counts.died += 1
            self._stop(loop)
        if self._over:
            raise Unreachable("the appliance is being closed")
        if self.state is State.FAILED:
            if loop.time() - self._failed < self.service.pause:
                raise Unreachable(f"{self.service.name} could not be started: {self._why}")
            self.state = State.DOWN
        if self.state is State.DOWN:
            before = self._room(self)
            self.state = State.STARTING
            self._work = loop.create_task(self._start(None if before is None else before._work))

    async def reach(self, port: int) -> End:
        """A connection to it, once it is up. Raises what `want` does, and OSError or NetstackError."""
        self.want()
        while self.state in (State.STARTING, State.STOPPING):
            assert self._work is not None
            await asyncio.shield(self._work)  # of all who wait
            self.want()
        instance = self.instance
        if instance is None:
            raise Unreachable(f"{self.service.name} could not be started: {self._why}")
        if self._spare is not None and port == self.service.ports[0]:
            spare, self._spare = self._spare, None
            return spare
        return await instance.reach(port)

    def enter(self) -> None:
        """One caller more."""
        self.callers += 1

    def leave(self) -> None:
        """One less."""
        self.callers -= 1
        if asyncio.get_running_loop().is_running():
            self.used = asyncio.get_running_loop().time()

    async def aclose(self) -> None:
        """End what runs. What is being started is ended as soon as it can be."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self.state is State.STARTING and self._work is not None:
            self._work.cancel()
            await asyncio.wait([self._work])
        if self.state is State.UP:
            self._stop(asyncio.get_running_loop())
        if self._work is not None and not self._work.done():
            await asyncio.wait([self._work])

    # -- starting and stopping --------------------------------------------------------------------------------------------------

    async def _start(self, before: asyncio.Task[None] | None) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.counts.starts += 1
        instance: Instance | None = None
        try:
            async with asyncio.timeout(self.service.patience):
                if before is not None:
                    await asyncio.wait([before])
                instance = await self.service.start()
                first = await self._wait_ready(instance)
        except (*BREAKS, TimeoutError) as error:
            late = isinstance(error, TimeoutError) and not isinstance(error, TimedOut)
            why = f"nothing after {self.service.patience:g} s" if late else str(error)
            if instance is not None:
                await self._end(instance)
            self._fail(loop, why)
        except BaseException as error:
            if instance is not None:
                await self._end(instance)
            self._fail(loop, str(error) or type(error).__name__)
            if not isinstance(error, asyncio.CancelledError):
                log.exception("%s: the function that starts it is wrong", self.service.name)
        else:
            self.instance = instance
            self.state = State.UP
            if self.callers:
                self._spare = first
            else:
                first.close()
            self.counts.took = loop.time() - began
            self.used = loop.time()
            self._look(loop)

    async def _wait_ready(self, instance: Instance) -> End:
        while True:
            try:
                return await instance.reach(self.service.ports[0])
            except BREAKS as error:
                if instance.ended:
                    raise Unreachable(f"it has ended while it was started ({error})") from error
            await asyncio.sleep(STEP)

    def _fail(self, loop: asyncio.AbstractEventLoop, why: str) -> None:
        self.counts.failures += 1
        self._why = why
        self._failed = loop.time()
        self.instance = None
        self.state = State.FAILED
        log.warning("%s could not be started: %s", self.service.name, why)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Has it been idle for long enough? Look again when it could have been."""
        if self.state is not State.UP or self._over:
            return
        left = self.service.idle if self.callers else self.used + self.service.idle - loop.time()
        if left > 0:
            self._timer = loop.call_later(left, self._look, loop)
        else:
            self._stop(loop)

    def _stop(self, loop: asyncio.AbstractEventLoop) -> None:
        instance, self.instance = self.instance, None
        assert instance is not None
        if self._spare is not None:
            self._spare.abort()
            self._spare = None
        if self._timer is not None:
            self._timer.cancel()
        self.state = State.STOPPING

        async def stop() -> None:
            await self._end(instance)
            self.counts.stops += 1
            self.state = State.DOWN

        self._work = loop.create_task(stop())

    def make_way(self) -> bool:
        """Stop, if nobody uses it, so that another one may start. Is a place free by that?"""
        if self.state is State.UP and not self.callers:
            self._stop(asyncio.get_running_loop())
            return True
        return False

    async def _end(self, instance: Instance) -> None:
        try:
            await instance.stop()
        except BREAKS as error:
            log.warning("%s could not be stopped: %s", self.service.name, error)
