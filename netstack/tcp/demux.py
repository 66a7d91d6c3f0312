"""Which connection a segment belongs to, and which numbers a new one gets: tables, listeners, ports, ISS, half-open ones.

The tables: one (table.py) for each of our addresses, keyed by the peer's address and both ports in one int, behind a one-entry
cache in front of both look-ups. An entry is a `Connection` or a `TimeWait`.

What strangers can fill, and what happens then:

    half-open connections   `max_half_open`, of which each listener may have an equal share, so that a flood of one port leaves the
                            others as they were. A SYN for which there is no place is answered by a cookie (cookies.py), and
                            nothing is remembered of it: who is in the table stays there, who is not has lost little
    connections             `max_connections`; SYNs and cookies are dropped. What is over, but not yet read by a paused user, counts
                            None is closed to make room for another: which of them may be idle only the program knows
    TIME-WAIT               `max_time_wait`; the oldest ends early
"""

import errno

from .. import const, serial
from ..errors import AddressInUse, NoBuffers, Unreachable, UsageError
from ..signatures import Ip, Rng
from ..siphash import SipHash
from ..timers import Timer, Timers
from . import const as tc
from .config import TcpConfig
from .connection import Connection
from .cookies import Cookies
from .listener import Accept, Listener
from .table import Table
from .tcb import Hub, Tcb
from .timewait import TimeWait

# RFC 6335 6: the dynamic ports. RFC 6056 3.3.1: one chosen at random, and from there the next that is free.
FIRST_EPHEMERAL = 49152
EPHEMERALS = 65536 - FIRST_EPHEMERAL

# What a listener may have of the half-open table, however many share it
LEAST_SHARE = 16

# What becomes of a SYN
DROP = 0
ENTRY = 1
COOKIE = 2


def key_of(remote: int, remote_port: int, local_port: int) -> int:
    """What the tables are keyed by: the remote address, and the first word of a header that comes from there."""
    key = remote
    ports = remote_port << 16 | local_port  # unsigned, or a high port would spread its sign over the address
    return key << 32 | ports


class Demux(Hub):
    __slots__ = (
        "always", "cached", "catcher", "cookies", "count", "half", "iss_bias", "key0", "line0", "line_local", "line_ports",
        "line_remote", "listeners", "local0", "near", "near_local", "never", "reserved", "secret", "share", "tables", "waits",
        "where",
    )  # fmt: skip

    def __init__(self, ip: Ip, timers: Timers, rng: Rng, config: TcpConfig) -> None:
        super().__init__(ip, timers, rng, config)
        self.tables: dict[int, Table] = {}
        self.near: Table | None = None  # the last one that was looked into …
        self.near_local = 0  # … and whose it is
        self.count = 0  # connections, TIME-WAIT not counted
        self.waits: dict[TimeWait, None] = {}  # in the order in which they end
        self.half: list[Connection] = []
        self.reserved: set[int] = set()  # ports that sockets have bound (sockets/ports.py): nobody gets one by chance
        self.listeners: dict[int, dict[int, Listener]] = {}  # by port, then by address, 0 for any
        self.cached: Connection | None = None  # the connection of the last segment …
        self.local0 = 0
        self.key0 = 0
        self.secret = SipHash(rng.getrandbits(128).to_bytes(16, "big"))
        self.where = SipHash(b"".join(self.secret.of(what).to_bytes(8, "big") for what in (b"tables 0", b"tables 1")))
        self.line0 = 0  # the last `line`: a connection asks twice
        self.line_local = 0
        self.line_remote = 0
        self.line_ports = 0
        self.never = config.syn_cookies == "never"
        self.always = config.syn_cookies == "always"
        self.cookies = Cookies(rng)
        self.share = config.max_half_open
        self.catcher: object = None  # of SYNs that no listener wants (catch.py)
        self.iss_bias = 0  # added to each ISS: a door for tests that want sequence numbers to wrap

    # -- the tables -----------------------------------------------------------------------------------------------------------

    def table_of(self, local: int) -> "Table | None":
        table = self.near
        if table is None or local != self.near_local:
            table = self.tables.get(local)
            if table is None:
                return None
            self.near = table
            self.near_local = local
        return table

    def find(self, local: int, key: int) -> "Timer | None":
        """The entry for a segment to `local`; `key` is the remote address and the header's first word."""
        table = self.table_of(local)
        return None if table is None else table.get(key)  # type: ignore[return-value]  # nothing else is put there

    def hash_of(self, key: int) -> int:
        """By which it is found in any of the tables."""
        self.where.start()
        return self.where.finish(key)

    def find_by(self, local: int, h: int, key: int) -> "Timer | None":
        """The same for who knows the hash, and has asked for the entry."""
        table = self.table_of(local)
        return None if table is None else table.at(h, key)  # type: ignore[return-value]  # as above

    def insert(self, c: Connection) -> None:
        key = key_of(c.remote, c.remote_port, c.local_port)
        c.key = key
        table = self.tables.get(c.local)
        if table is None:
            table = self.tables[c.local] = Table(self.where)
        table.put(key, c)
        self.count += 1

    def taken(self, local: int, local_port: int, remote: int, remote_port: int) -> bool:
        """Is there a connection, or a TIME-WAIT, of these four?"""
        return self.find(local, key_of(remote, remote_port, local_port)) is not None

    def drop(self, local: int, key: int) -> None:
        table = self.tables[local]
        table.remove(key)
        if not len(table):
            del self.tables[local]  # an address that we no longer have leaves nothing behind
            self.near = None
        self.cached = None

    def remove(self, c: Tcb) -> None:
        if c.half >= 0:
            self.graduate(c)
        self.drop(c.local, c.key)
        self.count -= 1

    def rest(self, c: Tcb, now: int) -> None:
        tw = TimeWait(c)
        table = self.tables[tw.local]
        table.put(tw.key, tw)
        self.cached = None
        self.count -= 1
        if len(self.waits) >= self.settings.max_time_wait:
            self.ext.TCPTimeWaitOverflow += 1
            self.forget(next(iter(self.waits)))
        self.linger(tw, now)

    def linger(self, tw: TimeWait, now: int) -> None:
        """Begin, or begin anew, its 2 MSL."""
        self.waits.pop(tw, None)
        self.waits[tw] = None
        self.timers.arm(tw, now + self.settings.time_wait)

    def forget(self, tw: Timer) -> None:
        assert isinstance(tw, TimeWait)
        wait = tw
        if self.witness is not None:
            self.witness.on_state(wait, tc.TIME_WAIT, tc.CLOSED)
        self.timers.cancel(wait)
        del self.waits[wait]
        self.drop(wait.local, wait.key)

    # -- half-open connections ------------------------------------------------------------------------------------------------

    def embryo(self, c: Connection, listener: Listener) -> None:
        """`c` has begun by a SYN."""
        c.half = len(self.half)
        self.half.append(c)
        c.listener = listener
        listener.half += 1

    def graduate(self, c: Tcb) -> None:
        i = c.half
        if i < 0:
            return
        c.half = -1
        c.listener.half -= 1  # type: ignore[union-attr]  # whoever is half-open has one
        last = self.half.pop()
        if last is not c:
            self.half[i] = last
            last.half = i

    def admit(self, listener: Listener, recycled: bool, now: int) -> int:
        """What becomes of one more SYN to `listener`: DROP, ENTRY, for which there is room then, or COOKIE. `recycled`: it ends a
        TIME-WAIT, whose place in memory it takes, and whose peer is no forgery; so it needs no place in the table unless there
        are twice too many."""
        ext = self.ext
        limit = self.settings.max_half_open
        if recycled:
            limit *= 2
        crowded = len(self.half) >= limit
        if self.never:
            if crowded and not listener.full():
                victim = self.half[self.rng.getrandbits(32) % len(self.half)]
                ext.TCPReqQFullDrop += 1
                ext.ListenDrops += 1
                victim.end(None, now)
            return ENTRY if self.has_room(listener) else DROP
        if not self.has_room(listener):
            return DROP
        if recycled:
            if not crowded:
                return ENTRY
            ext.SynDropped += 1
            ext.ListenDrops += 1
            return DROP
        if crowded or listener.half >= self.share:
            ext.TCPReqQFullDoCookies += 1
            return COOKIE
        return COOKIE if self.always else ENTRY

    def has_room(self, listener: Listener) -> bool:
        """For one more connection of `listener`."""
        ext = self.ext
        if listener.full():
            ext.ListenOverflows += 1
        elif self.count + len(self.unread) >= self.settings.max_connections:
            ext.SynDropped += 1
        else:
            return True
        ext.ListenDrops += 1
        return False

    def bakes(self, listener: Listener, now: int) -> bool:
        """Has `listener` sent cookies that may still come back?"""
        return now - listener.cookie_at < tc.COOKIE_LIFE

    # -- listeners ------------------------------------------------------------------------------------------------------------

    def listener_for(self, address: int, port: int) -> "Listener | None":
        here = self.listeners.get(port)
        if here is None:
            return None
        listener = here.get(address)
        if listener is None and (self.catcher is None or self.face.is_local(address)):
            listener = here.get(0)  # "all addresses" are our own ones, where somebody catches what is for others
        return listener

    def listen(self, address: int, port: int, accept: Accept, backlog: int) -> Listener:
        if not 0 <= port <= 65535:
            raise UsageError(f"{port} is not a port: choose one from 1 to 65535, or 0 for any that is free")
        if backlog < 1:
            raise UsageError(f"a backlog of {backlog} accepts nothing: choose 1 or more")
        if address and not self.face.is_local(address):
            raise Unreachable("one can listen on an address of one's own, or on all of them", errno.EADDRNOTAVAIL)
        if port == 0:
            port = self.free_port()
        here = self.listeners.setdefault(port, {})
        if here and (address == 0 or 0 in here or address in here):
            raise AddressInUse(f"port {port} has a listener already")
        listener = here[address] = Listener(self, address, port, accept, backlog)
        self.divide()
        return listener

    def unlisten(self, listener: Listener, now: int) -> None:
        here = self.listeners.get(listener.port)
        if here is None or here.get(listener.address) is not listener:
            return
        del here[listener.address]
        if not here:
            del self.listeners[listener.port]
        for c in [c for c in self.half if c.listener is listener]:
            c.end(None, now)
        self.divide()

    def divide(self) -> None:
        """The half-open table among the listeners."""
        among = max(1, sum(len(here) for here in self.listeners.values()))
        self.share = max(LEAST_SHARE, self.config.max_half_open // among)

    # -- ports and sequence numbers -------------------------------------------------------------------------------------------

    def free_port(self) -> int:
        """For a listener: a dynamic port on which nobody listens."""
        start = self.rng.getrandbits(32)
        for i in range(EPHEMERALS):
            port = FIRST_EPHEMERAL + (start + i) % EPHEMERALS
            if port not in self.listeners and port not in self.reserved:
                return port
        raise AddressInUse("every dynamic port has a listener")

    def ephemeral(self, local: int, remote: int, remote_port: int) -> int:
        """For a connection: a dynamic port that is not in use towards this peer (RFC 6056 3.3.1), nor the peer itself."""
        start = self.rng.getrandbits(32)
        for i in range(EPHEMERALS):
            port = FIRST_EPHEMERAL + (start + i) % EPHEMERALS
            if port == remote_port and local == remote:
                continue
            if port not in self.listeners and port not in self.reserved and not self.taken(local, port, remote, remote_port):
                return port
        raise AddressInUse(f"all {EPHEMERALS} dynamic ports are in use towards this peer")

    def line(self, local: int, remote: int, ports: int) -> int:
        """Where the sequence numbers of these four begin, and in the lower 32 bits, where their timestamps do. `ports` is the first
        word of a header from there."""
        if ports != self.line_ports or remote != self.line_remote or local != self.line_local:
            h = self.secret  # as in Linux. All messages are of one length, so that the last word need not say which
            h.start()
            h.word(local)
            h.word(remote)
            self.line0 = h.finish(ports)
            self.line_local = local
            self.line_remote = remote
            self.line_ports = ports
        return self.line0

    def iss(self, local: int, local_port: int, remote: int, remote_port: int, now: int) -> int:
        """An initial sequence number by RFC 6528: a clock of 4 us, and a keyed hash of the four that nobody else can compute."""
        ports = remote_port << 16 | local_port
        line = self.line(local, remote, ports) >> 32
        return serial.add(line, now // tc.ISS_TICK + self.iss_bias)

    def mtu_for(self, remote: int, now: int) -> int:
        """The path MTU, within what our arithmetic takes: at least the smallest MSS and headers, at most 16 bits."""
        mtu: int = self.face.mtu_for(remote, now)
        if mtu > const.M16:
            mtu = const.M16
        return mtu if mtu > tc.MIN_MSS + tc.IP_TCP else tc.MIN_MSS + tc.IP_TCP

    def ts_offset(self, c: Tcb) -> int:
        """RFC 7323 5.4: a clock that starts elsewhere for each connection tells nobody how long we have been up, nor which
        connections are one host's. A successor between the same four goes on where this one was: TIME-WAIT needs it (RFC 6191)."""
        ports = c.remote_port << 16 | c.local_port
        return self.line(c.local, c.remote, ports) & const.M32

    def room(self) -> None:
        if self.count + len(self.unread) >= self.settings.max_connections:
            self.ext.TCPAbortOnMemory += 1
            raise NoBuffers(f"there are {self.count} connections already: raise max_connections or close some")
