"""ARP over any link that has Ethernet addresses: the generic face of `arp_core.ArpCore`."""

import enum
from typing import Generic, TypeVar

from .. import const
from ..address import Ip4, Mac, ip4_text
from ..cores import NextHopCore
from ..errors import UsageError
from ..instant import SECOND, Duration, Instant
from ..records import frozen
from ..signatures import Link, Rng
from ..timers import Timers
from .arp_core import ArpCore, is_host
from .mib import ArpMib

E_co = TypeVar("E_co", bound=Link, covariant=True)


@frozen
class ArpConfig:
    """How neighbours age, and how our addresses are kept."""

    reachable: Duration = Duration(30 * SECOND)
    """How long a confirmed neighbour is believed without being asked, on average (RFC 4861 10)."""

    keep_defending: bool = True
    """Our addresses are defended for ever (RFC 5227 2.4 (c)). With False a second conflict within ten seconds costs us the
    address (b): polite where addresses are picked by chance, but two forged packets then take a server down."""

    def __post_init__(self) -> None:
        if self.reachable <= 0:
            raise UsageError(f"reachable is {self.reachable} ns: give a duration above 0, like 30 * SECOND")


class NeighbourState(enum.IntEnum):
    """States of neighbour unreachability detection (RFC 4861 7.3.2), and two of Linux's."""

    INCOMPLETE = const.NUD_INCOMPLETE
    REACHABLE = const.NUD_REACHABLE
    STALE = const.NUD_STALE
    DELAY = const.NUD_DELAY
    PROBE = const.NUD_PROBE
    FAILED = const.NUD_FAILED
    PERMANENT = const.NUD_PERMANENT


@frozen
class ArpEntry:
    """A line of the table."""

    ip: Ip4
    mac: Mac | None
    state: NeighbourState
    waiting: int
    """Packets that wait for it to be found."""

    confirmed: Instant | None
    """When it last proved to be there. REACHABLE ages into STALE at the first packet after its time."""

    def __str__(self) -> str:
        return f"{self.ip} {self.mac or '(unknown)'} {self.state.name}"


class Arp(ArpCore, Generic[E_co]):
    """A `signatures.NextHop` over Ethernet. Raises UsageError for a link without addresses, which resolves by itself.

    Four attributes may be set to functions, which are called from inside `timers.run` and the input of frames:

        on_unreachable(next_hop, packet, now)   an IP packet, as bytes, was dropped because nobody answers for `next_hop`
        on_conflict(ip, mac, now)               `mac` uses our address; at most once in ten seconds for each address
        on_lost(ip, mac, now)                   the address is no longer ours: it was taken when we probed, or we gave it up
        on_ready(ip, now)                       nobody has the address that we probed for: it may be used from now on
    """

    __slots__ = ("_config", "_link")

    def __init__(self, link: E_co, timers: Timers, rng: Rng, config: ArpConfig | None = None, now: int = 0) -> None:
        if link.mac is None:
            raise UsageError("this link has no addresses to resolve: give its own next_hop to the internet layer in place of Arp")
        self._link = link
        self._config = config or ArpConfig()
        # RFC 4861 6.3.2: from half to one and a half of it, so that hosts that boot together don't ask together ever after
        reachable = self._config.reachable // 2 + (rng.getrandbits(32) * self._config.reachable >> 32)
        super().__init__(link.core, int(link.mac), timers, rng, reachable, self._config.keep_defending, now)
        link.attach(const.ETH_ARP, self.rx)

    @property
    def core(self) -> NextHopCore:
        return self

    @property
    def link(self) -> E_co:
        return self._link

    @property
    def config(self) -> ArpConfig:
        return self._config

    @property
    def mib(self) -> ArpMib:
        return self._mib

    def add_address(self, ip: int, now: Instant | int, probe: bool = False) -> None:
        """Be `ip` on this link. It is announced and usable at once; with `probe`, only after four to seven seconds in which
        nobody else claimed it (RFC 5227 2.1), when `on_ready` is called; until then it is tentative, and `on_lost` is called
        if somebody has it. Raises UsageError for an address that no host can have, or that is ours already."""
        self.claim(ip, now, probe)

    def remove_address(self, ip: int) -> None:
        """No longer answer for `ip`. Raises UsageError when it is not ours."""
        self.disclaim(ip)

    def add_static(self, ip: int, mac: int | Mac, now: Instant | int = 0) -> None:
        """Pin a neighbour: nothing that arrives changes it, and it is never asked. Raises UsageError."""
        if not is_host(ip):
            raise UsageError(f"{ip4_text(ip)} can't be a neighbour's address: take one below 224.0.0.0, outside 0/8 and 127/8")
        if Mac(int(mac)).is_group or not int(mac):
            raise UsageError(f"{Mac(int(mac))} can't be a neighbour's link address: take a unicast one like 02:00:00:00:00:01")
        self.pin(ip, int(mac), now)

    def remove_static(self, ip: int) -> None:
        """Forget a pinned neighbour. Raises UsageError when `ip` has no static entry."""
        self.unpin(ip)

    def add_heard(self, ip: int, mac: int | Mac, now: Instant | int) -> None:
        """As if this neighbour had just spoken to us: for who knows it by other means, as a DHCP server its client, which doesn't
        answer for its address yet. It ages as others do. Raises UsageError."""
        if not is_host(ip) or Mac(int(mac)).is_group or not int(mac):
            raise UsageError(f"{ip4_text(ip)} at {Mac(int(mac))} can't be a neighbour: take addresses of a single host")
        self.learn(ip, int(mac), now)

    def table(self) -> list[ArpEntry]:
        """The neighbours, in the order of their addresses."""
        return [
            ArpEntry(
                Ip4(ip),
                Mac(n.mac) if n.state not in (const.NUD_INCOMPLETE, const.NUD_FAILED) else None,
                NeighbourState(n.state),
                len(n.queue),
                None if n.confirmed == const.NEVER else Instant(n.confirmed),
            )
            for ip, n in sorted(self.cache.table.items())
        ]
