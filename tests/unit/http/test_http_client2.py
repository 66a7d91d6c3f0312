"""The client over HTTP/2: by ALPN, and by prior knowledge, in worlds of two hosts, on asyncio and on trio."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from client_world import On, lab

from netstack.errors import UsageError
from netstack.http.client.errors import BadResponse, ConnectionLost, FetchTimedOut
from netstack.http.config import HttpClientConfig
from netstack.http.serve.message import Request, Response
from netstack.instant import seconds
from netstack.tls.stack import Tls

sys.path.insert(0, str(Path(__file__).parents[1] / "tls"))
from tls_world import HOST, client_context, server_context

URL = "http://10.0.0.2/"
PRIOR: dict[str, Any] = {"protocols": "2 prior knowledge"}


@pytest.fixture(params=["asyncio", "trio"])
def on(request: pytest.FixtureRequest) -> On:
    return On(request.param)


async def echo(request: Request) -> Response:
    fields = {"x-method": request.method, "x-target": request.target, "x-host": request.host}
    return Response(200, fields, request.body)


def test_alpn_chooses_and_both_speak_it(on: On) -> None:
    async def where(host: str, port: int) -> list[tuple[str, int]]:
        return [("10.0.0.2", port)]

    async def main() -> None:
        ours, theirs = client_context(), server_context()
        ours.set_alpn_protocols(["h2", "http/1.1"])
        async with lab(on, context=ours, resolver=where) as lab_:
            await lab_.serve(echo, 444, Tls(lab_.b, server=server_context()))
            theirs.set_alpn_protocols(["h2", "http/1.1"])
            server = await lab_.serve(echo, 443, Tls(lab_.b, server=theirs))
            for _ in range(3):
                response = await lab_.client.post(f"https://{HOST}/x?y", b"z" * 100_000)
                assert (response.version, response.status, response.headers["x-target"]) == ("2", 200, "/x?y")
                assert response.headers["x-host"] == HOST
                assert await response.read() == b"z" * 100_000
            assert server.mib.Connections == 1
            assert (await lab_.client.get(f"https://{HOST}:444/")).version == "1.1"

    on.run(main)


def test_many_requests_share_one_connection_at_the_same_time(on: On) -> None:
    async def slow(request: Request) -> Response:
        await on.sleep(1)
        return Response.text(request.path)

    async def main() -> None:
        async with lab(on, **PRIOR) as lab_:
            server = await lab_.serve(slow)
            done: list[str] = []

            def one(i: int) -> Any:
                async def work() -> None:
                    done.append(await (await lab_.client.get(f"{URL}{i}")).text())

                return work

            await (await lab_.client.get(URL)).read()
            before = on.now()
            await on.both(*map(one, range(40)))
            assert sorted(done) == sorted(f"/{i}" for i in range(40))
            assert on.now() - before < 1.5
            assert (server.mib.Connections, lab_.client.connections, lab_.client.idle) == (1, 1, 1)

    on.run(main)


def test_bodies_go_both_ways_at_once_beyond_every_window(on: On) -> None:
    async def main() -> None:
        async with lab(on, world={"loss": 0.02}, **PRIOR) as lab_:
            await lab_.serve(echo)

            async def pieces() -> AsyncIterator[bytes]:
                for i in range(40):
                    yield bytes([i]) * 100_000

            response = await lab_.client.post(URL, pieces())
            size = 0
            async for piece in response:
                size += len(piece)
            assert size == 4_000_000
            head = await lab_.client.head(URL)
            assert (head.headers["x-method"], await head.read(), lab_.client.connections) == ("HEAD", b"", 1)

    on.run(main)


def test_one_request_that_is_given_up_leaves_the_others_alone(on: On) -> None:
    async def handler(request: Request) -> Response:
        if request.path == "/never":
            await on.sleep(1000)
        return Response(200, {}, b"x" * 3_000_000)

    async def main() -> None:
        async with lab(on, HttpClientConfig(first_byte_timeout=seconds(5)), **PRIOR) as lab_:
            server = await lab_.serve(handler)
            unread = await lab_.client.get(f"{URL}unread")  # its window fills, and nobody else waits for it
            assert len(await (await lab_.client.get(URL)).read()) == 3_000_000

            async def never() -> None:
                await lab_.client.get(f"{URL}never")

            assert not await on.within(1, never)
            with pytest.raises(FetchTimedOut) as caught:
                await never()
            assert caught.value.phase == "first byte"
            async with await lab_.client.get(URL) as response:
                async for piece in response:
                    assert piece
                    break
            assert len(await unread.read()) == 3_000_000
            assert (server.mib.Connections, lab_.client.connections) == (1, 1)

    on.run(main)


def test_what_goes_wrong_has_its_phase_and_what_the_caller_raises_is_his(on: On) -> None:
    async def main() -> None:
        async with lab(on, **PRIOR) as lab_:
            await lab_.serve(echo)
            await lab_.script([b"HTTP/1.1 400 What?\r\n\r\n", 1.0], port=81)
            await lab_.script([], port=82)

            async def mine() -> AsyncIterator[bytes]:
                yield b"x"
                raise LookupError("mine")

            with pytest.raises(LookupError, match="mine"):
                response = await lab_.client.post(URL, mine())
                await response.read()
            with pytest.raises(UsageError):
                response = await lab_.client.request("POST", URL, body=iter([b"abc"]), length=2)
                await response.read()
            assert await (await lab_.client.post(URL, b"still")).read() == b"still"
            with pytest.raises((BadResponse, ConnectionLost)):
                await lab_.client.get("http://10.0.0.2:81/")
            with pytest.raises(ConnectionLost):
                await lab_.client.get("http://10.0.0.2:82/")

    on.run(main)


def test_a_server_that_goes_away_is_asked_on_a_new_connection(on: On) -> None:
    async def main() -> None:
        async with lab(on, **PRIOR) as lab_:
            server = await lab_.serve(echo)
            await (await lab_.client.get(URL)).read()
            await server.aclose(seconds(1))
            lab_.servers.clear()
            await on.sleep(1)
            other = await lab_.serve(echo)
            assert await (await lab_.client.post(URL, b"again")).read() == b"again"
            assert other.mib.Connections == 1

    on.run(main)
