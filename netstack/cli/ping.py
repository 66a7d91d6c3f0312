"""`netstack ping`: echo requests, reported as ping(8) does."""

import argparse
import asyncio
import math
from typing import TYPE_CHECKING, Any

from ..address import ip4_text
from ..errors import TimedOut, UsageError
from ..instant import SECOND
from ..runtime.loop import KERNEL
from ..runtime.loop import run as run_loop
from ..runtime.names import Names
from .options import add_net_options, count, may_know_names, open_net, positive_seconds
from .service import stop_event

if TYPE_CHECKING:
    from ..runtime.asyncio import Net

HEADERS = 28  # IPv4 and ICMP: what the second size in the first line includes
LARGEST = 65535 - HEADERS


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", metavar="HOST", help="an IPv4 address, or a name that hosts or the DNS know")
    parser.add_argument("-c", dest="count", metavar="N", type=count, help="end after N requests (default: at Ctrl-C)")
    parser.add_argument("-i", dest="interval", metavar="SECONDS", type=positive_seconds, default=1.0, help="between requests (1)")
    parser.add_argument("-s", dest="size", metavar="BYTES", type=int, default=56, help="of payload (56)")
    parser.add_argument("-W", dest="wait", metavar="SECONDS", type=positive_seconds, default=1.0, help="for each answer (1)")
    add_net_options(parser)


def run(args: argparse.Namespace) -> int:
    if not 0 <= args.size <= LARGEST:
        raise UsageError(f"-s {args.size} doesn't fit in a datagram: ask for 0 to {LARGEST} bytes")
    if not may_know_names(args):
        Names().ipv4(args.host)  # a mistake is told before the device is opened
    return run_loop(ping(args), net=KERNEL[0])


class Tally:
    """Round trips so far, in milliseconds."""

    def __init__(self) -> None:
        self.sent = 0
        self.times: list[float] = []

    def report(self, host: str, elapsed: float) -> str:
        received = len(self.times)
        lost = 100 * (self.sent - received) / self.sent if self.sent else 0.0
        lines = [
            f"--- {host} ping statistics ---",
            f"{self.sent} packets transmitted, {received} received, {lost:.4g}% packet loss, time {elapsed * 1000:.0f}ms",
        ]
        if received:
            mean = sum(self.times) / received
            deviation = math.sqrt(max(0.0, sum(t * t for t in self.times) / received - mean * mean))
            lines.append(f"rtt min/avg/max/mdev = {min(self.times):.3f}/{mean:.3f}/{max(self.times):.3f}/{deviation:.3f} ms")
        return "\n".join(lines)


async def ping(args: argparse.Namespace) -> int:
    """Requests leave on time, whatever became of those before. Exit status 1 when none was answered, as ping's."""
    stop = stop_event()
    loop = asyncio.get_running_loop()
    tally = Tally()
    async with open_net(args) as net:
        if not hasattr(net, "ping"):
            raise UsageError(f"{net.name} have no ping: name a device, like --netif tap:tap0, or use the system's own ping")
        target = ip4_text(await net.address_of(args.host))
        shown = args.host if args.host == target else f"{args.host} ({target})"
        print(f"PING {shown} {args.size}({args.size + HEADERS}) bytes of data.", flush=True)
        started = loop.time()
        waiting: set[asyncio.Task[Any]] = set()  # at most wait / interval of them
        while not stop.is_set() and (args.count is None or tally.sent < args.count):
            tally.sent += 1
            task = loop.create_task(ask(net, args, target, tally, tally.sent))
            waiting.add(task)
            if tally.sent != args.count:
                await wait_until(stop, started + tally.sent * args.interval)
                settle(waiting)
        ending = loop.create_task(stop.wait())
        while waiting and not stop.is_set():
            await asyncio.wait({ending, *waiting}, return_when=asyncio.FIRST_COMPLETED)
            settle(waiting)
        for left in (ending, *waiting):
            left.cancel()
        print(f"\n{tally.report(args.host, loop.time() - started)}", flush=True)
    return 0 if tally.times else 1


async def ask(net: "Net", args: argparse.Namespace, target: str, tally: Tally, sequence: int) -> None:
    """One request, and the line about it."""
    try:
        rtt = await net.ping(target, size=args.size, timeout=args.wait)
    except TimedOut:
        line = f"no answer for icmp_seq={sequence} in {args.wait:g} s"
    except OSError as error:
        line = f"icmp_seq={sequence}: {error.strerror or error}"
    else:
        milliseconds = rtt * 1000 / SECOND
        tally.times.append(milliseconds)
        line = f"{args.size + 8} bytes from {target}: icmp_seq={sequence} time={milliseconds:.3g} ms"
    print(line, flush=True)


def settle(tasks: set[asyncio.Task[Any]]) -> None:
    """Forget those that are done; raises what one of them raised."""
    for task in [task for task in tasks if task.done()]:
        tasks.discard(task)
        task.result()


async def wait_until(stop: asyncio.Event, when: float) -> None:
    """Sleep until `when` on the loop's clock, or until `stop` is set."""
    try:
        async with asyncio.timeout_at(when):
            await stop.wait()
    except TimeoutError:
        pass
