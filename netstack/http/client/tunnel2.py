"""What an extended CONNECT has opened inside of a connection of HTTP/2 (RFC 8441): a stream of bytes both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import ClosedError, TimedOut, UsageError
from ...instant import Duration
from ...signatures import Address

if TYPE_CHECKING:
    from .connection2 import Exchange2

QUEUE = 131072  # bytes that wait for the server's window, beyond which a sender does too


class Tunnel2:
    """`Stream`. The connection below is shared, and its end is this one's."""

    def __init__(self, exchange: Exchange2) -> None:
        self._exchange = exchange
        self._connection = exchange.connection
        self._rest = b""
        self._ended = self._closed = False

    @property
    def local_address(self) -> Address:
        return self._connection.stream.local_address

    @property
    def remote_address(self) -> Address:
        return self._connection.stream.remote_address

    async def receive(self, limit: int = 65536, timeout: Duration | None = None) -> bytes:
        if limit < 1:
            raise UsageError(f"receive at least one byte, not {limit}")
        if self._closed:
            raise ClosedError("this stream was closed")
        data = self._rest or await self._exchange.piece(timeout)
        self._rest = data[limit:]
        return data[:limit]

    async def send_all(self, data: bytes, timeout: Duration | None = None) -> None:
        if self._ended or self._closed:
            raise ClosedError("this side of the stream was ended")
        exchange, connection = self._exchange, self._connection
        exchange.check()
        waiting = connection.engine.body(exchange.number, bytes(data))
        connection.nudge()
        until = None if timeout is None else connection.waits.now() + timeout
        while waiting > QUEUE:
            left = None if until is None else Duration(until - connection.waits.now())
            if left is not None and left <= 0:
                raise TimedOut("the server takes nothing")
            await exchange.roomy(left)
            exchange.check()
            waiting = connection.engine.queued(exchange.number)

    async def send_eof(self) -> None:
        if not self._ended:
            self._ended = True
            if self._exchange.number in self._connection.engine.streams:
                self._connection.engine.finish(self._exchange.number)
                self._connection.nudge()

    async def aclose(self) -> None:
        if not self._closed:
            await self.send_eof()
            self._closed = True
            self._exchange.leave()

    def abort(self) -> None:
        if not self._closed:
            self._closed = self._ended = True
            self._connection.engine.reset(self._exchange.number)
            self._exchange.leave()
