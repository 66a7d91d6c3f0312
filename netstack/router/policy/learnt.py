"""Which names a guest was given which addresses for, by the answers of our own DNS: the only witness to what a guest means when it
connects to an address.

A name holds for its TTL and a grace after it, since programs keep addresses for longer than they may. Refreshed answers are moved
to the end; when a guest has more names than its bound, the one that was learnt longest ago goes: a guest that asks for ten
thousand names to push others out pushes out its own. Guests have a bound as well, because a guest may ask with addresses that it
made up.
"""

from collections import OrderedDict
from collections.abc import Iterable

from ...instant import SECOND, Duration, Instant

SHORTEST = Duration(60 * SECOND)  # browsers keep what has TTL 0 for so long
LONGEST = Duration(
    86400 * SECOND
)  # what anybody promises for more is asked again (RFC 8767 4 caps at 7 days; a guest's day is one)


class _Guest:
    __slots__ = ("names", "pairs")

    def __init__(self) -> None:
        self.pairs: dict[tuple[int, str], int] = {}  # address and name: until when; the oldest first
        self.names: dict[int, tuple[str, ...]] = {}  # by address, the newest first


class Learnt:
    """`names` and `guests` are bounds: of pairs of a name and an address for each guest, and of guests."""

    def __init__(self, grace: Duration, names: int = 4096, guests: int = 256) -> None:
        self._grace = grace
        self._names = names
        self._guests = guests
        self._by_guest: OrderedDict[int, _Guest] = OrderedDict()
        self.forgotten = 0  # because of a bound

    def learn(self, guest: int, name: str, addresses: Iterable[int], ttl: int, now: Instant) -> int:
        """`name`, canonical, was answered with `addresses`. `ttl` in seconds. Returns how many of them were new."""
        known = self._by_guest.get(guest)
        if known is None:
            known = self._by_guest[guest] = _Guest()
            if len(self._by_guest) > self._guests:
                _, gone = self._by_guest.popitem(last=False)
                self.forgotten += len(gone.pairs)
        else:
            self._by_guest.move_to_end(guest)
        until = now + min(max(ttl * SECOND, SHORTEST), LONGEST) + self._grace
        new = 0
        for address in addresses:
            pair = (address, name)
            new += known.pairs.pop(pair, None) is None
            known.pairs[pair] = until
            others = known.names.get(address, ())
            known.names[address] = (name, *[other for other in others if other != name]) if others else (name,)
        while len(known.pairs) > self._names:
            self._forget(known, next(iter(known.pairs)))
            self.forgotten += 1
        return new

    def names(self, guest: int, address: int, now: Instant) -> tuple[str, ...]:
        """For which `guest` was given `address`, the newest first."""
        known = self._by_guest.get(guest)
        names = known.names.get(address) if known is not None else None
        if not names:
            return ()
        assert known is not None
        stale = [name for name in names if known.pairs[address, name] <= now]
        for name in stale:
            self._forget(known, (address, name))
        return known.names.get(address, ()) if stale else names

    def forget(self, guest: int) -> None:
        """It has left, and its address may be another's."""
        self._by_guest.pop(guest, None)

    @staticmethod
    def _forget(known: _Guest, pair: tuple[int, str]) -> None:
        address, gone = pair
        del known.pairs[pair]
        left = tuple([name for name in known.names[address] if name != gone])
        if left:
            known.names[address] = left
        else:
            del known.names[address]

    def __len__(self) -> int:
        return sum(len(known.pairs) for known in self._by_guest.values())
