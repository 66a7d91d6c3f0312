"""Bytes to events: the server's reader of requests (RFC 9112), strict where readings differ.

Request smuggling lives where two programs read the same bytes in two ways: one takes the shorter body, the other reads what is
left as a second request. So nothing here is repaired. What RFC 9112 lets a server reject, and some server reads otherwise, is
refused: bare CR or LF, folded lines, white space before a colon, repeated Content-Length, Content-Length beside
Transfer-Encoding, any transfer coding but chunked.

The request line, the framing and every byte of the header section are checked here; llhttp then splits the fields, and what it
refuses is refused as well, so that two parsers must agree. It sees the fields alone, after a request line of our own, since it
knows only the methods of a list and can't say where in its input a message ended. For the same reason bodies are not its business.

The reader stops after each message until `resume`: what a client pipelines stays bytes, and is looked at when its turn has come.

The same bytes, cut anywhere, give the same events (but for where `Body` is cut). Hence the rule for every check below: it looks at
a prefix of fixed length, or at a line or section that is complete, and a check that can fail early comes before those that fail
late.
"""

import re
from collections.abc import Callable
from functools import lru_cache

import httptools

from ..config import HttpLimits
from ..events import Body, Closed, End, Event, RawFields, Refusal, RequestHead
from ..refused import Refused
from ..target import check_authority, check_target
from . import const as hc
from .chunks import ChunkReader

# RFC 9110 5.6.2: token = 1*tchar. Possessive: a mismatch is final, no input costs more than one pass
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]++) HTTP/([0-9]\.[0-9])")
_OLD_REQUEST_LINE = re.compile(_TOKEN + rb" [\x21-\x7e]++")
# RFC 9112 5: field-line = field-name ":" OWS field-value OWS; a value may hold any byte but controls (RFC 9110 5.5)
_FIELDS = re.compile(rb"(?:" + _TOKEN + rb":[\t\x20-\x7e\x80-\xff]*+\r\n)*+")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_DIGITS = re.compile(rb"[0-9]++")
_STARTS = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\r")
WHOLE = End()
NO_LINE = ("", "", 1)
V10 = (1, 0)
V11 = (1, 1)
REMEMBERED = 512  # bytes of a header section: a longer one is rarely the same twice
HEADS = 256  # such sections; then all are forgotten: a flood of different ones holds half a megabyte
_LENGTH_DIGITS = 18  # more overflow 64 bits somewhere: here, or behind us


class _Sink:
    """Where llhttp puts the fields."""

    __slots__ = ("pairs",)

    def __init__(self) -> None:
        self.pairs: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.pairs.append((name.lower(), value.strip(b" \t")))


def split_fields(section: bytes, blame: Callable[[RawFields], object] = len) -> RawFields:
    """A header or trailer section, each line with its CRLF, as pairs. Raises `Refused` where it is not RFC 9112 5's grammar.

    Where llhttp refuses what is lawful line by line, `blame` is given the pairs, and may raise a `Refused` that says more.
    """
    if not section:
        return ()
    if _FIELDS.fullmatch(section) is None:
        raise Refused(400, _blame_fields(section))
    sink = _Sink()
    try:
        httptools.HttpRequestParser(sink).feed_data(b"GET / HTTP/1.1\r\n" + section + b"\r\n")
    except httptools.HttpParserUpgrade:
        pass  # it leaves what follows an upgrade to others, and so do we
    except httptools.HttpParserError:
        lines = (line.partition(b":") for line in section.split(b"\r\n")[:-1])
        blame(tuple((name.lower(), value.strip(b" \t")) for name, _, value in lines))
        raise Refused(400, "The header fields contradict each other.") from None
    return tuple(sink.pairs)


def _blame_fields(section: bytes) -> str:
    """What is wrong with a section that isn't lawful."""
    if _BARE_LF.search(section) is not None:
        return "A line ends without CR."
    for line in section.split(b"\r\n"):
        if line[:1] in (b" ", b"\t"):
            return "A folded header line."
        if line and re.match(_TOKEN + rb"[ \t]++:", line):
            return "White space before the colon of a header field."
    return "A header line is not a name, a colon and a value without control characters."


@lru_cache(maxsize=8)
def _heads_of(limits: HttpLimits) -> dict[bytes, RequestHead]:
    """Header sections that were read under these limits, and the heads that they gave. Clients repeat themselves, and each other:
    so this is not each connection's own."""
    return {}


class Reader:
    """Requests of one connection. `feed` bytes; b"" is the end of the stream. Never raises on what a peer sends."""

    __slots__ = ("_limits", "_mode", "_buffer", "_at", "_seen", "_eof", "_blank", "_line", "_left", "_chunks", "_heads")

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._mode = hc.LINE
        self._buffer = b""
        self._at = 0  # what lies before it is spent
        self._seen = 0  # of what follows `_at`, so much holds no end of section
        self._eof = False
        self._blank = False  # the one blank line before a request was seen
        self._line = NO_LINE
        self._left = 0  # of a sized body
        self._heads = _heads_of(limits)
        self._chunks: ChunkReader | None = None

    @property
    def buffered(self) -> int:
        """Bytes that came and were not read yet."""
        return len(self._buffer) - self._at

    @property
    def mid_head(self) -> bool:
        """Has a request begun, and its header section not ended?"""
        return self._mode == hc.FIELDS or (self._mode == hc.LINE and self.buffered > 0)

    def feed(self, data: bytes) -> list[Event]:
        """What `data` completes, in order. After a `Refusal` or a `Closed` nothing more comes."""
        if self._mode == hc.DEAD or self._eof:
            return []
        if not data:
            self._eof = True
        elif self._at == len(self._buffer):
            self._buffer, self._at = data, 0
        else:
            self._buffer, self._at = self._buffer[self._at :] + data, 0
        return self._read()

    def resume(self) -> list[Event]:
        """On to the next message, after `End` was handed up and answered."""
        assert self._mode == hc.DONE, "the last message has not ended"
        self._mode = hc.LINE
        self._blank = False
        self._line = NO_LINE
        return self._read()

    def release(self) -> bytes:
        """What came after the message, for who goes on in another protocol. Read no more."""
        rest = self._buffer[self._at :]
        self.stop()
        return rest

    def stop(self) -> None:
        """Read no more."""
        self._mode = hc.DEAD
        self._buffer, self._at = b"", 0

    def _read(self) -> list[Event]:
        events: list[Event] = []
        try:
            while self._step(events):
                pass
            if self._eof and self._mode < hc.DONE:
                self._end_of_stream(events)
        except Refused as refused:
            self.stop()
            events.append(Refusal(refused.status, refused.reason, refused.truncated))
        return events

    def _step(self, events: list[Event]) -> bool:
        """Read one thing more. False when it needs more bytes, or must not go on."""
        mode = self._mode
        if mode == hc.LINE:
            return self._request_line()
        if mode == hc.FIELDS:
            return self._header_section(events)
        if mode == hc.SIZED:
            return self._sized(events)
        if mode == hc.CHUNKED:
            return self._chunked(events)
        return False

    def _end_of_stream(self, events: list[Event]) -> None:
        if self._mode == hc.LINE and not self.buffered:
            self.stop()
            events.append(Closed())
        elif self._mode <= hc.FIELDS:
            raise Refused(400, "The stream ended in the header section.", truncated=True)
        else:
            raise Refused(400, "The stream ended in the body.", truncated=True)

    def _request_line(self) -> bool:
        buffer, at, limit = self._buffer, self._at, self._limits.request_line
        size = len(buffer) - at
        if not size:
            return False
        if buffer[at] not in _STARTS:
            raise Refused(400, "This is not HTTP.")  # most often a TLS handshake: don't wait for a line that never ends
        end = buffer.find(b"\n", at, at + limit + 2)
        if end < 0:
            if size >= limit + 2:
                raise Refused(414, "The request line is too long.")
            return False
        if buffer[end - 1] != 13 or end == at:
            raise Refused(400, "A line ends without CR.")
        if end == at + 1 and not self._blank:
            # RFC 9112 2.2: at least one empty line before a request is to be ignored, and not more than one, or it is a flood
            self._blank = True
            self._at = end + 1
            return True
        found = _REQUEST_LINE.fullmatch(buffer, at, end - 1)
        if found is None:
            if _OLD_REQUEST_LINE.fullmatch(buffer, at, end - 1) is not None:
                raise Refused(505, "HTTP/0.9 is not spoken here.")
            raise Refused(400, "The request line is not a method, a target and a version.")
        method, target, version = found.groups()
        if version[0] != 49:
            raise Refused(505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.")
        if target[0] != 47 or method == b"CONNECT" or b"%" in target or b"#" in target:  # an origin-form path has nothing to check
            check_target(method, target)
        self._line = (method.decode("ascii"), target.decode("ascii"), 1 if version[2] != 48 else 0)
        self._at = end - 1  # its CRLF stays: with the one that ends the section it makes the mark to look for
        self._seen = 0
        self._mode = hc.FIELDS
        return True

    def _header_section(self, events: list[Event]) -> bool:
        buffer, at, limit = self._buffer, self._at, self._limits.header_section
        stop = at + 2 + limit
        end = buffer.find(b"\r\n\r\n", at + max(self._seen - 3, 0), stop)
        if end < 0:
            if _BARE_LF.search(buffer, at + self._seen, stop) is not None:
                raise Refused(400, "A line ends without CR.")  # else who sends only LF waits for our time-out
            if len(buffer) >= stop:
                raise Refused(431, "The header section is too long.")
            self._seen = len(buffer) - at
            return False
        section = buffer[at + 2 : end + 2]
        last = self._heads.get(section)
        method, target, minor = self._line
        if last is not None and last.version[1] == minor:
            head = RequestHead(method, target, last.version, last.fields, last.length, last.keep_alive, False, last.upgrade)
        else:
            fields = split_fields(section, self._head)
            if len(fields) > self._limits.header_count:
                raise Refused(431, "There are too many header fields.")
            head = self._head(fields)
            if len(section) <= REMEMBERED and not head.expects_continue:
                if len(self._heads) >= HEADS:
                    self._heads.clear()
                self._heads[section] = head
        self._at = end + 4
        events.append(head)
        if head.length is None:
            self._chunks = ChunkReader(self._limits)
            self._mode = hc.CHUNKED
        else:
            self._left = head.length
            self._mode = hc.SIZED
        return True

    def _head(self, fields: RawFields) -> RequestHead:
        """What the fields mean for the connection. RFC 9112 3.2, 6.3, 9.3; RFC 9110 10.1.1."""
        method, target, minor = self._line
        hosts = 0
        length: int | None = 0
        lengths = codings = 0
        keep_alive = minor == 1
        wants_close = wants_keep = wants_upgrade = expects = False
        upgrade = b""
        for name, value in fields:
            if name == b"host":
                hosts += 1
                check_authority(value)
            elif name == b"content-length":
                lengths += 1
                length = self._content_length(value)
            elif name == b"transfer-encoding":
                codings += 1
                if value.lower() != b"chunked":
                    self._blame_coding(value)
            elif name == b"connection":
                options = [option.strip(b" \t") for option in value.lower().split(b",")]
                wants_close = wants_close or b"close" in options
                wants_keep = wants_keep or b"keep-alive" in options
                wants_upgrade = wants_upgrade or b"upgrade" in options
            elif name == b"upgrade" and minor == 1:  # RFC 9110 7.8: in a 1.0 request it is ignored
                upgrade = upgrade + b", " + value if upgrade else value
            elif name == b"expect" and minor == 1:  # RFC 9110 10.1.1: in a 1.0 request it is ignored
                if value.lower() != b"100-continue":
                    raise Refused(417, "The only expectation that can be met is 100-continue.")
                expects = True
        if hosts > 1:
            raise Refused(400, "There is more than one Host.")
        if not hosts and minor == 1:
            raise Refused(400, "There is no Host.")
        if lengths > 1:
            raise Refused(400, "There is more than one Content-Length.")
        if codings:
            if codings > 1:
                raise Refused(400, "There is more than one Transfer-Encoding.")
            if lengths:
                raise Refused(400, "There are both Content-Length and Transfer-Encoding.")
            if minor == 0:
                raise Refused(400, "HTTP/1.0 has no Transfer-Encoding.")  # RFC 9112 6.1: faulty framing
            length = None
        elif length and length > self._limits.body:
            raise Refused(413, "The body is too large.")
        keep_alive = not wants_close and (minor == 1 or wants_keep)
        expects = expects and length != 0
        if not wants_upgrade:
            upgrade = b""
        return RequestHead(method, target, V11 if minor else V10, fields, length, keep_alive, expects, upgrade)

    @staticmethod
    def _content_length(value: bytes) -> int:
        if _DIGITS.fullmatch(value) is None:
            raise Refused(400, "Content-Length is not a number.")  # no sign, no list, no white space within: RFC 9110 8.6
        digits = value.lstrip(b"0") or b"0"
        if len(digits) > _LENGTH_DIGITS:
            raise Refused(413, "The body is too large.")
        return int(digits)

    @staticmethod
    def _blame_coding(value: bytes) -> None:
        """RFC 9112 6.1, 6.3: a coding that isn't known is 501; where chunked isn't last, the body has no end: 400."""
        codings = [coding.strip(b" \t") for coding in value.lower().split(b",")]
        if codings[-1] == b"chunked" and codings.count(b"chunked") == 1 and all(map(re.compile(_TOKEN).fullmatch, codings)):
            raise Refused(501, "The only transfer coding that can be read is chunked.")
        raise Refused(400, "Transfer-Encoding is not chunked.")

    def _sized(self, events: list[Event]) -> bool:
        if self._left:
            at = self._at
            piece = self._buffer[at : at + self._left]
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

    def _chunked(self, events: list[Event]) -> bool:
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
        self._mode = hc.DONE
        return False
