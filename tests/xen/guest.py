"""What the Python of a guest does: serves HTTP and DNS over its interface, without its kernel's network, and HTTP on a vchan.

The site is `examples/homepage.py`'s, which knows nothing of Xen.
"""

import asyncio
import sys
from pathlib import Path

from netstack_xen.libxen import LibXen

import netstack
from netstack.http import HttpServer, StaticFiles

from .harness import until

ADDRESS, NAME = "10.98.0.2", "guest.example"
SITE = Path("/run/site")
BIG = 1_000_000  # bytes of one of its files


def big() -> bytes:
    return bytes(range(256)) * (BIG // 256)


async def main() -> None:
    sys.path.append("/payload/examples")
    from homepage import homepage  # type: ignore[import-not-found]  # an example

    SITE.mkdir()
    SITE.joinpath("index.html").write_text("<title>a guest</title>")
    SITE.joinpath("big").write_bytes(big())
    xen = LibXen()
    site = StaticFiles(str(SITE), listing=False)
    async with (
        netstack.open(f"xen:0?address={ADDRESS}/24") as net,
        homepage(net, site, NAME),
        netstack.open("vchan:") as vchan,
    ):
        server = HttpServer(vchan, site)
        await server.listen(80)
        xen.store.write("data/tests", "ready")
        await asyncio.to_thread(until, lambda: xen.store.read("data/tests") == "stop", "the end of the tests", 600)
        await server.aclose()
    xen.store.write("data/tests", "over")
    xen.close()


if __name__ == "__main__":
    asyncio.run(main())
