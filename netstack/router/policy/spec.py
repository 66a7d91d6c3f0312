"""Rules as a user types them: `[PROTO:]WHERE[:PORTS][@GUEST]`.

    api.github.com:443        10.1.0.0/16        *.debian.org:80,443        udp:10.0.0.53:53        *:8000-8100        *@build

PROTO is tcp, udp or icmp; without it all of them, and for names TCP alone, where a name can be checked. WHERE is a name, `*.` and
the name that it must be below, an address, a network, or `*` for everywhere.
"""

from __future__ import annotations

import re
from typing import Any

import attrs

from ...errors import UsageError
from .hostnames import ANY, Pattern, network_of
from .rules import PROTOCOLS, PortsLike, Rule, read_ports

_SPEC = re.compile(
    r"(?:(?P<proto>[a-z]+):(?=[^0-9-]|[0-9]+\.))?(?P<host>[^:@\[\]]*)(?::(?P<ports>[^:@]*))?(?:@(?P<guest>.+))?", re.DOTALL
)
EXAMPLES = "api.github.com:443, *.debian.org, 10.1.0.0/16:80,443, udp:10.0.0.53:53"


def read_rule(allow: bool, text: str, **more: Any) -> Rule:
    """`text`, and what else is to be said: `ports`, `proto`, `guest`, and the rest of a `Rule`. Raises UsageError."""
    if text.count("[") or text.count(":") > 2 or "::" in text:
        raise UsageError(f"{text!r} is of IPv6, which is not carried: write an address like 10.1.0.0/16")
    if "//" in text:
        raise UsageError(f"{text!r} is a URL: write what stands between // and the next /, and a port, like api.github.com:443")
    match = _SPEC.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is no rule: write one like {EXAMPLES}")
    proto, host, ports, guest = match.group("proto", "host", "ports", "guest")
    if proto is not None and proto not in PROTOCOLS:
        raise UsageError(f"{text!r}: {proto} is no protocol: write tcp, udp or icmp")
    if not host:
        raise UsageError(f"{text!r} doesn't say where: write * for everywhere, as in *:443")
    if host in PROTOCOLS:
        raise UsageError(f"{text!r} doesn't say where: write {host}:*:{ports or 'PORT'} for everywhere")
    if ports == "":
        raise UsageError(f"{text!r} ends before its port: leave out the colon for all ports")
    rule = make_rule(
        allow,
        host,
        ports=_one("ports", ports, more.pop("ports", None), text),
        proto=_one("proto", proto, more.pop("proto", None), text),
        guest=_one("guest", guest, more.pop("guest", None), text),
        **more,
    )
    return attrs.evolve(rule, text=rule.where())


def _one(what: str, written: Any, given: Any, text: str) -> Any:
    if written is not None and given is not None:
        raise UsageError(f"{text!r} says {what} {written}, and {what}={given!r} says it again: leave out one of them")
    return written if written is not None else given


def make_rule(
    allow: bool,
    host: str,
    *,
    ports: PortsLike = None,
    proto: str | None = None,
    guest: str | None = None,
    rate: int | None = None,
    check: bool | None = None,
    how: str = "reset",
) -> Rule:
    """Raises UsageError for what no flow could match, or what contradicts itself."""
    network = network_of(host)
    name = Pattern(host) if network is None and host != ANY else None
    if proto is not None and proto not in PROTOCOLS:
        raise UsageError(f"{proto!r} is no protocol: write tcp, udp or icmp")
    if proto == "icmp" and ports is not None:
        raise UsageError("icmp has no ports: leave them out")
    if how not in ("reset", "unreachable", "drop"):
        raise UsageError(f"how={how!r} is no way to deny: write reset, unreachable or drop")
    if check is not None and (name is None or not allow):
        raise UsageError(f"check is for rules that allow a name, and {host} is none" if allow else "check is for rules that allow")
    if check and proto in ("udp", "icmp"):
        raise UsageError(f"a name can't be checked in {proto}: leave out check, and know that the address alone decides")
    if rate is not None and (rate <= 0 or not allow):
        raise UsageError("rate is bytes a second, 1 or more, of a rule that allows")
    return Rule(allow, network, name, read_ports(ports), proto, guest, rate, check, how)
