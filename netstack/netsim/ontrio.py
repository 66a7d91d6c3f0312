"""Programs of hosts under trio: the clock, whose scope is whose, and how the lights go out.

The world is kept by a system task, so that whoever uses it first, a fixture or the test, may end before the others; trio cancels it
when the main task has ended, if nobody has closed it before. What runs on a host runs in a cancel scope of its own, and a crash of
the host cancels those: with trio there is nothing outside of them.

trio's `MockClock` jumps when every task is blocked. It does not notice when there is nowhere to jump to, and it does not wait for
threads; ours is the same clock with another `_autojump`. What threads did is told when every task is blocked, in the order in which
they got their work (runtime/virtual.py has the reasons). That time stands still, and tasks run all the same, is noticed by an
instrument.
"""

from __future__ import annotations

import math
import random
import socket
import threading
import time
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

import trio
import trio.testing

from ..errors import UsageError
from ..instant import Duration
from ..runtime.current import net_var
from ..runtime.trio.install import Place, Run
from ..runtime.trio.net import TrioNet
from ..runtime.trio.wait import Waiter
from ..runtime.virtual import SPIN
from ..runtime.worlds import open_world
from ..testing.clock import Spinning, Stalled
from . import substitutes, triothreads
from .doing import where
from .failures import HostCrashed

if TYPE_CHECKING:
    from ..sockets.base import Socket
    from .host import Program, SimHost
    from .sim import Netsim

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
GLANCE = 0.001  # seconds of the machine's time between two looks for threads and descriptors that nothing else waits for


def side_here() -> TrioSide | None:
    """That of the run of trio whose task calls."""
    if not trio.lowlevel.in_trio_task():
        return None
    side: TrioSide | None = getattr(trio.lowlevel.current_clock(), "side", None)
    return side


def threads_here() -> triothreads.Threads | None:
    side = side_here()
    return None if side is None else side.threads


def new_clock() -> trio.testing.MockClock:
    return trio.testing.MockClock(autojump_threshold=0)


class Rounds(trio.abc.Instrument):
    """Counts the rounds of the scheduler at one instant."""

    spin = SPIN

    def __init__(self, side: TrioSide) -> None:
        self._side = side
        self._instant = -1.0
        self._rounds = 0
        self._suspects: Suspects | None = None

    def before_io_wait(self, timeout: float) -> None:
        now = self._side.now()
        if now != self._instant:
            self._instant = now
            self._rounds = 0
            self.rest()
        self._rounds += 1
        if self._rounds * 2 > self.spin and self._suspects is None:
            self._suspects = Suspects()
            trio.lowlevel.add_instrument(self._suspects)
        if self._rounds > self.spin:
            assert self._suspects is not None
            (worst, turns), *_ = self._suspects.turns.most_common(1)
            self._rounds = 0
            self.rest()
            self._side.sim.fail(
                Spinning(
                    f"{self.spin} rounds at {now} s, where virtual time stands still: task {worst} had {turns} turns in the last"
                    f" {self.spin - self.spin // 2}. It does not wait"
                )
            )

    def rest(self) -> None:
        if self._suspects is not None:
            trio.lowlevel.remove_instrument(self._suspects)
            self._suspects = None


class Suspects(trio.abc.Instrument):
    """Who takes turns."""

    def __init__(self) -> None:
        self.turns: Counter[str] = Counter()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.turns[task.name] += 1


class TrioSide:
    """A world that is open in a run of trio (sim.Side)."""

    def __init__(self, sim: Netsim, clock: trio.testing.MockClock) -> None:
        self.sim = sim
        self.ready = trio.Event()
        self._clock: Any = clock
        self._opening = open_world(sim.world)
        self._closing = trio.Event()
        self._closed = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._scopes: dict[TrioNet, dict[trio.CancelScope, None]] = {}
        self._bells: dict[Program, trio.Event] = {}
        self._scope: trio.CancelScope | None = None
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._run = Run(None)
        self._test: trio.lowlevel.Task | None = None
        self._rounds = Rounds(self)
        self._undo: list[Callable[[], None]] = []
        self.threads = triothreads.Threads()

    def now(self) -> float:
        return float(self._clock.current_time())

    # -- the world, and its time --------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        trio.lowlevel.spawn_system_task(self._keep, name="netsim")
        trio.lowlevel.spawn_system_task(self._end, name="netsim: until the end")
        await self.ready.wait()

    async def _keep(self) -> None:
        self._take()
        try:
            with trio.CancelScope(shield=True):
                async with self._opening, trio.open_nursery() as self._nursery:
                    self.ready.set()
                    await self._closing.wait()
                    self._nursery.cancel_scope.cancel()
        except BaseException as error:
            self._world_failed(error)
        finally:
            self._nursery = None
            self._let_go()
            self.ready.set()
            self._closed.set()

    async def _end(self) -> None:
        """The main task has ended, and nobody has closed the world."""
        try:
            await self._closing.wait()
        finally:
            self._closing.set()

    def _world_failed(self, error: BaseException) -> None:
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        if isinstance(error, Exception):
            self.sim.fail(error)
        else:
            raise error

    def _take(self) -> None:
        clock = self._clock
        self._before = clock._real_clock
        clock._real_clock = float  # at rate 0 it does not matter what it says; time.perf_counter asks us, who would ask it
        clock._autojump = self._jump
        clock.side = self
        core: Any = trio._core._run
        self._order = getattr(core, "_ALLOW_DETERMINISTIC_SCHEDULING", False), getattr(core, "_r", None)
        core._ALLOW_DETERMINISTIC_SCHEDULING, core._r = True, random.Random(f"{self.sim.seed} scheduling")
        trio.lowlevel.add_instrument(self._rounds)
        self._undo = [triothreads.install(threads_here), substitutes.install(self.sim.seed)]

    def _let_go(self) -> None:
        if not self._undo:
            return
        while self._undo:
            self._undo.pop()()
        self.threads.end()
        clock = self._clock
        clock._real_clock = self._before
        del clock._autojump, clock.side
        core: Any = trio._core._run
        core._ALLOW_DETERMINISTIC_SCHEDULING, core._r = self._order
        if trio.lowlevel.in_trio_run():
            self._rounds.rest()
            trio.lowlevel.remove_instrument(self._rounds)

    def _jump(self) -> None:
        """Every task is blocked."""
        statistics = trio.lowlevel.current_statistics()
        working = trio.to_thread.current_default_thread_limiter().borrowed_tokens
        wait = statistics.seconds_to_next_deadline
        if self.threads:
            if not self.threads.hear():
                _sleep(GLANCE)
        elif working:
            _sleep(GLANCE)
        elif wait < math.inf:
            self._clock.jump(max(wait, 0))
        elif self._kernel_waits(statistics):
            _sleep(GLANCE)
        else:
            error = Stalled(f"nothing is left to happen after {self.now()} s, and the program is still waiting")
            if not self.sim.fail(error):
                raise error

    @staticmethod
    def _kernel_waits(statistics: Any) -> bool:
        """Is a descriptor waited for, beside the one by which other threads wake trio?"""
        io = statistics.io_statistics
        return getattr(io, "tasks_waiting_read", 0) + getattr(io, "tasks_waiting_write", 0) > 1

    def net_of(self, host: SimHost) -> TrioNet:
        net: TrioNet = host.net
        return net

    def adopter(self, net: TrioNet) -> Place:
        return Place(net.sockets, self._run)

    def made(self, sock: socket.socket) -> None:
        """A program has made a socket by itself."""
        self._sockets.add(sock)

    def arrived(self, host: SimHost) -> None:
        self._opening.meet()

    # -- programs -----------------------------------------------------------------------------------------------------------------

    async def run(self, host: SimHost, call: Callable[[], Any], name: str) -> Any:
        scopes = self._scopes.setdefault(self.net_of(host), {})
        scope = trio.CancelScope()
        scopes[scope] = None
        token = net_var.set(self.net_of(host))
        try:
            with scope:
                return await _run(call)
        except Exception as error:
            error.add_note(f"on host {host.name!r}, in {name}")
            raise
        finally:
            net_var.reset(token)
            scopes.pop(scope, None)
        raise HostCrashed(f"{host.name} crashed while {name} ran there")

    def launch(self, program: Program) -> None:
        assert self._nursery is not None
        program.state = "running"
        scope = program.job = trio.CancelScope()
        self._scopes.setdefault(self.net_of(program.host), {})[scope] = None
        self._nursery.start_soon(self._program, program, scope, name=f"{program.host.name}: {program.name}")

    async def _program(self, program: Program, scope: trio.CancelScope) -> None:
        net = self.net_of(program.host)
        net_var.set(net)  # in the context of this task
        result = None
        try:
            with scope:
                result = await _run(program.call)
        except Exception as error:
            if program.job is scope:
                error.add_note(f"on host {program.host.name!r}, in {program.name}, which was started there")
                program.ended("failed", error=error)
                if not program.watched:
                    self.sim.fail(error)
        else:
            if program.job is scope:
                program.ended("cancelled" if scope.cancelled_caught else "done", result)
        finally:
            self._scopes.get(net, {}).pop(scope, None)
            bell = self._bells.pop(program, None) if program.job is None and program.done else None
            if bell is not None:
                bell.set()

    def cancel(self, program: Program) -> None:
        program.job.cancel()

    async def wait_ended(self, program: Program) -> None:
        while not program.done:
            await self._bells.setdefault(program, trio.Event()).wait()

    def crash(self, host: SimHost) -> None:
        net = self.net_of(host)
        host.node.crash()
        for program in host.programs:
            if program.state == "running":
                program.ended("crashed")
        for scope in self._scopes.pop(net, {}):
            scope.cancel()
        if self._nursery is not None:
            self._nursery.start_soon(net.aclose, Duration(0), name=f"netsim: {host.name} is gone")

    # -- the test -----------------------------------------------------------------------------------------------------------------

    async def guard(self, call: Callable[[], Awaitable[T]]) -> T:
        """Await `call()`, the test. What goes wrong beside it ends it, and is raised here."""
        __tracebackhide__ = True
        self._test = trio.lowlevel.current_task()
        with trio.CancelScope() as self._scope:
            try:
                if self.sim.fault is None:
                    result = await call()
            except trio.Cancelled as cancelled:
                if self.sim.fault is not None and self.sim.fault.__traceback__ is None:
                    self.sim.fault.__traceback__ = cancelled.__traceback__  # the clock's complaint: about where the test waits
                self.sim.look()
                raise
            except BaseException:
                self.sim.look()
                raise
            finally:
                self._scope = self._test = None
        if self.sim.fault is not None:
            raise self.sim.fault
        return result

    def interrupt(self) -> bool:
        if self._scope is None:
            return False
        self._scope.cancel()
        return True

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def wait_events(self, core: Socket, mask: int, limit: float | None) -> bool:
        waiter = Waiter()

        def look() -> None:
            if core.closed or core.events() & mask:
                waiter.wake()

        core.watch(look)
        try:
            with trio.move_on_after(math.inf if limit is None else max(limit, 0)):
                if core.closed or core.events() & mask:
                    await trio.lowlevel.checkpoint()
                else:
                    await waiter.wait()
                return True
        finally:
            core.unwatch(look)
        return False

    def knows(self, thread: threading.Thread) -> None: ...

    def describe(self, host: SimHost | None) -> list[str]:
        if host is None:
            return [] if self._test is None else [where(self._test.coro)]
        net = self.net_of(host) if host.is_up else None
        found: list[str] = []
        root = trio.lowlevel.current_root_task()
        tasks = [root] if root is not None else []
        while tasks:
            task = tasks.pop(0)
            if net is not None and task.context.get(net_var) is net:
                found.append(f"{task.name}: {where(task.coro)}")
            for nursery in task.child_nurseries:
                tasks += sorted(nursery.child_tasks, key=lambda child: child._counter)
        return found

    # -- the end ------------------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        self._closing.set()
        with trio.CancelScope(shield=True):
            await self._closed.wait()

    def drop(self) -> None:
        self._let_go()
        if self.sim.world.faces is not None:
            self.sim.world.open(None)
        for sock in list(self._sockets):
            sock.close()


_sleep = time.sleep


async def _run(call: Callable[[], Any]) -> Any:
    result = call()
    return await result if hasattr(result, "__await__") else result


async def open_on(sim: Netsim) -> None:
    """Open the world in the run of trio that runs. Raises UsageError on one in real time."""
    if sim.opening is not None:
        await sim.opening.ready.wait()
        return
    clock = trio.lowlevel.current_clock()
    if not isinstance(clock, trio.testing.MockClock):
        raise UsageError(
            "this runs on trio's own clock, in real time: a test that takes the fixture `netsim` gets a clock that jumps, unless"
            " its run is shared with other tests; elsewhere netsim.run(main, runtime='trio') makes one"
        )
    if getattr(clock, "side", None) is not None:
        raise UsageError("there is a test world in this run of trio already: one at a time")
    side = sim.opening = TrioSide(sim, clock)
    await side.open()
    sim.opened_on(side)


def run(sim: Netsim, main: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """`Netsim.run` in trio."""
    __tracebackhide__ = True

    try:
        return trio.run(partial(sim.carry_out, main, *args), clock=new_clock())
    finally:
        sim.drop()


def run_test(inner: Callable[..., Any], function: Callable[..., Any], **options: Any) -> Any:
    """`trio.run`, or whatever `inner` is, for a test that takes the fixture: in virtual time, if it has chosen no clock."""
    if options.get("clock") is None:
        options["clock"] = new_clock()
    return inner(function, **options)
