"""Packets of a capture as what they carry: whole IPv4 datagrams, numbered as Wireshark numbers them, and everything else.

    for item in read("bug.pcapng"):
        if isinstance(item, Datagram): ...

Links of different kinds may stand in one file. VLAN tags, PPPoE and the padding of Ethernet are taken off; fragments are put
together by the stack's own reassembly (ipv4/reassembly.py, with its bounds and its refusal of overlaps), on the capture's clock.
A datagram in fragments comes where its last one stands.

Checksums are not looked at: in a capture on the sending host they are what the device was to complete. For the same reason a
length of 0 is believed to be what it is there, a datagram too long for its own field that the device was to cut (TSO).
"""

from os import PathLike
from typing import BinaryIO, NamedTuple

from .. import raw
from ..cores import Frame
from ..ipv4.mib import IpMib
from ..ipv4.reassembly import DATAGRAMS, Reassembly, write
from ..pcap import PACKET_LIMIT, UNKNOWN, CutOff, Packet
from . import files
from .links import IPV4, READERS
from .mib import CapturesMib

# Nanoseconds, 146 years from 1970: pcapng can say times that no 64 bits hold, and only a broken or hostile file does
FURTHEST = 1 << 62


class Datagram(NamedTuple):
    """An IPv4 datagram. `data` begins with its header and ends where it ends, or earlier where the capture cut it.

    number      of its packet in the file, 1 for the first; of the last one to come where it was in fragments
    time        nanoseconds since 1970; None in the rare kind of block that has no time
    numbers     of all its packets: one, or those of its fragments in the order in which they came
    src_mac, dst_mac   None where the link has none, or the capture does not say
    vlan        numbers of the VLANs it was tagged with, the outermost first
    cut         the capture has only the beginning
    direction   pcap.INBOUND or OUTBOUND, seen from where it was captured; UNKNOWN in most files
    interface   name of where it was captured; "" where the file has none
    """

    number: int
    time: int | None
    data: bytes
    numbers: tuple[int, ...]
    src_mac: bytes | None = None
    dst_mac: bytes | None = None
    vlan: tuple[int, ...] = ()
    cut: bool = False
    direction: int = UNKNOWN
    interface: str = ""


class Other(NamedTuple):
    """A packet that is no IPv4 datagram, or none that can be read; the rest as in Datagram.

    ethertype   of what it carries: 0x86DD, 0x0806; 0 where the link does not say
    data        what follows the header of the link, padding and all; the whole packet where that header can't be read
    reason      why it is not read: "" for another protocol, else "no lawful IPv4 header" and the like
    """

    number: int
    time: int | None
    ethertype: int
    data: bytes
    reason: str = ""
    src_mac: bytes | None = None
    dst_mac: bytes | None = None
    vlan: tuple[int, ...] = ()
    cut: bool = False
    direction: int = UNKNOWN
    interface: str = ""


def read(file: "str | PathLike[str] | BinaryIO", mib: "CapturesMib | None" = None) -> "Reader":
    """What the packets of a capture carry, read as it is asked for; `file` is a path or is open, pcap or pcapng, gzip or not.

    Raises WireError with the number of the packet that can't be read; what came before it has been given. A file that ends in
    the middle of a packet is only counted (`CutFiles`): that is how captures end. `mib` is counted in where one is given.
    """
    return Reader(file, mib)


class Reader:
    """The iterator that `read` gives. `mib` counts what was met, `ip` what became of fragments (ReasmOverlaps and others)."""

    def __init__(self, file: "str | PathLike[str] | BinaryIO", mib: "CapturesMib | None" = None) -> None:
        self.mib = mib if mib is not None else CapturesMib()
        self._packets = files.packets(file)
        self.ip = IpMib()
        self._puzzle = Puzzle(self.mib, self.ip)
        self._number = 0

    def __iter__(self) -> "Reader":
        return self

    def __next__(self) -> "Datagram | Other":
        try:
            for packet in self._packets:
                self._number += 1
                found = self._take(self._number, packet)
                if found is not None:
                    return found
        except CutOff:
            self.mib.CutFiles += 1
        self._puzzle.finish()
        raise StopIteration

    def close(self) -> None:
        """Read no further. A file that `read` has opened is closed; at the end, and at an error, it is anyway."""
        self._packets.close()

    def _take(self, number: int, packet: Packet) -> "Datagram | Other | None":
        """What `packet` carries; None for a fragment that completes nothing."""
        mib = self.mib
        mib.Packets += 1
        time, p, length, interface, said, _ = packet
        if time is not None and not -FURTHEST < time < FURTHEST:
            mib.BadTimes += 1
            time = None
        name = interface.name
        reader = READERS.get(interface.linktype)
        if reader is None:
            mib.UnknownLink += 1
            return Other(number, time, 0, p, f"link type {interface.linktype} is not read", direction=said, interface=name)
        head = reader(p)
        cut = length > len(p)
        if cut:
            mib.Cut += 1
        if head is None:
            mib.ShortLink += 1
            return Other(number, time, 0, p, "too short for the header of its link", cut=cut, direction=said, interface=name)
        kind, at, src_mac, dst_mac, vlan, direction = head
        if said:
            direction = said
        if kind != IPV4:
            mib.Others += 1
            return Other(number, time, kind, p[at:], "", src_mac, dst_mac, vlan, cut, direction, name)
        n = len(p) - at
        ihl = (p[at] & 15) << 2 if n >= 20 else 0
        total = p[at + 2] << 8 | p[at + 3] if n >= 20 else 0
        if total == 0 and ihl:
            mib.NoLength += 1
            total = max(n, length - at)
        if ihl < 20 or n < ihl or total < ihl or p[at] >> 4 != 4:
            mib.BadHeader += 1
            return Other(number, time, kind, p[at:], "no lawful IPv4 header", src_mac, dst_mac, vlan, cut, direction, name)
        cut = total > n
        data = p[at : at + total]
        numbers: tuple[int, ...] = (number,)
        if (p[at + 6] & 0x3F) | p[at + 7]:  # an offset, or more to come
            mib.Fragments += 1
            if cut:
                mib.CutFragments += 1
                return Other(number, time, kind, data, "a fragment that was cut", src_mac, dst_mac, vlan, cut, direction, name)
            whole = self._puzzle.add(number, time, data, ihl)
            if whole is None:
                return None
            data, numbers = whole
        mib.Datagrams += 1
        return Datagram(number, time, data, numbers, src_mac, dst_mac, vlan, cut, direction, name)


class Puzzle:
    """Fragments of a capture, for the reassembly of a stack."""

    def __init__(self, mib: CapturesMib, ip: IpMib) -> None:
        self._mib = mib
        self._ip = ip
        self._pieces = Reassembly(ip)
        self._numbers: dict[tuple[int, int, int], list[int]] = {}
        self._frame = Frame(PACKET_LIMIT)
        self._now = 0

    def add(self, number: int, time: int | None, data: bytes, ihl: int) -> tuple[bytes, tuple[int, ...]] | None:
        """A whole fragment, header and all. Gives the datagram that it completes, and the numbers of its packets."""
        if time is not None:
            self._now = time
        if self._pieces.next_deadline() <= self._now:
            self._pieces.expire(self._now)
        f = self._frame
        raw.pbytes(f.buf, 0, data)
        _, tos, _, ident, frag, _, proto, src, dst = raw.get_ip4(f.buf, 0)
        f.l3, f.off, f.end = 0, ihl, len(data)
        f.now, f.src, f.dst, f.proto, f.tos = self._now, src, dst, proto, tos
        key = (src, dst, proto << 16 | ident)
        numbers = self._numbers.setdefault(key, [])
        if len(numbers) < 65535:  # repeated without end, a fragment must cost no more than its place in the file
            numbers.append(number)
        whole = self._pieces.add(f, ihl, frag, ident)
        if whole is not None:
            del self._numbers[key]
            write(whole, f)
            return bytes(memoryview(f.buf)[: f.end]), tuple(numbers)
        if len(self._numbers) > 2 * DATAGRAMS:
            self._forget()
        return None

    def finish(self) -> None:
        """Nothing more will come."""
        self._forget()
        self._mib.Incomplete = self._ip.ReasmFails + sum(not t.dead for t in self._pieces.partials.values())

    def _forget(self) -> None:
        """Numbers of what the reassembly has forgotten."""
        held = self._pieces.partials
        self._numbers = {key: numbers for key, numbers in self._numbers.items() if key in held}
