"""An unchanged uvicorn: `webapp.py asyncio|uvloop|netstack`. On `netstack` the environment names the device and the loop below."""

import sys
from typing import Any

import uvicorn

from tests.bench.peers import services

LOOPS = {"netstack": "netstack.runtime.loop:new_event_loop"}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """A hello-world in ASGI."""
    if scope["type"] == "http":
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"14")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"Hello, world!\n"})


class Server(uvicorn.Server):
    """It says when it listens."""

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        print("ready", flush=True)


if __name__ == "__main__":
    name = sys.argv[1]
    loop: Any = LOOPS.get(name, name)
    port, backlog = services.HTTP, services.BACKLOG
    config = uvicorn.Config(
        app, "0.0.0.0", port, loop=loop, http="httptools", backlog=backlog, lifespan="off", log_level="error", access_log=False
    )
    Server(config).run()
