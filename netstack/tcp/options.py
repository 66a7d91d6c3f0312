"""TCP options (RFC 9293 3.2): parsed into one reused object, written straight into the header.

SACK blocks are written by sack.py.
"""

from .. import raw
from . import const as tc

END = 0
NOP = 1
MSS = 2
WSCALE = 3
SACK_PERMITTED = 4
SACK = 5
TIMESTAMPS = 8

MAX_WSCALE = 14  # RFC 7323 2.3: a larger one counts as 14


class Options:
    """What the options said. `mss` 0, `wscale`, `tsval` and `tsecr` -1: not there. The `sacks` blocks of a SACK option begin at
    `sack_at`."""

    __slots__ = ("mss", "sack_at", "sack_permitted", "sacks", "tsecr", "tsval", "wscale")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.mss = 0
        self.wscale = -1
        self.sack_permitted = False
        self.tsval = -1
        self.tsecr = -1
        self.sacks = 0
        self.sack_at = 0

    def parse(self, b: bytearray, o: int, end: int) -> bool:
        """Read the options in `b[o:end]`. False when one runs beyond the header or is shorter than its own two bytes: what came
        before it counts, the rest is not looked at (RFC 9293 3.1, MUST-7: no length may crash us).

        An option of a known kind with the wrong length is skipped, like one of an unknown kind.
        """
        self.clear()
        while o < end:
            kind = raw.g8(b, o)
            if kind == 0:
                return True
            if kind == 1:
                o += 1
                continue
            if o + 2 > end:
                return False
            n = raw.g8(b, o + 1)
            if n < 2 or o + n > end:
                return False
            if kind == 2 and n == 4:
                self.mss = raw.g16(b, o + 2)
            elif kind == 3 and n == 3:
                self.wscale = raw.g8(b, o + 2)
                if self.wscale > 14:
                    self.wscale = 14
            elif kind == 4 and n == 2:
                self.sack_permitted = True
            elif kind == 8 and n == 10:
                self.tsval = raw.g32(b, o + 2)
                self.tsecr = raw.g32(b, o + 6)
            elif kind == 5 and n & 7 == 2 and n > 2:
                self.sacks = (n - 2) >> 3
                self.sack_at = o + 2
            o += n
        return True


def put_syn(b: bytearray, end: int, mss: int, wscale: int, sack: bool, ts: bool, tsval: int, tsecr: int) -> int:
    """Write the options of a SYN so that they end at `end`; `wscale` -1, `sack` False and `ts` False leave theirs out.
    Returns how many bytes, a multiple of 4."""
    n = 4 + (12 if ts else 4 if sack else 0) + (4 if wscale >= 0 else 0)
    o = end - n
    raw.p32(b, o, 0x02040000 | mss)
    if ts:
        raw.p32(b, o + 4, 0x0402080A if sack else tc.TS_WORD)
        raw.p32(b, o + 8, tsval)
        raw.p32(b, o + 12, tsecr)
    elif sack:
        raw.p32(b, o + 4, 0x01010402)
    if wscale >= 0:
        raw.p32(b, end - 4, 0x01030300 | wscale)
    return n


def send_mss(announced: int, mtu: int) -> int:
    """The payload of our largest segment (RFC 9293 3.7.1), from the peer's option (0: none, or a zero that can't be meant) and
    the MTU."""
    mss = announced if announced else tc.DEFAULT_MSS
    if mss > mtu - tc.IP_TCP:
        mss = mtu - tc.IP_TCP
    return mss if mss > tc.MIN_MSS else tc.MIN_MSS
