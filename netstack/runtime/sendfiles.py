"""`sendfile` for asyncio's programs: a file to a transport of ours, or to a socket.

There is no system call to be had; a block goes from the page cache into our queue. What asyncio's own fallback does in a thread for
each 16 KiB is done by the loop where the page cache has the block (fileblocks.py).
"""

from __future__ import annotations

import asyncio
import io
import os
import stat
from asyncio.base_events import _SendfileFallbackProtocol  # type: ignore[attr-defined]  # what asyncio's own does while it sends
from asyncio.constants import _SendfileMode
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from .fileblocks import read_at

BLOCK = 65536


def check_file(file: Any, offset: int, count: int | None) -> None:
    """The checks of asyncio's `sock_sendfile`, with its words."""
    if "b" not in getattr(file, "mode", "b"):
        raise ValueError("file should be opened in binary mode")
    if count is not None:
        if not isinstance(count, int):
            raise TypeError(f"count must be a positive integer (got {count!r})")
        if count <= 0:
            raise ValueError(f"count must be a positive integer (got {count!r})")
    if not isinstance(offset, int):
        raise TypeError(f"offset must be a non-negative integer (got {offset!r})")
    if offset < 0:
        raise ValueError(f"offset must be a non-negative integer (got {offset!r})")


async def sendfile(transport: Any, file: Any, offset: int = 0, count: int | None = None, *, fallback: bool = True) -> int:
    """As `loop.sendfile`. How many bytes; the file's position is behind them, whatever happens."""
    if transport.is_closing():
        raise RuntimeError("Transport is closing")
    if getattr(transport, "_sendfile_compatible", _SendfileMode.UNSUPPORTED) is _SendfileMode.UNSUPPORTED:
        raise RuntimeError(f"sendfile is not supported for transport {transport!r}")
    if not fallback:
        raise RuntimeError(f"fallback is disabled and native sendfile is not supported for transport {transport!r}")
    protocol = _SendfileFallbackProtocol(transport)

    async def send(block: memoryview) -> None:
        await protocol.drain()
        transport.write(block)

    try:
        sent = await copy(file, offset, count, send)
        await protocol.drain()
        return sent
    finally:
        await protocol.restore()
        if transport._protocol_paused and not transport.is_closing():
            # it was not there when the transport asked for a pause, and will be told of its end
            transport.get_protocol().pause_writing()


async def copy(file: Any, offset: int, count: int | None, send: Callable[[memoryview], Awaitable[None]]) -> int:
    """`send` the file from `offset` on, `count` bytes or all. How many; the file's position is behind them."""
    sent = 0
    try:
        async for block in _blocks(file, offset, count):
            await send(block)
            sent += len(block)
    finally:
        if sent and hasattr(file, "seek"):
            file.seek(offset + sent)
    return sent


async def _blocks(file: Any, offset: int, count: int | None) -> AsyncIterator[memoryview]:
    """Each is good until the next one is asked for."""
    loop = asyncio.get_running_loop()
    fd = _regular(file)
    if fd < 0 and offset:
        file.seek(offset)
    room = memoryview(bytearray(BLOCK if count is None else min(count, BLOCK)))
    done = 0
    while count is None or done < count:
        part = room if count is None else room[: count - done]
        n = await (loop.run_in_executor(None, file.readinto, part) if fd < 0 else read_at(fd, part, offset + done))
        if not n:
            return
        done += n
        yield part[:n]


def _regular(file: Any) -> int:
    """The descriptor of a file that can be read from anywhere; -1 for one that only its own object knows how to read."""
    try:
        fd: int = file.fileno()
        return fd if isinstance(file, (io.BufferedReader, io.FileIO)) and stat.S_ISREG(os.fstat(fd).st_mode) else -1
    except (AttributeError, OSError):
        return -1
