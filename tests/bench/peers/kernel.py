"""The services on the kernel's sockets: `kernel.py asyncio|uvloop`."""

import asyncio
import sys

from tests.bench.peers import services
from tests.bench.peers.loop import run, serve

ANY = "0.0.0.0"


async def main() -> None:
    loop = asyncio.get_running_loop()
    for port, protocol in services.PROTOCOLS.items():
        await loop.create_server(protocol, ANY, port, backlog=services.BACKLOG)
    for port, handler in services.STREAMS.items():
        await asyncio.start_server(handler, ANY, port, backlog=services.BACKLOG)
    await loop.create_datagram_endpoint(services.UdpEcho, (ANY, services.ECHO))
    await serve()


run(main(), sys.argv[1])
