"""Which segments are looked at, and what is said to the others, in every synchronized state: RFC 9293 3.10.7.4, RFC 5961."""

from collections.abc import Callable

import pytest
from flow_states import SYNCHRONIZED, reach

from netstack import const
from netstack.errors import PeerReset
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]

WINDOW = 4096
GAP = 500 * MILLISECOND  # between two challenges of one connection


# -- sequence numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "acceptable"),
    [(-1, False), (0, True), (1, True), (WINDOW - 1, True), (WINDOW, True), (WINDOW + 1, False), (1 << 31, False)],
)
def test_rfc9293_3_4_an_empty_segment_is_acceptable_within_the_window(script: Make, at: int, acceptable: bool) -> None:
    """RCV.NXT =< SEG.SEQ < RCV.NXT+RCV.WND, and one more at the right edge, where a peer stands that has filled the window and
    whose last segment was lost: its ACKs count. What is acceptable is seen from the ACK that it carries."""
    peer = script(config=TcpConfig(rcv_buf=WINDOW))
    conn = peer.establish()
    conn.write(b"abc", peer.now)
    peer.expect("A", data=b"abc")
    peer.send("A", seq=1 + at, ack=4)
    assert (conn.unsent == 0) == acceptable
    if acceptable:
        peer.expect_nothing()
    else:
        peer.expect("A", seq=4, ack=1)


@pytest.mark.parametrize(
    ("at", "length", "delivered"),
    [
        (-10, 10, 0),  # ends before the window
        (-10, 11, 1),  # ends with its first byte
        (0, 10, 10),
        (0, WINDOW, WINDOW),
        (0, WINDOW + 10, WINDOW),  # what lies beyond is cut off
        (-10, WINDOW + 20, WINDOW),  # the window lies within it
        (WINDOW, 10, 0),
        (1 << 31, 10, 0),
    ],
)
def test_rfc9293_3_4_text_is_taken_as_far_as_it_lies_in_the_window(script: Make, at: int, length: int, delivered: int) -> None:
    """RCV.NXT =< SEG.SEQ < RCV.NXT+RCV.WND or RCV.NXT =< SEG.SEQ+SEG.LEN-1 < RCV.NXT+RCV.WND."""
    peer = script(config=TcpConfig(rcv_buf=WINDOW))
    peer.establish()
    peer.send("PA", seq=1 + at, ack=1, data=bytes(length))
    assert len(peer.user.received) == delivered
    if not 0 <= at < WINDOW or length > WINDOW:
        peer.expect("A", seq=1, ack=1 + delivered)


@pytest.mark.parametrize("at", [-1, 1, 100])
def test_rfc9293_3_4_at_a_shut_window_nothing_but_rcv_nxt_is_acceptable(script: Make, at: int) -> None:
    peer = script(config=TcpConfig(rcv_buf=WINDOW))
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("A", seq=1, ack=1, data=bytes(WINDOW))
    peer.advance(SECOND)
    peer.take()
    conn.write(b"abc", peer.now)
    peer.expect("A", data=b"abc", window=0)
    peer.send("A", seq=1 + WINDOW + at, ack=4)
    assert conn.unsent == 3
    peer.expect("A", seq=4, ack=1 + WINDOW, window=0)
    peer.send("A", seq=1 + WINDOW, ack=4)
    assert conn.unsent == 0


@pytest.mark.parametrize("state", SYNCHRONIZED)
@pytest.mark.parametrize("text", [b"", b"old or far"], ids=["empty", "text"])
@pytest.mark.parametrize("off", [1 << 24, -1 << 17], ids=["beyond", "before"])
def test_rfc9293_3_10_7_4_a_sequence_number_out_of_the_window_draws_an_ack(
    peer: TcpScript, state: str, text: bytes, off: int
) -> None:
    """<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>, and the segment is dropped, its ACK too."""
    at = reach(peer, state)
    peer.send("A", seq=at.seq + off, ack=at.nxt, data=text)
    answer = peer.expect("A", seq=at.nxt, ack=at.seq)
    assert not answer.payload
    peer.expect_nothing()
    assert at.conn.state_name == state


@pytest.mark.parametrize("state", SYNCHRONIZED[:-1])
@pytest.mark.parametrize("text", [b"", b"too much"], ids=["empty", "text"])
def test_rfc9293_3_10_7_4_an_ack_of_what_was_not_sent_draws_an_ack(peer: TcpScript, state: str, text: bytes) -> None:
    """ "If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an ACK, drop the segment, and return.\""""
    at = reach(peer, state)
    before = peer.user.received
    peer.send("A", seq=at.seq, ack=at.nxt + 1, data=text)
    answer = peer.expect("A", seq=at.nxt, ack=at.seq)
    assert not answer.payload
    peer.expect_nothing()
    assert peer.user.received == before and at.conn.state_name == state


@pytest.mark.parametrize("state", ["ESTABLISHED", "FIN-WAIT-1", "CLOSE-WAIT", "CLOSING", "LAST-ACK"])
def test_rfc9293_3_10_7_4_an_ack_that_comes_again_is_ignored(peer: TcpScript, state: str) -> None:
    """ "If the ACK is a duplicate (SEG.ACK =< SND.UNA), it can be ignored": no answer, no step further."""
    at = reach(peer, state)
    for _ in range(2):
        peer.send("A", seq=at.seq, ack=at.una)
    peer.expect_nothing()
    assert at.conn.state_name == state


# -- challenges: RFC 5961 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", SYNCHRONIZED[:-1])
@pytest.mark.parametrize("text", [b"", b"with text"], ids=["empty", "text"])
@pytest.mark.parametrize("off", [0, 1000, -1000, 1 << 24])
def test_rfc5961_4_2_a_syn_is_challenged_twice_a_second_at_most(peer: TcpScript, state: str, text: bytes, off: int) -> None:
    """ "Irrespective of the sequence number"."""
    at = reach(peer, state)
    for _ in range(5):
        peer.send_raw(peer.segment("S", seq=at.seq + off, data=text).encode(peer.peer, peer.local))
        peer.flush()
    peer.expect("A", seq=at.nxt, ack=at.seq)
    peer.expect_nothing()
    assert peer.tcp.ext.TCPACKSkippedChallenge == 4 and at.conn.state_name == state
    peer.advance(GAP - 300 * MILLISECOND)  # before anything is retransmitted …
    peer.take()  # … or not long after
    peer.advance(300 * MILLISECOND)
    peer.take()
    peer.send_raw(peer.segment("S", seq=at.seq + off).encode(peer.peer, peer.local))
    peer.flush()
    peer.expect("A", seq=at.nxt, ack=at.seq)


@pytest.mark.parametrize("state", SYNCHRONIZED[:-1])
def test_rfc5961_3_2_a_reset_counts_at_rcv_nxt_and_nowhere_else(peer: TcpScript, state: str) -> None:
    at = reach(peer, state)
    peer.send("R", seq=at.seq + (1 << 24))
    peer.expect_nothing()
    peer.send("R", seq=at.seq + 1)
    peer.expect("A", seq=at.nxt, ack=at.seq)
    assert at.conn.state_name == state
    peer.send("R", seq=at.seq)
    peer.expect_nothing()
    assert at.conn.state_name == "CLOSED" and not peer.tcp.hub.tables and peer.timers.count == 0
    lossless = state in ("CLOSING", "LAST-ACK")  # both FINs are out, only an ACK is missing
    assert (peer.user.error is None) if lossless else isinstance(peer.user.error, PeerReset)


def test_rfc5961_5_2_the_next_challenge_says_how_far_we_are_by_then(peer: TcpScript) -> None:
    """It is made when it is sent, not when the limit let the last one pass."""
    conn = peer.establish()
    peer.send("A", seq=1 << 20, ack=1)
    peer.expect("A", seq=1, ack=1)
    peer.send("PA", seq=1, ack=1, data=b"0123456789")
    conn.write(b"abc", peer.now)
    peer.expect("A", seq=1, ack=11, data=b"abc")
    peer.send("A", seq=11, ack=4)
    peer.advance(GAP)
    peer.send("A", seq=1 << 20, ack=4)
    peer.expect("A", seq=4, ack=11)


def test_rfc5961_7_old_text_is_acknowledged_without_limit(peer: TcpScript) -> None:
    """Whoever sends it again has missed our ACK; only what carries nothing could go round for ever."""
    peer.establish()
    peer.send("PA", seq=1, ack=1, data=b"abc")
    for _ in range(20):
        peer.send("PA", seq=1, ack=1, data=b"abc")
        peer.expect("A", seq=1, ack=4)
    assert peer.user.received == b"abc"


# -- text and FIN out of order ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2"])
def test_rfc9293_3_10_7_4_text_is_delivered_until_the_peers_fin(peer: TcpScript, state: str) -> None:
    """SHLD-31: in any order."""
    at = reach(peer, state)
    peer.send("PA", seq=at.seq + 3, ack=at.una, data=b"def")
    peer.expect("A", seq=at.nxt, ack=at.seq)
    peer.send("PA", seq=at.seq, ack=at.una, data=b"abc")
    peer.expect("A", seq=at.nxt, ack=at.seq + 6)
    assert peer.user.received == b"abcdef" and at.conn.state_name == state


@pytest.mark.parametrize(
    ("state", "after"), [("ESTABLISHED", "CLOSE-WAIT"), ("FIN-WAIT-1", "CLOSING"), ("FIN-WAIT-2", "TIME-WAIT")]
)
def test_rfc9293_3_10_7_4_a_fin_beyond_a_hole_counts_when_the_hole_is_filled(peer: TcpScript, state: str, after: str) -> None:
    at = reach(peer, state)
    peer.send("FPA", seq=at.seq + 3, ack=at.una, data=b"def")
    peer.expect("A", ack=at.seq)
    assert at.conn.state_name == state and "eof" not in peer.user.events
    peer.send("PA", seq=at.seq, ack=at.una, data=b"abc")
    peer.expect("A", ack=at.seq + 7)
    assert peer.user.received == b"abcdef" and "eof" in peer.user.events and at.conn.state_name == after


def test_rfc9293_3_10_7_4_a_reset_forgets_what_lies_beyond_a_hole(peer: TcpScript) -> None:
    conn = peer.establish()
    peer.send("PA", seq=4, ack=1, data=b"def")
    peer.expect("A", ack=1)
    peer.send("R", seq=1)
    assert peer.user.events == ["connected", "closed"] and isinstance(peer.user.error, PeerReset)
    assert peer.tcp.hub.held == 0 and conn.info().out_of_order == 0


@pytest.mark.parametrize("length", [0, 3])
def test_rfc9293_3_10_7_4_a_fin_that_says_how_much_is_missing_does_not_end_the_stream(peer: TcpScript, length: int) -> None:
    """The stream ends where the FIN stands, and text beyond it is none of the stream's."""
    peer.establish()
    peer.send("FPA", seq=1, ack=1, data=b"abc"[:length])
    peer.send("PA", seq=2 + length, ack=1, data=b"beyond")
    assert peer.user.received == b"abc"[:length]
    assert peer.expect("A", ack=2 + length)


def test_rfc9293_3_4_both_streams_pass_the_places_where_signs_and_numbers_turn(peer: TcpScript) -> None:
    """Two of the three ISS pairs of these flows lie just before 2**31 and 2**32."""
    conn = peer.establish()
    for i in range(8):
        peer.send("PA", seq=1 + 4 * i, ack=1 + 4 * i, data=b"%04d" % i)
        conn.write(b"%04d" % i, peer.now)
        peer.expect("A", seq=1 + 4 * i, ack=5 + 4 * i, data=b"%04d" % i)
    assert peer.user.received == b"".join(b"%04d" % i for i in range(8))
    assert (peer.peer_iss + 33) & const.M32 == conn.rcv_nxt and conn.unsent == 4
