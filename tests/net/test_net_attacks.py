"""What people on the wire do to a whole host: each attack has a name and a counter, and a client is served all the same."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import pytest

from netstack import const
from netstack.adapters import PyDatagramUser, PyStreamUser
from netstack.address import Cidr
from netstack.errors import Aborted, AddressInUse
from netstack.ethif import arp_cache
from netstack.instant import MILLISECOND, SECOND
from netstack.ipv4 import core as ip_core
from netstack.ipv4 import reassembly
from netstack.netif import FrameNetif
from netstack.stack import Stack, StackConfig
from netstack.tcp import demux
from netstack.tcp.config import TcpConfig
from netstack.tcp.connection import Connection
from netstack.testing.net import Endpoint, Host, World
from tests.net.attacker import EVERYBODY, MF, Attacker, arp, eth, icmp, ip4, tcp, udp

HOST = 0x0A000001
GHOSTS = 0x0A008000  # addresses on the link where nobody lives
PAGE = bytes(range(256)) * 1000


class Stage:
    """A host that serves PAGE on port 80, an attacker, and as many clients as come."""

    def __init__(self, config: TcpConfig | None = None, *, delay: int = MILLISECOND) -> None:
        self.world = World(delay=delay)
        self.host = self.add("host", 1, StackConfig(tcp=config or TcpConfig()))
        self.stack = self.host.stack
        self.attacker = Attacker(self.world.wire, self.world.clock, int(self.stack.netif.mac or 0))
        self.served: list[Endpoint] = []
        self.host.listen(80, self.serve)
        self.clients = 0

    def add(self, name: str, number: int, config: StackConfig | None = None) -> Host:
        return self.world.host(name, f"10.0.0.{number}/16", config)

    def serve(self) -> Endpoint:
        self.served.append(Endpoint(PAGE))
        return self.served[-1]

    def client(self) -> Endpoint:
        """Somebody new asks for the page."""
        self.clients += 1
        return self.add(f"client {self.clients}", 100 + self.clients).connect(self.host, 80, Endpoint(b"please"))

    def check_service(self) -> None:
        client = self.client()
        self.world.run(until=lambda: client.is_closed, limit=20 * SECOND)
        assert client.error is None and client.received == PAGE

    def attack_while(self, done: Callable[[], bool], blow: Callable[[int], object], every: int = MILLISECOND) -> int:
        """Strike until it is done; returns how often."""
        for n in range(5000):
            blow(n)
            self.world.rest(every)
            if done():
                return n
        raise AssertionError("never done")

    def intruder(self, port: int, window: int = 65535, options: bytes = b"", address: int = 0x0A000032) -> tuple[int, Endpoint]:
        """A handshake by hand from the attacker's own address: our sequence number is 1001 afterwards, theirs is returned."""
        self.attacker.answers = {address}
        self.attacker.take()
        self.attacker.send(tcp(address, HOST, port, 80, "S", seq=1000, window=window, options=options))
        self.world.rest(10 * MILLISECOND)
        (answer,) = [segment for to, segment in self.attacker.segments() if to == address]
        self.attacker.send(tcp(address, HOST, port, 80, "A", seq=1001, ack=answer.seq + 1, window=window))
        self.world.rest(10 * MILLISECOND)
        return answer.seq + 1, self.served[-1]


# -- addresses that can't be ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("src", [HOST, 0x0A00FFFF, 0xFFFFFFFF, 0xE0000001, 0x7F000001, 0, 0xF0000001])
def test_a_syn_from_an_address_that_nobody_can_have_is_dropped_without_answer(src: int) -> None:
    """LAND, a broadcast source, loopback on the wire: an answer would go to ourselves or to everybody."""
    stage = Stage()
    stage.attacker.send(tcp(src, HOST, 80, 80, "S"))
    stage.world.rest(SECOND)
    assert stage.stack.ip.mib.InMartians == 1 and stage.stack.tcp.mib.InSegs == 0
    assert stage.attacker.take()[1:] == []
    stage.check_service()


def test_a_syn_from_where_no_route_leads_is_counted_and_the_host_lives() -> None:
    stage = Stage()
    stage.attacker.send(tcp(0x08080808, HOST, 1000, 80, "S"))
    stage.attacker.send(tcp(0x08080808, HOST, 1000, 81, "S"))
    stage.attacker.send(udp(0x08080808, HOST, 1000, 53, b"x"))
    stage.attacker.send(icmp(0x08080808, HOST, 8, 0, 1))
    stage.world.rest(SECOND)
    assert stage.stack.tcp.ext.InNoRoute == 1 and not stage.stack.tcp.hub.half
    assert stage.stack.tcp.ext.OutFailed == 1 and stage.stack.icmp.mib.OutErrors == 2
    stage.check_service()


def test_an_echo_to_everybody_is_answered_by_nobody() -> None:
    """Smurf."""
    stage = Stage()
    for dst in (0x0A00FFFF, 0xFFFFFFFF, 0xE0000001):
        stage.attacker.send(icmp(0x0A000032, dst, 8, 0, 1), dst=EVERYBODY)
    stage.attacker.send(icmp(0x0A000032, HOST, 8, 0, 1), dst=EVERYBODY)
    stage.world.rest(SECOND)
    assert stage.stack.icmp.mib.InEchosIgnored == 3 and stage.stack.ip.mib.InLinkCast == 1
    assert stage.stack.icmp.mib.OutMsgs == 0


# -- floods ------------------------------------------------------------------------------------------------------------------


def test_a_syn_flood_from_neighbours_that_never_answer_leaves_room_for_a_client() -> None:
    """Each SYN,ACK waits for an ARP answer that won't come: neither those queues nor the half-open table may keep others out."""
    stage = Stage(TcpConfig(max_half_open=256))
    client = stage.client()
    arp_table = stage.stack.arp
    assert arp_table is not None

    def blow(n: int) -> None:
        for i in range(20):
            stage.attacker.send(tcp(GHOSTS + 20 * n + i, HOST, 1024 + n, 80, "S", seq=i))
        assert len(arp_table.cache.asked) <= arp_cache.ASKED_LIMIT
        assert len(stage.stack.tcp.hub.half) <= 256

    stage.attack_while(lambda: client.is_closed, blow)
    assert client.error is None and client.received == PAGE
    for n in range(200):
        blow(1000 + n)
        stage.world.rest(MILLISECOND)
    assert arp_table.mib.TableFulls > 0 and stage.stack.tcp.ext.SyncookiesSent > 0
    stage.check_service()
    stage.world.rest(200 * SECOND)
    assert not stage.stack.tcp.hub.half and not arp_table.cache.asked


def test_a_flood_of_forged_arp_requests_does_not_disturb_a_transfer() -> None:
    stage = Stage()
    client = stage.client()
    table = stage.stack.arp
    assert table is not None

    def blow(n: int) -> None:
        for i in range(100):
            sha = 0x020100000000 + 100 * n + i
            stage.attacker.frame(eth(EVERYBODY, sha, const.ETH_ARP, arp(1, sha, GHOSTS + (100 * n + i) % 30000, 0, HOST)))

    stage.attack_while(lambda: client.is_closed, blow)
    assert client.error is None and client.received == PAGE
    assert len(table.cache.heard_only) <= arp_cache.HEARD_LIMIT
    assert table.mib.TableFulls > 0
    stage.check_service()


def test_a_flood_of_fragments_does_not_disturb_a_transfer_and_its_memory_is_bounded() -> None:
    stage = Stage()
    client = stage.client()
    held = stage.stack.ip.reassembly

    def blow(n: int) -> None:
        for i in range(20):
            stage.attacker.send(ip4(GHOSTS + n % 200, HOST, 17, bytes(1480), ident=i, frag=MF | 185 * (n % 40)))
        assert held.bytes <= reassembly.BYTES and len(held.partials) <= reassembly.DATAGRAMS

    stage.attack_while(lambda: client.is_closed, blow)
    assert client.error is None and client.received == PAGE
    for n in range(200):
        blow(n)
    stage.world.rest(SECOND)
    assert stage.stack.ip.mib.ReasmLimit > 0 and held.bytes <= reassembly.BYTES
    stage.check_service()
    stage.world.rest(60 * SECOND)
    assert held.bytes == 0


@pytest.mark.parametrize(
    ("pieces", "counter"),
    [
        (((0, MF, 1480), (1, 0, 8)), "ReasmInconsistent"),  # teardrop
        (((0, MF, 24), (1, MF, 8)), "ReasmOverlaps"),
        (((8191, 0, 1000),), "ReasmTooBig"),  # ping of death
        (((0, MF, 7),), "ReasmInconsistent"),
        (((0, 0, 0), (1, MF, 0)), "ReasmInconsistent"),
    ],
)
def test_fragments_that_make_no_datagram_are_given_up(pieces: tuple[tuple[int, int, int], ...], counter: str) -> None:
    stage = Stage()
    for at, more, size in pieces:
        stage.attacker.send(ip4(0x0A000032, HOST, 17, bytes(size), frag=at | more))
    stage.world.rest(SECOND)
    assert getattr(stage.stack.ip.mib, counter) == 1
    stage.check_service()


def test_a_scan_of_closed_ports_is_answered_at_a_bounded_rate() -> None:
    stage = Stage()
    stage.attacker.answers = {0x0A000032}
    for port in range(2000, 6000):
        stage.attacker.send(tcp(0x0A000032, HOST, 999, port, "S"))
        stage.attacker.send(udp(0x0A000032, HOST, 999, port, b""))
    stage.world.rest(100 * MILLISECOND)
    assert stage.stack.tcp.ext.RstLimited >= 2900 and stage.stack.icmp.mib.OutRateLimitGlobal >= 3000
    assert len(stage.attacker.take()) < 1500
    stage.check_service()


def test_time_waits_are_bounded_and_the_oldest_ends_early() -> None:
    stage = Stage(TcpConfig(max_time_wait=16))
    peer = stage.add("peer", 2)
    peer.listen(80, lambda: Endpoint(b"bye"))
    for _ in range(10):
        ends = [stage.host.connect(peer, 80, Endpoint()) for _ in range(10)]
        stage.world.run(until=lambda ends=ends: all(end.is_closed for end in ends))  # type: ignore[misc]  # mypy can't infer it
        assert all(end.received == b"bye" for end in ends)
    assert stage.stack.tcp.ext.TCPTimeWaitOverflow == 84 and len(stage.stack.tcp.hub.waits) == 16
    stage.world.rest(61 * SECOND)
    assert not stage.stack.tcp.hub.tables
    stage.check_service()


def test_when_every_port_towards_a_peer_is_taken_connect_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demux, "EPHEMERALS", 64)
    stage = Stage()
    peer, other = stage.add("peer", 2), stage.add("other", 3)
    peer.listen(80, lambda: Endpoint(close=False))
    other.listen(80, lambda: Endpoint(b"here"))
    ends = [stage.host.connect(peer, 80, Endpoint(close=False)) for _ in range(64)]
    with pytest.raises(AddressInUse):
        stage.host.connect(peer, 80, Endpoint())
    elsewhere = stage.host.connect(other, 80, Endpoint())
    stage.world.run(until=lambda: elsewhere.is_closed)
    assert elsewhere.received == b"here"
    assert ends[0].conn is not None
    ends[0].conn.abort(stage.world.now)
    stage.host.connect(peer, 80, Endpoint())


# -- lies about a connection -------------------------------------------------------------------------------------------------


def in_flight(stage: Stage) -> bytes:
    """What a router on the path might quote of the last segment that the host has sent to its client; more than it has to."""
    conn = stage.served[0].conn if stage.served else None
    if conn is None:
        return bytes(28)
    return tcp(HOST, conn.remote, 80, conn.remote_port, "A", conn.snd_max - 1, conn.rcv_nxt, data=bytes(1460))[:100]


def test_fragmentation_needed_lies_make_a_transfer_slower_and_no_less_whole() -> None:
    """Even with quotes that are in flight. No segment becomes smaller than those of an MTU of 552 (RFC 5927 7.2)."""
    stage = Stage()
    client = stage.client()

    def blow(n: int) -> None:
        for mtu in (1499, 1400, 1000, 0, 1, 68, 551, 1500, 65535, 576, 552):
            stage.attacker.send(icmp(0x0A000032, HOST, 3, 4, mtu, in_flight(stage)))

    stage.attack_while(lambda: client.is_closed, blow)
    assert client.error is None and client.received == PAGE
    assert stage.stack.icmp.mib.InBadMtu > 0 and stage.stack.tcp.ext.PmtuLowered > 0
    conn = stage.served[0].conn
    assert conn is not None and conn.mss == 552 - 40 - 12  # timestamps


def test_unreachable_lies_do_not_end_a_connection() -> None:
    stage = Stage()
    client = stage.client()

    def blow(n: int) -> None:
        for kind, code in ((3, 0), (3, 1), (3, 2), (3, 3), (3, 13), (11, 0), (12, 0), (4, 0), (5, 0)):
            stage.attacker.send(icmp(0x0A000032, HOST, kind, code, 0, in_flight(stage)))

    stage.attack_while(lambda: client.is_closed, blow)
    assert client.error is None and client.received == PAGE
    assert stage.stack.icmp.mib.InRedirects > 0 and stage.stack.icmp.mib.InSrcQuenchs > 0
    conn = stage.served[0].conn
    assert conn is not None and conn.soft_error is not None, "heard, and not acted upon"


def test_a_spray_of_blind_resets_and_syns_does_not_end_a_connection() -> None:
    stage = Stage()
    rng = random.Random(11)
    client = stage.client()
    assert client.conn is not None
    conn = client.conn
    stage.world.run(until=lambda: len(client.received) > 0)

    def blow(n: int) -> None:
        for flags in ("R", "RA", "S", "SA", "PA", "FA"):
            for _ in range(8):
                seq, ack = rng.getrandbits(32), rng.getrandbits(32)
                data = b"" if "R" in flags else b"evil"
                stage.attacker.send(tcp(conn.local, HOST, conn.local_port, 80, flags, seq, ack, data=data))

    blows = stage.attack_while(lambda: client.is_closed, blow)
    assert client.error is None and client.received == PAGE and stage.served[0].received == b"please"
    assert stage.stack.tcp.ext.InBlindRst > 0
    assert stage.stack.tcp.ext.TCPChallengeACK <= 2 + blows * 2 * MILLISECOND // SECOND, "two in a second at most"


def test_two_peers_that_were_made_to_disagree_do_not_answer_each_other_for_ever() -> None:
    """The ACK storm: text was put into each direction, so each end acknowledges what the other never sent."""
    stage = Stage()
    client = stage.add("client", 9).connect(stage.host, 80, Endpoint(close=False))
    stage.served.clear()
    stage.world.run(until=lambda: client.received == PAGE)
    server = stage.served[0].conn
    assert client.conn is not None and server is not None
    a, b = client.conn, server
    to_client = int(stage.world.hosts[1].stack.netif.mac or 0)
    stage.attacker.send(tcp(a.local, HOST, a.local_port, 80, "PA", b.rcv_nxt, b.snd_max, data=b"forged"))
    stage.attacker.send(tcp(HOST, a.local, 80, a.local_port, "PA", a.rcv_nxt, a.snd_max, data=b"forged too"), dst=to_client)
    stage.world.rest(SECOND)
    stage.attacker.take()
    stage.world.rest(10 * SECOND)
    assert len(stage.attacker.take()) < 100
    stage.check_service()


def test_an_optimistic_ack_moves_nothing() -> None:
    stage = Stage()
    seq, served = stage.intruder(4000, window=4000)
    conn = served.conn
    assert conn is not None
    before = conn.info()
    for ahead in (5000, 20_000, 100_000):
        stage.attacker.send(tcp(0x0A000032, HOST, 4000, 80, "A", 1001, seq + ahead))
    stage.world.rest(10 * MILLISECOND)
    assert stage.stack.tcp.ext.InBadAck == 3
    assert conn.info().cwnd == before.cwnd and conn.snd_una == seq


# -- greedy and stingy peers -------------------------------------------------------------------------------------------------


def test_a_window_that_is_never_opened_holds_a_closed_connection_for_a_bounded_time() -> None:
    """Sockstress: the page is written, its writer has closed, and the reader says 'wait' for ever."""
    stage = Stage()
    seq, served = stage.intruder(4000, window=0)
    assert served.conn is not None
    served.conn.close(stage.world.now)

    def answer(n: int) -> None:
        stage.attacker.send(tcp(0x0A000032, HOST, 4000, 80, "A", 1001, seq, window=0))

    blows = stage.attack_while(lambda: served.is_closed, answer, every=SECOND)
    assert 60 < blows < 600
    assert stage.stack.tcp.ext.PersistGiveUps == 1 and not stage.stack.tcp.hub.tables
    stage.check_service()


def test_a_window_that_is_taken_back_is_survived() -> None:
    """RFC 9293 3.8.6: shrinking is discouraged, and to be put up with."""
    stage = Stage()
    seq, _ = stage.intruder(4000, window=60_000)
    got = bytearray()
    state = {"nxt": seq}

    def answer(n: int) -> None:
        for to, segment in stage.attacker.segments():
            if to == 0x0A000032 and segment.seq == state["nxt"] and segment.payload:
                got.extend(segment.payload)
                state["nxt"] += len(segment.payload)
        window = (60_000, 3000, 0, 100, 20_000)[n % 5]
        stage.attacker.send(tcp(0x0A000032, HOST, 4000, 80, "A", 1001, state["nxt"], window=window))

    stage.attack_while(lambda: len(got) >= len(PAGE), answer, every=50 * MILLISECOND)
    assert bytes(got) == PAGE


def test_a_peer_that_announces_an_mss_of_one_gets_segments_of_bounded_number() -> None:
    """CVE-2019-11479: one byte of payload in each segment would be 256,000 of them."""
    stage = Stage()
    seq, _ = stage.intruder(4000, options=b"\x02\x04\x00\x01")
    got = bytearray()
    segments = 0

    def answer(n: int) -> None:
        nonlocal segments
        for to, segment in stage.attacker.segments():
            if to == 0x0A000032 and segment.payload:
                segments += 1
                if segment.seq == (seq + len(got)) & const.M32:
                    got.extend(segment.payload)
        stage.attacker.send(tcp(0x0A000032, HOST, 4000, 80, "A", 1001, seq + len(got)))

    stage.attack_while(lambda: len(got) >= len(PAGE), answer, every=10 * MILLISECOND)
    assert bytes(got) == PAGE
    assert stage.stack.tcp.ext.TinyMss == 1 and segments <= 1.1 * len(PAGE) / 88


# -- neighbours --------------------------------------------------------------------------------------------------------------


def test_a_neighbour_in_steady_use_is_not_asked_again_and_not_believed_to_have_moved() -> None:
    """What TCP gets through confirms the neighbour (RFC 4861 7.3.1): no questions, and no moment for a forgery."""
    stage = Stage()
    peer = stage.add("peer", 2)
    server = Endpoint(close=False)
    peer.listen(81, lambda: server)
    client = stage.host.connect(peer, 81, Endpoint(b"0", close=False))
    stage.world.run(until=lambda: server.received == b"0")
    assert stage.stack.arp is not None and client.conn is not None
    mib = stage.stack.arp.mib
    asked, locked = mib.OutRequests, mib.InLocked
    for _ in range(300):
        client.conn.write(b"x", stage.world.now)
        stage.world.rest(400 * MILLISECOND)
        stage.attacker.arp(2, 0x0A000002, HOST, stage.attacker.victim_mac, dst=stage.attacker.victim_mac)
    stage.world.rest(MILLISECOND)
    assert len(server.received) == 301
    assert mib.OutRequests == asked and mib.InLocked == locked + 300


def test_an_answer_from_a_thief_of_the_own_address_is_defended_against() -> None:
    stage = Stage()
    client = stage.client()

    def blow(n: int) -> None:
        stage.attacker.arp(1, HOST, HOST, dst=stage.attacker.victim_mac)

    stage.attack_while(lambda: client.is_closed, blow)
    assert client.error is None and client.received == PAGE
    assert stage.stack.arp is not None and stage.stack.arp.mib.Conflicts > 1 == stage.stack.arp.mib.Defences
    assert stage.stack.addresses
    stage.check_service()


# -- to ourselves ------------------------------------------------------------------------------------------------------------


class Answerer:
    """A UDP program that answers each datagram, and each error, at once."""

    def __init__(self, stack: Stack, port: int, limit: int = 1 << 30) -> None:
        self.told = 0
        self.limit = limit
        self.port = stack.udp.bind(0, port, PyDatagramUser(self))

    def answer(self, address: int, port: int, now: int) -> None:
        self.told += 1
        if self.told < self.limit:
            self.port.send(b"again", address, port, now)

    def on_datagram(self, data: bytes, address: int, port: int, now: int) -> None:
        self.answer(address, port, now)

    def on_error(self, error: Exception, address: int, port: int, now: int) -> None:
        self.answer(address, port, now)


def alone(netif: FrameNetif) -> Stack:
    return Stack(netif, now=0, rng=random.Random(1), addresses=[Cidr.parse("10.0.0.1/24")])


class Sink(FrameNetif):
    """A device that takes everything, as a super-segment where it is told so, or nothing at all."""

    def __init__(self, offload: int = 0, error: OSError | None = None) -> None:
        super().__init__("sink0", None, 1500)
        self._offload = offload
        self.error = error
        self.sent = 0

    @property
    def offload(self) -> int:
        return self._offload

    def transmit(self, frame: bytes, now: int) -> None:
        if self.error is not None:
            raise self.error
        self.sent += 1


def test_two_programs_that_answer_each_other_on_the_loopback_leave_the_host_its_turns() -> None:
    """echo and chargen: each turn carries what waits, and ends."""
    stack = alone(Sink())
    one, two = Answerer(stack, 7), Answerer(stack, 19)
    one.port.send(b"go", 0x7F000001, 19, 0)
    for turn in range(100):
        stack.run(turn)
    assert 90 <= one.told + two.told <= 110


def test_a_program_that_answers_each_error_with_another_try_leaves_the_host_its_turns() -> None:
    stage = Stage()
    user = Answerer(stage.stack, 9, limit=5000)
    user.port.send(b"x", GHOSTS, 5, stage.world.now)
    stage.world.rest(2 * SECOND + 999 * MILLISECOND)
    assert user.told == 0
    for _ in range(50):
        stage.stack.run(stage.world.now)
    stage.world.rest(2 * MILLISECOND)  # the neighbour has failed: each try is refused at once
    assert user.told == 5000
    stage.check_service()


def test_a_flood_to_ourselves_is_bounded_and_counted() -> None:
    stack = alone(Sink())
    quiet = Answerer(stack, 7, limit=0)
    for _ in range(6000):
        quiet.port.send(b"x", HOST, 7, 0)
    assert len(stack.ip.loop) == ip_core.LOOP_DATAGRAMS
    assert stack.ip.mib.LoopDrops == 6000 - ip_core.LOOP_DATAGRAMS
    stack.run(1)
    assert quiet.told == ip_core.LOOP_DATAGRAMS and stack.ip.loop_bytes == 0 and stack.idle()


def test_a_fault_in_a_program_does_not_stop_the_loopback() -> None:
    stack = alone(Sink())
    user = Answerer(stack, 7, limit=0)

    def fail(address: int, port: int, now: int) -> None:
        del user.answer  # type: ignore[method-assign]  # the next one is taken
        raise RuntimeError("the program's")

    user.answer = fail  # type: ignore[method-assign]  # once
    user.port.send(b"1", HOST, 7, 0)
    user.port.send(b"2", HOST, 7, 0)
    with pytest.raises(RuntimeError):
        stack.run(1)
    assert not stack.idle()
    stack.run(2)
    assert user.told == 1 and stack.idle()


def test_a_connection_to_ourselves_over_a_device_that_cuts_segments_makes_progress() -> None:
    """The path to ourselves carries segments that are longer than any super-segment."""
    stack = alone(Sink(const.OFFLOAD_CSUM | const.OFFLOAD_TSO4))
    server, client = Endpoint(), Endpoint(PAGE)

    def accept(conn: Connection) -> PyStreamUser:
        server.conn = conn
        return PyStreamUser(server)

    stack.tcp.listen(0, 80, accept)
    client.conn = stack.tcp.connect(0, 0, HOST, 80, PyStreamUser(client), 0)
    for turn in range(100):
        stack.run(turn)
    assert server.received == PAGE


# -- the device and the program -----------------------------------------------------------------------------------------------


def test_a_device_that_raises_loses_frames_and_no_connection() -> None:
    device = Sink()
    stack = alone(device)
    end = Endpoint(b"x")
    end.conn = stack.tcp.connect(0, 0, 0x0A000002, 80, PyStreamUser(end), 0)
    device.error = OSError(5, "it is raining")
    stack.run(1100 * MILLISECOND)
    stack.run(3200 * MILLISECOND)
    assert stack.link.mib.OutErrors == 2 and not end.is_closed
    device.error = None
    stack.run(7300 * MILLISECOND)
    assert device.sent == 2
    device.error = OSError(19, "gone")
    stack.close(8 * SECOND)
    assert isinstance(end.error, Aborted)


def test_igmp_questions_are_answered_once_however_many_come() -> None:
    stage = Stage()
    stage.stack.ip.join(0xE00000FB)
    stage.world.rest(60 * SECOND)
    told = stage.stack.ip.igmp.mib.OutReports
    query = struct.pack("!BBHI", 0x11, 10, 0xEEF5, 0)
    for _ in range(200):
        stage.attacker.send(ip4(0x0A000032, 0xE0000001, 2, query, ttl=1, options=b"\x94\x04\0\0"), dst=0x01005E000001)
    stage.world.rest(5 * SECOND)
    assert stage.stack.ip.igmp.mib.InQueries == 200 and stage.stack.ip.igmp.mib.OutReports == told + 1
