"""What was found, for people: what fails, what happened when, and how to see it again."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import attrs

from .attempt import Verdict
from .cases import Case
from .progress import clock
from .scenario import Scenario
from .schedule import show_value

SEEDS = 10  # of equal failures that are listed


class Counterexample(AssertionError):
    """An exploration has found a case that fails. `report` has all of it."""

    def __init__(self, report: Report) -> None:
        super().__init__(f"\n{report}")
        self.report = report


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during an exploration. `report` says how far it came; with `resume` the next one goes on from there."""

    def __init__(self, report: Report) -> None:
        super().__init__(f"\n{report}")
        self.report = report


@attrs.define
class Failure:
    """A failure, and the smallest case that fails like it. `kind` is failed, hung, died, or unstable: it did not fail again."""

    scenario: Scenario
    found: Case
    verdict: Verdict  # of `found`, and of `case` once that was run
    case: Case
    kind: str = ""
    seeds: list[int] = attrs.Factory(list)  # the first that fail like it
    count: int = 1
    tries: int = 0  # cases that shrinking has run
    is_small: bool = False  # has shrinking come to its end?
    captures: list[Path] = attrs.Factory(list)
    notes: list[str] = attrs.Factory(list)

    def __attrs_post_init__(self) -> None:
        self.kind = self.kind or self.verdict.kind

    @property
    def error(self) -> str:
        return self.verdict.error

    @property
    def digest(self) -> str:
        """Of all bytes on all wires."""
        return self.verdict.digest

    @property
    def python(self) -> str:
        """A line that runs it again."""
        scenario = self.scenario
        more = "" if scenario.topology is None else f", topology={scenario.topology!r}"
        more += "" if scenario.runtime == "asyncio" else f', runtime="{scenario.runtime}"'
        return f"netstack.netsim.run({scenario.function.__name__}, {self.case.arguments(in_dict=True)}{more})"

    @property
    def mark(self) -> str:
        """A line above the test that makes it run just this case."""
        return f"@pytest.mark.netsim({self.case.arguments()})"

    @property
    def command(self) -> str:
        """The same from a shell."""
        words = ["netstack", "explore", self.scenario.place, "--seed", str(self.case.seed)]
        faults = ",".join(f"{name}={value}" for name, value in self.case.shown_faults().items())
        words += ["--faults", faults or "none"]
        if self.case.schedule:
            words += ["--schedule", str(self.case.schedule)]
        if self.scenario.runtime != "asyncio":
            words += ["--runtime", self.scenario.runtime]
        return " ".join(map(shlex.quote, words))

    def to_json(self) -> dict[str, Any]:
        said = attrs.asdict(self.verdict, filter=lambda field, _: field.name in ("error", "message", "place", "digest"))
        return {**said, "kind": self.kind}

    def __str__(self) -> str:
        verdict = self.verdict
        lines = [f"{_KINDS[self.kind]}{verdict.error}{': ' if verdict.message else ''}{verdict.message}"]
        if verdict.place:
            lines.append(f"    at {verdict.place}")
        lines += ["", *self._timeline(), ""]
        lines += [f"    python    {self.python}", f"    pytest    {self.mark}", f"    shell     {self.command}"]
        if self.captures:
            lines.append(f"    packets   {' '.join(map(str, self.captures))}")
        if self.count > 1:
            more = "" if self.count <= len(self.seeds) else ", …"
            lines.append(f"    seeds     {self.count} fail like this: {', '.join(map(str, self.seeds))}{more}")
        if self.case != self.found:
            events, faults = _plural(len(self.found.schedule), "event"), _plural(len(self.found.shown_faults()), "fault")
            end = "" if self.is_small else ", and not to the end"
            lines.append(f"    found as  seed {self.found.seed}, {events}, {faults}; shrunk in {_plural(self.tries, 'run')}{end}")
        lines += [f"    note      {note}" for note in self.notes]
        return "\n".join(lines)

    def _timeline(self) -> list[str]:
        shown = self.case.shown_faults()
        said = (show_value(name, value) if isinstance(value, float) else value for name, value in shown.items())
        faults = ", ".join(f"{name} {value}" for name, value in zip(shown, said, strict=True))
        rows = [(0.0, f"seed {self.case.seed}, {faults or 'no faults on the links'}")]
        rows += [(event.at, " ".join(str(event).split(" ")[1:])) for event in self.case.schedule]
        if self.verdict.virtual:
            happened = [row for row in rows if row[0] <= self.verdict.virtual]
            later = rows[len(happened) :]
            rows = [*happened, (self.verdict.virtual, self.verdict.error), *((at, f"({what})") for at, what in later)]
        return [f"{at:12.6f} s  {what}" for at, what in rows]


_KINDS = {
    "failed": "",
    "hung": "it hangs: ",
    "died": "it takes its process with it: ",
    "unstable": "not deterministic, it failed once and not again: ",
}


@attrs.define
class Report:
    """What an exploration has done. `stopped` is all (cases were run), failures (as many as wanted), budget, or interrupted."""

    scenario: Scenario
    failures: list[Failure] = attrs.Factory(list)
    cases: int = 0  # that were run now
    resumed: int = 0  # that had passed in an earlier run
    failed: int = 0
    deaths: int = 0  # of workers
    seconds: float = 0.0
    stopped: str = "all"
    notes: list[str] = attrs.Factory(list)

    @property
    def ok(self) -> bool:
        """Has every case that was run passed?"""
        return not self.failures

    def check(self) -> Report:
        """Raises Counterexample, an AssertionError that says it all, if a case has failed."""
        if self.failures:
            raise Counterexample(self)
        return self

    def __str__(self) -> str:
        rate = f", {self.cases / self.seconds:.0f}/s" if self.seconds > 1 else ""
        said = f"{self.scenario.name}: {_plural(self.cases, 'case')} in {clock(self.seconds)}{rate}, "
        said += f"{self.failed} failed" if self.failed else "all passed" if self.cases or self.resumed else "none run"
        if self.resumed:
            said += f"; {self.resumed:,} had passed before"
        if self.deaths:
            said += f"; workers died {_plural(self.deaths, 'time')}"
        said += {"budget": "; the budget is used up", "interrupted": "; interrupted"}.get(self.stopped, "")
        lines = [said, *(f"note: {note}" for note in self.notes)]
        for number, failure in enumerate(self.failures, 1):
            lines += ["", f"{number}. {failure}"]
            if number == 1 and failure.verdict.trace:
                lines += ["", *(f"    {line}" for line in failure.verdict.trace.rstrip().splitlines()[-12:])]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Report of {self.scenario.name}: {self.cases} cases, {len(self.failures)} failures>"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
