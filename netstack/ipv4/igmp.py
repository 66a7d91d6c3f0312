"""IGMP version 2, the host's side (RFC 2236): routers learn which groups somebody here listens to.

A membership is a timer. Joining reports at once, and again twice within ten seconds, since reports get lost. A query starts it
anew with a random delay, unless it already runs out earlier; hearing another member's report stops it, for one report is enough.
Leaving says so when the last report was ours.

Version 3 routers ask in a longer message and go by what their neighbours speak (RFC 3376 7.3.2), so version 2 answers to version 3
questions are lawful; what is lost is the choice of sources. After a question of version 1, answers are of version 1 for 400 s.
"""

from .. import const, raw
from ..cores import Frame, IpError, Out, PacketSink
from ..timers import Timer
from . import wire
from .core import Ipv4Core
from .mib import IgmpMib
from .route import ALL_SYSTEMS, Interface

ALL_ROUTERS = 0xE0000002
QUERY = 0x11
V1_REPORT = 0x12
V2_REPORT = 0x16
V2_LEAVE = 0x17
UNSOLICITED_INTERVAL = 10 * const.SECOND  # RFC 2236 8.10
ROBUSTNESS = 3  # how often a join is told: twice would be RFC 2236's default, a third time is one small packet
V1_TIMEOUT = 400 * const.SECOND  # RFC 2236 8.11


class Membership(Timer):
    """One group; `left` reports are still to be sent, and `ours` says that the last one heard was ours."""

    __slots__ = ("group", "igmp", "left", "ours")

    def __init__(self, igmp: "Igmp", group: int) -> None:
        super().__init__()
        self.igmp = igmp
        self.group = group
        self.left = ROBUSTNESS
        self.ours = False

    def expire(self, now: int) -> None:
        self.igmp.due(self, now)


class Igmp(PacketSink):
    """The memberships of a host."""

    __slots__ = ("core", "members", "mib", "out", "v1_until")

    def __init__(self, core: Ipv4Core, mib: IgmpMib) -> None:
        self.core = core
        self.mib = mib
        self.out = Out()
        self.members: dict[int, Membership] = {}
        self.v1_until = 0

    def join(self, group: int) -> None:
        """The first here has joined. Nobody says what time it is, so the timers' next turn reports."""
        if group == ALL_SYSTEMS or group in self.members:
            return
        t = Membership(self, group)
        self.members[group] = t
        self.core.timers.arm(t, 0)

    def leave(self, group: int) -> None:
        """The last here has left."""
        t: Membership | None = self.members.pop(group, None)
        if t is None:
            return
        self.core.timers.cancel(t)
        if t.ours:
            t.left = -1
            self.core.timers.arm(t, 0)

    def due(self, t: Membership, now: int) -> None:
        v1 = now < self.v1_until
        if t.left < 0:
            if not v1 and t.group not in self.members:
                self.mib.OutLeaves += 1
                self.tell(V2_LEAVE, t.group, ALL_ROUTERS, now)
            return
        self.mib.OutReports += 1
        self.tell(V1_REPORT if v1 else V2_REPORT, t.group, t.group, now)
        t.ours = True
        t.left -= 1
        if t.left > 0:
            self.core.timers.arm(t, now + self.random(UNSOLICITED_INTERVAL))
        else:
            t.left = 0

    def random(self, most: int) -> int:
        """A delay up to `most` nanoseconds, with a resolution of a thousandth."""
        return most * (1 + self.core.rng.getrandbits(10)) >> 10

    def tell(self, type: int, group: int, dst: int, now: int) -> None:
        """On every interface: where nobody wants to know, nobody listens."""
        interfaces: list[Interface] = self.core.routes.interfaces
        for interface in interfaces:
            src = int(interface.addresses[0].address) if interface.addresses else 0
            p = self.out
            p.reset()
            b = p.hdr
            o = const.HEADROOM - 8
            raw.p32(b, o, type << 24)
            raw.p32(b, o + 4, group)
            raw.p16(b, o + 2, raw.csum(b, o, 8, 0) ^ const.M16)
            # RFC 2236 2: TTL 1, and the Router Alert option of RFC 2113, which makes the header 24 bytes long
            o -= 24
            wire.put_header(b, o, 0xC0, 32, 0, 0, 1, const.PROTO_IGMP, src, dst)
            raw.p8(b, o, 0x46)
            raw.p32(b, o + 20, 0x94040000)
            raw.p16(b, o + 10, 0)
            raw.p16(b, o + 10, raw.csum(b, o, 24, 0) ^ const.M16)
            p.off = o
            p.l4 = o + 24
            p.src = src
            p.dst = dst
            p.proto = const.PROTO_IGMP
            self.core.mib.OutRequests += 1
            self.core.mib.OutMcastPkts += 1
            self.core.mib.OutOctets += 32
            interface.next_hop.send(p, dst, now)

    def input(self, f: Frame) -> None:
        m = self.mib
        b = f.buf
        o = f.off
        n = f.end - o
        m.InMsgs += 1
        if n < 8 or raw.csum(b, o, n, 0) != const.M16:
            m.InErrors += 1
            return
        kind = raw.g8(b, o)
        group = raw.g32(b, o + 4)
        if kind == 0x11:
            m.InQueries += 1
            self.query(raw.g8(b, o + 1), group, n, f.now)
        elif kind == 0x12 or kind == 0x16:
            m.InReports += 1
            t: Membership | None = self.members.get(group)
            if t is not None and f.src not in self.core.routes.local:
                self.core.timers.cancel(t)
                t.left = 0
                t.ours = False
        else:
            m.InOther += 1

    def query(self, most: int, group: int, n: int, now: int) -> None:
        """`most` is the longest delay of an answer in tenths of a second; version 1 has 0 there, and means 100."""
        if most == 0 and n == 8:
            self.v1_until = now + V1_TIMEOUT
            most = 100
        elif most >= 128 and n >= 12:
            most = (most & 15 | 16) << (most >> 4 & 7) + 3  # RFC 3376 4.1.1
        span = max(most, 1) * const.SECOND // 10
        for t in list(self.members.values()):
            if group == 0 or t.group == group:
                when = now + self.random(span)
                if not t.armed() or t.when > when:
                    t.left = max(t.left, 1)
                    self.core.timers.arm(t, when)

    def flush(self, now: int) -> None:
        pass

    def error(self, e: IpError, now: int) -> None:
        pass
