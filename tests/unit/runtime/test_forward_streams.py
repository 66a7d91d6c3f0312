"""Ports that go on elsewhere: both directions, and what passes through."""

import asyncio
import contextlib
import errno
import hashlib
import os
import socket

import pytest

from netstack.errors import AddressInUse, BrokenError, Refused, TimedOut, UsageError
from netstack.instant import MILLISECOND
from tests.unit.runtime.forward_world import B, echo, free_port, on_loop, read_all, receive_all, unix_echo

BIG = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(32768))  # 1 MiB


@on_loop
async def test_a_port_of_the_stack_goes_on_to_a_unix_socket_with_its_ends(a, b):
    path = f"/tmp/netstack-forward-{os.getpid()}.sock"
    server = await unix_echo(path)
    try:
        forward = await b.forward("tcp:5432", f"unix:{path}")
        assert forward.address == ("0.0.0.0", 5432)
        stream = await a.connect_stream(B, 5432)
        sending = asyncio.ensure_future(_send(stream, BIG))
        assert await receive_all(stream) == BIG  # after our end: the half-close has passed both ways
        await sending
        await stream.aclose()
        await _until(lambda: forward.open == 0)
        assert (forward.counts.accepted, forward.counts.bytes_in, forward.counts.bytes_out) == (1, len(BIG), len(BIG))
        assert (forward.counts.refused, forward.counts.broken) == (0, 0)
    finally:
        server.close()
        await server.wait_closed()
        with contextlib.suppress(FileNotFoundError):  # since Python 3.13 asyncio does it
            os.unlink(path)


@on_loop
async def test_a_port_of_the_host_goes_on_through_the_stack(a, b):
    await b.serve_streams(echo, 80)
    forward = await a.forward("host:127.0.0.1:0", f"tcp:{B}:80")
    reader, writer = await asyncio.open_connection(*forward.address)
    writer.write(BIG)
    writer.write_eof()
    assert await read_all(reader) == BIG
    writer.close()
    await writer.wait_closed()
    await forward.aclose()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*forward.address)


@on_loop
async def test_a_port_of_the_host_may_be_a_unix_socket_which_is_removed_afterwards(a, b):
    path = f"/tmp/netstack-forward-{os.getpid()}-in.sock"
    left_behind = socket.socket(socket.AF_UNIX)
    left_behind.bind(path)
    left_behind.close()
    await b.serve_streams(echo, 80)
    async with await a.forward(f"unix:{path}", f"tcp:{B}:80"):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"hello")
        writer.write_eof()
        assert await read_all(reader) == b"hello"
        writer.close()
        await writer.wait_closed()
        with pytest.raises(OSError, match="in use"):
            await a.forward(f"unix:{path}", f"tcp:{B}:80")
    assert not os.path.exists(path)


@on_loop
async def test_a_port_of_the_stack_goes_on_to_another_stack(a, b):
    await b.serve_streams(echo, 80)
    await a.forward("tcp:8080", f"tcp:{B}:80")
    stream = await b.connect_stream("10.0.0.1", 8080)
    await stream.send_all(b"hello")
    await stream.send_eof()
    assert await receive_all(stream) == b"hello"
    await stream.aclose()


@on_loop
async def test_what_the_target_refuses_is_refused(a, b):
    forward = await b.forward("tcp:5432", f"host:{free_port()}")
    with pytest.raises(Refused):
        await a.connect_stream(B, 5432)
    assert (forward.counts.accepted, forward.counts.refused, forward.open) == (0, 1, 0)


@on_loop
async def test_who_gives_up_before_the_target_answers_takes_his_attempt_with_him(a, b):
    await a.forward("tcp:8080", "tcp:10.0.0.77:80")  # nobody has that address: silence
    with pytest.raises(TimedOut):
        await b.connect_stream("10.0.0.1", 8080, 20 * MILLISECOND)
    assert len(a.stack.tcp.held) == 1


@on_loop
async def test_what_the_net_refuses_is_reset_on_the_host(a, b):
    forward = await a.forward("host:0", f"tcp:{B}:81")
    reader, writer = await asyncio.open_connection(*forward.address)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    assert forward.counts.refused == 1


@on_loop
async def test_a_reset_passes_from_the_stack_to_the_host(a, b):
    async def slam(stream):
        await stream.receive()
        stream.abort()

    await b.serve_streams(slam, 80)
    forward = await a.forward("host:0", f"tcp:{B}:80")
    reader, writer = await asyncio.open_connection(*forward.address)
    writer.write(b"x")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    await _until(lambda: forward.counts.broken == 1)


@on_loop
async def test_a_reset_passes_from_the_host_to_the_stack(a, b):
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    forward = await b.forward("tcp:5432", f"host:{listener.getsockname()[1]}")
    stream = await a.connect_stream(B, 5432)
    loop = asyncio.get_running_loop()
    sock, _ = await loop.sock_accept(listener)
    await loop.sock_sendall(sock, b"x")
    assert await stream.receive() == b"x"
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()
    with pytest.raises(BrokenError):
        await stream.receive()
    await stream.aclose()
    listener.close()
    await _until(lambda: forward.counts.broken == 1)


@on_loop
async def test_a_reset_passes_while_a_slow_reader_holds_everything_up(a, b):
    async def flood(stream):
        while True:
            await stream.send_all(bytes(65536))

    await b.serve_streams(flood, 80)
    forward = await a.forward("host:0", f"tcp:{B}:80")
    reader, writer = await asyncio.open_connection(*forward.address, limit=1)
    writer.transport.pause_reading()
    await _settled(lambda: sum(conn.held + conn.rx_bytes for conn in a.stack.tcp.connections()))
    held = sum(conn.held + conn.rx_bytes for conn in a.stack.tcp.connections())
    assert 0 < held < 32 << 20  # a window, and no more
    for conn in list(b.stack.tcp.connections()):
        conn.abort(b.now())
    await _until(lambda: forward.open == 0)
    await _until(lambda: forward.counts.broken == 1)
    writer.transport.resume_reading()
    with pytest.raises(ConnectionResetError):
        while await reader.read(1 << 20):
            pass
    writer.close()


@on_loop
async def test_more_than_the_limit_are_turned_away_on_the_stack_and_wait_on_the_host(a, b):
    await b.serve_streams(echo, 80)
    inward = await a.forward("tcp:8080", f"tcp:{B}:80", limit=1)
    first = await b.connect_stream("10.0.0.1", 8080)
    await first.send_all(b"1")
    assert await first.receive() == b"1"
    with pytest.raises(Refused):
        await b.connect_stream("10.0.0.1", 8080)
    assert inward.counts.turned_away == 1

    outward = await a.forward("host:0", f"tcp:{B}:80", limit=1)
    r1, w1 = await asyncio.open_connection(*outward.address)
    w1.write(b"1")
    assert await r1.read(1) == b"1"
    r2, w2 = await asyncio.open_connection(*outward.address)  # the kernel's backlog has it
    w2.write(b"2")
    w1.close()
    assert await r2.read(1) == b"2"  # its turn has come
    w2.close()
    await first.aclose()


@on_loop
async def test_closing_a_forward_resets_what_is_open(a, b):
    await b.serve_streams(echo, 80)
    forward = await a.forward("host:0", f"tcp:{B}:80")
    reader, writer = await asyncio.open_connection(*forward.address)
    writer.write(b"x")
    assert await reader.read(1) == b"x"
    await forward.aclose()
    await forward.aclose()  # twice is as good as once
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    assert "closed" in repr(forward)


@on_loop
async def test_a_port_that_is_taken_says_so(a, b):
    await a.forward("tcp:80", "host:1")
    with pytest.raises(AddressInUse):
        await a.forward("tcp:80", "host:1")
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError) as caught:
        await a.forward(f"host:{taken.getsockname()[1]}", "tcp:80")
    assert caught.value.errno == errno.EADDRINUSE
    with pytest.raises(UsageError, match="one connection or more"):
        await a.forward("tcp:81", "host:1", limit=0)


# -- datagrams ----------------------------------------------------------------------------------------------------------------


@on_loop
async def test_datagrams_of_several_senders_find_their_answers(a, b):
    async def reply():
        service = await b.udp(53)
        while True:
            data, peer = await service.receive()
            service.send_nowait(data.upper(), peer)

    replying = asyncio.ensure_future(reply())
    forward = await a.forward("host:udp:0", f"udp:{B}:53")
    loop = asyncio.get_running_loop()
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
    for i, sock in enumerate(socks):
        sock.setblocking(False)
        sock.connect(forward.address)
        sock.send(f"from {i}".encode())
    for i, sock in enumerate(socks):
        assert await loop.sock_recv(sock, 100) == f"FROM {i}".encode()
        sock.close()
    assert forward.counts.accepted == 3
    replying.cancel()


@on_loop
async def test_datagrams_go_on_from_the_stack_to_the_host_and_the_idlest_sender_makes_room(a, b):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.setblocking(False)
        service.bind(("127.0.0.1", 0))
        forward = await b.forward("udp:53", f"host:udp:{service.getsockname()[1]}", limit=2)
        loop = asyncio.get_running_loop()
        for i in range(3):
            client = await a.udp()
            await client.send(b"%d" % i, (B, 53))
            data, peer = await loop.sock_recvfrom(service, 100)
            assert data == b"%d" % i
            await loop.sock_sendto(service, data * 2, peer)
            assert await client.receive() == (b"%d" % i * 2, (B, 53))
        assert forward.counts.turned_away == 1


async def _send(stream, data):
    await stream.send_all(data)
    await stream.send_eof()


async def _until(condition):
    while not condition():
        await asyncio.sleep(0.001)


async def _settled(measure):
    """Until a figure has stopped to grow."""
    before = -1
    while (now := measure()) != before or not now:
        before = now
        await asyncio.sleep(0.05)
