"""What the harness of `make bench` makes of figures: medians, ratios within a round, which rounds count."""

import pytest

from tests.bench.measure import EXTRA, QUIET, WARM, Entrant, Goal, Round, Row, Spread, judge, keep, measure, ratio, wanted
from tests.bench.place import Absent, Failed

FASTER = Goal("speed", "gbit", "ours", "theirs", 0.7)
SHORTER = Goal("time", "us", "ours", "theirs", 0.6, at_least=False)
ALONE = Goal("in memory", "gbit", "ours", None, 20)


def rounds(*pairs, key="gbit", others=0.0):
    return [Round({"ours": {key: ours}, "theirs": {key: theirs}}, others) for ours, theirs in pairs]


class QuietLab:
    """What `measure` needs of a lab, on a machine where nobody works."""

    def __init__(self):
        self.processes = []

    def used(self):
        return 0.0

    def attempt(self):
        from contextlib import nullcontext

        return nullcontext()


@pytest.fixture
def lab(monkeypatch):
    monkeypatch.setattr("tests.bench.place.busy", lambda: 0.0)
    return QuietLab()


def test_a_spread_is_the_median_with_the_lowest_and_the_highest():
    assert Spread.of([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)
    assert Spread.of([1.0, 2.0]) == Spread(1.5, 1.0, 2.0)


def test_a_ratio_is_taken_within_each_round_so_that_a_slow_minute_hits_both():
    assert ratio(FASTER, rounds((8, 10), (4, 5), (80, 100))) == Spread(0.8, 0.8, 0.8)


def test_a_ratio_without_a_peer_is_the_figure_itself():
    assert ratio(ALONE, rounds((19, 1), (21, 1), (23, 1))) == Spread(21, 19, 23)


def test_rounds_in_which_one_of_the_two_is_missing_do_not_count():
    half = [Round({"ours": {"gbit": 5.0}}, 0.0)]
    assert ratio(FASTER, half) is None
    assert ratio(FASTER, half + rounds((6, 10))) == Spread(0.6, 0.6, 0.6)


def test_a_peer_that_measured_nothing_gives_no_ratio():
    assert ratio(FASTER, rounds((5, 0))) is None


@pytest.mark.parametrize(
    ("goal", "value", "reached"),
    [(FASTER, 0.7, True), (FASTER, 0.69, False), (SHORTER, 0.6, True), (SHORTER, 0.61, False)],
)
def test_a_goal_is_reached_at_its_limit(goal, value, reached):
    assert goal.reached(value) is reached


def test_a_disturbed_round_asks_for_another_one_but_not_for_ever():
    quiet, loud = Round({}, 0.0), Round({}, QUIET + 0.1)
    assert wanted([], 3)
    assert not wanted([quiet] * 3, 3)
    assert wanted([quiet, quiet, loud], 3)
    assert wanted([loud] * (2 + EXTRA), 3)
    assert not wanted([loud] * (3 + EXTRA), 3)
    assert not wanted([loud], 1), "a quick look is one round, whatever happens"


def test_the_quietest_rounds_are_kept_in_their_order():
    all_of_them = [Round({"n": {"n": float(n)}}, others) for n, others in enumerate([0.5, 0.1, 0.9, 0.2])]
    assert [each.values["n"]["n"] for each in keep(all_of_them, 2)] == [1.0, 3.0]


def test_those_who_take_part_run_in_turns(lab):
    order = []

    def entrant(name, value):
        def run(seconds):
            order.append((name, seconds))
            return {"gbit": value}

        return Entrant(name, lambda _: run, own=name == "ours")

    row = Row("receive", "Text.", {"gbit": "Gbit/s"}, [entrant("ours", 6.0), entrant("theirs", 3.0)], [FASTER])
    result = measure(row, lab, runs=2, seconds=0.5)
    assert order == [("ours", WARM), ("theirs", WARM), *[("ours", 0.5), ("theirs", 0.5)] * 2]
    found = [(figure.entrant, figure.own, figure.spread.median) for figure in result.figures]
    assert found == [("ours", True, 6.0), ("theirs", False, 3.0)]
    (verdict,) = result.verdicts
    assert verdict.ratio == Spread(2.0, 2.0, 2.0)
    assert verdict.reached is True


def test_who_does_not_run_stands_still(lab):
    moving = set()

    class Server:
        def __init__(self, name):
            self.name = name
            moving.add(name)

        def resume(self):
            moving.add(self.name)

        def pause(self):
            moving.remove(self.name)

    def entrant(name, breaks=False):
        def run(seconds):
            assert moving == {name}
            if breaks and seconds != WARM:
                raise Failed("it ended")
            return {"gbit": 1.0}

        def enter(lab):
            lab.processes.append(Server(name))
            return run

        return Entrant(name, enter)

    row = Row("receive", "Text.", {"gbit": "Gbit/s"}, [entrant("ours"), entrant("theirs", breaks=True), entrant("others")])
    assert len(measure(row, lab, runs=2, seconds=0.5).figures) == 2
    assert not moving


def test_who_cannot_start_or_breaks_down_is_left_out_with_the_reason(lab):
    def absent(_):
        raise Absent("pasta (on Debian: apt-get install passt)")

    def breaks(seconds):
        if seconds != WARM:
            raise Failed("it ended")
        return {"gbit": 1.0}

    entrants = [Entrant("ours", lambda _: lambda _: {"gbit": 1.0}), Entrant("pasta", absent), Entrant("theirs", lambda _: breaks)]
    result = measure(Row("receive", "Text.", {"gbit": "Gbit/s"}, entrants, [FASTER]), lab, runs=2, seconds=0.5)
    assert result.missing == {"pasta": "pasta (on Debian: apt-get install passt)", "theirs": "it ended"}
    assert [figure.entrant for figure in result.figures] == ["ours"]
    assert result.verdicts[0].ratio is None
    assert result.verdicts[0].reached is None


def test_a_row_that_nobody_could_enter_has_no_figures():
    result = judge(Row("receive", "Text.", {"gbit": "Gbit/s"}, [], [FASTER]), [], {"ours": "why"})
    assert (result.figures, result.rounds, result.others) == ([], 0, 0.0)
