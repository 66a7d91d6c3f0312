"""asyncio's StreamReader and its protocol, for the speed: what comes is kept as it came (rope.py)."""

from __future__ import annotations

import asyncio
from typing import Any

from .rope import Rope


class SegmentReader(asyncio.StreamReader):
    """asyncio's own in every respect, on another buffer: what is fed as `bytes` or as a read-only view is not copied before it is
    read. `_buffer` answers to what programs do with a bytearray, but is none."""

    def __init__(self, limit: int = 65536, loop: asyncio.AbstractEventLoop | None = None) -> None:
        super().__init__(limit=limit, loop=loop)
        self._buffer: Any = Rope()


class SegmentProtocol(asyncio.StreamReaderProtocol):
    """asyncio's own; a transport of ours hands it segments where they lie, by `segment_received` in place of `data_received`."""

    def segment_received(self, segment: bytes | memoryview) -> None:
        """`segment` is bytes, or a read-only view that stays as it is for as long as somebody holds it."""
        self.data_received(segment)  # type: ignore[arg-type]  # the reader takes both
