"""From a case that fails to the smallest that fails equally.

Smaller is: fewer events, fewer faults, lighter ones, shorter and rounder times, a smaller seed; in this order, and again until
nothing changes. Equally is: the same type of exception at the same place (attempt.py), or it would wander off to another bug
that needs less. An event and its cure go together: a partition that nobody heals lets anything fail.

Going downhill ends in a hollow: without its 30 % loss a case may pass unless the partition begins a second earlier, too. So where
going down has ended, a hundred cases of simpler kinds are drawn, without one fault, without all, with fewer events; and from one
that fails equally it goes on.

Every step is a list of smaller cases in a fixed order, of which the first that fails equally is taken. They are tried side by side
where there are workers, and which one is taken doesn't depend on who was faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import attrs

from ..testing.faults import Faults
from .cases import Case, Space
from .schedule import DURATIONS, NUMBERS, Event, Schedule

FEWEST_SEEDS = 10  # smaller seeds that are tried: more would take longer than they are worth to whoever reads the result
DRAWN = 100  # cases of a simpler kind
ROUNDS = 5
LONGER = (4, 16, 64)  # times

Fails = Callable[[Sequence[Case]], "int | None"]


class Shrinker:
    """`fails(cases)` says which is the first of these that fails equally, None when none does. It may raise to end it all, and
    `case` is the smallest so far."""

    def __init__(self, case: Case, fails: Fails, space: Space | None = None) -> None:
        """`space` is where the case was drawn."""
        self.case = case
        self._fails = fails
        self._space = space
        self._refused: set[str] = set()

    def run(self) -> Case:
        for _ in range(ROUNDS):
            before = self.case
            self._fewer_events()
            self._fewer_faults()
            self._lighter_faults()
            self._lighter_events()
            self._rounder_times()
            self._smaller_seed()
            if self.case == before and not self._another():
                break
        return self.case

    def _another(self) -> bool:
        """One of a simpler kind, from other dice."""
        space = self._space
        if space is None or space.maker is None:
            return False
        names = [name for name, _ in self.case.faults]
        kept = list(dict.fromkeys([(), *(tuple(name for name in names if name != gone) for gone in names)]))
        for those in kept:
            kind = Space({name: space.faults[name] for name in those if name in space.faults}, space.maker, space.survey)
            drawn = (kind.case(seed) for seed in range(DRAWN))
            if self._take([case for case in drawn if size_of(case) < size_of(self.case)]):
                return True
        return False

    def _take(self, cases: Iterable[Case]) -> bool:
        """Go on with the first of these that fails equally, if one does. What was refused once is not tried again."""
        fresh = {case.key: case for case in cases if case.key not in self._refused and case != self.case}
        if not fresh:
            return False
        tried = list(fresh.values())
        found = self._fails(tried)
        self._refused.update(list(fresh)[:found])
        if found is None:
            return False
        self.case = tried[found]
        return True

    # -- steps ------------------------------------------------------------------------------------------------------------

    def _fewer_events(self) -> None:
        """Delta debugging (Zeller and Hildebrandt's ddmin), on injuries with their cures."""
        if self._take([attrs.evolve(self.case, schedule=Schedule())]):
            return
        parts = 2
        while len(units := units_of(self.case.schedule)) > 1:
            size = -(-len(units) // parts)
            chunks = [units[at : at + size] for at in range(0, len(units), size)]
            subsets = [case for chunk in chunks for case in (self._with(chunk), *self._longer(chunk))]
            rests = [self._with([unit for other in chunks if other is not chunk for unit in other]) for chunk in chunks]
            if self._take(subsets):
                parts = 2
            elif self._take(rests):
                parts = max(parts - 1, 2)
            elif parts >= len(units):
                return
            else:
                parts = min(2 * parts, len(units))

    def _with(self, units: Iterable[tuple[Event, ...]]) -> Case:
        return attrs.evolve(self.case, schedule=Schedule([event for unit in units for event in unit]))

    def _longer(self, units: Sequence[tuple[Event, ...]]) -> Iterator[Case]:
        """One injury that lasts longer may do what took two, or a fault of all links besides: fewer is smaller than shorter."""
        if len(units) == 1 and len(units[0]) == 2:
            first, cure = units[0]
            for factor in LONGER:
                yield self._with([(first, attrs.evolve(cure, at=round(first.at + factor * (cure.at - first.at), 6)))])

    def _fewer_faults(self) -> None:
        if len(self.case.faults) > 1 and self._take([attrs.evolve(self.case, faults=())]):
            return
        units = units_of(self.case.schedule)
        while self._take([self.case.without(name) for name, _ in self.case.faults]):
            pass
        for longer in self._longer(units):
            while self._take([longer.without(name) for name, _ in self.case.faults]):
                pass

    def _lighter_faults(self) -> None:
        for name, _ in self.case.faults:
            while self._take([self.case.with_fault(name, value) for value in lighter(name, dict(self.case.faults)[name])]):
                pass

    def _lighter_events(self) -> None:
        """Values of faults, and how long it takes until a cure comes."""
        for n in range(len(units_of(self.case.schedule))):
            while self._take(self._unit(n, _lighter_value)):
                pass
            while self._take(self._unit(n, _shorter)):
                pass

    def _rounder_times(self) -> None:
        for n in range(len(units_of(self.case.schedule))):
            self._take(self._unit(n, _rounder_start))
            self._take(self._unit(n, _rounder_end))

    def _unit(self, n: int, change: Callable[[tuple[Event, ...]], Iterable[tuple[Event, ...]]]) -> list[Case]:
        """The cases in which the n-th injury is another."""
        units = units_of(self.case.schedule)
        return [self._with([*units[:n], other, *units[n + 1 :]]) for other in change(units[n])]

    def _smaller_seed(self) -> None:
        self._take([attrs.evolve(self.case, seed=seed) for seed in range(min(self.case.seed, FEWEST_SEEDS))])


def size_of(case: Case) -> tuple[int, int]:
    """How much goes wrong in it: injuries, then faults."""
    return len(units_of(case.schedule)), len(case.shown_faults())


def units_of(schedule: Schedule) -> list[tuple[Event, ...]]:
    """Each injury with the next event that cures it, if one does; in the order of the injuries."""
    left = list(schedule)
    units: list[tuple[Event, ...]] = []
    while left:
        event = left.pop(0)
        cure = None if event.is_cure else next((other for other in left if other.cures(event)), None)
        if cure is not None:
            left.remove(cure)
        units.append((event,) if cure is None else (event, cure))
    return units


def lighter(name: str, value: Any) -> Iterator[Any]:
    """Smaller and rounder values of a fault, the lightest first. Of a rate and a queue less is worse: those are only left out."""
    if name in ("drop", *NUMBERS) or not isinstance(value, (int, float)) or value <= 0:
        return
    steps = [round_to(value, 1), round_to(value * 0.75, 1), value / 8, value / 4, value / 2]
    seen = {value}
    for step in sorted(round_to(step, 1) for step in steps):
        plain = round(step) if name in DURATIONS else step
        if 0 < plain <= value and plain not in seen and _is_lawful(name, plain):
            seen.add(plain)
            yield plain


def _is_lawful(name: str, value: Any) -> bool:
    try:
        Faults(**{name: value})
    except ValueError:
        return False
    return True


def _lighter_value(unit: tuple[Event, ...]) -> Iterator[tuple[Event, ...]]:
    first, *rest = unit
    if first.value is None or first.what in NUMBERS:
        return
    scale = 1_000_000_000 if first.what in DURATIONS else 1
    for value in lighter(first.what, first.value * scale):
        yield (attrs.evolve(first, value=value / scale), *rest)


def _shorter(unit: tuple[Event, ...]) -> Iterator[tuple[Event, ...]]:
    """The cure comes earlier."""
    if len(unit) < 2:
        return
    first, cure = unit
    length = cure.at - first.at
    for part in (64, 16, 4, 2):
        at = round(first.at + length / part, 6)
        if first.at < at < cure.at:
            yield first, attrs.evolve(cure, at=at)


def _rounder_start(unit: tuple[Event, ...]) -> Iterator[tuple[Event, ...]]:
    """Fewer digits, the roundest first; the cure stays as far behind, or where it is."""
    first, *rest = unit
    for at in dict.fromkeys(round_down_and_near(first.at)):
        yield attrs.evolve(first, at=at), *(attrs.evolve(cure, at=round(at + cure.at - first.at, 6)) for cure in rest)
        if rest and at < rest[0].at:
            yield attrs.evolve(first, at=at), *rest


def _rounder_end(unit: tuple[Event, ...]) -> Iterator[tuple[Event, ...]]:
    for first, cure in [unit] if len(unit) == 2 else []:
        for at in dict.fromkeys(round_down_and_near(cure.at)):
            if at > first.at:
                yield first, attrs.evolve(cure, at=at)


def round_down_and_near(value: float) -> Iterator[float]:
    """To whole seconds, tenths, … microseconds, until it is itself; what is not less, or hardly, is not rounder."""
    for digits in range(7):
        near = round(value, digits)
        if near == value:
            return
        below = int(value * 10**digits) / 10**digits
        yield below
        yield near


def round_to(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
