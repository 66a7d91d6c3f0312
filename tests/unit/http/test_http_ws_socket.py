"""WebSockets end to end: our server and our client over our own stacks, on asyncio and on trio."""

import logging
from typing import Any

import pytest
from test_http_ws_engine import close, frame, said
from ws_world import RUNTIMES, URL, OnAsyncio, in_a_world

from netstack.errors import BusyError, UsageError
from netstack.http import HttpServer, Response, ServerWebSocket, WebSocketClosed, WsConfig, connect_websocket
from netstack.http.serve.message import HttpError, Request
from netstack.http.serve.websocket import websocket_application
from netstack.http.ws.client import WebSocketRefused
from netstack.instant import MILLISECOND, SECOND, Duration

runtimes = pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)
HELLO = (
    b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def echo(ws: ServerWebSocket) -> None:
    async for message in ws:
        await ws.send(message)


class Raw:
    """A client that writes its frames by hand."""

    def __init__(self, stream: Any, early: bytes) -> None:
        self.stream = stream
        self.early = early

    @classmethod
    async def open(cls, net: Any, frames: bytes = b"", path: bytes = b"/chat") -> "Raw":
        stream = await net.connect_stream("10.0.0.1", 80)
        await stream.send_all(HELLO.replace(b"/chat", path) + frames)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += await stream.receive()
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        return cls(stream, answer.partition(b"\r\n\r\n")[2])

    async def rest(self) -> list[tuple[int, bytes]]:
        """The frames until the end of the stream."""
        data = self.early
        while piece := await self.stream.receive():
            data += piece
        return said(data)


@runtimes
@pytest.mark.parametrize("compress", [True, False])
def test_messages_go_and_come_back(on: Any, compress: bool) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with connect_websocket(net, URL, config=WsConfig(compress=compress)) as ws:
            for message in ("", "hello µ", b"", b"\x00\xff", "x" * 200_000, bytes(700_000)):
                await ws.send(message)
                assert await ws.receive() == message
            assert 2 * MILLISECOND <= await ws.ping() < 10 * MILLISECOND
            assert ("sec-websocket-extensions" in ws.headers) == compress
            assert ws.remote_address == ("10.0.0.1", 80)
        assert ws.closed is not None and ws.closed.code == 1000
        with pytest.raises(WebSocketClosed):
            await ws.send("x")
        with pytest.raises(WebSocketClosed):
            await ws.receive()

    in_a_world(on, client, websocket=echo)


@runtimes
def test_a_handler_sees_the_request_and_chooses(on: Any) -> None:
    async def handler(ws: ServerWebSocket) -> None:
        assert (ws.request.path, ws.request.query, ws.request.headers["x-user"]) == ("/chat", "room=1", "me")
        assert ws.subprotocols == ("v2", "v1") and not ws.is_open
        await ws.accept("v1", {"X-Answer": "yes"})
        await ws.close(4001, "enough")

    async def client(net: Any, server: HttpServer[Any]) -> None:
        ws = await connect_websocket(net, URL, subprotocols=["v2", "v1"], headers={"X-User": "me"})
        assert (ws.subprotocol, ws.headers["x-answer"]) == ("v1", "yes")
        with pytest.raises(WebSocketClosed) as caught:
            async for _ in ws:
                raise AssertionError("there is no message")
        assert (caught.value.code, caught.value.reason) == (4001, "enough")
        await ws.close()

    in_a_world(on, client, websocket=handler)


@runtimes
def test_a_handler_that_returns_closes_and_one_that_raises_is_1011(on: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: ServerWebSocket) -> None:
        if await ws.receive() == "raise":
            raise ZeroDivisionError("secret")

    async def client(net: Any, server: HttpServer[Any]) -> None:
        for word, code in (("return", 1000), ("raise", 1011)):
            async with connect_websocket(net, URL) as ws:
                await ws.send(word)
                with pytest.raises(WebSocketClosed) as caught:
                    await ws.receive()
                assert (caught.value.code, caught.value.reason) == (code, "")

    with caplog.at_level(logging.ERROR):
        in_a_world(on, client, websocket=handler)
    assert [record.message for record in caplog.records] == ["the WebSocket of /chat?room=1 failed"]


@runtimes
def test_a_handler_refuses(on: Any) -> None:
    async def handler(ws: ServerWebSocket) -> None:
        if ws.request.query == "room=1":
            raise HttpError(401, "Who are you?", {"WWW-Authenticate": "Basic"})

    async def client(net: Any, server: HttpServer[Any]) -> None:
        with pytest.raises(WebSocketRefused) as caught:
            await connect_websocket(net, URL)
        assert (caught.value.status, caught.value.body) == (401, b"401 Who are you?\n")
        assert caught.value.headers["www-authenticate"] == "Basic"
        with pytest.raises(WebSocketRefused) as caught:  # it returned without a word
            await connect_websocket(net, "ws://10.0.0.1/")
        assert caught.value.status == 403

    in_a_world(on, client, websocket=handler)


def test_other_requests_have_the_handler_beside_or_426() -> None:
    async def page(request: Request) -> Response:
        return Response.text("page")

    async def client(net: Any, server: HttpServer[Any]) -> bytes:
        stream = await net.connect_stream("10.0.0.1", 80)
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := await stream.receive():
            answer += piece
        return answer

    assert in_a_world(OnAsyncio, client, handler=page, websocket=echo).endswith(b"page")
    assert in_a_world(OnAsyncio, client, websocket=echo).startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    with pytest.raises(UsageError, match="not both"):
        in_a_world(OnAsyncio, client, application=websocket_application(echo), websocket=echo)


def test_a_request_that_is_no_lawful_handshake_has_its_status() -> None:
    async def client(net: Any, server: HttpServer[Any]) -> list[bytes]:
        answers = []
        for bad in (HELLO.replace(b": 13", b": 8"), HELLO.replace(b"dGhl", b"")):
            stream = await net.connect_stream("10.0.0.1", 80)
            await stream.send_all(bad)
            answers.append(await stream.receive())
            await stream.aclose()
        return answers

    old, short = in_a_world(OnAsyncio, client, websocket=echo)
    assert old.startswith(b"HTTP/1.1 426 Upgrade Required\r\n") and b"\r\nSec-Websocket-Version: 13\r\n" in old
    assert short.startswith(b"HTTP/1.1 400 Bad Request\r\n")


@runtimes
def test_what_came_with_the_request_is_the_first_of_the_websocket(on: Any) -> None:
    heard: list[Any] = []

    async def handler(ws: ServerWebSocket) -> None:
        try:
            while True:
                heard.append(await ws.receive())
        except WebSocketClosed as error:
            heard.append(error.code)

    async def client(net: Any, server: HttpServer[Any]) -> None:
        raw = await Raw.open(net, frame(1, b"early") + close(4000))
        assert await raw.rest() == [(8, b"\x0f\xa0")]
        await raw.stream.aclose()

    in_a_world(on, client, websocket=handler)
    assert heard == ["early", 4000]


@runtimes
def test_pings_are_answered_while_the_program_only_sends(on: Any) -> None:
    async def ticker(ws: ServerWebSocket) -> None:
        for i in range(60):
            await ws.send(str(i))
            await on.sleep(1)

    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with connect_websocket(net, URL) as ws:
            assert await ws.receive() == "0"
            assert await ws.ping() < 10 * MILLISECOND
            assert await ws.receive() == "1"

    in_a_world(on, client, websocket=ticker)


@runtimes
def test_an_idle_websocket_is_kept_by_pings_and_a_dead_one_ends(on: Any) -> None:
    told: list[WebSocketClosed] = []

    async def handler(ws: ServerWebSocket) -> None:
        try:
            await echo(ws)
        except WebSocketClosed as error:
            told.append(error)

    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with connect_websocket(net, URL, config=WsConfig(ping_interval=Duration(0))) as ws:
            await on.sleep(300)
            await ws.send("still here")
            assert await ws.receive() == "still here"
        dead = await Raw.open(net)
        assert await dead.stream.receive() == b"\x89\x00"  # and it answers nothing
        await on.sleep(25)
        with pytest.raises(OSError):
            await dead.rest()
        assert [(error.code, error.reason) for error in told] == [(1006, "the peer answered no ping")]

    in_a_world(on, client, websocket=handler)


@runtimes
def test_who_does_not_receive_holds_up_the_sender(on: Any) -> None:
    sent: list[int] = []

    async def deaf(ws: ServerWebSocket) -> None:
        await ws.accept()
        await on.sleep(20)
        assert len(ws._queue) <= 16 and ws._held <= 65536 + (1 << 20)
        async for _ in ws:
            sent.append(-1)

    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with connect_websocket(net, URL, config=WsConfig(compress=False, send_timeout=Duration(60 * SECOND))) as ws:

            async def send() -> None:
                for i in range(300):
                    await ws.send(bytes(100_000))
                    sent.append(i)

            async def look() -> None:
                await on.sleep(10)
                assert 5 < len(sent) < 250
                on_the_way = len(sent)
                await on.sleep(5)
                assert len(sent) == on_the_way

            await on.together(send, look)

    in_a_world(on, client, websocket=deaf)
    assert sent.count(-1) == 300


@runtimes
def test_a_peer_that_takes_nothing_ends_the_sender_by_its_time_limit(on: Any) -> None:
    told: list[WebSocketClosed] = []

    async def gusher(ws: ServerWebSocket) -> None:
        try:
            while True:
                await ws.send(bytes(100_000))
        except WebSocketClosed as error:
            told.append(error)
            raise

    async def client(net: Any, server: HttpServer[Any]) -> None:
        raw = await Raw.open(net)
        await on.sleep(60)
        raw.stream.abort()

    in_a_world(on, client, application=websocket_application(gusher, config=WsConfig(send_timeout=Duration(10 * SECOND))))
    assert [(error.code, error.reason) for error in told] == [(1006, "the peer takes nothing")]


@runtimes
def test_a_client_that_vanishes_is_1006(on: Any) -> None:
    told: list[WebSocketClosed] = []

    async def handler(ws: ServerWebSocket) -> None:
        try:
            await echo(ws)
        except WebSocketClosed as error:
            told.append(error)

    async def client(net: Any, server: HttpServer[Any]) -> None:
        for how in ("abort", "aclose"):
            raw = await Raw.open(net)
            await raw.stream.send_all(frame(1, b"half", fin=False))
            if how == "abort":
                raw.stream.abort()
            else:
                await raw.stream.aclose()
            await on.sleep(1)

    in_a_world(on, client, websocket=handler)
    assert [error.code for error in told] == [1006, 1006]


@runtimes
def test_a_rule_that_is_broken_is_told_before_the_end_though_more_is_on_its_way(on: Any) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        raw = await Raw.open(net)
        await raw.stream.send_all(frame(1, b"\xff") + bytes(300_000))
        assert await raw.rest() == [(8, b"\x03\xefa text is not UTF-8")]
        await raw.stream.aclose()

    in_a_world(on, client, websocket=echo)


@runtimes
def test_a_server_that_closes_says_that_it_is_going_away(on: Any) -> None:
    ends: list[Any] = []

    async def handler(ws: ServerWebSocket) -> None:
        await echo(ws)
        ends.append(ws.closed.code if ws.closed else None)

    async def client(net: Any, server: HttpServer[Any]) -> None:
        ws = await connect_websocket(net, URL)
        await ws.send("x")
        await ws.receive()
        await server.aclose()
        with pytest.raises(WebSocketClosed) as caught:
            await ws.receive()
        assert caught.value.code == 1001
        await ws.close()

    in_a_world(on, client, websocket=handler)
    assert ends == [1001]


@runtimes
def test_a_client_that_never_answers_a_close_is_waited_for_no_longer_than_said(on: Any) -> None:
    async def handler(ws: ServerWebSocket) -> None:
        await ws.accept()
        await ws.close()
        assert ws.closed is not None and ws.closed.code == 1006

    async def client(net: Any, server: HttpServer[Any]) -> None:
        raw = await Raw.open(net)
        await on.sleep(25)
        assert server.connections() == []
        raw.stream.abort()

    in_a_world(on, client, websocket=handler)


@runtimes
def test_one_receives_at_a_time_and_many_send(on: Any) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with connect_websocket(net, URL) as ws:
            got: list[str | bytes] = []

            async def receive() -> None:
                while len(got) < 40:
                    got.append(await ws.receive())

            async def second() -> None:
                await on.sleep(0.0001)
                with pytest.raises(BusyError):
                    await ws.receive()
                for i in range(10):
                    await ws.send(str(i) * 20_000)

            async def send() -> None:
                await on.sleep(0.01)
                for i in range(10):
                    await ws.send(str(i) * 30_000)

            await on.together(receive, second, send, send, send)
            assert sorted(got) == sorted([str(i) * 20_000 for i in range(10)] + 3 * [str(i) * 30_000 for i in range(10)])

    in_a_world(on, client, websocket=echo)


@runtimes
def test_a_receive_that_is_cancelled_has_taken_nothing_and_a_client_that_is_cancelled_aborts(on: Any) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with connect_websocket(net, URL) as ws:
            await on.cut(1, ws.receive)
            await ws.send("x")
            assert await ws.receive() == "x"

        async def work() -> None:
            async with connect_websocket(net, URL) as ws:
                await ws.receive()

        await on.cut(1, work)
        await on.sleep(1)
        assert server.connections() == []

    in_a_world(on, client, websocket=echo)


def test_pieces_of_a_message_are_joined_at_the_other_end() -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with connect_websocket(net, URL) as ws:
            await ws.send("one ", final=False)
            await ws.send("message")
            assert await ws.receive() == "one message"

    in_a_world(OnAsyncio, client, websocket=echo)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://a/", "ws://host"),
        ("ws:///x", "ws://host"),
        ("ws://u:p@a/", "ws://host"),
        ("ws://a/#x", "fragment"),
        ("ws://a:99999/", "Port"),
    ],
)
def test_a_url_that_is_none_of_a_websocket(url: str, told: str) -> None:
    nothing: Any = None
    with pytest.raises(UsageError, match=told):
        connect_websocket(nothing, url)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
        b"220 smtp.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"",
    ],
)
def test_an_answer_that_opens_nothing_is_an_error_and_leaves_nothing(answer: bytes) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        async def other(stream: Any) -> None:
            await stream.receive()
            if answer:
                await stream.send_all(answer)

        await net.serve_streams(other, 8080)
        with pytest.raises(Exception) as caught:
            await connect_websocket(net, "ws://127.0.0.1:8080/")
        assert type(caught.value).__name__ in ("WireError", "WebSocketRefused", "BrokenError")

    in_a_world(OnAsyncio, client, websocket=echo)
