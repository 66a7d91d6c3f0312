"""What the receiver tells of the bytes that came out of order: SACK blocks (RFC 2018) and D-SACK (RFC 2883).

The blocks are kept beside the reassembly queue, not computed from it: a queue may hold hundreds of pieces, an ACK has room for four
blocks, and one goes out for each segment out of order. What the list forgets is still queued, and only not told of any more.
"""

from .. import raw, serial

KEPT = 6  # blocks. Four fit into a header; two more stand in when those have been filled or joined


class Sacks:
    """Blocks in the order in which they are told: the one that grew last comes first (RFC 2018 4)."""

    __slots__ = ("blocks", "due", "dup_end", "dup_seq")

    def __init__(self) -> None:
        self.blocks: list[int] = []  # begin, end, begin, end …: ends are exclusive
        self.due = False  # there is something to tell
        self.dup_seq = 0
        self.dup_end = 0  # a duplicate that the next ACK reports, when it is not dup_seq

    def add(self, seq: int, end: int) -> None:
        """`seq` to `end` has come and was queued."""
        old = self.blocks
        rest: list[int] = []
        i = 0
        while i < len(old):
            a = old[i]
            b = old[i + 1]
            if serial.lt(b, seq) or serial.lt(end, a):
                rest.append(a)
                rest.append(b)
            else:  # overlaps, or touches
                if serial.lt(a, seq):
                    seq = a
                if serial.lt(end, b):
                    end = b
            i += 2
        del rest[2 * (KEPT - 1) :]
        self.blocks = [seq, end, *rest]
        self.due = True

    def duplicate(self, seq: int, end: int) -> None:
        """`seq` to `end` has come again: the next ACK says so, once (RFC 2883 4)."""
        self.dup_seq = seq
        self.dup_end = end
        self.due = True

    def advance(self, rcv_nxt: int) -> None:
        """What lies before RCV.NXT needs no block any more."""
        old = self.blocks
        rest: list[int] = []
        i = 0
        while i < len(old):
            if serial.lt(rcv_nxt, old[i + 1]):
                rest.append(old[i])
                rest.append(old[i + 1])
            i += 2
        self.blocks = rest
        self.due = len(rest) > 0 or self.dup_seq != self.dup_end

    def put(self, b: bytearray, end: int, most: int) -> int:
        """Write the option, of at most `most` blocks, so that it ends at `end`. Returns how many bytes: a multiple of 4."""
        blocks = self.blocks
        dup = 1 if self.dup_seq != self.dup_end else 0
        n = dup + len(blocks) // 2
        if n > most:
            n = most
        size = 4 + 8 * n
        o = end - size
        raw.p32(b, o, 0x01010502 + 8 * n)  # NOP NOP SACK, and the length of the option
        o += 4
        if dup:  # the first block, whether or not it lies beyond the acknowledgement
            raw.p32(b, o, self.dup_seq)
            raw.p32(b, o + 4, self.dup_end)
            o += 8
            self.dup_seq = self.dup_end
            self.due = len(blocks) > 0
        i = 0
        while o < end:
            raw.p32(b, o, blocks[i])
            o += 4
            i += 1
        return size
