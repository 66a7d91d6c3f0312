"""Each figure's history: `history.jsonl`, a line for each run that was recorded, never changed afterwards.

A line has the facts of the run (`machine.facts`) and `figures`: row, then who, then what, each as [median, lowest, highest]. A row
that was not run, or had somebody missing, is simply shorter, so runs of single rows can be recorded as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .measure import Goal, Result, Spread

FILE = Path(__file__).resolve().parent / "history.jsonl"
DIGITS = 4  # significant ones: more would be noise

Figures = dict[str, dict[str, dict[str, list[float]]]]


def figures(results: Iterable[Result]) -> Figures:
    found: Figures = {}
    for result in results:
        for figure in result.figures:
            spread = [rounded(value) for value in (figure.spread.median, figure.spread.low, figure.spread.high)]
            found.setdefault(figure.row, {}).setdefault(figure.entrant, {})[figure.key] = spread
    return found


def rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def line(results: Iterable[Result], facts: Mapping[str, str | int], *, quick: bool) -> str:
    """What a run adds to the file. Disturbance by others stays with the figures that it disturbed."""
    results = list(results)
    entry: dict[str, Any] = {**facts}
    if quick:
        entry["quick"] = True
    entry["others"] = {result.row.name: round(result.others, 2) for result in results}
    entry["figures"] = figures(results)
    return json.dumps(entry)


def append(text: str, path: Path = FILE) -> None:
    with path.open("a") as file:
        file.write(text + "\n")


def read(path: Path = FILE) -> list[dict[str, Any]]:
    """Oldest first."""
    return [json.loads(text) for text in path.read_text().splitlines() if text.strip()] if path.exists() else []


def series(entries: Sequence[Mapping[str, Any]], row: str, goal: Goal) -> list[tuple[str, float]]:
    """(commit, ratio of medians) of the runs that have both figures: what a goal came to, over time."""
    found = []
    for entry in entries:
        figures = entry.get("figures", {}).get(row, {})
        own = figures.get(goal.own, {}).get(goal.key)
        peer = [1.0] if goal.peer is None else figures.get(goal.peer, {}).get(goal.key)
        if own and peer and peer[0]:
            found.append((str(entry.get("commit", "")), own[0] / peer[0]))
    return found


def document(results: Sequence[Result], facts: Mapping[str, str | int]) -> dict[str, Any]:
    """All of a run, for programs."""

    def ratio(spread: Spread | None) -> list[float] | None:
        return None if spread is None else [rounded(value) for value in (spread.median, spread.low, spread.high)]

    return {
        "facts": dict(facts),
        "figures": figures(results),
        "units": {result.row.name: dict(result.row.keys) for result in results},
        "goals": [
            {
                "row": verdict.row,
                "text": verdict.goal.text,
                "own": verdict.goal.own,
                "peer": verdict.goal.peer,
                "sign": verdict.goal.sign,
                "limit": verdict.goal.limit,
                "measured": ratio(verdict.ratio),
                "reached": verdict.reached,
            }
            for result in results
            for verdict in result.verdicts
        ],
        "missing": {result.row.name: result.missing for result in results if result.missing},
        "others": {result.row.name: round(result.others, 2) for result in results},
    }
