"""The short way of small messages, beside the long one."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netstack.http.ws.config import WsConfig
from netstack.http.ws.deflate import Deflate
from netstack.http.ws.engine import Engine
from netstack.http.ws.events import Bytes, Event, Text
from netstack.http.ws.short import SHORT, Frames, frame_size, read_message, server_frame, unmasked
from netstack.instant import Instant

NOW = Instant(0)
KEY = b"\x01\x02\x03\x04"


def frame(payload: bytes, first: int = 0x81, key: bytes = KEY) -> bytes:
    """One of a client's."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 128 | size))
    elif size < 65536:
        head = bytes((first, 128 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 128 | 127)) + size.to_bytes(8, "big")
    return head + key + bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


def engine(way: str, deflate: Deflate | None = None, **settings: Any) -> Engine:
    made = Engine(False, WsConfig(**settings), NOW, deflate)
    if way == "long":
        made._between = False
        made._frames = NeverBetween()
    return made


class NeverBetween(Frames):
    """Everything is wsproto's."""

    between = False  # type: ignore[assignment]


def heard(there: Engine, data: bytes, cuts: list[int]) -> tuple[list[Event], bytes]:
    events, answers = [], b""
    at = 0
    for end in [*cuts, len(data)]:
        there.receive_data(data[at:end], NOW)
        at = end
        while (event := there.next_event()) is not None:
            events.append(event)
            answers += there.pending()
    return events, answers + there.pending()


def test_the_example_of_rfc_6455_5_7_goes_the_short_way() -> None:
    data = bytes.fromhex("818537fa213d7f9f4d5158")
    assert read_message(b"??" + data, 2, True, 5) == ("Hello", 13)
    assert read_message(b"\x81\x05Hello", 0, False, 5) == ("Hello", 7)
    assert server_frame(b"Hello", True) == b"\x81\x05Hello"
    assert server_frame(b"Hello", False) == b"\x82\x05Hello"
    assert server_frame(bytes(126), False) == b"\x82\x7e\0\x7e" + bytes(126)
    assert server_frame(bytes(SHORT + 1), False) is None


@pytest.mark.parametrize(
    "data",
    [
        frame(b"begun", 0x01),
        frame(b"went on", 0x80),
        frame(b"ping", 0x89),
        frame(b"compressed", 0xC1),
        frame(b"reserved", 0xA1),
        frame(b"other", 0x83),
        frame(b"\xff", 0x81),  # no UTF-8
        b"\x81\x05Hello",  # no mask
        b"\x81\xfe\x00\x05" + KEY + b"Hello",  # a length of two bytes for a small one
        frame(bytes(65536)),
        frame(b"Hello")[:-1],
        frame(b"Hellos"),  # more than the five that are asked for
        frame(b"")[:5],
        b"\x81",
        b"",
    ],
)
def test_whatever_is_not_simple_and_right_is_left_alone(data: bytes) -> None:
    assert read_message(data, 0, True, 5) is None


def test_masks_of_every_length() -> None:
    for size in (1, 2, 3, 4, 5, 7, 8, 100, SHORT):
        payload = random.Random(size).randbytes(size)
        assert unmasked(payload, KEY) == bytes(byte ^ KEY[i % 4] for i, byte in enumerate(payload))


FRAMES = st.one_of(
    st.binary(max_size=300).map(lambda data: frame(data, 0x82)),
    st.text(max_size=80).map(lambda text: frame(text.encode(), 0x81)),
    st.binary(max_size=20).map(lambda data: frame(data, 0x81)),
    st.tuples(st.sampled_from([0x01, 0x02, 0x80, 0x00, 0x89, 0x8A, 0x88, 0xC1, 0x83, 0x09]), st.binary(max_size=130)).map(
        lambda pair: frame(pair[1], pair[0])
    ),
    st.sampled_from([frame(b"x" * 70000, 0x82), b"\x81\x02no", b"\x81\xfe\x00\x02" + KEY + b"ab"]),
    st.binary(max_size=8),
)


@given(st.lists(FRAMES, max_size=12), st.lists(st.integers(0, 3000), max_size=6), st.booleans())
def test_both_ways_hear_the_same_however_it_is_cut(frames: list[bytes], cuts: list[int], deflated: bool) -> None:
    data = b"".join(frames)
    places = sorted(min(cut, len(data)) for cut in cuts)
    deflate = Deflate() if deflated else None
    short = engine("short", deflate, max_message=50_000)
    long = engine("long", deflate, max_message=50_000)
    assert heard(short, data, places) == heard(long, data, places)
    assert (short.state, short.closed) == (long.state, long.closed)


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(0, 2000), max_size=8))
def test_frames_are_counted_however_they_are_cut(frames: list[bytes], cuts: list[int]) -> None:
    whole = [each for each in frames if len(each) >= 2 and len(each) == frame_size(each, 0)]
    data = b"".join(whole)
    ends = {0}
    for each in whole:
        ends.add(max(ends) + len(each))
    seen = Frames()
    at = 0
    for end in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        seen.see(data[at:end])
        at = end
        assert seen.between == (at in ends)


@given(st.lists(st.one_of(st.binary(max_size=5000), st.text(max_size=2000)), max_size=6), st.booleans(), st.booleans())
def test_what_leaves_by_either_way_is_understood(messages: list[str | bytes], deflated: bool, pieces: bool) -> None:
    deflate = Deflate() if deflated else None
    server, client = Engine(False, WsConfig(), NOW, deflate), Engine(True, WsConfig(), NOW, deflate)
    wanted: list[Event] = []
    data = b""
    for message in messages:
        if pieces:
            half = len(message) // 2
            data += server.send(message[:half], final=False)
            data += server.send(message[half:])
        else:
            data += server.send(message)
        wanted.append(Text(message) if isinstance(message, str) else Bytes(message))
    assert heard(client, data, [])[0] == wanted
