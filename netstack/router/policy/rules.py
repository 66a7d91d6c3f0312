"""Rules, and finding the one that decides.

**The first rule that matches decides**, in the order in which they were given. "The most specific one" sounds better and means
nothing here: a rule speaks of an address, a name, a port and a guest at once, and neither of `10.1.0.0/16` for one guest and
`*.example.com` on port 443 is more specific than the other. A list is read from top to bottom, as in every firewall.

A thousand rules cost hardly more than one: they are indexed by network and by name, and each index keeps the order.

What a rule that allows does *not* open, though it matches (ranges.py): an address of the host or of its link, unless the rule is
about that range; for a rule by name, any private address; and, where the default is to deny, the ports of DNS, unless the rule
says them: who may talk to any resolver may tell anything to anybody, one label at a time.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from ...address import Cidr
from ...errors import UsageError
from . import ranges
from .hostnames import Pattern

TCP, UDP, ICMP = 1, 2, 4
PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP}
EVERY = TCP | UDP | ICMP
ALL_PORTS = ((0, 65535),)
NOT_DNS = ((0, 52), (54, 852), (854, 65535))  # RFC 1035 4.2, RFC 7858 3.1, RFC 9250 4.1.1
LAST = 1 << 60

Ports = tuple[tuple[int, int], ...]
PortsLike = int | str | Iterable[int | str] | None


@attrs.frozen(eq=False)
class Rule:
    """Made by `Policy.allow` and `Policy.deny`. None, or no ports: all of them."""

    allow: bool
    network: Cidr | None = None
    name: Pattern | None = None
    ports: Ports = ()
    proto: str | None = None
    guest: str | None = None
    rate: int | None = None  # bytes a second, each way, of each flow
    check: bool | None = None  # must the guest say the name? None: on the ports of the web, and where no port is given
    how: str = "reset"  # of a refusal
    text: str = ""  # as it was written

    def __str__(self) -> str:
        return f"{'allow' if self.allow else 'deny'} {self.text or self.where()}"

    def where(self) -> str:
        """What it speaks of, as `spec.py` reads it."""
        host = str(self.name or self.network or "*").removesuffix("/32")
        ports = ",".join(str(low) if low == high else f"{low}-{high}" for low, high in self.ports)
        proto, guest = self.proto + ":" if self.proto else "", "@" + self.guest if self.guest else ""
        return f"{proto}{host}{':' + ports if ports else ''}{guest}"


def read_ports(ports: PortsLike) -> Ports:
    """443, "443", "8000-8100", "80,443", or several of these. Raises UsageError."""
    if ports is None:
        return ()
    found: list[tuple[int, int]] = []
    for one in (ports,) if isinstance(ports, int | str) else ports:
        for part in str(one).split(","):
            low, dash, high = part.partition("-")
            if not all(text.isascii() and text.isdigit() and len(text) <= 5 for text in (low, high if dash else low)):
                raise UsageError(f"{part!r} is no port: write 443, 8000-8100, or several with commas between them")
            first, last = int(low), int(high if dash else low)
            if not first <= last <= 65535:
                raise UsageError(f"{part!r} is no range of ports: they go from 0 to 65535, the lower one first")
            found.append((first, last))
    if not found:
        raise UsageError("no port at all: leave ports out for all of them")
    return tuple(found)


# order, protocols, low, high, guest, up to which kind of address it opens, the rule
Entry = tuple[int, int, int, int, "str | None", int, Rule]


class Table:
    """Rules in their order, indexed. Built anew when they change."""

    __slots__ = ("_anywhere", "_below", "_exact", "_networks", "by_name", "denies_names", "rules")

    def __init__(self, rules: Iterable[Rule], strict: bool) -> None:
        """`strict`: the default is to deny."""
        self.rules = tuple(rules)
        self.by_name = False  # does any of them speak of names?
        self.denies_names = False
        self._anywhere: list[Entry] = []
        self._networks: list[tuple[int, dict[int, list[Entry]]]] = []
        self._exact: dict[str, list[Entry]] = {}
        self._below: dict[str, list[Entry]] = {}
        by_length: dict[int, dict[int, list[Entry]]] = {}
        for order, rule in enumerate(self.rules):
            if rule.name is not None:
                self.by_name = True
                self.denies_names = self.denies_names or not rule.allow
                entries = self._of_name(rule.name)
            elif rule.network is not None:
                entries = by_length.setdefault(rule.network.length, {}).setdefault(rule.network.network, [])
            else:
                entries = self._anywhere
            entries += _entries(order, rule, strict)
        for length, nets in sorted(by_length.items(), reverse=True):
            self._networks.append(((0xFFFFFFFF << (32 - length)) & 0xFFFFFFFF, nets))

    def _of_name(self, name: Pattern) -> list[Entry]:
        if name.name:
            return self._exact.setdefault(name.name, [])
        return self._below.setdefault(name.below, [])  # "" is below the root: every name

    def find(self, proto: int, dst: int, port: int, guest: str, kind: int, name: str) -> Rule | None:
        """The rule that decides about a flow to `dst`, whose kind is that of ranges.py, as `name`, or "" where it has none."""
        best = LAST
        found: Rule | None = None
        for order, protos, low, high, whose, opens, rule in self._anywhere:
            if protos & proto and low <= port <= high and opens >= kind and (whose is None or whose == guest):
                best, found = order, rule
                break
        for mask, nets in self._networks:
            entries = nets.get(dst & mask)
            if entries is not None:
                for order, protos, low, high, whose, opens, rule in entries:
                    if order >= best:
                        break
                    if protos & proto and low <= port <= high and opens >= kind and (whose is None or whose == guest):
                        best, found = order, rule
                        break
        if name and self.by_name:
            for entries in self._named(name):
                for order, protos, low, high, whose, opens, rule in entries:
                    if order >= best:
                        break
                    if protos & proto and low <= port <= high and opens >= kind and (whose is None or whose == guest):
                        best, found = order, rule
                        break
        return found

    def _named(self, name: str) -> list[list[Entry]]:
        """The entries of all patterns that match `name`."""
        lists = []
        if name in self._exact:
            lists.append(self._exact[name])
        below = self._below
        if below:
            dot = name.find(".")
            while dot >= 0:
                if (entries := below.get(name[dot + 1 :])) is not None:
                    lists.append(entries)
                dot = name.find(".", dot + 1)
            if "" in below:
                lists.append(below[""])
        return lists

    def speaks_of(self, name: str, guest: str, allow: bool) -> bool:
        """May `guest` have any business with `name`? Where the default is to `allow`: unless a rule denies it altogether, before
        any allows some of it; else: if a rule allows some of it, before any denies it altogether."""
        entries = sorted((entry for entries in self._named(name) for entry in entries), key=lambda entry: entry[0])
        for _, _, _, _, whose, _, rule in entries:
            if whose is None or whose == guest:
                if rule.allow:
                    return True
                if not rule.ports and rule.proto is None:
                    return False
        return allow

    def __len__(self) -> int:
        return len(self.rules)


def _entries(order: int, rule: Rule, strict: bool) -> list[Entry]:
    protos = PROTOCOLS[rule.proto] if rule.proto else EVERY
    opens = ranges.NEVER
    ports: Ports = rule.ports or ALL_PORTS
    if rule.ports:
        protos &= ~ICMP  # it has none
    if rule.allow:
        if rule.name is not None:
            opens = ranges.OPEN
            if not rule.proto:
                protos = TCP  # where the name can be checked
        else:
            opens = ranges.PRIVATE if rule.network is None else ranges.opened_by(rule.network)
        if strict and not rule.ports:
            ports = NOT_DNS
    made: list[Entry] = []
    if protos & ICMP and ports is not ALL_PORTS:
        made.append((order, ICMP, 0, 65535, rule.guest, opens, rule))  # its "port" is an identifier
        protos &= ~ICMP
    if protos:
        made += [(order, protos, low, high, rule.guest, opens, rule) for low, high in ports]
    return made
