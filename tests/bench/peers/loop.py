"""Runs a server on the event loop that the command line names."""

import asyncio
import resource
from collections.abc import Coroutine
from typing import Any


def run(main: Coroutine[Any, Any, None], loop: str) -> None:
    """Until it is killed. `loop`: asyncio, uvloop, or netstack for our own."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a crowd has a descriptor for each connection
    if loop == "uvloop":
        import uvloop

        uvloop.run(main)
    elif loop == "netstack":
        import netstack

        netstack.run(main)
    else:
        asyncio.run(main)


async def serve() -> None:
    print("ready", flush=True)
    await asyncio.Event().wait()
