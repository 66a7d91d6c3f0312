"""What all connections of one stack may hold: a sum, and two levels.

Counted are the bytes that wait in queues: written and not acknowledged, received and not read, received out of order; and the
objects that pieces out of order take, or a peer could make its bytes cost a hundred times as much. An idle connection holds none of
them. Each queue charges what it takes in and gives back what it lets go, so the sum is exact, and 0 when the last connection has
ended.

    below `soft`     every buffer follows its own connection (tuning.py)
    above `soft`     pressure: buffers stop growing; a connection that holds something is offered no more than a small window, a
                     writer is stopped earlier. It lasts until a quarter of `soft` is free again, so that it doesn't flutter
    above `hard`     full: what comes out of order is dropped, and so is what a paused user can't take; writers are told to stop

What makes this safe is that nothing ever waits for the budget. What was dropped at the hard level was not acknowledged, and is sent
again; a writer that was stopped goes on when its *own* queue has drained. And below the bottom there is a floor: `tc.LEAST` bytes
in each direction are each connection's own, whatever the others hold, so that each of them gets on, however slowly. With data that
a user takes at once the budget has nothing to do: it is never queued.

Linux's tcp_mem is the model: three numbers, the lowest of which is where pressure ends.
"""

from .mib import TcpExt


class Budget:
    """All in bytes."""

    __slots__ = ("ext", "hard", "low", "pressed", "soft", "used")

    def __init__(self, soft: int, hard: int, ext: TcpExt) -> None:
        self.soft = soft
        self.low = soft - soft // 4
        self.hard = hard
        self.ext = ext
        self.used = 0
        self.pressed = False

    def charge(self, n: int) -> None:
        """`n` bytes are queued."""
        self.used += n
        if self.used > self.soft and not self.pressed:
            self.pressed = True
            self.ext.TCPMemoryPressures += 1

    def refund(self, n: int) -> None:
        """`n` bytes are queued no more."""
        self.used -= n
        if self.pressed and self.used <= self.low:
            self.pressed = False

    def fits(self, n: int) -> bool:
        """Would `n` more stay below the hard level?"""
        return self.used + n <= self.hard
