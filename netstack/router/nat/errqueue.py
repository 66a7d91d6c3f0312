"""What routers said about packets of ours: the error queue of a socket (IP_RECVERR, ip(7))."""

from __future__ import annotations

import errno
import socket
import struct

import attrs

IP_RECVERR = 11
IP_TTL = 2
_LOCAL = 1  # SO_EE_ORIGIN_LOCAL
_TOO_LONG = (3, 4)  # destination unreachable, fragmentation needed
_ICMP = 2  # SO_EE_ORIGIN_ICMP
_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err
MOST = 64  # errors in one turn


@attrs.frozen
class Told:
    """An ICMP error, or what stands for one: that the host itself couldn't send something so long; then `offender` is 0 and nothing
    is quoted. `payload` begins with the first byte of what was sent, as far as it was quoted; `info` is the MTU of a
    fragmentation needed. Addresses are ints."""

    type: int
    code: int
    info: int
    offender: int
    address: int
    port: int
    payload: bytes


def ask(sock: socket.socket) -> None:
    """Have errors queued."""
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)


def read(sock: socket.socket) -> list[Told]:
    """Those that are there. What else the host itself found wrong is left out."""
    told = []
    for _ in range(MOST):
        try:
            payload, control, _, name = sock.recvmsg(2048, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        except OSError:
            break
        for level, kind, data in control:
            if level == socket.IPPROTO_IP and kind == IP_RECVERR and len(data) >= _ERROR.size + 8:
                number, origin, type, code, _, info, _ = _ERROR.unpack_from(data)
                if origin == _LOCAL and number == errno.EMSGSIZE:
                    type, code = _TOO_LONG
                if (type, code) == _TOO_LONG or origin == _ICMP:
                    offender = int.from_bytes(data[_ERROR.size + 4 : _ERROR.size + 8], "big") if origin == _ICMP else 0
                    address, port = (name[0], name[1]) if name else ("0.0.0.0", 0)
                    where = int.from_bytes(socket.inet_aton(address), "big")
                    told.append(Told(type, code, info, offender, where, port, payload))
    return told


def read_fd(fd: int) -> list[Told]:
    """`read` for a bare descriptor."""
    sock = socket.socket(fileno=fd)
    try:
        return read(sock)
    finally:
        sock.detach()
