from __future__ import annotations

import itertools

from netstack.instant import MILLISECOND, SECOND
from netstack.testing.net import World
from netstack.testing.topology import pair

from .flows import config, count, flow
from .table import Column, Row, Table, Values

RATE = 20_000_000
SIZE = 3_000_000
LIMIT = 30 * SECOND
SEEDS = 4


def run(cc: str, buffer: str, loss: str, delay: str, seed: int) -> tuple[float, float]:
    """Mbit/s, and retransmissions in a hundred segments."""
    world = World(seed=seed)
    there = {"rate": RATE, "queue": 100, "delay": int(delay) * MILLISECOND, "loss": float(loss) / 100}
    a, b, link = pair(world, config(cc, int(buffer) << 10), **there, back={"loss": 0.0})  # type: ignore[arg-type]  # as written
    _, meter = flow(a, b, SIZE)
    while meter.count < SIZE and world.now < LIMIT:
        world.rest(20 * MILLISECOND)
    took = meter.last if meter.count >= SIZE else world.now
    return meter.count * 8 * 1000 / took, 100 * count(a, "RetransSegs") / max(1, link.there.mib.Frames)


def measure(cc: str, buffer: str, loss: str, delay: str) -> Values:
    runs = [run(cc, buffer, loss, delay, seed) for seed in range(SEEDS if float(loss) else 1)]
    return tuple(sum(values) / len(runs) for values in zip(*runs, strict=True))


def pure(row: Row) -> bool:
    return row[1] == "256" and row[2] in ("0", "1") and row[3] == "25"


TABLE = Table(
    name="goodput",
    title="Goodput of one flow, by congestion control, buffer, loss and delay",
    about="""
One flow of 3 MB over one link of 20 Mbit/s with a queue of 100 frames, from the SYN to the last byte; what has arrived after
30 s where that is less. Data frames alone are lost, evenly. The mean of 4 seeds where there is loss. At most 19.1 is possible.
""",
    keys=(
        ("cc", "congestion control"),
        ("buffer", "KiB, of the receive window and of the send buffer"),
        ("loss", "of all frames with data, in per cent"),
        ("delay", "ms each way: half the round trip"),
    ),
    columns=(
        Column("goodput", "Mbit/s of user's data", 12, 0.1, 2),
        Column("again", "retransmitted, in per cent of all segments with data", 20, 0.3, 2),
    ),
    rows=tuple(itertools.product(("reno", "cubic"), ("64", "256", "1024"), ("0", "0.1", "1", "5"), ("5", "25", "100"))),
    measure=measure,
    pure=pure,
)
