"""The transmission control block: the variables of one connection, by the names of RFC 9293 3.3.1.

A connection is one object, written in eight files, each a class on the one before it, each about one noun:

    Tcb            the variables, and the deadlines             tcb.py
    Transmitter    what is sent, and sent again                 transmit.py
    Recoverer      what is acknowledged, and what was lost      recover.py
    Timekeeper     what the sender's timer does                 timeouts.py
    Window         the window that is offered                   window.py
    Receiver       what arrives, and what waits                 receive.py
    Handle         the user's calls, and the ends              handle.py
    Connection     the rules of RFC 9293 3.10                connection.py

It is one object because an idle connection should cost a KiB, and because its parts share most of these variables: split by
ownership, each would hold a reference to the others. And it *is* a `Timer`, the only one it has: `t_rexmt`, `t_ack`,
`t_keep` and `t_end` are its deadlines (NEVER when there is none), `rearm` puts the earliest in the wheel. A forgotten
timer of a dead connection cannot be expressed.

Sequence numbers lie on a circle: they are compared by `serial` and by nothing else. Lengths and windows are plain numbers.

    snd_una <= snd_nxt <= snd_max       in flight up to snd_nxt; snd_max is beyond it only after a probe into a shut window
    rcv_nxt <= rcv_adv                  rcv_adv is the right edge of the window that was offered: it never moves left

`Hub` is what the connections of one `Tcp` share: the device below, one Out for all of them, the counters, the list of those
that the running batch has touched.
"""

from collections import deque
from typing import Protocol

from .. import const, raw, serial
from ..cores import Out, StreamUser
from ..errors import MessageTooLong
from ..signatures import Ip, Rng
from ..timers import Timer, Timers
from . import const as tc
from . import state
from .budget import Budget
from .config import TcpConfig
from .congestion import registry
from .congestion.base import Congestion
from .listener import Listener
from .mib import TcpExt, TcpMib
from .queues import Reassembly, SendQueue
from .recovery.episode import Episode
from .recovery.history import History
from .recovery.rack import Flight
from .rtt import Rtt
from .sack import Sacks
from .settings import Settings
from .tuning import Tuner

# state.ALLOWED, two bytes to the mask
_ALLOWED = bytearray(b"".join(mask.to_bytes(2, "big") for mask in state.ALLOWED))

SPARES = 64  # as many as a batch can end: a request and its answer should cost no allocation


class Witness(Protocol):
    """Who sees what no segment shows. Asked for where it is rare: for a segment nothing is asked."""

    def on_state(self, entry: Timer, old: int, new: int, /) -> None:
        """`entry`, a connection or what is left of it in TIME-WAIT, is about to go from `old` to `new`."""


class Hub:
    """Shared by all connections of one Tcp. `demux.Demux` is the one that exists."""

    __slots__ = (
        "batch",
        "budget",
        "config",
        "ext",
        "face",
        "flights",
        "gathers",
        "ip",
        "mib",
        "offload",
        "out",
        "queues",
        "rcv_buf",
        "rcv_most",
        "rng",
        "settings",
        "spare_flights",
        "spare_queues",
        "timers",
        "todo",
        "too_long",
        "unread",
        "witness",
        "wscale",
    )

    def __init__(self, ip: Ip, timers: Timers, rng: Rng, config: TcpConfig) -> None:
        self.face = ip
        self.ip = ip.core
        self.offload = ip.offload
        both = const.OFFLOAD_CSUM | const.OFFLOAD_GATHER
        self.gathers = self.offload & both == both  # text in pieces: its sum is the device's to compute
        self.timers = timers
        self.rng = rng
        self.config = config
        self.settings = Settings(config)
        registry.find(config.congestion)  # an unknown name is refused here, and not when a SYN has come
        self.mib = TcpMib()
        self.ext = TcpExt()
        self.out = Out()
        self.too_long = 0  # the MTU that the last segment did not fit
        # to be lent again, each holding the next: a list that is now empty and now not gives its memory back each time
        self.flights: Flight | None = None
        self.queues: SendQueue | None = None
        self.spare_flights = self.spare_queues = 0
        self.batch = False  # input since the last flush: sending waits for the flush
        self.todo: Tcb | None = None  # the connections that the batch has touched, each holding the next (`after`)
        self.unread: dict[Tcb, None] = {}  # over, but their users have paused and not read all
        self.witness: Witness | None = None  # who is told of each change of state, while somebody looks (tracing/)
        self.budget = Budget(config.memory_pressure, config.memory_max, self.ext)
        self.rcv_most = self.settings.rcv_most
        self.rcv_buf = self.settings.rcv_buf
        self.wscale = 0  # the smallest shift with which the header's 16 bits can offer the largest buffer (RFC 7323 2.3)
        while self.rcv_most >> self.wscale > const.M16:
            self.wscale += 1

    @property
    def held(self) -> int:
        """Bytes in the queues of all connections."""
        return self.budget.used

    def lend(self, una: int, now: int, min_rtt: int) -> Flight:
        """A scoreboard, for a connection that has nothing in flight and begins to send."""
        flight = self.flights
        if flight is None:
            flight = Flight()
        else:
            self.flights = flight.after
            flight.after = None
            self.spare_flights -= 1
        flight.open(una, now, min_rtt)
        return flight

    def take_back(self, flight: Flight) -> None:
        flight.clear()
        if self.spare_flights < SPARES:
            flight.after = self.flights
            self.flights = flight
            self.spare_flights += 1

    def lend_queue(self) -> SendQueue:
        """For a connection whose user begins to write. An idle one has none: that would be a sixth of what one costs."""
        queue = self.queues
        if queue is None:
            return SendQueue(self.budget)
        self.queues = queue.after
        queue.after = None
        self.spare_queues -= 1
        return queue

    def take_queue(self, queue: SendQueue) -> None:
        """An empty one, back."""
        if self.spare_queues < SPARES:
            queue.drop()
            queue.after = self.queues
            self.queues = queue
            self.spare_queues += 1

    def touch(self, c: "Tcb") -> None:
        """`flush` shall look at `c`."""
        if not c.touched:
            c.touched = True
            c.after = self.todo
            self.todo = c

    def ship(self, hl: int, src: int, dst: int, pseudo: int, n: int, gso: int, mark: int, now: int) -> bool:
        """Send a segment whose header of `hl` bytes stands at the end of `out.hdr`, its checksum field 0, and whose `n` bytes of
        text `out` refers to. `pseudo` is the sum of the pseudo-header without the length. False when it could not leave: as good as
        lost on the way; `too_long` is then the MTU that it did not fit, or 0."""
        p = self.out
        off = const.HEADROOM - hl
        p.off = off
        p.l4 = off
        p.src = src
        p.dst = dst
        p.proto = const.PROTO_TCP
        p.ttl = mark & 255
        p.tos = mark >> 8
        p.df = 1
        p.gso = gso
        if self.offload & const.OFFLOAD_CSUM:
            raw.p16(p.hdr, off + 16, raw.fold(pseudo + hl + n))
            p.csum_off = 16
        else:
            check = raw.csum(p.hdr, off, hl, pseudo + hl + n)
            if n:
                check = raw.csum_of(p.data, p.o, n, check)  # type: ignore[arg-type]  # n says that there is some
            raw.p16(p.hdr, off + 16, check ^ const.M16)
            p.csum_off = 0
        self.mib.OutSegs += (n + gso - 1) // gso if gso else 1
        try:
            self.ip.send(p, now)
        except MessageTooLong as error:
            self.ext.OutFailed += 1
            self.too_long = error.mtu or self.face.mtu_for(dst, now)
            return False
        except OSError:  # no route, no buffers, a device in trouble: a dead one says so itself, when it is polled
            self.ext.OutFailed += 1
            self.too_long = 0
            return False
        finally:
            if n:
                p.data = None
                p.n = 0
                p.rest = None
                p.rest_n = 0
        return True

    def bare(self, src: int, dst: int, ports: int, seq: int, ack: int, flags: int, wnd: int, now: int) -> None:
        """A segment without text or options, for those who have no connection. `ports` is the header's first word."""
        p = self.out
        raw.put5(p.hdr, const.HEADROOM - tc.HEADER, ports, seq, ack, (tc.HEADER << 26) | (flags << 16) | wnd, 0)
        p.src = src
        p.dst = dst
        p.proto = const.PROTO_TCP
        if flags & const.RST:
            self.mib.OutRsts += 1
        self.ship(tc.HEADER, src, dst, self.ip.pseudo_out(p, 0), 0, 0, 0, now)

    def remove(self, c: "Tcb") -> None:
        """`c` is CLOSED: forget it."""
        raise NotImplementedError

    def ts_offset(self, c: "Tcb") -> int:
        """Where the timestamps of `c` begin: known to nobody else, the same for each connection between the same four."""
        raise NotImplementedError

    def graduate(self, c: "Tcb") -> None:
        """`c` has completed its handshake: it is no longer half-open."""
        raise NotImplementedError

    def rest(self, c: "Tcb", now: int) -> None:
        """`c` enters TIME-WAIT: a small object takes its place in the tables."""
        raise NotImplementedError

    def forget(self, tw: Timer) -> None:
        """The TIME-WAIT `tw` is over."""
        raise NotImplementedError


class Tcb(Timer):
    """The variables. See the RFC for those that it names."""

    __slots__ = (
        # the outside
        "hub", "user", "listener", "local", "local_port", "remote", "remote_port", "ports", "pseudo", "state", "key",
        # send sequence space
        "iss", "snd_una", "snd_nxt", "snd_max", "snd_wnd", "snd_wl1", "snd_wl2", "max_snd_wnd", "snd_wscale", "mss", "path_mtu",
        "sendq", "fin_queued", "small_end", "high", "low", "was_high", "nodelay",
        # recovery
        "rtt", "cc", "congestion", "flight", "episode", "history", "phase", "recover", "timer", "retries", "sent_at", "una_at",
        "min_rtt", "min_rtt_at", "reordered", "reo_mult", "reo_persist", "tlp_out", "tlp_end", "tlp_ready", "acked_bytes", "rate",
        "retransmits", "syn_lost", "soft_error",
        # timestamps
        "ts_on", "ts_space", "ts_offset", "ts_recent", "ts_recent_at", "ts_seen", "tsval", "tsecr", "last_ack_sent",
        "sack_on", "sacks",
        # receive sequence space
        "irs", "rcv_nxt", "rcv_adv", "rcv_wscale", "rcv_mss", "adv_mss", "ooo", "rx", "rx_bytes", "held", "fin_at", "fin_seen",
        "paused", "eof_owed", "ack_now", "answered", "fin_waits", "unacked", "challenged_at", "vouched_at",
        # windows and buffers
        "rcv_buf", "rcv_auto", "rcv_ack", "again", "shut", "tuner",
        # the turn of the crank
        "touched", "after", "corked", "orphan", "ended", "error", "half", "heard", "t_rexmt", "t_ack", "t_keep", "t_end",
        "keep_idle", "keep_interval", "keep_count", "keep_sent", "user_timeout", "syn_retries", "mark",
    )  # fmt: skip

    def __init__(self, hub: Hub, local: int, local_port: int, remote: int, remote_port: int, path_mtu: int, iss: int) -> None:
        Timer.__init__(self)  # super() takes three times as long
        self.hub = hub
        settings = self.hub.settings
        self.user: StreamUser | None = None
        self.listener: Listener | None = None  # of a passive open
        self.local = local
        self.local_port = local_port
        self.remote = remote
        self.remote_port = remote_port
        self.ports = local_port << 16 | remote_port  # the first word of a header that we send
        self.key = 0
        p = self.hub.out
        p.src = local
        p.dst = remote
        p.proto = const.PROTO_TCP
        self.pseudo = self.hub.ip.pseudo_out(p, 0)
        self.state = tc.CLOSED

        self.iss = iss
        self.snd_una = self.iss
        self.snd_nxt = self.iss
        self.snd_max = self.iss
        self.snd_wnd = 0
        self.snd_wl1 = 0
        self.snd_wl2 = 0
        self.max_snd_wnd = 0
        self.snd_wscale = 0
        self.path_mtu = path_mtu
        self.mss = tc.DEFAULT_MSS
        self.sendq: SendQueue | None = None  # made at the first write
        self.fin_queued = False
        self.small_end = self.iss  # after the last segment that was smaller than the MSS: Nagle waits for its ACK
        self.high = settings.high  # -1: the marks tune themselves (tuning.py)
        self.low = settings.low
        self.was_high = False
        self.nodelay = settings.nodelay

        self.rtt = Rtt(settings.rto_min)
        self.cc: Congestion | None = None  # made when the handshake is done …
        self.congestion = settings.congestion  # … by this name
        self.sent_at = 0  # when new data was last sent: congestion control is told of idle times
        self.flight: Flight | None = None  # while anything is
        self.episode: Episode | None = None  # of loss, and while its end can still be undone
        self.history: History | None = None  # made at the first retransmission
        self.phase = tc.OPEN
        self.recover = self.iss  # where the present or the last episode ends (RFC 6582)
        self.timer = tc.RTO  # what t_rexmt is for
        self.retries = 0
        self.una_at = 0  # when snd_una last moved, or when sending began
        self.min_rtt = 0  # the shortest round trip in five minutes, 0 before the first …
        self.min_rtt_at = 0  # … and when it was
        self.reordered = False  # segments overtake each other on this path
        self.reo_mult = 1  # the reordering window, in quarters of min_rtt
        self.reo_persist = 0
        self.tlp_ready = True  # a round trip was timed since the last tail loss probe
        self.tlp_out = 0  # a tail loss probe is unanswered: 1 it was new data, 2 a retransmission
        self.tlp_end = self.iss
        self.acked_bytes = 0
        self.rate = 0  # bytes per second, the last known when nothing is in flight
        self.retransmits = 0
        self.syn_lost = False
        self.soft_error: Exception | None = None  # what ICMP said: the better reason when we give up (RFC 9293 3.9.2.2)

        self.ts_on = settings.timestamps  # offered, then agreed upon (RFC 7323 3.2)
        self.ts_space = 0  # bytes of options in every segment
        self.ts_offset = 0
        self.ts_recent = 0  # what we echo …
        self.ts_recent_at = 0  # … and when it came
        self.ts_seen = False  # the segment that is being looked at has timestamps: these
        self.tsval = 0
        self.tsecr = 0
        self.last_ack_sent = 0
        self.sack_on = settings.sack  # offered, then agreed upon
        self.sacks: Sacks | None = None  # made at the first segment out of order, or come twice

        self.irs = 0
        self.rcv_nxt = 0
        self.rcv_adv = 0
        self.rcv_wscale = 0
        self.rcv_mss = tc.DEFAULT_MSS  # the largest segment seen: what "every second full-sized segment" means
        self.adv_mss = path_mtu - tc.IP_TCP
        self.ooo: Reassembly | None = None  # made at the first segment out of order
        self.rx: deque[bytes | memoryview] | None = None  # what waits while paused
        self.rx_bytes = 0
        self.held = 0  # bytes that the user was given and has not consumed: they fill the window like those of rx
        self.fin_at = 0
        self.fin_seen = False  # a FIN has come, at fin_at; its turn may be later
        self.paused = False
        self.eof_owed = False
        self.ack_now = False
        self.answered = True  # new data has been sent since the last text came, or none has come
        self.fin_waits = False  # the ACK of the peer's FIN may be delayed like that of text: its user will soon end our side, too
        self.unacked = 0  # bytes received since our last ACK
        self.challenged_at = -tc.CHALLENGE_GAP
        self.vouched_at = -tc.VOUCH_GAP  # when the layer below was last told that the way works

        self.rcv_buf = settings.rcv_buf  # the size of the window when nothing waits
        self.rcv_auto = settings.rcv_auto  # it follows what the reader consumes
        self.rcv_ack = 0  # what the next segment acknowledges: RCV.NXT, or a few bytes less (window.py, "Rounding")
        self.again = False  # bytes have come again, some of which we had left unacknowledged
        self.shut = False  # the last window that we offered was zero
        self.tuner: Tuner | None = None  # made when something worth measuring has been received, or the buffer is made smaller

        self.touched = False
        self.after: Tcb | None = None
        self.corked = False  # the user is being told that it may write
        self.orphan = False  # the user has closed
        self.ended = False  # over, but for what the user has still to read
        self.error: Exception | None = None
        self.half = -1  # index in the table of half-open connections
        self.heard = 0
        self.t_rexmt = const.NEVER
        self.t_ack = const.NEVER
        self.t_keep = const.NEVER
        self.t_end = const.NEVER
        self.keep_idle = settings.keepalive
        self.keep_interval = settings.keepalive_interval
        self.keep_count = settings.keepalive_count
        self.keep_sent = 0
        self.user_timeout = settings.user_timeout
        self.syn_retries = settings.syn_retries
        self.mark = 0  # of the internet header: tos << 8 | ttl, a ttl of 0 being the default one

    def become(self, new: int) -> None:
        """Change the state, along an arrow of the diagram."""
        old = self.state
        if not raw.g16(_ALLOWED, 2 * old) >> new & 1:
            raise AssertionError(f"{state.name(old)} -> {state.name(new)} is no transition of RFC 9293 3.3.2")
        mib = self.hub.mib
        was = old == tc.ESTABLISHED or old == tc.CLOSE_WAIT
        now_is = new == tc.ESTABLISHED or new == tc.CLOSE_WAIT
        if was and not now_is:
            mib.CurrEstab -= 1
            if new == tc.CLOSED:
                mib.EstabResets += 1
        elif now_is and not was:
            mib.CurrEstab += 1
        elif new == tc.CLOSED and (old == tc.SYN_SENT or old == tc.SYN_RECEIVED):
            mib.AttemptFails += 1
        if self.hub.witness is not None:
            self.hub.witness.on_state(self, old, new)
        self.state = new

    def ts_now(self, now: int) -> int:
        """The timestamp clock."""
        return serial.add(self.ts_offset, now // tc.TS_TICK)

    def rearm(self) -> None:
        """Put the earliest deadline in the wheel."""
        when = self.t_rexmt
        if self.t_ack < when:
            when = self.t_ack
        if self.t_keep < when:
            when = self.t_keep
        if self.t_end < when:
            when = self.t_end
        if when == const.NEVER:
            if self.next is not None:
                self.hub.timers.cancel(self)
        elif self.next is None or self.when != when:
            self.hub.timers.arm(self, when)

    def vouch(self, now: int) -> None:
        """The peer has acknowledged or sent something new, so the way there works: neighbours in use need not be asked (RFC 4861
        7.3.1). Callers look at `vouched_at` first."""
        self.vouched_at = now
        self.hub.ip.progress(self.remote, now)

    def flush(self, now: int) -> None:
        """The batch is over."""
        raise NotImplementedError
