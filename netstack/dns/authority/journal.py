"""What changed from one serial of a zone to the next, for IXFR (RFC 1995).

The journal is one unbroken chain of changes that ends at the zone's serial now. Whoever may update a zone can make it grow, so it
is bounded by octets and by number, and the oldest go first: who asks from before them gets the whole zone.
"""

from collections import deque
from collections.abc import Iterator

from attrs import field, frozen

from ...errors import UsageError
from ..message import Record

OVERHEAD = 150  # octets of a record besides its name and data: the object, its bytes objects, its place in the tuple


@frozen
class Change:
    """From serial `old` to serial `new`. The first of `removed` is the old SOA record, the first of `added` the new one; the others
    are what a copy of the old zone must lose and gain, TTLs and signatures too, to be the new one."""

    old: int
    new: int
    removed: tuple[Record, ...]
    added: tuple[Record, ...]

    @property
    def size(self) -> int:
        """Octets of memory, about."""
        return sum(OVERHEAD + len(r.name) + len(r.rdata) for part in (self.removed, self.added) for r in part)


def _positive(instance: object, attribute: object, value: int) -> None:
    if value < 0:
        raise UsageError(f"{value} is less than nothing: give a number of octets or entries")


@frozen(kw_only=True)
class JournalConfig:
    """`octets` of memory and `entries` that are kept, at most; 0 of either keeps no journal."""

    octets: int = field(default=8 << 20, validator=_positive)  # some 40,000 records
    entries: int = field(default=1000, validator=_positive)  # IXFR walks them all


class Journal:
    """Changes in their order, the oldest first."""

    def __init__(self, config: JournalConfig | None = None) -> None:
        self.config = config or JournalConfig()
        self.octets = 0
        self._changes: deque[Change] = deque()

    def __len__(self) -> int:
        return len(self._changes)

    def __iter__(self) -> Iterator[Change]:
        return iter(self._changes)

    def since(self, serial: int) -> list[Change] | None:
        """The changes that lead from `serial` to now; None where that is not known (any more)."""
        found: list[Change] = []
        for change in reversed(self._changes):
            found.append(change)
            if change.old == serial:
                found.reverse()
                return found
        return None

    def append(self, change: Change) -> None:
        if self._changes and self._changes[-1].new != change.old:
            self.clear()
        self._changes.append(change)
        self.octets += change.size
        while self._changes and (self.octets > self.config.octets or len(self._changes) > self.config.entries):
            self.octets -= self._changes.popleft().size

    def clear(self) -> None:
        """Forget all: something changed without a serial that says so."""
        self._changes.clear()
        self.octets = 0
