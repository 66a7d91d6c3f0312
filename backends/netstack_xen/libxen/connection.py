"""`LibXen`: one open connection to Xen, made of the three libraries' handles.

What the libraries leave to their caller is done here: one descriptor for events and watches, paths below this domain's own folder
where the store has none, transactions that are tried again, and a list of what has to be given back.
"""

import contextlib
import errno
import select
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from netstack.errors import NetstackError, UsageError

from ..hypervisor import EVERYONE, Farewell, Pages, Store

if TYPE_CHECKING:
    from . import _libxen

READ = 1  # XS_PERM_READ
WRITE = 2  # XS_PERM_WRITE
TRIES = 1000  # of one transaction: whoever writes that often meanwhile does so on purpose


class XenUnavailable(NetstackError, OSError):
    """There is no Xen here, or no way to it; the message says what is missing."""


def _library() -> ModuleType:
    try:
        from . import _libxen
    except ImportError:
        raise XenUnavailable(
            errno.ENOSYS,
            "netstack was built without Xen's libraries: install their headers (apt-get install libxen-dev) and netstack anew",
        ) from None
    return _libxen


def _refusal(error: OSError) -> XenUnavailable:
    if error.errno in (errno.EACCES, errno.EPERM):
        return XenUnavailable(error.errno, f"Xen's devices are root's alone: run this as root ({error.strerror})")
    return XenUnavailable(
        error.errno,
        f"Xen can't be reached: this is no domain of a Xen machine, or its modules xen-evtchn, xen-gntalloc and xen-gntdev are not "
        f"loaded ({error.strerror})",
    )


class LibXenStore:
    """Xenstore, or within `together` one transaction of it."""

    def __init__(self, handle: "_libxen.Store", home: str, transaction: int = 0) -> None:
        self._handle = handle
        self._home = home  # put before relative paths, where the store doesn't do so by itself
        self._transaction = transaction
        self._relative: set[tuple[str, str]] = set()  # watches that were asked for without `home`, as (path, token)

    def _path(self, path: str) -> str:
        return path if path.startswith(("/", "@")) else self._home + path

    def read(self, path: str) -> "str | None":
        return self._handle.read(self._transaction, self._path(path))

    def list(self, path: str) -> "Sequence[str] | None":
        return self._handle.list(self._transaction, self._path(path))

    def write(self, path: str, value: str) -> None:
        self._handle.write(self._transaction, self._path(path), value)

    def make(self, path: str) -> None:
        self._handle.make(self._transaction, self._path(path))

    def remove(self, path: str) -> None:
        self._handle.remove(self._transaction, self._path(path))

    def permit(self, path: str, owner: int, readers: Sequence[int] = (), writers: Sequence[int] = ()) -> None:
        others = sorted({*readers, *writers} - {owner, EVERYONE})
        entries = [(domid, READ * (domid in readers) | WRITE * (domid in writers)) for domid in (EVERYONE, *others)]
        # the owner's entry has the bits of everyone who has none
        self._handle.permit(self._transaction, self._path(path), ((owner, entries[0][1]), *entries[1:]))

    def watch(self, path: str, token: str) -> None:
        full = self._path(path)
        self._handle.watch(full, token)
        if full != path:
            self._relative.add((full, token))

    def unwatch(self, path: str, token: str) -> None:
        full = self._path(path)
        self._handle.unwatch(full, token)
        self._relative.discard((full, token))

    def fired(self) -> "Sequence[tuple[str, str]]":
        heard = self._handle.fired()
        return [(self._as_asked(path, token), token) for path, token in heard] if self._relative else heard

    def _as_asked(self, path: str, token: str) -> str:
        """Where the store puts the folder before a relative path, it also leaves it out of what it tells."""
        for full, other in self._relative:
            if other == token and (path == full or path.startswith(full + "/")):
                return path.removeprefix(self._home)
        return path

    def together(self, change: "Callable[[Store], None]") -> None:
        if self._transaction:
            raise UsageError("a transaction has no transactions in it: write to the store that `change` was given")
        for _ in range(TRIES):
            number = self._handle.begin()
            try:
                change(LibXenStore(self._handle, self._home, number))
            except BaseException:
                with contextlib.suppress(OSError):  # the store forgets it, or is gone: the first error is the one to hear of
                    self._handle.end(number, False)
                raise
            if self._handle.end(number, True):
                return
        raise OSError(errno.EAGAIN, f"a transaction of xenstore collided {TRIES} times with others' writes")


class LibXen:
    """This domain's connection to the hypervisor and to the store. Raises XenUnavailable where there is none."""

    def __init__(self) -> None:
        library = _library()
        self._closing = contextlib.ExitStack()
        try:
            self._events: _libxen.Events = library.Events()
            self._closing.callback(self._events.close)
            self._xs: _libxen.Store = library.Store()
            self._closing.callback(self._xs.close)
            self._grants: _libxen.Grants = library.Grants()
            self._closing.callback(self._grants.close)
            self._domid = self._ask_domid()
            home = "" if self._domid is not None else "/local/domain/0/"
            self._store = LibXenStore(self._xs, home)
            self._poll = select.epoll()
            self._closing.callback(self._poll.close)
            self._poll.register(self._events.fileno(), select.EPOLLIN)
            self._poll.register(self._xs.fileno(), select.EPOLLIN)
        except OSError as error:
            self._closing.close()
            raise _refusal(error) from None
        self._ports: set[int] = set()
        self._shared: set[_libxen.Memory] = set()
        self._mapped: set[_libxen.Memory] = set()
        self._closed = False

    def _ask_domid(self) -> "int | None":
        """None in the domain where the store's daemon runs: to whom connects by its socket, relative paths have no folder."""
        text = self._xs.read(0, "domid")
        return int(text) if text is not None and text.isdecimal() else None

    @property
    def domid(self) -> int:
        if self._domid is None:
            return 0
        self._domid = self._ask_domid() or self._domid  # asked anew: it is another one after the domain was resumed
        return self._domid

    @property
    def store(self) -> Store:
        return self._store

    # -- pages -------------------------------------------------------------------------------------------------------------------

    def share(self, peer: int, count: int, *, writable: bool = True, farewell: "Farewell | None" = None) -> Pages:
        try:
            pages = self._grants.share(peer, count, writable, *_numbers(farewell))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            limit = "/sys/module/xen_gntalloc/parameters/limit"
            raise OSError(errno.ENOSPC, f"this domain shares no more pages: {limit} says how many, and can be written") from None
        self._shared.add(pages)
        return pages

    def map(self, peer: int, refs: Sequence[int], *, writable: bool = True, farewell: "Farewell | None" = None) -> Pages:
        pages = self._grants.map(peer, tuple(refs), writable, *_numbers(farewell))
        self._mapped.add(pages)
        return pages

    def unshare(self, pages: Pages) -> None:
        self._give_back(pages, self._shared)

    def unmap(self, pages: Pages) -> None:
        self._give_back(pages, self._mapped)

    def _give_back(self, pages: Pages, among: "set[_libxen.Memory]") -> None:
        for mine in among:
            if mine is pages:
                mine.drop()
                among.discard(mine)
                return
        raise OSError(errno.EINVAL, "these pages are not this connection's, or were given back before")

    def copy(self, peer: int, orders: bytearray, count: int, memory: "Sequence[bytes | bytearray | memoryview]") -> None:
        self._grants.copy(peer, orders, count, memory)

    # -- ports -------------------------------------------------------------------------------------------------------------------

    def allocate(self, peer: int) -> int:
        port = self._events.allocate(peer)
        self._ports.add(port)
        return port

    def bind(self, peer: int, port: int) -> int:
        ours = self._events.bind(peer, port)
        self._ports.add(ours)
        return ours

    def release(self, port: int) -> None:
        if port not in self._ports:
            raise OSError(errno.EINVAL, f"port {port} is not this connection's")
        self._ports.discard(port)
        self._events.release(port)

    def notify(self, port: int) -> None:
        self._events.notify(port)

    def pending(self) -> Sequence[int]:
        told = self._events.pending()
        if self._ports.issuperset(told):
            return told
        return [port for port in told if port in self._ports]  # told before it was released

    # -- the program's loop ------------------------------------------------------------------------------------------------------

    def fileno(self) -> "int | None":
        return self._poll.fileno()

    def set_waker(self, waker: "Callable[[], None] | None") -> None:
        """There is a descriptor; nobody is woken."""

    def close(self) -> None:
        """Pages of which somebody still holds a view go with the last of these."""
        if self._closed:
            return
        self._closed = True
        for pages in (*self._mapped, *self._shared):
            with contextlib.suppress(BufferError, OSError):
                pages.drop()
        self._mapped.clear()
        self._shared.clear()
        self._ports.clear()
        self._closing.close()


def _numbers(farewell: "Farewell | None") -> tuple[int, int]:
    if farewell is None:
        return -1, -1
    return (-1 if farewell.offset is None else farewell.offset, -1 if farewell.port is None else farewell.port)
