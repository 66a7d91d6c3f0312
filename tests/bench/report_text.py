"""The table on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .measure import QUIET, Result, Spread, Verdict


def number(value: float) -> str:
    """Three digits that mean something: 0.0123, 1.23, 12.3, 123, 12,345."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 1 or not size else f"{value:.3g}"


def spread(values: Spread) -> str:
    return f"{number(values.median)} [{number(values.low)} - {number(values.high)}]"


def mark(verdict: Verdict) -> str:
    return {True: "reached", False: "not reached", None: "not measured"}[verdict.reached]


def figures(result: Result) -> Iterator[str]:
    """What one row came to, as soon as it is there."""
    disturbed = f"   (others used {result.others:.2f} cores)" if result.others > QUIET else ""
    yield f"{result.row.name}: {result.row.text}{disturbed}"
    best = {key: max((f.spread.median for f in result.figures if f.key == key), default=1.0) or 1.0 for key in result.row.keys}
    for figure in result.figures:
        bar = "#" * round(24 * figure.spread.median / best[figure.key])
        yield f"  {'*' if figure.own else ' '} {figure.entrant:36} {spread(figure.spread):>30} {figure.unit:8} {bar}"
    for name, reason in result.missing.items():
        yield f"    {name:36} left out: {reason}"


def verdicts(results: Sequence[Result]) -> Iterator[str]:
    """The table of what was to be reached."""
    found = [verdict for result in results for verdict in result.verdicts]
    if not found:
        return
    yield f"{'figure':62} {'measured':>26}  {'goal':>8}"
    for verdict in found:
        goal = verdict.goal
        value = spread(verdict.ratio) if verdict.ratio else "-"
        unit = "" if goal.peer else f" {verdict.unit}"
        yield f"{goal.text:62} {value:>26}  {goal.sign} {number(goal.limit):>5}{unit}  {mark(verdict)}"
    reached = sum(bool(verdict.reached) for verdict in found)
    yield f"{reached} of {len(found)} reached. A ratio is the median of the rounds, each with all that take part in turn."
