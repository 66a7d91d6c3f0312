"""Whole networks in virtual time: hosts with a stack each, wires and links between them, one clock.

    world = World(seed=7, loss=0.1, delay=20 * MILLISECOND)
    a, b = world.host("a"), world.host("b")
    server = Endpoint()
    b.listen(80, lambda: server)
    client = a.connect(b, 80, Endpoint(b"hello"))
    world.run(until=lambda: server.received == b"hello")

Nothing waits: `run` jumps from deadline to deadline, so seconds of network time take milliseconds, and the same seed gives
the same packets on every machine.

Hosts that nobody has linked share the world's wire, an Ethernet. Those that are linked live on their links, with routers between:

    world = World(seed=7)
    a, r, b = world.host("a"), world.router("r"), world.host("b")
    world.link(a, r, rate=100_000_000, delay=MILLISECOND)
    slow = world.link(r, b, rate=10_000_000, delay=20 * MILLISECOND, queue=50, back={"ack_loss": 0.1})

Routes are found (`routes.py`); nobody writes them. Each thing has a name, and can be asked for and hurt by it:
`world.partition("a", "b")`, `heal`, `world.links["r-b"].cut()`, `world.node("b")`, `host.crash()`. Each link rolls dice of its
own, started from the seed and its name, so that one link more does not change what befalls the others. `topology.py` builds
the usual shapes.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar, Unpack

import attrs

from ..adapters import PyStreamUser
from ..address import Cidr, Ip4
from ..cores import StreamUser, Turn
from ..errors import UsageError
from ..instant import SECOND, Instant
from ..sockets.table import Sockets
from ..stack import Stack, StackConfig
from ..tcp.connection import Connection
from ..tcp.listener import Listener
from .capture import CaptureFile
from .clock import VirtualClock
from .endpoint import Endpoint
from .faults import FaultArguments, Faults
from .inbox import InboxNetif
from .nodes import Link, Node, Trunk
from .router import Router
from .wire import Wire

__all__ = ["Endpoint", "Host", "Link", "Router", "World"]

T = TypeVar("T")
EVERYWHERE = Cidr(Ip4(0), 0)


class WorldTurn(Turn):
    """A world's clock asks everybody for their deadlines by itself."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock

    def now(self) -> int:
        return self._clock.now

    def rearm(self) -> None:
        pass


class Host(Node):
    """A stack on the world's wire, or on links. Which one is settled when its stack is first asked for, or the clock first runs."""

    def __init__(self, world: World, name: str, number: int, address: Cidr, config: StackConfig | None) -> None:
        super().__init__(name, number, address.address)
        self.world = world
        self.address = address
        self.config = config
        self.is_up = True
        self._stack: Stack | None = None
        self._port: InboxNetif | None = None
        self._lives = 0
        self._sockets: Sockets | None = None

    @property
    def stack(self) -> Stack:
        """The stack of its present life. After a crash, the one that died, until `restart`."""
        if self._stack is None:
            self.world.settle()
        assert self._stack is not None
        return self._stack

    @property
    def is_settled(self) -> bool:
        """Is it too late to choose between wire and links?"""
        return self._stack is not None

    def settle(self, wire: Wire | None) -> None:
        """Come to life on `wire`, or on the host's links."""
        world = self.world
        life = f"{world.seed} {self.name}" + (f" {self._lives}" if self._lives else "")
        self._lives += 1
        if wire is not None:
            self._port = wire.port(self.name, None if self._port is None else self._port.mac)
            addresses = [self.address]
        else:
            self._port = Trunk(self)
            addresses = [Cidr(self.address.address, 32)]
        self._stack = Stack(self._port, now=world.now, rng=random.Random(life), addresses=addresses, config=self.config)
        if wire is None:
            self._stack.ip.add_route(EVERYWHERE, None)
        world.clock.add(self._stack, self.name)

    @property
    def net(self) -> Any:
        """Its verbs, while the world is open under an event loop (`netstack.open_world`): a `Net`, in trio a `TrioNet`."""
        if self.world.faces is None:
            raise UsageError(f"{self.name} has no event loop: `async with netstack.open_world(world)` gives hosts their nets")
        return self.world.faces(self)

    def run(self, program: Awaitable[T]) -> Awaitable[T]:
        """Await `program` on this host: connections of it and of the tasks that it starts are this host's (runtime/current.py)."""
        running: Awaitable[T] = self.net.run(program)
        return running

    def wake(self) -> None:
        if self._port is not None:
            self._port.wake()

    @property
    def sockets(self) -> Sockets:
        """Sockets that never wait, on this host: `run` the world until their `events` say that something happened."""
        if self._sockets is None or self._sockets.stack is not self.stack:
            self._sockets = Sockets(self.stack, WorldTurn(self.world.clock))
        return self._sockets

    def crash(self) -> None:
        """Power off: nothing is said to anybody, and all that the host knew is gone."""
        if self.is_up:
            self.is_up = False
            self.world.clock.remove(self.stack)
            self.stack.netif.close()

    def restart(self) -> None:
        """Power on, with the same address and an empty memory: listen anew. Does nothing to a host that is up."""
        if not self.is_up:
            self.is_up = True
            self.inbox.clear()
            self.settle(None if self.ways else self.world.wire)

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
    """Hosts, routers, links, and one clock. The keywords are the faults of the wire, and of each link that does not say otherwise;
    and the seed of all chance in this world."""

    def __init__(self, **faults: Unpack[FaultArguments]) -> None:
        self.seed = faults.get("seed", 0)
        self.clock = VirtualClock()
        self.links: dict[str, Link] = {}
        self.nodes: dict[str, Node] = {}
        self.hosts: list[Host] = []
        self.routers: list[Router] = []
        self.apart: set[tuple[int, int]] = set()
        self.faces: Callable[[Host], Any] | None = None
        self._faults = Faults(**faults)
        self._wire = Wire(self._faults)
        self._unsettled: list[Host] = []
        self._captured: Path | None = None
        self._recorder: Callable[[str], CaptureFile] | None = None

    @property
    def now(self) -> Instant:
        return self.clock.now

    @property
    def wire(self) -> Wire:
        """The Ethernet of all hosts without links. To ask for it settles who they are."""
        self.settle()
        return self._wire

    # -- what there is ----------------------------------------------------------------------------------------------------

    def host(self, name: str, address: str | None = None, config: StackConfig | None = None) -> Host:
        """A new host; without an address it gets the next of 10.0.0.0/16."""
        cidr = Cidr.parse(address) if address else Cidr(Ip4(0x0A000001 + len(self.hosts)), 16)
        host = Host(self, name, len(self.nodes), cidr, config)
        self._add(host)
        self.hosts.append(host)
        self._unsettled.append(host)
        return host

    def router(self, name: str, address: str | None = None) -> Router:
        """A new router; without an address it gets the next of 10.255.0.0/16."""
        ip = Ip4.parse(address) if address else Ip4(0x0AFF0001 + len(self.routers))
        router = Router(name, len(self.nodes), ip)
        self._add(router)
        self.routers.append(router)
        self.clock.add(router, name)
        return router

    def node(self, which: str | Node) -> Node:
        """The host or router of this name."""
        if isinstance(which, Node):
            return which
        if which not in self.nodes:
            raise UsageError(f"there is no {which!r} in this world: there are {', '.join(self.nodes) or 'no nodes yet'}")
        return self.nodes[which]

    def link(
        self,
        a: str | Node,
        b: str | Node,
        name: str = "",
        *,
        back: FaultArguments | None = None,
        metric: int = 1,
        **faults: Unpack[FaultArguments],
    ) -> Link:
        """A cable from `a` to `b`, called "a-b". The keywords are its faults, both ways; `back` has those in which the way from `b`
        to `a` differs. `metric` is its length to whoever looks for the shortest path."""
        ends = self.node(a), self.node(b)
        for node in ends:
            if isinstance(node, Host) and not node.ways and node.is_settled:
                raise UsageError(f"{node.name} lives on the world's wire already: link it before its stack is used")
        if ends[0] is ends[1]:
            raise UsageError(f"{ends[0].name} can't be linked to itself: name two nodes")
        name = name or f"{ends[0].name}-{ends[1].name}"
        if name in self.links:
            raise UsageError(f"there is a link {name!r} already: give this one another name")
        there = attrs.evolve(self._faults, **faults)
        link = Link(name, *ends, there, attrs.evolve(there, **(back or {})), self.seed, self)
        self.links[name] = link
        for way in link.ways:
            way.metric = metric
        if self._recorder is not None:
            link.capture(self._recorder(name))
        self.reroute()
        return link

    def connections(self) -> Iterable[Connection]:
        for host in self.hosts:
            yield from host.stack.tcp.connections()

    # -- what happens -----------------------------------------------------------------------------------------------------

    def run(self, until: Callable[[], bool] | None = None, limit: int = 600 * SECOND) -> None:
        """Turn the crank until the condition holds; fails when `limit` of virtual time passes first."""
        self.settle()
        self.clock.run_until(until if until is not None else (lambda: False), limit)

    def rest(self, duration: int) -> None:
        """Let `duration` of virtual time pass."""
        self.settle()
        self.clock.run_until(Instant(self.now + duration))

    def settle(self) -> None:
        """Bring to life the hosts that are not: those with links on their links, the others on the wire."""
        hosts, self._unsettled = self._unsettled, []
        for host in hosts:
            host.settle(None if host.ways else self._wire)

    def partition(self, *groups: str | Host | Iterable[str | Host]) -> None:
        """Hosts of different groups can't reach each other any more; a group is a host or several. What is on its way still
        arrives. `partition("a", "b")` parts two hosts."""
        parts = [self._hosts(group) for group in groups]
        for i, part in enumerate(parts):
            for other in parts[:i]:
                for a in part:
                    for b in other:
                        self._part(a, b, True)

    def heal(self, *groups: str | Host | Iterable[str | Host]) -> None:
        """Undo `partition` between these groups; without any, between all hosts."""
        if not groups:
            groups = tuple(self.hosts)
        parts = [self._hosts(group) for group in groups]
        for i, part in enumerate(parts):
            for other in parts[:i]:
                for a in part:
                    for b in other:
                        self._part(a, b, False)

    def down(self, link: str | Link) -> None:
        """Take a link down: unlike one that is `cut`, the routers know, and go round it where they can."""
        self._link(link).is_down = True
        self.reroute()

    def up(self, link: str | Link) -> None:
        """Undo `down`."""
        self._link(link).is_down = False
        self.reroute()

    def reroute(self) -> None:
        """Find the shortest paths anew: after a change of a `way.metric`, for instance."""
        for node in self.nodes.values():
            node.routes = None

    # -- what is left to look at ------------------------------------------------------------------------------------------

    def capture(self, directory: str | PathLike[str]) -> None:
        """From now on every link, and the wire, writes a pcapng file of its own into `directory`, which is made."""
        if self._captured is not None:
            raise UsageError(f"this world is captured into {self._captured} already")
        self._captured = Path(directory)
        self._captured.mkdir(parents=True, exist_ok=True)
        self.record(lambda name: CaptureFile(self._file(name)))

    def record(self, recorder: Callable[[str], CaptureFile]) -> None:
        """From now on what passes every link, and the wire, is told to what `recorder(name)` gives for it."""
        if self._recorder is not None:
            raise UsageError("this world is recorded already: one recorder has all of it")
        self._recorder = recorder
        if any(not host.ways for host in self.hosts) or not self.hosts:
            self._wire.capture(recorder("wire"))
        for link in self.links.values():
            link.capture(recorder(link.name))

    @contextmanager
    def evidence(self, directory: str | PathLike[str]) -> Iterator[None]:
        """If the block fails, its captures are left in `directory`, and the error says so, and the seed; else nothing is left."""
        self.capture(directory)
        try:
            yield
        except BaseException as error:
            error.add_note(f"the seed of this world is {self.seed}; what was on its links is in {directory}")
            raise
        else:
            self.close()
            for file in self._files():
                file.unlink(missing_ok=True)
            if self._captured is not None and not any(self._captured.iterdir()):
                self._captured.rmdir()
        finally:
            self.close()

    def close(self) -> None:
        """End the captures."""
        for link in self.links.values():
            link.close()
        self._wire.end_capture()

    def open(self, faces: Callable[[Host], Any] | None) -> None:
        """`faces(host)` gives the net of a host from now on; None ends that. For event loops."""
        if faces is not None and self.faces is not None:
            raise UsageError("this world is open already: a world has one event loop at a time")
        self.faces = faces

    # -- within -----------------------------------------------------------------------------------------------------------

    def _add(self, node: Node) -> None:
        for other in self.nodes.values():
            if other.name == node.name:
                raise UsageError(f"there is a node {node.name!r} in this world already: give each its own name")
            if other.ip == node.ip:
                raise UsageError(f"{Ip4(node.ip)} is {other.name}'s address already: give {node.name} another one")
        self.nodes[node.name] = node

    def _link(self, which: str | Link) -> Link:
        if isinstance(which, Link):
            return which
        if which not in self.links:
            raise UsageError(f"there is no link {which!r} in this world: there are {', '.join(self.links) or 'none'}")
        return self.links[which]

    def _hosts(self, group: str | Host | Iterable[str | Host]) -> list[Host]:
        hosts = []
        for which in [group] if isinstance(group, (str, Host)) else group:
            node = self.node(which)
            if not isinstance(node, Host):
                raise UsageError(f"{node.name} is a router: partition hosts, or cut a link of it")
            hosts.append(node)
        return hosts

    def _part(self, a: Host, b: Host, apart: bool) -> None:
        pairs = {(a.ip, b.ip), (b.ip, a.ip)}
        self.apart = self.apart | pairs if apart else self.apart - pairs
        if not a.ways and not b.ways:
            (self.wire.cut if apart else self.wire.mend)(a.name, b.name)

    def _file(self, name: str) -> Path:
        assert self._captured is not None
        plain = "".join(c if c.isalnum() or c in "-_." else f"%{ord(c):02x}" for c in name)
        return self._captured / f"{plain}.pcapng"

    def _files(self) -> list[Path]:
        return [self._file(name) for name in ("wire", *self.links)]
