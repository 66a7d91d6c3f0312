"""`Netsim`: a world, its programs, its time, and what befalls them. What the fixture `netsim` gives.

    sim = Netsim(seed=7, loss=0.2, delay="80ms")
    server, client = sim.host("server"), sim.host("client")
    sim.run(main)                                    makes a loop in virtual time, runs `main()` on it, tears down

It knows nothing of event loops. A *side* does (onasyncio.py, ontrio.py): it opens the world on the loop that runs, when something
is first run there, and closes it. What goes wrong beside the test, a program in the background, a loop that stalls or spins, comes
to `fail`: the first such thing is written down, the test is cancelled where it waits, and `guard`, which is around it, raises that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, TypeVarTuple

from ..errors import UsageError
from ..instant import SECOND
from ..runtime.current import in_trio
from ..testing import topology
from ..testing.clock import Stalled
from ..testing.net import Host, Link, Router, World
from . import doing, shapes
from .arguments import read_faults, read_seconds
from .host import Program, SimHost
from .record import Record
from .times import EPOCH

if TYPE_CHECKING:
    from threading import Thread

    from ..sockets.base import Socket
    from ..testing.topology import Dumbbell

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Schedule(Protocol):
    """Things that befall a world at their times (exploring/schedule.py)."""

    def install(self, netsim: Netsim, /) -> object: ...


class Side(Protocol):
    """An event loop on which a world is open, and what runs on its hosts there."""

    def now(self) -> float:
        """Seconds on the clock of the loop."""

    async def run(self, host: SimHost, call: Callable[[], Any], name: str) -> Any: ...
    def launch(self, program: Program) -> None: ...
    def cancel(self, program: Program) -> None: ...
    async def wait_ended(self, program: Program) -> None: ...
    def arrived(self, host: SimHost) -> None:
        """There is a host that was not there, or not alive."""

    def crash(self, host: SimHost) -> None: ...
    async def sleep(self, seconds: float) -> None: ...
    async def wait_events(self, core: Socket, mask: int, limit: float | None) -> bool:
        """Until the socket has one of these events, or is closed. False when `limit` seconds pass first."""

    def knows(self, thread: Thread) -> None:
        """It waits for the loop, and nobody need wait for it."""

    def interrupt(self) -> bool:
        """Cancel the test where it waits. False where there is none."""

    def describe(self, host: SimHost | None) -> list[str]:
        """What the programs of a host are doing; of None, the test itself."""

    async def close(self) -> None: ...
    def drop(self) -> None:
        """The loop is gone: let go of the world."""


class SimClock:
    """The time of a world, in seconds since it was opened."""

    def __init__(self, sim: Netsim) -> None:
        self._sim = sim

    @property
    def now(self) -> float:
        side = self._sim.side
        if side is None:
            return self._sim.world.now / SECOND
        return side.now() - self._sim.began

    async def advance(self, duration: float | str) -> None:
        """Let so much time pass, seconds or a text like "30s", with all that happens in it."""
        wait = read_seconds(duration)
        side = await self._sim.opened()
        await side.sleep(wait)


class Netsim:
    """A world under test. The keywords are the faults of its wire and of each link that says nothing else (`testing.faults`), as
    numbers or as texts like "20%" and "80ms".

    `topology`   hosts and links to begin with (shapes.py); without one, hosts share an Ethernet
    `capture`    a directory for a capture of each link, written in any case; without it, only where a test fails
    `schedule`   what befalls the world at which time: a `testing.Schedule`, or as text "1.5s partition a b; 3s heal a b"
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        topology: str | Mapping[str, Any] | None = None,
        capture: str | PathLike[str] | None = None,
        schedule: Schedule | str | None = None,
        **faults: Any,
    ) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise UsageError(f"seed={seed!r} is not a number: write one like 7")
        self.seed = seed
        self.record = Record()
        self.record.epoch = EPOCH * SECOND
        self.clock = SimClock(self)
        self.side: Side | None = None
        self.opening: Any = None  # a side that is not open yet
        self.began = 0.0  # by the clock of the loop
        self.fault: BaseException | None = None
        self.was_doing: list[str] = []  # the programs of each host, when it failed
        self.capture = None if capture is None else Path(capture)
        weather = read_faults(faults)
        weather["seed"] = seed
        self.world = World(**weather)
        self.world.record(self.record.tap)
        self._hosts: dict[str, SimHost] = {}
        self._declared = topology is not None
        if isinstance(schedule, str):
            from ..exploring.schedule import read_schedule

            schedule = read_schedule(schedule)
        self._schedule = schedule
        self._closed = False
        if topology is not None:
            shapes.build(self.world, topology)
            self._meet()

    # -- what there is ----------------------------------------------------------------------------------------------------------

    @property
    def hosts(self) -> list[SimHost]:
        """All of them, in the order in which they were made."""
        self._meet()
        return list(self._hosts.values())

    def host(self, name: str | SimHost, address: str | None = None) -> SimHost:
        """The host of this name, which is made where there is none. Without an address it gets the next of 10.0.0.0/16."""
        if isinstance(name, SimHost):
            return name
        self._meet()
        known = self._hosts.get(name)
        if known is not None:
            if address is not None and address.partition("/")[0] != known.address:
                raise UsageError(f"{name} has the address {known.address}, not {address}: give it when you first ask for the host")
            return known
        if self._declared or name in self.world.nodes:
            raise UsageError(f"there is no host {name!r} in this topology: there are {', '.join(self._hosts)}")
        self.world.host(name, address)
        self._meet()
        return self._hosts[name]

    def router(self, name: str, address: str | None = None) -> Router:
        """A new router: link it to hosts and other routers."""
        return self.world.router(name, address)

    def link(
        self, a: str | SimHost | Router, b: str | SimHost | Router, name: str = "", *, back: Mapping[str, Any] | None = None,
        metric: int = 1, **faults: Any,
    ) -> Link:  # fmt: skip
        """A cable from `a` to `b`, called "a-b": hosts that have one live on their links, and no longer on the Ethernet. The
        keywords are its faults, both ways; `back` has those in which the way back differs. A host that isn't there is made."""
        differs = None if back is None else read_faults(back)
        made = self.world.link(self._end(a), self._end(b), name, back=differs, metric=metric, **read_faults(faults))
        self._meet()
        return made

    def star(self, names: Iterable[str], hub: str = "hub", **faults: Any) -> Router:
        """Hosts of these names, each with a link to one router."""
        made = topology.star(self.world, names, hub, **read_faults(faults))
        self._meet()
        return made

    def chain(self, routers: int, **faults: Any) -> list[Link]:
        """Hosts "a" and "b" with routers "r1", "r2", … between them; the links from "a" to "b"."""
        _, _, links = topology.chain(self.world, routers, **read_faults(faults))
        self._meet()
        return links

    def dumbbell(self, flows: int, access: Mapping[str, Any] | None = None, **bottleneck: Any) -> Dumbbell:
        """Hosts "s1", … and "d1", … on either side of a bottleneck. `access` are the faults of the links to them."""
        made = topology.dumbbell(
            self.world, flows, access=None if access is None else read_faults(access), **read_faults(bottleneck)
        )
        self._meet()
        return made

    def from_dict(self, data: Mapping[str, Any]) -> None:
        """Hosts, routers and links as a dictionary says, one read from TOML for instance (`testing.topology.from_dict`)."""
        shapes.build(self.world, data)
        self._meet()

    def _end(self, which: str | SimHost | Router) -> str | Host | Router:
        if isinstance(which, SimHost):
            return which.node
        if isinstance(which, str) and which not in self.world.nodes:
            return self.host(which).node
        return which

    def _meet(self) -> None:
        """Hosts may have been made by others, on the world itself."""
        for node in self.world.hosts[len(self._hosts) :]:
            host = self._hosts[node.name] = SimHost(self, node)
            if self.side is not None:
                self.side.arrived(host)

    # -- what befalls it ----------------------------------------------------------------------------------------------------------

    def partition(self, *groups: str | SimHost | Iterable[str | SimHost]) -> None:
        """Hosts of different groups can't reach each other any more; a group is a host or several."""
        self.world.partition(*(self._group(group) for group in groups))

    def heal(self, *groups: str | SimHost | Iterable[str | SimHost]) -> None:
        """Undo `partition` between these groups; without any, between all hosts."""
        self.world.heal(*(self._group(group) for group in groups))

    def crash(self, host: str | SimHost) -> None:
        """Power off a host: what runs there ends, its connections die without a word on the wire."""
        self._known(host).crash()

    def restart(self, host: str | SimHost) -> None:
        """Power on a host that has crashed, and start again what `host.start` was given."""
        self._known(host).restart()

    def _group(self, group: str | SimHost | Iterable[str | SimHost]) -> list[str | Host]:
        members = [group] if isinstance(group, (str, SimHost)) else group
        return [self._known(each).node for each in members]

    def _known(self, which: str | SimHost) -> SimHost:
        """Unlike `host`, never a new one."""
        self._meet()
        if isinstance(which, SimHost):
            return which
        if which not in self._hosts:
            raise UsageError(f"there is no host {which!r} here: there are {', '.join(self._hosts) or 'none yet'}")
        return self._hosts[which]

    # -- running ------------------------------------------------------------------------------------------------------------------

    def run(self, main: Callable[[*Ts], Awaitable[T]], *args: *Ts, runtime: str = "asyncio") -> T:
        """Run `main(*args)` on a loop of its own, in virtual time, and tear the world down: for plain functions. `runtime` may be
        "trio". A Netsim runs once."""
        __tracebackhide__ = True
        if runtime not in ("asyncio", "trio"):
            raise UsageError(f"{runtime!r} is not a runtime: say asyncio or trio")
        if self._closed or self.side is not None:
            raise UsageError("this Netsim has run already: make another one, its hosts are gone")
        if runtime == "trio":
            from . import ontrio

            return ontrio.run(self, main, *args)
        from . import onasyncio

        return onasyncio.run(self, main, *args)

    async def carry_out(self, main: Callable[[*Ts], Awaitable[T]], *args: *Ts) -> T:
        """`main(*args)` with the world around it, on the loop that runs."""
        __tracebackhide__ = True
        try:
            side: Any = await self.opened()
            result: T = await side.guard(partial(main, *args))
            return result
        finally:
            await self.close()

    async def opened(self) -> Side:
        """The side of the loop that runs, with the world open on it. Raises UsageError on one in real time."""
        if self.side is None:
            if self._closed:
                raise UsageError("this test world is closed: what it was for has ended")
            if in_trio():
                from . import ontrio

                await ontrio.open_on(self)
            else:
                from . import onasyncio

                await onasyncio.open_on(self)
        assert self.side is not None
        return self.side

    def opened_on(self, side: Side) -> None:
        """The world is open there: what was said before begins."""
        self.side = side
        self.began = side.now() - self.world.now / SECOND
        for host in self.hosts:
            side.arrived(host)
        for host in self.hosts:
            for program in host.programs:
                if host.is_up:
                    side.launch(program)
        if self._schedule is not None:
            self._schedule.install(self)

    def fail(self, error: BaseException) -> bool:
        """Something beside the test went wrong. False where nobody can be told: no test is running, or it was told before."""
        if self.fault is not None or self.side is None:
            return False
        self.fault = error
        self.look()
        if isinstance(error, Stalled):
            error.add_note("\n".join(self.was_doing))
        return self.side.interrupt()

    def look(self) -> None:
        """What is everybody doing now, for the report."""
        if not self.was_doing:
            self.was_doing = doing.report(self)

    async def close(self) -> None:
        """End all programs, and the world. Once is enough."""
        if self._closed:
            return
        self._closed = True
        side, self.side = self.side, None
        if side is not None:
            try:
                await side.close()
            finally:
                side.drop()
        self._finish()

    def drop(self) -> None:
        """The same where nobody can wait any more."""
        if not self._closed:
            self._closed = True
            side, self.side = self.side, None
            if side is not None:
                side.drop()
            self._finish()

    def _finish(self) -> None:
        if self.capture is not None:
            self.record.write(self.capture)
