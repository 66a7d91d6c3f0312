"""Round-trip time and the retransmission time-out (RFC 6298).

The floor is 200 ms, not the RFC's second: every stack in use has lowered it (Linux 200, FreeBSD 30, macOS 30 ms), since a second
is a thousand round trips in a data centre. As Linux does, the floor is applied to the *variance term*: on a path whose
RTT is steadily 190 ms a plain `max(rto, 200)` would leave 10 ms for the peer's delayed ACK of 40 and retransmit without end.

Back-off is kept until a new sample comes (Karn's second half): an ACK of a retransmitted segment says nothing about the path.
"""

from . import const as tc


class Rtt:
    """All in nanoseconds. `srtt` is 0 until the first sample."""

    __slots__ = ("backoff", "floor", "rttvar", "srtt")

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self.srtt = 0
        self.rttvar = 0
        self.backoff = 0  # doublings since the last sample

    def sample(self, rtt: int) -> None:
        """A measured round trip of a segment that was sent once (Karn)."""
        if rtt < 1:
            rtt = 1
        if self.srtt == 0:
            self.srtt = rtt
            self.rttvar = rtt // 2
        else:
            error = self.srtt - rtt if self.srtt > rtt else rtt - self.srtt
            self.rttvar = (3 * self.rttvar + error) // 4  # of positive numbers: C and Python divide those alike
            self.srtt = (7 * self.srtt + rtt) // 8 or 1
        self.backoff = 0

    def handshake_was_lossy(self) -> None:
        """The SYN was retransmitted: begin the data phase with three seconds (RFC 6298 5.7), and no back-off."""
        self.backoff = 0
        if self.srtt == 0:
            self.rttvar = tc.RTO_AFTER_SYN_LOSS

    def rto(self) -> int:
        """The time-out for what is sent now, backed off."""
        if self.srtt == 0:
            rto = self.rttvar if self.rttvar else tc.RTO_INITIAL
        else:
            spread = 4 * self.rttvar
            rto = self.srtt + (spread if spread > self.floor else self.floor)
        i = self.backoff
        while i > 0 and rto < tc.RTO_MAX:
            rto *= 2
            i -= 1
        return rto if rto < tc.RTO_MAX else tc.RTO_MAX

    def forgive(self) -> None:
        """The back-off was not for loss: the peer had shut its window, and answered all along."""
        self.backoff = 0

    def back_off(self) -> None:
        self.backoff += 1
