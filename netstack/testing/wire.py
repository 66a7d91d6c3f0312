"""A wire in memory: any number of hosts on one segment, with the faults of your choice.

Every frame goes to every other port, as on a hub; a port that is not promiscuous is spared unicast frames for other addresses,
which its host would discard anyway. Each sending port has its own transmitter (full duplex), so `rate` is per direction, and
the fate of a frame is drawn once, at the sender: a broadcast that is lost is lost for all. `faults.py` says exactly what
happens to a frame, and in which order.

The wire reads no clock and waits for nobody. It puts (arrival, frame) into the inboxes of its ports, and a port is an ordinary
netif: `next_deadline` is the head of its inbox, `poll(now)` hands up what has arrived. So the same wire runs under a virtual
clock and under an event loop.
"""

import itertools
import random
from collections.abc import Callable, Iterator
from os import PathLike
from typing import BinaryIO, Unpack

from .. import pcap
from ..address import Mac
from ..errors import UsageError
from ..signatures import Rng
from .capture import CaptureFile
from .faults import FaultArguments, FaultMib, Faults
from .inbox import InboxNetif
from .line import Held, Line

Tamper = Callable[[str, bytes], "bytes | None"]


class Wire:
    """A segment: `Wire(loss=0.1, delay=20 * MILLISECOND, seed=7)`, or `Wire(Faults.parse("loss=10%,delay=20ms"))`."""

    def __init__(
        self,
        faults: "Faults | None" = None,
        *,
        rng: "Rng | None" = None,
        ethernet: bool = True,
        **fields: Unpack[FaultArguments],
    ) -> None:
        """`ethernet=False` carries bare internet datagrams between ports without addresses: a point-to-point link.

        Chance comes from `rng`, or from a generator of the wire's own started with `faults.seed`.
        """
        if faults is not None and fields:
            raise UsageError(f"faults and {next(iter(fields))} say the same thing twice: give one of them")
        self.faults = Faults(**fields) if faults is None else faults
        self.ethernet = ethernet
        self.mib = FaultMib()
        self._rng: Rng = random.Random(self.faults.seed) if rng is None else rng
        self._ports: list[WirePort] = []
        self._cuts: set[frozenset[str]] = set()
        self._named: dict[str, None] = {}  # all ports that there ever were: one that has left may come back, and is still cut off
        self._tamper: Tamper | None = None
        self._capture: CaptureFile | None = None
        self._numbers: dict[str, int] = {}

    @property
    def ports(self) -> "tuple[WirePort, ...]":
        return tuple(self._ports)

    def port(self, name: str = "", mac: "Mac | None" = None, *, promiscuous: bool = False) -> "WirePort":
        """A new place on the wire, for one host. Without a `mac` the port gets one: 02:00:00:00:00:01 and up."""
        number = len(self._ports) + 1
        name = name or f"port{number}"
        if any(port.name == name for port in self._ports):
            raise UsageError(f"there is a port {name!r} on this wire already: give each its own name")
        if not self.ethernet:
            if mac is not None:
                raise UsageError("a point-to-point wire has no link addresses: leave mac out")
        elif mac is None:
            taken = {port.mac for port in self._ports}
            mac = next(Mac(0x020000000000 + n) for n in itertools.count(number) if Mac(0x020000000000 + n) not in taken)
        elif mac.is_group:
            raise UsageError(f"{mac} is a group address: a port needs an address of its own, like 02:00:00:00:00:01")
        port = WirePort(self, name, mac, promiscuous)
        self._ports.append(port)
        self._named[name] = None
        if self._capture is not None:
            self._numbers[name] = self._capture.interface(name, self.ethernet)
        return port

    def capture(self, target: "str | PathLike[str] | BinaryIO | CaptureFile", epoch: int = 0) -> CaptureFile:
        """Write every frame into a pcapng file, on the interface of its sender, at the instant it was sent.

        What befell a frame is its comment. `epoch` nanoseconds are added to every instant; a CaptureFile is taken as it is.
        `close` closes the file.
        """
        if self._capture is not None:
            raise UsageError("this wire is captured already: one file has all of it")
        self._capture = target if isinstance(target, CaptureFile) else CaptureFile(target, epoch)
        self._numbers = {port.name: self._capture.interface(port.name, self.ethernet) for port in self._ports}
        return self._capture

    def cut(self, a: str, b: str) -> None:
        """No frame passes between the ports `a` and `b` any more; those on their way still arrive."""
        self._cuts.add(self._pair(a, b))

    def mend(self, a: str, b: str) -> None:
        """Undo `cut`."""
        self._cuts.discard(self._pair(a, b))

    def tamper(self, function: "Tamper | None") -> None:
        """`function(name_of_sender, frame)` returns the frame to carry, changed or not, or None to drop it. None undoes it."""
        self._tamper = function

    def close(self) -> None:
        """Take every port off, and close the capture."""
        for port in self.ports:
            port.close()
        self.end_capture()

    def end_capture(self) -> None:
        """Close the file, if there is one."""
        if self._capture is not None:
            self._capture.close()
            self._capture = None

    def _pair(self, a: str, b: str) -> frozenset[str]:
        for name in (a, b):
            if name not in self._named:
                raise UsageError(f"there is no port {name!r} on this wire: there are {', '.join(self._named) or 'none yet'}")
        return frozenset((a, b))

    def _carry(self, sender: "WirePort", frame: bytes, now: int) -> None:
        if self._tamper is not None:
            tampered = self._tamper(sender.name, frame)
            if tampered != frame:
                self.mib.Tampered += 1
            if tampered is None:
                if self._capture is not None:
                    self._capture.frame(self._numbers[sender.name], now, frame, pcap.OUTBOUND, "dropped: by the test")
                return
            frame = tampered
        arrivals, fate = sender.line.carry(frame, now)
        if self._capture is not None:
            # as it arrives, if it does: a flipped bit can be seen, and the comment says which
            shown = arrivals[0][1] if arrivals else frame
            shown = (shown.frame or frame) if isinstance(shown, Held) else shown
            self._capture.frame(self._numbers[sender.name], now, shown, pcap.OUTBOUND, fate)
        for arrival, copy in arrivals:
            whole = (copy.frame or frame) if isinstance(copy, Held) else copy
            for port in self._receivers(sender, whole):
                port.enqueue(arrival, copy)

    def _receivers(self, sender: "WirePort", frame: bytes) -> "Iterator[WirePort]":
        addressed = self.ethernet and len(frame) >= 6 and not frame[0] & 1
        dst = int.from_bytes(frame[:6], "big") if addressed else 0
        for port in self._ports:
            if port is sender or (addressed and not port.promiscuous and port.address != dst):
                continue
            if self._cuts and frozenset((port.name, sender.name)) in self._cuts:
                self.mib.Cut += 1
                continue
            yield port


class WirePort(InboxNetif):
    """A host's end of a `Wire`: a netif."""

    def __init__(self, wire: Wire, name: str, mac: "Mac | None", promiscuous: bool) -> None:
        super().__init__(name, mac, wire.faults.mtu)
        self.address = -1 if mac is None else int(mac)
        self.promiscuous = promiscuous
        self.line = Line(wire.faults, wire._rng, 14 if wire.ethernet else 0, wire.mib)
        self._wire = wire
        self._closed = False

    @property
    def wire(self) -> Wire:
        return self._wire

    def transmit(self, frame: bytes, now: int) -> None:
        if not self._closed:
            self._wire._carry(self, frame, now)

    def enqueue(self, arrival: int, frame: "bytes | Held") -> None:
        """A frame will be here at `arrival`; frames of one instant keep their order."""
        if not self.inbox.put(arrival, frame):
            self._wire.mib.InboxFull += 1
            return
        self.wake()

    def close(self) -> None:
        """Leave the wire: nothing is sent and nothing arrives any more."""
        if not self._closed:
            self._closed = True
            self._wire._ports.remove(self)
            super().close()
