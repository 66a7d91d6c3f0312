"""What the engine knows of one stream beside the library: what waits to be sent, what nobody has read, and how long that took."""

from collections import deque

from ...instant import Duration, Instant
from ..events import RawFields

Piece = bytes | memoryview
JOINED = 4096  # bytes


def add_piece(pieces: deque[bytes], data: bytes) -> None:
    """To what waits for a reader. Small ones are joined: a byte in a frame of its own would cost a hundred here."""
    if pieces and len(pieces[-1]) + len(data) <= JOINED:
        pieces[-1] += data
    else:
        pieces.append(data)


class StreamState:
    """One request and its response. `held` by whoever made or serves it; it goes when it is closed and nobody holds it."""

    __slots__ = (
        "number", "inner", "method", "expected", "received", "ended", "deaf", "tunnel", "held", "closed",
        "started", "silent", "left", "queue", "queued", "finishing", "trailers", "waiting", "unread", "owed",
        "window", "given_at", "drained", "wait_from", "allowance", "progress", "stalled_at", "went",
    )  # fmt: skip

    def __init__(self, number: int, inner: object, method: str, allowance: Duration, window: int, now: Instant) -> None:
        self.number = number
        self.inner = inner  # the library's
        self.method = method
        # what the peer sends
        self.expected: int | None = None  # bytes of the body, where that was told
        self.received = 0
        self.ended = False
        self.deaf = False  # what it sends is dropped: nobody will read it
        self.tunnel = False  # RFC 8441: bytes both ways
        self.unread = 0  # bytes handed up and not consumed
        self.owed = 0  # bytes consumed that its window doesn't know of
        self.window = window  # what the peer may send ahead of the reader
        self.given_at = now  # when it heard so last
        self.drained = False  # nothing was left for the reader, once since then
        self.wait_from: Instant | None = None  # somebody waits for a body
        self.allowance = allowance
        self.progress = 0
        # what we send
        self.held = True
        self.closed = False
        self.started = self.silent = False
        self.left: int | None = None  # of a body whose length was stated
        self.queue: deque[Piece] = deque()
        self.queued = 0
        self.finishing = False
        self.trailers: RawFields = ()
        self.waiting = False  # in the queue of those that may send
        self.stalled_at: Instant | None = None  # a window keeps what is queued, and so much has gone since
        self.went = 0

    def take(self, limit: int) -> Piece:
        """At most `limit` bytes of what is queued; small pieces are joined."""
        queue = self.queue
        piece = queue.popleft()
        size = len(piece)
        if size > limit:
            view = memoryview(piece)
            queue.appendleft(view[limit:])
            piece, size = view[:limit], limit
        elif queue and size < limit:
            joined = [piece]
            while queue and size < limit:
                piece = queue.popleft()
                if len(piece) > limit - size:
                    view = memoryview(piece)
                    queue.appendleft(view[limit - size :])
                    piece = view[: limit - size]
                joined.append(piece)
                size += len(piece)
            piece = b"".join(joined)
        self.queued -= size
        return piece
