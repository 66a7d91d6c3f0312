"""A WebSocket opened: `connect_websocket`.

async with connect_websocket(net, "ws://10.0.0.1/chat", subprotocols=["v1.chat"]) as ws:
    await ws.send("hello")
    async for message in ws:
        ...

By an `HttpClient` in the place of `net` it goes where that one's requests go: through its proxy, with its trust, names and cookies;
and where it speaks HTTP/2 with the server, inside of the one connection (RFC 8441).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from secrets import randbits
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...errors import BrokenError, NetstackError, UsageError
from ...instant import SECOND, Duration, Instant, check_timeout
from ...runtime.waits import Waits, waits_here
from ...signatures import Rng, Stream, StreamStack
from ...tls.stack import Tls
from ..events import RawFields
from ..headers import Headers, HeadersLike
from ..serve.upgraded import Upgraded
from . import deflate, handshake
from .answer import HEAD, read_head
from .config import WsConfig
from .socket import WebSocket

if TYPE_CHECKING:
    from ..client.client import HttpClient

TIMEOUT = Duration(30 * SECOND)  # for all of the opening: a server that is there answers at once
_BODY = 4096  # of a refusal, to show


class WebSocketRefused(NetstackError):
    """The server answered, but not with a WebSocket: its `status`, its `headers`, and the beginning of its `body`."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        super().__init__(f"the server answered {status} and opened no WebSocket")
        self.status = status
        self.headers = headers
        self.body = body


class Chance:
    """The system's."""

    def getrandbits(self, k: int, /) -> int:
        return randbits(k)


class ClientWebSocket(WebSocket):
    """One that this side opened."""

    def __init__(self, waits: Waits, config: WsConfig) -> None:
        super().__init__(waits, config)
        self.headers = Headers()  # of the server's answer


class connect_websocket:
    """Open a WebSocket: `async with connect_websocket(…) as ws` closes it at the end, `ws = await connect_websocket(…)` leaves that
    to the caller.

    `stack` is any StreamStack, or an HttpClient. `wss:` stands on TLS: `stack` is a `Tls`, or is put under one that trusts whom the
    system trusts. `proxy` is one that takes CONNECT, "http://user:password@10.0.0.1:3128". `timeout` is for the whole opening,
    `rng` for the key. Left by an exception, the WebSocket is aborted.

    Raises WebSocketRefused, WireError for an answer that is none, UsageError, and what connecting raises.
    """

    def __init__(
        self,
        stack: StreamStack | HttpClient[Any],
        url: str,
        *,
        subprotocols: Sequence[str] = (),
        headers: HeadersLike = (),
        config: WsConfig = WsConfig(),  # noqa: B008 (frozen)
        timeout: Duration | None = TIMEOUT,
        proxy: str | None = None,
        rng: Rng | None = None,
    ) -> None:
        check_timeout(timeout)
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.username is not None:
            raise UsageError(f"{url!r} is not the URL of a WebSocket: ws://host/path or wss://host:port/path")
        if parts.fragment:
            raise UsageError("the URL of a WebSocket has no fragment (RFC 6455 3)")
        try:
            port = parts.port
        except ValueError as error:
            raise UsageError(f"{url!r}: {error}") from None
        secured = parts.scheme == "wss"
        self._client: HttpClient[Any] | None = None
        self._stack: Any = stack
        if not hasattr(stack, "connect_stream"):  # a client: who has a net loads none
            if proxy is not None:
                raise UsageError("an HttpClient has a proxy of its own")
            self._client = stack
        elif isinstance(stack, Tls):
            if not secured:
                raise UsageError("ws: has no TLS: write wss:, or give the stack below")
            if proxy is not None:
                raise UsageError("through a proxy TLS stands on what the proxy gives: use an HttpClient with its context")
        elif secured and proxy is None:
            self._stack = Tls(stack)
        self._secured = secured
        self._proxy = proxy
        self._host, self._port = parts.hostname, port or (443 if secured else 80)
        self._authority = parts.netloc
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._subprotocols = list(subprotocols)
        self._fields = handshake.check_fields(Headers(headers).raw())
        self._config = config
        self._timeout = timeout
        self._rng: Rng = rng or Chance()
        self._socket: ClientWebSocket | None = None

    def __await__(self) -> Generator[object, None, ClientWebSocket]:
        return self._open().__await__()

    async def __aenter__(self) -> ClientWebSocket:
        self._socket = await self._open()
        return self._socket

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._socket is not None
        if kind is None:
            await self._socket.close()
        else:
            self._socket.abort()

    async def _open(self) -> ClientWebSocket:
        waits = waits_here()
        until = None if self._timeout is None else Instant(waits.now() + self._timeout)
        if self._client is not None:
            return await self._by_client(self._client, waits)
        if self._proxy is not None:
            from ..client.client import HttpClient

            async with HttpClient(self._stack, proxy=self._proxy, protocols="1.1") as client:  # what is detached isn't its any more
                return await self._by_client(client, waits)
        stream = await self._stack.connect_stream(self._host, self._port, self._timeout)
        try:
            return await self._shake_hands(stream, waits, until)
        except BaseException:
            stream.abort()
            raise

    async def _by_client(self, client: HttpClient[Any], waits: Waits) -> ClientWebSocket:
        config = self._config
        bits = config.window_bits if config.compress else 0
        key, fields = handshake.request_fields(self._rng, self._subprotocols, deflate.offer(bits) if bits else "")
        said = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in (*fields, *self._fields)]
        url = f"{'https' if self._secured else 'http'}://{self._authority}{self._target}"
        response = await client.request(
            "GET", url, headers=said, redirects=0, decode=False, timeout=self._timeout, protocol="websocket"
        )
        head = response.head
        if not head.switched:
            body = b""
            async with response:
                async for piece in response:
                    body += piece
                    if len(body) >= _BODY:
                        break
            raise WebSocketRefused(head.status, response.headers, body[:_BODY])
        stream = response.detach()
        try:
            agreed = handshake.read_answer(head.fields, key if head.version < (2, 0) else None, self._subprotocols, bits)
        except BaseException:
            stream.abort()
            raise
        socket = ClientWebSocket(waits, config)
        socket.headers = response.headers
        socket._begin(stream, True, agreed[1], agreed[0])
        return socket

    async def _shake_hands(self, stream: Stream, waits: Waits, until: Instant | None) -> ClientWebSocket:
        config = self._config
        bits = config.window_bits if config.compress else 0
        key, fields = handshake.request_fields(self._rng, self._subprotocols, deflate.offer(bits) if bits else "")
        await stream.send_all(self._request(fields), _left(waits, until))
        buffer = b""
        while (head := read_head(buffer)) is None:
            data = await stream.receive(HEAD, _left(waits, until))
            if not data:
                raise BrokenError("the server ended the connection before its answer")
            buffer += data
        if head.status != 101:
            body = buffer[head.end :]
            while len(body) < _BODY and head.length is not None and len(body) < head.length:
                data = await stream.receive(_BODY, _left(waits, until))
                if not data:
                    break
                body += data
            raise WebSocketRefused(head.status, Headers.from_raw(head.fields), body[:_BODY])
        subprotocol, agreed = handshake.read_answer(head.fields, key, self._subprotocols, bits)
        socket = ClientWebSocket(waits, config)
        socket.headers = Headers.from_raw(head.fields)
        rest = buffer[head.end :]
        socket._begin(Upgraded(stream, rest) if rest else stream, True, agreed, subprotocol)
        return socket

    def _request(self, fields: RawFields) -> bytes:
        try:
            lines = [f"GET {self._target} HTTP/1.1", f"Host: {self._authority}"]
            head = "\r\n".join(lines).encode("ascii")
        except UnicodeEncodeError:
            raise UsageError("the URL has characters beyond ASCII: escape them (RFC 3986)") from None
        for name, value in (*fields, *self._fields):
            head += b"\r\n" + name + b": " + value
        if head.count(b"\r\n") != 1 + len(fields) + len(self._fields) or b"\0" in head or head.count(b"\n") != head.count(b"\r\n"):
            raise UsageError("a header, or the URL, has a line break or NUL in it")
        return head + b"\r\n\r\n"


def _left(waits: Waits, until: Instant | None) -> Duration | None:
    return None if until is None else Duration(max(until - waits.now(), 0))
