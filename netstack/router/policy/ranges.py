"""Addresses that are not simply somewhere in the world: who may be reached there, and by what kind of rule.

NEVER     the host itself, its link, and what answers without asking who is there: opened by a rule that names the address, or a
          network within the range, and by nothing wider. `0.0.0.0/0` is not meant for the metadata of a cloud.
PRIVATE   somebody's own network: opened by a rule for addresses, never by one for names. Whoever owns a name says what it resolves
          to, and must not be able to say "the printer" (DNS rebinding).
"""

from __future__ import annotations

from ...address import Cidr

OPEN, PRIVATE, NEVER = 0, 1, 2

Range = tuple[int, int, int, str]  # network, mask, kind, what it is

_RANGES = (
    ("0.0.0.0/8", NEVER, "this network"),  # RFC 791 3.2: Linux takes 0.0.0.0 for itself
    ("127.0.0.0/8", NEVER, "loopback"),  # RFC 1122 3.2.1.3
    ("169.254.169.254/32", NEVER, "the metadata of a cloud"),
    ("169.254.0.0/16", NEVER, "link-local"),  # RFC 3927
    ("168.63.129.16/32", NEVER, "the host of a cloud"),  # Azure's, the one that looks like anybody's address
    ("100.100.100.200/32", NEVER, "the metadata of a cloud"),
    ("224.0.0.0/4", NEVER, "multicast"),  # RFC 5771
    ("240.0.0.0/4", NEVER, "reserved"),  # RFC 1112 4, and the broadcast address
    ("10.0.0.0/8", PRIVATE, "private"),  # RFC 1918 3
    ("172.16.0.0/12", PRIVATE, "private"),
    ("192.168.0.0/16", PRIVATE, "private"),
    ("100.64.0.0/10", PRIVATE, "a carrier's own"),  # RFC 6598
    ("192.0.0.0/24", PRIVATE, "for protocols"),  # RFC 6890
    ("198.18.0.0/15", PRIVATE, "for benchmarks"),  # RFC 2544
)


def _by_octet() -> tuple[tuple[Range, ...], ...]:
    """For each first octet, the ranges that have addresses there, the smaller ones first."""
    ranges = [(cidr.network, cidr.mask, kind, what) for text, kind, what in _RANGES for cidr in (Cidr.parse(text),)]
    ranges.sort(key=lambda one: -one[1])
    octets = range(256)
    return tuple(tuple(one for one in ranges if (n << 24) & one[1] == one[0] & 0xFF000000 & one[1]) for n in octets)


BY_OCTET = _by_octet()


def kind_of(address: int) -> tuple[int, str]:
    """OPEN, PRIVATE or NEVER, and what the range is."""
    for network, mask, kind, what in BY_OCTET[address >> 24]:
        if address & mask == network:
            return kind, what
    return OPEN, ""


def opened_by(network: Cidr) -> int:
    """Up to which kind a rule for `network` opens what lies in it."""
    if network.length == 32:
        return NEVER
    within = (mask & network.mask == mask and network.network & mask == base for base, mask in _NEVER)
    return NEVER if any(within) else PRIVATE


_NEVER = tuple({(base, mask) for octet in BY_OCTET for base, mask, kind, _ in octet if kind == NEVER})
