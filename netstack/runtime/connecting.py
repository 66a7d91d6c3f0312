"""How a connection is opened for asyncio's programs: names, local addresses, one attempt after the other or a race of them, and
what becomes of a socket that is connected already.

`Net.create_connection` and the event loop's are these functions. They do what asyncio's do, argument by argument; what differs is
that a connection of ours becomes a transport without a socket in between.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import math
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ..dns.client.eyeballs import Eyeballs, EyeballsConfig, interleaved
from ..errors import AddressInUse, Unreachable
from ..instant import SECOND, Duration, seconds
from ..sockets import const as sc
from ..sockets.base import Socket
from ..sockets.names import parse
from ..sockets.stream import StreamSocket
from .asynciotls import Securing, Terms, client_terms, server_terms
from .face import CONNECT_TIMEOUT
from .loops.readiness import ready
from .names import AddrInfo, Resolve, resolved
from .streams import wait_for
from .transports import TcpTransport

if TYPE_CHECKING:
    import ssl as ssl_module

    from .net import Net

T = TypeVar("T")
Factory = Callable[[], asyncio.BaseProtocol]

LOOPBACK = 0x7F000001


async def create_connection(
    net: Net,
    resolve: Resolve,
    protocol_factory: Factory,
    host: str | bytes | None = None,
    port: int | str | None = None,
    *,
    ssl: ssl_module.SSLContext | bool | None = None,
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
    """As asyncio's, and `timeout` in seconds for each attempt. `sock` is a socket of the stack.

    The addresses of a name are tried as RFC 8305 has it, which asyncio wants to be asked for: the next one 0.25 s after the last.
    With happy_eyeballs_delay=math.inf each waits for the failure of the one before.
    """
    terms = client_terms(
        ssl,
        host,  # type: ignore[arg-type]  # a name of bytes would fail in `ssl` itself, as on asyncio's loops
        server_hostname=server_hostname,
        ssl_handshake_timeout=ssl_handshake_timeout,
        ssl_shutdown_timeout=ssl_shutdown_timeout,
    )
    if host is not None or port is not None:
        if sock is not None:
            raise ValueError("host/port and sock can not be specified at the same time")
        if family == 0 and net.asks(host, flags):
            flags |= socket.AI_ADDRCONFIG  # a net has no IPv6: who connects need not wait for such addresses
        infos = await resolved(resolve, (host, port), family, socket.SOCK_STREAM, proto, flags)
        local_infos = None
        if local_addr is not None:
            local_infos = await resolved(resolve, local_addr, family, socket.SOCK_STREAM, proto, flags)
        if happy_eyeballs_delay is None and interleave is None and len(infos) > 1:
            happy_eyeballs_delay = EyeballsConfig().attempt_delay / SECOND
        if happy_eyeballs_delay is not None and interleave is None:
            interleave = 1
        infos = net.history.order(infos, _host, net.now())
        if interleave:
            infos = interleaved(infos, _family, interleave)
        limit = CONNECT_TIMEOUT if timeout is None else seconds(timeout)
        transport = await _first(net, infos, local_infos, happy_eyeballs_delay, all_errors, limit)
        data, eof = b"", False
    elif sock is None:
        raise ValueError("host and port was not specified and no sock specified")
    elif sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")
    else:
        transport, data, eof = take_over(net, core_of(sock))
    return await introduce(net, transport, protocol_factory, terms, (data, eof))


async def connect_accepted_socket(
    net: Net,
    protocol_factory: Factory,
    sock: Any,
    *,
    ssl: ssl_module.SSLContext | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> tuple[asyncio.Transport, Any]:
    """As asyncio's; `sock` is a socket of the stack."""
    if sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")
    terms = server_terms(ssl, ssl_handshake_timeout=ssl_handshake_timeout, ssl_shutdown_timeout=ssl_shutdown_timeout)
    transport, data, eof = take_over(net, core_of(sock))
    return await introduce(net, transport, protocol_factory, terms, (data, eof))


async def introduce(
    net: Net, transport: TcpTransport, protocol_factory: Factory, terms: Terms | None, received: tuple[bytes, bool]
) -> tuple[asyncio.Transport, Any]:
    """Give an open connection its protocol, through TLS where that is asked for."""
    try:
        protocol = protocol_factory()
        if terms is None:
            transport.begin(protocol, *received)
            return transport, protocol  # type: ignore[return-value]  # an asyncio.Transport, by its `__class__`
        secured: asyncio.Future[None] = net.loop.create_future()
        securing = Securing(net.loop, protocol, terms, secured)
        transport.begin(securing, *received)
        await secured
        assert securing.transport is not None
        return securing.transport, protocol
    except BaseException:
        transport.close()
        raise


# -- attempts ---------------------------------------------------------------------------------------------------------------


async def _first(
    net: Net,
    infos: Sequence[AddrInfo],
    local_infos: Sequence[AddrInfo] | None,
    delay: float | None,
    all_errors: bool,
    limit: Duration,
) -> TcpTransport:
    """The first connection that comes about. Raises an OSError that tells of all that didn't."""
    failures: list[OSError] = []
    if delay is None or len(infos) == 1 or delay == math.inf:
        for info in infos:
            try:
                return await _attempt(net, failures, info, local_infos, limit)
            except OSError:
                continue
    else:
        attempts = [functools.partial(_attempt, net, failures, info, local_infos, limit) for info in infos]
        winner = await race(net, attempts, delay, TcpTransport.abort, lambda i: net.history.failed(_host(infos[i]), net.now()))
        if winner is not None:
            return winner
    try:
        if all_errors:
            raise ExceptionGroup("create_connection failed", failures)
        if len(set(map(str, failures))) == 1:
            raise failures[0]
        raise OSError("Multiple exceptions: " + ", ".join(map(str, failures)))
    finally:
        failures = []  # they lead back here


async def _attempt(
    net: Net, failures: list[OSError], info: AddrInfo, local_infos: Sequence[AddrInfo] | None, limit: Duration
) -> TcpTransport:
    try:
        if local_infos is None:
            return await _direct(net, info, limit)
        return await _from(net, failures, info, local_infos, limit)
    except OSError as error:
        failures.append(error)
        net.history.failed(_host(info), net.now())
        raise


async def race(
    net: Net,
    attempts: Sequence[Callable[[], Coroutine[Any, Any, T]]],
    delay: float,
    drop: Callable[[T], object],
    beaten: Callable[[int], object],
) -> T | None:
    """What the first attempt that succeeds gives; None where all raise OSError. The next one is begun `delay` seconds after the
    last, or as soon as that has failed. Those that lose are cancelled, or `drop`ped if they came in too late; `beaten` is told who
    was begun before the winner."""
    machine: Eyeballs[int] = Eyeballs((), int, EyeballsConfig(attempt_delay=seconds(delay), first=0))
    tasks: dict[asyncio.Task[T], int] = {}
    begin = machine.answers(net.now(), "", range(len(attempts)))
    try:
        while begin or tasks:
            for i in begin:
                tasks[net.loop.create_task(attempts[i]())] = i
            left = None if machine.deadline is None else max(machine.deadline - net.now(), 0) / SECOND
            done, _ = await asyncio.wait(tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            begin = []
            if not done and machine.deadline is not None:
                begin = machine.expired(max(net.now(), machine.deadline))
            for task in sorted(done, key=tasks.__getitem__):
                error = task.exception()
                if error is None:
                    winner = tasks.pop(task)
                    machine.succeeded(net.now(), winner)
                    for i in [each for each in tasks.values() if each < winner]:
                        beaten(i)
                    return task.result()
                if not isinstance(error, OSError):
                    raise error
                begin += machine.failed(net.now(), tasks.pop(task))
        return None
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled() and task.exception() is None:
                drop(task.result())


def _family(info: AddrInfo) -> int:
    return info[0]


def _host(info: AddrInfo) -> str:
    return str(info[4][0])


async def _direct(net: Net, info: AddrInfo, limit: Duration) -> TcpTransport:
    """The usual way: the transport is the connection's user from its SYN on."""
    address, port = parse(info[0], info[4], "connect")
    if port == 0:
        raise ConnectionRefusedError(errno.ECONNREFUSED, "nobody can listen on port 0")
    transport = net.clients.take(None)
    opened = transport.connected_soon()
    try:
        conn = net.stack.tcp.connect(0, 0, address or LOOPBACK, port, transport, net.now())
        transport.bind(conn)
        net.turn.rearm()
        await wait_for(opened, limit, f"connecting to {info[4][0]}:{port}")
    except BaseException:
        transport.abort()
        raise
    return transport


async def _from(
    net: Net, failures: list[OSError], info: AddrInfo, local_infos: Sequence[AddrInfo], limit: Duration
) -> TcpTransport:
    """From an address, and perhaps a port, of the program's choice."""
    family = info[0]
    core = net.sockets.stream(family)
    try:
        refused: OSError | None = None
        for local in [local for local in local_infos if local[0] == family]:
            try:
                core.bind(local[4])
                break
            except OSError as error:
                refused = bind_error(error, local[4])
                failures.append(refused)
        else:
            if refused is not None:
                failures.remove(refused)
                raise refused
            raise OSError(f"no matching local address with {family=} found")
        await wait_connected(net, core, info[4], limit)
        return take_over(net, core)[0]
    except BaseException:
        core.close()
        raise


def bind_error(error: OSError, address: tuple[Any, ...]) -> OSError:
    """The same, with the address in its text, as asyncio puts it there."""
    text = f"error while attempting to bind on address {address!r}: {(error.strerror or str(error)).lower()}"
    if error.errno == errno.EADDRNOTAVAIL:
        return Unreachable(text, errno.EADDRNOTAVAIL)
    return AddressInUse(text) if error.errno == errno.EADDRINUSE else OSError(error.errno, text)


async def wait_connected(net: Net, core: Socket, address: tuple[Any, ...], limit: Duration | None = None) -> None:
    """Connect a socket, and wait for it. Cancelled, it goes on connecting, as a kernel's socket does. Raises OSError."""
    try:
        core.connect(address)
    except BlockingIOError:
        pass
    else:
        return
    where = f"connecting to {address[0]}:{address[1]}"
    await ready(net.loop, core, sc.POLLOUT, limit, where)
    core.check()
    number = core.getsockopt(sc.SOL_SOCKET, sc.SO_ERROR)
    assert isinstance(number, int)
    if number:
        raise OSError(number, f"Connect call failed {address}")


# -- sockets that are connected already -------------------------------------------------------------------------------------


def core_of(sock: Any) -> StreamSocket:
    """The socket of the stack inside `sock`. Raises TypeError for any other, since nothing is known of its stack."""
    core = getattr(sock, "core", sock)
    if not isinstance(core, StreamSocket):
        raise TypeError(f"a stream socket of the net was expected, got {sock!r}")
    return core


def take_over(net: Net, core: StreamSocket) -> tuple[TcpTransport, bytes, bool]:
    """A transport on the connection of a socket, which is closed by it; what was received and not read, and whether the peer has
    ended its side behind that. A connection that the peer has reset makes a transport that is lost as soon as it has a protocol,
    as in a kernel. Raises OSError, ENOTCONN."""
    transport = net.clients.take(None)
    end = core.stream
    try:
        if end is not None and end.ended and end.open:
            assert end.conn is not None
            data = end.fill(end.unread) if end.unread else b""
            transport.adopt(end.conn, True, end.error)
            core.close()
            return transport, data, False
        conn, data, eof = core.release()
    except BaseException:
        transport.abort()
        raise
    transport.adopt(conn, False, None)
    return transport, data, eof
