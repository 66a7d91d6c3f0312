"""+trace and +nssearch: from the root downwards, and all who have the say.

A referral's servers are asked where its glue says they are; where it says nothing, the configured server is asked for their
addresses, as everybody does who is no resolver himself.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve

from ...dns import name as names
from ...dns.message import Message, Record
from ...dns.numbers import Type
from ...dns.text import address_text
from .ask import Asker, BadPacket, Reply, Server, Silence
from .lookup import Lookup

MOST_STEPS = 40  # referrals: a name has no more than 127 labels, and no honest way has so many cuts
MOST_SERVERS = 40  # of one referral; NXNS is somebody who writes more


class Tracer:
    """Walks for one look-up. `shown` is told of each answer."""

    def __init__(self, asker: Asker, servers: list[Server], shown: Callable[[Lookup, Reply], None]) -> None:
        self.asker = asker
        self.configured = servers
        self.shown = shown
        self.port = asker.job.port or 53

    async def trace(self, lookup: Lookup, name: bytes) -> None:
        """Raises Silence, BadPacket."""
        start = evolve(lookup, type=int(Type.NS), rd=True)
        reply = await self.asker.ask(start, self.configured, names.ROOT)
        self.shown(lookup, reply)
        step = evolve(lookup, rd=False)
        zone = names.ROOT
        found = _ns(reply.message.answer) or _ns(reply.message.authority)
        for _ in range(MOST_STEPS):
            servers = await self.servers(found, reply.message)
            if not servers:
                return
            reply = await self.asker.ask(step, servers, name)
            self.shown(lookup, reply)
            m = reply.message
            if m.answer or any(r.type == Type.SOA for r in m.authority):
                return
            found = _ns(m.authority)
            if not found:
                return
            cut = names.key(found[0].name)
            if cut == zone:
                self.asker.say("BAD (HORIZONTAL) REFERRAL")
            elif not names.under(cut, zone):
                self.asker.say("BAD REFERRAL")
                return
            zone = cut

    async def search(self, lookup: Lookup, name: bytes) -> None:
        """The SOA record as each server of the zone has it. Raises Silence, BadPacket."""
        ask = evolve(lookup, type=int(Type.NS), rd=True)
        reply = await self.asker.ask(ask, self.configured, name)
        found = _ns(reply.message.answer) or _ns(reply.message.authority)
        answered = False
        for server in await self.servers(found, reply.message):
            try:
                reply = await self.asker.ask(evolve(lookup, type=int(Type.SOA), rd=False), [server], name)
            except (Silence, BadPacket):
                continue
            answered = True
            self.shown(lookup, reply)
        if not answered:
            raise Silence("NS servers could not be reached")

    async def servers(self, found: list[Record], m: Message) -> list[Server]:
        """Of the servers' names their addresses, in a random order, as dig has them."""
        servers: list[Server] = []
        for r in found[:MOST_SERVERS]:
            said = names.text(r.rdata).rstrip(".") or "."
            glue = [a for a in m.additional if a.type in self.types() and names.key(a.name) == names.key(r.rdata)]
            addresses = glue or await self.addresses(r.rdata)
            if not addresses:
                self.asker.say(f"couldn't get address for '{said}': not found")
            servers += [Server(address_text(a.rdata), self.port, said) for a in addresses]
        rng = self.asker.rng
        for i in range(len(servers) - 1, 0, -1):
            j = rng.getrandbits(32) % (i + 1)
            servers[i], servers[j] = servers[j], servers[i]
        return servers

    def types(self) -> tuple[int, ...]:
        family = self.asker.job.family
        return (int(Type.A), int(Type.AAAA)) if not family else (int(Type.A if family == 4 else Type.AAAA),)

    async def addresses(self, name: bytes) -> list[Record]:
        found: list[Record] = []
        for type in self.types():
            try:
                reply = await self.asker.ask(Lookup(type=type, tries=1, comments=False), self.configured, name)
            except (Silence, BadPacket):
                continue
            found += [r for r in reply.message.answer if r.type == type]
        return found


def _ns(records: list[Record]) -> list[Record]:
    """The name servers of the first set there."""
    sets = [r for r in records if r.type == Type.NS]
    return [r for r in sets if names.key(r.name) == names.key(sets[0].name)]
