"""Time limits of waits that mostly end long before: one timer for many of them.

Who waits again and again, each time for a minute at most, and is served within a millisecond, would make and cancel a timer each
time. Here (`Patience`) the timer stays when a wait ends. When it comes, it looks whether somebody waits now, and until when.

And ten thousand who rest for a minute would have ten thousand timers. Here (`Bells`) they share one, and are told late by less
than a quarter of a second.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any, Protocol

from .errors import TimedOut
from .instant import SECOND, Duration, check_timeout

STROKES = 4  # of the bells in a second


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


class Sleeping(Protocol):
    def rung(self) -> None:
        """The time has come. Also for who was dropped in the same call of the loop."""


class Bells:
    """For everybody who rests, of one loop."""

    __slots__ = ("_loop", "_next", "_rooms", "_timer")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._rooms: dict[int, set[Sleeping]] = {}  # by the stroke with which they are told
        self._next = 0  # the stroke that the timer is for
        self._timer: Timer | None = None

    def set(self, who: Sleeping, timeout: Duration) -> int:
        """`who.rung()` will be called, once. Gives what `drop` takes. Raises UsageError for what is no time."""
        check_timeout(timeout)
        stroke = ceil((self._loop.time() + timeout / SECOND) * STROKES)
        room = self._rooms.get(stroke)
        if room is None:
            room = self._rooms[stroke] = set()
            if self._timer is None or stroke < self._next:
                self._arm(stroke)
        room.add(who)
        return stroke

    def drop(self, who: Sleeping, stroke: int) -> None:
        """It won't be."""
        room = self._rooms.get(stroke)
        if room is not None:
            room.discard(who)
            if not room:
                del self._rooms[stroke]
                if not self._rooms:
                    self.stop()

    def stop(self) -> None:
        """Nobody will be told."""
        self._rooms.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, stroke: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = stroke
        self._timer = self._loop.call_at(stroke / STROKES, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self._loop.time() * STROKES
        for stroke in sorted(stroke for stroke in self._rooms if stroke <= now):
            for who in self._rooms.pop(stroke, ()):
                who.rung()
        if self._rooms:
            self._arm(min(self._rooms))
