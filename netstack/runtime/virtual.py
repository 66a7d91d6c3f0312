"""An asyncio loop whose time is not the machine's: it jumps to the next timer as soon as nothing is left to do.

    netstack.run_virtual(main())                               as asyncio.run
    asyncio.Runner(loop_factory=netstack.VirtualLoop)          for who wants more

Sleeps and time-outs cost nothing and come in their order, each exactly at its instant, whatever the machine is doing: with the
hosts of a `World`, whose packets are on the same time (worlds.py), a minute of retransmissions takes milliseconds and is the same
minute each time.

**When it jumps.** Descriptors and other threads know nothing of this time. Descriptors are looked at before each jump, and not
waited for. Work in an executor (`asyncio.to_thread`) is: while there is some, time stands still, so a thread that itself waits for
something that takes virtual time waits for ever. Where nothing can happen any more, no timer, no descriptor, no other thread, the
loop raises `Stalled` instead of sleeping for good; threads that were there before it get half a second to prove that they matter.

**What depends on nothing else.** A set of tasks, as `asyncio.wait` gives and a TaskGroup cancels, has the order of its members'
hashes, which are addresses in memory: tasks of this loop are numbered instead. Threads end when they like: what they did is told
when nothing else is left to do at that instant, in the order in which the work was given out; out of turn only when all others
sleep, since the one whose turn it is may wait for what a later one did.

**Where it could spin.** Real time passes by itself while a program runs, and programs count on it: one that finds `time() <= t` in
a callback for `t`, and so asks to be called at `t` again, would do that for ever at an instant that stands still. So whatever is
due at the instant that is costs a nanosecond. A program that never waits at all is stopped after `spin` rounds of the loop, with
the name of whoever took them.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import selectors
import threading
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

from ..instant import NEVER
from ..testing.clock import Spinning, Stalled
from .asleep import Asleep
from .loops.mix import over
from .reactor import clock_of

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SPIN = 100_000  # rounds of the loop at one instant: a second of the machine's time, and more than any burst needs
NANOSECOND = 1e-9
PATIENCE = 0.5  # seconds of the machine's time
OUT_OF_TURN = 0.1  # the same, between two looks whether a thread that isn't ready waits for one that was given its work later
Base: Any = over(asyncio.SelectorEventLoop)


class VirtualSelector(selectors.DefaultSelector):
    """Asks the kernel, and never waits for it as long as there is a timer to jump to."""

    loop: VirtualLoop
    looks = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.looks += 1
        ready: list[tuple[selectors.SelectorKey, int]] = []
        if len(self.get_map()) > 1 or not self.looks & 63:  # the one that is always there says what `_ready` says
            ready = super().select(0)
            if ready:
                return ready
        wait = self.loop.idle(timeout)
        if wait == 0:
            return ready
        ready = super().select(wait)
        if not ready and wait is not None:
            self.loop.stall()
        return ready


class NumberedTask(asyncio.Task[T]):
    """Sets of these have the same order in each run."""

    __slots__ = ("_number",)

    def __init__(self, coro: Any, **options: Any) -> None:
        self._number: int = next(options["loop"].numbers)  # first, since asyncio puts each task into a set of all
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._number

    __eq__ = object.__eq__


def _task(loop: VirtualLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    return NumberedTask(coro, loop=loop, **options)


class VirtualLoop(Base):  # type: ignore[misc]  # a class that is made when it is needed
    """asyncio's own loop in virtual time, which starts at 0 and is counted in seconds as ever.

    Its network can be a net (loops/mix.py), so unchanged programs run on the hosts of a world.
    """

    def __init__(self, spin: int = SPIN) -> None:
        selector = VirtualSelector()
        selector.loop = self
        self._virtual_now = 0.0
        self._spin = spin
        self._rounds = 0
        self._suspects: Counter[str] = Counter()
        self._joining = 0
        self.numbers = itertools.count(1)
        self._paces: list[Pace] = []  # of the worlds on this loop
        self._next = math.inf  # the soonest timer, when the loop was last left to a world
        self._given: deque[tuple[asyncio.Future[Any], asyncio.Future[Any]]] = deque()  # to threads: what they say, who is told
        self._asleep = Asleep()
        self._before = set(threading.enumerate())
        super().__init__(selector)
        self.set_task_factory(_task)

    def time(self) -> float:
        return self._virtual_now

    def idle(self, timeout: float | None) -> float | None:
        """The loop has come to its selector and the kernel has nothing: move on. How long to wait for it, really: None for ever."""
        if timeout is not None and timeout <= 0:
            self._count()
            return 0
        if self._given:
            self._rounds = 0
            return 0 if self._tell(self._given[0]) else OUT_OF_TURN
        if self._joining:
            self._rounds = 0
            return None
        timers = self._timers()
        self._next = timers[0].when() if timers else math.inf
        world = min(self._paces, key=_when, default=None)
        if world is not None and (not world.when or (world.when < NEVER and world.when / 1e9 <= self._next)):
            before = self._virtual_now
            rest = min((other.when for other in self._paces if other is not world), default=NEVER)
            world.leave(rest if self._next == math.inf else min(rest, int(self._next * 1e9)))
            if self._virtual_now > before:
                self._rounds = 0
            else:
                self._round(list(self._ready))
            return 0
        if self._next == math.inf:  # anyio's sleep_forever() sets a timer for then
            return self._patience()
        self._virtual_now = max(self._virtual_now, self._next)
        self._rounds = 0
        return 0

    def reactor(self, _: asyncio.AbstractEventLoop) -> Pace:
        """For the driver of a world (worlds.py)."""
        pace = Pace(self)
        self._paces.append(pace)
        return pace

    def moved(self, now: int) -> None:
        """A world has come to this instant."""
        seconds = now / 1e9
        if seconds > self._virtual_now:
            self._virtual_now = seconds

    def wanted(self) -> bool:
        """Is there something to do before the world goes on?"""
        if self._ready or self._given:
            return True
        timers = self._scheduled
        return bool(timers) and timers[0]._when < self._next

    def stall(self) -> None:
        if self._given:
            if self._asleep.look():
                any(map(self._tell, list(self._given)))
            return
        self.accuse(Stalled(f"nothing is left to happen after {self._virtual_now} s, and the program is still waiting"))

    def accuse(self, error: Exception) -> None:
        """The program is at fault: end the run. A loop that knows whom to tell overrides this, and may go on."""
        raise error

    def _timers(self) -> list[asyncio.TimerHandle]:
        timers: list[asyncio.TimerHandle] = self._scheduled  # asyncio's own heap, the soonest first
        return timers

    def _patience(self) -> float | None:
        """How long to wait without a timer. Who could wake the loop: the kernel, by a descriptor; a thread that was started since
        the loop was made; perhaps one that was there before, though most of those are at rest in somebody's pool."""
        own = getattr(getattr(self, "_default_executor", None), "_threads", ())
        others = {thread for thread in threading.enumerate() if thread is not threading.current_thread() and thread not in own}
        if len(self._selector.get_map()) > 1 or others - self._before:  # one descriptor is the loop's own
            return None
        if not others:
            self.stall()
        return PATIENCE

    def _count(self) -> None:
        """One more round at this instant."""
        ready = list(self._ready)  # asyncio's own queue
        if not ready:  # a timer that was set for now, or for the past, since the last jump
            self._virtual_now = max(self._virtual_now + NANOSECOND, math.nextafter(self._virtual_now, math.inf))
            ready = self._timers()[:1]
        self._round(ready)

    def _round(self, ready: list[Any]) -> None:
        self._rounds += 1
        if self._rounds * 2 <= self._spin:
            if self._rounds == 1:
                self._suspects.clear()
            return
        self._suspects.update(_name(handle) for handle in ready)
        if self._rounds > self._spin:
            self._rounds = 0
            (worst, turns), *_ = self._suspects.most_common(1)
            self.accuse(
                Spinning(
                    f"{self._spin} rounds at {self._virtual_now} s, where virtual time stands still: {worst} had {turns} turns in"
                    f" the last {self._spin - self._spin // 2}. It does not wait, or asks again and again for an instant that is"
                    " past"
                )
            )

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        work: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        told: asyncio.Future[T] = self.create_future()
        self._given.append((work, told))
        told.add_done_callback(lambda _: work.cancel())  # which does nothing to work that is done
        return told

    def _tell(self, given: tuple[asyncio.Future[Any], asyncio.Future[Any]]) -> bool:
        """Pass on what a thread has to say, if it has."""
        work, told = given
        if not work.done():
            return False
        self._given.remove(given)
        self._asleep.again()
        if work.cancelled():
            told.cancel()
        elif not told.done() and (error := work.exception()) is not None:
            told.set_exception(error)
        elif not told.done():
            told.set_result(work.result())
        return True

    async def shutdown_default_executor(self, *args: Any) -> None:
        """A thread waits for the others, and since Python 3.12 a timer for it, which must not jump meanwhile."""
        self._joining += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._joining -= 1


class Pace:
    """What a world's driver needs of a loop in virtual time (runtime.base.Reactor). Its deadline is no timer: when the loop has
    nothing to do the world goes on by itself, until a callback of the loop is due."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.when: int = NEVER
        self.clock = clock_of(loop)
        self._loop = loop
        self._world: Any = None  # worlds.Guarded

    def serve(self, world: Any) -> None:
        self._world = world

    def arm(self, when: int) -> None:
        self.when = when

    def disarm(self) -> None:
        self.when = NEVER

    def soon(self) -> None:
        self.when = 0  # as soon as the loop has nothing to do at this instant

    def leave(self, end: int) -> None:
        self._world.on_leave(end, self._loop.moved, self._loop.wanted)

    def watch(self, fd: int) -> None: ...
    def unwatch(self, fd: int) -> None: ...

    def owed(self) -> bool:
        return False

    def idle(self) -> bool:
        return False


def _when(pace: Pace) -> int:
    return pace.when


def _name(handle: asyncio.Handle) -> str:
    """What a program calls the work behind a handle: its task, or its callback."""
    callback: Any = getattr(handle, "_callback", None)
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return f"task {owner.get_name()} ({getattr(owner.get_coro(), '__qualname__', owner.get_coro())})"
    return f"callback {getattr(callback, '__qualname__', callback)}"


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
