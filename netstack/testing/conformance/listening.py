"""Ports, listeners, and connections that don't come about."""

from __future__ import annotations

import contextlib
from typing import Any

from ...errors import AddressInUse, BrokenError, ClosedError, Refused, TimedOut, Unreachable, UsageError
from ...signatures import Stream
from .runner import Cancelled
from .suite import NOBODY, SOON, StreamSuiteBase, StreamWorld, case, echo, needs, raises, read_all, read_exactly


class Listening(StreamSuiteBase):
    async def refused(self, world: StreamWorld, port: int) -> None:
        with raises(Refused if self.refusal_visible else OSError) as caught:
            await world.connect(port)
        assert isinstance(caught.error, OSError)

    # -- connections that don't come about -------------------------------------------------------------------------------------

    @case
    async def test_a_port_where_nobody_listens_refuses(self, world: StreamWorld) -> None:
        port = await world.unused()
        for _ in range(2):
            await self.refused(world, port)

    @case
    async def test_what_is_no_port_is_a_mistake(self, world: StreamWorld) -> None:
        for port in (-1, 65536, 1 << 40):
            with raises(UsageError):
                await world.connect(port)
            with raises(UsageError):
                await world.server.serve_streams(echo, port)
        with raises(UsageError):
            await world.connect(0)

    @case
    async def test_arguments_in_the_order_of_asyncio_are_a_mistake(self, world: StreamWorld) -> None:
        """asyncio's `start_server(handler, host, port)` and seconds lie near: no stack takes them for something else."""
        anything: Any = world.host
        with raises(UsageError):
            await world.server.serve_streams(echo, anything, "0")
        async with world.joined() as (near, _):
            half_a_second: Any = 0.5
            with raises(UsageError):
                await near.receive(timeout=half_a_second)

    @case
    async def test_connecting_times_out(self, world: StreamWorld) -> None:
        if world.ends.silent is None:
            return
        for _ in range(2):
            with raises(TimedOut):
                await world.client.connect_stream(*world.ends.silent, timeout=SOON)

    @case
    async def test_a_cancelled_connect_leaves_nothing(self, world: StreamWorld) -> None:
        if world.ends.silent is None:
            return
        connecting = await world.waiting(world.client.connect_stream(*world.ends.silent))
        connecting.cancel()
        with raises(Cancelled):
            await connecting.result()

    @case
    async def test_connects_cancelled_at_any_moment_do_no_harm(self, world: StreamWorld) -> None:
        """What the server sees of them is an end, a reset, or nothing."""
        seen: list[object] = []

        async def look(stream: Stream) -> None:
            try:
                seen.append(await stream.receive())
            except (OSError, ClosedError) as error:
                seen.append(error)

        port = await world.listen(look)
        made = 0
        for i in range(60):
            connecting = world.start(world.connect(port))
            await world.turns(i % 12)
            connecting.cancel()
            try:
                stream = await connecting.result()
            except Cancelled:
                continue
            made += 1
            await stream.send_all(b"made it")
            await stream.aclose()
        await world.until(lambda: seen.count(b"made it") == made)
        await world.settle()
        assert {item for item in seen if isinstance(item, bytes)} <= {b"made it", b""}

    # -- listeners -------------------------------------------------------------------------------------------------------------

    @needs("names_ports")
    @case
    async def test_port_0_chooses_a_port_and_says_which(self, world: StreamWorld) -> None:
        ports = {await world.listen(echo) for _ in range(3)}
        assert len(ports) == 3
        assert all(0 < port < 65536 for port in ports)
        for port in ports:
            stream = await world.connect(port)
            await stream.send_all(b"x")
            assert await stream.receive() == b"x"
            await stream.aclose()

    @needs("names_ports")
    @case
    async def test_a_port_has_one_listener(self, world: StreamWorld) -> None:
        port = await world.listen(echo)
        with raises(AddressInUse) as caught:
            await world.server.serve_streams(echo, port)
        assert isinstance(caught.error, OSError)
        stream = await world.connect(port)
        await stream.send_all(b"the first one still serves")
        assert await read_exactly(stream, 26) == b"the first one still serves"
        await stream.aclose()

    @needs("names_ports")
    @case
    async def test_a_port_is_free_as_soon_as_its_listener_has_closed(self, world: StreamWorld) -> None:
        """Though a connection that it accepted lives on."""
        port = await world.listen(echo)
        stream = await world.connect(port)
        await stream.send_all(b"x")
        assert await stream.receive() == b"x"
        await world.listeners.pop().aclose()

        async def greet(stream: Stream) -> None:
            await stream.send_all(b"the next one")

        assert await world.listen(greet, port) == port
        other = await world.connect(port)
        assert await read_all(other) == b"the next one"
        await other.aclose()
        await stream.send_all(b"y")
        assert await stream.receive() == b"y"
        await stream.aclose()

    @case
    async def test_each_listener_has_its_own_handler(self, world: StreamWorld) -> None:
        ports = []
        for i in range(4):

            async def greet(stream: Stream, i: int = i) -> None:
                await stream.send_all(b"%d" % i)

            ports.append(await world.listen(greet))
        for i in (2, 0, 3, 1):
            stream = await world.connect(ports[i])
            assert await read_all(stream) == b"%d" % i
            await stream.aclose()

    @case
    async def test_a_closed_listener_refuses(self, world: StreamWorld) -> None:
        port = await world.listen(echo)
        stream = await world.connect(port)
        await stream.send_all(b"x")
        assert await stream.receive() == b"x"
        await world.listeners.pop().aclose()
        await self.refused(world, port)
        await stream.send_all(b"accepted ones go on")
        assert await read_exactly(stream, 19) == b"accepted ones go on"
        await stream.aclose()

    @case
    async def test_closing_a_listener_twice_is_closing_it_once(self, world: StreamWorld) -> None:
        one = await world.server.serve_streams(echo, 0)
        port = one.address[1]
        await one.aclose()
        two = await world.server.serve_streams(echo, port)
        await one.aclose()
        stream = await world.connect(port)  # the second one's port is not the first one's to close
        await stream.send_all(b"x")
        assert await stream.receive() == b"x"
        await stream.aclose()
        await two.aclose()

    @needs("names_ports")
    @case
    async def test_one_listens_on_addresses_of_ones_own(self, world: StreamWorld) -> None:
        with raises(Unreachable) as caught:
            await world.server.serve_streams(echo, 0, host=NOBODY)
        assert isinstance(caught.error, OSError)
        listener = await world.server.serve_streams(echo, 0, host=world.host)
        assert listener.address[0] == world.host
        stream = await world.connect(listener.address[1])
        await stream.send_all(b"x")
        assert await stream.receive() == b"x"
        await stream.aclose()
        await listener.aclose()

    @case
    async def test_a_backlog_of_nothing_is_a_mistake(self, world: StreamWorld) -> None:
        with raises(UsageError):
            await world.server.serve_streams(echo, 0, backlog=0)

    # -- handlers --------------------------------------------------------------------------------------------------------------

    @case
    async def test_a_stream_is_closed_when_its_handler_returns(self, world: StreamWorld) -> None:
        kept: list[Stream] = []

        async def brief(stream: Stream) -> None:
            kept.append(stream)
            await stream.send_all(b"that is all")

        stream = await world.connect(await world.listen(brief))
        assert await read_all(stream) == b"that is all"
        with raises(ClosedError):
            await kept[0].receive()
        await stream.aclose()

    @case
    async def test_a_handler_that_raises_costs_its_own_stream(self, world: StreamWorld) -> None:
        async def divide(stream: Stream) -> None:
            await stream.send_all(b"%d" % (1 // int(await stream.receive())))

        port = await world.listen(divide)
        for _ in range(2):
            stream = await world.connect(port)
            await stream.send_all(b"0")
            with raises(BrokenError) as caught:
                await stream.receive()
            self.check_reset(caught.error)
            await stream.aclose()
        assert [type(error) for error in world.tasks.reported] == [ZeroDivisionError] * 2
        world.tasks.reported.clear()
        stream = await world.connect(port)
        await stream.send_all(b"1")
        assert await read_all(stream) == b"1"
        await stream.aclose()

    @case
    async def test_handlers_run_side_by_side(self, world: StreamWorld) -> None:
        inside = 0
        most = 0
        go = world.tasks.event()

        async def meet(stream: Stream) -> None:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            await go.wait()
            await stream.send_all(b"bye")

        port = await world.listen(meet)
        streams = [await world.connect(port) for _ in range(20)]
        await world.until(lambda: most == 20)
        go.set()
        for stream in streams:
            assert await read_all(stream) == b"bye"
            await stream.aclose()

    @case
    async def test_a_handler_starts_though_the_client_says_nothing(self, world: StreamWorld) -> None:
        started = world.tasks.event()

        async def handler(stream: Stream) -> None:
            started.set()
            await stream.receive()

        stream = await world.connect(await world.listen(handler))
        await started.wait()
        await stream.aclose()

    @case
    async def test_a_burst_of_connections_is_served(self, world: StreamWorld) -> None:
        port = await world.listen(echo, backlog=128)

        async def visit(i: int) -> bytes:
            stream = await world.connect(port)
            await stream.send_all(b"%3d" % i)
            answer = await read_exactly(stream, 3)
            await stream.aclose()
            return answer

        assert await visit(0) == b"  0"  # the way is known then, and what goes there need not wait in a queue of the link's
        jobs = [world.start(visit(i)) for i in range(100)]
        assert [await job.result() for job in jobs] == [b"%3d" % i for i in range(100)]

    @case
    async def test_clients_that_vanish_do_not_disturb(self, world: StreamWorld) -> None:
        async def patient(stream: Stream) -> None:
            with contextlib.suppress(OSError):
                await echo(stream)

        port = await world.listen(patient)
        for i in range(30):
            stream = await world.connect(port)
            if i % 3 == 0:
                await stream.send_all(b"x" * 1000)
            if i % 2:
                stream.abort()
            else:
                await stream.aclose()
        stream = await world.connect(port)
        await stream.send_all(b"still there?")
        assert await read_exactly(stream, 12) == b"still there?"
        await stream.aclose()

    # -- leaving ---------------------------------------------------------------------------------------------------------------

    @case
    async def test_leaving_ends_what_is_open(self, world: StreamWorld) -> None:
        """Handlers are cancelled, streams are closed, and nothing new begins. That no task is left, the runner sees."""
        never = world.tasks.event()
        entered, left = 0, 0

        async def stay(stream: Stream) -> None:
            nonlocal entered, left
            entered += 1
            try:
                await never.wait()
            finally:
                left += 1

        port = await world.listen(stay)
        streams = [await world.connect(port) for _ in range(3)]
        await streams[0].send_all(b"never read")
        await streams[1].send_eof()
        await world.until(lambda: entered == 3)

        async def look() -> None:
            assert left == 3
            for stream in streams:
                with raises(ClosedError, BrokenError):
                    await stream.send_all(b"x")
                await stream.aclose()
                stream.abort()
            with raises(ClosedError):
                await world.connect(port)
            with raises(ClosedError):
                await world.server.serve_streams(stay, 0)

        world.afterwards.append(look)
