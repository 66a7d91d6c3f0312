"""Opening: what a SYN says, what is believed before the handshake is done, and who is meant (RFC 9293 3.5, 3.7.1, 3.10.7)."""

from collections.abc import Callable

import pytest

from netstack.errors import BrokenError, PeerReset, Refused
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig
from netstack.tcp.wire import Segment, sack_permitted_option, timestamps_option
from netstack.testing.script import Recorder, TcpScript

Make = Callable[..., TcpScript]

ECE_CWR = 0xC0


def sizes(peer: TcpScript) -> list[int]:
    return [len(segment.payload) for segment in peer.take()]


# -- the SYN and what it offers -----------------------------------------------------------------------------------------------


def test_rfc9293_3_2_a_syn_offers_mss_sack_timestamps_and_scaling_each_time_it_is_sent(peer: TcpScript) -> None:
    peer.connect()
    syns = [peer.expect("S", seq=0)]
    for _ in range(3):
        peer.run_to_timer()
        syns.append(peer.expect("S", seq=0))
    for syn in syns:
        assert syn.option(2) == (1460).to_bytes(2, "big")
        assert syn.option(4) == b"" and syn.option(3) is not None
        timestamps = syn.option(8)
        assert timestamps is not None and timestamps[4:] == bytes(4), "nothing to echo yet (RFC 7323 3.2)"


def test_rfc9293_3_2_a_synack_offers_only_what_the_syn_did(peer: TcpScript) -> None:
    peer.listen()
    peer.send("S", seq=0, mss=1460)
    bare = peer.expect("SA")
    assert (bare.option(3), bare.option(4), bare.option(8)) == (None, None, None)
    peer.send("S", seq=0, mss=1460, wscale=2, options=sack_permitted_option() + timestamps_option(7, 0), port=40001)
    full = peer.expect("SA")
    assert full.option(4) == b"" and full.option(3) is not None
    timestamps = full.option(8)
    assert timestamps is not None and timestamps[4:] == (7).to_bytes(4, "big")


@pytest.mark.parametrize("active", [False, True], ids=["passive", "active"])
def test_rfc3168_6_1_1_a_syn_that_offers_ecn_is_answered_without_it(peer: TcpScript, active: bool) -> None:
    """A stack that does not speak ECN must neither drop such a SYN nor claim to (RFC 3168 6.1.1.1)."""
    if active:
        peer.connect()
        assert not peer.expect("S").flags & ECE_CWR
        flags = 0x12 | 0x40
    else:
        peer.listen()
        peer.force_iss()
        flags = 0x02 | ECE_CWR
    base = peer.segment("SA" if active else "S", seq=0, ack=1 if active else None, mss=1460)
    syn = Segment(base.sport, base.dport, base.seq, base.ack, flags, base.window, base.options)
    peer.send_raw(syn.encode(peer.peer, peer.local))
    peer.flush()
    answer = peer.expect("A" if active else "SA")
    assert not answer.flags & ECE_CWR
    peer.send("A", seq=1, ack=1)
    assert peer.conn.state_name == "ESTABLISHED"


@pytest.mark.parametrize(("announced", "used"), [(None, 536), (0, 536), (10, 88), (300, 300), (9000, 1460)])
@pytest.mark.parametrize("active", [False, True], ids=["passive", "active"])
def test_rfc9293_3_7_1_no_segment_is_larger_than_the_peers_mss(
    peer: TcpScript, active: bool, announced: int | None, used: int
) -> None:
    """MUST-15 and MUST-16, and our floor of 88 (CVE-2019-11479); a zero can't be meant."""
    conn = (peer.establish_active if active else peer.establish)(mss=announced)
    conn.write(bytes(3 * used), peer.now)
    assert sizes(peer) == [used] * 3


@pytest.mark.parametrize("mtu", [576, 1006, 9000])
def test_rfc9293_3_7_1_our_mss_is_the_mtu_without_headers_and_holds_both_ways(script: Make, mtu: int) -> None:
    """MUST-14, MUST-67: what we announce; and a peer that takes more does not get more than the path carries."""
    peer = script(mtu=mtu)
    peer.connect()
    assert peer.expect("S").option(2) == (mtu - 40).to_bytes(2, "big")
    peer.send("SA", seq=0, ack=1, mss=65000)
    peer.expect("A")
    peer.conn.write(bytes(2 * (mtu - 40)), peer.now)
    assert sizes(peer) == [mtu - 40] * 2


def test_rfc6691_2_options_come_out_of_a_segment_that_our_mtu_limits(script: Make) -> None:
    peer = script(mtu=600)
    peer.listen()
    peer.send("S", seq=0, mss=1460, options=timestamps_option(1, 0))
    synack = peer.expect("SA")
    assert synack.option(2) == (560).to_bytes(2, "big"), "the option speaks of segments without options"
    peer.send("A", seq=1, ack=1)
    peer.conn.write(bytes(2 * 548), peer.now)
    assert sizes(peer) == [548, 548]
    assert all(len(packet.data) + 20 <= 600 for packet in peer.packets)


def test_rfc7323_2_2_the_first_segment_after_the_handshake_scales_its_window(script: Make) -> None:
    """SYN and SYN,ACK carry theirs as it is, everything after them shifted."""
    peer = script(config=TcpConfig(rcv_buf=1 << 18))
    peer.connect()
    syn = peer.expect("S")
    shift = syn.option(3)
    assert shift is not None and shift[0] >= 3
    peer.send("SA", seq=0, ack=1, mss=1460, wscale=7, window=1000)
    ack = peer.expect("A", seq=1, ack=1)
    assert ack.window << shift[0] >= syn.window > ack.window


def test_rfc7323_2_2_without_the_peers_option_an_active_open_does_not_scale_either(script: Make) -> None:
    peer = script(config=TcpConfig(rcv_buf=1 << 18))
    peer.connect()
    assert peer.expect("S").option(3) is not None
    peer.send("SA", seq=0, ack=1, mss=1460, window=40000)
    assert peer.expect("A", seq=1, ack=1).window == 65535
    assert peer.conn.info().snd_wnd == 40000
    peer.send("PA", seq=1, ack=1, data=b"x", window=50000)
    assert peer.conn.info().snd_wnd == 50000


# -- SYN-SENT and SYN-RECEIVED ------------------------------------------------------------------------------------------------


def test_rfc9293_3_8_1_data_after_a_retransmitted_synack_begins_at_one(peer: TcpScript) -> None:
    peer.listen()
    peer.send("S", seq=0, mss=1460)
    peer.expect("SA", seq=0, ack=1)
    peer.run_to_timer()
    peer.expect("SA", seq=0, ack=1)
    peer.send("A", seq=1, ack=1)
    peer.conn.write(b"abc", peer.now)
    peer.expect("A", seq=1, ack=1, data=b"abc")
    peer.send("A", seq=1, ack=4)
    assert peer.conn.unsent == 0 and peer.timers.count == 0


@pytest.mark.parametrize(("seq", "data"), [(1 << 20, b""), (1 << 20, b"far"), (-5000, b""), (-5000, b"old")])
def test_rfc9293_3_10_7_4_a_wrong_sequence_number_in_syn_received_is_told_where_we_are(
    peer: TcpScript, seq: int, data: bytes
) -> None:
    peer.listen()
    peer.send("S", seq=0, mss=1460)
    peer.expect("SA")
    peer.send("A", seq=seq, ack=1, data=data)
    peer.expect("A", seq=1, ack=1)
    assert not peer.accepted, "its ACK does not complete the handshake"
    peer.send("A", seq=1, ack=1)
    assert peer.user.events == ["connected"]


def test_rfc9293_3_10_7_4_a_reset_outside_of_the_window_in_syn_received_is_dropped(peer: TcpScript) -> None:
    """RFC 5961 3.2 covers SYN-RECEIVED as well."""
    peer.listen()
    peer.send("S", seq=0, mss=1460)
    peer.expect("SA")
    peer.send("R", seq=1 << 20)
    peer.send("R", seq=-1)
    peer.expect_nothing()
    peer.send("A", seq=1, ack=1)
    assert peer.user.events == ["connected"]


def test_rfc9293_3_10_2_what_was_written_while_connecting_is_lost_when_the_peer_refuses(peer: TcpScript) -> None:
    conn = peer.connect()
    peer.expect("S")
    conn.write(b"never sent", peer.now)
    peer.send("RA", seq=0, ack=1)
    peer.expect_nothing()
    assert peer.user.events == ["closed"] and isinstance(peer.user.error, Refused)
    with pytest.raises(BrokenError):
        conn.write(b"more", peer.now)


def test_rfc9293_3_10_7_3_a_connection_that_was_paused_while_connecting_keeps_what_comes(peer: TcpScript) -> None:
    conn = peer.connect()
    peer.expect("S")
    conn.pause(peer.now)
    peer.send("SA", seq=0, ack=1, mss=1460)
    peer.expect("A", seq=1, ack=1)
    peer.send("PA", seq=1, ack=1, data=b"first words")
    assert peer.user.events == ["connected"]
    conn.resume(peer.now)
    assert peer.user.received == b"first words"


def test_rfc9293_3_5_2_a_peer_that_resets_the_moment_it_accepted(peer: TcpScript) -> None:
    peer.establish_active()
    peer.send("RA", seq=1, ack=1)
    assert peer.user.events == ["connected", "closed"] and isinstance(peer.user.error, PeerReset)
    assert not peer.tcp.hub.tables and peer.timers.count == 0


def test_rfc6298_2_the_handshake_is_the_first_sample_on_both_sides(script: Make) -> None:
    """2.2: SRTT <- R, RTTVAR <- R/2, here with a round trip of 300 ms."""
    peer = script()
    peer.connect()
    peer.expect("S")
    peer.advance(300 * MILLISECOND)
    peer.send("SA", seq=0, ack=1, mss=1460)
    info = peer.conn.info()
    assert (info.srtt, info.rttvar, info.rto) == (300 * MILLISECOND, 150 * MILLISECOND, 900 * MILLISECOND)
    peer = script()
    peer.listen()
    peer.send("S", seq=0, mss=1460)
    peer.advance(300 * MILLISECOND)
    peer.send("A", seq=1, ack=1)
    info = peer.conn.info()
    assert (info.srtt, info.rttvar, info.rto) == (300 * MILLISECOND, 150 * MILLISECOND, 900 * MILLISECOND)


# -- who is meant -------------------------------------------------------------------------------------------------------------


def test_rfc9293_3_3_1_a_segment_with_another_address_or_port_is_for_another_connection(peer: TcpScript) -> None:
    """The right numbers from the wrong socket: nothing happens to the connection, and a RST goes back."""
    peer.establish()
    right = peer.segment("PA", seq=1, ack=1, data=b"abc")
    for src, dst, sport, dport in (
        (peer.peer + 1, peer.local, 40000, 80),
        (peer.peer, peer.local + 1, 40000, 80),
        (peer.peer, peer.local, 40001, 80),
        (peer.peer, peer.local, 40000, 81),
    ):
        segment = Segment(sport, dport, right.seq, right.ack, right.flags, right.window, b"", b"abc")
        peer.send_raw(segment.encode(src, dst), src, dst)
        peer.flush()
        peer.expect("R", seq=1)
        assert (peer.packets[-1].src, peer.packets[-1].dst) == (dst, src)
    assert peer.user.received == b"" and peer.conn.state_name == "ESTABLISHED"
    peer.send("PA", seq=1, ack=1, data=b"abc")
    assert peer.user.received == b"abc"


@pytest.mark.parametrize("named", [False, True], ids=["any", "named"])
def test_rfc9293_3_9_1_connect_uses_the_local_address_that_is_named_or_the_one_that_the_route_has(
    peer: TcpScript, named: bool
) -> None:
    """MUST-44."""
    local = peer.local if named else 0
    conn = peer.tcp.connect(local, 40000, peer.peer, 80, Recorder().user, peer.now)
    assert (peer.packets[0].src, peer.packets[0].dst) == (peer.local, peer.peer)
    assert (conn.local, conn.local_port, conn.remote, conn.remote_port) == (peer.local, 40000, peer.peer, 80)


def test_rfc9293_3_10_7_1_a_port_whose_listener_has_gone_refuses(peer: TcpScript) -> None:
    listener = peer.listen()
    peer.send("S", seq=0, mss=1460)
    peer.expect("SA")
    listener.close(peer.now)
    peer.expect_nothing()
    assert not peer.tcp.hub.half and peer.timers.count == 0
    peer.send("A", seq=1, ack=1)
    peer.expect("R", seq=1)
    peer.send("S", seq=0, mss=1460)
    peer.expect("RA", ack=1)
    assert not peer.accepted


def test_rfc9293_3_10_7_2_a_backlog_that_fills_drops_syns_silently_and_their_repetition_gets_in(peer: TcpScript) -> None:
    """MUST-42 is silent about it; a RST would tell the peer that nobody is there, a dropped SYN comes again in a second."""
    listener = peer.listen(backlog=2)
    for port in (40000, 40001):
        peer.send("S", seq=0, mss=1460, port=port)
        peer.expect("SA")
        peer.send("A", seq=1, ack=1, port=port)
        listener.waiting += 1
    peer.send("S", seq=0, mss=1460, port=40002)
    peer.expect_nothing()
    assert (peer.tcp.ext.ListenOverflows, peer.tcp.ext.ListenDrops) == (1, 1)
    assert len(peer.accepted) == 2
    listener.waiting -= 1
    peer.advance(SECOND)
    peer.send("S", seq=0, mss=1460, port=40002)
    peer.expect("SA")


def test_rfc9293_3_10_7_2_one_listener_serves_many_peers_at_once(peer: TcpScript) -> None:
    """Their handshakes may be interleaved in any way."""
    peer.listen()
    ports = range(40000, 40020)
    for port in ports:
        peer.send("S", seq=0, mss=1460, port=port)
        peer.expect("SA", seq=0, ack=1)
    for port in reversed(ports):
        peer.send("PA", seq=1, ack=1, data=port.to_bytes(2, "big"), port=port)
    assert [user.received for user in peer.accepted] == [port.to_bytes(2, "big") for port in reversed(ports)]
    assert peer.tcp.mib.CurrEstab == 20 and not peer.tcp.hub.half
