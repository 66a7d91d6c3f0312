"""How large a connection's buffers are: what its reader consumes, and what its congestion window lets through.

**Receive.** A window that is smaller than what the path carries in a round trip is what limits the connection; a larger one
costs memory whenever the reader pauses. So the buffer follows the reader: `Tuner` measures how many bytes the user takes in
one round trip, and says how much room that asks for.

    twice      what was consumed, because a hole holds up a round trip of data while it is filled, and the next comes behind it
    up to three times that, as far as consumption itself has grown: a sender in slow start sends twice as much in the next round
               trip, and twice that in the one after, the first for which all of what we offer now can count

A user who has paused consumes nothing, and one who reads in bursts consumes what that makes on average: what is counted is
scaled to one round trip when it took longer. The buffer never shrinks by itself.

A receiver has no round trips of its own to time. It has three sources, the later one taking over from the one before:

    the handshake          when it took no retransmission
    timestamps             the peer echoes what our ACK said; the difference is a round trip and whatever the sender waited
    a window's worth       without timestamps: what lies beyond the edge that we offered was sent after that offer had arrived

All of them err by being too long when the sender had nothing to send. So a shorter sample is taken at once, and a longer one
counts for an eighth, or for nothing when it is a window's worth: a larger window takes longer to arrive, which would make it
larger still. (Too long makes the buffer larger than need be; too short by half is within the factor of two.)

**Send.** A writer should keep the congestion window full and no more: everything beyond is delay. Twice the window is written
ahead of the ACKs, and the writer called back when a quarter of that, or 256 KiB, is free again: waking it costs the same for
any size, and where the buffer has reached its limit what is free is missing on the path. These marks are computed when
somebody asks; there is nothing to keep.

Linux measures the same way (tcp_rcv_space_adjust, "dynamic right-sizing"; tcp_sndbuf_expand).
"""

from .. import serial
from . import const as tc


class Tuner:
    """Made when a connection has received something worth measuring: an idle one has none."""

    __slots__ = ("at", "echo", "edge", "edge_at", "promised", "rtt", "seq", "space")

    def __init__(self, read: int, edge: int, rtt: int, now: int) -> None:
        """`read` is the next byte that the user will get, `edge` the right edge of the window; `rtt` 0 when it is not known."""
        self.rtt = rtt  # ns
        self.space = 0  # the most bytes that were consumed in one round trip
        self.seq = read  # where the measurement began …
        self.at = now  # … and when
        self.echo = 0  # the last timestamp that was echoed: the next of the same value says nothing new
        self.edge = edge
        self.edge_at = now
        self.promised = 0  # the window of an earlier, larger buffer: it was offered, and stays so

    def sample(self, rtt: int) -> None:
        if rtt < self.rtt or self.rtt == 0:
            self.rtt = rtt
        else:
            self.rtt += (rtt - self.rtt) // 8  # of positive numbers

    def echoed(self, tsecr: int, ts_now: int) -> None:
        """A full-sized segment has come that echoes `tsecr`, which is not the last one."""
        self.echo = tsecr
        ticks = serial.sub(ts_now, tsecr)
        if ticks * tc.TS_TICK <= tc.RTO_MAX:
            self.sample(ticks * tc.TS_TICK if ticks else tc.TS_TICK)

    def arrived(self, rcv_nxt: int, edge: int, now: int) -> None:
        """Everything before `rcv_nxt` has come, and `edge` is offered."""
        if serial.lt(self.edge, rcv_nxt):
            if now > self.edge_at and (self.rtt == 0 or now - self.edge_at < self.rtt):
                self.rtt = now - self.edge_at
            self.edge = edge
            self.edge_at = now

    def consumed(self, read: int, now: int) -> int:
        """The user has taken everything before `read`. Returns the bytes that the buffer should have, or 0: no news."""
        took = now - self.at
        if took < self.rtt or self.rtt == 0 or took == 0:
            return 0
        if serial.lt(read, self.seq):
            return 0  # what was read here has been passed on, and lies elsewhere unconsumed (splice.py)
        n = serial.sub(read, self.seq)
        if took > self.rtt:
            n = n * (self.rtt // 1000 + 1) // (took // 1000 + 1)  # in microseconds, or the product could pass 2**63
        self.seq = read
        self.at = now
        if n <= self.space:
            return 0
        more = n - self.space
        want = 6 * n if more >= self.space else 2 * n + 4 * n * more // self.space
        self.space = n
        return want


def send_high(cwnd: int, most: int) -> int:
    """Unacknowledged bytes at which a writer is stopped, for this congestion window, -1 for none yet."""
    high = 2 * cwnd
    if high < tc.SND_START:
        high = tc.SND_START
    return high if high < most else most


def send_low(high: int) -> int:
    """Bytes at which it is called back."""
    return high - (high // 4 if high < 4 * tc.SND_START else tc.SND_START)
