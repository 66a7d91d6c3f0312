"""A small world for HTTP: a script instead of a client, a clock that moves when somebody waits, and no event loop at all.

That the server runs here shows that it needs no runtime. `KernelStack` is the other end of the scale: real sockets, real asyncio.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar, cast

from netstack.errors import ClosedError, TimedOut, UsageError
from netstack.http.config import HttpConfig
from netstack.http.events import Body, Event
from netstack.http.h1.connection import ServerConnection
from netstack.http.serve.message import Handler
from netstack.http.serve.server import HttpServer
from netstack.instant import SECOND, Duration, Instant
from netstack.signatures import Address, Stream, StreamHandler, StreamListener

T = TypeVar("T")
WALL = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT, the RFC's own example


def finish(waiting: Awaitable[T]) -> T:
    """Run a coroutine that never really waits."""
    assert isinstance(waiting, Coroutine)
    try:
        waiting.send(None)
    except StopIteration as stop:
        return cast(T, stop.value)
    waiting.close()
    raise AssertionError("it waited for something that is not the stream")


def joined(events: Iterable[Event]) -> list[Event]:
    """Events with adjacent bodies made one: how bytes were cut must not matter."""
    result: list[Event] = []
    for event in events:
        if isinstance(event, Body) and result and isinstance(result[-1], Body):
            result[-1] = Body(result[-1].data + event.data)
        else:
            result.append(event)
    return result


def connection(**settings: Any) -> ServerConnection:
    """One that was accepted at the instant 0."""
    return ServerConnection(HttpConfig(**settings), Instant(0))


class Clock:
    def __init__(self) -> None:
        self.now = 1000 * SECOND

    def __call__(self) -> int:
        return self.now


Item = bytes | int | Exception | Callable[[], None]


class ScriptedStream:
    """A client that is a list: bytes to send, nanoseconds to be silent, exceptions to break with, functions to call.

    b"" in the script ends the client's side. After the last item the client is silent, for ever.
    """

    local_address: Address = ("192.0.2.1", 80)
    remote_address: Address = ("192.0.2.2", 50000)

    def __init__(self, clock: Clock, script: Iterable[Item]) -> None:
        self.clock = clock
        self.script = list(script)
        self.sent = b""
        self.sends: list[int] = []
        self.ended = self.closed = self.aborted = False
        self.break_sending: Exception | None = None
        self.received = 0

    async def receive(self, limit: int = 65536, timeout: Duration | None = None) -> bytes:
        if self.closed or self.aborted:
            raise ClosedError("closed")
        end = None if timeout is None else self.clock.now + timeout
        while self.script:
            item = self.script[0]
            if isinstance(item, bytes):
                data, rest = item[:limit], item[limit:]
                if rest:
                    self.script[0] = rest
                elif item:
                    self.script.pop(0)
                self.received += len(data)
                return data
            if isinstance(item, int):
                if end is not None and self.clock.now + item >= end:
                    self.script[0] = item - (end - self.clock.now)
                    self.clock.now = end
                    raise TimedOut
                self.clock.now += item
                self.script.pop(0)
                continue
            self.script.pop(0)
            if isinstance(item, Exception):
                raise item
            item()
        assert end is not None, "waiting for ever for a silent client"
        self.clock.now = end
        raise TimedOut

    async def send_all(self, data: bytes, timeout: Duration | None = None) -> None:
        assert timeout is not None
        assert not self.ended
        if self.break_sending is not None:
            raise self.break_sending
        if self.closed or self.aborted:
            raise ClosedError("closed")
        self.sent += data
        self.sends.append(len(data))

    async def send_eof(self) -> None:
        self.ended = True

    async def aclose(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True


class ScriptedListener:
    def __init__(self, stack: "ScriptedStack", address: Address) -> None:
        self.address = address
        self._stack = stack

    async def aclose(self) -> None:
        self._stack.handler = None


class ScriptedStack:
    """A stack whose clients are scripts."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.handler: StreamHandler | None = None

    async def connect_stream(self, host: str, port: int, timeout: Duration | None = None) -> Stream:
        raise NotImplementedError

    async def serve_streams(self, handler: StreamHandler, port: int, host: str = "", backlog: int = 128) -> StreamListener:
        self.handler = handler
        return ScriptedListener(self, (host, port))

    def client(self, *script: Item) -> ScriptedStream:
        """Play a script to its end."""
        stream = ScriptedStream(self.clock, script)
        play(self, stream)
        return stream


def play(stack: ScriptedStack, stream: ScriptedStream) -> None:
    """Serve one client, from its first byte to the end of the handler's task."""
    assert stack.handler is not None
    finish(stack.handler(stream))
    stream.closed = True


def serve(handler: Handler, config: HttpConfig | None = None) -> tuple[ScriptedStack, HttpServer[ScriptedStack]]:
    stack = ScriptedStack()

    async def sleep(duration: Duration) -> None:
        stack.clock.now += duration

    server = HttpServer(stack, handler, clock=stack.clock, wall=lambda: WALL, config=config or HttpConfig(), sleep=sleep)
    finish(server.listen(80))
    return stack, server


def ask(handler: Handler, *script: Item, config: HttpConfig | None = None) -> bytes:
    """What a client with this script gets back. It ends its side after the last item."""
    return serve(handler, config)[0].client(*script, b"").sent


# -- the kernel's sockets ------------------------------------------------------------------------------------------------------


class KernelStream:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.local_address: Address = writer.get_extra_info("sockname")[:2]
        self.remote_address: Address = writer.get_extra_info("peername")[:2]

    async def receive(self, limit: int = 65536, timeout: Duration | None = None) -> bytes:
        try:
            return await asyncio.wait_for(self.reader.read(limit), None if timeout is None else timeout / SECOND)
        except TimeoutError:
            raise TimedOut from None

    async def send_all(self, data: bytes, timeout: Duration | None = None) -> None:
        self.writer.write(data)
        try:
            await asyncio.wait_for(self.writer.drain(), None if timeout is None else timeout / SECOND)
        except TimeoutError:
            raise TimedOut from None

    async def send_eof(self) -> None:
        self.writer.write_eof()

    async def aclose(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        self.writer.transport.abort()


class KernelListener:
    def __init__(self, server: asyncio.Server) -> None:
        self._server = server
        self.address: Address = server.sockets[0].getsockname()[:2]

    async def aclose(self) -> None:
        self._server.close()


class KernelStack:
    """The kernel's TCP on the loop-back interface."""

    async def connect_stream(self, host: str, port: int, timeout: Duration | None = None) -> Stream:
        return KernelStream(*await asyncio.open_connection(host, port))

    async def serve_streams(self, handler: StreamHandler, port: int, host: str = "", backlog: int = 128) -> StreamListener:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await handler(KernelStream(reader, writer))
            finally:
                writer.close()

        if port < 0:
            raise UsageError("a port is not negative")
        return KernelListener(await asyncio.start_server(accept, host or "127.0.0.1", port, backlog=backlog))
