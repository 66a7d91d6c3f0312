"""Plays scenarios in the language of Unbound's testbound and Deckard (`.rpl`) to the iterative resolver, or, where everything is to
be forwarded, to the forwarder: what servers say is written down, what clients ask and are to be told too.

    python tests/unit/dns/replay.py FILE_OR_FOLDER ...

plays those of other people and says for each: pass, fail, or skip, with the reason. Skipped is what needs what we don't have:
validation, some zones forwarded and others not, modules. Compared are rcode, flags, question and answer section; where the scenario
compares all, authority and additional sections are told as `sections differ`, since ours hold no more than they must.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from netstack.dns import name as names
from netstack.dns import rdata, text
from netstack.dns.edns import Edns
from netstack.dns.message import Message, Question, Record, decode
from netstack.dns.numbers import Rcode, type_number
from netstack.dns.resolve.cache import Cache, CacheConfig
from netstack.dns.resolve.cuts import FOREVER, Cut
from netstack.dns.resolve.forward import ForwardConfig, Forwarder
from netstack.dns.resolve.job import Outcome, Settled
from netstack.dns.resolve.query import SendDatagram
from netstack.dns.resolve.recursion import Recursion, RecursionConfig
from netstack.errors import UsageError

SECOND = 1_000_000_000
MS = 1_000_000
FLAGS = {"QR": 0x8000, "AA": 0x400, "TC": 0x200, "RD": 0x100, "RA": 0x80, "AD": 0x20, "CD": 0x10}
RCODES = {"NOTIMPL": 4, "REFUSE": 5, **{r.name: int(r) for r in Rcode}}
OPCODES = {"QUERY": 0, "IQUERY": 1, "STATUS": 2, "NOTIFY": 4, "UPDATE": 5}
SECTIONS = ("question", "answer", "authority", "additional")
MATCHES = frozenset(("opcode", "qtype", "qname", "qcase", "subdomain", "all", "all_noedns", "rcode", "flags", "question", "answer",
                     "authority", "additional", "ttl", "udp", "tcp", "do", "noedns"))  # fmt: skip
CLASSES = {"IN": 1, "CH": 3, "HS": 4, "NONE": 254, "ANY": 255}
NOT_OURS = frozenset((  # options of theirs for what we don't have
    "local-data", "private-address", "private-domain", "do-nat64", "dns64-prefix", "response-ip", "define-tag",
    "cache-min-ttl", "ratelimit", "access-control-view", "ip-ratelimit", "feature-list", "features", "cache-min-negative-ttl",
    "iter-scrub-ns", "harden-unverified-glue", "harden-glue", "forward-addr", "auth-zone", "rpz", "dnstap", "python", "cachedb",
))  # fmt: skip
ALGORITHMS = {"RSAMD5": "1", "DSA": "3", "RSASHA1": "5", "RSASHA256": "8", "RSASHA512": "10", "ECDSAP256SHA256": "13"}
ANCHORS = ("trust-anchor", "trust-anchor-file", "auto-trust-anchor-file", "trusted-keys-file", "dlv-anchor")


class Skip(Exception):
    """This scenario is not for us."""


class Fail(Exception):
    """It ended otherwise."""


class Entry:
    def __init__(self) -> None:
        self.match: set[str] = set()
        self.adjust: set[str] = set()
        self.message = Message()
        self.do = self.has_edns = False
        self.hex: bytes | None = None
        self.used = False

    def matches(self, q: Message, over_stream: bool) -> bool:
        """Is it for this query?"""
        mine, theirs = (self.message.question or [Question(names.ROOT, 0)])[0], q.question[0]
        m = self.match or {"qname", "qtype"}
        wants = {
            "qname": names.key(mine.name) == names.key(theirs.name),
            "qcase": mine.name == theirs.name,
            "qtype": mine.type == theirs.type,
            "question": mine == theirs,
            "subdomain": names.under(names.key(theirs.name), names.key(mine.name)),
            "udp": not over_stream,
            "tcp": over_stream,
            "do": q.edns is not None and q.edns.do,
            "noedns": q.edns is None,
        }
        return all(wants.get(each, True) for each in m)

    def reply(self, q: Message) -> bytes:
        if self.hex is not None:
            return q.id.to_bytes(2, "big") + self.hex[2:]
        m = Message(q.id, self.message.flags)
        copies = "copy_query" in self.adjust or self.message.question[:1] == q.question
        m.question = q.question if copies else self.message.question
        m.answer, m.authority, m.additional = self.message.answer, self.message.authority, self.message.additional
        if q.edns is not None and (self.message.flags & 15) != Rcode.FORMERR:
            m.edns = Edns(1232, do=q.edns.do)
        return m.encode()


class Range:
    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.addresses: list[str] = []
        self.entries: list[Entry] = []


class Step:
    def __init__(self, at: int, kind: str, rest: list[str]) -> None:
        self.at, self.kind, self.rest = at, kind, rest
        self.entry: Entry | None = None


class Scenario:
    """What a file says."""

    def __init__(self, said: str) -> None:
        self.config: list[tuple[str, str]] = []
        self.ranges: list[Range] = []
        self.steps: list[Step] = []
        self.title = ""
        self._lines = iter(said.splitlines())
        self._origin, self._ttl = names.ROOT, 3600
        self._read_config()
        self._read()

    def _read_config(self) -> None:
        for line in self._lines:
            line = re.sub(r"\s[;#].*|^[;#].*", "", line).strip()
            if line == "CONFIG_END":
                return
            one_line = re.fullmatch(r'forward-zone:\s*name:\s*("?[^\s"]*"?)\s*((?:forward-[a-z]+:\s*\S+\s*)+)', line)
            if one_line is not None:
                self.config += [("forward-zone", ""), ("name", one_line[1].strip('"'))]
                self.config += re.findall(r"(forward-[a-z]+):\s*(\S+)", one_line[2])
                continue
            key, _, value = line.partition(":")
            if key:
                self.config.append((key.strip(), value.strip().strip('"')))

    def _read(self) -> None:
        for line in self._lines:
            words = line.split(";")[0].split()
            if not words:
                continue
            if words[0] == "SCENARIO_BEGIN":
                self.title = " ".join(words[1:])
            elif words[0] == "RANGE_BEGIN":
                self._in_steps = False
                self.ranges.append(Range(int(words[1]), int(words[2])))
                self.ranges[-1].addresses += map(_address, words[3:])
            elif words[0] == "ADDRESS":
                self.ranges[-1].addresses.append(_address(words[1]))
            elif words[0] == "ENTRY_BEGIN":
                entry = self._entry()
                if self._in_steps:
                    self.steps[-1].entry = entry
                else:
                    self.ranges[-1].entries.append(entry)
            elif words[0] == "STEP":
                self._in_steps = True
                self.steps.append(Step(int(words[1]), words[2], words[3:]))
            elif words[0] == "SCENARIO_END":
                return
            elif words[0] not in ("RANGE_END", "END_RANGE"):
                if words[0] in ("$ORIGIN", "$TTL"):
                    self._directive(words)
                else:
                    raise Skip(f"{words[0]} is unknown here")

    _in_steps = False

    def _directive(self, words: list[str]) -> None:
        if words[0] == "$ORIGIN":
            self._origin = names.parse(words[1], names.ROOT)
        else:
            self._ttl = int(words[1])

    def _entry(self) -> Entry:
        entry = Entry()
        section = ""
        for line in self._lines:
            words = line.split(";")[0].split()
            if not words:
                continue
            if words[0] == "ENTRY_END":
                return entry
            if words[0] == "MATCH":
                entry.match |= {word.lower() for word in words[1:]}
                strange = {word for word in entry.match - MATCHES if not word.startswith("ede=")}
                if strange:
                    raise Skip(f"MATCH {' '.join(strange)}")
            elif words[0] == "ADJUST":
                entry.adjust |= set(words[1:])
            elif words[0] == "REPLY":
                self._flags(entry, words[1:])
            elif words[0] == "SECTION":
                section = words[1].lower()
            elif words[0] == "HEX_ANSWER_BEGIN":
                entry.hex = self._hex()
            elif words[0] in ("HEX_EDNSDATA_BEGIN", "EXTRA_PACKET"):
                raise Skip(words[0])
            elif words[0] in ("$ORIGIN", "$TTL"):
                self._directive(words)
            else:
                self._record(entry, section, line)
        raise Skip("an entry without an end")

    def _hex(self) -> bytes:
        digits = ""
        for line in self._lines:
            if line.strip().startswith("HEX_ANSWER_END"):
                break
            digits += re.sub(r"[;#].*", "", line)
        return bytes.fromhex("".join(digits.split()))

    def _flags(self, entry: Entry, words: list[str]) -> None:
        for word in words:
            if word in FLAGS:
                entry.message.flags |= FLAGS[word]
            elif word in RCODES:
                entry.message.flags |= RCODES[word]
            elif word in OPCODES:
                entry.message.flags |= OPCODES[word] << 11
            elif word == "DO":
                entry.do = True
            else:
                raise Skip(f"REPLY {word}")

    def _record(self, entry: Entry, section: str, line: str) -> None:
        if section not in SECTIONS:
            raise Skip(f"SECTION {section}")
        words = text.split(line)
        owner = names.parse(words.pop(0), self._origin)
        rclass, ttl = 1, self._ttl
        while words:
            if words[0].isdigit():
                ttl = int(words.pop(0))
            elif words[0].upper() in CLASSES and (len(words) > 1 or section != "question"):
                rclass = CLASSES[words[0].upper()]
                words.pop(0)
            else:
                break
        try:
            type = type_number(words.pop(0))
            if section == "question":
                if words:
                    rclass = 1
                entry.message.question.append(Question(owner, type, rclass))
            else:
                if words[0] == "\\#":
                    data = bytes.fromhex("".join(words[2:]))  # as it is, lawful or not
                else:
                    data = rdata.from_text(type, " ".join(ALGORITHMS.get(word, word) for word in words), self._origin)
                getattr(entry.message, section).append(Record(owner, type, rclass, ttl, data))
        except (UsageError, IndexError) as error:
            raise Skip(f"a record can't be read: {line.strip()[:60]} ({error})") from None


def _address(word: str) -> str:
    return text.address_text(text.ip6_octets(word) if ":" in word else text.ip4_octets(word))


class Client:
    def __init__(self, asked: Message, job: Any) -> None:
        self.asked, self.job = asked, job
        self.pending: Any = None
        self.error: tuple[int, str] | None = None
        self.answer: Message | None = None


class Player:
    """One run. `queries` is what the resolver sent."""

    def __init__(self, scenario: Scenario, seed: int = 1, **config: Any) -> None:
        self.scenario = scenario
        self.now = 1_000_000 * SECOND
        self.clients: list[Client] = []
        self.queries: list[tuple[str, str, int]] = []
        self.notes: set[str] = set()
        self.at = 0
        self.i = 0
        self._configure(seed, config)

    def _configure(self, seed: int, config: dict[str, Any]) -> None:
        hints: list[str] = []
        stubs: dict[bytes, list[str]] = {}
        cache: dict[str, Any] = {"below_nxdomain": False}
        chosen: dict[str, Any] = {"minimise": True, "mix_case": False, "local_zones": ()}
        forwards: dict[str, list[str]] = {}
        zone = ""
        forwarding = False
        for key, value in self.scenario.config:
            if key.endswith("-zone") or key == "server":
                zone = ""
                forwarding = key == "forward-zone"
            if key == "forward-addr" and forwarding:
                forwards.setdefault(zone or ".", []).append(value.split("#")[0].replace("@", ":"))
                continue
            if key.startswith("forward-") and key != "forward-zone" and value not in ("no", ""):
                raise Skip(f"needs {key}")
            if value.startswith("name:"):
                raise Skip("needs options behind others")
            if key in ("module-config",) and value.split() not in (["iterator"], ["validator", "iterator"]):
                raise Skip(f"needs modules: {value}")
            if key in ANCHORS:
                self.validates = True
            if key in NOT_OURS or (key == "access-control" and not value.endswith("allow_snoop")):
                raise Skip(f"needs {key}")
            if key == "name":
                zone = value
            elif key in ("stub-addr", "hint-addr"):
                address = _address(value.split("@")[0])
                if zone in ("", "."):
                    hints.append(address)
                else:
                    stubs.setdefault(names.key(names.parse(zone, names.ROOT)), []).append(address)
            elif key in ("stub-host", "stub-first", "stub-prime", "stub-no-cache") and value not in ("no",):
                raise Skip(f"needs {key}")
            elif key in ("qname-minimisation", "query-minimization"):
                chosen["minimise"] = value in ("yes", "on", "true")
                if key == "query-minimization":
                    chosen["minimised_type"] = 2  # Knot Resolver's
            elif key == "qname-minimisation-strict":
                chosen["minimise_strictly"] = value == "yes"
            elif key == "do-ip6":
                chosen["ipv6"] = value == "yes"
            elif key == "do-ip4":
                chosen["ipv4"] = value == "yes"
            elif key == "do-not-query-localhost" and value == "no":
                chosen["ask_loopback"] = True
            elif key == "harden-below-nxdomain":
                cache["below_nxdomain"] = value == "yes"
            elif key == "serve-expired" and value == "yes":
                cache["stale_for"] = 86400
            elif key == "serve-expired-ttl" and value != "0":
                cache["stale_for"] = int(value)
            elif key == "serve-expired-reply-ttl":
                cache["stale_ttl"] = int(value)
            elif key == "serve-expired-client-timeout":
                chosen["stale_after"] = int(value) * MS
            elif key == "cache-max-ttl":
                cache["max_ttl"] = int(value)
            elif key == "cache-max-negative-ttl":
                cache["max_negative_ttl"] = int(value)
            elif key == "prefetch" and value == "yes":
                cache["prefetch"] = 0.1000001
            elif key == "max-global-quota":
                chosen["queries"] = int(value)
        if forwards:
            if any(key in ("serve-expired-ttl-reset", "outbound-msg-retry") for key, _ in self.scenario.config):
                raise Skip("needs tries counted as Unbound does")
            if "." not in forwards or stubs or hints:
                raise Skip("needs servers of zones beside iteration")
            said = ForwardConfig(strict=False, aliases=11)
            self.resolver = Forwarder(
                forwards.pop("."), random.Random(seed), domains=forwards, cache=Cache(CacheConfig(**cache)), config=said
            )
            return
        chosen |= config
        self.resolver = Recursion(
            hints or ["193.0.14.129"], random.Random(seed), cache=Cache(CacheConfig(**cache)), config=RecursionConfig(**chosen)
        )
        for key, addresses in stubs.items():
            self.resolver.cuts.add(Cut(key, {names.ROOT: addresses}, FOREVER))

    # -- the run --------------------------------------------------------------------------------------------------------------

    def play(self) -> None:
        steps = self.scenario.steps
        while self.i < len(steps):
            step = steps[self.i]
            self.at = step.at
            getattr(self, "_" + step.kind.lower(), self._unknown)(step)
            self.i += 1
            if self.i < len(steps):
                self.at = steps[self.i].at
                self._pump()

    def _unknown(self, step: Step) -> None:
        raise Skip(f"STEP {step.kind}")

    def _nothing(self, step: Step) -> None:
        pass

    _traffic = _error = _check_out_query = _reply = _infra_rtt = _nothing

    def _query(self, step: Step) -> None:
        assert step.entry is not None
        asked = step.entry.message
        if step.entry.hex is not None:
            raise Skip("a query in octets")
        if not asked.question or asked.opcode:
            raise Skip("a query without a question, or of another opcode")
        if not asked.rd:
            raise Skip("needs answers to who wants no recursion")
        self._seek(asked, step.entry.do, False)

    def _seek(self, asked: Message, dnssec: bool, fresh: bool) -> None:
        found = self.resolver.seek(asked.question[0], self.now, dnssec=dnssec, fresh=fresh)
        client = Client(asked, None if isinstance(found, Outcome) else found)
        self.clients.append(client)
        if isinstance(found, Outcome):
            self._told(client, found)
        else:
            self._act(client, found.start(self.now))
        if fresh:
            client.answer = None
            if client in self.clients:
                self.clients.remove(client)

    def _told(self, client: Client, outcome: Outcome) -> None:
        client.answer = outcome.message(client.asked.id, client.asked.flags & 0x110)
        client.error = outcome.error
        client.job = client.pending = None
        if outcome.refresh:
            self.notes.add("refreshes")
            job = self.resolver.seek(client.asked.question[0], self.now, fresh=True)
            if not isinstance(job, Outcome):
                behind = Client(client.asked, job)
                self.background.append(behind)
                self._act(behind, job.start(self.now))

    background: list[Client]
    validates = False

    def _act(self, client: Client, step: Any) -> None:
        if isinstance(step, Settled):
            if client in self.clients:
                self._told(client, step.outcome)
            else:
                client.job = client.pending = None
            return
        q = decode(step.data)
        self.queries.append((step.server.address, names.text(q.question[0].name), q.question[0].type))
        client.pending = step

    def _pump(self) -> None:
        """Answer what can be answered."""
        moved = True
        while moved:
            moved = False
            for client in [*self.clients, *self.background]:
                if client.pending is not None:
                    said = self._say(client)
                    if said is not None:
                        moved = True
                        self._deliver(client, said)

    def _deliver(self, client: Client, said: bytes) -> None:
        self.now += MS
        sent = client.pending
        if isinstance(sent, SendDatagram):
            step = client.job.datagram(self.now, said, sent.server.address, sent.server.port, sent.source)
        else:
            step = client.job.message(self.now, said)
        if step is None:
            client.pending = _Deaf(sent)
        else:
            self._act(client, step)

    def _say(self, client: Client) -> bytes | None:
        sent = client.pending
        if isinstance(sent, _Deaf):
            return None
        q = decode(sent.data)
        over_stream = not isinstance(sent, SendDatagram)
        for each in self.scenario.ranges:
            if each.first <= self.at <= each.last and (not each.addresses or sent.server.address in each.addresses):
                for entry in each.entries:
                    if entry.matches(q, over_stream):
                        return None if "do_not_answer" in entry.adjust else entry.reply(q)
        for step in self.scenario.steps[self.i :]:
            if step.kind in ("QUERY", "TIME_PASSES") and step is not self.scenario.steps[self.i]:
                break
            entry = step.entry
            if entry is None or entry.used or not entry.matches(q, over_stream):
                continue
            if step.kind == "REPLY" or (step.kind == "CHECK_OUT_QUERY" and "copy_id" in entry.adjust):
                step.entry.used = True
                return step.entry.reply(q)
        return None

    def _timeout(self, step: Step) -> None:
        self._expire()

    def _expire(self) -> bool:
        """Let the next deadline pass."""
        waiting = [c for c in (*self.clients, *self.background) if c.job is not None and c.job.deadline is not None]
        if not waiting:
            return False
        first = min(waiting, key=lambda c: c.job.deadline)
        self.now = max(self.now, first.job.deadline)
        step = first.job.expired(self.now)
        if step is not None:
            self._act(first, step)
        return True

    def _time_passes(self, step: Step) -> None:
        if step.rest[:1] != ["ELAPSE"]:
            raise Skip("TIME_PASSES EVAL")
        until = self.now + int(float(step.rest[1]) * SECOND)
        while True:
            due = [c.job.deadline for c in (*self.clients, *self.background) if c.job is not None and c.job.deadline is not None]
            if not due or min(due) > until:
                break
            self._expire()
            self._pump()
        self.now = max(until, self.now)

    def _check_answer(self, step: Step) -> None:
        assert step.entry is not None
        wanted = step.entry
        self._pump()
        client = self._answered(wanted)
        while client is None and self._expire():
            self._pump()
            client = self._answered(wanted)
        if client is None or client.answer is None:
            raise Fail(f"step {step.at}: no answer")
        self.clients.remove(client)
        self._compare(step.at, wanted, client.answer)
        for code in {word[4:] for word in wanted.match if word.startswith("ede=")}:
            if client.error is None or (code != "any" and client.error[0] != int(code)):
                raise Fail(f"step {step.at}: extended error {client.error} instead of {code}")

    def _answered(self, wanted: Entry) -> Client | None:
        ready = [c for c in self.clients if c.answer is not None]
        if not wanted.message.question:
            return ready[0] if ready else None
        return next((c for c in ready if c.asked.question[0] == wanted.message.question[0]), None)

    def _compare(self, at: int, entry: Entry, got: Message) -> None:
        match, wanted = set(entry.match), entry.message
        if match & {"all", "all_noedns"}:
            match |= {"qname", "qtype", "flags", "rcode", "answer", "sections"}
        if "rcode" in match and got.rcode != wanted.rcode:
            raise Fail(f"step {at}: {_name(got.rcode)} instead of {_name(wanted.rcode)}; {got.answer}")
        if "answer" in match:
            mine, theirs = _bag(got.answer, "ttl" in match), _bag(wanted.answer, "ttl" in match)
            if mine != theirs:
                raise Fail(f"step {at}: answer {mine} instead of {theirs}")
        if "flags" in match and (got.flags ^ wanted.flags) & (0x8680 if self.validates else 0x86A0):
            raise Fail(f"step {at}: flags {got.flags:#06x} instead of {wanted.flags:#06x}")
        pairs = ((got.authority, wanted.authority), (got.additional, wanted.additional))
        if "sections" in match and any(_bag(mine, False) != _bag(theirs, False) for mine, theirs in pairs):
            self.notes.add("sections differ")


class _Deaf:
    """What was sent, and answered by something that was not believed."""

    def __init__(self, sent: Any) -> None:
        self.sent = sent


def _name(rcode: int) -> str:
    return Rcode(rcode).name


def _bag(records: Iterable[Record], ttl: bool) -> list[str]:
    def line(r: Record) -> str:
        return f"{names.text(r.name).lower()}{f' {r.ttl}' if ttl else ''} {r.type} {rdata.to_text(r.type, r.rdata).lower()}"

    return sorted(map(line, records))


def play(said: str, seed: int = 1, **config: Any) -> Player:
    """Raises Fail or Skip."""
    player = Player.__new__(Player)
    player.background = []
    player.__init__(Scenario(said), seed, **config)  # type: ignore[misc]
    try:
        player.play()
    except Fail as fail:
        if player.validates:
            raise Skip(f"needs validation: {fail}") from None
        raise
    return player


def main(paths: list[str]) -> None:
    files = [f for path in paths for f in (sorted(Path(path).rglob("*.rpl")) if Path(path).is_dir() else [Path(path)])]
    counts = {"pass": 0, "fail": 0, "skip": 0}
    for file in files:
        try:
            player = play(file.read_text("utf-8", "replace"))
            how, why = "pass", f"{len(player.queries)} queries {' '.join(sorted(player.notes))}"
        except Skip as skip:
            how, why = "skip", str(skip)
        except Fail as fail:
            how, why = "fail", str(fail)
        except Exception as error:  # a scenario must not end the run of the others
            how, why = "fail", f"CRASH {type(error).__name__}: {error}"
        counts[how] += 1
        print(f"{how} {file.name}: {why}")
    print(counts)


if __name__ == "__main__":
    main(sys.argv[1:])
