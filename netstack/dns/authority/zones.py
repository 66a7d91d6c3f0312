"""The zones of a server, found by the names that are asked for."""

from collections.abc import Iterable, Iterator

from .. import name as names
from .zone import Zone


class Zones:
    """A set of zones by their origins. `version` moves when one comes, goes, or is put in place of another."""

    def __init__(self, zones: Iterable[Zone] = ()) -> None:
        self._zones: dict[bytes, Zone] = {}
        self._longest = 0  # labels: no origin has more, and no search begins deeper
        self.version = 0
        for zone in zones:
            self.add(zone)

    def add(self, zone: Zone) -> None:
        """In place of the one with the same origin, where there is one."""
        self._zones[zone.origin] = zone
        self._longest = max(self._longest, names.count(zone.origin))
        self.touch()

    def touch(self) -> None:
        """Answers may be others from now on, for a reason outside of the zones."""
        self.version += 1

    def remove(self, origin: bytes) -> Zone | None:
        """The zone that is gone now."""
        found = self._zones.pop(names.key(origin), None)
        if found is not None:
            self._longest = max(map(names.count, self._zones), default=0)
            self.touch()
        return found

    def exact(self, key: bytes) -> Zone | None:
        return self._zones.get(key)

    def find(self, key: bytes) -> Zone | None:
        """The nearest one at or above `key`."""
        zones = self._zones
        if not zones:
            return None
        rest = names.tail(key, self._longest)
        while True:
            found = zones.get(rest)
            if found is not None or len(rest) == 1:
                return found
            rest = rest[rest[0] + 1 :]

    def find_for(self, key: bytes, type: int) -> Zone | None:
        """The one that has the say for a question: a DS stands above the cut, and is the parent's to answer; the child answers that
        there is none where the parent's zone is not here (RFC 4035 3.1.4.1)."""
        if type == 43 and len(key) > 1:
            return self.find(names.parent(key)) or self.find(key)
        return self.find(key)

    def __iter__(self) -> Iterator[Zone]:
        return iter(list(self._zones.values()))

    def __len__(self) -> int:
        return len(self._zones)
