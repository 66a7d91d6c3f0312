"""Unchanged trio programs on our stack: trio's own streams and listeners, TLS, httpx and anyio, on sockets of ours."""

from __future__ import annotations

import contextlib
import errno
import gc
import itertools
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
import trio
import trustme
from trio.testing import check_half_closeable_stream, check_two_way_stream, wait_all_tasks_blocked

import netstack
from netstack.instant import MILLISECOND, SECOND
from netstack.runtime.trio import TrioNet, open
from netstack.runtime.trio_sockets import TrioSocket
from netstack.runtime.trio_world import run_virtual
from netstack.testing.net import Host, World
from netstack.testing.wire import Wire

pytestmark = pytest.mark.trio(run=run_virtual)
B = "10.0.0.2"


@contextlib.asynccontextmanager
async def hosts(**faults: Any) -> AsyncIterator[tuple[Host, Host, trio.Nursery]]:
    """Two hosts of a world, and a nursery whose tasks run on the second one."""
    world = World(**{"delay": 5 * MILLISECOND, **faults})
    a, b = world.host("a"), world.host("b")
    async with netstack.open_world(world), trio.open_nursery() as nursery:
        yield a, b, nursery
        nursery.cancel_scope.cancel()


async def on(host: Host, program: Any, *args: Any, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
    """For `nursery.start`: a program that says when it has started."""
    await host.run(program(*args, task_status=task_status))


async def echo(stream: Any) -> None:
    async for data in stream:
        await stream.send_all(data)


async def connected(a: Host, b: Host, port: int = 7) -> tuple[TrioSocket, TrioSocket]:
    """A connection as two sockets."""

    async def listen() -> Any:
        listener = trio.socket.socket()
        await listener.bind(("", port))
        listener.listen()
        return listener

    async def connect() -> Any:
        sock = trio.socket.socket()
        await sock.connect((B, port))
        return sock

    listener = await b.run(listen())
    near = await a.run(connect())
    far, _ = await listener.accept()
    listener.close()
    return near, far


# -- programs -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("check", [check_two_way_stream, check_half_closeable_stream])
async def test_trios_checkers_are_content_with_trios_streams_on_our_sockets(check: Any) -> None:
    async with hosts() as (a, b, _):
        ports = itertools.count(1000)

        async def streams() -> Any:
            near, far = await connected(a, b, next(ports))
            return trio.SocketStream(near), trio.SocketStream(far)

        async def clogged() -> Any:
            pair = await streams()
            for each in pair:
                with trio.move_on_after(60):
                    while True:
                        await each.send_all(bytes(65536))
            return pair

        await check(streams, clogged)


async def test_open_tcp_stream_and_serve_tcp_as_they_are() -> None:
    async with hosts(loss=0.1, seed=2) as (a, b, nursery):
        await nursery.start(on, b, trio.serve_tcp, echo, 7)

        async def client() -> bytes:
            async with await trio.open_tcp_stream(B, 7) as stream:
                await stream.send_all(b"x" * 20_000)
                await stream.send_eof()
                return b"".join([data async for data in stream])

        assert await a.run(client()) == b"x" * 20_000


async def test_hosts_of_a_world_know_each_other_by_name_and_handlers_are_on_theirs() -> None:
    async with hosts(loss=0.1, seed=2) as (a, b, nursery):
        await nursery.start(on, a, trio.serve_tcp, echo, 7)

        async def relay(stream: Any) -> None:
            async with await trio.open_tcp_stream("a", 7) as onward:
                await onward.send_all(await stream.receive_some())
                await stream.send_all(await onward.receive_some())

        await b.net.serve_streams(relay, 70)

        async def client() -> bytes:
            async with await trio.open_tcp_stream("b", 70) as stream:
                await stream.send_all(b"hello")
                return bytes(await stream.receive_some())

        assert await a.run(client()) == b"hello"
        assert b.net.counters()["Tcp"]["ActiveOpens"] == 1


async def test_tls_over_both() -> None:
    ca = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    ca.issue_cert("b.example").configure_cert(server)
    ca.configure_trust(client)
    async with hosts(loss=0.1, seed=2) as (a, b, nursery):
        await nursery.start(on, b, trio.serve_ssl_over_tcp, echo, 443, server)

        async def program() -> bytes:
            raw = await trio.open_tcp_stream(B, 443)
            async with trio.SSLStream(raw, client, server_hostname="b.example") as stream:
                await stream.send_all(b"secret")
                return bytes(await stream.receive_some())

        assert await a.run(program()) == b"secret"


async def answer(stream: Any) -> None:
    data = b""
    async for more in stream:
        data += more
        while b"\r\n\r\n" in data:
            data = data.partition(b"\r\n\r\n")[2]
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + bytes(5000))


async def test_httpx_under_loss_takes_milliseconds_and_no_kernel_socket() -> None:
    before = time.monotonic()
    async with hosts(loss=0.2, delay=20 * MILLISECOND, seed=1) as (a, b, nursery):
        await nursery.start(on, b, trio.serve_tcp, answer, 80)

        async def program() -> list[int]:
            async with httpx.AsyncClient(trust_env=False, verify=False) as client:
                return [len((await client.get(f"http://{B}/{i}")).content) for i in range(10)]

        assert await a.run(program()) == [5000] * 10
        assert trio.current_time() > 1  # many times that of the machine:
        assert time.monotonic() - before < trio.current_time()
        assert a.net.counters()["Tcp"]["ActiveOpens"] == 1


async def test_anyio_connects() -> None:
    async with hosts() as (a, b, nursery):
        await nursery.start(on, b, trio.serve_tcp, echo, 7)

        async def program() -> None:
            async with await anyio.connect_tcp(B, 7) as stream:
                assert stream.extra(anyio.abc.SocketAttribute.remote_address) == (B, 7)
                assert stream.extra(anyio.abc.SocketAttribute.family) == socket.AF_INET
                assert stream.extra(anyio.abc.SocketAttribute.local_port) > 0
                await stream.send(b"hello")
                assert await stream.receive() == b"hello"
                await stream.send_eof()
                with pytest.raises(anyio.EndOfStream):
                    await stream.receive()
            with pytest.raises(anyio.ClosedResourceError):
                await stream.receive()
            with pytest.raises(OSError):
                await anyio.connect_tcp(B, 8)

        await a.run(program())


async def test_anyios_listeners_are_adopted() -> None:
    async with hosts() as (a, b, nursery):

        async def serve(*, task_status: Any) -> None:
            async with await anyio.create_tcp_listener(local_host="0.0.0.0") as listener:
                task_status.started(listener.extra(anyio.abc.SocketAttribute.local_port))
                await listener.serve(reply)

        async def reply(stream: Any) -> None:
            async with stream:
                await stream.send((await stream.receive())[::-1])

        async def client(port: int) -> bytes:
            async with await anyio.connect_tcp("b", port) as stream:
                await stream.send(b"hello")
                return await stream.receive()

        port = await nursery.start(on, b, serve)
        assert await a.run(client(port)) == b"olleh"
        assert b.net.counters()["Tcp"]["PassiveOpens"] == 1


async def test_install_trio_is_for_the_life_of_its_net() -> None:
    wire = Wire(delay=MILLISECOND)
    async with open(wire.port("b"), addresses=["10.0.0.2/24"]) as b:
        async with open(wire.port("a"), addresses=["10.0.0.1/24"]) as a:
            a.install_trio()
            with trio.socket.socket() as sock, pytest.raises(ConnectionRefusedError):
                await sock.connect(("localhost", 7))  # its own, not the machine's
            assert a.counters()["Tcp"]["ActiveOpens"] == 1
            [listener] = await b.open_tcp_listeners(7)
            stream = await trio.open_tcp_stream(B, 7)
            assert isinstance(stream.socket, TrioSocket)
            assert (await listener.accept()).remote_address == stream.socket.getsockname()
            with pytest.raises(socket.gaierror):
                await trio.socket.getaddrinfo("www.example.org", 80)
            ours, theirs = trio.socket.socket(), trio.socket.socket(socket.AF_UNIX)
            assert isinstance(ours, TrioSocket)
            assert not isinstance(theirs, TrioSocket)
            theirs.close()
        assert stream.socket.fileno() == -1
        with trio.socket.socket() as sock:
            assert not isinstance(sock, TrioSocket)


async def test_from_stdlib_socket_takes_stack_sockets_where_that_was_asked_for() -> None:
    class StackSocket:
        """What has a socket of the stack inside."""

        def __init__(self, net: TrioNet) -> None:
            self.core = net.sockets.open()

        def close(self) -> None:
            self.core.close()

    original = trio.socket.from_stdlib_socket
    async with open(Wire().port("a"), addresses=["10.0.0.1/24"]) as net:
        net.install_trio(adopt=True)
        adopted: Any = StackSocket(net)
        with trio.socket.from_stdlib_socket(adopted) as sock, socket.socket(socket.AF_UNIX) as kernels:
            assert isinstance(sock, TrioSocket)
            assert not isinstance(trio.socket.from_stdlib_socket(kernels), TrioSocket)
        assert adopted.core.closed
    assert trio.socket.from_stdlib_socket is original


async def test_a_listener_of_the_kernel_is_adopted_by_from_stdlib_socket_and_closed_with_it() -> None:
    async with open(Wire().port("a"), addresses=["10.0.0.1/24"]) as net:
        net.install_trio(adopt=True)
        kernels = socket.socket()
        kernels.bind(("0.0.0.0", 0))
        port = kernels.getsockname()[1]
        kernels.listen()
        with trio.socket.from_stdlib_socket(kernels) as listener:
            assert isinstance(listener, TrioSocket)
            near = await trio.open_tcp_stream("10.0.0.1", port)
            far, address = await listener.accept()
            with far:
                assert address[0] == "10.0.0.1"
                await near.send_all(b"hello")
                assert await far.recv(5) == b"hello"
            await near.aclose()
        assert kernels.fileno() == -1


# -- sockets ------------------------------------------------------------------------------------------------------------------


async def test_every_way_to_receive_and_to_send() -> None:
    async with hosts() as (a, b, _):
        near, far = await connected(a, b)
        assert await near.send(b"one") == 3
        assert await far.recv(10) == b"one"
        assert await near.sendmsg([b"two", b"three"]) == 8
        room = bytearray(3)
        assert (await far.recv_into(room), room) == (3, b"two")
        assert await far.recvfrom(3) == (b"thr", None)
        assert (await far.recvmsg(10))[0] == b"ee"
        with trio.move_on_after(1) as scope:
            await far.recv(1)
        assert scope.cancelled_caught
        assert not far.is_readable()
        await near.send(b"four")
        assert (await far.recvmsg_into([bytearray(2), room]))[0] == 4
        near.shutdown(socket.SHUT_WR)
        assert near.did_shutdown_SHUT_WR
        assert await far.recv(1) == b""
        assert far.is_readable()
        with pytest.raises(BrokenPipeError):
            await near.send(b"x")
        assert far.getsockname() == near.getpeername() == (B, 7)
        near.close()
        far.close()


async def test_datagrams() -> None:
    async with hosts() as (a, b, _):

        async def make(address: Any) -> Any:
            sock = trio.socket.socket(type=socket.SOCK_DGRAM)
            await sock.bind(address)
            return sock

        with await a.run(make(("10.0.0.1", 0))) as near, await b.run(make(("", 53))) as far:
            assert await near.sendto(b"question", (B, 53)) == 8
            data, address = await far.recvfrom(100)
            assert (data, address) == (b"question", near.getsockname())
            await far.sendto(b"answer", 0, address)
            await near.connect((B, 53))
            assert await near.recv(100) == b"answer"
            assert await near.sendmsg([b"a", b"b"], [], 0, (B, 53)) == 2
            room = bytearray(2)
            assert await far.recvfrom_into(room) == (2, near.getsockname())
            assert room == b"ab"


async def test_what_a_socket_is_and_its_options() -> None:
    async with hosts() as (a, b, _):
        near, far = await connected(a, b)
        assert (near.family, near.type, near.proto) == (socket.AF_INET, socket.SOCK_STREAM, 0)
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert near.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        assert len(near.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR, 4)) == 4
        with pytest.raises(OSError) as caught:
            near.getsockopt(12345, 6)
        assert caught.value.errno == errno.ENOPROTOOPT
        assert near.fileno() >= 0
        with pytest.raises(OSError):
            os.fstat(near.fileno())  # it is no descriptor of anybody's
        copy = near.dup()
        near.close()
        assert near.fileno() == -1
        await copy.send(b"still open")
        assert await far.recv(100) == b"still open"
        with pytest.raises(OSError) as caught:
            near.getsockname()
        assert caught.value.errno == errno.EBADF
        copy.close()
        assert await far.recv(1) == b""
        assert far.detach() > 0
        assert far.fileno() == -1


async def test_a_cancelled_connect_closes_the_socket() -> None:
    async with hosts() as (a, _, _):
        a.world.partition("a", "b")

        async def program() -> None:
            sock = trio.socket.socket()
            with trio.move_on_after(1) as scope:
                await sock.connect((B, 80))
            assert scope.cancelled_caught
            assert sock.fileno() == -1

        await a.run(program())
        assert a.net.connections() == []


async def test_refusals_come_as_the_kernels() -> None:
    async with hosts() as (a, _, _):

        async def program() -> None:
            with trio.socket.socket() as sock, pytest.raises(ConnectionRefusedError):
                await sock.connect((B, 80))
            with pytest.raises(OSError):
                await trio.open_tcp_stream(B, 80)

        await a.run(program())


async def test_closing_wakes_who_waits_and_two_may_not_wait_for_one_direction() -> None:
    async with hosts() as (a, b, nursery):
        near, far = await connected(a, b)
        woken: list[str] = []

        async def wait(sock: TrioSocket) -> None:
            try:
                await sock.recv(1)
            except trio.ClosedResourceError:
                woken.append("closed")

        nursery.start_soon(wait, near)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await near.recv(1)
        await near.send(b"the other direction is free")
        near.close()
        await trio.sleep(1)
        assert woken == ["closed"]
        with pytest.raises(OSError):
            await near.recv(1)
        far.close()


async def test_every_call_is_a_checkpoint_and_a_cancelled_one_has_done_nothing() -> None:
    async with hosts() as (a, b, _):
        near, far = await connected(a, b)
        for call in (lambda: near.send(b"x"), lambda: near.sendmsg([b"x"]), lambda: far.recv(1), near.wait_writable):
            with trio.CancelScope() as scope:
                scope.cancel()
                await call()
            assert scope.cancelled_caught
        with trio.testing.assert_checkpoints():
            await near.send(b"y")
        await trio.sleep(SECOND / 1e9)
        with trio.testing.assert_checkpoints():
            assert await far.recv(10) == b"y"
        with pytest.raises(OSError), trio.testing.assert_checkpoints():
            await far.recvmsg(10, 0, socket.MSG_OOB)


async def test_sockets_that_nobody_has_any_more_are_closed() -> None:
    async with hosts() as (a, b, _):
        for i in range(200):
            near, far = await connected(a, b, 1000 + i)
            if i % 2:
                await near.send(b"never read")
        del near, far
        gc.collect()
        await trio.sleep(300)
        assert a.net.connections() == b.net.connections() == []
