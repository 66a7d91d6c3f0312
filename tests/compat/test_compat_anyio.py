"""anyio's listeners, streams, TLS and datagrams, on asyncio and on trio: one driver for both."""

import contextlib

from tests.compat.harness import ADOPTED, FACTORY, NATIVE, cells, client_tls, program, server_tls

anyio = program("anyio")
from anyio.abc import SocketAttribute  # noqa: E402
from anyio.streams.tls import TLSListener, TLSStream  # noqa: E402

LARGE = bytes(range(256)) * 4096


async def echo(stream):
    async with stream:
        async for data in stream:
            await stream.send(data)


@contextlib.asynccontextmanager
async def serve(host, tls=None):
    listener = await anyio.create_tcp_listener(local_host=host, local_port=0)
    port = listener.extra(SocketAttribute.local_port)
    if tls is not None:
        listener = TLSListener(listener, tls, standard_compatible=False)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, echo)
        await anyio.wait_all_tasks_blocked()  # a listener is adopted when it first accepts
        yield port
        group.cancel_scope.cancel()


async def talk(stream):
    """More than any buffer holds, both ways at once, then the end of one direction."""
    received = bytearray()

    async def send():
        await stream.send(LARGE)
        if not isinstance(stream, TLSStream):
            await stream.send_eof()

    async with anyio.create_task_group() as group:
        group.start_soon(send)
        while len(received) < len(LARGE):
            received += await stream.receive()
    assert received == LARGE
    if not isinstance(stream, TLSStream):
        try:
            await stream.receive()
        except anyio.EndOfStream:
            return
        raise AssertionError("the stream went on after its end")


async def ask(host, port):
    async with await anyio.connect_tcp(host, port) as stream:
        assert stream.extra(SocketAttribute.remote_port) == port
        await talk(stream)
    async with await anyio.connect_tcp(host, port) as stream:
        with anyio.move_on_after(0.02) as scope:
            await stream.receive()
        assert scope.cancelled_caught
        await stream.send(b"still here")  # a cancelled call leaves the stream usable
        assert await stream.receive() == b"still here"


async def ask_tls(host, port):
    connection = await anyio.connect_tcp(host, port, tls=True, ssl_context=client_tls(), tls_standard_compatible=False)
    async with connection as stream:
        await talk(stream)


@contextlib.asynccontextmanager
async def serve_udp(host):
    async with await anyio.create_udp_socket(local_host=host) as udp, anyio.create_task_group() as group:

        async def answer():
            async for data, (peer, port) in udp:
                await udp.sendto(data[::-1], peer, port)

        group.start_soon(answer)
        yield udp.extra(SocketAttribute.local_port)
        group.cancel_scope.cancel()


async def ask_udp(host, port):
    async with await anyio.create_connected_udp_socket(host, port) as udp:
        for size in (1, 1000, 1400):
            data = bytes(n & 0xFF for n in range(size))
            await udp.send(data)
            with anyio.fail_after(5):
                assert await udp.receive() == data[::-1]


@cells(
    "anyio",
    "streams",
    "listeners and streams: 1 MiB both ways at once, half-close, a cancelled `receive`",
    way=ADOPTED,
    taps=("client",),
)
def test_streams(where):
    where.run(serve, ask)


@cells("anyio", "tls", "the same through `TLSListener` and `TLSStream`", way=ADOPTED)
def test_tls(where):
    where.run(lambda host: serve(host, server_tls()), ask_tls)


@cells("anyio", "datagrams", "UDP sockets, connected and not", way=NATIVE, taps=("server",))
def test_datagrams(where):
    where.run(serve_udp, ask_udp)


@cells("anyio", "trio-streams", "listeners and streams on trio", way=ADOPTED, loops=("trio",))
def test_streams_trio(where):
    where.run(serve, ask)


@cells("anyio", "trio-tls", "the same through `TLSListener` and `TLSStream`", way=ADOPTED, loops=("trio",))
def test_tls_trio(where):
    where.run(lambda host: serve(host, server_tls()), ask_tls)


@cells("anyio", "trio-datagrams", "UDP sockets, connected and not", way=FACTORY, loops=("trio",))
def test_datagrams_trio(where):
    where.run(serve_udp, ask_udp)
