"""An unchanged hypercorn: `hyperapp.py asyncio|uvloop`. HTTP/2 by prior knowledge on the port of HTTP."""

import asyncio
import sys

from hypercorn.asyncio import serve
from hypercorn.config import Config

from tests.bench.peers import services
from tests.bench.peers.webapp import app


async def main() -> None:
    config = Config()
    config.bind = [f"0.0.0.0:{services.HTTP}"]
    config.backlog = services.BACKLOG
    config.errorlog = None
    loop = asyncio.get_running_loop()
    loop.call_later(1, lambda: print("ready", flush=True))  # it says nothing itself
    await serve(app, config)  # type: ignore[arg-type]  # its own words for ASGI


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())
