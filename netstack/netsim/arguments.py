"""What a mark or a call says about a world, checked and brought into the types of `Faults`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import attrs

from ..errors import UsageError
from ..instant import SECOND, Duration, parse_duration, seconds
from ..testing.faults import FaultArguments, Faults

FAULTS = tuple(field.name for field in attrs.fields(Faults))


def read_faults(said: Mapping[str, Any] | str) -> FaultArguments:
    """Faults as text, `"loss=20%,delay=80ms"`, or by name, each as text or in the type of its field: durations as ints of
    nanoseconds, or as floats of seconds. Raises UsageError."""
    if isinstance(said, str):
        faults = Faults.parse(said)
        names = [item.partition("=")[0].strip() for item in said.split(",") if item.strip()]
        return cast(FaultArguments, {name: getattr(faults, name) for name in names})
    read: dict[str, Any] = {}
    for name, value in said.items():
        if name not in FAULTS:
            raise UsageError(f"{name!r} is not a fault: write some of {', '.join(FAULTS)}, like loss=0.2, delay='80ms'")
        if isinstance(value, str) and name != "drop":
            value = getattr(Faults.parse(f"{name}={value}"), name)
        elif name in ("delay", "jitter", "reorder_by", "hold"):
            value = _duration(name, value)
        read[name] = value
    try:
        Faults(**read)  # which checks the values
    except TypeError:
        raise UsageError(f"{_shown(said)}: one of these is neither a number nor a text like 20% or 80ms") from None
    return cast(FaultArguments, read)


def _duration(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f"{name}={value!r} is not a duration: write it like '80ms'")
    return seconds(value) if isinstance(value, float) else value


def _shown(said: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in said.items())


def read_seconds(value: float | str) -> float:
    """`30`, `1.5` or `"30s"`, `"200ms"`, `"5min"`, `"1h"` in seconds. Raises UsageError."""
    if isinstance(value, str):
        size, text = 1, value
        for suffix, many in (("min", 60), ("h", 3600)):
            if value.endswith(suffix):
                size, text = many, value.removesuffix(suffix)
        duration = Duration(size * parse_duration(text))
    else:
        duration = seconds(value)
    if duration < 0:
        raise UsageError(f"{value!r} is in the past, and time does not go back: write a duration like '30s'")
    return duration / SECOND


def nanoseconds(value: float | str) -> Duration:
    return seconds(read_seconds(value))
