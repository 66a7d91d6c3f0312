"""The compiled half of a stream: what came and was not read yet (sockets/inbox.py), and who waits for it.

A waiting task is woken once, however much a turn brings.
"""

from typing import Any, Protocol

from ..sleeper import Sleeper
from ..sockets.inbox import Inbox
from .base import Crank


class Face(Protocol):
    """What a core tells its stream."""

    def on_connected(self) -> None: ...
    def on_closed(self, error: Exception | None, /) -> None:
        """Nothing more will come."""

    def on_stirred(self) -> None:
        """It was `resting`, and there is something to read, or no more will come."""


class StreamCore(Inbox):
    """reader, writer   who waits: a Sleeper, or anything with `done()` and `set_result(None)`"""

    __slots__ = ("asleep", "crank", "face", "reader", "resting", "writer")

    def __init__(self, face: Face, clock: Crank) -> None:
        Inbox.__init__(self, clock)
        self.face = face
        self.crank = clock
        self.reader: Any = None
        self.writer: Any = None
        self.asleep = False  # `reader` is to be woken
        self.resting = False  # nobody reads, and `face` is to be told once

    # -- what the connection tells ----------------------------------------------------------------------------------------------

    def connected(self, now: int) -> None:
        self.face.on_connected()

    def arrived(self) -> None:
        if self.asleep or self.resting:
            self.wake_reader()

    def eof(self, now: int) -> None:
        self.eof_seen = True
        self.wake_reader()

    def writable(self, now: int) -> None:
        self.may_write = True
        self.wake_writer()

    def closed(self, error: Exception | None, now: int) -> None:
        self.error = error
        self.ended = True
        self.wake()
        self.face.on_closed(error)

    # -- who waits --------------------------------------------------------------------------------------------------------------

    def wake_reader(self) -> None:
        self.asleep = False
        if self.resting:
            self.resting = False
            self.face.on_stirred()
        if type(self.reader) is Sleeper:
            self.crank.rouse(self.reader)
        elif self.reader is not None and not self.reader.done():
            self.reader.set_result(None)

    def wake_writer(self) -> None:
        if self.writer is not None and not self.writer.done():
            self.writer.set_result(None)

    def wake(self) -> None:
        self.wake_reader()
        self.wake_writer()
