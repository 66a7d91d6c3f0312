"""Our own streams: what each way to read and to send promises, and what they hold meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import netstack
from netstack.errors import BrokenError, BusyError, ClosedError, TimedOut, UsageError
from netstack.instant import MILLISECOND, Duration
from netstack.testing.wire import Wire

BIG = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(65536))  # 2 MiB
LARGE_MTU = 60_000  # frames that are worth a slab


@contextlib.asynccontextmanager
async def pair(mtu: int = 1500, **faults: Any) -> AsyncIterator[tuple[Any, Any, Any, Any]]:
    """A stream from `a` to `b`: both nets, and both ends of it."""
    wire = Wire(mtu=mtu, **faults)
    async with (
        netstack.open(wire.port("a"), addresses=["10.0.0.1/24"], seed=1) as a,
        netstack.open(wire.port("b"), addresses=["10.0.0.2/24"], seed=2) as b,
    ):
        accepted: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        leave = asyncio.Event()

        async def handler(stream: Any) -> None:
            accepted.set_result(stream)
            await leave.wait()

        await b.serve_streams(handler, 7)
        near = await a.connect_stream("10.0.0.2", 7)
        await near.send_all(b"!")
        far = await accepted
        assert await far.receive() == b"!"
        yield a, b, near, far
        leave.set()


def on_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @pytest.mark.parametrize("mtu", [1500, LARGE_MTU])
    def run(mtu: int) -> None:
        async def main() -> None:
            async with asyncio.timeout(20):
                await test(mtu)

        asyncio.run(main())

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


async def send(stream: Any, data: Any = BIG) -> None:
    await stream.send_all(data)
    await stream.send_eof()


@on_loop
async def test_three_ways_to_read_may_be_mixed(mtu: int) -> None:
    async with pair(mtu) as (_, _, near, far):
        rng = random.Random(7)
        got = bytearray()
        sending = asyncio.ensure_future(send(near))
        room = bytearray(100_000)
        while True:
            way = rng.randrange(4)
            if way == 0:
                limit = rng.choice([1, 100, 5000, 65536, 1 << 20])
                data: Any = await far.receive(limit)
                assert len(data) <= limit
            elif way == 1:
                data = await far.receive_view()
                assert data.readonly
            elif way == 2:
                size = rng.choice([1, 100, 5000, 100_000])
                n = await far.receive_into(memoryview(room)[:size])
                data = room[:n]
            else:
                data = b""
                async for segment in far:
                    data = segment
                    break
            if not len(data):
                break
            got += data
        await sending
        assert bytes(got) == BIG
        assert (await far.receive(), bytes(await far.receive_view()), await far.receive_into(room)) == (b"", b"", 0)


@on_loop
async def test_iteration_gives_everything_and_ends_with_the_peers_end(mtu: int) -> None:
    async with pair(mtu) as (_, _, near, far):
        sending = asyncio.ensure_future(send(near))
        digest = hashlib.sha256()
        async for segment in far:
            digest.update(segment)
        await sending
        assert digest.digest() == hashlib.sha256(BIG).digest()


@on_loop
async def test_several_buffers_are_sent_as_one(mtu: int) -> None:
    async with pair(mtu) as (_, _, near, far):
        words = memoryview(BIG[:4096]).cast("I")
        sending = asyncio.ensure_future(send(near, [b"bytes", bytearray(b"bytearray"), b"", words, memoryview(BIG)[4096:]]))
        got = b"".join([bytes(segment) async for segment in far])
        assert got == b"bytesbytearray" + BIG
        await sending
    async with pair(mtu) as (_, _, near, far):
        await send(near, memoryview(b"0123456789")[::2])  # not in one piece
        assert await far.receive() == b"02468"


@on_loop
async def test_what_may_change_is_copied_and_what_may_not_is_sent_from_where_it_is(mtu: int) -> None:
    async with pair(mtu, delay=20 * MILLISECOND) as (a, _, near, far):
        mine = bytearray(b"before" * 20_000)
        await near.send_all(mine)
        mine[:] = b"after!" * 20_000  # nothing holds it: it can even be resized
        mine.append(0)
        fixed = bytearray(100_000)
        await near.send_all(memoryview(fixed).toreadonly())
        with pytest.raises(BufferError):
            fixed.append(0)
        await near.send_eof()
        assert b"".join([bytes(segment) async for segment in far]) == b"before" * 20_000 + bytes(100_000)
        while a.stack.tcp.hub.held:
            await asyncio.sleep(0.01)
        gc.collect()
        fixed.append(0)  # let go with its acknowledgement


@on_loop
async def test_a_reader_that_stops_stops_the_peer_and_what_waits_is_accounted_for(mtu: int) -> None:
    async with pair(mtu) as (_, b, near, far):
        task = asyncio.ensure_future(send(near, [BIG] * 8))
        await asyncio.sleep(0.3)
        assert not task.done()
        waits = far.user.unread
        size = far.connection.rcv_buf
        assert 32768 <= waits <= size + size // 8 + 512  # what rounding lends: tcp/window.py
        assert size <= 1 << 20
        assert far.connection.held == waits == b.stack.tcp.hub.held
        assert far.connection.info().unread == waits
        total = 0
        async for segment in far:
            total += len(segment)
        assert total == 8 * len(BIG)
        assert far.connection.held == b.stack.tcp.hub.held == 0
        await task


@on_loop
async def test_what_nobody_read_is_given_back_when_the_stream_is_closed_or_dropped(mtu: int) -> None:
    for dropped in (False, True):
        async with pair(mtu) as (_, b, near, far):
            await near.send_all(BIG[:40_000])
            await near.send_eof()
            while far.user.unread < 40_000 or not far.user.eof_seen:
                await asyncio.sleep(0.01)
            assert b.stack.tcp.hub.held == 40_000
            if not dropped:
                far.close()
                assert b.stack.tcp.hub.held == 0
                continue
            near.abort()
            while not far.user.ended:
                await asyncio.sleep(0.01)
            assert len(await far.receive(100)) == 100  # a reset takes nothing away that had come before it
        tcp = b.stack.tcp
        del near, far, b, _
        await asyncio.sleep(0)
        gc.collect()
        assert tcp.hub.held == 0


@on_loop
async def test_a_hoarder_of_views_costs_copies_and_loses_nothing(mtu: int) -> None:
    async with pair(mtu) as (_, _, near, far):
        sending = asyncio.ensure_future(send(near, [BIG] * 10))
        hoard = [segment async for segment in far]
        await sending
        assert b"".join(hoard) == BIG * 10
        shown = {id(segment.obj) for segment in hoard if isinstance(segment.obj, bytearray)}
        assert len(shown) <= 256
        if mtu == LARGE_MTU:
            assert len(shown) >= 200
            assert any(isinstance(segment.obj, bytes) for segment in hoard)  # the rest was copied


@on_loop
async def test_little_pieces_are_copied_together(mtu: int) -> None:
    async with pair(mtu) as (_, _, near, far):
        near.connection.set_nodelay(True, 0)
        for _ in range(1000):
            await near.send_all(b"x")
            if not _ % 50:
                await asyncio.sleep(0)
        await near.send_eof()
        while not far.user.eof_seen:
            await asyncio.sleep(0.01)
        pieces = [segment async for segment in far]
        assert sum(map(len, pieces)) == 1000
        assert len(pieces) <= 3


@on_loop
async def test_one_reader_and_one_writer_at_a_time_and_time_limits(mtu: int) -> None:
    async with pair(mtu) as (_, _, near, far):
        with pytest.raises(TimedOut):
            await far.receive(timeout=Duration(10 * MILLISECOND))
        with pytest.raises(TimedOut):
            await far.receive_view(Duration(10 * MILLISECOND))
        waiting = asyncio.ensure_future(far.receive_view())
        await asyncio.sleep(0)
        for call in (far.receive(), far.receive_view(), far.receive_into(bytearray(1)), far.__anext__()):
            with pytest.raises(BusyError):
                await call
        waiting.cancel()
        await asyncio.wait([waiting])
        await near.send_all(b"after all")
        assert await far.receive() == b"after all"
        for nothing in (bytearray(), b"read-only"):
            with pytest.raises(UsageError):
                await far.receive_into(nothing)  # type: ignore[arg-type]  # that is the point
        with pytest.raises(UsageError):
            await far.receive(0)
        with pytest.raises(TimedOut):
            await near.send_all([BIG] * 8, Duration(10 * MILLISECOND))
        sending = asyncio.ensure_future(near.send_all(BIG))
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await near.send_all(b"x")
        sending.cancel()
        await asyncio.wait([sending])


@on_loop
async def test_a_broken_stream_says_so_to_every_call_and_a_closed_one_too(mtu: int) -> None:
    async with pair(mtu) as (_, _, near, far):
        waiting = asyncio.ensure_future(far.__anext__())
        await asyncio.sleep(0)
        near.abort()
        with pytest.raises(BrokenError):
            await waiting
        with pytest.raises(BrokenError):
            await far.receive_into(bytearray(1))
        with pytest.raises(BrokenError):
            await far.send_all([b"x"])
        with pytest.raises(ClosedError):
            await near.receive_view()
        with pytest.raises(ClosedError):
            await near.send_all(b"x")
