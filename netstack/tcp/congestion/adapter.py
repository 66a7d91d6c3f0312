"""Where a strategy that is plain Python meets the compiled connection: a core that calls it and copies its two numbers.

    class Fixed:
        def __init__(self, mss: int) -> None:
            self.cwnd, self.ssthresh = 20 * mss, 1 << 40
        def on_start(self, mss: int, syn_was_lost: bool) -> None: ...

A Python class can't override a `cdef` method, so it does not derive from `Congestion`; it has the methods of `Strategy`, and may
have `on_spurious`. One that is compiled and derives from `Congestion` is used as it is.
"""

from typing import Protocol

from .. import const as tc
from .base import Congestion

EVENTS = ("on_start", "on_mss", "on_ack", "on_loss", "on_recovered", "on_timeout", "on_restart")


class Strategy(Protocol):
    """What `PyCongestion` calls; see `base.Congestion` for what each event says. Made with the MSS."""

    cwnd: int  # read after each event; written when it takes the place of another strategy
    ssthresh: int

    def on_start(self, mss: int, syn_was_lost: bool, /) -> None: ...
    def on_mss(self, mss: int, /) -> None: ...
    def on_ack(self, acked: int, flight: int, srtt: int, now: int, /) -> None: ...
    def on_loss(self, flight: int, now: int, /) -> None: ...
    def on_recovered(self, flight: int, now: int, /) -> None: ...
    def on_timeout(self, flight: int, now: int, /) -> None: ...
    def on_restart(self, idle: int, rto: int, now: int, /) -> None: ...


class PyCongestion(Congestion):
    __slots__ = ("strategy",)

    def __init__(self, mss: int, strategy: Strategy) -> None:
        super().__init__(mss)
        self.strategy = strategy
        self.read()

    def read(self) -> None:
        """Take its numbers. Less than a segment would stop the connection for ever, more than CWND_MAX overflow."""
        cwnd = self.strategy.cwnd
        ssthresh = self.strategy.ssthresh
        self.cwnd = max(self.mss, min(int(cwnd), tc.CWND_MAX))
        self.ssthresh = max(self.mss, min(int(ssthresh), 1 << 40))

    def adopt(self, cwnd: int, ssthresh: int) -> None:
        self.strategy.cwnd = cwnd
        self.strategy.ssthresh = ssthresh
        self.read()

    def on_start(self, mss: int, syn_was_lost: bool) -> None:
        self.mss = mss
        self.strategy.on_start(mss, bool(syn_was_lost))
        self.read()

    def on_mss(self, mss: int) -> None:
        self.mss = mss
        self.strategy.on_mss(mss)
        self.read()

    def on_ack(self, acked: int, flight: int, srtt: int, now: int) -> None:
        self.strategy.on_ack(acked, flight, srtt, now)
        self.read()

    def on_loss(self, flight: int, now: int) -> None:
        self.strategy.on_loss(flight, now)
        self.read()

    def on_recovered(self, flight: int, now: int) -> None:
        self.strategy.on_recovered(flight, now)
        self.read()

    def on_timeout(self, flight: int, now: int) -> None:
        self.strategy.on_timeout(flight, now)
        self.read()

    def on_restart(self, idle: int, rto: int, now: int) -> None:
        self.strategy.on_restart(idle, rto, now)
        self.read()

    def on_spurious(self, cwnd: int, ssthresh: int, now: int) -> None:
        """Told to those who want to know; else their numbers are set back."""
        tell = getattr(self.strategy, "on_spurious", None)
        if tell is not None:
            tell(cwnd, ssthresh, now)
        else:
            self.strategy.cwnd = max(self.strategy.cwnd, cwnd)
            self.strategy.ssthresh = max(self.strategy.ssthresh, ssthresh)
        self.read()
