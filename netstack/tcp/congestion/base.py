"""What congestion control is to a connection: four events in, two numbers out.

The connection finds out *that* something was lost and what to send again (transmit.py); the strategy says *how much* may be in
flight. Both count bytes. The window inflation of fast recovery is the connection's: a strategy never hears of duplicate ACKs.
"""

# RFC 6928: ten segments, but no more than the larger of two segments and 14600 bytes
INITIAL_SEGMENTS = 10
INITIAL_BYTES = 14600
UNLIMITED = 1 << 40  # ssthresh "arbitrarily high" (RFC 5681 3.1)


class Congestion:
    """A strategy. `cwnd` and `ssthresh` are bytes; `flight` is what was in flight before the event."""

    __slots__ = ("cwnd", "mss", "ssthresh")

    def __init__(self, mss: int) -> None:
        self.mss = mss
        self.ssthresh = UNLIMITED
        self.cwnd = initial_window(mss)

    def on_start(self, mss: int, syn_was_lost: bool) -> None:
        """The handshake is done and the MSS known."""
        self.mss = mss
        self.cwnd = mss if syn_was_lost else initial_window(mss)  # RFC 6928 2: a lost SYN starts with one segment

    def on_mss(self, mss: int) -> None:
        """The path's MTU changed: `cwnd` keeps its bytes (RFC 5927 7.2 warns of windows below one segment)."""
        self.mss = mss
        if self.cwnd < mss:
            self.cwnd = mss

    def on_ack(self, acked: int, flight: int, now: int) -> None:
        """`acked` new bytes were acknowledged, outside of recovery."""
        raise NotImplementedError

    def on_loss(self, flight: int, now: int) -> None:
        """Duplicate ACKs say that a segment was lost: once for each window."""
        raise NotImplementedError

    def on_recovered(self, flight: int, now: int) -> None:
        """Everything that was in flight at `on_loss` has arrived."""
        raise NotImplementedError

    def on_timeout(self, flight: int, now: int) -> None:
        """The retransmission timer fired for the first time for this segment."""
        raise NotImplementedError


def initial_window(mss: int) -> int:
    """RFC 6928, in bytes."""
    largest = 2 * mss if 2 * mss > INITIAL_BYTES else INITIAL_BYTES
    return INITIAL_SEGMENTS * mss if INITIAL_SEGMENTS * mss < largest else largest
