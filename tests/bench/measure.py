"""Measuring a row: who takes part runs in turns, round after round, and what others do to the machine meanwhile is noted.

Absolute figures move by 10 to 30 % between minutes, so what counts is the ratio of two that ran right after each other: it is
taken in each round, and the median over the rounds is judged. Who does not run stands still. Where others used more than QUIET
cores in a round there is another one, up to EXTRA of them, and the quietest are kept.

Before the first round each has a short run that does not count. asyncio on kernel sockets needs it most: it receives into 256 KiB,
which glibc maps and unmaps for each call until the end of a first connection has taught it otherwise, at twice the time a turn.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

import attrs

from .place import Absent, Failed, Lab, Process, Watch, awake

QUIET = 0.25  # cores
EXTRA = 2  # rounds
WARM = 0.1  # seconds

Run = Callable[[float], Mapping[str, float]]  # one run of so many seconds: what was measured


@attrs.frozen
class Entrant:
    """Somebody who takes part in a row. `enter` starts what has to be running and gives the run; it may raise Absent or Failed."""

    name: str
    enter: Callable[[Lab], Run]
    own: bool = False


@attrs.frozen
class Goal:
    """`own` divided by `peer` is to be at least, or at most, `limit`; without a peer, `own` itself."""

    text: str
    key: str
    own: str
    peer: str | None
    limit: float
    at_least: bool = True

    def reached(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    @property
    def sign(self) -> str:
        return ">=" if self.at_least else "<="


@attrs.frozen
class Row:
    """`keys`: what is measured, with its unit. `seconds`: how long a run takes, where it matters."""

    name: str
    text: str
    keys: Mapping[str, str]
    entrants: Sequence[Entrant]
    goals: Sequence[Goal] = ()
    seconds: float = 0.5
    runs: int = 5  # rounds: many short ones follow the machine's moods better than a few long ones


@attrs.frozen
class Spread:
    """A median with its range."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


@attrs.frozen
class Figure:
    row: str
    entrant: str
    key: str
    unit: str
    own: bool
    spread: Spread


@attrs.frozen
class Verdict:
    row: str
    goal: Goal
    unit: str
    ratio: Spread | None  # None: one of the two is missing

    @property
    def reached(self) -> bool | None:
        return None if self.ratio is None else self.goal.reached(self.ratio.median)


@attrs.frozen
class Result:
    row: Row
    figures: list[Figure]
    verdicts: list[Verdict]
    missing: dict[str, str]  # entrant and why
    others: float  # cores, the median of the rounds that were kept
    rounds: int


@attrs.frozen
class Round:
    values: Mapping[str, Mapping[str, float]]  # entrant, key
    others: float


def measure(row: Row, lab: Lab, *, runs: int, seconds: float, say: Callable[[str], None] = lambda _: None) -> Result:
    """All of a row. An entrant that fails is left out, with the reason."""
    missing: dict[str, str] = {}
    ready: dict[str, tuple[Run, list[Process]]] = {}
    for entrant in row.entrants:
        say(f"{row.name}: starting {entrant.name}")
        try:
            with lab.attempt():
                begun = len(lab.processes)
                run = entrant.enter(lab)
                processes = lab.processes[begun:]
                with awake(processes):
                    run(WARM)
            ready[entrant.name] = run, processes
        except (Absent, Failed) as error:
            missing[entrant.name] = str(error)
    rounds: list[Round] = []
    while ready and wanted(rounds, runs):
        values: dict[str, Mapping[str, float]] = {}
        loudest = 0.0
        for name, (run, processes) in list(ready.items()):
            say(f"{row.name}: round {len(rounds) + 1}, {name}")
            watch = Watch(lab)
            try:
                with awake(processes):
                    values[name] = run(seconds)
            except (Absent, Failed) as error:
                missing[name] = str(error)
                del ready[name]
            loudest = max(loudest, watch.others())
        rounds.append(Round(values, loudest))
    return judge(row, keep(rounds, runs), missing)


def wanted(rounds: Sequence[Round], runs: int) -> bool:
    """Whether there has to be another round."""
    quiet = sum(each.others <= QUIET for each in rounds)
    return quiet < runs and len(rounds) < (runs + EXTRA if runs > 1 else 1)


def keep(rounds: Sequence[Round], runs: int) -> list[Round]:
    """The quietest, in the order in which they ran."""
    chosen = sorted(range(len(rounds)), key=lambda number: rounds[number].others)[:runs]
    return [rounds[number] for number in sorted(chosen)]


def judge(row: Row, rounds: Sequence[Round], missing: dict[str, str]) -> Result:
    """Medians with ranges of the figures, and of the ratios that goals speak of."""
    figures = [
        Figure(row.name, entrant.name, key, unit, entrant.own, Spread.of(values))
        for key, unit in row.keys.items()
        for entrant in row.entrants
        if (values := [each.values[entrant.name][key] for each in rounds if key in each.values.get(entrant.name, {})])
    ]
    verdicts = [Verdict(row.name, goal, row.keys[goal.key], ratio(goal, rounds)) for goal in row.goals]
    others = statistics.median(each.others for each in rounds) if rounds else 0.0
    return Result(row, figures, verdicts, missing, others, len(rounds))


def ratio(goal: Goal, rounds: Sequence[Round]) -> Spread | None:
    """Of ours to the peer's, in each round that has both."""
    ratios = []
    for each in rounds:
        own = each.values.get(goal.own, {}).get(goal.key)
        peer = 1.0 if goal.peer is None else each.values.get(goal.peer, {}).get(goal.key)
        if own is not None and peer:
            ratios.append(own / peer)
    return Spread.of(ratios) if ratios else None
