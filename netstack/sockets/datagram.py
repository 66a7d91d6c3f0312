"""A UDP socket: udp_sendmsg, udp_recvmsg and udp_poll of Linux, wherever a program could tell."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..udp.core import PAYLOAD_MAX, UdpPort
from . import const as c
from .base import Buffer, Socket, readable, writable
from .control import Ancillary, fit, integer, pktinfo, read
from .datagramend import DatagramEnd
from .datagramoptions import DATAGRAM_OPTIONS, PKTINFO, RECVTOS, RECVTTL
from .failures import failure, told, would_block
from .names import BROADCAST, SockAddr, parse, text
from .options import Options

if TYPE_CHECKING:
    from .table import Sockets

LOOPBACK = 0x7F000001


class DatagramSocket(Socket):
    """port   what it is bound to, None before             peer, peer_port   what it is connected to, 0 if to nobody"""

    __slots__ = ("groups", "inbox", "peer", "peer_port", "port", "rd_shut", "wr_shut")

    def __init__(self, table: Sockets, family: int, proto: int = 0) -> None:
        super().__init__(table, family, c.SOCK_DGRAM, proto, Options(DATAGRAM_OPTIONS))
        self.inbox = DatagramEnd(table.stack.udp.mib, self)
        self.port: UdpPort | None = None
        self.peer = 0
        self.peer_port = 0
        self.groups: list[int] = []
        self.rd_shut = False
        self.wr_shut = False

    def events(self) -> int:
        if self.closed:
            return c.POLLIN | c.POLLOUT | c.POLLERR | c.POLLHUP
        mask = c.POLLOUT  # what the device can't take is lost, as on any network
        if self.inbox.queue or self.rd_shut:
            mask |= c.POLLIN
        if self.error is not None:
            mask |= c.POLLERR
        if self.rd_shut:
            mask |= c.POLLRDHUP
            if self.wr_shut:
                mask |= c.POLLHUP
        return mask

    def failed(self, error: Exception, address: int, port: int) -> None:
        """An ICMP error: told to who is connected, or asked for such (IP_RECVERR), as RFC 1122 4.1.3.3 and Linux have it."""
        if self.peer or self.options[c.IPPROTO_IP, c.IP_RECVERR]:
            self.error = told(error)
            self.changed()

    # -- names ------------------------------------------------------------------------------------------------------------------

    def bind(self, address: Any) -> None:
        self.check()
        ip, port = parse(self.family, address, "bind")
        if self.port is not None:
            raise failure(errno.EINVAL, "bind(): the socket is bound already")
        self.settle(ip, port)

    def settle(self, ip: int, port: int) -> UdpPort:
        """Have a port, in place of the one before."""
        remote = (self.peer, self.peer_port) if self.peer else None
        reuse = bool(self.options[c.SOL_SOCKET, c.SO_REUSEADDR] or self.options[c.SOL_SOCKET, c.SO_REUSEPORT])
        try:
            self.port = self.table.stack.udp.bind(ip, port, self.inbox, remote, reuse)
        except (OSError, UsageError) as error:
            raise told(error) from None
        self.port.quiet = not self.options[c.IPPROTO_IP, c.IP_MULTICAST_LOOP]
        for group in self.groups:
            self.port.join(group)
        return self.port

    def connect(self, address: Any) -> None:
        """Talk to one peer only. Never waits: nothing is sent."""
        self.check()
        ip, port = parse(self.family, address, "connect")
        if ip == BROADCAST and not self.options[c.SOL_SOCKET, c.SO_BROADCAST]:
            raise failure(errno.EACCES)
        self.rebind(ip or LOOPBACK, port)

    def disconnect(self) -> None:
        """As connect(2) with AF_UNSPEC: anybody's datagrams again."""
        self.check()
        self.rebind(0, 0)

    def rebind(self, peer: int, peer_port: int) -> None:
        old, before = self.port, (self.peer, self.peer_port)
        local, port = (old.local, old.local_port) if old is not None else (0, 0)
        if before[0] and old is not None:
            local = 0  # it came with the peer before
        if old is not None:
            old.close()
            self.port = None
        self.peer, self.peer_port = (peer, peer_port) if peer_port else (0, 0)
        if old is None and not self.peer:
            return
        try:
            self.settle(local, port)
        except OSError:
            self.peer, self.peer_port = before
            if old is not None:
                self.settle(old.local, port)
            raise

    def getsockname(self) -> SockAddr:
        self.check()
        port = self.port
        return text(self.family, port.local, port.local_port) if port is not None else text(self.family, 0, 0)

    def getpeername(self) -> SockAddr:
        self.check()
        if not self.peer:
            raise failure(errno.ENOTCONN)
        return text(self.family, self.peer, self.peer_port)

    # -- receiving --------------------------------------------------------------------------------------------------------------

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> tuple[bytes, list[Ancillary], int, SockAddr | None]:
        """One datagram; what doesn't fit into `bufsize` is lost, and MSG_TRUNC says so. A reported error comes first, once."""
        if bufsize < 0 or ancbufsize < 0:
            raise ValueError("negative buffer size in recvmsg()")
        item = self.next(flags)
        if item is None:
            return b"", [], 0, None
        data, src, sport, dst, ttl, tos = item
        got = 0
        if len(data) > bufsize:
            data = data[:bufsize]
            got = c.MSG_TRUNC
        options = self.options
        items = []
        if options[PKTINFO]:
            items.append(pktinfo(self.port.local if self.port is not None and self.port.local else dst, dst))
        if options[RECVTTL]:
            items.append(integer(c.IPPROTO_IP, c.IP_TTL, ttl))
        if options[RECVTOS]:
            items.append((c.IPPROTO_IP, c.IP_TOS, bytes((tos,))))
        ancillary, cut = fit(items, ancbufsize)
        return data, ancillary, got | cut, text(self.family, src, sport)

    def next(self, flags: int) -> tuple[bytes, int, int, int, int, int] | None:
        """A datagram and all about it; None where the answer is the end. Raises OSError."""
        self.check()
        if flags & c.MSG_OOB:
            raise failure(errno.EOPNOTSUPP)
        if flags & c.MSG_ERRQUEUE:
            raise would_block()
        error = self.take_error()
        if error is not None:
            raise error
        if not self.inbox.queue:
            if self.rd_shut:
                return None
            raise would_block()
        return self.inbox.queue[0] if flags & c.MSG_PEEK else self.inbox.get()

    def recv_into(self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0) -> int:
        view = writable(buffer, nbytes)
        item = self.next(flags)
        if item is None:
            return 0
        n = min(len(view), len(item[0]))
        view[:n] = item[0][:n]
        return n

    # -- sending ----------------------------------------------------------------------------------------------------------------

    def sendmsg(
        self, buffers: Sequence[Buffer], ancdata: Sequence[Ancillary] = (), flags: int = 0, address: Any = None
    ) -> int:
        """One datagram of all `buffers`. Raises OSError: EDESTADDRREQ, EMSGSIZE, EACCES for a broadcast that was not allowed,
        ENETUNREACH, and what was reported of an earlier one."""
        self.check()
        if flags & c.MSG_OOB:
            raise failure(errno.EOPNOTSUPP)
        error = self.take_error()
        if error is not None:
            raise error
        if self.port is None:
            self.settle(0, 0)  # before anything can be wrong with the rest, as in Linux
        data = buffers[0] if len(buffers) == 1 else b"".join(map(readable, buffers))
        if type(data) is not bytes:
            data = bytes(readable(data))
        if len(data) > PAYLOAD_MAX:
            raise failure(errno.EMSGSIZE)
        if address is None:
            if not self.peer:
                raise failure(errno.EDESTADDRREQ)
            ip, port = self.peer, self.peer_port
        else:
            ip, port = parse(self.family, address, "sendto")
            if port == 0:
                raise failure(errno.EINVAL)
        if self.wr_shut:
            raise failure(errno.EPIPE)
        self.transmit(data, ip or LOOPBACK, port, ancdata)
        return len(data)

    def transmit(self, data: bytes, ip: int, port: int, ancdata: Sequence[Ancillary]) -> None:
        options = self.options
        if not options[c.SOL_SOCKET, c.SO_BROADCAST] and (ip == BROADCAST or ip in self.table.stack.ip.routes.broadcasts):
            raise failure(errno.EACCES)
        ttl = options[c.IPPROTO_IP, c.IP_MULTICAST_TTL] if ip >> 28 == 14 else options.values.get((c.IPPROTO_IP, c.IP_TTL), 0)
        tos = options[c.IPPROTO_IP, c.IP_TOS]
        if ancdata:
            src, own_ttl, own_tos = read(ancdata)
            if src and self.port is not None and self.port.local not in (0, src):
                raise failure(errno.EINVAL, "a datagram leaves with the address that its socket is bound to")
            ttl, tos = own_ttl or ttl, tos if own_tos < 0 else own_tos
        df = options[c.IPPROTO_IP, c.IP_MTU_DISCOVER] >= c.IP_PMTUDISC_DO
        assert self.port is not None
        try:
            self.port.send(data, ip, port, self.turn.now(), ttl, tos, df)
        except (OSError, UsageError) as error:
            raise told(error) from None
        finally:
            self.turn.rearm()

    # -- ends -------------------------------------------------------------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        """Of a connected one; nobody else hears of it."""
        self.check()
        if how not in (c.SHUT_RD, c.SHUT_WR, c.SHUT_RDWR):
            raise failure(errno.EINVAL)
        self.rd_shut = self.rd_shut or how != c.SHUT_WR
        self.wr_shut = self.wr_shut or how != c.SHUT_RD
        self.changed()
        if not self.peer:
            raise failure(errno.ENOTCONN)

    def end(self) -> None:
        if self.port is not None:
            self.port.close()
            self.port = None
        self.inbox.clear()

    def join(self, group: int) -> None:
        if group in self.groups:
            raise failure(errno.EADDRINUSE)
        if group >> 28 != 14:
            raise failure(errno.EINVAL)
        if self.port is None:
            self.groups.append(group)
            return
        self.port.join(group)
        self.groups.append(group)

    def leave(self, group: int) -> None:
        if group not in self.groups:
            raise failure(errno.EADDRNOTAVAIL)
        self.groups.remove(group)
        if self.port is not None:
            self.port.leave(group)

    def inq(self) -> int:
        """Of the next datagram."""
        self.check()
        return len(self.inbox.queue[0][0]) if self.inbox.queue else 0

    def outq(self) -> int:
        self.check()
        return 0
