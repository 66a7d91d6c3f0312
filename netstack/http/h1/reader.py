"""Bytes to events: the server's reader of requests (RFC 9112), strict where readings differ.

Request smuggling lives where two programs read the same bytes in two ways: one takes the shorter body, the other reads what is
left as a second request. So nothing here is repaired. What RFC 9112 lets a server reject, and some server reads otherwise, is
refused: bare CR or LF, folded lines, white space before a colon, repeated Content-Length, Content-Length beside
Transfer-Encoding, any transfer coding but chunked.

The request line and the framing are checked here, header sections in fields.py, where llhttp has to agree. Bodies are read as those
of responses are (incoming.py).

The reader stops after each message until `resume`: what a client pipelines stays bytes, and is looked at when its turn has come.

The same bytes, cut anywhere, give the same events (but for where `Body` is cut). Hence the rule for every check below: it looks at
a prefix of fixed length, or at a line or section that is complete, and a check that can fail early comes before those that fail
late.
"""

import re
from functools import lru_cache

from ..config import HttpLimits
from ..events import Closed, Event, RawFields, Refusal, RequestHead
from ..refused import Refused
from ..target import check_authority, check_target
from . import const as hc
from .fields import BARE_LF, TOKEN, split_fields
from .incoming import Incoming

_REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e]++) HTTP/([0-9]\.[0-9])")
_OLD_REQUEST_LINE = re.compile(TOKEN + rb" [\x21-\x7e]++")
_DIGITS = re.compile(rb"[0-9]++")
_STARTS = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz\r")
NO_LINE = ("", "", 1)
V10 = (1, 0)
V11 = (1, 1)
REMEMBERED = 512  # bytes of a header section: a longer one is rarely the same twice
HEADS = 256  # such sections; then all are forgotten: a flood of different ones holds half a megabyte
_LENGTH_DIGITS = 18  # more overflow 64 bits somewhere: here, or behind us


@lru_cache(maxsize=8)
def _heads_of(limits: HttpLimits) -> dict[bytes, RequestHead]:
    """Header sections that were read under these limits, and the heads that they gave. Clients repeat themselves, and each other:
    so this is not each connection's own."""
    return {}


class Reader(Incoming):
    """Requests of one connection. `feed` bytes; b"" is the end of the stream. Never raises on what a peer sends."""

    __slots__ = ("_limits", "_blank", "_line", "_heads")

    def __init__(self, limits: HttpLimits) -> None:
        Incoming.__init__(self, hc.LINE)
        self._limits = limits
        self._blank = False  # the one blank line before a request was seen
        self._line: tuple[str, str, int] = NO_LINE
        self._heads = _heads_of(limits)

    @property
    def mid_head(self) -> bool:
        """Has a request begun, and its header section not ended?"""
        return self._mode == hc.FIELDS or (self._mode == hc.LINE and self.buffered > 0)

    def feed(self, data: bytes) -> list[Event]:
        """What `data` completes, in order. After a `Refusal` or a `Closed` nothing more comes."""
        if self._mode == hc.DEAD or self._eof:
            return []
        self._keep(data)
        return self._read()

    def resume(self) -> list[Event]:
        """On to the next message, after `End` was handed up and answered."""
        assert self._mode == hc.DONE, "the last message has not ended"
        self._mode = hc.LINE
        self._blank = False
        self._line = NO_LINE
        return self._read()

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
            if BARE_LF.search(buffer, at + self._seen, stop) is not None:
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
        self._begin_body(head.length, self._limits)
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
        if codings[-1] == b"chunked" and codings.count(b"chunked") == 1 and all(map(re.compile(TOKEN).fullmatch, codings)):
            raise Refused(501, "The only transfer coding that can be read is chunked.")
        raise Refused(400, "Transfer-Encoding is not chunked.")
