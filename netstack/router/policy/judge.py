"""What becomes of a flow: who it comes from, the rules, the default. policy.py has the whole story; this is what every flow takes.

All here is decided at once. `ask` (asking.py) goes the way of functions of the program's, which comes back to `judge`.
"""

from collections.abc import Awaitable, Callable, Container
from typing import Any

from attrs import evolve

from ...instant import SECOND, Instant
from ..conversation import Flow
from ..flow import Decision
from . import ranges
from .asking import ask
from .bucket import Share, TokenBucket
from .config import PolicyConfig
from .learnt import Learnt
from .mib import PolicyMib
from .rules import ICMP, PROTOCOLS, TCP, Rule
from .table import Table

BY_OCTET = ranges.BY_OCTET
OPEN, NEVER = ranges.OPEN, ranges.NEVER
CONNECT = Decision.connect()
LOCALHOST = "127.0.0.1"
FOREIGN = 4096  # addresses that are known not to be the host's
HOMES = 64  # decisions to go to the host's loopback that are kept, by port: a scan makes new ones, and ends no worse than before
PATIENT = 1024  # guests whose rate is remembered


class Judge:
    """Of one policy. `denied`, `checked` and `watched` are left to it."""

    def __init__(self, allow: bool, config: PolicyConfig, gateway: int, loopback: bool) -> None:
        self.config = config
        self.mib = PolicyMib()
        self.loopback = loopback
        self.looking = False  # are requests looked at?
        self._allow = allow
        self._max_flows = config.flows
        self._rules: list[Rule] = []
        self._table = Table((), not allow)
        self._stale = False
        self._decisions: dict[int, Decision] = {}  # of rules with more to say than yes, by their identity
        self._learnt = Learnt(config.grace, config.names, config.guests)
        self._hooks: list[Callable[[Flow], Any]] = []
        self._own: Container[int] = frozenset()
        self._foreign: set[int] = set()  # addresses that are not the host's, as of this second
        self._foreign_until = 0
        self._gateway = gateway
        self._homes: dict[int, Decision] = {}
        self._base = self._mask = 0  # of the guests' network
        self._bound: dict[int, str] = {}  # guests by their addresses
        self._open: set[Flow] = set()
        self._flows: dict[str | int, int] = {}  # how many of each guest
        self._fresh: dict[str | int, TokenBucket] = {}
        self._limits: dict[str, int] = {}  # bytes a second of all flows of a guest; "*": of any that has none of its own
        self._shares: dict[str | int, Share] = {}

    def decide(self, flow: Flow) -> Decision | Awaitable[Decision]:
        """See router/flow.py."""
        self.mib.Flows += 1
        src = flow.src_int
        key = flow.guest or src
        self._open.add(flow)
        count = self._flows[key] = self._flows.get(key, 0) + 1
        if flow.inbound:
            src = 0
        elif src & self._mask != self._base:
            return self._deny(flow, "spoofed", "its source is no address of the guests' network")
        elif self._bound and self._bound.get(src, flow.guest) != flow.guest:
            return self._deny(flow, "spoofed", "its source is another guest's address")
        if count > self._max_flows:
            return self._deny(flow, "flood", f"this guest has {self.config.flows} flows already")
        if self.config.new_flows is not None and not self._is_patient(key, flow.began):
            return self._deny(flow, "flood", "this guest begins flows too fast")
        if names := self._learnt.names(src, flow.dst_int, flow.began):
            flow.names = names
            flow.hostname = flow.hostname or names[0]
        if self._hooks:
            return ask(self, self._hooks, flow)
        decision = self.judge(flow)
        return self.shared(flow, decision) if self._limits else decision

    def over(self, flow: Flow) -> None:
        """See router/flow.py. Of a flow that somebody else has decided about, nothing."""
        if flow not in self._open:
            return
        self._open.remove(flow)
        key = flow.guest or flow.src_int
        left = self._flows.get(key, 0) - 1
        if left > 0:
            self._flows[key] = left
        else:
            self._flows.pop(key, None)
            if self._fresh:
                self._forget_patience(key, flow.last)
            if self._shares:
                self._forget_share(key, flow.last)

    def judge(self, flow: Flow) -> Decision:
        """By the rules and the default."""
        if flow.inbound:  # somebody opened a port for it
            self.mib.Allowed += 1
            return CONNECT
        table, dst = self.table(), flow.dst_int
        kind, what = OPEN, ""
        if BY_OCTET[dst >> 24]:
            kind, what = ranges.kind_of(dst)
        if dst not in self._foreign or flow.began >= self._foreign_until:
            kind, what = self._at_home(dst, flow.began, kind, what)
        proto, names = PROTOCOLS[flow.proto], flow.names
        if names and table.by_name:
            rule, checked, denied = self._by_names(flow, proto, dst, kind)
        else:
            rule = table.find(proto, dst, flow.dst_port, flow.guest, kind, "")
            checked = denied = False
        if rule is None:
            if dst == self._gateway and self.loopback and proto != ICMP:
                decision = CONNECT
            elif not self._allow or kind == NEVER:
                return self._refuse(flow, proto, dst, kind, what)
            else:
                decision = CONNECT
        elif not rule.allow:
            return self._deny(flow, "rule", str(rule), self._decisions[id(rule)])
        else:
            decision = self._decisions.get(id(rule), CONNECT) if self._decisions else CONNECT
        self.mib.Allowed += 1
        if dst == self._gateway:
            return self._home(flow.dst_port, decision.rate)
        if proto == TCP:
            if checked:
                return self.checked(flow, decision)
            if denied or table.denies_names or self.looking:
                return self.watched(flow, decision)
        return decision

    def _home(self, port: int, rate: int | None) -> Decision:
        """To the host's loopback, of which few ports are asked for often."""
        if rate is not None:
            return Decision.connect((LOCALHOST, port), rate=rate)
        decision = self._homes.get(port)
        if decision is None:
            if len(self._homes) >= HOMES:
                self._homes.clear()
            decision = self._homes[port] = Decision.connect((LOCALHOST, port))
        return decision

    def kind(self, dst: int, now: Instant) -> tuple[int, str]:
        """As ranges.kind_of, of an address that may be the host's own."""
        kind, what = ranges.kind_of(dst)
        return self._at_home(dst, now, kind, what)

    def _at_home(self, dst: int, now: Instant, kind: int, what: str) -> tuple[int, str]:
        """Is it the host's own? That may cost a question to the kernel, so the answer holds for a second."""
        if dst == self._gateway:
            return NEVER, "the gateway, which stands for the host's own loopback"
        if self._mask and dst & self._mask == self._base:
            return NEVER, "of the guests' own network"  # a neighbour is not reached through the router, nor the host's by his name
        if now >= self._foreign_until or len(self._foreign) >= FOREIGN:
            self._foreign.clear()
            self._foreign_until = now + SECOND
        if dst in self._own:
            return NEVER, "the host's own"
        self._foreign.add(dst)
        return kind, what

    def waved(self, flow: Flow) -> Decision:
        """A function said True: allowed, as far as a rule without an address could."""
        dst = flow.dst_int
        kind, what = self.kind(dst, flow.began)
        if dst == self._gateway and self.loopback:
            self.mib.Allowed += 1
            return self._home(flow.dst_port, None)
        if kind == NEVER and not flow.inbound:
            return self._deny(flow, "guarded", f"{flow.dst} is {what}: return Decision.connect() to mean it")
        self.mib.Allowed += 1
        return self.watched(flow, CONNECT) if flow.proto == "tcp" and self.looking and not flow.inbound else CONNECT

    def _by_names(self, flow: Flow, proto: int, dst: int, kind: int) -> tuple[Rule | None, bool, bool]:
        """The rule for the best of its names, the newest first; must the name be said, and may it be one that is denied?"""
        table, port, guest = self._table, flow.dst_port, flow.guest
        best: Rule | None = None
        settled = False
        denied = False
        must = False
        for name in flow.names:
            rule = table.find(proto, dst, port, guest, kind, name)
            if not (rule.allow if rule is not None else self._allow and kind != NEVER):
                denied = True
                best = best if settled else best or rule
                continue
            if rule is None or rule.name is None or not self._must_say(rule, port):
                return rule, False, denied or self._table.denies_names
            if not settled:
                best, settled, must = rule, True, True
        return best, must, denied

    def _must_say(self, rule: Rule, port: int) -> bool:
        if rule.check is not None:
            return rule.check
        return not rule.ports or port in self.config.tls_ports or port in self.config.http_ports

    def share_of(self, flow: Flow) -> Share | None:
        """What its guest may send, all flows together."""
        rate = self._limits.get(flow.guest or str(flow.src)) or self._limits.get("*")
        if rate is None:
            return None
        key = flow.guest or flow.src_int
        share = self._shares.get(key)
        if share is None or share.there.rate != rate:
            share = self._shares[key] = Share(rate, flow.began)
        return share

    def shared(self, flow: Flow, decision: Decision) -> Decision:
        """The decision, with the share of its guest."""
        if decision.action != "connect" or not self._limits or (share := self.share_of(flow)) is None:
            return decision
        return evolve(decision, share=share)

    def _refuse(self, flow: Flow, proto: int, dst: int, kind: int, what: str) -> Decision:
        """No rule allows it: why not?"""
        for name in flow.names if kind else ():
            rule = self._table.find(proto, dst, flow.dst_port, flow.guest, OPEN, name)
            if rule is not None and rule.allow and rule.name is not None:
                return self._deny(flow, "rebinding", f"{name} leads to {flow.dst}, which is {what}: no name opens that")
        if kind == NEVER:
            return self._deny(flow, "guarded", f"{flow.dst} is {what}: only a rule about it opens that")
        return self._deny(flow, "default", "no rule allows it")

    def _is_patient(self, key: str | int, now: Instant) -> bool:
        bucket = self._fresh.get(key)
        if bucket is None:
            assert self.config.new_flows is not None
            bucket = self._fresh[key] = TokenBucket(self.config.new_flows, self.config.new_flows_burst, now)
        return bucket.grab(1, now)

    def _forget_patience(self, key: str | int, now: Instant) -> None:
        """A guest is idle. Where sources may be anybody's, those that are not are forgotten first."""
        bucket = self._fresh.get(key)
        if bucket is not None and bucket.full(now):
            del self._fresh[key]
        if len(self._fresh) > PATIENT:
            del self._fresh[next(iter(self._fresh))]

    def _forget_share(self, key: str | int, now: Instant) -> None:
        """As above: who owes something still owes it when its next flow begins."""
        share = self._shares.get(key)
        if share is not None and share.full(now):
            del self._shares[key]
        if len(self._shares) > PATIENT:
            del self._shares[next(iter(self._shares))]

    def table(self) -> Table:
        """The rules as they are now."""
        if self._stale:
            self._table = Table(self._rules, not self._allow)
            self._stale = False
        return self._table

    # -- what the policy does ---------------------------------------------------------------------------------------------------

    def denied(self, flow: Flow, why: str, detail: str, name: str = "") -> bool:
        """It is an event, and a counter. False."""
        raise NotImplementedError

    def checked(self, flow: Flow, decision: Decision) -> Decision:
        """It may connect, and must say one of its names."""
        raise NotImplementedError

    def watched(self, flow: Flow, decision: Decision) -> Decision:
        """It may go on, unless it says a name that is denied."""
        raise NotImplementedError

    def _deny(self, flow: Flow, why: str, detail: str, decision: Decision | None = None) -> Decision:
        self.denied(flow, why, detail)
        return decision or Decision.deny(detail)
