"""The asyncio face: two nets on a wire in memory, on a real event loop."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import netstack
from netstack.errors import BrokenError, BusyError, ClosedError, Refused, TimedOut, UsageError
from netstack.instant import MILLISECOND, SECOND, Duration
from netstack.netif import FrameNetif
from netstack.testing.wire import Wire

World = tuple[Any, Any]
BIG = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(65536))  # 2 MiB


@contextlib.asynccontextmanager
async def two_nets(**faults: Any) -> AsyncIterator[World]:
    wire = Wire(**faults)
    async with (
        netstack.open(wire.port("a"), addresses=["10.0.0.1/24"], seed=1) as a,
        netstack.open(wire.port("b"), addresses=["10.0.0.2/24"], seed=2) as b,
    ):
        yield a, b


def on_loop(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run an async test, on asyncio's loop as it is and on ours; whatever is reported to the loop's exception handler fails it."""

    @pytest.mark.parametrize("new_event_loop", [asyncio.SelectorEventLoop, netstack.new_event_loop], ids=["asyncio", "ours"])
    def run(new_event_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        reported: list[dict[str, Any]] = []

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
            async with asyncio.timeout(20):
                await test()
            assert asyncio.all_tasks() == {asyncio.current_task()}

        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(main())
        assert not reported

    run.__name__ = test.__name__
    run.__doc__ = test.__doc__
    return run


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@on_loop
async def test_streams_carry_megabytes_both_ways_at_once() -> None:
    async with two_nets() as (a, b):
        await b.start_server(echo, port=7)
        reader, writer = await a.open_connection("10.0.0.2", 7)

        async def send() -> None:
            for i in range(0, len(BIG), 50_000):
                writer.write(BIG[i : i + 50_000])
                await writer.drain()
            writer.write_eof()

        _, received = await asyncio.gather(send(), reader.read())
        assert received == BIG
        writer.close()
        await writer.wait_closed()


@on_loop
async def test_what_was_written_and_closed_is_delivered_though_its_net_is_left_at_once() -> None:
    wire = Wire()
    received = bytearray()
    done = asyncio.Event()

    async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            received.extend(data)
        writer.close()
        done.set()

    async with netstack.open(wire.port("b"), addresses=["10.0.0.2/24"]) as b:
        await b.start_server(sink, port=9)
        async with netstack.open(wire.port("a"), addresses=["10.0.0.1/24"]) as a:
            _, writer = await a.open_connection("10.0.0.2", 9)
            writer.write(BIG)
            writer.close()
        await asyncio.wait_for(done.wait(), 5)
    assert bytes(received) == BIG


@on_loop
async def test_half_close_leaves_the_other_direction_open() -> None:
    async with two_nets() as (a, b):

        async def answer_at_eof(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            question = await reader.read()
            writer.write(question.upper())
            writer.close()

        await b.start_server(answer_at_eof, port=7)
        reader, writer = await a.open_connection("10.0.0.2", 7)
        writer.write(b"hello")
        writer.write_eof()
        assert await reader.read() == b"HELLO"
        writer.close()


@on_loop
async def test_nobody_listening_is_refused_as_the_kernel_refuses() -> None:
    async with two_nets() as (a, _):
        with pytest.raises(ConnectionRefusedError) as caught:
            await a.open_connection("10.0.0.2", 81)
        assert isinstance(caught.value, Refused)
        assert caught.value.errno == 111


@on_loop
async def test_a_silent_peer_times_out_and_leaves_no_connection() -> None:
    async with two_nets() as (a, _):
        with pytest.raises(TimeoutError):
            await a.open_connection("10.0.0.99", 80, timeout=0.05)
        assert a.connections() == []


@on_loop
async def test_an_address_outside_all_routes_is_unreachable() -> None:
    async with two_nets() as (a, _):
        with pytest.raises(netstack.Unreachable):
            await a.open_connection("192.0.2.1", 80)


@on_loop
async def test_a_port_that_is_taken_says_so_and_is_free_after_close() -> None:
    async with two_nets() as (_, b):
        server = await b.start_server(echo, port=7)
        with pytest.raises(netstack.AddressInUse):
            await b.start_server(echo, port=7)
        server.close()
        await server.wait_closed()
        again = await b.start_server(echo, port=7)
        assert again.sockets[0].getsockname() == ("0.0.0.0", 7)


class Recorder(asyncio.Protocol):
    def __init__(self) -> None:
        self.events: list[Any] = []
        self.data = bytearray()
        self.lost = asyncio.get_running_loop().create_future()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.events.append("made")
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool | None:
        self.events.append("eof")
        return None

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append(("lost", exc))
        if not self.lost.done():
            self.lost.set_result(exc)


async def record(net: Any, port: int) -> list[Recorder]:
    """Listen on `port`; a recorder for each connection appears in the list."""
    recorders: list[Recorder] = []

    def make() -> Recorder:
        recorders.append(Recorder())
        return recorders[-1]

    await net.create_server(make, port=port)
    return recorders


@on_loop
async def test_a_protocol_sees_its_life_in_order() -> None:
    async with two_nets() as (a, b):
        servers = await record(b, 5)
        transport, client = await a.create_connection(Recorder, "10.0.0.2", 5)
        assert transport.get_extra_info("peername") == ("10.0.0.2", 5)
        assert transport.get_extra_info("sockname")[0] == "10.0.0.1"
        transport.write(b"hello")
        transport.close()
        assert transport.is_closing()
        assert await client.lost is None
        assert await servers[0].lost is None
        assert bytes(servers[0].data) == b"hello"
        assert client.events == ["made", ("lost", None)]
        assert servers[0].events == ["made", "eof", ("lost", None)]


@on_loop
async def test_a_writer_that_outruns_its_peer_is_paused_and_resumed() -> None:
    async with two_nets() as (a, b):
        servers = await record(b, 5)
        transport, client = await a.create_connection(Recorder, "10.0.0.2", 5)
        while not servers or not servers[0].transport:
            await asyncio.sleep(0)
        servers[0].transport.pause_reading()
        while "pause" not in client.events:
            transport.write(bytes(65536))
            await asyncio.sleep(0)
        await asyncio.sleep(0.02)
        assert "resume" not in client.events
        assert transport.get_write_buffer_size() > 0
        servers[0].transport.resume_reading()
        while "resume" not in client.events:
            await asyncio.sleep(0)


@on_loop
async def test_a_reset_reaches_the_protocol_as_connection_reset() -> None:
    async with two_nets() as (a, b):
        made = await record(b, 5)
        _, client = await a.create_connection(Recorder, "10.0.0.2", 5)
        client.transport.write(b"x")
        while not made or not made[0].data:
            await asyncio.sleep(0)
        made[0].transport.reset()
        assert isinstance(await client.lost, ConnectionResetError)
        assert client.events[0] == "made"


@on_loop
async def test_after_an_abort_the_peer_has_all_that_was_sent_and_then_the_end() -> None:
    async with two_nets() as (a, b):
        made = await record(b, 5)
        _, client = await a.create_connection(Recorder, "10.0.0.2", 5)
        client.transport.write(b"all")
        client.transport.abort()
        while not made:
            await asyncio.sleep(0)
        assert await made[0].lost is None
        assert (made[0].data, made[0].events[:2]) == (b"all", ["made", "eof"])


@on_loop
async def test_an_abort_with_something_unsent_is_a_reset() -> None:
    async with two_nets() as (a, b):
        made = await record(b, 5)
        _, client = await a.create_connection(Recorder, "10.0.0.2", 5)
        while not made:
            await asyncio.sleep(0)
        client.transport.write(bytes(10_000_000))  # more than any window
        client.transport.abort()
        assert isinstance(await made[0].lost, ConnectionResetError)


@on_loop
async def test_a_buffered_protocol_gets_its_bytes_in_its_own_buffer() -> None:
    class Buffered(asyncio.BufferedProtocol):
        def __init__(self) -> None:
            self.buffer = bytearray(1000)
            self.data = bytearray()
            self.ended = asyncio.get_running_loop().create_future()

        def get_buffer(self, sizehint: int) -> bytearray:
            return self.buffer

        def buffer_updated(self, nbytes: int) -> None:
            self.data += self.buffer[:nbytes]

        def eof_received(self) -> None:
            self.ended.set_result(None)

    async with two_nets() as (a, b):
        made: list[Buffered] = []

        def make() -> Buffered:
            made.append(Buffered())
            return made[-1]

        await b.create_server(make, port=5)
        _, writer = await a.open_connection("10.0.0.2", 5)
        writer.write(BIG[:100_000])
        writer.close()
        while not made:
            await asyncio.sleep(0)
        await made[0].ended
        assert bytes(made[0].data) == BIG[:100_000]


def test_an_error_in_a_protocol_costs_its_connection_and_nothing_else() -> None:
    class Faulty(Recorder):
        def data_received(self, data: bytes) -> None:
            raise ZeroDivisionError("on purpose")

    reported: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        async with two_nets() as (a, b):
            await b.create_server(Faulty, port=5)
            await b.start_server(echo, port=7)
            _, client = await a.create_connection(Recorder, "10.0.0.2", 5)
            client.transport.write(b"x")
            assert isinstance(await client.lost, ConnectionResetError)
            reader, writer = await a.open_connection("10.0.0.2", 7)
            writer.write(b"still there")
            assert await reader.readexactly(11) == b"still there"
            writer.close()

    asyncio.run(main())
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]


@on_loop
async def test_leaving_ends_handlers_servers_and_timers() -> None:
    cancelled = []

    async def stubborn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    wire = Wire()
    async with netstack.open(wire.port("a"), addresses=["10.0.0.1/24"]) as a:
        async with netstack.open(wire.port("b"), addresses=["10.0.0.2/24"]) as b:
            await b.start_server(stubborn, port=7)
            reader, writer = await a.open_connection("10.0.0.2", 7)
            writer.write(b"x")
            await asyncio.sleep(0.01)
        assert cancelled == [True]
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        with pytest.raises(ClosedError):
            await b.open_connection("10.0.0.1", 80)
    loop: Any = asyncio.get_running_loop()
    assert [handle for handle in loop._scheduled if not handle.cancelled() and "netstack" in repr(handle)] == []


@on_loop
async def test_own_streams_receive_send_and_end() -> None:
    async with two_nets() as (a, b):

        async def shout(stream: Any) -> None:
            while data := await stream.receive():
                await stream.send_all(data.upper())

        server = await b.serve_streams(shout, 7)
        stream = await a.connect_stream("10.0.0.2", 7)
        await stream.send_all(b"hello")
        assert await stream.receive(2) == b"HE"
        assert await stream.receive() == b"LLO"
        with pytest.raises(TimedOut):
            await stream.receive(timeout=Duration(10 * MILLISECOND))
        await stream.send_eof()
        assert await stream.receive() == b""
        await stream.aclose()
        with pytest.raises(ClosedError):
            await stream.receive()
        server.close()


@on_loop
async def test_two_receivers_on_one_stream_are_told_at_once() -> None:
    async with two_nets() as (a, b):

        async def idle(stream: Any) -> None:
            await stream.receive()

        await b.serve_streams(idle, 7)
        stream = await a.connect_stream("10.0.0.2", 7)
        first = asyncio.ensure_future(stream.receive())
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await stream.receive()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await stream.send_all(b"x")  # a cancelled receive leaves the stream usable
        await stream.aclose()


@on_loop
async def test_sending_waits_for_a_reader_that_is_slow() -> None:
    async with two_nets() as (a, b):
        go = asyncio.Event()
        total = 0

        async def slow(stream: Any) -> None:
            nonlocal total
            await go.wait()
            while data := await stream.receive():
                total += len(data)

        await b.serve_streams(slow, 7)
        stream = await a.connect_stream("10.0.0.2", 7)
        with pytest.raises(TimedOut):
            await stream.send_all(BIG, timeout=Duration(50 * MILLISECOND))
        go.set()
        await stream.send_all(b"more")
        await stream.send_eof()
        assert await stream.receive() == b""
        assert total == len(BIG) + 4
        await stream.aclose()


@on_loop
async def test_datagrams_cross_and_a_closed_port_refuses() -> None:
    async with two_nets() as (a, b):
        server = await b.udp(7)
        client = await a.udp(remote=("10.0.0.2", 7))
        await client.send(b"hello")
        data, sender = await server.receive(timeout=SECOND)
        assert (data, sender) == (b"hello", client.local_address)
        await server.send(b"back", sender)
        assert await client.receive(timeout=SECOND) == (b"back", ("10.0.0.2", 7))
        await server.aclose()
        await client.send(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            await client.receive(timeout=SECOND)


@on_loop
async def test_ping_gives_a_round_trip_time_and_a_missing_host_an_error() -> None:
    async with two_nets(delay=5 * MILLISECOND) as (a, _):
        await a.ping("10.0.0.2")
        assert 10 * MILLISECOND <= await a.ping("10.0.0.2") < SECOND
        assert await a.ping("10.0.0.2", size=20_000) < SECOND
        with pytest.raises((TimedOut, netstack.Unreachable)):
            await a.ping("10.0.0.77", timeout=0.05)


@on_loop
async def test_a_host_reaches_itself() -> None:
    async with two_nets() as (a, _):
        await a.start_server(echo, port=7)
        for own in ("10.0.0.1", "127.0.0.1", "localhost"):
            reader, writer = await a.open_connection(own, 7)
            writer.write(b"to myself")
            assert await reader.readexactly(9) == b"to myself"
            writer.close()


def test_a_device_that_dies_breaks_its_connections_and_says_so() -> None:
    class Dying(FrameNetif):
        """A device that is pulled out at the first poll after `pull`."""

        pulled = False

        def transmit(self, frame: bytes, now: int) -> None:
            pass

        def poll(self, now: int) -> bool:
            if self.pulled:
                raise OSError(19, "No such device")
            return False

    reported: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        device = Dying("dying", netstack.Mac.parse("02:00:00:00:00:09"), 1500)
        async with netstack.open(device, addresses=["10.0.0.1/24"]) as net:
            attempt = asyncio.ensure_future(net.open_connection("10.0.0.2", 80))
            await asyncio.sleep(0)
            device.pulled = True
            device.wake()
            with pytest.raises(OSError):
                await attempt
            with pytest.raises(BrokenError, match="is gone"):
                await net.open_connection("10.0.0.2", 80)

    asyncio.run(main())
    assert [str(context["exception"]) for context in reported] == ["[Errno 19] No such device"]


@pytest.mark.parametrize(
    ("netif", "addresses", "words"),
    [
        ("tap:tap0", [], "needs an address"),
        ("tap:tap0", ["10.79.0.2/64"], "/64"),
        ("tap:tap0", ["10.79.0.300/24"], "not an IPv4 address"),
        ("nonsense", ["10.79.0.2/24"], "nonsense"),
    ],
)
def test_wrong_arguments_get_one_clear_sentence(netif: str, addresses: list[str], words: str) -> None:
    async def main() -> None:
        async with netstack.open(netif, addresses=addresses):
            pass

    with pytest.raises(UsageError, match=words):
        asyncio.run(main())


def test_a_gateway_must_be_on_a_network_of_the_host() -> None:
    async def main() -> None:
        async with netstack.open(Wire().port("a"), addresses=["10.0.0.1/24"], gateway="10.9.9.9"):
            pass

    with pytest.raises(UsageError, match="on none of the host's networks"):
        asyncio.run(main())
