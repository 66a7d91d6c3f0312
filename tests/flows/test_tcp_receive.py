"""Receiving: RFC 9293 3.10.7.4 (steps one and seven), 3.8.6.2.2, 3.8.6.3; RFC 5681 4.2; RFC 6093."""

import random
from collections.abc import Callable

import pytest

from netstack import const
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]


def test_data_in_order_is_delivered_at_once(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4, seventh step."""
    peer.establish()
    peer.send("PA", seq=1, ack=1, data=b"abc", flush=False)
    assert peer.user.received == b"abc", "while it is still in the cache, before the batch is over"
    peer.flush()


def test_a_lone_segment_is_acknowledged_after_40_ms(peer: TcpScript) -> None:
    """RFC 9293 3.8.6.3; smoltcp: delayed ack."""
    peer.establish()
    peer.send("PA", seq=1, ack=1, data=b"abc")
    peer.expect_nothing()
    peer.advance(39 * MILLISECOND)
    peer.expect_nothing()
    peer.advance(1 * MILLISECOND)
    peer.expect("A", seq=1, ack=4)
    assert peer.tcp.ext.DelayedACKs == 1
    peer.advance(SECOND)
    peer.expect_nothing()


def test_after_a_lull_a_program_that_never_answers_acknowledges_at_once(peer: TcpScript) -> None:
    """Neither a second segment nor an answer is to be expected: nothing to wait for."""
    peer.establish()
    peer.send("PA", seq=1, ack=1, data=b"abc")
    peer.advance(40 * MILLISECOND)
    peer.expect("A", ack=4)
    peer.advance(199 * MILLISECOND)  # since it came 239 ms have passed: a lull
    peer.send("PA", seq=4, ack=1, data=b"def")
    peer.expect("A", ack=7)
    assert (peer.tcp.ext.QuickAcks, peer.tcp.ext.DelayedACKs) == (1, 1)
    peer.advance(199 * MILLISECOND)
    peer.send("PA", seq=7, ack=1, data=b"ghi")  # and this is none
    peer.expect_nothing()
    peer.advance(40 * MILLISECOND)
    peer.expect("A", ack=10)
    assert (peer.tcp.ext.QuickAcks, peer.tcp.ext.DelayedACKs) == (1, 2)


def test_after_a_lull_a_program_that_answers_is_given_the_time_for_it(peer: TcpScript) -> None:
    conn = peer.establish()
    for i in range(3):
        peer.advance(SECOND)
        peer.send("PA", seq=1 + 4 * i, ack=1 + 4 * i, data=b"ping")
        peer.expect_nothing()
        peer.advance(30 * MILLISECOND)
        conn.write(b"pong", peer.now)
        peer.expect("A", seq=1 + 4 * i, ack=5 + 4 * i, data=b"pong")
        peer.expect_nothing()
        peer.send("A", seq=5 + 4 * i, ack=5 + 4 * i)
    peer.advance(SECOND)
    peer.send("PA", seq=13, ack=13, data=b"tell")  # the time is given, and nothing said
    peer.advance(40 * MILLISECOND)
    peer.expect("A", ack=17)
    assert (peer.tcp.ext.QuickAcks, peer.tcp.ext.DelayedACKs) == (0, 1)
    peer.advance(SECOND)
    peer.send("PA", seq=17, ack=13, data=b"tell")
    peer.expect("A", ack=21)
    assert peer.tcp.ext.QuickAcks == 1


def test_every_second_full_segment_is_acknowledged_at_once(peer: TcpScript) -> None:
    """RFC 5681 4.2 (RFC 9293 SHLD-19); smoltcp: delayed ack every rmss."""
    peer.establish()
    for i in range(8):
        peer.send("A", seq=1 + 1460 * i, ack=1, data=bytes(1460))
        if i % 2:
            peer.expect("A", ack=1 + 1460 * (i + 1))
        peer.expect_nothing()


def test_a_super_segment_is_acknowledged_at_once(peer: TcpScript) -> None:
    peer.establish()
    peer.send("A", seq=1, ack=1, data=bytes(14600), gso=1460)
    peer.expect("A", ack=14601)


def test_one_batch_costs_one_ack(peer: TcpScript) -> None:
    """RFC 9293 3.8.6.3."""
    peer.establish()
    for i in range(10):
        peer.send("A", seq=1 + 1460 * i, ack=1, data=bytes(1460), flush=False)
    peer.expect_nothing()
    peer.flush()
    peer.expect("A", ack=14601)
    peer.expect_nothing()


def test_an_answer_carries_the_ack(peer: TcpScript) -> None:
    """RFC 9293 3.8.6.3; smoltcp: delayed ack reply."""
    conn = peer.establish()
    peer.user.reactions["data"] = lambda now: conn.write(b"pong", now)
    peer.send("PA", seq=1, ack=1, data=b"ping")
    peer.expect("A", seq=1, ack=5, data=b"pong")
    peer.expect_nothing()
    peer.advance(100 * MILLISECOND)
    peer.expect_nothing()


def test_data_out_of_order_waits_and_draws_an_ack_for_each_segment(peer: TcpScript) -> None:
    """RFC 5681 4.2: immediately, so that the sender can count duplicates; in one batch too."""
    peer.establish()
    for seq in (4, 7, 10):
        peer.send("A", seq=seq, ack=1, data=b"xyz", flush=False)
    for _ in range(3):
        peer.expect("A", seq=1, ack=1)
    peer.flush()
    peer.expect_nothing()
    assert peer.user.received == b""
    assert peer.conn.info().out_of_order == 9
    peer.send("A", seq=1, ack=1, data=b"abc")
    peer.expect("A", ack=13)
    assert peer.user.received == b"abcxyzxyzxyz"
    assert peer.conn.info().out_of_order == 0
    assert peer.tcp.ext.TCPOFOQueue == 3


def test_a_segment_that_fills_part_of_a_hole_is_acknowledged_at_once(peer: TcpScript) -> None:
    """RFC 5681 4.2."""
    peer.establish()
    peer.send("A", seq=4, ack=1, data=b"def")
    peer.expect("A", ack=1)
    peer.send("A", seq=10, ack=1, data=b"jkl")
    peer.expect("A", ack=1)
    peer.send("A", seq=1, ack=1, data=b"abc")
    peer.expect("A", ack=7)
    peer.send("A", seq=7, ack=1, data=b"ghi")
    peer.expect("A", ack=13)
    assert peer.user.received == b"abcdefghijkl"


@pytest.mark.parametrize("seed", range(8))
def test_any_order_and_overlap_gives_the_stream(peer: TcpScript, seed: int) -> None:
    """RFC 9293 3.10.7.4, seventh step (SHLD-31); smoltcp: out of order; gVisor: OutOfOrderReceive, SegmentMerging."""
    rng = random.Random(seed)
    peer.establish()
    stream = rng.randbytes(20000)
    pieces = [(a, min(20000, a + rng.randrange(1, 1400))) for a in (rng.randrange(20000) for _ in range(120))]
    pieces += [(a, min(20000, a + 900)) for a in range(0, 20000, 900)]
    rng.shuffle(pieces)
    for a, b in pieces:
        peer.send("A", seq=1 + a, ack=1, data=stream[a:b], flush=rng.random() < 0.5)
    peer.flush()
    assert peer.user.received == stream
    assert peer.conn.info().out_of_order == 0
    assert peer.take()[-1].ack == (peer.peer_iss + 20001) % 2**32


def test_old_data_is_acknowledged_again_and_not_delivered_again(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4, first step; smoltcp: duplicate seq ack, old data ack not rate limited."""
    peer.establish()
    peer.send("A", seq=1, ack=1, data=b"abc")
    for _ in range(5):
        peer.send("A", seq=1, ack=1, data=b"abc")
        peer.expect("A", ack=4)
    assert peer.user.received == b"abc"
    assert peer.tcp.ext.InUnacceptable == 5


def test_a_segment_half_old_half_new(peer: TcpScript) -> None:
    peer.establish()
    peer.send("A", seq=1, ack=1, data=b"abc")
    peer.send("A", seq=1, ack=1, data=b"abcdef")
    peer.expect("A", ack=7)
    assert peer.user.received == b"abcdef"


def test_a_segment_half_beyond_the_window_is_cut(script: Make) -> None:
    """RFC 9293 3.10.7.4, first step; smoltcp: established receive partially outside window."""
    peer = script(config=TcpConfig(rcv_buf=4096))
    peer.establish()
    peer.conn.pause(peer.now)
    peer.send("A", seq=1, ack=1, data=bytes(4000))
    peer.expect("A", ack=4001)
    peer.send("A", seq=4001, ack=1, data=b"x" * 200)
    peer.expect("A", ack=4097, window=0)
    peer.conn.resume(peer.now)
    assert len(peer.user.received) == 4096


def test_a_fin_half_beyond_the_window_is_not_taken(script: Make) -> None:
    """RFC 9293 3.10.7.4, seventh step: "segments with higher beginning sequence numbers should be held".

    smoltcp: established receive partially outside window fin.
    """
    peer = script(config=TcpConfig(rcv_buf=4096))
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("FA", seq=1, ack=1, data=bytes(4096))
    peer.expect("A", ack=4097, window=0)
    assert conn.state_name == "ESTABLISHED"
    conn.resume(peer.now)
    peer.expect("A", ack=4097, window=4096)
    peer.send("FA", seq=4097, ack=1)
    peer.expect("A", ack=4098)
    assert conn.state_name == "CLOSE-WAIT"


def test_data_beyond_the_window_is_answered_and_dropped(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4, first step."""
    peer.establish()
    peer.send("A", seq=1 + 65535, ack=1, data=b"x")
    peer.expect("A", seq=1, ack=1)
    assert peer.tcp.ext.InUnacceptable == 1 and peer.conn.info().out_of_order == 0


def test_at_a_shut_window_ack_and_reset_count_and_text_does_not(script: Make) -> None:
    """RFC 9293 3.10.7.4, first step, "special allowance"."""
    peer = script(config=TcpConfig(rcv_buf=4096))
    conn = peer.establish()
    conn.pause(peer.now)
    conn.write(b"abc", peer.now)
    peer.expect("A", data=b"abc")
    peer.send("A", seq=1, ack=1, data=bytes(4096))
    peer.expect("A", ack=4097, window=0)
    peer.send("A", seq=4097, ack=4, data=b"x")
    peer.expect("A", ack=4097, window=0)
    assert conn.unsent == 0, "its ACK counted"
    assert peer.tcp.ext.TCPZeroWindowDrop == 1
    peer.send("R", seq=4097)
    assert peer.user.closed


def test_every_probe_of_a_shut_window_is_answered(script: Make) -> None:
    """RFC 9293 3.8.6.1 (MUST-37); smoltcp: zero window ack not rate limited."""
    peer = script(config=TcpConfig(rcv_buf=4096))
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("A", seq=1, ack=1, data=bytes(4096))
    peer.expect("A", window=0)
    for _ in range(5):
        peer.send("A", seq=4097, ack=1, data=b"x")
        peer.expect("A", ack=4097, window=0)


def test_an_out_of_window_keep_alive_is_answered(peer: TcpScript) -> None:
    """RFC 9293 3.8.4; smoltcp: responds to keep alive."""
    peer.establish()
    peer.send("A", seq=0, ack=1)
    peer.expect("A", seq=1, ack=1)
    peer.advance(SECOND)
    peer.send("A", seq=0, ack=1, data=b"\0")
    peer.expect("A", seq=1, ack=1)
    assert peer.user.received == b""


def test_urgent_data_comes_in_line(peer: TcpScript) -> None:
    """RFC 6093; URGENT/11: the pointer at, before and beyond the data does nothing."""
    peer.establish()
    for i, urgent in enumerate((0, 1, 2, 3, 4, 65535)):
        peer.send("UA", seq=1 + 3 * i, ack=1, data=b"abc", urgent=urgent)
    assert peer.user.received == b"abc" * 6
    peer.send("U", seq=19, ack=1, urgent=9)
    peer.send("FUA", seq=19, ack=1, urgent=9)
    assert peer.user.events[-1] == "eof"


@pytest.mark.parametrize("flags", ["SFRPAU", "SF", "FPU", "", "PU", "SR"])
def test_nonsense_flags_in_an_established_connection_do_no_harm(peer: TcpScript, flags: str) -> None:
    conn = peer.establish()
    peer.send(flags, seq=5, ack=1)
    assert conn.state_name == "ESTABLISHED" or "R" in flags
    peer.take()


def test_a_segment_without_ack_is_dropped(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4, fifth step; smoltcp: established no ack."""
    peer.establish()
    peer.send("P", seq=1, data=b"abc")
    peer.expect_nothing()
    assert peer.user.received == b"" and peer.tcp.ext.InNoAck == 1


# -- pausing and the window ---------------------------------------------------------------------------------------------------


def test_a_paused_reader_closes_the_window_and_resuming_opens_it(script: Make) -> None:
    """RFC 9293 3.8.6, 3.8.6.2.2; gVisor: FullWindowReceive, ZeroToNonZeroWindowUpdate, IncreaseWindowOnRead."""
    peer = script(config=TcpConfig(rcv_buf=10000))
    conn = peer.establish()
    conn.pause(peer.now)
    seq = 1
    for left in (8540, 7080, 5620, 4160, 2700, 1240):
        peer.send("A", seq=seq, ack=1, data=bytes(1460))
        seq += 1460
        peer.advance(40 * MILLISECOND)
        peer.expect("A", ack=seq, window=left)
    peer.send("A", seq=seq, ack=1, data=bytes(1240))
    seq += 1240
    peer.advance(40 * MILLISECOND)
    peer.expect("A", ack=seq, window=0)
    assert peer.user.received == b"" and conn.info().unread == 10000
    conn.resume(peer.now)
    assert len(peer.user.received) == 10000
    peer.expect("A", ack=seq, window=10000)
    conn.resume(peer.now)
    peer.expect_nothing()


def test_pausing_in_the_middle_of_what_waited(peer: TcpScript) -> None:
    conn = peer.establish()
    conn.pause(peer.now)
    for i in range(4):
        peer.send("A", seq=1 + 2000 * i, ack=1, data=b"%d" % i * 2000)
    peer.user.reactions["data"] = conn.pause
    for i in range(4):
        conn.resume(peer.now)
        assert peer.user.received == b"".join(b"%d" % k * 2000 for k in range(i + 1))
    assert conn.info().unread == 0


def test_data_that_comes_while_something_waits_keeps_its_place(peer: TcpScript) -> None:
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("A", seq=1, ack=1, data=b"a" * 2000)
    peer.send("A", seq=2001, ack=1, data=b"b" * 2000)
    peer.user.reactions["data"] = conn.pause
    conn.resume(peer.now)
    peer.user.reactions.clear()
    peer.send("A", seq=4001, ack=1, data=b"c" * 2000)
    conn.resume(peer.now)
    assert peer.user.received == b"a" * 2000 + b"b" * 2000 + b"c" * 2000


def test_the_right_edge_of_the_window_never_moves_left(script: Make) -> None:
    """RFC 9293 3.8.6 (SHLD-14); gVisor: NoWindowShrinking. Odd sizes, so that scaling rounds."""
    peer = script(config=TcpConfig(rcv_buf=300_000))
    conn = peer.establish(wscale=4, window=60000)
    rng = random.Random(5)
    seq, edge = 1, 65536
    for i in range(600):
        n = rng.randrange(1, 1460)
        if seq + n > edge:
            break
        if i == 200:
            conn.pause(peer.now)
        peer.send("A", seq=seq, ack=1, data=bytes(n))
        seq += n
        peer.advance(40 * MILLISECOND)
        for segment in peer.take():
            new = ((segment.ack - peer.peer_iss) % 2**32) + (segment.window << 3)
            assert new >= edge
            edge = new
    assert i > 300
    assert conn.info().unread <= 300_000 * 9 // 8 + 8, "what rounding lends is bounded"


def test_a_trickle_into_a_paused_connection_does_not_pry_the_window_open(peer: TcpScript) -> None:
    """RFC 9293 3.8.6.2.2: each byte rounds the scaled window up to a unit; a byte more for each byte would be no window at all."""
    conn = peer.establish(wscale=2)
    peer.send("A", seq=1, ack=1, data=b"x")
    peer.advance(SECOND)
    conn.pause(peer.now)
    seq = 2
    while True:
        room = conn.info().rcv_wnd
        if room == 0 or seq > 600_000:
            break
        n = min(room, 1461 if room > 3000 else 1)
        peer.send("A", seq=seq, ack=1, data=bytes(n))
        seq += n
        peer.advance(40 * MILLISECOND)
        peer.take()
    assert conn.info().unread <= 65536 * 9 // 8 + 512
    assert peer.tcp.ext.AckHeldBack > 0


def test_the_window_opens_by_segments_not_by_bytes(script: Make) -> None:
    """RFC 9293 3.8.6.2.2: receiver's silly-window avoidance; gVisor: SmallSegReceiveWindowAdvertisement."""
    peer = script(config=TcpConfig(rcv_buf=14 * 1460))
    conn = peer.establish()
    conn.pause(peer.now)
    for i in range(14):
        peer.send("A", seq=1 + 1460 * i, ack=1, data=bytes(1460))
    peer.advance(40 * MILLISECOND)
    assert peer.take()[-1].window == 0
    peer.user.reactions["data"] = conn.pause
    conn.resume(peer.now)
    peer.expect_nothing()
    conn.resume(peer.now)
    peer.expect("A", window=2920)


def test_out_of_order_data_is_bounded_in_pieces(peer: TcpScript) -> None:
    """SegmentSmack (CVE-2018-5390): one-byte pieces with holes between them; gVisor: OutOfOrderFlood."""
    conn = peer.establish(wscale=2)
    peer.send("A", seq=1, ack=1, data=b"x")
    peer.advance(SECOND)
    for seq in range(3, 4000, 2):
        peer.send("A", seq=seq, ack=1, data=b"y", flush=False)
    peer.flush()
    assert conn.ooo is not None
    assert len(conn.ooo.pieces) == 64 + 65536 // 1024
    assert peer.tcp.ext.TCPOFODrop > 1500
    peer.take()
    peer.send("A", seq=2, ack=1, data=b"z" * 4000)
    assert peer.user.received == b"x" + b"z" * 4000
    assert conn.info().out_of_order == 0


@pytest.mark.parametrize("backwards", [False, True])
def test_one_byte_pieces_without_holes_are_joined(peer: TcpScript, backwards: bool) -> None:
    conn = peer.establish()
    order = range(2, 6002)
    for seq in reversed(order) if backwards else order:
        peer.send("A", seq=seq, ack=1, data=b"y", flush=False)
    assert conn.ooo is not None
    assert conn.info().out_of_order == 6000 and len(conn.ooo.pieces) <= 6
    peer.send("A", seq=1, ack=1, data=b"x")
    assert peer.user.received == b"x" + b"y" * 6000


def test_small_segments_that_wait_for_a_paused_user_are_joined(peer: TcpScript) -> None:
    conn = peer.establish()
    conn.pause(peer.now)
    for i in range(3000):
        peer.send("A", seq=1 + i, ack=1, data=b"x", flush=False)
    peer.flush()
    conn.resume(peer.now)
    assert peer.user.received == b"x" * 3000
    assert peer.user.events.count("data") == 2


# -- what is no segment of ours -----------------------------------------------------------------------------------------------


def test_a_wrong_checksum_is_counted_and_dropped(peer: TcpScript) -> None:
    """RFC 9293 3.1 (MUST-3); gVisor: ReceivedIncorrectChecksumIncrement."""
    peer.establish()
    data = bytearray(peer.segment("PA", 1, 1, b"abc").encode(peer.peer, peer.local))
    data[-1] ^= 1
    peer.send_raw(bytes(data))
    peer.flush()
    assert peer.user.received == b""
    assert (peer.tcp.mib.InCsumErrors, peer.tcp.mib.InErrs) == (1, 1)


def test_a_checksum_that_the_device_has_verified_is_not_looked_at(peer: TcpScript) -> None:
    peer.establish()
    peer.ip.trusted = True
    data = bytearray(peer.segment("PA", 1, 1, b"abc").encode(peer.peer, peer.local))
    data[16:18] = b"\0\0"
    peer.send_raw(bytes(data))
    assert peer.user.received == b"abc"


@pytest.mark.parametrize("length", range(20))
def test_a_segment_shorter_than_a_header_is_dropped(peer: TcpScript, length: int) -> None:
    peer.listen()
    peer.send_raw(peer.segment("S").encode(peer.peer, peer.local)[:length])
    peer.flush()
    peer.expect_nothing()
    assert (peer.tcp.ext.InTooShort, peer.tcp.mib.InErrs) == (1, 1)


@pytest.mark.parametrize("offset", [0, 1, 4, 6, 15])
def test_a_header_length_that_can_not_be_is_dropped(peer: TcpScript, offset: int) -> None:
    peer.listen()
    data = bytearray(peer.segment("S").encode(peer.peer, peer.local))
    data[12] = offset << 4
    peer.ip.trusted = True
    peer.send_raw(bytes(data))
    peer.flush()
    peer.expect_nothing()
    assert peer.tcp.ext.InBadOffset == 1


@pytest.mark.parametrize("cast", [const.BROADCAST, const.MULTICAST])
def test_what_was_sent_to_many_is_ignored(peer: TcpScript, cast: int) -> None:
    """RFC 9293 3.9.2.3 (MUST-57); gVisor: ListenNoAcceptNonUnicast."""
    peer.listen()
    peer.send_raw(peer.segment("S").encode(peer.peer, peer.local), cast=cast)
    peer.flush()
    peer.expect_nothing()
    assert peer.tcp.ext.InNotUnicast == 1 and not peer.tcp.hub.tables


@pytest.mark.parametrize("source", [0, 0x00000001, 0xE0000001, 0xEFFFFFFF, 0xF0000001, 0xFFFFFFFF])
def test_a_source_that_can_not_be_one_is_ignored(peer: TcpScript, source: int) -> None:
    """RFC 9293 3.9.2.3 (MUST-63)."""
    peer.listen()
    for port in (80, 81):
        peer.local_port = port
        peer.send_raw(peer.segment("S").encode(source, peer.local), src=source)
    peer.flush()
    peer.expect_nothing()
    assert peer.tcp.ext.InBadSource == 2


def test_land_is_ignored(peer: TcpScript) -> None:
    """Our own address and port as source (CVE-1999-0016)."""
    peer.listen()
    peer.peer_port = 80
    peer.send_raw(peer.segment("S").encode(peer.local, peer.local), src=peer.local)
    peer.flush()
    peer.expect_nothing()
    assert peer.tcp.ext.InBadSource == 1 and not peer.tcp.hub.tables
