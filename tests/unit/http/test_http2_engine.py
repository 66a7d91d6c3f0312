"""The engine: streams, bodies, windows, ends and deadlines; frames are literal, so that no encoder of ours is its own judge."""

import pytest
from http2_world import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GET,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    POST,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Side,
    block,
    frame,
    request,
    setting,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from netstack.errors import UsageError
from netstack.http.config import HttpLimits
from netstack.http.events import Body, Closed, End, Interim, Refusal, RequestHead, ResponseHead
from netstack.http.h2 import words as hw
from netstack.instant import SECOND, Duration, Instant


def word(side: Side, *data: bytes) -> hw.Word:
    heard = side.hear(*data)
    assert len(heard) == 1, heard
    return heard[0][1]


def test_a_request_is_a_head_and_an_end() -> None:
    head = RequestHead("GET", "/", (2, 0), ((b"host", b"a"), (b"x", b"1")), 0, True, False)
    assert Side().hear(request(1, (*GET, (b"x", b"1")))) == [(1, head), (1, End())]


def test_bytes_may_be_cut_anywhere() -> None:
    data = PREFACE + frame(SETTINGS) + request(1, POST, end=False) + frame(DATA, 0, 1, b"abc") + frame(DATA, END_STREAM, 1, b"d")
    whole = Side(greeted=False).hear(data)
    assert [type(w) for _, w in whole] == [RequestHead, Body, Body, End]
    side = Side(greeted=False)
    assert [heard for i in range(len(data)) for heard in side.hear(data[i : i + 1])] == whole


def test_a_body_has_trailers_and_no_length() -> None:
    side = Side()
    heard = side.hear(request(1, POST, end=False), frame(DATA, 0, 1, b"ab"))
    assert isinstance(heard[0][1], RequestHead)
    assert heard[0][1].length is None
    assert word(side, frame(HEADERS, END_HEADERS | END_STREAM, 1, block([(b"x-sum", b"7")]))) == End(((b"x-sum", b"7"),))


def test_padding_is_no_body_and_is_given_back() -> None:
    side = Side()
    side.hear(request(1, POST, end=False))
    assert word(side, frame(DATA, PADDED, 1, b"\x03ab\0\0\0")) == Body(b"ab")


@pytest.mark.parametrize("frames", [
    [frame(DATA, END_STREAM, 1, b"abc")],
    [frame(DATA, 0, 1, b"ab"), frame(DATA, 0, 1, b"abc")],
    [frame(DATA, 0, 1, b"ab"), frame(DATA, END_STREAM, 1)],
    [frame(DATA, 0, 1, b"ab"), frame(HEADERS, END_HEADERS | END_STREAM, 1, block([(b"a", b"b")]))],
], ids=["short", "long", "short by an empty frame", "short by trailers"])  # fmt: skip
def test_a_body_of_another_length_than_announced_ends_its_stream_alone(frames: list[bytes]) -> None:
    side = Side()
    side.hear(request(1, (*POST, (b"content-length", b"4")), end=False), request(3))
    heard = side.hear(*frames)
    assert isinstance(heard[-1][1], hw.Reset)
    assert heard[-1][1].code == hw.PROTOCOL_ERROR
    assert not side.engine.finished
    side.respond(3)
    assert any(kind == DATA and stream == 3 for kind, _, stream, _ in side.frames())


def test_head_and_body_are_two_frames_with_the_end_on_the_second() -> None:
    side = Side()
    side.hear(request(1))
    side.engine.start(1, 200, ((b"Content-Type", b"text/plain"), (b"Connection", b"close")), 2, b"today")
    side.engine.body(1, b"ok")
    side.engine.finish(1)
    head, data = side.frames()
    assert [tuple(pair) for pair in side.decoder.decode(head[3], raw=True)] == [
        (b":status", b"200"), (b"content-type", b"text/plain"), (b"date", b"today"), (b"content-length", b"2"),
    ]  # fmt: skip
    assert data == (DATA, END_STREAM, 1, b"ok")
    side.engine.release(1)
    assert side.engine.idle


@pytest.mark.parametrize("method, status", [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
def test_what_has_no_body_ends_with_its_head(method: bytes, status: int) -> None:
    side = Side()
    side.hear(request(1, ((b":method", method), *GET[1:])))
    side.engine.start(1, status, ((b"content-length", b"5"),), None, b"", last=True)
    ((kind, flags, _, payload),) = side.frames()
    assert (kind, flags) == (HEADERS, END_HEADERS | END_STREAM)
    assert ((b"content-length", b"5") in side.decoder.decode(payload, raw=True)) == (status != 204)


def test_interim_responses_precede_and_trailers_follow() -> None:
    side = Side()
    side.hear(request(1))
    side.engine.interim(1, 103, ((b"link", b"</a>"),))
    side.engine.start(1, 200, (), None, b"")
    side.engine.body(1, b"x")
    side.engine.finish(1, ((b"X-Sum", b"7"),))
    kinds = [(kind, flags) for kind, flags, _, _ in side.frames()]
    assert kinds == [(HEADERS, END_HEADERS), (HEADERS, END_HEADERS), (DATA, 0), (HEADERS, END_HEADERS | END_STREAM)]


def test_steps_out_of_turn_are_usage_errors() -> None:
    engine = Side().engine
    with pytest.raises(UsageError):
        engine.body(1, b"")
    side = Side()
    side.hear(request(1))
    for step in (lambda: side.engine.body(1, b"x"), lambda: side.engine.finish(1), lambda: side.engine.interim(1, 200)):
        with pytest.raises(UsageError):
            step()
    side.engine.start(1, 200, (), 3, b"")
    for step in (
        lambda: side.engine.body(1, b"long"), lambda: side.engine.finish(1), lambda: side.engine.start(1, 200, (), 3, b""),
        lambda: side.engine.interim(1, 103),
    ):  # fmt: skip
        with pytest.raises(UsageError):
            step()


# -- windows ---------------------------------------------------------------------------------------------------------------


def test_a_stream_that_nobody_reads_stops_and_the_others_go_on() -> None:
    side = Side({"connection_window": 1 << 20, "window_growth": 0})
    side.hear(request(1, POST, end=False), request(3, POST, end=False))
    piece = bytes(16384)
    side.hear(*[frame(DATA, 0, 1, piece)] * 3, frame(DATA, 0, 1, bytes(16383)))  # its window is full
    for _ in range(200):  # three windows of the connection
        side.hear(frame(DATA, 0, 3, piece))
        side.engine.consumed(3, len(piece), side.now)
        granted = [stream for kind, _, stream, _ in side.frames() if kind == WINDOW_UPDATE]
        assert 1 not in granted
    assert not side.engine.finished
    side.engine.consumed(1, 65535, side.now)
    assert (WINDOW_UPDATE, 0, 1, (65535).to_bytes(4, "big")) in side.frames()


def test_data_beyond_the_window_ends_the_connection() -> None:
    side = Side()
    side.hear(request(1, POST, end=False))
    side.hear(*[frame(DATA, 0, 1, bytes(16384))] * 4)
    assert side.code() == hw.FLOW_CONTROL_ERROR


def test_a_body_waits_for_the_window_and_is_sent_as_it_opens() -> None:
    side = Side()
    side.hear(frame(SETTINGS, 0, 0, setting(4, 3)), request(1))
    side.engine.start(1, 200, (), None, b"")
    assert side.engine.body(1, b"abcdefgh") == 8
    side.engine.finish(1)
    assert side.frames()[-1] == (DATA, 0, 1, b"abc")
    assert side.engine.queued(1) == 5
    side.hear(frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\x01"))
    assert side.frames() == [(DATA, 0, 1, b"d")]
    side.hear(frame(SETTINGS, 0, 0, setting(4, 100)))
    assert side.frames()[-1] == (DATA, END_STREAM, 1, b"efgh")


def test_the_connections_window_holds_all_streams_and_they_take_turns() -> None:
    side = Side()
    side.hear(frame(SETTINGS, 0, 0, setting(4, 1 << 20)), request(1), request(3))
    for stream in (1, 3):
        side.engine.start(stream, 200, (), None, b"")
        side.engine.body(stream, bytes(200_000))
    order = [stream for kind, _, stream, _ in side.frames() if kind == DATA]
    assert order == [1, 3, 1, 3]
    assert side.engine.queued(1) + side.engine.queued(3) == 400_000 - 65535
    side.hear(frame(WINDOW_UPDATE, 0, 0, (1 << 20).to_bytes(4, "big")))
    side.frames()
    assert side.engine.queued(1) + side.engine.queued(3) == 0


def test_a_batch_is_no_more_than_its_bound_and_a_frame() -> None:
    side = Side({"send_batch": 32768})
    side.hear(frame(SETTINGS, 0, 0, setting(4, 1 << 20)), frame(WINDOW_UPDATE, 0, 0, (1 << 20).to_bytes(4, "big")), request(1))
    side.frames()
    side.engine.start(1, 200, (), None, b"")
    side.engine.body(1, bytes(500_000))
    assert len(side.engine.data_to_send(side.now)) < 32768 + 16384 + 200


def test_small_pieces_leave_in_one_frame_and_views_are_sent_as_they_are() -> None:
    side = Side()
    side.hear(request(1))
    side.engine.start(1, 200, (), None, b"")
    for piece in (b"ab", b"", memoryview(b"cd"), bytes(20000)):
        side.engine.body(1, piece)
    side.engine.finish(1)
    frames = side.frames()[1:]
    assert [len(payload) for *_, payload in frames] == [16384, 3620]
    assert frames[0][3][:5] == b"abcd\0"


def test_a_window_that_overflows_ends_its_stream() -> None:
    side = Side()
    side.hear(request(1))
    heard = side.hear(frame(WINDOW_UPDATE, 0, 1, (2**31 - 1).to_bytes(4, "big")))
    assert [type(w) for _, w in heard] == [hw.Reset]
    assert side.reset_code() == hw.FLOW_CONTROL_ERROR
    assert not side.engine.finished


def test_the_connections_window_that_overflows_ends_it() -> None:
    side = Side()
    side.hear(frame(WINDOW_UPDATE, 0, 0, (2**31 - 1).to_bytes(4, "big")))
    assert side.code() == hw.FLOW_CONTROL_ERROR


# -- ends --------------------------------------------------------------------------------------------------------------------


def test_a_response_that_ends_first_tells_the_client_to_stop() -> None:
    """RFC 9113 8.1."""
    side = Side()
    side.hear(request(1, POST, end=False))
    side.respond(1)
    assert [kind for kind, *_ in side.frames()] == [HEADERS, DATA, RST_STREAM]
    side.engine.release(1)
    assert side.engine.idle


def test_a_reset_by_the_client_is_heard_once_and_ends_the_stream() -> None:
    side = Side()
    side.hear(request(1))
    reset = word(side, frame(RST_STREAM, 0, 1, (8).to_bytes(4, "big")))
    assert reset == hw.Reset(hw.CANCEL, "The peer reset the stream.", True)
    assert side.hear(frame(RST_STREAM, 0, 1, (8).to_bytes(4, "big"))) == []
    side.engine.release(1)
    assert side.engine.idle


def test_a_stream_counts_until_it_is_released() -> None:
    side = Side({"concurrent_streams": 2})
    for stream in (1, 3):
        side.hear(request(stream), frame(RST_STREAM, 0, stream, bytes(4)))
    side.frames()
    assert side.hear(request(5)) == []
    assert side.reset_code(5) == hw.REFUSED_STREAM
    side.engine.release(1)
    assert [type(w) for _, w in side.hear(request(7))] == [RequestHead, End]


def test_a_graceful_end_has_two_steps_and_loses_no_request() -> None:
    side = Side()
    side.hear(request(1))
    side.engine.shutdown(side.now)
    goaway, ping = side.frames()
    assert goaway == (GOAWAY, 0, 0, b"\x7f\xff\xff\xff\0\0\0\0")
    assert ping[0] == PING
    assert len(side.hear(request(3))) == 2  # it was on its way
    side.hear(frame(PING, ACK, 0, ping[3]))
    assert side.frames() == [(GOAWAY, 0, 0, b"\0\0\0\x03\0\0\0\0")]
    assert side.hear(request(5)) == []  # and this one was too late
    assert side.reset_code(5) == hw.REFUSED_STREAM
    for stream in (1, 3):
        assert not side.engine.finished
        side.respond(stream)
        side.frames()
        side.engine.release(stream)
    assert side.engine.finished


def test_the_second_step_does_not_wait_for_ever() -> None:
    side = Side()
    side.engine.shutdown(side.now)
    side.frames()
    side.wait(1)
    assert side.frames() == [(GOAWAY, 0, 0, bytes(8))]
    assert side.engine.finished


def test_the_peers_goaway_is_told_and_the_streams_go_on() -> None:
    side = Side()
    side.hear(request(1))
    assert word(side, frame(GOAWAY, 0, 0, bytes(8))) == hw.GoingAway(0, 0)
    side.respond(1)
    assert [kind for kind, *_ in side.frames()] == [HEADERS, DATA]


def test_after_so_many_requests_the_connection_ends_gracefully() -> None:
    side = Side({"requests": 2})
    side.hear(request(1), request(3))
    assert side.frames()[0][3] == b"\x7f\xff\xff\xff\0\0\0\0"


# -- time ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data, seconds, code", [
    (b"P", 15, hw.PROTOCOL_ERROR),
    (PREFACE, 15, hw.PROTOCOL_ERROR),
    (PREFACE + frame(SETTINGS), 10, hw.SETTINGS_TIMEOUT),
    (PREFACE + frame(SETTINGS) + frame(SETTINGS, ACK) + frame(HEADERS, 0, 1, b"\x82"), 15, hw.PROTOCOL_ERROR),
    (PREFACE + frame(SETTINGS) + frame(SETTINGS, ACK) + request(1)[:-1], 15, hw.PROTOCOL_ERROR),
    (PREFACE + frame(SETTINGS) + frame(SETTINGS, ACK), 60, hw.NO_ERROR),
], ids=["nothing", "no SETTINGS", "no acknowledgement", "half a block", "half a frame", "no request"])  # fmt: skip
def test_each_phase_has_its_time(data: bytes, seconds: int, code: int) -> None:
    side = Side({"settings_timeout": (20 if code == hw.PROTOCOL_ERROR else 10) * SECOND}, greeted=False)
    side.hear(data)
    assert side.engine.next_deadline(side.now) == side.now + seconds * SECOND
    assert side.wait(seconds - 0.001) == []
    assert len(side.wait(0.001)) == 1
    assert side.code() == code


def test_pings_keep_no_idle_connection_alive() -> None:
    side = Side()
    for _ in range(59):
        side.wait(1)
        side.hear(frame(PING, 0, 0, bytes(8)))
    assert side.wait(1) == [(0, Closed())]


def test_a_connection_idles_from_its_last_response() -> None:
    side = Side()
    side.wait(50)
    side.hear(request(1))
    side.respond(1)
    side.frames()
    side.engine.release(1)
    assert side.engine.next_deadline(side.now) == side.now + 60 * SECOND
    assert side.wait(59) == []
    assert side.wait(1) == [(0, Closed())]


def test_a_body_that_somebody_waits_for_must_make_progress() -> None:
    side = Side(body_timeout=Duration(20 * SECOND), body_progress=100)
    side.hear(request(1, POST, end=False))
    for _ in range(9):  # slow POST: a byte every two seconds
        side.engine.awaits(1, side.now)
        assert side.wait(2) == []
        side.hear(frame(DATA, 0, 1, b"x"))
    side.wait(1000)  # nobody waits: our time, not the client's
    side.engine.awaits(1, side.now)
    assert side.wait(1.9) == []
    assert side.wait(0.1) == [(1, Refusal(408, "The body came too slowly."))]


def test_a_body_that_trickles_is_refused_when_the_next_byte_comes() -> None:
    """Who receives may have gone to sleep before anybody waited, for as long as a whole body may take: no deadline wakes him."""
    side = Side(body_timeout=Duration(20 * SECOND), body_progress=100)
    side.hear(request(1, POST, end=False))
    for _ in range(19):
        side.engine.awaits(1, side.now)
        side.now = Instant(side.now + SECOND)
        assert side.hear(frame(DATA, 0, 1, b"x")) == [(1, Body(b"x"))]
    side.engine.awaits(1, side.now)
    side.now = Instant(side.now + SECOND)
    assert side.hear(frame(DATA, 0, 1, b"x")) == [(1, Refusal(408, "The body came too slowly."))]
    assert side.hear(frame(DATA, 0, 1, b"x")) == []


def test_a_window_that_stays_shut_ends_the_stream() -> None:
    side = Side()
    side.hear(frame(SETTINGS, 0, 0, setting(4, 0)), request(1))
    side.respond(1)
    side.frames()
    assert side.engine.next_deadline(side.now) <= side.now + 30 * SECOND
    assert side.wait(29.999) == []
    assert [type(w) for _, w in side.wait(0.001)] == [hw.Reset]
    assert side.reset_code() == hw.CANCEL


def test_a_window_that_opens_by_a_byte_now_and_then_ends_the_stream_too() -> None:
    side = Side()
    side.hear(frame(SETTINGS, 0, 0, setting(4, 0)), request(1))
    side.respond(1, bytes(5000))
    side.frames()
    for _ in range(29):
        assert side.wait(1) == []
        side.hear(frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\x01"))
        assert [payload for *_, payload in side.frames()] == [b"\0"]
    ((stream, reset),) = side.wait(1)
    assert isinstance(reset, hw.Reset)
    assert (stream, reset.code, reset.remote) == (1, hw.CANCEL, False)
    assert side.reset_code() == hw.CANCEL


# -- a client ------------------------------------------------------------------------------------------------------------------


def test_a_client_asks_and_hears() -> None:
    side = Side(client=True)
    stream = side.engine.request("POST", "https", "a", "/x", ((b"Host", b"a"), (b"X", b"1")), now=side.now)
    side.engine.body(stream, b"abc")
    side.engine.finish(stream)
    head, data = side.frames()
    assert [tuple(pair) for pair in side.decoder.decode(head[3], raw=True)] == [
        (b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"a"), (b":path", b"/x"), (b"x", b"1"),
    ]  # fmt: skip
    assert data == (DATA, END_STREAM, 1, b"abc")
    heard = side.hear(
        frame(HEADERS, END_HEADERS, 1, block([(b":status", b"103"), (b"link", b"x")])),
        frame(HEADERS, END_HEADERS, 1, block([(b":status", b"200"), (b"content-length", b"2")])),
        frame(DATA, END_STREAM, 1, b"ok"),
    )
    assert [w for _, w in heard] == [
        Interim(103, ((b"link", b"x"),)), ResponseHead(200, ((b"content-length", b"2"),), 2), Body(b"ok"), End(),
    ]  # fmt: skip
    side.engine.release(stream)
    assert side.engine.idle


def test_a_client_keeps_credentials_out_of_the_table() -> None:
    side = Side(client=True)
    side.engine.request("GET", "https", "a", "/", ((b"authorization", b"secret"),), end=True, now=side.now)
    decoded = side.decoder.decode(side.frames()[0][3], raw=True)
    assert [header.indexable for header in decoded if header[0] == b"authorization"] == [False]


def test_a_head_response_says_a_length_and_has_no_body() -> None:
    side = Side(client=True)
    side.engine.request("HEAD", "https", "a", "/", end=True, now=side.now)
    response = frame(HEADERS, END_HEADERS | END_STREAM, 1, block([(b":status", b"200"), (b"content-length", b"9")]))
    assert [type(w) for _, w in side.hear(response)] == [ResponseHead, End]


def test_goaway_says_which_requests_may_be_tried_again() -> None:
    side = Side(client=True)
    for _ in range(2):
        side.engine.request("GET", "https", "a", "/", end=True, now=side.now)
    going, reset = side.hear(frame(GOAWAY, 0, 0, b"\0\0\0\x01\0\0\0\0"))
    assert going == (0, hw.GoingAway(1, 0))
    assert reset == (3, hw.Reset(hw.REFUSED_STREAM, "The server is going away.", True, processed=False))
    assert side.engine.room == 0
    with pytest.raises(UsageError, match="room"):
        side.engine.request("GET", "https", "a", "/", now=side.now)
    assert [type(w) for _, w in side.hear(frame(HEADERS, 5, 1, block([(b":status", b"200")])))] == [ResponseHead, End]


def test_the_servers_bound_on_streams_is_the_clients_room() -> None:
    side = Side(client=True)
    side.hear(frame(SETTINGS, 0, 0, setting(3, 1)))
    assert side.engine.room == 1
    stream = side.engine.request("GET", "https", "a", "/", end=True, now=side.now)
    assert side.engine.room == 0
    side.engine.reset(stream)
    side.engine.release(stream)
    assert side.engine.room == 1


def test_a_pushed_response_ends_the_connection() -> None:
    side = Side(client=True)
    side.engine.request("GET", "https", "a", "/", end=True, now=side.now)
    side.hear(frame(5, END_HEADERS, 1, b"\0\0\0\x02" + block(GET)))
    assert side.code() == hw.PROTOCOL_ERROR


def test_two_engines_talk_through_an_extended_connect() -> None:
    client, server = Side(client=True, greeted=False), Side(greeted=False)

    def exchange() -> tuple[list[hw.Heard], list[hw.Heard]]:
        there = client.engine.data_to_send(client.now)
        at_server = server.hear(there) if there else []
        back = server.engine.data_to_send(server.now)
        return client.hear(back) if back else [], at_server

    exchange()
    assert client.engine.extended_connect
    stream = client.engine.request("CONNECT", "https", "a", "/chat", protocol="websocket", now=client.now)
    _, heard = exchange()
    assert isinstance(heard[0][1], RequestHead)
    assert (heard[0][1].method, heard[0][1].upgrade, heard[0][1].target) == ("CONNECT", b"websocket", "/chat")
    server.engine.start(stream, 200, (), None, b"")
    client.engine.body(stream, b"ping")
    assert exchange()[1] == [(stream, Body(b"ping"))]
    server.engine.finish(stream)
    exchange()
    client.engine.body(stream, b"after the end")
    assert exchange()[1] == [(stream, Body(b"after the end"))]
    client.engine.finish(stream)
    assert exchange()[1] == [(stream, End())]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.builds(frame, st.integers(0, 12), st.integers(0, 255), st.integers(0, 7), st.binary(max_size=30)),
            st.builds(request, st.integers(1, 9), st.just(POST), st.booleans()),
        ),
        max_size=12,
    ),
    st.booleans(),
)
def test_the_engine_is_total(pieces: list[bytes], client: bool) -> None:
    side = Side(bounds={"control_burst": 50}, client=client)
    if client:
        side.engine.request("GET", "http", "a", "/", now=side.now)
    for piece in pieces:
        for stream, heard in side.hear(piece):
            if isinstance(heard, RequestHead):
                side.respond(stream)
        side.frames()
        assert len(side.engine._buffer) <= 9 + 16384
    side.wait(1000)
    side.frames()


def test_limits_of_http1_hold_here_too() -> None:
    side = Side(limits=HttpLimits(body=3))
    heard = side.hear(request(1, (*POST, (b"content-length", b"4")), end=False))
    assert heard == [(1, Refusal(413, "The body is too large."))]
    heard = side.hear(request(3, POST, end=False), frame(DATA, 0, 3, b"abcd"))
    assert heard[-1] == (3, Refusal(413, "The body is too large."))
