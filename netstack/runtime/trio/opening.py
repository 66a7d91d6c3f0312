"""The trio face: what turns a stack under trio, and `open` typed for those who use it there.

`netstack.open` sees by itself that it runs in trio. This one says so to the type checker as well:

    from netstack.runtime.trio import open

    async with open("tap:tap0", addresses=["10.79.0.2/24"]) as net:
        stream = await net.open_tcp_stream("10.79.0.1", 80)

trio has no callbacks: a stack is turned by tasks in a nursery of its block. One sleeps until the deadline of the stack, one until a
device in memory wakes it, and one waits for the descriptor of a device that has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from types import TracebackType
from typing import TYPE_CHECKING, Any

import trio

from ...address import Cidr
from ...instant import NEVER, SECOND
from ...signatures import Netif
from ...stack import StackConfig
from ..asyncio import prepare
from ..base import Turned
from .net import TrioNet
from .wait import Waiter

if TYPE_CHECKING:
    from ..lookups import Dns, Servers


def run_clock() -> Callable[[], int]:
    """The clock of this run, mock or not, in nanoseconds."""
    seconds = trio.lowlevel.current_clock().current_time
    return lambda: int(seconds() * 1e9)


class TrioReactor:
    """What a crank needs, from trio (runtime.base.Reactor). It lives while its tasks run."""

    def __init__(self) -> None:
        self.clock = run_clock()
        self._crank: Turned | None = None
        self._deadline = inf
        self._scope: trio.CancelScope | None = None
        self._waiter = Waiter()
        self._woken = False
        self._watched: int | None = None
        self._nursery: trio.Nursery | None = None

    def serve(self, crank: Turned, nursery: trio.Nursery) -> None:
        """Turn `crank` in tasks of `nursery`, until that is cancelled."""
        self._crank = crank
        self._nursery = nursery
        nursery.start_soon(self._keep_time, name="netstack: deadlines")
        nursery.start_soon(self._turn_soon, name="netstack: frames")

    async def _keep_time(self) -> None:
        assert self._crank is not None
        while True:
            with trio.CancelScope(deadline=self._deadline) as self._scope:
                await trio.sleep_forever()
            self._scope = None
            self._deadline = inf
            self._crank.on_deadline()

    async def _turn_soon(self) -> None:
        assert self._crank is not None
        while True:
            if self._woken:
                await trio.lowlevel.checkpoint()
            else:
                await self._waiter.wait()
            self._woken = False
            self._crank.on_frames()

    async def _read(self, fd: int) -> None:
        assert self._crank is not None
        try:
            while self._watched == fd:
                await trio.lowlevel.wait_readable(fd)
                self._crank.on_frames()
        except trio.ClosedResourceError:
            pass  # `unwatch`

    def _set(self, deadline: float) -> None:
        self._deadline = deadline
        if self._scope is not None:
            self._scope.deadline = deadline

    def arm(self, when: int) -> None:
        self._set(inf if when >= NEVER else when / SECOND)

    def disarm(self) -> None:
        self._set(inf)

    def soon(self) -> None:
        self._woken = True
        self._waiter.wake()

    def watch(self, fd: int) -> None:
        assert self._nursery is not None
        self._watched = fd
        self._nursery.start_soon(self._read, fd, name="netstack: device")

    def unwatch(self, fd: int) -> None:
        self._watched = None
        trio.lowlevel.notify_closing(fd)

    def owed(self) -> bool:
        return False

    def idle(self) -> bool:
        return False


class Block:
    """A nursery without its wrapping: an error of the body leaves it as it came, not in a group of one."""

    def __init__(self) -> None:
        self._manager = trio.open_nursery()

    async def __aenter__(self) -> trio.Nursery:
        return await self._manager.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        try:
            return await self._manager.__aexit__(kind, error, tb)
        except BaseExceptionGroup as group:
            if error is not None and group.exceptions == (error,):
                return False
            raise


class TrioOpening:
    """What `open` gives: enter it to have the net, leave it to be rid of it."""

    def __init__(self, netif: str | Netif, addresses: Sequence[str | Cidr], options: dict[str, Any]) -> None:
        self._arguments = netif, addresses, options
        self._net: TrioNet | None = None
        self._block = Block()

    async def __aenter__(self) -> TrioNet:
        netif, addresses, options = self._arguments
        stack, plan = prepare(netif, addresses, options, run_clock()())
        nursery = await self._block.__aenter__()
        reactor = TrioReactor()
        net = self._net = TrioNet(stack, nursery, reactor, names=plan.names)
        try:
            reactor.serve(net.turn, nursery)
            net.start()
            if plan.dns is not None:
                net.dns = plan.dns
            plan.configure(net)
            await net.wait_addresses()
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return net

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        assert self._net is not None
        try:
            await self._net.aclose()
        finally:
            self._net.nursery.cancel_scope.cancel()
            swallowed = await self._block.__aexit__(kind, error, tb)
        return swallowed


def open(
    netif: str | Netif,
    *,
    addresses: Sequence[str | Cidr] = (),
    ip: str | None = None,
    gateway: str | None = None,
    pcap: str | None = None,
    fault: str | None = None,
    seed: int | None = None,
    config: StackConfig | None = None,
    hosts: Mapping[str, str | Iterable[str]] | str | None = None,
    names: str | None = None,
    dns: Servers | Dns | None = None,
) -> TrioOpening:
    """`netstack.open` for trio, with the same arguments."""
    options = {
        "gateway": gateway, "pcap": pcap, "fault": fault, "seed": seed, "config": config, "hosts": hosts, "names": names,
        "dns": dns, "ip": ip,
    }  # fmt: skip
    return TrioOpening(netif, addresses, options)


__all__ = ["TrioNet", "TrioOpening", "TrioReactor", "open"]
