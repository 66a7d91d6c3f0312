"""What response-rate limiting is told."""

from attrs import field, frozen
from attrs.validators import ge, in_, instance_of, le

from ...instant import SECOND, Duration


def _rate() -> int:
    made: int = field(default=0, validator=[instance_of(int), ge(0), le(1_000_000)])
    return made


@frozen
class RateLimits:
    """Responses a second that one network gets, of each kind; 0: as many as it asks for. The names are BIND's.

    A network over its rate is served again when it has asked less for a while: what it is denied counts too, up to `window`.
    """

    # the same answer, to the same question: who remembers what he was told needs it once in a TTL. BIND's manual suggests 5 to 15
    responses: int = _rate()
    referrals: int = _rate()
    nodata: int = _rate()
    # of all names together: names that don't exist are what floods are made of
    nxdomains: int = _rate()
    # REFUSED, SERVFAIL, FORMERR and the like
    errors: int = _rate()
    # all of these together, and without truncated ones
    all: int = _rate()
    window: Duration = field(default=Duration(15 * SECOND), validator=[ge(SECOND), le(Duration(3600 * SECOND))])
    # every so many-th that is over the rate is sent truncated, so that an honest client comes again over TCP, and gets through;
    # 0: none, 1: all. 2 is everybody's: a forger gets half of what he sends, and a client in the shadow of his an answer soon
    slip: int = field(default=2, validator=[ge(0), le(10)])
    # whom a network's own servers are taken for: who can forge one address of it can forge all
    ipv4_prefix: int = field(default=24, validator=[ge(1), le(32)])
    ipv6_prefix: int = field(default=56, validator=[ge(1), le(64)])
    # networks that are never limited
    exempt: tuple[str, ...] = ()
    # count, and send all the same: to choose the rates
    log_only: bool = field(default=False, validator=in_((True, False)))
    # accounts, 16 octets each. A flood with forged sources takes as many as there are: those that were used longest ago make room,
    # so the account of a victim, which is used all the time, stays
    accounts: int = field(default=65_536, validator=[ge(64), le(1 << 24)])
