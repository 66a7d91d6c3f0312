"""A host of a test world, and the programs on it.

    result = await server.run(function, *args)      runs there, and comes back with what it returned
    program = server.start(function, *args)         goes on there, beside the test

What runs there is on that host with all that it starts: its connections, its servers, what a name means to it. A program that was
started is part of what the host is: a failure of it fails the test, a crash of the host ends it without a word, and `restart`
starts it anew, as an init would. What `run` was given lives as long as its result is waited for, and the tasks that it left behind
as long as the host is up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, overload

from ..errors import UsageError
from ..stack import Stack
from ..testing.net import Host
from .failures import HostCrashed

if TYPE_CHECKING:
    from .sim import Netsim

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Program:
    """What `SimHost.start` gives. `await program` waits for its end, gives what it returned, and raises what it raised."""

    def __init__(self, host: SimHost, what: Callable[..., Any] | Awaitable[Any], args: tuple[Any, ...]) -> None:
        self.host = host
        self.name = called(what)
        self._call: Callable[[], Any] | None = calling(what, args)
        self._again = callable(what)
        self._result: Any = None
        self.error: BaseException | None = None
        self.state = "waiting"  # running, done, failed, cancelled, crashed
        self.watched = 0  # by so many that wait for it: they get its error
        self.job: Any = None  # the task or scope of its side

    @property
    def done(self) -> bool:
        """Has it ended? One that crashed with its host has not: it comes back with it."""
        return self.state in ("done", "failed", "cancelled")

    def result(self) -> Any:
        """What it returned. Raises what it raised, and UsageError where it has done neither."""
        if self.error is not None:
            raise self.error
        if self.state != "done":
            raise UsageError(f"{self} has no result yet: await it")
        return self._result

    def cancel(self) -> None:
        """End it, for good."""
        side = self.host.sim.side
        if not self.done:
            if self.job is not None and side is not None:
                side.cancel(self)
            else:
                self.ended("cancelled")

    def __await__(self) -> Generator[Any, Any, Any]:
        return self.wait().__await__()

    async def wait(self) -> Any:
        """What `await program` does."""
        side = await self.host.sim.opened()
        self.watched += 1
        try:
            await side.wait_ended(self)
        finally:
            self.watched -= 1
        if self.state == "cancelled":
            raise UsageError(f"{self} was cancelled: it has no result")
        return self.result()

    # -- its side's ------------------------------------------------------------------------------------------------------------

    def call(self) -> Any:
        """Call what it is, once more. What comes back may have to be awaited."""
        if self._call is None:
            raise UsageError(f"{self} was started as a coroutine, which runs once: give `start` the function and its arguments")
        call = self._call
        if not self._again:
            self._call = None
        return call()

    def ended(self, state: str, result: Any = None, error: BaseException | None = None) -> None:
        self.state = state
        self._result = result
        self.error = error
        self.job = None

    def __str__(self) -> str:
        return f"{self.name}, started on host {self.host.name!r},"

    def __repr__(self) -> str:
        return f"<Program {self.name} on {self.host.name}: {self.state}>"


class SimHost:
    """Made by `Netsim.host`. `node` is what it is to the world: a `netstack.testing` Host."""

    def __init__(self, sim: Netsim, node: Host) -> None:
        self.sim = sim
        self.node = node
        self.programs: list[Program] = []  # in the order in which they were started
        self.was_waited_for = False  # was anything given to `run` here? A crash is news to whoever waits

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def address(self) -> str:
        """Its IPv4 address, as text."""
        return str(self.node.address.address)

    @property
    def is_up(self) -> bool:
        return self.node.is_up

    @property
    def stack(self) -> Stack:
        """That of its present life; after a crash, the one that died."""
        return self.node.stack

    @property
    def net(self) -> Any:
        """Its verbs, while the world is open: a `Net`, in trio a `TrioNet`."""
        return self.node.net

    @property
    def stats(self) -> dict[str, dict[str, int]]:
        """`{"Tcp": {"RetransSegs": 3, …}, …}`, named as in Linux's /proc/net/snmp; of its present life."""
        return self.stack.counters()

    @overload
    def run(self, what: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> Coroutine[Any, Any, T]: ...
    @overload
    def run(self, what: Awaitable[T]) -> Coroutine[Any, Any, T]: ...
    @overload
    def run(self, what: Callable[[*Ts], T], *args: *Ts) -> Coroutine[Any, Any, T]: ...

    def run(self, what: Any, *args: Any) -> Coroutine[Any, Any, Any]:  # type: ignore[misc]  # `*args: *Ts` takes what Any does
        """Run a function, or a coroutine, on this host, and give what it returns. Cancelling it cancels what runs there.

        Raises HostCrashed when the host goes down meanwhile, or is down; UsageError outside of a test world's loop.
        """
        return self._run(what, calling(what, args))

    async def _run(self, what: Callable[..., Any] | Awaitable[Any], call: Callable[[], Any]) -> Any:
        self.was_waited_for = True
        try:
            side = await self.sim.opened()
            if not self.is_up:
                raise HostCrashed(f"{self.name} is down: netsim.restart({self.name!r}) brings it back")
        except BaseException:
            never_awaited(what)
            raise
        return await side.run(self, call, called(what))

    async def run_sync(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """Run a plain function that waits by blocking, on sockets of the standard library or in `time.sleep`, in virtual time
        (worker.py). What it raises is raised here."""
        if not callable(function):
            raise UsageError(f"{function!r} is not a function: run_sync takes one, and its arguments")
        result: T = await self.run(self._work, partial(function, *args), called(function))
        return result

    async def _work(self, call: Callable[[], Any], name: str) -> Any:
        from .worker import Worker

        side = await self.sim.opened()
        worker = Worker(side, copy_context(), call, f"{self.name}: {name}")
        side.knows(worker.thread)
        return await worker.drive()

    def start(self, what: Callable[..., Any] | Awaitable[Any], *args: Any) -> Program:
        """Run it beside the test. On a host that is down it waits for `restart`."""
        program = Program(self, what, args)
        self.programs.append(program)
        if self.sim.side is not None and self.is_up:
            self.sim.side.launch(program)
        return program

    def crash(self) -> None:
        """Power off: what runs here ends, nothing is said on any wire, and what the host knew is gone."""
        if not self.is_up:
            return
        side = self.sim.side
        if side is not None:
            side.crash(self)  # first, so that the network of the dead takes nothing more
        else:
            self.node.crash()

    def restart(self) -> None:
        """Power on, and start again what was started here. Does nothing to a host that is up."""
        if self.is_up:
            return
        self.node.restart()
        side = self.sim.side
        if side is not None:
            side.arrived(self)
            for program in self.programs:
                if program.state != "cancelled":
                    side.launch(program)

    def __repr__(self) -> str:
        return f"<SimHost {self.name} {self.address}{'' if self.is_up else ', down'}>"


def calling(what: Any, args: tuple[Any, ...]) -> Callable[[], Any]:
    """`what` as something that is called without arguments. Raises UsageError."""
    if callable(what):
        return partial(what, *args)
    if not hasattr(what, "__await__"):
        raise UsageError(f"{what!r} can't run on a host: give a function and its arguments, or a coroutine")
    if args:
        raise UsageError(f"{called(what)} is a coroutine, and has its arguments already: give the function, and they go with it")
    return lambda: what


def called(what: Any) -> str:
    """What a program is called, for people."""
    while isinstance(what, partial):
        what = what.func
    return str(getattr(what, "__qualname__", None) or type(what).__qualname__)


def never_awaited(what: Any) -> None:
    """It will not be: without a warning about it, beside the error that says why."""
    close = getattr(what, "close", None)
    if close is not None and hasattr(what, "cr_frame"):
        close()
