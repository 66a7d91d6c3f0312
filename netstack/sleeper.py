"""One task that waits again and again: a future that is used anew each time, and that can run its task at once.

Who waits for a future of an event loop's is woken by a detour: what has happened sets the future, the future asks the loop, and the
loop runs the task an iteration later. Where the loop itself calls to say what has happened, no task is running that could be
disturbed, and the detour buys nothing: `wake` runs the task there and then, until it waits again. From anywhere else, and that is
from within a task above all, only `wake_soon` will do, the way by the loop.

It is a future by its manners, which are asyncio's (`_asyncio_future_blocking`, `add_done_callback`, `result`, `cancel`), and it
belongs to one task at a time. It imports no asyncio: what a cancellation raises, a future of the loop's knows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Protocol


class Loop(Protocol):
    """What it needs of an event loop."""

    def call_soon(self, callback: Callable[..., object], /, *args: Any, context: Any = None) -> Any: ...
    def create_future(self) -> Any: ...


class Sleeper:
    """`await sleeper`, until somebody wakes it. Its owner sees to it that one task waits, and wakes nobody who has not begun to."""

    __slots__ = ("_asyncio_future_blocking", "_callback", "_context", "_end", "_error", "_fresh", "_loop")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = False
        self._callback: Any = None  # goes on with the task that waits; None: nobody waits, or he is on his way
        self._context: Any = None
        self._error: BaseException | None = None
        self._end: Any = None  # a future of the loop's that was cancelled, as this one
        self._fresh = False

    # -- for its owner ----------------------------------------------------------------------------------------------------------

    @property
    def asleep(self) -> bool:
        """Does somebody wait, whom nobody has woken yet?"""
        return self._callback is not None

    def wake(self) -> None:
        """Run the task now. To be called by the loop, or by what the loop has called; never from a task."""
        callback = self._callback
        if callback is not None:
            context = self._context
            self._callback = self._context = None
            context.run(callback, self)

    def wake_soon(self) -> None:
        """Let the loop run the task."""
        callback = self._callback
        if callback is not None:
            context = self._context
            self._callback = self._context = None
            self._loop.call_soon(callback, self, context=context)

    # -- a future, for those who set one (patience.py) ----------------------------------------------------------------------------

    def done(self) -> bool:
        return self._callback is None

    def set_exception(self, error: BaseException) -> None:
        if self._callback is not None:
            self._error = error
            self.wake_soon()

    # -- a future, for the task that waits ----------------------------------------------------------------------------------------

    def __await__(self) -> Generator[Any, None, None]:
        if self._callback is not None:
            raise RuntimeError("another task sleeps here")  # and would sleep for ever
        self._fresh = True
        return self  # type: ignore[return-value]  # an iterator is enough

    def __iter__(self) -> Sleeper:
        return self

    def __next__(self) -> Sleeper:
        if self._fresh:
            self._fresh = False
            self._asyncio_future_blocking = True
            return self
        raise StopIteration

    def get_loop(self) -> Loop:
        return self._loop

    def add_done_callback(self, callback: Any, *, context: Any = None) -> None:
        self._callback = callback
        self._context = context

    def result(self) -> None:
        """Of the last wait, once."""
        if self._end is not None:
            end, self._end = self._end, None
            end.result()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def cancel(self, msg: Any = None) -> bool:
        if self._callback is None:
            return False
        self._end = self._loop.create_future()
        self._end.cancel(msg)
        self.wake_soon()
        return True
