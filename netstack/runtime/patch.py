"""`socket.socket` substituted: programs that use the standard library's sockets run on a net as they are.

    with netstack.patch(net):
        urllib.request.urlopen("http://10.0.0.1/")

    netstack.patch(net)          # for good, or until `undo()`

While it holds, `socket.socket(AF_INET or AF_INET6, …)` gives a socket of the net (stacksocket.py), and every other family, and
whatever is made of a descriptor, the kernel's own. `socket.create_connection` and `create_server` follow, since they call it, and
names are those of the net. `isinstance(x, socket.socket)` and `issubclass` answer as ever for the kernel's sockets and their
subclasses, of which ours are one. `socketpair` stays the kernel's.

It is a substitution of names: a program that took `from socket import socket` before keeps what it took, and a subclass that was
made before is the kernel's. So patch early. TLS works both ways: `SSLContext.wrap_socket` of a connected socket takes its data by
a descriptor (`StackSocket.detach`), and of one that is not connected yet, or that listens, waits until it is.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .hostside import KernelSocket
from .stacksocket import StackSocket

if TYPE_CHECKING:
    from .blocking import Blocking

INET = (socket.AF_INET, socket.AF_INET6)
KernelTls = ssl.SSLSocket  # imported before anything is substituted, or it would derive from what we put there
_active: list[Patch] = []
_lock = threading.Lock()


class _Choosing(type):
    """Of `Substitute`: makes what fits the family, and is the kernel's class to `isinstance`."""

    def __call__(cls, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None, **more: Any) -> Any:
        if "net" in more:
            return super().__call__(family, type, proto, fileno, **more)
        if fileno is not None or (family != -1 and family not in INET):
            if cls is Substitute:
                return KernelSocket(family, type, proto, fileno)
            raise UsageError(
                f"{cls.__name__} was derived from socket.socket while netstack.patch() held, and is a socket of the net:"
                " define it before, or make it of AF_INET"
            )
        if not _active:
            return super().__call__(family, type, proto, net=None)
        face = _active[-1].face
        if cls is Substitute:
            return StackSocket(family, type, proto, net=face)
        return super().__call__(family, type, proto, net=face)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, KernelSocket) if cls is Substitute else super().__instancecheck__(instance)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, KernelSocket) if cls is Substitute else super().__subclasscheck__(other)


class Substitute(StackSocket, metaclass=_Choosing):
    """What `socket.socket` is while a patch holds."""

    __slots__ = ()


Substitute.__name__ = Substitute.__qualname__ = "socket"


class TlsSocket(KernelTls):
    """What `SSLContext.wrap_socket` makes of a socket of the stack that is not connected yet: it keeps it, and becomes a real one
    on a descriptor as soon as there is a connection."""

    @classmethod
    def _create(
        cls,
        sock: Any,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: Any = None,
        context: Any = None,
        session: Any = None,
    ) -> Any:
        arguments = (server_side, do_handshake_on_connect, suppress_ragged_eofs, server_hostname, context, session)
        if isinstance(sock, StackSocket):
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) != socket.SOCK_STREAM:
                raise NotImplementedError("only stream sockets are supported")
            try:
                sock.getpeername()
            except OSError as error:
                if error.errno != errno.ENOTCONN:
                    raise
                return Pending(sock, arguments)
        return KernelTls._create(sock, *arguments)  # type: ignore[attr-defined]  # what `wrap_socket` calls


class Pending(StackSocket):
    """A TLS socket before its connection: listening, or still to connect. `accept` gives TLS sockets; after `connect` the object
    is one.

    It can't be an `ssl.SSLSocket` from the start, whose C half begins with a descriptor; it hands everything on to one instead.
    """

    __slots__ = ("_arguments", "_tls")

    def __init__(self, sock: StackSocket, arguments: tuple[Any, ...]) -> None:
        core, sock._core = sock.core, None
        self._dress(sock._face, core, sock._timeout)
        self._mirror, sock._mirror = sock._mirror, None
        sock._closed = True
        self._arguments = arguments
        self._tls: Any = None

    @property
    def context(self) -> Any:
        return self._arguments[4]

    @property
    def server_side(self) -> bool:
        return bool(self._arguments[0])

    @property
    def server_hostname(self) -> Any:
        return self._arguments[3]

    def accept(self) -> Any:
        sock, address = super().accept()
        return _wrapped(sock, self._arguments), address

    def connect(self, address: Any, /) -> None:
        if self._arguments[0]:
            raise ValueError("can't connect in server-side mode")
        if self._tls is not None:
            raise ValueError("attempt to connect already-connected SSLSocket!")
        super().connect(address)
        twin = StackSocket.over(self._face, self.core, self._timeout)
        twin._mirror, self._mirror = self._mirror, None
        self._core = None
        self._tls = _wrapped(twin, self._arguments)

    def connect_ex(self, address: Any, /) -> int:
        try:
            self.connect(address)
        except ssl.SSLError:
            raise
        except TimeoutError as error:
            return error.errno or errno.EWOULDBLOCK
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def __getattribute__(self, name: str) -> Any:
        if name in _OWN:
            return super().__getattribute__(name)
        try:
            tls = super().__getattribute__("_tls")
        except AttributeError:
            tls = None
        return super().__getattribute__(name) if tls is None else getattr(tls, name)


_OWN = {"connect", "connect_ex", "_arguments", "_tls", "_core", "_mirror", "_face", "__class__", "__del__", "_timeout"}


def _wrapped(sock: StackSocket, arguments: tuple[Any, ...]) -> Any:
    try:
        return KernelTls._create(sock, *arguments)  # type: ignore[attr-defined]  # as above
    except BaseException:
        sock.close()
        raise


class Patch:
    """A substitution that holds. `undo`, or leaving the `with` block, ends it; the last one that was made first."""

    def __init__(self, face: Blocking) -> None:
        self.face = face
        self._before: list[tuple[Any, str, Any]] = []
        self._put(socket, "socket", Substitute)
        for name in ("getaddrinfo", "getnameinfo"):
            self._put(socket, name, getattr(face, name))
        self._put(socket, "fromfd", self._fromfd)
        self._put(socket, "gethostbyname", self._gethostbyname)
        self._put(socket, "gethostbyname_ex", self._gethostbyname_ex)
        self._put(ssl.SSLContext, "sslsocket_class", TlsSocket)

    def _put(self, where: Any, name: str, value: Any) -> None:
        self._before.append((where, name, getattr(where, name)))
        setattr(where, name, value)

    def _fromfd(self, fd: int, family: int, type: int, proto: int = 0) -> Any:
        """As `socket.fromfd`; the number of a socket of the net gives another one for the same connection."""
        core = self.face.reflected(fd)
        if core is None:
            return KernelSocket(family, type, proto, os.dup(fd))
        return StackSocket.sharing(self.face, core, socket.getdefaulttimeout())

    def _gethostbyname(self, hostname: str) -> str:
        """As `socket.gethostbyname`, of the net's names."""
        address: str = self.face.getaddrinfo(hostname, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0]
        return address

    def _gethostbyname_ex(self, hostname: str) -> tuple[str, list[str], list[str]]:
        found = self.face.getaddrinfo(hostname, None, socket.AF_INET, socket.SOCK_STREAM)
        return hostname, [], [info[4][0] for info in found]

    def undo(self) -> None:
        """Put back what was there. Twice is as good as once. Raises UsageError while a later patch holds."""
        with _lock:
            if self not in _active:
                return
            if _active[-1] is not self:
                raise UsageError("another netstack.patch() was made after this one: undo that first")
            for where, name, value in reversed(self._before):
                setattr(where, name, value)
            _active.pop()

    def __enter__(self) -> Patch:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.undo()


def patch(net: Any) -> Patch:
    """Substitute `socket.socket` and the names beside it by those of `net`, a Net or what `open_blocking` gives, until it is
    undone. Raises UsageError for anything else."""
    face = getattr(net, "blocking", net)
    if not hasattr(face, "owner") or not hasattr(face, "getaddrinfo"):
        raise UsageError(f"patch() needs a net, of netstack.open or open_blocking, and not a {type(net).__name__}")
    with _lock:
        made = Patch(face)
        _active.append(made)
    return made
