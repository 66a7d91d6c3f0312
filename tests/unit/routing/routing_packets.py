"""Literal datagrams, their sums filled in by the plainest sum there is."""

import struct


def ones(data):
    """RFC 1071, word by word."""
    data += bytes(len(data) & 1)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def ip4(src, dst, proto, payload, ttl=64, ident=1, frag=0, options=b""):
    ihl = 20 + len(options)
    first = struct.pack("!BBHHHBBHII", 0x40 | ihl >> 2, 0, ihl + len(payload), ident, frag, ttl, proto, 0, src, dst)
    return first + options + payload


def with_sums(packet):
    """All checksums right: the header's, and the transport's of what is no fragment."""
    b = bytearray(packet)
    ihl = (b[0] & 15) << 2
    b[10:12] = bytes(2)
    b[10:12] = (ones(bytes(b[:ihl])) ^ 0xFFFF).to_bytes(2, "big")
    at = {1: 2, 6: 16, 17: 6}.get(b[9])
    if at is not None and not (b[6] & 0x3F or b[7]):
        body = b[ihl:]
        body[at : at + 2] = bytes(2)
        pseudo = b"" if b[9] == 1 else bytes(b[12:20]) + bytes((0, b[9])) + len(body).to_bytes(2, "big")
        s = ones(pseudo + bytes(body)) ^ 0xFFFF
        if b[9] == 17 and s == 0:
            s = 0xFFFF
        b[ihl + at : ihl + at + 2] = s.to_bytes(2, "big")
    return bytes(b)
