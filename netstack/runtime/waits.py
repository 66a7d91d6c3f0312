"""What a face needs to wait, of asyncio or of trio: a clock, events, and waiting for one with a time limit.

Faces that stand on streams (tls/) wait in the stream's own methods, and hardly ever here: so one source serves both.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Protocol

from ..errors import TimedOut
from ..instant import SECOND, Duration

Work = Callable[[], Coroutine[Any, Any, None]]

log = logging.getLogger("netstack")


class Event(Protocol):
    """Something that happens once."""

    def set(self) -> object: ...
    async def wait(self) -> object: ...


class Spawned(Protocol):
    """A task that its spawner owns: who spawns also cancels, and waits, before he is gone himself."""

    def cancel(self) -> None:
        """Once it is over, nothing."""

    async def join(self) -> None:
        """Until it is over, however that came about. Never raises what it raised."""


class Waits(Protocol):
    """The runtime's own ways."""

    def now(self) -> int:
        """Nanoseconds, of the clock that its time limits run by."""

    def wall(self) -> int:
        """Seconds since 1970, by the same clock as `time.time`."""

    def event(self) -> Event: ...
    async def wait(self, event: Event, timeout: Duration | None = None) -> None:
        """Until `event` has happened. Raises TimedOut."""

    async def check(self) -> None:
        """Raise here, where it does no harm, what would be raised at the beginning of the next call: a cancellation."""

    def shield(self) -> AbstractContextManager[object]:
        """What is called inside doesn't wait, and is done though the task is cancelled."""

    def spawn(self, work: Work) -> Spawned:
        """Run `work()` in a task beside this one. An error in it is logged and ends nothing else."""

    # -- for who brings a descriptor, or is called from outside, and runs the work of others: a stack

    async def turn(self) -> None:
        """Let everybody else have a turn."""

    def soon(self, call: Callable[[], object]) -> None:
        """Call it from the loop, which is running: at once, but not before this returns."""

    def watch(self, fd: int, call: Callable[[], object]) -> Callable[[], object]:
        """Call it whenever `fd` is readable, until what this gives is called."""

    def report(self, message: str, error: BaseException) -> None:
        """An error that nobody waits for: to the loop's exception handler, or to the log."""


async def pause(waits: Waits, duration: Duration) -> None:
    """Let `duration` pass."""
    with suppress(TimedOut):
        await waits.wait(waits.event(), duration)


class AsyncioWaits:
    """Of the loop that runs when it is first asked."""

    def __init__(self) -> None:
        self._time: Callable[[], float] | None = None

    def now(self) -> int:
        time = self._time
        if time is None:
            time = self._time = asyncio.get_running_loop().time
        return int(time() * SECOND)

    def clock(self) -> Callable[[], int]:
        loop = asyncio.get_running_loop()
        if isinstance(loop, asyncio.BaseEventLoop) and type(loop).time is asyncio.BaseEventLoop.time:
            return time.monotonic_ns  # what that asks, without four calls on the way
        return self.now

    def wall(self) -> int:
        return int(time.time())

    def event(self) -> Event:
        return asyncio.Event()

    async def wait(self, event: Event, timeout: Duration | None = None) -> None:
        if timeout is None:
            await event.wait()
            return
        try:
            async with asyncio.timeout(timeout / SECOND):
                await event.wait()
        except TimeoutError:
            raise TimedOut from None

    async def check(self) -> None:
        """A cancellation is raised where a task waits, and nowhere else."""

    def shield(self) -> AbstractContextManager[object]:
        return NOTHING

    def spawn(self, work: Work) -> Spawned:
        return AsyncioTask(work)

    async def turn(self) -> None:
        await asyncio.sleep(0)

    def soon(self, call: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_soon(call)

    def watch(self, fd: int, call: Callable[[], object]) -> Callable[[], object]:
        loop = asyncio.get_running_loop()
        loop.add_reader(fd, call)
        return lambda: loop.remove_reader(fd)

    def report(self, message: str, error: BaseException) -> None:
        asyncio.get_running_loop().call_exception_handler({"message": message, "exception": error})


class AsyncioTask:
    """A task kept referenced, which the loop itself does not do."""

    def __init__(self, work: Work) -> None:
        self._task = asyncio.get_running_loop().create_task(work())
        ALIVE.add(self._task)
        self._task.add_done_callback(_over)

    def cancel(self) -> None:
        self._task.cancel()

    async def join(self) -> None:
        if self._task is not asyncio.current_task():
            await asyncio.wait([self._task])


ALIVE: set[asyncio.Task[None]] = set()  # those that run: each is its spawner's, who bounds them


def _over(task: asyncio.Task[None]) -> None:
    ALIVE.discard(task)
    if not task.cancelled() and task.exception() is not None:
        log.error("Unhandled exception in a task of the stack's", exc_info=task.exception())


NOTHING = nullcontext()


def waits_here() -> Waits:
    """Those of the runtime that runs this."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        if "trio" not in sys.modules:
            raise
        from .trio.waits import TrioWaits

        return TrioWaits()
    return AsyncioWaits()
