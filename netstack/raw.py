"""The only room below the back ends that touches memory. A twin, never compiled: raw.pxd holds the same as inline C.

Write `from . import raw` in a `.py` and `cimport netstack.raw as raw` in its `.pxd`: compiled, `raw.g16(b, o)` is a few
machine instructions, pure it is the Python function. Every function checks its bounds and raises IndexError, in both builds;
layers check lengths first, so that none is ever seen. A differential test calls each pair on the same bytes.

`b` is a bytearray, `o` an offset, `n` a length. Fields are big-endian.
"""

import struct
from typing import Any

_G32 = struct.Struct("!I")
_TCP = struct.Struct("!IIIHH").unpack_from
_IP4 = struct.Struct("!BBHHHBBxxII").unpack_from
_WORDS5 = struct.Struct("!5I").pack_into
_ETH = struct.Struct("!6s6sH").pack_into
_UDP = struct.Struct("!HHHH")


def _check(b: bytearray, o: int, n: int) -> None:
    if o < 0 or n < 0 or o + n > len(b):
        raise IndexError("past the end")


def _plain(data: "bytes | bytearray | memoryview") -> "bytes | bytearray | memoryview":
    """Any contiguous buffer, counted in bytes: a view of an array of words counts words."""
    return data if isinstance(data, (bytes, bytearray)) else memoryview(data).cast("B")


def g8(b: bytearray, o: int) -> int:
    _check(b, o, 1)
    return b[o]


def g16(b: bytearray, o: int) -> int:
    _check(b, o, 2)
    return b[o] << 8 | b[o + 1]


def g32(b: bytearray, o: int) -> int:
    _check(b, o, 4)
    v: int = _G32.unpack_from(b, o)[0]
    return v


def p8(b: bytearray, o: int, v: int) -> None:
    _check(b, o, 1)
    b[o] = v & 0xFF


def p16(b: bytearray, o: int, v: int) -> None:
    _check(b, o, 2)
    b[o] = v >> 8 & 0xFF
    b[o + 1] = v & 0xFF


def p32(b: bytearray, o: int, v: int) -> None:
    _check(b, o, 4)
    _G32.pack_into(b, o, v & 0xFFFFFFFF)


def pbytes(b: bytearray, o: int, v: bytes) -> None:
    """Write `v` at `o`."""
    _check(b, o, len(v))
    b[o : o + len(v)] = v


def take(b: bytearray, o: int, n: int) -> bytes:
    """A copy of `n` bytes: one copy out of a slab."""
    _check(b, o, n)
    return bytes(memoryview(b)[o : o + n])


def lowered(b: bytearray, o: int, n: int, more: int) -> bytes:
    """A copy of `n + more` bytes, where A to Z among the first `n` became small: how names of the DNS compare (RFC 4343)."""
    _check(b, o, n)
    _check(b, o + n, more)
    return bytes(b[o : o + n].lower() + b[o + n : o + n + more])


def view(b: bytearray, o: int, n: int) -> memoryview:
    """`n` bytes without a copy. While it or a part of it lives, `shared(b)`."""
    _check(b, o, n)
    return memoryview(b)[o : o + n]


def copy_into(dst: memoryview, b: bytearray, o: int, n: int) -> int:
    """Copy into a buffer of the application's, as much as fits; returns how much that was."""
    _check(b, o, n)
    view = memoryview(dst).cast("B")
    k = min(n, len(view))
    view[:k] = memoryview(b)[o : o + k]
    return k


def fill(b: bytearray, o: int, data: "bytes | bytearray | memoryview", at: int, n: int) -> None:
    """Copy `n` bytes of `data` (any buffer), from `at`, into `b` at `o`."""
    _check(b, o, n)
    view = memoryview(_plain(data))
    if at < 0 or at + n > len(view):
        raise IndexError("past the end")
    b[o : o + n] = view[at : at + n]


def same(b: bytearray, o: int, c: bytearray, p: int, n: int) -> bool:
    """Are `n` bytes of `b` from `o` those of `c` from `p`?"""
    _check(b, o, n)
    _check(c, p, n)
    return b[o : o + n] == c[p : p + n]


def move(b: bytearray, o: int, c: bytearray, p: int, n: int) -> None:
    """Copy `n` bytes of `c` from `p` into `b` at `o`."""
    _check(b, o, n)
    _check(c, p, n)
    b[o : o + n] = c[p : p + n]


def piece(data: "bytes | bytearray | memoryview", o: int, n: int) -> bytes:
    """`n` bytes of any buffer, from `o`, as bytes; the object itself when that is all of it."""
    view = _plain(data)
    if o < 0 or n < 0 or o + n > len(view):
        raise IndexError("past the end")
    if n == len(view) and type(data) is bytes:
        return data
    return bytes(memoryview(view)[o : o + n])


def size(data: "bytes | bytearray | memoryview") -> int:
    """Length in bytes of any contiguous buffer."""
    return len(_plain(data))


def behead(items: list[Any], n: int) -> None:
    """Remove the first `n` of `items`: a slice without the objects that Python would make for it."""
    del items[:n]


def shared(b: bytearray) -> bool:
    """Is there a view of it? A bytearray with exports refuses to be resized."""
    try:
        b.append(0)
    except BufferError:
        return True
    b.pop()
    return False


def fold(s: int) -> int:
    """A ones'-complement sum, its carries added back until 16 bits are left."""
    while s > 0xFFFF:
        s = (s & 0xFFFF) + (s >> 16)
    return s


def csum(b: bytearray, o: int, n: int, start: int) -> int:
    """RFC 1071 sum of `n` bytes, added to `start`, folded and *not* inverted. An odd last byte counts as its word's first.

    The sum of anything but zeros is never 0: `% 0xFFFF` alone would give 0 where the additions give 0xFFFF, and drop every
    good packet.
    """
    _check(b, o, n)
    v = int.from_bytes(b[o : o + n] + (b"\0" if n & 1 else b""), "big")
    return fold(start + ((v % 0xFFFF or 0xFFFF) if v else 0))


def csum_of(data: "bytes | bytearray | memoryview", o: int, n: int, start: int) -> int:
    """`csum` over any buffer."""
    view = _plain(data)
    if o < 0 or n < 0 or o + n > len(view):
        raise IndexError("past the end")
    v = int.from_bytes(bytes(memoryview(view)[o : o + n]) + (b"\0" if n & 1 else b""), "big")
    return fold(start + ((v % 0xFFFF or 0xFFFF) if v else 0))


def get_eth(b: bytearray, o: int) -> tuple[int, int, int]:
    """Destination and source as 48-bit ints, and the EtherType: 14 bytes at `o`."""
    _check(b, o, 14)
    return int.from_bytes(b[o : o + 6], "big"), int.from_bytes(b[o + 6 : o + 12], "big"), b[o + 12] << 8 | b[o + 13]


def put_eth(b: bytearray, o: int, dst: int, src: int, ethertype: int) -> None:
    """14 bytes at `o`; addresses are 48-bit ints."""
    _check(b, o, 14)
    _ETH(b, o, dst.to_bytes(6, "big"), src.to_bytes(6, "big"), ethertype)


def get_ip4(b: bytearray, o: int) -> tuple[int, int, int, int, int, int, int, int, int]:
    """The fixed 20 bytes: version and IHL, TOS, total length, id, flags and offset, TTL, protocol, source, destination."""
    _check(b, o, 20)
    t: tuple[int, int, int, int, int, int, int, int, int] = _IP4(b, o)
    return t


def get_tcp(b: bytearray, o: int) -> tuple[int, int, int, int, int]:
    """The first 16 bytes: both ports as one word, sequence, acknowledgement, offset and flags, window."""
    _check(b, o, 16)
    t: tuple[int, int, int, int, int] = _TCP(b, o)
    return t


def get_udp(b: bytearray, o: int) -> tuple[int, int, int, int]:
    """Source port, destination port, length, checksum: 8 bytes."""
    _check(b, o, 8)
    t: tuple[int, int, int, int] = _UDP.unpack_from(b, o)
    return t


def put_udp(b: bytearray, o: int, sport: int, dport: int, length: int, check: int) -> None:
    """8 bytes at `o`."""
    _check(b, o, 8)
    _UDP.pack_into(b, o, sport, dport, length, check)


def put5(b: bytearray, o: int, v: int, w: int, x: int, y: int, z: int) -> None:
    """Five 32-bit words: an IPv4 or a TCP header without options, written whole."""
    _check(b, o, 20)
    _WORDS5(b, o, v, w, x, y, z)


def first_from(bits: int, i: int) -> int:
    """How far the first set bit of a circle of 64 is from position `i`, going up; -1 when none is set."""
    if not bits:
        return -1
    turned = (bits >> i | bits << (64 - i)) & 0xFFFFFFFFFFFFFFFF
    return (turned & -turned).bit_length() - 1


def set_bit(bits: int, i: int) -> int:
    """A circle of 64 with bit `i` set."""
    return bits | 1 << i


def clear_bit(bits: int, i: int) -> int:
    """A circle of 64 with bit `i` cleared."""
    return bits & ~(1 << i)
