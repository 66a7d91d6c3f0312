from __future__ import annotations

from netstack.instant import MILLISECOND, SECOND
from netstack.testing.net import Host, Link, World
from netstack.testing.topology import pair

from .flows import MSS, Meter, config, count, flow
from .table import Column, Row, Table, Values

SEGMENTS = 1200
RATE = 400_000_000  # so fast that round trips and timers alone count

# what is dropped, and the last segment that is affected
DATA = {
    "single": ("200", 200),
    "two-apart": ("200+205", 205),
    "burst-5": ("200-204", 204),
    "burst-20": ("200-219", 219),
    "every-other-10": ("+".join(str(n) for n in range(200, 220, 2)), 218),
    "first": ("1", 1),
    "early": ("3", 3),
    "retransmission": ("200+200r1", 200),
    "retransmission-twice": ("200+200r1+200r2", 200),
    "burst-and-again": ("200-204+200-204r1", 204),
    "tail-1": (f"{SEGMENTS}", SEGMENTS),
    "tail-3": (f"{SEGMENTS - 2}-{SEGMENTS}", SEGMENTS),
    "tail-10": (f"{SEGMENTS - 9}-{SEGMENTS}", SEGMENTS),
    "tail-and-again": (f"{SEGMENTS}+{SEGMENTS}r1", SEGMENTS),
}
ACKS = {"acks-half": (0.5, 0), "acks-most": (0.9, 0), "acks-all-1-rtt": (1.0, 1), "acks-all-3-rtt": (1.0, 3)}


def begin(cc: str, rtt: str, drop: str = "") -> tuple[World, Host, Link, Meter]:
    world = World(seed=1)
    a, b, link = pair(world, config(cc, 4 << 20), rate=RATE, queue=10_000, delay=int(rtt) * MILLISECOND // 2)
    link.there.change(drop=drop)
    _, meter = flow(a, b, SEGMENTS * MSS)
    return world, a, link, meter


def finish(world: World, meter: Meter) -> int:
    world.run(until=lambda: meter.count == SEGMENTS * MSS, limit=100 * SECOND)
    return meter.last


def measure(loss: str, cc: str, rtt: str) -> Values:
    world, a, link, meter = begin(cc, rtt)
    perfect = finish(world, meter)
    repaired = 0.0
    if loss in ACKS:
        share, rtts = ACKS[loss]
        world, a, link, meter = begin(cc, rtt)
        world.run(until=lambda: meter.count >= 50 * MSS)
        link.back.change(ack_loss=share)
        if rtts:
            world.rest(rtts * int(rtt) * MILLISECOND)
            link.back.change(ack_loss=0.0)
        took = finish(world, meter)
    else:
        drop, last = DATA[loss]
        world, a, link, meter = begin(cc, rtt, drop)
        world.run(until=lambda: link.there.mib.Picked > 0)
        due = world.now + int(rtt) * MILLISECOND // 2
        world.run(until=lambda: meter.count >= last * MSS, limit=100 * SECOND)
        repaired = (meter.last - due) / MILLISECOND
        took = finish(world, meter)
    done = count(a, "RetransSegs"), count(a, "TCPTimeouts"), count(a, "TCPLossProbes")
    return (repaired, (took - perfect) / MILLISECOND, *done)


def pure(row: Row) -> bool:
    return row[1] == "cubic" and row[2] == "20"


def law(row: Row, values: Values) -> str:
    """RFC 8985 7: a tail loss is repaired by a probe, and what the probe tells, not by a time-out; and so is any loss but that of
    the probe itself."""
    rtos, probes = values[3], values[4]
    if rtos and row[0] != "tail-and-again":
        return f"{rtos:.0f} time-outs, where there is none to wait for"
    return "no probe was sent" if row[0].startswith("tail") and not probes else ""


TABLE = Table(
    name="recovery",
    title="Time to recover from losses",
    about=f"""
One flow of {SEGMENTS} segments over 400 Mbit/s, and one loss of the named kind. Segments are numbered from 1.

single, two-apart, burst-5, burst-20: from segment 200 on; every-other-10: ten of twenty; first, early: segments 1 and 3
retransmission: segment 200 and its first retransmission, -twice: the second one too; burst-and-again: 200 to 204, each twice
tail-1, -3, -10: the last ones before the FIN; tail-and-again: the last one and its first retransmission
acks-half, acks-most: that share of all ACKs without data, from the 50th segment on; acks-all-…: all, for so many round trips
""",
    keys=(("loss", "its kind"), ("cc", "congestion control"), ("rtt", "round trip in ms")),
    columns=(
        Column("repaired", "ms from when the first lost segment was due to when all of them are there", 15, 8, 1),
        Column("longer", "ms that the whole transfer takes longer than without a loss", 15, 10, 1),
        Column("again", "segments retransmitted", 20, 2),
        Column("rtos", "retransmission time-outs", 0, 0),
        Column("probes", "tail loss probes", 0, 1),
    ),
    rows=tuple((loss, cc, rtt) for loss in (*DATA, *ACKS) for cc in ("reno", "cubic") for rtt in ("20", "100")),
    measure=measure,
    pure=pure,
    law=law,
)
