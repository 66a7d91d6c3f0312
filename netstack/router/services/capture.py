"""The frames of the guests' side, for who asks at the control socket: those of the last seconds, and those that pass from now
on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from ...errors import UsageError
from ...http.dashboard.page import capture
from ...http.dashboard.ring import LIMIT, Kept, Ring
from ...pcap import ETHERNET, RAW, PcapngWriter
from ...stack import Stack
from ...testing.capture import completed

LOOK = 0.2  # seconds between two looks at what has passed: a live view needs no more
BATCH = 2000  # frames that are written in a row: a few milliseconds


class Recorder:
    """`always` keeps the last frames from the start on, which costs each frame a copy; without it they are kept while somebody
    looks. They are bounded in bytes (http/dashboard/ring.py)."""

    def __init__(self, stack: Stack, name: str, *, always: bool = False, limit: int = LIMIT) -> None:
        self._stack = stack
        self._name = name
        self._link = 0 if stack.netif.mac is None else 14
        self._ring = Ring(self._link, limit)
        self._lookers = 0
        if always:
            self._enter()

    def _enter(self) -> None:
        if not self._lookers:
            self._stack.watch(self._ring)
        self._lookers += 1

    def _leave(self) -> None:
        self._lookers -= 1
        if not self._lookers:
            self._stack.unwatch(self._ring)
            self._ring.clear()

    def close(self) -> None:
        if self._lookers:
            self._lookers = 0
            self._stack.unwatch(self._ring)

    def recent(self, epoch: int) -> AsyncIterator[bytes]:
        """The frames that are kept, as pcapng; `epoch` is what makes the stack's time the wall's. Raises UsageError."""
        if not self._lookers:
            raise UsageError("no frames are kept: ask for the live ones, or start the router with a memory of them")
        return capture(self._ring.all(), self._name, self._link, epoch)

    async def live(self, epoch: int, seconds: float | None = None) -> AsyncIterator[bytes]:
        """Those that pass from now on, until nobody takes them any more, or for so long. What passes faster than it is taken is
        left out."""
        self._enter()
        try:
            blocks: list[bytes] = []
            writer = PcapngWriter(blocks.append, epoch=epoch)
            number = writer.interface(self._name, ETHERNET if self._link else RAW)
            ring, at = self._ring, self._ring.end
            loop = asyncio.get_running_loop()
            end = None if seconds is None else loop.time() + seconds
            yield b"".join(blocks)
            while end is None or loop.time() < end:
                await asyncio.sleep(LOOK if end is None else min(LOOK, max(end - loop.time(), 0)))
                while frames := ring.since(at, BATCH):
                    at = max(at, ring.first) + len(frames)
                    blocks.clear()
                    for kept in frames:
                        writer.packet(number, kept.time, _shown(kept, self._link), kept.direction, "", kept.length)
                    yield b"".join(blocks)
        finally:
            self._leave()


def _shown(kept: Kept, link: int) -> bytes:
    return completed(kept.data, link) if kept.partial and len(kept.data) == kept.length else kept.data
