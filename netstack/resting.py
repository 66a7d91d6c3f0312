"""Streams that live on without a task.

A handler that waits for a peer who may be silent for a minute holds a task, and with it a coroutine for each function on the way
down to the stream: kilobytes, which for ten thousand connections are all that there is to save. So a handler may end and leave its
stream open: it rests, until it stirs, by something to receive, by its end, by the end of its patience; then work goes on in a task
of its own, as if the stream had just been accepted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeAlias

from .errors import UsageError
from .instant import Duration, check_timeout
from .patience import Bells

Work: TypeAlias = Callable[[Any], Awaitable[None]]


class Attendance(Protocol):
    """Who runs the handlers of a listener's streams."""

    @property
    def bells(self) -> Bells: ...
    def go_on(self, stream: Any, work: Work, /) -> None:
        """It stirs: run `work(stream)` in a task, and what follows as for a handler."""

    def end(self, stream: Any, /) -> None:
        """It was closed while it rested."""


class Resting:
    """What a stream is made of that can. `settle` is called when its handler has ended, `stir` when something has happened, which
    counts while it is `resting`; `end_rest` when it is closed."""

    __slots__ = ("_attendance", "_bell", "_rest", "resting")

    def __init__(self, attendance: Attendance | None) -> None:
        self._attendance = attendance
        self._rest: tuple[Work, Duration | None] | None = None  # what is to be run when it stirs
        self._bell = -1
        self.resting = False

    def rest(self, work: Work, timeout: Duration | None = None) -> None:
        """For the handler of a stream of `serve_streams`, as its last act: leave the stream open, and without a task. As soon as
        there is something to receive, or no more will come, or `timeout` has passed (less than a quarter of a second late),
        `work(stream)` is run as the handler was, and may let it rest again. On a stream that is closed: nothing. Raises UsageError
        for other streams.
        """
        check_timeout(timeout)
        if self._attendance is None:
            raise UsageError("a stream rests between two handlers: only one that serve_streams gave can")
        if self._may_rest():
            self._rest = work, timeout

    def settle(self) -> bool:
        """Does it live on?"""
        if self._rest is None or self._attendance is None:
            return False
        self.resting = True
        if not self._lie_down():
            self.stir()
            return True
        timeout = self._rest[1]
        if timeout is not None:
            self._bell = self._attendance.bells.set(self, timeout)
        return True

    def stir(self) -> None:
        """Once in each rest something follows from it."""
        attendance, rest = self._attendance, self._rest
        if self.resting and attendance is not None and rest is not None:
            self._get_up()
            attendance.go_on(self, rest[0])

    def rung(self) -> None:
        if self._bell >= 0:
            self.stir()

    def end_rest(self) -> None:
        """It is closed: nobody will run what was to be run."""
        resting, attendance = self.resting, self._attendance
        self._get_up()
        if resting and attendance is not None:
            attendance.end(self)

    def _get_up(self) -> None:
        self._rest = None
        self.resting = False
        if self._bell >= 0 and self._attendance is not None:
            self._attendance.bells.drop(self, self._bell)
        self._bell = -1

    # -- the stream's own ---------------------------------------------------------------------------------------------------------

    def _may_rest(self) -> bool:
        """It is open."""
        raise NotImplementedError

    def _lie_down(self) -> bool:
        """See to it that it stirs. False: it should at once."""
        raise NotImplementedError
