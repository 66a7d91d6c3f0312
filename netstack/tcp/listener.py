"""A listening port (RFC 9293 3.10.7.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..cores import StreamUser
from ..instant import SECOND

if TYPE_CHECKING:
    from .connection import Connection
    from .demux import Demux

Accept = Callable[["Connection"], "StreamUser | None"]


class Listener:
    """`accept(connection)` is called when a handshake is done and gives the user, or None to refuse with a RST.

    Whoever keeps accepted connections in a queue of its own counts them in `waiting`: when that reaches `backlog`, SYNs are
    dropped (`ListenOverflows`), and the peers' retransmissions find room later.

    `catcher` takes its SYNs instead, before they are answered (catch.py).
    """

    __slots__ = ("_demux", "accept", "address", "backlog", "catcher", "cookie_at", "half", "port", "waiting")

    def __init__(self, demux: Demux, address: int, port: int, accept: Accept, backlog: int) -> None:
        self._demux = demux
        self.address = address
        self.port = port
        self.accept = accept
        self.backlog = backlog
        self.catcher: object = None
        self.waiting = 0
        self.half = 0  # half-open connections
        self.cookie_at = -3600 * SECOND  # when the last SYN cookie was sent

    def full(self) -> bool:
        return self.waiting >= self.backlog

    def close(self, now: int) -> None:
        """Accept no more. Half-open connections are forgotten: their peers' next segment gets a RST. Others go on."""
        self._demux.unlisten(self, now)

    def __repr__(self) -> str:
        return f"<Listener on port {self.port}, {self.waiting} of {self.backlog} waiting>"
