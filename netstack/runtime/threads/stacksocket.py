"""A socket of the stack in the shape of the standard library's: it blocks, times out, and is used from any thread.

`isinstance(sock, socket.socket)` holds, but there is no kernel's socket below: the C half of the object never gets a descriptor,
and every method and attribute is our own. What is called here is done where the stack's owner is (owner.py), so threads need no
locks, and one that waits for data doesn't keep others from the stack.

`fileno()` is a real descriptor that mirrors the socket's readiness (mirror.py); it is made when somebody asks. `detach()` gives
one that carries the data, so that `ssl.SSLContext.wrap_socket` and C libraries take such a socket as any other.

Small departures from the kernel's: `close` wakes whoever waits on the socket in another thread (OSError, EBADF), where the kernel
lets him sleep; and there is no time at which a lost datagram could have been waited for, so UDP's `send` never waits.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import socket
import stat
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from operator import index
from typing import TYPE_CHECKING, Any, TypeVar

from ...errors import UsageError
from ...sockets import const as c
from ...sockets.base import Socket
from ...sockets.base import readable as as_bytes
from ...sockets.base import writable as as_room
from ..doors.hostside import KernelSocket
from .mirror import READ, WRITE, Mirror
from .owner import NetClosed

if TYPE_CHECKING:
    from .blocking import Blocking

T = TypeVar("T")
GiveUp: Any = socket._GiveupOnSendfile  # type: ignore[attr-defined]  # by which `sendfile` falls back to reading and sending
_FLAGS = c.SOCK_NONBLOCK | c.SOCK_CLOEXEC


class StackSocket(KernelSocket):
    """A socket of a net's stack. `core` is the non-blocking one that it is made of."""

    __slots__ = ("_core", "_face", "_inheritable", "_mirror", "_proto", "_timeout", "_what")

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None, *, net: Any = None) -> None:
        """As `socket.socket`, on `net`. Raises OSError."""
        self._core: Socket | None = None
        if net is None:
            raise UsageError("a StackSocket belongs to a net: make it with net.blocking.socket(), or say net=")
        if fileno is not None:
            raise UsageError("a socket of the stack has no descriptor to begin with: leave fileno out")
        face: Blocking = getattr(net, "blocking", net)
        family = socket.AF_INET if family == -1 else int(family)
        type = socket.SOCK_STREAM if type == -1 else int(type)
        proto = 0 if proto == -1 else int(proto)
        face.check()
        core = face.owner.do(partial(face.net.sockets.open, family, type & ~_FLAGS, proto))
        self._dress(face, core, 0.0 if type & c.SOCK_NONBLOCK else socket.getdefaulttimeout())

    @classmethod
    def over(cls, face: Blocking, core: Socket, timeout: float | None) -> StackSocket:
        """One made of `core`, which it owns from now on."""
        sock = StackSocket.__new__(StackSocket)
        sock._dress(face, core, timeout)
        return sock

    @classmethod
    def sharing(cls, face: Blocking, core: Socket, timeout: float | None) -> StackSocket:
        """One more holder of `core`."""
        face.owner.do(core.share)
        return cls.over(face, core, timeout)

    def accepted(self, core: Socket) -> StackSocket:
        """One like this, that doesn't wait, for a connection that an event loop has accepted."""
        return StackSocket.over(self._face, core, 0.0)

    def _dress(self, face: Blocking, core: Socket, timeout: float | None) -> None:
        self._face = face
        self._core = core
        self._what = core.family, core.type, core.proto
        self._timeout = timeout
        self._mirror: Mirror | None = None
        self._inheritable = False
        self._io_refs = 0
        self._closed = False

    @property
    def core(self) -> Socket:
        core = self._core
        if core is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return core

    # -- how everything is done ----------------------------------------------------------------------------------------------------

    def _do(self, fn: Callable[[], T]) -> T:
        """`fn()`, which never waits, where the owner is."""
        value: T = self._wait(0, fn)
        return value

    def _wait(self, mask: int, attempt: Callable[[], Any], flags: int = 0) -> Any:
        """`attempt()` where the owner is, again and again until it doesn't have to wait, as the socket's time-out says."""
        core = self.core
        timeout = self._timeout
        if timeout == 0 or flags & c.MSG_DONTWAIT:
            mask = 0
        if core in self._face.mirrored:
            attempt = partial(_and_tell, core, attempt)
        try:
            return self._face.owner.wait(core, mask, attempt, timeout)
        except OSError as error:
            if error.errno == errno.EBADF and self._face.closed:
                raise NetClosed from None
            raise

    def _address(self, address: Any) -> Any:
        """With the name of a host looked up, if it is one: the core takes literals only, and says so of whatever else is wrong."""
        if isinstance(address, tuple) and len(address) >= 2 and isinstance(address[0], str | bytes | bytearray):
            host = bytes(address[0]).decode("ascii") if not isinstance(address[0], str) else address[0]
            if host and host != "<broadcast>" and ":" not in host and not host.replace(".", "").isdigit():
                found = self._face.getaddrinfo(host, None, self.family, self.type, 0, 0)
                return (found[0][4][0], *address[1:])
            return (host, *address[1:])
        return address

    # -- opening ----------------------------------------------------------------------------------------------------------------

    def bind(self, address: Any, /) -> None:
        self._do(partial(self.core.bind, self._address(address)))

    def listen(self, backlog: int = 128, /) -> None:
        if not -(1 << 31) <= index(backlog) < 1 << 31:
            raise OverflowError("signed integer is greater than maximum" if backlog > 0 else "signed integer is less than minimum")
        self._do(partial(self.core.listen, backlog))

    def accept(self) -> tuple[StackSocket, Any]:
        core, address = self._wait(READ, self.core.accept)
        sock = StackSocket.over(self._face, core, socket.getdefaulttimeout())
        if sock._timeout is None and self._timeout:
            sock.setblocking(True)
        return sock, address

    def _accept(self) -> Any:
        raise OSError(errno.EOPNOTSUPP, "a connection of the stack has no descriptor: accept() gives a socket")

    def connect(self, address: Any, /) -> None:
        where = self._address(address)
        self._wait(WRITE, partial(self.core.connect, where))

    def connect_ex(self, address: Any, /) -> int:
        try:
            self.connect(address)
        except socket.gaierror:
            raise
        except TimeoutError as error:
            return error.errno or errno.EWOULDBLOCK
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    # -- receiving ----------------------------------------------------------------------------------------------------------------

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        data: bytes
        if flags & c.MSG_WAITALL and self.type == socket.SOCK_STREAM:
            room = bytearray(bufsize)
            data = bytes(room[: self.recv_into(room, 0, flags)])
        else:
            data = self._wait(READ, partial(self.core.recv, bufsize, flags), flags)
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        core = self.core
        if nbytes < 0:
            raise ValueError("negative buffersize in recv_into")
        view = as_room(buffer, nbytes)
        if flags & c.MSG_WAITALL and self.type == socket.SOCK_STREAM and not flags & c.MSG_PEEK:
            n: int = self._wait(READ, _Fill(core, view, flags & ~c.MSG_WAITALL, bool(self._timeout == 0)), flags)
        else:
            n = self._wait(READ, partial(core.recv_into, view, 0, flags), flags) if view else 0
        return n

    def recvfrom(self, bufsize: int, flags: int = 0, /) -> tuple[bytes, Any]:
        data: tuple[bytes, Any] = self._wait(READ, partial(self.core.recvfrom, bufsize, flags), flags)
        return data

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        if nbytes < 0:
            raise ValueError("negative buffersize in recvfrom_into")
        got: tuple[int, Any] = self._wait(READ, partial(self.core.recvfrom_into, buffer, nbytes, flags), flags)
        return got

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0, /) -> Any:
        if bufsize < 0:
            raise ValueError("negative buffer size in recvmsg()")
        return self._wait(READ, partial(self.core.recvmsg, bufsize, ancbufsize, flags), flags)

    def recvmsg_into(self, buffers: Iterable[Any], ancbufsize: int = 0, flags: int = 0, /) -> Any:
        room = list(buffers)
        for part in room:
            as_room(part, 0)  # say what is wrong before anything is taken
        return self._wait(READ, partial(self.core.recvmsg_into, room, ancbufsize, flags), flags)

    # -- sending ----------------------------------------------------------------------------------------------------------------

    def send(self, data: Any, flags: int = 0, /) -> int:
        """A socket without a time-out takes all of it, as the kernel's does; any other as much as there is room for."""
        if self._timeout is None and not flags & c.MSG_DONTWAIT and self.type == socket.SOCK_STREAM:
            put = _Put(self.core, data, flags)
            try:
                self._wait(WRITE, put, flags)
            except OSError:
                if not put.sent:
                    raise
            return put.sent
        n: int = self._wait(WRITE, partial(self.core.send, data, flags), flags)
        return n

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        self._wait(WRITE, _Put(self.core, data, flags), flags)

    def sendto(self, data: Any, *where: Any) -> int:
        if not 1 <= len(where) <= 2:
            raise TypeError(f"sendto() takes 2 or 3 arguments ({1 + len(where)} given)")
        flags = where[0] if len(where) == 2 else 0
        as_bytes(data)
        n: int = self._wait(WRITE, partial(self.core.sendto, data, index(flags), self._address(where[-1])), flags)
        return n

    def sendmsg(self, buffers: Iterable[Any], ancdata: Iterable[Any] = (), flags: int = 0, address: Any = None, /) -> int:
        parts = [as_bytes(part) for part in buffers]
        items = [_control(item) for item in ancdata]
        flags = index(flags)
        if address is not None and not isinstance(address, tuple):
            raise TypeError(f"sendmsg(): address must be tuple, not {type(address).__name__}")
        if self.type == socket.SOCK_STREAM and self._timeout is None and not items and len(parts) and not flags & c.MSG_DONTWAIT:
            return self.send(b"".join(parts) if len(parts) > 1 else parts[0], flags)
        where = None if address is None else self._address(address)
        n: int = self._wait(WRITE, partial(self.core.sendmsg, parts, items, flags, where), flags)
        return n

    def sendmsg_afalg(self, *args: Any, **kwargs: Any) -> int:
        raise OSError(errno.EOPNOTSUPP, "the kernel's cryptography is not the stack's")

    def _sendfile_use_sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """sendfile(2) needs a descriptor that carries the data: the file is read and sent. For regular files only, as that is."""
        try:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        except (AttributeError, io.UnsupportedOperation, OSError):
            regular = False
        if not regular:
            raise GiveUp("not a regular file")
        n: int = self._sendfile_use_send(file, offset, count)  # type: ignore[attr-defined]  # the standard library's own, in Python
        return n

    # -- options, names, state ----------------------------------------------------------------------------------------------------

    def getsockopt(self, level: int, option: int, buflen: int = 0, /) -> Any:
        if not 0 <= buflen <= 1024:
            raise OSError("getsockopt buflen out of range")
        return self._do(partial(self.core.getsockopt, level, option, buflen))

    def setsockopt(self, level: int, option: int, value: Any, optlen: int | None = None, /) -> None:
        self._do(partial(self.core.setsockopt, level, option, value, optlen))

    def getsockname(self) -> Any:
        return self.core.getsockname()  # it reads, and no more

    def getpeername(self) -> Any:
        return self.core.getpeername()

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AddressFamily(self._what[0])

    @property
    def type(self) -> socket.SocketKind:
        return socket.SocketKind(self._what[1])

    @property
    def proto(self) -> int:
        return self._what[2]

    def gettimeout(self) -> float | None:
        return self._timeout

    @property
    def timeout(self) -> float | None:
        return self._timeout

    def settimeout(self, value: float | None, /) -> None:
        if value is not None:
            value = float(value)
            if not value >= 0:
                raise ValueError("Timeout value out of range")
            if value > 9_000_000_000:
                raise OverflowError("timeout doesn't fit into C timeval")
        self._timeout = value
        if self._mirror is not None:
            self._mirror.theirs.setblocking(value is None)  # who looks at the descriptor's flags sees what he expects

    def setblocking(self, flag: bool, /) -> None:
        self.settimeout(None if flag else 0.0)

    def getblocking(self) -> bool:
        return self._timeout != 0

    def shutdown(self, how: int, /) -> None:
        if not -(1 << 31) <= how < 1 << 31:
            raise OverflowError("Python int too large to convert to C int")
        self._do(partial(self.core.shutdown, how))

    # -- descriptors --------------------------------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """A descriptor that is readable and writable as the socket is, and carries nothing; -1 when it is closed."""
        core = self._core
        if core is None:
            return -1
        if self._mirror is None:
            try:
                self._mirror = self._face.owner.do(partial(self._face.reflect, core, self._timeout is None))
            except NetClosed:
                return -1
            if self._inheritable:
                os.set_inheritable(self._mirror.fileno, True)
        return self._mirror.fileno

    def detach(self) -> int:
        """A descriptor that carries the data of the connection from now on, the number of `fileno()`; this object is closed.
        Raises OSError for what isn't a connection."""
        core = self.core
        number = self.fileno()
        mirror = self._mirror
        if mirror is None:
            raise NetClosed
        self._do(partial(self._face.bridge, core, mirror))
        self._core = self._mirror = None
        self._closed = True
        return number

    def get_inheritable(self) -> bool:
        return self._inheritable if self._mirror is None else os.get_inheritable(self._mirror.fileno)

    def set_inheritable(self, inheritable: bool) -> None:
        """Only a descriptor can be inherited, and a child sees in it how ready the socket is, no more."""
        self._inheritable = bool(inheritable)
        if self._mirror is not None:
            os.set_inheritable(self._mirror.fileno, self._inheritable)

    def dup(self) -> StackSocket:
        return StackSocket.sharing(self._face, self.core, self._timeout)

    def _real_close(self, _ss: Any = None) -> None:
        core, self._core = self._core, None
        if core is not None:
            mirror, self._mirror = self._mirror, None
            release = partial(self._face.release, core, mirror)
            if self._face.closed:
                release()  # nobody owns it any more
            elif mirror is None:
                self._face.owner.tell(release)
            else:
                with contextlib.suppress(NetClosed):
                    self._face.owner.do(release)  # the descriptor is closed when we return

    def __del__(self) -> None:
        core = getattr(self, "_core", None)
        if core is not None:
            if not core.closed:
                warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            self._core = None
            if self._face.closed:
                self._face.release(core, self._mirror)
            else:
                self._face.owner.later(partial(self._face.release, core, self._mirror))

    def __repr__(self) -> str:
        what = getattr(self, "_what", None)
        if what is None:
            return "<StackSocket>"
        kind = type(self)
        parts = [f"fd={-1 if self._mirror is None else self._mirror.fileno}", f"family={what[0]}", f"type={what[1]}"]
        parts.append(f"proto={what[2]}")
        for name, ask in (("laddr", self.getsockname), ("raddr", self.getpeername)):
            try:
                parts.append(f"{name}={ask()}")
            except OSError:
                continue
        return f"<{kind.__module__}.{kind.__qualname__}{' [closed]' if self._closed else ''} {', '.join(parts)}>"


def _control(item: Any) -> tuple[int, int, bytes]:
    """An item of ancillary data: level, type, data."""
    if not isinstance(item, tuple) or len(item) != 3:
        raise TypeError("[sendmsg() ancillary data items] must be tuples of three")
    return index(item[0]), index(item[1]), bytes(as_bytes(item[2]))


def _and_tell(core: Socket, attempt: Callable[[], Any]) -> Any:
    """A call may make a socket less ready, of which only mirrors want to hear."""
    try:
        return attempt()
    finally:
        core.changed()


class _Put:
    """Sends a buffer bit by bit."""

    __slots__ = ("core", "data", "flags", "sent", "view")

    def __init__(self, core: Socket, data: Any, flags: int) -> None:
        self.core = core
        self.data = data
        self.view = as_bytes(data)
        self.flags = flags
        self.sent = 0

    def __call__(self) -> None:
        """Raises WouldBlock while there is more."""
        total = len(self.view)
        while True:
            rest = self.view[self.sent :] if self.sent else self.data  # bytes that fit whole are not copied
            self.sent += self.core.send(rest, self.flags)
            if self.sent >= total:
                return


class _Fill:
    """Receives until a buffer is full, or the end is there: MSG_WAITALL."""

    __slots__ = ("core", "flags", "got", "once", "view")

    def __init__(self, core: Socket, view: memoryview, flags: int, once: bool) -> None:
        self.core = core
        self.view = view
        self.flags = flags
        self.once = once
        self.got = 0

    def __call__(self) -> int:
        while self.got < len(self.view):
            try:
                n = self.core.recv_into(self.view[self.got :], 0, self.flags)
            except OSError as error:
                if self.got and (self.once or not isinstance(error, BlockingIOError)):
                    break
                raise
            if n == 0:
                break
            self.got += n
        return self.got
