"""Responses to bytes (RFC 9112 4, 6): the head, and a body that is sized, in chunks, or ended by the end of the stream.

The writer owns the framing. A user's fields can't contradict it, and can't hold what would end a field early: both are
`UsageError`, before the first byte has gone.
"""

import re
from functools import lru_cache
from http import HTTPStatus

from ...errors import UsageError
from ..events import ResponseHead

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_SPELLINGS = {"etag": "ETag", "te": "TE", "www-authenticate": "WWW-Authenticate", "dnt": "DNT"}

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_NO_BODY = (204, 304)  # and 1xx: RFC 9110 6.4.1


@lru_cache(maxsize=256)
def _name(name: str) -> bytes:
    """`b"Content-Type: "` of `"content-type"`."""
    if not _TOKEN.fullmatch(name):
        raise UsageError(f"{name!r} can't be a header's name: letters, digits and !#$%&'*+-.^_`|~ can")
    lower = name.lower()
    return (_SPELLINGS.get(lower) or "-".join(part.capitalize() for part in lower.split("-"))).encode() + b": "


def _value(name: str, value: str) -> bytes:
    try:
        raw = value.encode("latin-1")
    except UnicodeEncodeError:
        raise UsageError(f"the value of header {name} has characters beyond ISO 8859-1: encode them (RFC 8187)") from None
    if _CONTROLS.search(raw) is not None:
        raise UsageError(f"the value of header {name} has a line break or a control character: it would end the header early")
    return raw


def status_line(status: int) -> bytes:
    """Of HTTP/1.1, which we are, also towards a client of 1.0 (RFC 9110 2.5)."""
    line = _STATUS_LINES.get(status)
    if line is None:
        if not 100 <= status <= 999:
            raise UsageError(f"a status is a number of three digits, not {status}")
        line = b"HTTP/1.1 %d \r\n" % status
    return line


class Writer:
    """One response after another. `start`, `body` any number of times, `finish`; the order is the connection's to keep."""

    __slots__ = ("silent", "_chunked", "_left", "close")

    def __init__(self) -> None:
        self.silent = True  # HEAD, 204, 304: a body would be read as the next response
        self._chunked = False
        self._left: int | None = 0  # of a sized body; None: the body ends with the stream
        self.close = False  # this response is the last

    def start(self, head: ResponseHead, method: str, minor: int, keep_alive: bool, date: bytes) -> bytes:
        """The head of the response to `method` in HTTP/1.`minor`. `close` then says whether the connection must end after it.

        `date` is the value of the Date field, b"" where no clock is known (RFC 9110 6.6.1).
        """
        status = head.status
        if status < 200:
            raise UsageError(f"status {status} is an interim response: a final one, from 200, must follow it")
        parts = [status_line(status)]
        length = head.length
        told: str | None = None
        dated = False
        for name, value in head.fields:
            line = _name(name)
            if line == b"Content-Length: ":
                if told is not None:
                    raise UsageError("Content-Length is given twice")
                told = value
                continue
            if line == b"Transfer-Encoding: ":
                raise UsageError("leave Transfer-Encoding to the server: it chunks a body whose length isn't known")
            if line == b"Connection: ":
                if value.lower() != "close":
                    raise UsageError("the only Connection header that a response may ask for is close")
                keep_alive = False
                continue
            dated = dated or line == b"Date: "
            parts += (line, _value(name, value), b"\r\n")
        if told is not None and not re.fullmatch("[0-9]{1,19}", told):
            raise UsageError(f"Content-Length is a number of bytes, not {told!r}")
        if date and not dated:
            parts += (b"Date: ", date, b"\r\n")

        self.silent = method == "HEAD" or status in _NO_BODY
        self._chunked = False
        if self.silent:
            # RFC 9110 8.6: what it says is what the answer to GET would have had. An empty body says nothing about that
            stated = int(told) if told is not None else length or None
            if stated is not None and status != 204:
                parts.append(b"Content-Length: %d\r\n" % stated)
            self._left = 0
        else:
            if told is not None:
                if length is not None and length != int(told):
                    raise UsageError(f"Content-Length says {told} and the body has {length} bytes")
                length = int(told)
            self._left = length
            if length is not None:
                parts.append(b"Content-Length: %d\r\n" % length)
            elif minor:
                self._chunked = True
                parts.append(b"Transfer-Encoding: chunked\r\n")
            else:
                keep_alive = False  # HTTP/1.0 has no chunks: the end of the stream is the end of the body
        if not keep_alive:
            parts.append(b"Connection: close\r\n")
        elif not minor:
            parts.append(b"Connection: keep-alive\r\n")  # RFC 9112 9.3: what a client of 1.0 asked for must be confirmed
        parts.append(b"\r\n")
        self.close = not keep_alive
        return b"".join(parts)

    def body(self, data: bytes) -> bytes:
        """`data` framed. Raises UsageError beyond the announced length."""
        if self.silent or not data:
            return b""  # an empty chunk would be the last one
        if self._chunked:
            return b"%x\r\n%b\r\n" % (len(data), data)
        if self._left is not None:
            if len(data) > self._left:
                raise UsageError(f"the body goes {len(data) - self._left} bytes beyond the Content-Length that was announced")
            self._left -= len(data)
        return data

    def finish(self) -> bytes:
        """The end of the body. Raises UsageError when announced bytes are missing: only closing the stream can tell the client."""
        if self.silent:
            return b""
        if self._chunked:
            return b"0\r\n\r\n"
        if self._left:
            raise UsageError(f"the body ends {self._left} bytes before the Content-Length that was announced")
        return b""
