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
import random
import select
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType

import attrs

from ..address import Cidr, Ip4
from ..errors import UsageError
from ..instant import Instant
from ..plugins import Spec, open_netif
from ..routing.config import Forward, NatConfig, OneToOne, RoutingConfig
from ..routing.listing import FlowView
from ..routing.stack import Device, RoutingStack, Watcher, inside_and_outside
from ..signatures import Netif, Rng
from ..stack import StackConfig
from .net import Net
from .reactor import clock_of


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
    ) -> RouterPlan:
        if not devices:
            raise UsageError("a router needs devices: give them by name, like {'lan': 'tap:lan0', 'wan': 'tap:wan0'}")
        specs: list[tuple[str, Spec | Netif, list[Cidr]]] = []
        leads = {}
        for name, said in devices.items():
            cidrs: list[Cidr] = []
            device: Spec | Netif
            if isinstance(said, str):
                taken, spec = Spec.parse(said).take("address", "gateway")
                cidrs = [Cidr.parse_whole(text) for text in taken.get("address", ())]
                if taken.get("gateway"):
                    leads[name] = taken["gateway"][0]
                device = spec
            else:
                device = said
            cidrs += [cidr if isinstance(cidr, Cidr) else Cidr.parse_whole(cidr) for cidr in addresses.get(name, ())]
            specs.append((name, device, cidrs))
        for name in addresses:
            if name not in devices:
                raise UsageError(f"there is no device {name!r} to have addresses: there are {', '.join(devices)}")
        if len(leads) + (gateway is not None) > 1:
            raise UsageError("the router has one gateway: give one, on the device that leads to the world")
        lead = gateway if gateway is not None else next(iter(leads.values()), None)
        doors = tuple(each if isinstance(each, Forward) else Forward.parse(each) for each in forwards)
        pairs = tuple(each if isinstance(each, OneToOne) else OneToOne.parse(each) for each in maps)
        config = routing or RoutingConfig()
        if nat:
            base = nat if isinstance(nat, NatConfig) else NatConfig()
            base = attrs.evolve(base, forwards=base.forwards + doors, maps=base.maps + pairs)
            config = attrs.evolve(config, nat=base)
            if not outside:
                outside = tuple(leads) or tuple(name for name in devices if name == "wan")
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
            await self._net.wait_addresses()
        except BaseException:
            await self._net.aclose()
            raise
        return self._net

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
) -> RouterOpening:
    """A router between `devices`, for as long as the `async with` block runs (asyncio and uvloop).

    devices    by name: a SPEC such as "tap:lan0?address=192.168.1.1/24", or a Netif
    addresses  more of them, by the device's name
    gateway    where everything else goes, here or in the SPEC of the device that leads there
    routes     "10.0.0.0/8=192.168.1.2": by a gateway; "10.1.0.0/16=lan": on the link of a device
    nat        translate between the inside and the outside (config.py says how); `outside` names the devices that are: the one with
               the gateway if it stands in a SPEC, else "wan"
    forwards   ports of the outside that go on inside: "tcp:8080=192.168.1.10:80", "udp:5000-5010=192.168.1.10"
    maps       outside addresses for hosts of their own: "203.0.113.5=192.168.1.10"

    Raises UsageError for what can't be, OSError where a device can't be had.
    """
    plan = RouterPlan.make(devices, addresses or {}, gateway, routes, nat, outside, forwards, maps, routing, seed)
    return RouterOpening(plan, config)


__all__ = ["RouterNet", "RouterOpening", "open_router"]
