"""The system calls of the packet path. A twin, never compiled: sysio.pxd is its C.

Nothing here raises for what the kernel says: a call returns a count, or minus the errno. `s` is the socket and `fd` its
descriptor; Python needs the one for what it has no call of a descriptor's, C the other.

A peer's address is in a bytearray of PEER bytes: length of the path in two bytes of the machine's order, then the path. A length
of 0 is the peer that the socket is connected to.
"""

import errno
import os
import socket
import sys

AGAIN = errno.EAGAIN
NOBUFS = errno.ENOBUFS

PEER = 112


def recv(fd: int, b: bytearray, o: int, n: int) -> int:
    """Up to `n` bytes into `b` at `o`: how many, or minus the errno."""
    if o < 0 or n < 0 or o + n > len(b):
        raise IndexError("past the end")
    try:
        return os.readv(fd, [memoryview(b)[o : o + n]])
    except OSError as error:
        return -(error.errno or errno.EIO)


def recv_from(fd: int, s: socket.socket, b: bytearray, o: int, n: int, peer: bytearray) -> int:
    """The same, of a datagram; its sender goes to `peer`."""
    if o < 0 or n < 0 or o + n > len(b) or len(peer) != PEER:
        raise IndexError("past the end")
    try:
        got, where = s.recvfrom_into(memoryview(b)[o : o + n], n)
    except OSError as error:
        return -(error.errno or errno.EIO)
    put_peer(peer, where)
    return got


def put_peer(peer: bytearray, where: "str | bytes | None") -> None:
    path = b"" if where is None else os.fsencode(where)
    peer[:] = len(path).to_bytes(2, sys.byteorder) + path + bytes(PEER - 2 - len(path))


def _path(peer: bytearray) -> bytes:
    return bytes(peer[2 : 2 + int.from_bytes(peer[:2], sys.byteorder)])


def write(fd: int, b: bytearray, o: int, n: int) -> int:
    """`n` bytes of `b` from `o`: how many were taken, or minus the errno."""
    if o < 0 or n < 0 or o + n > len(b):
        raise IndexError("past the end")
    try:
        return os.write(fd, memoryview(b)[o : o + n])
    except OSError as error:
        return -(error.errno or errno.EIO)


def write2(fd: int, hdr: bytearray, off: int, data: "bytes | memoryview | None", o: int, n: int) -> int:
    """`hdr` from `off` to its end, and `n` bytes of `data` from `o`: how many were taken, or minus the errno."""
    if off < 0 or off > len(hdr):
        raise IndexError("past the end")
    try:
        return os.writev(fd, _parts(hdr, off, data, o, n))
    except OSError as error:
        return -(error.errno or errno.EIO)


def send2(
    fd: int,
    s: socket.socket,
    hdr: bytearray,
    off: int,
    data: "bytes | bytearray | memoryview | None",
    o: int,
    n: int,
    peer: bytearray,
) -> int:
    """The same, as one datagram to `peer`."""
    if off < 0 or off > len(hdr) or len(peer) != PEER:
        raise IndexError("past the end")
    path = _path(peer)
    try:
        return s.sendmsg(_parts(hdr, off, data, o, n), [], 0, *([path] if path else []))
    except OSError as error:
        return -(error.errno or errno.EIO)


def _parts(hdr: bytearray, off: int, data: "bytes | bytearray | memoryview | None", o: int, n: int) -> list[memoryview]:
    parts = [memoryview(hdr)[off:]]
    if n and data is not None:
        view = memoryview(data)
        if o < 0 or n < 0 or o + n > view.nbytes:
            raise IndexError("past the end")
        parts.append(view[o : o + n])
    return parts
