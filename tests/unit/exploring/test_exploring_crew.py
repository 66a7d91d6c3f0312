"""Workers die, hang and stay away, and every case gets its verdict."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import explored_scenarios as scenarios
import pytest

from netstack.errors import UsageError
from netstack.exploring.attempt import Order, Verdict
from netstack.exploring.cases import Case
from netstack.exploring.crew import Crew
from netstack.testing import explore

HERE = Path(__file__).parent
CASES = [Case(seed) for seed in range(12)]


def verdicts(crew: Crew) -> list[str]:
    with crew:
        return [verdict.kind for case, verdict in crew.run(CASES)]


def crew(scenario: Any, executor: Executor | None = None, jobs: int | None = None, limit: float = 60.0) -> Crew:
    return Crew(Order(scenario, limit=limit), executor, jobs, lambda: None)


@pytest.mark.once
def test_a_case_that_kills_its_worker_is_named_and_all_others_have_their_verdicts(tmp_path, monkeypatch):
    """Seed 5 kills each worker that tries it, seed 8 the first one only."""
    monkeypatch.setenv("EXPLORED_ONCE", str(tmp_path / "once"))
    team = crew(scenarios.kills, jobs=1)
    assert verdicts(team) == ["died" if seed == 5 else "passed" for seed in range(12)]
    assert team.deaths >= 3


@pytest.mark.parametrize("name", ["hangs_at_two", "sleeps_at_two"])
def test_a_scenario_that_hangs_is_interrupted_and_its_place_named(name):
    team = crew(getattr(scenarios, name), jobs=0, limit=1.5)
    with team:
        kinds = {case.seed: verdict for case, verdict in team.run(CASES[1:4])}
    assert kinds[2].kind == "hung"
    assert len(kinds) == 3
    assert ("in forever" if name == "hangs_at_two" else "in sleeps_at_two") in kinds[2].place


def test_what_hangs_in_a_thread_is_interrupted_too():
    with ThreadPoolExecutor(2) as threads:
        kinds = verdicts(crew(scenarios.hangs_at_two, threads, limit=0.3))
    assert kinds[2] == "hung"
    assert len(kinds) == 12


def test_an_alarm_of_somebody_else_still_rings_after_a_run():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *args: rung.append(time.monotonic()))
    left = signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        assert verdicts(crew(scenarios.fine, jobs=0)) == ["passed"] * 12
        until = time.monotonic() + 5
        while not rung and time.monotonic() < until:
            signal.sigtimedwait([], 0.05)
        assert rung
    finally:
        signal.setitimer(signal.ITIMER_REAL, *left)
        signal.signal(signal.SIGALRM, before)


class Flaky(Executor):
    """Runs everything at once, and loses some of it: what an executor of another make may do."""

    def __init__(self, lose: set[int]) -> None:
        self.calls = 0
        self._lose = lose

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls += 1
        future: Future[Any] = Future()
        if self.calls in self._lose:
            future.set_exception(ConnectionError("the worker is gone"))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_an_executor_that_loses_a_call_is_asked_again():
    executor = Flaky({2, 3, 4})
    team = crew(scenarios.fine, executor)
    assert verdicts(team) == ["passed"] * 12


def test_an_executor_that_loses_every_call_ends_in_verdicts_and_not_in_a_loop():
    team = crew(scenarios.fine, Flaky(set(range(1, 1000))))
    with team:
        ((_, verdict),) = team.run(CASES[:1])
    assert verdict.kind == "died"
    assert "the worker is gone" in verdict.message


def test_a_lot_is_as_long_as_a_tenth_of_a_second():
    class Timed(Flaky):
        """Each case takes 10 ms, as it says."""

        sizes: list[int] = []

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            self.sizes.append(len(args[1]))
            return super().submit(lambda *_: [Verdict("passed", wall=0.01) for _ in args[1]])

    executor = Timed(set())
    with crew(scenarios.fine, executor) as team:
        assert sum(1 for _ in team.run(Case(seed) for seed in range(100))) == 100
    assert executor.sizes[0] == 1
    assert max(executor.sizes) == 10
    assert sum(executor.sizes) == 100


def test_no_more_is_under_way_than_the_workers_need():
    drawn = 0

    def endless() -> Iterator[Case]:
        nonlocal drawn
        while True:
            drawn += 1
            yield Case(drawn)

    team = crew(scenarios.always_wrong, Flaky(set()), jobs=1)
    with team:
        running = team.run(endless(), most=1)
        for _ in range(10):
            next(running)
        running.close()
    assert drawn < 20


# -- what can't be -----------------------------------------------------------------------------------------------------


def test_a_function_that_other_processes_can_not_import_is_told_so():
    async def inner(netsim: Any) -> None: ...

    with pytest.raises(UsageError, match=r"other processes can't get .*inner.*jobs=0"):
        explore(inner, seeds=2, jobs=2, progress=False)


SCRIPT = """
import os
from netstack.testing import explore

async def scenario(netsim):
    await netsim.clock.advance(1)
    assert netsim.seed != 3

{guard}
print(explore(scenario, seeds=10, jobs=1, progress=False, captures=None).failures[0].case.seed)
"""


def script(tmp_path: Path, text: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "script.py").write_text(text)
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, "script.py"], cwd=tmp_path, env=where, capture_output=True, text=True, timeout=50)


@pytest.mark.once
def test_a_script_explores_what_it_defines(tmp_path):
    done = script(tmp_path, SCRIPT.format(guard="if __name__ == '__main__':").replace("\nprint", "\n    print"))
    assert done.stdout == "3\n", done.stderr
    assert done.stderr == ""


@pytest.mark.once
def test_a_script_that_forgets_its_guard_is_told_what_to_write(tmp_path):
    done = script(tmp_path, SCRIPT.format(guard=""))
    assert done.returncode == 1
    assert "if __name__ == '__main__':" in done.stderr.splitlines()[-1]
