"""NAT44: which outside endpoint stands for an inside one, and who may come in.

Mapping is endpoint-independent (RFC 4787 REQ-1): an inside endpoint has one outside endpoint, whomever it talks to, so that peers
which compare notes find it. The port stays what it was where that is free, else it is of the same parity and on the same side of
1024 (REQ-3, REQ-4), chosen by chance (RFC 7857 9). All of one host's endpoints have the same outside address (REQ-2).

Filtering is a choice for each protocol (config.py). Port forwards and one-to-one maps are mappings that are always there and let
everybody in; they are found by looking through the rules when a flow begins, never for a packet of one that is there.

What is asked here is asked once for each flow. `begin_…` give the way of the first packet, or None with the reason in `verdict`.

Protocols without ports (GRE, ESP, SCTP, which sums no addresses) have a flow for each pair of hosts; two hosts inside that talk to
the same one outside look the same from there, and the second is refused. UDP-Lite and DCCP sum the addresses in places of their
own, and are not translated.
"""

from collections.abc import Callable

from .. import const, raw
from ..errors import WireError
from ..ipv4 import icmp_wire
from ..signatures import Rng
from ..timers import Timers
from . import const as rc
from .config import Forward, NatConfig
from .sums import difference, patch
from .track import Flow, Host, Mapping, Table, Way

PROBES = 64  # ports tried, of the right parity, and as many of any: when nine in ten are taken one in a million finds none

UNTRANSLATED = frozenset((33, 136))  # DCCP, UDP-Lite

FILTERS = {"endpoint": 0, "address": 1, "address+port": 2}


def swapped(ports: int) -> int:
    """The word as the other side sends it."""
    return (ports << 16 | ports >> 16) & const.M32


class Nat(Table):
    """The translator. `outsides` are the addresses that it may use, `primary` of each port is the plane's business."""

    __slots__ = (
        "by_inside", "by_outside", "filter_tcp", "filter_udp", "forwards", "maps_in", "maps_out", "occupied", "outsides", "owned",
        "rng", "verdict",
    )  # fmt: skip

    def __init__(self, timers: Timers, rng: Rng, config: NatConfig) -> None:
        super().__init__(timers, rng, config.flows, config.flows_per_host)
        self.rng = rng
        self.config_established = config.established
        self.config_transitory = config.transitory
        self.config_udp = config.udp
        self.config_udp_known = config.dns
        self.config_icmp = config.icmp
        self.config_other = config.other
        self.filter_tcp = FILTERS[config.filter_tcp]
        self.filter_udp = FILTERS[config.filter_udp]
        self.forwards: list[Forward] = list(config.forwards)
        self.maps_in = {int(m.outside): int(m.inside) for m in config.maps}
        self.maps_out = {int(m.inside): int(m.outside) for m in config.maps}
        self.outsides: dict[int, bool] = dict.fromkeys(self.maps_in, True)
        self.by_inside: dict[int, Mapping] = {}
        self.by_outside: dict[int, Mapping] = {}
        self.occupied: Callable[[int, int, int], bool] | None = None  # (proto, address, port): does this host itself use it …
        self.owned: Callable[[int, int, int, int, int], bool] | None = None  # … and with this peer: (…, address, port)?
        self.verdict = rc.DROP

    # -- mappings ---------------------------------------------------------------------------------------------------------

    @staticmethod
    def key(proto: int, address: int, port: int) -> int:
        return proto << 48 | address << 16 | port

    def rule(self, proto: int, outside: int, port: int) -> "Forward | None":
        for forward in self.forwards:
            if forward.proto == proto and forward.first <= port <= forward.last and forward.outside in (0, outside):
                return forward
        return None

    def rule_from(self, proto: int, inside: int, port: int, outside: int) -> int:
        """The outside port that a rule gives an inside endpoint; 0 where none does."""
        for forward in self.forwards:
            if forward.proto == proto and forward.to == inside and forward.outside in (0, outside):
                at = port - forward.to_first
                if 0 <= at <= forward.last - forward.first:
                    return forward.first + at
        return 0

    def is_free(self, proto: int, outside: int, port: int) -> bool:
        if self.key(proto, outside, port) in self.by_outside or self.rule(proto, outside, port) is not None:
            return False
        return self.occupied is None or not self.occupied(proto, outside, port)

    def choose(self, proto: int, outside: int, port: int) -> int:
        """An outside port for the inside `port`; -1 where none was found."""
        if self.is_free(proto, outside, port):
            return port
        self.mib.NotPreserved += 1
        if proto == const.PROTO_ICMP:
            low, span = 0, 65536
        elif port < 1024:
            low, span = 1, 1023
        else:
            low, span = 1024, 64512
        for i in range(2 * PROBES):
            pick = low + (self.rng.getrandbits(32) * span >> 32)
            if i < PROBES and (pick ^ port) & 1:
                pick ^= 1
                if not low <= pick < low + span:
                    continue
            if self.is_free(proto, outside, pick):
                return pick
        return -1

    def mapping(self, proto: int, inside: int, port: int, outside: int) -> "Mapping | None":
        """That of an inside endpoint, a new one if need be. None, and counted, where there is no port left."""
        key = self.key(proto, inside, port) << 32 | outside
        m = self.by_inside.get(key)
        if m is not None:
            return m
        chosen = self.rule_from(proto, inside, port, outside)
        fixed = chosen != 0
        if not chosen:
            chosen = self.choose(proto, outside, port)
            if chosen < 0:
                self.mib.PortsFull += 1
                return None
        m = Mapping(proto, inside, port, outside, chosen, fixed)
        self.by_inside[key] = m
        self.by_outside.setdefault(self.key(proto, outside, chosen), m)
        return m

    def hold(self, m: Mapping, peer: int) -> None:
        m.count += 1
        m.peers[peer] = m.peers.get(peer, 0) + 1

    def let_go(self, m: Mapping, peer: int) -> None:
        left = m.peers.get(peer, 1) - 1
        if left:
            m.peers[peer] = left
        else:
            m.peers.pop(peer, None)
        m.count -= 1
        if m.count <= 0:
            self.forget(m)

    def forget(self, m: Mapping) -> None:
        """Nobody uses it."""
        self.by_inside.pop(self.key(m.proto, m.inside, m.inside_port) << 32 | m.outside, None)
        key = self.key(m.proto, m.outside, m.outside_port)
        if self.by_outside.get(key) is m:
            del self.by_outside[key]

    def released(self, f: Flow, there: Way) -> None:
        if f.mapping is not None:
            self.let_go(f.mapping, there.src if f.inbound else there.to_dst)
            f.mapping = None
        if f.inner is not None:
            self.let_go(f.inner, there.to_src)
            f.inner = None

    def drop_outside(self, address: int) -> None:
        """This address is no longer ours: neither are the flows that used it."""
        if address not in self.maps_in:
            self.outsides.pop(address, None)
        for f in self.flows():
            w = f.there
            if w.to_src == address or w.dst == address:
                self.remove(f)

    def flows(self) -> list[Flow]:
        """All of them, in no order."""
        found: list[Flow] = []
        for w in self.buckets:
            while w is not None:
                if w.first:
                    found.append(w.flow)
                w = w.chain
        return found

    # -- flows begin ------------------------------------------------------------------------------------------------------

    def host(self, address: int) -> Host:
        return self.hosts.get(address) or Host(address)

    def begins(self, proto: int, flags: int) -> bool:
        """May this be the first packet of a flow? Of TCP an RST begins nothing."""
        if proto == const.PROTO_TCP and flags & const.RST:
            self.mib.Invalid += 1
            return False
        if proto in UNTRANSLATED:
            self.mib.BadProtocol += 1
            return False
        return True

    def begin_outbound(
        self, proto: int, src: int, dst: int, ports: int, flags: int, outside: int, now: int
    ) -> "Way | None":
        """From inside to the world, which shall see `outside`."""
        self.verdict = rc.DROP
        if not self.begins(proto, flags):
            return None
        host = self.host(src)
        if not self.admit(host):
            return None
        outside = self.maps_out.get(src, outside)
        m: Mapping | None = None
        to_ports = ports
        if src not in self.maps_out and proto in (const.PROTO_TCP, const.PROTO_UDP, const.PROTO_ICMP):
            m = self.mapping(proto, src, ports >> 16, outside)
            if m is None:
                return None
            to_ports = m.outside_port << 16 | ports & const.M16
        f = Flow(self)
        f.mapping = m
        there = Way(proto, src, dst, ports, outside, dst, to_ports)
        back = Way(proto, dst, outside, swapped(to_ports), dst, src, swapped(ports))
        return self.enter(f, there, back, host, dst, 0, flags, now)

    def enter(
        self, f: Flow, there: Way, back: Way, host: Host, peer: int, inner_peer: int, flags: int, now: int
    ) -> "Way | None":
        if there.proto == const.PROTO_TCP:
            f.state = rc.SYN_SENT  # of the middle of a connection too, after a restart of this router: until it is answered
        if f.mapping is not None:
            self.hold(f.mapping, peer)
        if f.inner is not None:
            self.hold(f.inner, inner_peer)
        if self.insert(f, there, back, host, now):
            return there
        if f.mapping is not None:
            self.let_go(f.mapping, peer)
        if f.inner is not None:
            self.let_go(f.inner, inner_peer)
        return None

    def target(self, proto: int, src: int, dst: int, ports: int) -> "tuple[int, int, Mapping | None] | None":
        """For whom inside is a packet from `src` to the outside endpoint? (address, port, mapping); None with `verdict`."""
        port = ports & const.M16
        inside = self.maps_in.get(dst)
        if inside is not None:
            return inside, port, None
        self.verdict = rc.UP
        forward = self.rule(proto, dst, port)
        if forward is not None:
            return forward.to, port - forward.first + forward.to_first, None
        if proto == const.PROTO_ICMP and ports >> 16:  # a question to this host itself; an answer has its number on the other side
            return None
        m = self.by_outside.get(self.key(proto, dst, port))
        if m is None or (self.owned is not None and self.owned(proto, dst, port, src, ports >> 16)):
            return None
        how = self.filter_udp if proto == const.PROTO_UDP else self.filter_tcp if proto == const.PROTO_TCP else 2
        if how == 2 or (how == 1 and src not in m.peers):
            # RFC 5382 REQ-4: no answer, since the endpoint may be about to speak to this very peer
            self.verdict = rc.DROP
            self.mib.Filtered += 1
            return None
        return m.inside, m.inside_port, m

    def begin_inbound(self, proto: int, src: int, dst: int, ports: int, flags: int, now: int) -> "Way | None":
        """From the world to an outside address."""
        found = self.target(proto, src, dst, ports)
        if found is None:
            return None
        self.verdict = rc.DROP
        if not self.begins(proto, flags):
            return None
        if proto == const.PROTO_TCP and not flags & const.SYN:
            self.mib.Invalid += 1
            return None
        inside, port, m = found
        host = self.host(inside)
        if not self.admit(host):
            return None
        f = Flow(self)
        f.inbound = True
        f.mapping = m
        to_ports = ports & ~const.M16 & const.M32 | port
        there = Way(proto, src, dst, ports, src, inside, to_ports)
        back = Way(proto, inside, src, swapped(to_ports), dst, src, swapped(ports))
        return self.enter(f, there, back, host, src, 0, flags, now)

    def begin_hairpin(
        self, proto: int, src: int, dst: int, ports: int, flags: int, outside: int, now: int
    ) -> "Way | None":
        """From inside to an outside address: back inside, if it stands for somebody there (RFC 4787 REQ-9). Both ends are
        translated, so that each sees the other's outside endpoint."""
        # an endpoint's own address may be what it is compared with: filtering looks at the outside endpoint of who asks
        mine: Mapping | None = None
        asks = self.maps_out.get(src, outside)
        found = self.target(proto, asks, dst, ports)
        if found is None:
            return None
        self.verdict = rc.DROP
        if not self.begins(proto, flags) or (proto == const.PROTO_TCP and not flags & const.SYN):
            return None
        inside, port, m = found
        host = self.host(src)
        if not self.admit(host):
            return None
        sport = ports >> 16
        if src not in self.maps_out and proto in (const.PROTO_TCP, const.PROTO_UDP, const.PROTO_ICMP):
            mine = self.mapping(proto, src, sport, asks)
            if mine is None:
                return None
            sport = mine.outside_port
        f = Flow(self)
        f.mapping = mine
        f.inner = m
        to_ports = (sport << 16 | port) & const.M32
        there = Way(proto, src, dst, ports, asks, inside, to_ports)
        back = Way(proto, inside, asks, swapped(to_ports), dst, src, swapped(ports))
        self.mib.Hairpins += 1
        return self.enter(f, there, back, host, inside, asks, flags, now)

    # -- errors about flows -----------------------------------------------------------------------------------------------

    def quoted_way(self, b: bytearray, o: int, n: int) -> "Way | None":
        """The way of the packet that an ICMP error quotes in `n` bytes at `o`, as it left here: found by its answer's."""
        try:
            src, dst, proto, _, ihl = icmp_wire.quoted(b, o, n)
        except WireError:
            return None
        ports = 0
        at = o + ihl
        if proto == const.PROTO_TCP or proto == const.PROTO_UDP:
            ports = raw.g32(b, at)
        elif proto == const.PROTO_ICMP:
            kind = raw.g8(b, at)
            if kind in (8, 13, 15, 17):
                ports = raw.g16(b, at + 4) << 16
            elif kind in (0, 14, 16, 18):
                ports = raw.g16(b, at + 4)
            else:
                return None
        w = self.find(proto, dst, src, swapped(ports))
        return None if w is None else w.reply

    def restore_quote(self, b: bytearray, o: int, n: int, r: Way) -> None:
        """Make what is quoted what its sender sent (RFC 5508 REQ-4): addresses, ports, and the sums as far as they are there."""
        ihl = (raw.g8(b, o) & 15) << 2
        at = o + ihl
        left = n - ihl
        ip_sum = difference(r.to_src, r.src) + difference(r.to_dst, r.dst)
        l4_sum = difference(r.to_ports, r.ports)
        raw.p32(b, o + 12, r.src)
        raw.p32(b, o + 16, r.dst)
        patch(b, o + 10, ip_sum)
        if r.proto == const.PROTO_ICMP:
            raw.p16(b, at + 4, r.ports >> 16 | r.ports & const.M16)  # one of the two is the number
            patch(b, at + 2, l4_sum)
        elif r.proto == const.PROTO_TCP:
            raw.p32(b, at, r.ports)
            if left >= 18:
                patch(b, at + 16, ip_sum + l4_sum)
        elif r.proto == const.PROTO_UDP:
            raw.p32(b, at, r.ports)
            if raw.g16(b, at + 6):
                patch(b, at + 6, ip_sum + l4_sum)

    def translate_error(self, b: bytearray, o: int, ihl: int, n: int) -> "Way | None":
        """An ICMP error of `n` bytes at `o`, about a packet of a flow: made one about what its sender sent, and addressed to him.
        Gives the quoted packet's way; None where there is none, and nothing is changed."""
        l4 = o + ihl
        if n - ihl < 36 or raw.csum(b, l4, n - ihl, 0) != const.M16:
            return None
        r = self.quoted_way(b, l4 + 8, n - ihl - 8)
        if r is None:
            return None
        w = r.reply
        src = raw.g32(b, o + 12)
        dst = raw.g32(b, o + 16)
        # who reports from behind a translated source must not be seen either (RFC 5508 REQ-5 (b))
        to_src = w.to_src if src == w.src or w.to_src != w.src else src
        raw.p32(b, o + 12, to_src)
        raw.p32(b, o + 16, r.src)
        patch(b, o + 10, difference(src, to_src) + difference(dst, r.src))
        self.restore_quote(b, l4 + 8, n - ihl - 8, r)
        raw.p16(b, l4 + 2, 0)  # its sum was right a moment ago, so to sum anew hides nothing
        raw.p16(b, l4 + 2, raw.csum(b, l4, n - ihl, 0) ^ const.M16)
        return r
