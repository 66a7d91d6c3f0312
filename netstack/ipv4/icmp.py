"""ICMP (RFC 792, RFC 1122 3.2.2): echo both ways, errors out as far as they are allowed, errors in for whoever caused them.

Errors that arrive are hearsay: anybody can send one. Believed is what quotes a datagram from one of our addresses; the transport
then looks for the ports, and TCP for the sequence number (RFC 5927). A path MTU is learnt here, but only when the transport found
what is quoted among what it has sent: a blind guess would slow down whoever connects to that host next. The MTU is checked here
too: it must be below the length that it is said to have stopped, and not below 552, under which no honest path is and fragments
get expensive (Linux's min_pmtu; RFC 5927 7.2). The IP layer itself never cuts by what was learnt, so a lie can make a connection
slower and nothing else.

Errors that leave are limited (RFC 1812 4.3.2.8): 1,000 a second, bursts of 50, as Linux does. Each costs a random part of the
bucket, since a bucket that is counted exactly tells an observer which of our ports are closed (SAD DNS, CVE-2020-25705).
"""

from collections.abc import Callable

from .. import checksum, const, raw
from ..cores import Frame, IpError, Out, PacketSink
from ..errors import UsageError, WireError
from ..signatures import Rng
from . import icmp_wire
from .core import Ipv4Core
from .mib import IcmpMib
from .reassembly import Partial
from .reporter import Reporter

QUOTE = 576 - 28  # RFC 1812 4.3.2.3: as much as fits into the 576 bytes that everybody takes
MIN_PATH_MTU = 552
BURST = 50  # Linux's icmp_msgs_burst

EchoHandler = Callable[[int, int, bytes, int, int], None]
EchoErrorHandler = Callable[[IpError, int, int], None]
EchoCatcher = Callable[[Frame, int, int, bytes], None]


class Bucket:
    """How many errors may leave: credit grows with time, each error takes between nothing and two shares of it."""

    __slots__ = ("credit", "full", "rng", "share", "since")

    def __init__(self, rng: Rng, rate: int) -> None:
        self.rng = rng
        self.share = const.SECOND // rate
        self.full = BURST * self.share
        self.credit = self.full
        self.since = 0

    def take(self, now: int) -> bool:
        self.credit = min(self.full, self.credit + now - self.since)
        self.since = now
        if self.credit < self.share:
            return False
        self.credit -= self.share * self.rng.getrandbits(11) >> 10
        if self.credit < 0:
            self.credit = 0
        return True


class Reporter4(Reporter):
    """Sends the errors."""

    __slots__ = ("bucket", "core", "mib", "out")

    def __init__(self, core: Ipv4Core, mib: IcmpMib, rate: int) -> None:
        self.core = core
        self.mib = mib
        self.bucket = Bucket(core.rng, rate)
        self.out = Out()

    def report(self, f: Frame, type: int, code: int, rest: int) -> None:
        b = f.buf
        n = min(f.end - f.l3, QUOTE)
        if f.cast == const.UNICAST:
            self.send(raw.take(b, f.l3, n), f.src, f.dst, type, code, rest, f.now)
        else:
            self.mib.OutForbidden += 1

    def timed_out(self, t: Partial, now: int) -> None:
        if t.cast != const.UNICAST:
            self.mib.OutForbidden += 1
            return
        header = t.header
        first = t.parts[0]
        assert header is not None
        self.send((header + first)[:QUOTE], t.src, t.key[1], const.ICMP_TIME_EXCEEDED, 1, 0, now)

    def send(self, quote: bytes, src: int, dst: int, type: int, code: int, rest: int, now: int) -> None:
        """Report to `src`, who had sent what is quoted to `dst`, our address."""
        m = self.mib
        if not self.allowed(quote, src):
            m.OutForbidden += 1
            return
        if not self.bucket.take(now):
            m.OutRateLimitGlobal += 1
            return
        m.OutMsgs += 1
        p = self.out
        p.reset()
        p.off = p.l4 = const.HEADROOM - 8
        p.data = quote
        p.n = len(quote)
        p.src = dst
        p.dst = src
        p.proto = const.PROTO_ICMP
        icmp_wire.put_message(p.hdr, p.off, type, code, rest, quote, 0, p.n)
        try:
            self.core.send(p, now)
        except OSError:  # no route back, or the device is gone: an error about an error helps nobody
            m.OutErrors += 1
            return
        finally:
            p.data = None
        if type == const.ICMP_UNREACHABLE:
            m.OutDestUnreachs += 1
        elif type == const.ICMP_TIME_EXCEEDED:
            m.OutTimeExcds += 1
        else:
            m.OutParmProbs += 1

    def allowed(self, quote: bytes, src: int) -> bool:
        """RFC 1122 3.2.2: never about an error, a later fragment, or to somebody who is no single host."""
        top = src >> 24
        if top == 0 or top >= 224 or src in self.core.routes.broadcasts:
            return False
        if (quote[6] << 8 | quote[7]) & 0x1FFF:
            return False
        if quote[9] != const.PROTO_ICMP:
            return True
        ihl = (quote[0] & 15) << 2
        return len(quote) > ihl and quote[ihl] in icmp_wire.QUERIES


class Icmp(PacketSink):
    """The protocol ICMP on top of IPv4."""

    __slots__ = ("answer", "catcher", "core", "handlers", "mib", "out")

    def __init__(self, core: Ipv4Core, mib: IcmpMib, answer: bool) -> None:
        self.core = core
        self.mib = mib
        self.answer = answer
        self.out = Out()
        self.handlers: dict[int, tuple[EchoHandler, EchoErrorHandler | None]] = {}
        self.catcher: EchoCatcher | None = None

    # -- ping -------------------------------------------------------------------------------------------------------------

    def ping(
        self, dst: int, ident: int, seq: int, payload: bytes, now: int, src: int = 0, ttl: int = 0, df: bool = False
    ) -> None:
        """Send an echo request. Raises Unreachable, MessageTooLong."""
        if not (0 <= ident <= 0xFFFF and 0 <= seq <= 0xFFFF and 0 <= ttl <= 255):
            raise UsageError(f"ident {ident} and seq {seq} must fit 16 bits, ttl {ttl} must be up to 255")
        self.send_echo(const.ICMP_ECHO, src, dst, ident, seq, payload, now, ttl, 0, df)
        self.mib.OutEchos += 1

    def on_echo_reply(self, ident: int, handler: "EchoHandler | None", on_error: "EchoErrorHandler | None" = None) -> None:
        """Replies with this identifier go to `handler(src, seq, payload, ttl, now)`, errors about its requests to
        `on_error(error, seq, now)`. None takes the handler away."""
        if handler is None:
            self.handlers.pop(ident, None)
        elif ident in self.handlers:
            raise UsageError(f"somebody is already waiting for echo replies with identifier {ident}")
        else:
            self.handlers[ident] = (handler, on_error)

    # -- for others -------------------------------------------------------------------------------------------------------

    def catch_echo(self, catcher: "EchoCatcher | None") -> None:
        """Echo requests to addresses that are not our own (`Ipv4Config.any_ip`) go to `catcher(frame, ident, seq, payload)` and are
        not answered; `frame` has src, dst, ttl, tos and now, good only during the call. None: they are answered again."""
        if catcher is not None and self.catcher is not None:
            raise UsageError("somebody catches the echo requests of this stack already: he must let go first")
        self.catcher = catcher

    def echo_reply(self, src: int, dst: int, ident: int, seq: int, payload: bytes, now: int, ttl: int = 0, tos: int = 0) -> None:
        """Answer an echo request that `dst` had sent to `src`. What can't leave is counted and lost."""
        try:
            self.send_echo(const.ICMP_ECHO_REPLY, src, dst, ident, seq, payload, now, ttl, tos, False)
        except OSError:
            return
        self.mib.OutEchoReps += 1

    def report(self, quote: bytes, src: int, dst: int, type: int, code: int, rest: int, now: int) -> None:
        """Send `src` an ICMP error in the name of `dst`, about the datagram of its own that begins with `quote`: from its internet
        header on, 8 bytes behind that at the least. `rest` is the second word. Limited as our own errors are."""
        self.core.reporter.send(quote, src, dst, type, code, rest, now)

    def send_echo(
        self, kind: int, src: int, dst: int, ident: int, seq: int, payload: bytes, now: int, ttl: int, tos: int, df: bool
    ) -> None:
        """A request or a reply. Raises Unreachable, MessageTooLong, counted."""
        p = self.out
        p.reset()
        p.off = p.l4 = const.HEADROOM - 8
        p.data = payload
        p.n = raw.size(payload)
        p.src = src
        p.dst = dst
        p.proto = const.PROTO_ICMP
        p.ttl = ttl
        p.tos = tos
        p.df = df
        icmp_wire.put_message(p.hdr, p.off, kind, 0, ident << 16 | seq, payload, 0, p.n)
        self.mib.OutMsgs += 1
        try:
            self.core.send(p, now)
        except OSError:
            self.mib.OutErrors += 1
            raise
        finally:
            p.data = None

    # -- from the internet layer ------------------------------------------------------------------------------------------

    def input(self, f: Frame) -> None:
        m = self.mib
        b = f.buf
        o = f.off
        n = f.end - o
        m.InMsgs += 1
        if n < 8:
            m.InErrors += 1
            return
        if f.csum == const.CSUM_UNKNOWN and raw.csum(b, o, n, 0) != const.M16:
            m.InErrors += 1
            m.InCsumErrors += 1
            return
        kind = raw.g8(b, o)
        if kind == const.ICMP_ECHO:
            m.InEchos += 1
            self.echo(f, n)
        elif kind == const.ICMP_ECHO_REPLY:
            m.InEchoReps += 1
            self.reply(f, n)
        elif kind == const.ICMP_UNREACHABLE:
            m.InDestUnreachs += 1
            self.fault(f, n, kind)
        elif kind == const.ICMP_TIME_EXCEEDED:
            m.InTimeExcds += 1
            self.fault(f, n, kind)
        elif kind == const.ICMP_PARAMETER_PROBLEM:
            m.InParmProbs += 1
            self.fault(f, n, kind)
        else:
            self.ignore(kind)

    def ignore(self, kind: int) -> None:
        m = self.mib
        if kind == const.ICMP_SOURCE_QUENCH:
            m.InSrcQuenchs += 1
        elif kind == const.ICMP_REDIRECT:  # whoever is on the link could move our traffic to himself; routes are configured
            m.InRedirects += 1
        elif kind == 13:
            m.InTimestamps += 1
        elif kind == 14:
            m.InTimestampReps += 1
        elif kind == 17:
            m.InAddrMasks += 1
        elif kind == 18:
            m.InAddrMaskReps += 1
        else:
            m.InUnknownTypes += 1

    def echo(self, f: Frame, n: int) -> None:
        """RFC 1122 3.2.2.6. Not to broadcast or multicast: an echo for everybody is an amplifier (smurf)."""
        m = self.mib
        if f.cast != const.UNICAST or not self.answer:
            m.InEchosIgnored += 1
            return
        b = f.buf
        o = f.off
        if self.catcher is not None and f.dst not in self.core.routes.local:
            self.catcher(f, raw.g16(b, o + 4), raw.g16(b, o + 6), raw.take(b, o + 8, n - 8))
            return
        p = self.out
        p.reset()
        p.off = p.l4 = const.HEADROOM - 8
        p.data = b  # type: ignore[assignment]  # any buffer will do
        p.o = o + 8
        p.n = n - 8
        p.src = f.dst
        p.dst = f.src
        p.tos = f.tos
        p.proto = const.PROTO_ICMP
        # only the first word changes, so the sum is updated and not done again (RFC 1624)
        raw.p16(p.hdr, p.off, 0)
        raw.p16(p.hdr, p.off + 2, checksum.update(raw.g16(b, o + 2), raw.g16(b, o), 0))
        raw.p32(p.hdr, p.off + 4, raw.g32(b, o + 4))
        m.OutMsgs += 1
        try:
            self.core.send(p, f.now)
        except OSError:  # no way back to who asked: not his fault, not our user's
            m.OutErrors += 1
            return
        finally:
            p.data = None
        m.OutEchoReps += 1

    def reply(self, f: Frame, n: int) -> None:
        o = f.off
        handlers = self.handlers.get(raw.g16(f.buf, o + 4))
        if handlers is None:
            self.mib.InEchoRepsUnasked += 1
            return
        handlers[0](f.src, raw.g16(f.buf, o + 6), raw.take(f.buf, o + 8, n - 8), f.ttl, f.now)

    def is_ours(self, src: int, reporter: int) -> bool:
        """Have we sent something from `src`? What nobody else can have seen, nobody else reports: a loopback address never left
        the host, and frames with a source of ours don't come in from outside."""
        if src >> 24 != 127:
            return self.core.any_ip or src in self.core.routes.local
        return reporter >> 24 == 127 or reporter in self.core.routes.local

    def fault(self, f: Frame, n: int, kind: int) -> None:
        """An error about something that we sent: told to the transport that sent it."""
        b = f.buf
        o = f.off + 8
        core = self.core
        try:
            src, dst, proto, total, ihl = icmp_wire.quoted(b, o, n - 8)
        except WireError:
            self.mib.InErrors += 1
            self.mib.InBadQuote += 1
            return
        if not self.is_ours(src, f.src) or f.cast != const.UNICAST:
            self.mib.InBadQuote += 1
            return
        # who speaks for others has many neighbours, and one of them may lie about another: between us and him is no router
        if core.any_ip and dst != f.src and core.routes.has_neighbour(dst):
            self.mib.InForeignReports += 1
            return
        code = raw.g8(b, f.off + 1)
        mtu = 0
        if kind == const.ICMP_UNREACHABLE and code == 4:
            mtu = raw.g16(b, f.off + 6) or icmp_wire.plateau(total)
            if mtu < MIN_PATH_MTU or mtu >= total:
                self.mib.InBadMtu += 1
                return
        e = IpError(kind, code, src, dst, raw.take(b, o + ihl, n - 8 - ihl), mtu, f.src)
        core.deliver_error(proto, e, f.now)
        if mtu and e.believed:
            core.path_mtus.learn(dst, mtu, f.now)

    def flush(self, now: int) -> None:
        pass

    def error(self, e: IpError, now: int) -> None:
        """About an echo of ours."""
        quote = e.quote
        if quote[0] != const.ICMP_ECHO:
            return
        handlers = self.handlers.get(quote[4] << 8 | quote[5])
        if handlers is None:
            return
        e.believed = True
        if handlers[1] is not None:
            handlers[1](e, quote[6] << 8 | quote[7], now)
