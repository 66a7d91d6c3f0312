"""Netifs around netifs, and hosts without a stack: what tests and tools put between a device and a stack, or in its place."""

import heapq
import itertools
import random
from collections.abc import Callable, Iterable
from os import PathLike
from typing import BinaryIO

from .. import const, pcap
from ..adapters import FramePort, PySink, TeePort, TeeSink
from ..address import Mac
from ..cores import Frame, FrameSink, NetifCore, Out
from ..instant import Instant
from ..loopback import Loopback as Loopback
from ..netif import FrameNetif, carry_plain
from ..signatures import Netif, Rng
from .capture import CaptureFile, completed
from .dissect import describe
from .faults import Faults
from .line import Held, Line, landed

# A stack that answers itself endlessly, or a delay of hours, must not eat the machine: 65,536 frames of 1500 bytes are 100 MB.
HELD_LIMIT = 65_536


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
        carry_plain(netif)
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


class Wrapper:
    """A netif around another that only looks: frames, offloads, descriptor and deadlines are the inner one's.

    Override `on_input` and `on_send`; both get what the cores pass on, which is good only during the call.
    """

    def __init__(self, netif: Netif) -> None:
        self.netif = netif
        self._core = TeePort(self, netif.core)

    def on_input(self, f: Frame) -> None:
        """A frame came up: `f.buf[f.off:f.end]` at `f.now`."""

    def on_flush(self, now: int) -> None:
        """The batch is over, the stack has answered."""

    def on_send(self, p: Out, now: int) -> None:
        """A frame goes down: `p.tobytes()`."""

    @property
    def core(self) -> NetifCore:
        return self._core

    @property
    def name(self) -> str:
        return self.netif.name

    @property
    def mac(self) -> "Mac | None":
        return self.netif.mac

    @property
    def mtu(self) -> int:
        return self.netif.mtu

    @property
    def offload(self) -> int:
        return self.netif.offload

    def plain(self) -> None:
        carry_plain(self.netif)

    def attach(self, sink: FrameSink) -> None:
        self.netif.attach(TeeSink(self, sink))

    def set_waker(self, waker: "Callable[[], None] | None") -> None:
        self.netif.set_waker(waker)

    def fileno(self) -> "int | None":
        return self.netif.fileno()

    def poll(self, now: Instant) -> bool:
        return self.netif.poll(now)

    def next_deadline(self) -> "Instant | None":
        return self.netif.next_deadline()

    def close(self) -> None:
        self.netif.close()


class Capture(Wrapper):
    """Writes what passes into a pcapng file, both ways, with the direction of each frame.

    `epoch` is added to every instant: give the wall clock minus the monotonic one to see dates. A checksum that was left to the
    device stands in the file complete, as it is on the wire. A super-segment stands there whole, as it passed here, and a comment
    says how it is cut.
    """

    def __init__(self, netif: Netif, target: "str | PathLike[str] | BinaryIO", *, epoch: int = 0) -> None:
        super().__init__(netif)
        self.file = CaptureFile(target, epoch)
        self._number = self.file.interface(netif.name, netif.mac is not None)

    def on_input(self, f: Frame) -> None:
        self._write(f.now, bytes(memoryview(f.buf)[f.off : f.end]), pcap.INBOUND, f.csum != const.CSUM_UNKNOWN, f.gso)

    def on_send(self, p: Out, now: int) -> None:
        self._write(now, p.tobytes(), pcap.OUTBOUND, p.csum_off != 0, p.gso)

    def _write(self, now: int, frame: bytes, direction: int, partial: bool, gso: int) -> None:
        if partial:
            frame = completed(frame, 0 if self.netif.mac is None else const.ETH_HEADER)
        comment = f"super-segment, cut every {gso} bytes" if gso else ""
        self.file.frame(self._number, now, frame, direction, comment)

    def close(self) -> None:
        super().close()
        self.file.close()


class Trace(Wrapper):
    """Says what passes, one line for each frame: `0.020000 tap0 < IP 10.0.0.1.80 > …`. `<` came in, `>` went out."""

    def __init__(self, netif: Netif, write: Callable[[str], object] = print) -> None:
        super().__init__(netif)
        self._write = write

    def on_input(self, f: Frame) -> None:
        self._line(f.now, "<", bytes(memoryview(f.buf)[f.off : f.end]))

    def on_send(self, p: Out, now: int) -> None:
        self._line(now, ">", p.tobytes())

    def _line(self, now: int, direction: str, frame: bytes) -> None:
        whole, part = divmod(now // 1000, 1_000_000)
        self._write(f"{whole}.{part:06} {self.name} {direction} {describe(frame, self.netif.mac is not None)}")


class FaultInjector(FrameNetif):
    """A bad cable before any device: `faults` befall what comes in and what goes out, each way by itself.

    `inbound` and `outbound` are its two lines, with their counters. Frames that are held back make a deadline of their own, so
    it works over a descriptor too. It deals in frames as a wire carries them: the device is asked to do without offloads.
    """

    def __init__(self, netif: Netif, faults: Faults, rng: "Rng | None" = None) -> None:
        """Chance comes from `rng`, or from a generator started with `faults.seed`."""
        carry_plain(netif)
        super().__init__(netif.name, netif.mac, min(netif.mtu, faults.mtu))
        rng = random.Random(faults.seed) if rng is None else rng
        header = 0 if netif.mac is None else 14
        self.netif = netif
        self.inbound = Line(faults, rng, header)
        self.outbound = Line(faults, rng, header)
        self._coming: list[tuple[int, int, bytes | Held]] = []
        self._going: list[tuple[int, int, bytes | Held]] = []
        self._order = itertools.count()
        self._port = FramePort(netif.core)
        netif.attach(PySink(self))

    def on_frame(self, frame: bytes, now: int) -> None:
        self._hold(self.inbound, self._coming, frame, now)

    def on_flush(self, now: int) -> None:
        """`poll` hands up what has come, and flushes."""

    def transmit(self, frame: bytes, now: int) -> None:
        self._hold(self.outbound, self._going, frame, now)
        self._release(now)
        if self._going:
            self.wake()

    def poll(self, now: Instant) -> bool:
        more = self.netif.poll(now)
        self._release(now)
        due: list[bytes] = []
        while self._coming and self._coming[0][0] <= now and len(due) < const.BATCH:
            frame = landed(heapq.heappop(self._coming)[2])
            if frame is not None:
                due.append(frame)
        for frame in due:
            self.receive(frame, now)
        if due:
            self.flush(now)
        return more or bool(self._coming and self._coming[0][0] <= now)

    def next_deadline(self) -> "Instant | None":
        inner = self.netif.next_deadline()
        deadlines = [held[0][0] for held in (self._coming, self._going) if held]
        if inner is not None:
            deadlines.append(inner)
        return Instant(min(deadlines)) if deadlines else None

    def set_waker(self, waker: "Callable[[], None] | None") -> None:
        super().set_waker(waker)
        self.netif.set_waker(waker)

    def fileno(self) -> "int | None":
        return self.netif.fileno()

    def close(self) -> None:
        super().close()
        self._coming.clear()
        self._going.clear()
        self.netif.close()

    def _hold(self, line: Line, held: "list[tuple[int, int, bytes | Held]]", frame: bytes, now: int) -> None:
        for arrival, copy in line.carry(frame, now)[0]:
            if len(held) >= HELD_LIMIT:
                line.mib.InboxFull += 1
                continue
            heapq.heappush(held, (arrival, next(self._order), copy))

    def _release(self, now: int) -> None:
        while self._going and self._going[0][0] <= now:
            frame = landed(heapq.heappop(self._going)[2])
            if frame is not None:
                self._port.send(frame, now)
