"""Ways into each state of RFC 9293 3.3.2, for tests that ask the same of several."""

import attrs

from netstack.tcp.connection import Connection
from netstack.testing.script import TcpScript

CLOSERS = ("FIN-WAIT-1", "FIN-WAIT-2", "CLOSING", "TIME-WAIT")  # we close first, or at the same time
SYNCHRONIZED = ("ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT")


@attrs.frozen
class At:
    """Where both sides are: `seq` is the peer's next number (RCV.NXT), `una` and `nxt` are our SND.UNA and SND.NXT."""

    conn: Connection
    seq: int
    una: int
    nxt: int


def reach(peer: TcpScript, state: str, text: bytes = b"") -> At:
    """Lead a new connection into `state`. `text` is written before our FIN, if there is one, and is in flight with it."""
    conn = peer.establish()
    peers_fin = 1 if state in ("CLOSE-WAIT", "LAST-ACK") else 0
    if peers_fin:
        peer.send("FA", seq=1, ack=1)
    if text:
        conn.write(text, peer.now)
    una = nxt = 1
    if state not in ("ESTABLISHED", "CLOSE-WAIT"):
        conn.shutdown(peer.now)
        nxt += 1
    nxt += len(text)
    if state in ("FIN-WAIT-2", "TIME-WAIT"):
        una = nxt
        peer.send("A", seq=1, ack=nxt)
    if state in ("CLOSING", "TIME-WAIT"):
        peer.send("FA", seq=1, ack=una)
        peers_fin = 1
    assert conn.state_name == state
    peer.take()
    return At(conn, 1 + peers_fin, una, nxt)
