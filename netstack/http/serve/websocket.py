"""WebSockets served: in two shapes of application, over the upgrade of HTTP/1.1 (RFC 6455) and extended CONNECT (RFC 8441) alike.

ASGI (`Asgi` calls `serve_asgi` for whoever asks for one), and handlers of ours:

    async def echo(ws: ServerWebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    server = HttpServer(net, handler, websocket=echo)
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from ...errors import BrokenError, UsageError
from ...runtime.waits import Event, Spawned, waits_here
from ..events import RawFields
from ..headers import Headers, HeadersLike
from ..ws import deflate, handshake
from ..ws.config import WsConfig
from ..ws.errors import ABNORMAL, INTERNAL_ERROR, NORMAL, HandshakeRefused, WebSocketClosed
from ..ws.socket import WebSocket
from .application import answer
from .asgi import App, Message, Scope
from .exchange import Application, Exchange
from .message import HttpError, Request, RequestBody, Response

log = logging.getLogger("netstack.http")

EXTENSIONS: dict[str, dict[str, object]] = {"websocket.http.response": {}}


class ServerWebSocket(WebSocket):
    """One that a client asks for. `accept` opens it, and so does the first `send` or `receive`; `raise HttpError(…)` before that
    refuses. Browsers let any page ask, with the user's cookies: who trusts those compares `request.headers["origin"]` first
    (RFC 6455 10.2)."""

    def __init__(self, exchange: Exchange, config: WsConfig) -> None:
        """Raises HandshakeRefused."""
        self._asked = handshake.read_request(exchange.head)
        super().__init__(waits_here(), config, exchange.mib)
        self._exchange = exchange
        self.request = Request(exchange.head, RequestBody(exchange.receive), exchange.remote_address, exchange.local_address)

    @property
    def subprotocols(self) -> tuple[str, ...]:
        """What the client would speak, the dearest first."""
        return self._asked.subprotocols

    @property
    def is_open(self) -> bool:
        """It was accepted."""
        return self._engine is not None

    async def accept(self, subprotocol: str | None = None, headers: HeadersLike = ()) -> None:
        """Raises UsageError for a subprotocol that was not offered and for headers that are the handshake's own."""
        await self._accept(subprotocol, Headers(headers).raw())

    async def _accept(self, subprotocol: str | None = None, fields: RawFields = ()) -> None:
        if self.is_open:
            raise UsageError("a WebSocket is accepted once")
        agreed, words = None, ""
        if self.config.compress:
            agreed, words = deflate.accept(self._asked.extensions, self.config.window_bits) or (None, "")
        stream = await self._exchange.upgrade(handshake.answer_fields(self._asked, subprotocol, words, fields))
        self._begin(stream, False, agreed, subprotocol)
        if hasattr(stream, "on_closing"):  # the server says so when it closes
            stream.on_closing = self.going_away

    async def send(self, message: str | bytes, final: bool = True) -> None:
        if not self.is_open:
            await self._accept()
        await super().send(message, final)

    async def receive(self) -> str | bytes:
        if not self.is_open:
            await self._accept()
        return await super().receive()


WebSocketHandler: TypeAlias = Callable[[ServerWebSocket], Awaitable[None]]


def websocket_application(
    handler: WebSocketHandler,
    otherwise: Application | None = None,
    config: WsConfig = WsConfig(),  # noqa: B008 (frozen)
) -> Application:
    """`handler` for every WebSocket, `otherwise` for other requests: without it they are refused, by 426."""

    async def application(exchange: Exchange) -> None:
        if not handshake.is_websocket(exchange.head):
            if otherwise is not None:
                await otherwise(exchange)
            else:
                await _refuse(exchange, handshake.wanted(exchange.head, "A WebSocket is served here."))
            return
        try:
            ws = ServerWebSocket(exchange, config)
        except HandshakeRefused as refused:
            await _refuse(exchange, refused)
            return
        refused_by_handler = await _run(ws, lambda: handler(ws))
        if not ws.is_open and not refused_by_handler:
            await answer(exchange, Response.text("403 The WebSocket was not accepted.\n", 403))

    return application


async def serve_asgi(exchange: Exchange, app: App, scope: Scope, config: WsConfig) -> None:
    """One `websocket` of ASGI (specification 2.5), `scope` being what an `http` one would have."""
    try:
        ws = ServerWebSocket(exchange, config)
    except HandshakeRefused as refused:
        await _refuse(exchange, refused)
        return
    del scope["method"]
    scope["type"] = "websocket"
    scope["scheme"] = "wss" if exchange.scheme == "https" else "ws"
    scope["subprotocols"] = list(ws.subprotocols)
    scope["extensions"] = EXTENSIONS
    call = _Call(exchange, ws)
    try:
        await _run(ws, lambda: app(scope, call.receive, call.send))
    finally:
        await call.look_away()


async def _refuse(exchange: Exchange, refused: HandshakeRefused) -> None:
    exchange.mib.WsRefused += 1
    log.info("refused %s:%d: %d %s", *exchange.remote_address, refused.status, refused.reason)
    text = refused.reason.encode() + b"\n"
    await exchange.start(refused.status, ((b"content-type", b"text/plain; charset=utf-8"), *refused.fields), len(text))
    await exchange.finish(data=text)


async def _run(ws: ServerWebSocket, work: Callable[[], Awaitable[None]]) -> bool:
    """Until the program is through with it, and the WebSocket closed. An error before it was accepted is the session's, to be
    answered 500; later ones are told to the client as 1011. That a send failed since the client is gone is no error. True where an
    HttpError was the answer."""
    try:
        await work()
    except HttpError as error:
        if ws.is_open:
            await _fail(ws, error)
        else:
            text = f"{error.status} {error.reason}\n"
            await answer(ws._exchange, Response.text(text, error.status, headers=error.headers))
            return True
    except Exception as error:
        if not ws.is_open:
            raise
        if isinstance(error, WebSocketClosed) and ws.closed is not None:
            log.debug("%s", error)
        else:
            await _fail(ws, error)
    except BaseException:
        ws.abort()
        raise
    finally:
        ws._exchange.mib.WsRefused += not ws.is_open
    await ws.close(NORMAL)
    return False


async def _fail(ws: ServerWebSocket, error: Exception) -> None:
    log.error("the WebSocket of %s failed", ws.request.target, exc_info=error)
    await ws.close(INTERNAL_ERROR)


class _Call:
    """The `receive` and `send` of one WebSocket of ASGI."""

    __slots__ = ("_exchange", "_ws", "_told", "_refusing", "_refused", "_closed", "_decided", "_watcher")

    def __init__(self, exchange: Exchange, ws: ServerWebSocket) -> None:
        self._exchange = exchange
        self._ws = ws
        self._told = False  # websocket.connect was received
        self._refusing = self._refused = False  # a response of HTTP was begun, is whole
        self._closed = False  # the application closed it
        self._decided: Event | None = None  # somebody receives before it was: accepted, refused, or the client has gone
        self._watcher: Spawned | None = None

    async def receive(self) -> Message:
        if not self._told:
            self._told = True
            return {"type": "websocket.connect"}
        ws = self._ws
        if not ws.is_open and not self._refused:
            await self._decision()
        if not ws.is_open:
            return {"type": "websocket.disconnect", "code": ABNORMAL, "reason": ""}
        try:
            message = await ws.receive()
        except WebSocketClosed as error:
            return {"type": "websocket.disconnect", "code": error.code, "reason": error.reason}
        if isinstance(message, str):
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    async def _decision(self) -> None:
        """The client is watched by a task that can be called off: who accepts meanwhile needs the stream."""
        if self._decided is None:
            waits = waits_here()
            self._decided = waits.event()
            self._watcher = waits.spawn(self._watch)
        await self._decided.wait()

    async def _watch(self) -> None:
        await self._exchange.gone()
        if self._decided is not None:
            self._decided.set()

    async def look_away(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.cancel()
            await watcher.join()

    async def send(self, message: Message) -> None:
        if self._watcher is None:
            await self._send(message)
            return
        await self.look_away()
        try:
            await self._send(message)
        finally:
            if self._decided is not None and (self._ws.is_open or self._refused):
                self._decided.set()

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if self._refused or self._closed:
            raise UsageError(f"{kind!r} can't follow: the application has closed this WebSocket")
        if kind == "websocket.send" and self._ws.is_open:
            text, data = message.get("text"), message.get("bytes")
            if text is not None and data is not None:
                raise UsageError("websocket.send has either text or bytes")
            data = data if text is None else text
            if data is None:
                raise UsageError("websocket.send has either text or bytes")
            await self._ws.send(data)
        elif kind == "websocket.accept" and not self._refusing:
            fields = tuple((bytes(name), bytes(value)) for name, value in message.get("headers", ()))
            await self._ws._accept(message.get("subprotocol"), fields)
        elif kind == "websocket.close" and not self._refusing:
            await self._close(message)
        elif kind == "websocket.http.response.start" and not self._ws.is_open and not self._refusing:
            self._refusing = True
            await self._exchange.start(message["status"], tuple(message.get("headers", ())))
        elif kind == "websocket.http.response.body" and self._refusing:
            body = message.get("body", b"")
            if message.get("more_body", False):
                await (self._exchange.send(body) if body else self._exchange.flush())
            else:
                self._refused = True
                await self._exchange.finish((), body)
        else:
            raise UsageError(f"an application can't send {kind!r} here, to a WebSocket")

    async def _close(self, message: Message) -> None:
        if self._ws.is_open:
            if self._ws.closed is not None:
                raise BrokenError("the client has closed this WebSocket")
            self._closed = True
            await self._ws.close(message.get("code") or NORMAL, message.get("reason") or "")
        else:
            self._refused = True
            await self._exchange.start(403, (), 0)
            await self._exchange.finish()
