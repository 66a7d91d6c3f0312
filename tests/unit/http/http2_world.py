"""HTTP/2 in small worlds: frames as bytes, an engine with a clock in one's hand, and a client that is the library h2 alone."""

from collections.abc import Iterable
from typing import Any

import h2.config
import h2.connection
import h2.events
from hpack import Decoder, Encoder

from netstack.http.config import Http2Limits, HttpConfig
from netstack.http.h2 import words as hw
from netstack.http.h2.engine import Engine
from netstack.http.h2.windows import Room
from netstack.instant import SECOND, Instant

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 1
END_HEADERS = 4
PADDED = 8
GET = ((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", b"/"))
POST = ((b":method", b"POST"), *GET[1:])


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def setting(number: int, value: int) -> bytes:
    return number.to_bytes(2, "big") + value.to_bytes(4, "big")


def block(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A header block that needs no table: each field a literal without indexing (RFC 7541 6.2.2)."""

    def string(value: bytes) -> bytes:
        size = len(value)
        if size < 127:
            return bytes((size,)) + value
        size -= 127
        length = b"\x7f"
        while size >= 128:
            length += bytes((size & 127 | 128,))
            size >>= 7
        return length + bytes((size,)) + value

    return b"".join(b"\x00" + string(name) + string(value) for name, value in headers)


def request(stream: int = 1, headers: Iterable[tuple[bytes, bytes]] = GET, end: bool = True) -> bytes:
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block(headers))


class Side:
    """A server's engine, and frames that come and go."""

    def __init__(
        self,
        bounds: dict[str, int] | None = None,
        client: bool = False,
        greeted: bool = True,
        room: Room | None = None,
        **settings: Any,
    ) -> None:
        self.now = Instant(1000 * SECOND)
        config = HttpConfig(http2=Http2Limits(**bounds or {}), **settings)
        self.engine = Engine(config, self.now, client=client, room=room)
        self.decoder = Decoder()
        self.encoder = Encoder()
        if greeted:
            assert self.hear((b"" if client else PREFACE) + frame(SETTINGS) + frame(SETTINGS, ACK)) == []
            self.frames()

    def hear(self, *data: bytes) -> list[hw.Heard]:
        return self.engine.receive_data(b"".join(data), self.now)

    def wait(self, seconds: float) -> list[hw.Heard]:
        self.now = Instant(self.now + int(seconds * SECOND))
        return self.engine.handle_timeout(self.now)

    def frames(self) -> list[tuple[int, int, int, bytes]]:
        """(kind, flags, stream, payload) of all that can be sent now."""
        data = b""
        while more := self.engine.data_to_send(self.now):
            data += more
        if self.engine.client and data.startswith(PREFACE):
            data = data[len(PREFACE) :]
        found = []
        at = 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 3], "big")
            found.append((data[at + 3], data[at + 4], int.from_bytes(data[at + 5 : at + 9], "big"), data[at + 9 : at + 9 + size]))
            at += 9 + size
        assert at == len(data)
        return found

    def code(self) -> int:
        """Of the GOAWAY that ended the connection."""
        assert self.engine.finished
        kind, _, _, payload = self.frames()[-1]
        assert kind == GOAWAY
        return int.from_bytes(payload[4:8], "big")

    def reset_code(self, stream: int = 1) -> int:
        return next(int.from_bytes(payload, "big") for kind, _, number, payload in self.frames() if (kind, number) == (3, stream))

    def respond(self, stream: int = 1, body: bytes = b"ok", **options: Any) -> None:
        self.engine.start(stream, 200, (), None, b"", **options)
        self.engine.body(stream, body)
        self.engine.finish(stream)


class Peer:
    """The library as a client on a stream of a net: requests in, whole responses out."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
        self.conn.initiate_connection()
        self.responses: dict[int, dict[str, Any]] = {}
        self.goaways: list[h2.events.ConnectionTerminated] = []
        self.ended = False

    def ask(self, *headers: tuple[bytes, bytes], end: bool = True, base: Iterable[tuple[bytes, bytes]] = GET) -> int:
        number = self.conn.get_next_available_stream_id()
        self.conn.send_headers(number, [*base, *headers], end_stream=end)
        self.responses[number] = {"headers": [], "body": b"", "over": False, "reset": None, "interim": [], "trailers": []}
        return int(number)

    async def flush(self) -> None:
        data = self.conn.data_to_send()
        if data:
            await self.stream.send_all(data)

    async def turn(self) -> None:
        """Send what there is, and receive once."""
        await self.flush()
        data = await self.stream.receive(65536)
        if not data:
            self.ended = True
            return
        # the library is over when it has seen a GOAWAY, though the streams are not: it doesn't see the first of two
        if data.startswith(b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x7f\xff\xff\xff"):
            self.goaways.append(h2.events.ConnectionTerminated())
            data = data[17:]
        for event in self.conn.receive_data(data):
            self.take(event)
        await self.flush()

    def take(self, event: Any) -> None:
        answer = self.responses.get(getattr(event, "stream_id", None) or 0)
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaways.append(event)
        elif answer is None:
            return
        elif isinstance(event, h2.events.ResponseReceived):
            answer["headers"] = [tuple(pair) for pair in event.headers]
        elif isinstance(event, h2.events.InformationalResponseReceived):
            answer["interim"].append([tuple(pair) for pair in event.headers])
        elif isinstance(event, h2.events.TrailersReceived):
            answer["trailers"] = [tuple(pair) for pair in event.headers]
        elif isinstance(event, h2.events.DataReceived):
            answer["body"] += event.data
            self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            answer["over"] = True
        elif isinstance(event, h2.events.StreamReset):
            answer["over"] = True
            answer["reset"] = int(event.error_code)

    async def answer(self, number: int) -> dict[str, Any]:
        while not self.responses[number]["over"]:
            assert not self.ended, "the connection ended first"
            await self.turn()
        return self.responses[number]
