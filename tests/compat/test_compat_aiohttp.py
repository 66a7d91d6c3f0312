"""aiohttp, client and server: plain, TLS, WebSocket, files by sendfile, and the resolver that does not know our loop.

The client makes its sockets itself (aiohappyeyeballs) and connects them by `loop.sock_connect`; the server asks the loop.
"""

import contextlib

from tests.compat.harness import ADOPTED_CLIENT, LOCAL, cells, client_tls, program, server_tls

aiohttp = program("aiohttp")
from aiohttp import web  # noqa: E402

LARGE = bytes(range(256)) * 4096  # 1 MiB


async def hello(request):
    body = await request.read()
    return web.Response(text=f"{request.method} {request.path} {len(body)} {request.scheme}")


async def stream(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(8):
        await response.write(LARGE[: 128 * 1024])
    await response.write_eof()
    return response


async def echo(request):
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    async for message in websocket:
        if message.type is aiohttp.WSMsgType.TEXT:
            await websocket.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await websocket.send_bytes(message.data)
    return websocket


@contextlib.asynccontextmanager
async def serve(host, ssl_context=None, file=None):
    async def send_file(request):
        return web.FileResponse(file)

    app = web.Application(client_max_size=2 * len(LARGE))
    app.router.add_route("*", "/hello", hello)
    app.router.add_get("/stream", stream)
    app.router.add_get("/echo", echo)
    app.router.add_get("/file", send_file)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=ssl_context)
    await site.start()
    try:
        yield site._server.sockets[0].getsockname()[1]
    finally:
        await runner.cleanup()


def client(**options):
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(**options))


async def ask(host, port):
    async with client() as session:
        for body in (b"", b"x" * 10, LARGE):
            async with session.post(f"http://{host}:{port}/hello", data=body) as answer:
                assert await answer.text() == f"POST /hello {len(body)} http"
        async with session.get(f"http://{host}:{port}/stream") as answer:
            assert len(await answer.read()) == len(LARGE)


async def ask_tls(host, port):
    async with client(ssl=client_tls()) as session:
        async with session.post(f"https://{host}:{port}/hello", data=LARGE) as answer:
            assert await answer.text() == f"POST /hello {len(LARGE)} https"
        async with session.get(f"https://{host}:{port}/stream") as answer:
            assert len(await answer.read()) == len(LARGE)


async def ask_websocket(host, port):
    async with client() as session, session.ws_connect(f"http://{host}:{port}/echo", max_msg_size=0) as websocket:
        await websocket.send_str("hello")
        assert await websocket.receive_str() == "hello"
        await websocket.send_bytes(LARGE)
        assert await websocket.receive_bytes() == LARGE
    assert websocket.close_code == 1000


async def ask_file(host, port):
    async with client() as session:
        async with session.get(f"http://{host}:{port}/file") as answer:
            assert await answer.read() == LARGE
        async with session.get(f"http://{host}:{port}/file", headers={"Range": "bytes=1000-1999"}) as answer:
            assert answer.status == 206
            assert await answer.read() == LARGE[1000:2000]


async def ask_by_name(host, port):
    """aiodns, where it is installed, is aiohttp's resolver, and asks on kernel sockets of its own: name another."""
    resolver = aiohttp.ThreadedResolver()
    async with client(resolver=resolver) as session, session.get(f"http://localhost:{port}/hello") as answer:
        assert await answer.text() == "GET /hello 0 http"


@cells(
    "aiohttp",
    "http",
    "requests and answers with and without bodies of 1 MiB, streamed answers, keep-alive",
    way=ADOPTED_CLIENT,
    taps=("server", "client"),
)
def test_http(where):
    where.run(serve, ask)


@cells("aiohttp", "tls", "the same over TLS", way=ADOPTED_CLIENT, taps=("server",))
def test_tls(where):
    where.run(lambda host: serve(host, server_tls()), ask_tls)


@cells("aiohttp", "websocket", "WebSocket both ways", way=ADOPTED_CLIENT)
def test_websocket(where):
    where.run(serve, ask_websocket)


@cells("aiohttp", "sendfile", "`FileResponse`, whole and by range (`loop.sendfile`)", way=ADOPTED_CLIENT, taps=("server",))
def test_sendfile(where, tmp_path):
    file = tmp_path / "large.bin"
    file.write_bytes(LARGE)
    where.run(lambda host: serve(host, file=file), ask_file)


@cells("aiohttp", "names", "`ThreadedResolver`, which asks the loop", way=ADOPTED_CLIENT)
def test_names(where):
    where.run(lambda host: serve(LOCAL), ask_by_name)
