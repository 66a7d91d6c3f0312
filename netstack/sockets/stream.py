"""A TCP socket: unbound, bound, listening, connecting, connected, over; in the ways of Linux's inet_stream_connect, tcp_recvmsg and
tcp_poll wherever a program could tell.

It is one object that changes its nature, as a kernel's socket does: what it is now is told by `listening` and `stream`. A
connection's own half, which the packets meet, is compiled (end.py).
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import PeerReset, Refused, UsageError
from ..tcp import const as tc
from ..tcp.connection import Connection
from . import const as c
from .base import Buffer, Socket, readable, writable
from .control import Ancillary, fit, integer
from .end import StreamEnd
from .failures import failure, told, would_block
from .listening import Listening
from .names import SockAddr, parse, text
from .options import Options
from .streamoptions import STREAM_OPTIONS

if TYPE_CHECKING:
    from .table import Sockets

LOOPBACK = 0x7F000001

# What a program has been told of `connect`: the kernel's SS_*, apart from the state of the connection
UNCONNECTED, CONNECTING, CONNECTED, SPOILT = range(4)


class StreamSocket(Socket):
    """bound       address and port of one's own, None before           peer   of the other side, 0 before there is one
    stream      the end of a connection, None without one            listening   None for one that doesn't
    """

    __slots__ = (
        "bound", "congestion", "heard", "listening", "peer", "peer_port", "phase", "rd_shut", "stream", "wr_shut",
    )  # fmt: skip

    def __init__(self, table: Sockets, family: int, proto: int = 0) -> None:
        super().__init__(table, family, c.SOCK_STREAM, proto, Options(STREAM_OPTIONS))
        self.bound: tuple[int, int] | None = None
        self.peer = 0
        self.peer_port = 0
        self.stream: StreamEnd | None = None
        self.listening: Listening | None = None
        self.phase = UNCONNECTED
        self.heard = False  # the connection's own error has been put into `error`
        self.rd_shut = False
        self.wr_shut = False
        self.congestion = ""  # a strategy by name; "" for the stack's own

    @property
    def alone(self) -> bool:
        """For IPv6 alone: it can be bound to `::` beside an IPv4 socket, and listen, but nobody gets there before there is IPv6."""
        return self.family == c.AF_INET6 and bool(self.options[c.IPPROTO_IPV6, c.IPV6_V6ONLY])

    @property
    def conn(self) -> Connection | None:
        """The connection, while there is one."""
        end = self.stream
        return None if end is None or end.ended else end.conn

    # -- readiness ------------------------------------------------------------------------------------------------------------

    def events(self) -> int:
        """tcp_poll of Linux."""
        if self.closed:
            return c.POLLIN | c.POLLOUT | c.POLLERR | c.POLLHUP
        if self.listening is not None:
            return c.POLLIN if self.listening.queue else 0
        self.hear()
        end = self.stream
        mask = c.POLLERR if self.error is not None else 0
        if end is None or end.ended:
            mask |= c.POLLHUP | c.POLLOUT
            if end is not None or self.rd_shut:
                mask |= c.POLLIN | c.POLLRDHUP
            return mask
        if not end.open:
            return mask
        if end.eof_seen or self.rd_shut:
            mask |= c.POLLIN | c.POLLRDHUP
            if self.wr_shut:
                mask |= c.POLLHUP
        elif end.unread >= self.options[c.SOL_SOCKET, c.SO_RCVLOWAT]:
            mask |= c.POLLIN
        if end.may_write or self.wr_shut:
            mask |= c.POLLOUT
        return mask

    def hear(self) -> None:
        """The connection has ended with an error: it is the socket's now."""
        end = self.stream
        if end is not None and end.ended and not self.heard:
            self.heard = self.rd_shut = self.wr_shut = True
            self.table.ports.retire(self)
            if end.error is not None:  # a reset after the end of file is a broken pipe to a writer, and nothing to a reader
                self.error = failure(errno.EPIPE) if end.eof_seen and isinstance(end.error, PeerReset) else told(end.error)

    # -- opening ----------------------------------------------------------------------------------------------------------------

    def bind(self, address: Any) -> None:
        self.check()
        ip, port = parse(self.family, address, "bind")
        if self.table.ports.held(self) or self.conn is not None:  # a port that nobody has asked for goes with its connection
            raise failure(errno.EINVAL, "bind(): the socket is bound already")
        if self.alone:
            if ip:
                raise failure(errno.EADDRNOTAVAIL, "bind(): a socket for IPv6 alone has no IPv4 address")
            self.bound = 0, port or self.table.stack.tcp.hub.free_port()
            return
        self.bound = ip, self.table.ports.reserve(self, ip, port)

    def listen(self, backlog: int = 128) -> None:
        self.check()
        if self.listening is not None:
            self.listening.resize(backlog)
            return
        if self.phase != UNCONNECTED:
            raise failure(errno.EINVAL)
        if not self.table.ports.held(self) and not (self.alone and self.bound):
            self.bound = 0, self.table.ports.reserve(self, 0, 0)
        self.stream = None
        self.listening = Listening(self, backlog)
        self.changed()

    def accept(self) -> tuple[StreamSocket, SockAddr]:
        """The oldest connection that waits. Raises WouldBlock, and EINVAL on a socket that doesn't listen."""
        self.check()
        if self.listening is None:
            raise failure(errno.EINVAL, "accept(): the socket does not listen")
        end = self.listening.take()
        if end is None:
            raise would_block()
        new = StreamSocket(self.table, self.family, self.proto)
        self.table.enter(new)
        new.options.values = end.told or {}
        new.congestion = self.congestion
        new.take(end)
        return new, text(self.family, new.peer, new.peer_port)

    def take(self, end: StreamEnd) -> None:
        """Be the socket of a connection that is open already."""
        conn = end.conn
        self.stream = end
        self.bound = conn.local, conn.local_port
        self.peer, self.peer_port = conn.remote, conn.remote_port
        self.phase = CONNECTED
        end.face = self
        if not end.ended:
            self.options.apply_all(self)

    def connect(self, address: Any) -> None:
        """Begins, and raises BlockingIOError(EINPROGRESS): POLLOUT says when it is over, and SO_ERROR or another `connect` how.

        Raises OSError: EALREADY, EISCONN, EADDRINUSE, ENETUNREACH, and what has become of it: ECONNREFUSED, ETIMEDOUT,
        EHOSTUNREACH.
        """
        self.check()
        ip, port = parse(self.family, address, "connect")
        end = self.stream
        if self.phase == SPOILT:
            raise failure(errno.EINVAL)
        if self.phase == CONNECTED or self.listening is not None:
            raise failure(errno.EISCONN)
        if self.phase == CONNECTING and end is not None:
            self.hear()
            if not end.ended and not end.open:
                raise failure(errno.EALREADY)
            if not end.ended:
                self.phase = CONNECTED
                return
            error = self.take_error() or failure(errno.ECONNABORTED)
            self.drop()
            raise error
        self.open(ip or LOOPBACK, port)
        raise failure(errno.EINPROGRESS)

    def open(self, ip: int, port: int) -> None:
        local = self.bound[0] if self.bound is not None else 0
        local_port = self.table.ports.held(self)
        if port == 0:
            raise failure(errno.ECONNREFUSED)
        end = self.stream = StreamEnd(self.turn)
        end.face = self
        tcp = self.table.stack.tcp
        try:
            if local == ip and local_port == port:
                raise Refused("a connection can't be its own peer")
            conn = tcp.connect(local, local_port, ip, port, end, self.turn.now(), None, self.congestion or None, self.prepare)
        except (OSError, UsageError) as error:
            self.stream = None
            raise told(error) from None
        self.heard = False
        self.peer, self.peer_port = ip, port
        self.bound = conn.local, conn.local_port
        self.phase = CONNECTING
        self.turn.rearm()

    def prepare(self, conn: Connection) -> None:
        """Options that the SYN carries, and those that it doesn't."""
        assert self.stream is not None
        self.stream.bind(conn)
        limit = self.options[c.IPPROTO_TCP, c.TCP_MAXSEG]
        if limit:
            conn.limit_mss(limit)
        self.options.apply_all(self)

    def drop(self) -> None:
        """What failed, or is over: the socket can connect anew."""
        self.stream = None
        self.phase = UNCONNECTED
        self.heard = self.rd_shut = self.wr_shut = False
        self.peer = self.peer_port = 0

    # -- receiving --------------------------------------------------------------------------------------------------------------

    def ready(self, flags: int) -> StreamEnd | None:
        """The end that has something to give; None where the answer is end of file. What was received comes first, then the error,
        then the end. Raises OSError."""
        self.check()
        if flags & c.MSG_OOB:
            raise failure(errno.EINVAL)
        if flags & c.MSG_ERRQUEUE:
            raise would_block()
        end = self.stream
        if self.listening is not None:
            raise failure(errno.ENOTCONN)
        if end is not None and end.unread:
            return end
        self.hear()
        if end is not None and end.eof_seen:
            return None
        error = self.take_error()
        if error is not None:
            raise error
        if self.rd_shut:
            return None
        raise would_block() if end is not None else failure(errno.ENOTCONN)

    def recv(self, n: int, flags: int = 0) -> bytes:
        if n < 0:
            raise ValueError("negative buffersize in recv")
        end = self.ready(flags)
        if end is None or n == 0:
            return b""
        if flags & c.MSG_PEEK:
            return end.peek(n)
        data = end.fill(n)
        self.turn.rearm()
        return data

    def recv_into(self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0) -> int:
        view = writable(buffer, nbytes)
        end = self.ready(flags)
        if end is None or not view:
            return 0
        if flags & c.MSG_PEEK:
            data = end.peek(len(view))
            view[: len(data)] = data
            return len(data)
        n = end.take_into(view)
        self.turn.rearm()
        return n

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> tuple[bytes, list[Ancillary], int, SockAddr | None]:
        """A stream has no addresses, and of ancillary data only TCP_INQ."""
        if bufsize < 0 or ancbufsize < 0:
            raise ValueError("negative buffer size in recvmsg()")
        data = self.recv(bufsize, flags)
        items = []
        if self.options[c.IPPROTO_TCP, c.TCP_INQ]:
            items.append(integer(c.IPPROTO_TCP, c.TCP_INQ, self.inq()))
        ancillary, cut = fit(items, ancbufsize)
        return data, ancillary, cut, None

    # -- sending ----------------------------------------------------------------------------------------------------------------

    def outlet(self, flags: int) -> StreamEnd:
        """The end that can be written to. Raises OSError: what was not told yet, EPIPE after it."""
        self.check()
        self.hear()
        end = self.stream
        if self.wr_shut or self.listening is not None or end is None or end.ended:
            raise self.take_error() or failure(errno.EPIPE)
        error = self.take_error()
        if error is not None:
            raise error
        if flags & c.MSG_OOB:
            raise failure(errno.EOPNOTSUPP, "urgent data is not sent: RFC 6093 advises against it")
        if not end.open:
            raise would_block()
        return end

    def send(self, data: Buffer, flags: int = 0) -> int:
        end = self.outlet(flags)
        view = readable(data)
        n = len(view)
        if n == 0:
            return 0
        conn = end.conn
        room = self.room(end)
        if type(data) is bytes and n <= room:
            piece = data  # kept by reference: nothing is copied
        else:
            n = min(n, room)
            piece = bytes(view[:n])
        end.may_write = conn.write(piece, self.turn.now())
        self.turn.rearm()
        return n

    def room(self, end: StreamEnd) -> int:
        """How much may be written: at least a byte. Raises WouldBlock, and `writable` will come."""
        conn = end.conn
        room: int = conn.marks[1] - conn.unsent
        if room <= 0:
            end.may_write = conn.write(b"", self.turn.now())  # asks to be told
            if not end.may_write:
                raise would_block()
            return 1
        return room

    def sendmsg(
        self, buffers: Sequence[Buffer], ancdata: Sequence[Ancillary] = (), flags: int = 0, address: Any = None
    ) -> int:
        """On a stream the address is ignored, and there is no ancillary data to send."""
        if ancdata:
            self.outlet(flags)
            raise failure(errno.EINVAL)
        if len(buffers) == 1:
            return self.send(buffers[0], flags)
        end = self.outlet(flags)
        parts = [view for view in map(readable, buffers) if view]
        if not parts:
            return 0
        room = self.room(end)
        kept: list[bytes | memoryview] = []
        sent = 0
        for view in parts:
            n = min(len(view), room - sent)
            if n == 0:
                break
            kept.append(bytes(view[:n]))
            sent += n
        end.may_write = end.conn.write_kept(kept, self.turn.now())
        self.turn.rearm()
        return sent

    # -- ends -------------------------------------------------------------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        """SHUT_RD: `recv` gives what is there, and then the end; SHUT_WR: a FIN after what was written; SHUT_RDWR: both. A listener
        accepts no more after SHUT_RD."""
        self.check()
        if how not in (c.SHUT_RD, c.SHUT_WR, c.SHUT_RDWR):
            raise failure(errno.EINVAL)
        if self.listening is not None:
            if how != c.SHUT_WR:
                self.listening.close()
                self.listening = None
                self.rd_shut = self.wr_shut = False
                self.table.ports.retire(self)
                self.changed()
            return
        end = self.stream
        if self.phase == CONNECTING:
            self.phase = CONNECTED if end is not None and end.open and not end.ended else SPOILT
        if end is None or end.ended:
            self.rd_shut = self.rd_shut or how != c.SHUT_WR
            self.wr_shut = self.wr_shut or how != c.SHUT_RD
            raise failure(errno.ENOTCONN)
        if not end.open:  # Linux disconnects: nobody wants what has not begun
            end.conn.abort(self.turn.now())
            self.drop()
            self.error = None
            return
        if how != c.SHUT_WR:
            self.rd_shut = True
        if how != c.SHUT_RD and not self.wr_shut:
            self.wr_shut = True
            end.conn.shutdown(self.turn.now())
        end.shut = self.rd_shut and self.wr_shut
        self.turn.rearm()
        self.changed()

    def end(self) -> None:
        self.table.ports.free(self)
        if self.listening is not None:
            self.listening.close()
            self.listening = None
        end = self.stream
        if end is None or end.ended:
            return
        end.face = None
        now = self.turn.now()
        if end.unread or self.options.values.get((c.SOL_SOCKET, c.SO_LINGER)) == 0:
            end.conn.abort(now)  # RFC 2525 2.17: the peer must not believe that it was read
        else:
            end.conn.close(now)
        end.forget()

    def release(self) -> tuple[Connection, bytes, bool]:
        """Let go of an open connection, for another user to `attach` to: the connection, what was received and not read yet, and
        whether the peer has ended its side behind that. The socket is closed then, and has lost the connection."""
        self.check()
        end = self.stream
        if end is None or end.ended or not end.open:
            raise failure(errno.ENOTCONN)
        conn, eof = end.conn, bool(end.eof_seen)
        data = end.fill(end.unread) if end.unread else b""
        self.stream = None
        end.face = None
        self.refs = 1
        self.close()
        return conn, data, eof

    # -- about itself -----------------------------------------------------------------------------------------------------------

    def getsockname(self) -> SockAddr:
        self.check()
        ip, port = self.bound or (0, 0)
        return text(self.family, ip, port)

    def getpeername(self) -> SockAddr:
        self.check()
        end = self.stream
        if end is None or end.ended or not end.open:
            raise failure(errno.ENOTCONN)
        return text(self.family, self.peer, self.peer_port)

    def inq(self) -> int:
        self.check()
        if self.listening is not None:
            raise failure(errno.EINVAL)
        return 0 if self.stream is None else self.stream.unread

    def mtu(self) -> int:
        """Of the path to the peer."""
        conn = self.conn
        if conn is None:
            raise failure(errno.ENOTCONN)
        return conn.info().path_mtu

    def outq(self) -> int:
        self.check()
        conn = self.conn
        return 0 if conn is None else conn.unsent

    @property
    def state(self) -> int:
        """By the kernel's numbers (include/net/tcp_states.h)."""
        if self.listening is not None:
            return 10
        conn = self.conn
        return 7 if conn is None else KERNEL_STATES[conn.state]


KERNEL_STATES = {
    tc.CLOSED: 7, tc.LISTEN: 10, tc.SYN_SENT: 2, tc.SYN_RECEIVED: 3, tc.ESTABLISHED: 1, tc.FIN_WAIT_1: 4, tc.FIN_WAIT_2: 5,
    tc.CLOSE_WAIT: 8, tc.CLOSING: 11, tc.LAST_ACK: 9, tc.TIME_WAIT: 6,
}  # fmt: skip
