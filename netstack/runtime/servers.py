"""Listening ports as asyncio servers."""

from __future__ import annotations

import asyncio
from asyncio.trsock import TransportSocket
from collections.abc import Callable, Sequence
from typing import Any

from ..cores import StreamUser
from ..signatures import Address
from ..sockets.end import StreamEnd
from ..sockets.stream import StreamSocket
from ..tcp.catch import Request
from ..tcp.connection import Connection
from .base import Crank
from .face import BACKLOG
from .loops.adoption import faced
from .transports import Keeper

Accept = Callable[[Connection], StreamUser | None]


class Server(asyncio.AbstractServer):
    """What `start_server` gives: as asyncio's own, on one listening socket of ours or several.

    `wait_closed` waits for the connections that the server accepted, as asyncio's does since Python 3.12.

    A connection goes from the handshake to its protocol at once, within the batch that brought it: the queue of the socket is only
    for those that came before the server.
    """

    def __init__(self, crank: Crank, loop: asyncio.AbstractEventLoop, on_end: Callable[[Server], None]) -> None:
        """`on_end` is called when it neither listens nor has connections any more."""
        self.keeper = Keeper(crank, loop, self._wake)
        self._crank = crank
        self._loop = loop
        self._on_end = on_end
        self._sockets: list[StreamSocket] | None = []
        self._shown: dict[StreamSocket, Any] = {}
        self._accept: Accept | None = None
        self._late: Callable[[StreamEnd], None] | None = None
        self._backlog = BACKLOG
        self._serving = False
        self._streams = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._forever: asyncio.Future[None] | None = None

    def bind(
        self,
        sockets: Sequence[StreamSocket],
        accept: Accept,
        backlog: int,
        late: Callable[[StreamEnd], None] | None = None,
        shown: Sequence[Any] = (),
    ) -> None:
        """`sockets` are bound, and its own from now on; programs see those of `shown` in their place. `late` is called for those
        who waited in the queue of one before it began to serve."""
        self._sockets = list(sockets)
        self._shown = dict(zip(sockets, shown, strict=False))
        self._accept = accept
        self._late = late
        self._backlog = backlog

    def serve(self) -> None:
        """Listen. Raises OSError, AddressInUse."""
        if self._serving or self._sockets is None:
            return
        assert self._accept is not None  # `bind` comes first
        for sock in self._sockets:
            sock.listen(self._backlog)
            listening = sock.listening
            assert listening is not None
            waiting = list(iter(listening.take, None))
            if listening.listener is not None:  # one for IPv6 alone has none
                listening.listener.accept = self._accept
            for end in waiting:
                if self._late is not None:
                    self._late(end)
        self._serving = True

    def catch(self, catcher: Callable[[Request], object]) -> None:
        """Hold the SYNs that come, for the word of `catcher` (tcp/catch.py). While it serves."""
        for sock in self._sockets or ():
            if sock.listening is not None and sock.listening.listener is not None:
                sock.listening.listener.catcher = catcher

    @property
    def address(self) -> Address:
        """Of its first socket."""
        assert self._sockets, "the server is closed"
        name = self._sockets[0].getsockname()
        return name[0], name[1]

    @property
    def sockets(self) -> tuple[TransportSocket, ...]:
        """As asyncio's: they tell their names and options, and can't be read from."""
        return tuple(TransportSocket(self._shown.get(sock) or self._show(sock)) for sock in self._sockets or ())

    def _show(self, sock: StreamSocket) -> Any:
        shown = self._shown[sock] = faced(sock)
        return shown

    def attach(self) -> None:
        """One stream more."""
        self._streams += 1

    def detach(self) -> None:
        self._streams -= 1
        self._wake()

    def _ended(self) -> bool:
        return self._sockets is None and not self._streams and not self.keeper.alive

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
        return self._serving

    async def start_serving(self) -> None:
        self.serve()
        await asyncio.sleep(0)

    async def serve_forever(self) -> None:
        """Until it is cancelled: then it closes, and waits for its connections to end."""
        if self._forever is not None:
            raise RuntimeError(f"server {self!r} is already being awaited on serve_forever()")
        if self._sockets is None:
            raise RuntimeError(f"server {self!r} is closed")
        self.serve()
        self._forever = self._loop.create_future()
        try:
            await self._forever
        except asyncio.CancelledError:
            try:
                self.close()
                await self.wait_closed()
            finally:
                raise
        finally:
            self._forever = None

    def close(self) -> None:
        """Accept no more. Connections go on."""
        sockets, self._sockets = self._sockets, None
        if sockets is None:
            return
        for sock in sockets:
            shown = self._shown.get(sock)
            if shown is not None:
                shown.close()
            sock.close()
        self._serving = False
        if self._forever is not None and not self._forever.done():
            self._forever.cancel()
        self._wake()

    def close_clients(self) -> None:
        """Close every connection that it has accepted, as `transport.close` does. Streams of `serve_streams` are the handlers'."""
        for transport in list(self.keeper.alive):
            transport.close()

    def abort_clients(self) -> None:
        """Drop them."""
        for transport in list(self.keeper.alive):
            transport.reset()

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

    def __repr__(self) -> str:
        return f"<Server sockets={self.sockets!r}>"
