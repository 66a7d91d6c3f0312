"""Timestamps: RFC 7323 3 to 5 and appendix A, RFC 6191. The peer's clock starts at its ISS, so that it wraps where that does."""

import struct
from collections.abc import Callable

import pytest

from netstack import const
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp import wire
from netstack.tcp.config import TcpConfig
from netstack.tcp.connection import Connection
from netstack.tcp.wire import Segment
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]
DAY = 86400 * SECOND


def value(segment: Segment) -> int:
    option = segment.option(8)
    assert option is not None, "no timestamps"
    tsval: int = struct.unpack("!II", option)[0]
    return tsval


def echo(peer: TcpScript, segment: Segment) -> int:
    """What it echoes, in ticks of the peer's clock; below zero for before its start."""
    option = segment.option(8)
    assert option is not None, "no timestamps"
    ticks = (struct.unpack("!II", option)[1] - peer.peer_iss) & const.M32
    return ticks - (1 << 32) if ticks > const.M31 else ticks


def ts(peer: TcpScript, tick: int, ecr: int = 0) -> bytes:
    return wire.timestamps_option((peer.peer_iss + tick) & const.M32, ecr)


def agree(peer: TcpScript, tick: int = 0) -> Connection:
    """A handshake with timestamps to our listener. The peer's next byte is 1, its clock at `tick`."""
    peer.listen()
    peer.send("S", seq=0, mss=1460, options=ts(peer, tick))
    syn_ack = peer.expect("SA", seq=0, ack=1)
    assert echo(peer, syn_ack) == tick
    peer.send("A", seq=1, ack=1, options=ts(peer, tick, value(syn_ack)))
    peer.expect_nothing()
    return peer.conn


# -- agreeing: RFC 7323 3 ---------------------------------------------------------------------------------------------------------


def test_rfc7323_3_2_the_syn_offers_timestamps_that_echo_nothing(peer: TcpScript) -> None:
    peer.connect()
    syn = peer.expect("S")
    assert syn.options[4:8] == bytes.fromhex("0402080a") and syn.options[12:16] == bytes(4)


def test_rfc7323_3_2_every_segment_carries_them_once_agreed(peer: TcpScript) -> None:
    """smoltcp: tsval established connection; gVisor: TimeStampEnabledAccept."""
    conn = agree(peer)
    conn.write(b"abc", peer.now)
    data = peer.expect("A", seq=1, data=b"abc")
    assert data.options[:4] == bytes.fromhex("0101080a") and len(data.options) == 12
    peer.send("A", seq=1, ack=4, data=b"def", options=ts(peer, 5))
    peer.advance(40 * MILLISECOND)
    ack = peer.expect("A", seq=4, ack=4)
    assert echo(peer, ack) == 5
    conn.shutdown(peer.now)
    assert peer.expect("FA", seq=4).option(8) is not None


def test_rfc7323_3_2_an_active_open_agrees_with_the_syn_ack(peer: TcpScript) -> None:
    """gVisor: TimeStampEnabledConnect."""
    peer.connect()
    syn = peer.expect("S")
    peer.send("SA", seq=0, ack=1, mss=1460, options=ts(peer, 7, value(syn)))
    assert echo(peer, peer.expect("A", seq=1, ack=1)) == 7
    assert peer.conn.ts_on and peer.conn.mss == 1448


def test_rfc7323_3_2_a_peer_without_them_never_sees_them(peer: TcpScript) -> None:
    """smoltcp: tsval disabled in remote server."""
    conn = peer.establish_active()
    conn.write(b"abc", peer.now)
    assert peer.expect("A", data=b"abc").options == b""
    assert not conn.ts_on and conn.mss == 1460


def test_rfc7323_3_2_none_are_sent_when_they_are_switched_off(script: Make) -> None:
    """smoltcp: tsval disabled in local client, tsval disabled in local server; gVisor: TimeStampDisabledAccept, …Connect."""
    peer = script(config=TcpConfig(timestamps=False))
    peer.listen()
    peer.send("S", seq=0, mss=1460, options=ts(peer, 0))
    assert peer.expect("SA").option(8) is None
    peer = script(config=TcpConfig(timestamps=False))
    peer.connect()
    assert peer.expect("S").option(8) is None


def test_rfc7323_3_2_a_segment_that_lacks_them_is_not_dropped(peer: TcpScript) -> None:
    """gVisor: SegmentNotDroppedWhenTimestampMissing."""
    agree(peer)
    peer.send("PA", seq=1, ack=1, data=b"abc")
    assert peer.user.received == b"abc"


def test_rfc6691_the_mss_counts_the_options(peer: TcpScript) -> None:
    """gVisor: SendGreaterThanMTUWithOptions, PassiveSendMSSLessThanMTU."""
    conn = agree(peer)
    assert conn.mss == 1448
    conn.write(bytes(5000), peer.now)
    for seq in (1, 1449, 2897):
        peer.expect("A", seq=seq, length=1448)
    peer.expect("A", seq=4345, length=656)


def test_rfc6691_super_segments_are_cut_at_the_same_size(script: Make) -> None:
    peer = script(offload=const.OFFLOAD_TSO4)
    conn = agree(peer)
    conn.write(bytes(14480), peer.now)
    peer.expect("A", seq=1, length=14480)
    assert peer.packets[-1].gso == 1448


def test_rfc6691_a_tiny_mss_with_options_makes_progress(peer: TcpScript) -> None:
    """smoltcp: established tiny mss with options makes progress; gVisor: SendMSSLessThanOptionsSize."""
    peer.listen()
    peer.send("S", seq=0, mss=5, options=ts(peer, 0))
    peer.expect("SA")
    peer.send("A", seq=1, ack=1, options=ts(peer, 0))
    peer.conn.write(bytes(100), peer.now)
    assert len(peer.expect("A", seq=1).payload) == 76


def test_rfc7323_5_4_the_clock_ticks_once_a_millisecond_from_a_secret_start(script: Make) -> None:
    starts = set()
    for seed in range(3):
        peer = script(seed=seed)
        conn = agree(peer)
        conn.write(b"a", peer.now)
        first = value(peer.expect("A"))
        peer.advance(10 * MILLISECOND)
        conn.set_nodelay(True, peer.now)
        conn.write(b"b", peer.now)
        assert (value(peer.expect("A")) - first) & const.M32 == 10
        starts.add(conn.ts_offset)
    assert len(starts) == 3


def test_rfc7323_5_4_two_connections_of_one_host_do_not_share_a_clock(peer: TcpScript) -> None:
    peer.listen()
    values = set()
    for port in (40000, 40001, 40002):
        peer.send("S", seq=0, mss=1460, options=ts(peer, 0), port=port)
        values.add(value(peer.expect("SA")))
    assert len(values) == 3


# -- what is echoed: RFC 7323 4.3 -------------------------------------------------------------------------------------------------


def test_rfc7323_4_3_a_delayed_ack_echoes_the_first_segment_that_it_covers(peer: TcpScript) -> None:
    agree(peer)
    peer.send("A", seq=1, ack=1, data=b"abc", options=ts(peer, 10))
    peer.send("A", seq=4, ack=1, data=b"def", options=ts(peer, 12))
    peer.advance(40 * MILLISECOND)
    assert echo(peer, peer.expect("A", ack=7)) == 10


def test_rfc7323_4_3_beyond_a_hole_the_last_in_order_is_echoed_and_then_what_filled_it(peer: TcpScript) -> None:
    agree(peer)
    peer.send("A", seq=4, ack=1, data=b"def", options=ts(peer, 20))
    assert echo(peer, peer.expect("A", ack=1)) == 0
    peer.send("A", seq=1, ack=1, data=b"abc", options=ts(peer, 30))
    assert echo(peer, peer.expect("A", ack=7)) == 30


def test_rfc7323_4_3_an_unacceptable_segment_changes_no_echo(peer: TcpScript) -> None:
    """Or anybody could put the connection's clock half a turn ahead with one forged old segment."""
    agree(peer)
    peer.send("A", seq=1, ack=1, data=b"abc", options=ts(peer, 1))
    peer.advance(40 * MILLISECOND)
    peer.expect("A", ack=4)
    peer.send("A", seq=1, ack=1, data=b"abc", options=ts(peer, 1_000_000))
    assert echo(peer, peer.expect("A", ack=4)) == 1


# -- round trips: RFC 7323 4 ------------------------------------------------------------------------------------------------------


def test_rfc7323_4_a_retransmission_is_timed_by_its_echo_and_ends_the_back_off(peer: TcpScript) -> None:
    conn = agree(peer)
    conn.write(b"abc", peer.now)
    peer.expect("A", seq=1)
    peer.run_to_timer()
    again = peer.expect("A", seq=1, data=b"abc")
    assert conn.rtt.backoff == 1
    peer.advance(30 * MILLISECOND)
    before = conn.rtt.srtt
    peer.send("A", seq=1, ack=4, options=ts(peer, 500, value(again)))
    assert conn.rtt.backoff == 0 and conn.rtt.srtt == (7 * before + 30 * MILLISECOND) // 8


def test_rfc7323_4_an_echo_from_before_the_retransmission_is_no_sample(peer: TcpScript) -> None:
    """The ACK was lost: the difference is our time-out, not the path."""
    conn = agree(peer)
    conn.write(b"abc", peer.now)
    first = peer.expect("A", seq=1)
    peer.run_to_timer()
    peer.expect("A", seq=1, data=b"abc")
    before = conn.rtt.srtt
    peer.advance(30 * MILLISECOND)
    peer.send("A", seq=1, ack=4, options=ts(peer, 500, value(first)))
    assert conn.rtt.srtt == before and conn.rtt.backoff == 1


@pytest.mark.parametrize("lie", [1, 0x7FFFFFFF, -500_000])
def test_rfc7323_4_an_echo_that_we_never_sent_is_no_sample(peer: TcpScript, lie: int) -> None:
    conn = agree(peer)
    conn.write(b"abc", peer.now)
    first = peer.expect("A", seq=1)
    peer.run_to_timer()
    peer.take()
    before = conn.rtt.srtt
    peer.send("A", seq=1, ack=4, options=ts(peer, 500, (value(first) + 100_000 + lie) & const.M32))
    assert conn.rtt.srtt == before


# -- PAWS: RFC 7323 5 -------------------------------------------------------------------------------------------------------------


def test_rfc7323_5_3_an_old_timestamp_is_acknowledged_and_dropped(peer: TcpScript) -> None:
    """packetimpact: PAWSMechanism."""
    agree(peer, tick=10)
    peer.send("PA", seq=1, ack=1, data=b"old", options=ts(peer, 9))
    assert echo(peer, peer.expect("A", seq=1, ack=1)) == 10
    assert peer.user.received == b"" and peer.tcp.ext.PAWSEstab == 1
    peer.send("PA", seq=1, ack=1, data=b"new", options=ts(peer, 10))
    assert peer.user.received == b"new"


def test_rfc2883_4_1_a_straggler_with_an_old_timestamp_is_reported_as_come_twice(peer: TcpScript) -> None:
    """It was overtaken by its own retransmission, which made the clock go on: the peer must learn that nothing was lost."""
    peer.listen()
    peer.send("S", seq=0, mss=1460, options=wire.sack_permitted_option() + ts(peer, 10))
    peer.expect("SA")
    peer.send("A", seq=1, ack=1, options=ts(peer, 10))
    peer.send("A", seq=1, ack=1, data=b"again", options=ts(peer, 20))
    peer.send("A", seq=1, ack=1, data=b"again", options=ts(peer, 15))
    acks = [segment for segment in peer.take() if segment.option(5) is not None]
    assert [(segment.ack - peer.peer_iss) & const.M32 for segment in acks] == [6]
    edges = struct.unpack("!II", acks[0].option(5) or b"")
    assert [(edge - peer.peer_iss) & const.M32 for edge in edges] == [1, 6]
    assert peer.user.received == b"again"
    assert (peer.tcp.ext.PAWSEstab, peer.tcp.ext.TCPDSACKOldSent) == (1, 1)


def test_rfc7323_5_3_an_old_ack_without_text_is_answered_at_a_limited_rate(peer: TcpScript) -> None:
    agree(peer, tick=9000)
    for _ in range(5):
        peer.send("A", seq=1, ack=1, options=ts(peer, 3))
    peer.expect("A", seq=1, ack=1)
    peer.expect_nothing()
    assert peer.tcp.ext.PAWSEstab == 5


def test_rfc7323_5_3_an_ack_that_others_have_overtaken_is_dropped_without_a_word(peer: TcpScript) -> None:
    """An answer would be a duplicate ACK to a peer with data in flight. Linux: PAWSOldAck."""
    agree(peer, tick=10)
    peer.conn.write(b"abc", peer.now)
    peer.take()
    peer.send("A", seq=1, ack=4, options=ts(peer, 12))
    peer.send("A", seq=1, ack=1, options=ts(peer, 11))
    peer.expect_nothing()
    assert peer.tcp.ext.PAWSEstab == 0 and peer.tcp.ext.PAWSOldAck == 1


def test_rfc2018_an_ack_that_others_have_overtaken_may_tell_what_they_did_not(peer: TcpScript) -> None:
    """Its SACK blocks count, its timestamp does not."""
    peer.listen()
    peer.send("S", seq=0, mss=1460, options=wire.sack_permitted_option() + ts(peer, 10))
    peer.expect("SA")
    peer.send("A", seq=1, ack=1, options=ts(peer, 10))
    peer.conn.write(bytes(8 * 1448), peer.now)
    peer.take()

    def told(first: int, tick: int) -> None:
        begin = (peer.local_iss + 1 + first * 1448) & const.M32
        block = b"\1\1\5\12" + struct.pack("!II", begin, (begin + 1448) & const.M32)
        peer.send("A", seq=1, ack=1, options=ts(peer, tick) + block)

    told(5, 12)
    told(3, 11)
    assert peer.conn.info().sacked == 2 * 1448
    assert peer.tcp.ext.PAWSOldAck == 0 and peer.conn.ts_recent == (peer.peer_iss + 12) & const.M32


def test_rfc7323_5_2_a_reset_is_exempt(peer: TcpScript) -> None:
    agree(peer, tick=10)
    peer.send("R", seq=1, options=ts(peer, 3))
    assert peer.user.closed and peer.tcp.ext.PAWSEstab == 0


def test_rfc7323_5_3_the_option_is_found_wherever_it_stands(peer: TcpScript) -> None:
    agree(peer, tick=10)
    odd = bytes.fromhex("080a") + struct.pack("!II", (peer.peer_iss + 9) & const.M32, 0) + bytes.fromhex("0000")
    peer.send("PA", seq=1, ack=1, data=b"old", options=odd)
    peer.expect("A", ack=1)
    assert peer.tcp.ext.PAWSEstab == 1


@pytest.mark.parametrize(("days", "dropped"), [(23, 1), (25, 0)])
def test_rfc7323_5_5_after_24_days_of_silence_nothing_is_old(peer: TcpScript, days: int, dropped: int) -> None:
    agree(peer, tick=10)
    peer.advance(days * DAY)
    peer.send("PA", seq=1, ack=1, data=b"abc", options=ts(peer, 9))
    assert peer.tcp.ext.PAWSEstab == dropped
    assert peer.user.received == (b"" if dropped else b"abc")


# -- TIME-WAIT: RFC 6191 ----------------------------------------------------------------------------------------------------------


def rest(peer: TcpScript) -> None:
    """To TIME-WAIT at tick 100, the next byte being 2 on both sides."""
    conn = agree(peer)
    conn.shutdown(peer.now)
    peer.expect("FA", seq=1, ack=1)
    peer.send("FA", seq=1, ack=2, options=ts(peer, 100))
    assert echo(peer, peer.expect("A", seq=2, ack=2)) == 100
    assert conn.state_name == "TIME-WAIT"


@pytest.mark.parametrize(("tick", "seq", "taken"), [(101, -5000, True), (100, 3, True), (100, 1, False), (99, 5000, False)])
def test_rfc6191_2_a_syn_with_a_newer_timestamp_ends_time_wait(peer: TcpScript, tick: int, seq: int, taken: bool) -> None:
    rest(peer)
    peer.send("S", seq=seq, mss=1460, options=ts(peer, tick))
    segment = peer.take()[0]
    assert wire.flag_text(segment.flags) == ("SA" if taken else "A")
    assert peer.tcp.ext.TWRecycled == taken and peer.tcp.ext.PAWSEstab == (tick == 99)


def test_rfc7323_3_2_time_wait_acknowledges_with_timestamps(peer: TcpScript) -> None:
    rest(peer)
    peer.advance(SECOND)
    peer.send("FA", seq=1, ack=2, options=ts(peer, 150))
    assert echo(peer, peer.expect("A", seq=2, ack=2)) == 100
