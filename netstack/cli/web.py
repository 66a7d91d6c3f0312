"""An HTTP server of the commands': on a net, until they end."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from .._build import build_info
from ..instant import MILLISECOND, Duration

if TYPE_CHECKING:
    from ssl import SSLContext

    from ..http.serve.accesslog import Access
    from ..http.serve.exchange import Application
    from ..http.serve.message import Handler
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
) -> AsyncIterator[None]:
    """`handler` or `application` on `port` of `host`, all addresses of `net` unless it says which, under TLS with `context`;
    requests in flight have GRACE to end before this does."""
    from ..http.serve.server import HttpServer
    from ..http.serve.session import http2_available

    stack: StreamStack = net
    if context is not None:
        from ..tls import Tls

        context.set_alpn_protocols(["h2", "http/1.1"] if http2_available() else ["http/1.1"])
        stack = Tls(net, context)
    server = HttpServer(stack, handler, application=application, access=access)
    try:
        await server.listen(port, host)
        yield
    finally:
        await server.aclose(GRACE)


def demo_page(net: "Net") -> "Handler":
    """The page of the demo, about `net`."""
    from ..http.dashboard.page import DemoPage

    return DemoPage(NetStatus(net), clock=net.now, netif=net.netif.name, build=about_build())


def about_build() -> str:
    """One phrase for people."""
    info = build_info()
    return f"{info.build} build on Python {info.python}"


class NetStatus:
    """What the page shows of a net (http.page.Status)."""

    def __init__(self, net: "Net") -> None:
        self._net = net

    def addresses(self) -> Sequence[str]:
        return self._net.addresses

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        return self._net.counters()

    def meanings(self) -> Mapping[str, Mapping[str, str]]:
        return self._net.meanings()

    def connections(self) -> Sequence[Mapping[str, object]]:
        return self._net.connections()
