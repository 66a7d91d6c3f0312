"""Links between nodes, and what a node is: a name, an address, and ways out.

    Link   a cable between two nodes, a line each way: change it, cut it, take it down, look into it
    Way    one direction of a link
    Node   either end: a host of the world, or a router
    Trunk  a host's one device: its stack sends into it, and it takes whichever link leads on

A link carries bare IPv4 datagrams; there are no link addresses, and no ARP. What happens to a datagram on a way, in order:

  1. the test's own function, if there is one, changes or drops it (Tampered)
  2. the link is cut, or sender and receiver are in different partitions: dropped (Cut)
  3. the line, as `faults.py` says
"""

from __future__ import annotations

import random
from collections.abc import Callable
from os import PathLike
from typing import BinaryIO, Protocol, Unpack

import attrs

from .. import pcap
from ..address import Cidr, Ip4
from ..errors import UsageError
from .capture import CaptureFile
from .faults import FaultArguments, Faults
from .inbox import Inbox, InboxNetif
from .line import Arrival, Held, Line
from .mib import FaultMib, NodeMib
from .routes import Routes, routes_from

Tamper = Callable[[str, bytes], "bytes | None"]


class Parts(Protocol):
    """What a way asks of its world: who may not reach whom. The pairs are addresses, both ways round."""

    apart: set[tuple[int, int]]


class Way:
    """One direction of a link, called "a>b"."""

    __slots__ = ("_interface", "_parts", "line", "link", "metric", "mib", "name", "source", "target")

    def __init__(self, link: Link, source: Node, target: Node, faults: Faults, seed: str, parts: Parts) -> None:
        self.link = link
        self.source = source
        self.target = target
        self.name = f"{source.name}>{target.name}"
        self.metric = 1
        self.mib = FaultMib()
        self.line = Line(faults, random.Random(seed), 0, self.mib)
        self._parts = parts
        self._interface = 0

    @property
    def faults(self) -> Faults:
        """Those of now."""
        return self.line.faults

    @property
    def mtu(self) -> int:
        return self.line.faults.mtu

    def change(self, **fields: Unpack[FaultArguments]) -> None:
        """From now on this way has these faults, and keeps the others: another path. What is on the old one arrives when it
        would have, and may be overtaken."""
        self.line.change(attrs.evolve(self.line.faults, **fields))

    def carry(self, frame: bytes, now: int) -> None:
        """Send a datagram this way."""
        link = self.link
        fate = ""
        arrivals: list[Arrival] | None = None
        if link.tampers is not None:
            tampered = link.tampers(self.name, frame)
            if tampered != frame:
                self.mib.Tampered += 1
            if tampered is None:
                fate = "dropped: by the test"
                arrivals = []
            else:
                frame = tampered
        if arrivals is None and (link.is_cut or link.is_down):
            self.mib.Cut += 1
            fate = f"dropped: {link.name} is {'cut' if link.is_cut else 'down'}"
            arrivals = []
        if arrivals is None and self._parts.apart:
            if (int.from_bytes(frame[12:16], "big"), int.from_bytes(frame[16:20], "big")) in self._parts.apart:
                self.mib.Cut += 1
                fate = "dropped: sender and receiver are in different partitions"
                arrivals = []
        if arrivals is None:
            arrivals, fate = self.line.carry(frame, now)
        if link.file is not None:
            # as it arrives, if it does: a flipped bit can be seen, and the comment says which
            shown = arrivals[0][1] if arrivals else frame
            link.file.frame(self._interface, now, shown.frame or frame if isinstance(shown, Held) else shown, pcap.OUTBOUND, fate)
        for arrival, copy in arrivals:
            if not self.target.inbox.put(arrival, copy):
                self.mib.InboxFull += 1
        if arrivals:
            self.target.wake()

    def describe_in(self, file: CaptureFile) -> None:
        self._interface = file.interface(self.name, False)


class Link:
    """A cable between two nodes: `there` is the way from `a` to `b`, `back` the other. Made by `World.link`."""

    __slots__ = ("back", "file", "is_cut", "is_down", "name", "tampers", "there")

    def __init__(self, name: str, a: Node, b: Node, there: Faults, back: Faults, seed: int, parts: Parts) -> None:
        self.name = name
        self.there = Way(self, a, b, there, f"{seed} {name} there", parts)
        self.back = Way(self, b, a, back, f"{seed} {name} back", parts)
        self.is_cut = False
        self.is_down = False
        self.tampers: Tamper | None = None
        self.file: CaptureFile | None = None
        for way in self.ways:
            way.source.ways.append(way)

    @property
    def ways(self) -> tuple[Way, Way]:
        return self.there, self.back

    def way_from(self, name: str) -> Way:
        """The direction that leads away from the node of this name."""
        for way in self.ways:
            if way.source.name == name:
                return way
        raise UsageError(f"{name!r} is at neither end of {self.name}")

    def change(self, **fields: Unpack[FaultArguments]) -> None:
        """`Way.change`, both ways."""
        for way in self.ways:
            way.change(**fields)

    def cut(self) -> None:
        """Nothing passes any more, and no router knows; what is on its way still arrives."""
        self.is_cut = True

    def mend(self) -> None:
        """Undo `cut`."""
        self.is_cut = False

    def tamper(self, function: Tamper | None) -> None:
        """`function("a>b", datagram)` returns the datagram to carry, changed or not, or None to drop it. None undoes it."""
        self.tampers = function

    def capture(self, target: str | PathLike[str] | BinaryIO | CaptureFile, epoch: int = 0) -> CaptureFile:
        """Write every datagram into a pcapng file, on the interface of its direction, at the instant it was sent.

        What befell it is its comment. `epoch` nanoseconds are added to every instant; a CaptureFile is taken as it is.
        """
        if self.file is not None:
            raise UsageError(f"{self.name} is captured already: one file has all of it")
        self.file = target if isinstance(target, CaptureFile) else CaptureFile(target, epoch)
        for way in self.ways:
            way.describe_in(self.file)
        return self.file

    def close(self) -> None:
        """End the capture."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def __repr__(self) -> str:
        return f"<Link {self.name}: {self.there.name} {self.there.faults or 'perfect'} | {self.back.faults or 'perfect'}>"


class Node:
    """An end of links."""

    __slots__ = ("by_hand", "forwards", "inbox", "ip", "name", "node_mib", "number", "prefixes", "routes", "ways")

    def __init__(self, name: str, number: int, address: Ip4) -> None:
        self.name = name
        self.forwards = False
        self.number = number  # in the order of making
        self.ip = int(address)
        self.prefixes = [Cidr(address, 32)]
        self.ways: list[Way] = []
        self.by_hand: list[tuple[Cidr, Way]] = []
        self.inbox = Inbox()
        self.node_mib = NodeMib()
        self.routes: Routes | None = None  # found anew when it is next asked

    def wake(self) -> None:
        """Something has been put into the inbox."""

    def own(self, prefix: str) -> None:
        """Datagrams to addresses in `prefix` come here as well: a network behind this node, or addresses that nobody has."""
        self.prefixes.append(Cidr.parse(prefix))

    def route(self, prefix: str, via: Link | None) -> None:
        """Send what is for `prefix` into the link `via`, whatever the shortest path is; None undoes it."""
        cidr = Cidr.parse(prefix)
        self.by_hand = [entry for entry in self.by_hand if entry[0] != cidr]
        if via is not None:
            self.by_hand.append((cidr, via.way_from(self.name)))
        self.routes = None

    def send(self, datagram: bytes, now: int) -> None:
        """Put a datagram of this node's own, or one that passes, on its way."""
        dst = int.from_bytes(datagram[16:20], "big")
        if dst >= 0xE0000000:
            for each in self.ways:
                each.carry(datagram, now)
            return
        way = self.way_to(dst)
        if way is None:
            self.node_mib.NoRoute += 1
        else:
            way.carry(datagram, now)

    def way_to(self, dst: int) -> Way | None:
        """The first way towards an address."""
        if self.routes is None:
            self.routes = routes_from(self)
        return self.routes.lookup(dst)


class Trunk(InboxNetif):
    """A device without link addresses in front of all links of a host: the node chooses among them."""

    __slots__ = ("_closed", "_node")

    def __init__(self, node: Node) -> None:
        # more than the narrowest link takes would be lost on it without a word; routers farther on do say it
        super().__init__(node.name, None, min((way.mtu for way in node.ways), default=1500))
        self.inbox = node.inbox
        self._node = node
        self._closed = False

    def transmit(self, frame: bytes, now: int) -> None:
        if not self._closed and len(frame) >= 20:
            self._node.send(frame, now)

    def close(self) -> None:
        self._closed = True
        super().close()
