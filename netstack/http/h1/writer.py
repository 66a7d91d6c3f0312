"""Messages to bytes (RFC 9112 3, 4, 6): the head, and a body that is sized, in chunks, or ended by the end of the stream.

The writer owns the framing. A user's fields can't contradict it, and can't hold what would end a field early: both are
`UsageError`, before the first byte has gone.
"""

import re
from functools import lru_cache
from http import HTTPStatus

from ...errors import UsageError
from ..events import RawFields

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_LENGTH = re.compile(rb"[0-9]{1,19}")
_SPELLINGS = {b"etag": b"ETag", b"te": b"TE", b"www-authenticate": b"WWW-Authenticate", b"dnt": b"DNT"}

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_TARGET = re.compile(rb"[\x21-\x7e]+")
_BODY_EXPECTED = ("POST", "PUT", "PATCH")  # RFC 9110 8.6: their empty body says that it is empty
_NO_BODY = (204, 304)  # and 1xx: RFC 9110 6.4.1
# RFC 9110 6.5.1
_NO_TRAILERS = frozenset((b"content-length", b"transfer-encoding", b"trailer", b"connection", b"host", b"content-encoding"))


@lru_cache(maxsize=256)
def _name(name: bytes) -> bytes:
    """`b"Content-Type: "` of `b"content-type"`."""
    if not _TOKEN.fullmatch(name):
        raise UsageError(f"{name.decode('latin-1')!r} can't be a header's name: letters, digits and !#$%&'*+-.^_`|~ can")
    lower = name.lower()
    return (_SPELLINGS.get(lower) or b"-".join(part.capitalize() for part in lower.split(b"-"))) + b": "


def field_lines(fields: RawFields) -> bytes:
    """As they stand in a header section. Raises UsageError for what would not be read as these fields."""
    parts: list[bytes] = []
    for name, value in fields:
        _check_value(name, value)
        parts += (_name(name), value, b"\r\n")
    return b"".join(parts)


def _check_value(name: bytes, value: bytes) -> None:
    if _CONTROLS.search(value) is not None:
        text = name.decode("latin-1")
        raise UsageError(f"the value of header {text} has a line break or a control character: it would end the header early")


def status_line(status: int) -> bytes:
    """Of HTTP/1.1, which we are, also towards a client of 1.0 (RFC 9110 2.5)."""
    line = _STATUS_LINES.get(status)
    if line is None:
        if not 100 <= status <= 999:
            raise UsageError(f"a status is a number of three digits, not {status}")
        line = b"HTTP/1.1 %d \r\n" % status
    return line


class Writer:
    """One message after another. `start` a response or `ask`, `body` any number of times, `finish`; the order is the
    connection's to keep."""

    __slots__ = ("silent", "_chunked", "_left", "close")

    def __init__(self) -> None:
        self.silent = True  # HEAD, 204, 304: a body would be read as the next response
        self._chunked = False
        self._left: int | None = 0  # of a sized body; None: the body ends with the stream
        self.close = False  # this response is the last

    def start(
        self, status: int, fields: RawFields, length: int | None, method: str, minor: int, keep_alive: bool, date: bytes
    ) -> bytes:
        """The head of the response to `method` in HTTP/1.`minor`. `close` then says whether the connection must end after it.

        `date` is the value of the Date field, b"" where no clock is known (RFC 9110 6.6.1).
        """
        if status < 200:
            raise UsageError(f"status {status} is an interim response: a final one, from 200, must follow it")
        parts = [status_line(status)]
        told: bytes | None = None
        dated = False
        for name, value in fields:
            line = _name(name)
            if line == b"Content-Length: ":
                if told is not None:
                    raise UsageError("Content-Length is given twice")
                told = value
                continue
            if line == b"Transfer-Encoding: ":
                if value.lower() != b"chunked":
                    raise UsageError("leave Transfer-Encoding to the server: it chunks a body whose length isn't known")
                continue  # asked for what is done anyway, or can't be
            if line == b"Connection: ":
                if value.lower() == b"close":
                    keep_alive = False
                elif value.lower() != b"keep-alive":
                    raise UsageError("the only Connection headers that a response may have are close and keep-alive")
                continue
            dated = dated or line == b"Date: "
            _check_value(name, value)
            parts += (line, value, b"\r\n")
        if told is not None and not _LENGTH.fullmatch(told):
            raise UsageError(f"Content-Length is a number of bytes, not {told.decode('latin-1')!r}")
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
                    raise UsageError(f"Content-Length says {int(told)} and the body has {length} bytes")
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

    def ask(self, method: str, target: str, fields: RawFields, length: int | None) -> bytes:
        """The head of a request, whose body has `length` bytes, or comes in chunks where that is None.

        `close` then says whether it is the last one. A Content-Length among the fields must agree.
        """
        if not method.isascii() or _TOKEN.fullmatch(method.encode()) is None:
            raise UsageError(f"{method!r} is not a method: those are names like GET")
        if not target.isascii() or _TARGET.fullmatch(target.encode()) is None:
            raise UsageError(f"{target!r} can't be asked for: escape what is not visible ASCII with % (urllib.parse.quote)")
        parts = [b"%b %b HTTP/1.1\r\n" % (method.encode(), target.encode())]
        self.close = self.silent = False
        told: bytes | None = None
        for name, value in fields:
            line = _name(name)
            if line == b"Content-Length: ":
                if told is not None:
                    raise UsageError("Content-Length is given twice")
                told = value
                continue
            if line == b"Transfer-Encoding: ":
                if value.lower() != b"chunked" or length is not None:
                    raise UsageError("leave Transfer-Encoding to the client: it chunks a body whose length isn't known")
                continue
            if line == b"Connection: " and b"close" in [option.strip() for option in value.lower().split(b",")]:
                self.close = True
            _check_value(name, value)
            parts += (line, value, b"\r\n")
        if told is not None:
            if not _LENGTH.fullmatch(told):
                raise UsageError(f"Content-Length is a number of bytes, not {told.decode('latin-1')!r}")
            if length is not None and length != int(told):
                raise UsageError(f"Content-Length says {int(told)} and the body has {length} bytes")
            length = int(told)
        self._left = length
        self._chunked = length is None
        if length is None:
            parts.append(b"Transfer-Encoding: chunked\r\n")
        elif length or told is not None or method in _BODY_EXPECTED:
            parts.append(b"Content-Length: %d\r\n" % length)
        parts.append(b"\r\n")
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

    def span(self, count: int) -> tuple[bytes, bytes]:
        """What goes before and behind `count` bytes of the body that somebody else sends. As `body`."""
        if self.silent or not count:
            return b"", b""
        if self._chunked:
            return b"%x\r\n" % count, b"\r\n"
        if self._left is not None:
            if count > self._left:
                raise UsageError(f"the body goes {count - self._left} bytes beyond the Content-Length that was announced")
            self._left -= count
        return b"", b""

    def finish(self, trailers: RawFields = ()) -> bytes:
        """The end of the body. `trailers` go with chunks, and are dropped where there are none (RFC 9110 6.5.1). Raises UsageError
        when announced bytes are missing: only closing the stream can tell the client."""
        if self.silent:
            return b""
        if self._chunked:
            if not trailers:
                return b"0\r\n\r\n"
            if forbidden := [name for name, _ in trailers if name.lower() in _NO_TRAILERS]:
                raise UsageError(f"{forbidden[0].decode('latin-1')} can't be a trailer: it says how the message is to be read")
            return b"0\r\n" + field_lines(trailers) + b"\r\n"
        if self._left:
            raise UsageError(f"the body ends {self._left} bytes before the Content-Length that was announced")
        return b""
