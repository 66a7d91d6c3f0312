"""The packet path of a packet socket: that of a tap, and reading from a ring."""

import mmap

from netstack import const
from netstack.cores import Frame
from netstack.device import sysio as deviceio
from netstack.device.core import DeviceCore

from . import sysio
from .mib import PacketMib

LOOKS = 64  # a busy socket is asked every so many full batches what it had to drop


class PacketCore(DeviceCore):
    """A packet socket with vnet headers; with a `ring`, what comes is read from there."""

    __slots__ = ("at", "block", "blocks", "busy", "counts", "left", "ring", "size")

    def __init__(self, fd: int, slab: int, vnet: int, takes: int, gives: int) -> None:
        super().__init__(fd, slab, vnet, takes, const.ETH_HEADER, 0)
        self.gives = gives
        self.counts = PacketMib()
        self.mib = self.counts
        self.ring: mmap.mmap | None = None
        self.size = 0  # of a block
        self.blocks = 0
        self.block = 0  # the one that is read, or comes next
        self.left = 0  # frames in it that were not read yet
        self.at = 0  # the first of these
        self.busy = 0

    def mount(self, ring: mmap.mmap, size: int) -> None:
        """Read from `ring` from now on, in blocks of `size` bytes."""
        self.ring = ring
        self.size = size
        self.blocks = len(ring) // size

    def poll(self, now: int) -> bool:
        """As of any device. Raises OSError when the card is gone; one that is down may come up again."""
        more = DeviceCore.poll(self, now) if self.ring is None else self.walk(now)
        if more:
            self.busy += 1
            if self.busy % LOOKS == 0:
                self.look()
        return more

    def walk(self, now: int) -> bool:
        """Hand up what stands in blocks that are full, or old enough, then flush."""
        ring, pool = self.ring, self.pool
        units = 0
        while units < const.BATCH:
            if self.left == 0 and not self.open():
                break
            f = pool.get()
            n, step, status = sysio.take(ring, self.at, self.vnet, f.buf)  # type: ignore[arg-type]  # poll has looked
            self.at += step
            self.left -= 1
            if self.left == 0:
                self.turn()
            units += 1
            self.counts.InFrames += 1
            if status & sysio.LOSING:
                self.look()
            self.offer(f, n, now)
        if units:
            self.sink.flush(now)
            pool.reclaim()
        elif self.fd >= 0:  # woken for nothing that stands in the ring: the socket has an error to tell
            f = pool.get()
            n = deviceio.read(self.fd, f.buf)
            pool.put(f)
            if n < 0 and n != -deviceio.AGAIN:
                self.gone(n)
        return units == const.BATCH

    def offer(self, f: Frame, n: int, now: int) -> None:
        if n >= self.pool.size:
            self.counts.InTruncated += 1
            self.pool.put(f)
            return
        f.off = 0
        f.end = n
        f.now = now
        f.cast = const.UNICAST
        f.csum = const.CSUM_UNKNOWN
        f.gso = 0
        f.kept = 0
        if self.open_vnet(f):
            self.up(f)
        else:
            self.pool.put(f)

    def open(self) -> bool:
        """Is the next block ours?"""
        base = self.block * self.size
        count, first = sysio.block(self.ring, base)  # type: ignore[arg-type]  # as above
        if count < 0:
            return False
        self.left = count
        self.at = base + first
        if count:
            return True
        self.turn()
        return self.open()

    def turn(self) -> None:
        """Done with this block."""
        sysio.give_back(self.ring, self.block * self.size)  # type: ignore[arg-type]  # as above
        self.block = (self.block + 1) % self.blocks

    def gone(self, n: int) -> None:
        if n == -deviceio.NETDOWN and self.is_there():
            self.counts.InDowns += 1
            return
        DeviceCore.gone(self, n)

    def is_there(self) -> bool:
        """Does the card still exist? One that was removed says no more than one that is down."""
        raise NotImplementedError

    def look(self) -> None:
        """Ask the kernel what it had to drop."""
        raise NotImplementedError
