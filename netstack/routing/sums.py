"""Checksums that change with what they sum (RFC 1624): nothing is summed anew, so damage done elsewhere stays seen."""

from .. import const, raw


def difference(old: int, new: int) -> int:
    """What must be added to a sum when a 32-bit word changes from `old` to `new`: ~m + m' for both halves (eqn. 3)."""
    if old == new:
        return 0
    return ((old >> 16) ^ const.M16) + (new >> 16) + ((old & const.M16) ^ const.M16) + (new & const.M16)


def patch(b: bytearray, o: int, change: int) -> int:
    """The checksum at `o` after what it sums has changed by `change`."""
    raw.p16(b, o, raw.fold((raw.g16(b, o) ^ const.M16) + change) ^ const.M16)
    return 0
