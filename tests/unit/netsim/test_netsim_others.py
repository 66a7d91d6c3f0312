"""Libraries of others that ask the machine behind Python's back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from netstack.netsim import Netsim, run
from netstack.netsim.others import MOST_SEALED, _sealed

mlkem = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.mlkem")
x25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.x25519")
ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")


def drawn(seed: int) -> list[bytes]:
    found: list[bytes] = []

    async def scenario(netsim: Netsim) -> None:
        async def draw() -> None:
            found.append(x25519.X25519PrivateKey.generate().private_bytes_raw())
            found.append(ed25519.Ed25519PrivateKey.generate().private_bytes_raw())
            key = mlkem.MLKEM768PrivateKey.generate()
            secret, sealed = key.public_key().encapsulate()
            assert key.decapsulate(sealed) == secret
            assert (len(secret), len(sealed)) == (32, 1088)
            assert mlkem.MLKEM768PrivateKey.generate().decapsulate(sealed) != secret  # another key opens nothing
            found.extend([key.private_bytes_raw(), secret, sealed])

        await netsim.host("a").run(draw)

    outcome = run(scenario, seed=seed)
    assert outcome.ok, outcome.traceback
    return found


def test_keys_come_from_the_seed_and_only_in_a_world() -> None:
    assert drawn(7) == drawn(7)
    assert not set(drawn(7)) & set(drawn(8))
    real = [x25519.X25519PrivateKey.generate().private_bytes_raw() for _ in range(2)]
    assert real[0] != real[1]
    key = mlkem.MLKEM768PrivateKey.generate()
    before = len(_sealed)
    secret, sealed = key.public_key().encapsulate()
    assert key.decapsulate(sealed) == secret
    assert len(_sealed) == before


def test_what_was_sealed_is_not_remembered_for_ever() -> None:
    async def scenario(netsim: Netsim) -> None:
        async def seal() -> None:
            public = mlkem.MLKEM768PrivateKey.generate().public_key()
            for _ in range(MOST_SEALED + 10):
                public.encapsulate()

        await netsim.host("a").run(seal)

    assert run(scenario).ok
    assert len(_sealed) == MOST_SEALED


def test_aiohttp_finds_hosts_by_name_with_aiodns_too() -> None:
    aiohttp: Any = pytest.importorskip("aiohttp")
    resolver: Any = pytest.importorskip("aiohttp.resolver")
    if not resolver.aiodns_default:
        pytest.skip("aiodns is not installed")
    from aiohttp import web

    async def serve() -> Any:
        async def hello(request: Any) -> Any:
            return web.Response(text="hello")

        app = web.Application()
        app.router.add_get("/", hello)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, port=80).start()
        return runner

    async def ask() -> str:
        async with aiohttp.ClientSession() as session, session.get("http://server/") as response:
            return str(await response.text())

    async def scenario(netsim: Netsim) -> None:
        runner = await netsim.host("server").run(serve)
        assert await netsim.host("client").run(ask) == "hello"
        await netsim.host("server").run(runner.cleanup)

    outcome = run(scenario)
    assert outcome.ok, outcome.traceback
    assert resolver.DefaultResolver is resolver.AsyncResolver  # as before


def test_a_program_whose_server_waits_for_connections_that_nobody_closes_is_left_all_the_same() -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(hold, port=7)
        async with server:
            await server.serve_forever()

    async def connect() -> None:
        _, writer = await asyncio.open_connection("server", 7)
        await asyncio.sleep(1)
        writer.close()

    async def scenario(netsim: Netsim) -> None:
        netsim.host("server").start(serve)
        await netsim.host("client").run(connect)

    outcome = run(scenario)
    assert outcome.ok, outcome.traceback


def test_a_crash_while_a_server_shuts_down_leaves_nobody_waiting() -> None:
    """Its farewell is a task that it begins when it is cancelled, on a host that is down: it never runs, and is waited for."""

    async def serve() -> None:
        gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def farewell() -> None:
            gone.set_result(None)

        try:
            await asyncio.Event().wait()
        finally:
            task = asyncio.create_task(farewell())
            await asyncio.shield(gone)
            await task

    async def scenario(netsim: Netsim) -> None:
        netsim.host("server").start(serve)
        await asyncio.sleep(1)
        netsim.crash("server")
        await asyncio.sleep(1)

    outcome = run(scenario)
    assert outcome.ok, outcome.traceback
