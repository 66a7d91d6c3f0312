"""Packet memory: a pool of slabs, so that the packet path asks malloc for nothing.

Last in, first out: the slab in use is the one in the cache. A slab that somebody kept (`frame.kept`, or a memoryview of it)
is lent, and comes back when its keeper has let go. Both lists are bounded: an application that hoards views costs copies and
fresh slabs, never unbounded memory held by the pool.
"""

from . import raw
from .cores import Frame

# 256 slabs of 66 KiB are 16 MiB: four full batches of super-frames, and more than a machine's last-level cache holds.
FREE_LIMIT = 256
# Beyond this many lent slabs `can_lend` says no, and receivers copy out instead: a reader that never reads holds 16 MiB at most.
LENT_LIMIT = 256
# A view of fewer bytes than this is not worth a slab: it costs what copying 4 KiB does, and would keep 66 KiB from the pool.
LEND_LEAST = 8192


def keep(f: Frame, n: int) -> "bytes | memoryview":
    """`n` bytes at `f.off`, for whoever needs them longer than the call that gave him the frame. A read-only view of the slab, which the pool
    gets back when no view is left; or a copy, of little or where the pool has lent too many slabs already."""
    if n >= LEND_LEAST and f.lend:
        return raw.view(f.buf, f.off, n).toreadonly()
    return raw.take(f.buf, f.off, n)


class Pool:
    """Slabs of one size."""

    __slots__ = ("free", "lent", "made", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.free: list[Frame] = []
        self.lent: list[Frame] = []
        self.made = 0

    def get(self) -> Frame:
        """A slab for one frame; give it back with `put`."""
        if self.free:
            f = self.free.pop()
        else:
            self.made += 1
            f = Frame(self.size)
        f.lend = len(self.lent) < LENT_LIMIT
        return f

    def put(self, f: Frame) -> None:
        """Take `f` back, now or, when it is kept or viewed, at a `reclaim` after its keepers have let go.

        Beyond LENT_LIMIT a kept slab is forgotten: it is its keeper's, and the garbage collector's when he lets go.
        """
        if f.kept or raw.shared(f.buf):
            if len(self.lent) < LENT_LIMIT:
                self.lent.append(f)
        elif len(self.free) < FREE_LIMIT:
            self.free.append(f)

    def can_lend(self) -> bool:
        """May a receiver keep one more slab? If not it copies out what it needs."""
        return len(self.lent) < LENT_LIMIT

    def reclaim(self) -> None:
        """Look for lent slabs that have come free; called once for each batch."""
        if not self.lent:
            return
        lent = self.lent
        self.lent = []
        for f in lent:
            self.put(f)
