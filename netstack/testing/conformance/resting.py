"""Streams that live on without a task (`rest`), for stacks that have them. As the further verbs, no part of `signatures.Stream`."""

from __future__ import annotations

from typing import Any

from ...errors import BrokenError, ClosedError, UsageError
from ...instant import SECOND, Duration
from .suite import SOON, StreamSuiteBase, StreamWorld, case, raises, read_all, read_exactly


class Guests:
    """A handler that answers what came, and rests. `turns` are those that have begun, `seen` what they have received."""

    def __init__(self, world: StreamWorld, timeout: Duration | None = None) -> None:
        self.timeout = timeout
        self.turns = 0
        self.seen: list[bytes | BaseException] = []
        self.streams: list[Any] = []
        self.ended = 0
        self._world = world

    async def handler(self, stream: Any) -> None:
        self.streams.append(stream)
        await self.turn(stream)

    async def turn(self, stream: Any) -> None:
        self.turns += 1
        try:
            data = await stream.receive()
        except BrokenError as error:
            self.seen.append(error)
            return
        self.seen.append(data)
        if data:
            await stream.send_all(data.upper())
            stream.rest(self.turn, self.timeout)
        else:
            self.ended += 1


class RestSuite(StreamSuiteBase):
    """What `TcpStream.rest` promises."""

    @case
    async def test_work_goes_on_with_each_that_comes(self, world: StreamWorld) -> None:
        guests = Guests(world)
        near = await world.connect(await world.listen(guests.handler))
        for word in (b"one", b"two", b"three"):
            await near.send_all(word)
            assert await read_exactly(near, len(word)) == word.upper()
            await world.settle()
        assert guests.turns == 3
        assert guests.seen == [b"one", b"two", b"three"]
        await near.aclose()
        await world.until(lambda: guests.ended)

    @case
    async def test_many_rest_and_each_goes_on_by_itself(self, world: StreamWorld) -> None:
        guests = Guests(world, Duration(60 * SECOND))
        port = await world.listen(guests.handler)
        near = [await world.connect(port) for _ in range(8)]
        for turn in range(3):
            for i, stream in enumerate(near):
                await stream.send_all(b"%d of %d" % (turn, i))
            for i, stream in enumerate(near):
                assert await read_exactly(stream, 6) == b"%d OF %d" % (turn, i)
        for stream in near:
            await stream.aclose()
        await world.until(lambda: guests.ended == len(near))

    @case
    async def test_what_is_there_already_ends_the_rest_at_once(self, world: StreamWorld) -> None:
        seen: list[bytes] = []
        arrived = world.tasks.event()

        async def rest_of_it(stream: Any) -> None:
            seen.append(await stream.receive())

        async def handler(stream: Any) -> None:
            await arrived.wait()
            seen.append(await stream.receive(1))
            stream.rest(rest_of_it)

        near = await world.connect(await world.listen(handler))
        await near.send_all(b"12")
        await world.settle()
        arrived.set()
        assert await read_all(near) == b""  # closed when the second returns
        assert seen == [b"1", b"2"]

    @case
    async def test_its_time_ends_and_not_before(self, world: StreamWorld) -> None:
        rung = world.tasks.event()

        async def late(stream: Any) -> None:
            rung.set()

        async def handler(stream: Any) -> None:
            stream.rest(late, SOON)

        near = await world.connect(await world.listen(handler))
        waiting = await world.waiting(rung.wait())
        await waiting.result()
        assert await read_all(near) == b""

    @case
    async def test_the_peers_end_and_its_reset_end_the_rest(self, world: StreamWorld) -> None:
        guests = Guests(world, Duration(60 * SECOND))
        port = await world.listen(guests.handler)
        for how in ("aclose", "abort"):
            near = await world.connect(port)
            await near.send_all(b"x")
            assert await read_exactly(near, 1) == b"X"
            await world.settle()
            if how == "aclose":
                await near.aclose()
            else:
                near.abort()
        await world.until(lambda: len(guests.seen) == 4)
        assert guests.seen[:3] == [b"x", b"", b"x"]
        assert isinstance(guests.seen[3], BrokenError)

    @case
    async def test_who_is_closed_while_it_rests_rests_for_ever(self, world: StreamWorld) -> None:
        guests = Guests(world, SOON)
        port = await world.listen(guests.handler)
        for how in ("aclose", "abort"):
            near = await world.connect(port)
            await near.send_all(b"x")
            assert await read_exactly(near, 1) == b"X"
            far = guests.streams.pop()
            if how == "aclose":
                await far.aclose()
                assert await read_all(near) == b""
            else:
                far.abort()
                with raises(BrokenError):
                    await read_all(near)
            with raises(ClosedError):
                await far.receive()
            near.abort()
        await world.tasks.sleep(0.4)  # their time passes
        assert guests.turns == 2

    @case
    async def test_a_handler_that_closes_or_fails_behind_its_rest_does_not_rest(self, world: StreamWorld) -> None:
        async def never(stream: Any) -> None:
            raise AssertionError("it was closed")

        async def handler(stream: Any) -> None:
            if await stream.receive() == b"behind":
                stream.rest(never)
                await stream.aclose()
            else:
                await stream.aclose()
                stream.rest(never)

        port = await world.listen(handler)
        for word in (b"behind", b"before"):
            near = await world.connect(port)
            await near.send_all(word)
            assert await read_all(near) == b""
            await near.aclose()

    @case
    async def test_only_who_has_a_handler_can_rest(self, world: StreamWorld) -> None:
        async with world.joined() as (near, _):
            stream: Any = near
            with raises(UsageError):
                stream.rest(read_all)

    @case
    async def test_leaving_ends_what_rests(self, world: StreamWorld) -> None:
        guests = Guests(world, Duration(60 * SECOND))
        near = await world.connect(await world.listen(guests.handler))
        await near.send_all(b"x")
        assert await read_exactly(near, 1) == b"X"
        await world.settle()
        # the suite leaves the stacks now: it would find a task or a timer that is left

        async def over() -> None:
            assert guests.turns == 1

        world.afterwards.append(over)
