"""Known bugs are found, and shrunk to the least that shows them; and the way there is the same whoever goes it."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import random
import re
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import explored_scenarios as scenarios
import pytest

from netstack.errors import UsageError
from netstack.exploring.cases import Case
from netstack.exploring.report import Counterexample, Failure, Interrupted, Report
from netstack.exploring.shrinking import units_of
from netstack.netsim import run
from netstack.testing import Event, Schedule, Storm, Survey, explore


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def quietly(scenario: object, **arguments: Any) -> Report:
    """In this process, unless it is said otherwise."""
    return explore(scenario, **{"progress": False, "jobs": 0, "captures": None, **arguments})


def only(report: Report) -> Failure:
    (failure,) = report.failures
    assert failure.kind == "failed"
    assert failure.is_small, "shrinking did not come to its end"
    return failure


def fails_again(failure: Failure) -> bool:
    case = failure.case
    outcome = run(failure.scenario.function, seed=case.seed, faults=dict(case.faults), schedule=str(case.schedule))
    return not outcome.ok and outcome.digest == failure.digest


# -- bugs --------------------------------------------------------------------------------------------------------------


def test_a_lost_reply_is_shrunk_to_loss_alone():
    failure = only(quietly(scenarios.lost_reply, schedules="partition loss", loss=(0, 0.3), delay=("0ms", "50ms")))
    assert failure.error == "AssertionError"
    assert failure.verdict.place.endswith("in forgetful")
    units = units_of(failure.case.schedule)
    assert len(units) + len(failure.case.faults) == 1
    assert fails_again(failure)


def test_a_lock_that_two_have_needs_one_partition_and_nothing_else():
    failure = only(quietly(scenarios.two_holders, schedules="partition duplicate reorder", delay=("0ms", "20ms")))
    assert failure.case.faults == ()
    assert [event.what for event in failure.case.schedule] == ["partition", "heal"]
    assert all(event.at == round(event.at, 2) for event in failure.case.schedule)
    assert failure.case.seed == 0
    assert fails_again(failure)


def test_a_count_that_is_off_by_one_needs_one_crash_between_two_messages():
    """The window is a hundredth of the run: aimed events fall into it."""
    report = quietly(scenarios.off_by_one, seeds=2000, schedules=Storm("crash partition", most=3), delay="5ms")
    failure = only(report)
    crash, restart = failure.case.schedule
    assert (crash.what, crash.where, restart.what) == ("crash", ("counter",), "restart")
    assert failure.verdict.message.startswith("counted to 4")
    assert fails_again(failure)


def test_what_fails_without_any_fault_is_said_at_once():
    report = quietly(scenarios.always_wrong, seeds=10_000)
    (failure,) = report.failures
    assert report.cases == 1
    assert failure.error == "ValueError"
    assert "fails in a calm world" in failure.notes[0]


def test_a_scenario_without_a_bug_passes_and_says_how_often():
    report = quietly(scenarios.fine, seeds=25)
    assert report.ok
    assert report.check() is report
    assert report.cases == 25
    assert "25 cases" in str(report)
    assert "all passed" in str(report)


def test_a_scenario_may_be_trios_and_says_so_by_its_mark():
    marked = pytest.mark.trio(scenarios.in_trio)
    report = quietly(marked, seeds=4, loss=0.05)
    assert report.ok, str(report)
    assert quietly(scenarios.in_trio, seeds=2, runtime="trio").ok


def test_different_failures_are_found_and_equal_ones_counted():
    async def two_bugs(netsim: Any) -> None:
        netsim.host("a")
        if netsim.seed % 3 == 1:
            raise KeyError(netsim.seed)
        assert netsim.seed % 10 != 2

    report = quietly(two_bugs, seeds=range(20), stop_after=2)
    assert [failure.error for failure in report.failures] == ["KeyError", "AssertionError"]
    assert [failure.case.seed for failure in report.failures] == [1, 2]
    assert report.stopped == "failures"
    report = quietly(two_bugs, seeds=range(20), stop_after=9)
    assert [failure.seeds for failure in report.failures] == [[1, 4, 7, 10, 13, 16, 19], [2, 12]]
    assert report.stopped == "all"


# -- the way there -----------------------------------------------------------------------------------------------------


@pytest.mark.once
def test_the_report_is_the_same_whoever_runs_the_cases():
    arguments: dict[str, Any] = {"schedules": "partition crash", "loss": (0, 0.1), "seeds": 60}
    reports = [quietly(scenarios.two_holders, **arguments)]
    for executor in (ThreadPoolExecutor(3), ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))):
        with executor:
            reports.append(quietly(scenarios.two_holders, **arguments, executor=executor))
            assert executor.submit(len, "yes").result() == 3, "it is left as it was"
    found = [[(f.found, f.case, f.seeds, f.count, f.tries, f.digest) for f in report.failures] for report in reports]
    assert found[0]
    assert found[0] == found[1] == found[2]
    assert len({report.cases for report in reports}) == 1


def test_the_schedule_of_a_seed_does_not_depend_on_faults_or_other_seeds():
    seen: list[tuple[int, str]] = []

    def noted(rng: random.Random, survey: Survey) -> list[Event]:
        events = [Event(round(rng.uniform(0, survey.duration), 3), "partition", survey.hosts)]
        seen.append((len(seen), str(Schedule(events))))
        return events

    quietly(scenarios.fine, seeds=[3, 4, 5], schedules=noted)
    quietly(scenarios.fine, seeds=[5], schedules=noted)
    assert seen[2][1] == seen[3][1]
    assert "partition server client" in seen[0][1]


def test_what_is_not_the_same_twice_is_said_to_be_so():
    report = quietly(scenarios.moody, seeds=3)
    assert "not deterministic" in report.notes[0]
    assert "note: not deterministic" in str(report)


def test_a_failure_that_does_not_come_again_is_called_unstable():
    calls = itertools.count()

    async def sometimes(netsim: Any) -> None:
        netsim.host("a")
        assert next(calls) != 4

    (failure,) = quietly(sometimes, seeds=50).failures
    assert failure.kind == "unstable"
    assert "then it passed" in failure.notes[0]
    assert "not deterministic" in str(failure)


def test_the_budget_ends_the_looking():
    endless = itertools.count()
    report = quietly(scenarios.fine, seeds=endless, budget=0.3)
    assert report.ok
    assert report.stopped == "budget"
    assert 0 < next(endless) < 10_000


# -- on disk -----------------------------------------------------------------------------------------------------------


def test_what_has_passed_is_not_run_again(tmp_path):
    file = tmp_path / "fine.jsonl"
    assert quietly(scenarios.fine, seeds=20, resume=file).cases == 20
    report = quietly(scenarios.fine, seeds=30, resume=file)
    assert (report.cases, report.resumed) == (10, 20)
    other = quietly(scenarios.fine, seeds=5, loss=0.01, resume=file)
    assert (other.cases, other.resumed) == (5, 0), "other faults are other cases"


def test_ctrl_c_leaves_a_file_that_the_next_run_goes_on_from(tmp_path):
    file = tmp_path / "x.jsonl"
    begun = 0

    def impatient(rng: random.Random, survey: Survey) -> list[Event]:
        nonlocal begun
        begun += 1
        if begun == 8:
            raise KeyboardInterrupt
        return []

    with pytest.raises(Interrupted) as caught:
        quietly(scenarios.fine, seeds=20, resume=file, schedules=impatient)
    assert caught.value.report.cases == 7
    assert "interrupted" in str(caught.value)
    with open(file, "a") as torn:
        torn.write('{"of": "tor')
    report = quietly(scenarios.fine, seeds=20, resume=file, schedules=impatient)
    assert (report.cases, report.resumed) == (13, 7)
    report = quietly(scenarios.fine, seeds=20, resume=file, schedules=impatient)
    assert (report.cases, report.resumed) == (0, 20)


def test_what_has_failed_is_run_again_in_its_shrunk_form(tmp_path):
    file = tmp_path / "locks.jsonl"
    arguments: dict[str, Any] = {"schedules": "partition", "resume": file}
    first = only(quietly(scenarios.two_holders, **arguments))
    again = quietly(scenarios.two_holders, **arguments)
    assert only(again).case == first.case
    assert only(again).digest == first.digest
    assert again.cases == 1
    assert only(again).tries == 0


def test_a_file_that_is_something_else_is_not_written_to(tmp_path):
    file = tmp_path / "thesis.txt"
    file.write_text("It was a dark\nand stormy night\n")
    with pytest.raises(UsageError, match="no journal"):
        quietly(scenarios.fine, seeds=2, resume=file)
    assert file.read_text().endswith("night\n")


# -- for people --------------------------------------------------------------------------------------------------------


def test_a_counterexample_says_what_happened_when_and_how_to_see_it_again(tmp_path):
    with pytest.raises(Counterexample) as caught:
        quietly(scenarios.two_holders, schedules="partition", captures=tmp_path / "found").check()
    text = str(caught.value)
    failure = caught.value.report.failures[0]
    assert re.search(r"\d\.\d{6} s  partition .*\n(.*\n)?.*\d\.\d{6} s  AssertionError\n", text)
    assert f"pytest    @pytest.mark.netsim({failure.case.arguments()})" in text
    assert failure.captures
    assert all(path.stat().st_size for path in failure.captures)
    assert str(failure.captures[0]) in text
    (line,) = re.findall(r"python    (.*)", text)
    import netstack.netsim

    outcome = eval(line, {"netstack": netstack, "two_holders": scenarios.two_holders})
    assert outcome.digest == failure.digest
    assert not outcome.ok


def test_the_mark_of_a_counterexample_makes_the_same_case():
    failure = Failure(None, None, None, Case(3, {"loss": 0.1, "delay": 80_000_000}, "1s crash a; 2s restart a"), "failed")  # type: ignore[arg-type]
    assert failure.mark == "@pytest.mark.netsim(seed=3, delay='80ms', loss=0.1, schedule=\"1s crash a; 2s restart a\")"


def test_progress_is_told_to_who_asks():
    told: list[Any] = []
    quietly(scenarios.two_holders, schedules="partition", progress=told.append)
    assert {"exploring", "shrinking"} >= {snapshot.doing for snapshot in told} - {"a calm run", "running it again", "capturing"}


# -- what can't be -----------------------------------------------------------------------------------------------------


def plain(netsim: Any) -> None: ...


async def wants_more(netsim: Any, tmp_path: Any) -> None: ...


@pytest.mark.parametrize(
    ("scenario", "arguments", "word"),
    [
        (plain, {}, "write async def plain"),
        (wants_more, {}, "takes netsim, tmp_path"),
        (scenarios.fine, {"luck": 0.1}, "'luck' is not a fault"),
        (scenarios.fine, {"seed": 7}, "seeds="),
        (scenarios.fine, {"loss": (0.3, 0.1)}, "begins above its end"),
        (scenarios.fine, {"loss": 2}, "not a probability"),
        (scenarios.fine, {"delay": "soon"}, "can't be read"),
        (scenarios.fine, {"loss": (0, 0.1, 0.2)}, "no range"),
        (scenarios.fine, {"schedules": "plague"}, "nothing that a storm knows"),
        (scenarios.fine, {"schedules": lambda rng, survey: 7}, "makes no schedule"),
        (scenarios.fine, {"runtime": "curio"}, "asyncio or trio"),
        (scenarios.fine, {"stop_after": 0}, "1 or more"),
        ("explored_scenarios:nothing", {}, "there is no nothing"),
        ("no_such_module:f", {}, "no module no_such_module"),
        ("nonsense", {}, "names no function"),
    ],
)
def test_what_can_not_be_explored_is_answered_with_a_sentence(scenario, arguments, word):
    with pytest.raises(UsageError, match=word):
        quietly(scenario, **{"seeds": 2, **arguments})


def test_a_test_brings_its_mark():
    @pytest.mark.netsim(loss=0.5, topology="star:server,client")
    async def marked(netsim: Any) -> None:
        assert netsim.world.wire is not None
        assert netsim.world.links["hub-server"].there.faults.loss in (0.5, 0.0)
        await scenarios.fine(netsim)

    report = quietly(marked, seeds=3)
    assert report.ok, str(report)


def test_a_journal_is_lines_of_json(tmp_path):
    quietly(scenarios.two_holders, schedules="partition", resume=tmp_path / "j", seeds=100)
    lines = [json.loads(line) for line in (tmp_path / "j").read_text().splitlines()]
    assert lines[0]["scenario"] == "explored_scenarios:two_holders"
    assert [line["shrunk"]["schedule"] for line in lines if "shrunk" in line]
    assert any("passed" in line for line in lines)
    assert len({line["of"] for line in lines}) == 1
