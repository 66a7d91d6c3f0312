"""Bytes to events: the client's reader of responses (RFC 9112), strict where readings differ.

A response that two programs read in two ways poisons caches and gives one user the answer to another's question. So, as in
reader.py, nothing is repaired. We refuse folded lines too, which RFC 9112 5.2 wants unfolded: nobody who is honest sends them any
more. Fields and bodies are read as those of requests are (fields.py, incoming.py): one reading for both roles.

A response without framing goes to the end of the stream (RFC 9112 6.3): where that end is a fault of the network nobody can know.
"""

import re

from ..config import HttpClientLimits
from ..events import Body, Closed, End, Fault, Heard, Interim, RawFields, ReplyHead
from ..refused import Refused
from . import const as hc
from .fields import BARE_LF, split_fields
from .incoming import Incoming

# RFC 9112 4. Version and number are strict; the space behind the number is left out by some, when no phrase follows
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*+))?")
_DIGITS = re.compile(rb"[0-9]{1,18}+")
_BEGINNING = b"HTTP/1."


class ResponseReader(Incoming):
    """Responses of one connection, to the requests that `expect` tells. Never raises on what a server sends."""

    __slots__ = ("_limits", "_method", "_upgrading", "_line", "_interims", "began")

    def __init__(self, limits: HttpClientLimits) -> None:
        Incoming.__init__(self, hc.DONE)
        self._limits = limits
        self._method = ""
        self._upgrading = False
        self._line: tuple[int, int, str, bytes] = (1, 0, "", b"")  # minor version, status, reason, and the line itself
        self._interims = 0
        self.began = False  # a byte of this response, or of an interim one before it, has come

    def expect(self, method: str, upgrading: bool) -> None:
        """The next response answers `method`, and may be a 101 only when `upgrading`."""
        assert self._mode == hc.DONE, "the last response has not ended"
        self._mode = hc.LINE
        self._method = method
        self._upgrading = upgrading
        self._interims = 0
        self.began = False

    def feed(self, data: bytes) -> list[Heard]:
        """What `data` completes, in order; b"" is the end of the stream. After a `Fault` or a `Closed` nothing more comes."""
        if self._mode == hc.DEAD or self._eof:
            return []
        self._keep(data)
        if data and self._mode == hc.LINE:
            self.began = True
        events: list[Heard] = []
        try:
            while self._step(events):
                pass
            if self._eof and self._mode != hc.DEAD:
                self._end_of_stream(events)
        except Refused as refused:
            self.stop()
            events.append(Fault(refused.reason, refused.truncated, unanswered=not self.began))
        return events

    def _step(self, events: list[Heard]) -> bool:
        """Read one thing more. False when it needs more bytes, or must not go on."""
        mode = self._mode
        if mode == hc.SIZED:
            return self._sized(events)
        if mode == hc.ENDLESS:
            if self._at < len(self._buffer):
                events.append(Body(self._buffer[self._at :]))
                self._at = len(self._buffer)
            return False
        if mode == hc.CHUNKED:
            return self._chunked(events)
        if mode == hc.LINE:
            return self._status_line()
        if mode == hc.FIELDS:
            return self._header_section(events)
        return False

    def _end_of_stream(self, events: list[Heard]) -> None:
        if self._mode == hc.ENDLESS:
            events += (End(), Closed())
            self.stop()
        elif self._mode == hc.DONE:
            events.append(Closed())
            self.stop()
        elif self._mode == hc.LINE and not self.buffered and not self._interims:
            raise Refused(502, "The server closed the connection without an answer.", truncated=True)
        elif self._mode <= hc.FIELDS:
            raise Refused(502, "The stream ended in the header section.", truncated=True)
        else:
            raise Refused(502, "The stream ended in the body.", truncated=True)

    def _status_line(self) -> bool:
        buffer, at, limit = self._buffer, self._at, self._limits.status_line
        size = len(buffer) - at
        if not size:
            return False
        beginning = buffer[at : at + len(_BEGINNING)]
        if beginning != _BEGINNING[: len(beginning)]:
            raise Refused(502, "This is not HTTP/1.")
        end = buffer.find(b"\n", at, at + limit + 2)
        if end < 0:
            if size >= limit + 2:
                raise Refused(502, "The status line is too long.")
            return False
        if buffer[end - 1] != 13:
            raise Refused(502, "A line ends without CR.")
        found = _STATUS_LINE.fullmatch(buffer, at, end - 1)
        if found is None:
            raise Refused(502, "The status line is not a version, a number of three digits and a phrase.")
        minor = 1 if found[1] != b"0" else 0
        self._line = (minor, int(found[2]), (found[3] or b"").decode("latin-1"), buffer[at : end + 1])
        self._at = end - 1  # its CRLF stays: with the one that ends the section it makes the mark to look for
        self._seen = 0
        self._mode = hc.FIELDS
        return True

    def _header_section(self, events: list[Heard]) -> bool:
        buffer, at = self._buffer, self._at
        stop = at + 2 + self._limits.header_section
        end = buffer.find(b"\r\n\r\n", at + max(self._seen - 3, 0), stop)
        if end < 0:
            if BARE_LF.search(buffer, at + self._seen, stop) is not None:
                raise Refused(502, "A line ends without CR.")
            if len(buffer) >= stop:
                raise Refused(502, "The header section is too long.")
            self._seen = len(buffer) - at
            return False
        section = buffer[at + 2 : end + 2]
        fields = split_fields(section, self._framing)
        if len(fields) > self._limits.header_count:
            raise Refused(502, "There are too many header fields.")
        self._at = end + 4
        status = self._line[1]
        if status < 200 and status != 101:
            self._interims += 1
            if self._interims > self._limits.interim:
                raise Refused(502, "There are too many interim responses.")
            events.append(Interim(status, fields))
            self._mode = hc.LINE
            return True
        head = self._head(fields, section)
        events.append(head)
        if head.switched:
            self._mode = hc.DEAD  # the buffer stays, for `release`
            return False
        if head.length is not None:
            self._begin_body(head.length, self._limits)
        return True

    def _framing(self, fields: RawFields) -> tuple[int | None, bool, bool]:
        """Content-Length, whether the body is chunked, and whether the connection goes on: RFC 9112 6.3, 9.3. Raises Refused."""
        minor = self._line[0]
        lengths: list[bytes] = []
        codings: list[bytes] = []
        options: list[bytes] = []
        for name, value in fields:
            if name == b"content-length":
                lengths.append(value)
            elif name == b"transfer-encoding":
                codings.append(value.lower())
            elif name == b"connection":
                options += [option.strip(b" \t") for option in value.lower().split(b",")]
        keep_alive = b"close" not in options and (minor == 1 or b"keep-alive" in options)
        if len(lengths) > 1:
            raise Refused(502, "There is more than one Content-Length.")
        if lengths and codings:
            raise Refused(502, "There are both Content-Length and Transfer-Encoding.")
        if codings and minor == 0:
            raise Refused(502, "HTTP/1.0 has no Transfer-Encoding.")
        if codings and codings != [b"chunked"]:
            raise Refused(502, "The only transfer coding that can be read is chunked, once.")
        if lengths and _DIGITS.fullmatch(lengths[0]) is None:
            raise Refused(502, "Content-Length is not a number.")
        return (int(lengths[0]) if lengths else None), bool(codings), keep_alive

    def _head(self, fields: RawFields, section: bytes) -> ReplyHead:
        """What the fields mean for this response. Sets the mode of a body whose length isn't known."""
        minor, status, reason, line = self._line
        stated, chunked, keep_alive = self._framing(fields)
        switched = status == 101 or (self._method == "CONNECT" and 200 <= status < 300)
        if status == 101 and not self._upgrading:
            raise Refused(502, "The server changes the protocol without being asked.")
        length: int | None
        if switched:
            length = 0
        elif self._method == "HEAD" or status in (204, 304):
            length = 0
            if status == 204 and (chunked or stated):
                keep_alive = False  # RFC 9110 8.6, 6.4.1: it has none, and this server believes otherwise
        elif chunked:
            length = None
            self._begin_body(None, self._limits)
        elif stated is not None:
            if stated > self._limits.body:
                raise Refused(502, "The body is too large.")
            length = stated
        else:
            length = None
            keep_alive = False
            self._mode = hc.ENDLESS
        version = (1, minor)
        return ReplyHead(status, reason, version, fields, length, keep_alive, switched, line + section)
