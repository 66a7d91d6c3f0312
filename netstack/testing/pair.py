"""Two TCPs and a bad wire between them, in virtual time.

    pair = TcpPair(Faults(loss=0.02, delay=5 * MILLISECOND), seed=7)
    pair.serve(lambda conn: Recorder())
    pair.run_until(lambda: …)

The faults are those of `faults.Line`, one line in each direction; the wire carries datagrams as `LoopIp` gives them.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable

from .. import const
from ..cores import StreamUser
from ..instant import NEVER, SECOND
from ..tcp.config import TcpConfig
from ..tcp.connection import Connection
from ..tcp.tcp import Tcp
from ..timers import Timers
from .clock import Stalled
from .faults import Faults
from .line import Held, Line, landed
from .loopip import LoopIp, Packet
from .script import START, Recorder


class Host:
    """One end: its `ip`, its `tcp`, and the line that leads away from it."""

    def __init__(
        self, address: str, timers: Timers, line: Line, rng: random.Random, config: TcpConfig, mtu: int, offload: int
    ) -> None:
        self.line = line
        self.ip = LoopIp(address, self._leave, mtu, offload)
        self.ip.trusted = bool(offload)
        self.tcp = Tcp(self.ip, timers, rng, config)
        self.outbox: list[tuple[int, bytes | Held, Packet]] = []
        self.packets = 0

    def _leave(self, packet: Packet, now: int) -> None:
        self.packets += 1
        for when, data in self.line.carry(packet.data, now)[0]:
            self.outbox.append((when, data, packet))


class TcpPair:
    """`client` and `server` are symmetrical but for their names."""

    def __init__(
        self, faults: Faults | None = None, seed: int = 1, config: TcpConfig | None = None, mtu: int = 1500, offload: int = 0
    ) -> None:
        faults = faults or Faults()
        self.now = START
        self.timers = Timers(self.now)
        self.rng = random.Random(seed)
        config = config or TcpConfig()
        lines = [Line(faults, random.Random(self.rng.getrandbits(32)), 0) for _ in range(2)]
        self.client = Host("10.0.0.1", self.timers, lines[0], random.Random(self.rng.getrandbits(32)), config, mtu, offload)
        self.server = Host("10.0.0.2", self.timers, lines[1], random.Random(self.rng.getrandbits(32)), config, mtu, offload)
        self.hosts = (self.client, self.server)
        self._flying: list[tuple[int, int, Host, bytes | Held, Packet]] = []
        self._order = itertools.count()
        self._calendar: list[tuple[int, int, Callable[[], object]]] = []

    def serve(self, make: Callable[[Connection], Recorder | None], port: int = 80) -> None:
        """The server listens; `make(connection)` gives the Recorder of each connection, or None to refuse it."""

        def accept(conn: Connection) -> StreamUser | None:
            recorder = make(conn)
            return None if recorder is None else recorder.user

        self.server.tcp.listen(0, port, accept)

    def connect(self, recorder: Recorder, port: int = 80, local_port: int = 0) -> Connection:
        """A connection from the client."""
        return self.client.tcp.connect(0, local_port, self.server.ip.address, port, recorder.user, self.now)

    def force_iss(self, client: int, server: int, local_port: int = 40000, port: int = 80) -> None:
        """The next connection between these ports begins at these sequence numbers, or a little further on by the time that the
        SYN takes."""
        ends = ((self.client, local_port, self.server, port, client), (self.server, port, self.client, local_port, server))
        for host, here, other, there, want in ends:
            hub = host.tcp.hub
            hub.iss_bias = 0
            hub.iss_bias = want - hub.iss(host.ip.address, here, other.ip.address, there, self.now)

    def cut(self) -> None:
        """Nothing arrives any more."""
        for host in self.hosts:
            host.line = Line(Faults(loss=1.0), random.Random(0), 0)
        self._flying.clear()

    def call_later(self, after: int, action: Callable[[], object]) -> None:
        """`action()` in `after` nanoseconds."""
        heapq.heappush(self._calendar, (self.now + after, next(self._order), action))

    def _collect(self) -> None:
        for host in self.hosts:
            if host.outbox:
                other = self.server if host is self.client else self.client
                for when, data, packet in host.outbox:
                    heapq.heappush(self._flying, (when, next(self._order), other, data, packet))
                host.outbox.clear()

    def step(self) -> bool:
        """Do what is due next, whenever that is. False when nothing is left to happen."""
        self._collect()
        due = min(
            self.timers.next_deadline(),
            self._flying[0][0] if self._flying else NEVER,
            self._calendar[0][0] if self._calendar else NEVER,
        )
        if due >= NEVER:
            return False
        self.now = max(self.now, due)
        touched = set()
        for _ in range(const.BATCH):
            if not self._flying or self._flying[0][0] > self.now:
                break
            _, _, host, thing, packet = heapq.heappop(self._flying)
            data = landed(thing)
            if data is None:
                continue
            host.ip.inject(packet.src, packet.dst, packet.proto, data, self.now, 0, packet.gso)
            touched.add(host)
        for host in self.hosts:
            if host in touched:
                host.ip.flush(self.now)
        while self._calendar and self._calendar[0][0] <= self.now:
            heapq.heappop(self._calendar)[2]()
        self.timers.run(self.now)
        return True

    def run_until(self, goal: Callable[[], object], limit: int = 3600 * SECOND) -> int:
        """Run until `goal()` is true; returns how long it took. Raises Stalled when it can't become true within `limit`."""
        begin = self.now
        while not goal():
            if not self.step():
                raise Stalled("nothing is left to happen, and the condition is still false")
            if self.now - begin > limit:
                raise Stalled(f"the condition is still false after {limit / SECOND:g} s of virtual time")
        return self.now - begin

    def run_out(self) -> None:
        """Run until nothing is left to happen."""
        while self.step():
            pass
