"""Congestion control on a bench: a strategy without a connection, driven event by event, in both builds.

A strategy's events are `cdef` methods, which Python can't call: `Driver` does.
"""

from ..tcp.congestion.base import Congestion


class Driver:
    """A strategy and its events, to be called from Python."""

    __slots__ = ("cc",)

    def __init__(self, cc: Congestion) -> None:
        self.cc = cc

    def start(self, mss: int, syn_was_lost: bool) -> None:
        self.cc.on_start(mss, syn_was_lost)

    def adopt(self, cwnd: int, ssthresh: int) -> None:
        self.cc.adopt(cwnd, ssthresh)

    def new_mss(self, mss: int) -> None:
        self.cc.on_mss(mss)

    def ack(self, acked: int, flight: int, srtt: int, now: int) -> None:
        self.cc.on_ack(acked, flight, srtt, now)

    def loss(self, flight: int, now: int) -> None:
        self.cc.on_loss(flight, now)

    def recovered(self, flight: int, now: int) -> None:
        self.cc.on_recovered(flight, now)

    def timeout(self, flight: int, now: int) -> None:
        self.cc.on_timeout(flight, now)

    def restart(self, idle: int, rto: int, now: int) -> None:
        self.cc.on_restart(idle, rto, now)

    def clock(self, length: int, each: int, rtt: int, now: int) -> int:
        """An ACK clock: `length` bytes are acknowledged, `each` at a time, a window in a round trip, the window always full.
        Returns the instant of the last ACK."""
        cc = self.cc
        while length > 0:
            n = each if length > each else length
            length -= n
            now += rtt * n // cc.cwnd
            cc.on_ack(n, cc.cwnd, rtt, now)
        return now
