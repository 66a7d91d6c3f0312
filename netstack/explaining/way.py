"""One direction of a connection, as a capture shows it: what was sent, and what the other side said of it.

What a sender had in mind is not in a capture, so it is inferred. Something that was seen before and is sent again is, in this
order,

    probe     a byte into a shut window, or one before what is next: is somebody there?
    needless  acknowledged already, by an ACK that is in the capture: it was late, or lost behind where was captured
    fast      ACKs have shown the hole: three duplicates, or SACKs of what lies beyond it
    tail      the last that was sent, and sent again sooner than a time-out: a tail loss probe
    timeout   nothing of this

and one that a D-SACK reports afterwards was spurious. What has not been seen, though what follows it has, had overtaken it, or was
lost before it came here and is now sent again: late. Numbers are counted from the SYN's, and go on past 2**32.
"""

from __future__ import annotations

from collections import deque

from ..instant import MILLISECOND
from .series import Curve, Marks, Runs, Steps

OUTSTANDING = 4096  # segments that are remembered until they are acknowledged: more than any window holds of real ones
HOLES = 256  # gaps that are remembered in one direction
QUICK = 5 * MILLISECOND  # a sender that waited only for an ACK sends when it comes
ACK_DELAY = 35 * MILLISECOND  # delayed ACKs wait 40 ms and more (RFC 9293 3.8.6.3)


class Sent:
    __slots__ = ("again", "end", "number", "start", "t")

    def __init__(self, start: int, end: int, t: int, number: int) -> None:
        self.start, self.end, self.t, self.number = start, end, t, number
        self.again = False


class Way:
    """Instants are ns from the first packet of the file."""

    def __init__(self) -> None:
        self.base = -1
        self.at = 0
        self.top = 1  # the end of what was seen
        self.acked = 0
        self.edge = -1  # of the window that the other side offers
        self.window = -1
        self.shift = 0
        self.mss = 0  # the largest segment …
        self.limit = 9000  # … as the other side's SYN allows it: what was captured on the sending host may be several in one
        self.bytes = 0  # of the stream: what was sent again not counted
        self.packets = 0
        self.first = self.last = -1  # when text was sent
        self.dupacks = 0
        self.sack_top = 0
        self.srtt = 0
        self.rttvar = 0
        self.min_rtt = 0
        self.spurious = 0
        self.shut_since = -1
        self.shut: list[tuple[int, int, int]] = []  # from, to, packet
        self.shut_time = 0
        self.limited_time = 0  # while the offered window was full
        self.busy_time = 0  # while something was in flight
        self.stalls = 0  # small segments that waited for a delayed ACK
        self.stalled_time = 0
        self.stall_at = 0
        self.lost_here = 0  # ACKs of what is not in the capture
        self.runs = Runs()
        self.marks = Marks()
        self.sacks = Marks()
        self.acks = Steps()
        self.edges = Steps()
        self.rtts = Curve()
        self.flights = Curve()
        self._out: deque[Sent] = deque()
        self._holes: list[tuple[int, int]] = []
        self._seen_at = 0
        self._waited: tuple[int, int, int] | None = None  # a delayed ACK: when it came, how late it was, its packet

    # -- numbers ------------------------------------------------------------------------------------------------------------

    def near(self, seq: int) -> int:
        """The number that `seq` stands for: the nearest to the highest that was seen."""
        offset = (seq - self.base) & 0xFFFFFFFF
        ahead = (offset - self.at) & 0xFFFFFFFF
        return max(0, self.at + ahead - (ahead >> 31 << 32))

    @property
    def flight(self) -> int:
        return max(0, self.top - max(self.acked, 1)) if self.acked else max(0, self.top - 1)

    # -- what is sent ---------------------------------------------------------------------------------------------------------

    def syn(self, seq: int) -> None:
        if self.base < 0 or self.packets == 0:
            self.base = seq
            self.at = 0

    def text(self, t: int, seq: int, n: int, number: int, fin: bool) -> str:
        """A segment with `n` bytes of text, or a FIN. What it was: new, late, or why it was sent again."""
        if self.base < 0:
            self.base = (seq - 1) & 0xFFFFFFFF
        self._pass(t)
        start = self.near(seq)
        end = start + n + fin
        self.at = max(self.at, end)
        self.packets += 1
        self.mss = max(self.mss, min(n, self.limit))
        if n:
            self.last = t
            if self.first < 0:
                self.first = t
        if end > self.top:
            if n == 1 and self.window == 0:
                self.marks.add(t, start, end, "probe", number)
            if start > self.top:
                if self.packets > 1 and len(self._holes) < HOLES:
                    self._holes.append((self.top, start))
            elif start < self.top:
                self.marks.add(t, start, self.top, "again", number)
            self.bytes += min(n, end - self.top)
            self.top = end
            self.runs.add(t, start, end)
            self._note(Sent(start, end, t, number))
            self._stall(t)
            self.flights.add(t, self.flight)
            return "new"
        kind = self._again(t, start, end, n, number)
        self.marks.add(t, start, end, kind, number)
        return kind

    def _note(self, sent: Sent) -> None:
        self._out.append(sent)
        if len(self._out) > OUTSTANDING:
            self._out.popleft()

    def _again(self, t: int, start: int, end: int, n: int, number: int) -> str:
        for i, (a, b) in enumerate(self._holes):
            if start < b and end > a:
                self._holes[i : i + 1] = [piece for piece in ((a, start), (end, b)) if piece[0] < piece[1]]
                self.bytes += min(n, b - a)
                self.runs.add(t, start, end)
                return "late"
        if n <= 1 and (start == self.top - 1 or self.window == 0):
            return "probe"
        if end <= self.acked:
            return "needless"
        before = -1
        for sent in self._out:
            if sent.start < end and sent.end > start:
                before = sent.t
                sent.again = True
                sent.t = t
        waited = t - before if before >= 0 else 0
        rto = self.srtt + max(200 * MILLISECOND, 4 * self.rttvar) if self.srtt else 1000 * MILLISECOND
        if (self.dupacks >= 3 or self.sack_top > end) and waited < rto:
            return "fast"
        if end == self.top and before >= 0 and 0 < waited < rto * 9 // 10:
            return "tail"
        return "timeout"

    def _stall(self, t: int) -> None:
        waited = self._waited
        if waited is not None:
            self._waited = None
            if t - waited[0] < QUICK:
                self.stalls += 1
                self.stalled_time += waited[1]
                if not self.stall_at:
                    self.stall_at = waited[2]

    # -- what the other side says --------------------------------------------------------------------------------------------

    def ack(self, t: int, seq: int, window: int, empty: bool, number: int, sacks: tuple[tuple[int, int], ...], usual: int) -> None:
        """An ACK of ours, with the window that it offers in bytes. `usual`: the handshake's round trip."""
        if self.base < 0:
            self.base = (seq - 1) & 0xFFFFFFFF
            self.at = self.top = 1
        self._pass(t)
        at = self.near(seq)
        if at > self.at + (1 << 30):
            return  # of another life of these ports
        if at > self.top:
            self.lost_here += 1
            if len(self._holes) < HOLES:
                self._holes.append((self.top, at))
            self.top = self.at = at
        if at > self.acked:
            self._acknowledge(t, at, number, usual)
        elif at == self.acked and empty and window == self.window and self._out:
            self.dupacks += 1
        self.window = window
        self.edge = max(self.edge, at + window)
        self.acks.add(t, self.acked)
        self.edges.add(t, self.edge)
        for i, (a, b) in enumerate(sacks):
            first = self.near(a)
            end = first + ((b - a) & 0xFFFFFFFF)
            if end <= self.acked or (
                i == 0 and len(sacks) > 1 and self.near(sacks[1][0]) <= first and end <= self.near(sacks[1][1])
            ):
                self.spurious += any(mark[1] < end and mark[2] > first for mark in self.marks.all[-64:])
                continue
            self.sack_top = max(self.sack_top, end)
            if end <= self.top:
                self.sacks.add(t, first, end, "sack", number)
        if window == 0 and self.shut_since < 0:
            self.shut_since = t
            self.shut.append((t, t, number))
            del self.shut[200:]
        elif window and self.shut_since >= 0:
            self.shut_time += t - self.shut_since
            self.shut[-1] = (self.shut_since, t, self.shut[-1][2])
            self.shut_since = -1
        self.flights.add(t, self.flight)

    def _acknowledge(self, t: int, at: int, number: int, usual: int) -> None:
        self.acked = at
        self.dupacks = 0
        out = self._out
        newest: Sent | None = None
        count = 0
        while out and out[0].end <= at:
            newest = out.popleft()
            count += 1
        if newest is None or newest.again:
            return
        rtt = t - newest.t
        self.rtts.add(t, rtt)
        if not self.min_rtt or rtt < self.min_rtt:
            self.min_rtt = max(rtt, 1)
        if not self.srtt:
            self.srtt, self.rttvar = rtt, rtt // 2
        else:
            self.rttvar = (3 * self.rttvar + abs(self.srtt - rtt)) // 4
            self.srtt = (7 * self.srtt + rtt) // 8
        small = newest.end - newest.start < self.mss or not self.mss
        if count == 1 and not out and small and rtt - usual > ACK_DELAY:
            self._waited = (t, rtt - usual, number)
        else:
            self._waited = None

    def _pass(self, t: int) -> None:
        """Time has gone by in the state that was."""
        past = t - self._seen_at
        if past > 0:
            if self.flight:
                self.busy_time += past
                if 0 < self.window <= self.flight + max(self.mss, 1):
                    self.limited_time += past
            self._seen_at = t

    def end(self, t: int) -> None:
        """The capture ends."""
        self._pass(t)
        if self.shut_since >= 0:
            self.shut_time += t - self.shut_since
            self.shut[-1] = (self.shut_since, t, self.shut[-1][2])
            self.shut_since = -1

    def again(self) -> int:
        """Segments that were sent again."""
        return sum(self.marks.count.get(kind, 0) for kind in ("fast", "timeout", "tail", "needless", "again"))
