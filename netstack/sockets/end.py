"""The compiled half of a stream socket: the user of its connection."""

from typing import Protocol

from ..cores import Turn
from ..errors import Aborted, PeerReset
from .inbox import Inbox


class Face(Protocol):
    def changed(self) -> None:
        """What `events` says may be another now. Called from inside a turn."""


class StreamEnd(Inbox):
    """open   the handshake is done         shut   both ways are, by us: what still comes, nobody will read
    told   options that its listener had when it came
    """

    __slots__ = ("face", "open", "shut", "told")

    def __init__(self, clock: Turn) -> None:
        Inbox.__init__(self, clock)
        self.face: Face | None = None  # nobody, while it waits to be accepted
        self.open = False
        self.shut = False
        self.told: dict[tuple[int, int], int] | None = None

    def connected(self, now: int) -> None:
        self.open = True
        self.tell()

    def arrived(self) -> None:
        if self.shut:  # RFC 1122 4.2.2.13: the peer must not believe that it was read
            self.forget()
            self.conn.abort(self.clock.now())
        self.tell()

    def eof(self, now: int) -> None:
        self.eof_seen = True
        self.tell()

    def writable(self, now: int) -> None:
        self.may_write = True
        self.tell()

    def closed(self, error: Exception | None, now: int) -> None:
        self.error = PeerReset() if self.shut and isinstance(error, Aborted) else error  # as Linux tells it
        self.ended = True
        self.tell()

    def tell(self) -> None:
        if self.face is not None:
            self.face.changed()
