"""`netstack capture`: what arrives at a device, or stands in a file, into a file or as lines, in the words of tcpdump.

    netstack capture --netif tap:tap0 -w seen.pcapng -c 1000 tcp port 80
    netstack capture -r big.pcap.gz -w small.pcapng host 10.0.0.1

It only listens: nobody answers. What a stack of ours hears and says is captured by the `--pcap` of the command that has it.
"""

import argparse
import asyncio
import os
import selectors
import sys
from typing import TYPE_CHECKING

from ..errors import WireError
from ..instant import Instant
from .options import count
from .service import stop_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..captures.filters import Filter
    from ..pcap import Packet
    from ..signatures import Netif
    from ..testing.capture import CaptureFile


def configure(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--netif", metavar="SPEC", help="the device: tap:tap0, tun:tun0")
    source.add_argument("-r", dest="source", metavar="FILE", help="a capture, with its own times; pcap or pcapng, gzip or not")
    parser.add_argument("-w", dest="file", metavar="FILE", help="write to FILE, as pcapng (default: a line for each packet)")
    parser.add_argument("-c", dest="count", metavar="N", type=count, help="end after N packets")
    words = "only these packets: host A, net A/N, port N, src, dst, tcp, udp, icmp, arp, and, or, not"
    parser.add_argument("filter", metavar="FILTER", nargs="*", help=words)


def run(args: argparse.Namespace) -> int:
    from ..captures.filters import parse

    chosen = parse(args.filter)  # a mistake is told before anything is opened
    if args.source is not None:
        return sift(args, chosen)
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        return runner.run(listen(args, chosen))


def sift(args: argparse.Namespace, chosen: "Filter") -> int:
    """From one file into another."""
    from ..captures.files import packets
    from ..captures.filters import facts
    from ..pcap import CutOff, Interface, PcapngWriter
    from ..testing.dissect import describe

    seen = kept = 0
    numbers: dict[Interface, int] = {}
    try:
        with open(args.file or os.devnull, "wb") as file:
            writer = PcapngWriter(file.write)
            for packet in packets(args.source):
                seen += 1
                if not chosen(facts(packet)):
                    continue
                kept += 1
                where = packet.interface
                if args.file is None:
                    print(f"{stamp(packet.time or 0)} {describe(*datagram(packet))}")
                else:
                    if where not in numbers:
                        numbers[where] = writer.interface(where.name, where.linktype, where.snaplen)
                    writer.packet(numbers[where], packet.time or 0, packet.data, packet.direction, packet.comment, packet.length)
                if kept == args.count:
                    break
    except CutOff:
        print(f"netstack: {args.source} ends in the middle of a packet", file=sys.stderr)
    except WireError as error:
        print(f"netstack: {args.source}: {error}", file=sys.stderr)
        return 1
    if args.file is not None:
        print(f"{kept} of {seen} packets written to {args.file}")
    return 0


def datagram(packet: "Packet") -> tuple[bytes, bool]:
    """What can be described in a line, and whether it is Ethernet's: links that are not are taken off."""
    from ..captures.links import READERS
    from ..pcap import ETHERNET

    reader = READERS.get(packet.interface.linktype)
    head = None if reader is None or packet.interface.linktype == ETHERNET else reader(packet.data)
    return (packet.data, True) if head is None else (packet.data[head.offset :], False)


def stamp(time: int) -> str:
    seconds, rest = divmod(time // 1000, 1_000_000)
    return f"{seconds}.{rest:06}"


async def listen(args: argparse.Namespace, chosen: "Filter") -> int:
    """Until N packets have come, the device has no more, or SIGTERM or SIGINT."""
    from time import monotonic_ns, time_ns

    from ..plugins import open_netif
    from ..testing.capture import CaptureFile
    from .wire import Driver

    stop = stop_event()
    netif = open_netif(args.netif)
    file = None
    try:
        epoch = time_ns() - monotonic_ns()
        file = CaptureFile(args.file, epoch) if args.file else None
        ear = Ear(netif, chosen, file, epoch, args.count, stop.set)
        await Driver(ear, stop).drive()
        if file is not None:
            print(f"{ear.kept} of {ear.seen} packets written to {args.file}")
            if file.error is not None:
                raise file.error
    finally:
        if file is not None:
            file.close()
        netif.close()
    return 0


class Ear:
    """Listens at a netif: what passes `chosen` is written or printed, and `enough` called when that was it."""

    def __init__(
        self,
        netif: "Netif",
        chosen: "Filter",
        file: "CaptureFile | None",
        epoch: int,
        most: int | None,
        enough: "Callable[[], None]",
    ) -> None:
        from ..adapters import PySink
        from ..netif import carry_plain
        from ..pcap import ETHERNET, RAW, Interface

        self.netifs = (netif,)
        self.seen = 0
        self.kept = 0
        self._interface = Interface(RAW if netif.mac is None else ETHERNET, name=netif.name)
        self._chosen = chosen
        self._file = file
        self._number = 0 if file is None else file.interface(netif.name, netif.mac is not None)
        self._epoch = epoch
        self._most = most
        self._enough = enough
        carry_plain(netif)
        netif.attach(PySink(self))

    def on_frame(self, frame: bytes, now: int) -> None:
        from ..captures.filters import facts
        from ..pcap import INBOUND, Packet

        if self._most is not None and self.kept >= self._most:
            return
        self.seen += 1
        if not self._chosen(facts(Packet(now, frame, len(frame), self._interface))):
            return
        self.kept += 1
        if self._file is not None:
            self._file.frame(self._number, now, frame, INBOUND)
        else:
            self._print(frame, now)
        if self.kept == self._most or (self._file is not None and self._file.error is not None):
            self._enough()

    def _print(self, frame: bytes, now: int) -> None:
        from ..testing.dissect import describe

        print(f"{stamp(now + self._epoch)} {describe(frame, self.netifs[0].mac is not None)}", flush=True)

    def on_flush(self, now: int) -> None:
        """Frames were handled as they came."""

    def poll(self, now: Instant) -> bool:
        netif = self.netifs[0]
        more = netif.poll(now)
        if getattr(netif, "finished", False):  # a capture that was played to its end
            self._enough()
        return more

    def next_deadline(self) -> Instant | None:
        return self.netifs[0].next_deadline()

    def set_waker(self, waker: "Callable[[], None] | None") -> None:
        self.netifs[0].set_waker(waker)
