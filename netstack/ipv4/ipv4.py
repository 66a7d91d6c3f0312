"""IPv4 as one composes it: the tables' doors, and the signature that transports need."""

from typing import Generic, TypeVar

from .. import const
from ..address import Cidr, Ip4, ip4_text
from ..cores import FrameSink
from ..errors import UsageError
from ..records import frozen
from ..signatures import Link, NextHop, Rng
from ..timers import Timers
from .core import Ipv4Core
from .icmp import Icmp, Reporter4
from .igmp import Igmp
from .mib import IcmpMib, IgmpMib
from .route import Interface, Route

E_co = TypeVar("E_co", bound=Link, covariant=True)
A_co = TypeVar("A_co", bound=NextHop, covariant=True)


@frozen
class Ipv4Config:
    """`any_ip` makes the host answer for every lawful unicast address, as that address: a honeypot, a router's near side. Sources
    must lead back to where they came from then; ARP, routes and what one can bind to know the own addresses only, as ever."""

    ttl: int = 64  # RFC 1700's recommendation
    answer_echo: bool = True
    icmp_rate: int = 1000  # errors a second; Linux's figure
    any_ip: bool = False

    def __post_init__(self) -> None:
        for name, largest in (("ttl", 255), ("icmp_rate", 1_000_000)):
            if not 1 <= getattr(self, name) <= largest:
                raise UsageError(f"{name}={getattr(self, name)} can't be: choose 1 to {largest}")


class Ipv4(Ipv4Core, Generic[E_co, A_co]):
    """A host's internet layer. It begins with one interface, without addresses: `add_address`, then `set_gateway`.

    Addresses are ints; `Ip4` is taken wherever one is asked.
    """

    __slots__ = ("_icmp", "_igmp", "_link", "_next_hop", "_own")

    def __init__(self, link: E_co, next_hop: A_co, timers: Timers, rng: Rng, config: Ipv4Config | None = None) -> None:
        config = config or Ipv4Config()
        super().__init__(timers, rng, config.ttl, config.any_ip)
        self._link = link
        self._next_hop = next_hop
        mib = IcmpMib()
        self.reporter = Reporter4(self, mib, config.icmp_rate)
        self._icmp = Icmp(self, mib, config.answer_echo)
        self.add_interface(link, next_hop)
        self.attach(const.PROTO_ICMP, self._icmp)
        self._igmp = Igmp(self, IgmpMib())
        self.attach(const.PROTO_IGMP, self._igmp)
        self._own = len(self.attached)

    @property
    def core(self) -> Ipv4Core:
        return self

    @property
    def link(self) -> E_co:
        return self._link

    @property
    def next_hop(self) -> A_co:
        return self._next_hop

    @property
    def icmp(self) -> Icmp:
        return self._icmp

    @property
    def igmp(self) -> Igmp:
        return self._igmp

    @property
    def offload(self) -> int:
        """What every interface offers."""
        offload = -1
        for interface in self.routes.interfaces:
            offload &= interface.offload
        return offload

    # -- interfaces and addresses -----------------------------------------------------------------------------------------

    @property
    def interfaces(self) -> list[Interface]:
        return list(self.routes.interfaces)

    def add_interface(self, link: Link, next_hop: NextHop) -> Interface:
        """One more link. Links that offer less than the first must come before the transports, which ask only once."""
        interfaces = self.routes.interfaces
        if interfaces and len(self.attached) > self._own and self.offload & ~link.offload:
            raise UsageError("this link offloads less than the others: add it before the first transport")
        interface = Interface(len(interfaces), link, next_hop.core, min(link.mtu, 65535), link.offload, link.mac is None)
        rx = self.receiver(False)
        rx.interface = interface
        assert isinstance(rx, FrameSink)
        link.attach(const.ETH_IPV4, rx)
        interfaces.append(interface)
        return interface

    def set_mtu(self, mtu: int, interface: Interface) -> None:
        """Send datagrams of at most `mtu` octets into this link from now on, for it may carry more than its other hosts take. Paths
        that are at work hear of it; raises UsageError below 68."""
        self._interface(interface)
        interface.set_mtu(mtu)
        self.forget()

    def broadcast_on(self, interface: Interface | None) -> None:
        """What is for 255.255.255.255 goes to this link from now on; None: to the first."""
        self.routes.everybody = interface
        self.core.forget()

    @property
    def addresses(self) -> list[Cidr]:
        """Of all interfaces, in the order in which they were added."""
        return [cidr for interface in self.routes.interfaces for cidr in interface.addresses]

    def add_address(self, cidr: Cidr, interface: Interface | None = None) -> None:
        """`interface` is the first one if not given. The subnet becomes reachable with it. Raises UsageError."""
        self.routes.add_address(cidr, self._interface(interface) or self.routes.interfaces[0])
        self.forget()

    def remove_address(self, address: Cidr | Ip4 | int) -> None:
        """Raises UsageError where it is not ours."""
        self.routes.remove_address(int(address.address if isinstance(address, Cidr) else address))
        self.forget()

    # -- routes -----------------------------------------------------------------------------------------------------------

    @property
    def route_table(self) -> list[Route]:
        """The longest prefixes first."""
        return self.routes.all()

    def add_route(self, cidr: Cidr, gateway: Ip4 | int | None, interface: Interface | None = None) -> None:
        """In place of the route to the same prefix, if there is one. `gateway` None: the prefix is on the link itself."""
        self.routes.add_route(cidr, None if gateway is None else int(gateway), self._interface(interface))
        self.forget()

    def remove_route(self, cidr: Cidr) -> None:
        """Raises UsageError where there is none."""
        self.routes.remove_route(cidr)
        self.forget()

    def set_gateway(self, gateway: Ip4 | int | None, interface: Interface | None = None) -> None:
        """The default route, in place of the one before; None takes it away."""
        everywhere = Cidr(Ip4(0), 0)
        if gateway is not None:
            self.add_route(everywhere, gateway, interface)
        elif self.routes.routes.get(0):
            self.remove_route(everywhere)

    def _interface(self, interface: Interface | None) -> Interface | None:
        if interface is not None and interface not in self.routes.interfaces:
            raise UsageError("this interface belongs to another stack: pass what add_interface of this one returned")
        return interface

    def source_for(self, dst: int, /) -> int:
        return self.way(int(dst)).src

    # -- groups -----------------------------------------------------------------------------------------------------------

    @property
    def groups(self) -> list[Ip4]:
        """The multicast groups that this host is in."""
        return [Ip4(group) for group in self.routes.groups]

    def join(self, group: int, /) -> None:
        group = self._group(group)
        self.routes.groups[group] = self.routes.groups.get(group, 0) + 1
        self._igmp.join(group)

    def leave(self, group: int, /) -> None:
        group = self._group(group)
        count = self.routes.groups.get(group, 0)
        if not count:
            raise UsageError(f"{ip4_text(group)} was not joined")
        if count > 1:
            self.routes.groups[group] = count - 1
        else:
            del self.routes.groups[group]
            self._igmp.leave(group)

    @staticmethod
    def _group(group: int) -> int:
        group = int(group)
        if not 0 <= group <= 0xFFFFFFFF or group >> 28 != 14:
            raise UsageError(f"{group} is not a multicast group: those are 224.0.0.0 to 239.255.255.255")
        return group
