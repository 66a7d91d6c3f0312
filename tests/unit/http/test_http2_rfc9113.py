"""What RFC 9113 and RFC 7541 want of a server, case by case, in the order of h2spec's list: frames in, and how it must end.

GOAWAY with one of some codes, RST_STREAM with one of some codes or that (5.4.2 lets any stream error end the connection), or an
answer: the connection goes on, and a request on it is served.
"""

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
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Side,
    block,
    frame,
    request,
    setting,
)

from netstack.http.events import RequestHead

NO_ERROR, PROTOCOL, INTERNAL, FLOW, TIMEOUT, CLOSED, SIZE, REFUSED, CANCEL, COMPRESSION = range(10)
PRIORITY_FLAG = 0x20

WHOLE = request(1)
OPEN = request(1, POST, end=False)
CODE = (8).to_bytes(4, "big")
RESET = frame(RST_STREAM, 0, 1, CODE)
ONE = b"\0\0\0\x01"
BLOCK = block(GET)


def goes_on(*frames: bytes) -> tuple[bytes, str, tuple[int, ...]]:
    return b"".join(frames), "goes on", ()


def connection(*frames: bytes, code: int | tuple[int, ...]) -> tuple[bytes, str, tuple[int, ...]]:
    return b"".join(frames), "connection", code if isinstance(code, tuple) else (code,)


def stream(*frames: bytes, code: int | tuple[int, ...]) -> tuple[bytes, str, tuple[int, ...]]:
    return b"".join(frames), "stream", code if isinstance(code, tuple) else (code,)


CASES = {
    "4.1 a frame of an unknown type": goes_on(frame(0xF0, 0, 0, bytes(8)), frame(0xF1, 0xFF, 1, b"x")),
    "4.1 undefined flags": goes_on(frame(PING, 0x16, 0, bytes(8))),
    "4.1 the reserved bit": goes_on(frame(PING, 0, 1 << 31, bytes(8))),
    "4.2 DATA of 2**14 bytes": goes_on(OPEN, frame(DATA, END_STREAM, 1, bytes(16384))),
    "4.2 DATA above the maximum": stream(OPEN, frame(DATA, 0, 1, bytes(16385)), code=SIZE),
    "4.2 HEADERS above the maximum": connection(frame(HEADERS, 5, 1, bytes(16385)), code=SIZE),
    "4.3 a block that doesn't decode": connection(frame(HEADERS, 5, 1, b"\x40"), code=(COMPRESSION, PROTOCOL)),
    "4.3 PRIORITY within a block": connection(frame(HEADERS, 0, 1, BLOCK), frame(PRIORITY, 0, 1, bytes(5)), code=PROTOCOL),
    "4.3 HEADERS of another stream within a block": connection(frame(HEADERS, 0, 1, BLOCK), request(3), code=PROTOCOL),
    "5.1 idle: DATA": connection(frame(DATA, END_STREAM, 1, b"x"), code=(PROTOCOL, CLOSED)),
    "5.1 idle: RST_STREAM": connection(RESET, code=PROTOCOL),
    "5.1 idle: WINDOW_UPDATE": connection(frame(WINDOW_UPDATE, 0, 1, ONE), code=PROTOCOL),
    "5.1 idle: CONTINUATION": connection(frame(CONTINUATION, 4, 1, BLOCK), code=PROTOCOL),
    "5.1 half closed: DATA": stream(WHOLE, frame(DATA, END_STREAM, 1, b"x"), code=CLOSED),
    "5.1 half closed: HEADERS": stream(WHOLE, WHOLE, code=(CLOSED, PROTOCOL)),
    "5.1 half closed: CONTINUATION": stream(WHOLE, frame(CONTINUATION, 4, 1, BLOCK), code=(CLOSED, PROTOCOL)),
    "5.1 half closed: WINDOW_UPDATE": goes_on(WHOLE, frame(WINDOW_UPDATE, 0, 1, ONE)),
    "5.1 half closed: PRIORITY": goes_on(WHOLE, frame(PRIORITY, 0, 1, b"\0\0\0\3\7")),
    "5.1 closed after a reset: DATA": stream(OPEN, RESET, frame(DATA, 0, 1, b"x"), code=CLOSED),
    "5.1 closed after a reset: HEADERS": stream(OPEN, RESET, WHOLE, code=(CLOSED, PROTOCOL)),
    "5.1 closed after a reset: CONTINUATION": stream(OPEN, RESET, frame(CONTINUATION, 4, 1, BLOCK), code=(CLOSED, PROTOCOL)),
    "5.1.1 an even number": connection(request(2), code=PROTOCOL),
    "5.1.1 a lower number than before": connection(request(5), request(3), code=PROTOCOL),
    "5.5 unknown extensions within a block": connection(frame(HEADERS, 0, 1, BLOCK), frame(0xF0, 0, 0, b""), code=PROTOCOL),
    "6.1 DATA on no stream": connection(frame(DATA, END_STREAM, 0, b"x"), code=PROTOCOL),
    "6.1 more padding than frame": connection(OPEN, frame(DATA, PADDED, 1, b"\x05abc"), code=PROTOCOL),
    "6.2 HEADERS without an end, then DATA": connection(frame(HEADERS, 0, 1, BLOCK), frame(DATA, 1, 1, b"x"), code=PROTOCOL),
    "6.2 HEADERS on no stream": connection(frame(HEADERS, 5, 0, BLOCK), code=PROTOCOL),
    "6.2 more padding than frame": connection(frame(HEADERS, 5 | PADDED, 1, b"\xff" + BLOCK), code=PROTOCOL),
    "6.2 padding": goes_on(frame(HEADERS, 5 | PADDED, 1, b"\x02" + BLOCK + bytes(2))),
    "6.2 priority in HEADERS": goes_on(frame(HEADERS, 5 | PRIORITY_FLAG, 1, b"\x80\0\0\0\xff" + BLOCK)),
    "6.3 PRIORITY on no stream": connection(frame(PRIORITY, 0, 0, bytes(5)), code=PROTOCOL),
    "6.3 PRIORITY of another length": stream(OPEN, frame(PRIORITY, 0, 1, bytes(4)), code=SIZE),
    "6.4 RST_STREAM on no stream": connection(frame(RST_STREAM, 0, 0, CODE), code=PROTOCOL),
    "6.4 RST_STREAM of another length": connection(OPEN, frame(RST_STREAM, 0, 1, CODE[:3]), code=SIZE),
    "6.5 SETTINGS ACK with settings": connection(frame(SETTINGS, ACK, 0, setting(1, 1)), code=SIZE),
    "6.5 SETTINGS on a stream": connection(frame(SETTINGS, 0, 1), code=PROTOCOL),
    "6.5 SETTINGS of another length": connection(frame(SETTINGS, 0, 0, bytes(5)), code=SIZE),
    "6.5.2 ENABLE_PUSH of 2": connection(frame(SETTINGS, 0, 0, setting(2, 2)), code=PROTOCOL),
    "6.5.2 INITIAL_WINDOW_SIZE above 2**31-1": connection(frame(SETTINGS, 0, 0, setting(4, 1 << 31)), code=FLOW),
    "6.5.2 MAX_FRAME_SIZE below 2**14": connection(frame(SETTINGS, 0, 0, setting(5, 16383)), code=PROTOCOL),
    "6.5.2 MAX_FRAME_SIZE above 2**24-1": connection(frame(SETTINGS, 0, 0, setting(5, 1 << 24)), code=PROTOCOL),
    "6.5.2 an unknown setting": goes_on(frame(SETTINGS, 0, 0, setting(0xFF, 7))),
    "6.5.3 the last value of a setting counts": goes_on(frame(SETTINGS, 0, 0, setting(4, 100) + setting(4, 65535))),
    "6.6 PUSH_PROMISE by a client": connection(OPEN, frame(PUSH_PROMISE, 4, 1, b"\0\0\0\2" + BLOCK), code=PROTOCOL),
    "6.7 PING on a stream": connection(frame(PING, 0, 1, bytes(8)), code=PROTOCOL),
    "6.7 PING of another length": connection(frame(PING, 0, 0, bytes(6)), code=SIZE),
    "6.7 PING ACK": goes_on(frame(PING, ACK, 0, b"nothing.")),
    "6.8 GOAWAY on a stream": connection(frame(GOAWAY, 0, 1, bytes(8)), code=PROTOCOL),
    "6.8 GOAWAY that is too short": connection(frame(GOAWAY, 0, 0, bytes(7)), code=SIZE),
    "6.8 GOAWAY that goes back": connection(frame(GOAWAY, 0, 0, bytes(8)), frame(GOAWAY, 0, 0, ONE + bytes(4)), code=PROTOCOL),
    "6.9 WINDOW_UPDATE of nothing": connection(frame(WINDOW_UPDATE, 0, 0, bytes(4)), code=PROTOCOL),
    "6.9 WINDOW_UPDATE of nothing on a stream": stream(OPEN, frame(WINDOW_UPDATE, 0, 1, bytes(4)), code=PROTOCOL),
    "6.9 WINDOW_UPDATE of another length": connection(frame(WINDOW_UPDATE, 0, 0, bytes(3)), code=SIZE),
    "6.9.1 windows above 2**31-1": connection(*[frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff")] * 2, code=FLOW),
    "6.9.1 a stream's window above 2**31-1": stream(OPEN, *[frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff")] * 2, code=FLOW),
    "6.9.2 settings that take a window above": connection(
        OPEN, frame(WINDOW_UPDATE, 0, 1, b"\x7f\xff\0\0"), frame(SETTINGS, 0, 0, setting(4, 2**31 - 1)), code=FLOW
    ),
    "6.10 CONTINUATIONs": goes_on(
        frame(HEADERS, END_STREAM, 1, BLOCK[:5]), frame(CONTINUATION, 0, 1, BLOCK[5:9]), frame(CONTINUATION, 4, 1, BLOCK[9:])
    ),
    "6.10 another frame between": connection(
        frame(HEADERS, 1, 1, BLOCK), frame(CONTINUATION, 0, 1), frame(PING, 0, 0, bytes(8)), code=PROTOCOL
    ),
    "6.10 CONTINUATION on no stream": connection(frame(HEADERS, 1, 1, BLOCK), frame(CONTINUATION, 4, 0), code=PROTOCOL),
    "6.10 CONTINUATION of another stream": connection(frame(HEADERS, 1, 1, BLOCK), frame(CONTINUATION, 4, 3), code=PROTOCOL),
    "6.10 CONTINUATION after the end": connection(WHOLE, frame(CONTINUATION, 4, 1, BLOCK), code=(PROTOCOL, CLOSED)),
    "7 GOAWAY with an unknown code": goes_on(frame(GOAWAY, 0, 0, b"\x7f\xff\xff\xff\0\0\0\xff")),
    "7 RST_STREAM with an unknown code": goes_on(OPEN, frame(RST_STREAM, 0, 1, b"\0\0\0\xff")),
    "8.1 a second HEADERS without an end": stream(OPEN, frame(HEADERS, END_HEADERS, 1, block([(b"a", b"b")])), code=PROTOCOL),
    "8.1 a pseudo-header field as a trailer": stream(OPEN, frame(HEADERS, 5, 1, block(GET[:1])), code=PROTOCOL),
    "HPACK 2.3.3 an index beyond the tables": connection(frame(HEADERS, 5, 1, BLOCK + b"\xbe"), code=(COMPRESSION, PROTOCOL)),
    "HPACK 4.2 a table size at the end": connection(frame(HEADERS, 5, 1, BLOCK + b"\x20"), code=(COMPRESSION, PROTOCOL)),
    "HPACK 5.2 a string that is padded too long": connection(
        frame(HEADERS, 5, 1, BLOCK + b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"), code=(COMPRESSION, PROTOCOL)
    ),
    "HPACK 6.1 the index 0": connection(frame(HEADERS, 5, 1, BLOCK + b"\x80"), code=(COMPRESSION, PROTOCOL)),
    "HPACK 6.3 a table above ours": connection(frame(HEADERS, 5, 1, b"\x3f\xe2\x1f" + BLOCK), code=(COMPRESSION, PROTOCOL)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_ends_as_the_rfc_has_it(case: str) -> None:
    data, how, codes = CASES[case]
    side = Side()
    side.hear(data)
    frames = side.frames()
    goaways = [int.from_bytes(payload[4:8], "big") for kind, _, _, payload in frames if kind == GOAWAY]
    resets = [int.from_bytes(payload, "big") for kind, _, _, payload in frames if kind == RST_STREAM]
    if how == "goes on":
        assert not side.engine.finished
        assert not resets
        heard = side.hear(request(101))
        assert isinstance(heard[0][1], RequestHead)
        side.respond(101)
        assert [kind for kind, *_ in side.frames()] == [HEADERS, DATA]
    elif how == "connection" or goaways:
        assert side.engine.finished
        assert len(goaways) == 1
        assert goaways[0] in codes
    else:
        assert resets
        assert set(resets) <= set(codes)


@pytest.mark.parametrize("first", [frame(SETTINGS, ACK), frame(PING, 0, 0, bytes(8)), WHOLE], ids=["ACK", "PING", "HEADERS"])
def test_the_preface_ends_with_settings(first: bytes) -> None:
    """3.4"""
    side = Side(greeted=False)
    side.hear(PREFACE + first)
    assert side.code() == PROTOCOL


def test_another_preface_is_refused() -> None:
    side = Side(greeted=False)
    side.hear(PREFACE.replace(b"SM", b"XX"))
    assert side.code() == PROTOCOL


def test_settings_are_acknowledged_and_pings_answered() -> None:
    """6.5.3, 6.7"""
    side = Side()
    side.hear(frame(SETTINGS), frame(PING, 0, 0, b"12345678"))
    assert side.frames() == [(SETTINGS, ACK, 0, b""), (PING, ACK, 0, b"12345678")]


def test_a_window_may_become_negative_and_open_again() -> None:
    """6.9.2"""
    side = Side()
    side.hear(frame(SETTINGS, 0, 0, setting(4, 3)), request(1))
    side.engine.start(1, 200, (), None, b"")
    side.engine.body(1, b"abcdef")
    side.frames()
    side.hear(frame(SETTINGS, 0, 0, setting(4, 2)), frame(WINDOW_UPDATE, 0, 1, ONE))
    assert [kind for kind, *_ in side.frames()] == [SETTINGS]
    side.hear(frame(WINDOW_UPDATE, 0, 1, ONE))
    assert side.frames() == [(DATA, 0, 1, b"d")]
