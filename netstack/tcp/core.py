"""The TCP layer: segments in, to their connection or to nobody; a flush at the end of each batch.

A segment for no connection is met by RFC 9293 3.10.7.1 and 3.10.7.2: a listener's SYN begins one, most others get a RST, at a
bounded rate (resets.py). Where somebody catches SYNs, they wait for his word (catch.py). In a flood, SYNs are answered by cookies,
and an ACK may begin a connection (cookies.py).
"""

from collections.abc import Callable

from .. import const, raw, serial
from ..cores import Frame, IpError, PacketSink, StreamUser
from ..errors import AddressInUse, Refused, Unreachable, UsageError, WireError
from ..signatures import Ip, Rng
from ..timers import Timers
from . import const as tc
from . import lines
from .catch import Held
from .config import TcpConfig
from .connection import Connection
from .cookies import read_stamp, stamp
from .demux import COOKIE, DROP, Demux, key_of
from .listener import Accept, Listener
from .lookahead import Lookahead, Waiting
from .options import Options, put_syn
from .resets import Resets
from .timewait import TimeWait
from .wire import quoted

UNREACHABLE = 3  # ICMP type; its codes that say "never", not "not now" (RFC 1122 3.2.2.1, RFC 1812 5.2.7.1):
HARD_CODES = frozenset((2, 3, 9, 10, 13))  # protocol, port; network, host and communication administratively prohibited
FRAGMENTATION_NEEDED = 4
SOURCE_QUENCH = 4  # ICMP type, to be ignored (RFC 6633)
PLATEAUS = (32000, 17914, 8166, 4352, 2002, 1492, 1006, 576)  # RFC 1191 7: for routers that don't say the next MTU


_OPTIONS = Options()  # filled and read within one call


def plateau(mtu: int) -> int:
    """The next smaller MTU that networks have; 0 below all of them."""
    for size in PLATEAUS:
        if size < mtu:
            return size
    return 0


def reason(e: IpError) -> Exception:
    """What the user is told."""
    if e.type == UNREACHABLE and e.code == 3:
        return Refused()
    if e.reporter == e.src:
        return Unreachable("nobody answers for the next hop on the way there")
    return Unreachable(f"a router on the way said so: ICMP type {e.type}, code {e.code}")


class TcpCore(PacketSink):
    __slots__ = ("ahead", "held", "hub", "resets")

    def __init__(self, ip: Ip, timers: Timers, rng: Rng, config: TcpConfig) -> None:
        self.hub = Demux(ip, timers, rng, config)
        self.resets = Resets(rng)
        self.held = Held(self.hub)
        self.ahead = Lookahead(self.hub)

    # -- in -------------------------------------------------------------------------------------------------------------------

    def input(self, f: Frame) -> None:
        hub = self.hub
        mib = hub.mib
        hub.batch = True
        mib.InSegs += 1
        b = f.buf
        o = f.off
        have = f.end - o
        if have < tc.HEADER:
            mib.InErrs += 1
            hub.ext.InTooShort += 1
            return
        ports, seq, ack, offset_flags, field = raw.get_tcp(b, o)
        hl = offset_flags >> 12 << 2
        if hl < tc.HEADER or hl > have:
            mib.InErrs += 1
            hub.ext.InBadOffset += 1
            return
        if f.csum == const.CSUM_UNKNOWN and raw.csum(b, o, have, hub.ip.pseudo_in(f)) != const.M16:
            mib.InErrs += 1
            mib.InCsumErrors += 1
            return
        if f.cast != const.UNICAST:  # MUST-57: TCP is for two
            hub.ext.InNotUnicast += 1
            return
        key = f.src
        key = key << 32 | ports
        if hub.count >= self.ahead.gate and self.put_off(f, key):
            return
        flags = offset_flags & tc.FLAGS
        f.off = o + hl
        c = hub.cached
        if c is None or key != hub.key0 or f.dst != hub.local0:
            entry = hub.find(f.dst, key)
            if not isinstance(entry, Connection):
                self.no_connection(f, entry, ports, seq, ack, flags, field, hl)
                return
            c = entry
            lines.ask_user(c, lines.USER)
            hub.cached = c
            hub.key0 = key
            hub.local0 = f.dst
        if not c.touched:
            c.touched = True
            c.after = hub.todo
            hub.todo = c
        c.input(f, seq, ack, flags, field, hl)

    def put_off(self, f: Frame, key: int) -> bool:
        """May its turn come later (lookahead.py)? Where not, it comes now, behind all that wait."""
        ahead = self.ahead
        hub = self.hub
        if not ahead.count and hub.cached is not None and key == hub.key0 and f.dst == hub.local0:
            return False  # a flow that goes on: all of it is here
        if not ahead.takes(f):
            if ahead.count:
                self.drain()
            return False
        if ahead.full():
            self.drain()  # while one of them has its turn, and its user lets this one in
        ahead.put(f, key)
        if ahead.full():
            self.drain()
        return True

    def drain(self) -> None:
        """Those that wait have their turns, in the order in which they came. Where one raises, so does this; the others have had
        theirs by then."""
        ahead = self.ahead
        ahead.look()
        try:
            while ahead.turn < ahead.count:
                self.resume(ahead.next())
        finally:
            if ahead.turn < ahead.count:
                self.drain()
            ahead.clear()

    def resume(self, w: Waiting) -> None:
        """`input`, from where the segment was put off."""
        hub = self.hub
        hub.batch = True  # a callback may have settled
        f = w.frame
        w.frame = None  # type: ignore[assignment]  # what comes in by a callback may be put in the same place
        ports, seq, ack, offset_flags, field = raw.get_tcp(f.buf, f.off)
        hl = offset_flags >> 12 << 2
        flags = offset_flags & tc.FLAGS
        f.off += hl
        key = w.key
        c = hub.cached
        if c is None or key != hub.key0 or f.dst != hub.local0:
            entry = hub.find_by(f.dst, w.hash, key)  # as it is now: those before it may have ended it, or begun it
            if not isinstance(entry, Connection):
                self.no_connection(f, entry, ports, seq, ack, flags, field, hl)
                w.give_back(f)
                return
            c = entry
            hub.cached = c
            hub.key0 = key
            hub.local0 = f.dst
        hub.touch(c)
        c.input(f, seq, ack, flags, field, hl)
        w.give_back(f)

    def no_connection(self, f: Frame, entry: object, ports: int, seq: int, ack: int, flags: int, field: int, hl: int) -> None:
        """RFC 9293 3.10.7.1 CLOSED, 3.10.7.2 LISTEN, and TIME-WAIT."""
        hub = self.hub
        ext = hub.ext
        n = f.end - f.off
        tw: TimeWait | None = None
        if isinstance(entry, TimeWait):
            tw = entry
            _OPTIONS.parse(f.buf, f.off - hl + tc.HEADER, f.off)
            verdict = tw.input(seq, flags, n, _OPTIONS.tsval, f.now)
            if verdict == 2:
                hub.linger(tw, f.now)
            if verdict != 1:
                return  # an acceptable SYN goes on: to its listener, or to be refused where there is none any more
        if flags & const.RST:
            if not (self.held.requests and self.held.reset(f.dst, key_of(f.src, ports >> 16, ports & const.M16), seq)):
                ext.InStray += 1
            return
        top = f.src >> 28
        if f.src < 1 << 32 and (top >= 14 or f.src >> 24 == 0):  # multicast, class E, broadcast, "this network" (RFC 1122 3.2.1.3)
            ext.InBadSource += 1
            return
        if f.src == f.dst and ports >> 16 == ports & const.M16:  # LAND
            ext.InBadSource += 1
            return
        listener = hub.listener_for(f.dst, ports & const.M16)
        catcher = hub.catcher if listener is None else listener.catcher
        if catcher is not None and flags & const.SYN and not flags & const.ACK:
            self.held.syn(f, catcher, ports, seq, flags, field, hl)  # type: ignore[arg-type]  # kept as an object, for C
            return
        if listener is None or flags & const.ACK:
            if listener is not None and not flags & const.SYN and hub.bakes(listener, f.now):
                self.cookie_ack(f, listener, ports, seq, ack, flags, field, hl)
            else:
                self.reset(f, ports, seq, ack, flags, n)
            return
        if not flags & const.SYN:
            ext.InStray += 1
            return
        if flags & const.FIN or ports >> 16 == 0:
            ext.InBadSyn += 1  # scanners' segments; Linux drops SYN,FIN too
            return
        try:
            mtu = self.mtu_for(f.src, f.now)
        except Unreachable:
            ext.InNoRoute += 1
            return
        fate = hub.admit(listener, tw is not None, f.now)
        if fate == COOKIE:
            self.cookie_syn(f, listener, mtu, ports, seq, hl)
            return
        if fate == DROP:
            return
        local_port = ports & const.M16
        remote_port = ports >> 16
        baked = False
        if tw is None:
            baked = hub.bakes(listener, f.now)
            if baked:  # the peer may have been sent one for a SYN before this: see cookies.py
                iss = self.cookie_iss(f, hub.line(f.dst, f.src, ports), ports, seq, hl)
            else:
                iss = hub.iss(f.dst, local_port, f.src, remote_port, f.now)
        else:  # not before now: a SYN that leads nowhere must not end the wait
            ext.TWRecycled += 1
            iss = tw.successor_iss()
            hub.forget(tw)
        c = Connection(hub, f.dst, local_port, f.src, remote_port, mtu, iss)
        hub.insert(c)
        hub.embryo(c, listener)
        hub.mib.PassiveOpens += 1
        c.passive_open(f, seq, field, hl, baked)

    # -- without state: cookies.py --------------------------------------------------------------------------------------------

    def cookie_iss(self, f: Frame, line: int, ports: int, seq: int, hl: int) -> int:
        """For the SYN in `f`, whose options are in _OPTIONS afterwards."""
        _OPTIONS.parse(f.buf, f.off - hl + tc.HEADER, f.off)
        mss = _OPTIONS.mss if _OPTIONS.mss else tc.DEFAULT_MSS
        return self.hub.cookies.iss(line >> 32, f.dst, f.src, ports, seq, mss, f.now)

    def cookie_syn(self, f: Frame, listener: Listener, mtu: int, ports: int, seq: int, hl: int) -> None:
        """Answer a SYN, and forget it."""
        hub = self.hub
        now = f.now
        line = hub.line(f.dst, f.src, ports)
        iss = self.cookie_iss(f, line, ports, seq, hl)
        wscale = -1
        sack = False
        tsval = 0
        ts = hub.config.timestamps and _OPTIONS.tsval >= 0
        if ts:
            sack = hub.config.sack and _OPTIONS.sack_permitted
            if _OPTIONS.wscale >= 0:
                wscale = hub.wscale
            tsval = stamp(serial.add(line & const.M32, now // tc.TS_TICK), _OPTIONS.wscale, sack)
        p = hub.out
        o = const.HEADROOM
        n = put_syn(p.hdr, o, mtu - tc.IP_TCP, wscale, sack, ts, tsval, _OPTIONS.tsval if ts else 0)
        hl = tc.HEADER + n
        wnd = hub.rcv_buf if hub.rcv_buf < const.M16 else const.M16
        swapped = (ports >> 16) | (ports & const.M16) << 16
        flags = const.SYN | const.ACK
        raw.put5(p.hdr, o - hl, swapped, iss, serial.add(seq, 1), (hl << 26) | (flags << 16) | wnd, 0)
        p.src = f.dst
        p.dst = f.src
        p.proto = const.PROTO_TCP
        hub.ext.SyncookiesSent += 1
        listener.cookie_at = now
        hub.ship(hl, f.dst, f.src, hub.ip.pseudo_out(p, 0), 0, 0, 0, now)

    def cookie_ack(self, f: Frame, listener: Listener, ports: int, seq: int, ack: int, flags: int, field: int, hl: int) -> None:
        """An ACK to a listener that has sent cookies. If it brings one back, here is a connection, as if its SYN had just come, and
        the segment is its first."""
        hub = self.hub
        ext = hub.ext
        iss = serial.add(ack, -1)
        irs = serial.add(seq, -1)
        line = hub.line(f.dst, f.src, ports) >> 32
        mss = hub.cookies.check(line, f.dst, f.src, ports, irs, iss, f.now)
        if mss <= 0:
            ext.SyncookiesFailed += 1
            if mss < 0:
                ext.InEarlyText += 1
            else:
                self.reset(f, ports, seq, ack, flags, f.end - f.off)
            return
        ext.SyncookiesRecv += 1
        if not hub.has_room(listener):
            return  # what is not answered comes again
        try:
            mtu = self.mtu_for(f.src, f.now)
        except Unreachable:
            ext.InNoRoute += 1
            return
        _OPTIONS.parse(f.buf, f.off - hl + tc.HEADER, f.off)
        _OPTIONS.mss = mss
        if hub.config.timestamps and _OPTIONS.tsval >= 0:
            tsecr = _OPTIONS.tsecr
            read_stamp(_OPTIONS, tsecr)
        else:
            _OPTIONS.wscale = -1
            _OPTIONS.sack_permitted = False
        c = Connection(hub, f.dst, ports & const.M16, f.src, ports >> 16, mtu, iss)
        hub.insert(c)
        hub.mib.PassiveOpens += 1
        c.cookie_open(listener, _OPTIONS, irs, f.now)
        hub.touch(c)
        c.input(f, seq, ack, flags, field, hl)

    def reset(self, f: Frame, ports: int, seq: int, ack: int, flags: int, n: int) -> None:
        """RFC 9293 3.10.7.1: a RST that the sender will find acceptable."""
        now = f.now
        if not self.resets.take(f.src, now):
            self.hub.ext.RstLimited += 1
            return
        swapped = (ports >> 16) | (ports & const.M16) << 16
        if flags & const.ACK:
            self.hub.bare(f.dst, f.src, swapped, ack, 0, const.RST, 0, now)
            return
        n += (1 if flags & const.SYN else 0) + (1 if flags & const.FIN else 0)
        self.hub.bare(f.dst, f.src, swapped, 0, (seq + n) & const.M32, const.RST | const.ACK, 0, now)

    def flush(self, now: int) -> None:
        self.settle(now)

    def gather(self) -> None:
        """As if a batch had begun: what is written waits for the `flush` that whoever calls this owes."""
        self.hub.batch = True

    def settle(self, now: int) -> None:
        """The batch is over: each connection that it touched sends and acknowledges."""
        hub = self.hub
        if self.ahead.count:
            self.drain()
        hub.batch = False
        while hub.todo is not None:
            c = hub.todo
            hub.todo = c.after
            c.after = None
            c.touched = False
            c.flush(now)

    def error(self, e: IpError, now: int) -> None:
        self.icmp(e, now)

    def icmp(self, e: IpError, now: int) -> None:
        """An ICMP error about one of our segments (RFC 5927)."""
        hub = self.hub
        if self.ahead.count:
            self.drain()  # what came before it
        try:
            local_port, remote_port, seq = quoted(e.quote)
        except WireError:
            hub.ext.LockDroppedIcmps += 1
            return
        entry = hub.find(e.src, key_of(e.dst, remote_port, local_port))
        if not isinstance(entry, Connection):
            hub.ext.LockDroppedIcmps += 1
            return
        c = entry
        if e.type == UNREACHABLE and e.code == FRAGMENTATION_NEEDED:
            e.believed = c.too_big(e.mtu or plateau(c.path_mtu), seq, now)
        elif e.type != SOURCE_QUENCH:
            # our own internet layer is no rumour from the network: when it says that nobody answers for the next hop, that is hard
            hard = e.type == UNREACHABLE and (e.code in HARD_CODES or e.reporter == e.src)
            c.icmp(hard, reason(e), seq, now)

    # -- the user's calls -----------------------------------------------------------------------------------------------------

    def mtu_for(self, remote: int, now: int) -> int:
        """The path MTU, within what our arithmetic takes."""
        return self.hub.mtu_for(remote, now)

    def open(
        self,
        local: int,
        local_port: int,
        remote: int,
        remote_port: int,
        user: StreamUser,
        now: int,
        prepare: "Callable[[Connection], object] | None" = None,
    ) -> Connection:
        """RFC 9293 3.10.1, active. `prepare(connection)` may choose what the SYN will say; what it raises, nothing was begun."""
        hub = self.hub
        if not 0 < remote_port <= const.M16:
            raise UsageError(f"{remote_port} is not a port to connect to: choose one from 1 to 65535")
        if not 0 <= local_port <= const.M16:
            raise UsageError(f"{local_port} is not a port: choose one from 1 to 65535, or 0 for any that is free")
        if remote < 1 << 32 and (remote >> 28 >= 14 or remote >> 24 == 0):
            raise UsageError("a connection has one peer: not a group, nor nobody")
        hub.room()
        local = local or hub.face.source_for(remote)
        if local_port == 0:
            local_port = hub.ephemeral(local, remote, remote_port)
        elif hub.taken(local, local_port, remote, remote_port) or hub.listener_for(local, local_port) is not None:
            raise AddressInUse(f"port {local_port} is in use")
        if local == remote and local_port == remote_port:
            raise UsageError("a connection can't be its own peer: choose another port")
        iss = hub.iss(local, local_port, remote, remote_port, now)
        c = Connection(hub, local, local_port, remote, remote_port, self.mtu_for(remote, now), iss)
        if prepare is not None:
            prepare(c)
        hub.insert(c)
        hub.mib.ActiveOpens += 1
        c.active_open(user, now)
        return c

    def bind(self, address: int, port: int, accept: Accept, backlog: int) -> Listener:
        """RFC 9293 3.10.1, passive."""
        return self.hub.listen(address, port, accept, backlog)

    def all_connections(self) -> list[Connection]:
        unread = [c for c in self.hub.unread if isinstance(c, Connection)]
        live = [entry for table in self.hub.tables.values() for entry in table if isinstance(entry, Connection)]
        return live + unread
