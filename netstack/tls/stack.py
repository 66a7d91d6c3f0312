"""`Tls`: a StreamStack over a StreamStack."""

from __future__ import annotations

import logging
import ssl
from typing import Generic, TypeVar

from ..errors import BrokenError, ClosedError, TimedOut, UsageError
from ..instant import Duration
from ..runtime.waits import Waits, waits_here
from ..signatures import Stream, StreamHandler, StreamListener, StreamStack
from .config import TlsConfig
from .engine import Engine
from .errors import CertificateError, TlsError
from .mib import TlsMib
from .stream import PULL, TlsStream

S_co = TypeVar("S_co", bound=StreamStack, covariant=True)

log = logging.getLogger("netstack.tls")


class Tls(Generic[S_co]):
    """Streams of `stack` under TLS.

    `context` is for the side that it was made for (`ssl.PROTOCOL_TLS_CLIENT`, `ssl.PROTOCOL_TLS_SERVER`), or for both; `client` and
    `server` say it themselves. Without one for clients it is `ssl.create_default_context()`. `waits` is the runtime's clock and
    events; what runs when the first stream is made is found out.
    """

    def __init__(
        self,
        stack: S_co,
        context: ssl.SSLContext | None = None,
        *,
        client: ssl.SSLContext | None = None,
        server: ssl.SSLContext | None = None,
        config: TlsConfig = TlsConfig(),  # noqa: B008 (frozen)
        waits: Waits | None = None,
    ) -> None:
        if context is not None:
            if context.protocol != ssl.PROTOCOL_TLS_SERVER:
                client = client or context
            if context.protocol != ssl.PROTOCOL_TLS_CLIENT:
                server = server or context
        if client is not None and client.protocol == ssl.PROTOCOL_TLS_SERVER:
            raise UsageError("client= needs a context for clients: ssl.create_default_context() makes one")
        if server is not None and server.protocol == ssl.PROTOCOL_TLS_CLIENT:
            raise UsageError("server= needs a context for servers: ssl.create_default_context(ssl.Purpose.CLIENT_AUTH) makes one")
        self._stack = stack
        self._client = client
        self._server = server
        self._config = config
        self._waits = waits
        self._shaking: dict[int, Stream] = {}  # accepted, and their handshakes under way, the oldest first
        self.mib = TlsMib()

    @property
    def stack(self) -> S_co:
        return self._stack

    # -- the StreamStack ------------------------------------------------------------------------------------------------------

    async def connect_stream(
        self, host: str, port: int, timeout: Duration | None = None, *, server_hostname: str | None = None
    ) -> TlsStream:
        """Connect, and shake hands, both within `timeout`. The certificate must be one of `host`, or of `server_hostname`.

        Raises TlsError, CertificateError, TimedOut, and what the stack below raises.
        """
        waits = self._waits_here()
        end = None if timeout is None else waits.now() + timeout
        lower = await self._stack.connect_stream(host, port, timeout)
        left = None if end is None else Duration(max(end - waits.now(), 0))
        return await self.wrap_client(lower, server_hostname or host, left)

    async def serve_streams(self, handler: StreamHandler, port: int, host: str = "", backlog: int = 128) -> StreamListener:
        """Run `handler(stream)` in a task of its own for each connection whose handshake succeeds; the stream is closed when it
        returns."""
        if self._server is None:
            raise UsageError("serving needs a context with a certificate: Tls(stack, server=context)")

        async def secured(lower: Stream) -> None:
            try:
                stream = await self.wrap_server(lower)
            except (OSError, ClosedError) as error:
                log.debug("no TLS with %s:%d: %s", *lower.remote_address, error)
                return
            try:
                await handler(stream)
            except BaseException:
                stream.abort()
                raise
            await stream.aclose()

        return await self._stack.serve_streams(secured, port, host, backlog)

    # -- a connection that is there already -----------------------------------------------------------------------------------

    async def wrap_client(self, lower: Stream, server_hostname: str | None, timeout: Duration | None = None) -> TlsStream:
        """Go on in TLS on a connection, as its client: as with STARTTLS. When that fails, the connection is closed.

        `server_hostname` may be None where the context checks no names. Raises as `connect_stream` does.
        """
        try:
            context = self._client
            if context is None:
                context = self._client = ssl.create_default_context()
            if server_hostname is not None:
                server_hostname = server_hostname.rstrip(".")  # RFC 6066 3: without the root
            if not server_hostname and context.check_hostname:
                raise UsageError("whose certificate is it to be? Say server_hostname, or use a context with check_hostname=False")
            try:
                engine = Engine(
                    context, server_side=False, server_hostname=server_hostname or None, truncation=self._config.truncation
                )
            except ValueError as error:  # also of IDNA
                raise UsageError(f"{server_hostname!r} is no name of a server: {error}") from error
            return await self._shake(lower, engine, self._within(timeout))
        except TlsError:
            raise
        except BaseException:
            lower.abort()
            raise

    async def wrap_server(self, lower: Stream, timeout: Duration | None = None) -> TlsStream:
        """Go on in TLS on a connection, as its server. When that fails, the connection is closed. Raises as `connect_stream`."""
        if self._server is None:
            raise UsageError("a server needs a context with a certificate: Tls(stack, server=context)")
        waits = self._waits_here()
        timeout = self._within(timeout)
        end = waits.now() + timeout
        key = id(lower)
        try:
            try:
                first = await lower.receive(PULL, timeout)  # who says nothing costs a connection, and no more
            except TimedOut:
                self.mib.Silent += 1
                raise
            if not first:
                self.mib.Silent += 1
                raise BrokenError("the peer has left without a word")
            if len(self._shaking) >= self._config.handshakes:
                self.mib.HandshakesDropped += 1
                self._shaking.pop(next(iter(self._shaking))).abort()
            self._shaking[key] = lower
            engine = Engine(self._server, server_side=True, truncation=self._config.truncation)
            engine.feed(first)
            return await self._shake(lower, engine, Duration(max(end - waits.now(), 0)))
        except TlsError:
            raise
        except BaseException:
            lower.abort()
            raise
        finally:
            if self._shaking.get(key) is lower:
                del self._shaking[key]

    async def _shake(self, lower: Stream, engine: Engine, timeout: Duration) -> TlsStream:
        """The handshake, and its counters. After a TlsError `lower` is closed in order: an alert may be in it."""
        mib = self.mib
        stream = TlsStream(lower, engine, self._waits_here(), mib)
        try:
            await stream.shake(timeout)
        except CertificateError:
            mib.HandshakeCertificates += 1
            await lower.aclose()
            raise
        except TlsError:
            mib.HandshakeErrors += 1
            await lower.aclose()
            raise
        except TimedOut:
            mib.HandshakeTimeouts += 1
            raise
        except (OSError, ClosedError):
            if not engine.server_side or id(lower) in self._shaking:
                mib.HandshakesLost += 1
            raise
        mib.Handshakes += 1
        return stream

    def _within(self, timeout: Duration | None) -> Duration:
        limit = self._config.handshake_timeout
        return limit if timeout is None or timeout > limit else timeout

    def _waits_here(self) -> Waits:
        if self._waits is None:
            self._waits = waits_here()
        return self._waits
