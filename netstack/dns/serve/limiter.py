"""Response-rate limiting (RRL): who forges the address of a victim makes the victim's network get the answers. So each network gets
no more of one answer in a second than a cache in it could want.

An account is an instant, up to which all that was asked for is paid: each response moves it on by a second divided by the rate. Up
to one second beyond `now` a response is sent; what lies further is over the rate, is dropped or truncated, and moves the instant
all the same, as far as the window: who goes on is not served again after a second. That is BIND's balance of credits, told in time.

Accounts are found by a hash of network, kind and question, with a key: nobody can choose whose account he shares. They stand in
sets of four, where the one that is paid for the shortest time makes room: a flood of forged sources can't push out an account
that is in debt. No object is made for one.
"""

import ipaddress

from ... import const, raw
from ...errors import UsageError
from ...signatures import Rng
from ...siphash import SipHash
from .. import const as dc
from .limits import RateLimits


class Limiter:
    """Judges responses, just before they are sent. `over` counts those over their rate, `dropped` and `slipped` what became of
    them; with `log_only` both stay 0."""

    __slots__ = (
        "_accounts", "_costs", "_exempt", "_hash", "_high", "_log_only", "_low", "_sets", "_slip", "_window", "dropped", "over",
        "slipped",
    )  # fmt: skip

    def __init__(self, rates: RateLimits, rng: Rng) -> None:
        self._costs = [
            const.SECOND // rate if rate else 0
            for rate in (rates.responses, rates.referrals, rates.nodata, rates.nxdomains, rates.errors, rates.all)
        ]
        self._window = int(rates.window)
        self._slip = rates.slip
        self._log_only = rates.log_only
        self._low = const.M32 >> 32 - rates.ipv4_prefix << 32 - rates.ipv4_prefix
        self._high = const.M64 >> 64 - rates.ipv6_prefix << 64 - rates.ipv6_prefix
        self._exempt = []
        for text in rates.exempt:
            try:
                self._exempt.append(ipaddress.ip_network(text, strict=False))
            except ValueError:
                raise UsageError(f"{text!r} is not a network to exempt: write one like 10.79.0.0/24, or an address") from None
        self._sets = 1 << (max(rates.accounts, 64) * dc.ACCOUNT // dc.ACCOUNTS - 1).bit_length()
        self._accounts = bytearray(self._sets * dc.ACCOUNTS)
        self._hash = SipHash(rng.getrandbits(128).to_bytes(16, "big"))
        self.over = 0
        self.dropped = 0
        self.slipped = 0

    def judge(self, kind: int, question: int, high: int, low: int, six: bool, now: int) -> int:
        """SEND, DROP or SLIP, for a response of `kind` to `question`, a number that tells questions apart.

        The client's address is `low` of IPv4, `high` and `low`, 64 bits each, of IPv6 (`six`).
        """
        at = -1
        cost: int = self._costs[dc.ALL]
        if cost:
            at = self.charge(dc.ALL, 0, high, low, six, cost, now)
        worst = at
        cost = self._costs[kind]
        if cost:
            at = self.charge(kind, question if kind == dc.RESPONSES else 0, high, low, six, cost, now)
        if at < 0 and worst < 0:
            return dc.SEND
        if self._exempt and self.is_exempt(high, low, six):
            return dc.SEND
        self.over += 1
        if self._log_only:
            return dc.SEND
        if worst < 0 and self._slip:
            n = raw.g32(self._accounts, at + 4) + 1
            raw.p32(self._accounts, at + 4, n)
            if n % self._slip == 0:
                if kind == dc.ERRORS:
                    return dc.SEND  # there is nothing to come back for over TCP (BIND leaks these as well)
                self.slipped += 1
                return dc.SLIP
        self.dropped += 1
        return dc.DROP

    def charge(self, kind: int, question: int, high: int, low: int, six: bool, cost: int, now: int) -> int:
        """Book one response. Where its account is when it is over the rate; -1 when not."""
        b = self._accounts
        h = self._hash
        h.start()
        h.word(high & self._high if six else low & self._low)
        h.word(question)
        hashed = h.finish(kind << 1 | six)
        o = (hashed & self._sets - 1) * dc.ACCOUNTS
        tag = hashed >> 32
        found = -1
        oldest = o
        least = const.NEVER
        for at in range(o, o + dc.ACCOUNTS, dc.ACCOUNT):
            paid = raw.g32(b, at + 8) << 32 | raw.g32(b, at + 12)
            if raw.g32(b, at) == tag and paid:
                found = at
                break
            if paid < least:
                least = paid
                oldest = at
        if found < 0:
            found = oldest
            raw.p32(b, found, tag)
            raw.p32(b, found + 4, 0)
            paid = 0
        if paid < now:
            paid = now
        paid += cost
        over = paid > now + const.SECOND
        if paid > now + const.SECOND + self._window:
            paid = now + const.SECOND + self._window
        raw.p32(b, found + 8, paid >> 32)
        raw.p32(b, found + 12, paid & const.M32)
        return found if over else -1

    def is_exempt(self, high: int, low: int, six: bool) -> bool:
        text = high.to_bytes(8, "big") + low.to_bytes(8, "big") if six else low.to_bytes(4, "big")
        address = ipaddress.ip_address(text)
        for network in self._exempt:  # noqa: SIM110 (a generator can't be compiled here)
            if address in network:
                return True
        return False


def kind_of(flags: int, an: int) -> int:
    """Of a response with these flags and so many records in its answer section."""
    rcode = flags & 15
    if rcode:
        return dc.NXDOMAINS if rcode == 3 else dc.ERRORS
    if an:
        return dc.RESPONSES
    return dc.NODATA if flags & dc.AA else dc.REFERRALS
