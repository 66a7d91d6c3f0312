"""One question on its way: a `Job` that goes from the closest delegation that is known, referral by referral, to who knows.

A walk is a stack of errands (`errand.py`). The lowest is the question; on top of it stands what must be known first, the address of
a server, and on top of that maybe another. Only the top one moves, and it has one query under way. When it has its answer, or there
is none, it goes, and the one below looks again at what is known now. `_go` turns that crank until there is something to send.

Where an errand stands, and what moves it:

    no zone yet ---- known, or local ------------------------------> its end
                     else the closest delegation; at the root, who serves it (once)
    in a zone ------ an address to ask ----------------------------> a query, for the name or, cut short, a part of it (RFC 9156)
                     none left, but names of servers without one --> an errand for one of them
                     nothing left ---------------------------------> what a lame server said, or failure
    an answer ------ a referral downwards -------------------------> that zone
                     an alias -------------------------------------> no zone yet, with its target for a name
                     data, or a denial ----------------------------> its end; of a name cut short, the next longer one
                     lame -----------------------------------------> the zone's next server

A name that stands on the stack is not looked for again: so circles of delegations end where they close. What failed is remembered,
and next time it fails at once (TsuNAME).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import name as names
from ..message import Message, Question, Record
from ..numbers import Ede, Rcode, Type
from .cache import SECOND, Kind
from .cuts import Cut
from .errand import Errand, Purpose
from .job import Outcome, Settled, Step
from .query import Action, Answered, GaveUp, Query, QueryConfig, SendDatagram, SendStream
from .scrub import Reading, Sort, authority_of, denial, one, read, set_of, soa_records
from .upstream import Upstream

if TYPE_CHECKING:
    from .recursion import Recursion

AT_ONCE = 6  # servers that one query knows: it goes on to the next by itself
PRIME_AGAIN = 60 * SECOND  # after the root's servers could not be had
PRIME_PATIENCE = 2 * SECOND
LOST = 4  # queries more than two for each server: where there is but one, and the way to it is bad
SHORT_ATTEMPTS = 3  # of a name cut short, before the whole one is tried


class Walk:
    """See `Job`. `sent`: queries, over UDP or TCP."""

    def __init__(self, recursion: Recursion, question: Question, dnssec: bool, fresh: bool) -> None:
        self.recursion = recursion
        self.question = question
        self.dnssec = dnssec
        self.fresh = fresh
        self.stack = [Errand(Purpose.QUESTION, question.name, question.type)]
        self.query: Query | None = None
        self.sent = 0
        self.fetched = 0
        self.ends = 0
        self.whole = False  # a name cut short got no answer where the whole one did
        self.failed_names: list[tuple[bytes, int]] = []
        self.why: tuple[int, str] = (int(Ede.NO_REACHABLE_AUTHORITY), "no server answered")
        self.shown: tuple[Record, ...] = ()  # of an answer that has no end
        self.last: Answered | None = None
        self.stale_at: int | None = None
        self.done = False
        self.outcome = Outcome(question=question, rcode=int(Rcode.SERVFAIL))

    # -- what the world says --------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> int | None:
        if self.done or self.query is None or self.query.deadline is None:
            return None
        return self.query.deadline if self.stale_at is None else min(self.query.deadline, self.stale_at)

    def start(self, now: int) -> Step:
        recursion = self.recursion
        recursion.mib.Walks += 1
        self.ends = now + recursion.config.patience
        if recursion.cache.config.stale_for and not self.fresh and recursion.known(self.question, now, False, stale=True):
            self.stale_at = now + recursion.config.stale_after
        return self._go(now)

    def moved(self, source: int) -> None:
        if self.query is not None:
            self.query.moved(source)

    def datagram(self, now: int, data: bytes, address: str, port: int, to_port: int) -> Step | None:
        return None if self.query is None else self._act(now, self.query.datagram(now, data, address, port, to_port))

    def message(self, now: int, data: bytes) -> Step | None:
        return None if self.query is None else self._act(now, self.query.message(now, data))

    def failed(self, now: int, reason: str) -> Step | None:
        return None if self.query is None else self._act(now, self.query.failed(now, reason))

    def expired(self, now: int) -> Step | None:
        if self.stale_at is not None and now >= self.stale_at and not self.done:
            self.stale_at = None
            stale = self.recursion.known(self.question, now, self.dnssec, stale=True)
            if stale is not None:
                self.recursion.mib.Stale += 1
                return self._settle(stale)
        return None if self.query is None else self._act(now, self.query.expired(now))

    def cancel(self) -> None:
        self.done = True
        if self.query is not None:
            self.query.cancel()
            self.query = None

    # -- the crank ------------------------------------------------------------------------------------------------------------

    def _act(self, now: int, action: Action | None) -> Step | None:
        """What the query under way wants done, or what follows from its end."""
        if action is None or self.done:
            return None
        if isinstance(action, (SendDatagram, SendStream)):
            self.sent += 1
            self.stack[-1].sent += 1
            self.recursion.mib.Sent += 1
            return action
        assert self.query is not None
        asked = self.query.servers
        self.query = None
        if isinstance(action, Answered):
            self._answered(now, action)
        else:
            self._gave_up(now, action, asked)
        return self._go(now)

    def _go(self, now: int) -> Step:
        while not self.done:
            step = self._move(now, self.stack[-1])
            if step is not None:
                return step
        return Settled(self.outcome)

    def _move(self, now: int, errand: Errand) -> Step | None:
        """The next query of the errand on top; None where the stack has changed instead."""
        cut = errand.cut
        if cut is None:
            if self._from_memory(now, errand):
                return None
            if errand.purpose is Purpose.PRIME:
                errand.enter(self.recursion.hinted)
                return None
            cut = self.recursion.cuts.closest(errand.zone_sought(), now)
            if cut is None:
                if self.recursion.must_prime(now):
                    self.stack.append(Errand(Purpose.PRIME, names.ROOT, int(Type.NS)))
                    return None
                cut = self.recursion.hinted
            errand.enter(cut)
        self._shorten(now, errand, cut)
        servers = self._servers(now, errand, cut)
        if not servers:
            self._out_of_servers(now, errand, cut)
            return None
        return self._ask(now, errand, servers)

    # -- memory ---------------------------------------------------------------------------------------------------------------

    def _from_memory(self, now: int, errand: Errand) -> bool:
        """End the errand, or lead it on, by what is known without asking."""
        if errand.purpose is Purpose.PRIME:
            return False
        local = self.recursion.local.answer(Question(errand.name, errand.type))
        if local is not None:
            errand.links += [one(record) for record in local.answer]
            self._end(now, errand, local.rcode, local.authority)
            return True
        if errand.type == Type.ANY or (self.fresh and errand is self.stack[0] and not errand.links):
            return False
        found = self.recursion.look(errand.name, errand.type, now)
        if found is None:
            renamed = self.recursion.renamed(errand.name, now)
            if renamed:
                errand.add(renamed)
                self._follow(now, errand, renamed[1].rdatas[0])
            elif len(self.stack) > 1 and self.recursion.failing(errand.name, errand.type, now):
                self._fail(now, errand)
            else:
                return False
            return True
        entry = found.entry
        if entry.kind != Kind.RECORDS:
            rcode = Rcode.NXDOMAIN if entry.kind == Kind.NXDOMAIN else Rcode.NOERROR
            self._end(now, errand, int(rcode), (*soa_records(found, self.dnssec), *(entry.proof if self.dnssec else ())))
            return True
        errand.links.append(set_of(found, errand.name))
        if entry.type == errand.type:
            self._end(now, errand, int(Rcode.NOERROR), entry.proof if self.dnssec else ())
        else:
            self._follow(now, errand, entry.rdatas[0])
        return True

    def _follow(self, now: int, errand: Errand, target: bytes) -> None:
        """On with an alias's target."""
        key = names.key(target)
        if key in errand.targets or len(errand.targets) > self.recursion.config.aliases:
            self.recursion.mib.AliasLoops += 1
            if key in errand.targets:
                self.shown = self._shown(errand)
            self.why = int(Ede.OTHER), f"aliases in a circle, or too many of them, at {names.text(target)}"
            self._fail(now, errand)
            return
        errand.targets.add(key)
        errand.name = target
        errand.restart()

    # -- asking ---------------------------------------------------------------------------------------------------------------

    def _shorten(self, now: int, errand: Errand, cut: Cut) -> None:
        """Choose how much of the name to ask for: no more than one server after another has to know."""
        config = self.recursion.config
        servers = errand.purpose is Purpose.PRIME or (errand.purpose is Purpose.ADDRESS and cut.zone != names.ROOT)
        if servers or not config.minimise or self.whole or cut.whole:
            errand.whole = True  # names of servers are no secret, and each step of theirs is one that NXNSAttack multiplies
        while True:
            errand.asked, n = errand.next_name()
            if not errand.is_minimised:
                return
            found = self.recursion.look(errand.asked, config.minimised_type, now)
            if found is None or found.entry.kind == Kind.NXDOMAIN:
                return
            errand.known = n  # it is there: no need to ask

    def _servers(self, now: int, errand: Errand, cut: Cut) -> list[Upstream]:
        """Whom to ask, the best first; none where all have been, or the zone has had its share."""
        if errand.sent >= self.recursion.config.zone_queries:
            self.why = int(Ede.NO_REACHABLE_AUTHORITY), f"no use in asking more servers of {names.text(cut.zone)}"
            return []
        return self.recursion.whom(errand, cut, now)[:AT_ONCE]

    def _ask(self, now: int, errand: Errand, servers: list[Upstream]) -> Step | None:
        config = self.recursion.config
        if self.sent >= config.queries or now >= self.ends:
            self.recursion.mib.BudgetSpent += 1
            self.why = int(Ede.OTHER), "it takes too long" if now >= self.ends else "more queries than one question may cause"
            self._give_up(now)
            return None
        left = min(config.queries - self.sent, config.zone_queries - errand.sent, 2 * len(servers) + LOST)
        patience = self.ends - now
        if errand.is_minimised:
            left = min(left, SHORT_ATTEMPTS)
        if errand.purpose is Purpose.PRIME:
            left, patience = min(left, SHORT_ATTEMPTS), min(patience, PRIME_PATIENCE)
        type = config.minimised_type if errand.is_minimised else errand.type
        asking = QueryConfig(
            patience=patience, attempts=left, mix_case=config.mix_case, recursion=False, dnssec=config.dnssec, most_miscased=1
        )
        self.query = Query(errand.asked, type, servers, self.recursion.rng, asking, self.recursion.query_mib)
        return self._act(now, self.query.start(now))

    def _out_of_servers(self, now: int, errand: Errand, cut: Cut) -> None:
        """All that have an address are through: look for another's, or make do with what there is."""
        if self._fetch(now, errand, cut):
            return
        if errand.fallback is not None:
            reading, m = errand.fallback
            errand.fallback = None
            self.recursion.mib.LameBelieved += 1
            reading.sort = denial(reading, m)
            self._believe(now, errand, cut, reading, m)
            return
        self._fail(now, errand)

    def _fetch(self, now: int, errand: Errand, cut: Cut) -> bool:
        """Begin to look for the address of one more server. Bounded for the zone, the question, and in depth."""
        config = self.recursion.config
        if len({who for who, _ in errand.sought}) >= config.fetches or errand.sent >= config.zone_queries:
            return False
        if self.fetched >= config.all_fetches or len(self.stack) > config.depth:
            self.recursion.mib.FetchesRefused += 1
            return False
        under_way = {(e.server, e.type) for e in self.stack if e.purpose is Purpose.ADDRESS}
        wanted = self.recursion.wanted(errand, cut, under_way)
        if not wanted:
            return False
        who, type = wanted[self.recursion.rng.getrandbits(16) % len(wanted)]
        errand.sought.add((who, type))
        self.fetched += 1
        self.recursion.mib.Fetches += 1
        seek = Errand(Purpose.ADDRESS, who, type, who)
        if names.under(who, cut.zone):
            seek.above = cut.zone
        self.stack.append(seek)
        return True

    # -- what was said --------------------------------------------------------------------------------------------------------

    def _gave_up(self, now: int, end: GaveUp, asked: tuple[Upstream, ...]) -> None:
        errand, cut = self._here()
        self.why = int(Ede.NO_REACHABLE_AUTHORITY), end.reason
        if end.last is not None and end.last.rcode == Rcode.YXDOMAIN and not errand.is_minimised:
            reading = read(end.last, cut.zone, errand.asked, errand.type)
            if reading.too_long:
                self._believe(now, errand, cut, reading, end.last)
                return
        if errand.is_minimised and not self.recursion.config.minimise_strictly:
            self.recursion.mib.MinimisedFailed += 1
            errand.whole = errand.short_failed = True  # RFC 9156 3: it may be the short name that they don't understand
        else:
            errand.tried.update(server.address for server in asked)

    def _answered(self, now: int, answered: Answered) -> None:
        errand, cut = self._here()
        m = answered.message
        self.last = answered
        type = self.recursion.config.minimised_type if errand.is_minimised else errand.type
        reading = read(m, cut.zone, errand.asked, type)
        if m.tc:
            reading.sort, reading.usable, reading.why = Sort.LAME, False, "sends what is truncated over TCP"
        if reading.sort is Sort.LAME:
            self._lame(now, errand, cut, reading, answered)
            return
        if errand.short_failed:
            errand.short_failed = False
            self.whole = cut.whole = True
        self._believe(now, errand, cut, reading, m)

    def _here(self) -> tuple[Errand, Cut]:
        errand = self.stack[-1]
        assert errand.cut is not None
        return errand, errand.cut

    def _lame(self, now: int, errand: Errand, cut: Cut, reading: Reading, answered: Answered) -> None:
        address = answered.server.address
        self.recursion.mib.Lame += 1
        self.why = int(Ede.NOT_AUTHORITATIVE), f"{address} {reading.why}"
        if errand.is_minimised and not self.recursion.config.minimise_strictly:
            errand.whole = errand.short_failed = True  # it may know more of the whole name
            return
        errand.tried.add(address)
        if not reading.usable:
            if cut is not self.recursion.hinted:
                cut.blame(address, errand.type, now)
        elif errand.fallback is None:
            errand.fallback = reading, answered.message

    def _believe(self, now: int, errand: Errand, cut: Cut, reading: Reading, m: Message) -> None:
        if errand.purpose is Purpose.PRIME:
            self._primed(now, reading, m)
        elif reading.sort is Sort.REFERRAL:
            self._descend(now, errand, cut, reading)
        elif errand.is_minimised:
            self._shortly(now, errand, cut, reading)
        elif reading.sort is Sort.ANSWER:
            self._positively(now, errand, cut, reading)
        else:
            self._negatively(now, errand, cut, reading)

    def _primed(self, now: int, reading: Reading, m: Message) -> None:
        if self.recursion.primed(reading, m, now):
            self.stack.pop()
            return
        self.why = int(Ede.NOT_AUTHORITATIVE), "no server of the root says who serves it"
        self._fail(now, self.stack[-1])

    def _descend(self, now: int, errand: Errand, cut: Cut, reading: Reading) -> None:
        """Into the zone that was named, which is always below: so this ends."""
        recursion = self.recursion
        recursion.mib.Referrals += 1
        ttl = min(reading.ttl, recursion.cache.config.max_ttl)
        new = Cut(reading.cut, self.recursion.texts(reading.servers), min(now + ttl * SECOND, cut.expires))
        if new.expires > now:
            recursion.cuts.add(new)
        if errand.purpose is Purpose.ADDRESS:
            below = self.stack[-2]
            glued = [address for address in new.servers.get(errand.server, ()) if address not in below.tried]
            if glued:  # good enough to ask there, for who looks for a server
                self.stack.pop()
                below.found.setdefault(errand.server, []).extend(glued)
                return
            if errand.above and names.under(new.zone, errand.above):
                self._fail(now, errand)  # still nobody who could be asked
                return
        errand.steps += 1
        errand.enter(new)

    def _shortly(self, now: int, errand: Errand, cut: Cut, reading: Reading) -> None:
        """What was said of a name cut short."""
        type = self.recursion.config.minimised_type
        if reading.sort is Sort.NXDOMAIN:
            if cut.zone == names.ROOT or self.recursion.config.minimise_strictly:
                self.recursion.keep_denial(errand.asked, type, reading, now)
                self._end(now, errand, int(Rcode.NXDOMAIN), self._said(reading))
            else:
                errand.doubt = errand.asked, reading  # many say so of a name that has nothing but names below it
                errand.whole = True
            return
        errand.steps += 1
        errand.known = names.count(errand.asked)
        if reading.sort is Sort.NODATA:
            self.recursion.keep_denial(errand.asked, type, reading, now)
        else:
            self.recursion.keep(reading, now, cut)

    def _positively(self, now: int, errand: Errand, cut: Cut, reading: Reading) -> None:
        self._doubt_is_over(cut, errand)
        if errand.type != Type.ANY:
            self.recursion.keep(reading, now, cut)
        errand.add(reading.links)
        if reading.too_long:
            self._end(now, errand, int(Rcode.YXDOMAIN), ())  # RFC 6672 2.2
        elif reading.target is not None:
            self._follow(now, errand, reading.target)
        else:
            self._end(now, errand, int(Rcode.NOERROR), self._said(reading))

    def _negatively(self, now: int, errand: Errand, cut: Cut, reading: Reading) -> None:
        nothing = reading.sort is Sort.NXDOMAIN
        if nothing and errand.doubt is not None:
            name, short = errand.doubt  # true of the whole name, so true of what is cut short, and of all below it (RFC 8020)
            self.recursion.keep_denial(name, 0, short, now)
        else:
            self._doubt_is_over(cut, errand)
        self.recursion.keep_denial(errand.name, errand.type, reading, now)
        self._end(now, errand, int(Rcode.NXDOMAIN if nothing else Rcode.NOERROR), self._said(reading))

    def _doubt_is_over(self, cut: Cut, errand: Errand) -> None:
        """There is something below a name that was said not to be: such servers are to be asked for whole names."""
        if errand.doubt is not None:
            self.recursion.mib.EmptyDenied += 1
            errand.doubt = None
            cut.whole = True

    def _said(self, reading: Reading) -> tuple[Record, ...]:
        return authority_of(reading, self.recursion.cache.config.max_negative_ttl, self.dnssec)

    # -- the end --------------------------------------------------------------------------------------------------------------

    def _end(self, now: int, errand: Errand, rcode: int, authority: tuple[Record, ...]) -> None:
        """The errand on top has found out."""
        self.stack.pop()
        if errand.purpose is Purpose.ADDRESS:
            found = [a for link in errand.links if link.type in (Type.A, Type.AAAA) for a in link.rdatas]
            self.stack[-1].found.setdefault(errand.server, []).extend(self.recursion.texts({names.ROOT: found})[names.ROOT])
            return
        self.recursion.forget_failure(self.question.name, self.question.type)
        last = self.last
        self._settle(
            Outcome(
                question=self.question,
                rcode=rcode,
                answer=self._shown(errand),
                authority=authority,
                server=None if last is None else (last.server.address, last.server.port),
                rtt=0 if last is None else last.rtt,
                over_stream=last is not None and last.over_stream,
            )
        )

    def _shown(self, errand: Errand) -> tuple[Record, ...]:
        found = tuple(r for link in errand.links for r in link.records(self.dnssec))
        for record in found:
            record.ttl = min(record.ttl, self.recursion.cache.config.max_ttl)
        return found

    def _fail(self, now: int, errand: Errand) -> None:
        """The errand on top has found nothing out."""
        if errand.purpose is Purpose.QUESTION:
            self._give_up(now)
            return
        self.stack.pop()
        if errand.purpose is Purpose.PRIME:
            self.recursion.prime_after = now + PRIME_AGAIN
        else:
            self.failed_names.append((errand.name, errand.type))

    def _give_up(self, now: int) -> None:
        """There is no answer. What could not be found out on the way is remembered too: it is why."""
        recursion = self.recursion
        recursion.mib.Failures += 1
        waiting = [(e.name, e.type) for e in self.stack if e.purpose is not Purpose.PRIME]
        for name, type in {*waiting, *self.failed_names, (self.question.name, self.question.type)}:
            recursion.remember_failure(name, type, now)
        stale = recursion.known(self.question, now, self.dnssec, stale=True)
        if self.fresh:
            recursion.renew_later(self.question, now)
        if stale is not None and stale.stale:
            recursion.mib.Stale += 1
        self._settle(stale or Outcome(question=self.question, rcode=int(Rcode.SERVFAIL), answer=self.shown, error=self.why))

    def _settle(self, outcome: Outcome) -> Settled:
        self.outcome = outcome
        self.cancel()
        return Settled(outcome)
