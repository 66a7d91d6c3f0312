"""WebSockets that a client opens inside of HTTP/2 (RFC 8441) and through proxies; and how a server counts them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from ws_world import RUNTIMES, URL, in_a_world

from netstack.errors import ClosedError, UsageError
from netstack.http import HttpClient, HttpServer, ServerWebSocket, WebSocketClosed, connect_websocket
from netstack.http.client.errors import BadResponse, ProxyFailed
from netstack.http.serve.message import HttpError, Request, Response
from netstack.http.ws.client import WebSocketRefused
from netstack.instant import Duration
from netstack.runtime.waits import waits_here
from netstack.tls import Tls

sys.path.insert(0, str(Path(__file__).parents[1] / "tls"))
from tls_world import HOST, client_context, server_context

runtimes = pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)
PRIOR: dict[str, Any] = {"protocols": "2 prior knowledge"}


async def echo(ws: ServerWebSocket) -> None:
    if ws.request.path == "/no":
        raise HttpError(404, "There is no such room.")
    if ws.request.path == "/never":
        return
    await ws.accept("b" if "b" in ws.subprotocols else None, {"x-room": ws.request.query})
    async for message in ws:
        if message == "fail":
            raise RuntimeError("as it was told")
        await ws.send(message)


async def page(request: Request) -> Response:
    return Response.text("page")


SERVING: dict[str, Any] = {"handler": page, "websocket": echo}


@runtimes
def test_websockets_and_requests_share_one_connection_of_http2(on: Any) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with HttpClient(net, **PRIOR) as http:
            async with connect_websocket(http, URL, subprotocols=["a", "b"]) as one, connect_websocket(http, URL) as two:
                assert (one.subprotocol, two.subprotocol, one.headers["x-room"]) == ("b", None, "room=1")
                assert await (await http.get("http://10.0.0.1/")).text() == "page"
                for ws in (one, two):
                    await ws.send("ü")
                    assert await ws.receive() == "ü"
                await one.send(bytes(1_000_000))  # beyond the windows both ways
                assert await one.receive() == bytes(1_000_000)
                assert await two.ping() > 0
            assert one.closed is not None and one.closed.code == 1000
            assert http.connections == http.idle == 1
            assert await (await http.get("http://10.0.0.1/")).text() == "page"
        assert (server.mib.Connections, server.mib.Http2) == (1, 1)

    in_a_world(on, client, **SERVING)


@runtimes
def test_over_http_1_an_httpclient_asks_for_an_upgrade(on: Any) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with HttpClient(net) as http:
            async with connect_websocket(http, URL) as ws:
                await ws.send(b"x")
                assert await ws.receive() == b"x"
            assert http.connections == 0
        assert server.mib.Http2 == 0

    in_a_world(on, client, **SERVING)


@runtimes
@pytest.mark.parametrize("options", [PRIOR, {}], ids=["2", "1.1"])
def test_a_refusal_is_told_and_the_connection_goes_on(on: Any, options: dict[str, Any]) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with HttpClient(net, **options) as http:
            with pytest.raises(WebSocketRefused) as caught:
                await connect_websocket(http, "ws://10.0.0.1/no")
            assert (caught.value.status, caught.value.body) == (404, b"404 There is no such room.\n")
            assert await (await http.get("http://10.0.0.1/")).text() == "page"

    in_a_world(on, client, **SERVING)


@runtimes
def test_an_end_of_either_side_ends_a_websocket_inside_of_http2(on: Any) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with HttpClient(net, **PRIOR) as http:
            ws = await connect_websocket(http, URL)
            ws.abort()
            with pytest.raises(WebSocketClosed):
                await ws.receive()
            failing = await connect_websocket(http, URL)
            await failing.send("fail")
            with pytest.raises(WebSocketClosed) as caught:
                await failing.receive()
            assert caught.value.code == 1011
            await failing.close()
            left = await connect_websocket(http, URL)
        with pytest.raises(WebSocketClosed) as caught:  # its connection is gone
            await left.receive()
        assert caught.value.code == 1006
        await left.close()

    in_a_world(on, client, **SERVING)


@runtimes
def test_a_tunnel_says_what_a_stream_says(on: Any) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        async with HttpClient(net, **PRIOR) as http:
            fields = [("sec-websocket-version", "13"), ("upgrade", "websocket"), ("sec-websocket-key", "x")]
            response = await http.request("GET", "http://10.0.0.1/chat", headers=fields, protocol="websocket")
            assert (response.status, response.head.switched) == (200, True)
            stream = response.detach()
            with pytest.raises(UsageError):
                response.detach()
            assert stream.remote_address == ("10.0.0.1", 80)
            with pytest.raises(TimeoutError):
                await stream.receive(1, Duration(1000))
            await stream.send_all(b"\x89\x80\0\0\0\0")  # a ping, masked by nothing
            assert await stream.receive(1) + await stream.receive(9) == b"\x8a\0"
            await stream.aclose()
            with pytest.raises(ClosedError):
                await stream.receive()
            with pytest.raises(ClosedError):
                await stream.send_all(b"x")

    in_a_world(on, client, **SERVING)


@runtimes
def test_a_server_of_http2_that_takes_no_extended_connect_is_not_asked(on: Any) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        async def speak(stream: Any) -> None:
            await stream.receive()
            await stream.send_all(b"\0\0\0\4\0\0\0\0\0")  # SETTINGS without any
            while await stream.receive():
                pass

        listener = await net.serve_streams(speak, 81)
        async with HttpClient(net, **PRIOR) as http:
            with pytest.raises(BadResponse, match=r"over 1\.1"):
                await connect_websocket(http, "ws://10.0.0.2:81/")
        await listener.aclose()

    in_a_world(on, client, **SERVING)


class Proxy:
    """CONNECT to what is named, on the same host."""

    def __init__(self, net: Any, status: int = 200) -> None:
        self.net = net
        self.status = status
        self.heard: list[bytes] = []

    async def serve(self, stream: Any) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive()
        self.heard.append(head)
        if self.status != 200:
            await stream.send_all(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % self.status)
            return
        host, _, port = head.split()[1].rpartition(b":")
        there = await self.net.connect_stream("10.0.0.1" if host == HOST.encode() else host.decode(), int(port))
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")

        async def copy(here: Any, to: Any) -> None:
            try:
                while data := await here.receive():
                    await to.send_all(data)
                await to.send_eof()
            except (OSError, ClosedError):
                to.abort()

        task = waits_here().spawn(lambda: copy(there, stream))
        await copy(stream, there)
        await task.join()
        await there.aclose()


@runtimes
def test_a_proxy_is_asked_to_connect_also_for_what_has_no_tls(on: Any) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        proxy = Proxy(net)
        listener = await net.serve_streams(proxy.serve, 3128)
        at = "http://me:word@10.0.0.2:3128"
        async with connect_websocket(net, URL, proxy=at) as ws:
            await ws.send("through")
            assert await ws.receive() == "through"
        async with HttpClient(net, proxy=at, **PRIOR) as http, connect_websocket(http, URL) as ws:
            await ws.send("through")
            assert await ws.receive() == "through"
        assert [head.split(b"\r\n")[0] for head in proxy.heard] == [b"CONNECT 10.0.0.1:80 HTTP/1.1"] * 2
        assert all(b": Basic bWU6d29yZA==\r\n" in head for head in proxy.heard)
        proxy.status = 407
        with pytest.raises(ProxyFailed, match="407"):
            await connect_websocket(net, URL, proxy=at)
        await listener.aclose()

    in_a_world(on, client, **SERVING)


@runtimes
def test_tls_and_http2_stand_on_what_the_proxy_gives(on: Any) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        theirs, ours = server_context(), client_context()
        for context in (theirs, ours):
            context.set_alpn_protocols(["h2", "http/1.1"])
        secure = HttpServer(Tls(net, server=theirs), page, websocket=echo)
        await secure.listen(443)
        proxy = Proxy(net)
        listener = await net.serve_streams(proxy.serve, 3128)

        async def local(host: str, port: int) -> list[tuple[str, int]]:
            return [("10.0.0.2", port)]

        proxy.net = _To(net)
        async with (
            HttpClient(net, local, context=ours, proxy="http://10.0.0.2:3128") as http,
            connect_websocket(http, f"wss://{HOST}/chat") as ws,
        ):
            await ws.send("through")
            assert await ws.receive() == "through"
        assert secure.mib.Http2 == 1
        await listener.aclose()
        await secure.aclose(Duration(0))

    in_a_world(on, client, **SERVING)


class _To:
    """Everything is on this host."""

    def __init__(self, net: Any) -> None:
        self._net = net

    async def connect_stream(self, host: str, port: int) -> Any:
        return await self._net.connect_stream("10.0.0.2", port)


@pytest.mark.parametrize("options", [PRIOR, {}], ids=["2", "1.1"])
def test_a_server_counts_websockets_their_messages_and_their_ends(options: dict[str, Any]) -> None:
    async def client(net: Any, server: HttpServer[Any]) -> None:
        mib = server.mib
        async with HttpClient(net, **options) as http:
            async with connect_websocket(http, URL) as ws:
                await ws.send("ü")
                assert await ws.receive() == "ü"
            for path in ("no", "never"):
                with pytest.raises(WebSocketRefused):
                    await connect_websocket(http, f"ws://10.0.0.1/{path}")
            with pytest.raises(WebSocketRefused):  # Origin is the caller's; the version is not
                await _with_version_12(http)
            for what in ("fail", bytes(2 << 20)):
                ws = await connect_websocket(http, URL)
                await ws.send(what)
                with pytest.raises(WebSocketClosed):
                    await ws.receive()
                await ws.close()
            (await connect_websocket(http, URL)).abort()
            await RUNTIMES[0].sleep(1)
        counted = {name: getattr(mib, name) for name in type(mib).MEANING if name.startswith("Ws")}
        assert counted == {
            "WsOpened": 4, "WsRefused": 3, "WsInMessages": 2, "WsInBytes": 2 + 4, "WsOutMessages": 1, "WsOutBytes": 2,
            "WsClosedNormal": 1, "WsClosedAway": 0, "WsClosedLost": 1, "WsClosedProtocol": 0, "WsClosedData": 0,
            "WsClosedPolicy": 0, "WsClosedTooBig": 1, "WsClosedError": 1, "WsClosedOther": 0,
        }  # fmt: skip

    in_a_world(RUNTIMES[0], client, **SERVING)


async def _with_version_12(http: Any) -> None:
    fields = [("sec-websocket-version", "12"), ("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-key", "x")]
    response = await http.request("GET", "http://10.0.0.1/chat", headers=fields, protocol="websocket")
    await response.read()
    raise WebSocketRefused(response.status, response.headers, b"")
