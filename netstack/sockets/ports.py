"""Which stream sockets have which port, from `bind` on.

The rule is Linux's (inet_csk_get_port): two may share a port on different addresses; on the same, or on any, both must have said
SO_REUSEADDR and neither may listen, or both SO_REUSEPORT. Old connections of the port are no obstacle here, in whatever state
they are: their segments find them by all four numbers.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from . import const as c
from .failures import failure, told

if TYPE_CHECKING:
    from .stream import StreamSocket
    from .table import Sockets


class Ports:
    def __init__(self, table: Sockets) -> None:
        self._table = table
        self._holders: dict[int, list[tuple[int, StreamSocket]]] = {}
        self._held: dict[StreamSocket, int] = {}
        self._chosen: set[StreamSocket] = set()  # those that left the choice to us: the port goes with what it was for

    def reserve(self, sock: StreamSocket, ip: int, port: int) -> int:
        """The port, chosen for 0. Raises OSError: EADDRINUSE, EADDRNOTAVAIL."""
        stack = self._table.stack
        if ip and not stack.ip.is_local(ip):
            raise failure(errno.EADDRNOTAVAIL)
        hub = stack.tcp.hub
        if port == 0:
            self._chosen.add(sock)
            try:
                port = hub.free_port()
            except OSError as error:
                raise told(error) from None
        for other_ip, other in self._holders.get(port, ()):
            if (not ip or not other_ip or ip == other_ip) and not _share(sock, other):
                raise failure(errno.EADDRINUSE)
        ours = [other.listening.listener for _, other in self._holders.get(port, ()) if other.listening is not None]
        for address, listener in hub.listeners.get(port, {}).items():
            if listener not in ours and (not ip or not address or ip == address):
                raise failure(errno.EADDRINUSE)
        self._holders.setdefault(port, []).append((ip, sock))
        self._held[sock] = port
        hub.reserved.add(port)
        return port

    def held(self, sock: StreamSocket) -> int:
        """The port that it has reserved, or 0."""
        return self._held.get(sock, 0)

    def retire(self, sock: StreamSocket) -> None:
        """The connection is over, or the listening: a port that was asked for by its number stays bound, another is free again."""
        if sock in self._chosen:
            self.free(sock)

    def free(self, sock: StreamSocket) -> None:
        self._chosen.discard(sock)
        port = self._held.pop(sock, 0)
        if not port:
            return
        left = [holder for holder in self._holders[port] if holder[1] is not sock]
        if left:
            self._holders[port] = left
        else:
            del self._holders[port]
            self._table.stack.tcp.hub.reserved.discard(port)


def _share(a: StreamSocket, b: StreamSocket) -> bool:
    port = c.SOL_SOCKET, c.SO_REUSEPORT
    address = c.SOL_SOCKET, c.SO_REUSEADDR
    if a.options[port] and b.options[port]:
        return True
    return bool(a.options[address] and b.options[address] and a.listening is None and b.listening is None)
