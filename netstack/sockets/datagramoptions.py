"""What a datagram socket can be told, and what it tells."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from . import const as c
from .failures import failure
from .options import Key, Option
from .streamoptions import FLAG, timeval

if TYPE_CHECKING:
    from .datagram import DatagramSocket

PKTINFO = (c.IPPROTO_IP, c.IP_PKTINFO)
RECVTTL = (c.IPPROTO_IP, c.IP_RECVTTL)
RECVTOS = (c.IPPROTO_IP, c.IP_RECVTOS)
LEAST_BUFFER = 2304
MOST_BUFFER = 1 << 29
RMEM_DEFAULT = 212_992


def _take_error(sock: DatagramSocket) -> int:
    error = sock.take_error()
    return 0 if error is None else error.errno or errno.EIO


def _rcvbuf(sock: DatagramSocket, value: int) -> None:
    sock.inbox.limit = 2 * value


def _sndbuf(sock: DatagramSocket) -> int:
    return 2 * sock.options.values.get((c.SOL_SOCKET, c.SO_SNDBUF), RMEM_DEFAULT // 2)


def _loop(sock: DatagramSocket, value: int) -> None:
    if sock.port is not None:
        sock.port.quiet = not value


def _membership(value: int | bytes) -> int:
    """The group of struct ip_mreq or ip_mreqn; there is one interface."""
    if isinstance(value, int) or len(value) < 8:
        raise failure(errno.EINVAL)
    return int.from_bytes(value[:4], "big")


def _multicast_if(sock: DatagramSocket, value: int | bytes) -> None:
    """struct in_addr, ip_mreq or ip_mreqn: one's own address, or any."""
    data = value.to_bytes(4, "big") if isinstance(value, int) else value
    if len(data) < 4:
        raise failure(errno.EINVAL)
    address = int.from_bytes(data[4:8] if len(data) >= 8 else data[:4], "big")
    if address and not sock.table.stack.ip.is_local(address):
        raise failure(errno.EADDRNOTAVAIL)
    sock.options.values[c.IPPROTO_IP, c.IP_MULTICAST_IF] = address


def _v6only(sock: DatagramSocket, value: int) -> None:
    if sock.family != c.AF_INET6:
        raise failure(errno.ENOPROTOOPT)
    if sock.port is not None:
        raise failure(errno.EINVAL)


def _ttl(sock: DatagramSocket, value: int) -> None:
    if value == 0:
        raise failure(errno.EINVAL)


def _read_ttl(sock: DatagramSocket) -> int:
    value = sock.options[c.IPPROTO_IP, c.IP_TTL]
    return int(sock.table.stack.ip.ttl) if value < 0 else value


def _mtu(sock: DatagramSocket) -> int:
    if not sock.peer:
        raise failure(errno.ENOTCONN)
    return sock.table.stack.ip.mtu_for(sock.peer, sock.turn.now())


DATAGRAM_OPTIONS: dict[Key, Option] = {
    (c.SOL_SOCKET, c.SO_DEBUG): FLAG,
    (c.SOL_SOCKET, c.SO_REUSEADDR): FLAG,
    (c.SOL_SOCKET, c.SO_REUSEPORT): FLAG,
    (c.SOL_SOCKET, c.SO_BROADCAST): FLAG,
    (c.SOL_SOCKET, c.SO_KEEPALIVE): FLAG,
    (c.SOL_SOCKET, c.SO_PRIORITY): Option(high=6),
    (c.SOL_SOCKET, c.SO_TYPE): Option(fixed=True, read=lambda sock: sock.type),
    (c.SOL_SOCKET, c.SO_DOMAIN): Option(fixed=True, read=lambda sock: sock.family),
    (c.SOL_SOCKET, c.SO_PROTOCOL): Option(fixed=True, read=lambda sock: c.IPPROTO_UDP),
    (c.SOL_SOCKET, c.SO_ACCEPTCONN): Option(fixed=True),
    (c.SOL_SOCKET, c.SO_ERROR): Option(fixed=True, read=_take_error),
    (c.SOL_SOCKET, c.SO_SNDBUF): Option(low=LEAST_BUFFER, high=MOST_BUFFER, clamp=True, read=_sndbuf),
    (c.SOL_SOCKET, c.SO_RCVBUF): Option(
        low=LEAST_BUFFER // 2, high=MOST_BUFFER, clamp=True, apply=_rcvbuf, read=lambda sock: sock.inbox.limit
    ),
    (c.SOL_SOCKET, c.SO_RCVTIMEO): timeval("receive"),
    (c.SOL_SOCKET, c.SO_SNDTIMEO): timeval("send"),
    (c.IPPROTO_IP, c.IP_TTL): Option(default=-1, low=-1, high=255, apply=_ttl, read=_read_ttl),
    (c.IPPROTO_IP, c.IP_TOS): Option(high=255),
    (c.IPPROTO_IP, c.IP_RECVERR): FLAG,
    PKTINFO: FLAG,
    RECVTTL: FLAG,
    RECVTOS: FLAG,
    (c.IPPROTO_IP, c.IP_MTU): Option(fixed=True, read=_mtu),
    (c.IPPROTO_IP, c.IP_MTU_DISCOVER): Option(default=c.IP_PMTUDISC_DONT, high=c.IP_PMTUDISC_PROBE),
    (c.IPPROTO_IP, c.IP_BIND_ADDRESS_NO_PORT): FLAG,
    (c.IPPROTO_IP, c.IP_MULTICAST_TTL): Option(default=1, low=-1, high=255),
    (c.IPPROTO_IP, c.IP_MULTICAST_LOOP): Option(default=1, flag=True, apply=_loop),
    (c.IPPROTO_IP, c.IP_MULTICAST_IF): Option(
        write=_multicast_if, read=lambda sock: sock.options.values.get((c.IPPROTO_IP, c.IP_MULTICAST_IF), 0).to_bytes(4, "big")
    ),
    (c.IPPROTO_IP, c.IP_ADD_MEMBERSHIP): Option(write=lambda sock, value: sock.join(_membership(value))),
    (c.IPPROTO_IP, c.IP_DROP_MEMBERSHIP): Option(write=lambda sock, value: sock.leave(_membership(value))),
    (c.IPPROTO_IPV6, c.IPV6_V6ONLY): Option(flag=True, apply=_v6only),
    (c.IPPROTO_IPV6, c.IPV6_RECVERR): FLAG,
}
