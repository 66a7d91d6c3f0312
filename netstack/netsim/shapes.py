"""Topologies as a mark or a keyword names them.

"pair"                    hosts a and b, and a link
"star:web,db,cache"       hosts of these names around a router
"chain:3"                 a, three routers, b
"dumbbell:4"              s1 … s4, a bottleneck between two routers, d1 … d4
{"hosts": […], …}         as `testing.topology.from_dict` reads it
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import UsageError
from ..testing import topology
from ..testing.net import World

EXAMPLES = "'pair', 'star:web,db', 'chain:3', 'dumbbell:4', or a dict of hosts, routers and links"


def build(world: World, shape: str | Mapping[str, Any]) -> None:
    """Put the hosts, routers and links of `shape` into `world`. Raises UsageError."""
    if isinstance(shape, Mapping):
        strange = shape.keys() - set(topology.PARTS)
        if strange:
            raise UsageError(
                f"a topology says {min(strange)!r}: it has {', '.join(topology.PARTS)}; faults and the seed stand beside it"
            )
        topology.fill(world, shape)
        return
    if not isinstance(shape, str):
        raise UsageError(f"{shape!r} is not a topology: write {EXAMPLES}")
    kind, _, rest = shape.partition(":")
    match kind:
        case "pair" if not rest:
            topology.pair(world)
        case "star":
            names = [name.strip() for name in rest.split(",") if name.strip()]
            if not names:
                raise UsageError("a star has no hosts: name them, as in 'star:web,db'")
            topology.star(world, names)
        case "chain":
            topology.chain(world, _number(shape, rest))
        case "dumbbell":
            topology.dumbbell(world, _number(shape, rest))
        case _:
            raise UsageError(f"{shape!r} is not a topology: write {EXAMPLES}")


def _number(shape: str, text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise UsageError(f"{shape!r} says no number: write {EXAMPLES}")
    return int(text)
