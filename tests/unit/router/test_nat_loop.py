"""NAT on our own loop, whose epoll has the host's sockets too: no epoll of the NAT's, and no number of a socket is mistaken."""

import asyncio
import socket
import struct

import pytest

from netstack.errors import BrokenError, Refused
from netstack.router.flow import Decision
from netstack.router.nat.nat import TARGETS
from tests.unit.router.nat_world import FAR, LOCALHOST, from_udp, on_loop, until


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def visit(world, port, text):
    stream = await world.guest.connect_stream(FAR, port)
    await stream.send_all(text)
    await stream.send_eof()
    said = b""
    while data := await stream.receive(65536):
        said += data
    await stream.aclose()
    return said


@on_loop(own=True)
async def test_connections_come_and_go_and_their_numbers_are_used_again(world):
    port = await world.serve(echo)
    assert world.nat.poller.fd == -1 and world.nat.poller.epoll is None
    for _ in range(3):
        texts = [f"guest {n}".encode() * (1 + 999 * (n % 2)) for n in range(24)]
        assert await asyncio.gather(*(visit(world, port, text) for text in texts)) == texts
    sock = socket.socket()
    sock.bind((LOCALHOST, 0))  # bound, and nobody listens
    with pytest.raises(Refused):
        await world.guest.connect_stream(FAR, sock.getsockname()[1])
    sock.close()
    await world.over(73)
    assert world.nonzero() == {"TcpFlows": 72, "TcpRefused": 1}
    assert not world.nat.poller.watched and not world.nat.poller.events


@on_loop(own=True)
async def test_more_than_a_turn_may_read_comes_through_and_a_reset_too(world):
    async def pour(reader, writer):
        writer.write(bytes(5 << 20))
        await writer.drain()
        await reader.readexactly(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    port = await world.serve(pour)
    stream = await world.guest.connect_stream(FAR, port)
    came = 0
    while came < 5 << 20:
        came += len(await stream.receive(1 << 20))
    await stream.send_all(b"x")
    with pytest.raises(BrokenError):
        await stream.receive(1)
    await stream.aclose()
    await world.over()


@on_loop(own=True)
async def test_datagrams_and_a_router_that_ends_with_flows_open(world):
    sock = world.udp()
    port = await world.guest.udp()
    await port.send(b"question", (FAR, sock.getsockname()[1]))
    data, peer = await from_udp(sock)
    sock.sendto(b"answer", peer)
    assert (data, await port.receive()) == (b"question", (b"answer", (FAR, sock.getsockname()[1])))
    listener = world.listener()
    stream = await world.guest.connect_stream(FAR, listener.getsockname()[1])
    far, _ = listener.accept()
    world.closers.append(far.close)
    await until(lambda: len(world.nat.poller.watched) == 2)
    await world.nat.aclose()
    assert not world.nat.poller.watched
    with pytest.raises(BrokenError):
        await stream.receive(1)
    await stream.aclose()
    await port.aclose()


@on_loop()
async def test_small_segments_hurry_from_the_second_piece_on(world):
    port = await world.serve(echo)
    stream = await world.guest.connect_stream(FAR, port)
    (relay,) = world.nat.tcp.relays

    def nodelay():
        sock = socket.socket(fileno=relay.fd)
        try:
            return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        finally:
            sock.detach()

    await stream.send_all(b"a")
    assert await stream.receive(1) == b"a" and not nodelay()
    await stream.send_all(b"b")
    assert await stream.receive(1) == b"b" and nodelay()
    await stream.aclose()


@on_loop()
async def test_more_redirections_than_are_remembered_lead_where_they_should(world):
    nat = world.nat
    for n in range(2 * TARGETS + 3):
        decision = Decision.connect((f"192.0.2.{n % 250}", n))
        assert nat.target(None, decision) == (0xC0000200 + n % 250, n)
        assert nat.target(None, decision) == (0xC0000200 + n % 250, n)
    assert nat.target(None, Decision.connect(("far.example", 80))) == "far.example"
    assert nat.target(None, Decision.connect("unix:/run/x")) == b"/run/x"
    assert len(nat._targets) <= TARGETS
