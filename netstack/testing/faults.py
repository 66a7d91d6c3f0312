"""What a bad cable does to frames, said as numbers, drawn from a seed, and done to each frame in one stated order.

For each frame that enters a `Line` at `now`:

  1. mtu        an internet datagram longer than this does not fit: dropped (TooLong)
  2. rate       the line sends one frame after another, `8 * len(frame) / rate` seconds each; a frame that finds `queue`
                others waiting for the line is dropped at the tail (QueueFull). Preamble and check sequence don't count
  3. loss       lost on the way, after it has used its share of the rate; the first of these that applies:
       drop       it is a TCP segment that stands on this list (Picked): `5`, `5-8`, `9r1` for the first retransmission of the
                  ninth; numbered from 1 in each flow and direction, data-carrying ones alone (picks.py)
       ack_loss   it is a TCP acknowledgement without data, SYN, FIN or RST (AckLost)
       loss       whatever it is (Lost). With a `burst` above 1 losses come in bursts: the line is good or bad (Gilbert and
                  Elliott), a bad time lasts `burst` frames on average and loses `burst_loss` of them, a good one none, and
                  `loss` is the share of all frames that are lost in the long run
  4. corrupt    one bit, anywhere in the frame, is flipped (Corrupted)
  5. duplicate  it arrives twice (Duplicated); each copy goes through 6 and 7 by itself
  6. delay      takes `delay`, and up to `jitter` more, evenly spread. Jitter alone never reorders: a frame arrives no
                earlier than the one before it
  7. reorder    held back for `reorder_by` more while those behind it overtake; or, with `reorder_past`, until exactly so many
                others have arrived, and comes right behind the last of them, `hold` later at the latest (Reordered)

ack_loss, loss, 4, 5 and 7 are probabilities, each drawn anew and only when it is not 0. The same seed and the same frames at
the same instants give the same fates.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, TypedDict

import attrs

from ..errors import UsageError
from ..instant import MILLISECOND, SECOND, parse_duration
from .line import Line
from .mib import FaultMib
from .picks import Pick, Picks, read_picks, show_picks

__all__ = ["FaultArguments", "FaultMib", "Faults", "Line"]

_RATE = re.compile(r"(\d+(?:\.\d+)?)([kKMG]?)(?:bit|bps|bit/s)?", re.ASCII)
_SCALE = {"": 1, "k": 1_000, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000}


def _chance(faults: "Faults", attribute: "attrs.Attribute[float]", value: float) -> None:
    if not 0 <= value <= 1:
        raise UsageError(f"{attribute.name}={value} is not a probability: write a number from 0 to 1, or a percentage like 2%")


def _not_negative(faults: "Faults", attribute: "attrs.Attribute[int]", value: int) -> None:
    if value < 0:
        raise UsageError(f"{attribute.name}={value} is negative: write a duration like 20ms")


def _rate(faults: "Faults", attribute: "attrs.Attribute[int | None]", value: "int | None") -> None:
    if value is not None and value <= 0:
        raise UsageError(f"rate={value} carries nothing: write bits per second like 100M, or leave it out for no limit")


def _positive(faults: "Faults", attribute: "attrs.Attribute[int]", value: int) -> None:
    if value <= 0:
        raise UsageError(f"{attribute.name}={value} lets nothing pass: write a number above 0")


def _burst(faults: "Faults", attribute: "attrs.Attribute[float]", value: float) -> None:
    if value < 1:
        raise UsageError(f"burst={value} is less than one frame: write how many are lost in a row on average, 1 for no bursts")


class FaultArguments(TypedDict, total=False):
    """The fields of `Faults`, for functions that take them as keywords."""

    loss: float
    burst: float
    burst_loss: float
    ack_loss: float
    drop: str | int | Iterable[int | Pick]
    duplicate: float
    reorder: float
    corrupt: float
    delay: int
    jitter: int
    reorder_by: int
    reorder_past: int
    hold: int
    rate: int | None
    queue: int
    mtu: int
    seed: int


@attrs.frozen(kw_only=True)
class Faults:
    """How bad a cable is. All zero: a perfect one. Durations are in nanoseconds, the rate in bits per second."""

    loss: float = attrs.field(default=0.0, validator=_chance)
    burst: float = attrs.field(default=1.0, validator=_burst)  # frames
    burst_loss: float = attrs.field(default=1.0, validator=_chance)
    ack_loss: float = attrs.field(default=0.0, validator=_chance)
    drop: Picks = attrs.field(default=(), converter=read_picks)
    duplicate: float = attrs.field(default=0.0, validator=_chance)
    reorder: float = attrs.field(default=0.0, validator=_chance)
    corrupt: float = attrs.field(default=0.0, validator=_chance)
    delay: int = attrs.field(default=0, validator=_not_negative)
    jitter: int = attrs.field(default=0, validator=_not_negative)
    reorder_by: int = attrs.field(default=10 * MILLISECOND, validator=_not_negative)
    reorder_past: int = attrs.field(default=0, validator=_not_negative)  # frames; 0: by time
    hold: int = attrs.field(default=int(SECOND), validator=_not_negative)  # where nothing follows, as long as RFC 6298's first RTO
    rate: int | None = attrs.field(default=None, validator=_rate)
    queue: int = attrs.field(default=1000, validator=_positive)  # frames; what Linux gives a device (txqueuelen)
    mtu: int = attrs.field(default=1500, validator=_positive)
    seed: int = 0

    def __attrs_post_init__(self) -> None:
        if self.loss and self.burst > 1 and self.loss > self.burst_loss:
            raise UsageError(f"loss={self.loss} can't be had from bursts that lose {self.burst_loss}: raise burst_loss above it")

    @classmethod
    def parse(cls, text: str) -> "Faults":
        """`"loss=1%,delay=20ms,jitter=5ms,rate=100M,seed=7"`: any of the fields. Raises UsageError."""
        values: dict[str, Any] = {}
        for item in filter(None, (part.strip() for part in text.split(","))):
            key, equals, value = item.partition("=")
            if key not in _READERS:
                raise UsageError(f"{key!r} is not a fault: write some of {', '.join(_READERS)}, like loss=1%,delay=20ms")
            if not equals or not value:
                raise UsageError(f"{key} has no value: write {key}={_EXAMPLES[key]}")
            if key in values:
                raise UsageError(f"{key} stands there twice: write it once")
            try:
                values[key] = _READERS[key](value)
            except (ValueError, OverflowError):
                raise UsageError(f"{item!r} can't be read: write it like {key}={_EXAMPLES[key]}") from None
        return cls(**values)

    def __str__(self) -> str:
        """In the form that `parse` reads: what a failing test prints."""
        shown = ((a.name, getattr(self, a.name), a.default) for a in attrs.fields(Faults))
        return ",".join(f"{name}={_show(name, value)}" for name, value, default in shown if value != default)


def _show(name: str, value: Any) -> str:
    if name == "drop":
        return show_picks(value)
    return f"{value}ns" if name in ("delay", "jitter", "reorder_by", "hold") else str(value)


def _read_chance(text: str) -> float:
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


def _read_rate(text: str) -> int:
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return round(float(match[1]) * _SCALE[match[2]])


_READERS: dict[str, Callable[[str], object]] = {
    "loss": _read_chance,
    "duplicate": _read_chance,
    "reorder": _read_chance,
    "corrupt": _read_chance,
    "delay": parse_duration,
    "jitter": parse_duration,
    "reorder_by": parse_duration,
    "reorder_past": int,
    "hold": parse_duration,
    "rate": _read_rate,
    "queue": int,
    "mtu": int,
    "burst": float,
    "burst_loss": _read_chance,
    "ack_loss": _read_chance,
    "drop": read_picks,
    "seed": int,
}
_EXAMPLES = {
    "loss": "1%",
    "burst": "4",
    "burst_loss": "1.0",
    "ack_loss": "10%",
    "drop": "5-8+9r1",
    "duplicate": "0.02",
    "reorder": "2%",
    "corrupt": "0.001",
    "delay": "20ms",
    "jitter": "5ms",
    "reorder_by": "10ms",
    "reorder_past": "3",
    "hold": "1s",
    "rate": "100M",
    "queue": "1000",
    "mtu": "1500",
    "seed": "7",
}
