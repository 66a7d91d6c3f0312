"""Listening ports as asyncio servers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from ..address import ip4_text
from ..signatures import Address
from ..tcp.listener import Listener
from .base import Crank
from .sockview import SocketView
from .transports import Keeper


class Server(asyncio.AbstractServer):
    """What `start_server` gives: as asyncio's own, on one of our listeners.

    `wait_closed` waits for the connections that the server accepted, as asyncio's does since Python 3.12.
    """

    def __init__(self, crank: Crank, loop: asyncio.AbstractEventLoop, on_end: Callable[[Server], None]) -> None:
        """`on_end` is called when it neither listens nor has connections any more."""
        self.keeper = Keeper(crank, loop, self._wake)
        self._crank = crank
        self._loop = loop
        self._on_end = on_end
        self._listener: Listener | None = None
        self._streams = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._forever: asyncio.Future[None] | None = None

    def bind(self, listener: Listener) -> None:
        self._listener = listener

    @property
    def address(self) -> Address:
        assert self._listener is not None, "the server is closed"
        return ip4_text(self._listener.address), self._listener.port

    @property
    def sockets(self) -> tuple[SocketView, ...]:
        """One object with a `getsockname`, as programs look their port up there."""
        if self._listener is None:
            return ()
        return (SocketView(socket.SOCK_STREAM, self.address, None, None, self._crank),)

    def attach(self) -> None:
        """One stream more."""
        self._streams += 1

    def detach(self) -> None:
        self._streams -= 1
        self._wake()

    def _ended(self) -> bool:
        return self._listener is None and not self._streams and not self.keeper.alive

    def _wake(self) -> None:
        if self._ended():
            self._on_end(self)
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def is_serving(self) -> bool:
        return self._listener is not None

    async def start_serving(self) -> None:
        """It does so from the start."""
        await asyncio.sleep(0)

    async def serve_forever(self) -> None:
        if self._forever is not None:
            raise RuntimeError("serve_forever() is already running on this server")
        self._forever = self._loop.create_future()
        try:
            await self._forever
        finally:
            self._forever = None
            self.close()

    def close(self) -> None:
        """Accept no more. Connections go on."""
        if self._listener is None:
            return
        self._listener.close(self._crank.now())
        self._listener = None
        if self._forever is not None and not self._forever.done():
            self._forever.cancel()
        self._wake()

    async def aclose(self) -> None:
        self.close()

    async def wait_closed(self) -> None:
        if self._ended():
            return
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(self, *exc: Any) -> None:
        self.close()
        await self.wait_closed()
