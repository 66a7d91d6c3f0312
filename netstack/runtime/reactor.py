"""What a crank needs of an event loop, from asyncio's (`base.Reactor`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from .base import Crank, Turned
from .selector import StackSelector


def clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], int]:
    """The clock of a loop in nanoseconds. The loops that keep time by the system's monotonic clock are not asked: theirs is a
    float, and uvloop's stands still within one iteration. Any other keeps its own time, a virtual one perhaps."""
    owner = next((kind for kind in type(loop).__mro__ if "time" in vars(kind)), object)
    if owner is asyncio.BaseEventLoop or owner.__module__.partition(".")[0] == "uvloop":
        return time.monotonic_ns
    seconds = loop.time
    return lambda: int(seconds() * 1e9)


class LoopReactor:
    """What a crank needs, from an asyncio loop (runtime.base.Reactor)."""

    __slots__ = ("_crank", "_handle", "_held", "_loop", "_pending", "_selector", "_when", "clock", "debts")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.clock = clock_of(loop)
        self._loop = loop
        self._selector: StackSelector | None = getattr(loop, "stack_selector", None)  # of a loop that knows stacks (loop.py)
        self._handle: asyncio.Handle | None = None
        self._pending = False
        self.debts: list[Crank] | None = getattr(loop, "debts", None)  # of a loop that pays them when it stops (loops/mix.py)
        self._held = False
        self._when: int | None = None
        self._crank: Turned | None = None

    def serve(self, crank: Turned) -> None:
        self._crank = crank

    def arm(self, when: int) -> None:
        assert self._crank is not None
        if self._held:
            self._when = when
            return
        if self._selector is not None:
            self._selector.arm(self._crank, when)
            return
        if self._handle is not None:
            self._handle.cancel()
        if when <= self.clock():  # as all that a host sends to itself is: uvloop's timers have milliseconds
            self._handle = self._loop.call_soon(self._crank.on_deadline)
        else:
            self._handle = self._loop.call_at(when / 1e9, self._crank.on_deadline)

    def disarm(self) -> None:
        self._when = None
        if self._selector is not None and self._crank is not None:
            self._selector.disarm(self._crank)
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def soon(self) -> None:
        if not self._pending:
            self._pending = True
            if not self._held:
                self._loop.call_soon(self._soon)

    def owed(self) -> bool:
        if self.debts is None or self._held or not self._loop.is_running():
            return False
        assert isinstance(self._crank, Crank)
        if self._selector is None and not self.debts:
            self._loop.call_soon(self._pay)
        self.debts.append(self._crank)
        return True

    def idle(self) -> bool:
        return self._selector is not None and not self._held and self._selector.idle()

    def _pay(self) -> None:
        while self.debts:
            self.debts.pop().pay()

    def _soon(self) -> None:
        self._pending = False
        assert self._crank is not None
        self._crank.on_frames()

    # -- while a thread turns the crank itself (threads/owner.py): the loop stands, and what it was asked would pile up

    def hold(self, on: bool) -> None:
        self._held = on
        if on:
            return
        if self._when is not None:
            when, self._when = self._when, None
            self.arm(when)
        if self._pending:
            self._loop.call_soon(self._soon)

    def wanted(self) -> bool:
        pending, self._pending = self._pending, False
        return pending

    def watch(self, fd: int) -> None:
        assert self._crank is not None
        if self._selector is not None:
            self._selector.serve(fd, self._crank)
        else:
            self._loop.add_reader(fd, self._crank.on_frames)

    def unwatch(self, fd: int) -> None:
        if self._selector is not None:
            self._selector.dismiss(fd)
        else:
            self._loop.remove_reader(fd)
