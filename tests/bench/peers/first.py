"""From `netstack.open` to the first SYN answered and the first page: `first.py CLIENT SPEC HOST`, CLIENT being client.c's program.

What a program imports is there before; what the call imports by itself counts. `open` is when it has returned, `asked` when the
client began, which waits and is told as soon as the servers listen.
"""

import asyncio
import json
import sys
import time

import netstack
from netstack.cli.web import http_server
from netstack.http.serve.message import Request, Response
from netstack.http.serve.server import HttpServer
from netstack.plugins import open_netif

open_net = netstack.open  # the lazy name is resolved here as well
CALLED_ELSEWHERE = (HttpServer, open_netif)  # names that open lazily: imported here, so that it isn't measured


async def hello(request: Request) -> Response:
    return Response.text("Hello, world!\n")


async def main(client: str, spec: str, host: str) -> None:
    pipe = asyncio.subprocess.PIPE
    asking = await asyncio.create_subprocess_exec(client, "first", host, "80", "5", stdin=pipe, stdout=pipe)
    assert asking.stdin is not None
    await asyncio.sleep(0.05)  # it is at its read by now
    called = time.monotonic()
    async with open_net(spec) as net:
        there = time.monotonic()
        async with http_server(net, 80, hello):
            asking.stdin.write(b"!")
            said, _ = await asking.communicate()
            times = json.loads(said)
            values = {"open": there, "asked": times["asked"], "syn": times["opened"], "http": times["answered"]}
            print(json.dumps({key: (at - called) * 1000 for key, at in values.items()}), flush=True)


netstack.run(main(*sys.argv[1:]))
