"""The forwarding plane: RFC 1812's router, beneath a host that may have addresses of its own.

It sits between the links and the internet layer of that host. Each device has a `Port`, which takes the datagrams of its link
first: what is for this host, or no lawful datagram at all, is handed up as if nobody had looked; the rest goes to the port that
leads on. The layer above sends past the plane, straight to its next hops.

The order of things, for each datagram:

    header sound?  no: up, where such things are counted
    NAT            a flow that is known: translated; else one may begin (nat.py)
    routes         `ways` remembers where each address leads: on, up, or nowhere
    source         no martian, and the way back to it is the port it came by (BCP 38)
    TTL, length    answered by ICMP errors (RFC 1812 4.3.3, 5.3.1, 5.2.6), about the datagram as it came
    out            headers copied in front, payload where it is: one writev

Nothing is summed again. The TTL and all that NAT changes are taken from the sums that stand there (RFC 1624), so that a datagram
which was damaged on the way stays so for its receiver; sums that were left to a device (CSUM_PARTIAL) are left to the next one,
and 64 KiB that came in one piece go in one piece wherever the next device takes them, and are cut here where not.

Who learns what of a flow (`Way.egress`) is good for one `epoch`: any change of a table begins the next one.
"""

from .. import const, raw
from ..buffers import Pool
from ..cores import Frame
from . import const as rc
from .dispatch import Dispatch
from .nat import Nat
from .pieces import Piece, Pieces
from .reports import QUOTE
from .sums import patch
from .track import Way
from .ways import Egress, Port

SLAB = 65536


class Plane(Dispatch):
    """What passes between the ports. `nat` and `pieces` are there together, or not."""

    __slots__ = ("lifted", "nat", "pieces", "pool", "redirects", "reject")

    def __init__(self) -> None:
        super().__init__()
        self.nat: Nat | None = None
        self.pieces: Pieces | None = None
        self.redirects = False
        self.reject = False
        self.pool = Pool(SLAB)
        self.lifted = -1  # by which port that came which the host is being given

    # -- in ---------------------------------------------------------------------------------------------------------------

    def lift(self, port: Port, f: Frame) -> None:
        """It is for this host, or for the dustbin of its internet layer."""
        self.mib.InDelivers += 1
        self.lifted = port.index
        port.up.input(f)
        self.lifted = -1

    def enter(self, port: Port, f: Frame) -> None:
        b = f.buf
        o = f.off
        have = f.end - o
        self.mib.InReceives += 1
        port.rx_packets += 1
        port.rx_octets += have
        if have < 20:
            self.lift(port, f)
            return
        vihl, tos, total, ident, frag, ttl, proto, src, dst = raw.get_ip4(b, o)
        ihl = (vihl & 15) << 2
        top = dst >> 24
        if (
            vihl >> 4 != 4
            or ihl < 20
            or total < ihl
            or total > have
            or top >= 224
            or top == 0
            or top == 127
            or raw.csum(b, o, ihl, 0) != const.M16
        ):
            self.lift(port, f)
            return
        if f.cast:  # RFC 1812 5.3.4; to an address of ours the layer above says the same
            e = self.way(dst)
            if e.kind == rc.OURS or e.kind == rc.EVERYBODY:
                self.lift(port, f)
            else:
                self.mib.InLinkCast += 1
            return
        f.l3 = o
        f.src = src
        f.dst = dst
        f.proto = proto
        f.ttl = ttl
        f.tos = tos
        f.end = o + total
        nat = self.nat
        if nat is None:
            self.route(port, f, ihl, frag)
            return
        if frag & const.IP_OFFSET:
            self.follow(port, f, ihl, frag, ident)
            return
        ends = self.endpoints(b, o + ihl, total - ihl, proto)
        if ends >= 0:
            w = nat.find(proto, src, dst, ends)
            if w is not None:
                nat.mib.Found += 1
                self.translate(port, f, w, ihl, frag)
                if frag & const.IP_MF:
                    self.lead(port, f, frag, ident, rc.FOLLOWS, w, src, dst)
                return
        verdict = self.begin(port, f, ihl, frag, ends)
        if frag & const.IP_MF:
            self.lead(port, f, frag, ident, verdict, nat.find(proto, src, dst, ends) if verdict == rc.FOLLOWS else None, src, dst)

    def endpoints(self, b: bytearray, o: int, n: int, proto: int) -> int:
        """The first word of the transport header, or what stands for it in a flow's key: an ICMP question's number in the upper
        half, an answer's in the lower one. Or rc.NO_PORTS, rc.ERROR."""
        if proto == const.PROTO_TCP:
            if n < 20:
                return rc.NO_PORTS
            return raw.g32(b, o)
        if proto == const.PROTO_UDP:
            if n < 8:
                return rc.NO_PORTS
            return raw.g32(b, o)
        if proto != const.PROTO_ICMP:
            return 0
        if n < 8:
            return rc.NO_PORTS
        kind = raw.g8(b, o)
        if kind == const.ICMP_ECHO or kind == 13 or kind == 15 or kind == 17:
            return raw.g16(b, o + 4) << 16
        if kind == const.ICMP_ECHO_REPLY or kind == 14 or kind == 16 or kind == 18:
            return raw.g16(b, o + 4)
        return rc.ERROR

    def begin(self, port: Port, f: Frame, ihl: int, frag: int, ends: int) -> int:
        """No flow is known. One begins, or the datagram is routed, or handed up, or dropped: gives what later fragments do."""
        nat = self.nat
        assert nat is not None
        outside = f.dst in nat.outsides
        e = self.way(f.dst)
        if ends == rc.ERROR:
            return self.error(port, f, ihl, frag, e, outside)
        if port.role == rc.OUTSIDE:
            if not outside:
                if e.kind == rc.ONWARD and e.port.role == rc.INSIDE:
                    self.mib.InUnsolicited += 1
                    if self.reject:
                        self.report(port, f, const.ICMP_UNREACHABLE, 13, 0)
                    return rc.LOST
                return self.route(port, f, ihl, frag)
        elif not outside and not (e.kind == rc.ONWARD and e.port.role == rc.OUTSIDE):
            return self.route(port, f, ihl, frag)
        if ends == rc.NO_PORTS:
            if e.kind == rc.OURS:
                self.lift(port, f)
                return rc.ABOVE
            self.mib.InCutShort += 1
            return rc.LOST
        if not self.source_good(port, f.src):
            return rc.LOST
        if port.role != rc.OUTSIDE and not outside and not self.passes(port, f, ihl, frag, e):
            return rc.LOST  # no flow for what goes no farther
        flags = raw.g8(f.buf, f.l3 + ihl + 13) if f.proto == const.PROTO_TCP else 0
        w: Way | None
        if port.role == rc.OUTSIDE:
            w = nat.begin_inbound(f.proto, f.src, f.dst, ends, flags, f.now)
        elif outside:
            w = nat.begin_hairpin(f.proto, f.src, f.dst, ends, flags, f.dst, f.now)
        else:
            if not e.port.addresses:
                self.mib.OutNoRoutes += 1
                return rc.LOST
            w = nat.begin_outbound(f.proto, f.src, f.dst, ends, flags, self.paired(e.port, f.src), f.now)
        if w is None:
            if nat.verdict == rc.UP:
                return self.own(port, f, e)
            return rc.LOST
        w.port = port
        self.translate(port, f, w, ihl, frag)
        return rc.FOLLOWS

    def paired(self, port: Port, src: int) -> int:
        """The outside address of an inside host: always the same one (RFC 4787 REQ-2)."""
        return port.addresses[src % len(port.addresses)][2]

    def own(self, port: Port, f: Frame, e: Egress) -> int:
        """For an address of this host, or one that only maps have."""
        if e.kind != rc.OURS:
            self.mib.InUnsolicited += 1
            return rc.LOST
        if port.role == rc.OUTSIDE and e.port.role == rc.INSIDE:
            self.mib.InWrongSide += 1
            return rc.LOST
        self.lift(port, f)
        return rc.ABOVE

    def error(self, port: Port, f: Frame, ihl: int, frag: int, e: Egress, outside: bool) -> int:
        """An ICMP error, about a packet of a flow or of this host (RFC 5508 4)."""
        nat = self.nat
        assert nat is not None
        crosses = port.role == rc.OUTSIDE or outside or (e.kind == rc.ONWARD and e.port.role == rc.OUTSIDE)
        if not crosses:
            return self.route(port, f, ihl, frag)
        if not frag & const.IP_MF and f.ttl > 1:
            r = nat.translate_error(f.buf, f.l3, ihl, f.end - f.l3)
            if r is not None:
                f.src = raw.g32(f.buf, f.l3 + 12)
                f.dst = r.src
                e = self.way(f.dst)
                if e.kind == rc.ONWARD and self.passes(port, f, ihl, frag, e):
                    self.age(f)
                    self.emit(f, ihl, 0, frag, e)
                return rc.LOST
        if e.kind == rc.OURS:
            return self.own(port, f, e)
        nat.mib.IcmpError += 1
        return rc.LOST

    # -- what may pass ----------------------------------------------------------------------------------------------------

    def route(self, port: Port, f: Frame, ihl: int, frag: int) -> int:
        """Forward without translation."""
        e = self.way(f.dst)
        if e.kind == rc.OURS:
            return self.own(port, f, e)
        if e.kind == rc.EVERYBODY:
            if e.port is port:
                self.lift(port, f)
                return rc.ABOVE
            self.mib.InDirectedBcast += 1
            return rc.LOST
        if not self.source_good(port, f.src) or not self.passes(port, f, ihl, frag, e):
            return rc.LOST
        if self.redirects and e.port is port:
            self.redirect(port, f, e)
        hl = 0
        if not frag & const.IP_OFFSET:
            hl = self.header(f, ihl)
        if self.clamp and f.proto == const.PROTO_TCP and hl >= 20:
            self.clamp_mss(port, f, ihl, hl, e)
        self.age(f)
        self.emit(f, ihl, hl, frag, e)
        return rc.ALONE

    # -- translation ------------------------------------------------------------------------------------------------------

    def translate(self, port: Port, f: Frame, w: Way, ihl: int, frag: int) -> None:
        """A datagram of a flow, with its transport header."""
        nat = self.nat
        assert nat is not None
        if w.port is not port:
            if not self.source_good(port, f.src):
                return
            w.port = port
        if w.epoch != self.epoch:
            w.egress = self.way(w.to_dst)
            w.epoch = self.epoch
        e: Egress = w.egress  # type: ignore[assignment]  # just set
        if not self.passes(port, f, ihl, frag, e):
            return
        b = f.buf
        o = f.l3
        at = o + ihl
        n = f.end - at
        nat.touch(w, f.end - o, f.now)
        proto = w.proto
        hl = 0
        raw.p32(b, o + 12, w.to_src)
        raw.p32(b, o + 16, w.to_dst)
        # the TTL goes in the same sum: one less in the upper half of its word
        raw.p8(b, o + 8, f.ttl - 1)
        patch(b, o + 10, w.ip_sum + rc.ONE_HOP)
        if proto == const.PROTO_TCP:
            hl = self.header(f, ihl)
            nat.tcp(w, b, at, n, f.now)
            if self.clamp and raw.g8(b, at + 13) & const.SYN:
                self.clamp_mss(port, f, ihl, hl, e)
            raw.p32(b, at, w.to_ports)
            if f.csum == const.CSUM_PARTIAL:
                raw.p16(b, at + 16, raw.fold(raw.g16(b, at + 16) + w.ip_sum))
            else:
                patch(b, at + 16, w.l4_sum)
        elif proto == const.PROTO_UDP:
            hl = 8
            raw.p32(b, at, w.to_ports)
            if f.csum == const.CSUM_PARTIAL:
                raw.p16(b, at + 6, raw.fold(raw.g16(b, at + 6) + w.ip_sum))
            elif raw.g16(b, at + 6):
                patch(b, at + 6, w.l4_sum)
                if not raw.g16(b, at + 6):  # RFC 768: 0 would say that there is none
                    raw.p16(b, at + 6, const.M16)
        elif proto == const.PROTO_ICMP:
            raw.p16(b, at + 4, w.to_ports >> 16 | w.to_ports & const.M16)  # a number is in one half, and the other is 0
            patch(b, at + 2, w.l4_sum)
        self.emit(f, ihl, hl, frag, e)

    # -- fragments --------------------------------------------------------------------------------------------------------

    def lead(self, port: Port, f: Frame, frag: int, ident: int, verdict: int, w: "Way | None", src: int, dst: int) -> None:
        """A first fragment has gone its way: later ones go the same."""
        assert self.pieces is not None
        key = (src, dst, ident, f.proto)
        piece = self.pieces.find(key, f.now)
        piece.verdict = verdict
        piece.way = w
        for datagram in self.pieces.release(piece):
            g = self.pool.get()
            raw.fill(g.buf, 0, datagram, 0, len(datagram))
            g.off = g.l3 = 0
            g.end = len(datagram)
            g.now = f.now
            g.src = src
            g.dst = dst
            g.proto = f.proto
            g.tos = raw.g8(g.buf, 1)
            g.ttl = raw.g8(g.buf, 8)
            g.lsrc = 0
            g.cast = const.UNICAST
            g.csum = const.CSUM_UNKNOWN
            g.gso = 0
            g.kept = 0
            try:
                self.later(port, g, (raw.g8(g.buf, 0) & 15) << 2, raw.g16(g.buf, 6), piece)
            finally:
                self.pool.put(g)

    def follow(self, port: Port, f: Frame, ihl: int, frag: int, ident: int) -> None:
        """A later fragment, where flows are tracked."""
        nat = self.nat
        assert nat is not None
        assert self.pieces is not None
        e = self.way(f.dst)
        if port.role != rc.OUTSIDE and f.dst not in nat.outsides and not (e.kind == rc.ONWARD and e.port.role == rc.OUTSIDE):
            self.route(port, f, ihl, frag)
            return
        piece = self.pieces.find((f.src, f.dst, ident, f.proto), f.now)
        if piece.verdict:
            self.later(port, f, ihl, frag, piece)
        else:
            self.pieces.wait(piece, raw.take(f.buf, f.l3, f.end - f.l3))

    def later(self, port: Port, f: Frame, ihl: int, frag: int, piece: Piece) -> None:
        nat = self.nat
        assert nat is not None
        if piece.verdict == rc.ABOVE:
            self.lift(port, f)
            return
        if piece.verdict == rc.ALONE:
            self.route(port, f, ihl, frag)
            return
        w = piece.way
        if piece.verdict != rc.FOLLOWS or w is None or w.flow is None:
            nat.mib.PiecesLost += 1
            return
        if w.epoch != self.epoch:
            w.egress = self.way(w.to_dst)
            w.epoch = self.epoch
        e: Egress = w.egress  # type: ignore[assignment]  # just set
        if not self.passes(port, f, ihl, frag, e):
            return
        nat.mib.Pieces += 1
        w.octets += f.end - f.l3
        w.packets += 1
        b = f.buf
        o = f.l3
        raw.p32(b, o + 12, w.to_src)
        raw.p32(b, o + 16, w.to_dst)
        raw.p8(b, o + 8, f.ttl - 1)
        patch(b, o + 10, w.ip_sum + rc.ONE_HOP)
        self.emit(f, ihl, 0, frag, e)

    # -- out --------------------------------------------------------------------------------------------------------------

    # -- errors -----------------------------------------------------------------------------------------------------------

    def undeliverable(self, packet: bytes, now: int) -> bool:
        """The link gives a datagram back: nobody answers for its next hop. Told to its sender, as it was before translation
        (RFC 1812 5.3.3). False where its sender is this host."""
        if len(packet) < 20:
            return False
        b = bytearray(packet[:QUOTE])
        src = raw.g32(b, 12)
        n = len(b)
        if self.nat is not None:
            r = self.nat.quoted_way(b, 0, n)
            if r is not None:
                self.mib.OutNoNeighbour += 1
                self.nat.restore_quote(b, 0, n, r)
                self.complain(r.port, bytes(b), r.src, const.ICMP_UNREACHABLE, 1, 0, now)  # type: ignore[arg-type]  # a Port
                return True
        e = self.way(src)
        if e.kind != rc.ONWARD:
            return False
        self.mib.OutNoNeighbour += 1
        self.complain(e.port, bytes(b), src, const.ICMP_UNREACHABLE, 1, 0, now)
        return True
