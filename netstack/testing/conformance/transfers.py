"""Bytes arrive: all of them, in order, once."""

from __future__ import annotations

from ...errors import UsageError
from ...signatures import Stream
from .suite import StreamSuiteBase, StreamWorld, case, echo, needs, pattern, raises, read_all, read_exactly, send_and_end

MEGABYTES = 3 << 20


class Transfers(StreamSuiteBase):
    @case
    async def test_an_echo_comes_back(self, world: StreamWorld) -> None:
        stream = await world.connect(await world.listen(echo))
        await stream.send_all(b"hello")
        assert await read_exactly(stream, 5) == b"hello"
        await stream.aclose()

    @case
    async def test_the_server_may_speak_first(self, world: StreamWorld) -> None:
        async def greet(stream: Stream) -> None:
            await stream.send_all(b"220 ready\r\n")

        stream = await world.connect(await world.listen(greet))
        assert await read_all(stream) == b"220 ready\r\n"
        await stream.aclose()

    @case
    async def test_questions_and_answers_alternate_many_times(self, world: StreamWorld) -> None:
        stream = await world.connect(await world.listen(echo))
        for i in range(300):
            question = i.to_bytes(2, "big")
            await stream.send_all(question)
            assert await read_exactly(stream, 2) == question
        await stream.aclose()

    @case
    async def test_little_sends_do_not_wait_for_each_other(self, world: StreamWorld) -> None:
        """Two of them and an answer, twenty times: where the second waits for the acknowledgement of the first, each takes as long
        as the peer may put that off, 40 ms and more. Once in three tries is often enough: machines are busy."""

        async def pairs(stream: Stream) -> None:
            while await stream.receive(1):
                await read_exactly(stream, 1)
                await stream.send_all(b"ok")

        stream = await world.connect(await world.listen(pairs))
        prompt = 0
        for _ in range(3):
            alarm = world.start(world.tasks.sleep(0.4))
            for _ in range(20):
                await stream.send_all(b"a")
                await world.tasks.sleep(0.001)  # what is sent in one go may leave in one segment
                await stream.send_all(b"b")
                assert await read_exactly(stream, 2) == b"ok"
            prompt += not alarm.done()
            alarm.cancel()
            if prompt:
                break
        assert prompt
        await stream.aclose()

    @case
    async def test_where_the_sender_cut_does_not_matter(self, world: StreamWorld) -> None:
        data = pattern(300_000)

        async def send(stream: Stream) -> None:
            at = 0
            while at < len(data):
                size = world.rng.choice([1, 2, 100, 1500, 20_000])
                await stream.send_all(data[at : at + size])
                at += size

        stream = await world.connect(await world.listen(send))
        got = bytearray()
        while piece := await stream.receive(world.rng.choice([1, 3, 500, 4096, 100_000])):
            got += piece
        assert got == data
        await stream.aclose()

    @case
    async def test_a_receive_gives_at_most_its_limit(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            await far.send_all(b"x" * 5000)
            left = 5000
            for limit in (1, 2, 100, 4000, 65536, 65536, 65536):
                if left:
                    n = len(await near.receive(limit))
                    assert 1 <= n <= limit
                    left -= n

    @case
    async def test_a_limit_that_allows_nothing_is_a_mistake(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            for limit in (0, -1):
                with raises(UsageError):
                    await near.receive(limit)
            await far.send_all(b"x")
            assert await near.receive(1) == b"x"

    @case
    async def test_sending_nothing_sends_nothing(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            await near.send_all(b"")
            await near.send_all(b"a")
            await near.send_all(b"")
            await near.send_all(b"b")
            assert await read_exactly(far, 2) == b"ab"

    @case
    async def test_what_is_sent_before_anybody_receives_waits_for_him(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            await near.send_all(b"early")
            await world.settle()
            assert await read_exactly(far, 5) == b"early"

    @case
    async def test_megabytes_come_whole_to_the_server(self, world: StreamWorld) -> None:
        data = pattern(MEGABYTES)
        async with world.joined() as (near, far):
            sending = world.start(send_and_end(near, data))
            assert await read_exactly(far, len(data)) == data
            await sending.result()

    @case
    async def test_megabytes_come_whole_to_the_client(self, world: StreamWorld) -> None:
        data = pattern(MEGABYTES)
        async with world.joined() as (near, far):
            sending = world.start(send_and_end(far, data))
            assert await read_exactly(near, len(data)) == data
            await sending.result()

    @case
    async def test_megabytes_go_both_ways_at_once(self, world: StreamWorld) -> None:
        there, back = pattern(MEGABYTES, 1), pattern(MEGABYTES, 2)
        async with world.joined() as (near, far):
            sending = [world.start(near.send_all(there)), world.start(far.send_all(back))]
            receiving = [world.start(read_exactly(far, len(there))), world.start(read_exactly(near, len(back)))]
            assert await receiving[0].result() == there
            assert await receiving[1].result() == back
            for job in sending:
                await job.result()

    @case
    async def test_one_send_may_be_larger_than_every_buffer(self, world: StreamWorld) -> None:
        data = pattern(8 << 20)
        async with world.joined() as (near, far):
            sending = world.start(near.send_all(data))
            assert await read_exactly(far, len(data)) == data
            await sending.result()

    @case
    async def test_many_small_sends_come_in_order(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            reading = world.start(read_exactly(far, 3000 * 4))
            for i in range(3000):
                await near.send_all(i.to_bytes(4, "big"))
            got = await reading.result()
            assert got == b"".join(i.to_bytes(4, "big") for i in range(3000))

    @case
    async def test_many_streams_at_once_do_not_mix(self, world: StreamWorld) -> None:
        port = await world.listen(echo)

        async def talk(i: int) -> None:
            data = pattern(30_000, i)
            stream = await world.connect(port)
            sending = world.start(stream.send_all(data))
            assert await read_exactly(stream, len(data)) == data
            await sending.result()
            await stream.aclose()

        for job in [world.start(talk(i)) for i in range(40)]:
            await job.result()

    @case
    async def test_many_streams_one_after_another(self, world: StreamWorld) -> None:
        port = await world.listen(echo)
        for i in range(100):
            stream = await world.connect(port)
            await stream.send_all(b"%d" % i)
            assert await stream.receive() == b"%d" % i
            await stream.aclose()

    @case
    async def test_a_handler_may_connect_on(self, world: StreamWorld) -> None:
        """A relay: each stack serves and connects."""
        inner = await world.listen(echo)

        async def relay(stream: Stream) -> None:
            onward = await world.client.connect_stream(world.host, inner)
            while data := await stream.receive():
                await onward.send_all(data)
                await stream.send_all(await read_exactly(onward, len(data)))
            await onward.aclose()

        stream = await world.connect(await world.listen(relay))
        await stream.send_all(b"by way of")
        assert await read_exactly(stream, 9) == b"by way of"
        await stream.aclose()

    @needs("same_addresses")
    @case
    async def test_each_side_knows_the_others_address(self, world: StreamWorld) -> None:
        async with world.joined() as (near, far):
            assert near.remote_address == far.local_address
            assert far.remote_address == near.local_address
            assert near.remote_address == (world.host, world.listeners[0].address[1])
            for host, port in (near.local_address, near.remote_address):
                assert type(host) is str
                assert 0 < port < 65536
            before = near.local_address, near.remote_address
            await near.aclose()
            assert (near.local_address, near.remote_address) == before
