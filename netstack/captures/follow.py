"""Which connection a segment belongs to: a table as a stack has one, seen from between the two ends.

What is hard is where one connection ends and the next of the same addresses and ports begins, when anybody may send anything.

SYN         another number than the one that is known begins a new connection at once where the old one is over, or was never
            answered. In the middle of a living one it is a rumour (RFC 5961 4 has the receiver ask back), kept aside until a
            SYN-ACK answers it or text follows it: then it was the truth.
over        Both FINs have been reached, or an RST has come that a receiver would have believed. What is over lingers, since
            packets that were on their way still come; after that it is given out, and what comes yet is swallowed by its
            tombstone, so that a capture with everything twice has every connection once.
no SYN      The connection began before the capture; which side called is a guess: whoever has the port that a service has.

Whatever a file can make grow has a bound. Connections: a scan of a million SYNs must not cost a million of our objects; the one
that has been silent longest is given out as it is. Bytes: streams are held whole until they are given out, so a file could ask
for as much memory as it has bytes; above `memory` the same happens. Tombstones and what lingers: the oldest goes.
"""

from collections import OrderedDict

from .. import const, serial
from ..tcp.budget import Budget
from ..tcp.mib import TcpExt
from .half import FURTHEST, REACH, Half
from .mib import StreamsMib
from .segments import ACK, FIN, PSH, RST, SYN, URG, Segment

CONNECTIONS = 65_536
MEMORY = 1 << 30  # bytes of text
LINGER = 120 * const.SECOND  # of the capture: 2 MSL where MSL is a minute (RFC 9293 3.4.2 has two)
LINGERING = 4096
STONES = 65_536


class Track:
    """A connection. Its two directions are numbered by who was seen first: `ends[0]` sent the first segment."""

    __slots__ = (
        "acks", "began", "ended", "ends", "first", "given_out", "halves", "held", "last", "opener", "over", "packets", "pending",
        "reset_at", "reset_by", "resets",
    )  # fmt: skip

    def __init__(self, ends: tuple[bytes, bytes], number: int, time: int, budget: Budget) -> None:
        self.ends = ends
        self.halves = (Half(budget), Half(budget))
        self.opener = -1  # the direction whose SYN began it
        self.first = self.last = number
        self.began = self.ended = time
        self.packets = 0
        self.reset_by = -1
        self.reset_at = 0
        self.over = False
        self.given_out = False
        self.held = 0
        self.acks = [-1, -1]  # the last acknowledgement that each direction has sent
        self.pending: list[tuple[Segment, int, int] | None] = [None, None]  # SYNs that might begin the next one


class Follower:
    """`feed` it the segments of a capture; `out` fills with connections that are given out, `finish` adds all others."""

    def __init__(self, mib: StreamsMib, connections: int = CONNECTIONS, memory: int = MEMORY) -> None:
        self.mib = mib
        self.connections = connections
        self.memory = memory
        self.out: list[Track] = []
        self._budget = Budget(1 << 62, 1 << 62, TcpExt())
        self._table: dict[tuple[bytes, bytes], tuple[Track, int]] = {}
        self._live: OrderedDict[Track, None] = OrderedDict()  # the one that has been silent longest first
        self._over: OrderedDict[Track, int] = OrderedDict()  # and when
        self._stones: OrderedDict[tuple[bytes, bytes], tuple[int, int, int]] = OrderedDict()
        self._held = 0

    def feed(self, time: int, number: int, s: Segment) -> None:
        """Segments come in the order of the capture; `time` in nanoseconds."""
        self.mib.Segments += 1
        while self._over:
            track = next(iter(self._over))
            if self._over[track] + LINGER > time and len(self._over) <= LINGERING:
                break
            self.retire(track)
        entry = self._table.get(s.ends)
        if entry is None:
            if self._stones and self._buried(s):
                self.mib.AfterClose += 1
                return
            entry = self.begin(s, time, number)
        track, d = entry
        if s.flags & SYN or track.over or track.pending[0] or track.pending[1]:
            chosen = self._choose(track, d, s, time, number)
            if chosen is None:
                self.mib.StraySyns += 1
                return
            track, d = chosen
        self._segment(track, d, s, time, number)
        if track in self._live:
            self._live.move_to_end(track)
            if track.over:
                del self._live[track]
                self._over[track] = time
        if self._held > self.memory or len(self._live) > self.connections:
            self._make_room()

    def finish(self) -> None:
        """The capture ends here."""
        for track in sorted((*self._live, *self._over), key=lambda track: track.first):
            self.retire(track)

    # -- one segment ----------------------------------------------------------------------------------------------------------

    def _segment(self, track: Track, d: int, s: Segment, time: int, number: int) -> None:
        mine, other = track.halves[d], track.halves[1 - d]
        flags, seq = s.flags, s.seq
        track.packets += 1
        track.last = number
        track.ended = time
        if flags & RST:
            self._reset(track, d, s, time)
            return
        if flags & SYN:
            if track.opener < 0:
                track.opener = 1 - d if flags & ACK else d
            mine.scale = s.scale
            seq = serial.add(seq, 1)
        if flags & URG:
            mine.urgent += 1
        if flags & ACK:
            track.acks[d] = s.ack
            window = s.window
            if not flags & SYN:
                if mine.isn < 0 or other.isn < 0:
                    window <<= 14  # the scale was said before the capture began: as wide as it can be
                elif mine.scale >= 0 and other.scale >= 0:
                    window <<= mine.scale
            other.acked(s.ack, window)
        before = mine.new
        mine.take(seq, s.text, s.n, bool(flags & FIN), flags & (ACK | PSH | FIN | SYN) == ACK, time, number)
        track.held += mine.new - before
        self._held += mine.new - before
        if not track.over and mine.finished and other.finished:
            track.over = True

    def _reset(self, track: Track, d: int, s: Segment, time: int) -> None:
        """RFC 9293 3.10.7: in the window, or, in answer to a SYN, acknowledging it."""
        mine, other = track.halves[d], track.halves[1 - d]
        believed = not mine.seen or serial.sub(serial.add(s.seq, REACH), mine.nxt) < FURTHEST
        if not believed or (not mine.seen and s.flags & ACK and other.isn >= 0 and serial.sub(s.ack, other.isn) > REACH):
            self.mib.StrayResets += 1
            return
        mine.segments += 1
        if track.reset_by < 0 and not track.over:
            track.reset_by = d
            track.reset_at = time
        track.over = True

    # -- which connection -----------------------------------------------------------------------------------------------------

    def begin(self, s: Segment, time: int, number: int) -> tuple[Track, int]:
        """A new connection, of which this is the first segment."""
        track = Track(s.ends, number, time, self._budget)
        self.mib.Connections += 1
        self._table[s.ends] = track, 0
        self._table[s.ends[1], s.ends[0]] = track, 1
        self._live[track] = None
        if s.flags & SYN:
            track.halves[0].syn(s.seq)
        return track, 0

    def _choose(self, track: Track, d: int, s: Segment, time: int, number: int) -> tuple[Track, int] | None:
        """The connection of `s`, which has the addresses and ports of `track`: that one or a new one. None: it belongs to none."""
        mine, other = track.halves[d], track.halves[1 - d]
        rumour = track.pending[1 - d]
        if rumour is not None and s.flags & SYN and s.flags & ACK and s.ack == serial.add(rumour[0].seq, 1):
            return self._renew(track, rumour, s)
        rumour = track.pending[d]
        if rumour is not None and not s.flags & SYN and s.seq == serial.add(rumour[0].seq, 1) and s.seq != mine.nxt:
            return self._renew(track, rumour, s)
        if not s.flags & SYN:
            if track.over and s.n and not s.flags & RST and self._beyond(mine, s):
                self.retire(track)
                return self.begin(s, time, number)
            return track, d
        if mine.isn == s.seq:
            return track, d
        if s.flags & ACK:
            answers = other.isn < 0 or s.ack == serial.add(other.isn, 1)
            if answers and not track.over:
                if mine.syn(s.seq):
                    return track, d
                if mine.isn >= 0 and not mine.new and not mine.queue.nbytes:
                    mine.restart(s.seq)  # a server that forgot, or a second one behind the same address
                    return track, d
        elif not track.over and mine.isn < 0 and self._asks(track, d, s) and mine.syn(s.seq):
            return track, d
        if track.over or not other.segments:
            self.retire(track)
            return self.begin(s, time, number)
        if not s.flags & ACK:
            track.pending[d] = s, time, number
        return None

    def _asks(self, track: Track, d: int, s: Segment) -> bool:
        """Could this SYN have begun what the other side has been seen to answer?"""
        ack = track.acks[1 - d]
        return ack < 0 or serial.sub(ack, serial.add(s.seq, 1)) <= REACH

    def _beyond(self, mine: Half, s: Segment) -> bool:
        """Is this text none of a connection that is over?"""
        if not mine.anchored:
            return False
        ahead = serial.sub(s.seq, mine.nxt)
        behind = serial.sub(mine.nxt, s.seq)
        return ahead > REACH and behind > mine.at - mine.origin + 1

    def _renew(self, track: Track, rumour: tuple[Segment, int, int], s: Segment) -> tuple[Track, int]:
        """The SYN that was kept aside was the truth."""
        self.retire(track)
        first, time, number = rumour
        new, _ = self.begin(first, time, number)
        self._segment(new, 0, first, time, number)
        d = 0 if s.ends == new.ends else 1
        if s.flags & SYN:
            new.halves[d].syn(s.seq)
        return new, d

    # -- the end --------------------------------------------------------------------------------------------------------------

    def retire(self, track: Track) -> None:
        """Give it out."""
        for half in track.halves:
            half.finish()
        a, b = track.ends
        for key in ((a, b), (b, a)):
            del self._table[key]
        if self._live.pop(track, self) is self:
            del self._over[track]
        if track.over:
            for key, half in (((a, b), track.halves[0]), ((b, a), track.halves[1])):
                self._stones[key] = half.isn, half.nxt, min(half.at - half.origin + 1, const.M31)
                self._stones.move_to_end(key)
            while len(self._stones) > STONES:
                self._stones.popitem(last=False)
        self._held -= track.held
        self.out.append(track)

    def _buried(self, s: Segment) -> bool:
        """Is it late for a connection that was given out?"""
        stone = self._stones.get(s.ends)
        if stone is None:
            return False
        isn, nxt, length = stone
        if s.flags & SYN:
            return isn == s.seq
        return bool(s.flags & RST) or serial.sub(serial.add(nxt, 1), s.seq) <= length + 1

    def _make_room(self) -> None:
        for held in (self._over, self._live):
            while held and (self._held > self.memory or len(self._live) > self.connections):
                track = next(iter(held))
                if held is self._live:
                    self.mib.GivenOut += 1
                    track.given_out = True
                elif self._held <= self.memory:
                    break
                self.retire(track)
