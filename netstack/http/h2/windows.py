"""Windows that follow their readers: how much a peer may send before it has heard from us.

A window that is smaller than what the path carries in a round trip is what limits an upload; a larger one is memory whenever the
reader pauses. So a stream starts with a small one, and each time that half of it has been taken it doubles, if

    its reader has waited     nothing was left for him, once at least; who pauses, or is slower than what comes, gets no more
    it is used up quickly     half of it in less than half a second: what is more than a second's worth of what comes, no path needs

which is as fast as the sender's slow start. No round trip is measured: where it is short a large window is worth as much, since
what lets the sender go on comes before he has stopped, and many frames are then read at once (300 MB through a loopback: 1.3 s of
the server's time with windows of 64 KiB, 0.3 s with 8 MiB). It never shrinks before its stream ends.

What was promised can't be taken back before it was used. So promises are what is bounded, not what lies here: a stream's by
`stream_window_most`, all beyond the streams' first windows by `window_growth` for a connection, and by one `Room` for all
connections of a server or a client. Nobody waits for room: who gets none goes on with the window that he has. And nobody gets more
than a quarter of what is left at once, so there is some for who comes late.
"""

from __future__ import annotations

from ...instant import MILLISECOND, Duration

QUICKLY = Duration(500 * MILLISECOND)


class Room:
    """Bytes that may be promised: by a connection, within those of all."""

    __slots__ = ("left", "most", "_above")

    def __init__(self, most: int, above: Room | None = None) -> None:
        self.left = self.most = most
        self._above = above

    def take(self, want: int) -> int:
        """`want`, or what there is for one."""
        got = min(want, self.left // 4)
        if self._above is not None:
            got = self._above.take(got)
        self.left -= got
        return got

    def give(self, count: int) -> None:
        self.left += count
        if self._above is not None:
            self._above.give(count)

    def give_all(self) -> None:
        """The connection is over. What is still given to it belongs to nobody."""
        self.give(self.most - self.left)
        self._above = None
