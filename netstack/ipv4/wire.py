"""The IPv4 header (RFC 791 3.1): writing it, and walking its options. Reading it is `raw.get_ip4`."""

from .. import const, raw


def put_header(
    b: bytearray, o: int, tos: int, total: int, ident: int, frag: int, ttl: int, proto: int, src: int, dst: int
) -> None:
    """20 bytes at `o`, checksum included, computed from the values and not from the bytes. `frag` is flags and offset."""
    first = 0x4500 | tos
    fourth = ttl << 8 | proto
    s = first + total + ident + frag + fourth + (src >> 16) + (src & const.M16) + (dst >> 16) + (dst & const.M16)
    raw.put5(b, o, first << 16 | total, ident << 16 | frag, fourth << 16 | (raw.fold(s) ^ const.M16), src, dst)


def option_fault(b: bytearray, o: int, ihl: int) -> int:
    """What is wrong with the options of the header of `ihl` bytes at `o`: 0 nothing, -1 a source route, else the offset in
    the header of an option whose length runs out of the header (the pointer of a parameter problem)."""
    at = 20
    while at < ihl:
        kind = raw.g8(b, o + at)
        if kind == 0:  # end of the list, whatever follows
            return 0
        if kind == 1:  # no operation, one byte
            at += 1
            continue
        if at + 1 >= ihl:
            return at
        length = raw.g8(b, o + at + 1)
        if length < 2 or at + length > ihl:
            return at
        if kind == 131 or kind == 137:  # LSRR, SSRR: nobody honest sends them any more
            return -1
        at += length
    return 0
