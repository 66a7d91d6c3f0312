"""Programs on a loop that has a net, on either base."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import netstack

_no_uvloop = pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed")
BASES = ["asyncio", pytest.param("uvloop", marks=_no_uvloop)]

_watched: list[tuple[str, Any]] | None = None  # what the kernel was asked for, while somebody wants to know


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _watched is not None and event in ("socket.bind", "socket.connect", "socket.sendto", "socket.getaddrinfo"):
        _watched.append((event, args[-1] if event != "socket.getaddrinfo" else args))


sys.addaudithook(_audit)


def on_net(net: str = "loopback:", kernel: bool = False, **options: Any) -> Callable[[Callable[[], Awaitable[None]]], Any]:
    """Run an async test on a loop with a net. Whatever is told to the loop's exception handler fails it, and so does a task that is
    left, and, unless `kernel`, a call that asks the kernel's network for anything but a Unix socket."""

    def decorate(test: Callable[[], Awaitable[None]]) -> Any:
        @pytest.mark.parametrize("base", BASES)
        def run(base: str) -> None:
            global _watched
            told: list[dict[str, Any]] = []

            async def main() -> None:
                asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
                async with asyncio.timeout(20):
                    await test()
                assert asyncio.all_tasks() == {asyncio.current_task()}

            _watched = []
            try:
                netstack.run(main(), net=net, base=base, **options)
                gc.collect()
                asked = [(event, what) for event, what in _watched if isinstance(what, tuple)]
            finally:
                _watched = None
            assert not told
            assert kernel or not asked

        run.__name__ = test.__name__
        run.__doc__ = test.__doc__
        return run

    return decorate


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


class Recorder(asyncio.Protocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.made: asyncio.Future[Any] = loop.create_future()
        self.lost: asyncio.Future[Exception | None] = loop.create_future()
        self.data = bytearray()
        self.ended = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.made.set_result(transport)

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> None:
        self.ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


async def until(condition: Callable[[], bool]) -> None:
    """For what the loop's own turns bring about, a delayed acknowledgement among them: 40 ms, which a quick loop turns thousands of
    times in."""
    loop = asyncio.get_running_loop()
    end = loop.time() + 5
    while not condition():
        assert loop.time() < end, "it never came about"
        await asyncio.sleep(0)
