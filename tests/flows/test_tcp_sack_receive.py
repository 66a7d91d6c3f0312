"""SACK as a receiver: RFC 2018 3 and 4, RFC 2883 4."""

import struct
from collections.abc import Callable

from netstack import const
from netstack.instant import MILLISECOND
from netstack.tcp import wire
from netstack.tcp.config import TcpConfig
from netstack.tcp.wire import Segment
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]
PERMITTED = wire.sack_permitted_option()


def blocks(peer: TcpScript, segment: Segment) -> list[tuple[int, int]]:
    """Relative to the peer's ISS."""
    option = segment.option(5)
    if option is None:
        return []
    edges = [(edge - peer.peer_iss) & const.M32 for edge in struct.unpack(f"!{len(option) // 4}I", option)]
    return list(zip(edges[::2], edges[1::2], strict=True))


def agree(peer: TcpScript, options: bytes = PERMITTED) -> None:
    peer.listen()
    peer.send("S", seq=0, mss=1460, options=options)
    assert peer.expect("SA").option(4) == b""
    peer.send("A", seq=1, ack=1)


def came(peer: TcpScript, a: int, b: int) -> list[tuple[int, int]]:
    """The peer's bytes from `a` to `b` arrive; the blocks of the ACK that this draws."""
    peer.send("A", seq=a, ack=1, data=bytes(b - a))
    ack = peer.expect("A", seq=1)
    peer.expect_nothing()
    return blocks(peer, ack)


def test_rfc2018_2_sack_permitted_is_offered_and_answered(peer: TcpScript) -> None:
    """smoltcp: listen sack option, syn sent sack option; gVisor: SackPermittedAccept, SackPermittedConnect."""
    agree(peer)
    assert peer.conn.sack_on


def test_rfc2018_2_sack_is_not_used_unless_both_permit_it(script: Make) -> None:
    """gVisor: SackDisabledAccept, SackDisabledConnect."""
    peer = script()
    peer.establish()
    assert came(peer, 4, 7) == []
    peer = script(config=TcpConfig(sack=False))
    peer.listen()
    peer.send("S", seq=0, mss=1460, options=PERMITTED)
    assert peer.expect("SA").option(4) is None
    peer.send("A", seq=1, ack=1)
    assert came(peer, 4, 7) == []
    peer = script(config=TcpConfig(sack=False))
    peer.connect()
    assert peer.expect("S").option(4) is None


def test_rfc2018_3_the_option_on_the_wire_byte_for_byte(peer: TcpScript) -> None:
    agree(peer)
    peer.send("A", seq=1001, ack=1, data=bytes(1000))
    edges = struct.pack("!II", (peer.peer_iss + 1001) & const.M32, (peer.peer_iss + 2001) & const.M32)
    assert peer.expect("A", ack=1).options == bytes.fromhex("0101050a") + edges


def test_rfc2018_4_the_block_that_grew_last_comes_first_and_the_others_are_repeated(peer: TcpScript) -> None:
    """gVisor: UpdateSACKBlocks."""
    agree(peer)
    assert came(peer, 10, 20) == [(10, 20)]
    assert came(peer, 30, 40) == [(30, 40), (10, 20)]
    assert came(peer, 50, 60) == [(50, 60), (30, 40), (10, 20)]
    assert came(peer, 35, 45) == [(30, 45), (50, 60), (10, 20)]
    assert came(peer, 70, 80) == [(70, 80), (30, 45), (50, 60), (10, 20)]
    assert came(peer, 90, 95) == [(90, 95), (70, 80), (30, 45), (50, 60)], "four at the most"


def test_rfc2018_4_blocks_that_meet_become_one(peer: TcpScript) -> None:
    agree(peer)
    came(peer, 10, 20)
    came(peer, 30, 40)
    assert came(peer, 20, 30) == [(10, 40)]


def test_rfc2018_4_what_is_acknowledged_is_no_block_any_more(peer: TcpScript) -> None:
    """gVisor: TrimSackBlockList; smoltcp: established sack no overflow on near max seqnumber."""
    agree(peer)
    came(peer, 10, 20)
    came(peer, 30, 40)
    assert came(peer, 1, 10) == [(30, 40)]
    assert came(peer, 20, 30) == []
    assert len(peer.user.received) == 39


def test_rfc2018_3_three_blocks_fit_beside_timestamps(peer: TcpScript) -> None:
    peer.listen()
    peer.send("S", seq=0, mss=1460, options=PERMITTED + wire.timestamps_option(1, 0))
    peer.expect("SA")
    peer.send("A", seq=1, ack=1, options=wire.timestamps_option(1, 0))
    for a in (10, 30, 50, 70):
        peer.send("A", seq=a, ack=1, data=bytes(5), options=wire.timestamps_option(1, 0))
    last = peer.take()[-1]
    assert blocks(peer, last) == [(70, 75), (50, 55), (30, 35)] and len(last.options) == 40


def test_rfc2018_4_an_answer_with_data_tells_them_too_and_a_full_segment_does_not(peer: TcpScript) -> None:
    agree(peer)
    came(peer, 10, 20)
    peer.conn.write(b"answer", peer.now)
    assert blocks(peer, peer.expect("A", data=b"answer")) == [(10, 20)]
    peer.conn.write(bytes(1460), peer.now)
    assert peer.expect("A", length=1460).options == b""


def test_rfc2883_4_1_old_data_that_comes_again_is_told_once(peer: TcpScript) -> None:
    agree(peer)
    peer.send("A", seq=1, ack=1, data=bytes(10))
    peer.advance(40 * MILLISECOND)
    peer.expect("A", ack=11)
    assert came(peer, 1, 11) == [(1, 11)]
    assert came(peer, 15, 20) == [(15, 20)]
    assert peer.tcp.ext.TCPDSACKOldSent == 1


def test_rfc2883_4_1_a_segment_half_old_tells_the_old_half(peer: TcpScript) -> None:
    agree(peer)
    peer.send("A", seq=1, ack=1, data=bytes(10))
    peer.advance(40 * MILLISECOND)
    peer.take()
    assert came(peer, 5, 15) == [(5, 11)]


def test_rfc2883_4_2_a_duplicate_beyond_a_hole_comes_before_the_block_that_holds_it(peer: TcpScript) -> None:
    agree(peer)
    came(peer, 10, 20)
    came(peer, 20, 30)
    assert came(peer, 12, 18) == [(12, 18), (10, 30)]
    assert came(peer, 50, 60) == [(50, 60), (10, 30)]
    assert peer.tcp.ext.TCPDSACKOfoSent == 1


# -- the examples of RFC 2018 5: eight segments of 500 bytes, here from 1 on in place of 5000 ----------------------------------


def test_rfc2018_5_case_1_the_last_four_are_lost_and_there_is_nothing_to_tell(peer: TcpScript) -> None:
    """smoltcp: established rfc2018 cases."""
    agree(peer)
    for i in range(4):
        peer.send("A", seq=1 + 500 * i, ack=1, data=bytes(500))
    acks = peer.take()
    peer.advance(40 * MILLISECOND)
    acks += peer.take()
    assert (acks[-1].ack - peer.peer_iss) & const.M32 == 2001
    assert all(segment.option(5) is None for segment in acks)


def test_rfc2018_5_case_2_the_first_is_lost_and_one_block_grows(peer: TcpScript) -> None:
    agree(peer)
    for i in range(1, 8):
        assert came(peer, 1 + 500 * i, 501 + 500 * i) == [(501, 501 + 500 * i)]


def test_rfc2018_5_case_3_every_second_is_lost_and_two_of_them_come_late(peer: TcpScript) -> None:
    agree(peer)
    peer.send("A", seq=1, ack=1, data=bytes(500))
    assert came(peer, 1001, 1501) == [(1001, 1501)]
    assert came(peer, 2001, 2501) == [(2001, 2501), (1001, 1501)]
    assert came(peer, 3001, 3501) == [(3001, 3501), (2001, 2501), (1001, 1501)]
    assert came(peer, 1501, 2001) == [(1001, 2501), (3001, 3501)]
    assert came(peer, 501, 1001) == [(3001, 3501)]
    assert (peer.conn.rcv_nxt - peer.peer_iss) & const.M32 == 2501


def test_rfc2018_3_a_fin_that_waits_is_told_of_like_text(peer: TcpScript) -> None:
    """It takes a sequence number, and is remembered: its sender need not send it again."""
    agree(peer)
    peer.send("FA", seq=4, ack=1)
    assert blocks(peer, peer.expect("A", seq=1, ack=1)) == [(4, 5)]
    assert came(peer, 2, 4) == [(2, 5)]
    peer.send("A", seq=1, ack=1, data=b"a")
    assert blocks(peer, peer.expect("A", ack=5)) == []
    assert peer.conn.state_name == "CLOSE-WAIT" and peer.user.received == b"a\0\0"


def test_rfc2018_3_a_fin_behind_text_joins_its_block(peer: TcpScript) -> None:
    agree(peer)
    peer.send("FA", seq=11, ack=1, data=bytes(10))
    assert blocks(peer, peer.expect("A", seq=1, ack=1)) == [(11, 22)]
