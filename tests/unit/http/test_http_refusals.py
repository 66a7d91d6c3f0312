"""What can't be taken: each refusal has its status and one line in the log, and says nothing of what is behind the server."""

import logging
import re
from contextlib import suppress

import pytest
from http_world import ScriptedStack, ScriptedStream, finish, play, serve

from netstack.http.config import HttpConfig, HttpLimits
from netstack.http.serve.accesslog import Entry, combined
from netstack.http.serve.message import Request, Response
from netstack.http.serve.server import HttpServer
from netstack.instant import SECOND

LIMITS = HttpLimits(request_line=100, header_section=400, header_count=5, body=1000, drain=64)
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
HOUR = 3600 * SECOND
REFUSALS = {
    "bytes that are no HTTP": ([b"\x16\x03\x01\x02\x00\x01"], 400),
    "no request line": ([b"hello\r\n"], 400),
    "no Host": ([b"GET / HTTP/1.1\r\n\r\n"], 400),
    "two lengths": ([POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx"], 400),
    "a length and a coding": ([POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx"], 400),
    "a bare line feed": ([b"GET / HTTP/1.1\nHost: a\n\n"], 400),
    "a folded line": ([b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"], 400),
    "a size that is none": ([CHUNKED + b"z\r\n"], 400),
    "a bad trailer": ([CHUNKED + b"0\r\nA : b\r\n\r\n"], 400),
    "a body that is too large": ([POST + b"Content-Length: 1001\r\n\r\n"], 413),
    "chunks that are too large": ([CHUNKED + b"3ff\r\n" + b"x" * 0x3FF], 413),
    "a long request line": ([b"GET /" + b"a" * 200], 414),
    "another expectation": ([POST + b"Expect: pie\r\nContent-Length: 1\r\n\r\n"], 417),
    "long header fields": ([b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 500], 431),
    "many header fields": ([b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 9 + b"\r\n"], 431),
    "CONNECT": ([b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"], 501),
    "another coding": ([POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n"], 501),
    "another version": ([b"GET / HTTP/3.0\r\n\r\n"], 505),
    "a request line that never ends": ([b"GET /", HOUR], 408),
    "header fields that never end": ([b"GET / HTTP/1.1\r\nHost", HOUR], 408),
    "header fields a byte at a time": ([b"GET / HTTP/1.1\r\n", *[b"X", SECOND] * 40], 408),
    "a body that never comes": ([POST + b"Content-Length: 9\r\n\r\n", HOUR], 408),
    "a body a byte at a time": ([POST + b"Content-Length: 900\r\n\r\n", *[b"x", SECOND] * 80], 408),
    "a chunk that never ends": ([CHUNKED + b"5\r\nab", HOUR], 408),
    "trailers that never end": ([CHUNKED + b"0\r\nA", HOUR], 408),
    "an end in the fields": ([b"GET / HTTP/1.1\r\nHost", b""], 400),
    "an end in the body": ([POST + b"Content-Length: 9\r\n\r\nx", b""], 400),
}


async def reads(request: Request) -> Response:
    return Response.text(str(len(await request.body.read())))


def play_out(script: list[bytes | int]) -> tuple[ScriptedStream, HttpServer[ScriptedStack], list[Entry]]:
    entries: list[Entry] = []
    stack, server = serve(reads, HttpConfig(limits=LIMITS))
    server._access = entries.append
    server._environment = server._prepare()
    stream = ScriptedStream(stack.clock, [*script, HOUR])
    play(stack, stream)
    return stream, server, entries


@pytest.mark.parametrize("name", REFUSALS)
def test_each_refusal_has_its_status_and_one_line(name: str, caplog: pytest.LogCaptureFixture) -> None:
    script, status = REFUSALS[name]
    with caplog.at_level(logging.INFO, "netstack.http"):
        stream, server, entries = play_out(script)
    head, _, body = stream.sent.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), stream.sent
    assert b"\r\nConnection: close" in head
    assert not re.search(rb"Server:|Python|netstack|Traceback|File ", stream.sent)
    assert len(body) == int(re.search(rb"Content-Length: (\d+)", head)[1])  # type: ignore[index]  # it has one
    (record,) = caplog.records
    assert re.fullmatch(rf"refused 192\.0\.2\.2:50000: {status} [A-Z][^\r\n]*\.", record.getMessage())
    mib = server.mib
    assert mib.Refused + mib.TimedOut + mib.Truncated == 1
    assert [entry.status for entry in entries] == [status]
    assert f" {status} " in combined(entries[0], 0.0)
    assert not server._sessions


def test_a_refusal_that_no_application_reads_is_counted_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    async def answers_at_once(request: Request) -> Response:
        return Response.text("ok")

    for script in ([CHUNKED + b"z\r\n"], [CHUNKED, b"z\r\n"]):
        caplog.clear()
        with caplog.at_level(logging.INFO, "netstack.http"):
            stack, server = serve(answers_at_once)
            stream = stack.client(*script, HOUR)
        assert stream.sent.startswith(b"HTTP/1.1 200 ")
        assert server.mib.Refused == len(caplog.records) == 1


def test_what_an_application_answers_after_a_refusal_is_counted_once(caplog: pytest.LogCaptureFixture) -> None:
    async def answers_anyway(request: Request) -> Response:
        with suppress(OSError):
            await request.body.read()
        return Response.text("never mind")

    with caplog.at_level(logging.INFO, "netstack.http"):
        stack, server = serve(answers_anyway)
        stream = stack.client(CHUNKED, b"z\r\n", HOUR)
    assert stream.sent.startswith(b"HTTP/1.1 200 ")
    assert server.mib.Refused == len(caplog.records) == 1


def test_a_client_that_only_connects_is_no_refusal(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "netstack.http"):
        stream, server, entries = play_out([HOUR])
    assert (stream.sent, entries, caplog.records, server.mib.Idle) == (b"", [], [], 1)
    finish(server.aclose())
