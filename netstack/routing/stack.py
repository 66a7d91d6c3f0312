"""One host with several devices, that forwards between them.

It is a `Stack` in all else: it has addresses of its own, answers pings to them, and servers run on it. The forwarding plane sits
between its links and its internet layer, and both go by the same routes: those of `ip`, with `add_route` and `set_gateway`.

    lan = Device(lan_netif, [Cidr.parse_whole("192.168.1.1/24")], "inside")
    wan = Device(wan_netif, [Cidr.parse_whole("203.0.113.2/24")], "outside")
    RoutingStack([lan, wan], now=now, rng=rng, gateway=Ip4.parse("203.0.113.1"), routing=RoutingConfig(nat=NatConfig()))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import attrs

from .. import const
from ..adapters import Observer
from ..address import Cidr, Ip4, Mac
from ..cores import FrameSink, LinkCore, NetifCore
from ..counters import Group
from ..errors import UsageError
from ..ethif.arp import Arp
from ..ethif.ethif import Ethif
from ..ethif.pointtopoint import PointToPoint
from ..instant import Instant
from ..ipv4.ipv4 import Ipv4, Ipv4Config
from ..signatures import Link, Netif, NextHop, Rng
from ..stack import Place, Stack, StackConfig, link_on
from ..timers import Timers
from . import const as rc
from .config import Forward, RoutingConfig
from .listing import FlowView, view
from .nat import Nat
from .pieces import Pieces
from .plane import Plane
from .ways import Egress, Port

Role = Literal["routed", "inside", "outside"]
ROLES = {"routed": rc.ROUTED, "inside": rc.INSIDE, "outside": rc.OUTSIDE}
REVERSE_PATHS = {"off": rc.OFF, "loose": rc.LOOSE, "strict": rc.STRICT}


@attrs.frozen
class Device:
    """A device of a router. With NAT `outside` is the world, and `inside` what the world shall not see."""

    netif: Netif
    addresses: Sequence[Cidr] = ()
    role: Role = attrs.field(default="routed", validator=attrs.validators.in_(tuple(ROLES)))
    name: str = ""


class Watcher:
    """Tells that one of several descriptors is readable, as a descriptor does: the runtime has one."""

    def fileno(self) -> int:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


class Trunk:
    """All devices as one, to whoever turns the crank: a Netif that nothing is sent through."""

    def __init__(self, netifs: Sequence[Netif], watcher: Watcher | None) -> None:
        self.netifs = list(netifs)
        self._watcher = watcher
        self._waker: Callable[[], None] | None = None

    @property
    def core(self) -> NetifCore:
        return self.netifs[0].core

    @property
    def name(self) -> str:
        return "+".join(netif.name for netif in self.netifs)

    @property
    def mac(self) -> Mac | None:
        return self.netifs[0].mac

    @property
    def mtu(self) -> int:
        return min(netif.mtu for netif in self.netifs)

    @property
    def offload(self) -> int:
        """What all of them offer."""
        offload = -1
        for netif in self.netifs:
            offload &= netif.offload
        return offload

    def attach(self, sink: FrameSink, /) -> None:
        raise UsageError(f"{self.name} are several devices, with a router on them: attach to one of them")

    def set_waker(self, waker: Callable[[], None] | None, /) -> None:
        self._waker = waker
        for netif in self.netifs:
            netif.set_waker(waker)

    def fileno(self) -> int | None:
        return None if self._watcher is None else self._watcher.fileno()

    def poll(self, now: Instant, /) -> bool:
        """A batch of each. Whose device has no descriptor to tell that more waits, is told of by the waker."""
        more = False
        for netif in self.netifs:
            if netif.poll(now):
                more = True
                if self._watcher is not None and self._waker is not None and netif.fileno() is None:
                    self._waker()
        return more

    def next_deadline(self) -> Instant | None:
        soonest: Instant | None = None
        for netif in self.netifs:
            deadline = netif.next_deadline()
            if deadline is not None and (soonest is None or deadline < soonest):
                soonest = deadline
        return soonest

    def close(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
        for netif in self.netifs:
            netif.close()


class PlaneLink:
    """A link as the internet layer of a router sees it: what comes as IPv4 has been through the plane."""

    def __init__(self, link: Link, port: Port, offload: int) -> None:
        self._link = link
        self._port = port
        self._offload = offload

    @property
    def core(self) -> LinkCore:
        return self._link.core

    @property
    def mac(self) -> Mac | None:
        return self._link.mac

    @property
    def mtu(self) -> int:
        return self._link.mtu

    @property
    def offload(self) -> int:
        """What all devices of the router offer: transports ask once, and a route may change."""
        return self._offload

    def attach(self, ethertype: int, sink: FrameSink, /) -> None:
        if ethertype == const.ETH_IPV4:
            self._port.up = sink
            sink = self._port
        self._link.attach(ethertype, sink)


class RouterIpv4(Ipv4[Link, NextHop]):
    """The internet layer of the host that a router is: says when addresses or routes have changed."""

    __slots__ = ("on_change",)

    def __init__(self, link: Link, next_hop: NextHop, timers: Timers, rng: Rng, config: Ipv4Config) -> None:
        self.on_change: Callable[[], None] | None = None  # first: `forget` is called while the layer is made
        super().__init__(link, next_hop, timers, rng, config)

    def forget(self) -> None:
        super().forget()
        if self.on_change is not None:
            self.on_change()


class RoutingStack(Stack):
    """A router, with the host that it is."""

    internet = RouterIpv4

    def __init__(
        self,
        devices: Sequence[Device],
        *,
        now: Instant,
        rng: Rng,
        gateway: Ip4 | None = None,
        config: StackConfig | None = None,
        routing: RoutingConfig | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        """Raises UsageError. The devices stay the caller's until it returns."""
        self.routing = routing or RoutingConfig()
        self._check(devices)
        self.trunk = Trunk([device.netif for device in devices], watcher)
        self.plane = Plane()
        self.devices: list[Device] = []
        self.links: list[Ethif[Netif] | PointToPoint[Netif]] = []
        self.arps: list[Arp[Ethif[Netif]] | None] = []
        self._next = devices[0]
        super().__init__(devices[0].netif, now=now, rng=rng, config=config)
        self.netif = self.trunk
        self._added(devices[0], self.link, self.arp)
        for device in devices[1:]:
            self._next = device
            link, arp, hop = link_on(device.netif, self.timers, rng, now)
            self.ip.add_interface(self.beneath(link, hop), hop)
            self._added(device, link, arp)
        plane = self.plane
        plane.icmp = self.icmp.mib
        plane.ip = self.ip
        plane.bucket = self.ip.reporter.bucket.take  # type: ignore[attr-defined]  # the face puts a Reporter4 there
        plane.resolve = self._resolve
        plane.reverse_path = REVERSE_PATHS[self.routing.reverse_path]
        plane.clamp = self.routing.clamp_mss
        plane.redirects = self.routing.redirects
        self.nat: Nat | None = None
        if self.routing.nat is not None:
            self.nat = plane.nat = Nat(self.timers, rng, self.routing.nat)
            plane.pieces = Pieces(self.nat.mib)
            plane.reject = self.routing.nat.unsolicited == "reject"
            self.nat.occupied = self._occupied
            self.nat.owned = self._owned
        assert isinstance(self.ip, RouterIpv4)
        self.ip.on_change = self._changed
        for i, device in enumerate(devices):
            for cidr in device.addresses:
                self.add_address(cidr, now, i)
        if gateway is not None:
            self.set_gateway(gateway)
        self._answer_for_maps(now)

    def _check(self, devices: Sequence[Device]) -> None:
        if not devices:
            raise UsageError("a router needs a device, and to route two of them")
        if self.routing.nat is not None and not any(device.role == "outside" for device in devices):
            raise UsageError("NAT needs an outside: give one of the devices the role 'outside'")

    # -- devices ----------------------------------------------------------------------------------------------------------

    def beneath(self, link: Link, hop: NextHop) -> Link:
        device = self._next
        port = Port(
            self.plane,
            len(self.plane.ports),
            device.name or device.netif.name,
            min(link.mtu, 65535),
            link.offload,
            ROLES[device.role],
        )
        port.next_hop = hop.core
        self.plane.ports.append(port)
        return PlaneLink(link, port, self.trunk.offload)

    def _added(self, device: Device, link: Ethif[Netif] | PointToPoint[Netif], arp: Arp[Ethif[Netif]] | None) -> None:
        self.devices.append(device)
        self.links.append(link)
        self.arps.append(arp)
        if arp is not None:
            arp.on_unreachable = self._undeliverable
            arp.on_ready = self._address_free
            arp.on_lost = self._address_lost

    def _undeliverable(self, next_hop: int, packet: bytes, now: int) -> None:
        if not self.plane.undeliverable(packet, now):
            self.ip.neighbour_failed(next_hop, packet, now)

    def device_index(self, which: int | str) -> int:
        """The place of a device, by its name or its place. Raises UsageError."""
        names = [port.name for port in self.plane.ports]
        if isinstance(which, str):
            if which not in names:
                raise UsageError(f"there is no device {which!r} on this router: there are {', '.join(names)}")
            return names.index(which)
        if not 0 <= which < len(names):
            raise UsageError(f"there is no device {which} on this router: it has {len(names)}, the first is 0")
        return which

    # -- addresses and routes ---------------------------------------------------------------------------------------------

    def add_address(self, cidr: Cidr, now: Instant, device: int | str = 0) -> None:
        """As of a host; on the device of this name or place."""
        index = self.device_index(device)
        self.ip.add_address(cidr, self.ip.interfaces[index])
        self.addresses.append(cidr)
        arp = self.arps[index]
        if arp is not None:
            if self.config.probe:
                self.tentative.add(int(cidr.address))
            arp.add_address(int(cidr.address), now, probe=self.config.probe)

    def place(self, device: int | str = 0) -> Place:
        i = self.device_index(device)
        return Place(i, self.devices[i].netif, self.links[i], self.arps[i], self.ip.interfaces[i])

    def add_address_at(self, place: Place, cidr: Cidr, now: Instant) -> None:
        self.add_address(cidr, now, place.index)

    def came_by(self, place: Place) -> bool:
        return self.plane.lifted == place.index

    def remove_address(self, cidr: Cidr) -> None:
        interface = self.ip.routes.local.get(int(cidr.address))
        arp = None if interface is None else self.arps[interface.index]
        if arp is not None:
            arp.remove_address(int(cidr.address))
        self._forget_address(int(cidr.address))

    def add_route(self, cidr: Cidr, gateway: Ip4 | None = None, device: int | str | None = None) -> None:
        """In place of the route to the same prefix. `gateway` None: the prefix is on the device's own link. Raises UsageError."""
        interface = None if device is None else self.ip.interfaces[self.device_index(device)]
        self.ip.add_route(cidr, gateway, interface)

    def set_gateway(self, gateway: Ip4) -> None:
        if all(arp is not None for arp in self.arps) and not any(gateway in cidr for cidr in self.addresses):
            networks = ", ".join(map(str, self.addresses)) or "no address at all"
            raise UsageError(f"the gateway {gateway} is on none of the router's networks ({networks}): give one that is")
        if any(gateway in cidr for cidr in self.addresses):
            self.ip.set_gateway(int(gateway))
            return
        wires = [i for i, arp in enumerate(self.arps) if arp is None]
        self.ip.set_gateway(int(gateway), self.ip.interfaces[wires[-1]])

    def _changed(self) -> None:
        """Addresses or routes have."""
        interfaces = self.ip.interfaces
        ours: set[int] = set()
        for port in self.plane.ports:
            if port.index >= len(interfaces):
                continue
            addresses = interfaces[port.index].addresses
            port.addresses = [(cidr.network, cidr.mask, int(cidr.address)) for cidr in addresses]
            if port.role == rc.OUTSIDE:
                ours.update(int(cidr.address) for cidr in addresses)
        if self.nat is not None:
            for gone in set(self.nat.outsides) - ours - set(self.nat.maps_in):
                self.nat.drop_outside(gone)
            for address in ours:
                self.nat.outsides[address] = True
        self.plane.forget()

    def _answer_for_maps(self, now: Instant) -> None:
        """Outside addresses that maps have are answered for by ARP, and are no addresses of this host."""
        if self.nat is None:
            return
        for address in self.nat.maps_in:
            if address in self.ip.routes.local:
                raise UsageError(f"{Ip4(address)} is the router's own address: a one-to-one map needs one for itself alone")
            for port, arp in zip(self.plane.ports, self.arps, strict=True):
                if port.role == rc.OUTSIDE and arp is not None and any(address & mask == net for net, mask, _ in port.addresses):
                    arp.add_address(address, now)

    def _resolve(self, dst: int) -> Egress:
        """Where an address leads: what the plane remembers."""
        routes = self.ip.routes
        ports = self.plane.ports
        own = routes.local.get(dst)
        if own is not None:
            return Egress(rc.OURS, ports[own.index], 0, 0)
        cast = routes.broadcasts.get(dst)
        if cast is not None:
            return Egress(rc.EVERYBODY, ports[cast[0].index], 0, 0)
        path = routes.path(dst)
        if path is None or path.interface is None or path.cast:
            return Egress(rc.NOWHERE, None, 0, 0)
        next_hop = path.next_hop if path.next_hop != dst else 0
        return Egress(rc.ONWARD, ports[path.interface.index], next_hop, path.mtu)

    def _occupied(self, proto: int, address: int, port: int) -> bool:
        """Does this host itself use the port? Then no mapping gets it."""
        if proto == const.PROTO_TCP:
            hub = self.tcp.hub
            return port in hub.listeners or port in hub.reserved
        if proto == const.PROTO_UDP:
            return port in self.udp.ports
        return proto == const.PROTO_ICMP and port in self.icmp.handlers

    def _owned(self, proto: int, address: int, port: int, remote: int, remote_port: int) -> bool:
        """Does this host itself speak with that peer from a port that a mapping has got since?"""
        if proto == const.PROTO_TCP:
            return self.tcp.hub.taken(address, port, remote, remote_port)
        return self._occupied(proto, address, port)

    def forward(self, rule: str) -> None:
        """One more port forward, `tcp:8080=192.168.1.10:80`. Raises UsageError."""
        self._translator().add_forward(Forward.parse(rule))

    def unforward(self, rule: str) -> None:
        """Nobody comes in by this forward any more; who is in stays. Raises UsageError."""
        self._translator().remove_forward(Forward.parse(rule))

    def _translator(self) -> Nat:
        if self.nat is None:
            raise UsageError("this router doesn't translate: make it with a NatConfig")
        return self.nat

    # -- the crank --------------------------------------------------------------------------------------------------------

    def run(self, now: Instant) -> bool:
        self.timers.run(now)
        self.tcp.flush(now)
        return self.trunk.poll(now)

    def let_see(self, observer: Observer | None) -> None:
        for link in self.links:
            link.watch(observer)

    # -- what operators read ----------------------------------------------------------------------------------------------

    def flows(self) -> list[FlowView]:
        """The flows that NAT remembers, the latest used first."""
        if self.nat is None:
            return []
        return sorted((view(flow) for flow in self.nat.flows()), key=lambda flow: -flow.last)

    def groups(self) -> dict[str, Group]:
        groups = super().groups()
        for port, link, arp in list(zip(self.plane.ports, self.links, self.arps, strict=True))[1:]:
            groups[f"Link {port.name}"] = link.mib
            if arp is not None:
                groups[f"Arp {port.name}"] = arp.mib
        groups["Forward"] = self.plane.mib
        if self.nat is not None:
            groups["Conntrack"] = self.nat.mib
        return groups


def inside_and_outside(names: Iterable[str], outside: Iterable[str]) -> dict[str, Role]:
    """The roles of devices, when NAT is wanted and these are outside. Raises UsageError for a name that is none."""
    names = list(names)
    world = list(outside)
    for name in world:
        if name not in names:
            raise UsageError(f"there is no device {name!r} to be outside: there are {', '.join(names)}")
    return {name: "outside" if name in world else "inside" for name in names}
