"""A peer without SACK: duplicate ACKs, limited transmit and NewReno (RFC 5681, 3042, 6582), and what the windows do meanwhile.

The peer's ACKs come a round trip of 20 ms after what they answer. Segments are named by their index in the stream.
"""

from collections.abc import Callable
from itertools import pairwise

import pytest
from flow_sack import ISS, MSS

from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.connection import Connection
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]
pytestmark = pytest.mark.parametrize("script", ISS, indirect=True)
RTT = 20 * MILLISECOND


def seq(i: int) -> int:
    """Of the first byte of segment `i`."""
    return 1 + i * MSS


def indices(peer: TcpScript) -> list[int]:
    """The segments that were sent since the last look."""
    return [((segment.seq - peer.local_iss) % 2**32 - 1) // MSS for segment in peer.take()]


def flight(peer: TcpScript, segments: int, more: int = 0, congestion: str = "reno") -> Connection:
    """Established, `segments` in flight (all that ten allow) and `more` that wait for leave."""
    peer.establish(wscale=7, window=1 << 20)
    conn = peer.conn
    conn.set_congestion(congestion)
    conn.write(b"".join(i.to_bytes(2, "big") * (MSS // 2) for i in range(segments + more)), peer.now)
    assert indices(peer) == list(range(min(segments, 10)))
    peer.advance(RTT)
    return conn


def duplicates(peer: TcpScript, count: int, at: int = 0) -> list[int]:
    """So many duplicate ACKs at segment `at`; what they drew."""
    sent = []
    for _ in range(count):
        peer.send("A", seq=1, ack=seq(at))
        sent += indices(peer)
    return sent


# -- detecting loss -----------------------------------------------------------------------------------------------------------


def test_rfc5681_3_2_the_third_duplicate_ack_retransmits_and_not_an_earlier_one(peer: TcpScript) -> None:
    conn = flight(peer, 10)
    assert duplicates(peer, 2) == []
    assert not conn.info().recovering
    peer.send("A", seq=1, ack=1)
    peer.expect("A", seq=1, data=bytes(MSS))
    peer.expect_nothing()
    assert conn.info().recovering
    assert (peer.tcp.ext.TCPRenoRecovery, peer.tcp.mib.RetransSegs, peer.tcp.ext.TCPTimeouts) == (1, 1, 0)


def test_rfc5681_3_2_a_full_congestion_window_does_not_hold_a_retransmission_back(peer: TcpScript) -> None:
    """All ten segments of the window are in flight, and stay unacknowledged."""
    conn = flight(peer, 10, more=10)
    assert conn.info().in_flight == 10 * MSS == conn.info().cwnd
    assert 0 in duplicates(peer, 3)


def test_rfc5681_2_an_ack_that_changes_the_window_is_no_duplicate(peer: TcpScript) -> None:
    """One that shuts it least of all: what the peer has no room for must not be pressed upon it."""
    conn = flight(peer, 3)
    assert duplicates(peer, 2) == []
    peer.send("A", seq=1, ack=1, window=0)
    peer.expect_nothing()
    assert not conn.info().recovering and peer.tcp.ext.TCPRenoRecovery == 0


@pytest.mark.parametrize("kind", ["text", "fin", "window"])
def test_rfc5681_2_what_carries_something_is_no_duplicate(peer: TcpScript, kind: str) -> None:
    conn = flight(peer, 4)
    for i in range(1 if kind == "fin" else 6):
        if kind == "text":
            peer.send("A", seq=1 + i, ack=1, data=b"x")
        elif kind == "window":
            peer.send("A", seq=1, ack=1, window=(1 << 20) - 1024 * (i + 1))
        else:
            duplicates(peer, 2)
            peer.send("FA", seq=1, ack=1)
    assert not conn.info().recovering and peer.tcp.mib.RetransSegs == 0


def test_rfc5681_2_duplicates_with_nothing_in_flight_count_for_nothing(peer: TcpScript) -> None:
    conn = flight(peer, 2)
    peer.send("A", seq=1, ack=seq(2))
    for _ in range(10):
        peer.send("A", seq=1, ack=seq(2))
    conn.write(bytes(MSS), peer.now)
    assert indices(peer) == [2], "and they are not remembered for later"
    duplicates(peer, 2, at=2)
    assert not conn.info().recovering


def test_rfc5681_3_2_hundreds_of_duplicates_are_one_loss(peer: TcpScript) -> None:
    conn = flight(peer, 10)
    assert duplicates(peer, 700) == [0]
    assert peer.tcp.ext.TCPRenoRecovery == 1 and conn.info().in_flight == 10 * MSS
    peer.send("A", seq=1, ack=seq(10))
    assert not conn.info().recovering and conn.unsent == 0


# -- limited transmit: RFC 3042 -----------------------------------------------------------------------------------------------


def test_rfc3042_2_each_of_the_first_two_duplicates_lets_one_new_segment_out(peer: TcpScript) -> None:
    conn = flight(peer, 10, more=10)
    assert duplicates(peer, 1) == [10]
    assert duplicates(peer, 1) == [11]
    assert conn.info().cwnd == 10 * MSS, "cwnd is not changed by it"
    assert duplicates(peer, 1)[0] == 0
    assert conn.info().ssthresh == 5 * MSS, "RFC 5681 3.2 step 2: what limited transmit sent does not count"


def test_rfc3042_2_not_beyond_the_peers_window(peer: TcpScript) -> None:
    conn = peer.establish(window=10 * MSS - 1)
    conn.write(bytes(20 * MSS), peer.now)
    sent = len(peer.take())
    for _ in range(2):
        peer.send("A", seq=1, ack=1)
    peer.expect_nothing()
    assert sent in (9, 10)


def test_rfc3042_2_a_small_flight_grows_by_it_until_three_duplicates_can_come(peer: TcpScript) -> None:
    """Two segments in flight alone would never draw three."""
    conn = flight(peer, 2)
    conn.write(b"".join(i.to_bytes(2, "big") * (MSS // 2) for i in range(2, 4)), peer.now)
    assert indices(peer) == [2, 3]
    assert duplicates(peer, 3) == [0]


# -- NewReno: RFC 6582 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("congestion", "tenths"), [("reno", 5), ("cubic", 7)])
def test_rfc5681_3_2_a_loss_reduces_the_window_once_and_recovery_ends_there(peer: TcpScript, congestion: str, tenths: int) -> None:
    """RFC 5681 3.2 step 2 and 6, equation 4; RFC 9438 4.6 multiplies by 0.7."""
    conn = flight(peer, 10, congestion=congestion)
    duplicates(peer, 9)
    assert conn.info().ssthresh == tenths * MSS
    peer.advance(RTT)
    peer.send("A", seq=1, ack=seq(10))
    info = conn.info()
    assert not info.recovering and MSS <= info.cwnd <= info.ssthresh == tenths * MSS


def test_rfc6582_3_2_each_partial_ack_draws_the_next_hole_and_nothing_that_was_not_lost(peer: TcpScript) -> None:
    """Step 3: 2, 5 and 8 of ten are lost; one recovery, no time-out."""
    conn = flight(peer, 10)
    peer.send("A", seq=1, ack=seq(2))
    indices(peer)
    assert duplicates(peer, 7, at=2)[0] == 2
    for hole in (5, 8):
        peer.advance(RTT)
        peer.send("A", seq=1, ack=seq(hole))
        assert hole in indices(peer)
        assert conn.info().recovering
    peer.advance(RTT)
    peer.send("A", seq=1, ack=seq(10))
    assert not conn.info().recovering and conn.unsent == 0
    assert (peer.tcp.ext.TCPRenoRecovery, peer.tcp.ext.TCPTimeouts, peer.tcp.mib.RetransSegs) == (1, 0, 3)


def test_rfc6582_3_2_duplicates_below_recover_are_the_same_loss(peer: TcpScript) -> None:
    """Step 1: a window is halved once, whatever comes of the retransmissions."""
    conn = flight(peer, 10)
    duplicates(peer, 9)
    ssthresh = conn.info().ssthresh
    peer.send("A", seq=1, ack=seq(4))
    duplicates(peer, 5, at=4)
    assert conn.info().ssthresh == ssthresh and peer.tcp.ext.TCPRenoRecovery == 1


def test_rfc6582_4_after_a_time_out_duplicates_of_what_was_sent_before_it_start_nothing(peer: TcpScript) -> None:
    """Step 1: recover is SND.MAX at the time-out; our own unnecessary retransmissions draw such ACKs."""
    conn = flight(peer, 10)
    peer.run_to_timer()
    indices(peer)
    peer.send("A", seq=1, ack=seq(3))
    indices(peer)
    duplicates(peer, 6, at=3)
    assert peer.tcp.ext.TCPRenoRecovery == 0 and not conn.info().recovering
    peer.send("A", seq=1, ack=seq(10))
    conn.write(b"".join(i.to_bytes(2, "big") * (MSS // 2) for i in range(10, 14)), peer.now)
    sent = indices(peer)
    while len(sent) < 4:
        peer.send("A", seq=1, ack=seq(10 + len(sent)))
        sent += indices(peer)
    assert sent == [10, 11, 12, 13]


def test_rfc6582_3_2_a_loss_after_recovery_is_a_loss_again(peer: TcpScript) -> None:
    conn = flight(peer, 10, more=20)
    duplicates(peer, 9)
    peer.advance(RTT)
    top = (conn.snd_max - peer.local_iss) % 2**32 // MSS
    peer.send("A", seq=1, ack=seq(top))
    sent = indices(peer)
    assert not conn.info().recovering and sent
    peer.advance(RTT)
    while len(sent) < 4:
        peer.send("A", seq=1, ack=seq(sent.pop(0) + 1))
        sent += indices(peer)
        peer.advance(RTT)
    assert sent[0] in duplicates(peer, 3, at=sent[0])
    assert peer.tcp.ext.TCPRenoRecovery == 2


def test_rfc5681_3_1_the_retransmission_that_is_lost_too_needs_the_timer(peer: TcpScript) -> None:
    """And the loss window is one segment, the threshold half of what was in flight."""
    conn = flight(peer, 10)
    duplicates(peer, 9)
    ssthresh = conn.info().ssthresh
    peer.run_to_timer()
    assert indices(peer) == [0]
    assert not conn.info().recovering and conn.info().cwnd == MSS
    assert 2 * MSS <= conn.info().ssthresh <= ssthresh and peer.tcp.ext.TCPTimeouts == 1


# -- windows in between -------------------------------------------------------------------------------------------------------


def test_rfc6928_2_ten_segments_and_not_one_more_before_the_first_ack(peer: TcpScript) -> None:
    flight(peer, 10, more=50)
    peer.expect_nothing()


@pytest.mark.parametrize("mss", [88, 536, 1460, 4000, 8960])
def test_rfc6928_2_the_initial_window_by_the_size_of_segments(script: Make, mss: int) -> None:
    """min (10*MSS, max (2*MSS, 14600))."""
    peer = script(mtu=9000)
    conn = peer.establish(mss=mss, wscale=7, window=1 << 20)
    conn.write(bytes(20 * mss), peer.now)
    sent = sum(len(segment.payload) for segment in peer.take())
    allowed = min(10 * mss, max(2 * mss, 14600))
    assert allowed - mss < sent <= allowed == conn.info().cwnd


def test_rfc5681_3_1_slow_start_doubles_and_congestion_avoidance_adds_a_segment(peer: TcpScript) -> None:
    """Reno, round by round: 10, 20, 40; then, from half of that, one more each time."""
    conn = flight(peer, 10, more=1000)
    conn.set_marks(0, 1 << 30)
    acked, window = 10, 10
    for expected in (20, 40):
        peer.send("A", seq=1, ack=seq(acked))
        sent = len(indices(peer))
        peer.advance(RTT)
        assert sent == expected
        window, acked = sent, acked + sent
    assert window == 40
    duplicates(peer, 3, at=acked - 40)
    assert conn.info().ssthresh == 20 * MSS
    peer.advance(RTT)
    top = (conn.snd_max - peer.local_iss) % 2**32 // MSS
    peer.send("A", seq=1, ack=seq(top))
    windows = []
    for _ in range(30):
        peer.advance(RTT)
        peer.take()
        top = (conn.snd_max - peer.local_iss) % 2**32 // MSS
        peer.send("A", seq=1, ack=seq(top))
        windows.append(conn.info().cwnd // MSS)
    peak = windows[-8:]
    assert peak[0] >= 20 and all(0 <= b - a <= 1 for a, b in pairwise(peak)) and peak[-1] > peak[0]


def test_rfc5681_4_1_after_an_idle_time_out_the_window_starts_again_from_the_initial_one(peer: TcpScript) -> None:
    """RW = min(IW, cwnd)."""
    conn = flight(peer, 10, more=70)
    acked = 10
    while acked < 80:
        peer.send("A", seq=1, ack=seq(acked))
        acked += len(indices(peer))
        peer.advance(RTT)
    peer.send("A", seq=1, ack=seq(80))
    assert conn.unsent == 0 and conn.info().cwnd >= 40 * MSS
    peer.advance(10 * SECOND)
    conn.write(bytes(100 * MSS), peer.now)
    assert len(indices(peer)) == 10


def test_rfc7661_4_3_a_window_that_is_not_used_does_not_grow(peer: TcpScript) -> None:
    conn = flight(peer, 4)
    before = conn.info().cwnd
    for i in range(4):
        peer.send("A", seq=1, ack=seq(i + 1))
    for i in range(40):
        conn.write(bytes(MSS), peer.now)
        peer.advance(RTT)
        peer.send("A", seq=1, ack=seq(5 + i))
    assert conn.info().cwnd == before
