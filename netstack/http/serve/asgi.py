"""ASGI 3 applications (https://asgi.readthedocs.io): http and lifespan here, websocket in websocket.py.

    server = HttpServer(net, application=Asgi(app))

Version 2.5 of the http specification, with the extensions http.response.trailers, http.response.pathsend and
http.response.early_hint. `send` raises OSError when the client is gone.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, TypeAlias

from ...errors import NetstackError, UsageError
from ...runtime.waits import Event, Spawned, waits_here
from ..target import split_target, unescape
from .exchange import Exchange

if TYPE_CHECKING:
    from ..ws.config import WsConfig

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

VERSIONS = {"version": "3.0", "spec_version": "2.5"}
LIFESPAN_VERSIONS = {"version": "3.0", "spec_version": "2.0"}
EXTENSIONS: dict[str, dict[str, object]] = {
    "http.response.trailers": {},
    "http.response.pathsend": {},
    "http.response.early_hint": {},
}
HTTP_VERSIONS = {(1, 0): "1.0", (1, 1): "1.1", (2, 0): "2"}

log = logging.getLogger("netstack.http")


class Asgi:
    """`app` as an application. `root_path` is where it is mounted. `lifespan`: "auto" asks and goes on without where the app has
    none, "on" insists, "off" doesn't ask. `websocket`: the bounds of its WebSockets, for which wsproto must be installed."""

    def __init__(self, app: App, *, root_path: str = "", lifespan: str = "auto", websocket: WsConfig | None = None) -> None:
        if lifespan not in ("auto", "on", "off"):
            raise UsageError(f"lifespan={lifespan!r}: it is auto, on or off")
        self.app = app
        self.root_path = root_path.rstrip("/")
        self.state: dict[str, Any] = {}
        self.websocket = websocket
        self._lifespan = None if lifespan == "off" else _Lifespan(app, self.state, insists=lifespan == "on")

    async def startup(self) -> None:
        if self._lifespan is not None:
            await self._lifespan.startup()

    async def shutdown(self) -> None:
        if self._lifespan is not None:
            await self._lifespan.shutdown()

    async def __call__(self, exchange: Exchange) -> None:
        head = exchange.head
        path, _, query = head.target.partition("?")
        if path[0] != "/":
            _, path, query = split_target(head.target)
        root_path = self.root_path
        scope: Scope = {
            "type": "http",
            "asgi": VERSIONS,
            "http_version": HTTP_VERSIONS[head.version],
            "server": exchange.local_address,
            "client": exchange.remote_address,
            "scheme": exchange.scheme,
            "method": head.method,
            "root_path": root_path,
            "path": root_path + (unescape(path) if "%" in path else path),
            "raw_path": (root_path + path).encode("ascii"),
            "query_string": query.encode("ascii"),
            "headers": list(head.fields),
            "state": self.state.copy(),
            "extensions": EXTENSIONS,
        }
        if head.upgrade and await self._websocket(exchange, scope):
            return
        call = _Call(exchange)
        await self.app(scope, call.receive, call.send)

    async def _websocket(self, exchange: Exchange, scope: Scope) -> bool:
        """Was it one? Without wsproto it is a request as others: who serves may leave out an Upgrade (RFC 9110 7.8)."""
        from ..ws.handshake import is_websocket

        if not is_websocket(exchange.head):
            return False
        try:
            from ..ws.config import WsConfig
            from .websocket import serve_asgi
        except ImportError as error:
            log.warning("a WebSocket was asked for and can't be served: %s (pip install netstack[websocket])", error)
            return False
        await serve_asgi(exchange, self.app, scope, self.websocket or WsConfig())
        return True


class _Call:
    """The `receive` and `send` of one request."""

    __slots__ = ("_exchange", "_asked", "_trailers", "_wants_trailers")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._asked = False  # the whole body was handed on
        self._trailers: list[tuple[bytes, bytes]] = []
        self._wants_trailers = False

    async def receive(self) -> Message:
        if self._asked:
            await self._exchange.gone()
            return {"type": "http.disconnect"}
        try:
            piece = await self._exchange.receive()
        except OSError:  # BrokenError among them: the client is gone, or what it sends can't be read
            self._asked = True
            return {"type": "http.disconnect"}
        if not piece:
            self._asked = True
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def send(self, message: Message) -> None:
        kind = message["type"]
        exchange = self._exchange
        if kind == "http.response.body":
            data = message.get("body", b"")
            if message.get("more_body", False):
                await (exchange.send(data) if data else exchange.flush())
            elif self._wants_trailers:
                await exchange.send(data)
            else:
                await exchange.finish((), data)
        elif kind == "http.response.start":
            self._wants_trailers = message.get("trailers", False)
            await exchange.start(message["status"], message.get("headers", ()))
        elif kind == "http.response.trailers":
            self._trailers += message.get("headers", ())
            if not message.get("more_trailers", False):
                await exchange.finish(tuple(self._trailers))
        elif kind == "http.response.pathsend":
            await self._send_path(message["path"])
        elif kind == "http.response.early_hint":
            await exchange.interim(103, tuple((b"link", bytes(link)) for link in message.get("links", ())))
        else:
            raise UsageError(f"an application can't send {kind!r} in answer to a request")

    async def _send_path(self, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            await self._exchange.send_file(descriptor, 0, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)
        await self._exchange.finish()


class LifespanError(NetstackError):
    """The application could not start."""


class _Lifespan:
    """One task of the application's, from before the first request until after the last."""

    def __init__(self, app: App, state: dict[str, Any], insists: bool) -> None:
        self._app = app
        self._state = state
        self._insists = insists
        self._messages: list[Message] = []
        self._told: Event | None = None  # something new in `_messages`
        self._answered: Event | None = None
        self._started = False
        self._failure = ""
        self._task: Spawned | None = None

    async def startup(self) -> None:
        """Raises LifespanError where the application says that it can't start, or has no lifespan and must."""
        waits = waits_here()
        self._told = waits.event()
        self._task = waits.spawn(self._run)
        await self._say("lifespan.startup")
        if self._failure:
            raise LifespanError(f"the application could not start: {self._failure}")

    async def shutdown(self) -> None:
        if self._task is None:
            return
        if self._started:
            await self._say("lifespan.shutdown")
            if self._failure:
                log.error("the application did not end well: %s", self._failure)
        self._task.cancel()
        await self._task.join()
        self._task = None

    async def _say(self, kind: str) -> None:
        assert self._told is not None
        self._answered = waits_here().event()
        self._messages.append({"type": kind})
        self._told.set()
        await self._answered.wait()

    async def _run(self) -> None:
        scope: Scope = {"type": "lifespan", "asgi": LIFESPAN_VERSIONS, "state": self._state}
        try:
            await self._app(scope, self._receive, self._send)
            if self._insists and not self._started:
                self._failure = self._failure or "it took no part in its lifespan"
        except Exception as error:
            if self._started:
                log.error("the lifespan of the application failed", exc_info=error)
            elif self._insists:
                self._failure = self._failure or str(error) or type(error).__name__
            else:
                log.debug("the application has no lifespan", exc_info=error)
        finally:
            self._started = False
            if self._answered is not None:
                self._answered.set()

    async def _receive(self) -> Message:
        assert self._told is not None
        while not self._messages:
            await self._told.wait()
            self._told = waits_here().event()
        return self._messages.pop(0)

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind not in _ANSWERS:
            raise UsageError(f"an application can't send {kind!r} in its lifespan")
        if kind.endswith(".failed"):
            self._failure = message.get("message", "") or "it gave no reason"
        if kind == "lifespan.startup.complete":
            self._started = True
        if self._answered is not None:
            self._answered.set()


_ANSWERS = {f"lifespan.{what}.{how}" for what in ("startup", "shutdown") for how in ("complete", "failed")}
