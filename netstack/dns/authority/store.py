"""The names of a zone and what stands at each, without an object for any of them.

A million names as Python objects are half a gigabyte. Here they are three byte arrays. `heap` holds nodes, one behind the other:

    octets of the name (1), the name's labels as first written, without the zone's; number of sets, 128 where names stand
    below (1); how many those are, directly below (4, only then); for each set: type (2), TTL (4), how many records, how many
    signatures, then the length and the data of each

with numbers of records and lengths in one octet up to 127, in two up to 16383, in three above. `places` says where in the heap the
node with a number is, and `table` is an index of these numbers by name: open addressing, linear probing, at most two thirds full,
by Python's keyed hash, so that nobody who may write names can write ones that collide. A name with one address costs some 30 octets
besides those of its labels.

What stands in the heap is not changed, but for the numbers of names below: a node that changes is written again behind all others,
and what it leaves is garbage until half of the heap is, when the heap is copied without it. (That takes a tenth of a second for a
million names.) So a snapshot is the heap and a copy of `places`.

An empty non-terminal is a node without sets. It exists as long as names stand below it.
"""

from collections.abc import Iterator

from ... import raw
from ...errors import UsageError
from .node import Node, Set

_BELOW = 0x80
_MOST = 0xFFFFFFFF  # octets of a heap: what a place can say
_SPARE = 1 << 16  # octets of garbage that nobody minds


class Store:
    """Names are relative to the zone's, `b""` for the apex, which is always there; keys are such names in small letters. `suffix`
    is the zone's name. Nodes have numbers from 1 on, which stay; 0 is none."""

    __slots__ = ("count", "floor", "free", "garbage", "heap", "mask", "places", "suffix", "table")

    def __init__(self, suffix: bytes) -> None:
        self.suffix = suffix
        self.heap = bytearray(1)
        self.places = bytearray(4)
        self.table = bytearray(4 * 16)
        self.mask = 15
        self.count = 0
        self.garbage = 0
        self.floor = 1  # what is below may be part of a snapshot
        self.free = bytearray()  # numbers of nodes that are gone
        self.insert(b"", b"", 0, {})

    # -- to read --------------------------------------------------------------------------------------------------------------

    def find(self, key: bytes) -> int:
        """The number of its node."""
        n = len(key)
        i = hash(key) & self.mask
        while True:
            found = raw.g32(self.table, i * 4)
            if found == 0:
                return 0
            o = raw.g32(self.places, found * 4)
            if raw.g8(self.heap, o) == n and raw.lowered(self.heap, o + 1, n, 0) == key:
                return found
            i = (i + 1) & self.mask

    def key(self, id: int) -> bytes:
        o = raw.g32(self.places, id * 4)
        return raw.lowered(self.heap, o + 1, raw.g8(self.heap, o), 0)

    def name(self, id: int) -> bytes:
        """Whole, as first written."""
        o = raw.g32(self.places, id * 4)
        return raw.take(self.heap, o + 1, raw.g8(self.heap, o)) + self.suffix

    def seek(self, id: int, type: int) -> int:
        """Where the set begins, or 0."""
        heap = self.heap
        o = raw.g32(self.places, id * 4)
        o += 1 + raw.g8(heap, o)
        n = raw.g8(heap, o)
        o += 5 if n & _BELOW else 1
        n &= 0x7F
        while n:
            if raw.g16(heap, o) == type:
                return o
            o = self.skip(heap, o)
            n -= 1
        return 0

    def has(self, id: int, type: int) -> bool:
        """Are there such records (and not only signatures of some)?"""
        o = self.seek(id, type)
        return o != 0 and raw.g8(self.heap, o + 6) != 0

    def get(self, id: int, type: int) -> Set | None:
        """The set of such records, where there are any."""
        o = self.seek(id, type)
        return None if o == 0 or raw.g8(self.heap, o + 6) == 0 else self.read(self.heap, o)

    def node(self, id: int) -> Node:
        return self.node_at(self.heap, raw.g32(self.places, id * 4))

    def node_at(self, heap: bytearray, o: int) -> Node:
        n = raw.g8(heap, o)
        found = Node(raw.take(heap, o + 1, n) + self.suffix)
        o += 1 + n
        n = raw.g8(heap, o)
        o += 5 if n & _BELOW else 1
        n &= 0x7F
        while n:
            found.sets[raw.g16(heap, o)] = self.read(heap, o)
            o = self.skip(heap, o)
            n -= 1
        return found

    def skip(self, heap: bytearray, o: int) -> int:
        """Where the set at `o` ends."""
        o += 6
        n = self.number(heap, o)
        o += self.width(heap, o)
        n += self.number(heap, o)
        o += self.width(heap, o)
        while n:
            o += self.number(heap, o) + self.width(heap, o)
            n -= 1
        return o

    def read(self, heap: bytearray, o: int) -> Set:
        """The set at `o`."""
        ttl = raw.g32(heap, o + 2)
        o += 6
        n = self.number(heap, o)
        o += self.width(heap, o)
        m = self.number(heap, o)
        o += self.width(heap, o)
        rdatas = []
        signatures = []
        for i in range(n + m):
            size = self.number(heap, o)
            o += self.width(heap, o)
            if i < n:
                rdatas.append(raw.take(heap, o, size))
            else:
                signatures.append(raw.take(heap, o, size))
            o += size
        return Set(ttl, tuple(rdatas), tuple(signatures))

    def number(self, heap: bytearray, o: int) -> int:
        """The number at `o`, and `width` how many octets it takes."""
        n = raw.g8(heap, o)
        if n < 0x80:
            return n
        if n < 0xC0:
            return raw.g16(heap, o) & 0x3FFF
        return raw.g16(heap, o + 1)

    def width(self, heap: bytearray, o: int) -> int:
        n = raw.g8(heap, o)
        return 1 if n < 0x80 else 2 if n < 0xC0 else 3

    def numbers(self, type: int) -> list[int]:
        """Of all nodes that have such records, in the order in which they came."""
        found = []
        for id in range(1, len(self.places) >> 2):
            if raw.g32(self.places, id * 4) and self.has(id, type):
                found.append(id)
        return found

    def nodes(self) -> Iterator[Node]:
        """All that have sets, as they are now, whatever changes meanwhile."""
        self.floor = len(self.heap)
        return self.walk(self.heap, bytes(self.places))

    def walk(self, heap: bytearray, places: bytes) -> Iterator[Node]:
        for i in range(4, len(places), 4):
            o = int.from_bytes(places[i : i + 4], "big")
            if o:
                found = self.node_at(heap, o)
                if found.sets:
                    yield found

    # -- to change ------------------------------------------------------------------------------------------------------------

    def put(self, name: bytes, sets: dict[int, Set]) -> int:
        """What stands at `name` now; nothing, where `sets` is empty. The number of the node, 0 where there was and is none."""
        key = name.lower()
        found = self.find(key)
        if found == 0:
            return self.insert(name, key, 0, sets) if sets else 0
        below = self.below(found)
        if sets or below or not key:
            self.write(found, name, below, sets)
            return found
        self.drop(found, key)
        return 0

    def below(self, id: int) -> int:
        """How many names stand directly below."""
        o = raw.g32(self.places, id * 4)
        o += 1 + raw.g8(self.heap, o)
        return raw.g32(self.heap, o + 1) if raw.g8(self.heap, o) & _BELOW else 0

    def insert(self, name: bytes, key: bytes, below: int, sets: dict[int, Set]) -> int:
        """A node that was not there, and those between it and the apex."""
        if 3 * (self.count + 1) > 2 * (self.mask + 1):
            self.grow()
        if self.free:
            found = raw.g32(self.free, len(self.free) - 4)
            del self.free[-4:]
        else:
            found = len(self.places) >> 2
            self.places += b"\0\0\0\0"
        self.write(found, name, below, sets)
        i = hash(key) & self.mask
        while raw.g32(self.table, i * 4):
            i = (i + 1) & self.mask
        raw.p32(self.table, i * 4, found)
        self.count += 1
        if key:
            n = key[0] + 1
            upper = self.find(key[n:])
            if upper == 0:
                self.insert(name[n:], key[n:], 1, {})
            else:
                self.adopt(upper, 1)
        return found

    def adopt(self, id: int, more: int) -> int:
        """So many more names stand directly below; how many that are."""
        o = raw.g32(self.places, id * 4)
        o += 1 + raw.g8(self.heap, o)
        if raw.g8(self.heap, o) & _BELOW:
            more += raw.g32(self.heap, o + 1)
            raw.p32(self.heap, o + 1, more)
        else:
            node = self.node(id)
            self.write(id, node.name, more, node.sets)
        return more

    def drop(self, id: int, key: bytes) -> None:
        """The node is gone, and what was there only for its sake."""
        o = raw.g32(self.places, id * 4)
        self.garbage += self.end(o) - o
        self.unlist(id, key)
        raw.p32(self.places, id * 4, 0)
        self.free += id.to_bytes(4, "big")
        self.count -= 1
        upper = key[key[0] + 1 :]
        above = self.find(upper)
        if self.adopt(above, -1) == 0 and upper and self.empty(above):
            self.drop(above, upper)

    def empty(self, id: int) -> bool:
        """Has it no sets?"""
        o = raw.g32(self.places, id * 4)
        return raw.g8(self.heap, o + 1 + raw.g8(self.heap, o)) & 0x7F == 0

    def unlist(self, id: int, key: bytes) -> None:
        """Out of the table, where what stands behind it moves up."""
        i = hash(key) & self.mask
        while raw.g32(self.table, i * 4) != id:
            i = (i + 1) & self.mask
        j = i
        while True:
            j = (j + 1) & self.mask
            other = raw.g32(self.table, j * 4)
            if other == 0:
                break
            home = hash(self.key(other)) & self.mask
            if ((j - home) & self.mask) >= ((j - i) & self.mask):
                raw.p32(self.table, i * 4, other)
                i = j
        raw.p32(self.table, i * 4, 0)

    def grow(self) -> None:
        """A table of twice the size."""
        self.table = bytearray(2 * len(self.table))
        self.mask = 2 * self.mask + 1
        for found in range(1, len(self.places) >> 2):
            if raw.g32(self.places, found * 4):
                i = hash(self.key(found)) & self.mask
                while raw.g32(self.table, i * 4):
                    i = (i + 1) & self.mask
                raw.p32(self.table, i * 4, found)

    def end(self, o: int) -> int:
        """Where the node at `o` ends."""
        heap = self.heap
        o += 1 + raw.g8(heap, o)
        n = raw.g8(heap, o)
        o += 5 if n & _BELOW else 1
        n &= 0x7F
        while n:
            o = self.skip(heap, o)
            n -= 1
        return o

    def write(self, id: int, name: bytes, below: int, sets: dict[int, Set]) -> None:
        """The node at the end of the heap: in its own place where it was the last and nobody else has seen it."""
        o = raw.g32(self.places, id * 4)
        if o:
            name = raw.take(self.heap, o + 1, raw.g8(self.heap, o))
        out = bytearray()
        out.append(len(name))
        out += name
        if below:
            out.append(len(sets) | _BELOW)
            out += below.to_bytes(4, "big")
        else:
            out.append(len(sets))
        for type, kept in sets.items():
            out += type.to_bytes(2, "big")
            out += kept.ttl.to_bytes(4, "big")
            self.put_number(out, len(kept.rdatas))
            self.put_number(out, len(kept.signatures))
            for value in kept.rdatas:
                self.put_number(out, len(value))
                out += value
            for value in kept.signatures:
                self.put_number(out, len(value))
                out += value
        if len(self.heap) + len(out) > _MOST:
            raise UsageError("a zone of more than 4 GiB: that is more than the offsets of one can say")
        if o:
            end = self.end(o)
            if end == len(self.heap) and o >= self.floor:
                del self.heap[o:]
            else:
                self.garbage += end - o
        raw.p32(self.places, id * 4, len(self.heap))
        self.heap += out
        if self.garbage > _SPARE and 2 * self.garbage > len(self.heap):
            self.compact()

    def put_number(self, out: bytearray, n: int) -> None:
        if n < 0x80:
            out.append(n)
        elif n < 0x4000:
            out.append(0x80 | n >> 8)
            out.append(n & 0xFF)
        else:
            out.append(0xC0)
            out.append(n >> 8)
            out.append(n & 0xFF)

    def compact(self) -> None:
        """A heap without garbage. Who reads the old one keeps it."""
        fresh = bytearray(1)
        for i in range(4, len(self.places), 4):
            o = raw.g32(self.places, i)
            if o:
                raw.p32(self.places, i, len(fresh))
                fresh += self.heap[o : self.end(o)]
        self.heap = fresh
        self.garbage = 0
        self.floor = 1
