"""A `Net`: one stack with asyncio's verbs, and all that it started. `asyncio.py` makes them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from socket import AF_INET, SO_REUSEADDR, SOL_SOCKET
from typing import TYPE_CHECKING, Any, Protocol

from ..address import ip4_text
from ..cores import IpError, StreamUser
from ..dns.client.eyeballs import EyeballsConfig
from ..errors import TimedOut, Unreachable, UsageError
from ..instant import SECOND, Duration, Instant, seconds
from ..patience import Bells
from ..signatures import Address, Stream
from ..stack import Stack
from ..tcp.connection import Connection
from .asynciotls import leave
from .attendance import Attendance
from .base import Crank
from .connecting import race
from .datagrams import UdpTransport
from .face import BACKLOG, CONNECT_TIMEOUT, LINGER, NetFace, check_port
from .names import Names
from .reactor import LoopReactor
from .servers import Server
from .serving import bound
from .splice import splice
from .streams import TcpStream, UdpSocket, wait_for
from .transports import Keeper
from .verbs import Verbs

if TYPE_CHECKING:
    from .doors.callers import Caller, Callers
    from .doors.dialfd import FdSocket
    from .doors.forward import Forward
    from .doors.socks import Socks
    from .threads.blocking import Blocking


class Door(Protocol):
    """Something that lets others in."""

    async def aclose(self) -> None: ...


class Net(NetFace, Verbs):
    """A network of one's own: a host on a device, with asyncio's verbs (verbs.py). Made by `netstack.open`.

    It is also a `StreamStack` and a `DatagramStack`, so servers and clients of this package run on it.
    """

    def __init__(
        self, stack: Stack, loop: asyncio.AbstractEventLoop, names: Names | None = None, *, crank: Crank | None = None
    ) -> None:
        """With a `crank` somebody else's: he turns the stack, and keeps it when the net is closed."""
        self.loop = self._loop = loop
        self._reactor: LoopReactor | None = None
        owns = crank is None
        if crank is None:
            self._reactor = LoopReactor(loop)
            crank = Crank(stack, self._reactor, self._device_failed)
            self._reactor.serve(crank)
        super().__init__(stack, crank, names, owns)
        self._thread = threading.get_ident()  # the loop's
        self._blocking: Blocking | None = None
        self.clients = Keeper(self._crank, loop)
        self._streams: set[TcpStream] = set()
        self.bells = Bells(loop)  # of streams that rest
        self._servers: set[Server] = set()
        self._datagrams: set[UdpSocket | UdpTransport] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._doors: set[Door] = set()  # forwards, proxies
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
        """Connect, and give a stream. `timeout` in nanoseconds. Raises Refused, TimedOut, Unreachable.

        Of a name with several addresses the next one is tried 0.25 s after the last (RFC 8305), each within `timeout`; the error is
        that of the first."""
        self.check()
        limit = CONNECT_TIMEOUT if timeout is None else timeout
        addresses = await self.addresses_of(host)
        if len(addresses) == 1:
            return await self._connect_to(addresses[0], port, limit, host)
        failures: list[OSError] = []

        def beaten(i: int) -> None:
            self.history.failed(ip4_text(addresses[i]), self.now())

        async def attempt(i: int) -> TcpStream:
            try:
                return await self._connect_to(addresses[i], port, limit, f"{host} ({ip4_text(addresses[i])})")
            except OSError as error:
                beaten(i)
                failures.append(error)
                raise

        attempts = [partial(attempt, i) for i in range(len(addresses))]
        stream = await race(self, attempts, EyeballsConfig().attempt_delay / SECOND, TcpStream.abort, beaten)
        if stream is None:
            raise failures[0]
        return stream

    async def connect_from(self, local: int, local_port: int, address: int, port: int, limit: Duration) -> TcpStream:
        """Connect to an address as an int, from `local`, which on a stack that is everybody (`Ipv4Config.any_ip`) is anyone's, and
        from `local_port`, 0 for any. Raises AddressInUse, Refused, TimedOut, Unreachable."""
        self.check()
        return await self._connect_to(address, port, limit, ip4_text(address), local, local_port)

    async def _connect_to(
        self, address: int, port: int, limit: Duration, called: str, local: int = 0, local_port: int = 0
    ) -> TcpStream:
        stream = TcpStream(self._crank, self._loop, self._streams.discard)
        conn = self.stack.tcp.connect(local, local_port, address, check_port(port), stream.user, self.now())
        stream.bind(conn)
        self._crank.rearm()
        self._streams.add(stream)
        try:
            await wait_for(stream.opened, limit, f"connecting to {called}:{port}")
        except BaseException:
            stream.abort()
            raise
        return stream

    async def serve_streams(
        self, handler: Callable[[Stream], Awaitable[None]], port: int, host: str = "", backlog: int = BACKLOG
    ) -> Server:
        """Run `handler(stream)` in a task of the net for each connection; the stream is closed when it returns."""
        self.check()
        if backlog < 1:
            raise UsageError(f"a backlog of {backlog} accepts nothing: choose 1 or more")
        sockets = bound(self, [(AF_INET, (host or "", check_port(port)))], [(SOL_SOCKET, SO_REUSEADDR)])
        server = self.new_server()

        attendance = Attendance(self, server)
        forget = self._streams.discard  # one for all of them

        def accept(conn: Connection) -> StreamUser:
            stream = TcpStream(self._crank, self._loop, forget, attendance)
            stream.bind(conn)
            self._streams.add(stream)
            attendance.begin(stream, handler)
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
        peer = (await self.address_of(remote[0]), check_port(remote[1])) if remote else None
        return self.udp_from(self.names.own(host), port, peer)

    def udp_from(self, local: int, port: int, peer: tuple[int, int] | None) -> UdpSocket:
        """The same of addresses as ints, at once."""
        remote = None if peer is None else (ip4_text(peer[0]), peer[1])
        socket = UdpSocket(self, self._crank, self._loop, remote, self._datagrams.discard)
        socket.bind(self.stack.udp.bind(local, check_port(port), socket.user, peer))
        self._datagrams.add(socket)
        return socket

    bind_datagrams = udp

    async def ping(self, host: str, size: int = 56, timeout: float = 1.0) -> Duration:
        """Send one echo request with `size` bytes and give the round-trip time. Raises TimedOut, Unreachable."""
        self.check()
        if not 0 <= size <= 65507:
            raise UsageError(f"a ping of {size} bytes doesn't fit in a datagram: ask for 0 to 65507")
        target = await self.address_of(host)
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

    # -- for threads -----------------------------------------------------------------------------------------------------------

    @property
    def blocking(self) -> Blocking:
        """Sockets that block, for any thread: `net.blocking.socket()`, `create_connection`, `create_server` (blocking.py)."""
        if self._blocking is None:
            from .threads import blocking

            with blocking.MAKING:
                if self._blocking is None:
                    self._blocking = blocking.Blocking(self)
        return self._blocking

    # -- for programs that nobody can enter ----------------------------------------------------------------------------------

    async def dial_fd(self, host: str, port: int, timeout: Duration | None = None) -> FdSocket:
        """Connect, and give a real descriptor, blocking, for C libraries: a `socket.socket` that answers for its connection.
        Raises Refused, TimedOut, Unreachable, OSError."""
        from .doors import dialfd

        self.check()
        return await dialfd.dial_fd(self, host, port, CONNECT_TIMEOUT if timeout is None else timeout)

    async def accept_any(self, attend: Callable[[Caller], Awaitable[Any]], *, limit: int = 1024) -> Callers:
        """Run `attend(caller)` in a task for every connection that somebody asks for and no listener of this net wants. It says
        what becomes of it, and before that nothing is answered (callers.py). With `Ipv4Config(any_ip=True)` on a net that is every
        address: a honeypot. Raises UsageError when somebody does so already."""
        from .doors import callers

        self.check()
        return callers.accept_any(self, attend, limit)

    async def forward(self, listen: str, target: str, *, limit: int = 1024) -> Forward:
        """Listen at `listen` and go on to `target`; one of the two is the stack's. At most `limit` connections at a time.

            "tcp:5432", "unix:/run/x.sock"            the stack's port, served by the host
            "host:127.0.0.1:8080", "tcp:10.0.0.1:80"    the host's port, served through the stack
            "udp:53", "host:udp:127.0.0.1:5353"        datagrams too

        `ends.py` has the whole grammar. Raises UsageError, AddressInUse, OSError.
        """
        from .doors import ends, forward

        self.check()
        return await forward.forward(self, *ends.route(listen, target), limit)

    async def socks5(
        self, host: str = "127.0.0.1", port: int = 1080, *, user: str | None = None, password: str | None = None, limit: int = 1024
    ) -> Socks:
        """A proxy on the *host's* address and port, SOCKS5 and HTTP CONNECT, that connects through this net and resolves names in
        it. At most `limit` clients at a time. Raises UsageError, OSError."""
        from .doors import socks

        self.check()
        return await socks.socks5(self, host, port, user=user, password=password, limit=limit)

    # -- leaving ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        if self._reactor is not None:
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
        self._farewell()
        self._closed = True
        for door in list(self._doors):
            await door.aclose()
        for server in list(self._servers):
            server.close()
        if self._lookups is not None:
            await self._lookups.aclose()
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
        if self._blocking is not None:
            self._blocking.close()
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
            self._farewell()
            self._closed = True
            for task in list(self._tasks):
                task.cancel()
            self.sockets.close()
            if self._blocking is not None:
                self._blocking.close()
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
