"""How a server comes to listen, for asyncio's programs: names, several addresses, sockets that are bound already.

`Net.create_server` and the event loop's are this function. It does what asyncio's does, argument by argument.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ..cores import StreamUser
from ..sockets import const as sc
from ..sockets.end import StreamEnd
from ..sockets.stream import StreamSocket
from ..tcp.connection import Connection
from .asynciotls import Securing, Terms, server_terms
from .connecting import Factory, bind_error, core_of
from .face import BACKLOG
from .names import Resolve, resolved
from .servers import Server

if TYPE_CHECKING:
    import ssl as ssl_module

    from .net import Net


async def create_server(
    net: Net,
    resolve: Resolve,
    protocol_factory: Factory,
    host: str | Iterable[str] | None = None,
    port: int | str | None = None,
    *,
    family: int = socket.AF_UNSPEC,
    flags: int = socket.AI_PASSIVE,
    sock: Any = None,
    backlog: int = BACKLOG,
    ssl: ssl_module.SSLContext | None = None,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
    keep_alive: bool | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    start_serving: bool = True,
) -> Server:
    """As asyncio's; `sock` is a socket of the stack."""
    terms = server_terms(ssl, ssl_handshake_timeout=ssl_handshake_timeout, ssl_shutdown_timeout=ssl_shutdown_timeout)
    shown: tuple[Any, ...] = ()
    if host is not None or port is not None:
        if sock is not None:
            raise ValueError("host/port and sock can not be specified at the same time")
        hosts = [None] if host == "" else [host] if isinstance(host, str) or not isinstance(host, Iterable) else list(host)
        found = [await resolved(resolve, (name, port), family, socket.SOCK_STREAM, 0, flags) for name in hosts]
        places = list(dict.fromkeys((info[0], info[4]) for info in itertools.chain.from_iterable(found)))
        options = [(sc.SOL_SOCKET, sc.SO_REUSEADDR)] if reuse_address or reuse_address is None else []
        options += [(sc.SOL_SOCKET, sc.SO_REUSEPORT)] if reuse_port else []
        options += [(sc.SOL_SOCKET, sc.SO_KEEPALIVE)] if keep_alive else []
        sockets = bound(net, places, options)
    elif sock is None:
        raise ValueError("Neither host/port nor sock were specified")
    elif sock.type != socket.SOCK_STREAM:
        raise ValueError(f"A Stream Socket was expected, got {sock!r}")
    else:
        sockets = [core_of(sock)]
        shown = (sock,) if sock is not sockets[0] else ()
    server = net.new_server()
    accept, late = accepting(net, server, protocol_factory, terms), receiving(net, server, protocol_factory, terms)
    server.bind(sockets, accept, backlog, late, shown)
    if start_serving:
        try:
            server.serve()
        except BaseException:
            server.close()
            raise
        await asyncio.sleep(0)
    return server


def bound(net: Net, places: Iterable[tuple[int, tuple[Any, ...]]], options: Iterable[tuple[int, int]]) -> list[StreamSocket]:
    """A socket on each of these addresses, or on none. Raises OSError with the address in it."""
    sockets: list[StreamSocket] = []
    try:
        for family, address in places:
            core = net.sockets.stream(family)
            sockets.append(core)
            for level, option in options:
                core.setsockopt(level, option, 1)
            try:
                core.bind(address)
            except OSError as error:
                raise bind_error(error, address) from None
    except BaseException:
        for core in sockets:
            core.close()
        raise
    return sockets


def accepting(
    net: Net, server: Server, protocol_factory: Factory, terms: Terms | None
) -> Callable[[Connection], StreamUser | None]:
    """Who the user of a new connection is: a transport with a protocol of its own."""
    loop, keeper = net.loop, server.keeper

    def accept(conn: Connection) -> StreamUser | None:
        try:
            protocol = protocol_factory()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # the program's fault costs this connection, as in asyncio
            loop.call_exception_handler({"message": "protocol_factory() failed for a connection", "exception": error})
            return None
        transport = keeper.take(protocol if terms is None else Securing(loop, protocol, terms))
        transport.bind(conn)
        return transport

    return accept


def receiving(net: Net, server: Server, protocol_factory: Factory, terms: Terms | None) -> Callable[[StreamEnd], None]:
    """The same for those who have waited in the queue of a socket."""
    loop, keeper = net.loop, server.keeper

    def receive(end: StreamEnd) -> None:
        assert end.conn is not None
        data = end.fill(end.unread) if end.unread else b""
        transport = keeper.take(None)
        transport.adopt(end.conn, end.ended, end.error)
        try:
            protocol = protocol_factory()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            transport.reset()
            loop.call_exception_handler({"message": "protocol_factory() failed for a connection", "exception": error})
            return
        transport.begin(protocol if terms is None else Securing(loop, protocol, terms), data, bool(end.eof_seen))

    return receive
