"""The wheel of deadlines against a sorted list."""

import random

import pytest

from netstack.const import NEVER
from netstack.timers import CallTimer, Timer, Timers

TICK = 1 << 20
SECOND = 1_000_000_000
LEVELS = (64 * TICK, 4096 * TICK, 262144 * TICK, 16777216 * TICK)  # how far each level of the wheel reaches


class World:
    """A wheel, and the same deadlines in a dict."""

    def __init__(self, now: int = 0, count: int = 1) -> None:
        self.wheel = Timers(now)
        self.now = now
        self.fired: list[int] = []
        self.timers = [CallTimer(lambda now, i=i: self.expire(i, now)) for i in range(count)]
        self.deadlines: dict[int, int] = {}
        self.then: dict[int, int] = {}

    def expire(self, i: int, now: int) -> None:
        assert now == self.now
        assert not self.timers[i].armed()
        self.fired.append(i)
        del self.deadlines[i]
        if i in self.then:  # armed again from within
            self.arm(i, self.then.pop(i))

    def arm(self, i: int, when: int) -> None:
        self.deadlines[i] = when
        self.wheel.arm(self.timers[i], when)

    def cancel(self, i: int) -> None:
        self.deadlines.pop(i, None)
        self.wheel.cancel(self.timers[i])

    def run(self, now: int) -> None:
        """Run at `now`: exactly what is due fires, in the order of deadlines; those overdue when armed come when they may."""
        due = {i: when for i, when in self.deadlines.items() if when <= now}
        before, self.now = self.now, max(now, self.now)
        self.fired = []
        self.wheel.run(now)
        assert sorted(self.fired) == sorted(due), f"fired {self.fired}, due {due}, at {now}"
        in_time = [due[i] for i in self.fired if due[i] > before]
        assert in_time == sorted(in_time)
        self.check()

    def check(self) -> None:
        assert self.wheel.count == len(self.deadlines)
        assert {i for i, t in enumerate(self.timers) if t.armed()} == set(self.deadlines)
        soonest = self.wheel.next_deadline()
        if not self.deadlines:
            assert soonest == NEVER
        else:
            assert soonest <= min(self.deadlines.values())


def distance(rng: random.Random) -> int:
    """Near and far, and around the edges of the levels."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.choice(LEVELS) + rng.randrange(-2 * TICK, 2 * TICK)
    if kind == 1:
        return rng.randrange(-SECOND, 1)
    return rng.randrange(1, rng.choice((TICK, 100 * TICK, 10 * SECOND, 3600 * SECOND, 30 * 3600 * SECOND, 10**6 * SECOND)))


@pytest.mark.parametrize("round_", range(8))
def test_any_sequence_of_arming_cancelling_and_running_fires_what_a_sorted_list_would(seed, round_):
    rng = random.Random(seed + round_)
    world = World(now=rng.randrange(10**15), count=40)
    for _ in range(1500):
        i = rng.randrange(40)
        action = rng.randrange(10)
        if action < 5:
            world.arm(i, world.now + distance(rng))
        elif action < 6:
            world.cancel(i)
        elif action < 7:
            world.arm(i, world.now + 1 + distance(rng) % (20 * SECOND))
            world.then[i] = world.now + 50 * 3600 * SECOND + distance(rng) % SECOND
        elif action < 9:
            deadline = world.wheel.next_deadline()
            if deadline != NEVER:
                world.run(max(deadline, world.now))
        else:
            world.run(world.now + abs(distance(rng)))
        world.check()


@pytest.mark.parametrize("now", [0, 1, TICK - 1, TICK, 12345678901234567])
@pytest.mark.parametrize("far", [1, TICK - 1, TICK, 63 * TICK, *LEVELS, 17 * LEVELS[3], NEVER // 2])
def test_a_timer_fires_at_its_deadline_and_not_before(now, far):
    """Driven the way a runtime does it: wake up when next_deadline says so."""
    world = World(now)
    world.arm(0, now + far)
    wakes = 0
    while world.deadlines:
        deadline = world.wheel.next_deadline()
        assert deadline <= now + far
        assert deadline > world.now or wakes == 0
        if far < LEVELS[3]:
            assert wakes <= 4  # one for each level at most
        if wakes > 50:
            world.run(now + far - 1)  # years away: jump
            assert world.deadlines
            deadline = now + far
        world.run(deadline)
        wakes += 1
    assert world.now == now + far


def test_timers_that_are_due_together_fire_in_the_order_of_their_deadlines():
    world = World(0, 100)
    for i in range(100):
        world.arm(i, (i * 37 % 100) * TICK // 7 + 5)
    world.run(SECOND)
    assert world.fired == sorted(range(100), key=lambda i: i * 37 % 100)


def test_a_timer_armed_for_now_fires_at_the_next_run():
    world = World(1000)
    world.arm(0, 1000)
    assert world.wheel.next_deadline() == 1000
    world.run(1000)
    assert world.fired == [0]


def test_a_timer_armed_for_the_past_fires_at_the_next_run():
    world = World(10 * SECOND)
    world.arm(0, SECOND)
    world.run(10 * SECOND)
    assert world.fired == [0]


@pytest.mark.parametrize("again", [0, -5, -SECOND])
def test_a_timer_armed_for_now_from_within_fires_at_the_next_run_and_not_for_ever(again):
    world = World(5 * SECOND)
    world.arm(0, 6 * SECOND)
    world.then[0] = 6 * SECOND + again
    world.now = 6 * SECOND
    world.wheel.run(6 * SECOND)
    assert world.fired == [0]
    assert world.deadlines == {0: 6 * SECOND + again}
    assert world.wheel.next_deadline() <= 6 * SECOND
    world.run(6 * SECOND)
    assert world.fired == [0]


def test_a_timer_can_cancel_and_move_others_that_are_due_with_it():
    wheel = Timers(0)
    fired = []
    second, third = CallTimer(lambda now: fired.append(2)), CallTimer(lambda now: fired.append(3))

    def first_expires(now: int) -> None:
        fired.append(1)
        wheel.cancel(second)
        wheel.arm(third, now + SECOND)

    wheel.arm(CallTimer(first_expires), 5)
    wheel.arm(second, 6)
    wheel.arm(third, 7)
    wheel.run(10)
    assert fired == [1]
    assert not second.armed()
    assert wheel.count == 1
    assert 10 < wheel.next_deadline() <= 10 + SECOND
    wheel.run(10 + SECOND)
    assert fired == [1, 3]


def test_what_a_timer_raises_comes_out_and_silences_no_other():
    wheel = Timers(0)
    fired = []

    def fails(now: int) -> None:
        raise RuntimeError("ours")

    wheel.arm(CallTimer(fails), 5)
    wheel.arm(CallTimer(fired.append), 6)
    wheel.arm(CallTimer(fired.append), 3 * TICK)
    with pytest.raises(RuntimeError, match="ours"):
        wheel.run(5 * TICK)
    assert (wheel.count, fired) == (2, [])
    assert wheel.next_deadline() <= 5 * TICK
    wheel.run(5 * TICK)
    assert fired == [5 * TICK, 5 * TICK]
    assert (wheel.count, wheel.next_deadline()) == (0, NEVER)


def test_arming_again_moves_the_deadline_both_ways():
    world = World(0)
    world.arm(0, SECOND)
    world.arm(0, 5 * SECOND)
    assert world.wheel.next_deadline() <= 5 * SECOND  # or earlier: it waits in its old slot, and the hand passes it on
    world.run(2 * SECOND)
    assert world.fired == []
    assert 2 * SECOND < world.wheel.next_deadline() <= 5 * SECOND
    world.arm(0, 3 * SECOND)
    world.run(3 * SECOND)
    assert world.fired == [0]


@pytest.mark.parametrize("far", [2 * TICK, 5 * SECOND, 3600 * SECOND])
def test_when_the_soonest_deadline_goes_the_next_one_takes_its_place(far):
    world = World(0, 2)
    world.arm(0, TICK)
    world.arm(1, far)
    world.cancel(0)
    assert TICK < world.wheel.next_deadline() <= far
    world.arm(0, TICK)
    world.arm(0, 7200 * SECOND)
    assert TICK < world.wheel.next_deadline() <= far


def test_cancelling_twice_or_an_idle_timer_does_nothing():
    world = World(0)
    world.wheel.cancel(world.timers[0])
    world.arm(0, SECOND)
    world.cancel(0)
    world.cancel(0)
    assert (world.wheel.count, world.wheel.next_deadline()) == (0, NEVER)
    world.run(2 * SECOND)
    assert world.fired == []


def test_an_empty_wheel_follows_the_clock():
    wheel = Timers(0)
    wheel.run(10**6 * SECOND)
    fired = []
    wheel.arm(CallTimer(fired.append), 10**6 * SECOND + 5)
    assert wheel.next_deadline() == 10**6 * SECOND + 5
    wheel.run(10**6 * SECOND + 5)
    assert fired == [10**6 * SECOND + 5]


def test_a_run_in_the_past_fires_nothing_early():
    world = World(10 * SECOND)
    world.arm(0, 10 * SECOND + 1)
    world.wheel.run(0)
    assert world.fired == []
    world.run(10 * SECOND + 1)
    assert world.fired == [0]


def test_a_timer_does_not_know_what_to_do_unless_it_is_told():
    wheel = Timers(0)
    wheel.arm(Timer(), 1)
    with pytest.raises(NotImplementedError):
        wheel.run(1)


def test_a_jump_over_years_is_one_call():
    world = World(0, 20)
    for i in range(20):
        world.arm(i, (i + 1) * 3600 * 24 * 365 * SECOND // 10)
    world.run(3600 * 24 * 365 * 3 * SECOND)
    assert world.fired == list(range(20))
