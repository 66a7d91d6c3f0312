"""Instants and durations: integer nanoseconds on a clock that never goes back. Nothing here reads a clock.

Both are plain ints at run time and distinct to the checker. Cores take `now: Instant` and hand back the next instant that
they care about; only the faces know where `now` comes from.
"""

import math
from typing import NewType

from .errors import UsageError

Instant = NewType("Instant", int)
Duration = NewType("Duration", int)

NANOSECOND = Duration(1)
MICROSECOND = Duration(1_000)
MILLISECOND = Duration(1_000_000)
SECOND = Duration(1_000_000_000)

NEVER = Instant(0x7FFFFFFFFFFFFFFF)

_UNITS = (("ns", NANOSECOND), ("us", MICROSECOND), ("ms", MILLISECOND), ("s", SECOND))


def seconds(value: float) -> Duration:
    """The duration of `value` seconds, rounded to a nanosecond."""
    return Duration(round(value * 1_000_000_000))


def check_timeout(timeout: Duration | None) -> None:
    """A timeout that is a float must have been meant as seconds. Raises UsageError."""
    if isinstance(timeout, float):
        raise UsageError(f"{timeout} as a timeout would be nanoseconds: write seconds({timeout}), from netstack.instant")


def parse_duration(text: str) -> Duration:
    """`"20ms"`, `"1.5s"`, `"300us"`, `"0.02"` (seconds) as a duration. Raises UsageError on anything else."""
    number, unit = text, SECOND
    for suffix, size in _UNITS:
        if text.endswith(suffix):
            number, unit = text.removesuffix(suffix), size
            break
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value * unit):
        raise UsageError(f"{text!r} is not a duration: write it like 20ms, 1.5s, 300us, or in seconds like 0.02")
    return Duration(round(value * unit))


def format_duration(value: int) -> str:
    """A duration in the largest unit that leaves at least 1, to three digits: `"1.5 ms"`."""
    for unit, size in reversed(_UNITS):
        if abs(value) >= size:
            number = value / size
            return f"{number:.3g} {unit}" if abs(number) < 999.5 else f"{number:.0f} {unit}"
    return "0 s"
