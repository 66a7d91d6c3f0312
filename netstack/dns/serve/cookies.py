"""Server cookies (RFC 7873) in the form on which all servers of an address agree (RFC 9018): who has one was heard before, at the
address from which he says he comes.

    version 1   reserved   time of making, seconds   SipHash-2-4 of client's cookie, these eight octets, client's address
       1           3                4                                             8

Nothing is kept: each server that has the secret can tell. A cookie is good for an hour, and for five minutes before its time, since
clocks of servers differ. One that is older than half an hour is replaced (RFC 9018 4.3).

Secrets are rolled over without a client noticing, on any number of servers (RFC 9018 5): give all of them the new one as one that
is `also` good, then make it the first and keep the old one beside it for an hour, then drop that.
"""

from ... import const, raw
from ...errors import UsageError
from ...signatures import Rng
from ...siphash import SipHash
from .. import const as dc


class Cookies:
    """`secret`: 16 octets, with which cookies are made. `also`: others whose cookies are good. `required`: UDP queries of clients
    that do cookies are answered with BADCOOKIE until theirs is good (RFC 7873 5.2.3).

    A core knows no date: `set_clock` says how far it is ahead of `now`, and may say so again.
    """

    __slots__ = ("_ahead", "_keys", "_made", "option", "required")

    def __init__(self, secret: bytes, also: tuple[bytes, ...] = (), required: bool = False) -> None:
        self.required = required
        self.option = bytearray(dc.COOKIE_OPTION)
        raw.p32(self.option, 0, dc.COOKIE << 16 | dc.COOKIE_OPTION - 4)
        self._made = bytearray(32)
        self._ahead = 0
        self._keys: list[SipHash] = []
        self.roll(secret, also)

    @classmethod
    def random(cls, rng: Rng, required: bool = False) -> "Cookies":
        """With a secret of its own, for a server that stands alone."""
        return cls(rng.getrandbits(128).to_bytes(16, "big"), (), required)

    def roll(self, secret: bytes, also: tuple[bytes, ...] = ()) -> None:
        """Other secrets from now on."""
        if any(len(each) != 16 for each in (secret, *also)):
            raise UsageError("a secret of server cookies has 16 octets, 32 digits in hex (RFC 9018 5)")
        self._keys = [SipHash(each) for each in (secret, *also)]

    def set_clock(self, unix: int, now: int) -> None:
        """It is `unix` nanoseconds after 1970, and `now`."""
        self._ahead = unix - now

    def judge(self, b: bytearray, o: int, n: int, high: int, low: int, six: bool, now: int) -> int:
        """What the `n` octets of cookie at `o` of `b` are: STRANGER, or KNOWN where they are good. `option` is then what the
        answer has to carry.

        The client's address is `low` of IPv4, `high` and `low`, 64 bits each, of IPv6 (`six`).
        """
        t = (now + self._ahead) // const.SECOND & const.M32
        raw.move(self.option, 4, b, o, 8)
        if n == 24 and raw.g8(b, o + 8) == 1:
            made = raw.g32(b, o + 12)
            age = t - made & const.M32
            if age <= dc.COOKIE_LIFE or age > const.M32 - dc.COOKIE_EARLY:
                raw.move(self._made, 0, b, o, 16)
                raw.move(self.option, 12, b, o + 8, 16)
                if self.is_ours(0, high, low, six):
                    if dc.COOKIE_RENEW < age <= dc.COOKIE_LIFE:
                        self.make(t, high, low, six)
                    return dc.KNOWN
                for i in range(1, len(self._keys)):
                    if self.is_ours(i, high, low, six):
                        self.make(t, high, low, six)
                        return dc.KNOWN
        self.make(t, high, low, six)
        return dc.STRANGER

    def is_ours(self, i: int, high: int, low: int, six: bool) -> bool:
        """Whether the hash in `option` is that of secret `i`. The comparison takes as long whatever is wrong."""
        self.put_hash(i, high, low, six, self._made, 16)
        wrong = raw.g32(self._made, 16) ^ raw.g32(self.option, 20)
        return wrong | raw.g32(self._made, 20) ^ raw.g32(self.option, 24) == 0

    def make(self, t: int, high: int, low: int, six: bool) -> None:
        """A cookie for the client in `option`."""
        raw.p32(self.option, 12, 1 << 24)
        raw.p32(self.option, 16, t)
        raw.move(self._made, 0, self.option, 4, 16)
        self.put_hash(0, high, low, six, self.option, 20)

    def put_hash(self, i: int, high: int, low: int, six: bool, b: bytearray, o: int) -> None:
        """The hash of what is made so far, written to `b` at `o`."""
        key: SipHash = self._keys[i]
        key.start()
        key.word(little(raw.g32(self._made, 0), raw.g32(self._made, 4)))
        key.word(little(raw.g32(self._made, 8), raw.g32(self._made, 12)))
        if six:
            key.word(little(high >> 32, high & const.M32))
            key.word(little(low >> 32, low & const.M32))
            h = key.finish(little(0, 32))
        else:
            h = key.finish(little(low, 20))
        raw.p32(b, o, turned(h & const.M32))  # in little-endian order
        raw.p32(b, o + 4, turned(h >> 32))


def little(first: int, second: int) -> int:
    """The word of 64 bits whose octets, the lowest first, are those of `first` and `second`, the highest of each first."""
    return turned(first) | turned(second) << 32


def turned(v: int) -> int:
    """The octets of a word of 32 bits in reverse order."""
    return v >> 24 | v >> 8 & 0xFF00 | (v & 0xFF00) << 8 | (v & 0xFF) << 24
