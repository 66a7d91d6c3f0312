"""Netifs around netifs, and hosts without a stack: what tests and tools put between a device and a stack, or in its place."""

from collections import deque
from collections.abc import Callable, Iterable

from .. import const
from ..adapters import FramePort, PySink
from ..instant import Instant
from ..netif import FrameNetif
from ..signatures import Netif

# A stack that answers itself endlessly must not eat the machine: 65,536 frames of 1500 bytes are 100 MB.
LOOPBACK_LIMIT = 65_536


class Probe:
    """A host without a stack: sends whole frames, keeps those that arrive, and answers them if it was told how.

    An actor for the VirtualClock. `answer(frame, now)` gives the frames to send back: a scripted peer in one function.
    """

    def __init__(self, netif: Netif, answer: "Callable[[bytes, int], Iterable[bytes]] | None" = None) -> None:
        self.netif = netif
        self.frames: list[tuple[int, bytes]] = []
        self.batches = 0
        self._answer = answer
        self._port = FramePort(netif.core)
        netif.attach(PySink(self))

    @property
    def name(self) -> str:
        return self.netif.name

    def send(self, frame: bytes, now: int) -> None:
        self._port.send(frame, now)

    def take(self) -> list[bytes]:
        """The frames that have arrived since the last `take`."""
        frames = [frame for _, frame in self.frames]
        self.frames.clear()
        return frames

    def run(self, now: Instant) -> None:
        self.netif.poll(now)

    def next_deadline(self) -> "Instant | None":
        return self.netif.next_deadline()

    def on_frame(self, frame: bytes, now: int) -> None:
        self.frames.append((now, frame))
        if self._answer is not None:
            for reply in self._answer(frame, now):
                self._port.send(reply, now)

    def on_flush(self, now: int) -> None:
        self.batches += 1


class Loopback(FrameNetif):
    """What is sent comes back, at the next poll: bare internet datagrams, no link addresses."""

    def __init__(self, name: str = "lo", mtu: int = 65_535) -> None:
        super().__init__(name, None, mtu)
        self.dropped = 0
        self._inbox: deque[bytes] = deque()

    def transmit(self, frame: bytes, now: int) -> None:
        if len(self._inbox) >= LOOPBACK_LIMIT:
            self.dropped += 1
            return
        self._inbox.append(frame)
        self.wake()

    def next_deadline(self) -> "Instant | None":
        return Instant(0) if self._inbox else None

    def poll(self, now: Instant) -> bool:
        due = [self._inbox.popleft() for _ in range(min(len(self._inbox), const.BATCH))]
        for frame in due:
            self.receive(frame, now)
        if due:
            self.flush(now)
        return bool(self._inbox)
