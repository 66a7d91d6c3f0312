"""An HTTP server of the commands': on a net, until they end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from .. import __version__
from .._build import build_info
from ..instant import MILLISECOND, Duration

if TYPE_CHECKING:
    from ssl import SSLContext

    from ..counters import Group
    from ..http.config import HttpConfig
    from ..http.serve.accesslog import Access
    from ..http.serve.exchange import Application
    from ..http.serve.message import Handler
    from ..http.serve.server import HttpServer
    from ..runtime.asyncio import Net
    from ..signatures import StreamStack

GRACE = Duration(800 * MILLISECOND)  # with the net's own LINGER less than 3 s: who says Ctrl-C does not want to wait for a download


@asynccontextmanager
async def http_server(
    net: "Net",
    port: int,
    handler: "Handler | None" = None,
    *,
    application: "Application | None" = None,
    host: str = "",
    context: "SSLContext | None" = None,
    access: "Access | None" = None,
    config: "HttpConfig | None" = None,
) -> "AsyncIterator[HttpServer[StreamStack]]":
    """`handler` or `application` on `port` of `host`, all addresses of `net` unless it says which, under TLS with `context`;
    requests in flight have GRACE to end before this does."""
    from ..http.config import HttpConfig
    from ..http.serve.server import HttpServer

    stack: StreamStack = net
    if context is not None:
        from ..tls import Tls

        context.set_alpn_protocols(web_protocols())
        stack = Tls(net, context)
    server = HttpServer(stack, handler, application=application, access=access, config=config or HttpConfig())
    try:
        await server.listen(port, host)
        yield server
    finally:
        await server.aclose(GRACE)


def web_protocols() -> list[str]:
    """What ALPN offers, of what is installed."""
    from ..http.serve.environment import http2_available

    return ["h2", "http/1.1"] if http2_available() else ["http/1.1"]


@asynccontextmanager
async def dashboard_server(net: "Net", port: int) -> AsyncIterator[None]:
    """The dashboard of `net`, served by itself, with the counters of its server."""
    from ..http.dashboard.netstatus import NetStatus
    from ..http.dashboard.page import Dashboard

    groups: dict[str, Group] = {}
    status = NetStatus(net, groups, {"build": about_build(), "version": __version__})
    async with http_server(net, port, Dashboard(status, clock=net.now)) as server:
        groups["Http"] = server.mib
        yield


def about_build() -> str:
    """One phrase for people."""
    info = build_info()
    return f"{info.build} build on Python {info.python}"
