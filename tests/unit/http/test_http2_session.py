"""Sessions of HTTP/2 in worlds of two hosts, on asyncio and on trio; the client is the library alone."""

import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from http2_world import GET, POST, PREFACE, SETTINGS, Peer, frame, request

import netstack
from netstack import run_virtual
from netstack.errors import BrokenError, ClosedError, NetstackError
from netstack.http.config import Http2Limits, HttpConfig
from netstack.http.h2 import words as hw
from netstack.http.serve.accesslog import Entry, combined
from netstack.http.serve.asgi import Asgi, Receive, Scope, Send
from netstack.http.serve.exchange import Exchange
from netstack.http.serve.message import HttpError, Request, Response
from netstack.http.serve.server import HttpServer
from netstack.instant import MILLISECOND, SECOND, Duration
from netstack.runtime.trio.world import run_virtual as run_virtual_trio
from netstack.runtime.waits import waits_here
from netstack.testing.net import World

Client = Callable[[Any, HttpServer[Any]], Awaitable[Any]]


async def sleep(seconds: float) -> None:
    waits = waits_here()
    with suppress(netstack.TimedOut):
        await waits.wait(waits.event(), Duration(int(seconds * SECOND)))


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`run(client, **server)`: what `client(connect, server)` gives, on a host beside the server."""

    def start(client: Client, **options: Any) -> Any:
        async def main() -> Any:
            world = World(seed=1, delay=MILLISECOND)
            a, b = world.host("a"), world.host("b")
            world.link(a, b)
            async with netstack.open_world(world):
                server = HttpServer(a.net, **options)
                await server.listen(80)

                async def connect() -> Any:
                    return await b.net.connect_stream("10.0.0.1", 80)

                try:
                    result = await client(connect, server)
                finally:
                    await server.aclose()
                assert not server._sessions
                return result

        if request.param == "asyncio":
            return run_virtual(main())
        return run_virtual_trio(main)

    return start


async def hello(request: Request) -> Response:
    return Response.text(f"{request.method} {request.path} {(await request.body.read()).decode()}")


def test_a_preface_in_pieces_is_understood_at_every_cut(run: Any) -> None:
    async def client(connect: Any, server: HttpServer[Any]) -> None:
        whole = PREFACE + frame(SETTINGS) + request()
        cuts = [[whole[:cut], whole[cut:]] for cut in range(1, len(PREFACE) + 1)]
        for pieces in [*cuts, [whole[at : at + 1] for at in range(40)]]:
            stream = await connect()
            for piece in pieces:
                await stream.send_all(piece)
                await sleep(0.01)
            data = await stream.receive(9)
            assert data[3:5] == bytes((SETTINGS, 0)), (pieces, data)
            stream.abort()
        assert server.mib.Http2 == len(PREFACE) + 1

    run(client, handler=hello)


def test_what_only_begins_like_a_preface_is_answered_as_http_1(run: Any) -> None:
    async def client(connect: Any, server: HttpServer[Any]) -> None:
        for pieces, status in [
            ([b"P", b"RI /x HTTP/1.1\r\nHost: a\r\n\r\n"], b"200"),
            ([b"P", b"OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"], b"200"),
            ([b"PRI * HTTP/2.0", b"\r\n\r\nSN"], b"505"),
            ([b"PRI * HTTP/2", b".1\r\n"], b"505"),
            ([b"PRI * HTTP/2.0\r", b""], b"400"),
            ([b"\r\n", PREFACE], b"505"),
        ]:
            stream = await connect()
            for piece in pieces:
                if piece:
                    await stream.send_all(piece)
                else:
                    await stream.send_eof()
                await sleep(0.01)
            assert (await stream.receive(12))[9:12] == status, pieces
            stream.abort()
        assert server.mib.Http2 == 0

    run(client, handler=hello)


def test_many_requests_share_a_connection(run: Any) -> None:
    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        numbers = [peer.ask() for _ in range(20)]
        post = peer.ask(base=POST, end=False)
        peer.conn.send_data(post, b"body", end_stream=True)
        for number in numbers:
            answer = await peer.answer(number)
            assert answer["body"] == b"GET / "
            assert answer["headers"][0] == (b":status", b"200")
            assert b"date" in dict(answer["headers"])
        assert (await peer.answer(post))["body"] == b"POST / body"
        assert (server.mib.Requests, server.mib.Responses, server.mib.Connections, server.mib.Http2) == (21, 21, 1, 1)
        assert server.mib.InBody == 4
        await peer.stream.aclose()

    run(client, handler=hello)


def test_what_a_turn_makes_leaves_in_one_piece(run: Any) -> None:
    sizes: list[int] = []

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        await peer.turn()
        numbers = [peer.ask() for _ in range(30)]
        await peer.flush()
        before = server.mib.OutBytes
        data = await peer.stream.receive(65536)
        while len(data) < 500:
            data += await peer.stream.receive(65536)
        sizes.append(server.mib.OutBytes - before)
        for event in peer.conn.receive_data(data):
            peer.take(event)
        assert sum(peer.responses[number]["over"] for number in numbers) == 30
        await peer.stream.aclose()

    run(client, handler=hello)


def test_a_slow_request_holds_up_no_other(run: Any) -> None:
    order: list[str] = []

    async def handler(request: Request) -> Response:
        if request.path == "/slow":
            await sleep(5)
        order.append(request.path)
        return Response.text("")

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        slow = peer.ask(base=(*GET[:3], (b":path", b"/slow")))
        fast = peer.ask(base=(*GET[:3], (b":path", b"/fast")))
        await peer.answer(fast)
        await peer.answer(slow)
        assert order == ["/fast", "/slow"]
        await peer.stream.aclose()

    run(client, handler=handler)


def test_a_large_body_comes_through_small_windows(run: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for i in range(40):
            await send({"type": "http.response.body", "body": bytes((i,)) * 20_000, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        answer = await peer.answer(peer.ask())
        assert answer["body"] == b"".join(bytes((i,)) * 20_000 for i in range(40))
        await peer.stream.aclose()

    run(client, application=Asgi(app, lifespan="off"))


def test_a_large_upload_comes_through_ours(run: Any) -> None:
    async def handler(request: Request) -> Response:
        size = 0
        async for piece in request.body:
            size += len(piece)
        return Response.text(str(size))

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        number = peer.ask(base=POST, end=False)
        left = 1_000_000
        while left:
            size = min(left, peer.conn.local_flow_control_window(number), 16384)
            if size:
                left -= size
                peer.conn.send_data(number, bytes(size), end_stream=not left)
            else:
                await peer.turn()
        assert (await peer.answer(number))["body"] == b"1000000"
        await peer.stream.aclose()

    run(client, handler=handler)


def test_an_application_that_waits_for_a_reader_is_told_when_he_goes(run: Any) -> None:
    ended: list[str] = []

    async def application(exchange: Exchange) -> None:
        await exchange.start(200, ())
        try:
            while True:
                await exchange.send(bytes(30_000))
        except (BrokenError, OSError) as error:
            ended.append(type(error).__name__)
            raise

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        number = peer.ask()
        await peer.turn()
        await sleep(1)
        assert not ended
        peer.conn.reset_stream(number, 8)
        peer.ask()
        await peer.flush()
        await sleep(1)
        assert ended == ["PeerReset"]
        peer.stream.abort()
        await sleep(1)
        assert len(ended) == 2
        assert server.mib.HandlerErrors == 0
        assert server.mib.Resets == 1

    run(client, application=application)


def test_a_window_that_stays_shut_ends_the_response_and_not_the_connection(run: Any) -> None:
    async def application(exchange: Exchange) -> None:
        await exchange.start(200, ())
        if exchange.head.method == "GET":
            await exchange.send(bytes(300_000))
        await exchange.finish()

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        peer.conn.acknowledge_received_data = lambda *_: None  # type: ignore[method-assign,assignment]
        number = peer.ask()
        assert (await peer.answer(number))["reset"] == hw.CANCEL
        assert (await peer.answer(peer.ask(base=POST)))["over"]
        assert server.mib.Resets == 1
        await peer.stream.aclose()

    run(client, application=application)


@pytest.mark.parametrize("method, expected", [(b"HEAD", b""), (b"GET", b"404 Nowhere\n")])
def test_errors_of_handlers_are_answers(run: Any, method: bytes, expected: bytes) -> None:
    async def handler(request: Request) -> Response:
        raise HttpError(404, "Nowhere")

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        answer = await peer.answer(peer.ask(base=((b":method", method), *GET[1:])))
        assert answer["body"] == expected
        assert dict(answer["headers"])[b"content-length"] == b"12"
        await peer.stream.aclose()

    run(client, handler=handler)


def test_a_handler_that_fails_is_a_500_and_reveals_nothing(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> Response:
        raise RuntimeError("secret")

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        answer = await peer.answer(peer.ask())
        assert dict(answer["headers"])[b":status"] == b"500"
        assert answer["body"] == b"500 Internal Server Error\n\n"
        assert server.mib.HandlerErrors == 1
        await peer.stream.aclose()

    with caplog.at_level(logging.ERROR):
        run(client, handler=handler)


def test_a_response_that_fails_in_the_middle_is_a_reset(run: Any) -> None:
    async def application(exchange: Exchange) -> None:
        await exchange.start(200, ())
        await exchange.send(b"half")
        raise RuntimeError("no more")

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        answer = await peer.answer(peer.ask())
        assert (answer["reset"], answer["trailers"]) == (hw.INTERNAL_ERROR, [])
        await peer.stream.aclose()

    run(client, application=application)


def test_malformed_and_refused_requests_have_a_line_each_in_the_log(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def client(connect: Any, server: HttpServer[Any]) -> None:
        stream = await connect()
        bad = request(1, (*GET, (b"connection", b"x"))) + request(3, (*GET[:3], (b":path", b"x")))
        await stream.send_all(PREFACE + frame(4) + bad)
        got = b""
        while b"The target is not a path." not in got:
            got += await stream.receive()
        assert server.mib.Refused == 2
        await stream.aclose()

    with caplog.at_level(logging.INFO, "netstack.http"):
        run(client, handler=hello)
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("refused")]
    assert [line.partition(": ")[2] for line in lines] == ["A field speaks of the connection.", "400 The target is not a path."]


def test_a_flood_is_told_counted_and_closed(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def client(connect: Any, server: HttpServer[Any]) -> bytes:
        stream = await connect()
        await stream.send_all(PREFACE + frame(4) + frame(4, 1))
        got = b""
        with pytest.raises((NetstackError, OSError)):
            while True:
                await stream.send_all(frame(6, 0, 0, bytes(8)) * 100)
                got += await stream.receive()
        assert server.mib.Floods == 1
        return got

    with caplog.at_level(logging.INFO, "netstack.http"):
        got = run(client, handler=hello)
    assert got.count(frame(6, 1, 0, bytes(8))) <= 1001
    assert any("ENHANCE_YOUR_CALM" in record.getMessage() for record in caplog.records)


def test_a_request_in_flight_is_not_lost_when_the_server_closes(run: Any) -> None:
    async def handler(request: Request) -> Response:
        await sleep(2)
        return Response.text("late")

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        first = peer.ask()
        await peer.turn()
        await sleep(0.5)
        closing = waits_here().spawn(server.aclose)
        await sleep(0.1)
        second = peer.ask()  # the first GOAWAY is here, and was not read yet
        peer.conn.state_machine.process_input = lambda _: []  # type: ignore[method-assign]  # or GOAWAY ends the library
        for number in (first, second):
            assert (await peer.answer(number))["body"] == b"late"
        assert [event.last_stream_id for event in peer.goaways[1:]] == [second]
        while not peer.ended:
            await peer.turn()
        await peer.stream.aclose()
        await closing.join()

    run(client, handler=handler)


@pytest.mark.parametrize("client_stays", [True, False])
def test_an_application_that_never_ends_is_cancelled_after_the_grace(run: Any, client_stays: bool) -> None:
    ended: list[BaseException] = []

    async def handler(request: Request) -> Response:
        waits = waits_here()
        try:
            await waits.event().wait()
        except BaseException as error:
            ended.append(error)
            raise
        return Response.text("never")

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        peer.ask()
        await peer.turn()
        await sleep(1)
        if not client_stays:
            peer.stream.abort()
            await sleep(1)
        assert not ended
        await server.aclose(Duration(2 * SECOND))
        await sleep(0.1)
        assert len(ended) == 1
        assert server.mib.HandlerErrors == 0
        await peer.stream.aclose()

    run(client, handler=handler)


def test_an_idle_connection_ends_by_itself(run: Any) -> None:
    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        await peer.answer(peer.ask())
        while not peer.ended:
            await peer.turn()
        assert server.mib.Idle == 1
        await peer.stream.aclose()

    run(client, handler=hello)


def test_continue_is_sent_when_the_body_is_asked_for(run: Any) -> None:
    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        number = peer.ask((b"expect", b"100-continue"), base=POST, end=False)
        while not peer.responses[number]["interim"]:
            await peer.turn()
        peer.conn.send_data(number, b"now", end_stream=True)
        answer = await peer.answer(number)
        assert answer["body"] == b"POST / now"
        assert answer["interim"] == [[(b":status", b"100")]]
        await peer.stream.aclose()

    run(client, handler=hello)


def test_a_body_that_comes_too_slowly_is_a_408(run: Any) -> None:
    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        answer = await peer.answer(peer.ask(base=POST, end=False))
        assert dict(answer["headers"])[b":status"] == b"408"
        assert server.mib.TimedOut == 1
        await peer.stream.aclose()

    run(client, handler=hello)


def test_trailers_go_both_ways(run: Any) -> None:
    async def application(exchange: Exchange) -> None:
        while await exchange.receive():
            pass
        await exchange.start(200, ())
        await exchange.send(b"x")
        await exchange.finish(exchange.trailers)

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        number = peer.ask(base=POST, end=False)
        peer.conn.send_data(number, b"abc")
        peer.conn.send_headers(number, [(b"x-sum", b"7")], end_stream=True)
        assert (await peer.answer(number))["trailers"] == [(b"x-sum", b"7")]
        await peer.stream.aclose()

    run(client, application=application)


def test_an_extended_connect_is_a_stream(run: Any) -> None:
    async def application(exchange: Exchange) -> None:
        assert exchange.head.upgrade == b"echo"
        stream = await exchange.upgrade(((b"x", b"1"),))
        while data := await stream.receive(3):
            await stream.send_all(data.upper())
        await stream.send_all(bytes(200_000))
        await stream.aclose()
        with pytest.raises(ClosedError):
            await stream.receive()

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        number = peer.ask(base=((b":method", b"CONNECT"), (b":protocol", b"echo"), *GET[1:]), end=False)
        peer.conn.send_data(number, b"hello")
        while peer.responses[number]["body"] != b"HELLO":
            await peer.turn()
        peer.conn.end_stream(number)
        answer = await peer.answer(number)
        assert (len(answer["body"]), answer["reset"]) == (200_005, None)
        assert (b":status", b"200") in answer["headers"]
        await peer.stream.aclose()

    run(client, application=application)


def test_a_websocket_goes_over_an_extended_connect(run: Any) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        assert scope["http_version"] == "2"
        await receive()
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"].upper()})
        await send({"type": "websocket.close", "code": 1000})

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        base = ((b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:])
        number = peer.ask((b"sec-websocket-version", b"13"), base=base, end=False)
        while not peer.responses[number]["headers"]:
            await peer.turn()
        assert peer.responses[number]["headers"][0] == (b":status", b"200")
        peer.conn.send_data(number, b"\x81\x85\0\0\0\0hello")  # masked by zeros
        while len(peer.responses[number]["body"]) < 7 + 4:
            await peer.turn()
        assert peer.responses[number]["body"] == b"\x81\x05HELLO\x88\x02\x03\xe8"
        peer.conn.send_data(number, b"\x88\x82\0\0\0\0\x03\xe8", end_stream=True)
        assert (await peer.answer(number))["reset"] is None
        assert server.mib.HandlerErrors == 0
        await peer.stream.aclose()

    run(client, application=Asgi(app, lifespan="off"))


def test_who_watches_learns_that_the_client_has_gone(run: Any) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        seen.append((await receive())["type"])
        with pytest.raises(OSError):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x"})

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        number = peer.ask()
        await peer.turn()
        await sleep(1)
        peer.conn.reset_stream(number, 8)
        await peer.flush()
        await sleep(1)
        assert seen == ["http.disconnect"]
        await peer.stream.aclose()

    run(client, application=Asgi(app, lifespan="off"))


def test_the_access_log_has_a_line_for_each_response(run: Any) -> None:
    entries: list[Entry] = []

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        for _ in range(2):
            await peer.answer(peer.ask((b"user-agent", b"me")))
        await peer.stream.aclose()

    run(client, handler=hello, access=entries.append)
    assert [combined(entry, 0).partition('"')[2] for entry in entries] == ['GET / HTTP/2.0" 200 6 "-" "me"'] * 2


def test_streams_are_refused_while_applications_of_streams_that_were_reset_still_work(run: Any) -> None:
    working: list[int] = []

    async def handler(request: Request) -> Response:
        working.append(1)
        try:
            await sleep(30)
        finally:
            working.pop()
        return Response.text("")

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        peer = Peer(await connect())
        most = 0
        for _ in range(100):
            peer.conn.reset_stream(peer.ask(), 8)
            await peer.flush()
            await sleep(0.01)
            most = max(most, len(working))
        assert most == 10
        await peer.stream.aclose()
        await sleep(40)
        assert not working

    run(client, handler=handler, config=HttpConfig(http2=Http2Limits(concurrent_streams=10)))


def test_http1_and_http2_give_an_application_the_same_scope(run: Any) -> None:
    scopes: list[Scope] = []
    bodies: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        body = b""
        more = True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        bodies.append(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-one", b"1")]})
        await send({"type": "http.response.body", "body": b"ok"})

    requests: list[tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]] = [
        (b"GET", b"/", [], b""),
        (b"GET", b"/a%20b/%C3%A4?x=%201&y", [(b"accept", b"*/*"), (b"cookie", b"a=1; b=2"), (b"x", b""), (b"x", b"2")], b""),
        (b"POST", b"/p?", [(b"content-length", b"4"), (b"content-type", b"text/plain")], b"body"),
        (b"OPTIONS", b"*", [(b"te", b"trailers")], b""),
        (b"HEAD", b"//a//b", [(b"user-agent", b"\xe4\xff")], b""),
    ]

    async def client(connect: Any, server: HttpServer[Any]) -> None:
        stream = await connect()
        for method, path, fields, body in requests:
            lines = b"".join(b"%b: %b\r\n" % pair for pair in fields)
            await stream.send_all(b"%b %b HTTP/1.1\r\nHost: a:80\r\n%b\r\n%b" % (method, path, lines, body))
            await sleep(1)
            await stream.receive()
        await stream.aclose()
        peer = Peer(await connect())
        for method, path, fields, body in requests:
            base = ((b":method", method), (b":scheme", b"http"), (b":authority", b"a:80"), (b":path", path))
            number = peer.ask(*fields, base=base, end=not body)
            if body:
                peer.conn.send_data(number, body, end_stream=True)
            await peer.answer(number)
        await peer.stream.aclose()

    run(client, application=Asgi(app, lifespan="off"))
    count = len(requests)
    assert bodies[:count] == bodies[count:]
    for one, two in zip(scopes[:count], scopes[count:], strict=True):
        assert (one.pop("http_version"), two.pop("http_version")) == ("1.1", "2")
        assert one.pop("client")[0] == two.pop("client")[0]
        assert one == two


def test_the_library_is_loaded_by_who_is_asked_for_http2_alone() -> None:
    code = "import sys, netstack.http.serve.server, netstack.http.serve.asgi, netstack.cli.web; assert 'h2' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
