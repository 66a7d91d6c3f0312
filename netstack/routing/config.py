"""What a router is told: rules, bounds, times."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

from .. import const
from ..address import Ip4
from ..errors import UsageError
from ..instant import SECOND, Duration

Filtering = Literal["endpoint", "address", "address+port"]
PROTOS = {"tcp": const.PROTO_TCP, "udp": const.PROTO_UDP}


def _ports(text: str, what: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not (first.isascii() and first.isdigit() and (not dash or (last.isascii() and last.isdigit()))):
        raise UsageError(f"{what}: {text!r} is no port: write 8080, or 8000-8010")
    a, b = int(first), int(last or first)
    if not 0 < a <= b < 65536:
        raise UsageError(f"{what}: {text!r} is no range of ports: from 1 to 65535, the smaller one first")
    return a, b


@frozen
class Forward:
    """A port of the outside address, or a range of them, that goes on to a host inside."""

    proto: int
    first: int
    last: int
    to: int
    to_first: int
    outside: int = 0
    """Which of the outside addresses; 0 for each of them."""

    @classmethod
    def parse(cls, text: str) -> Forward:
        """`tcp:8080=192.168.1.10:80`, `udp:5000-5010=192.168.1.10` (the same ports), `tcp:203.0.113.5:80=192.168.1.10:80`."""
        here, _, there = text.partition("=")
        proto, _, port = here.partition(":")
        if proto not in PROTOS or not port or not there:
            raise UsageError(f"{text!r} is no port forward: write one as tcp:8080=192.168.1.10:80")
        address, colon, alone = port.rpartition(":")
        outside = int(Ip4.parse(address)) if colon else 0
        first, last = _ports(alone, text)
        to, _, to_port = there.partition(":")
        to_first = first
        if to_port:
            to_first, to_last = _ports(to_port, text)
            if to_last != to_first and to_last - to_first != last - first:
                raise UsageError(f"{text!r}: the two ranges are not equally long")
            if to_first + last - first > 65535:
                raise UsageError(f"{text!r}: the range goes beyond port 65535 inside")
        return cls(PROTOS[proto], first, last, int(Ip4.parse(to)), to_first, outside)

    def __str__(self) -> str:
        name = {number: text for text, number in PROTOS.items()}[self.proto]
        span = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        address = f"{Ip4(self.outside)}:" if self.outside else ""
        return f"{name}:{address}{span}={Ip4(self.to)}:{self.to_first}"


@frozen
class OneToOne:
    """An outside address of its own for a host inside, all protocols and ports, both ways."""

    outside: Ip4
    inside: Ip4

    @classmethod
    def parse(cls, text: str) -> OneToOne:
        """`203.0.113.5=192.168.1.10`."""
        outside, equals, inside = text.partition("=")
        if not equals:
            raise UsageError(f"{text!r} maps nothing: write 203.0.113.5=192.168.1.10, outside=inside")
        return cls(Ip4.parse(outside), Ip4.parse(inside))


@frozen
class NatConfig:
    """Translation between inside and outside. The times are from the RFCs; a test or an operator in need may choose others."""

    filter_tcp: Filtering = field(default="address+port", validator=validators.in_(("endpoint", "address", "address+port")))
    filter_udp: Filtering = field(default="address", validator=validators.in_(("endpoint", "address", "address+port")))
    """Who may send to an inside endpoint that has spoken: anybody; whom it has spoken to; the very ports it has spoken to. RFC 4787
    REQ-8 leaves the choice between the first two, the third is what most people expect of a firewall."""

    established: Duration = field(default=Duration(7440 * SECOND))  # RFC 5382 REQ-5: 2 h 4 min
    transitory: Duration = field(default=Duration(240 * SECOND))  # RFC 5382 REQ-5
    udp: Duration = field(default=Duration(300 * SECOND))  # RFC 4787 REQ-5 recommends 5 min
    dns: Duration = field(default=Duration(30 * SECOND))  # REQ-5 (b): a resolver has given up by then
    icmp: Duration = field(default=Duration(60 * SECOND))  # RFC 5508 REQ-1
    other: Duration = field(default=Duration(600 * SECOND))  # as Linux: nobody says when a tunnel is over

    flows: int = field(default=65536, validator=[validators.ge(16), validators.le(1 << 22)])
    """All flows. Each costs about 700 bytes; a flood from inside or out ends here."""

    flows_per_host: int = field(default=16384, validator=validators.ge(1))
    """Of one inside host, and so the ports that it can take: a quarter of all, so that one that scans leaves most to the others."""

    unsolicited: Literal["drop", "reject"] = field(default="drop", validator=validators.in_(("drop", "reject")))
    """What becomes of packets from outside to an inside address: silence, or ICMP 'administratively prohibited'."""

    forwards: tuple[Forward, ...] = ()
    maps: tuple[OneToOne, ...] = ()


@frozen
class RoutingConfig:
    reverse_path: Literal["strict", "loose", "off"] = field(
        default="strict", validator=validators.in_(("strict", "loose", "off"))
    )
    """What a source must be (RFC 2827, RFC 3704): behind the port on which it arrives; somewhere; anything."""

    clamp_mss: bool = False
    """Lower the MSS in SYNs to what both links carry: for paths that lose ICMP."""

    redirects: bool = False
    """Tell a host of a better gateway on its own network (RFC 1812 5.2.7.2). Hosts of today don't listen, so off."""

    nat: NatConfig | None = None
