"""Who may go where: the gate of a router (router/flow.py).

A flow comes here with its SYN, its first datagram or its first echo request, and goes through, in this order:

    who it comes from       an address that is not the guest's, or too many flows: denied, whatever else is said
    functions               of `on_flow`, in the order in which they were given; one may be waited for
    the rules               the first one that matches (rules.py), then the default
    its first bytes         where a rule by name let it connect: the name must be said, and be the one (said.py)

**Names.** A flow has an address and no name. What it means by it we know from the answers of our own DNS to this guest (learnt.py).
Several names may share the address, and the rules may allow some and deny others: then the flow connects where one of them is
allowed, and its first bytes decide. So a name is believed only where it comes twice: asked for before, and said now. On port 443
of a host that serves everybody, as those of content networks do, the address alone proves nothing, and what the guest says alone
is a claim.

**What can't be checked.** A rule by name for another port than those of the web (`github.com:22`) is believed on the strength of
the address: SSH says no names. UDP says none either (QUIC hides it), so a rule by name is for TCP unless it says `udp`. With ECH
the name in the clear is that of whoever hosts the real one, and that one is compared.

`Policy` waits for nothing itself: `decide` gives a Decision at once, unless one of the functions is a coroutine's.
"""

from __future__ import annotations

import inspect
import logging
import ssl
import time
from collections.abc import Callable, Container, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ...address import Cidr, Ip4, ip4_text
from ...errors import UsageError, WireError
from ...instant import Instant
from ..flow import Decision, Flow
from .bucket import Share
from .config import PolicyConfig
from .denial import COUNTERS, Denial, Denials
from .hostnames import Pattern, canonical
from .intercept import serve_tls
from .judge import Judge
from .pump import serve_any, serve_http
from .rules import PROTOCOLS, Rule
from .said import read_said
from .spec import read_rule
from .web import Web

if TYPE_CHECKING:
    from .authority import Authority

log = logging.getLogger("netstack.policy")

AddressLike = Ip4 | int | str
F = TypeVar("F", bound=Callable[..., Any])
SERVICES = (64, 65)  # SVCB and HTTPS records: RFC 9460


class Policy(Judge):
    """See the module. `default` is "allow" or "deny".

    `network` is that of the guests: flows from elsewhere are spoofed. `own` are the host's addresses, which are opened only by
    rules that name them; what is for the `gateway`, and no service of ours, goes to the host's 127.0.0.1 with `loopback`, or where
    a rule names the gateway. `clock` must be that of the flows, in nanoseconds; `wall` gives seconds since 1970, for denials.
    """

    def __init__(
        self,
        default: str = "allow",
        *,
        network: Cidr | str | None = None,
        own: Container[int] | Iterable[AddressLike] = (),
        gateway: AddressLike | None = None,
        loopback: bool = False,
        clock: Callable[[], int] = time.monotonic_ns,
        wall: Callable[[], float] = time.time,
        config: PolicyConfig = PolicyConfig(),  # noqa: B008 (frozen)
    ) -> None:
        if default not in ("allow", "deny"):
            raise UsageError(f"default={default!r} is no default: write allow or deny")
        super().__init__(default == "allow", config, -1 if gateway is None else address_of(gateway), loopback)
        self.clock = clock
        self.wall = wall
        self.web = Web(self)
        self._denials = Denials(config.denials, log.info)
        self._askable: list[Pattern] = []
        self.network = network
        self.own = own

    # -- what it is told ------------------------------------------------------------------------------------------------------

    @property
    def default(self) -> str:
        return "allow" if self._allow else "deny"

    @property
    def network(self) -> Cidr | None:
        return Cidr(Ip4(self._base), self._mask.bit_count()) if self._mask else None

    @network.setter
    def network(self, network: Cidr | str | None) -> None:
        cidr = Cidr.parse_whole(network) if isinstance(network, str) else network
        self._base, self._mask = (cidr.network, cidr.mask) if cidr is not None else (0, 0)

    @property
    def own(self) -> Container[int]:
        """The host's addresses, as ints: what is given, or whatever can say `in` of it at any time."""
        return self._own

    @own.setter
    def own(self, addresses: Container[int] | Iterable[AddressLike]) -> None:
        self._own = frozenset(map(address_of, addresses)) if isinstance(addresses, Iterable) else addresses
        self._foreign.clear()

    @property
    def rules(self) -> tuple[Rule, ...]:
        return tuple(self._rules)

    def allow(self, where: str, *, first: bool = False, **more: Any) -> Rule:
        """`where` as spec.py has it: "api.github.com:443", "10.1.0.0/16", "*.debian.org", "udp:10.0.0.53:53", "*:443@build".

        `ports`, `proto` and `guest` may be given apart; `rate` limits each flow, in bytes a second; `check` says whether the guest
        must say the name (None: on the ports of the web, and where no port is given). The rule goes behind all others, or
        `first`. Raises UsageError.
        """
        return self._add(read_rule(True, where, **more), first)

    def deny(self, where: str, *, first: bool = False, **more: Any) -> Rule:
        """As `allow`; `how` is reset, unreachable or drop (Decision.deny)."""
        return self._add(read_rule(False, where, **more), first)

    def remove(self, rule: Rule) -> None:
        """For flows that begin from now on. Raises UsageError."""
        if rule not in self._rules:
            raise UsageError(f"{rule} is no rule of this policy, or was removed already")
        self._rules.remove(rule)
        self._decisions.pop(id(rule), None)
        self._stale = True

    def _add(self, rule: Rule, first: bool) -> Rule:
        self._rules.insert(0 if first else len(self._rules), rule)
        if not rule.allow:
            self._decisions[id(rule)] = Decision.deny(f"a rule: {rule}", rule.how)  # type: ignore[arg-type]  # spec.py has looked
        elif rule.rate is not None:
            self._decisions[id(rule)] = Decision.connect(rate=rule.rate)
        self._stale = True
        return rule

    def limit(self, rate: int | None, guest: str = "*") -> None:
        """All TCP flows together of `guest`, its name or its address, get `rate` bytes a second each way; None: no limit any more.
        Without `guest`: of each guest, unless it has a limit of its own. For flows that begin from now on. Raises UsageError."""
        if rate is None:
            self._limits.pop(guest, None)
        else:
            Share(rate)
            self._limits[guest] = rate

    def may_resolve(self, pattern: str) -> None:
        """Names that may be asked for, though no rule allows them: for functions of `on_flow` that do."""
        self._askable.append(Pattern(pattern))

    def bind(self, address: AddressLike, guest: str) -> None:
        """`address` is that of the guest called so: whoever else sends from it is spoofing. "" takes it back."""
        number = address_of(address)
        self._learnt.forget(number)
        if guest:
            self._bound[number] = guest
        else:
            self._bound.pop(number, None)

    def on_flow(self, function: F) -> F:
        """`function(flow)`, plain or a coroutine, says what becomes of a flow: a Decision; True, go on where an ordinary rule could
        let it; False, denied; None, the next function, and then the rules. One that raises, or takes too long, denies."""
        self._hooks.append(function)
        return function

    def on_denied(self, function: F) -> F:
        """`function(denial)` is called for each denial. It must not wait."""
        if inspect.iscoroutinefunction(function):
            raise UsageError("on_denied is told at once and waits for nothing: give it a plain function, which may start a task")
        self._denials.listeners.append(function)
        return function

    def on_request(self, host: str = "*", scheme: str | tuple[str, ...] = "http") -> Callable[[F], F]:
        """A decorator: `function(request)`, plain or a coroutine, sees each request to `host` before it leaves: web.py."""
        return self.web.on_request(host, scheme)

    def secret(self, host: str, header: str, value: str | Callable[[], str], **more: Any) -> None:
        """Put `value` into `header` of requests to `host`: web.py."""
        self.web.secret(host, header, value, **more)

    def intercept(self, authority: Authority | None = None, trust: ssl.SSLContext | None = None) -> Authority:
        """Open TLS to the names that functions of `on_request` and secrets are for; from now on those may be for https. Guests must
        trust `authority`, a new one if it isn't given. `trust` is by what the far side is judged, else the host's own store."""
        if authority is None:
            from .authority import Authority

            authority = Authority.make(certificates=self.config.certificates, wall=self.wall)
        self.web.intercept(authority, trust)
        return authority

    # -- the first bytes --------------------------------------------------------------------------------------------------------

    def _handled(self, flow: Flow, rate: int | None, checked: bool) -> Decision | None:
        """For a flow that may connect, and must say its name if `checked`. None: nobody stands in between."""
        web, config, port = self.web, self.config, flow.dst_port
        if port in config.http_ports:
            if checked or web.http:
                return Decision.connect(rate=rate, handler=partial(serve_http, self, checked, rate))
        elif port in config.tls_ports:
            if any(web.wants(name, "tls") for name in flow.names):
                return Decision.connect(rate=rate, handler=partial(serve_tls, self, checked, rate))
        elif checked:
            return Decision.connect(rate=rate, handler=partial(serve_any, self, rate))
        return None

    def checked(self, flow: Flow, decision: Decision) -> Decision:
        """It must say one of its names."""
        if (handled := self._handled(flow, decision.rate, True)) is not None:
            return handled
        self.mib.Inspected += 1
        return Decision.connect(rate=decision.rate, inspect=self._must_be_said)

    def watched(self, flow: Flow, decision: Decision) -> Decision:
        """It may go on, unless it says a name that is denied."""
        if (handled := self._handled(flow, decision.rate, False)) is not None:
            return handled
        if flow.dst_port in self.config.tls_ports or flow.dst_port in self.config.http_ports:
            self.mib.Inspected += 1
            return Decision.connect(rate=decision.rate, inspect=self._may_be_said)
        return decision

    def _must_be_said(self, flow: Flow, first: bytes, final: bool) -> bool | None:
        try:
            said = read_said(first)
        except WireError as error:
            return self.denied(flow, "malformed", str(error))
        if said is None and not final:
            return None
        if said is None or not said.name:
            return self.denied(flow, "nameless", "it says no name, and only a name could allow it")
        if said.protocol != "tls":  # only the first of its requests was seen
            return self.denied(flow, "nameless", "it speaks HTTP in the clear on a port of TLS")
        return self.says(flow, said.name)

    def _may_be_said(self, flow: Flow, first: bytes, final: bool) -> bool | None:
        try:
            said = read_said(first)
        except WireError as error:
            return self.denied(flow, "malformed", str(error))
        if said is None and not final:
            return None
        if said is None or not said.name:
            return True
        if self.web.wants(said.name, said.protocol):
            return self.denied(flow, "mismatch", f"{said.name}, whose requests are looked at, was not asked for before", said.name)
        return self.says(flow, said.name, learnt=False)

    def says(self, flow: Flow, name: str, learnt: bool = True) -> bool:
        """May the flow be about `name`? With `learnt` it must be one of those that the guest was given the address for."""
        if learnt and name not in flow.names:
            known = ", ".join(flow.names[:3]) or "no name"
            return self.denied(flow, "mismatch", f"it says {name}, and the address was learnt by {known}", name)
        dst = int(flow.dst)
        kind, _ = self.kind(dst, flow.began)
        rule = self.table().find(PROTOCOLS[flow.proto], dst, flow.dst_port, flow.guest, kind, name)
        if rule is not None and not rule.allow:
            return self.denied(flow, "rule", str(rule), name)
        if learnt and rule is None and not self._allow:
            return self.denied(flow, "default", f"no rule allows {name}", name)
        flow.hostname = name
        return True

    # -- names ------------------------------------------------------------------------------------------------------------------

    def on_answer(self, guest: AddressLike, name: str, addresses: Iterable[AddressLike], ttl: int) -> None:
        """Our DNS has told `guest` that `name`, as it was asked for, has these addresses for `ttl` seconds. Others than IPv4 don't
        count."""
        asked = canonical(name)
        src = address_of(guest)
        if asked is None or src & self._mask != self._base:
            return
        numbers = [address_of(address) for address in addresses if not (isinstance(address, str) and ":" in address)]
        learnt = self._learnt
        self.mib.Learnt += learnt.learn(src, asked, numbers, ttl, Instant(self.clock()))
        self.mib.Forgotten = learnt.forgotten

    def may_ask(self, guest: AddressLike, name: str, type: int = 1) -> bool | tuple[()]:
        """May `guest` ask our DNS for `name`? Not for what no rule could allow: a question tells its server something, too. (): the
        answer is that there is nothing of this type. So it is for HTTPS records where names are looked at: they bring the keys that
        hide a name (ECH, RFC 9849), and send browsers to QUIC, which hides it too."""
        src = address_of(guest)
        who = self._bound.get(src, "")
        asked = canonical(name)
        allowed, table = self._allow, self.table()
        if asked is not None and any(pattern.matches(asked) for pattern in self._askable):
            allowed = True
        elif asked is not None and table.by_name:
            allowed = table.speaks_of(asked, who, self._allow)
        if allowed and (table.by_name or self.looking) and type in SERVICES:
            return ()
        if not allowed:
            detail = f"no rule allows anything with {asked or 'such a name'}, so it isn't asked for"
            self._note(Denial(self.wall(), who, ip4_text(src), 0, "dns", "", 53, name[:LONGEST_NAME], "question", detail))
        return allowed

    # -- denials ----------------------------------------------------------------------------------------------------------------

    def denials(self) -> tuple[Denial, ...]:
        """The last ones, the oldest first."""
        return tuple(self._denials.last)

    def denied(self, flow: Flow, why: str, detail: str, name: str = "") -> bool:
        """It is an event, and a counter. False."""
        flow.note = detail
        name = (name or flow.hostname)[:LONGEST_NAME]
        src, dst = str(flow.src), str(flow.dst)
        self._note(Denial(self.wall(), flow.guest, src, flow.src_port, flow.proto, dst, flow.dst_port, name, why, detail))
        return False

    def _note(self, denial: Denial) -> None:
        mib, counter = self.mib, COUNTERS[denial.why]
        mib.Denied += 1
        setattr(mib, counter, getattr(mib, counter) + 1)
        for error in self._denials.add(denial, self.clock()):
            mib.ListenerErrors += 1
            log.error("a function of on_denied failed", exc_info=error)


LONGEST_NAME = 256  # characters of a name that a guest has made up


def address_of(address: AddressLike) -> int:
    """Raises UsageError."""
    return int(Ip4.parse(address) if isinstance(address, str) else address)
