"""Results on disk: one line of JSON for each lot of cases that passed, and for each failure, as soon as it is known.

    {"of": "9f2c…", "scenario": "tests.test_lock:test_lock", …}      what was asked, once for each run
    {"of": "9f2c…", "passed": "0-411,413"}                           seeds
    {"of": "9f2c…", "failed": {…}, "shrunk": {…}}

Whoever is interrupted, by Ctrl-C, by kill -9 or by a machine that is taken away, goes on with the same file. A line that was
torn by that is ignored, and so is every line of another exploration: `of` is a digest of the scenario's file, its faults, its
schedules and what it showed in a calm run. Several may share a file.

What has passed is skipped. What has failed is run again: perhaps it has been mended.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from ..errors import UsageError
from .cases import Case

LONGEST = 1 << 20  # characters of a line: what is longer we have not written


class Ranges:
    """A set of ints that is small as long as they lie together: a million seeds in their order take one entry."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []  # inclusive

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number <= self._ends[at]

    def __len__(self) -> int:
        return sum(end - start + 1 for start, end in self._pairs())

    def add(self, start: int, end: int | None = None) -> None:
        """One, or all from `start` to `end` inclusive."""
        end = start if end is None else end
        low = bisect_right(self._starts, start) - 1
        if low >= 0 and self._ends[low] >= start - 1:
            start = self._starts[low]
        else:
            low += 1
        high = bisect_right(self._starts, end + 1)
        if high > low:
            end = max(end, self._ends[high - 1])
        self._starts[low:high] = [start]
        self._ends[low:high] = [end]

    def _pairs(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def __str__(self) -> str:
        return ",".join(str(start) if start == end else f"{start}-{end}" for start, end in self._pairs())

    @classmethod
    def parse(cls, text: str) -> Ranges:
        """Raises ValueError."""
        found = cls()
        for part in filter(None, text.split(",")):
            start, _, end = part.partition("-")
            found.add(int(start), int(end or start))
        return found


class Journal:
    """The file of one exploration. `passed` are the seeds that need not be run again, `failed` what failed before and its shrunk
    form, by seed."""

    def __init__(self, path: str | os.PathLike[str] | None, key: str, about: Mapping[str, Any]) -> None:
        self.key = key
        self.passed = Ranges()
        self.failed: dict[int, tuple[Case, Case]] = {}
        self._file: TextIO | None = None
        if path is None:
            return
        self._read(Path(path))
        # line by line, so that what we know is on the disk of a process that is killed
        self._file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115
        if self._file.tell() and not _ends_a_line(Path(path)):
            self._file.write("\n")
        self._write({**about})

    def _read(self, path: Path) -> None:
        try:
            file = open(path, encoding="utf-8", errors="replace")  # noqa: SIM115
        except FileNotFoundError:
            return
        with file:
            ours = foreign = 0
            while line := file.readline(LONGEST):
                try:
                    entry = json.loads(line)
                    is_ours = entry["of"] == self.key
                    if is_ours:
                        self._take(entry)
                except (ValueError, KeyError, TypeError, RecursionError):
                    foreign += bool(line.strip())
                else:
                    ours += 1
        if foreign > 1 and not ours:
            raise UsageError(f"{path} is no journal of an exploration: name another file, or one that is not there yet")

    def _take(self, entry: Mapping[str, Any]) -> None:
        if "passed" in entry:
            for start, end in Ranges.parse(entry["passed"])._pairs():
                self.passed.add(start, end)
        elif "failed" in entry:
            case, shrunk = Case.from_json(entry["failed"]), Case.from_json(entry["shrunk"])
            self.failed[case.seed] = case, shrunk

    def note_passed(self, seeds: Iterable[int]) -> None:
        if self._file is not None:
            ranges = Ranges()
            for seed in seeds:
                ranges.add(seed)
            self._write({"passed": str(ranges)})

    def note_failed(self, case: Case, shrunk: Case, said: Mapping[str, Any]) -> None:
        self._write({"failed": case.to_json(), "shrunk": shrunk.to_json(), **said})

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, entry: Mapping[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps({"of": self.key, **entry}) + "\n")


def _ends_a_line(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
