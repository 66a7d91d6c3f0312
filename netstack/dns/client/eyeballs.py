"""Happy Eyeballs, version 2 (RFC 8305): which of a name's addresses to try, and when the next, as a state machine without a wire.

`answers` tells what the resolver says, family by family, `failed` and `succeeded` what became of an attempt, `expired` that the
deadline has passed. Each returns the addresses to which attempts are to be begun now. It is over when `winner` is one, or when
`lost`: all have failed and no more are to come.

    AAAA is there ------------------> begin
    A is there, AAAA not yet -------> wait 50 ms for it, then begin (RFC 8305 3)
    an attempt has failed ----------> begin the next at once
    250 ms without a result --------> begin the next, and leave the others going (RFC 8305 5)

Where we depart: the order among addresses of a family is RFC 6724's, and last those that lately have failed, or were begun first
and beaten; who is the fastest has no other part in it (RFC 8305 4 has it as a SHOULD), or all clients of one network would go to
one of many servers.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from ...errors import UsageError
from ...instant import MILLISECOND, SECOND
from ...records import frozen

A = TypeVar("A", bound=Hashable)

INET, INET6 = "A", "AAAA"
NOBODY: Any = object()
REMEMBERED = 1024  # addresses that failed lately
LATELY = 600 * SECOND  # RFC 8305 4: such knowledge ages; ten minutes, as browsers have it


@frozen(kw_only=True)
class EyeballsConfig:
    """Durations in ns (RFC 8305 8). `first`: how many addresses of the family that comes first are tried before the other's."""

    resolution_delay: int = 50 * MILLISECOND
    attempt_delay: int = 250 * MILLISECOND
    first: int = 1  # 0 leaves the order as it is

    def __post_init__(self) -> None:
        for name in ("resolution_delay", "attempt_delay", "first"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name}={getattr(self, name)} is less than nothing: choose 0 or more")


class History:
    """Who could not be connected to lately, or not in time: addresses as text."""

    def __init__(self) -> None:
        self._failed: OrderedDict[str, int] = OrderedDict()

    def failed(self, host: str, now: int) -> None:
        self._failed[host] = now
        self._failed.move_to_end(host)
        if len(self._failed) > REMEMBERED:
            self._failed.popitem(last=False)

    def succeeded(self, host: str) -> None:
        self._failed.pop(host, None)

    def order(self, addresses: Iterable[A], host: Callable[[A], str], now: int) -> list[A]:
        """Those that failed lately come last; nothing else changes."""
        return sorted(addresses, key=lambda each: now - self._failed.get(host(each), now - LATELY) < LATELY)


def interleaved(addresses: Sequence[A], family: Callable[[A], Hashable], first: int, after: Hashable = None) -> list[A]:
    """Families in turn (RFC 8305 4): `first` addresses of the one that stands first, then of the next; where one of the family
    `after` has been tried before, another begins."""
    families: dict[Hashable, list[A]] = {}
    for each in addresses:
        families.setdefault(family(each), []).append(each)
    lists = list(families.values())
    ahead: list[A] = []
    if after is None and lists:
        ahead, lists[0] = lists[0][: first - 1], lists[0][first - 1 :]
    elif len(lists) > 1 and family(lists[0][0]) == after:
        lists.append(lists.pop(0))
    turns = itertools.zip_longest(*lists, fillvalue=NOBODY)
    return ahead + [each for turn in turns for each in turn if each is not NOBODY]


class Eyeballs(Generic[A]):
    """One connection to be. `awaited` are the families that are being looked up; `family` says which one an address is of."""

    def __init__(
        self,
        awaited: Iterable[str],
        family: Callable[[A], Hashable],
        config: EyeballsConfig | None = None,
        sort: Callable[[list[A]], list[A]] = list,
    ) -> None:
        """`sort` is RFC 6724's, and the history's."""
        self._awaited = set(awaited)
        self._family = family
        self._sort = sort
        self.config = config or EyeballsConfig()
        self._waiting: list[A] = []  # not yet tried, in their order
        self._trying: set[A] = set()
        self._begun = 0  # attempts
        self._last: Hashable = None  # family of the attempt before
        self.deadline: int | None = None
        self.winner: A | None = None

    @property
    def lost(self) -> bool:
        return self.winner is None and not (self._awaited or self._waiting or self._trying)

    def answers(self, now: int, family: str, addresses: Iterable[A]) -> list[A]:
        """The look-up of a family is over, with these addresses, or none."""
        self._awaited.discard(family)
        self._waiting = self._sort(self._waiting + list(addresses))
        if self.config.first:
            self._waiting = interleaved(self._waiting, self._family, self.config.first, self._last)
        if self._begun:
            return [] if self._trying and self.deadline is not None and now < self.deadline else self._next(now)
        if self._waiting and INET6 in self._awaited:
            self.deadline = now + self.config.resolution_delay
            return []
        return self._next(now)

    def failed(self, now: int, address: A) -> list[A]:
        self._trying.discard(address)
        return [] if self.winner is not None else self._next(now)

    def succeeded(self, now: int, address: A) -> None:
        """What else is being tried is to be dropped."""
        self._trying.clear()
        self._waiting.clear()
        self._awaited.clear()
        self.deadline = None
        self.winner = address

    def expired(self, now: int) -> list[A]:
        if self.deadline is None or now < self.deadline:
            return []
        return self._next(now)

    def _next(self, now: int) -> list[A]:
        """Begin with the next one."""
        self.deadline = None
        if not self._waiting:
            return []
        address = self._waiting.pop(0)
        self._trying.add(address)
        self._begun += 1
        self._last = self._family(address)
        if self._waiting or self._awaited:
            self.deadline = now + self.config.attempt_delay
        return [address]
