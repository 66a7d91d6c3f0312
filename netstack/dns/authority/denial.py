"""Proofs that something is not there, from the NSEC or NSEC3 records that a signed zone carries (RFC 4035 3.1.3, RFC 5155 7.2).

Each chain is a sorted circle of owners, kept as the numbers that the store knows them by. To *match* a name is to have a record of
its own; to *cover* it is to have the record whose owner stands before it, and whose next one after it. Nothing is computed but
NSEC3's hashes; the records are served as they are.

Names are relative to the zone, in small letters; what is found are numbers of nodes.
"""

import hashlib

from ... import raw
from .. import const as dc
from .. import rdata as data
from ..numbers import Type
from .node import Set
from .store import Store

_DIGITS = b"0123456789abcdefghijklmnopqrstuv"
_PAIRS = [bytes((a, b)) for a in _DIGITS for b in _DIGITS]  # ten bits in base32hex


def nsec3_hash(key: bytes, salt: bytes, iterations: int) -> bytes:
    """Of a name in small letters (RFC 5155 5): 20 octets."""
    digest = hashlib.sha1(key + salt).digest()
    for _ in range(iterations):
        digest = hashlib.sha1(digest + salt).digest()
    return digest


def nsec3_label(digest: bytes) -> bytes:
    """As the first label of an owner, with its length."""
    n = int.from_bytes(digest, "big")
    return b"\x20" + b"".join([_PAIRS[n >> i & 1023] for i in range(150, -1, -10)])


def order(key: bytes) -> bytes:
    """What sorts names canonically when compared octet by octet (RFC 4034 6.1): labels from the right, each with a zero at its end,
    where zeros inside of labels are told from that."""
    found = b""
    o = 0
    end = len(key)
    while o < end:
        n = key[o] + 1
        label = key[o + 1 : o + n]
        if b"\0" in label or b"\1" in label:
            label = label.replace(b"\1", b"\1\2").replace(b"\0", b"\1\1")
        found = label + b"\0" + found
        o += n
    return found


def tail(key: bytes, closest: bytes) -> bytes:
    """The name one label longer than `closest`, on the way to `key`."""
    o = 0
    rest = len(key) - len(closest)
    while o + key[o] + 1 < rest:
        o += key[o] + 1
    return key[o:]


class Circle:
    """Numbers of the nodes of a store, sorted by what their names sort by."""

    __slots__ = ("hashed", "ids", "store")

    def __init__(self, store: Store, hashed: bool, ids: list[int]) -> None:
        self.store = store
        self.hashed = hashed  # base32hex in small letters sorts as the hashes do (RFC 4648 7), and all have one length
        orders = [self.order_of(id) for id in ids]
        self.ids = bytearray()
        for i in sorted(range(len(ids)), key=orders.__getitem__):
            self.ids += ids[i].to_bytes(4, "big")

    def order_of(self, id: int) -> bytes:
        key = self.store.key(id)
        return key if self.hashed else order(key)

    def rank(self, wanted: bytes) -> int:
        """How many stand at or before what sorts like that."""
        low = 0
        high = len(self.ids) >> 2
        while low < high:
            middle = (low + high) >> 1
            if wanted < self.order_of(raw.g32(self.ids, middle * 4)):
                high = middle
            else:
                low = middle + 1
        return low

    def before(self, key: bytes) -> int:
        """The one at or before `key`; before the first the last, whose record closes the circle."""
        i = self.rank(key if self.hashed else order(key))
        return raw.g32(self.ids, (i * 4 if i else len(self.ids)) - 4)

    def enter(self, id: int) -> None:
        i = self.rank(self.order_of(id)) * 4
        self.ids[i:i] = id.to_bytes(4, "big")

    def leave(self, id: int, key: bytes) -> None:
        """`key`: its name may be gone from the store."""
        i = self.rank(key if self.hashed else order(key)) * 4
        del self.ids[i - 4 : i]


class NsecChain:
    type = dc.NSEC

    def holds(self, kept: Set | None) -> bool:
        """Does a node with that set of NSEC records stand in the chain?"""
        return kept is not None and bool(kept.rdatas)

    def __init__(self, store: Store, ids: list[int]) -> None:
        self.store = store
        self.circle = Circle(store, False, ids)

    def match(self, key: bytes) -> int:
        found = self.store.find(key)
        return found if found and self.store.has(found, dc.NSEC) else 0

    def cover(self, key: bytes) -> int:
        return self.circle.before(key)

    def absent(self, key: bytes, closest: bytes, wildcard: bool) -> list[int]:
        """The records that prove: no such name, and, unless a `wildcard` answers, none at `closest` (RFC 4035 3.1.3.2)."""
        return [self.cover(key)] if wildcard else [self.cover(key), self.cover(b"\1*" + closest)]

    def no_data(self, key: bytes, closest: bytes, wildcard: bool) -> list[int]:
        """That `key` is there and the type is not; where the node is a `wildcard` of `closest`, that and that nothing is nearer."""
        if wildcard:
            return [self.cover(b"\1*" + closest), self.cover(key)]  # RFC 4035 3.1.3.4
        return [self.match(key) or self.cover(key)]  # an empty non-terminal has none of its own

    def no_ds(self, key: bytes) -> list[int]:
        """That a delegation is not signed."""
        return [self.match(key) or self.cover(key)]


class Nsec3Chain:
    """`salt` and `iterations` are those of all records in it."""

    type = dc.NSEC3

    def __init__(self, store: Store, ids: list[int], salt: bytes, iterations: int) -> None:
        self.store = store
        self.salt = salt
        self.iterations = iterations
        self.origin = store.suffix.lower()
        self.head = _head(salt, iterations)
        self.circle = Circle(store, True, ids)

    def holds(self, kept: Set | None) -> bool:
        return _of(kept, self.head)

    def owner(self, key: bytes) -> bytes:
        return nsec3_label(nsec3_hash(key + self.origin, self.salt, self.iterations))

    def match(self, key: bytes) -> int:
        found = self.store.find(self.owner(key))
        return found if found and self.store.has(found, dc.NSEC3) else 0

    def cover(self, key: bytes) -> int:
        return self.circle.before(self.owner(key))

    def encloser(self, key: bytes, closest: bytes) -> tuple[list[int], bytes]:
        """The closest encloser proof (RFC 5155 7.2.1): that it exists, and that the name one label longer does not; and which it
        is. Where opt-out leaves an empty non-terminal without a record, it is the nearest name above that has one."""
        found = self.match(closest)
        while closest and not found:
            closest = closest[closest[0] + 1 :]
            found = self.match(closest)
        nearer = self.cover(tail(key, closest))
        return ([found, nearer] if found else [nearer]), closest

    def absent(self, key: bytes, closest: bytes, wildcard: bool) -> list[int]:
        """RFC 5155 7.2.2; of a wildcard's answer 7.2.6."""
        if wildcard:
            return [self.cover(tail(key, closest))]
        proof, closest = self.encloser(key, closest)
        return [*proof, self.cover(b"\1*" + closest)]

    def no_data(self, key: bytes, closest: bytes, wildcard: bool) -> list[int]:
        """RFC 5155 7.2.3; of a wildcard 7.2.5."""
        if wildcard:
            return [*self.encloser(key, closest)[0], self.match(b"\1*" + closest) or self.cover(b"\1*" + closest)]
        return self.no_ds(key)

    def no_ds(self, key: bytes) -> list[int]:
        """RFC 5155 7.2.7."""
        found = self.match(key)
        return [found] if found or not key else self.encloser(key, key[key[0] + 1 :])[0]


Chain = NsecChain | Nsec3Chain


def find_chain(tree: Store, hashes: Store) -> Chain | None:
    """The one that a zone has by its records: of NSEC3 where its apex has NSEC3PARAM (RFC 5155 4), else of NSEC."""
    param = tree.get(tree.find(b""), Type.NSEC3PARAM)
    if param is not None:
        _, _, iterations, salt = data.unpack(Type.NSEC3PARAM, param.rdatas[0])
        head = _head(salt, iterations)
        ids = [id for id in hashes.numbers(dc.NSEC3) if _of(hashes.get(id, dc.NSEC3), head)]
        return Nsec3Chain(hashes, ids, salt, iterations) if ids else None
    ids = tree.numbers(dc.NSEC)
    return NsecChain(tree, ids) if ids else None


def _head(salt: bytes, iterations: int) -> bytes:
    """What the data of all NSEC3 records of a chain have in common, behind algorithm and flags."""
    return iterations.to_bytes(2, "big") + bytes((len(salt),)) + salt


def _of(kept: Set | None, head: bytes) -> bool:
    return kept is not None and any(value[2:].startswith(head) for value in kept.rdatas)
