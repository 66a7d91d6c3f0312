"""A capture as a device: its packets come up at their own pace, and what the stack sends goes to another file.

The stack is to be one of the hosts in the capture, so what that host sent is not played back to it: frames that the capture
marks as outbound, and frames from the stack's own link address.
"""

import errno
from collections.abc import Iterator
from typing import BinaryIO

from netstack import const, pcap
from netstack.address import Mac
from netstack.counters import Group
from netstack.errors import UsageError, WireError
from netstack.instant import Instant
from netstack.netif import FrameNetif
from netstack.pcap import CutOff, Decoder, Packet, PcapngWriter, PcapWriter

CHUNK = 65536  # bytes read at once: a capture may be larger than memory, or a pipe that is still being written

# what precedes the internet datagram on links that we play as point-to-point
STRIP = {pcap.RAW: 0, pcap.IPV4: 0, pcap.IPV6: 0, pcap.NULL: 4, pcap.LOOP: 4, pcap.LINUX_SLL: 16, pcap.LINUX_SLL2: 20}
DEFAULT_MAC = Mac(0x020000000001)


class PcapMib(Group):
    MEANING = {
        "InFrames": "packets of the capture handed up",
        "InOutbound": "passed over: marked as sent by the capturing host",
        "InOwn": "passed over: from the stack's own link address",
        "InOtherLink": "passed over: from a link of another kind than the first",
        "InCut": "handed up, though the capture has only their beginning",
        "InTruncatedFile": "the capture ended in the middle of a packet",
        "OutFrames": "frames sent, into the output file if there is one",
    }
    __slots__ = tuple(MEANING)

    def __init__(self) -> None:
        self.InFrames = 0
        self.InOutbound = 0
        self.InOwn = 0
        self.InOtherLink = 0
        self.InCut = 0
        self.InTruncatedFile = 0
        self.OutFrames = 0


def read_packets(file: BinaryIO) -> Iterator[Packet]:
    """The packets of a capture, read as they are asked for. Raises WireError, also for a file that ends in the middle."""
    decoder = Decoder()
    while chunk := file.read(CHUNK):
        yield from decoder.feed(chunk)
    # an error that came with the last packets is raised here
    decoder.finish()


class Pcap(FrameNetif):
    """A capture as a netif. `speed` 1 is its own pace, 10 ten times that, None as fast as the stack takes it."""

    def __init__(
        self,
        file: BinaryIO,
        *,
        name: str = "pcap",
        mac: "Mac | None" = None,
        mtu: int = 1500,
        speed: "float | None" = 1.0,
        out: "BinaryIO | None" = None,
        classic: bool = False,
    ) -> None:
        """Both files are closed with the device. `classic` writes pcap to `out`, else it is pcapng.

        The first packet says what kind of link it is: Ethernet, on which the stack is `mac`, or bare datagrams. Raises
        UsageError for what is no capture, and for a link type that carries neither. A capture that turns out to be broken
        later is an OSError from `poll`; one that is only cut off at its end is counted.
        """
        if speed is not None and not 0 < speed < float("inf"):
            raise UsageError(f"speed={speed} is not possible: write a number above 0, like 10, or max")
        self.mib = PcapMib()
        self._file = file
        self._out = out
        self._packets = read_packets(file)
        self._speed = speed
        self._own = bytes(mac or DEFAULT_MAC)
        self._linktype = pcap.ETHERNET
        self._first: int | None = None  # time of the first packet that is played
        self._base: int | None = None  # the instant at which it was
        self._due = 0
        self._error: WireError | None = None
        head = self._next(first=True)
        if self._error is not None:
            raise UsageError(f"{name} can't be played: {self._error}") from self._error
        ethernet = self._linktype == pcap.ETHERNET
        if not ethernet and self._linktype not in STRIP:
            raise UsageError(f"{name} has link type {self._linktype}: only Ethernet (1) and links with bare datagrams are played")
        if not ethernet and mac is not None:
            raise UsageError(f"{name} has bare datagrams, no link addresses: leave mac out")
        super().__init__(name, (mac or DEFAULT_MAC) if ethernet else None, mtu)
        self._head = head
        self._first = None if head is None else head.time
        self._ng: PcapngWriter | None = None
        self._classic: PcapWriter | None = None
        linktype = pcap.ETHERNET if ethernet else pcap.RAW
        if out is not None and classic:
            self._classic = PcapWriter(out.write, linktype)
        elif out is not None:
            self._ng = PcapngWriter(out.write)
            self._ng.interface(name, linktype)

    @property
    def finished(self) -> bool:
        """Has all of the capture been played?"""
        return self._head is None

    def next_deadline(self) -> "Instant | None":
        if self._head is None:
            return None
        # before the first poll nobody has said what time it is: at once, then
        return Instant(0) if self._base is None else Instant(self._due)

    def poll(self, now: Instant) -> bool:
        if self._base is None:
            self._base = self._due = now
        frames: list[bytes] = []
        while self._head is not None and self._due <= now and len(frames) < const.BATCH:
            if self._head.length > len(self._head.data):
                self.mib.InCut += 1
            frames.append(self._head.data[STRIP.get(self._linktype, 0) :])
            self._head = self._next()
            self._schedule()
        for frame in frames:
            self.mib.InFrames += 1
            self.receive(frame, now)
        if frames:
            self.flush(now)
        if self._error is not None:
            raise OSError(errno.EIO, f"{self.name} can't be played any further: {self._error}") from self._error
        return self._head is not None and self._due <= now

    def transmit(self, frame: bytes, now: int) -> None:
        self.mib.OutFrames += 1
        # on the clock of the capture, so that the two files can be read side by side
        time = now if self._base is None or self._first is None else self._first + now - self._base
        if self._ng is not None:
            self._ng.packet(0, time, frame, pcap.OUTBOUND)
        elif self._classic is not None:
            self._classic.packet(time, frame)

    def close(self) -> None:
        super().close()
        self._head = None
        self._packets = iter(())
        self._ng = self._classic = None
        self._file.close()
        if self._out is not None:
            self._out.close()

    def _next(self, first: bool = False) -> "Packet | None":
        """The next packet that is for the stack; None at the end, and at an error, which is kept."""
        try:
            for packet in self._packets:
                if first:
                    self._linktype = packet.interface.linktype
                    first = False
                if not self._passes_over(packet):
                    return packet
        except CutOff:
            self.mib.InTruncatedFile += 1  # a capture's usual end
        except WireError as error:
            self._error = error
        return None

    def _schedule(self) -> None:
        """Set the instant of the packet at the head."""
        if self._head is None or self._head.time is None or self._speed is None:
            return
        if self._first is None:
            self._first = self._head.time
        assert self._base is not None
        # captures of several interfaces are not always in order, but we never go back
        self._due = max(self._due, self._base + round((self._head.time - self._first) / self._speed))

    def _passes_over(self, packet: Packet) -> bool:
        if packet.interface.linktype != self._linktype:
            self.mib.InOtherLink += 1
        elif packet.direction == pcap.OUTBOUND:
            self.mib.InOutbound += 1
        elif self._linktype == pcap.ETHERNET and packet.data[6:12] == self._own:
            self.mib.InOwn += 1
        else:
            return False
        return True
