"""A world with one host, the player of everybody else, and the link between them."""

from __future__ import annotations

from os import PathLike
from typing import BinaryIO

from ..address import Ip4
from ..captures import CapturesMib, read
from ..errors import UsageError
from ..instant import MICROSECOND, NEVER, SECOND, Instant
from ..stack import StackConfig
from ..testing.net import World
from .compare import Comparison, Ignore
from .order import Order, Rearrangement
from .player import Player
from .puppet import Troupe
from .report import Report
from .script import Script, read_script
from .steps import TcpTalk, options_of
from .verdict import report_of

File = str | PathLike[str] | BinaryIO
DELAY = MICROSECOND  # each way: an instant can't hold a whole capture
BEYOND = 600 * SECOND  # at full speed, or beyond what the capture itself takes: no wait of the player's is nearly as long
LEAST_MTU, USUAL_MTU = 576, 1500


class Stage:
    """`script` is what the capture says of our host. Raises UsageError, WireError, OSError."""

    def __init__(
        self,
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
    ) -> None:
        self.rearrangement = Rearrangement(order, duplicate, cut, seed)
        self.comparison = Comparison(ignore)
        self.mib = CapturesMib()
        host, port = end_of(as_host) if isinstance(as_host, str) else (as_host, 0)
        self.script: Script = read_script(read(file, self.mib), host, port, fill=fill)
        if self.mib.CutFiles:
            self.script.notes.append("the capture ends in the middle of a packet: what is before it is played")
        self.world = World(seed=seed)
        self.host = self.world.host("host", f"{Ip4(self.script.host)}/32", config)
        self.player = Player(self.script, len(self.world.nodes), self.world.clock)
        self.world.join(self.player)
        self.link = self.world.link(
            self.host, self.player, delay=DELAY, mtu=mtu or mtu_of(self.script), queue=1 << 16, back={"mtu": 65535}
        )
        if pcap is not None:
            self.link.capture(pcap)
        self._begun = False

    def begin(self, speed: float | str, deadline: float | None, wait_answers: bool = True) -> None:
        """Let the player play. Raises UsageError, also the second time."""
        pace = speed_of(speed)
        if self._begun:
            raise UsageError("this capture has been played already: open it again to play it again")
        self._begun = True
        self.world.settle()
        length = (int(self.script.duration / pace) if pace else 0) + BEYOND if deadline is None else int(deadline * SECOND)
        self.player.begin(pace, self.rearrangement, wait_answers, min(self.world.now + length, NEVER - 1))

    def deliver(self, speed: float | str = "max", deadline: float | None = None) -> Report:
        """Play the capture to puppets: programs that say what our host said when it was captured. In virtual time of its own.

        All must come out as it was; the report says too whether what the stack delivered is what the capture has.
        """
        if self.world.faces is not None:
            raise UsageError("deliver() needs no event loop: call it instead of entering the block")
        self.world.settle()
        troupe = Troupe(self.host.stack, self.player, self.world.clock)
        self.begin(speed, deadline, wait_answers=False)
        try:
            self.world.clock.run_until(lambda: self.player.done, self.player.deadline - self.world.now + SECOND)
        finally:
            self.close()
        self.script.notes += [f"not played: {failure}" for failure in troupe.failures[:20]]
        return self.report()

    def report(self) -> Report:
        return report_of(self.player, self.comparison, not self.rearrangement.is_plain)

    def close(self) -> None:
        """End what is written, and what the stack has open."""
        self.link.close()

    @property
    def now(self) -> Instant:
        return self.world.now


def speed_of(speed: float | str) -> float | None:
    """None for "max"."""
    if speed == "max":
        return None
    if isinstance(speed, str) or not 0 < speed < float("inf"):
        raise UsageError(f"speed={speed!r} is not possible: write a number above 0, like 10, or \"max\"")
    return float(speed)


def end_of(text: str) -> tuple[Ip4, int]:
    """`"10.1.1.7"`, or with a port, `"127.0.0.1:8080"`; 0 is none."""
    address, colon, port = text.partition(":")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise UsageError(f"{text!r} is no host: write an address, or an address and a port, like 127.0.0.1:8080")
    return Ip4.parse(address), int(port or 0)


def mtu_of(script: Script) -> int:
    """Of our host's link when it was captured, as far as its SYNs tell (RFC 9293 3.7.1)."""
    sizes = [
        int.from_bytes(value, "big") + 40
        for talk in script.talks
        if isinstance(talk, TcpTalk)
        for step in talk.steps
        if step.ours and step.start < 0
        for kind, value in options_of(step.options)
        if kind == 2 and len(value) == 2
    ]
    return min(max([*sizes, LEAST_MTU]), 65535) if sizes else USUAL_MTU
