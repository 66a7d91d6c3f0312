"""`explore(scenario)`: the same scenario in thousands of cases, and the smallest that fails.

    async def scenario(netsim): ...

    report = explore(scenario, seeds=10_000, loss=(0, 0.3), schedules="partition crash", budget="5m", resume="lock.jsonl")
    report.check()

In this order: a calm run shows which hosts and links there are, how long it takes and when something is sent, and is made twice,
since what isn't the same twice can't be explored. Then one case for each seed. Then each failure that is unlike the others is
run again, shrunk, and run once more with captures on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .attempt import Order, Verdict, run_case, survey_case
from .cases import WEATHER, Case, Maker, Space, duration, read_faults
from .crew import Crew
from .journal import Journal
from .progress import Progress, meter
from .report import SEEDS, Failure, Interrupted, Report
from .scenario import Scenario, read_scenario
from .schedule import Schedule, read_schedule
from .shrinking import Shrinker
from .storms import Storm, Survey

TRIES = 1000  # runs that shrinking one failure may take
FEW_TRIES = 20  # where each costs a process, or the whole limit
NOTED = 0.5  # seconds between two lines about what has passed


class Enough(Exception):
    """The time for this part is over."""


def explore(
    scenario: object,
    *,
    seeds: int | Iterable[int] = 1000,
    schedules: Maker | str | Sequence[Schedule | str] | None = None,
    executor: Executor | None = None,
    jobs: int | None = None,
    budget: float | str | None = None,
    limit: float | str = 60.0,
    stop_after: int = 1,
    shrink: bool = True,
    resume: str | os.PathLike[str] | None = None,
    captures: str | os.PathLike[str] | None = "explored",
    progress: Progress | bool | None = None,
    runtime: str | None = None,
    **faults: object,
) -> Report:
    """Run `scenario`, an async function of a `netsim`, in one case for each of `seeds` (a number is the first so many).

    **faults: those of all links, fixed (`loss=0.1`) or drawn anew for each case (`loss=(0, 0.3)`, `delay=("0ms", "200ms")`). They
    add to those of the test's mark. Where neither they, nor the mark, nor `schedules` say anything, up to 20 % loss, 100 ms of
    delay and 10 % reordering.
    schedules: a function (rng, survey) that returns Events; kinds of events, as in "partition crash" (a `Storm`); or schedules to
    choose from. The survey says what a calm run has shown: hosts, links, duration, instants.
    executor: any `concurrent.futures.Executor`; it stays yours. Without one `jobs` processes, one for each CPU; 0: this process.
    budget: seconds, or "5m", for looking; shrinking what was found may take as long again.
    limit: seconds of the machine's time after which a case counts as hung.
    stop_after: how many different failures are enough; failures are alike when type and place of the exception are.
    resume: a file for results; what has passed there is not run again.
    captures: a directory for the packets of what was found, one folder for each failure.
    progress: None shows a bar on a terminal and lines elsewhere, on standard error; False nothing; or a function of a Snapshot.
    runtime: "asyncio" or "trio"; None: what the test's marks say, else asyncio.

    The same arguments give the same cases in the same order, and so the same report, whatever runs them and however many: as long
    as no budget ends it. Raises UsageError; and Interrupted, with the report so far, at Ctrl-C.
    """
    found = read_scenario(scenario, runtime)
    said = {**found.faults, **faults}
    if not said and schedules is None:
        said = dict(WEATHER)
    if stop_after < 1:
        raise UsageError(f"stop_after={stop_after} would stop before it began: write 1 or more")
    explorer = Explorer(
        found,
        range(seeds) if isinstance(seeds, int) else seeds,
        read_faults(said),
        read_schedules(schedules),
        stop_after,
        None if budget is None else duration(budget),
        shrink,
        None if captures is None else Path(captures),
    )
    return explorer.run(Order(found.function, found.runtime, found.topology, duration(limit)), executor, jobs, resume, progress)


def read_schedules(said: Maker | str | Sequence[Schedule | str] | None) -> Maker | None:
    """Whatever may be said to `explore`, as a function that draws one."""
    if said is None or callable(said):
        return said
    if isinstance(said, str):
        return Storm(said)
    return OneOf(tuple(map(read_schedule, said)))


class OneOf:
    """Chooses among schedules that somebody wrote."""

    def __init__(self, schedules: Sequence[Schedule]) -> None:
        if not schedules:
            raise UsageError("schedules=[] leaves nothing to choose from: name some, or leave it out")
        self._schedules = schedules

    def __call__(self, rng: Any, survey: Survey) -> Schedule:
        chosen: Schedule = rng.choice(self._schedules)
        return chosen

    def __repr__(self) -> str:
        return f"OneOf({'|'.join(map(str, self._schedules))})"


class Explorer:
    """One exploration."""

    def __init__(
        self,
        scenario: Scenario,
        seeds: Iterable[int],
        faults: Mapping[str, Any],
        maker: Maker | None,
        stop_after: int,
        budget: float | None,
        shrink: bool,
        captures: Path | None,
    ) -> None:
        self.report = Report(scenario)
        self._scenario = scenario
        self._seeds = seeds
        self._space = Space(faults, maker)
        self._stop_after = stop_after
        self._budget = budget
        self._shrink = shrink
        self._captures = captures
        self._deadline: float | None = None
        self._fresh: list[int] = []  # seeds that have passed and are not in the journal yet
        self._fresh_since = 0.0
        self._doing = "starting"

    def run(
        self,
        order: Order,
        executor: Executor | None,
        jobs: int | None,
        resume: str | os.PathLike[str] | None,
        progress: Progress | bool | None,
    ) -> Report:
        self._meter, clear = meter(progress)
        interrupt: KeyboardInterrupt | None = None
        self._journal = Journal(None, "", {})
        if self._budget is not None:
            self._deadline = time.monotonic() + self._budget
        with Crew(order, executor, jobs, self._tick) as self._crew:
            try:
                self._crew.greet()
                self._explore(resume)
                self._finish()
            except KeyboardInterrupt as error:
                self.report.stopped = "interrupted"
                interrupt = error
            finally:
                self._note_passed(0)
                self._journal.close()
                clear()
        self.report.deaths = self._crew.deaths
        self.report.seconds = self._meter.seconds
        if interrupt is not None:
            raise Interrupted(self.report) from interrupt
        return self.report

    # -- looking ----------------------------------------------------------------------------------------------------------

    def _explore(self, resume: str | os.PathLike[str] | None) -> None:
        try:
            if not self._survey():
                return
            about = {"scenario": self._scenario.name, "faults": str(dict(self._space.faults)), "schedules": repr(self._space.maker)}
            key = f"{self._scenario.source}{self._space.key}"
            self._journal = Journal(resume, key, about)
            self._again_what_failed()
            self._all_cases()
        except Enough:
            self.report.stopped = "budget"

    def _survey(self) -> bool:
        """The calm runs. False when they show that there's no point in others."""
        self._doing = "a calm run"
        seed = next(iter(self._seeds), 0) if isinstance(self._seeds, Sequence) else 0
        case = Case(seed, self._space.calm())
        first, second = self._crew.here(survey_case, case), self._crew.here(survey_case, case)
        verdict, self._space = (first, self._space) if isinstance(first, Verdict) else (first[0], self._with(first[1]))
        again = second if isinstance(second, Verdict) else second[0]
        if not verdict.ok:
            self.report.cases, self.report.failed = 1, 1
            failure = Failure(self._scenario, case, verdict, case, seeds=[seed], is_small=True)
            failure.notes.append("nothing was drawn by lot: it fails in a calm world, and nothing else was tried")
            self.report.failures.append(failure)
            self._capture(failure)
            return False
        if verdict.digest != again.digest:
            self.report.notes.append(
                f"not deterministic: seed {seed} without faults was run twice, and {_difference(verdict, again)}. What is found may"
                " not come again. Look for TLS, files, threads, the order of sets of strings, and what a run leaves in a module"
            )
        return True

    def _with(self, survey: Survey) -> Space:
        return Space(self._space.faults, self._space.maker, survey)

    def _again_what_failed(self) -> None:
        """What failed in an earlier run: its shrunk case first."""
        self._doing = "what failed before"
        earlier = [self._journal.failed[seed] for seed in sorted(self._journal.failed)]
        for (case, shrunk), (_, verdict) in zip(earlier, self._crew.run(shrunk for _, shrunk in earlier), strict=True):
            self.report.cases += 1
            if not verdict.ok and self._count(case, verdict):
                self.report.failures[-1].case = shrunk
                self.report.failures[-1].is_small = shrunk != case
            if len(self.report.failures) >= self._stop_after:
                self.report.stopped = "failures"
                return

    def _all_cases(self) -> None:
        if self.report.stopped == "failures":
            return
        self._doing = "exploring"
        running = self._crew.run(self._cases())
        try:
            for case, verdict in running:
                self.report.cases += 1
                if verdict.ok:
                    self._fresh.append(case.seed)
                    self._note_passed(NOTED)
                elif self._count(case, verdict) and len(self.report.failures) >= self._stop_after:
                    self.report.stopped = "failures"
                    return
                self._tell()
        finally:
            running.close()

    def _cases(self) -> Iterator[Case]:
        known = {case.seed for case in (failure.found for failure in self.report.failures)}
        for seed in self._seeds:
            if seed in self._journal.passed:
                self.report.resumed += 1
            elif seed not in known:
                yield self._space.case(seed)

    def _count(self, case: Case, verdict: Verdict) -> bool:
        """One that does not pass. Is it unlike all others so far?"""
        self.report.failed += 1
        for failure in self.report.failures:
            if failure.verdict.signature == verdict.signature:
                failure.count += 1
                if len(failure.seeds) < SEEDS:
                    failure.seeds.append(case.seed)
                return False
        failure = Failure(self._scenario, case, verdict, case, seeds=[case.seed])
        self.report.failures.append(failure)
        self._journal.note_failed(case, case, failure.to_json())
        return True

    # -- what was found ---------------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        if self._budget is not None:
            self._deadline = time.monotonic() + max(self._budget, 5.0)
        for failure in self.report.failures:
            if failure.is_small and failure.captures:
                continue
            try:
                if self._confirm(failure) and self._shrink and not failure.is_small:
                    self._make_small(failure)
            except Enough:
                pass
            deadline, self._deadline = self._deadline, None
            self._capture(failure)
            self._deadline = deadline
            self._journal.note_failed(failure.found, failure.case, failure.to_json())

    def _confirm(self, failure: Failure) -> bool:
        """Run it again: does it fail again, and is all that is sent the same?"""
        self._doing = "running it again"
        if failure.kind != "failed":
            return True
        ((_, again),) = self._crew.run([failure.case])
        if again.signature != failure.verdict.signature:
            failure.kind = "unstable"
            failure.notes.append(f"the same case was run again, and {_difference(failure.verdict, again)}")
            return False
        if again.digest != failure.verdict.digest:
            failure.notes.append("it fails each time, not with the same bytes on the wire: something in it is not deterministic")
        return True

    def _make_small(self, failure: Failure) -> None:
        self._doing = "shrinking"
        most = TRIES if failure.kind == "failed" else FEW_TRIES
        wanted = failure.verdict.signature

        def fails(cases: Sequence[Case]) -> int | None:
            if failure.tries >= most:
                raise Enough
            running = self._crew.run(cases, most=1, ahead=1)
            try:
                for number, (_, verdict) in enumerate(running):
                    failure.tries += 1
                    self._tell()
                    if verdict.signature == wanted:
                        failure.verdict = verdict
                        return number
            finally:
                running.close()
            return None

        shrinker = Shrinker(failure.case, fails, self._space)
        try:
            shrinker.run()
            failure.is_small = True
        finally:
            failure.case = shrinker.case

    def _capture(self, failure: Failure) -> None:
        """Once more, with everything written down."""
        if self._captures is None or failure.kind != "failed":
            return
        self._doing = "capturing"
        directory = self._captures / f"{self._scenario.function.__name__}-{failure.case.key[:8]}"
        verdict = self._crew.here(run_case, failure.case, str(directory))
        failure.captures = sorted(directory.glob("*.pcap*"))
        if verdict.signature != failure.verdict.signature:
            failure.kind = "unstable"
            failure.notes.append(f"it was run once more for its packets, and {_difference(failure.verdict, verdict)}")
        else:
            failure.verdict = verdict

    # -- meanwhile --------------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise Enough
        self._tell()

    def _tell(self) -> None:
        report = self.report
        total = len(self._seeds) if isinstance(self._seeds, Sequence) else None
        if self._doing == "shrinking":
            tries = sum(failure.tries for failure in report.failures)
            self._meter.at(self._doing, tries, None, report.failed)
        else:
            self._meter.at(self._doing, report.cases + report.resumed, total, report.failed)

    def _note_passed(self, every: float) -> None:
        now = time.monotonic()
        if self._fresh and now - self._fresh_since >= every:
            self._journal.note_passed(self._fresh)
            self._fresh.clear()
            self._fresh_since = now


def _difference(one: Verdict, other: Verdict) -> str:
    """What became of the same case, twice."""
    if one.signature != other.signature:
        return f"{_ended(one)}, then {_ended(other)}"
    return f"other bytes were sent ({one.digest[:8]}, then {other.digest[:8]})"


def _ended(verdict: Verdict) -> str:
    return "it passed" if verdict.ok else f"it ended with {verdict.error} at {verdict.place or 'no place of its own'}"
