"""Which strategies there are, by name: ours, and whatever is registered in the entry-point group `netstack.congestion`.

One that is nowhere registered is named in full, `my.package:Class`. Either names a class that is called with the MSS: a plain
Python class with the methods of `adapter.Strategy`, or a compiled one that derives from `base.Congestion`.
"""

from collections.abc import Callable
from typing import Any

from ... import plugins
from ...errors import UsageError
from .adapter import EVENTS, PyCongestion
from .base import Congestion
from .cubic import Cubic
from .reno import Reno

GROUP = "netstack.congestion"
BUILT_IN: dict[str, Callable[[int], Congestion]] = {"cubic": Cubic, "reno": Reno}  # first: nobody can put itself in their place

_found: dict[str, Callable[[int], Congestion]] = {}  # what was loaded, by name: a connection must not read metadata


def names() -> list[str]:
    """Every strategy that has a name of its own."""
    return sorted({*BUILT_IN, *plugins.registered(GROUP)})


def find(name: str) -> Callable[[int], Congestion]:
    """What makes the strategy called `name` for an MSS. Raises UsageError."""
    make = BUILT_IN.get(name)
    if make is None:
        make = _found.get(name)
    if make is None:
        where = name if ":" in name else plugins.registered(GROUP).get(name)
        if where is None:
            there = ", ".join(names())
            raise UsageError(f"there is no congestion control called {name!r}: there are {there}, or write my.package:Class")
        make = _found[name] = _adapted(name, plugins.load(name, where))
    return make


def make(name: str, mss: int) -> Congestion:
    """A strategy for one connection. Raises UsageError."""
    strategy: Congestion = find(name)(mss)
    strategy.name = name
    return strategy


def _adapted(name: str, found: Any) -> Callable[[int], Congestion]:
    if isinstance(found, type) and issubclass(found, Congestion):
        return found
    missing = [event for event in EVENTS if not hasattr(found, event)]
    if missing or not callable(found):
        lacks = ", ".join(missing) or "a constructor"
        raise UsageError(f"{name} is no congestion control, it lacks {lacks}: see Strategy in netstack.tcp.congestion.adapter")
    return lambda mss: PyCongestion(mss, found(mss))
