"""The listening half of a stream socket: connections that nobody has accepted yet."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from ..errors import AddressInUse, UsageError
from ..tcp.connection import Connection
from ..tcp.listener import Listener
from . import const as c
from .end import StreamEnd
from .failures import told

if TYPE_CHECKING:
    from .stream import StreamSocket


def length(backlog: int) -> int:
    """How many may wait, as the kernel reads the argument: one more than it says, and no more than SOMAXCONN, since each one that
    waits costs a KiB and what its peer sends."""
    return min(max(backlog, 0), c.SOMAXCONN) + 1


class Listening:
    """The queue is there from `listen` on: a client's connect is done before anybody calls accept."""

    __slots__ = ("listener", "queue", "sock")

    def __init__(self, sock: StreamSocket, backlog: int) -> None:
        self.sock = sock
        self.queue: deque[StreamEnd] = deque()
        assert sock.bound is not None
        ip, port = sock.bound
        self.listener: Listener | None = None
        if sock.alone:
            return
        try:
            self.listener = sock.table.stack.tcp.listen(ip, port, self.arrive, length(backlog))
        except (AddressInUse, UsageError) as error:
            raise told(error) from None

    def resize(self, backlog: int) -> None:
        if self.listener is not None:
            self.listener.backlog = length(backlog)

    def arrive(self, conn: Connection) -> StreamEnd:
        end = StreamEnd(self.sock.turn)
        end.bind(conn)
        end.told = dict(self.sock.options.values)  # what the listener is told later is for those who come later, as in Linux
        self.queue.append(end)
        self._wait(1)
        self.sock.changed()
        return end

    def take(self) -> StreamEnd | None:
        if not self.queue:
            return None
        self._wait(-1)
        return self.queue.popleft()

    def _wait(self, change: int) -> None:
        if self.listener is not None:
            self.listener.waiting += change

    def close(self) -> None:
        """Those who wait are reset: nobody will ever talk to them."""
        now = self.sock.turn.now()
        if self.listener is not None:
            self.listener.close(now)
        while self.queue:
            end = self.queue.popleft()
            if not end.ended:
                end.conn.abort(now)
            end.forget()
