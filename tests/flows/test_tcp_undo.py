"""Losses that were none: what was sent again in vain is noticed, and the window comes back (RFC 3522, 4015, 3708)."""

import pytest
from flow_sack import ISS, RTT, Stamped

from netstack.instant import MILLISECOND
from netstack.testing.script import TcpScript

pytestmark = pytest.mark.parametrize("script", ISS, indirect=True)
MSS = Stamped.MSS


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
