"""Time limits of waits that mostly end long before: one timer for many of them.

Who waits again and again, each time for a minute at most, and is served within a millisecond, would make and cancel a timer each
time. Here the timer stays when a wait ends. When it comes, it looks whether somebody waits now, and until when.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .errors import TimedOut
from .instant import SECOND, Duration, check_timeout


class Timer(Protocol):
    def cancel(self) -> None: ...


class Loop(Protocol):
    """What it needs of an event loop: asyncio's, or one like it. Times in seconds."""

    def time(self) -> float: ...
    def call_at(self, when: float, callback: Callable[[], object], /) -> Any: ...


class Patience:
    """For one waiter at a time. `begin` before he waits for `future`, which is anything with `done()` and `set_exception()`;
    `end` after. When the time has come, the future gets TimedOut."""

    __slots__ = ("_deadline", "_future", "_loop", "_timer", "_what", "_when")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._timer: Timer | None = None
        self._when = 0.0  # it will come; uvloop's don't say it where that is at once
        self._future: Any = None
        self._deadline = 0.0
        self._what = ""

    def begin(self, future: Any, timeout: Duration, what: str) -> None:
        """`what` the wait is for completes "timed out …". Raises UsageError for what is no time."""
        check_timeout(timeout)
        deadline = self._loop.time() + timeout / SECOND
        self._future = future
        self._deadline = deadline
        self._what = what
        timer = self._timer
        if timer is None or self._when > deadline:
            if timer is not None:
                timer.cancel()
            self._arm()

    def end(self) -> None:
        self._future = None

    def stop(self) -> None:
        """Nobody will wait any more."""
        self._future = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._when = self._deadline
        self._timer = self._loop.call_at(self._when, self._come)

    def _come(self) -> None:
        self._timer = None
        future = self._future
        if future is None or future.done():
            return
        if self._loop.time() < self._deadline:
            self._arm()
        else:
            future.set_exception(TimedOut(f"timed out {self._what}"))
