"""Who may have a whole zone, change it, or say that it has changed. Nobody, unless he is named: a zone is more than the sum of its
answers, and what changes it must not be forged. An address can be forged over UDP; a key (`tsig.py`) can't.

A rule is text: a network, `key:` and the name of a key, or both, which then must both be true: `10.0.0.0/8`, `192.0.2.1`,
`key:transfer.example.`, `10.0.0.0/8 key:transfer.example.`. `any` is everybody.
"""

import ipaddress
from collections.abc import Iterable

from attrs import field, frozen

from ...errors import UsageError
from .. import name as names

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@frozen
class Rule:
    """`networks`: of one of them; none: from anywhere. `key`: signed with the key of this name; None: or not at all."""

    networks: tuple[Network, ...] = ()
    key: bytes | None = None

    def allows(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, key: bytes | None) -> bool:
        if self.key is not None and key != self.key:
            return False
        return not self.networks or (address is not None and any(address in network for network in self.networks))


def rule(text: str) -> Rule:
    """Raises UsageError."""
    networks: list[Network] = []
    key = None
    for word in text.split():
        if word.startswith("key:"):
            if key is not None:
                raise UsageError(f"{text!r} names two keys, and a message is signed with one: write two rules")
            key = names.key(names.parse(word[4:].rstrip(".") + "."))
        elif word != "any":
            try:
                networks.append(ipaddress.ip_network(word, strict=False))
            except ValueError:
                raise UsageError(f"{word!r} is not a network: write it like 10.0.0.0/8, 192.0.2.1, any or key:name") from None
    if not text.split():
        raise UsageError("an empty rule: write a network, like 10.0.0.0/8, key: and a name, or any")
    return Rule(tuple(networks), key)


def _rules(texts: "Iterable[str | Rule] | str") -> tuple[Rule, ...]:
    if isinstance(texts, str):
        texts = (texts,)
    return tuple(rule(each) if isinstance(each, str) else each for each in texts)


@frozen(kw_only=True)
class Access:
    """One rule that is true is enough. `key` is the name of the one that the message was signed with, in small letters, None for an
    unsigned one. Notifications of a secondary's own primaries need no rule here."""

    transfer: tuple[Rule, ...] = field(default=(), converter=_rules)
    update: tuple[Rule, ...] = field(default=(), converter=_rules)
    notify: tuple[Rule, ...] = field(default=(), converter=_rules)

    def may_transfer(self, address: str, key: bytes | None = None) -> bool:
        return _any(self.transfer, address, key)

    def may_update(self, address: str, key: bytes | None = None) -> bool:
        return _any(self.update, address, key)

    def may_notify(self, address: str, key: bytes | None = None) -> bool:
        return _any(self.notify, address, key)


NOBODY = Access()


def _any(rules: tuple[Rule, ...], address: str, key: bytes | None) -> bool:
    if not rules:
        return False
    try:
        asker: ipaddress.IPv4Address | ipaddress.IPv6Address | None = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        asker = None
    if isinstance(asker, ipaddress.IPv6Address) and asker.ipv4_mapped is not None:
        asker = asker.ipv4_mapped  # how a socket for both families shows IPv4
    return any(each.allows(asker, key) for each in rules)
