"""HTTP/1.1 (RFC 9110, 9112): a sans-IO connection, and a server over any StreamStack.

Pure, bytes in and events out:

    events config date headers target refused conditional       the words, the bounds, preconditions and ranges
    h1/     state reader chunks writer connection               HTTP/1.1: bytes to events and back, turns, deadlines
    ws/     config handshake deflate guard engine               WebSocket: the opening, frames to messages, over wsproto

Faces, which wait:

    serve/      message session server files        requests and responses, one connection served, the server, a folder
                websocket                           WebSockets of ASGI and of handlers; ws/{socket,client} the other end
    dashboard/  page                                the page about the stack

A client, HTTP/2, WebSocket and ASGI have their places beside these: `events` are theirs too, `serve/session` is where a stream
learns which protocol it speaks. Names come lazily, so that a pure room costs no face.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import HttpConfig as HttpConfig
    from .config import HttpLimits as HttpLimits
    from .dashboard.page import DemoPage as DemoPage
    from .h1.connection import ServerConnection as ServerConnection
    from .headers import Headers as Headers
    from .mib import HttpMib as HttpMib
    from .serve.files import StaticFiles as StaticFiles
    from .serve.message import HttpError as HttpError
    from .serve.message import Request as Request
    from .serve.message import Response as Response
    from .serve.server import HttpServer as HttpServer
    from .serve.websocket import ServerWebSocket as ServerWebSocket
    from .ws.client import connect_websocket as connect_websocket
    from .ws.config import WsConfig as WsConfig
    from .ws.errors import WebSocketClosed as WebSocketClosed

_WHERE = {
    "HttpConfig": "config",
    "HttpLimits": "config",
    "ServerConnection": "h1.connection",
    "StaticFiles": "serve.files",
    "Headers": "headers",
    "HttpError": "serve.message",
    "Request": "serve.message",
    "Response": "serve.message",
    "HttpMib": "mib",
    "DemoPage": "dashboard.page",
    "HttpServer": "serve.server",
    "ServerWebSocket": "serve.websocket",
    "WebSocketClosed": "ws.errors",
    "WsConfig": "ws.config",
    "connect_websocket": "ws.client",
}
__all__ = list(_WHERE)

if not TYPE_CHECKING:  # or every misspelt name would be an `object` to the checker

    def __getattr__(name: str) -> object:
        if name not in _WHERE:
            raise AttributeError(f"module 'netstack.http' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"netstack.http.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
