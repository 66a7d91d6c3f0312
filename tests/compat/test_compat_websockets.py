"""websockets: the sans-I/O client and server over asyncio's protocols, plain and over TLS."""

import asyncio
import contextlib

from tests.compat.harness import NATIVE, cells, client_tls, program, server_tls

program("websockets")
from websockets.asyncio.client import connect  # noqa: E402
from websockets.asyncio.server import serve as serve_websockets  # noqa: E402


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


@contextlib.asynccontextmanager
async def serve(host, **options):
    async with serve_websockets(echo, host, 0, max_size=None, **options) as server:
        yield server.sockets[0].getsockname()[1]


async def ask(host, port, scheme="ws", **options):
    async with connect(f"{scheme}://{host}:{port}/", max_size=None, **options) as websocket:
        await websocket.send("hello")
        assert await websocket.recv() == "hello"
        large = bytes(range(256)) * 2000
        await websocket.send(large)
        assert await websocket.recv() == large
        await asyncio.wait_for(await websocket.ping(), 5)
    assert websocket.close_code == 1000


@cells("websockets", "echo", "text, half a megabyte of binary, ping, the closing handshake", way=NATIVE, taps=("server", "client"))
def test_echo(where):
    where.run(serve, ask)


@cells("websockets", "tls", "the same as `wss:`", way=NATIVE)
def test_tls(where):
    where.run(
        lambda host: serve(host, ssl=server_tls()),
        lambda host, port: ask(host, port, "wss", ssl=client_tls()),
    )
