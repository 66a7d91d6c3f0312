"""The Internet checksum for whoever holds plain bytes (RFC 1071), and its update in place (RFC 1624).

The packet path sums slabs by `raw.csum`; this is the same sum for tests, tools and rare paths.
"""

from . import raw


def checksum(data: bytes, start: int = 0) -> int:
    """The RFC 1071 checksum of `data`, inverted, ready for a header. `start` is a sum to add, a pseudo-header's for instance."""
    return raw.csum_of(data, 0, raw.size(data), start) ^ 0xFFFF


def pseudo_ip4(src: int, dst: int, proto: int, length: int) -> int:
    """Folded sum of an IPv4 pseudo-header (RFC 9293 3.1, RFC 768)."""
    return raw.fold((src >> 16) + (src & 0xFFFF) + (dst >> 16) + (dst & 0xFFFF) + proto + length)


def update(check: int, old: int, new: int) -> int:
    """The checksum after a 16-bit word changed from `old` to `new`: HC' = ~(~HC + ~m + m') (RFC 1624 eqn. 3)."""
    return raw.fold((check ^ 0xFFFF) + (old ^ 0xFFFF) + new) ^ 0xFFFF
