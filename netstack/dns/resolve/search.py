"""Which names a short one may stand for, and which of them has addresses: the search list of resolv.conf(5), as glibc walks it.

A name with `ndots` dots or more is tried as it is first, any other last; one that ends in a dot stands for itself alone. The next
name is tried where one does not exist or has no addresses, and also where the servers can't say. When none has any, the error is
that of the name as it was written (RFC 1535 6), but a server's failure on the way is told where the others merely don't exist.
"""

from attrs import frozen

from ...errors import UsageError
from .. import const as dc
from .. import name as names
from ..message import Question
from ..numbers import Rcode, Type
from .job import Outcome


def candidates(name: bytes, absolute: bool, search: tuple[bytes, ...], ndots: int) -> list[bytes]:
    """What to try, in this order."""
    if absolute:
        return [name]
    found = []
    for domain in search:
        try:
            found.append(names.join([*names.labels(name), *names.labels(domain)]))
        except UsageError:
            continue  # together they are too long
    dots = max(0, names.count(name) - 1)
    return [name, *found] if dots >= ndots else [*found, name]


@frozen
class Addresses:
    """`canonical` is where the aliases of the name lead; addresses have 4 or 16 octets, in the order of the answers."""

    canonical: bytes
    addresses: tuple[bytes, ...]


class AddressSearch:
    """`questions` are to be asked, all at once, and their outcomes to be given to `told`, in the same order, until there are no
    more. Then `found` is what it was, or `failure` the outcome that tells why there is nothing."""

    def __init__(self, names: list[bytes], types: tuple[Type, ...]) -> None:
        """`types` are A, AAAA, or both."""
        self._names = names
        self._types = types
        self._at = 0
        self._failures: list[Outcome] = []
        self.found: Addresses | None = None

    @property
    def questions(self) -> list[Question]:
        if self.found is not None or self._at == len(self._names):
            return []
        return [Question(self._names[self._at], int(type)) for type in self._types]

    def told(self, outcomes: list[Outcome]) -> None:
        addresses: list[bytes] = []
        canonical: bytes | None = None
        for outcome in outcomes:
            for r in outcome.answer if outcome.rcode == Rcode.NOERROR and outcome.error is None else ():
                if r.type == outcome.question.type and len(r.rdata) == (4 if r.type == dc.A else 16):
                    addresses.append(r.rdata)
                    canonical = canonical or r.name
        self._at += 1
        if canonical is not None:
            self.found = Addresses(canonical, tuple(addresses))
        else:
            self._failures.append(max(outcomes, key=_weight))

    @property
    def failure(self) -> Outcome:
        """Why there is nothing; where servers have failed, what they said is worth the most: later it may be otherwise."""
        return max(reversed(self._failures), key=_weight)


def _weight(outcome: Outcome) -> int:
    if outcome.error is not None or outcome.rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN):
        return 2
    return 1 if outcome.rcode == Rcode.NOERROR else 0
