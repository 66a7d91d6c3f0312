"""LZ4 blocks (lz4_Block_format.md): unpacked by a kernel, or before it, at the speed of copying.

Debian's kernels are packed in this form ("legacy frames": a magic number, then blocks of up to 8 MiB with their packed length in
front). Their blocks go into an image as they are, so nothing is packed here.
"""

from __future__ import annotations

from ..errors import WireError

MAGIC = b"\x02\x21\x4c\x18"
BLOCK = 8 << 20


def unpack_frame(data: bytes, at: int = 0) -> tuple[bytearray, list[bytes]]:
    """What a legacy frame at `at` holds, and its blocks as they are. Raises WireError."""
    if data[at : at + 4] != MAGIC:
        raise WireError("no legacy frame of LZ4")
    at += 4
    out, blocks = bytearray(), []
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        packed = data[at + 4 : at + 4 + size]
        if not size or len(packed) < size:
            break
        block = unpack(packed)
        blocks.append(packed)
        out += block
        at += 4 + size
        if len(block) < BLOCK:
            break
    return out, blocks


def unpack(data: bytes) -> bytearray:
    """One block, of at most 8 MiB. Raises WireError."""
    out, at, end = bytearray(), 0, len(data)
    try:
        while at < end:
            token = data[at]
            at += 1
            run = token >> 4
            if run == 15:
                run, at = _longer(data, at, run)
            if at + run > end:
                raise WireError("literals beyond the end of a block")
            out += data[at : at + run]
            at += run
            if at == end:
                return out
            back = data[at] | data[at + 1] << 8
            at += 2
            run = token & 15
            if run == 15:
                run, at = _longer(data, at, run)
            run += 4
            start = len(out) - back
            if back == 0 or start < 0 or len(out) + run > BLOCK:
                raise WireError("a match outside of its block")
            piece = out[start : start + run]
            out += piece if back >= run else (piece * (run // back + 1))[:run]
    except IndexError:
        raise WireError("a block that ends too early") from None
    return out


def _longer(data: bytes, at: int, run: int) -> tuple[int, int]:
    while data[at] == 255:
        run += 255
        at += 1
    return run + data[at], at + 1

