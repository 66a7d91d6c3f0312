"""Two hosts, a server of WebSockets on one: on asyncio and on trio, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import trio

import netstack
from netstack.http import HttpServer
from netstack.instant import MILLISECOND
from netstack.runtime.trio.world import run_virtual as run_trio
from netstack.testing.net import World

URL = "ws://10.0.0.1/chat?room=1"
Client = Callable[[Any, HttpServer[Any]], Awaitable[Any]]


class OnAsyncio:
    name = "asyncio"
    sleep = staticmethod(asyncio.sleep)

    @staticmethod
    def run(main: Callable[[], Any]) -> Any:
        async def alone() -> Any:
            result = await main()
            await asyncio.sleep(1)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            return result

        return netstack.run_virtual(alone())

    @staticmethod
    async def together(*works: Callable[[], Awaitable[Any]]) -> None:
        await asyncio.gather(*(work() for work in works))

    @staticmethod
    async def cut(seconds: float, work: Callable[[], Awaitable[Any]]) -> None:
        """Cancel it after so long."""
        try:
            await asyncio.wait_for(work(), seconds)  # type: ignore[arg-type]
        except TimeoutError:
            return
        raise AssertionError("it was not cancelled")


class OnTrio:
    name = "trio"
    sleep = staticmethod(trio.sleep)

    @staticmethod
    def run(main: Callable[[], Any]) -> Any:
        return run_trio(main)

    @staticmethod
    async def together(*works: Callable[[], Awaitable[Any]]) -> None:
        async with trio.open_nursery() as nursery:
            for work in works:
                nursery.start_soon(work)

    @staticmethod
    async def cut(seconds: float, work: Callable[[], Awaitable[Any]]) -> None:
        with trio.move_on_after(seconds) as scope:
            await work()
        assert scope.cancelled_caught


RUNTIMES = [OnAsyncio, OnTrio]


def in_a_world(on: Any, client: Client, **serving: Any) -> Any:
    """What `client(net, server)` gives, on a host beside the one that serves."""

    async def main() -> Any:
        world = World(seed=1, delay=MILLISECOND)
        a, b = world.host("a"), world.host("b")
        world.link(a, b)
        async with netstack.open_world(world):
            server = HttpServer(a.net, **serving)
            await server.listen(80)
            try:
                return await client(b.net, server)
            finally:
                await server.aclose()

    return on.run(main)
