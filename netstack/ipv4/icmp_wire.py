"""ICMP messages (RFC 792): the eight bytes that all have, and the quote in those that report an error."""

from .. import const, raw
from ..errors import WireError

# RFC 1191 7.1: MTUs that exist; a router from before 1990 says 0, and the next one below what it refused is the guess
PLATEAUS = (65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68)

QUERIES = frozenset((0, 8, 9, 10, 13, 14, 15, 16, 17, 18))  # the types that are not errors: about others no error is ever sent


def put_message(b: bytearray, o: int, type: int, code: int, rest: int, data: bytes, at: int, n: int) -> None:
    """The 8 bytes before `n` bytes of `data` from `at`, with the checksum over all of it. `rest` is the second word."""
    first = type << 8 | code
    s = first + (rest >> 16) + (rest & const.M16)
    if n:
        s = s + raw.csum_of(data, at, n, 0)
    raw.p32(b, o, first << 16 | (raw.fold(s) ^ const.M16))
    raw.p32(b, o + 4, rest)


def quoted(b: bytearray, o: int, n: int) -> tuple[int, int, int, int, int]:
    """The header in the `n` bytes that an error quotes at `o`: source, destination, protocol, total length, header length.

    Raises WireError unless at least a header and 8 bytes of its payload are there, of a first fragment. The header's checksum
    is not asked: routers change the TTL before they quote.
    """
    if n < 28:
        raise WireError(f"an ICMP error quotes {n} bytes, not even a header and 8 bytes")
    vihl, _tos, total, _ident, frag, _ttl, proto, src, dst = raw.get_ip4(b, o)
    ihl = (vihl & 15) << 2
    if vihl >> 4 != 4 or ihl < 20 or n < ihl + 8 or total < ihl + 8:
        raise WireError("an ICMP error quotes no IPv4 header")
    if frag & const.IP_OFFSET:
        raise WireError("an ICMP error quotes a fragment that names no port")
    return src, dst, proto, total, ihl


def plateau(total: int) -> int:
    """The largest MTU in use below `total` (RFC 1191 7.1)."""
    for mtu in PLATEAUS:
        if mtu < total:
            return mtu
    return PLATEAUS[-1]
