"""Threads of trio programs in a test world are heard in the order in which they got their work.

trio starts them in one place, and each delivers there what it has done. In a world that waits until every task is blocked and all
who were given work earlier have been heard: otherwise it would be the machine's processors that say which of two is first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import trio

from ..runtime.asleep import Asleep

GLANCES = 100  # between two looks whether the others wait for each other
Deliver = Callable[[Any], object]

_lock = threading.Lock()
_worlds = 0
_start: Any = None  # trio's own, while a world is open


class Threads:
    """Those of one run of trio."""

    def __init__(self) -> None:
        self._given: list[Errand] = []
        self._asleep = Asleep()
        self._glances = 0
        self._over = False

    def __bool__(self) -> bool:
        return bool(self._given)

    def give(self, deliver: Deliver) -> Deliver:
        """What a thread shall call instead of `deliver`."""
        if self._over:
            return deliver
        errand = Errand(deliver)
        self._given.append(errand)
        return errand.come

    def hear(self) -> bool:
        """Pass on what the first has to say. False if it isn't ready."""
        if self._given[0].ready or self._may_be_passed_over():
            done = next((errand for errand in self._given if errand.ready), None)
            if done is not None:
                self._given.remove(done)
                self._asleep.again()
                self._glances = 0
                done.tell()
                return True
        return False

    def _may_be_passed_over(self) -> bool:
        self._glances += 1
        return self._glances % GLANCES == 0 and self._asleep.look()

    def end(self) -> None:
        """Nobody asks any more: each is heard when it comes."""
        self._over = True
        for errand in self._given:
            errand.free()
        self._given.clear()


class Errand:
    """What one thread was given to do, and what it says."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._lock = threading.Lock()
        self._said: list[Any] = []
        self._free = False

    @property
    def ready(self) -> bool:
        return bool(self._said)

    def come(self, said: Any) -> None:
        """In the thread."""
        with self._lock:
            if not self._free:
                self._said.append(said)
                return
        self._deliver(said)

    def tell(self) -> None:
        self._deliver(self._said.pop())

    def free(self) -> None:
        with self._lock:
            self._free = True
            said, self._said = self._said, []
        for each in said:
            self._deliver(each)


def install(here: Callable[[], Threads | None]) -> Callable[[], None]:
    """For one more world; `here` finds the threads of the run that calls. Gives what ends it."""
    global _worlds, _start
    place: Any = trio._threads
    with _lock:
        if not _worlds:
            _start = original = place.start_thread_soon

            def start_thread_soon(fn: Callable[[], Any], deliver: Deliver, name: str | None = None) -> None:
                threads = here()
                original(fn, deliver if threads is None else threads.give(deliver), name)

            place.start_thread_soon = start_thread_soon
        _worlds += 1

    def undo() -> None:
        global _worlds
        with _lock:
            _worlds -= 1
            if not _worlds:
                place.start_thread_soon = _start

    return undo
