"""The iterative resolver: finds answers by walking from the root to who knows (RFC 1034 5.3.3), without a wire.

Who asks it says `seek`, and gets what is known, or a job (`walk.py`) that finds out. What is known stands in four tables: answers
in the cache, delegations in `cuts`, servers in `roster`, and what could not be found out in `failures`, so that nobody pays for it
again at once (RFC 9520). All are bounded; all work of a job is, too. What comes from servers passes through `scrub` first.

It does not validate: nothing here checks a signature, and no answer has AD. Signatures and proofs are asked for (DO), kept, and
handed to who wants to check them.

The numbers. An attacker needs a domain and a question to make us work, for himself or against others: NXNSAttack names many servers
that are not there, NRDelegation many that refuse, CAMP joins such referrals by aliases and minimised names, TsuNAME lets two zones
point at each other. One account pays for all that a question causes, however it is nested: `queries`. Within it no zone gets more
than `zone_queries`, no delegation more than `fetches` look-ups of its servers' names.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping

from attrs import evolve, field, frozen, validators

from ...signatures import Rng
from .. import const as dc
from .. import name as names
from .. import text
from ..message import Message, Question, Record
from ..mib import QueryMib, RecursionMib
from ..numbers import Ede, Rcode, Type
from . import hints as hints_
from .cache import SECOND, Cache, Credit, Found, Kind, key_of
from .cuts import FOREVER, Cut, Cuts
from .errand import Errand
from .hints import Hints
from .job import Outcome
from .local import REVERSE, SPECIAL, LocalZone, LocalZones
from .roster import Roster
from .scrub import Reading, RRset, Sort, alias_of, glue, rewritten, set_of, soa_records
from .upstream import Upstream
from .walk import Walk

MOST_FAILURES = 8192
UNASKABLE = frozenset((0, Type.OPT, Type.TKEY, Type.TSIG, Type.IXFR, Type.AXFR, Type.MAILB, Type.MAILA))

_few = validators.in_(range(1, 1025))


@frozen(kw_only=True)
class RecursionConfig:
    """Bounds are for one question and all that it causes. `patience` and `stale_after` in ns, `failure_ttl` in seconds, doubled for
    each failure in a row, up to the cache's cap (RFC 9520 3.2). `minimise_strictly`: believe any server's NXDOMAIN of a name cut
    short, and give up where short names get no answer; else the whole name is asked for, then. `ask_loopback`: servers may be on
    the loopback, for laboratories; so it is where the hints are, too."""

    queries: int = field(default=64, validator=_few)  # datagrams and streams; BIND: 50, Unbound: 200, Knot Resolver: 100
    zone_queries: int = field(default=12, validator=_few)  # to the servers of one delegation: NRDelegation
    fetches: int = field(default=4, validator=_few)  # names of servers looked for, for one delegation: NXNSAttack (MaxFetch 5)
    all_fetches: int = field(default=16, validator=_few)  # and for all of them
    depth: int = field(default=5, validator=_few)  # look-ups inside of look-ups
    aliases: int = field(default=11, validator=_few)  # BIND's and Unbound's
    patience: int = field(default=10 * SECOND, validator=validators.gt(0))  # by then whoever asked has gone
    stale_after: int = field(default=1800 * SECOND // 1000, validator=validators.ge(0))  # RFC 8767 5; 0: at once
    failure_ttl: int = field(default=5, validator=_few)
    minimise: bool = True  # RFC 9156
    minimise_strictly: bool = False
    minimised_type: int = int(Type.A)  # RFC 9156 2.1: what middle boxes know best; NS shows more of what we do
    mix_case: bool = True
    cookies: bool = True
    dnssec: bool = True  # DO on all queries, so that the cache has signatures for who wants them
    prime: bool = True  # RFC 9609
    ipv4: bool = True
    ipv6: bool = True
    port: int = field(default=53, validator=validators.in_(range(1, 65536)))
    ask_loopback: bool = False
    local_zones: tuple[LocalZone, ...] = (*SPECIAL, *REVERSE)


class Recursion:
    """`hints`: where the root is, see `hints.read`. A `Finder`."""

    def __init__(
        self,
        hints: "Hints | hints_.HintsLike",
        rng: Rng,
        *,
        cache: Cache | None = None,
        config: RecursionConfig | None = None,
        mib: RecursionMib | None = None,
        query_mib: QueryMib | None = None,
    ) -> None:
        if isinstance(hints, dict) and all(isinstance(who, bytes) for who in hints):
            self.hints: Hints = hints
        else:
            self.hints = hints_.read(hints)  # type: ignore[arg-type]  # a dictionary of bytes has just been excluded
        self.rng = rng
        self.config = config or RecursionConfig()
        if any(address[:1] == b"\x7f" or address == bytes(15) + b"\1" for where in self.hints.values() for address in where):
            self.config = evolve(self.config, ask_loopback=True)
        self.cache = Cache() if cache is None else cache
        self.mib = RecursionMib() if mib is None else mib
        self.query_mib = QueryMib() if query_mib is None else query_mib
        self.cuts = Cuts()
        self.roster = Roster(rng, self.config.port, self.config.cookies)
        self.local = LocalZones(self.config.local_zones)
        self.renames = False  # there are DNAMEs in the cache
        self.prime_after = 0  # an instant: the root's servers have been asked for without success
        self._failures: OrderedDict[bytes, tuple[int, int]] = OrderedDict()  # until when, and the how-manieth in a row
        self.hinted = Cut(names.ROOT, self.texts(self.hints), FOREVER)

    def seek(
        self, question: Question, now: int, *, dnssec: bool = False, checking_disabled: bool = False, fresh: bool = False
    ) -> "Outcome | Walk":
        """See `Finder`. `checking_disabled` changes nothing: nothing is checked."""
        self.mib.Questions += 1
        outcome = self._at_once(question, now, dnssec, fresh)
        if outcome is not None:
            return outcome
        return Walk(self, question, dnssec, fresh)

    def _at_once(self, question: Question, now: int, dnssec: bool, fresh: bool) -> Outcome | None:
        if question.rclass != dc.IN or question.type in UNASKABLE:
            return _failure(question, Rcode.REFUSED, Ede.NOT_SUPPORTED, "questions of this class or type are not answered")
        local = self.local.answer(question)
        if local is not None:
            self.mib.Local += 1
            return local
        known = None if fresh else self.known(question, now, dnssec, stale=self.config.stale_after == 0)
        if known is not None:
            return known
        if self.failing(question.name, question.type, now):
            self.mib.FailuresRemembered += 1
            self.renew_later(question, now)
            stale = self.known(question, now, dnssec, stale=True)
            return stale or _failure(question, Rcode.SERVFAIL, Ede.CACHED_ERROR, "it could not be found out a moment ago")
        return None

    # -- what is known --------------------------------------------------------------------------------------------------------

    def known(self, question: Question, now: int, dnssec: bool, *, stale: bool = False) -> Outcome | None:
        """The whole answer, aliases followed, from the cache; None where a part is missing."""
        links: list[RRset] = []
        authority: list[Record] = []
        name = question.name
        refresh = was_stale = False
        rcode = Rcode.NOERROR
        if question.type == Type.ANY:
            return None  # what is known may not be all
        seen: set[bytes] = set()
        while True:
            found = self.look(name, question.type, now, stale=stale)
            key = names.key(name)
            if key in seen or len(seen) > self.config.aliases:
                return None  # a circle, or too long: the walk says so
            seen.add(key)
            if found is None:
                renamed = self.renamed(name, now)
                if not renamed:
                    return None
                links += [link for link in renamed if (link.name, link.type) not in {(each.name, each.type) for each in links}]
                name = renamed[1].rdatas[0]
                continue
            refresh, was_stale = refresh or found.refresh, was_stale or found.stale
            entry = found.entry
            if entry.kind == Kind.FAILURE:
                return None
            if entry.kind != Kind.RECORDS:
                rcode = Rcode.NXDOMAIN if entry.kind == Kind.NXDOMAIN else Rcode.NOERROR
                authority += soa_records(found, dnssec)
            else:
                links.append(set_of(found, name))
            if dnssec:
                authority += entry.proof
            if entry.kind != Kind.RECORDS or entry.type == question.type:
                break
            name = entry.rdatas[0]
            if self.local.answer(Question(name, question.type)) is not None:
                return None  # the walk knows
        old = Ede.STALE_NXDOMAIN_ANSWER if rcode == Rcode.NXDOMAIN else Ede.STALE_ANSWER
        return Outcome(
            question=question,
            rcode=int(rcode),
            answer=tuple(r for link in links for r in link.records(dnssec)),
            authority=tuple(authority),
            stale=was_stale,
            refresh=refresh or was_stale,
            error=(int(old), "") if was_stale else None,
        )

    def look(self, name: bytes, type: int, now: int, *, stale: bool = False) -> Found | None:
        """A set of this name and type, an alias, or a denial."""
        found = self.cache.get(name, type, now, stale=stale)
        if found is not None and found.entry.kind == Kind.RECORDS:
            return found
        if type != Type.CNAME:
            alias = self.cache.get(name, Type.CNAME, now, stale=stale)
            if alias is not None and alias.entry.kind == Kind.RECORDS:
                return alias
        return found

    def renamed(self, name: bytes, now: int) -> list[RRset]:
        """The DNAME that is known above `name`, and the CNAME that follows from it (RFC 6672 3.4); nothing, where none is."""
        above = names.parent(name)
        while self.renames and len(above) > 1:
            found = self.cache.get(above, Type.DNAME, now)
            if found is not None and found.entry.kind == Kind.RECORDS:
                renaming = set_of(found, above)
                to = rewritten(name, above, renaming.rdatas[0])
                return [] if to is None else [renaming, alias_of(name, renaming, to)]
            above = names.parent(above)
        return []

    def keep(self, reading: Reading, now: int, cut: Cut) -> None:
        """Store an answer of the servers of `cut`; where they are, for no longer than they are these."""
        link = reading.links[0]  # behind a DNAME comes a CNAME of our own making
        ttl = link.ttl
        if names.key(link.name) in cut.servers:
            ttl = min(ttl, -(-(cut.expires - now) // SECOND))
        proof = tuple(r for s in reading.proof for r in s.records(True))
        credit = Credit.AUTHORITATIVE if reading.aa else Credit.ANSWER
        self.cache.put(link.name, link.type, ttl, link.rdatas, credit, now, signatures=link.signatures, proof=proof)
        self.renames = self.renames or link.type == Type.DNAME

    def keep_denial(self, name: bytes, type: int, reading: Reading, now: int) -> None:
        said = reading.soa
        if said is None:
            return
        credit = Credit.AUTHORITATIVE if reading.aa else Credit.ANSWER
        proof = tuple(r for s in reading.proof for r in s.records(True))
        self.cache.deny(
            name, type, (said.name, said.rdatas[0]), said.ttl, credit, now,
            nxdomain=reading.sort is Sort.NXDOMAIN, signatures=said.signatures, proof=proof,
        )  # fmt: skip

    def renew_later(self, question: Question, now: int) -> None:
        """It could not be had anew: who asks next is to be told to try again."""
        found = self.cache.get(question.name, question.type, now)
        if found is not None:
            found.entry.prefetching = False

    # -- what failed ----------------------------------------------------------------------------------------------------------

    def failing(self, name: bytes, type: int, now: int) -> bool:
        """Has it just been tried in vain?"""
        known = self._failures.get(key_of(name, type, dc.IN))
        return known is not None and known[0] > now

    def remember_failure(self, name: bytes, type: int, now: int) -> None:
        """RFC 9520 3.2: for a while that doubles as long as it goes on, five minutes at most."""
        key = key_of(name, type, dc.IN)
        _, times = self._failures.pop(key, (0, 0))
        seconds = min(self.config.failure_ttl << min(times, 8), self.cache.config.max_failure_ttl)
        self._failures[key] = now + seconds * SECOND, times + 1
        if len(self._failures) > MOST_FAILURES:
            self._failures.popitem(last=False)

    def forget_failure(self, name: bytes, type: int) -> None:
        self._failures.pop(key_of(name, type, dc.IN), None)

    # -- whom to ask ----------------------------------------------------------------------------------------------------------

    def usable(self, address: bytes) -> bool:
        """May a server be there? Not at an address that is nobody's, everybody's, or our own: a delegation to it would make us ask
        ourselves, or shout (RFC 1122 3.2.1.3)."""
        if len(address) == 4:
            first = address[0]
            return self.config.ipv4 and 0 < first < 224 and (first != 127 or self.config.ask_loopback)
        if address[:12] in (bytes(12), bytes(10) + b"\xff\xff"):
            return self.config.ipv6 and self.config.ask_loopback and address == bytes(15) + b"\1"
        return self.config.ipv6 and address[0] != 0xFF and not (address[0] == 0xFE and address[1] & 0xC0 == 0x80)

    def wanted(self, errand: Errand, cut: Cut, under_way: set[tuple[bytes, int]]) -> list[tuple[bytes, int]]:
        """Names of servers of the errand's zone, each with the type of address, that may be looked for."""
        config = self.config
        types = [int(type) for type, has in ((Type.A, config.ipv4), (Type.AAAA, config.ipv6)) if has]
        found = []
        for who in cut.servers:
            type = next((type for type in types if (who, type) not in errand.sought), None)
            if who == names.ROOT or errand.found.get(who) or type is None:
                continue
            if (who, type) in under_way:
                self.mib.Circles += 1
            else:
                found.append((who, type))
        return found

    def known_addresses(self, server: bytes, now: int) -> list[str]:
        """From the cache, or the glue of the zone that the name is in."""
        found: list[str] = []
        if server != names.ROOT:
            home = self.cuts.closest(server, now)
            found += () if home is None else home.servers.get(server, ())
            for type in (Type.A, Type.AAAA):
                known = self.cache.get(server, type, now)
                if known is not None and known.entry.kind == Kind.RECORDS:
                    found += [text.address_text(a) for a in known.entry.rdatas if self.usable(a)]
        return found

    def whom(self, errand: Errand, cut: Cut, now: int) -> list[Upstream]:
        """The servers of the errand's zone that are still to be asked, the best first."""
        addresses: dict[str, None] = {}
        for who, where in cut.servers.items():
            known = () if names.under(who, cut.zone) else self.known_addresses(who, now)  # in the zone: its parent knows
            for address in (*errand.found.get(who, ()), *known, *where):
                if address not in errand.tried and not cut.is_lame(address, errand.type, now):
                    addresses[address] = None
        return self.roster.ranked(addresses, now)

    def texts(self, servers: Mapping[bytes, Iterable[bytes]]) -> dict[bytes, list[str]]:
        """Their addresses that may be asked."""
        return {who: [text.address_text(a) for a in where if self.usable(a)] for who, where in servers.items()}

    def primed(self, reading: Reading, m: Message, now: int) -> bool:
        """Take it from the root's servers who they are, where they say it (RFC 9609 3.3, 4.2). Those of which no address came along
        are where the hints say."""
        if not reading.links or reading.links[0].type != Type.NS:
            return False
        said = reading.links[0]
        servers = self.texts(glue(m, said, names.ROOT))
        for who, where in servers.items():
            where += () if where else self.hinted.servers.get(who, ())
        if not any(servers.values()):
            servers[names.ROOT] = [address for where in self.hinted.servers.values() for address in where]
        self.cuts.add(Cut(names.ROOT, servers, now + min(said.ttl, self.cache.config.max_ttl) * SECOND))
        self.mib.Primings += 1
        return True

    def must_prime(self, now: int) -> bool:
        return self.config.prime and now >= self.prime_after and self.cuts.closest(names.ROOT, now) is None


def _failure(question: Question, rcode: Rcode, error: Ede, why: str) -> Outcome:
    return Outcome(question=question, rcode=int(rcode), error=(int(error), why))
