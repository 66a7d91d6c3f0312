"""The client in worlds of two or three hosts, in virtual time, on asyncio and on trio: loss, dead addresses, servers that lie."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from client_world import On, lab

import netstack.http
from netstack.errors import BrokenError, ClosedError, TimedOut, UsageError
from netstack.http.client import errors
from netstack.http.client.connection import Watcher
from netstack.http.client.cookies import CookieJar
from netstack.http.client.errors import (
    BadResponse,
    ConnectFailed,
    ConnectionLost,
    FetchError,
    FetchTimedOut,
    ProxyFailed,
    TooManyRedirects,
)
from netstack.http.config import HttpClientConfig, HttpClientLimits
from netstack.http.serve.message import Request, Response
from netstack.instant import seconds

URL = "http://10.0.0.2/"
OK = b"HTTP/1.1 200 OK\r\n"
SMALL = OK + b"Content-Length: 2\r\n\r\nok"


@pytest.fixture(params=["asyncio", "trio"])
def on(request: pytest.FixtureRequest) -> On:
    return On(request.param)


async def echo(request: Request) -> Response:
    body = await request.body.read(1 << 24)
    fields = {"x-method": request.method, "x-target": request.target, **{f"x-{name}": value for name, value in request.headers}}
    return Response(200, fields, body)


# -- asking ----------------------------------------------------------------------------------------------------------------


def test_a_request_says_who_asks_whom_for_what(on: On) -> None:
    async def main() -> None:
        async with lab(on) as lab_:
            heard = await lab_.script([SMALL])
            response = await lab_.client.get("http://b:80/a%20b?c=d#e")
            assert (response.status, response.reason, response.version, await response.read()) == (200, "OK", "1.1", b"ok")
            assert heard == [
                b"GET /a%20b?c=d HTTP/1.1\r\nHost: b\r\nUser-Agent: netstack\r\nAccept: */*\r\n"
                b"Accept-Encoding: gzip, deflate\r\n\r\n"
            ]

    on.run(main)


def test_requests_one_after_another_share_a_connection(on: On) -> None:
    async def main() -> None:
        async with lab(on) as lab_:
            server = await lab_.serve(echo)
            for i in range(5):
                response = await lab_.client.get(f"{URL}{i}")
                await response.read()
            assert (await (await lab_.client.head(URL)).read(), lab_.client.connections, lab_.client.idle) == (b"", 1, 1)
            assert server.mib.Connections == 1
            assert server.mib.Requests == 6

    on.run(main)


def test_bodies_go_both_ways_in_pieces_and_through_loss(on: On) -> None:
    async def main() -> None:
        async with lab(on, world={"loss": 0.05}) as lab_:
            await lab_.serve(echo)

            async def pieces() -> AsyncIterator[bytes]:
                for i in range(20):
                    yield bytes([i]) * 10_000

            whole = b"".join(bytes([i]) * 10_000 for i in range(20))
            assert await (await lab_.client.post(URL, pieces())).read() == whole
            response = await lab_.client.request("PUT", URL, body=[whole, b"!"], length=200_001)
            assert response.headers["x-content-length"] == "200001"
            assert b"".join([piece async for piece in response]) == whole + b"!"
            assert (await (await lab_.client.post(URL, json={"a": [1]})).json()) == {"a": [1]}
            assert lab_.client.connections == 1

    on.run(main)


def test_a_response_may_begin_before_the_request_has_ended(on: On) -> None:
    """Both directions at once: whoever only wrote first would wait for ever."""

    async def back(request: Request) -> Response:
        return Response(200, {}, request.body)

    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.serve(back)
            size = 0
            response = await lab_.client.post(URL, iter([b"x" * 65536] * 60))
            async for piece in response:
                size += len(piece)
            assert size == 60 * 65536
            assert lab_.client.idle == 1

    on.run(main)


def test_an_error_before_the_end_of_the_body_is_heard_and_the_rest_is_not_sent(on: On) -> None:
    sent = []

    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.script([b"HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno", 5.0])

            async def pieces() -> AsyncIterator[bytes]:
                for i in range(100):
                    yield b"x" * 1000
                    sent.append(i)
                    await on.sleep(0.1)

            response = await lab_.client.post(URL, pieces())
            assert (response.status, await response.read()) == (413, b"no")
            assert len(sent) < 5
            assert lab_.client.connections == 0

    on.run(main)


def test_what_the_callers_own_pieces_raise_is_raised_to_the_caller(on: On) -> None:
    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.serve(echo)

            async def pieces() -> AsyncIterator[bytes]:
                yield b"x"
                raise LookupError("mine")

            with pytest.raises(LookupError, match="mine"):
                await lab_.client.post(URL, pieces())
            with pytest.raises(UsageError, match="beyond"):
                await lab_.client.request("POST", URL, body=iter([b"abc"]), length=2)
            assert lab_.client.connections == 0

    on.run(main)


def test_a_body_waits_for_a_100_and_goes_after_a_second_without(on: On) -> None:
    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.serve(echo)
            before = on.now()
            response = await lab_.client.request("PUT", URL, body=b"body", expect=True)
            assert (await response.read(), response.headers["x-expect"]) == (b"body", "100-continue")
            assert on.now() - before < 0.5
            heard = await lab_.script([b"", SMALL], port=81)
            response = await lab_.client.request("PUT", "http://b:81/", body=b"body", expect=True)
            assert await response.read() == b"ok"
            assert heard[1] == b"body"
            assert 1 <= on.now() - before < 1.5

    on.run(main)


def test_who_does_not_know_expectations_is_asked_without(on: On) -> None:
    async def main() -> None:
        async with lab(on) as lab_:
            refuse = b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"
            heard = await lab_.script([refuse], [SMALL, 1.0])
            response = await lab_.client.request("PUT", URL, body=b"x" * 20000, expect=True)
            assert response.status == 200
            assert b"Expect" in heard[0]
            assert b"Expect" not in heard[1]

    on.run(main)


# -- the pool --------------------------------------------------------------------------------------------------------------


def test_a_connection_that_the_server_closed_meanwhile_is_not_used(on: On) -> None:
    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.script([SMALL])
            assert await (await lab_.client.post(URL, b"1")).read() == b"ok"
            assert lab_.client.idle == 1
            await on.sleep(1)  # its end arrives, and nobody looks
            assert await (await lab_.client.post(URL, b"2")).read() == b"ok"
            assert lab_.opened == 2

    on.run(main)


@pytest.mark.parametrize("how", [[], [None]], ids=["closed", "reset"])
def test_what_can_be_repeated_is_asked_again_when_an_old_connection_breaks(on: On, how: Any) -> None:
    """The server hears the second request, and closes without a word: perhaps it had decided to before."""

    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.script([SMALL, b"", *how], [SMALL, b"", *how])
            assert await (await lab_.client.get(URL)).read() == b"ok"
            assert await (await lab_.client.get(URL)).read() == b"ok"
            assert lab_.opened == 2
            with pytest.raises(ConnectionLost) as caught:
                await lab_.client.post(URL, b"not twice")
            assert caught.value.phase == "first byte"
            assert isinstance(caught.value, BrokenError)
            assert lab_.opened == 2

    on.run(main)


def test_a_new_connection_that_breaks_is_no_reason_to_repeat(on: On) -> None:
    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.script([])
            with pytest.raises(ConnectionLost, match="without an answer"):
                await lab_.client.get(URL)
            assert lab_.opened == 1

    on.run(main)


def test_a_response_that_was_begun_is_not_asked_for_again(on: On) -> None:
    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.script([SMALL, b"", b"HTTP/1.1 2"])
            await (await lab_.client.get(URL)).read()
            with pytest.raises(ConnectionLost):
                await lab_.client.get(URL)
            assert lab_.opened == 1

    on.run(main)


def test_an_idle_connection_is_closed_when_its_time_has_come(on: On) -> None:
    async def main() -> None:
        async with lab(on, HttpClientConfig(idle_timeout=seconds(3))) as lab_:
            server = await lab_.serve(echo)
            await (await lab_.client.get(URL)).read()
            await on.sleep(2.9)
            assert lab_.client.idle == 1
            await on.sleep(0.3)
            assert (lab_.client.idle, lab_.client.connections) == (0, 0)
            await (await lab_.client.get(URL)).read()
            assert server.mib.Connections == 2

    on.run(main)


def test_the_pool_is_bounded_for_each_origin_and_each_waits_for_its_turn(on: On) -> None:
    most = 0
    now = 0

    async def slow(request: Request) -> Response:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await on.sleep(1)
        now -= 1
        return Response.text(request.path)

    async def main() -> None:
        async with lab(on, HttpClientConfig(connections_per_origin=3)) as lab_:
            await lab_.serve(slow)
            done = []

            def one(i: int) -> Any:
                async def work() -> None:
                    done.append(await (await lab_.client.get(f"{URL}{i}")).text())

                return work

            before = on.now()
            await on.both(*map(one, range(10)))
            assert sorted(done) == sorted(f"/{i}" for i in range(10))
            assert most == 3
            assert 4 <= on.now() - before < 4.5
            assert lab_.client.connections == 3

    on.run(main)


def test_the_pool_is_bounded_in_all_and_what_idles_makes_room(on: On) -> None:
    async def main() -> None:
        async with lab(on, HttpClientConfig(connections=2, pool_timeout=seconds(5))) as lab_:
            for port in (81, 82, 83):
                await lab_.serve(echo, port)
            for port in (81, 82, 83):
                await (await lab_.client.get(f"http://b:{port}/")).read()
            assert lab_.client.connections == 2
            first = await lab_.client.get("http://b:81/")
            await lab_.client.get("http://b:82/")
            before = on.now()
            with pytest.raises(FetchTimedOut) as caught:
                await lab_.client.get("http://b:83/")
            assert (caught.value.phase, round(on.now() - before)) == ("pool", 5)
            assert isinstance(caught.value, TimedOut)

            async def later() -> None:
                await on.sleep(1)
                await first.read()

            async def waiting() -> None:
                assert (await lab_.client.get("http://b:83/")).status == 200

            await on.both(later, waiting)

    on.run(main)


def test_a_cancelled_request_leaves_nothing_behind(on: On) -> None:
    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.script([60.0, SMALL])

            async def work() -> None:
                await lab_.client.post(URL, iter([b"x" * 100_000] * 50))

            assert not await on.within(1, work)
            assert lab_.client.connections == 0

    on.run(main)


def test_leaving_a_response_unread_frees_its_place(on: On) -> None:
    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.serve(echo)
            async with await lab_.client.post(URL, b"x" * 500_000) as response:
                async for piece in response:
                    assert piece
                    break
            assert lab_.client.connections == 0
            async with await lab_.client.get(URL):
                pass
            assert lab_.client.idle == 1  # all of it was here already

    on.run(main)


def test_a_closed_client_fetches_no_more(on: On) -> None:
    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.serve(echo)
            await (await lab_.client.get(URL)).read()
            await lab_.client.aclose()
            assert lab_.client.connections == 0
            with pytest.raises(ClosedError):
                await lab_.client.get(URL)

    on.run(main)


# -- what goes wrong -------------------------------------------------------------------------------------------------------


def test_a_dead_first_address_costs_a_quarter_of_a_second(on: On) -> None:
    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.serve(echo)
            lab_.a.names._at_once["www.example"] = (0x0A0000C8, 0x0A000002)
            before = on.now()
            assert (await lab_.client.get("http://www.example/")).status == 200
            assert on.now() - before < 1

    on.run(main)


def test_a_resolver_of_ones_own_says_where_a_host_is(on: On) -> None:
    asked = []

    async def resolve(host: str, port: int) -> list[tuple[str, int]]:
        asked.append((host, port))
        return [("10.0.0.2", 81), ("10.0.0.2", 80)]

    async def main() -> None:
        async with lab(on, resolver=resolve) as lab_:
            await lab_.serve(echo)
            response = await lab_.client.get("http://nowhere.example/")
            assert response.headers["x-host"] == "nowhere.example"
            assert asked == [("nowhere.example", 80)]

    on.run(main)


def test_each_failure_has_its_phase(on: On) -> None:
    async def main() -> None:
        config = HttpClientConfig(
            connect_timeout=seconds(2), first_byte_timeout=seconds(3), read_timeout=seconds(4), write_timeout=seconds(5)
        )
        async with lab(on, config) as lab_:
            await lab_.script([60.0], port=81)
            await lab_.script([OK + b"Content-Length: 9\r\n\r\na", 60.0], port=82)
            await lab_.script([OK + b"Content-Length: 9\r\n\r\na"], port=83)
            await lab_.script([OK + b"Content-Length: 9\r\n\r\na", None], port=84)
            await lab_.script([b"SSH-2.0-x\r\n"], port=85)
            await lab_.script([OK + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na"], port=86)

            async def fails(url: str, timeout: float | None = None, **said: Any) -> FetchError:
                before = on.now()
                with pytest.raises(FetchError) as caught:
                    total = None if timeout is None else seconds(timeout)
                    await (await lab_.client.request("GET", url, timeout=total, **said)).read()
                error = caught.value
                assert isinstance(error, OSError)
                assert "10.0.0." in error.url or "nowhere" in error.url
                error.took = round(on.now() - before)  # type: ignore[attr-defined]
                return error

            def seen(error: Any) -> tuple[type, str, int]:
                return type(error), error.phase, error.took

            assert seen(await fails("http://10.0.0.2:90/")) == (ConnectFailed, "connect", 0)
            assert seen(await fails("http://10.0.0.200/")) == (FetchTimedOut, "connect", 2)
            assert seen(await fails("http://nowhere.example/"))[:2] == (ConnectFailed, "name")
            assert seen(await fails("http://10.0.0.2:81/")) == (FetchTimedOut, "first byte", 3)
            assert seen(await fails("http://10.0.0.2:81/", timeout=1)) == (FetchTimedOut, "total", 1)
            assert seen(await fails("http://10.0.0.2:82/")) == (FetchTimedOut, "read", 4)
            assert seen(await fails("http://10.0.0.2:82/", timeout=2.0)) == (FetchTimedOut, "total", 2)
            lost = await fails("http://10.0.0.2:83/")
            assert isinstance(lost, ConnectionLost)
            assert (lost.phase, lost.received) == ("read", 1)
            assert isinstance((await fails("http://10.0.0.2:84/")), ConnectionLost)
            assert seen(await fails("http://10.0.0.2:85/")) == (BadResponse, "first byte", 0)
            assert seen(await fails("http://10.0.0.2:86/")) == (BadResponse, "first byte", 0)
            assert lab_.client.connections == 0

    on.run(main)


def test_a_server_that_reads_nothing_is_not_waited_for(on: On) -> None:
    async def main() -> None:
        async with lab(on, HttpClientConfig(write_timeout=seconds(2), first_byte_timeout=seconds(50))) as lab_:
            await lab_.script([40.0])
            before = on.now()
            with pytest.raises(FetchTimedOut) as caught:
                await lab_.client.post(URL, iter([b"x" * 1_000_000] * 40))
            assert caught.value.phase == "write"
            assert 2 <= on.now() - before < 10

    on.run(main)


# -- redirections ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "method", "then", "body"),
    [
        (301, "GET", "GET", b""),
        (301, "POST", "GET", b""),
        (302, "POST", "GET", b""),
        (302, "PUT", "PUT", b"body"),
        (303, "PUT", "GET", b""),
        (303, "HEAD", "HEAD", b""),
        (307, "POST", "POST", b"body"),
        (308, "POST", "POST", b"body"),
    ],
)
def test_a_redirection_changes_the_method_as_browsers_do(on: On, status: int, method: str, then: str, body: bytes) -> None:
    async def handler(request: Request) -> Response:
        if request.path == "/old":
            return Response(status, {"location": "new?x"})
        return await echo(request)

    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.serve(handler)
            response = await lab_.client.request(
                method, f"{URL}old", body=b"body" if method not in ("GET", "HEAD") else None, headers={"authorization": "me"}
            )
            assert (response.headers["x-method"], response.headers["x-target"]) == (then, "/new?x")
            assert await response.read() == body
            assert response.headers["x-authorization"] == "me"
            assert ("x-content-length" in response.headers) == bool(body)
            assert [str(url) for url in response.history] == [f"{URL}old"]
            assert lab_.client.connections == 1

    on.run(main)


def test_what_was_meant_for_one_origin_does_not_go_to_another(on: On) -> None:
    async def handler(request: Request) -> Response:
        return Response(302, {"location": "http://b:81/there#part"})

    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.serve(handler)
            await lab_.serve(echo, 81)
            fields = {"authorization": "secret", "cookie": "secret", "x-mine": "kept", "host": "me"}
            for auth in (None, ("user", "word")):
                response = await lab_.client.request("GET", "http://b/", headers=fields, auth=auth)
                assert "secret" not in str(response.headers)
                assert "x-authorization" not in response.headers
                assert (response.headers["x-host"], response.headers["x-x-mine"]) == ("b:81", "kept")
                assert response.url.fragment == "part"

    on.run(main)


def test_redirections_are_bounded_and_lead_only_where_http_leads(on: On) -> None:
    async def handler(request: Request) -> Response:
        places = {"/loop": "/loop", "/file": "file:///etc/passwd", "/bad": "http://[", "/none": ""}
        return Response(302, {"location": places[request.path]}) if request.path in places else await echo(request)

    async def main() -> None:
        async with lab(on) as lab_:
            server = await lab_.serve(handler)
            with pytest.raises(TooManyRedirects, match="more than 20 times") as caught:
                await lab_.client.get(f"{URL}loop")
            assert caught.value.phase == "redirect"
            assert server.mib.Requests == 21
            for path in ("file", "bad"):
                with pytest.raises(TooManyRedirects, match="can't be fetched"):
                    await lab_.client.get(f"{URL}{path}")
            assert (await lab_.client.request("GET", f"{URL}loop", redirects=0)).status == 302

    on.run(main)


def test_a_body_that_is_spent_is_not_sent_again(on: On) -> None:
    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.serve(lambda request: moved(request))

            async def once() -> AsyncIterator[bytes]:
                yield b"once"

            assert (await lab_.client.post(f"{URL}old", once())).status == 307
            response = await lab_.client.post(f"{URL}old", lambda: once())
            assert await response.read() == b"once"

    async def moved(request: Request) -> Response:
        if request.path == "/old":
            await request.body.read()
            return Response(307, {"location": "/new"})
        return await echo(request)

    on.run(main)


# -- bodies in other codings -----------------------------------------------------------------------------------------------


def raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", gzip.compress(b"hello " * 50_000, mtime=0)),
        ("x-gzip", gzip.compress(b"hello " * 20_000, mtime=0) + gzip.compress(b"hello " * 30_000, mtime=0)),
        ("deflate", zlib.compress(b"hello " * 50_000)),
        ("deflate", raw_deflate(b"hello " * 50_000)),
        ("deflate, gzip", gzip.compress(zlib.compress(b"hello " * 50_000), mtime=0)),
        ("identity", b"hello " * 50_000),
        ("br", b"hello " * 50_000),
    ],
)
def test_compressed_bodies_are_read_as_they_were_meant(on: On, coding: str, data: bytes) -> None:
    async def handler(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, len(data), 1000):
                yield data[at : at + 1000]

        return Response(200, {"content-encoding": coding}, pieces())

    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.serve(handler)
            assert await (await lab_.client.get(URL)).read() == b"hello " * 50_000
            assert await (await lab_.client.request("GET", URL, decode=False)).read() == data
            assert lab_.client.idle == 1

    on.run(main)


def test_a_bomb_is_not_unpacked_and_a_torn_body_is_told(on: On) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    bodies = {"/bomb": bomb, "/torn": gzip.compress(b"hello" * 999)[:-9], "/lie": b"this is no gzip"}

    async def handler(request: Request) -> Response:
        return Response(200, {"content-encoding": "gzip"}, bodies[request.path])

    async def main() -> None:
        async with lab(on) as lab_:
            await lab_.serve(handler)
            size = 0
            with pytest.raises(BadResponse, match="bomb"):
                async for piece in await lab_.client.get(f"{URL}bomb"):
                    size += len(piece)
                    assert len(piece) <= 65536
            assert size < 12_000_000
            with pytest.raises(BadResponse, match="in the midst"):
                await (await lab_.client.get(f"{URL}torn")).read()
            with pytest.raises(BadResponse, match="not in the coding"):
                await (await lab_.client.get(f"{URL}lie")).read()
            with pytest.raises(BadResponse, match="more than 10 bytes"):
                await (await lab_.client.request("GET", f"{URL}bomb", decode=False)).read(10)

    on.run(main)


# -- proxies, cookies, other protocols -------------------------------------------------------------------------------------


def test_a_proxy_is_asked_with_the_whole_url_and_told_who_we_are(on: On) -> None:
    async def main() -> None:
        async with lab(on, proxy="http://user:word@10.0.0.2:8080") as lab_:
            heard = await lab_.script([SMALL, b"", SMALL], port=8080)
            for path in ("a", "b"):
                assert await (await lab_.client.get(f"http://{path}.example/x?y")).read() == b"ok"
            assert heard[0].startswith(b"GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\n")
            assert b"\r\nProxy-Authorization: Basic dXNlcjp3b3Jk\r\n" in heard[0]
            assert heard[1].startswith(b"GET http://b.example/x?y HTTP/1.1\r\nHost: b.example\r\n")
            assert lab_.opened == 1

    on.run(main)


def test_a_tunnel_leads_to_the_server_and_hides_what_goes_through(on: On) -> None:
    from netstack.http.client.proxy import Proxy

    async def main() -> None:
        async with lab(on, proxy=Proxy.parse("http://user:word@10.0.0.2:8080", tunnel=True)) as lab_:
            heard = await lab_.script(
                [b"HTTP/1.1 200 Connected\r\n\r\n", b"", SMALL, b"", SMALL], [b"HTTP/1.1 407 No\r\n\r\n"], port=8080
            )
            for _ in range(2):
                assert await (await lab_.client.get("http://a.example:81/x")).read() == b"ok"
            assert heard[0].startswith(b"CONNECT a.example:81 HTTP/1.1\r\nHost: a.example:81\r\nProxy-Authorization: Basic ")
            assert heard[1].startswith(b"GET /x HTTP/1.1\r\nHost: a.example:81\r\n")
            assert b"Proxy" not in heard[1] + heard[2]
            with pytest.raises(ProxyFailed) as caught:
                await lab_.client.get("http://b.example/")
            assert (caught.value.status, caught.value.phase) == (407, "proxy")

    on.run(main)


def test_a_change_of_protocol_gives_the_stream(on: On) -> None:
    async def main() -> None:
        async with lab(on) as lab_:
            switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly"
            heard = await lab_.script([switch, b"", b"late"])
            response = await lab_.client.request("GET", URL, headers={"connection": "upgrade", "upgrade": "echo"})
            assert response.status == 101
            stream = response.detach()
            assert await stream.receive() == b"early"
            await stream.send_all(b"mine")
            assert await stream.receive() == b"late"
            assert heard[1] == b"mine"
            await stream.aclose()
            assert lab_.client.connections == 0
            with pytest.raises(BadResponse, match="without being asked"):
                await lab_.client.get(URL)

    on.run(main)


def test_a_jar_keeps_cookies_for_who_set_them(on: On) -> None:
    async def handler(request: Request) -> Response:
        response = await echo(request)
        return Response(200, (*response.headers, ("set-cookie", "a=1; Path=/"), ("set-cookie", "b=2; Path=/deep")))

    async def main() -> None:
        async with lab(on, cookies=CookieJar(), hosts=3) as lab_:
            await lab_.serve(handler)
            await lab_.serve(echo, 81, lab_.world.hosts[2].net)
            first = await lab_.client.get(URL)
            assert "x-cookie" not in first.headers
            assert (await lab_.client.get(URL)).headers["x-cookie"] == "a=1"
            assert "x-cookie" not in (await lab_.client.get("http://c:81/")).headers

    on.run(main)


def test_a_watcher_sees_what_went_out_and_what_came(on: On) -> None:
    seen: list[str] = []

    class Notes(Watcher):
        def connecting(self, host: str, port: int) -> None:
            seen.append(f"connecting {host}:{port}")

        def sent(self, head: bytes) -> None:
            seen.append(head.decode().split("\r\n")[0])

        def heard(self, head: Any) -> None:
            seen.append(str(head.status))

        def reused(self, connection: Any) -> None:
            seen.append("reused")

    async def main() -> None:
        async with lab(on, watcher=Notes()) as lab_:
            await lab_.script([b"HTTP/1.1 103 x\r\n\r\n" + SMALL, b"", SMALL])
            await (await lab_.client.get(URL)).read()
            await (await lab_.client.get(URL)).read()
            assert seen == ["connecting 10.0.0.2:80", "GET / HTTP/1.1", "103", "200", "reused", "GET / HTTP/1.1", "200"]

    on.run(main)


@pytest.mark.parametrize(
    "url",
    [
        "example.com",
        "ftp://example.com/",
        "http://",
        "http:///x",
        "http://a b/",
        "http://a:99999/",
        "http://a:0/",
        "http://a/\r\nX:",
    ],
)
def test_what_is_no_url_is_said_before_anything_is_sent(on: On, url: str) -> None:
    async def main() -> None:
        async with lab(on) as lab_:
            with pytest.raises(UsageError):
                await lab_.client.get(url)

    on.run(main)


def test_limits_of_a_response_are_the_clients(on: On) -> None:
    async def main() -> None:
        async with lab(on, HttpClientConfig(limits=HttpClientLimits(header_section=256))) as lab_:
            await lab_.script([OK + b"A: " + b"x" * 300 + b"\r\n\r\n"])
            with pytest.raises(BadResponse, match="header section is too long"):
                await lab_.client.get(URL)

    on.run(main)


def test_the_page_names_what_there_is() -> None:
    page = (Path(__file__).parents[3] / "docs" / "http-client.md").read_text("utf-8")
    for name in re.findall(r"`(?:httpx\.\w+\(transport=)?([A-Z]\w+)[`(]", page):
        assert hasattr(netstack.http, name) or hasattr(errors, name) or name in ("CookieJar", "OSError", "AsyncClient"), name
    for name in re.findall(r"(\w+_timeout|connections\w*)=?", page):
        assert hasattr(HttpClientConfig(), name), name
