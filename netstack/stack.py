"""The wiring: the only file that names every concrete layer.

A `Stack` is one host on one device. It does nothing by itself: somebody calls `run(now)` when `next_deadline()` has come or
frames wait, and that is all that a runtime, a virtual clock or a test has to know.

    device            Netif
    link              Ethif + Arp, or PointToPoint where the device has no link addresses
    internet          Ipv4 + Icmp
    transports        Udp, Tcp
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .adapters import Observer, Several
from .address import Cidr, Ip4, Mac, ip4_text
from .counters import Group
from .errors import AddressInUse, UsageError
from .ethif.arp import Arp
from .ethif.ethif import Ethif
from .ethif.pointtopoint import PointToPoint
from .instant import NEVER, Instant
from .ipv4.ipv4 import Ipv4, Ipv4Config
from .ipv4.route import Interface
from .records import field, frozen
from .signatures import Link, Netif, NextHop, Rng
from .tcp.config import TcpConfig
from .tcp.tcp import Tcp
from .timers import Timer, Timers
from .udp.udp import Udp


@frozen
class StackConfig:
    """Settings of the layers. `probe` asks the link whether an address is free before using it (RFC 5227), for about 5 s."""

    probe: bool = False
    ip: Ipv4Config = field(factory=Ipv4Config)
    tcp: TcpConfig = field(factory=TcpConfig)


def link_on(
    netif: Netif, timers: Timers, rng: Rng, now: Instant
) -> tuple[Ethif[Netif] | PointToPoint[Netif], Arp[Ethif[Netif]] | None, NextHop]:
    """The link that a device wants, with its ARP where it has link addresses, and what finds next hops on it."""
    if netif.mac is None:
        wire = PointToPoint(netif)
        return wire, None, wire.next_hop
    eth = Ethif(netif)
    arp = Arp(eth, timers, rng, now=now)
    return eth, arp, arp


class Witnesses:
    """Those who look, and are told of changes of state too (tcp.tcb.Witness)."""

    def __init__(self, witnesses: Sequence[Any]) -> None:
        self._witnesses = witnesses

    def on_state(self, entry: Timer, old: int, new: int) -> None:
        for each in self._witnesses:
            each.on_state(entry, old, new)


@frozen
class Place:
    """One of the links of a host, the only one mostly: for what is done on a link and not anywhere (dhcp/onstack.py)."""

    index: int
    netif: Netif
    link: Ethif[Netif] | PointToPoint[Netif]
    arp: Arp[Ethif[Netif]] | None
    interface: Interface


class Stack:
    """One host: addresses on a device, and the transports above them."""

    internet: type[Ipv4[Link, NextHop]] = Ipv4

    def __init__(
        self,
        netif: Netif,
        *,
        now: Instant,
        rng: Rng,
        addresses: Iterable[Cidr] = (),
        gateway: Ip4 | None = None,
        config: StackConfig | None = None,
    ) -> None:
        self.config = config or StackConfig()
        self.netif = netif
        self.timers = Timers(now)
        self.addresses: list[Cidr] = []
        self.link, self.arp, hop = link_on(netif, self.timers, rng, now)
        self.ip: Ipv4[Link, NextHop] = self.internet(self.beneath(self.link, hop), hop, self.timers, rng, self.config.ip)
        self.icmp = self.ip.icmp
        self.udp = Udp(self.ip, rng)
        self.tcp = Tcp(self.ip, self.timers, rng, self.config.tcp)
        self._observers: tuple[Observer, ...] = ()
        self.tentative: set[int] = set()
        self.on_addresses: Callable[[OSError | None], None] | None = None
        if self.arp is not None:
            self.arp.on_unreachable = self.ip.neighbour_failed
            self.arp.on_ready = self._address_free
            self.arp.on_lost = self._address_lost
        for cidr in addresses:
            self.add_address(cidr, now)
        if gateway is not None:
            self.set_gateway(gateway)

    def beneath(self, link: Link, hop: NextHop) -> Link:
        """What the internet layer gets for its link: for hosts that look at datagrams before it does (routing/stack.py)."""
        return link

    def add_address(self, cidr: Cidr, now: Instant) -> None:
        """Be `cidr.address` on the device's network: at once, or after probing for it. Announced to the neighbours (RFC 5227)."""
        self.ip.add_address(cidr)
        self.addresses.append(cidr)
        if self.arp is not None:
            if self.config.probe:
                self.tentative.add(int(cidr.address))
            self.arp.add_address(int(cidr.address), now, probe=self.config.probe)

    def place(self, device: int | str = 0) -> Place:
        """Of a host with several devices: the link of the one of this place or name."""
        return Place(0, self.netif, self.link, self.arp, self.ip.interfaces[0])

    def add_address_at(self, place: Place, cidr: Cidr, now: Instant) -> None:
        """`add_address`, there."""
        self.add_address(cidr, now)

    def came_by(self, place: Place) -> bool:
        """Has what is being received at this moment come there?"""
        return True

    def remove_address(self, cidr: Cidr) -> None:
        """No longer be `cidr.address`. Connections that use it find out by their time-outs."""
        if self.arp is not None:
            self.arp.remove_address(int(cidr.address))
        self._forget_address(int(cidr.address))

    def _forget_address(self, ip: int) -> None:
        self.addresses = [cidr for cidr in self.addresses if int(cidr.address) != ip]
        self.ip.remove_address(ip)

    def _address_free(self, ip: int, now: int) -> None:
        self.tentative.discard(ip)
        if not self.tentative and self.on_addresses is not None:
            self.on_addresses(None)

    def _address_lost(self, ip: int, mac: int, now: int) -> None:
        """Somebody else has the address (RFC 5227 2.1.1, 2.4)."""
        self.tentative.discard(ip)
        self._forget_address(ip)
        if self.on_addresses is not None:
            self.on_addresses(AddressInUse(f"{ip4_text(ip)} belongs to {Mac(mac)}: choose another address"))

    def set_gateway(self, gateway: Ip4) -> None:
        """Send what is not for the own networks to `gateway`. Raises UsageError when it is on none of them."""
        if self.arp is not None and not any(gateway in cidr for cidr in self.addresses):
            networks = ", ".join(map(str, self.addresses)) or "no address at all"
            raise UsageError(f"the gateway {gateway} is on none of the host's networks ({networks}): give one that is")
        self.ip.set_gateway(int(gateway))

    # -- the crank --------------------------------------------------------------------------------------------------------

    def run(self, now: Instant) -> bool:
        """Do all that is due at `now`: timers first, then at most one batch of frames. True when more frames wait."""
        self.timers.run(now)
        self.tcp.flush(now)
        return self.netif.poll(now)

    def settle(self, now: Instant) -> bool:
        """Send what was put off (`TcpCore.gather`)."""
        self.tcp.flush(now)
        return False

    def next_deadline(self) -> int:
        """When `run` must be called at the latest, frames apart; NEVER when nothing is pending."""
        deadline = self.timers.next_deadline()
        device = self.netif.next_deadline()
        return deadline if device is None or deadline < device else device

    def idle(self) -> bool:
        """Does nothing but arriving frames move this host?"""
        return self.next_deadline() == NEVER

    def close(self, now: Instant) -> None:
        """Reset what is open and let the device go."""
        try:
            self.tcp.abort_all(now)
        finally:
            self.netif.close()

    def watch(self, observer: Observer) -> None:
        """Show each frame that comes or goes to `observer` (adapters.py) from now on, and each change of a connection's state if it
        has a method `on_state` (tcp.tcb.Witness). Nobody looks at first, and that costs nothing: whoever looks is put between."""
        self._show((*self._observers, observer))

    def unwatch(self, observer: Observer) -> None:
        """Not any more. Nothing for one who doesn't look."""
        self._show(tuple(each for each in self._observers if each is not observer))

    def _show(self, observers: tuple[Observer, ...]) -> None:
        self._observers = observers
        witnesses = [each for each in observers if hasattr(each, "on_state")]
        self.tcp.hub.witness = Witnesses(witnesses) if witnesses else None
        self.let_see(None if not observers else observers[0] if len(observers) == 1 else Several(observers))

    def let_see(self, observer: Observer | None) -> None:
        """Put `observer` between the links and their neighbours."""
        self.link.watch(observer)

    # -- what operators read ----------------------------------------------------------------------------------------------

    def groups(self) -> dict[str, Group]:
        """Every MIB group by the kernel's name for it."""
        groups: dict[str, Group] = {"Link": self.link.mib}
        if self.arp is not None:
            groups["Arp"] = self.arp.mib
        groups |= {"Ip": self.ip.mib, "Icmp": self.icmp.mib, "Igmp": self.ip.igmp.mib}
        return groups | {"Udp": self.udp.mib, "Tcp": self.tcp.mib, "TcpExt": self.tcp.ext}

    def counters(self) -> dict[str, dict[str, int]]:
        """`{"Ip": {"InReceives": 12, …}, …}`: a snapshot."""
        return {name: group.snapshot() for name, group in self.groups().items()}

    def meanings(self) -> dict[str, dict[str, str]]:
        """What each counter counts."""
        return {name: group.MEANING for name, group in self.groups().items()}
