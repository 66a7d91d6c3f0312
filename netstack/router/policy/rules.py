"""Rules, and which of them decides (table.py finds it).

**The first rule that matches decides**, in the order in which they were given. "The most specific one" sounds better and means
nothing here: a rule speaks of an address, a name, a port and a guest at once, and neither of `10.1.0.0/16` for one guest and
`*.example.com` on port 443 is more specific than the other. A list is read from top to bottom, as in every firewall.

What a rule that allows does *not* open, though it matches (ranges.py): an address of the host or of its link, unless the rule is
about that range; for a rule by name, any private address; and, where the default is to deny, the ports of DNS, unless the rule
says them: who may talk to any resolver may tell anything to anybody, one label at a time.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from ...address import Cidr
from ...errors import UsageError
from .hostnames import Pattern

TCP, UDP, ICMP = 1, 2, 4
PROTOCOLS = {"tcp": TCP, "udp": UDP, "icmp": ICMP}
EVERY = TCP | UDP | ICMP

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
