"""Looking names up over HTTPS (RFC 8484): whom it asks, over which HTTP, what it tells, and what becomes of what is none."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tls"))
from dns_desk import small_zone
from dns_world import MS, RUNTIMES, world
from tls_world import client_context, server_context

import netstack
from netstack.dns.client.errors import LookupTimedOut, NameNotFound, ServerFailure
from netstack.dns.client.resolver import Resolver
from netstack.dns.resolve.servers import server as read
from netstack.dns.serve.doh import DnsOverHttps
from netstack.errors import UsageError
from netstack.http.serve.message import Request, Response
from netstack.http.serve.server import HttpServer
from netstack.instant import Duration
from netstack.tls import Tls

runtimes = pytest.mark.parametrize("on", RUNTIMES, ids=lambda on: on.name)
URL = "https://server.example/dns-query#10.0.0.2"


def speaking(context: Any, *protocols: str) -> Any:
    context.set_alpn_protocols(protocols or ("h2", "http/1.1"))
    return context


class Served:
    """Our own server of the DNS behind our own of HTTPS; `requests` is what it was asked."""

    def __init__(self, net: Any, *protocols: str) -> None:
        self.dns = netstack.DnsServer(net, net, [small_zone()])
        self.requests: list[Request] = []
        self.bodies: list[bytes] = []
        self.http = HttpServer(Tls(net, server=speaking(server_context(), *protocols)), self._answer)
        self._doh = DnsOverHttps(self.dns)

    async def _answer(self, request: Request) -> Response:
        self.requests.append(request)
        return await self._doh(request)

    async def __aenter__(self) -> Served:
        await self.http.listen(443)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose(Duration(0))
        await self.dns.aclose(Duration(0))


@runtimes
@pytest.mark.parametrize(("said", "protocols", "version"), [
    (URL, (), (2, 0)),
    ("https://10.0.0.2", (), (2, 0)),
    (URL, ("http/1.1",), (1, 1)),
], ids=["by name", "by address", "over 1.1"])  # fmt: skip
def test_questions_share_a_connection_and_say_nothing_of_who_asks(on: Any, said: str, protocols: Any, version: Any) -> None:
    async def test(on: Any) -> None:
        async with world("client", "server", delay=5 * MS) as (client, server), Served(server, *protocols) as served:
            async with Resolver(client, client, [said], tls=speaking(client_context())) as resolver:
                assert (await resolver.resolve("www.example")).addresses == ["192.0.2.80", "192.0.2.81"]
                with pytest.raises(NameNotFound):
                    await resolver.resolve("nothing.example")
                await on.together(*[lambda n=n: _missing(resolver, f"n{n}.example") for n in range(20)])
            first = served.requests[0]
            assert served.http.mib.Http2 == (version == (2, 0))
            assert (first.method, first.target) == ("POST", "/dns-query")
            assert {name for name, _ in first.headers} == {"host", "content-type", "accept", "content-length"}
            assert len({request.length for request in served.requests}) == 1  # padded (RFC 8467)
            if version == (2, 0):
                assert served.http.mib.Connections == 1

    on.run(test)


async def _missing(resolver: Any, name: str) -> None:
    with pytest.raises(NameNotFound):
        await resolver.resolve(name)


@runtimes
@pytest.mark.parametrize(("answer", "why"), [
    (lambda: Response(404, {}, b""), "404"),
    (lambda: Response(200, {"content-type": "text/html"}, b"<p>log in first"), "text/html"),
    (lambda: Response(200, {"content-type": "application/dns-message"}, b"short"), "too short"),
    (lambda: Response(302, {"location": "https://10.0.0.2/elsewhere"}, b""), "302"),
    (lambda: Response(200, {"content-type": "application/dns-message"}, bytes(70000)), "more than 65535"),
], ids=["404", "html", "short", "redirect", "long"])  # fmt: skip
def test_what_is_no_answer_is_a_server_that_fails(on: Any, answer: Any, why: str) -> None:
    async def test(on: Any) -> None:
        async def say(request: Request) -> Response:
            return answer()

        async with world("client", "server", delay=5 * MS) as (client, server):
            http = HttpServer(Tls(server, server=speaking(server_context())), say)
            await http.listen(443)
            async with Resolver(client, client, [URL], tls=speaking(client_context())) as resolver:
                with pytest.raises(ServerFailure, match=why):
                    await resolver.resolve("www.example")
            await http.aclose(Duration(0))

    on.run(test)


@runtimes
def test_an_answer_to_something_else_is_none_and_a_silent_server_is_left_in_time(on: Any) -> None:
    async def test(on: Any) -> None:
        async def echo(request: Request) -> Response:
            if request.path == "/silent":
                await on.sleep(100)
            return Response(200, {"content-type": "application/dns-message"}, await request.body.read())

        async with world("client", "server", delay=5 * MS) as (client, server):
            http = HttpServer(Tls(server, server=speaking(server_context())), echo)
            await http.listen(443)
            context = speaking(client_context())
            async with Resolver(client, client, ["https://10.0.0.2/echo"], tls=context) as resolver:
                with pytest.raises(ServerFailure):
                    await resolver.resolve("www.example")
            async with Resolver(client, client, ["https://10.0.0.2/silent"], tls=context) as resolver:
                with pytest.raises((LookupTimedOut, ServerFailure)):
                    await resolver.resolve("www.example", timeout=30)
            await http.aclose(Duration(0))

    on.run(test)


@runtimes
def test_a_connection_that_was_kept_too_long_is_made_anew(on: Any) -> None:
    async def test(on: Any) -> None:
        async with (
            world("client", "server", delay=5 * MS) as (client, server),
            Resolver(client, client, [URL], tls=speaking(client_context())) as resolver,
        ):
            for name in ("www.example", "ns.example"):
                async with Served(server):
                    assert (await resolver.resolve(name)).addresses
            with pytest.raises(ServerFailure):
                await resolver.resolve("mail.example")

    on.run(test)


@runtimes
def test_a_server_that_shows_another_name_gets_no_question(on: Any) -> None:
    async def test(on: Any) -> None:
        async with world("client", "server", delay=5 * MS) as (client, server), Served(server) as served:
            async with Resolver(client, client, ["https://other.example/dns-query#10.0.0.2"], tls=client_context()) as resolver:
                with pytest.raises(ServerFailure, match="certificate"):
                    await resolver.resolve("www.example")
            assert served.requests == []

    on.run(test)


@pytest.mark.parametrize(("said", "address", "port", "tls", "url"), [
    ("https://10.0.0.1", "10.0.0.1", 443, "10.0.0.1", "https://10.0.0.1/dns-query"),
    ("https://10.0.0.1/", "10.0.0.1", 443, "10.0.0.1", "https://10.0.0.1/dns-query"),
    ("https://10.0.0.1:8443/q?x", "10.0.0.1", 8443, "10.0.0.1", "https://10.0.0.1:8443/q?x"),
    ("https://dns.example/q#10.0.0.1", "10.0.0.1", 443, "dns.example", "https://dns.example/q"),
    ("https://dns.example:444#[2001:db8::1]", "2001:db8::1", 444, "dns.example", "https://dns.example:444/dns-query"),
    ("https://[2001:db8::1]/q", "2001:db8::1", 443, "2001:db8::1", "https://[2001:db8::1]/q"),
])  # fmt: skip
def test_a_server_is_written_as_a_url_with_its_address(said: str, address: str, port: int, tls: str, url: str) -> None:
    found = read(said)
    assert (found.address, found.port, found.tls, found.url, found.stream_only) == (address, port, tls, url, True)


@pytest.mark.parametrize(("said", "why"), [
    ("https://dns.example/dns-query", "say its address behind the URL"),
    ("https:///q", "not the URL"),
    ("https://me@10.0.0.1/q", "not the URL"),
    ("https://10.0.0.1/a b", "not the URL"),
    ("https://10.0.0.1:0/", "not a port"),
    ("https://dns.example/q#name", "not an address"),
])  # fmt: skip
def test_what_can_not_be_reached_is_said_at_once(said: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read(said)
