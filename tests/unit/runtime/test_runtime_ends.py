"""How a protocol hears that its connection is over: in its place, once, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from test_runtime_asyncio import on_loop, two_nets

from netstack.runtime.base import Crank, Reactor, Teller
from netstack.stack import Stack
from netstack.timers import Timers

Test = Callable[[], Awaitable[None]]


class Noting(asyncio.Protocol):
    """Writes down what it is told, and asks the loop to write down that it was asked."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport  # each holds the other, as in most programs

    def data_received(self, data: bytes) -> None:
        self.order.append("data")
        asyncio.get_running_loop().call_soon(self.order.append, "asked")

    def eof_received(self) -> None:
        self.order.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.order.append("lost")
        self.lost.set_result(exc)


@on_loop
async def test_the_end_comes_behind_what_a_protocol_has_asked_the_loop_for() -> None:
    made: list[Noting] = []

    def make() -> Noting:
        made.append(Noting())
        return made[-1]

    async with two_nets() as (a, b):
        await b.create_server(make, port=7)
        _, writer = await a.open_connection("10.0.0.2", 7)
        writer.write(b"text and end come in one batch")
        writer.write_eof()
        await asyncio.sleep(0)
        while not made:
            await asyncio.sleep(0)
        assert await made[0].lost is None
        assert made[0].order == ["data", "asked", "eof", "lost"] or made[0].order == ["data", "eof", "asked", "lost"]
        writer.close()


@on_loop
async def test_an_ended_connection_needs_no_garbage_collector() -> None:
    gone: list[weakref.ref[object]] = []
    ends: list[asyncio.Future[None]] = []

    def make() -> Noting:
        protocol = Noting()
        gone.append(weakref.ref(protocol))
        ends.append(protocol.lost)
        return protocol

    async with two_nets() as (a, b):
        server = await b.create_server(make, port=7)
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                transport, protocol = await a.create_connection(Noting, "10.0.0.2", 7)
                gone += [weakref.ref(protocol), weakref.ref(transport)]
                ends.append(protocol.lost)
                transport.write(b"x")
                transport.close()
                assert transport.get_protocol() is protocol
            await asyncio.gather(*ends)
            assert transport.get_protocol() is None  # as of asyncio's own
            del transport, protocol
            while b.connections():
                await asyncio.sleep(0)
            ends.clear()
            assert [ref for ref in gone if ref() is not None] == []
        finally:
            gc.enable()
        server.close()


class Told(Teller):
    def __init__(self, order: list[object], name: str) -> None:
        self.order = order
        self.name = name

    def tell(self) -> None:
        self.order.append(self.name)

    def tell_soon(self) -> None:
        self.order.append((self.name, "soon"))


def crank_of(work: Callable[[Crank], None], idle: Callable[[], bool]) -> Crank:
    """A crank whose device does `work` whenever it is polled."""

    def poll(now: int) -> bool:
        work(crank)
        return False

    nothing = lambda *_: None  # noqa: E731
    reactor = SimpleNamespace(clock=lambda: 0, arm=nothing, disarm=nothing, soon=nothing, watch=nothing, unwatch=nothing)
    reactor.owed, reactor.idle = (lambda: False), idle
    netif = SimpleNamespace(poll=poll, next_deadline=nothing, fileno=nothing, set_waker=nothing)
    stack = SimpleNamespace(timers=Timers(0), netif=netif, run=poll, settle=poll)
    crank = Crank(cast(Stack, stack), cast(Reactor, reactor), nothing)
    crank.start()
    return crank


@pytest.mark.parametrize("call", [Crank.on_frames, Crank.on_deadline], ids=["frames", "deadline"])
def test_tellers_tell_after_the_turn_and_at_once_only_while_nothing_waits_in_the_loop(call: Callable[[Crank], None]) -> None:
    order: list[object] = []
    idle = [True, False, True]

    def work(crank: Crank) -> None:
        for name in "abc":
            crank.after(Told(order, name))
        order.append("turn")

    call(crank_of(work, lambda: idle.pop(0)))
    assert order == ["turn", "a", ("b", "soon"), "c"]


def test_where_a_task_has_turned_the_crank_or_nobody_the_loop_is_asked() -> None:
    order: list[object] = []
    crank = crank_of(lambda crank: None, lambda: True)
    crank.after(Told(order, "between turns"))
    crank.turn(lambda now: bool(crank.after(Told(order, "of a task"))))
    assert order == [("between turns", "soon"), ("of a task", "soon")]
