"""Who has which address: the table of a server.

An address is *free*; *offered* to one client for some seconds; *bound* until its lease ends; or *set aside*, since a client
declined it or somebody answered for it. When an offer or a lease ends, the address keeps the memory of its client, who gets it
again as long as nobody else needed it (RFC 2131 4.3.1): among free addresses those go first that nobody ever had, then those that
were unused for longest.

**What a guest can make grow.** Clients name themselves, so a guest can be as many clients as it likes, and take every address
there is (the starvation of which `dhcpstarv` and Yersinia live). The table is no larger than the pool, and of that a guest has
`limit` entries at most, offered, bound and set aside together; beyond them its own oldest offer makes room, and a bound lease
never does. The memory of what has ended is not counted, and goes first.

Clients are told apart within their guest only: whoever copies another guest's hardware address or client identifier is another
client, and can neither end nor renew that one's lease. As long as that guest is there: some are called by the order in which they
came, and come again under another name. What such a one had is its client's, by link address and identifier (`adopt`).
"""

from __future__ import annotations

import enum
import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping

from attrs import frozen

from ..address import Ip4, Mac
from ..errors import UsageError
from ..instant import NEVER, Duration, Instant

Key = tuple[str, bytes]  # guest, client
NO_TIME = Duration(0)


class State(enum.Enum):
    OFFERED = "offered"
    BOUND = "bound"
    ASIDE = "aside"
    FREE = "free"  # with the memory of its last client


class Lease:
    """One address. `until` is when the state ends."""

    __slots__ = ("address", "client", "guest", "hostname", "mac", "since", "state", "static", "until")

    def __init__(self, address: int, client: bytes, guest: str, static: bool = False) -> None:
        self.address = address
        self.client = client
        self.guest = guest
        self.static = static
        self.mac: Mac | None = None
        self.hostname = ""
        self.state = State.FREE
        self.since = Instant(0)
        self.until = Instant(0)

    @property
    def key(self) -> Key:
        return self.guest, self.client

    def __repr__(self) -> str:
        return f"<Lease {Ip4(self.address)} {self.mac} {self.hostname} {self.state.value}>"


@frozen
class Kept:
    """A lease as it outlives its server: `left` is how long it still has; `client` in hexadecimal."""

    address: str
    client: str
    guest: str = ""
    mac: str = ""
    hostname: str = ""
    left: Duration = NO_TIME


class Leases:
    """The addresses from `first` to `last`, without those of `reserved`. `limit`: entries of one guest."""

    def __init__(self, first: int, last: int, reserved: Iterable[int], limit: int) -> None:
        self.first = first
        self.last = last
        self.reserved = frozenset(reserved)
        self.limit = limit
        self.by_address: dict[int, Lease] = {}
        self.by_client: dict[Key, Lease] = {}
        self._last: dict[bytes, Lease] = {}  # by client, whatever its guest is called: what it got last
        self._free: dict[int, Lease] = {}  # that somebody had, the one that was free for longest first
        self._fresh = first  # nobody ever had this one and those above, but for what was restored or asked for by its number
        self._held: dict[str, dict[int, Lease]] = {}  # by guest: what counts against its limit
        self._names: dict[str, Lease] = {}
        self._heap: list[tuple[int, int]] = []
        self._soonest: dict[int, int] = {}  # by address: the first of its entries in the heap

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))

    def __iter__(self) -> Iterator[Lease]:
        """Those that are bound, by address."""
        return iter(sorted((each for each in self.by_address.values() if each.state is State.BOUND), key=lambda each: each.address))

    def in_pool(self, address: int) -> bool:
        return self.first <= address <= self.last and address not in self.reserved

    def named(self, hostname: str) -> Lease | None:
        """Who goes by this name: the first that took it, as long as its lease lasts."""
        return self._names.get(hostname)

    def held(self, guest: str) -> int:
        return len(self._held.get(guest, ()))

    def of(self, key: Key) -> Lease | None:
        """What this client has, or had last."""
        return self.by_client.get(key)

    def adopt(self, key: Key, mac: Mac | None, there: Callable[[str], bool]) -> None:
        """If this client has nothing, and had something as a guest that isn't there any more: now it is this one's."""
        guest, client = key
        lease = self._last.get(client)
        if lease is None or lease.guest == guest or lease.mac is None or lease.mac != mac or key in self.by_client:
            return
        free = lease.state is State.FREE
        if there(lease.guest) or not (free or self.has_room(guest)):
            return
        del self.by_client[lease.key]
        if not free:
            self._uncount(lease)
        lease.guest = guest
        self.by_client[key] = lease
        if not free:
            self._held.setdefault(guest, {})[lease.address] = lease

    # -- taking ---------------------------------------------------------------------------------------------------------------

    def has_room(self, guest: str) -> bool:
        """May this guest have one more? Its oldest offer is taken back for it."""
        held = self._held.get(guest, {})
        if len(held) < self.limit:
            return True
        oldest = next((each for each in held.values() if each.state is State.OFFERED), None)
        if oldest is None:
            return False
        self.free(oldest)
        return True

    def free_address(self, wanted: int | None) -> int | None:
        """`wanted` if that can be had, else another; None: there is none."""
        if wanted is not None and self.is_free(wanted):
            return wanted
        while self._fresh <= self.last:
            address = self._fresh
            if address not in self.reserved and address not in self.by_address:
                return address
            self._fresh += 1
        return next(iter(self._free), None)

    def is_free(self, address: int) -> bool:
        if not self.in_pool(address):
            return False
        lease = self.by_address.get(address)
        return lease is None or (lease.state is State.FREE and not lease.static)

    def take(self, key: Key, address: int, static: bool = False) -> Lease:
        """An address that is free for this client; what it had before is free from now on."""
        old = self.by_client.get(key)
        if old is not None:
            if old.address == address:
                return old
            self.free(old)
        self._clear(address)
        guest, client = key
        lease = Lease(address, client, guest, static)
        self.by_address[address] = lease
        self.by_client[key] = lease
        self._last[client] = lease
        return lease

    def hold(self, lease: Lease, state: State, until: Instant, now: Instant) -> None:
        """From now on it is offered, bound or set aside, until then."""
        if lease.state is State.FREE:
            self._free.pop(lease.address, None)
            lease.since = now
        held = self._held.setdefault(lease.guest, {})
        held.pop(lease.address, None)
        held[lease.address] = lease  # behind all others
        lease.state = state
        lease.until = until
        self._watch(lease)

    def _watch(self, lease: Lease) -> None:
        """An address stands in the heap once, however often its lease is renewed: what comes up too early goes in again."""
        if lease.until < self._soonest.get(lease.address, NEVER):
            self._soonest[lease.address] = lease.until
            heapq.heappush(self._heap, (lease.until, lease.address))

    def call(self, lease: Lease, hostname: str) -> None:
        """Its name, unless another lease has that."""
        if hostname == lease.hostname or (hostname and hostname in self._names):
            return
        self._unname(lease)
        lease.hostname = hostname
        if hostname:
            self._names[hostname] = lease

    def _unname(self, lease: Lease) -> None:
        if lease.hostname and self._names.get(lease.hostname) is lease:
            del self._names[lease.hostname]
        lease.hostname = ""

    # -- giving back ----------------------------------------------------------------------------------------------------------

    def free(self, lease: Lease) -> None:
        """Nobody has it any more, and its client is remembered."""
        self._leave(lease)
        self._free.pop(lease.address, None)
        if not lease.static:
            self._free[lease.address] = lease

    def _clear(self, address: int) -> None:
        """Make place for another lease of this address."""
        lease = self.by_address.pop(address, None)
        if lease is not None:
            self._leave(lease)
            self._free.pop(address, None)
            if self.by_client.get(lease.key) is lease:
                del self.by_client[lease.key]
            if self._last.get(lease.client) is lease:
                del self._last[lease.client]

    def set_aside(self, address: int, guest: str, until: Instant, now: Instant) -> None:
        """Somebody has it who has no lease for it. On the account of `guest`, by whose word we know."""
        self._clear(address)
        lease = Lease(address, b"", guest)
        self.by_address[address] = lease
        self.hold(lease, State.ASIDE, until, now)

    def _leave(self, lease: Lease) -> None:
        self._unname(lease)
        self._uncount(lease)
        lease.state = State.FREE

    def _uncount(self, lease: Lease) -> None:
        held = self._held.get(lease.guest)
        if held is not None and held.pop(lease.address, None) is not None and not held:
            del self._held[lease.guest]

    # -- time -----------------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> int:
        return self._heap[0][0] if self._heap else NEVER

    def expire(self, now: Instant) -> list[Lease]:
        """End what is over. Gives the leases that were bound."""
        over: list[Lease] = []
        while self._heap and self._heap[0][0] <= now:
            when, address = heapq.heappop(self._heap)
            if self._soonest.get(address) != when:
                continue
            del self._soonest[address]
            lease = self.by_address.get(address)
            if lease is None or lease.state is State.FREE:
                continue
            if lease.until > now:
                self._watch(lease)
                continue
            if lease.state is State.BOUND:
                over.append(lease)
            self.free(lease)
        return over

    # -- outliving the server -------------------------------------------------------------------------------------------------

    def keep(self, now: Instant) -> list[Kept]:
        """What a restart must not lose: the bound, and the memory of others without a time."""
        found: list[Kept] = []
        for each in self.by_address.values():
            if not each.client:
                continue
            left = 0 if each.state is not State.BOUND else NEVER if each.until == NEVER else max(each.until - now, 0)
            mac = str(each.mac or "")
            found.append(Kept(str(Ip4(each.address)), each.client.hex(), each.guest, mac, each.hostname, Duration(left)))
        return found

    def restore(self, kept: Iterable[Kept], now: Instant, static: Mapping[int, bytes]) -> None:
        """Into an empty table; what doesn't fit into the pool any more is passed over, as is what exceeds a guest's limit.
        `static`: addresses outside of the pool, and their clients. Raises UsageError for what can't be read."""
        for each in kept:
            address = int(Ip4.parse(each.address))
            try:
                client = bytes.fromhex(each.client)
            except ValueError:
                raise UsageError(f"the lease of {each.address} has the client {each.client!r}: it must be hexadecimal") from None
            key = (each.guest, client)
            fixed = static.get(address) == client
            if not client or not (fixed or self.is_free(address)) or address in self.by_address or key in self.by_client:
                continue
            if each.left > 0 and self.held(each.guest) >= self.limit:
                continue
            lease = self.take(key, address, fixed)
            lease.mac = Mac.parse(each.mac) if each.mac else None
            if each.left > 0:
                self.hold(lease, State.BOUND, Instant(min(now + each.left, NEVER)), now)
                self.call(lease, each.hostname)
            elif not fixed:
                self._free[address] = lease
