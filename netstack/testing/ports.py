"""Doors into single cores, for tests, tools and benchmarks.

Methods that run per packet are compiled, and Python can't call them. A stack is best driven from its ends (a wire below, a
stream above); where one layer alone is looked at, these stand in for its neighbours. A test that uses them runs unchanged on
both builds.
"""

from .. import const, raw
from ..cores import Frame, FrameSink, LinkCore, NextHopCore, Out
from ..timers import Timer, Timers


class SinkPort:
    """Stands below a FrameSink and hands it frames."""

    __slots__ = ("pool_size", "sink")

    def __init__(self, sink: FrameSink, size: int = 2048) -> None:
        self.sink = sink
        self.pool_size = size

    def input(self, frame: bytes, now: int) -> Frame:
        """Hand `frame` up; returns what the layers above made of it."""
        f = Frame(self.pool_size)
        raw.fill(f.buf, 0, frame, 0, raw.size(frame))
        f.end = raw.size(frame)
        f.now = now
        self.sink.input(f)
        return f

    def flush(self, now: int) -> None:
        self.sink.flush(now)


class FrameTap(FrameSink):
    """Stands above a link and keeps what it learns of each frame: payload, cast, link source; and how often it was flushed."""

    __slots__ = ("flushed", "frames")

    def __init__(self) -> None:
        self.frames: list[tuple[bytes, int, int]] = []
        self.flushed = 0

    def input(self, f: Frame) -> None:
        self.frames.append((raw.take(f.buf, f.off, f.end - f.off), f.cast, f.lsrc))

    def flush(self, now: int) -> None:
        self.flushed += 1


class LinkPort:
    """Stands above a link and sends payloads."""

    __slots__ = ("core", "out")

    def __init__(self, core: LinkCore) -> None:
        self.core = core
        self.out = Out()

    def send(self, payload: bytes, ethertype: int, dst: int, now: int, gso: int = 0) -> None:
        p = self.out
        p.reset()
        p.data = payload
        p.n = raw.size(payload)
        p.gso = gso
        self.core.send(p, ethertype, dst, now)


class HopPort:
    """Stands above a next hop and sends packets: `head` as headers, `payload` as payload, offloads as given."""

    __slots__ = ("core", "out")

    def __init__(self, core: NextHopCore) -> None:
        self.core = core
        self.out = Out()

    def send(
        self, payload: bytes, next_hop: int, now: int, src: int = 0, head: bytes = b"", l4: int = 0, csum_off: int = 0, gso: int = 0
    ) -> None:
        p = self.out
        p.reset()
        p.off = const.HEADROOM - len(head)
        raw.pbytes(p.hdr, p.off, head)
        p.data = payload
        p.n = raw.size(payload)
        p.src = src
        p.l4 = l4
        p.csum_off = csum_off
        p.gso = gso
        self.core.send(p, next_hop, now)
        p.data = None

    def progress(self, next_hop: int, now: int) -> None:
        self.core.progress(next_hop, now)


class NullLink(LinkCore):
    """A link that drops and counts."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def send(self, p: Out, ethertype: int, dst: int, now: int) -> None:
        self.count += 1


class LinkTap(LinkCore):
    """A link that keeps what it is given: (bytes, EtherType, destination, l4, csum_off, gso) for each packet."""

    __slots__ = ("sent",)

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, int, int, int, int, int]] = []

    def send(self, p: Out, ethertype: int, dst: int, now: int) -> None:
        self.sent.append((p.tobytes(), ethertype, dst, p.l4, p.csum_off, p.gso))


class NullTimer(Timer):
    """A deadline that does nothing when it comes but count."""

    __slots__ = ("fired",)

    def __init__(self) -> None:
        super().__init__()
        self.fired = 0

    def expire(self, now: int) -> None:
        self.fired += 1


def rearm(wheel: Timers, timers: list[NullTimer], now: int, rounds: int, spread: int) -> None:
    """Move each of `timers` by a different distance below `spread` ns, `rounds` times: the loop of a benchmark."""
    n = len(timers)
    step = spread // (n * rounds)
    when = now
    for _ in range(rounds):
        for i in range(n):
            when += step
            wheel.arm(timers[i], when)


def rearm_one(wheel: Timers, timer: NullTimer, now: int, count: int, spread: int) -> None:
    """Move one timer `count` times, as a busy connection does: the loop of a benchmark."""
    step = spread // count
    when = now
    for _ in range(count):
        when += step
        wheel.arm(timer, when)


def send_many(core: NextHopCore, next_hop: int, count: int, now: int) -> None:
    """Send `count` packets of headers only: the loop of a benchmark."""
    p = Out()
    for _ in range(count):
        p.off = 100
        core.send(p, next_hop, now)


def input_many(sink: FrameSink, frame: bytes, count: int, now: int) -> None:
    """Hand the same frame up `count` times: the loop of a benchmark."""
    n = len(frame)
    f = Frame(2048)
    raw.fill(f.buf, 0, frame, 0, n)
    f.now = now
    for _ in range(count):
        f.off = 0
        f.end = n
        sink.input(f)


def sum_many(data: bytearray, count: int) -> int:
    """Add up the checksum of `data`, `count` times: the loop of a benchmark."""
    n = len(data)
    total = 0
    for _ in range(count):
        total += raw.csum(data, 0, n, 0)
    return total
