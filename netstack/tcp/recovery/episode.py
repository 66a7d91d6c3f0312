"""A loss episode: from the first loss until everything that was in flight then has been acknowledged.

Two things live as long. Proportional rate reduction (RFC 9937, which obsoletes 6937) says how many bytes may leave while the window
comes down to the new one: one for each that arrives, or a little less, so that the flow of ACKs never stops and no burst follows.
And there is what it takes to undo it all, should the losses turn out to be none: the windows from before, and what was sent again.

    delivered, out     bytes that arrived, and that left, in the episode (prr_delivered, prr_out)
    flight             bytes in flight at its beginning (RecoverFS)
"""


from ... import serial

MOST_AGAIN = 256  # pieces sent again, of which all must have come twice; an episode with more is not undone by D-SACKs


class Episode:
    __slots__ = (
        "again", "cwnd", "delivered", "doubted", "first_at", "flight", "fresh", "kept", "many", "out", "progress", "quota",
        "reduced", "ssthresh", "urgent",
    )  # fmt: skip

    def __init__(self, cwnd: int, ssthresh: int, flight: int, owed: int = 0) -> None:
        """`owed` bytes more might have left before it began."""
        self.cwnd = cwnd  # what they were before
        self.ssthresh = ssthresh
        self.flight = flight + owed if flight + owed > 0 else 1
        self.delivered = 0
        self.out = -owed
        self.quota = 0  # bytes that may leave now
        self.fresh = 0  # bytes delivered since the quota was computed last …
        self.progress = False  # … by ACKs of which one moved SND.UNA, and none told of another loss (SafeACK)
        self.reduced = False  # the quota has been computed at least once
        self.urgent = False  # a segment shall leave, whatever the quota says
        self.again: list[int] = []  # begin, end, begin, end … of what was sent again, and is not yet reported as come twice
        self.first_at = -1  # when the first of it left
        self.many = False  # more of it than can be kept in mind
        self.doubted = False  # an ACK has shown that something was truly lost
        self.kept = False  # the flight is over, D-SACKs may still come

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
        if n < mss and (self.out <= 0 or self.urgent):
            n = mss  # the first retransmission leaves in any case; so does that of a partial ACK, which may be the last to come
        self.quota = n if n > 0 else 0
        self.fresh = 0
        self.progress = False
        self.reduced = True
        self.urgent = False

    def stalled(self) -> None:
        """Nothing of what is on its way will arrive: a segment must leave now, or no ACK will come to let one out."""
        self.urgent = True
        self.reduced = False

    def left(self, n: int) -> None:
        """`n` bytes have left."""
        self.out += n
        self.quota -= n

    def resent(self, seq: int, end: int, now: int) -> None:
        """`seq` to `end` left once more."""
        if self.first_at < 0:
            self.first_at = now
        if len(self.again) >= 2 * MOST_AGAIN:
            self.many = True
        else:
            self.again.append(seq)
            self.again.append(end)

    def outlives(self) -> bool:
        """The flight has ended, and with it the episode. Is it still to be kept in mind? A receiver sends its D-SACKs when a
        retransmission comes second, which may be after the ACK of everything; but before that of the next flight."""
        if self.kept or self.many or not self.again:
            return False
        self.kept = True
        return True

    def twice(self, begin: int, end: int) -> bool:
        """`begin` to `end` has come twice (D-SACK). True when that goes for all that was sent again: nothing was lost. Each counts
        once, so that a network that doubles segments, or a peer that says so, can't make a loss look like none."""
        old = self.again
        if not old or self.many:
            return False
        rest: list[int] = []
        i = 0
        while i < len(old):
            a = old[i]
            b = old[i + 1]
            i += 2
            if serial.le(begin, a) and serial.le(b, end):
                continue
            if serial.le(a, begin) and serial.le(end, b):  # a segment of a super-segment: what is before and behind it remains
                if a != begin:
                    rest.append(a)
                    rest.append(begin)
                a = end
                if a == b:
                    continue
            rest.append(a)
            rest.append(b)
        self.again = rest[: 2 * MOST_AGAIN]
        return not rest

    def answered(self, echo_to: int) -> bool:
        """SND.UNA has moved over something that was sent again, by an ACK whose timestamp says that the segment it answers left
        at `echo_to` at the latest. True when that was before the first retransmission: what arrived was the original (RFC 3522).
        One that was not shows that something was truly lost."""
        if self.first_at < 0 or self.doubted or echo_to < 0:
            return False
        self.doubted = echo_to >= self.first_at
        return not self.doubted
