"""Round trips and time-outs (RFC 6298), on connections without timestamps and without SACK, where the timer is all there is."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig
from netstack.tcp.wire import timestamps_option
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]
MSS = 1460
FLOOR = 200 * MILLISECOND


def sizes(peer: TcpScript) -> list[int]:
    return [len(segment.payload) for segment in peer.take()]


def handshake(peer: TcpScript, rtt: int) -> None:
    """Established, after a first round trip of `rtt`."""
    peer.listen()
    peer.send("S", seq=0, mss=MSS)
    peer.expect("SA")
    peer.advance(rtt)
    peer.send("A", seq=1, ack=1)


def test_rfc6298_2_3_srtt_and_rttvar_follow_the_samples(peer: TcpScript) -> None:
    """RTTVAR <- 3/4 RTTVAR + 1/4 |SRTT - R'|, then SRTT <- 7/8 SRTT + 1/8 R', in this order; the arithmetic is repeated here."""
    handshake(peer, 100 * MILLISECOND)
    srtt, rttvar = 100 * MILLISECOND, 50 * MILLISECOND
    ack = 1
    for rtt in (100, 100, 500, 20, 20, 20, 300, 1):
        peer.conn.write(b"x", peer.now)
        ack += 1
        peer.expect("A", data=b"x")
        peer.advance(min(rtt * MILLISECOND, peer.conn.info().rto - 1))
        rtt_ns = min(rtt * MILLISECOND, peer.conn.info().rto - 1)
        peer.send("A", seq=1, ack=ack)
        rttvar = (3 * rttvar + abs(srtt - rtt_ns)) // 4
        srtt = (7 * srtt + rtt_ns) // 8
        info = peer.conn.info()
        assert info.srtt == pytest.approx(srtt, abs=20) and info.rttvar == pytest.approx(rttvar, abs=20)
        assert info.rto == pytest.approx(srtt + max(4 * rttvar, FLOOR), abs=100), "the floor is applied to the variance term"


def test_rfc6298_2_4_the_time_out_is_never_below_its_floor(peer: TcpScript) -> None:
    """A path of a millisecond leaves the peer its delayed ACK of 40 ms, and more."""
    handshake(peer, MILLISECOND)
    for i in range(50):
        peer.conn.write(b"x", peer.now)
        peer.advance(MILLISECOND)
        peer.send("A", seq=1, ack=2 + i)
    assert FLOOR <= peer.conn.info().rto <= FLOOR + 5 * MILLISECOND


def test_rfc6298_3_one_sample_for_each_round_trip_and_none_from_what_was_sent_twice(peer: TcpScript) -> None:
    """Karn. The ACK of a retransmission says nothing, and the doubled time-out stays until something is timed again (5.7)."""
    handshake(peer, 100 * MILLISECOND)
    before = peer.conn.info()
    peer.conn.write(b"lost", peer.now)
    peer.expect("A", data=b"lost")
    first = peer.run_to_timer()
    peer.expect("A", data=b"lost")
    peer.advance(5 * MILLISECOND)
    peer.send("A", seq=1, ack=5)
    after = peer.conn.info()
    assert (after.srtt, after.rttvar) == (before.srtt, before.rttvar)
    peer.conn.write(b"next", peer.now)
    peer.expect("A", data=b"next")
    assert peer.run_to_timer() == pytest.approx(2 * first, abs=2 * MILLISECOND)


def test_rfc6298_5_5_the_time_out_doubles_and_ends_at_its_ceiling(peer: TcpScript) -> None:
    """2.5: "a maximum value MAY be placed on RTO provided it is at least 60 seconds"."""
    handshake(peer, 100 * MILLISECOND)
    peer.conn.write(b"lost", peer.now)
    peer.expect("A")
    waits = []
    while not peer.user.closed:
        waits.append(peer.run_to_timer())
        peer.take()
    ceiling = waits[-1]
    assert 60 * SECOND <= ceiling <= 120 * SECOND + MILLISECOND
    assert all(1.9 < b / a < 2.1 or b == ceiling for a, b in pairwise(waits))
    assert len(waits) == 16 and sum(waits) >= 100 * SECOND, "RFC 9293 3.8.3: R2 is 100 seconds at least"


def test_rfc6298_5_4_a_time_out_sends_the_earliest_segment_alone(peer: TcpScript) -> None:
    """And RFC 5681 3.1: the loss window is one segment."""
    handshake(peer, 100 * MILLISECOND)
    peer.conn.write(b"".join(bytes([i]) * MSS for i in range(5)), peer.now)
    assert sizes(peer) == [MSS] * 5
    peer.run_to_timer()
    peer.expect("A", seq=1, data=bytes([0]) * MSS)
    peer.expect_nothing()
    peer.send("A", seq=1, ack=1 + MSS)
    assert [(segment.seq - peer.local_iss) % 2**32 for segment in peer.take()] == [1 + MSS, 1 + 2 * MSS]


@pytest.mark.parametrize("kept", [[1, 2, 3, 4], [2, 4], [4], [1]], ids=str)
def test_rfc6298_5_after_a_time_out_whatever_had_arrived_is_not_sent_again(peer: TcpScript, kept: list[int]) -> None:
    """The peer had queued some of the flight: its ACKs jump over it. Nothing is sent a third time."""
    handshake(peer, 100 * MILLISECOND)
    peer.conn.write(b"".join(bytes([i]) * MSS for i in range(5)), peer.now)
    assert sizes(peer) == [MSS] * 5
    have = set(kept)
    sent = []
    peer.run_to_timer()
    while peer.conn.unsent:
        for segment in peer.take():
            index = ((segment.seq - peer.local_iss) % 2**32 - 1) // MSS
            sent.append(index)
            have.add(index)
            first_missing = next(i for i in range(6) if i not in have)
            peer.advance(MILLISECOND)
            peer.send("A", seq=1, ack=1 + first_missing * MSS)
        if peer.conn.unsent and not peer.sent:
            peer.run_to_timer()
    assert sent[0] == 0 and {0, 1, 2, 3, 4} - set(kept) <= set(sent) and len(sent) <= 5
    assert peer.timers.count == 0


def test_rfc6298_5_1_the_timer_of_an_idle_connection_starts_with_the_first_segment(peer: TcpScript) -> None:
    handshake(peer, 100 * MILLISECOND)
    peer.advance(3600 * SECOND)
    peer.conn.write(b"x", peer.now)
    peer.expect("A")
    rto = peer.conn.info().rto
    peer.advance(rto - MILLISECOND)
    peer.expect_nothing()
    peer.advance(2 * MILLISECOND)
    peer.expect("A", seq=1, data=b"x")


@pytest.mark.parametrize("timestamps", [False, True], ids=["clock", "timestamps"])
def test_rfc6298_3_time_that_we_spend_ourselves_is_no_round_trip(peer: TcpScript, timestamps: bool) -> None:
    """A segment is timed when it arrives, not when the batch around it is over or a slow user is done with it."""
    option = timestamps_option(1, 0) if timestamps else b""
    peer.listen()
    peer.send("S", seq=0, mss=MSS, options=option)
    synack = peer.expect("SA")
    echoed = synack.option(8)
    peer.advance(10 * MILLISECOND)
    peer.send("A", seq=1, ack=1, options=timestamps_option(2, int.from_bytes(echoed[:4], "big")) if echoed else b"")
    srtt = peer.conn.info().srtt
    for i in range(20):
        peer.conn.write(b"x", peer.now)
        data = peer.expect("A", data=b"x")
        value = data.option(8)
        peer.advance(10 * MILLISECOND)
        reply = timestamps_option(3 + i, int.from_bytes(value[:4], "big")) if value else b""
        peer.send("PA", seq=1 + i, ack=2 + i, data=b"y", options=reply, flush=False)
        peer.now += 150 * MILLISECOND  # the users of this batch take their time
        peer.flush()
        peer.take()
    assert peer.conn.info().srtt == pytest.approx(srtt, abs=2 * MILLISECOND)


def test_rfc6298_2_the_floor_is_the_users_to_choose(script: Make) -> None:
    peer = script(config=TcpConfig(rto_min=50 * MILLISECOND))
    handshake(peer, 10 * MILLISECOND)
    for i in range(20):
        peer.conn.write(b"x", peer.now)
        peer.advance(10 * MILLISECOND)
        peer.send("A", seq=1, ack=2 + i)
    assert 60 * MILLISECOND <= peer.conn.info().rto <= 62 * MILLISECOND


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_rfc9293_3_8_1_zero_sized_writes_and_retransmissions_do_not_meet(peer: TcpScript, lost: int) -> None:
    """An empty write while something waits to be sent again adds nothing to it."""
    handshake(peer, 100 * MILLISECOND)
    peer.conn.write(b"abc", peer.now)
    peer.expect("A", data=b"abc")
    for _ in range(lost):
        peer.conn.write(b"", peer.now)
        peer.expect_nothing()
        peer.run_to_timer()
        peer.expect("A", seq=1, data=b"abc")
    peer.send("A", seq=1, ack=4)
    assert peer.conn.unsent == 0 and peer.timers.count == 0
