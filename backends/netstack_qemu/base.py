"""What both faces share: all of `signatures.Netif` but the socket."""

import contextlib
import errno
import os
import select
import socket
import stat
from collections.abc import Callable
from typing import Self

from netstack import const
from netstack.address import Mac
from netstack.cores import NetifCore
from netstack.errors import NetstackError, UsageError

SOFTWARE = const.OFFLOAD_CSUM | const.OFFLOAD_TSO4 | const.OFFLOAD_USO  # done here, since no emulator's socket does it
OWN = Mac(0x5254_0012_3401)  # of the stack, next to 52:54:00:12:34:56, which QEMU gives its first guest
PATH_LIMIT = 107  # sun_path is 108, with the NUL


class SocketUnavailable(NetstackError, OSError):
    """The socket can't be made or used; the message says why and what to do."""


class Ears:
    """An epoll descriptor of few sockets that come and go: who watches it need not hear of that."""

    __slots__ = ("_epoll", "_watched")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: set[int] = set()

    def fileno(self) -> int:
        return self._epoll.fileno()

    def watch(self, fd: int, writable: bool = False) -> None:
        events = select.EPOLLIN | (select.EPOLLOUT if writable else 0)
        if fd in self._watched:
            self._epoll.modify(fd, events)
        else:
            self._epoll.register(fd, events)
            self._watched.add(fd)

    def dismiss(self, fd: int) -> None:
        if fd in self._watched:
            self._watched.discard(fd)
            self._epoll.unregister(fd)

    def close(self) -> None:
        self._epoll.close()


class Common:
    """For a class beside a core: name, link address, and what a device without a kernel needs not do."""

    __slots__ = ()

    _name: str
    _mac: Mac
    _mtu: int
    _closed: bool
    _software: int
    ears: Ears

    @property
    def core(self) -> NetifCore:
        return self  # type: ignore[return-value]  # the other half of this class

    @property
    def name(self) -> str:
        return self._name

    @property
    def mac(self) -> "Mac | None":
        return self._mac

    @property
    def mtu(self) -> int:
        return self._mtu

    @property
    def offload(self) -> int:
        """What `send` may be asked for: it is done here."""
        return self._software

    def set_waker(self, waker: "Callable[[], None] | None") -> None:
        """Nobody needs waking: the descriptor tells."""

    def fileno(self) -> "int | None":
        return None if self._closed else self.ears.fileno()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}{' closed' if self._closed else ''}>"


def check_mac(mac: "Mac | None") -> Mac:
    if mac is not None and mac.is_group:
        raise UsageError(f"{mac} is a group address: give the stack one of its own, like 02:00:00:00:00:01")
    return OWN if mac is None else mac


def check_path(path: str) -> str:
    if not path or "\0" in path or len(os.fsencode(path)) > PATH_LIMIT:
        raise UsageError(f"{path!r} can't be the path of a socket: write at most {PATH_LIMIT} bytes, as in qemu:/run/vm.sock")
    return path


def bind(kind: socket.SocketKind, path: str) -> socket.socket:
    """A socket at `path`, for its owner alone. One that was left behind there is replaced. Raises SocketUnavailable."""
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.lstat(path).st_mode) and not is_served(kind, path):
            os.unlink(path)
    s = socket.socket(socket.AF_UNIX, kind)
    try:
        os.fchmod(s.fileno(), 0o600)  # before it has a name: no moment at which others may connect
        s.bind(path)
        s.setblocking(False)
    except OSError as error:
        s.close()
        raise _unavailable(error, path) from None
    return s


def is_served(kind: socket.SocketKind, path: str) -> bool:
    """Does somebody live at `path`?"""
    with socket.socket(socket.AF_UNIX, kind) as s:
        s.setblocking(False)
        try:
            s.connect(path)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True


def unlink(path: "str | None") -> None:
    if path is not None:
        with contextlib.suppress(OSError):  # it may be gone, or its directory out of reach by now
            os.unlink(path)


def _unavailable(error: OSError, path: str) -> SocketUnavailable:
    if error.errno == errno.EADDRINUSE:
        return SocketUnavailable(error.errno, f"somebody listens at {path} already: choose another path, or end that one")
    if error.errno in (errno.EACCES, errno.EPERM):
        return SocketUnavailable(error.errno, f"no socket may be made at {path}: choose a folder of yours, like $XDG_RUNTIME_DIR")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return SocketUnavailable(error.errno, f"no socket can be made at {path}: there is no such folder")
    return SocketUnavailable(error.errno or errno.EIO, f"no socket can be made at {path}: {error.strerror}")
