"""How far it is: a bar on a terminal, a line now and then elsewhere (a log of CI). On standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

import attrs

LINES = 20.0  # seconds between lines where there is no terminal
FRAMES = 0.2  # seconds between pictures of the bar
WIDTH = 24


@attrs.frozen
class Snapshot:
    """Where an exploration stands. `doing` is "exploring", "shrinking" or what else; `total` None where seeds have no end."""

    doing: str
    done: int
    total: int | None
    failures: int
    seconds: float
    rate: float  # cases a second, of late

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {self.total:,}"
        failed = f", {self.failures} failed" if self.failures else ""
        left = f", {clock((self.total - self.done) / self.rate)} left" if self.total and self.rate else ""
        return f"{self.doing}: {self.done:,}{of}{failed}, {self.rate:.0f}/s{left}"


Progress = Callable[[Snapshot], None]


class Meter:
    """Tells somebody, not too often."""

    def __init__(self, tell: Progress | None, every: float) -> None:
        self._tell = tell
        self._every = every
        self._began = time.monotonic()
        self._told = self._began
        self._marks = [(self._began, 0)]

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def at(self, doing: str, done: int, total: int | None, failures: int, now: bool = False) -> None:
        if self._tell is None:
            return
        moment = time.monotonic()
        if not now and moment - self._told < self._every:
            return
        self._told = moment
        since, before = self._marks[0]
        self._marks = [*self._marks[-9:], (moment, done)]
        rate = max(0.0, (done - before) / (moment - since)) if moment > since else 0.0
        self._tell(Snapshot(doing, done, total, failures, moment - self._began, rate))


class Bar:
    """One line of a terminal, drawn over and over."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._length = 0

    def __call__(self, snapshot: Snapshot) -> None:
        share = min(1.0, snapshot.done / snapshot.total) if snapshot.total else 0.0
        bar = f"[{'#' * round(share * WIDTH):{WIDTH}}] " if snapshot.total else ""
        text = f"{bar}{snapshot}"
        self._out.write(f"\r{text:{self._length}}")
        self._out.flush()
        self._length = len(text)

    def clear(self) -> None:
        if self._length:
            self._out.write("\r" + " " * self._length + "\r")
            self._out.flush()
            self._length = 0


def meter(progress: Progress | bool | None, out: TextIO | None = None) -> tuple[Meter, Callable[[], None]]:
    """What `explore(progress=…)` asks for, and how to take it off the screen: None chooses by whether there is a terminal."""
    out = sys.stderr if out is None else out
    if callable(progress):
        return Meter(progress, FRAMES), lambda: None
    if progress is False:
        return Meter(None, LINES), lambda: None
    if out.isatty() or progress is True:
        bar = Bar(out)
        return Meter(bar, FRAMES), bar.clear
    return Meter(lambda snapshot: print(snapshot, file=out, flush=True), LINES), lambda: None


def clock(seconds: float) -> str:
    """`"45 s"`, `"3:05"`, `"2:00:09"`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
