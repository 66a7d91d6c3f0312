"""The page: what was to be reached, each row with its bars, and how the goals came along. One file, that loads nothing.

Bars are inline SVG stretched to the width that there is, and all text is HTML beside them: it stays readable on a telephone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from . import history
from .measure import QUIET, Figure, Goal, Result, Spread, Verdict
from .report_text import mark, number, spread

DECADE = 50.0  # of 100 units of width: a strip reaches from a tenth of the goal to ten times the goal

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1b1f24; --soft: #667; --line: #d8dbe0; --own: #0b6bcb; --peer: #a9b1bd;
  --good: #18794e; --bad: #c4320a }
@media (prefers-color-scheme: dark) { :root { --paper: #14171c; --ink: #e6e8eb; --soft: #99a1ad; --line: #323840; --own: #58a6ff;
  --peer: #596270; --good: #4cc38a; --bad: #ff8b5e } }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin: 2rem 0 .2rem } p { margin: .3rem 0 }
.soft { color: var(--soft); font-size: .85rem }
.goal, .bar { display: grid; grid-template-columns: minmax(0, 18rem) minmax(4rem, 1fr) 15rem; gap: 0 .8rem; align-items: center;
  padding: .15rem 0; border-bottom: 1px solid var(--line) }
.bar { border: 0 } .value { font-variant-numeric: tabular-nums; text-align: right } .own .who { font-weight: 600 }
b { white-space: nowrap } .good { color: var(--good) } .bad { color: var(--bad) }
svg { display: block; width: 100%; height: 14px; overflow: visible } .line { height: 28px }
.own rect { fill: var(--own) } .peer rect { fill: var(--peer) } .whisker { stroke: var(--ink); stroke-width: 2 }
.track { stroke: var(--line); stroke-width: 2 } .limit { stroke: var(--soft); stroke-width: 2; stroke-dasharray: 3 2 }
.good rect, .good polyline { fill: var(--good) } .bad rect { fill: var(--bad) }
polyline { fill: none !important; stroke: var(--own); stroke-width: 2 }
line, polyline { vector-effect: non-scaling-stroke }
@media (max-width: 40rem) { .bar { grid-template-columns: 1fr auto } .bar svg { grid-column: 1 / -1; grid-row: 2 }
  .goal { grid-template-columns: 1fr } .goal .who { font-weight: 600 }
  .value { font-size: .85rem } }
"""


def page(results: Sequence[Result], facts: Mapping[str, str | int], entries: Sequence[Mapping[str, Any]]) -> str:
    """`entries`: the history, oldest first."""
    verdicts = [verdict for result in results for verdict in result.verdicts]
    about = ", ".join(f"{escape(name)} {escape(str(value))}" for name, value in facts.items() if value)
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>netstack beside its peers</title><style>{STYLE}</style>",
        f'<h1>netstack beside its peers</h1><p class="soft">{about}</p>',
        f"<p>{sum(bool(v.reached) for v in verdicts)} of {len(verdicts)} goals reached. On the strips the dashed line is the goal, "
        "the right end ten times better, the left end ten times worse.</p>",
        *(goal_line(verdict) for verdict in verdicts),
        *(text for result in results for text in section(result)),
        *past(verdicts, entries),
        '<p class="soft">Medians, with the lowest and highest of the rounds in brackets. In each round all that take part run in '
        "turn; a ratio is taken within a round.</p></html>",
    ]
    return "\n".join(parts)


# -- goals ---------------------------------------------------------------------------------------------------------------


def goal_line(verdict: Verdict) -> str:
    goal, ratio = verdict.goal, verdict.ratio
    value = spread(ratio) if ratio else "-"
    unit = "" if goal.peer else f" {escape(verdict.unit)}"
    kind = {True: "good", False: "bad", None: ""}[verdict.reached]
    return (
        f'<div class="goal"><span class="who">{escape(goal.text)}</span>{strip(goal, ratio, kind)}'
        f'<span class="value">{value}{unit} <span class="soft">{escape(goal.sign)} {number(goal.limit)}</span> '
        f'<b class="{kind}">{mark(verdict)}</b></span></div>'
    )


def place(goal: Goal, value: float) -> float:
    """0 to 100 on a strip: 50 is the goal, more is better, a decade is half the strip."""
    if value <= 0:
        return 0.0 if goal.at_least else 100.0
    decades = math.log10(value / goal.limit)
    return min(100.0, max(0.0, 50 + DECADE * (decades if goal.at_least else -decades)))


def strip(goal: Goal, ratio: Spread | None, kind: str) -> str:
    marks = ""
    if ratio is not None:
        low, high, at = (place(goal, value) for value in (ratio.low, ratio.high, ratio.median))
        marks = (
            f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="7" y2="7"/>'
            f'<rect x="{max(0.0, at - 0.75):.2f}" y="1" width="1.5" height="12"/>'
        )
    return (
        f'<svg class="{kind}" viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">'
        f'<line class="track" x1="0" x2="100" y1="7" y2="7"/><line class="limit" x1="50" x2="50" y1="0" y2="14"/>{marks}</svg>'
    )


# -- rows ----------------------------------------------------------------------------------------------------------------


def section(result: Result) -> Iterator[str]:
    row = result.row
    yield f"<h2>{escape(row.name)}</h2><p>{escape(row.text)}</p>"
    if result.others > QUIET:
        yield f'<p class="soft">Others used {result.others:.2f} cores meanwhile: doubtful.</p>'
    for key in row.keys:
        shown = [figure for figure in result.figures if figure.key == key]
        if len(row.keys) > 1:
            yield f'<p class="soft">{escape(row.keys[key])}</p>'
        longest = max((figure.spread.high for figure in shown), default=0.0)
        yield from (bar(figure, longest) for figure in shown)
    for name, reason in result.missing.items():
        yield f'<p class="soft">{escape(name)}: left out, {escape(reason)}</p>'


def bar(figure: Figure, longest: float) -> str:
    low, middle, high = (
        100 * value / longest if longest else 0.0 for value in (figure.spread.low, figure.spread.median, figure.spread.high)
    )
    return (
        f'<div class="bar {"own" if figure.own else "peer"}"><span class="who">{escape(figure.entrant)}</span>'
        '<svg viewBox="0 0 100 14" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect x="0" y="1" width="{middle:.2f}" height="12"/>'
        f'<line class="whisker" x1="{low:.2f}" x2="{high:.2f}" y1="7" y2="7"/></svg>'
        f'<span class="value">{spread(figure.spread)} {escape(figure.unit)}</span></div>'
    )


# -- history -------------------------------------------------------------------------------------------------------------


def past(verdicts: Sequence[Verdict], entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each goal that was recorded more than once."""
    drawn = [(verdict, found) for verdict in verdicts if len(found := history.series(entries, verdict.row, verdict.goal)) > 1]
    if drawn:
        yield "<h2>How it came along</h2><p>Recorded runs from left to right, on the scale of the strips: up is better.</p>"
    for verdict, found in drawn:
        (first, was), (last, now) = found[0], found[-1]
        steps = 100 / (len(found) - 1)
        points = " ".join(f"{i * steps:.1f},{28 - 0.28 * place(verdict.goal, value):.1f}" for i, (_, value) in enumerate(found))
        yield (
            f'<div class="goal"><span class="who">{escape(verdict.goal.text)}</span>'
            '<svg class="line" viewBox="0 0 100 28" preserveAspectRatio="none" aria-hidden="true">'
            f'<line class="limit" x1="0" x2="100" y1="14" y2="14"/><polyline points="{points}"/></svg>'
            f'<span class="value">{number(was)} <span class="soft">{escape(first)}</span> to {number(now)} '
            f'<span class="soft">{escape(last)}</span></span></div>'
        )
