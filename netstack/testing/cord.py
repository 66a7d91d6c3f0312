"""A patch cord: two stacks of one process joined back to back, as fast as memory is.

    cord = Cord()
    here = Stack(cord.a, …); there = Stack(cord.b, …)

Where `wire.Wire` carries bytes and asks its faults about each of them, a cord carries packets as devices that cut segments and
complete checksums pass them to each other: a super-segment arrives whole, and what never crosses a wire needs no checksum. Each
byte is copied once, out of the sender's memory into a slab of the receiver's. `offload=0` makes both ends ordinary devices
again: complete checksums, one segment to the frame.

Nothing is lost, reordered or changed, but the queue is bounded, and what finds it full is dropped and counted, as by a switch.
The cord reads no clock: it lives on a virtual one as well as under an event loop, which hears of frames by the waker.
"""

from collections.abc import Callable

from .. import const, raw
from ..address import Mac
from ..buffers import Pool
from ..cores import Frame, FrameSink, NetifCore, Out
from ..errors import UsageError
from ..instant import Instant
from ..netif import SLAB, SendOnly

# Frames on their way in one direction. A full receive window of a fast connection (16 MiB) is 256 super-segments; the rest is for
# many small ones. A reader that never polls holds 67 MiB of slabs at the most.
QUEUE = 1024
OFFLOAD = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4 | const.OFFLOAD_GATHER


class End(NetifCore):
    """One end: a netif. What it sends waits in the queue of the other."""

    __slots__ = ("_delay", "_mac", "_mtu", "_name", "_offload", "_waker", "dropped", "head", "peer", "pool", "queue", "sink")

    def __init__(self, name: str, mac: "Mac | None", mtu: int, offload: int, delay: int) -> None:
        self._name = name
        self._mac = mac
        self._mtu = mtu
        self._offload = offload
        self._delay = delay
        self._waker: Callable[[], None] | None = None
        self.sink: FrameSink = SendOnly()
        self.pool = Pool(SLAB)
        self.queue: list[Frame] = []
        self.head = 0  # index of the first in the queue: those before it have been handed up
        self.dropped = 0  # for want of room here
        self.peer: End = None  # type: ignore[assignment]  # `join` follows; None again when either end is closed

    def join(self, peer: "End") -> None:
        self.peer = peer

    def plain(self) -> None:
        """Offer nothing, at both ends: what one leaves undone the other gets. Raises UsageError where somebody counts on it."""
        peer = self.peer
        if self._offload and peer is not None and not isinstance(peer.sink, SendOnly):
            raise UsageError(f"{peer._name} is in use and leaves things undone: make the cord with offload=0")
        self._offload = 0
        if peer is not None:
            peer._offload = 0

    # -- out ------------------------------------------------------------------------------------------------------------------

    def send(self, p: Out, now: int) -> None:
        peer = self.peer
        if peer is None:
            return
        head = const.HEADROOM - p.off
        n = p.n
        waiting = len(peer.queue) - peer.head
        if waiting >= QUEUE or head + n + p.rest_n > SLAB:
            peer.dropped += 1
            return
        f = peer.pool.get()
        raw.move(f.buf, 0, p.hdr, p.off, head)
        if n:
            raw.fill(f.buf, head, p.data, p.o, n)  # type: ignore[arg-type]  # n says that there is some
        n += head
        if p.rest_n:
            n = self.gather(f, n, p)
        f.off = 0
        f.end = n
        f.now = now + self._delay
        f.cast = const.UNICAST
        f.csum = const.CSUM_PARTIAL if p.csum_off else const.CSUM_UNKNOWN
        f.gso = p.gso
        f.kept = 0
        peer.queue.append(f)
        if waiting == 0 and peer._waker is not None:
            peer._waker()

    def gather(self, f: Frame, at: int, p: Out) -> int:
        """Copy the pieces behind the first one to `at` and on. Where they end."""
        end = at + p.rest_n
        for piece in p.rest:  # type: ignore[union-attr]  # rest_n says that there are some
            n = raw.size(piece)
            if n > end - at:
                n = end - at
            raw.fill(f.buf, at, piece, 0, n)
            at += n
        return end

    # -- in: the Netif signature ----------------------------------------------------------------------------------------------

    def poll(self, now: int) -> bool:
        """Hand up at most BATCH of the frames that have arrived, then flush. True when more have."""
        queue, sink, pool = self.queue, self.sink, self.pool
        i = 0
        while i < const.BATCH and self.head < len(queue):
            f = queue[self.head]
            if f.now > now:
                break
            self.head += 1
            i += 1
            f.now = now
            try:
                sink.input(f)
            finally:
                pool.put(f)
        if 2 * self.head >= len(queue):  # places before the head are given back when they are half of all
            raw.behead(queue, self.head)
            self.head = 0
        if i:
            sink.flush(now)
            pool.reclaim()
        return self.due(now)

    def due(self, now: int) -> bool:
        """Has a frame arrived that waits?"""
        if self.head >= len(self.queue):
            return False
        f = self.queue[self.head]
        return f.now <= now

    def next_deadline(self) -> "Instant | None":
        return Instant(self.queue[self.head].now) if self.head < len(self.queue) else None

    @property
    def core(self) -> NetifCore:
        return self

    @property
    def name(self) -> str:
        return self._name

    @property
    def mac(self) -> "Mac | None":
        return self._mac

    @property
    def mtu(self) -> int:
        return self._mtu

    @property
    def offload(self) -> int:
        return self._offload

    def attach(self, sink: FrameSink) -> None:
        if type(self.sink) is not SendOnly:
            raise UsageError(f"{self._name} already has a stack on it: wrap or bridge it to share it")
        self.sink = sink

    def set_waker(self, waker: "Callable[[], None] | None") -> None:
        self._waker = waker

    def fileno(self) -> "int | None":
        return None

    def close(self) -> None:
        """Unplug this end: nothing is sent and nothing arrives any more, here or there."""
        self.queue = []
        self.head = 0
        self.sink = SendOnly()
        self._waker = None
        peer = self.peer
        self.peer = None  # type: ignore[assignment]  # as above
        if peer is not None:
            peer.peer = None  # type: ignore[assignment]


class Cord:
    """`a` and `b` are its ends."""

    def __init__(self, *, mtu: int = 1500, offload: int = OFFLOAD, delay: int = 0, ethernet: bool = True) -> None:
        """`offload` is what both ends offer, OFFLOAD_* flags; `delay` nanoseconds pass between sending and arrival.
        `ethernet=False` carries bare internet datagrams between ends without addresses."""
        if not 68 <= mtu <= 65535:
            raise UsageError(f"no datagram of {mtu} bytes fits: choose an mtu from 68 to 65535")
        macs = (Mac(0x020000000001), Mac(0x020000000002)) if ethernet else (None, None)
        self.a = End("cord-a", macs[0], mtu, offload, delay)
        self.b = End("cord-b", macs[1], mtu, offload, delay)
        self.a.join(self.b)
        self.b.join(self.a)

    def close(self) -> None:
        self.a.close()
        self.b.close()
