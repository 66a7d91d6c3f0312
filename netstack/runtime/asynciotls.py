"""asyncio's own `ssl=`: the standard library's SSLProtocol between a transport of ours and the program's protocol.

    program's protocol <-> SSLProtocol's transport <-> SSLProtocol <-> TcpTransport

So whatever a program knows of TLS on asyncio holds here, because it is the same code: when `connection_made` comes (after the
handshake), what `get_extra_info` tells (`ssl_object`, `sslcontext`, `peercert`, `cipher`, `compression`), that there is no
`write_eof`, that closing waits `ssl_shutdown_timeout` for the peer's close_notify. Streams of our own have a TLS of our own: tls/.

What it needs of a transport and doesn't find among asyncio's public methods: `_force_close` and `_start_tls_compatible`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypedDict

from ..errors import UsageError

if TYPE_CHECKING:
    from ssl import SSLContext

    from .tlsprotocol import TlsProtocol
    from .transports import TcpTransport


class ServerTls(TypedDict, total=False):
    """What asyncio's `create_server` takes for TLS; times in seconds."""

    ssl: SSLContext | None
    ssl_handshake_timeout: float | None
    ssl_shutdown_timeout: float | None


class ClientTls(TypedDict, total=False):
    """What asyncio's `create_connection` takes; `ssl=True` is `ssl.create_default_context()`."""

    ssl: SSLContext | bool | None
    server_hostname: str | None
    ssl_handshake_timeout: float | None
    ssl_shutdown_timeout: float | None


class UpgradeTls(TypedDict, total=False):
    """What asyncio's `start_tls` takes."""

    server_side: bool
    server_hostname: str | None
    ssl_handshake_timeout: float | None
    ssl_shutdown_timeout: float | None


class Terms:
    """What TLS a connection is to speak: the arguments that asyncio takes beside `ssl`, checked.

    `context` may be True for a client: then it is `ssl.create_default_context()`.
    """

    __slots__ = ("context", "handshake_timeout", "server_hostname", "server_side", "shutdown_timeout")

    def __init__(
        self,
        context: SSLContext | bool,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> None:
        if server_side and isinstance(context, bool):
            raise TypeError("ssl argument must be an SSLContext or None")
        for name, timeout in (("handshake", ssl_handshake_timeout), ("shutdown", ssl_shutdown_timeout)):
            if timeout is not None and timeout <= 0:
                raise UsageError(f"ssl_{name}_timeout should be a positive number, got {timeout}")
        self.context = None if isinstance(context, bool) else context  # what SSLProtocol makes of None is asyncio's default
        self.server_side = server_side
        self.server_hostname = server_hostname
        self.handshake_timeout = ssl_handshake_timeout
        self.shutdown_timeout = ssl_shutdown_timeout

    def protocol(
        self, loop: asyncio.AbstractEventLoop, user: asyncio.BaseProtocol, waiter: asyncio.Future[None] | None, tell: bool = True
    ) -> TlsProtocol:
        """`tell` it to call `user.connection_made` after the handshake; `waiter` is done then too, or has the error."""
        from .tlsprotocol import TlsProtocol  # now that somebody speaks TLS

        return TlsProtocol(
            loop,
            user,  # type: ignore[arg-type, unused-ignore]  # a BaseProtocol: which of the two it is, it looks itself
            self.context,  # type: ignore[arg-type, unused-ignore]
            waiter,  # type: ignore[arg-type, unused-ignore]
            self.server_side,
            self.server_hostname,
            call_connection_made=tell,
            ssl_handshake_timeout=self.handshake_timeout,  # type: ignore[arg-type, unused-ignore]
            ssl_shutdown_timeout=self.shutdown_timeout,
        )


def client_terms(
    ssl: SSLContext | bool | None = None,
    host: str | None = None,
    *,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> Terms | None:
    """From the arguments of `create_connection`; None without TLS. The certificate must be one of `host`, unless told otherwise."""
    if not ssl:
        for name, said in (
            ("server_hostname", server_hostname),
            ("ssl_handshake_timeout", ssl_handshake_timeout),
            ("ssl_shutdown_timeout", ssl_shutdown_timeout),
        ):
            if said is not None:
                raise UsageError(f"{name} is only meaningful with ssl")
        return None
    if server_hostname is None:
        if not host:
            raise UsageError("You must set server_hostname when using ssl without a host")
        server_hostname = host
    return Terms(
        ssl,
        server_hostname=server_hostname,
        ssl_handshake_timeout=ssl_handshake_timeout,
        ssl_shutdown_timeout=ssl_shutdown_timeout,
    )


def server_terms(
    ssl: SSLContext | None = None, *, ssl_handshake_timeout: float | None = None, ssl_shutdown_timeout: float | None = None
) -> Terms | None:
    """From the arguments of `create_server`; None without TLS."""
    if isinstance(ssl, bool):
        raise TypeError("ssl argument must be an SSLContext or None")
    if ssl is None:
        for name, said in (("ssl_handshake_timeout", ssl_handshake_timeout), ("ssl_shutdown_timeout", ssl_shutdown_timeout)):
            if said is not None:
                raise UsageError(f"{name} is only meaningful with ssl")
        return None
    return Terms(ssl, server_side=True, ssl_handshake_timeout=ssl_handshake_timeout, ssl_shutdown_timeout=ssl_shutdown_timeout)


class Securing(asyncio.Protocol):
    """The protocol of a transport until its connection exists, which may never be: then SSLProtocol takes its place.

    So a connection that never comes costs no TLS, and leaves no transport of SSLProtocol that nobody closes.
    """

    __slots__ = ("_loop", "_terms", "_user", "_waiter", "transport")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, user: asyncio.BaseProtocol, terms: Terms, waiter: asyncio.Future[None] | None = None
    ) -> None:
        """`waiter` is done when the handshake is, with the error if it failed."""
        self._loop = loop
        self._user = user
        self._terms = terms
        self._waiter = waiter
        self.transport: asyncio.Transport | None = None  # the program's, once there is one
        if waiter is not None:
            waiter.add_done_callback(_heard)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        waiter = self._waiter
        try:
            protocol = self._terms.protocol(self._loop, self._user, waiter)
        except Exception as error:  # of the context: no host name to check, the wrong side
            if waiter is None:
                raise
            if not waiter.done():
                waiter.set_exception(error)
            self._loop.call_soon(transport.abort)  # type: ignore[attr-defined]  # from the loop: `connected` is not told yet
            return
        self.transport = app_transport(protocol)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)  # type: ignore[arg-type, unused-ignore]  # ours


def _heard(waiter: asyncio.Future[None]) -> None:
    """Who waited may have been cancelled in the same turn: an error is not to be missed by anybody then."""
    if not waiter.cancelled():
        waiter.exception()


def app_transport(protocol: TlsProtocol) -> asyncio.Transport:
    """What the program writes to."""
    transport: Any = protocol._get_app_transport()  # type: ignore[attr-defined, unused-ignore]
    return transport  # type: ignore[no-any-return]


async def start_tls(
    loop: asyncio.AbstractEventLoop, transport: asyncio.BaseTransport, protocol: asyncio.BaseProtocol, terms: Terms
) -> asyncio.Transport:
    """Go on in TLS on a connection that exists: what `loop.start_tls` does. The transport to use from now on.

    `protocol.connection_made` isn't called again. Where the handshake fails or the call is cancelled, the connection is closed.
    Raises ssl.SSLError, ConnectionError, TypeError for a transport that can't.
    """
    from ssl import SSLContext

    if not isinstance(terms.context, SSLContext):
        raise TypeError(f"sslcontext is expected to be an instance of ssl.SSLContext, got {terms.context!r}")
    if not getattr(transport, "_start_tls_compatible", False):
        raise TypeError(f"transport {transport!r} is not supported by start_tls()")
    below: Any = transport
    waiter: asyncio.Future[None] = loop.create_future()
    waiter.add_done_callback(_heard)
    tls = terms.protocol(loop, protocol, waiter, tell=False)
    below.pause_reading()  # nothing may arrive before connection_made, which comes from the loop, as everywhere
    below.set_protocol(tls)
    if getattr(below, "_protocol_paused", False):
        tls.pause_writing()  # the protocol before it was told: this one would not expect to be resumed
    made = loop.call_soon(tls.connection_made, below)
    resumed = loop.call_soon(below.resume_reading)
    try:
        await waiter
    except BaseException:
        below.close()
        made.cancel()
        resumed.cancel()
        raise
    return app_transport(tls)


def leave(transport: TcpTransport) -> None:
    """Nobody waits for the peer any more. A transport under TLS that its program has closed only waits for a close_notify: what
    it holds goes out, and then its end. Any other is dropped.

    It is not closed: what came afterwards, and session tickets do, would be answered by a reset, which overtakes everything.
    """
    tls: Any = transport.get_protocol()
    if hasattr(tls, "_get_app_transport") and _says_goodbye(tls):  # asyncio's SSLProtocol
        rest = tls._outgoing.read()  # type: ignore[attr-defined, unused-ignore]
        if rest:
            transport.write(rest)
        transport.write_eof()
    else:
        transport.reset()


def _says_goodbye(tls: Any) -> bool:
    """Was it closed after its handshake?"""
    return bool(tls._state.name == "SHUTDOWN")
