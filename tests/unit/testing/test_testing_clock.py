"""The clock that jumps."""

import pytest

from netstack.errors import UsageError
from netstack.instant import MILLISECOND, NEVER, SECOND, Instant
from netstack.testing.clock import Spinning, Stalled, VirtualClock


class Metronome:
    """Ticks every `period`, `left` times."""

    def __init__(self, period: int, left: int) -> None:
        self.period = period
        self.left = left
        self.next = period
        self.ticks: list[int] = []

    def next_deadline(self) -> int:
        return self.next if self.left else NEVER

    def run(self, now: Instant) -> None:
        self.ticks.append(now)
        self.left -= 1
        self.next = now + self.period


class Stuck:
    def next_deadline(self) -> int:
        return 5

    def run(self, now: Instant) -> None:
        pass


def test_time_jumps_to_the_earliest_deadline_and_no_further() -> None:
    clock = VirtualClock()
    slow, fast = Metronome(7, 2), Metronome(3, 4)
    clock.add(slow)
    clock.add(fast)
    clock.advance(9)
    assert (slow.ticks, fast.ticks) == ([7], [3, 6, 9])
    assert clock.now == 9
    clock.advance(100)
    assert (slow.ticks, fast.ticks) == ([7, 14], [3, 6, 9, 12])
    assert clock.now == 109


def test_an_hour_of_ticks_takes_no_time() -> None:
    clock = VirtualClock()
    ticker = Metronome(SECOND, 10_000)
    clock.add(ticker)
    clock.advance(3600 * SECOND)
    assert len(ticker.ticks) == 3600


def test_actors_of_one_instant_run_in_the_order_they_were_added() -> None:
    clock = VirtualClock()
    seen: list[str] = []

    class Named:
        def __init__(self, name: str) -> None:
            self.name = name
            self.done = False

        def next_deadline(self) -> "int | None":
            return None if self.done else 10

        def run(self, now: Instant) -> None:
            self.done = True
            seen.append(self.name)

    for name in "bac":
        clock.add(Named(name))
    clock.call_at(10, lambda: seen.append("calendar"))
    clock.advance(10)
    assert seen == ["calendar", "b", "a", "c"]


def test_a_condition_is_looked_at_after_every_turn() -> None:
    clock = VirtualClock()
    one, two = Metronome(10, 5), Metronome(10, 5)
    clock.add(one)
    clock.add(two)
    assert clock.run_until(lambda: len(one.ticks) == 2) == 20
    assert len(two.ticks) == 1
    clock.run_due()
    assert len(two.ticks) == 2


def test_a_condition_that_holds_costs_no_time() -> None:
    clock = VirtualClock(start=42)
    assert clock.run_until(lambda: True) == 42


def test_a_condition_that_can_never_come_is_an_error_that_says_so() -> None:
    clock = VirtualClock()
    clock.add(Metronome(MILLISECOND, 3))
    with pytest.raises(Stalled, match="nothing is left to happen after 3 ms"):
        clock.run_until(lambda: False)
    with pytest.raises(TimeoutError):
        clock.run_until(lambda: False)


def test_the_limit_is_counted_in_virtual_time() -> None:
    clock = VirtualClock()
    clock.add(Metronome(SECOND, 1000))
    with pytest.raises(Stalled, match="after 5 s of virtual time"):
        clock.run_until(lambda: False, limit=5 * SECOND)
    assert clock.now == 5 * SECOND


def test_an_actor_whose_deadline_never_moves_is_named() -> None:
    clock = VirtualClock(spin=100)
    clock.add(Metronome(1, 3), "the innocent")
    clock.add(Stuck(), "the stuck one")
    with pytest.raises(Spinning, match=r"at 5 ns.*the stuck one took 51 of the last 51, .*deadline is still 5"):
        clock.advance(10)


def test_a_calendar_entry_that_puts_itself_back_at_once_is_a_spin() -> None:
    clock = VirtualClock(spin=100)

    def again() -> None:
        clock.call_later(0, again)

    again()
    with pytest.raises(Spinning, match="calendar"):
        clock.advance(1)


def test_time_does_not_go_back() -> None:
    clock = VirtualClock(start=10)
    with pytest.raises(UsageError, match="does not go back"):
        clock.run_until(Instant(9))
    seen: list[int] = []
    clock.call_at(3, lambda: seen.append(clock.now))
    clock.run_due()
    assert seen == [10]


def test_an_actor_is_added_once_and_removed_for_good() -> None:
    clock = VirtualClock()
    ticker = Metronome(1, 100)
    clock.add(ticker)
    with pytest.raises(UsageError, match="already"):
        clock.add(ticker)
    clock.advance(2)
    clock.remove(ticker)
    clock.remove(ticker)
    clock.advance(2)
    assert ticker.ticks == [1, 2]
    assert clock.next_deadline() == NEVER


def test_it_runs_ahead_until_it_has_done_enough_or_has_come_to_the_end() -> None:
    clock = VirtualClock()
    log: list[int] = []
    moves: list[int] = []
    for when in (5, 5, 10, 20, 30):
        clock.call_at(when, lambda: log.append(clock.now))
    clock.run_ahead(1, 25, moves.append, lambda: len(log) >= 3)
    assert (log, moves, clock.now) == ([5, 5, 10], [5, 10], 10)  # after the instant at which it was enough
    clock.run_ahead(12, 25, moves.append, lambda: False)
    assert (log[3:], moves[2:], clock.now) == ([20], [20], 20)  # nothing more before the end: it stays where it was last
    clock.run_ahead(22, 1 << 62, moves.append, lambda: False)
    assert (log[4:], clock.now) == ([30], 30)
