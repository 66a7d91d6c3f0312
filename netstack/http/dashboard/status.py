"""What a dashboard needs to know of a stack: the only thing it knows."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ...adapters import Observer

Row = Mapping[str, object]
Pair = tuple[str, str]  # of a connection: local and remote, each "10.79.0.2:80"


class Picked(Protocol):
    """One connection, for as long as somebody looks at it. It may end meanwhile."""

    @property
    def pair(self) -> Pair: ...
    @property
    def iss(self) -> int: ...
    @property
    def irs(self) -> int: ...
    @property
    def over(self) -> bool: ...
    def row(self) -> Row:
        """As in `Status.connections`, and `retransmissions`: the last of them, each with `at`, `offset`, `n` and `why`."""

    @property
    def received(self) -> int:
        """Bytes in order since the beginning, modulo 2**32."""

    @property
    def scales(self) -> tuple[int, int]:
        """Shifts of the windows in segments that we send, and in those that come (RFC 7323 2)."""


class Status(Protocol):
    def about(self) -> Row:
        """Of the device and the build, for people: "netif", "addresses" (a list), "build", and what else there is to say."""

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """Group to name to value."""

    def meanings(self) -> Mapping[str, Mapping[str, str]]:
        """Group to name to what it counts: each group's `MEANING`."""

    def connections(self) -> Sequence[Row]:
        """One mapping for each, all with the same keys."""

    def busiest(self, most: int, words: Sequence[str]) -> tuple[int, int, Sequence[Row]]:
        """How many there are, how many of them have all of `words` in their addresses or state, and, of those, the `most` that
        heard something last."""

    def neighbours(self) -> Sequence[Row]: ...
    def routes(self) -> Sequence[Row]: ...
    def listeners(self) -> Sequence[Row]: ...
    def pick(self, pair: Pair) -> Picked | None: ...
    @property
    def ethernet(self) -> bool:
        """Do frames begin with an Ethernet header?"""

    def watch(self, observer: Observer | None) -> None:
        """Show frames to `observer` from now on, or to nobody. Raises UsageError when somebody else looks."""
