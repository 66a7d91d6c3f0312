"""What is told in one burst of ACKs must cost what it costs told ACK by ACK: sending waits for the end of a batch, the window's
fate must not."""

import struct
from collections.abc import Callable

import pytest

from netstack.instant import MILLISECOND
from netstack.tcp import wire
from netstack.testing.control import Driver
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]
MSS = 1460


def seq(i: int) -> int:
    """Of the first byte of segment `i`."""
    return 1 + i * MSS


def sack(peer: TcpScript, *blocks: tuple[int, int]) -> bytes:
    """The option for segments `begin` up to `end`."""
    edges = [(peer.local_iss + seq(i)) & 0xFFFFFFFF for block in blocks for i in block]
    return struct.pack(f"!BBBB{len(edges)}I", 1, 1, 5, 2 + 4 * len(edges), *edges)


def loss(peer: TcpScript, name: str, window: int, lost: int, *, batch: bool) -> tuple[int, int, list[int]]:
    """`window` segments are in flight, in congestion avoidance, `lost` is lost and the peer acknowledges the others one by one.
    Window and threshold afterwards, and the sequence numbers of what left in answer."""
    peer.window = 1 << 20
    peer.listen()
    peer.send("S", seq=0, mss=MSS, wscale=7, options=wire.sack_permitted_option())
    peer.take()
    peer.advance(50 * MILLISECOND)
    peer.scale = 7
    peer.send("A", seq=1, ack=1)
    peer.conn.set_congestion(name)
    Driver(peer.conn.cc).adopt(window * MSS, window * MSS)
    peer.conn.write(bytes(100 * MSS), peer.now)
    assert len(peer.take()) == window
    peer.advance(50 * MILLISECOND)
    for i in range(1, lost + 1):
        peer.send("A", seq=1, ack=seq(i), flush=not batch)
    for i in range(lost + 2, window + 1):
        peer.send("A", seq=1, ack=seq(lost), options=sack(peer, (lost + 1, i)), flush=not batch)
    peer.flush()
    info = peer.conn.info()
    assert info.phase == "recovery"
    return info.cwnd, info.ssthresh, [(s.seq - peer.local_iss) & 0xFFFFFFFF for s in peer.take()]


@pytest.mark.parametrize("name", ["reno", "cubic"])
@pytest.mark.parametrize("lost", [0, 1, 5, 8, 14])
def test_a_loss_told_in_one_burst_costs_what_it_costs_ack_by_ack(script: Make, name: str, lost: int) -> None:
    """RFC 5681 3.1 equation 4, RFC 9937 6."""
    window = 20
    *windows, one_by_one = loss(script(), name, window, lost, batch=False)
    *in_one, burst = loss(script(), name, window, lost, batch=True)
    assert windows == pytest.approx(in_one, abs=MSS // 2)
    assert windows[1] == pytest.approx(window * MSS * (0.5 if name == "reno" else 0.7), abs=MSS // 2)
    assert seq(lost) in one_by_one and burst[0] == seq(lost), "what was lost goes first"
    assert len(burst) == in_one[1] // MSS, "the new window is in use at once: no more, since all is known, and no less"


@pytest.mark.parametrize("name", ["reno", "cubic"])
def test_the_ack_that_ends_a_recovery_counts_for_what_it_is_the_first_to_tell(script: Make, name: str) -> None:
    """What SACKs have told of before has had its effect in recovery."""
    peer = script()
    window = 20
    cwnd, _, sent = loss(peer, name, window, 0, batch=True)
    peer.advance(50 * MILLISECOND)
    peer.send("A", seq=1, ack=seq(window))
    info = peer.conn.info()
    assert info.phase == "open" and info.cwnd == pytest.approx(cwnd, abs=MSS // 2)
    # the rest of the recovery's own segments complete a window: they were not sent in vain
    peer.send("A", seq=1, ack=seq(window + len(sent) - 1))
    assert peer.conn.info().cwnd > cwnd
