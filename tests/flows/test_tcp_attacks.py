"""Blind attackers and floods: RFC 5961, and everything that a stranger could make grow."""

import random
import tracemalloc
from collections.abc import Callable

import pytest

from netstack import const
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig
from netstack.tcp.resets import RESETS_PER_SECOND
from netstack.tcp.wire import Segment
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]


# -- RFC 5961 -----------------------------------------------------------------------------------------------------------------


def test_a_reset_exactly_at_rcv_nxt_resets(peer: TcpScript) -> None:
    """RFC 5961 3.2; gVisor: RSTExactMatchAbortsConnection."""
    peer.establish()
    peer.send("PA", seq=1, ack=1, data=b"abc")
    peer.send("R", seq=4)
    assert peer.user.closed


@pytest.mark.parametrize("at", [2, 100, 65535])
def test_a_reset_elsewhere_in_the_window_is_challenged(peer: TcpScript, at: int) -> None:
    """RFC 5961 3.2; gVisor: RSTInWindowNotExactSendsChallengeAck."""
    peer.establish()
    peer.send("R", seq=at)
    peer.expect("A", seq=1, ack=1)
    assert not peer.user.closed
    assert peer.tcp.ext.InBlindRst == 1 and peer.tcp.ext.TCPChallengeACK == 1


@pytest.mark.parametrize("at", [0, -1, -70000, 65537, 2**31])
def test_a_reset_outside_of_the_window_is_dropped_silently(peer: TcpScript, at: int) -> None:
    """RFC 5961 3.2; gVisor: RSTOutOfWindowIsDropped; smoltcp: bad seq rst dropped silently."""
    peer.establish()
    peer.send("R", seq=at)
    peer.send("RA", seq=at, ack=1)
    peer.expect_nothing()
    assert not peer.user.closed and peer.tcp.ext.InBlindRst == 2


@pytest.mark.parametrize("at", [0, 1, 100, -70000, 2**31])
def test_a_syn_in_a_synchronized_state_is_challenged_wherever_it_is(peer: TcpScript, at: int) -> None:
    """RFC 5961 4.2; smoltcp: bad seq syn with data rate limited."""
    peer.establish()
    peer.send("S", seq=at, data=b"x")
    peer.expect("A", seq=1, ack=1)
    assert peer.conn.state_name == "ESTABLISHED" and peer.tcp.ext.TCPSYNChallenge == 1
    peer.send("S", seq=at, data=b"x")
    peer.expect_nothing()


def test_a_peer_that_has_restarted_resets_after_the_challenge(peer: TcpScript) -> None:
    """RFC 9293 3.5.1 figure 10: half-open discovery."""
    peer.establish()
    peer.send("S", seq=50000)
    challenge = peer.expect("A", seq=1, ack=1)
    peer.send("R", seq=(challenge.ack - peer.peer_iss) % 2**32)
    assert peer.user.closed
    peer.send("S", seq=50000)
    peer.expect("SA", ack=50001)


@pytest.mark.parametrize("ack", [2, 100, 2**31, -70000])
def test_data_with_an_ack_out_of_range_is_dropped(peer: TcpScript, ack: int) -> None:
    """RFC 5961 5.2: SND.UNA - MAX.SND.WND =< SEG.ACK =< SND.NXT; the optimistic ACK among them."""
    peer.establish()
    peer.send("PA", seq=1, ack=ack, data=b"injected")
    peer.expect("A", seq=1, ack=1)
    assert peer.user.received == b"" and peer.tcp.ext.InBadAck == 1


def test_an_optimistic_ack_moves_nothing(peer: TcpScript) -> None:
    """RFC 9293 3.10.7.4: an ACK of what was not sent is answered and dropped; smoltcp: ack more than expected."""
    conn = peer.establish()
    conn.write(b"abc", peer.now)
    peer.expect("A", data=b"abc")
    peer.send("A", seq=1, ack=5)
    peer.expect("A", seq=4, ack=1)
    assert conn.unsent == 3


def test_an_old_ack_within_the_range_is_no_reason_to_drop_text(peer: TcpScript) -> None:
    conn = peer.establish()
    conn.write(b"abc", peer.now)
    peer.send("A", seq=1, ack=4)
    peer.send("PA", seq=1, ack=1, data=b"delayed on the way")
    assert peer.user.received == b"delayed on the way"


def test_challenges_are_limited_for_each_connection_and_not_globally(peer: TcpScript) -> None:
    """CVE-2016-5696: a shared counter is an oracle. Two a second for each connection."""
    peer.establish()
    other = 40001
    peer.send("S", seq=0, port=other)
    peer.send("A", seq=1, ack=1, port=other)
    peer.take()
    for _ in range(500):
        peer.send("R", seq=100)
    assert len(peer.take()) == 1
    peer.send("R", seq=100, port=other)
    assert len(peer.take()) == 1
    peer.advance(500 * MILLISECOND)
    for _ in range(500):
        peer.send("R", seq=100)
    assert len(peer.take()) == 1
    assert peer.tcp.ext.TCPACKSkippedChallenge == 998


def test_two_confused_stacks_do_not_answer_each_other_for_ever(peer: TcpScript) -> None:
    """ACK loops: an unacceptable empty segment is answered at the rate of challenges."""
    peer.establish()
    for _ in range(1000):
        peer.send("A", seq=-5000, ack=1)
    assert len(peer.take()) == 1


# -- floods -------------------------------------------------------------------------------------------------------------------


def flood(peer: TcpScript, count: int, rng: random.Random) -> None:
    for i in range(count):
        syn = Segment(rng.randrange(1, 65536), 80, rng.getrandbits(32), 0, const.SYN, 65535)
        source = 0x0B000000 | rng.getrandbits(24)
        peer.send_raw(syn.encode(source, peer.local), src=source)
        if i % 64 == 63:
            peer.flush()
            peer.sent.clear()
            peer.packets.clear()
    peer.flush()


def test_a_syn_flood_leaves_memory_and_established_connections_as_they_were() -> None:
    """RFC 4987 3."""
    peer = TcpScript()
    conn = peer.establish()
    rng = random.Random(11)
    flood(peer, 3000, rng)  # what the tables themselves need is there now
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        flood(peer, 20_000, rng)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 2_000_000
    hub = peer.tcp.hub
    assert len(hub.half) == 1024 and hub.count == 1025
    assert peer.timers.count == 1024
    assert peer.tcp.ext.SyncookiesSent == 23_000 - 1024
    peer.sent.clear()
    peer.send("PA", seq=1, ack=1, data=b"still here")
    assert peer.user.received == b"still here"
    conn.write(b"and here", peer.now)
    peer.expect("A", data=b"and here")
    peer.send("A", seq=11, ack=9)
    peer.advance(70 * SECOND)
    assert not hub.half and hub.count == 1 and peer.timers.count == 0 and len(hub.tables) == 1


def test_every_handshake_gets_through_a_syn_flood() -> None:
    """Those that have begun before it by their entry, those of later by a cookie."""
    for seed in range(20):
        peer = TcpScript(config=TcpConfig(max_half_open=64), seed=seed)
        peer.listen()
        rng = random.Random(seed)
        peer.send("S", seq=0)
        flood(peer, 100, rng)
        peer.send("S", seq=0, port=40001, mss=1460)
        answer = peer.take()[-1]
        flood(peer, 1000, rng)
        peer.send("A", seq=1, ack=1)
        assert len(peer.accepted) == 1
        peer.local_iss = answer.seq
        peer.send("A", seq=1, ack=1, port=40001)
        assert len(peer.accepted) == 2 and peer.conn.mss == 1460


def test_without_cookies_a_flood_replaces_half_open_connections_at_random() -> None:
    """Half of the table replaced between its two segments: it lives on with probability 0.6."""
    lived = 0
    for seed in range(20):
        peer = TcpScript(config=TcpConfig(max_half_open=64, syn_cookies="never"), seed=seed)
        peer.listen()
        rng = random.Random(seed)
        flood(peer, 100, rng)
        peer.send("S", seq=0)
        flood(peer, 32, rng)
        peer.send("A", seq=1, ack=1)
        lived += len(peer.accepted)
    assert 6 <= lived <= 18, lived


def test_resets_to_strangers_are_limited(peer: TcpScript) -> None:
    """A forged flood must not make us reset the whole Internet."""
    peer.local_port = 81
    for _ in range(3 * RESETS_PER_SECOND):
        peer.send("S", seq=1, flush=False)
    assert len(peer.take()) == RESETS_PER_SECOND
    assert peer.tcp.ext.RstLimited == 2 * RESETS_PER_SECOND
    peer.advance(10 * MILLISECOND)
    for _ in range(100):
        peer.send("S", seq=1, flush=False)
    assert len(peer.take()) == RESETS_PER_SECOND // 100


def test_a_scan_of_every_port_leaves_nothing(peer: TcpScript) -> None:
    peer.listen(80)
    for port in range(1, 65536, 97):
        if port != 80:
            peer.local_port = port
            for flags in ("S", "F", "", "A", "FPU"):
                peer.send(flags, seq=1, ack=1, flush=False)
    peer.flush()
    assert not peer.tcp.hub.tables and peer.timers.count == 0


def test_a_reader_that_never_reads_holds_one_receive_buffer(peer: TcpScript) -> None:
    """Slow read, the other way round: our user pauses, the peer sends what it likes."""
    conn = peer.establish(wscale=2)
    conn.pause(peer.now)
    rng = random.Random(2)
    for _ in range(3000):
        peer.send("A", seq=rng.randrange(1, 600_000), ack=1, data=bytes(rng.randrange(1, 1460)), flush=False)
    peer.flush()
    info = conn.info()
    assert info.unread + info.out_of_order <= 65536 + 512


def test_an_unknown_number_of_connections_from_one_port_to_another(peer: TcpScript) -> None:
    """The same ports of two peers, and two ports of one peer, are four connections."""
    peer.listen()
    for remote in (peer.peer, peer.peer + 1):
        for port in (40000, 40001):
            peer.send_raw(Segment(port, 80, 1, 0, const.SYN, 65535).encode(remote, peer.local), src=remote)
    peer.flush()
    assert len(list(peer.tcp.connections())) == 4


def test_high_addresses_and_ports_are_told_apart(peer: TcpScript) -> None:
    """Sign bits in the key of the tables would mix them up, in one build."""
    peer.listen()
    remotes = (0x01000001, 0x7FFFFFFF, 0x80000001, 0xDFFFFFFF)
    for remote in remotes:
        for port in (1, 32767, 32768, 65535):
            peer.send_raw(Segment(port, 80, 7, 0, const.SYN, 65535).encode(remote, peer.local), src=remote)
    peer.flush()
    found = {(conn.remote, conn.remote_port) for conn in peer.tcp.connections()}
    assert found == {(remote, port) for remote in remotes for port in (1, 32767, 32768, 65535)}
    assert all(peer.tcp.hub.taken(peer.local, 80, remote, port) for remote, port in found)


def test_a_strangers_guesses_do_not_keep_a_dead_connection_alive(peer: TcpScript) -> None:
    """RFC 9293 3.8.4: what counts is that the peer was heard, and not somebody in its name."""
    conn = peer.establish()
    conn.set_keepalive(10 * SECOND, SECOND, 3, peer.now)
    for _ in range(40):
        peer.advance(SECOND)
        peer.send("A", seq=-90_000, ack=1)
        peer.send("R", seq=1_000_000)
    assert peer.user.closed and peer.tcp.ext.TCPKeepAlive == 3
