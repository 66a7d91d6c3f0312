"""How many resets strangers get: a bucket of tokens for each address, more or less.

An answer to each forged segment makes us the weapon of a reflection, so one address gets RESETS_PER_SECOND and no more, whoever
asks in its name. What all addresses get together is not limited: an answer is no longer than its question, and a limit for all
is a side channel. With one bucket, whoever can send in V's name and also asks in his own learns whether V and we have a
connection: a guessed segment spends a token where there is none, and he counts how many are left for him (CVE-2016-5696
did so with challenge ACKs). Making each answer cost a random share, as is done for ICMP, helps against one question and not
against the same question a hundred times.

There are 256 buckets, not one for each address that a flood can name. Which one an address has depends on two secret numbers that
are drawn anew every few seconds, all buckets being full then: those who share a bucket with V, one in 256, can't know it and
have no time to find out. Challenge ACKs are limited for each connection, and TIME-WAIT's answers for each of them: they are
seen by nobody but the peer.
"""

from .. import const
from ..signatures import Rng

RESETS_PER_SECOND = 200  # a second's worth may be saved. FreeBSD answers 200 in all, Linux without limit
GAP = const.SECOND // RESETS_PER_SECOND
BUCKETS = 256
SHUFFLE = 4 * const.SECOND


class Resets:
    """`at` is each bucket, as an instant: the next token's, were none saved."""

    __slots__ = ("at", "odd", "rng", "salt", "shuffled")

    def __init__(self, rng: Rng) -> None:
        self.rng = rng
        self.at: list[int] = []
        self.odd = 1
        self.salt = 0
        self.shuffled = -SHUFFLE

    def take(self, address: int, now: int) -> bool:
        """May one more leave for `address`?"""
        if now - self.shuffled >= SHUFFLE or not self.at:
            self.shuffle(now)
        x = (address ^ address >> 32 ^ self.salt) & const.M32
        i = (x * self.odd & const.M32) >> 24
        at = self.at[i]
        if now - at > const.SECOND:
            at = now - const.SECOND
        if now - at < GAP:
            return False
        self.at[i] = at + GAP
        return True

    def shuffle(self, now: int) -> None:
        self.shuffled = now
        self.odd = self.rng.getrandbits(32) | 1
        self.salt = self.rng.getrandbits(32)
        self.at = [-const.SECOND] * BUCKETS
