"""The way out: what a datagram may be stopped by, and how it leaves: whole, cut, or in fragments."""

from .. import const, gso, raw
from ..cores import Frame, Out
from ..gso import Cutter
from ..ipv4 import wire
from . import const as rc
from .cut import cut
from .reports import Reports
from .sums import patch
from .ways import Egress, Port


class Dispatch(Reports):
    __slots__ = ("clamp", "cutter", "out", "small")

    def __init__(self) -> None:
        super().__init__()
        self.clamp = False
        self.out = Out()
        self.small = Out()
        self.cutter = Cutter()

    def header(self, f: Frame, ihl: int) -> int:
        """Bytes of the transport header, as far as they are there; 0 where the payload begins at once."""
        n = f.end - f.l3 - ihl
        if f.proto == const.PROTO_TCP:
            if n < 20:
                return 0
            hl = raw.g8(f.buf, f.l3 + ihl + 12) >> 4 << 2
            return hl if 20 <= hl <= n else 20
        if f.proto == const.PROTO_UDP:
            return 8 if n >= 8 else 0
        return 0

    def passes(self, port: Port, f: Frame, ihl: int, frag: int, e: Egress) -> bool:
        """Everything that a datagram may be stopped by on its way out; said to its sender where that may be."""
        m = self.mib
        if e.kind != rc.ONWARD:
            m.OutNoRoutes += 1
            self.report(port, f, const.ICMP_UNREACHABLE, 0, 0)
            return False
        if f.dst >> 16 == rc.LINK_LOCAL:
            m.InMartians += 1
            return False
        if ihl > 20:
            fault = wire.option_fault(f.buf, f.l3, ihl)
            if fault < 0:
                m.InSourceRoute += 1
                self.report(port, f, const.ICMP_UNREACHABLE, 5, 0)
                return False
            if fault > 0:
                m.InBadOptions += 1
                self.report(port, f, const.ICMP_PARAMETER_PROBLEM, 0, fault << 24)
                return False
        if f.ttl <= 1:
            m.InTtlExceeded += 1
            self.report(port, f, const.ICMP_TIME_EXCEEDED, 0, 0)
            return False
        n = f.end - f.l3
        if n > e.mtu:
            if f.gso:
                n = ihl + self.header(f, ihl) + f.gso
            if n > e.mtu and frag & const.IP_DF:
                m.FragFails += 1
                self.report(port, f, const.ICMP_UNREACHABLE, 4, e.mtu)  # RFC 1191 4
                return False
        if f.csum == const.CSUM_PARTIAL and (
            frag & (const.IP_OFFSET | const.IP_MF) or (f.proto != const.PROTO_TCP and f.proto != const.PROTO_UDP)
        ):
            m.InBadOffload += 1
            return False
        return True

    def clamp_mss(self, port: Port, f: Frame, ihl: int, hl: int, e: Egress) -> None:
        """No larger segments than both links carry."""
        b = f.buf
        at = f.l3 + ihl
        if not raw.g8(b, at + 13) & const.SYN:
            return
        most = min(port.mtu, e.mtu) - 40
        i = at + 20
        end = at + hl
        while i + 1 < end:
            kind = raw.g8(b, i)
            if kind == 0:
                return
            if kind == 1:
                i += 1
                continue
            length = raw.g8(b, i + 1)
            if length < 2 or i + length > end:
                return
            if kind == 2 and length == 4:
                mss = raw.g16(b, i + 2)
                if mss > most:
                    self.mib.MssClamped += 1
                    raw.p16(b, i + 2, most)
                    if f.csum != const.CSUM_PARTIAL:
                        change = (mss ^ const.M16) + most
                        if (i - at) & 1:  # it stands across two words: the sum of bytes swapped is the sum swapped (RFC 1071 2)
                            change = raw.fold(change)
                            change = (change << 8 | change >> 8) & const.M16
                        patch(b, at + 16, change)
                return
            i += length

    def age(self, f: Frame) -> None:
        """One hop more."""
        raw.p8(f.buf, f.l3 + 8, f.ttl - 1)
        patch(f.buf, f.l3 + 10, rc.ONE_HOP)

    def emit(self, f: Frame, ihl: int, hl: int, frag: int, e: Egress) -> None:
        """Send what is ready. Headers of `ihl` and `hl` bytes go in front, the payload stays where it is."""
        m = self.mib
        b = f.buf
        o = f.l3
        n = f.end - o
        k = ihl + hl
        to = e.port
        p = self.out
        p.reset()
        p.off = const.HEADROOM - k
        raw.move(p.hdr, p.off, b, o, k)
        p.l4 = p.off + ihl
        p.data = b  # type: ignore[assignment]  # any buffer will do
        p.o = o + k
        p.n = n - k
        p.src = raw.g32(b, o + 12)
        p.dst = raw.g32(b, o + 16)
        p.proto = f.proto
        if f.csum == const.CSUM_PARTIAL:
            p.csum_off = const.TCP_CHECKSUM if f.proto == const.PROTO_TCP else const.UDP_CHECKSUM
        m.ForwDatagrams += 1
        m.ForwOctets += n
        to.tx_packets += 1
        to.tx_octets += n
        hop = e.next_hop
        if hop == 0:
            hop = p.dst
        if f.gso:
            p.gso = f.gso
            need = const.OFFLOAD_TSO4 if f.proto == const.PROTO_TCP else const.OFFLOAD_USO
            if not to.offload & need or k + f.gso > e.mtu:
                self.cut_super(p, hop, f.now, e)
                p.data = None
                return
        elif n > e.mtu:
            self.fragment(p, hop, f.now, e)
            p.data = None
            return
        if p.csum_off and not to.offload & const.OFFLOAD_CSUM:
            gso.complete(p)
        to.next_hop.send(p, hop, f.now)
        p.data = None

    def cut_super(self, p: Out, hop: int, now: int, e: Egress) -> None:
        """A super-segment for a device that doesn't cut, or whose pieces must become fragments."""
        cutter = self.cutter
        to = e.port
        if not cutter.begin(p, 0):
            self.mib.OutTooLong += 1
            return
        off = p.off
        while cutter.next(p):
            if p.length() > e.mtu:
                self.fragment(p, hop, now, e)
            else:
                if not to.offload & const.OFFLOAD_CSUM:
                    gso.complete(p)
                to.next_hop.send(p, hop, now)
            p.off = off

    def fragment(self, p: Out, hop: int, now: int, e: Egress) -> None:
        m = self.mib
        if p.csum_off:
            gso.complete(p)
        m.FragOKs += 1
        q = self.small
        for piece in cut(p.tobytes(), e.mtu):
            m.FragCreates += 1
            q.reset()
            q.data = piece
            q.n = len(piece)
            q.off = const.HEADROOM
            q.src = p.src
            q.dst = p.dst
            e.port.next_hop.send(q, hop, now)
        q.data = None
