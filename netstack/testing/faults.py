"""What a bad cable does to frames, said as numbers, drawn from a seed, and done to each frame in one stated order.

For each frame that enters a `Line` at `now`:

  1. mtu        an internet datagram longer than this does not fit: dropped (TooLong)
  2. rate       the line sends one frame after another, `8 * len(frame) / rate` seconds each; a frame that finds `queue`
                others waiting for the line is dropped at the tail (QueueFull). Preamble and check sequence don't count
  3. loss       lost on the way, after it has used its share of the rate (Lost)
  4. corrupt    one bit, anywhere in the frame, is flipped (Corrupted)
  5. duplicate  it arrives twice (Duplicated); each copy goes through 6 and 7 by itself
  6. delay      takes `delay`, and up to `jitter` more, evenly spread. Jitter alone never reorders: a frame arrives no
                earlier than the one before it
  7. reorder    held back for `reorder_by` more while those behind it overtake (Reordered)

3, 4, 5 and 7 are probabilities, each drawn anew and only when it is not 0. The same seed and the same frames at the same
instants give the same fates.
"""

import re
from collections import deque
from collections.abc import Callable
from typing import Any, TypedDict

import attrs

from ..counters import Group
from ..errors import UsageError
from ..instant import MILLISECOND, SECOND, parse_duration
from ..signatures import Rng

_ONE = 1 << 53  # chances are compared as 53-bit fractions, the precision of a float
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


class FaultArguments(TypedDict, total=False):
    """The fields of `Faults`, for functions that take them as keywords."""

    loss: float
    duplicate: float
    reorder: float
    corrupt: float
    delay: int
    jitter: int
    reorder_by: int
    rate: int | None
    queue: int
    mtu: int
    seed: int


@attrs.frozen(kw_only=True)
class Faults:
    """How bad a cable is. All zero: a perfect one. Durations are in nanoseconds, the rate in bits per second."""

    loss: float = attrs.field(default=0.0, validator=_chance)
    duplicate: float = attrs.field(default=0.0, validator=_chance)
    reorder: float = attrs.field(default=0.0, validator=_chance)
    corrupt: float = attrs.field(default=0.0, validator=_chance)
    delay: int = attrs.field(default=0, validator=_not_negative)
    jitter: int = attrs.field(default=0, validator=_not_negative)
    reorder_by: int = attrs.field(default=10 * MILLISECOND, validator=_not_negative)
    rate: int | None = attrs.field(default=None, validator=_rate)
    queue: int = attrs.field(default=1000, validator=_positive)  # frames; what Linux gives a device (txqueuelen)
    mtu: int = attrs.field(default=1500, validator=_positive)
    seed: int = 0

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
        units = {"delay": "ns", "jitter": "ns", "reorder_by": "ns"}
        return ",".join(f"{name}={value}{units.get(name, '')}" for name, value, default in shown if value != default)


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
    "rate": _read_rate,
    "queue": int,
    "mtu": int,
    "seed": int,
}
_EXAMPLES = {
    "loss": "1%",
    "duplicate": "0.02",
    "reorder": "2%",
    "corrupt": "0.001",
    "delay": "20ms",
    "jitter": "5ms",
    "reorder_by": "10ms",
    "rate": "100M",
    "queue": "1000",
    "mtu": "1500",
    "seed": "7",
}


class FaultMib(Group):
    """What happened to the frames of a line or a wire."""

    MEANING = {
        "Frames": "frames that entered",
        "TooLong": "dropped: longer than the mtu",
        "QueueFull": "dropped: the queue before the line was full",
        "Lost": "dropped: lost on the way",
        "Corrupted": "arrived with one bit flipped",
        "Duplicated": "arrived twice",
        "Reordered": "held back while others overtook",
        "Cut": "dropped: the cable between the two was cut",
        "Tampered": "dropped or changed by the test's own function",
        "InboxFull": "dropped: the receiver has not polled for too long",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.Frames = 0
        self.TooLong = 0
        self.QueueFull = 0
        self.Lost = 0
        self.Corrupted = 0
        self.Duplicated = 0
        self.Reordered = 0
        self.Cut = 0
        self.Tampered = 0
        self.InboxFull = 0


class Line:
    """One direction of a cable: takes a frame at an instant, and says what arrives when."""

    __slots__ = ("faults", "mib", "_begins", "_busy_until", "_header", "_last_arrival", "_rng")

    def __init__(self, faults: Faults, rng: Rng, header: int = 14, mib: "FaultMib | None" = None) -> None:
        """`header` is the length of the link header, which the mtu leaves out."""
        self.faults = faults
        self.mib = FaultMib() if mib is None else mib
        self._rng = rng
        self._header = header
        self._busy_until = 0
        self._begins: deque[int] = deque()
        self._last_arrival = 0

    def carry(self, frame: bytes, now: int) -> tuple[list[tuple[int, bytes]], str]:
        """The instants and frames that arrive, none if it is dropped; and what befell it, in words, for a capture's comment."""
        faults, mib = self.faults, self.mib
        mib.Frames += 1
        if len(frame) - self._header > faults.mtu:
            mib.TooLong += 1
            return [], f"dropped: longer than the mtu of {faults.mtu}"
        departure = self._serialise(len(frame), now)
        if departure is None:
            mib.QueueFull += 1
            return [], f"dropped: {faults.queue} frames are queued before it"
        if self._befalls(faults.loss):
            mib.Lost += 1
            return [], "dropped: lost on the way"
        fate = []
        if frame and self._befalls(faults.corrupt):
            mib.Corrupted += 1
            bit = self._below(8 * len(frame))
            frame = frame[: bit >> 3] + bytes([frame[bit >> 3] ^ 1 << (bit & 7)]) + frame[(bit >> 3) + 1 :]
            fate.append(f"bit {bit & 7} of byte {bit >> 3} flipped")
        copies = 1
        if self._befalls(faults.duplicate):
            mib.Duplicated += 1
            copies = 2
            fate.append("duplicated")
        arrivals = []
        for _ in range(copies):
            arrival = departure + faults.delay + (self._below(faults.jitter + 1) if faults.jitter else 0)
            arrival = max(arrival, self._last_arrival)
            if self._befalls(faults.reorder):
                mib.Reordered += 1
                arrival += faults.reorder_by
                fate.append("held back")
            else:
                self._last_arrival = arrival
            arrivals.append((arrival, frame))
        return arrivals, ", ".join(fate)

    def _serialise(self, length: int, now: int) -> "int | None":
        """When the last bit has left, or None when the queue is full."""
        if self.faults.rate is None:
            return now
        # those that have not begun to leave are waiting; the one on the line is not
        begins = self._begins
        while begins and begins[0] <= now:
            begins.popleft()
        if len(begins) >= self.faults.queue:
            return None
        begin = max(now, self._busy_until)
        if begin > now:
            begins.append(begin)
        self._busy_until = begin + -(-8 * length * SECOND // self.faults.rate)
        return self._busy_until

    def _befalls(self, chance: float) -> bool:
        return chance > 0 and self._rng.getrandbits(53) < chance * _ONE

    def _below(self, n: int) -> int:
        # the bias of % is below n / 2**53, and every bit of it is reproducible
        return self._rng.getrandbits(53) % n
