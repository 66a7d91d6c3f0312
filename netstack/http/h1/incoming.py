"""What readers of requests and readers of responses have in common: the bytes that came, and the body they hold.

Where a body ends must be one opinion: both roles read sized bodies (RFC 9112 6.2) and chunked ones (7.1) here, and trailers as they
read fields. The head of a message, and what an end of the stream means, are each reader's own.
"""

from typing import Any

from ..config import HttpClientLimits, HttpLimits
from ..events import Body, End
from . import const as hc
from .chunks import ChunkReader
from .fields import split_fields

WHOLE = End()


class Incoming:
    """Messages of one connection. After `hc.DONE` the next one stays bytes, until the reader's owner asks for it."""

    __slots__ = ("_mode", "_buffer", "_at", "_seen", "_eof", "_left", "_chunks")

    def __init__(self, mode: int) -> None:
        self._mode = mode
        self._buffer = b""
        self._at = 0  # what lies before it is spent
        self._seen = 0  # of what follows `_at`, so much holds no end of section
        self._eof = False
        self._left = 0  # of a sized body
        self._chunks: ChunkReader | None = None

    @property
    def buffered(self) -> int:
        """Bytes that came and were not read yet."""
        return len(self._buffer) - self._at

    def release(self) -> bytes:
        """What came after the message, for who goes on in another protocol. Read no more."""
        rest = self._buffer[self._at :]
        self.stop()
        return rest

    def stop(self) -> None:
        """Read no more."""
        self._mode = hc.DEAD
        self._buffer, self._at = b"", 0

    def _keep(self, data: bytes) -> None:
        """`data` came; b"" is the end of the stream."""
        if not data:
            self._eof = True
        elif self._at == len(self._buffer):
            self._buffer, self._at = data, 0
        else:
            self._buffer, self._at = self._buffer[self._at :] + data, 0

    def _begin_body(self, length: int | None, limits: HttpLimits | HttpClientLimits) -> None:
        """Of `length` bytes, or in chunks."""
        if length is None:
            self._chunks = ChunkReader(limits)
            self._mode = hc.CHUNKED
        else:
            self._left = length
            self._mode = hc.SIZED

    def _sized(self, events: list[Any]) -> bool:
        if self._left:
            at = self._at
            piece = self._buffer[at : at + min(self._left, len(self._buffer) - at)]
            if not piece:
                return False
            self._at = at + len(piece)
            self._left -= len(piece)
            events.append(Body(piece))
            if self._left:
                return False
        events.append(WHOLE)
        self._mode = hc.DONE
        return False

    def _chunked(self, events: list[Any]) -> bool:
        assert self._chunks is not None
        pieces: list[bytes] = []
        try:
            self._at = self._chunks.read(self._buffer, self._at, pieces)
        finally:
            if pieces:  # what came before a fault was lawful, however the bytes were cut
                events.append(Body(pieces[0] if len(pieces) == 1 else b"".join(pieces)))
        if self._chunks.trailers is None:
            return False
        events.append(End(split_fields(self._chunks.trailers)))
        self._chunks = None
        self._mode = hc.DONE
        return False
