"""What a trace says: lines of whole lessons, and the reason of each thing that a connection can do."""

from __future__ import annotations

import pytest

import netstack
from netstack import const, raw
from netstack.instant import MILLISECOND, SECOND
from netstack.stack import StackConfig
from netstack.tcp import const as tc
from netstack.tcp.config import TcpConfig
from netstack.tcp.mib import TcpExt
from netstack.tcp.recovery.history import REASONS
from netstack.testing.net import Endpoint, Host, World
from netstack.tracing import reasons
from netstack.tracing.reading import ACK, SYN, segment

PLAIN = StackConfig(tcp=TcpConfig(timestamps=False))


class Lesson:
    """Two hosts on a link that the test may spoil, and what their trace says of connections to port 80."""

    def __init__(self, config: StackConfig | None = None, delay: int = 10 * MILLISECOND, **options: object) -> None:
        self.world = World(seed=1)
        self.a = self.world.host("a", config=config)
        self.b = self.world.host("b", config=config)
        self.link = self.world.link(self.a, self.b, delay=delay)
        self.lines: list[str] = []
        self.trace = netstack.trace(self.world, to=self.lines.append, port=80).start()

    def connect(self, to_server: bytes = b"", to_client: bytes = b"", *, close: bool = True) -> tuple[Endpoint, Endpoint]:
        server = Endpoint(to_client, close=close)
        self.b.listen(80, lambda: server)
        return self.a.connect(self.b, 80, Endpoint(to_server, close=close)), server

    def said(self, what: str) -> list[str]:
        return [line for line in self.lines if what in line]

    def one(self, what: str) -> str:
        (line,) = self.said(what)
        return line

    def drop(self, *numbers: int, way: str = "a>b", data_only: bool = True) -> None:
        """Lose those of the segments of one direction, counted from 0; with `data_only`, of those with text."""
        seen = iter(range(1 << 30))

        def tamper(name: str, datagram: bytes) -> bytes | None:
            s = segment(datagram)
            if name != way or s is None or (data_only and not s.n):
                return datagram
            return None if next(seen) in numbers else datagram

        self.link.tamper(tamper)

    def done(self) -> Lesson:
        assert self.trace.error is None
        self.trace.stop()
        return self


def test_a_whole_connection_is_told_line_by_line() -> None:
    lesson = Lesson()
    client, server = lesson.connect(b"hi", close=False)
    lesson.world.run(until=lambda: server.received == b"hi")
    lesson.world.rest(SECOND)
    assert client.conn is not None and server.conn is not None
    client.conn.shutdown(lesson.world.now)
    lesson.world.rest(SECOND)
    server.conn.shutdown(lesson.world.now)
    lesson.world.rest(100 * SECOND)
    port = client.conn.local_port
    syn = "mss 1460 wscale 9 sackOK timestamps"
    told = [line.replace(str(port), "PORT") for line in lesson.done().lines]
    assert told == [
        f"0.000000 a.PORT > b.80 SYN Seq 0 Win 65535 {syn}"
        " | CLOSED→SYN-SENT: active OPEN, send SYN; RTO 1.000 s: no round trip is known yet",
        f"0.010000 b.80 < a.PORT SYN Seq 0 Win 65535 {syn} | CLOSED→SYN-RECEIVED: a listener's SYN, send SYN,ACK",
        f"0.010000 b.80 > a.PORT SYN,ACK Seq 0 Ack 1 Win 65535 {syn} | RTO 1.000 s: no round trip is known yet",
        f"0.020000 a.PORT < b.80 SYN,ACK Seq 0 Ack 1 Win 65535 {syn}"
        " | SYN-SENT→ESTABLISHED: receive SYN,ACK, send ACK; agreed: MSS 1448, windows in units of 512 and 512, SACK, timestamps;"
        " round trip 0.020 s, RTO 0.220 s",
        "0.020000 a.PORT > b.80 Seq 1:3 Ack 1 Win 65536 | new data; RTO 0.220 s",
        "0.030000 b.80 < a.PORT Seq 1:3 Ack 1 Win 65536"
        " | SYN-RECEIVED→ESTABLISHED: receive ACK of SYN; in order: 2 bytes for the reader; round trip 0.020 s, RTO 0.220 s",
        "0.070000 b.80 > a.PORT Seq 1 Ack 3 Win 65536 | delayed ACK: 40 ms have passed, and nothing was sent that could carry it",
        "0.080000 a.PORT < b.80 Seq 1 Ack 3 Win 65536 | acknowledges 2 bytes: all that was sent; round trip 0.060 s, RTO 0.225 s",
        "1.030000 a.PORT > b.80 FIN Seq 3 Ack 1 Win 65536"
        " | ESTABLISHED→FIN-WAIT-1: CLOSE, send FIN; the end of our data; RTO 0.225 s",
        "1.040000 b.80 < a.PORT FIN Seq 3 Ack 1 Win 65536 | ESTABLISHED→CLOSE-WAIT: receive FIN, send ACK",
        "1.040000 b.80 > a.PORT Seq 1 Ack 4 Win 65536 | acknowledges the FIN",
        "1.050000 a.PORT < b.80 Seq 1 Ack 4 Win 65536"
        " | FIN-WAIT-1→FIN-WAIT-2: receive ACK of FIN; acknowledges our FIN; round trip 0.020 s, RTO 0.224 s",
        "2.030000 b.80 > a.PORT FIN Seq 1 Ack 4 Win 65536 | CLOSE-WAIT→LAST-ACK: CLOSE, send FIN; the end of our data; RTO 0.220 s",
        "2.040000 a.PORT < b.80 FIN Seq 1 Ack 4 Win 65536",
        "2.040000 a.PORT > b.80 Seq 4 Ack 2 Win 65536 | FIN-WAIT-2→TIME-WAIT: receive FIN, send ACK; acknowledges the FIN",
        "2.050000 b.80 < a.PORT Seq 4 Ack 2 Win 65536 | LAST-ACK→CLOSED: receive ACK of FIN",
        "62.040000 a.PORT - b.80 | TIME-WAIT→CLOSED: 2 MSL have passed",
    ]


def test_a_lonely_segment_that_is_lost_is_probed_for_and_then_timed_out() -> None:
    lesson = Lesson()
    lesson.drop(0, 1)
    _, server = lesson.connect(b"x" * 100)
    lesson.world.run(until=lambda: bool(server.received))
    first, second = lesson.said("data again")
    assert "tail loss probe: an ACK is overdue (RFC 8985 7)" in first
    assert "RTO after 0.220 s, backoff 1, the next in 0.440 s; cwnd 14480→1448; ssthresh unlimited→2896" in second
    lesson.done()


def test_without_an_answer_the_syn_is_sent_again_ever_more_rarely() -> None:
    lesson = Lesson()
    lesson.link.cut()
    client, _ = lesson.connect()
    lesson.world.rest(200 * SECOND)
    again = lesson.said("again: no answer")
    assert "backoff 1; the next in 2.000 s" in again[0] and "backoff 2; the next in 4.000 s" in again[1]
    assert "SYN-SENT→CLOSED: nobody answers: given up" in lesson.done().lines[-1]
    assert client.is_closed


def test_a_loss_in_the_middle_is_found_by_sacks() -> None:
    lesson = Lesson()
    lesson.drop(3)
    _, server = lesson.connect(b"x" * 20000, close=False)
    lesson.world.run(until=lambda: len(server.received) == 20000)
    assert "1448 bytes before it missing; 1448 wait for that" in lesson.said("out of order")[0]
    assert "duplicate ACK at once" in lesson.said(" SACK ")[0]
    assert "fast recovery begins" in lesson.one("SACKs show a loss")
    assert "what was sent after it has arrived (RACK, RFC 8985)" in lesson.one("data again")
    assert "for the reader" in lesson.said("fills a hole")[0]
    lesson.world.rest(SECOND)
    assert lesson.said("fast recovery is over")
    lesson.done()


def test_three_duplicate_acks_where_there_is_no_sack() -> None:
    lesson = Lesson(StackConfig(tcp=TcpConfig(timestamps=False, sack=False)))
    lesson.drop(3)
    _, server = lesson.connect(b"x" * 20000)
    lesson.world.run(until=lambda: len(server.received) == 20000)
    assert "duplicate ACK 3" in lesson.one("three duplicate ACKs are a loss")
    assert "three duplicate ACKs (fast retransmit, RFC 5681 3.2)" in lesson.one("data again")
    lesson.done()


def test_a_shut_window_is_said_and_probed() -> None:
    lesson = Lesson()
    client, server = lesson.connect(b"x" * 200_000, close=False)
    lesson.world.run(until=lambda: len(server.received) > 0)
    assert server.conn is not None and client.conn is not None
    server.conn.pause(lesson.world.now)
    lesson.world.rest(3 * SECOND)
    assert lesson.said("the peer's window is full: ")
    assert lesson.said("our window is shut: the reader does not keep up")
    assert lesson.said("the peer's window is shut: its reader does not keep up")
    probes = lesson.said("zero-window probe")
    assert len(probes) >= 2 and "is it open again?" in probes[0]
    server.conn.resume(lesson.world.now)
    lesson.world.rest(SECOND)
    assert lesson.said("our window is open again") and lesson.said("the peer's window is open again")
    lesson.done()


def test_resets_say_why() -> None:
    lesson = Lesson()
    lesson.a.connect(lesson.b, 80, Endpoint())
    lesson.world.rest(SECOND)
    assert "nobody listens on port 80" in lesson.one("> a.")
    assert "SYN-SENT→CLOSED: refused by the peer" in lesson.one("< b.80")
    client, server = lesson.connect(close=False)
    lesson.world.rest(SECOND)
    assert client.conn is not None and server.conn is not None
    client.conn.abort(lesson.world.now)
    lesson.world.rest(SECOND)
    assert "RST,ACK" in lesson.one("| the program has aborted")
    assert lesson.one("ESTABLISHED→CLOSED: aborted by the program")
    assert lesson.one("ESTABLISHED→CLOSED: reset by the peer")
    lesson.done()


def test_data_for_a_program_that_has_closed_is_answered_by_a_reset() -> None:
    lesson = Lesson()
    client, server = lesson.connect(close=False)
    lesson.world.rest(SECOND)
    assert client.conn is not None and server.conn is not None
    server.conn.close(lesson.world.now)
    lesson.world.rest(SECOND)
    client.conn.write(b"too late", lesson.world.now)
    lesson.world.rest(SECOND)
    assert "RST,ACK" in lesson.one("it must not seem to have arrived")
    assert "data for a program that has closed: reset" in next(line for line in lesson.said("Seq 1:9 ") if " < " in line)
    lesson.done()


def test_a_keep_alive_is_called_so() -> None:
    lesson = Lesson(StackConfig(tcp=TcpConfig(keepalive=10 * SECOND)))
    lesson.connect(close=False)
    lesson.world.rest(15 * SECOND)
    assert len(lesson.said("keep-alive: nothing was heard for long")) == 2, "both sides ask"
    lesson.done()


def test_what_came_twice_is_said_to_have() -> None:
    world = World(seed=1, duplicate=1.0, delay=MILLISECOND)
    a, b = world.host("a"), world.host("b")
    server = Endpoint(close=False)
    b.listen(80, lambda: server)
    lines: list[str] = []
    with netstack.trace(b, to=lines.append, port=80) as trace:
        a.connect(b, 80, Endpoint(b"x" * 100, close=False))
        world.rest(SECOND)
    assert trace.error is None
    assert any("all of it had come before: dropped" in line for line in lines)
    assert any("it has come twice" in line for line in lines)


def test_nagle_and_idle_restart_leave_their_marks() -> None:
    lesson = Lesson()
    client, server = lesson.connect(b"x" * 100_000, close=False)
    lesson.world.run(until=lambda: len(server.received) == 100_000)
    lesson.world.rest(60 * SECOND)
    assert client.conn is not None
    client.conn.write(b"y" * 100, lesson.world.now)
    lesson.world.rest(SECOND)
    (line,) = [line for line in lesson.said("Seq 100001:100101") if " > " in line]
    assert "new data" in line and "cwnd" in line, "after so long there is no ACK clock (RFC 5681 4.1)"
    assert lesson.said("(slow start)")
    lesson.done()


def test_every_reason_that_a_retransmission_can_have_has_words() -> None:
    assert set(reasons.AGAIN) == set(REASONS) - {tc.BY_SYN}


def test_counters_that_are_said_exist() -> None:
    assert set(reasons.SAID) <= set(TcpExt.MEANING)


DURATIONS = {0: "0.000 s", 500: "0 us", 250_000: "250 us", 240 * MILLISECOND: "0.240 s", 120 * SECOND: "120 s"}


@pytest.mark.parametrize("ns, text", DURATIONS.items())
def test_durations(ns: int, text: str) -> None:
    assert reasons.seconds(ns) == text


def test_a_challenge_is_called_so_and_so_is_what_is_not_believed() -> None:
    """A stranger guesses: a reset in the window, but not at RCV.NXT (RFC 5961 3)."""
    lesson = Lesson(PLAIN)
    client, _ = lesson.connect(close=False)
    lesson.world.rest(SECOND)
    assert client.conn is not None
    inject(lesson.b, client.conn.local_port, client.conn.iss + 100, 0, 4, lesson.world.now, lesson.a)
    assert "a reset that is not exactly at RCV.NXT: not believed" in lesson.one("RST Seq")
    assert "prove that you are the peer" in lesson.one("challenge ACK")
    inject(lesson.b, client.conn.local_port, client.conn.iss + 1, 99, ACK, lesson.world.now, lesson.a)
    assert "its ACK is for what was never sent" in lesson.said("RFC 5961 5")[0]
    inject(lesson.b, client.conn.local_port, client.conn.iss + 100_000_000, 1, ACK, lesson.world.now, lesson.a)
    assert "outside of the receive window" in lesson.lines[-1]
    assert "no challenge ACK: at most one in half a second" in lesson.lines[-1]
    inject(lesson.b, 9, 1, 1, SYN | ACK, lesson.world.now, lesson.a)
    assert "there is no such connection" in lesson.lines[-1]
    lesson.done()


def inject(host: Host, port: int, seq: int, ack: int, flags: int, now: int, pretended: Host) -> None:
    """Hand `host` a segment to its port 80, without text, as if it came from `pretended`."""
    header = bytearray(40)
    header[0:20] = (
        bytes.fromhex("45000028000040004006 0000".replace(" ", "")) + pretended.ip.to_bytes(4, "big") + host.ip.to_bytes(4, "big")
    )
    raw.p16(header, 10, raw.csum(header, 0, 20, 0) ^ 0xFFFF)
    header[20:36] = (
        port.to_bytes(2, "big") + (80).to_bytes(2, "big") + (seq & 0xFFFFFFFF).to_bytes(4, "big") + ack.to_bytes(4, "big")
        + (0x5000 | flags).to_bytes(2, "big") + (100).to_bytes(2, "big")
    )  # fmt: skip
    raw.p16(header, 36, raw.csum(header, 20, 20, raw.csum(header, 12, 8, const.PROTO_TCP + 20)) ^ 0xFFFF)
    netif = host.stack.netif
    netif.receive(bytes(header), now)  # type: ignore[attr-defined]  # a device in memory
    netif.flush(now)  # type: ignore[attr-defined]
