"""ASGI applications on scripted clients, and in worlds of two hosts where they need tasks of their own."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from http_world import WALL, Item, ScriptedStack, ScriptedStream, finish

import netstack
from netstack import run_virtual
from netstack.errors import PeerReset, UsageError
from netstack.http.config import HttpConfig
from netstack.http.serve.accesslog import Entry, combined
from netstack.http.serve.asgi import App, Asgi, LifespanError, Message, Receive, Scope, Send
from netstack.http.serve.server import HttpServer
from netstack.instant import MILLISECOND, Duration
from netstack.testing.net import World

GET = b"GET /a%20b?x=1 HTTP/1.1\r\nHost: a\r\nX-One: 1\r\n\r\n"


def serve(app: App, **options: Any) -> tuple[ScriptedStack, HttpServer[ScriptedStack]]:
    stack = ScriptedStack()

    async def sleep(duration: Duration) -> None:
        stack.clock.now += duration

    application = Asgi(app, lifespan="off", root_path=options.pop("root_path", ""))
    server = HttpServer(stack, application=application, clock=stack.clock, wall=lambda: WALL, sleep=sleep, **options)
    finish(server.listen(80))
    return stack, server


def ask(app: App, *script: Item, **options: Any) -> ScriptedStream:
    return serve(app, **options)[0].client(*script, b"")


def responder(*messages: Message) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


def body(data: bytes, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def test_the_scope_says_what_was_asked() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send(START)
        await send(body(b""))

    ask(app, GET, root_path="/mount/")
    scope = seen[0]
    assert scope["type"] == "http"
    assert scope["asgi"]["version"] == "3.0"
    assert (scope["method"], scope["http_version"], scope["scheme"]) == ("GET", "1.1", "http")
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/mount/a b", b"/mount/a%20b", b"x=1")
    assert scope["root_path"] == "/mount"
    assert scope["headers"] == [(b"host", b"a"), (b"x-one", b"1")]
    assert (scope["server"], scope["client"]) == (("192.0.2.1", 80), ("192.0.2.2", 50000))


def test_head_and_whole_body_leave_in_one_write_with_a_length() -> None:
    stream = ask(responder(START, body(b"hello")), GET)
    assert stream.sends == [len(stream.sent)]
    assert stream.sent.endswith(b"Content-Length: 5\r\n\r\nhello")


def test_a_body_in_pieces_is_chunked_and_each_leaves_at_once() -> None:
    stream = ask(responder(START, body(b"ab", True), body(b"", True), body(b"cd", True), body(b"")), GET)
    assert stream.sent.endswith(b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n")
    assert len(stream.sends) == 3


def test_an_empty_first_piece_sends_the_head() -> None:
    stream = ask(responder(START, body(b"", True), body(b"x")), GET)
    assert stream.sent[: stream.sends[0]].endswith(b"\r\n\r\n")


def test_the_body_of_a_request_comes_in_pieces_and_then_the_client_is_watched() -> None:
    got: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            got.append(message)
            if message["type"] == "http.disconnect":
                return
            if not message["more_body"]:
                await send(START)

    ask(app, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab", b"cd")
    assert [m.get("body") for m in got] == [b"ab", b"cd", b"", None]


def test_a_client_that_resets_is_a_disconnect_and_then_an_oserror() -> None:
    told: list[object] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        told.append((await receive())["type"])
        with pytest.raises(OSError) as caught:
            await send(START)
            await send(body(b"x"))
        told.append(type(caught.value))

    stack, server = serve(app)
    stream = stack.client(GET, PeerReset("reset"))
    assert told == ["http.disconnect", PeerReset]
    assert stream.aborted
    assert server.mib.HandlerErrors == 0


def test_trailers_follow_the_chunks() -> None:
    start = {**START, "trailers": True}
    trailers: Message = {"type": "http.response.trailers", "headers": [(b"x-sum", b"7")]}
    stream = ask(responder(start, body(b"ab"), trailers), GET)
    assert stream.sent.endswith(b"\r\n2\r\nab\r\n0\r\nX-Sum: 7\r\n\r\n")


def test_a_path_is_sent_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"contents" * 1000)
    start = {**START, "headers": [(b"content-length", b"8000")]}
    stream = ask(responder(start, {"type": "http.response.pathsend", "path": str(tmp_path / "f")}), GET)
    assert stream.sent.endswith(b"\r\n\r\n" + b"contents" * 1000)


def test_early_hints_precede_the_response() -> None:
    stream = ask(responder({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]}, START, body(b"")), GET)
    assert stream.sent.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (body(b"x"),),
        ({"type": "websocket.accept"},),
        ({**START, "headers": [(b"x", b"a\r\nb: c")]}, body(b"")),
    ],
    ids=["nothing", "a body first", "another protocol", "a field with a line break"],
)
def test_an_application_that_breaks_the_protocol_is_a_500(messages: tuple[Message, ...]) -> None:
    stack, server = serve(responder(*messages))
    stream = stack.client(GET, b"")
    assert stream.sent.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert b"Traceback" not in stream.sent
    assert server.mib.HandlerErrors == 1


def test_an_application_that_fails_in_the_middle_is_cut_off() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"half", True))
        raise ZeroDivisionError

    stack, server = serve(app)
    stream = stack.client(GET, b"")
    assert stream.aborted
    assert not stream.sent.endswith(b"0\r\n\r\n")
    assert server.mib.HandlerErrors == 1


def test_nothing_can_follow_a_whole_response() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"x"))
        with pytest.raises(UsageError, match="whole"):
            await send(body(b"y"))

    assert ask(app, GET).sent.endswith(b"\r\n\r\nx")


# -- the access log -----------------------------------------------------------------------------------------------------------


def test_each_response_is_told_and_a_client_cant_write_lines() -> None:
    entries: list[Entry] = []
    ask(responder(START, body(b"hello")), b'GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: "evil\\\xff\r\n\r\n', access=entries.append)
    line = combined(entries[0], WALL)
    assert line == '192.0.2.2 - - [06/Nov/1994:08:49:37 +0000] "GET / HTTP/1.1" 200 5 "-" "\\"evil\\\\\\xff"'


# -- in a world ----------------------------------------------------------------------------------------------------------------

Client = Callable[[Any, HttpServer[Any]], Awaitable[Any]]


def in_a_world(app: App, client: Client, config: HttpConfig | None = None, **options: Any) -> Any:
    """What `client(net, server)` gives, on a host beside the one that serves `app`."""

    async def main() -> Any:
        world = World(seed=1, delay=MILLISECOND)
        a, b = world.host("a"), world.host("b")
        world.link(a, b)
        async with netstack.open_world(world):
            server = HttpServer(a.net, application=Asgi(app, **options), config=config or HttpConfig())
            await server.listen(80)
            try:
                return await client(b.net, server)
            finally:
                await server.aclose()

    return run_virtual(main())


async def get(net: Any, path: str = "/") -> bytes:
    reader, writer = await net.open_connection("10.0.0.1", 80)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    answer: bytes = await reader.read()
    writer.close()
    return answer


def test_a_lifespan_begins_before_the_first_request_and_ends_after_the_last() -> None:
    log: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["count"] = 7
            for _ in range(2):
                kind = (await receive())["type"]
                log.append(kind)
                await send({"type": kind + ".complete"})
            return
        log.append(f"request {scope['state']['count']}")
        await send(START)
        await send(body(b"ok"))

    async def client(net: Any, server: HttpServer[Any]) -> None:
        assert (await get(net)).endswith(b"ok")

    in_a_world(app, client, lifespan="on")
    assert log == ["lifespan.startup", "request 7", "lifespan.shutdown"]


def test_an_application_without_a_lifespan_serves_unless_it_must_have_one() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send(START)
        await send(body(b"ok"))

    async def client(net: Any, server: HttpServer[Any]) -> bytes:
        return await get(net)

    assert in_a_world(app, client).endswith(b"ok")
    with pytest.raises(LifespanError, match="could not start"):
        in_a_world(app, client, lifespan="on")


def test_an_application_that_cant_start_says_why() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    async def client(net: Any, server: HttpServer[Any]) -> None:
        raise AssertionError("it serves")

    with pytest.raises(LifespanError, match="no database"):
        in_a_world(app, client)


def test_a_task_that_watches_for_the_client_survives_the_response() -> None:
    """As frameworks have it that stream: one task sends, another waits in `receive` for the disconnect. Here it is not even
    cancelled when the response is over: the next request must get through all the same."""
    left: list[asyncio.Task[Message]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        left.append(asyncio.create_task(receive()))  # type: ignore[arg-type]
        await asyncio.sleep(1)
        await send(START)
        await send(body(scope["path"].encode()))

    async def client(net: Any, server: HttpServer[Any]) -> bytes:
        reader, writer = await net.open_connection("10.0.0.1", 80)
        writer.write(b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
        got = await reader.readuntil(b"/2")
        writer.write(b"GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        got += await reader.read()
        writer.close()
        for task in left:
            assert (await task)["type"] == "http.disconnect"
        assert isinstance(got, bytes)
        return got

    got = in_a_world(app, client, lifespan="off")
    assert [part[-2:] for part in got.split(b"HTTP/1.1 200 OK")[1:]] == [b"/1", b"/2", b"/3"]


def test_a_client_that_goes_ends_an_endless_response() -> None:
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START})
        try:
            while True:
                await send(body(bytes(100_000), True))
        except OSError:
            ended.append("send")
            raise

    async def client(net: Any, server: HttpServer[Any]) -> None:
        reader, writer = await net.open_connection("10.0.0.1", 80)
        writer.write(GET)
        await reader.readexactly(1_000_000)
        writer.transport.abort()
        while not ended:
            await asyncio.sleep(0.1)
        assert server.mib.HandlerErrors == 0

    in_a_world(app, client, lifespan="off")
    assert ended == ["send"]


def test_closing_waits_for_what_is_in_flight() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(2)
        await send(START)
        await send(body(b"late"))

    async def client(net: Any, server: HttpServer[Any]) -> bytes:
        asking = asyncio.create_task(get(net))
        await asyncio.sleep(1)
        await server.aclose()
        return await asking

    assert in_a_world(app, client, lifespan="off").endswith(b"late")
