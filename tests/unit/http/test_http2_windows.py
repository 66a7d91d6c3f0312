"""Windows that follow their readers, and the short way of DATA, which must not be seen in what comes of it."""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import pytest
from client_world import On, lab
from http2_world import DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, POST, WINDOW_UPDATE, Side, block, frame, request

from netstack.http.events import Body
from netstack.http.h2.inbound import Inbound
from netstack.http.h2.stream import JOINED, add_piece
from netstack.http.h2.windows import Room
from netstack.http.serve.message import Request, Response
from netstack.instant import MILLISECOND, SECOND, Duration, Instant

FIRST = 65535


class Upload:
    """A client that sends all that it may, to a reader who takes all that comes."""

    def __init__(self, side: Side, stream: int = 1, window: int = FIRST) -> None:
        self.side, self.stream = side, stream
        self.allowed = self.window = window
        side.hear(request(stream, POST, end=False))

    def send(self, size: int) -> None:
        self.allowed -= size
        assert self.allowed >= 0
        while size:
            piece = min(size, 16384)
            size -= piece
            self.side.hear(frame(DATA, 0, self.stream, bytes(piece)))

    def take(self, size: int) -> None:
        self.side.engine.consumed(self.stream, size, self.side.now)
        for kind, _, stream, payload in self.side.frames():
            if (kind, stream) == (WINDOW_UPDATE, self.stream):
                self.allowed += int.from_bytes(payload, "big")

    def round(self, pause: float = 0.0) -> int:
        """A window's worth; how large the window is then."""
        size = self.allowed
        self.send(size)
        self.side.now = Instant(self.side.now + int(pause * SECOND))
        self.take(size)
        return self.allowed


def test_a_window_doubles_while_its_reader_takes_all_that_comes() -> None:
    upload = Upload(Side())
    grown = [upload.round() for _ in range(10)]
    assert grown[:6] == [FIRST << power for power in range(1, 7)]
    assert grown[-2:] == [8 << 20, 8 << 20]  # and no more


def test_a_reader_that_lags_gets_no_more() -> None:
    upload = Upload(Side())
    upload.send(FIRST)
    for _ in range(10):
        upload.take(40_000)  # and 25535 wait
        assert upload.allowed == 40_000
        upload.send(40_000)
    upload.take(FIRST)  # he has caught up
    assert upload.allowed == 2 * FIRST


def test_a_reader_that_waited_between_two_bursts_gets_more_in_the_midst_of_the_next() -> None:
    upload = Upload(Side())
    upload.send(FIRST)
    upload.take(40_000)
    assert upload.allowed == 40_000
    upload.take(25_535)  # nothing is left, and it is too little for a frame
    upload.send(40_000)
    upload.take(20_000)
    assert upload.allowed == 2 * FIRST - 20_000


def test_what_comes_slowly_needs_no_larger_window() -> None:
    upload = Upload(Side())
    assert [upload.round(pause=0.5) for _ in range(3)] == [FIRST] * 3
    assert upload.round(pause=0.49) > FIRST


def test_a_connections_windows_grow_by_no_more_than_it_may() -> None:
    side = Side({"window_growth": 1 << 20, "connection_window": 1 << 30})
    uploads = [Upload(side, stream) for stream in range(1, 41, 2)]
    for _ in range(30):
        for upload in uploads:
            upload.round()
    promised = sum(upload.allowed for upload in uploads) - len(uploads) * FIRST
    assert (1 << 20) * 9 // 10 < promised <= 1 << 20
    late = Upload(side, 41)
    assert late.round() >= FIRST  # it goes on in any case


def test_all_connections_together_have_a_bound_and_what_one_had_is_given_back() -> None:
    room = Room(1 << 20)
    sides = [Side(room=room) for _ in range(3)]
    uploads = [Upload(side) for side in sides]
    for _ in range(20):
        for upload in uploads:
            upload.round()
    assert 0 <= room.left < 1 << 17
    assert sum(upload.allowed - FIRST for upload in uploads) == (1 << 20) - room.left
    sides[0].hear(frame(DATA, END_STREAM, 1))
    sides[0].respond()
    sides[0].frames()
    sides[0].engine.release(1)
    assert room.left >= uploads[0].allowed - FIRST
    for side in sides[1:]:  # a stream that is under way, and one whose end nobody tells
        side.engine.dispose()
        side.engine.release(1)
    assert room.left == 1 << 20


def test_a_room_is_never_empty_for_who_comes_late() -> None:
    room = Room(1000)
    assert [room.take(1 << 30) for _ in range(4)] == [250, 187, 140, 105]
    inner = Room(10_000, room)
    assert inner.take(1 << 30) == 79
    assert inner.left == 10_000 - 79
    inner.give_all()
    assert room.left == 1000 - 250 - 187 - 140 - 105
    inner.give(500)  # of a stream that outlived its connection
    assert room.left == 1000 - 250 - 187 - 140 - 105


def test_frames_of_a_byte_wait_as_one_piece() -> None:
    pieces: deque[bytes] = deque()
    for _ in range(3 * JOINED):
        add_piece(pieces, b"x")
    assert [len(piece) for piece in pieces] == [JOINED] * 3


def test_frames_that_came_together_are_one_body() -> None:
    side = Side()
    side.hear(request(1, POST, end=False), request(3, POST, end=False))
    one, three = frame(DATA, 0, 1, b"abc"), frame(DATA, 0, 3, b"x")
    assert side.hear(one, one, three, one) == [(1, Body(b"abcabc")), (3, Body(b"x")), (1, Body(b"abc"))]


def _long(self: Inbound, number: int, data: bytes, at: int, now: Instant) -> int:
    return at


def test_the_short_way_is_not_seen(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same frames, lawful or not, through an engine without it: the same words, bodies joined, and the same frames back."""
    rng = random.Random(seed)

    def one() -> bytes:
        stream = rng.choice((1, 3, 5, 7))
        flags = rng.choice((0, 0, 0, 0, 0, 0, END_STREAM, PADDED, 0x40))
        size = rng.choice((0, 1, 5, 100, 1000, 16384, 16385) if rng.random() < 0.3 else (1, 5, 100, 16384))
        kind = rng.random()
        if kind < 0.03:
            return frame(HEADERS, END_HEADERS | END_STREAM, stream, block(((b"x", b"y"),)))
        if kind < 0.06:
            return frame(3, 0, stream, b"\0\0\0\x08")
        return frame(DATA, flags, stream, bytes(size))

    def play(client: bool, frames: list[bytes], cuts: list[int]) -> list[Any]:
        side = Side(client=client)
        seen: list[Any] = []
        lengths = ((), ((b"content-length", b"20000"),), ())
        if client:
            for _ in range(3):
                side.engine.request("GET", "http", "a", "/", end=False, now=side.now)
            side.frames()
            for stream, more in zip((1, 3), lengths, strict=False):
                side.hear(frame(HEADERS, END_HEADERS, stream, block(((b":status", b"200"), *more))))
        else:
            for stream, more in zip((1, 3, 5), lengths, strict=True):
                side.hear(request(stream, (*POST, *more), end=False))
        data, at = b"".join(frames), 0
        for cut in (*cuts, len(data)):
            for number, word in side.hear(data[at:cut]):
                if isinstance(word, Body) and seen and seen[-1][0] == number and isinstance(seen[-1][1], Body):
                    seen[-1] = (number, Body(seen[-1][1].data + word.data))
                else:
                    seen.append((number, word))
            at = cut
        return [seen, side.frames(), side.engine.finished]

    for _ in range(60):
        client = rng.random() < 0.5
        frames = [one() for _ in range(rng.randrange(1, 25))]
        cuts = sorted(rng.randrange(sum(map(len, frames)) + 1) for _ in range(rng.randrange(4)))
        ours = play(client, frames, cuts)
        with monkeypatch.context() as patch:
            patch.setattr(Inbound, "_plain_data", _long)
            assert play(client, frames, cuts) == ours


@pytest.mark.parametrize("name", ["asyncio", "trio"])
def test_bodies_fill_a_long_path_both_ways(name: str) -> None:
    """8 MB over 100 ms there and back: with a window of 64 KiB it would take 12 seconds; and 16 MB back, with one of 1 MiB 2.5."""
    on = On(name)
    size = 8_000_000

    async def count(request: Request) -> Response:
        if request.method == "GET":
            return Response(200, {}, bytes(2 * size))
        total = 0
        async for piece in request.body:
            total += len(piece)
        return Response.text(str(total))

    async def main() -> None:
        world = {"delay": Duration(50 * MILLISECOND)}
        async with lab(on, world=world, protocols="2 prior knowledge") as lab_:
            await lab_.serve(count)
            start = on.now()
            response = await lab_.client.post("http://10.0.0.2/", bytes(size))
            assert await response.text() == str(size)
            assert on.now() - start < 4
            start = on.now()
            assert len(await (await lab_.client.get("http://10.0.0.2/")).read()) == 2 * size
            assert on.now() - start < 1.6

    on.run(main)
