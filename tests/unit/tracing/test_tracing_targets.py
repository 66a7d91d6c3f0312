"""Where a trace goes, whom it looks at, and that it never gets in the way."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import netstack
from netstack import pcap
from netstack.adapters import PyDatagramUser
from netstack.errors import UsageError
from netstack.instant import MILLISECOND, SECOND
from netstack.runtime.trio.world import run_virtual as run_virtual_trio
from netstack.testing.net import Endpoint, World
from netstack.tracing import watcher
from netstack.tracing.perfetto import COUNTERS
from netstack.tracing.reading import between, segment
from netstack.tracing.trace import Trace
from netstack.tracing.words import Words, question


def talk(to: Any, *, loss: float = 0.0, n: int = 20_000, whom: str = "world", rest: int = 100 * SECOND, **options: Any) -> Trace:
    """One transfer from a to b, and its end."""
    world = World(seed=3, loss=loss, delay=20 * MILLISECOND)
    a, b = world.host("a"), world.host("b")
    server = Endpoint()
    b.listen(80, lambda: server)
    with netstack.trace({"world": world, "a": a, "b": b}[whom], to=to, **options) as trace:
        a.connect(b, 80, Endpoint(b"x" * n))
        world.run(until=lambda: len(server.received) == n)
        world.rest(rest)
    for host in (a, b):
        assert host.stack.link.rx.observer is None and host.stack.tcp.hub.witness is None
    return trace


# -- lines ----------------------------------------------------------------------------------------------------------------------


def test_lines_go_to_a_function_a_stream_and_a_file_alike(tmp_path: Path) -> None:
    lines: list[str] = []
    stream = io.StringIO()
    trace = talk([lines.append, stream, tmp_path / "lesson.txt"])
    assert trace.error is None and trace.events == len(lines) > 20
    assert stream.getvalue() == (tmp_path / "lesson.txt").read_text("utf-8") == "\n".join(lines) + "\n"


def test_a_filter_leaves_the_rest_out() -> None:
    lines: list[str] = []
    assert talk(lines.append, port=81).events == 0 and not lines
    talk(lines.append, port=[80, 81], peer="b")
    assert lines and all(line.split()[1].startswith("a.") for line in lines), "b's peer is a"
    before = len(lines)
    talk(lines.append, peer="10.0.0.2", whom="a")
    assert len(lines) == 2 * before


class Quiet:
    def on_datagram(self, data: bytes, address: int, port: int, now: int) -> None: ...
    def on_error(self, error: Exception, address: int, port: int, now: int) -> None: ...


def test_what_is_no_tcp_is_told_in_a_line() -> None:
    world = World(seed=3)
    a, b = world.host("a"), world.host("b")
    lines: list[str] = []
    with netstack.trace(a, to=lines.append):
        port = a.stack.udp.bind(0, 5000, PyDatagramUser(Quiet()))
        port.send(b"?", b.ip, 9, world.now)
        world.rest(SECOND)
    assert [line.split(" ", 1)[1] for line in lines if "announcement" not in line] == [
        "a > ARP who has b? tell a",
        "a > a.5000 > b.9: UDP, length 1",
        "a < ARP b is at 02:00:00:00:00:02",
        "a < b > a: ICMP unreachable, port, length 37",
    ]


def test_a_question_to_the_dns_is_read() -> None:
    from netstack.dns.message import Message, Question
    from netstack.dns.name import parse

    m = Message(1)
    m.question.append(Question(parse("www.example."), 1))
    head = bytes([0x45]) + bytes(19) + (40000).to_bytes(2, "big") + (53).to_bytes(2, "big") + bytes(4)
    assert question(head + m.encode()) == ": DNS asks www.example. A"
    assert question(head + m.encode()[:-3]) == ": DNS, of which this is only a part, or it is broken"
    assert question(head[:22] + (54).to_bytes(2, "big") + bytes(40)) == ""


# -- pcapng ---------------------------------------------------------------------------------------------------------------------


def test_a_pcapng_file_has_the_frames_and_what_is_said_of_each(tmp_path: Path) -> None:
    path = tmp_path / "lesson.pcapng"
    lines: list[str] = []
    talk([path, lines.append], loss=0.1)
    decoder = pcap.Decoder()
    packets = decoder.feed(path.read_bytes())
    decoder.finish()
    told = [line for line in lines if " > " in line or " < " in line]
    assert len(packets) == len(told)
    assert {packet.interface.name for packet in packets} == {"a", "b"}
    for packet, line in zip(packets, told, strict=True):
        why = line.partition(" | ")[2]
        assert packet.comment.endswith(why)
        assert packet.direction == (pcap.OUTBOUND if f" {packet.interface.name}" in line and " > " in line else pcap.INBOUND)
        assert len(packet.data) == packet.length
    assert any("data again" in packet.comment for packet in packets)
    left = [segment(packet.data, 14) for packet in packets if packet.interface.name == "a" and packet.direction == pcap.OUTBOUND]
    assert sum(s.n for s in left if s is not None) >= 20_000


def test_a_binary_stream_gets_pcapng() -> None:
    file = io.BytesIO()
    talk(file, n=10)
    assert file.getvalue()[:4] == b"\n\r\r\n", "and stays open"


# -- tracks: the Trace Event Format, as far as Perfetto reads it ---------------------------------------------------------------


def check_trace(events: list[dict[str, Any]]) -> None:
    """The rules of the format: what each phase must have, slices that nest, and times that don't go back within a thread."""
    slices: dict[tuple[int, int], int] = {}
    times: dict[tuple[int, int], float] = {}
    named: set[tuple[int, int]] = set()
    for event in events:
        assert event["ph"] in {"M", "B", "E", "i", "C"}
        assert isinstance(event["pid"], int)
        key = (event["pid"], event.get("tid", 0))
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name") and isinstance(event["args"]["name"], str)
            named.add(key)
            continue
        assert isinstance(event["ts"], (int, float)) and event["ts"] >= times.get(key, 0)
        times[key] = event["ts"]
        if event["ph"] == "C":
            assert event["args"] and all(isinstance(value, (int, float)) for value in event["args"].values())
            continue
        assert isinstance(event["tid"], int) and key in named
        if event["ph"] == "E":
            slices[key] = slices.get(key, 0) - 1
            assert slices[key] >= 0
            continue
        assert isinstance(event["name"], str) and event["name"]
        if event["ph"] == "B":
            slices[key] = slices.get(key, 0) + 1
        else:
            assert event["s"] == "t"
    assert not any(slices.values()), "every slice ends"


def test_a_json_file_has_a_track_for_each_connection_with_its_counters(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    talk(path, loss=0.1, rest=SECOND)
    events = json.loads(path.read_text("utf-8"))
    check_trace(events)
    assert {e["args"]["name"] for e in events if e.get("name") == "process_name"} == {"a", "b"}
    (track,) = {e["args"]["name"] for e in events if e.get("name") == "thread_name" and e["args"]["name"].startswith("a.")}
    assert track.endswith(" - b.80")
    counted = {e["name"] for e in events if e["ph"] == "C" and e["name"].startswith("a.")}
    assert counted == {f"{track} {name}" for name in COUNTERS}
    states = [e["name"] for e in events if e["ph"] == "B" and e["pid"] == 1]
    assert states[:2] == ["SYN-SENT", "ESTABLISHED"]


def test_a_trace_whose_writer_dies_can_be_read_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    talk(path, n=100)
    text = path.read_text("utf-8")
    assert text.endswith("\n]\n")
    cut = json.loads(text[: text.rindex(",\n")] + "]")
    check_trace([event for event in cut if event["ph"] not in "BE"])


# -- it never gets in the way ----------------------------------------------------------------------------------------------------


class Full:
    """A stream whose disk is full after some lines."""

    def __init__(self, lines: int) -> None:
        self.left = lines

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise OSError(28, "No space left on device")
        return len(text)


@pytest.mark.parametrize("to", [Full(0), Full(7), lambda line: 1 / 0], ids=["at once", "in the middle", "a fault of the function"])
def test_a_target_that_fails_ends_the_trace_and_not_the_network(to: Any) -> None:
    trace = talk(to)
    assert isinstance(trace.error, (OSError, ZeroDivisionError))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("kind", ["txt", "pcapng", "json"])
def test_a_full_disk_ends_the_trace_of_a_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"full.{kind}"
    path.symlink_to("/dev/full")
    assert isinstance(talk(path).error, OSError)


def test_the_wire_carries_the_same_bytes_whether_somebody_looks_or_not() -> None:
    def frames(look: bool) -> list[bytes]:
        world = World(seed=5, loss=0.2, delay=MILLISECOND)
        a, b = world.host("a"), world.host("b")
        server = Endpoint(b"y" * 30_000)
        b.listen(80, lambda: server)
        seen: list[bytes] = []
        world.wire.tamper(lambda name, frame: seen.append(frame) or frame)  # type: ignore[func-returns-value]
        trace = netstack.trace(world, to=[].append)
        if look:
            trace.start()
        a.connect(b, 80, Endpoint(b"x" * 30_000))
        world.rest(100 * SECOND)
        trace.stop()
        return seen

    assert frames(True) == frames(False)


def test_what_strangers_make_grow_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "FLOWS", 10)
    world = World(seed=3)
    a, b = world.host("a"), world.host("b")
    with netstack.trace(b, to=[].append) as trace:
        for port in range(1, 50):
            a.connect(b, port, Endpoint())
        world.rest(SECOND)
        assert len(trace._watchers[0].flows) == 10
    assert trace.error is None


# -- whom ----------------------------------------------------------------------------------------------------------------------


def test_a_host_that_comes_back_is_followed() -> None:
    world = World(seed=3)
    a, b = world.host("a"), world.host("b")
    lines: list[str] = []
    with netstack.trace(b, to=lines.append, port=80):
        a.connect(b, 80, Endpoint())
        world.rest(SECOND)
        b.crash()
        world.rest(SECOND)
        count = len(lines)
        b.restart()
        b.listen(80, Endpoint)
        a.connect(b, 80, Endpoint())
        world.rest(SECOND)
        assert count and len(lines) > count
        c = world.host("c")
        c.connect(b, 80, Endpoint())
        world.rest(SECOND)
        assert any("< c." in line for line in lines), "a host that is born later has its name"
    a.connect(b, 80, Endpoint())
    told = len(lines)
    world.rest(SECOND)
    assert len(lines) == told


def test_two_look_at_once_and_one_goes() -> None:
    world = World(seed=3)
    a, b = world.host("a"), world.host("b")
    b.listen(80, lambda: Endpoint(close=False))
    first: list[str] = []
    second: list[str] = []
    one, two = netstack.trace(a, to=first.append, port=80).start(), netstack.trace(a, b, to=second.append, port=80).start()
    client = a.connect(b, 80, Endpoint(close=False))
    world.rest(SECOND)
    assert first and [line for line in second if line.split()[1].startswith("a.")] == first
    one.stop()
    one.stop()
    told = len(first)
    assert client.conn is not None
    client.conn.abort(world.now)
    world.rest(SECOND)
    two.stop()
    assert len(first) == told and "ESTABLISHED→CLOSED: aborted by the program" in "".join(second)


async def conversation(world: World, lines: list[str]) -> None:
    """A connection under a loop; the same words for asyncio and trio."""
    a, b = world.host("a"), world.host("b")

    async def echo(stream: Any) -> None:
        await stream.send_all(await stream.receive())

    async with netstack.open_world(world):
        with netstack.trace(a.net, b, to=lines.append, port=80):
            listener = await b.net.serve_streams(echo, 80)
            stream = await a.net.connect_stream("10.0.0.2", 80)
            await stream.send_all(b"hi")
            assert await stream.receive() == b"hi"
            await stream.aclose()
            await listener.aclose()


@pytest.mark.parametrize("run", [lambda f, *args: netstack.run_virtual(f(*args)), run_virtual_trio], ids=["asyncio", "trio"])
def test_nets_of_both_runtimes_are_traced_in_virtual_time(run: Callable[..., None]) -> None:
    lines: list[str] = []
    run(conversation, World(seed=1, delay=10 * MILLISECOND), lines)
    text = "\n".join(lines)
    assert "b.80 < 10.0.0.1." in text or "b.80 < a." in text
    for change in ("CLOSED→SYN-SENT", "SYN-SENT→ESTABLISHED", "SYN-RECEIVED→ESTABLISHED", "ESTABLISHED→FIN-WAIT-1"):
        assert change in text


@pytest.mark.parametrize("whom, to, words", [
    ((), print, "whom to trace"),
    ((7,), print, "can't be traced"),
    ((World(),), "lesson.doc", "ends in .txt"),
    ((World(),), [], "to nowhere"),
    ((World(),), [3], "nothing to trace to"),
])  # fmt: skip
def test_mistakes_are_answered_in_a_sentence(whom: tuple[object, ...], to: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        netstack.trace(*whom, to=to).start()


def test_a_trace_is_used_once(tmp_path: Path) -> None:
    with netstack.trace(World(), to=tmp_path / "t.txt") as trace, pytest.raises(UsageError, match="already"):
        trace.start()


# -- hostile bytes --------------------------------------------------------------------------------------------------------------

IP4 = bytes.fromhex("4500003c0000000040060000") + bytes(8)


@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_not_read(b: bytes) -> None:
    for datagram in (b, IP4 + b):
        s = segment(datagram)
        assert s is None or s.n >= 0
    Words({}).other(_event(b, 14))
    Words({}).other(_event(IP4[:9] + b"\x11" + IP4[10:] + b, 0))


def _event(b: bytes, link: int) -> Any:
    from netstack.tracing.events import CAME, Event

    return Event(0, "x", CAME, b, len(b), link)


@given(st.integers(0, 2**32 - 1), st.integers(-(2**31), 2**31 - 1))
def test_numbers_lie_on_a_circle(a: int, n: int) -> None:
    assert between(a, (a + n) % 2**32) == n
