"""Which connection a segment belongs to, and which numbers a new one gets: tables, listeners, ports, ISS, half-open ones.

The tables: one dict for each of our addresses, keyed by the peer's address and both ports in one int, behind a one-entry cache in
front of both look-ups. An entry is a `Connection` or a `TimeWait`.

What strangers can fill, and what happens then:

    half-open connections   `max_half_open`; a SYN flood replaces entries *at random*. A flooder who sends r SYNs a second to n
                            entries leaves an honest handshake of t seconds alive with probability (1 - 1/n)**(r*t): 37 % at
                            100,000 a second, 1024 entries and 10 ms. Were new SYNs dropped instead, it had n/(r*63) of a chance.
    connections             `max_connections`; SYNs are dropped. What is over, but not yet read by a paused user, counts
    TIME-WAIT               `max_time_wait`; the oldest ends early
"""

import hashlib

from .. import serial
from ..errors import AddressInUse, NoBuffers, UsageError
from ..signatures import Ip, Rng
from ..timers import Timer, Timers
from .config import TcpConfig
from .connection import Connection
from .listener import Accept, Listener
from .tcb import Hub, Tcb
from .timewait import TimeWait

# RFC 6335 6: the dynamic ports. RFC 6056 3.3.1: one chosen at random, and from there the next that is free.
FIRST_EPHEMERAL = 49152
EPHEMERALS = 65536 - FIRST_EPHEMERAL

ISS_TICK = 4000  # ns: the clock of RFC 9293 3.4.1


def key_of(remote: int, remote_port: int, local_port: int) -> int:
    """What the tables are keyed by: the remote address, and the first word of a header that comes from there."""
    key = remote
    ports = remote_port << 16 | local_port  # unsigned, or a high port would spread its sign over the address
    return key << 32 | ports


class Demux(Hub):
    __slots__ = ("cached", "count", "half", "iss_bias", "key0", "listeners", "local0", "secret", "tables", "waits")

    def __init__(self, ip: Ip, timers: Timers, rng: Rng, config: TcpConfig) -> None:
        super().__init__(ip, timers, rng, config)
        self.tables: dict[int, dict[int, Timer]] = {}
        self.count = 0  # connections, TIME-WAIT not counted
        self.waits: dict[TimeWait, None] = {}  # in the order in which they end
        self.half: list[Connection] = []
        self.listeners: dict[int, dict[int, Listener]] = {}  # by port, then by address, 0 for any
        self.cached: Connection | None = None  # the connection of the last segment …
        self.local0 = 0
        self.key0 = 0
        self.secret = rng.getrandbits(128).to_bytes(16, "big")
        self.iss_bias = 0  # added to each ISS: a door for tests that want sequence numbers to wrap

    # -- the tables -----------------------------------------------------------------------------------------------------------

    def find(self, local: int, key: int) -> "Timer | None":
        """The entry for a segment to `local`; `key` is the remote address and the header's first word."""
        table = self.tables.get(local)
        return None if table is None else table.get(key)

    def insert(self, c: Connection) -> None:
        key = key_of(c.remote, c.remote_port, c.local_port)
        c.key = key
        table = self.tables.get(c.local)
        if table is None:
            table = self.tables[c.local] = {}
        table[key] = c
        self.count += 1

    def taken(self, local: int, local_port: int, remote: int, remote_port: int) -> bool:
        """Is there a connection, or a TIME-WAIT, of these four?"""
        return self.find(local, key_of(remote, remote_port, local_port)) is not None

    def drop(self, local: int, key: int) -> None:
        table = self.tables[local]
        del table[key]
        if not table:
            del self.tables[local]  # an address that we no longer have leaves nothing behind
        self.cached = None

    def remove(self, c: Tcb) -> None:
        if c.half >= 0:
            self.graduate(c)
        self.drop(c.local, c.key)
        self.count -= 1

    def rest(self, c: Tcb, now: int) -> None:
        tw = TimeWait(c)
        self.tables[tw.local][tw.key] = tw
        self.cached = None
        self.count -= 1
        if len(self.waits) >= self.config.max_time_wait:
            self.ext.TCPTimeWaitOverflow += 1
            self.forget(next(iter(self.waits)))
        self.linger(tw, now)

    def linger(self, tw: TimeWait, now: int) -> None:
        """Begin, or begin anew, its 2 MSL."""
        self.waits.pop(tw, None)
        self.waits[tw] = None
        self.timers.arm(tw, now + self.config.time_wait)

    def forget(self, tw: Timer) -> None:
        assert isinstance(tw, TimeWait)
        wait = tw
        self.timers.cancel(wait)
        del self.waits[wait]
        self.drop(wait.local, wait.key)

    # -- half-open connections ------------------------------------------------------------------------------------------------

    def embryo(self, c: Connection) -> None:
        """`c` has begun by a SYN."""
        c.half = len(self.half)
        self.half.append(c)

    def graduate(self, c: Tcb) -> None:
        i = c.half
        if i < 0:
            return
        c.half = -1
        last = self.half.pop()
        if last is not c:
            self.half[i] = last
            last.half = i

    def admit(self, listener: Listener, now: int) -> bool:
        """May one more SYN of `listener` become a connection? Makes room for it."""
        ext = self.ext
        if listener.full():
            ext.ListenOverflows += 1
            ext.ListenDrops += 1
            return False
        if len(self.half) >= self.config.max_half_open:
            victim = self.half[self.rng.getrandbits(32) % len(self.half)]
            ext.TCPReqQFullDrop += 1
            ext.ListenDrops += 1
            victim.end(None, now)
        elif self.count + len(self.unread) >= self.config.max_connections:
            ext.SynDropped += 1
            ext.ListenDrops += 1
            return False
        return True

    # -- listeners ------------------------------------------------------------------------------------------------------------

    def listener_for(self, address: int, port: int) -> "Listener | None":
        here = self.listeners.get(port)
        if here is None:
            return None
        return here.get(address) or here.get(0)

    def listen(self, address: int, port: int, accept: Accept, backlog: int) -> Listener:
        if not 0 <= port <= 65535:
            raise UsageError(f"{port} is not a port: choose one from 1 to 65535, or 0 for any that is free")
        if backlog < 1:
            raise UsageError(f"a backlog of {backlog} accepts nothing: choose 1 or more")
        if address and not self.face.is_local(address):
            raise UsageError("one can listen on an address of one's own, or on 0 for all of them")
        if port == 0:
            port = self.free_port()
        here = self.listeners.setdefault(port, {})
        if here and (address == 0 or 0 in here or address in here):
            raise AddressInUse(f"port {port} has a listener already")
        listener = here[address] = Listener(self, address, port, accept, backlog)
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

    # -- ports and sequence numbers -------------------------------------------------------------------------------------------

    def free_port(self) -> int:
        """For a listener: a dynamic port on which nobody listens."""
        start = self.rng.getrandbits(32)
        for i in range(EPHEMERALS):
            port = FIRST_EPHEMERAL + (start + i) % EPHEMERALS
            if port not in self.listeners:
                return port
        raise AddressInUse("every dynamic port has a listener")

    def ephemeral(self, local: int, remote: int, remote_port: int) -> int:
        """For a connection: a dynamic port that is not in use towards this peer (RFC 6056 3.3.1)."""
        start = self.rng.getrandbits(32)
        for i in range(EPHEMERALS):
            port = FIRST_EPHEMERAL + (start + i) % EPHEMERALS
            if port not in self.listeners and not self.taken(local, port, remote, remote_port):
                return port
        raise AddressInUse(f"all {EPHEMERALS} dynamic ports are in use towards this peer")

    def iss(self, local: int, local_port: int, remote: int, remote_port: int, now: int) -> int:
        """An initial sequence number by RFC 6528: a clock of 4 us, and a keyed hash of the four that nobody else can compute."""
        four = b"%x %x %x %x" % (local, local_port, remote, remote_port)
        digest = hashlib.blake2s(four, key=self.secret, digest_size=4).digest()
        return serial.add(int.from_bytes(digest, "big"), now // ISS_TICK + self.iss_bias)

    def ts_offset(self, c: Tcb) -> int:
        """RFC 7323 5.4: a clock that starts elsewhere for each connection tells nobody how long we have been up, nor which
        connections are one host's.

        A successor between the same four goes on where this one was, as TIME-WAIT wants it (RFC 6191)."""
        four = b"ts %x %x %x %x" % (c.local, c.local_port, c.remote, c.remote_port)
        return int.from_bytes(hashlib.blake2s(four, key=self.secret, digest_size=4).digest(), "big")

    def room(self) -> None:
        if self.count + len(self.unread) >= self.config.max_connections:
            self.ext.TCPAbortOnMemory += 1
            raise NoBuffers(f"there are {self.count} connections already: raise max_connections or close some")
