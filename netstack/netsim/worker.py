"""Plain functions on a host, that wait by blocking: sockets of the standard library, `time.sleep`.

Such a function runs in a thread, and yet never beside anything else: the loop stands still while it computes, and it stands
still while the loop runs. What it waits for, and all that touches the stack, it asks of a task of the loop, and goes on when that
has the answer. So it is one more coroutine, written without the word, and a run stays a function of its seed.

What it asks of nobody it must not wait for: a lock that another such function holds, a queue, `select`. The loop would wait too.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from .failures import HostCrashed
from .here import workers

T = TypeVar("T")

TRIES = 100  # times that a function may go on asking when its host is gone
PATIENCE = 5.0  # seconds of the machine's time that it may compute then


class Worker:
    """One call. `drive` is the task's part, `ask` the thread's."""

    def __init__(self, side: Any, context: contextvars.Context, call: Callable[[], Any], name: str) -> None:
        self.side = side
        self.thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._context = context
        self._call = call
        self._go = threading.Semaphore(0)
        self._back = threading.Semaphore(0)
        self._request: Callable[[], Awaitable[Any]] | None = None
        self._answer: tuple[Any, BaseException | None] = None, None
        self._ended = False

    def _main(self) -> None:
        self._go.acquire()
        workers.here = self
        try:
            self._answer = self._context.run(self._call), None
        except BaseException as error:  # whatever it is, it is the caller's
            self._answer = None, error
        finally:
            self._ended = True
            self._back.release()

    def ask(self, request: Callable[[], Awaitable[T]]) -> T:
        """Have `request()` awaited on the loop. Called in the thread."""
        self._request = request
        self._back.release()
        self._go.acquire()
        answer: T = self._taken()
        return answer

    def _taken(self) -> Any:
        """The answer, which is kept no longer: an error would keep its frames, and they us."""
        (result, error), self._answer = self._answer, (None, None)
        if error is not None:
            try:
                raise error
            finally:
                del error
        return result

    async def drive(self) -> Any:
        """Let it run to its end. Cancelled, it hears of it where it waits."""
        self.thread.start()
        try:
            while True:
                self._go.release()
                self._back.acquire()
                if self._ended:
                    break
                assert self._request is not None
                try:
                    self._answer = await self._request(), None
                except Exception as error:
                    self._answer = None, error
        except BaseException:
            self._abandon()
            raise
        self.thread.join()
        return self._taken()

    def _abandon(self) -> None:
        for _ in range(TRIES):
            if self._ended:
                break
            self._answer = None, HostCrashed("what this ran for has ended")
            self._go.release()
            if not self._back.acquire(timeout=PATIENCE):
                return
        if self._ended:
            self.thread.join()
