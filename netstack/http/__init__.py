"""HTTP/1.1 (RFC 9110, 9112): a sans-IO connection, and a server over any StreamStack.

Pure, bytes in and events out:

    events config date headers state    the words, the bounds, the machine's tables
    reader chunks target refused        bytes to events, and what is refused
    writer                              responses to bytes
    connection                          one server-side connection: turns, deadlines, keep-alive, pipelining
    conditional                         preconditions and ranges

Faces, which wait:

    message session server              requests and responses, one connection served, the server
    files page                          handlers: a folder, and the page of the demo

A client, HTTP/2, WebSocket and ASGI have their places beside these: `events` and `state` are theirs too, `session` is where a
stream learns which protocol it speaks. Names come lazily, so that a pure room costs no face.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import HttpConfig as HttpConfig
    from .config import HttpLimits as HttpLimits
    from .connection import ServerConnection as ServerConnection
    from .files import StaticFiles as StaticFiles
    from .headers import Headers as Headers
    from .message import HttpError as HttpError
    from .message import Request as Request
    from .message import Response as Response
    from .mib import HttpMib as HttpMib
    from .page import DemoPage as DemoPage
    from .server import HttpServer as HttpServer

_WHERE = {
    "HttpConfig": "config",
    "HttpLimits": "config",
    "ServerConnection": "connection",
    "StaticFiles": "files",
    "Headers": "headers",
    "HttpError": "message",
    "Request": "message",
    "Response": "message",
    "HttpMib": "mib",
    "DemoPage": "page",
    "HttpServer": "server",
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
