"""What a device would have done to a packet, where it doesn't: complete its checksum, cut a super-segment.

A transport that may hand down 64 KiB at once runs once for all of it, whoever cuts it (`Out.gso`): that is worth more than what
cutting costs. So a device that carries single frames offers OFFLOAD_CSUM, OFFLOAD_TSO4 and OFFLOAD_USO all the same and has a
`Cutter` do the work, in the packet itself: each turn leaves in `Out` the next frame to be sent, its headers patched where they
stand and its payload a slice of the same bytes, which nobody copies.

What the segments have in common and in what they differ is what Linux makes of it (tcp_gso_segment, __udp_gso_segment):

    IP    total length; identification, counted up where the datagram may be fragmented, 0 where not (RFC 6864 4.1); checksum
    TCP   sequence number; FIN and PSH on the last only, CWR on the first only (RFC 3168 6.1.2); checksum
    UDP   length, checksum
"""

from . import const, raw
from .cores import Out


def complete(p: Out) -> None:
    """Put the transport checksum where `p.csum_off` says; the field holds the sum of the pseudo-header."""
    p.join()
    at = p.l4 + p.csum_off
    s = raw.csum(p.hdr, p.l4, const.HEADROOM - p.l4, 0)
    if p.n:
        s = raw.fold(s + raw.csum_of(p.data, p.o, p.n, 0))  # type: ignore[arg-type]  # with n there is data
    s = s ^ const.M16
    if s == 0 and p.csum_off == const.UDP_CHECKSUM:  # RFC 768: 0 would say that there is none
        s = const.M16
    raw.p16(p.hdr, at, s)
    p.csum_off = 0


class Cutter:
    """Cuts one packet after another: `begin`, then `next` until it says no."""

    __slots__ = ("addresses", "checksum", "count", "end", "flags", "head", "ident", "ip", "left", "proto", "seq", "size")

    def __init__(self) -> None:
        self.left = 0

    def begin(self, p: Out, link: int) -> bool:
        """Look at the headers of `p`, of which the link's is `link` bytes. False for what can't be cut: it isn't TCP or UDP over
        IPv4, or does not leave its checksum to the device."""
        p.join()
        ip = p.off + link
        l4 = p.l4
        self.left = 0
        if l4 - ip < 20 or const.HEADROOM - l4 < 8 or raw.g8(p.hdr, ip) >> 4 != 4 or p.gso <= 0:
            return False
        self.proto = raw.g8(p.hdr, ip + 9)
        if self.proto == const.PROTO_TCP:
            if p.csum_off != const.TCP_CHECKSUM or const.HEADROOM - l4 < 20:
                return False
            self.seq = raw.g32(p.hdr, l4 + 4)
            self.flags = raw.g8(p.hdr, l4 + 13)
        elif self.proto != const.PROTO_UDP or p.csum_off != const.UDP_CHECKSUM:
            return False
        self.ip = ip
        self.head = const.HEADROOM - l4
        self.checksum = p.csum_off
        self.size = p.gso
        self.left = p.n
        self.end = p.o
        self.count = 0
        self.addresses = raw.csum(p.hdr, ip + 12, 8, self.proto)
        self.ident = -1 if raw.g16(p.hdr, ip + 6) & const.IP_DF else raw.g16(p.hdr, ip + 4)
        p.gso = 0
        return True

    def next(self, p: Out) -> bool:
        """Make `p` the next frame, its checksum left to the device. False when there is none."""
        if self.left <= 0:
            return False
        hdr = p.hdr
        ip = self.ip
        l4 = p.l4
        n = self.size if self.left > self.size else self.left
        p.o = self.end
        p.n = n
        self.end += n
        self.left -= n
        length = self.head + n
        raw.p16(hdr, ip + 2, l4 - ip + length)
        if self.ident >= 0:
            raw.p16(hdr, ip + 4, self.ident + self.count)
        raw.p16(hdr, ip + 10, 0)
        raw.p16(hdr, ip + 10, raw.csum(hdr, ip, l4 - ip, 0) ^ const.M16)
        if self.proto == const.PROTO_TCP:
            flags = self.flags
            if self.left:
                flags &= ~(const.FIN | const.PSH)
            if self.count:
                flags &= ~const.CWR
            raw.p8(hdr, l4 + 13, flags)
            raw.p32(hdr, l4 + 4, self.seq)
            self.seq = (self.seq + n) & const.M32
        else:
            raw.p16(hdr, l4 + 4, length)
        raw.p16(hdr, l4 + self.checksum, raw.fold(self.addresses + length))
        p.csum_off = self.checksum
        self.count += 1
        return True

    def remaining(self) -> int:
        """Frames not yet made: what is lost when the device takes no more."""
        return (self.left + self.size - 1) // self.size if self.left > 0 else 0
