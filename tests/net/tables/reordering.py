from __future__ import annotations

import itertools

from netstack.instant import MILLISECOND, SECOND
from netstack.testing.net import World
from netstack.testing.topology import pair

from .flows import config, count, flow
from .table import Column, Table, Values

SIZE = 4_000_000
BUFFER = 384 << 10  # four bandwidth-delay products, so that windows never overflow the queue
HOLD = 40 * MILLISECOND  # a round trip: nobody can wait for more


def measure(cc: str, by: str, share: str) -> Values:
    runs = [run(cc, by, share, seed) for seed in range(2 if share == "10" else 1)]
    return tuple(sum(values) / len(runs) for values in zip(*runs, strict=True))


def run(cc: str, by: str, share: str, seed: int) -> Values:
    world = World(seed=seed)
    faults = {"reorder": float(share) / 100, "reorder_past": int(by), "hold": HOLD} if int(by) else {}
    a, b, link = pair(world, config(cc, BUFFER), rate=20_000_000, queue=300, delay=20 * MILLISECOND)
    link.there.change(**faults)  # type: ignore[arg-type]  # as written
    _, meter = flow(a, b, SIZE)
    world.run(until=lambda: meter.count == SIZE, limit=100 * SECOND)
    goodput = SIZE * 8 * 1000 / meter.last
    world.rest(SECOND)
    undone = count(a, "TCPFullUndo", "TCPDSACKUndo", "TCPLossUndo")
    entered = count(a, "TCPSackRecovery", "TCPRenoRecovery")
    return goodput, count(a, "RetransSegs"), entered, undone, count(a, "TCPTimeouts")


TABLE = Table(
    name="reordering",
    title="Reordering by 1 to 64 segments",
    about="""
One flow of 4 MB over 20 Mbit/s, 40 ms round trip, windows of 384 KiB, a queue that holds them: some segments are held back until
exactly so many others have arrived, but 40 ms at most. Nothing is lost, so every retransmission is spurious. The mean of 2 seeds
where a tenth is held back.
""",
    keys=(
        ("cc", "congestion control"),
        ("by", "so many segments arrive before one that is held back; 0: none is"),
        ("share", "of all segments that are held back, in per cent"),
    ),
    columns=(
        Column("goodput", "Mbit/s of user's data", 8, 0.2, 2),
        Column("again", "segments retransmitted", 40, 5),
        Column("entered", "times that fast recovery was entered", 40, 4),
        Column("undone", "of these, found to be spurious and undone", 40, 4),
        Column("rtos", "retransmission time-outs", 0, 0),
    ),
    rows=tuple(
        (*row[:2], share)
        for row in itertools.product(("reno", "cubic"), ("0", "1", "2", "3", "4", "8", "16", "32", "64"))
        for share in (("0",) if row[1] == "0" else ("1", "10"))
    ),
    measure=measure,
    pure=lambda row: row[0] == "cubic" and row[1] in ("3", "16") and row[2] == "1",
)
