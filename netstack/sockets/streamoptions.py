"""What a stream socket can be told, and what it tells."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..instant import MILLISECOND, SECOND
from ..tcp.congestion import registry
from . import const as c
from . import tcpinfo
from .failures import failure
from .options import Key, Option

if TYPE_CHECKING:
    from .stream import StreamSocket

LEAST_BUFFER = 2304  # SOCK_MIN_RCVBUF of Linux
MOST_BUFFER = 1 << 29
_TWO = struct.Struct("=ii")


def _nodelay(sock: StreamSocket, value: int) -> None:
    if sock.conn is not None:
        sock.conn.set_nodelay(bool(value), sock.turn.now())


def _read_nodelay(sock: StreamSocket) -> int:
    conn = sock.conn
    return sock.options[c.IPPROTO_TCP, c.TCP_NODELAY] if conn is None else int(conn.nodelay)


def _keep(sock: StreamSocket, **change: int) -> None:
    conn = sock.conn
    if conn is None:
        return
    options = sock.options
    names = {"on": ALIVE, "idle": KEEPIDLE, "interval": KEEPINTVL, "count": KEEPCNT}
    on, idle, interval, count = (change.get(name, options[key]) for name, key in names.items())
    conn.set_keepalive(idle * SECOND if on else 0, interval * SECOND, count, sock.turn.now())


def _sndbuf(sock: StreamSocket, value: int) -> None:
    """The kernel doubles what it is told, for its own bookkeeping, and so the answer is twice the question."""
    if sock.conn is not None:
        sock.conn.set_marks(value * 2 // 3, value * 2)


def _rcvbuf(sock: StreamSocket, value: int) -> None:
    if sock.conn is not None:
        sock.conn.set_rcv_buf(value * 2, sock.turn.now())


def _read_sndbuf(sock: StreamSocket) -> int:
    said = sock.options.values.get((c.SOL_SOCKET, c.SO_SNDBUF))
    if said is not None:
        return 2 * said
    conn = sock.conn
    return 262_144 if conn is None else min(conn.marks[1], 0x7FFFFFFF)


def _read_rcvbuf(sock: StreamSocket) -> int:
    said = sock.options.values.get((c.SOL_SOCKET, c.SO_RCVBUF))
    if said is not None:
        return 2 * said
    conn = sock.conn
    return int(sock.table.stack.tcp.hub.settings.rcv_buf if conn is None else conn.rcv_buf)


def _mark(sock: StreamSocket, tos: int, ttl: int) -> None:
    if sock.conn is not None:
        sock.conn.mark = tos << 8 | max(0, ttl)


def _ttl(sock: StreamSocket, value: int) -> None:
    if value == 0:
        raise failure(errno.EINVAL)
    _mark(sock, sock.options[c.IPPROTO_IP, c.IP_TOS], value)


def _tos(sock: StreamSocket, value: int) -> None:
    _mark(sock, value & 0xFF, sock.options.values.get((c.IPPROTO_IP, c.IP_TTL), 0))


def _read_ttl(sock: StreamSocket) -> int:
    value = sock.options[c.IPPROTO_IP, c.IP_TTL]
    return int(sock.table.stack.ip.ttl) if value < 0 else value


def _linger(sock: StreamSocket, value: int | bytes) -> None:
    if isinstance(value, int) or len(value) < _TWO.size:
        raise failure(errno.EINVAL)
    on, seconds = _TWO.unpack_from(value)
    if on:
        sock.options.values[LINGER] = max(0, seconds)
    else:
        sock.options.values.pop(LINGER, None)


def _read_linger(sock: StreamSocket) -> bytes:
    seconds = sock.options.values.get(LINGER)
    return _TWO.pack(seconds is not None, seconds or 0)


def _congestion(sock: StreamSocket, value: int | bytes) -> None:
    if isinstance(value, int):
        raise failure(errno.EINVAL)
    name = value.rstrip(b"\0").decode("ascii", "replace")
    try:
        registry.find(name)
    except UsageError as error:
        raise failure(errno.ENOENT, str(error)) from error
    sock.congestion = name
    if sock.conn is not None:
        sock.conn.set_congestion(name)


def _read_congestion(sock: StreamSocket) -> bytes:
    conn = sock.conn
    name = sock.congestion or (conn.congestion if conn is not None else sock.table.stack.config.tcp.congestion)
    return name.encode().ljust(16, b"\0")


def _user_timeout(sock: StreamSocket, value: int) -> None:
    if sock.conn is not None:
        sock.conn.user_timeout = value * MILLISECOND


def _syn_retries(sock: StreamSocket, value: int) -> None:
    if sock.conn is not None:
        sock.conn.syn_retries = value


def _maxseg(sock: StreamSocket) -> int:
    conn = sock.conn
    if conn is None:
        return sock.options[c.IPPROTO_TCP, c.TCP_MAXSEG] or 536
    return conn.info().mss


def _take_error(sock: StreamSocket) -> int:
    sock.hear()
    error = sock.take_error()
    return 0 if error is None else error.errno or errno.EIO


def _v6only(sock: StreamSocket, value: int) -> None:
    if sock.family != c.AF_INET6:
        raise failure(errno.ENOPROTOOPT)
    if sock.bound is not None:
        raise failure(errno.EINVAL)


def timeval(which: str) -> Option:
    """SO_RCVTIMEO and SO_SNDTIMEO are for those who wait; a socket only keeps them. Seconds, microseconds."""

    def write(sock: StreamSocket, value: int | bytes) -> None:
        if isinstance(value, int) or len(value) < 16:
            raise failure(errno.EINVAL)
        sock.timevals[which] = value[:16]

    return Option(write=write, read=lambda sock: sock.timevals.get(which, bytes(16)))


ALIVE = (c.SOL_SOCKET, c.SO_KEEPALIVE)
LINGER = (c.SOL_SOCKET, c.SO_LINGER)
KEEPIDLE = (c.IPPROTO_TCP, c.TCP_KEEPIDLE)
KEEPINTVL = (c.IPPROTO_TCP, c.TCP_KEEPINTVL)
KEEPCNT = (c.IPPROTO_TCP, c.TCP_KEEPCNT)

FLAG = Option(flag=True)

STREAM_OPTIONS: dict[Key, Option] = {
    # -- SOL_SOCKET: what changes nothing here changes nothing that a program could see on Linux
    (c.SOL_SOCKET, c.SO_DEBUG): FLAG,
    (c.SOL_SOCKET, c.SO_REUSEADDR): FLAG,
    (c.SOL_SOCKET, c.SO_REUSEPORT): FLAG,
    (c.SOL_SOCKET, c.SO_BROADCAST): FLAG,
    (c.SOL_SOCKET, c.SO_OOBINLINE): FLAG,
    (c.SOL_SOCKET, c.SO_PRIORITY): Option(high=6),
    (c.SOL_SOCKET, c.SO_TYPE): Option(fixed=True, read=lambda sock: sock.type),
    (c.SOL_SOCKET, c.SO_DOMAIN): Option(fixed=True, read=lambda sock: sock.family),
    (c.SOL_SOCKET, c.SO_PROTOCOL): Option(fixed=True, read=lambda sock: c.IPPROTO_TCP),
    (c.SOL_SOCKET, c.SO_ACCEPTCONN): Option(fixed=True, read=lambda sock: int(sock.listening is not None)),
    (c.SOL_SOCKET, c.SO_ERROR): Option(fixed=True, read=_take_error),
    (c.SOL_SOCKET, c.SO_SNDBUF): Option(low=LEAST_BUFFER, high=MOST_BUFFER, clamp=True, apply=_sndbuf, read=_read_sndbuf),
    (c.SOL_SOCKET, c.SO_RCVBUF): Option(low=LEAST_BUFFER // 2, high=MOST_BUFFER, clamp=True, apply=_rcvbuf, read=_read_rcvbuf),
    (c.SOL_SOCKET, c.SO_RCVLOWAT): Option(default=1, low=1, clamp=True),
    (c.SOL_SOCKET, c.SO_SNDLOWAT): Option(default=1, fixed=True),
    (c.SOL_SOCKET, c.SO_RCVTIMEO): timeval("receive"),
    (c.SOL_SOCKET, c.SO_SNDTIMEO): timeval("send"),
    ALIVE: Option(flag=True, apply=lambda sock, value: _keep(sock, on=value)),
    LINGER: Option(write=_linger, read=_read_linger),
    # -- IPPROTO_TCP
    (c.IPPROTO_TCP, c.TCP_NODELAY): Option(flag=True, apply=_nodelay, read=_read_nodelay),
    (c.IPPROTO_TCP, c.TCP_MAXSEG): Option(low=88, high=32767, read=_maxseg),
    KEEPIDLE: Option(default=7200, low=1, high=32767, apply=lambda sock, value: _keep(sock, idle=value)),
    KEEPINTVL: Option(default=75, low=1, high=32767, apply=lambda sock, value: _keep(sock, interval=value)),
    KEEPCNT: Option(default=9, low=1, high=127, apply=lambda sock, value: _keep(sock, count=value)),
    (c.IPPROTO_TCP, c.TCP_SYNCNT): Option(default=6, low=1, high=127, apply=_syn_retries),
    (c.IPPROTO_TCP, c.TCP_INFO): Option(fixed=True, read=tcpinfo.pack),
    (c.IPPROTO_TCP, c.TCP_QUICKACK): Option(default=1, flag=True),  # a hint on Linux as well, and forgotten soon
    (c.IPPROTO_TCP, c.TCP_CONGESTION): Option(write=_congestion, read=_read_congestion),
    (c.IPPROTO_TCP, c.TCP_USER_TIMEOUT): Option(apply=_user_timeout),
    (c.IPPROTO_TCP, c.TCP_INQ): FLAG,
    # -- IPPROTO_IP, IPPROTO_IPV6
    (c.IPPROTO_IP, c.IP_TTL): Option(default=-1, low=-1, high=255, apply=_ttl, read=_read_ttl),
    (c.IPPROTO_IP, c.IP_TOS): Option(high=255, apply=_tos),
    (c.IPPROTO_IP, c.IP_RECVERR): FLAG,
    (c.IPPROTO_IP, c.IP_BIND_ADDRESS_NO_PORT): FLAG,
    (c.IPPROTO_IP, c.IP_MTU): Option(fixed=True, read=lambda sock: sock.mtu()),
    (c.IPPROTO_IP, c.IP_MTU_DISCOVER): Option(default=c.IP_PMTUDISC_WANT, low=c.IP_PMTUDISC_WANT, high=c.IP_PMTUDISC_DO),
    (c.IPPROTO_IPV6, c.IPV6_V6ONLY): Option(flag=True, apply=_v6only),
}
