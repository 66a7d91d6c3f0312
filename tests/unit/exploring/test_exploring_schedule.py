"""Schedules: what they say, as text and back, and what they do to a world."""

from __future__ import annotations

import random

import attrs
import pytest

from netstack.errors import UsageError
from netstack.exploring.schedule import DURATIONS, FIELDS, Event, Schedule, read_schedule
from netstack.exploring.storms import Storm, Survey, thinned
from netstack.instant import MILLISECOND, SECOND
from netstack.testing.net import Endpoint, World
from netstack.testing.topology import star

TEXT = "1.5s partition a b; 2s loss=30% a-b; 3s heal a b; 4s crash server; 5s loss a-b; 6s restart server"


@attrs.define
class Sim:
    """What a schedule needs of a netsim."""

    world: World

    def crash(self, host: str) -> None:
        self.world.node(host).crash()  # type: ignore[attr-defined]

    def restart(self, host: str) -> None:
        self.world.node(host).restart()  # type: ignore[attr-defined]


def test_a_schedule_is_read_as_it_is_written():
    schedule = Schedule.parse(TEXT)
    assert str(schedule) == TEXT
    assert schedule.events[1] == Event(2, "loss", ("a-b",), 0.3)
    assert schedule.events[4] == Event(5, "loss", "a-b")


def test_events_stand_in_the_order_of_their_instants_and_those_of_one_instant_as_they_were_given():
    schedule = read_schedule(["2s heal a b", "1s crash a", "1s crash b"])
    assert str(schedule) == "1s crash a; 1s crash b; 2s heal a b"


def test_every_schedule_that_a_storm_draws_survives_being_written_and_read(seed):
    storm = Storm("partition crash cut down loss ack_loss duplicate reorder corrupt delay", most=6)
    survey = Survey(("a", "b", "c"), ("a-r", "b-r", "c-r"), 12.3456789, (0.1, 0.2, 7.0))
    rng = random.Random(seed)
    for _ in range(200):
        schedule = Schedule(storm(rng, survey))
        assert Schedule.parse(str(schedule)) == schedule


def test_a_storm_undoes_what_it_does(seed):
    storm = Storm("partition crash cut down loss delay", most=4)
    survey = Survey(("a", "b", "c"), ("a-r",), 10.0, (1.0,))
    for number in range(100):
        events = list(storm(random.Random(f"{seed} {number}"), survey))
        assert 2 <= len(events) <= 8
        assert all(cure.cures(injury) for injury, cure in zip(events[::2], events[1::2], strict=True))


def test_half_of_a_storm_falls_between_two_messages():
    survey = Survey(("a", "b"), (), 1000.0, (500.0, 500.001))
    rng = random.Random(1)
    starts = [next(Storm("crash")(rng, survey)).at for _ in range(400)]
    between = sum(500.0 <= at <= 500.001 for at in starts)
    assert 60 < between < 140  # a quarter of all: half are aimed, and half of those behind the second of two instants


def test_a_spared_host_never_crashes(seed):
    rng = random.Random(seed)
    storm = Storm("crash", most=3, spare="b")
    assert {event.where for _ in range(50) for event in storm(rng, Survey(("a", "b"), (), 1.0))} == {("a",)}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("partition a b", "not a duration"),
        ("1s explode a", "nothing that can happen"),
        ("1s partition", "partition whom"),
        ("1s crash=3 a", "only faults have"),
        ("1s loss=200% a", "probability"),
        ("-1s crash a", "not an instant"),
        ("1s", "write when, what and where"),
        ("1s delay=soon a", "can't be read"),
    ],
)
def test_nonsense_is_answered_with_a_sentence(text, word):
    with pytest.raises(UsageError, match=word):
        Schedule.parse(text)


def test_a_storm_knows_its_kinds():
    with pytest.raises(UsageError, match="'plague' is nothing that a storm knows"):
        Storm("partition plague")
    with pytest.raises(UsageError, match="without events"):
        Storm("")


def established(world: World, at: float) -> bool:
    """Does a connection from "a" to "b" come about within 200 ms from then?"""
    a, b = world.node("a"), world.node("b")
    world.rest(round(at * SECOND) - world.now)
    end = Endpoint(b"x")
    try:
        a.connect(b, 7, end)  # type: ignore[attr-defined]
    except OSError:
        return False
    world.rest(200 * MILLISECOND)
    return "connected" in end.events


def echo_world(schedule: str, links: bool = False) -> tuple[World, object]:
    world = World(delay=MILLISECOND)
    if links:
        star(world, ["a", "b"])
    else:
        world.host("a"), world.host("b")
    installed = Schedule.parse(schedule).install(Sim(world))
    world.node("b").listen(7, Endpoint)  # type: ignore[attr-defined]
    return world, installed


@pytest.mark.parametrize("links", [False, True])
@pytest.mark.parametrize(
    "schedule",
    ["1s partition a b; 2s heal a b", "1s partition a; 2s heal", "1s loss=100%; 2s loss", "1s loss=100% b; 2s loss b"],
)
def test_what_is_parted_can_not_meet_until_it_is_healed(schedule, links):
    world, installed = echo_world(schedule, links)
    assert established(world, 0.5)
    assert not established(world, 1.5)
    assert established(world, 2.5)
    assert not installed.void  # type: ignore[attr-defined]


@pytest.mark.parametrize("injury", ["cut", "down"])
def test_a_link_is_cut_or_down_until_its_cure(injury):
    cure = {"cut": "mend", "down": "up"}[injury]
    world, installed = echo_world(f"1s {injury} hub-b; 2s {cure} hub-b", links=True)
    assert established(world, 0.5)
    assert not established(world, 1.5)
    assert established(world, 2.5)
    assert not installed.void  # type: ignore[attr-defined]


def test_a_crash_takes_the_host_and_a_restart_brings_it_back():
    world, _ = echo_world("1s crash b; 2s restart b")
    assert established(world, 0.5)
    assert not established(world, 1.5)
    world.rest(SECOND)
    assert world.node("b").is_up  # type: ignore[attr-defined]


def test_a_fault_without_a_value_is_what_it_was_when_the_world_began():
    world = World(loss=0.25)
    star(world, ["a", "b"])
    Schedule.parse("1s loss=50% hub-a; 2s loss=75% hub-a; 3s delay=10ms hub-a; 4s loss hub-a").install(Sim(world))
    seen = []
    for _ in range(4):
        world.rest(SECOND)
        seen.append((world.links["hub-a"].there.faults.loss, world.links["hub-b"].there.faults.loss))
    assert seen == [(0.5, 0.25), (0.75, 0.25), (0.75, 0.25), (0.25, 0.25)]
    assert world.links["hub-a"].back.faults.delay == 10 * MILLISECOND


def test_an_event_whose_host_is_not_there_is_void_and_said_to_be():
    world, installed = echo_world("1s crash nobody; 1s cut nothing; 1s partition a zoe; 2s loss=1% a-b")
    world.rest(3 * SECOND)
    assert len(installed.void) == 4  # type: ignore[attr-defined]


def test_every_fault_that_is_a_number_can_be_an_event():
    world = World()
    star(world, ["a", "b"])
    values = {"rate": "1M", "mtu": "1000", "queue": "5", "burst": "3", "reorder_past": "2"}
    values |= dict.fromkeys(DURATIONS, "10ms")
    said = [f"1s {name}={values.get(name, '10%')}" for name in FIELDS]
    installed = read_schedule(said).install(Sim(world))
    world.rest(2 * SECOND)
    assert not installed.void
    assert world.links["hub-a"].there.faults.rate == 1_000_000


def test_instants_are_thinned_evenly():
    assert thinned([3 * SECOND, SECOND, SECOND]) == (1.0, 3.0)
    few = thinned(range(0, 100 * SECOND, SECOND), most=10)
    assert few == tuple(float(n) for n in range(0, 100, 10))
