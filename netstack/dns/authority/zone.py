"""A zone, and what an authoritative server answers from it (RFC 1034 4.3.2, RFC 4592, RFC 6672).

The walk goes from the apex towards the name, one label at a time, and the first thing that it meets decides: a delegation ends our
authority, a DNAME rewrites what is below it, a name that isn't there asks for the wildcard of the last one that is. Names between,
which have no records but others below them (empty non-terminals), are there: below them no wildcard from above applies.

A CNAME is followed inside of the zone, at most `MOST_ALIASES` times: a zone can be a maze, and is written by others than who serves
it.

Signed zones are served as they are: signatures go with their sets, and `denial.py` chooses the records that prove what is missing.
"""

from collections.abc import Iterable, Iterator

from ...errors import UsageError
from ...serial import lt
from .. import name as names
from .. import rdata as data
from ..message import Message, Question, Record
from ..numbers import Class, Rcode, Type, type_number, type_text
from .denial import Chain, Nsec3Chain, NsecChain
from .draft import Draft, lawful_record
from .journal import Change, Journal, JournalConfig
from .node import Node, Set

MOST_ALIASES = 16

_TARGETS = {int(Type.NS): 0, int(Type.MX): 2, int(Type.SRV): 6}  # where a name stands whose addresses are worth adding


class Reply:
    """Sections, rcode, AA. `glue`: without its additional section it is of no use, and has to be truncated (RFC 9471)."""

    __slots__ = ("aa", "additional", "answer", "authority", "glue", "rcode")

    def __init__(self) -> None:
        self.rcode = int(Rcode.NOERROR)
        self.aa = True
        self.glue = False
        self.answer: list[Record] = []
        self.authority: list[Record] = []
        self.additional: list[Record] = []

    def message(self, name: bytes, type: int, id: int = 0, flags: int = 0) -> Message:
        """The response to that question; `flags` are what else is to be set: RD as the client had it."""
        m = Message(id, 0x8000 | (0x0400 if self.aa else 0) | flags | self.rcode)
        m.question.append(Question(name, type))
        m.answer, m.authority, m.additional = self.answer, self.authority, self.additional
        return m


class Zone:
    """Of class IN. `add`, `remove` and `apply` change it, `answer` looks things up.

    `version` moves with every change. `journal` has the changes from serial to serial.
    """

    def __init__(self, origin: bytes, journal: JournalConfig | None = None) -> None:
        self.name = origin
        self.origin = names.key(names.check(origin))
        self.version = 0
        self.journal = Journal(journal)
        self.nodes: dict[bytes, Node] = {self.origin: Node(origin)}
        self.hashed: dict[bytes, Node] = {}  # owners of NSEC3 records: nobody who asks for one finds a name (RFC 5155 7.2.8)
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
        draft = Draft(self.name, self._look)
        draft.add(owner, kind, ttl, value)
        self.journal.clear()
        self._commit(draft)

    def remove(self, owner: "bytes | str", type: "int | str | None" = None, value: "bytes | str | None" = None) -> int:
        """All of `owner`, its records of one type, or one record; how many that were. Signatures are records of type RRSIG.

        Raises UsageError for the SOA: a zone can't be without, and `apply` replaces it.
        """
        owner, kind = self._name(owner), None if type is None else self._type(type)
        if value is not None and kind is None:
            raise UsageError("a value without its type: say of which type the record is that is to be removed")
        if isinstance(value, str):
            value = data.from_text(kind or 0, value, self.name)
        draft = Draft(self.name, self._look)
        had = draft.soa()
        gone = draft.remove(owner, kind, value)
        if had is not None and draft.soa() is None:
            raise UsageError(f"the zone {names.text(self.name)} can't be without its SOA: give another one to apply()")
        if gone:
            self.journal.clear()
            self._commit(draft)
        return gone

    def apply(self, removed: Iterable[Record], added: Iterable[Record]) -> None:
        """A change as a whole: first all of `removed`, then all of `added`, or UsageError, and nothing happened.

        Removed records must be there, whatever their TTL; added ones are held to what `add` demands. A SOA that is added takes the
        place of the one before, and where its serial is the later one the journal has the change; without a new serial the journal
        forgets what it knew. The TTL of a set is that of the record which was added to it last.
        """
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
            self._note(old, new, gone, come)
            self._commit(draft)

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
        return (self.hashed if hashed else self.nodes).get(key)

    def _commit(self, draft: Draft) -> None:
        self.version += 1
        self._chain_is_old = True
        for key, node in draft.nodes.items():
            if node.sets:
                self._node(node.name, key).sets = node.sets
            elif key in self.nodes:
                self.nodes[key].sets = {}
                self._prune(key)
        for key, node in draft.hashed.items():
            if node.sets:
                self.hashed[key] = node
            else:
                self.hashed.pop(key, None)

    def _prune(self, key: bytes) -> None:
        """What has neither records nor names below is no empty non-terminal."""
        while key != self.origin and not self.nodes[key].sets and not any(names.parent(other) == key for other in self.nodes):
            del self.nodes[key]
            key = names.parent(key)

    def _node(self, owner: bytes, key: bytes) -> Node:
        """The node of `owner`, made with all between it and the apex."""
        found = self.nodes.get(key)
        if found is None:
            found = self.nodes[key] = Node(owner)
            above, upper = names.parent(key), names.parent(owner)
            while above not in self.nodes:
                self.nodes[above] = Node(upper)
                above, upper = names.parent(above), names.parent(upper)
        return found

    # -- what it has ----------------------------------------------------------------------------------------------------------

    @property
    def serial(self) -> int:
        """Of its SOA. Raises UsageError where it has none yet."""
        kept = self._soa()
        if not kept.rdatas:
            raise UsageError(f"the zone {names.text(self.name)} has no SOA yet, and so no serial")
        return _serial(kept)

    def rrset(self, owner: "bytes | str", type: "int | str") -> Set | None:
        """What stands there, with its signatures; None where there are no such records. No wildcard, alias or cut is looked at."""
        key, kind = names.key(self._name(owner)), self._type(type)
        node = self._look(key, kind == Type.NSEC3)
        kept = None if node is None else node.sets.get(kind)
        return kept if kept is not None and kept.rdatas else None

    def records(self) -> Iterator[Record]:
        """All of them as they are now, whatever changes while they are read: the SOA first, and not again at the end."""
        everything = [r for nodes in (self.nodes, self.hashed) for node in nodes.values() for r in node.records()]
        return iter([r for r in everything if r.type == Type.SOA] + [r for r in everything if r.type != Type.SOA])

    def chain(self) -> Chain | None:
        """The proofs of a signed zone; None where it has none. Built when it is first needed after a change."""
        if self._chain_is_old:
            self._chain_is_old = False
            self._chain = self._find_chain()
        return self._chain

    def _find_chain(self) -> Chain | None:
        apex = self.nodes[self.origin].sets
        if Type.NSEC3PARAM in apex and apex[Type.NSEC3PARAM].rdatas:
            _, _, iterations, salt = data.unpack(Type.NSEC3PARAM, apex[Type.NSEC3PARAM].rdatas[0])
            head = iterations.to_bytes(2, "big") + bytes((len(salt),)) + salt
            owners = [key for key, node in self.hashed.items() if self._has(node, Type.NSEC3, head)]
            return Nsec3Chain(self.origin, owners, salt, iterations) if owners else None
        owners = [key for key, node in self.nodes.items() if self._has(node, Type.NSEC, b"")]
        return NsecChain(owners) if owners else None

    @staticmethod
    def _has(node: Node, type: int, head: bytes) -> bool:
        return any(value[2:].startswith(head) for value in node.sets[type].rdatas) if type in node.sets else False

    # -- to ask it ------------------------------------------------------------------------------------------------------------

    def answer(self, name: bytes, type: int, dnssec: bool = False) -> Reply:
        """What the zone says of `name` and `type`; with `dnssec` signatures and proofs too. REFUSED for a name outside of it,
        SERVFAIL for a zone without a SOA."""
        reply = Reply()
        if not names.under(names.key(name), self.origin):
            reply.rcode, reply.aa = int(Rcode.REFUSED), False
        elif not self._soa().rdatas:
            reply.rcode, reply.aa = int(Rcode.SERVFAIL), False
        else:
            for _ in range(MOST_ALIASES + 1):
                target = self._step(reply, name, type, dnssec)
                if target is None or not names.under(names.key(target), self.origin):
                    break
                name = target
            self._add_addresses(reply, dnssec)
        return reply

    def _soa(self) -> Set:
        return self.nodes[self.origin].sets.get(Type.SOA) or Set(0)

    def _step(self, reply: Reply, name: bytes, type: int, dnssec: bool) -> bytes | None:
        """Answer for one name of a chain; the next name where it is an alias."""
        key = names.key(name)
        closest = self.origin
        depth = names.count(self.origin)
        last = names.count(key)
        node: Node | None = self.nodes[self.origin]
        while True:
            assert node is not None
            if depth > names.count(self.origin) and Type.NS in node.sets and not (depth == last and type == Type.DS):
                self._refer(reply, closest, node, dnssec)
                return None
            if depth == last:
                return self._at(reply, name, type, node, None, dnssec)
            if Type.DNAME in node.sets:
                return self._rename(reply, name, depth, node, dnssec)
            below = names.tail(key, depth + 1)
            node = self.nodes.get(below)
            if node is None:
                break
            closest, depth = below, depth + 1
        wild = self.nodes.get(b"\1*" + closest)  # RFC 4592 3.3.1: the wildcard of the closest encloser, or none at all
        if wild is not None:
            return self._at(reply, name, type, wild, closest, dnssec)
        reply.rcode = int(Rcode.NXDOMAIN)  # of the last name of a chain (RFC 6604 3)
        self._deny(reply, dnssec)
        if dnssec and (chain := self.chain()) is not None:
            self._prove(reply, chain.absent(key, closest, wildcard=False))
        return None

    def _at(self, reply: Reply, name: bytes, type: int, node: Node, closest: bytes | None, dnssec: bool) -> bytes | None:
        """The node is found; `closest` when it is a wildcard's."""
        key = names.key(name)
        chain = self.chain() if dnssec else None
        kind = type
        if type == Type.ANY:  # RFC 8482 4.1: one set is enough
            kind = next((t for t, kept in node.sets.items() if kept.rdatas), 0)
        elif Type.CNAME in node.sets and node.sets[Type.CNAME].rdatas and type != Type.NSEC:
            kind = int(Type.CNAME)
        found = node.sets.get(kind)
        if found is None or not found.rdatas:
            self._deny(reply, dnssec)
            if chain is not None:
                self._prove(reply, chain.no_data(key, closest or key, wildcard=closest is not None))
            return None
        self._put(reply.answer, name, kind, found, dnssec)
        if closest is not None and chain is not None:
            self._prove(reply, chain.absent(key, closest, wildcard=True))
        return found.rdatas[0] if kind == Type.CNAME and type not in (Type.CNAME, Type.ANY) else None

    def _rename(self, reply: Reply, name: bytes, depth: int, node: Node, dnssec: bool) -> bytes | None:
        """RFC 6672 3: the DNAME, and a CNAME made from it."""
        kept = node.sets[Type.DNAME]
        self._put(reply.answer, node.name, Type.DNAME, kept, dnssec)
        above = names.tail(name, depth)
        target = name[: len(name) - len(above)] + kept.rdatas[0]
        if len(target) > 255:
            reply.rcode = int(Rcode.YXDOMAIN)
            return None
        reply.answer.append(Record(name, Type.CNAME, Class.IN, kept.ttl, target))
        return target

    def _refer(self, reply: Reply, cut: bytes, node: Node, dnssec: bool) -> None:
        """Below here others know more."""
        reply.aa = bool(reply.answer)  # AA is about the first name of a chain (RFC 1034 4.3.2)
        self._put(reply.authority, node.name, Type.NS, node.sets[Type.NS], False)
        if dnssec and (chain := self.chain()) is not None:
            if Type.DS in node.sets:
                self._put(reply.authority, node.name, Type.DS, node.sets[Type.DS], True)
            else:
                self._prove(reply, chain.no_ds(cut, cut))
        reply.glue = any(names.under(names.key(target), cut) for target in node.sets[Type.NS].rdatas)

    # -- sections -------------------------------------------------------------------------------------------------------------

    def _put(self, section: list[Record], owner: bytes, type: int, kept: Set, dnssec: bool) -> None:
        section += [Record(owner, type, Class.IN, kept.ttl, value) for value in kept.rdatas]
        if dnssec:
            section += [Record(owner, Type.RRSIG, Class.IN, kept.ttl, value) for value in kept.signatures]

    def _deny(self, reply: Reply, dnssec: bool) -> None:
        """The SOA, which says for how long nothing is there (RFC 2308 3)."""
        kept = self._soa()
        brief = Set(min(kept.ttl, int.from_bytes(kept.rdatas[0][-4:], "big")), kept.rdatas, kept.signatures)
        self._put(reply.authority, self.name, Type.SOA, brief, dnssec)

    def _prove(self, reply: Reply, owners: list[bytes]) -> None:
        type = int(Type.NSEC3 if isinstance(self._chain, Nsec3Chain) else Type.NSEC)
        nodes = self.hashed if type == Type.NSEC3 else self.nodes
        there = {names.key(r.name) for r in reply.authority if r.type == type}
        for owner in owners:
            if owner not in there:
                there.add(owner)
                node = nodes[owner]
                self._put(reply.authority, node.name, type, node.sets[type], True)

    def _add_addresses(self, reply: Reply, dnssec: bool) -> None:
        """Addresses of the servers that are named, where we have them: glue below a cut, without signatures, or our own."""
        done: set[bytes] = set()
        for r in (*reply.answer, *reply.authority):
            if r.type not in _TARGETS:
                continue
            target = r.rdata[_TARGETS[r.type] :]
            key = names.key(target)
            node = self.nodes.get(key)
            if node is None or key in done:
                continue
            done.add(key)
            for type in (Type.A, Type.AAAA):
                if type in node.sets:
                    self._put(reply.additional, node.name, type, node.sets[type], dnssec)


def _serial(soa: Set) -> int:
    return int.from_bytes(soa.rdatas[0][-20:-16], "big")
