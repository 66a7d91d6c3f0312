"""Closing connections, in every order: RFC 9293 3.6, 3.10.4, 3.10.5; RFC 1337; RFC 2525 2.17."""

from collections.abc import Callable

import pytest

from netstack.errors import Aborted, BrokenError, ClosedError, PeerReset, TimedOut
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]


def gone(peer: TcpScript) -> bool:
    """Nothing is left of any connection."""
    hub = peer.tcp.hub
    return not hub.tables and not hub.waits and not hub.half and peer.timers.count == 0 and hub.count == 0


def test_normal_close_from_our_side(peer: TcpScript) -> None:
    """RFC 9293 3.6 figure 12."""
    conn = peer.establish()
    conn.shutdown(peer.now)
    peer.expect("FA", seq=1, ack=1)
    assert conn.state_name == "FIN-WAIT-1"
    peer.send("A", seq=1, ack=2)
    assert conn.state_name == "FIN-WAIT-2"
    assert peer.user.events == ["connected"]
    peer.send("FA", seq=1, ack=2)
    peer.expect("A", seq=2, ack=2)
    assert conn.state_name == "TIME-WAIT"
    assert peer.user.events == ["connected", "eof", "closed"]
    assert peer.user.error is None
    peer.advance(60 * SECOND)
    peer.expect_nothing()
    assert gone(peer)
    assert peer.tcp.ext.TW == 1 and peer.tcp.mib.EstabResets == 0 and peer.tcp.mib.CurrEstab == 0


def test_normal_close_from_the_peers_side(peer: TcpScript) -> None:
    """RFC 9293 3.6 figure 12."""
    conn = peer.establish()
    peer.send("FA", seq=1, ack=1)
    peer.expect("A", seq=1, ack=2)
    assert peer.user.events == ["connected", "eof"]
    assert conn.state_name == "CLOSE-WAIT"
    conn.shutdown(peer.now)
    peer.expect("FA", seq=1, ack=2)
    assert conn.state_name == "LAST-ACK"
    peer.send("A", seq=2, ack=2)
    assert peer.user.events == ["connected", "eof", "closed"]
    assert peer.user.error is None and gone(peer)


def test_simultaneous_close(peer: TcpScript) -> None:
    """RFC 9293 3.6 figure 13."""
    conn = peer.establish()
    conn.shutdown(peer.now)
    peer.expect("FA", seq=1, ack=1)
    peer.send("FA", seq=1, ack=1)
    peer.expect("A", seq=2, ack=2)
    assert conn.state_name == "CLOSING"
    assert peer.user.events == ["connected", "eof"]
    peer.send("A", seq=2, ack=2)
    peer.expect_nothing()
    assert conn.state_name == "TIME-WAIT"
    assert peer.user.events == ["connected", "eof", "closed"]
    peer.advance(61 * SECOND)
    assert gone(peer)


def test_simultaneous_close_where_one_segment_is_fin_and_ack_of_ours(peer: TcpScript) -> None:
    """RFC 9293 3.3.2.

    FIN-WAIT-1 straight to TIME-WAIT, as the RFC's diagram has it; smoltcp: simultaneous close combined fin ack.
    """
    conn = peer.establish()
    conn.shutdown(peer.now)
    peer.expect("FA", seq=1)
    peer.send("FA", seq=1, ack=2)
    peer.expect("A", seq=2, ack=2)
    assert conn.state_name == "TIME-WAIT"


def test_simultaneous_close_with_data_on_both_sides(peer: TcpScript) -> None:
    """RFC 9293 3.6 case 3; smoltcp: mutual close with data, simultaneous close raced with data."""
    conn = peer.establish()
    conn.write(b"abc", peer.now)
    conn.shutdown(peer.now)
    peer.expect("A", seq=1, data=b"abc")
    peer.expect("FA", seq=4, length=0)
    peer.send("FPA", seq=1, ack=1, data=b"xyz")
    peer.expect("A", seq=5, ack=5)
    assert conn.state_name == "CLOSING" and peer.user.received == b"xyz"
    peer.send("A", seq=5, ack=5)
    assert conn.state_name == "TIME-WAIT"
    assert peer.user.events == ["connected", "data", "eof", "closed"]


def test_half_close_the_peer_goes_on_sending(peer: TcpScript) -> None:
    """RFC 9293 3.6: "CLOSE is an operation meaning 'I have no more data to send'"."""
    conn = peer.establish()
    conn.shutdown(peer.now)
    peer.expect("FA", seq=1)
    peer.send("A", seq=1, ack=2)
    for i in range(5):
        peer.send("PA", seq=1 + i, ack=2, data=b"%d" % i)
        peer.advance(3600 * SECOND)
        peer.expect("A", seq=2, ack=2 + i)
    assert peer.user.received == b"01234"
    assert conn.state_name == "FIN-WAIT-2", "a user who has not closed may wait for ever"


def test_half_close_we_go_on_sending(peer: TcpScript) -> None:
    """RFC 9293 3.6 case 2."""
    conn = peer.establish()
    peer.send("FA", seq=1, ack=1)
    peer.expect("A", seq=1, ack=2)
    conn.write(b"after your end", peer.now)
    peer.expect("A", seq=1, ack=2, data=b"after your end")
    peer.send("A", seq=2, ack=15)
    conn.shutdown(peer.now)
    peer.expect("FA", seq=15, ack=2)
    peer.send("A", seq=2, ack=16)
    assert gone(peer)


def test_the_fin_leaves_with_the_last_data(peer: TcpScript) -> None:
    """RFC 9293 3.10.4."""
    conn = peer.establish()
    conn.write(bytes(100), peer.now)
    peer.expect("A", length=100)
    conn.write(bytes(1500), peer.now)
    peer.expect("A", length=1460)
    conn.shutdown(peer.now)
    peer.expect("FA", seq=1561, length=40)


def test_a_fin_waits_for_data_that_the_window_holds_back(peer: TcpScript) -> None:
    """RFC 9293 3.10.4: "queue this until all preceding SENDs have been segmentized".

    smoltcp: fin wait 1 fin with data queued; gVisor: FinWithPendingData, FinWithPendingDataCwndFull.
    """
    conn = peer.establish(window=1000)
    conn.write(bytes(2500), peer.now)
    conn.shutdown(peer.now)
    peer.expect("A", seq=1, length=1000)
    peer.expect_nothing()
    assert conn.state_name == "FIN-WAIT-1"
    peer.send("A", seq=1, ack=1001)
    peer.expect("A", seq=1001, length=1000)
    peer.send("A", seq=1, ack=2001)
    peer.expect("FA", seq=2001, length=500)


def test_a_fin_does_not_overrun_the_window(peer: TcpScript) -> None:
    conn = peer.establish(window=1000)
    conn.write(bytes(1000), peer.now)
    conn.shutdown(peer.now)
    peer.expect("A", seq=1, length=1000)
    peer.expect_nothing()
    peer.send("A", seq=1, ack=1001)
    peer.expect("FA", seq=1001, length=0)


def test_an_ack_of_the_data_but_not_of_the_fin(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4, fifth step; smoltcp: last ack ack not of fin; gVisor: FinWithPartialAck."""
    conn = peer.establish()
    peer.send("FA", seq=1, ack=1)
    peer.expect("A")
    conn.write(b"abc", peer.now)
    conn.shutdown(peer.now)
    peer.expect("A", data=b"abc")
    peer.expect("FA", seq=4)
    peer.send("A", seq=2, ack=4)
    assert conn.state_name == "LAST-ACK" and conn.lingers()
    peer.send("A", seq=2, ack=5)
    assert gone(peer)


def test_a_lost_fin_is_retransmitted(peer: TcpScript) -> None:
    """RFC 9293 3.8.1, RFC 6298 5.

    smoltcp: retransmit fin, fin wait 1 retransmit; gVisor: FinRetransmit, TCPClosingFinRetransmission.
    """
    conn = peer.establish()
    conn.shutdown(peer.now)
    peer.expect("FA", seq=1, ack=1)
    peer.run_to_timer()
    peer.expect("FA", seq=1, ack=1)
    peer.send("FA", seq=1, ack=1)
    peer.expect("A", seq=2, ack=2)
    peer.run_to_timer()
    peer.expect("FA", seq=1, ack=2)
    peer.send("A", seq=2, ack=2)
    assert conn.state_name == "TIME-WAIT"


def test_a_fin_beyond_a_hole_waits_for_its_turn(peer: TcpScript) -> None:
    """smoltcp: rx close fin with hole, established fin after missing."""
    peer.establish()
    peer.send("FA", seq=4, ack=1, data=b"def")
    peer.expect("A", seq=1, ack=1)
    assert peer.user.events == ["connected"]
    peer.send("A", seq=1, ack=1, data=b"abc")
    peer.expect("A", ack=8)
    assert peer.user.received == b"abcdef"
    assert peer.user.events == ["connected", "data", "data", "eof"]


def test_an_empty_fin_beyond_a_hole_waits_for_its_turn(peer: TcpScript) -> None:
    peer.establish()
    peer.send("FA", seq=4, ack=1)
    peer.expect("A", seq=1, ack=1)
    peer.send("A", seq=1, ack=1, data=b"abc")
    peer.expect("A", ack=5)
    assert peer.user.events == ["connected", "data", "eof"]


def test_a_fin_that_comes_again_is_acknowledged_again(peer: TcpScript) -> None:
    peer.establish()
    peer.send("FA", seq=1, ack=1)
    peer.expect("A", ack=2)
    peer.send("FA", seq=1, ack=1)
    peer.expect("A", ack=2)
    assert peer.user.events == ["connected", "eof"]


def test_text_after_the_peers_fin_is_ignored(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4, seventh step: "this should not occur"."""
    peer.establish()
    peer.send("FA", seq=1, ack=1)
    peer.expect("A", ack=2)
    peer.send("PA", seq=2, ack=1, data=b"late")
    assert peer.user.received == b""


# -- TIME-WAIT ----------------------------------------------------------------------------------------------------------------


def time_wait(peer: TcpScript) -> None:
    """To TIME-WAIT, the next byte being 2 on both sides."""
    conn = peer.establish()
    conn.shutdown(peer.now)
    peer.expect("FA")
    peer.send("FA", seq=1, ack=2)
    peer.expect("A")
    assert conn.state_name == "TIME-WAIT"


def test_time_wait_acknowledges_the_fin_again_and_begins_anew(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4, eighth step; gVisor: TCPTimeWaitDuplicateFINExtendsTimeWait."""
    time_wait(peer)
    peer.advance(50 * SECOND)
    for _ in range(3):
        peer.send("FA", seq=1, ack=2)
        peer.expect("A", seq=2, ack=2)
    peer.advance(59 * SECOND)
    assert not gone(peer)
    peer.advance(1 * SECOND)
    assert gone(peer)


def test_time_wait_ignores_resets(peer: TcpScript) -> None:
    """RFC 1337: no assassination; gVisor: TCPTimeWaitRSTIgnored, TimeWaitAssassination."""
    time_wait(peer)
    peer.send("R", seq=2)
    peer.send("RA", seq=2, ack=2)
    peer.expect_nothing()
    assert len(peer.tcp.hub.waits) == 1 and peer.tcp.ext.InTimeWaitRst == 2


def test_time_wait_says_where_it_is_to_old_segments_at_a_limited_rate(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4, first step; gVisor: TCPTimeWaitOutOfOrder; two confused stacks must not answer each other for ever."""
    time_wait(peer)
    peer.send("A", seq=2, ack=2)
    peer.expect_nothing()
    for _ in range(10):
        peer.send("PA", seq=50, ack=2, data=b"old")
    peer.expect("A", seq=2, ack=2)
    peer.expect_nothing()
    peer.advance(500 * MILLISECOND)
    peer.send("A", seq=-9000, ack=2)
    peer.expect("A", seq=2, ack=2)


def test_a_syn_that_leads_nowhere_does_not_end_time_wait(peer: TcpScript) -> None:
    """A forged SYN,FIN, or one that a full listener drops, must not open the ports to old segments."""
    time_wait(peer)
    peer.send("SF", seq=100)
    assert peer.tcp.ext.InBadSyn == 1
    peer.tcp.hub.listeners[80][0].waiting = 1 << 30
    peer.send("S", seq=100)
    assert peer.tcp.ext.ListenOverflows == 1
    peer.expect_nothing()
    assert len(peer.tcp.hub.waits) == 1 and peer.tcp.ext.TWRecycled == 0


def test_a_new_syn_ends_time_wait_when_its_number_is_beyond(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4 (MAY-2), RFC 1122 4.2.2.13; gVisor: TCPTimeWaitNewSyn, StackTimeWaitReuse."""
    time_wait(peer)
    peer.send("S", seq=100, mss=1460)
    synack = peer.expect("SA", ack=101)
    assert (synack.seq - peer.local_iss) % 2**32 > 65536, "beyond all that we have sent"
    assert peer.tcp.ext.TWRecycled == 1 and not peer.tcp.hub.waits
    assert len(peer.tcp.hub.half) == 1


def test_an_old_syn_does_not_end_time_wait(peer: TcpScript) -> None:
    time_wait(peer)
    peer.send("S", seq=1)
    peer.expect("A", seq=2, ack=2)
    assert len(peer.tcp.hub.waits) == 1


def test_a_new_syn_without_listener_does_not_end_time_wait(peer: TcpScript) -> None:
    peer.establish_active()
    peer.conn.shutdown(peer.now)
    peer.expect("FA")
    peer.send("FA", seq=1, ack=2)
    peer.expect("A")
    peer.send("S", seq=100)
    assert len(peer.tcp.hub.waits) == 1


def test_the_ports_of_a_time_wait_are_not_used_again_by_connect(peer: TcpScript) -> None:
    peer.establish_active()
    peer.conn.shutdown(peer.now)
    peer.send("FA", seq=1, ack=2)
    assert peer.tcp.hub.taken(peer.local, peer.local_port, peer.peer, peer.peer_port)


def test_time_waits_are_bounded_and_the_oldest_ends_first(script: Make) -> None:
    peer = script(config=TcpConfig(max_time_wait=3))
    peer.listen()
    for port in range(5):
        peer.peer_port = 50000 + port
        peer.send("S", seq=0)
        peer.send("A", seq=1, ack=1)
        peer.conn.shutdown(peer.now)
        peer.send("FA", seq=1, ack=2)
    assert [wait.ports & 0xFFFF for wait in peer.tcp.hub.waits] == [50002, 50003, 50004]
    assert peer.tcp.ext.TCPTimeWaitOverflow == 2
    peer.advance(61 * SECOND)
    assert gone(peer)


# -- close: the user goes away ------------------------------------------------------------------------------------------------


def test_close_delivers_what_was_written_and_tells_the_user_when_it_has_arrived(peer: TcpScript) -> None:
    """RFC 9293 3.10.4."""
    conn = peer.establish()
    conn.write(b"last words", peer.now)
    conn.close(peer.now)
    peer.expect("A", data=b"last words")
    peer.expect("FA", seq=11)
    assert peer.user.events == ["connected"]
    peer.send("A", seq=1, ack=12)
    assert peer.user.events == ["connected", "closed"] and peer.user.error is None
    peer.send("FA", seq=1, ack=12)
    peer.expect("A", seq=12, ack=2)
    peer.advance(61 * SECOND)
    assert gone(peer)


def test_a_closed_connection_waits_a_minute_for_the_peers_fin(peer: TcpScript) -> None:
    """gVisor: FinWait2Timeout, TCPLingerTimeout. RFC 9293 3.6 allows to wait for ever; nobody can afford it."""
    conn = peer.establish()
    conn.close(peer.now)
    peer.expect("FA")
    peer.send("A", seq=1, ack=2)
    assert conn.state_name == "FIN-WAIT-2"
    peer.advance(59 * SECOND)
    assert not gone(peer)
    peer.advance(1 * SECOND)
    assert gone(peer)
    peer.send("FA", seq=1, ack=2)
    peer.expect("R", seq=2)


def test_close_after_shutdown_starts_the_minute(peer: TcpScript) -> None:
    conn = peer.establish()
    conn.shutdown(peer.now)
    peer.send("A", seq=1, ack=2)
    peer.advance(3600 * SECOND)
    conn.close(peer.now)
    assert peer.user.events == ["connected", "closed"]
    peer.advance(60 * SECOND)
    assert gone(peer)


def test_close_in_close_wait_sends_the_fin(peer: TcpScript) -> None:
    """RFC 9293 3.10.4 CLOSE-WAIT."""
    conn = peer.establish()
    peer.send("FA", seq=1, ack=1)
    peer.expect("A")
    conn.close(peer.now)
    peer.expect("FA", seq=1, ack=2)
    peer.send("A", seq=2, ack=2)
    assert peer.user.events == ["connected", "eof", "closed"] and gone(peer)


def test_data_after_close_is_answered_with_a_reset(peer: TcpScript) -> None:
    """RFC 9293 3.10.4, RFC 2525 2.17: the peer must not think that it was read; gVisor: RstOnCloseWithUnreadData."""
    conn = peer.establish()
    conn.close(peer.now)
    peer.expect("FA", seq=1, ack=1)
    peer.send("PA", seq=1, ack=2, data=b"more")
    reset = peer.expect("RA", seq=2)
    assert reset.window == 0
    assert gone(peer) and peer.tcp.ext.TCPAbortOnData == 1


def test_data_that_was_seen_before_close_is_no_reason_for_a_reset(peer: TcpScript) -> None:
    conn = peer.establish()
    peer.send("PA", seq=1, ack=1, data=b"seen")
    conn.close(peer.now)
    peer.expect("FA", seq=1, ack=5)
    peer.send("PA", seq=1, ack=2, data=b"seen")
    peer.expect("A", ack=5)


def test_close_with_unread_data_resets(peer: TcpScript) -> None:
    """RFC 2525 2.17, RFC 9293 3.6.1; gVisor: RSTSentOnCloseWithUnreadData, RstOnCloseWithUnreadDataFinConvertRst."""
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("PA", seq=1, ack=1, data=b"unread")
    conn.close(peer.now)
    peer.expect("RA", seq=1, ack=7)
    assert isinstance(peer.user.error, Aborted) and gone(peer)


def test_data_out_of_order_after_close_resets_too(peer: TcpScript) -> None:
    conn = peer.establish()
    peer.send("PA", seq=4, ack=1, data=b"def")
    peer.expect("A")
    conn.close(peer.now)
    peer.expect("FA")
    peer.send("PA", seq=1, ack=1, data=b"abc")
    peer.expect("RA")
    assert gone(peer)


def test_close_while_connecting_forgets_the_connection(peer: TcpScript) -> None:
    """RFC 9293 3.10.4, SYN-SENT; smoltcp: syn sent close; gVisor: TCPNonBlockingConnectClose."""
    conn = peer.connect()
    peer.expect("S")
    conn.close(peer.now)
    peer.expect_nothing()
    assert isinstance(peer.user.error, Aborted) and gone(peer)
    peer.send("SA", seq=0, ack=1)
    peer.expect("R", seq=1)


def test_a_closed_connection_gives_up_early(peer: TcpScript) -> None:
    """Nobody waits for it: a fifth of the patience."""
    conn = peer.establish()
    conn.write(b"never acknowledged", peer.now)
    conn.close(peer.now)
    begin = peer.now
    while not gone(peer):
        peer.advance(SECOND)
    assert 50 * SECOND < peer.now - begin < 200 * SECOND
    assert isinstance(peer.user.error, TimedOut)


def test_a_closed_connection_does_not_probe_a_shut_window_for_ever(peer: TcpScript) -> None:
    """Sockstress: an open user may be kept waiting (RFC 9293 3.8.6.1), an absent one not."""
    conn = peer.establish(window=0)
    conn.write(b"held", peer.now)
    conn.close(peer.now)
    for _ in range(30):
        peer.run_to_timer()
        if any("R" in peer.show(segment).split()[0] for segment in peer.take()):
            break
        peer.send("A", seq=1, ack=1, window=0)
    assert gone(peer) and peer.tcp.ext.PersistGiveUps == 1


# -- abort --------------------------------------------------------------------------------------------------------------------


def test_abort_resets_and_tells_the_user_from_inside(peer: TcpScript) -> None:
    """RFC 9293 3.10.5."""
    conn = peer.establish()
    conn.write(b"lost", peer.now)
    peer.expect("A", data=b"lost")
    conn.abort(peer.now)
    peer.expect("RA", seq=5, ack=1)
    assert peer.user.events == ["connected", "closed"]
    assert isinstance(peer.user.error, Aborted) and gone(peer)
    assert peer.tcp.mib.EstabResets == 1
    conn.abort(peer.now)
    conn.close(peer.now)
    conn.shutdown(peer.now)
    conn.resume(peer.now)
    peer.expect_nothing()


@pytest.mark.parametrize("state", ["SYN-SENT", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"])
def test_abort_in_every_state(peer: TcpScript, state: str) -> None:
    conn = peer.connect() if state == "SYN-SENT" else peer.establish()
    if state in ("FIN-WAIT-1", "FIN-WAIT-2", "CLOSING", "TIME-WAIT"):
        conn.shutdown(peer.now)
    if state == "FIN-WAIT-2":
        peer.send("A", seq=1, ack=2)
    if state in ("CLOSE-WAIT", "LAST-ACK", "CLOSING"):
        peer.send("FA", seq=1, ack=1)
    if state == "LAST-ACK":
        conn.shutdown(peer.now)
    if state == "TIME-WAIT":
        peer.send("FA", seq=1, ack=2)
    assert conn.state_name == state
    peer.take()
    conn.abort(peer.now)
    if state in ("FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT"):
        peer.expect("RA")
    peer.expect_nothing()
    assert peer.user.events.count("closed") == 1
    assert state == "TIME-WAIT" or gone(peer)


def test_abort_all_resets_every_connection_and_keeps_listeners(peer: TcpScript) -> None:
    peer.establish()
    peer.send("S", seq=0, port=40001)
    peer.expect("SA")
    peer.tcp.abort_all(peer.now)
    assert sorted(peer.show(segment).split()[0] for segment in peer.take()) == ["RA", "RA"]
    assert gone(peer)
    peer.send("S", seq=0, port=40002)
    peer.expect("SA")


# -- resets from the peer -----------------------------------------------------------------------------------------------------


def test_a_reset_ends_an_established_connection(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4, second step."""
    conn = peer.establish()
    peer.send("R", seq=1)
    peer.expect_nothing()
    assert isinstance(peer.user.error, PeerReset) and gone(peer)
    with pytest.raises(BrokenError) as caught:
        conn.write(b"x", peer.now)
    assert isinstance(caught.value.__cause__, PeerReset)
    assert peer.tcp.mib.EstabResets == 1


def test_a_reset_drops_what_waits_for_a_paused_user(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4: "all segment queues should be flushed"."""
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("PA", seq=1, ack=1, data=b"never read")
    peer.send("R", seq=11)
    assert peer.user.events == ["connected", "closed"]
    conn.resume(peer.now)
    assert peer.user.events == ["connected", "closed"]


def test_a_reset_in_last_ack_or_closing_loses_nothing_but_an_ack(peer: TcpScript) -> None:
    conn = peer.establish()
    peer.send("FA", seq=1, ack=1)
    conn.shutdown(peer.now)
    peer.send("R", seq=2)
    assert peer.user.events == ["connected", "eof", "closed"] and peer.user.error is None and gone(peer)


def test_a_reset_in_last_ack_with_data_unacknowledged_is_an_error(peer: TcpScript) -> None:
    conn = peer.establish()
    peer.send("FA", seq=1, ack=1)
    conn.write(b"did it arrive?", peer.now)
    conn.shutdown(peer.now)
    peer.send("R", seq=2)
    assert isinstance(peer.user.error, PeerReset)


def test_writing_after_the_end_says_whose_end_it_was(peer: TcpScript) -> None:
    conn = peer.establish()
    conn.shutdown(peer.now)
    with pytest.raises(ClosedError):
        conn.write(b"x", peer.now)
    peer.send("FA", seq=1, ack=2)
    with pytest.raises(ClosedError):
        conn.write(b"x", peer.now)


# -- a paused user reads what came before the end -----------------------------------------------------------------------------


def test_a_paused_user_still_gets_data_and_end_after_time_wait(peer: TcpScript) -> None:
    """RFC 9293 3.10.3."""
    conn = peer.establish()
    conn.pause(peer.now)
    conn.shutdown(peer.now)
    peer.send("FPA", seq=1, ack=2, data=b"the rest")
    assert conn.state_name == "TIME-WAIT" and peer.user.events == ["connected"]
    peer.advance(120 * SECOND)
    assert gone(peer)
    conn.resume(peer.now)
    assert peer.user.received == b"the rest"
    assert peer.user.events == ["connected", "data", "eof", "closed"] and peer.user.error is None


def test_a_paused_user_still_gets_data_and_end_after_last_ack(peer: TcpScript) -> None:
    """RFC 9293 3.10.3: what was received before the end may be read after it."""
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("FPA", seq=1, ack=1, data=b"the rest")
    conn.shutdown(peer.now)
    peer.send("A", seq=10, ack=2)
    assert gone(peer) and peer.user.events == ["connected"]
    conn.resume(peer.now)
    assert peer.user.events == ["connected", "data", "eof", "closed"]


def test_a_paused_user_gets_the_end_when_it_resumes(peer: TcpScript) -> None:
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("FA", seq=1, ack=1)
    peer.expect("A", ack=2)
    assert peer.user.events == ["connected"]
    conn.resume(peer.now)
    assert peer.user.events == ["connected", "eof"]


def test_what_is_over_but_unread_still_counts_and_can_be_aborted(script: Make) -> None:
    """Or a peer could fill a paused user's windows again and again, outside of every bound."""
    peer = script(config=TcpConfig(max_connections=1))
    conn = peer.establish()
    conn.pause(peer.now)
    conn.shutdown(peer.now)
    peer.send("FPA", seq=1, ack=2, data=b"unread")
    peer.advance(61 * SECOND)
    assert gone(peer) and list(peer.tcp.connections()) == [conn]
    peer.take()
    peer.send("S", seq=0, port=40001)
    peer.expect_nothing()
    peer.tcp.abort_all(peer.now)
    assert isinstance(peer.user.error, Aborted) and list(peer.tcp.connections()) == []
    peer.send("S", seq=0, port=40001)
    peer.expect("SA")
