"""Services as RFC 6763 has them: an instance with a name for people, of a type, on a host and a port, with keys and values.

    Bob's Music._music._tcp.local.  SRV  0 0 4000 bobs-laptop.local.
    Bob's Music._music._tcp.local.  TXT  "version=1"
    _music._tcp.local.              PTR  Bob's Music._music._tcp.local.
    _services._dns-sd._udp.local.   PTR  _music._tcp.local.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from ...errors import UsageError, WireError
from .. import name as names
from .. import rdata
from ..numbers import Type
from .records import HOST_TTL, LOCAL, OTHER_TTL, Spec, any_name, text

TYPES = names.join([b"_services", b"_dns-sd", b"_udp", b"local"])  # RFC 6763 9

_TYPE = re.compile(r"_[A-Za-z0-9](?:[A-Za-z0-9-]{0,13}[A-Za-z0-9])?\._(?:tcp|udp)", re.ASCII | re.IGNORECASE)  # RFC 6335 5.1

Text = Mapping[str, bytes | str | bool | None]


def type_name(type: str) -> bytes:
    """The name of `_http._tcp`. Raises UsageError."""
    short = type.removesuffix(".").removesuffix(".local")
    if not _TYPE.fullmatch(short):
        raise UsageError(f"{type!r} is not a type of services: write one like '_http._tcp'")
    return names.join([label.encode() for label in short.split(".")] + [b"local"])


def subtype_name(subtype: str, type: str) -> bytes:
    """Of the subtype `_printer` of `_http._tcp` (RFC 6763 7.1)."""
    octets = subtype.encode()
    if not 1 <= len(octets) <= 63:
        raise UsageError(f"{subtype!r} is not a subtype: it has 1 to 63 octets, like '_printer'")
    return names.join([octets, b"_sub"]) [:-1] + type_name(type)


def instance_name(instance: str, type: str) -> bytes:
    octets = instance.encode()
    if not 1 <= len(octets) <= 63 or any(octet < 32 or octet == 127 for octet in octets):
        raise UsageError(f"{instance!r} is not the name of an instance: 1 to 63 octets of text are (RFC 6763 4.1.1)")
    return bytes((len(octets),)) + octets + type_name(type)


def first_label(name: bytes) -> str:
    return name[1 : 1 + name[0]].decode("utf-8", "replace")


def text_octets(txt: Text) -> bytes:
    """The data of the TXT record (RFC 6763 6): values are octets, text, True for a key alone; False and None leave it out."""
    strings = []
    for key, value in txt.items():
        if not key or not key.isascii() or not key.isprintable() or "=" in key:
            raise UsageError(f"{key!r} is not a key of a TXT record: printable ASCII without '=' is (RFC 6763 6.4)")
        if value is None or value is False:
            continue
        octets = b"" if value is True else b"=" + (value.encode() if isinstance(value, str) else bytes(value))
        strings.append(key.encode() + octets)
        if len(strings[-1]) > 255:
            raise UsageError(f"key and value of {key!r} have {len(strings[-1])} octets: at most 255 are possible")
    whole = rdata.pack(Type.TXT, rdata.TXT(tuple(strings) or (b"",)))  # RFC 6763 6.1: one empty string where there is nothing
    if len(whole) > 8900:
        raise UsageError(f"a TXT record of {len(whole)} octets: at most 8900 fit into a message (RFC 6763 6.2 wants 200)")
    return whole


def text_items(data: bytes) -> dict[str, bytes | None]:
    """Keys in small letters, and their values, None for a key alone; of a key that stands there again the first counts, and what
    has no key doesn't (RFC 6763 6.4). Never raises."""
    try:
        strings = rdata.unpack(Type.TXT, data)[0]
    except WireError:
        return {}
    found: dict[str, bytes | None] = {}
    for string in strings:
        key, equals, value = string.partition(b"=")
        if key:
            found.setdefault(key.decode("ascii", "replace").lower(), value if equals else None)
    return found


def _checked_type(instance: Any, attribute: Any, value: str) -> None:
    type_name(value)


def _checked_port(instance: Any, attribute: Any, value: int) -> None:
    if not 0 <= value <= 0xFFFF:
        raise UsageError(f"{value} is not a port: choose one up to 65535")


@frozen
class Service:
    """What is to be registered. `host` is a host's name on the link, "" for our own; `txt` has values that are text, octets, or
    True for a key alone; `subtypes` like `_printer`."""

    instance: str
    type: str = field(validator=_checked_type)
    port: int = field(validator=_checked_port)
    host: str = ""
    txt: Text = field(factory=dict)
    subtypes: tuple[str, ...] = ()
    priority: int = 0
    weight: int = 0

    def __attrs_post_init__(self) -> None:
        self.name()
        text_octets(self.txt)
        for subtype in self.subtypes:
            subtype_name(subtype, self.type)

    def name(self) -> bytes:
        return instance_name(self.instance, self.type)

    def specs(self, name: bytes, own_host: bytes) -> list[Spec]:
        """Its records, called `name`, on the host `own_host` where it names no other."""
        host = any_name(self.host) if self.host else own_host
        srv = rdata.pack(Type.SRV, rdata.SRV(self.priority, self.weight, self.port, host))
        type = type_name(self.type)
        return [
            Spec(name, int(Type.SRV), srv, HOST_TTL, True),
            Spec(name, int(Type.TXT), text_octets(self.txt), OTHER_TTL, True),
            Spec(type, int(Type.PTR), name, OTHER_TTL, False),
            *(Spec(subtype_name(subtype, self.type), int(Type.PTR), name, OTHER_TTL, False) for subtype in self.subtypes),
            Spec(TYPES, int(Type.PTR), type, OTHER_TTL, False),
        ]


@frozen
class Found:
    """A service that somebody offers. `name` is the whole name of the instance, `addresses` those of `host` that are known."""

    name: str
    instance: str
    type: str
    host: str
    port: int
    txt: dict[str, bytes | None]
    addresses: tuple[str, ...]
    priority: int = 0
    weight: int = 0


def whose_type(name: bytes) -> str:
    """`_http._tcp` of the name of an instance or of a type."""
    labels = names.labels(name)
    inner = labels[:-1] if name.lower().endswith(LOCAL) else labels
    return text(names.join(inner[-2:])) if len(inner) >= 2 else text(name)
