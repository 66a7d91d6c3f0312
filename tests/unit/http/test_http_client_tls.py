"""The client over TLS, through proxies, as httpx's transport, on asyncio and on trio."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from client_world import On, lab

import netstack
from netstack.errors import UsageError
from netstack.http.client.connection import Watcher
from netstack.http.client.errors import ConnectionLost, FetchTimedOut, TlsFailed
from netstack.http.client.httpx_transport import BlockingHttpxTransport, HttpxTransport
from netstack.http.config import HttpClientConfig
from netstack.http.serve.message import Request, Response
from netstack.http.serve.server import HttpServer
from netstack.instant import seconds
from netstack.tls.errors import CertificateError
from netstack.tls.stack import Tls

sys.path.insert(0, str(Path(__file__).parents[1] / "tls"))
from tls_world import HOST, client_context, server_context

CONFIG = HttpClientConfig(tls_timeout=seconds(3))


@pytest.fixture(params=["asyncio", "trio"])
def on(request: pytest.FixtureRequest) -> On:
    return On(request.param)


async def hello(request: Request) -> Response:
    body = await request.body.read()
    return Response.text(f"{request.method} {request.target} {request.headers['host']} {len(body)}", headers={"x-a": "b"})


async def where(host: str, port: int) -> list[tuple[str, int]]:
    return [("10.0.0.2", port)] if host.endswith(".example") else []


def test_https_is_verified_by_name_and_pooled(on: On) -> None:
    class Notes(Watcher):
        secure = 0

        def secured(self, stream: Any) -> None:
            self.secure += 1
            assert stream.version == "TLSv1.3"

    notes = Notes()

    async def main() -> None:
        async with lab(on, CONFIG, context=client_context(), resolver=where, watcher=notes) as lab_:
            server = await lab_.serve(hello, 443, Tls(lab_.b, server=server_context()))
            for _ in range(3):
                assert await (await lab_.client.get(f"https://{HOST}/x")).text() == f"GET /x {HOST} 0"
                await on.sleep(1)  # tickets of the session come meanwhile: the connection is healthy all the same
            assert (server.mib.Connections, notes.secure, lab_.client.idle) == (1, 1, 1)
            assert await (await lab_.client.post(f"https://{HOST}/x", b"x" * 300_000)).text() == f"POST /x {HOST} 300000"

    on.run(main)


def test_a_certificate_of_another_or_of_nobody_is_refused_with_its_phase(on: On) -> None:
    async def main() -> None:
        async with lab(on, CONFIG, context=client_context(), resolver=where) as lab_:
            await lab_.serve(hello, 443, Tls(lab_.b, server=server_context()))
            await lab_.serve(hello, 444, Tls(lab_.b, server=server_context(expired=True)))
            await lab_.script([30.0], port=445)
            await lab_.script([b"HTTP/1.1 400 What?\r\n\r\n"], port=446)
            for url in ("https://other.example/", f"https://{HOST}:444/"):
                with pytest.raises(TlsFailed) as caught:
                    await lab_.client.get(url)
                assert caught.value.phase == "tls"
                assert isinstance(caught.value.__cause__, CertificateError)
            with pytest.raises(FetchTimedOut) as late:
                await lab_.client.get(f"https://{HOST}:445/")
            assert late.value.phase == "tls"
            with pytest.raises(TlsFailed):
                await lab_.client.get(f"https://{HOST}:446/")
            assert lab_.client.connections == 0

    on.run(main)


def test_a_body_without_length_must_end_with_close_notify(on: On) -> None:
    """Who cuts the cable would cut the page."""

    async def main() -> None:
        async with lab(on, CONFIG, context=client_context(), resolver=where) as lab_:
            tls = Tls(lab_.b, server=server_context())

            async def serve(stream: Any) -> None:
                await stream.receive()
                await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\nhalf")
                await stream.lower.send_eof()
                await on.sleep(1)

            listener = await tls.serve_streams(serve, 443)
            with pytest.raises(ConnectionLost):
                await (await lab_.client.get(f"https://{HOST}/")).read()
            await listener.aclose()

    on.run(main)


def test_a_proxy_leads_to_tls_and_may_be_behind_tls_itself(on: On) -> None:
    """The tunnel ends at a server's TLS: what the proxy passes on, it can't read."""

    async def main() -> None:
        async with lab(on, CONFIG, context=client_context(), resolver=where, hosts=3, proxy=f"https://u:p@{HOST}:8080") as lab_:
            await lab_.serve(hello, 443, Tls(lab_.world.hosts[2].net, server=server_context()))
            heard: list[bytes] = []

            async def tunnel(stream: Any) -> None:
                heard.append(await stream.receive())
                far = await lab_.b.connect_stream("10.0.0.3", 443)
                await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")

                async def pass_on(source: Any, sink: Any) -> None:
                    while data := await source.receive():
                        await sink.send_all(data)
                    await sink.send_eof()

                await on.both(lambda: pass_on(stream, far), lambda: pass_on(far, stream))
                await far.aclose()

            listener = await Tls(lab_.b, server=server_context()).serve_streams(tunnel, 8080)
            for _ in range(2):
                assert await (await lab_.client.get(f"https://{HOST}/x")).text() == f"GET /x {HOST} 0"
            assert len(heard) == 1
            assert heard[0].startswith(f"CONNECT {HOST}:443 HTTP/1.1\r\nHost: {HOST}:443\r\nProxy-Authorization: Basic ".encode())
            await lab_.client.aclose()
            await listener.aclose()

    on.run(main)


# -- httpx -----------------------------------------------------------------------------------------------------------------


def test_httpx_runs_on_it_unchanged(on: On) -> None:
    async def handler(request: Request) -> Response:
        if request.path == "/old":
            return Response(302, {"location": "/new", "set-cookie": "a=b"})
        body = await request.body.read()
        return Response.text(f"{request.method} {request.path} {request.headers.get('cookie')} {request.length} {body.decode()}")

    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.serve(handler)
            await lab_.script([30.0], port=81)
            await lab_.script([], port=82)

            async def pieces() -> Any:
                yield b"ab"
                yield b"cd"

            async with httpx.AsyncClient(transport=HttpxTransport(lab_.a), timeout=2.0) as client:
                response = await client.get("http://10.0.0.2/old", follow_redirects=True)
                assert response.text == "GET /new a=b 0 "
                assert (response.http_version, response.reason_phrase) == ("HTTP/1.1", "OK")
                assert (await client.post("http://10.0.0.2/x", data={"k": "v"})).text == "POST /x a=b 3 k=v"
                assert (await client.put("http://10.0.0.2/x", content=pieces())).text == "PUT /x a=b None abcd"
                async with client.stream("GET", "http://10.0.0.2/y") as streamed:
                    assert b"".join([piece async for piece in streamed.aiter_bytes()]) == b"GET /y a=b 0 "
                with pytest.raises(httpx.ReadTimeout):
                    await client.get("http://10.0.0.2:81/")
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.get("http://10.0.0.2:82/")
                with pytest.raises(httpx.ConnectError):
                    await client.get("http://10.0.0.2:83/")
                with pytest.raises(httpx.ConnectTimeout):
                    await client.get("http://10.0.0.77/")

    on.run(main)


def test_threads_use_httpx_over_a_net_of_their_own() -> None:
    """The net's loop runs in a thread; here there is none."""
    with netstack.open_blocking("loopback:", addresses=["10.0.0.1/24"]) as net:

        async def serve() -> HttpServer[Any]:
            server = HttpServer(net.net, hello)
            await server.listen(80)
            return server

        transport = BlockingHttpxTransport(net)
        transport._portal.run(serve())
        with httpx.Client(transport=transport, timeout=5.0) as client:
            assert client.get("http://10.0.0.1/x").text == "GET /x 10.0.0.1 0"
            assert client.post("http://10.0.0.1/x", content=iter([b"abc", b"d"])).text == "POST /x 10.0.0.1 4"
            with client.stream("GET", "http://10.0.0.1/y") as response:
                assert b"".join(response.iter_raw()) == b"GET /y 10.0.0.1 0"
            with pytest.raises(httpx.ConnectError):
                client.get("http://10.0.0.1:81/")


def test_a_loop_is_not_asked_to_wait_for_itself() -> None:
    async def main() -> None:
        async with netstack.open("loopback:", addresses=["10.0.0.1/24"]) as net:
            with (
                httpx.Client(transport=BlockingHttpxTransport(net)) as client,
                pytest.raises(httpx.UnsupportedProtocol, match="await"),
            ):
                client.get("http://10.0.0.1/")

    with pytest.raises(UsageError):
        netstack.run(main())
