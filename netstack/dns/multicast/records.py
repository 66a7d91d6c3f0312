"""What we have the say over: records, and claims, which are names that must be ours alone with the records that depend on them.

A claim goes through four states (RFC 6762 8, 9):

    WAITING      until `at`: a moment at random before the first probe, a second after a lost tie, five where conflicts abound
    PROBING      three probes 250 ms apart, and 250 ms more; whoever has the name defends it, and we take another
    ANNOUNCING   it is ours: everybody is told, again a second later
    SETTLED      questions are answered; a conflict leads back to WAITING, under the same name

    WAITING --at--> PROBING --unanswered--> ANNOUNCING --told--> SETTLED
       ^               |  conflict: another name; lost tie: the same         |
       +---------------+<----------------------- conflict ------------------+

The records of a claim are there for others from ANNOUNCING on. A record that several claims have (the type of their service, in the
list of types) is one `Own` with several claims, and goes with the last.
"""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Callable, Iterable
from typing import NamedTuple

from ...errors import UsageError
from .. import name as names
from ..numbers import Type

LONG_AGO = -(1 << 62)
HOST_TTL = 120  # RFC 6762 10: records with a host's name, or with one inside
OTHER_TTL = 4500  # the rest: 75 minutes
LOCAL = b"\5local\0"


class State(enum.IntEnum):
    WAITING = 0
    PROBING = 1
    ANNOUNCING = 2
    SETTLED = 3
    WITHDRAWN = 4


class Spec(NamedTuple):
    """A record that a claim wants to have. `unique`: it is ours alone (RFC 6762 2), all of its set."""

    name: bytes
    type: int
    rdata: bytes
    ttl: int
    unique: bool


class Own:
    """A record of ours. `sent`: when it went to the group last, an instant in ns."""

    __slots__ = ("claims", "key", "name", "rdata", "sent", "ttl", "type", "unique")

    def __init__(self, spec: Spec) -> None:
        self.name, self.type, self.rdata, self.ttl, self.unique = spec
        self.key = spec.name.lower()
        self.claims: set[Claim] = set()
        self.sent = LONG_AGO

    @property
    def ident(self) -> tuple[bytes, int, bytes]:
        return self.key, self.type, self.rdata

    def order(self) -> tuple[int, bytes]:
        """What sorts the records of a probe (RFC 6762 8.2.1); all are of class IN."""
        return self.type, self.rdata


class Claim:
    """A name that is to be ours. `specs` gives the records that a name would have; `other` gives the next name to try after one.

    `told(claim)` is called when its state or its name has changed.
    """

    def __init__(
        self,
        name: bytes,
        specs: Callable[[bytes], list[Spec]],
        other: Callable[[bytes], bytes],
        told: Callable[[Claim], None] = lambda claim: None,
    ) -> None:
        self.name = self.first = name
        self.key = name.lower()
        self.specs = specs
        self.other = other
        self.told = told
        self.state = State.WAITING
        self.at = 0  # of the next step
        self.probes = 0  # sent
        self.announcements = 0  # sent
        self.since = 0  # when it began to look for a name
        self.late = False  # for longer than a minute (RFC 6762 9)
        self.owns: list[Own] = []

    def call(self, name: bytes) -> None:
        self.name = name
        self.key = name.lower()

    def proposal(self) -> list[Own]:
        """What it probes for: the unique records at its name, in the order in which ties are broken."""
        owns = [Own(spec) for spec in self.specs(self.name) if spec.unique and spec.name == self.name]
        return sorted(owns, key=Own.order)


class Place:
    """All that we say at one name. `denial` is its NSEC record where we may make one: when the name is ours alone."""

    __slots__ = ("denial", "owns")

    def __init__(self) -> None:
        self.owns: list[Own] = []
        self.denial: Own | None = None

    @property
    def exclusive(self) -> bool:
        return self.denial is not None


# -- names -----------------------------------------------------------------------------------------------------------------------


def host_name(text: str) -> bytes:
    """The name of `printer`, `printer.local` or `printer.local.`: one label and "local". Raises UsageError."""
    label = text.removesuffix(".").removesuffix(".local")
    octets = label.encode()
    if not 1 <= len(octets) <= 63 or "." in label:
        raise UsageError(f"{text!r} is not a host's name on the link: 1 to 63 letters, digits and hyphens are, like 'printer'")
    return bytes((len(octets),)) + octets + LOCAL


def any_name(text: str) -> bytes:
    """Of a name as people write it, below "local" where it says nothing else; in UTF-8, not in IDNA (RFC 6762 16)."""
    labels = [unescaped(label) for label in split(text.removesuffix("."))]
    if len(labels) == 1:
        labels.append(b"local")
    return names.join(labels)


def split(text: str) -> list[str]:
    """At its dots, but for escaped ones."""
    found = [""]
    escaped = False
    for letter in text:
        if letter == "." and not escaped:
            found.append("")
        else:
            found[-1] += letter
        escaped = letter == "\\" and not escaped
    return found


def unescaped(label: str) -> bytes:
    out = bytearray()
    i = 0
    while i < len(label):
        letter = label[i]
        i += 1
        if letter == "\\":
            octet, i = names.unescape(label, i)
            out.append(octet)
        else:
            out += letter.encode()
    return bytes(out)


def text(name: bytes) -> str:
    """As people write it: without the last dot, dots and backslashes inside of labels escaped, in Unicode."""
    labels = [label.decode("utf-8", "replace").replace("\\", "\\\\").replace(".", "\\.") for label in names.labels(name)]
    return ".".join(labels)


def another_host(name: bytes) -> bytes:
    """`printer-2` after `printer`, `printer-3` after that."""
    return counted(name, "-", "")


def another_instance(name: bytes) -> bytes:
    """`Printer (2)` after `Printer`, as RFC 6762 9 has it."""
    return counted(name, " (", ")")


def counted(name: bytes, before: str, after: str) -> bytes:
    size = name[0]
    label, rest = name[1 : 1 + size].decode("utf-8", "replace"), name[1 + size :]
    stem, number = label, 2
    head, found, digits = label.removesuffix(after).rpartition(before)
    if found and label.endswith(after) and digits.isascii() and digits.isdigit() and len(digits) < 10 and head:
        stem, number = head, int(digits) + 1
    tail = f"{before}{number}{after}".encode()
    octets = stem.encode()[: 63 - len(tail)].decode("utf-8", "ignore").encode() + tail  # cut between characters
    return bytes((len(octets),)) + octets + rest


# -- a host's records ------------------------------------------------------------------------------------------------------------


def reverse_name(address: str) -> bytes:
    """Where the name of an address stands: 2.0.79.10.in-addr.arpa."""
    return names.parse(ipaddress.ip_address(address).reverse_pointer + ".")


def address_specs(name: bytes, addresses: Iterable[str]) -> list[Spec]:
    """The addresses of a host, and from each back to its name."""
    specs = []
    for address in addresses:
        ip = ipaddress.ip_address(address)
        type = Type.A if ip.version == 4 else Type.AAAA
        specs.append(Spec(name, int(type), ip.packed, HOST_TTL, True))
        specs.append(Spec(reverse_name(address), int(Type.PTR), name, HOST_TTL, True))
    return specs
