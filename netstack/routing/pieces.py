"""Later fragments: they name no ports, and follow their first one (RFC 4787 REQ-14).

They may come before it. Then they wait, a copy of each, until it comes or their time is over. What a stranger can fill: DATAGRAMS
that are followed at a time, the oldest forgotten first; WAITING bytes in all, and PIECES of one datagram. A flood of fragments
without a first one costs those who send fragments, and nobody else.
"""

from .. import const
from .mib import ConntrackMib
from .track import Way

DATAGRAMS = 512
WAITING = 1 << 20
PIECES = 48  # a datagram of 64 KiB over an MTU of 1500 has 45
LIFE = 15 * const.SECOND  # as long as a host waits at least for the rest (RFC 1122 3.3.2: 60 to 120; Linux 30)


class Piece:
    """What became of a first fragment; `verdict` 0 until it came, then VERDICT_…; `way` where it was translated."""

    __slots__ = ("size", "until", "verdict", "waiting", "way")

    def __init__(self, until: int) -> None:
        self.until = until
        self.verdict = 0
        self.way: Way | None = None
        self.waiting: list[bytes] = []
        self.size = 0


class Pieces:
    __slots__ = ("mib", "size", "table")

    def __init__(self, mib: ConntrackMib) -> None:
        self.mib = mib
        self.table: dict[tuple[int, int, int, int], Piece] = {}  # (source, destination, identification, protocol)
        self.size = 0

    def find(self, key: tuple[int, int, int, int], now: int) -> Piece:
        """That of a datagram, a new one if need be."""
        piece = self.table.get(key)
        if piece is not None:
            if now < piece.until:
                return piece
            self.drop(key)
        while self.table:
            oldest = next(iter(self.table))
            if len(self.table) < DATAGRAMS and now < self.table[oldest].until:
                break
            self.drop(oldest)
        piece = Piece(now + LIFE)
        self.table[key] = piece
        return piece

    def drop(self, key: tuple[int, int, int, int]) -> None:
        piece = self.table.pop(key)
        self.mib.PiecesLost += len(piece.waiting)
        self.size -= piece.size

    def wait(self, piece: Piece, datagram: bytes) -> None:
        """Its first one hasn't come yet."""
        if self.size + len(datagram) > WAITING or len(piece.waiting) >= PIECES:
            self.mib.PiecesLost += 1
            return
        self.mib.PiecesWaited += 1
        piece.waiting.append(datagram)
        piece.size += len(datagram)
        self.size += len(datagram)

    def release(self, piece: Piece) -> list[bytes]:
        """Those that waited."""
        self.size -= piece.size
        piece.size = 0
        waiting, piece.waiting = piece.waiting, []
        return waiting
