"""The stream of a connection that speaks something else than HTTP now."""

from __future__ import annotations

from collections.abc import Callable

from ...instant import Duration
from ...signatures import Address, Stream


class Upgraded:
    """`stream`, from the first byte behind the request: what had been received with it comes first."""

    def __init__(self, stream: Stream, rest: bytes) -> None:
        self.stream = stream
        self._rest = rest
        self.on_closing: Callable[[], None] | None = None  # called when the server closes, for who would say goodbye

    @property
    def local_address(self) -> Address:
        return self.stream.local_address

    @property
    def remote_address(self) -> Address:
        return self.stream.remote_address

    async def receive(self, limit: int = 65536, timeout: Duration | None = None) -> bytes:
        if self._rest:
            piece, self._rest = self._rest[:limit], self._rest[limit:]
            return piece
        return await self.stream.receive(limit, timeout)

    async def send_all(self, data: bytes, timeout: Duration | None = None) -> None:
        await self.stream.send_all(data, timeout)

    async def send_eof(self) -> None:
        await self.stream.send_eof()

    async def aclose(self) -> None:
        await self.stream.aclose()

    def abort(self) -> None:
        self.stream.abort()
