"""Echo requests of guests, on ping sockets of the host (SOCK_DGRAM with IPPROTO_ICMP, icmp(7)), which need no right where the
administrator allows them.

The kernel puts an identifier of its own into what such a socket sends, and gives it only the answers to that: so there is one for
each identifier of a guest and whom it asks, and the sequence numbers are the guest's. Without ping sockets nothing is answered, and
counted as such: a guest that was told "unreachable" would believe it. That we are a hop on the way it hears all the same.
"""

import errno
import socket

from ...cores import Frame
from . import const as nc
from . import errqueue, quote, sysio
from .datagrams import TTL, how_of
from .mib import NatMib
from .poller import Poller, Watched
from .shares import Shares

EARLY = 4  # requests that wait for a decision
IP_RECVTTL = 12  # linux/in.h
IP_RECVTOS = 13
MOST = 16  # replies that one socket may bring in a turn
UNAVAILABLE = {errno.EACCES, errno.EPERM, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT}


class EchoChooser:
    """Who decides what becomes of one (nat.py)."""

    __slots__ = ()

    def owner(self, src: int) -> "str | int":
        """On whose account it goes."""
        raise NotImplementedError

    def begun(self, pings: "Pings", now: int) -> None:
        raise NotImplementedError

    def ended(self, pings: "Pings", now: int) -> None:
        raise NotImplementedError


class Pings(Watched):
    """One identifier of a guest and one whom it asks."""

    __slots__ = (
        "code", "dst", "early", "flow", "how", "ident", "last", "nat", "owner", "received", "sent", "sock", "src", "to",
        "verdict",
    )  # fmt: skip

    def __init__(self, nat: "EchoNat", src: int, ident: int, dst: int, now: int) -> None:
        self.nat = nat
        self.src = src
        self.owner = nat.chooser.owner(src)
        self.ident = ident
        self.dst = self.to = dst
        self.last = now
        self.flow: object = None
        self.verdict = nc.WAITS
        self.code = 0
        self.sent = 0
        self.received = 0
        self.how = -1  # how it asks now (datagrams.how_of)
        self.early: list[tuple[int, bytes, int]] = []
        self.sock: socket.socket | None = None

    def settle(self, to: int, now: int) -> None:
        """It goes on, there. Raises OSError where there are no ping sockets."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMP)
        try:
            errqueue.ask(sock)
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
            if self.nat.outbound:
                sock.bind((socket.inet_ntoa(self.nat.outbound.to_bytes(4, "big")), 0))
            sock.connect((socket.inet_ntoa(to.to_bytes(4, "big")), 0))
            self.nat.poller.watch(sock.fileno(), self)
        except BaseException:
            sock.close()
            raise
        self.sock = sock
        self.to = to
        self.verdict = nc.PASSES
        early, self.early = self.early, []
        for seq, payload, how in early:
            self.pass_on(seq, payload, how, now)

    def deny(self, code: int, now: int) -> None:
        """In silence (-1), or with this code of destination unreachable."""
        self.code = code
        self.verdict = nc.DENIED_QUIETLY if code < 0 else nc.DENIED_ALOUD
        early, self.early = self.early, []
        for seq, payload, how in early:
            self.request(seq, payload, how, now)

    def request(self, seq: int, payload: bytes, how: int, now: int) -> None:
        if how & TTL <= 1:
            self.nat.mib.TtlExceeded += 1
            self.report(seq, payload, 11, 0, self.nat.gateway, 0, now)
        elif self.verdict == nc.PASSES:
            self.pass_on(seq, payload, how, now)
        elif self.verdict == nc.WAITS:
            if len(self.early) < EARLY:
                self.early.append((seq, payload, how))
        elif self.verdict == nc.DENIED_ALOUD:
            self.report(seq, payload, 3, self.code, self.nat.gateway, 0, now)

    def pass_on(self, seq: int, payload: bytes, how: int, now: int) -> None:
        mib = self.nat.mib
        sock = self.sock
        self.last = now
        if sock is None:
            return
        try:
            if how != self.how:
                self.how = how
                fd = sock.fileno()
                sysio.hops(fd, (how & TTL) - 1)
                sysio.mark(fd, how >> 8 & TTL)
                sysio.whole(fd, how >> 16)
            sock.send(b"\x08\0\0\0\0\0" + seq.to_bytes(2, "big") + payload)
        except OSError as error:
            mib.EchoFailed += 1
            if error.errno == errno.EMSGSIZE:
                self.errors(now)
            elif error.errno == errno.ENETUNREACH:
                self.report(seq, payload, 3, 0, self.nat.gateway, 0, now)
            return
        mib.EchoOut += 1
        self.sent += len(payload)

    def report(self, seq: int, payload: bytes, type: int, code: int, name: int, rest: int, now: int) -> None:
        asked = quote.echo(self.src, self.dst, self.ident, seq, payload[:512])
        self.nat.icmp.report(asked, self.src, name, type, code, rest, now)

    def ready(self, events: int, now: int) -> None:
        if events & nc.ERROR:
            self.errors(now)
        if events & nc.READ:
            self.pull(now)

    def resume(self, now: int) -> None:
        self.pull(now)

    def pull(self, now: int) -> None:
        for _ in range(MOST):
            if self.sock is None:
                return
            try:
                data, control, _, _ = self.sock.recvmsg(65536, 128)
            except BlockingIOError:
                return
            except OSError:
                self.errors(now)
                continue
            if len(data) < 8 or data[0] != 0:
                continue
            said = {kind: value[0] for _, kind, value in control}
            ttl, tos = said.get(errqueue.IP_TTL, 0), said.get(socket.IP_TOS, 0)
            self.last = now
            self.received += len(data) - 8
            self.nat.mib.EchoIn += 1
            seq = data[6] << 8 | data[7]
            self.nat.icmp.echo_reply(self.dst, self.src, self.ident, seq, data[8:], now, max(ttl - 1, 1) if ttl else 0, tos)
        self.nat.poller.again(self)

    def errors(self, now: int) -> None:
        if self.sock is None:
            return
        for told in errqueue.read(self.sock):
            if len(told.payload) < 8 and told.offender:
                self.nat.mib.ErrorsUnmatched += 1
                continue
            self.nat.mib.ErrorsIn += 1
            seq = told.payload[6] << 8 | told.payload[7] if told.payload else 0
            offender = self.dst if told.offender == self.to else told.offender or self.nat.gateway
            self.report(seq, told.payload[8:], told.type, told.code, offender, quote.rest(told.type, told.code, told.info), now)

    def close(self) -> None:
        if self.sock is not None:
            self.nat.poller.drop(self.sock.fileno())
            self.sock.close()
            self.sock = None


class EchoNat:
    """All of them."""

    def __init__(
        self, icmp: quote.Voice, poller: Poller, chooser: EchoChooser, mib: NatMib, gateway: int, limit: int, idle: int, denied: int
    ) -> None:
        self.icmp = icmp
        self.poller = poller
        self.chooser = chooser
        self.mib = mib
        self.gateway = gateway
        self.limit = limit
        self.idle = idle
        self.denied = denied
        self.outbound = 0  # as of datagrams
        self.pings: dict[tuple[int, int, int], Pings] = {}
        self.shares: Shares[Pings] = Shares()

    def caught(self, f: Frame, ident: int, seq: int, payload: bytes) -> None:
        key = (f.src, ident, f.dst)
        pings = self.pings.get(key)
        if pings is None:
            if len(self.pings) >= self.limit:
                self.mib.EchoEvicted += 1
                self.end(self.shares.oldest_of_greediest(), f.now)
            pings = self.pings[key] = Pings(self, f.src, ident, f.dst, f.now)
            self.shares.add(pings.owner, pings)
            self.mib.EchoFlows += 1
            self.chooser.begun(pings, f.now)
        elif pings.verdict == nc.PASSES:
            self.shares.use(pings.owner, pings)
        pings.request(seq, payload, how_of(f), f.now)

    def end(self, pings: Pings, now: int) -> None:
        if self.pings.pop((pings.src, pings.ident, pings.dst), None) is pings:
            self.shares.remove(pings.owner, pings)
            pings.close()
            self.chooser.ended(pings, now)

    def sweep(self, now: int) -> None:
        for pings in list(self.pings.values()):
            if now - pings.last >= (self.idle if pings.verdict == nc.PASSES else self.denied):
                self.end(pings, now)

    def close(self, now: int) -> None:
        for pings in list(self.pings.values()):
            self.end(pings, now)
