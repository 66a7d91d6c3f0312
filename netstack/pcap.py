"""Capture files as bytes: pcapng and classic pcap, read in pieces of any size and written block by block. Opens no file.

A capture is hostile input like any other: people attach them to bug reports. The decoder takes whatever it is fed, holds at
most one block of bounded length, and gives packets or raises WireError; after that it is broken for good.

    decoder = Decoder()
    for chunk in chunks:
        for packet in decoder.feed(chunk): ...
    decoder.finish()                                      # CutOff when the file ends in the middle of something

References: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng ("ng" below). A pcapng file is a sequence of sections, each in
the byte order of its header block; blocks of unknown types are skipped. Numbers of interfaces begin anew in each section.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

import attrs

from .errors import UsageError, WireError

# link types (draft-ietf-opsawg-pcaplinktype) that a stack can make sense of
NULL = 0  # 4 bytes of address family, then the datagram: BSD loopback
ETHERNET = 1
RAW = 101  # bare IPv4 or IPv6
LOOP = 108  # as NULL, in network byte order
LINUX_SLL = 113  # 16 bytes of "cooked" header
IPV4 = 228
IPV6 = 229
LINUX_SLL2 = 276  # 20 bytes of "cooked" header

# direction of a packet, as in the two lowest bits of epb_flags (ng 4.3.1; Wireshark reads them there)
UNKNOWN = 0
INBOUND = 1
OUTBOUND = 2

# What a file may make us hold. libpcap's MAXIMUM_SNAPLEN bounds a packet; a block adds options, of 64 KiB each, and a file
# that declares a block of 4 GiB is refused instead of believed. Longer blocks of types that we skip are skipped unread.
PACKET_LIMIT = 262_144
BLOCK_LIMIT = 1 << 20
INTERFACE_LIMIT = 4096  # a section that declares interfaces endlessly: each costs us an object

_SECTION = 0x0A0D0D0A
_INTERFACE = 1
_OBSOLETE_PACKET = 2
_SIMPLE_PACKET = 3
_ENHANCED_PACKET = 6
_KNOWN = (_SECTION, _INTERFACE, _OBSOLETE_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET)
_BYTE_ORDER = 0x1A2B3C4D

# options
_END = 0
_COMMENT = 1
_IF_NAME = 2
_EPB_FLAGS = 2
_SHB_APPLICATION = 4
_IF_TSRESOL = 9
_IF_TSOFFSET = 14

# magic of a classic file: nanoseconds for each unit of the fraction
_CLASSIC = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
_NANOSECONDS = 1_000_000_000


class CutOff(WireError):
    """The capture ends in the middle of something: whoever wrote it was killed, or is still writing."""


@attrs.frozen
class Interface:
    """Where packets were captured. `resolution` is the number of ticks in a second, `offset` seconds are added to each time."""

    linktype: int = ETHERNET
    snaplen: int = 0  # 0: no limit
    name: str = ""
    resolution: int = 1_000_000
    offset: int = 0


class Packet(NamedTuple):
    """One packet of a capture."""

    time: int | None  # nanoseconds since 1970; None in the kind of block that has no time
    data: bytes
    length: int  # on the wire; more than len(data) when the capture cut it
    interface: Interface
    direction: int = UNKNOWN
    comment: str = ""


class Decoder:
    """Bytes of a capture in, packets out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._step: Callable[[], bool] = self._magic
        self._packets: list[Packet] = []
        self._interfaces: list[Interface] = []
        self._order = "<"
        self._fraction = 1
        self._skip = 0
        self._total = 0
        self._error: WireError | None = None

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that `data` completes. Raises WireError, again and again once it has.

        Packets before the bad place are not lost: they come first, and the error with the next call.
        """
        self._buffer += data
        try:
            while self._error is None and self._step():
                pass
        except WireError as error:
            self._error = error
            self._buffer.clear()
        packets, self._packets = self._packets, []
        if self._error is not None and not packets:
            raise self._error
        return packets

    def finish(self) -> None:
        """The file ends here. Raises CutOff when that is in the middle of something, and the error that `feed` met."""
        if self._error is not None:
            raise self._error
        if self._buffer or self._skip or self._step == self._magic:
            self._error = CutOff("the capture ends in the middle of a packet or block")
            raise self._error

    # -- steps: each takes one piece off the buffer, or returns False for want of bytes -------------------------------------

    def _magic(self) -> bool:
        if len(self._buffer) < 4:
            return False
        for order in "<>":
            (magic,) = struct.unpack_from(f"{order}I", self._buffer)
            if magic == _SECTION:
                self._step = self._block
                return True
            if magic in _CLASSIC:
                self._order = order
                self._fraction = _CLASSIC[magic]
                self._step = self._file_header
                return True
        raise WireError(f"no capture begins with {bytes(self._buffer[:4]).hex(' ')}: this is neither pcapng nor pcap")

    def _file_header(self) -> bool:
        if len(self._buffer) < 24:
            return False
        major, minor, _, _, snaplen, linktype = struct.unpack_from(f"{self._order}HHIIII", self._buffer, 4)
        if major != 2:
            raise WireError(f"version {major}.{minor} of the pcap format, where 2.4 is known")
        # the upper half of the link type has the length of a frame check sequence, which the layers take for padding
        self._interfaces = [Interface(linktype & 0xFFFF, snaplen, resolution=_NANOSECONDS // self._fraction)]
        del self._buffer[:24]
        self._step = self._record
        return True

    def _record(self) -> bool:
        if len(self._buffer) < 16:
            return False
        seconds, fraction, captured, length = struct.unpack_from(f"{self._order}IIII", self._buffer)
        if captured > PACKET_LIMIT:
            raise WireError(f"a packet of {captured} bytes, where {PACKET_LIMIT} is the most")
        if len(self._buffer) < 16 + captured:
            return False
        data = bytes(self._buffer[16 : 16 + captured])
        del self._buffer[: 16 + captured]
        time = seconds * _NANOSECONDS + fraction * self._fraction
        self._packets.append(Packet(time, data, max(length, captured), self._interfaces[0]))
        return True

    def _block(self) -> bool:
        b = self._buffer
        if self._skip:
            return self._skipped()
        if len(b) < 12:
            return False
        if b[:4] == b"\n\r\r\n":  # a palindrome: readable before the byte order is known
            little, big = (struct.unpack_from(f"{order}I", b, 8)[0] for order in "<>")
            if _BYTE_ORDER not in (little, big):
                raise WireError(f"a section without a byte order: {bytes(b[8:12]).hex(' ')}")
            self._order = "<" if little == _BYTE_ORDER else ">"
        kind, total = struct.unpack_from(f"{self._order}II", b)
        if total < 12 or total & 3:
            raise WireError(f"a block of {total} bytes: it must be a multiple of 4, and 12 at least")
        if kind not in _KNOWN:
            # all but the length at its end, which has to match
            self._skip = total - 4
            self._total = total
            return self._skipped()
        if total > BLOCK_LIMIT:
            raise WireError(f"a block of {total} bytes, where {BLOCK_LIMIT} is the most")
        if len(b) < total:
            return False
        body = bytes(b[8 : total - 4])
        self._match(total, struct.unpack_from(f"{self._order}I", b, total - 4)[0])
        del b[:total]
        self._understand(kind, body)
        return True

    def _skipped(self) -> bool:
        """Pass over a block that we don't know, without keeping it."""
        n = min(self._skip, len(self._buffer))
        if n < self._skip or len(self._buffer) < self._skip + 4:
            # leave a byte of the skip, so that the end is checked and not taken for a beginning
            n = min(n, self._skip - 1)
            del self._buffer[:n]
            self._skip -= n
            return False
        self._match(self._total, struct.unpack_from(f"{self._order}I", self._buffer, self._skip)[0])
        del self._buffer[: self._skip + 4]
        self._skip = 0
        return True

    @staticmethod
    def _match(total: int, repeated: int) -> None:
        if repeated != total:
            raise WireError(f"a block that begins with a length of {total} and ends with one of {repeated}")

    # -- blocks ------------------------------------------------------------------------------------------------------------

    def _understand(self, kind: int, body: bytes) -> None:
        if kind == _SECTION:
            self._section(body)
        elif kind == _INTERFACE:
            self._interface(body)
        elif kind == _SIMPLE_PACKET:
            self._simple_packet(body)
        else:
            self._packet(kind, body)

    def _section(self, body: bytes) -> None:
        """ng 4.1. The length of the section is for those who skip it."""
        if len(body) < 16:
            raise WireError(f"a section header of {len(body)} bytes")
        _, major, minor = struct.unpack_from(f"{self._order}IHH", body)
        if major != 1:
            raise WireError(f"version {major}.{minor} of the pcapng format, where 1.0 is known")
        self._options(body, 16)
        self._interfaces = []

    def _interface(self, body: bytes) -> None:
        """ng 4.2."""
        if len(body) < 8:
            raise WireError(f"an interface description of {len(body)} bytes")
        if len(self._interfaces) >= INTERFACE_LIMIT:
            raise WireError(f"more than {INTERFACE_LIMIT} interfaces in a section")
        linktype, _, snaplen = struct.unpack_from(f"{self._order}HHI", body)
        name, resolution, offset = "", 1_000_000, 0
        for code, value in self._options(body, 8):
            if code == _IF_NAME:
                name = _text(value)
            elif code == _IF_TSRESOL:
                if len(value) != 1:
                    raise WireError(f"if_tsresol of {len(value)} bytes, where it has 1")
                # the highest bit says which base: 2 or 10
                resolution = 1 << (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == _IF_TSOFFSET:
                if len(value) != 8:
                    raise WireError(f"if_tsoffset of {len(value)} bytes, where it has 8")
                (offset,) = struct.unpack(f"{self._order}q", value)
        self._interfaces.append(Interface(linktype, snaplen, name, resolution, offset))

    def _packet(self, kind: int, body: bytes) -> None:
        """ng 4.3, and the obsolete packet block, which has 16 bits for the interface and 16 for a count of drops."""
        if len(body) < 20:
            raise WireError(f"a packet block of {len(body)} bytes")
        number, high, low, captured, length = struct.unpack_from(f"{self._order}IIIII", body)
        if kind == _OBSOLETE_PACKET:
            (number,) = struct.unpack_from(f"{self._order}H", body)
        interface = self._interface_of(number)
        data = self._data(body, 20, captured)
        direction, comment = UNKNOWN, ""
        for code, value in self._options(body, 20 + captured + (-captured & 3)):
            if code == _EPB_FLAGS and len(value) == 4:
                direction = struct.unpack(f"{self._order}I", value)[0] & 3
            elif code == _COMMENT:
                comment = f"{comment}\n{_text(value)}" if comment else _text(value)
        time = (high << 32 | low) * _NANOSECONDS // interface.resolution + interface.offset * _NANOSECONDS
        self._packets.append(Packet(time, data, max(length, captured), interface, direction, comment))

    def _simple_packet(self, body: bytes) -> None:
        """ng 4.4: of the first interface, without a time, and what was captured is the lesser of its length and the snaplen."""
        if len(body) < 4:
            raise WireError(f"a simple packet block of {len(body)} bytes")
        (length,) = struct.unpack_from(f"{self._order}I", body)
        interface = self._interface_of(0)
        captured = min(length, interface.snaplen) if interface.snaplen else length
        self._packets.append(Packet(None, self._data(body, 4, captured), length, interface))

    def _interface_of(self, number: int) -> Interface:
        if number >= len(self._interfaces):
            raise WireError(f"a packet of interface {number}, where {len(self._interfaces)} were described")
        return self._interfaces[number]

    @staticmethod
    def _data(body: bytes, at: int, captured: int) -> bytes:
        if captured > PACKET_LIMIT:
            raise WireError(f"a packet of {captured} bytes, where {PACKET_LIMIT} is the most")
        if at + captured > len(body):
            raise WireError(f"a packet of {captured} bytes in a block that has {len(body) - at} for it")
        return body[at : at + captured]

    def _options(self, body: bytes, at: int) -> list[tuple[int, bytes]]:
        """ng 3.5. The end marker may be left out where the block ends."""
        found = []
        while at < len(body):
            if at + 4 > len(body):
                raise WireError("an option that is cut off")
            code, length = struct.unpack_from(f"{self._order}HH", body, at)
            if code == _END:
                break
            at += 4
            if at + length > len(body):
                raise WireError(f"an option of {length} bytes in a block that has {len(body) - at} left")
            found.append((code, body[at : at + length]))
            at += length + (-length & 3)
        return found


def _text(value: bytes) -> str:
    """ng 3.5: not necessarily terminated, and a zero ends it."""
    return value.partition(b"\0")[0].decode("utf-8", "replace")


# -- writing ---------------------------------------------------------------------------------------------------------------


class PcapngWriter:
    """A pcapng capture, one `write` for each block, so that the file is whole after each. Times are in nanoseconds.

    `epoch` is added to every time: instants of a virtual clock begin at 0, and those of a monotonic one anywhere.
    """

    def __init__(self, write: Callable[[bytes], object], *, application: str = "netstack", epoch: int = 0) -> None:
        self._write = write
        self._epoch = epoch
        self._interfaces = 0
        # the length of a section that is still being written is -1
        self._block(_SECTION, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1) + _options((_SHB_APPLICATION, _bytes(application))))

    def interface(self, name: str, linktype: int = ETHERNET, snaplen: int = 0) -> int:
        """Describe an interface; its number is for `packet`."""
        options = _options((_IF_NAME, _bytes(name)), (_IF_TSRESOL, b"\x09"))
        self._block(_INTERFACE, struct.pack("<HHI", linktype, 0, snaplen) + options)
        self._interfaces += 1
        return self._interfaces - 1

    def packet(self, interface: int, time: int, data: bytes, direction: int = UNKNOWN, comment: str = "", length: int = 0) -> None:
        """A packet; `length` is what it had on the wire when `data` is only its beginning."""
        if not 0 <= interface < self._interfaces:
            raise UsageError(f"interface {interface} was not described: call interface() first and use the number it returns")
        stamp = _stamp(time + self._epoch, 64)
        head = struct.pack("<IIIII", interface, stamp >> 32, stamp & 0xFFFFFFFF, len(data), max(length, len(data)))
        options = [(_EPB_FLAGS, struct.pack("<I", direction))] if direction else []
        if comment:
            options.append((_COMMENT, _bytes(comment)))
        self._block(_ENHANCED_PACKET, head + _padded(data) + _options(*options))

    def _block(self, kind: int, body: bytes) -> None:
        total = len(body) + 12
        self._write(struct.pack("<II", kind, total) + body + struct.pack("<I", total))


class PcapWriter:
    """A classic pcap capture with nanoseconds: what every tool reads. One link type, no names, no comments."""

    def __init__(self, write: Callable[[bytes], object], linktype: int = ETHERNET, *, epoch: int = 0) -> None:
        self._write = write
        self._epoch = epoch
        self._write(struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, PACKET_LIMIT, linktype))

    def packet(self, time: int, data: bytes, length: int = 0) -> None:
        """A packet; `length` is what it had on the wire when `data` is only its beginning."""
        seconds, fraction = divmod(time + self._epoch, _NANOSECONDS)
        self._write(struct.pack("<IIII", _stamp(seconds, 32), fraction, len(data), max(length, len(data))) + data)


def _stamp(value: int, bits: int) -> int:
    if not 0 <= value < 1 << bits:
        raise UsageError(f"a capture can't say the time {value}: give an epoch that makes it positive and fit {bits} bits")
    return value


def _bytes(text: str) -> bytes:
    """UTF-8 that fits the length field of an option, cut between characters."""
    return text.encode("utf-8", "replace")[:0xFFFF].decode("utf-8", "ignore").encode()


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) & 3)


def _options(*options: tuple[int, bytes]) -> bytes:
    """A list of options with its end; nothing at all when there is none."""
    if not options:
        return b""
    return b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options) + bytes(4)
