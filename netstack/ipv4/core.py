"""IPv4 on the packet path: RFC 791, as RFC 1122 wants it of a host.

Three small objects, since a class has one C base: `Ipv4Rx` takes frames from one link (each interface has its own, for its
one-entry caches), `Ipv4Core` sends, and both share its tables. What is asked for each packet is remembered: the last pair of
addresses that was found lawful, the last protocol, the last destination with its `Path`; whatever changes a table calls
`forget`.

Datagrams to ourselves never touch a link. They wait in a short queue until the next flush or the next turn of the timers, so
that a send never ends in a receive: a transport is not entered while it is sending.
"""

from collections import deque

from .. import const, gso, raw
from ..address import ip4_text
from ..buffers import Pool
from ..cores import Frame, FrameSink, IpCore, IpError, Out, PacketSink
from ..errors import MessageTooLong, Unreachable, UsageError, WireError
from ..signatures import Rng
from ..timers import CallTimer, Timer, Timers
from . import icmp_wire, wire
from .mib import IpMib
from .reassembly import Reassembly, write
from .reporter import Reporter
from .route import Interface, Path, PathMtus, Routes

SLAB = 65536  # the longest datagram
PATHS = 1024  # destinations remembered; answers to a flood of forged sources pass through here, so it must not grow
LOOP_BYTES, LOOP_DATAGRAMS = 16 << 20, 4096  # waiting for ourselves: what a few busy connections send in one turn …
LOOP_SMALL = 1500  # … and a quarter of both is for these alone, since a lost SYN costs its connection a second
FAILED = 64  # datagrams that the link gave back, waiting to be told: one burst of a batch
NOBODY = 1 << 40  # no address


class Ipv4Core(IpCore):
    """The sending half, and the tables that both halves use."""

    __slots__ = (
        "any_ip", "attached", "dst0", "failed", "fragment", "loop", "loop_bytes", "loop_rx", "loop_timer", "mib", "owing", "path0",
        "path_mtus", "paths", "pool", "reassembly", "reassembly_timer", "reporter", "rng", "routes", "rxs", "sinks", "timers",
        "ttl",
    )  # fmt: skip

    def __init__(self, timers: Timers, rng: Rng, ttl: int, any_ip: bool = False) -> None:
        self.any_ip = any_ip  # every lawful unicast destination is ours
        self.timers = timers
        self.rng = rng
        self.ttl = ttl
        self.mib = IpMib()
        self.routes = Routes()
        self.path_mtus = PathMtus()
        self.paths: dict[int, Path] = {}
        self.dst0 = NOBODY
        self.path0: Path = None  # type: ignore[assignment]  # dst0 says whether it is there
        self.sinks: dict[int, PacketSink] = {}  # by protocol …
        self.attached: list[PacketSink] = []  # … and in order
        self.reporter: Reporter = Reporter()  # the face puts the real one here
        self.rxs: list[Ipv4Rx] = []
        self.pool = Pool(SLAB)
        self.fragment = Out()
        self.reassembly = Reassembly(self.mib)
        self.reassembly_timer = CallTimer(self.expire_fragments)
        self.loop: deque[tuple[bytes, int]] = deque()
        self.loop_bytes = 0
        self.failed: deque[tuple[int, IpError]] = deque()
        self.owing = False  # something is in `loop` or `failed`
        self.loop_rx = self.receiver(True)
        self.loop_timer = LoopTimer(self)

    def receiver(self, loop: bool) -> "Ipv4Rx":
        """The receiving half of one more interface."""
        rx = Ipv4Rx(self, loop)
        self.rxs.append(rx)
        return rx

    def forget(self) -> None:
        """A table has changed: remember nothing that followed from it."""
        self.paths.clear()
        self.dst0 = NOBODY
        for rx in self.rxs:
            rx.forget()

    def attach(self, proto: int, sink: PacketSink) -> None:
        """Datagrams of this protocol go to `sink` from now on, ICMP errors about them too."""
        if proto in self.sinks:
            raise UsageError(f"protocol {proto} already has a transport on this stack")
        self.sinks[proto] = sink
        self.attached.append(sink)
        self.forget()

    # -- out --------------------------------------------------------------------------------------------------------------

    def find(self, dst: int) -> Path:
        """The way to `dst`, remembered. Raises Unreachable."""
        path: Path | None = self.paths.get(dst)
        if path is None:
            path = self.routes.path(dst)
            if path is None:
                self.mib.OutNoRoutes += 1
                raise Unreachable()
            path.ident = self.rng.getrandbits(16)
            if len(self.paths) >= PATHS:
                self.paths.clear()
            self.paths[dst] = path
        self.dst0 = dst
        self.path0 = path
        return path

    def way(self, dst: int) -> Path:
        """The same for those who only ask: what nothing was sent to isn't remembered. Raises Unreachable."""
        path: Path | None = self.paths.get(dst) or self.routes.path(dst)
        if path is None:
            raise Unreachable(f"no route to {ip4_text(dst)}")
        return path

    def is_local(self, address: int) -> bool:
        return address in self.routes.local or address >> 24 == 127

    def mtu_for(self, dst: int, now: int) -> int:
        """Of the path to `dst`, as far as it is known. Raises Unreachable."""
        path = self.way(dst)
        return self.path_mtus.get(int(dst), path.mtu, now) if self.path_mtus.entries else path.mtu

    def send(self, p: Out, now: int) -> None:
        self.mib.OutRequests += 1
        path = self.path0
        if p.dst != self.dst0:
            path = self.find(p.dst)
        if p.src == 0:
            p.src = path.src
        elif p.src >> 24 == 127 and not path.local:
            self.mib.OutNoRoutes += 1
            raise Unreachable("a loopback address can't leave the host (RFC 1122 3.2.1.3)")
        total = 20 + p.length()
        if total > path.mtu and (total > 65535 or p.gso == 0):
            self.send_long(p, path, total, now)
            return
        # a datagram that is not and will not be cut needs no identification (RFC 6864 4.1)
        if p.df:
            self.put(p, path, total, 0, const.IP_DF)
        else:
            path.ident = (path.ident + 1) & const.M16
            self.put(p, path, total, path.ident, 0)
        if path.local or path.cast:
            self.send_special(p, path, now)
        else:
            path.interface.next_hop.send(p, path.next_hop, now)  # type: ignore[union-attr]  # only local paths have none

    def put(self, p: Out, path: Path, total: int, ident: int, frag: int) -> None:
        ttl = p.ttl
        if ttl == 0:
            ttl = 1 if path.cast == const.MULTICAST else self.ttl  # RFC 1112 6.1: multicast stays here unless told otherwise
        self.mib.OutOctets += total
        p.off -= 20
        wire.put_header(p.hdr, p.off, p.tos, total, ident, frag, ttl, p.proto, p.src, p.dst)

    def send_special(self, p: Out, path: Path, now: int) -> None:
        """To ourselves, to many, to all. Those who are here as well get a copy, as on other stacks."""
        if path.local:
            self.loop_back(p, now)
            return
        if p.src >> 24 != 0 and (path.cast == const.BROADCAST or (p.dst in self.routes.groups and not p.quiet)):
            self.loop_back(p, now)
        if path.cast == const.BROADCAST:
            self.mib.OutBcastPkts += 1
        else:
            self.mib.OutMcastPkts += 1
        path.interface.next_hop.send(p, path.next_hop, now)  # type: ignore[union-attr]  # as above

    def send_long(self, p: Out, path: Path, total: int, now: int) -> None:
        """Cut what is longer than the link carries, or say that it may not be cut."""
        m = self.mib
        if p.df or total > 65535:
            m.FragFails += 1
            raise MessageTooLong(f"{total} bytes where the path carries {path.mtu}", mtu=path.mtu)
        if p.csum_off:
            gso.complete(p)
        whole = p.tobytes()
        q = self.fragment
        path.ident = (path.ident + 1) & const.M16
        ident = path.ident
        size = (path.mtu - 20) & ~7
        at = 0
        n = raw.size(whole)
        while at < n:
            q.reset()
            q.data = whole
            q.o = at
            q.n = min(size, n - at)
            q.src = p.src
            q.dst = p.dst
            q.proto = p.proto
            q.ttl = p.ttl
            q.tos = p.tos
            frag = at >> 3
            if at + q.n < n:
                frag |= const.IP_MF
            self.put(q, path, 20 + q.n, ident, frag)
            m.FragCreates += 1
            if path.cast:
                self.send_special(q, path, now)
            else:
                path.interface.next_hop.send(q, path.next_hop, now)  # type: ignore[union-attr]  # as above
            at += size
        q.data = None
        m.FragOKs += 1

    def pseudo_in(self, f: Frame) -> int:
        return raw.fold(
            (f.src >> 16) + (f.src & const.M16) + (f.dst >> 16) + (f.dst & const.M16) + f.proto + f.end - f.off
        )

    def pseudo_out(self, p: Out, length: int) -> int:
        if p.src == 0:
            path = self.path0
            if p.dst != self.dst0:
                path = self.find(p.dst)
            p.src = path.src
        return raw.fold((p.src >> 16) + (p.src & const.M16) + (p.dst >> 16) + (p.dst & const.M16) + p.proto + length)

    def unreachable(self, f: Frame, code: int) -> None:
        self.reporter.report(f, const.ICMP_UNREACHABLE, code, 0)

    def progress(self, dst: int, now: int) -> None:
        path: Path | None = self.path0
        if dst != self.dst0:
            path = self.paths.get(dst)
        if path is not None and path.interface is not None:
            path.interface.next_hop.progress(path.next_hop, now)

    def deliver_error(self, proto: int, e: IpError, now: int) -> None:
        """An ICMP error about a datagram of ours, for whoever sent it."""
        sink: PacketSink | None = self.sinks.get(proto)
        if sink is not None:
            sink.error(e, now)

    def neighbour_failed(self, next_hop: int, packet: bytes, now: int) -> None:
        """The link gives a datagram back, since nobody answers for its next hop: as if a router had said so, to its sender
        (RFC 1122 2.3.2.2 and 3.4). Told with the next turn, for the link may find out while a transport is sending."""
        self.mib.OutNoNeighbour += 1
        try:
            src, dst, proto, _, ihl = icmp_wire.quoted(bytearray(packet[:64]), 0, min(len(packet), 64))
        except WireError:  # a later fragment: its first one told
            return
        if (src in self.routes.local or self.any_ip) and len(self.failed) < FAILED:
            self.owing = True
            self.failed.append((proto, IpError(const.ICMP_UNREACHABLE, 1, src, dst, packet[ihl : ihl + 64], 0, src)))
            self.timers.arm(self.loop_timer, now)

    # -- to ourselves -----------------------------------------------------------------------------------------------------

    def loop_back(self, p: Out, now: int) -> None:
        n = p.length()
        room = 4 if n <= LOOP_SMALL else 3
        if 4 * (self.loop_bytes + n) > room * LOOP_BYTES or 4 * len(self.loop) >= room * LOOP_DATAGRAMS:
            self.mib.OutDiscards += 1
            self.mib.LoopDrops += 1
            return
        if not self.loop:
            self.timers.arm(self.loop_timer, now)
        self.owing = True
        self.loop.append((p.tobytes(), p.gso))
        self.loop_bytes += n

    def tell_ourselves(self, now: int) -> None:
        """What waits now. What it causes waits for the next turn, or a program that answers each error with another try would
        keep us here; a fault in it leaves the rest to that turn, too."""
        try:
            for _ in range(len(self.failed)):
                proto, e = self.failed.popleft()
                self.deliver_error(proto, e, now)
            self.deliver_local(now)
        finally:
            if self.loop or self.failed:
                self.timers.arm(self.loop_timer, now)
            else:
                self.owing = False
                self.timers.cancel(self.loop_timer)

    def deliver_local(self, now: int) -> None:
        for _ in range(len(self.loop)):
            data, gso = self.loop.popleft()
            n = len(data)
            self.loop_bytes -= n
            f = self.pool.get()
            raw.fill(f.buf, 0, data, 0, n)
            f.off = 0
            f.end = n
            f.now = now
            f.lsrc = 0
            f.cast = const.UNICAST
            f.csum = const.CSUM_GOOD
            f.gso = gso
            f.kept = 0
            try:
                self.loop_rx.input(f)
            finally:
                self.pool.put(f)

    def flush(self, now: int) -> None:
        """A batch of some interface is over, or there is something to tell ourselves."""
        if self.owing:
            self.tell_ourselves(now)
        for sink in self.attached:
            sink.flush(now)
        self.pool.reclaim()

    # -- fragments --------------------------------------------------------------------------------------------------------

    def collect(self, rx: "Ipv4Rx", f: Frame, ihl: int, frag: int, ident: int) -> None:
        """Keep the fragment in `f`; when it completes its datagram, go on with that."""
        idle = not self.reassembly_timer.armed()
        t = self.reassembly.add(f, ihl, frag, ident)
        if idle:
            deadline = self.reassembly.next_deadline()
            if deadline != const.NEVER:
                self.timers.arm(self.reassembly_timer, deadline)
        if t is None:
            return
        g = self.pool.get()
        write(t, g)
        g.off = len(t.header)  # type: ignore[arg-type]  # a complete datagram has its header
        g.now = f.now
        g.l3 = 0
        g.src = f.src
        g.dst = f.dst
        g.lsrc = t.lsrc
        g.proto = f.proto
        g.ttl = raw.g8(g.buf, 8)
        g.tos = raw.g8(g.buf, 1)
        g.cast = t.cast
        g.csum = const.CSUM_UNKNOWN
        g.gso = 0
        g.kept = 0
        try:
            rx.deliver(g)
        finally:
            self.pool.put(g)

    def expire_fragments(self, now: int) -> None:
        for t in self.reassembly.expire(now):
            self.reporter.timed_out(t, now)
        deadline = self.reassembly.next_deadline()
        if deadline != const.NEVER:
            self.timers.arm(self.reassembly_timer, deadline)


class Ipv4Rx(FrameSink):
    """The receiving half of one interface; with `loop`, of our own datagrams, which may carry addresses that no wire may."""

    __slots__ = ("core", "dst0", "interface", "loop", "mib", "proto0", "sink0", "src0")

    def __init__(self, core: Ipv4Core, loop: bool) -> None:
        self.core = core
        self.mib = core.mib
        self.loop = loop
        self.interface: Interface | None = None  # of its link; add_interface says which
        self.sink0: PacketSink = None  # type: ignore[assignment]  # proto0 says whether it is there
        self.forget()

    def forget(self) -> None:
        self.src0 = NOBODY
        self.dst0 = NOBODY
        self.proto0 = -1

    def input(self, f: Frame) -> None:
        m = self.mib
        b = f.buf
        o = f.off
        have = f.end - o
        m.InReceives += 1
        if have < 20:
            m.InHdrErrors += 1
            m.InTooShort += 1
            return
        vihl, tos, total, ident, frag, ttl, proto, src, dst = raw.get_ip4(b, o)
        ihl = (vihl & 15) << 2
        if vihl >> 4 != 4:
            m.InHdrErrors += 1
            m.InBadVersion += 1
            return
        if ihl < 20 or ihl > have or total < ihl:
            m.InHdrErrors += 1
            m.InBadLength += 1
            return
        if raw.csum(b, o, ihl, 0) != const.M16:
            m.InHdrErrors += 1
            m.InCsumErrors += 1
            return
        if total > have:
            m.InTruncatedPkts += 1
            return
        m.InOctets += total
        f.l3 = o
        f.src = src
        f.dst = dst
        f.proto = proto
        f.ttl = ttl
        f.tos = tos
        f.off = o + ihl
        f.end = o + total  # what a link added to reach its minimum goes
        if src != self.src0 or dst != self.dst0 or f.cast != 0:
            if not self.acceptable(f):
                return
        if ihl > 20 and not self.options_pass(f, ihl):
            return
        if frag & (const.IP_MF | const.IP_OFFSET):
            self.core.collect(self, f, ihl, frag, ident)
            return
        self.deliver(f)

    def deliver(self, f: Frame) -> None:
        m = self.mib
        if f.proto != self.proto0:
            sink: PacketSink | None = self.core.sinks.get(f.proto)
            if sink is None:
                m.InUnknownProtos += 1
                self.core.reporter.report(f, const.ICMP_UNREACHABLE, 2, 0)
                return
            self.proto0 = f.proto
            self.sink0 = sink
        m.InDelivers += 1
        self.sink0.input(f)

    def acceptable(self, f: Frame) -> bool:
        """Is it for us, from somebody who can be? Sets `f.cast`, and remembers a pair of single hosts."""
        m = self.mib
        routes = self.core.routes
        src = f.src
        dst = f.dst
        if dst == self.dst0 or dst in routes.local or (self.loop and dst >> 24 == 127):
            cast = const.UNICAST
        elif dst == const.M32 or dst in routes.broadcasts:
            cast = const.BROADCAST
            m.InBcastPkts += 1
        elif dst >> 28 == 14:
            cast = const.MULTICAST
            m.InMcastPkts += 1
            if dst not in routes.groups:
                m.InOtherGroup += 1
                return False
        elif dst >> 24 == 0 or dst >> 24 == 127 or dst >> 24 >= 240:
            m.InMartians += 1
            return False
        elif self.core.any_ip:
            cast = const.UNICAST
        else:
            m.InAddrErrors += 1
            return False
        if not self.loop and self.martian(src, dst):
            m.InMartians += 1
            return False
        if cast == const.UNICAST:
            if f.cast:
                m.InLinkCast += 1
                return False
            if self.core.any_ip and not self.loop and not routes.leads_back(src, self.interface):
                m.InReversePath += 1
                return False
            self.src0 = src
            self.dst0 = dst
        f.cast = cast
        return True

    def martian(self, src: int, dst: int) -> bool:
        """RFC 1122 3.2.1.3: a source that is no single other host. 0.0.0.0 may ask everybody for its address (DHCP), and
        speak IGMP to its link (RFC 4541 2.1.1)."""
        top = src >> 24
        if top == 0:
            return src != 0 or not (dst == const.M32 or dst >> 8 == 0xE00000)
        return top == 127 or top >= 224 or src == dst or src in self.core.routes.local or src in self.core.routes.broadcasts

    def options_pass(self, f: Frame, ihl: int) -> bool:
        """Nothing that an option asks is done here: they are only looked through for what must not pass."""
        fault = wire.option_fault(f.buf, f.l3, ihl)
        if fault == 0:
            return True
        if fault < 0:
            self.mib.InSourceRoute += 1
            return False
        self.mib.InHdrErrors += 1
        self.mib.InBadOptions += 1
        self.core.reporter.report(f, const.ICMP_PARAMETER_PROBLEM, 0, fault << 24)
        return False

    def flush(self, now: int) -> None:
        self.core.flush(now)


class LoopTimer(Timer):
    """Wakes the stack when there is something to ourselves and no batch to end."""

    __slots__ = ("core",)

    def __init__(self, core: Ipv4Core) -> None:
        super().__init__()
        self.core = core

    def expire(self, now: int) -> None:
        self.core.flush(now)
