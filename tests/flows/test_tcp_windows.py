"""Windows and buffers: how they grow, what is promised, what all of them may hold. RFC 9293 3.8.6, RFC 7323 2, RFC 5482."""

from collections.abc import Callable

import pytest

from netstack.errors import TimedOut, UsageError
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp import const as tc
from netstack.tcp import wire
from netstack.tcp.config import TcpConfig
from netstack.tcp.connection import Connection
from netstack.tcp.tuning import send_low
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]
RTT = 100 * MILLISECOND


def scaled(peer: TcpScript, rtt: int = RTT) -> Connection:
    """A handshake with window scaling that takes `rtt`; without timestamps."""
    peer.listen()
    peer.send("S", seq=0, mss=1460, wscale=7)
    syn_ack = peer.expect("SA", seq=0, ack=1, window=65535)
    assert syn_ack.option(3) == b"\x09", "a window of 16 MiB needs a shift of nine (RFC 7323 2.3)"
    peer.advance(rtt)
    peer.scale = 7
    peer.send("A", seq=1, ack=1)
    peer.expect_nothing()
    return peer.conn


def feed(peer: TcpScript, seq: int, segments: int) -> int:
    """So many full-sized segments in one batch; returns the next sequence number. What was sent is taken."""
    for _ in range(segments):
        peer.send("A", seq=seq, ack=1, data=bytes(1460), flush=False)
        seq += 1460
    peer.flush()
    return seq


def window(peer: TcpScript) -> int:
    """The field of the last segment that was sent."""
    return peer.take()[-1].window


def forget(peer: TcpScript) -> None:
    """The user reads, and keeps nothing."""

    def drop(now: int) -> None:
        peer.user.received = b""

    peer.user.reactions["data"] = drop


def slow_start(peer: TcpScript, seq: int, rounds: int) -> int:
    """A sender in slow start: 10 segments, 20, 40 …, a round trip apart."""
    for i in range(rounds):
        seq = feed(peer, seq, 10 << i)
        peer.advance(RTT)
    return seq


# -- the receive window -------------------------------------------------------------------------------------------------------


def test_the_window_begins_at_64_kib(peer: TcpScript) -> None:
    scaled(peer)
    feed(peer, 1, 2)
    assert window(peer) == 65536 >> 9


def test_the_window_grows_with_what_the_reader_consumes_in_a_round_trip(peer: TcpScript) -> None:
    """RFC 9293 3.8.6.2.2; gVisor: ReceiveBufferAutoTuning. 10 segments, 20, 40: the second round trip's are 29200 bytes, and six
    times that are 342 units of 512 bytes: the sender will have doubled twice before it can use them."""
    conn = scaled(peer)
    seq = slow_start(peer, 1, 2)
    assert window(peer) == 128 and conn.rcv_buf == 65536
    feed(peer, seq, 40)
    assert conn.rcv_buf == 6 * 29200 // 512 * 512 == 175104
    assert window(peer) == 342
    assert (conn.rcv_space, conn.rcv_rtt) == (29200, RTT)


def test_a_sender_in_slow_start_never_finds_the_window_in_its_way(peer: TcpScript) -> None:
    """From ten segments to 7 MB in nine round trips: twice as many in each, and always more room than the next will take."""
    conn = scaled(peer)
    forget(peer)
    seq = 1
    for i in range(9):
        seq = feed(peer, seq, 10 << i)
        assert window(peer) << 9 >= (10 << i + 1) * 1460 or i < 1
        peer.advance(RTT)
    assert conn.rcv_buf == 11212800 // 512 * 512


def test_the_window_grows_up_to_the_cap(script: Make) -> None:
    """RFC 7323 2.3: the shift was chosen for it."""
    peer = script(config=TcpConfig(rcv_buf_max=200_000))
    peer.listen()
    peer.send("S", seq=0, mss=1460, wscale=7)
    assert peer.expect("SA").option(3) == b"\x02"
    peer.advance(RTT)
    peer.send("A", seq=1, ack=1)
    slow_start(peer, 1, 5)
    assert peer.conn.rcv_buf == 200_000
    assert window(peer) == 50_000


def test_a_reader_at_a_steady_rate_gets_twice_what_it_consumes(peer: TcpScript) -> None:
    """10 ms apart, so that the measure is fine. 100 segments are 146,000 bytes in a round trip."""
    conn = scaled(peer)
    forget(peer)
    seq = 1
    for _ in range(100):
        seq = feed(peer, seq, 10)
        peer.advance(RTT // 10)
    assert 2 * 146_000 <= conn.rcv_buf <= 6 * 146_000
    size = conn.rcv_buf
    for _ in range(500):
        seq = feed(peer, seq, 10)
        peer.advance(RTT // 10)
    assert conn.rcv_buf == size, "no further"


def test_a_paused_reader_does_not_make_the_window_grow(peer: TcpScript) -> None:
    """RFC 9293 3.8.6: what nobody takes is offered no more room; gVisor: ReceiveBufferAutoTuningApplicationLimited."""
    conn = scaled(peer)
    seq = feed(peer, 1, 10)
    peer.advance(RTT)
    conn.pause(peer.now)
    for field in (100, 72, 44, 16):
        seq = feed(peer, seq, 10)
        assert window(peer) == field
        peer.advance(RTT)
    assert conn.rcv_buf == 65536


def test_a_reader_in_bursts_does_not_make_the_window_grow(peer: TcpScript) -> None:
    """It takes 43,800 bytes at once, but only each second: 4,380 in a round trip."""
    conn = scaled(peer)
    seq = 1
    for _ in range(10):
        conn.pause(peer.now)
        seq = feed(peer, seq, 30)
        peer.advance(SECOND)
        conn.resume(peer.now)
    assert len(peer.user.received) == 438_000
    assert conn.rcv_buf == 65536
    assert conn.rcv_space < 9000


def test_without_the_handshakes_round_trip_a_windows_worth_is_timed(peer: TcpScript) -> None:
    """Our SYN,ACK was lost and there are no timestamps: what lies beyond the edge was sent after the edge had arrived."""
    peer.listen()
    peer.send("S", seq=0, mss=1460, wscale=7)
    peer.advance(SECOND)
    assert [segment.flags for segment in peer.take()] == [18, 18]
    peer.scale = 7
    peer.send("A", seq=1, ack=1)
    conn = peer.conn
    seq = 1
    for _ in range(20):
        seq = feed(peer, seq, 44)  # just below the window
        peer.advance(30 * MILLISECOND)
    assert conn.rcv_rtt == 30 * MILLISECOND
    assert conn.rcv_buf >= 2 * 64240


def test_timestamps_tell_the_receiver_the_round_trip(peer: TcpScript) -> None:
    """The handshake took 100 ms; the path has become faster, and the echoes show it."""
    peer.listen()
    peer.send("S", seq=0, mss=1460, wscale=7, options=wire.timestamps_option(1, 0))
    ours = peer.expect("SA").option(8)
    assert ours is not None
    peer.advance(RTT)
    peer.send("A", seq=1, ack=1, options=wire.timestamps_option(2, int.from_bytes(ours[:4], "big")))
    seq = 1
    for i in range(6):
        for _ in range(10):
            options = wire.timestamps_option(3 + i, int.from_bytes(ours[:4], "big"))
            peer.send("A", seq=seq, ack=1, data=bytes(1448), options=options, flush=False)
            seq += 1448
        peer.flush()
        ours = peer.take()[-1].option(8)
        assert ours is not None
        peer.advance(20 * MILLISECOND)
    assert peer.conn.rcv_rtt == 20 * MILLISECOND
    assert peer.conn.rcv_buf == 6 * 14480 // 512 * 512


def test_a_peer_that_does_not_scale_gets_65535(peer: TcpScript) -> None:
    peer.establish()
    slow_start(peer, 1, 5)
    assert peer.conn.rcv_buf == 65535
    assert 65535 - 2920 < window(peer) <= 65535


def test_a_fixed_buffer_does_not_grow(script: Make) -> None:
    peer = script(config=TcpConfig(rcv_buf=100_000))
    conn = peer.establish(wscale=7)
    slow_start(peer, 1, 5)
    assert conn.rcv_buf == 100_000 and conn.rcv_space == 0


def test_a_segment_that_is_half_of_the_window_is_acknowledged_at_once(script: Make) -> None:
    """A path whose MSS is as large as the window would otherwise stand still for the delay of each ACK."""
    peer = script(mtu=65535)
    peer.establish(mss=65495)
    peer.send("A", seq=1, ack=1, data=bytes(60_000))
    peer.expect("A", ack=60_001)


# -- promises -----------------------------------------------------------------------------------------------------------------


def test_rfc7323_2_4_the_edge_does_not_move_left_by_rounding(peer: TcpScript) -> None:
    """Units of 512 bytes: after 100 bytes the old edge is 127.8 units away, and is said as 128."""
    conn = scaled(peer)
    conn.pause(peer.now)
    peer.send("PA", seq=1, ack=1, data=bytes(100))
    peer.advance(40 * MILLISECOND)
    peer.expect("A", ack=101, window=128)
    peer.send("PA", seq=101, ack=1, data=bytes(1000))
    peer.advance(40 * MILLISECOND)
    peer.expect("A", ack=1101, window=127)  # 128 * 512 - 1000 are 126.04 units
    assert conn.info().rcv_wnd == 127 * 512


def test_what_rounding_lends_is_bounded_and_the_last_bytes_wait_for_the_reader(peer: TcpScript) -> None:
    """A peer that sends 100 bytes in each segment would never see the window shrink. An eighth of the buffer is lent; then ACKs go
    by units, so that the edge stays where it is, and the window closes."""
    conn = scaled(peer)
    conn.pause(peer.now)
    seq, acked, edge = 1, 1, 65536
    while conn.info().rcv_wnd:
        n = min(100, conn.info().rcv_wnd)
        peer.send("PA", seq=seq, ack=1, data=bytes(n))
        seq += n
        peer.advance(40 * MILLISECOND)
        ack = peer.expect("A")
        acked = (ack.ack - peer.peer_iss) % 2**32
        assert seq - 512 < acked <= seq
        assert acked + (ack.window << 9) >= edge
        edge = acked + (ack.window << 9)
    assert 65536 * 9 // 8 <= conn.info().unread <= 65536 * 9 // 8 + 2 * 512
    assert peer.tcp.ext.AckHeldBack > 0
    assert acked == seq and ack.window == 0, "once it is full all of it is acknowledged"
    conn.resume(peer.now)
    peer.expect("A", ack=seq, window=128)
    assert len(peer.user.received) == seq - 1


def held_back(peer: TcpScript) -> tuple[Connection, int]:
    """A paused connection that has acknowledged all but the last 100 bytes before the returned sequence number."""
    conn = scaled(peer)
    conn.pause(peer.now)
    seq = 1
    while True:
        peer.send("PA", seq=seq, ack=1, data=bytes(100))
        seq += 100
        peer.advance(40 * MILLISECOND)
        ack = peer.take()[-1].ack
        if peer.tcp.ext.AckHeldBack:
            assert (seq - 100 + peer.peer_iss) % 2**32 == ack
            return conn, seq


def test_bytes_that_were_held_back_are_acknowledged_when_the_reader_resumes(peer: TcpScript) -> None:
    conn, seq = held_back(peer)
    conn.resume(peer.now)
    peer.expect("A", ack=seq, window=128)


def test_bytes_that_were_held_back_are_acknowledged_when_they_come_again(peer: TcpScript) -> None:
    """The peer has waited a time-out for them, and may have nothing else to say: it must not give up on a paused reader."""
    conn, seq = held_back(peer)
    peer.send("PA", seq=seq - 100, ack=1, data=bytes(100))
    peer.expect("A", ack=seq)
    assert conn.info().unread == seq - 1


def test_a_peer_that_lies_about_its_time_outs_gets_twice_the_buffer_at_most(peer: TcpScript) -> None:
    conn, seq = held_back(peer)
    for _ in range(3000):
        n = min(100, conn.info().rcv_wnd)
        if not n:
            break
        peer.send("PA", seq=seq, ack=1, data=bytes(n))
        peer.send("PA", seq=seq, ack=1, data=bytes(n))
        seq += n
    assert conn.info().unread <= 2 * 65536 + 512
    assert conn.info().rcv_wnd == 0


def test_a_smaller_buffer_takes_nothing_back(script: Make) -> None:
    """RFC 9293 3.8.6 (SHLD-14). The window shrinks as it is used, and is 4096 in the end."""
    peer = script(config=TcpConfig(rcv_buf=20_000))
    conn = peer.establish()
    conn.set_rcv_buf(4096, peer.now)
    peer.expect_nothing()
    seq, edge = 1, 20_001
    for left in (17080, 14160, 11240, 8320, 5400, 4096, 4096):
        peer.send("A", seq=seq, ack=1, data=bytes(2920))
        seq += 2920
        peer.expect("A", ack=seq, window=left)
        assert seq + left >= edge
        edge = seq + left
    assert conn.rcv_buf == 4096


def test_a_smaller_buffer_still_takes_all_that_was_promised_from_a_paused_reader(peer: TcpScript) -> None:
    conn = scaled(peer)
    conn.pause(peer.now)
    conn.set_rcv_buf(4096, peer.now)
    seq = feed(peer, 1, 44)
    assert conn.info().unread == 64240
    peer.take()
    conn.resume(peer.now)
    peer.expect("A", ack=seq, window=8)
    assert conn.rcv_buf == 4096


def test_a_larger_buffer_is_told_at_once_and_is_fixed_from_then_on(script: Make) -> None:
    """RFC 9293 3.8.6.2.2; gVisor: IncreaseWindowOnBufferResize."""
    peer = script(config=TcpConfig(rcv_buf_max=1 << 20))
    peer.listen()
    peer.send("S", seq=0, mss=1460, wscale=7)
    assert peer.expect("SA").option(3) == b"\x05"
    peer.advance(RTT)
    peer.send("A", seq=1, ack=1)
    peer.conn.set_rcv_buf(100_000, peer.now)
    peer.expect("A", window=100_000 >> 5)
    slow_start(peer, 1, 4)
    assert peer.conn.rcv_buf == 100_000 and not peer.conn.rcv_auto


@pytest.mark.parametrize(("cap", "least"), [(65535 << 5, 2048), (65535 << 14, 1 << 14)])
def test_no_buffer_is_smaller_than_a_unit_or_larger_than_the_scale_can_name(script: Make, cap: int, least: int) -> None:
    """A window that could only be rounded down to nothing would never open."""
    peer = script(config=TcpConfig(rcv_buf_max=cap))
    conn = peer.establish(wscale=7)
    peer.conn.set_rcv_buf(1, peer.now)
    assert conn.rcv_buf == least
    conn.set_rcv_buf(1 << 40, peer.now)
    assert conn.rcv_buf == cap


def test_a_buffer_of_one_unit_opens_again(script: Make) -> None:
    """16 KiB in units of 16 KiB, and an MSS that is larger than half of it: the rule of half of the buffer is met all the same."""
    peer = script(config=TcpConfig(rcv_buf_max=65535 << 14), mtu=9000)
    conn = peer.establish(mss=8960, wscale=7)
    conn.set_rcv_buf(1, peer.now)
    conn.pause(peer.now)
    seq = 1
    while left := conn.info().rcv_wnd:
        n = min(8960, left)
        peer.send("A", seq=seq, ack=1, data=bytes(n))
        seq += n
        peer.advance(40 * MILLISECOND)
    assert window(peer) == 0
    conn.resume(peer.now)
    peer.expect("A", ack=seq, window=1)


def test_a_lost_window_update_is_learnt_by_the_peers_probe(script: Make) -> None:
    """RFC 9293 3.8.6.1."""
    peer = script(config=TcpConfig(rcv_buf=4096))
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("A", seq=1, ack=1, data=bytes(4096))
    peer.expect("A", window=0)
    conn.resume(peer.now)
    peer.expect("A", window=4096)  # and is lost
    peer.send("A", seq=4097, ack=1, data=b"x")
    peer.advance(40 * MILLISECOND)
    peer.expect("A", ack=4098, window=4095)


def test_shut_windows_are_counted(script: Make) -> None:
    """As Linux: gone to zero, come back from it, and what would be zero had not more been promised."""
    peer = script(config=TcpConfig(rcv_buf=4096))
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("A", seq=1, ack=1, data=bytes(2960))
    peer.expect("A", window=1136)
    conn.set_rcv_buf(2048, peer.now)
    peer.send("A", seq=2961, ack=1, data=bytes(500), flush=False)
    peer.send("A", seq=2960, ack=1, data=b"x")
    peer.expect("A", ack=3461, window=636)
    ext = peer.tcp.ext
    assert (ext.TCPWantZeroWindowAdv, ext.TCPToZeroWindowAdv, ext.TCPFromZeroWindowAdv) == (1, 0, 0)
    peer.send("A", seq=3461, ack=1, data=bytes(636))
    peer.advance(40 * MILLISECOND)
    peer.expect("A", ack=4097, window=0)
    peer.send("A", seq=4097, ack=1, data=b"x")
    peer.expect("A", ack=4097, window=0)
    assert (ext.TCPToZeroWindowAdv, ext.TCPFromZeroWindowAdv) == (1, 0)
    conn.resume(peer.now)
    peer.expect("A", window=2048)
    assert (ext.TCPToZeroWindowAdv, ext.TCPFromZeroWindowAdv) == (1, 1)


# -- the send buffer ----------------------------------------------------------------------------------------------------------


def test_the_marks_follow_the_congestion_window(peer: TcpScript) -> None:
    """RFC 5681 3.1; gVisor: SendBufferTuning. Twice the window once that is over 256 KiB; called at three quarters."""
    conn = peer.establish(wscale=7, window=4 << 20)
    assert conn.marks == (196_608, 262_144)
    acked = 1
    while conn.info().cwnd < 400_000:
        while conn.write(bytes(50_000), peer.now):
            pass
        for segment in peer.take():
            acked += len(segment.payload)
        peer.advance(RTT)
        peer.send("A", seq=1, ack=acked)
    high = 2 * conn.info().cwnd
    assert conn.marks == (high - high // 4, high) and high < 1 << 20
    assert conn.info().snd_buf == high


def test_a_writer_with_much_before_it_is_called_for_256_kib() -> None:
    """At the cap, what is free is missing on the path."""
    assert [send_low(high) for high in (100, 1 << 18, 1 << 20, 16 << 20)] == [75, 196_608, 786_432, (16 << 20) - (1 << 18)]


def test_the_marks_stop_at_the_cap(script: Make) -> None:
    peer = script(config=TcpConfig(snd_buf_max=10_000))
    conn = peer.establish()
    assert conn.marks == (7500, 10_000)
    assert conn.write(bytes(9999), peer.now)
    assert not conn.write(b"x", peer.now)


def test_marks_that_were_set_stay(script: Make) -> None:
    peer = script(config=TcpConfig(snd_high=8000))
    conn = peer.establish(wscale=7, window=4 << 20)
    assert conn.marks == (2000, 8000)
    conn.set_marks(1000, 3000)
    acked = 1
    for _ in range(10):
        conn.write(bytes(200_000), peer.now)
        for segment in peer.take():
            acked += len(segment.payload)
        peer.send("A", seq=1, ack=acked)
    assert conn.marks == (1000, 3000)


# -- the budget ---------------------------------------------------------------------------------------------------------------


def test_what_waits_in_both_directions_is_one_sum_and_nothing_in_the_end(peer: TcpScript) -> None:
    conn = peer.establish()
    conn.pause(peer.now)
    peer.send("A", seq=1, ack=1, data=bytes(1000))
    assert peer.tcp.hub.held == 1000
    peer.send("A", seq=2001, ack=1, data=bytes(500))
    assert peer.tcp.hub.held == 1500 + tc.PIECE, "out of order, an object is held as well"
    conn.write(bytes(7000), peer.now)
    assert peer.tcp.hub.held == 8500 + tc.PIECE
    peer.send("A", seq=1001, ack=1461)
    assert peer.tcp.hub.held == 7040 + tc.PIECE
    peer.send("A", seq=1001, ack=1461, data=bytes(1000))
    assert peer.tcp.hub.held == 8040
    conn.resume(peer.now)
    assert peer.tcp.hub.held == 5540
    peer.send("A", seq=3001, ack=1461, data=bytes(100))
    conn.abort(peer.now)
    assert peer.tcp.hub.held == 0


def pressed(script: Make, soft: int, hard: int, **options: int) -> TcpScript:
    return script(config=TcpConfig(memory_pressure=soft, memory_max=hard, **options))


def test_under_pressure_no_window_grows(script: Make) -> None:
    """As when Linux passes the second number of tcp_mem: no buffer grows until a quarter of it is free again."""
    peer = pressed(script, 100_000, 1 << 20)
    conn = scaled(peer)
    budget = peer.tcp.hub.budget
    budget.charge(100_001)  # others hold it
    assert budget.pressed and peer.tcp.ext.TCPMemoryPressures == 1
    seq = slow_start(peer, 1, 3)
    assert conn.rcv_buf == 65536
    budget.refund(25_000)
    assert budget.pressed, "75,001 are more than three quarters"
    budget.refund(1)
    assert not budget.pressed
    feed(peer, seq, 40)
    assert conn.rcv_buf > 65536


def test_under_pressure_a_writer_is_stopped_earlier(script: Make) -> None:
    peer = pressed(script, 50_000, 1 << 20)
    conn = peer.establish()
    assert conn.marks[1] == 262_144
    assert conn.write(bytes(50_001), peer.now)
    assert conn.marks == (49_152, 65_536)


def test_under_pressure_who_holds_something_is_offered_four_segments(script: Make) -> None:
    peer = pressed(script, 10_000, 1 << 20)
    conn = peer.establish()
    feed(peer, 1, 2)
    peer.take()
    conn.pause(peer.now)
    seq = feed(peer, 2921, 44)
    assert peer.tcp.hub.budget.pressed and window(peer) == 65535 - 44 * 1460
    peer.user.reactions["data"] = lambda now: conn.pause(now) if conn.info().unread <= 3000 else None
    conn.resume(peer.now)
    assert conn.info().unread == 1460 * 2 and not peer.tcp.hub.budget.pressed
    peer.expect("A", ack=seq, window=65535 - 2920)


def test_a_full_budget_tells_writers_to_stop_and_lets_each_of_them_go_on(script: Make) -> None:
    """2048 bytes are each connection's own: they leave, and the writer is called, though nobody has freed anything else."""
    peer = pressed(script, 10_000, 10_000)
    other = peer.establish()
    other.write(bytes(20_000), peer.now)
    peer.take()
    peer.peer_port = 41000
    peer.send("S", seq=0, mss=1460)
    peer.expect("SA")
    peer.send("A", seq=1, ack=1)
    conn = peer.conn
    assert conn is not other
    assert conn.marks == (1536, 2048)
    assert conn.write(bytes(2047), peer.now)
    assert not conn.write(b"x", peer.now)
    peer.take()
    peer.send("A", seq=1, ack=1461)
    assert peer.user.events[-1] == "writable"
    assert other.unsent == 20_000


def test_a_full_budget_drops_what_comes_out_of_order(script: Make) -> None:
    peer = pressed(script, 10_000, 10_000)
    conn = peer.establish()
    conn.write(bytes(10_000), peer.now)
    peer.take()
    peer.send("A", seq=1001, ack=1, data=bytes(1000))
    peer.expect("A", ack=1)
    assert peer.tcp.ext.TCPOFODrop == 1 and conn.info().out_of_order == 0
    peer.send("A", seq=1, ack=1, data=bytes(1000))
    assert len(peer.user.received) == 1000, "what is in order needs no memory"


def test_a_full_budget_takes_2048_bytes_for_a_paused_reader(script: Make) -> None:
    peer = pressed(script, 10_000, 10_000)
    conn = peer.establish()
    conn.write(bytes(10_000), peer.now)
    peer.take()
    conn.pause(peer.now)
    peer.send("A", seq=1, ack=1, data=bytes(1460))
    peer.expect("A", ack=1461)
    peer.send("A", seq=1461, ack=1, data=bytes(1460))
    peer.expect("A", ack=2049)
    peer.send("A", seq=2049, ack=1, data=bytes(1460))
    peer.expect("A", ack=2049)
    ext = peer.tcp.ext
    assert (ext.PruneCalled, ext.RcvPruned, ext.TCPRcvQDrop) == (3, 3, 2)
    conn.resume(peer.now)
    peer.take()
    peer.send("A", seq=2049, ack=1, data=bytes(1460))
    assert len(peer.user.received) == 3508


def test_what_is_in_order_takes_the_place_of_what_is_not(script: Make) -> None:
    """A full budget and a paused reader: the queue behind the hole is dropped, and not told of any more (RFC 2018 8)."""
    peer = pressed(script, 10_000, 10_000)
    conn = peer.establish()
    conn.pause(peer.now)
    for i in range(5):
        peer.send("A", seq=5001 + 1000 * i, ack=1, data=bytes(1000))
    conn.write(bytes(5000), peer.now)
    peer.take()
    peer.send("A", seq=1, ack=1, data=bytes(3000))
    peer.expect("A", ack=3001)
    assert conn.info().out_of_order == 0 and conn.info().unread == 3000
    ext = peer.tcp.ext
    assert (ext.PruneCalled, ext.OfoPruned, ext.RcvPruned) == (1, 1, 0)


def test_a_fin_that_came_with_dropped_bytes_is_not_taken_before_them(script: Make) -> None:
    peer = pressed(script, 4000, 4000)
    conn = peer.establish()
    conn.write(bytes(4000), peer.now)
    peer.take()
    conn.pause(peer.now)
    peer.send("FA", seq=1, ack=1, data=b"a" * 3000)
    peer.expect("A", ack=2049)
    conn.resume(peer.now)
    assert conn.state_name == "ESTABLISHED"
    peer.take()
    peer.send("FA", seq=2049, ack=1, data=b"a" * 952)
    peer.expect("A", ack=3002)
    assert conn.state_name == "CLOSE-WAIT" and peer.user.received == b"a" * 3000


# -- stalled readers ----------------------------------------------------------------------------------------------------------


def stalled(peer: TcpScript) -> None:
    """Data waits, and the peer has shut its window."""
    conn = peer.establish(window=0)
    conn.write(b"x" * 100, peer.now)
    peer.expect_nothing()


def answered(peer: TcpScript, limit: int) -> int:
    """The peer answers each probe, and keeps its window shut; returns after how long the connection ended, or `limit`."""
    begin = peer.now
    while not peer.user.closed and peer.now - begin < limit:
        peer.run_to_timer()
        for segment in peer.take():
            if segment.flags & 4 == 0:
                peer.send("A", seq=1, ack=1, window=0)
    return peer.now - begin


def test_rfc9293_3_8_6_1_a_window_may_be_shut_for_ever_while_probes_are_answered(peer: TcpScript) -> None:
    """MUST-37."""
    stalled(peer)
    assert answered(peer, 7 * 86400 * SECOND) >= 7 * 86400 * SECOND
    assert peer.conn.state_name == "ESTABLISHED" and peer.conn.info().persisting


def test_rfc5482_the_user_timeout_bounds_how_long_a_window_may_be_shut(script: Make) -> None:
    """Sockstress: the peer answers every probe, and reads nothing. The end comes on time, and not with the next probe."""
    peer = script(config=TcpConfig(user_timeout=100 * SECOND))
    stalled(peer)
    assert answered(peer, 1000 * SECOND) == 100 * SECOND
    assert isinstance(peer.user.error, TimedOut)
    assert peer.tcp.ext.TCPAbortOnTimeout == 1 and peer.tcp.hub.held == 0


def test_rfc5482_a_window_that_opens_in_time_begins_it_anew(script: Make) -> None:
    peer = script(config=TcpConfig(user_timeout=100 * SECOND))
    stalled(peer)
    assert answered(peer, 50 * SECOND) < 100 * SECOND
    peer.send("A", seq=1, ack=1, window=50)
    peer.run_to_timer()
    peer.take()
    peer.send("A", seq=1, ack=51, window=0)
    assert answered(peer, 1000 * SECOND) == 100 * SECOND


# -- what can be asked for ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"rcv_buf": 100},
        {"rcv_buf_max": 65536 << 14},
        {"snd_low": 100},
        {"snd_high": 100, "snd_low": 200},
        {"snd_buf_max": 100},
        {"memory_pressure": 0},
        {"memory_pressure": 2000, "memory_max": 1000},
    ],
    ids=str,
)
def test_what_cannot_work_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        TcpConfig(**wrong)  # type: ignore[arg-type]  # sizes, all of them
