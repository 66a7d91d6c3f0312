"""One request as others read it: h11, llhttp, and the standard library's http.server with http.client's bodies.

Each reading takes bytes that begin with a request, and gives what it sees in them: a `Seen` with the place where the message ends,
`MORE` when the bytes end too early, `NO`, a refusal, or `ASIDE`: what follows the head it leaves to somebody else.
"""

import io
from email.message import Message
from http.client import HTTPException, HTTPResponse, IncompleteRead
from http.server import BaseHTTPRequestHandler
from typing import Any, Final, NamedTuple

import h11
import httptools

Fields = list[tuple[bytes, bytes]]


class Seen(NamedTuple):
    method: bytes
    target: bytes
    fields: Fields
    body: bytes
    end: int


MORE: Final = "more bytes"
NO: Final = "refused"
ASIDE: Final = "an upgrade"  # httptools takes nothing behind it for a body, nor for a request
STATUS = b"HTTP/1.1 200 OK\r\n"
Reading = Seen | str


def by_h11(data: bytes) -> Reading:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    try:
        connection.receive_data(data)
        head = connection.next_event()
        if head is h11.NEED_DATA:
            return MORE
        assert isinstance(head, h11.Request)
        body = b""
        while isinstance(piece := connection.next_event(), h11.Data):
            body += piece.data
        if not isinstance(piece, h11.EndOfMessage):
            return MORE
    except h11.RemoteProtocolError:
        return NO
    fields = [(bytes(name), bytes(value)) for name, value in head.headers]
    return Seen(bytes(head.method), bytes(head.target), fields, body, len(data) - len(connection.trailing_data[0]))


class _Llhttp:
    def __init__(self) -> None:
        self.target = self.body = b""
        self.fields: Fields = []
        self.trailers = self.over = False

    def on_url(self, piece: bytes) -> None:
        self.target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.trailers:
            self.fields.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.trailers = True

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        self.over = True


def by_llhttp(data: bytes) -> Reading:
    sink = _Llhttp()
    parser = httptools.HttpRequestParser(sink)
    for at in range(len(data)):  # byte by byte, since it does not say where in its input a message ended
        try:
            parser.feed_data(data[at : at + 1])
        except httptools.HttpParserUpgrade:
            return ASIDE
        except httptools.HttpParserError:
            return NO
        if sink.over:
            return Seen(parser.get_method(), sink.target, sink.fields, sink.body, at + 1)
    return MORE


class _Handler(BaseHTTPRequestHandler):
    """http.server's reading of a head, without a socket."""

    def __init__(self, data: bytes) -> None:
        self.rfile = io.BytesIO(data)
        self.wfile = io.BytesIO()
        self.refused = False
        self.raw_requestline = self.rfile.readline(65537)

    def send_error(self, *_: Any) -> None:
        self.refused = True


def by_stdlib(data: bytes) -> Reading:
    if b"\n" not in data:
        return MORE
    handler = _Handler(data)
    if not handler.parse_request() or handler.refused:
        return NO
    start = handler.rfile.tell()
    if not data[:start].endswith((b"\n\n", b"\n\r\n", b"\n")) or data[:start].splitlines()[-1:] not in ([b""], []):
        return MORE  # it takes the end of the stream for the end of the section
    headers: Message = handler.headers
    words = [word.encode("latin-1") for word in handler.requestline.split()]
    fields = [(name.lower().encode("latin-1"), value.strip(" \t").encode("latin-1")) for name, value in headers.items()]
    if "content-length" not in headers and "transfer-encoding" not in headers:
        return Seen(words[0], words[1], fields, b"", start)
    head = data[data.index(b"\n") + 1 : start]
    source = _Source(STATUS + head + data[start:])
    response = HTTPResponse(_Socket(source))  # type: ignore[arg-type]
    try:
        response.begin()
        if response.length is None and not response.chunked:
            return NO
        response.will_close = False
        chunks = response.chunked
        body = response.read()
    except IncompleteRead:
        return MORE
    except (HTTPException, ValueError, OverflowError):
        return NO
    end = start + source.tell() - len(STATUS + head)
    if chunks and not data[:end].endswith((b"\n\r\n", b"\n\n")):
        return MORE  # it takes the end of the stream for the end of the trailers, too
    return Seen(words[0], words[1], fields, body, end)


class _Source(io.BytesIO):
    """Stays open, so that its place tells where the reader stopped."""

    def close(self) -> None:
        pass


class _Socket:
    def __init__(self, source: _Source) -> None:
        self.source = source

    def makefile(self, _: str) -> _Source:
        return self.source


READINGS = {"h11": by_h11, "llhttp": by_llhttp, "http.server": by_stdlib}
