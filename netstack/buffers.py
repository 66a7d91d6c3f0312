"""Packet memory: a pool of slabs, so that the packet path asks malloc for nothing.

Last in, first out: the slab in use is the one in the cache. A slab that somebody kept (`frame.kept`, or a memoryview of it)
is lent, and comes back when its keeper has let go. Both lists are bounded: an application that hoards views costs copies and
fresh slabs, never unbounded memory held by the pool.
"""

from . import const, raw
from .cores import Frame

FREE_LIMIT = const.SLABS_FREE
LENT_LIMIT = const.SLABS_LENT


def keep(f: Frame, n: int) -> "bytes | memoryview":
    """`n` bytes at `f.off`, for whoever needs them longer than the call that gave him the frame. A read-only view of the slab,
    which the pool gets back when no view is left; or a copy, of little or where the pool has lent too many slabs already."""
    if n >= const.LEND_LEAST and f.lend:
        return raw.view(f.buf, f.off, n).toreadonly()
    return raw.take(f.buf, f.off, n)


class Pool:
    """Slabs of one size."""

    __slots__ = ("lent", "made", "size", "top", "turn", "under")

    def __init__(self, size: int) -> None:
        self.size = size
        self.top: Frame | None = None  # given back last. Most frames find it there, and a list that fills and empties costs more
        self.under: list[Frame] = []  # the others
        self.lent: list[Frame] = []
        self.made = 0
        self.turn = 0  # where `reclaim` goes on

    @property
    def free(self) -> list[Frame]:
        """Those that wait to be used, the next one last."""
        return self.under if self.top is None else [*self.under, self.top]

    def get(self) -> Frame:
        """A slab for one frame; give it back with `put`."""
        f = self.top
        if f is not None:
            self.top = None
        elif self.under:
            f = self.under.pop()
        else:
            self.made += 1
            f = Frame(self.size)
        f.lend = len(self.lent) < const.SLABS_LENT
        return f

    def put(self, f: Frame) -> None:
        """Take `f` back, now or, when it is kept or viewed, at a `reclaim` after its keepers have let go.

        Beyond LENT_LIMIT a kept slab is forgotten: it is its keeper's, and the garbage collector's when he lets go.
        """
        if f.kept or raw.shared(f.buf):
            if len(self.lent) < const.SLABS_LENT:
                self.lent.append(f)
        elif self.top is None:
            self.top = f
        elif len(self.under) < const.SLABS_FREE - 1:
            self.under.append(self.top)
            self.top = f

    def can_lend(self) -> bool:
        """May a receiver keep one more slab? If not it copies out what it needs."""
        return len(self.lent) < const.SLABS_LENT

    def reclaim(self) -> None:
        """Look for lent slabs that have come free; called once for each batch. Those that are not cost a look each, so it gives up
        after a few and goes on there the next time: a reader that sleeps on 16 MiB must not cost each batch 256 looks."""
        lent = self.lent
        patience = min(len(lent), const.SLABS_LOOK)
        i = self.turn
        while patience > 0 and lent:
            if i >= len(lent):
                i = 0
            f = lent[i]
            if f.kept or raw.shared(f.buf):
                patience -= 1
                i += 1
                continue
            last = lent.pop()
            if i < len(lent):
                lent[i] = last
            self.put(f)
        self.turn = i
