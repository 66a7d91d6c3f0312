"""What is on its way to a host: frames and their instants of arrival, and the device that hands them up when they are due."""

import heapq
from collections import deque
from typing import TYPE_CHECKING

from .. import const
from ..address import Mac
from ..cores import Out
from ..instant import Instant
from ..netif import FrameNetif
from .line import Held, landed

if TYPE_CHECKING:
    from .outbox import Outbox

# A host that never polls must not eat the test machine: 65,536 frames of 1500 bytes are 100 MB.
INBOX_LIMIT = 65_536


class Inbox:
    """Ordered by arrival, frames of one instant in the order in which they were put.

    Nearly every frame arrives after all that were put before it, so those wait in a queue; the others in a heap beside it.
    `soonest` is the instant of the first one, NEVER when there is none.
    """

    __slots__ = ("_heap", "_newest", "_order", "_queue", "soonest")

    def __init__(self) -> None:
        self.soonest: int = const.NEVER
        self._order = 0
        self._newest = 0
        self._queue: deque[tuple[int, int, "bytes | Held"]] = deque()
        self._heap: list[tuple[int, int, "bytes | Held"]] = []

    def __len__(self) -> int:
        return len(self._queue) + len(self._heap)

    def put(self, arrival: int, frame: "bytes | Held") -> bool:
        """It will be here at `arrival`. False when there is no room for it."""
        queue = self._queue
        if len(queue) + len(self._heap) >= INBOX_LIMIT:
            return False
        self._order += 1
        item = (arrival, self._order, frame)
        if not queue or arrival >= self._newest:
            self._newest = arrival
            queue.append(item)
        else:
            heapq.heappush(self._heap, item)
        if arrival < self.soonest:
            self.soonest = arrival
        return True

    def take(self, now: int, most: int) -> list[bytes]:
        """At most `most` of the frames that have arrived, off the inbox."""
        due: list[bytes] = []
        while self.soonest <= now and len(due) < most:
            frame = landed(self._pop())
            if frame is not None:
                due.append(frame)
        return due

    def _pop(self) -> "bytes | Held":
        queue, heap = self._queue, self._heap
        if heap and (not queue or heap[0] < queue[0]):
            item = heapq.heappop(heap)
        else:
            item = queue.popleft()
        soonest: int = const.NEVER
        if queue:
            soonest = queue[0][0]
        if heap and heap[0][0] < soonest:
            soonest = heap[0][0]
        self.soonest = soonest
        return item[2]

    def clear(self) -> None:
        self._queue.clear()
        self._heap.clear()
        self.soonest = const.NEVER


class InboxNetif(FrameNetif):
    """A device whose frames wait in an `Inbox`. Override `transmit`. With an `outbox` they wait there before they leave."""

    __slots__ = ("inbox", "outbox")

    def __init__(self, name: str, mac: "Mac | None", mtu: int) -> None:
        super().__init__(name, mac, mtu)
        self.inbox = Inbox()
        self.outbox: "Outbox | None" = None

    def send(self, p: Out, now: int) -> None:
        if self.outbox is None:
            self.transmit(p.tobytes(), now)
        else:
            self.outbox.put(p.tobytes(), now)

    def next_deadline(self) -> "Instant | None":
        soonest = self.inbox.soonest
        return Instant(soonest) if soonest != const.NEVER else None

    def poll(self, now: Instant) -> bool:
        # first all off the inbox, then all up: what an answer puts on the wire meanwhile belongs to the next batch
        due = self.inbox.take(now, const.BATCH)
        for frame in due:
            self.receive(frame, now)
        if due:
            self.flush(now)
        return self.inbox.soonest <= now

    def close(self) -> None:
        self.inbox.clear()
        super().close()
