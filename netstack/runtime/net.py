"""A `Net`: one stack with asyncio's verbs, and all that it started. `asyncio.py` makes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from socket import AF_INET, SO_REUSEADDR, SOL_SOCKET
from typing import Any

from ..address import ip4_text
from ..cores import IpError, StreamUser
from ..errors import TimedOut, Unreachable, UsageError
from ..instant import Duration, Instant, seconds
from ..signatures import Address, Stream
from ..stack import Stack
from ..tcp.connection import Connection
from .asynciotls import leave
from .base import Crank
from .connecting import CONNECT_TIMEOUT
from .datagrams import UdpTransport
from .face import LINGER, NetFace, check_port
from .names import Names
from .reactor import LoopReactor
from .resolve import ipv4, local_ipv4
from .servers import BACKLOG, Server
from .serving import bound
from .splice import splice
from .streams import TcpStream, UdpSocket, wait_for
from .transports import Keeper
from .verbs import Verbs


class Net(NetFace, Verbs):
    """A network of one's own: a host on a device, with asyncio's verbs (verbs.py). Made by `netstack.open`.

    It is also a `StreamStack` and a `DatagramStack`, so servers and clients of this package run on it.
    """

    def __init__(
        self, stack: Stack, loop: asyncio.AbstractEventLoop, names: Names | None = None, *, crank: Crank | None = None
    ) -> None:
        """With a `crank` somebody else's: he turns the stack, and keeps it when the net is closed."""
        self.loop = self._loop = loop
        owns = crank is None
        if crank is None:
            reactor = LoopReactor(loop)
            crank = Crank(stack, reactor, self._device_failed)
            reactor.serve(crank)
        super().__init__(stack, crank, names, owns)
        self.clients = Keeper(self._crank, loop)
        self._streams: set[TcpStream] = set()
        self._servers: set[Server] = set()
        self._datagrams: set[UdpSocket | UdpTransport] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._pings = 0

    def _device_failed(self, error: OSError) -> None:
        """The loop's exception handler is told."""
        message = f"netstack: the device {self.netif.name} failed; its connections are broken"
        self._loop.call_exception_handler({"message": message, "exception": error})

    # -- what the verbs are made of (verbs.py) ------------------------------------------------------------------------------

    def new_server(self) -> Server:
        """One that the net closes when it is left."""
        server = Server(self._crank, self._loop, self._servers.discard)
        self._servers.add(server)
        return server

    def new_datagrams(self, protocol: asyncio.BaseProtocol) -> UdpTransport:
        transport = UdpTransport(self._crank, self._loop, protocol, self._datagrams.discard)
        self._datagrams.add(transport)
        return transport

    def own(self, work: Any) -> None:
        """Run a coroutine in a task of the net."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- TCP, as a StreamStack -------------------------------------------------------------------------------------------

    async def connect_stream(self, host: str, port: int, timeout: Duration | None = None) -> TcpStream:
        """Connect, and give a stream. `timeout` in nanoseconds. Raises Refused, TimedOut, Unreachable."""
        self.check()
        stream = TcpStream(self._crank, self._loop, self._streams.discard)
        conn = self.stack.tcp.connect(0, 0, ipv4(host), check_port(port), stream.user, self.now())
        stream.bind(conn)
        self._crank.rearm()
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
        self.check()
        sockets = bound(self, [(AF_INET, (host or "", check_port(port)))], [(SOL_SOCKET, SO_REUSEADDR)])
        server = self.new_server()

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
            self.own(attend(stream))
            return stream.user

        server.bind(sockets, accept, backlog)
        server.serve()
        return server

    async def splice(self, a: TcpStream, b: TcpStream) -> tuple[int, int]:
        """`netstack.splice`: pass on everything between two streams until both have ended."""
        return await splice(a, b)

    # -- UDP and ICMP ----------------------------------------------------------------------------------------------------

    async def udp(self, port: int = 0, host: str = "", remote: Address | None = None) -> UdpSocket:
        """A UDP socket on `port` (0 chooses one), connected to `remote` if that is given. Raises AddressInUse, Unreachable."""
        self.check()
        socket = UdpSocket(self._crank, self._loop, self.stack.udp.mib, remote, self._datagrams.discard)
        peer = (ipv4(remote[0]), check_port(remote[1])) if remote else None
        socket.bind(self.stack.udp.bind(local_ipv4(host), check_port(port), socket.user, peer))
        self._datagrams.add(socket)
        return socket

    bind_datagrams = udp

    async def ping(self, host: str, size: int = 56, timeout: float = 1.0) -> Duration:
        """Send one echo request with `size` bytes and give the round-trip time. Raises TimedOut, Unreachable."""
        self.check()
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
        if self._owns:
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

    async def aclose(self, linger: Duration = LINGER, *, reset: bool = True) -> None:
        """End everything: no new connections, handlers cancelled, open connections reset, closed ones given `linger` to deliver.
        Without `reset` open ones are closed before, as a kernel does when a process ends."""
        if self._closed:
            return
        self._closed = True
        for server in list(self._servers):
            server.close()
        for task in list(self._tasks):
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        keepers = [self.clients, *(server.keeper for server in self._servers)]
        for transport in [each for keeper in keepers for each in keeper.alive]:
            if reset:
                leave(transport)
            else:
                transport.close()
        for stream in list(self._streams):
            if reset:
                stream.abort()
            else:
                stream.close()
        for socket in list(self._datagrams):
            socket.close()
        self.sockets.close()
        try:
            await self._delivered(linger)
        finally:
            for transport in [each for keeper in keepers for each in keeper.alive]:
                transport.close()
            self._let_go()
        await asyncio.sleep(0)  # connection_lost of what was aborted …
        await asyncio.sleep(0)  # … and what SSLProtocol passes on

    def drop(self) -> None:
        """End everything at once, where nobody can wait: what is open is reset, what was not delivered yet is lost."""
        if not self._closed:
            self._closed = True
            for task in list(self._tasks):
                task.cancel()
            self._let_go()

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
