"""Opening connections: RFC 9293 3.5, 3.10.1, 3.10.7.1-3."""

import errno
from collections.abc import Callable
from itertools import pairwise

import pytest

from netstack.errors import AddressInUse, NoBuffers, Refused, TimedOut, Unreachable, UsageError
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig
from netstack.tcp.wire import Segment, mss_option, wscale_option
from netstack.testing.script import Recorder, TcpScript

Make = Callable[..., TcpScript]


def test_passive_three_way_handshake(peer: TcpScript) -> None:
    """RFC 9293 3.5 figure 6."""
    peer.listen(80)
    peer.send("S", seq=0, mss=1460)
    synack = peer.expect("SA", seq=0, ack=1)
    assert synack.option(2) == (1460).to_bytes(2, "big")
    assert peer.user.events == [], "the user hears of it when the handshake is done"
    peer.send("A", seq=1, ack=1)
    peer.expect_nothing()
    assert peer.user.events == ["connected"]
    assert peer.conn.state_name == "ESTABLISHED"
    assert (peer.conn.local, peer.conn.local_port) == (peer.local, 80)
    assert (peer.conn.remote, peer.conn.remote_port) == (peer.peer, 40000)
    assert (peer.tcp.mib.PassiveOpens, peer.tcp.mib.ActiveOpens, peer.tcp.mib.CurrEstab) == (1, 0, 1)


def test_active_three_way_handshake(peer: TcpScript) -> None:
    """RFC 9293 3.5 figure 6."""
    peer.connect()
    syn = peer.expect("S", seq=0)
    assert syn.ack == 0 and syn.window == 65535
    assert syn.option(2) == (1460).to_bytes(2, "big")
    assert syn.option(3) == b"\x09", "16 MiB need a shift of nine"
    assert peer.conn.state_name == "SYN-SENT"
    peer.send("SA", seq=0, ack=1, mss=1460)
    peer.expect("A", seq=1, ack=1)
    assert peer.user.events == ["connected"]
    assert peer.tcp.mib.ActiveOpens == 1


def test_the_syn_on_the_wire_byte_for_byte(peer: TcpScript) -> None:
    """RFC 9293 3.1, 3.2."""
    peer.connect(port=80, local_port=40000)
    data = peer.packets[0].data
    assert data[:4] == bytes.fromhex("9c400050")
    assert data[4:8] == peer.local_iss.to_bytes(4, "big")
    assert data[8:16] == bytes.fromhex("00000000 a002 ffff")
    clock = (peer.now // MILLISECOND + peer.conn.ts_offset) % 2**32
    assert data[20:] == bytes.fromhex("020405b4 0402080a") + clock.to_bytes(4, "big") + bytes.fromhex("00000000 01030309")
    assert peer.packets[0].df


def test_data_written_while_connecting_leaves_with_the_handshakes_ack(peer: TcpScript) -> None:
    """RFC 9293 3.10.2 SYN-SENT, 3.10.7.3."""
    conn = peer.connect()
    peer.expect("S")
    assert conn.write(b"early", peer.now)
    peer.expect_nothing()
    peer.send("SA", seq=0, ack=1, mss=1460)
    peer.expect("A", seq=1, ack=1, data=b"early")
    peer.expect_nothing()


def test_shutdown_while_connecting_sends_the_fin_after_the_handshake(peer: TcpScript) -> None:
    """RFC 9293 3.10.4."""
    conn = peer.connect()
    peer.expect("S")
    conn.write(b"only", peer.now)
    conn.shutdown(peer.now)
    peer.send("SA", seq=0, ack=1, mss=1460)
    peer.expect("FA", seq=1, ack=1, data=b"only")
    assert conn.state_name == "FIN-WAIT-1"


def test_text_on_a_synack_is_delivered(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.3: "continue processing at the sixth step"."""
    peer.connect()
    peer.expect("S")
    peer.send("SA", seq=0, ack=1, data=b"hi", mss=1460)
    peer.expect("A", seq=1, ack=3)
    assert peer.user.events == ["connected", "data"]
    assert peer.user.received == b"hi"


def test_text_on_a_syn_to_a_listener_is_not_acknowledged_and_comes_again(peer: TcpScript) -> None:
    peer.listen()
    peer.send("S", seq=0, mss=1460, data=b"tfo")
    peer.expect("SA", seq=0, ack=1)
    peer.send("A", seq=1, ack=1, data=b"tfo")
    assert peer.user.received == b"tfo"


def test_data_with_the_third_segment_of_the_handshake(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4, fifth to seventh step."""
    peer.listen()
    peer.send("S", seq=0, mss=1460)
    peer.expect("SA")
    peer.send("PA", seq=1, ack=1, data=b"GET /")
    assert peer.user.events == ["connected", "data"]


def test_data_when_the_third_segment_was_lost(peer: TcpScript) -> None:
    peer.listen()
    peer.send("S", seq=0, mss=1460)
    peer.expect("SA")
    peer.send("PA", seq=1, ack=1, data=b"GET /")
    peer.advance(40 * MILLISECOND)
    peer.expect("A", seq=1, ack=6)


def test_fin_with_the_third_segment_of_the_handshake(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4, fifth to eighth step; smoltcp: syn received fin; gVisor: FinImmediately."""
    peer.listen()
    peer.send("S", seq=0, mss=1460)
    peer.expect("SA")
    peer.send("FA", seq=1, ack=1, data=b"bye")
    peer.expect("A", seq=1, ack=5)
    assert peer.user.events == ["connected", "data", "eof"]
    assert peer.conn.state_name == "CLOSE-WAIT"


def test_simultaneous_open_by_synack(peer: TcpScript) -> None:
    """RFC 9293 3.5 figure 7: both send SYN, both answer with SYN,ACK."""
    peer.connect()
    peer.expect("S", seq=0)
    peer.send("S", seq=0, mss=1460)
    peer.expect("SA", seq=0, ack=1)
    assert peer.conn.state_name == "SYN-RECEIVED"
    peer.send("SA", seq=0, ack=1, mss=1460)
    assert peer.conn.state_name == "ESTABLISHED"
    assert peer.user.events == ["connected"]
    peer.send("PA", seq=1, ack=1, data=b"x")
    assert peer.user.received == b"x"


def test_simultaneous_open_by_ack(peer: TcpScript) -> None:
    """RFC 9293 3.5 figure 7."""
    peer.connect()
    peer.expect("S", seq=0)
    peer.send("S", seq=0, mss=1460)
    peer.expect("SA", seq=0, ack=1)
    peer.send("A", seq=1, ack=1)
    assert peer.conn.state_name == "ESTABLISHED"


def test_simultaneous_open_that_is_reset_is_refused(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4, second step: an active OPEN in SYN-RECEIVED signals "connection refused"."""
    peer.connect()
    peer.expect("S")
    peer.send("S", seq=0)
    peer.expect("SA")
    peer.send("R", seq=1)
    assert isinstance(peer.user.error, Refused)
    assert peer.timers.count == 0


def test_shutdown_in_a_simultaneous_open_is_queued(peer: TcpScript) -> None:
    """RFC 9293 3.10.4 SYN-RECEIVED."""
    conn = peer.connect()
    peer.expect("S")
    peer.send("S", seq=0)
    peer.expect("SA")
    conn.shutdown(peer.now)
    peer.expect_nothing()
    peer.send("A", seq=1, ack=1)
    peer.expect("FA", seq=1, ack=1)


def test_a_reset_that_acknowledges_our_syn_refuses(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.3, second step."""
    peer.connect()
    peer.expect("S")
    peer.send("RA", seq=0, ack=1)
    assert isinstance(peer.user.error, Refused)
    assert peer.user.events == ["closed"]
    peer.expect_nothing()
    assert peer.timers.count == 0 and not peer.tcp.hub.tables
    assert peer.tcp.mib.AttemptFails == 1


@pytest.mark.parametrize("ack", [0, 2, 500, -1])
def test_a_reset_that_does_not_acknowledge_our_syn_is_dropped(peer: TcpScript, ack: int) -> None:
    """RFC 9293 3.10.7.3, first and second step."""
    peer.connect()
    peer.expect("S")
    peer.send("RA", seq=0, ack=ack)
    peer.expect_nothing()
    assert peer.conn.state_name == "SYN-SENT"
    assert peer.tcp.ext.InBadAck == 1


def test_a_reset_without_ack_in_syn_sent_is_dropped(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.3, second step."""
    peer.connect()
    peer.expect("S")
    peer.send("R", seq=0)
    assert peer.conn.state_name == "SYN-SENT"
    assert peer.tcp.ext.InBlindRst == 1


@pytest.mark.parametrize("flags", ["A", "SA"])
@pytest.mark.parametrize("ack", [0, 2, 70000])
def test_an_unacceptable_ack_in_syn_sent_draws_a_reset(peer: TcpScript, flags: str, ack: int) -> None:
    """RFC 9293 3.10.7.3, first step: <SEQ=SEG.ACK><CTL=RST>; figure 9, recovery from an old duplicate."""
    peer.connect()
    peer.expect("S")
    peer.send(flags, seq=0, ack=ack)
    assert peer.expect("R", seq=ack).ack == 0
    assert peer.conn.state_name == "SYN-SENT"


def test_an_ack_without_syn_in_syn_sent_is_dropped(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.3, fifth step; smoltcp: syn sent syn ack not incremented, syn sent bad ack."""
    peer.connect()
    peer.expect("S")
    peer.send("A", seq=0, ack=1)
    peer.expect_nothing()
    assert peer.conn.state_name == "SYN-SENT"
    assert peer.tcp.ext.InStray == 1


@pytest.mark.parametrize("ack", [0, 2, 1000, -5])
def test_an_unacceptable_ack_in_syn_received_draws_a_reset(peer: TcpScript, ack: int) -> None:
    """RFC 9293 3.10.7.4, fifth step; smoltcp: syn received ack too high, too low."""
    peer.listen()
    peer.send("S", seq=0)
    peer.expect("SA")
    peer.send("A", seq=1, ack=ack)
    peer.expect("R", seq=ack)
    assert not peer.accepted
    peer.send("A", seq=1, ack=1)
    assert len(peer.accepted) == 1, "the handshake goes on all the same"


def test_a_syn_that_comes_again_gets_the_synack_again(peer: TcpScript) -> None:
    peer.listen()
    peer.send("S", seq=0)
    peer.expect("SA", seq=0, ack=1)
    peer.send("S", seq=0)
    peer.expect("SA", seq=0, ack=1)
    peer.send("A", seq=1, ack=1)
    assert peer.user.events == ["connected"]


def test_a_synack_that_comes_again_is_acknowledged_again(peer: TcpScript) -> None:
    peer.establish_active()
    peer.send("SA", seq=0, ack=1)
    peer.expect("A", seq=1, ack=1)


def test_a_reset_in_syn_received_returns_to_listen(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4, second step."""
    peer.listen()
    peer.send("S", seq=0)
    peer.expect("SA")
    peer.send("R", seq=1)
    peer.expect_nothing()
    assert not peer.tcp.hub.tables and peer.timers.count == 0
    assert peer.tcp.ext.EmbryonicRsts == 1 and peer.tcp.mib.AttemptFails == 1
    peer.send("S", seq=0)
    peer.expect("SA")


def test_another_syn_in_the_window_in_syn_received_returns_to_listen(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4, fourth step: the peer has begun anew."""
    peer.listen()
    peer.send("S", seq=0)
    peer.expect("SA")
    peer.send("S", seq=100)
    peer.expect_nothing()
    assert not peer.tcp.hub.half
    peer.send("S", seq=100)
    peer.expect("SA", ack=101)


def test_a_segment_to_nobody_is_reset(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.1: with ACK <SEQ=SEG.ACK><CTL=RST>, else <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>."""
    peer.local_port = 81
    peer.send("A", seq=7, ack=9)
    assert peer.expect("R", seq=9).ack == 0
    peer.send("S", seq=7)
    assert peer.expect("RA", ack=8).seq == 0
    peer.send("FP", seq=7, data=b"abc")
    assert peer.expect("RA", ack=11).seq == 0
    peer.send("", seq=7)
    assert peer.expect("RA", ack=7).seq == 0
    assert peer.tcp.mib.OutRsts == 4


@pytest.mark.parametrize("flags", ["R", "RA", "RS", "RSFPAU"])
def test_a_reset_to_nobody_is_not_answered(peer: TcpScript, flags: str) -> None:
    """RFC 9293 3.5.2; gVisor: TCPResetsDoNotGenerateResets."""
    peer.local_port = 81
    peer.send(flags, seq=7, ack=9)
    peer.listen(80)
    peer.send(flags, seq=7, ack=9)
    peer.expect_nothing()
    assert peer.tcp.ext.InStray == 2


def test_a_listener_resets_an_ack(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.2, second step; gVisor: SendRstOnListenerRxAck, RxSynAck."""
    peer.listen()
    peer.send("A", seq=5, ack=9)
    peer.expect("R", seq=9)
    peer.send("SA", seq=5, ack=9)
    peer.expect("R", seq=9)


@pytest.mark.parametrize("flags", ["", "F", "P", "FU"])
def test_a_listener_drops_what_has_neither_syn_nor_ack(peer: TcpScript, flags: str) -> None:
    peer.listen()
    peer.send(flags, seq=5)
    peer.expect_nothing()
    assert peer.tcp.ext.InStray == 1


def test_a_listener_drops_syn_with_fin(peer: TcpScript) -> None:
    peer.listen()
    peer.send("SF", seq=0)
    peer.expect_nothing()
    assert peer.tcp.ext.InBadSyn == 1


def test_a_listener_on_one_address_does_not_hear_another(peer: TcpScript) -> None:
    peer.tcp.listen(peer.local, 80, lambda conn: None)
    assert peer.tcp.hub.listeners[80]
    other = Segment(40000, 80, 0, 0, 2, 1000).encode(peer.peer, peer.local + 9)
    peer.send_raw(other, dst=peer.local + 9)
    peer.flush()
    assert peer.packets[-1].src == peer.local + 9
    assert peer.take()[0].flags & 4, "a RST: nobody listens there"


def test_a_user_that_is_refused_costs_the_peer_a_reset(peer: TcpScript) -> None:
    peer.listen(80, refuse=True)
    peer.send("S", seq=0)
    peer.expect("SA")
    peer.send("A", seq=1, ack=1)
    peer.expect("RA", seq=1, ack=1)
    assert not peer.tcp.hub.tables and peer.timers.count == 0


def test_the_syn_is_retransmitted_with_backoff_until_connect_gives_up(peer: TcpScript) -> None:
    """RFC 6298 2.1, 5.5; smoltcp: connect timeout; gVisor: SYNRetransmit, GiveUpConnect."""
    peer.connect()
    peer.expect("S")
    for wait in (1, 2, 4, 8, 16, 32):
        assert peer.run_to_timer() == pytest.approx(wait * SECOND, abs=2 * MILLISECOND)
        peer.expect("S", seq=0)
    peer.advance(65 * SECOND)
    peer.expect_nothing()
    assert isinstance(peer.user.error, TimedOut)
    assert peer.timers.count == 0 and not peer.tcp.hub.tables
    assert peer.tcp.mib.RetransSegs == 6


def test_the_synack_is_retransmitted_until_the_half_open_connection_is_given_up(peer: TcpScript) -> None:
    """gVisor: HandshakeTimeoutConnectedCount."""
    peer.listen()
    peer.send("S", seq=0)
    peer.expect("SA")
    for wait in (1, 2, 4, 8, 16):
        assert peer.run_to_timer() == pytest.approx(wait * SECOND, abs=2 * MILLISECOND)
        peer.expect("SA", seq=0, ack=1)
    peer.advance(33 * SECOND)
    peer.expect_nothing()
    assert peer.tcp.ext.HalfOpenTimeouts == 1
    assert not peer.accepted and peer.timers.count == 0 and not peer.tcp.hub.half


def test_after_a_lost_syn_the_first_time_out_is_three_seconds(peer: TcpScript) -> None:
    """RFC 6298 5.7, and RFC 6928 2: an initial window of one segment."""
    conn = peer.connect()
    peer.expect("S")
    peer.advance(SECOND)
    peer.expect("S")
    peer.send("SA", seq=0, ack=1, mss=1000)
    peer.expect("A")
    assert conn.info().rto == 3 * SECOND
    assert conn.info().cwnd == 1000


def test_window_scaling_is_used_when_both_offer_it(peer: TcpScript) -> None:
    """RFC 7323 2.2; smoltcp: syn received window scaling."""
    conn = peer.establish(wscale=7, window=128 * 1000)
    assert conn.info().snd_wnd == 128 * 1000
    peer.send("PA", seq=1, ack=1, data=b"x")
    peer.advance(40 * MILLISECOND)
    ack = peer.expect("A")
    assert ack.window << 9 == 65536, "ours is scaled by nine"


def test_the_window_of_a_syn_is_never_scaled(peer: TcpScript) -> None:
    conn = peer.connect()
    peer.expect("S", window=65535)
    peer.send("SA", seq=0, ack=1, window=1000, wscale=7, mss=1460)
    assert conn.info().snd_wnd == 1000


def test_without_the_peers_window_scale_option_nobody_scales(peer: TcpScript) -> None:
    """RFC 7323 2.2."""
    peer.listen()
    peer.send("S", seq=0, mss=1460)
    assert peer.expect("SA").option(3) is None
    peer.send("A", seq=1, ack=1, window=50000)
    assert peer.conn.info().snd_wnd == 50000
    peer.send("PA", seq=1, ack=1, data=b"x")
    peer.advance(40 * MILLISECOND)
    assert peer.expect("A").window == 65534, "the byte that came, and nothing is rounded"


def test_a_window_scale_above_fourteen_counts_as_fourteen(peer: TcpScript) -> None:
    """RFC 7323 2.3."""
    peer.listen()
    peer.send("S", seq=0, options=wscale_option(200) + mss_option(1460))
    peer.expect("SA")
    peer.send_raw(peer.segment("A", seq=1, ack=1, window=3).encode(peer.peer, peer.local))
    peer.flush()
    assert peer.conn.info().snd_wnd == 3 << 14


@pytest.mark.parametrize(("buffer", "shift"), [(65535, 0), (65536, 1), (262144, 3), (65535 << 14, 14)])
def test_our_shift_is_the_smallest_that_offers_the_buffer(script: Make, buffer: int, shift: int) -> None:
    """RFC 7323 2.2."""
    peer = script(config=TcpConfig(rcv_buf=buffer))
    peer.connect()
    assert peer.expect("S").option(3) == bytes([shift])


def test_without_an_mss_option_the_peer_gets_536(peer: TcpScript) -> None:
    """RFC 9293 3.7.1 (MUST-15)."""
    conn = peer.establish(mss=None)
    conn.write(bytes(1000), peer.now)
    peer.expect("A", length=536)
    peer.expect("A", length=464)


def test_a_larger_mss_than_the_path_carries_is_cut_to_it(peer: TcpScript) -> None:
    """RFC 9293 3.7.1 (MUST-16)."""
    conn = peer.establish(mss=9000)
    assert conn.info().mss == 1460


@pytest.mark.parametrize(("announced", "used", "counted"), [(1, 88, 1), (87, 88, 1), (88, 88, 0), (0, 536, 0), (100, 100, 0)])
def test_a_tiny_mss_is_raised_to_the_floor_and_zero_ignored(peer: TcpScript, announced: int, used: int, counted: int) -> None:
    """CVE-2019-11479; smoltcp: listen syn tiny mss is clamped, zero mss is ignored, established tiny mss makes progress."""
    conn = peer.establish(mss=announced)
    assert conn.info().mss == used
    assert peer.tcp.ext.TinyMss == counted
    conn.write(bytes(300), peer.now)
    assert len(peer.take()[0].payload) == min(used, 300)


def test_malformed_options_of_a_syn_do_no_harm(peer: TcpScript) -> None:
    """RFC 9293 3.1 (MUST-7): what came before the malformed one counts."""
    peer.listen()
    peer.send("S", seq=0, options=mss_option(1000) + bytes.fromhex("03ff0101"))
    peer.expect("SA")
    peer.send("A", seq=1, ack=1)
    assert peer.conn.info().mss == 1000


def test_a_port_is_listened_on_once(peer: TcpScript) -> None:
    """RFC 9293 3.10.1."""
    listener = peer.listen(80)
    with pytest.raises(AddressInUse):
        peer.tcp.listen(0, 80, lambda conn: None)
    with pytest.raises(AddressInUse):
        peer.tcp.listen(peer.local, 80, lambda conn: None)
    listener.close(peer.now)
    peer.tcp.listen(peer.local, 80, lambda conn: None)


def test_listening_validates_what_it_is_given(peer: TcpScript) -> None:
    """RFC 9293 3.10.1."""
    with pytest.raises(UsageError):
        peer.tcp.listen(0, 65536, lambda conn: None)
    with pytest.raises(UsageError):
        peer.tcp.listen(0, 80, lambda conn: None, 0)
    with pytest.raises(Unreachable) as caught:
        peer.tcp.listen(peer.peer, 80, lambda conn: None)
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_port_zero_listens_on_a_free_dynamic_port(peer: TcpScript) -> None:
    ports = {peer.tcp.listen(0, 0, lambda conn: None).port for _ in range(50)}
    assert len(ports) == 50 and all(49152 <= port <= 65535 for port in ports)


def test_a_closed_listener_forgets_half_open_connections_and_keeps_the_others(peer: TcpScript) -> None:
    """RFC 9293 3.10.4 LISTEN; gVisor: ListenCloseWhileConnect."""
    listener = peer.listen()
    peer.send("S", seq=0)
    peer.expect("SA")
    peer.send("A", seq=1, ack=1)
    peer.send("S", seq=0, port=40001)
    peer.expect("SA")
    listener.close(peer.now)
    listener.close(peer.now)
    assert len(list(peer.tcp.connections())) == 1
    peer.send("A", seq=1, ack=1, port=40001)
    peer.expect("R", seq=1)
    peer.send("S", seq=0, port=40002)
    peer.expect("RA")
    peer.send("PA", seq=1, ack=1, data=b"x")
    assert peer.user.received == b"x"


def test_connecting_validates_what_it_is_given(peer: TcpScript) -> None:
    """RFC 9293 3.10.1 (MUST-46)."""
    user = Recorder().user
    wrong = ((0, peer.peer, 0), (0, peer.peer, 65536), (70000, peer.peer, 80), (0, 0xE0000001, 80), (0, 0xFFFFFFFF, 80), (0, 5, 80))
    for local_port, remote, port in wrong:
        with pytest.raises(UsageError):
            peer.tcp.connect(0, local_port, remote, port, user, peer.now)
    with pytest.raises(UsageError):
        peer.tcp.connect(peer.local, 80, peer.local, 80, user, peer.now)
    assert not peer.tcp.hub.tables


def test_a_second_connection_between_the_same_ports_is_refused_locally(peer: TcpScript) -> None:
    """RFC 9293 3.10.1: "connection already exists"."""
    peer.establish_active()
    with pytest.raises(AddressInUse):
        peer.connect(port=peer.peer_port, local_port=peer.local_port)
    peer.listen(90)
    with pytest.raises(AddressInUse):
        peer.connect(port=1234, local_port=90)


def test_without_a_route_connect_raises(peer: TcpScript) -> None:
    peer.ip.routed = False
    with pytest.raises(Unreachable):
        peer.connect()
    assert not peer.tcp.hub.tables and peer.timers.count == 0


def test_ephemeral_ports_are_dynamic_unpredictable_and_free(peer: TcpScript) -> None:
    """RFC 6056 3.3.1, RFC 6335 6; gVisor: ConnectAvoidsBoundPorts."""
    ports = [peer.tcp.connect(0, 0, peer.peer, 80, Recorder().user, peer.now).local_port for _ in range(64)]
    assert len(set(ports)) == 64 and min(ports) >= 49152
    steps = {(b - a) % 16384 for a, b in pairwise(ports)}
    assert len(steps) > 40, "neighbours would be predictable"


def test_initial_sequence_numbers_differ_by_peer_and_grow_with_time(peer: TcpScript) -> None:
    """RFC 6528, RFC 9293 3.4.1: 4 us to a step for one pair of ports, no relation between two."""
    hub = peer.tcp.hub
    first = hub.iss(peer.local, 80, peer.peer, 4000, 10 * SECOND)
    assert (hub.iss(peer.local, 80, peer.peer, 4000, 11 * SECOND) - first) % 2**32 == 250_000
    others = {hub.iss(peer.local, 80, peer.peer, port, 10 * SECOND) for port in range(4001, 4065)}
    assert len(others) == 64
    other = TcpScript(seed=2).tcp.hub
    assert other.iss(peer.local, 80, peer.peer, 4000, 10 * SECOND) != first, "the secret is drawn from the generator"


def test_the_number_of_connections_is_bounded(script: Make) -> None:
    peer = script(config=TcpConfig(max_connections=3))
    peer.listen(80)
    for _ in range(2):
        peer.tcp.connect(0, 0, peer.peer, 80, Recorder().user, peer.now)
    peer.local_port = 80
    peer.send("S", seq=0)
    peer.sent = peer.sent[-1:]
    peer.expect("SA")
    with pytest.raises(NoBuffers):
        peer.tcp.connect(0, 0, peer.peer, 80, Recorder().user, peer.now)
    peer.send("S", seq=0, port=40001)
    peer.expect_nothing()
    assert (peer.tcp.ext.SynDropped, peer.tcp.ext.TCPAbortOnMemory) == (1, 1)


def test_a_full_accept_queue_drops_syns_until_there_is_room(peer: TcpScript) -> None:
    """gVisor: ListenBacklogFull, ListenDropIncrement."""
    listener = peer.listen(backlog=2)
    listener.waiting = 2
    peer.send("S", seq=0)
    peer.expect_nothing()
    assert (peer.tcp.ext.ListenOverflows, peer.tcp.ext.ListenDrops) == (1, 1)
    listener.waiting = 1
    peer.send("S", seq=0)
    peer.expect("SA")
