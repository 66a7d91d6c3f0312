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

from ..address import ip4_text
from ..errors import NetstackError
from ..sockets.failures import failure
from ..tcp.connection import Connection
from .hostside import HostEnd, KernelSocket, kernel_socketpair
from .joint import End, StackEnd, join
from .lookup import look_up
from .sockview import SocketView
from .streams import TcpStream

if TYPE_CHECKING:
    from .net import Net

OF_TCP = (socket.IPPROTO_TCP, socket.IPPROTO_IP, socket.IPPROTO_IPV6)
OF_CONNECTION = {(socket.SOL_SOCKET, socket.SO_KEEPALIVE), (socket.SOL_SOCKET, socket.SO_REUSEADDR)}


class FdSocket(KernelSocket):
    """One end of a unix pair that says it is a TCP socket of the stack. Options of TCP may be set from any thread."""

    stack_names: tuple[Any, Any]
    stack_view: SocketView | None

    @classmethod
    def over(cls, end: socket.socket, conn: Connection, view: SocketView) -> FdSocket:
        """Takes the descriptor of `end`."""
        sock = cls(socket.AF_INET, socket.SOCK_STREAM, 0, end.detach())
        sock.stack_names = (ip4_text(conn.local), conn.local_port), (ip4_text(conn.remote), conn.remote_port)
        sock.stack_view = view
        return sock

    def _open(self) -> None:
        if self.fileno() < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def getsockname(self) -> Any:
        self._open()
        return self.stack_names[0]

    def getpeername(self) -> Any:
        self._open()
        return self.stack_names[1]

    def setsockopt(self, level: int, option: int, *value: Any) -> None:
        if level not in OF_TCP and (level, option) not in OF_CONNECTION:
            super().setsockopt(level, option, *value)
            return
        self._open()
        assert self.stack_view is not None
        self.stack_view.setsockopt(level, option, *value)

    def getsockopt(self, level: int, option: int, *buflen: int) -> Any:
        if level not in OF_TCP and (level, option) not in OF_CONNECTION:
            return super().getsockopt(level, option, *buflen)
        self._open()
        assert self.stack_view is not None
        return self.stack_view.getsockopt(level, option, *buflen)

    def dup(self) -> FdSocket:
        new = type(self)(self.family, self.type, self.proto, os.dup(self.fileno()))
        new.settimeout(self.gettimeout())
        new.stack_names, new.stack_view = self.stack_names, self.stack_view
        return new


class View(SocketView):
    """Sets options from any thread: on the loop, a moment later."""

    loop: asyncio.AbstractEventLoop

    def setsockopt(self, level: int, option: int, value: Any, optlen: int | None = None) -> None:
        known = self.options.known.get((level, option))
        if known is None or known.fixed:
            raise failure(errno.ENOPROTOOPT)
        number = value if isinstance(value, int) else int.from_bytes(bytes(value)[:4], "little")
        if known.write is None:
            self.options.values[level, option] = number  # seen by who asks in the meantime
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the connection with it
            self.loop.call_soon_threadsafe(super().setsockopt, level, option, value)


def bridge(net: Net, stream: TcpStream) -> FdSocket:
    """A descriptor for a stream, which is the bridge's from now on."""
    ours, theirs = kernel_socketpair()
    try:
        conn = stream.connection
        view = View(socket.SOCK_STREAM, stream.local_address, stream.remote_address, conn, stream._crank)
        view.loop = net._loop
        sock = FdSocket.over(theirs, conn, view)
        net.own(carry(HostEnd(ours, net._loop), StackEnd(stream), weakref.ref(sock)))
    except BaseException:
        ours.close()
        theirs.close()
        raise
    return sock


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


async def dial_fd(net: Net, host: str, port: int, timeout: Any = None) -> FdSocket:
    stream = await net.connect_stream(await look_up(net, host), port, timeout)
    try:
        return bridge(net, stream)
    except BaseException:
        stream.abort()
        raise
