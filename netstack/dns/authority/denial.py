"""Proofs that something is not there, from the NSEC or NSEC3 records that a signed zone carries (RFC 4035 3.1.3, RFC 5155 7.2).

Each chain is a sorted circle of owners. To *match* a name is to have a record of its own; to *cover* it is to have the record whose
owner stands before it, and whose next one after it. Nothing is computed but NSEC3's hashes; the records are served as they are.
"""

import base64
import bisect
import hashlib

from .. import name as names

_HEX32 = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789abcdefghijklmnopqrstuv")


def nsec3_hash(key: bytes, salt: bytes, iterations: int) -> bytes:
    """Of a name in small letters (RFC 5155 5): 20 octets."""
    digest = hashlib.sha1(key + salt).digest()
    for _ in range(iterations):
        digest = hashlib.sha1(digest + salt).digest()
    return digest


def nsec3_label(digest: bytes) -> bytes:
    """As the first label of an owner, with its length."""
    text = base64.b32encode(digest).translate(_HEX32)
    return bytes((len(text),)) + text


class NsecChain:
    """`owners`: the keys of all names with an NSEC record, in any order."""

    def __init__(self, owners: list[bytes]) -> None:
        pairs = sorted((names.order(owner), owner) for owner in owners)
        self._orders = [order for order, _ in pairs]
        self._owners = [owner for _, owner in pairs]
        self._all = frozenset(owners)

    def match(self, key: bytes) -> bytes | None:
        return key if key in self._all else None

    def cover(self, key: bytes) -> bytes:
        """The owner at or before `key`; of the first ones the last, whose record closes the circle."""
        return self._owners[bisect.bisect_right(self._orders, names.order(key)) - 1]

    def absent(self, key: bytes, closest: bytes, wildcard: bool) -> list[bytes]:
        """Owners of the records that prove: no such name, and, unless a `wildcard` answers, none at `closest` (RFC 4035
        3.1.3.2)."""
        return [self.cover(key)] if wildcard else [self.cover(key), self.cover(b"\1*" + closest)]

    def no_data(self, key: bytes, closest: bytes, wildcard: bool) -> list[bytes]:
        """That `key` is there and the type is not; where the node is a `wildcard` of `closest`, that and that nothing is nearer."""
        if wildcard:
            return [self.cover(b"\1*" + closest), self.cover(key)]  # RFC 4035 3.1.3.4
        return [self.match(key) or self.cover(key)]  # an empty non-terminal has none of its own

    def no_ds(self, key: bytes, closest: bytes) -> list[bytes]:
        """That a delegation is not signed."""
        return [self.match(key) or self.cover(key)]


class Nsec3Chain:
    """`owners`: the keys of all names with an NSEC3 record of these parameters."""

    def __init__(self, origin: bytes, owners: list[bytes], salt: bytes, iterations: int) -> None:
        self.origin = origin
        self.salt = salt
        self.iterations = iterations
        self._owners = sorted(owners)  # base32hex in small letters sorts as the hashes do (RFC 4648 7), and all have one length
        self._all = frozenset(owners)

    def owner(self, key: bytes) -> bytes:
        return nsec3_label(nsec3_hash(key, self.salt, self.iterations)) + self.origin

    def match(self, key: bytes) -> bytes | None:
        owner = self.owner(key)
        return owner if owner in self._all else None

    def cover(self, key: bytes) -> bytes:
        return self._owners[bisect.bisect_right(self._owners, self.owner(key)) - 1]

    def encloser(self, key: bytes, closest: bytes) -> list[bytes]:
        """The closest encloser proof (RFC 5155 7.2.1): it exists, and the name one label longer does not. Where opt-out leaves a
        node without a record, the nearest one above that has one."""
        while True:
            found = self.match(closest)
            if found is not None or closest == self.origin:
                break
            closest = names.parent(closest)
        nearer = names.tail(key, names.count(closest) + 1)
        return [*([found] if found else []), self.cover(nearer)]

    def absent(self, key: bytes, closest: bytes, wildcard: bool) -> list[bytes]:
        """RFC 5155 7.2.2; of a wildcard's answer 7.2.6."""
        if wildcard:
            return [self.cover(names.tail(key, names.count(closest) + 1))]
        return [*self.encloser(key, closest), self.cover(b"\1*" + closest)]

    def no_data(self, key: bytes, closest: bytes, wildcard: bool) -> list[bytes]:
        """RFC 5155 7.2.3; of a wildcard 7.2.5."""
        if wildcard:
            return [*self.encloser(key, closest), self.match(b"\1*" + closest) or self.cover(b"\1*" + closest)]
        found = self.match(key)
        return [found] if found else self.encloser(key, names.parent(key))

    def no_ds(self, key: bytes, closest: bytes) -> list[bytes]:
        """RFC 5155 7.2.7."""
        found = self.match(key)
        return [found] if found else self.encloser(key, names.parent(key))


Chain = NsecChain | Nsec3Chain
