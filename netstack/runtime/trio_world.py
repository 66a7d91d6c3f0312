"""A world under trio (worlds.py), and runs of trio in virtual time that depend on their seed alone."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar, TypeVarTuple

import trio
import trio.testing

from ..testing.net import Host, World
from .trio import Block, TrioReactor
from .trio_install import install
from .trio_net import TrioNet
from .worlds import Driver

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class TrioWorld:
    """What `open_world` gives in trio."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._nets: dict[Host, TrioNet] = {}
        self._old: list[TrioNet] = []
        self._block = Block()
        self._restore: Callable[[], None] = lambda: None

    async def __aenter__(self) -> World:
        self.world.open(self._net_of)
        self._restore = install(None, adopt=True)
        self._nursery = await self._block.__aenter__()
        reactor = TrioReactor()
        self._driver = Driver(self.world, reactor)
        reactor.serve(self._driver, self._nursery)
        self._driver.start()
        await trio.lowlevel.cancel_shielded_checkpoint()
        return self.world

    def _net_of(self, host: Host) -> TrioNet:
        net = self._nets.get(host)
        if net is None or net.stack is not host.stack:  # the host has crashed and come back
            if net is not None:
                self._old.append(net)
            driver = self._driver
            net = self._nets[host] = TrioNet(host.stack, self._nursery, names=driver.names(), crank=driver.crank(host))
            driver.seat(host, net)
        return net

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        try:
            for net in [*self._old, *self._nets.values()]:
                await net.aclose()
        finally:
            self._restore()
            self._driver.stop()
            self.world.open(None)
            self._nursery.cancel_scope.cancel()
            swallowed = await self._block.__aexit__(kind, error, tb)
        return swallowed


@contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """Within, trio takes tasks that are ready at once in an order that depends on `seed`. Otherwise it rolls dice, so that programs
    don't come to rely on one; a run that is to be repeated needs both. This is what trio does for Hypothesis."""
    core: Any = trio._core._run
    before = getattr(core, "_ALLOW_DETERMINISTIC_SCHEDULING", False), getattr(core, "_r", None)
    core._ALLOW_DETERMINISTIC_SCHEDULING, core._r = True, random.Random(seed)
    try:
        yield
    finally:
        core._ALLOW_DETERMINISTIC_SCHEDULING, core._r = before


def run_virtual(
    main: Callable[[*Ts], Awaitable[T]],
    *args: *Ts,
    seed: int = 0,
    clock: trio.abc.Clock | None = None,
    instruments: Sequence[trio.abc.Instrument] = (),
) -> T:
    """As `trio.run`, repeatable, and in virtual time: without a `clock` on a `MockClock` that jumps whenever all tasks are blocked.

    A test of pytest-trio's runs on it by `@pytest.mark.trio(run=run_virtual)`.
    """
    with repeatable(seed):
        return trio.run(main, *args, clock=clock or trio.testing.MockClock(autojump_threshold=0), instruments=instruments)
