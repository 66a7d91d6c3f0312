"""Datagrams and echo requests of a guest on the host's sockets."""

import asyncio
import logging
import select
import socket

import pytest

from netstack.address import Ip4
from netstack.errors import Refused, TimedOut, Unreachable
from netstack.instant import MILLISECOND, SECOND
from netstack.router.flow import Decision
from netstack.router.nat import errqueue
from netstack.sockets.datagramend import DatagramEnd
from tests.unit.router.nat_world import FAR, LOCALHOST, from_udp, on_loop, until


def ping_allowed() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP).close()
    except OSError:
        return False
    return True


@on_loop()
async def test_datagrams_pass_both_ways_and_a_guest_s_port_has_one_name_for_everybody(world):
    a, b = world.udp(), world.udp()
    port = await world.guest.udp()
    seen = []
    for sock, host in ((a, FAR), (b, "198.51.100.9")):
        await port.send(b"question", (host, sock.getsockname()[1]))
        data, peer = await from_udp(sock)
        assert data == b"question"
        seen.append(peer)
        sock.sendto(b"answer", peer)
        assert await port.receive() == (b"answer", (host, sock.getsockname()[1]))
    assert seen[0] == seen[1]  # RFC 4787 REQ-1
    flows = world.router.flows()
    assert sorted((flow.sent, flow.received, flow.state) for flow in flows) == [(8, 6, "open")] * 2
    await port.send(b"", (FAR, a.getsockname()[1]))
    assert (await from_udp(a))[0] == b""
    big = bytes(range(256)) * 200
    await port.send(big, (FAR, a.getsockname()[1]))
    assert (await from_udp(a))[0] == big
    a.sendto(big, seen[0])
    assert (await port.receive())[0] == big
    await port.aclose()
    assert world.nonzero() == {"UdpFlows": 2, "UdpOut": 4, "UdpIn": 3}


@on_loop()
async def test_who_was_not_asked_does_not_get_in(world):
    a, b = world.udp(), world.udp()
    port = await world.guest.udp()
    await port.send(b"question", (FAR, a.getsockname()[1]))
    _, peer = await from_udp(a)
    b.sendto(b"uninvited", peer)
    a.sendto(b"answer", peer)
    assert (await port.receive())[0] == b"answer"
    assert world.nonzero()["UdpFiltered"] == 1


@on_loop(filtering="address")
async def test_filtering_may_ask_for_the_host_alone(world):
    a, b = world.udp(), world.udp()
    port = await world.guest.udp()
    await port.send(b"question", (FAR, a.getsockname()[1]))
    _, peer = await from_udp(a)
    b.sendto(b"from another port", peer)
    assert await port.receive() == (b"from another port", (FAR, b.getsockname()[1]))


@on_loop()
async def test_what_nobody_takes_is_told_in_the_name_of_whoever_was_asked(world):
    sock = world.udp()
    number = sock.getsockname()[1]
    sock.close()
    port = await world.guest.udp(remote=(FAR, number))
    await port.send(b"anybody?")
    with pytest.raises(Refused):
        await port.receive(SECOND)
    assert world.nonzero()["ErrorsIn"] == 1
    await port.send(b"still nobody?")
    with pytest.raises(Refused):
        await port.receive(SECOND)
    assert world.guest.counters()["Icmp"]["InDestUnreachs"] == 2


@on_loop()
async def test_denied_datagrams_are_told_and_the_gate_is_asked_once(world):
    world.gate.say = lambda flow: Decision.deny("no", "drop" if flow.dst_port == 5 else "reset")
    port = await world.guest.udp(remote=(FAR, 9))
    for _ in range(3):
        await port.send(b"x")
        with pytest.raises(Refused):
            await port.receive(SECOND)
    quiet = await world.guest.udp(remote=(FAR, 5))
    await quiet.send(b"x")
    with pytest.raises(TimedOut):
        await quiet.receive(20 * MILLISECOND)
    assert len(world.gate.asked) == 2 and world.nonzero() == {"UdpFlows": 2, "Denied": 2}
    now = world.nat.now()
    world.nat.udp.sweep(now + 11 * SECOND)
    assert world.gate.over_ == [("udp", "denied", "no")] * 2


@on_loop()
async def test_what_comes_while_nothing_is_decided_waits_and_not_too_much_of_it(world):
    sock = world.udp()
    decide = asyncio.Event()

    async def later(flow):
        await decide.wait()
        return Decision.connect(("localhost", sock.getsockname()[1]))  # a name of the host's world, looked up

    world.gate.say = later
    port = await world.guest.udp(remote=(FAR, 53))
    for i in range(10):
        await port.send(b"%d" % i)
    await world.guest.ping("10.0.2.2")
    decide.set()
    assert [(await from_udp(sock))[0] for _ in range(8)] == [b"%d" % i for i in range(8)]
    assert world.nonzero()["UdpWaiting"] == 2


@on_loop()
async def test_sessions_end_in_their_time_and_questions_to_name_servers_sooner(world):
    sock = world.udp()
    world.gate.say = lambda flow: Decision.connect((LOCALHOST, sock.getsockname()[1]))
    for dport in (53, 4000):
        port = await world.guest.udp(remote=(FAR, dport))
        await port.send(b"x")
        await from_udp(sock)
    assert len(world.nat.udp.sessions()) == 2 and len(world.nat.udp.mappings) == 2
    now = world.nat.now()
    world.nat.udp.sweep(now + 31 * SECOND)
    assert [session.dport for session in world.nat.udp.sessions()] == [4000]
    world.nat.udp.sweep(now + 299 * SECOND)
    assert len(world.nat.udp.sessions()) == 1
    world.nat.udp.sweep(now + 301 * SECOND)
    assert world.nat.udp.sessions() == [] and world.nat.udp.mappings == {}
    assert [(proto, state) for proto, state, _ in world.gate.over_] == [("udp", "over")] * 2


@on_loop(max_udp=20, max_sockets=10)
async def test_under_pressure_the_oldest_of_the_greediest_goes(world):
    sock = world.udp()
    number = sock.getsockname()[1]
    world.gate.say = lambda flow: Decision.connect((LOCALHOST, number))
    greedy = await world.guest.udp()
    for i in range(50):
        await greedy.send(b"x", (FAR, 1000 + i))
    await world.guest.ping("10.0.2.2")
    assert sorted(session.dport for session in world.nat.udp.sessions()) == list(range(1030, 1050))
    assert world.nonzero()["UdpEvicted"] == 30
    for _ in range(15):
        port = await world.guest.udp()
        await port.send(b"x", (FAR, 9))
    await world.guest.ping("10.0.2.2")
    assert len(world.nat.udp.mappings) <= 10 and len(world.nat.udp.sessions()) <= 20


@on_loop(max_tcp=4, max_sockets=10, max_echo=2, descriptors=10)
async def test_datagrams_have_the_descriptors_that_tcp_leaves_them(world):
    sock = world.udp()
    number = sock.getsockname()[1]
    server = world.listener()
    world.gate.say = lambda flow: Decision.connect((LOCALHOST, number)) if flow.proto == "udp" else None

    async def flood(n):
        for _ in range(n):
            port = await world.guest.udp()
            await port.send(b"x", (FAR, 9))
        await world.guest.ping("10.0.2.2")

    streams = [await world.guest.connect_stream(FAR, server.getsockname()[1])]
    await flood(9)
    assert len(world.nat.udp.mappings) == 7
    streams += [await world.guest.connect_stream(FAR, server.getsockname()[1]) for _ in range(3)]
    assert len(world.nat.udp.mappings) == 4 and world.nonzero()["UdpEvicted"] == 5
    for stream in streams:
        stream.abort()
    await until(lambda: world.nat.tcp.count == 0)
    await flood(9)
    assert len(world.nat.udp.mappings) == 8


@on_loop()
async def test_a_datagram_that_waits_for_a_denial_is_answered_by_it(world):
    async def later(flow):
        await asyncio.sleep(0)
        return Decision.deny("no", "reset")

    world.gate.say = later
    port = await world.guest.udp(remote=(FAR, 9))
    await port.send(b"may I?")
    with pytest.raises(Refused):
        await port.receive(SECOND)


@on_loop()
async def test_a_time_to_live_that_ends_here_is_told_by_the_router(world):
    port = await world.guest.udp(remote=(FAR, 33434))
    port.port.send(b"probe", 0, 0, world.guest.now(), ttl=1)
    with pytest.raises(Unreachable, match="time to live"):
        await port.receive(SECOND)
    assert world.nonzero()["TtlExceeded"] == 1


class Nobody:
    def changed(self):
        pass

    def failed(self, error, address, port):
        raise AssertionError(error)


@on_loop()
async def test_classes_and_congestion_pass_both_ways(world):
    sock = world.udp()
    sock.setsockopt(socket.IPPROTO_IP, 13, 1)  # IP_RECVTOS
    udp = world.guest.stack.udp
    end = DatagramEnd(udp.mib, Nobody())
    port = udp.bind(0, 0, end)
    for tos, back in ((0, 0), (0xB9, 0xBA), (0xB9, 0xBB), (0x02, 0x01), (0, 0)):  # expedited with ECT(1), and QUIC's ECT(0)
        port.send(b"?", int(Ip4.parse(FAR)), sock.getsockname()[1], world.guest.now(), tos=tos)
        await until(lambda: select.select([sock], [], [], 0)[0])
        _, control, _, peer = sock.recvmsg(10, 100)
        assert [data[0] for _, kind, data in control if kind == socket.IP_TOS] == [tos]
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, back)
        sock.sendto(b"!", peer)
        await until(lambda: end.queue)
        assert end.get()[5] == back
    port.close()


@pytest.mark.skipif(not ping_allowed(), reason="no ping sockets: net.ipv4.ping_group_range")
@on_loop()
async def test_echo_requests_go_on_and_their_answers_come_back(world):
    world.gate.say = lambda flow: Decision.connect((LOCALHOST, 0))
    assert await world.guest.ping(FAR) > 0
    assert await world.guest.ping(FAR, size=1400) > 0
    assert world.nonzero() == {"EchoFlows": 2, "EchoOut": 2, "EchoIn": 2}
    world.nat.echo.sweep(world.nat.now() + 61 * SECOND)
    assert world.gate.over_ == [("icmp", "over", "")] * 2


@on_loop()
async def test_without_ping_sockets_nothing_is_answered_and_that_is_counted(world):
    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("netstack.router.nat.echoes.socket.socket", refuse)
        patch.setattr(logging.getLogger("netstack.router"), "warning", lines.append)
        for host in (FAR, "192.0.2.8"):
            with pytest.raises(TimedOut):
                await world.guest.ping(host, timeout=0.02)
    assert world.nonzero() == {"EchoFlows": 2, "EchoUnavailable": 2}
    (line,) = lines  # once is enough
    assert "net.ipv4.ping_group_range" in line


@on_loop()
async def test_where_there_is_no_way_echo_requests_are_told(world):
    def refuse(*args):
        raise OSError(101, "Network is unreachable")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("netstack.router.nat.echoes.socket.socket", refuse)
        with pytest.raises(Unreachable):
            await world.guest.ping(FAR, timeout=1)
    assert world.nonzero() == {"EchoFlows": 1}
    assert [(flow.state, flow.note) for flow in world.router.flows()] == [("failed", "[Errno 101] Network is unreachable")]


@on_loop()
async def test_a_hop_is_one_for_echo_requests_that_are_denied_too(world):
    world.gate.say = lambda flow: Decision.deny("no", "drop")
    told = []
    world.guest.stack.icmp.on_echo_reply(7, lambda *args: None, lambda error, seq, now: told.append((error.type, seq)))
    for ttl in (1, 2):
        world.guest.stack.icmp.ping(int(Ip4.parse(FAR)), 7, ttl, b"trace", world.guest.now(), ttl=ttl)
    await world.guest.ping("10.0.2.2")
    assert told == [(11, 1)] and world.nonzero() == {"EchoFlows": 1, "Denied": 1, "TtlExceeded": 1}


@on_loop()
async def test_denied_echo_requests_are_told(world):
    world.gate.say = lambda flow: Decision.deny("no", "unreachable")
    with pytest.raises(Unreachable):
        await world.guest.ping(FAR, timeout=1)
    assert world.nonzero() == {"EchoFlows": 1, "Denied": 1}


def test_the_error_queue_of_a_socket_without_errors_is_empty():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        errqueue.ask(sock)
        assert errqueue.read(sock) == []
        sock.connect((LOCALHOST, 9))
        sock.send(b"nobody there")
        told = errqueue.read(sock)
        assert [(each.type, each.code, each.port, each.payload) for each in told] == [(3, 3, 9, b"nobody there")]
