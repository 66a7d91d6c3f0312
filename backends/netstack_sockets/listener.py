"""A listening port of the kernel's."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

from netstack.errors import ClosedError
from netstack.signatures import Address

from .world import address_of

BATCH = 64  # connections taken in one call of the loop: others have work as well
RETRY = 1.0  # seconds until the next attempt when descriptors or memory ran out, as asyncio's
SCARCE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class KernelListener:
    """`netstack.signatures.StreamListener`: gives every connection to `accept`, as soon as the kernel does."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        accept: Callable[[socket.socket, Address], None],
        on_end: Callable[[KernelListener], None],
    ) -> None:
        """`sock` listens and does not block."""
        self._loop = loop
        self._sock: socket.socket | None = sock
        self._give = accept
        self._on_end = on_end
        self._pause: asyncio.TimerHandle | None = None
        self._address = address_of(sock.getsockname())
        loop.add_reader(sock, self._accept)

    @property
    def address(self) -> Address:
        if self._sock is None:
            raise ClosedError("this listener is closed")
        return self._address

    def _accept(self) -> None:
        sock = self._sock
        assert sock is not None
        for _ in range(BATCH):
            try:
                conn, peer = sock.accept()
            except OSError as error:
                # the rest is nothing yet, or an error of a connection that is over already (accept(2))
                if error.errno in SCARCE:
                    self._loop.remove_reader(sock)
                    self._pause = self._loop.call_later(RETRY, self._go_on)
                    message = f"no connection can be accepted on {self._address}: trying again in {RETRY:g} s"
                    self._loop.call_exception_handler({"message": message, "exception": error})
                return
            conn.setblocking(False)
            self._give(conn, address_of(peer))
            if self._sock is None:
                return

    def _go_on(self) -> None:
        self._pause = None
        if self._sock is not None:
            self._loop.add_reader(self._sock, self._accept)

    def close(self) -> None:
        sock, self._sock = self._sock, None
        if sock is None:
            return
        if self._pause is None:
            self._loop.remove_reader(sock)
        else:
            self._pause.cancel()
        sock.close()
        self._on_end(self)

    async def aclose(self) -> None:
        self.close()
