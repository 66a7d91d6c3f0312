"""HTTP/1.1 (RFC 9110, 9112): sans-IO connections, and a server and a client over any StreamStack.

Pure, bytes in and events out:

    events config date headers target refused conditional       the words, the bounds, preconditions and ranges
    h1/     state reader chunks writer connection               HTTP/1.1: bytes to events and back, turns, deadlines
    ws/     config handshake deflate guard engine               WebSocket: the opening, frames to messages, over wsproto

Faces, which wait:

    serve/      message session server files        requests and responses, one connection served, the server, a folder
                websocket                           WebSockets of ASGI and of handlers; ws/{socket,client} the other end
    client/     client pool response redirects      a client: connections kept, streamed both ways, TLS, proxies
    dashboard/  page live trials netstatus           the stack at work, shown by itself

HTTP/2, WebSocket and ASGI have their places beside these: `events` are theirs too, `serve/session` is where a stream
learns which protocol it speaks. Names come lazily, so that a pure room costs no face.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client.client import HttpClient as HttpClient
    from .client.errors import FetchError as FetchError
    from .client.httpx_transport import BlockingHttpxTransport as BlockingHttpxTransport
    from .client.httpx_transport import HttpxTransport as HttpxTransport
    from .client.response import ClientResponse as ClientResponse
    from .config import HttpClientConfig as HttpClientConfig
    from .config import HttpClientLimits as HttpClientLimits
    from .config import HttpConfig as HttpConfig
    from .config import HttpLimits as HttpLimits
    from .dashboard.netstatus import NetStatus as NetStatus
    from .dashboard.page import Dashboard as Dashboard
    from .h1.clientconnection import ClientConnection as ClientConnection
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
    "HttpClient": "client.client",
    "HttpClientConfig": "config",
    "HttpClientLimits": "config",
    "ClientResponse": "client.response",
    "ClientConnection": "h1.clientconnection",
    "FetchError": "client.errors",
    "HttpxTransport": "client.httpx_transport",
    "BlockingHttpxTransport": "client.httpx_transport",
    "HttpConfig": "config",
    "HttpLimits": "config",
    "ServerConnection": "h1.connection",
    "StaticFiles": "serve.files",
    "Headers": "headers",
    "HttpError": "serve.message",
    "Request": "serve.message",
    "Response": "serve.message",
    "HttpMib": "mib",
    "Dashboard": "dashboard.page",
    "NetStatus": "dashboard.netstatus",
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
