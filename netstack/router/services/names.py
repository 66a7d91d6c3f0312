"""Names that a router knows by itself: its host's, its guests', and zones that somebody has added.

They stand above the DNS of the world. What is below `domain` is known here or nowhere: such names are private, and asking the world
for them would only tell it who lives here. Who comes first: the host's names, then zones, then guests, which name themselves; so
no guest can be `host.internal` by calling itself `host`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from attrs import define, field, frozen

from ...address import Cidr, Ip4
from ...errors import UsageError

HOST = ("host.internal", "host.containers.internal", "host.docker.internal", "gateway.internal")
DOMAIN = "internal"  # set aside for private use by ICANN's board in 2024
# names that programs trust without asking whose they are: who is `wpad` is every browser's proxy (CERT VU#598349)
NOBODYS = frozenset(("localhost", "wpad", "isatap", "local", "localdomain", "broadcasthost", "ip6-localhost"))
ZONES = 256  # and records of each: whoever may add them has the control socket, but a script that loops has it, too
RECORDS = 4096
PATTERN = 200  # characters of a regular expression; names are asked for by guests, so a pattern should be simple

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)


def canonical(name: str) -> str:
    """As names are compared: small letters, no dot at the end. Raises UsageError for what is none."""
    said = name.lower().removesuffix(".")
    if not said or len(said) > 253 or not all(_LABEL.fullmatch(label) for label in said.split(".")):
        raise UsageError(f"{name!r} is not a name: write one like db.internal")
    return said


@frozen
class ZoneRecord:
    """`name` below its zone, "" for the zone itself; or `pattern`, a regular expression that matches somewhere in such a name."""

    address: Ip4
    name: str = ""
    pattern: re.Pattern[str] | None = None


@define
class LocalZone:
    """Names below `name`, without its dot at the end. `default` is what all others have; None: there are no others."""

    name: str
    records: list[ZoneRecord] = field(factory=list)
    default: Ip4 | None = None

    def find(self, below: str) -> Ip4 | None:
        for record in self.records:
            if record.pattern is None:
                if record.name == below:
                    return record.address
            elif record.pattern.search(below):
                return record.address
        return self.default


@frozen
class Known:
    """What is known of a name. Without addresses: it exists and has none of the kind, or (`exists` False) it doesn't."""

    addresses: tuple[Ip4, ...] = ()
    exists: bool = True
    ttl: int = 60


NOTHING = Known(exists=False)


class LocalNames:
    """`host` is where `host_names` lead. `leased(hostname)` gives the address of a guest that calls itself so, `leased_to(address)`
    the name that a guest with this address has. Addresses of `network` are looked up backwards here and nowhere else."""

    def __init__(
        self,
        host: Ip4,
        network: Cidr,
        *,
        host_names: Iterable[str] = HOST,
        domain: str = DOMAIN,
        hosts: Mapping[str, str | Iterable[str]] | None = None,
        leased: Callable[[str], Ip4 | None] = lambda hostname: None,
        leased_to: Callable[[Ip4], str] = lambda address: "",
    ) -> None:
        self.domain = canonical(domain) if domain else ""
        self.network = network
        self.zones: dict[str, LocalZone] = {}
        self._leased = leased
        self._leased_to = leased_to
        self._own: dict[str, tuple[Ip4, ...]] = {canonical(name): (host,) for name in host_names}
        for name, said in (hosts or {}).items():
            self._own[canonical(name)] = tuple(Ip4.parse(each) for each in ([said] if isinstance(said, str) else said))
        self._backwards = {addresses[0]: name for name, addresses in reversed(self._own.items()) if addresses}

    def add(self, zone: LocalZone) -> None:
        """A zone of a name that is there gets these records before its own, and this default. Raises UsageError."""
        there = self.zones.get(zone.name)
        if there is None and len(self.zones) >= ZONES:
            raise UsageError(f"there are {ZONES} zones already: no more may be added")
        records = zone.records + ([] if there is None else there.records)
        if len(records) > RECORDS:
            raise UsageError(f"the zone {zone.name} would have {len(records)} records: at most {RECORDS}")
        self.zones[zone.name] = LocalZone(zone.name, records, zone.default)

    def find(self, name: str) -> Known | None:
        """By a name in small letters and without a dot at its end. None: the world may know it."""
        own = self._own.get(name)
        if own is not None:
            return Known(own)
        if self.zones:
            rest = name
            below = ""
            while rest:
                zone = self.zones.get(rest)
                if zone is not None:
                    address = zone.find(below)
                    return NOTHING if address is None else Known((address,))
                label, _, rest = rest.partition(".")
                below = f"{below}.{label}" if below else label
        label, _, domain = name.partition(".")
        if (domain == self.domain or not domain) and label not in NOBODYS:
            address = self._leased(label)
            if address is not None:
                return Known((address,), ttl=10)
        if name == self.domain:
            return Known()
        return NOTHING if self.domain and name.endswith("." + self.domain) else None

    def backwards(self, name: str) -> str | None:
        """The name of an address by its name in in-addr.arpa; "" for one of ours that has none, None for one that isn't ours."""
        labels = name.split(".")
        if labels[-2:] != ["in-addr", "arpa"] or len(labels) != 6:
            return None
        try:
            address = Ip4.parse(".".join(reversed(labels[:4])))
        except UsageError:
            return None
        if address not in self.network:
            return None
        own = self._backwards.get(address)
        if own is not None:
            return own
        guest = self._leased_to(address)
        return f"{guest}.{self.domain}" if guest and self.domain else guest
