"""The sockets of one stack."""

from __future__ import annotations

import errno
from weakref import WeakSet

from ..cores import Turn
from ..stack import Stack
from . import const as c
from .base import Socket
from .datagram import DatagramSocket
from .failures import failure
from .ports import Ports
from .stream import StreamSocket

_KINDS = ~(c.SOCK_NONBLOCK | c.SOCK_CLOEXEC)


class Sockets:
    """Makes sockets on `stack`, and knows those that are open. `turn` tells the time, and hears of deadlines."""

    def __init__(self, stack: Stack, turn: Turn) -> None:
        self.stack = stack
        self.turn = turn
        self.ports = Ports(self)
        self.alive: WeakSet[Socket] = WeakSet()  # one that nobody has, and no connection either, is nobody's

    def open(self, family: int = c.AF_INET, type: int = c.SOCK_STREAM, proto: int = 0) -> Socket:
        """A socket of AF_INET, or of AF_INET6 for mapped addresses; SOCK_STREAM or SOCK_DGRAM. Raises OSError."""
        if family not in (c.AF_INET, c.AF_INET6):
            raise failure(errno.EAFNOSUPPORT)
        kind = type & _KINDS
        sock: Socket
        if kind == c.SOCK_STREAM and proto in (0, c.IPPROTO_TCP):
            sock = StreamSocket(self, family, proto)
        elif kind == c.SOCK_DGRAM and proto in (0, c.IPPROTO_UDP):
            sock = DatagramSocket(self, family, proto)
        else:
            raise failure(errno.EPROTONOSUPPORT)
        self.enter(sock)
        return sock

    def stream(self, family: int = c.AF_INET) -> StreamSocket:
        sock = StreamSocket(self, family)
        self.enter(sock)
        return sock

    def datagram(self, family: int = c.AF_INET) -> DatagramSocket:
        sock = DatagramSocket(self, family)
        self.enter(sock)
        return sock

    def enter(self, sock: Socket) -> None:
        self.alive.add(sock)

    def forget(self, sock: Socket) -> None:
        self.alive.discard(sock)

    def close(self) -> None:
        """All of them, whoever holds them."""
        for sock in list(self.alive):
            sock.refs = 1
            sock.close()
