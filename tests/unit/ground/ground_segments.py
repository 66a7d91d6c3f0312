"""TCP and UDP frames made by hand, with checksums of the test's own, and a super-segment cut as RFC 9293 would have it."""

import struct

ETH = bytes.fromhex("020000000001" "020000000002" "0800")
SRC, DST = bytes([10, 79, 0, 1]), bytes([10, 79, 0, 2])


def total(data: bytes) -> int:
    s = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1])) + (data[-1] << 8 if len(data) & 1 else 0)
    while s > 0xFFFF:
        s = (s & 0xFFFF) + (s >> 16)
    return s


def ip_packet(proto: int, body: bytes, at: int, tos: int = 0, ident: int = 0, frag: int = 0x4000, ttl: int = 64) -> bytes:
    """`body` is transport header and payload, its checksum, at offset `at`, still 0."""
    check = total(SRC + DST + struct.pack("!HH", proto, len(body)) + body) ^ 0xFFFF
    body = body[:at] + struct.pack("!H", check) + body[at + 2 :]
    head = struct.pack("!BBHHHBBH4s4s", 0x45, tos, 20 + len(body), ident, frag, ttl, proto, 0, SRC, DST)
    return head[:10] + struct.pack("!H", total(head) ^ 0xFFFF) + head[12:] + body


def segment(
    seq: int, payload: bytes, flags: int = 0x10, ack: int = 77, window: int = 500, options: bytes = b"", port: int = 1000, **ip: int
) -> bytes:
    """An Ethernet frame with a TCP segment."""
    offset = (20 + len(options)) << 10
    head = struct.pack("!HHIIHHHH", port, 80, seq & 0xFFFFFFFF, ack, offset | flags, window, 0, 0)
    return ETH + ip_packet(6, head + options + payload, 16, **ip)


def cut(frame: bytes, size: int) -> list[bytes]:
    """What a device makes of a super-segment whose payload is cut every `size` bytes."""
    tos, ident, frag, ttl = frame[15], *struct.unpack("!HH", frame[18:22]), frame[22]
    tcp = frame[34:]
    hl = tcp[12] >> 4 << 2
    payload = tcp[hl:]
    pieces = [payload[i : i + size] for i in range(0, len(payload), size)] or [b""]
    frames = []
    seq = int.from_bytes(tcp[4:8], "big")
    for i, piece in enumerate(pieces):
        flags = tcp[13]
        if i < len(pieces) - 1:
            flags &= ~0x09
        if i:
            flags &= ~0x80
        head = tcp[:4] + struct.pack("!I", seq & 0xFFFFFFFF) + tcp[8:13] + bytes([flags]) + tcp[14:16] + b"\0\0" + tcp[18:hl]
        frames.append(frame[:14] + ip_packet(6, head + piece, 16, tos, ident if frag & 0x4000 else (ident + i) & 0xFFFF, frag, ttl))
        seq += len(piece)
    return frames
