"""RACK: which of the runs are lost, by time (RFC 8985 6).

A segment is lost when one that was sent later has arrived and a reordering window has passed since. That covers lost
retransmissions, which have times of their own, and short flights, where three duplicate ACKs never come. Segments that were
overtaken on the way are not lost: the window starts at nothing, becomes a quarter of the shortest round trip when reordering
is seen, and grows with each D-SACK, which says that it was too short.

What the detector learns of the path (`reordered`, `reo_mult`, `min_rtt`) outlives the flight and is the connection's; what is here
is forgotten when everything has been acknowledged. So an idle connection holds no `Flight`: they are lent by the `Hub`.

    rack_at, rack_end     of the segment sent last of all that have arrived (RACK.xmit_ts, RACK.end_seq)
    rack_rtt              its round trip                        fack    the highest sequence number that has arrived
"""

from ... import serial
from .. import const as tc
from .board import Board, Run

GRAIN = 5  # what left within a 32nd of the shortest round trip left together: a few dozen runs in each, however ACKs come in


class Flight(Board):
    """What is in flight. `open` begins with nothing at `una`."""

    __slots__ = (
        "after", "busy_at", "delivered", "delivered_at", "dsack_open", "dsack_round", "echo_to", "fack", "fack_before", "now",
        "partial", "rack_at", "rack_end", "rack_min", "rack_rtt", "rate_bytes", "rate_ns", "reo_due", "reordered_by",
        "rto_from", "rtt_seq",
    )  # fmt: skip

    def __init__(self) -> None:
        Board.__init__(self)
        self.after: Flight | None = None  # of those that wait to be lent (tcb.py)

    def open(self, una: int, now: int, min_rtt: int) -> None:
        self.rack_at = -1
        self.rack_end = una
        self.rack_rtt = 0
        self.rack_min = min_rtt
        self.fack = una
        self.fack_before = una
        self.reordered_by = 0  # how far behind, in this ACK
        self.echo_to = -1
        self.reo_due = 0  # when the reordering window of some run ends: an instant, 0 for none
        self.rto_from = now  # the time-out counts from here (RFC 6298 5.1, 5.3)
        self.rtt_seq = una  # the next sample is of what is sent from here on: one in each round trip
        self.partial = False  # a partial ACK has restarted the timer already (RFC 6582 4)
        self.dsack_open = False
        self.dsack_round = una
        self.busy_at = now
        self.delivered = 0
        self.delivered_at = now
        self.rate_bytes = 0
        self.rate_ns = 0
        self.now = now

    def hear(self, now: int, echo_to: int, min_rtt: int) -> None:
        """News of one ACK begins. `echo_to` is the latest instant at which the segment that it answers may have left, by its
        timestamp; -1 when it has none."""
        self.begin()
        self.now = now
        self.echo_to = echo_to
        self.rack_min = min_rtt
        self.fack_before = self.fack
        self.reordered_by = 0

    def leave(self, seq: int, end: int, now: int) -> None:
        """New: `seq` to `end` leaves."""
        before = len(self.runs)
        run = self.sent(seq, end, now, self.rack_min >> GRAIN)
        if len(self.runs) == before:
            return
        run.delivered = self.delivered
        run.delivered_at = self.delivered_at
        run.first_at = self.busy_at

    def leave_again(self, i: int, now: int) -> int:
        """The lost run at `i` leaves. Where it is now."""
        run = self.runs[i]
        run.delivered = self.delivered
        run.delivered_at = self.delivered_at
        run.first_at = self.busy_at
        return self.resent(i, now)

    def deliver(self, run: Run, end: int) -> None:
        """RFC 8985 6.2 steps 1 to 3, and a sample for the delivery rate."""
        self.delivered += serial.sub(end, run.seq)
        if self.sample is None or run.delivered >= self.sample.delivered:
            self.sample = run
        rtt = self.now - run.at
        if run.resent:
            # is it the retransmission that has arrived, or what was sent before? The timestamp tells where SND.UNA has moved over
            # it; beyond a hole the peer goes on echoing that of the segment before the hole (RFC 7323 4.3)
            if (not run.sacked and 0 <= self.echo_to < run.at) or rtt < self.rack_min:
                return
        else:
            self.last_at = run.at
            if serial.lt(end, self.fack_before) and serial.sub(self.fack_before, end) > self.reordered_by:
                self.reordered_by = serial.sub(self.fack_before, end)
        if serial.lt(self.fack, end):
            self.fack = end
        if run.at > self.rack_at or (run.at == self.rack_at and serial.lt(self.rack_end, end)):
            self.rack_at = run.at
            self.rack_end = end
            self.rack_rtt = rtt

    def rate(self) -> None:
        """Close the sample: so many bytes were delivered in so many nanoseconds, the longer of those in which they were sent and
        those in which they were acknowledged."""
        run = self.sample
        if run is None:
            return
        self.sample = None
        self.delivered_at = self.now
        sending = run.at - run.first_at
        hearing = self.now - run.delivered_at
        self.busy_at = run.at
        self.rate_bytes = self.delivered - run.delivered
        self.rate_ns = sending if sending > hearing else hearing

    def detect(self, window: int) -> None:
        """RFC 8985 6.2 step 5: mark lost what was sent before the last that arrived, and more than `window` ago; set `reo_due` to
        when the rest of it will be."""
        self.reo_due = 0
        limit = self.now - self.rack_rtt - window
        for run in self.runs:
            if run.sacked or run.lost:
                continue
            if run.at > self.rack_at or (run.at == self.rack_at and not serial.lt(run.end, self.rack_end)):
                continue
            if run.at <= limit:
                self.lose(run, tc.BY_RACK)
            elif self.reo_due < run.at + self.rack_rtt + window:
                self.reo_due = run.at + self.rack_rtt + window

    def doubt_head(self) -> None:
        """The head was sent again as a probe of a shut window: its ACK times nothing."""
        head = self.runs[0]
        head.resent = True
        self.any_resent = True

    def late(self, window: int, now: int) -> None:
        """The retransmission timer fired: the head is lost, and with it whatever RACK has waited for long enough (RFC 8985 6.3)."""
        first = True
        for run in self.runs:
            if not run.sacked and not run.lost and (first or run.at + self.rack_rtt + window <= now):
                self.lose(run, tc.BY_RTO)
            first = False
