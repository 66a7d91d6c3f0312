"""Calls that may wait for a disk, made beside the loop; and what becomes of things that such a call has in its hands when the task
that wanted it is gone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, TypeVarTuple

from .current import in_thread, in_trio

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

steady_ns = time.monotonic_ns  # for such calls: they have no loop whose clock they could ask
wall_ns = time.time_ns


async def aside(call: Callable[[*Ts], T], *args: *Ts) -> T:
    """In a thread, where a loop has others to serve meanwhile. Given up by its task, the call goes on to its end all the same."""
    if in_trio() or asyncio._get_running_loop() is not None:
        return await in_thread(call, *args)
    return call(*args)


class Hold:
    """Keeps things from being closed in the hands of a thread. Its calls take turns (`at_work`), one at a time; `leave`, from the
    loop, calls `clean` at once, or has the call that is at work do so at its end."""

    def __init__(self, clean: Callable[[], None]) -> None:
        self._clean = clean
        self._lock = threading.Lock()
        self._busy = self._left = False

    @contextmanager
    def at_work(self) -> Iterator[None]:
        with self._lock:
            if self._left:
                raise RuntimeError("whoever wanted this is gone")
            self._busy = True
        try:
            yield
        finally:
            with self._lock:
                self._busy = False
                if self._left:
                    self._clean()

    def leave(self) -> None:
        with self._lock:
            self._left = True
            if not self._busy:
                self._clean()
