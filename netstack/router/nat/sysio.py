"""The system calls of the relay, on the host's sockets. A twin, never compiled: sysio.pxd is its C.

Nothing here raises for what the kernel says: a call returns a count, or minus the errno. The GIL stays held, as in the tap's
sysio: the sockets never block. `b` is a bytearray, `o` an offset, `n` a length; addresses are ints.
"""

import contextlib
import errno
import os
import socket
import struct

from ...const import GATHER

AGAIN = errno.EAGAIN
CONNREFUSED = errno.ECONNREFUSED

INPROGRESS = errno.EINPROGRESS

_IP_MTU_DISCOVER = 10  # linux/in.h
_IP_RECVERR = 11
_IP_RECVTOS = 13
_IP_BIND_ADDRESS_NO_PORT = 24
_SOL_UDP = 17
_UDP_SEGMENT = 103  # linux/udp.h
_UDP_GRO = 104
_ROOM = 2 * socket.CMSG_SPACE(4)


def _check(b: "bytes | bytearray | memoryview", o: int, n: int) -> None:
    if o < 0 or n < 0 or o + n > len(b):
        raise IndexError("past the end")


def _bound(sock: socket.socket, source: int) -> bool:
    with contextlib.suppress(OSError):  # Linux before 4.2: as many connections as there are ports
        sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    try:
        sock.bind((socket.inet_ntoa(source.to_bytes(4, "big")), 0))
    except OSError:
        sock.close()
        return False
    return True


def dial(address: int, port: int, ttl: int, tos: int, source: int) -> tuple[int, int]:
    """Begin to connect a stream socket, from `source` unless that is 0: its descriptor, or minus the errno where there is none; and
    0 when it is connected already, since the far side is on this machine, or an errno, EINPROGRESS for one. While it is, ICMP
    errors about it are queued."""
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    except OSError as problem:
        return -(problem.errno or errno.EIO), 0
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    if tos:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
    if source and not _bound(sock, source):
        return -errno.EADDRNOTAVAIL, 0
    where = (socket.inet_ntoa(address.to_bytes(4, "big")), port)
    error = sock.connect_ex(where)
    if error == errno.EINPROGRESS:
        error = sock.connect_ex(where)
        if error == errno.EALREADY:
            error = errno.EINPROGRESS
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    return sock.detach(), error


def hurry(fd: int) -> None:
    """Send small segments, too, as soon as they come. A unix socket does so anyway."""
    sock = socket.socket(fileno=fd)
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.detach()


def forget_errors(fd: int) -> None:
    """Queue no ICMP errors any more: an open connection bears them (RFC 1122 4.2.3.9)."""
    sock = socket.socket(fileno=fd)
    sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 0)
    sock.detach()


def error_of(fd: int) -> int:
    """The socket's pending error, which it forgets, or 0."""
    sock = socket.socket(fileno=fd)
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    sock.detach()
    return error


def shut(fd: int) -> None:
    """End this side of the connection. If it was reset a moment ago, whoever reads hears of it."""
    sock = socket.socket(fileno=fd)
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
    sock.detach()


def close(fd: int, reset: bool) -> None:
    """In order, what was sent is still delivered; or with a reset."""
    sock = socket.socket(fileno=fd)
    if reset:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


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


def packets(source: int) -> int:
    """A socket for datagrams, from `source` unless that is 0, where ICMP errors are queued and datagrams of one sender come
    together: its descriptor, or minus the errno. It gets its port when it sends."""
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    except OSError as error:
        return -(error.errno or errno.EIO)
    sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTOS, 1)
    with contextlib.suppress(OSError):  # Linux before 5.0: they come one by one
        sock.setsockopt(_SOL_UDP, _UDP_GRO, 1)
    if source and not _bound(sock, source):
        return -errno.EADDRNOTAVAIL
    return sock.detach()


def hops(fd: int, ttl: int) -> None:
    """What is sent next lives for so many."""
    sock = socket.socket(fileno=fd)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    sock.detach()


def mark(fd: int, tos: int) -> None:
    """What is sent next has this byte: its class, and of datagrams the ECN field too, for a stream's is TCP's own."""
    sock = socket.socket(fileno=fd)
    with contextlib.suppress(OSError):  # a unix socket has none
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
    sock.detach()


def whole(fd: int, df: int) -> None:
    """1: what is sent next may not be cut, here or on its way (RFC 1191); EMSGSIZE where it would have to be. 0: it may."""
    sock = socket.socket(fileno=fd)
    sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, 2 * df)  # IP_PMTUDISC_DO, IP_PMTUDISC_DONT
    sock.detach()


def send_packet(fd: int, b: bytearray, o: int, n: int, size: int, address: int, port: int) -> int:
    """`n` bytes of `b` from `o` as a datagram to `address` and `port`, or with `size` as datagrams of that many bytes each: how
    many, or minus the errno."""
    _check(b, o, n)
    control = [(_SOL_UDP, _UDP_SEGMENT, struct.pack("=H", size))] if size else []
    sock = socket.socket(fileno=fd)
    try:
        return sock.sendmsg([memoryview(b)[o : o + n]], control, 0, (socket.inet_ntoa(address.to_bytes(4, "big")), port))
    except OSError as error:
        return -(error.errno or errno.EIO)
    finally:
        sock.detach()


def receive_packet(fd: int, b: bytearray, o: int, n: int) -> tuple[int, int, int, int, int]:
    """A datagram into `b` at `o`, or several of one sender: how many bytes, or minus the errno; their size where they are several,
    else 0; the sender's address and port; its TOS byte."""
    _check(b, o, n)
    sock = socket.socket(fileno=fd)
    try:
        got, control, _, sender = sock.recvmsg_into([memoryview(b)[o : o + n]], _ROOM)
    except OSError as error:
        return -(error.errno or errno.EIO), 0, 0, 0, 0
    finally:
        sock.detach()
    size = tos = 0
    for level, kind, data in control:
        if level == _SOL_UDP and kind == _UDP_GRO:
            size = struct.unpack("=i", data[:4])[0]
        elif level == socket.IPPROTO_IP and kind == socket.IP_TOS:
            tos = data[0]
    return got, size, int.from_bytes(socket.inet_aton(sender[0]), "big"), sender[1], tos
