"""A forwarder: asks servers that do the work, and keeps what they said.

What is known is answered at once; so are names that nobody is to be asked for (special.py). Otherwise a job asks the servers of the
name's domain in the order that they deserve, and follows aliases as far as those servers have a say: an alias into another domain
of `domains` is asked of that domain's own servers, whatever came along.

When the servers are silent and something older is known, that is given after `stale_after` (RFC 8767 5: 1.8 seconds), and the
servers are left in peace for a while. A failure is remembered too (RFC 9520).

Questions with `dnssec` are never answered from the cache: which proofs belong to an answer, the cache doesn't say. Answers to those
with `checking_disabled` are never kept: who validates may have thought nothing of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs
from attrs import field, frozen, validators

from ...errors import UsageError, WireError
from ...signatures import Rng
from .. import const as dc
from .. import name as names
from ..message import Message, Question, Record
from ..mib import CacheMib, QueryMib
from ..numbers import Ede, Rcode, Type
from .cache import Cache, CacheConfig, Credit, Found, Kind
from .job import Job, Outcome, Settled, Step
from .query import Action, Answered, GaveUp, Query, QueryConfig, State
from .reading import Reading, read
from .servers import server
from .special import special
from .upstream import SECOND, Upstream

MOST_ATTEMPTS = 64  # for one question, whatever number of servers is silent: what a stranger's question makes us send
DOWN = 2  # time-outs in a row, from which on others are asked first
RETRY_DOWN = 30 * SECOND  # until one that was down may be asked first again
EDNS_AGAIN = 15 * 60 * SECOND  # until one that knew no EDNS is asked with it again: it may have been a box on the way

UNCACHED = frozenset((Type.ANY, Type.MAILA, Type.MAILB, Type.RRSIG, Type.SIG))  # whatever somebody has of them


@frozen(kw_only=True)
class ForwardConfig:
    """Durations in ns, but `failure_ttl` in seconds. `query.attempts` are for each server, MOST_ATTEMPTS for all. `strict`:
    servers are asked in the order given, as resolv.conf has it, else the fastest first; `rotate`: each question begins at another
    one."""

    query: QueryConfig = field(factory=QueryConfig)
    strict: bool = True
    rotate: bool = False
    cookies: bool = True  # RFC 7873, for servers that are asked over UDP
    trust_ad: bool = False  # believe the servers' word that they have validated: only where the way to them is safe
    aliases: int = field(default=12, validator=validators.in_(range(1, 33)))  # in one chain; BIND follows 16, Unbound 11
    stale_after: int = field(default=1_800_000_000, validator=validators.gt(0))  # RFC 8767 5
    failure_ttl: int = field(default=5, validator=validators.in_(range(1, 301)))  # RFC 9520 3.2: 1 second to 5 minutes


class Group:
    """Servers that are asked for the same domain."""

    def __init__(self, servers: Iterable[str | Upstream], forwarder: Forwarder) -> None:
        self.servers = [server(each) if isinstance(each, str) else each for each in servers]
        self._next = 0
        self._down: dict[Upstream, int] = {}  # since when
        self._plain: dict[Upstream, int] = {}  # since when it is asked without EDNS
        for each in self.servers:
            if forwarder.config.cookies and not each.stream_only and not each.client_cookie:
                each.client_cookie = forwarder.rng.getrandbits(64).to_bytes(8, "big")

    def order(self, config: ForwardConfig, now: int) -> list[Upstream]:
        """Whom to ask first, and then."""
        servers = self.servers
        if config.rotate:
            servers = servers[self._next :] + servers[: self._next]
            self._next = (self._next + 1) % len(servers)
        for each in servers:
            if not each.edns and now - self._plain.setdefault(each, now) >= EDNS_AGAIN:
                each.edns = True
            if each.edns:
                self._plain.pop(each, None)
            if each.failures < DOWN:
                self._down.pop(each, None)
            elif now - self._down.setdefault(each, now) >= RETRY_DOWN:
                del self._down[each]  # this time, and if it is silent again, not for a while
        if config.strict:
            return sorted(servers, key=lambda each: each in self._down)
        return sorted(servers, key=lambda each: (each in self._down, each.srtt))  # of one that was never asked we learn first


class Forwarder:
    """A Finder. `domains` are servers for names below a domain, `{"corp.example.": ["10.1.0.53"]}`; the longest match counts, and
    an empty list means that there are no such names. Raises UsageError where there is nobody to ask."""

    def __init__(
        self,
        servers: Iterable[str | Upstream],
        rng: Rng,
        *,
        domains: Mapping[str, Iterable[str | Upstream]] | None = None,
        cache: Cache | None = None,
        config: ForwardConfig | None = None,
        mib: QueryMib | None = None,
    ) -> None:
        self.config = config or ForwardConfig()
        self.rng = rng
        self.cache = Cache(CacheConfig(prefetch=0.1), CacheMib()) if cache is None else cache  # one may be empty
        self.mib = mib or QueryMib()
        self._groups: dict[bytes, Group] = {}
        for domain, said in (domains or {}).items():
            self._groups[names.parse(domain).lower()] = Group(said, self)
        if isinstance(servers, str):
            raise UsageError(f"servers are several: write [{servers!r}]")
        default = Group(servers, self)
        if default.servers:
            self._groups[names.ROOT] = default
        elif not self._groups:
            raise UsageError("a forwarder needs a server to ask: give one like 10.0.0.1")
        self._queries: dict[tuple[bool, bool], QueryConfig] = {}

    def twin(self) -> Forwarder:
        """Another one with the same servers and nothing of what this one has learnt: for another thread."""
        domains = {names.text(key): group.servers for key, group in self._groups.items()}
        again = {domain: [each.anew() for each in servers] for domain, servers in domains.items()}
        return Forwarder(again.pop(".", ()), self.rng, domains=again, cache=Cache(self.cache.config), config=self.config)

    def servers(self) -> list[Upstream]:
        """All that it knows, with how they do."""
        return [each for group in self._groups.values() for each in group.servers]

    # -- the Finder -----------------------------------------------------------------------------------------------------------

    def seek(
        self, question: Question, now: int, *, dnssec: bool = False, checking_disabled: bool = False, fresh: bool = False
    ) -> Outcome | Job:
        group = self.group(question.name.lower())
        if group is None or group is self._groups.get(names.ROOT):
            known = special(question)
            if known is not None:
                return known
        if group is None:
            return _failed(question, Ede.NO_REACHABLE_AUTHORITY, "no server is set for this name")
        if not group.servers:
            return Outcome(question=question, rcode=int(Rcode.NXDOMAIN))
        stale = None
        if not fresh and not dnssec and question.type not in UNCACHED:
            outcome, _ = self.known(question, now)
            if outcome is not None and outcome.error is None:
                return outcome
            stale, resting = self.known(question, now, stale=True)
            if stale is not None and (resting or outcome is not None):
                return stale  # it was asked for a moment ago, in vain
            if outcome is not None:
                return outcome
        return Forwarding(self, question, group, dnssec, checking_disabled, fresh, stale)

    def group(self, key: bytes) -> Group | None:
        """Who is asked for the name."""
        while True:
            found = self._groups.get(key)
            if found is not None or len(key) == 1:
                return found
            key = names.parent(key)

    def known(self, question: Question, now: int, *, stale: bool = False) -> tuple[Outcome | None, bool]:
        """What the cache has, from the question to the end of its aliases, and whether any of it is `resting`. An outcome with an
        error says that it could not be found out a moment ago."""
        answer: list[Record] = []
        name = question.name
        old = refresh = resting = False
        authentic = self.config.trust_ad
        for _ in range(self.config.aliases + 1):
            found = self._look(name, question, now, stale)
            if found is None:
                return None, False
            entry = found.entry
            if entry.kind == Kind.FAILURE:
                return (None if stale else _failed(question, Ede.CACHED_ERROR, "no server could say a moment ago")), False
            old = old or found.stale
            refresh = refresh or found.refresh
            resting = resting or found.resting
            authentic = authentic and entry.credit == Credit.SECURE
            answer += [Record(name, entry.type, entry.rclass, found.ttl, data) for data in entry.rdatas]
            if entry.kind == Kind.RECORDS and entry.type != question.type:
                name = entry.rdatas[0]
                continue
            outcome = Outcome(
                question=question,
                rcode=int(Rcode.NXDOMAIN if entry.kind == Kind.NXDOMAIN else Rcode.NOERROR),
                answer=tuple(answer),
                authority=_denial(found),
                authentic=authentic,
                stale=old,
                refresh=refresh,
            )
            return outcome, resting
        return None, False

    def _look(self, name: bytes, question: Question, now: int, stale: bool) -> Found | None:
        """The set, that there is none, or an alias."""
        found = self.cache.get(name, question.type, now, rclass=question.rclass, stale=stale)
        if (found is None or found.entry.kind == Kind.FAILURE) and question.type != dc.CNAME:
            alias = self.cache.get(name, dc.CNAME, now, rclass=question.rclass, stale=stale)
            if alias is not None and alias.entry.kind == Kind.RECORDS:
                return alias
        return found

    def query_config(self, dnssec: bool, checking_disabled: bool) -> QueryConfig:
        key = dnssec, checking_disabled
        config = self._queries.get(key)
        if config is None:
            said = self.config.query
            config = self._queries[key] = attrs.evolve(
                said,
                dnssec=said.dnssec or dnssec,
                checking_disabled=said.checking_disabled or checking_disabled,
                authentic_data=self.config.trust_ad,
            )
        return config


class Forwarding:
    """A question on its way to the servers (resolve/job.py)."""

    __slots__ = (
        "_answer", "_authentic", "_cd", "_dnssec", "_ends", "_failures", "_forwarder", "_fresh", "_group", "_name", "_query",
        "_question", "_servers", "_silences", "_stale", "_stale_at", "_steps",
    )  # fmt: skip

    def __init__(
        self,
        forwarder: Forwarder,
        question: Question,
        group: Group,
        dnssec: bool,
        checking_disabled: bool,
        fresh: bool,
        stale: Outcome | None,
    ) -> None:
        """`stale` is what to say where the servers don't."""
        self._forwarder = forwarder
        self._question = question
        self._group = group
        self._dnssec = dnssec
        self._cd = checking_disabled
        self._fresh = fresh
        self._stale = stale
        self._stale_at: int | None = None
        self._name = question.name  # where the chain of aliases has come to
        self._answer: list[Record] = []
        self._authentic = True
        self._query: Query | None = None
        self._servers: list[Upstream] = []
        self._ends = 0
        self._silences = self._failures = self._steps = 0

    @property
    def deadline(self) -> int | None:
        deadline = None if self._query is None else self._query.deadline
        if self._stale_at is None or deadline is None:
            return deadline
        return min(deadline, self._stale_at)

    # -- what the world says --------------------------------------------------------------------------------------------------

    def start(self, now: int) -> Step:
        self._ends = now + self._forwarder.config.query.patience
        if self._stale is not None:
            self._stale_at = now + self._forwarder.config.stale_after
        self._servers = self._group.order(self._forwarder.config, now)
        return self._ask(now)

    def moved(self, source: int) -> None:
        assert self._query is not None
        self._query.moved(source)

    def datagram(self, now: int, data: bytes, address: str, port: int, to_port: int) -> Step | None:
        assert self._query is not None
        return self._did(now, self._query.datagram(now, data, address, port, to_port))

    def message(self, now: int, data: bytes) -> Step | None:
        assert self._query is not None
        return self._did(now, self._query.message(now, data))

    def failed(self, now: int, reason: str) -> Step | None:
        assert self._query is not None
        self._failures += 1
        return self._did(now, self._query.failed(now, reason))

    def expired(self, now: int) -> Step | None:
        assert self._query is not None
        if self._stale_at is not None and now >= self._stale_at:
            assert self._stale is not None
            self.cancel()
            return Settled(attrs.evolve(self._stale, refresh=True))  # and whoever drives us finds out, with all the time it takes
        if self._query.state is not State.PAUSED and self._query.deadline is not None and now >= self._query.deadline:
            self._silences += 1
        return self._did(now, self._query.expired(now))

    def cancel(self) -> None:
        if self._query is not None:
            self._query.cancel()

    # -- what to make of it ---------------------------------------------------------------------------------------------------

    def _did(self, now: int, action: Action | None) -> Step | None:
        if isinstance(action, Answered):
            return self._answered(now, action)
        if isinstance(action, GaveUp):
            return self._gave_up(now, action)
        return action

    def _ask(self, now: int) -> Step:
        forwarder, question = self._forwarder, self._question
        config = forwarder.query_config(self._dnssec, self._cd)
        attempts = min(MOST_ATTEMPTS, config.attempts * len(self._servers))
        if self._ends - now != config.patience or attempts != config.attempts:
            config = attrs.evolve(config, patience=max(1, self._ends - now), attempts=attempts)
        self._query = Query(self._name, question.type, self._servers, forwarder.rng, config, forwarder.mib, question.rclass)
        step = self._did(now, self._query.start(now))
        assert step is not None
        return step

    def _answered(self, now: int, answered: Answered) -> Step:
        m, question, forwarder = answered.message, self._question, self._forwarder
        if not (m.aa or m.ra or m.answer) and m.rcode == Rcode.NOERROR:
            return self._without(now, answered.server)
        self._authentic = self._authentic and m.ad and forwarder.config.trust_ad
        if question.type == Type.ANY:
            key = self._name.lower()
            self._answer += [r for r in m.answer if r.name.lower() == key]
            return self._settled(answered, m.rcode, ())
        reading = read(m, self._name, question.type, forwarder.config.aliases, lambda key: forwarder.group(key) is self._group)
        if not self._cd and question.type not in UNCACHED:
            self._keep(now, m, reading)
        sets = [*reading.aliases, *([] if reading.found is None else [reading.found])]
        for each in sets:
            self._answer += each.records(self._dnssec)
        if reading.circle:
            return Settled(_failed(question, Ede.INVALID_DATA, "its aliases have no end"))
        if reading.kind is None:
            return self._go_on(now, reading.name)
        if self._dnssec:
            return self._settled(answered, m.rcode, tuple(m.authority))  # the proofs are there
        return self._settled(answered, m.rcode, () if reading.soa is None else (_negative(reading.soa),))

    def _settled(self, answered: Answered, rcode: int, authority: tuple[Record, ...]) -> Settled:
        outcome = Outcome(
            question=self._question,
            rcode=rcode,
            answer=tuple(self._answer),
            authority=authority,
            authentic=self._authentic,
            server=(answered.server.address, answered.server.port),
            rtt=answered.rtt,
            over_stream=answered.over_stream,
        )
        return Settled(outcome)

    def _keep(self, now: int, m: Message, reading: Reading) -> None:
        cache = self._forwarder.cache
        first = Credit.AUTHORITATIVE if m.aa else Credit.ANSWER
        for each in (*reading.aliases, reading.found):
            if each is not None and each.type != dc.DNAME:
                own = each.name.lower() == self._name.lower()
                credit = Credit.SECURE if self._authentic else first if own else Credit.ANSWER
                cache.put(each.name, each.type, each.ttl, each.rdatas, credit, now, rclass=each.rclass, signatures=each.signatures)
        if reading.kind in (Kind.NODATA, Kind.NXDOMAIN) and reading.soa is not None:
            soa = reading.soa
            credit = Credit.SECURE if self._authentic else Credit.AUTHORITY if m.aa else Credit.ANSWER
            cache.deny(
                reading.name,
                self._question.type,
                (soa.name, soa.rdata),
                soa.ttl,
                credit,
                now,
                nxdomain=reading.kind == Kind.NXDOMAIN,
                rclass=soa.rclass,
            )

    def _go_on(self, now: int, name: bytes) -> Step:
        """The chain has come to a name of which the last server said nothing, or has no say."""
        forwarder, question = self._forwarder, self._question
        self._steps += 1
        self._name = name
        rest = Question(name, question.type, question.rclass)
        found: Outcome | Job = _failed(rest, Ede.INVALID_DATA, "its aliases have no end")
        if self._steps <= forwarder.config.aliases:
            found = forwarder.seek(rest, now, dnssec=self._dnssec, checking_disabled=self._cd, fresh=self._fresh)
        if isinstance(found, Outcome):
            if found.error is not None:
                return Settled(attrs.evolve(found, question=question))
            return Settled(
                attrs.evolve(
                    found,
                    question=question,
                    answer=(*self._answer, *found.answer),
                    authentic=self._authentic and found.authentic,
                )
            )
        group = forwarder.group(name.lower())
        assert group is not None
        self._group = group
        self._servers = group.order(forwarder.config, now)
        return self._ask(now)

    def _without(self, now: int, lame: Upstream) -> Step:
        """It answers, and doesn't do the work: it refers us to others, which is not what a forwarder's servers are for."""
        self._servers = [each for each in self._servers if each is not lame]
        if self._servers:
            return self._ask(now)
        return self._gave_up(now, GaveUp(f"{lame.address} does not look up names for others", None))

    def _gave_up(self, now: int, end: GaveUp) -> Settled:
        forwarder, question = self._forwarder, self._question
        if not self._cd and question.type not in UNCACHED:
            forwarder.cache.fail(self._name, question.type, forwarder.config.failure_ttl, now, rclass=question.rclass)
        if self._stale is not None:
            return Settled(attrs.evolve(self._stale, refresh=False))
        if end.last is not None:
            return Settled(_failed(question, *_told(end.last, end.reason)))
        if self._failures and not self._silences:
            return Settled(_failed(question, Ede.NETWORK_ERROR, end.reason))
        return Settled(_failed(question, Ede.NO_REACHABLE_AUTHORITY, end.reason))


def _failed(question: Question, code: int, text: str) -> Outcome:
    return Outcome(question=question, rcode=int(Rcode.SERVFAIL), error=(int(code), text))


def _told(last: Message, reason: str) -> tuple[int, str]:
    """Why the server couldn't say, in its own words if it has some (RFC 8914 3: they may be passed on)."""
    try:
        errors = [] if last.edns is None else last.edns.errors
    except WireError:
        errors = []
    return (errors[0].code, errors[0].text or reason) if errors else (int(Ede.OTHER), reason)


def _negative(soa: Record) -> Record:
    """Its TTL is how long the denial lives (RFC 2308 3)."""
    minimum = int.from_bytes(soa.rdata[-4:], "big")
    return Record(soa.name, soa.type, soa.rclass, min(soa.ttl, minimum), soa.rdata)


def _denial(found: Found) -> tuple[Record, ...]:
    soa = found.entry.soa
    return () if soa is None else (Record(soa[0], dc.SOA, found.entry.rclass, found.ttl, soa[1]),)
