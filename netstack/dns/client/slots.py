"""So many at once, and the others wait in the order in which they came; of asyncio or of trio."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ...runtime.waits import Event, Waits


class Slots:
    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self._queue: deque[Event] = deque()

    @asynccontextmanager
    async def one(self, waits: Waits) -> AsyncIterator[None]:
        if self.taken < self.most:
            self.taken += 1
        else:
            turn = waits.event()
            self._queue.append(turn)
            try:
                await waits.wait(turn)  # with the slot of who left
            except BaseException:
                if turn in self._queue:
                    self._queue.remove(turn)
                else:
                    self._leave()
                raise
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        if self._queue:
            self._queue.popleft().set()
        else:
            self.taken -= 1
