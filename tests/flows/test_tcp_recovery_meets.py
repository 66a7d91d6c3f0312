"""Loss recovery where it meets the rest: time-outs, shut windows, FINs, a smaller path, devices that segment."""

from collections.abc import Callable

import pytest
from flow_sack import ISS, MSS, RTT, Receiver, Stamped, block_option, indices, sack, seq, start, write

from netstack import const
from netstack.instant import MICROSECOND, MILLISECOND, SECOND
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]
pytestmark = pytest.mark.parametrize("script", ISS, indirect=True)


def test_rfc6675_5_1_what_was_sacked_is_remembered_over_a_time_out(peer: TcpScript) -> None:
    """The retransmissions of 0 to 4 are lost, all of them. Slow start repeats them, and not 5 to 9."""
    conn = start(peer, 10)
    peer.advance(RTT)
    sack(peer, 0, (5, 10))
    while not peer.tcp.ext.TCPTimeouts:
        peer.run_to_timer()
        sent = indices(peer)
    assert sent == [0] and conn.info().cwnd == MSS
    receiver = Receiver(peer, {5, 6, 7, 8, 9})
    receiver.order = [9]
    again = receiver.finish(sent, 10)
    assert sorted(set(again)) == [0, 1, 2, 3, 4]
    assert peer.tcp.ext.TCPTimeouts == 1 and conn.unsent == 0


def test_rfc6675_5_1_a_time_out_in_recovery_ends_it(peer: TcpScript) -> None:
    """One segment, slow start, and no fast recovery for the same window again."""
    conn = start(peer, 10, more=20)
    peer.advance(RTT)
    sack(peer, 0, (1, 4))
    assert conn.info().recovering
    while not peer.tcp.ext.TCPTimeouts:
        peer.run_to_timer()
        sent = indices(peer)
    assert sent == [0] and not conn.info().recovering
    receiver = Receiver(peer, {1, 2, 3})
    receiver.order = [3]
    receiver.finish(sent, 30)
    assert (peer.tcp.ext.TCPSackRecovery, peer.tcp.ext.TCPTimeouts) == (1, 1)


def test_rfc8985_9_4_back_off_is_kept_until_something_is_timed(peer: TcpScript) -> None:
    """Karn's second half (RFC 6298 5.7) holds for a peer with SACK as for any."""
    conn = start(peer, 2)
    rto = conn.info().rto
    for _ in range(3):
        peer.run_to_timer()
        peer.take()
    assert conn.info().rto == 4 * rto and peer.tcp.ext.TCPTimeouts == 2
    peer.advance(MILLISECOND)
    sack(peer, 1)
    peer.take()
    assert conn.info().rto == 4 * rto
    peer.advance(MILLISECOND)
    sack(peer, 2)
    write(peer, 2, 1)
    assert indices(peer) == [2]
    peer.advance(RTT)
    sack(peer, 3)
    assert conn.info().rto <= rto + 50 * MILLISECOND


def test_rfc9293_3_8_6_a_hole_is_not_filled_beyond_a_window_that_has_shut(peer: TcpScript) -> None:
    """SHLD-15 to 17: what lies right of the edge waits; SND.UNA is probed (MUST-35), and when the window opens recovery goes on."""
    conn = start(peer, 10)
    peer.advance(RTT)
    first = sack(peer, 0, (4, 10), window=0)
    assert set(first) <= {0}
    for _ in range(4):
        peer.run_to_timer()
        assert set(indices(peer)) <= {0}
        peer.send("A", seq=1, ack=1, options=block_option(peer, [(seq(4), seq(10))]), window=0)
        assert set(indices(peer)) <= {0}
    sent = sack(peer, 0, (4, 10))
    receiver = Receiver(peer, {4, 5, 6, 7, 8, 9})
    receiver.order = [9]
    everything = receiver.finish(sent, 10)
    assert set(everything) <= {0, 1, 2, 3} and conn.unsent == 0


def test_rfc9293_3_4_a_fin_has_its_place_in_blocks(peer: TcpScript) -> None:
    """The first of three segments and a FIN was lost: only that one comes again."""
    conn = start(peer, 3)
    conn.shutdown(peer.now)
    peer.expect("FA", seq=seq(3), length=0)
    peer.advance(RTT)
    peer.send("A", seq=1, ack=1, options=block_option(peer, [(seq(1), seq(3) + 1)]))
    while not peer.sent:
        peer.run_to_timer()
    peer.expect("A", seq=seq(0), length=MSS)
    peer.expect_nothing()
    peer.advance(RTT)
    peer.send("A", seq=1, ack=seq(3) + 1)
    assert conn.state_name == "FIN-WAIT-2" and peer.tcp.ext.TCPTimeouts == 0


def test_rfc9293_3_4_a_fin_that_was_lost_behind_sacked_data_comes_again(peer: TcpScript) -> None:
    conn = start(peer, 3)
    conn.shutdown(peer.now)
    peer.take()
    peer.advance(RTT)
    sack(peer, 3)
    while not peer.sent:
        peer.run_to_timer()
    peer.expect("FA", seq=seq(3), length=0)
    peer.advance(RTT)
    peer.send("A", seq=1, ack=seq(3) + 1)
    assert conn.state_name == "FIN-WAIT-2" and peer.tcp.ext.TCPTimeouts == 0


def test_rfc1191_6_5_a_smaller_path_in_the_middle_of_recovery(peer: TcpScript) -> None:
    """All that was too long is cut anew; nothing of it is a sign of congestion, and all arrives."""
    conn = start(peer, 10)
    peer.advance(RTT)
    sack(peer, 0, (1, 4))
    assert conn.info().recovering
    ssthresh = conn.info().ssthresh
    peer.icmp(3, 4, seq=seq(5), mtu=1000)
    have = [(seq(1), seq(4))]
    una = 1
    for _ in range(60):
        for segment in peer.take():
            assert len(segment.payload) <= 960
            at = (segment.seq - peer.local_iss) % 2**32
            have.append((at, at + len(segment.payload)))
        for a, b in sorted(have):
            if a <= una < b:
                una = b
        if una == seq(10):
            break
        peer.advance(RTT)
        peer.send("A", seq=1, ack=una, options=block_option(peer, [(a, b) for a, b in have[:1] if a > una]))
        if not peer.sent:
            peer.run_to_timer()
    peer.send("A", seq=1, ack=una)
    assert una == seq(10) and conn.unsent == 0 and conn.info().ssthresh >= ssthresh


@pytest.mark.parametrize("holes", [[0], [0, 1, 2], [3, 4, 7]], ids=str)
def test_rfc8985_6_2_super_segments_are_lost_by_segments(script: Make, holes: list[int]) -> None:
    """What the device has cut into ten is repeated as far as it was lost."""
    peer = script(offload=const.OFFLOAD_TSO4)
    conn = start(peer, 10)
    assert len(peer.packets) <= 3, "one unit for all ten, and what opened the connection"
    peer.advance(RTT)
    receiver = Receiver(peer)
    sent = receiver.take(*(i for i in range(10) if i not in holes))
    assert sorted(receiver.finish(sent, 10)) == holes
    assert conn.unsent == 0 and peer.tcp.mib.RetransSegs == len(holes) and peer.tcp.ext.TCPTimeouts == 0


def test_rfc8985_7_3_the_probe_of_a_super_segment_is_its_last_segment(script: Make) -> None:
    peer = script(offload=const.OFFLOAD_TSO4)
    start(peer, 10)
    peer.run_to_timer()
    assert indices(peer) == [9]


def test_rfc8985_6_2_an_echo_of_the_original_is_no_round_trip_of_the_retransmission(peer: TcpScript) -> None:
    """The first condition, where the second would not tell: the shortest round trip has passed since it was sent again."""
    flow = Stamped(peer, 8)
    peer.advance(RTT)
    assert flow.ack(0, (1, 4), echo=flow.sent[1][0]) == [0]
    peer.advance(RTT + 5 * MILLISECOND)
    assert flow.ack(4, echo=flow.sent[0][0]) == [], "4 to 7 are not older than what has arrived"
    flow.ack(8, echo=flow.sent[4][0])
    assert flow.conn.unsent == 0 and peer.tcp.mib.RetransSegs == 1


@pytest.mark.parametrize("every", [2, 3, 5, 9])
def test_rfc6675_5_every_nth_segment_is_lost_once(peer: TcpScript, every: int) -> None:
    """A long transfer whose losses lie at the same distance: no time-out, and nothing is sent a third time."""
    total = 120
    conn = start(peer, 10, more=total - 10)
    conn.set_marks(0, 1 << 30)
    receiver = Receiver(peer)
    seen: dict[int, int] = {}
    flying = [(peer.now, i) for i in range(10)]
    while receiver.next() < total:
        if not flying:
            peer.run_to_timer()
        else:
            at, i = flying.pop(0)
            peer.advance(max(at + RTT - peer.now, 10 * MICROSECOND))  # no two leave or arrive at one instant
            seen[i] = seen.get(i, 0) + 1
            if i % every or seen[i] > 1:
                flying += [(peer.now, j) for j in receiver.take(i)]
        flying += [(peer.now, j) for j in indices(peer)]
    assert peer.tcp.ext.TCPTimeouts == 0 and max(seen.values()) == 2
    assert conn.unsent == 0


def test_rfc9293_3_8_3_a_peer_that_only_sacks_does_not_outlast_the_time_out(peer: TcpScript) -> None:
    """Blocks acknowledge nothing for good: a connection whose SND.UNA never moves is given up like any other."""
    start(peer, 4)
    begin = peer.now
    while not peer.user.closed and peer.now - begin < 3600 * SECOND:
        peer.run_to_timer()
        peer.take()
        if not peer.user.closed:
            peer.send("A", seq=1, ack=1, options=block_option(peer, [(seq(1), seq(4))]))
            peer.take()
    assert peer.user.closed and peer.now - begin < 3600 * SECOND
