"""The compiled half of a datagram socket: the user of its port, and what nobody has read yet.

The bound counts what the memory costs, not the bytes alone: a flood of empty datagrams must not be free. A full queue drops what
comes, as everybody's does.
"""

from collections import deque
from typing import Protocol

from .. import const, raw
from ..cores import DatagramUser, Frame
from ..udp.mib import UdpMib
from ..udp.queue import LIMIT

Item = tuple[bytes, int, int, int, int, int]  # data, source address and port, destination, ttl, tos


class Face(Protocol):
    def changed(self) -> None: ...
    def failed(self, error: Exception, address: int, port: int, /) -> None:
        """An ICMP error about something that was sent to there."""


class DatagramEnd(DatagramUser):
    __slots__ = ("dropped", "face", "held", "limit", "mib", "queue")

    def __init__(self, mib: UdpMib, face: Face) -> None:
        self.mib = mib
        self.face = face
        self.limit = LIMIT
        self.held = 0
        self.dropped = 0
        self.queue: deque[Item] = deque()

    def get(self) -> Item:
        """The oldest; there is one."""
        item = self.queue.popleft()
        self.held -= len(item[0]) + const.DATAGRAM_OVERHEAD
        return item

    def clear(self) -> None:
        self.queue.clear()
        self.held = 0

    def datagram(self, f: Frame, sport: int, now: int) -> None:
        n = f.end - f.off
        # one is always taken: a bound below the longest datagram must not make a socket deaf to it
        if self.queue and self.held + n + const.DATAGRAM_OVERHEAD > self.limit:
            self.dropped += 1
            self.mib.RcvbufErrors += 1
            self.mib.InErrors += 1
            return
        self.queue.append((raw.take(f.buf, f.off, n), f.src, sport, f.dst, f.ttl, f.tos))
        self.held += n + const.DATAGRAM_OVERHEAD
        self.face.changed()

    def error(self, e: Exception, address: int, port: int, now: int) -> None:
        self.face.failed(e, address, port)
