"""The system calls of the packet path, and the header that rides with them. A twin, never compiled: sysio.pxd is its C.

Nothing here raises for what the kernel says: a call returns a count, or minus the errno. The GIL stays held: the descriptor
never blocks, and giving the lock away around a call of half a microsecond costs a switch interval as soon as another thread
computes (measured: 85 to 130 times).

The vnet header (`struct virtio_net_hdr_v1`, linux/virtio_net.h) is 12 bytes in the byte order of the machine: flags, GSO
type, header length, GSO size, start of the checksummed part, offset of the checksum in it, number of buffers.
"""

import errno
import os
import struct

from ..const import GATHER

AGAIN = errno.EAGAIN
NOBUFS = errno.ENOBUFS
IO = errno.EIO
BADFD = errno.EBADFD
BADF = errno.EBADF
NODEV = errno.ENODEV
NXIO = errno.ENXIO
NETDOWN = errno.ENETDOWN
PIPE = errno.EPIPE

VNET = 12
NEEDS_CSUM = 1  # VIRTIO_NET_HDR_F_NEEDS_CSUM: whoever puts it on a wire completes the checksum
DATA_VALID = 2  # VIRTIO_NET_HDR_F_DATA_VALID: somebody below has verified it
GSO_NONE = 0
GSO_TCPV4 = 1
GSO_TCPV6 = 4
GSO_UDP_L4 = 5
GSO_ECN = 0x80  # beside one of TCP: CWR is set

_VNET = struct.Struct("=BBHHHHH")


def read(fd: int, b: bytearray) -> int:
    """One frame into `b` from its start: its length, or minus the errno."""
    try:
        return os.readv(fd, [b])
    except OSError as error:
        return -(error.errno or errno.EIO)


def read2(fd: int, head: bytearray, n: int, b: bytearray, o: int) -> int:
    """One frame, its first `n` bytes into `head` from its start and the rest into `b` from `o`: its length, or minus the errno."""
    if n < 0 or n > len(head) or o < 0 or o > len(b):
        raise IndexError("past the end")
    try:
        return os.readv(fd, [memoryview(head)[:n], memoryview(b)[o:]])
    except OSError as error:
        return -(error.errno or errno.EIO)


def write2(fd: int, hdr: bytearray, off: int, data: "bytes | memoryview | None", o: int, n: int) -> int:
    """`hdr` from `off` to its end and `n` bytes of `data` from `o`, as one frame: its length, or minus the errno."""
    if off < 0 or off > len(hdr):
        raise IndexError("past the end")
    parts = [memoryview(hdr)[off:]]
    if n and data is not None:
        view = memoryview(data)
        if o < 0 or n < 0 or o + n > view.nbytes:
            raise IndexError("past the end")
        parts.append(view[o : o + n])
    try:
        return os.writev(fd, parts)
    except OSError as error:
        return -(error.errno or errno.EIO)


def write_many(fd: int, hdr: bytearray, off: int, data: bytes, o: int, n: int, rest: "list[bytes]", rest_n: int) -> int:
    """`write2`, and behind it `rest_n` bytes of the objects in `rest`, fewer than GATHER of them: whole ones, but for the last."""
    if off < 0 or off > len(hdr) or o < 0 or n < 0 or o + n > len(data) or len(rest) >= GATHER:
        raise IndexError("past the end")
    parts = [memoryview(hdr)[off:], memoryview(data)[o : o + n]]
    for piece in rest:
        parts.append(memoryview(piece)[:rest_n])
        rest_n -= len(parts[-1])
    if rest_n:
        raise IndexError("past the end")
    try:
        return os.writev(fd, parts)
    except OSError as error:
        return -(error.errno or errno.EIO)


def get_vnet(b: bytearray, o: int) -> tuple[int, int, int]:
    """Flags, GSO type and GSO size of the header at `o`."""
    if o < 0 or o + VNET > len(b):
        raise IndexError("past the end")
    flags, gso_type, _, gso_size, _, _, _ = _VNET.unpack_from(b, o)
    return flags, gso_type, gso_size


def get_vnet_sum(b: bytearray, o: int) -> tuple[int, int]:
    """Where the header at `o` says that an unfinished sum begins, behind it, and where in that the checksum stands."""
    if o < 0 or o + VNET > len(b):
        raise IndexError("past the end")
    _, _, _, _, start, offset, _ = _VNET.unpack_from(b, o)
    return start, offset


def put_vnet(
    b: bytearray, o: int, size: int, flags: int, gso_type: int, hdr_len: int, gso_size: int, start: int, offset: int
) -> None:
    """A header of `size` bytes, 10 or 12, at `o`."""
    if o < 0 or size > VNET or o + VNET > len(b):
        raise IndexError("past the end")
    b[o : o + size] = _VNET.pack(flags, gso_type, hdr_len, gso_size, start, offset, 0)[:size]
