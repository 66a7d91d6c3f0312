"""The functions of `raw`, callable from Python in both builds.

`raw` is a twin: compiled modules inline the C of raw.pxd, everybody else runs raw.py. This module compiled is the C; its pure
copy (`twins.load_pure`) is the Python. A test calls both on the same bytes.
"""

from .. import raw


def g8(b: bytearray, o: int) -> int:
    return raw.g8(b, o)


def g16(b: bytearray, o: int) -> int:
    return raw.g16(b, o)


def g32(b: bytearray, o: int) -> int:
    return raw.g32(b, o)


def p8(b: bytearray, o: int, v: int) -> None:
    raw.p8(b, o, v)


def p16(b: bytearray, o: int, v: int) -> None:
    raw.p16(b, o, v)


def p32(b: bytearray, o: int, v: int) -> None:
    raw.p32(b, o, v)


def pbytes(b: bytearray, o: int, v: bytes) -> None:
    raw.pbytes(b, o, v)


def take(b: bytearray, o: int, n: int) -> bytes:
    return raw.take(b, o, n)


def lowered(b: bytearray, o: int, n: int, more: int) -> bytes:
    return raw.lowered(b, o, n, more)


def view(b: bytearray, o: int, n: int) -> memoryview:
    return raw.view(b, o, n)


def copy_into(dst: memoryview, b: bytearray, o: int, n: int) -> int:
    return raw.copy_into(dst, b, o, n)


def fill(b: bytearray, o: int, data: bytes, at: int, n: int) -> None:
    raw.fill(b, o, data, at, n)


def same(b: bytearray, o: int, c: bytearray, p: int, n: int) -> bool:
    return raw.same(b, o, c, p, n)


def move(b: bytearray, o: int, c: bytearray, p: int, n: int) -> None:
    raw.move(b, o, c, p, n)


def piece(data: bytes, o: int, n: int) -> bytes:
    return raw.piece(data, o, n)


def size(data: bytes) -> int:
    return raw.size(data)


def behead(items: list[int], n: int) -> None:
    raw.behead(items, n)


def shared(b: bytearray) -> bool:
    return raw.shared(b)


def fold(s: int) -> int:
    return raw.fold(s)


def csum(b: bytearray, o: int, n: int, start: int) -> int:
    return raw.csum(b, o, n, start)


def csum_of(data: bytes, o: int, n: int, start: int) -> int:
    return raw.csum_of(data, o, n, start)


def get_eth(b: bytearray, o: int) -> tuple[int, int, int]:
    return raw.get_eth(b, o)


def put_eth(b: bytearray, o: int, dst: int, src: int, ethertype: int) -> None:
    raw.put_eth(b, o, dst, src, ethertype)


def get_ip4(b: bytearray, o: int) -> tuple[int, int, int, int, int, int, int, int, int]:
    return raw.get_ip4(b, o)


def get_tcp(b: bytearray, o: int) -> tuple[int, int, int, int, int]:
    return raw.get_tcp(b, o)


def get_udp(b: bytearray, o: int) -> tuple[int, int, int, int]:
    return raw.get_udp(b, o)


def put_udp(b: bytearray, o: int, sport: int, dport: int, length: int, check: int) -> None:
    raw.put_udp(b, o, sport, dport, length, check)


def put5(b: bytearray, o: int, v: int, w: int, x: int, y: int, z: int) -> None:
    raw.put5(b, o, v, w, x, y, z)


def first_from(bits: int, i: int) -> int:
    return raw.first_from(bits, i)


def set_bit(bits: int, i: int) -> int:
    return raw.set_bit(bits, i)


def clear_bit(bits: int, i: int) -> int:
    return raw.clear_bit(bits, i)
