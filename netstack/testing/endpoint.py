"""An application for tests: sends what it was given as fast as it may, and writes down all that it is told."""

from __future__ import annotations

from ..tcp.connection import Connection


class Endpoint:
    """`payload` is sent once connected, and then our side ends, unless `close` is False."""

    def __init__(self, payload: bytes = b"", *, close: bool = True) -> None:
        self.payload = payload
        self.close_after = close
        self.sent = 0
        self.received = bytearray()
        self.events: list[str] = []
        self.error: Exception | None = None
        self.conn: Connection | None = None

    def push(self, now: int) -> None:
        """Write until the connection says stop; then end our side if all is written."""
        assert self.conn is not None
        while self.sent < len(self.payload):
            piece = self.payload[self.sent : self.sent + 65536]
            self.sent += len(piece)
            if not self.conn.write(piece, now):
                return
        if self.close_after:
            self.close_after = False
            self.conn.shutdown(now)

    @property
    def is_closed(self) -> bool:
        return "closed" in self.events

    def on_connected(self, now: int) -> None:
        self.events.append("connected")
        self.push(now)

    def on_data(self, data: bytes, now: int) -> None:
        self.received += data

    def on_eof(self, now: int) -> None:
        self.events.append("eof")

    def on_writable(self, now: int) -> None:
        self.push(now)

    def on_closed(self, error: Exception | None, now: int) -> None:
        self.events.append("closed")
        self.error = error
