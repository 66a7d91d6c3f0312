"""waits.py, by trio."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager

import trio

from ...errors import TimedOut
from ...instant import SECOND, Duration
from ..waits import Event


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
