"""The client's side of a connection without I/O: what goes out, byte for byte, and how responses are read; h11 and http.client say
what they make of the same bytes."""

import http.client
import io
import re
from typing import Any

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netstack.errors import UsageError
from netstack.http.config import HttpClientConfig, HttpClientLimits
from netstack.http.events import Body, Closed, End, Fault, Heard, Interim, ReplyHead
from netstack.http.h1.clientconnection import ClientConnection
from netstack.http.h1.clientstate import REQUEST, RESPONSE, Move, They, We
from netstack.instant import MILLISECOND, SECOND, Duration, Instant

NOW = Instant(1000 * SECOND)
HOST = ((b"host", b"a"),)
OK = b"HTTP/1.1 200 OK\r\n"


def asked(method: str = "GET", **settings: Any) -> ClientConnection:
    """A connection whose request is complete."""
    conn = ClientConnection(HttpClientConfig(**settings))
    conn.start(method, "/", HOST, 0, NOW)
    conn.finish(NOW)
    return conn


def heard(data: bytes, method: str = "GET", end: bool = False, **settings: Any) -> list[Heard]:
    conn = asked(method, **settings)
    events = conn.receive_data(data, NOW) if data else []
    return events + (conn.receive_data(b"", NOW) if end else [])


def body(events: list[Heard]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Body))


def reply(events: list[Heard]) -> ReplyHead:
    return next(event for event in events if isinstance(event, ReplyHead))


# -- what goes out ------------------------------------------------------------------------


def test_a_get_has_no_body_and_says_nothing_of_one() -> None:
    conn = ClientConnection(HttpClientConfig())
    assert conn.start("GET", "/a?b", (*HOST, (b"user-agent", b"x")), 0, NOW) + conn.finish(NOW) == (
        b"GET /a?b HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\n\r\n"
    )


def test_a_post_says_how_long_its_body_is_also_when_that_is_nothing() -> None:
    conn = ClientConnection(HttpClientConfig())
    assert conn.start("POST", "/", HOST, 3, NOW) == b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
    assert conn.body(b"abc") + conn.finish(NOW) == b"abc"
    assert b"Content-Length: 0\r\n" in ClientConnection(HttpClientConfig()).start("POST", "/", HOST, 0, NOW)


def test_a_body_of_unknown_length_goes_in_chunks_with_trailers() -> None:
    conn = ClientConnection(HttpClientConfig())
    assert b"\r\nTransfer-Encoding: chunked\r\n\r\n" in conn.start("PUT", "/", HOST, None, NOW)
    assert conn.body(b"hello") == b"5\r\nhello\r\n"
    assert conn.finish(NOW, ((b"sum", b"1"),)) == b"0\r\nSum: 1\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "target", "fields", "length"),
    [
        ("GE T", "/", (), 0),
        ("GET\r\nA: b", "/", (), 0),
        ("", "/", (), 0),
        ("GET", "/ HTTP/1.1\r\nHost: b", (), 0),
        ("GET", "/ä", (), 0),
        ("GET", "", (), 0),
        ("GET", "/", ((b"a", b"b\r\nc: d"),), 0),
        ("GET", "/", ((b"a b", b"c"),), 0),
        ("POST", "/", ((b"content-length", b"4"),), 3),
        ("POST", "/", ((b"content-length", b"4"), (b"content-length", b"4")), 4),
        ("POST", "/", ((b"content-length", b"+4"),), None),
        ("POST", "/", ((b"transfer-encoding", b"chunked"),), 3),
        ("POST", "/", ((b"transfer-encoding", b"gzip"),), None),
    ],
)
def test_what_would_be_read_as_something_else_is_not_sent(method: str, target: str, fields: Any, length: int | None) -> None:
    with pytest.raises(UsageError):
        ClientConnection(HttpClientConfig()).start(method, target, fields, length, NOW)


def test_a_body_must_have_the_length_that_was_announced() -> None:
    conn = ClientConnection(HttpClientConfig())
    conn.start("POST", "/", HOST, 3, NOW)
    with pytest.raises(UsageError, match="beyond"):
        conn.body(b"abcd")
    conn.body(b"ab")
    with pytest.raises(UsageError, match="1 bytes before"):
        conn.finish(NOW)


# -- expectations ------------------------------------------------------------------------


def expecting() -> ClientConnection:
    conn = ClientConnection(HttpClientConfig())
    assert conn.start("PUT", "/", HOST, 5, NOW, expect=True).endswith(b"\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert conn.held
    return conn


def test_the_body_waits_for_a_100_and_no_other_interim_response() -> None:
    conn = expecting()
    with pytest.raises(UsageError):
        conn.body(b"abcde")
    assert conn.receive_data(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", NOW) == [Interim(103, ((b"link", b"x"),))]
    assert conn.held
    assert conn.receive_data(b"HTTP/1.1 100 Continue\r\n\r\n", NOW) == [Interim(100)]
    assert not conn.held
    assert conn.body(b"abcde") + conn.finish(NOW) == b"abcde"


def test_the_body_goes_when_no_100_comes_within_a_second() -> None:
    conn = expecting()
    deadline = conn.next_deadline(NOW)
    assert deadline == NOW + SECOND
    assert conn.handle_timeout(Instant(deadline - 1)) == []
    assert conn.held
    assert conn.handle_timeout(deadline) == []
    assert not conn.held
    assert conn.next_deadline(deadline) is None  # while we send, nothing is due
    conn.body(b"abcde")


def test_a_final_response_instead_of_a_100_saves_the_body_and_ends_the_connection() -> None:
    conn = expecting()
    assert body(conn.receive_data(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno", NOW)) == b"no"
    assert not conn.held
    assert not conn.reusable
    with pytest.raises(UsageError):
        conn.body(b"abcde")


def test_nothing_is_expected_where_there_is_no_body() -> None:
    assert b"Expect" not in ClientConnection(HttpClientConfig()).start("GET", "/", HOST, 0, NOW, expect=True)


# -- responses ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "data", "end", "expected", "reusable"),
    [
        ("GET", OK + b"Content-Length: 3\r\n\r\nabc", False, b"abc", True),
        ("GET", OK + b"Content-Length: 0\r\n\r\n", False, b"", True),
        ("GET", OK + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n", False, b"abc", True),
        ("GET", OK + b"\r\nabc", True, b"abc", False),
        ("GET", OK + b"Connection: close\r\nContent-Length: 3\r\n\r\nabc", False, b"abc", False),
        ("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", False, b"abc", False),
        ("GET", b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc", False, b"abc", True),
        ("GET", b"HTTP/1.1 204\r\n\r\n", False, b"", True),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", False, b"", True),
        ("HEAD", OK + b"Content-Length: 9\r\n\r\n", False, b"", True),
        ("HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n", False, b"", True),
        ("GET", b"HTTP/1.1 102 x\r\n\r\n" * 3 + OK + b"Content-Length: 1\r\n\r\na", False, b"a", True),
        # RFC 9110 6.4.1: it has no body, and what comes is nothing that was asked for
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc", False, b"", False),
        ("GET", OK + b"Content-Length: 1\r\n\r\nab", False, b"a", False),
    ],
)
def test_where_a_body_ends_and_whether_another_request_may_follow(
    method: str, data: bytes, end: bool, expected: bytes, reusable: bool
) -> None:
    conn = asked(method)
    events = conn.receive_data(data, NOW) + (conn.receive_data(b"", NOW) if end else [])
    assert body(events) == expected
    assert any(isinstance(event, End) for event in events)
    assert conn.reusable is reusable


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (OK + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "more than one Content-Length"),
        (OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "more than one Content-Length"),
        (OK + b"Content-Length: 3, 3\r\n\r\nabc", "not a number"),
        (OK + b"Content-Length: +3\r\n\r\nabc", "not a number"),
        (OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "contradict|both"),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "only transfer coding"),
        (OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "only transfer coding|contradict"),
        (OK + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "only transfer coding|contradict"),
        (b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.0 has no"),
        (OK + b"A: b\r\n c\r\n\r\n", "folded"),
        (OK + b"A : b\r\n\r\n", "before the colon"),
        (OK + b"A: b\nB: c\r\n\r\n", "without CR"),
        (OK + b"A: b\rB: c\r\n\r\n", "control characters"),
        (OK + b"A: b\0\r\n\r\n", "control characters"),
        (b"HTTP/1.1 200 OK\n", "without CR"),
        (b"HTTP/2 200\r\n\r\n", "not HTTP/1"),
        (b"<html>", "not HTTP/1"),
        (b"HTTP/1.1 99 x\r\n\r\n", "status line"),
        (b"HTTP/1.1 2000 x\r\n\r\n", "status line"),
        (b"HTTP/1.1  200 x\r\n\r\n", "status line"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", "hexadecimal"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", "longer than its size"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA b\r\n\r\n", "header line"),
        (b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "without being asked"),
    ],
)
def test_a_response_that_others_read_otherwise_is_refused(data: bytes, reason: str) -> None:
    events = heard(data)
    assert isinstance(events[-1], Fault)
    assert re.search(reason, events[-1].reason), events[-1].reason
    cut = asked()
    got = [event for at in range(len(data)) for event in cut.receive_data(data[at : at + 1], NOW)]
    assert got[-1] == events[-1]


def test_whatever_a_server_may_make_grow_has_a_bound() -> None:
    limits = HttpClientLimits(status_line=64, header_section=256, header_count=3, interim=2, body=10)

    def last(data: bytes) -> Any:
        event = heard(data, limits=limits)[-1]
        return event.reason if isinstance(event, Fault) else event

    assert last(b"HTTP/1.1 200 " + b"x" * 64) == "The status line is too long."
    assert last(OK + b"A: " + b"x" * 300) == "The header section is too long."
    assert last(OK + b"A: b\r\n" * 4 + b"\r\n") == "There are too many header fields."
    assert last(b"HTTP/1.1 102 x\r\n\r\n" * 3) == "There are too many interim responses."
    assert last(OK + b"Content-Length: 11\r\n\r\n") == "The body is too large."
    assert last(OK + b"Transfer-Encoding: chunked\r\n\r\nb\r\n") == "The body is too large."


def test_an_end_of_the_stream_in_the_midst_is_told_from_one_before_the_beginning() -> None:
    assert heard(b"", end=True) == [Fault("The server closed the connection without an answer.", True, unanswered=True)]
    assert heard(b"HTTP/1.1 2", end=True)[-1] == Fault("The stream ended in the header section.", True)
    assert heard(OK + b"Content-Length: 3\r\n\r\nab", end=True)[-1] == Fault("The stream ended in the body.", True)
    assert heard(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", end=True)[-1] == Fault(
        "The stream ended in the body.", True
    )
    assert heard(OK + b"\r\nabc", end=True)[-2:] == [End(), Closed()]


def test_a_server_that_speaks_unasked_is_not_believed_later() -> None:
    conn = asked()
    conn.receive_data(OK + b"Content-Length: 0\r\n\r\n", NOW)
    conn.next_request()
    assert conn.receive_data(OK + b"Content-Length: 6\r\n\r\npoison", NOW)[-1] == Fault(
        "The server spoke without being asked.", unanswered=True
    )
    with pytest.raises(UsageError):
        conn.start("GET", "/", HOST, 0, NOW)


def test_a_response_before_the_end_of_the_request_ends_the_connection() -> None:
    conn = ClientConnection(HttpClientConfig())
    conn.start("POST", "/", HOST, 10, NOW)
    conn.body(b"12345")
    conn.receive_data(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", NOW)
    assert not conn.reusable
    conn.body(b"12345")
    conn.finish(NOW)
    assert conn.reusable  # it has everything after all


def test_what_follows_a_change_of_protocol_is_handed_over() -> None:
    conn = ClientConnection(HttpClientConfig())
    conn.start("GET", "/", (*HOST, (b"connection", b"upgrade"), (b"upgrade", b"x")), 0, NOW)
    conn.finish(NOW)
    events = conn.receive_data(b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nrest", NOW)
    assert reply(events).switched
    assert conn.release() == b"rest"
    conn = asked("CONNECT")
    assert reply(conn.receive_data(OK + b"Content-Length: 5\r\n\r\nrest", NOW)).switched
    assert conn.release() == b"rest"
    assert not reply(heard(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n", "CONNECT")).switched


# -- time ------------------------------------------------------------------------


def test_the_head_of_a_response_has_one_deadline_however_it_trickles() -> None:
    conn = asked(first_byte_timeout=Duration(2 * SECOND))
    conn.receive_data(b"HTTP/1.1 200", Instant(NOW + SECOND))
    assert conn.next_deadline(Instant(NOW + SECOND)) == NOW + 2 * SECOND
    assert conn.handle_timeout(Instant(NOW + 2 * SECOND)) == [Fault("No answer came in time.", late="first byte")]


def test_a_body_must_bring_something_in_each_wait() -> None:
    conn = asked(read_timeout=Duration(100 * MILLISECOND))
    conn.receive_data(OK + b"Content-Length: 9\r\n\r\na", NOW)
    late = Instant(NOW + 50 * SECOND)  # the caller's own time
    assert conn.next_deadline(late) == late + 100 * MILLISECOND
    assert conn.handle_timeout(late, Duration(99 * MILLISECOND)) == []
    assert conn.handle_timeout(late, Duration(100 * MILLISECOND)) == [Fault("The body stopped.", late="read")]


def test_the_tables_of_states_know_every_state() -> None:
    assert set(REQUEST) == set(We)
    assert set(RESPONSE) == set(They)
    assert {after for steps in REQUEST.values() for after in steps.values()} == set(We)
    assert {after for steps in RESPONSE.values() for after in steps.values()} == set(They)
    assert {move for steps in REQUEST.values() for move in steps} | {move for steps in RESPONSE.values() for move in steps} == set(Move)


# -- oracles ------------------------------------------------------------------------


def by_h11(data: bytes, method: str) -> tuple[int, bytes] | None:
    """Status and body as h11 has it, or None where it refuses or wants more."""
    conn = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    conn.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    conn.send(h11.EndOfMessage())
    status, pieces = 0, []
    try:
        conn.receive_data(data)
        conn.receive_data(b"")
        while True:
            event = conn.next_event()
            if isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return status, b"".join(pieces)
            elif event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                return None
    except h11.ProtocolError:
        return None


class _Socket:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self.data)


def by_stdlib(data: bytes, method: str) -> tuple[int, bytes] | None:
    response = http.client.HTTPResponse(_Socket(data), method=method)  # type: ignore[arg-type]
    try:
        response.begin()
        return response.status, response.read()
    except (http.client.HTTPException, ValueError, OSError):
        return None
    finally:
        response.close()


def by_us(data: bytes, method: str) -> tuple[int, bytes] | None:
    events = heard(data, method, end=True)
    if any(isinstance(event, Fault) for event in events) or not any(isinstance(event, End) for event in events):
        return None
    return reply(events).status, body(events)


STATUS = st.sampled_from(
    [b"200 OK", b"204 No", b"304 No", b"404 x", b"100 Continue", b"200", b"101 x", b"99 x", b"200\tOK", b"500  x"]
)
FIELD = st.sampled_from(
    [
        b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: 5, 5", b"content-length:5", b"Content-Length: 05",
        b"Content-Length : 5", b"Content-Length: 5 ", b"Content-Length: -5", b"Content-Length: 0x5", b"Content-Length: ",
        b"Transfer-Encoding: chunked", b"Transfer-Encoding: Chunked", b"Transfer-Encoding: chunked, chunked",
        b"Transfer-Encoding: identity", b"Transfer-Encoding: gzip", b"Transfer-Encoding:\x0bchunked", b"X: \x00", b"X: a\rb", b" folded",
        b"Connection: close", b"Connection: keep-alive", b"A: \xff", b"", b"no colon", b": empty",
    ]
)  # fmt: skip
CONTENT = st.sampled_from(
    [
        b"", b"hello", b"hello!", b"5\r\nhello\r\n0\r\n\r\n", b"5\nhello\n0\n\n", b"5;a=b\r\nhello\r\n0\r\nT: u\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b"+5\r\nhello\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n",
        b"00000000000000000005\r\nhello\r\n0\r\n\r\n", b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", b"fffffffffffffffff\r\nhello",
    ]
)  # fmt: skip
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n"])


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    parts = [
        draw(st.sampled_from([b"HTTP/1.1 ", b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/1.2 ", b"http/1.1 ", b"HTTP/1.1"])),
        draw(STATUS),
    ]
    parts.append(draw(ENDS))
    for field in draw(st.lists(FIELD, max_size=3)):
        parts += (field, draw(ENDS))
    return b"".join([*parts, draw(ENDS), draw(CONTENT)])


@settings(max_examples=400, deadline=None)
@given(responses(), st.sampled_from(["GET", "HEAD", "POST"]))
@example(OK + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nabc", "GET")
@example(OK + b"Content-Length: 5\r\n\r\nhello", "GET")
def test_no_response_is_read_by_us_that_both_others_refuse_or_read_otherwise(data: bytes, method: str) -> None:
    ours = by_us(data, method)
    if ours is None:
        return
    others = [by_h11(data, method), by_stdlib(data, method)]
    assert ours in others, (ours, others)
    assert others[0] in (ours, None), others  # h11 is as strict as we are: it never reads another one


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.binary(max_size=40), max_size=5),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(["x-a", "x-b"]), st.text("abc \t1", max_size=8).map(str.strip)), max_size=3),
    st.integers(200, 599).filter(lambda status: status not in (204, 304)),
    st.data(),
)
def test_what_h11_says_is_read_as_it_was_meant_however_it_is_cut(
    pieces: list[bytes], chunked: bool, fields: list[tuple[str, str]], status: int, data: st.DataObject
) -> None:
    server = h11.Connection(h11.SERVER)
    server.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    server.next_event()
    server.next_event()
    framing = [("Transfer-Encoding", "chunked")] if chunked else [("Content-Length", str(sum(map(len, pieces))))]
    wire = server.send(h11.Response(status_code=status, headers=[*fields, *framing], reason=b"ok")) or b""
    for piece in pieces:
        wire += server.send(h11.Data(data=piece)) or b""
    wire += server.send(h11.EndOfMessage(headers=[("sum", "1")] if chunked else [])) or b""
    conn = asked()
    events: list[Heard] = []
    at = 0
    while at < len(wire):
        size = data.draw(st.integers(1, 30))
        events += conn.receive_data(wire[at : at + size], NOW)
        at += size
    assert reply(events).status == status
    assert reply(events).fields[: len(fields)] == tuple((name.encode(), value.encode()) for name, value in fields)
    assert body(events) == b"".join(pieces)
    assert events[-1] == End(((b"sum", b"1"),) if chunked else ())
    assert conn.reusable


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=30), max_size=4),
    st.booleans(),
    st.sampled_from(["GET", "POST", "PUT", "BREW"]),
    st.lists(st.tuples(st.sampled_from([b"x-a", b"x-b"]), st.binary(max_size=8)), max_size=3),
)
def test_what_we_ask_h11_reads_as_it_was_meant(
    pieces: list[bytes], sized: bool, method: str, fields: list[tuple[bytes, bytes]]
) -> None:
    conn = ClientConnection(HttpClientConfig())
    length = sum(map(len, pieces)) if sized else None
    try:
        wire = conn.start(method, "/x?y", (*HOST, *fields), length, NOW)
    except UsageError:
        assert any(byte < 32 or byte == 127 for _, value in fields for byte in value)
        return
    wire += b"".join(map(conn.body, pieces)) + conn.finish(NOW)
    server = h11.Connection(h11.SERVER)
    server.receive_data(wire)
    request = server.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method, request.target) == (method.encode(), b"/x?y")
    assert [(bytes(n), bytes(v)) for n, v in request.headers][1 : 1 + len(fields)] == [(n, v.strip(b" \t")) for n, v in fields]
    got = b""
    while not isinstance(event := server.next_event(), h11.EndOfMessage):
        assert isinstance(event, h11.Data)
        got += bytes(event.data)
    assert got == b"".join(pieces)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), responses()), max_size=4), st.sampled_from(["GET", "HEAD", "CONNECT"]))
def test_any_bytes_are_read_without_an_exception(pieces: list[bytes], method: str) -> None:
    conn = asked(method)
    events = [event for piece in [*filter(None, pieces), b""] for event in conn.receive_data(piece, NOW)]
    assert len([event for event in events if isinstance(event, Fault)]) <= 1
