"""SegmentReader beside asyncio's StreamReader: the same calls, the same answers, the same flow control."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netstack
from netstack.runtime.reader import SegmentReader
from netstack.runtime.rope import Rope
from netstack.testing.wire import Wire


class Witness:
    """A transport that writes down how it is held back."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


CHUNK = st.one_of(
    st.binary(max_size=12),
    st.lists(st.sampled_from([b"a", b"\r\n", b"\n", b"END", b"E", b"N"]), max_size=8).map(b"".join),
    st.integers(0, 5000).map(lambda n: bytes(i % 251 for i in range(n))),
)
STEP = st.one_of(
    st.tuples(st.just("feed"), CHUNK),
    st.tuples(st.just("feed view"), CHUNK),
    st.tuples(st.just("feed bytearray"), CHUNK),
    st.tuples(st.just("read"), st.sampled_from([-1, 0, 1, 3, 100, 5000])),
    st.tuples(st.just("readexactly"), st.sampled_from([-1, 0, 1, 5, 100, 3000])),
    st.tuples(st.just("readline"), st.none()),
    st.tuples(st.just("readuntil"), st.sampled_from([b"", b"\n", b"\r\n", b"END", b"a"])),
    st.tuples(st.just("next line"), st.none()),
    st.tuples(st.just("eof"), st.none()),
    st.tuples(st.just("error"), st.none()),
)


async def play(reader: asyncio.StreamReader, steps: list[tuple[str, Any]]) -> list[Any]:
    """What a reader says to each step; one reading call may be under way while others are fed."""
    witness = Witness()
    reader.set_transport(witness)  # type: ignore[arg-type]
    told: list[Any] = []
    waiting: asyncio.Task[Any] | None = None

    def outcome(task: asyncio.Task[Any]) -> Any:
        error = task.exception()
        if error is None:
            return task.result()
        return type(error), str(error), getattr(error, "partial", None), getattr(error, "consumed", None)

    for verb, value in steps:
        if verb.startswith("feed") or verb == "eof":
            if reader._eof:  # type: ignore[attr-defined]
                continue
            if verb == "eof":
                reader.feed_eof()
            else:
                kind = {"feed": bytes, "feed view": memoryview, "feed bytearray": bytearray}[verb]
                reader.feed_data(kind(value))
        elif verb == "error":
            reader.set_exception(ConnectionResetError(104, "gone"))
        else:
            call = {
                "read": lambda v=value: reader.read(v),
                "readexactly": lambda v=value: reader.readexactly(v),
                "readline": lambda v=value: reader.readline(),
                "readuntil": lambda v=value: reader.readuntil(v),
                "next line": lambda v=value: reader.__anext__(),
            }[verb]
            task = asyncio.ensure_future(call())
            await asyncio.sleep(0)
            if task.done() or waiting is not None:
                await asyncio.wait([task])  # a second one that would wait is refused
                told.append(outcome(task))
            else:
                waiting = task
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if waiting is not None and waiting.done():
            told.append(("later", outcome(waiting)))
            waiting = None
        buffer: Any = reader._buffer  # type: ignore[attr-defined]
        told.append((verb, len(buffer), bool(buffer), reader.at_eof(), repr(reader.exception()), list(witness.calls)))
    if waiting is not None:
        waiting.cancel()
        await asyncio.wait([waiting])
        told.append("cancelled")
    told.append(bytes(reader._buffer))  # type: ignore[attr-defined]
    return told


@settings(max_examples=300, deadline=None)
@given(st.lists(STEP, max_size=25), st.sampled_from([1, 7, 64, 1000]))
def test_it_says_and_does_what_asyncios_own_reader_does(steps: list[tuple[str, Any]], limit: int) -> None:
    async def both() -> None:
        loop = asyncio.get_running_loop()
        theirs = await play(asyncio.StreamReader(limit=limit, loop=loop), steps)
        ours = await play(SegmentReader(limit=limit, loop=loop), steps)
        assert ours == theirs

    asyncio.run(both())


OPERATION = st.one_of(
    st.tuples(st.just("extend"), st.binary(max_size=3000)),
    st.tuples(st.just("extend view"), st.binary(max_size=3000)),
    st.tuples(st.just("front"), st.integers(0, 4000)),
    st.tuples(st.just("drop"), st.integers(0, 4000)),
    st.tuples(st.just("find"), st.tuples(st.binary(min_size=1, max_size=2), st.integers(0, 3000))),
    st.tuples(st.just("clear"), st.none()),
    st.tuples(st.just("slice"), st.tuples(st.integers(-50, 4000), st.integers(-50, 4000))),
    st.tuples(st.just("append"), st.integers(0, 255)),
    st.tuples(st.just("delete behind"), st.integers(0, 4000)),
    st.tuples(st.just("startswith"), st.tuples(st.binary(max_size=2), st.integers(0, 100))),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(OPERATION, max_size=40))
def test_a_rope_is_a_bytearray_to_whoever_does_not_ask_for_its_type(operations: list[tuple[str, Any]]) -> None:
    model = bytearray()
    rope: Any = Rope()
    for verb, value in operations:
        if verb.startswith("extend"):
            model.extend(value)
            rope.extend(memoryview(value) if verb == "extend view" else value)
        elif verb == "front":
            assert rope[:value] == bytes(model[:value])
        elif verb == "drop":
            del model[:value]
            del rope[:value]
        elif verb == "find":
            assert rope.find(*value) == model.find(*value)
        elif verb == "clear":
            model.clear()
            rope.clear()
        elif verb == "slice":
            assert rope[value[0] : value[1]] == model[value[0] : value[1]]
        elif verb == "append":
            model.append(value)
            rope.append(value)
        elif verb == "delete behind":
            del model[value:]
            del rope[value:]
        else:
            assert rope.startswith(*value) == model.startswith(*value)
        assert len(rope) == len(model)
        assert bool(rope) == bool(model)
        assert bytes(rope) == bytes(model)
    assert rope == model
    assert list(rope) == list(model)
    assert repr(rope) == repr(model)


def test_what_is_read_as_it_came_is_not_copied() -> None:
    rope: Any = Rope()
    data = bytes(1000)
    rope.extend(data)
    assert rope[:65536] is data


def test_what_may_change_later_is_copied_when_it_is_fed() -> None:
    rope: Any = Rope()
    data = bytearray(b"before")
    rope.extend(data)
    rope.extend(memoryview(data))
    data[:] = b"after!"
    assert bytes(rope) == b"beforebefore"


def test_many_little_pieces_are_few_objects() -> None:
    rope: Any = Rope()
    for _ in range(100_000):
        rope.extend(b"x")
    assert len(rope) == 100_000
    if hasattr(rope, "chunks"):  # the compiled one doesn't show them
        assert len(rope.chunks) < 100


def test_a_view_is_let_go_when_it_has_been_read() -> None:
    rope: Any = Rope()
    slab = bytearray(70_000)
    rope.extend(memoryview(slab).toreadonly()[:65_000])
    with pytest.raises(BufferError):
        slab.append(0)
    assert len(rope[:65_000]) == 65_000
    del rope[:65_000]
    slab.append(0)


def test_it_is_a_stream_reader_for_whoever_asks() -> None:
    async def look() -> None:
        reader = SegmentReader(loop=asyncio.get_running_loop())
        assert isinstance(reader, asyncio.StreamReader)
        assert repr(reader) == repr(asyncio.StreamReader(loop=asyncio.get_running_loop()))
        reader.feed_data(b"12")
        assert "2 bytes" in repr(reader)

    asyncio.run(look())


def test_more_than_the_limit_can_be_read_exactly_and_by_lines_over_a_net() -> None:
    data = bytes(range(256)) * 4000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"first line\n" + data + b"last line\n")
        await writer.drain()
        writer.close()

    async def main() -> None:
        wire = Wire(mtu=60_000)  # segments that are worth a slab
        async with (
            asyncio.timeout(20),
            netstack.open(wire.port("a"), addresses=["10.0.0.1/24"]) as a,
            netstack.open(wire.port("b"), addresses=["10.0.0.2/24"]) as b,
        ):
            await b.start_server(serve, port=7)
            reader, writer = await a.open_connection("10.0.0.2", 7, limit=20_000)
            assert isinstance(reader, SegmentReader)
            assert await reader.readline() == b"first line\n"
            assert await reader.readexactly(len(data)) == data
            assert [line async for line in reader] == [b"last line\n"]
            assert reader.at_eof()
            writer.close()

    asyncio.run(main())
