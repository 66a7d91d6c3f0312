"""Connections that are asked for and not answered yet: `net.accept_any`, and what forwards begin with.

    async def trap(caller):
        stream = await caller.accept()                  # SYN,ACK leaves now, and not before
        await stream.send_all(b"login: ")
        ...

    async with netstack.open("tap:tap0", addresses=["10.79.0.1/24"], config=StackConfig(ip=Ipv4Config(any_ip=True))) as net:
        await net.accept_any(trap)                      # every port of every address

Who stands in for others finds out first whether they would take the connection, and then says so: accept, refuse, unreachable, or
nothing at all. Until then the caller's SYN is held (tcp/catch.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ...address import ip4_text
from ...errors import ClosedError, UsageError
from ...signatures import Address
from ...tcp.catch import Request
from ...tcp.connection import Connection
from ..streams import TcpStream

if TYPE_CHECKING:
    from ...cores import StreamUser
    from ..net import Net

LIMIT = 1024  # at a time, as for a forward: each may be a task, a stream and a receive buffer


class Caller:
    """Somebody who has sent a SYN and waits. One of the four verbs answers; a second one does nothing, and so does any when the
    caller has gone meanwhile, but for `accept`, which raises."""

    def __init__(self, net: Net, request: Request) -> None:
        self.request = request
        self._net = net

    @property
    def source(self) -> Address:
        return ip4_text(self.request.src), self.request.src_port

    @property
    def destination(self) -> Address:
        """Whom it calls."""
        return ip4_text(self.request.dst), self.request.dst_port

    @property
    def waiting(self) -> bool:
        return self.request.live

    async def accept(self) -> TcpStream:
        """Answer, and give the stream when the handshake is done; `local_address` of it is the caller's `destination`.

        Raises ClosedError when the caller has gone or there is no room for him, what the handshake ended with when it fails."""
        stream = self.answer()
        try:
            await stream.opened
        except BaseException:
            stream.abort()
            raise
        return stream

    def answer(self) -> TcpStream:
        """`accept` for who doesn't wait: the stream is not open yet, and may be written to."""
        net = self._net
        stream = TcpStream(net._crank, net._loop, net._streams.discard)

        def user(conn: Connection) -> StreamUser:
            stream.bind(conn)
            return stream.user

        if self.request.accept(user, net.now()) is None:
            raise ClosedError("the caller has gone, or there is no room for one more connection")
        net._streams.add(stream)
        net._crank.rearm()
        return stream

    def refuse(self) -> None:
        """A reset, as from a port on which nobody listens."""
        self.request.refuse(self._net.now())
        self._net._crank.rearm()

    def unreachable(self, code: int = 1) -> None:
        """ICMP destination unreachable: 0 network, 1 host, 3 port, 13 administratively prohibited (RFC 792, RFC 1812 5.2.7.1)."""
        if not 0 <= code <= 15:
            raise UsageError(f"{code} is not a code of destination unreachable: those are 0 to 15")
        self.request.unreachable(code, self._net.now())
        self._net._crank.rearm()

    def drop(self) -> None:
        """Silence: he will repeat his SYN, in vain, and give up."""
        self.request.drop()

    def __repr__(self) -> str:
        (a, p), (b, q) = self.source, self.destination
        return f"<Caller {a}:{p} -> {b}:{q}>"


class Callers:
    """Runs `attend(caller)` in a task of its own for each, at most `limit` at a time; further ones are refused. A caller whom it
    leaves without an answer is refused. When he goes first, its task is cancelled."""

    def __init__(self, net: Net, attend: Callable[[Caller], Awaitable[Any]], limit: int) -> None:
        if limit < 1:
            raise UsageError(f"limit={limit} would accept nobody: allow one caller or more")
        self.limit = limit
        self.turned_away = 0
        self._net = net
        self._attend = attend
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def open(self) -> int:
        return len(self._tasks)

    def called(self, request: Request) -> None:
        """The catcher."""
        caller = Caller(self._net, request)
        if self._closed or len(self._tasks) >= self.limit:
            self.turned_away += 1
            caller.refuse()
            return
        task = self._net._loop.create_task(self._serve(caller))
        request.on_end = task.cancel
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, caller: Caller) -> None:
        try:
            await self._attend(caller)
        except Exception as error:
            context = {"message": "Unhandled exception in a handler of callers", "exception": error}
            self._net._loop.call_exception_handler(context)
        finally:
            caller.refuse()

    async def aclose(self) -> None:
        """Nobody is attended any more: tasks are cancelled, held SYNs forgotten. Streams that were given away go on."""
        if self._closed:
            return
        self._closed = True
        self._net._doors.discard(self)
        self._net.stack.tcp.catch(None)
        await self.end()

    async def end(self) -> None:
        self._closed = True
        for task in list(self._tasks):
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def __aenter__(self) -> Callers:
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self.aclose()


def accept_any(net: Net, attend: Callable[[Caller], Awaitable[Any]], limit: int) -> Callers:
    callers = Callers(net, attend, limit)
    net.stack.tcp.catch(callers.called)
    net._doors.add(callers)
    return callers
