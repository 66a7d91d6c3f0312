"""Loss: RFC 6298, RFC 5681 3.2, RFC 6582, RFC 3042, and giving up."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from netstack.errors import Refused, TimedOut, Unreachable
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]
MSS = 1460


def sizes(peer: TcpScript) -> list[int]:
    return [len(segment.payload) for segment in peer.take()]


def flight(peer: TcpScript, segments: int) -> None:
    """Have the stack send this many full segments, which is within the initial window."""
    peer.establish(wscale=7, window=1 << 20)
    peer.conn.write(b"".join(bytes([i]) * MSS for i in range(segments)), peer.now)
    assert sizes(peer) == [MSS] * segments


def seq(i: int) -> int:
    """Of the first byte of segment `i`."""
    return 1 + i * MSS


# -- the retransmission timer -------------------------------------------------------------------------------------------------


def test_unacknowledged_data_is_retransmitted_with_exponential_backoff(peer: TcpScript) -> None:
    """RFC 6298 5.5; smoltcp: retransmit exponential backoff."""
    conn = peer.establish()
    conn.write(b"abc", peer.now)
    peer.expect("A", seq=1, data=b"abc")
    waits = []
    for _ in range(5):
        waits.append(peer.run_to_timer())
        peer.expect("A", seq=1, data=b"abc")
    assert waits[0] == pytest.approx(200 * MILLISECOND, abs=2 * MILLISECOND)
    assert all(1.9 < b / a < 2.1 for a, b in pairwise(waits))
    assert peer.tcp.ext.TCPTimeouts == 5 and peer.tcp.mib.RetransSegs == 5 == conn.info().retransmits


def test_what_was_written_during_a_retransmission_follows_its_ack(peer: TcpScript) -> None:
    """RFC 9293 3.8.1; smoltcp: established queue during retransmission."""
    conn = peer.establish()
    conn.write(b"abc", peer.now)
    peer.expect("A", data=b"abc")
    conn.write(b"def", peer.now)
    peer.expect_nothing()
    peer.run_to_timer()
    peer.expect("A", seq=1, data=b"abc")
    peer.send("A", seq=1, ack=4)
    peer.expect("A", seq=4, data=b"def")
    assert conn.unsent == 3
    peer.send("A", seq=1, ack=7)
    assert conn.unsent == 0 and peer.timers.count == 0


def test_the_back_off_ends_at_two_minutes(peer: TcpScript) -> None:
    """RFC 6298 2.5; gVisor: MaxRTO."""
    conn = peer.establish()
    conn.write(b"abc", peer.now)
    peer.take()
    waits = []
    while not peer.user.closed:
        waits.append(peer.run_to_timer())
        peer.take()
    assert max(waits) <= 120 * SECOND + 2 * MILLISECOND
    assert waits.count(waits[-1]) > 3 or max(waits) > 119 * SECOND


def test_the_connection_is_given_up_after_fifteen_retransmissions(peer: TcpScript) -> None:
    """RFC 9293 3.8.3 (R2, at least 100 s); gVisor: MaxRetransmitsTimeout."""
    conn = peer.establish()
    conn.write(b"abc", peer.now)
    begin = peer.now
    while not peer.user.closed:
        peer.run_to_timer()
        last = peer.take()
    assert isinstance(peer.user.error, TimedOut)
    assert 100 * SECOND < peer.now - begin < 3600 * SECOND
    assert peer.tcp.mib.RetransSegs == 15
    assert peer.show(last[-1]).startswith("RA"), "should the peer come back, it learns"
    assert peer.timers.count == 0 and not peer.tcp.hub.tables


def test_a_user_time_out_gives_up_earlier(script: Make) -> None:
    """RFC 9293 3.8.3 (MUST-21), RFC 5482; gVisor: TCPUserTimeout."""
    peer = script(config=TcpConfig(user_timeout=5 * SECOND))
    conn = peer.establish()
    conn.write(b"abc", peer.now)
    begin = peer.now
    while not peer.user.closed:
        peer.run_to_timer()
        peer.take()
    assert 5 * SECOND <= peer.now - begin < 12 * SECOND


def test_progress_puts_the_user_time_out_off(script: Make) -> None:
    peer = script(config=TcpConfig(user_timeout=5 * SECOND))
    conn = peer.establish()
    conn.write(bytes(20), peer.now)
    for i in range(20):
        peer.advance(SECOND)
        peer.send("A", seq=1, ack=2 + i)
    assert not peer.user.closed


def test_an_ack_restarts_the_timer(peer: TcpScript) -> None:
    """RFC 6298 5.3; smoltcp: retransmit timer restart on partial ack."""
    flight(peer, 2)
    peer.advance(150 * MILLISECOND)
    peer.send("A", seq=1, ack=seq(1))
    peer.advance(150 * MILLISECOND)
    peer.expect_nothing()
    assert peer.run_to_timer() >= 50 * MILLISECOND
    peer.expect("A", seq=seq(1))


def test_after_a_time_out_everything_is_sent_again_from_the_first_hole(peer: TcpScript) -> None:
    flight(peer, 6)
    peer.run_to_timer()
    peer.expect("A", seq=seq(0), length=MSS)
    peer.expect_nothing()
    peer.send("A", seq=1, ack=seq(1))
    assert [(s.seq - peer.local_iss) % 2**32 for s in peer.take()] == [seq(1), seq(2)]
    peer.send("A", seq=1, ack=seq(6))
    peer.expect_nothing()
    assert peer.conn.unsent == 0 and peer.timers.count == 0


def test_after_a_time_out_only_what_is_missing_is_sent_again(peer: TcpScript) -> None:
    """The peer had queued the rest: its ACK jumps, and SND.NXT with it."""
    flight(peer, 6)
    peer.run_to_timer()
    peer.expect("A", seq=seq(0))
    peer.send("A", seq=1, ack=seq(6))
    peer.conn.write(b"next", peer.now)
    peer.expect("A", seq=seq(6), data=b"next")
    assert peer.tcp.mib.RetransSegs == 1


def test_a_time_out_halves_ssthresh_once_and_restarts_slow_start(peer: TcpScript) -> None:
    """RFC 5681 3.1: ssthresh is held when the same segment is lost again."""
    flight(peer, 10)
    peer.conn.set_congestion("reno")
    peer.run_to_timer()
    info = peer.conn.info()
    assert (info.cwnd, info.ssthresh) == (MSS, 5 * MSS)
    peer.take()
    peer.run_to_timer()
    info = peer.conn.info()
    assert (info.cwnd, info.ssthresh) == (MSS, 5 * MSS)


def test_a_retransmitted_segment_is_not_timed(peer: TcpScript) -> None:
    """Karn, RFC 6298 3; and the back-off stays until something is timed again."""
    conn = peer.establish()
    before = conn.info().srtt
    conn.write(b"abc", peer.now)
    peer.run_to_timer()
    peer.take()
    peer.advance(300 * MILLISECOND)
    backed_off = conn.info().rto
    peer.send("A", seq=1, ack=4)
    assert conn.info().srtt == before
    assert conn.info().rto == backed_off
    conn.write(b"def", peer.now)
    peer.take()
    peer.advance(10 * MILLISECOND)
    peer.send("A", seq=1, ack=7)
    assert conn.info().srtt > before and conn.info().rto < backed_off


def test_the_round_trip_is_measured_by_the_handshake(peer: TcpScript) -> None:
    """gVisor: HandshakeRTT."""
    conn = peer.connect()
    peer.expect("S")
    peer.advance(30 * MILLISECOND)
    peer.send("SA", seq=0, ack=1, mss=MSS)
    assert conn.info().srtt == 30 * MILLISECOND and conn.info().rttvar == 15 * MILLISECOND
    assert conn.info().rto == 230 * MILLISECOND


def test_the_floor_of_the_time_out_can_be_chosen(script: Make) -> None:
    """gVisor: SetRTO."""
    peer = script(config=TcpConfig(rto_min=20 * MILLISECOND))
    conn = peer.establish()
    conn.write(b"abc", peer.now)
    peer.take()
    assert peer.run_to_timer() == pytest.approx(20 * MILLISECOND, abs=2 * MILLISECOND)


# -- fast retransmit and recovery ---------------------------------------------------------------------------------------------


def test_three_duplicate_acks_retransmit_the_missing_segment(peer: TcpScript) -> None:
    """RFC 5681 3.2; smoltcp: fast retransmit after triple duplicate ack; gVisor: FastRecovery."""
    flight(peer, 10)
    peer.conn.set_congestion("reno")
    peer.advance(10 * MILLISECOND)
    for _ in range(2):
        peer.send("A", seq=1, ack=1)
    peer.expect_nothing()
    peer.send("A", seq=1, ack=1)
    peer.expect("A", seq=1, data=bytes(MSS))
    peer.expect_nothing()
    info = peer.conn.info()
    assert info.recovering and info.ssthresh == 5 * MSS
    peer.send("A", seq=1, ack=seq(10))
    info = peer.conn.info()
    assert not info.recovering and info.cwnd <= 5 * MSS
    assert (peer.tcp.ext.TCPRenoRecovery, peer.tcp.ext.TCPFastRetrans, peer.tcp.ext.TCPTimeouts) == (1, 1, 0)


def test_each_partial_ack_retransmits_the_next_hole(peer: TcpScript) -> None:
    """RFC 6582 3.2 step 3: NewReno, one hole for each round trip."""
    flight(peer, 10)
    for _ in range(3):
        peer.send("A", seq=1, ack=1)
    peer.expect("A", seq=seq(0))
    peer.send("A", seq=1, ack=seq(3))
    peer.expect("A", seq=seq(3))
    peer.send("A", seq=1, ack=seq(7))
    peer.expect("A", seq=seq(7))
    peer.send("A", seq=1, ack=seq(10))
    assert not peer.conn.info().recovering
    assert peer.tcp.ext.TCPRenoRecovery == 1 and peer.tcp.ext.TCPTimeouts == 0


def test_duplicate_acks_let_new_data_out(peer: TcpScript) -> None:
    """RFC 3042 limited transmit for the first two, which ssthresh leaves out (RFC 5681 3.2 step 2); step 4 inflation for those
    after the third."""
    peer.establish(wscale=7, window=1 << 20)
    peer.conn.set_congestion("reno")
    peer.conn.write(bytes(40 * MSS), peer.now)
    assert sizes(peer) == [MSS] * 10
    peer.send("A", seq=1, ack=1)
    peer.expect("A", seq=seq(10), length=MSS)
    peer.send("A", seq=1, ack=1)
    peer.expect("A", seq=seq(11), length=MSS)
    peer.send("A", seq=1, ack=1)
    peer.expect("A", seq=1, length=MSS)
    assert peer.conn.info().ssthresh == 5 * MSS
    for _ in range(4):
        peer.send("A", seq=1, ack=1)
    peer.expect_nothing()
    for i in range(4):
        peer.send("A", seq=1, ack=1)
        peer.expect("A", seq=seq(12 + i), length=MSS)


def test_duplicate_acks_after_a_time_out_do_not_start_recovery_again(peer: TcpScript) -> None:
    """RFC 6582 3.2 step 1 and 4: they may be for our own spurious retransmissions."""
    flight(peer, 8)
    peer.run_to_timer()
    peer.take()
    for _ in range(5):
        peer.send("A", seq=1, ack=1)
    peer.send("A", seq=1, ack=seq(2))
    peer.take()
    for _ in range(5):
        peer.send("A", seq=1, ack=seq(2))
    assert peer.tcp.ext.TCPRenoRecovery == 0


@pytest.mark.parametrize(
    "kind",
    ["data", "window", "old", "nothing in flight"],
)
def test_what_is_no_duplicate_ack(peer: TcpScript, kind: str) -> None:
    """RFC 5681 2; smoltcp: fast retransmit duplicate detection with data, with window update."""
    flight(peer, 4)
    for i in range(6):
        if kind == "data":
            peer.send("A", seq=1 + i, ack=1, data=b"x")
        elif kind == "window":
            peer.send("A", seq=1, ack=1, window=(1 << 20) + 1024 * (i + 1))
        elif kind == "old":
            peer.send("A", seq=1, ack=seq(2))
            peer.send("A", seq=1, ack=seq(1))
            peer.send("A", seq=1, ack=seq(3))
            peer.send("A", seq=1, ack=seq(4))
        else:
            peer.send("A", seq=1, ack=seq(4))
    assert peer.tcp.ext.TCPRenoRecovery == 0


def test_the_timer_takes_over_when_the_retransmission_is_lost_too(peer: TcpScript) -> None:
    flight(peer, 6)
    for _ in range(5):
        peer.send("A", seq=1, ack=1)
    peer.take()
    peer.run_to_timer()
    peer.expect("A", seq=1, length=MSS)
    assert not peer.conn.info().recovering and peer.conn.info().cwnd == MSS


def test_fast_retransmit_of_a_fin(peer: TcpScript) -> None:
    conn = peer.establish()
    conn.write(bytes(100), peer.now)
    conn.shutdown(peer.now)
    peer.expect("A", length=100)
    peer.expect("FA", seq=101, length=0)
    for _ in range(3):
        peer.send("A", seq=1, ack=1)
    peer.expect("FA", seq=1, length=100)


def test_every_segment_lost_once_arrives(peer: TcpScript) -> None:
    """RFC 9293 3.8; smoltcp: data retransmit bursts."""
    conn = peer.establish(wscale=7, window=1 << 20)
    data = b"".join(b"%06d" % i for i in range(20000))
    conn.write(data, peer.now)
    seen: set[int] = set()
    got: dict[int, bytes] = {}
    acked = 0
    for _ in range(2000):
        for segment in peer.take():
            at = (segment.seq - peer.local_iss - 1) % 2**32
            if at in seen:
                got[at] = segment.payload
            seen.add(at)
        before = acked
        while acked in got:
            acked += len(got[acked])
        if acked == len(data):
            break
        if acked > before:
            peer.send("A", seq=1, ack=1 + acked)
        if not peer.sent:
            peer.run_to_timer()
    assert acked == len(data)


# -- ICMP: RFC 5927, RFC 9293 3.9.2.2 -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [2, 3, 9, 10, 13])
def test_a_hard_icmp_error_ends_a_connection_attempt(peer: TcpScript, code: int) -> None:
    """RFC 9293 3.9.2.2 (SHLD-26); gVisor: ConnectICMPError, TCPSynSentUnreachable."""
    peer.connect()
    peer.icmp(3, code, seq=0)
    assert isinstance(peer.user.error, OSError) and not isinstance(peer.user.error, TimedOut)
    assert peer.timers.count == 0 and not peer.tcp.hub.tables


def test_a_hard_icmp_error_ends_a_half_open_connection(peer: TcpScript) -> None:
    """RFC 9293 3.9.2.2 (SHLD-26), RFC 5927 5.2: the SYN,ACK has found nobody; its listener hears nothing of it."""
    peer.listen()
    peer.send("S", seq=0, mss=1460)
    peer.expect("SA")
    peer.icmp(3, 3, seq=5)
    assert len(peer.tcp.hub.half) == 1, "not what is in flight"
    peer.icmp(3, 1, seq=0)
    assert len(peer.tcp.hub.half) == 1, "a soft one"
    peer.icmp(3, 3, seq=0)
    assert not peer.tcp.hub.half and not peer.tcp.hub.tables and peer.timers.count == 0
    peer.connect()
    peer.expect("S")
    peer.send("S", seq=0, mss=1460)
    peer.expect("SA")
    peer.icmp(3, 3, seq=0)
    assert isinstance(peer.user.error, Refused)


@pytest.mark.parametrize(("type", "code"), [(3, 0), (3, 1), (3, 5), (3, 11), (11, 0), (12, 0)])
def test_a_soft_icmp_error_ends_nothing_and_is_the_reason_when_we_give_up(peer: TcpScript, type: int, code: int) -> None:
    """RFC 9293 3.9.2.2 (MUST-56); RFC 5461."""
    peer.connect()
    peer.icmp(type, code, seq=0)
    assert not peer.user.closed
    while not peer.user.closed:
        peer.advance(SECOND)
    assert isinstance(peer.user.error, Unreachable)


def test_our_own_hosts_word_that_nobody_is_there_ends_a_connection_attempt(peer: TcpScript) -> None:
    """No rumour from the network: ARP has given up. As Linux, in seconds and not in two minutes."""
    peer.connect()
    peer.icmp(3, 1, seq=0, reporter=peer.local)
    assert isinstance(peer.user.error, Unreachable)
    assert peer.timers.count == 0 and not peer.tcp.hub.tables


@pytest.mark.parametrize("code", [0, 1, 2, 3, 9, 10, 13])
def test_no_icmp_error_ends_an_established_connection(peer: TcpScript, code: int) -> None:
    """RFC 5927 5.2; gVisor: TCPEstablishedUnreachable."""
    conn = peer.establish()
    conn.write(b"abc", peer.now)
    peer.icmp(3, code, seq=1)
    assert not peer.user.closed
    peer.send("A", seq=1, ack=4)
    assert conn.unsent == 0


@pytest.mark.parametrize("at", [-1, 0, 4, 1000, 2**31])
def test_an_icmp_error_must_quote_what_is_in_flight(peer: TcpScript, at: int) -> None:
    """RFC 5927 4.1."""
    conn = peer.establish()
    conn.write(b"abc", peer.now)
    peer.icmp(3, 4, seq=at, mtu=1000)
    assert conn.info().mss == MSS and peer.tcp.ext.OutOfWindowIcmps == 1


def test_an_icmp_error_about_a_stranger_is_counted(peer: TcpScript) -> None:
    peer.icmp(3, 3, seq=0)
    assert peer.tcp.ext.LockDroppedIcmps == 1


def test_fragmentation_needed_lowers_the_mss_and_sends_again(peer: TcpScript) -> None:
    """RFC 1191; gVisor: PathMTUDiscovery."""
    flight(peer, 3)
    peer.icmp(3, 4, seq=1, mtu=1000)
    assert peer.conn.info().mss == 960
    sent = peer.take()
    assert [len(s.payload) for s in sent] == [960] * 4 + [540]
    assert (sent[0].seq - peer.local_iss) % 2**32 == 1
    assert peer.tcp.ext.PmtuLowered == 1
    peer.icmp(3, 4, seq=1, mtu=1000)
    peer.expect_nothing()
    assert peer.tcp.ext.PmtuIgnored == 1


@pytest.mark.parametrize("mtu", [68, 100, 551, 1500, 9000])
def test_an_mtu_that_is_too_small_to_be_true_or_no_smaller_is_ignored(peer: TcpScript, mtu: int) -> None:
    flight(peer, 2)
    peer.icmp(3, 4, seq=1, mtu=mtu)
    assert peer.conn.info().mss == MSS and peer.tcp.ext.PmtuIgnored == 1


def test_a_router_that_does_not_say_the_mtu_means_the_next_plateau(peer: TcpScript) -> None:
    """RFC 1191 7."""
    flight(peer, 2)
    peer.icmp(3, 4, seq=1, mtu=0)
    assert peer.conn.info().mss == 1492 - 40


def test_source_quench_is_ignored(peer: TcpScript) -> None:
    """RFC 6633."""
    flight(peer, 2)
    peer.icmp(4, 0, seq=1)
    peer.expect_nothing()
    assert peer.conn.soft_error is None


def test_a_path_mtu_that_another_connection_has_learnt_is_used_at_once(peer: TcpScript) -> None:
    """The internet layer refuses what does not fit: the segment is cut anew, not waited for."""
    conn = peer.establish(wscale=7, window=1 << 20)
    peer.ip.mtu = 1000
    conn.write(bytes(3000), peer.now)
    assert sizes(peer) == [960, 960, 960, 120]
    assert conn.info().mss == 960 and conn.unsent == 3000
    peer.send("A", seq=1, ack=3001)
    assert conn.unsent == 0 and peer.timers.count == 0
