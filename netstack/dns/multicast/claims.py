"""How names become ours, and stay it (RFC 6762 8, 9): probes, ties, announcements, conflicts. The states are drawn in `records.py`.

All that is due at one instant goes into one message, and who starts while another waits for its first probe starts with it: a host
with ten services sends three probes, not thirty.

What strangers can make us send. A conflict makes us probe anew, under another name perhaps, and that is what a liar will do to us
for ever: after fifteen conflicts in ten seconds we wait five before each attempt (RFC 6762 8.1), so it costs the link four small
packets in five seconds. A tie that we lose is worth one second. Nothing is kept of either but the instants of fifteen conflicts.
"""

from __future__ import annotations

from collections import deque

from ...const import MILLISECOND, SECOND
from ...instant import NEVER
from ...signatures import Rng
from ..numbers import Type
from . import message
from .message import Packet, Said
from .mib import MdnsMib
from .records import OTHER_TTL, Claim, Own, Place, Spec, State

PROBE_INTERVAL = 250 * MILLISECOND  # RFC 6762 8.1
PROBES = 3
TIE_LOST = SECOND  # RFC 6762 8.2
CONFLICTS = 15  # RFC 6762 8.1: so many …
CONFLICT_SPAN = 10 * SECOND  # … in so long …
CONFLICT_WAIT = 5 * SECOND  # … and each attempt waits so long
LATE = 60 * SECOND  # RFC 6762 9
NSEC_AT = int(Type.NSEC)


class Claims:
    """All claims, and the records of those that are ours. `announce(own, now)` is called for what is to be told to everybody."""

    def __init__(self, rng: Rng, mib: MdnsMib, limit: int, announcements: int) -> None:
        self.rng = rng
        self.mib = mib
        self.limit = limit
        self.announcements = announcements
        self.claims: list[Claim] = []
        self.places: dict[bytes, Place] = {}
        self.owns: dict[tuple[bytes, int, bytes], Own] = {}
        self.probing: dict[bytes, Claim] = {}  # by key
        self.unsettled: dict[Claim, None] = {}  # those with a next step
        self.conflicts: deque[int] = deque(maxlen=CONFLICTS)
        self.hounded = False  # there were so many that every attempt waits
        self.news: list[Own] = []  # to be told to everybody now
        self.gone: list[Own] = []  # to be told goodbye
        self.changed: list[tuple[Own, bool]] = []  # that has come to be there, True, or is no longer: for the querier

    # -- from the host ----------------------------------------------------------------------------------------------------------

    def add(self, claim: Claim, now: int) -> None:
        """Probe for its name, and then announce it."""
        self.claims.append(claim)
        claim.since = now
        self.wait(claim, self.soonest(now))

    def withdraw(self, claim: Claim, now: int, quietly: bool = False) -> None:
        """It is ours no more, and everybody is told unless `quietly`."""
        if claim.state is State.WITHDRAWN:
            return
        self.claims.remove(claim)
        gone = self.retract(claim)
        if not quietly:
            self.gone += gone
        claim.state = State.WITHDRAWN
        self.unsettled.pop(claim, None)

    def renew(self, claim: Claim, now: int) -> None:
        """Its data has changed (RFC 6762 8.4): who lost records that were shared is told goodbye, and the rest is announced."""
        if claim.state is State.ANNOUNCING or claim.state is State.SETTLED:
            before, claim.owns = claim.owns, []
            self.publish(claim)
            old = [own for own in before if own not in claim.owns and self.drop(own, claim)]
            self.gone += [own for own in old if not own.unique]
            self.begin_announcing(claim, now)

    def restart(self, now: int) -> None:
        """The link may be another: probe for everything again (RFC 6762 8)."""
        at = now + self.random(PROBE_INTERVAL)
        for claim in self.claims:
            self.reset(claim, now, at)

    # -- the steps --------------------------------------------------------------------------------------------------------------

    def wait(self, claim: Claim, at: int) -> None:
        """Begin to probe at `at`."""
        self.probing.pop(claim.key, None)
        claim.state = State.WAITING
        claim.probes = 0
        claim.at = at
        self.unsettled[claim] = None

    def reset(self, claim: Claim, now: int, at: int) -> None:
        """Ours no longer, for all we know: ask again."""
        self.retract(claim)
        claim.since = now
        claim.late = False
        self.wait(claim, at)
        claim.told(claim)

    def soonest(self, now: int) -> int:
        """When may the next attempt begin?"""
        recent = self.conflicts
        if len(recent) == CONFLICTS and now - recent[0] < CONFLICT_SPAN:
            self.hounded = True
        elif not recent or now - recent[-1] >= CONFLICT_SPAN or (len(recent) > 1 and now - recent[-2] >= CONFLICT_SPAN):
            self.hounded = False
        if self.hounded:
            return now + CONFLICT_WAIT
        begins = [each.at for each in self.unsettled if each.state is State.WAITING and now < each.at <= now + PROBE_INTERVAL]
        return min(begins, default=now + self.random(PROBE_INTERVAL))  # in company, if there is any

    def run(self, now: int) -> list[bytes]:
        """The probes that are due; `news` and `gone` are to be looked at then."""
        probing: list[Claim] = []
        for claim in list(self.unsettled):
            if claim.at > now:
                continue
            if claim.state is State.ANNOUNCING:
                self.tell(claim, now)
            elif claim.probes == PROBES:
                self.won(claim, now)
            else:
                probing.append(claim)
        return self.send_probes(probing, now) if probing else []

    def send_probes(self, claims: list[Claim], now: int) -> list[bytes]:
        todo: list[Claim] = []
        for claim in claims:
            if not claim.proposal():
                self.won(claim, now)  # nothing of it is unique
                continue
            if not claim.late and now - claim.since >= LATE:
                claim.late = True
                claim.told(claim)
            claim.state = State.PROBING
            claim.probes += 1
            claim.at = now + PROBE_INTERVAL
            self.probing[claim.key] = claim
            todo.append(claim)
        out: list[bytes] = []
        size = len(todo)
        while todo:
            part = todo[:size]
            data = message.probe([claim.proposal() for claim in part], self.limit if size > 1 else message.MOST)
            if data is None and size > 1:
                size = (size + 1) // 2
                continue
            if data is not None:
                out.append(data)
            del todo[:size]
        self.mib.OutProbes += len(out)
        self.mib.OutQueries += len(out)
        return out

    def won(self, claim: Claim, now: int) -> None:
        self.probing.pop(claim.key, None)
        claim.late = False
        self.publish(claim)
        self.begin_announcing(claim, now)
        claim.told(claim)

    def begin_announcing(self, claim: Claim, now: int) -> None:
        claim.state = State.ANNOUNCING
        claim.announcements = 0
        claim.at = now
        self.unsettled[claim] = None
        self.tell(claim, now)

    def tell(self, claim: Claim, now: int) -> None:
        """Announce it, or, when that was the last time, be at rest."""
        self.news += claim.owns
        claim.announcements += 1
        if claim.announcements < self.announcements:
            claim.at = now + (SECOND << (claim.announcements - 1))  # RFC 6762 8.3: one second, then at least twice as long
        else:
            claim.at = NEVER
            claim.state = State.SETTLED
            del self.unsettled[claim]
            claim.told(claim)

    def deadline(self) -> int:
        return min((claim.at for claim in self.unsettled), default=int(NEVER))

    # -- the records ------------------------------------------------------------------------------------------------------------

    def publish(self, claim: Claim) -> None:
        for spec in claim.specs(claim.name):
            own = self.owns.get((spec.name.lower(), spec.type, spec.rdata))
            if own is None:
                own = Own(spec)
                self.owns[own.ident] = own
                place = self.places.setdefault(own.key, Place())
                place.owns.append(own)
                self.deny(place)
                self.changed.append((own, True))
            own.claims.add(claim)
            claim.owns.append(own)

    def retract(self, claim: Claim) -> list[Own]:
        """Take its records away; those that nobody else has come back."""
        self.probing.pop(claim.key, None)
        owns, claim.owns = claim.owns, []
        return [own for own in owns if self.drop(own, claim)]

    def drop(self, own: Own, claim: Claim) -> bool:
        """A claim has it no more. True where it is no longer there."""
        own.claims.discard(claim)
        if own.claims:
            return False
        del self.owns[own.ident]
        place = self.places[own.key]
        place.owns.remove(own)
        self.deny(place)
        if not place.owns:
            del self.places[own.key]
        self.changed.append((own, False))
        return True

    def deny(self, place: Place) -> None:
        """Make the NSEC record anew that says what there is (RFC 6762 6.1), where all of the name is ours."""
        if not place.owns or not all(own.unique for own in place.owns):
            place.denial = None
            return
        first = place.owns[0]
        data = message.denial(first.name, [own.type for own in place.owns])
        if place.denial is None or place.denial.rdata != data:
            ttl = min(min(own.ttl for own in place.owns), OTHER_TTL)
            place.denial = Own(Spec(first.name, NSEC_AT, data, ttl, True))

    # -- what others say --------------------------------------------------------------------------------------------------------

    def tie(self, packet: Packet, now: int) -> None:
        """Somebody probes for what we probe for (RFC 6762 8.2): the one whose data is later in the order goes on."""
        for question in packet.questions:
            claim = self.probing.get(question.key)
            if claim is None:
                continue
            theirs = sorted((said.type, said.rdata) for said in packet.authority if said.key == question.key and said.rclass == 1)
            if theirs and [own.order() for own in claim.proposal()] < theirs:
                self.mib.TiesLost += 1
                self.wait(claim, now + TIE_LOST)

    def heard(self, said: Said, now: int) -> None:
        """A record in somebody's response: does it contradict one of ours?"""
        claim = self.probing.get(said.key)
        if claim is not None:
            if said.ttl and all((said.type, said.rdata) != own.order() for own in claim.proposal()):
                self.lost(claim, now)
            return
        place = self.places.get(said.key)
        if place is None or not said.ttl:
            return
        for own in place.owns:
            # a conflict over the name of an address is one over the address, which is none of our concern (RFC 6762 8.1)
            if own.unique and own.type == said.type and any(claim.key == own.key for claim in own.claims):
                if (said.key, said.type, said.rdata) in self.owns:
                    return
                self.mib.Conflicts += 1
                self.conflicts.append(now)
                for each in list(own.claims):
                    self.reset(each, now, self.soonest(now))
                return

    def lost(self, claim: Claim, now: int) -> None:
        """Somebody has the name: take another, as RFC 6762 9 recommends."""
        self.mib.Conflicts += 1
        self.mib.Renamed += 1
        self.conflicts.append(now)
        self.probing.pop(claim.key, None)
        taken = {each.key for each in self.claims}
        name = claim.other(claim.name)
        while name.lower() in taken:
            name = claim.other(name)
        claim.call(name)
        self.wait(claim, self.soonest(now))
        claim.told(claim)

    def random(self, most: int) -> int:
        """Up to `most` ns, in steps of a 1024th."""
        return most * self.rng.getrandbits(10) >> 10
