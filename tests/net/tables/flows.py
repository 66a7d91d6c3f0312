"""What the tables' worlds are made of: applications that only count, and what they may be told."""

from __future__ import annotations

from netstack.stack import StackConfig
from netstack.tcp.config import TcpConfig
from netstack.testing.net import Endpoint, Host

MSS = 1448  # of an Ethernet's 1500, less twelve bytes of timestamps
CHUNK = bytes(1 << 16)


class Source(Endpoint):
    """Sends `size` bytes as fast as it may, and ends; without a size it never ends."""

    def __init__(self, size: int | None = None) -> None:
        super().__init__()
        self.left = size

    def push(self, now: int) -> None:
        assert self.conn is not None
        while self.left is None or self.left > 0:
            piece = CHUNK if self.left is None or self.left >= len(CHUNK) else CHUNK[: self.left]
            if self.left is not None:
                self.left -= len(piece)
            if not self.conn.write(piece, now):
                return
        if self.close_after:
            self.close_after = False
            self.conn.shutdown(now)


class Meter(Endpoint):
    """Counts what arrives, and how long it ever had to wait for something."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.last = 0
        self.gap = 0

    def on_data(self, data: bytes, now: int) -> None:
        self.count += len(data)
        self.gap = max(self.gap, now - self.last)
        self.last = now

    def watch(self, now: int) -> None:
        """Gaps are counted from here."""
        self.last, self.gap = now, 0


def config(cc: str, buffer: int = 1 << 20) -> StackConfig:
    """Fixed buffers at both ends, so that a table says what it says whatever tunes itself."""
    return StackConfig(tcp=TcpConfig(congestion=cc, rcv_buf=buffer, snd_high=buffer, snd_low=buffer // 4))


def flow(a: Host, b: Host, size: int | None = None, port: int = 80) -> tuple[Source, Meter]:
    """A connection from `a`, which sends, to `b`."""
    meter = Meter()
    b.listen(port, lambda: meter)
    source = Source(size)
    a.connect(b, port, source)
    return source, meter


def count(host: Host, *names: str) -> int:
    """The sum of these counters of the host's TCP; one that this stack does not have counts as 0."""
    tcp = host.stack.tcp
    return sum(getattr(group, name, 0) for group in (tcp.mib, tcp.ext) for name in names)
