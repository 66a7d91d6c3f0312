"""Two or three hosts and an HTTP client on one of them, in virtual time, on asyncio and on trio from one source."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import trio

import netstack
from netstack.errors import ClosedError
from netstack.http.client.client import HttpClient
from netstack.http.config import HttpClientConfig
from netstack.http.serve.message import Handler
from netstack.http.serve.server import HttpServer
from netstack.instant import seconds
from netstack.runtime.trio.world import run_virtual as run_trio
from netstack.runtime.waits import waits_here
from netstack.testing.net import World

SERVER = "10.0.0.2"


class On:
    """What differs between the runtimes."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        if self.name == "asyncio":
            netstack.run_virtual(main())  # type: ignore[arg-type]
        else:
            run_trio(main)

    async def sleep(self, seconds: float) -> None:
        await (asyncio.sleep if self.name == "asyncio" else trio.sleep)(seconds)

    def now(self) -> float:
        return waits_here().now() / 1e9

    async def both(self, *works: Callable[[], Awaitable[Any]]) -> None:
        """All of them at once; the first error ends it."""
        if self.name == "asyncio":
            async with asyncio.TaskGroup() as group:
                for work in works:
                    group.create_task(work())  # type: ignore[arg-type]
        else:
            async with trio.open_nursery() as nursery:
                for work in works:
                    nursery.start_soon(work)

    async def within(self, seconds: float, work: Callable[[], Awaitable[Any]]) -> bool:
        """Cancel it after so long; was it in time?"""
        if self.name == "asyncio":
            try:
                async with asyncio.timeout(seconds):
                    await work()
            except TimeoutError:
                return False
            return True
        with trio.move_on_after(seconds) as scope:
            await work()
        return not scope.cancelled_caught


class Lab:
    """`client` fetches from host a; what `serve` and `script` make, listens on host b, which is 10.0.0.2."""

    def __init__(self, on: On, world: World, config: HttpClientConfig | None, options: dict[str, Any]) -> None:
        self.on = on
        self.world = world
        self.a, self.b = world.hosts[0].net, world.hosts[1].net
        self.client: HttpClient[Any] = HttpClient(self.a, config=config or HttpClientConfig(), **options)
        self.servers: list[HttpServer[Any]] = []
        self.opened = 0  # connections that scripts saw
        self._listeners: list[Any] = []

    async def serve(self, handler: Handler, port: int = 80, stack: Any = None, **options: Any) -> HttpServer[Any]:
        server = HttpServer(stack or self.b, handler, **options)
        await server.listen(port)
        self.servers.append(server)
        return server

    async def script(self, *scripts: Sequence[bytes | float | None], port: int = 80, stack: Any = None) -> list[bytes]:
        """A server that says what is written, one script for each connection, the last one for all others: bytes after a request
        has come, seconds to wait, None for a reset. b"" waits for another request; at its end it closes. Gives what it hears."""
        heard: list[bytes] = []

        async def serve(stream: Any) -> None:
            script = scripts[min(self.opened, len(scripts) - 1)]
            self.opened += 1
            with contextlib.suppress(OSError, ClosedError):
                heard.append(await stream.receive())
                for item in script:
                    if item is None:
                        stream.abort()
                        return
                    if isinstance(item, float):
                        await self.on.sleep(item)
                    elif item:
                        await stream.send_all(item)
                    else:
                        heard.append(await stream.receive())

        self._listeners.append(await (stack or self.b).serve_streams(serve, port))
        return heard

    async def aclose(self) -> None:
        await self.client.aclose()
        for server in self.servers:
            await server.aclose(seconds(0))
        for listener in self._listeners:
            await listener.aclose()


@contextlib.asynccontextmanager
async def lab(on: On, config: HttpClientConfig | None = None, hosts: int = 2, **options: Any) -> AsyncIterator[Lab]:
    faults = options.pop("world", {})
    world = World(**{"seed": 7, **faults})
    for name in "abc"[:hosts]:
        world.host(name)
    async with netstack.open_world(world):
        made = Lab(on, world, config, options)
        try:
            yield made
        finally:
            await made.aclose()
