"""Two connections joined: what one receives the other sends, without a program in between.

    peer A  <->  connection a  -- Half a ->  connection b  <->  peer B
                               <- Half b --

**By reference.** A segment goes on as a view of the slab in which it came: it waits in the send queue of the other connection until
its peer has acknowledged it, and then the slab goes back to the pool (buffers.py). Little pieces are copied together there.

**Backpressure is the window.** What b has not delivered counts as not yet consumed on a (`held`), so a's window is its receive
buffer less what lies in b's queue: it closes as that fills and opens as peer B acknowledges, end to end, and the buffer tunes
itself to what B takes in a round trip (tuning.py). The bytes between the two are bounded by a's receive buffer. Every segment
that a receives brings its window up to date; when less than half of it is left, a wants to hear from b when b's queue has drained
(`owe`), or both would wait for each other.

**Ends.** The FIN of either peer is passed on, after what came before it, and the other direction goes on. Whatever else ends
one connection, a reset or a time-out, resets the other: half of a conversation is worth nothing to anybody. The splice is over
when both connections are; `error` is then what ended the first of them, None when both ended in order.

The connections may belong to two stacks. A write on another stack's connection is sent at once, not after the batch, and may
have moved that stack's deadlines, which its crank must be told.
"""

from collections.abc import Callable

from ..buffers import keep
from ..cores import Frame, StreamUser
from ..errors import BrokenError, ClosedError
from .connection import Connection


class Half(StreamUser):
    """The user of `source` in a splice: it passes on to `sink`. `count` bytes so far."""

    __slots__ = ("count", "joint", "over", "sink", "source")

    def __init__(self, joint: "Joint", source: Connection, sink: Connection) -> None:
        self.joint = joint
        self.source = source
        self.sink = sink
        self.count = 0
        self.over = False

    def connected(self, now: int) -> None:
        """It was, before."""

    def data(self, f: Frame, n: int, now: int) -> None:
        self.forward(keep(f, n), n, now)

    def queued(self, data: bytes, now: int) -> None:
        self.forward(data, len(data), now)

    def lent(self, data: memoryview, now: int) -> None:
        self.forward(data, len(data), now)

    def forward(self, data: "bytes | memoryview", n: int, now: int) -> None:
        sink = self.sink
        if not self.joint.live:
            return
        try:
            sink.write_one(data, now)
        except (ClosedError, BrokenError):  # the sink has ended a moment ago, inside this batch: `closed` says so to both
            return
        self.count += n
        self.source.owe(sink, now)
        self.joint.stir()

    def eof(self, now: int) -> None:
        if self.joint.live:
            self.sink.shutdown(now)
            self.joint.stir()

    def writable(self, now: int) -> None:
        """The queue of `source`, where the other half writes, has drained: the other's window may open."""
        if self.joint.live:
            self.sink.owe(self.source, now)
            self.sink.reopen(now)
            self.joint.stir()

    def closed(self, error: "Exception | None", now: int) -> None:
        self.over = True
        self.joint.ended(self, error, now)


class Joint:
    """A splice of `a` and `b`, two established connections. Nothing else may use them from now on.

    `on_end()` is called once, when both have ended. `nudge()` when the deadlines of a stack may have moved whose turn it isn't;
    not again before `stirred` is False.
    """

    __slots__ = ("a", "b", "done", "error", "live", "nudge", "on_end", "stirred")

    def __init__(self, a: Connection, b: Connection, on_end: Callable[[], None], nudge: Callable[[], None] | None) -> None:
        self.on_end = on_end
        self.nudge = nudge
        self.error: Exception | None = None
        self.live = True  # neither has failed
        self.done = False
        self.stirred = False
        self.a = Half(self, a, b)
        self.b = Half(self, b, a)

    def start(self, now: int) -> None:
        """Take them over. What their users had not read is theirs to write on before this."""
        for half in (self.a, self.b):
            half.source.attach(half)
        for half in (self.a, self.b):
            half.source.owe(half.sink, now)
            half.source.resume(now)

    def stir(self) -> None:
        if self.nudge is not None and not self.stirred:
            self.stirred = True
            self.nudge()

    def ended(self, half: Half, error: "Exception | None", now: int) -> None:
        """The source of `half` is gone."""
        other = self.b if half is self.a else self.a
        if error is not None and self.live:
            self.live = False
            self.error = error
            if not other.over:
                other.source.abort(now)
                self.stir()
        if half.over and other.over and not self.done:
            self.done = True
            self.on_end()

    def abort(self, now: int) -> None:
        """Reset both."""
        for half in (self.a, self.b):
            if not half.over:
                half.source.abort(now)
