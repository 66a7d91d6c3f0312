"""TCP flows of a guest on the host's sockets: what passes, in both directions, and what the guest hears."""

import asyncio
import contextlib
import hashlib
import socket
import struct
import threading

import pytest

from netstack.errors import BrokenError, PeerReset, Refused, TimedOut, Unreachable
from netstack.instant import MILLISECOND, SECOND
from netstack.router.flow import Decision
from tests.unit.router.nat_world import FAR, LOCALHOST, on_loop, until

BIG = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(65536))  # 2 MiB
RESET = struct.pack("ii", 1, 0)


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
    writer.close()
    await writer.wait_closed()


async def receive_all(stream):
    parts = []
    while data := await stream.receive(1 << 20):
        parts.append(data)
    return b"".join(parts)


@on_loop()
async def test_bytes_pass_both_ways_and_each_end_passes_on_its_own(world):
    port = await world.serve(echo)
    stream = await world.guest.connect_stream(FAR, port)
    assert stream.remote_address == (FAR, port)

    async def send():
        await stream.send_all(BIG)
        await stream.send_eof()

    sending = asyncio.ensure_future(send())
    assert await receive_all(stream) == BIG
    await sending
    await stream.aclose()
    await world.over()
    (flow,) = world.gate.asked
    assert (str(flow.src), str(flow.dst), flow.dst_port, flow.guest) == ("10.0.2.100", FAR, port, "")
    assert (flow.sent, flow.received, flow.state) == (len(BIG), len(BIG), "over")
    assert world.gate.over_ == [("tcp", "over", "")] and world.nonzero() == {"TcpFlows": 1}


@on_loop()
async def test_nothing_is_answered_before_the_far_side_has_and_its_refusal_is_the_guest_s(world):
    sock = socket.socket()
    sock.bind((LOCALHOST, 0))  # bound, and nobody listens
    with pytest.raises(Refused):
        await world.guest.connect_stream(FAR, sock.getsockname()[1])
    sock.close()
    assert world.nonzero() == {"TcpRefused": 1}
    assert world.gate.over_ == [("tcp", "failed", "Connection refused")]
    assert world.router.counters()["TcpExt"]["SynHeld"] == 1


@on_loop()
async def test_what_the_host_has_no_way_to_is_unreachable(world):
    world.gate.say = lambda flow: Decision.connect(("255.255.255.255", 80))
    stream = asyncio.ensure_future(world.guest.connect_stream(FAR, 80, 100 * MILLISECOND))
    await world.over()
    assert world.gate.over_[0][:2] == ("tcp", "failed")
    assert world.guest.counters()["Icmp"]["InDestUnreachs"] == 1
    with pytest.raises((Unreachable, TimedOut)):
        await stream


@on_loop()
async def test_a_reset_of_the_far_side_is_a_reset_for_the_guest(world):
    server = world.listener()
    stream = await world.guest.connect_stream(FAR, server.getsockname()[1])
    peer, _ = server.accept()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    peer.close()
    with pytest.raises(BrokenError) as caught:
        await stream.receive()
    assert isinstance(caught.value.__cause__, PeerReset)
    await world.over()
    assert world.nonzero() == {"TcpFlows": 1, "TcpResets": 1}


@on_loop()
async def test_who_resets_as_soon_as_it_is_connected_has_not_refused(world):
    server = world.listener()

    def reset_all() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = server.accept()
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                peer.close()

    thread = threading.Thread(target=reset_all)
    thread.start()
    try:
        for _ in range(40):  # before the guest has its SYN,ACK, between that and its ACK, or later
            stream = await world.guest.connect_stream(FAR, server.getsockname()[1])
            with pytest.raises(BrokenError) as caught:
                await stream.receive()
            assert isinstance(caught.value.__cause__, PeerReset)
        await world.over(40)
    finally:
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert world.nonzero() == {"TcpFlows": 40, "TcpResets": 40}


@on_loop()
async def test_a_reset_of_the_guest_is_a_reset_for_the_far_side_even_while_it_does_not_read(world):
    server = world.listener()
    stream = await world.guest.connect_stream(FAR, server.getsockname()[1])
    peer, _ = server.accept()
    with peer:
        await stream.send_all(b"unread")
        await world.guest.ping("10.0.2.2")
        stream.abort()
        await world.over()
        with pytest.raises(ConnectionResetError):
            peer.recv(100)
            peer.recv(100)
    assert world.gate.over_[0][1] == "over" and world.nonzero()["TcpResets"] == 1


@on_loop()
async def test_a_far_side_that_does_not_read_stops_the_guest_and_nothing_is_lost(world):
    server = world.listener()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    stream = await world.guest.connect_stream(FAR, server.getsockname()[1])
    peer, _ = server.accept()
    peer.setblocking(False)
    sent = 0
    with peer:
        (relay,) = world.nat.tcp.relays
        while relay.writes:  # a machine that is busy may take longer for a piece, and nobody has been stopped
            with contextlib.suppress(TimedOut):
                await stream.send_all(BIG, 100 * MILLISECOND)
            sent += len(BIG)  # queued, all of it
        with contextlib.suppress(TimedOut):
            await stream.send_all(BIG, 100 * MILLISECOND)
        sent += len(BIG)
        assert not relay.writes and 0 < relay.out_bytes <= 16 << 20
        assert world.router.net.stack.tcp.hub.held <= 32 << 20
        ending = asyncio.ensure_future(stream.send_eof())
        loop = asyncio.get_running_loop()
        seen = hashlib.sha256()
        n = 0
        while data := await loop.sock_recv(peer, 1 << 20):
            seen.update(data)
            n += len(data)
        await ending
    assert n == sent and seen.digest() == hashlib.sha256(BIG * (sent // len(BIG))).digest()
    await stream.aclose()
    await world.over()


@on_loop()
async def test_a_guest_that_does_not_read_stops_the_far_side_and_nothing_is_lost(world):
    server = world.listener()
    stream = await world.guest.connect_stream(FAR, server.getsockname()[1])
    peer, _ = server.accept()
    peer.setblocking(False)
    loop = asyncio.get_running_loop()
    size = 24 << 20
    with peer:

        async def pour():
            for _ in range(size // len(BIG)):
                await loop.sock_sendall(peer, BIG)
            peer.shutdown(socket.SHUT_WR)

        pouring = asyncio.ensure_future(pour())
        await asyncio.sleep(0.1)
        (relay,) = world.nat.tcp.relays
        assert not pouring.done() and relay.received < size
        assert relay.full and world.router.net.stack.tcp.hub.held <= 20 << 20
        seen = hashlib.sha256()
        while data := await stream.receive(1 << 20):
            seen.update(data)
        await pouring
    assert seen.digest() == hashlib.sha256(BIG * (size // len(BIG))).digest()
    await stream.aclose()
    await world.over()


@on_loop()
async def test_denials_are_told_as_the_gate_says(world):
    says = {1: Decision.deny("no"), 2: Decision.deny("no", "unreachable"), 3: Decision.deny("no", "drop")}
    world.gate.say = lambda flow: says[flow.dst_port]
    with pytest.raises(Refused):
        await world.guest.connect_stream(FAR, 1)
    with pytest.raises(Unreachable):
        await world.guest.connect_stream(FAR, 2)
    with pytest.raises(TimedOut):
        await world.guest.connect_stream(FAR, 3, 20 * MILLISECOND)
    assert world.gate.over_ == [("tcp", "denied", "no")] * 3 and world.nonzero()["Denied"] == 3


@on_loop()
async def test_a_gate_may_take_its_time_and_its_fault_denies(world):
    port = await world.serve(echo)
    asked = asyncio.Event()

    async def later(flow):
        await asked.wait()
        if flow.dst_port != port:
            raise ZeroDivisionError
        return Decision.connect((LOCALHOST, port))

    world.gate.say = later
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context["exception"]))
    connecting = asyncio.ensure_future(world.guest.connect_stream(FAR, port))
    failing = asyncio.ensure_future(world.guest.connect_stream(FAR, 9))
    await until(lambda: world.nat.tcp.count == 2)
    assert not connecting.done()
    asked.set()
    stream = await connecting
    await stream.send_all(b"hello")
    assert await stream.receive() == b"hello"
    with pytest.raises(Unreachable):
        await failing
    assert isinstance(faults[0], ZeroDivisionError)
    await stream.aclose()
    await world.over(2)


@on_loop()
async def test_who_gives_up_while_nothing_is_decided_leaves_nothing(world):
    async def never(flow):
        await asyncio.Event().wait()

    world.gate.say = never
    with pytest.raises(TimedOut):
        await world.guest.connect_stream(FAR, 80, 20 * MILLISECOND)
    assert world.nat.tcp.count == 1
    for request in list(world.router.net.stack.tcp.held.requests.values()):
        request.on_end()
    await world.over()
    assert world.gate.over_ == [("tcp", "failed", "the guest has given up")] and world.nat.tcp.count == 0


@on_loop()
async def test_a_handler_may_be_the_far_end_or_stand_in_between(world):
    port = await world.serve(echo)

    async def answer(flow, guest):
        await guest.send_all(b"I am " + await guest.receive())

    async def shout(flow, guest, far):
        while data := await guest.receive():
            await far.send_all(data.upper())
            await guest.send_all(await far.receive())

    between = Decision.connect((LOCALHOST, port), handler=shout)
    world.gate.say = lambda flow: Decision.take(answer) if flow.dst_port == 1 else between
    stream = await world.guest.connect_stream(FAR, 1)
    await stream.send_all(b"you")
    assert await receive_all(stream) == b"I am you"
    await stream.aclose()
    stream = await world.guest.connect_stream(FAR, 2)
    await stream.send_all(b"hello")
    assert await stream.receive() == b"HELLO"
    await stream.send_eof()
    assert await receive_all(stream) == b""
    await stream.aclose()
    await world.over(2)
    assert [state for _, state, _ in world.gate.over_] == ["over", "over"]


@on_loop()
async def test_an_inspector_sees_the_first_bytes_before_anybody_does(world):
    got = []

    async def serve(reader, writer):
        got.append(await reader.read(100))
        writer.close()
        await writer.wait_closed()

    port = await world.serve(serve)
    seen = []

    def inspect(flow, first, final):
        seen.append((first, final))
        return None if len(first) < 4 else first.startswith(b"good")

    world.gate.say = lambda flow: Decision.connect((LOCALHOST, port), inspect=inspect)
    stream = await world.guest.connect_stream(FAR, port)
    await stream.send_all(b"go")
    await world.guest.ping("10.0.2.2")
    assert got == []
    await stream.send_all(b"od!")
    assert await stream.receive() == b""
    assert got == [b"good!"] and seen[0] == (b"go", False) and seen[-1] == (b"good!", False)
    await stream.aclose()
    stream = await world.guest.connect_stream(FAR, port)
    await stream.send_all(b"evil")
    with pytest.raises(BrokenError):
        await stream.receive()
    await world.over(2)
    assert world.gate.over_[1][:2] == ("tcp", "denied") and got[1:] in ([], [b""])


@on_loop()
async def test_a_rate_bounds_each_way(world):
    port = await world.serve(echo)
    world.gate.say = lambda flow: Decision.connect((LOCALHOST, port), rate=400_000)
    stream = await world.guest.connect_stream(FAR, port)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    sending = asyncio.ensure_future(stream.send_all(BIG[:200_000]))
    n = 0
    while n < 200_000:
        n += len(await stream.receive())
    await sending
    took = loop.time() - begin
    assert 0.2 < took < 3, took  # 200,000 bytes at 400,000 a second, less what the purses held
    await stream.aclose()
    await world.over()


@on_loop(max_tcp=3, tcp_per_guest=2)
async def test_a_full_table_drops_syns_and_takes_them_when_there_is_room(world):
    server = world.listener()
    port = server.getsockname()[1]
    streams = [await world.guest.connect_stream(FAR, port) for _ in range(2)]
    with pytest.raises(TimedOut):
        await world.guest.connect_stream(FAR, port, 20 * MILLISECOND)
    assert world.nonzero()["TcpGuestFull"] == 1
    for stream in streams:
        stream.abort()
    await world.over(2)
    stream = await world.guest.connect_stream(FAR, port)
    stream.abort()
    await world.over(3)


@on_loop()
async def test_idle_flows_end_in_their_time_and_half_closed_ones_sooner(world):
    server = world.listener()
    port = server.getsockname()[1]
    streams = [await world.guest.connect_stream(FAR, port) for _ in range(2)]
    peers = [server.accept()[0] for _ in range(2)]
    await streams[1].send_eof()
    await until(lambda: any(relay.end_out for relay in world.nat.tcp.relays))
    now = world.nat.now()
    world.nat.turn(lambda _: world.nat.tcp.sweep(now + 239 * SECOND))
    assert world.nat.tcp.count == 2
    world.nat.turn(lambda _: world.nat.tcp.sweep(now + 241 * SECOND))
    assert world.nat.tcp.count == 1 and not next(iter(world.nat.tcp.relays)).end_out
    world.nat.turn(lambda _: world.nat.tcp.sweep(now + 7441 * SECOND))
    assert world.nat.tcp.count == 0 and world.nonzero()["TcpIdle"] == 2
    with pytest.raises(ConnectionResetError):
        peers[0].recv(1)
    for peer in peers:
        peer.close()


@on_loop()
async def test_many_at_once_come_whole_and_leave_nothing(world):
    port = await world.serve(echo)

    async def one(i):
        stream = await world.guest.connect_stream(FAR, port)
        data = BIG[i * 100 : i * 100 + 20_000]
        sending = asyncio.ensure_future(stream.send_all(data))
        got = b""
        while len(got) < len(data):
            got += await stream.receive()
        await sending
        assert got == data
        await stream.send_eof()
        assert await stream.receive() == b""
        await stream.aclose()

    await asyncio.gather(*(one(i) for i in range(100)))
    await world.over(100)
    assert world.nonzero() == {"TcpFlows": 100} and world.nat.flows() == []


@on_loop()
async def test_a_flow_may_be_shown_and_cut_from_outside(world):
    port = await world.serve(echo)
    stream = await world.guest.connect_stream(FAR, port)
    await stream.send_all(b"hello")
    assert await stream.receive() == b"hello"
    (flow,) = world.router.flows()
    assert (flow.sent, flow.received, flow.state) == (5, 5, "open")
    assert world.nat.end(flow) and not world.nat.end(flow)
    with pytest.raises(BrokenError):
        await stream.receive()
    await world.over()


@on_loop()
async def test_a_flow_may_go_on_to_a_unix_socket(world):
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "s")
        server = await asyncio.start_unix_server(echo, path)
        world.gate.say = lambda flow: Decision.connect(f"unix:{path}" if flow.dst_port == 1 else f"unix:{path}x")
        stream = await world.guest.connect_stream(FAR, 1)
        await stream.send_all(b"hello")
        assert await stream.receive() == b"hello"
        await stream.aclose()
        with pytest.raises(Refused):
            await world.guest.connect_stream(FAR, 2)
        await world.over(2)
        server.close()
