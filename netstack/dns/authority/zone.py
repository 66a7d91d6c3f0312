"""A zone: its records, how they change, and its answers.

Records live in two stores (`store.py`): a tree of names, and beside it the owners of NSEC3 records, which nobody who asks for one
finds as a name (RFC 5155 7.2.8). Every change is a draft first (`draft.py`). What `add` brings is gathered in one draft until
somebody looks: the records of a zone file come name by name, and each name is written once.
"""

from collections.abc import Iterable, Iterator

from ...errors import UsageError
from ...serial import lt
from .. import name as names
from .. import rdata as data
from ..message import Record
from ..numbers import Class, Rcode, Type, type_number, type_text
from .denial import Chain, find_chain
from .draft import Draft, lawful_record
from .journal import Change, Journal, JournalConfig
from .node import Node, Set
from .store import Store
from .walk import MOST_ALIASES, Reply, Walk

__all__ = ["MOST_ALIASES", "Node", "Reply", "Set", "Zone"]

_GATHERED = 256  # names in a draft before it is written
_REBUILD = 1000  # names in a change from which on the chain of proofs is made anew instead of mended


class Zone:
    """Of class IN. `add`, `remove` and `apply` change it, `answer` looks things up.

    `version` moves with every change. `journal` has the changes from serial to serial.
    """

    def __init__(self, origin: bytes, journal: JournalConfig | None = None) -> None:
        self.name = origin
        self.origin = names.key(names.check(origin))
        self.version = 0
        self._expired = False
        self.journal = Journal(journal)
        self._tree = Store(origin)
        self._hashes = Store(origin)
        self._pending: Draft | None = None
        self._apex: Node | None = None  # with its SOA
        self._chain: Chain | None = None
        self._chain_is_old = True

    # -- to change it ---------------------------------------------------------------------------------------------------------

    def add(self, owner: "bytes | str", type: "int | str", ttl: int, value: "bytes | str") -> None:
        """One record: names and data in wire form, or as text, relative to the zone. Adding it twice is adding it once.

        Raises UsageError for a name outside of the zone, for data that is not its type's, and for what can't stand together: a
        CNAME with other data (RFC 2181 10.1), two SOAs, two CNAMEs, two DNAMEs.
        """
        owner, kind = self._name(owner), self._type(type)
        if isinstance(value, str):
            value = data.from_text(kind, value, self.name)
        self.take(owner, kind, ttl, value)

    def take(self, owner: bytes, type: int, ttl: int, value: bytes, *, sure: bool = False) -> None:
        """`add` of wire form alone; `sure`: name, TTL and value are known to be lawful, because the caller made them."""
        draft = self._pending
        if draft is None:
            draft = self._pending = Draft(self.name, self._look)
            self.journal.clear()
        draft.add(owner, type, ttl, value, sure=sure)
        self.version += 1
        if draft.size() >= _GATHERED:
            self._settle()

    def remove(self, owner: "bytes | str", type: "int | str | None" = None, value: "bytes | str | None" = None) -> int:
        """All of `owner`, its records of one type, or one record; how many that were. Signatures are records of type RRSIG.

        Raises UsageError for the SOA: a zone can't be without, and `apply` replaces it.
        """
        owner, kind = self._name(owner), None if type is None else self._type(type)
        if value is not None and kind is None:
            raise UsageError("a value without its type: say of which type the record is that is to be removed")
        if isinstance(value, str):
            value = data.from_text(kind or 0, value, self.name)
        self._settle()
        draft = Draft(self.name, self._look)
        had = draft.soa()
        gone = draft.remove(owner, kind, value)
        if had is not None and draft.soa() is None:
            raise UsageError(f"the zone {names.text(self.name)} can't be without its SOA: give another one to apply()")
        if gone:
            self.journal.clear()
            self.version += 1
            self._commit(draft)
        return gone

    def apply(self, removed: Iterable[Record], added: Iterable[Record]) -> None:
        """A change as a whole: first all of `removed`, then all of `added`, or UsageError, and nothing happened.

        Removed records must be there, whatever their TTL; added ones are held to what `add` demands. A SOA that is added takes the
        place of the one before, and where its serial is the later one the journal has the change; without a new serial the journal
        forgets what it knew. The TTL of a set is that of the record which was added to it last.
        """
        self._settle()
        draft = Draft(self.name, self._look)
        old = draft.soa()
        for r in removed:
            if not draft.remove(lawful_record(r).name, r.type, r.rdata):
                what = f"{type_text(r.type)} {data.to_text(r.type, r.rdata)}"
                raise UsageError(f"{names.text(r.name)} has no such record to remove: {what}")
        for r in added:
            if r.type == Type.SOA and names.key(r.name) == self.origin:
                draft.replace_soa(lawful_record(r))
            else:
                draft.add(lawful_record(r).name, r.type, r.ttl, r.rdata, latest=True)
        new = draft.soa()
        if old is not None and new is None:
            raise UsageError(f"the zone {names.text(self.name)} can't be without its SOA: add the new one in the same change")
        gone, come = draft.difference()
        if gone or come:
            self._commit(draft)
            self.version += 1
            self._note(old, new, gone, come)

    def draft(self) -> Draft:
        """A change to be thought out: its `difference` is for `apply`."""
        self._settle()
        return Draft(self.name, self._look)

    def _note(self, old: Set | None, new: Set | None, gone: list[Record], come: list[Record]) -> None:
        """Into the journal, the SOAs first."""
        if old is None or new is None or not lt(_serial(old), _serial(new)):
            self.journal.clear()
            return
        first = Record(self.name, Type.SOA, Class.IN, old.ttl, old.rdatas[0])
        last = Record(self.name, Type.SOA, Class.IN, new.ttl, new.rdatas[0])
        removed = (first, *(r for r in gone if r.type != Type.SOA))
        added = (last, *(r for r in come if r.type != Type.SOA))
        self.journal.append(Change(_serial(old), _serial(new), removed, added))

    def _name(self, owner: "bytes | str") -> bytes:
        return names.parse(owner, self.name) if isinstance(owner, str) else owner

    @staticmethod
    def _type(type: "int | str") -> int:
        return type_number(type) if isinstance(type, str) else int(type)

    def _look(self, key: bytes, hashed: bool) -> Node | None:
        store = self._hashes if hashed else self._tree
        found = store.find(key[: len(key) - len(self.origin)])
        return store.node(found) if found else None

    def _settle(self) -> None:
        """Write what `add` has gathered."""
        draft = self._pending
        if draft is not None:
            self._pending = None
            self._commit(draft)

    def _commit(self, draft: Draft) -> None:
        chain = None if self._chain_is_old else self._chain
        if draft.size() > _REBUILD or self._signs_otherwise(draft):
            self._chain_is_old, chain = True, None
        n = len(self.origin)
        for store, touched in ((self._tree, draft.nodes), (self._hashes, draft.hashed)):
            for key, node in touched.items():
                name = node.name[: len(node.name) - n]
                if chain is None or chain.store is not store:
                    store.put(name, node.sets)
                    continue
                found = store.find(key[: len(key) - n])
                if found and chain.holds(store.get(found, chain.type)):
                    chain.circle.leave(found, key[: len(key) - n])
                found = store.put(name, node.sets)
                if found and chain.holds(node.sets.get(chain.type)):
                    chain.circle.enter(found)
        if self.origin in draft.nodes:
            apex = self._tree.node(self._tree.find(b""))
            self._apex = apex if Type.SOA in apex.sets and apex.sets[Type.SOA].rdatas else None

    def _signs_otherwise(self, draft: Draft) -> bool:
        """Will the chain be another one, and not only have other records?"""
        apex = draft.nodes.get(self.origin)
        if apex is not None:
            before = self._tree.get(self._tree.find(b""), Type.NSEC3PARAM)
            after = apex.sets.get(Type.NSEC3PARAM)
            if (before.rdatas if before else ()) != (after.rdatas if after else ()):
                return True
        return self._chain is None and (bool(draft.hashed) or any(Type.NSEC in node.sets for node in draft.nodes.values()))

    # -- what it has ----------------------------------------------------------------------------------------------------------

    @property
    def expired(self) -> bool:
        """A copy whose primaries have not been heard of for too long (RFC 1035 3.3.13): nothing is answered from it."""
        return self._expired

    @expired.setter
    def expired(self, expired: bool) -> None:
        self.version += expired != self._expired
        self._expired = expired

    @property
    def serial(self) -> int:
        """Of its SOA. Raises UsageError where it has none yet."""
        self._settle()
        if self._apex is None:
            raise UsageError(f"the zone {names.text(self.name)} has no SOA yet, and so no serial")
        return _serial(self._apex.sets[Type.SOA])

    def rrset(self, owner: "bytes | str", type: "int | str") -> Set | None:
        """What stands there, with its signatures; None where there are no such records. No wildcard, alias or cut is looked at."""
        key, kind = names.key(self._name(owner)), self._type(type)
        self._settle()
        node = self._look(key, kind == Type.NSEC3) if names.under(key, self.origin) else None
        kept = None if node is None else node.sets.get(kind)
        return kept if kept is not None and kept.rdatas else None

    def records(self) -> Iterator[Record]:
        """All of them as they are now, whatever changes while they are read: the SOA first, and not again at the end."""
        self._settle()
        return self._read(self._apex, self._tree.nodes(), self._hashes.nodes())

    def _read(self, apex: Node | None, *parts: Iterator[Node]) -> Iterator[Record]:
        if apex is not None:
            yield Record(self.name, Type.SOA, Class.IN, apex.sets[Type.SOA].ttl, apex.sets[Type.SOA].rdatas[0])
        for part in parts:
            for node in part:
                yield from (r for r in node.records() if r.type != Type.SOA)

    @property
    def tree(self) -> Store:
        """Which names there are: for who only wants to know whether there is one. Until `version` moves."""
        self._settle()
        return self._tree

    def chain(self) -> Chain | None:
        """The proofs of a signed zone; None where it has none. Built when it is first needed, which takes a second or two for a
        million names, and mended by small changes."""
        self._settle()
        if self._chain_is_old:
            self._chain_is_old = False
            self._chain = find_chain(self._tree, self._hashes)
        return self._chain

    # -- to ask it ------------------------------------------------------------------------------------------------------------

    def answer(self, name: bytes, type: int, dnssec: bool = False) -> Reply:
        """What the zone says of `name` and `type`; with `dnssec` signatures and proofs too. REFUSED for a name outside of it,
        SERVFAIL for a zone without a SOA, or an expired one."""
        self._settle()
        inside = names.under(name.lower(), self.origin)
        if inside and self._apex is not None and not self._expired:
            return Walk(self._tree, self._hashes, self._apex, self.chain() if dnssec else None, dnssec).answer(name, type)
        reply = Reply()
        reply.rcode, reply.aa = int(Rcode.SERVFAIL if inside else Rcode.REFUSED), False
        return reply


def _serial(soa: Set) -> int:
    return int.from_bytes(soa.rdatas[0][-20:-16], "big")
