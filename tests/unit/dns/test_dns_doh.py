"""DNS over HTTPS: what of HTTP leads to an answer, what is refused, and for how long it may be kept."""

import asyncio
import base64
import logging
from typing import Any

import pytest
from dns_desk import N, opt, option, query, small_zone

import netstack
from netstack.dns.edns import Edns
from netstack.dns.message import decode
from netstack.dns.numbers import Option
from netstack.dns.serve.config import DnsConfig
from netstack.dns.serve.doh import DnsOverHttps
from netstack.dns.serve.handlers import Answer
from netstack.http.serve.message import Request, Response
from netstack.http.serve.server import HttpServer
from netstack.instant import MILLISECOND, Duration
from netstack.testing.net import World

TYPE = "Content-Type: application/dns-message"


def visit(visitor: Any, *, handler: Any = None, otherwise: Any = None, config: DnsConfig | None = None) -> None:
    async def main() -> None:
        world = World(seed=7)
        server, client = world.host("server"), world.host("client")
        async with netstack.open_world(world):
            dns = netstack.DnsServer(server.net, server.net, [small_zone()], handler=handler, config=config or DnsConfig())
            http = HttpServer(server.net, DnsOverHttps(dns, otherwise=otherwise))
            await http.listen(443)

            async def ask(method: str, path: str, *fields: str, body: bytes = b"") -> tuple[int, str, bytes]:
                stream = await client.net.connect_stream(str(server.address.address), 443)
                lines = [f"{method} {path} HTTP/1.1", "Host: a", "Connection: close", *fields]
                lines += [f"Content-Length: {len(body)}"] if method == "POST" else []
                await stream.send_all("\r\n".join([*lines, "\r\n"]).encode() + body)
                said = b""
                while piece := await stream.receive():
                    said += piece
                await stream.aclose()
                head, _, rest = said.partition(b"\r\n\r\n")
                return int(head.split()[1]), head.decode() + "\r\n", rest

            await visitor(ask)
            await http.aclose(Duration(0))
            await dns.aclose(Duration(0))

    netstack.run_virtual(main())


def get(wire: bytes) -> str:
    return "/dns-query?dns=" + base64.urlsafe_b64encode(wire).decode().rstrip("=")


def test_get_and_post_give_the_same_answer_and_how_long_it_holds() -> None:
    async def visitor(ask: Any) -> None:
        wire = query("www.example.", id=0)
        status, head, body = await ask("GET", get(wire))
        assert status == 200
        assert TYPE + "\r\n" in head
        assert "Cache-Control: max-age=60\r\n" in head
        assert {record.rdata for record in decode(body).answer} == {b"\xc0\0\2\x50", b"\xc0\0\2\x51"}
        assert sorted((await ask("POST", "/dns-query", TYPE, body=wire))[2]) == sorted(body)
        status, head, body = await ask("HEAD", get(wire))
        assert (status, body) == (200, b"")
        status, head, body = await ask("GET", get(query("nothing.example.")))
        assert (status, decode(body).rcode) == (200, 3)
        assert "Cache-Control: max-age=300\r\n" in head  # the SOA's minimum, not its TTL
        status, head, body = await ask("GET", get(query("www.elsewhere.")))
        assert (status, decode(body).rcode) == (200, 5)
        assert "Cache-Control: no-store\r\n" in head

    visit(visitor)


def test_what_is_no_query_is_an_error_of_http() -> None:
    async def visitor(ask: Any) -> None:
        wire = query("www.example.")
        for status, method, path, fields, body in (
            (404, "GET", "/", (), b""),
            (404, "GET", "/dns-query/?dns=AAAA", (), b""),
            (400, "GET", "/dns-query", (), b""),
            (400, "GET", "/dns-query?dns=", (), b""),
            (400, "GET", "/dns-query?dns=%3F%3F", (), b""),
            (400, "GET", "/dns-query?dns=AAAAA", (), b""),
            (400, "GET", get(wire) + "&dns=AAAA", (), b""),
            (400, "GET", "/dns-query?" + "&".join(["a=b"] * 99), (), b""),
            (400, "GET", get(wire[:11]), (), b""),
            (400, "GET", get(wire[:2] + b"\x80" + wire[3:]), (), b""),  # an answer is no query
            (405, "PUT", "/dns-query", (), b""),
            (415, "POST", "/dns-query", (), wire),
            (415, "POST", "/dns-query", ("Content-Type: text/plain",), wire),
            (400, "POST", "/dns-query", (TYPE,), b""),
            (413, "POST", "/dns-query", (TYPE,), bytes(65536)),
            (501, "POST", "/dns-query", (TYPE,), query("example.", 252)),
        ):
            said = await ask(method, path, *fields, body=body)
            if status == 501:  # nobody may transfer here: one answer says so
                assert (said[0], decode(said[2]).rcode) == (200, 5)
            else:
                assert said[0] == status, (path, said)
        assert (await ask("POST", "/dns-query", TYPE + ";x=y", body=wire))[0] == 200

    visit(visitor)


def test_who_pads_gets_padding() -> None:
    async def visitor(ask: Any) -> None:
        wire = query("www.example.", edns=opt(options=option(Option.PADDING, bytes(20))))
        body = (await ask("POST", "/dns-query", TYPE, body=wire))[2]
        assert len(body) == 468  # RFC 8467 4.1
        edns = decode(body).edns
        assert isinstance(edns, Edns)
        assert edns.option(Option.PADDING) is not None
        assert len((await ask("POST", "/dns-query", TYPE, body=query("www.example.", edns=opt())))[2]) < 468

    visit(visitor)


def test_answers_that_come_later_come_and_those_that_never_do_are_errors(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(question: Any, client: Any) -> Any:
        assert client.encrypted
        if question.name == N("slow.test."):
            await asyncio.sleep(0.1)
            return Answer.of(question, 5, "192.0.2.9")
        await asyncio.sleep(1000)
        raise AssertionError("it is cancelled before")

    async def visitor(ask: Any) -> None:
        status, _, body = await ask("GET", get(query("slow.test.")))
        assert (status, decode(body).answer[0].rdata) == (200, b"\xc0\0\2\x09")
        status, head, body = await ask("GET", get(query("never.test.")))
        assert (status, decode(body).rcode) == (200, 2)
        assert "no-store" in head

    with caplog.at_level(logging.CRITICAL):
        visit(visitor, handler=handler, config=DnsConfig(pending_timeout=Duration(500 * MILLISECOND)))


def test_the_rest_of_the_site_is_somebody_elses() -> None:
    async def site(request: Request) -> Response:
        return Response.text("home")

    async def visitor(ask: Any) -> None:
        assert (await ask("GET", "/"))[2] == b"home"

    visit(visitor, otherwise=site)
