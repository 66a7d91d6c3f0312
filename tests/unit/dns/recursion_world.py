"""An Internet without wires for the iterative resolver: servers at addresses, each a function from a query to what it says, a clock
that jumps, and an account of every query."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from netstack.dns import name as names
from netstack.dns import rdata
from netstack.dns.authority.zone import Zone
from netstack.dns.edns import Edns
from netstack.dns.message import Message, Question, Record, decode
from netstack.dns.numbers import Type, type_number
from netstack.dns.resolve.job import Outcome, Settled
from netstack.dns.resolve.query import SendDatagram
from netstack.dns.resolve.recursion import Recursion, RecursionConfig

SECOND = 1_000_000_000
MS = 1_000_000
ROOT = "198.41.0.4"

Says = Callable[[Message, bool], "Message | bytes | None"]


def record(owner: str, type: str, said: str, ttl: int = 300) -> Record:
    number = type_number(type)
    return Record(names.parse(owner), number, 1, ttl, rdata.from_text(number, said))


def records(said: str) -> list[Record]:
    """Lines like `www.example. A 192.0.2.1` or `www.example. 60 A 192.0.2.1`."""
    found = []
    for line in said.strip().splitlines():
        owner, *rest = line.split()
        ttl = int(rest.pop(0)) if rest[0].isdigit() else 300
        found.append(record(owner, rest[0], " ".join(rest[1:]), ttl))
    return found


def reply(
    q: Message, answer: str = "", authority: str = "", additional: str = "", *, rcode: int = 0, aa: bool = True, ra: bool = False
) -> Message:
    m = Message(q.id, 0x8000 | (0x0400 if aa else 0) | (0x0080 if ra else 0) | rcode)
    m.question = list(q.question)
    m.answer, m.authority, m.additional = records(answer), records(authority), records(additional)
    if q.edns is not None:
        m.edns = Edns(1232)
    return m


def zone(origin: str, said: str) -> Zone:
    """With a SOA and whatever lines `said` has."""
    made = Zone(names.parse(origin))
    made.add("@", "SOA", 300, "ns.invalid. nobody.invalid. 1 3600 600 86400 60")
    for r in records(said):
        made.add(r.name, r.type, r.ttl, r.rdata)
    return made


def serves(*zones: Zone) -> Says:
    """A server that has the say in `zones`, and refuses the rest."""

    def says(q: Message, over_stream: bool) -> Message:
        asked = q.question[0]
        held = [z for z in zones if names.under(names.key(asked.name), z.origin)]
        if not held:
            return reply(q, rcode=5, aa=False)
        best = max(held, key=lambda z: len(z.origin))
        if asked.type == Type.DS and names.key(asked.name) == best.origin:
            above = [z for z in held if z is not best]
            best = max(above, key=lambda z: len(z.origin)) if above else best
        m = best.answer(asked.name, asked.type, q.edns is not None and q.edns.do).message(asked.name, asked.type, q.id)
        m.edns = None if q.edns is None else Edns(1232)
        return m

    return says


class Internet:
    """`asked`: (address, name, type, over a stream) of every query. Who isn't in `servers` is silent."""

    def __init__(
        self, servers: dict[str, Says], *, seed: int = 1, hints: object = ROOT, delay: int = 10 * MS, **config: object
    ) -> None:
        self.servers = servers
        self.now = 1000 * SECOND
        self.delay = delay
        self.asked: list[tuple[str, str, str, bool]] = []
        self.messages: list[Message] = []
        self.rng = random.Random(seed)
        self.resolver = Recursion(hints, self.rng, config=RecursionConfig(**config))  # type: ignore[arg-type]

    def ask(self, name: str, type: str = "A", **seeking: bool) -> Outcome:
        found = self.resolver.seek(Question(names.parse(name), type_number(type)), self.now, **seeking)
        return found if isinstance(found, Outcome) else self.drive(found)

    def drive(self, job: object) -> Outcome:
        self.job = job
        step = job.start(self.now)
        while not isinstance(step, Settled):
            step = self._exchange(job, step)
        assert job.deadline is None
        return step.outcome

    def _exchange(self, job: object, sent: object) -> object:
        over_stream = not isinstance(sent, SendDatagram)
        m = decode(sent.data)
        q = m.question[0]
        self.messages.append(m)
        self.asked.append((sent.server.address, names.text(q.name).lower(), Type(q.type).name, over_stream))
        says = self.servers.get(sent.server.address)
        said = None if says is None else says(m, over_stream)
        if said is not None:
            self.now += self.delay
            if isinstance(said, Message):
                limit = 65535 if over_stream else 512 if m.edns is None else m.edns.payload
                said = said.encode(limit)
            if over_stream:
                step = job.message(self.now, said)
            else:
                step = job.datagram(self.now, said, sent.server.address, sent.server.port, sent.source)
            if step is not None:
                return step
        while True:
            assert job.deadline is not None and job.deadline >= self.now
            self.now = job.deadline
            step = job.expired(self.now)
            if step is not None:
                return step

    def pass_time(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)

    def clear(self) -> None:
        self.asked.clear()
        self.messages.clear()

    def counts(self) -> Counter[str]:
        """Queries for each address."""
        return Counter(address for address, *_ in self.asked)


def texts(outcome: Outcome) -> list[str]:
    """The answer's records as text."""
    return [f"{names.text(r.name)} {Type(r.type).name} {rdata.to_text(r.type, r.rdata)}" for r in outcome.answer]
