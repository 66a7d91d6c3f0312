"""WebSockets of ASGI applications, and other people's programs on them: Starlette, websockets."""

import asyncio
import contextlib
import logging
import random
import ssl
import sys
from typing import Any

import pytest
import trustme
from test_http_ws_socket import HELLO, Raw
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus
from ws_world import RUNTIMES, URL, OnAsyncio, in_a_world

import netstack
from netstack.errors import UsageError
from netstack.http import HttpServer, WebSocketClosed, WsConfig, connect_websocket
from netstack.http.serve.asgi import App, Asgi, Message, Receive, Scope, Send
from netstack.http.ws.client import WebSocketRefused
from netstack.instant import MILLISECOND
from netstack.testing.net import World
from netstack.tls import CertificateError, Tls

runtimes = pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)


def serving(app: App, **options: Any) -> dict[str, Any]:
    return {"application": Asgi(app, lifespan="off", **options)}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


@runtimes
def test_the_scope_and_the_messages(on: Any) -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        seen.append(await receive())
        await send({"type": "websocket.accept", "subprotocol": "b", "headers": [[b"x-one", b"1"]]})
        seen.append(await receive())
        seen.append(await receive())
        await send({"type": "websocket.send", "text": "t", "bytes": None})
        await send({"type": "websocket.send", "bytes": b"b"})
        seen.append(await receive())
        with pytest.raises(OSError):
            await send({"type": "websocket.send", "text": "gone"})

    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with connect_websocket(net, URL, subprotocols=["a", "b"]) as ws:
            assert (ws.subprotocol, ws.headers["x-one"]) == ("b", "1")
            await ws.send("text")
            await ws.send(b"")
            assert [await ws.receive(), await ws.receive()] == ["t", b"b"]
            await ws.close(4321, "because")

    in_a_world(on, client, **serving(app, root_path="/mount"))
    scope, *messages = seen
    assert (scope["type"], scope["scheme"], scope["path"], scope["query_string"]) == ("websocket", "ws", "/mount/chat", b"room=1")
    assert (scope["subprotocols"], scope["http_version"]) == (["a", "b"], "1.1")
    assert scope["extensions"] == {"websocket.http.response": {}} and "method" not in scope
    assert (b"upgrade", b"websocket") in scope["headers"]
    assert messages == [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "text"},
        {"type": "websocket.receive", "bytes": b""},
        {"type": "websocket.disconnect", "code": 4321, "reason": "because"},
    ]


def sender(*messages: Message) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for message in messages:
            await send(message)
        assert (await receive())["type"] == "websocket.disconnect"

    return app


ACCEPT: Message = {"type": "websocket.accept"}
DENIED: Message = {
    "type": "websocket.http.response.start",
    "status": 418,
    "headers": [(b"x-tea", b"pot"), (b"content-length", b"4")],
}


@runtimes
@pytest.mark.parametrize(
    ("messages", "status", "body"),
    [
        (({"type": "websocket.close"},), 403, b""),
        (
            (
                DENIED,
                {"type": "websocket.http.response.body", "body": b"te", "more_body": True},
                {"type": "websocket.http.response.body", "body": b"a\n"},
            ),
            418,
            b"tea\n",
        ),
    ],
    ids=["closed before it was accepted", "a response of its own"],
)
def test_an_application_refuses(messages: tuple[Message, ...], status: int, body: bytes, on: Any) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        with pytest.raises(WebSocketRefused) as caught:
            await connect_websocket(net, URL)
        assert (caught.value.status, caught.value.body) == (status, body)
        assert server.mib.HandlerErrors == 0

    in_a_world(on, client, **serving(sender(*messages)))


@pytest.mark.parametrize(
    "messages",
    [
        (),
        ({"type": "websocket.send", "text": "x"},),
        ({"type": "http.response.start", "status": 200},),
        ({"type": "websocket.http.response.body", "body": b""},),
        ({"type": "websocket.accept", "subprotocol": "nobody's"},),
        ({"type": "websocket.accept", "headers": [(b"sec-websocket-accept", b"x")]},),
    ],
    ids=["nothing", "sends", "http", "a body first", "subprotocol", "headers"],
)
def test_an_application_that_breaks_the_protocol_before_it_accepts_is_a_500(messages: tuple[Message, ...]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    async def client(net: Any, server: HttpServer[Any]) -> None:
        with pytest.raises(WebSocketRefused) as caught:
            await connect_websocket(net, URL)
        assert caught.value.status == 500
        assert server.mib.HandlerErrors == 1

    in_a_world(OnAsyncio, client, **serving(app))


@pytest.mark.parametrize(
    "message",
    [
        ACCEPT,
        {"type": "websocket.send"},
        {"type": "websocket.send", "text": "a", "bytes": b"b"},
        {"type": "websocket.http.response.start", "status": 200},
        {"type": "websocket.close", "code": 1006},
        {"type": "nonsense"},
    ],
)
def test_an_application_that_breaks_the_protocol_later_is_1011(message: Message, caplog: pytest.LogCaptureFixture) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with connect_websocket(net, URL) as ws:
            with pytest.raises(WebSocketClosed) as caught:
                await ws.receive()
            assert caught.value.code == 1011

    with caplog.at_level(logging.ERROR):
        in_a_world(OnAsyncio, client, **serving(sender(ACCEPT, message)))
    assert len(caplog.records) == 1


@runtimes
def test_closing_by_the_application_has_its_code_and_what_follows_is_refused(on: Any) -> None:
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await send({"type": "websocket.close", "code": 3999, "reason": "r"})
        told.append((await receive())["type"])  # the first is always the connect
        told.append((await receive())["type"])
        with pytest.raises(ValueError, match="has closed"):
            await send({"type": "websocket.send", "text": "x"})

    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with connect_websocket(net, URL) as ws:
            with pytest.raises(WebSocketClosed) as caught:
                await ws.receive()
            assert (caught.value.code, caught.value.reason) == (3999, "r")

    in_a_world(on, client, **serving(app))
    assert told == ["websocket.connect", "websocket.disconnect"]


@runtimes
def test_a_client_that_goes_before_it_was_accepted_is_a_disconnect(on: Any) -> None:
    told: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        told.append(await receive())
        with pytest.raises(OSError):
            await send(ACCEPT)
            await send({"type": "websocket.send", "text": "x"})
            await on.sleep(1)
            await send({"type": "websocket.send", "text": "x"})

    async def client(net: Any, server: HttpServer[Any]) -> None:
        stream = await net.connect_stream("10.0.0.1", 80)
        await stream.send_all(HELLO)
        await on.sleep(1)
        stream.abort()
        await on.sleep(3)

    in_a_world(on, client, **serving(app))
    assert told == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


@runtimes
def test_a_server_that_closes_tells_the_application_and_the_client_1001(on: Any) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        ws = await connect_websocket(net, URL)
        await ws.send("x")
        await ws.receive()
        await server.aclose()
        assert await anext(ws, None) is None
        assert ws.closed is not None and ws.closed.code == 1001

    in_a_world(on, client, **serving(echo))


def test_bounds_are_the_configuration_s() -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with connect_websocket(net, URL) as ws:
            await ws.send(bytes(1000))
            assert await ws.receive() == bytes(1000)
            await ws.send(bytes(1001))
            with pytest.raises(WebSocketClosed, match="1009 a message has 1000 bytes at most"):
                await ws.receive()

    in_a_world(OnAsyncio, client, **serving(echo, websocket=WsConfig(max_message=1000)))


def test_without_wsproto_it_is_a_request_as_others(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    for name in [name for name in sys.modules if name.startswith(("netstack.http.ws.", "netstack.http.serve.websocket"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "wsproto", None)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 404})
        await send({"type": "http.response.body"})

    async def client(net: Any, server: HttpServer[Any]) -> bytes:
        stream = await net.connect_stream("10.0.0.1", 80)
        await stream.send_all(HELLO)
        answer: bytes = await stream.receive()
        stream.abort()
        return answer

    assert in_a_world(OnAsyncio, client, **serving(app)).startswith(b"HTTP/1.1 404 ")
    assert "pip install netstack[websocket]" in caplog.text


# -- TLS -------------------------------------------------------------------------------------------------------------------------


@runtimes
def test_wss(on: Any) -> None:
    ca = trustme.CA()
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("10.0.0.1").configure_cert(there)
    here = ssl.create_default_context()
    ca.configure_trust(here)
    schemes: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        schemes.append(scope["scheme"])
        await echo(scope, receive, send)

    async def main() -> None:
        world = World(seed=1, delay=MILLISECOND)
        a, b = world.host("a"), world.host("b")
        world.link(a, b)
        async with netstack.open_world(world):
            server = HttpServer(Tls(a.net, there), **serving(app))
            await server.listen(443)
            async with connect_websocket(Tls(b.net, here), "wss://10.0.0.1/") as ws:
                for message in ("hello", bytes(500_000)):
                    await ws.send(message)
                    assert await ws.receive() == message
            with pytest.raises(UsageError, match="wss"):
                connect_websocket(Tls(b.net, here), "ws://10.0.0.1/")
            with pytest.raises(CertificateError):
                await connect_websocket(b.net, "wss://10.0.0.1/")  # the system doesn't trust this authority
            await server.aclose()

    on.run(main)
    assert schemes == ["wss"]


# -- the package websockets, both ways -------------------------------------------------------------------------------------------


def on_two_hosts(server: Any, client: Any) -> None:
    """`server(net)` until `client(net)` is through, each as a program on its host: unchanged ones find its network there."""

    async def main() -> None:
        world = World(seed=2, delay=MILLISECOND)
        a, b = world.host("a"), world.host("b")
        world.link(a, b)
        async with netstack.open_world(world):
            ready, over = asyncio.Event(), asyncio.Event()

            async def serve() -> None:
                async with server(a.net):
                    ready.set()
                    await over.wait()

            task = asyncio.create_task(a.run(serve()))
            await ready.wait()
            await b.run(client(b.net))
            over.set()
            await task

    netstack.run_virtual(main())


@contextlib.asynccontextmanager
async def our_server(net: Any) -> Any:
    server = HttpServer(net, **serving(echo))
    await server.listen(80)
    yield server
    await server.aclose()


@pytest.mark.parametrize("compression", ["deflate", None])
def test_the_client_of_websockets_on_our_server(compression: Any) -> None:
    async def client(net: Any) -> None:
        rng = random.Random(3)
        async with connect("ws://10.0.0.1/chat", compression=compression, subprotocols=None) as ws:
            for size in (0, 1, 100, 5000, 400_000):
                text = "".join(rng.choices("abcµ😀", k=size // 2))
                for message in (text, rng.randbytes(size), bytes(size)):
                    await ws.send(message)
                    assert await ws.recv() == message
            await ws.send(["in ", "three ", "pieces"])
            assert await ws.recv() == "in three pieces"
            await (await ws.ping(b"x"))
        assert (ws.close_code, ws.close_reason) == (1000, "")
        async with connect("ws://10.0.0.1/chat", compression=compression, max_size=None) as ws:
            await ws.send(bytes(1 << 21))
            with pytest.raises(ConnectionClosed):
                await ws.recv()
            assert ws.protocol.close_rcvd is not None and ws.protocol.close_rcvd.code == 1009
        with pytest.raises(InvalidStatus):
            await connect("ws://10.0.0.1/chat", additional_headers={"Sec-WebSocket-Version": "12"})

    on_two_hosts(our_server, client)


@pytest.mark.parametrize("compression", ["deflate", None])
def test_our_client_on_the_server_of_websockets(compression: Any) -> None:
    @contextlib.asynccontextmanager
    async def server(net: Any) -> Any:
        async def handler(ws: Any) -> None:
            async for message in ws:
                if message == "close":
                    await ws.close(4001, "as you say")
                await ws.send(message)

        async with serve_websockets(handler, "10.0.0.1", 80, compression=compression, subprotocols=["a"], max_size=None):  # type: ignore[list-item]
            yield

    async def client(net: Any) -> None:
        rng = random.Random(4)
        async with connect_websocket(net, URL, subprotocols=["b", "a"]) as ws:
            assert ws.subprotocol == "a"
            assert ("sec-websocket-extensions" in ws.headers) == (compression is not None)
            for size in (0, 1, 100, 5000, 400_000):
                text = "".join(rng.choices("abcµ😀", k=size // 2))
                for message in (text, rng.randbytes(size), bytes(size)):
                    await ws.send(message)
                    assert await ws.receive() == message
            assert await ws.ping() > 0
            await ws.send("close")
            with pytest.raises(WebSocketClosed, match="4001 as you say"):
                await ws.receive()

    on_two_hosts(server, client)


# -- Starlette, FastAPI ----------------------------------------------------------------------------------------------------------


@runtimes
def test_starlette_s_endpoints_run_unchanged(on: Any) -> None:
    from starlette.applications import Starlette
    from starlette.endpoints import WebSocketEndpoint
    from starlette.exceptions import HTTPException
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket

    ends: list[int] = []

    class Echo(WebSocketEndpoint):
        encoding = "json"

        async def on_connect(self, websocket: WebSocket) -> None:
            await websocket.accept(subprotocol="json" if "json" in websocket.scope["subprotocols"] else None)

        async def on_receive(self, websocket: WebSocket, data: Any) -> None:
            await websocket.send_json({"path": websocket.url.path, "you said": data})

        async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
            ends.append(close_code)

    async def denied(websocket: WebSocket) -> None:
        raise HTTPException(401, "no")

    async def response(websocket: WebSocket) -> None:
        await websocket.send_denial_response(PlainTextResponse("not you", 402))

    async def page(request: Any) -> PlainTextResponse:
        return PlainTextResponse("page")

    app = Starlette(
        routes=[
            WebSocketRoute("/echo", Echo),
            WebSocketRoute("/denied", denied),
            WebSocketRoute("/response", response),
            Route("/", page),
        ]
    )

    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with connect_websocket(net, "ws://10.0.0.1/echo", subprotocols=["json"]) as ws:
            assert ws.subprotocol == "json"
            await ws.send('{"a": 1}')
            assert await ws.receive() == '{"path":"/echo","you said":{"a":1}}'
        async with connect_websocket(net, "ws://10.0.0.1/echo") as ws:
            await ws.send("no json")
            with pytest.raises(WebSocketClosed) as closed:
                await ws.receive()
            assert closed.value.code == 1003
        (await Raw.open(net, path=b"/echo")).stream.abort()
        for path, status in (("denied", 401), ("response", 402), ("nowhere", 403)):
            with pytest.raises(WebSocketRefused) as caught:
                await connect_websocket(net, f"ws://10.0.0.1/{path}")
            assert caught.value.status == status
        await on.sleep(1)

    in_a_world(on, client, **serving(app))
    assert ends == [1000, 1011, 1006]  # 1011 is what Starlette tells an endpoint that it made fail


def test_fastapi_s_endpoints_run_unchanged() -> None:
    fastapi = pytest.importorskip("fastapi")
    app = fastapi.FastAPI()
    left: list[str] = []

    @app.websocket("/items/{item}")
    async def endpoint(websocket: fastapi.WebSocket, item: int, q: str = "none") -> None:  # type: ignore[name-defined]
        await websocket.accept()
        try:
            while True:
                await websocket.send_text(f"{item} {q} {await websocket.receive_text()}")
        except fastapi.WebSocketDisconnect as error:
            left.append(f"{error.code}")

    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with connect_websocket(net, "ws://10.0.0.1/items/7?q=x") as ws:
            await ws.send("hello")
            assert await ws.receive() == "7 x hello"
        with pytest.raises(WebSocketRefused) as caught:
            await connect_websocket(net, "ws://10.0.0.1/items/x")
        assert caught.value.status == 403

    in_a_world(OnAsyncio, client, **serving(app))
    assert left == ["1000"]
