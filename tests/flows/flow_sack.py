"""A peer with SACK, for flows about loss: segments named by their index in the stream, blocks made by hand or by a receiver."""

import struct

from netstack import const
from netstack.instant import MILLISECOND
from netstack.tcp import wire
from netstack.tcp.connection import Connection
from netstack.tcp.wire import Segment
from netstack.testing.script import TcpScript

ISS = ("plain", "half", "wrap", "within")  # see conftest.py
MSS = 1460
RTT = 20 * MILLISECOND  # of the handshake; what else is timed, the test decides
GRAIN = 2 * MILLISECOND  # what a timer may be late


def seq(i: int) -> int:
    """Of the first byte of segment `i`."""
    return 1 + i * MSS


def start(
    peer: TcpScript, segments: int, more: int = 0, window: int = 1 << 20, wscale: int | None = 7, congestion: str = "reno"
) -> Connection:
    """Established with SACK and without timestamps, `segments` in flight (ten at most), sent now, and `more` that wait."""
    peer.window = window
    peer.listen()
    peer.send("S", seq=0, mss=MSS, wscale=wscale, options=wire.sack_permitted_option(), window=min(window, const.M16))
    assert peer.expect("SA").option(4) == b""
    peer.scale = wscale or 0
    peer.advance(RTT)
    peer.send("A", seq=1, ack=1)
    conn = peer.conn
    conn.set_congestion(congestion)
    write(peer, 0, segments + more)
    assert indices(peer) == list(range(min(segments, 10)))
    return conn


def write(peer: TcpScript, first: int, count: int) -> None:
    """The user writes the segments from `first` on; each repeats its index."""
    peer.conn.write(b"".join(i.to_bytes(2, "big") * (MSS // 2) for i in range(first, first + count)), peer.now)


def indices(peer: TcpScript) -> list[int]:
    """The segments that were sent since the last look; one that is larger than one segment counts for all that it holds."""
    found = []
    for segment in peer.take():
        at = (segment.seq - peer.local_iss) % 2**32 - 1
        assert at % MSS == 0 or not segment.payload, "cut elsewhere than at first"
        found += range(at // MSS, (at + max(len(segment.payload), 1) + MSS - 1) // MSS)
    return found


def block_option(peer: TcpScript, blocks: list[tuple[int, int]]) -> bytes:
    """The option with these blocks, which are relative sequence numbers."""
    edges = [(peer.local_iss + edge) & const.M32 for block in blocks for edge in block]
    return struct.pack(f"!BBBB{len(edges)}I", 1, 1, 5, 2 + 4 * len(edges), *edges) if edges else b""


def sack(peer: TcpScript, ack: int, *blocks: tuple[int, int], window: int | None = None) -> list[int]:
    """An ACK of everything before segment `ack`, with blocks of segments, their ends exclusive. What it drew."""
    option = block_option(peer, [(seq(a), seq(b)) for a, b in blocks])
    peer.send("A", seq=1, ack=seq(ack), options=option, window=window)
    return indices(peer)


class Receiver:
    """Keeps what comes and acknowledges as RFC 2018 4 says: the block that grew last comes first, then others, three at most."""

    def __init__(self, peer: TcpScript, have: set[int] | None = None) -> None:
        self.peer = peer
        self.have = have or set()
        self.order: list[int] = []  # what came out of order, the last first

    def next(self) -> int:
        i = 0
        while i in self.have:
            i += 1
        return i

    def block(self, i: int) -> tuple[int, int]:
        a = b = i
        while a - 1 in self.have:
            a -= 1
        while b in self.have:
            b += 1
        return a, b

    def blocks(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for i in self.order:
            block = self.block(i)
            if block[0] >= self.next() and block not in found:
                found.append(block)
        return found[:3]

    def take(self, *arrived: int) -> list[int]:
        """These arrive one by one, each is acknowledged; what all that drew."""
        sent = []
        for i in arrived:
            self.have.add(i)
            if i in self.order:
                self.order.remove(i)
            self.order.insert(0, i)
            sent += sack(self.peer, self.next(), *self.blocks())
        return sent

    def finish(self, sent: list[int], last: int, rtt: int = RTT) -> list[int]:
        """From now on everything arrives a round trip later, until there is everything before `last`. All that was sent."""
        everything = list(sent)
        for _ in range(200):
            if self.next() >= last:
                return everything
            if sent:
                self.peer.advance(rtt)
                sent = indices(self.peer) + self.take(*sent)
            else:
                self.peer.run_to_timer()
                sent = indices(self.peer)
            everything += sent
        raise AssertionError(f"stuck at segment {self.next()}")


# -- timestamps ---------------------------------------------------------------------------------------------------------------


def stamp(segment: Segment) -> int:
    """TSval."""
    option = segment.option(8)
    assert option is not None, "no timestamps"
    return int.from_bytes(option[:4], "big")


def stamped(peer: TcpScript, value: int, echo: int, *blocks: tuple[int, int]) -> bytes:
    """Options: timestamps, and blocks of relative sequence numbers."""
    return wire.timestamps_option(value, echo) + block_option(peer, list(blocks))


class Stamped:
    """A peer with SACK and timestamps. `sent` are the segments of the stack, by index, each with all its transmissions."""

    MSS = 1448

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
        self.conn.write(b"".join(i.to_bytes(2, "big") * (self.MSS // 2) for i in range(first, first + count)), self.peer.now)
        assert self.look() == list(range(first, first + count))

    def look(self) -> list[int]:
        found = []
        for segment in self.peer.take():
            i = ((segment.seq - self.peer.local_iss) % 2**32 - 1) // self.MSS
            self.sent.setdefault(i, []).append(segment)
            found.append(i)
        return found

    def ack(self, ack: int, *blocks: tuple[int, int], echo: Segment) -> list[int]:
        """An ACK before segment `ack` with blocks of segments, that echoes the timestamp of `echo`. What it drew."""
        self.tick += 1
        edges = [(1 + a * self.MSS, 1 + b * self.MSS) for a, b in blocks]
        self.peer.send("A", seq=1, ack=1 + ack * self.MSS, options=stamped(self.peer, self.tick, stamp(echo), *edges))
        return self.look()

    def until_timeout(self) -> None:
        while not self.peer.tcp.ext.TCPTimeouts:
            self.peer.run_to_timer()
            self.look()
