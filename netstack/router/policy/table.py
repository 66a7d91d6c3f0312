"""Finding the rule that decides (rules.py says which one that is).

A thousand rules cost hardly more than one: they are indexed by network and by name, and each index keeps the order.
"""

from collections.abc import Iterable

from . import ranges
from .hostnames import Pattern
from .rules import EVERY, ICMP, PROTOCOLS, TCP, Ports, Rule

ALL_PORTS = ((0, 65535),)
NOT_DNS = ((0, 52), (54, 852), (854, 65535))  # RFC 1035 4.2, RFC 7858 3.1, RFC 9250 4.1.1
LAST = 1 << 60


class Entry:
    """A rule, for one range of ports. `opens`: up to which kind of address (ranges.py)."""

    __slots__ = ("guest", "high", "low", "opens", "order", "protos", "rule")

    def __init__(self, order: int, protos: int, low: int, high: int, guest: str | None, opens: int, rule: Rule) -> None:
        self.order = order
        self.protos = protos
        self.low = low
        self.high = high
        self.guest = guest
        self.opens = opens
        self.rule = rule


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
        best = self._first(self._anywhere, None, proto, port, guest, kind)
        for mask, nets in self._networks:
            entries = nets.get(dst & mask)
            if entries is not None:
                best = self._first(entries, best, proto, port, guest, kind)
        if name and self.by_name:
            for entries in self._named(name):
                best = self._first(entries, best, proto, port, guest, kind)
        return None if best is None else best.rule

    def _first(self, entries: list[Entry], best: Entry | None, proto: int, port: int, guest: str, kind: int) -> Entry | None:
        """The first of `entries` that matches, if it is before `best`."""
        before = LAST if best is None else best.order
        for entry in entries:
            if entry.order >= before:
                break
            if entry.protos & proto and entry.low <= port <= entry.high and entry.opens >= kind:
                if entry.guest is None or entry.guest == guest:
                    return entry
        return best

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
        entries = {entry.order: entry for entries in self._named(name) for entry in entries}
        for _, entry in sorted(entries.items()):
            if entry.guest is None or entry.guest == guest:
                if entry.rule.allow:
                    return True
                if not entry.rule.ports and entry.rule.proto is None:
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
        made.append(Entry(order, ICMP, 0, 65535, rule.guest, opens, rule))  # its "port" is an identifier
        protos &= ~ICMP
    if protos:
        made += [Entry(order, protos, low, high, rule.guest, opens, rule) for low, high in ports]
    return made
