"""What a crank needs of an event loop, from asyncio's (`base.Reactor`)."""

from __future__ import annotations

import asyncio

from ..instant import Instant
from .base import Turned


class LoopReactor:
    """What a crank needs, from an asyncio loop (runtime.base.Reactor)."""

    __slots__ = ("_crank", "_handle", "_loop", "_pending")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None
        self._pending = False
        self._crank: Turned | None = None

    def serve(self, crank: Turned) -> None:
        self._crank = crank

    def now(self) -> Instant:
        return Instant(int(self._loop.time() * 1e9))

    def arm(self, when: Instant) -> None:
        assert self._crank is not None
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_at(when / 1e9, self._crank.on_deadline)

    def disarm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def soon(self) -> None:
        if not self._pending:
            self._pending = True
            self._loop.call_soon(self._soon)

    def _soon(self) -> None:
        self._pending = False
        assert self._crank is not None
        self._crank.on_frames()

    def watch(self, fd: int) -> None:
        assert self._crank is not None
        self._loop.add_reader(fd, self._crank.on_frames)

    def unwatch(self, fd: int) -> None:
        self._loop.remove_reader(fd)
