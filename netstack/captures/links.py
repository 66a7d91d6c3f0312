"""Link headers: where in a captured packet the network layer begins, and what the link says of it.

One function for each kind of link. Each gets the captured bytes and gives a `Head`, or None for a packet too short for its own
header. Tags may be stacked (802.1Q in 802.1ad, and what vendors did before), and are taken off, as are SNAP, PPPoE and MPLS.
"""

from collections.abc import Callable
from typing import NamedTuple

from .. import pcap

IPV4 = 0x0800
IPV6 = 0x86DD
TAGS = frozenset((0x8100, 0x88A8, 0x9100, 0x9200, 0x9300))  # 802.1Q, 802.1ad, and what QinQ was before it
MOST_TAGS = 8  # two are lawful; a frame of nothing but tags must not cost more than it is worth
PPPOE_SESSION = 0x8864
MPLS = frozenset((0x8847, 0x8848))
SNAP = b"\xaa\xaa\x03\x00\x00\x00"  # RFC 1042

# address families that systems write before a datagram on their loopback: BSDs disagree about IPv6, and Linux with all of them
AF_INET = 2
AF_INET6 = frozenset((10, 24, 28, 30))

# link types beyond those in pcap.py
PPP = 9
OLD_RAW = (12, 14)  # DLT_RAW as it was written to files by mistake, of most systems and of OpenBSD
PPP_HDLC = 50
PPPOE = 51
CISCO_HDLC = 104


class Head(NamedTuple):
    """`ethertype` is 0 where the link has none for what follows."""

    ethertype: int
    offset: int
    src_mac: bytes | None = None
    dst_mac: bytes | None = None
    vlan: tuple[int, ...] = ()
    direction: int = pcap.UNKNOWN


def ethernet(p: bytes) -> Head | None:
    if len(p) < 14:
        return None
    kind = p[12] << 8 | p[13]
    if kind == IPV4:
        return Head(kind, 14, p[6:12], p[:6])
    return _inside(p, kind, 14, p[6:12], p[:6], pcap.UNKNOWN)


def cooked(p: bytes) -> Head | None:
    """LINKTYPE_LINUX_SLL: what Linux gives for the device `any`."""
    if len(p) < 16:
        return None
    src = p[6:12] if p[4] << 8 | p[5] == 6 else None
    return _inside(p, p[14] << 8 | p[15], 16, src, None, pcap.OUTBOUND if p[:2] == b"\0\4" else pcap.INBOUND)


def cooked2(p: bytes) -> Head | None:
    if len(p) < 20:
        return None
    return _inside(p, p[0] << 8 | p[1], 20, p[12:18] if p[11] == 6 else None, None, pcap.OUTBOUND if p[10] == 4 else pcap.INBOUND)


def loopback(p: bytes) -> Head | None:
    """LINKTYPE_NULL is in the byte order of whoever captured, LINKTYPE_LOOP in the network's: families are small in both."""
    if len(p) < 4:
        return None
    family = min(int.from_bytes(p[:4], "big"), int.from_bytes(p[:4], "little"))
    return Head(IPV4 if family == AF_INET else IPV6 if family in AF_INET6 else 0, 4)


def bare(p: bytes) -> Head | None:
    return Head(_version(p, 0), 0) if p else None


def ppp(p: bytes) -> Head | None:
    """RFC 1661, with or without the framing of RFC 1662, the protocol in one byte or two."""
    at = 2 if p[:2] in (b"\xff\x03", b"\x0f\x00") else 0
    return _ppp(p, at, None, None, ())


def pppoe(p: bytes) -> Head | None:
    return _ppp(p, 6, None, None, ())


def hdlc(p: bytes) -> Head | None:
    return Head(p[2] << 8 | p[3], 4) if len(p) >= 4 else None


def _version(p: bytes, at: int) -> int:
    return {4: IPV4, 6: IPV6}.get(p[at] >> 4, 0) if at < len(p) else 0


def _ppp(p: bytes, at: int, src: bytes | None, dst: bytes | None, vlan: tuple[int, ...]) -> Head | None:
    if len(p) < at + 2:
        return None
    # RFC 1661 2: the last byte of a protocol is odd, all before it are even
    protocol, at = (p[at], at + 1) if p[at] & 1 else (p[at] << 8 | p[at + 1], at + 2)
    return Head({0x21: IPV4, 0x57: IPV6}.get(protocol, 0), at, src, dst, vlan)


def _inside(p: bytes, kind: int, at: int, src: bytes | None, dst: bytes | None, direction: int) -> Head | None:
    """Take off what may stand between the header of a link and what it carries."""
    vlan: list[int] = []
    while kind in TAGS and len(vlan) < MOST_TAGS:
        if len(p) < at + 4:
            return None
        vlan.append((p[at] << 8 | p[at + 1]) & 0xFFF)
        kind = p[at + 2] << 8 | p[at + 3]
        at += 4
    if kind < 1536 and p[at : at + 6] == SNAP and len(p) >= at + 8:  # below that it is the length of an 802.3 frame
        kind, at = p[at + 6] << 8 | p[at + 7], at + 8
    if kind == PPPOE_SESSION:
        return _ppp(p, at + 6, src, dst, tuple(vlan))
    if kind in MPLS:
        bottom = False
        while not bottom:
            if len(p) < at + 4:
                return None
            bottom = bool(p[at + 2] & 1)
            at += 4
        kind = _version(p, at)
    return Head(kind, at, src, dst, tuple(vlan), direction)


READERS: dict[int, Callable[[bytes], Head | None]] = {
    pcap.ETHERNET: ethernet,
    pcap.LINUX_SLL: cooked,
    pcap.LINUX_SLL2: cooked2,
    pcap.NULL: loopback,
    pcap.LOOP: loopback,
    pcap.RAW: bare,
    pcap.IPV4: bare,
    pcap.IPV6: bare,
    **dict.fromkeys(OLD_RAW, bare),
    PPP: ppp,
    PPP_HDLC: ppp,
    PPPOE: pppoe,
    CISCO_HDLC: hdlc,
}
