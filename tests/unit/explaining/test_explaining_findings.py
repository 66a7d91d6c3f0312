"""What is found in captures of lessons, whose causes are known: each kind of trouble is called by its name, and no other."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from netstack import pcap
from netstack.errors import WireError
from netstack.explaining.findings import Finding, duration, findings, size
from netstack.explaining.gather import Gathered, gather
from netstack.explaining.talk import Talk
from netstack.instant import MILLISECOND, SECOND
from netstack.pcap import PcapngWriter, PcapWriter
from netstack.testing.net import Endpoint, World
from netstack.tracing.reading import ACK, FIN, PSH, RST, SYN, segment

C, S = 0x0A000001, 0x0A000002


class Tape:
    """A capture that is written by hand. Times are milliseconds; the client's numbers begin at 1000, the server's at 5000."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self._writer = PcapWriter(self.blocks.append, pcap.RAW)

    def put(
        self, ms: float, by_client: bool, flags: int, seq: int = 0, ack: int = 0, n: int = 0, win: int = 60000, options: bytes = b""
    ) -> None:
        mine, theirs = (1000, 5000) if by_client else (5000, 1000)
        options += b"\1" * (-len(options) % 4)
        ports = b"\x9c\x40\0\x50" if by_client else b"\0\x50\x9c\x40"
        tcp = ports + ((mine + seq) & 0xFFFFFFFF).to_bytes(4, "big")
        tcp += ((theirs + ack) & 0xFFFFFFFF if flags & ACK else 0).to_bytes(4, "big")
        tcp += ((20 + len(options)) << 10 | flags).to_bytes(2, "big") + win.to_bytes(2, "big") + bytes(4) + options + bytes(n)
        ends = (C, S) if by_client else (S, C)
        head = (
            b"\x45\0"
            + (20 + len(tcp)).to_bytes(2, "big")
            + b"\0\0\x40\0\x40\x06\0\0"
            + b"".join(e.to_bytes(4, "big") for e in ends)
        )
        self._writer.packet(int(ms * MILLISECOND), head + tcp)

    def open(self, rtt: float = 40, mss: int = 1000) -> float:
        option = b"\2\4" + mss.to_bytes(2, "big")
        self.put(0, True, SYN, options=option)
        self.put(rtt, False, SYN | ACK, 0, 1, options=option)
        self.put(rtt, True, ACK, 1, 1)
        return rtt

    def talk(self) -> Talk:
        (talk,) = gather(io.BytesIO(b"".join(self.blocks))).talks
        return talk

    def found(self) -> dict[str, Finding]:
        return {each.title: each for each in findings(self.talk())}


def test_a_quiet_connection_has_nothing_bad() -> None:
    tape = Tape()
    t = tape.open()
    tape.put(t, True, ACK | PSH, 1, 1, 100)
    tape.put(t + 40, False, ACK | PSH, 1, 101, 500)
    tape.put(t + 41, True, ACK | FIN, 101, 501)
    tape.put(t + 81, False, ACK | FIN, 501, 102)
    tape.put(t + 81, True, ACK, 102, 502)
    assert set(tape.found()) == {"Nothing was lost", "The handshake"}
    talk = tape.talk()
    assert (talk.client, talk.server, talk.ended) == ((C, 40000), (S, 80), "closed")
    assert (talk.out.bytes, talk.back.bytes) == (100, 500)
    assert talk.round_trip == 40 * MILLISECOND and talk.out.min_rtt == 40 * MILLISECOND
    assert "beside the client" in tape.found()["The handshake"].text


def test_numbers_go_on_past_two_to_the_32() -> None:
    tape = Tape()
    for flags, seq in ((SYN, -1000 - 500), (ACK, -1499)):
        tape.put(0, True, flags, seq, 1)
    for i in range(10):
        tape.put(i, True, ACK, -1499 + 100 * i, 1, 100)
    talk = tape.talk()
    assert talk.out.bytes == 1000 and not talk.out.marks.all


def data(tape: Tape, t: float, first: int, last: int, skip: tuple[int, ...] = ()) -> None:
    """Segments of 1000 bytes, numbered from 0, a millisecond apart."""
    for i in range(first, last):
        if i not in skip:
            tape.put(t + i - first, True, ACK, 1 + 1000 * i, 1, 1000)


def test_a_fast_retransmission_is_told_from_a_time_out_and_a_tail_probe() -> None:
    tape = Tape()
    t = tape.open()
    data(tape, t, 0, 6)
    for i in range(4):
        tape.put(t + 42 + i, False, ACK, 1, 1001)
    tape.put(t + 47, True, ACK, 1001, 1, 1000)
    tape.put(t + 90, False, ACK, 1, 6001)
    data(tape, t + 100, 6, 7)
    tape.put(t + 200, True, ACK, 6001, 1, 1000)
    tape.put(t + 500, True, ACK, 6001, 1, 1000)
    tape.put(t + 540, False, ACK, 1, 7001)
    tape.put(t + 550, True, ACK, 6001, 1, 1000)
    assert tape.talk().out.marks.count == {"fast": 1, "tail": 1, "timeout": 1, "needless": 1}
    found = tape.found()["The client sent data again"]
    assert "4 segments again" in found.text and found.weight == "bad"
    for words in ("fast retransmit", "tail loss probe", "after a time-out", "had been acknowledged"):
        assert words in found.text
    assert found.packets[0] == 14


def test_a_dsack_makes_it_spurious() -> None:
    tape = Tape()
    t = tape.open()
    data(tape, t, 0, 2)
    tape.put(t + 300, True, ACK, 1, 1, 1000)
    tape.put(t + 310, False, ACK, 1, 2001)
    tape.put(t + 340, False, ACK, 1, 2001, options=b"\5\12" + (1001).to_bytes(4, "big") + (2001).to_bytes(4, "big"))
    assert tape.talk().out.spurious == 1
    assert "not needed" in tape.found()["The client sent data again"].text


def test_what_was_lost_before_the_capture_comes_late() -> None:
    tape = Tape()
    t = tape.open()
    data(tape, t, 0, 5, skip=(2,))
    tape.put(t + 80, True, ACK, 2001, 1, 1000)
    assert tape.talk().out.marks.count == {"late": 1}
    found = tape.found()
    assert found["The client's data came out of order"].weight == "note" and "Nothing was lost" not in found
    assert tape.talk().out.bytes == 5000


def test_a_shut_window_is_the_readers_fault() -> None:
    tape = Tape()
    t = tape.open()
    data(tape, t, 0, 3)
    tape.put(t + 40, False, ACK, 1, 3001, win=0)
    tape.put(t + 300, True, ACK, 3001, 1, 1)
    tape.put(t + 340, False, ACK, 1, 3001, win=0)
    tape.put(t + 900, False, ACK, 1, 3001, win=9000)
    found = tape.found()["The server could not keep up"]
    assert "1 time, for 860 ms together" in found.text and "1 probe of the client" in found.text
    assert "The client sent data again" not in tape.found()


def test_a_small_window_limits_the_rate() -> None:
    tape = Tape()
    t = tape.open()
    for round_ in range(12):
        data(tape, t + 50 * round_, 4 * round_, 4 * round_ + 4)
        tape.put(t + 50 * round_ + 45, False, ACK, 1, 1 + 4000 * (round_ + 1), win=4000)
    found = tape.found()["The server's window limits the rate"]
    assert "4.0 kB in a round trip of" in found.text


def test_nagle_and_delayed_acks_are_recognised() -> None:
    tape = Tape()
    t = tape.open(rtt=1)
    data(tape, t, 0, 1)
    tape.put(t + 1, False, ACK, 1, 1001)
    at, seq = t + 10, 1001
    for _ in range(4):
        tape.put(at, True, ACK | PSH, seq, 1, 50)
        tape.put(at + 200, False, ACK, 1, seq + 50)
        at, seq = at + 200.2, seq + 50
    tape.put(at, True, ACK | PSH, seq, 1, 50)
    found = tape.found()["Small writes wait for delayed ACKs"]
    assert "4 times" in found.text and "TCP_NODELAY" in found.text


SHAKEN = [(40, False, SYN | ACK, 0, 1), (40, True, ACK, 1, 1)]
RESETS = [
    ([(50, False, RST | ACK, 0, 1)], "The server refused", "Nobody listens on port 80"),
    ([*SHAKEN, (90, True, RST, 1, 0)], "The connection was reset", "the client's program aborted"),
    ([*SHAKEN, (50, True, FIN | ACK, 1, 1), (60, True, RST, 2, 0)], "The connection was reset", "It had ended its side before"),
]


@pytest.mark.parametrize("ends, title, words", RESETS)
def test_a_reset_has_somebody_who_sent_it_and_an_occasion(ends: list[Any], title: str, words: str) -> None:
    tape = Tape()
    tape.put(0, True, SYN)
    for ms, by_client, flags, seq, ack in ends:
        tape.put(ms, by_client, flags, seq, ack)
    assert words in tape.found()[title].text and "packet" in tape.found()[title].text


def test_a_syn_into_the_void() -> None:
    tape = Tape()
    for ms in (0, 1000, 3000):
        tape.put(ms, True, SYN)
    assert "3 times in 3.00 s and heard nothing" in tape.found()["The server never answered"].text
    assert tape.talk().ended == "never answered"
    tape.put(3040, False, SYN | ACK, 0, 1)
    assert "the first answer took 3.04 s" in tape.found()["The SYN was sent again"].text


def test_a_slow_server_is_told_from_a_slow_network() -> None:
    tape = Tape()
    t = tape.open()
    tape.put(t, True, ACK | PSH, 1, 1, 100)
    tape.put(t + 40, False, ACK, 1, 101)
    tape.put(t + 1040, False, ACK | PSH, 1, 101, 200)
    assert "it took 1.00 s together" in tape.found()["The server took its time"].text


def test_a_trace_of_both_hosts_is_looked_at_from_one(tmp_path: Any) -> None:
    import netstack

    world = World(seed=1, delay=10 * MILLISECOND)
    a, b = world.host("a"), world.host("b")
    server = Endpoint()
    b.listen(80, lambda: server)
    with netstack.trace(world, to=tmp_path / "both.pcapng"):
        a.connect(b, 80, Endpoint(b"x" * 30000))
        world.rest(SECOND)
    (talk,) = gather(tmp_path / "both.pcapng").talks
    assert not talk.out.marks.all and talk.out.bytes == 30000 and talk.round_trip == 20 * MILLISECOND


def test_a_lesson_is_explained_as_its_trace_tells_it(tmp_path: Any) -> None:
    """Our own stack says why it sent something again; what is inferred from the capture alone agrees."""
    import netstack

    world = World(seed=1)
    a, b = world.host("a"), world.host("b")
    link = world.link(a, b, delay=10 * MILLISECOND)
    seen = iter(range(1 << 20))

    def spoil(name: str, datagram: bytes) -> bytes | None:
        s = segment(datagram)
        return None if name == "a>b" and s is not None and s.n and next(seen) in (3, 40, 41, 42) else datagram

    link.tamper(spoil)
    server = Endpoint()
    b.listen(80, lambda: server)
    lines: list[str] = []
    with netstack.trace(a, to=[tmp_path / "a.pcapng", lines.append]):
        a.connect(b, 80, Endpoint(b"x" * 61_000, close=False))
        world.rest(10 * SECOND)
    (talk,) = gather(tmp_path / "a.pcapng").talks
    told = {"fast": "RACK", "timeout": "RTO after", "tail": "tail loss probe: an"}
    for kind, words in told.items():
        assert talk.out.marks.count.get(kind, 0) == sum("again" in line and words in line for line in lines), kind
    assert talk.out.again() >= 4


# -- bounds, and hostile files ----------------------------------------------------------------------------------------------------


def test_ipv6_is_explained_too() -> None:
    blocks: list[bytes] = []
    writer = PcapWriter(blocks.append, pcap.RAW)
    tcp = (40000).to_bytes(2, "big") + (80).to_bytes(2, "big") + bytes(8) + b"\x50\x02\xff\xff" + bytes(4)
    writer.packet(0, b"\x60\0\0\0" + len(tcp).to_bytes(2, "big") + b"\x06\x40" + bytes(15) + b"\1" + bytes(15) + b"\2" + tcp)
    from netstack.explaining.gather import end_text

    (talk,) = gather(io.BytesIO(b"".join(blocks))).talks
    assert end_text(talk.server, talk.version) == "[::2]:80"


def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netstack.explaining.gather.TALKS", 5)
    blocks: list[bytes] = []
    writer = PcapWriter(blocks.append, pcap.RAW)
    for i in range(20):
        tcp = i.to_bytes(2, "big") + (80).to_bytes(2, "big") + bytes(8) + b"\x50\x02\xff\xff" + bytes(4)
        writer.packet(i, b"\x45\0\0\x28\0\0\0\0\x40\x06\0\0" + C.to_bytes(4, "big") + S.to_bytes(4, "big") + tcp)
    found = gather(io.BytesIO(b"".join(blocks)))
    assert (len(found.talks), found.missed) == (5, 15)


def test_a_file_that_breaks_off_in_the_middle_is_explained_up_to_there() -> None:
    tape = Tape()
    tape.open()
    whole = b"".join(tape.blocks)
    found = gather(io.BytesIO(whole + b"\xff" * 16))
    assert found.packets == 3 and "packet 4" in found.trouble
    with pytest.raises(WireError):
        gather(io.BytesIO(b"nonsense, and no capture"))


def test_an_empty_capture_has_nothing_in_it() -> None:
    blocks: list[bytes] = []
    PcapngWriter(blocks.append)
    found = gather(io.BytesIO(b"".join(blocks)))
    assert isinstance(found, Gathered) and not found.talks


VALUES: list[tuple[Callable[[Any], str], float, str]] = [
    (duration, 1500, "2 µs"), (duration, 40 * MILLISECOND, "40.0 ms"), (duration, 3 * SECOND, "3.00 s"),
    (size, 999, "999 bytes"), (size, 1500, "1.5 kB"), (size, 2.5e9, "2.5 GB"),
]  # fmt: skip


@pytest.mark.parametrize("text, value, said", VALUES)
def test_sizes_and_durations(text: Callable[[Any], str], value: float, said: str) -> None:
    assert text(value) == said
