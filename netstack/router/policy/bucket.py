"""A token bucket: so much in a second, and so much at once. Time is an argument."""

from ...errors import UsageError

SECOND = 1_000_000_000
MOST = 1 << 32  # 34 Gbit/s
LEAST = 16384  # bytes at once of a limited flow: ten full segments, or a slow rate would cut what should be whole


class TokenBucket:
    """`rate` tokens a second, up to `burst` of them saved; None: an eighth of a second's, and not less than LEAST.

    Who takes more than there is goes into debt, and waits until it is paid: so a piece is never cut, and the mean is kept.
    """

    __slots__ = ("_at", "_level", "burst", "rate")

    def __init__(self, rate: int, burst: int | None = None, now: int = 0) -> None:
        if rate < 1 or (burst is not None and burst < 1):
            raise UsageError(f"a rate of {rate} with {burst} at once lets nothing through: both are 1 or more")
        if max(rate, burst or 0) > MOST:
            raise UsageError(
                f"{max(rate, burst or 0)} a second is more than can be counted: {MOST} is the most, or no limit at all"
            )
        self.rate = rate
        self.burst = max(rate // 8, LEAST) if burst is None else burst
        self._level = self.burst * SECOND  # in billionths of a token: no rounding, whatever the rate
        self._at = now

    def take(self, count: int, now: int) -> int:
        """Take `count` tokens, which are granted. How many nanoseconds to wait before the next are taken: 0, go on."""
        self._fill(now)
        self._level -= count * SECOND
        return 0 if self._level >= 0 else (self.rate - 1 - self._level) // self.rate

    def wait(self, now: int) -> int:
        """Nanoseconds until there is no debt."""
        self._fill(now)
        return 0 if self._level >= 0 else (self.rate - 1 - self._level) // self.rate

    def grab(self, count: int, now: int) -> bool:
        """Take `count` tokens if they are there, and none otherwise: for events that are refused and not delayed."""
        self._fill(now)
        if self._level < count * SECOND:
            return False
        self._level -= count * SECOND
        return True

    def full(self, now: int) -> bool:
        """Is nothing owed or spent? Then a new one would be the same."""
        self._fill(now)
        return self._level >= self.burst * SECOND

    def _fill(self, now: int) -> None:
        passed = now - self._at
        if passed > 0:  # two callers may have read the clock in another order than they come
            lacking = self.burst * SECOND - self._level
            self._level += lacking if passed > lacking // self.rate else passed * self.rate  # no product that 64 bits can't hold
            self._at = now


class Share:
    """What several flows may send together, `rate` bytes a second each way: `there`, from their guest, and `back`."""

    __slots__ = ("back", "there")

    def __init__(self, rate: int, now: int = 0) -> None:
        self.there = TokenBucket(rate, None, now)
        self.back = TokenBucket(rate, None, now)

    def full(self, now: int) -> bool:
        """Is nothing owed or spent, either way?"""
        return self.there.full(now) and self.back.full(now)
