"""trio's streams, listeners and datagrams on our own connections and ports.

Each is two things at once: what trio's own interfaces ask (`HalfCloseableStream`, `Listener`), and what the services of this
package ask (`signatures.Stream`, `Datagrams`), whose verbs take time-outs in nanoseconds.
"""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from ...address import ip4_text
from ...cores import StreamUser
from ...errors import ClosedError, UsageError, WouldBlock
from ...instant import Duration
from ...signatures import Address
from ...tcp.connection import Connection
from ...tcp.listener import Listener
from ...udp.core import UdpPort
from ...udp.queue import DatagramQueue
from ..base import Crank
from ..streamcore import StreamCore
from ..streams import Buffer, kept
from .wait import ResourceBroken, ResourceBusy, ResourceClosed, Waiter

if TYPE_CHECKING:
    from ..face import NetFace

RECEIVE = 65536  # when no limit is given, as trio's own SocketStream


class TrioStream(trio.abc.HalfCloseableStream):
    """A connection. One task may receive and one may send at a time; a second one gets ResourceBusy.

    A cancelled or timed-out `receive_some` loses nothing. A cancelled or timed-out `send_all` leaves the stream usable, and the
    data queued: it will be sent. trio promises less, so programs that close the stream then are right as well.
    """

    def __init__(self, crank: Crank, on_end: Callable[[TrioStream], None]) -> None:
        self._crank = crank
        self._on_end = on_end
        self._closed = False
        self._eof_sent = False
        self._connected = False
        self._reader = Waiter()
        self._writer = Waiter()
        self.user = StreamCore(self, crank)

    def bind(self, conn: Connection) -> None:
        self.user.bind(conn)
        conn.set_nodelay(True, self._crank.now())  # as trio's own

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

    # -- what the core tells (streamcore.Face) ------------------------------------------------------------------------------

    def on_connected(self) -> None:
        self._connected = True
        self._writer.wake()

    def on_closed(self, error: Exception | None) -> None:
        self._on_end(self)

    def on_stirred(self) -> None:
        """It never rests."""

    def _broken(self) -> ResourceBroken:
        error = self.user.error
        broken = ResourceBroken(f"the connection is gone: {error or 'it was closed'}")
        broken.__cause__ = error
        return broken

    async def opened(self, timeout: Duration | None, what: str) -> None:
        """Wait for the handshake. Raises its error; TimedOut after `timeout`."""
        core = self.user
        core.writer = self._writer
        try:
            while not self._connected and not core.ended:
                await self._writer.wait_for(timeout, what)
        finally:
            core.writer = None
        if not self._connected:
            raise core.error or ResourceClosed("closed before it was open")

    # -- receiving ----------------------------------------------------------------------------------------------------------

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """At least one byte, at most `max_bytes`; b"" when the peer has ended its side.

        Raises ResourceBroken, ResourceClosed, ResourceBusy. Cancelling it loses nothing.
        """
        limit = RECEIVE if max_bytes is None else operator.index(max_bytes)
        if limit < 1:
            raise ValueError("max_bytes must be >= 1")
        return await self.receive(limit)

    async def receive(self, limit: int = RECEIVE, timeout: Duration | None = None) -> bytes:
        """`receive_some`, with a `timeout` in nanoseconds. Raises TimedOut as well."""
        if limit < 1:
            raise UsageError(f"receive({limit}) can't return anything: ask for one byte or more")
        core = self.user
        if core.reader is not None:
            raise ResourceBusy("another task is already receiving from this stream")
        await trio.lowlevel.checkpoint_if_cancelled()
        if core.unread and not self._closed:
            data = core.take(limit)
            await trio.lowlevel.cancel_shielded_checkpoint()
            return data
        waited = await self._something(core, timeout)
        data = core.take(limit) if core.unread else b""
        if not waited:
            await trio.lowlevel.cancel_shielded_checkpoint()
        return data

    async def _something(self, core: StreamCore, timeout: Duration | None) -> bool:
        """Until there is something unread, or nothing will come, in order. Has it waited?"""
        waited = False
        core.reader = self._reader
        try:
            while True:
                if self._closed:
                    raise ResourceClosed("this stream is closed")
                if core.unread or core.eof_seen:
                    return waited
                if core.ended:
                    if core.error is None:
                        return waited
                    raise self._broken()
                core.asleep = True
                waited = True
                await self._reader.wait_for(timeout, "waiting for the peer to send")
        except (ResourceClosed, ResourceBroken):
            if not waited:
                await trio.lowlevel.cancel_shielded_checkpoint()
            raise
        finally:
            core.asleep = False
            core.reader = None

    # -- sending ------------------------------------------------------------------------------------------------------------

    async def send_all(self, data: Buffer, timeout: Duration | None = None) -> None:
        """Returns when the stack has taken all of `data` and is below its bound.

        `bytes` and read-only memoryviews are sent from where they are, anything else is copied.
        Raises ResourceBroken, ResourceClosed, ResourceBusy, TimedOut.
        """
        core = self._sending()
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            try:
                self._may_send(core)
                if self._eof_sent:
                    raise ResourceClosed("this stream has sent its end: it can't send anything after it")
                more = self._write(core, data)
                if not more:
                    core.may_write = False
            finally:
                if core.may_write:
                    await trio.lowlevel.cancel_shielded_checkpoint()
            await self._until_writable(core, timeout)
        finally:
            core.writer = None

    async def wait_send_all_might_not_block(self) -> None:
        """Until `send_all` has room. Raises as that does."""
        core = self._sending()
        try:
            await trio.lowlevel.checkpoint()
            self._may_send(core)
            await self._until_writable(core, None)
        finally:
            core.writer = None

    def _sending(self) -> StreamCore:
        core = self.user
        if core.writer is not None:
            raise ResourceBusy("another task is already sending on this stream")
        core.writer = self._writer
        return core

    def _may_send(self, core: StreamCore) -> None:
        if self._closed:
            raise ResourceClosed("this stream is closed")
        if core.ended:
            raise self._broken()

    def _write(self, core: StreamCore, data: Buffer) -> bool:
        if not data:
            return core.may_write
        conn = self.connection
        try:
            more = conn.write_kept([kept(data)], self._crank.now())
        except (ClosedError, ConnectionError) as error:
            raise ResourceBroken(f"the connection is gone: {error}") from error
        self._crank.rearm()
        return more

    async def _until_writable(self, core: StreamCore, timeout: Duration | None) -> None:
        while not core.may_write:
            await self._writer.wait_for(timeout, "waiting for the peer to read")
            self._may_send(core)

    async def send_eof(self) -> None:
        """End our side; the other may go on. Doing it again is fine."""
        self._sending()
        try:
            await trio.lowlevel.checkpoint()
            if self._eof_sent:
                return
            self._may_send(self.user)
            self._eof_sent = True
            self.connection.shutdown(self._crank.now())
            self._crank.rearm()
        finally:
            self.user.writer = None

    # -- the end ------------------------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Close both sides in order: what was sent is still delivered, by the stack. Doesn't wait for the peer. With something
        unread it resets the connection, as the kernel does: the peer must not believe that it was read."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        if not self._closed:
            self._end(abort=self.user.unread > 0)  # taken from the connection, and by nobody else: RFC 2525 2.17

    def abort(self) -> None:
        """Drop it at once, with a reset."""
        self._end(abort=True)

    def _end(self, abort: bool) -> None:
        self._closed = True
        core = self.user
        if core.conn is not None and not core.ended:
            if abort:
                core.conn.abort(self._crank.now())
            else:
                core.conn.close(self._crank.now())
            self._crank.rearm()
        core.forget()
        core.wake()
        self._on_end(self)


class TrioListener(trio.abc.Listener[TrioStream]):
    """A listening port. Connections that nobody has accepted wait, `backlog` at the most; what comes then tries again."""

    def __init__(self, crank: Crank, registry: set[Face]) -> None:
        """It and what it accepts is in `registry` for as long as it is open."""
        self._crank = crank
        self._registry = registry
        self._queue: deque[TrioStream] = deque()
        self._waiter = Waiter()
        self._accepting = False
        self._listener: Listener | None = None

    def bind(self, listener: Listener) -> None:
        self._listener = listener
        self._registry.add(self)

    def take(self, conn: Connection) -> StreamUser:
        """The stack has a new connection."""
        stream = TrioStream(self._crank, self._registry.discard)
        stream.bind(conn)
        self._registry.add(stream)
        self._queue.append(stream)
        assert self._listener is not None
        self._listener.waiting += 1
        self._waiter.wake()
        return stream.user

    @property
    def address(self) -> Address:
        if self._listener is None:
            raise ResourceClosed("this listener is closed")
        return ip4_text(self._listener.address), self._listener.port

    async def accept(self) -> TrioStream:
        """The next connection. Raises ResourceClosed, ResourceBusy. Cancelling it loses nothing."""
        if self._accepting:
            raise ResourceBusy("another task is already accepting from this listener")
        self._accepting = True
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            waited = False
            while self._listener is not None and not self._queue:
                await self._waiter.wait()
                waited = True
            if self._listener is None:
                raise ResourceClosed("this listener is closed")
            stream = self._queue.popleft()
            self._listener.waiting -= 1
            if not waited:
                await trio.lowlevel.cancel_shielded_checkpoint()
            return stream
        finally:
            self._accepting = False

    def close(self) -> None:
        """Accept no more. Who has connected and was not accepted gets a reset; other connections go on."""
        if self._listener is None:
            return
        self._listener.close(self._crank.now())
        self._listener = None
        while self._queue:
            self._queue.popleft().abort()
        self._waiter.wake()
        self._registry.discard(self)

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()


class TrioUdpSocket:
    """A UDP port with a bounded queue: what finds it full is dropped and counted (`Udp.RcvbufErrors`)."""

    def __init__(self, net: NetFace, crank: Crank, remote: Address | None, on_end: Callable[[TrioUdpSocket], None]) -> None:
        self._net = net
        self._crank = crank
        self._remote = remote
        self._on_end = on_end
        self._port: UdpPort | None = None
        self._waiter = Waiter()
        self._receiving = False
        self.user = DatagramQueue(net.stack.udp.mib, self._waiter.wake)

    def bind(self, port: UdpPort) -> None:
        self._port = port

    @property
    def port(self) -> UdpPort:
        if self._port is None:
            raise ResourceClosed("this socket is closed")
        return self._port

    @property
    def local_address(self) -> Address:
        return ip4_text(self.port.local), self.port.local_port

    async def receive(self, timeout: Duration | None = None) -> tuple[bytes, Address]:
        """The next datagram and its sender. An ICMP error about one that was sent is raised here, once: Refused, Unreachable.

        Raises TimedOut, ResourceClosed, ResourceBusy. Cancelling it loses nothing.
        """
        if self._receiving:
            raise ResourceBusy("another task is already receiving from this socket")
        self._receiving = True
        waited = False
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            while True:
                if self._port is None:
                    raise ResourceClosed("this socket is closed")
                try:
                    data, address, port = self.user.get()
                except WouldBlock:
                    waited = True
                    await self._waiter.wait_for(timeout, "waiting for a datagram")
                else:
                    return data, (ip4_text(address), port)
        finally:
            self._receiving = False
            if not waited:
                await trio.lowlevel.cancel_shielded_checkpoint()

    def answer_nowait(self, data: bytes, address: int, port: int, source: int) -> None:
        """Send one datagram from one of our addresses; 0: the one that leads there. Raises as `send_nowait`."""
        self.port.send(data, address, port, self._crank.now(), source=source)
        self._crank.rearm()

    def send_nowait(self, data: bytes, address: Address | None = None) -> None:
        """Send one datagram. Raises Unreachable, MessageTooLong, ResourceClosed, UsageError."""
        port = self.port
        target = address or self._remote
        if target is None:
            raise UsageError("an unconnected socket needs an address: send(data, (host, port))")
        port.send(data, self._net.names.ipv4(target[0]), target[1], self._crank.now())
        self._crank.rearm()

    async def send(self, data: bytes, address: Address | None = None) -> None:
        """As `send_nowait`: UDP never waits, except for the DNS where `address` has a name that nobody knows here."""
        await trio.lowlevel.checkpoint()
        if address is not None and self._net.dns is not None:
            address = ip4_text(await self._net.address_of(address[0])), address[1]
        self.send_nowait(data, address)

    def close(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None
            self.user.clear()
            self._waiter.wake()
            self._on_end(self)

    async def aclose(self) -> None:
        self.close()
        await trio.lowlevel.checkpoint()

    async def __aenter__(self) -> TrioUdpSocket:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


Face = TrioStream | TrioListener | TrioUdpSocket  # what a net has open
