"""WebSockets over HTTP/2 (RFC 8441), asked for by the h2 library and talked by wsproto: the same code serves them."""

from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset
from test_http_ws_asgi import echo, serving
from test_http_ws_engine import close, frame, said
from ws_world import RUNTIMES, in_a_world

from netstack.http import HttpServer, ServerWebSocket
from netstack.http.serve.asgi import Receive, Scope, Send

runtimes = pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)
FIELDS = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "http"),
    (":path", "/chat?room=2"),
    (":authority", "10.0.0.1"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-protocol", "a, b"),
]


class Client:
    """A connection of h2, with what came on each stream."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.conn = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.heads: dict[int, dict[str, str]] = {}
        self.data: dict[int, bytes] = {}
        self.ended: dict[int, str] = {}
        self.deaf = 0  # of this stream nothing is acknowledged
        self._buffer = b""

    def _frames(self, data: bytes) -> bytes:
        """Whole frames without GOAWAY, after which the library hears nothing more: RFC 9113 6.8 lets streams go on."""
        self._buffer += data
        kept = b""
        while len(self._buffer) >= 9 and len(self._buffer) >= 9 + (size := int.from_bytes(self._buffer[:3], "big")):
            if self._buffer[3] != 7:
                kept += self._buffer[: 9 + size]
            self._buffer = self._buffer[9 + size :]
        return kept

    @classmethod
    async def open(cls, net: Any) -> "Client":
        client = cls(await net.connect_stream("10.0.0.1", 80))
        client.conn.initiate_connection()
        await client.flush()
        while not client.conn.remote_settings.enable_connect_protocol:
            await client.hear()
        return client

    async def flush(self) -> None:
        await self.stream.send_all(self.conn.data_to_send())

    async def hear(self) -> None:
        data = await self.stream.receive()
        assert data, "the server ended the connection"
        for event in self.conn.receive_data(self._frames(data)):
            if isinstance(event, ResponseReceived):
                self.heads[event.stream_id] = dict(event.headers)
            elif isinstance(event, DataReceived):
                self.data[event.stream_id] = self.data.get(event.stream_id, b"") + event.data
                if event.stream_id != self.deaf:
                    self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                self.ended[event.stream_id] = "ended"
            elif isinstance(event, StreamReset):
                self.ended[event.stream_id] = "reset"
        await self.flush()

    async def ask(self, fields: list[tuple[str, str]] = FIELDS) -> int:
        number = self.conn.get_next_available_stream_id()
        self.conn.send_headers(number, fields)
        await self.flush()
        while number not in self.heads and number not in self.ended:
            await self.hear()
        return number

    async def say(self, number: int, data: bytes) -> None:
        while data:
            size = min(self.conn.local_flow_control_window(number), self.conn.max_outbound_frame_size, len(data))
            if not size:
                await self.hear()
                continue
            self.conn.send_data(number, data[:size])
            data = data[size:]
            await self.flush()

    async def frames(self, number: int, count: int) -> list[tuple[int, bytes]]:
        while (
            len(found := said(self.data.get(number, b""))) < count or b"".join(made(*each) for each in found) != self.data[number]
        ):
            await self.hear()
        del self.data[number]
        return found


def made(opcode: int, data: bytes) -> bytes:
    return frame(opcode, data, key=None)


@runtimes
def test_two_on_one_connection(on: Any) -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await echo(scope, receive, send)

    async def client(net: Any, server: HttpServer[Any]) -> None:
        conn = await Client.open(net)
        one, two = await conn.ask(), await conn.ask()
        assert conn.heads[one][":status"] == conn.heads[two][":status"] == "200"
        assert "sec-websocket-accept" not in conn.heads[one] and "upgrade" not in conn.heads[one]
        await conn.say(one, frame(1, b"first") + frame(9, b"ping"))
        await conn.say(two, frame(2, bytes(60_000)))
        assert sorted(await conn.frames(one, 2)) == [(1, b"first"), (10, b"ping")]
        assert await conn.frames(two, 1) == [(2, bytes(60_000))]
        await conn.say(one, close(4000))
        assert await conn.frames(one, 1) == [(8, b"\x0f\xa0")]
        while one not in conn.ended:
            await conn.hear()
        conn.conn.end_stream(one)
        await conn.flush()
        await on.sleep(1)
        await conn.say(two, frame(1, b"still here"))
        assert await conn.frames(two, 1) == [(1, b"still here")]
        assert conn.ended == {one: "ended"}
        conn.stream.abort()
        await on.sleep(1)

    in_a_world(on, client, **serving(app))
    scope = scopes[0]
    assert (scope["type"], scope["http_version"], scope["path"], scope["query_string"]) == ("websocket", "2", "/chat", b"room=2")
    assert scope["subprotocols"] == ["a", "b"]


@runtimes
def test_refusals_are_those_of_http_1(on: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close"})

    async def client(net: Any, server: HttpServer[Any]) -> None:
        conn = await Client.open(net)
        denied = await conn.ask()
        assert conn.heads[denied][":status"] == "403"
        old = await conn.ask([*FIELDS[:-2], ("sec-websocket-version", "8")])
        assert (conn.heads[old][":status"], conn.heads[old]["sec-websocket-version"]) == ("400", "13")
        conn.stream.abort()
        await on.sleep(1)

    in_a_world(on, client, **serving(app))


@runtimes
def test_a_stream_that_is_reset_is_1006_and_a_server_that_closes_says_1001(on: Any) -> None:
    told: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        told.append((await receive())["code"])

    async def client(net: Any, server: HttpServer[Any]) -> None:
        conn = await Client.open(net)
        one, two = await conn.ask(), await conn.ask()
        conn.conn.reset_stream(one)
        await conn.flush()
        await on.sleep(1)
        assert told == [1006]

        async def leave() -> None:
            assert await conn.frames(two, 1) == [(8, b"\x03\xe9")]
            await conn.say(two, close(1001))

        await on.together(server.aclose, leave)
        conn.stream.abort()

    in_a_world(on, client, **serving(app))
    assert told == [1006, 1001]


@runtimes
def test_handlers_are_served_and_other_requests_are_refused_without_a_field_of_http_1(on: Any) -> None:
    async def handler(ws: ServerWebSocket) -> None:
        await ws.accept("b", {"x-one": "1"})
        async for message in ws:
            await ws.send(message)

    async def client(net: Any, server: HttpServer[Any]) -> None:
        conn = await Client.open(net)
        one = await conn.ask()
        assert (conn.heads[one]["sec-websocket-protocol"], conn.heads[one]["x-one"]) == ("b", "1")
        await conn.say(one, frame(1, b"x"))
        assert await conn.frames(one, 1) == [(1, b"x")]
        page = conn.conn.get_next_available_stream_id()
        conn.conn.send_headers(
            page, [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")], end_stream=True
        )
        await conn.flush()
        while page not in conn.heads:
            await conn.hear()
        assert conn.heads[page][":status"] == "400"
        conn.stream.abort()
        await on.sleep(1)

    in_a_world(on, client, websocket=handler)


@runtimes
def test_a_client_that_takes_nothing_holds_up_its_own_stream_alone(on: Any) -> None:
    sent: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/echo":
            await echo(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "bytes": bytes(10_000)})
            sent.append(1)

    async def client(net: Any, server: HttpServer[Any]) -> None:
        conn = await Client.open(net)
        conn.conn.increment_flow_control_window(1 << 20)  # of the connection: the stream's own window is what closes
        conn.deaf = await conn.ask()
        two = await conn.ask([(name, "/echo" if name == ":path" else value) for name, value in FIELDS])
        await conn.say(two, frame(1, b"through"))
        assert await conn.frames(two, 1) == [(1, b"through")]
        await on.sleep(5)
        held = len(sent)
        assert held < 1000
        await on.sleep(5)
        assert len(sent) == held
        conn.stream.abort()
        await on.sleep(1)

    in_a_world(on, client, **serving(app))
