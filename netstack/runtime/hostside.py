"""The host's own sockets, for what stands with one foot in the stack and with the other in the kernel: forwards, proxies, bridges.

They are the kernel's whatever happens around them. `patch()` replaces names in the module `socket`, so the originals are taken
here, before it can; and a loop may serve `sock_connect` and its like of any socket object by a stack (loop.py), so everything here
waits for a bare descriptor, with `add_reader` and `add_writer`, which stay the host's on every loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

from ..errors import ClosedError

KernelSocket = socket.socket
kernel_socketpair = socket.socketpair
kernel_getaddrinfo = socket.getaddrinfo
kernel_create_connection = socket.create_connection
kernel_create_server = socket.create_server

CHUNK = 256 * 1024  # what one recv asks for: four super-segments
RESET = struct.pack("ii", 1, 0)  # SO_LINGER for no time: close() resets
PAUSE = 1.0  # seconds without accepting when descriptors run out: as asyncio does
# the kernel took the connection away again, or the process has no descriptor left: neither ends a listener
GONE = {errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EPERM}
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Waits:
    """A kernel socket that doesn't block, and whoever waits for it: one reader, one writer."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.fd = sock.fileno()
        self._loop = loop
        self._reader: asyncio.Future[Any] | None = None
        self._watched = False

    async def read(self, read: Callable[[], Any]) -> Any:
        """The value of `read()` as soon as it gives one. The descriptor stays registered from one call to the next."""
        if self.sock.fileno() < 0:
            raise ClosedError("this socket is closed")
        try:
            return read()
        except (BlockingIOError, InterruptedError):
            pass
        future = self._reader = self._loop.create_future()
        self._read = read
        if not self._watched:
            self._watched = True
            self._loop.add_reader(self.fd, self._readable)
        try:
            return await future
        finally:
            self._reader = None

    def _readable(self) -> None:
        future = self._reader
        if future is None or future.done():  # nobody is in a hurry: what comes waits in the kernel
            self._unwatch()
            return
        try:
            value = self._read()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            future.set_exception(error)
        else:
            future.set_result(value)  # read here and now, or the descriptor would be ready again before the task has run

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = False
            self._loop.remove_reader(self.fd)

    async def writable(self) -> None:
        future = self._loop.create_future()
        self._loop.add_writer(self.fd, _wake, future)
        try:
            await future
        finally:
            if self.sock.fileno() == self.fd:  # or `close` has done it
                self._loop.remove_writer(self.fd)

    def close(self) -> None:
        """Whoever reads gets ClosedError."""
        if self.sock.fileno() < 0:
            return
        self._unwatch()
        self._loop.remove_writer(self.fd)
        self.sock.close()
        if self._reader is not None and not self._reader.done():
            self._reader.set_exception(ClosedError("closed while somebody was reading"))


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class HostEnd(Waits):
    """A connected stream socket of the host as an end of a joint (joint.py)."""

    async def take(self) -> bytes:
        """What has come, at least a byte; b"" when the peer has ended its side. Raises OSError."""
        data: bytes = await self.read(self._recv)
        return data

    def _recv(self) -> bytes:
        return self.sock.recv(CHUNK)

    async def put(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self.sock.send(view) :]
            except (BlockingIOError, InterruptedError):
                await self.writable()

    async def put_eof(self) -> None:
        with contextlib.suppress(OSError):  # reset a moment ago: whoever reads hears of it
            self.sock.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Close it with a reset. A unix socket knows none: its peer reads the end, or ECONNRESET if it had not been read whole."""
        if self.sock.fileno() >= 0 and self.sock.family != socket.AF_UNIX:
            with contextlib.suppress(OSError):
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close()


class HostPackets(Waits):
    """A UDP socket of the host, with the verbs of `streams.UdpSocket`."""

    async def receive(self) -> tuple[bytes, Any]:
        data: tuple[bytes, Any] = await self.read(self._recvfrom)
        return data

    def _recvfrom(self) -> tuple[bytes, Any]:
        return self.sock.recvfrom(65536)

    def send_nowait(self, data: bytes, address: Any = None) -> None:
        """What the kernel has no room for is lost, as on any network. Raises OSError for the rest."""
        with contextlib.suppress(BlockingIOError):
            if address is None:
                self.sock.send(data)
            else:
                self.sock.sendto(data, address)


class HostListener(Waits):
    """Gives `on_connection(sock)` every connection to a listening socket of the host, but while `pause` holds: then they wait in
    the kernel's backlog, and beyond it their SYNs do."""

    def __init__(
        self, sock: socket.socket, loop: asyncio.AbstractEventLoop, on_connection: Callable[[socket.socket], object]
    ) -> None:
        super().__init__(sock, loop)
        self._on_connection = on_connection
        self._paused = False
        self.resume()

    def pause(self) -> None:
        self._paused = True
        self._unwatch()

    def resume(self) -> None:
        self._paused = False
        if not self._watched and self.sock.fileno() >= 0:
            self._watched = True
            self._loop.add_reader(self.fd, self._accept)

    def _accept(self) -> None:
        for _ in range(64):
            if self._paused or self.sock.fileno() < 0:
                return
            try:
                sock, _address = self.sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in EXHAUSTED:
                    self._unwatch()
                    self._loop.call_later(PAUSE, self._again)
                    return
                if error.errno in GONE:
                    continue
                self._unwatch()
                context = {"message": "a listening socket of the host failed", "exception": error}
                self._loop.call_exception_handler(context)
                return
            self._on_connection(sock)

    def _again(self) -> None:
        if not self._paused:
            self.resume()


async def resolve(host: str, port: int, kind: int, loop: asyncio.AbstractEventLoop) -> list[tuple[Any, ...]]:
    """`getaddrinfo` of the host's resolver, in a thread."""
    return await loop.run_in_executor(None, lambda: kernel_getaddrinfo(host, port, 0, kind))


async def dial(family: int, address: Any, loop: asyncio.AbstractEventLoop) -> HostEnd:
    """Connect a stream socket of the host. Raises OSError; a cancelled call leaves nothing behind."""
    end = HostEnd(KernelSocket(family, socket.SOCK_STREAM), loop)
    try:
        error = end.sock.connect_ex(address)
        if error == errno.EAGAIN:  # a unix socket whose listener's backlog is full: nobody tells when it is not
            raise BlockingIOError(error, "the listener's backlog is full")
        if error in (errno.EINPROGRESS, errno.EINTR):
            await end.writable()
            error = end.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        if family != socket.AF_UNIX:
            end.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what comes in pieces goes on in pieces
    except BaseException:
        end.close()
        raise
    return end


async def dial_tcp(host: str, port: int, loop: asyncio.AbstractEventLoop) -> HostEnd:
    """Connect to a name or address of the host's world: the first of its addresses that answers. Raises OSError."""
    failure: OSError | None = None
    for family, _kind, _proto, _name, address in await resolve(host, port, socket.SOCK_STREAM, loop):
        try:
            return await dial(family, address, loop)
        except OSError as error:
            failure = failure or error
    assert failure is not None  # getaddrinfo raises where there is nothing
    raise failure
