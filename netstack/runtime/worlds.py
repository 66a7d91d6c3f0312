"""A world of `netstack.testing` under an event loop: its hosts get the verbs of a net.

    world = World(seed=7, loss=0.2, delay=20 * MILLISECOND)
    a, b = world.host("a"), world.host("b")
    async with netstack.open_world(world):
        server = await b.net.start_server(serve, port=80)
        reader, writer = await a.net.open_connection("10.0.0.2", 80)
        await a.run(unchanged_program())

On asyncio `host.net` is a `Net`, in trio a `TrioNet`. The world keeps the time of the loop: the machine's on an ordinary one; on a
`VirtualLoop` (virtual.py), or under trio's `MockClock`, one that jumps, and then a run depends on its seed alone.

The world stays one actor with one clock, as under `World.run`: here the loop says when to turn it, at the next deadline of them
all. Nobody tells a virtual clock that a deadline has moved, so whoever asks for the time outside a turn is about to do something,
and the world is turned soon after. What hosts send meanwhile waits for that turn, and then leaves in an order of its own
(testing/outbox.py).
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from functools import partial
from operator import itemgetter
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..instant import NEVER, Duration, Instant
from ..stack import Stack
from ..testing.inbox import InboxNetif
from ..testing.net import Host, World
from ..testing.outbox import Outbox
from .base import Crank, Reactor
from .current import in_trio, net_var
from .face import LINGER, NetFace
from .names import Names
from .net import Net
from .reactor import LoopReactor

if TYPE_CHECKING:
    from .trio.world import TrioWorld


class Driver:
    """Turns a world at the deadlines of a reactor (runtime.base.Turned). World time goes on from where it is."""

    def __init__(self, world: World, reactor: Reactor) -> None:
        self.world = world
        self.watched: list[Crank] = []  # those whose net wants to know when the world has been turned
        self._reactor = reactor
        self._clock = reactor.clock
        self._base = 0
        self._armed: int = NEVER
        self._turning = False
        self._stirred = False
        self._running = False
        self._seats: list[tuple[Host, Seat]] = []
        self._held: list[tuple[int, Outbox]] = []  # the hosts' numbers, and what waits to leave them
        self._names = Names()
        self._named = 0

    def start(self) -> None:
        self.world.settle()
        self._base = self._clock() - self.world.now
        self._running = True
        self._stir()

    def finish(self) -> None:
        """Nobody will do anything any more: what was done last still happens."""
        if self._stirred:
            self._turn(self._now())

    def stop(self) -> None:
        self._running = False
        self._reactor.disarm()
        self.release()
        for host, seat in self._seats:
            self.world.clock.remove(seat)
            seat.device.outbox = None
            if seat.is_lived():
                self.world.clock.add(host.stack, host.name)
        self._seats.clear()

    def crank(self, host: Host) -> Crank:
        """For the net of a host: it keeps the time of the world, and never turns the stack itself."""
        return HostCrank(host.stack, HostReactor(self.asked), self.watched)

    def seat(self, host: Host, net: NetFace) -> None:
        """Let the clock run the host where `net` is the current one."""
        seat = Seat(host, net, self.release)
        seat.device.outbox = Outbox(seat.device, partial(self._hold, host.number))
        self._seats.append((host, seat))
        self.world.clock.remove(host.stack)
        self.world.clock.add(seat, host.name)

    def _hold(self, number: int, outbox: Outbox) -> None:
        self._held.append((number, outbox))
        if not self._turning:
            self._stir()

    def release(self) -> None:
        """Let go what waits to leave its host."""
        held = self._held
        if held:
            self._held = []
            held.sort(key=itemgetter(0))
            for _, outbox in held:
                outbox.release()

    def names(self) -> Names:
        """For one host: what the hosts of the world call each other. The table is one, so all learn of those that come later."""
        for host in self.world.hosts[self._named :]:
            self._names.add(host.name, str(host.address.address))
        self._named = len(self.world.hosts)
        return self._names.shared()

    def asked(self) -> int:
        """What time is it in the world? Whoever wants to know is about to do something."""
        if not self._turning:
            self._stir()
        return self._now()

    def _now(self) -> int:
        world: int = self.world.clock.now
        if self._turning:
            return world
        now = self._clock() - self._base
        return now if now > world else world

    def _stir(self) -> None:
        if self._running and not self._stirred:
            self._stirred = True
            self._reactor.soon()

    def on_frames(self) -> None:
        self._stirred = False
        self._turn(self._now())

    def on_deadline(self) -> None:
        self._turn(max(self._armed, self._now()))

    def on_leave(self, end: int, moved: Callable[[int], object], enough: Callable[[], bool]) -> None:
        """The loop has nothing to do before `end`: turn the world, instant after instant, until it has. `moved` gets the time of
        each. (virtual.py)"""
        base = self._base

        def next_one(now: int) -> None:
            moved(now + base)

        def stop() -> bool:
            if self.watched:
                self._tell()
            return enough()

        if self._running:
            start = self._now()
            if not self._stirred and self._armed > start:
                start = self._armed
            self._stirred = False
            moved(start + base)
            self._turning = True
            try:
                self.world.settle()
                self.release()
                self.world.clock.run_ahead(start, max(start, end - base), next_one, stop)
                self.release()
            finally:
                self._turning = False
            self._rearm()

    def _turn(self, now: int) -> None:
        if not self._running:
            return
        self._turning = True
        try:
            self.world.settle()
            self.release()
            self.world.clock.run_until(now)
            self.release()
        finally:
            self._turning = False
        self._rearm()
        self._tell()

    def _rearm(self) -> None:
        self._armed = self.world.clock.next_deadline()
        if self._armed < NEVER:
            self._reactor.arm(self._armed + self._base)
        else:
            self._reactor.disarm()

    def _tell(self) -> None:
        for crank in list(self.watched):
            if crank.after_turn is not None:
                crank.after_turn()


class Seat:
    """A host on the world's clock, once it has a net.

    What its packets cause, callbacks and the tasks that those start, happens in a context of its own, where the host's net is the
    current one (current.py): whoever may have moved the clock.
    """

    def __init__(self, host: Host, net: NetFace, release: Callable[[], None]) -> None:
        self._host = host
        self._stack = host.stack
        self._run = self._stack.run
        self._release = release
        device: Any = self._stack.netif
        self.device: InboxNetif = device
        self.inbox = self.device.inbox  # with these the clock need not ask
        self.timers = self._stack.timers
        self._context = contextvars.copy_context()
        self._context.run(net_var.set, net)

    def is_lived(self) -> bool:
        """Is it still the host's present life?"""
        return self._host.is_up and self._host.stack is self._stack

    def next_deadline(self) -> int:
        return self._stack.next_deadline()

    def run(self, now: Instant) -> None:
        if self.is_lived():
            self._context.run(self._run, now)
            self._release()
        else:
            self._host.world.clock.remove(self)


class HostCrank(Crank):
    """The crank of a host: the driver turns the stack, and tells whoever waits for turns, as few do."""

    def __init__(self, stack: Stack, reactor: HostReactor, watched: list[Crank]) -> None:
        self._watched = watched
        self._after: Callable[[], None] | None = None
        super().__init__(stack, reactor, _never_fails)

    @property
    def after_turn(self) -> Callable[[], None] | None:
        return self._after

    @after_turn.setter
    def after_turn(self, call: Callable[[], None] | None) -> None:
        if self in self._watched:
            self._watched.remove(self)
        if call is not None:
            self._watched.append(self)
        self._after = call


class HostReactor:
    """What the crank of a host needs (runtime.base.Reactor): the time. The driver does the rest."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock

    def arm(self, when: int) -> None: ...
    def disarm(self) -> None: ...
    def soon(self) -> None: ...
    def watch(self, fd: int) -> None: ...
    def unwatch(self, fd: int) -> None: ...

    def owed(self) -> bool:
        return False

    def idle(self) -> bool:
        return False


def _never_fails(error: OSError) -> None:
    raise AssertionError("a host in memory has no device to lose") from error


class Guarded:
    """A driver under asyncio: what goes wrong in the world ends the block, not a callback of the loop."""

    def __init__(self, driver: Driver, on_fault: Callable[[Exception], None]) -> None:
        self._driver = driver
        self._on_fault = on_fault

    def on_frames(self) -> None:
        self._guard(self._driver.on_frames)

    def on_deadline(self) -> None:
        self._guard(self._driver.on_deadline)

    def on_leave(self, end: int, moved: Callable[[int], object], enough: Callable[[], bool]) -> None:
        self._guard(partial(self._driver.on_leave, end, moved, enough))

    def _guard(self, turn: Callable[[], None]) -> None:
        try:
            turn()
        except Exception as error:
            self._on_fault(error)


class WorldOpening:
    """What `open_world` gives: enter it, and the hosts have nets; leave it, and all that those started is ended."""

    def __init__(self, world: World, on_fault: Callable[[Exception], None] | None = None) -> None:
        self.world = world
        self._on_fault = on_fault
        self._in_trio: TrioWorld | None = None
        self._nets: dict[Host, Net] = {}
        self._old: list[Net] = []
        self._owner: asyncio.Task[Any] | None = None
        self._fault: Exception | None = None

    async def __aenter__(self) -> World:
        if in_trio():
            from .trio.world import TrioWorld

            self._in_trio = TrioWorld(self.world)
            return await self._in_trio.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._owner = asyncio.current_task()
        make: Any = getattr(self._loop, "reactor", LoopReactor)  # a loop in virtual time leaves the time to the world
        reactor = make(self._loop)
        self._driver = Driver(self.world, reactor)
        reactor.serve(Guarded(self._driver, self._failed))
        self.world.open(self._net_of)
        self._driver.start()
        return self.world

    def _net_of(self, host: Host) -> Net:
        net = self._nets.get(host)
        if net is None or net.stack is not host.stack:  # the host has crashed and come back
            if net is not None:
                self._old.append(net)
            driver = self._driver
            net = self._nets[host] = Net(host.stack, self._loop, driver.names(), crank=driver.crank(host))
            driver.seat(host, net)
        return net

    def _failed(self, error: Exception) -> None:
        if self._fault is None:
            self._fault = error
            self._driver.stop()
            if self._on_fault is not None:
                self._on_fault(error)
            elif self._owner is not None:
                self._owner.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        if self._in_trio is not None:
            return await self._in_trio.__aexit__(kind, error, tb)
        if self._fault is not None and self._owner is not None and self._on_fault is None:
            self._owner.uncancel()
        try:
            for net in [*self._old, *self._nets.values()]:
                await net.aclose(LINGER if self._fault is None else Duration(0))
            if self._fault is None:
                self._driver.finish()
        finally:
            self._driver.stop()
            self.world.open(None)
        if self._fault is not None and self._on_fault is None:
            raise self._fault
        return False

    def meet(self) -> None:
        """Tell those who have nets the names of hosts that have come since; it settles nobody."""
        (self._in_trio or self)._driver.names()

    def drop(self) -> None:
        """The loop is gone, or goes: let go of the world at once. After `__aexit__` there is nothing left to do."""
        if self._in_trio is None and self.world.faces == self._net_of:
            self._driver.stop()
            self.world.open(None)


def open_world(world: World, on_fault: Callable[[Exception], None] | None = None) -> WorldOpening:
    """Give the hosts of `world` the verbs of a net, `host.net`, for as long as the `async with` block runs.

    What goes wrong in the world itself cancels the block, which raises it then; or, on asyncio, is told to `on_fault`."""
    return WorldOpening(world, on_fault)
