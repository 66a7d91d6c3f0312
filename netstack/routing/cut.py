"""Fragments of a datagram on its way (RFC 791 3.2, RFC 1812 5.2.6)."""

from .. import const, raw


def carried_options(options: bytes) -> bytes:
    """Those that later fragments have too: with the copied flag (RFC 791 3.1), padded to whole words."""
    kept = b""
    at = 0
    while at < len(options):
        kind = options[at]
        if kind == 0:
            break
        if kind == 1:
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        if length < 2 or at + length > len(options):
            break
        if kind & 0x80:
            kept += options[at : at + length]
        at += length
    return kept + bytes(-len(kept) & 3)


def cut(datagram: bytes, mtu: int) -> list[bytes]:
    """Fragments of at most `mtu` bytes, of a datagram that may be one itself. Its header is lawful, and fits."""
    ihl = (datagram[0] & 15) << 2
    total = len(datagram)
    word = datagram[6] << 8 | datagram[7]
    offset = word & const.IP_OFFSET
    flags = word & ~const.IP_OFFSET & ~const.IP_MF
    header = datagram[:ihl]
    pieces = []
    at = ihl
    while at < total:
        room = (mtu - len(header)) & ~7
        n = min(room, total - at)
        more = at + n < total or word & const.IP_MF
        b = bytearray(header)
        raw.p16(b, 2, len(header) + n)
        raw.p16(b, 6, flags | offset | (const.IP_MF if more else 0))
        raw.p16(b, 10, 0)
        raw.p16(b, 10, raw.csum(b, 0, len(b), 0) ^ const.M16)
        pieces.append(bytes(b) + datagram[at : at + n])
        if at == ihl and ihl > 20:
            options = carried_options(header[20:])
            header = bytes((0x40 | (20 + len(options)) >> 2,)) + header[1:20] + options
        at += n
        offset += n >> 3
    return pieces
