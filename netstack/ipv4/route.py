"""Which way, and from where: our addresses, the routes, the groups we are in, and what was learnt of path MTUs.

The tables change rarely and are asked rarely: the layer keeps the answer for each destination (`Path`), and throws all answers
away when a table changes. So they are plain dicts, one for each prefix length, asked from the longest to the shortest.

Host model: weak, as Linux's and most others' (RFC 1122 3.3.4.2 allows both): a datagram for any of our addresses is ours on
whichever link it arrives.
"""

from .. import const
from ..address import Cidr, ip4_text
from ..cores import NextHopCore
from ..errors import UsageError

LOOPBACK = 0x7F000001
LIMITED_BROADCAST = 0xFFFFFFFF
ALL_SYSTEMS = 0xE0000001  # 224.0.0.1: every multicast host is in it, and says so to nobody (RFC 1112 7.1)

LOOPBACK_MTU = 65535  # nothing limits what we tell ourselves but the length field

# One entry for each destination that somebody's ICMP made us remember; a liar can make us remember any address.
PATH_MTU_ENTRIES = 1024
PATH_MTU_LIFE = 600 * const.SECOND  # RFC 1191 6.3: try a larger one ten minutes after the last decrease


class Interface:
    """A link that we have addresses on. Made by `Ipv4.add_interface`."""

    __slots__ = ("addresses", "index", "link", "mtu", "next_hop", "offload", "point_to_point")

    def __init__(self, index: int, link: object, next_hop: NextHopCore, mtu: int, offload: int, point_to_point: bool) -> None:
        self.index = index
        self.link = link
        self.next_hop = next_hop
        self.set_mtu(mtu)
        self.offload = offload
        self.point_to_point = point_to_point
        self.addresses: list[Cidr] = []

    def set_mtu(self, mtu: int) -> None:
        if mtu < 68:
            raise UsageError(f"an MTU of {mtu} is too small for IPv4: a link must carry at least 68 bytes (RFC 791 3.2)")
        self.mtu = mtu


class Path:
    """How datagrams to one destination leave: the answer that the layer remembers.

    ident   the last identification that was used towards it. A counter of its own for each destination, begun at random: unique
            where RFC 6864 asks for it, and of no use to anybody who would count our traffic to others by it.
    """

    __slots__ = ("cast", "ident", "interface", "local", "mtu", "next_hop", "src")

    def __init__(self, interface: "Interface | None", next_hop: int, src: int, cast: int, local: bool, mtu: int) -> None:
        self.interface = interface
        self.next_hop = next_hop
        self.src = src
        self.cast = cast
        self.local = local
        self.mtu = mtu
        self.ident = 0


class Route:
    """`gateway` is None where the destination itself is on the link."""

    __slots__ = ("gateway", "interface", "length", "network")

    def __init__(self, network: int, length: int, gateway: "int | None", interface: Interface) -> None:
        self.network = network
        self.length = length
        self.gateway = gateway
        self.interface = interface

    def __str__(self) -> str:
        way = "on the link" if self.gateway is None else f"by {ip4_text(self.gateway)}"
        return f"{ip4_text(self.network)}/{self.length} {way}, interface {self.interface.index}"


def _mask(length: int) -> int:
    return 0xFFFFFFFF >> (32 - length) << (32 - length)


class Routes:
    """The tables of one host."""

    __slots__ = ("broadcasts", "everybody", "groups", "interfaces", "lengths", "local", "routes")

    def __init__(self) -> None:
        self.interfaces: list[Interface] = []
        self.everybody: Interface | None = None  # to whose link 255.255.255.255 goes; None: the first
        self.local: dict[int, Interface] = {}
        self.broadcasts: dict[int, tuple[Interface, int]] = {}
        self.groups: dict[int, int] = {ALL_SYSTEMS: 1}  # group -> how many have joined it
        self.routes: dict[int, dict[int, Route]] = {}  # prefix length -> network -> route
        self.lengths: list[int] = []  # those in use, longest first

    # -- addresses --------------------------------------------------------------------------------------------------------

    def add_address(self, cidr: Cidr, interface: Interface) -> None:
        address = int(cidr.address)
        top = address >> 24
        if top == 0 or top == 127 or top >= 224 or address == cidr.broadcast or (cidr.length < 31 and address == cidr.network):
            raise UsageError(f"{cidr} can't be the address of a host: it is reserved, a group, a network or a broadcast address")
        if address in self.local:
            raise UsageError(f"{cidr.address} is already an address of this host")
        interface.addresses.append(cidr)
        self.local[address] = interface
        self._connect()

    def remove_address(self, address: int) -> None:
        interface = self.local.pop(address, None)
        if interface is None:
            raise UsageError(f"{ip4_text(address)} is not an address of this host")
        interface.addresses = [cidr for cidr in interface.addresses if int(cidr.address) != address]
        self._connect()

    def _connect(self) -> None:
        """Make the routes and broadcast addresses that follow from the addresses anew. Routes that somebody added stay."""
        for table in self.routes.values():
            for network in [network for network, route in table.items() if isinstance(route, Connected)]:
                del table[network]
        self.broadcasts = {}
        for interface in self.interfaces:
            for cidr in interface.addresses:
                table = self.routes.setdefault(cidr.length, {})
                if cidr.length < 32 and cidr.network not in table:
                    table[cidr.network] = Connected(cidr.network, cidr.length, None, interface)
                broadcast = cidr.broadcast
                if broadcast is not None:
                    self.broadcasts.setdefault(broadcast, (interface, int(cidr.address)))
        self._tidy()

    # -- routes -----------------------------------------------------------------------------------------------------------

    def add_route(self, cidr: Cidr, gateway: "int | None", interface: "Interface | None") -> None:
        """A route that exists is replaced. A gateway must be on a subnet of ours, unless the interface is named."""
        if gateway is None:
            if interface is None:
                if len(self.interfaces) > 1:
                    raise UsageError(f"the route to {cidr} has neither a gateway nor an interface: name one of them")
                interface = self.interfaces[0]
        elif interface is None:
            on = self.lookup(gateway)
            if on is None or on.gateway is not None:
                where = f"the gateway {ip4_text(gateway)} is on no subnet of ours"
                raise UsageError(f"{where}: add an address of its subnet first, or name the interface")
            interface = on.interface
        if gateway is not None and gateway in self.local:
            raise UsageError(f"{ip4_text(gateway)} is this host itself: a gateway is another one")
        self.routes.setdefault(cidr.length, {})[cidr.network] = Route(cidr.network, cidr.length, gateway, interface)
        self._tidy()

    def remove_route(self, cidr: Cidr) -> None:
        if self.routes.get(cidr.length, {}).pop(cidr.network, None) is None:
            raise UsageError(f"there is no route to {cidr}")
        self._connect()

    def _tidy(self) -> None:
        self.lengths = sorted((length for length, table in self.routes.items() if table), reverse=True)

    def lookup(self, dst: int) -> "Route | None":
        """The route with the longest prefix that matches."""
        for length in self.lengths:
            route = self.routes[length].get(dst & _mask(length))
            if route is not None:
                return route
        return None

    def has_neighbour(self, dst: int) -> bool:
        """Is it on a link of ours, or beyond a gateway?"""
        route = self.lookup(dst)
        return route is not None and route.gateway is None and not route.interface.point_to_point

    def leads_back(self, src: int, interface: "Interface | None") -> bool:
        """Would an answer to `src` leave by `interface` (RFC 3704 2.2)? A host that answers for everybody would otherwise do so for
        whomever a guest pretends to be."""
        route = self.lookup(src)
        return route is not None and route.interface is interface

    def all(self) -> list[Route]:
        """All routes, the longest prefix first."""
        return [route for length in self.lengths for route in self.routes[length].values()]

    # -- the answer -------------------------------------------------------------------------------------------------------

    def path(self, dst: int) -> "Path | None":
        """The way to `dst`; None where there is no route, or no address of ours to send from."""
        top = dst >> 24
        if dst in self.local:
            return Path(None, dst, dst, const.UNICAST, True, LOOPBACK_MTU)
        if top == 127:
            return Path(None, dst, LOOPBACK, const.UNICAST, True, LOOPBACK_MTU)
        if dst == LIMITED_BROADCAST:
            # one interface: RFC 1122 3.3.6 leaves it open. Without an address it leaves from 0.0.0.0, as DHCP needs it
            interface = self.everybody or self.interfaces[0]
            return Path(interface, LIMITED_BROADCAST, self._first(interface), const.BROADCAST, False, interface.mtu)
        if dst in self.broadcasts:
            interface, src = self.broadcasts[dst]
            return Path(interface, LIMITED_BROADCAST, src, const.BROADCAST, False, interface.mtu)
        if top == 0 or top >= 240:
            return None
        route = self.lookup(dst)
        if top >= 224:
            interface = self.interfaces[0] if route is None else route.interface
            return Path(interface, dst, self._first(interface), const.MULTICAST, False, interface.mtu)
        if route is None:
            return None
        next_hop = dst if route.gateway is None else route.gateway
        src = self._source(route.interface, next_hop)
        return Path(route.interface, next_hop, src, const.UNICAST, False, route.interface.mtu) if src else None

    def _first(self, interface: Interface) -> int:
        return int(interface.addresses[0].address) if interface.addresses else 0

    def _source(self, interface: Interface, next_hop: int) -> int:
        """The address in the next hop's subnet, the smallest such subnet first; else the interface's first; else any."""
        best: Cidr | None = None
        for cidr in interface.addresses:
            if next_hop in cidr and (best is None or cidr.length > best.length):
                best = cidr
        if best is not None:
            return int(best.address)
        return self._first(interface) or next(iter(self.local), 0)


class Connected(Route):
    """The route to the subnet of an address: it comes and goes with the address."""

    __slots__ = ()


class PathMtus:
    """Path MTUs that routers told us (RFC 1191), the least recently used forgotten first."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        self.entries: dict[int, tuple[int, int]] = {}  # destination -> MTU, until when

    def learn(self, dst: int, mtu: int, now: int) -> None:
        self.entries.pop(dst, None)
        if len(self.entries) >= PATH_MTU_ENTRIES:
            del self.entries[next(iter(self.entries))]
        self.entries[dst] = (mtu, now + PATH_MTU_LIFE)

    def get(self, dst: int, limit: int, now: int) -> int:
        """The path MTU, at most `limit`, the link's."""
        entry = self.entries.pop(dst, None)
        if entry is None or now >= entry[1]:
            return limit
        self.entries[dst] = entry
        return min(entry[0], limit)
