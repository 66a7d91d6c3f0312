"""SACK as a sender: the scoreboard (RFC 2018 5 and 8, RFC 6675), D-SACK (RFC 2883), and how much is sent in recovery (RFC 9937)."""

import pytest
from flow_sack import GRAIN, ISS, MSS, RTT, Receiver, block_option, indices, sack, seq, start, write

from netstack.instant import MILLISECOND
from netstack.testing.script import TcpScript

pytestmark = pytest.mark.parametrize("script", ISS, indirect=True)


# -- the scoreboard -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("holes", [[0], [0, 1, 2], [0, 4, 7], [0, 2, 4, 6], [3], [2, 5], [0, 1, 2, 3, 4, 5, 6]], ids=str)
def test_rfc2018_5_what_was_sacked_is_not_sent_again(peer: TcpScript, holes: list[int]) -> None:
    """Each hole once, whatever the order of blocks; nothing else, and no time-out."""
    conn = start(peer, 10)
    peer.advance(RTT)
    receiver = Receiver(peer)
    sent = receiver.take(*(i for i in range(10) if i not in holes))
    assert sorted(receiver.finish(sent, 10)) == holes
    assert conn.unsent == 0 and not conn.info().recovering
    assert (peer.tcp.ext.TCPSackRecovery, peer.tcp.ext.TCPTimeouts, peer.tcp.mib.RetransSegs) == (1, 0, len(holes))


def test_rfc6675_5_only_the_holes_are_sent_again_and_the_lowest_first(peer: TcpScript) -> None:
    """NextSeg: rule 1, what is lost, before rule 2, what is new."""
    start(peer, 10, more=10)
    peer.advance(RTT)
    sent = sack(peer, 0, (1, 4))
    for blocks in (((5, 7), (1, 4)), ((8, 10), (5, 7), (1, 4))):
        peer.advance(MILLISECOND)
        sent += sack(peer, 0, *blocks)
    receiver = Receiver(peer, {1, 2, 3, 5, 6, 8, 9})
    receiver.order = [9, 6, 3]
    everything = receiver.finish(sent, 20)
    again = [i for i in everything if i < 10]
    assert again == [0, 4, 7]
    assert everything.index(7) < everything.index(13), "the new data of limited transmit apart"


def test_rfc2018_5_a_cumulative_ack_forgets_the_blocks_below_it(peer: TcpScript) -> None:
    """Three segments that were sacked in the flight before are no three of this one."""
    conn = start(peer, 10)
    peer.advance(RTT)
    assert sack(peer, 0, (1, 4))[0] == 0
    peer.advance(RTT)
    sack(peer, 10)
    assert conn.info().in_flight == 0
    write(peer, 10, 3)
    assert indices(peer) == [10, 11, 12]
    peer.advance(RTT)
    assert sack(peer, 10, (11, 12)) == []
    assert peer.run_to_timer() == pytest.approx(RTT // 4, abs=GRAIN), "one is one"
    assert indices(peer) == [10]


def test_rfc6675_5_recovery_is_one_event_and_ends_at_the_recovery_point(peer: TcpScript) -> None:
    """Whatever else of that window turns out to be lost. What was sent after it is the next window's."""
    conn = start(peer, 10, more=10)
    peer.advance(RTT)
    receiver = Receiver(peer)
    sent = receiver.take(1, 2, 3, 5, 6)
    ssthresh = conn.info().ssthresh
    sent += receiver.take(8, 9)
    assert conn.info().ssthresh == ssthresh == 5 * MSS
    while receiver.next() < 10:
        peer.advance(RTT)
        sent = receiver.take(*sent)
        assert conn.info().recovering == (receiver.next() < 10)
    assert conn.info().cwnd == ssthresh and peer.tcp.ext.TCPSackRecovery == 1


def test_rfc2018_8_a_receiver_that_drops_what_it_had_sacked_gets_it_again(peer: TcpScript) -> None:
    """Reneging: "the data sender MUST NOT discard data before it is acknowledged by the Acknowledgment Number field". An ACK that
    stops right before what was sacked shows it; nobody waits for those blocks for ever."""
    conn = start(peer, 10)
    peer.advance(RTT)
    sent = sack(peer, 0, (1, 10))
    assert sent == [0]
    peer.advance(RTT)
    sent = sack(peer, 1)
    receiver = Receiver(peer, {0})
    everything = receiver.finish(sent, 10)
    assert sorted(set(everything)) == list(range(1, 10))
    assert conn.unsent == 0 and peer.tcp.ext.TCPSACKReneging == 1


@pytest.mark.parametrize(
    "edges",
    [(seq(8), seq(12)), (seq(20), seq(21)), (seq(5), seq(3)), (seq(5), seq(5)), (seq(3), seq(3) + (1 << 31)), (-(1 << 20), seq(9))],
    ids=["beyond", "far beyond", "reversed", "empty", "half of all", "from before"],
)
def test_rfc2018_5_blocks_that_can_not_be_are_not_believed(peer: TcpScript, edges: tuple[int, int]) -> None:
    """CVE-2019-11477 and others lived there."""
    conn = start(peer, 10)
    before = conn.info()
    peer.advance(RTT)
    for _ in range(4):
        peer.send("A", seq=1, ack=seq(2), options=block_option(peer, [edges]))
    peer.advance(RTT // 2)
    peer.expect_nothing()
    after = conn.info()
    assert not after.recovering and after.ssthresh == before.ssthresh and after.in_flight == 8 * MSS
    sack(peer, 10)
    assert conn.unsent == 0 and peer.tcp.mib.RetransSegs == 0 and peer.timers.count == 0


def test_rfc2018_5_a_block_that_ends_within_a_segment_leaves_the_rest_to_be_sent(peer: TcpScript) -> None:
    conn = start(peer, 6)
    peer.advance(RTT)
    covered = [(seq(1), seq(4) - 700), (seq(4), seq(6))]
    for blocks in (covered[:1], covered[::-1]):
        peer.send("A", seq=1, ack=1, options=block_option(peer, blocks))
    sent = []
    for _ in range(20):
        for segment in peer.take():
            at = (segment.seq - peer.local_iss) % 2**32
            sent.append((at, at + len(segment.payload)))
        if any(a <= seq(4) - 700 and seq(4) <= b for a, b in sent):
            break
        peer.advance(RTT)
        if sent and not peer.sent:
            peer.send("A", seq=1, ack=seq(4) - 700, options=block_option(peer, covered[1:]))
        if not peer.sent:
            peer.run_to_timer()
    else:
        raise AssertionError(f"the last 700 bytes of segment 3 were not sent again: {sent}")
    peer.advance(RTT)
    peer.send("A", seq=1, ack=seq(6))
    assert conn.unsent == 0 and peer.timers.count == 0


def test_rfc3042_2_the_first_two_sacks_let_new_data_out(peer: TcpScript) -> None:
    start(peer, 10, more=10)
    peer.advance(RTT)
    assert sack(peer, 0, (1, 2)) == [10]
    assert sack(peer, 0, (1, 3)) == [11]
    assert sack(peer, 0, (1, 4))[0] == 0


@pytest.mark.parametrize("place", ["below the ack", "with an ack that moves on", "within a block above it"])
def test_rfc2883_4_a_dsack_is_known_in_all_three_places(peer: TcpScript, place: str) -> None:
    """4.1.1 to 4.1.3 and 4.2.2, told by the first block alone. No loss follows from any."""
    conn = start(peer, 4)
    peer.advance(RTT)
    assert sack(peer, 0, (1, 4)) == [0]
    peer.advance(RTT)
    ext = peer.tcp.ext
    if place == "below the ack":
        sack(peer, 4)
        sack(peer, 4, (0, 1))
        assert (ext.TCPDSACKRecv, ext.TCPDSACKOfoRecv) == (1, 0)
    elif place == "with an ack that moves on":
        sack(peer, 4, (0, 1))
        assert (ext.TCPDSACKRecv, ext.TCPDSACKOfoRecv) == (1, 0)
    else:
        sack(peer, 0, (2, 3), (1, 4))
        assert (ext.TCPDSACKRecv, ext.TCPDSACKOfoRecv) == (0, 1)
    peer.advance(MILLISECOND)
    sack(peer, 4)
    assert conn.unsent == 0 and peer.tcp.mib.RetransSegs == 1


# -- proportional rate reduction: RFC 9937 ------------------------------------------------------------------------------------


def twenty(peer: TcpScript, more: int) -> None:
    """Twenty segments in flight, 10 to 29, and `more` that wait; cwnd is 20."""
    conn = start(peer, 10, more=20 + more)
    conn.set_marks(0, 1 << 30)
    peer.advance(RTT)
    assert sack(peer, 10) == list(range(10, 30))
    peer.advance(RTT)


def test_rfc9937_6_one_segment_leaves_for_each_two_that_arrive(peer: TcpScript) -> None:
    """One of twenty was lost, the window is halved: CEIL(prr_delivered * ssthresh / RecoverFS) - prr_out, ACK by ACK, no burst at
    the start and no silence of half a round trip as RFC 6675's pipe has it."""
    twenty(peer, 100)
    limited = sack(peer, 10, (11, 12)) + sack(peer, 10, (11, 13))
    sent = sack(peer, 10, (11, 14))
    assert sent == [10], "the retransmission leaves with the ACK that begins recovery"
    for i in range(2, 18):
        drawn = sack(peer, 10, (11, 12 + i + 1))
        assert len(drawn) <= 2
        sent += drawn
        assert abs(len(sent) - i / 2) <= 1.5, f"{len(sent)} segments sent after {i} were delivered in recovery"
    assert peer.conn.info().ssthresh == 10 * MSS
    assert limited == [30, 31]


def test_rfc9937_6_below_ssthresh_no_more_is_sent_than_was_delivered(peer: TcpScript) -> None:
    """Twelve of twenty are lost. While the ACKs show no progress: packet conservation (SndCnt = MAX(prr_delivered - prr_out,
    DeliveredData)); once they do, and no new loss is known (SafeACK), one segment more for each."""
    twenty(peer, 100)
    sent = sack(peer, 10, (22, 25))
    assert sent and sent[0] == 10
    total, delivered = len(sent), 3
    for end in range(26, 31):
        drawn = sack(peer, 10, (22, end))
        total += len(drawn)
        delivered += 1
        sent += drawn
        assert len(drawn) <= max(delivered - (total - len(drawn)), 1) + 1
    assert peer.conn.info().ssthresh == 10 * MSS
    assert total <= delivered + 1
    receiver = Receiver(peer, set(range(10)) | set(range(22, 30)))
    receiver.order = [29]
    while receiver.next() < 22:
        peer.advance(RTT)
        arriving, sent = sent or indices(peer), []
        assert arriving, "the flow has stopped"
        for i in arriving:
            drawn = receiver.take(i)
            assert len(drawn) <= 2, "two at most for each that arrives"
            sent += drawn
        assert peer.conn.info().in_flight <= 31 * MSS
    assert peer.tcp.ext.TCPTimeouts == 0


def test_rfc9937_6_an_ack_that_delivers_nothing_sends_nothing(peer: TcpScript) -> None:
    """ "If (DeliveredData is 0) Return": repeated or forged, duplicates are no licence."""
    twenty(peer, 100)
    sack(peer, 10, (11, 14))
    for _ in range(50):
        assert sack(peer, 10, (11, 14)) == []
    for _ in range(50):
        assert sack(peer, 10) == []


def test_rfc9937_6_at_the_end_the_window_is_what_congestion_control_chose(peer: TcpScript) -> None:
    """ "cwnd = ssthresh", and about as much is in flight."""
    twenty(peer, 100)
    receiver = Receiver(peer, set(range(10)))
    sent = receiver.take(*range(11, 30))
    while receiver.next() < 30:
        peer.advance(RTT)
        sent = receiver.take(*sent)
    info = peer.conn.info()
    assert not info.recovering and info.cwnd == info.ssthresh == 10 * MSS
    assert peer.tcp.ext.TCPTimeouts == 0


def test_rfc9937_6_an_application_that_pauses_in_recovery_may_make_up_for_it_without_a_burst(peer: TcpScript) -> None:
    """prr_delivered - prr_out counts what it could have sent; pipe stays within ssthresh."""
    twenty(peer, 0)
    sent = sack(peer, 10, (11, 20))
    assert sent == [10]
    sack(peer, 10, (11, 30))
    write(peer, 30, 60)
    drawn = indices(peer)
    assert len(drawn) <= 10
