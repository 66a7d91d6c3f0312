"""Reno as RFC 5681 has it, counting bytes (RFC 3465): half the window at a loss, a segment more for each window."""

from .base import Congestion


class Reno(Congestion):
    __slots__ = ("acked",)

    def __init__(self, mss: int) -> None:
        Congestion.__init__(self, mss)
        self.acked = 0  # bytes acknowledged since cwnd last grew, in congestion avoidance

    def on_ack(self, acked: int, flight: int, srtt: int, now: int) -> None:
        if not self.used(flight, now):
            return
        if self.cwnd < self.ssthresh:
            self.slow_start(acked)
            return
        self.careful = False
        self.acked += acked
        whole = self.cwnd - self.cwnd % self.mss  # half a segment is never sent: to wait for its ACK would take another round trip
        if self.acked >= whole:  # one segment for each window (RFC 5681 3.1 equation 3, by bytes)
            self.acked -= whole
            self.cwnd += self.mss

    def on_loss(self, flight: int, now: int) -> None:
        self.reduce(flight, 5, now)
        self.acked = 0
        self.cwnd = self.ssthresh

    def on_timeout(self, flight: int, now: int) -> None:
        self.reduce(flight, 5, now)
        self.acked = 0
        self.cwnd = self.mss  # the loss window: RFC 5681 3.1
        self.careful = True
