"""Arithmetic modulo 2**32 (RFC 9293 3.4, RFC 1982).

Sequence numbers lie on a circle: `a` is before `b` when going forward from `a` reaches `b` within half a turn. Ordinary
`<` and `max` on them are wrong, quietly, once in four gigabytes. Every comparison of sequence numbers is one of these.
"""

from . import const


def lt(a: int, b: int) -> bool:
    """a < b on the circle."""
    return ((a - b) & const.M32) > const.M31


def le(a: int, b: int) -> bool:
    """a <= b on the circle."""
    return ((b - a) & const.M32) <= const.M31


def add(a: int, n: int) -> int:
    """a + n; `n` may be negative."""
    return (a + n) & const.M32


def sub(a: int, b: int) -> int:
    """How far `b` is behind `a`, 0 .. 2**32 - 1."""
    return (a - b) & const.M32


def between(a: int, b: int, c: int) -> bool:
    """a <= b < c going forward from `a`; nothing is between when a == c."""
    return ((b - a) & const.M32) < ((c - a) & const.M32)


def latest(a: int, b: int) -> int:
    """The later of two that are within half a turn of each other."""
    return b if ((a - b) & const.M32) > const.M31 else a
