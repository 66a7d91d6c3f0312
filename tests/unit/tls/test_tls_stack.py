"""`Tls` as a StreamStack over our own TCP: two nets on a wire in memory, with and without loss."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from tls_world import HOST, VERSIONS, client_context, server_context

import netstack
from netstack.errors import BrokenError, ClosedError, Refused, TimedOut
from netstack.http import HttpServer, Request, Response
from netstack.instant import MILLISECOND, Duration
from netstack.signatures import Stream, StreamStack
from netstack.testing.wire import Wire
from netstack.tls import CertificateError, Tls, TlsConfig, TlsError, TlsStream

BIG = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(65536))  # 2 MiB
versions = pytest.mark.parametrize("version", VERSIONS)


@contextlib.asynccontextmanager
async def two_nets(**faults: Any) -> AsyncIterator[tuple[Any, Any]]:
    wire = Wire(**faults)
    async with (
        netstack.open(wire.port("a"), addresses=["10.0.0.1/24"], seed=1) as a,
        netstack.open(wire.port("b"), addresses=["10.0.0.2/24"], seed=2) as b,
    ):
        yield a, b


def run(test: Callable[[], Awaitable[None]]) -> None:
    reported: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        async with asyncio.timeout(20):
            await test()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with asyncio.Runner(loop_factory=netstack.new_event_loop) as runner:
        runner.run(main())
    gc.collect()
    assert not reported, reported[0].get("exception")


async def echo(stream: Any) -> None:
    async for piece in stream:
        await stream.send_all(piece)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


@versions
@pytest.mark.parametrize("loss", [0.0, 0.03])
def test_megabytes_come_back_whole(version: str, loss: float) -> None:
    async def test() -> None:
        async with two_nets(loss=loss, seed=5) as (a, b):
            secure: StreamStack = Tls(b, server_context(version))
            listener = await secure.serve_streams(echo, 443)
            assert listener.address == ("0.0.0.0", 443)
            stream = await Tls(a, client_context(version)).connect_stream("10.0.0.2", 443)
            got = bytearray()

            async def receive() -> None:
                while data := await stream.receive(200_000):
                    got.extend(data)

            async def send() -> None:
                for i in range(0, len(BIG), 300_000):
                    await stream.send_all(BIG[i : i + 300_000])
                await stream.send_eof()

            await asyncio.gather(send(), receive())
            assert got == BIG
            await stream.aclose()
            await listener.aclose()

    run(test)


@versions
def test_what_was_sent_and_closed_arrives_though_its_net_is_left_at_once(version: str) -> None:
    """Also with TLS 1.3, where a server that sent session tickets by themselves would be reset by a client that has gone."""

    async def test() -> None:
        wire = Wire()
        got = bytearray()
        done = asyncio.Event()

        async def sink(stream: Stream) -> None:
            await asyncio.sleep(0.02)  # the client is gone by now
            while data := await stream.receive():
                got.extend(data)
            done.set()

        async with netstack.open(wire.port("b"), addresses=["10.0.0.2/24"]) as b:
            await Tls(b, server_context(version)).serve_streams(sink, 443)
            async with netstack.open(wire.port("a"), addresses=["10.0.0.1/24"]) as a:
                stream = await Tls(a, client_context(version)).connect_stream("10.0.0.2", 443)
                await stream.send_all(BIG[:100_000])
                await stream.aclose()
            await asyncio.wait_for(done.wait(), 5)
        assert got == BIG[:100_000]

    run(test)


@versions
def test_http_is_served_unchanged(version: str) -> None:
    async def hello(request: Request) -> Response:
        body = await request.body.read()
        return Response(body=body or BIG)

    async def test() -> None:
        async with two_nets() as (a, b):
            secure = Tls(b, server_context(version))
            server = HttpServer(secure, hello, clock=b.now, wall=lambda: int(time.time()), sleep=lambda d: asyncio.sleep(d / 1e9))
            assert server.stack is secure
            await server.listen(443)
            reader, writer = await a.open_connection("10.0.0.2", 443, ssl=client_context(version), server_hostname=HOST)
            for _ in range(2):
                writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200 OK\r\n")
                assert await reader.readexactly(5) == b"hello"
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.read() == BIG
            writer.close()
            idle, other = await a.open_connection("10.0.0.2", 443, ssl=client_context(version), server_hostname=HOST)
            await until(lambda: server.mib.Connections == 2)
            await server.aclose()
            assert await idle.read() == b""
            other.close()
            assert server.mib.Broken == 0

    run(test)


def test_asyncio_s_own_tls_and_ours_understand_each_other() -> None:
    async def test() -> None:
        async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()

        async with two_nets(loss=0.01, seed=2) as (a, b):
            await b.start_server(shout, port=443, ssl=server_context())
            stream = await Tls(a, client_context()).connect_stream("10.0.0.2", 443)
            got = bytearray()

            async def receive() -> None:
                while len(got) < len(BIG):
                    got.extend(await stream.receive())

            await asyncio.gather(stream.send_all(BIG), receive())
            assert got == BIG
            await stream.send_eof()
            assert await stream.receive() == b""
            await stream.aclose()

    run(test)


def test_tls_stands_on_tls() -> None:
    async def test() -> None:
        async with two_nets() as (a, b):
            inner = server_context(names=("inner.example",))
            await Tls(Tls(b, server_context()), inner).serve_streams(echo, 443)
            outer = Tls(Tls(a, client_context()), client_context())
            with pytest.raises(CertificateError, match=r"10\.0\.0\.2"):
                await outer.connect_stream("10.0.0.2", 443)
            stream = await outer.connect_stream("10.0.0.2", 443, server_hostname="inner.example")
            assert isinstance(stream.lower, TlsStream)
            sending = asyncio.ensure_future(stream.send_all(BIG[:500_000]))
            got = bytearray()
            while len(got) < 500_000:
                got += await stream.receive()
            await sending
            assert got == BIG[:500_000]
            await stream.aclose()

    run(test)


def test_connecting_ends_in_time_and_as_the_stack_below_says() -> None:
    async def test() -> None:
        async with two_nets() as (a, b):
            secure = Tls(a, client_context())
            with pytest.raises(Refused):
                await secure.connect_stream("10.0.0.2", 81)
            with pytest.raises(TimedOut):
                await secure.connect_stream("10.0.0.99", 81, timeout=Duration(20 * MILLISECOND))

            async def silent(stream: Stream) -> None:
                await stream.receive()
                with contextlib.suppress(BrokenError):
                    await stream.receive()

            await b.serve_streams(silent, 82)
            with pytest.raises(TimedOut):
                await secure.connect_stream("10.0.0.2", 82, timeout=Duration(50 * MILLISECOND))
            assert secure.mib.HandshakeTimeouts == 1
            await until(lambda: not a.connections())

    run(test)


def test_a_handler_that_fails_cuts_its_stream_and_no_other() -> None:
    reported: list[dict[str, Any]] = []

    async def test() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))

        async def fail(stream: Stream) -> None:
            await stream.receive()
            raise ZeroDivisionError("on purpose")

        async with two_nets() as (a, b):
            await Tls(b, server_context()).serve_streams(fail, 443)
            stream = await Tls(a, client_context()).connect_stream("10.0.0.2", 443)
            await stream.send_all(b"x")
            with pytest.raises(BrokenError):
                await stream.receive()
            await stream.aclose()

    asyncio.run(test())
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]


def test_many_abandoned_handshakes_and_streams_leave_nothing_behind() -> None:
    """At every stage: silent, one byte, half a hello, a hello, a whole handshake, words; left in order or by a reset."""

    async def test() -> None:
        rng = random.Random(5)
        before = sum(isinstance(each, ssl.SSLObject | TlsStream) for each in gc.get_objects())
        async with two_nets() as (a, b):
            secure = Tls(b, server_context(), config=TlsConfig(handshake_timeout=Duration(300 * MILLISECOND), handshakes=50))
            client = Tls(a, client_context())

            async def serve(stream: Stream) -> None:
                with contextlib.suppress(BrokenError):
                    await echo(stream)

            await secure.serve_streams(serve, 443)

            async def abandon(stage: int) -> None:
                try:
                    if stage < 3:
                        stream: Any = await a.connect_stream("10.0.0.2", 443)
                        await stream.send_all((b"", b"\x16", b"\x16\x03\x01\x01\x00" + bytes(50))[stage])
                    elif stage == 3:
                        lower = await a.connect_stream("10.0.0.2", 443)
                        stream = await client.wrap_client(lower, "10.0.0.2", Duration(rng.randrange(1, 9) * MILLISECOND))
                    else:
                        stream = await client.connect_stream("10.0.0.2", 443)
                        if stage == 5:
                            await stream.send_all(b"words")
                except (TlsError, BrokenError, ClosedError, TimedOut):
                    return  # dropped: there were too many
                await asyncio.sleep(rng.random() * 0.02)
                if rng.random() < 0.5:
                    await stream.aclose()
                else:
                    stream.abort()

            for _ in range(4):
                await asyncio.gather(*(abandon(rng.randrange(6)) for _ in range(75)))
            await until(lambda: not b._tasks)
            assert secure._shaking == {}
            mib = secure.mib
            assert mib.Handshakes > 0
            assert mib.Silent > 0
            assert mib.HandshakesLost + mib.HandshakeErrors + mib.HandshakeTimeouts > 0
            await until(lambda: not [row for row in b.connections() if row["state"] not in ("TIME_WAIT", "TIME-WAIT")])
            assert not a._streams
            assert not b._streams
        gc.collect()
        after = sum(isinstance(each, ssl.SSLObject | TlsStream) for each in gc.get_objects())
        assert after <= before

    run(test)
