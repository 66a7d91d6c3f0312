"""HTTP/1.1 (RFC 9110, 9112): a sans-IO connection, and a server over any StreamStack.

Pure, bytes in and events out:

    events config date headers target refused conditional       the words, the bounds, preconditions and ranges
    h1/     state reader chunks writer connection               HTTP/1.1: bytes to events and back, turns, deadlines
    h2/     words guard fields blocks stream engine             HTTP/2, both roles, over the library h2

Faces, which wait:

    serve/      message session server files        requests and responses, one connection served, the server, a folder
    dashboard/  page                                the page about the stack

A client, HTTP/2, WebSocket and ASGI have their places beside these: `events` are theirs too, `serve/session` is where a stream
learns which protocol it speaks. Names come lazily, so that a pure room costs no face.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import Http2Limits as Http2Limits
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

_WHERE = {
    "Http2Limits": "config",
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
