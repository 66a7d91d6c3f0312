"""Corners of which random programs told (tests/model), each in the fewest segments that show it."""

from collections.abc import Callable

import pytest

from netstack.tcp.config import TcpConfig
from netstack.tcp.connection import Connection
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]


def test_resume_while_connecting_sends_nothing(peer: TcpScript) -> None:
    conn = peer.connect()
    peer.expect("S", seq=0)
    conn.pause(peer.now)
    conn.resume(peer.now)
    peer.expect_nothing()  # an ACK of nothing would be a RST's reason at the peer


@pytest.mark.parametrize("order", ["pause, close", "close, pause"])
def test_a_closed_user_who_has_paused_is_not_waited_for(peer: TcpScript, order: str) -> None:
    """The FIN that comes later is nobody's to be told of."""
    conn = peer.establish()
    for call in order.split(", "):
        getattr(conn, call)(peer.now)
    peer.expect("FA", seq=1)
    peer.send("A", seq=1, ack=2)
    peer.send("FA", seq=1, ack=2)
    peer.expect("A", seq=2, ack=2)
    assert conn.state_name == "TIME-WAIT" and peer.user.events == ["connected", "closed"]
    assert not peer.tcp.hub.unread, "a connection that nobody will ever read"


def test_writable_is_not_called_before_connected(script: Make) -> None:
    """Marks that are one: what was written while connecting is below the low one all along."""
    peer = script(config=TcpConfig(snd_low=1, snd_high=1))
    conn = peer.connect()
    peer.expect("S", seq=0)
    assert not conn.write(b"x", peer.now)
    peer.send("S", seq=0)  # a simultaneous open
    peer.expect("SA", seq=0, ack=1)
    assert peer.user.events == []
    peer.send("A", seq=1, ack=1)
    assert peer.user.events[0] == "connected"


def test_a_retransmission_with_a_new_ack_brings_its_window(peer: TcpScript) -> None:
    """Its sequence number is old, so SND.WL1 alone would refuse it, and 760 bytes more than the peer takes would be sent."""
    conn = peer.establish(window=3000)
    peer.send("PA", seq=101, ack=1, data=bytes(100))
    peer.expect("A", ack=1)
    conn.write(bytes(760), peer.now)
    peer.expect("A", seq=1, length=760)
    peer.send("PA", seq=1, ack=761, data=bytes(100), window=2240)
    peer.take()
    conn.write(bytes(10_000), peer.now)
    assert sum(len(segment.payload) for segment in peer.take()) <= 2240


def shut_over_a_flight(peer: TcpScript) -> Connection:
    """The peer has sent 1000 bytes and we 500, over which its window was shut."""
    conn = peer.establish()
    peer.send("PA", seq=1, ack=1, data=bytes(1000))
    conn.write(bytes(500), peer.now)
    peer.expect("A", seq=1, ack=1001, length=500)
    peer.send("A", seq=1001, ack=1, window=0)
    peer.expect_nothing()
    return conn


def test_an_old_segment_is_heard_while_the_window_is_shut_over_what_it_acknowledges(peer: TcpScript) -> None:
    """Two who believe each other's windows shut over what they have sent acknowledge from before all of it. RFC 9293 3.10.7.4 would
    have both drop that, and neither would ever learn more."""
    conn = shut_over_a_flight(peer)
    peer.send("A", seq=1, ack=501, window=4000)
    assert conn.unsent == 0 and conn.info().snd_wnd == 4000


@pytest.mark.parametrize(("seq", "ack"), [(1, 502), (1, 1), (-200_000, 501), (70_000, 501)])
def test_an_unacceptable_segment_is_heard_for_nothing_else(peer: TcpScript, seq: int, ack: int) -> None:
    """RFC 5961 5: not for what was never sent, nor from further back than a window, nor from beyond it."""
    conn = shut_over_a_flight(peer)
    peer.send("A", seq=seq, ack=ack, window=4000)
    assert conn.unsent == 500 and conn.info().snd_wnd == 0
