"""trio's own sockets on a stack: what programs that know nothing of stacks get from `trio.socket.socket`.

A `TrioSocket` is a socket of the stack (sockets/base.py) that waits as trio's do: every call is a checkpoint, a cancelled one has
taken nothing and given nothing, closing a socket wakes whoever waits for it with `ClosedResourceError`, and two tasks that wait for
the same direction are told that the resource is busy. `trio.SocketStream`, `SocketListener`, `open_tcp_stream`, `serve_tcp` and
what is built of them, httpx and anyio among it, can't tell the difference.

No descriptor carries it. Programs that ask for one get a number that is none, far above any that can be open, as long as the
socket is: some only look whether it is negative.
"""

from __future__ import annotations

import errno
import itertools
import operator
import os
import socket as stdlib
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar

import trio

from ..sockets import const as c
from ..sockets.base import Socket
from ..sockets.failures import failure
from .trio_wait import Waiter

T = TypeVar("T")
Raised = type[BaseException] | None
READ = c.POLLIN | c.POLLERR | c.POLLHUP
WRITE = c.POLLOUT | c.POLLERR | c.POLLHUP

_numbers = itertools.count(1 << 30)


class TrioSocket(trio.socket.SocketType):
    """A socket of a stack with the methods of trio's."""

    def __init__(self, core: Socket, adopted: Any = None) -> None:
        """`adopted` is the program's object that has become a socket of the stack (adoption.py): it ends with this one."""
        super().__init__()
        self._core = core
        self._adopted = adopted
        self._number = next(_numbers)
        self._closed = False
        self._reader = Waiter()
        self._writer = Waiter()
        self._shut = False

    @property
    def core(self) -> Socket:
        """The socket of the stack. Raises OSError: EBADF once this one is closed."""
        if self._closed:
            raise failure(errno.EBADF)
        return self._core

    @property
    def _sock(self) -> TrioSocket:
        """Where trio's own have the standard library's socket. Its questions are answered here: addresses and options."""
        return self

    # -- what it is ---------------------------------------------------------------------------------------------------------

    @property
    def family(self) -> stdlib.AddressFamily:
        return stdlib.AddressFamily(self._core.family)

    @property
    def type(self) -> stdlib.SocketKind:
        return stdlib.SocketKind(self._core.type)

    @property
    def proto(self) -> int:
        return self._core.proto

    @property
    def did_shutdown_SHUT_WR(self) -> bool:
        return self._shut

    def __repr__(self) -> str:
        return f"<trio socket {self._number if self.fileno() >= 0 else 'closed'} on a netstack: {self._core!r}>"

    def fileno(self) -> int:
        """A number for as long as it is open, and no descriptor."""
        return -1 if self._closed or self._core.closed else self._number

    def getsockname(self) -> Any:
        return self.core.getsockname()

    def getpeername(self) -> Any:
        return self.core.getpeername()

    def getsockopt(self, level: int, optname: int, buflen: int | None = None) -> Any:
        return self.core.getsockopt(level, optname, buflen or 0)

    def setsockopt(self, level: int, optname: int, value: Any, optlen: int | None = None) -> None:
        if (value is None) != (optlen is not None):
            raise TypeError("setsockopt() needs a value, or None and its length")
        self.core.setsockopt(level, optname, value, optlen)

    def get_inheritable(self) -> bool:
        return False

    def set_inheritable(self, inheritable: bool) -> None:
        """No other process can have it, whatever is said here."""

    def is_readable(self) -> bool:
        return bool(self.core.events() & READ)

    # -- the end ------------------------------------------------------------------------------------------------------------

    def __enter__(self) -> TrioSocket:
        return self

    def __exit__(self, kind: Raised, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closing twice is closing once. What was sent is still delivered, by the stack."""
        if not self._closed:
            self._closed = True
            self._reader.wake()
            self._writer.wake()
            self._core.close()
            if self._adopted is not None:
                self._adopted.close()

    def __del__(self) -> None:
        """As a kernel's, one that nobody has any more is closed."""
        if not self._closed and not self._core.closed and trio.lowlevel.in_trio_run():
            self.close()

    def detach(self) -> int:
        """Let go of it. There is nothing to be done with the number."""
        number = self.fileno()
        self._closed = True
        return number

    def dup(self) -> TrioSocket:
        self.core.share()
        return TrioSocket(self._core)

    def shutdown(self, flag: int) -> None:
        self.core.shutdown(flag)
        if flag in (stdlib.SHUT_WR, stdlib.SHUT_RDWR):
            self._shut = True

    # -- waiting ------------------------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        events = self._core.events()
        if events & READ:
            self._reader.wake()
        if events & WRITE:
            self._writer.wake()

    async def _until(self, waiter: Waiter, mask: int) -> None:
        """Wait for an event of `mask`."""
        if not waiter.done():
            what = "reading from" if waiter is self._reader else "writing to"
            raise trio.BusyResourceError(f"another task is already {what} this socket")
        core = self.core
        if core.events() & mask:
            await trio.lowlevel.checkpoint()
            return
        if self._reader.done() and self._writer.done():
            core.watch(self._changed)
        try:
            await waiter.wait()
        finally:
            if self._reader.done() and self._writer.done():
                core.unwatch(self._changed)
        if self._closed or core.closed:
            raise trio.ClosedResourceError("another task has closed this socket")

    async def _attempt(self, waiter: Waiter, mask: int, call: Callable[..., T], *args: Any) -> T:
        """`call` until it needn't wait."""
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            result = call(*args)
        except BlockingIOError:
            pass
        except BaseException:
            await trio.lowlevel.cancel_shielded_checkpoint()
            raise
        else:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return result
        while True:
            await self._until(waiter, mask)
            try:
                return call(*args)
            except BlockingIOError:
                pass

    def _read(self, call: Callable[..., T], *args: Any) -> Awaitable[T]:
        return self._attempt(self._reader, READ, call, *args)

    def _write(self, call: Callable[..., T], *args: Any) -> Awaitable[T]:
        return self._attempt(self._writer, WRITE, call, *args)

    async def wait_writable(self) -> None:
        await self._until(self._writer, WRITE)

    # -- opening ------------------------------------------------------------------------------------------------------------

    async def _resolved(self, address: Any, local: bool) -> Any:
        """As trio's: what is no literal is asked of the resolver, which may be ours. A checkpoint only if it is."""
        if not isinstance(address, tuple) or len(address) < 2:
            return address  # the socket says what is wrong with it
        host, port, *rest = address
        if isinstance(port, int) and isinstance(host, str):
            try:
                stdlib.inet_pton(self._core.family, host)
            except OSError:
                pass
            else:
                return address
        if host in ("", "<broadcast>") and isinstance(port, int):
            return address
        flags = (stdlib.AI_PASSIVE if local else 0) | (stdlib.AI_V4MAPPED if self._core.family == c.AF_INET6 else 0)
        found = await trio.socket.getaddrinfo(host or None, port, self._core.family, self._core.type, self._core.proto, flags)
        sockaddr: tuple[Any, ...] = found[0][4]
        return (*sockaddr[:2], *rest, *sockaddr[2 + len(rest) :])

    async def bind(self, address: Any) -> None:
        core = self.core
        address = await self._resolved(address, True)
        await trio.lowlevel.checkpoint()
        core.bind(address)

    def listen(self, backlog: int = 128) -> None:
        self.core.listen(backlog)

    async def accept(self) -> tuple[TrioSocket, Any]:
        core, address = await self._read(self.core.accept)
        return TrioSocket(core), address

    async def connect(self, address: Any) -> None:
        """As trio's: a cancelled one closes the socket."""
        core = self.core
        try:
            address = await self._resolved(address, False)
            await trio.lowlevel.checkpoint_if_cancelled()
            try:
                core.connect(address)
            except BlockingIOError:
                pass
            except BaseException:
                await trio.lowlevel.cancel_shielded_checkpoint()
                raise
            else:
                await trio.lowlevel.cancel_shielded_checkpoint()
                return
            await self._until(self._writer, WRITE)
        except trio.Cancelled:
            self.close()
            raise
        error = core.getsockopt(c.SOL_SOCKET, c.SO_ERROR)
        if error:
            assert isinstance(error, int)
            raise OSError(error, f"Error connecting to {address!r}: {os.strerror(error)}")

    # -- the data -----------------------------------------------------------------------------------------------------------

    def recv(self, buflen: int, flags: int = 0, /) -> Awaitable[bytes]:
        return self._read(self.core.recv, operator.index(buflen), flags)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> Awaitable[int]:
        return self._read(self.core.recv_into, buffer, nbytes, flags)

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> Awaitable[tuple[bytes, Any]]:
        return self._read(self.core.recvfrom, operator.index(bufsize), flags)

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> Awaitable[tuple[int, Any]]:
        return self._read(self.core.recvfrom_into, buffer, nbytes, flags)

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /) -> Awaitable[tuple[bytes, Any, int, Any]]:
        return self._read(self.core.recvmsg, operator.index(bufsize), ancbufsize, flags)

    def recvmsg_into(self, buffers: Iterable[Any], ancbufsize: int = 0, flags: int = 0, /) -> Awaitable[tuple[int, Any, int, Any]]:
        return self._read(self.core.recvmsg_into, list(buffers), ancbufsize, flags)

    def send(self, bytes: Any, flags: int = 0, /) -> Awaitable[int]:
        return self._write(self.core.send, bytes, flags)

    async def sendto(self, *args: Any) -> int:
        """`sendto(data, address)` or `sendto(data, flags, address)`."""
        core = self.core
        address = await self._resolved(args[-1], False)
        return await self._write(core.sendto, *args[:-1], address)

    async def sendmsg(self, buffers: Iterable[Any], ancdata: Iterable[Any] = (), flags: int = 0, address: Any = None, /) -> int:
        core = self.core
        if address is not None:
            address = await self._resolved(address, False)
        return await self._write(core.sendmsg, list(buffers), list(ancdata), flags, address)
