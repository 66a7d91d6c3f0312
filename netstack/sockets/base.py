"""What every socket is: a family, a type, options, and somebody who wants to know when it becomes ready.

A socket never waits. A call that would have to raises WouldBlock, `events` says what would not wait now (poll(2)'s mask,
level-triggered), and `watch` names a function to be called when that may have changed. Everything else, tasks, threads,
selectors, time-outs, is the business of the faces.

Where a program could tell the difference, a socket does what Linux's does: the same errors by number, the same order of data, error
and end, the same answer to a second `connect`.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..cores import Turn
from . import const as c
from .control import Ancillary
from .failures import failure
from .names import SockAddr
from .options import Options

if TYPE_CHECKING:
    from .table import Sockets

Watcher = Callable[[], object]
Buffer = bytes | bytearray | memoryview


class Socket:
    """The common half. Addresses are the standard library's: (host, port), for AF_INET6 (host, port, flowinfo, scope)."""

    __slots__ = (
        "__weakref__", "_watchers", "closed", "error", "family", "options", "proto", "refs", "table", "timevals", "turn", "type",
    )  # fmt: skip

    def __init__(self, table: Sockets, family: int, type: int, proto: int, options: Options) -> None:
        self.table = table
        self.turn: Turn = table.turn
        self.family = family
        self.type = type
        self.proto = proto
        self.options = options
        self.closed = False
        self.refs = 1
        self.error: OSError | None = None  # what happened, and nobody has been told yet: SO_ERROR
        self.timevals: dict[str, bytes] = {}  # SO_RCVTIMEO and SO_SNDTIMEO, for faces that wait
        self._watchers: list[Watcher] = []

    # -- readiness ------------------------------------------------------------------------------------------------------------

    def events(self) -> int:
        """What would not wait now: POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP, as poll(2) has it."""
        raise NotImplementedError

    def watch(self, fn: Watcher) -> None:
        """`fn()` is called each time that `events` may have changed, from inside a turn or a call. It neither waits nor raises."""
        self._watchers = [*self._watchers, fn]  # a new list: the one before may be on its way

    def unwatch(self, fn: Watcher) -> None:
        """Not being there is fine."""
        self._watchers = [watcher for watcher in self._watchers if watcher != fn]

    def changed(self) -> None:
        for watcher in self._watchers:
            watcher()

    # -- sharing and ending ---------------------------------------------------------------------------------------------------

    def share(self) -> None:
        """One holder more, as by dup(2): `close` closes when the last one calls it."""
        self.check()
        self.refs += 1

    def close(self) -> None:
        """Closing twice is closing once."""
        if self.closed:
            return
        self.refs -= 1
        if self.refs == 0:
            self.closed = True
            self.table.forget(self)
            self.end()
            self.turn.rearm()
            self.changed()

    def end(self) -> None:
        """Let go of what is below."""
        raise NotImplementedError

    def check(self) -> None:
        if self.closed:
            raise failure(errno.EBADF)

    def take_error(self) -> OSError | None:
        """The pending error, which is told once."""
        error, self.error = self.error, None
        return error

    # -- options --------------------------------------------------------------------------------------------------------------

    def getsockopt(self, level: int, option: int, buflen: int = 0) -> int | bytes:
        """By the kernel's own numbers. With `buflen` the bytes that the kernel would give. Raises OSError: ENOPROTOOPT for one that
        is not known here."""
        self.check()
        return self.options.get(self, level, option, buflen)

    def setsockopt(self, level: int, option: int, value: int | Buffer | None, optlen: int | None = None) -> None:
        """As above. Raises OSError: EINVAL for a value that can't be."""
        self.check()
        self.options.set(self, level, option, value)
        self.turn.rearm()

    # -- calls that every socket has --------------------------------------------------------------------------------------------

    def bind(self, address: Any) -> None:
        """An address and port of one's own; "" is all of them, 0 a free port. Raises OSError: EADDRINUSE, EADDRNOTAVAIL, EINVAL."""
        raise NotImplementedError

    def listen(self, backlog: int = 128) -> None:
        self.check()
        raise failure(errno.EOPNOTSUPP)

    def accept(self) -> tuple[Socket, SockAddr]:
        self.check()
        raise failure(errno.EOPNOTSUPP)

    def connect(self, address: Any) -> None:
        raise NotImplementedError

    def connect_ex(self, address: Any) -> int:
        """As `connect`, with the error's number for an answer; 0 for none."""
        try:
            self.connect(address)
        except OSError as error:
            return error.errno or errno.EIO
        return 0

    def getsockname(self) -> SockAddr:
        raise NotImplementedError

    def getpeername(self) -> SockAddr:
        raise NotImplementedError

    def shutdown(self, how: int) -> None:
        raise NotImplementedError

    def inq(self) -> int:
        """Bytes that can be read: FIONREAD."""
        raise NotImplementedError

    def outq(self) -> int:
        """Bytes that were sent, and not acknowledged: SIOCOUTQ."""
        raise NotImplementedError

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> tuple[bytes, list[Ancillary], int, SockAddr | None]:
        """(data, ancillary data, flags, address), as the standard library's."""
        raise NotImplementedError

    def recv_into(self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0) -> int:
        raise NotImplementedError

    def sendmsg(
        self, buffers: Sequence[Buffer], ancdata: Sequence[Ancillary] = (), flags: int = 0, address: Any = None
    ) -> int:
        raise NotImplementedError

    def recv(self, n: int, flags: int = 0) -> bytes:
        return self.recvmsg(_size(n), 0, flags)[0]

    def recvfrom(self, n: int, flags: int = 0) -> tuple[bytes, SockAddr | None]:
        data, _, _, address = self.recvmsg(_size(n), 0, flags)
        return data, address

    def recvfrom_into(self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0) -> tuple[int, SockAddr | None]:
        view = writable(buffer, nbytes)
        data, _, _, address = self.recvmsg(len(view), 0, flags)
        view[: len(data)] = data
        return len(data), address

    def recvmsg_into(
        self, buffers: Sequence[bytearray | memoryview], ancbufsize: int = 0, flags: int = 0
    ) -> tuple[int, list[Ancillary], int, SockAddr | None]:
        views = [writable(buffer, 0) for buffer in buffers]
        data, ancillary, got, address = self.recvmsg(sum(map(len, views)), ancbufsize, flags)
        rest = memoryview(data)
        for view in views:
            n = min(len(view), len(rest))
            view[:n] = rest[:n]
            rest = rest[n:]
        return len(data), ancillary, got, address

    def send(self, data: Buffer, flags: int = 0) -> int:
        """How many bytes were taken."""
        return self.sendmsg((data,), (), flags)

    def sendto(self, data: Buffer, *where: Any) -> int:
        """`sendto(data, address)` or `sendto(data, flags, address)`."""
        if not 1 <= len(where) <= 2:
            raise TypeError(f"sendto() takes 2 or 3 arguments ({1 + len(where)} given)")
        return self.sendmsg((data,), (), where[0] if len(where) == 2 else 0, where[-1])

    def __repr__(self) -> str:
        kind = "stream" if self.type == c.SOCK_STREAM else "datagram"
        return f"<{'closed ' if self.closed else ''}{kind} socket of a netstack>"


def writable(buffer: bytearray | memoryview, nbytes: int) -> memoryview:
    """The first `nbytes` of `buffer`, all of it for 0, as bytes that can be written. Raises ValueError and TypeError as the
    standard library does."""
    view = memoryview(buffer)
    if view.readonly:
        raise TypeError("a read-write bytes-like object is needed")
    if view.format != "B" or view.ndim != 1:
        view = view.cast("B")
    if nbytes < 0:
        raise ValueError("negative buffersize in recv_into")
    if nbytes > len(view):
        raise ValueError("buffer too small for requested bytes")
    return view[:nbytes] if nbytes else view


def readable(data: Buffer) -> memoryview:
    """`data` as bytes in a row."""
    view = memoryview(data)
    return view if view.format == "B" and view.ndim == 1 and view.c_contiguous else memoryview(view.tobytes())


def _size(n: int) -> int:
    if n < 0:
        raise ValueError("negative buffersize in recv")
    return n
