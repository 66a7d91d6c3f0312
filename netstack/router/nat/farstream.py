"""A connected socket of the host as a `Stream` (signatures.py), for handlers that stand between a guest and the far side."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from ...errors import BrokenError, BusyError, ClosedError, TimedOut, UsageError
from ...instant import SECOND, Duration
from ...runtime.doors.hostside import CHUNK, HostEnd
from ...signatures import Address


class FarStream(HostEnd):
    """Buffers no more than one read."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(sock, loop)
        self._rest = b""
        self._broken: OSError | None = None
        self._reading = False
        self._writing = False
        self._ended = False
        self._local = _address(sock.getsockname())
        self._remote = _address(sock.getpeername())

    @property
    def local_address(self) -> Address:
        return self._local

    @property
    def remote_address(self) -> Address:
        """For a unix socket its path, and 0."""
        return self._remote

    def _check(self) -> None:
        if self._broken is not None:
            raise BrokenError(f"the connection is gone: {self._broken}") from self._broken
        if self.sock.fileno() < 0:
            raise ClosedError("this stream is closed")

    async def receive(self, limit: int = 65536, timeout: Duration | None = None) -> bytes:
        if limit < 1:
            raise UsageError(f"receive({limit}) can't return anything: ask for one byte or more")
        if self._reading:
            raise BusyError("another task is already receiving from this stream")
        self._check()
        if not self._rest:
            self._reading = True
            try:
                async with _patience(timeout, "waiting for the peer to send"):
                    self._rest = await self.take()
            except OSError as error:
                if not isinstance(error, TimedOut):
                    self._broken = error
                    self._check()
                raise
            finally:
                self._reading = False
        data, self._rest = self._rest[:limit], self._rest[limit:]
        return data

    async def send_all(self, data: bytes, timeout: Duration | None = None) -> None:
        if self._writing:
            raise BusyError("another task is already sending on this stream")
        self._check()
        if self._ended:
            raise ClosedError("this side of the stream has ended: send before send_eof")
        self._writing = True
        try:
            async with _patience(timeout, "waiting for the peer to read"):
                for at in range(0, len(data), CHUNK):
                    await self.put(memoryview(data)[at : at + CHUNK])
        except TimedOut as error:  # a part may be on its way: what follows would be torn
            self._broken = error
            raise
        except OSError as error:
            self._broken = error
            self._check()
        except asyncio.CancelledError:
            self._broken = OSError("a send was cancelled half-way")
            raise
        finally:
            self._writing = False

    async def send_eof(self) -> None:
        if self._broken is None and self.sock.fileno() >= 0 and not self._ended:
            self._ended = True
            await self.put_eof()

    async def aclose(self) -> None:
        self.close()


class _patience:
    """A time-out in nanoseconds, with our error."""

    def __init__(self, timeout: Duration | None, what: str) -> None:
        self._what = what
        self._limit = asyncio.timeout(None if timeout is None else timeout / SECOND)

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()

    async def __aexit__(self, *exc: object) -> None:
        try:
            await self._limit.__aexit__(*exc)  # type: ignore[arg-type]  # as they come
        except TimeoutError as error:
            raise TimedOut(f"timed out {self._what}") from error


def _address(name: object) -> Address:
    if isinstance(name, tuple):
        return str(name[0]), int(name[1])
    return (name.decode(errors="surrogateescape") if isinstance(name, bytes) else str(name)), 0


def connected(sock: socket.socket, loop: asyncio.AbstractEventLoop) -> FarStream:
    """Raises OSError when it is not, or no longer."""
    try:
        return FarStream(sock, loop)
    except BaseException:
        with contextlib.suppress(OSError):
            sock.close()
        raise
