"""CUBIC (RFC 9438): after a loss the window is a cubic function of time, steep, flat about where the loss was, and steep again.

    W_cubic(t) = C * (t - K)**3 + W_max        C = 0.4 segments/s**3; t since congestion avoidance began, an *epoch*
    K = cbrt((W_max - cwnd_epoch) / C)         so W_cubic(0) is the window at the beginning of the epoch

So growth doesn't depend on the round-trip time, and long fat paths are filled. On short ones Reno would grow faster: W_est is
what Reno would have (4.3), and the larger of the two counts.

Windows are bytes and all arithmetic is in integers, the same in both builds. Time is counted in ticks of 250 us, 4000 to the
second, so that its cube fits in 63 bits for as long as a window can grow:

    C * mss * (d / 4000)**3  =  d**3 / 16_000_000 * mss / 10_000             d at most 1,280,000 ticks, 320 s; d**3 < 2**61

At 88 bytes to the segment W_cubic climbs from nothing to CWND_MAX in 312 s; for larger segments it takes less. The first
quotient loses less than mss / 10,000 bytes.
"""

from .base import Congestion

TICK = 250_000  # ns
LATEST = 1_280_000  # ticks
SCALE = 16_000_000
FRACTION = 10_000
BETA_TENTHS = 7  # RFC 9438 4.6


class Cubic(Congestion):
    __slots__ = ("acked_at", "credit", "epoch", "epoch_at", "est_credit", "k", "prior", "undo", "w_est", "w_max")

    def __init__(self, mss: int) -> None:
        Congestion.__init__(self, mss)  # super() takes three times as long
        self.w_max = 0  # 0: there was no loss yet, or a time-out
        self.undo = 0  # w_max before the last loss
        self.prior = 0  # cwnd when ssthresh was set last: cwnd_prior
        self.epoch = False  # has congestion avoidance begun?
        self.epoch_at = 0
        self.acked_at = 0  # when on_ack was last called in this epoch
        self.k = 0  # ticks
        self.w_est = 0
        self.est_credit = 0  # remainders of the divisions below
        self.credit = 0

    def w_cubic(self, t: int) -> int:
        """The cubic function `t` nanoseconds into the epoch; negative for a W_max that was never reached."""
        d = t // TICK - self.k
        late = d >= 0
        if not late:
            d = -d
        if d > LATEST:
            d = LATEST
        delta = d * d * d // SCALE * self.mss // FRACTION
        return self.w_max + delta if late else self.w_max - delta

    def begin(self, now: int) -> None:
        """Congestion avoidance begins."""
        self.epoch = True
        self.careful = False
        self.epoch_at = now
        self.w_est = self.cwnd
        self.est_credit = 0
        self.credit = 0
        if self.prior == 0:
            self.prior = self.cwnd  # slow start ended without a loss: 4.10
        if self.cwnd < self.w_max:
            self.k = ticks_to_climb(self.w_max - self.cwnd, self.mss)
        else:  # beyond it already, or W_max is not known: 4.8, 4.10
            self.k = 0
            self.w_max = self.cwnd

    def on_ack(self, acked: int, flight: int, srtt: int, now: int) -> None:
        if not self.used(flight, now):
            self.hold(now)  # 4.2, 5.8: t doesn't run while the application is the limit
            return
        if self.cwnd < self.ssthresh:
            self.slow_start(acked)
            return
        if not self.epoch:
            self.begin(now)
        self.acked_at = now
        t = now - self.epoch_at
        cwnd = self.cwnd

        # what Reno would have, by equation 4: alpha is 3 * (1 - beta) / (1 + beta) = 9/17, and 1 once it is where it was
        per_byte = 17 if self.w_est >= self.prior else 9
        self.est_credit += per_byte * acked * self.mss
        step = self.est_credit // (17 * cwnd)
        self.est_credit -= step * 17 * cwnd
        self.w_est += step
        if self.w_cubic(t) < self.w_est:
            if cwnd < self.w_est:
                self.cwnd = self.w_est
            return

        # the concave and the convex region, 4.4 and 4.5: reach the target in a round-trip time
        target = self.w_cubic(t + srtt)
        most = cwnd + (cwnd >> 1)
        if target > most:
            target = most
        if target <= cwnd:
            return
        self.credit += (target - cwnd) * (acked if acked < cwnd else cwnd)
        step = self.credit // cwnd
        self.credit -= step * cwnd
        self.cwnd = cwnd + step if cwnd + step < target else target

    def hold(self, now: int) -> None:
        """Take the time since the last ACK out of the epoch."""
        if self.epoch:
            self.epoch_at += now - self.acked_at
            self.acked_at = now

    def on_restart(self, idle: int, rto: int, now: int) -> None:
        if idle > rto:
            self.epoch = False
        else:
            self.hold(now)
        Congestion.on_restart(self, idle, rto, now)  # super() needs a cell that a cdef method has not

    def adopt(self, cwnd: int, ssthresh: int) -> None:
        Congestion.adopt(self, cwnd, ssthresh)
        self.epoch = False

    def on_spurious(self, cwnd: int, ssthresh: int, now: int) -> None:
        """RFC 9438 4.9: go on as if nothing had been; a new epoch begins where the old one was broken off."""
        Congestion.on_spurious(self, cwnd, ssthresh, now)
        self.w_max = self.undo
        self.epoch = False

    def on_loss(self, flight: int, now: int) -> None:
        self.undo = self.w_max
        # fast convergence, 4.7: lost below the last maximum, so there is less room, and others need some
        self.w_max = self.cwnd * 17 // 20 if self.cwnd < self.w_max else self.cwnd
        self.prior = self.cwnd
        self.epoch = False
        self.reduce(flight, BETA_TENTHS, now)
        self.cwnd = self.ssthresh

    def on_timeout(self, flight: int, now: int) -> None:
        self.undo = self.w_max
        self.w_max = 0  # 4.8: the next epoch has K = 0, and W_max where it begins
        self.prior = self.cwnd
        self.epoch = False
        self.reduce(flight, BETA_TENTHS, now)
        self.cwnd = self.mss
        self.careful = True


def ticks_to_climb(n: int, mss: int) -> int:
    """K: the integer cube root of the time in which the cubic function grows by `n` bytes up to W_max."""
    cube = n * FRACTION // mss
    most = LATEST * LATEST // SCALE * LATEST
    cube = (cube if cube < most else most) * SCALE
    root = 0
    bit = 1 << 20  # 21 bits are enough for LATEST, and their cube fits
    while bit:
        trial = root | bit
        if trial * trial * trial <= cube:
            root = trial
        bit >>= 1
    return root
