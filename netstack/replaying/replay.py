"""`netstack.replay`: the other hosts of a capture, for programs on asyncio and trio.

    async with netstack.replay("bug-1234.pcap", as_host="10.1.1.7") as r:   # plays the peers, we are 10.1.1.7
        await r.net.start_server(my_protocol, port=4840)
        report = await r.run(speed="max")
    assert report.mismatches == []

The stack keeps the loop's time. On an ordinary loop that is the machine's: `speed=1.0` takes as long as the capture, and "max" as
long as the program takes to answer, since pauses are left out. In virtual time (`netstack.run_virtual`, trio's `MockClock`) no
pause costs anything, and a run at the capture's own pace is done in milliseconds, time-outs of the program among it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from os import PathLike
from types import TracebackType
from typing import Any, BinaryIO, TypeVar

from ..address import Ip4
from ..errors import UsageError
from ..runtime.waits import waits_here
from ..runtime.worlds import WorldOpening, open_world
from ..stack import StackConfig
from ..testing.net import World
from .compare import Ignore
from .order import Order
from .report import Report
from .script import Script
from .stage import File, Stage

T = TypeVar("T")


class Replay:
    """What `netstack.replay` gives. `net` is our host's: a `Net`, in trio a `TrioNet`, while the block runs."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._opening: WorldOpening | None = None

    @property
    def net(self) -> Any:
        return self._stage.host.net

    @property
    def world(self) -> World:
        """The world beneath: our host, and a node that plays the others."""
        return self._stage.world

    @property
    def script(self) -> Script:
        """What the capture says of our host."""
        return self._stage.script

    async def __aenter__(self) -> Replay:
        if self._opening is not None:
            raise UsageError("this capture has been entered already: open it again to play it again")
        self._opening = open_world(self._stage.world)
        await self._opening.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        assert self._opening is not None
        try:
            return await self._opening.__aexit__(kind, error, tb)
        finally:
            self._stage.close()

    async def program(self, program: Awaitable[T]) -> T:
        """Await a program that names no net, as one of our host's (`Net.run`)."""
        return await self._stage.host.run(program)

    async def run(self, speed: float | str = "max", *, deadline: float | None = None) -> Report:
        """Play the capture, and say what came of it: at its own pace with `speed` 1.0, ten times as fast with 10, without its
        pauses with "max". Ends when all is played and our host has been quiet for half a second, or after `deadline` seconds.

        Raises UsageError.
        """
        waits = waits_here()
        done = waits.event()
        self._stage.player.on_done = done.set
        self._stage.begin(speed, deadline)
        self.net.now()  # whoever asks for the time is about to do something: the world is turned
        await waits.wait(done)
        return self._stage.report()

    def deliver(self, speed: float | str = "max", *, deadline: float | None = None) -> Report:
        """Play the capture without a program, instead of entering the block: to puppets that say what the captured host said. In
        virtual time of its own; doesn't wait. The report says too whether what the stack delivered is what the capture has."""
        return self._stage.deliver(speed, deadline)


def replay(
    file: File,
    as_host: str | Ip4 | None = None,
    *,
    order: Order = "captured",
    duplicate: float = 0.0,
    cut: int = 0,
    seed: int = 0,
    ignore: Ignore = None,
    fill: bool = False,
    mtu: int | None = None,
    pcap: str | PathLike[str] | BinaryIO | None = None,
    config: StackConfig | None = None,
) -> Replay:
    """Everybody in a capture but `as_host`, who is played by the stack and the programs on it.

    file       a path or an open file: pcap or pcapng, Ethernet, raw IP, cooked, loopback, with VLAN tags or fragments
    as_host    which of the hosts in it we are; may be left out where all packets have one in common. With a port, "127.0.0.1:8080",
               we are that end alone: on a loopback both ends have one address (the report says what stands for it)
    order      "captured"; "reversed" or "shuffled": the segments of each connection that could be under way at once, rearranged;
               or a function that rearranges a list of them
    duplicate  the chance of each segment to be played twice, 1.0 for all
    cut        the most bytes of a segment: longer ones are played in pieces
    seed       of all chance: order, numbers, ports
    ignore     what may differ: a regular expression of bytes, several, or a function of a stream that gives what is compared
    fill       play zeros for what the capture lacks of the peers' streams (lost by whoever captured, or cut off by its snaplen).
               Otherwise a connection is played up to there, and the report has a note
    mtu        of our host's link; as far as is known that of the capture
    pcap       a file that gets what is played and answered, as pcapng
    config     of the stack

    Raises UsageError for what can't be, WireError with the number of the packet that can't be read, OSError.
    """
    return Replay(
        Stage(
            file, as_host, order=order, duplicate=duplicate, cut=cut, seed=seed, ignore=ignore, fill=fill, mtu=mtu, pcap=pcap,
            config=config,
        )
    )  # fmt: skip
