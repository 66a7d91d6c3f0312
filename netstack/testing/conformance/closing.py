"""Ends: of one direction, of both, in order, and by force."""

from __future__ import annotations

import contextlib

from ...errors import BrokenError, ClosedError
from ...signatures import Stream
from .suite import StreamSuiteBase, StreamWorld, case, echo, needs, pattern, raises, read_all, read_exactly, send_and_end, swallow

BIG = 2 << 20


async def say_the_end_of_what_is_over(stream: Stream) -> None:
    """Nothing comes of it, but perhaps the error that says so."""
    with contextlib.suppress(ClosedError, BrokenError):
        await stream.send_eof()


class Closing(StreamSuiteBase):
    # -- in order --------------------------------------------------------------------------------------------------------------

    @case
    async def test_the_end_comes_after_all_that_was_sent(self, world: StreamWorld) -> None:
        data = pattern(BIG)
        async with world.joined() as (near, far):
            reading = world.start(read_all(far))
            await near.send_all(data)
            await near.aclose()
            assert await reading.result() == data

    @case
    async def test_the_end_stays_the_end(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            await near.aclose()
            for _ in range(3):
                assert await far.receive() == b""

    @case
    async def test_a_receiver_that_waits_is_given_the_end(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            receiving = await world.waiting(far.receive())
            await near.aclose()
            assert await receiving.result() == b""

    @case
    async def test_what_was_sent_before_closing_is_delivered_though_nobody_reads_yet(self, world: StreamWorld) -> None:
        """`aclose` doesn't wait for the peer to read, and loses nothing."""
        data = pattern(20_000)
        async with world.joined() as (near, far):
            await near.send_all(data)
            await near.aclose()
            await world.settle()
            assert await read_all(far) == data

    @case
    async def test_closing_twice_is_closing_once(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            await near.aclose()
            await near.aclose()
            near.abort()
            await near.aclose()
            await swallow(far)

    @case
    async def test_a_closed_stream_says_so(self, world: StreamWorld) -> None:
        async with world.joined() as (near, _):
            await near.aclose()
            for _ in range(2):
                with raises(ClosedError):
                    await near.receive()
                with raises(ClosedError):
                    await near.send_all(b"x")
            await say_the_end_of_what_is_over(near)

    @case
    async def test_closing_wakes_a_receiver(self, world: StreamWorld) -> None:
        async with world.joined() as (near, _):
            receiving = await world.waiting(near.receive())
            await near.aclose()
            with raises(ClosedError):
                await receiving.result()

    @case
    async def test_closing_wakes_a_sender(self, world: StreamWorld) -> None:
        async with world.joined() as (near, _):
            sending, _ = await world.stuffed(near)
            await near.aclose()
            with raises(ClosedError):
                await sending.result()

    @needs("unread_told")
    @case
    async def test_closing_with_something_unread_tells_the_peer(self, world: StreamWorld) -> None:
        """It can't have been read, and the peer must not believe so (RFC 2525 2.17)."""
        async with world.joined() as (near, far):
            await near.send_all(b"never read")
            await far.receive(1)
            await far.aclose()
            with raises(BrokenError) as caught:
                await near.receive()
            self.check_reset(caught.error)

    @case
    async def test_what_comes_after_closing_tells_the_peer_too(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            await far.aclose()
            assert await near.receive() == b""
            with raises(BrokenError):
                for _ in range(100):
                    await near.send_all(b"never read")
                    await world.settle()

    # -- one direction ---------------------------------------------------------------------------------------------------------

    @needs("half_close")
    @case
    async def test_an_answer_comes_after_the_end_of_the_question(self, world: StreamWorld) -> None:
        async def answer(stream: Stream) -> None:
            question = await read_all(stream)
            await stream.send_all(question.upper())

        stream = await world.connect(await world.listen(answer))
        await send_and_end(stream, b"what?")
        assert await read_all(stream) == b"WHAT?"
        await stream.aclose()

    @needs("half_close")
    @case
    async def test_the_server_may_end_first_and_still_hears(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            await send_and_end(far, b"go on")
            assert await read_all(near) == b"go on"
            data = pattern(BIG)
            reading = world.start(read_all(far))
            await send_and_end(near, data)
            assert await reading.result() == data

    @needs("half_close")
    @case
    async def test_both_end_and_both_hear_of_it(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            await near.send_eof()
            await far.send_eof()
            assert await near.receive() == await far.receive() == b""
            assert await near.receive() == await far.receive() == b""
            await near.aclose()
            await far.aclose()

    @needs("half_close", "ends_meanwhile")
    @case
    async def test_ending_does_not_overtake_what_was_sent(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            sending, data = await world.stuffed(near)
            await near.send_eof()
            assert await read_all(far) == data
            await sending.result()

    @case
    async def test_ending_twice_is_ending_once(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            await near.send_all(b"x")
            await near.send_eof()
            await near.send_eof()
            assert await read_all(far) == b"x"

    @case
    async def test_nothing_can_be_sent_after_the_end(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            await near.send_eof()
            for _ in range(2):
                with raises(ClosedError):
                    await near.send_all(b"x")
            assert await far.receive() == b""

    @needs("half_close")
    @case
    async def test_a_receiver_goes_on_while_its_side_ends(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            receiving = await world.waiting(near.receive())
            await near.send_eof()
            await far.send_all(b"still here")
            assert await receiving.result() == b"still here"

    # -- by force --------------------------------------------------------------------------------------------------------------

    @case
    async def test_an_abort_is_a_reset_to_the_peer(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            receiving = await world.waiting(far.receive())
            near.abort()
            with raises(BrokenError) as caught:
                await receiving.result()
            self.check_reset(caught.error)

    @case
    async def test_the_server_may_abort_too(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            far.abort()
            with raises(BrokenError) as caught:
                await near.receive()
            self.check_reset(caught.error)

    @case
    async def test_a_broken_stream_stays_broken(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            far.abort()
            with raises(BrokenError):
                await near.receive()
            for _ in range(3):
                with raises(BrokenError) as caught:
                    await near.send_all(b"x")
                assert isinstance(caught.error, ConnectionError), "programs catch it as the OSError that it is"
                self.check_reset(caught.error)
                with raises(BrokenError):
                    await near.receive()
            await say_the_end_of_what_is_over(near)
            await near.aclose()
            with raises(ClosedError):
                await near.receive()

    @case
    async def test_an_abort_breaks_a_sender_that_waits(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            sending, _ = await world.stuffed(near)
            far.abort()
            with raises(BrokenError):
                await sending.result()

    @case
    async def test_ones_own_abort_wakes_whoever_waits(self, world: StreamWorld) -> None:
        async with world.joined() as (near, _):
            receiving = await world.waiting(near.receive())
            sending, _ = await world.stuffed(near)
            near.abort()
            for job in (receiving, sending):
                with raises(ClosedError):
                    await job.result()

    @case
    async def test_an_aborted_stream_is_closed(self, world: StreamWorld) -> None:
        async with world.joined() as (near, _):
            near.abort()
            near.abort()
            await near.aclose()
            with raises(ClosedError):
                await near.receive()
            with raises(ClosedError):
                await near.send_all(b"x")
            await say_the_end_of_what_is_over(near)

    @case
    async def test_an_abort_after_closing_drops_what_was_not_delivered(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            sending, _ = await world.stuffed(near)
            await near.aclose()
            near.abort()
            with raises(ClosedError):
                await sending.result()
            with raises(BrokenError):
                while await far.receive():
                    pass

    @case
    async def test_a_reset_stream_leaves_others_alone(self, world: StreamWorld) -> None:
        port = await world.listen(echo)
        one, two = await world.connect(port), await world.connect(port)
        await one.send_all(b"1")
        assert await one.receive() == b"1"
        one.abort()
        await two.send_all(b"2")
        assert await read_exactly(two, 1) == b"2"
        await two.aclose()
        world.tasks.reported[:] = [error for error in world.tasks.reported if not isinstance(error, BrokenError)]
