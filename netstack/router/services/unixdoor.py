"""Unix sockets as a `StreamStack`: for the control socket, and for who talks to it. Only its owner may enter (mode 0600)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Awaitable, Callable

from ...errors import AddressInUse, BrokenError, BusyError, ClosedError, Refused, TimedOut, Unreachable, UsageError
from ...instant import SECOND, Duration
from ...runtime.doors.ends import PATH_MAX
from ...runtime.doors.hostside import HostEnd, HostListener, KernelSocket, dial
from ...signatures import Address, Stream

CHUNK = 65536
BACKLOG = 64


class UnixStream:
    """`signatures.Stream` over a unix socket."""

    def __init__(self, end: HostEnd, path: str) -> None:
        self._end = end
        self._path = path
        self._rest = b""
        self._closed = self._ended = self._receiving = self._sending = False
        self._error: OSError | None = None

    @property
    def local_address(self) -> Address:
        return self._path, 0

    remote_address = local_address

    @property
    def closed(self) -> bool:
        return self._closed

    def _check(self) -> None:
        if self._closed:
            raise ClosedError("this stream is closed")
        if self._error is not None:
            raise BrokenError(f"the connection is gone: {self._error}") from self._error

    async def receive(self, limit: int = CHUNK, timeout: Duration | None = None) -> bytes:
        if limit < 1:
            raise UsageError(f"receive({limit}) can't return anything: ask for one byte or more")
        if self._receiving:
            raise BusyError("another task is already receiving from this stream")
        self._receiving = True
        try:
            if not self._rest:
                self._check()
                # `take` reads when it is sure to return: a cancelled or late call has taken nothing
                async with asyncio.timeout(None if timeout is None else timeout / SECOND):
                    self._rest = await self._end.take()
        except TimeoutError:
            raise TimedOut("waiting for the peer to send") from None
        except OSError as error:
            self._error = error
            self._check()
        finally:
            self._receiving = False
        data, self._rest = self._rest[:limit], self._rest[limit:]
        return data

    async def send_all(self, data: bytes | memoryview, timeout: Duration | None = None) -> None:
        """What is cancelled or late breaks the stream, for a part may have been sent."""
        self._check()
        if self._ended:
            raise ClosedError("this side of the stream has been ended: send before send_eof()")
        if self._sending:
            raise BusyError("another task is already sending on this stream")
        self._sending = True
        try:
            async with asyncio.timeout(None if timeout is None else timeout / SECOND):
                await self._end.put(data)
        except TimeoutError:
            self._error = TimedOut("the peer doesn't read")
            raise self._error from None
        except OSError as error:
            self._error = error
            self._check()
        except asyncio.CancelledError:
            self._error = TimedOut("sending was given up half-way")
            raise
        finally:
            self._sending = False

    async def send_eof(self) -> None:
        if not self._closed and not self._ended:
            self._ended = True
            await self._end.put_eof()

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._end.close()

    def abort(self) -> None:
        self.close()


class UnixListener:
    def __init__(self, door: UnixStreams, listener: HostListener) -> None:
        self._door = door
        self._listener = listener
        self.closed = False

    @property
    def address(self) -> Address:
        return self._door.path, 0

    async def aclose(self) -> None:
        if not self.closed:
            self.closed = True
            self._listener.close()
            with contextlib.suppress(OSError):
                os.unlink(self._door.path)


class UnixStreams:
    """A `StreamStack` on one path: hosts and ports mean nothing. `aclose` ends what it serves."""

    def __init__(self, path: str) -> None:
        if not path or "\0" in path or len(path.encode()) > PATH_MAX:
            raise UsageError(f"{path!r} is no path of a unix socket: it has 1 to {PATH_MAX} bytes")
        self.path = path
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect_stream(self, host: str = "", port: int = 0, timeout: Duration | None = None) -> UnixStream:
        """Raises Refused, Unreachable."""
        try:
            end = await dial(socket.AF_UNIX, self.path, asyncio.get_running_loop())
        except (ConnectionRefusedError, FileNotFoundError):
            raise Refused(f"nobody listens at {self.path}: is the router running?") from None
        except OSError as error:
            raise Unreachable(f"{self.path}: {error.strerror}", error.errno) from None
        return UnixStream(end, self.path)

    async def serve_streams(
        self, handler: Callable[[Stream], Awaitable[None]], port: int = 0, host: str = "", backlog: int = BACKLOG
    ) -> UnixListener:
        """Raises AddressInUse, OSError."""
        loop = asyncio.get_running_loop()
        await self._take_over()
        sock = KernelSocket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            old = os.umask(0o177)  # the socket is there from bind() on, and nobody else may be faster
            try:
                sock.bind(self.path)
            finally:
                os.umask(old)
            sock.listen(backlog)
        except BaseException:
            sock.close()
            raise

        async def attend(stream: UnixStream) -> None:
            try:
                await handler(stream)
            except Exception as error:
                stream.abort()
                loop.call_exception_handler({"message": "Unhandled exception in a stream handler", "exception": error})
            finally:
                stream.close()

        def accepted(sock: socket.socket) -> None:
            task = loop.create_task(attend(UnixStream(HostEnd(sock, loop), self.path)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return UnixListener(self, HostListener(sock, loop, accepted))

    async def _take_over(self) -> None:
        """A socket that its process has left behind is removed; a living one, and what is no socket, stays."""
        try:
            mode = os.stat(self.path).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise AddressInUse(f"{self.path} is there, and no socket: name another path")
        try:
            (await self.connect_stream()).close()
        except Refused:
            os.unlink(self.path)
        else:
            raise AddressInUse(f"somebody listens at {self.path} already")

    async def aclose(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
