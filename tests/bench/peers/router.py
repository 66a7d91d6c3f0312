"""A router between a tap and the host's sockets: `router.py netstack|asyncio|uvloop`. Whoever makes the guest moves tap0 to it."""

import sys

import netstack
from tests.bench.peers.loop import run, serve


async def main() -> None:
    async with netstack.Router("tap:tap0", loopback=True):
        await serve()


run(main(), sys.argv[1])
