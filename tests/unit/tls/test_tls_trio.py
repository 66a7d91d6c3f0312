"""`Tls` over our own stack under trio, in virtual time: the stream and its engine are those of asyncio."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from tls_world import HOST, VERSIONS, client_context, server_context

from netstack.errors import ClosedError, TimedOut
from netstack.http import HttpServer, Request, Response
from netstack.instant import MILLISECOND, SECOND, Duration
from netstack.runtime.trio import TrioNet, open
from netstack.runtime.trio_world import run_virtual
from netstack.testing.wire import Wire
from netstack.tls import CertificateError, Tls

pytestmark = pytest.mark.trio(run=run_virtual)
versions = pytest.mark.parametrize("version", VERSIONS)
BIG = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(32768))  # 1 MiB


@contextlib.asynccontextmanager
async def nets(**faults: Any) -> AsyncIterator[tuple[TrioNet, TrioNet]]:
    wire = Wire(**{"delay": 5 * MILLISECOND, **faults})
    async with (
        open(wire.port("a"), addresses=["10.0.0.1/24"], seed=1) as a,
        open(wire.port("b"), addresses=["10.0.0.2/24"], seed=2) as b,
    ):
        yield a, b


async def echo(stream: Any) -> None:
    async for piece in stream:
        await stream.send_all(piece)


@versions
@pytest.mark.parametrize("loss", [0, 0.05])
async def test_a_megabyte_comes_back_whole(version: str, loss: float) -> None:
    async with nets(loss=loss) as (a, b):
        await Tls(b, server_context(version)).serve_streams(echo, 443)
        stream = await Tls(a, client_context(version)).connect_stream("10.0.0.2", 443)
        got = bytearray()

        async def send() -> None:
            await stream.send_all(BIG)
            await stream.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            async for piece in stream:
                got += piece
        assert got == BIG
        await stream.aclose()


async def test_a_send_that_is_cancelled_counts_as_sent_though_it_comes_too_late() -> None:
    async with nets() as (a, b):
        heard = bytearray()
        go, done = trio.Event(), trio.Event()

        async def listen(stream: Any) -> None:
            await go.wait()
            async for piece in stream:
                heard.extend(piece)
            done.set()

        await Tls(b, server_context()).serve_streams(listen, 443)
        stream = await Tls(a, client_context()).connect_stream("10.0.0.2", 443)
        data = BIG * 4  # more than fits on its way
        with trio.move_on_after(1) as scope:
            await stream.send_all(data)
        assert scope.cancelled_caught
        with trio.CancelScope() as scope:
            scope.cancel()
            await stream.send_all(b"too late")
        go.set()
        await stream.send_all(b"the end")
        with trio.CancelScope() as scope:  # closing is done all the same
            scope.cancel()
            await stream.send_eof()
        await done.wait()
        assert heard == data + b"too late" + b"the end"
        await stream.aclose()


async def test_time_limits_are_those_of_the_clock_of_trio() -> None:
    async with nets() as (a, b):
        secure = Tls(b, server_context())
        await secure.serve_streams(echo, 443)
        stranger = await a.connect_stream("10.0.0.2", 443)
        before = trio.current_time()
        with pytest.raises((OSError, ClosedError)):
            assert await stranger.receive()
        assert trio.current_time() - before == pytest.approx(30, abs=1)
        assert secure.mib.Silent == 1
        stream = await Tls(a, client_context()).connect_stream("10.0.0.2", 443)
        with pytest.raises(TimedOut):
            await stream.receive(timeout=Duration(SECOND))
        await stream.aclose()
        with pytest.raises(CertificateError):
            await Tls(a, client_context(trust="theirs")).connect_stream("10.0.0.2", 443)


async def test_http_is_served_unchanged_to_trio_s_own_tls() -> None:
    async def hello(request: Request) -> Response:
        return Response(body=BIG)

    async with nets() as (a, b):
        server = HttpServer(Tls(b, server_context()), hello, clock=b.now)
        await server.listen(443)
        plain: Any = await a.open_tcp_stream("10.0.0.2", 443)
        stream = trio.SSLStream(plain, client_context(), server_hostname=HOST, https_compatible=True)
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = bytearray()
        while data := await stream.receive_some(65536):
            got += data
        assert got.endswith(BIG)
        await stream.aclose()
