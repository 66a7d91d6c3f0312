"""Diagrams as shapes: times and numbers to coordinates of a plot that is WIDE by HIGH, and can be stretched to any size.

Each diagram is a few paths, one for each kind of thing, so that its size depends on the width and not on the traffic. Dots are
lines of no length with round ends: they stay round however the plot is stretched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs

from ..instant import SECOND
from .findings import duration, size
from .talk import Talk
from .way import Way

WIDE, HIGH = 1000, 400
BINS = 120  # of a curve of throughput
FEW = 3  # segments that need no diagram
MOST = 2500  # lines of one kind in a picture: more would lie on each other


@attrs.frozen
class Shape:
    """A path of one kind. `kind` is its class, `label` what the legend says, "" for nothing."""

    kind: str
    path: str
    label: str


@attrs.frozen
class Diagram:
    title: str
    about: str  # what one sees, for who does not
    shapes: Sequence[Shape]
    across: Sequence[tuple[float, str]]  # marks of the axis: where, from 0 to 1, and what it says
    up: Sequence[tuple[float, str]]
    began: int  # what the time axis spans, in ns
    ended: int


class Plane:
    """From (t, value) to the plot."""

    def __init__(self, t0: int, t1: int, low: int, high: int) -> None:
        self.t0, self.low = t0, low
        self.span = max(t1 - t0, 1)
        self.rise = max(high - low, 1)

    def x(self, t: int) -> float:
        return round((t - self.t0) * WIDE / self.span, 1)

    def y(self, value: float) -> float:
        return round(HIGH - (value - self.low) * HIGH / self.rise, 1)

    def across(self) -> list[tuple[float, str]]:
        return [((t - self.t0) / self.span, plain(duration(t))) for t in _round_numbers(self.t0, self.t0 + self.span, 6)]

    def up(self, text: Callable[[int], str] = size) -> list[tuple[float, str]]:
        return [((v - self.low) / self.rise, plain(text(v))) for v in _round_numbers(self.low, self.low + self.rise, 5)]


def plain(text: str) -> str:
    """Of a round number: without zeros behind the point, and 0 without a unit."""
    number, _, unit = text.partition(" ")
    number = number.rstrip("0").rstrip(".") if "." in number else number
    return f"{number} {unit}" if number != "0" else "0"


def _round_numbers(low: int, high: int, about: int) -> list[int]:
    rough = max((high - low) / about, 1)
    step = 10 ** (len(str(int(rough))) - 1)
    while step * about < high - low:
        for factor in (2, 5, 10):
            if step * factor * about >= high - low:
                step *= factor
                break
        else:
            step *= 10
    first = -(-low // step) * step
    return list(range(int(first), int(high) + 1, int(step)))


def thin(items: Sequence[tuple[float, float, float, float]]) -> list[tuple[float, float, float, float]]:
    """Lines (x0, y0, x1, y1), of which those in one column that touch each other are one."""
    kept: list[list[float]] = []
    for x0, y0, x1, y1 in items:
        if kept and abs(kept[-1][0] - x0) < 0.8 and abs(kept[-1][3] - y0) < 1.5:
            kept[-1][2:] = [x1, y1]
        else:
            kept.append([x0, y0, x1, y1])
    while len(kept) > MOST:
        kept = kept[::2]
    return [(a, b, c, d) for a, b, c, d in kept]


def lines(items: Iterable[tuple[float, float, float, float]]) -> str:
    return "".join(f"M{x0:g} {y0:g}L{x1:g} {y1:g}" for x0, y0, x1, y1 in items)


def steps(plane: Plane, points: Sequence[tuple[int, int]], until: int) -> str:
    """A line that stays until it changes."""
    points = [point for point in points if point[0] >= 0]
    if not points:
        return ""
    while len(points) > MOST:
        points = [points[0], *points[2::2]] if len(points) % 2 else points[1::2]
    path = [f"M{plane.x(points[0][0]):g} {plane.y(points[0][1]):g}"]
    last = 0.0
    for t, value in points[1:]:
        x = plane.x(t)
        if x - last >= 0.4:
            path.append(f"H{x:g}V{plane.y(value):g}")
            last = x
        else:
            path.append(f"V{plane.y(value):g}")
    path.append(f"H{plane.x(until):g}")
    return "".join(path)


def diagrams(talk: Talk) -> list[Diagram]:
    """Of both directions, as far as there is something in them."""
    drawn: list[Diagram] = []
    ways = [way for way in ((talk.out, "client", "server"), (talk.back, "server", "client")) if way[0].bytes]
    ways.sort(key=lambda each: -each[0].packets)
    for way, who, other in ways:
        if way is ways[0][0] or way.packets > FEW:
            drawn.append(sequence(talk, way, who, other))
    # seen beside the receiver, a round trip is only the time that it takes to answer: the longer one says more of the path
    timed = [each for each in ways if len(each[0].rtts.points) > 1 and each[0].srtt > 1000]
    for way, who, _ in sorted(timed, key=lambda each: -each[0].min_rtt)[:1]:
        drawn.append(round_trips(talk, way, who))
    for way, who, other in ways[:1]:
        if len(way.flights.points) > 2:
            drawn.append(in_flight(talk, way, who, other))
        if len(way.runs.lines) > 2:
            drawn.append(throughput(talk, way, who))
    return drawn


def _span(talk: Talk) -> tuple[int, int]:
    """From the beginning to the last that is drawn: what follows is silence, or a FIN after it."""
    last = talk.began
    for way in (talk.out, talk.back):
        last = max([last, *(line[2] for line in way.runs.lines[-1:]), *(mark[0] for mark in way.marks.all[-1:])])
        last = max([last, *(t for points in (way.acks.points, way.edges.points) for t, _ in points[-1:])])
    return talk.began, max(min(last + (last - talk.began) // 50, talk.last), talk.began + 1)


def sequence(talk: Talk, way: Way, who: str, other: str) -> Diagram:
    """Stevens' diagram: what was sent, the ACKs below it and the end of the window above."""
    t0, t1 = _span(talk)
    edges = max((edge for _, edge in way.edges.points), default=0)
    plane = Plane(t0, t1, 0, int(min(max(way.top, edges) * 1.04, way.top * 1.3)) + 1)  # what matters of a wide window is below

    def marks(*kinds: str) -> list[tuple[float, float, float, float]]:
        found = []
        for t, a, b, what, _ in way.marks.all:
            if what in kinds:
                y0, y1 = plane.y(a), plane.y(b)
                found.append((plane.x(t), y0, plane.x(t), y1))
        return found[:MOST]

    sent = [(plane.x(a), plane.y(b), plane.x(c), plane.y(d)) for a, b, c, d in way.runs.lines]
    sacks = [(plane.x(t), plane.y(a), plane.x(t), plane.y(b)) for t, a, b, _, _ in way.sacks.all]
    again = marks("fast", "timeout", "tail", "needless", "again")
    shapes = [
        Shape("edge", steps(plane, way.edges.points, t1), f"end of the {other}'s window"),
        Shape("ack", steps(plane, way.acks.points, t1), f"acknowledged by the {other}"),
        Shape("sack", lines(thin(sacks)), "SACKed"),
        Shape("sent", lines(thin(sent)), f"sent by the {who}"),
        Shape("again", lines(again), "sent again"),
        Shape("dot again", lines((x0, (y0 + y1) / 2, x0, (y0 + y1) / 2) for x0, y0, _, y1 in again), ""),
        Shape("dot late", lines((x0, (y0 + y1) / 2, x0, (y0 + y1) / 2) for x0, y0, _, y1 in marks("late")), "came late"),
        Shape("dot probe", lines((x0, y0, x0, y0) for x0, y0, _, _ in marks("probe")), "probe"),
    ]
    count = way.again()
    about = f"{size(way.bytes)} in {duration(t1 - t0)}" + (f", {count} segments sent again" if count else ", nothing sent again")
    return Diagram(f"What the {who} sent", about, [s for s in shapes if s.path], plane.across(), plane.up(), t0, t1)


def curve(plane: Plane, points: Sequence[tuple[int, int, int]]) -> str:
    while len(points) > MOST:
        points = [(x[0], min(x[1], y[1]), max(x[2], y[2])) for x, y in zip(points[::2], points[1::2], strict=False)]
    return lines((plane.x(t), plane.y(low), plane.x(t), plane.y(high)) for t, low, high in points)


def round_trips(talk: Talk, way: Way, who: str) -> Diagram:
    t0, t1 = _span(talk)
    plane = Plane(t0, t1, 0, int(max(high for _, _, high in way.rtts.points) * 1.08) + 1)
    shape = Shape("dot rtt", curve(plane, way.rtts.points), "from data to its ACK")
    floor = Shape("ack", f"M0 {plane.y(way.min_rtt):g}H{WIDE}", "the shortest")
    about = f"{duration(way.min_rtt)} at least, smoothed {duration(way.srtt)} at the end; as seen from where it was captured"
    return Diagram(f"Round trips of the {who}'s data", about, [floor, shape], plane.across(), plane.up(duration), t0, t1)


def in_flight(talk: Talk, way: Way, who: str, other: str) -> Diagram:
    t0, t1 = _span(talk)
    most = max(high for _, _, high in way.flights.points)
    windows = [(t, max(edge - _at(way.acks.points, t), 0)) for t, edge in way.edges.points]
    widest = max((window for _, window in windows), default=0)
    plane = Plane(t0, t1, 0, int(min(max(most, widest) * 1.06, most * 1.6)) + 1)
    points = way.flights.points
    shapes = [
        Shape("edge", steps(plane, windows, t1), f"the {other}'s window"),
        Shape("sent", steps(plane, [(t, high) for t, _, high in points], t1), "in flight"),
    ]
    about = f"{size(most)} at most"
    return Diagram(f"The {who}'s bytes in flight", about, [s for s in shapes if s.path], plane.across(), plane.up(), t0, t1)


def _at(points: Sequence[tuple[int, int]], t: int) -> int:
    """The value at `t` of a line of steps."""
    low, high = 0, len(points)
    while low < high:
        middle = (low + high) // 2
        if points[middle][0] <= t:
            low = middle + 1
        else:
            high = middle
    return points[low - 1][1] if low else 0


def throughput(talk: Talk, way: Way, who: str) -> Diagram:
    t0, t1 = _span(talk)
    bins = [0.0] * BINS
    width = max((t1 - t0) / BINS, 1)
    for a, seq, b, end in way.runs.lines:
        first, last = (min(int((t - t0) / width), BINS - 1) for t in (a, b))
        for i in range(first, last + 1):
            bins[i] += (end - seq) / (last - first + 1)
    rates = [n * SECOND / width for n in bins]
    plane = Plane(t0, t1, 0, int(max(rates) * 1.08) + 1)
    points = [(int(t0 + i * width), int(rate)) for i, rate in enumerate(rates)]
    path = steps(plane, points, t1)
    mean = way.bytes * SECOND / max(way.last - way.first, 1)
    shapes = [Shape("fill", f"{path}V{HIGH}H0Z", ""), Shape("sent", path, "new data")]
    about = f"{size(mean)} in a second on average, {size(max(rates))} at most"
    return Diagram(f"Throughput of the {who}", about, shapes, plane.across(), plane.up(lambda n: size(n) + "/s"), t0, t1)
