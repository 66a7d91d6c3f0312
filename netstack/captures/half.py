"""One direction of a TCP connection in a capture: segments in, the stream of bytes out.

The receive queue of the stack does the work (tcp/queues.py): bytes in order are delivered, others wait in its `Reassembly` until
the hole before them is filled. What a capture asks for beyond that, because it is not a receiver, stands here:

beginning   A receiver knows the first sequence number from the SYN. A capture may begin in the middle, or have the SYN behind what
            follows it. Until it is known everything waits; then the stream is *anchored*, at the SYN, or at the lowest byte seen
            once as much waits as networks reorder (REACH).
holes       What the capture has missed never comes again. A hole is given up when the direction ends, or when too many pieces
            wait behind it (PIECES), and becomes a gap with a name.
conflicts   Bytes that came before count, as at a receiver that has delivered them; the same bytes in a later segment are compared,
            and what differs is counted and remembered. Segments are laid around what waits already, so that this is so for bytes
            that wait, too.
windows     Who injects segments without seeing the connection guesses; a receiver drops what lies beyond the window that it
            offered. So does this, as far as the capture shows windows: such a segment is doubtful, and is believed when it is next
            in order or has been acknowledged. If there are many, it is acknowledgements that the capture has missed.
probes      A keep-alive repeats the byte below, often as a zero: that is no conflict.

Positions are offsets in the stream as plain integers, sequence numbers lie on the circle: `nxt` is a sequence number and `at` its
position, so a stream may be longer than the circle. Position 0 is that of the first segment until the stream is anchored.
"""

from array import array
from bisect import bisect_right

from .. import const, raw, serial
from ..tcp.budget import Budget
from ..tcp.queues import Reassembly

REACH = 16 << 20  # bytes: more than the window of most connections, so the first ones have come when as much waits
PIECES = 16_384  # that wait behind holes: a place in their list is found by halving, but is made by moving what is behind it
DOUBTFUL = 1024  # segments; a flood of more is taken for a capture without acknowledgements
NAMED = 1000  # conflicts that are remembered one by one, of those that are counted
FURTHEST = 1 << 30  # bytes: no window is wider (RFC 7323 2.3)


class Half:
    """`take` for each segment of this direction, `acked` for each of the other; `finish` when there are no more.

    chunks starts   delivered bytes, in order, and the position of each; not joined, so that nothing is copied twice
    log             time, position, length and number of packet of all that was new, four integers for each, as it came
    gaps            position and length of what the capture has missed, two integers for each
    """

    __slots__ = (
        "after_fin", "anchored", "at", "chunks", "conflicting", "conflicts", "doubtful", "edge", "edge_known", "fin_at", "finished",
        "gaps", "isn", "keepalives", "late", "log", "new", "nxt", "ooo", "origin", "out_of_order", "out_of_window", "queue",
        "retransmitted", "scale", "seen", "segments", "starts", "has_fin", "urgent",
    )  # fmt: skip

    def __init__(self, budget: Budget) -> None:
        self.isn = -1
        self.seen = False
        self.anchored = False
        self.origin = 0  # the position of the stream's first byte
        self.nxt = 0
        self.at = 0
        self.chunks: list[bytes] = []
        self.starts = array("q")
        self.log = array("q")
        self.gaps = array("q")
        self.queue = Reassembly(1 << 30, budget)  # PIECES is the limit
        self.has_fin = False
        self.fin_at = 0
        self.finished = False
        self.scale = -1  # of the windows that *this* side offers; -1 unless its SYN said so
        self.edge_known = False
        self.edge = 0  # sequence number: how far the other side has allowed this one to send
        self.doubtful: list[tuple[int, bytes, int, bool, int, int]] = []
        self.new = 0  # bytes that were not there before
        self.segments = 0
        self.retransmitted = 0
        self.out_of_order = 0
        self.conflicts = 0
        self.conflicting: list[tuple[int, int, int]] = []
        self.keepalives = 0
        self.out_of_window = 0
        self.after_fin = 0
        self.late = 0
        self.urgent = 0

    # -- the beginning --------------------------------------------------------------------------------------------------------

    def syn(self, isn: int) -> bool:
        """A SYN with this number. False when it is not the one that what has been seen began with."""
        first = serial.add(isn, 1)
        if self.isn >= 0:
            return self.isn == isn
        if self.anchored:
            return False
        if self.seen:
            lowest = self.queue.head()
            if lowest < 0 or serial.lt(self.nxt, lowest):
                lowest = self.nxt
            if serial.sub(lowest, first) > REACH:
                return False
        self.isn = isn
        self.at -= _ahead(self.nxt, first) if self.seen else 0
        self.nxt = first
        self.seen = True
        self.begin()
        return True

    def restart(self, isn: int) -> None:
        """The other number was not meant, and nothing has been said after it."""
        self.isn = isn
        self.nxt = serial.add(isn, 1)

    def begin(self) -> None:
        """The stream begins at `nxt`."""
        self.anchored = True
        self.origin = self.at
        self.drain()

    def settle(self) -> None:
        """It begins with the lowest byte that has come."""
        lowest = self.queue.head()
        if lowest >= 0:
            self.at += _ahead(lowest, self.nxt)
            self.nxt = lowest
        self.begin()

    # -- segments -------------------------------------------------------------------------------------------------------------

    def take(self, seq: int, text: bytes, n: int, fin: bool, probe: bool, time: int, number: int) -> None:
        """A segment of `n` bytes, of which the capture has `text`. `probe`: its flags are those of a keep-alive."""
        self.segments += 1
        if not self.seen:
            self.seen = True
            self.nxt = serial.add(seq, 1) if n == 1 and probe and text == b"\0" else seq  # what is typed is pushed, and this is not
        if n == 1 and probe and not self.anchored and not self.new and serial.add(seq, 1) == self.nxt:
            self.keepalives += 1
            return
        if n == 0 and not fin:
            return
        if self.queue.count() >= PIECES:
            self.give_up()
        ahead = _ahead(seq, self.nxt)
        if self.anchored and ahead > 0 and self.edge_known and serial.lt(self.edge, serial.add(seq, n)):
            self.doubt(seq, text, n, fin, time, number)
            return
        self.place(seq, ahead, text, n, fin, time, number)
        if not self.anchored and (self.queue.nbytes > REACH or self.queue.count() >= PIECES):
            self.settle()

    def place(self, seq: int, ahead: int, text: bytes, n: int, fin: bool, time: int, number: int) -> None:
        position = self.at + ahead
        if self.finished:
            room = self.fin_at - position
            if n > room:
                if room < 0:
                    room = 0
                self.after_fin += n - room
                text = text[:room]
        elif fin:
            self.has_fin = True
            self.fin_at = position + n
        m = len(text)
        if m and self.anchored and ahead < 0:
            old = -ahead if -ahead < m else m
            self.old(position, text[:old], number)
            text = text[old:]
            m -= old
            ahead = 0
            position += old
            seq = serial.add(seq, old)
        if m:
            if self.anchored and ahead == 0 and not self.queue.nbytes:
                self.note(time, position, m, number)
                self.deliver(text)
            else:
                if ahead and self.anchored:
                    self.out_of_order += 1
                self.lay(seq, position, text, time, number)
                if self.anchored:
                    self.drain()
        self.reached()

    def reached(self) -> None:
        """Is this where the FIN stands? What lies behind it was never sent by a lawful sender."""
        if self.has_fin and not self.finished and self.anchored and self.fin_at == self.at:
            self.finished = True
            self.after_fin += self.queue.nbytes
            self.queue.clear()

    def note(self, time: int, position: int, n: int, number: int) -> None:
        self.new += n
        log = self.log
        log.append(time)
        log.append(position)
        log.append(n)
        log.append(number)

    def deliver(self, data: bytes) -> None:
        self.chunks.append(data)
        self.starts.append(self.at)
        self.at += len(data)
        self.nxt = serial.add(self.nxt, len(data))

    def drain(self) -> None:
        while self.queue.nbytes:
            data = self.queue.pop(self.nxt)
            if data is None:
                break
            self.deliver(data)
        self.reached()

    def lay(self, seq: int, position: int, text: bytes, time: int, number: int) -> None:
        """Queue `text` around what is there."""
        n = len(text)
        done = 0
        for start, data in self.queue.held(seq, n):
            o = _ahead(start, seq)
            if o > done:
                self.queue.insert(serial.add(seq, done), raw.piece(text, done, o - done))
                self.note(time, position + done, o - done, number)
                done = o
            end = o + len(data)
            if end > n:
                end = n
            self.same(position + done, raw.piece(data, done - o, end - done), raw.piece(text, done, end - done), number)
            done = end
        if done < n:
            self.queue.insert(serial.add(seq, done), raw.piece(text, done, n - done))
            self.note(time, position + done, n - done, number)

    # -- what was there before ------------------------------------------------------------------------------------------------

    def old(self, position: int, text: bytes, number: int) -> None:
        """`text` lies below what has been delivered."""
        n = len(text)
        if n == 1 and position == self.at - 1 and self.byte_before() != text[0]:
            self.keepalives += 1
            return
        if position < self.origin:
            skip = self.origin - position
            if skip > n:
                skip = n
            if self.isn < 0:
                self.late += skip
            else:
                self.retransmitted += skip
            text = text[skip:]
            position += skip
            n -= skip
        i = bisect_right(self.starts, position) - 1
        if i < 0:
            i = 0
        while n and i < len(self.chunks):
            chunk = self.chunks[i]
            start = self.starts[i]
            if position < start:  # a gap
                skip = start - position
                if skip > n:
                    skip = n
                self.late += skip
                text = text[skip:]
                position += skip
                n -= skip
            o = position - start
            have = len(chunk) - o
            if n and have > 0:
                if have > n:
                    have = n
                self.same(position, chunk[o : o + have], text[:have], number)
                text = text[have:]
                position += have
                n -= have
            i += 1
        self.late += n

    def byte_before(self) -> int:
        """The last that was delivered; -1 for none."""
        return self.chunks[-1][-1] if self.chunks else -1

    def same(self, position: int, first: bytes, again: bytes, number: int) -> None:
        self.retransmitted += len(again)
        if first != again:
            self.conflicts += 1
            if len(self.conflicting) < NAMED:
                self.conflicting.append((number, position, len(again)))

    # -- windows --------------------------------------------------------------------------------------------------------------

    def acked(self, ack: int, window: int) -> None:
        """The other side has said that all before `ack` has come, and that it takes `window` bytes more."""
        edge = serial.add(ack, window)
        if not self.edge_known or serial.lt(self.edge, edge):
            self.edge_known = True
            self.edge = edge
        if self.doubtful:
            self.believe(ack)

    def doubt(self, seq: int, text: bytes, n: int, fin: bool, time: int, number: int) -> None:
        self.doubtful.append((seq, text, n, fin, time, number))
        if len(self.doubtful) > DOUBTFUL:
            self.edge = serial.add(self.nxt, FURTHEST)
            self.believe(self.edge)

    def believe(self, ack: int) -> None:
        """Take what was doubtful and ends at or before `ack`."""
        left = []
        doubtful = self.doubtful
        self.doubtful = []
        for segment in doubtful:
            seq, text, n, fin, time, number = segment
            if serial.le(serial.add(seq, n), ack) or serial.le(seq, self.nxt):
                self.place(seq, _ahead(seq, self.nxt), text, n, fin, time, number)
            else:
                left.append(segment)
        self.doubtful = left

    # -- the end --------------------------------------------------------------------------------------------------------------

    def give_up(self) -> None:
        """The first hole will not be filled."""
        if not self.anchored:
            self.settle()
            return
        head = self.queue.head()
        if head >= 0:
            self.gap(_ahead(head, self.nxt))
            self.drain()

    def gap(self, n: int) -> None:
        self.gaps.append(self.at)
        self.gaps.append(n)
        self.at += n
        self.nxt = serial.add(self.nxt, n)

    def finish(self) -> None:
        """No more will come: holes are gaps, what is doubtful was never meant for the receiver."""
        if not self.seen:
            return
        self.doubtful.sort(key=lambda segment: _ahead(segment[0], self.nxt))
        self.believe(self.nxt)
        self.out_of_window += sum(len(segment[1]) for segment in self.doubtful)
        self.doubtful = []
        if not self.anchored:
            self.settle()
        while self.queue.nbytes:
            self.give_up()
        if self.has_fin and not self.finished and self.fin_at > self.at:
            self.gap(self.fin_at - self.at)
        self.reached()


def _ahead(a: int, b: int) -> int:
    """How far `a` is ahead of `b`, negative when it is behind."""
    n = serial.sub(a, b)
    return n - (1 << 32) if n > const.M31 else n
