"""The TCP segment in a datagram, as plain values: what `follow` wants to know of it. IPv4, and IPv6 that is not in fragments."""

from typing import NamedTuple

from .. import const
from ..checksum import checksum
from .links import IPV6
from .reading import Datagram, Other

FIN = const.FIN
SYN = const.SYN
RST = const.RST
PSH = const.PSH
ACK = const.ACK
URG = const.URG

# RFC 8200 4: headers of which one leads to the next. Fragments are not put together, encrypted text has no ports.
_EXTENSIONS = frozenset((0, 43, 60, 135, 139, 140))
_FRAGMENT = 44
_MOST_EXTENSIONS = 16  # a datagram of nothing but headers must not cost more than it is worth


class Segment(NamedTuple):
    """`ends` are source and destination, addresses and then ports, as they stand in the headers. `n` is the length of the text, of
    which `text` is what was captured; `scale` -1 without the option."""

    ends: tuple[bytes, bytes]
    seq: int
    ack: int
    flags: int
    window: int
    scale: int
    text: bytes
    n: int
    good: bool


def segment(item: "Datagram | Other", check: bool = False) -> "Segment | bool | None":
    """None for what is no TCP, False for what is no lawful TCP header. `check`: is the checksum right (`good`)?"""
    p = item.data
    if isinstance(item, Datagram):
        if p[9] != 6:
            return None
        at = (p[0] & 15) << 2
        if (p[6] & 0x1F) | p[7]:
            return None
        total = p[2] << 8 | p[3] or len(p)
        src, dst = p[12:16], p[16:20]
    else:
        found = _ipv6(item)
        if found is None:
            return None
        at, total = found
        src, dst = p[8:24], p[24:40]
    if len(p) < at + 20:
        return False
    offset = (p[at + 12] >> 4) << 2
    start = at + offset
    if offset < 20 or start > total or start > len(p):
        return False
    flags = p[at + 13]
    scale = _scale(p, at + 20, start) if flags & SYN and offset > 20 else -1
    good = not check or item.cut or _sum(src, dst, p[at:total]) == 0
    return Segment(
        (src + p[at : at + 2], dst + p[at + 2 : at + 4]),
        int.from_bytes(p[at + 4 : at + 8], "big"),
        int.from_bytes(p[at + 8 : at + 12], "big"),
        flags,
        p[at + 14] << 8 | p[at + 15],
        scale,
        p[start:total],
        total - start,
        good,
    )


def _scale(p: bytes, at: int, end: int) -> int:
    """RFC 7323 2.2: a larger one than 14 counts as 14."""
    while at < end and p[at] != 0:
        if p[at] == 1:
            at += 1
            continue
        if at + 2 > end or p[at + 1] < 2:
            break
        if p[at] == 3 and p[at + 1] == 3 and at + 3 <= end:
            return min(p[at + 2], 14)
        at += p[at + 1]
    return -1


def _sum(src: bytes, dst: bytes, p: bytes) -> int:
    size = len(p).to_bytes(4, "big") if len(src) == 16 else len(p).to_bytes(2, "big")
    return checksum(src + dst + (b"\0\0\0\6" if len(src) == 16 else b"\0\6") + size + p)


def _ipv6(item: Other) -> "tuple[int, int] | None":
    """Where the TCP header begins, and where the datagram ends."""
    p = item.data
    if item.ethertype != IPV6 or len(p) < 40 or p[0] >> 4 != 6:
        return None
    length = p[4] << 8 | p[5]
    total = 40 + length if length else len(p)
    kind, at = p[6], 40
    for _ in range(_MOST_EXTENSIONS):
        if kind == _FRAGMENT and at + 8 <= len(p) and (p[at + 2] << 8 | p[at + 3]) & 0xFFF9 == 0:  # all of it (RFC 6946)
            kind, at = p[at], at + 8
            continue
        if kind not in _EXTENSIONS or at + 8 > len(p):
            break
        kind, at = p[at], at + ((p[at + 1] + 1) << 3)
    return (at, total) if kind == 6 else None
