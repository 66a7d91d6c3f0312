"""Claiming an address of one's own, and keeping it: RFC 5227, as a machine that does no input and no output.

    PROBING     'has anybody this address?', three times            the address must not be used, not even answered for
    WAITING     the last probe may still be answered                the same
    ANNOUNCING  'it is mine', twice                                 in use
    OWNED                                                           in use
    LOST        somebody else has it                                never again

A claim that does not probe begins at ANNOUNCING.
"""

import enum

from ..signatures import Rng

# RFC 5227 1.1, in ns where they are times
SECOND = 1_000_000_000
PROBE_WAIT = 1 * SECOND  # at most, before the first probe: machines that boot together shall not probe together
PROBE_NUM = 3
PROBE_MIN = 1 * SECOND
PROBE_MAX = 2 * SECOND
ANNOUNCE_WAIT = 2 * SECOND
ANNOUNCE_NUM = 2
ANNOUNCE_INTERVAL = 2 * SECOND
MAX_CONFLICTS = 10  # after so many, probing slows down
RATE_LIMIT_INTERVAL = 60 * SECOND  # to one address in this time
DEFEND_INTERVAL = 10 * SECOND

NEVER = 0x7FFFFFFFFFFFFFFF


class ClaimState(enum.Enum):
    PROBING = "probing"
    WAITING = "waiting"
    ANNOUNCING = "announcing"
    OWNED = "owned"
    LOST = "lost"


class ClaimAction(enum.Enum):
    """What the caller must do."""

    NOTHING = enum.auto()
    PROBE = enum.auto()
    READY = enum.auto()  # announce it; it may be used from now on
    ANNOUNCE = enum.auto()
    DEFEND = enum.auto()  # announce it
    LOSE = enum.auto()  # stop using it at once


class Claim:
    """One address. After each event, `deadline` is the instant of the next `timeout`, or NEVER."""

    __slots__ = ("announced", "deadline", "defended", "ip", "keep", "probed", "rng", "state")

    def __init__(self, ip: int, rng: Rng, keep: bool) -> None:
        self.ip = ip
        self.rng = rng
        self.keep = keep
        self.state = ClaimState.PROBING
        self.deadline = NEVER
        self.probed = 0
        self.announced = 0
        self.defended: int | None = None  # when the last conflict was met

    @property
    def usable(self) -> bool:
        return self.state is ClaimState.ANNOUNCING or self.state is ClaimState.OWNED

    @property
    def tentative(self) -> bool:
        return self.state is ClaimState.PROBING or self.state is ClaimState.WAITING

    def probe(self, now: int) -> None:
        """Begin by asking."""
        self.deadline = now + self.between(0, PROBE_WAIT)

    def announce(self, now: int) -> ClaimAction:
        """It is ours: say so, and once more later."""
        first = self.announced == 0
        self.announced += 1
        if self.announced < ANNOUNCE_NUM:
            self.state = ClaimState.ANNOUNCING
            self.deadline = now + ANNOUNCE_INTERVAL
        else:
            self.state = ClaimState.OWNED
            self.deadline = NEVER
        return ClaimAction.READY if first else ClaimAction.ANNOUNCE

    def timeout(self, now: int) -> ClaimAction:
        """`deadline` has passed."""
        if self.state is ClaimState.PROBING:
            self.probed += 1
            if self.probed < PROBE_NUM:
                self.deadline = now + self.between(PROBE_MIN, PROBE_MAX)
            else:
                self.state = ClaimState.WAITING
                self.deadline = now + ANNOUNCE_WAIT
            return ClaimAction.PROBE
        if self.state is ClaimState.WAITING or self.state is ClaimState.ANNOUNCING:
            return self.announce(now)
        return ClaimAction.NOTHING

    def conflict(self, now: int) -> ClaimAction:
        """Another host uses the address, or probes for it as we do.

        RFC 5227 2.4: in use, it is defended at most once in DEFEND_INTERVAL. The next conflict within that time costs us the
        address (b), or is passed over when we are to `keep` it (c).
        """
        if self.state is ClaimState.LOST:
            return ClaimAction.NOTHING
        if self.tentative:
            return self.lose()
        if self.defended is not None and now - self.defended < DEFEND_INTERVAL:
            return ClaimAction.NOTHING if self.keep else self.lose()
        self.defended = now
        return ClaimAction.DEFEND

    def lose(self) -> ClaimAction:
        self.state = ClaimState.LOST
        self.deadline = NEVER
        return ClaimAction.LOSE

    def between(self, low: int, high: int) -> int:
        """A random duration, uniform to a part in 2**32."""
        return low + (self.rng.getrandbits(32) * (high - low) >> 32)
