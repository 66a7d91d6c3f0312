"""Load for measurements: users of connections and ports that do one thing, and cost next to nothing themselves.

    Sink     counts what it is given                      Source   writes the same chunk for as long as it may
    Echo     sends back what it is given                  Pinger   writes again whenever something comes
    Once     writes, and closes when an answer has come   Bounce   a UDP port that sends each datagram back

They are compiled, so what is measured is the stack. An application in Python pays for its own calls.
"""

from .. import raw
from ..cores import DatagramUser, Frame, StreamUser
from ..tcp.connection import Connection
from ..udp.core import UdpPort


class Quiet(StreamUser):
    """Does nothing. `opened`, `received`, `ended`, `error`: what has been told so far."""

    __slots__ = ("conn", "ended", "error", "opened", "received")

    def __init__(self) -> None:
        self.conn: Connection = None  # type: ignore[assignment]  # `bind` follows
        self.opened = False
        self.received = 0
        self.ended = False
        self.error: Exception | None = None

    def bind(self, conn: Connection) -> None:
        self.conn = conn

    def connected(self, now: int) -> None:
        self.opened = True

    def data(self, f: Frame, n: int, now: int) -> None:
        self.received += n

    def queued(self, data: bytes, now: int) -> None:
        self.received += len(data)

    def eof(self, now: int) -> None:
        self.conn.close(now)

    def writable(self, now: int) -> None:
        pass

    def closed(self, error: "Exception | None", now: int) -> None:
        self.ended = True
        self.error = error
        self.conn = None  # type: ignore[assignment]


class Sink(Quiet):
    """`copy`: take the bytes out of the slab, as a program that keeps them has to."""

    __slots__ = ("copy",)

    def __init__(self, copy: bool) -> None:
        super().__init__()
        self.copy = copy

    def data(self, f: Frame, n: int, now: int) -> None:
        self.received += n
        if self.copy:
            raw.take(f.buf, f.off, n)


class Echo(Quiet):
    __slots__ = ()

    def data(self, f: Frame, n: int, now: int) -> None:
        self.received += n
        self.conn.write(raw.take(f.buf, f.off, n), now)

    def queued(self, data: bytes, now: int) -> None:
        self.received += len(data)
        self.conn.write(data, now)


class Source(Quiet):
    """`limit` bytes in all, in chunks."""

    __slots__ = ("chunk", "left")

    def __init__(self, chunk: bytes, limit: int) -> None:
        super().__init__()
        self.chunk = chunk
        self.left = limit

    def connected(self, now: int) -> None:
        self.opened = True
        self.writable(now)

    def writable(self, now: int) -> None:
        while self.left > 0:
            self.left -= len(self.chunk)
            if not self.conn.write(self.chunk, now):
                return


class Pinger(Quiet):
    """Begins with `kick`; then each answer draws the next message, `left` of them."""

    __slots__ = ("left", "message")

    def __init__(self, message: bytes, count: int) -> None:
        super().__init__()
        self.message = message
        self.left = count

    def kick(self, now: int) -> None:
        self.left -= 1
        self.conn.write(self.message, now)

    def data(self, f: Frame, n: int, now: int) -> None:
        self.received += n
        if self.left > 0:
            self.left -= 1
            self.conn.write(self.message, now)


class Once(Quiet):
    """A request, an answer, the end: by a FIN, or by a RST, as load generators do that must not run out of ports."""

    __slots__ = ("message", "reset")

    def __init__(self, message: bytes, reset: bool) -> None:
        super().__init__()
        self.message = message
        self.reset = reset

    def connected(self, now: int) -> None:
        self.opened = True
        self.conn.write(self.message, now)

    def data(self, f: Frame, n: int, now: int) -> None:
        self.received += n
        if self.reset:
            self.conn.abort(now)
        else:
            self.conn.close(now)


class Bounce(DatagramUser):
    __slots__ = ("port", "received")

    def __init__(self) -> None:
        self.port: UdpPort = None  # type: ignore[assignment]  # `bind` follows
        self.received = 0

    def bind(self, port: UdpPort) -> None:
        self.port = port

    def datagram(self, f: Frame, sport: int, now: int) -> None:
        self.received += 1
        self.port.send(raw.take(f.buf, f.off, f.end - f.off), f.src, sport, now)

    def error(self, e: Exception, address: int, port: int, now: int) -> None:
        pass
