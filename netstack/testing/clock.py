"""A clock that jumps: time passes only when everything due has been done, and then straight to the next deadline.

Whatever lives on the clock is an *actor*: it says when it wants to run next and is run then. A stack is one, a scripted peer is
one, and so is a function put on the calendar with `call_at`. Actors that are due at one instant run in the order in which they
were added, again and again, until none is due; only then does the clock move. So a run is a function of its inputs and its
seed, whatever the machine is doing, and an hour of retransmissions takes milliseconds.

An instant may take many turns (a wire without delay carries a whole transfer in one), but not for ever: two hosts on such a wire
can answer each other endlessly, and an actor with a bug can leave its deadline in the past. After `spin` turns at one
instant the clock raises `Spinning` and names the actor that took most of them.

Nobody tells the clock that a deadline has moved: a program may call any stack at any time. So it asks all actors, once for each
turn; of a stack on a wire it asks the timers and the inbox themselves, which is a few nanoseconds where this is compiled.
"""

import heapq
from collections.abc import Callable
from typing import Protocol

from .. import const
from ..errors import NetstackError, UsageError
from ..instant import SECOND, Duration, Instant, format_duration
from ..stack import Stack
from ..timers import Timers
from .inbox import Inbox, InboxNetif


class Actor(Protocol):
    """Something that acts at deadlines: a Stack, a Probe. One with an attribute `inbox`, an Inbox, is not asked: it runs when a
    frame has arrived there, and, with an attribute `timers`, Timers, when one of those is due."""

    def next_deadline(self) -> int | None:
        """When `run` is wanted next; NEVER or None when there is no such instant, now or earlier for 'at once'."""

    def run(self, now: Instant, /) -> object: ...


class Stalled(NetstackError, TimeoutError):
    """What was waited for did not come: nothing is left to happen, or the limit has passed."""


class Spinning(NetstackError, RuntimeError):
    """The clock can't leave an instant, because somebody is always due."""


class Seat:
    """An actor's place on the clock, and the short way to its deadline where there is one."""

    __slots__ = ("actor", "inbox", "name", "timers")

    def __init__(self, actor: Actor, name: str) -> None:
        self.actor = actor
        self.name = name
        self.timers: Timers | None = None
        self.inbox: Inbox | None = None
        inbox: object = getattr(actor, "inbox", None)
        if type(actor) is Stack and isinstance(actor.netif, InboxNetif):
            inbox = actor.netif.inbox
        if isinstance(inbox, Inbox):
            self.inbox = inbox
            timers: object = getattr(actor, "timers", None)
            if isinstance(timers, Timers):
                self.timers = timers

    def deadline(self) -> int:
        """That of the actor; NEVER when it has none."""
        if self.inbox is not None:
            soonest: int = self.inbox.soonest
            if self.timers is not None:
                deadline: int = self.timers.next_deadline()
                if deadline < soonest:
                    return deadline
            return soonest
        said = self.actor.next_deadline()
        return const.NEVER if said is None else said


class VirtualClock:
    """Time for tests: starts at `start`, moves only in `advance` and `run_until`."""

    __slots__ = ("_calendar", "_earliest", "_now", "_order", "_seats", "_spin", "_suspects", "_turns")

    def __init__(self, start: int = 0, spin: int = 100_000) -> None:
        self._now: int = start
        self._spin = spin
        self._seats: list[Seat] = []
        self._calendar: list[tuple[int, int, Callable[[], object]]] = []
        self._order = 0
        self._turns = 0
        self._suspects: dict[str, int] = {}
        self._earliest: int = const.NEVER  # as the last pass found it

    @property
    def now(self) -> Instant:
        return Instant(self._now)

    def add(self, actor: Actor, name: str = "") -> None:
        """`actor` runs on this clock from now on; `name` is for the error that says it spins."""
        if any(actor is seat.actor for seat in self._seats):
            raise UsageError(f"{name or actor!r} is on this clock already: add each actor once")
        name = name or str(getattr(actor, "name", "")) or f"{type(actor).__name__} {len(self._seats) + 1}"
        self._seats = [*self._seats, Seat(actor, name)]  # a new list: a turn in progress goes on over the old one

    def remove(self, actor: Actor) -> None:
        """It runs no more; not being there is fine."""
        self._seats = [seat for seat in self._seats if seat.actor is not actor]

    def call_at(self, when: int, action: Callable[[], object]) -> None:
        """Call `action()` at the instant `when`, before the actors of that instant; a past one means now."""
        self._order += 1
        heapq.heappush(self._calendar, (max(when, self._now), self._order, action))

    def call_later(self, after: int, action: Callable[[], object]) -> None:
        """Call `action()` in `after` nanoseconds."""
        self.call_at(self._now + after, action)

    def next_deadline(self) -> Instant:
        """The earliest instant at which anything happens; NEVER when nothing is left to happen."""
        earliest: int = const.NEVER
        if self._calendar:
            earliest = self._calendar[0][0]
        for seat in self._seats:
            deadline = seat.deadline()
            if deadline < earliest:
                earliest = deadline
        return Instant(earliest)

    def run_due(self) -> None:
        """Run everything that is due now, and what that makes due, without moving the clock."""
        while self._pass(None):
            pass

    def advance(self, duration: int) -> None:
        """Let `duration` nanoseconds pass."""
        self.run_until(self._now + duration)

    def run_until(self, goal: "Callable[[], object] | int", limit: int = Duration(3600 * SECOND)) -> Instant:
        """Run to the instant `goal`, or until `goal()` is true. Returns the instant reached.

        A condition is looked at after every turn of an actor. Raises Stalled when nothing is left to happen or `limit`
        nanoseconds have passed and it is still false, Spinning when the clock can't move on.
        """
        if isinstance(goal, int):
            self._run_to(goal)
            return Instant(self._now)
        end = self._now + limit
        while not goal():
            if self._pass(goal):
                continue
            deadline = self._earliest
            if deadline >= const.NEVER:
                raise Stalled(f"nothing is left to happen after {format_duration(self._now)}, and the condition is still false")
            if deadline > end:
                raise Stalled(f"the condition is still false after {format_duration(limit)} of virtual time")
            self._move(deadline)
        return Instant(self._now)

    def _run_to(self, end: int) -> None:
        if end < self._now:
            raise UsageError(f"the clock is at {self._now} ns already and does not go back to {end}")
        while True:
            if self._pass(None):
                continue
            deadline = self._earliest
            if deadline > end:
                break
            self._move(deadline)
        self._move(end)

    def _move(self, when: int) -> None:
        if when > self._now:
            self._now = when
            self._turns = 0

    def _pass(self, goal: "Callable[[], object] | None") -> bool:
        """Give each actor that is due one turn. False when none was, and then `_earliest` says when one will be; ends early when
        the goal is reached."""
        ran = False
        now = self._now
        earliest: int = const.NEVER
        while self._calendar and self._calendar[0][0] <= now:
            action = heapq.heappop(self._calendar)[2]
            self._count(None, action)
            action()
            ran = True
            if goal is not None and goal():
                return True
        for seat in self._seats:
            deadline = seat.deadline()
            if deadline > now:
                if deadline < earliest:
                    earliest = deadline
                continue
            self._count(seat, None)
            seat.actor.run(Instant(now))
            ran = True
            if goal is not None and goal():
                return True
        if self._calendar and self._calendar[0][0] < earliest:
            earliest = self._calendar[0][0]
        self._earliest = earliest
        return ran

    def _count(self, seat: "Seat | None", action: "Callable[[], object] | None") -> None:
        """One turn more at this instant. Who takes them is written down only in the second half of those allowed."""
        self._turns += 1
        if self._turns * 2 <= self._spin:
            if self._turns == 1:
                self._suspects.clear()
            return
        name = seat.name if seat is not None else f"calendar {getattr(action, '__qualname__', action)!s}"
        self._suspects[name] = self._suspects.get(name, 0) + 1
        if self._turns > self._spin:
            worst = max(self._suspects, key=self._suspects.__getitem__)
            deadline = next((seat.deadline() for seat in self._seats if seat.name == worst), None)
            raise Spinning(
                f"{self._turns} turns at {self._now} ns and the clock can't move on: {worst} took {self._suspects[worst]} of the "
                f"last {self._turns - self._spin // 2}, and its deadline is still {deadline}. It does not move its deadline on, or "
                "it and another answer each other over a wire without delay"
            )
