"""Losses that were none: what was sent again in vain is noticed, and the window comes back (RFC 3522, 4015, 3708)."""

from collections.abc import Callable

import pytest
from flow_sack import RTT, stamp, stamped

from netstack.instant import MILLISECOND
from netstack.tcp import wire
from netstack.tcp.connection import Connection
from netstack.tcp.wire import Segment
from netstack.testing.script import TcpScript

Make = Callable[..., TcpScript]
MSS = 1448


def seq(i: int) -> int:
    return 1 + i * MSS


class Stamped:
    """A peer with SACK and timestamps. `sent` are the segments of the stack, by index, each with all its transmissions."""

    def __init__(self, peer: TcpScript, count: int) -> None:
        self.peer = peer
        self.tick = 1
        self.sent: dict[int, list[Segment]] = {}
        peer.listen()
        peer.send("S", seq=0, mss=1460, wscale=7, options=wire.sack_permitted_option() + wire.timestamps_option(1, 0))
        synack = peer.expect("SA")
        peer.scale = 7
        peer.window = 1 << 20
        peer.advance(RTT)
        peer.send("A", seq=1, ack=1, options=stamped(peer, 2, stamp(synack)))
        self.conn: Connection = peer.conn
        self.conn.set_congestion("reno")
        self.write(0, count)

    def write(self, first: int, count: int) -> None:
        self.conn.write(b"".join(i.to_bytes(2, "big") * (MSS // 2) for i in range(first, first + count)), self.peer.now)
        assert self.look() == list(range(first, first + count))

    def look(self) -> list[int]:
        found = []
        for segment in self.peer.take():
            i = ((segment.seq - self.peer.local_iss) % 2**32 - 1) // MSS
            self.sent.setdefault(i, []).append(segment)
            found.append(i)
        return found

    def ack(self, ack: int, *blocks: tuple[int, int], echo: Segment) -> list[int]:
        """An ACK before segment `ack` with blocks of segments, that echoes the timestamp of `echo`. What it drew."""
        self.tick += 1
        edges = [(seq(a), seq(b)) for a, b in blocks]
        self.peer.send("A", seq=1, ack=seq(ack), options=stamped(self.peer, self.tick, stamp(echo), *edges))
        return self.look()

    def until_timeout(self) -> None:
        while not self.peer.tcp.ext.TCPTimeouts:
            self.peer.run_to_timer()
            self.look()


def test_rfc3522_3_2_a_time_out_whose_ack_echoes_the_original_is_undone(peer: TcpScript) -> None:
    """ "If the value of the Timestamp Echo Reply field of the acceptable ACK's Timestamps option is smaller than the value of
    RetransmitTS": it was for the original. RFC 4015 3.2 resumes with the window as it was, and with what follows SND.MAX."""
    flow = Stamped(peer, 6)
    conn = flow.conn
    before = conn.info()
    flow.until_timeout()
    again = peer.tcp.mib.RetransSegs
    assert conn.info().cwnd == MSS < before.cwnd
    peer.advance(MILLISECOND)
    assert flow.ack(1, echo=flow.sent[0][0]) == []
    after = conn.info()
    assert after.cwnd >= before.cwnd and after.ssthresh == before.ssthresh
    for i in range(1, 6):
        assert flow.ack(i + 1, echo=flow.sent[i][0]) == []
    assert conn.unsent == 0 and peer.tcp.mib.RetransSegs == again
    assert peer.tcp.ext.TCPLossUndo == 1


def test_rfc3522_3_2_a_time_out_whose_ack_echoes_the_retransmission_stands(peer: TcpScript) -> None:
    flow = Stamped(peer, 6)
    flow.until_timeout()
    peer.advance(RTT)
    drawn = flow.ack(1, echo=flow.sent[0][-1])
    assert drawn, "the rest is sent again, in slow start"
    assert flow.conn.info().cwnd == 2 * MSS
    assert peer.tcp.ext.TCPLossUndo == 0


def test_rfc3522_3_2_a_recovery_whose_ack_echoes_the_original_is_undone(peer: TcpScript) -> None:
    """Reordered by more than the reordering window allows."""
    flow = Stamped(peer, 8)
    conn = flow.conn
    before = conn.info()
    peer.advance(RTT)
    assert flow.ack(0, (1, 4), echo=flow.sent[1][0])[0] == 0
    assert conn.info().recovering and conn.info().ssthresh < before.ssthresh
    peer.advance(MILLISECOND)
    flow.ack(8, echo=flow.sent[0][0])
    after = conn.info()
    assert not after.recovering and after.cwnd >= before.cwnd and after.ssthresh == before.ssthresh
    assert peer.tcp.ext.TCPFullUndo == 1


def test_rfc3522_3_2_an_ack_that_echoes_the_retransmission_undoes_nothing(peer: TcpScript) -> None:
    """It was needed: the window stays what it was reduced to."""
    flow = Stamped(peer, 8)
    conn = flow.conn
    peer.advance(RTT)
    assert flow.ack(0, (1, 4), echo=flow.sent[1][0]) == [0]
    flow.ack(0, (1, 8), echo=flow.sent[1][0])
    peer.advance(RTT)
    flow.ack(8, echo=flow.sent[0][1])
    info = conn.info()
    assert not info.recovering and info.cwnd == info.ssthresh == 4 * MSS
    ext = peer.tcp.ext
    assert (ext.TCPFullUndo, ext.TCPDSACKUndo, ext.TCPLossUndo) == (0, 0, 0)


def test_rfc4015_3_2_what_was_undone_can_be_lost_again(peer: TcpScript) -> None:
    flow = Stamped(peer, 8)
    peer.advance(RTT)
    flow.ack(0, (1, 4), echo=flow.sent[1][0])
    peer.advance(MILLISECOND)
    flow.ack(8, echo=flow.sent[0][0])
    flow.write(8, 8)
    peer.advance(RTT)
    drawn = flow.ack(8, (9, 16), echo=flow.sent[9][0])
    if not drawn:  # reordering was seen: RACK waits
        peer.run_to_timer()
        drawn = flow.look()
    assert drawn == [8]
    assert flow.conn.info().recovering and flow.conn.info().ssthresh == 4 * MSS
    peer.advance(RTT)
    flow.ack(16, echo=flow.sent[8][1])
    assert flow.conn.info().cwnd == 4 * MSS and peer.tcp.ext.TCPFullUndo == 1


def reduced(peer: TcpScript) -> Stamped:
    """Segments 0 and 1 were sent again and then all was acknowledged, by echoes that say nothing of which transmission came."""
    flow = Stamped(peer, 8)
    peer.advance(RTT)
    drawn = flow.ack(0, (2, 5), echo=flow.sent[2][0])
    drawn += flow.ack(0, (2, 8), echo=flow.sent[2][0])
    assert drawn == [0, 1]
    peer.advance(RTT)
    flow.ack(8, echo=flow.sent[1][1])
    assert not flow.conn.info().recovering and flow.conn.info().ssthresh == 4 * MSS
    return flow


def test_rfc3708_3_when_every_retransmission_is_reported_as_a_duplicate_the_reduction_is_undone(peer: TcpScript) -> None:
    flow = reduced(peer)
    flow.ack(8, (0, 1), echo=flow.sent[1][1])
    assert flow.conn.info().ssthresh == 4 * MSS, "one of two"
    flow.ack(8, (1, 2), echo=flow.sent[1][1])
    info = flow.conn.info()
    assert info.cwnd >= 8 * MSS and info.ssthresh > 4 * MSS
    assert peer.tcp.ext.TCPDSACKUndo == 1 and peer.tcp.ext.TCPDSACKRecv == 2


@pytest.mark.parametrize("times", [2, 20])
def test_rfc3708_3_the_same_duplicate_told_again_is_not_another(peer: TcpScript, times: int) -> None:
    """An ACK that the network has doubled, or a peer that wants more than its share."""
    flow = reduced(peer)
    for _ in range(times):
        flow.ack(8, (0, 1), echo=flow.sent[1][1])
    assert peer.tcp.ext.TCPDSACKUndo == 0 and flow.conn.info().ssthresh == 4 * MSS


def test_rfc3708_3_a_duplicate_of_what_was_sent_once_is_not_ours(peer: TcpScript) -> None:
    """The network has doubled a segment (3.5): nothing to undo."""
    flow = reduced(peer)
    flow.ack(8, (5, 6), echo=flow.sent[1][1])
    flow.ack(8, (6, 7), echo=flow.sent[1][1])
    assert peer.tcp.ext.TCPDSACKUndo == 0 and flow.conn.info().ssthresh == 4 * MSS
