"""Datagrams of guests, on sockets of the host.

A *mapping* (RFC 4787 4.1) is a port of a guest that has sent something, and a socket of the host: the same for all whom it sends
to, so that what a peer learns of its address is true for others too (REQ-1, endpoint-independent). A *session* is a mapping and one
peer: what the gate decides about, what has a time-out, and what lets answers in (`NatConfig.filtering`).

    guest 10.0.2.100:4000 -- Mapping: socket, port 51234 of the host
                                 |-- Session to 192.0.2.1:53        idle after 30 s
                                 |-- Session to 203.0.113.9:3478    idle after 5 min

Units of several datagrams, as devices and kernels make of them, stay together: UDP_SEGMENT and UDP_GRO of Linux on the host's
side, USO on the guest's. The TTL of what a guest sends is its socket's for that packet, less one; so its traceroute works, for what
routers say comes back through the error queue (errqueue.py) and is told to the guest in their name. DSCP, ECN and "don't fragment"
go on as well, the first two also come back: what is too long for the host's path is told as a router tells it.
"""

import errno
import os

from ... import const, raw
from ...cores import DatagramCatcher, Frame, IpError
from ...udp.core import UdpCore
from . import const as nc
from . import errqueue, quote, sysio
from .mib import NatMib
from .poller import Poller, Watched
from .shares import Shares

FILTER_ADDRESS = 1  # NatConfig.filtering; 0 lets everybody in
FILTER_PORT = 2
TTL = 0xFF  # in `how_of`
DENIED = 10 * const.SECOND  # for so long a denial is remembered: the gate is not asked for each datagram


def how_of(f: Frame) -> int:
    """How a datagram was sent, in one number, for the next one is mostly sent so too: TTL, TOS, and whether it may be cut."""
    return f.ttl | f.tos << 8 | (raw.g8(f.buf, f.l3 + 6) >> 6 & 1) << 16


class Chooser:
    """Who decides what becomes of a session (nat.py)."""

    __slots__ = ()

    def owner(self, src: int) -> "str | int":
        """On whose account its sessions go."""
        raise NotImplementedError

    def begun(self, session: "Session", now: int) -> None:
        """Decide, now or later: `session.settle`."""
        raise NotImplementedError

    def ended(self, session: "Session", now: int) -> None:
        """It is forgotten."""
        raise NotImplementedError


class Session:
    """Datagrams between a guest's port and one peer. `to` is where they really go."""

    __slots__ = (
        "code", "dport", "dst", "early", "flow", "idle", "last", "mapping", "purse", "purse_at", "rate", "received", "sent", "to",
        "to_port", "used", "verdict",
    )  # fmt: skip

    def __init__(self, mapping: "Mapping", dst: int, dport: int, idle: int, now: int) -> None:
        self.mapping = mapping
        self.dst = self.to = dst
        self.dport = self.to_port = dport
        self.idle = idle
        self.last = self.used = now
        self.flow: object = None
        self.sent = 0
        self.received = 0
        self.verdict = nc.WAITS
        self.code = 0
        self.early: list[tuple[bytes, int, int]] = []
        self.rate = 0
        self.purse = 0
        self.purse_at = now

    def settle(self, to: int, to_port: int, rate: int, now: int) -> None:
        """It goes on, there. Raises OSError when the host has no socket."""
        self.mapping.open(now)
        self.to = to
        self.to_port = to_port
        self.rate = rate
        self.purse = max(rate // 10, 65536)
        self.verdict = nc.PASSES
        self.mapping.back[to << 16 | to_port] = self
        early, self.early = self.early, []
        f = self.mapping.nat.frame
        for data, size, how in early:
            n = len(data)
            f.buf[:n] = data
            self.mapping.nat.pass_on(self, f, 0, n, size, how, now)

    def deny(self, code: int, now: int) -> None:
        """It doesn't: in silence (-1), or with this code of destination unreachable."""
        self.idle = DENIED
        self.code = code
        self.verdict = nc.DENIED_QUIETLY if code < 0 else nc.DENIED_ALOUD
        early, self.early = self.early, []
        if code >= 0:
            for data, size, _ in early[:1]:  # one is enough to be told
                self.mapping.nat.report(self, data[: size or len(data)], 3, code, now)

    def affords(self, n: int, now: int) -> bool:
        """Within the rate? What is not is lost, as on any narrow line."""
        most = max(self.rate // 10, 65536)
        self.purse = min(most, self.purse + self.rate * (now - self.purse_at) // const.SECOND)
        self.purse_at = now
        if self.purse < n:
            return False
        self.purse -= n
        return True


class Mapping(Watched):
    """A guest's port and its socket, which is there as soon as something passes."""

    __slots__ = ("back", "fd", "how", "nat", "owner", "port", "sessions", "src")

    def __init__(self, nat: "UdpNat", src: int, port: int) -> None:
        self.nat = nat
        self.src = src
        self.owner = nat.chooser.owner(src)
        self.port = port
        self.fd = -1
        self.how = -1  # how it sends now (`how_of`)
        self.sessions: dict[int, Session] = {}
        self.back: dict[int, Session] = {}  # by where they really go

    def open(self, now: int) -> None:
        if self.fd >= 0:
            return
        fd = sysio.packets(self.nat.outbound)
        if fd < 0:
            raise OSError(-fd, os.strerror(-fd))
        try:
            self.nat.poller.watch(fd, self)
        except BaseException:
            sysio.close(fd, False)
            raise
        self.fd = fd

    def become(self, how: int) -> None:
        """Send so from now on."""
        new, old = how, self.how
        self.how = how
        if old < 0 or (new ^ old) & TTL:
            sysio.hops(self.fd, (new & TTL) - 1)
        if (new ^ (old if old >= 0 else 0)) >> 8 & TTL:
            sysio.mark(self.fd, new >> 8 & TTL)
        if old < 0 or (new ^ old) >> 16:
            sysio.whole(self.fd, new >> 16)

    def close(self) -> None:
        if self.fd >= 0:
            self.nat.poller.drop(self.fd)
            sysio.close(self.fd, False)
            self.fd = -1

    def ready(self, events: int, now: int) -> None:
        if events & nc.ERROR:
            self.errors(now)
        if events & nc.READ:
            self.pull(now)

    def resume(self, now: int) -> None:
        self.pull(now)

    def pull(self, now: int) -> None:
        nat = self.nat
        f = nat.frame
        for _ in range(nc.DATAGRAMS):
            if self.fd < 0:
                return
            n, size, address, port, tos = sysio.receive_packet(self.fd, f.buf, 0, nc.DATAGRAM)
            if n < 0:
                if n == -sysio.AGAIN:
                    return
                self.errors(now)  # an error that was queued is also told to whoever reads next
                continue
            self.deliver(f, n, size, address, port, tos, now)
        nat.poller.again(self)

    def deliver(self, f: Frame, n: int, size: int, address: int, port: int, tos: int, now: int) -> None:
        """From `address` and `port`, to the guest."""
        nat = self.nat
        key = address
        key = key << 16 | port
        session: Session | None = self.back.get(key)
        if session is None:
            address = self.known(address)
            if address == 0:
                nat.mib.UdpFiltered += 1
                return
        else:
            if session.rate and not session.affords(n, now):
                nat.mib.UdpNoRoom += 1
                return
            session.last = now
            session.received += n
            address = session.dst
            port = session.dport
        nat.mib.UdpIn += 1
        udp = nat.udp
        f.off = 0
        if size == 0 or n <= size:
            udp.send_as(f, n, 0, address, port, self.src, self.port, now, 0, tos)
        elif nat.units and size <= nat.most:
            udp.send_as(f, n, size, address, port, self.src, self.port, now, 0, tos)
        else:
            while n > 0:
                udp.send_as(f, size if size < n else n, 0, address, port, self.src, self.port, now, 0, tos)
                f.off += size
                n -= size

    def known(self, address: int) -> int:
        """As whom the guest knows somebody to whom it has sent nothing there; 0 when he must not come in."""
        if self.nat.filtering == FILTER_PORT:
            return 0
        for session in self.back.values():
            if session.to == address:
                return session.dst
        return 0 if self.nat.filtering == FILTER_ADDRESS else address

    def errors(self, now: int) -> int:
        """What routers said about what was sent: to the guest, in their name. What the host itself could not send whole it says
        without a port: the MTU of that is given, or 0."""
        nat = self.nat
        mtu = 0
        if self.fd < 0:
            return mtu
        for told in errqueue.read_fd(self.fd):
            if told.offender == 0:
                mtu = told.info
                continue
            session = self.back.get(told.address << 16 | told.port)
            if session is None:
                nat.mib.ErrorsUnmatched += 1
                continue
            nat.mib.ErrorsIn += 1
            offender = session.dst if told.offender == session.to or told.offender >> 24 == 127 else told.offender
            asked = quote.datagram(self.src, self.port, session.dst, session.dport, told.payload)
            nat.icmp.report(asked, self.src, offender, told.type, told.code, quote.rest(told.type, told.code, told.info), now)
        return mtu


class UdpNat(DatagramCatcher):
    """All of them. `icmp` is what errors to guests leave by, `gateway` in whose name ours do."""

    __slots__ = (
        "chooser", "dkey0", "filtering", "frame", "gateway", "icmp", "idle", "key0", "mappings", "max_sessions", "max_sockets",
        "mib", "most", "outbound", "poller", "session0", "shares", "short", "udp", "units",
    )  # fmt: skip

    def __init__(
        self, udp: UdpCore, icmp: quote.Voice, poller: Poller, chooser: Chooser, mib: NatMib, gateway: int, mtu: int
    ) -> None:
        self.udp = udp
        self.icmp = icmp
        self.poller = poller
        self.chooser = chooser
        self.mib = mib
        self.gateway = gateway
        self.units = bool(udp.offload & const.OFFLOAD_USO)
        self.most = mtu - 28
        self.frame = Frame(nc.DATAGRAM)
        self.mappings: dict[int, Mapping] = {}
        self.shares: Shares[Session] = Shares()
        self.filtering = 2
        self.idle = 300 * const.SECOND
        self.short = 30 * const.SECOND
        self.max_sessions = 16384
        self.max_sockets = 8192
        self.outbound = 0  # the host's address that sockets have; 0: whichever its routes choose
        self.forget()

    def forget(self) -> None:
        self.key0 = 0
        self.dkey0 = 0
        self.session0: Session | None = None

    # -- from the guest ---------------------------------------------------------------------------------------------------------

    def caught(self, f: Frame, sport: int, dport: int, now: int) -> None:
        key = f.src
        key = key << 16 | sport
        dkey = f.dst
        dkey = dkey << 16 | dport
        session = self.session0
        if session is None or key != self.key0 or dkey != self.dkey0:
            mapping: Mapping | None = self.mappings.get(key)
            session = None if mapping is None else mapping.sessions.get(dkey)
            if session is None:
                session = self.begin(f, sport, dport, now)
            self.key0 = key
            self.dkey0 = dkey
            self.session0 = session
        n = f.end - f.off
        size = f.gso if f.gso < n else 0
        how = how_of(f)
        if session.verdict == nc.PASSES:
            self.pass_on(session, f, f.off, n, size, how, now)
        elif session.verdict == nc.WAITS:
            if len(session.early) < nc.EARLY:
                session.early.append((bytes(f.buf[f.off : f.end]), size, how))
            else:
                self.mib.UdpWaiting += 1
        elif session.verdict == nc.DENIED_ALOUD:
            self.report(session, bytes(f.buf[f.off : f.end]), 3, session.code, now)

    def begin(self, f: Frame, sport: int, dport: int, now: int) -> Session:
        """The first datagram of a session."""
        src = f.src
        if self.shares.count >= self.max_sessions:
            self.mib.UdpEvicted += 1
            self.end(self.shares.oldest_of_greediest(), now)
        key = src << 16 | sport
        mapping = self.mappings.get(key)
        if mapping is None:
            self.make_room(self.max_sockets - 1, now)
            mapping = self.mappings[key] = Mapping(self, src, sport)
        session = Session(mapping, f.dst, dport, self.short if dport == 53 else self.idle, now)
        mapping.sessions[f.dst << 16 | dport] = session
        self.shares.add(mapping.owner, session)
        self.mib.UdpFlows += 1
        self.chooser.begun(session, now)
        return session

    def make_room(self, most: int, now: int) -> None:
        """No more sockets than that: who goes is the oldest of the guest that has most."""
        while len(self.mappings) > most:
            self.mib.UdpEvicted += 1
            self.end(self.shares.oldest_of_greediest(), now)

    def pass_on(self, session: Session, f: Frame, o: int, n: int, size: int, how: int, now: int) -> None:
        """`n` bytes of `f` from `o`, to where the session goes; with `size` several datagrams."""
        mib = self.mib
        mapping = session.mapping
        if how & TTL <= 1:
            mib.TtlExceeded += 1
            self.report(session, bytes(f.buf[o : o + (size or n)]), 11, 0, now)
            return
        if session.rate and not session.affords(n, now):
            mib.UdpNoRoom += 1
            return
        session.last = now
        session.sent += n
        if now - session.used > nc.USED:
            session.used = now
            self.shares.use(mapping.owner, session)
        if mapping.how != how:
            mapping.become(how)
        k = sysio.send_packet(mapping.fd, f.buf, o, n, size, session.to, session.to_port)
        if k >= 0:
            mib.UdpOut += 1
            return
        while n > 0:  # one by one: an error that was queued is told to whoever sends next; and who can't send many may send one
            part = size if 0 < size < n else n
            self.send_again(session, f, o, part, now)
            o += part
            n -= part

    def send_again(self, session: Session, f: Frame, o: int, n: int, now: int) -> None:
        mib = self.mib
        mapping = session.mapping
        k = sysio.send_packet(mapping.fd, f.buf, o, n, 0, session.to, session.to_port)
        if k >= 0:
            mib.UdpOut += 1
        elif k == -sysio.AGAIN or k == -errno.ENOBUFS:
            mib.UdpNoRoom += 1
        else:
            mib.UdpFailed += 1
            if k == -errno.ENETUNREACH or k == -errno.EHOSTUNREACH:
                self.report(session, bytes(f.buf[o : o + n]), 3, 0 if k == -errno.ENETUNREACH else 1, now)
            elif k == -errno.EMSGSIZE:
                self.report(session, bytes(f.buf[o : o + n]), 3, 4, now, mapping.errors(now))
            elif k == -errno.EPERM or k == -errno.EACCES:
                self.report(session, bytes(f.buf[o : o + n]), 3, 13, now)

    def report(self, session: Session, payload: bytes, type: int, code: int, now: int, rest: int = 0) -> None:
        """An ICMP error of our own: port unreachable in the name of whoever was asked, the others in ours. `rest`: an MTU."""
        mapping = session.mapping
        asked = quote.datagram(mapping.src, mapping.port, session.dst, session.dport, payload[:512])
        self.icmp.report(asked, mapping.src, session.dst if type == 3 and code == 3 else self.gateway, type, code, rest, now)

    def error(self, e: IpError, sport: int, dport: int, now: int) -> None:
        """The guest doesn't want an answer any more: its port is closed. What it has asked for is over soon."""
        mapping = self.mappings.get(e.dst << 16 | dport)
        session = None if mapping is None else mapping.sessions.get(e.src << 16 | sport)
        if session is not None:
            e.believed = True

    # -- ends -------------------------------------------------------------------------------------------------------------------

    def end(self, session: Session, now: int) -> None:
        """Forget it; and its socket, when it was the last of it."""
        mapping = session.mapping
        self.forget()
        self.shares.remove(mapping.owner, session)
        mapping.sessions.pop(session.dst << 16 | session.dport, None)
        key = session.to << 16 | session.to_port
        if mapping.back.get(key) is session:
            del mapping.back[key]
        if not mapping.sessions:
            mapping.close()
            del self.mappings[mapping.src << 16 | mapping.port]
        self.chooser.ended(session, now)

    def sweep(self, now: int) -> None:
        """End those that have been idle for too long."""
        for session in self.sessions():
            if now - session.last >= session.idle:
                self.end(session, now)

    def sessions(self) -> list[Session]:
        return self.shares.all()

    def close(self, now: int) -> None:
        for session in self.sessions():
            self.end(session, now)
