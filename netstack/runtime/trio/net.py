"""A `TrioNet`: one stack with trio's verbs, and all that it started. `trio.py` makes them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

from ...address import ip4_text
from ...cores import IpError
from ...dns.client.eyeballs import EyeballsConfig
from ...errors import Unreachable, UsageError
from ...instant import SECOND, Duration, seconds
from ...signatures import Address, Stream
from ...stack import Stack
from ..base import Crank, Reactor
from ..current import net_var
from ..face import BACKLOG, CONNECT_TIMEOUT, LINGER, NetFace, check_port
from ..names import Names
from .race import race
from .streams import Face, TrioListener, TrioStream, TrioUdpSocket
from .wait import Waiter

logger = logging.getLogger("netstack")


class TrioNet(NetFace):
    """A network of one's own: a host on a device, with trio's verbs. Made by `netstack.open`.

    It is also a `StreamStack` and a `DatagramStack`, so servers and clients of this package run on it.
    """

    def __init__(
        self,
        stack: Stack,
        nursery: trio.Nursery,
        reactor: Reactor | None = None,
        *,
        names: Names | None = None,
        crank: Crank | None = None,
    ) -> None:
        """With a `reactor` it turns the stack itself; with a `crank` somebody else does, and keeps the stack when it is closed."""
        owns = crank is None
        if crank is None:
            assert reactor is not None
            crank = Crank(stack, reactor, self._device_failed)
        super().__init__(stack, crank, names, owns)
        self.nursery = nursery
        self._open: set[Face] = set()
        self._handlers: set[trio.CancelScope] = set()
        self._all_handled = Waiter()
        self._pings = 0
        self._on_close: list[Callable[[], None]] = []

    def _device_failed(self, error: OSError) -> None:
        logger.error("the device %s failed; its connections are broken: %s", self.netif.name, error)

    # -- TCP, as trio's own functions -----------------------------------------------------------------------------------------

    async def open_tcp_stream(self, host: str, port: int, *, local_address: str | None = None) -> TrioStream:
        """`trio.open_tcp_stream` through this net. Raises Refused, TimedOut, Unreachable, AddressInUse: each an OSError."""
        return await self._connect(host, port, local_address, CONNECT_TIMEOUT)

    async def open_tcp_listeners(self, port: int, *, host: str | None = None, backlog: int | None = None) -> list[TrioListener]:
        """`trio.open_tcp_listeners` through this net: one listener, in a list as there. Port 0 chooses one."""
        await trio.lowlevel.checkpoint()
        return [self._listen(host, port, BACKLOG if backlog is None else backlog)]

    async def serve_tcp(
        self,
        handler: Callable[[TrioStream], Awaitable[object]],
        port: int,
        *,
        host: str | None = None,
        backlog: int | None = None,
        handler_nursery: trio.Nursery | None = None,
        task_status: trio.TaskStatus[list[TrioListener]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """`trio.serve_tcp` through this net: runs until it is cancelled; an error in a handler ends it."""
        listeners = await self.open_tcp_listeners(port, host=host, backlog=backlog)
        await trio.serve_listeners(handler, listeners, handler_nursery=handler_nursery, task_status=task_status)

    async def _connect(self, host: str, port: int, local: str | None, timeout: Duration) -> TrioStream:
        """Of a name with several addresses the next one is tried 0.25 s after the last (RFC 8305), each within `timeout`; the error
        is that of the first."""
        self.check()
        await trio.lowlevel.checkpoint()
        addresses = await self.addresses_of(host)
        if len(addresses) == 1:
            return await self._connect_to(addresses[0], port, local, timeout, host)
        failures: list[OSError] = []

        def beaten(i: int) -> None:
            self.history.failed(ip4_text(addresses[i]), self.now())

        async def attempt(i: int) -> TrioStream:
            try:
                return await self._connect_to(addresses[i], port, local, timeout, f"{host} ({ip4_text(addresses[i])})")
            except OSError as error:
                beaten(i)
                failures.append(error)
                raise

        attempts = [partial(attempt, i) for i in range(len(addresses))]
        stream = await race(attempts, EyeballsConfig().attempt_delay, TrioStream.abort, beaten)
        if stream is None:
            raise failures[0]
        return stream

    async def _connect_to(self, address: int, port: int, local: str | None, timeout: Duration, called: str) -> TrioStream:
        stream = TrioStream(self._crank, self._open.discard)
        conn = self.stack.tcp.connect(self.names.own(local), 0, address, check_port(port), stream.user, self.now())
        stream.bind(conn)
        self._crank.rearm()
        self._open.add(stream)
        try:
            await stream.opened(timeout, f"connecting to {called}:{port}")
        except BaseException:
            stream.abort()
            raise
        return stream

    def _listen(self, host: str | None, port: int, backlog: int) -> TrioListener:
        self.check()
        listener = TrioListener(self._crank, self._open)
        listener.bind(self.stack.tcp.listen(self.names.own(host), check_port(port), listener.take, backlog))
        return listener

    # -- TCP, as a StreamStack --------------------------------------------------------------------------------------------------

    async def connect_stream(self, host: str, port: int, timeout: Duration | None = None) -> TrioStream:
        """Connect, and give a stream. `timeout` in nanoseconds. Raises Refused, TimedOut, Unreachable."""
        return await self._connect(host, port, None, CONNECT_TIMEOUT if timeout is None else timeout)

    async def serve_streams(
        self, handler: Callable[[Stream], Awaitable[None]], port: int, host: str = "", backlog: int = BACKLOG
    ) -> TrioListener:
        """Run `handler(stream)` in a task of the net for each connection; the stream is closed when it returns. An error in it is
        logged, and resets the connection."""
        await trio.lowlevel.checkpoint()
        listener = self._listen(host, port, backlog)
        self.nursery.start_soon(self._owned, self._serve, listener, handler)
        return listener

    async def _serve(self, listener: TrioListener, handler: Callable[[Stream], Awaitable[None]]) -> None:
        with contextlib.suppress(trio.ClosedResourceError):
            while True:
                stream = await listener.accept()
                self.nursery.start_soon(self._owned, self._attend, stream, handler)

    async def _attend(self, stream: TrioStream, handler: Callable[[Stream], Awaitable[None]]) -> None:
        try:
            await handler(stream)
        except Exception as error:
            stream.abort()
            logger.error("Unhandled exception in a stream handler", exc_info=error)
        except BaseException:
            stream.abort()
            raise
        finally:
            stream.close()

    async def _owned(self, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Work that `aclose` ends before it lets go of anything."""
        scope = trio.CancelScope()
        self._handlers.add(scope)
        net_var.set(self)  # of this task, and of those that it starts
        try:
            with scope:
                if self._closed:
                    scope.cancel()
                await work(*args)
        finally:
            self._handlers.discard(scope)
            if not self._handlers:
                self._all_handled.wake()

    # -- UDP and ICMP -----------------------------------------------------------------------------------------------------------

    async def open_udp(self, port: int = 0, host: str = "", remote: Address | None = None) -> TrioUdpSocket:
        """A UDP socket on `port` (0 chooses one), connected to `remote` if that is given. Raises AddressInUse, Unreachable."""
        self.check()
        await trio.lowlevel.checkpoint()
        peer = (await self.address_of(remote[0]), check_port(remote[1])) if remote else None
        remote = None if peer is None else (ip4_text(peer[0]), peer[1])
        socket = TrioUdpSocket(self, self._crank, remote, self._open.discard)
        socket.bind(self.stack.udp.bind(self.names.own(host), check_port(port), socket.user, peer))
        self._open.add(socket)
        return socket

    udp = bind_datagrams = open_udp

    async def ping(self, host: str, size: int = 56, timeout: float = 1.0) -> Duration:
        """Send one echo request with `size` bytes and give the round-trip time. Raises TimedOut, Unreachable."""
        self.check()
        if not 0 <= size <= 65507:
            raise UsageError(f"a ping of {size} bytes doesn't fit in a datagram: ask for 0 to 65507")
        await trio.lowlevel.checkpoint()
        target = await self.address_of(host)
        payload = bytes(i & 0xFF for i in range(size))
        answered: list[int | IpError] = []
        waiter = Waiter()
        self._pings = (self._pings + 1) & 0xFFFF
        ident = self._pings

        def reply(src: int, seq: int, data: bytes, ttl: int, now: int) -> None:
            if src == target and data == payload:
                answered.append(now)
                waiter.wake()

        def failed(error: IpError, seq: int, now: int) -> None:
            answered.append(error)
            waiter.wake()

        start = self.now()
        self.stack.icmp.on_echo_reply(ident, reply, failed)
        try:
            self.stack.icmp.ping(target, ident, 1, payload, start)
            self._crank.rearm()
            if not answered:
                await waiter.wait_for(seconds(timeout), f"waiting for {host} to answer")
        finally:
            self.stack.icmp.on_echo_reply(ident, None)
        first = answered[0]
        if isinstance(first, IpError):
            raise Unreachable(f"{ip4_text(first.reporter)} says that {host} can't be reached")
        return Duration(first - start)

    # -- unchanged programs -----------------------------------------------------------------------------------------------------

    def install_trio(self, adopt: bool = False) -> None:
        """From now on, in this run of trio, `trio.socket.socket` and all that is made of it is this net's, until it is closed.

        `adopt`: kernel's sockets that come to `trio.socket.from_stdlib_socket` become the net's (install.py).
        """
        self.check()
        from .install import install

        self._on_close.append(install(self, adopt))

    # -- leaving ----------------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        if self._owns:
            self._crank.start()

    async def wait_addresses(self) -> None:
        """Until every address that is being probed for is ours. Raises AddressInUse when one is not."""
        if not self.stack.tentative:
            await trio.lowlevel.checkpoint()
            return
        waiter = Waiter()
        told: list[OSError | None] = []

        def decided(error: OSError | None) -> None:
            told.append(error)
            waiter.wake()

        self.stack.on_addresses = decided
        try:
            await waiter.wait()
        finally:
            self.stack.on_addresses = None
        if told[0] is not None:
            raise told[0]

    async def aclose(self, linger: Duration = LINGER) -> None:
        """End everything: no new connections, handlers cancelled, open connections reset, closed ones given `linger` to deliver.

        Being cancelled doesn't shorten it."""
        if self._closed:
            return
        self._farewell()
        self._closed = True
        while self._on_close:
            self._on_close.pop()()
        with trio.CancelScope(shield=True):
            for listener in [each for each in self._open if isinstance(each, TrioListener)]:
                listener.close()
            if self._lookups is not None:
                await self._lookups.aclose()
            for scope in self._handlers:
                scope.cancel()
            while self._handlers:
                await self._all_handled.wait()
            for each in list(self._open):
                if isinstance(each, TrioStream):
                    each.abort()
                else:
                    each.close()
            self.sockets.close()
            await self._delivered(linger)
            self._let_go()

    async def _delivered(self, linger: Duration) -> None:
        """Until no connection holds data or an unacknowledged FIN, for at most `linger`."""
        waiter = Waiter()

        def lingering() -> bool:
            return any(conn.lingers() for conn in self.stack.tcp.connections())

        def look() -> None:
            if not waiter.done() and not lingering():
                waiter.wake()

        self._crank.after_turn = look
        try:
            with trio.move_on_after(linger / SECOND):
                while self._crank.failure is None and lingering():
                    await waiter.wait()
        finally:
            self._crank.after_turn = None
