"""A router between two devices in memory, and literal datagrams to throw at it: frame in, frame out."""

import random

from routing_packets import with_sums

from netstack.address import Cidr, Ip4
from netstack.netif import FrameNetif
from netstack.routing.config import NatConfig, RoutingConfig
from netstack.routing.stack import Device, RoutingStack

IN, OUT, FAR = 0xC0A8010A, 0xCB007102, 0xCB007101  # an inside host, the router outside, somebody in the world
TCP, UDP = 6, 17


class Tube(FrameNetif):
    def __init__(self, name, mtu=1500):
        super().__init__(name, None, mtu)
        self.sent = []

    def transmit(self, frame, now):
        self.sent.append(frame)


class Bench:
    """A router on two point-to-point devices."""

    def __init__(self, mtu=1500, routing=None, **fields):
        self.lan, self.wan = Tube("lan"), Tube("wan", mtu)
        self.stack = RoutingStack(
            [
                Device(self.lan, [Cidr.parse_whole("192.168.1.1/24")], "inside"),
                Device(self.wan, [Cidr.parse_whole("203.0.113.2/24")], "outside"),
            ],
            now=0,
            rng=random.Random(1),
            gateway=Ip4.parse("203.0.113.1"),
            routing=routing or RoutingConfig(nat=NatConfig(**fields)),
        )

    def out(self, frame):
        self.lan.receive(frame, 1)
        self.lan.flush(1)
        sent, self.wan.sent = self.wan.sent, []
        return sent

    def back(self, frame):
        self.wan.receive(frame, 2)
        self.wan.flush(2)
        sent, self.lan.sent = self.lan.sent, []
        return sent


def transport(proto, sport, dport, payload):
    if proto == TCP:
        return sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + bytes(8) + b"\x50\x02\x20\x00" + bytes(4) + payload
    if proto == UDP:
        return sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + (8 + len(payload)).to_bytes(2, "big") + bytes(2) + payload
    return b"\x08\x00\x00\x00" + sport.to_bytes(2, "big") + b"\x00\x01" + payload


def answer(proto, frame):
    """The same, from the other side."""
    b = bytearray(frame)
    b[12:16], b[16:20] = frame[16:20], frame[12:16]
    if proto == 1:
        b[20] = 0
    else:
        b[20:22], b[22:24] = frame[22:24], frame[20:22]
    b[8] = 64
    return with_sums(bytes(b))
