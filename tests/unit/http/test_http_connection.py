"""The connection: turns, framing of responses, deadlines, and the printed state machine."""

from typing import Any

import pytest
from http_world import connection

from netstack.errors import UsageError
from netstack.http.config import HttpConfig, HttpLimits
from netstack.http.events import Body, Closed, End, Interim, Refusal, RequestHead, ResponseHead
from netstack.http.h1 import state
from netstack.http.h1.connection import ServerConnection
from netstack.instant import SECOND, Instant

T0 = Instant(0)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def asked(data: bytes = GET, **settings: Any) -> ServerConnection:
    conn = connection(**settings)
    conn.receive_data(data, T0)
    return conn


def at(second: float) -> Instant:
    return Instant(round(second * SECOND))


# -- responses -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_line", "head", "body", "sent"),
    [
        (b"GET / HTTP/1.1", ResponseHead(200, (), 2), b"ok", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        (b"GET / HTTP/1.1", ResponseHead(200, (), 0), b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        (b"GET / HTTP/1.1", ResponseHead(200), b"ok", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        (b"GET / HTTP/1.0", ResponseHead(200), b"ok", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok"),
        (b"GET / HTTP/1.0", ResponseHead(200, (), 1), b"k", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nk"),
        (b"HEAD / HTTP/1.1", ResponseHead(200, (), 2), b"ok", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
        (b"HEAD / HTTP/1.1", ResponseHead(200, ((b"content-length", b"9"),)), b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        (b"HEAD / HTTP/1.1", ResponseHead(200, (), 0), b"", b"HTTP/1.1 200 OK\r\n\r\n"),
        (b"GET / HTTP/1.1", ResponseHead(204, (), 2), b"no", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET / HTTP/1.1", ResponseHead(304, ((b"ETAG", b'"x"'),), 0), b"", b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'),
        (b"GET / HTTP/1.1", ResponseHead(299, (), 0), b"", b"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n"),
        (
            b"GET / HTTP/1.1",
            ResponseHead(200, ((b"connection", b"Close"), (b"x", b"\xe9\ta")), 0),
            b"",
            b"HTTP/1.1 200 OK\r\nX: \xe9\ta\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ),
    ],
)
def test_responses_are_framed_as_the_request_allows(request_line: bytes, head: ResponseHead, body: bytes, sent: bytes) -> None:
    assert asked(request_line + b"\r\nHost: a\r\n\r\n").respond(head, body) == sent


def test_a_client_of_1_0_is_told_that_the_connection_stays() -> None:
    conn = asked(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert conn.respond(ResponseHead(200, (), 0), b"") == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"
    assert conn.reusable


def test_date_is_added_unless_the_response_has_one() -> None:
    assert b"\r\nDate: D\r\n" in asked().respond(ResponseHead(200, (), 0), b"", b"D")
    sent = asked().respond(ResponseHead(200, ((b"date", b"X"),), 0), b"", b"D")
    assert sent.count(b"Date: ") == 1
    assert b"Date: X\r\n" in sent


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (((b"x", b"a\r\nb: c"),), "line break"),
        (((b"x", b"a\nb"),), "line break"),
        (((b"x", b"a\rb"),), "line break"),
        (((b"x", b"a\0b"),), "control"),
        (((b"x y", b"a"),), "name"),
        (((b"x:", b"a"),), "name"),
        (((b"x\r\ny", b"a"),), "name"),
        (((b"x\n", b"a"),), "name"),
        (((b"", b"a"),), "name"),
        (((b"\xe9", b"a"),), "name"),
        (((b"transfer-encoding", b"gzip"),), "Transfer-Encoding"),
        (((b"Connection", b"upgrade"),), "Connection"),
        (((b"content-length", b"3"),), "Content-Length"),
        (((b"content-length", b"2"), (b"content-length", b"2")), "twice"),
        (((b"content-length", b"+2"),), "number"),
    ],
)
def test_fields_that_would_break_the_response_are_usage_errors(fields: tuple[tuple[str, str], ...], said: str) -> None:
    conn = asked()
    with pytest.raises(UsageError, match=said):
        conn.send(ResponseHead(200, fields, 2))
    assert conn.respond(ResponseHead(500, (), 0), b"")  # nothing has gone: another response may


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 1000, -1])
def test_a_final_status_has_three_digits_from_200(status: int) -> None:
    with pytest.raises(UsageError):
        asked().send(ResponseHead(status, (), 0))


def test_an_empty_piece_is_no_last_chunk() -> None:
    conn = asked()
    conn.send(ResponseHead(200))
    assert conn.send(Body(b"")) == b""
    assert conn.send(Body(b"0123456789abcdef")) == b"10\r\n0123456789abcdef\r\n"
    assert conn.send(End()) == b"0\r\n\r\n"


def test_a_body_must_have_the_length_that_was_announced() -> None:
    conn = asked()
    conn.send(ResponseHead(200, (), 3))
    assert conn.send(Body(b"ab")) == b"ab"
    with pytest.raises(UsageError, match="1 bytes beyond"):
        conn.send(Body(b"cd"))
    with pytest.raises(UsageError, match="1 bytes before"):
        conn.send(End())


def test_steps_out_of_turn_are_usage_errors() -> None:
    conn = connection()
    for event in (ResponseHead(200), Body(b"x"), End(), Interim()):
        with pytest.raises(UsageError):
            conn.send(event)
    with pytest.raises(UsageError):
        conn.next_request(T0)
    conn.receive_data(GET, T0)
    conn.respond(ResponseHead(200, (), 0), b"")
    for event in (ResponseHead(200), Body(b"x"), End(), Interim()):
        with pytest.raises(UsageError):
            conn.send(event)
    conn = asked()
    for status in (101, 200, 99):
        with pytest.raises(UsageError):
            conn.send(Interim(status))


def test_interim_responses_go_before_the_real_one_and_never_to_1_0() -> None:
    conn = asked()
    assert conn.send(Interim(103)) == b"HTTP/1.1 103 Early Hints\r\n\r\n"
    assert conn.respond(ResponseHead(200, (), 0), b"")
    assert asked(b"GET / HTTP/1.0\r\n\r\n").send(Interim(103)) == b""


def test_the_hundred_is_owed_until_the_body_begins() -> None:
    request = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    conn = asked(request)
    assert conn.owes_continue
    assert conn.send(Interim()) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert not conn.owes_continue
    conn.receive_data(b"ok", T0)
    conn.respond(ResponseHead(200, (), 0), b"")
    assert conn.reusable
    assert not asked(request + b"o").owes_continue
    conn = asked(request)
    assert b"Connection: close" in conn.respond(ResponseHead(200, (), 0), b"")
    assert not conn.draining


# -- turns ---------------------------------------------------------------------------------------------------------------------


def test_pipelined_requests_come_one_by_one() -> None:
    conn = connection()
    events = conn.receive_data(GET * 3 + GET[:9], T0)
    for _ in range(3):
        assert [type(event) for event in events] == [RequestHead, End]
        assert not conn.wants_data
        conn.respond(ResponseHead(200, (), 0), b"")
        events = conn.next_request(T0)
    assert events == []
    assert [type(event) for event in conn.receive_data(GET[9:], T0)] == [RequestHead, End]


def test_what_is_pipelined_has_a_bound() -> None:
    conn = asked(limits=HttpLimits(pipeline=1000))
    conn.receive_data(b"x" * 900, T0)
    with pytest.raises(UsageError, match="answer it"):
        conn.receive_data(b"x" * 101, T0)


def test_an_early_response_drops_a_small_rest_of_the_body_and_closes_for_a_large_one() -> None:
    limits = HttpLimits(drain=10)
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    conn = asked(head % 10, limits=limits)
    conn.respond(ResponseHead(200, (), 0), b"")
    assert conn.draining
    assert conn.receive_data(b"0123456789" + GET, T0) == []
    assert conn.reusable
    assert len(conn.next_request(T0)) == 2

    conn = asked(head % 11, limits=limits)
    conn.respond(ResponseHead(200, (), 0), b"")
    assert not conn.draining
    assert conn.unread

    conn = asked(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", limits=limits)
    conn.respond(ResponseHead(200, (), 0), b"")
    conn.receive_data(b"a\r\n0123456789\r\n", T0)
    assert conn.draining
    conn.receive_data(b"1\r\nx\r\n", T0)
    assert not conn.draining


def test_the_last_request_of_a_connection_is_told_so() -> None:
    conn = asked(GET * 2, requests=2)
    assert b"close" not in conn.respond(ResponseHead(200, (), 0), b"")
    conn.next_request(T0)
    assert b"Connection: close" in conn.respond(ResponseHead(200, (), 0), b"")
    assert not conn.reusable
    conn = asked()
    conn.last()
    assert b"Connection: close" in conn.respond(ResponseHead(200, (), 0), b"")


def test_an_end_of_stream_after_requests_lets_them_be_answered() -> None:
    conn = connection()
    conn.receive_data(GET * 2, T0)
    assert conn.receive_data(b"", T0) == []
    conn.respond(ResponseHead(200, (), 0), b"")
    assert len(conn.next_request(T0)) == 2
    conn.respond(ResponseHead(200, (), 0), b"")
    assert conn.next_request(T0) == [Closed()]


def test_a_refusal_after_the_response_began_says_nothing() -> None:
    conn = asked(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    conn.send(ResponseHead(200))
    (refusal,) = conn.receive_data(b"zz\r\n", T0)
    assert isinstance(refusal, Refusal)
    assert conn.refuse(refusal) == b""


# -- time ----------------------------------------------------------------------------------------------------------------------


def test_a_header_section_has_a_deadline_that_no_byte_moves() -> None:
    conn = connection(header_timeout=15 * SECOND)
    for second in range(15):
        assert conn.next_deadline(at(second)) == at(15)
        conn.receive_data(b"G", at(second))
    assert conn.handle_timeout(at(14.9)) == []
    (refusal,) = conn.handle_timeout(at(15))
    assert refusal == Refusal(408, "The header section took too long.")
    assert conn.refuse(refusal).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_a_connection_that_never_says_anything_is_closed_without_a_word() -> None:
    conn = connection()
    assert conn.handle_timeout(at(60)) == [Closed()]


def test_between_requests_the_idle_time_runs_and_the_first_byte_ends_it() -> None:
    conn = asked(idle_timeout=60 * SECOND, header_timeout=15 * SECOND)
    conn.respond(ResponseHead(200, (), 0), b"")
    conn.next_request(at(100))
    assert conn.next_deadline(at(100)) == at(160)
    conn.receive_data(b"G", at(150))
    assert conn.next_deadline(at(150)) == at(165)
    conn.receive_data(b"E", at(164))
    assert conn.next_deadline(at(164)) == at(165)
    conn = asked(idle_timeout=60 * SECOND)
    conn.respond(ResponseHead(200, (), 0), b"")
    conn.next_request(T0)
    assert conn.handle_timeout(at(60)) == [Closed()]


def test_a_body_must_make_progress_while_we_wait_for_it() -> None:
    conn = asked(
        b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n", body_timeout=20 * SECOND, body_progress=100
    )
    assert conn.next_deadline(at(0)) == at(20)
    conn.receive_data(b"x" * 99, at(15))  # too little: five seconds are left, whenever the next wait begins
    assert conn.next_deadline(at(1000)) == at(1005)
    conn.receive_data(b"x", at(1001))
    assert conn.next_deadline(at(2000)) == at(2020)
    assert conn.handle_timeout(at(2020)) == [Refusal(408, "The body came too slowly.")]


def test_nobody_waits_for_the_client_while_it_waits_for_us() -> None:
    conn = asked()
    assert conn.next_deadline(at(5)) is None
    assert conn.handle_timeout(at(5000)) == []


# -- the machine ---------------------------------------------------------------------------------------------------------------


def test_the_tables_hold_every_state_and_lead_to_it() -> None:
    for table, states in ((state.REQUEST, state.Client), (state.RESPONSE, state.Server)):
        assert list(table) == list(states)
        reached = {after for steps in table.values() for after in steps.values()}
        assert reached == set(states)
        for steps in table.values():
            assert steps[state.Step.CLOSE].name == "CLOSED"
    text = state.describe()
    assert "  IDLE    HEAD -> BODY, EOF -> CLOSED, REFUSE -> BROKEN, CLOSE -> CLOSED\n" in text
    assert text.count("\n") == len(state.Client) + len(state.Server) + 1


def test_limits_are_checked_where_they_are_set() -> None:
    for wrong in ({"request_line": 1}, {"body": -1}, {"header_count": 0}, {"chunk_line": 3}):
        with pytest.raises(ValueError):
            HttpLimits(**wrong)
    with pytest.raises(ValueError):
        HttpConfig(requests=0)
