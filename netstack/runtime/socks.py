"""A door from the host into the stack for programs that nobody can enter: SOCKS5 and HTTP CONNECT, on one port.

    proxy = await net.socks5(port=1080)            # curl --socks5-hostname 127.0.0.1:1080 http://10.0.0.1/
                                                   # curl --proxytunnel --proxy http://127.0.0.1:1080 http://10.0.0.1/

It listens on the host's loopback unless told, since whoever reaches it reaches the net behind it. Names are resolved in the net.
Of SOCKS5 (RFC 1928) there are CONNECT and UDP ASSOCIATE, with user and password (RFC 1929) where they are asked for; BIND is
refused as the RFC wants it. The first byte tells which of the two protocols it is. A client has TIME to say what it wants, all told
and not for each byte, so that a slow one holds a place no longer than a busy one; and there are `limit` places, beyond which
connections wait in the kernel's backlog.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from ..errors import Refused, TimedOut, Unreachable, UsageError, WireError
from . import sockswire as wire
from .ends import LOCAL, Place
from .forward import BREAKS, LIMIT, _listening, bound_packets, reach
from .hostside import HostEnd, HostListener, HostPackets, KernelSocket, resolve
from .joint import Counts, StackEnd, join
from .lookup import look_up
from .streams import TcpStream, UdpSocket

if TYPE_CHECKING:
    from .net import Net

T = TypeVar("T")
TIME = 10.0  # seconds for all that a client has to say before it is connected
FARE_WELL = 1.0  # seconds that a client who was refused has to read why
ERRORS = {
    errno.ECONNREFUSED: wire.REFUSED,
    errno.EHOSTUNREACH: wire.HOST_UNREACHABLE,
    errno.ENETUNREACH: wire.NET_UNREACHABLE,
    errno.ETIMEDOUT: wire.HOST_UNREACHABLE,  # "TTL expired" is for ICMP's time exceeded; what curl and ssh expect here is this
}
HTTP_REASON = {
    407: "Proxy Authentication Required",
    405: "Method Not Allowed",
    400: "Bad Request",
    502: "Bad Gateway",
    504: "Gateway Timeout",
}


@attrs.define
class Tally:
    """What a proxy did."""

    accepted: int = 0
    unlawful: int = 0  # said what isn't SOCKS5 or HTTP, or said nothing in time
    denied: int = 0  # a wrong password, or none
    refused: int = 0  # the target could not be reached, or the command is not ours
    tunnels: int = 0
    associations: int = 0
    broken: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    dropped: int = 0  # datagrams


class Socks:
    """A proxy at work. `address` is where it listens, `open` how many clients it has, `counts` what it did."""

    def __init__(self, net: Net, user: str | None, password: str | None, limit: int) -> None:
        self.counts = Tally()
        self.limit = limit
        self.address: Any = None
        self.closed = False
        self._net = net
        self._loop = net._loop
        self._secret = None if user is None else f"{user}:{password}".encode()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: HostListener | None = None

    @property
    def open(self) -> int:
        return len(self._tasks)

    async def listen(self, host: str, port: int) -> None:
        found = await resolve(host, port, socket.SOCK_STREAM, self._loop)
        sock = _listening(found[0][0], found[0][4])
        self.address = sock.getsockname()
        self._listener = HostListener(sock, self._loop, self._accepted)

    def _accepted(self, sock: socket.socket) -> None:
        assert self._listener is not None
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._serve(Client(sock, self._loop)))
        self._tasks.add(task)
        task.add_done_callback(self._left)
        if self.open >= self.limit:
            self._listener.pause()

    def _left(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self.closed and self._listener is not None and self.open < self.limit:
            self._listener.resume()

    async def aclose(self) -> None:
        """Listen no more, and reset the connections that are open."""
        if self.closed:
            return
        self.closed = True
        self._net._doors.discard(self)
        if self._listener is not None:
            self._listener.close()
        for task in list(self._tasks):
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.sleep(0)

    async def __aenter__(self) -> Socks:
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self.aclose()

    # -- one client -------------------------------------------------------------------------------------------------------------

    async def _serve(self, client: Client) -> None:
        self.counts.accepted += 1
        try:
            try:
                async with asyncio.timeout(TIME):
                    first = await client.peek()
                    going_on = await (self._socks(client) if first == wire.VERSION else self._http(client))
            except (TimeoutError, WireError):
                self.counts.unlawful += 1
                client.abort()
                return
            await going_on()
        except BREAKS:
            self.counts.broken += 1
        finally:
            client.close()

    async def _socks(self, client: Client) -> Callable[[], Awaitable[None]]:
        hello = await client.decode(wire.greeting)
        method = wire.NO_AUTH if self._secret is None else wire.PASSWORD
        if method not in hello.methods:
            self.counts.denied += 1
            return lambda: client.farewell(bytes([wire.VERSION, wire.NO_METHOD]))
        await client.put(bytes([wire.VERSION, method]))
        if self._secret is not None:
            said = await client.decode(wire.credentials)
            right = hmac.compare_digest(said.user + b":" + said.password, self._secret)
            if not right:
                self.counts.denied += 1
                return lambda: client.farewell(b"\x01\x01")
            await client.put(b"\x01\x00")
        asked = await client.decode(wire.request)
        code = wire.BAD_ADDRESS if not asked.host else wire.BAD_COMMAND
        if asked.host and asked.command == wire.CONNECT:
            return lambda: self._connect(client, asked.host, asked.port)
        if asked.host and asked.command == wire.UDP_ASSOCIATE:
            return lambda: self._associate(client)
        self.counts.refused += 1
        return lambda: client.farewell(wire.reply(code))

    async def _connect(self, client: Client, host: str, port: int) -> None:
        try:
            stream = await self._reach(host, port)
        except BREAKS as error:
            self.counts.refused += 1
            await client.farewell(wire.reply(reply_code(error)))
            return
        await self._tunnel(client, stream, wire.reply(wire.SUCCEEDED, *stream.local_address))

    async def _http(self, client: Client) -> Callable[[], Awaitable[None]]:
        asked = await client.decode(wire.connect_head)
        if self._secret is not None and not hmac.compare_digest(asked.authorization or b"", self._secret):
            self.counts.denied += 1
            return lambda: client.farewell(http_reply(407, 'Proxy-Authenticate: Basic realm="netstack"'))
        if not asked.host:
            self.counts.refused += 1
            return lambda: client.farewell(http_reply(405, "Allow: CONNECT"))

        async def go_on() -> None:
            try:
                stream = await self._reach(asked.host, asked.port)
            except BREAKS as error:
                self.counts.refused += 1
                await client.farewell(http_reply(504 if isinstance(error, TimeoutError) else 502))
                return
            await self._tunnel(client, stream, b"HTTP/1.1 200 Connection established\r\n\r\n")

        return go_on

    async def _reach(self, host: str, port: int) -> TcpStream:
        if not port:
            raise Refused("nobody listens on port 0")
        if ":" in host:
            raise Unreachable(f"there is no way to {host}", errno.ENETUNREACH)
        end = await reach(self._net, Place(False, "tcp", host, port))
        assert isinstance(end, StackEnd)
        return end.stream

    async def _tunnel(self, client: Client, stream: TcpStream, answer: bytes) -> None:
        self.counts.tunnels += 1
        count = Counts()
        try:
            try:
                await client.put(answer)
            except BaseException:
                stream.abort()
                raise
            await join(client, StackEnd(stream), count)
        finally:
            self.counts.bytes_in += count.there
            self.counts.bytes_out += count.back

    # -- datagrams ----------------------------------------------------------------------------------------------------------------

    async def _associate(self, client: Client) -> None:
        """RFC 1928 7: a UDP port of the host for this client, that lives as long as its connection."""
        self.counts.associations += 1
        family, here = client.sock.family, client.sock.getsockname()[0]
        sock = KernelSocket(family, socket.SOCK_DGRAM)
        near = HostPackets(sock, self._loop)
        far: UdpSocket | HostPackets | None = None
        tasks: list[asyncio.Task[None]] = []
        try:
            sock.bind((here, 0))
            far = await bound_packets(self._net, Place(False, "udp"))
            assert isinstance(far, UdpSocket)
            relay = Relay(self, near, far, client.sock.getpeername()[0])
            tasks = [self._loop.create_task(relay.outward()), self._loop.create_task(relay.inward())]
            await client.put(wire.reply(wire.SUCCEEDED, here, sock.getsockname()[1]))
            while await client.take():
                pass  # nothing more is to be said here
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            near.close()
            if far is not None:
                far.close()


class Relay:
    """One association. The client is whoever of its address sends first; its datagrams have a header, and so have the answers."""

    def __init__(self, socks: Socks, near: HostPackets, far: UdpSocket, host: str) -> None:
        self._socks = socks
        self._near = near
        self._far = far
        self._host = host
        self._client: Any = None

    async def outward(self) -> None:
        counts = self._socks.counts
        while True:
            try:
                data, peer = await self._near.receive()
                if peer[0] != self._host or (self._client is not None and peer != self._client):
                    raise WireError("not from the client")
                found = wire.udp_header(data)
                if found is None:
                    raise WireError("a fragment")
                host, port, start = found
                self._client = peer
                self._far.send_nowait(data[start:], (await look_up(self._socks._net, host), port))
                counts.bytes_in += len(data) - start
            except BREAKS:
                counts.dropped += 1

    async def inward(self) -> None:
        counts = self._socks.counts
        while True:
            try:
                data, (host, port) = await self._far.receive()
                self._near.send_nowait(bytes(3) + wire.packed_address(host, port) + data, self._client)
                counts.bytes_out += len(data)
            except BREAKS:
                counts.dropped += 1


class Client(HostEnd):
    """A connection to the proxy. What it has said and nobody has decoded is taken first."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(sock, loop)
        self._said = b""

    async def take(self) -> bytes:
        said, self._said = self._said, b""
        return said or await super().take()

    async def _more(self) -> None:
        data = await super().take()
        if not data:
            raise WireError("it ended in the middle")
        self._said += data
        if len(self._said) > wire.MOST + len(data):
            raise WireError("more than any request has")

    async def peek(self) -> int:
        while not self._said:
            await self._more()
        return self._said[0]

    async def decode(self, decoder: Callable[[bytes], T | None]) -> T:
        while (value := decoder(self._said)) is None:
            await self._more()
        self._said = self._said[value.used :]  # type: ignore[attr-defined]  # all values of sockswire have it
        return value

    async def farewell(self, answer: bytes) -> None:
        """Say it, and wait until the client has gone: a close with unread bytes would reset, and take the answer away again."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(FARE_WELL):
                await self.put(answer)
                await self.put_eof()
                while await self.take():
                    pass


def reply_code(error: Exception) -> int:
    if isinstance(error, TimedOut | TimeoutError):
        return wire.HOST_UNREACHABLE
    if isinstance(error, OSError) and error.errno in ERRORS:
        return ERRORS[error.errno]
    if isinstance(error, UsageError | socket.gaierror):
        return wire.HOST_UNREACHABLE  # a name that there is not
    return wire.FAILURE


def http_reply(status: int, *fields: str) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTP_REASON[status]}", *fields, "Connection: close", "Content-Length: 0", "", ""]
    return "\r\n".join(lines).encode()


async def socks5(
    net: Net, host: str = LOCAL, port: int = 1080, *, user: str | None = None, password: str | None = None, limit: int = LIMIT
) -> Socks:
    if (user is None) != (password is None):
        raise UsageError("a user and a password belong together: give both or neither")
    if user is not None and not (0 < len(user.encode()) < 256 and 0 < len(str(password).encode()) < 256 and ":" not in user):
        raise UsageError("user and password have 1 to 255 bytes each, and the user no colon: choose others")
    if limit < 1:
        raise UsageError(f"limit={limit} would serve nobody: allow one client or more")
    it = Socks(net, user, password, limit)
    await it.listen(host, port)
    net._doors.add(it)
    return it
