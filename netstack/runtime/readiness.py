"""Waiting for sockets of the stack, on an asyncio loop: one await, or callbacks as `add_reader` promises them."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any

from ..instant import Duration
from ..sockets import const as sc
from ..sockets.base import Socket
from .streams import wait_for

READ = sc.POLLIN | sc.POLLHUP | sc.POLLERR | sc.POLLRDHUP  # what select(2) calls readable
WRITE = sc.POLLOUT | sc.POLLERR | sc.POLLHUP


async def ready(loop: asyncio.AbstractEventLoop, core: Socket, mask: int, limit: Duration | None = None, what: str = "") -> None:
    """Until one of these events is there, or the socket is closed. Nothing is taken from it, so to be cancelled here costs
    nothing. Raises TimedOut after `limit`."""
    waiter: asyncio.Future[None] = loop.create_future()

    def look() -> None:
        if not waiter.done() and (core.closed or core.events() & mask):
            waiter.set_result(None)

    core.watch(look)
    look()
    try:
        await wait_for(waiter, limit, what)
    finally:
        core.unwatch(look)


class Watch:
    """The reader and the writer of one socket. Level-triggered, as the callbacks of descriptors are: called in each turn of the
    loop for as long as the socket is ready. It stands in `table` while it has either."""

    __slots__ = ("_core", "_handles", "_looking", "_loop", "_sides", "_table")

    def __init__(self, loop: asyncio.AbstractEventLoop, core: Socket, table: dict[Socket, Watch]) -> None:
        self._loop = loop
        self._core = core
        self._table = table
        self._looking: asyncio.Handle | None = None
        self._sides: dict[int, tuple[Callable[..., object], tuple[Any, ...], contextvars.Context]] = {}
        self._handles: dict[int, asyncio.Handle] = {}
        core.watch(self._changed)

    def add(self, side: int, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        """For READ or WRITE, in place of any that was there."""
        self._cancel(side)
        self._sides[side] = callback, args, contextvars.copy_context()
        self._changed()

    def remove(self, side: int) -> bool:
        """Was there one?"""
        self._cancel(side)
        was = self._sides.pop(side, None) is not None
        if not self._sides:
            self.close()
        return was

    def close(self) -> None:
        for side in list(self._handles):
            self._cancel(side)
        self._sides.clear()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        self._core.unwatch(self._changed)
        self._table.pop(self._core, None)

    def _cancel(self, side: int) -> None:
        handle = self._handles.pop(side, None)
        if handle is not None:
            handle.cancel()

    def _changed(self) -> None:
        """Called from inside a turn, or a call of the program's: whatever follows, follows from the loop."""
        if self._looking is None and (self._core.closed or self._ready()):
            self._looking = self._loop.call_soon(self._look)

    def _ready(self) -> list[int]:
        events = 0 if self._core.closed else self._core.events()
        return [side for side in self._sides if events & side]

    def _look(self) -> None:
        self._looking = None
        if self._core.closed:
            self.close()
            return
        sides = self._ready()
        for side in sides:
            callback, args, context = self._sides[side]
            self._handles[side] = self._loop.call_soon(callback, *args, context=context)
        if sides:
            self._looking = self._loop.call_soon(self._look)
