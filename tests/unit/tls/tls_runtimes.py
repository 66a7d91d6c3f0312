"""The same test on asyncio and on trio: what differs is here; and streams over pipes, to test."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import trio
import trio.testing
from tls_pipe import PipeStream, pipe_pair
from tls_world import HOST, client_context, server_context

from netstack.tls import Tls, TlsConfig


class OnAsyncio:
    name = "asyncio"

    @staticmethod
    def run(test: Callable[[Any], Awaitable[None]]) -> None:
        reported: list[dict[str, Any]] = []

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
            async with asyncio.timeout(20):
                await test(OnAsyncio)
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(main())
        gc.collect()
        assert not reported, reported[0].get("exception")

    @staticmethod
    async def together(*works: Callable[[], Awaitable[Any]]) -> list[Any]:
        return await asyncio.gather(*(work() for work in works))

    @staticmethod
    async def cancelled(work: Callable[[], Awaitable[Any]], seconds: float = 0.02) -> None:
        """`work` waits for so long, and is cancelled."""
        task = asyncio.ensure_future(work())
        await asyncio.sleep(seconds)
        assert not task.done()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()

    sleep = staticmethod(asyncio.sleep)


class OnTrio:
    name = "trio"

    @staticmethod
    def run(test: Callable[[Any], Awaitable[None]]) -> None:
        async def main() -> None:
            with trio.fail_after(20):
                await test(OnTrio)

        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))

    @staticmethod
    async def together(*works: Callable[[], Awaitable[Any]]) -> list[Any]:
        results: list[Any] = [None] * len(works)

        async def keep(i: int) -> None:
            results[i] = await works[i]()

        async with trio.open_nursery() as nursery:
            for i in range(len(works)):
                nursery.start_soon(keep, i)
        return results

    @staticmethod
    async def cancelled(work: Callable[[], Awaitable[Any]], seconds: float = 0.02) -> None:
        with trio.move_on_after(seconds) as scope:
            await work()
        assert scope.cancelled_caught

    sleep = staticmethod(trio.sleep)


RUNTIMES = [OnAsyncio, OnTrio]


def tls(client: ssl.SSLContext | None = None, server: ssl.SSLContext | None = None, **config: Any) -> Tls[Any]:
    nothing: Any = None
    return Tls(nothing, client=client or client_context(), server=server or server_context(), config=TlsConfig(**config))


async def secured(on: Any, kind: type[PipeStream] = PipeStream, bound: int = 65536, secure: Tls[Any] | None = None) -> Any:
    """Both ends of a stream."""
    secure = secure or tls()
    near, far = pipe_pair(bound, kind)
    return await on.together(lambda: secure.wrap_client(near, HOST), lambda: secure.wrap_server(far))
