from __future__ import annotations

import math

from netstack.instant import MILLISECOND, SECOND
from netstack.testing.net import World
from netstack.testing.topology import pair

from .flows import MSS, config, flow
from .table import Column, Table, Values

SKIP, EPOCHS = 12, 8  # epochs of slow start and of finding the level; epochs that count


def published(cc: str, rtt: float, distance: int) -> float:
    """The mean window in segments. Reno: sqrt(3 / 2p), as bytes are counted (Mathis and others, 1997, with b = 1). CUBIC: RFC
    9438 5.1, equation 6, or Reno's where that is larger."""
    reno = math.sqrt(1.5 * distance)
    return reno if cc == "reno" else max(reno, (0.4 * 3.7 / 1.2) ** 0.25 * (rtt * distance) ** 0.75)


def measure(cc: str, rtt: str, distance: str) -> Values:
    n = int(distance)
    world = World(seed=1)
    # wide enough for the largest window to leave within half of a round trip, so that nothing but the losses governs
    a, b, link = pair(world, config(cc, 4 << 20), rate=200_000_000, queue=10_000, delay=int(rtt) * MILLISECOND // 2)
    link.there.change(drop=tuple(n * k for k in range(1, SKIP + EPOCHS + 1)))
    _, meter = flow(a, b)
    mib = link.there.mib
    world.run(until=lambda: mib.Picked >= SKIP, limit=10_000 * SECOND)
    start, had = world.now, meter.count
    world.run(until=lambda: mib.Picked >= SKIP + EPOCHS, limit=10_000 * SECOND)
    segments = (meter.count - had) / MSS
    window = segments * int(rtt) * MILLISECOND / (world.now - start)
    model = published(cc, int(rtt) / 1000, n)
    return window, model, window / model


TABLE = Table(
    name="response",
    title="Response to loss, and what is published",
    about="""
One flow that nothing limits but losses: exactly one new segment in `distance` is lost. The mean window is the goodput in segments
times the round trip, over 8 epochs from loss to loss. Published: 1.22 / sqrt(p) for Reno; RFC 9438, equation 6, for CUBIC, or
Reno's where that is larger. The tests hold the ratio within 15 % of 1, whatever is recorded here.
""",
    keys=(("cc", "congestion control"), ("rtt", "round trip in ms"), ("distance", "from loss to loss, in segments: 1/p")),
    columns=(
        Column("window", "the mean window, in segments", 5, 0.3, 1),
        Column("published", "by the formula", 0, 0, 1),
        Column("ratio", "of the two", 0, 0.05, 3),
    ),
    rows=(
        ("reno", "100", "400"),
        ("reno", "100", "1000"),
        ("reno", "100", "5000"),
        ("reno", "20", "1000"),
        ("cubic", "100", "400"),
        ("cubic", "100", "1000"),
        ("cubic", "100", "10000"),
        ("cubic", "20", "5000"),
        ("cubic", "200", "3000"),
    ),
    measure=measure,
    pure=lambda row: row[2] == "400",
    law=lambda row, values: "" if abs(values[2] - 1) <= 0.15 else f"{values[2]:.3f} of what is published",
)
