"""What an ICMP error to a guest quotes: the packet that it had sent, put together again from what is known of it."""

from __future__ import annotations

import struct
from typing import Protocol

from ... import raw
from ...checksum import pseudo_ip4
from ...const import PROTO_ICMP, PROTO_UDP
from ...ipv4 import wire

DEST_UNREACHABLE = 3
FRAGMENTATION_NEEDED = 4


class Voice(Protocol):
    """What a NAT says to its guests by ICMP: `ipv4.icmp.Icmp`."""

    def report(self, quote: bytes, src: int, dst: int, type: int, code: int, rest: int, now: int) -> None: ...
    def echo_reply(
        self, src: int, dst: int, ident: int, seq: int, payload: bytes, now: int, ttl: int = 0, tos: int = 0
    ) -> None: ...


def datagram(src: int, sport: int, dst: int, dport: int, payload: bytes) -> bytes:
    """A UDP datagram with its internet header, TTL 1 as it was when it died."""
    length = 8 + len(payload)
    head = struct.pack("!HHH", sport, dport, length)
    check = raw.fold(pseudo_ip4(src, dst, PROTO_UDP, length) + raw.csum_of(head + b"\0\0" + payload, 0, length, 0)) ^ 0xFFFF
    return _internet(src, dst, PROTO_UDP, length) + head + struct.pack("!H", check or 0xFFFF) + payload


def echo(src: int, dst: int, ident: int, seq: int, payload: bytes) -> bytes:
    """An echo request with its internet header."""
    body = struct.pack("!BBHHH", 8, 0, 0, ident, seq) + payload
    check = raw.csum_of(body, 0, len(body), 0) ^ 0xFFFF
    return _internet(src, dst, PROTO_ICMP, len(body)) + body[:2] + check.to_bytes(2, "big") + body[4:]


def _internet(src: int, dst: int, proto: int, length: int) -> bytes:
    header = bytearray(20)
    wire.put_header(header, 0, 0, min(20 + length, 65535), 0, 0, 1, proto, src, dst)
    return bytes(header)


def rest(type: int, code: int, info: int) -> int:
    """The second word of the error: the next MTU where it is too small (RFC 1191 4), else nothing."""
    return info & 0xFFFF if type == DEST_UNREACHABLE and code == FRAGMENTATION_NEEDED else 0
