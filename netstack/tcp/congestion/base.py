"""What congestion control is to a connection: events in, two numbers out.

The connection finds out *that* something was lost and what to send again (recover.py); the strategy says *how much* may be in
flight. Both count bytes. How the window comes down in recovery is the connection's (recovery/episode.py): a strategy says where it
shall end, and never hears of duplicate ACKs.

    on_start      the handshake is done                 on_loss        a segment was lost, once for each window
    on_mss        the path's MTU changed                on_recovered   what was in flight at the loss has arrived
    on_ack        new bytes are acknowledged            on_timeout     the retransmission timer fired
    on_restart    sending begins anew, nothing being in flight
    on_spurious   the loss, or the time-out, was none

A strategy writes `on_ack`, `on_loss` and `on_timeout`; the rest is here, and the same for all that follow RFC 5681. `cwnd` and
`ssthresh` are read after each event, and at no other time.

Whatever is added here gets a body that does nothing, so that no strategy must be written anew. Places are kept for: each RTT
sample (HyStart++, RFC 9406), a sample of delivery (bytes delivered, over which interval, lost, in flight, limited by the
application or not) and a third number, a pacing rate (BBR), and congestion experienced (ECN).
"""

from .. import const as tc

# RFC 6928: ten segments, but no more than the larger of two segments and 14600 bytes
INITIAL_SEGMENTS = 10
INITIAL_BYTES = 14600
UNLIMITED = 1 << 40  # ssthresh "arbitrarily high" (RFC 5681 3.1)


class Congestion:
    """A strategy. All windows are bytes, `now` and durations nanoseconds; `flight` is what was in flight before the event."""

    __slots__ = ("careful", "cwnd", "mss", "name", "peak", "peak_at", "ssthresh")

    def __init__(self, mss: int) -> None:
        self.name = ""  # the one by which it was chosen
        self.mss = mss
        self.ssthresh = UNLIMITED
        self.cwnd = initial_window(mss)
        self.careful = False  # slow start after a time-out
        self.peak = 0  # the most that was in flight in this batch of ACKs …
        self.peak_at = -1  # … all of which came at this instant

    def adopt(self, cwnd: int, ssthresh: int) -> None:
        """Take the place of another strategy, where that one stood."""
        self.cwnd = cwnd
        self.ssthresh = ssthresh

    def on_start(self, mss: int, syn_was_lost: bool) -> None:
        """The handshake is done and the MSS known."""
        self.mss = mss
        self.cwnd = mss if syn_was_lost else initial_window(mss)  # RFC 6928 2: a lost SYN starts with one segment

    def on_mss(self, mss: int) -> None:
        """The path's MTU changed: `cwnd` keeps its bytes (RFC 5927 7.2 warns of windows below one segment)."""
        self.mss = mss
        if self.cwnd < mss:
            self.cwnd = mss

    def on_ack(self, acked: int, flight: int, srtt: int, now: int) -> None:
        """`acked` new bytes were acknowledged, outside of recovery. `srtt` is the smoothed round-trip time, at least 1, or 0
        while there is no sample."""
        raise NotImplementedError

    def on_loss(self, flight: int, now: int) -> None:
        """A segment was lost: once for each window. Recovery begins, and `on_ack` is not called until it ends."""
        raise NotImplementedError

    def on_recovered(self, flight: int, now: int) -> None:
        """Everything that was in flight at `on_loss` has arrived; `flight` is what is in flight now."""
        self.cwnd = self.ssthresh  # PRR has brought what is in flight there (RFC 9937 6)

    def on_timeout(self, flight: int, now: int) -> None:
        """The retransmission timer fired for the first time for this segment."""
        raise NotImplementedError

    def on_spurious(self, cwnd: int, ssthresh: int, now: int) -> None:
        """What seemed lost had arrived: these were the windows before `on_loss` or `on_timeout`."""
        if self.cwnd < cwnd:
            self.cwnd = cwnd
        if self.ssthresh < ssthresh:
            self.ssthresh = ssthresh
        self.careful = False

    def on_restart(self, idle: int, rto: int, now: int) -> None:
        """New data is about to leave, nothing is in flight, and data was last sent `idle` ago."""
        if idle <= rto:
            return
        # RFC 5681 4.1: after so long there is no ACK clock, and the path may be another. What it carried is remembered, for slow
        # start to go there at once (RFC 7661 4.4.3; Linux)
        restart = initial_window(self.mss)
        if self.cwnd > restart:
            known = self.cwnd - (self.cwnd >> 2)
            if self.ssthresh < known:
                self.ssthresh = known
            self.cwnd = restart

    # -- what strategies share ------------------------------------------------------------------------------------------------

    def used(self, flight: int, now: int) -> bool:
        """Has the window been used, so that it may grow? Half of it counts as all (RFC 7661 4.3): a writer that doesn't fill it has
        not shown that the path carries more. The flight of this ACK alone would not do: when the ACKs of a whole window are
        read in one batch, it falls and falls, and nothing is sent meanwhile."""
        if now != self.peak_at:
            self.peak_at = now
            self.peak = flight
        elif flight > self.peak:
            self.peak = flight
        return 2 * self.peak >= self.cwnd and self.cwnd < tc.CWND_MAX

    def slow_start(self, acked: int) -> None:
        """Grow by the bytes that were acknowledged (RFC 5681 3.1, RFC 3465), no further than a segment beyond ssthresh.

        All of them count, as Linux does since 3.18, where RFC 5681 takes one segment for each ACK: our peers and we acknowledge
        super-segments, so we should grow by 1/40 of what they would. Splitting ACKs gains a liar nothing: bytes are counted,
        not ACKs. After a time-out it is one segment for each ACK (RFC 3465 2.3), since what is acknowledged then may have been
        there all along."""
        grow = acked
        if self.careful and grow > self.mss:
            grow = self.mss
        room = self.ssthresh - self.cwnd
        if grow > room:
            grow = room if room > self.mss else self.mss
        self.cwnd += grow

    def reduce(self, flight: int, tenths: int, now: int) -> None:
        """Set ssthresh to so many tenths of what is in flight, and to two segments at the least (RFC 5681 3.1 equation 4).

        As in `used`: what the ACKs before this one, of the same batch, have taken off the flight would have been sent anew by
        now. Not to count it would halve a window again for having been acknowledged in one burst."""
        if now == self.peak_at and self.peak > flight:
            flight = self.peak
        if flight > self.cwnd:
            flight = self.cwnd  # what limited transmit or an earlier, larger window sent doesn't count (RFC 5681 3.2 step 2)
        least = 2 * self.mss
        ssthresh = flight * tenths // 10
        self.ssthresh = ssthresh if ssthresh > least else least


def initial_window(mss: int) -> int:
    """RFC 6928, in bytes."""
    largest = 2 * mss if 2 * mss > INITIAL_BYTES else INITIAL_BYTES
    return INITIAL_SEGMENTS * mss if INITIAL_SEGMENTS * mss < largest else largest
