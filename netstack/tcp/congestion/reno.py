"""Reno as RFC 5681 has it, counting bytes (RFC 3465).

In slow start the window grows by all the bytes that were acknowledged, as Linux does since 3.18: our peers and we acknowledge
super-segments, so "one segment for each ACK" would grow by 1/40 of what it should. Splitting ACKs gains a liar nothing: bytes
are counted, not ACKs. Recovering from a time-out the growth is held to one segment for each ACK (RFC 3465 2.3), since what is
acknowledged then may have been there all along.
"""

from .. import const as tc
from .base import Congestion


class Reno(Congestion):
    __slots__ = ("acked", "careful")

    def __init__(self, mss: int) -> None:
        super().__init__(mss)
        self.acked = 0  # bytes acknowledged since cwnd last grew, in congestion avoidance
        self.careful = False  # slow start after a time-out

    def on_ack(self, acked: int, flight: int, now: int) -> None:
        # an application that does not fill the window has not shown that the path carries more (RFC 5681 3.1, RFC 7661);
        # half a window is "filling": ACKs of super-segments come late
        if 2 * flight < self.cwnd or self.cwnd >= tc.CWND_MAX:
            return
        if self.cwnd < self.ssthresh:
            room = self.ssthresh - self.cwnd
            grow = acked
            if self.careful and grow > self.mss:
                grow = self.mss
            if grow > room:
                grow = room if room > self.mss else self.mss
            self.cwnd += grow
            return
        self.careful = False
        self.acked += acked
        if self.acked >= self.cwnd:  # one segment for each window (RFC 5681 3.1 equation 3, by bytes)
            self.acked -= self.cwnd
            self.cwnd += self.mss

    def halve(self, flight: int) -> None:
        half = flight // 2  # flight, not cwnd: RFC 5681 3.1 equation 4
        self.ssthresh = half if half > 2 * self.mss else 2 * self.mss
        self.acked = 0

    def on_loss(self, flight: int, now: int) -> None:
        self.halve(flight)
        self.cwnd = self.ssthresh

    def on_recovered(self, flight: int, now: int) -> None:
        # RFC 6582 3.2 step 3, option 1: no burst of a whole ssthresh when little is left in flight
        cwnd = (flight if flight > self.mss else self.mss) + self.mss
        self.cwnd = cwnd if cwnd < self.ssthresh else self.ssthresh

    def on_timeout(self, flight: int, now: int) -> None:
        self.halve(flight)
        self.cwnd = self.mss  # the loss window: RFC 5681 3.1
        self.careful = True
