"""The further verbs of our own streams, for stacks that have them too: segments without a copy, buffers, files.

They are no part of `signatures.Stream`: what is written against that one must do without. A stack that offers a verb of this name
should mean the same by it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...errors import BrokenError, ClosedError, TimedOut, UsageError
from .runner import Cancelled
from .suite import SOON, StreamSuiteBase, StreamWorld, case, needs, pattern, raises, read_all, read_exactly, send_and_end

BIG = 2 << 20


@contextmanager
def a_file(data: bytes) -> Iterator[Any]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file


class VerbSuite(StreamSuiteBase):
    """`receive_into`, `receive_view`, `async for`, several buffers in one send, `send_file`: what `TcpStream` promises of them.

    files   there is a `send_file`
    """

    files = True

    # -- receiving -------------------------------------------------------------------------------------------------------------

    @case
    async def test_a_buffer_is_filled_with_what_is_there(self, world: StreamWorld) -> None:
        async with world.joined() as ends:
            near, far = cast_both(ends)
            room = bytearray(10)
            await far.send_all(b"abc")
            await world.settle()
            assert await near.receive_into(room) == 3
            assert room[:3] == b"abc"
            await far.send_all(b"0123456789more")
            await world.settle()
            assert await near.receive_into(memoryview(room)[5:]) == 5
            assert room == b"abc\0\x0001234"
            assert await read_exactly(near, 9) == b"56789more"
            await far.aclose()
            assert await near.receive_into(room) == 0

    @case
    async def test_a_buffer_that_takes_nothing_is_a_mistake(self, world: StreamWorld) -> None:
        async with world.joined() as ends:
            near, _ = cast_both(ends)
            for buffer in (bytearray(), memoryview(b"fixed"), memoryview(bytearray(8))[::2]):
                with raises(UsageError):
                    await near.receive_into(buffer)

    @case
    async def test_views_are_read_only_and_stay_as_they_are(self, world: StreamWorld) -> None:
        data = pattern(BIG)
        async with world.joined() as ends:
            near, far = cast_both(ends)
            sending = world.start(send_and_end(far, data))
            views = []
            while view := await near.receive_view():
                assert view.readonly
                views.append(view)
            assert b"".join(views) == data
            assert len(await near.receive_view()) == 0
            await sending.result()

    @case
    async def test_iterating_gives_everything_and_ends_with_the_peers_end(self, world: StreamWorld) -> None:
        data = pattern(BIG)
        async with world.joined() as ends:
            near, far = cast_both(ends)
            sending = world.start(send_and_end(far, data))
            digest = hashlib.sha256()
            async for segment in near:
                digest.update(segment)
            assert digest.digest() == hashlib.sha256(data).digest()
            await sending.result()

    @case
    async def test_iterating_over_a_broken_stream_raises(self, world: StreamWorld) -> None:
        async with world.joined() as ends:
            near, far = cast_both(ends)
            far.abort()
            with raises(BrokenError):
                async for _ in near:
                    pass

    @case
    async def test_the_ways_to_receive_may_be_mixed(self, world: StreamWorld) -> None:
        data = pattern(BIG)
        async with world.joined() as ends:
            near, far = cast_both(ends)
            sending = world.start(send_and_end(far, data))
            got = bytearray()
            room = bytearray(100_000)
            while True:
                way = world.rng.randrange(3)
                if way == 0:
                    piece: Any = await near.receive(world.rng.choice([1, 100, 5000, 1 << 20]))
                elif way == 1:
                    piece = await near.receive_view()
                else:
                    piece = room[: await near.receive_into(memoryview(room)[: world.rng.choice([1, 100, 100_000])])]
                if not len(piece):
                    break
                got += piece
            assert got == data
            await sending.result()

    @case
    async def test_they_time_out_and_are_cancelled_alike(self, world: StreamWorld) -> None:
        async with world.joined() as ends:
            near, far = cast_both(ends)
            room = bytearray(100)
            with raises(TimedOut):
                await near.receive_view(SOON)
            with raises(TimedOut):
                await near.receive_into(room, SOON)
            for work in (near.receive_view(), near.receive_into(room), near.__anext__()):
                waiting = await world.waiting(work)
                waiting.cancel()
                with raises(Cancelled):
                    await waiting.result()
            await far.send_all(b"all there")
            assert await read_exactly(near, 9) == b"all there"
            await near.aclose()
            for work in (near.receive_view(), near.receive_into(room), near.__anext__()):
                with raises(ClosedError):
                    await work

    # -- sending ---------------------------------------------------------------------------------------------------------------

    @case
    async def test_several_buffers_are_sent_as_one(self, world: StreamWorld) -> None:
        big = pattern(BIG)
        words = memoryview(big[:4096]).cast("I")
        async with world.joined() as ends:
            near, far = cast_both(ends)
            reading = world.start(read_all(far))
            await near.send_all([b"bytes", bytearray(b"bytearray"), b"", words, memoryview(big)[4096:]])
            await near.send_all((b"a", b"tuple"))
            await near.send_all([])
            await near.send_all(memoryview(b"0123456789")[::2])
            await near.send_all([b"%d," % i for i in range(3000)])
            await near.send_eof()
            assert await reading.result() == b"bytesbytearray" + big + b"atuple02468" + b"".join(b"%d," % i for i in range(3000))

    @needs("takes_whole")
    @case
    async def test_what_may_change_is_sent_as_it_was(self, world: StreamWorld) -> None:
        async with world.joined() as ends:
            near, far = cast_both(ends)
            blocked, before = await world.stuffed(near)
            blocked.cancel()
            with raises(Cancelled):
                await blocked.result()
            mine = bytearray(b"before" * 10_000)
            sending = world.start(near.send_all(mine))
            await world.settle()
            mine[:] = b"after!" * 10_000
            sending.cancel()
            assert await read_exactly(far, len(before)) == before
            assert await read_exactly(far, 60_000) == b"before" * 10_000

    # -- files -----------------------------------------------------------------------------------------------------------------

    @needs("files")
    @case
    async def test_a_file_is_sent_whole(self, world: StreamWorld) -> None:
        data = pattern(BIG)
        async with world.joined() as ends:
            near, far = cast_both(ends)
            with a_file(data) as file:
                reading = world.start(read_exactly(far, len(data)))
                file.seek(7)
                assert await near.send_file(file) == len(data)
                assert await reading.result() == data
                assert file.tell() == 7, "the position is the owner's"
                assert await near.send_file(file.fileno(), count=5) == 5
                assert await read_exactly(far, 5) == data[:5]

    @needs("files")
    @case
    async def test_a_part_of_a_file_and_what_stands_around_it(self, world: StreamWorld) -> None:
        data = pattern(500_000)
        async with world.joined() as ends:
            near, far = cast_both(ends)
            reading = world.start(read_all(far))
            with a_file(data) as file:
                await near.send_all(b"<")
                assert await near.send_file(file, 100, 300_000) == 300_000
                await near.send_all(b"|")
                assert await near.send_file(file, 499_000, 5000) == 1000, "it is shorter than that"
                assert await near.send_file(file, 1 << 20) == 0
                assert await near.send_file(file, 0, 0) == 0
                await near.send_all(b">")
            await near.send_eof()
            assert await reading.result() == b"<" + data[100:300_100] + b"|" + data[499_000:] + b">"

    @needs("files")
    @case
    async def test_a_file_waits_for_a_receiver_too(self, world: StreamWorld) -> None:
        async with world.joined() as ends:
            near, far = cast_both(ends)
            blocked, before = await world.stuffed(near)
            with a_file(b"file" * (256 << 10)) as file:
                blocked.cancel()
                with raises(Cancelled):
                    await blocked.result()
                with raises(TimedOut):
                    await near.send_file(file, timeout=SOON)
                reading = world.start(read_exactly(far, len(before)))
                assert await reading.result() == before

    @needs("files")
    @case
    async def test_what_is_no_regular_file_is_a_mistake(self, world: StreamWorld) -> None:
        async with world.joined() as ends:
            near, _ = cast_both(ends)
            read, write = os.pipe()
            try:
                with raises(UsageError):
                    await near.send_file(read)
            finally:
                os.close(read)
                os.close(write)
            with a_file(b"x") as file:
                with raises(UsageError):
                    await near.send_file(file, -1)
                with raises(UsageError):
                    await near.send_file(file, 0, -1)
                await near.aclose()
                with raises(ClosedError):
                    await near.send_file(file)


def cast_both(ends: tuple[Any, Any]) -> tuple[Any, Any]:
    """Streams with further verbs, of which the signature knows nothing."""
    return ends
