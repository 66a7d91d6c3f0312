"""`KernelNet`: the kernel's network with the verbs of a `Net`, and all that was started through it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
import time
import weakref
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

from netstack.errors import ClosedError, Refused, TimedOut, Unreachable, UsageError
from netstack.instant import SECOND, Duration, Instant, check_timeout, seconds
from netstack.patience import Bells
from netstack.resting import Attendance, Work
from netstack.signatures import Address, Stream

from .datagrams import KernelDatagrams
from .door import Door
from .listener import KernelListener
from .networks import attached
from .outbox import Outbox
from .streams import RESET, KernelStream
from .world import Endpoint, bound, check_port, for_family, local_endpoint, named, new_socket, resolve, wake

CONNECT_TIMEOUT = Duration(120 * SECOND)  # the kernel's own six SYN retries take 127 s
LINGER = Duration(2 * SECOND)  # as our own nets
LOOK = 0.01  # seconds between two looks at what is still to be delivered while leaving
BACKLOG = 128
SWEEP = 64  # transports that are kept before it is looked which of them are over; later twice as many as were not


class KernelNet:
    """The kernel's sockets as a `StreamStack` and a `DatagramStack`, and asyncio's own functions, on the running loop.

        async with KernelNet() as net: ...            # or netstack.open("posix:")

    `address` is who we are, where the machine has several addresses: what is to listen or to be bound on all addresses listens
    there, and connections leave from there. IPv4 unless told otherwise: "::" listens on both families, and names and addresses of
    either can be connected to.

    It owns what it starts. Leaving ends handlers and listeners, resets what is open, and gives what was closed a moment to be
    delivered. Only what is asked of it goes through it: it changes nothing of the loop.
    """

    failure: OSError | None = None  # of the device, of other nets; the kernel doesn't go away
    name = "the kernel's sockets"

    def __init__(self, address: str = "") -> None:
        local_endpoint(address, 0)
        self._address = address
        self._loop: asyncio.AbstractEventLoop = None  # type: ignore[assignment]  # set when it is entered
        self._outbox: Outbox = None  # type: ignore[assignment]
        self.bells: Bells = None  # type: ignore[assignment]  # of streams that rest
        self._streams: set[KernelStream] = set()
        self._forget = self._streams.discard  # one for all of them
        self._listeners: set[KernelListener] = set()
        self._datagrams: set[KernelDatagrams] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._servers: weakref.WeakSet[asyncio.AbstractServer] = weakref.WeakSet()
        self._transports: list[Any] = []  # also some that are over
        self._swept = SWEEP
        self._closed = False

    async def __aenter__(self) -> KernelNet:
        if self._loop is not None:
            raise UsageError("this net has been entered before: make another one")
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(self._loop)
        self.bells = Bells(self._loop)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        await self.aclose()

    def _check(self) -> None:
        if self._closed:
            raise ClosedError("this net is closed")
        if self._loop is None:
            raise UsageError('enter it first: async with netstack.open("posix:") as net')

    # -- about itself -------------------------------------------------------------------------------------------------------

    @property
    def addresses(self) -> list[str]:
        """The address that it was given, else that of the machine to itself; with prefix lengths, as those of other nets."""
        return [f"{self._address}/{128 if ':' in self._address else 32}"] if self._address else ["127.0.0.1/8"]

    @property
    def networks(self) -> list[str]:
        """Those that the machine is in at this moment; with an address of its own, those of that address."""
        found = attached()
        if self._address:
            ip = ipaddress.ip_address(self._address.partition("%")[0])
            found = [each for each in found if ip in each]
        return [str(each) for each in found]

    def now(self) -> Instant:
        return Instant(time.monotonic_ns())

    def _local(self, host: str | None, port: int) -> Endpoint:
        return local_endpoint(host or self._address, port)

    # -- a StreamStack ------------------------------------------------------------------------------------------------------

    async def connect_stream(self, host: str, port: int, timeout: Duration | None = None) -> KernelStream:
        """As `StreamStack.connect_stream`. A name is resolved by the system, and its addresses are tried in turn."""
        self._check()
        check_port(port, 1)
        check_timeout(timeout)
        limit = CONNECT_TIMEOUT if timeout is None else timeout
        sock: socket.socket | None = None
        try:
            async with asyncio.timeout(limit / SECOND):
                endpoints = await resolve(self._loop, host, port, socket.SOCK_STREAM, self._family)
                failure: OSError | None = None
                for endpoint in endpoints:
                    try:
                        sock = await self._connect(endpoint, f"connecting to {host}:{port}")
                        break
                    except OSError as error:
                        failure = failure or error
            if sock is None:
                assert failure is not None
                raise failure
            self._check()  # somebody may have left meanwhile
            return self._keep(sock, endpoint[1][:2])
        except BaseException as error:
            if sock is not None:
                sock.close()
            if type(error) is TimeoutError:
                raise TimedOut(f"timed out connecting to {host}:{port}") from None
            raise

    @property
    def _family(self) -> int:
        """Of what can be connected to: 0, any, where we are nobody in particular."""
        return local_endpoint(self._address, 0)[0] if self._address else 0

    async def _connect(self, endpoint: Endpoint, doing: str) -> socket.socket:
        family, sockaddr = endpoint
        sock = new_socket(family, socket.SOCK_STREAM)
        try:
            if self._address:
                sock.bind(self._local("", 0)[1])
            try:
                sock.connect(sockaddr)
            except BlockingIOError:
                await self._opened(sock)
                number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number:
                    raise OSError(number, os.strerror(number)) from None
            if sock.getsockname() == sock.getpeername():
                raise Refused(f"{doing}: nobody listens there")  # but the kernel chose that very port for us, and we met ourselves
        except BaseException as error:
            sock.close()
            if isinstance(error, OSError):
                raise named(error, doing) from error
            raise
        return sock

    async def _opened(self, sock: socket.socket) -> None:
        opened: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_writer(sock, wake, opened)
        try:
            await opened
        finally:
            self._loop.remove_writer(sock)

    def _keep(self, sock: socket.socket, peer: Address, attendance: Attendance | None = None) -> KernelStream:
        stream = KernelStream(self._outbox, sock, peer, self._forget, attendance)
        self._streams.add(stream)
        return stream

    async def serve_streams(
        self, handler: Callable[[Stream], Awaitable[None]], port: int, host: str = "", backlog: int = BACKLOG
    ) -> KernelListener:
        """As `StreamStack.serve_streams`."""
        self._check()
        if backlog < 1:
            raise UsageError(f"a backlog of {backlog} accepts nothing: choose 1 or more")
        sock = bound(socket.SOCK_STREAM, self._local(host, port), reuse=True)
        try:
            sock.listen(backlog)
        except OSError as error:  # another one listens there: with SO_REUSEADDR it is told now
            sock.close()
            raise named(error, f"listening on port {port}") from error

        def accept(conn: socket.socket, peer: Address) -> None:
            try:
                stream = self._keep(conn, peer, self)
            except OSError:  # over before it began
                conn.close()
                return
            self.go_on(stream, handler)

        listener = KernelListener(self._loop, sock, accept, self._listeners.discard)
        self._listeners.add(listener)
        return listener

    def go_on(self, stream: KernelStream, work: Work) -> None:
        """With its handler, or with what that has left for after a rest."""
        if self._closed:
            stream.abort()
        else:
            self._own(self._attend(work, stream))

    def end(self, stream: KernelStream) -> None:
        """One that rested was closed."""

    async def _attend(self, handler: Callable[[Stream], Awaitable[None]], stream: KernelStream) -> None:
        try:
            await handler(stream)
        except asyncio.CancelledError:
            stream.abort()
            raise
        except Exception as error:
            stream.abort()
            self._loop.call_exception_handler({"message": "Unhandled exception in a stream handler", "exception": error})
        finally:
            if not stream.settle():
                stream.close()

    def _own(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- a DatagramStack ------------------------------------------------------------------------------------------------------

    async def bind_datagrams(self, port: int = 0, host: str = "", remote: Address | None = None) -> KernelDatagrams:
        """As `DatagramStack.bind_datagrams`."""
        self._check()
        local, peer = self._local(host, port), None
        if remote is not None:
            check_port(remote[1], 1)
            peer = (await resolve(self._loop, *remote, socket.SOCK_DGRAM, self._family))[0]
            if not host and not self._address:
                local = local_endpoint("::" if peer[0] == socket.AF_INET6 else "", port)
        sock = bound(socket.SOCK_DGRAM, local)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            if peer is not None:
                sock.connect(for_family(local[0], peer))
        except OSError as error:
            sock.close()
            raise named(error, f"connecting to {remote}") from error
        self._check()
        datagrams = KernelDatagrams(self._loop, sock, self._datagrams.discard, peer is not None)
        self._datagrams.add(datagrams)
        return datagrams

    udp = bind_datagrams

    # -- asyncio's own functions ----------------------------------------------------------------------------------------------
    #
    # What isn't named here is the loop's, and goes on to it: ssl=, server_hostname=, sock=, reuse_port= …

    async def create_connection(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int | None = None,
        *,
        local_addr: Address | None = None,
        timeout: float | None = None,
        **more: Any,
    ) -> tuple[asyncio.Transport, Any]:
        """The loop's `create_connection`, with a `timeout` in seconds. Raises Refused, TimedOut, Unreachable, AddressInUse."""
        self._check()
        if local_addr is None and self._address and host is not None:
            local_addr = (self._address, 0)
        limit = CONNECT_TIMEOUT if timeout is None else seconds(timeout)
        try:
            async with asyncio.timeout(limit / SECOND):
                transport, _ = await self._loop.create_connection(
                    lambda: Door(self._admit, protocol_factory()),
                    host,  # type: ignore[arg-type]  # None is for sock=, which the types know in another overload
                    port,  # type: ignore[arg-type]
                    local_addr=local_addr,
                    **more,
                )
        except OSError as error:
            if type(error) is TimeoutError and error.errno is None:
                raise TimedOut(f"timed out connecting to {host}:{port}") from error
            raise named(error, f"connecting to {host}:{port}") from error
        return transport, transport.get_protocol()

    def _admit(self, transport: asyncio.BaseTransport) -> None:
        """A transport has a connection. It doesn't say when it is over, and uvloop's have no weak references: so now and then those
        are let go of that say that they are closed."""
        self._transports.append(transport)
        if self._closed:
            _abort(transport)
        if len(self._transports) >= self._swept:
            self._transports = [transport for transport in self._transports if not transport.is_closing() or _delivering(transport)]
            self._swept = max(SWEEP, 2 * len(self._transports))

    async def create_server(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int = 0,
        *,
        backlog: int = BACKLOG,
        **more: Any,
    ) -> asyncio.Server:
        """The loop's `create_server`; without a host it listens on our address, or on all of IPv4: one socket, and so one port."""
        self._check()
        if more.get("sock") is None:
            host, more["port"] = host or self._address or "0.0.0.0", check_port(port)
        try:
            server = await self._loop.create_server(lambda: Door(self._admit, protocol_factory()), host, backlog=backlog, **more)
        except OSError as error:
            if error.errno is None:  # "could not bind on any address": what asyncio makes of EADDRNOTAVAIL since Python 3.13
                raise Unreachable(str(error), errno.EADDRNOTAVAIL) from error
            raise named(error, f"listening on port {port}") from error
        self._servers.add(server)
        return server

    async def open_connection(
        self, host: str | None = None, port: int | None = None, *, limit: int = 65536, **more: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """asyncio's `open_connection` through this net."""
        reader = asyncio.StreamReader(limit=limit, loop=self._loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=self._loop)
        transport, _ = await self.create_connection(lambda: protocol, host, port, **more)
        return reader, asyncio.StreamWriter(transport, protocol, reader, self._loop)

    async def start_server(
        self,
        client_connected_cb: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None],
        host: str | None = None,
        port: int = 0,
        *,
        limit: int = 65536,
        **more: Any,
    ) -> asyncio.Server:
        """asyncio's `start_server` through this net; the net owns the tasks of the callback."""

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            result = client_connected_cb(reader, writer)
            if result is not None:
                self._own(self._converse(result, writer))

        def factory() -> asyncio.StreamReaderProtocol:
            return asyncio.StreamReaderProtocol(asyncio.StreamReader(limit=limit, loop=self._loop), connected, loop=self._loop)

        return await self.create_server(factory, host, port, **more)

    async def _converse(self, work: Awaitable[None], writer: asyncio.StreamWriter) -> None:
        """Run a connection's callback to its end; an error in it is told and closes the connection, as asyncio does."""
        try:
            await work
        except asyncio.CancelledError:
            _abort(writer.transport)
            raise
        except Exception as error:
            context = {"message": "Unhandled exception in client_connected_cb", "exception": error, "transport": writer.transport}
            self._loop.call_exception_handler(context)
            writer.close()

    async def create_datagram_endpoint(
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: Address | None = None,
        remote_addr: Address | None = None,
        **more: Any,
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        """The loop's `create_datagram_endpoint`; a local host of "" is all addresses, or the one that we are."""
        self._check()
        if more.get("sock") is None:
            host, port = local_addr or ("", 0)
            if host or self._address or local_addr is not None or remote_addr is None:
                local_addr = (host or self._address or "0.0.0.0", port)
        try:
            transport, protocol = await self._loop.create_datagram_endpoint(
                protocol_factory, local_addr=local_addr, remote_addr=remote_addr, **more
            )
        except OSError as error:
            raise named(error, f"binding to {local_addr}") from error
        self._admit(transport)
        return transport, protocol

    # -- leaving --------------------------------------------------------------------------------------------------------------

    async def aclose(self, linger: Duration = LINGER) -> None:
        """End everything: no new connections, handlers cancelled, open connections reset, closed ones given `linger` to deliver."""
        if self._closed:
            return
        self._closed = True
        if self._loop is None:
            return
        for listener in list(self._listeners):
            listener.close()
        for server in list(self._servers):
            server.close()
        for task in list(self._tasks):
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        for datagrams in list(self._datagrams):
            datagrams.close()
        for stream in [stream for stream in self._streams if not stream.delivering]:
            stream.abort()
        for transport in [transport for transport in self._transports if not transport.is_closing()]:
            _abort(transport)
        await self._delivered(linger)
        for stream in list(self._streams):
            stream.abort()
        for transport in [transport for transport in self._transports if _delivering(transport)]:
            _abort(transport)
        for _ in range(3):  # connection_lost of what was aborted, and of the TLS above it
            await asyncio.sleep(0)

    async def _delivered(self, linger: Duration) -> None:
        """Until the kernel has taken what was closed, for at most `linger`."""
        deadline = self._loop.time() + linger / SECOND
        while (self._streams or any(map(_delivering, self._transports))) and self._loop.time() < deadline:
            await asyncio.sleep(LOOK)


def _delivering(transport: Any) -> bool:
    """Closed, and with something left that the kernel has not taken?"""
    if not transport.is_closing():
        return False
    try:
        return bool(transport.get_write_buffer_size())
    except AttributeError:  # TLS whose connection is gone, and datagrams of some loops
        return False


def _abort(transport: Any) -> None:
    """With a reset, as our own transports: asyncio's only stop writing, and the kernel then closes in order."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.type == socket.SOCK_STREAM:
        with contextlib.suppress(OSError):  # closed already
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()
