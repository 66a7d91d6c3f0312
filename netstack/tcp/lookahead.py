"""Segments that wait for their turn until the memory that it needs is on its way.

Of 100,000 connections none is in the cache. A segment for one of them reads its place in the table, then the connection that it
finds there, then that one's user: each says where the next is, so each is waited for, in all for longer than everything else takes.
But of another segment's memory all that can be under way meanwhile. So where there are so many connections, small segments are put
off, a few of one batch, and are looked at together, one step for all of them before the next (group prefetching; Chen, Ailamaki,
Gibbons and Mowry, "Improving hash join performance through prefetching", 2004): all places are asked for, then what is found there,
then the users. Then each has its turn.

A pipeline, in which each arrival moves those before it on by one step, would need no groups, and is half as good: to ask for a line
of a page that the processor does not know is to wait for the page tables. Those waits overlap only where the askers stand side by
side.

What holds for those that wait:

- Each is whole and verified as far as its header tells (`TcpCore.input`), and has been counted; it is copied, since its slab is
  the device's. Its bytes are in the cache, which makes the copy cheap; what is large is not put off.
- Nothing overtakes: what is not put off comes behind all that wait, and so does an ICMP error. The end of the batch is theirs, too.
- Nothing that was found is remembered. To ask for memory is not to use it: in its turn, each looks for its connection again.
  Those before it may have closed that, or their users may have, or there may be another one of the same four by then.
- A user may do from inside a callback what he likes, also what brings segments in. They wait behind those that are there.
- While somebody looks at what each segment changes (`Hub.witness`), each has its turn at once.
"""

from .. import raw
from ..cores import Frame
from . import lines
from .connection import Connection
from .demux import Demux

GROUP = 32  # half a batch: 8 gain a little less, 64 nothing more
LEAST = 4096  # connections: some 5 MB. Below, most of what a segment needs is still in a cache, and a copy would be for nothing
SMALL = 1600  # bytes of a datagram: whatever one frame carries
SLAB = 2048


class Waiting:
    """A place for one segment, with a slab of its own."""

    __slots__ = ("follows", "frame", "hash", "key", "local")

    def __init__(self) -> None:
        self.frame: Frame = None  # type: ignore[assignment]  # made by the first one, and away while that is at turn
        self.follows = False  # the one before it is of the same connection
        self.local = 0
        self.key = 0
        self.hash = 0

    def give_back(self, f: Frame) -> None:
        """`f` may be used again, unless there is another slab by now, or somebody has kept this one."""
        if self.frame is None and not f.kept and not raw.shared(f.buf):
            self.frame = f


class Lookahead:
    """Those that wait: `places[turn:count]`. With as many connections as `gate`, a segment may have to wait."""

    __slots__ = ("count", "gate", "hub", "least", "places", "turn")

    def __init__(self, hub: Demux) -> None:
        self.hub = hub
        self.places: list[Waiting] = []  # made when first there is a crowd
        self.count = 0
        self.turn = 0
        self.begin_at(LEAST)

    def begin_at(self, least: int) -> None:
        """With so many connections."""
        self.least = least
        self.gate = 0 if self.count else least

    def takes(self, f: Frame) -> bool:
        """Is it one that may wait?"""
        return f.end - f.l3 <= SMALL and not f.gso and self.hub.witness is None

    def full(self) -> bool:
        return self.count == GROUP

    def put(self, f: Frame, key: int) -> None:
        """`f.off` is at its TCP header."""
        if self.count == len(self.places):
            self.places.append(Waiting())
        w = self.places[self.count]
        self.count += 1
        self.gate = 0  # however few connections there will be: nothing overtakes
        g = w.frame
        if g is None:
            g = w.frame = Frame(SLAB)
        o = f.l3
        g.end = f.end - o
        raw.move(g.buf, 0, f.buf, o, g.end)
        g.off = f.off - o
        g.l3 = 0
        g.now = f.now
        g.src = f.src
        g.dst = f.dst
        g.lsrc = f.lsrc
        g.proto = f.proto
        g.ttl = f.ttl
        g.tos = f.tos
        g.cast = f.cast
        g.csum = f.csum
        g.gso = 0
        g.kept = 0
        g.lend = False  # it is wanted for the next one
        w.local = f.dst
        w.key = key
        w.follows = False
        if self.count > 1:
            before = self.places[self.count - 2]
            w.follows = before.key == key and before.local == f.dst
        w.hash = before.hash if w.follows else self.hub.hash_of(key)

    def look(self) -> None:
        """Ask for what those need that wait."""
        if not lines.ASKS or self.turn or self.count == 1:
            return
        hub = self.hub
        for i in range(self.count):
            w = self.places[i]
            if not w.follows:
                table = hub.table_of(w.local)
                if table is not None:
                    table.ask(w.hash)
        for i in range(self.count):
            w = self.places[i]
            if not w.follows:
                table = hub.table_of(w.local)
                if table is not None:
                    table.ask_entry(w.hash, w.key)
        for i in range(self.count):
            w = self.places[i]
            if not w.follows:
                entry = hub.find_by(w.local, w.hash, w.key)
                if isinstance(entry, Connection):
                    c = entry
                    lines.ask_user(c, lines.USER_WHOLE)
        for i in range(self.count):
            w = self.places[i]
            if not w.follows:
                entry = hub.find_by(w.local, w.hash, w.key)
                if isinstance(entry, Connection):
                    c = entry
                    lines.ask_beyond(c)

    def next(self) -> Waiting:
        w = self.places[self.turn]
        self.turn += 1
        return w

    def clear(self) -> None:
        """Nobody waits any more."""
        self.count = 0
        self.turn = 0
        self.gate = self.least
