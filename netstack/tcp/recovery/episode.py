"""A loss episode: from the first loss until everything that was in flight then has been acknowledged.

Two things live as long. Proportional rate reduction (RFC 9937, which obsoletes 6937) says how many bytes may leave while the window
comes down to the new one: one for each that arrives, or a little less, so that the flow of ACKs never stops and no burst follows.
And there is what it takes to undo it all, should the losses turn out to be none: the windows from before, and what was sent again.

    delivered, out     bytes that arrived, and that left, in the episode (prr_delivered, prr_out)
    flight             bytes in flight at its beginning (RecoverFS)
"""


class Episode:
    __slots__ = (
        "cwnd", "delivered", "doubted", "first_at", "flight", "fresh", "out", "progress", "quota", "reduced", "resent", "ssthresh",
        "urgent",
    )  # fmt: skip

    def __init__(self, cwnd: int, ssthresh: int, flight: int) -> None:
        self.cwnd = cwnd  # what they were before
        self.ssthresh = ssthresh
        self.flight = flight if flight > 0 else 1
        self.delivered = 0
        self.out = 0
        self.quota = 0  # bytes that may leave now
        self.fresh = 0  # bytes delivered since the quota was computed last …
        self.progress = False  # … by ACKs of which one moved SND.UNA, and none told of another loss (SafeACK)
        self.reduced = False  # the quota has been computed at least once
        self.urgent = False  # a segment shall leave, whatever the quota says
        self.resent = 0  # bytes sent again, and not yet reported as come twice
        self.first_at = -1  # when the first of them left
        self.doubted = False  # an ACK has shown that something was truly lost

    def arrived(self, n: int, progress: bool, lost_more: bool) -> None:
        """An ACK has told of `n` bytes that are new."""
        self.fresh += n
        self.progress = (self.progress or progress) and not lost_more

    def reckon(self, pipe: int, target: int, mss: int) -> None:
        """What may leave in answer to the ACKs of a batch, to bring what is in flight to `target` (RFC 9937 6)."""
        if self.reduced and not self.fresh:
            return  # nothing has arrived: what is left of the last quota is left
        self.delivered += self.fresh
        if pipe > target:
            n = (self.delivered * target + self.flight - 1) // self.flight - self.out
        else:
            n = self.delivered - self.out
            if n < self.fresh:
                n = self.fresh
            if self.progress:
                n += mss
            if n > target - pipe:
                n = target - pipe
        if n < mss and (self.out == 0 or self.urgent):
            n = mss  # the first retransmission leaves in any case; so does that of a partial ACK, which may be the last to come
        self.quota = n if n > 0 else 0
        self.fresh = 0
        self.progress = False
        self.reduced = True
        self.urgent = False

    def left(self, n: int) -> None:
        """`n` bytes have left."""
        self.out += n
        self.quota -= n

    def again(self, n: int, now: int) -> None:
        """`n` bytes of them once more."""
        self.resent += n
        if self.first_at < 0:
            self.first_at = now

    def twice(self, n: int) -> bool:
        """`n` bytes had come twice (D-SACK). True when that goes for all that were sent again: nothing was lost."""
        if self.first_at < 0 or self.resent <= 0:
            return False
        self.resent -= n
        return self.resent <= 0

    def answered(self, echo_to: int) -> bool:
        """SND.UNA has moved over something that was sent again, by an ACK whose timestamp says that the segment it answers left
        at `echo_to` at the latest. True when that was before the first retransmission (RFC 3522): nothing was lost. Only the
        first such ACK says so."""
        if self.first_at < 0 or self.doubted or echo_to < 0:
            return False
        self.doubted = True
        return echo_to < self.first_at
