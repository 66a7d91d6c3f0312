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

    # The two that ask for a memoryview of the buffer since Python 3.12, which only C can give. What they do is asyncio's.

    async def read(self, n: int = -1) -> bytes:
        """As asyncio's: up to `n` bytes as soon as there are some, all until the end where `n` is negative."""
        if n <= 0:
            return await super().read(n)
        own: Any = self  # the types don't tell of its inside
        if own._exception is not None:
            raise own._exception
        if not self._buffer and not own._eof:
            await own._wait_for_data("read")
        data: bytes = self._buffer[:n]
        del self._buffer[:n]
        own._maybe_resume_transport()
        return data

    async def readexactly(self, n: int) -> bytes:
        """As asyncio's. Raises IncompleteReadError with what there was."""
        if n <= 0:
            return await super().readexactly(n)
        own: Any = self  # the types don't tell of its inside
        if own._exception is not None:
            raise own._exception
        while len(self._buffer) < n:
            if own._eof:
                incomplete = bytes(self._buffer)
                self._buffer.clear()
                raise asyncio.IncompleteReadError(incomplete, n)
            await own._wait_for_data("readexactly")
        data: bytes = self._buffer[:n]
        del self._buffer[:n]
        own._maybe_resume_transport()
        return data


class SegmentProtocol(asyncio.StreamReaderProtocol):
    """asyncio's own; a transport of ours hands it segments where they lie, by `segment_received` in place of `data_received`."""

    def segment_received(self, segment: bytes | memoryview) -> None:
        """`segment` is bytes, or a read-only view that stays as it is for as long as somebody holds it."""
        self.data_received(segment)  # type: ignore[arg-type]  # the reader takes both
