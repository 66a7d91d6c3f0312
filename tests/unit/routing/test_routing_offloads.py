"""What devices leave undone passes a router as it is, and is done where the next device doesn't.

The devices are the real ones, over sockets that keep message boundaries, with and without vnet headers."""

import os
import random
import socket
import struct

import pytest
from routing_packets import ip4, ones, with_sums

from netstack import const
from netstack.address import Cidr, Ip4
from netstack.device.core import DeviceCore
from netstack.routing.config import NatConfig, RoutingConfig
from netstack.routing.stack import Device, RoutingStack

IN, OUT, FAR = 0xC0A8010A, 0xCB007102, 0xCB007101
ALL = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4 | const.OFFLOAD_USO
TCP, UDP = 6, 17
NEEDS_CSUM, TSO4, USO = 1, 1, 5


class Device4(DeviceCore):
    """A tun device whose other end is `far`."""

    def __init__(self, name, takes, mtu=1500):
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self.near, self.far):
            end.setblocking(False)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        super().__init__(self.near.fileno(), 70000, 12 if takes else 0, takes, 0)
        self.core = self
        self.name, self.mac, self.mtu = name, None, mtu
        self.offload = takes

    def set_waker(self, waker): ...

    def fileno(self):
        return self.near.fileno()

    def next_deadline(self):
        return None

    def close(self):
        self.near.close()
        self.far.close()

    def sent(self):
        """(flags, kind, gso, start, offset) and packet of all that came out."""
        found = []
        while True:
            try:
                frame = self.far.recv(1 << 17)
            except BlockingIOError:
                return found
            if self.takes:
                flags, kind, _, size, start, offset, _ = struct.unpack("=BBHHHHH", frame[:12])
                found.append(((flags, kind, size, start, offset), frame[12:]))
            else:
                found.append((None, frame))


@pytest.fixture
def routers():
    made = []

    def make(out_takes, nat=True, mtu=1500):
        lan, wan = Device4("lan", ALL), Device4("wan", out_takes, mtu)
        stack = RoutingStack(
            [Device(lan, [Cidr.parse("192.168.1.1/24")], "inside"), Device(wan, [Cidr.parse("203.0.113.2/24")], "outside")],
            now=0,
            rng=random.Random(1),
            gateway=Ip4.parse("203.0.113.1"),
            routing=RoutingConfig(nat=NatConfig() if nat else None),
        )
        made.append(stack)
        return stack, lan, wan

    yield make
    for stack in made:
        stack.netif.close()


def unfinished(proto, payload, frag=0, flags=0x18):
    """A datagram as the kernel hands it to a device that finishes sums: the transport's is the pseudo-header's."""
    if proto == TCP:
        l4 = struct.pack("!HHIIBBHHH", 4000, 80, 1000, 2000, 0x50, flags, 500, 0, 0)
        at = 16
    else:
        l4 = struct.pack("!HHHH", 4000, 80, 8 + len(payload), 0)
        at = 6
    b = bytearray(with_sums(ip4(IN, FAR, proto, l4 + payload, frag=frag)))
    pseudo = ones(bytes(b[12:20]) + bytes((0, proto)) + (len(b) - 20).to_bytes(2, "big"))
    b[20 + at : 22 + at] = pseudo.to_bytes(2, "big")
    return bytes(b)


def put(device, packet, proto, gso=0):
    at = 16 if proto == TCP else 6
    kind = 0 if not gso else TSO4 if proto == TCP else USO
    device.far.send(struct.pack("=BBHHHHH", NEEDS_CSUM, kind, 40, gso, 20, at, 0) + packet)


@pytest.mark.parametrize("nat", [True, False])
@pytest.mark.parametrize("proto", [TCP, UDP])
def test_a_super_segment_goes_whole_where_the_device_cuts_and_its_sum_stays_unfinished(routers, nat, proto):
    stack, lan, wan = routers(ALL, nat)
    payload = os.urandom(30000)
    put(lan, unfinished(proto, payload, const.IP_DF), proto, 1400)
    stack.run(1)
    ((header, packet),) = wan.sent()
    at = 16 if proto == TCP else 6
    assert header == (NEEDS_CSUM, TSO4 if proto == TCP else USO, 1400, 20, at)
    assert packet[12:16] == (OUT if nat else IN).to_bytes(4, "big")
    assert ones(packet[:20]) == 0xFFFF
    pseudo = ones(packet[12:20] + bytes((0, proto)) + (len(packet) - 20).to_bytes(2, "big"))
    assert packet[20 + at : 22 + at] == pseudo.to_bytes(2, "big")
    assert packet.endswith(payload)


@pytest.mark.parametrize("nat", [True, False])
@pytest.mark.parametrize("proto", [TCP, UDP])
@pytest.mark.parametrize("takes", [0, const.OFFLOAD_CSUM])
def test_a_super_segment_is_cut_for_a_device_that_does_not(routers, nat, proto, takes):
    stack, lan, wan = routers(takes, nat)
    payload = os.urandom(10000)
    put(lan, unfinished(proto, payload, const.IP_DF), proto, 1400)
    stack.run(1)
    sent = wan.sent()
    assert len(sent) == 8
    hl = 20 if proto == TCP else 8
    assert b"".join(packet[20 + hl :] for _, packet in sent) == payload
    for header, packet in sent:
        assert ones(packet[:20]) == 0xFFFF
        if takes:
            assert header[0] == NEEDS_CSUM
        else:
            assert packet == with_sums(packet)
        assert packet[8] == 63


@pytest.mark.parametrize("proto", [TCP, UDP])
def test_an_unfinished_sum_is_finished_for_a_device_that_does_not(routers, proto):
    stack, lan, wan = routers(0)
    put(lan, unfinished(proto, b"payload"), proto)
    stack.run(1)
    ((_, packet),) = wan.sent()
    assert packet == with_sums(packet)


def test_a_super_segment_too_long_for_the_next_link_is_said_to_be_by_its_segments(routers):
    stack, lan, wan = routers(ALL, mtu=1000)
    put(lan, unfinished(TCP, bytes(9000), const.IP_DF), TCP, 1400)
    stack.run(1)
    assert wan.sent() == []
    ((_, error),) = lan.sent()
    assert error[20:22] == b"\x03\x04"
    assert error[26:28] == (1000).to_bytes(2, "big")
    assert error[28 + 12 : 28 + 16] == IN.to_bytes(4, "big")  # quoted as it came
    put(lan, unfinished(TCP, bytes(9000), const.IP_DF), TCP, 960)
    stack.run(2)
    assert len(wan.sent()) == 1


@pytest.mark.parametrize("takes", [0, ALL])
def test_a_super_segment_that_may_be_cut_becomes_segments_and_those_fragments(routers, takes):
    stack, lan, wan = routers(takes, mtu=1000)
    payload = os.urandom(2800)
    put(lan, unfinished(TCP, payload), TCP, 1400)
    stack.run(1)
    sent = [packet for _, packet in wan.sent()]
    assert len(sent) == 4
    whole = {}
    for packet in sent:
        assert len(packet) <= 1000
        at = (int.from_bytes(packet[6:8], "big") & 0x1FFF) << 3
        whole.setdefault(packet[4:6], {})[at] = packet[20:]
    data = b""
    for pieces in whole.values():
        body = b"".join(pieces[at] for at in sorted(pieces))
        assert ones(sent[0][12:20] + bytes((0, TCP)) + len(body).to_bytes(2, "big") + body) == 0xFFFF
        data += body[20:]
    assert data == payload


def test_what_nobody_can_finish_is_dropped_by_name(routers):
    stack, lan, wan = routers(ALL, nat=False)
    lan.far.send(struct.pack("=BBHHHHH", NEEDS_CSUM, 0, 0, 0, 20, 6, 0) + with_sums(ip4(IN, FAR, 132, bytes(20))))
    stack.run(1)
    assert wan.sent() == []
    assert stack.plane.mib.InBadOffload == 1
