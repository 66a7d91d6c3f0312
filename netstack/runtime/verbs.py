"""asyncio's verbs, as methods of a `Net`: on any loop, without that loop's knowing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from . import connecting, endpoints, sendfiles, serving
from .asynciotls import Terms, start_tls
from .connecting import Factory
from .datagrams import UdpTransport
from .face import BACKLOG
from .names import AddrInfo, Host, Names, Port
from .reader import SegmentProtocol, SegmentReader
from .servers import Server

if TYPE_CHECKING:
    from ssl import SSLContext

    from .lookups import Lookups
    from .net import Net


class Verbs:
    """What asyncio's event loops have for the network, with the same arguments."""

    loop: asyncio.AbstractEventLoop
    names: Names
    dns: Any

    @property
    def lookups(self) -> Lookups:
        """How names are found out that the net doesn't know itself."""
        raise NotImplementedError

    def asks(self, host: Host, flags: int = 0) -> bool:
        """Is `host` a name for the DNS?"""
        raise NotImplementedError

    def check(self) -> None:
        """Raises ClosedError, BrokenError."""
        raise NotImplementedError

    def own(self, work: Any) -> None:
        """Run a coroutine in a task of the net."""
        raise NotImplementedError

    @property
    def _net(self) -> Net:
        self.check()
        return self  # type: ignore[return-value]  # the only one that derives from this

    # -- names ----------------------------------------------------------------------------------------------------------------

    async def getaddrinfo(
        self, host: Host, port: Port, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Sequence[AddrInfo]:
        """The addresses of literals, of `localhost`, of what `hosts=` names, and of what the DNS says, in the order of RFC 6724; as
        `socket.getaddrinfo`. Raises socket.gaierror."""
        if self.asks(host, flags):
            return await self.lookups.getaddrinfo(host, port, family, type, proto, flags)
        if self.names.system and not self.names.knows(host):
            system = getattr(self.loop, "system_getaddrinfo", self.loop.getaddrinfo)
            return await system(host, port, family=family, type=type, proto=proto, flags=flags)
        return self.names.getaddrinfo(host, port, family, type, proto, flags)

    async def getnameinfo(self, sockaddr: Sequence[Any], flags: int = 0) -> tuple[str, str]:
        """(host, service) of an address, as far as they are known here, or in the DNS."""
        if self.dns is not None:
            return await self.lookups.getnameinfo(sockaddr, flags)
        return self.names.getnameinfo(sockaddr, flags)

    # -- streams --------------------------------------------------------------------------------------------------------------

    async def create_connection(
        self,
        protocol_factory: Factory,
        host: str | bytes | None = None,
        port: int | str | None = None,
        *,
        ssl: SSLContext | bool | None = None,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        sock: Any = None,
        local_addr: Sequence[Any] | None = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        happy_eyeballs_delay: float | None = None,
        interleave: int | None = None,
        all_errors: bool = False,
        timeout: float | None = None,
    ) -> tuple[asyncio.Transport, Any]:
        """Connect, and give (transport, protocol). `timeout` in seconds for each address; everything else as asyncio's.

        Raises Refused, TimedOut, Unreachable, and as OSErrors EADDRINUSE, EADDRNOTAVAIL; with `ssl` also ssl.SSLError.
        """
        return await connecting.create_connection(
            self._net, self.getaddrinfo, protocol_factory, host, port, ssl=ssl, family=family, proto=proto, flags=flags, sock=sock,
            local_addr=local_addr, server_hostname=server_hostname, ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout, happy_eyeballs_delay=happy_eyeballs_delay, interleave=interleave,
            all_errors=all_errors, timeout=timeout,
        )  # fmt: skip

    async def connect_accepted_socket(
        self,
        protocol_factory: Factory,
        sock: Any,
        *,
        ssl: SSLContext | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> tuple[asyncio.Transport, Any]:
        """A transport for a socket of the stack that a listener of the program's own has accepted."""
        return await connecting.connect_accepted_socket(
            self._net, protocol_factory, sock, ssl=ssl, ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )  # fmt: skip

    async def create_server(
        self,
        protocol_factory: Factory,
        host: str | Iterable[str] | None = None,
        port: int | str | None = None,
        *,
        family: int = socket.AF_UNSPEC,
        flags: int = socket.AI_PASSIVE,
        sock: Any = None,
        backlog: int = BACKLOG,
        ssl: SSLContext | None = None,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
        keep_alive: bool | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
    ) -> Server:
        """Listen on `port` of `host` (all own addresses without one; port 0, or none, chooses one). Everything else as asyncio's.

        Raises OSError: EADDRINUSE, EADDRNOTAVAIL.
        """
        if sock is None and port is None:
            port = 0
        return await serving.create_server(
            self._net, self.getaddrinfo, protocol_factory, host, port, family=family, flags=flags, sock=sock, backlog=backlog,
            ssl=ssl, reuse_address=reuse_address, reuse_port=reuse_port, keep_alive=keep_alive,
            ssl_handshake_timeout=ssl_handshake_timeout, ssl_shutdown_timeout=ssl_shutdown_timeout, start_serving=start_serving,
        )  # fmt: skip

    async def open_connection(
        self, host: str | None = None, port: int | str | None = None, *, limit: int = 65536, **options: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """asyncio's `open_connection` through this net; `options` are those of `create_connection`."""
        reader = SegmentReader(limit=limit, loop=self.loop)
        protocol = SegmentProtocol(reader, loop=self.loop)
        transport, _ = await self.create_connection(lambda: protocol, host, port, **options)
        return reader, asyncio.StreamWriter(transport, protocol, reader, self.loop)

    async def start_server(
        self,
        client_connected_cb: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None],
        host: str | Iterable[str] | None = None,
        port: int | str | None = None,
        *,
        limit: int = 65536,
        **options: Any,
    ) -> Server:
        """asyncio's `start_server` through this net, which owns the tasks of the callback; `options` are `create_server`'s."""

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            result = client_connected_cb(reader, writer)
            if result is not None:
                self.own(self._attend(result, writer))

        def factory() -> asyncio.StreamReaderProtocol:
            return SegmentProtocol(SegmentReader(limit=limit, loop=self.loop), connected, loop=self.loop)

        return await self.create_server(factory, host, port, **options)

    async def _attend(self, work: Awaitable[None], writer: asyncio.StreamWriter) -> None:
        """Run a connection's callback to its end; an error in it is told and closes the connection, as asyncio does."""
        try:
            await work
        except asyncio.CancelledError:
            getattr(writer.transport, "reset", writer.transport.abort)()  # what the peer has is not the whole
            raise
        except Exception as error:
            context = {"message": "Unhandled exception in client_connected_cb", "exception": error, "transport": writer.transport}
            self.loop.call_exception_handler(context)
            writer.close()

    async def start_tls(
        self,
        transport: asyncio.BaseTransport,
        protocol: asyncio.BaseProtocol,
        sslcontext: SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> asyncio.Transport:
        """asyncio's `loop.start_tls` for a transport of this net, under any loop (uvloop's own takes only its own transports).

        The transport to use from now on; `connection_made` isn't called again. Where the handshake fails, or the call is cancelled,
        the connection is closed. Raises ssl.SSLError, ConnectionError.
        """
        terms = Terms(
            sslcontext, server_side=server_side, server_hostname=server_hostname, ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )  # fmt: skip
        return await start_tls(self.loop, transport, protocol, terms)

    async def sendfile(
        self, transport: asyncio.BaseTransport, file: Any, offset: int = 0, count: int | None = None, *, fallback: bool = True
    ) -> int:
        """asyncio's `loop.sendfile` for a transport of this net. How many bytes were sent."""
        return await sendfiles.sendfile(transport, file, offset, count, fallback=fallback)

    # -- datagrams ------------------------------------------------------------------------------------------------------------

    async def create_datagram_endpoint(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        local_addr: Sequence[Any] | None = None,
        remote_addr: Sequence[Any] | None = None,
        *,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        reuse_port: bool | None = None,
        allow_broadcast: bool | None = None,
        sock: Any = None,
    ) -> tuple[UdpTransport, Any]:
        """asyncio's `create_datagram_endpoint` through this net; without addresses it is bound to a free port of all own ones."""
        if not (local_addr or remote_addr or sock is not None):
            family = family or socket.AF_INET
        return await endpoints.create_datagram_endpoint(
            self._net, self.getaddrinfo, protocol_factory, local_addr, remote_addr, family=family, proto=proto, flags=flags,
            reuse_port=reuse_port, allow_broadcast=allow_broadcast, sock=sock,
        )  # fmt: skip
