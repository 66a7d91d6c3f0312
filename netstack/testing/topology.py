"""The usual shapes of networks, built into a world that exists. The keywords are the faults of the links.

    pair        a - b
    star        all around one router
    chain       a - r1 - r2 - … - b
    dumbbell    s1 … sn - left = right - d1 … dn: many flows over one bottleneck
    from_dict   whatever a dictionary, or a file of it, says
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, Unpack, cast

import attrs

from ..errors import UsageError
from ..stack import StackConfig
from .faults import FaultArguments, Faults
from .net import Host, Link, Router, World
from .nodes import Node

PARTS = ("hosts", "routers", "links")


def pair(world: World, config: StackConfig | None = None, **faults: Unpack[FaultArguments]) -> tuple[Host, Host, Link]:
    """Hosts "a" and "b", and the link between them."""
    a, b = world.host("a", config=config), world.host("b", config=config)
    return a, b, world.link(a, b, **faults)


def star(
    world: World, names: Iterable[str], hub: str = "hub", config: StackConfig | None = None, **faults: Unpack[FaultArguments]
) -> Router:
    """Hosts of these names, each with a link "hub-name" to one router, which is returned."""
    router = world.router(hub)
    for name in names:
        world.link(router, world.host(name, config=config), **faults)
    return router


def chain(
    world: World, routers: int, config: StackConfig | None = None, **faults: Unpack[FaultArguments]
) -> tuple[Host, Host, list[Link]]:
    """Hosts "a" and "b" with routers "r1", "r2", … between them; all links are alike, and returned from "a" to "b"."""
    a = world.host("a", config=config)
    nodes: list[Node] = [a, *(world.router(f"r{n}") for n in range(1, routers + 1))]
    b = world.host("b", config=config)
    nodes.append(b)
    return a, b, [world.link(one, other, **faults) for one, other in itertools.pairwise(nodes)]


@attrs.frozen
class Dumbbell:
    """`senders[i]` and `receivers[i]` are "s1", "d1" and so on; `bottleneck` is the link "left-right"."""

    senders: list[Host]
    receivers: list[Host]
    left: Router
    right: Router
    bottleneck: Link


def dumbbell(
    world: World,
    flows: int,
    config: StackConfig | None = None,
    access: FaultArguments | None = None,
    **bottleneck: Unpack[FaultArguments],
) -> Dumbbell:
    """`access` are the faults of the links between a host and its router: perfect ones if not given. To give the flows different
    round trips, change `world.links["s1-left"]` and so on."""
    left, right = world.router("left"), world.router("right")
    middle = world.link(left, right, **bottleneck)
    senders, receivers = [], []
    for n in range(1, flows + 1):
        senders.append(world.host(f"s{n}", config=config))
        receivers.append(world.host(f"d{n}", config=config))
        world.link(senders[-1], left, **(access or {}))
        world.link(right, receivers[-1], **(access or {}))
    return Dumbbell(senders, receivers, left, right, middle)


def from_dict(data: Mapping[str, Any], config: StackConfig | None = None) -> World:
    """A new world as a dictionary describes it, one read from TOML or JSON for instance:

        seed = 7                                          faults of all links stand here too: delay = "1ms"
        hosts = ["a", "b"]                                or {a = "10.1.0.1", b = "10.2.0.1"}
        routers = ["r"]
        links = {"a r" = "rate=10M,delay=5ms", "r b" = {there = "loss=1%", back = "ack_loss=5%", metric = 3}}

    Links name two nodes with a blank between them; faults are texts for `Faults.parse`. Raises UsageError.
    """
    texts = ",".join(f"{key}={value}" for key, value in data.items() if key not in PARTS)
    world = World(**_fields(texts))
    fill(world, data, config)
    return world


def fill(world: World, data: Mapping[str, Any], config: StackConfig | None = None) -> None:
    """Put into a world what `from_dict` reads of hosts, routers and links. Raises UsageError."""
    for name, address in _named(data.get("hosts", ())):
        world.host(name, address, config)
    for name, address in _named(data.get("routers", ())):
        world.router(name, address)
    for ends, what in data.get("links", {}).items():
        names = ends.split()
        if len(names) != 2:
            raise UsageError(f"the link {ends!r} does not join two nodes: write their names with a blank between them, like 'a b'")
        parts = {"there": what} if isinstance(what, str) else dict(what)
        strange = parts.keys() - {"there", "back", "metric", "name"}
        if strange:
            raise UsageError(f"the link {ends!r} says {min(strange)!r}: it may say there, back, metric and name")
        there, back = _fields(parts.get("there", "")), _fields(parts.get("back", ""))
        world.link(names[0], names[1], parts.get("name", ""), back=back, metric=int(parts.get("metric", 1)), **there)


def _named(nodes: Mapping[str, str] | Iterable[str]) -> list[tuple[str, str | None]]:
    if isinstance(nodes, Mapping):
        return [(name, address or None) for name, address in nodes.items()]
    return [(name, None) for name in nodes]


def _fields(text: str) -> FaultArguments:
    """Those that the text sets, so that the others stay as they would be."""
    faults = Faults.parse(text)
    keys = [item.partition("=")[0].strip() for item in text.split(",") if item.strip()]
    return cast(FaultArguments, {key: getattr(faults, key) for key in keys})
