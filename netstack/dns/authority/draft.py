"""A change of a zone before it happens: copies of the nodes that it touches, as they will be. Everything that a zone refuses is
refused here, so that a change happens as a whole or not at all.
"""

from collections.abc import Callable

from ...errors import UsageError, WireError
from .. import name as names
from .. import rdata as data
from ..message import Record
from ..numbers import Class, Type, type_text
from .node import Node, Set, canonical, covered

MOST_OCTETS = 65000  # of a set, in a message: what is larger can be sent to nobody
MOST_TYPES = 100  # of a name: each look-up and each change reads them all (BIND's bound, after CVE-2024-1737)

_ALONE = frozenset((int(Type.CNAME), int(Type.DNAME), int(Type.SOA)))
_BESIDE_CNAME = frozenset((int(Type.NSEC), int(Type.NSEC3), int(Type.CNAME), int(Type.KEY)))  # RFC 2181 10.1, RFC 4035 2.5
_NO_DATA = frozenset((0, int(Type.OPT), *range(128, 256)))  # RFC 6895 3.1: meta-types and types of questions

Look = Callable[[bytes, bool], Node | None]  # by key, among the names or the owners of NSEC3 records; not to be changed


class Draft:
    """`nodes` and `hashed`, by key, are what has been touched, and may be empty now; `look` gives what is there until then."""

    def __init__(self, name: bytes, look: Look) -> None:
        self.name = name
        self.origin = names.key(name)
        self.look = look
        self.nodes: dict[bytes, Node] = {}
        self.hashed: dict[bytes, Node] = {}

    def size(self) -> int:
        """How many names it touches."""
        return len(self.nodes) + len(self.hashed)

    def add(self, owner: bytes, type: int, ttl: int, value: bytes, *, latest: bool = False, sure: bool = False) -> None:
        """One record more. A set has one TTL (RFC 2181 5.2): the least of its records', or the `latest`. `sure`: the value is known
        to be lawful. Raises UsageError."""
        key = names.key(owner)
        if not names.under(key, self.origin):
            raise UsageError(f"{names.text(owner)} is not in the zone {names.text(self.name)}")
        if not sure:
            self._lawful(owner, type, value)
        if not 0 <= ttl <= 0x7FFFFFFF:
            raise UsageError(f"a TTL of {ttl} seconds: between 0 and 2147483647 are possible")  # RFC 2181 8
        kind = covered(type, value)
        node = self._open(key, owner, kind == Type.NSEC3)
        kept = node.sets.get(kind)
        if kept is None:
            if len(node.sets) >= MOST_TYPES:
                raise UsageError(f"{names.text(owner)} has {MOST_TYPES} types of records already, and can't have more")
            kept = Set(ttl)
        if type == Type.RRSIG:
            there = kept.signatures
            grown = there if _found(there, type, value) >= 0 else (*there, value)
            node.sets[kind] = Set(kept.ttl if kept.rdatas else ttl, kept.rdatas, grown)
            return
        self._compatible(node, key, type, value)
        there = kept.rdatas
        if not there or latest:
            pass
        elif kept.ttl < ttl:
            ttl = kept.ttl
        if _found(there, type, value) < 0:
            if there and sum(map(len, there)) + 12 * len(there) + len(value) + 12 > MOST_OCTETS:
                raise UsageError(f"{names.text(owner)} has {len(there)} records {type_text(type)}: no message holds one more")
            there = (*there, value)
        node.sets[kind] = Set(ttl, there, kept.signatures)

    def replace_soa(self, record: Record) -> None:
        """The apex loses its SOA, and gets this one."""
        node = self._open(self.origin, self.name, False)
        kept = node.sets.get(Type.SOA)
        if kept is not None:
            node.sets[Type.SOA] = Set(kept.ttl, (), kept.signatures)
        self.add(record.name, record.type, record.ttl, record.rdata, latest=True)

    def remove(self, owner: bytes, type: int | None, value: bytes | None) -> int:
        """What there is of `owner`, of one type of it, or one record; how many that were."""
        key = names.key(owner)
        gone = 0
        for hashed in (False, True):
            before = (self.hashed if hashed else self.nodes).get(key) or self.look(key, hashed)
            if before is None:
                continue
            node = Node(before.name)
            for kind, kept in before.sets.items():
                rdatas = kept.rdatas if type not in (None, kind) else _without(kept.rdatas, kind, value)
                signed = kept.signatures if type not in (None, Type.RRSIG) else _without(kept.signatures, Type.RRSIG, value)
                gone += len(kept.rdatas) + len(kept.signatures) - len(rdatas) - len(signed)
                if rdatas or signed:
                    node.sets[kind] = Set(kept.ttl, rdatas, signed)
            (self.hashed if hashed else self.nodes)[key] = node
        return gone

    def at(self, key: bytes) -> dict[int, Set]:
        """What will stand at a name, its NSEC3 records too; not to be changed."""
        node = self.nodes.get(key) or self.look(key, False)
        proof = self.hashed.get(key) or self.look(key, True)
        return {**({} if node is None else node.sets), **({} if proof is None else proof.sets)}

    def soa(self) -> Set | None:
        """As it will be."""
        node = self.nodes.get(self.origin) or self.look(self.origin, False)
        kept = None if node is None else node.sets.get(Type.SOA)
        return kept if kept is not None and kept.rdatas else None

    def difference(self) -> tuple[list[Record], list[Record]]:
        """What is there and will not be, and what will be and is not."""
        removed: list[Record] = []
        added: list[Record] = []
        for hashed, touched in ((False, self.nodes), (True, self.hashed)):
            for key, node in touched.items():
                before = self.look(key, hashed)
                old = {} if before is None else {_identity(r): r for r in before.records()}
                new = {_identity(r): r for r in node.records()}
                removed += [r for identity, r in old.items() if identity not in new]
                added += [r for identity, r in new.items() if identity not in old]
        return removed, added

    def _open(self, key: bytes, owner: bytes, hashed: bool) -> Node:
        touched = self.hashed if hashed else self.nodes
        node = touched.get(key)
        if node is None:
            before = self.look(key, hashed)
            node = touched[key] = Node(owner) if before is None else Node(before.name, dict(before.sets))
        return node

    @staticmethod
    def _lawful(owner: bytes, type: int, value: bytes) -> None:
        try:
            names.check(owner)
            data.unpack(type, value)
        except WireError as error:
            raise UsageError(f"{names.text(owner)}: {error}") from None
        if type in _NO_DATA:
            raise UsageError(f"{names.text(owner)} can't have a record {type_text(type)}: that is no type of data")

    def _compatible(self, node: Node, key: bytes, type: int, value: bytes) -> None:
        """What can't stand together: a CNAME with other data (RFC 2181 10.1), two SOAs, two CNAMEs, two DNAMEs."""
        sets = node.sets
        if type not in _BESIDE_CNAME and Type.CNAME in sets and sets[Type.CNAME].rdatas:
            raise UsageError(f"{names.text(node.name)} has a CNAME, and a CNAME stands alone: {type_text(type)} can't be added")
        if type not in _ALONE:
            return
        if type == Type.CNAME and any(kept.rdatas for kind, kept in sets.items() if kind not in _BESIDE_CNAME):
            raise UsageError(f"{names.text(node.name)} has other records, and a CNAME stands alone: it can't be added")
        if type in sets and sets[type].rdatas and _found(sets[type].rdatas, type, value) < 0:
            raise UsageError(f"{names.text(node.name)} has a {type_text(type)} already, and can have one")
        if type == Type.SOA and key != self.origin:
            raise UsageError(f"a SOA stands at the apex of its zone, {names.text(self.name)}, not at {names.text(node.name)}")


def _found(there: tuple[bytes, ...], type: int, value: bytes) -> int:
    """Where among `there` the same record stands, or -1."""
    if not there:
        return -1
    if value in there:
        return there.index(value)
    plain = canonical(type, value)
    if plain is value:  # no names in it
        return -1
    return next((i for i, other in enumerate(there) if canonical(type, other) == plain), -1)


def _without(there: tuple[bytes, ...], type: int, value: bytes | None) -> tuple[bytes, ...]:
    if value is None:
        return ()
    i = _found(there, type, value)
    return there if i < 0 else there[:i] + there[i + 1 :]


def _identity(r: Record) -> tuple[int, int, bytes]:
    return r.type, r.ttl, r.rdata


def lawful_record(record: Record) -> Record:
    """A record that a zone can have by its class. Raises UsageError."""
    if record.rclass != Class.IN:
        raise UsageError(f"{names.text(record.name)} is of class {record.rclass}: a zone here is of class IN")
    return record
