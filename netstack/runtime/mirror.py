"""A descriptor that is ready when a socket of the stack is, for select, poll, epoll and whatever is made of them.

It is one end of a pair of unix sockets. A byte in it makes it readable, a full send buffer makes it unwritable; both are done
where the owner of the stack is, whenever the socket's own readiness changes. No data of the connection ever goes that way: who
reads or writes the number itself is reading the mirror. (`detach` turns it into a descriptor that carries the data, dialfd.py.)
"""

from __future__ import annotations

import socket

from ..sockets import const as c
from ..sockets.base import Socket
from .hostside import kernel_socketpair

READ = c.POLLIN | c.POLLRDHUP | c.POLLHUP | c.POLLERR  # what select(2) calls readable
WRITE = c.POLLOUT | c.POLLHUP | c.POLLERR
FILL = bytes(4096)  # more than a quarter of the smallest send buffer, 4608: what has less than three quarters free is unwritable


class Mirror:
    """`fileno` is readable and writable as `core` is. All calls are made where the owner is."""

    def __init__(self, core: Socket, blocking: bool) -> None:
        self.core = core
        self.ours, self.theirs = kernel_socketpair()
        self.ours.setblocking(False)
        self.theirs.setblocking(blocking)
        self.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least that there is
        self.fileno = self.theirs.fileno()
        self._readable = False
        self._writable = True
        core.watch(self.update)
        self.update()

    def update(self) -> None:
        if self.ours.fileno() < 0:
            return
        events = self.core.events()
        readable, writable = bool(events & READ), bool(events & WRITE)
        if readable != self._readable:
            self._readable = readable
            if readable:
                self.ours.send(b"\0", socket.MSG_DONTWAIT)
            else:
                self.theirs.recv(8, socket.MSG_DONTWAIT)
        if writable != self._writable:
            self._writable = writable
            if writable:
                self.ours.recv(65536, socket.MSG_DONTWAIT)
            else:
                self.theirs.send(FILL, socket.MSG_DONTWAIT)

    def let_go(self) -> tuple[socket.socket, socket.socket]:
        """Mirror no more: both ends of the pair, empty."""
        self.core.unwatch(self.update)
        if self._readable:
            self.theirs.recv(8, socket.MSG_DONTWAIT)
        if not self._writable:
            self.ours.recv(65536, socket.MSG_DONTWAIT)
        room = self.ours.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        self.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room // 2)  # the kernel doubles it
        return self.ours, self.theirs

    def close(self) -> None:
        self.core.unwatch(self.update)
        self.ours.close()
        self.theirs.close()
