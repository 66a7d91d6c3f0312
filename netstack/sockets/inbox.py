"""What a connection has brought and nobody has read yet.

**The queue is the connection's receive buffer.** Nothing is paused and nothing bounded here: each byte that lies here fills the
window of the connection (`hold`), is charged to the budget of the stack, and opens the window when it is read (`let_go`). So a
reader that stops reading stops the peer, at a window that follows what it used to consume in a round trip (tcp/tuning.py).

**What lies here are views of the slabs that the device read into**: 64 KiB each where the device joins segments, and no copy.
Queues of 64 KiB `bytes` run at a third of the speed, since malloc gives the memory back to the system after each batch and takes
it again page by page. Little pieces are copied, or one byte would keep a slab, and neighbours copied together, so that bytes cost
bytes; where the pool has lent enough already everything is copied (buffers.py). Whoever holds a view holds its slab.

Who waits, and how he is woken, is the business of those that derive from it: `end.StreamEnd` for sockets, and the streams of
the faces.
"""

from collections import deque

from .. import raw
from ..buffers import keep
from ..cores import Frame, StreamUser, Turn
from ..tcp import const as tc
from ..tcp.connection import Connection


class Inbox(StreamUser):
    """unread   bytes that wait                          eof_seen   the peer has ended its side, behind them
    ended    the connection is gone …                 error      … for this reason
    may_write   the writer may go on
    """

    __slots__ = ("chunks", "clock", "conn", "ended", "eof_seen", "error", "head", "may_write", "read", "unread")

    def __init__(self, clock: Turn) -> None:
        self.clock = clock
        self.conn: Connection = None  # type: ignore[assignment]  # bound before anything comes
        self.chunks: deque[bytes | memoryview] = None  # type: ignore[assignment]  # made by the first: it takes 760 bytes
        self.head = 0  # bytes of the first chunk that were read
        self.unread = 0
        self.read = 0  # bytes that were read, and of which the connection does not know yet
        self.eof_seen = False
        self.ended = False
        self.error: Exception | None = None
        self.may_write = True

    def bind(self, conn: Connection) -> None:
        self.conn = conn

    # -- what the connection tells ----------------------------------------------------------------------------------------------

    def data(self, f: Frame, n: int, now: int) -> None:
        self.add(keep(f, n), n)

    def queued(self, data: bytes, now: int) -> None:
        self.add(data, len(data))

    def lent(self, data: memoryview, now: int) -> None:
        self.add(data, len(data))

    def add(self, chunk: bytes | memoryview, n: int) -> None:
        chunks = self.chunks
        if chunks is None:
            chunks = self.chunks = deque()
        if n < tc.JOIN and len(chunks) > 1 and len(chunks[-1]) + n <= tc.JOIN:  # not the first: that one is being read
            chunks[-1] = b"".join((chunks[-1], chunk))
        else:
            chunks.append(chunk)
        self.unread += n
        self.conn.hold(n)
        self.arrived()

    def arrived(self) -> None:
        """There is more to read."""

    # -- reading: there is something unread ---------------------------------------------------------------------------------------

    def take(self, limit: int) -> bytes:
        """From one to `limit` bytes, copied: one chunk or a part of it, or as many as fit whole."""
        chunk = self.chunks[0]
        o = self.head
        n = len(chunk) - o
        if n > limit:
            self.advance(limit)
            return raw.piece(chunk, o, limit)
        if len(self.chunks) == 1 or n + len(self.chunks[1]) > limit:
            self.next(n)
            return raw.piece(chunk, o, n)
        parts: list[bytes | memoryview] = []
        while True:
            parts.append(chunk if o == 0 else memoryview(chunk)[o:])
            limit -= n
            self.next(n)
            if not self.chunks:
                break
            chunk = self.chunks[0]
            o = 0
            n = len(chunk)
            if n > limit:
                break
        return b"".join(parts)

    def fill(self, limit: int) -> bytes:
        """As `take`, but never less than there is."""
        data = self.take(limit)
        if len(data) == limit or self.unread == 0:
            return data
        parts = [data]
        left = limit - len(data)
        while left and self.unread:
            data = self.take(left)
            left -= len(data)
            parts.append(data)
        return b"".join(parts)

    def take_view(self) -> memoryview:
        """The first chunk, without a copy."""
        chunk = memoryview(self.chunks[0])
        if self.head:
            chunk = chunk[self.head :]
        self.next(len(chunk))
        return chunk

    def take_into(self, buffer: memoryview) -> int:
        """As much as there is and as fits into `buffer`, which is writable and counts bytes. How much that was."""
        size = len(buffer)
        done = 0
        while done < size and self.chunks:
            chunk = self.chunks[0]
            o = self.head
            n = len(chunk) - o
            if n <= size - done:
                buffer[done : done + n] = chunk if o == 0 else memoryview(chunk)[o:]
                self.next(n)
            else:
                n = size - done
                buffer[done:] = memoryview(chunk)[o : o + n]
                self.advance(n)
            done += n
        return done

    def peek(self, limit: int) -> bytes:
        """As `take`, with as much as there is up to `limit`, and it stays unread."""
        parts: list[bytes | memoryview] = []
        o = self.head
        for chunk in self.chunks or ():
            n = len(chunk) - o
            if n >= limit:
                parts.append(memoryview(chunk)[o : o + limit])
                break
            parts.append(memoryview(chunk)[o:])
            limit -= n
            o = 0
        return b"".join(parts)

    def next(self, n: int) -> None:
        """The first chunk has been read, its last `n` bytes now."""
        self.chunks.popleft()
        self.head = 0
        self.count(n)

    def advance(self, n: int) -> None:
        """Of the first chunk `n` more bytes have been read, and some are left."""
        self.head += n
        self.count(n)

    def count(self, n: int) -> None:
        """The connection learns of what was read when all is, or enough to be told to the peer: that may cost a segment."""
        self.unread -= n
        self.read += n
        if self.unread == 0 or 2 * self.read >= self.conn.rcv_buf:
            n = self.read
            self.read = 0
            self.conn.let_go(n, self.clock.now())

    def forget(self) -> None:
        """Nobody will read what is unread."""
        self.chunks = None  # type: ignore[assignment]
        self.head = 0
        if self.unread:
            self.count(self.unread)

    def shrink(self) -> None:
        """Nothing is here, and nothing will come for a while."""
        if not self.unread:
            self.chunks = None  # type: ignore[assignment]

    def __del__(self) -> None:
        if self.unread and self.conn is not None:
            self.conn.let_go(self.unread + self.read, 0)  # the connection has ended, or it would know this: only the budget looks
            self.unread = 0
