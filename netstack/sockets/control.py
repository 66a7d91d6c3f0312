"""Ancillary data (cmsg(3)), as triples of level, type and bytes."""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence

from . import const as c
from .failures import failure

Ancillary = tuple[int, int, bytes]

_INT = struct.Struct("=i")
_PKTINFO = struct.Struct("=i4s4s")  # interface, local address, destination of the header
_HEADER = struct.calcsize("@Nii")  # cmsghdr
_ALIGN = struct.calcsize("@N")


def space(n: int) -> int:
    """CMSG_SPACE(n)."""
    return _HEADER + (n + _ALIGN - 1) // _ALIGN * _ALIGN


def fit(items: list[Ancillary], room: int) -> tuple[list[Ancillary], int]:
    """Those that fit into a buffer of `room` bytes, and MSG_CTRUNC where one did not, or not whole."""
    kept: list[Ancillary] = []
    for level, kind, data in items:
        if room < _HEADER:
            return kept, c.MSG_CTRUNC
        if room < _HEADER + len(data):
            kept.append((level, kind, data[: room - _HEADER]))
            return kept, c.MSG_CTRUNC
        kept.append((level, kind, data))
        room -= space(len(data))
    return kept, 0


def integer(level: int, kind: int, value: int) -> Ancillary:
    return level, kind, _INT.pack(value)


def pktinfo(local: int, dst: int) -> Ancillary:
    """IP_PKTINFO of a datagram to `dst`. There is one interface, number 1."""
    return c.IPPROTO_IP, c.IP_PKTINFO, _PKTINFO.pack(1, local.to_bytes(4, "big"), dst.to_bytes(4, "big"))


def read(items: Sequence[Ancillary]) -> tuple[int, int, int]:
    """What a sender asks for one datagram: source address, ttl, tos; 0, 0, -1 for what it doesn't say. Raises OSError."""
    src, ttl, tos = 0, 0, -1
    for level, kind, data in items:
        data = bytes(data)
        if level == c.IPPROTO_IP and kind == c.IP_PKTINFO and len(data) >= _PKTINFO.size:
            src = int.from_bytes(_PKTINFO.unpack_from(data)[1], "big")
        elif level == c.IPPROTO_IP and kind in (c.IP_TTL, c.IP_TOS) and len(data) >= 1:
            value = _INT.unpack_from(data)[0] if len(data) >= 4 else data[0]
            if not 0 <= value <= 255 or (kind == c.IP_TTL and value == 0):
                raise failure(errno.EINVAL)
            if kind == c.IP_TTL:
                ttl = value
            else:
                tos = value
        else:
            raise failure(errno.EINVAL, f"ancillary data of level {level} and type {kind} is not known here")
    return src, ttl, tos
