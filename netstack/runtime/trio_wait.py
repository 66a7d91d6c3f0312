"""How a task of trio's waits for a stack, and what it is told when it can't go on.

A call that needn't wait is still a checkpoint, as everything in trio: first it looks whether it was cancelled, then it does its
work, and then it yields without being cancellable, so that what was done is never lost with a result that nobody gets.

The errors are of both families: who wrote for trio catches `trio.ClosedResourceError`, who wrote for StreamStack (http/) catches
`ClosedError`, and both are right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import trio

from ..errors import BrokenError, BusyError, ClosedError, TimedOut
from ..instant import SECOND, Duration, check_timeout

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class ResourceClosed(ClosedError, trio.ClosedResourceError):
    """This side has closed it."""


class ResourceBroken(BrokenError, trio.BrokenResourceError):
    """It was broken for you; `__cause__` says how."""


class ResourceBusy(BusyError, trio.BusyResourceError):
    """Another task is using this direction of it."""


class Waiter:
    """One task that waits, or none. With the two methods of a future for which a stream's core looks (streamcore.py)."""

    __slots__ = ("_task",)

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None

    def done(self) -> bool:
        """Nobody is to be woken."""
        return self._task is None

    def set_result(self, result: None) -> None:
        self.wake()

    def wake(self) -> None:
        """Let the task go on, if there is one. Only from a thread in which trio runs."""
        task = self._task
        if task is not None:
            self._task = None
            trio.lowlevel.reschedule(task)

    async def wait(self) -> None:
        """Until `wake`. A cancelled wait leaves nobody waiting."""

        def abort(_: object) -> trio.lowlevel.Abort:
            self._task = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)

    async def wait_for(self, timeout: Duration | None, what: str) -> None:
        """As `wait`; TimedOut when `timeout` nanoseconds pass first."""
        if timeout is None:
            await self.wait()
            return
        check_timeout(timeout)
        with trio.move_on_after(timeout / SECOND) as scope:
            await self.wait()
        if scope.cancelled_caught:
            raise TimedOut(f"timed out {what}")


async def in_trio_thread(call: Callable[[*Ts], T], *args: *Ts) -> T:
    """What would block, in a thread of trio's. It is not cancelled: what it writes to may be in use."""
    return await trio.to_thread.run_sync(call, *args)
