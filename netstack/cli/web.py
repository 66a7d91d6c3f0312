"""An HTTP server of the commands': a handler on a net, with the clocks that it wants."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from .._build import build_info
from ..instant import MILLISECOND, SECOND, Duration

if TYPE_CHECKING:
    from ..http.serve.message import Handler
    from ..runtime.asyncio import Net

GRACE = Duration(800 * MILLISECOND)  # with the net's own LINGER less than 3 s: who says Ctrl-C does not want to wait for a download


@asynccontextmanager
async def http_server(net: "Net", handler: "Handler", port: int) -> AsyncIterator[None]:
    """`handler` on `port` of all addresses of `net`; requests in flight have GRACE to end before this does."""
    from ..http.serve.server import HttpServer

    async def sleep(duration: Duration) -> None:
        await asyncio.sleep(duration / SECOND)

    server = HttpServer(net, handler, clock=net.now, wall=lambda: int(time.time()), sleep=sleep)
    await server.listen(port)
    try:
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
