"""The clocks of a program in a test world. All of them are the clock of its loop.

    time.monotonic, perf_counter     the time of the loop, as `loop.time()` and `trio.current_time()` say it
    time.time, datetime.now, …       the same, from EPOCH on
    time.sleep                       waits in a function of `run_sync`; refused in a coroutine, where it would stop every host

Processor time (`process_time`, `thread_time`) is the machine's.

Time stands still while a program computes. One that waits for it, `while time.monotonic() < until: pass`, would wait for ever; who
asks so often at one instant is told that he spins.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from ..errors import UsageError
from ..testing.clock import Spinning
from .here import side_here, workers

EPOCH = 1_767_225_600  # 2026-01-01 00:00:00 UTC: one that is the same for all, and within the validity of certificates made today
ASKED = 1_000_000  # times at one instant: a third of a second of the machine's, and more than 100,000 connections ask


class _Counter:
    """How often somebody has asked at an instant."""

    __slots__ = ("instant", "times")

    def __init__(self) -> None:
        self.instant = -1.0
        self.times = 0

    def look(self, now: float) -> float:
        if now != self.instant:
            self.instant = now
            self.times = 0
        self.times += 1
        if self.times > ASKED:
            self.times = 0
            raise Spinning(
                f"a program has asked for the time {ASKED} times at {now} s, and time stands still while it computes: wait with"
                " asyncio.sleep or trio.sleep"
            )
        return now


_counter = _Counter()


def _clock(original: Callable[[], Any], offset: int, nanoseconds: bool) -> Callable[[], Any]:
    @wraps(original)
    def clock() -> Any:
        side = side_here()
        if side is None:
            return original()
        now = _counter.look(side.now())
        return offset * 1_000_000_000 + round(now * 1e9) if nanoseconds else now + offset

    return clock


def _of_now(original: Callable[..., Any], position: int) -> Callable[..., Any]:
    """A function of the time that takes the present one where none is given."""

    @wraps(original)
    def function(*args: Any) -> Any:
        side = side_here()
        if side is None or (len(args) > position and args[position] is not None):
            return original(*args)
        now = side.now() + EPOCH
        return original(*args[:position], time_of(now) if position else now)

    return function


def time_of(now: float) -> time.struct_time:
    return _localtime(now)


_localtime = time.localtime
_sleep = time.sleep


@wraps(time.sleep)
def _sleep_here(seconds: float, /) -> None:
    if side_here() is None or seconds <= 0:
        _sleep(seconds)
        return
    worker = workers.here
    if worker is not None:
        worker.ask(partial(worker.side.sleep, seconds))
        return
    raise UsageError(
        f"time.sleep({seconds}) in a coroutine would stop every host of the test world at once, and no time would pass: await"
        " asyncio.sleep or trio.sleep, or run the function by host.run_sync"
    )


SUBSTITUTES: list[tuple[Any, Any]] = [
    (time.time, _clock(time.time, EPOCH, False)),
    (time.time_ns, _clock(time.time_ns, EPOCH, True)),
    (time.monotonic, _clock(time.monotonic, 0, False)),
    (time.monotonic_ns, _clock(time.monotonic_ns, 0, True)),
    (time.perf_counter, _clock(time.perf_counter, 0, False)),
    (time.perf_counter_ns, _clock(time.perf_counter_ns, 0, True)),
    (time.localtime, _of_now(time.localtime, 0)),
    (time.gmtime, _of_now(time.gmtime, 0)),
    (time.ctime, _of_now(time.ctime, 0)),
    (time.strftime, _of_now(time.strftime, 1)),
    (time.asctime, _of_now(time.asctime, 0)),
    (time.sleep, _sleep_here),
]


def _now(original: Any) -> Any:
    def now(cls: Any, tz: datetime.tzinfo | None = None) -> Any:
        side = side_here()
        return original.__get__(None, cls)(tz) if side is None else cls.fromtimestamp(side.now() + EPOCH, tz)

    return classmethod(now)


def _utcnow(original: Any) -> Any:
    def utcnow(cls: Any) -> Any:
        side = side_here()
        if side is None:
            return original.__get__(None, cls)()
        return cls.fromtimestamp(side.now() + EPOCH, datetime.UTC).replace(tzinfo=None)

    return classmethod(utcnow)


# `date.today` and `datetime.today` ask `time.time` by themselves
METHODS: list[tuple[type, str, Callable[[Any], Any]]] = [
    (datetime.datetime, "now", _now),
    (datetime.datetime, "utcnow", _utcnow),
]
