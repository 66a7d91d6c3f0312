"""Streams and datagram sockets with a few honest verbs: the StreamStack and DatagramStack signatures on asyncio.

Beside asyncio's reader and writer, which copy each byte three times and let a dead peer go unnoticed, these hand on what came
as it came, wait where they say that they wait, and raise at once on a broken stream.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from ..adapters import PyStreamUser
from ..address import ip4_text
from ..errors import BrokenError, BusyError, ClosedError, TimedOut, UsageError, WouldBlock
from ..instant import SECOND, Duration
from ..signatures import Address
from ..tcp.connection import Connection
from ..udp.core import UdpPort
from ..udp.mib import UdpMib
from ..udp.queue import DatagramQueue
from .base import Crank
from .resolve import ipv4

# Unread bytes at which the stream asks its connection to hold back. Behind it the connection's own receive buffer fills, and
# then the peer's window closes.
READ_AHEAD = 262144


async def wait_for(future: asyncio.Future[None], timeout: Duration | None, what: str) -> None:
    """Wait for a future of our own making; TimedOut when `timeout` passes first."""
    if timeout is None:
        await future
        return
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


class TcpStream:
    """A connection. One task may receive and one may send at a time; a second one gets BusyError.

    A cancelled or timed-out `receive` loses nothing. A cancelled or timed-out `send_all` leaves the stream usable, and the
    data queued: it will be sent.
    """

    def __init__(self, crank: Crank, loop: asyncio.AbstractEventLoop, on_end: Callable[[TcpStream], None]) -> None:
        self._crank = crank
        self._loop = loop
        self._on_end = on_end
        self._conn: Connection | None = None
        self._chunks: deque[bytes] = deque()
        self._unread = 0
        self._held = False
        self._eof = False
        self._closed = False
        self._ended = False
        self._error: Exception | None = None
        self._may_write = True
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None
        self.opened: asyncio.Future[None] = loop.create_future()
        self.user = PyStreamUser(self)

    def bind(self, conn: Connection) -> None:
        self._conn = conn

    @property
    def connection(self) -> Connection:
        assert self._conn is not None
        return self._conn

    @property
    def local_address(self) -> Address:
        return ip4_text(self.connection.local), self.connection.local_port

    @property
    def remote_address(self) -> Address:
        return ip4_text(self.connection.remote), self.connection.remote_port

    # -- what the connection tells (adapters.StreamHandler) -------------------------------------------------------------

    def on_connected(self, now: int) -> None:
        _wake(self.opened)

    def on_data(self, data: bytes, now: int) -> None:
        self._chunks.append(data)
        self._unread += len(data)
        if self._unread >= READ_AHEAD and not self._held:
            self._held = True
            self.connection.pause(now)
        _wake(self._reader)

    def on_eof(self, now: int) -> None:
        self._eof = True
        _wake(self._reader)

    def on_writable(self, now: int) -> None:
        self._may_write = True
        _wake(self._writer)

    def on_closed(self, error: Exception | None, now: int) -> None:
        self._error = error
        self._ended = True
        if not self.opened.done():
            self.opened.set_exception(error or ClosedError("closed before it was open"))
        _wake(self._reader)
        _wake(self._writer)
        self._on_end(self)

    def _broken(self) -> BrokenError:
        broken = BrokenError(f"the connection is gone: {self._error or 'it was closed'}")
        broken.__cause__ = self._error
        return broken

    # -- the Stream signature -------------------------------------------------------------------------------------------

    async def receive(self, limit: int = 65536, timeout: Duration | None = None) -> bytes:
        """At least one byte, at most `limit`; b"" when the peer has ended its side.

        Raises TimedOut, BrokenError, ClosedError, BusyError.
        """
        if limit < 1:
            raise UsageError(f"receive({limit}) can't return anything: ask for one byte or more")
        if self._reader is not None:
            raise BusyError("another task is already receiving from this stream")
        while not self._chunks:
            if self._closed:
                raise ClosedError("this stream is closed")
            if self._eof:
                return b""
            if self._ended:
                raise self._broken()
            self._reader = self._loop.create_future()
            try:
                await wait_for(self._reader, timeout, "waiting for the peer to send")
            finally:
                self._reader = None
        chunk = self._chunks.popleft()
        if len(chunk) > limit:
            self._chunks.appendleft(chunk[limit:])
            chunk = chunk[:limit]
        self._unread -= len(chunk)
        if self._held and self._unread <= READ_AHEAD // 2:
            self._held = False
            self.connection.resume(self._crank.now())
            self._crank.rearm()
        return chunk

    async def send_all(self, data: bytes, timeout: Duration | None = None) -> None:
        """Returns when the stack has taken all of `data` and is below its bound.

        Raises TimedOut, BrokenError, ClosedError, BusyError.
        """
        if self._closed:
            raise ClosedError("this stream is closed")
        if self._writer is not None:
            raise BusyError("another task is already sending on this stream")
        if self._ended:
            raise self._broken()
        if data:
            self._may_write = self.connection.write(data, self._crank.now())
            self._crank.rearm()
        while not self._may_write:
            if self._closed:
                raise ClosedError("this stream was closed while it was sending")
            if self._ended:
                raise self._broken()
            self._writer = self._loop.create_future()
            try:
                await wait_for(self._writer, timeout, "waiting for the peer to read")
            finally:
                self._writer = None

    async def send_eof(self) -> None:
        """End our side; the other may go on."""
        if not self._ended and not self._closed:
            self.connection.shutdown(self._crank.now())
            self._crank.rearm()

    async def aclose(self) -> None:
        """Close both sides in order: what was sent is still delivered, by the stack. Doesn't wait for the peer."""
        self.close()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._chunks.clear()
        self._unread = 0
        if self._conn is not None and not self._ended:
            self._conn.close(self._crank.now())
            self._crank.rearm()
        _wake(self._reader)
        _wake(self._writer)
        self._on_end(self)

    def abort(self) -> None:
        """Drop it at once, with a reset."""
        self._closed = True
        if self._conn is not None and not self._ended:
            self._conn.abort(self._crank.now())
        _wake(self._reader)
        _wake(self._writer)
        self._on_end(self)


class UdpSocket:
    """A UDP port with a bounded queue: what finds it full is dropped and counted (`Udp.RcvbufErrors`)."""

    def __init__(self, crank: Crank, loop: asyncio.AbstractEventLoop, mib: UdpMib, remote: Address | None) -> None:
        self._crank = crank
        self._loop = loop
        self._remote = remote
        self._port: UdpPort | None = None
        self._reader: asyncio.Future[None] | None = None
        self.user = DatagramQueue(mib, self._readable)

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

    def send_nowait(self, data: bytes, address: Address | None = None) -> None:
        """Send one datagram. Raises Unreachable, MessageTooLong, ClosedError, UsageError."""
        port = self.port
        target = address or self._remote
        if target is None:
            raise UsageError("an unconnected socket needs an address: send(data, (host, port))")
        port.send(data, ipv4(target[0]), target[1], self._crank.now())
        self._crank.rearm()

    async def send(self, data: bytes, address: Address | None = None) -> None:
        """As `send_nowait`: UDP never waits."""
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
