"""What is known of the DNS, for as long as it may be believed.

One entry is a set of records, or that there is none: NXDOMAIN for a name, no data for a name and type (RFC 2308), or a failure to
find out (RFC 9520). A look-up never follows CNAMEs: that is the caller's, who must bound them.

Whom to believe (RFC 2181 5.4.1): an entry has a credit, and while it lives nothing of a lower one replaces it. What came along with
a referral is good for finding servers and never an answer. A delegation that is still alive is not prolonged by its own servers: a
name that its parent has taken away would live for ever ("ghost domains", CVE-2012-1033).

What strangers can make grow. Whoever may ask us can have us ask for any number of names that are not there; each leaves an entry.
So there are bounds in octets, the least recently used goes first, and denials have a bound of their own, a quarter of the whole
unless told: a flood of random names pushes out other denials, and not the answers that people need.

An entry that has expired is kept while `stale_for` lasts, for who says `stale=True` because its servers are silent (RFC 8767).
"""

import enum
from collections import OrderedDict

from attrs import field, frozen, validators

from ...errors import UsageError
from .. import const as dc
from ..message import Record
from ..mib import CacheMib

SECOND = 1_000_000_000
NXDOMAIN_TYPE = 0  # a denial of all types stands under this one, which no record can have (RFC 6895 3.1)

OVERHEAD = 400  # octets of an entry besides its data: the object, its tuples, the key, two places in tables; measured by its test
RECORD_OVERHEAD = 41  # a bytes object and its place in the tuple


class Credit(enum.IntEnum):
    """RFC 2181 5.4.1, from the least to the most trustworthy."""

    GLUE = 1  # additional sections, and authority sections of answers without AA: for finding servers only
    ANSWER = 2  # the answer section without AA, or beyond the first name of a chain
    AUTHORITY = 3  # the authority section of an answer with AA
    AUTHORITATIVE = 4  # the answer section with AA
    SECURE = 5  # validated (RFC 4035 4.5 puts it before all)


class Kind(enum.IntEnum):
    RECORDS = 0
    NODATA = 1
    NXDOMAIN = 2
    FAILURE = 3


def _no_less(instance: object, attribute: object, value: int) -> None:
    if value < 0:
        raise UsageError(f"{value} is less than nothing: give a number of seconds or octets")


@frozen(kw_only=True)
class CacheConfig:
    """`limit` and `entry_limit` in octets, durations in seconds; `prefetch` is the part of its TTL before whose end an entry that
    is asked for is to be renewed, 0 for never."""

    limit: int = field(default=32 << 20, validator=_no_less)  # some 60,000 sets of addresses
    negative_limit: int = field(default=8 << 20, validator=_no_less)
    entry_limit: int = field(default=128 << 10, validator=_no_less)  # above what one message can bring, with its overhead
    max_ttl: int = field(default=86400, validator=_no_less)  # a day: RFC 8767 4 wants a cap of days to weeks, Unbound has one
    max_negative_ttl: int = field(default=3 * 3600, validator=_no_less)  # RFC 2308 5: one to three hours work well
    max_failure_ttl: int = field(default=300, validator=_no_less)  # RFC 9520 3.2: no longer than five minutes
    stale_for: int = field(default=0, validator=_no_less)  # RFC 8767 5 suggests one to three days
    stale_ttl: int = field(default=30, validator=_no_less)  # RFC 8767 4
    recheck: int = field(default=30, validator=_no_less)  # RFC 8767 5: how long stale data is `resting` after a failure
    prefetch: float = field(default=0.0, validator=validators.and_(validators.ge(0.0), validators.le(0.9)))
    below_nxdomain: bool = True  # RFC 8020: below a name that does not exist there is nothing


class Entry:
    """What is stored. `name` as it was first written; `ttl` in seconds as it came, within the caps; `stored` and `expires` are
    instants in ns, and so is `rests`, until when it is not to be asked for again though it has expired. `soa` is (owner, data) of a
    denial's SOA record, where it had one; `signatures` are RRSIG data, of the SOA for a denial; `proof` are NSEC and NSEC3 records
    with their signatures, for who validates."""

    __slots__ = ("credit", "expires", "kind", "name", "prefetching", "proof", "rclass", "rdatas", "rests", "signatures", "size",
                 "soa", "stored", "ttl", "type")  # fmt: skip

    def __init__(
        self,
        kind: Kind,
        name: bytes,
        type: int,
        rclass: int,
        ttl: int,
        rdatas: tuple[bytes, ...],
        signatures: tuple[bytes, ...],
        soa: tuple[bytes, bytes] | None,
        credit: Credit,
        now: int,
        proof: tuple[Record, ...] = (),
    ) -> None:
        self.kind = kind
        self.name = name
        self.type = type
        self.rclass = rclass
        self.ttl = ttl
        self.rdatas = rdatas
        self.signatures = signatures
        self.soa = soa
        self.credit = credit
        self.proof = proof
        self.stored = now
        self.expires = now + ttl * SECOND
        self.prefetching = False
        self.rests = 0
        self.size = OVERHEAD + 2 * len(name) + sum(len(data) + RECORD_OVERHEAD for data in (*rdatas, *signatures, *(soa or ())))
        self.size += sum(len(r.name) + len(r.rdata) + 4 * RECORD_OVERHEAD for r in proof)


@frozen
class Found:
    """`ttl` in seconds that are left, or the one that stale data gets; `refresh`: ask again now, though this may be used;
    `resting`: it is stale, and was asked for in vain a moment ago."""

    entry: Entry
    ttl: int
    stale: bool
    refresh: bool
    resting: bool = False


def key_of(name: bytes, type: int, rclass: int) -> bytes:
    """Name in small letters, type and class: the `key` of `ask.Ask` too."""
    return name.lower() + type.to_bytes(2, "big") + rclass.to_bytes(2, "big")


class Cache:
    def __init__(self, config: CacheConfig | None = None, mib: CacheMib | None = None) -> None:
        self.config = config or CacheConfig()
        self.mib = mib or CacheMib()
        self._positive: OrderedDict[bytes, Entry] = OrderedDict()  # the least recently used first
        self._negative: OrderedDict[bytes, Entry] = OrderedDict()
        self.octets = 0
        self.negative_octets = 0

    def __len__(self) -> int:
        return len(self._positive) + len(self._negative)

    # -- in -------------------------------------------------------------------------------------------------------------------

    def put(
        self,
        name: bytes,
        type: int,
        ttl: int,
        rdatas: tuple[bytes, ...] | list[bytes],
        credit: Credit,
        now: int,
        *,
        rclass: int = dc.IN,
        signatures: tuple[bytes, ...] = (),
        proof: tuple[Record, ...] = (),
    ) -> bool:
        """Store a set, `ttl` in seconds. False where it is not: more credible data is there, it is too large, or it lives 0
        seconds, which is for the one who asked and for nobody else (RFC 1035 3.2.1)."""
        ttl = min(ttl, self.config.max_ttl)
        if not rdatas or ttl <= 0:
            return False
        return self._store(Entry(Kind.RECORDS, name, type, rclass, ttl, tuple(rdatas), signatures, None, credit, now, proof), now)

    def deny(
        self,
        name: bytes,
        type: int,
        soa: tuple[bytes, bytes] | None,
        soa_ttl: int,
        credit: Credit,
        now: int,
        *,
        nxdomain: bool = False,
        rclass: int = dc.IN,
        signatures: tuple[bytes, ...] = (),
        proof: tuple[Record, ...] = (),
    ) -> bool:
        """Store that there is no such name (`nxdomain`: the type does not matter then), or nothing of this type. `soa` is owner and
        data of the SOA record in the authority section, and `soa_ttl` its TTL; a denial without one is not stored (RFC 2308 5)."""
        if soa is None or len(soa[1]) < 22:
            return False
        ttl = min(soa_ttl, int.from_bytes(soa[1][-4:], "big"), self.config.max_negative_ttl)  # RFC 2308 5: the lesser of both
        if ttl <= 0:
            return False
        kind = Kind.NXDOMAIN if nxdomain else Kind.NODATA
        type = NXDOMAIN_TYPE if nxdomain else type
        return self._store(Entry(kind, name, type, rclass, ttl, (), signatures, soa, credit, now, proof), now)

    def fail(self, name: bytes, type: int, ttl: int, now: int, *, rclass: int = dc.IN) -> bool:
        """Remember that no server could say, for `ttl` seconds (RFC 9520). What is there and lives stays; a set or an
        alias that has expired stays too, and rests for `recheck` seconds."""
        ttl = min(max(ttl, 1), self.config.max_failure_ttl)
        for each in (type, dc.CNAME):
            old = self._positive.get(key_of(name, each, rclass))
            if old is not None:
                old.rests = now + self.config.recheck * SECOND
        return self._store(Entry(Kind.FAILURE, name, type, rclass, ttl, (), (), None, Credit.GLUE, now), now)

    def _store(self, entry: Entry, now: int) -> bool:
        if entry.size > self.config.entry_limit:
            self.mib.RefusedSize += 1
            return False
        key = key_of(entry.name, entry.type, entry.rclass)
        old = self._positive.get(key) or self._negative.get(key)
        if old is not None and old.expires > now:
            if old.credit > entry.credit:
                self.mib.RefusedCredit += 1
                return False
            if entry.type == dc.NS and old.kind == Kind.RECORDS and entry.kind == Kind.RECORDS:
                entry.expires = min(entry.expires, old.expires)
        if entry.kind == Kind.FAILURE and old is not None and old.kind == Kind.RECORDS:
            return False  # a stale set is worth more than a failure
        self._drop(key)
        if entry.kind == Kind.RECORDS:
            self._positive[key] = entry
            self.octets += entry.size
            gone = key_of(entry.name, NXDOMAIN_TYPE, entry.rclass)
            if gone in self._negative and self._negative[gone].credit <= entry.credit:
                self._drop(gone)  # the name exists after all
        else:
            self._negative[key] = entry
            self.octets += entry.size
            self.negative_octets += entry.size
        self.mib.Stored += 1
        self._make_room()
        return True

    def _make_room(self) -> None:
        while self._negative and self.negative_octets > self.config.negative_limit:
            self._drop(next(iter(self._negative)))
            self.mib.Evicted += 1
        while self.octets > self.config.limit and (self._positive or self._negative):
            self._drop(next(iter(self._positive or self._negative)))
            self.mib.Evicted += 1

    def _drop(self, key: bytes) -> None:
        entry = self._positive.pop(key, None)
        if entry is None:
            entry = self._negative.pop(key, None)
            if entry is None:
                return
            self.negative_octets -= entry.size
        self.octets -= entry.size

    # -- out ------------------------------------------------------------------------------------------------------------------

    def get(
        self, name: bytes, type: int, now: int, *, rclass: int = dc.IN, credit: Credit = Credit.ANSWER, stale: bool = False
    ) -> Found | None:
        """What is known, at least of this `credit` (GLUE only for finding servers), or None. With `stale` also what expired less
        than `stale_for` ago."""
        found = self._look(key_of(name, type, rclass), now, credit, stale)
        if found is None or found.entry.kind == Kind.FAILURE:
            found = self._denied(name, rclass, now, credit, stale) or found
        if found is None:
            self.mib.Misses += 1
            return None
        self.mib.Hits += 1
        if found.entry.kind != Kind.RECORDS:
            self.mib.NegativeHits += 1
        if found.stale:
            self.mib.StaleHits += 1
        if found.refresh:
            self.mib.Prefetches += 1
        return found

    def _denied(self, name: bytes, rclass: int, now: int, credit: Credit, stale: bool) -> Found | None:
        """That this name is not there, or, where that is to count, one that it stands below (RFC 8020)."""
        if not self._negative:
            return None
        while True:
            found = self._look(key_of(name, NXDOMAIN_TYPE, rclass), now, credit, stale)
            if found is not None or not self.config.below_nxdomain or len(name) == 1:
                return found
            name = name[name[0] + 1 :]

    def _look(self, key: bytes, now: int, credit: Credit, stale: bool) -> Found | None:
        table = self._positive
        entry = table.get(key)
        if entry is None:
            table = self._negative
            entry = table.get(key)
            if entry is None:
                return None
        left = entry.expires - now
        if left <= 0:
            lasts = 0 if entry.kind == Kind.FAILURE else self.config.stale_for * SECOND
            if left <= -lasts:
                self._drop(key)
                self.mib.Expired += 1
                return None
            if not stale:
                return None
        if entry.credit < credit and entry.kind != Kind.FAILURE:
            return None
        table.move_to_end(key)
        if left <= 0:
            return Found(entry, self.config.stale_ttl, True, False, entry.rests > now)
        refresh = False
        if not entry.prefetching and entry.kind == Kind.RECORDS and left < entry.ttl * SECOND * self.config.prefetch:
            entry.prefetching = refresh = True  # one caller is told, once
        return Found(entry, -(-left // SECOND), False, refresh)

    def forget(self, name: bytes) -> int:
        """Drop `name` and all below it; how many entries that were."""
        tail = name.lower()
        size = len(tail) + 4
        keys = [key for table in (self._positive, self._negative) for key in table if key[-size:-4] == tail and _aligned(key, size)]
        for key in keys:
            self._drop(key)
        return len(keys)


def _aligned(key: bytes, size: int) -> bool:
    """Does a label of the key's name begin `size` octets before its end?"""
    o = 0
    while o < len(key) - size:
        o += key[o] + 1
    return o == len(key) - size
