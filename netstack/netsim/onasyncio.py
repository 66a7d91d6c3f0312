"""Programs of hosts under asyncio: the loop, whose task is whose, and how the lights go out.

`SimLoop` is a loop in virtual time (runtime/virtual.py) that knows of each task on which host it runs: the context of a task names
its host's net (runtime/current.py), and the task is written down for it when it is made. So a crash finds all that a program began.

**A crash is not a shutdown.** The device goes first, so that nothing leaves any more; the net is closed without a word; timers of
the host never come; and its tasks are cancelled, which Python insists on: their `finally` blocks run, and protocols hear that their
connections are lost, on a host without a network. What they start is cancelled as it is made.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
import threading
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from ..errors import TimedOut, UsageError
from ..instant import seconds
from ..runtime.current import net_var
from ..runtime.loops.readiness import ready
from ..runtime.virtual import SPIN, VirtualLoop
from ..runtime.worlds import open_world
from . import substitutes
from .doing import where
from .failures import HostCrashed

if TYPE_CHECKING:
    from ..runtime.net import Net
    from ..sockets.base import Socket
    from .host import Program, SimHost
    from .sim import Netsim

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Task = asyncio.Task[Any]

FAREWELL = 2.0  # seconds of virtual time for programs to part from each other
INSISTENCE = 10  # times that a task is cancelled which does not end
PATIENCE = 60.0  # seconds of virtual time that tasks have to end when they are cancelled: more than any farewell takes


class SimLoop(VirtualLoop):
    """The loop of a test. Without a world on it, a loop in virtual time like any."""

    side: AsyncioSide | None = None
    spin = SPIN

    def __init__(self) -> None:
        super().__init__(self.spin)

    @property
    def net(self) -> Any:
        """That of the current task, closed or not: what is left of a host that has crashed must not reach the machine's network."""
        return net_var.get()

    def create_task(self, coro: Any, **options: Any) -> Task:
        task: Task = super().create_task(coro, **options)
        if self.side is not None:
            context = options.get("context")
            net: Any = net_var.get() if context is None else context.get(net_var)
            if net is not None:
                self.side.began(net, task)
        return task

    def idle(self, timeout: float | None) -> float | None:
        wait = super().idle(timeout)
        return 0 if self._ready else wait  # somebody was told that nothing happens, and something does now

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        # Python before 3.12 finds it worth a line that a handler of asyncio.start_server was cancelled
        if self.side is None or not isinstance(context.get("exception"), asyncio.CancelledError):
            super().call_exception_handler(context)

    def accuse(self, error: Exception) -> None:
        if self.side is None or not self.side.sim.fail(error):
            raise error


class AsyncioSide:
    """A world that is open on a `SimLoop` (sim.Side)."""

    def __init__(self, sim: Netsim, loop: SimLoop) -> None:
        self.sim = sim
        self.loop = loop
        self._opening = open_world(sim.world, self._world_failed)
        self._context = contextvars.copy_context()  # for nets: their callbacks are nobody's in particular
        self._tasks: dict[Net, dict[Task, None]] = {}
        self._dead: set[Net] = set()
        self._killed: set[Task] = set()
        self._waiting: dict[Program, list[asyncio.Future[None]]] = {}
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._test: Task | None = None
        self._interrupted = False
        self._undo: Callable[[], None] | None = None

    async def open(self) -> None:
        await self._opening.__aenter__()
        self.loop.side = self
        self._undo = substitutes.install(self.sim.seed)

    def now(self) -> float:
        return float(self.loop.time())

    def _world_failed(self, error: Exception) -> None:
        if not self.sim.fail(error):
            raise error

    def net_of(self, host: SimHost) -> Net:
        net: Net = self._context.copy().run(lambda: host.net)
        return net

    def adopter(self, net: Net) -> Net:
        return net

    def made(self, sock: socket.socket) -> None:
        """A program has made a socket by itself."""
        self._sockets.add(sock)

    def arrived(self, host: SimHost) -> None:
        self._opening.meet()

    # -- programs ---------------------------------------------------------------------------------------------------------------

    def began(self, net: Net, task: Task) -> None:
        """A task begins on a host."""
        if net in self._dead:
            self._kill(task)
            return
        tasks = self._tasks.setdefault(net, {})
        tasks[task] = None
        task.add_done_callback(lambda done: tasks.pop(done, None))

    def _begin(self, host: SimHost, call: Callable[[], Any], name: str) -> Task:
        context = contextvars.copy_context()
        context.run(net_var.set, self.net_of(host))
        return self.loop.create_task(_run(call), name=f"{host.name}: {name}", context=context)

    async def run(self, host: SimHost, call: Callable[[], Any], name: str) -> Any:
        task = self._begin(host, call, name)
        me = asyncio.current_task()
        try:
            return await task
        except asyncio.CancelledError:
            if task in self._killed and (me is None or not me.cancelling()):
                raise HostCrashed(f"{host.name} crashed while {name} ran there") from None
            raise
        except Exception as error:
            error.add_note(f"on host {host.name!r}, in {name}")
            raise

    def launch(self, program: Program) -> None:
        program.state = "running"
        program.job = self._begin(program.host, program.call, program.name)
        program.job.add_done_callback(partial(self._ended, program))

    def _ended(self, program: Program, task: Task) -> None:
        if program.job is not task:  # it crashed with its host, and may run again
            return
        if task.cancelled():
            program.ended("cancelled")
        elif (error := task.exception()) is not None:
            error.add_note(f"on host {program.host.name!r}, in {program.name}, which was started there")
            program.ended("failed", error=error)
            if not program.watched:
                self.sim.fail(error)
        else:
            program.ended("done", task.result())
        for future in self._waiting.pop(program, ()):
            if not future.done():
                future.set_result(None)

    def cancel(self, program: Program) -> None:
        program.job.cancel()

    async def wait_ended(self, program: Program) -> None:
        while not program.done:
            future = self.loop.create_future()
            self._waiting.setdefault(program, []).append(future)
            await future

    def crash(self, host: SimHost) -> None:
        net = self.net_of(host)
        host.node.crash()
        self._dead.add(net)
        for program in host.programs:
            if program.state == "running":
                program.ended("crashed")
        for task in list(self._tasks.pop(net, ())):
            self._kill(task)
        context = contextvars.Context()
        context.run(net_var.set, net)
        context.run(net.drop)
        self._forget(net)

    def _kill(self, task: Task) -> None:
        self._killed.add(task)
        task.cancel()
        task.add_done_callback(_heard)

    def _forget(self, net: Net) -> None:
        """The timers of a host never come."""
        for handle in list(self.loop._scheduled):
            if handle._context.get(net_var) is net:
                handle.cancel()

    # -- the test -----------------------------------------------------------------------------------------------------------------

    async def guard(self, call: Callable[[], Awaitable[T]]) -> T:
        """Await `call()`, the test. What goes wrong beside it ends it, and is raised here."""
        __tracebackhide__ = True
        me = self._test = asyncio.current_task()
        try:
            if self.sim.fault is None:
                result = await call()
        except asyncio.CancelledError as cancelled:
            if not self._interrupted or me is None or self.sim.fault is None:
                self.sim.look()
                raise
            me.uncancel()
            if self.sim.fault.__traceback__ is None:  # the loop's complaint: it is about where the test waits
                self.sim.fault.__traceback__ = cancelled.__traceback__
        except BaseException:
            self.sim.look()
            raise
        finally:
            self._test = None
        if self.sim.fault is not None:
            raise self.sim.fault
        return result

    def interrupt(self) -> bool:
        if self._test is None or self._test.done():
            return False
        self._interrupted = True
        return self._test.cancel()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait_events(self, core: Socket, mask: int, limit: float | None) -> bool:
        try:
            await ready(self.loop, core, mask, None if limit is None else seconds(max(limit, 0)))
        except TimedOut:
            return False
        return True

    def knows(self, thread: threading.Thread) -> None:
        self.loop._before.add(thread)

    def describe(self, host: SimHost | None) -> list[str]:
        if host is None:
            return [] if self._test is None else [where(self._test.get_coro())]
        tasks = self._tasks.get(self.net_of(host), ()) if host.is_up else ()
        return [f"{task.get_name()}: {where(task.get_coro())}" for task in tasks]

    # -- the end ------------------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        tasks = [task for each in self._tasks.values() for task in each]
        tasks += [task for task in self._killed if not task.done()]
        for program in (program for host in self.sim.hosts for program in host.programs):
            if program.state == "running":
                program.ended("cancelled")
        for task in tasks:
            self._kill(task)
        left = (await asyncio.wait(tasks, timeout=FAREWELL))[1] if tasks else set()
        if left:  # a server waits for its connections to end, whose handlers were cancelled and have left them open
            for host in self.sim.hosts:
                self.net_of(host).drop()
        for _ in range(INSISTENCE):  # or for a task that was cancelled before it had begun, since its host was down
            if left:
                for task in left:
                    task.cancel()
                left = (await asyncio.wait(left, timeout=PATIENCE / INSISTENCE))[1]
        names = ", ".join(sorted(f"{task.get_name()}, {where(task.get_coro())}" for task in left))
        await self._opening.__aexit__(None, None, None)
        if names:
            raise UsageError(f"cancelled, and still there {PATIENCE:.0f} s later: {names}")

    def drop(self) -> None:
        self.loop.side = None
        if self._undo is not None:
            undo, self._undo = self._undo, None
            undo()
        self._opening.drop()
        for sock in list(self._sockets):
            sock.close()


async def _run(call: Callable[[], Any]) -> Any:
    result = call()
    return await result if hasattr(result, "__await__") else result


def _heard(task: Task) -> None:
    """What it says as it is killed interests nobody."""
    if not task.cancelled():
        task.exception()


async def open_on(sim: Netsim) -> None:
    """Open the world on the loop that runs. Raises UsageError on one in real time."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, SimLoop):
        raise UsageError(
            f"this runs on {type(loop).__name__}, in real time: a test that takes the fixture `netsim` gets a loop in virtual time,"
            " unless its loop is shared with other tests (loop_scope); elsewhere netsim.run(main) makes one"
        )
    if loop.side is not None:
        raise UsageError("there is a test world on this loop already: one at a time")
    side = AsyncioSide(sim, loop)
    await side.open()
    sim.opened_on(side)


def run(sim: Netsim, main: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
    """`Netsim.run` on asyncio."""
    __tracebackhide__ = True

    with asyncio.Runner(loop_factory=SimLoop) as runner:
        try:
            return runner.run(sim.carry_out(main, *args))
        finally:
            sim.drop()
