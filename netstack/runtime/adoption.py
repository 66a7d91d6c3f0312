"""Sockets that a program made itself, and hands to a loop that has a net.

aiohappyeyeballs, anyio's listeners, hypercorn and aioquic call `socket.socket()`, bind or configure what they get, and only then
come to the loop. The kernel's socket is adopted then: a socket of the stack gets its name and its options, and is what the object
means from now on. The object itself stays, for its program holds it: it becomes an `AdoptedSocket`, whose calls go to the stack, so
that its `close` closes both. The kernel's descriptor stays open below, idle, so that `fileno()` is a number and nobody else's.

What the kernel has connected is left to the kernel: it has a peer there. A socket can only be bound to what the kernel takes for an
address of its own, before we are asked; `netstack.patch()` has no such limit.
"""

from __future__ import annotations

import socket
import weakref
from collections.abc import Callable
from typing import Any, Protocol

from ..sockets.base import Socket
from ..sockets.names import SockAddr
from ..sockets.table import Sockets

INET = (socket.AF_INET, socket.AF_INET6)

# What a program may have set before, as far as it means something to the stack. Buffer sizes are left out: the kernel doesn't say
# whether they were chosen.
OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_REUSEADDR),
    (socket.SOL_SOCKET, socket.SO_REUSEPORT),
    (socket.SOL_SOCKET, socket.SO_BROADCAST),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY),
)
BACKLOG = 128  # the kernel doesn't tell what `listen` was given
NOWHERE = "::ffff:127.0.0.1", 0  # where a listener for IPv6 alone listens, as long as there is none: nobody calls there


class Loop(Protocol):
    """Where an adopted socket is closed when its object is gone: an event loop, a run of trio."""

    def is_closed(self) -> bool: ...
    def call_soon_threadsafe(self, callback: Callable[[], object], /) -> object: ...


class Adopter(Protocol):
    """Whose it becomes: a net, for instance."""

    @property
    def sockets(self) -> Sockets: ...
    @property
    def loop(self) -> Loop: ...


_cores: weakref.WeakKeyDictionary[socket.socket, Socket] = weakref.WeakKeyDictionary()
_numbers: weakref.WeakValueDictionary[int, socket.socket] = weakref.WeakValueDictionary()


class AdoptedSocket(socket.socket):
    """A kernel's socket that has become one of a stack. It never waits, whatever its timeout: that is the loop's business."""

    # no attributes of its own: an object whose `__class__` is changed keeps the shape that it has
    __slots__ = ()

    @property
    def core(self) -> Socket:
        return _cores[self]

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AddressFamily(self.core.family)

    @property
    def type(self) -> socket.SocketKind:
        return socket.SocketKind(self.core.type)

    @property
    def proto(self) -> int:
        return self.core.proto

    def gettimeout(self) -> float | None:
        return super().gettimeout() if self.fileno() >= 0 else 0.0

    def settimeout(self, value: float | None) -> None:
        if self.fileno() >= 0:
            super().settimeout(value)

    def setblocking(self, flag: bool) -> None:
        self.settimeout(None if flag else 0.0)

    def _real_close(self) -> None:
        core = _cores.get(self)
        super()._real_close()  # type: ignore[misc]  # the types don't know it
        if core is not None:
            core.close()

    def detach(self) -> int:
        self.core.close()
        return super().detach()

    def getsockname(self) -> SockAddr:
        return self.core.getsockname()

    def getpeername(self) -> SockAddr:
        return self.core.getpeername()

    def getsockopt(self, *args: Any) -> Any:
        return self.core.getsockopt(*args)

    def setsockopt(self, *args: Any) -> None:
        self.core.setsockopt(*args)

    def bind(self, address: Any) -> None:
        self.core.bind(address)

    def listen(self, backlog: int = BACKLOG) -> None:
        self.core.listen(backlog)

    def accept(self) -> tuple[Any, SockAddr]:
        core, address = self.core.accept()
        return faced(core), address

    def connect(self, address: Any) -> None:
        self.core.connect(address)

    def connect_ex(self, address: Any) -> int:
        return self.core.connect_ex(address)

    def recv(self, *args: Any) -> bytes:
        return self.core.recv(*args)

    def recv_into(self, *args: Any) -> int:
        return self.core.recv_into(*args)

    def recvfrom(self, *args: Any) -> tuple[bytes, Any]:
        return self.core.recvfrom(*args)

    def recvfrom_into(self, *args: Any) -> tuple[int, Any]:
        return self.core.recvfrom_into(*args)

    def recvmsg(self, *args: Any) -> Any:
        return self.core.recvmsg(*args)

    def recvmsg_into(self, *args: Any) -> Any:
        return self.core.recvmsg_into(*args)

    def send(self, *args: Any) -> int:
        return self.core.send(*args)

    def sendto(self, *args: Any) -> int:
        return self.core.sendto(*args)

    def sendmsg(self, *args: Any) -> int:
        return self.core.sendmsg(*args)

    def shutdown(self, how: int) -> None:
        self.core.shutdown(how)


def faced(core: Socket) -> Any:
    """A socket-shaped object for a socket of the stack: one without a descriptor."""
    sock = AdoptedSocket.__new__(AdoptedSocket)
    sock._io_refs = 0  # type: ignore[attr-defined]  # what `socket.__init__` sets, which would ask the kernel for a descriptor
    sock._closed = False  # type: ignore[attr-defined]
    _cores[sock] = core
    return sock


def core_of(net: Adopter, sock: Any) -> Socket | None:
    """The socket of the stack that `sock` is, or becomes now; None where it is the kernel's affair. Raises OSError where it can't
    be on the stack what it is in the kernel: EADDRNOTAVAIL, EADDRINUSE."""
    core = getattr(sock, "core", sock)
    if isinstance(core, Socket):
        return core
    if not isinstance(sock, socket.socket) or sock.family not in INET or sock.fileno() < 0:
        return None
    return _adopt(net, sock)


def by_descriptor(fd: int) -> Socket | None:
    """The socket that the kernel's one behind `fd` has become, if it has."""
    sock = _numbers.get(fd)
    return _cores.get(sock) if sock is not None and sock.fileno() == fd else None


def _adopt(net: Adopter, sock: socket.socket) -> Socket | None:
    stream = sock.type == socket.SOCK_STREAM
    if type(sock) is not socket.socket or not (stream or sock.type == socket.SOCK_DGRAM):
        return None
    peer = _peer(sock)
    if stream and peer is not None:
        return None
    name = sock.getsockname()
    core = net.sockets.open(sock.family, sock.type)
    try:
        for level, option in OPTIONS:
            if (stream or level == socket.SOL_SOCKET) and sock.getsockopt(level, option):
                core.setsockopt(level, option, 1)
        if name[1]:
            alone = sock.family == socket.AF_INET6 and sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            core.bind(NOWHERE if alone else name)
        if stream and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            core.listen(BACKLOG)
        if peer is not None:
            core.connect(peer)
    except BaseException:
        core.close()
        raise
    sock.__class__ = AdoptedSocket
    _cores[sock] = core
    _numbers[sock.fileno()] = sock
    weakref.finalize(sock, _abandoned, net.loop, core).atexit = False
    return core


def _peer(sock: socket.socket) -> Any:
    try:
        return sock.getpeername()
    except OSError:
        return None


def _abandoned(loop: Loop, core: Socket) -> None:
    """Its object is gone; the garbage collector may say so from any thread."""
    if not core.closed and not loop.is_closed():
        loop.call_soon_threadsafe(core.close)
