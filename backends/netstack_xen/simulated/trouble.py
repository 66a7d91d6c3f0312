"""Notifications that go astray, by dice. Xen loses none; but whoever stands on one too many, or one too few, is to be found out."""

import heapq

from netstack.signatures import Rng

from .ports import Port

CHANCES = 1 << 16


class Trouble:
    """Of each notification: lost, or `delay` ns late, or heard at once; and beside it, with a chance of `spurious`, some other port
    of the machine's is told for nothing. All are chances from 0 to 1."""

    def __init__(self, rng: Rng, *, lost: float = 0, late: float = 0, spurious: float = 0, delay: int = 1_000_000) -> None:
        self._rng = rng
        self.lost, self.late, self.spurious, self.delay = lost, late, spurious, delay
        self.counters = {"lost": 0, "late": 0, "spurious": 0}
        self._waiting: list[tuple[int, int, Port]] = []
        self._number = 0

    def _happens(self, chance: float) -> bool:
        return chance > 0 and self._rng.getrandbits(16) < chance * CHANCES

    def carry(self, port: Port, everybody: "list[Port]", now: int) -> None:
        if self._happens(self.spurious):
            self.counters["spurious"] += 1
            other = everybody[self._rng.getrandbits(16) % len(everybody)]
            other.program.hear(other.number)
        if self._happens(self.lost):
            self.counters["lost"] += 1
        elif self._happens(self.late):
            self.counters["late"] += 1
            self._number += 1
            heapq.heappush(self._waiting, (now + self.delay, self._number, port))
        else:
            port.program.hear(port.number)

    def deliver(self, now: int) -> None:
        while self._waiting and self._waiting[0][0] <= now:
            port = heapq.heappop(self._waiting)[2]
            port.program.hear(port.number)

    def next_deadline(self) -> "int | None":
        return self._waiting[0][0] if self._waiting else None
