"""The stream inside of a stream of HTTP/2 that speaks something else now (RFC 8441)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...errors import ClosedError, UsageError
from ...instant import Duration
from ...signatures import Address
from ..h2.engine import Engine

if TYPE_CHECKING:
    from .exchange2 import Exchange2


class Tunnel:
    """Bytes both ways: `Stream`, over DATA."""

    def __init__(self, exchange: Exchange2, engine: Engine, nudge: Callable[[], None]) -> None:
        self._exchange = exchange
        self._engine = engine
        self._nudge = nudge
        self._rest = b""
        self._ended = self._closed = False

    @property
    def local_address(self) -> Address:
        return self._exchange.local_address

    @property
    def remote_address(self) -> Address:
        return self._exchange.remote_address

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
        if self._exchange.lost is not None:
            raise self._exchange.lost
        await self._exchange.push(data, timeout)

    async def send_eof(self) -> None:
        if not self._ended:
            self._ended = True
            if self._exchange.lost is None:
                self._engine.finish(self._exchange.number)
                self._exchange.finished = True
                self._nudge()

    async def aclose(self) -> None:
        await self.send_eof()
        self._closed = True

    def abort(self) -> None:
        if not self._closed:
            self._closed = self._ended = True
            self._exchange.abort()
