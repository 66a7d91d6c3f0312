"""trio's own functions, unchanged, with the stack behind its socket factory and its resolver."""

import contextlib
import functools

from tests.compat.harness import FACTORY, cells, client_tls, program, server_tls

trio = program("trio")

LARGE = bytes(range(256)) * 4096


async def echo(stream):
    try:
        async for data in stream:
            await stream.send_all(data)
    except trio.BrokenResourceError:
        pass


@contextlib.asynccontextmanager
async def serve(host, tls=None):
    async with trio.open_nursery() as nursery:
        if tls is None:
            listeners = await nursery.start(functools.partial(trio.serve_tcp, echo, 0, host=host))
            socket = listeners[0].socket
        else:
            listeners = await nursery.start(functools.partial(trio.serve_ssl_over_tcp, echo, 0, tls, host=host))
            socket = listeners[0].transport_listener.socket
        yield socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def talk(stream):
    received = bytearray()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, LARGE)
        while len(received) < len(LARGE):
            received += await stream.receive_some()
    assert received == LARGE


async def ask(host, port):
    async with await trio.open_tcp_stream(host, port) as stream:
        await talk(stream)
        await stream.send_eof()
        assert await stream.receive_some() == b""


async def ask_tls(host, port):
    async with await trio.open_ssl_over_tcp_stream(host, port, ssl_context=client_tls()) as stream:
        await talk(stream)


@contextlib.asynccontextmanager
async def serve_udp(host):
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as udp:
        await udp.bind((host, 0))

        async def answer():
            while True:
                data, peer = await udp.recvfrom(65536)
                await udp.sendto(data[::-1], peer)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            yield udp.getsockname()[1]
            nursery.cancel_scope.cancel()


async def ask_udp(host, port):
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as udp, trio.fail_after(5):
        await udp.sendto(b"hello", (host, port))
        assert await udp.recvfrom(100) == (b"olleh", (host, port))


@cells(
    "trio",
    "streams",
    "`open_tcp_stream`, `serve_tcp`: 1 MiB both ways at once, half-close",
    way=FACTORY,
    loops=("trio",),
    taps=("server", "client"),
)
def test_streams(where):
    where.run(serve, ask)


@cells("trio", "tls", "`open_ssl_over_tcp_stream`, `serve_ssl_over_tcp`", way=FACTORY, loops=("trio",))
def test_tls(where):
    where.run(lambda host: serve(host, server_tls()), ask_tls)


@cells("trio", "datagrams", "`trio.socket` datagrams", way=FACTORY, loops=("trio",), taps=("client",))
def test_datagrams(where):
    where.run(serve_udp, ask_udp)
