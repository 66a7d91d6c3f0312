"""What `get_extra_info("socket")` gives: a socket to look at, whose connection or port is the transport's.

Names, and the options of sockets/ by the kernel's own numbers; no data, and no descriptor.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any, NoReturn

from ..sockets import const as c
from ..sockets.datagramoptions import DATAGRAM_OPTIONS
from ..sockets.failures import failure, told
from ..sockets.options import Option, Options
from ..sockets.stream import KERNEL_STATES
from ..sockets.streamoptions import STREAM_OPTIONS
from ..tcp.connection import Connection
from ..udp.core import UdpPort

if TYPE_CHECKING:
    from ..stack import Stack
    from .base import Crank

Name = tuple[Any, ...]

# Of a transport's port: what it receives is not queued, so no queue has a size; and it sends with the stack's own TTL and TOS, so
# there is none to choose.
_QUEUE = (c.SOL_SOCKET, c.SO_RCVBUF)
_PORT_OPTIONS = {
    key: option
    for key, option in DATAGRAM_OPTIONS.items()
    if key[1] in (c.IP_ADD_MEMBERSHIP, c.IP_DROP_MEMBERSHIP, c.IP_MULTICAST_LOOP, c.IP_MULTICAST_IF) or key[0] != c.IPPROTO_IP
} | {_QUEUE: Option(default=212_992)}


class SocketView:
    """Options are those of a StreamSocket or a DatagramSocket, and work as there."""

    proto = 0

    def __init__(
        self, kind: int, local: Name, remote: Name | None, conn: Connection | None, crank: Crank, port: UdpPort | None = None
    ) -> None:
        self.family = socket.AF_INET if len(local) == 2 else socket.AF_INET6
        self.type = kind
        self.options = Options(STREAM_OPTIONS if kind == socket.SOCK_STREAM else _PORT_OPTIONS)
        self.turn = crank
        self.port = port
        self.bound = local
        self.congestion = ""
        self.timevals: dict[str, bytes] = {}
        self.listening = None
        self._conn = conn
        self._remote = remote

    @property
    def table(self) -> SocketView:
        """The options ask it for the stack."""
        return self

    @property
    def stack(self) -> Stack:
        stack: Stack = self.turn.stack
        return stack

    @property
    def conn(self) -> Connection | None:
        """None when it is over."""
        conn = self._conn
        return None if conn is None or KERNEL_STATES[conn.state] == 7 else conn

    @property
    def state(self) -> int:
        return 7 if self._conn is None else KERNEL_STATES[self._conn.state]

    def hear(self) -> None:
        """Errors go to the protocol."""

    def take_error(self) -> OSError | None:
        return None

    def mtu(self) -> int:
        if self.conn is None:
            raise failure(errno.ENOTCONN)
        return self.conn.info().path_mtu

    def join(self, group: int) -> None:
        if self.port is None or group in self.port.groups:
            raise failure(errno.EADDRINUSE)
        try:
            self.port.join(group)
        except ValueError as error:
            raise told(error) from None

    def leave(self, group: int) -> None:
        if self.port is None or group not in self.port.groups:
            raise failure(errno.EADDRNOTAVAIL)
        self.port.leave(group)

    # -- what programs ask ------------------------------------------------------------------------------------------------------

    def getsockname(self) -> Name:
        return self.bound

    def getpeername(self) -> Name:
        if self._remote is None:
            raise failure(errno.ENOTCONN)
        return self._remote

    def fileno(self) -> int:
        """-1: no kernel socket carries this."""
        return -1

    def getsockopt(self, level: int, option: int, buflen: int = 0) -> int | bytes:
        return self.options.get(self, level, option, buflen)

    def setsockopt(self, level: int, option: int, value: Any, optlen: int | None = None) -> None:
        self.options.set(self, level, option, value)
        self.turn.rearm()

    def gettimeout(self) -> float:
        return 0.0

    def settimeout(self, value: float | None) -> None:
        if value != 0:
            raise ValueError("settimeout(): only 0 timeout is allowed on transport sockets")

    def setblocking(self, flag: bool) -> None:
        if flag:
            raise ValueError("setblocking(): transport sockets cannot be blocking")

    def get_inheritable(self) -> bool:
        return False

    def shutdown(self, how: int) -> None:
        """As `write_eof` for SHUT_WR; the transport's own business otherwise."""
        if how == c.SHUT_WR and self.conn is not None:
            self.conn.shutdown(self.turn.now())
            self.turn.rearm()

    def dup(self) -> NoReturn:
        raise failure(errno.EOPNOTSUPP, "a transport's socket is only to look at: it can't be duplicated")

    def __repr__(self) -> str:
        return f"<SocketView of a netstack, {self.bound} -> {self._remote}>"
