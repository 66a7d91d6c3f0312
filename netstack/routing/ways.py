"""Where addresses lead, and the ports through which they do.

`ways` remembers the answer for each address that was asked for: on, up to this host, or nowhere. The routes themselves are the
host's (`resolve`); any change of its tables forgets all answers and begins the next `epoch`.
"""

from collections.abc import Callable

from ..cores import Frame, FrameSink, NextHopCore
from . import const as rc
from .mib import ForwardMib

WAYS = 8192  # addresses remembered: a scan passes through here, so it must not grow
NOBODY = 1 << 40


class Egress:
    """Where an address leads. `next_hop` 0: the address itself."""

    __slots__ = ("kind", "mtu", "next_hop", "port")

    def __init__(self, kind: int, port: "Port | None", next_hop: int, mtu: int) -> None:
        self.kind = kind
        self.port: Port = port  # type: ignore[assignment]  # None where nothing leads
        self.next_hop = next_hop
        self.mtu = mtu


class Port(FrameSink):
    """A device's place in the plane. `up` gets what is not forwarded; `addresses` are (network, mask, address) of this host's."""

    __slots__ = (
        "addresses", "index", "mtu", "name", "next_hop", "offload", "plane", "role", "rx_octets", "rx_packets", "src0", "tx_octets",
        "tx_packets", "up",
    )  # fmt: skip

    def __init__(self, plane: "Ways", index: int, name: str, mtu: int, offload: int, role: int) -> None:
        self.plane = plane
        self.index = index
        self.name = name
        self.mtu = mtu
        self.offload = offload
        self.role = role
        self.addresses: list[tuple[int, int, int]] = []
        self.up: FrameSink = FrameSink()
        self.next_hop: NextHopCore = NextHopCore()
        self.src0 = NOBODY  # the last source that was found good
        self.rx_packets = 0
        self.rx_octets = 0
        self.tx_packets = 0
        self.tx_octets = 0

    def input(self, f: Frame) -> None:
        self.plane.enter(self, f)

    def flush(self, now: int) -> None:
        self.up.flush(now)


class Ways:
    """All ports, and where each address leads. `resolve` is asked for what is not remembered."""

    __slots__ = ("dst0", "egress0", "epoch", "mib", "ports", "resolve", "reverse_path", "ways")

    def __init__(self) -> None:
        self.mib = ForwardMib()
        self.ports: list[Port] = []
        self.resolve: Callable[[int], Egress] | None = None
        self.reverse_path = rc.STRICT
        self.ways: dict[int, Egress] = {}
        self.dst0 = NOBODY
        self.egress0 = Egress(rc.NOWHERE, None, 0, 0)
        self.epoch = 0

    def forget(self) -> None:
        """A table has changed."""
        self.epoch += 1
        self.ways.clear()
        self.dst0 = NOBODY
        for port in self.ports:
            port.src0 = NOBODY

    def ask(self, address: int) -> Egress:
        """Where an address leads, remembered."""
        e = self.ways.get(address)
        if e is None:
            e = self.resolve(address)  # type: ignore[misc]  # set before the first datagram
            if len(self.ways) >= WAYS:
                self.ways.clear()
            self.ways[address] = e
        return e

    def way(self, dst: int) -> Egress:
        """The same for a destination: the next datagram has the same one."""
        if dst != self.dst0:
            self.egress0 = self.ask(dst)
            self.dst0 = dst
        return self.egress0

    def enter(self, port: Port, f: Frame) -> None:
        """A datagram from a port's link."""
        raise NotImplementedError

    def source_good(self, port: Port, src: int) -> bool:
        """May this source be behind this port?"""
        if src == port.src0:
            return True
        m = self.mib
        top = src >> 24
        if top == 0 or top == 127 or top >= 224 or src >> 16 == rc.LINK_LOCAL:
            m.InMartians += 1
            return False
        e = self.ask(src)
        if e.kind == rc.OURS or e.kind == rc.EVERYBODY:
            m.InMartians += 1
            return False
        if self.reverse_path == rc.STRICT:
            if e.kind != rc.ONWARD or e.port is not port:
                m.InSpoofed += 1
                return False
        elif self.reverse_path == rc.LOOSE and e.kind != rc.ONWARD:
            m.InSpoofed += 1
            return False
        port.src0 = src
        return True
