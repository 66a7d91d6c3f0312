from __future__ import annotations

import itertools
import random

from netstack.instant import MILLISECOND, SECOND
from netstack.testing.net import World
from netstack.testing.topology import dumbbell

from .flows import config, flow
from .table import Column, Table, Values

EACH = 1_000_000  # bit/s
RTT = 100 * MILLISECOND
WARM = 6 * SECOND
TIME = 15 * SECOND


def measure(cc: str, flows: str) -> Values:
    n = int(flows)
    runs = [run(cc, n, seed) for seed in range(max(1, 8 // n))]
    return tuple(sum(values) / len(runs) for values in zip(*runs, strict=True))


def run(cc: str, n: int, seed: int) -> Values:
    rate = EACH * n
    queue = max(10, rate * RTT // SECOND // 8 // 1500)  # a bandwidth-delay product, in frames
    world = World(seed=seed)
    bell = dumbbell(world, n, config(cc, 256 << 10), {"delay": 5 * MILLISECOND}, rate=rate, queue=queue, delay=40 * MILLISECOND)
    dice = random.Random(seed)
    meters = []
    for a, b in zip(bell.senders, bell.receivers, strict=True):
        meters.append(flow(a, b)[1])
        world.rest(dice.randrange(200 * MILLISECOND))
    world.rest(WARM)
    before = [meter.count for meter in meters]
    world.rest(TIME)
    got = [meter.count - had for meter, had in zip(meters, before, strict=True)]
    total = sum(got)
    jain = total**2 / (n * sum(x * x for x in got))
    return jain, 100 * total * 8 * SECOND / TIME / rate, min(got) * n / total, max(got) * n / total


TABLE = Table(
    name="fairness",
    title="Fairness of 2 to 32 flows through one bottleneck",
    about="""
A dumbbell: as many senders as receivers, 100 ms round trip, a bottleneck of 1 Mbit/s for each flow with a drop-tail queue of one
bandwidth-delay product. The flows begin one after another, up to 200 ms apart; 6 s later what each gets in 15 s is counted.
Of few flows several runs are averaged: 4 of two, 2 of four.
""",
    keys=(("cc", "congestion control of all flows"), ("flows", "how many")),
    columns=(
        Column("jain", "Jain's index: 1 when all get the same, 1/n when one gets all", 0, 0.05, 3),
        Column("used", "per cent of the bottleneck's rate that is user's data", 0, 4, 1),
        Column("least", "what the worst-off flow gets, in fair shares", 0, 0.25, 2),
        Column("most", "what the best-off flow gets, in fair shares", 0, 0.4, 2),
    ),
    rows=tuple(itertools.product(("reno", "cubic"), ("2", "4", "8", "16", "32"))),
    measure=measure,
    pure=lambda row: row[1] == "2",
    law=lambda row, values: "" if values[0] > 0.8 and values[1] > 85 else "unfair, or idle",
)
