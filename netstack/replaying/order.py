"""Other orders of the same segments, to see what a receiver makes of them: reversed, shuffled, twice, in pieces.

A burst is what could be on its way at once: segments that fit into the window that our host offers, and, unless it is told
otherwise, that don't need an answer of our host's first. Each burst is rearranged by itself.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs

from .. import const
from ..errors import UsageError
from .steps import SegmentStep

Burst = list[SegmentStep]
Order = str | Callable[[Burst], Burst]
ORDERS = ("captured", "reversed", "shuffled")


@attrs.frozen
class Rearrangement:
    """`duplicate` is the chance of each segment to be played twice, `cut` the most bytes that one may have (0: as captured)."""

    order: Order = "captured"
    duplicate: float = 0.0
    cut: int = 0
    seed: int = 0

    def __attrs_post_init__(self) -> None:
        if not callable(self.order) and self.order not in ORDERS:
            known = ", ".join(ORDERS)
            raise UsageError(f"order={self.order!r} is not known: choose {known}, or give a function of a list of segments")
        if not 0 <= self.duplicate <= 1:
            raise UsageError(f"duplicate={self.duplicate} is not a probability: write a number from 0 to 1")
        if self.cut < 0:
            raise UsageError(f"cut={self.cut} is negative: say how many bytes a segment may have")

    @property
    def is_plain(self) -> bool:
        return self.order == "captured" and not self.duplicate and not self.cut

    def dice(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {name}")

    def apply(self, burst: Burst, dice: random.Random) -> Burst:
        pieces = [piece for step in burst for piece in self._pieces(step)]
        if callable(self.order):
            pieces = list(self.order(pieces))
        elif self.order == "reversed":
            pieces.reverse()
        elif self.order == "shuffled":
            dice.shuffle(pieces)
        if not self.duplicate:
            return pieces
        twice = []
        for piece in pieces:
            twice += [piece, piece] if dice.random() < self.duplicate else [piece]
        return twice

    def _pieces(self, step: SegmentStep) -> Burst:
        size = len(step.payload)
        if not self.cut or size <= self.cut:
            return [step]
        pieces = []
        for o in range(0, size, self.cut):
            last = o + self.cut >= size
            flags = step.flags if last else step.flags & ~(const.FIN | const.PSH)
            urgent = step.urgent - o if step.flags & const.URG and step.urgent >= o else 0
            if not urgent:
                flags &= ~const.URG
            pieces.append(
                attrs.evolve(step, start=step.start + o, payload=step.payload[o : o + self.cut], flags=flags, urgent=max(urgent, 0))
            )
        return pieces
