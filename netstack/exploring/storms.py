"""Schedules drawn from dice: `Storm("partition crash", most=2)`.

**Aimed.** A bug that needs a crash between two messages is not found by instants that are spread evenly over a run of ten seconds
in which messages are a millisecond apart and far between. A run without faults is made first, and its instants are noted, those at
which somebody sent something (`Survey`). Half of all events fall between one such instant and the next, the other half
anywhere.

**Injuries come with their cure.** Who is parted is healed, who crashes comes back: a program can't be blamed for not
finishing in a world that stays broken. The times between are of all magnitudes, from a thousandth of the run to twice its length,
or half a minute.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import TypeVar

import attrs

from ..errors import UsageError
from .schedule import CURES, FIELDS, Event, names

T = TypeVar("T")

SHORTEST = 0.001  # seconds: what an injury lasts at least, and what a run without any time is taken for
LONGEST = 30.0  # seconds: what an injury may last however short the run is, for time-outs are as long in a short program
VALUES = {"loss": (0.1, 1.0), "ack_loss": (0.1, 1.0), "duplicate": (0.05, 0.5), "reorder": (0.05, 0.5), "corrupt": (0.01, 0.2)}
DELAYS = (0.01, 3.0)  # seconds: from what nobody notices to what every impatient program takes for an end


def _words(said: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(said.replace(",", " ").split() if isinstance(said, str) else said)


@attrs.frozen
class Survey:
    """What a run without faults has shown."""

    hosts: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    duration: float = 0.0  # seconds
    instants: tuple[float, ...] = ()  # at which something was sent, in their order, each once
    servers: tuple[str, ...] = ()  # hosts on which all that runs comes back after a crash: nobody waits for a result from there


@attrs.frozen
class Storm:
    """Draws a schedule: 1 to `most` injuries, each of one of these kinds, with their cures.

    A kind is partition, crash, cut, down, loss, ack_loss, duplicate, reorder, corrupt or delay. Where there are hosts that come
    back with all their programs (`host.start`), only those crash; never those in `spare`. Storms that are equal draw equal
    schedules from equal dice.
    """

    kinds: tuple[str, ...] = attrs.field(converter=_words)
    most: int = 2
    spare: tuple[str, ...] = attrs.field(default=(), converter=names)

    def __attrs_post_init__(self) -> None:
        known = (*CURES, *VALUES, "delay")
        for kind in self.kinds:
            if kind not in known:
                raise UsageError(f"{kind!r} is nothing that a storm knows: write some of {', '.join(known)}")
        if not self.kinds or self.most < 1:
            raise UsageError("a storm without events is none: leave schedules out, or write Storm('partition crash', most=2)")

    def __call__(self, rng: Random, survey: Survey) -> Iterator[Event]:
        kinds = [kind for kind in self.kinds if self._targets(kind, survey)]
        if not kinds:
            return
        for _ in range(rng.randint(1, self.most)):
            kind = rng.choice(kinds)
            where = self._where(kind, rng, survey)
            at = self._instant(rng, survey)
            end = round(at + self._length(rng, survey), 6)
            if kind in FIELDS:
                yield Event(at, kind, where, self._value(kind, rng))
                yield Event(end, kind, where)
            else:
                yield Event(at, kind, where)
                yield Event(end, CURES[kind], where)

    def _targets(self, kind: str, survey: Survey) -> Sequence[str]:
        if kind in ("cut", "down"):
            return survey.links
        if kind == "crash":
            return [name for name in survey.servers or survey.hosts if name not in self.spare]
        if kind == "partition":
            return survey.hosts if len(survey.hosts) > 1 else ()
        return survey.links or survey.hosts

    def _where(self, kind: str, rng: Random, survey: Survey) -> tuple[str, ...]:
        targets = self._targets(kind, survey)
        if kind != "partition":
            return (rng.choice(targets),)
        hosts = rng.sample(targets, len(targets))
        size = rng.randint(1, len(hosts) // 2)
        return "+".join(sorted(hosts[:size])), "+".join(sorted(hosts[size:]))

    def _instant(self, rng: Random, survey: Survey) -> float:
        """To the microsecond."""
        if rng.random() < 0.5 or not survey.instants:
            return round(rng.uniform(0, survey.duration), 6)
        n = rng.randrange(len(survey.instants))
        after = survey.instants[n + 1] if n + 1 < len(survey.instants) else max(survey.duration, survey.instants[n])
        return round(rng.uniform(survey.instants[n], after), 6)

    def _length(self, rng: Random, survey: Survey) -> float:
        duration = max(survey.duration, SHORTEST)
        return spread(rng, max(duration / 1000, SHORTEST), max(2 * duration, LONGEST))

    def _value(self, kind: str, rng: Random) -> float:
        if kind == "delay":
            return rounded(spread(rng, *DELAYS))
        return rounded(rng.uniform(*VALUES[kind]))


def spread(rng: Random, low: float, high: float) -> float:
    """A number from `low` to `high`, of all magnitudes alike."""
    return math.exp(rng.uniform(math.log(low), math.log(max(low, high))))


def rounded(value: float, digits: int = 2) -> float:
    """To so many significant digits."""
    return float(f"{value:.{digits}g}")


def thinned(instants: Iterable[int], most: int = 4096) -> tuple[float, ...]:
    """Instants in nanoseconds as seconds, each once and in order; of more than `most`, as many evenly chosen ones."""
    found = sorted(set(instants))
    step = len(found) / most
    return tuple(n / 1e9 for n in (found if step <= 1 else (found[int(k * step)] for k in range(most))))
