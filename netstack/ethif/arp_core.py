"""ARP at work: packets that look for their neighbour, questions and answers (RFC 826), our own addresses (RFC 5227).

`arp_cache` knows what a neighbour's state allows, `arp_claim` what an address of our own must do; here both are joined to the
link and to the wheel of deadlines. The path of nearly every packet is the first four lines of `ArpCore.send`: the neighbour of
the packet before, still reachable.

A packet that must wait is parked as it is, headers and payload apart, with what it asks of the device: a super-segment that the
device shall cut stays one. When its neighbour can't be found, it is handed back as bytes through `on_unreachable`.
"""

from collections.abc import Callable
from functools import partial

from .. import const, raw
from ..address import ip4_text
from ..cores import Frame, FrameSink, LinkCore, NextHopCore, Out
from ..errors import UsageError, WireError
from ..signatures import Rng
from ..timers import CallTimer, Timers
from . import arp_wire
from .arp_cache import Cache, Expiry, Neighbour
from .arp_claim import MAX_CONFLICTS, RATE_LIMIT_INTERVAL, Claim, ClaimAction
from .mib import ArpMib

NOBODY = 1 << 32  # an address that no packet goes to


def is_host(ip: int) -> bool:
    """Can a host have this address? Not in 0/8 and 127/8, no group, not reserved, not the broadcast address (RFC 1122 3.2.1.3)."""
    return 0 < ip >> 24 < 224 and ip >> 24 != 127


class ArpExpiry(Expiry):
    """Deadlines of neighbours."""

    __slots__ = ("arp",)

    def __init__(self, arp: "ArpCore") -> None:
        self.arp = arp

    def expired(self, n: Neighbour, now: int) -> None:
        self.arp.expired(n, now)


class ArpRx(FrameSink):
    """ARP packets from the link."""

    __slots__ = ("arp",)

    def __init__(self, arp: "ArpCore") -> None:
        self.arp = arp

    def input(self, f: Frame) -> None:
        self.arp.receive(f)

    def flush(self, now: int) -> None:
        """All is answered at once."""


class ArpCore(NextHopCore):
    """The neighbours on one link, and our addresses there."""

    __slots__ = (
        "_mib", "attempted", "below", "cache", "claims", "deadlines", "hot", "keep", "on_conflict", "on_lost", "on_ready",
        "on_unreachable", "out", "own", "relay", "rng", "rx", "timers",
    )  # fmt: skip

    def __init__(self, link: LinkCore, own: int, timers: Timers, rng: Rng, reachable: int, keep: bool, now: int) -> None:
        self.below = link
        self.own = own
        self.timers = timers
        self.rng = rng
        self.keep = keep
        self._mib = ArpMib()
        self.cache = Cache(timers, reachable, self._mib, ArpExpiry(self))
        self.claims: dict[int, Claim] = {}
        self.deadlines: dict[int, CallTimer] = {}
        self.attempted = now - RATE_LIMIT_INTERVAL  # when an address was last probed for
        self.hot = Neighbour(NOBODY, None)
        self.out = Out()
        self.relay = Out()
        self.rx = ArpRx(self)
        self.on_unreachable: Callable[[int, bytes, int], object] | None = None
        self.on_conflict: Callable[[int, int, int], object] | None = None
        self.on_lost: Callable[[int, int, int], object] | None = None
        self.on_ready: Callable[[int, int], object] | None = None

    # -- packets on their way out ---------------------------------------------------------------------------------------------

    def send(self, p: Out, next_hop: int, now: int) -> None:
        n = self.hot
        if next_hop == n.ip and now < n.until:
            n.touched = True
            self.below.send(p, const.ETH_IPV4, n.mac, now)
            return
        if next_hop >> 28 >= 14:
            self.send_group(p, next_hop, now)
            return
        n = self.cache.entry(next_hop)
        if now < n.until:
            self.hot = n
            n.touched = True
            self.below.send(p, const.ETH_IPV4, n.mac, now)
        else:
            self.resolve(p, n, now)

    def send_group(self, p: Out, next_hop: int, now: int) -> None:
        if next_hop == const.M32:
            self.below.send(p, const.ETH_IPV4, const.MAC_BROADCAST, now)
        elif next_hop >> 28 == 14:
            self.below.send(p, const.ETH_IPV4, const.MAC_IP4_GROUPS | next_hop & 0x7FFFFF, now)
        else:
            self._mib.OutBadNextHop += 1

    def resolve(self, p: Out, n: Neighbour, now: int) -> None:
        """The packet's neighbour is not known to be reachable."""
        if not is_host(n.ip) or n.ip in self.claims:  # what is for ourselves, the internet layer keeps
            self._mib.OutBadNextHop += 1
            return
        if p.src != n.asker and self.is_usable(p.src):
            n.asker = p.src
        action = self.cache.used(n, now)
        if action == const.ARP_SEND:
            self.below.send(p, const.ETH_IPV4, n.mac, now)
        elif action == const.ARP_REFUSE:
            self._mib.ResRefused += 1
            if self.on_unreachable is not None:
                self.on_unreachable(n.ip, p.tobytes(), now)
        else:
            self.park(p, n)
            if action == const.ARP_ASK:
                self.ask(n, const.MAC_BROADCAST, now)

    def park(self, p: Out, n: Neighbour) -> None:
        head = raw.take(p.hdr, p.off, const.HEADROOM - p.off)
        data = p.payload()
        self._mib.UnresolvedDiscards += n.park((p.off, head, data, p.l4, p.csum_off, p.gso), p.length())

    def release(self, n: Neighbour, now: int) -> None:
        """The neighbour is found: send what waited for it."""
        p = self.relay
        for off, head, data, l4, csum_off, gso in n.take():
            p.reset()
            p.off = off
            raw.pbytes(p.hdr, off, head)
            p.data = data
            p.n = len(data)
            p.l4 = l4
            p.csum_off = csum_off
            p.gso = gso
            self.below.send(p, const.ETH_IPV4, n.mac, now)
        p.data = None

    def progress(self, next_hop: int, now: int) -> None:
        n = self.hot
        if n.ip != next_hop:
            known = self.cache.find(next_hop)
            if known is None:
                return
            n = known
        self.cache.confirm(n, now)

    def confirm(self, next_hop: int, now: int) -> None:
        """A transport got an acknowledgement through `next_hop`: it is reachable, and need not be asked."""
        self.progress(next_hop, now)

    # -- questions about neighbours -------------------------------------------------------------------------------------------

    def expired(self, n: Neighbour, now: int) -> None:
        action = self.cache.timeout(n, now)
        if action == const.ARP_ASK:
            self.ask(n, const.MAC_BROADCAST, now)
        elif action == const.ARP_VERIFY:
            self.ask(n, n.mac, now)
        elif action == const.ARP_FAIL:
            self._mib.ResFailed += 1
            for _, head, data, _, _, _ in n.take():
                self._mib.UnresolvedDiscards += 1
                if self.on_unreachable is not None:
                    self.on_unreachable(n.ip, head + data, now)

    def ask(self, n: Neighbour, to: int, now: int) -> None:
        """Who has `n.ip`? Asked in the name of the address that the packet leaves with, so that the answer finds its way and the
        neighbour learns nothing that it need not know."""
        if not self.is_usable(n.asker):
            n.asker = next((ip for ip, claim in self.claims.items() if claim.usable), 0)
            if not n.asker:  # a request without a sender would be a probe (RFC 5227 1.1): others would take it for a claim
                self._mib.OutNoSource += 1
                return
        self._mib.OutRequests += 1
        self.emit(to, arp_wire.ArpPacket(arp_wire.REQUEST, self.own, n.asker, 0, n.ip), now)

    def emit(self, to: int, packet: arp_wire.ArpPacket, now: int) -> None:
        p = self.out
        p.reset()
        p.off = const.HEADROOM - arp_wire.SIZE
        raw.pbytes(p.hdr, p.off, arp_wire.build(packet))
        self.below.send(p, const.ETH_ARP, to, now)

    def pin(self, ip: int, mac: int, now: int) -> None:
        if ip in self.claims:
            raise UsageError(f"{ip4_text(ip)} is one of our own addresses: it can't be a neighbour's")
        n = self.cache.entry(ip)
        if self.cache.pin(n, mac, now) == const.ARP_RELEASE:
            self.release(n, now)

    def unpin(self, ip: int) -> None:
        n = self.cache.find(ip)
        if n is None or n.state != const.NUD_PERMANENT:
            raise UsageError(f"{ip4_text(ip)} has no static entry")
        self.cache.forget(n)

    def learn(self, ip: int, mac: int, now: int) -> None:
        if ip in self.claims:
            raise UsageError(f"{ip4_text(ip)} is one of our own addresses: it can't be a neighbour's")
        n = self.cache.entry(ip)
        if self.cache.heard(n, mac, now) == const.ARP_RELEASE:
            self.release(n, now)

    # -- ARP packets ----------------------------------------------------------------------------------------------------------

    def receive(self, f: Frame) -> None:
        mib = self._mib
        if f.end - f.off < arp_wire.SIZE:
            mib.InTooShort += 1
            return
        try:
            a = arp_wire.parse(raw.take(f.buf, f.off, arp_wire.SIZE))
        except WireError:
            mib.InBadFormat += 1
            return
        if a.sha != f.lsrc or a.sha == 0:  # the link has refused groups as sources
            mib.InBadSource += 1
            return
        if not is_host(a.spa) and not a.is_probe:
            mib.InBadAddress += 1
            return
        if a.op == arp_wire.REQUEST:
            mib.InRequests += 1
        else:
            mib.InReplies += 1
        if a.spa in self.claims:  # RFC 5227 2.1.1 and 2.4; our own frames don't come this far
            self.conflict(self.claims[a.spa], a.sha, f.now)
        elif a.is_probe:
            self.probed(a, f.now)
        else:
            self.spoken(a, f.now)

    def probed(self, a: arp_wire.ArpPacket, now: int) -> None:
        """Somebody would like to have an address. There is no sender to learn from."""
        claim = self.claims.get(a.tpa)
        if claim is None:
            return
        if claim.tentative:
            self.conflict(claim, a.sha, now)
        else:
            self.answer(a, now)

    def spoken(self, a: arp_wire.ArpPacket, now: int) -> None:
        """RFC 826's reception: merge what the sender says of itself, then answer if the question is for us."""
        ours = self.is_usable(a.tpa)
        n = self.cache.find(a.spa)
        if n is None and ours and a.op == arp_wire.REQUEST:
            n = self.cache.entry(a.spa)
        if n is not None:
            if a.op == arp_wire.REPLY and ours:
                action = self.cache.answered(n, a.sha, now)
            else:
                action = self.cache.heard(n, a.sha, now)
            if action == const.ARP_RELEASE:
                self._mib.Resolved += 1
                self.release(n, now)
            elif action == const.ARP_LOCKED:
                self._mib.InLocked += 1
        elif a.op == arp_wire.REPLY:
            self._mib.InUnasked += 1
        if ours and a.op == arp_wire.REQUEST:
            self.answer(a, now)

    def answer(self, a: arp_wire.ArpPacket, now: int) -> None:
        self._mib.OutReplies += 1
        self.emit(a.sha, arp_wire.ArpPacket(arp_wire.REPLY, self.own, a.tpa, a.sha, a.spa), now)

    # -- our own addresses ----------------------------------------------------------------------------------------------------

    def is_usable(self, ip: int) -> bool:
        """Is this address ours, and out of doubt?"""
        claim = self.claims.get(ip)
        return claim is not None and claim.usable

    def is_tentative(self, ip: int) -> bool:
        """Is this address still being probed for?"""
        claim = self.claims.get(ip)
        return claim is not None and claim.tentative

    def claim(self, ip: int, now: int, probe: bool) -> None:
        if not is_host(ip):
            raise UsageError(f"{ip4_text(ip)} can't be a host's address: take one below 224.0.0.0, outside 0/8 and 127/8")
        if ip in self.claims:
            raise UsageError(f"{ip4_text(ip)} is one of our addresses already")
        n = self.cache.find(ip)
        if n is not None:  # nobody else may have it now
            self.cache.forget(n)
        claim = Claim(ip, self.rng, self.keep)
        self.claims[ip] = claim
        self.deadlines[ip] = CallTimer(partial(self.claim_due, claim))
        if probe:
            start = now
            if self._mib.Conflicts >= MAX_CONFLICTS:  # RFC 5227 2.1.1
                start = max(now, self.attempted + RATE_LIMIT_INTERVAL)
            self.attempted = start
            claim.probe(start)
        else:
            claim.announce(now)
            self.announce(ip, now)
        self.schedule(claim)

    def disclaim(self, ip: int) -> None:
        if ip not in self.claims:
            raise UsageError(f"{ip4_text(ip)} is not one of our addresses")
        del self.claims[ip]
        self.timers.cancel(self.deadlines.pop(ip))

    def schedule(self, claim: Claim) -> None:
        timer = self.deadlines[claim.ip]
        if claim.deadline == const.NEVER:
            self.timers.cancel(timer)
        else:
            self.timers.arm(timer, claim.deadline)

    def claim_due(self, claim: Claim, now: int) -> None:
        action = claim.timeout(now)
        self.schedule(claim)
        if action is ClaimAction.PROBE:
            self._mib.OutProbes += 1
            self.emit(const.MAC_BROADCAST, arp_wire.ArpPacket(arp_wire.REQUEST, self.own, 0, 0, claim.ip), now)
        elif action is ClaimAction.READY:
            self.announce(claim.ip, now)
            if self.on_ready is not None:
                self.on_ready(claim.ip, now)
        elif action is ClaimAction.ANNOUNCE:
            self.announce(claim.ip, now)

    def announce(self, ip: int, now: int) -> None:
        self._mib.OutAnnouncements += 1
        self.emit(const.MAC_BROADCAST, arp_wire.ArpPacket(arp_wire.REQUEST, self.own, ip, 0, ip), now)

    def conflict(self, claim: Claim, mac: int, now: int) -> None:
        self._mib.Conflicts += 1
        action = claim.conflict(now)
        if action is ClaimAction.NOTHING:  # within DEFEND_INTERVAL: a flood of conflicts calls nobody
            return
        if action is ClaimAction.DEFEND:
            self._mib.Defences += 1
            self.announce(claim.ip, now)
        else:
            self._mib.AddressesLost += 1
            self.disclaim(claim.ip)
        if self.on_conflict is not None:
            self.on_conflict(claim.ip, mac, now)
        if action is ClaimAction.LOSE and self.on_lost is not None:
            self.on_lost(claim.ip, mac, now)
