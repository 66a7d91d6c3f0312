"""What was sent again, and why: for whoever asks `conn.info()`. Made with the first retransmission; a connection that loses nothing
has none."""

from collections import deque

from ... import const
from ...records import frozen
from .. import const as tc

KEPT = 64  # retransmissions that are remembered one by one; the counts go on

REASONS = {
    tc.BY_RACK: "rack",  # something sent later has arrived (RFC 8985 6)
    tc.BY_DUPACKS: "dupacks",  # three duplicate ACKs, of a peer without SACK (RFC 5681 3.2)
    tc.BY_PARTIAL: "partial",  # an ACK in recovery ended where a hole begins (RFC 6582)
    tc.BY_RTO: "rto",  # nothing was heard for a whole time-out (RFC 6298)
    tc.BY_PROBE: "probe",  # a tail loss probe (RFC 8985 7)
    tc.BY_PMTU: "pmtu",  # a router could not forward it, for its size (RFC 1191)
    tc.BY_RENEGING: "reneging",  # the peer has discarded what it had SACKed (RFC 2018 8)
    tc.BY_SYN: "syn",  # the SYN, or the SYN,ACK
}


@frozen
class Retransmission:
    """`at` is its instant, `offset` where its `n` bytes stand in the stream, modulo 2**32."""

    at: int
    offset: int
    n: int
    why: str


class History:
    __slots__ = ("bytes", "counts", "dsacked", "last", "last_at", "lost", "probes", "reordering", "undone")

    def __init__(self) -> None:
        self.last: deque[tuple[int, int, int, int]] = deque(maxlen=KEPT)
        self.counts: dict[int, int] = {}
        self.bytes = 0  # sent again
        self.lost = 0  # bytes marked lost, ever
        self.dsacked = 0  # D-SACKs received
        self.undone = 0  # episodes that were none
        self.reordering = 0  # the furthest that a segment was overtaken, in bytes
        self.last_at = 0

    def note(self, at: int, offset: int, n: int, why: int, segments: int) -> None:
        self.last.append((at, offset, n, why))
        self.counts[why] = self.counts.get(why, 0) + segments
        self.bytes += n
        self.last_at = at

    def has(self, offset: int) -> bool:
        """Is the byte at `offset` among the last that were sent again?"""
        return any((offset - start) & const.M32 < n for _, start, n, _ in self.last)

    def told(self) -> tuple[Retransmission, ...]:
        return tuple(Retransmission(at, offset, n, REASONS[why]) for at, offset, n, why in self.last)

    def reasons(self) -> dict[str, int]:
        """Segments sent again, by reason."""
        return {REASONS[why]: n for why, n in self.counts.items()}
