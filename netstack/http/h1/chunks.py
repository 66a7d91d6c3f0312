"""The chunked transfer coding (RFC 9112 7.1): framing off, data out. It knows where the body ends, to the byte."""

import re

from ..config import HttpClientLimits, HttpLimits
from ..refused import Refused
from . import const as hc
from .fields import BARE_LF, TOKEN

# chunk = chunk-size [ chunk-ext ] CRLF …: up to 16 digits, so that no reader behind us overflows. White space around an extension's
# marks is in the grammar as "bad", and readers differ on it: refused. Extensions are for the next hop alone, and are dropped
_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"'
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,16}+)(?:;" + TOKEN + rb"(?:=(?:" + TOKEN + rb"|" + _QUOTED + rb"))?)*+")
_FREE_OVERHEAD = 16  # of framing for each chunk: a size, two CRLF and a little


class ChunkReader:
    """One chunked body. `trailers` is None until the body has ended; then it is the trailer section, its last CRLF included."""

    __slots__ = ("_limits", "_mode", "_left", "_total", "_overhead", "_seen", "trailers")

    def __init__(self, limits: HttpLimits | HttpClientLimits) -> None:
        self._limits = limits
        self._mode = hc.CHUNK_SIZE
        self._left = 0  # of this chunk
        self._total = 0
        self._overhead = 0
        self._seen = 0
        self.trailers: bytes | None = None

    def read(self, buffer: bytes, at: int, pieces: list[bytes]) -> int:
        """Read `buffer` from `at` on; data goes to `pieces`. Returns where to go on. Raises `Refused`; pieces before it stand."""
        while self.trailers is None:
            mode = self._mode
            if mode == hc.CHUNK_DATA:
                piece = buffer[at : at + min(self._left, len(buffer) - at)]
                if not piece:
                    break
                pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
                self._mode = hc.CHUNK_CRLF
            elif mode == hc.CHUNK_CRLF:
                mark = buffer[at : at + 2]
                if mark != b"\r\n"[: len(mark)]:
                    raise Refused(400, "A chunk is longer than its size.")
                if len(mark) < 2:
                    break
                at += 2
                self._mode = hc.CHUNK_SIZE
            elif mode == hc.CHUNK_SIZE:
                end = buffer.find(b"\n", at, at + self._limits.chunk_line + 2)
                if end < 0:
                    if len(buffer) - at >= self._limits.chunk_line + 2:
                        raise Refused(400, "The line of a chunk's size is too long.")
                    break
                self._size(buffer, at, end)
                # the CRLF of the last chunk's line stays: with the one that ends the trailers it makes the mark to look for
                at = end - 1 if self._mode == hc.TRAILERS else end + 1
            else:
                stop = at + 2 + self._limits.trailer_section
                end = buffer.find(b"\r\n\r\n", at + max(self._seen - 3, 0), stop)
                if end < 0:
                    if BARE_LF.search(buffer, at + self._seen, stop) is not None:
                        raise Refused(400, "A line ends without CR.")
                    if len(buffer) >= stop:
                        raise Refused(431, "The trailer section is too long.")
                    self._seen = len(buffer) - at
                    break
                self.trailers = buffer[at + 2 : end + 2]
                at = end + 4
        return at

    def _size(self, buffer: bytes, at: int, end: int) -> None:
        """The line from `at` to its LF at `end`."""
        if end == at or buffer[end - 1] != 13:
            raise Refused(400, "A line ends without CR.")
        found = _SIZE_LINE.fullmatch(buffer, at, end - 1)
        if found is None:
            raise Refused(400, "The size of a chunk is not a hexadecimal number.")
        size = int(found[1], 16)  # in C it may not fit: only what is not refused goes into an attribute
        total = self._total + size
        if total > self._limits.body:
            raise Refused(413, "The body is too large.")
        self._total = total
        self._overhead = max(self._overhead + (end + 1 - at) - _FREE_OVERHEAD - size, 0)
        if self._overhead > self._limits.chunk_overhead:
            raise Refused(400, "The chunks are all framing and no data.")
        self._left = size
        self._mode = hc.CHUNK_DATA if size else hc.TRAILERS
