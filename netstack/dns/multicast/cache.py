"""What others have said on the link, for as long as it may be believed (RFC 6762 10).

A record is fresh at `heard` and gone at `expires`. Before that, where somebody here is interested, it is asked for again, at 80,
85, 90 and 95 % of its life, each a little later at random (5.2). A goodbye leaves it one second, and so does a set that came anew
without it (10.1, 10.2); questions of others that nobody answers leave it ten (10.5).

What strangers can make grow. Anybody on the link may announce records without end. There are bounds for all octets and for one set;
what nobody here is interested in goes first, the oldest before the others, and what somebody is interested in is never pushed out:
when there is nothing else, what comes is not stored.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable

from ...const import SECOND
from ...instant import NEVER
from ...signatures import Rng
from .message import Said
from .mib import MdnsMib
from .records import Own

STAGES = (80, 85, 90, 95)  # per cent
MAX_TTL = 86400  # seconds: a liar's record shall not outlive the day
OVERHEAD = 600  # octets of a record besides its data
SET_LIMIT = 512  # records of one name and type: so many instances of one service are a large building's
DOUBTS = 2  # RFC 6762 10.5: so many questions …
DOUBT_SPAN = 10 * SECOND  # … and no answer for so long

Key = tuple[bytes, int]  # name in small letters, and type


class Heard:
    """A record. Instants in ns; `at` is when something happens to it next; `own`: it is ours, and stays until we drop it."""

    __slots__ = ("at", "doubts", "expires", "flush", "heard", "key", "name", "own", "rdata", "size", "stage", "ttl", "type")

    def __init__(self, name: bytes, key: bytes, type: int, rdata: bytes) -> None:
        self.name = name
        self.key = key
        self.type = type
        self.rdata = rdata
        self.size = OVERHEAD + len(name) + len(rdata)
        self.ttl = 0
        self.heard = 0
        self.expires = int(NEVER)
        self.at = int(NEVER)
        self.stage = len(STAGES)
        self.doubts = 0
        self.flush = False
        self.own = False

    def left(self, now: int) -> int:
        """Whole seconds."""
        return max(0, (self.expires - now) // SECOND)


class Cache:
    """`changed(record, there)` is told what came and what went, `stale(key)` what is to be asked for again."""

    def __init__(
        self,
        rng: Rng,
        mib: MdnsMib,
        limit: int,
        wanted: Callable[[Key], bool],
        changed: Callable[[Heard, bool], None],
        stale: Callable[[Key, int], None],
    ) -> None:
        self.rng = rng
        self.mib = mib
        self.limit = limit
        self.octets = 0
        self.sets: dict[Key, dict[bytes, Heard]] = {}  # the oldest first
        self.count = 0
        self.wanted = wanted
        self.changed = changed
        self.stale = stale
        self.heap: list[tuple[int, int, Heard]] = []
        self.serial = itertools.count()

    def get(self, key: Key) -> list[Heard]:
        return list(self.sets.get(key, {}).values())

    # -- what is heard ----------------------------------------------------------------------------------------------------------

    def hear(self, said: Iterable[Said], now: int) -> None:
        """The records of one response."""
        flushed: dict[Key, None] = {}
        for each in said:
            if each.flush:
                flushed[each.key, each.type] = None
            self.take(each, now)
        for key in flushed:
            for record in self.get(key):
                if record.heard < now - SECOND and not record.own and record.expires > now + SECOND:
                    self.mib.Flushed += 1
                    self.end(record, now + SECOND)

    def take(self, said: Said, now: int) -> None:
        key = said.key, said.type
        found = self.sets.get(key)
        record = None if found is None else found.get(said.rdata)
        if record is not None and record.own:
            return
        if said.ttl == 0:
            if record is not None and record.expires > now + SECOND:
                self.end(record, now + SECOND)
            return
        if record is None:
            record = Heard(said.name, said.key, said.type, said.rdata)
            if not self.make_room(key, record.size):
                self.mib.CacheFull += 1
                return
            self.store(key, record)
            self.live(record, said, now)
            self.changed(record, True)
        else:
            self.live(record, said, now)

    def live(self, record: Heard, said: Said, now: int) -> None:
        record.ttl = min(said.ttl, MAX_TTL)
        record.heard = now
        record.expires = now + record.ttl * SECOND
        record.flush = said.flush
        record.doubts = 0
        record.stage = 0
        self.plan(record)

    def own(self, own: Own, there: bool) -> None:
        """A record of ours has come or gone: who asks here is to know it as any other."""
        key = own.key, own.type
        record = self.sets.get(key, {}).get(own.rdata)
        if not there:
            if record is not None and record.own:
                self.drop(record)
            return
        if record is None:
            record = Heard(own.name, own.key, own.type, own.rdata)
            self.store(key, record)
        record.own = True
        record.ttl = own.ttl
        record.flush = own.unique
        record.expires = record.at = int(NEVER)
        self.changed(record, True)

    def store(self, key: Key, record: Heard) -> None:
        self.sets.setdefault(key, {})[record.rdata] = record
        self.octets += record.size
        self.count += 1

    def make_room(self, key: Key, size: int) -> bool:
        if len(self.sets.get(key, ())) >= SET_LIMIT:
            return False
        tried = len(self.sets)
        while self.octets + size > self.limit:
            if tried == 0:
                return False
            tried -= 1
            first = next(iter(self.sets))
            records = self.sets.pop(first)
            if first == key or self.wanted(first) or any(record.own for record in records.values()):
                self.sets[first] = records  # to the end
                continue
            for record in records.values():
                self.mib.Evicted += 1
                self.forgotten(record)
        return True

    # -- time -------------------------------------------------------------------------------------------------------------------

    def plan(self, record: Heard) -> None:
        """When does something happen to it next?"""
        at = record.expires
        if record.stage < len(STAGES):
            part = STAGES[record.stage] * 1024 + 2 * self.rng.getrandbits(10)  # RFC 6762 5.2: up to 2 % later
            at = min(at, record.heard + record.ttl * SECOND * part // (100 * 1024))
        self.push(record, at)

    def push(self, record: Heard, at: int) -> None:
        record.at = at
        heapq.heappush(self.heap, (at, next(self.serial), record))
        if len(self.heap) > 4 * self.count + 64:  # of records that were heard again and again
            self.heap = [item for item in self.heap if item[2].at == item[0]]
            heapq.heapify(self.heap)

    def end(self, record: Heard, at: int) -> None:
        """It goes at `at`, and nobody asks for it again."""
        record.expires = at
        record.stage = len(STAGES)
        self.push(record, at)

    def run(self, now: int) -> None:
        heap = self.heap
        while heap and heap[0][0] <= now:
            at, _, record = heapq.heappop(heap)
            if record.at != at:
                continue
            if record.expires <= now:
                if record.doubts >= DOUBTS:
                    self.mib.Failures += 1
                self.mib.Expired += 1
                self.drop(record)
            else:
                record.stage += 1
                self.stale((record.key, record.type), now)
                self.plan(record)

    def deadline(self) -> int:
        while self.heap and self.heap[0][2].at != self.heap[0][0]:
            heapq.heappop(self.heap)
        return self.heap[0][0] if self.heap else int(NEVER)

    def drop(self, record: Heard) -> None:
        key = record.key, record.type
        records = self.sets.get(key)
        if records is None or records.get(record.rdata) is not record:
            return
        del records[record.rdata]
        if not records:
            del self.sets[key]
        self.forgotten(record)
        self.changed(record, False)

    def clear(self) -> None:
        """Drop all that others have said."""
        for records in list(self.sets.values()):
            for record in [record for record in records.values() if not record.own]:
                self.drop(record)

    def forgotten(self, record: Heard) -> None:
        record.at = -1
        self.octets -= record.size
        self.count -= 1

    # -- doubts -----------------------------------------------------------------------------------------------------------------

    def doubt(self, record: Heard, now: int, times: int = 1) -> None:
        """Somebody has asked for it, and its owner should answer now (RFC 6762 10.4, 10.5)."""
        if record.own or record.expires <= now + DOUBT_SPAN or now - record.heard < SECOND:
            return  # it goes anyway, or was told just now and is not told again within the second
        record.doubts += times
        if record.doubts >= DOUBTS:
            self.end(record, now + DOUBT_SPAN)
