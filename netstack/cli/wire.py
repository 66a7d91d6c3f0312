"""`netstack wire`: two devices joined by a cable as bad as one likes.

The kernel needs no module for it, and nothing but its own end of a tap. Two hosts made of namespaces, and 50 ms between them:

    netstack wire tap:left tap:right --fault loss=1%,delay=25ms &
    ip link set left netns a && ip -n a addr add 10.0.0.1/24 dev left && ip -n a link set left up
    ip link set right netns b && ip -n b addr add 10.0.0.2/24 dev right && ip -n b link set right up

Timers: the loop waits with select(2), which counts microseconds. asyncio over epoll rounds every wait up to a whole
millisecond, and so lets out the frames of a millisecond in one burst.
"""

import argparse
import asyncio
import selectors
from typing import TYPE_CHECKING, Protocol

from ..errors import UsageError
from ..instant import Instant, format_duration
from ..runtime.reactor import LoopReactor
from .service import stop_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..signatures import Netif
    from ..testing.cable import Cable, Way


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", help="a device: tap:tap0, tun:tun0")
    parser.add_argument("b", metavar="B", help="the device at the other end")
    parser.add_argument("--fault", metavar="FAULTS", default="", help="both ways: loss=1%%,delay=20ms,rate=100M,seed=7")
    parser.add_argument("--back", metavar="FAULTS", help="from B to A, in place of --fault")
    parser.add_argument("--pcap", metavar="FILE", help="every frame that enters the cable, with its fate as a comment, as pcapng")


def run(args: argparse.Namespace) -> int:
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        return runner.run(join(args))


async def join(args: argparse.Namespace) -> int:
    """Carry frames until SIGTERM or SIGINT, then say what became of them."""
    from time import monotonic_ns, time_ns

    from ..plugins import open_netif
    from ..testing.cable import Cable
    from ..testing.capture import CaptureFile
    from ..testing.faults import Faults

    faults = Faults.parse(args.fault)
    back = None if args.back is None else Faults.parse(args.back)
    if args.a == args.b:
        raise UsageError(f"{args.a} is named twice: a cable needs two devices")
    stop = stop_event()
    a = open_netif(args.a)
    try:
        b = open_netif(args.b)
    except BaseException:
        a.close()
        raise
    capture = CaptureFile(args.pcap, time_ns() - monotonic_ns()) if args.pcap else None
    try:
        cable = Cable(a, b, faults, back, capture)
        driver = Driver(cable, stop)
        print(f"{a.name} and {b.name} are joined; end with Ctrl-C or SIGTERM", flush=True)
        try:
            await driver.drive()
        finally:
            print(report(cable), flush=True)
    finally:
        if capture is not None:
            capture.close()
        a.close()
        b.close()
    return 0


def report(cable: "Cable") -> str:
    """What became of the frames; a line for each direction."""
    a, b = (netif.name for netif in cable.netifs)
    lines = [describe(f"{a} -> {b}", cable.there), describe(f"{b} -> {a}", cable.back)]
    return "\n".join([*lines, f"the latest frame left {format_duration(cable.late // 1000 * 1000)} after its time"])


def describe(name: str, way: "Way") -> str:
    mib = way.line.mib
    fates = [f"{value} {key}" for key in mib.MEANING if key != "Frames" and (value := getattr(mib, key))]
    return f"{name}: {mib.Frames} frames came, {way.carried} went on{''.join(f', {fate}' for fate in fates)}"


class Driven(Protocol):
    """What a Driver turns: devices, and somebody who takes what comes out of them."""

    @property
    def netifs(self) -> "tuple[Netif, ...]": ...
    def poll(self, now: Instant, /) -> bool: ...
    def next_deadline(self) -> Instant | None: ...
    def set_waker(self, waker: "Callable[[], None] | None", /) -> None: ...


class Driver:
    """Turns a cable on the running loop (runtime.base.Turned)."""

    def __init__(self, cable: Driven, stop: asyncio.Event) -> None:
        self.cable = cable
        self.stop = stop
        self.failure: OSError | None = None
        self._reactor = LoopReactor(asyncio.get_running_loop())
        self._reactor.serve(self)

    async def drive(self) -> None:
        """Until `stop` is set. Raises OSError when a device is gone."""
        descriptors = [fd for netif in self.cable.netifs if (fd := netif.fileno()) is not None]
        for fd in descriptors:
            self._reactor.watch(fd)
        self.cable.set_waker(self._reactor.soon)
        self._reactor.soon()
        try:
            await self.stop.wait()
        finally:
            self.cable.set_waker(None)
            for fd in descriptors:
                self._reactor.unwatch(fd)
            self._reactor.disarm()
        if self.failure is not None:
            raise self.failure

    def on_frames(self) -> None:
        if self.stop.is_set():
            return
        try:
            more = self.cable.poll(Instant(self._reactor.clock()))
        except OSError as error:
            self.failure = error
            self.stop.set()
            return
        if more:
            self._reactor.soon()
        when = self.cable.next_deadline()
        if when is not None:
            self._reactor.arm(when)

    on_deadline = on_frames  # a hair early is no harm: nothing is due then, and the same deadline is armed again
