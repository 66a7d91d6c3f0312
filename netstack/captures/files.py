"""The packets of a capture file, one by one: pcap or pcapng, gzip around it or not, from a path, a file or a pipe.

What is read is never held: a chunk, and a block of the capture that isn't whole yet. gzip is unpacked as it is read, so a bomb
costs no memory; that it costs no endless time either, there is a limit to what a file may claim to have been (RATIO).
"""

import zlib
from collections.abc import Generator, Iterator
from os import PathLike
from typing import BinaryIO

from ..errors import WireError
from ..pcap import CutOff, Decoder, Packet

CHUNK = 1 << 16
PACKED = 1 << 14  # of what gzip has packed: its members may be tiny, and the rest is copied for each

# Deflate packs zeros a thousand to one, so that a megabyte could keep us busy with empty packets for minutes. Captures of real
# traffic shrink to a half or a tenth, a bulk transfer of one repeated byte to a fiftieth. Below FREE nobody counts.
RATIO = 100
FREE = 64 << 20

_GZIP = b"\x1f\x8b"


def packets(file: "str | PathLike[str] | BinaryIO") -> "Generator[Packet, None, None]":
    """In order. Raises WireError with the number of the packet that can't be read, the first one being 1, and CutOff, which is
    one, for a file that ends in the middle of it. A path is opened and closed; an open file is read from where it is."""
    if isinstance(file, (str, PathLike)):
        with open(file, "rb") as opened:
            yield from _packets(opened)
    else:
        yield from _packets(file)


def _packets(file: BinaryIO) -> Iterator[Packet]:
    decoder = Decoder()
    number = 0
    try:
        for chunk in chunks(file):
            for packet in decoder.feed(chunk):
                number += 1
                yield packet
        decoder.finish()
    except CutOff as error:
        raise CutOff(f"packet {number + 1}: {error}") from error
    except WireError as error:
        raise WireError(f"packet {number + 1}: {error}") from error


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of a file, unpacked where gzip has packed them."""
    head = file.read(CHUNK)
    while 0 < len(head) < 2 and (more := file.read(1)):  # a pipe gives what it has
        head += more
    if head[:2] == _GZIP:
        yield from _unpacked(file, head)
        return
    while head:
        yield head
        head = file.read(CHUNK)


def _unpacked(file: BinaryIO, data: bytes) -> Iterator[bytes]:
    """RFC 1952; several members follow each other as if they were one."""
    packed, unpacked = len(data), 0
    inflate = zlib.decompressobj(31)
    while True:
        try:
            out = inflate.decompress(data, CHUNK)
        except zlib.error as error:
            raise WireError(f"what gzip has packed is broken: {error}") from error
        unpacked += len(out)
        if unpacked > FREE and unpacked > RATIO * packed:
            raise WireError(f"it unpacks to more than {RATIO} times its size: if that is right, unpack it with gunzip first")
        if out:
            yield out
        data = inflate.unconsumed_tail
        if inflate.eof:
            data = inflate.unused_data or file.read(PACKED)
            if not data.strip(b"\0"):  # the end, or padding, as on tapes
                return
            packed += len(data)
            inflate = zlib.decompressobj(31)
        elif not data and len(out) < CHUNK:
            data = file.read(PACKED)
            packed += len(data)
            if not data:
                raise CutOff("the capture ends in the middle of what gzip has packed")
