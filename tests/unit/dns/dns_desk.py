"""What the tests of the server share: a small zone, queries in literal octets, a desk."""

import random
import struct

from netstack.dns import name
from netstack.dns.authority.zone import Zone
from netstack.dns.message import Message, decode
from netstack.dns.serve.client import Client
from netstack.dns.serve.config import DnsConfig
from netstack.dns.serve.desk import Desk
from netstack.instant import SECOND

N = name.parse
UDP = Client("192.0.2.7", 4321)
TCP = Client("192.0.2.7", 4321, stream=True)
TLS = Client("192.0.2.7", 4321, stream=True, encrypted=True)
OWN = Client("127.0.0.1", 4321)


def small_zone(origin: str = "example.") -> Zone:
    zone = Zone(N(origin))
    zone.add("@", "SOA", 3600, f"ns.{origin} hostmaster.{origin} 7 7200 900 1209600 300")
    zone.add("@", "NS", 3600, "ns")
    zone.add("ns", "A", 3600, "192.0.2.53")
    zone.add("www", "A", 60, "192.0.2.80")
    zone.add("www", "A", 60, "192.0.2.81")
    zone.add("www", "TXT", 60, '"hello"')
    zone.add("alias", "CNAME", 60, "www")
    zone.add("away", "CNAME", 60, "www.elsewhere.")
    zone.add("cut", "NS", 60, "ns.cut")
    zone.add("ns.cut", "A", 60, "192.0.2.54")
    for i in range(40):
        zone.add("big", "TXT", 60, f'"{i:02d} {"x" * 50}"')
    return zone


def option(code: int, data: bytes = b"") -> bytes:
    return struct.pack(">HH", code, len(data)) + data


def opt(payload: int = 1232, *, version: int = 0, flags: int = 0, options: bytes = b"") -> bytes:
    return struct.pack(">BHHBBHH", 0, 41, payload, 0, version, flags, len(options)) + options


def query(
    text: str,
    type: int = 1,
    *,
    rclass: int = 1,
    flags: int = 0,
    id: int = 0xBEEF,
    edns: bytes = b"",
    qd: int = 1,
    extra: bytes = b"",
) -> bytes:
    """A header, one question, what is given of OPT, and octets behind."""
    head = struct.pack(">HHHHHH", id, flags, qd, 0, 0, 1 if edns else 0)
    return head + N(text) + struct.pack(">HH", type, rclass) + edns + extra


def desk(*zones: Zone, finder: object = None, views: object = (), **config: object) -> Desk:
    made = DnsConfig(**config)  # type: ignore[arg-type]
    return Desk(zones or (small_zone(),), rng=random.Random(1), config=made, wall=lambda: 1_700_000_000, finder=finder, views=views)  # type: ignore[arg-type]


def ask(at: Desk, wire: bytes, client: Client = UDP, now: int = SECOND) -> Message:
    """The one answer that comes at once."""
    return decode(octets(at, wire, client, now))


def octets(at: Desk, wire: bytes, client: Client = UDP, now: int = SECOND) -> bytes:
    (answer,) = at.handle(wire, client, now)  # type: ignore[misc, union-attr]
    return answer
