"""Sockets that a program on a host makes by itself, `socket.socket(…)`, before it hands them to its event loop.

They are the host's from the start: what `bind` says is said to the host's stack, so two hosts may listen on port 80, and nobody
needs a privilege for it. As everywhere (runtime/loops/adoption.py) there is a descriptor of the kernel below, idle, for those who
ask for its number. Loops take such a socket as one of their own.

In a coroutine nothing may wait, so a call that would, on a socket that its program has not made non-blocking, is refused. In a
function that `SimHost.run_sync` runs it waits as it should (worker.py).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import UsageError
from ..runtime.current import current_net
from ..runtime.loops import adoption
from ..runtime.loops.adoption import BACKLOG, INET, AdoptedSocket, core_of
from ..runtime.loops.readiness import READ, WRITE
from .here import side_here, workers

KINDS = socket.SOCK_STREAM, socket.SOCK_DGRAM
Call = Callable[..., Any]


class HostSocket(AdoptedSocket):
    """One of a host's, with the manners of a blocking socket where it can wait."""

    __slots__ = ()

    def _wait(self, mask: int, call: Call, *args: Any) -> Any:
        """`call`, when it needn't wait."""
        limit = self.gettimeout()
        worker = workers.here
        if worker is not None:
            return worker.ask(partial(_patient, worker.side, self.core, mask, limit, partial(call, *args)))
        try:
            return call(*args)
        except BlockingIOError:
            if limit == 0:
                raise
            raise UsageError(
                f"{call.__name__} on a blocking socket would stop every host of the test world: setblocking(False) and let the"
                " event loop wait, or run the function by host.run_sync"
            ) from None

    def _do(self, call: Call, *args: Any) -> Any:
        """`call`, where the loop is."""
        worker = workers.here
        return call(*args) if worker is None else worker.ask(partial(_at_once, partial(call, *args)))

    def accept(self) -> tuple[Any, Any]:
        if workers.here is None:
            accepted: tuple[Any, Any] = self._wait(READ, super().accept)
            return accepted
        core, address = self._wait(READ, self.core.accept)
        return _clothed(core), address

    def connect(self, address: Any) -> None:
        address = self._found(address)
        if workers.here is None:
            self._wait(WRITE, super().connect, address)
            return
        try:
            self._do(super().connect, address)
        except BlockingIOError:
            if self.gettimeout() == 0:
                raise
            self._wait(WRITE, self._connected)

    def _connected(self) -> None:
        if not self.core.events() & WRITE:
            raise BlockingIOError
        number = self.core.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if isinstance(number, int) and number:
            raise OSError(number, os.strerror(number))

    def connect_ex(self, address: Any) -> int:
        try:
            self.connect(address)
        except OSError as error:
            return error.errno or 0
        return 0

    def _found(self, address: Any) -> Any:
        """With the number of a host in place of its name."""
        if isinstance(address, tuple) and len(address) == 2:
            host, port = address
            if isinstance(host, str) and host:
                return socket.getaddrinfo(host, port, self.family, self.type)[0][4]
        return address

    def recv(self, *args: Any) -> bytes:
        data: bytes = self._wait(READ, super().recv, *args)
        return data

    def recv_into(self, *args: Any) -> int:
        return int(self._wait(READ, super().recv_into, *args))

    def recvfrom(self, *args: Any) -> tuple[bytes, Any]:
        data, address = self._wait(READ, super().recvfrom, *args)
        return data, address

    def recvfrom_into(self, *args: Any) -> tuple[int, Any]:
        size, address = self._wait(READ, super().recvfrom_into, *args)
        return size, address

    def send(self, *args: Any) -> int:
        return int(self._wait(WRITE, super().send, *args))

    def sendto(self, data: Any, *args: Any) -> int:
        return int(self._wait(WRITE, super().sendto, data, *args[:-1], self._found(args[-1])))

    def sendall(self, data: Any, *args: Any) -> None:
        view = memoryview(data).cast("B")
        while len(view):
            view = view[self.send(view, *args) :]

    def bind(self, address: Any) -> None:
        self._do(super().bind, self._found(address))

    def listen(self, backlog: int = BACKLOG) -> None:
        self._do(super().listen, backlog)

    def shutdown(self, how: int) -> None:
        self._do(super().shutdown, how)

    def setsockopt(self, *args: Any) -> None:
        self._do(super().setsockopt, *args)

    def _real_close(self) -> None:
        self._do(super()._real_close)

    def detach(self) -> int:
        raise UsageError(
            "a socket of a test world has no descriptor to give away: blocking TLS needs one, asyncio's and trio's don't"
        )


async def _at_once(call: Call) -> Any:
    return call()


async def _patient(side: Any, core: Any, mask: int, limit: float | None, call: Call) -> Any:
    until = None if limit is None else side.now() + limit
    while True:
        try:
            return call()
        except BlockingIOError:
            if limit == 0:
                raise
        if not await side.wait_events(core, mask, None if until is None else until - side.now()):
            raise TimeoutError("timed out")


def _clothed(core: Any) -> HostSocket:
    """A socket with a descriptor, for one of the stack's own making."""
    sock: Any = socket.socket.__new__(socket.socket)
    _plain_init(sock, core.family, core.type, core.proto)
    sock.__class__ = HostSocket
    adoption._cores[sock] = core
    adoption._numbers[sock.fileno()] = sock
    side_here().made(sock)
    clothed: HostSocket = sock
    return clothed


_plain_init: Call = socket.socket.__init__


def _init(original: Call) -> Call:
    def __init__(self: socket.socket, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        original(self, family, type, proto, fileno)
        side = side_here() if fileno is None and self.__class__ is socket.socket else None
        net = None if side is None else current_net()
        if side is not None and net is not None and self.family in INET and self.type in KINDS:
            core_of(side.adopter(net), self)  # which makes it one of the host's
            self.__class__ = HostSocket
            side.made(self)

    return __init__


METHODS: list[tuple[type, str, Callable[[Any], Any]]] = [(socket.socket, "__init__", _init)]
