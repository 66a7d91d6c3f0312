"""Somebody on the wire without a stack: frames by hand, answers to ARP in any name, all that passes in view."""

from __future__ import annotations

import struct
from collections.abc import Container

from netstack import const
from netstack.checksum import checksum, pseudo_ip4
from netstack.tcp.wire import Segment, flag_bits
from netstack.testing.clock import VirtualClock
from netstack.testing.netifs import Probe
from netstack.testing.wire import Wire

MF = 0x2000
DF = 0x4000
EVERYBODY = 0xFFFFFFFFFFFF


def eth(dst: int, src: int, ethertype: int, payload: bytes) -> bytes:
    return dst.to_bytes(6, "big") + src.to_bytes(6, "big") + struct.pack("!H", ethertype) + payload


def arp(op: int, sha: int, spa: int, tha: int, tpa: int) -> bytes:
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, op)
    return head + sha.to_bytes(6, "big") + spa.to_bytes(4, "big") + tha.to_bytes(6, "big") + tpa.to_bytes(4, "big")


def ip4(
    src: int,
    dst: int,
    proto: int,
    payload: bytes,
    *,
    ident: int = 1,
    frag: int = 0,
    ttl: int = 64,
    tos: int = 0,
    options: bytes = b"",
) -> bytes:
    ihl = 20 + len(options)
    fields = (0x40 | ihl >> 2, tos, ihl + len(payload), ident, frag, ttl, proto)
    head = struct.pack("!BBHHHBBHII", *fields, 0, src, dst) + options
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp(src: int, dst: int, sport: int, dport: int, data: bytes) -> bytes:
    body = struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data
    check = checksum(body, pseudo_ip4(src, dst, const.PROTO_UDP, len(body))) or 0xFFFF
    return ip4(src, dst, const.PROTO_UDP, body[:6] + struct.pack("!H", check) + body[8:])


def icmp(src: int, dst: int, kind: int, code: int, rest: int, data: bytes = b"") -> bytes:
    body = struct.pack("!BBHI", kind, code, 0, rest) + data
    return ip4(src, dst, const.PROTO_ICMP, body[:2] + struct.pack("!H", checksum(body)) + body[4:])


def tcp(
    src: int,
    dst: int,
    sport: int,
    dport: int,
    flags: str,
    seq: int = 0,
    ack: int = 0,
    window: int = 65535,
    data: bytes = b"",
    options: bytes = b"",
) -> bytes:
    segment = Segment(sport, dport, seq & const.M32, ack & const.M32, flag_bits(flags), window, options, data)
    return ip4(src, dst, const.PROTO_TCP, segment.encode(src, dst), frag=DF)


class Attacker:
    """On an Ethernet or a point-to-point wire. Answers ARP requests for the addresses in `answers`, from one link address."""

    def __init__(self, wire: Wire, clock: VirtualClock, victim_mac: int = 0, name: str = "attacker") -> None:
        self.ethernet = wire.ethernet
        self.clock = clock
        port = wire.port(name, promiscuous=True)
        self.mac = 0 if port.mac is None else int(port.mac)
        self.victim_mac = victim_mac
        self.answers: Container[int] = ()
        self.probe = Probe(port, self._answer)
        clock.add(self.probe, name)

    def frame(self, frame: bytes) -> None:
        self.probe.send(frame, self.clock.now)

    def send(self, packet: bytes, dst: int | None = None, src: int | None = None) -> None:
        """An IP packet, in a frame to the victim unless `dst` says otherwise."""
        if self.ethernet:
            dst = self.victim_mac if dst is None else dst
            packet = eth(dst, self.mac if src is None else src, const.ETH_IPV4, packet)
        self.frame(packet)

    def arp(self, op: int, spa: int, tpa: int, tha: int = 0, dst: int = EVERYBODY, sha: int | None = None) -> None:
        sha = self.mac if sha is None else sha
        self.frame(eth(dst, sha, const.ETH_ARP, arp(op, sha, spa, tha, tpa)))

    def _answer(self, frame: bytes, now: int) -> list[bytes]:
        if not self.ethernet or frame[12:14] != b"\x08\x06" or frame[20:22] != b"\x00\x01":
            return []
        asked = int.from_bytes(frame[38:42], "big")
        if asked not in self.answers or asked == int.from_bytes(frame[28:32], "big"):
            return []
        to = int.from_bytes(frame[22:28], "big")
        return [eth(to, self.mac, const.ETH_ARP, arp(2, self.mac, asked, to, int.from_bytes(frame[28:32], "big")))]

    # -- what has been seen -----------------------------------------------------------------------------------------------

    def take(self) -> list[bytes]:
        """The IP packets seen since the last call."""
        head = 14 if self.ethernet else 0
        return [frame[head:] for frame in self.probe.take() if not self.ethernet or frame[12:14] == b"\x08\x00"]

    def segments(self) -> list[tuple[int, Segment]]:
        """(destination, segment) of the TCP packets among them."""
        found = []
        for packet in self.take():
            if packet[9] == const.PROTO_TCP:
                ihl = (packet[0] & 15) << 2
                total = struct.unpack_from("!H", packet, 2)[0]
                found.append((int.from_bytes(packet[16:20], "big"), Segment.decode(packet[ihl:total])))
        return found
