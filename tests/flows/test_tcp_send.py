"""Sending: segmentation, windows, Nagle and silly windows, zero-window probes, checksum and segmentation offload."""

import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from netstack import const
from netstack.instant import MILLISECOND, NEVER, SECOND
from netstack.tcp.config import TcpConfig
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]
TSO = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4


def sizes(peer: TcpScript) -> list[int]:
    return [len(segment.payload) for segment in peer.take()]


def test_data_is_cut_into_segments(peer: TcpScript) -> None:
    """RFC 9293 3.7."""
    conn = peer.establish()
    data = bytes(range(256)) * 16
    assert conn.write(data, peer.now)
    sent = peer.take()
    assert [len(segment.payload) for segment in sent] == [1460, 1460, 1176]
    assert b"".join(segment.payload for segment in sent) == data
    assert [bool(segment.flags & const.PSH) for segment in sent] == [False, False, True]
    assert conn.unsent == 4096 == conn.buffered
    peer.send("A", seq=1, ack=4097)
    assert conn.unsent == 0 and peer.timers.count == 0


def test_the_peers_window_is_a_limit(peer: TcpScript) -> None:
    """RFC 9293 3.8.6; smoltcp: established sliding window recv, fill peer window."""
    conn = peer.establish(window=3000)
    conn.write(bytes(10000), peer.now)
    assert sizes(peer) == [1460, 1460], "80 bytes more would be a silly window"
    peer.send("A", seq=1, ack=2921)
    assert sizes(peer) == [1460, 1460]
    peer.send("A", seq=1, ack=4381)
    assert sizes(peer) == [1460]


def test_the_initial_window_is_ten_segments(peer: TcpScript) -> None:
    """RFC 6928."""
    conn = peer.establish(wscale=7, window=1 << 20)
    conn.write(bytes(100_000), peer.now)
    assert sizes(peer) == [1460] * 10


def test_slow_start_sends_two_segments_for_each_acknowledged(peer: TcpScript) -> None:
    """RFC 5681 3.1; gVisor: ExponentialIncreaseDuringSlowStart."""
    conn = peer.establish(wscale=7, window=1 << 22)
    conn.write(bytes(4_000_000), peer.now)
    acked = 1
    flight = sum(sizes(peer))
    for _ in range(5):
        acked += flight
        peer.advance(10 * MILLISECOND)
        peer.send("A", seq=1, ack=acked)
        sent = sum(sizes(peer))
        assert sent == 2 * flight
        flight = sent


def test_acknowledging_bytes_one_by_one_gains_a_liar_nothing(peer: TcpScript) -> None:
    """ACK splitting (RFC 3465): growth by bytes, not by ACKs."""
    conn = peer.establish(wscale=7, window=1 << 22)
    conn.write(bytes(1_000_000), peer.now)
    before = conn.info().cwnd
    for i in range(1, 1461):
        peer.send("A", seq=1, ack=1 + i)
    assert conn.info().cwnd <= before + 1460


def test_congestion_avoidance_grows_by_a_segment_for_each_window(peer: TcpScript) -> None:
    """RFC 5681 3.1; gVisor: CongestionAvoidance."""
    conn = peer.establish(wscale=7, window=1 << 22)
    conn.write(bytes(2_000_000), peer.now)
    acked = 1 + sum(sizes(peer))
    peer.run_to_timer()  # a time-out: ssthresh is half of the flight
    peer.take()
    peer.send("A", seq=1, ack=acked)
    for _ in range(40):
        info = conn.info()
        acked += info.in_flight
        peer.advance(10 * MILLISECOND)
        peer.send("A", seq=1, ack=acked)
        peer.take()
        if info.cwnd >= info.ssthresh:
            assert conn.info().cwnd - info.cwnd <= 1460
    assert conn.info().cwnd > info.ssthresh


def test_an_idle_application_does_not_grow_the_window(peer: TcpScript) -> None:
    """RFC 5681 3.1: only when it is used; smoltcp: congestion window."""
    conn = peer.establish()
    before = conn.info().cwnd
    for i in range(50):
        conn.write(b"x" * 10, peer.now)
        peer.send("A", seq=1, ack=11 + 10 * i)
    assert conn.info().cwnd == before


# -- Nagle --------------------------------------------------------------------------------------------------------------------


def test_nagle_holds_a_small_segment_while_a_small_one_is_in_flight(peer: TcpScript) -> None:
    """RFC 9293 3.7.4; smoltcp: nagle."""
    conn = peer.establish()
    conn.write(b"first", peer.now)
    peer.expect("A", data=b"first")
    conn.write(b"second", peer.now)
    conn.write(b"third", peer.now)
    peer.expect_nothing()
    peer.send("A", seq=1, ack=6)
    peer.expect("A", data=b"secondthird")


def test_nagle_lets_the_tail_of_a_large_write_go(peer: TcpScript) -> None:
    """RFC 9293 3.7.4.

    Minshall's amendment: write-write-read programs don't wait for a delayed ACK; smoltcp: final packet in stream.
    """
    conn = peer.establish()
    conn.write(bytes(2000), peer.now)
    assert sizes(peer) == [1460, 540]
    conn.write(bytes(2000), peer.now)
    assert sizes(peer) == [1460], "the tail waits: a small one is in flight"


def test_nagle_does_not_hold_a_full_segment(peer: TcpScript) -> None:
    conn = peer.establish()
    conn.write(b"x", peer.now)
    conn.write(bytes(1400), peer.now)
    peer.expect("A", length=1)
    peer.expect_nothing()
    conn.write(bytes(60), peer.now)
    peer.expect("A", length=1460)


def test_nagle_does_not_hold_the_last_segment_before_a_fin(peer: TcpScript) -> None:
    """RFC 9293 3.7.4."""
    conn = peer.establish()
    conn.write(b"x", peer.now)
    conn.write(b"y", peer.now)
    peer.expect("A", data=b"x")
    conn.shutdown(peer.now)
    peer.expect("FA", data=b"y")


def test_nodelay_sends_small_segments_at_once(script: Make) -> None:
    """RFC 9293 3.7.4 (MUST-17); gVisor: Delay, Undelay, DelayEnabled."""
    peer = script(config=TcpConfig(nodelay=True))
    conn = peer.establish()
    for data in (b"a", b"b", b"c"):
        conn.write(data, peer.now)
        peer.expect("A", data=data)
    conn.set_nodelay(False, peer.now)
    conn.write(b"d", peer.now)
    peer.expect_nothing()
    conn.set_nodelay(True, peer.now)
    peer.expect("A", data=b"d")


def test_writes_in_a_batch_leave_together_after_it(peer: TcpScript) -> None:
    conn = peer.establish()

    def answer(now: int) -> None:
        for i in range(100):
            conn.write(b"%02d" % i, now)

    peer.user.reactions["data"] = answer
    peer.send("A", seq=1, ack=1, data=b"x", flush=False)
    peer.expect_nothing()
    peer.flush()
    peer.expect("A", ack=2, length=200)
    peer.expect_nothing()


# -- silly windows ------------------------------------------------------------------------------------------------------------


def test_a_silly_window_is_not_used_until_the_override_timer_fires(peer: TcpScript) -> None:
    """RFC 9293 3.8.6.2.1."""
    conn = peer.establish(window=10000)
    conn.write(bytes(10000), peer.now)
    assert sum(sizes(peer)) == 10000
    peer.send("A", seq=1, ack=10001, window=100)
    conn.write(bytes(3000), peer.now)
    peer.expect_nothing()
    peer.run_to_timer()
    peer.expect("A", seq=10001, length=100)


def test_half_of_the_largest_window_is_worth_a_segment(peer: TcpScript) -> None:
    """A peer whose whole buffer is smaller than two segments."""
    conn = peer.establish(window=1000)
    conn.write(bytes(3000), peer.now)
    assert sizes(peer) == [1000]
    peer.send("A", seq=1, ack=1001, window=500)
    assert sizes(peer) == [500]


def test_a_shrinking_window_does_no_harm(peer: TcpScript) -> None:
    """RFC 9293 3.8.6 (MUST-34); smoltcp: established send window shrink; gVisor: WindowShrink."""
    conn = peer.establish(window=5000)
    conn.write(bytes(8000), peer.now)
    assert sizes(peer) == [1460, 1460, 1460]
    peer.send("A", seq=1, ack=1461, window=1000)
    peer.expect_nothing()
    assert conn.info().snd_wnd == 1000
    peer.send("A", seq=1, ack=4381, window=3000)
    assert sizes(peer) == [1460, 1460]


def test_an_old_segment_does_not_update_the_window(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4: SND.WL1 and SND.WL2."""
    conn = peer.establish(window=5000)
    peer.send("A", seq=4, ack=1, data=b"def", window=6000)
    assert conn.info().snd_wnd == 6000
    peer.send("A", seq=1, ack=1, data=b"abcd", window=100)
    assert conn.info().snd_wnd == 6000


# -- zero-window probes -------------------------------------------------------------------------------------------------------


def test_zero_window_is_probed_with_backoff(peer: TcpScript) -> None:
    """RFC 9293 3.8.6.1; smoltcp: zero window probe backoff no reply."""
    conn = peer.establish(window=0)
    conn.write(b"hello", peer.now)
    peer.expect_nothing()
    waits = []
    for _ in range(6):
        waits.append(peer.run_to_timer())
        peer.expect("A", seq=1, data=b"h")
    assert all(1.9 < b / a < 2.1 for a, b in pairwise(waits))
    assert peer.tcp.ext.TCPWinProbe == 6


def test_zero_window_probes_go_on_as_long_as_the_peer_answers(peer: TcpScript) -> None:
    """RFC 9293 3.8.6.1: "as long as the receiving host continues to send acknowledgments"; smoltcp: nack reply."""
    conn = peer.establish(window=0)
    conn.write(b"hello", peer.now)
    for _ in range(60):
        assert peer.run_to_timer() <= 121 * SECOND
        peer.expect("A", seq=1, data=b"h")
        peer.send("A", seq=1, ack=1, window=0)
    assert not peer.user.closed
    peer.send("A", seq=1, ack=1, window=100)
    peer.expect("A", seq=1, data=b"hello")
    assert conn.info().rto <= SECOND, "the back-off of probes is not that of a lossy path"


def test_probes_without_answer_end_the_connection(peer: TcpScript) -> None:
    """RFC 9293 3.8.6.1, 3.8.3; gVisor: ZeroWindowProbeUserTimeout."""
    conn = peer.establish(window=0)
    conn.write(b"hello", peer.now)
    while peer.timers.count:
        peer.run_to_timer()
        assert peer.take()
    assert peer.user.closed and peer.tcp.ext.TCPAbortOnTimeout == 1


def test_a_probe_that_is_taken_moves_on(peer: TcpScript) -> None:
    """RFC 9293 3.8.6.1; smoltcp: zero window probe shift."""
    conn = peer.establish(window=0)
    conn.write(b"hello", peer.now)
    for i in range(4):
        peer.run_to_timer()
        peer.expect("A", seq=1 + i, data=b"hello"[i : i + 1])
        peer.send("A", seq=1, ack=2 + i, window=0)
        peer.expect_nothing()
    peer.send("A", seq=1, ack=5, window=1000)
    peer.expect("A", seq=5, data=b"o")
    peer.send("A", seq=1, ack=6, window=1000)
    assert conn.unsent == 0 and peer.timers.count == 0


def test_the_window_opening_stops_the_probes(peer: TcpScript) -> None:
    """RFC 9293 3.8.6.1; smoltcp: zero window probe exit."""
    conn = peer.establish(window=0)
    conn.write(bytes(2000), peer.now)
    peer.run_to_timer()
    peer.expect("A", length=1)
    peer.send("A", seq=1, ack=1, window=5000)
    assert [(len(s.payload), (s.seq - peer.local_iss) % 2**32) for s in peer.take()] == [(1460, 1), (540, 1461)]
    peer.send("A", seq=1, ack=2001, window=5000)
    peer.advance(SECOND)
    peer.expect_nothing()
    assert peer.timers.count == 0


def test_a_window_that_closes_over_data_in_flight_turns_time_outs_into_probes(peer: TcpScript) -> None:
    conn = peer.establish(window=3000)
    conn.write(bytes(1460) + b"b" * 1460, peer.now)
    assert sizes(peer) == [1460, 1460]
    peer.send("A", seq=1, ack=1461, window=0)
    peer.run_to_timer()
    peer.expect("A", seq=1461, data=b"b")
    assert conn.info().persisting
    peer.send("A", seq=1, ack=1461, window=3000)
    peer.expect("A", seq=1461, length=1460)


def test_a_fin_alone_is_the_probe_of_a_shut_window(peer: TcpScript) -> None:
    conn = peer.establish(window=0)
    conn.shutdown(peer.now)
    peer.expect_nothing()
    peer.run_to_timer()
    peer.expect("FA", seq=1, length=0)
    peer.send("A", seq=1, ack=2, window=0)
    assert conn.state_name == "FIN-WAIT-2"


def test_duplicate_acks_of_probes_are_no_loss(peer: TcpScript) -> None:
    conn = peer.establish(window=0)
    conn.write(bytes(100), peer.now)
    for _ in range(6):
        peer.run_to_timer()
        peer.take()
        peer.send("A", seq=1, ack=1, window=0)
    assert peer.tcp.ext.TCPRenoRecovery == 0 and conn.flight is None


def test_data_is_received_while_the_peers_window_is_shut(peer: TcpScript) -> None:
    """Our ACKs must be where the peer looks for them, at SND.UNA, and not beyond the byte of a probe."""
    conn = peer.establish(window=0)
    conn.write(b"hello", peer.now)
    peer.run_to_timer()
    peer.expect("A", data=b"h")
    peer.send("A", seq=1, ack=1, data=b"x" * 1000, window=0)
    peer.send("A", seq=1001, ack=1, data=b"x" * 1000, window=0)
    peer.expect("A", seq=1, ack=2001)


# -- the queue ----------------------------------------------------------------------------------------------------------------


def test_segments_that_span_writes_are_joined(peer: TcpScript) -> None:
    """RFC 9293 3.7."""
    conn = peer.establish(window=0)
    rng = random.Random(3)
    pieces = [rng.randbytes(rng.randrange(1, 5000)) for _ in range(40)]
    for piece in pieces:
        conn.write(piece, peer.now)
    data = b"".join(pieces)
    got = b""
    peer.send("A", seq=1, ack=1, window=65535)
    while len(got) < len(data):
        sent = peer.take()
        assert sent
        assert all(len(segment.payload) <= 1460 for segment in sent)
        got += b"".join(segment.payload for segment in sent)
        peer.send("A", seq=1, ack=1 + len(got), window=65535)
    assert got == data


def test_a_stream_of_one_byte_writes_is_few_objects_and_full_segments(peer: TcpScript) -> None:
    """RFC 9293 3.8.6.2.1."""
    conn = peer.establish(window=0)
    for i in range(20000):
        conn.write(b"%d" % (i % 10), peer.now)
    assert conn.unsent == 20000
    peer.send("A", seq=1, ack=1, window=60000)
    sent = peer.take()
    assert [len(segment.payload) for segment in sent[:-1]] == [1460] * (len(sent) - 1)


@pytest.mark.parametrize("make", [bytearray, memoryview])
def test_other_buffers_than_bytes_are_copied(peer: TcpScript, make: Callable[[bytes], bytes]) -> None:
    conn = peer.establish(window=0)
    data = bytearray(b"abc")
    conn.write(make(data), peer.now)  # type: ignore[arg-type]
    data[:] = b"xyz"
    peer.send("A", seq=1, ack=1, window=1000)
    peer.expect("A", data=b"abc")


def test_the_marks_tell_the_writer_when_to_stop_and_to_go_on(script: Make) -> None:
    peer = script(config=TcpConfig(snd_high=5000, snd_low=2000))
    conn = peer.establish(window=10000)
    assert conn.write(bytes(4999), peer.now)
    assert not conn.write(b"x", peer.now)
    assert sum(sizes(peer)) == 4999
    peer.send("A", seq=1, ack=1461)
    peer.send("A", seq=1, ack=2921)
    assert "writable" not in peer.user.events
    peer.send("A", seq=1, ack=3001)
    assert peer.user.events.count("writable") == 1
    peer.send("A", seq=1, ack=5000)
    peer.send("A", seq=1, ack=5001)
    assert peer.user.events.count("writable") == 1
    assert conn.unsent == 0


def test_a_writer_that_goes_on_from_inside_writable(script: Make) -> None:
    peer = script(config=TcpConfig(snd_high=5000, snd_low=2000))
    conn = peer.establish(window=60000)
    conn.set_marks(1000, 3000)
    left = [20]

    def more(now: int) -> None:
        while left[0] and conn.write(bytes(1000), now):
            left[0] -= 1

    peer.user.reactions["writable"] = more
    more(peer.now)
    acked = 1
    for _ in range(100):
        acked += sum(sizes(peer))
        peer.send("A", seq=1, ack=acked)
    assert left == [0] and conn.unsent == 0


def test_an_empty_write_sends_nothing(peer: TcpScript) -> None:
    conn = peer.establish()
    assert conn.write(b"", peer.now)
    peer.expect_nothing()
    assert peer.timers.next_deadline() == NEVER


# -- offload ------------------------------------------------------------------------------------------------------------------


def test_a_device_that_segments_gets_super_segments(script: Make) -> None:
    peer = script(offload=TSO)
    conn = peer.establish(wscale=7, window=1 << 22)
    data = random.Random(1).randbytes(1_000_000)
    conn.write(data, peer.now)
    packet = peer.packets[-1]
    assert packet.gso == 1460 and len(packet.data) == 20 + 14600
    got, largest = b"", 0
    while len(got) < len(data):
        for segment in peer.take():
            largest = max(largest, len(segment.payload))
            got += segment.payload
        peer.send("A", seq=1, ack=1 + len(got))
    assert got == data
    assert largest % 1460 == 0 and 60_000 < largest <= 65535 - 40


def test_a_super_segment_does_not_end_with_a_silly_tail(script: Make) -> None:
    peer = script(offload=TSO)
    conn = peer.establish(window=10000)
    conn.write(bytes(20000), peer.now)
    assert sizes(peer) == [8760], "six whole segments: what is left of the window would be a small one"


def test_super_segments_do_not_copy(script: Make) -> None:
    """By reference: whole segments out of the application's object, one joined segment where two objects meet."""
    peer = script(offload=TSO)
    conn = peer.establish(wscale=7, window=1 << 20)
    conn.write(bytes(5000), peer.now)
    conn.write(bytes(5000), peer.now)
    assert sizes(peer) == [4380 + 620, 4380]
    peer.send("A", seq=1, ack=9381)
    assert sizes(peer) == [620]


def test_without_checksum_offload_the_sum_is_complete(script: Make) -> None:
    peer = script(offload=0)
    conn = peer.establish()
    for n in (1, 2, 3, 999, 1460):
        conn.write(bytes(range(1, 256)) * 6, peer.now) if n == 1460 else conn.write(bytes([n & 255]) * n, peer.now)
        peer.send("A", seq=1, ack=1 + conn.info().in_flight, window=65535)
    assert peer.packets, "the script verifies the sum of every segment"


def test_what_the_layer_below_refuses_counts_as_lost(peer: TcpScript) -> None:
    conn = peer.establish()
    peer.ip.routed = False
    conn.write(b"hello", peer.now)
    peer.expect_nothing()
    assert peer.tcp.ext.OutFailed == 1
    peer.ip.routed = True
    peer.run_to_timer()
    peer.expect("A", data=b"hello")
