"""What goes wrong in a world, where and when: a schedule of events, said in a line that people read and write.

    1.5s partition a b; 3s heal a b; 4s crash server; 6s restart server; 2s loss=30% a-b; 5s loss a-b

Each event is an instant (seconds since the world began), what happens, and where, in names of hosts and links:

    partition   nobody reaches whom: between these groups, each a host or several (`a+b c`); one group: from all others
    heal        undoes it; without names, between all hosts
    crash       power off; `restart`: power on
    cut         the link carries nothing, and no router knows; `mend` undoes it
    down        the link is down, and routers go round it; `up` undoes it
    loss=30%    and every other fault of `testing.faults` that is a number, by its name: on these links, or on all that leads
                from and to these hosts, or everywhere; without a value, what it was when the world began

A name that is not there at the instant of its event (a host that this run has not made yet, or never makes) makes the event void:
`install` returns who was. So a schedule that was drawn for one run can be tried on another, and any part of it too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from ..errors import UsageError
from ..instant import parse_duration
from ..testing.faults import Faults
from ..testing.line import Line
from ..testing.net import Host, World

if TYPE_CHECKING:
    from typing import Self

CURES = {"partition": "heal", "crash": "restart", "cut": "mend", "down": "up"}  # an injury, and what undoes it
DURATIONS = ("delay", "jitter", "reorder_by", "hold")
CHANCES = ("loss", "ack_loss", "duplicate", "reorder", "corrupt", "burst_loss")
NUMBERS = ("burst", "rate", "queue", "mtu", "reorder_past")
FIELDS = (*CHANCES, *DURATIONS, *NUMBERS)
WORDS = (*CURES, *CURES.values(), *FIELDS)
MOST = 10_000  # events; a file that somebody sent is not a reason to fill memory


class Simulated(Protocol):
    """What a schedule needs of a `Netsim`: its world, and hosts whose programs end with them."""

    @property
    def world(self) -> World: ...
    def crash(self, host: Any, /) -> object: ...
    def restart(self, host: Any, /) -> object: ...


def names(said: str | Iterable[str]) -> tuple[str, ...]:
    """One, or several."""
    return (said,) if isinstance(said, str) else tuple(said)


def _exact(value: float) -> float:
    """To the nanosecond: what can be written down, and read again."""
    return round(float(value), 9)


def _in_order(events: Iterable[Event]) -> tuple[Event, ...]:
    return tuple(sorted(events, key=lambda event: event.at))


def _instant(event: Event, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value < 1e9:
        raise UsageError(f"{value} is not an instant of a world: write seconds from its beginning, like 1.5s")


def _known(event: Event, attribute: attrs.Attribute[str], value: str) -> None:
    if value not in WORDS:
        raise UsageError(f"{value!r} is nothing that can happen: write one of {', '.join(WORDS)}")


@attrs.frozen
class Event:
    """`at` is in seconds since the world began. The value of a fault is a number: a chance, seconds, bits per second, …"""

    at: float = attrs.field(converter=_exact, validator=_instant)
    what: str = attrs.field(validator=_known)
    where: tuple[str, ...] = attrs.field(default=(), converter=names)
    value: float | None = attrs.field(default=None, converter=attrs.converters.optional(_exact))

    def __attrs_post_init__(self) -> None:
        if self.value is not None and self.what not in FIELDS:
            raise UsageError(f"{self.what} has no value: write {self.what} without one")
        if not self.where and self.what not in FIELDS and self.what != "heal":
            raise UsageError(f"{self.what} whom? Write names behind it, like {self.what} a")
        if self.value is not None:
            self.faults(Faults())  # bounds are checked where they are known

    @property
    def is_cure(self) -> bool:
        """Does it undo what another event has done?"""
        return self.what in CURES.values() or (self.what in FIELDS and self.value is None)

    def cures(self, other: Event) -> bool:
        """Does it undo just what `other` does?"""
        same = CURES.get(other.what, other.what if other.value is not None else None)
        return self.is_cure and self.what == same and self.where == other.where and self.at >= other.at

    def faults(self, base: Faults, original: Faults | None = None) -> Faults:
        """`base` with the fault of this event, or as in `original` where it has no value."""
        value = getattr(original or Faults(), self.what) if self.value is None else self.value
        if self.value is not None and self.what in DURATIONS:
            value = round(value * 1e9)
        elif self.value is not None and self.what in NUMBERS[1:]:
            value = round(value)
        changed: dict[str, Any] = {self.what: value}
        return attrs.evolve(base, **changed)

    def __str__(self) -> str:
        value = ""
        if self.value is not None:
            value = "=" + show_value(self.what, self.value)
        return " ".join((f"{number(self.at)}s", f"{self.what}{value}", *self.where))

    @classmethod
    def parse(cls, text: str) -> Self:
        """As `__str__` writes it. Raises UsageError."""
        words = text.split()
        if len(words) < 2:
            raise UsageError(f"{text!r} is no event: write when, what and where, like 1.5s partition a b")
        what, equals, said = words[1].partition("=")
        value = read_value(what, said) if equals else None
        return cls(parse_duration(words[0]) / 1e9, what, tuple(words[2:]), value)


def number(value: float) -> str:
    """As short as it can be without changing it, and never with an exponent."""
    text = f"{value:.9f}".rstrip("0").rstrip(".")
    return text if float(text) == value else repr(value)


def show_value(field: str, value: float) -> str:
    """Chances in percent, durations in seconds or milliseconds."""
    if field in CHANCES:
        return f"{number(round(value * 100, 9))}%"
    if field in DURATIONS:
        return f"{number(round(value * 1000, 9))}ms" if value < 1 else f"{number(value)}s"
    return number(value)


def read_value(field: str, text: str) -> float:
    """What `show_value` writes, and whatever else `Faults.parse` takes. Raises UsageError."""
    if field not in FIELDS:
        raise UsageError(f"{field!r} has no value: only faults have, like loss=30%: {', '.join(FIELDS)}")
    value = getattr(Faults.parse(f"{field}={text}"), field)
    return value / 1e9 if field in DURATIONS else float(value)


@attrs.frozen
class Schedule:
    """Events in the order of their instants; those of one instant as they were given. A value: equal, hashable, immutable."""

    events: tuple[Event, ...] = attrs.field(default=(), converter=_in_order)

    def __attrs_post_init__(self) -> None:
        if len(self.events) > MOST:
            raise UsageError(f"{len(self.events)} events are more than {MOST}: draw fewer")

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __str__(self) -> str:
        return "; ".join(map(str, self.events))

    @classmethod
    def parse(cls, text: str) -> Self:
        """As `__str__` writes it, with semicolons or line ends between the events. Raises UsageError."""
        return cls([Event.parse(part) for part in re.split(r"[;\n]", text) if part.strip()])

    def install(self, netsim: Simulated) -> Installed:
        """Let it happen: puts every event on the calendar of the world's clock. To be called before the world first runs."""
        return Installed(self, netsim)


def read_schedule(said: Schedule | str | Iterable[Event | str] | None) -> Schedule:
    """Whatever a person may write where a schedule is asked for."""
    if isinstance(said, Schedule):
        return said
    if said is None or isinstance(said, str):
        return Schedule.parse(said or "")
    return Schedule([event if isinstance(event, Event) else Event.parse(event) for event in said])


class Installed:
    """A schedule at work in a world. `void` are the events so far that found nobody of their names."""

    def __init__(self, schedule: Schedule, netsim: Simulated) -> None:
        self.void: list[Event] = []
        self._netsim = netsim
        self._original: dict[Line, Faults] = {}
        for event in schedule:
            netsim.world.clock.call_at(round(event.at * 1e9), partial(self._happen, event))

    def _happen(self, event: Event) -> None:
        if not self._do(event):
            self.void.append(event)

    def _do(self, event: Event) -> bool:
        """False where somebody is not there."""
        world = self._netsim.world
        if event.what in FIELDS:
            return self._change(world, event)
        if event.what in ("partition", "heal"):
            return _part(world, event)
        if event.what in ("crash", "restart"):
            if not all(isinstance(world.nodes.get(name), Host) for name in event.where):
                return False
            for name in event.where:
                (self._netsim.crash if event.what == "crash" else self._netsim.restart)(name)
            return True
        if not all(name in world.links for name in event.where):
            return False
        for name in event.where:
            link = world.links[name]
            act: dict[str, Callable[[], None]] = {
                "cut": link.cut,
                "mend": link.mend,
                "down": partial(world.down, link),
                "up": partial(world.up, link),
            }
            act[event.what]()
        return True

    def _change(self, world: World, event: Event) -> bool:
        everywhere = (*world.links, *(host.name for host in world.hosts if not host.ways))
        found = [_lines(world, name) for name in event.where or everywhere]
        if not all(found):
            return False
        for line in dict.fromkeys(line for lines in found for line in lines):
            original = self._original.setdefault(line, line.faults)
            line.change(event.faults(line.faults, original))
        return True


def _part(world: World, event: Event) -> bool:
    groups = [tuple(group.split("+")) for group in event.where]
    if not all(isinstance(world.nodes.get(name), Host) for group in groups for name in group):
        return False
    if len(groups) == 1:
        groups.append(tuple(host.name for host in world.hosts if host.name not in groups[0]))
    (world.partition if event.what == "partition" else world.heal)(*groups)
    return True


def _lines(world: World, name: str) -> list[Line]:
    """Both directions of a link of this name; or of all that leads to and from a node; of a host on the world's wire, what it
    sends, since what it receives are the lines of others."""
    if name in world.links:
        return [way.line for way in world.links[name].ways]
    node = world.nodes.get(name)
    if node is None:
        return []
    if isinstance(node, Host) and not node.ways:
        return [port.line for port in world.wire.ports if port.name == name]
    return [way.line for link in world.links.values() for way in link.ways if node in (way.source, way.target)]
