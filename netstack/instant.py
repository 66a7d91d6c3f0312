"""Instants and durations: integer nanoseconds on a clock that never goes back. Nothing here reads a clock.

Both are plain ints at run time and distinct to the checker. Cores take `now: Instant` and hand back the next instant that
they care about; only the faces know where `now` comes from.
"""

from typing import NewType

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


def parse_duration(text: str) -> Duration:
    """`"20ms"`, `"1.5s"`, `"300us"`, `"0.02"` (seconds) as a duration. Raises ValueError on anything else."""
    for unit, size in _UNITS:
        number = text.removesuffix(unit)
        if number != text and number[-1:].isdigit():
            return Duration(round(float(number) * size))
    return seconds(float(text))


def format_duration(value: int) -> str:
    """A duration in the largest unit that leaves at least 1: `"1.5 ms"`."""
    for unit, size in reversed(_UNITS):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return "0 s"
