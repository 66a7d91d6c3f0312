"""Whole networks in virtual time: hosts with a stack each, a wire between them, one clock.

    world = World(seed=7, loss=0.1, delay=20 * MILLISECOND)
    a, b = world.host("a"), world.host("b")
    server = Endpoint()
    b.listen(80, lambda: server)
    client = a.connect(b, 80, Endpoint(b"hello"))
    world.run(until=lambda: server.received == b"hello")

Nothing waits: `run` jumps from deadline to deadline, so seconds of network time take milliseconds, and the same seed gives
the same packets on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Unpack

from ..adapters import PyStreamUser
from ..address import Cidr, Ip4
from ..cores import StreamUser
from ..instant import SECOND, Instant
from ..stack import Stack, StackConfig
from ..tcp.connection import Connection
from ..tcp.listener import Listener
from .clock import VirtualClock
from .faults import FaultArguments, Faults
from .wire import Wire


class Endpoint:
    """An application in a test: sends what it was given as fast as it may, and writes down all that it is told."""

    def __init__(self, payload: bytes = b"", *, close: bool = True) -> None:
        self.payload = payload
        self.close_after = close
        self.sent = 0
        self.received = bytearray()
        self.events: list[str] = []
        self.error: Exception | None = None
        self.conn: Connection | None = None

    def push(self, now: int) -> None:
        """Write until the connection says stop; then end our side if all is written."""
        assert self.conn is not None
        while self.sent < len(self.payload):
            piece = self.payload[self.sent : self.sent + 65536]
            self.sent += len(piece)
            if not self.conn.write(piece, now):
                return
        if self.close_after:
            self.close_after = False
            self.conn.shutdown(now)

    @property
    def is_closed(self) -> bool:
        return "closed" in self.events

    def on_connected(self, now: int) -> None:
        self.events.append("connected")
        self.push(now)

    def on_data(self, data: bytes, now: int) -> None:
        self.received += data

    def on_eof(self, now: int) -> None:
        self.events.append("eof")

    def on_writable(self, now: int) -> None:
        self.push(now)

    def on_closed(self, error: Exception | None, now: int) -> None:
        self.events.append("closed")
        self.error = error


class Host:
    """A stack on a port of the world's wire."""

    def __init__(self, world: World, name: str, address: Cidr, config: StackConfig | None) -> None:
        self.world = world
        self.name = name
        self.address = address
        rng = random.Random(f"{world.seed} {name}")
        self.stack = Stack(world.wire.port(name), now=world.now, rng=rng, addresses=[address], config=config)
        world.clock.add(self.stack, name)

    def listen(self, port: int, make: Callable[[], Endpoint], backlog: int = 128) -> Listener:
        """Give each connection to `port` an endpoint of its own."""

        def accept(conn: Connection) -> StreamUser:
            endpoint = make()
            endpoint.conn = conn
            return PyStreamUser(endpoint)

        return self.stack.tcp.listen(0, port, accept, backlog)

    def connect(self, peer: Host, port: int, endpoint: Endpoint) -> Endpoint:
        """Open a connection to `peer`; the endpoint is told how it went."""
        user = PyStreamUser(endpoint)
        endpoint.conn = self.stack.tcp.connect(0, 0, int(peer.address.address), port, user, self.world.now)
        return endpoint


class World:
    """Hosts on one wire and one clock. The keywords are the wire's faults, and the seed of all chance in this world."""

    def __init__(self, **faults: Unpack[FaultArguments]) -> None:
        self.seed = faults.get("seed", 0)
        self.clock = VirtualClock()
        self.wire = Wire(Faults(**faults))
        self.hosts: list[Host] = []

    @property
    def now(self) -> Instant:
        return self.clock.now

    def host(self, name: str, address: str | None = None, config: StackConfig | None = None) -> Host:
        """A new host; without an address it gets the next of 10.0.0.0/24."""
        cidr = Cidr.parse(address) if address else Cidr(Ip4(0x0A000001 + len(self.hosts)), 24)
        host = Host(self, name, cidr, config)
        self.hosts.append(host)
        return host

    def run(self, until: Callable[[], bool] | None = None, limit: int = 600 * SECOND) -> None:
        """Turn the crank until the condition holds; fails when `limit` of virtual time passes first."""
        self.clock.run_until(until if until is not None else (lambda: False), limit)

    def rest(self, duration: int) -> None:
        """Let `duration` of virtual time pass."""
        self.clock.run_until(Instant(self.now + duration))

    def connections(self) -> Iterable[Connection]:
        for host in self.hosts:
            yield from host.stack.tcp.connections()
