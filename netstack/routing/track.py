"""Flows: who talks with whom, as it looks from either side, for how long, and at whose cost.

A `Flow` has two ways, one for each direction. A `Way` says how the packets of its direction look when they come, which is the key
it is found by, and how they shall look when they leave; and it knows the sums by which their checksums change. So translation of
whatever kind (source, destination, both at once for a hairpin) is two keys and four numbers, made once, and the packet path looks
up, adds and goes on.

The table is a hash of lists in one array. Strangers choose what is in it, so the hash is multilinear with secret multipliers: for
whoever doesn't know them two keys share a list no more often than by chance (Lemire and Kaser, Strongly universal string hashing
is fast, 2014).

Time: a packet writes down `last` and nothing more; the timer of a flow looks at it when it fires, and sleeps again.

What strangers and guests can fill, and who pays:

    all flows          `limit`. Room is made at the cost of the host with the most: its oldest flow that is not *assured* (nobody
                       has answered yet, or all is said), else, if the asking host has less than its share, its oldest at all.
                       So a host that floods loses its own flows, and one that doesn't gets its share whatever the others do
    of one host        `per_host`: its own oldest that is not assured goes, or it gets no more

A host's flows are in two lists, assured or not, the least recently used first. To be moved to the end for each packet would cost
more than all the rest, so that is done once a second at most: LRU by the second.
"""

from .. import const, raw
from ..signatures import Rng
from ..timers import Timer, Timers
from . import const as rc
from . import tcptrack
from .mib import ConntrackMib
from .sums import difference


class Host:
    """Somebody inside: what he has, and in which order he used it. The rings' heads are flows that are none."""

    __slots__ = ("address", "assured", "count", "loose")

    def __init__(self, address: int) -> None:
        self.address = address
        self.count = 0
        self.loose = Flow(None)
        self.assured = Flow(None)
        for head in (self.loose, self.assured):
            head.older = head.newer = head


class Mapping:
    """An inside endpoint and the outside endpoint that stands for it, whomever it talks to (RFC 4787 REQ-1)."""

    __slots__ = ("count", "fixed", "inside", "inside_port", "outside", "outside_port", "peers", "proto")

    def __init__(self, proto: int, inside: int, inside_port: int, outside: int, outside_port: int, fixed: bool) -> None:
        self.proto = proto
        self.inside = inside
        self.inside_port = inside_port
        self.outside = outside
        self.outside_port = outside_port
        self.fixed = fixed  # made by a rule: whoever comes from outside may come in
        self.count = 0  # flows that use it
        self.peers: dict[int, int] = {}  # outside address -> flows with it: for filtering by address alone


class Way:
    """One direction of a flow.

    src dst ports proto       the key: `ports` is the first word of the transport header, or what stands for it
    to_src to_dst to_ports    what shall stand there when it leaves
    ip_sum l4_sum             what the change adds to a ones'-complement sum: of the addresses, of addresses and ports
    packets octets            that came this way
    nxt acked edge scale      TCP: the end of what this side has sent; what it has acknowledged, and how far it lets the other send
    port egress epoch         of the plane: where these packets come in and go out, and when that was found out
    """

    __slots__ = (
        "acked", "chain", "dst", "edge", "egress", "epoch", "first", "flow", "ip_sum", "l4_sum", "nxt", "octets", "packets", "port",
        "ports", "proto", "reply", "scale", "spoke", "src", "to_dst", "to_ports", "to_src",
    )  # fmt: skip

    def __init__(self, proto: int, src: int, dst: int, ports: int, to_src: int, to_dst: int, to_ports: int) -> None:
        self.proto = proto
        self.src = src
        self.dst = dst
        self.ports = ports
        self.to_src = to_src
        self.to_dst = to_dst
        self.to_ports = to_ports
        self.ip_sum = raw.fold(difference(src, to_src) + difference(dst, to_dst))
        self.l4_sum = difference(ports, to_ports)
        if proto != const.PROTO_ICMP:  # which sums no addresses
            self.l4_sum += self.ip_sum
        self.l4_sum = raw.fold(self.l4_sum)
        self.packets = 0
        self.octets = 0
        self.nxt = 0
        self.acked = 0
        self.edge = 0
        self.scale = 0
        self.spoke = False  # it has acknowledged something
        self.first = False  # of the side that began
        self.epoch = -1
        self.port: object = None
        self.egress: object = None
        self.chain: Way = None  # type: ignore[assignment]  # None at the end
        self.reply: Way = None  # type: ignore[assignment]  # set by its flow
        self.flow: Flow = None  # type: ignore[assignment]  # as above


class Flow(Timer):
    """Two ways, and how long they are remembered."""

    __slots__ = (
        "began", "host", "inbound", "inner", "last", "mapping", "newer", "older", "proto", "ring", "seen", "stamp", "state",
        "table", "there", "timeout",
    )  # fmt: skip

    def __init__(self, table: "Table | None") -> None:
        super().__init__()
        self.table: Table = table  # type: ignore[assignment]  # None for the head of a ring
        self.older: Flow = None  # type: ignore[assignment]  # in a ring, or None
        self.newer: Flow = None  # type: ignore[assignment]  # as above
        self.ring = rc.IDLE
        self.there: Way = None  # type: ignore[assignment]  # of the side that began; None when the flow is over
        self.host: Host = None  # type: ignore[assignment]  # set by `insert`
        self.mapping: Mapping | None = None  # of who began, or, from outside, of whom it is for
        self.inner: Mapping | None = None  # of a hairpin: of whom it is for
        self.inbound = False
        self.proto = 0
        self.state = 0
        self.seen = False  # the other side has answered
        self.began = 0
        self.last = 0
        self.stamp = 0
        self.timeout = 0

    def expire(self, now: int) -> None:
        self.table.lapse(self, now)


class Table:
    """All flows."""

    __slots__ = (
        "buckets", "config_established", "config_icmp", "config_other", "config_transitory", "config_udp", "config_udp_known",
        "count", "heaviest", "hosts", "hot", "key0", "key1", "key2", "key3", "key4", "limit", "mask", "mib", "per_host", "timers",
    )  # fmt: skip

    def __init__(self, timers: Timers, rng: Rng, limit: int, per_host: int) -> None:
        self.timers = timers
        self.limit = limit
        self.per_host = per_host
        size = 1024
        while size < limit:
            size <<= 1
        self.mask = size - 1
        self.buckets: list[Way | None] = [None] * size
        self.key0 = rng.getrandbits(64)
        self.key1 = rng.getrandbits(64)
        self.key2 = rng.getrandbits(64)
        self.key3 = rng.getrandbits(64)
        self.key4 = rng.getrandbits(64)
        self.count = 0
        self.mib = ConntrackMib()
        self.hosts: dict[int, Host] = {}
        self.heaviest: Host | None = None
        self.hot = Way(-1, 0, 0, 0, 0, 0, 0)  # the last that was found: a run of packets is of one flow
        self.config_established = 0
        self.config_transitory = 0
        self.config_udp = 0
        self.config_udp_known = 0
        self.config_icmp = 0
        self.config_other = 0

    # -- the hash ---------------------------------------------------------------------------------------------------------

    def slot(self, proto: int, src: int, dst: int, ports: int) -> int:
        h = self.key0
        h = (h + self.key1 * src) & const.M64
        h = (h + self.key2 * dst) & const.M64
        h = (h + self.key3 * ports) & const.M64
        h = (h + self.key4 * proto) & const.M64
        return h >> 32 & self.mask

    def find(self, proto: int, src: int, dst: int, ports: int) -> "Way | None":
        w = self.hot
        if w.src == src and w.dst == dst and w.ports == ports and w.proto == proto:
            return w
        w = self.buckets[self.slot(proto, src, dst, ports)]  # type: ignore[assignment]  # None ends the list
        while w is not None:
            if w.src == src and w.dst == dst and w.ports == ports and w.proto == proto:
                self.hot = w
                return w
            w = w.chain
        return None

    def link(self, w: Way) -> None:
        i = self.slot(w.proto, w.src, w.dst, w.ports)
        w.chain = self.buckets[i]  # type: ignore[assignment]  # as above
        self.buckets[i] = w

    def unlink(self, w: Way) -> None:
        i = self.slot(w.proto, w.src, w.dst, w.ports)
        at = self.buckets[i]
        if at is w:
            self.buckets[i] = w.chain
        else:
            while at is not None and at.chain is not w:
                at = at.chain
            if at is not None:
                at.chain = w.chain
        w.chain = None  # type: ignore[assignment]  # as above

    # -- who pays ---------------------------------------------------------------------------------------------------------

    def oldest(self, host: Host, any: bool) -> "Flow | None":
        """The flow that this host would miss least; with `any` an assured one, where it has no other."""
        f = host.loose.newer
        if f is not host.loose:
            return f
        if any:
            f = host.assured.newer
            if f is not host.assured:
                return f
        return None

    def admit(self, host: Host) -> bool:
        """Room for one more flow of `host`: made where that may be. False, and counted, where not."""
        mib = self.mib
        victim: Flow | None
        if host.count >= self.per_host:
            victim = self.oldest(host, False)
            if victim is None:
                mib.HostFull += 1
                return False
            mib.EarlyDrop += 1
            self.remove(victim)
            return True
        if self.count < self.limit:
            return True
        share = self.limit // (len(self.hosts) + 1)
        payer = self.heaviest
        if payer is None or payer.count <= share:
            payer = max(self.hosts.values(), key=_weight)
            self.heaviest = payer
        if host.count > share:
            victim = self.oldest(host, False)
        else:
            victim = self.oldest(payer, True)
        if victim is None:
            mib.Drop += 1
            return False
        mib.EarlyDrop += 1
        self.remove(victim)
        return True

    def append(self, f: Flow, head: Flow) -> None:
        last = head.older
        f.older = last
        f.newer = head
        last.newer = f
        head.older = f

    def take_out(self, f: Flow) -> None:
        f.older.newer = f.newer
        f.newer.older = f.older
        f.older = None  # type: ignore[assignment]  # as above
        f.newer = None  # type: ignore[assignment]  # as above

    def place(self, f: Flow, assured: bool) -> None:
        """To the end of its host's list, or of the other one."""
        if f.ring != rc.IDLE:
            self.take_out(f)
        f.ring = rc.ASSURED if assured else rc.UNSURE
        self.append(f, f.host.assured if assured else f.host.loose)

    # -- flows come and go ------------------------------------------------------------------------------------------------

    def insert(self, f: Flow, there: Way, back: Way, host: Host, now: int) -> bool:
        """Begin a flow. False, and counted, when it looks to somebody as another one does."""
        if self.find(there.proto, there.src, there.dst, there.ports) is not None or (
            self.find(back.proto, back.src, back.dst, back.ports) is not None
        ):
            self.mib.InsertFailed += 1
            return False
        there.first = True
        there.reply = back
        back.reply = there
        there.flow = back.flow = f
        f.there = there
        f.host = host
        f.proto = there.proto
        f.began = f.last = f.stamp = now
        self.link(there)
        self.link(back)
        self.hosts[host.address] = host
        host.count += 1
        if self.heaviest is None or host.count > self.heaviest.count:
            self.heaviest = host
        self.count += 1
        self.mib.Insert += 1
        self.mib.Entries = self.count
        f.timeout = self.patience(f)
        self.place(f, False)
        self.timers.arm(f, now + f.timeout)
        return True

    def remove(self, f: Flow) -> None:
        """It is over, or never was."""
        w = f.there
        if w is None:
            return
        self.timers.cancel(f)
        self.take_out(f)
        f.ring = rc.IDLE
        back = w.reply
        self.unlink(w)
        self.unlink(back)
        self.hot = Way(-1, 0, 0, 0, 0, 0, 0)
        f.there = None  # type: ignore[assignment]  # as above
        w.reply = back.reply = None  # type: ignore[assignment]  # no circles: what is over is gone at once
        w.flow = back.flow = None  # type: ignore[assignment]  # as above
        self.count -= 1
        self.mib.Entries = self.count
        host = f.host
        host.count -= 1
        if not host.count:
            self.hosts.pop(host.address, None)
            host.loose.older = host.loose.newer = None  # type: ignore[assignment]  # as above
            host.assured.older = host.assured.newer = None  # type: ignore[assignment]  # as above
            if self.heaviest is host:
                self.heaviest = None
        self.released(f, w)

    def released(self, f: Flow, there: Way) -> None:
        """A flow is gone; for whoever keeps what it used."""

    def lapse(self, f: Flow, now: int) -> None:
        """Its timer fired."""
        due = f.last + f.timeout
        if now < due:
            self.timers.arm(f, due)
            return
        self.mib.Expired += 1
        self.remove(f)

    # -- packets ----------------------------------------------------------------------------------------------------------

    def touch(self, w: Way, n: int, now: int) -> None:
        """A packet of `n` bytes came this way."""
        f = w.flow
        w.packets += 1
        w.octets += n
        f.last = now
        if not f.seen and not w.first:
            f.seen = True
            if f.proto != const.PROTO_TCP:
                self.settle(f, now, f.proto != const.PROTO_ICMP)
        elif now - f.stamp > const.SECOND:
            f.stamp = now
            self.place(f, f.ring == rc.ASSURED)

    def settle(self, f: Flow, now: int, assured: bool) -> None:
        """Its state has changed: how long it is remembered, and how dearly."""
        f.timeout = self.patience(f)
        f.stamp = now
        self.place(f, assured)
        self.timers.arm(f, now + f.timeout)

    def patience(self, f: Flow) -> int:
        """How long a flow may be silent."""
        if f.proto == const.PROTO_TCP:
            return self.config_established if f.state in tcptrack.LASTING else self.config_transitory
        if f.proto == const.PROTO_UDP:
            known = (f.there.to_ports & const.M16) == 53
            return self.config_udp_known if known else self.config_udp
        if f.proto == const.PROTO_ICMP:
            return self.config_icmp
        return self.config_other

    def tcp(self, w: Way, b: bytearray, o: int, n: int, now: int) -> None:
        """Follow a segment of `n` bytes whose header is at `o`: at least 20 bytes of it are there."""
        _, seq, ack, offset_flags, window = raw.get_tcp(b, o)
        hl = offset_flags >> 12 << 2
        flags = offset_flags & 0xFF
        f = w.flow
        if flags & (const.SYN | const.FIN | const.RST) or f.state != rc.ESTABLISHED:
            if not self.turn(w, b, o, n, flags, seq, ack, now):
                return
        size = n - hl
        if size < 0:
            size = 0
        if flags & (const.SYN | const.FIN):
            size += 1
        end = (seq + size) & const.M32
        if w.nxt == 0 or (end - w.nxt) & const.M32 < const.M31:
            w.nxt = end
        if flags & const.ACK and (not w.spoke or (ack - w.acked) & const.M32 < const.M31):
            w.spoke = True
            w.acked = ack
            scale = 0 if flags & const.SYN else w.scale
            w.edge = (ack + (window << scale)) & const.M32

    def turn(self, w: Way, b: bytearray, o: int, n: int, flags: int, seq: int, ack: int, now: int) -> bool:
        """A segment that may change the state. False for one that is not believed."""
        f = w.flow
        if flags & (const.RST | const.FIN) and not self.plausible(w, flags, seq, ack):
            self.mib.ResetsDoubted += 1
            return False
        what = tcptrack.said(flags)
        state = tcptrack.after(f.state, what if w.first else what + tcptrack.OTHER)
        if flags & const.SYN:
            if state != f.state or w.nxt == 0:  # numbers begin anew
                w.nxt = 0
                w.spoke = False
            hl = raw.g8(b, o + 12) >> 4 << 2
            if 20 < hl <= n:
                w.scale = tcptrack.window_scale(raw.take(b, o + 20, hl - 20))
            else:
                w.scale = 0
        if state != f.state:
            f.state = state
            self.settle(f, now, state in tcptrack.LASTING)
        return True

    def plausible(self, w: Way, flags: int, seq: int, ack: int) -> bool:
        """Would the other side take this for the sender's? It takes what is in its window (RFC 5961 3.2); before it has
        acknowledged anything, what acknowledges its SYN (RFC 9293 3.10.7.3)."""
        r = w.reply
        if w.nxt and seq == w.nxt:
            return True
        if r.spoke:
            return (seq - r.acked) & const.M32 <= (r.edge - r.acked) & const.M32
        if flags & const.ACK and r.nxt:
            return ack == r.nxt
        return w.first  # it takes back its own SYN


def _weight(host: Host) -> int:
    return host.count
