"""A frame with what a vif says of it, and what a kernel does to it where a receiver takes less: checksums are filled in, large
segments are cut. In plain Python, by the RFCs, apart from the package's own way (`netstack.gso`), which is judged by it.
"""

import struct
from collections.abc import Iterator

import attrs

from . import layout

ETHERNET = 14
TCP, UDP = 6, 17
CHECKSUM_AT = {TCP: 16, UDP: 6}


@attrs.frozen
class Unit:
    """`csum_blank`: the transport's checksum field holds the sum of the pseudo-header alone. `gso_size`: to be cut into segments
    of so many bytes of payload."""

    frame: bytes
    csum_blank: bool = False
    validated: bool = False
    gso_type: int = layout.GSO_NONE
    gso_size: int = 0
    hash: "int | None" = None


@attrs.frozen
class Headers:
    """Where things are in a frame."""

    version: int
    transport: int
    protocol: int
    end: int  # of the IP packet

    @property
    def checksum(self) -> int:
        return self.transport + CHECKSUM_AT[self.protocol]


def ones(data: bytes, start: int = 0) -> int:
    """RFC 1071, before its complement."""
    if len(data) % 2:
        data += b"\0"
    total = start + sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(total)


def headers(frame: bytes) -> "Headers | None":
    """None for what is no TCP or UDP over IP, whole and unfragmented."""
    kind = frame[12:14]
    if kind == b"\x08\x00" and len(frame) >= ETHERNET + 20:
        length = (frame[14] & 15) * 4
        total, fragment = struct.unpack_from(">H", frame, 16)[0], struct.unpack_from(">H", frame, 20)[0]
        if frame[14] >> 4 != 4 or length < 20 or fragment & 0x3FFF:
            return None
        found = Headers(4, ETHERNET + length, frame[23], ETHERNET + total)
    elif kind == b"\x86\xdd" and len(frame) >= ETHERNET + 40 and frame[14] >> 4 == 6:
        found = Headers(6, ETHERNET + 40, frame[20], ETHERNET + 40 + struct.unpack_from(">H", frame, 18)[0])
    else:
        return None
    least = {TCP: 20, UDP: 8}.get(found.protocol)
    if least is None or found.end > len(frame) or found.end - found.transport < least:
        return None
    return found


def pseudo_sum(frame: bytes, where: Headers, length: int) -> int:
    addresses = frame[26:34] if where.version == 4 else frame[22:54]
    return ones(addresses + struct.pack(">II", where.protocol, length))


def is_blank_as_promised(frame: bytes) -> bool:
    """The checksum field holds the sum of the pseudo-header, as it must where a checksum is said to be blank."""
    where = headers(frame)
    if where is None:
        return False
    return bool(ones(frame[where.checksum : where.checksum + 2]) == pseudo_sum(frame, where, where.end - where.transport))


def filled_in(frame: bytes) -> bytes:
    """With its transport's checksum complete, and what is no TCP or UDP as it is."""
    where = headers(frame)
    if where is None:
        return frame
    return _summed(bytearray(frame), where)


def _summed(out: bytearray, where: Headers) -> bytes:
    out[where.checksum : where.checksum + 2] = b"\0\0"
    body = bytes(out[where.transport : where.end])
    total = ones(body, pseudo_sum(bytes(out), where, len(body))) ^ 0xFFFF
    struct.pack_into(">H", out, where.checksum, total or (0xFFFF if where.protocol == UDP else 0))
    return bytes(out)


def segments(unit: Unit) -> "Iterator[bytes]":
    """Single frames with complete checksums, whatever `unit` left to be done."""
    where = headers(unit.frame)
    if not unit.gso_size or where is None or where.protocol != TCP:
        yield filled_in(unit.frame) if unit.csum_blank else unit.frame
        return
    payload_at = where.transport + (unit.frame[where.transport + 12] >> 4) * 4
    head, payload = unit.frame[:payload_at], unit.frame[payload_at : where.end]
    sequence = struct.unpack_from(">I", head, where.transport + 4)[0]
    flags = head[where.transport + 13]
    pieces = [payload[at : at + unit.gso_size] for at in range(0, len(payload), unit.gso_size)] or [b""]
    for n, piece in enumerate(pieces):
        out = bytearray(head + piece)
        struct.pack_into(">I", out, where.transport + 4, (sequence + n * unit.gso_size) & 0xFFFFFFFF)
        out[where.transport + 13] = flags
        if n:
            out[where.transport + 13] &= ~0x80  # CWR on the first only
        if n < len(pieces) - 1:
            out[where.transport + 13] &= ~0x09  # FIN and PSH on the last only
        if where.version == 4:
            struct.pack_into(">H", out, 16, len(out) - ETHERNET)
            struct.pack_into(">H", out, 18, (struct.unpack_from(">H", head, 18)[0] + n) & 0xFFFF)
            struct.pack_into(">H", out, 24, 0)
            struct.pack_into(">H", out, 24, ones(bytes(out[ETHERNET : where.transport])) ^ 0xFFFF)
        else:
            struct.pack_into(">H", out, 18, len(out) - where.transport)
        yield _summed(out, attrs.evolve(where, end=len(out)))


def flow(frame: bytes) -> "tuple[int, bytes] | None":
    """(version, addresses and ports as hashed) of a frame of TCP over IP; without ports of other IP; None of anything else."""
    if frame[12:14] == b"\x08\x00" and len(frame) >= 34 and frame[14] >> 4 == 4:
        version, addresses = 4, frame[26:34]
    elif frame[12:14] == b"\x86\xdd" and len(frame) >= 54 and frame[14] >> 4 == 6:
        version, addresses = 6, frame[22:54]
    else:
        return None
    where = headers(frame)
    ports = frame[where.transport : where.transport + 4] if where is not None and where.protocol == TCP else b""
    return version, addresses + ports
