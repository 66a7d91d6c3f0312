"""Peers with a connection of their own who want more than their share: of our memory, our work, our time, or of the path."""

import random
import time
import tracemalloc
from collections.abc import Callable

import pytest

from netstack import const
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig
from netstack.tcp.connection import Connection
from netstack.tcp.wire import Segment, mss_option, sack_permitted_option
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]


class Reader:
    """A peer that acknowledges what it likes, on a connection with these options, to a user who wrote `text`."""

    def __init__(self, peer: TcpScript, text: bytes, mss: int = 1460, options: bytes = sack_permitted_option()) -> None:
        self.peer = peer
        self.text = text
        self.got = bytearray(len(text))
        peer.window, peer.scale = 65535 << 7, 7
        peer.listen()
        peer.send("S", seq=0, options=mss_option(mss) + options + bytes.fromhex("01030307"))
        peer.expect("SA", seq=0, ack=1)
        peer.send("A", seq=1, ack=1)
        peer.conn.write(text, peer.now)

    def read(self) -> tuple[int, int]:
        """(segments, highest offset) of what has come since the last call. A segment with another payload than it must have
        fails."""
        highest = 0
        segments = self.peer.take()
        for segment in segments:
            at = (segment.seq - self.peer.local_iss - 1) & const.M32
            end = at + len(segment.payload)
            if segment.payload:
                assert segment.payload == self.text[at:end]
                self.got[at:end] = segment.payload
                highest = max(highest, end)
        self.peer.packets.clear()
        return len(segments), highest

    def ack(self, offset: int, *blocks: tuple[int, int]) -> None:
        """Acknowledge all before `offset`, and SACK the blocks."""
        options = b""
        if blocks:
            base = self.peer.local_iss + 1
            edges = b"".join(((base + edge) & const.M32).to_bytes(4, "big") for block in blocks for edge in block)
            options = bytes((1, 1, 5, 2 + len(edges))) + edges
        self.peer.send("A", seq=1, ack=1 + offset, options=options)

    def grow(self, flight: int) -> int:
        """Behave, until so many bytes are in flight; returns how many are acknowledged."""
        acked = 0
        for _ in range(100):
            highest = self.read()[1]
            if highest - acked >= flight:
                return acked
            acked = max(acked, highest)
            self.peer.advance(20 * MILLISECOND)
            self.ack(acked)
        raise AssertionError("the flight never became so long")

    def finish(self, acked: int) -> None:
        """Behave, to the end: with cumulative ACKs alone, whatever was SACKed before. It must all come."""
        top = acked
        for _ in range(20_000):
            top = max(top, self.read()[1])
            while top < len(self.got) and self.got[top]:
                top += 1
            if acked == len(self.text):
                break
            known = acked
            while known < top and self.got[known]:
                known += 1
            if known == acked:
                assert self.peer.run_to_timer() < 200 * SECOND
            else:
                acked = known
                self.ack(acked)
        assert self.peer.conn.unsent == 0


def cost(step: Callable[[int], object], rounds: int) -> tuple[float, float]:
    """Seconds of this process for the first and for the second half of `rounds` steps."""
    taken = []
    for half in (range(rounds // 2), range(rounds // 2, rounds)):
        begun = time.process_time()
        for i in half:
            step(i)
        taken.append(time.process_time() - begun)
    return taken[0], taken[1]


# -- SACK panic: CVE-2019-11477, 11478, 11479 ---------------------------------------------------------------------------------

TEXT = bytes(1 + i % 255 for i in range(1 << 20))


@pytest.mark.parametrize("mss", [1, 1460])
def test_sacks_of_every_second_byte_cost_bounded_work_and_memory(script: Make, mss: int) -> None:
    """Each block would split a segment in a queue that is made of segments; ours is made of the user's bytes."""
    peer = script()
    reader = Reader(peer, TEXT, mss)
    acked = reader.grow(200_000)
    sent = 0

    def strike(i: int) -> None:
        nonlocal sent
        at = acked + 1 + i * 8
        reader.ack(acked, *((at + 2 * k, at + 2 * k + 1) for k in range(4)))
        sent += reader.read()[0]

    strike(0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for i in range(1, 2000):
            strike(i)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 1_500_000, "8,000 holes: what is kept of them is bounded"
    first, second = cost(lambda i: strike(2000 + i), 2000)
    assert second < 4 * first + 0.2, "and so is the search among them"
    per_segment = peer.conn.mss
    assert sent < 2 * len(TEXT) / per_segment + 1000, "an ACK draws no storm of retransmissions"
    reader.finish(acked)


def test_blocks_that_cannot_be_change_nothing(script: Make) -> None:
    """RFC 2018 5.1, RFC 2883 3: outside of what is in flight, the wrong way round, empty, beyond half of the circle."""
    peer = script()
    reader = Reader(peer, TEXT)
    acked = reader.grow(100_000)
    rng = random.Random(1)
    for _ in range(50):
        top = (peer.conn.snd_max - peer.conn.snd_una) & const.M32
        wrong = [(top, top + 1), (top - 1, top + 1), (50, 40), (50, 50), (-50, 50), (2**31, 2**31 + 5), (10, 2**31 + 20)]
        for _ in range(2):  # a third that repeats the ACK would be a sign of loss without SACK
            reader.ack(acked, *((acked + left, acked + right) for left, right in rng.sample(wrong, 4)))
        assert (peer.conn.snd_una - peer.local_iss - 1) & const.M32 == acked
        acked += 1460
        reader.ack(acked)
    assert peer.tcp.mib.RetransSegs == 0
    reader.finish(acked)


def test_a_peer_that_takes_back_what_it_sacked_gets_it_again(script: Make) -> None:
    """RFC 2018 8: reneging. What is SACKed may not be forgotten by the sender."""
    peer = script()
    reader = Reader(peer, TEXT[:300_000])
    acked = reader.grow(100_000)
    mss = peer.conn.mss
    for _ in range(5):
        reader.ack(acked, (acked + mss, acked + 40 * mss))
    reader.read()
    reader.got[acked:] = bytes(len(reader.got) - acked)  # its memory was short
    reader.finish(acked)


# -- more of the path than is fair --------------------------------------------------------------------------------------------


def test_an_ack_for_each_byte_opens_the_window_by_bytes_and_not_by_acks(script: Make) -> None:
    """ACK division (Savage 1999; RFC 3465)."""
    peer = script()
    reader = Reader(peer, TEXT)
    acked = reader.grow(20_000)
    before = peer.conn.info().cwnd
    for i in range(1, 1461):
        reader.ack(acked + i)
    assert peer.conn.info().cwnd <= before + 1460
    assert reader.read()[0] <= 4
    reader.finish(acked + 1460)


def test_duplicate_acks_without_end_let_out_no_more_than_was_in_flight(script: Make) -> None:
    """DupACK spoofing (Savage 1999; RFC 5681 3.2 asks for this bound): each says that a segment has left the network."""
    peer = script()
    reader = Reader(peer, TEXT, options=b"")
    acked = reader.grow(40_000)
    conn = peer.conn
    flight = (conn.snd_max - conn.snd_una) & const.M32
    for _ in range(2000):
        reader.ack(acked)
    reader.read()
    out = (conn.snd_max - conn.snd_una) & const.M32
    assert out <= 2 * flight + 3 * conn.mss
    reader.finish(acked)


def test_lies_about_duplicates_open_no_window(script: Make) -> None:
    """RFC 2883: a D-SACK may undo a reduction; without one there is nothing to undo."""
    peer = script()
    reader = Reader(peer, TEXT)
    acked = reader.grow(60_000)
    before = peer.conn.info().cwnd
    for i in range(1000):
        at = (i * 1460) % max(1460, acked - 1460)
        reader.ack(acked, (at, at + 1460))
    assert peer.conn.info().cwnd <= before
    segments, _ = reader.read()
    assert segments <= 60, "no more than was in flight, if they count as duplicate ACKs"
    reader.finish(acked)


def test_optimistic_acks_never_get_ahead_of_what_was_sent(script: Make) -> None:
    """Each is challenged, twice a second, and moves nothing; at most the path is taken to be shorter than it is."""
    peer = script()
    reader = Reader(peer, TEXT)
    acked = reader.grow(20_000)
    conn = peer.conn
    before, una = conn.info().cwnd, conn.snd_una
    for ahead in range(1, 200):
        reader.ack(acked + 20_000 + 1460 * ahead + len(TEXT))
    assert conn.snd_una == una and conn.info().cwnd == before and peer.tcp.ext.InBadAck == 199
    assert reader.read()[0] <= 1
    reader.finish(acked)


# -- memory and work ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["up", "down", "shuffled"])
def test_single_bytes_out_of_order_cost_bounded_work_and_memory(script: Make, order: str) -> None:
    """SegmentSmack (CVE-2018-5390); gVisor: OutOfOrderFlood."""
    peer = script()
    conn = peer.establish()
    places = list(range(3, 60_003, 3))
    if order == "down":
        places.reverse()
    elif order == "shuffled":
        random.Random(4).shuffle(places)

    def strike(i: int) -> None:
        peer.send("A", seq=places[i % len(places)], ack=1, data=b"x")
        peer.sent.clear()
        peer.packets.clear()

    for i in range(100):
        strike(i)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for i in range(100, 500):
            strike(i)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 200_000
    first, second = cost(lambda i: strike(500 + i), 2000)
    assert second < 3 * first + 0.2
    assert peer.tcp.ext.TCPOFODrop > 0
    peer.take()
    peer.send("A", seq=1, ack=1, data=b"ab")
    assert peer.user.received.startswith(b"ab") and conn.state_name == "ESTABLISHED"


def test_connections_without_a_word_are_bounded_and_those_that_are_there_are_left_alone(script: Make) -> None:
    """Naptha, sockstress: a flood of complete handshakes. The oldest are as honest as the newest, for all that TCP knows."""
    peer = script(config=TcpConfig(max_connections=50))
    peer.listen(backlog=1000)
    opened: list[Connection] = []
    for port in range(1000, 1200):
        peer.send("S", seq=0, port=port, mss=1460)
        peer.send("A", seq=1, ack=1, port=port)
        if len(peer.accepted) > len(opened):
            opened.append(peer.conn)
    assert len(opened) == 50 == peer.tcp.hub.count
    assert peer.tcp.ext.SynDropped == 150
    assert all(conn.state_name == "ESTABLISHED" for conn in opened)
    peer.take()
    opened[0].abort(peer.now)
    peer.take()
    peer.send("S", seq=0, port=2000)
    peer.expect("SA")


def test_a_window_that_stays_shut_is_probed_ever_more_rarely_and_ends_at_the_users_time_out(script: Make) -> None:
    """RFC 9293 3.8.6.1 lets the peer keep it shut as long as it answers; RFC 5482 and 3.8.3 let the user lose patience."""
    peer = script(config=TcpConfig(user_timeout=300 * SECOND))
    conn = peer.establish()
    conn.write(b"x" * 100_000, peer.now)
    total = 0
    peer.send("A", seq=1, ack=1 + sum(len(segment.payload) for segment in peer.take()), window=0)
    for _ in range(700):
        peer.advance(SECOND)
        sent = peer.take()
        total += len(sent)
        if peer.user.closed:
            break
        if sent:
            peer.send("A", seq=1, ack=(conn.snd_una - peer.local_iss) & const.M32, window=0)
    assert peer.user.closed and total < 25
    assert 300 * SECOND <= peer.now - 1000 * SECOND <= 450 * SECOND


@pytest.mark.parametrize("hold", ["fin-wait-1", "fin-wait-2", "window"])
def test_peers_that_never_end_hold_closed_connections_for_a_bounded_time(script: Make, hold: str) -> None:
    """Sockstress: our side has closed, theirs acknowledges nothing, or all but never closes, or keeps its window shut."""
    peer = script()
    peer.listen(backlog=1000)
    for port in range(1000, 1100):
        peer.send("S", seq=0, port=port, mss=1460)
        peer.send("A", seq=1, ack=1, port=port)
        peer.conn.write(b"x" * 1000, peer.now)
        peer.conn.close(peer.now)
        if hold == "window":
            peer.send("A", seq=1, ack=1001, port=port, window=0)
        elif hold == "fin-wait-2":
            peer.send("A", seq=1, ack=1002, port=port)
    assert peer.tcp.hub.count == 100
    for _ in range(900):
        peer.advance(SECOND)
        for segment in peer.take():
            if hold == "window" and segment.flags & const.RST == 0:
                peer.send("A", seq=1, ack=1001, port=segment.dport, window=0)
            elif hold == "fin-wait-2":
                peer.send("A", seq=1, ack=1002, port=segment.dport)
        if not peer.tcp.hub.count:
            break
    assert peer.tcp.hub.count == 0 and peer.timers.count == 0 and not peer.tcp.hub.tables
    assert peer.now - 1000 * SECOND <= 600 * SECOND


# -- answers that draw answers ------------------------------------------------------------------------------------------------

STATES = ("SYN-RECEIVED", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSING", "TIME-WAIT")


def bring(peer: TcpScript, state: str) -> tuple[int, int]:
    """A connection in `state`; returns the peer's next sequence number and ours."""
    if state == "SYN-RECEIVED":
        peer.listen()
        peer.send("S", seq=0, mss=1460)
        peer.take()
        return 1, 1
    conn = peer.establish()
    seq, ack = 1, 1
    if state in ("CLOSE-WAIT", "LAST-ACK"):
        peer.send("FA", seq=1, ack=1)
        seq = 2
    if state not in ("ESTABLISHED", "CLOSE-WAIT"):
        conn.close(peer.now)
        ack = 2
    if state in ("FIN-WAIT-2", "TIME-WAIT"):
        peer.send("A", seq=1, ack=2)
    if state == "CLOSING":
        peer.send("FA", seq=1, ack=1)
        seq = 2
    if state == "TIME-WAIT":
        peer.send("FA", seq=1, ack=2)
        seq = 2
    else:
        assert conn.state_name == state
    peer.take()
    return seq, ack


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("what", ["old", "beyond", "never sent", "syn", "reset in window"])
def test_no_state_answers_empty_segments_without_end(script: Make, state: str, what: str) -> None:
    """Or two confused peers go on for ever, and a forger makes us shout at whom he likes (RFC 5961 7)."""
    peer = script()
    seq, ack = bring(peer, state)
    answers = 0
    for _ in range(500):
        if what == "old":
            peer.send("A", seq=seq - 50_000, ack=ack)
        elif what == "beyond":
            peer.send("A", seq=seq + 500_000, ack=ack)
        elif what == "never sent":
            peer.send("A", seq=seq, ack=ack + 5000)
        elif what == "syn":
            peer.send("S", seq=seq + 10)
        else:
            peer.send("R", seq=seq + 10)
        answers += len(peer.take())
    if state == "SYN-RECEIVED" and what == "never sent":
        assert answers == 500, "RFC 9293 3.10.7.4, MUST: a reset for each; they draw no answers"
    elif state == "SYN-RECEIVED" and what == "syn":
        assert answers <= 260, "back to LISTEN, where it begins another handshake"
    elif state == "TIME-WAIT" and what == "syn":
        assert answers == 2, "a new connection, and its SYN repeated"
    else:
        assert answers <= 1


@pytest.mark.parametrize("flags", ["R", "RA", "RS", "RF", "RSFPUA"])
@pytest.mark.parametrize("state", ("LISTEN", "CLOSED", *STATES))
def test_no_reset_is_answered_by_a_reset(script: Make, state: str, flags: str) -> None:
    """RFC 9293 3.10.7.1; gVisor: TCPResetsDoNotGenerateResets."""
    peer = script()
    if state == "LISTEN":
        peer.listen()
    seq, ack = bring(peer, state) if state in STATES else (1, 1)
    for at in (seq - 1, seq, seq + 1, seq + 100_000):
        peer.send(flags, seq=at, ack=ack)
        assert not any(segment.flags & const.RST for segment in peer.take())


# -- resets to strangers ------------------------------------------------------------------------------------------------------


def knock(peer: TcpScript, source: int, times: int, port: int = 81) -> int:
    """How many of so many ACKs to a closed port, in the name of `source`, are answered."""
    segment = Segment(1234, port, 1, 1, const.ACK, 0)
    for _ in range(times):
        peer.send_raw(segment.encode(source, peer.local), src=source)
    peer.flush()
    return len(peer.take())


def test_what_is_spent_on_one_address_is_not_missing_at_another(peer: TcpScript) -> None:
    """CVE-2016-5696: one bucket for all tells a stranger how many answers others got, and so which connections there are."""
    victim = 0x0B000001
    assert knock(peer, victim, 1000) == 200
    missing = [address for address in range(0x0C000000, 0x0C000400) if knock(peer, address, 1) == 0]
    assert len(missing) < 16, "one in 256 shares a bucket"
    peer.advance(4 * SECOND)
    assert knock(peer, victim, 1000) == 200
    still = [address for address in missing if knock(peer, address, 1) == 0]
    assert len(still) <= len(missing) // 2, "and others do next time"


def test_addresses_that_differ_in_any_bit_are_spread_over_the_buckets(peer: TcpScript) -> None:
    """Or a flood in one network's name would use up all of a neighbour's."""
    for shift in range(0, 32, 4):
        peer.advance(5 * SECOND)
        addresses = [0x01020304 ^ i << shift for i in range(16) if 0 < (0x01020304 ^ i << shift) >> 24 < 224]
        assert knock(peer, addresses[0], 300) == 200
        free = sum(knock(peer, address, 1) for address in addresses[1:])
        assert free >= len(addresses) - 4, hex(shift)
