"""Which cases there are. A case is all that a run depends on: a seed, faults, a schedule; and each seed has one case.

A `Space` draws it: faults from their ranges and the schedule from its maker, each with dice of its own that were started with the
seed, so that another range for `loss` does not change which schedules there are. Nothing else goes in, no worker, no clock and
no order, so the case of a seed is the same whoever asks, and on every machine.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import Any

import attrs

from ..errors import UsageError
from ..instant import parse_duration
from ..testing.faults import Faults
from ..testing.picks import read_picks
from .schedule import CHANCES, DURATIONS, FIELDS, Event, Schedule, read_schedule, read_value, show_value
from .storms import Survey, rounded

Maker = Callable[[Random, Survey], Iterable[Event]]
Value = float | int | str
WEATHER: Mapping[str, tuple[Value, Value]] = {"loss": (0.0, 0.2), "delay": ("0ms", "100ms"), "reorder": (0.0, 0.1)}
CALM = 0.25  # the share of cases in which a fault is as light as its range allows: so that some cases have one fault alone


def _by_name(faults: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(dict(faults).items()))


@attrs.frozen
class Case:
    """A run that can be repeated. `faults` are fields of `Faults` as that class has them: chances, nanoseconds, …"""

    seed: int
    faults: tuple[tuple[str, Any], ...] = attrs.field(default=(), converter=_by_name)
    schedule: Schedule = attrs.field(default=Schedule(), converter=read_schedule)

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits that differ where the cases do."""
        return digest_of([self.seed, self.faults, str(self.schedule)])

    def without(self, fault: str) -> Case:
        return attrs.evolve(self, faults=[(name, value) for name, value in self.faults if name != fault])

    def with_fault(self, fault: str, value: Any) -> Case:
        return attrs.evolve(self, faults={**dict(self.faults), fault: value})

    def shown_faults(self) -> dict[str, Value]:
        """For people: durations as text, and only what differs from a perfect cable."""
        perfect = {field.name: field.default for field in attrs.fields(Faults)}
        return {
            name: show_value(name, value / 1e9) if name in DURATIONS else value
            for name, value in self.faults
            if value != perfect.get(name)
        }

    def arguments(self, in_dict: bool = False) -> str:
        """As they are written in Python: for the mark, or with the faults in a dict, for `netsim.run`."""
        faults = self.shown_faults()
        said = [f"seed={self.seed}"]
        if in_dict:
            said += [f"faults={faults!r}"] if faults else []
        else:
            said += [f"{name}={value!r}" for name, value in faults.items()]
        if self.schedule:
            said.append(f'schedule="{self.schedule}"')
        return ", ".join(said)

    def to_json(self) -> dict[str, Any]:
        return {"seed": self.seed, "faults": dict(self.faults), "schedule": str(self.schedule)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Case:
        """Raises KeyError, TypeError or ValueError on anything that `to_json` has not written."""
        return cls(int(data["seed"]), data["faults"], Schedule.parse(data["schedule"]))


@attrs.frozen
class Range:
    """A fault that is drawn anew for each case, evenly from `low` to `high`."""

    low: float
    high: float

    def draw(self, rng: Random) -> float:
        value = rounded(rng.uniform(self.low, self.high), 3)
        return self.low if rng.random() < CALM else min(max(value, self.low), self.high)


def read_faults(said: Mapping[str, object]) -> dict[str, Any]:
    """Each fault as a `Range` or as `Faults` has it. Durations are texts, floats of seconds or ints of nanoseconds, as for a
    `netsim`. Raises UsageError."""
    faults: dict[str, Any] = {}
    for name, value in said.items():
        if name == "seed":
            raise UsageError("seed= is the seed of one run: say seeds=range(1000), or seeds=[7]")
        if name not in {field.name for field in attrs.fields(Faults)}:
            raise UsageError(f"{name!r} is not a fault: write some of {', '.join((*FIELDS, 'drop'))}, like loss=(0, 0.3)")
        if name != "drop" and isinstance(value, (tuple, list)):
            if len(value) != 2:
                raise UsageError(f"{name}={value!r} is no range: write the lightest and the worst, like {name}=(0, 0.3)")
            low, high = (_plain(name, end) for end in value)
            if low > high:
                raise UsageError(f"{name}={value!r} begins above its end: write ({value[1]}, {value[0]})")
            faults[name] = low if low == high else Range(low, high)
            continue
        if name == "drop":
            read_picks(value)  # type: ignore[arg-type]  # raises UsageError for what it can't read
        faults[name] = value if name == "drop" else _plain(name, value)
    return faults


def _plain(name: str, value: object) -> Any:
    """A number as `Faults` has it; the bounds are checked there."""
    if isinstance(value, str):
        return _whole(name, read_value(name, value) * (1e9 if name in DURATIONS else 1))
    if value is None and name == "rate":
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UsageError(f"{name}={value!r} is neither a number nor a text like 80ms")
    value = _whole(name, value * 1e9 if name in DURATIONS and isinstance(value, float) else value)
    one: dict[str, Any] = {name: value}
    Faults(**one)
    return value


def _whole(name: str, value: float) -> float | int:
    return value if name in (*CHANCES, "burst") else round(value)


@attrs.frozen
class Space:
    """All cases of one exploration. `faults` are as `read_faults` gives them."""

    faults: Mapping[str, Any]
    maker: Maker | None = None
    survey: Survey = attrs.Factory(Survey)

    def case(self, seed: int) -> Case:
        """The one of this seed. Raises UsageError where the schedule's maker makes no events."""
        rng = Random(f"{seed} faults")
        faults = {}
        for name, value in self.faults.items():
            drawn = value.draw(rng) if isinstance(value, Range) else value
            faults[name] = _whole(name, drawn) if isinstance(value, Range) else drawn
        if self.maker is None:
            return Case(seed, faults)
        try:
            return Case(seed, faults, read_schedule(self.maker(Random(f"{seed} schedule"), self.survey)))
        except TypeError as error:
            said = "write a function (rng, survey) that returns Events, or Storm('partition crash')"
            raise UsageError(f"schedules={self.maker!r} makes no schedule ({error}): {said}") from error

    def calm(self) -> dict[str, Any]:
        """The faults of the run that shows what there is: durations and rates at their worst, and nothing is left to chance."""
        still = {}
        for name, value in self.faults.items():
            if name not in CHANCES and name not in ("drop", "jitter", "burst"):
                still[name] = _whole(name, value.high) if isinstance(value, Range) else value
        return still

    @property
    def key(self) -> str:
        """Differs where the cases may."""
        faults = {name: [value.low, value.high] if isinstance(value, Range) else value for name, value in self.faults.items()}
        return digest_of([faults, identity(self.maker), attrs.asdict(self.survey)])


def identity(maker: object) -> str:
    """A text that stays the same from run to run as long as what it makes does: best effort, for a function its source."""
    if maker is None or attrs.has(type(maker)):
        return repr(maker)
    try:
        return inspect.getsource(maker)  # type: ignore[arg-type]  # OSError and TypeError say what it is not
    except (OSError, TypeError):
        return f"{getattr(maker, '__module__', '')}.{getattr(maker, '__qualname__', type(maker).__qualname__)}"


def digest_of(data: object) -> str:
    """Of anything that JSON can say."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest()[:16]


def duration(value: str | float) -> float:
    """`"30s"`, `"2m"`, or seconds, as seconds."""
    if isinstance(value, str):
        minutes = value.removesuffix("min") if value.endswith("min") else value.removesuffix("m")
        if minutes != value and not value.endswith("ms"):
            return parse_duration(minutes) / 1e9 * 60
        return parse_duration(value) / 1e9
    return float(value)
