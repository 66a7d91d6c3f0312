"""waits.py, by trio."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import trio

from ...errors import TimedOut
from ...instant import SECOND, Duration
from ..waits import Event, Spawned, Work, log


class TrioWaits:
    def now(self) -> int:
        return int(trio.current_time() * SECOND)

    def wall(self) -> int:
        return int(time.time())

    def event(self) -> Event:
        return trio.Event()

    async def wait(self, event: Event, timeout: Duration | None = None) -> None:
        if timeout is None:
            await event.wait()
            return
        with trio.move_on_after(timeout / SECOND):
            await event.wait()
            return
        raise TimedOut

    async def check(self) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()

    def shield(self) -> AbstractContextManager[object]:
        return trio.CancelScope(shield=True)

    def spawn(self, work: Work) -> Spawned:
        return TrioTask(work)

    async def turn(self) -> None:
        await trio.lowlevel.checkpoint()

    def soon(self, call: Callable[[], object]) -> None:
        trio.lowlevel.current_trio_token().run_sync_soon(call)

    def watch(self, fd: int, call: Callable[[], object]) -> Callable[[], object]:
        async def look() -> None:
            while True:
                await trio.lowlevel.wait_readable(fd)
                call()

        return TrioTask(look).cancel

    def report(self, message: str, error: BaseException) -> None:
        log.error(message, exc_info=error)


class TrioTask:
    """A system task: it belongs to no nursery, and is cancelled when the main task is over."""

    def __init__(self, work: Work) -> None:
        self._scope = trio.CancelScope()
        self._over = trio.Event()
        trio.lowlevel.spawn_system_task(self._run, work, name=work, context=contextvars.copy_context())

    async def _run(self, work: Work) -> None:
        try:
            with self._scope:
                await work()
        except Exception as error:
            log.error("Unhandled exception in a task of the stack's", exc_info=error)
        finally:
            self._over.set()

    def cancel(self) -> None:
        self._scope.cancel()

    async def join(self) -> None:
        await self._over.wait()
