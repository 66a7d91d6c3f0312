"""Worlds under trio, in virtual time."""

from __future__ import annotations

import time
from typing import Any

import pytest
import trio

import netstack
from netstack.instant import MILLISECOND
from netstack.runtime.current import current_net
from netstack.runtime.trio_net import TrioNet
from netstack.runtime.trio_world import run_virtual
from netstack.testing.clock import Spinning
from netstack.testing.net import World


async def echo(stream: Any) -> None:
    async for data in stream:
        await stream.send_all(data)


async def transfer(seed: int) -> tuple[list[float], int]:
    """Three echoes at a time under loss. When each came back, and how many segments were sent twice."""
    world = World(seed=seed, loss=0.2, delay=20 * MILLISECOND)
    a, b = world.host("a"), world.host("b")
    came: list[float] = []

    async def client() -> None:
        async with await a.net.open_tcp_stream("10.0.0.2", 7) as stream:
            for n in range(1, 8):
                await stream.send_all(bytes(n * 500))
                left = n * 500
                while left:
                    left -= len(await stream.receive_some(left))
                came.append(trio.current_time())

    async with netstack.open_world(world), trio.open_nursery() as servers:
        await servers.start(b.net.serve_tcp, echo, 7)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(client)
        servers.cancel_scope.cancel()
    return came, a.stack.counters()["Tcp"]["RetransSegs"]


def test_a_transfer_under_loss_depends_on_its_seed_alone() -> None:
    before = time.monotonic()
    first = run_virtual(transfer, 7)
    assert first[0][-1] > 2  # seconds of network time …
    assert time.monotonic() - before < 3  # … take milliseconds
    assert first[1] > 0
    assert run_virtual(transfer, 7) == first
    assert run_virtual(transfer, 8) != first


@pytest.mark.trio
async def test_the_clock_of_pytest_trio_will_do(autojump_clock: trio.testing.MockClock) -> None:
    await trio.sleep(1000)
    assert (await transfer(7))[0][-1] > 1002


@pytest.mark.trio(run=run_virtual)
async def test_the_net_of_a_program_is_that_of_its_host() -> None:
    world = World()
    a, b = world.host("a"), world.host("b")
    seen: dict[str, Any] = {}

    async def program(name: str) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child, name)

    async def child(name: str) -> None:
        await trio.sleep(1)
        seen[name] = current_net()

    async with netstack.open_world(world):
        assert isinstance(a.net, TrioNet)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(a.run, program("a"))
            nursery.start_soon(b.run, program("b"))
        assert seen == {"a": a.net, "b": b.net}


@pytest.mark.trio(run=run_virtual)
async def test_a_fault_of_the_world_ends_its_block() -> None:
    class Stuck:
        def next_deadline(self) -> int:
            return 0

        def run(self, now: int) -> None: ...

    world = World()
    world.host("a")
    world.clock.add(Stuck(), "stuck")
    with pytest.RaisesGroup(Spinning):
        async with netstack.open_world(world):
            await trio.sleep(1)
    assert world.faces is None


@pytest.mark.trio(run=run_virtual)
async def test_an_error_of_the_body_leaves_the_block_as_it_came() -> None:
    world = World(loss=0.5, delay=MILLISECOND)
    a, _ = world.host("a"), world.host("b")
    with pytest.raises(ConnectionRefusedError):
        async with netstack.open_world(world):
            await a.net.open_tcp_stream("10.0.0.2", 7)
