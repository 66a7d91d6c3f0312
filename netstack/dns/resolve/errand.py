"""One name on its way from the root: what a walk has to find out, where it is, and what it has found."""

from __future__ import annotations

import enum

from .. import name as names
from ..message import Message
from ..numbers import Type
from .cuts import Cut
from .scrub import Reading, RRset

MOST_STEPS = 10  # RFC 9156 2.3: MAX_MINIMISE_COUNT
ONE_LABEL = 4  # MINIMISE_ONE_LAB


class Purpose(enum.Enum):
    QUESTION = "what was asked"
    PRIME = "who serves the root"
    ADDRESS = "where a server is"


class Errand:
    """`name` and `type` are what is looked for now, after aliases; `links` what was found on the way. `whole`: names are no longer
    cut short; `short_failed`: since nobody answered to one. At the zone `cut`: `tried` addresses that answered nothing of use,
    `sent` queries, `sought` names of servers whose addresses were looked for, `found` those that came of it; `fallback` what a lame
    server said."""

    __slots__ = ("above", "asked", "cut", "doubt", "fallback", "found", "known", "links", "name", "purpose", "sent", "server",
                 "short_failed", "sought", "steps", "targets", "tried", "type", "whole")  # fmt: skip

    def __init__(self, purpose: Purpose, name: bytes, type: int, server: bytes = b"") -> None:
        self.purpose = purpose
        self.name = name
        self.type = type
        self.server = server  # the key of the server's name that this is about, of an ADDRESS
        self.above = b""  # begin above this zone: below, nobody can be asked
        self.links: list[RRset] = []
        self.targets: set[bytes] = {names.key(name)}
        self.restart()

    def restart(self) -> None:
        """From what is known of `name`."""
        self.cut: Cut | None = None
        self.whole = self.short_failed = False
        self.known = 0  # labels of `name` that are known to be there
        self.steps = 0
        self.asked = self.name
        self.doubt: tuple[bytes, Reading] | None = None  # what was denied, cut short, and its reading
        self.arrive()

    def add(self, links: list[RRset]) -> None:
        """To the chain; a DNAME that is met twice stands there once."""
        there = {(names.key(link.name), link.type) for link in self.links}
        self.links += [link for link in links if (names.key(link.name), link.type) not in there]

    def arrive(self) -> None:
        """Forget what was so at the zone before."""
        self.tried: set[str] = set()
        self.sent = 0
        self.sought: set[tuple[bytes, int]] = set()
        self.found: dict[bytes, list[str]] = {}
        self.fallback: tuple[Reading, Message] | None = None

    def enter(self, cut: Cut) -> None:
        self.cut = cut
        self.known = max(self.known, names.count(cut.zone))
        self.arrive()

    def next_name(self) -> tuple[bytes, int]:
        """What is to be asked for next, and how many labels that are (RFC 9156 2.3): one more at first, then so many more that it
        comes to an end; labels that begin with an underscore are nobody's zone (RFC 8552)."""
        total = names.count(self.name)
        if self.whole:
            return self.name, total
        left = total - self.known
        n = self.known + 1
        if self.steps >= MOST_STEPS:
            n = total
        elif self.steps >= ONE_LABEL:
            n = self.known + -(-left // (MOST_STEPS - self.steps))
        while n < total and names.tail(self.name, n)[1:2] == b"_":
            n += 1
        return (self.name, total) if n >= total else (names.tail(self.name, n), n)

    @property
    def is_minimised(self) -> bool:
        return self.asked != self.name

    def zone_sought(self) -> bytes:
        """The key below which delegations count: a DS record is its parent's (RFC 4035 3.1.4.1)."""
        key = names.key(self.name)
        if self.above and names.under(key, self.above):
            return names.parent(self.above)
        return names.parent(key) if self.type == Type.DS else key
