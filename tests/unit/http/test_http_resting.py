"""Connections that idle: they hold no task, and go on as if they had one. In virtual time, on two stacks and a wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import netstack
from netstack import run_virtual
from netstack.http.config import HttpConfig
from netstack.http.serve.message import Request, Response
from netstack.http.serve.server import HttpServer
from netstack.instant import SECOND, Duration
from netstack.testing.wire import Wire

REQUEST = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
IDLE = 20  # seconds


class Place:
    """A server, its net, and whoever connects to it."""

    def __init__(self, server: HttpServer[Any], net: Any, client: Any) -> None:
        self.server, self.net, self.client = server, net, client

    @property
    def tasks(self) -> int:
        return len(self.net._tasks)

    async def connect(self) -> Any:
        return await self.client.connect_stream("10.0.0.2", 80)


async def ask(stream: Any, path: bytes = b"") -> bytes:
    await stream.send_all(REQUEST % path)
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(b"."):
        piece: bytes = await stream.receive()
        assert piece, data
        data += piece
    return data.partition(b"\r\n\r\n")[2]


async def hello(request: Request) -> Response:
    return Response.text(f"{request.path} from {request.remote_address[0]}.")


def in_virtual_time(test: Callable[[Place], Awaitable[None]]) -> Callable[[], None]:
    async def main() -> None:
        wire = Wire()
        async with (
            netstack.open(wire.port("a"), addresses=["10.0.0.1/24"], seed=1) as a,
            netstack.open(wire.port("b"), addresses=["10.0.0.2/24"], seed=2) as b,
        ):
            config = HttpConfig(idle_timeout=Duration(IDLE * SECOND), header_timeout=Duration(5 * SECOND))
            server = HttpServer(b, hello, config=config)
            await server.listen(80)
            await test(Place(server, b, a))
            await server.aclose()
            assert not server._sessions

    def run() -> None:
        run_virtual(main())

    run.__name__ = test.__name__
    return run


@in_virtual_time
async def test_a_connection_that_idles_has_no_task_and_its_next_request_is_answered(place: Place) -> None:
    streams = [await place.connect() for _ in range(5)]
    for turn in range(3):
        for stream in streams:
            assert await ask(stream, b"%d" % turn) == b"/%d from 10.0.0.1." % turn
        assert place.tasks == 5
        await asyncio.sleep(1)
        assert place.tasks == 0
        assert [each["requests"] for each in place.server.connections()] == [turn + 1] * 5
    for stream in streams:
        await stream.aclose()
    await asyncio.sleep(1)
    assert place.tasks == 0 and not place.server.connections()


@in_virtual_time
async def test_who_asks_again_at_once_keeps_his_task(place: Place) -> None:
    stream = await place.connect()
    await ask(stream)
    (task,) = place.net._tasks
    for _ in range(30):
        await asyncio.sleep(0.05)
        await ask(stream)
        assert place.net._tasks == {task}


@in_virtual_time
async def test_an_idle_connection_is_closed_when_its_time_is_up_and_counted(place: Place) -> None:
    stream = await place.connect()
    loop = asyncio.get_running_loop()
    await ask(stream)
    begun = loop.time()
    assert await stream.receive() == b""
    assert IDLE <= loop.time() - begun < IDLE + 0.5
    assert place.server.mib.Idle == 1
    assert not place.server.connections()


@in_virtual_time
async def test_who_never_says_a_word_is_closed_after_the_time_for_a_header(place: Place) -> None:
    stream = await place.connect()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await asyncio.sleep(1)
    assert place.tasks == 0
    assert await stream.receive() == b""
    assert 5 <= loop.time() - begun < 5.5


@in_virtual_time
async def test_a_head_that_trickles_after_a_rest_has_its_own_time(place: Place) -> None:
    stream = await place.connect()
    await ask(stream)
    await asyncio.sleep(IDLE - 1)
    await stream.send_all(b"GET / HT")
    await asyncio.sleep(4)
    assert place.tasks == 1  # it has begun: that is no idling
    await asyncio.sleep(2)
    assert (await stream.receive()).startswith(b"HTTP/1.1 408 ")


@in_virtual_time
async def test_closing_the_server_closes_those_who_rest(place: Place) -> None:
    stream = await place.connect()
    await ask(stream)
    await asyncio.sleep(1)
    begun = asyncio.get_running_loop().time()
    await place.server.aclose()
    assert await stream.receive() == b""
    assert asyncio.get_running_loop().time() - begun < 0.5
    assert place.tasks == 0


@in_virtual_time
async def test_a_client_that_vanishes_meanwhile_leaves_nothing(place: Place) -> None:
    stream = await place.connect()
    await ask(stream)
    await asyncio.sleep(1)
    stream.abort()
    await asyncio.sleep(1)
    assert place.tasks == 0 and not place.server.connections()
    assert not place.net._streams


def test_http2_may_begin_after_a_rest() -> None:
    pytest.importorskip("h2")

    @in_virtual_time
    async def speak(place: Place) -> None:
        stream = await place.connect()
        await asyncio.sleep(1)
        await stream.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        assert (await stream.receive())[3:4] == b"\4"  # its SETTINGS
        await stream.aclose()
        await asyncio.sleep(1)

    speak()
