"""SYN cookies (RFC 4987 3.6): what leaves, what comes back, and what an honest peer notices of them."""

import random
import struct

import pytest

from netstack import const
from netstack.errors import UsageError
from netstack.instant import MILLISECOND, SECOND
from netstack.tcp.config import TcpConfig
from netstack.tcp.connection import Connection
from netstack.tcp.cookies import MSS, Cookies, read_stamp, stamp
from netstack.tcp.options import Options
from netstack.tcp.wire import Segment, mss_option, sack_permitted_option, timestamps_option, wscale_option
from netstack.testing.script import TcpScript

PERIOD = 4000 << 24  # ns
ALL = mss_option(1460) + bytes.fromhex("0402 080a 00000007 00000000 01030309")  # as Linux lays them out; wscale 9, TSval 7


def baker(syn_cookies: str = "always", **config: object) -> TcpScript:
    peer = TcpScript(config=TcpConfig(syn_cookies=syn_cookies, **config))  # type: ignore[arg-type]  # by name
    peer.listen()
    return peer


def ask(peer: TcpScript, options: bytes = ALL, port: int | None = None, seq: int = 0) -> Segment:
    """A SYN, and the SYN,ACK, at whose sequence number ours begin from now on."""
    peer.send("S", seq=seq, options=options, port=port)
    answer = peer.expect("SA", ack=seq + 1)
    peer.local_iss = answer.seq
    return answer


def echo(answer: Segment, tsval: int = 8) -> bytes:
    """The option of a peer that has seen `answer`, and nothing else where that had none."""
    where = answer.options.find(b"\x08\x0a")
    return b"" if where < 0 else timestamps_option(tsval, int.from_bytes(answer.options[where + 2 : where + 6], "big"))


def scale(peer: TcpScript) -> bytes:
    """The option that says ours."""
    return bytes((1, 3, 3, peer.tcp.hub.wscale))


def nothing_kept(peer: TcpScript) -> bool:
    hub = peer.tcp.hub
    return not hub.half and not hub.tables and hub.count == 0 and peer.timers.count == 0


# -- what leaves --------------------------------------------------------------------------------------------------------------


def test_the_answer_says_in_its_timestamp_what_the_syn_offered() -> None:
    """RFC 4987 3.6; gVisor: TimestampSynCookies."""
    peer = baker()
    answer = ask(peer)
    tsval = int.from_bytes(answer.options[8:12], "big")
    assert answer.options == bytes.fromhex("020405b4 0402080a") + struct.pack("!II", tsval, 7) + scale(peer)
    assert tsval & 63 == 9 | 16  # shift 9, SACK permitted, no ECN
    assert answer.window == 65535
    assert nothing_kept(peer)
    assert peer.tcp.ext.SyncookiesSent == 1 and peer.tcp.mib.PassiveOpens == 0


def test_a_peer_without_timestamps_gets_neither_scaling_nor_sack() -> None:
    """There is no room to remember them."""
    peer = baker()
    answer = ask(peer, mss_option(1460) + sack_permitted_option() + wscale_option(9))
    assert answer.options == bytes.fromhex("020405b4")
    peer.send("A", seq=1, ack=1)
    assert peer.conn.snd_wscale == 0 and peer.conn.rcv_wscale == 0 and not peer.conn.sack_on and not peer.conn.ts_on


@pytest.mark.parametrize(
    ("offered", "answered", "bits"),
    [
        (mss_option(1460) + timestamps_option(7, 0), "020405b4 0101080a", 15),
        (mss_option(1460) + timestamps_option(7, 0) + sack_permitted_option(), "020405b4 0402080a", 15 | 16),
        (mss_option(1460) + timestamps_option(7, 0) + wscale_option(0), "020405b4 0101080a", 0),
        (timestamps_option(7, 0) + wscale_option(14), "020405b4 0101080a", 14),
        (timestamps_option(7, 0) + wscale_option(200), "020405b4 0101080a", 14),
    ],
)
def test_only_what_was_offered_is_answered(offered: bytes, answered: str, bits: int) -> None:
    peer = baker()
    answer = ask(peer, offered)
    assert answer.options[:8] == bytes.fromhex(answered)
    tsval, tsecr = struct.unpack_from("!II", answer.options, 8)
    assert tsval & 63 == bits and tsecr == 7
    assert answer.options[16:] == (b"" if bits & 15 == 15 else scale(peer))


@pytest.mark.parametrize(("timestamps", "sack"), [(False, True), (True, False), (False, False)])
def test_what_is_switched_off_is_not_offered(timestamps: bool, sack: bool) -> None:
    peer = baker(timestamps=timestamps, sack=sack)
    answer = ask(peer)
    assert (b"\x08\x0a" in answer.options) == timestamps and b"\x04\x02" not in answer.options
    peer.send("A", seq=1, ack=1, options=timestamps_option(8, 0x12345619) if not timestamps else echo(answer))
    assert peer.conn.ts_on == timestamps and not peer.conn.sack_on
    assert peer.conn.snd_wscale == (9 if timestamps else 0)


def test_a_repeated_syn_gets_the_same_number_for_as_long_as_the_period() -> None:
    """So whichever of the answers is lost, the other will do; and who asks again learns nothing."""
    peer = baker()
    peer.now = 16 * PERIOD + SECOND
    first = ask(peer)
    peer.advance(60 * SECOND)
    assert ask(peer).seq == first.seq
    peer.advance(7 * SECOND)
    later = ask(peer)
    assert (later.seq - first.seq) & const.M32 < 2 << 24, "the clock of RFC 9293 3.4.1 goes on"
    assert later.seq != first.seq


def test_numbers_lie_on_the_line_of_rfc_6528() -> None:
    """A cookie is within a period of what the ISS would have been: old segments of these four stay old."""
    peer = baker()
    peer.tcp.hub.iss_bias = 0
    for port in range(1000, 1200):
        peer.advance(3 * SECOND)
        plain = peer.tcp.hub.iss(peer.local, 80, peer.peer, port, peer.now)
        peer.send_raw(Segment(port, 80, 77 * port, 0, const.SYN, 65535).encode(peer.peer, peer.local))
        (answer,) = peer.take()
        distance = (answer.seq - plain) & const.M32
        assert distance < 1 << 24 or distance > 2**32 - (1 << 24)


def test_cookies_of_different_peers_have_nothing_in_common() -> None:
    peer = baker()
    seen = set()
    for i in range(1000):
        syn = Segment(1000 + i % 10, 80, i % 7, 0, const.SYN, 65535, ALL)
        peer.send_raw(syn.encode(peer.peer + i // 10, peer.local), src=peer.peer + i // 10)
        (answer,) = peer.take()
        seen.add(answer.seq >> 3)
    assert len(seen) > 995
    low = [number & 0x1FFFFF for number in seen]
    assert 0.9 * 2**20 < sum(low) / len(low) < 1.1 * 2**20


# -- what comes back ----------------------------------------------------------------------------------------------------------


def test_the_ack_of_a_cookie_makes_the_connection_that_its_syn_asked_for() -> None:
    """RFC 4987 3.6; gVisor: TCPSynCookie, TimestampSynCookies."""
    peer = baker()
    answer = ask(peer)
    peer.scale = 9
    peer.send("A", seq=1, ack=1, window=512 * 500, options=echo(answer))
    peer.expect_nothing()
    conn = peer.conn
    assert conn.state_name == "ESTABLISHED" and peer.user.events == ["connected"]
    assert conn.snd_wscale == 9 and conn.snd_wnd == 512 * 500 and conn.rcv_wscale == peer.tcp.hub.wscale
    assert conn.sack_on and conn.ts_on and conn.ts_recent == 8
    assert conn.mss == 1460 - 12
    assert peer.tcp.ext.SyncookiesRecv == 1 and peer.tcp.mib.PassiveOpens == 1 and peer.tcp.mib.CurrEstab == 1
    conn.write(b"hello", peer.now)
    segment = peer.expect("A", seq=1, ack=1, data=b"hello")
    assert segment.options[:4] == bytes.fromhex("0101080a") and segment.options[8:] == struct.pack("!I", 8)
    peer.send("PA", seq=1, ack=6, data=b"good day", options=timestamps_option(9, 0))
    assert peer.user.received == b"good day"


def test_text_and_fin_that_come_with_the_ack_are_taken() -> None:
    peer = baker()
    peer.send("PFA", seq=1, ack=1, data=b"GET", options=echo(ask(peer)))
    assert peer.user.events == ["connected", "data", "eof"] and peer.user.received == b"GET"
    peer.expect("A", seq=1, ack=5)
    assert peer.conn.state_name == "CLOSE-WAIT"


def test_when_the_ack_is_lost_text_stands_for_it() -> None:
    peer = baker()
    options = echo(ask(peer))
    peer.advance(3 * SECOND)
    peer.send("PA", seq=1, ack=1, data=b"GET", options=options)
    assert peer.user.received == b"GET"
    peer.send("A", seq=1, ack=1, options=options)  # here it is after all
    assert peer.conn.state_name == "ESTABLISHED" and len(peer.accepted) == 1


def test_a_second_segment_before_the_first_is_dropped_and_not_reset() -> None:
    """It shows no cookie, since the peer's ISN is not one below it; but who sends it may be honest."""
    peer = baker()
    options = echo(ask(peer))
    peer.send("A", seq=1449, ack=1, data=b"x" * 1448, options=options)
    peer.expect_nothing()
    assert peer.tcp.ext.InEarlyText == 1 and peer.tcp.ext.SyncookiesFailed == 1 and nothing_kept(peer)
    peer.send("A", seq=1, ack=1, data=b"y" * 1448, options=options)
    assert peer.user.received == b"y" * 1448
    peer.send("A", seq=1449, ack=1, data=b"x" * 1448, options=options)
    assert len(peer.user.received) == 2896


@pytest.mark.parametrize(("age", "lives"), [(PERIOD - 1, True), (2 * PERIOD - 1, True), (2 * PERIOD, False), (40 * PERIOD, False)])
def test_a_cookie_lives_for_one_to_two_periods(age: int, lives: bool) -> None:
    """RFC 4987 3.6; gVisor: LateSynCookieAck."""
    peer = baker()
    peer.now = 16 * PERIOD
    options = echo(ask(peer))
    peer.advance(age)
    peer.send("A", seq=1, ack=1, options=options)
    if lives:
        peer.expect_nothing()
        assert peer.conn.state_name == "ESTABLISHED"
    else:
        peer.expect("R", seq=1)
        assert not peer.accepted


def test_a_cookie_that_has_turned_once_round_is_none() -> None:
    """The period is known modulo 256 only: the keys of the first are gone."""
    peer = baker()
    peer.now = 16 * PERIOD
    options = echo(ask(peer))
    iss = peer.local_iss
    peer.advance(256 * PERIOD)
    ask(peer, port=50000)  # cookies are looked at
    peer.local_iss = iss
    peer.send("A", seq=1, ack=1, options=options)
    peer.expect_nothing()
    assert not peer.accepted and peer.tcp.ext.InEarlyText == 1


@pytest.mark.parametrize("wrong", ["port", "peer", "local port", "isn", "number", "mss"])
def test_a_cookie_is_good_for_its_own_syn_alone(wrong: str) -> None:
    peer = baker()
    if wrong == "local port":
        peer.tcp.listen(0, 81, lambda conn: None)
    options = echo(ask(peer))
    ask(peer, port=39999)
    answer = ask(peer)
    seq, ack, sport, dport, src = peer.peer_iss + 1, answer.seq + 1, peer.peer_port, 80, peer.peer
    if wrong == "port":
        sport += 1
    elif wrong == "peer":
        src += 1
    elif wrong == "local port":
        peer.tcp.hub.listeners[81][0].cookie_at = peer.now
        dport = 81
    elif wrong == "isn":
        seq += 1
    elif wrong == "number":
        ack += 8
    else:
        ack ^= 1  # of ISS the lowest bit, and no carry
        ack = answer.seq + 1 + (1 if answer.seq & 1 == 0 else -1)
    segment = Segment(sport, dport, seq & const.M32, ack & const.M32, const.ACK, 1000, options)
    peer.send_raw(segment.encode(src, peer.local), src=src)
    assert not peer.accepted and peer.tcp.ext.SyncookiesFailed == 1 and peer.tcp.ext.SyncookiesRecv == 0
    assert len(peer.take()) + peer.tcp.ext.InEarlyText == 1


def test_guesses_hit_nothing() -> None:
    """2**-28 for each."""
    peer = baker()
    ask(peer)
    rng = random.Random(5)
    for _ in range(20_000):
        segment = Segment(rng.randrange(1, 65536), 80, rng.getrandbits(32), rng.getrandbits(32), const.ACK, 1000)
        peer.send_raw(segment.encode(peer.peer, peer.local))
    peer.take()
    ext = peer.tcp.ext
    assert not peer.accepted and ext.SyncookiesFailed == 20_000
    assert 80 < ext.InEarlyText < 250, "2 of 256 lie where a cookie might"


@pytest.mark.parametrize("said", [None, 0, 1, 87, 88, 300, 535, 536, 537, 1220, 1400, 1452, 1459, 1460, 1461, 8960, 65535])
@pytest.mark.parametrize("mtu", [576, 1500, 9000])
def test_segments_are_never_larger_than_the_peer_takes(said: int | None, mtu: int) -> None:
    """RFC 9293 3.7.1, MUST-14; gVisor: SynCookiePassiveSendMSSLessThanMTU, ListenBacklogFullSynCookieInUse."""
    peer = TcpScript(config=TcpConfig(syn_cookies="always"), mtu=mtu)
    peer.listen()
    answer = ask(peer, timestamps_option(7, 0) + (b"" if said is None else mss_option(said)))
    assert answer.options[:4] == struct.pack("!BBH", 2, 4, mtu - 40)
    peer.send("A", seq=1, ack=1, options=echo(answer))
    takes = min(max(said or 536, 88), mtu - 40)
    assert peer.conn.mss <= takes - 12
    assert peer.conn.mss >= 0.84 * takes - 12 or takes < 536 or takes in (1220 - 1, 8000), "and not much smaller"


def test_the_round_trip_is_measured_by_the_timestamp() -> None:
    """It may be 64 ms too long, since the stamp went back to make room, and never too short."""
    for phase in range(0, 64, 7):
        peer = baker()
        peer.advance(phase * MILLISECOND)
        options = echo(ask(peer))
        peer.advance(100 * MILLISECOND)
        peer.send("A", seq=1, ack=1, options=options)
        assert 100 * MILLISECOND <= peer.conn.info().srtt <= 164 * MILLISECOND


def test_a_round_trip_that_took_long_because_the_ack_was_lost_is_none() -> None:
    peer = baker()
    options = echo(ask(peer))
    peer.advance(3 * SECOND)
    peer.send("PA", seq=1, ack=1, data=b"GET", options=options)
    assert peer.conn.info().srtt == 0 and peer.conn.info().rto == SECOND


def test_without_timestamps_there_is_no_first_round_trip() -> None:
    peer = baker()
    ask(peer, mss_option(1460))
    peer.advance(100 * MILLISECOND)
    peer.send("A", seq=1, ack=1)
    assert peer.conn.info().srtt == 0 and peer.conn.info().rto == SECOND


def test_later_timestamps_never_look_older_than_the_cookies() -> None:
    """Or the peer's PAWS (RFC 7323 5) would drop all we send."""
    for phase in range(130):
        peer = baker()
        peer.advance(phase * MILLISECOND)
        answer = ask(peer, mss_option(1460) + timestamps_option(7, 0) + wscale_option(phase % 15))
        peer.send("PA", seq=1, ack=1, data=b"at once", options=echo(answer))
        peer.conn.write(b"and back", peer.now)
        later = peer.expect("A")
        first = int.from_bytes(answer.options[8:12], "big")
        assert (int.from_bytes(later.options[4:8], "big") - first) & const.M32 < 64


def test_the_stamp_says_all_that_can_be_offered_at_all_times() -> None:
    options = Options()
    for clock in (*range(2**32 - 70, 2**32), *range(140), 2**31 - 1, 2**31):
        for wscale in range(-1, 15):
            for sack in (False, True):
                value = stamp(clock, wscale, sack)
                assert 0 <= value < 2**32 and (clock - value) & const.M32 < 64
                read_stamp(options, value)
                assert (options.wscale, options.sack_permitted) == (wscale, sack)


def test_a_stamp_that_the_peer_made_up_is_its_own_affair() -> None:
    peer = baker()
    ask(peer, mss_option(1460) + timestamps_option(7, 0))
    peer.send("A", seq=1, ack=1, options=timestamps_option(8, 0xFFFFFFFF))
    assert peer.conn.snd_wscale == 0 and peer.conn.sack_on
    peer.conn.write(b"x", peer.now)
    peer.expect("A", data=b"x")


def test_keys_are_drawn_anew_each_period_and_only_the_last_two_are_kept() -> None:
    baked = Cookies(random.Random(3))
    four = (17, 1, 2, 3, 4)
    at = 100 * PERIOD
    cookie = baked.iss(*four, 1460, at)
    assert baked.check(*four, cookie, at) == 1460
    assert baked.check(*four, cookie, at + 2 * PERIOD - 1) == 1460
    assert baked.check(*four, cookie, at + 2 * PERIOD) == 0
    again = baked.iss(*four, 1460, at + 256 * PERIOD)
    assert again >> 24 == cookie >> 24 and again != cookie
    for mss in MSS:
        assert baked.check(*four, baked.iss(*four, mss, at + 300 * PERIOD), at + 300 * PERIOD) == mss


# -- when -----------------------------------------------------------------------------------------------------------------------


def test_no_cookie_is_sent_while_there_is_room() -> None:
    """RFC 4987 3.6; gVisor: NoSynCookieWithoutOverflow, TCPResetSentForACKWhenNotUsingSynCookies."""
    peer = baker("auto", max_half_open=2)
    peer.send("S", seq=0, port=1)
    peer.send("S", seq=0, port=2)
    assert len(peer.take()) == 2 and len(peer.tcp.hub.half) == 2
    peer.send("A", seq=1, ack=1, port=3)
    peer.expect("R", seq=1)
    ext = peer.tcp.ext
    assert ext.SyncookiesSent == 0 and ext.SyncookiesFailed == 0 and ext.TCPReqQFullDoCookies == 0


def test_a_full_table_is_left_alone_and_cookies_do_the_rest() -> None:
    """RFC 4987 3.6; gVisor: ListenBacklogFullSynCookieInUse, ListenSynRcvdQueueFull."""
    peer = baker("auto", max_half_open=1)
    peer.send("S", seq=0, port=1)
    entry = peer.take()[0]
    answer = ask(peer, port=2)
    ext = peer.tcp.ext
    assert ext.SyncookiesSent == ext.TCPReqQFullDoCookies == 1 and ext.TCPReqQFullDrop == 0
    peer.send("A", seq=1, ack=1, port=2, options=echo(answer))
    assert len(peer.accepted) == 1
    peer.local_iss = entry.seq
    peer.send("A", seq=1, ack=1, port=1)
    assert len(peer.accepted) == 2


def test_a_failed_handshake_makes_room_again() -> None:
    """RFC 4987 3.6; gVisor: NoSynCookieOnFailedHandshakes."""
    peer = baker("auto", max_half_open=1)
    for port in range(1, 20):
        peer.send("S", seq=0, port=port)
        peer.expect("SA", seq=0, ack=1)
        peer.send("R", seq=1, port=port)
    assert peer.tcp.ext.SyncookiesSent == 0 and nothing_kept(peer)


def test_a_syn_that_is_repeated_when_there_is_room_again_may_be_answered_by_either_number() -> None:
    """The entry's ISS is the cookie, or the ACK of the first SYN,ACK would meet an entry that knows another, and be reset."""
    peer = baker("auto", max_half_open=1)
    peer.send("S", seq=0, port=1)
    peer.take()
    first = ask(peer, port=2)
    peer.send("R", seq=1, port=1)
    second = ask(peer, port=2)
    assert len(peer.tcp.hub.half) == 1 and second.seq == first.seq
    peer.send("A", seq=1, ack=1, port=2, options=echo(first))
    assert len(peer.accepted) == 1 and peer.conn.state_name == "ESTABLISHED" and not peer.tcp.hub.half


def test_without_timestamps_an_entry_agrees_to_what_a_cookie_could_and_not_more() -> None:
    """The peer may have heard the cookie's SYN,ACK first, which can't scale: were ours to scale, each would misread the other."""
    peer = baker("auto", max_half_open=1)
    peer.send("S", seq=0, port=1)
    peer.take()
    offer = mss_option(1460) + sack_permitted_option() + wscale_option(9)
    first = ask(peer, offer, port=2)
    peer.send("R", seq=1, port=1)
    second = ask(peer, offer, port=2)
    assert len(peer.tcp.hub.half) == 1 and second.seq == first.seq
    assert first.options == second.options == bytes.fromhex("020405b4")
    peer.send("A", seq=1, ack=1, port=2)
    assert peer.conn.snd_wscale == 0 and peer.conn.rcv_wscale == 0 and not peer.conn.sack_on


def test_acks_are_not_compared_with_cookies_when_none_was_sent_for_long() -> None:
    peer = baker("auto", max_half_open=1, synack_retries=0)
    peer.send("S", seq=0, port=1)
    peer.take()
    ask(peer, port=2)
    peer.advance(2 * PERIOD - MILLISECOND)
    peer.take()
    peer.send("A", seq=1, ack=99, port=3)
    peer.expect("R", seq=99)
    assert peer.tcp.ext.SyncookiesFailed == 1
    peer.advance(MILLISECOND)
    peer.send("A", seq=1, ack=99, port=3)
    peer.expect("R", seq=99)
    assert peer.tcp.ext.SyncookiesFailed == 1


def test_a_listener_that_sent_none_is_not_asked() -> None:
    peer = baker()
    peer.tcp.listen(0, 81, lambda conn: None)
    ask(peer)
    peer.local_port = 81
    peer.send("A", seq=1, ack=1)
    peer.expect("R", seq=1)
    assert peer.tcp.ext.SyncookiesFailed == 0


def test_each_listener_has_a_share_of_the_table() -> None:
    """A flood of one port leaves the others what they need for peers without timestamps."""
    peer = baker("auto", max_half_open=64)
    peer.tcp.listen(0, 22, lambda conn: None)
    for port in range(1000, 1100):
        peer.send("S", seq=0, port=port)
    assert len(peer.tcp.hub.half) == 32 and peer.tcp.ext.SyncookiesSent == 68
    peer.take()
    peer.local_port = 22
    peer.send("S", seq=0, port=5, mss=1460, wscale=7)
    assert peer.expect("SA").options == bytes.fromhex("020405b4") + scale(peer)
    assert len(peer.tcp.hub.half) == 33


def test_shares_follow_the_listeners() -> None:
    peer = baker("auto", max_half_open=64)
    hub = peer.tcp.hub
    assert hub.share == 64
    more = [peer.tcp.listen(0, port, lambda conn: None) for port in range(1000, 1020)]
    assert hub.share == 16
    for listener in more:
        listener.close(peer.now)
    assert hub.share == 64


def test_the_count_of_a_listener_follows_its_handshakes() -> None:
    peer = TcpScript(config=TcpConfig(max_half_open=4))
    listener = peer.listen()
    for port in (1, 2, 3):
        peer.send("S", seq=0, port=port)
    assert listener.half == 3
    peer.send("A", seq=1, ack=1, port=1)
    assert listener.half == 2
    peer.send("R", seq=1, port=2)
    assert listener.half == 1
    peer.advance(200 * SECOND)
    assert listener.half == 0
    peer.send("S", seq=0, port=4)
    listener.close(peer.now)
    assert listener.half == 0


def test_never_means_never() -> None:
    peer = baker("never", max_half_open=1)
    peer.send("S", seq=0, port=1)
    peer.send("S", seq=0, port=2)
    ext = peer.tcp.ext
    assert ext.SyncookiesSent == 0 and ext.TCPReqQFullDrop == 1 and len(peer.tcp.hub.half) == 1


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UsageError, match="'auto', 'always' or 'never'"):
        TcpConfig(syn_cookies="sometimes")


# -- with other rules ---------------------------------------------------------------------------------------------------------


def test_a_full_accept_queue_drops_the_ack_and_what_comes_again_finds_room() -> None:
    """RFC 4987 3.6; Linux: ListenOverflows. A RST would tell the peer that nobody is there."""
    peer = TcpScript(config=TcpConfig(syn_cookies="always"))
    listener = peer.listen(backlog=1)
    options = echo(ask(peer))
    listener.waiting = 1
    peer.send("A", seq=1, ack=1, options=options)
    peer.expect_nothing()
    ext = peer.tcp.ext
    assert ext.ListenOverflows == ext.ListenDrops == ext.SyncookiesRecv == 1 and nothing_kept(peer)
    peer.send("S", seq=0, port=7)
    peer.expect_nothing()
    listener.waiting = 0
    peer.send("PA", seq=1, ack=1, data=b"again", options=options)
    assert peer.user.received == b"again"


def test_a_full_connection_table_drops_the_ack_and_sends_no_cookies() -> None:
    peer = baker(max_connections=1)
    first, second = ask(peer, port=1), ask(peer, port=2)
    peer.local_iss = first.seq
    peer.send("A", seq=1, ack=1, port=1, options=echo(first))
    peer.local_iss = second.seq
    peer.send("A", seq=1, ack=1, port=2, options=echo(second))
    peer.expect_nothing()
    assert peer.tcp.ext.SynDropped == 1 and peer.tcp.hub.count == 1
    peer.send("S", seq=0, port=3)
    peer.expect_nothing()
    assert peer.tcp.ext.SynDropped == 2
    peer.conn.abort(peer.now)
    peer.take()
    peer.send("A", seq=1, ack=1, port=2, options=echo(second))
    assert len(peer.accepted) == 2


def test_a_refused_connection_is_reset() -> None:
    peer = TcpScript(config=TcpConfig(syn_cookies="always"))
    peer.listen(refuse=True)
    peer.send("A", seq=1, ack=1, options=echo(ask(peer)))
    peer.expect("RA", seq=1, ack=1)
    assert nothing_kept(peer)


def test_a_program_that_fails_in_accept_leaves_no_connection() -> None:
    peer = TcpScript(config=TcpConfig(syn_cookies="always"))

    def accept(conn: Connection) -> None:
        raise RuntimeError("the program's")

    peer.tcp.listen(0, 80, accept)
    options = echo(ask(peer))
    with pytest.raises(RuntimeError):
        peer.send("A", seq=1, ack=1, options=options)
    peer.flush()
    peer.expect("RA", seq=1, ack=1)
    assert nothing_kept(peer)


def test_a_syn_that_ends_a_time_wait_gets_an_entry_and_no_cookie() -> None:
    """RFC 9293 3.6.1: its ISS must lie beyond what was sent before."""
    peer = baker()
    peer.send("A", seq=1, ack=1, options=echo(ask(peer)))
    conn = peer.conn
    conn.close(peer.now)
    peer.expect("FA", seq=1, ack=1)
    peer.send("FA", seq=1, ack=2, options=timestamps_option(9, 0))
    peer.expect("A", seq=2, ack=2)
    peer.send("S", seq=100_000, options=mss_option(1460) + timestamps_option(10, 0))
    peer.expect("SA", seq=2 + 65536 + 2, ack=100_001)
    assert peer.tcp.ext.TWRecycled == 1 and peer.tcp.ext.SyncookiesSent == 1 and len(peer.tcp.hub.half) == 1


def test_entries_for_ended_time_waits_are_bounded_too() -> None:
    peer = baker("auto", max_half_open=1)
    for port in (1, 2, 3):
        answer = ask(peer, port=port)
        peer.send("A", seq=1, ack=1, port=port, options=echo(answer))
        peer.conn.close(peer.now)
        peer.send("FA", seq=1, ack=2, port=port, options=timestamps_option(9, 0))
        peer.take()
    assert len(peer.tcp.hub.waits) == 3
    for port in (1, 2, 3):
        peer.send("S", seq=100_000, port=port, options=mss_option(1460) + timestamps_option(10, 0))
    assert len(peer.tcp.hub.half) == 2 and len(peer.tcp.hub.waits) == 1 and peer.tcp.ext.SynDropped == 1


def test_a_syn_for_a_connection_that_is_there_is_challenged_as_ever() -> None:
    """RFC 5961 4: no cookie for it."""
    peer = baker()
    peer.send("A", seq=1, ack=1, options=echo(ask(peer)))
    peer.send("S", seq=500)
    peer.expect("A", seq=1, ack=1)
    assert peer.tcp.ext.SyncookiesSent == 1 and peer.tcp.ext.TCPSYNChallenge == 1


@pytest.mark.parametrize("flags", ["SA", "RA", "R", "", "F"])
def test_what_is_no_plain_ack_is_met_as_ever(flags: str) -> None:
    peer = baker()
    ask(peer)
    peer.send(flags, seq=1, ack=1)
    assert not peer.accepted and peer.tcp.ext.SyncookiesRecv == 0
    assert len(peer.take()) == (1 if flags == "SA" else 0)


def test_an_ack_that_comes_again_after_the_connection_is_gone_opens_one_that_the_peer_resets() -> None:
    peer = baker()
    options = echo(ask(peer))
    peer.send("A", seq=1, ack=1, options=options)
    peer.send("R", seq=1)
    assert nothing_kept(peer)
    peer.send("A", seq=1, ack=1, options=options)
    assert len(peer.accepted) == 2
    peer.conn.write(b"hello?", peer.now)
    peer.expect("A", data=b"hello?")
    peer.send("R", seq=1)
    assert nothing_kept(peer)


def test_a_client_that_waits_for_our_greeting_and_whose_ack_was_lost_waits_in_vain() -> None:
    """RFC 4987 3.6: what cookies can't do. Its keep-alive is reset once no cookie can be meant any more."""
    peer = baker()
    ask(peer)
    peer.advance(600 * SECOND)
    peer.expect_nothing()
    peer.send("A", seq=0, ack=1)
    peer.expect("R", seq=1)


@pytest.mark.parametrize("edge", [2**31, 2**32])
def test_a_connection_by_cookie_works_across_the_edges_of_its_numbers(edge: int) -> None:
    peer = baker()
    hub = peer.tcp.hub
    hub.iss_bias = 0
    line = hub.iss(peer.local, 80, peer.peer, 40000, 0)
    period = 256 + (edge - line - (1 << 23) >> 24) % 256
    peer.now = period * PERIOD
    ports = 40000 << 16 | 80
    for seq in range(2**32 - 3, 2**32 + 300_000):
        peer.peer_iss = seq & const.M32
        iss = hub.cookies.iss(line, peer.local, peer.peer, ports, peer.peer_iss, 1460, peer.now)
        if 0 < edge - iss < 1000:
            break
    answer = ask(peer)
    assert answer.seq == iss
    options = echo(answer)
    text = bytes(range(256)) * 5
    peer.send("PA", seq=1, ack=1, data=text, options=options)
    assert peer.user.received == text
    peer.conn.write(text, peer.now)
    peer.expect("A", seq=1, ack=1281, data=text)
    peer.send("A", seq=1281, ack=1281, options=options)
    assert peer.conn.unsent == 0 and (peer.conn.snd_una < iss) == (edge == 2**32)


# -- a SYN that is repeated ---------------------------------------------------------------------------------------------------


def test_a_repeated_syn_does_not_put_off_the_end_of_the_wait() -> None:
    """Or whoever repeats it for ever would hold the entry for ever."""
    peer = baker("auto")
    peer.send("S", seq=0, mss=1460)
    for _ in range(200):
        peer.advance(SECOND)
        if not peer.tcp.hub.half:
            break
        peer.send("S", seq=0, mss=1460)
    assert peer.tcp.ext.HalfOpenTimeouts == 1 and nothing_kept(peer)


def test_a_repeated_syn_is_answered_at_a_limited_rate() -> None:
    """Linux: TCPACKSkippedSynRecv."""
    peer = baker("auto")
    peer.send("S", seq=0, mss=1460)
    peer.expect("SA", seq=0, ack=1)
    for _ in range(100):
        peer.send("S", seq=0, mss=1460)
    peer.expect("SA", seq=0, ack=1)
    peer.expect_nothing()
    assert peer.tcp.ext.TCPACKSkippedSynRecv == 99
    peer.advance(500 * MILLISECOND)
    peer.send("S", seq=0, mss=1460)
    peer.expect("SA", seq=0, ack=1)
    peer.send("A", seq=1, ack=1)
    assert peer.conn.state_name == "ESTABLISHED"
