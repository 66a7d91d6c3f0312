"""A program in a domain with a connection to the machine: what `hypervisor.Hypervisor` promises."""

import errno
import os
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ..hypervisor import ORDERS_MOST, PAGE, Farewell, Pages
from .pages import LastWords, SimulatedPages
from .ports import Port
from .store import SimulatedStore

if TYPE_CHECKING:
    from .machine import Machine

KILLED = "was killed"


class Program:
    """Made by `Machine.domain`. With `descriptor=True` it has one, as on Xen, and without the waker is called: whenever there was
    nothing to be asked for and now there is, from inside the call that made it so."""

    def __init__(self, machine: "Machine", domid: int, number: int, *, descriptor: bool = False) -> None:
        self.machine, self.number = machine, number
        self._domid = domid
        self._pages: dict[int, SimulatedPages] = {}
        self._ports: dict[int, Port] = {}
        self._told: dict[int, None] = {}
        self._copier = machine.grants.copier()
        self._waker: Callable[[], None] | None = None
        self.closed = ""
        self.store_lost = False
        self._store = SimulatedStore(self)
        self._fd: int | None = None
        if descriptor:
            self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            self._close_fd = weakref.finalize(self, os.close, self._fd)

    def __repr__(self) -> str:
        return f"<Program {self.number} of domain {self._domid}{', ' + self.closed if self.closed else ''}>"

    @property
    def domid(self) -> int:
        return self._domid

    @property
    def store(self) -> SimulatedStore:
        return self._store

    def _check(self) -> None:
        if self.closed:
            if self.closed != KILLED:
                self.machine.books.note("use after close", self._domid, f"program {self.number} {self.closed}")
            raise OSError(errno.EBADF, f"this connection {self.closed}")

    def check_store(self) -> None:
        self._check()
        if self.machine.store_is_down or self.store_lost:
            raise OSError(errno.EPIPE, "the store is gone")

    # -- pages -------------------------------------------------------------------------------------------------------------------

    def share(self, peer: int, count: int, *, writable: bool = True, farewell: "Farewell | None" = None) -> SimulatedPages:
        self._check()
        last = self._last_words(farewell, count)
        machine = self.machine
        if count < 1 or machine.grants.count(self._domid) + count > machine.page_limit:
            raise OSError(errno.ENOSPC, f"domain {self._domid} may share {machine.page_limit} pages")
        frames = machine.memory.take(count)
        grants = [machine.grants.add(self, peer, frame, writable=writable) for frame in frames]
        pages = SimulatedPages(self, machine.memory.map(frames), grants, peer, last)
        self._keep(pages)
        return pages

    def _keep(self, pages: SimulatedPages) -> None:
        self._pages[id(pages)] = pages
        if pages.last_words.port is not None:
            pages.last_words.port.holds += 1

    def unshare(self, pages: Pages) -> None:
        mine = self._own(pages, "mapping")
        mine.let_go("unshared")
        self._forget(mine)

    def map(self, peer: int, refs: Sequence[int], *, writable: bool = True, farewell: "Farewell | None" = None) -> SimulatedPages:
        self._check()
        last = self._last_words(farewell, len(refs))
        machine = self.machine
        if not refs:
            raise OSError(errno.EINVAL, "no pages to map")
        grants = [machine.grants.find(self, peer, ref, writable=writable) for ref in refs]
        pages = SimulatedPages(self, machine.memory.map([grant.frame for grant in grants], writable=writable), grants, peer, last)
        pages.writable = writable
        for grant in grants:
            grant.mappings += 1
        pages.entry = machine.books.open("mapping", self._domid, self.number, f"{tuple(refs)} of domain {peer}")
        self._keep(pages)
        return pages

    def unmap(self, pages: Pages) -> None:
        mine = self._own(pages, "grant")
        mine.let_go("unmapped")
        self._forget(mine)

    def copy(self, peer: int, orders: bytearray, count: int, memory: "Sequence[bytes | bytearray | memoryview]") -> None:
        self._check()
        if count > ORDERS_MOST:
            raise OSError(errno.E2BIG, f"{count} orders at once")
        self._copier.carry_out(self.machine.memory.whole(), self._domid, peer, orders, count, memory)
        while self._copier.strange:
            self.machine.books.note("copy refused", peer, f"ref {self._copier.strange.pop()}, by domain {self._domid}")

    def _own(self, pages: Pages, unlike: str) -> SimulatedPages:
        self._check()
        known = self._pages.get(id(pages))
        if known is None or (unlike == "mapping") == bool(known.entry):
            gone = pages.gone if isinstance(pages, SimulatedPages) else ""
            self.machine.books.note("double release" if gone else "not its pages", self._domid, f"{tuple(pages.refs)[:4]} {gone}")
            raise OSError(errno.EINVAL, f"these pages are {gone or 'not of this connection'}")
        return known

    def _forget(self, pages: SimulatedPages) -> None:
        """Its memory is gone from the program already."""
        del self._pages[id(pages)]
        machine = self.machine
        if pages.lost:
            return
        offset, port = pages.last_words
        if offset is not None:
            machine.memory.write(pages.grants[offset // PAGE].frame, offset % PAGE, b"\0")
        if port is not None:
            machine.tell(port)
            port.unhold()
        if pages.entry:
            machine.books.shut(pages.entry)
            for grant in pages.grants:
                grant.mappings -= 1
                if grant.dropped and not grant.mappings:
                    machine.grants.end(grant)
        else:
            for grant in pages.grants:
                machine.grants.drop(grant)

    def _last_words(self, farewell: "Farewell | None", count: int) -> LastWords:
        if farewell is None:
            return LastWords(None, None)
        if farewell.offset is not None and not 0 <= farewell.offset < count * PAGE:
            raise OSError(errno.EINVAL, f"there is no byte {farewell.offset} in {count} pages")
        return LastWords(farewell.offset, None if farewell.port is None else self._port(farewell.port))

    # -- ports -------------------------------------------------------------------------------------------------------------------

    def _port(self, number: int) -> Port:
        self._check()
        port = self._ports.get(number)
        if port is None:
            self.machine.books.note("not its port", self._domid, f"port {number}")
            raise OSError(errno.ENOTCONN, f"port {number} is not of this connection")
        return port

    def allocate(self, peer: int) -> int:
        self._check()
        return self._open_port(peer).number

    def _open_port(self, peer: int) -> Port:
        port = self.machine.ports.add(self, peer)
        self._ports[port.number] = port
        return port

    def bind(self, peer: int, port: int) -> int:
        self._check()
        theirs = self.machine.ports.find(peer, port)
        if theirs is None or theirs.other is not None or theirs.peer != self._domid:
            self.machine.books.note("not bound", self._domid, f"port {port} of domain {peer}")
            raise OSError(errno.EINVAL, f"domain {peer} has no port {port} for domain {self._domid}")
        mine = self._open_port(peer)
        mine.join(theirs)
        self.hear(mine.number)
        return mine.number

    def release(self, port: int) -> None:
        mine = self._port(port)
        del self._ports[port]
        self._told.pop(port, None)
        mine.let_go()

    def notify(self, port: int) -> None:
        mine = self._port(port)
        if mine.dead:
            raise OSError(errno.EINVAL, f"port {port} is of the time before domain {self._domid} was suspended")
        self.machine.tell(mine)

    def pending(self) -> Sequence[int]:
        self._check()
        told = list(self._told)
        self._told.clear()
        self.settle()
        return told

    def hear(self, port: int) -> None:
        """A port of this program's was told."""
        if port in self._ports:
            quiet = not self._told
            self._told[port] = None
            if quiet:
                self.wake()

    # -- the program's loop ------------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        if self._fd is not None:
            os.eventfd_write(self._fd, 1)
        elif self._waker is not None:
            self._waker()

    def settle(self) -> None:
        """Something was asked for: is there more?"""
        if self._fd is not None and not self._told and not self._store.has_fired:
            with suppress(BlockingIOError):
                os.eventfd_read(self._fd)

    def fileno(self) -> "int | None":
        return self._fd

    def set_waker(self, waker: "Callable[[], None] | None") -> None:
        self._waker = waker
        if waker is not None and (self._told or self._store.has_fired):
            self.wake()

    # -- its end -----------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Raises BufferError while a view of pages is alive; the rest was given back, and it can be called again."""
        if self.closed:
            return
        held: BufferError | None = None
        for pages in list(self._pages.values()):
            try:
                pages.let_go("given back by close")
            except BufferError as error:
                held = error
            else:
                self._forget(pages)
        if held is not None:
            raise held
        self._end("was closed")

    def die(self) -> None:
        """As after SIGKILL: the machine gives back what it had."""
        if self.closed:
            return
        for pages in list(self._pages.values()):
            pages.cut_off()
            self._forget(pages)
        self._end(KILLED)

    def suspend(self) -> None:
        """What it shared stays its memory, without grants; what it had mapped is gone, and its ports are dead."""
        for pages in list(self._pages.values()):
            if pages.entry:
                pages.cut_off()
                self._forget(pages)
            else:
                pages.keep_memory()
                for grant in pages.grants:
                    self.machine.grants.drop(grant)
        for port in self._ports.values():
            port.dead = True
            self.machine.ports.close(port)
        self._told.clear()

    def resume(self, domid: int) -> None:
        self._domid = domid
        self._store.refire()

    def _end(self, how: str) -> None:
        for port in self._ports.values():
            port.let_go()
        self._ports.clear()
        self._told.clear()
        self._store.end()
        self._waker = None
        self.closed = how
        if self._fd is not None:
            self._close_fd()
            self._fd = None
        self.machine.gone(self)
