"""The system calls of the relay, on the host's sockets. A twin, never compiled: sysio.pxd is its C.

Nothing here raises for what the kernel says: a call returns a count, or minus the errno. The GIL stays held, as in the tap's
sysio: the sockets never block. `b` is a bytearray, `o` an offset, `n` a length; addresses are ints.
"""

import errno
import os
import socket
import struct

from ...const import GATHER

AGAIN = errno.EAGAIN
CONNREFUSED = errno.ECONNREFUSED

_SOL_UDP = 17
_UDP_SEGMENT = 103  # linux/udp.h
_UDP_GRO = 104
_ROOM = socket.CMSG_SPACE(4)


def _check(b: "bytes | bytearray | memoryview", o: int, n: int) -> None:
    if o < 0 or n < 0 or o + n > len(b):
        raise IndexError("past the end")


def receive(fd: int, b: bytearray, o: int, n: int) -> int:
    """At most `n` bytes of a stream into `b` at `o`: how many, 0 at its end, or minus the errno."""
    _check(b, o, n)
    try:
        return os.readv(fd, [memoryview(b)[o : o + n]])
    except OSError as error:
        return -(error.errno or errno.EIO)


def send(fd: int, b: bytearray, o: int, n: int) -> int:
    """At most `n` bytes of `b` from `o` on: how many, or minus the errno."""
    _check(b, o, n)
    try:
        return os.write(fd, memoryview(b)[o : o + n])
    except OSError as error:
        return -(error.errno or errno.EIO)


def send_many(fd: int, pieces: "list[bytes | memoryview]", o: int) -> int:
    """The first GATHER of `pieces`, the first of them from `o` on: how many bytes, or minus the errno."""
    parts: list[bytes | memoryview] = list(pieces[:GATHER])
    _check(parts[0], o, 0)
    parts[0] = memoryview(parts[0])[o:]
    try:
        return os.writev(fd, parts)
    except OSError as error:
        return -(error.errno or errno.EIO)


def send_packet(sock: socket.socket, fd: int, b: bytearray, o: int, n: int, size: int, address: int, port: int) -> int:
    """`n` bytes of `b` from `o` as a datagram to `address` and `port`, or with `size` as datagrams of that many bytes each: how
    many, or minus the errno."""
    _check(b, o, n)
    control = [(_SOL_UDP, _UDP_SEGMENT, struct.pack("=H", size))] if size else []
    try:
        return sock.sendmsg([memoryview(b)[o : o + n]], control, 0, (socket.inet_ntoa(address.to_bytes(4, "big")), port))
    except OSError as error:
        return -(error.errno or errno.EIO)


def receive_packet(sock: socket.socket, fd: int, b: bytearray, o: int, n: int) -> tuple[int, int, int, int]:
    """A datagram into `b` at `o`, or several of one sender: how many bytes, or minus the errno; their size where they are several,
    else 0; the sender's address and port."""
    _check(b, o, n)
    try:
        got, control, _, sender = sock.recvmsg_into([memoryview(b)[o : o + n]], _ROOM)
    except OSError as error:
        return -(error.errno or errno.EIO), 0, 0, 0
    size = 0
    for level, kind, data in control:
        if level == _SOL_UDP and kind == _UDP_GRO:
            size = struct.unpack("=i", data[:4])[0]
    return got, size, int.from_bytes(socket.inet_aton(sender[0]), "big"), sender[1]
