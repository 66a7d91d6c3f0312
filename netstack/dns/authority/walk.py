"""What an authoritative server answers from a zone (RFC 1034 4.3.2, RFC 4592, RFC 6672).

The walk goes from the apex towards the name, one label at a time, and the first thing that it meets decides: a delegation ends our
authority, a DNAME rewrites what is below it, a name that isn't there asks for the wildcard of the last one that is. Names between,
which have no records but others below them (empty non-terminals), are there: below them no wildcard from above applies.

A CNAME is followed inside of the zone, at most `MOST_ALIASES` times and once around a circle: a zone can be a maze, and is written
by others than who serves it.

Signed zones are served as they are: signatures go with their sets, and `denial.py` chooses the records that prove what is missing.

Inside, names are relative to the zone: `b""` is its apex.
"""

from .. import const as dc
from .. import name as names
from ..message import Message, Question, Record
from ..numbers import Rcode
from .denial import Chain
from .node import Node, Set
from .store import Store

MOST_ALIASES = 16

_TARGETS: dict[int, int] = {dc.NS: 0, dc.MX: 2, 33: 6}  # where a name stands whose addresses are worth adding; 33 is SRV


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


class Walk:
    """One question, from the `tree` of names of a zone and the `hashes` of its NSEC3 records. `apex` is the zone's own node, with
    its SOA; `chain` the proofs of a signed zone, None where there are none or nobody asked."""

    __slots__ = ("apex", "chain", "dnssec", "hashes", "origin", "proven", "reply", "tree")

    def __init__(self, tree: Store, hashes: Store, apex: Node, chain: Chain | None, dnssec: bool) -> None:
        self.tree = tree
        self.hashes = hashes
        self.origin = tree.suffix.lower()
        self.apex = apex
        self.chain = chain
        self.dnssec = dnssec
        self.reply = Reply()
        self.proven: list[int] = []

    def answer(self, name: bytes, type: int) -> Reply:
        for _ in range(MOST_ALIASES + 1):
            target = self.step(name, type)
            if target is None or not names.under(target.lower(), self.origin):
                break
            if self.said(target, dc.CNAME):  # a circle
                break
            name = target
        self.add_addresses()
        return self.reply

    def step(self, name: bytes, type: int) -> bytes | None:
        """Answer for one name of a chain; the next name where it is an alias."""
        key = name.lower()
        key = key[: len(key) - len(self.origin)]
        ends = [len(key)]  # where its labels begin, behind the last one first
        o = 0
        while o < len(key):
            ends.insert(1, o)
            o += key[o] + 1
        depth = 0
        last = len(ends) - 1
        closest = b""
        found = self.tree.find(closest)
        while True:
            if depth and self.tree.has(found, dc.NS) and not (depth == last and type == dc.DS):
                self.refer(found, closest)
                return None
            if depth == last:
                return self.at(name, key, type, self.tree.node(found) if depth else self.apex, None)
            if self.tree.has(found, dc.DNAME):
                target = self.rename(name, len(key) - len(closest), found)
                return None if type == dc.CNAME or type == dc.ANY else target
            below = key[ends[depth + 1] :]
            found = self.tree.find(below)
            if found == 0:
                break
            closest = below
            depth += 1
        found = self.tree.find(b"\1*" + closest)  # RFC 4592 3.3.1: the wildcard of the closest encloser, or none at all
        if found:
            return self.at(name, key, type, self.tree.node(found), closest)
        self.reply.rcode = int(Rcode.NXDOMAIN)  # of the last name of a chain (RFC 6604 3)
        self.deny()
        if self.chain is not None:
            self.prove(self.chain.absent(key, closest, wildcard=False))
        return None

    def at(self, name: bytes, key: bytes, type: int, node: Node, closest: bytes | None) -> bytes | None:
        """The node is found; `closest` when it is a wildcard's."""
        sets = node.sets
        kept: Set | None
        kind = type
        if type == dc.ANY:  # RFC 8482 4.1: one set is enough
            kind = self.some(sets)
        elif type == dc.RRSIG:
            self.signatures(name, key, node, closest)
            return None
        kept = sets.get(kind)
        if (kept is None or not kept.rdatas) and dc.CNAME in sets and kind:
            kind = dc.CNAME
            kept = sets[dc.CNAME]
        if kept is None or not kept.rdatas:
            self.nothing(key, closest)
            return None
        self.put(self.reply.answer, name, kind, kept, self.dnssec)
        if closest is not None and self.chain is not None:
            self.prove(self.chain.absent(key, closest, wildcard=True))
        if kind == dc.CNAME and type != dc.CNAME and type != dc.ANY:
            target: bytes = kept.rdatas[0]
            return target
        return None

    def some(self, sets: dict[int, Set]) -> int:
        """A type of which there are records, or 0."""
        for kind, kept in sets.items():
            if kept.rdatas:
                return kind
        return 0

    def signatures(self, name: bytes, key: bytes, node: Node, closest: bytes | None) -> None:
        """Who asks for the signatures alone gets them all."""
        any = False
        for kept in node.sets.values():
            for value in kept.signatures:
                self.reply.answer.append(Record(name, dc.RRSIG, dc.IN, kept.ttl, value))
                any = True
        if not any:
            self.nothing(key, closest)
        elif closest is not None and self.chain is not None:
            self.prove(self.chain.absent(key, closest, wildcard=True))

    def nothing(self, key: bytes, closest: bytes | None) -> None:
        """The name is there, or a wildcard for it, and no such type."""
        self.deny()
        if self.chain is not None:
            self.prove(self.chain.no_data(key, key if closest is None else closest, wildcard=closest is not None))

    def rename(self, name: bytes, n: int, found: int) -> bytes | None:
        """RFC 6672 3: the DNAME, and a CNAME made from it. `n` octets of `name` stand before the DNAME's owner."""
        kept = self.tree.get(found, dc.DNAME)
        assert kept is not None
        owner = self.tree.name(found)
        if not self.said(owner, dc.DNAME):  # a chain can come to it more than once
            self.put(self.reply.answer, owner, dc.DNAME, kept, self.dnssec)
        target: bytes = name[:n] + kept.rdatas[0]
        if len(target) > dc.MAX_NAME:
            self.reply.rcode = int(Rcode.YXDOMAIN)
            return None
        self.reply.answer.append(Record(name, dc.CNAME, dc.IN, kept.ttl, target))
        return target

    def refer(self, found: int, cut: bytes) -> None:
        """Below here others know more."""
        reply = self.reply
        reply.aa = bool(reply.answer)  # AA is about the first name of a chain (RFC 1034 4.3.2)
        node = self.tree.node(found)
        servers: Set = node.sets[dc.NS]
        self.put(reply.authority, node.name, dc.NS, servers, False)
        if self.chain is not None:
            kept = self.tree.get(found, dc.DS)
            if kept is not None:
                self.put(reply.authority, node.name, dc.DS, kept, True)
            else:
                self.prove(self.chain.no_ds(cut))
        cut += self.origin
        for target in servers.rdatas:
            if names.under(target.lower(), cut):
                reply.glue = True

    # -- sections -------------------------------------------------------------------------------------------------------------

    def said(self, owner: bytes, type: int) -> bool:
        """Is it in the answer? A message has each set once (RFC 2181 5)."""
        key = owner.lower()
        for r in self.reply.answer:  # noqa: SIM110 (a generator can't be compiled here)
            if r.type == type and r.name.lower() == key:
                return True
        return False

    def put(self, section: list[Record], owner: bytes, type: int, kept: Set, dnssec: bool) -> None:
        for value in kept.rdatas:
            section.append(Record(owner, type, dc.IN, kept.ttl, value))
        if dnssec:
            for value in kept.signatures:
                section.append(Record(owner, dc.RRSIG, dc.IN, kept.ttl, value))

    def deny(self) -> None:
        """The SOA, which says for how long nothing is there (RFC 2308 3)."""
        kept: Set = self.apex.sets[dc.SOA]
        ttl = min(kept.ttl, int.from_bytes(kept.rdatas[0][-4:], "big"))
        self.put(self.reply.authority, self.apex.name, dc.SOA, Set(ttl, kept.rdatas, kept.signatures), self.dnssec)

    def prove(self, ids: list[int]) -> None:
        assert self.chain is not None
        type = self.chain.type
        store = self.hashes if type == dc.NSEC3 else self.tree
        for id in ids:
            if id not in self.proven:
                self.proven.append(id)
                kept = store.get(id, type)
                if kept is not None:
                    self.put(self.reply.authority, store.name(id), type, kept, True)

    def add_addresses(self) -> None:
        """Addresses of the servers that are named, where we have them: for name servers also glue, below a cut and without
        signatures."""
        done: list[int] = []
        for section in (self.reply.answer, self.reply.authority):
            for r in section:
                if r.type not in _TARGETS:
                    continue
                target = r.rdata[_TARGETS[r.type] :].lower()
                if not names.under(target, self.origin):
                    continue
                target = target[: len(target) - len(self.origin)]
                found = self.tree.find(target)
                if found == 0 or found in done or (r.type != dc.NS and self.hidden(target)):
                    continue
                done.append(found)
                for type in (dc.A, dc.AAAA):
                    kept = self.tree.get(found, type)
                    if kept is not None:
                        self.put(self.reply.additional, self.tree.name(found), type, kept, self.dnssec)

    def hidden(self, key: bytes) -> bool:
        """Is it not ours to tell, because it stands at or below a cut, or below a DNAME?"""
        first = True
        while key:
            found = self.tree.find(key)
            if self.tree.has(found, dc.NS) or (not first and self.tree.has(found, dc.DNAME)):
                return True
            first = False
            key = key[key[0] + 1 :]
        return False
