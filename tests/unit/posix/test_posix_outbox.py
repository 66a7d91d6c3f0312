"""What is sent in one iteration of the loop leaves together, and nothing of it is forgotten."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from netstack_sockets.streams import LITTLE

import netstack
from netstack.signatures import Stream


def conversation(server: Callable[[Stream], Awaitable[None]], client: Callable[[Stream], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), netstack.open("posix:?address=127.0.0.1") as net:
            listener = await net.serve_streams(server, 0)
            stream = await net.connect_stream(*listener.address)
            await client(stream)
            await stream.aclose()

    asyncio.run(main())


async def everything(stream: Stream) -> bytes:
    data = b""
    while piece := await stream.receive():
        data += piece
    return data


async def ended(stream: Stream) -> None:
    await stream.send_eof()


async def closed(stream: Stream) -> None:
    await stream.aclose()


async def returned(stream: Stream) -> None:
    pass


def test_little_pieces_of_one_iteration_are_one_segment_in_their_order() -> None:
    async def server(stream: Stream) -> None:
        for piece in (b"head ", b"", b"body ", bytearray(b"tail")):
            await stream.send_all(piece)  # type: ignore[arg-type]  # a KernelStream takes every kind of buffer
            if isinstance(piece, bytearray):
                piece[:] = b"----"
        await stream.receive()

    async def client(stream: Stream) -> None:
        assert await stream.receive() == b"head body tail"

    conversation(server, client)


@pytest.mark.parametrize("end", [ended, closed, returned])
def test_the_end_comes_behind_what_was_put_off(end: Callable[[Stream], Awaitable[None]]) -> None:
    async def server(stream: Stream) -> None:
        await stream.send_all(b"the last words")
        await end(stream)

    async def client(stream: Stream) -> None:
        assert await everything(stream) == b"the last words"

    conversation(server, client)


def test_much_behind_little_goes_in_order_and_little_is_not_collected_without_bound() -> None:
    async def server(stream: Stream) -> None:
        for _ in range(100):
            await stream.send_all(b"a" * 1000)
            await stream.send_all(b"b" * 3 * LITTLE)
        for _ in range(3 * LITTLE // 1000):
            await stream.send_all(b"c" * 1000)
            assert stream._put_off <= LITTLE  # type: ignore[attr-defined]

    async def client(stream: Stream) -> None:
        data = await everything(stream)
        assert data == (b"a" * 1000 + b"b" * 3 * LITTLE) * 100 + b"c" * 1000 * (3 * LITTLE // 1000)

    conversation(server, client)


def test_a_file_comes_behind_what_was_put_off() -> None:
    async def server(stream: Stream) -> None:
        await stream.send_all(b"head ")
        with open(__file__, "rb") as file:
            await stream.send_file(file, 0, 10)  # type: ignore[attr-defined]

    async def client(stream: Stream) -> None:
        with open(__file__, "rb") as file:
            assert await everything(stream) == b"head " + file.read(10)

    conversation(server, client)
