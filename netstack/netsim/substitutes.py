"""What a program asks of the machine, answered by its world: the time, names, dice. For as long as a world is open.

A substitute asks first who calls. In a thread whose event loop has a test world on it, it answers as the world does; for everybody
else, pytest, other threads, a loop beside, it is the function that it stands for. So nobody is fooled who is not in a test world,
and a name that somebody has kept of one is harmless afterwards.

`from time import monotonic` is a name in another module. Those are found by looking through the modules once, each when it is new;
the next world looks through what was imported since. Left alone are modules that keep the machine's time on purpose: the runners of
tests, threads and what waits for them, asyncio and trio themselves.

`datetime.now` is a method of a class in C, and a subclass in its place would not be what its instances say they are (pickle
refuses them). So the method itself is exchanged, in the dictionary of the class; where that can't be done, it keeps real time.
"""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

from . import dice, here, naming, others, sockethere, times

Place = tuple["weakref.ref[ModuleType]", str, Any, Any]

LEFT_ALONE = {
    "_pytest", "pytest", "pluggy", "pytest_timeout", "pytest_asyncio", "pytest_trio", "xdist", "execnet", "hypothesis", "coverage",
    "threading", "queue", "concurrent", "multiprocessing", "subprocess", "selectors", "sched", "signal", "asyncio", "trio",
    "netstack", "netstack_tuntap", "netstack_pcap",
}  # fmt: skip

_lock = threading.RLock()
_worlds = 0
_table: dict[int, tuple[Any, Any]] = {}  # of the original and its substitute, by the id of the first
_back: dict[int, tuple[Any, Any]] = {}  # the same, by the id of the second
_seen: dict[str, int] = {}  # the names of modules, and their ids
_last: tuple[int, str] = (0, "")  # how many there were, and which came last
_places: list[Place] = []
_methods: list[tuple[dict[str, Any], type, str, Any]] = []


def install(seed: int) -> Callable[[], None]:
    """For one more world. Gives what ends it."""
    global _worlds
    with _lock:
        if not _table:
            for original, substitute in [*times.SUBSTITUTES, *naming.SUBSTITUTES, *dice.SUBSTITUTES]:
                _table[id(original)] = original, substitute
                _back[id(substitute)] = original, substitute
        for original, substitute in others.substitutes():
            _table[id(original)] = original, substitute
            _back[id(substitute)] = original, substitute
        _look(_table)
        if not _worlds:
            _put(2, 3)
            for owner, name, make in [*times.METHODS, *dice.METHODS, *sockethere.METHODS, *others.methods()]:
                _exchange(owner, name, make)
        _worlds += 1
        undo_dice = dice.begin(seed)

    done = False

    def undo() -> None:
        nonlocal done
        with _lock:
            if done:
                return
            done = True
            undo_dice()
            _end()

    return undo


def _end() -> None:
    global _worlds
    _worlds -= 1
    if not _worlds:
        _look(_back)  # modules that were imported meanwhile took a substitute for the original
        _put(3, 2)
        while _methods:
            space, owner, name, original = _methods.pop()
            _set(space, owner, name, original)


def _look(table: dict[int, tuple[Any, Any]]) -> None:
    """Find the names that stand for something in the table, in modules that are new."""
    global _last
    last = len(sys.modules), next(reversed(sys.modules))
    if last == _last:
        return
    _last = last
    for name, module in list(sys.modules.items()):
        if _seen.get(name) == id(module) or not issubclass(type(module), ModuleType):  # cffi has some that only say they are
            continue
        _seen[name] = id(module)
        if name.partition(".")[0] in LEFT_ALONE:
            continue
        for key, value in list(vars(module).items()):
            pair = table.get(id(value))
            if pair is not None:
                _places.append((weakref.ref(module), key, *pair))
                if table is _table and _worlds:
                    setattr(module, key, pair[1])


def _put(have: int, want: int) -> None:
    """Exchange what stands at the places, unless somebody else has put something there."""
    for place in _places:
        module = place[0]()
        if module is not None and vars(module).get(place[1]) is place[have]:
            setattr(module, place[1], place[want])


def _exchange(owner: type, name: str, make: Callable[[Any], Any]) -> None:
    spaces = [each for each in gc.get_referents(owner.__dict__) if type(each) is dict]  # the dictionary behind the proxy
    if len(spaces) == 1 and name in spaces[0]:
        original = spaces[0][name]
        _set(spaces[0], owner, name, make(original))
        _methods.append((spaces[0], owner, name, original))


def _set(space: dict[str, Any], owner: type, name: str, value: Any) -> None:
    if owner.__flags__ & (1 << 9):  # Py_TPFLAGS_HEAPTYPE: a class made by Python
        setattr(owner, name, value)
        return
    import ctypes

    space[name] = value
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(owner))


__all__ = ["here", "install"]
