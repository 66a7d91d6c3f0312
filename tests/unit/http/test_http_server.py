"""The async face: handlers, bodies, errors and time-outs, played by scripted clients without any event loop."""

import asyncio
import http.client
import time
from collections.abc import AsyncIterator

import pytest
from http_world import WALL, KernelStack, ScriptedStream, ask, finish, play, serve

from netstack.errors import BrokenError, PeerReset, TimedOut, UsageError
from netstack.http.config import HttpConfig, HttpLimits
from netstack.http.serve.message import HttpError, Request, Response
from netstack.http.serve.server import HttpServer
from netstack.instant import MILLISECOND, SECOND, Duration, Instant

DATE = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def hello(request: Request) -> Response:
    return Response.text(f"{request.method} {request.path}\n")


async def echo(request: Request) -> Response:
    return Response(body=await request.body.read())


def test_a_get_is_answered_with_date_and_length() -> None:
    assert ask(hello, GET) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n" + DATE + b"Content-Length: 6\r\n\r\nGET /\n"
    )


def test_pipelined_requests_are_answered_in_order_on_one_connection() -> None:
    stack, server = serve(hello)
    stream = stack.client(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(50)), b"")
    assert [int(piece.split(b"\n")[0]) for piece in stream.sent.split(b"GET /")[1:]] == list(range(50))
    assert server.mib.Requests == server.mib.Responses == 50
    assert server.mib.Connections == 1


def test_head_gets_the_head_of_get_and_no_body() -> None:
    assert ask(hello, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").endswith(b"Content-Length: 7\r\n\r\n")


def test_a_body_arrives_in_pieces_and_goes_back_whole() -> None:
    assert ask(echo, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab", b"cd", b"ef").endswith(b"\r\n\r\nabcdef")
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert ask(echo, chunked, b"3\r\nabc\r", b"\n2\r\nde\r\n0\r\n", b"\r\n").endswith(b"\r\n\r\nabcde")


def test_a_generator_is_sent_in_chunks_and_to_http_1_0_until_the_end() -> None:
    async def handler(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            for piece in (b"ab", b"", b"cdefghijklmnopqrst"):
                yield piece

        return Response(body=pieces())

    sent = ask(handler, GET)
    assert b"Transfer-Encoding: chunked\r\n" in sent
    assert sent.endswith(b"\r\n\r\n2\r\nab\r\n12\r\ncdefghijklmnopqrst\r\n0\r\n\r\n")
    sent = ask(handler, b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert sent.endswith(b"Connection: close\r\n\r\nabcdefghijklmnopqrst")


def test_a_response_generator_is_closed_also_when_it_is_not_sent() -> None:
    closed = []

    async def handler(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                yield b"x"
                yield b"y"
            finally:
                closed.append(request.method)

        made = pieces()
        if request.method == "HEAD":
            await anext(made)
        return Response(body=made)

    ask(handler, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", GET)
    assert closed == ["HEAD", "GET"]
    stack, server = serve(handler)
    stream_error = PeerReset()

    async def broken(request: Request) -> Response:
        stream.break_sending = stream_error
        return await handler(request)

    stack, server = serve(broken)
    assert stack.handler is not None
    stream = ScriptedStream(stack.clock, [b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"])
    finish(stack.handler(stream))
    assert closed == ["HEAD", "GET", "HEAD"]
    assert server.mib.Broken == 1
    assert stream.aborted


def test_a_handler_that_raises_gives_500_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> Response:
        raise FileNotFoundError("secret")

    stack, server = serve(handler)
    sent = stack.client(GET, GET).sent
    assert sent.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert sent.count(b"HTTP/1.1") == 1
    assert b"secret" not in sent
    assert server.mib.HandlerErrors == 1
    assert "secret" in caplog.text


def test_a_handler_may_raise_the_status_it_means() -> None:
    async def handler(request: Request) -> Response:
        raise HttpError(405, "Only GET.", {"allow": "GET"})

    sent = ask(handler, GET, GET)
    assert sent.count(b"HTTP/1.1 405 Method Not Allowed\r\n") == sent.count(b"\r\nAllow: GET\r\n") == 2


def test_a_response_that_breaks_half_way_is_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"x" * 20000
            raise RuntimeError("disk on fire")

        return Response(body=pieces())

    stack, server = serve(handler)
    stream = stack.client(GET)
    assert stream.aborted
    assert not stream.sent.endswith(b"0\r\n\r\n")
    assert server.mib.HandlerErrors == 1


@pytest.mark.parametrize("length", ["4", "2"])
def test_a_body_of_another_length_than_announced_is_our_error(length: str, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"abc"

        return Response(headers={"content-length": length}, body=pieces())

    stack, server = serve(handler)
    stream = stack.client(GET)
    assert stream.aborted
    assert server.mib.HandlerErrors == 1


def test_a_header_that_would_split_the_response_gives_500(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> Response:
        return Response(headers={"location": "/\r\nSet-Cookie: a=b"})

    sent = ask(handler, GET)
    assert sent.startswith(b"HTTP/1.1 500 ")
    assert b"Set-Cookie" not in sent
    assert "UsageError" in caplog.text


def test_continue_is_sent_when_the_handler_asks_for_the_body() -> None:
    request = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    sent = ask(echo, request, 1 * SECOND, b"ok")
    assert sent.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    sent = ask(echo, request + b"ok")
    assert sent.startswith(b"HTTP/1.1 200 OK\r\n")  # the body had come: nobody waits


def test_a_final_answer_instead_of_continue_closes() -> None:
    stack, _ = serve(hello)
    stream = stack.client(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", b"ok" + GET)
    assert b"Connection: close\r\n" in stream.sent
    assert stream.sent.count(b"HTTP/1.1 ") == 1


def test_an_unread_body_is_dropped_and_the_connection_goes_on() -> None:
    body = b"x" * 100_000
    sent = ask(hello, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + body[:10], body[10:], GET)
    assert sent.count(b"HTTP/1.1 200 OK") == 2


def test_a_body_that_a_handler_kept_does_not_eat_the_next_request() -> None:
    kept = []

    async def handler(request: Request) -> Response:
        kept.append(request.body)
        return Response.text((await kept[0].read()).decode() if len(kept) > 1 else "")

    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    assert ask(handler, request, request).count(b"Content-Length: 0\r\n") == 2


def test_a_large_unread_body_ends_the_connection_after_a_little_reading() -> None:
    stack, server = serve(hello)
    stream = stack.client(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n", b"x" * 9_000_000)
    assert stream.sent.count(b"HTTP/1.1 200 OK") == 1
    assert stream.ended
    assert stream.received < 600_000
    assert server.mib.Lingered == 1


def test_a_broken_body_reaches_the_handler_and_the_client() -> None:
    seen = []

    async def handler(request: Request) -> Response:
        try:
            return Response(body=await request.body.read())
        except BrokenError as error:
            seen.append(str(error))
            raise

    stack, server = serve(handler)
    stream = stack.client(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\nabc\r\n", b"x" * 100)
    assert stream.sent.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert seen == ["A chunk is longer than its size."]
    assert (server.mib.Refused, server.mib.HandlerErrors) == (1, 0)
    assert stream.ended


def test_a_client_that_vanishes_in_its_body_is_no_error_of_the_handler() -> None:
    stack, server = serve(echo)
    stack.client(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", PeerReset())
    assert (server.mib.Broken, server.mib.HandlerErrors) == (1, 0)
    stream = stack.client(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", b"")
    assert stream.sent.startswith(b"HTTP/1.1 400 ")
    assert (server.mib.Truncated, server.mib.HandlerErrors) == (1, 0)


def test_a_body_beyond_what_the_handler_takes_is_413() -> None:
    async def handler(request: Request) -> Response:
        return Response(body=await request.body.read(limit=3))

    assert ask(handler, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd").startswith(b"HTTP/1.1 413 ")


def test_slow_loris_gets_408_when_its_time_is_up_however_it_trickles() -> None:
    stack, server = serve(hello)
    began = stack.clock.now
    drops = [item for _ in range(1000) for item in (b"X: y\r\n", 1 * SECOND)]
    stream = stack.client(b"GET / HTTP/1.1\r\nHost: a\r\n", *drops)
    assert stream.sent.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert stack.clock.now - began < 20 * SECOND
    assert server.mib.TimedOut == 1


def test_a_trickling_body_gets_408() -> None:
    stack, server = serve(echo)
    began = stack.clock.now
    drops = [item for _ in range(1000) for item in (b"x", 1 * SECOND)]
    stream = stack.client(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n", *drops)
    assert stream.sent.startswith(b"HTTP/1.1 408 ")
    assert stack.clock.now - began < 30 * SECOND
    assert server.mib.TimedOut == 1


def test_a_slow_handler_does_not_use_up_the_clients_time() -> None:
    async def handler(request: Request) -> Response:
        size = 0
        async for piece in request.body:
            size += len(piece)
            stack.clock.now += 60 * SECOND
        return Response.text(str(size))

    stack, _ = serve(handler)
    stream = stack.client(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", 1 * SECOND, b"def", 1 * SECOND, b"ghi")
    assert stream.sent.endswith(b"\r\n\r\n9")


def test_an_idle_connection_is_closed_without_a_word() -> None:
    stack, server = serve(hello)
    stream = stack.client(GET)
    assert stream.sent.count(b"HTTP/1.1") == 1
    assert not stream.aborted
    assert server.mib.Idle == 1


def test_a_stream_that_takes_nothing_is_aborted() -> None:
    stack, server = serve(hello)
    stream = ScriptedStream(stack.clock, [GET])
    stream.break_sending = TimedOut()
    play(stack, stream)
    assert stream.aborted
    assert server.mib.Broken == 1


def test_a_request_that_cannot_be_read_is_answered_then_read_on_for_a_little() -> None:
    stack, server = serve(hello, HttpConfig(limits=HttpLimits(body=10)))
    stream = stack.client(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n", b"x" * 5_000_000)
    assert stream.sent.startswith(b"HTTP/1.1 413 ")
    assert stream.ended
    assert stream.received < 600_000
    assert (server.mib.Refused, server.mib.Lingered) == (1, 1)


def test_requests_after_the_last_are_not_answered() -> None:
    stack, _ = serve(hello, HttpConfig(requests=2))
    stream = stack.client(GET * 5)
    assert stream.sent.count(b"HTTP/1.1 200") == 2
    assert stream.sent.count(b"Connection: close\r\n") == 1


def test_closing_lets_what_is_in_flight_end_and_says_that_it_is_the_last() -> None:
    async def handler(request: Request) -> Response:
        server._closing_at = Instant(stack.clock.now + 5 * SECOND)  # as if aclose ran meanwhile
        return Response.text("done")

    stack, server = serve(handler)
    stream = stack.client(GET, GET)
    assert stream.sent.count(b"HTTP/1.1 200") == 1
    assert b"Connection: close\r\n" in stream.sent


def test_a_closed_server_does_not_listen_again() -> None:
    _, server = serve(hello)
    finish(server.aclose())
    with pytest.raises(UsageError, match="make another"):
        finish(server.listen(81))


def test_the_date_is_formatted_once_a_second() -> None:
    stack, server = serve(hello)
    first = server._date_now()
    assert first == b"Sun, 06 Nov 1994 08:49:37 GMT"
    assert server._date_now() is first
    assert HttpServer(stack, hello, clock=stack.clock, wall=lambda: WALL + 1)._date_now() == b"Sun, 06 Nov 1994 08:49:38 GMT"
    assert WALL == 784111777


# -- on the kernel's sockets ---------------------------------------------------------------------------------------------------


def test_an_unchanged_client_on_kernel_sockets() -> None:
    async def main() -> None:
        server = HttpServer(KernelStack(), echo, clock=time.monotonic_ns, wall=lambda: int(time.time()))
        host, port = await server.listen(0)

        def client() -> None:
            connection = http.client.HTTPConnection(host, port, timeout=10)
            for size in (0, 1, 100_000):
                connection.request("POST", "/", body=bytes(size))
                assert connection.getresponse().read() == bytes(size)
            connection.close()

        await asyncio.to_thread(client)
        await server.aclose()

    asyncio.run(main())


def test_aclose_waits_for_flight_closes_the_idle_and_aborts_the_stubborn() -> None:
    async def main() -> None:
        release = asyncio.Event()
        arrived = asyncio.Event()

        async def handler(request: Request) -> Response:
            if request.path == "/quick":
                return Response.text("quick")
            arrived.set()
            await (release.wait() if request.path == "/slow" else asyncio.sleep(60))
            return Response.text("slow")

        async def sleep(duration: Duration) -> None:
            await asyncio.sleep(duration / SECOND)

        server = HttpServer(KernelStack(), handler, clock=time.monotonic_ns, sleep=sleep)
        host, port = await server.listen(0)
        idle_reader, idle_writer = await asyncio.open_connection(host, port)
        idle_writer.write(b"GET /quick HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await idle_reader.readuntil(b"quick")).startswith(b"HTTP/1.1 200")
        slow_reader, slow_writer = await asyncio.open_connection(host, port)
        slow_writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        await arrived.wait()
        arrived.clear()
        dead_reader, dead_writer = await asyncio.open_connection(host, port)
        dead_writer.write(b"GET /dead HTTP/1.1\r\nHost: a\r\n\r\n")
        await arrived.wait()
        assert len(server.connections()) == 3

        closing = asyncio.create_task(server.aclose(Duration(200 * MILLISECOND)))
        assert await idle_reader.read() == b""
        release.set()
        answer = await slow_reader.read()
        assert b"Connection: close\r\n" in answer
        assert answer.endswith(b"slow")
        await closing
        with pytest.raises(ConnectionError):
            await dead_reader.read() or (_ for _ in ()).throw(ConnectionResetError)
        for writer in (idle_writer, slow_writer, dead_writer):
            writer.close()

    asyncio.run(main())
