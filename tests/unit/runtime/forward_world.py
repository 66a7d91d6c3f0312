"""Two nets on a wire, and the host's own sockets beside them: what forwards and proxies are tested with."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import socket
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import netstack
from netstack.testing.wire import Wire

A, B = "10.0.0.1", "10.0.0.2"


@contextlib.asynccontextmanager
async def nets() -> AsyncIterator[tuple[Any, Any]]:
    wire = Wire()
    async with (
        netstack.open(wire.port("a"), addresses=[f"{A}/24"], seed=1) as a,
        netstack.open(wire.port("b"), addresses=[f"{B}/24"], seed=2) as b,
    ):
        yield a, b


def on_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs it with two nets; afterwards no task is left, and nothing warns."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def main() -> None:
            async with asyncio.timeout(20):
                async with nets() as (a, b):
                    await test(a, b, *args, **kwargs)
                left = asyncio.all_tasks() - {asyncio.current_task()}
                assert not left, left

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            asyncio.run(main(), debug=False)
            gc.collect()

    del run.__wrapped__  # or pytest would look for fixtures called a and b
    return run


async def echo(stream: Any) -> None:
    """A handler of `serve_streams`: what comes goes back, and the end after it."""
    while data := await stream.receive():
        await stream.send_all(data)
    await stream.send_eof()


async def read_all(reader: asyncio.StreamReader) -> bytes:
    return await reader.read()


async def receive_all(stream: Any) -> bytes:
    got = b""
    while data := await stream.receive():
        got += data
    return got


async def unix_echo(path: str) -> asyncio.AbstractServer:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
        writer.close()
        await writer.wait_closed()

    return await asyncio.start_unix_server(serve, path)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
