"""What the router's own TCP does with its guests' connections, for who asks at the control socket (netstack.trace)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from ...tracing.targets import AsTracks
from ...tracing.trace import trace

LOOK = 0.2  # seconds between two looks at what was said
HELD = 8 << 20  # characters that wait for who doesn't take them: beyond, the trace ends


class Pieces:
    """A text stream that is read from its other end."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._held = 0

    def write(self, text: str) -> int:
        self._held += len(text)
        if self._held > HELD:
            raise OSError("nobody takes what is traced")
        self._said.append(text)
        return len(text)

    def take(self) -> bytes:
        said, self._said, self._held = self._said, [], 0
        return "".join(said).encode()

    def flush(self) -> None: ...
    def close(self) -> None: ...


async def traced(net: Any, seconds: float | None, tracks: bool) -> AsyncIterator[bytes]:
    """A trace of `net` for so long, None: as long as somebody takes it. As a Chrome trace, or as lines."""
    pieces = Pieces()
    tracing = trace(net, to=AsTracks(pieces) if tracks else pieces).start()  # type: ignore[arg-type]  # as much of a stream as is used
    try:
        yield b"\n" if tracks else b"# seconds host > peer what | why\n"  # so that who asks sees that it has begun
        loop = asyncio.get_running_loop()
        end = None if seconds is None else loop.time() + seconds
        while tracing.error is None and (end is None or loop.time() < end):
            await asyncio.sleep(LOOK if end is None else min(LOOK, max(end - loop.time(), 0)))
            if said := pieces.take():
                yield said
    finally:
        tracing.stop()
    yield pieces.take()
