"""Whatever a wire may carry, into a whole stack that is busy: nothing is raised, every frame is accounted for, nothing grows
beyond its bound, and the stack serves the next client as before.

The frames are random bytes, lawful frames near the state of the open connections, and such frames damaged, with their checksums
made right again in half of the cases, so that the damage gets as deep as it can. A case that fails leaves its capture behind.
"""

from __future__ import annotations

import contextlib
import random
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netstack import const
from netstack.adapters import PyDatagramUser, PyStreamUser
from netstack.address import Cidr, Ip4
from netstack.buffers import FREE_LIMIT, LENT_LIMIT
from netstack.checksum import checksum, pseudo_ip4
from netstack.cores import StreamUser
from netstack.ethif import arp_cache
from netstack.instant import MILLISECOND, SECOND
from netstack.ipv4 import core as ip_core
from netstack.ipv4 import reassembly, route
from netstack.stack import Stack, StackConfig
from netstack.tcp.config import TcpConfig
from netstack.tcp.connection import Connection
from netstack.testing.clock import VirtualClock
from netstack.testing.net import Endpoint
from netstack.testing.wire import Wire
from tests.net.attacker import DF, EVERYBODY, MF, Attacker, arp, eth, icmp, ip4, tcp, udp

HOST = 0x0A000001
PEER = 0x0A000002
ROUTER = 0x0A0000FE
ELSEWHERE = 0xC0000201  # 192.0.2.1, by way of the router
CLIENT = 0x0A00004D
HALF_OPEN = 16
WAITS = 8


class Busy:
    """A stack with open ports and connections in many states, and somebody at the other end of the wire."""

    def __init__(self, ethernet: bool, rng: random.Random, capture: Path | None = None) -> None:
        self.rng = rng
        self.clock = VirtualClock(1000 * SECOND)
        self.wire = Wire(ethernet=ethernet)
        if capture is not None:
            self.wire.capture(capture)
        config = StackConfig(tcp=TcpConfig(max_half_open=HALF_OPEN, max_time_wait=WAITS, rcv_buf=20_000))
        port = self.wire.port("host")
        gateway = Ip4(ROUTER) if ethernet else None
        addresses = [Cidr.parse("10.0.0.1/24" if ethernet else "10.0.0.1/32")]
        self.stack = Stack(port, now=self.clock.now, rng=rng, addresses=addresses, gateway=gateway, config=config)
        if not ethernet:
            self.stack.ip.add_route(Cidr(Ip4(0), 0), None)
        self.clock.add(self.stack, "host")
        self.peer = Attacker(self.wire, self.clock, 0 if port.mac is None else int(port.mac), "peer")
        self.peer.answers = {PEER, ROUTER, CLIENT}
        self.seen: list[bytes] = []
        self.accepted: list[Endpoint] = []
        self.stack.tcp.listen(0, 80, self.accept)
        self.datagrams = 0
        self.stack.udp.bind(0, 53, PyDatagramUser(self))
        self.stack.udp.bind(0, 5353, PyDatagramUser(self), remote=(PEER, 40000))
        self.stack.ip.join(0xE00000FB)
        for port_number, flags in ((40001, ""), (40002, "FA"), (40003, "close"), (40004, "pause"), (40005, "half")):
            self.open(port_number, flags)
        client = Endpoint(b"q" * 3000)
        client.conn = self.stack.tcp.connect(0, 0, PEER, 80, PyStreamUser(client), self.clock.now)
        self.rest(10 * MILLISECOND)

    def accept(self, conn: Connection) -> StreamUser:
        endpoint = Endpoint(self.rng.choice((b"", b"x" * 50_000)), close=self.rng.random() < 0.3)
        endpoint.conn = conn
        self.accepted.append(endpoint)
        return PyStreamUser(endpoint)

    def on_datagram(self, data: bytes, address: int, port: int, now: int) -> None:
        self.datagrams += 1
        if address and len(data) < 1000 and self.rng.random() < 0.5:
            with contextlib.suppress(OSError):
                self.stack.udp.ports[53][0].send(data, address, port or 9, now)

    def on_error(self, error: Exception, address: int, port: int, now: int) -> None:
        pass

    def open(self, port: int, how: str) -> None:
        self.peer.take()
        self.peer.send(tcp(PEER, HOST, port, 80, "S", seq=1000, options=b"\x02\x04\x05\xb4\x01\x03\x03\x02"))
        if how == "half":
            return
        self.clock.advance(MILLISECOND)
        answers = [segment for _, segment in self.peer.segments() if segment.dport == port]
        if not answers:  # somebody has poisoned the host's idea of us
            return
        answer = answers[0]
        self.peer.send(tcp(PEER, HOST, port, 80, "FA" if how == "FA" else "A", seq=1001, ack=answer.seq + 1))
        self.rest(MILLISECOND)
        conn = self.accepted[-1].conn if self.accepted else None
        if conn is None or conn.remote_port != port:
            return
        if how == "close":
            conn.close(self.clock.now)
        elif how == "pause":
            conn.pause(self.clock.now)

    def rest(self, duration: int) -> None:
        self.clock.advance(duration)
        self.seen = (self.seen + self.peer.take())[-50:]

    # -- frames -----------------------------------------------------------------------------------------------------------

    def near(self, value: int) -> int:
        rng = self.rng
        return value + rng.choice((0, 0, 0, 0, 1, -1, 100, -100, 1460, 20_000, 1 << 31, rng.getrandbits(32)))

    def source(self) -> int:
        rng = self.rng
        strange = (HOST, 0, const.M32, 0x0A0000FF, 0x7F000001, rng.getrandbits(32))
        return rng.choice((PEER, PEER, PEER, ROUTER, ELSEWHERE)) if rng.random() < 0.9 else rng.choice(strange)

    def target(self) -> int:
        rng = self.rng
        strange = (0x0A0000FF, const.M32, 0xE00000FB, 0xE0000001, 0x7F000001, rng.getrandbits(32))
        return HOST if rng.random() < 0.9 else rng.choice(strange)

    def segment(self) -> bytes:
        rng = self.rng
        conns = list(self.stack.tcp.connections())
        flags = rng.choice(("A", "A", "PA", "PA", "FA", "S", "SA", "R", "RA", "", "SF", "SFRPAU"))
        data = bytes(rng.choice((0, 0, 1, 3, 536, 1400)))
        options = bytes(rng.choice((0, 1, 2, 3, 4, 5, 8, 10, 255)) for _ in range(4 * rng.choice((0, 0, 1, 3, 10))))
        window = rng.choice((0, 1, 88, 1460, 65535, rng.getrandbits(16)))
        if conns and rng.random() < 0.8:
            c = rng.choice(conns)
            ends = (c.remote, c.local, c.remote_port, c.local_port)
            seq, ack = self.near(c.rcv_nxt), self.near(rng.choice((c.snd_una, c.snd_nxt, c.snd_max)))
        else:
            ends = (self.source(), self.target(), rng.choice((0, 80, 40009, rng.getrandbits(16))), rng.choice((80, 80, 80, 81, 0)))
            seq, ack = rng.getrandbits(32), rng.getrandbits(32)
        return tcp(*ends, flags, seq, ack, window, data, options)

    def datagram(self) -> bytes:
        rng = self.rng
        ports = rng.choice(((40000, 5353), (1, 53), (rng.getrandbits(16), rng.getrandbits(16))))
        return udp(self.source(), self.target(), *ports, bytes(rng.choice((0, 1, 500))))

    def report(self) -> bytes:
        """An ICMP message: mostly an error that quotes what the host has sent."""
        rng = self.rng
        kind = rng.choice((0, 3, 3, 3, 3, 3, 3, 4, 5, 8, 11, 12, 13, 17, rng.getrandbits(8)))
        code = rng.choice((4, 4, 4, rng.randrange(16)))
        quote = rng.choice(self.seen) if self.seen and rng.random() < 0.8 else bytes(40)
        if rng.random() < 0.3:  # the segment that is in flight, were it a long one
            for conn in self.stack.tcp.connections():
                if conn.snd_una != conn.snd_max:
                    ends = (conn.local, conn.remote, conn.local_port, conn.remote_port)
                    quote = tcp(*ends, "A", conn.snd_una, conn.rcv_nxt, data=bytes(1400))
        rest = rng.choice((0, 68, 552, 576, 1000, 1400, 65535, rng.getrandbits(32)))
        return icmp(self.source(), self.target(), kind, code, rest, quote[: rng.choice((8, 28, 28, 60, 600))])

    def fragment(self) -> bytes:
        rng = self.rng
        at = rng.choice((0, 1, 2, 3, 185, 8190, 8191))
        size = rng.choice((0, 7, 8, 16, 24, 1480))
        if rng.random() < 0.5:  # two halves of a datagram for everybody who listens
            whole = udp(PEER, HOST, 7, 53, bytes(24))[20:]
            last = rng.random() < 0.5
            return ip4(PEER, HOST, 17, whole[16:] if last else whole[:16], ident=4, frag=2 if last else MF)
        flags = rng.choice((MF, MF, 0, DF | MF))
        proto = rng.choice((1, 6, 17, 17))
        tos = rng.choice((0, 0, 3))
        return ip4(self.source(), self.target(), proto, bytes(size), ident=rng.randrange(4), frag=at | flags, tos=tos)

    def group(self) -> bytes:
        rng = self.rng
        body = struct.pack("!BBHI", rng.choice((0x11, 0x12, 0x16, 0x17)), rng.getrandbits(8), 0, rng.choice((0, 0xE00000FB)))
        body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
        return ip4(self.source(), rng.choice((0xE0000001, 0xE00000FB)), const.PROTO_IGMP, body, options=b"\x94\x04\0\0")

    def neighbour(self) -> bytes:
        rng = self.rng
        sha = rng.choice((self.peer.mac, self.peer.mac, rng.getrandbits(48), 0))
        src = sha if rng.random() < 0.8 else self.peer.mac
        spa = rng.choice((PEER, ROUTER, HOST, 0, 0x0A000000 | rng.getrandbits(8), rng.getrandbits(32)))
        op, tha, tpa = rng.choice((1, 2, 1, 2, 0, 9)), rng.choice((0, self.peer.victim_mac)), rng.choice((HOST, HOST, PEER, spa))
        packet = arp(op, sha, spa, tha, tpa)
        return eth(rng.choice((EVERYBODY, self.peer.victim_mac)), src, const.ETH_ARP, packet)

    def frame(self) -> bytes:
        """Anything."""
        rng = self.rng
        if rng.random() < 0.1:
            return rng.randbytes(rng.choice((0, 1, 13, 14, 20, 34, 60, 200)))
        if self.peer.ethernet and rng.random() < 0.1:
            frame = self.neighbour()
            return frame if rng.random() < 0.7 else self.damage(frame)
        makers = (self.segment, self.segment, self.segment, self.segment, self.datagram, self.report, self.fragment, self.group)
        packet = rng.choice(makers)()
        if rng.random() < 0.5:
            packet = self.damage(packet)
            if rng.random() < 0.6:
                packet = repaired(packet)
        if not self.peer.ethernet:
            return packet
        dst = rng.choice((self.peer.victim_mac,) * 8 + (EVERYBODY, 0x01005E0000FB, rng.getrandbits(48)))
        ethertype = const.ETH_IPV4 if rng.random() < 0.97 else rng.getrandbits(16)
        return eth(dst, self.peer.mac if rng.random() < 0.97 else rng.getrandbits(48), ethertype, packet)

    def damage(self, data: bytes) -> bytes:
        rng = self.rng
        b = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 5))):
            if not b:
                break
            at = rng.randrange(min(len(b), 64)) if rng.random() < 0.8 else rng.randrange(len(b))
            what = rng.random()
            if what < 0.5:
                b[at] ^= 1 << rng.randrange(8)
            elif what < 0.7:
                b[at] = rng.choice((0, 1, 127, 128, 255))
            elif what < 0.8:
                del b[at:]
            elif what < 0.9:
                b += rng.randbytes(rng.choice((1, 4, 100)))
            elif len(b) >= 26:  # a length that lies: of the datagram, of the header, of UDP, the data offset
                where = rng.choice((0, 2, 3, 25))
                b[where] = rng.getrandbits(8) if where else 0x40 | rng.getrandbits(4)
        return bytes(b)

    # -- what must hold ---------------------------------------------------------------------------------------------------

    def check_accounts(self) -> None:
        """Each frame was delivered or has a name, on each floor."""
        link, m, t, u, c = self.stack.link.mib, self.stack.ip.mib, self.stack.tcp.mib, self.stack.udp.mib, self.stack.icmp.mib
        heard = 0
        if self.stack.arp is not None:
            a = self.stack.arp.mib
            heard = a.InRequests + a.InReplies + a.InTooShort + a.InBadFormat + a.InBadSource + a.InBadAddress
        lost = link.InTooShort + link.InOtherHost + link.InBadSource + link.InOwnEcho + link.InUnknownType
        assert link.InFrames == lost + heard + m.InReceives
        lost = m.InHdrErrors + m.InTruncatedPkts + m.InMartians + m.InAddrErrors + m.InOtherGroup + m.InLinkCast + m.InSourceRoute
        assert m.InReceives == lost + m.ReasmReqds - m.ReasmOKs + m.InDelivers + m.InUnknownProtos
        assert m.InHdrErrors == m.InTooShort + m.InBadVersion + m.InBadLength + m.InCsumErrors + m.InBadOptions
        datagrams = u.InDatagrams + u.NoPorts + u.InErrors + u.IgnoredMulti
        assert m.InDelivers == t.InSegs + datagrams + c.InMsgs + self.stack.ip.igmp.mib.InMsgs
        assert u.InDatagrams == self.datagrams

    def check_bounds(self) -> None:
        stack = self.stack
        hub = stack.tcp.hub
        assert len(hub.half) <= HALF_OPEN and len(hub.waits) <= WAITS and not hub.todo
        entries = sum(len(table) for table in hub.tables.values())
        assert entries == hub.count + len(hub.waits)
        for conn in stack.tcp.connections():
            assert conn.rx_bytes <= conn.rcv_buf and (conn.ooo is None or conn.ooo.nbytes <= conn.rcv_buf)
        held = stack.ip.reassembly
        assert held.bytes <= reassembly.BYTES and len(held.partials) <= reassembly.DATAGRAMS
        assert held.bytes == sum(partial.cost for partial in held.partials.values())
        assert len(stack.ip.paths) <= ip_core.PATHS and len(stack.ip.path_mtus.entries) <= route.PATH_MTU_ENTRIES
        assert len(stack.ip.loop) <= ip_core.LOOP_DATAGRAMS and len(stack.ip.failed) <= ip_core.FAILED
        pool = stack.ip.pool
        assert len(pool.free) <= FREE_LIMIT and len(pool.lent) <= LENT_LIMIT
        assert len(pool.free) + len(pool.lent) == pool.made, "a slab was lost"
        neighbours = 0
        if stack.arp is not None:
            cache = stack.arp.cache
            neighbours = len(cache.table)
            assert len(cache.asked) <= arp_cache.ASKED_LIMIT and len(cache.heard_only) <= arp_cache.HEARD_LIMIT
            assert all(n.queued <= arp_cache.QUEUE_BYTES for n in cache.table.values())
        # one timer for each connection, wait and neighbour; reassembly, the loop, the claim and a membership
        assert stack.timers.count <= entries + neighbours + 4

    def check_service(self) -> None:
        """A client nobody has seen gets an echo and a page."""
        self.wire.tamper(None)
        self.peer.take()
        self.peer.send(icmp(CLIENT, HOST, 8, 0, 0x00070001, b"are you there"))
        self.clock.advance(5 * SECOND)
        assert any(p[9] == const.PROTO_ICMP and p[-13:] == b"are you there" and p[20] == 0 for p in self.peer.take()), "no echo"
        self.peer.send(tcp(CLIENT, HOST, 60000, 80, "S", seq=5))
        self.clock.advance(MILLISECOND)
        answers = [segment for to, segment in self.peer.segments() if to == CLIENT]
        assert [segment.flags for segment in answers] == [const.SYN | const.ACK] and answers[0].ack == 6
        self.peer.send(tcp(CLIENT, HOST, 60000, 80, "PA", seq=6, ack=answers[0].seq + 1, data=b"hello"))
        self.clock.advance(100 * MILLISECOND)
        assert self.accepted[-1].received == b"hello"
        assert any(segment.ack == 11 for to, segment in self.peer.segments() if to == CLIENT)


def repaired(packet: bytes) -> bytes:
    """The same with checksums that are right, as far as the lengths that it names allow."""
    b = bytearray(packet)
    if len(b) < 20:
        return packet
    ihl = (b[0] & 15) << 2
    total = b[2] << 8 | b[3]
    if not 20 <= ihl <= total <= len(b):
        return packet
    if not (b[6] << 8 | b[7]) & 0x3FFF:
        at = {1: 2, 2: 2, 6: 16, 17: 6}.get(b[9])
        if at is not None and ihl + at + 2 <= total:
            b[ihl + at : ihl + at + 2] = bytes(2)
            end = total
            start = 0
            if b[9] == const.PROTO_UDP:
                end = max(ihl + 8, min(total, ihl + (b[ihl + 4] << 8 | b[ihl + 5])))
            if b[9] in (const.PROTO_TCP, const.PROTO_UDP):
                src, dst = struct.unpack_from("!II", b, 12)
                start = pseudo_ip4(src, dst, b[9], end - ihl)
            struct.pack_into("!H", b, ihl + at, checksum(bytes(b[ihl:end]), start))
    b[10:12] = bytes(2)
    struct.pack_into("!H", b, 10, checksum(bytes(b[:ihl])))
    return bytes(b)


@contextlib.contextmanager
def witnessed(ethernet: bool, rng: random.Random, path: Path) -> Iterator[Busy]:
    """Says where the capture is when the test fails, and takes it away when it does not."""
    busy = Busy(ethernet, rng, path)
    try:
        yield busy
    except BaseException:
        print(f"the frames are in {path}")
        raise
    finally:
        busy.wire.close()
    path.unlink()


@pytest.mark.parametrize("link", ["ethernet", "tun"])
@pytest.mark.parametrize("case", range(8))
def test_a_busy_stack_survives_whatever_arrives(link: str, case: int, seed: int, tmp_path: Path) -> None:
    rng = random.Random(f"{seed} {link} {case}")
    with witnessed(link == "ethernet", rng, tmp_path / "frames.pcapng") as busy:
        for turn in range(1000):
            busy.peer.frame(busy.frame())
            if rng.random() < 0.4:
                busy.rest(rng.choice((0, 0, 0, MILLISECOND, 50 * MILLISECOND, 300 * MILLISECOND, SECOND)))
            if turn % 100 == 99:
                busy.rest(rng.choice((0, 5 * SECOND, 70 * SECOND)))
                busy.open(41000 + turn, rng.choice(("", "FA", "close", "pause", "half")))
            if turn % 50 == 49:
                busy.check_bounds()
        busy.rest(SECOND)
        busy.check_accounts()
        busy.check_bounds()
        busy.check_service()
        busy.rest(3600 * SECOND)
        busy.check_bounds()
        assert not busy.stack.ip.reassembly.partials and not busy.stack.tcp.hub.waits and not busy.stack.tcp.hub.half


@pytest.mark.parametrize("link", ["ethernet", "tun"])
@settings(max_examples=50)
@given(frames=st.lists(st.binary(max_size=120), max_size=20))
def test_random_bytes_are_counted_and_nothing_else(link: str, frames: list[bytes]) -> None:
    busy = Busy(link == "ethernet", random.Random(1))
    before = busy.stack.link.mib.InFrames
    for frame in frames:
        busy.peer.frame(frame)
    busy.rest(MILLISECOND)
    # a frame to another host is seen by nobody but those who listen to all
    assert busy.stack.link.mib.InFrames - before <= len(frames)
    busy.check_accounts()
    busy.check_bounds()
    busy.check_service()


@pytest.mark.parametrize("link", ["ethernet", "tun"])
def test_every_length_of_every_kind_of_packet_is_lawful_or_counted(link: str) -> None:
    """Cut at each byte, the checksums right again and the total length too where it fits: no header is read beyond its end."""
    rng = random.Random(5)
    busy = Busy(link == "ethernet", rng)
    conn = next(iter(busy.stack.tcp.connections()))
    full = b"\x02\x04\x05\xb4\x04\x02\x08\x0a" + bytes(8) + b"\x01\x03\x03\x07"
    whole = [
        tcp(conn.remote, HOST, conn.remote_port, conn.local_port, "PA", conn.rcv_nxt + 5, conn.snd_max, data=b"abc", options=full),
        tcp(PEER, HOST, 50000, 80, "S", options=full),
        udp(PEER, HOST, 1, 53, b"abc"),
        icmp(PEER, HOST, 8, 0, 1, b"abc"),
        icmp(PEER, HOST, 3, 4, 600, busy.seen[-1][:60]),
        ip4(PEER, 0xE0000001, 2, struct.pack("!BBHI", 0x11, 0, 0xEEFF, 0), options=b"\x94\x04\0\0"),
        ip4(PEER, HOST, 17, bytes(8), options=b"\x07\x23\x04" + bytes(33)),
    ]
    for packet in whole:
        for n in range(len(packet)):
            cut = bytearray(packet[:n])
            if n >= 20:
                struct.pack_into("!H", cut, 2, n)
            for data in (packet[:n], repaired(bytes(cut))):
                busy.peer.send(data)
        busy.rest(MILLISECOND)
    busy.check_accounts()
    busy.check_bounds()
    busy.check_service()
