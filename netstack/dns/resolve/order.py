"""In which order addresses are tried: the two algorithms of RFC 6724, source and destination address selection, as one table of
policy and two lists of rules.

Addresses are sixteen octets, IPv4 as `::ffff:192.0.2.1` (RFC 6724 3.2). All that the rules need to know about the host stands in
its `Source`s.

Where we depart: longest prefixes (rule 9) are compared for IPv4 only with destinations on the source's own network, as glibc does
since 2.5: else every client in one network chooses the same of many servers, and round robin is gone (RFC 6724 6 lets it).
"""

import functools
from collections.abc import Callable, Iterable, Sequence

from attrs import frozen

from ...errors import UsageError

MAPPED = bytes(10) + b"\xff\xff"
LINK, SITE, GLOBAL = 0x2, 0x5, 0xE  # scopes (RFC 4291 2.7)


@frozen
class Policy:
    """A row of the table (RFC 6724 2.1). `prefix` in octets and `length` in bits."""

    prefix: bytes
    length: int
    precedence: int
    label: int


def _row(prefix: str, length: int, precedence: int, label: int) -> Policy:
    return Policy(bytes.fromhex(prefix).ljust(16, b"\0"), length, precedence, label)


DEFAULT = (  # the longest first
    Policy(bytes(15) + b"\1", 128, 50, 0),  # ::1
    Policy(MAPPED + bytes(4), 96, 35, 4),  # IPv4
    _row("", 96, 1, 3),  # ::/96, IPv4-compatible
    _row("20010000", 32, 5, 5),  # Teredo
    _row("2002", 16, 30, 2),  # 6to4
    _row("3ffe", 16, 1, 12),  # 6bone
    _row("fec0", 10, 1, 11),  # site-local
    _row("fc00", 7, 3, 13),  # unique local
    _row("", 0, 40, 1),
)


@frozen
class Source:
    """An own address. `prefix` is how many of its bits name the network, of 128; `interface` tells those of one from others'."""

    address: bytes
    prefix: int = 64
    deprecated: bool = False
    home: bool = False  # of mobile IPv6
    care_of: bool = False
    temporary: bool = False  # RFC 8981
    interface: str = ""


def mapped(packed: bytes) -> bytes:
    """An address of 4 or 16 octets as one of 16."""
    if len(packed) == 16:
        return packed
    if len(packed) != 4:
        raise UsageError(f"an address of {len(packed)} octets: 4 or 16 are possible")
    return MAPPED + packed


def scope(address: bytes) -> int:
    """RFC 6724 3.1, 3.2."""
    if address[:12] == MAPPED:
        return LINK if address[12] == 127 or address[12:14] == b"\xa9\xfe" else GLOBAL
    if address[0] == 0xFF:
        return address[1] & 15
    if (address[0] == 0xFE and address[1] & 0xC0 == 0x80) or address == DEFAULT[0].prefix:
        return LINK
    if address[0] == 0xFE and address[1] & 0xC0 == 0xC0:
        return SITE
    return GLOBAL


def common(a: bytes, b: bytes) -> int:
    """How many bits the two begin with in common."""
    differs = int.from_bytes(a, "big") ^ int.from_bytes(b, "big")
    return 128 - differs.bit_length()


def policy(address: bytes, table: Sequence[Policy] = DEFAULT) -> Policy:
    """The row with the longest prefix that fits. Tables have one for all."""
    return max((row for row in table if common(address, row.prefix) >= row.length), key=lambda row: row.length)


def _is4(address: bytes) -> bool:
    return address[:12] == MAPPED


# -- section 5 ----------------------------------------------------------------------------------------------------------------


def choose_source(
    destination: bytes, candidates: Iterable[Source], table: Sequence[Policy] = DEFAULT, interface: str = ""
) -> Source | None:
    """Which of ours packets to `destination` leave with; `interface` is the one that leads there. None where no address is of its
    family."""
    fitting = [each for each in candidates if _is4(each.address) == _is4(destination)]
    if not fitting:
        return None
    label = policy(destination, table).label
    want = scope(destination)

    def better(a: Source, b: Source) -> int:
        """Below 0 where `a` is the better one."""
        if a.address == b.address:
            return 0
        if destination in (a.address, b.address):  # rule 1
            return -1 if a.address == destination else 1
        scope_a, scope_b = scope(a.address), scope(b.address)
        if scope_a != scope_b:  # rule 2
            if scope_a < scope_b:
                return 1 if scope_a < want else -1
            return -1 if scope_b < want else 1
        for yes_a, yes_b in (
            (not a.deprecated, not b.deprecated),  # rule 3
            (a.home and not a.care_of, b.home and not b.care_of),  # rule 4
            (a.interface == interface, b.interface == interface),  # rule 5
            (policy(a.address, table).label == label, policy(b.address, table).label == label),  # rule 6
            (a.temporary, b.temporary),  # rule 7
        ):
            if yes_a != yes_b:
                return -1 if yes_a else 1
        return min(common(b.address, destination), b.prefix) - min(common(a.address, destination), a.prefix)  # rule 8

    return sorted(fitting, key=functools.cmp_to_key(better))[0]


# -- section 6 ----------------------------------------------------------------------------------------------------------------


def ordered(
    destinations: Iterable[bytes], source: Callable[[bytes], Source | None], table: Sequence[Policy] = DEFAULT
) -> list[bytes]:
    """The destinations, the best first. `source` says which address packets to one leave with, None where it can't be reached."""
    rows = [(each, source(each), policy(each, table)) for each in destinations]

    def better(a: tuple[bytes, Source | None, Policy], b: tuple[bytes, Source | None, Policy]) -> int:
        da, sa, pa = a
        db, sb, pb = b
        if sa is None or sb is None:  # rule 1
            return (sa is None) - (sb is None)
        scope_a, scope_b = scope(da), scope(db)
        for yes_a, yes_b in (
            (scope_a == scope(sa.address), scope_b == scope(sb.address)),  # rule 2
            (not sa.deprecated, not sb.deprecated),  # rule 3
            (sa.home, sb.home),  # rule 4
            (policy(sa.address, table).label == pa.label, policy(sb.address, table).label == pb.label),  # rule 5
        ):
            if yes_a != yes_b:
                return -1 if yes_a else 1
        if pa.precedence != pb.precedence:  # rule 6
            return pb.precedence - pa.precedence
        # rule 7, native transport: the sources don't tell what carries them
        if scope_a != scope_b:  # rule 8
            return scope_a - scope_b
        if _is4(da) == _is4(db):  # rule 9
            return _shared(db, sb) - _shared(da, sa)
        return 0  # rule 10

    return [each for each, _, _ in sorted(rows, key=functools.cmp_to_key(better))]


def _shared(destination: bytes, source: Source) -> int:
    bits = min(common(destination, source.address), source.prefix)
    return bits if not _is4(destination) or bits == source.prefix else 0
