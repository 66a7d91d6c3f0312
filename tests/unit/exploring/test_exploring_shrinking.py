"""Shrinking, ranges of seeds and journals, without any world."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.errors import UsageError
from netstack.exploring.cases import Case, Range, Space, duration, read_faults
from netstack.exploring.journal import Journal, Ranges
from netstack.exploring.schedule import Event, Schedule
from netstack.exploring.shrinking import Shrinker, lighter, size_of, units_of
from netstack.exploring.storms import Storm, Survey


def shrunk(case: Case, is_bad: Callable[[Case], bool], space: Space | None = None) -> tuple[Case, int]:
    """The smallest that is bad, and how many were tried."""
    tried = 0

    def fails(cases: Sequence[Case]) -> int | None:
        nonlocal tried
        for number, each in enumerate(cases):
            tried += 1
            if is_bad(each):
                return number
        return None

    assert is_bad(case)
    return Shrinker(case, fails, space).run(), tried


def storm(seed: int, most: int = 6) -> Schedule:
    survey = Survey(("a", "b", "c"), ("a-r", "b-r"), 10.0, (1.0, 2.0, 3.0))
    return Schedule(Storm("partition crash cut loss", most)(random.Random(seed), survey))


def test_of_many_events_those_are_left_that_matter():
    """Two injuries that must both be there, among a dozen."""
    events = [Event(n + 0.123456, "crash", f"h{n}") for n in range(12)] + [
        Event(n + 0.623456, "restart", f"h{n}") for n in range(12)
    ]
    found, tried = shrunk(
        Case(7, {"loss": 0.2137, "delay": 37_123_456}, Schedule(events)),
        lambda case: {"h3", "h8"} <= {event.where[0] for event in case.schedule},
    )
    assert {event.where[0] for event in found.schedule} == {"h3", "h8"}
    assert found.faults == ()
    assert found.seed == 0
    assert [event.at for event in found.schedule] == sorted(event.at for event in found.schedule)
    assert all(event.at == int(event.at) for event in found.schedule if event.what == "crash")
    assert tried < 200


def test_an_injury_keeps_its_cure(seed):
    rng = random.Random(seed)
    for _ in range(30):
        schedule = storm(rng.getrandbits(32))
        wanted = units_of(schedule)[0][0]
        found, _ = shrunk(Case(3, {}, schedule), lambda case, what=wanted.what: any(event.what == what for event in case.schedule))
        (unit,) = units_of(found.schedule)
        assert len(unit) == 2
        assert unit[1].cures(unit[0])
        assert unit[0].at < unit[1].at


def test_a_fault_becomes_as_light_as_it_may_and_round():
    found, _ = shrunk(Case(1, {"loss": 0.2873, "delay": 87_654_321}), lambda case: dict(case.faults).get("loss", 0) > 0.1)
    assert found.faults == (("loss", 0.2),)


def test_a_partition_becomes_short_and_begins_at_a_round_instant():
    def is_bad(case: Case) -> bool:
        units = units_of(case.schedule)
        return len(units) == 1 and units[0][0].at <= 4.3 and units[0][1].at >= 5

    found, _ = shrunk(Case(0, {}, "4.123456s partition a b; 19.87654s heal a b"), is_bad)
    assert str(found.schedule) == "4s partition a b; 5s heal a b"


def test_one_injury_that_lasts_longer_is_smaller_than_two():
    def is_bad(case: Case) -> bool:
        return sum(unit[1].at - unit[0].at for unit in units_of(case.schedule)) >= 2

    case = Case(0, {}, "1s partition a b; 2s heal a b; 3s crash a; 4s restart a")
    found, _ = shrunk(case, is_bad)
    assert len(found.schedule) == 2


def test_where_going_down_ends_in_a_hollow_another_case_of_a_simpler_kind_is_drawn():
    """Without its loss the partition must begin at another time, and no step from here leads there."""
    space = Space({"loss": Range(0.1, 0.2)}, Storm("partition", most=1), Survey(("a", "b"), (), 10.0))

    def is_bad(case: Case) -> bool:
        at = next((event.at for event in case.schedule), -1.0)
        return 8 <= at <= 9 if case.faults else 2 <= at <= 3

    found, _ = shrunk(Case(99, {"loss": 0.15}, "8.7s partition a b; 9s heal a b"), is_bad, space)
    assert size_of(found) == (1, 0)


def test_what_was_refused_is_not_tried_again():
    seen: list[str] = []

    def is_bad(case: Case) -> bool:
        seen.append(case.key)
        return len(case.schedule) >= 6

    shrunk(Case(5, {"loss": 0.25}, next(drawn for drawn in map(storm, range(100)) if len(drawn) >= 8)), is_bad)
    assert len(seen) - len(set(seen)) <= 3  # those that were taken, and are stepping stones


def test_lighter_values_are_lawful_and_end():
    assert list(lighter("loss", 0.2873)) == [0.04, 0.07, 0.1, 0.2]
    assert list(lighter("rate", 1_000_000)) == []
    value, steps = 0.3, 0
    while smaller := list(lighter("loss", value)):
        value, steps = smaller[-1], steps + 1
        assert steps < 200
        if value < 1e-9:
            break


# -- cases --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "seconds"), [("30s", 30), ("5m", 300), ("2min", 120), ("250ms", 0.25), (1.5, 1.5), ("12", 12.0), ("90us", 9e-05)]
)
def test_durations_are_said_as_people_say_them(said, seconds):
    assert duration(said) == pytest.approx(seconds)


def test_faults_are_drawn_within_their_ranges(seed):
    space = Space(read_faults({"loss": (0.05, 0.3), "delay": ("10ms", "80ms"), "mtu": (500, 1500), "duplicate": "1%"}))
    drawn = [dict(space.case(number).faults) for number in range(seed % 1000, seed % 1000 + 200)]
    assert all(0.05 <= faults["loss"] <= 0.3 and 10_000_000 <= faults["delay"] <= 80_000_000 for faults in drawn)
    assert all(isinstance(faults["mtu"], int) and 500 <= faults["mtu"] <= 1500 for faults in drawn)
    assert {faults["duplicate"] for faults in drawn} == {0.01}
    assert sum(faults["loss"] == 0.05 for faults in drawn) > 10  # a quarter of 200


def test_a_case_is_what_it_was_after_a_journey_through_json():
    case = Case(3, {"loss": 0.1, "drop": "5-8+9r1", "delay": 5}, "1.25s loss=30% a-b; 2s loss a-b")
    assert Case.from_json(case.to_json()) == case
    assert case.key != Case(4, case.faults, case.schedule).key


# -- on disk ------------------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8))))
def test_ranges_hold_what_a_set_holds(pieces):
    ranges, plain = Ranges(), set()
    for start, length in pieces:
        ranges.add(start, start + length)
        plain |= set(range(start, start + length + 1))
    assert [number in ranges for number in range(80)] == [number in plain for number in range(80)]
    assert len(ranges) == len(plain)
    again = Ranges.parse(str(ranges))
    assert str(again) == str(ranges)
    assert str(ranges).count(",") <= len(plain)


def test_a_million_seeds_in_order_are_one_range():
    ranges = Ranges()
    for start in range(0, 1_000_000, 50):
        ranges.add(start, start + 49)
    assert str(ranges) == "0-999999"


@settings(max_examples=30)
@given(st.binary(max_size=200))
def test_a_journal_survives_whatever_was_torn_off(tmp_path_factory, junk):
    path = tmp_path_factory.mktemp("journal") / "j"
    journal = Journal(path, "key", {"scenario": "x"})
    journal.note_passed([1, 2, 3])
    journal.close()
    with open(path, "ab") as file:
        file.write(junk)
    journal = Journal(path, "key", {"scenario": "x"})
    journal.note_passed([4])
    journal.close()
    again = Journal(path, "key", {})
    assert str(again.passed) == "1-4"
    again.close()


def test_a_journal_keeps_explorations_apart(tmp_path):
    for key in ("one", "two"):
        journal = Journal(tmp_path / "j", key, {})
        assert len(journal.passed) == 0
        journal.note_passed([7])
        journal.note_failed(Case(8), Case(1), {"error": "ValueError"})
        journal.close()
    journal = Journal(tmp_path / "j", "one", {})
    assert (str(journal.passed), journal.failed) == ("7", {8: (Case(8), Case(1))})
    journal.close()


def test_an_event_says_when_what_and_where():
    with pytest.raises(UsageError, match="heal has no value"):
        Event(1, "heal", ("a", "b"), 0.5)
