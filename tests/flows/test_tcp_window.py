"""Windows in both directions: probes of a shut one, updates, delayed ACKs, silly windows, Nagle, PSH (RFC 9293 3.7.4, 3.8.6)."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from netstack import const
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig
from netstack.tcp.wire import timestamps_option
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]
MSS = 1460


def sizes(peer: TcpScript) -> list[int]:
    return [len(segment.payload) for segment in peer.take()]


# -- the peer's window: probes ------------------------------------------------------------------------------------------------


def test_rfc9293_3_8_6_1_probing_begins_when_the_window_shuts_before_data_that_waits(peer: TcpScript) -> None:
    """By an ACK of all that was in flight: no other timer would be left."""
    conn = peer.establish(window=1000)
    conn.write(bytes(1500), peer.now)
    assert sizes(peer) == [1000]
    peer.send("A", seq=1, ack=1001, window=0)
    peer.expect_nothing()
    assert peer.timers.count == 1, "a lost window update must not be the end"
    wait = peer.run_to_timer()
    assert 200 * MILLISECOND <= wait <= SECOND
    peer.expect("A", seq=1001, length=1)


def test_rfc9293_3_8_6_1_probing_begins_when_data_is_written_to_a_shut_window(peer: TcpScript) -> None:
    conn = peer.establish(window=1000)
    conn.write(bytes(1000), peer.now)
    assert sizes(peer) == [1000]
    peer.send("A", seq=1, ack=1001, window=0)
    assert peer.timers.count == 0, "nothing to probe for"
    peer.advance(3600 * SECOND)
    peer.expect_nothing()
    conn.write(b"more", peer.now)
    peer.expect_nothing()
    assert 200 * MILLISECOND <= peer.run_to_timer() <= SECOND
    peer.expect("A", seq=1001, data=b"m")


def test_rfc5961_3_2_a_reset_is_sent_where_the_window_is_and_not_where_a_probe_was(peer: TcpScript) -> None:
    """Beyond the window it would only be challenged, and whoever has aborted is not there to answer that."""
    conn = peer.establish(window=1000)
    conn.write(bytes(1500), peer.now)
    assert sizes(peer) == [1000]
    peer.send("A", seq=1, ack=1001, window=0)
    peer.run_to_timer()
    peer.expect("A", seq=1001, length=1)
    conn.abort(peer.now)
    peer.expect("RA", seq=1001, length=0)


def test_rfc9293_3_8_6_1_the_interval_grows_whether_or_not_the_peer_answers(peer: TcpScript) -> None:
    """SHLD-30. It starts at the retransmission time-out (SHLD-29)."""
    conn = peer.establish(window=0)
    conn.write(b"waiting", peer.now)
    waits = []
    for i in range(8):
        waits.append(peer.run_to_timer())
        peer.expect("A", seq=1, data=b"w")
        if i % 2:
            peer.send("A", seq=1, ack=1, window=0)
    assert 200 * MILLISECOND <= waits[0] <= 300 * MILLISECOND
    assert all(1.9 < b / a < 2.1 for a, b in pairwise(waits))
    assert not peer.user.closed


def test_rfc9293_3_8_6_1_an_ack_that_opens_the_window_ends_probing(peer: TcpScript) -> None:
    """Of the probe's byte, or not of it: the rest follows at once, and what is in flight has its own timer again."""
    conn = peer.establish(window=0)
    conn.write(b"waiting", peer.now)
    for _ in range(5):
        peer.run_to_timer()
        peer.take()
    peer.send("A", seq=1, ack=2, window=1000)
    peer.expect("A", seq=2, data=b"aiting")
    assert not conn.info().persisting
    assert peer.run_to_timer() < SECOND, "the probes' back-off was no sign of a lossy path"
    peer.expect("A", seq=2, data=b"aiting")
    peer.send("A", seq=1, ack=8, window=1000)
    assert peer.timers.count == 0


def test_rfc9293_3_8_6_1_a_window_that_shuts_again_is_probed_from_the_start(peer: TcpScript) -> None:
    conn = peer.establish(window=0)
    conn.write(bytes(5000), peer.now)
    for _ in range(5):
        peer.run_to_timer()
        peer.take()
    peer.send("A", seq=1, ack=1, window=2 * MSS)
    assert sizes(peer) == [MSS, MSS]
    peer.send("A", seq=1, ack=1 + 2 * MSS, window=0)
    assert peer.run_to_timer() < SECOND
    peer.expect("A", seq=1 + 2 * MSS, length=1)


def test_rfc9293_3_8_6_1_a_probe_is_not_held_back_by_the_congestion_window(peer: TcpScript) -> None:
    """After a time-out it is one segment, and that one is in flight: the window has shut over it."""
    conn = peer.establish(window=65535)
    conn.write(bytes(10 * MSS), peer.now)
    assert sizes(peer) == [MSS] * 10
    peer.run_to_timer()
    peer.take()
    peer.send("A", seq=1, ack=1, window=0)
    peer.take()
    for _ in range(3):
        peer.run_to_timer()
        peer.expect("A", seq=1, length=1)
        peer.expect_nothing()


def test_rfc9293_3_8_6_1_the_peer_that_answers_probes_outlasts_every_time_out_of_ours(peer: TcpScript) -> None:
    """MUST-37: for hours."""
    conn = peer.establish(window=0)
    conn.write(b"waiting", peer.now)
    begin = peer.now
    while peer.now - begin < 6 * 3600 * SECOND:
        assert peer.run_to_timer() <= 121 * SECOND
        peer.expect("A", seq=1, data=b"w")
        peer.send("A", seq=1, ack=1, window=0)
    peer.send("A", seq=1, ack=1, window=1000)
    peer.expect("A", seq=1, data=b"waiting")
    assert conn.state_name == "ESTABLISHED"


def test_rfc5482_3_1_a_user_time_out_ends_even_a_window_that_stays_shut(script: Make) -> None:
    """Asked for by the user, it stands above the peer's answers, which acknowledge nothing."""
    peer = script(config=TcpConfig(user_timeout=30 * SECOND))
    conn = peer.establish(window=0)
    conn.write(b"waiting", peer.now)
    begin = peer.now
    while not peer.user.closed:
        peer.run_to_timer()
        if not peer.take()[-1].flags & const.RST:
            peer.send("A", seq=1, ack=1, window=0)
    assert 30 * SECOND <= peer.now - begin <= 61 * SECOND


def test_rfc9293_3_8_6_1_a_segment_that_a_shrinking_window_left_outside_is_sent_again_when_it_opens(peer: TcpScript) -> None:
    """MUST-34: SND.UNA+SND.WND may lie left of SND.NXT."""
    conn = peer.establish(window=3 * MSS)
    conn.write(bytes(5 * MSS), peer.now)
    assert sizes(peer) == [MSS] * 3
    peer.send("A", seq=1, ack=1 + MSS, window=0)
    peer.expect_nothing()
    peer.send("A", seq=1, ack=1 + MSS, window=MSS)
    peer.expect_nothing()
    peer.send("A", seq=1, ack=1 + MSS, window=4 * MSS)
    assert sizes(peer) == [MSS, MSS]
    peer.send("A", seq=1, ack=1 + 5 * MSS, window=4 * MSS)
    assert conn.unsent == 0 and peer.timers.count == 0


@pytest.mark.parametrize("window", [1, 100, 1000])
def test_rfc9293_3_8_6_nothing_is_sent_beyond_the_window(peer: TcpScript, window: int) -> None:
    conn = peer.establish(window=window)
    conn.write(bytes(3000), peer.now)
    edge = 1 + window
    for _ in range(4):
        peer.run_to_timer()
        for segment in peer.take():
            assert (segment.seq - peer.local_iss) % 2**32 + len(segment.payload) <= edge
        una = (conn.snd_una - peer.local_iss) % 2**32
        sent = (conn.snd_max - peer.local_iss) % 2**32
        assert una <= sent <= edge
        peer.send("A", seq=1, ack=sent, window=window)
        edge = sent + window


def test_rfc7323_2_3_a_scaled_window_lets_out_what_the_field_alone_could_not_say(peer: TcpScript) -> None:
    conn = peer.establish(wscale=4, window=200_000)
    conn.set_marks(0, 1 << 30)
    conn.write(bytes(400_000), peer.now)
    sent = sum(sizes(peer))
    while True:
        peer.send("A", seq=1, ack=1 + sent, window=200_000)
        more = sum(sizes(peer))
        if not more:
            break
        sent += more
    assert sent == 400_000
    conn.write(bytes(400_000), peer.now)
    assert 150_000 < sum(sizes(peer)) <= 200_000, "slow start has opened cwnd far beyond 64 KiB"


# -- our window ---------------------------------------------------------------------------------------------------------------


def test_rfc9293_3_8_6_a_shut_window_is_said_and_text_beyond_it_answered_with_it(script: Make) -> None:
    peer = script(config=TcpConfig(rcv_buf=4096))
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("PA", seq=1, ack=1, data=bytes(4096))
    peer.advance(SECOND)
    peer.expect("A", ack=4097, window=0)
    for _ in range(3):
        peer.send("A", seq=4097, ack=1, data=b"p")
        peer.expect("A", ack=4097, window=0)
    assert peer.tcp.ext.TCPZeroWindowDrop == 3
    conn.resume(peer.now)
    peer.expect("A", ack=4097, window=4096)
    peer.send("A", seq=4097, ack=1, data=b"p")
    assert len(peer.user.received) == 4097


def test_rfc9293_3_8_6_2_2_an_open_window_is_announced_at_once_and_pays_the_delayed_ack(script: Make) -> None:
    """The peer may be waiting for it; nothing follows when the timer would have fired."""
    peer = script(config=TcpConfig(rcv_buf=8000))
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("PA", seq=1, ack=1, data=bytes(8000))
    peer.take()
    conn.resume(peer.now)
    peer.expect("A", ack=8001, window=8000)
    peer.advance(SECOND)
    peer.expect_nothing()


def test_rfc9293_3_8_6_2_2_reading_a_little_announces_nothing(script: Make) -> None:
    peer = script(config=TcpConfig(rcv_buf=60000))
    conn = peer.establish()
    peer.user.reactions["data"] = lambda now: conn.pause(now)
    peer.send("PA", seq=1, ack=1, data=bytes(500))
    conn.resume(peer.now)
    conn.pause(peer.now)
    peer.send("PA", seq=501, ack=1, data=bytes(500))
    peer.advance(SECOND)
    peer.take()
    conn.resume(peer.now)
    peer.expect_nothing()


def test_rfc9293_3_8_6_each_segment_carries_the_window_that_there_is(script: Make) -> None:
    """Not only ACKs: data piggybacks it."""
    peer = script(config=TcpConfig(rcv_buf=8000))
    conn = peer.establish()
    conn.pause(peer.now)
    seq = 1
    for left in (7000, 6000, 5000, 4000):
        peer.send("PA", seq=seq, ack=seq // 1000 * 3 + 1, data=bytes(1000))
        seq += 1000
        conn.write(b"abc", peer.now)
        peer.expect("A", ack=seq, data=b"abc", window=left)


def test_rfc9293_3_8_6_a_bare_fin_needs_no_room(script: Make) -> None:
    """It takes a number and no memory. Hosts are known that repeat it for ever, as fast as they are answered, until it is taken."""
    peer = script(config=TcpConfig(rcv_buf=4096))
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("A", seq=1, ack=1, data=bytes(4096))
    peer.advance(SECOND)
    peer.expect("A", ack=4097, window=0)
    peer.send("FA", seq=4097, ack=1)
    peer.expect("A", ack=4098, window=0)
    assert conn.state_name == "CLOSE-WAIT"
    conn.resume(peer.now)
    assert peer.user.events == ["connected", "data", "eof"]


def test_rfc9293_3_8_6_a_fin_with_text_needs_room_for_the_text(script: Make) -> None:
    peer = script(config=TcpConfig(rcv_buf=4096))
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("A", seq=1, ack=1, data=bytes(4090))
    peer.send("FA", seq=4091, ack=1, data=b"more than six")
    peer.advance(SECOND)
    assert peer.take()[-1].ack == (peer.peer_iss + 4097) % 2**32
    assert conn.state_name == "ESTABLISHED"
    conn.resume(peer.now)
    peer.take()
    peer.send("FA", seq=4091, ack=1, data=b"more than six")
    peer.expect("A", ack=4105)
    assert conn.state_name == "CLOSE-WAIT"


# -- delayed acknowledgements -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [MSS, 2 * MSS, 4 * MSS])
def test_rfc9293_3_8_6_3_every_second_full_segment_draws_an_ack(peer: TcpScript, size: int) -> None:
    """SHLD-19, MUST-59: or sooner where more than two come in one."""
    peer.establish()
    peer.send("A", seq=1, ack=1, data=bytes(MSS))
    peer.advance(100 * MILLISECOND)
    peer.expect("A", ack=1 + MSS)
    seq = 1 + MSS
    unacked = 0
    for _ in range(8):
        peer.send("A", seq=seq, ack=1, data=bytes(size), gso=MSS if size > MSS else 0)
        seq += size
        unacked += size
        if unacked >= 2 * MSS:
            peer.expect("A", ack=seq)
            unacked = 0
        peer.expect_nothing()


def test_rfc9293_3_8_6_3_no_ack_waits_longer_than_half_a_second(peer: TcpScript) -> None:
    """MUST-58."""
    peer.establish()
    peer.send("PA", seq=1, ack=1, data=b"x")
    peer.expect_nothing()
    assert peer.run_to_timer() <= 500 * MILLISECOND
    peer.expect("A", ack=2)
    assert peer.tcp.ext.DelayedACKs == 1


@pytest.mark.parametrize("flags", ["A", "PA"])
def test_rfc9293_3_9_1_text_is_delivered_with_and_without_push(peer: TcpScript, flags: str) -> None:
    """MAY-17: "passing a received PSH bit to the application layer is now optional"; nothing waits for it."""
    peer.establish()
    peer.send(flags, seq=1, ack=1, data=b"abc")
    assert peer.user.received == b"abc"


def test_rfc9293_3_9_1_the_last_segment_of_what_was_written_is_pushed(peer: TcpScript) -> None:
    """MUST-60, MUST-61: the others are not, here."""
    conn = peer.establish()
    conn.write(bytes(3 * MSS + 10), peer.now)
    assert [bool(segment.flags & const.PSH) for segment in peer.take()] == [False, False, False, True]


# -- Nagle --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [False, True], ids=["bare", "timestamps"])
def test_rfc9293_3_7_4_full_segments_never_wait(peer: TcpScript, options: bool) -> None:
    """Full is what fits beside the options."""
    peer.listen()
    peer.send("S", seq=0, mss=MSS, options=timestamps_option(1, 0) if options else b"")
    peer.expect("SA")
    peer.send("A", seq=1, ack=1)
    full = MSS - 12 * options
    for i in range(3):
        peer.conn.write(bytes(full), peer.now)
        peer.expect("A", seq=1 + i * full, length=full)
    peer.conn.write(b"small", peer.now)
    peer.expect("A", data=b"small")
    peer.conn.write(b"waits", peer.now)
    peer.expect_nothing()
    peer.conn.write(bytes(full), peer.now)
    peer.expect("A", length=full)
    peer.expect_nothing()


def test_rfc9293_3_7_4_switching_nagle_off_sends_what_it_held(peer: TcpScript) -> None:
    """MUST-17."""
    conn = peer.establish()
    conn.write(b"first", peer.now)
    conn.write(b"second", peer.now)
    assert sizes(peer) == [5]
    conn.set_nodelay(True, peer.now)
    peer.expect("A", seq=6, data=b"second")
    conn.write(b"third", peer.now)
    peer.expect("A", seq=12, data=b"third")
    conn.set_nodelay(False, peer.now)
    conn.write(b"fourth", peer.now)
    peer.expect_nothing()
    peer.send("A", seq=1, ack=17)
    peer.expect("A", seq=17, data=b"fourth")
