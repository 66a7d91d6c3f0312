"""Files over streams, ours and asyncio's."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import netstack
from netstack.errors import UsageError
from netstack.runtime.fileblocks import BLOCK, read_at, read_blocks
from netstack.testing.wire import Wire

BIG = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(40_000))  # 1.28 MB, no multiple of a block


def on_loop(test: Callable[[Path], Awaitable[None]]) -> Callable[[Path], None]:
    def run(tmp_path: Path) -> None:
        file = tmp_path / "big"
        file.write_bytes(BIG)

        async def main() -> None:
            async with asyncio.timeout(20):
                await test(file)

        asyncio.run(main())

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


@contextlib.asynccontextmanager
async def sender() -> AsyncIterator[tuple[Any, asyncio.Future[bytes]]]:
    """A stream, and all that will have come at its other end."""
    wire = Wire(mtu=9000)
    async with (
        netstack.open(wire.port("a"), addresses=["10.0.0.1/24"], seed=1) as a,
        netstack.open(wire.port("b"), addresses=["10.0.0.2/24"], seed=2) as b,
    ):
        came: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def handler(stream: Any) -> None:
            came.set_result(b"".join([bytes(segment) async for segment in stream]))

        await b.serve_streams(handler, 7)
        yield await a.connect_stream("10.0.0.2", 7), came


@on_loop
async def test_a_file_arrives_whole_and_its_position_stays(path: Path) -> None:
    async with sender() as (stream, came):
        with path.open("rb") as file:
            file.seek(5)
            assert await stream.send_file(file) == len(BIG)
            assert file.tell() == 5
        await stream.send_eof()
        assert await came == BIG


@on_loop
async def test_a_part_of_it_and_no_more_than_there_is(path: Path) -> None:
    async with sender() as (stream, came):
        fd = os.open(path, os.O_RDONLY)
        try:
            assert await stream.send_file(fd, 100, BLOCK + 1) == BLOCK + 1
            assert await stream.send_file(fd, len(BIG) - 10, 100) == 10
            assert await stream.send_file(fd, len(BIG) + 10) == 0
            assert await stream.send_file(fd, 3, 0) == 0
        finally:
            os.close(fd)
        await stream.send_eof()
        assert await came == BIG[100 : 101 + BLOCK] + BIG[-10:]


@on_loop
async def test_a_file_that_is_cut_short_meanwhile_is_sent_as_far_as_it_goes(path: Path) -> None:
    with path.open("rb") as file:
        blocks = read_blocks(file.fileno(), 0, len(BIG))
        first = await anext(blocks)
        os.truncate(path, BLOCK + 1000)
        rest = [bytes(block) async for block in blocks]
    assert bytes(first) + b"".join(rest) == BIG[: BLOCK + 1000]


@on_loop
async def test_blocks_stay_as_they_are_while_somebody_holds_them_and_are_used_again_when_nobody_does(path: Path) -> None:
    with path.open("rb") as file:
        held = [block async for block in read_blocks(file.fileno(), 0, len(BIG))]
        assert b"".join(held) == BIG
        assert len({id(block.obj) for block in held}) == len(held) == 5
        with pytest.raises(TypeError):
            held[0][0] = 1  # type: ignore[index]  # that is the point
        slabs = set()
        async for block in read_blocks(file.fileno(), 0, len(BIG)):
            slabs.add(id(block.obj))
        assert len(slabs) <= 2


@on_loop
async def test_a_kernel_that_says_end_of_what_it_has_not_got_at_hand_is_not_believed(path: Path) -> None:
    def preadv(fd: int, room: list[memoryview], offset: int, flags: int = 0) -> int:
        return 0 if flags else real(fd, room, offset)

    real = os.preadv
    with path.open("rb") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "preadv", preadv)
        assert b"".join([bytes(block) async for block in read_blocks(file.fileno(), 0, 1 << 30)]) == BIG


@on_loop
async def test_what_can_not_be_read_without_waiting_is_read_in_a_thread(path: Path) -> None:
    fd = os.open("/proc/self/status", os.O_RDONLY)  # a file system that can't say whether it would have to wait
    try:
        room = bytearray(4096)
        assert await read_at(fd, memoryview(room), 0) > 0
        assert room.startswith(b"Name:")
    finally:
        os.close(fd)
    fd = os.open(path, os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="Bad file descriptor"):
            await read_at(fd, memoryview(bytearray(1)), 0)
    finally:
        os.close(fd)


@on_loop
async def test_what_is_no_file_is_refused(path: Path) -> None:
    async with sender() as (stream, came):
        reading, writing = os.pipe()
        try:
            with pytest.raises(UsageError):
                await stream.send_file(reading)
        finally:
            os.close(reading)
            os.close(writing)
        with path.open("rb") as file:
            for offset, count in ((-1, None), (0, -1)):
                with pytest.raises(UsageError):
                    await stream.send_file(file, offset, count)
        await stream.send_eof()
        assert await came == b""


@on_loop
async def test_asyncios_own_sendfile_works_on_our_transports(path: Path) -> None:
    wire = Wire(mtu=9000)
    async with (
        netstack.open(wire.port("a"), addresses=["10.0.0.1/24"], seed=1) as a,
        netstack.open(wire.port("b"), addresses=["10.0.0.2/24"], seed=2) as b,
    ):

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert await reader.readline() == b"the file, please\n"
            with path.open("rb") as file:
                sent = await asyncio.get_running_loop().sendfile(writer.transport, file, 10, len(BIG) - 20)  # type: ignore[arg-type]
                assert sent == len(BIG) - 20
                assert file.tell() == len(BIG) - 10
            assert await reader.readline() == b"thanks\n"  # reading goes on
            writer.close()

        await b.start_server(serve, port=7)
        reader, writer = await a.open_connection("10.0.0.2", 7)
        writer.write(b"the file, please\n")
        assert await reader.readexactly(len(BIG) - 20) == BIG[10:-10]
        writer.write(b"thanks\n")
        assert await reader.read() == b""
        writer.close()
