"""A clock that jumps: time passes only when everything due has been done, and then straight to the next deadline.

Whatever lives on the clock is an *actor*: it says when it wants to run next and is run then. A stack is one, a scripted peer is
one, and so is a function put on the calendar with `call_at`. Actors that are due at one instant run in the order in which they
were added, again and again, until none is due; only then does the clock move. So a run is a function of its inputs and its
seed, whatever the machine is doing, and an hour of retransmissions takes milliseconds.

An instant may take many turns (a wire without delay carries a whole transfer in one), but not for ever: two hosts on such a wire
can answer each other endlessly, and an actor with a bug can leave its deadline in the past. After `spin` turns at one
instant the clock raises `Spinning` and names the actor that took most of them.
"""

import heapq
import itertools
from collections.abc import Callable
from typing import Protocol

from ..errors import NetstackError, UsageError
from ..instant import NEVER, SECOND, Duration, Instant, format_duration


class Actor(Protocol):
    """Something that acts at deadlines: a Stack, a Probe."""

    def next_deadline(self) -> int | None:
        """When `run` is wanted next; NEVER or None when there is no such instant, now or earlier for 'at once'."""

    def run(self, now: Instant, /) -> object: ...


class Stalled(NetstackError, TimeoutError):
    """What was waited for did not come: nothing is left to happen, or the limit has passed."""


class Spinning(NetstackError, RuntimeError):
    """The clock can't leave an instant, because somebody is always due."""


class VirtualClock:
    """Time for tests: starts at `start`, moves only in `advance` and `run_until`."""

    def __init__(self, start: int = 0, spin: int = 100_000) -> None:
        self._now = Instant(start)
        self._spin = spin
        self._actors: list[tuple[Actor, str]] = []
        self._calendar: list[tuple[int, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self._turns = 0
        self._turns_of: dict[str, int] = {}

    @property
    def now(self) -> Instant:
        return self._now

    def add(self, actor: Actor, name: str = "") -> None:
        """`actor` runs on this clock from now on; `name` is for the error that says it spins."""
        if any(actor is other for other, _ in self._actors):
            raise UsageError(f"{name or actor!r} is on this clock already: add each actor once")
        self._actors.append((actor, name or str(getattr(actor, "name", "")) or f"{type(actor).__name__} {len(self._actors)}"))

    def remove(self, actor: Actor) -> None:
        """It runs no more; not being there is fine."""
        self._actors = [(other, name) for other, name in self._actors if other is not actor]

    def call_at(self, when: int, action: Callable[[], object]) -> None:
        """Call `action()` at the instant `when`, before the actors of that instant; a past one means now."""
        heapq.heappush(self._calendar, (max(when, self._now), next(self._order), action))

    def call_later(self, after: int, action: Callable[[], object]) -> None:
        """Call `action()` in `after` nanoseconds."""
        self.call_at(self._now + after, action)

    def next_deadline(self) -> Instant:
        """The earliest instant at which anything happens; NEVER when nothing is left to happen."""
        earliest = int(NEVER)
        if self._calendar:
            earliest = self._calendar[0][0]
        for actor, _ in self._actors:
            deadline = actor.next_deadline()
            if deadline is not None and deadline < earliest:
                earliest = deadline
        return Instant(earliest)

    def run_due(self) -> None:
        """Run everything that is due now, and what that makes due, without moving the clock."""
        while self._pass(None):
            pass

    def advance(self, duration: int) -> None:
        """Let `duration` nanoseconds pass."""
        self.run_until(Instant(self._now + duration))

    def run_until(self, goal: "Callable[[], object] | int", limit: int = Duration(3600 * SECOND)) -> Instant:
        """Run to the instant `goal`, or until `goal()` is true. Returns the instant reached.

        A condition is looked at after every turn of an actor. Raises Stalled when nothing is left to happen or `limit`
        nanoseconds have passed and it is still false, Spinning when the clock can't move on.
        """
        if isinstance(goal, int):
            self._run_to(goal)
            return self._now
        end = self._now + limit
        while not goal():
            if self._pass(goal):
                continue
            deadline = self.next_deadline()
            if deadline >= NEVER:
                raise Stalled(f"nothing is left to happen after {format_duration(self._now)}, and the condition is still false")
            if deadline > end:
                raise Stalled(f"the condition is still false after {format_duration(limit)} of virtual time")
            self._move(deadline)
        return self._now

    def _run_to(self, end: int) -> None:
        if end < self._now:
            raise UsageError(f"the clock is at {self._now} ns already and does not go back to {end}")
        while True:
            self.run_due()
            deadline = self.next_deadline()
            if deadline > end:
                break
            self._move(deadline)
        self._move(end)

    def _move(self, when: int) -> None:
        if when > self._now:
            self._now = Instant(when)
            self._turns = 0
            self._turns_of.clear()

    def _pass(self, goal: "Callable[[], object] | None") -> bool:
        """Give each actor that is due one turn. False when none was; ends early when the goal is reached."""
        ran = False
        while self._calendar and self._calendar[0][0] <= self._now:
            action = heapq.heappop(self._calendar)[2]
            self._turn(f"calendar {getattr(action, '__qualname__', action)!s}")
            action()
            ran = True
            if goal is not None and goal():
                return True
        for actor, name in list(self._actors):
            deadline = actor.next_deadline()
            if deadline is None or deadline > self._now:
                continue
            self._turn(name)
            actor.run(self._now)
            ran = True
            if goal is not None and goal():
                return True
        return ran

    def _turn(self, name: str) -> None:
        self._turns += 1
        self._turns_of[name] = self._turns_of.get(name, 0) + 1
        if self._turns > self._spin:
            worst, turns = max(self._turns_of.items(), key=lambda item: item[1])
            deadline = next((actor.next_deadline() for actor, other in self._actors if other == worst), None)
            raise Spinning(
                f"{self._turns} turns at {self._now} ns and the clock can't move on: {worst} took {turns} of them, "
                f"and its deadline is still {deadline}. It does not move its deadline on, or it and another answer each other "
                "over a wire without delay"
            )
