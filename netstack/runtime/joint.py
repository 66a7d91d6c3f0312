"""Joining any two streams, of a stack or of the host, by a task: for what `tcp/splice.py` can't join in compiled code.

What one end takes is put into the other before more is taken: the bytes between the two are one piece, and a slow reader at one
end stops the writer at the other by his window. Ends pass: an EOF goes on after what came before it and the other direction
continues; a reset, a time-out or a cancelled task resets both, since half of a conversation is worth nothing to anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable
from typing import Any, Protocol

from ..errors import BrokenError
from ..sockets.base import Socket
from ..sockets.const import POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, SHUT_WR, SO_LINGER, SOL_SOCKET
from ..tcp import const as tc
from .splice import splice
from .streams import TcpStream

CHUNK = 256 * 1024
READ = POLLIN | POLLRDHUP | POLLHUP | POLLERR
WRITE = POLLOUT | POLLHUP | POLLERR
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER for no time: close() resets


class End(Protocol):
    """What a joint needs of a stream."""

    async def take(self) -> bytes | memoryview:
        """What has come, at least a byte; nothing when the peer has ended its side. Raises OSError or NetstackError."""

    async def put(self, data: bytes | memoryview, /) -> None:
        """Returns when there is room for more."""

    async def put_eof(self) -> None: ...
    def close(self) -> None:
        """In order; what was put is still delivered."""

    def abort(self) -> None:
        """With a reset, where the stream knows one."""


class StackEnd:
    """A stream of a stack as an end of a joint."""

    def __init__(self, stream: TcpStream) -> None:
        self.stream = stream
        self.take = stream.receive_view
        self.put = stream.send_all
        self.put_eof = stream.send_eof
        self.close = stream.close
        self.abort = stream.abort

    def on_broken(self, tell: Callable[[Exception], object]) -> None:
        """Call `tell(error)` when the connection breaks, even while nobody reads from it."""
        stream = self.stream
        forget = stream._on_end

        def ended(stream: TcpStream) -> None:
            forget(stream)
            if stream.user.error is not None and not stream.closed:
                tell(stream.user.error)

        stream._on_end = ended


class CoreEnd:
    """A connected socket of a stack as an end of a joint, which closes it."""

    def __init__(self, core: Socket, loop: asyncio.AbstractEventLoop) -> None:
        self.core = core
        self._loop = loop
        self._waits: dict[int, asyncio.Future[None]] = {}
        self._tell: Callable[[Exception], object] | None = None
        core.watch(self._stirred)

    def _stirred(self) -> None:
        events = POLLERR if self.core.closed else self.core.events()
        for mask, future in self._waits.items():
            if events & mask and not future.done():
                future.set_result(None)
        if events & POLLERR and self._tell is not None:
            self._tell(BrokenError("the connection is gone"))

    async def _ready(self, mask: int) -> None:
        future = self._waits[mask] = self._loop.create_future()
        try:
            await future
        finally:
            del self._waits[mask]

    async def connect(self, address: Any) -> None:
        """Raises OSError."""
        while True:
            try:
                self.core.connect(address)
                return
            except BlockingIOError:
                await self._ready(WRITE)

    async def take(self) -> bytes:
        while True:
            try:
                return self.core.recv(CHUNK)
            except BlockingIOError:
                await self._ready(READ)

    async def put(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self.core.send(view) :]
            except BlockingIOError:
                await self._ready(WRITE)

    async def put_eof(self) -> None:
        with contextlib.suppress(OSError):  # gone a moment ago: whoever takes hears of it
            self.core.shutdown(SHUT_WR)

    def on_broken(self, tell: Callable[[Exception], object]) -> None:
        self._tell = tell

    def close(self) -> None:
        self._tell = None
        self.core.unwatch(self._stirred)
        self.core.close()

    def abort(self) -> None:
        with contextlib.suppress(OSError):
            self.core.setsockopt(SOL_SOCKET, SO_LINGER, AT_ONCE)
        self.close()


class Counts:
    """What went through a joint so far, in bytes."""

    __slots__ = ("back", "there")

    def __init__(self) -> None:
        self.there = 0
        self.back = 0


async def join(a: End, b: End, counts: Counts | None = None) -> Counts:
    """Pass on everything between two ends, both ways, until both have ended; then both are closed. `there` counts from `a` to `b`.

    Raises what broke it, OSError or NetstackError; both are reset then, as when it is cancelled.
    """
    counts = counts or Counts()
    if isinstance(a, StackEnd) and isinstance(b, StackEnd) and _fresh(a) and _fresh(b):
        there, back = await splice(a.stream, b.stream)
        counts.there += there
        counts.back += back
        return counts
    loop = asyncio.get_running_loop()
    both = [loop.create_task(_pass_on(a, b, counts, True)), loop.create_task(_pass_on(b, a, counts, False))]
    over = loop.create_future()  # one that waits for its turn to put doesn't take, and would not hear of a reset

    def broken(error: Exception) -> None:
        if not over.done():
            over.set_exception(error)

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            broken(error)  # type: ignore[arg-type]  # a BaseException that is none ends the loop
        elif all(task.done() for task in both) and not over.done():
            over.set_result(None)

    for task in both:
        task.add_done_callback(ended)
    for end in (a, b):
        if isinstance(end, StackEnd | CoreEnd):
            end.on_broken(broken)
    try:
        await over
    except BaseException:
        a.abort()
        b.abort()
        raise
    else:
        a.close()
        b.close()
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
    return counts


async def _pass_on(source: End, sink: End, counts: Counts, there: bool) -> None:
    while data := await source.take():
        if there:
            counts.there += len(data)
        else:
            counts.back += len(data)
        await sink.put(data)
    await sink.put_eof()


def _fresh(end: StackEnd) -> bool:
    """May it be spliced?"""
    stream = end.stream
    return not stream.closed and not stream.user.ended and stream.connection.state in (tc.ESTABLISHED, tc.CLOSE_WAIT)
