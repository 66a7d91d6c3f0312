"""Floods by their names, each with the bound that stops it: one less passes, one more is answered ENHANCE_YOUR_CALM."""

from collections.abc import Callable

import pytest
from http2_world import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GET,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    POST,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Side,
    block,
    frame,
    request,
    setting,
)

from netstack.http.config import HttpLimits
from netstack.http.events import Refusal, RequestHead
from netstack.http.h2 import words as hw


def flood(side: Side, one: Callable[[int], bytes], limit: int = 100_000) -> int:
    """How many of them pass, read by a peer who sends what is to be sent after each."""
    for i in range(limit):
        side.hear(one(i))
        if side.engine.finished:
            assert side.code() == hw.ENHANCE_YOUR_CALM
            return i
        side.frames()
    return limit


@pytest.mark.parametrize("name, one", [
    ("PING flood, CVE-2019-9512", lambda i: frame(PING, 0, 0, bytes(8))),
    ("PING ACK nobody asked for", lambda i: frame(PING, ACK, 0, bytes(8))),
    ("SETTINGS flood, CVE-2019-9515", lambda i: frame(SETTINGS)),
    ("SETTINGS with the encoder's table", lambda i: frame(SETTINGS, 0, 0, setting(1, i % 2 * 4096))),
    ("PRIORITY shuffling, CVE-2019-9513", lambda i: frame(PRIORITY, 0, 1, b"\0\0\0\x03\x10")),
    ("WINDOW_UPDATE on the connection", lambda i: frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01")),
    ("WINDOW_UPDATE on a stream", lambda i: frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\x01")),
    ("frames of unknown types", lambda i: frame(0x77, 0, 0, b"x")),
    ("empty DATA, CVE-2019-9518", lambda i: frame(DATA, 0, 1)),
    ("DATA that is all padding", lambda i: frame(DATA, PADDED, 1, b"\x01\0")),
    ("RST_STREAM of what is over", lambda i: frame(RST_STREAM, 0, 3, bytes(4))),
], ids=lambda value: value if isinstance(value, str) else "")  # fmt: skip
def test_frames_that_carry_nothing_are_bounded(name: str, one: Callable[[int], bytes]) -> None:
    side = Side({"control_burst": 50, "control_rate": 10})
    side.hear(request(1, POST, end=False), request(3), frame(RST_STREAM, 0, 3, bytes(4)))
    side.engine.release(3)
    passed = flood(side, one)
    assert 45 <= passed <= 50 + 4


def test_a_bucket_fills_again_with_time() -> None:
    side = Side({"control_burst": 50, "control_rate": 10})
    for _ in range(50):
        assert side.hear(*[frame(PING, 0, 0, bytes(8))] * 10) == []
        side.frames()
        side.wait(1)
    assert flood(side, lambda i: frame(PING, 0, 0, bytes(8))) < 60


def test_what_comes_with_data_that_we_send_is_no_flood() -> None:
    """Clients that answer each DATA by two WINDOW_UPDATEs."""
    side = Side({"control_burst": 10, "control_rate": 1})
    side.hear(request(1))
    side.engine.start(1, 200, (), None, b"")
    update = (16384).to_bytes(4, "big")
    for _ in range(500):
        side.engine.body(1, bytes(16384))
        side.frames()
        side.hear(frame(WINDOW_UPDATE, 0, 0, update), frame(WINDOW_UPDATE, 0, 1, update))
    assert not side.engine.finished


def test_rapid_reset() -> None:
    """CVE-2023-44487: each stream is reset as soon as it is opened, so that their number never reaches the bound."""
    side = Side({"reset_burst": 30, "reset_rate": 1})
    heads = 0
    for i in range(1000):
        heard = side.hear(request(2 * i + 1), frame(RST_STREAM, 0, 2 * i + 1, (8).to_bytes(4, "big")))
        heads += sum(isinstance(word, RequestHead) for _, word in heard)
        side.engine.release(2 * i + 1)
        if side.engine.finished:
            break
    assert heads == 31
    assert side.code() == hw.ENHANCE_YOUR_CALM


def test_rapid_reset_in_one_piece_of_bytes() -> None:
    side = Side({"reset_burst": 30, "reset_rate": 1})
    data = [request(2 * i + 1) + frame(RST_STREAM, 0, 2 * i + 1, bytes(4)) for i in range(1000)]
    heard = side.hear(*data)
    assert sum(isinstance(word, RequestHead) for _, word in heard) == 31
    assert heard[-1][1] == side.engine.failure


@pytest.mark.parametrize("made", [
    lambda n: frame(WINDOW_UPDATE, 0, n, (2**31 - 1).to_bytes(4, "big")),
    lambda n: frame(DATA, 0, n, b"longer than its length"),
    lambda n: frame(HEADERS, END_HEADERS | END_STREAM, n, block([(b"Upper", b"x")])),
], ids=["a window that overflows", "a body that is too long", "malformed trailers"])  # fmt: skip
def test_made_you_reset(made: Callable[[int], bytes]) -> None:
    """CVE-2025-8671: the client makes us send the resets."""
    side = Side({"reset_burst": 30, "reset_rate": 1})
    for i in range(1000):
        number = 2 * i + 1
        side.hear(request(number, (*POST, (b"content-length", b"2")), end=False), made(number))
        side.engine.release(number)
        side.frames()
        if side.engine.finished:
            break
    assert i == 30
    assert side.engine.failure is not None
    assert side.engine.failure.code == hw.ENHANCE_YOUR_CALM


def test_resets_of_responses_that_are_whole_cost_nothing() -> None:
    side = Side({"reset_burst": 5, "reset_rate": 1})
    for i in range(100):
        number = 2 * i + 1
        side.hear(request(number))
        side.respond(number)
        side.frames()
        side.hear(frame(RST_STREAM, 0, number, bytes(4)))
        side.engine.release(number)
    assert not side.engine.finished


def test_malformed_requests_are_resets_too() -> None:
    side = Side({"reset_burst": 30, "reset_rate": 1})
    passed = 0
    while not side.engine.finished:
        side.hear(request(2 * passed + 1, GET[:2]))
        side.engine.data_to_send(side.now) if not side.engine.finished else None
        passed += 1
    assert passed == 31


def test_streams_beyond_the_bound_are_refused_and_counted() -> None:
    side = Side({"concurrent_streams": 3, "reset_burst": 5, "reset_rate": 1})
    heard = side.hear(*[request(2 * i + 1) for i in range(20)])
    assert sum(isinstance(word, RequestHead) for _, word in heard) == 3
    assert side.code() == hw.ENHANCE_YOUR_CALM


def test_continuation_flood() -> None:
    """CVE-2024-27316: a header block that never ends."""
    side = Side({"continuations": 4})
    assert side.hear(frame(HEADERS, 0, 1, block(GET)), *[frame(CONTINUATION, 0, 1, b"")] * 4) == []
    assert not side.engine.finished
    side.hear(frame(CONTINUATION, 0, 1, b""))
    assert side.code() == hw.ENHANCE_YOUR_CALM


def test_a_block_has_a_bound_in_bytes() -> None:
    side = Side({"header_block": 20000})
    side.hear(frame(HEADERS, 0, 1, bytes(16384)))
    assert not side.engine.finished
    side.hear(frame(CONTINUATION, 0, 1, bytes(3617)))
    assert side.code() == hw.ENHANCE_YOUR_CALM


def test_a_block_within_its_bounds_may_continue() -> None:
    side = Side()
    data = block((*GET, (b"x", b"y" * 20000)))
    heard = side.hear(frame(HEADERS, END_STREAM, 1, data[:16384]), frame(CONTINUATION, END_HEADERS, 1, data[16384:]))
    assert isinstance(heard[0][1], RequestHead)


def test_hpack_bomb() -> None:
    """CVE-2016-6581: an entry of 4 KiB, and bytes that each repeat it."""
    side = Side()
    entry = b"\x40\x01x\x7f\xa0\x1e" + b"y" * (127 + 32 + 30 * 128)
    side.hear(frame(HEADERS, END_HEADERS | END_STREAM, 1, block(GET) + entry))
    assert not side.engine.finished
    side.hear(frame(HEADERS, END_HEADERS | END_STREAM, 3, block(GET) + b"\xbe" * 1000))
    assert side.code() == hw.ENHANCE_YOUR_CALM


def test_a_list_between_the_two_bounds_is_answered_431() -> None:
    side = Side(limits=HttpLimits(header_section=1000))
    ((_, refusal),) = side.hear(request(1, (*GET, (b"x", b"y" * 2000))))
    assert refusal == Refusal(431, "The header section is too long.")
    ((_, refusal),) = side.hear(request(3, (*GET, *[(b"x", b"")] * 101)))
    assert refusal == Refusal(431, "There are too many header fields.")


def test_our_encoders_table_is_no_larger_than_usual_whatever_the_peer_offers() -> None:
    side = Side()
    side.hear(frame(SETTINGS, 0, 0, setting(1, 2**32 - 1)))
    assert side.engine._conn.encoder.header_table_size == 4096


def test_answers_that_nobody_reads_are_bounded() -> None:
    """CVE-2019-9512, 9515: here nothing is ever taken from the engine."""
    side = Side({"queued_answers": 30})
    for i in range(100):
        side.hear(frame(PING, 0, 0, bytes(8)))
        if side.engine.finished:
            break
    assert i == 30
    assert side.code() == hw.ENHANCE_YOUR_CALM


def test_data_dribble() -> None:
    """CVE-2019-9511: windows of a byte make us send a byte in each frame."""
    side = Side({"control_burst": 50, "control_rate": 1})
    side.hear(frame(SETTINGS, 0, 0, setting(4, 1)), request(1))
    side.engine.start(1, 200, (), None, b"")
    side.engine.body(1, bytes(10000))
    sent = 0
    while side.engine.failure is None:
        sent += sum(kind == DATA for kind, *_ in side.frames())
        side.hear(frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\x01"))
        assert sent < 100
    assert 20 < sent < 55
    assert side.engine.failure.code == hw.ENHANCE_YOUR_CALM


def test_data_for_streams_that_are_over_is_bounded() -> None:
    side = Side({"control_burst": 50, "control_rate": 1})
    side.hear(request(1, POST, end=False), frame(RST_STREAM, 0, 1, bytes(4)))
    side.engine.release(1)
    assert 45 <= flood(side, lambda i: frame(DATA, 0, 1, b"x" * 100)) <= 54


def test_a_queue_is_empty_after_a_flood_and_nothing_more_is_read() -> None:
    side = Side({"control_burst": 5, "control_rate": 1})
    side.hear(*[frame(PING, 0, 0, bytes(8))] * 20)
    assert side.engine.failure is not None
    assert side.hear(request(1)) == []
    frames = side.frames()
    assert [kind for kind, *_ in frames].count(GOAWAY) == 1
    assert frames[-1][0] == GOAWAY
