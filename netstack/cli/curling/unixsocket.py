"""--unix-socket: a server behind a name in the file system, whatever host the URL names."""

from __future__ import annotations

import asyncio

from ...errors import ClosedError, TimedOut, UsageError
from ...instant import SECOND, Duration
from ...signatures import Address, Stream, StreamHandler, StreamListener


class UnixSocket:
    """A stack that leads to one place."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def connect_stream(self, host: str, port: int, timeout: Duration | None = None) -> Stream:
        try:
            async with asyncio.timeout(None if timeout is None else timeout / SECOND):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=1 << 18)
        except TimeoutError:
            raise TimedOut(f"timed out connecting to {self._path}") from None
        return _UnixStream(self._path, reader, writer)

    async def serve_streams(self, handler: StreamHandler, port: int, host: str = "", backlog: int = 128) -> StreamListener:
        raise UsageError("nothing is served here")


class _UnixStream:
    def __init__(self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.local_address: Address = ("", writer.get_extra_info("socket").fileno())
        self.remote_address: Address = (path, 0)
        self._reader, self._writer = reader, writer
        self._closed = False

    async def receive(self, limit: int = 65536, timeout: Duration | None = None) -> bytes:
        if self._closed:
            raise ClosedError("this stream was closed")
        if timeout == 0 and not self._reader._buffer and not self._reader.at_eof():  # type: ignore[attr-defined]  # is there anything?
            raise TimedOut("nothing is here")
        try:
            async with asyncio.timeout(None if timeout is None else max(timeout / SECOND, 0.001)):
                return await self._reader.read(limit)
        except TimeoutError:
            raise TimedOut("nothing came in time") from None

    async def send_all(self, data: bytes, timeout: Duration | None = None) -> None:
        if self._closed:
            raise ClosedError("this stream was closed")
        self._writer.write(data)
        try:
            async with asyncio.timeout(None if timeout is None else timeout / SECOND):
                await self._writer.drain()
        except TimeoutError:
            raise TimedOut("nothing was taken in time") from None

    async def send_eof(self) -> None:
        self._writer.write_eof()

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._writer.close()
            await self._writer.wait_closed()

    def abort(self) -> None:
        self._closed = True
        self._writer.transport.abort()
