"""Closing in every state: what each call does there, FINs that are lost, how long an end may take (RFC 9293 3.6, 3.8.3, 3.10.4)."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from flow_states import CLOSERS, reach

from netstack.errors import Aborted, PeerReset, TimedOut
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]
MSS = 1460


def gone(peer: TcpScript) -> bool:
    """Nothing is left of any connection."""
    hub = peer.tcp.hub
    return not hub.tables and not hub.half and not hub.waits and hub.count == 0 and peer.timers.count == 0


# -- calls in states that are ending ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [*CLOSERS, "LAST-ACK"])
@pytest.mark.parametrize("call", ["shutdown", "close"])
def test_rfc9293_3_10_4_closing_again_sends_no_second_fin(peer: TcpScript, state: str, call: str) -> None:
    at = reach(peer, state)
    getattr(at.conn, call)(peer.now)
    getattr(at.conn, call)(peer.now)
    peer.expect_nothing()
    assert at.conn.state_name == state


@pytest.mark.parametrize("state", ["ESTABLISHED", "CLOSE-WAIT"])
def test_rfc9293_3_10_5_abort_forgets_what_was_to_be_sent(peer: TcpScript, state: str) -> None:
    """ "All queued SENDs and RECEIVEs should be given 'connection reset' notification; all segments queued for transmission …
    should be flushed": what a linger time of zero asks for."""
    at = reach(peer, state)
    at.conn.write(bytes(MSS * 30), peer.now)
    sent = len(peer.take()) * MSS
    at.conn.abort(peer.now)
    reset = peer.expect("RA", seq=at.una + sent, ack=at.seq)
    assert not reset.payload
    peer.expect_nothing()
    assert gone(peer) and isinstance(peer.user.error, Aborted)
    peer.advance(600 * SECOND)
    peer.expect_nothing()


def test_rfc9293_3_10_5_abort_after_shutdown_still_resets_while_data_is_in_flight(peer: TcpScript) -> None:
    """A linger time of zero after half-closing."""
    conn = peer.establish()
    conn.write(b"in flight", peer.now)
    conn.shutdown(peer.now)
    peer.take()
    conn.abort(peer.now)
    peer.expect("RA", ack=1)
    assert gone(peer)


def test_rfc9293_3_10_4_close_sends_what_is_queued_before_the_fin(peer: TcpScript) -> None:
    """MUST-12, and linger by default: the user has gone, its data is delivered all the same."""
    conn = peer.establish(wscale=7, window=1 << 20)
    conn.write(bytes(MSS * 12), peer.now)
    conn.close(peer.now)
    assert [len(segment.payload) for segment in peer.take()] == [MSS] * 10
    peer.send("A", seq=1, ack=1 + 10 * MSS)
    peer.expect("A", length=MSS)
    peer.expect("FA", seq=1 + 11 * MSS, length=MSS)
    assert peer.user.events == ["connected"], "not before it is acknowledged"
    peer.send("A", seq=1, ack=2 + 12 * MSS)
    assert peer.user.events == ["connected", "closed"] and peer.user.error is None


@pytest.mark.parametrize("state", ["ESTABLISHED", "CLOSE-WAIT"])
def test_rfc5681_3_1_a_fin_waits_for_data_that_the_congestion_window_holds_back(peer: TcpScript, state: str) -> None:
    at = reach(peer, state)
    at.conn.write(bytes(MSS * 10), peer.now)
    peer.take()
    at.conn.write(b"the end", peer.now)
    at.conn.shutdown(peer.now)
    peer.expect_nothing()
    peer.send("A", seq=at.seq, ack=1 + MSS)
    last = peer.expect("FA", seq=1 + 10 * MSS, data=b"the end")
    assert last.payload == b"the end"


def test_rfc9293_3_10_4_close_with_text_beyond_a_hole_only_sends_a_fin(peer: TcpScript) -> None:
    """It was neither delivered nor acknowledged, so nothing was promised; the hole's text, when it comes, is a reason to reset."""
    conn = peer.establish()
    peer.send("PA", seq=4, ack=1, data=b"def")
    peer.expect("A")
    conn.shutdown(peer.now)
    peer.expect("FA", seq=1, ack=1)
    peer.send("PA", seq=1, ack=2, data=b"abc")
    peer.expect("A", ack=7)
    assert peer.user.received == b"abcdef" and conn.state_name == "FIN-WAIT-2"


@pytest.mark.parametrize("state", ["ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK"])
def test_rfc9293_3_10_7_4_a_reset_after_close_ends_everything_silently(peer: TcpScript, state: str) -> None:
    at = reach(peer, state)
    at.conn.close(peer.now)
    peer.take()
    peer.send("R", seq=at.seq)
    peer.expect_nothing()
    assert gone(peer) and peer.user.events.count("closed") == 1


def test_rfc9293_3_10_7_1_a_segment_after_the_end_is_reset(peer: TcpScript) -> None:
    """gone on our side, not yet on the peer's."""
    at = reach(peer, "LAST-ACK")
    peer.send("A", seq=at.seq, ack=at.nxt)
    assert gone(peer)
    peer.send("A", seq=at.seq, ack=at.nxt)
    peer.expect("R", seq=at.nxt)


# -- FINs in one segment with something else -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "after"), [("ESTABLISHED", "CLOSE-WAIT"), ("FIN-WAIT-1", "CLOSING"), ("FIN-WAIT-2", "TIME-WAIT")]
)
def test_rfc9293_3_10_7_4_a_fin_with_text_is_both(peer: TcpScript, state: str, after: str) -> None:
    """Seventh step, then eighth."""
    at = reach(peer, state)
    peer.send("FPA", seq=at.seq, ack=at.una, data=b"last")
    peer.expect("A", seq=at.nxt, ack=at.seq + 5)
    assert peer.user.received == b"last" and at.conn.state_name == after


@pytest.mark.parametrize("text", [b"", b"mutual"])
def test_rfc9293_3_6_two_fins_that_cross(peer: TcpScript, text: bytes) -> None:
    """Figure 13; with text on both sides, and the peer's FIN acknowledging our text but not our FIN."""
    at = reach(peer, "FIN-WAIT-1", text)
    peer.send("FPA", seq=1, ack=1 + len(text), data=text)
    peer.expect("A", seq=at.nxt, ack=2 + len(text))
    assert at.conn.state_name == "CLOSING" and peer.user.received == text
    peer.send("A", seq=2 + len(text), ack=at.nxt)
    peer.expect_nothing()
    assert at.conn.state_name == "TIME-WAIT"
    peer.advance(60 * SECOND)
    assert gone(peer)


def test_rfc9293_3_10_7_4_what_comes_in_one_batch_is_taken_one_after_the_other(peer: TcpScript) -> None:
    """FIN-WAIT-1, then text, the peer's FIN, the ACK of ours and the FIN again, before we get to say anything."""
    at = reach(peer, "FIN-WAIT-1")
    peer.send("PA", seq=1, ack=1, data=b"one, ", flush=False)
    peer.send("FPA", seq=6, ack=1, data=b"two", flush=False)
    peer.send("A", seq=10, ack=2, flush=False)
    peer.send("FPA", seq=6, ack=2, data=b"two", flush=False)
    peer.flush()
    assert peer.user.received == b"one, two" and peer.user.events.count("eof") == 1
    assert at.conn.state_name == "TIME-WAIT"
    assert all((segment.ack - peer.peer_iss) % 2**32 == 10 for segment in peer.take())


def test_rfc9293_3_10_7_4_time_wait_comes_from_closing_only_with_the_ack_of_our_fin(peer: TcpScript) -> None:
    at = reach(peer, "CLOSING", b"text")
    peer.send("A", seq=at.seq, ack=at.nxt - 1)  # the text, not the FIN
    peer.expect_nothing()
    assert at.conn.state_name == "CLOSING"
    peer.send("A", seq=at.seq, ack=at.nxt)
    assert at.conn.state_name == "TIME-WAIT"


def test_rfc9293_3_10_7_4_last_ack_ends_only_with_the_ack_of_our_fin(peer: TcpScript) -> None:
    """An ACK of the text alone is in order, and no reason for a challenge."""
    at = reach(peer, "LAST-ACK", b"text")
    peer.send("A", seq=at.seq, ack=at.nxt - 1)
    peer.expect_nothing()
    assert at.conn.state_name == "LAST-ACK" and peer.tcp.ext.TCPChallengeACK == 0
    peer.send("A", seq=at.seq, ack=at.nxt)
    peer.expect_nothing()
    assert gone(peer) and peer.user.error is None


@pytest.mark.parametrize("state", ["CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"])
def test_rfc9293_3_10_7_4_a_fin_that_comes_again_is_acknowledged_in_every_state(peer: TcpScript, state: str) -> None:
    """Our ACK was lost. "Remain in the … state.\""""
    at = reach(peer, state)
    peer.send("FA", seq=at.seq - 1, ack=at.una)
    peer.expect("A", seq=at.nxt, ack=at.seq)
    assert at.conn.state_name == state


# -- lost FINs and retransmission timers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["FIN-WAIT-1", "CLOSING", "LAST-ACK"])
def test_rfc6298_5_a_lost_fin_is_sent_again_with_back_off(peer: TcpScript, state: str) -> None:
    """5.4 to 5.6, in each state that waits for its ACK."""
    at = reach(peer, state)
    waits = []
    for _ in range(4):
        waits.append(peer.run_to_timer())
        peer.expect("FA", seq=at.una, ack=at.seq, length=0)
        peer.expect_nothing()
    assert all(1.9 < b / a < 2.1 for a, b in pairwise(waits))
    peer.send("A", seq=at.seq, ack=at.nxt)
    assert at.conn.state_name == {"FIN-WAIT-1": "FIN-WAIT-2", "CLOSING": "TIME-WAIT", "LAST-ACK": "CLOSED"}[state]
    peer.advance(50 * SECOND)
    peer.expect_nothing()


@pytest.mark.parametrize("state", ["ESTABLISHED", "FIN-WAIT-1", "CLOSE-WAIT", "LAST-ACK"])
def test_rfc6298_5_3_an_ack_of_a_part_starts_the_timer_again(peer: TcpScript, state: str) -> None:
    """With the back-off of what was lost before it forgotten, once something is timed (5.7)."""
    at = reach(peer, state, b"a" * MSS + b"b" * MSS)
    peer.advance(150 * MILLISECOND)
    peer.send("A", seq=at.seq, ack=1 + MSS)
    rto = at.conn.info().rto
    peer.expect_nothing()
    assert peer.run_to_timer() == pytest.approx(rto, abs=2 * MILLISECOND)
    sent = peer.take()
    assert [(segment.seq - peer.local_iss) % 2**32 for segment in sent] == [1 + MSS]


@pytest.mark.parametrize("state", ["ESTABLISHED", "FIN-WAIT-1", "CLOSE-WAIT", "LAST-ACK"])
def test_rfc6298_5_2_an_ack_of_everything_stops_the_timer(peer: TcpScript, state: str) -> None:
    at = reach(peer, state, b"text")
    peer.send("A", seq=at.seq, ack=at.nxt)
    assert at.conn.unsent == 0
    peer.advance(30 * SECOND)
    peer.expect_nothing()


# -- giving up ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["ESTABLISHED", "FIN-WAIT-1", "CLOSE-WAIT", "CLOSING", "LAST-ACK"])
def test_rfc9293_3_8_3_the_user_time_out_holds_in_every_state_that_waits_for_an_ack(script: Make, state: str) -> None:
    """MUST-21, RFC 5482 3.1: "timed out" is reported, and the peer hears a RST should it still be there."""
    peer = script(config=TcpConfig(user_timeout=10 * SECOND))
    at = reach(peer, state)
    if state in ("ESTABLISHED", "CLOSE-WAIT"):
        at.conn.write(b"text", peer.now)
    begin = peer.now
    while not peer.user.closed:
        assert peer.timers.count, "nobody waits any more"
        peer.run_to_timer()
        last = peer.take()[-1]
    assert isinstance(peer.user.error, TimedOut) and gone(peer)
    assert last.flags & 4, "a RST"
    assert 10 * SECOND <= peer.now - begin <= 21 * SECOND, "at the first retransmission after it"


def test_rfc9293_3_8_3_no_user_time_out_without_something_to_be_acknowledged(script: Make) -> None:
    peer = script(config=TcpConfig(user_timeout=10 * SECOND))
    peer.establish()
    peer.advance(3600 * SECOND)
    peer.expect_nothing()
    assert peer.conn.state_name == "ESTABLISHED" and peer.timers.count == 0


def test_rfc9293_3_8_4_with_a_user_time_out_unanswered_probes_end_an_idle_connection(script: Make) -> None:
    peer = script(config=TcpConfig(keepalive=10 * SECOND, keepalive_interval=5 * SECOND, keepalive_count=3))
    peer.establish()
    begin = peer.now
    probes = 0
    while not peer.user.closed:
        peer.run_to_timer()
        for segment in peer.take():
            probes += not segment.flags & 4
            assert segment.flags & 4 or (segment.seq - peer.local_iss) % 2**32 == 0, "one before SND.NXT"
    assert probes == 3 and peer.now - begin == 25 * SECOND
    assert isinstance(peer.user.error, TimedOut) and gone(peer)


def test_rfc9293_3_6_fin_wait_2_of_an_open_user_lasts_as_long_as_it_likes(peer: TcpScript) -> None:
    """Half-closed is a state to work in: only a connection that its user has left is hurried."""
    at = reach(peer, "FIN-WAIT-2")
    peer.advance(24 * 3600 * SECOND)
    peer.expect_nothing()
    peer.send("FPA", seq=1, ack=2, data=b"at last")
    peer.expect("A", ack=9)
    assert peer.user.received == b"at last" and at.conn.state_name == "TIME-WAIT"


# -- TIME-WAIT ----------------------------------------------------------------------------------------------------------------


def test_rfc9293_3_6_time_wait_lasts_two_segment_lifetimes_and_no_longer(script: Make) -> None:
    """MUST-13, with the configured length."""
    peer = script(config=TcpConfig(time_wait=10 * SECOND))
    reach(peer, "TIME-WAIT")
    peer.advance(10 * SECOND - 1)
    assert len(peer.tcp.hub.waits) == 1
    peer.advance(1)
    assert gone(peer) and peer.tcp.ext.TW == 1
    peer.expect_nothing()


def test_rfc9293_3_8_6_time_wait_announces_no_window(peer: TcpScript) -> None:
    """What is read after both FINs is nobody's business but the user's."""
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("PA", seq=1, ack=1, data=bytes(10000))
    conn.shutdown(peer.now)
    peer.send("FA", seq=10001, ack=2)
    peer.take()
    assert conn.state_name == "TIME-WAIT"
    conn.resume(peer.now)
    peer.expect_nothing()
    assert len(peer.user.received) == 10000 and peer.user.closed


@pytest.mark.parametrize("after", ["CLOSE-WAIT", "CLOSING"])
def test_rfc9293_3_8_6_after_the_peers_fin_no_window_is_announced(script: Make, after: str) -> None:
    """It has nothing more to send: a window update would be a segment for nothing."""
    peer = script(config=TcpConfig(rcv_buf=8000))
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("PA", seq=1, ack=1, data=bytes(7000))
    if after == "CLOSING":
        conn.shutdown(peer.now)
    peer.send("FA", seq=7001, ack=1)
    peer.take()
    assert conn.state_name == after
    conn.resume(peer.now)
    peer.expect_nothing()
    assert len(peer.user.received) == 7000 and "eof" in peer.user.events


def test_rfc9293_3_10_7_4_a_reset_after_the_peers_fin_takes_what_a_paused_user_has_not_read(peer: TcpScript) -> None:
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("FPA", seq=1, ack=1, data=b"unread")
    peer.expect("A", ack=8)
    peer.send("R", seq=8)
    assert peer.user.events == ["connected", "closed"] and isinstance(peer.user.error, PeerReset)
    conn.resume(peer.now)
    assert peer.user.received == b"" and gone(peer)


# -- a user whose own end is a moment away ------------------------------------------------------------------------------------


def test_the_ack_of_a_fin_waits_for_our_own_fin_where_the_user_wants_that(peer: TcpScript) -> None:
    at = reach(peer, "ESTABLISHED")
    at.conn.fin_waits = True
    peer.send("FA", seq=at.seq, ack=at.una)
    peer.expect_nothing()
    assert at.conn.state_name == "CLOSE-WAIT"
    at.conn.shutdown(peer.now)
    peer.expect("FA", seq=at.una, ack=at.seq + 1)
    peer.expect_nothing()


def test_an_ack_of_a_fin_that_waits_comes_in_time(peer: TcpScript) -> None:
    at = reach(peer, "ESTABLISHED")
    at.conn.fin_waits = True
    peer.send("FA", seq=at.seq, ack=at.una)
    peer.advance(39 * MILLISECOND)
    peer.expect_nothing()
    peer.advance(2 * MILLISECOND)
    peer.expect("A", seq=at.una, ack=at.seq + 1)
    peer.send("FA", seq=at.seq, ack=at.una)  # again: whoever repeats it has missed our ACK
    peer.expect("A", seq=at.una, ack=at.seq + 1)


def test_no_ack_of_a_fin_waits_when_ours_has_been_sent(peer: TcpScript) -> None:
    at = reach(peer, "FIN-WAIT-2")
    at.conn.fin_waits = True
    peer.send("FA", seq=at.seq, ack=at.una)
    peer.expect("A", ack=at.seq + 1)
    assert at.conn.state_name == "TIME-WAIT"
