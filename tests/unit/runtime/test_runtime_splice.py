"""Two streams joined: on one stack, across two stacks, and what ends them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import netstack
from netstack.errors import BrokenError, BusyError, ClosedError, PeerReset, UsageError
from netstack.testing.wire import Wire

BIG = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(1 << 16))  # 2 MiB


@contextlib.asynccontextmanager
async def relay(two_stacks: bool, **faults: Any) -> AsyncIterator[tuple[Any, Any, Any, Any]]:
    """client, front, back, server: `front` takes in what `client` sends, `back` connects to `server`; one net or two."""
    wire = Wire(**faults)
    other = Wire(**faults) if two_stacks else wire
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(netstack.open(wire.port("c"), addresses=["10.0.0.1/24"], seed=1))
        front = await stack.enter_async_context(netstack.open(wire.port("f"), addresses=["10.0.0.2/24"], seed=2))
        back = front
        if two_stacks:
            back = await stack.enter_async_context(netstack.open(other.port("b"), addresses=["10.0.0.3/24"], seed=3))
        server = await stack.enter_async_context(netstack.open(other.port("s"), addresses=["10.0.0.4/24"], seed=4))
        yield client, front, back, server


class Spliced:
    """A relay that is listening: `ends` are the results of its splices."""

    def __init__(self, front: Any, back: Any) -> None:
        self.front = front
        self.back = back
        self.ends: list[Any] = []
        self.ended = asyncio.Event()
        self.streams: list[Any] = []
        self.tasks: list[Any] = []

    async def __call__(self, near: Any) -> None:
        far = await self.back.connect_stream("10.0.0.4", 9)
        self.streams += [near, far]
        self.tasks.append(asyncio.current_task())
        try:
            self.ends.append(await netstack.splice(near, far))
        except BaseException as error:
            self.ends.append(error)
            raise
        finally:
            self.ended.set()


def worlds(test: Callable[..., Awaitable[None]]) -> Callable[[bool], None]:
    @pytest.mark.parametrize("two_stacks", [False, True], ids=["one stack", "two stacks"])
    def run(two_stacks: bool) -> None:
        async def main() -> None:
            async with asyncio.timeout(20):
                await test(two_stacks)

        asyncio.run(main())

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


async def soon(holds: Callable[[], bool]) -> None:
    """The other end's task has still to be woken; the world's time limit ends this."""
    while not holds():
        await asyncio.sleep(0.001)


async def read_all(stream: Any) -> bytes:
    parts = []
    while data := await stream.receive():
        parts.append(data)
    return b"".join(parts)


@worlds
async def test_megabytes_pass_both_ways_at_once_and_are_counted(two_stacks: bool) -> None:
    async with relay(two_stacks) as (client, front, back, server):
        joint = Spliced(front, back)
        await front.serve_streams(joint, 7)
        heard: list[bytes] = []

        async def serve(stream: Any) -> None:
            async def answer() -> None:
                await stream.send_all(BIG[::-1])
                await stream.send_eof()

            data, _ = await asyncio.gather(read_all(stream), answer())
            heard.append(data)

        await server.serve_streams(serve, 9)
        stream = await client.connect_stream("10.0.0.2", 7)

        async def send() -> None:
            await stream.send_all([BIG[:100], BIG[100:]])
            await stream.send_eof()

        answer, _ = await asyncio.gather(read_all(stream), send())
        await joint.ended.wait()
        await soon(lambda: bool(heard))
        assert answer == BIG[::-1]
        assert heard == [BIG]
        assert joint.ends == [(len(BIG), len(BIG))]


@worlds
async def test_it_survives_loss_and_reordering(two_stacks: bool) -> None:
    async with relay(two_stacks, loss=0.02, reorder=0.05, seed=5) as (client, front, back, server):
        joint = Spliced(front, back)
        await front.serve_streams(joint, 7)
        heard: list[bytes] = []

        async def serve(stream: Any) -> None:
            heard.append(await read_all(stream))

        await server.serve_streams(serve, 9)
        stream = await client.connect_stream("10.0.0.2", 7)
        await stream.send_all(BIG[:200_000])
        await stream.send_eof()
        assert await stream.receive() == b""
        await joint.ended.wait()
        await soon(lambda: bool(heard))
        assert heard == [BIG[:200_000]]


@worlds
async def test_an_end_is_passed_on_and_the_other_direction_goes_on(two_stacks: bool) -> None:
    async with relay(two_stacks) as (client, front, back, server):
        joint = Spliced(front, back)
        await front.serve_streams(joint, 7)

        async def answer_at_eof(stream: Any) -> None:
            await stream.send_all((await read_all(stream)).upper())

        await server.serve_streams(answer_at_eof, 9)
        stream = await client.connect_stream("10.0.0.2", 7)
        await stream.send_all(b"hello")
        await stream.send_eof()
        assert await read_all(stream) == b"HELLO"
        await joint.ended.wait()
        assert joint.ends == [(5, 5)]


@worlds
async def test_a_reset_of_one_side_resets_the_other_and_says_why(two_stacks: bool) -> None:
    async with relay(two_stacks) as (client, front, back, server):
        joint = Spliced(front, back)
        await front.serve_streams(joint, 7)
        broken: list[Exception] = []

        async def wait_for_the_end(stream: Any) -> None:
            try:
                while await stream.receive():
                    pass
            except BrokenError as error:
                broken.append(error)

        await server.serve_streams(wait_for_the_end, 9)
        stream = await client.connect_stream("10.0.0.2", 7)
        await stream.send_all(b"hello")
        await soon(lambda: len(joint.streams) == 2 and joint.streams[0].user.reader is not None)
        stream.abort()
        await joint.ended.wait()
        assert isinstance(joint.ends[0], BrokenError)
        assert isinstance(joint.ends[0].__cause__, PeerReset)
        await soon(lambda: bool(broken))
        assert isinstance(broken[0].__cause__, PeerReset)
        assert front.connections() == back.connections() == []


@worlds
async def test_a_cancelled_splice_resets_both(two_stacks: bool) -> None:
    async with relay(two_stacks) as (client, front, back, server):
        joint = Spliced(front, back)
        await front.serve_streams(joint, 7)
        broken: list[Exception] = []

        async def wait_for_the_end(stream: Any) -> None:
            try:
                await stream.receive()
            except BrokenError as error:
                broken.append(error)

        await server.serve_streams(wait_for_the_end, 9)
        stream = await client.connect_stream("10.0.0.2", 7)
        await soon(lambda: len(joint.streams) == 2 and joint.streams[0].user.reader is not None)
        joint.tasks[0].cancel()
        with pytest.raises(BrokenError):
            await stream.receive()
        await joint.ended.wait()
        await soon(lambda: bool(broken))
        assert isinstance(joint.ends[0], asyncio.CancelledError)
        assert front.connections() == back.connections() == []


@worlds
async def test_a_slow_reader_stops_the_writer_at_the_other_end(two_stacks: bool) -> None:
    async with relay(two_stacks) as (client, front, back, server):
        joint = Spliced(front, back)
        await front.serve_streams(joint, 7)
        go = asyncio.Event()
        heard: list[int] = []

        async def slow(stream: Any) -> None:
            await go.wait()
            heard.append(len(await read_all(stream)))

        await server.serve_streams(slow, 9)
        stream = await client.connect_stream("10.0.0.2", 7)
        total = 0

        async def send() -> None:
            nonlocal total
            for _ in range(24):
                await stream.send_all(BIG[:1048576])
                total += 1048576
            await stream.send_eof()

        task = asyncio.ensure_future(send())
        await asyncio.sleep(1)
        assert total < 8 << 20  # windows and marks of a connection whose reader takes nothing don't grow
        between = sum(net.stack.tcp.hub.held for net in {front, back})
        assert between < 2 << 20
        go.set()
        await task
        await joint.ended.wait()
        await soon(lambda: bool(heard))
        assert heard == [24 << 20]
        assert sum(net.stack.tcp.hub.held for net in {front, back}) == 0


@worlds
async def test_what_was_received_before_is_passed_on_too(two_stacks: bool) -> None:
    async with relay(two_stacks) as (client, front, back, server):
        heard: list[bytes] = []
        done = asyncio.Event()

        async def look_first(near: Any) -> None:
            line = await near.receive(4)
            while near.user.unread < 6 or not near.user.eof_seen:
                await asyncio.sleep(0.01)
            far = await back.connect_stream("10.0.0.4", 9)
            await far.send_all(line.lower())
            assert await netstack.splice(near, far) == (6, 3)

        async def serve(stream: Any) -> None:
            heard.append(await read_all(stream))
            await stream.send_all(b"yes")
            done.set()

        await front.serve_streams(look_first, 7)
        await server.serve_streams(serve, 9)
        stream = await client.connect_stream("10.0.0.2", 7)
        await stream.send_all(b"GET secret")
        await stream.send_eof()
        assert await read_all(stream) == b"yes"
        await done.wait()
        assert heard == [b"get secret"]


@worlds
async def test_streams_that_are_spliced_are_busy_and_then_closed(two_stacks: bool) -> None:
    async with relay(two_stacks) as (client, front, back, server):
        joint = Spliced(front, back)
        await front.serve_streams(joint, 7)

        async def serve(stream: Any) -> None:
            await read_all(stream)

        await server.serve_streams(serve, 9)
        stream = await client.connect_stream("10.0.0.2", 7)
        await stream.send_all(b"x")
        await soon(lambda: len(joint.streams) == 2 and joint.streams[0].user.reader is not None)
        near, far = joint.streams
        with pytest.raises(BusyError):
            await near.receive()
        with pytest.raises(BusyError):
            await far.send_all(b"x")
        with pytest.raises(BusyError):
            await netstack.splice(far, near)
        stream.close()
        await joint.ended.wait()
        with pytest.raises(ClosedError):
            await near.receive()
        with pytest.raises(ClosedError):
            await netstack.splice(near, far)


@worlds
async def test_what_can_not_be_joined_is_refused_and_left_alone(two_stacks: bool) -> None:
    async with relay(two_stacks) as (client, front, _back, _server):

        async def echo(stream: Any) -> None:
            while data := await stream.receive():
                await stream.send_all(data)

        await front.serve_streams(echo, 7)
        one = await client.connect_stream("10.0.0.2", 7)
        two = await client.connect_stream("10.0.0.2", 7)
        with pytest.raises(UsageError):
            await netstack.splice(one, one)
        with pytest.raises(UsageError):
            await netstack.splice(one, object())  # type: ignore[arg-type]  # that is the point
        await two.send_eof()
        with pytest.raises(UsageError):
            await netstack.splice(one, two)
        await one.send_all(b"still here")
        assert await one.receive() == b"still here"
