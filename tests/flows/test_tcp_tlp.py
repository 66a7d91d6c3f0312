"""Tail loss probes: a tail that was lost is found without a time-out (RFC 8985 7).

SRTT is 20 ms, so that a probe is due after 40; the time-out would come after 220.
"""

import pytest
from flow_sack import GRAIN, ISS, MSS, RTT, block_option, indices, sack, seq, start, write

from netstack import const
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp import wire
from netstack.testing.script import TcpScript

pytestmark = pytest.mark.parametrize("script", ISS, indirect=True)
PTO = 2 * RTT


# -- scheduling: 7.2 ----------------------------------------------------------------------------------------------------------


def test_rfc8985_7_2_a_probe_is_sent_after_two_round_trips_of_silence(peer: TcpScript) -> None:
    conn = start(peer, 4)
    before = conn.info()
    assert peer.run_to_timer() == pytest.approx(PTO, abs=GRAIN)
    assert indices(peer) == [3]
    after = conn.info()
    assert (after.cwnd, after.ssthresh, after.recovering) == (before.cwnd, before.ssthresh, False), "no loss is known yet"
    assert (peer.tcp.ext.TCPLossProbes, peer.tcp.ext.TCPTimeouts) == (1, 0)


def test_rfc8985_7_2_each_ack_that_moves_on_begins_the_wait_anew(peer: TcpScript) -> None:
    start(peer, 4)
    peer.advance(RTT)
    sack(peer, 1)
    peer.advance(RTT)
    sack(peer, 2)
    assert peer.run_to_timer() == pytest.approx(PTO, abs=GRAIN + MILLISECOND)  # SRTT has not changed much
    assert indices(peer) == [3]


def test_rfc8985_7_2_a_lone_segment_leaves_time_for_a_delayed_ack_and_not_more_than_the_time_out(peer: TcpScript) -> None:
    """TLP.max_ack_delay may be added; "If Now() + PTO > TCP_RTO_expiration(): PTO = TCP_RTO_expiration() - Now()"."""
    conn = start(peer, 1)
    rto = conn.info().rto
    assert PTO <= peer.run_to_timer() <= rto + GRAIN
    assert indices(peer) == [0]
    assert (peer.tcp.ext.TCPLossProbes, peer.tcp.ext.TCPTimeouts) == (1, 0)


def test_rfc8985_7_2_without_a_round_trip_time_it_is_a_second(peer: TcpScript) -> None:
    """The SYN was sent twice, so that nothing has been timed (RFC 6298 5.7 has three seconds for the time-out)."""
    peer.connect()
    peer.expect("S")
    peer.advance(SECOND)
    peer.expect("S")
    peer.send("SA", seq=0, ack=1, mss=MSS, options=wire.sack_permitted_option())
    peer.expect("A")
    peer.conn.write(bytes(MSS), peer.now)
    peer.expect("A", length=MSS)
    assert peer.run_to_timer() == pytest.approx(SECOND, abs=GRAIN)
    peer.expect("A", seq=1, length=MSS)
    assert peer.tcp.ext.TCPLossProbes == 1


def test_rfc8985_7_2_no_probe_is_scheduled_while_something_is_sacked(peer: TcpScript) -> None:
    """RACK has its own timer then, and in recovery the time-out is the only other one."""
    conn = start(peer, 2)
    peer.advance(RTT)
    sack(peer, 0, (1, 2))
    peer.run_to_timer()
    assert indices(peer) == [0] and conn.info().recovering
    assert peer.run_to_timer() >= 200 * MILLISECOND
    assert indices(peer) == [0]
    assert (peer.tcp.ext.TCPLossProbes, peer.tcp.ext.TCPTimeouts) == (0, 1)


def test_rfc8985_7_1_no_probes_without_sack(peer: TcpScript) -> None:
    """ "TLP … requires SACK": the answer to a probe would say nothing."""
    conn = peer.establish()
    conn.write(bytes(3 * MSS), peer.now)
    peer.take()
    assert peer.run_to_timer() >= 200 * MILLISECOND
    assert indices(peer) == [0]
    assert (peer.tcp.ext.TCPLossProbes, peer.tcp.ext.TCPTimeouts) == (0, 1)


# -- sending: 7.3 -------------------------------------------------------------------------------------------------------------


def test_rfc8985_7_3_new_data_is_the_better_probe_whatever_the_congestion_window_says(peer: TcpScript) -> None:
    """One segment above it."""
    conn = start(peer, 10, more=5)
    assert peer.run_to_timer() == pytest.approx(PTO, abs=GRAIN)
    assert indices(peer) == [10]
    assert conn.info().in_flight == 11 * MSS and peer.tcp.mib.RetransSegs == 0


def test_rfc8985_7_3_a_probe_that_finds_no_room_for_new_data_repeats_the_last_segment(peer: TcpScript) -> None:
    """The peer's window is no advice."""
    conn = start(peer, 4, window=4 * MSS, wscale=None)
    write(peer, 4, 4)
    peer.expect_nothing()
    peer.run_to_timer()
    assert indices(peer) == [3]
    assert conn.info().in_flight == 4 * MSS


def test_rfc8985_7_3_a_fin_is_a_tail_too(peer: TcpScript) -> None:
    conn = start(peer, 2)
    conn.shutdown(peer.now)
    peer.expect("FA", seq=1 + 2 * MSS, length=0)
    peer.run_to_timer()
    assert peer.sent[0].flags & 1, "the FIN, alone or with the last segment"
    assert peer.tcp.ext.TCPLossProbes == 1 and peer.tcp.ext.TCPTimeouts == 0


@pytest.mark.parametrize("more", [0, 5])
def test_rfc8985_7_3_when_the_probe_is_lost_too_the_time_out_follows(peer: TcpScript, more: int) -> None:
    """One probe for a flight; the time-out counts from it."""
    conn = start(peer, 10, more=more)
    rto = conn.info().rto
    peer.run_to_timer()
    assert indices(peer) == [10 if more else 9]
    assert peer.run_to_timer() == pytest.approx(rto, abs=GRAIN)
    assert indices(peer) == [0]
    assert (peer.tcp.ext.TCPLossProbes, peer.tcp.ext.TCPTimeouts) == (1, 1)
    assert conn.info().cwnd == MSS
    assert peer.run_to_timer() == pytest.approx(2 * rto, abs=2 * GRAIN), "backed off, and no probe in between"
    assert indices(peer) == [0]


def test_rfc8985_7_3_no_second_probe_while_the_first_is_in_flight(peer: TcpScript) -> None:
    """ "If either one of these two conditions is not met, then the sender MUST skip sending a loss probe and MUST proceed to re-arm
    the RTO timer": an ACK that moves on, but not beyond the probe, begins no new episode."""
    start(peer, 4)
    peer.run_to_timer()
    assert indices(peer) == [3]
    peer.advance(MILLISECOND)
    sack(peer, 1)
    peer.run_to_timer()
    assert indices(peer) == [1]
    assert (peer.tcp.ext.TCPLossProbes, peer.tcp.ext.TCPTimeouts) == (1, 1)


# -- what its ACK says: 7.4 ---------------------------------------------------------------------------------------------------


def test_rfc8985_7_4_1_the_sack_of_a_probe_finds_the_losses_before_it(peer: TcpScript) -> None:
    """1 to 4 of five were lost: a round trip after the probe fast recovery begins, and no time-out comes."""
    conn = start(peer, 5)
    peer.advance(RTT)
    sack(peer, 1)
    peer.run_to_timer()
    assert indices(peer) == [4]
    peer.advance(RTT)
    sent = sack(peer, 1, (4, 5))
    assert sent[0] == 1 and conn.info().recovering
    while sent != [] and conn.unsent:
        peer.advance(RTT)
        sent = sack(peer, max(sent) + 1 if max(sent) < 3 else 5, *(() if max(sent) >= 3 else ((4, 5),)))
    assert conn.unsent == 0
    assert (peer.tcp.ext.TCPSackRecovery, peer.tcp.ext.TCPTimeouts, peer.tcp.mib.RetransSegs) == (1, 0, 4)


def test_rfc8985_7_4_2_a_tail_that_the_probe_repaired_was_a_loss(peer: TcpScript) -> None:
    """Nobody says that the probe was a duplicate, so the segment itself was lost: congestion control must hear of it, once."""
    conn = start(peer, 3)
    peer.advance(RTT)
    sack(peer, 2)
    before = conn.info().cwnd
    peer.run_to_timer()
    assert indices(peer) == [2]
    peer.advance(RTT)
    sack(peer, 3)
    write(peer, 3, 1)
    assert indices(peer) == [3]
    peer.advance(RTT)
    sack(peer, 4)
    assert peer.tcp.ext.TCPLossProbeRecovery == 1
    assert conn.info().cwnd < before and not conn.info().recovering
    write(peer, 4, 1)
    peer.advance(RTT)
    sack(peer, 5)
    assert (peer.tcp.ext.TCPLossProbeRecovery, peer.tcp.ext.TCPTimeouts) == (1, 0)


@pytest.mark.parametrize("told", ["dsack", "dsack with the ack", "bare duplicate"])
def test_rfc8985_7_4_2_a_probe_that_was_not_needed_costs_no_window(peer: TcpScript, told: str) -> None:
    """Cases 1 and 2: the original had only been late."""
    conn = start(peer, 3)
    peer.advance(RTT)
    sack(peer, 2)
    before = conn.info()
    peer.run_to_timer()
    assert indices(peer) == [2]
    peer.advance(MILLISECOND)
    if told != "dsack with the ack":
        sack(peer, 3)
    peer.advance(RTT)
    sack(peer, 3, *(() if told == "bare duplicate" else ((2, 3),)))
    write(peer, 3, 1)
    assert indices(peer) == [3]
    peer.advance(RTT)
    sack(peer, 4)
    after = conn.info()
    assert peer.tcp.ext.TCPLossProbeRecovery == 0 and not after.recovering
    assert after.cwnd >= before.cwnd and after.ssthresh == before.ssthresh


def test_rfc8985_7_4_2_a_probe_of_new_data_that_arrives_is_the_end_of_it(peer: TcpScript) -> None:
    conn = start(peer, 10, more=1)
    before = conn.info()
    peer.run_to_timer()
    assert indices(peer) == [10]
    peer.advance(RTT)
    sack(peer, 11)
    assert conn.unsent == 0 and conn.info().cwnd >= before.cwnd
    assert (peer.tcp.ext.TCPLossProbeRecovery, peer.tcp.mib.RetransSegs) == (0, 0)


def test_rfc8985_7_3_no_probe_before_something_was_timed_since_the_last(peer: TcpScript) -> None:
    """The second condition: a flight later, too. The ACK of what was sent twice times nothing (Karn), and so the path may be slower
    than we think: probing on and on would be a retransmission time-out of two round trips."""
    conn = start(peer, 1)
    peer.run_to_timer()
    assert indices(peer) == [0]
    peer.advance(MILLISECOND)
    sack(peer, 1, (0, 1))  # the first probe is over: it was not needed
    write(peer, 1, 2)
    assert indices(peer) == [1, 2]
    assert peer.run_to_timer() >= conn.info().rto // 2
    assert indices(peer) == [1]
    assert (peer.tcp.ext.TCPLossProbes, peer.tcp.ext.TCPTimeouts) == (1, 1)


def test_rfc8985_7_1_after_a_round_trip_of_its_own_a_flight_may_be_probed_again(peer: TcpScript) -> None:
    """ "The sender has obtained an RTT measurement since the last loss probe transmission.\""""
    start(peer, 4)
    for first in (0, 4, 8):
        peer.run_to_timer()
        assert indices(peer) == [first + 3]
        peer.advance(RTT)
        sack(peer, first + 4, (first + 3, first + 4))  # it was not needed
        write(peer, first + 4, 4)
        assert indices(peer) == list(range(first + 4, first + 8))
        peer.advance(RTT)
        sack(peer, first + 5)
    assert (peer.tcp.ext.TCPLossProbes, peer.tcp.ext.TCPTimeouts) == (3, 0)


# -- what else a probe carries, and what its SACK tells ---------------------------------------------------------------------------


def test_rfc8985_7_3_a_probe_with_a_fin_carries_the_whole_last_segment(peer: TcpScript) -> None:
    """The FIN takes a sequence number and no room: the first byte must not be left out for it."""
    conn = start(peer, 10, more=1)
    conn.shutdown(peer.now)
    peer.advance(RTT)
    peer.send("A", seq=1, ack=seq(10))
    last = peer.expect("FPA", seq=seq(10), length=MSS)
    peer.run_to_timer()
    probe = peer.expect("FPA", seq=seq(10), length=MSS)
    assert probe.payload == last.payload and peer.tcp.ext.TCPLossProbes == 1
    assert peer.tcp.mib.RetransSegs == 1


def test_rfc8985_7_4_the_sack_of_a_probe_finds_the_rest_of_the_tail_though_its_timestamp_is_old(peer: TcpScript) -> None:
    """Beyond a hole the peer echoes what came before the hole (RFC 7323 4.3), which is no word about the probe."""
    peer.window = 1 << 20
    peer.listen()
    stamps = wire.timestamps_option(1000, 0)
    peer.send("S", seq=0, mss=MSS, wscale=7, options=wire.sack_permitted_option() + stamps, window=const.M16)
    ours = peer.expect("SA").option(8)
    assert ours is not None
    peer.scale = 7
    peer.advance(RTT)
    old = wire.timestamps_option(1020, int.from_bytes(ours[:4], "big"))
    peer.send("A", seq=1, ack=1, options=old)
    mss = MSS - 12
    peer.conn.write(bytes(4 * mss), peer.now)
    assert len(peer.take()) == 4
    peer.run_to_timer()
    peer.expect("A", seq=1 + 3 * mss, length=mss)
    peer.advance(RTT)
    option = block_option(peer, [(1 + 3 * mss, 1 + 4 * mss)])
    peer.send("A", seq=1, ack=1, options=old + option)
    peer.expect("A", seq=1, length=mss)
    assert (peer.tcp.ext.TCPSackRecovery, peer.tcp.ext.TCPTimeouts) == (1, 0)
