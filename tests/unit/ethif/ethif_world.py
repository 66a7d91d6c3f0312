"""A device that remembers what it was told to send, and a host on it."""

import random

from netstack.address import Mac
from netstack.const import NEVER
from netstack.ethif import arp_wire
from netstack.ethif.arp import Arp
from netstack.ethif.ethif import Ethif
from netstack.netif import FrameNetif
from netstack.testing.ports import HopPort
from netstack.timers import Timers

OWN = 0x020000000001
PEER = 0x020000000002
OTHER = 0x020000000003
ALL = 0xFFFFFFFFFFFF

OWN_IP = 0x0A000001
PEER_IP = 0x0A000002
OTHER_IP = 0x0A000003

SECOND = 1_000_000_000


def eth(dst: int, src: int, ethertype: int, payload: bytes = b"") -> bytes:
    return dst.to_bytes(6, "big") + src.to_bytes(6, "big") + ethertype.to_bytes(2, "big") + payload


class Device(FrameNetif):
    """Keeps what it is told to transmit, with the instant."""

    def __init__(self, mac: int | None = OWN, mtu: int = 1500) -> None:
        super().__init__("dev0", None if mac is None else Mac(mac), mtu)
        self.sent: list[tuple[int, bytes]] = []

    def transmit(self, frame: bytes, now: int) -> None:
        self.sent.append((now, frame))

    def take(self) -> list[bytes]:
        """The frames sent since the last call."""
        frames = [frame for _, frame in self.sent]
        self.sent.clear()
        return frames


class Host:
    """ARP on a device, with an address, driven by hand: `hear` from below, `send` from above, `run` for time."""

    def __init__(self, *, address: int | None = OWN_IP, config=None, seed: int = 1, now: int = 0) -> None:
        self.now = now
        self.device = Device()
        self.link = Ethif(self.device)
        self.timers = Timers(now)
        self.arp = Arp(self.link, self.timers, random.Random(seed), config, now)
        self.port = HopPort(self.arp.core)
        self.events: list[tuple] = []
        self.arp.on_unreachable = lambda hop, packet, now: self.events.append(("unreachable", hop, packet, now))
        self.arp.on_conflict = lambda ip, mac, now: self.events.append(("conflict", ip, mac, now))
        self.arp.on_lost = lambda ip, mac, now: self.events.append(("lost", ip, mac, now))
        self.arp.on_ready = lambda ip, now: self.events.append(("ready", ip, now))
        if address is not None:
            self.arp.add_address(address, now)
            self.run(3 * SECOND)  # both announcements are out
            self.device.take()

    @property
    def mib(self):
        return self.arp.mib

    def run(self, duration: int) -> None:
        """Let `duration` pass, waking at each deadline and at nothing else."""
        end = self.now + duration
        while (deadline := self.timers.next_deadline()) <= end and deadline != NEVER:
            self.now = max(self.now, deadline)
            self.timers.run(self.now)
        self.now = end
        self.timers.run(end)

    def send(self, payload: bytes = b"packet", to: int = PEER_IP, src: int = OWN_IP, **offload) -> None:
        self.port.send(payload, to, self.now, src, **offload)

    def hear(self, op: int, sha: int, spa: int, tpa: int, *, tha: int = 0, eth_src: int | None = None, eth_dst: int | None = None):
        """An ARP packet arrives; a request is broadcast and a reply is sent to us, unless told otherwise."""
        dst = (ALL if op == arp_wire.REQUEST else OWN) if eth_dst is None else eth_dst
        packet = arp_wire.build(arp_wire.ArpPacket(op, sha, spa, tha, tpa))
        self.device.receive(eth(dst, sha if eth_src is None else eth_src, 0x0806, packet + bytes(18)), self.now)

    def request(self, sha: int = PEER, spa: int = PEER_IP, tpa: int = OWN_IP, **how):
        self.hear(arp_wire.REQUEST, sha, spa, tpa, **how)

    def reply(self, sha: int = PEER, spa: int = PEER_IP, tpa: int = OWN_IP, **how):
        self.hear(arp_wire.REPLY, sha, spa, tpa, tha=OWN, **how)

    def state(self, ip: int = PEER_IP) -> str | None:
        """The name of the neighbour's state, None when it is unknown."""
        return next((entry.state.name for entry in self.arp.table() if int(entry.ip) == ip), None)

    def mac(self, ip: int = PEER_IP) -> int | None:
        return next((int(entry.mac) for entry in self.arp.table() if int(entry.ip) == ip and entry.mac is not None), None)

    def resolve(self) -> None:
        """Make the peer REACHABLE, and forget how."""
        self.send()
        self.reply()
        assert self.state() == "REACHABLE"
        self.device.take()
        self.events.clear()


def arp_of(frame: bytes) -> tuple[int, arp_wire.ArpPacket]:
    """Link destination and ARP packet of a frame that we sent."""
    assert frame[12:14] == b"\x08\x06", frame.hex()
    assert frame[6:12] == OWN.to_bytes(6, "big")
    return int.from_bytes(frame[:6], "big"), arp_wire.parse(frame[14:])
