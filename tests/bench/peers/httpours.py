"""Our HTTP server: `httpours.py hello|static LOOP SPEC [FOLDER]`. SPEC is a device, or `posix:` for the kernel's sockets."""

import sys

import netstack
from netstack.http.config import HttpConfig
from netstack.http.serve.asgi import Asgi
from netstack.http.serve.files import StaticFiles
from netstack.http.serve.server import HttpServer
from tests.bench.peers import services
from tests.bench.peers.loop import run, serve
from tests.bench.peers.webapp import app

FOREVER = HttpConfig(requests=1 << 40)  # as uvicorn, and as nginx is told to here: a run is longer than a thousand requests


async def main(what: str, spec: str, folder: str) -> None:
    async with netstack.open(spec) as net:
        if what == "static":
            server = HttpServer(net, StaticFiles(folder), config=FOREVER)
        else:
            server = HttpServer(net, application=Asgi(app, lifespan="off"), config=FOREVER)
        await server.listen(services.HTTP, backlog=services.BACKLOG)
        await serve()


run(main(sys.argv[1], sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else ""), sys.argv[2])
