"""A real descriptor into the stack, for C libraries and whatever else wants a number.

    sock = await net.dial_fd("10.0.0.1", 5432)      # a socket.socket; sock.fileno(), sock.detach() as of any

It is one end of a pair of unix sockets; a task of the net passes on between the other end and a stream of the stack (joint.py).
So it blocks, times out, is selected, inherited and given to OpenSSL as any descriptor. What a unix socket can't do is answered here
for Python programs: names are the connection's, and options of TCP are handed on to it. A connection that was reset ends in
ECONNRESET for who reads from the object that was given, and in an end of file for who has only the number.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import weakref
from typing import TYPE_CHECKING, Any

from ..errors import NetstackError, TimedOut
from ..instant import SECOND, Duration
from ..sockets.base import Socket
from .hostside import HostEnd, KernelSocket, kernel_socketpair
from .joint import CoreEnd, End, join
from .lookup import look_up

if TYPE_CHECKING:
    from .blocking import Blocking
    from .net import Net

OF_TCP = (socket.IPPROTO_TCP, socket.IPPROTO_IP, socket.IPPROTO_IPV6)
OF_CONNECTION = {(socket.SOL_SOCKET, option) for option in (socket.SO_KEEPALIVE, socket.SO_REUSEADDR, socket.SO_REUSEPORT)}


class FdSocket(KernelSocket):
    """One end of a unix pair that says it is a TCP socket of the stack. Usable from any thread, as the kernel's are."""

    _face: Blocking
    _core: Socket
    _names: tuple[Any, Any]

    @classmethod
    def over(cls, end: socket.socket, face: Blocking, core: Socket, names: tuple[Any, Any]) -> FdSocket:
        """Takes the descriptor of `end`."""
        sock = cls(socket.AF_INET, socket.SOCK_STREAM, 0, end.detach())
        sock._face, sock._core, sock._names = face, core, names
        return sock

    def _check(self) -> None:
        if self.fileno() < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def getsockname(self) -> Any:
        self._check()
        return self._names[0]

    def getpeername(self) -> Any:
        self._check()
        return self._names[1]

    def setsockopt(self, level: int, option: int, *value: Any) -> None:
        if level not in OF_TCP and (level, option) not in OF_CONNECTION:
            super().setsockopt(level, option, *value)
            return
        self._check()
        self._face.owner.do(lambda: None if self._core.closed else self._core.setsockopt(level, option, *value))

    def getsockopt(self, level: int, option: int, *buflen: int) -> Any:
        """Of a connection that is over, 0."""
        if level not in OF_TCP and (level, option) not in OF_CONNECTION:
            return super().getsockopt(level, option, *buflen)
        self._check()
        return self._face.owner.do(lambda: 0 if self._core.closed else self._core.getsockopt(level, option, *buflen))

    def dup(self) -> FdSocket:
        new = type(self)(self.family, self.type, self.proto, os.dup(self.fileno()))
        new.settimeout(self.gettimeout())
        new._face, new._core, new._names = self._face, self._core, self._names
        return new


async def carry(end: HostEnd, far: End, user: weakref.ref[socket.socket] | None) -> None:
    """Pass on until it is over. A net that goes away resets both sides."""
    with contextlib.suppress(OSError, NetstackError):
        await join(end if user is None else UserEnd(end, user), far)


class UserEnd:
    """Our end of the pair. A unix socket resets its peer if something was unread when it was closed; so `abort` sees to that."""

    def __init__(self, end: HostEnd, user: weakref.ref[socket.socket]) -> None:
        self._end = end
        self._user = user
        self.take = end.take
        self.put = end.put
        self.put_eof = end.put_eof
        self.close = end.close

    def abort(self) -> None:
        user = self._user()
        if user is not None and user.fileno() >= 0:
            with contextlib.suppress(OSError):  # closed by another thread this moment, or there is no room: then enough is unread
                socket.socket.send(user, b"\0", socket.MSG_DONTWAIT)
        self._end.close()


async def dial_fd(net: Net, host: str, port: int, timeout: Duration) -> FdSocket:
    address = await look_up(net, host), port
    core = net.sockets.stream()
    far = CoreEnd(core, net._loop)
    try:
        try:
            async with asyncio.timeout(timeout / SECOND):
                await far.connect(address)
        except TimeoutError as error:
            raise TimedOut(f"timed out connecting to {host}:{port}") from error
        names = core.getsockname(), core.getpeername()
        ours, theirs = kernel_socketpair()
    except BaseException:
        far.abort()
        raise
    sock = FdSocket.over(theirs, net.blocking, core, names)
    net.own(carry(HostEnd(ours, net._loop), far, weakref.ref(sock)))
    return sock
