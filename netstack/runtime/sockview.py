"""What `get_extra_info("socket")` gives."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from ..tcp.connection import Connection

if TYPE_CHECKING:
    from .base import Crank


class SocketView:
    """What `get_extra_info("socket")` gives: addresses and options, no descriptor."""

    family = socket.AF_INET
    proto = 0

    def __init__(
        self, kind: int, local: tuple[str, int], remote: tuple[str, int] | None, conn: Connection | None, crank: Crank
    ) -> None:
        self.type = kind
        self._local = local
        self._remote = remote
        self._conn = conn
        self._crank = crank
        self._options: dict[tuple[int, int], int] = {}

    def getsockname(self) -> tuple[str, int]:
        return self._local

    def getpeername(self) -> tuple[str, int]:
        if self._remote is None:
            raise OSError(107, "Transport endpoint is not connected")
        return self._remote

    def fileno(self) -> int:
        """-1: no kernel socket carries this."""
        return -1

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self._options[level, option] = value
        if self._conn is None:
            return
        if (level, option) == (socket.IPPROTO_TCP, socket.TCP_NODELAY):
            self._conn.set_nodelay(bool(value), self._crank.now())
        elif (level, option) == (socket.SOL_SOCKET, socket.SO_KEEPALIVE):
            idle = 7200 * 1_000_000_000 if value else 0  # RFC 9293 3.8.4: no less than two hours by default
            self._conn.set_keepalive(idle, 75 * 1_000_000_000, 9, self._crank.now())
            self._crank.rearm()

    def getsockopt(self, level: int, option: int) -> int:
        return self._options.get((level, option), 0)
