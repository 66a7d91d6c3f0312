"""The two queues that hold bytes: what was written and is not yet acknowledged, what came before its time.

Both keep the objects that they were given and never one small object for each small piece: neighbours are copied together
up to `JOIN` bytes, so that any two of them hold more, and the number of chunks is at most one for each KiB, whatever an
application or a peer does. A stream of one-byte writes, or of one-byte segments, costs its bytes and not a million objects.
"""

from .. import raw, serial
from . import const as tc


class SendQueue:
    """Bytes from the first unacknowledged one on. Offsets count from there.

    `view` leaves its answer in `data, o, n`: a reference and a slice, for an Out. A cursor remembers where the last view
    ended, so that sending in order never searches.
    """

    __slots__ = ("at", "chunks", "cursor", "data", "head", "length", "n", "o")

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.length = 0
        self.head = 0  # bytes of chunks[0] that are acknowledged
        self.cursor = 0  # index of a chunk …
        self.at = 0  # … and the offset at which it begins, counted like those of `view`; negative for a part-acknowledged one
        self.data = b""
        self.o = 0
        self.n = 0

    def append(self, data: bytes) -> None:
        """`data` is bytes, and not empty."""
        n = len(data)
        chunks = self.chunks
        if chunks and n < tc.JOIN:
            last = chunks[-1]
            if len(last) + n <= tc.JOIN:  # a new object: what is being sent from the old one keeps it alive
                chunks[-1] = last + data
                self.length += n
                return
        chunks.append(data)
        self.length += n

    def release(self, n: int) -> None:
        """The first `n` bytes are acknowledged: let go of the objects that are no longer needed."""
        if n > self.length:
            n = self.length
        self.length -= n
        self.at -= n
        n += self.head
        chunks = self.chunks
        i = 0
        while i < len(chunks):
            size = len(chunks[i])
            if n < size:
                break
            n -= size
            i += 1
        self.head = n
        if i:
            del chunks[:i]
            self.cursor -= i
        if self.cursor <= 0:
            self.cursor = 0
            self.at = -self.head

    def view(self, offset: int, n: int, mss: int) -> None:
        """At least one and at most `n` of the bytes from `offset` on, `offset + n` being within the queue.

        By reference where one object holds them all, or at least one whole segment: then as many whole segments as it holds.
        Where a segment spans objects its bytes are copied together, `mss` of them at the most.
        """
        if offset < self.at:
            self.cursor = 0
            self.at = -self.head
        chunk = self.chunks[self.cursor]
        while offset - self.at >= len(chunk):
            self.at += len(chunk)
            self.cursor += 1
            chunk = self.chunks[self.cursor]
        o = offset - self.at
        have = len(chunk) - o
        if have < n:
            if have >= mss:
                n = have - have % mss
            else:
                self.join(o, n if n < mss else mss)
                return
        self.data = chunk
        self.o = o
        self.n = n

    def join(self, o: int, n: int) -> None:
        """`n` bytes from `o` in the chunk under the cursor on, copied together."""
        parts: list[bytes] = []
        i = self.cursor
        left = n
        while left > 0:
            chunk = self.chunks[i]
            take = len(chunk) - o
            if take > left:
                take = left
            parts.append(raw.piece(chunk, o, take))
            left -= take
            o = 0
            i += 1
        self.data = b"".join(parts)
        self.o = 0
        self.n = n

    def drop(self) -> None:
        """Let go of the last view: an acknowledged object must not live on because it was sent last."""
        self.data = b""


class Piece:
    """Bytes that came out of order, and the sequence number of the first."""

    __slots__ = ("data", "seq")

    def __init__(self, seq: int, data: bytes) -> None:
        self.seq = seq
        self.data = data


class Reassembly:
    """Pieces in order of their sequence numbers, without overlap, all of them within one receive window beyond RCV.NXT.

    The bytes are bounded by the window, which whoever calls has checked; the pieces by `limit`. What many holes could cost
    (a list that is searched for each one-byte segment: CVE-2018-5390, "SegmentSmack") ends there: a full list takes only
    what joins a neighbour.
    """

    __slots__ = ("limit", "nbytes", "pieces")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.pieces: list[Piece] = []
        self.nbytes = 0

    def insert(self, seq: int, data: bytes) -> int:
        """Keep `data`, which begins at `seq`, but for what is there already. Returns how many bytes are new, -1 when the list is
        full."""
        pieces = self.pieces
        end = serial.add(seq, len(data))
        i = len(pieces)
        while i > 0:  # from the end: what comes out of order mostly comes in order
            left = pieces[i - 1]
            if serial.le(left.seq, seq):
                break
            i -= 1
        if i > 0:
            left_end = serial.add(left.seq, len(left.data))
            if serial.lt(seq, left_end):
                if serial.le(end, left_end):
                    return 0
                data = raw.piece(data, serial.sub(left_end, seq), serial.sub(end, left_end))
                seq = left_end
        gone = 0
        before = self.nbytes
        while i + gone < len(pieces):
            right = pieces[i + gone]
            if serial.le(end, right.seq):
                break
            if serial.lt(end, serial.add(right.seq, len(right.data))):
                data = raw.piece(data, 0, serial.sub(right.seq, seq))
                break
            self.nbytes -= len(right.data)  # wholly covered by what came now
            gone += 1
        n = len(data)
        if gone:
            del pieces[i : i + gone]
        if n == 0:
            return 0
        if i > 0:
            left = pieces[i - 1]
            if serial.add(left.seq, len(left.data)) == seq and len(left.data) + n <= tc.JOIN:
                left.data = left.data + data
                self.nbytes += n
                return self.nbytes - before
        if i < len(pieces):
            right = pieces[i]
            if right.seq == serial.add(seq, n) and len(right.data) + n <= tc.JOIN:
                right.data = data + right.data
                right.seq = seq
                self.nbytes += n
                return self.nbytes - before
        if len(pieces) >= self.limit:
            return -1
        pieces.insert(i, Piece(seq, data))
        self.nbytes += n
        return self.nbytes - before

    def pop(self, rcv_nxt: int) -> "bytes | None":
        """The bytes from `rcv_nxt` on, if they are there. Pieces that lie before it are forgotten."""
        while self.pieces:
            first = self.pieces[0]
            if serial.lt(rcv_nxt, first.seq):
                return None
            n = len(first.data)
            old = serial.sub(rcv_nxt, first.seq)
            del self.pieces[0]
            self.nbytes -= n
            if old < n:
                return raw.piece(first.data, old, n - old)
        return None
