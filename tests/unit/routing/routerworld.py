"""A router of ours between two wires: a LAN with two hosts, and a world with one or more. One virtual clock."""

import random

from netstack.adapters import PyDatagramUser, PyStreamUser
from netstack.address import Cidr, Ip4
from netstack.routing.config import RoutingConfig
from netstack.routing.stack import Device, RoutingStack
from netstack.stack import Stack
from netstack.testing.clock import VirtualClock
from netstack.testing.endpoint import Endpoint
from netstack.testing.wire import Wire

LAN, WAN = "192.168.1.1", "203.0.113.2"
A, B, W = "192.168.1.10", "192.168.1.11", "203.0.113.1"


def ip(text):
    return int(Ip4.parse(text))


class RouterWorld:
    """`a` and `b` behind the router, `w` in front of it; `nat` None is a plain router."""

    def __init__(self, nat=None, lan=None, wan=None, routing=None, seed=1):
        self.seed = seed
        self.clock = VirtualClock()
        self.lan = Wire(**{"seed": seed, **(lan or {})})
        self.wan = Wire(**{"seed": seed + 1, **(wan or {})})
        self.router = RoutingStack(
            [
                Device(self.lan.port("r"), [Cidr.parse_whole(f"{LAN}/24")], "inside", "lan"),
                Device(self.wan.port("r"), [Cidr.parse_whole(f"{WAN}/24")], "outside", "wan"),
            ],
            now=self.clock.now,
            rng=random.Random(seed + 2),
            gateway=Ip4.parse(W),
            routing=routing or RoutingConfig(nat=nat),
        )
        self.clock.add(self.router, "router")
        self.a = self.host(self.lan, "a", A, LAN)
        self.b = self.host(self.lan, "b", B, LAN)
        self.w = self.host(self.wan, "w", W, None if nat else WAN)

    @property
    def nat(self):
        return self.router.nat

    @property
    def forward(self):
        return self.router.plane.mib

    def host(self, wire, name, address, gateway):
        stack = Stack(
            wire.port(name),
            now=self.clock.now,
            rng=random.Random(f"{self.seed} {name}"),
            addresses=[Cidr.parse_whole(f"{address}/24")],
            gateway=Ip4.parse(gateway) if gateway else None,
        )
        self.clock.add(stack, name)
        return stack

    def run(self, until, limit=600):
        self.clock.run_until(until, limit * 1_000_000_000)

    def rest(self, seconds):
        self.clock.advance(int(seconds * 1_000_000_000))

    def listen(self, stack, port, payload=b"", close=True):
        """An endpoint for each connection, in the list that this gives."""
        ends = []

        def accept(conn):
            end = Endpoint(payload, close=close)
            end.conn = conn
            ends.append(end)
            return PyStreamUser(end)

        stack.tcp.listen(0, port, accept, 10)
        return ends

    def connect(self, stack, address, port, payload=b"", close=True, local_port=0):
        end = Endpoint(payload, close=close)
        end.conn = stack.tcp.connect(0, local_port, ip(address), port, PyStreamUser(end), self.clock.now)
        return end

    def ping(self, stack, address, size=40, ttl=0, ident=7, seq=1, df=False):
        """What is told of an echo request: ("reply", source) or ("error", type, code, reporter, mtu)."""
        told = []

        def reply(src, seq, payload, ttl, now):
            told.append(("reply", str(Ip4(src))))

        def failed(e, seq, now):
            told.append(("error", e.type, e.code, str(Ip4(e.reporter)), e.mtu))

        stack.icmp.on_echo_reply(ident, None)
        stack.icmp.on_echo_reply(ident, reply, failed)
        stack.icmp.ping(ip(address), ident, seq, bytes(size), self.clock.now, ttl=ttl, df=df)
        return told


class Datagrams:
    """A UDP port that writes down what it gets."""

    def __init__(self, world, stack, port=0):
        self.got = []
        self.errors = []
        self.clock = world.clock
        self.port = stack.udp.bind(0, port, PyDatagramUser(self), None)

    def on_datagram(self, data, src, sport, now):
        self.got.append((bytes(data), str(Ip4(src)), sport))

    def on_error(self, error, address, port, now):
        self.errors.append(error)

    def send(self, data, address, port):
        self.port.send(data, ip(address), port, self.clock.now)
