from __future__ import annotations

import itertools

from netstack.instant import MILLISECOND, SECOND
from netstack.testing.net import World

from .flows import config, count, flow
from .table import Column, Table, Values

BEFORE = 3 * SECOND
AFTER = 6 * SECOND
RATE = 10_000_000


def build(cc: str) -> World:
    """a - r1 - (r2 | r3) - r4 - b: by r2 10 ms each way and 10 Mbit/s, by r3 as the change says."""
    world = World(seed=3)
    for name in ("a", "b"):
        world.host(name, config=config(cc))
    for n in range(1, 5):
        world.router(f"r{n}")
    for ends in ("a r1", "r4 b"):
        world.link(*ends.split(), delay=MILLISECOND)
    for ends in ("r1 r2", "r2 r4", "r1 r3", "r3 r4"):
        world.link(*ends.split(), rate=RATE, queue=60, delay=4 * MILLISECOND, metric=1 if "r2" in ends else 2)
    return world


def other(world: World, **faults: object) -> None:
    """By r3 from now on."""
    for name in ("r1-r3", "r3-r4"):
        world.links[name].change(**faults)  # type: ignore[arg-type]  # as written
    world.down("r1-r2")


def blackout(world: World, length: int) -> None:
    link = world.links["r1-r2"]
    link.cut()
    world.clock.call_later(length, link.mend)


CHANGES = {
    "none": lambda world: None,
    "same": other,
    "shorter": lambda world: other(world, delay=MILLISECOND),
    "longer-40": lambda world: other(world, delay=20 * MILLISECOND),
    "longer-150": lambda world: other(world, delay=75 * MILLISECOND),
    "narrower": lambda world: other(world, rate=RATE // 4),
    "wider": lambda world: other(world, rate=RATE * 4),
    "mtu-1000": lambda world: other(world, mtu=1000),
    "cut-100ms": lambda world: blackout(world, 100 * MILLISECOND),
    "cut-1s": lambda world: blackout(world, SECOND),
}


def measure(change: str, cc: str) -> Values:
    world = build(cc)
    a, b = world.hosts
    _, meter = flow(a, b)
    world.rest(BEFORE)
    had, again, rtos = meter.count, count(a, "RetransSegs"), count(a, "TCPTimeouts")
    meter.watch(world.now)
    CHANGES[change](world)
    world.rest(AFTER)
    goodput = (meter.count - had) * 8 * 1000 / AFTER
    return goodput, meter.gap / MILLISECOND, count(a, "RetransSegs") - again, count(a, "TCPTimeouts") - rtos


TABLE = Table(
    name="route",
    title="A new route in mid flow",
    about="""
One flow for 3 s by a path of 10 Mbit/s with queues of 60 frames, 20 ms round trip; then the change, and 6 s that are counted.

none: nothing; same: to a path like the first; shorter: 8 ms round trip; longer-40, longer-150: 40 and 150 ms each way on the way;
narrower, wider: 2.5 and 40 Mbit/s; mtu-1000: routers say that 1000 bytes are the most; cut-…: nothing passes for so long
""",
    keys=(("change", "what happens"), ("cc", "congestion control")),
    columns=(
        Column("goodput", "Mbit/s of user's data in the 6 s after the change", 8, 0.2, 2),
        Column("gap", "ms: the longest time without new data", 20, 15, 1),
        Column("again", "segments retransmitted after the change", 40, 8),
        Column("rtos", "retransmission time-outs after the change", 0, 0),
    ),
    rows=tuple(itertools.product(CHANGES, ("reno", "cubic"))),
    measure=measure,
    pure=lambda row: row in (("longer-40", "cubic"), ("cut-100ms", "cubic")),
)
