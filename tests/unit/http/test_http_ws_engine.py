"""The engine of a WebSocket: frames by hand, named as Autobahn's cases where they are its; wsproto's own end as the oracle."""

import random
import zlib
from typing import Any

import pytest
from wsproto.connection import CLIENT, Connection
from wsproto.events import BytesMessage, CloseConnection, TextMessage
from wsproto.extensions import PerMessageDeflate

from netstack.errors import UsageError
from netstack.http.ws.config import WsConfig
from netstack.http.ws.deflate import Deflate
from netstack.http.ws.engine import CLOSING, ENDING, OPEN, OVER, Engine
from netstack.http.ws.errors import WebSocketClosed
from netstack.http.ws.events import Bytes, Closed, Event, Ping, Pong, Text
from netstack.instant import SECOND, Duration, Instant

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NOW = Instant(1000 * SECOND)
HELLO = "Hello-µ@ßöäüàá-UTF-8!!".encode()  # Autobahn's own greeting
KEY = b"\x37\xfa\x21\x3d"


def frame(opcode: int, data: bytes = b"", fin: bool = True, rsv: int = 0, key: bytes | None = KEY) -> bytes:
    """As a client sends it; with `key=None` as a server does."""
    first = bytes([fin << 7 | rsv << 4 | opcode])
    mask = 0 if key is None else 0x80
    size = len(data)
    if size < 126:
        head = first + bytes([mask | size])
    elif size < 65536:
        head = first + bytes([mask | 126]) + size.to_bytes(2, "big")
    else:
        head = first + bytes([mask | 127]) + size.to_bytes(8, "big")
    if key is None:
        return head + data
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


def close(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def server(deflate: Deflate | None = None, **config: Any) -> Engine:
    return Engine(False, WsConfig(**config), NOW, deflate)


def drain(engine: Engine) -> list[Event]:
    events = []
    while (event := engine.next_event()) is not None:
        events.append(event)
    return events


def hear(engine: Engine, data: bytes, cut: int = 0) -> list[Event]:
    """Received at once, or in pieces of `cut` bytes."""
    events = []
    for at in range(0, len(data), cut or max(len(data), 1)):
        engine.receive_data(data[at : at + (cut or len(data))], NOW)
        events += drain(engine)
    return events


def said(data: bytes) -> list[tuple[int, bytes]]:
    """Opcode and payload of the short unmasked frames in `data`."""
    found = []
    while data:
        assert data[0] & 0x70 == 0
        size, at = data[1], 2
        if size == 126:
            size, at = int.from_bytes(data[2:4], "big"), 4
        found.append((data[0] & 15, data[at : at + size]))
        data = data[at + size :]
    return found


def closing_code(engine: Engine) -> int:
    last = said(engine.pending())[-1]
    assert last[0] == CLOSE
    return int.from_bytes(last[1][:2], "big")


cuts = pytest.mark.parametrize("cut", [0, 1, 3], ids=["at once", "by bytes", "by threes"])


# -- 1, 9: framing and sizes -----------------------------------------------------------------------------------------------------


def test_the_examples_of_the_rfc() -> None:
    """RFC 6455 5.7, byte by byte."""
    assert hear(server(), bytes.fromhex("818537fa213d7f9f4d5158")) == [Text("Hello")]
    ping = server()
    assert hear(ping, bytes.fromhex("898537fa213d7f9f4d5158")) == [Ping(b"Hello")]
    assert ping.pending() == bytes.fromhex("8a0548656c6c6f")
    assert server().send("Hello") == bytes.fromhex("810548656c6c6f")
    engine = Engine(True, WsConfig(), NOW)
    assert hear(engine, bytes.fromhex("010348656c80026c6f")) == [Text("Hello")]
    assert hear(engine, bytes.fromhex("827e0100") + bytes(256)) == [Bytes(bytes(256))]
    assert hear(engine, bytes.fromhex("827f0000000000010000") + bytes(65536)) == [Bytes(bytes(65536))]


@cuts
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65535, 65536], ids="1.x.{}".format)
def test_messages_of_all_sizes_come_and_go(size: int, cut: int) -> None:
    if cut and size > 1000:
        cut *= 1000
    data = random.Random(size).randbytes(size)
    engine = server()
    assert hear(engine, frame(BINARY, data) + frame(TEXT, b"*" * size), cut) == [Bytes(data), Text("*" * size)]
    sent = engine.send(data)
    assert sent == frame(BINARY, data, key=None)


def test_9_a_message_as_large_as_the_bound_passes_and_one_byte_more_does_not() -> None:
    assert hear(server(max_message=1000), frame(BINARY, bytes(1000)), 7) == [Bytes(bytes(1000))]
    engine = server(max_message=1000)
    assert hear(engine, frame(BINARY, bytes(1001))[:12]) == [Closed(1009, "a message has 1000 bytes at most")]  # by its length
    assert closing_code(engine) == 1009
    engine = server(max_message=1000)
    events = hear(engine, frame(TEXT, b"a" * 600, fin=False) + frame(CONT, b"b" * 401))
    assert events == [Closed(1009, "a message has 1000 bytes at most")]


def test_a_length_of_eight_exabytes_is_refused_before_anything_is_stored() -> None:
    engine = server()
    assert isinstance(hear(engine, b"\x82\xff\x7f" + b"\xff" * 7 + KEY)[0], Closed)
    assert closing_code(engine) == 1009


# -- 2: pings and pongs ----------------------------------------------------------------------------------------------------------


@cuts
@pytest.mark.parametrize("data", [b"", b"Hello, world!", bytes(range(125)), b"\xfe" * 125], ids=["2.1", "2.2", "2.3", "2.4"])
def test_2_pings_are_answered_with_what_they_bring(data: bytes, cut: int) -> None:
    engine = server()
    assert hear(engine, frame(PING, data), cut) == [Ping(data)]
    assert said(engine.pending()) == [(PONG, data)]
    assert not engine.has_pending


def test_2_5_a_ping_of_126_bytes_is_refused() -> None:
    engine = server()
    hear(engine, frame(PING, b"\xfe" * 126))
    assert closing_code(engine) == 1002


def test_2_7_a_pong_that_nobody_asked_for_is_no_harm() -> None:
    engine = server()
    assert hear(engine, frame(PONG, b"x") + frame(PING, b"y")) == [Pong(b"x"), Ping(b"y")]
    assert said(engine.pending()) == [(PONG, b"y")]


def test_2_10_ten_pings_get_ten_pongs_in_order() -> None:
    engine = server()
    hear(engine, b"".join(frame(PING, b"%d" % i) for i in range(10)))
    assert said(engine.pending()) == [(PONG, b"%d" % i) for i in range(10)]


def test_of_more_pings_than_may_wait_the_latest_are_answered() -> None:
    engine = server(pongs=4)
    hear(engine, b"".join(frame(PING, b"%d" % i) for i in range(10)))
    assert said(engine.pending()) == [(PONG, b"%d" % i) for i in range(6, 10)]


@pytest.mark.parametrize("flood", [frame(PING), frame(PONG, b"x"), frame(CONT, fin=False)], ids=["pings", "pongs", "empty frames"])
def test_a_flood_of_frames_that_bring_nothing_is_ended(flood: bytes) -> None:
    engine = server(control_rate=50)
    hear(engine, frame(TEXT, b"a", fin=False))
    events = [event for event in hear(engine, flood * 100) if isinstance(event, Closed)]
    assert [event.code for event in events] == [1008]
    slow = server(control_rate=50)
    hear(slow, frame(TEXT, b"a", fin=False))
    for second in range(10):
        slow.receive_data(flood * 20, Instant(NOW + second * SECOND))
        drain(slow)
    assert slow.state is OPEN


# -- 3, 4: reserved bits and opcodes ---------------------------------------------------------------------------------------------


@cuts
@pytest.mark.parametrize("rsv", [1, 2, 3, 4, 5, 6, 7], ids="3.{}".format)
def test_3_reserved_bits_are_refused(rsv: int, cut: int) -> None:
    for opcode in (TEXT, BINARY, PING, CLOSE):
        engine = server()
        assert hear(engine, frame(TEXT, b"good") + frame(opcode, b"", rsv=rsv), cut)[0] == Text("good")
        assert closing_code(engine) == 1002


@pytest.mark.parametrize("rsv", [1, 2, 3, 5, 7])
def test_with_compression_the_first_bit_alone_is_lawful_and_only_where_a_message_begins(rsv: int) -> None:
    engine = server(Deflate())
    hear(engine, frame(PING, b"", rsv=4))
    assert closing_code(engine) == 1002
    engine = server(Deflate())
    hear(engine, frame(TEXT, b"a", fin=False) + frame(CONT, b"", rsv=4))
    assert closing_code(engine) == 1002
    engine = server(Deflate())
    hear(engine, frame(TEXT, b"", rsv=rsv))
    assert closing_code(engine) == 1002


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15], ids="4.{}".format)
def test_4_reserved_opcodes_are_refused(opcode: int) -> None:
    engine = server()
    assert hear(engine, frame(TEXT, b"good") + frame(opcode, b"x"))[0] == Text("good")
    assert closing_code(engine) == 1002


@pytest.mark.parametrize(
    "data",
    [
        frame(TEXT, b"x", key=None),
        b"\x81\xfe\x00\x05" + KEY,
        b"\x82\xff" + (125).to_bytes(8, "big") + KEY,
        b"\x82\xff" + (1 << 63).to_bytes(8, "big") + KEY,
        frame(CLOSE, b"\x03"),
    ],
    ids=["no mask", "two bytes for a 5", "eight bytes for 125", "the highest bit of the length", "a close of one byte"],
)
def test_other_frames_that_break_the_rules(data: bytes) -> None:
    engine = server()
    hear(engine, data)
    assert closing_code(engine) == 1002


def test_a_masked_frame_of_a_server_is_refused() -> None:
    engine = Engine(True, WsConfig(), NOW)
    assert [type(event) for event in hear(engine, frame(TEXT, b"x"))] == [Closed]


# -- 5: fragmentation ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE], ids=["5.1", "5.2", "close"])
def test_5_control_frames_are_not_fragmented(opcode: int) -> None:
    engine = server()
    hear(engine, frame(opcode, b"fragment1"[:9], fin=False) + frame(CONT, b"fragment2"))
    assert closing_code(engine) == 1002


@cuts
def test_5_3_to_5_8_fragments_are_joined_with_pings_between(cut: int) -> None:
    engine = server()
    data = frame(TEXT, b"fragment1", fin=False) + frame(PING, b"ping") + frame(CONT, b"fragment2")
    assert hear(engine, data, cut) == [Ping(b"ping"), Text("fragment1fragment2")]


@pytest.mark.parametrize(
    "data",
    [
        frame(CONT, b"x"),
        frame(CONT, b"x", fin=False) + frame(TEXT, b"y"),
        frame(TEXT, b"x", fin=False) + frame(CONT, b"y") + frame(CONT, b"z"),
        frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"),
        frame(TEXT, b"x", fin=False) + frame(BINARY, b"y", fin=False),
    ],
    ids=["5.9", "5.10", "5.11", "5.18", "binary in text"],
)
def test_5_9_to_5_18_continuations_stand_where_they_may(data: bytes) -> None:
    engine = server()
    events = hear(engine, data)
    assert events[-1] == Closed(1002, events[-1].reason)  # type: ignore[union-attr]
    assert closing_code(engine) == 1002


def test_many_small_fragments_make_one_message() -> None:
    engine = server()
    parts = [frame(BINARY, b"a", fin=False), *(frame(CONT, b"%d" % (i % 10), fin=False) for i in range(5000)), frame(CONT)]
    assert hear(engine, b"".join(parts), 1000) == [Bytes(b"a" + b"0123456789" * 500)]


# -- 6: UTF-8 --------------------------------------------------------------------------------------------------------------------

GOOD = [b"", HELLO, "κόσμε".encode(), b"\x00", b"\x7f", b"\xc2\x80",
        b"\xdf\xbf", b"\xe0\xa0\x80", b"\xef\xbf\xbf", b"\xf0\x90\x80\x80",
        b"\xf4\x8f\xbf\xbf", b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xef\xbf\xbe", b"\xf0\x9f\xbf\xbe"]  # fmt: skip
BAD = [
    bytes.fromhex("cebae1bdb9cf83cebcceb5eda080656469746564"),  # 6.3: a surrogate
    b"\x80", b"\xbf", b"\x80\xbf\x80\xbf",  # 6.12: continuations alone
    b"\xc0 \xc1 ", b"\xe0 \xe1 ", b"\xf0 \xf1 ", b"\xf8 ", b"\xfc ",  # 6.13: beginnings alone
    b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf",  # 6.14: without their end
    b"\xfe", b"\xff", b"\xfe\xfe\xff\xff",  # 6.16
    b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x80\x80\x80\xaf", b"\xfc\x80\x80\x80\x80\xaf",  # 6.17: overlong
    b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf",  # 6.18
    b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80",  # 6.19: overlong NUL
    b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xbf\xbf",  # 6.20: surrogates
    b"\xed\xa0\x80\xed\xb0\x80", b"\xed\xaf\xbf\xed\xbf\xbf",  # 6.21: pairs of them
    b"\xf4\x90\x80\x80", b"\xf7\xbf\xbf\xbf", b"\xf8\x88\x80\x80\x80",  # 6.4, 6.6: beyond U+10FFFF
]  # fmt: skip


@cuts
@pytest.mark.parametrize("data", GOOD, ids=bytes.hex)
def test_6_lawful_utf_8_passes_however_it_is_cut(data: bytes, cut: int) -> None:
    assert hear(server(), frame(TEXT, data), cut) == [Text(data.decode())]
    pieces = [data[i : i + 1] for i in range(len(data))]
    frames = [frame(TEXT, fin=False), *(frame(CONT, piece, fin=False) for piece in pieces), frame(CONT)]
    assert hear(server(), b"".join(frames), cut) == [Text(data.decode())]


@cuts
@pytest.mark.parametrize("data", BAD, ids=bytes.hex)
def test_6_unlawful_utf_8_is_1007_and_is_no_matter_in_binary(data: bytes, cut: int) -> None:
    engine = server()
    events = hear(engine, frame(TEXT, data), cut)
    assert events == [Closed(1007, "a text is not UTF-8")]
    assert closing_code(engine) == 1007
    assert hear(server(), frame(BINARY, data), cut) == [Bytes(data)]


def test_6_4_the_first_bad_byte_ends_it_though_the_message_goes_on() -> None:
    engine = server()
    assert hear(engine, frame(TEXT, "κόσμε".encode() + b"\xf4", fin=False)) == []
    assert hear(engine, frame(CONT, b"\x90", fin=False)) == [Closed(1007, "a text is not UTF-8")]
    engine = server()
    engine.receive_data(frame(TEXT, b"\xf4\x90 and so on")[:8], NOW)  # two bytes of its payload
    assert engine.next_event() == Closed(1007, "a text is not UTF-8")


# -- 7: closing ------------------------------------------------------------------------------------------------------------------


@cuts
def test_7_1_what_follows_a_close_frame_is_not_heard(cut: int) -> None:
    engine = server()
    assert hear(engine, frame(TEXT, b"last") + close(1000, b"bye") + frame(PING, b"x") + frame(TEXT, b"y"), cut) == [
        Text("last"),
        Closed(1000, "bye"),
    ]
    assert said(engine.pending()) == [(CLOSE, b"\x03\xe8")]
    assert engine.state is ENDING and engine.answered


def test_7_3_1_an_empty_close_is_answered_with_an_empty_one() -> None:
    engine = server()
    assert hear(engine, frame(CLOSE)) == [Closed(1005)]
    assert engine.pending() == b"\x88\x00"


def test_7_5_1_a_reason_that_is_not_utf_8_is_refused() -> None:
    engine = server()
    hear(engine, close(1000, b"\xed\xa0\x80"))
    assert closing_code(engine) == 1007


def test_7_3_5_a_reason_of_123_bytes_passes_and_7_3_6_one_of_124_does_not() -> None:
    assert hear(server(), close(1000, b"*" * 123)) == [Closed(1000, "*" * 123)]
    engine = server()
    hear(engine, close(1000, b"*" * 124))
    assert closing_code(engine) == 1002


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999])
def test_7_7_lawful_codes_are_answered_with_themselves(code: int) -> None:
    engine = server()
    assert hear(engine, close(code)) == [Closed(code)]
    assert closing_code(engine) == code


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_7_9_unlawful_codes_are_1002(code: int) -> None:
    engine = server()
    hear(engine, close(code))
    assert closing_code(engine) == 1002
    with pytest.raises(UsageError, match="no code"):
        server().close(NOW, code)


def test_closing_waits_for_the_answer_and_drops_what_comes_before_it() -> None:
    engine = server()
    assert said(engine.close(NOW, 4000, "enough")) == [(CLOSE, b"\x0f\xa0enough")]
    assert engine.state is CLOSING
    with pytest.raises(WebSocketClosed):
        engine.send("too late")
    assert hear(engine, frame(TEXT, b"late") + frame(PING, b"p")) == []
    assert not engine.has_pending
    assert hear(engine, close(4000)) == [Closed(4000)]
    assert engine.state is ENDING and not engine.has_pending


def test_closes_that_cross_are_one_close() -> None:
    here, there = server(), Engine(True, WsConfig(), NOW)
    a, b = here.close(NOW), there.close(NOW, 1001)
    assert hear(here, b) == [Closed(1001)] and hear(there, a) == [Closed(1000)]
    assert not here.has_pending and not there.has_pending


def test_a_close_that_nobody_answers_ends_by_the_clock() -> None:
    engine = server(close_timeout=Duration(3 * SECOND))
    engine.close(NOW)
    assert engine.next_deadline() == NOW + 3 * SECOND
    engine.handle_timeout(Instant(NOW + SECOND))
    assert engine.state is CLOSING
    engine.handle_timeout(Instant(NOW + 3 * SECOND))
    assert engine.state is OVER and engine.timed_out
    assert drain(engine) == [Closed(1006, "the peer did not answer our closing")]
    assert engine.next_deadline() is None


def test_a_stream_that_ends_without_a_close_is_1006() -> None:
    engine = server()
    hear(engine, frame(TEXT, b"half", fin=False))
    engine.receive_end()
    assert [event.code for event in drain(engine) if isinstance(event, Closed)] == [1006]
    with pytest.raises(WebSocketClosed) as caught:
        engine.send("x")
    assert caught.value.code == 1006 and isinstance(caught.value, OSError)


# -- keep-alive ------------------------------------------------------------------------------------------------------------------


def test_silence_is_met_with_a_ping_and_then_with_the_end() -> None:
    engine = server(ping_interval=Duration(20 * SECOND), ping_timeout=Duration(5 * SECOND))
    assert engine.next_deadline() == NOW + 20 * SECOND
    engine.handle_timeout(Instant(NOW + 20 * SECOND))
    assert said(engine.pending()) == [(PING, b"")]
    engine.receive_data(frame(PONG), Instant(NOW + 22 * SECOND))
    assert drain(engine) == [Pong(b"")]
    assert engine.next_deadline() == NOW + 42 * SECOND
    engine.handle_timeout(Instant(NOW + 42 * SECOND))
    assert said(engine.pending()) == [(PING, b"")]
    engine.handle_timeout(Instant(NOW + 47 * SECOND))
    assert closing_code(engine) == 1011
    assert drain(engine) == [Closed(1006, "the peer answered no ping")]


def test_who_did_not_listen_does_not_blame_the_peer_for_silence() -> None:
    engine = server(ping_interval=Duration(20 * SECOND), ping_timeout=Duration(5 * SECOND))
    engine.handle_timeout(Instant(NOW + 20 * SECOND))
    engine.resume(Instant(NOW + 90 * SECOND))
    engine.handle_timeout(Instant(NOW + 91 * SECOND))
    assert engine.state is OPEN and engine.next_deadline() == NOW + 110 * SECOND
    assert server(ping_interval=Duration(0)).next_deadline() is None


# -- 12, 13: compression ---------------------------------------------------------------------------------------------------------


def test_the_examples_of_rfc_7692() -> None:
    """7.2.3.1, .2, .4, .5: one block, two messages with a context, no compression, BFINAL."""
    engine = Engine(True, WsConfig(), NOW, Deflate())
    assert hear(engine, bytes.fromhex("c107f248cdc9c90700")) == [Text("Hello")]
    assert hear(engine, bytes.fromhex("c105f200110000")) == [Text("Hello")]
    assert hear(engine, bytes.fromhex("c10b000500faff48656c6c6f00")) == [Text("Hello")]
    assert hear(engine, bytes.fromhex("c108f348cdc9c9070000")) == [Text("Hello")]
    assert hear(engine, bytes.fromhex("4103f248cd8004c9c90700")) == [Text("Hello")]


@cuts
@pytest.mark.parametrize("bits", [9, 12, 15])
@pytest.mark.parametrize("forget", [False, True])
@pytest.mark.parametrize("size", [0, 63, 64, 1000, 70000])
def test_12_13_what_our_ends_compress_they_inflate(size: int, forget: bool, bits: int, cut: int) -> None:
    deflate = Deflate(forget, forget, bits, bits)
    here, there = server(deflate), Engine(True, WsConfig(), NOW, deflate)
    rng = random.Random(size)
    for _ in range(3):
        data = bytes(rng.choices(b"abcdefg ", k=size))
        sent = here.send(data.decode())
        assert size < 1000 or len(sent) < size * 0.7
        assert hear(there, sent, cut * 100) == [Text(data.decode())]
        assert hear(here, there.send(data[: size // 2], final=False) + there.send(data[size // 2 :]), cut * 100) == [Bytes(data)]


def test_a_bomb_stops_at_the_bound() -> None:
    packer = zlib.compressobj(wbits=-15)
    bomb = packer.compress(bytes(50_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]
    engine = server(Deflate(), max_message=100_000)
    assert hear(engine, frame(BINARY, bomb, rsv=4)) == [Closed(1009, "a message has 100000 bytes at most")]
    assert closing_code(engine) == 1009
    fits = packer.compress(bytes(100_000)) + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]
    packer = zlib.compressobj(wbits=-15)
    fits = packer.compress(bytes(100_000)) + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]
    assert hear(server(Deflate(), max_message=100_000), frame(BINARY, fits, rsv=4)) == [Bytes(bytes(100_000))]


def test_bombs_in_one_piece_are_inflated_only_as_they_are_asked_for() -> None:
    packer = zlib.compressobj(wbits=-15)
    engine = server(Deflate(False, True))
    small = packer.compress(bytes(1_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]
    engine.receive_data(frame(BINARY, small, rsv=4) * 50, NOW)
    assert engine.next_event() == Bytes(bytes(1_000_000))
    assert len(engine._proto._proto._frame_decoder.buffer) > 48 * len(small)  # the others are as they came


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x06" * 10], ids=["no block", "no code"])
def test_what_can_t_be_inflated_is_1007(data: bytes) -> None:
    engine = server(Deflate())
    assert hear(engine, frame(BINARY, data, rsv=4)) == [Closed(1007, "a message can't be inflated")]
    assert closing_code(engine) == 1007


def test_compressed_text_that_is_not_utf_8_is_1007() -> None:
    packer = zlib.compressobj(wbits=-15)
    data = packer.compress(b"\xff\xfe") + packer.flush(zlib.Z_SYNC_FLUSH)[:-4]
    engine = server(Deflate())
    assert hear(engine, frame(TEXT, data, rsv=4)) == [Closed(1007, "a text is not UTF-8")]


# -- sending ---------------------------------------------------------------------------------------------------------------------


def test_what_can_t_be_sent_is_said() -> None:
    engine = server()
    with pytest.raises(UsageError, match="surrogate"):
        engine.send("\ud800")
    with pytest.raises(UsageError, match="str or bytes"):
        engine.send(7)  # type: ignore[arg-type]
    assert engine.send("a", final=False) == b"\x01\x01a"
    with pytest.raises(UsageError, match="pieces"):
        engine.send(b"b")
    assert engine.send("b") == b"\x80\x01b"
    with pytest.raises(UsageError, match="125"):
        engine.ping(bytes(126))
    with pytest.raises(UsageError, match="123"):
        engine.close(NOW, 1000, "ä" * 62)
    assert engine.state is OPEN


def test_a_pong_goes_out_with_what_is_sent_next() -> None:
    engine = server()
    hear(engine, frame(PING, b"1"))
    assert said(engine.send("a")) == [(PONG, b"1"), (TEXT, b"a")]


# -- wsproto at the other end ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compressed", [False, True])
def test_wsproto_as_a_client_understands_and_is_understood(compressed: bool) -> None:
    extensions = []
    if compressed:
        extensions.append(PerMessageDeflate())
        extensions[0].finalize("permessage-deflate")
    other = Connection(CLIENT, extensions)  # type: ignore[arg-type]
    engine = server(Deflate() if compressed else None)
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    for _ in range(50):
        text = "".join(rng.choices("abcdeµß😀", k=rng.choice([0, 1, 20, 200, 3000])))
        other.receive_data(engine.send(text))
        assert "".join(event.data for event in other.events() if isinstance(event, TextMessage)) == text, f"seed {seed}"
        data = rng.randbytes(rng.choice([0, 1, 200, 70000]))
        assert hear(engine, other.send(BytesMessage(data)), rng.choice([0, 1000])) == [Bytes(data)], f"seed {seed}"
    assert hear(engine, other.send(CloseConnection(1001, "going"))) == [Closed(1001, "going")]
    other.receive_data(engine.pending())
    assert [event.code for event in other.events() if isinstance(event, CloseConnection)] == [1001]


@pytest.mark.parametrize("client", [False, True])
def test_any_bytes_are_events_or_one_end(client: bool) -> None:
    seed = random.randrange(1 << 32)
    rng = random.Random(seed)
    for _ in range(300):
        engine = Engine(client, WsConfig(max_message=5000), NOW, Deflate() if rng.random() < 0.5 else None)
        data = b""
        for _ in range(rng.randrange(1, 6)):
            size = rng.choice([0, 1, 5, 125, 126, 300, 6000])
            data += frame(
                rng.choice([0, 1, 1, 2, 8, 9, 10, rng.randrange(16)]),
                rng.randbytes(size) if rng.random() < 0.5 else b"a" * size,
                rng.random() < 0.7,
                rng.choice([0, 0, 4, rng.randrange(8)]),
                None if client else KEY,
            )
        if rng.random() < 0.5:
            data = data[: rng.randrange(len(data))] + rng.randbytes(4) + data[rng.randrange(len(data)) :]
        cut = rng.choice([0, 1, 7, 100])
        events = hear(engine, data, cut)
        engine.receive_end()
        events += drain(engine)
        ends = [i for i, event in enumerate(events) if isinstance(event, Closed)]
        assert ends == [len(events) - 1], f"seed {seed}"
