"""A ring of blocks that the kernel writes (TPACKET_V3, packet_mmap.rst). A twin, never compiled: sysio.pxd is its C.

A block belongs to the kernel until the lowest bit of its status is set, then to us until we write 0 there. In it stand frames, each
behind a header that says where the next one is. All numbers are in the byte order of the machine.

    block   0 version   4 offset to private   8 status   12 frames   16 offset of the first
    frame   0 offset of the next   12 bytes here   16 bytes on the wire   20 status   24 (16 bits) offset of the link header
            and the vnet header before it
"""

import struct
from mmap import mmap

READY = 1  # TP_STATUS_USER: the block is ours
LOSING = 4  # TP_STATUS_LOSING, of a frame: others were dropped since the statistics were read
BLOCK_HEAD = 48
FRAME_HEAD = 48

_BLOCK = struct.Struct("=8xIII")
_STATUS = struct.Struct("=I")
_FRAME = struct.Struct("=I8xIIIH")


def block(ring: mmap, o: int) -> tuple[int, int]:
    """Frames in the block at `o`, and where the first is, from the start of the block; -1 while it is the kernel's."""
    if o < 0 or o + BLOCK_HEAD > len(ring):
        raise IndexError("past the end")
    status, count, first = _BLOCK.unpack_from(ring, o)
    return (count, first) if status & READY else (-1, 0)


def give_back(ring: mmap, o: int) -> None:
    """The block at `o` is the kernel's again."""
    if o < 0 or o + BLOCK_HEAD > len(ring):
        raise IndexError("past the end")
    _STATUS.pack_into(ring, o + 8, 0)


def take(ring: mmap, o: int, vnet: int, b: bytearray) -> tuple[int, int, int]:
    """Copy the frame at `o`, its vnet header of `vnet` bytes first, into `b`: how much that is, where the next is from here, and
    the status. A frame that is longer than `b`, or of which the ring has only a part, is len(b)."""
    if o < 0 or o + FRAME_HEAD > len(ring):
        raise IndexError("past the end")
    step, here, length, status, mac = _FRAME.unpack_from(ring, o)
    n = here + vnet
    at = o + mac - vnet
    if at < o or at + n > len(ring):
        raise IndexError("past the end")
    if n >= len(b) or here < length:
        return len(b), step, status
    b[:n] = ring[at : at + n]
    return n, step, status
