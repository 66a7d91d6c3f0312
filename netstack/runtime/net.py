"""A `Net`: one stack with asyncio's verbs, and all that it started. `asyncio.py` makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ssl import SSLContext
from typing import TYPE_CHECKING, Any, Unpack

import attrs

from ..address import ip4_text
from ..cores import IpError, StreamUser
from ..errors import BrokenError, ClosedError, TimedOut, Unreachable, UsageError
from ..instant import SECOND, Duration, Instant, seconds
from ..signatures import Address, Netif, Stream
from ..stack import Stack
from ..tcp.connection import Connection
from .asynciotls import ClientTls, Securing, ServerTls, Terms, UpgradeTls, client_terms, leave, server_terms, start_tls
from .base import Crank
from .datagrams import UdpTransport
from .reactor import LoopReactor
from .reader import SegmentProtocol, SegmentReader
from .resolve import ipv4, local_ipv4
from .servers import Server
from .splice import splice
from .streams import TcpStream, UdpSocket, wait_for
from .transports import Keeper, TcpTransport

if TYPE_CHECKING:
    from ..sockets.table import Sockets

CONNECT_TIMEOUT = Duration(120 * SECOND)  # the kernel's six SYN retries take 127 s; asyncio leaves it at that too
LINGER = Duration(2 * SECOND)  # how long leaving waits for closed connections to deliver: a few round trips and an RTO
BACKLOG = 128


class Net:
    """A network of one's own: a host on a device, with asyncio's verbs. Made by `netstack.open`.

    It is also a `StreamStack` and a `DatagramStack`, so servers and clients of this package run on it.
    """

    def __init__(self, stack: Stack, loop: asyncio.AbstractEventLoop) -> None:
        self.stack = stack
        self._loop = loop
        reactor = LoopReactor(loop)
        self._crank = Crank(stack, reactor, self._device_failed)
        reactor.serve(self._crank)
        self._sockets: Sockets | None = None
        self._clients = Keeper(self._crank, loop)
        self._streams: set[TcpStream] = set()
        self._servers: set[Server] = set()
        self._datagrams: set[UdpSocket | UdpTransport] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._pings = 0

    # -- about itself ---------------------------------------------------------------------------------------------------

    @property
    def netif(self) -> Netif:
        return self.stack.netif

    @property
    def addresses(self) -> list[str]:
        """Own addresses with their prefix lengths, as text."""
        return [str(cidr) for cidr in self.stack.addresses]

    def counters(self) -> dict[str, dict[str, int]]:
        """`{"Ip": {"InReceives": 12, …}, …}`, named as the kernel's SNMP counters."""
        return self.stack.counters()

    def meanings(self) -> dict[str, dict[str, str]]:
        """What each counter counts."""
        return self.stack.meanings()

    def connections(self) -> list[dict[str, Any]]:
        """One dict for each TCP connection: addresses, state, windows, times."""
        return [connection_row(conn) for conn in self.stack.tcp.connections()]

    @property
    def sockets(self) -> Sockets:
        """Sockets that never wait, for faces and for those who drive themselves (sockets/base.py)."""
        if self._sockets is None:
            from ..sockets.table import Sockets  # a program that has streams only does without

            self._sockets = Sockets(self.stack, self._crank)
        return self._sockets

    def now(self) -> Instant:
        return Instant(self._crank.now())

    @property
    def failure(self) -> OSError | None:
        """What took the device away; None while it works. The loop's exception handler is told when it happens."""
        return self._crank.failure

    def _check(self) -> None:
        if self._closed:
            raise ClosedError("this net is closed")
        if self._crank.failure is not None:
            raise BrokenError(f"the device {self.netif.name} is gone: {self._crank.failure}") from self._crank.failure

    def _device_failed(self, error: OSError) -> None:
        message = f"netstack: the device {self.netif.name} failed; its connections are broken"
        self._loop.call_exception_handler({"message": message, "exception": error})

    # -- TCP, as asyncio's own functions --------------------------------------------------------------------------------

    async def create_connection(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str,
        port: int,
        *,
        local_addr: Address | None = None,
        timeout: float | None = None,
        **tls: Unpack[ClientTls],
    ) -> tuple[asyncio.Transport, Any]:
        """Connect, and give (transport, protocol). `timeout` in seconds, for connecting; `tls`: `ssl` and its kin, as asyncio's.

        Raises Refused, TimedOut, Unreachable, AddressInUse; with `ssl` also ssl.SSLError and ConnectionError.
        """
        self._check()
        terms = client_terms(host=host, **tls)
        protocol = protocol_factory()
        secured = securing = None
        if terms is not None:
            secured = self._loop.create_future()
            securing = Securing(self._loop, protocol, terms, secured)
        transport = self._clients.take(protocol if securing is None else securing)
        opened = transport.connected_soon()
        try:
            self._connect(transport, transport, host, port, local_addr)
            await wait_for(opened, CONNECT_TIMEOUT if timeout is None else seconds(timeout), f"connecting to {host}:{port}")
            if securing is None:
                return transport, transport.get_protocol()  # type: ignore[return-value]  # a Transport, by its `__class__`
            assert secured is not None
            await secured
            assert securing.transport is not None
            return securing.transport, protocol
        except BaseException:
            transport.abort()
            raise

    def _connect(
        self, face: TcpTransport | TcpStream, user: StreamUser, host: str, port: int, local_addr: Address | None
    ) -> None:
        local, local_port = (local_ipv4(local_addr[0]), local_addr[1]) if local_addr else (0, 0)
        conn = self.stack.tcp.connect(local, local_port, ipv4(host), check_port(port), user, self.now())
        face.bind(conn)
        self._crank.rearm()

    async def create_server(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int = 0,
        *,
        backlog: int = BACKLOG,
        **tls: Unpack[ServerTls],
    ) -> Server:
        """Listen on `port` of `host` (all own addresses without one; port 0 chooses one). `tls`: `ssl` and its kin, as asyncio's.

        Raises AddressInUse.
        """
        self._check()
        terms = server_terms(**tls)
        server = Server(self._crank, self._loop, self._servers.discard)
        keeper = server.keeper

        def accept(conn: Connection) -> StreamUser | None:
            try:
                protocol = protocol_factory()
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # the program's fault costs this connection, as in asyncio
                self._loop.call_exception_handler({"message": "protocol_factory() failed for a connection", "exception": error})
                return None
            transport = keeper.take(protocol if terms is None else Securing(self._loop, protocol, terms))
            transport.bind(conn)
            return transport

        server.bind(self.stack.tcp.listen(local_ipv4(host), check_port(port), accept, backlog))
        self._servers.add(server)
        return server

    async def open_connection(
        self,
        host: str,
        port: int,
        *,
        limit: int = 65536,
        local_addr: Address | None = None,
        timeout: float | None = None,
        **tls: Unpack[ClientTls],
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """asyncio's `open_connection` through this net. Arguments and errors are those of `create_connection`."""
        reader = SegmentReader(limit=limit, loop=self._loop)
        protocol = SegmentProtocol(reader, loop=self._loop)
        transport, _ = await self.create_connection(lambda: protocol, host, port, local_addr=local_addr, timeout=timeout, **tls)
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        return reader, writer

    async def start_server(
        self,
        client_connected_cb: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None],
        host: str | None = None,
        port: int = 0,
        *,
        limit: int = 65536,
        backlog: int = BACKLOG,
        **tls: Unpack[ServerTls],
    ) -> Server:
        """asyncio's `start_server` through this net; the net owns the tasks of the callback."""

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            result = client_connected_cb(reader, writer)
            if result is not None:
                self._own(self._attend(result, writer))

        def factory() -> asyncio.StreamReaderProtocol:
            return SegmentProtocol(SegmentReader(limit=limit, loop=self._loop), connected, loop=self._loop)

        return await self.create_server(factory, host, port, backlog=backlog, **tls)

    async def start_tls(
        self,
        transport: asyncio.BaseTransport,
        protocol: asyncio.BaseProtocol,
        sslcontext: SSLContext,
        **tls: Unpack[UpgradeTls],
    ) -> asyncio.Transport:
        """asyncio's `loop.start_tls` for a transport of this net, under any loop (uvloop's own takes only its own transports).

        The transport to use from now on; `connection_made` isn't called again. Where the handshake fails, or the call is cancelled,
        the connection is closed. Raises ssl.SSLError, ConnectionError.
        """
        return await start_tls(self._loop, transport, protocol, Terms(sslcontext, **tls))

    async def _attend(self, work: Awaitable[None], writer: asyncio.StreamWriter) -> None:
        """Run a connection's callback to its end; an error in it is told and closes the connection, as asyncio does."""
        try:
            await work
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        except Exception as error:
            context = {"message": "Unhandled exception in client_connected_cb", "exception": error, "transport": writer.transport}
            self._loop.call_exception_handler(context)
            writer.close()

    def _own(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- TCP, as a StreamStack -------------------------------------------------------------------------------------------

    async def connect_stream(self, host: str, port: int, timeout: Duration | None = None) -> TcpStream:
        """Connect, and give a stream. `timeout` in nanoseconds. Raises Refused, TimedOut, Unreachable."""
        self._check()
        stream = TcpStream(self._crank, self._loop, self._streams.discard)
        self._connect(stream, stream.user, host, port, None)
        self._streams.add(stream)
        try:
            await wait_for(stream.opened, CONNECT_TIMEOUT if timeout is None else timeout, f"connecting to {host}:{port}")
        except BaseException:
            stream.abort()
            raise
        return stream

    async def serve_streams(
        self, handler: Callable[[Stream], Awaitable[None]], port: int, host: str = "", backlog: int = BACKLOG
    ) -> Server:
        """Run `handler(stream)` in a task of the net for each connection; the stream is closed when it returns."""
        self._check()
        server = Server(self._crank, self._loop, self._servers.discard)

        async def attend(stream: TcpStream) -> None:
            try:
                await handler(stream)
            except asyncio.CancelledError:
                stream.abort()
                raise
            except Exception as error:
                stream.abort()
                self._loop.call_exception_handler({"message": "Unhandled exception in a stream handler", "exception": error})
            finally:
                stream.close()
                server.detach()

        def accept(conn: Connection) -> StreamUser:
            stream = TcpStream(self._crank, self._loop, self._streams.discard)
            stream.bind(conn)
            self._streams.add(stream)
            server.attach()
            self._own(attend(stream))
            return stream.user

        server.bind(self.stack.tcp.listen(local_ipv4(host), check_port(port), accept, backlog))
        self._servers.add(server)
        return server

    async def splice(self, a: TcpStream, b: TcpStream) -> tuple[int, int]:
        """`netstack.splice`: pass on everything between two streams until both have ended."""
        return await splice(a, b)

    # -- UDP and ICMP ----------------------------------------------------------------------------------------------------

    async def udp(self, port: int = 0, host: str = "", remote: Address | None = None) -> UdpSocket:
        """A UDP socket on `port` (0 chooses one), connected to `remote` if that is given. Raises AddressInUse, Unreachable."""
        self._check()
        socket = UdpSocket(self._crank, self._loop, self.stack.udp.mib, remote)
        peer = (ipv4(remote[0]), check_port(remote[1])) if remote else None
        socket.bind(self.stack.udp.bind(local_ipv4(host), check_port(port), socket.user, peer))
        self._datagrams.add(socket)
        return socket

    bind_datagrams = udp

    async def create_datagram_endpoint(
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: Address | None = None,
        remote_addr: Address | None = None,
    ) -> tuple[UdpTransport, asyncio.DatagramProtocol]:
        """asyncio's `create_datagram_endpoint` through this net."""
        self._check()
        protocol = protocol_factory()
        transport = UdpTransport(self._crank, self._loop, protocol)
        host, port = local_addr or ("", 0)
        peer = (ipv4(remote_addr[0]), check_port(remote_addr[1])) if remote_addr else None
        transport.bind(self.stack.udp.bind(local_ipv4(host), check_port(port), transport, peer), remote_addr)
        self._datagrams.add(transport)
        await asyncio.sleep(0)
        return transport, protocol

    async def ping(self, host: str, size: int = 56, timeout: float = 1.0) -> Duration:
        """Send one echo request with `size` bytes and give the round-trip time. Raises TimedOut, Unreachable."""
        self._check()
        if not 0 <= size <= 65507:
            raise UsageError(f"a ping of {size} bytes doesn't fit in a datagram: ask for 0 to 65507")
        target = ipv4(host)
        answered: asyncio.Future[None] = self._loop.create_future()
        payload = bytes(i & 0xFF for i in range(size))
        self._pings = (self._pings + 1) & 0xFFFF
        ident = self._pings
        arrived = Instant(0)

        def reply(src: int, seq: int, data: bytes, ttl: int, now: int) -> None:
            nonlocal arrived
            if src == target and data == payload and not answered.done():
                arrived = Instant(now)
                answered.set_result(None)

        def failed(error: IpError, seq: int, now: int) -> None:
            if not answered.done():
                answered.set_exception(Unreachable(f"{ip4_text(error.reporter)} says that {host} can't be reached"))

        start = self.now()
        self.stack.icmp.on_echo_reply(ident, reply, failed)
        try:
            self.stack.icmp.ping(target, ident, 1, payload, start)
            self._crank.rearm()
            await wait_for(answered, seconds(timeout), f"waiting for {host} to answer")
        finally:
            self.stack.icmp.on_echo_reply(ident, None)
        return Duration(arrived - start)

    # -- leaving ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._crank.start()

    async def wait_addresses(self) -> None:
        """Until every address that is being probed for is ours. Raises AddressInUse when one is not."""
        if not self.stack.tentative:
            await asyncio.sleep(0)
            return
        decided: asyncio.Future[None] = self._loop.create_future()

        def told(error: OSError | None) -> None:
            if not decided.done():
                if error is None:
                    decided.set_result(None)
                else:
                    decided.set_exception(error)

        self.stack.on_addresses = told
        try:
            await decided
        finally:
            self.stack.on_addresses = None

    async def aclose(self, linger: Duration = LINGER) -> None:
        """End everything: no new connections, handlers cancelled, open connections reset, closed ones given `linger` to deliver."""
        if self._closed:
            return
        self._closed = True
        for server in list(self._servers):
            server.close()
        for task in list(self._tasks):
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        keepers = [self._clients, *(server.keeper for server in self._servers)]
        for transport in [each for keeper in keepers for each in keeper.alive]:
            leave(transport)
        for stream in list(self._streams):
            stream.abort()
        for socket in self._datagrams:
            socket.close()
        if self._sockets is not None:
            self._sockets.close()
        try:
            await self._delivered(linger)
        finally:
            for transport in [each for keeper in keepers for each in keeper.alive]:
                transport.close()
            now = self.now()
            self._crank.stop()
            self.stack.close(now)
        await asyncio.sleep(0)  # connection_lost of what was aborted …
        await asyncio.sleep(0)  # … and what SSLProtocol passes on

    async def _delivered(self, linger: Duration) -> None:
        """Until no connection holds data or an unacknowledged FIN, for at most `linger`."""
        done: asyncio.Future[None] = self._loop.create_future()

        def look() -> None:
            if not done.done() and not any(conn.lingers() for conn in self.stack.tcp.connections()):
                done.set_result(None)

        self._crank.after_turn = look
        look()
        try:
            if self._crank.failure is None:
                await wait_for(done, linger, "waiting for closed connections to deliver")
        except TimedOut:
            pass
        finally:
            self._crank.after_turn = None


def check_port(port: int) -> int:
    if not 0 <= port <= 65535:
        raise UsageError(f"{port} is not a port: choose one from 0 to 65535")
    return port


def connection_row(conn: Connection) -> dict[str, Any]:
    """A connection as a flat dict: `local`, `remote`, and the fields of `Connection.info()`."""
    row = {"local": f"{ip4_text(conn.local)}:{conn.local_port}", "remote": f"{ip4_text(conn.remote)}:{conn.remote_port}"}
    return row | attrs.asdict(conn.info())
