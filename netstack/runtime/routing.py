"""`netstack.open_router`: a router on several devices, with asyncio's verbs of the host that it is.

    async with netstack.open_router(
        {"lan": "tap:lan0?address=192.168.1.1/24", "wan": "tap:wan0?address=203.0.113.2/24&gateway=203.0.113.1"},
        nat=True, forwards=["tcp:8080=192.168.1.10:80"],
    ) as net:
        await net.serve_streams(page, port=80, host="192.168.1.1")
        for flow in net.flows(): ...
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import select
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType

import attrs

from ..address import Cidr, Ip4
from ..dhcp.client import ClientLease
from ..dhcp.server import DhcpConfig
from ..errors import UsageError
from ..instant import Instant
from ..plugins import Spec, open_netif
from ..router.services.dhcp import DhcpService
from ..routing.config import Forward, NatConfig, OneToOne, RoutingConfig
from ..routing.listing import FlowView
from ..routing.stack import Device, RoutingStack, Watcher, inside_and_outside
from ..signatures import Netif, Rng
from ..stack import StackConfig
from .automatic import configure
from .net import Net
from .reactor import clock_of

DHCP = "dhcp"  # in place of an address


class Epoll(Watcher):
    """A descriptor that is readable when one of several is."""

    def __init__(self, descriptors: Iterable[int]) -> None:
        self._epoll = select.epoll()
        for fd in descriptors:
            self._epoll.register(fd, select.EPOLLIN)

    def fileno(self) -> int:
        return self._epoll.fileno()

    def close(self) -> None:
        self._epoll.close()


class RouterNet(Net):
    """The `Net` of a router: a host with addresses on each device; and what passes through it."""

    stack: RoutingStack

    def __init__(self, stack: RoutingStack, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(stack, loop)
        self.dhcp_servers: dict[str, DhcpService] = {}  # by the name of their device

    def flows(self) -> list[FlowView]:
        """The flows that NAT remembers, the latest used first. Instants are those of `net.now()`."""
        return self.stack.flows()


@attrs.frozen
class RouterPlan:
    """What `open_router` was asked for, without any device opened. Raises UsageError."""

    specs: list[tuple[str, Spec | Netif, list[Cidr]]]
    gateway: Ip4 | None
    routes: list[tuple[Cidr, Ip4 | None, str | None]]
    routing: RoutingConfig
    outside: tuple[str, ...]
    rng: Rng
    leased: str = ""  # the device that has its address from a DHCP server
    pools: tuple[Pool, ...] = ()

    @classmethod
    def make(
        cls,
        devices: Mapping[str, str | Netif],
        addresses: Mapping[str, Sequence[str | Cidr]],
        gateway: str | None,
        routes: Iterable[str],
        nat: bool | NatConfig,
        outside: Sequence[str],
        forwards: Iterable[str | Forward],
        maps: Iterable[str | OneToOne],
        routing: RoutingConfig | None,
        seed: int | None,
        dhcp: Iterable[str] = (),
        dns: Iterable[str] = (),
        leases: str = "",
    ) -> RouterPlan:
        if not devices:
            raise UsageError("a router needs devices: give them by name, like {'lan': 'tap:lan0', 'wan': 'tap:wan0'}")
        specs: list[tuple[str, Spec | Netif, list[Cidr]]] = []
        leads = {}
        leased = []
        for name, said in devices.items():
            cidrs: list[Cidr] = []
            device: Spec | Netif
            if isinstance(said, str):
                taken, spec = Spec.parse(said).take("address", "gateway", "ip")
                texts = [text for text in taken["address"] + taken["ip"] if text != DHCP]
                if len(texts) < len(taken["address"] + taken["ip"]):
                    leased.append(name)
                cidrs = [Cidr.parse_whole(text) for text in texts]
                if taken.get("gateway"):
                    leads[name] = taken["gateway"][0]
                device = spec
            else:
                device = said
            for each in addresses.get(name, ()):
                if each == DHCP:
                    leased.append(name)
                else:
                    cidrs.append(each if isinstance(each, Cidr) else Cidr.parse_whole(each))
            specs.append((name, device, cidrs))
        for name in addresses:
            if name not in devices:
                raise UsageError(f"there is no device {name!r} to have addresses: there are {', '.join(devices)}")
        if len(leads) + (gateway is not None) > 1:
            raise UsageError("the router has one gateway: give one, on the device that leads to the world")
        if len(leased) > 1 or (leased and (leads or gateway is not None)):
            raise UsageError("one device may have its address and the gateway by DHCP, and then there is no other gateway")
        lead = gateway if gateway is not None else next(iter(leads.values()), None)
        doors = tuple(each if isinstance(each, Forward) else Forward.parse(each) for each in forwards)
        pairs = tuple(each if isinstance(each, OneToOne) else OneToOne.parse(each) for each in maps)
        config = routing or RoutingConfig()
        if nat:
            base = nat if isinstance(nat, NatConfig) else NatConfig()
            base = attrs.evolve(base, forwards=base.forwards + doors, maps=base.maps + pairs)
            config = attrs.evolve(config, nat=base)
            if not outside:
                outside = tuple(leads) or tuple(leased) or tuple(name for name in devices if name == "wan")
            if not outside:
                raise UsageError("NAT needs an outside: call the device that leads to the world wan, or name it with outside=")
        elif doors or pairs or outside:
            raise UsageError("port forwards, maps and an outside are NAT's: ask for it with nat=True")
        return cls(
            specs,
            None if lead is None else Ip4.parse(lead),
            [read_route(text) for text in routes],
            config,
            tuple(outside),
            random.SystemRandom() if seed is None else random.Random(seed),
            next(iter(leased), ""),
            read_pools(dhcp, {name: cidrs for name, _, cidrs in specs}, tuple(map(Ip4.parse, dns)), leases),
        )

    def build(self, now: int, config: StackConfig | None) -> RoutingStack:
        """Open the devices and put the router on them."""
        names = [name for name, _, _ in self.specs]
        roles = inside_and_outside(names, self.outside) if self.routing.nat is not None else {}
        opened: list[Netif] = []
        watcher: Epoll | None = None
        try:
            devices = []
            for name, what, cidrs in self.specs:
                netif = open_netif(what) if isinstance(what, Spec) else what
                opened.append(netif)
                devices.append(Device(netif, cidrs, roles.get(name, "routed"), name))
            descriptors = [fd for netif in opened if (fd := netif.fileno()) is not None]
            watcher = Epoll(descriptors) if descriptors else None
            stack = RoutingStack(
                devices,
                now=Instant(now),
                rng=self.rng,
                gateway=self.gateway,
                config=config,
                routing=self.routing,
                watcher=watcher,
            )
            for cidr, gateway, device in self.routes:
                stack.add_route(cidr, gateway, device)
        except BaseException:
            if watcher is not None:
                watcher.close()
            for netif in opened:
                netif.close()
            raise
        return stack


@attrs.frozen
class Pool:
    """Addresses that a device's clients are given. `path` keeps them; `told` are name servers that somebody chose."""

    device: str
    config: DhcpConfig
    path: str
    told: bool


def read_pools(
    texts: Iterable[str], cidrs: Mapping[str, Sequence[Cidr]], dns: tuple[Ip4, ...], leases: str
) -> tuple[Pool, ...]:
    """`lan`, or `lan=192.168.1.100-192.168.1.199`; else the upper half of the device's network. Raises UsageError."""
    pools: list[Pool] = []
    for text in texts:
        name, equals, area = text.partition("=")
        if not cidrs.get(name):
            raise UsageError(f"DHCP for {name!r}: name a device that has an address, like lan=tap:lan0?address=192.168.1.1/24")
        own = cidrs[name][0]
        size = 1 << 32 - own.length
        if size < 4:
            raise UsageError(f"{own} has no addresses for DHCP: the network must be a /30 or larger")
        first, last = Ip4(own.network + max(size // 2, 1)), Ip4(own.network + size - 2)
        if equals:
            words = area.split("-")
            if len(words) != 2:
                raise UsageError(f"{text!r} says no pool: write lan=192.168.1.100-192.168.1.199")
            first, last = map(Ip4.parse, words)
        config = DhcpConfig(own=own, first=first, last=last, router=own.address, dns=dns)
        pools.append(Pool(name, config, f"{leases}.{name}" if leases and pools else leases, bool(dns)))
    if len({pool.device for pool in pools}) < len(pools):
        raise UsageError("there are two pools for one device: give one")
    return tuple(pools)


def read_route(text: str) -> tuple[Cidr, Ip4 | None, str | None]:
    """`10.0.0.0/8=192.168.1.2`, or `10.0.0.0/8=lan` for what is on the device's own link."""
    prefix, equals, way = text.partition("=")
    if not equals or not way:
        raise UsageError(f"{text!r} is no route: write 10.0.0.0/8=192.168.1.2, or 10.0.0.0/8=lan for what is on its link")
    if way[0].isdigit():
        return Cidr.parse(prefix), Ip4.parse(way), None
    return Cidr.parse(prefix), None, way


class RouterOpening:
    """What `open_router` gives: enter it to have the router, leave it to be rid of it."""

    def __init__(self, plan: RouterPlan, config: StackConfig | None) -> None:
        self._plan = plan
        self._config = config
        self._net: RouterNet | None = None

    async def __aenter__(self) -> RouterNet:
        loop = asyncio.get_running_loop()
        stack = self._plan.build(clock_of(loop)(), self._config)
        try:
            self._net = RouterNet(stack, loop)
            self._net.start()
        except BaseException:
            stack.netif.close()
            raise
        try:
            self._begin(self._net)
            await self._net.wait_addresses()
        except BaseException:
            await self._net.aclose()
            raise
        return self._net

    def _begin(self, net: RouterNet) -> None:
        """DHCP, as a server and as a client."""
        pools = self._plan.pools
        for pool in pools:
            service = DhcpService(net, pool.config, path=pool.path, device=pool.device)
            net.dhcp_servers[pool.device] = service
            service.start()
            net.on_close(service.close)

        def leased(lease: ClientLease | None) -> None:
            """Whom we ask for names, our clients ask too."""
            for pool in pools:
                if lease is not None and not pool.told:
                    with contextlib.suppress(UsageError):  # a domain that is none
                        net.dhcp_servers[pool.device].core.tell(lease.dns, lease.domain, lease.search)

        if self._plan.leased:
            configure(net, self._plan.rng, device=self._plan.leased, on_lease=leased)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        assert self._net is not None
        await self._net.aclose()
        return False


def open_router(
    devices: Mapping[str, str | Netif],
    *,
    addresses: Mapping[str, Sequence[str | Cidr]] | None = None,
    gateway: str | None = None,
    routes: Iterable[str] = (),
    nat: bool | NatConfig = False,
    outside: Sequence[str] = (),
    forwards: Iterable[str | Forward] = (),
    maps: Iterable[str | OneToOne] = (),
    routing: RoutingConfig | None = None,
    config: StackConfig | None = None,
    seed: int | None = None,
    dhcp: Iterable[str] = (),
    dns: Iterable[str] = (),
    leases: str = "",
) -> RouterOpening:
    """A router between `devices`, for as long as the `async with` block runs (asyncio and uvloop).

    devices    by name: a SPEC such as "tap:lan0?address=192.168.1.1/24", or a Netif; "tap:wan0?ip=dhcp" has address and gateway
               from a DHCP server, as long as the router is there
    addresses  more of them, by the device's name; "dhcp" is one too
    gateway    where everything else goes, here or in the SPEC of the device that leads there
    routes     "10.0.0.0/8=192.168.1.2": by a gateway; "10.1.0.0/16=lan": on the link of a device
    nat        translate between the inside and the outside (config.py says how); `outside` names the devices that are: the one with
               the gateway if it stands in a SPEC, else "wan"
    forwards   ports of the outside that go on inside: "tcp:8080=192.168.1.10:80", "udp:5000-5010=192.168.1.10"
    dhcp       devices whose hosts get addresses from us: "lan", or with the pool "lan=192.168.1.100-192.168.1.199"; they are told
               the name servers `dns`, or those that we were told ourselves; `leases` is a file that keeps what they have
    maps       outside addresses for hosts of their own: "203.0.113.5=192.168.1.10"

    Raises UsageError for what can't be, OSError where a device can't be had.
    """
    plan = RouterPlan.make(
        devices, addresses or {}, gateway, routes, nat, outside, forwards, maps, routing, seed, dhcp, dns, leases
    )  # fmt: skip
    return RouterOpening(plan, config)


__all__ = ["RouterNet", "RouterOpening", "open_router"]
