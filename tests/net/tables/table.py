"""Tables that a person reads and a test compares: text with aligned columns, under a header that says what each column is.

    # Goodput of one flow
    #
    # What was measured, and how.
    #
    # cc         congestion control
    # goodput    Mbit/s                              ± 10 % or 0.05
    #
    cc       goodput
    reno        9.41
    cubic       9.44

A column with a tolerance is measured; those before it name the row. The tolerance stands in the file, and whoever reads the file
may change it: a measured value may differ by so many per cent, or by so much, whichever is more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import attrs

HERE = Path(__file__).resolve().parent
RECORD = "python -m tests.net.tables --record"

Row = tuple[str, ...]
Values = tuple[float, ...]


@attrs.frozen
class Column:
    """`percent` and `least` are its tolerance; `digits` behind the point are written."""

    name: str
    meaning: str
    percent: float = 0.0
    least: float = 0.0
    digits: int = 0

    def show(self, value: float) -> str:
        return f"{value:.{self.digits}f}"

    def allows(self, recorded: float, measured: float) -> bool:
        return abs(measured - recorded) <= max(abs(recorded) * self.percent / 100, self.least) + 0.5 * 10**-self.digits


@attrs.frozen
class Table:
    """`measure(row)` gives the values of a row. `pure` says of a row whether the pure build, too, is asked for it in tests.
    `law(row, values)` says in words what must not be, whatever is recorded; an empty string when all is well."""

    name: str
    title: str
    about: str
    keys: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    measure: Callable[..., Values]
    pure: Callable[[Row], bool]
    law: Callable[[Row, Values], str] = lambda row, values: ""

    @property
    def path(self) -> Path:
        return HERE / f"{self.name}.txt"

    def write(self, rows: Iterable[tuple[Row, Values]]) -> None:
        """Record it."""
        names = [name for name, _ in self.keys] + [column.name for column in self.columns]
        cells = [names] + [
            [*row, *(column.show(value) for column, value in zip(self.columns, values, strict=True))] for row, values in rows
        ]
        widths = [max(len(line[n]) for line in cells) for n in range(len(names))]
        left = len(self.keys)
        lines = [f"# {self.title}", "#", *(f"# {line}".rstrip() for line in self.about.strip().splitlines()), "#"]
        wide = max(map(len, names))
        lines += [f"# {name:{wide}}  {meaning}" for name, meaning in self.keys]
        lines += [f"# {c.name:{wide}}  {c.meaning:62}  ± {c.percent:g} % or {c.least:g}" for c in self.columns]
        lines += ["#", f"# Recorded by `{RECORD} {self.name}`; the tests compare.", "#"]
        for line in cells:
            keys = [cell.ljust(width) for cell, width in zip(line[:left], widths[:left], strict=True)]
            values = [cell.rjust(width) for cell, width in zip(line[left:], widths[left:], strict=True)]
            lines.append("  ".join(keys + values))
        self.path.write_text("\n".join(lines) + "\n", "utf-8")

    def read(self) -> dict[Row, Values]:
        """What is recorded, by row."""
        lines = [line for line in self.path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
        recorded = {}
        for line in lines[1:]:
            cells = line.split()
            recorded[tuple(cells[: len(self.keys)])] = tuple(map(float, cells[len(self.keys) :]))
        return recorded

    def tolerances(self) -> list[Column]:
        """The columns, with the tolerances that the file states."""
        text = self.path.read_text("utf-8")
        found = []
        for column in self.columns:
            match = re.search(rf"^# {re.escape(column.name)} .*± ([\d.]+) % or ([\d.]+)$", text, re.MULTILINE)
            assert match, f"{self.path.name} states no tolerance for {column.name}"
            found.append(attrs.evolve(column, percent=float(match[1]), least=float(match[2])))
        return found

    def differences(self, row: Row) -> list[str]:
        """Measure a row again; what differs from the file by more than its tolerance, or is against the law, in words."""
        recorded = self.read().get(row)
        if recorded is None:
            return [f"{self.path.name} has no row {' '.join(row)}: record it by {RECORD} {self.name}"]
        measured = self.measure(*row)
        against = self.law(row, measured)
        return [f"{' '.join(row)}: {against}"] * bool(against) + [
            f"{column.name} of {' '.join(row)} was {column.show(old)} and is {column.show(new)}"
            for column, old, new in zip(self.tolerances(), recorded, measured, strict=True)
            if not column.allows(old, new)
        ]
