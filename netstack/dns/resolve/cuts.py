"""Delegations: who serves which zone, as its parent says.

What came with a referral stands here and nowhere else. Its NS set is no answer, its glue is good for this delegation alone, and the
zone's own servers can't change or prolong it: nothing that they say of themselves is looked at ("Kaminsky", ghost domains). A
delegation lives no longer than the one that it was learnt through, so that a name that its parent has taken away is gone with all
below it, however long its servers wanted to be remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from .. import name as names
from ..numbers import Type
from .upstream import SECOND

MOST = 8192  # some 8 MB
MOST_NAMES = 16  # of servers that a referral may name: NRDelegation's have thousands; the root has 13
MOST_ADDRESSES = 32  # of glue
LAME_FOR = 300 * SECOND  # RFC 9520 3.2: no longer than five minutes
FOREVER = 1 << 62


class Cut:
    """`zone` is a key; `servers` are names of servers, as keys, with the addresses that came along; `expires` an instant.

    `whole`: its servers don't get along with names that are cut short (RFC 9156 3). `lame`: addresses that don't serve it, for type
    A or for others, and until when that is to be so.
    """

    __slots__ = ("expires", "lame", "servers", "whole", "zone")

    def __init__(self, zone: bytes, servers: Mapping[bytes, Iterable[str]], expires: int) -> None:
        self.zone = zone
        self.servers: dict[bytes, tuple[str, ...]] = {}
        left = MOST_ADDRESSES
        for who, where in list(servers.items())[:MOST_NAMES]:
            self.servers[who] = tuple(where)[:left]
            left -= len(self.servers[who])
        self.expires = expires
        self.whole = False
        self.lame: dict[tuple[str, bool], int] = {}

    def __repr__(self) -> str:
        return f"<Cut {names.text(self.zone)}: {', '.join(map(names.text, self.servers))}>"

    def blame(self, address: str, type: int, now: int) -> None:
        """`address` does not serve this zone: not for type A, or not for others, of which some balancers of load know nothing."""
        if len(self.lame) < 2 * MOST_ADDRESSES:
            self.lame[address, type == Type.A] = now + LAME_FOR

    def is_lame(self, address: str, type: int, now: int) -> bool:
        return self.lame.get((address, type == Type.A), now) > now


class Cuts:
    """At most `most` delegations, the one unused for longest goes first."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._table: OrderedDict[bytes, Cut] = OrderedDict()

    def __len__(self) -> int:
        return len(self._table)

    def add(self, cut: Cut) -> None:
        self._table[cut.zone] = cut
        self._table.move_to_end(cut.zone)
        if len(self._table) > self.most:
            self._table.popitem(last=False)

    def closest(self, zone: bytes, now: int) -> Cut | None:
        """The delegation of `zone`, a key, or of the next one above it that is known."""
        while True:
            cut = self._table.get(zone)
            if cut is not None:
                if cut.expires > now:
                    self._table.move_to_end(zone)
                    return cut
                del self._table[zone]
            if len(zone) == 1:
                return None
            zone = names.parent(zone)

    def forget(self, zone: bytes) -> None:
        self._table.pop(zone, None)
