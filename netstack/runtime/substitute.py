"""For as long as a program runs, the event loops that it makes are ours.

A program that nobody may change says `asyncio.run(main())`, or gives a runner a class of loops. On every Python from 3.11 to 3.14
a runner without a factory calls `asyncio.events.new_event_loop`, so that name is the one to change, and the same function's other
name, `asyncio.new_event_loop`. Those who name a class instead (uvicorn: `asyncio.SelectorEventLoop`, `uvloop.Loop`) find ours
under its name. An event-loop policy would change nothing more, and goes away in Python 3.16.

Whoever has taken such a name already, by `from asyncio import new_event_loop` in a module imported before, keeps what it has.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

from .loopmix import over

Base = type[asyncio.AbstractEventLoop]
Make = Callable[[Base | None], asyncio.AbstractEventLoop]

CLASSES = ("SelectorEventLoop", "EventLoop")  # asyncio's names for its loop on Unix; the second one since Python 3.13


@contextlib.contextmanager
def loops(make: Make) -> Iterator[None]:
    """Inside, whoever asks for a new event loop gets `make(None)`, and who asks for one of a class `make(class)`."""
    new: Callable[[], asyncio.AbstractEventLoop] = functools.partial(make, None)
    changes: list[tuple[Any, str, Any]] = [(asyncio, "new_event_loop", new), (asyncio.events, "new_event_loop", new)]
    ours = _class(asyncio.SelectorEventLoop, make)
    changes += [(asyncio, name, ours) for name in CLASSES if hasattr(asyncio, name)]
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop

        changes.append((uvloop, "Loop", _class(uvloop.Loop, make)))
    before = [(place, name, getattr(place, name)) for place, name, _ in changes]
    try:
        for place, name, value in changes:
            setattr(place, name, value)
        yield
    finally:
        for place, name, value in before:
            setattr(place, name, value)


def _class(base: Base, make: Make) -> type:
    """A class that can be called, derived from and asked for as `base` can; what it makes without arguments is `make(base)`."""

    class Kind(type):
        def __call__(cls, *args: Any, **options: Any) -> Any:
            if cls is ours and not args and not options:
                return make(base)
            return super().__call__(*args, **options)

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, base) if cls is ours else super().__instancecheck__(instance)

    ours = Kind(base.__name__, (over(base),), {"__module__": base.__module__, "plain": base})  # type: ignore[arg-type]  # can be hashed
    return ours
