"""Streams and datagram sockets with a few honest verbs: the StreamStack and DatagramStack signatures on asyncio.

Beside asyncio's reader and writer, which copy each byte three times and let a dead peer go unnoticed, these hand on what came
as it came, wait where they say that they wait, and raise at once on a broken stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..address import ip4_text
from ..errors import BrokenError, BusyError, ClosedError, TimedOut, UsageError, WouldBlock
from ..instant import SECOND, Duration, check_timeout
from ..patience import Patience
from ..resting import Attendance, Resting
from ..signatures import Address
from ..sleeper import Sleeper
from ..tcp.connection import Connection
from ..udp.core import UdpPort
from ..udp.queue import DatagramQueue
from .base import Crank
from .fileblocks import HasFileno, read_blocks, span
from .streamcore import StreamCore

if TYPE_CHECKING:
    from .face import NetFace

Buffer = bytes | bytearray | memoryview
NOTHING = memoryview(b"")


async def wait_for(future: asyncio.Future[None], timeout: Duration | None, what: str) -> None:
    """Wait for a future of our own making; TimedOut when `timeout` passes first."""
    if timeout is None:
        await future
        return
    check_timeout(timeout)
    handle = future.get_loop().call_later(timeout / SECOND, _expire, future, what)
    try:
        await future
    finally:
        handle.cancel()


def _expire(future: asyncio.Future[None], what: str) -> None:
    if not future.done():
        future.set_exception(TimedOut(f"timed out {what}"))


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


class TcpStream(Resting):
    """A connection. One task may receive and one may send at a time; a second one gets BusyError.

    Three ways to read, which may be mixed: `receive` gives bytes, `receive_into` fills a buffer, `receive_view` and `async for`
    hand on whole segments where they lie, without a copy. What wants the speed uses one of the last two.

    A cancelled or timed-out `receive` loses nothing. A cancelled or timed-out `send_all` leaves the stream usable, and the
    data queued: it will be sent.
    """

    gathers = True  # `send_all` takes several buffers in a row: for those who stand on streams of any kind

    __slots__ = (
        "_closed", "_connected", "_crank", "_loop", "_on_end", "_opening", "_patience", "_sleeper", "user", "__weakref__",
    )  # fmt: skip

    def __init__(
        self,
        crank: Crank,
        loop: asyncio.AbstractEventLoop,
        on_end: Callable[[TcpStream], None],
        attendance: Attendance | None = None,
    ) -> None:
        super().__init__(attendance)
        self._crank = crank
        self._loop = loop
        self._on_end = on_end
        self._closed = False
        self._connected = False
        self._opening: asyncio.Future[None] | None = None
        self._patience: Patience | None = None
        self._sleeper: Sleeper | None = None  # who receives
        self.user = StreamCore(self, crank)

    def bind(self, conn: Connection) -> None:
        self.user.bind(conn)

    @property
    def connection(self) -> Connection:
        conn = self.user.conn
        assert conn is not None
        return conn

    @property
    def local_address(self) -> Address:
        return ip4_text(self.connection.local), self.connection.local_port

    @property
    def remote_address(self) -> Address:
        return ip4_text(self.connection.remote), self.connection.remote_port

    @property
    def opened(self) -> asyncio.Future[None]:
        """Done when the handshake is, with the error if it failed."""
        if self._opening is None:
            self._opening = self._loop.create_future()
            if self._connected:
                self._opening.set_result(None)
            elif self.user.ended:
                self._opening.set_exception(self.user.error or ClosedError("closed before it was open"))
        return self._opening

    # -- what the core tells (streamcore.Face) ------------------------------------------------------------------------------

    def on_connected(self) -> None:
        self._connected = True
        _wake(self._opening)

    def on_closed(self, error: Exception | None) -> None:
        if self._opening is not None and not self._opening.done():
            self._opening.set_exception(error or ClosedError("closed before it was open"))
        if self._patience is not None:
            self._patience.stop()
        self._on_end(self)

    # -- resting --------------------------------------------------------------------------------------------------------------

    def _may_rest(self) -> bool:
        return not self._closed

    def _lie_down(self) -> bool:
        core = self.user
        if core.unread or core.eof_seen or core.ended:
            return False
        if self._patience is not None:
            self._patience.stop()
            self._patience = None
        self._sleeper = None
        core.shrink()
        core.resting = True
        return True

    def on_stirred(self) -> None:
        self.stir()

    def _broken(self) -> BrokenError:
        error = self.user.error
        broken = BrokenError(f"the connection is gone: {error or 'it was closed'}")
        broken.__cause__ = error
        return broken

    # -- receiving ----------------------------------------------------------------------------------------------------------

    async def receive(self, limit: int = 65536, timeout: Duration | None = None) -> bytes:
        """At least one byte, at most `limit`; b"" when the peer has ended its side.

        Raises TimedOut, BrokenError, ClosedError, BusyError.
        """
        if limit < 1:
            raise UsageError(f"receive({limit}) can't return anything: ask for one byte or more")
        core = self.user
        if (core.reader is not None or not core.unread) and not await self._something(core, timeout):
            return b""
        return core.take(limit)

    async def receive_view(self, timeout: Duration | None = None) -> memoryview:
        """The next segment as it came, where it lies: up to 64 KiB, read-only; an empty one when the peer has ended its side.

        A view keeps the packet memory that it shows, 66 KiB, whatever its length: drop or `release` it, and all slices of it,
        before long. A program that hoards views costs itself copies and no more: of 256 pieces of memory the device has none to
        lend, and what comes then is copied. `send_all` of such a view on another stream copies nothing.

        Raises as `receive` does.
        """
        core = self.user
        if (core.reader is not None or not core.unread) and not await self._something(core, timeout):
            return NOTHING
        return core.take_view()

    async def receive_into(self, buffer: bytearray | memoryview, timeout: Duration | None = None) -> int:
        """Fill `buffer` with as much as is there, and say how much that is: at least one byte; 0 when the peer has ended its side.

        Raises as `receive` does, and UsageError for a buffer that can't be written or has no room.
        """
        view = memoryview(buffer)
        if view.readonly or not view.nbytes or not view.c_contiguous:
            raise UsageError("receive_into() needs a buffer that can be written, in one piece, with room for one byte or more")
        core = self.user
        if (core.reader is not None or not core.unread) and not await self._something(core, timeout):
            return 0
        return core.take_into(view if view.format == "B" and view.ndim == 1 else view.cast("B"))

    def __aiter__(self) -> TcpStream:
        """`async for segment in stream`: `receive_view` until the peer has ended its side."""
        return self

    async def __anext__(self) -> memoryview:
        core = self.user
        if (core.reader is not None or not core.unread) and not await self._something(core, None):
            raise StopAsyncIteration
        return core.take_view()

    async def _something(self, core: StreamCore, timeout: Duration | None) -> bool:
        """Wait until there is something unread. False: nothing will come, in order."""
        if core.reader is not None:
            raise BusyError("another task is already receiving from this stream")
        while not core.unread:
            if self._closed:
                raise ClosedError("this stream is closed")
            if core.eof_seen:
                return False
            if core.ended:
                raise self._broken()
            sleeper = self._sleeper
            if sleeper is None:
                sleeper = self._sleeper = Sleeper(self._loop)
            core.reader = sleeper
            core.asleep = True
            try:
                if timeout is not None:
                    if self._patience is None:
                        self._patience = Patience(self._loop)
                    self._patience.begin(sleeper, timeout, "waiting for the peer to send")
                await sleeper
            finally:
                if timeout is not None and self._patience is not None:
                    self._patience.end()
                core.reader = None
                core.asleep = False
        return True

    # -- sending ------------------------------------------------------------------------------------------------------------

    async def send_all(self, data: Buffer | list[Buffer] | tuple[Buffer, ...], timeout: Duration | None = None) -> None:
        """Returns when the stack has taken all of `data`, one buffer or several in a row, and is below its bound.

        `bytes` and read-only memoryviews are sent from where they are, without a copy. What is behind a view must stay as it is
        until the peer has it: until a while after this returns. Everything else is copied.

        Little leaves at once: on a loop of ours, before that waits. The end of much may wait to be filled by what follows (Nagle):
        not for long, since the peer acknowledges the full segments before it as they come, and not as he does with little, after a
        delay.

        Raises TimedOut, BrokenError, ClosedError, BusyError.
        """
        core = self.user
        if self._closed:
            raise ClosedError("this stream is closed")
        if core.writer is not None:
            raise BusyError("another task is already sending on this stream")
        if core.ended:
            raise self._broken()
        conn = self.connection
        crank = self._crank
        if not crank.owing:
            crank.owe()
        now = crank.now()
        if type(data) is bytes:
            if (len(data) < 2 * conn.mss) != conn.nodelay:
                conn.set_nodelay(not conn.nodelay, now)
            more = conn.write(data, now) if data else core.may_write
        else:
            parts = [kept(part) for part in (data if isinstance(data, list | tuple) else (data,))]
            if (sum(map(len, parts)) < 2 * conn.mss) != conn.nodelay:
                conn.set_nodelay(not conn.nodelay, now)
            more = conn.write_kept(parts, now)
        crank.rearm()
        if more:
            return
        core.may_write = False
        while not core.may_write:
            if self._closed:
                raise ClosedError("this stream was closed while it was sending")
            if core.ended:
                raise self._broken()
            core.writer = self._loop.create_future()
            try:
                await wait_for(core.writer, timeout, "waiting for the peer to read")
            finally:
                core.writer = None

    async def send_file(
        self, file: int | HasFileno, offset: int = 0, count: int | None = None, timeout: Duration | None = None
    ) -> int:
        """Send `count` bytes of a regular file from `offset` on, or as many as it has now; return how many that were: fewer when
        the file is, or becomes, shorter. Its position is neither used nor moved.

        What the page cache holds is read at once, the rest in a thread of the loop's executor (fileblocks.py); 256 KiB at a time,
        and no more than the send buffer holds. One writes to the file meanwhile at the reader's risk: a block is read once, when
        its turn comes, and sent again as it was. A call that fails or is cancelled may have sent some of it.

        Raises as `send_all` does, with `timeout` for each block; OSError from reading; UsageError for what is no regular file.
        """
        sent = 0
        async for block in read_blocks(*span(file, offset, count)):
            await self.send_all(block, timeout)
            sent += len(block)
        return sent

    async def send_eof(self) -> None:
        """End our side; the other may go on."""
        if not self.user.ended and not self._closed:
            self.connection.shutdown(self._crank.now())
            self._crank.rearm()

    @property
    def closed(self) -> bool:
        """Has this side closed it, or somebody to whom it was given?"""
        return self._closed

    def leave(self) -> None:
        """Its connection is somebody else's, or over: this stream is closed, and doesn't touch it."""
        self._closed = True
        self._on_end(self)

    async def aclose(self) -> None:
        """Close both sides in order: what was sent is still delivered, by the stack. Doesn't wait for the peer. With something
        unread it resets the connection, as the kernel does: the peer must not believe that it was read."""
        self.close()

    def close(self) -> None:
        if self._closed:
            return
        core = self.user
        if core.unread:  # taken from the connection, and by nobody else: RFC 2525 2.17
            self.abort()
            return
        self._closed = True
        self.end_rest()
        if core.conn is not None and not core.ended:
            core.conn.close(self._crank.now())
            self._crank.rearm()
        core.forget()
        core.wake()
        self._on_end(self)

    def abort(self) -> None:
        """Drop it at once, with a reset."""
        self._closed = True
        self.end_rest()
        core = self.user
        if core.conn is not None and not core.ended:
            core.conn.abort(self._crank.now())
            self._crank.rearm()  # a reset to ourselves waits for the next turn
        core.forget()
        core.wake()
        self._on_end(self)


def kept(data: Buffer) -> bytes | memoryview:
    """`data` as the send queue takes it: itself where it may be kept, else a copy."""
    if type(data) is bytes:
        return data
    view = memoryview(data)
    if not view.readonly or not view.c_contiguous:
        return bytes(view)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


class UdpSocket:
    """A UDP port with a bounded queue: what finds it full is dropped and counted (`Udp.RcvbufErrors`)."""

    def __init__(
        self,
        net: NetFace,
        crank: Crank,
        loop: asyncio.AbstractEventLoop,
        remote: Address | None,
        on_end: Callable[[UdpSocket], None],
    ) -> None:
        self._net = net
        self._crank = crank
        self._loop = loop
        self._on_end = on_end
        self._remote = remote
        self._port: UdpPort | None = None
        self._reader: asyncio.Future[None] | None = None
        self.user = DatagramQueue(net.stack.udp.mib, self._readable)

    def bind(self, port: UdpPort) -> None:
        self._port = port

    @property
    def port(self) -> UdpPort:
        if self._port is None:
            raise ClosedError("this socket is closed")
        return self._port

    @property
    def local_address(self) -> Address:
        return ip4_text(self.port.local), self.port.local_port

    def _readable(self) -> None:
        _wake(self._reader)

    async def receive(self, timeout: Duration | None = None) -> tuple[bytes, Address]:
        """The next datagram and its sender. An ICMP error about one that was sent is raised here, once: Refused, Unreachable.

        Raises TimedOut, ClosedError, BusyError. Cancelling it loses nothing.
        """
        if self._reader is not None:
            raise BusyError("another task is already receiving from this socket")
        while True:
            if self._port is None:
                raise ClosedError("this socket is closed")
            try:
                data, address, port = self.user.get()
            except WouldBlock:
                pass
            else:
                return data, (ip4_text(address), port)
            self._reader = self._loop.create_future()
            try:
                await wait_for(self._reader, timeout, "waiting for a datagram")
            finally:
                self._reader = None

    def answer_nowait(self, data: bytes, address: int, port: int, source: int) -> None:
        """Send one datagram from one of our addresses; 0: the one that leads there. Raises as `send_nowait`."""
        self.port.send(data, address, port, self._crank.now(), source=source)
        self._crank.rearm()

    def send_nowait(self, data: bytes, address: Address | None = None) -> None:
        """Send one datagram. Raises Unreachable, MessageTooLong, ClosedError, UsageError."""
        port = self.port
        target = address or self._remote
        if target is None:
            raise UsageError("an unconnected socket needs an address: send(data, (host, port))")
        port.send(data, self._net.names.ipv4(target[0]), target[1], self._crank.now())
        self._crank.rearm()

    async def send(self, data: bytes, address: Address | None = None) -> None:
        """As `send_nowait`: UDP never waits, except for the DNS where `address` has a name that nobody knows here."""
        if address is not None and self._net.dns is not None:
            address = ip4_text(await self._net.address_of(address[0])), address[1]
        self.send_nowait(data, address)

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        if self._port is None:
            return
        self._port.close()
        self._port = None
        self.user.clear()
        _wake(self._reader)
        self._on_end(self)
