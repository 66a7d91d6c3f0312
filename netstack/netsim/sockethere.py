"""Sockets that a program on a host makes by itself, `socket.socket(…)`, before it hands them to its event loop.

They are the host's from the start: what `bind` says is said to the host's stack, so two hosts may listen on port 80, and nobody
needs a privilege for it. As everywhere (runtime/loops/adoption.py) there is a descriptor of the kernel below, idle, for those who
ask for its number. Loops take such a socket as one of their own.

In a coroutine nothing may wait, so a call on a socket that would, and that its program has not made non-blocking, is refused.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from ..errors import UsageError
from ..runtime.current import current_net
from ..runtime.loops.adoption import INET, AdoptedSocket, core_of
from .here import side_here

KINDS = socket.SOCK_STREAM, socket.SOCK_DGRAM


class HostSocket(AdoptedSocket):
    """Says so where it would have to wait."""

    __slots__ = ()

    def _now(self, call: Callable[..., Any], *args: Any) -> Any:
        try:
            return call(*args)
        except BlockingIOError:
            if self.gettimeout() == 0:
                raise
            raise UsageError(
                f"{call.__name__} on a blocking socket would stop every host of the test world: setblocking(False) and let the"
                " event loop wait, or run the function by host.run_sync"
            ) from None

    def accept(self) -> Any:
        return self._now(super().accept)

    def connect(self, address: Any) -> None:
        self._now(super().connect, address)

    def recv(self, *args: Any) -> bytes:
        data: bytes = self._now(super().recv, *args)
        return data

    def recv_into(self, *args: Any) -> int:
        return int(self._now(super().recv_into, *args))

    def recvfrom(self, *args: Any) -> tuple[bytes, Any]:
        data, address = self._now(super().recvfrom, *args)
        return data, address

    def send(self, *args: Any) -> int:
        return int(self._now(super().send, *args))

    def sendall(self, data: Any, *args: Any) -> None:
        view = memoryview(data).cast("B")
        while len(view):
            view = view[self._now(super().send, view, *args) :]


def _init(original: Callable[..., None]) -> Callable[..., None]:
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
