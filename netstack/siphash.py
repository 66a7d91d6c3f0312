"""SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash of short messages that nobody can steer who lacks the key.

It is fed by words of 64 bits, the octets of a message in little-endian order; the last word has its length as the highest octet.
`& const.M64` is for Python: C has no more bits.
"""

from . import const
from .errors import UsageError


class SipHash:
    """With a key of 16 octets. Reused: `start`, `word` for each, `finish` with the last."""

    __slots__ = ("k0", "k1", "v0", "v1", "v2", "v3")

    def __init__(self, key: bytes) -> None:
        if len(key) != 16:
            raise UsageError(f"a key of {len(key)} octets: SipHash takes 16")
        self.k0 = int.from_bytes(key[:8], "little")
        self.k1 = int.from_bytes(key[8:], "little")
        self.start()

    def start(self) -> None:
        self.v0 = self.k0 ^ const.SIP0
        self.v1 = self.k1 ^ const.SIP1
        self.v2 = self.k0 ^ const.SIP2
        self.v3 = self.k1 ^ const.SIP3

    def word(self, m: int) -> None:
        self.v3 ^= m
        self.rounds(2)
        self.v0 ^= m

    def finish(self, m: int) -> int:
        """With the last word; the hash, whose octets are in little-endian order too."""
        self.word(m)
        self.v2 ^= 0xFF
        self.rounds(4)
        return self.v0 ^ self.v1 ^ self.v2 ^ self.v3

    def rounds(self, n: int) -> None:
        a = self.v0
        b = self.v1
        c = self.v2
        d = self.v3
        while n > 0:
            n -= 1
            a = (a + b) & const.M64
            c = (c + d) & const.M64
            b = (b << 13 | b >> 51) & const.M64 ^ a
            d = (d << 16 | d >> 48) & const.M64 ^ c
            a = (a << 32 | a >> 32) & const.M64
            c = (c + b) & const.M64
            a = (a + d) & const.M64
            b = (b << 17 | b >> 47) & const.M64 ^ c
            d = (d << 21 | d >> 43) & const.M64 ^ a
            c = (c << 32 | c >> 32) & const.M64
        self.v0 = a
        self.v1 = b
        self.v2 = c
        self.v3 = d

    def of(self, message: bytes) -> int:
        """The hash of a whole message."""
        self.start()
        n = len(message)
        for o in range(0, n - 7, 8):
            self.word(int.from_bytes(message[o : o + 8], "little"))
        rest = message[n & ~7 :] + bytes(7 - (n & 7)) + bytes((n & 0xFF,))
        return self.finish(int.from_bytes(rest, "little"))
