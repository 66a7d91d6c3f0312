"""A guest on a wire, a router, and the host's loopback as the world: wherever the guest goes, it comes to 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import os
import socket
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import netstack
from netstack.router.bare import BareRouter
from netstack.router.flow import Decision, Flow
from netstack.router.nat.config import NatConfig
from netstack.runtime.loop import run as run_own
from netstack.testing.wire import Wire

FAR = "192.0.2.7"  # which is the host's loopback, to a guest
LOCALHOST = "127.0.0.1"


class Homing:
    """A gate that leads everybody home. `say(flow)` may say otherwise; what is over is written down."""

    def __init__(self) -> None:
        self.asked: list[Flow] = []
        self.over_: list[tuple[str, str, str]] = []
        self.say: Callable[[Flow], Any] = lambda flow: None

    def decide(self, flow: Flow) -> Any:
        self.asked.append(flow)
        said = self.say(flow)
        return Decision.connect((LOCALHOST, flow.dst_port)) if said is None else said

    def over(self, flow: Flow) -> None:
        self.over_.append((flow.proto, flow.state, flow.note))


class World:
    def __init__(self, router: BareRouter, guest: Any, gate: Homing) -> None:
        self.router = router
        self.guest = guest
        self.gate = gate
        self.nat = router.nat
        self.closers: list[Callable[[], Any]] = []

    def nonzero(self) -> dict[str, int]:
        return {name: value for name, value in self.nat.counters().items() if value}

    async def serve(self, handler: Callable[..., Awaitable[None]]) -> int:
        """A server of the world; its port."""
        server = await asyncio.start_server(handler, LOCALHOST, 0)
        self.closers.append(server.close)
        return int(server.sockets[0].getsockname()[1])

    def listener(self, backlog: int = 8) -> socket.socket:
        sock = socket.socket()
        sock.bind((LOCALHOST, 0))
        sock.listen(backlog)
        self.closers.append(sock.close)
        return sock

    def udp(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((LOCALHOST, 0))
        sock.setblocking(False)
        self.closers.append(sock.close)
        return sock

    async def over(self, n: int = 1) -> None:
        await until(lambda: len(self.gate.over_) >= n)


async def until(goal: Callable[[], object], limit: float = 5.0) -> None:
    async with asyncio.timeout(limit):
        while not goal():
            await asyncio.sleep(0.001)


async def from_udp(sock: socket.socket) -> tuple[bytes, Any]:
    return await asyncio.get_running_loop().sock_recvfrom(sock, 65536)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def on_loop(own: bool = False, **options: Any) -> Callable[[Callable[..., Awaitable[None]]], Callable[[], None]]:
    """Runs the test on a loop, asyncio's or our `own`, with a `World`; afterwards nothing is left of it."""

    def wrap(test: Callable[..., Awaitable[None]]) -> Callable[[], None]:
        @functools.wraps(test)
        def run() -> None:
            async def main() -> None:
                wire = Wire()
                gate = Homing()
                limits = NatConfig(**options)
                before = descriptors()
                async with asyncio.timeout(20):
                    async with (
                        BareRouter(wire.port("router"), gate=gate, nat=limits, seed=1) as router,
                        netstack.open(wire.port("guest"), addresses=["10.0.2.100/24"], gateway="10.0.2.2", seed=2) as guest,
                    ):
                        world = World(router, guest, gate)
                        try:
                            await test(world)
                        finally:
                            for close in world.closers:
                                close()
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                assert router.nat.tcp.count == 0 and not router.nat.tcp.guests and not router.nat.tcp.others
                assert not router.nat.udp.mappings and not router.nat.echo.pings
                left = asyncio.all_tasks() - {asyncio.current_task()}
                assert not left, left
                with contextlib.suppress(TimeoutError):
                    await until(lambda: descriptors() <= before, 1.0)
                assert descriptors() <= before

            with warnings.catch_warnings():
                warnings.simplefilter("error")
                (run_own if own else asyncio.run)(main())
                gc.collect()

        del run.__wrapped__
        return run

    return wrap
