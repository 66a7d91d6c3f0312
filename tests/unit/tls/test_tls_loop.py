"""Unchanged asyncio programs with TLS, on a loop that has a net: asyncio's own functions, and nothing of ours is named."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import importlib.util
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tls_world import HOST, VERSIONS, client_context, server_context

import netstack

_no_uvloop = pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed")
bases = pytest.mark.parametrize("base", ["asyncio", pytest.param("uvloop", marks=_no_uvloop)])
BIG = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(32768))  # 1 MiB


def run(test: Callable[[], Awaitable[None]], base: str) -> None:
    told: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        async with asyncio.timeout(20):
            await test()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    netstack.run(main(), net="loopback:", base=base)
    gc.collect()
    assert not told, told[0].get("exception")


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@bases
@pytest.mark.parametrize("version", VERSIONS)
def test_streams_carry_a_megabyte_both_ways(base: str, version: str) -> None:
    async def test() -> None:
        async with await asyncio.start_server(echo, "127.0.0.1", 443, ssl=server_context(version)):
            reader, writer = await asyncio.open_connection("127.0.0.1", 443, ssl=client_context(version), ssl_shutdown_timeout=2)
            assert writer.get_extra_info("ssl_object").version() == f"TLSv{version}"
            writer.write(BIG)
            assert await reader.readexactly(len(BIG)) == BIG
            writer.close()
            await writer.wait_closed()
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.open_connection("127.0.0.1", 443, ssl=client_context(version, trust="theirs"))

    run(test, base)


@bases
def test_streams_go_on_in_tls(base: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go ahead\n")
        await writer.start_tls(server_context())
        await echo(reader, writer)

    async def test() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 25):
            reader, writer = await asyncio.open_connection("127.0.0.1", 25)
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go ahead\n"
            await writer.start_tls(client_context(), server_hostname=HOST)
            writer.write(b"secret\n")
            assert await reader.readline() == b"secret\n"
            assert writer.get_extra_info("peercert")["subjectAltName"]
            writer.close()
            await writer.wait_closed()

    run(test, base)
