"""A bad cable between two devices: what one gives goes out of the other, and meets the faults of a line on its way.

    tap0 --- there ---> tap1
    tap0 <--- back ---- tap1

The devices are netifs of any kind, each used by somebody else at its far end: the kernel behind a tap, a stack behind a port
of a wire in memory. The cable reads no clock and waits for nobody: `poll(now)` takes what has come, and lets out what is
due; `next_deadline` is when the next frame is due. So it lives on a virtual clock, and, in `netstack wire`, on the real one.

In real time a frame leaves late when the process does not run in time. `late` says how much at the most, and so whether what was
measured over the cable may be believed.
"""

import heapq
import itertools
import random
from collections.abc import Callable

from .. import const, pcap
from ..adapters import FramePort, PySink
from ..errors import UsageError
from ..instant import Instant
from ..netif import carry_plain
from ..signatures import Netif
from .capture import CaptureFile
from .faults import Faults
from .line import Held, Line, landed

# A delay of hours at full rate must not eat the machine: 65,536 frames of 1500 bytes are 100 MB in each direction.
HELD_LIMIT = 65_536


class Way:
    """One direction: frames from `source` go through `line`, and out of `target`."""

    def __init__(self, source: Netif, target: Netif, line: Line, capture: "CaptureFile | None") -> None:
        self.source = source
        self.line = line
        self.carried = 0
        self.late = 0
        self._port = FramePort(target.core)
        self._held: list[tuple[int, int, bytes | Held]] = []
        self._order = itertools.count()
        self._capture = capture
        self._number = 0 if capture is None else capture.interface(source.name, source.mac is not None)
        source.attach(PySink(self))

    def on_frame(self, frame: bytes, now: int) -> None:
        arrivals, fate = self.line.carry(frame, now)
        if self._capture is not None:
            # as it arrives, if it does: a flipped bit can be seen, and the comment says which
            shown = landed(arrivals[0][1]) if arrivals else frame
            self._capture.frame(self._number, now, shown or frame, pcap.INBOUND, fate)
        for arrival, copy in arrivals:
            if len(self._held) >= HELD_LIMIT:
                self.line.mib.InboxFull += 1
                continue
            heapq.heappush(self._held, (arrival, next(self._order), copy))

    def on_flush(self, now: int) -> None:
        """`release` follows."""

    def release(self, now: int) -> bool:
        """Let out what is due, a batch at the most. True when more is due."""
        held = self._held
        for _ in range(const.BATCH):
            if not held or held[0][0] > now:
                return False
            arrival, _, copy = heapq.heappop(held)
            frame = landed(copy)
            if frame is None:
                continue
            self.late = max(self.late, now - arrival)
            self.carried += 1
            self._port.send(frame, now)
        return bool(held) and held[0][0] <= now

    def next_arrival(self) -> "int | None":
        return self._held[0][0] if self._held else None

    def clear(self) -> None:
        self._held.clear()


class Cable:
    """Joins `a` and `b`. It owns both: `close` closes them.

    Frames go as they would on a wire: neither device may offload anything, and both carry link headers or neither.
    """

    def __init__(
        self, a: Netif, b: Netif, faults: Faults, back: "Faults | None" = None, capture: "CaptureFile | None" = None
    ) -> None:
        """`faults` befall what goes from `a` to `b`; and what comes back, unless `back` says what does. Raises UsageError."""
        for netif in (a, b):
            carry_plain(netif)
        if (a.mac is None) != (b.mac is None):
            raise UsageError(f"{a.name} and {b.name} speak differently, one of them with link headers: join two taps, or two tuns")
        header = 0 if a.mac is None else 14
        back = faults if back is None else back
        self.netifs = (a, b)
        self.there = Way(a, b, Line(faults, random.Random(f"{faults.seed} there"), header), capture)
        self.back = Way(b, a, Line(back, random.Random(f"{back.seed} back"), header), capture)
        self.ways = (self.there, self.back)

    @property
    def late(self) -> int:
        """Nanoseconds by which the most belated frame left after its time."""
        return max(way.late for way in self.ways)

    def poll(self, now: Instant) -> bool:
        """Take a batch from each device, let out what is due. True when more is waiting. Raises OSError when a device is gone."""
        more = False
        for way in self.ways:
            more = way.source.poll(now) or more
        for way in self.ways:
            more = way.release(now) or more
        return more

    def run(self, now: Instant) -> None:
        """For a clock that asks its actors to run: all that is due."""
        while self.poll(now):
            pass

    def next_deadline(self) -> "Instant | None":
        waiting = [way.next_arrival() for way in self.ways] + [netif.next_deadline() for netif in self.netifs]
        return min((Instant(when) for when in waiting if when is not None), default=None)

    def set_waker(self, waker: "Callable[[], None] | None") -> None:
        """`waker` is called when `poll` has become worth a call, by devices that have no descriptor."""
        for netif in self.netifs:
            netif.set_waker(waker)

    def close(self) -> None:
        for way in self.ways:
            way.clear()
        for netif in self.netifs:
            netif.close()
