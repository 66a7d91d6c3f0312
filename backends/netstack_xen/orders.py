"""Orders of `Hypervisor.copy` in the bytearray that carries them. A twin, never compiled: orders.pxd is its C.

The `k`th stands at 16 * k, in the layout of hypervisor.ORDER.
"""

import sys

from .hypervisor import COPIED, ORDER

PAGE = 4096
INTO_PAGE = 0x8000

_STATUS_AT = 14


def put(b: bytearray, k: int, ref: int, offset: int, length: int, place: int, which: int) -> None:
    """Write an order that is not carried out yet."""
    if k < 0 or 16 * k + 16 > len(b):
        raise IndexError("past the end")
    ORDER.pack_into(b, 16 * k, ref & 0xFFFFFFFF, offset & 0xFFFF, length & 0xFFFF, place & 0xFFFFFFFF, which & 0xFFFF, COPIED)


def get(b: bytearray, k: int) -> tuple[int, int, int, int, int]:
    """Reference, offset, length, place, and which."""
    if k < 0 or 16 * k + 16 > len(b):
        raise IndexError("past the end")
    ref, offset, length, place, which, _ = ORDER.unpack_from(b, 16 * k)
    return ref, offset, length, place, which


def answer(b: bytearray, k: int, status: int) -> None:
    """How it went."""
    if k < 0 or 16 * k + 16 > len(b):
        raise IndexError("past the end")
    b[16 * k + _STATUS_AT : 16 * k + 16] = status.to_bytes(2, sys.byteorder, signed=True)


def settle(b: bytearray, k: int, count: int, length: int) -> None:
    """The first of `count` orders from `k` has `length` bytes, so that the places of the others are by so much further on."""
    if k < 0 or count < 1 or 16 * (k + count) > len(b):
        raise IndexError("past the end")
    ref, offset, _, place, which, status = ORDER.unpack_from(b, 16 * k)
    ORDER.pack_into(b, 16 * k, ref, offset, length & 0xFFFF, place, which, status)
    for i in range(k + 1, k + count):
        ref, offset, n, place, which, status = ORDER.unpack_from(b, 16 * i)
        ORDER.pack_into(b, 16 * i, ref, offset, n, (place + length) & 0xFFFFFFFF, which, status)


def failed(b: bytearray, k: int, count: int) -> int:
    """Which of `count` orders from `k` is the first whose status is not COPIED; -1 when all are."""
    if k < 0 or 16 * (k + count) > len(b):
        raise IndexError("past the end")
    for i in range(k, k + count):
        if b[16 * i + _STATUS_AT] or b[16 * i + _STATUS_AT + 1]:
            return i
    return -1
