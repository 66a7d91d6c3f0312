"""What a UDP port has received and nobody has read yet: bounded, since whoever sends chooses how much that is.

The bound counts what the memory costs, not the bytes alone: a flood of empty datagrams must not be free. A full queue drops
what comes, as everybody's does: what is older was there first, and a reader that is too slow gains nothing from newer data.
"""

from collections import deque
from collections.abc import Callable

from .. import const, raw
from ..cores import DatagramUser, Frame
from ..errors import UsageError, WouldBlock
from .mib import UdpMib

LIMIT = 212_992  # Linux's net.core.rmem_default
ERRORS = 16  # reported and not yet read; any router on the way can make more


class DatagramQueue(DatagramUser):
    """The user of a port that is read later: `wake()` is called when the queue has become worth a look."""

    __slots__ = ("dropped", "errors", "held", "limit", "mib", "queue", "wake")

    def __init__(self, mib: UdpMib, wake: "Callable[[], None] | None" = None, limit: int = LIMIT) -> None:
        if limit < const.DATAGRAM_OVERHEAD + 1:
            raise UsageError(f"a receive queue of {limit} bytes holds nothing: give it at least a few thousand")
        self.mib = mib
        self.wake = wake
        self.limit = limit
        self.held = 0
        self.dropped = 0
        self.queue: deque[tuple[bytes, int, int]] = deque()
        self.errors: deque[Exception] = deque()

    def __len__(self) -> int:
        """Datagrams waiting."""
        return len(self.queue)

    def get(self) -> tuple[bytes, int, int]:
        """The oldest datagram, and the address and port that it came from. An error that was reported comes first, once;
        raises WouldBlock when there is nothing."""
        if self.errors:
            raise self.errors.popleft()
        if not self.queue:
            raise WouldBlock("no datagram has arrived")
        item = self.queue.popleft()
        data = item[0]
        self.held -= len(data) + const.DATAGRAM_OVERHEAD
        return item

    def clear(self) -> None:
        self.queue.clear()
        self.errors.clear()
        self.held = 0

    def datagram(self, f: Frame, sport: int, now: int) -> None:
        n = f.end - f.off
        # one is always taken: a bound below the longest datagram must not make a port deaf to it
        if self.queue and self.held + n + const.DATAGRAM_OVERHEAD > self.limit:
            self.dropped += 1
            self.mib.RcvbufErrors += 1
            self.mib.InErrors += 1
            return
        self.queue.append((raw.take(f.buf, f.off, n), f.src, sport))
        self.held += n + const.DATAGRAM_OVERHEAD
        if self.wake is not None:
            self.wake()

    def error(self, e: Exception, address: int, port: int, now: int) -> None:
        if len(self.errors) < ERRORS:
            self.errors.append(e)
        if self.wake is not None:
            self.wake()
