"""Which guest has how much of a table, in the order in which its flows were last used."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Shares(Generic[T]):
    """Things by owner, the name of a guest or an address, the least recently used first."""

    def __init__(self) -> None:
        self.owners: dict[str | int, dict[T, None]] = {}
        self.count = 0

    def add(self, owner: str | int, thing: T) -> None:
        self.owners.setdefault(owner, {})[thing] = None
        self.count += 1

    def use(self, owner: str | int, thing: T) -> None:
        """It is the last that would go."""
        mine = self.owners[owner]
        del mine[thing]
        mine[thing] = None

    def remove(self, owner: str | int, thing: T) -> None:
        mine = self.owners.get(owner)
        if mine is None or thing not in mine:
            return
        del mine[thing]
        self.count -= 1
        if not mine:
            del self.owners[owner]

    def of(self, owner: str | int) -> int:
        mine = self.owners.get(owner)
        return 0 if mine is None else len(mine)

    def oldest_of_greediest(self) -> T:
        """Who goes when one must: whoever has most pays. There is somebody."""
        greediest = max(self.owners, key=self.of)
        return next(iter(self.owners[greediest]))

    def all(self) -> list[T]:
        return [thing for mine in self.owners.values() for thing in mine]
