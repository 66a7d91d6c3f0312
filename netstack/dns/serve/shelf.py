"""Packed answers, kept under their questions.

What strangers ask fills it, so it is bounded, in octets and in answers, and a flood of questions that nobody asks twice (random
names under a wildcard) must not push out what is asked all the time. So what is new stands on trial, first in, first out, in a
tenth of the room. What was asked for again by the end of its trial moves to the rest, where the hand of a clock goes round: asked
for since the last time, it stays for another round. That is S3-FIFO without its ghosts (Yang et al., 2023). To look up writes one
flag.

Answers that say that a name is not there never leave their trial: there is no end of such names.
"""

from collections import deque
from typing import Any

from ... import const
from .. import const as dc
from ..packed import Packed
from .limiter import kind_of

OVERHEAD = 500  # octets that one answer takes beside its own: objects, its place in table and queue
MOVES = 16  # the longest way of the hand for one new answer: where all was used, one query must not wait for a whole round


class Kept:
    """The answers to one question: `plain`, and `secure` for who asks with DO. `kind` of the answer and `question`, for the
    limiter. What it says holds while `zone` has that `version`."""

    __slots__ = ("cost", "key", "kind", "plain", "question", "secure", "trial", "used", "version", "zone")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.question = hash(key) & const.M64
        self.plain: Packed | None = None
        self.secure: Packed | None = None
        self.kind = 0
        self.cost = 0
        self.trial = True
        self.used = False
        self.zone: Any = None
        self.version = -1


class Shelf:
    """`octets` and `answers`: what it holds at most."""

    __slots__ = ("answers", "evicted", "held", "main", "octets", "table", "trial", "trial_held")

    def __init__(self, octets: int = 32 << 20, answers: int = 200_000) -> None:
        self.octets = octets
        self.answers = answers
        self.table: dict[bytes, Kept] = {}
        self.trial: deque[Kept] = deque()
        self.main: deque[Kept] = deque()
        self.held = 0  # octets, of both
        self.trial_held = 0
        self.evicted = 0

    def __len__(self) -> int:
        """Questions that it can answer."""
        return len(self.table)

    def clear(self) -> None:
        self.table.clear()
        self.trial.clear()
        self.main.clear()
        self.held = 0
        self.trial_held = 0

    def find(self, key: bytes) -> "Kept | None":
        found: Kept | None = self.table.get(key)
        if found is not None:
            found.used = True
        return found

    def put(self, key: bytes, do: bool, packed: Packed, zone: Any) -> Kept:
        """Keep it, unless it takes more than a hundredth of the room."""
        kept: Kept | None = self.table.get(key)
        if kept is None:
            kept = Kept(key)
            if size_of(packed) > self.octets // 100:
                self.fill(kept, do, packed, zone)
                return kept
            self.table[key] = kept
            self.trial.append(kept)
        self.fill(kept, do, packed, zone)
        size = OVERHEAD + len(key) + size_of(kept.plain) + size_of(kept.secure)
        self.held += size - kept.cost
        if kept.trial:
            self.trial_held += size - kept.cost
        kept.cost = size
        moved = 0
        while self.held > self.octets or len(self.table) > self.answers:
            self.make_room(moved < MOVES)
            moved += 1
        return kept

    def fill(self, kept: Kept, do: bool, packed: Packed, zone: Any) -> None:
        version = zone.version
        if version != kept.version or zone is not kept.zone:
            kept.plain = None
            kept.secure = None
            kept.zone = zone
            kept.version = version
        kept.kind = kind_of(packed.flags, packed.an)
        if do:
            kept.secure = packed
        else:
            kept.plain = packed

    def make_room(self, may_move: bool) -> None:
        """Drop one, or move one on."""
        if self.trial and (not self.main or self.trial_held > self.octets // 10 or len(self.trial) > self.answers // 10):
            kept = self.trial.popleft()
            self.trial_held -= kept.cost
            if may_move and kept.used and kept.kind != dc.NXDOMAINS:
                kept.used = False
                kept.trial = False
                self.main.append(kept)
                return
        else:
            kept = self.main.popleft()
            if may_move and kept.used:
                kept.used = False
                self.main.append(kept)
                return
        del self.table[kept.key]
        self.held -= kept.cost
        self.evicted += 1


def size_of(packed: "Packed | None") -> int:
    """Octets."""
    return 0 if packed is None else len(packed.body) + len(packed.ttls)


def kept_for(key: bytes, packed: Packed) -> Kept:
    """An answer that is kept elsewhere, for who asks with DO and who asks without."""
    kept = Kept(key)
    kept.kind = kind_of(packed.flags, packed.an)
    kept.plain = packed
    kept.secure = packed
    return kept
