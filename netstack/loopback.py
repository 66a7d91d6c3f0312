"""A device that leads nowhere but back: for a host that only talks to itself.

    NETSTACK=loopback: uvicorn --loop netstack.runtime.loop:new_event_loop app:app       a server that nothing outside can reach
    async with netstack.open("loopback:") as net: ...

Every stack has 127.0.0.0/8 in itself, so such a host needs no address of its own.
"""

from collections import deque
from collections.abc import Mapping

from . import const
from .instant import Instant
from .netif import FrameNetif
from .spec import check_options, read_int

HELD_LIMIT = 65_536  # a stack that answers itself endlessly must not eat the machine: 65,536 frames of 1500 bytes are 100 MB
MTU = 65_535


class Loopback(FrameNetif):
    """What is sent comes back, at the next poll: bare internet datagrams, no link addresses."""

    def __init__(self, name: str = "lo", mtu: int = MTU) -> None:
        super().__init__(name, None, mtu)
        self.dropped = 0
        self._inbox: deque[bytes] = deque()

    def transmit(self, frame: bytes, now: int) -> None:
        if len(self._inbox) >= HELD_LIMIT:
            self.dropped += 1
            return
        self._inbox.append(frame)
        self.wake()

    def next_deadline(self) -> "Instant | None":
        return Instant(0) if self._inbox else None

    def poll(self, now: Instant) -> bool:
        due = [self._inbox.popleft() for _ in range(min(len(self._inbox), const.BATCH))]
        for frame in due:
            self.receive(frame, now)
        if due:
            self.flush(now)
        return bool(self._inbox)


def open_loopback(name: str, options: Mapping[str, str]) -> Loopback:
    """For `loopback:NAME?mtu=BYTES`. Raises UsageError."""
    check_options("loopback", options, {"mtu": str(MTU)})
    return Loopback(name or "lo", read_int("mtu", options.get("mtu", str(MTU)), 576, MTU))
