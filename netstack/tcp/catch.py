"""SYNs that are held: nothing is answered before somebody has said what becomes of them.

A listener answers each SYN at once, and its program hears of the connection when the handshake is done. Who stands in for others, a
router's near side, a forward, a proxy, does not know yet whether there will be a connection: he must first try to reach the far
side, and what that says, the peer shall hear. So a SYN becomes a `Request`, which is given to a *catcher*, and waits:

    accept         goes on as every passive open does, with the options of the SYN; from then on the connection has its user
    refuse         RST (RFC 9293 3.10.7.1)
    unreachable    an ICMP destination unreachable that quotes the SYN
    drop           nothing, and nothing to its repetitions either, until the time-out
    forget         nothing, and its repetition asks anew

Meanwhile the peer repeats its SYN, as its RFC 6298 tells it, and finds the request there. SYN cookies have no part in this: they
promise a connection.

**What it costs, and who pays.** A held SYN costs us a few hundred bytes, and its catcher perhaps a socket. There are `max_held` of
them. When all places are taken, the source that has most of them loses its oldest, or, where that is who asks, gets nothing: a
flood takes from its own share, and others are served. (Who can send in a hundred names has a hundred shares: keeping sources
honest is the matter of whoever is below, see `any_ip` in ipv4.)
"""

from collections.abc import Callable

from .. import const, raw
from ..cores import Frame, StreamUser
from ..errors import Unreachable
from ..timers import Timer
from . import const as tc
from .connection import Connection
from .demux import Demux, key_of
from .options import Options
from .timewait import TimeWait

HEADERS = 120  # the longest of IPv4 and of TCP

_OPTIONS = Options()

Catcher = Callable[["Request"], object]


class Request(Timer):
    """A SYN that waits. Addresses and ports are ints; `mss` is what the peer announced, 0 if it did not; `ttl`, `tos` as they came.

    live    nothing has been decided, and it has not ended otherwise
    tag     whatever its catcher wants to find there
    on_end  called without arguments when it ends and its catcher didn't say so: by time-out, by a RST, for another SYN of the same
            ports, for want of room. Set it where work depends on it.
    """

    __slots__ = (
        "began", "dst", "dst_port", "field", "held", "hl", "key", "live", "mss", "n", "on_end", "place", "quote", "seq",
        "src", "src_port", "tag", "tos", "ttl",
    )  # fmt: skip

    def __init__(self, held: "Held") -> None:
        Timer.__init__(self)
        self.held = held
        self.live = True
        self.tag: object = None
        self.on_end: Callable[[], object] | None = None
        self.place: tuple[int, int]  # among all that are held

    def read(self, f: Frame, ports: int, seq: int, field: int, hl: int) -> None:
        """The SYN, when it comes. Not a part of the constructor, whose arguments are objects in C, too."""
        self.src = f.src
        self.dst = f.dst
        self.src_port = ports >> 16
        self.dst_port = ports & const.M16
        self.key = key_of(f.src, self.src_port, self.dst_port)
        self.seq = seq
        self.field = field
        self.hl = hl
        self.n = f.end - f.off  # text that came along (TCP Fast Open): it will come again
        self.ttl = f.ttl
        self.tos = f.tos
        self.began = f.now
        self.quote = raw.take(f.buf, f.l3, f.off - f.l3)
        _OPTIONS.parse(f.buf, f.off - hl + tc.HEADER, f.off)
        self.mss = _OPTIONS.mss

    def accept(self, make_user: Callable[[Connection], StreamUser], now: int) -> "Connection | None":
        """Answer with SYN,ACK. `make_user(connection)` gives the user at once: its `connected` comes when the handshake is done,
        its `closed` when it fails. None when the request has ended meanwhile, or there is no room or no way back."""
        return self.held.accept(self, make_user, now)

    def refuse(self, now: int) -> None:
        """RST. Nothing when the request has ended."""
        if self.live:
            self.held.refuse(self, now)

    def unreachable(self, code: int, now: int) -> None:
        """Destination unreachable with this code, 0 to 15; as many of them as ICMP may send. Nothing when the request has ended."""
        if self.live:
            self.held.unreachable(self, code, now)

    def drop(self) -> None:
        """Silence, for its repetitions too."""
        self.live = False

    def forget(self) -> None:
        """As if it had never come: its repetition is a new request."""
        if self.live:
            self.held.forget(self)

    def expire(self, now: int) -> None:
        self.held.timed_out(self)

    def __repr__(self) -> str:
        return f"<Request of {self.src}:{self.src_port} for {self.dst}:{self.dst_port}, {'live' if self.live else 'over'}>"


class Held:
    """All that are held, by our address and the key of the tables; and by source, oldest first."""

    __slots__ = ("frame", "hub", "requests", "sources")

    def __init__(self, hub: Demux) -> None:
        self.hub = hub
        self.requests: dict[tuple[int, int], Request] = {}
        self.sources: dict[int, dict[Request, None]] = {}
        self.frame = Frame(HEADERS)

    def __len__(self) -> int:
        return len(self.requests)

    def syn(self, f: Frame, catcher: Catcher, ports: int, seq: int, flags: int, field: int, hl: int) -> None:
        """A SYN for `catcher`."""
        hub = self.hub
        ext = hub.ext
        if flags & const.FIN or ports >> 16 == 0:
            ext.InBadSyn += 1
            return
        place = (f.dst, key_of(f.src, ports >> 16, ports & const.M16))
        request = self.requests.get(place)
        if request is not None:
            if request.seq == seq:
                ext.SynHeldAgain += 1
                return
            self.end(request)  # its port has been used anew: who sent that has forgotten the other
        if len(self.requests) >= hub.config.max_held and not self.make_room(f.src):
            ext.SynHeldOverflows += 1
            return
        request = Request(self)
        request.read(f, ports, seq, field, hl)
        request.place = place
        self.requests[place] = request
        mine = self.sources.get(request.src)
        if mine is None:
            mine = self.sources[request.src] = {}
        mine[request] = None
        hub.timers.arm(request, f.now + hub.config.held_timeout)
        ext.SynHeld += 1
        try:
            catcher(request)
        except BaseException:  # the program's fault flies, and leaves no request behind that nobody knows
            if request.live:
                self.forget(request)
            raise

    def make_room(self, src: int) -> bool:
        """The table is full. Room for one more of `src`?"""
        mine = self.sources.get(src)
        most: dict[Request, None] | None = None
        for theirs in self.sources.values():
            if most is None or len(theirs) > len(most):
                most = theirs
        if most is None or most is mine:
            return False
        self.hub.ext.SynHeldEvicted += 1
        self.end(next(iter(most)))
        return True

    def forget(self, request: Request) -> None:
        """Its place is free."""
        request.live = False
        request.on_end = None
        self.hub.timers.cancel(request)
        if self.requests.pop(request.place, None) is not request:
            return
        mine = self.sources[request.src]
        del mine[request]
        if not mine:
            del self.sources[request.src]

    def end(self, request: Request) -> None:
        """Not by its catcher, who hears of it."""
        tell = request.on_end if request.live else None
        self.forget(request)
        if tell is not None:
            tell()

    def timed_out(self, request: Request) -> None:
        if request.live:
            self.hub.ext.SynHeldTimeouts += 1
        self.end(request)

    def reset(self, dst: int, key: int, seq: int) -> bool:
        """The peer takes its SYN back. Was there one?"""
        request = self.requests.get((dst, key))
        if request is None or (seq - request.seq & const.M32) > 1:
            return False
        self.hub.ext.SynHeldResets += 1
        self.end(request)
        return True

    def clear(self) -> None:
        """Nobody catches any more."""
        for request in list(self.requests.values()):
            self.end(request)

    # -- what a catcher may say -----------------------------------------------------------------------------------------------

    def again(self, request: Request, now: int) -> Frame:
        """The SYN, as it came: its headers."""
        f = self.frame
        n = len(request.quote)
        raw.fill(f.buf, 0, request.quote, 0, n)
        f.l3 = 0
        f.off = f.end = n
        f.src = request.src
        f.dst = request.dst
        f.ttl = request.ttl
        f.proto = const.PROTO_TCP
        f.cast = const.UNICAST
        f.now = now
        return f

    def accept(self, request: Request, make_user: Callable[[Connection], StreamUser], now: int) -> "Connection | None":
        if not request.live:
            return None
        hub = self.hub
        self.forget(request)
        entry = hub.find(request.dst, request.key)
        tw: TimeWait | None = entry if isinstance(entry, TimeWait) else None
        if (entry is not None and tw is None) or hub.count + len(hub.unread) >= hub.settings.max_connections:
            hub.ext.SynDropped += 1
            return None
        try:
            mtu = hub.mtu_for(request.src, now)
        except Unreachable:
            hub.ext.InNoRoute += 1
            return None
        if tw is None:
            iss = hub.iss(request.dst, request.dst_port, request.src, request.src_port, now)
        else:
            iss = tw.successor_iss()
            hub.ext.TWRecycled += 1
            hub.forget(tw)
        c = Connection(hub, request.dst, request.dst_port, request.src, request.src_port, mtu, iss)
        c.user = make_user(c)
        hub.insert(c)
        hub.mib.PassiveOpens += 1
        c.passive_open(self.again(request, now), request.seq, request.field, request.hl, False)
        return c

    def refuse(self, request: Request, now: int) -> None:
        """Not counted against what strangers get (resets.py): it answers what somebody has looked at, once."""
        self.forget(request)
        swapped = request.dst_port << 16 | request.src_port
        ack = (request.seq + 1 + request.n) & const.M32
        self.hub.bare(request.dst, request.src, swapped, 0, ack, const.RST | const.ACK, 0, now)

    def unreachable(self, request: Request, code: int, now: int) -> None:
        self.forget(request)
        self.hub.ip.unreachable(self.again(request, now), code)
