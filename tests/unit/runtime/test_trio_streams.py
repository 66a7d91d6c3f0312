"""trio's streams, listeners and datagrams on our stack: trio's own checkers, and what cancelling, closing and breaking promise."""

from __future__ import annotations

import contextlib
import gc
import socket
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import check_half_closeable_stream, check_two_way_stream, wait_all_tasks_blocked

import netstack
from netstack.errors import BrokenError, BusyError, ClosedError, Refused, TimedOut, UsageError
from netstack.http.serve.files import StaticFiles
from netstack.http.serve.message import Request, Response
from netstack.http.serve.server import HttpServer
from netstack.instant import MILLISECOND, SECOND, Duration
from netstack.netif import FrameNetif
from netstack.runtime.trio import TrioNet, open
from netstack.runtime.trio.world import run_virtual
from netstack.testing.wire import Wire

pytestmark = pytest.mark.trio(run=run_virtual)


@contextlib.asynccontextmanager
async def nets(**faults: Any) -> AsyncIterator[tuple[TrioNet, TrioNet]]:
    wire = Wire(**{"delay": 5 * MILLISECOND, **faults})
    async with (
        open(wire.port("a"), addresses=["10.0.0.1/24"], seed=1) as a,
        open(wire.port("b"), addresses=["10.0.0.2/24"], seed=2) as b,
    ):
        yield a, b


@contextlib.asynccontextmanager
async def pair(**faults: Any) -> AsyncIterator[tuple[Any, Any, TrioNet, TrioNet]]:
    """Two ends of a connection, and their nets."""
    async with nets(**faults) as (a, b):
        [listener] = await b.open_tcp_listeners(7)
        near = await a.open_tcp_stream("10.0.0.2", 7)
        far = await listener.accept()
        yield near, far, a, b


async def fill(stream: Any) -> int:
    """Send until the peer's window and our buffer are full. How much was taken."""
    n = 0
    with trio.move_on_after(60):
        while True:
            n += 65536
            await stream.send_all(bytes(65536))
    return n


@pytest.mark.parametrize("loss", [0, 0.1])
@pytest.mark.parametrize("check", [check_two_way_stream, check_half_closeable_stream])
async def test_trios_own_checkers_are_content(check: Any, loss: float) -> None:
    async with nets(loss=loss) as (a, b):
        [listener] = await b.open_tcp_listeners(80)

        async def streams() -> tuple[Any, Any]:
            near = await a.open_tcp_stream("10.0.0.2", 80)
            return near, await listener.accept()

        async def clogged() -> tuple[Any, Any]:
            near, far = await streams()
            await fill(near)
            await fill(far)
            return near, far

        await check(streams, clogged if not loss else None)


async def test_open_gives_a_trio_net_in_trio() -> None:
    async with netstack.open(Wire().port("a"), addresses=["10.0.0.1/24"]) as net:
        assert isinstance(net, TrioNet)
        assert net.addresses == ["10.0.0.1/24"]
        assert not net.closed
    assert net.closed
    with pytest.raises(ClosedError):
        await net.open_tcp_stream("10.0.0.1", 1)


async def test_an_error_of_the_body_leaves_the_block_as_it_came() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with nets():
            raise KeyError("mine")


async def test_a_device_that_can_not_be_used_is_closed_again() -> None:
    class Device(FrameNetif):
        closed = False

        def set_waker(self, waker: Any) -> None:
            if waker is not None:
                raise OSError("no such thing")

        def close(self) -> None:
            self.closed = True

    device = Device("dev", None, 1500)
    with pytest.raises(OSError, match="no such thing"):
        async with open(device, addresses=["10.0.0.1/24"]):
            raise AssertionError("it opened")
    assert device.closed


async def test_a_cancelled_receive_loses_nothing() -> None:
    async with pair() as (near, far, _, _), trio.open_nursery() as nursery:

        async def send() -> None:
            for i in range(100):
                await near.send_all(i.to_bytes(2, "big") * 50)
                await trio.sleep(0.003)
            await near.send_eof()

        nursery.start_soon(send)
        got = bytearray()
        cancelled = 0
        while True:
            with trio.move_on_after(0.002) as scope:
                data = await far.receive_some(77)
                if not data:
                    break
                got += data
            cancelled += scope.cancelled_caught
        assert got == b"".join(i.to_bytes(2, "big") * 50 for i in range(100))
        assert cancelled > 10


async def test_a_cancelled_send_leaves_the_stream_usable_and_its_data_queued() -> None:
    async with pair() as (near, far, _, _):
        sent = await fill(near)
        with trio.move_on_after(1) as scope:
            await near.send_all(b"y" * 100_000)
        assert scope.cancelled_caught
        got = 0

        async def read() -> None:
            nonlocal got
            while data := await far.receive_some():
                got += len(data)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await near.wait_send_all_might_not_block()
            await near.send_all(b"z")
            await near.send_eof()
        assert got == sent + 100_000 + 1


async def test_a_cancelled_connect_leaves_nothing() -> None:
    async with nets() as (a, b):
        b.netif.close()  # nobody answers
        with trio.move_on_after(3) as scope:
            await a.open_tcp_stream("10.0.0.2", 80)
        assert scope.cancelled_caught
        assert a.connections() == []


async def test_refused_and_timed_out_are_oserrors() -> None:
    async with nets() as (a, b):
        with pytest.raises(Refused):
            await a.open_tcp_stream("10.0.0.2", 80)
        b.netif.close()
        with pytest.raises(TimedOut):
            await a.connect_stream("10.0.0.2", 80, Duration(2 * SECOND))


async def test_verbs_with_time_outs_in_nanoseconds() -> None:
    async with pair() as (near, far, _, _):
        before = trio.current_time()
        with pytest.raises(TimedOut):
            await near.receive(10, Duration(3 * SECOND))
        assert trio.current_time() - before == pytest.approx(3)
        await fill(far)
        with pytest.raises(TimedOut):
            await far.send_all(b"x", Duration(SECOND))
        assert len(await near.receive(10)) == 10
        with pytest.raises(UsageError):
            await near.receive(0)


async def test_busy_is_loud_in_both_families_of_errors() -> None:
    async with pair() as (near, _, _, _), trio.open_nursery() as nursery:
        nursery.start_soon(near.receive_some)
        await wait_all_tasks_blocked()
        for kind in (BusyError, trio.BusyResourceError):
            with pytest.raises(kind):
                await near.receive_some(1)
        nursery.cancel_scope.cancel()


async def test_closed_is_not_broken() -> None:
    async with pair() as (near, far, _, _):
        far.abort()
        with pytest.raises(trio.BrokenResourceError) as caught:
            await near.receive_some()
        assert isinstance(caught.value, BrokenError)
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        with pytest.raises(trio.BrokenResourceError):
            await near.send_all(b"x")
        await near.aclose()
        for kind in (trio.ClosedResourceError, ClosedError):
            with pytest.raises(kind):
                await near.receive_some()
            with pytest.raises(kind):
                await near.send_all(b"x")


async def test_the_end_of_a_net_closes_what_its_tasks_wait_for() -> None:
    ended: list[str] = []

    async def expect(waiting: Any, *args: Any) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await waiting(*args)
        ended.append(waiting.__name__)

    async with trio.open_nursery() as nursery, pair() as (near, _, a, _):
        [listener] = await a.open_tcp_listeners(99)
        udp = await a.open_udp()
        await fill(near)
        nursery.start_soon(expect, near.receive_some)
        nursery.start_soon(expect, near.send_all, b"x")
        nursery.start_soon(expect, listener.accept)
        nursery.start_soon(expect, udp.receive)
        await wait_all_tasks_blocked()
    assert sorted(ended) == ["accept", "receive", "receive_some", "send_all"]


async def test_what_was_sent_before_leaving_the_block_is_delivered() -> None:
    async with nets(loss=0.2, seed=5) as (a, b):
        got: list[bytes] = []
        done = trio.Event()

        async def handler(stream: Any) -> None:
            while data := await stream.receive():
                got.append(data)
            done.set()

        await b.serve_streams(handler, 80)
        stream = await a.open_tcp_stream("10.0.0.2", 80)
        await stream.send_all(b"x" * 30_000)
        await stream.aclose()
        await a.aclose(Duration(30 * SECOND))
        await done.wait()
        assert b"".join(got) == b"x" * 30_000


async def test_an_error_in_a_stream_handler_resets_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    async with nets() as (a, b):

        async def handler(stream: Any) -> None:
            if await stream.receive() == b"bad":
                raise ZeroDivisionError
            await stream.send_all(b"fine")

        server = await b.serve_streams(handler, 80)
        good = await a.connect_stream(*("10.0.0.2", server.address[1]))
        bad = await a.connect_stream("10.0.0.2", 80)
        await bad.send_all(b"bad")
        with pytest.raises(BrokenError):
            await bad.receive()
        await good.send_all(b"good")
        assert await good.receive() == b"fine"
        assert await good.receive() == b""
    assert "stream handler" in caplog.text


async def test_an_error_in_a_handler_of_serve_tcp_ends_it_as_in_trio() -> None:
    async with nets() as (a, b):

        async def handler(stream: Any) -> None:
            raise ZeroDivisionError

        with pytest.RaisesGroup(pytest.RaisesGroup(ZeroDivisionError)):
            async with trio.open_nursery() as nursery:
                listeners = await nursery.start(b.serve_tcp, handler, 0)
                await a.open_tcp_stream("10.0.0.2", listeners[0].address[1])


async def test_a_listener_holds_as_many_as_its_backlog() -> None:
    async with nets() as (a, b):
        [listener] = await b.open_tcp_listeners(80, backlog=2)
        streams = [await a.open_tcp_stream("10.0.0.2", 80) for _ in range(2)]
        with trio.move_on_after(0.5) as scope:
            await a.open_tcp_stream("10.0.0.2", 80)
        assert scope.cancelled_caught
        assert b.counters()["TcpExt"]["ListenOverflows"] > 0
        with trio.move_on_after(0) as scope:
            await listener.accept()
        assert scope.cancelled_caught  # and none is lost by it
        for stream in streams:
            assert (await listener.accept()).remote_address == stream.local_address
        late = await a.open_tcp_stream("10.0.0.2", 80)
        await listener.aclose()
        with pytest.raises(trio.BrokenResourceError):
            await late.receive_some()
        with pytest.raises(trio.ClosedResourceError):
            await listener.accept()


async def test_datagrams_and_pings() -> None:
    async with nets() as (a, b):
        server = await b.bind_datagrams(53)
        client = await a.open_udp(remote=("10.0.0.2", 53))
        await client.send(b"question")
        data, address = await server.receive()
        await server.send(data[::-1], address)
        assert await client.receive() == (b"noitseuq", ("10.0.0.2", 53))
        with pytest.raises(TimedOut):
            await client.receive(Duration(SECOND))
        await server.aclose()
        await client.send(b"again")
        with pytest.raises(Refused):
            await client.receive()
        with pytest.raises(ClosedError):
            await server.send(b"x", address)
        assert await a.ping("10.0.0.2") == 10 * MILLISECOND
        with pytest.raises(TimedOut):
            await a.ping("10.0.0.77")


async def test_a_device_that_fails_breaks_its_connections(caplog: pytest.LogCaptureFixture) -> None:
    class Frail(FrameNetif):
        works = True

        def transmit(self, frame: bytes, now: int) -> None:
            self.works = False
            self.wake()

        def poll(self, now: Any) -> bool:
            if not self.works:
                raise OSError(5, "unplugged")
            return False

    async with open(Frail("dev", None, 1500), addresses=["10.0.0.1/24"]) as net:
        with pytest.raises(OSError):
            await net.open_tcp_stream("10.0.0.2", 80)
        assert isinstance(net.failure, OSError)
        with pytest.raises(BrokenError):
            await net.open_udp()
    assert "unplugged" in caplog.text


async def test_a_server_of_this_package_runs_on_trio() -> None:
    async def hello(request: Request) -> Response:
        return Response.text(f"Hello, {request.remote_address[0]}\n")

    async with nets(loss=0.1, seed=3) as (a, b):
        server = HttpServer(b, hello, clock=b.now, sleep=lambda ns: trio.sleep(ns / SECOND))
        await server.listen(80)
        stream = await a.connect_stream("10.0.0.2", 80)
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := await stream.receive():
            answer += data
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"Hello, 10.0.0.1\n")
        await server.aclose()


async def test_files_are_served_on_trio_without_blocking_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "big").write_bytes(b"0123456789" * 100_000)
    monkeypatch.setattr("netstack.runtime.fileblocks._NOWAIT", 0)  # as if nothing were in the page cache: a thread reads it
    async with nets(delay=0) as (a, b):
        server = HttpServer(b, StaticFiles(tmp_path), clock=b.now)
        await server.listen(80)
        stream = await a.connect_stream("10.0.0.2", 80)
        await stream.send_all(b"GET /big HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n")
        answer = b"".join([data async for data in stream])
        assert answer.endswith(b"\r\n\r\n" + b"0123456789" * 100_000)


async def test_ten_thousand_abandoned_connections_leave_nothing(caplog: pytest.LogCaptureFixture) -> None:
    before = trio.lowlevel.current_statistics().tasks_living
    remembered: list[weakref.ref[Any]] = []
    async with nets(delay=0) as (a, b):
        [listener] = await b.open_tcp_listeners(80)
        for i in range(10_000):
            near = await a.open_tcp_stream("10.0.0.2", 80)
            far = await listener.accept()
            if i % 4 == 0:
                await near.send_all(b"never read")
            if i % 3 == 0:
                near.abort()
            if i % 100 == 0:
                remembered += [weakref.ref(near), weakref.ref(far)]
        del near, far
    gc.collect()
    assert not [each for each in remembered if each() is not None]
    assert trio.lowlevel.current_statistics().tasks_living == before
    assert caplog.records == []


class Socketpair(FrameNetif):
    """A device with a descriptor: frames are datagrams of a socket pair."""

    def __init__(self, name: str, end: socket.socket) -> None:
        super().__init__(name, None, 1500)
        end.setblocking(False)
        self.end = end

    def fileno(self) -> int:
        return self.end.fileno()

    def transmit(self, frame: bytes, now: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self.end.send(frame)

    def poll(self, now: Any) -> bool:
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):
                self.receive(self.end.recv(2048), now)
        self.flush(now)
        return False

    def close(self) -> None:
        super().close()
        self.end.close()


@pytest.mark.trio(run=trio.run)
async def test_devices_with_descriptors_are_read_in_real_time_too() -> None:
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    async with (
        open(Socketpair("a", ends[0]), addresses=["10.0.0.1/24"]) as a,
        open(Socketpair("b", ends[1]), addresses=["10.0.0.2/24"]) as b,
        trio.open_nursery() as nursery,
    ):

        async def echo(stream: Any) -> None:
            async for data in stream:
                await stream.send_all(data)

        await nursery.start(b.serve_tcp, echo, 7)
        stream = await a.open_tcp_stream("10.0.0.2", 7)
        got = 0
        for _ in range(20):
            await stream.send_all(bytes(10_000))
        while got < 200_000:
            got += len(await stream.receive_some())
        nursery.cancel_scope.cancel()
    assert ends[0].fileno() == -1
