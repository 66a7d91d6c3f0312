"""RACK: losses told by time (RFC 8985 6).

No reordering window is needed where three segments were sacked and none was ever reordered; else it is a quarter of the shortest
round trip, here 5 ms of 20, and one more for each round trip with a D-SACK.
"""

import pytest
from flow_sack import GRAIN, ISS, RTT, Receiver, indices, sack, start, write

from netstack.instant import MILLISECOND
from netstack.testing.script import TcpScript

pytestmark = pytest.mark.parametrize("script", ISS, indirect=True)
QUARTER = RTT // 4


def hole(peer: TcpScript, i: int) -> int:
    """Segments `i` and `i` + 1 are sent, the second is sacked a round trip later. How long until the first is sent again."""
    write(peer, i, 2)
    assert indices(peer) == [i, i + 1]
    peer.advance(RTT)
    assert sack(peer, i, (i + 1, i + 2)) == []
    wait = peer.run_to_timer()
    assert indices(peer) == [i]
    return wait


def lost(peer: TcpScript, i: int) -> int:
    """A `hole` that was a loss; it is filled a round trip later."""
    wait = hole(peer, i)
    peer.advance(RTT)
    sack(peer, i + 2)
    return wait


def late(peer: TcpScript, i: int) -> int:
    """A `hole` that was none: the segment comes when it has just been sent again, and the second one is reported as a duplicate."""
    wait = hole(peer, i)
    peer.advance(MILLISECOND)
    sack(peer, i + 2)
    peer.advance(RTT)
    sack(peer, i + 2, (i, i + 1))
    return wait


def test_rfc8985_6_2_three_sacked_segments_start_recovery_at_once(peer: TcpScript) -> None:
    """ "Else if RACK.segs_sacked >= DupThresh: Return 0", and every segment sent before the last sacked one is lost."""
    conn = start(peer, 10)
    peer.advance(RTT)
    assert sack(peer, 0, (3, 4)) == []
    assert sack(peer, 0, (3, 5)) == []
    assert not conn.info().recovering
    sent = sack(peer, 0, (3, 6))
    assert sent[0] == 0 and conn.info().recovering
    assert (peer.tcp.ext.TCPSackRecovery, peer.tcp.ext.TCPTimeouts) == (1, 0)
    receiver = Receiver(peer, {3, 4, 5, 6, 7, 8, 9})
    receiver.order = [9]
    assert sorted(receiver.finish(sent, 10)) == [0, 1, 2]


def test_rfc8985_6_2_fewer_wait_for_a_quarter_of_the_round_trip(peer: TcpScript) -> None:
    """The reordering timer, which is no time-out: fast recovery follows."""
    conn = start(peer, 3)
    peer.advance(RTT)
    assert sack(peer, 0, (1, 2)) == []
    assert peer.run_to_timer() == pytest.approx(QUARTER, abs=GRAIN)
    assert indices(peer) == [0]
    assert conn.info().recovering
    assert (peer.tcp.ext.TCPSackRecovery, peer.tcp.ext.TCPTimeouts, peer.tcp.ext.TCPLossProbes) == (1, 0, 0)


def test_rfc8985_6_2_what_comes_late_but_within_the_reordering_window_costs_nothing(peer: TcpScript) -> None:
    conn = start(peer, 5)
    cwnd = conn.info().cwnd
    peer.advance(RTT)
    assert sack(peer, 0, (1, 2)) == []
    peer.advance(QUARTER // 2)
    assert sack(peer, 2) == []
    peer.advance(QUARTER)
    peer.expect_nothing()
    sack(peer, 5)
    assert peer.tcp.mib.RetransSegs == 0 and conn.info().cwnd >= cwnd
    assert peer.tcp.ext.TCPSACKReorder == 1, "a segment that was never sent again has come below one that was sacked"


def test_rfc8985_6_2_where_reordering_was_seen_three_sacked_segments_no_longer_decide(peer: TcpScript) -> None:
    """ "If some reordering has been observed, then RACK does not trigger fast recovery based on DupThresh.\""""
    start(peer, 5)
    peer.advance(RTT)
    sack(peer, 0, (1, 2))
    sack(peer, 5)
    write(peer, 5, 8)
    assert indices(peer) == list(range(5, 13))
    peer.advance(RTT)
    for end in (7, 8, 9, 10, 11):
        assert sack(peer, 5, (6, end)) == []
    assert peer.run_to_timer() == pytest.approx(QUARTER, abs=GRAIN)
    assert indices(peer)[0] == 5


def test_rfc8985_6_2_a_lost_retransmission_is_found_by_what_was_sent_after_it(peer: TcpScript) -> None:
    """Where counting duplicates needs the time-out. It is a second congestion event: what is lost now was sent after the first."""
    conn = start(peer, 10, more=10)
    peer.advance(RTT)
    drawn = sack(peer, 0, (1, 4))
    assert drawn[0] == 0
    peer.advance(MILLISECOND)
    drawn = sack(peer, 0, (1, 10))
    assert drawn and min(drawn) >= 10, "new data goes on"
    peer.advance(RTT)
    assert sack(peer, 0, (1, drawn[0] + 1))[0] == 0
    assert (peer.tcp.ext.TCPLostRetransmit, peer.tcp.ext.TCPTimeouts) == (1, 0)
    assert conn.info().recovering


def test_rfc8985_6_2_an_ack_that_is_too_early_for_the_retransmission_tells_rack_nothing(peer: TcpScript) -> None:
    """ "The segment was last retransmitted less than RACK.min_rtt ago": it was the original that came. Taken for the other, it
    would be a round trip of 1 ms, and all that is in flight would be old."""
    conn = start(peer, 6)
    peer.advance(RTT)
    assert sack(peer, 0, (1, 4)) == [0]
    peer.advance(MILLISECOND)
    assert sack(peer, 4) == []
    peer.advance(QUARTER)
    peer.expect_nothing()
    sack(peer, 6)
    assert conn.unsent == 0 and peer.tcp.mib.RetransSegs == 1


@pytest.mark.parametrize("dsacks", [1, 2])
def test_rfc8985_6_2_a_dsack_widens_the_reordering_window_once_a_round_trip(peer: TcpScript, dsacks: int) -> None:
    """ "RACK.dsack_round = SND.NXT; RACK.reo_wnd_mult += 1"; a second one before SND.UNA has come there changes nothing."""
    start(peer, 6)
    peer.advance(RTT)
    drawn = sack(peer, 0, (2, 5)) + sack(peer, 0, (2, 6))
    assert drawn == [0, 1]
    peer.advance(MILLISECOND)
    assert sack(peer, 6) == [], "both had only been late"
    write(peer, 6, 2)
    assert indices(peer) == [6, 7]
    peer.advance(MILLISECOND)
    for i in range(dsacks):
        sack(peer, 6, (i, i + 1))
    assert peer.tcp.ext.TCPDSACKRecv == dsacks
    peer.advance(RTT - MILLISECOND)
    assert sack(peer, 6, (7, 8)) == []
    assert peer.run_to_timer() == pytest.approx(2 * QUARTER, abs=GRAIN)
    assert indices(peer) == [6]


def test_rfc8985_6_2_the_widened_window_is_a_round_trip_at_most(peer: TcpScript) -> None:
    """ "Return min(RACK.reo_wnd_mult * RACK.min_RTT / 4, SRTT)"."""
    conn = start(peer, 1)
    peer.advance(RTT)
    sack(peer, 1)
    waits = [late(peer, 1 + 2 * i) for i in range(8)]
    for i, wait in enumerate(waits):
        assert wait == pytest.approx(min((i + 1) * QUARTER, conn.info().srtt), abs=2 * GRAIN), f"the window after {i} D-SACKs"


def test_rfc8985_6_2_after_sixteen_recoveries_without_dsack_the_window_is_narrow_again(peer: TcpScript) -> None:
    start(peer, 1)
    peer.advance(RTT)
    sack(peer, 1)
    assert late(peer, 1) == pytest.approx(QUARTER, abs=GRAIN)
    for i in range(16):
        assert lost(peer, 3 + 2 * i) == pytest.approx(2 * QUARTER, abs=GRAIN)
    assert lost(peer, 35) == pytest.approx(QUARTER, abs=GRAIN)


def test_rfc8985_6_3_a_time_out_marks_the_first_segment_and_those_that_are_old_enough(peer: TcpScript) -> None:
    """What was sent a moment before it is in flight, and is not sent again."""
    conn = start(peer, 1)
    peer.advance(RTT)
    sack(peer, 1)
    write(peer, 1, 5)
    assert indices(peer) == [1, 2, 3, 4, 5]
    probe = peer.run_to_timer()
    assert indices(peer) == [5] and peer.tcp.ext.TCPLossProbes == 1 and probe < 3 * RTT
    peer.advance(conn.info().rto - 10 * MILLISECOND)
    peer.expect_nothing()
    write(peer, 6, 3)
    assert indices(peer) == [6, 7, 8]
    peer.run_to_timer()
    assert indices(peer) == [1] and peer.tcp.ext.TCPTimeouts == 1
    peer.advance(MILLISECOND)
    assert sack(peer, 6) == [], "6 to 8 were sent eleven milliseconds ago"
    sack(peer, 9)
    assert conn.unsent == 0 and peer.tcp.mib.RetransSegs == 2


def test_rfc8985_6_3_the_losses_that_a_time_out_marked_are_sent_in_slow_start(peer: TcpScript) -> None:
    """One, two, four; each sacked or lost again is known at once, without another time-out."""
    conn = start(peer, 10)
    receiver = Receiver(peer)
    sent: list[int] = []
    while not sent:
        peer.run_to_timer()
        sent = [i for i in indices(peer) if i == 0]  # the loss probe is lost too
    assert conn.info().cwnd == 1460 and peer.tcp.ext.TCPTimeouts == 1
    rounds = []
    while receiver.next() < 10:
        peer.advance(RTT)
        rounds.append(len(sent))
        sent = receiver.take(*sent)
    assert rounds[:3] == [1, 2, 4] and peer.tcp.ext.TCPTimeouts == 1
    assert peer.tcp.ext.TCPSlowStartRetrans >= 9
