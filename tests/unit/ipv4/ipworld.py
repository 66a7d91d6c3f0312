"""A host with nothing but IPv4 on a device in memory, and literal datagrams to throw at it."""

import random
import struct

from netstack.address import Cidr, Ip4
from netstack.ethif.pointtopoint import PointToPoint
from netstack.ipv4.ipv4 import Ipv4, Ipv4Config
from netstack.netif import FrameNetif
from netstack.timers import Timers

A = int(Ip4.parse("10.79.0.1"))  # the host under test
B = int(Ip4.parse("10.79.0.2"))  # its peer
FAR = int(Ip4.parse("192.0.2.9"))  # behind the gateway, which is B
MS = 1_000_000
S = 1_000_000_000


class Tube(FrameNetif):
    """A point-to-point device: keeps what is sent."""

    def __init__(self, mtu: int = 1500, offload: int = 0) -> None:
        super().__init__("tube", None, mtu)
        self.sent: list[bytes] = []
        self._offload = offload

    @property
    def offload(self) -> int:
        return self._offload

    def transmit(self, frame: bytes, now: int) -> None:
        self.sent.append(frame)


class Host:
    """One interface, one address, a default route."""

    def __init__(self, address: str = "10.79.0.1/24", mtu: int = 1500, seed: int = 1, offload: int = 0, **config: object) -> None:
        self.now = S
        self.timers = Timers(self.now)
        self.tube = Tube(mtu, offload)
        self.link = PointToPoint(self.tube)
        self.ip = Ipv4(self.link, self.link.next_hop, self.timers, random.Random(seed), Ipv4Config(**config))
        if address:
            self.ip.add_address(Cidr.parse(address))
            self.ip.set_gateway(B)

    def receive(self, *frames: bytes) -> list[bytes]:
        """One batch; what the host sent in answer."""
        for frame in frames:
            self.tube.receive(frame, self.now)
        self.tube.flush(self.now)
        return self.take()

    def take(self) -> list[bytes]:
        sent = list(self.tube.sent)
        self.tube.sent.clear()
        return sent

    def pass_time(self, nanoseconds: int) -> list[bytes]:
        self.now += nanoseconds
        self.timers.run(self.now)
        return self.take()

    def counted(self) -> dict[str, int]:
        """Every counter of IP and ICMP that is not 0."""
        groups = (self.ip.mib, self.ip.icmp.mib)  # IGMP has names in common with ICMP
        return {name: value for group in groups for name, value in group.snapshot().items() if value}


def sum16(data: bytes, start: int = 0) -> int:
    """The Internet checksum, by the book: an oracle that shares no code with ours."""
    if len(data) % 2:
        data += b"\0"
    s = start + sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return s ^ 0xFFFF


def datagram(
    payload: bytes, src: int = B, dst: int = A, proto: int = 17, ident: int = 0x1234, frag: int = 0, ttl: int = 64, tos: int = 0,
    options: bytes = b"", total: int | None = None, first: int | None = None,
) -> bytes:  # fmt: skip
    """A datagram with a right checksum; `first` and `total` say lies about version, header length and length."""
    ihl = 20 + len(options)
    head = struct.pack(
        "!BBHHHBBHII", 0x40 | ihl // 4 if first is None else first, tos, ihl + len(payload) if total is None else total,
        ident, frag, ttl, proto, 0, src, dst,
    ) + options  # fmt: skip
    check = sum16(head)
    return head[:10] + struct.pack("!H", check) + head[12:] + payload


def icmp(type: int, code: int, rest: int, data: bytes = b"") -> bytes:
    body = struct.pack("!BBHI", type, code, 0, rest) + data
    return body[:2] + struct.pack("!H", sum16(body)) + body[4:]


def echo(data: bytes, ident: int = 7, seq: int = 1) -> bytes:
    return icmp(8, 0, ident << 16 | seq, data)


def fields(packet: bytes) -> dict[str, int]:
    """What the header of a datagram that the host sent says; its checksum must be right."""
    assert sum16(packet[: (packet[0] & 15) * 4]) == 0, "header checksum"
    names = ("vihl", "tos", "total", "ident", "frag", "ttl", "proto", "check", "src", "dst")
    got = dict(zip(names, struct.unpack("!BBHHHBBHII", packet[:20]), strict=True))
    assert got["total"] == len(packet)
    return got


def put_together(packets: list[bytes]) -> bytes:
    """The payload of the fragments, which must fit exactly: an oracle for what we cut."""
    pieces = {}
    for packet in packets:
        frag = fields(packet)["frag"]
        pieces[(frag & 0x1FFF) * 8] = (packet[20:], bool(frag & 0x2000))
    whole = b""
    for start in sorted(pieces):
        assert start == len(whole), "hole or overlap"
        whole += pieces[start][0]
    assert [more for _, (_, more) in sorted(pieces.items())] == [True] * (len(pieces) - 1) + [False]
    return whole
