"""The two queues that hold bytes: what was written and is not yet acknowledged, what came before its time.

Both keep the objects that they were given and never one small object for each small piece: neighbours are copied together
up to `JOIN` bytes, so that any two of them hold more, and the number of chunks is at most one for each KiB, whatever an
application or a peer does. A stream of one-byte writes, or of one-byte segments, costs its bytes and not a million objects.

What they hold is charged to the budget of the stack (budget.py) as it comes and goes; `clear` ends that.
"""

from .. import const, raw, serial
from . import const as tc
from .budget import Budget


class SendQueue:
    """Bytes from the first unacknowledged one on. Offsets count from there.

    `view` leaves its answer in `data, o, n`, a reference and a slice, for an Out, and what it takes of the objects behind that in
    `rest, rest_n`. A cursor remembers where the last view began, so that sending in order never searches.
    """

    __slots__ = ("after", "at", "budget", "chunks", "cursor", "data", "head", "length", "n", "o", "rest", "rest_n")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.after: SendQueue | None = None  # of those that wait to be lent (tcb.py)
        self.chunks: list[bytes | memoryview] = []
        self.length = 0
        self.head = 0  # bytes of chunks[0] that are acknowledged
        self.cursor = 0  # index of a chunk …
        self.at = 0  # … and the offset at which it begins, counted like those of `view`; negative for a part-acknowledged one
        self.data: bytes | memoryview = b""
        self.o = 0
        self.n = 0
        self.rest: list[bytes | memoryview] | None = None
        self.rest_n = 0

    def append(self, data: "bytes | memoryview") -> None:
        """`data` is bytes, or a view of memory that stays as it is; and not empty."""
        n = len(data)
        self.budget.charge(n)
        self.length += n
        chunks = self.chunks
        if chunks and n < tc.JOIN and len(chunks[-1]) + n <= tc.JOIN:
            chunks[-1] = b"".join((chunks[-1], data))  # a new object: what is being sent from the old one keeps it alive
        else:
            chunks.append(data)

    def release(self, n: int) -> None:
        """The first `n` bytes are acknowledged: let go of the objects that are no longer needed."""
        if n > self.length:
            n = self.length
        self.budget.refund(n)
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
            raw.behead(chunks, i)
            self.cursor -= i
        if self.cursor <= 0:
            self.cursor = 0
            self.at = -self.head

    def clear(self) -> None:
        """Nobody will ask for any of it; it is as new."""
        self.budget.refund(self.length)
        self.length = 0
        self.chunks = []
        self.head = self.cursor = self.at = 0
        self.drop()

    def view(self, offset: int, n: int, mss: int, gather: bool) -> int:
        """At least one and at most `n` of the bytes from `offset` on, `offset + n` being within the queue. Returns how many.

        By reference: all of them where one object holds them, or a few do and the device may `gather` them; else as many whole
        segments as there are in one object. Where not even one is, its bytes are copied together.
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
        first = len(chunk) - o
        self.data = chunk
        self.o = o
        if n > first:
            have = self.reach(first, n) if gather else first
            if have < n:
                if have < mss:
                    n = n if n < mss else mss
                    self.join(o, n)
                    return n
                n = have - have % mss
            if n > first:
                self.spread(n - first)
                self.n = first
                return n
        self.n = n
        return n

    def reach(self, have: int, n: int) -> int:
        """How many of `n` bytes are in the chunk under the cursor, `have`, and as many behind it as a device gathers."""
        chunks = self.chunks
        i = self.cursor + 1
        end = i + const.GATHER - 1
        if end > len(chunks):
            end = len(chunks)
        while have < n and i < end:
            have += len(chunks[i])
            i += 1
        return have if have < n else n

    def spread(self, n: int) -> None:
        """`n` bytes of the chunks behind the one under the cursor are the rest of the view."""
        self.rest_n = n
        self.rest = rest = []
        i = self.cursor
        while n > 0:
            i += 1
            rest.append(self.chunks[i])
            n -= len(self.chunks[i])

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
        if self.rest_n:
            self.rest = None
            self.rest_n = 0


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
    what joins a neighbour. A place is found by halving, and what is popped leaves its place empty until half of the list is:
    a window of 16 MiB is ten thousand pieces behind one hole.
    """

    __slots__ = ("budget", "first", "limit", "nbytes", "pieces")

    def __init__(self, limit: int, budget: Budget) -> None:
        self.limit = limit
        self.budget = budget
        self.pieces: list[Piece] = []
        self.first = 0  # the index of the first piece that is still there
        self.nbytes = 0

    def count(self) -> int:
        """How many pieces."""
        return len(self.pieces) - self.first

    def find(self, seq: int) -> int:
        """The index behind the last piece that begins at or before `seq`."""
        pieces = self.pieces
        lo = self.first
        hi = len(pieces)
        if lo < hi:
            probe = pieces[hi - 1]
            if serial.le(probe.seq, seq):
                return hi  # what comes out of order mostly comes in order
        while lo < hi:
            middle = (lo + hi) >> 1
            probe = pieces[middle]
            if serial.le(probe.seq, seq):
                lo = middle + 1
            else:
                hi = middle
        return lo

    def insert(self, seq: int, data: bytes) -> int:
        """Keep `data`, which begins at `seq`, but for what is there already. Returns how many bytes are new, -1 when the list is
        full."""
        before = self.cost()
        new = self.place(seq, data)
        self.budget.charge(self.cost() - before)
        return new

    def cost(self) -> int:
        """What it is charged for."""
        return self.nbytes + tc.PIECE * self.count()

    def place(self, seq: int, data: bytes) -> int:
        pieces = self.pieces
        end = serial.add(seq, len(data))
        i = self.find(seq)
        if i > self.first:
            left = pieces[i - 1]
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
        if i > self.first:
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
        if len(pieces) - self.first >= self.limit:
            return -1
        pieces.insert(i, Piece(seq, data))
        self.nbytes += n
        return self.nbytes - before

    def pop(self, rcv_nxt: int) -> "bytes | None":
        """The bytes from `rcv_nxt` on, if they are there. Pieces that lie before it are forgotten."""
        pieces = self.pieces
        while self.first < len(pieces):
            piece = pieces[self.first]
            if serial.lt(rcv_nxt, piece.seq):
                return None
            data = piece.data
            n = len(data)
            old = serial.sub(rcv_nxt, piece.seq)
            piece.data = b""
            before = self.cost()
            self.first += 1
            if 2 * self.first >= len(pieces):
                raw.behead(pieces, self.first)
                self.first = 0
            self.nbytes -= n
            self.budget.refund(before - self.cost())
            if old < n:
                return raw.piece(data, old, n - old)
        return None

    def head(self) -> int:
        """The sequence number of the first byte that is kept; -1 when there is none."""
        if self.first == len(self.pieces):
            return -1
        piece = self.pieces[self.first]
        return piece.seq

    def held(self, seq: int, n: int) -> "list[tuple[int, bytes]]":
        """The pieces that have some of the `n` bytes from `seq` on: their sequence numbers and bytes, in order."""
        found = []
        end = serial.add(seq, n)
        i = self.find(seq)
        if i > self.first:
            i -= 1
        while i < len(self.pieces):
            piece = self.pieces[i]
            if serial.le(end, piece.seq):
                break
            if serial.lt(seq, serial.add(piece.seq, len(piece.data))):
                found.append((piece.seq, piece.data))
            i += 1
        return found

    def clear(self) -> None:
        """Forget all of it."""
        self.budget.refund(self.cost())
        self.nbytes = 0
        self.pieces = []
        self.first = 0
