"""Floods seen before they are parsed: every frame's header passes here first.

What makes HTTP/2 floods cheap is that a frame of nine bytes costs us a parse, an answer, or an entry. So each frame that is no use
to a request takes a token from a bucket, requests and the data that we send put some back, and an empty bucket ends the connection.
Header blocks have bounds of their own, in frames and in bytes, since nothing else may come between their parts.
"""

from ...errors import WireError
from ...instant import SECOND, Instant
from ..config import Http2Limits
from .words import ENHANCE_YOUR_CALM, PROTOCOL_ERROR

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS = 4
PADDED = 8

EARNED_BY_REQUEST = 4  # SETTINGS and PRIORITY come with the first ones, WINDOW_UPDATE with the body
EARNED_BY_DATA = 2  # a WINDOW_UPDATE for the stream and one for the connection


class Fault(WireError):
    """Ends the connection with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Bucket:
    """`burst` tokens at most, `rate` new ones in a second."""

    __slots__ = ("left", "_burst", "_rate", "_at")

    def __init__(self, burst: int, rate: int, now: Instant) -> None:
        self.left = self._burst = burst
        self._rate = rate
        self._at = now

    def take(self, now: Instant) -> bool:
        """One token; False when there is none. The clock is looked at when the bucket is empty, and not before."""
        if not self.left:
            fresh = (now - self._at) * self._rate // SECOND
            if not fresh:
                return False
            self.left = min(fresh, self._burst)
            self._at = now
        self.left -= 1
        return True

    def give(self, count: int) -> None:
        self.left = min(self.left + count, self._burst)


class Guard:
    """Of one connection. `frame` raises `Fault`."""

    __slots__ = ("control", "resets", "block_of", "_limits", "_frames", "_bytes")

    def __init__(self, limits: Http2Limits, now: Instant) -> None:
        self._limits = limits
        self.control = Bucket(limits.control_burst, limits.control_rate, now)
        self.resets = Bucket(limits.reset_burst, limits.reset_rate, now)
        self.block_of = 0  # the stream whose header block is under way
        self._frames = self._bytes = 0

    def frame(self, kind: int, flags: int, stream: int, length: int, now: Instant) -> None:
        """A frame is about to be parsed."""
        if self.block_of:
            if kind != CONTINUATION or stream != self.block_of:
                raise Fault(PROTOCOL_ERROR, "A header block was interrupted by another frame.")  # RFC 9113 6.10
            self._frames += 1
            if self._frames > self._limits.continuations:
                raise Fault(ENHANCE_YOUR_CALM, "A header block has too many CONTINUATION frames.")
        if kind in (HEADERS, CONTINUATION):
            self._block(flags, stream, length)
        elif kind != DATA and kind != RST_STREAM and kind != GOAWAY:  # those are judged by what they did
            self.spend(now)

    def _block(self, flags: int, stream: int, length: int) -> None:
        if not self.block_of:
            self._frames = self._bytes = 0
        self._bytes += length
        if self._bytes > self._limits.header_block:
            raise Fault(ENHANCE_YOUR_CALM, "A header block is too long.")
        self.block_of = 0 if flags & END_HEADERS else stream

    def spend(self, now: Instant) -> None:
        """For a frame that brought nothing."""
        if not self.control.take(now):
            raise Fault(ENHANCE_YOUR_CALM, "There were too many frames that carry nothing.")

    def reset(self, now: Instant) -> None:
        """For a stream that was given up, by either side, before it was whole."""
        if not self.resets.take(now):
            raise Fault(ENHANCE_YOUR_CALM, "Too many streams were reset.")
