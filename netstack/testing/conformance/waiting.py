"""Waiting: brakes, time-outs, cancelling, and two who want the same."""

from __future__ import annotations

import contextlib

from ...errors import BrokenError, BusyError, TimedOut
from ...instant import MICROSECOND, Duration
from .runner import Cancelled
from .suite import SOON, StreamSuiteBase, StreamWorld, case, needs, pattern, raises, read_all, read_exactly, swallow

BLOCK = 65536


class Waiting(StreamSuiteBase):
    # -- the brake -------------------------------------------------------------------------------------------------------------

    @case
    async def test_a_peer_that_does_not_receive_stops_the_sender(self, world: StreamWorld) -> None:
        """And starts him again; what is on the way between them has a bound."""
        sent = 0
        block = pattern(BLOCK)

        async with world.joined() as (near, far):

            async def pump() -> None:
                nonlocal sent
                while sent <= 2 * self.most:  # or a stack without a bound would take all the memory there is
                    await near.send_all(block)
                    sent += len(block)

            pumping = world.start(pump())
            stopped_at = await world.stalled(lambda: sent)
            assert BLOCK <= stopped_at <= self.most, f"stopped after {stopped_at} bytes"
            taken = 0
            while sent < stopped_at + 20 * BLOCK:
                data = await far.receive()
                assert data == (block * 2)[taken % BLOCK :][: len(data)]
                taken += len(data)
            stopped_again = await world.stalled(lambda: sent)
            assert stopped_again - taken <= self.most
            assert not pumping.done()

    @case
    async def test_a_slow_receiver_gets_everything(self, world: StreamWorld) -> None:
        data = pattern(1 << 20)
        async with world.joined() as (near, far):
            sending = world.start(near.send_all(data))
            got = bytearray()
            while len(got) < len(data):
                got += await far.receive(50_000)
                await world.tasks.sleep(0.001)
            assert got == data
            await sending.result()

    @case
    async def test_a_blocked_direction_does_not_block_the_other(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            blocked, _ = await world.stuffed(near)
            data = pattern(300_000)
            sending = world.start(far.send_all(data))
            assert await read_exactly(near, len(data)) == data
            await sending.result()
            assert not blocked.done()

    # -- time-outs -------------------------------------------------------------------------------------------------------------

    @case
    async def test_a_receive_times_out_and_may_be_repeated(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            for _ in range(2):
                with raises(TimedOut) as caught:
                    await near.receive(timeout=SOON)
                assert isinstance(caught.error, OSError)
                assert isinstance(caught.error, TimeoutError)
            await far.send_all(b"late")
            assert await read_exactly(near, 4) == b"late"

    @case
    async def test_no_time_at_all_takes_what_is_there(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            with raises(TimedOut):
                await near.receive(timeout=Duration(0))
            await far.send_all(b"ab")
            await world.settle()
            assert await near.receive(1) == b"a"
            assert await near.receive(timeout=Duration(0)) == b"b"

    @case
    async def test_a_timeout_that_does_not_pass_does_nothing(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            receiving = world.start(near.receive(timeout=SOON))
            await far.send_all(b"in time")
            assert await receiving.result() == b"in time"
            waiting = await world.waiting(near.receive())
            await world.settle()  # past the first one's time
            assert not waiting.done()

    @case
    async def test_receives_that_time_out_lose_nothing(self, world: StreamWorld) -> None:
        data = pattern(60_000)
        async with world.joined() as (near, far):

            async def drip() -> None:
                for i in range(0, len(data), 600):
                    await near.send_all(data[i : i + 600])
                    await world.turns(world.rng.randrange(4))

            dripping = world.start(drip())
            got = bytearray()
            while len(got) < len(data):
                with contextlib.suppress(TimedOut):
                    got += await far.receive(500, timeout=Duration(world.rng.randrange(200) * MICROSECOND))
            assert got == data
            await dripping.result()

    @needs("takes_whole")
    @case
    async def test_a_send_that_times_out_counts_as_sent(self, world: StreamWorld) -> None:
        data = pattern(1 << 20)
        async with world.joined() as (near, far):
            sent = bytearray()
            while True:
                try:
                    sent += data
                    await near.send_all(data, timeout=SOON)
                except TimedOut:
                    break
            assert await read_exactly(far, len(sent)) == sent
            await near.send_all(b"and on")
            assert await read_exactly(far, 6) == b"and on"

    @case
    async def test_a_receiver_that_timed_out_hears_of_the_end(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            with raises(TimedOut):
                await near.receive(timeout=SOON)
            await far.aclose()
            assert await near.receive(timeout=Duration(100 * SOON)) == b""

    # -- cancelling ------------------------------------------------------------------------------------------------------------

    @case
    async def test_a_cancelled_receive_may_be_repeated(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            for _ in range(3):
                receiving = await world.waiting(near.receive())
                receiving.cancel()
                with raises(Cancelled):
                    await receiving.result()
            await far.send_all(b"later")
            assert await read_exactly(near, 5) == b"later"

    @case
    async def test_cancelled_receives_lose_nothing(self, world: StreamWorld) -> None:
        """Cancelled at any moment, also when the bytes have come and the task doesn't run yet."""
        data = pattern(60_000)
        async with world.joined() as (near, far):

            async def drip() -> None:
                for i in range(0, len(data), 300):
                    await near.send_all(data[i : i + 300])
                    await world.turns(world.rng.randrange(5))

            dripping = world.start(drip())
            got = bytearray()
            while len(got) < len(data):
                receiving = world.start(far.receive(500))
                await world.turns(world.rng.randrange(6))
                receiving.cancel()
                with contextlib.suppress(Cancelled):
                    got += await receiving.result()
            assert got == data
            await dripping.result()

    @needs("takes_whole")
    @case
    async def test_a_cancelled_send_counts_as_sent(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            sending, data = await world.stuffed(near)
            sending.cancel()
            with raises(Cancelled):
                await sending.result()
            following = world.start(near.send_all(b"and on"))
            assert await read_exactly(far, len(data)) == data
            assert await read_exactly(far, 6) == b"and on"
            await following.result()

    @needs("takes_whole")
    @case
    async def test_a_cancelled_send_is_followed_by_the_end(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            sending, data = await world.stuffed(near)
            sending.cancel()
            with raises(Cancelled):
                await sending.result()
            await near.send_eof()
            assert await read_all(far) == data

    @case
    async def test_a_cancelled_send_never_passes_for_all_there_was(self, world: StreamWorld) -> None:
        """Closed after it, the stream gives its peer everything, or an error: not a clean end in the middle."""
        async with world.joined() as (near, far):
            sending, data = await world.stuffed(near)
            sending.cancel()
            with raises(Cancelled):
                await sending.result()
            with contextlib.suppress(TimedOut, BrokenError):
                await near.send_all(b"end", timeout=SOON)
            await near.aclose()
            got = bytearray()
            try:
                while piece := await far.receive():
                    got += piece
            except BrokenError:
                return
            assert got == data + b"end"

    @case
    async def test_a_stream_outlives_calls_that_were_cancelled(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            reading = world.start(swallow(far))
            await world.turns(3)
            reading.cancel()
            with raises(Cancelled):
                await reading.result()
            await near.send_all(b"x")
            assert await far.receive() == b"x"

    # -- one at a time ---------------------------------------------------------------------------------------------------------

    @case
    async def test_a_second_receiver_is_told_at_once(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            first = await world.waiting(near.receive())
            for _ in range(2):
                with raises(BusyError):
                    await near.receive()
            await far.send_all(b"for the first")
            assert await first.result() == b"for the first"
            await far.send_all(b"for anybody")
            assert await read_exactly(near, 11) == b"for anybody"

    @case
    async def test_a_second_sender_is_told_at_once(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            first, data = await world.stuffed(near)
            for _ in range(2):
                with raises(BusyError):
                    await near.send_all(b"x")
            assert await read_exactly(far, len(data)) == data
            await first.result()
            await near.send_all(b"x")
            assert await far.receive() == b"x"

    @case
    async def test_one_may_receive_while_another_sends(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            receiving = await world.waiting(near.receive())
            await near.send_all(b"question")
            assert await read_exactly(far, 8) == b"question"
            await far.send_all(b"answer")
            assert await receiving.result() == b"answer"
