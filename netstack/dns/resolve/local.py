"""Names that are answered here and asked of nobody: those of special use (RFC 6761 and its registry), and the reverse of addresses
that mean something only where they are used (RFC 6303, RFC 7793).

`test.` is not among them, though RFC 6761 6.2 would have it so to spare the root's servers: who has a `test.` has a root
of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from .. import name as names
from ..message import Question, Record
from ..numbers import Class, Rcode, Type
from .job import Outcome

TTL = 10800  # RFC 6303 3


@frozen
class LocalZone:
    """`there`: the name itself exists, without data but for its SOA (RFC 6303 3); else nothing does, it included. `addresses`: it
    and all below it have those of the loopback (RFC 6761 6.3)."""

    name: str
    there: bool = True
    addresses: bool = False


def _reverse(nets: str) -> tuple[LocalZone, ...]:
    return tuple(LocalZone(".".join(reversed(net.split("."))) + ".in-addr.arpa.") for net in nets.split())


def _reverse6(prefixes: str) -> tuple[LocalZone, ...]:
    return tuple(LocalZone(".".join(reversed(prefix)) + ".ip6.arpa.") for prefix in prefixes.split())


SPECIAL = (
    LocalZone("localhost.", addresses=True),
    LocalZone("invalid.", there=False),  # RFC 6761 6.4
    LocalZone("onion.", there=False),  # RFC 7686 2
    LocalZone("alt.", there=False),  # RFC 9476 2
    LocalZone("local.", there=False),  # RFC 6762 22.1: multicast knows
    LocalZone("home.arpa."),  # RFC 8375 4
    LocalZone("resolver.arpa."),  # RFC 9462 8.2
)
REVERSE = (
    *_reverse("10 " + " ".join(f"172.{n}" for n in range(16, 32)) + " 192.168"),  # RFC 6303 4.1
    *_reverse("0 127 169.254 192.0.2 198.51.100 203.0.113 255.255.255.255"),  # 4.2
    *_reverse(" ".join(f"100.{n}" for n in range(64, 128))),  # RFC 7793
    *_reverse6("0" * 32 + " " + "0" * 31 + "1 fd fe8 fe9 fea feb 20010db8"),  # RFC 6303 4.3 to 4.6
)


class LocalZones:
    """What `answer` knows. Later zones win over earlier ones of the same name."""

    def __init__(self, zones: Iterable[LocalZone] = (*SPECIAL, *REVERSE)) -> None:
        self._zones = {names.key(names.parse(zone.name)): zone for zone in zones}
        self._tops = {names.tail(key, 1) for key in self._zones}

    def answer(self, question: Question) -> Outcome | None:
        """None where the name is to be asked for as any other. The DS record of a zone is its parent's (RFC 4035 2.4)."""
        key = names.key(question.name)
        if question.rclass != Class.IN or names.tail(key, 1) not in self._tops:
            return None
        apex = names.parent(key) if question.type == Type.DS else key
        while len(apex) > 1:
            zone = self._zones.get(apex)
            if zone is not None:
                return _answer(question, zone, apex, key == apex)
            apex = names.parent(apex)
        return None


def _answer(question: Question, zone: LocalZone, apex: bytes, is_apex: bool) -> Outcome:
    data: bytes | None = None
    if zone.addresses and question.type in (Type.A, Type.AAAA):
        data = b"\x7f\0\0\1" if question.type == Type.A else bytes(15) + b"\1"
    soa = apex + names.parse("nobody.invalid.") + b"".join(n.to_bytes(4, "big") for n in (1, 3600, 1200, 604800, TTL))
    record = Record(apex, int(Type.SOA), int(Class.IN), TTL, soa)
    if is_apex and zone.there and question.type == Type.SOA:
        return Outcome(question=question, answer=(record,))
    if data is not None:
        return Outcome(question=question, answer=(Record(question.name, question.type, int(Class.IN), TTL, data),))
    nothing = not zone.addresses and not (is_apex and zone.there)
    return Outcome(question=question, rcode=int(Rcode.NXDOMAIN if nothing else Rcode.NOERROR), authority=(record,))
