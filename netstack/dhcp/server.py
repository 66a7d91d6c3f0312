"""A DHCP server without sockets, clock or dice: messages and deadlines go in, what is to be done comes out (RFC 2131 4.3).

    actions = server.receive(data, source=…, mac=…, guest=…, now=now)      Send, Probe
    actions = server.run(now)                                             at `next_deadline()`
    actions = server.answered(address, now)                               somebody answered a Probe: the address is taken

It is the only authority on its links (the router made them), so who asks for what it doesn't know is told so at once, or given it
where it is free: a guest that survived a restart of its router goes on with the address that it has. Every message of a client says
which of RFC 2131 4.3.2's four cases it is by which fields are filled; `_request` is that table.

With `probe` an address that is offered for the first time is asked for on the link, and offered when nobody has answered for so
long; what is under way is bounded by the guests' limits (leases.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from attrs import evolve, field, frozen
from attrs.validators import ge

from .. import records
from ..address import Cidr, Ip4, Mac
from ..errors import UsageError, WireError
from ..instant import MILLISECOND, NEVER, SECOND, Duration, Instant
from . import message as msg
from . import options as opt
from .const import BOOTREPLY, BOOTREQUEST, CLIENT_PORT, ETHERNET, FOREVER, Kind, Option
from .leases import Kept, Key, Lease, Leases, State
from .message import DhcpMessage
from .mib import DhcpMib

MINUTE = 60 * SECOND
EVERYBODY = Ip4(0xFFFFFFFF)


FOR_EVER = Duration(NEVER)


def _whole(config: object, attribute: object, value: Duration) -> None:
    if not SECOND <= value <= 0xFFFFFFFE * SECOND and value != FOR_EVER:
        raise UsageError(f"a lease of {value / SECOND:g} s can't be told: give a second or more, or FOR_EVER")


@frozen
class StaticLease:
    """This client has this address and no other. Who it is: a link address, or a client identifier."""

    address: Ip4
    mac: Mac | None = None
    client: bytes = b""
    hostname: str = ""

    def __attrs_post_init__(self) -> None:
        if (self.mac is None) == (not self.client):
            raise UsageError(f"whose is {self.address}? Give a link address, or a client identifier")


@frozen(kw_only=True)
class DhcpConfig:
    """What clients are told. `own` is the server's address with its network, `first` to `last` the pool."""

    own: Cidr
    first: Ip4
    last: Ip4
    router: Ip4 | None = None
    dns: tuple[Ip4, ...] = ()
    domain: str = ""
    search: tuple[str, ...] = ()
    mtu: int | None = None
    routes: tuple[opt.Route, ...] = ()  # RFC 3442; who understands them ignores `router`, so the default route is added
    options: Mapping[int, bytes] = field(factory=dict)  # others, in wire form
    static: tuple[StaticLease, ...] = ()
    lease: Duration = field(default=Duration(24 * 60 * MINUTE), validator=_whole)  # dnsmasq's and ISC's is between 1 h and 12 h
    offer: Duration = field(default=Duration(30 * SECOND), validator=ge(SECOND))  # clients choose within ten seconds
    aside: Duration = field(default=Duration(10 * MINUTE), validator=ge(SECOND))  # dnsmasq's DECLINE_BACKOFF
    probe: Duration = field(default=Duration(0), validator=ge(Duration(0)))  # how long an answer may take; 0 asks nobody
    # entries of one guest. A guest is a machine, perhaps one with machines in it: a bridge of containers has dozens, a thief of
    # addresses as many as there are
    limit: int = field(default=64, validator=ge(1))

    def __attrs_post_init__(self) -> None:
        for each in (self.first, self.last):
            if each not in self.own:
                raise UsageError(f"{each} is not in {self.own}: the pool must be")
        if self.first > self.last:
            raise UsageError(f"a pool from {self.first} to {self.last} is empty: the first address comes first")
        if self.router is not None and self.router not in self.own:
            raise UsageError(f"the router {self.router} is not in {self.own}, so no client could reach it")
        if self.mtu is not None and not 68 <= self.mtu <= 65535:
            raise UsageError(f"an MTU of {self.mtu} can't be: give one from 68 to 65535")
        opt.pack_names((*self.search, *((self.domain,) if self.domain else ())))
        for lease in self.static:
            if lease.address not in self.own or int(lease.address) in (int(self.own.address), self.own.network, self.own.broadcast):
                raise UsageError(f"{lease.address} can't be a client's: give another address of {self.own}")
        if len({each.address for each in self.static}) < len(self.static):
            raise UsageError("an address stands in two static leases: give each its own")

    def answers(self) -> dict[int, bytes]:
        """What may be asked for, in wire form."""
        own = self.own
        found: dict[int, bytes] = {Option.MASK: own.mask.to_bytes(4, "big")}
        if self.router is not None:
            found[Option.ROUTER] = bytes(self.router)
        if self.dns:
            found[Option.DNS] = opt.pack_addresses(self.dns)
        if self.domain:
            found[Option.DOMAIN] = self.domain.encode("ascii")
        if self.search:
            found[Option.SEARCH] = opt.pack_names(self.search)
        if self.mtu is not None:
            found[Option.MTU] = opt.pack_number(self.mtu, 2)
        if own.broadcast is not None:
            found[Option.BROADCAST] = own.broadcast.to_bytes(4, "big")
        if self.routes:
            default = () if self.router is None else ((Cidr(Ip4(0), 0), self.router),)
            found[Option.ROUTES] = found[Option.MS_ROUTES] = opt.pack_routes((*default, *self.routes))
        return found | dict(self.options)


@frozen
class Send:
    """Send this to port 68 of `to`: 255.255.255.255, or an address that nobody may be asked for, since its client doesn't answer
    for it yet: `mac` has it. None: the client answers for itself."""

    data: bytes
    to: Ip4
    mac: Mac | None = None


@frozen
class Probe:
    """Ask the link who has this address, and say `answered` if anybody does."""

    address: Ip4


Action = Send | Probe


class DhcpServer:
    """`on_change(lease)` is told when a lease begins, is renewed, or ends: its state says which."""

    def __init__(
        self,
        config: DhcpConfig,
        on_change: Callable[[Lease], object] | None = None,
        there: Callable[[str], bool] = lambda guest: True,
    ) -> None:
        own = int(config.own.address)
        reserved = {own, config.own.network, config.own.broadcast or own, *(int(each.address) for each in config.static)}
        if config.router is not None:
            reserved.add(int(config.router))
        reserved |= {int(each) for each in config.dns}
        self.config = config
        self.own = config.own.address
        self.mib = DhcpMib()
        self.leases = Leases(int(config.first), int(config.last), reserved, config.limit)
        self._answers = config.answers()
        self._on_change = on_change
        self._there = there  # is there a guest of this name? What one had that isn't goes with its client
        self._by_mac = {each.mac: each for each in config.static if each.mac is not None}
        self._by_client = {each.client: each for each in config.static if each.client}
        self._probing: dict[int, tuple[Instant, DhcpMessage, Lease]] = {}  # in the order of their instants: all take as long

    def tell(self, dns: tuple[Ip4, ...], domain: str, search: tuple[str, ...]) -> None:
        """Clients hear of these name servers and names from now on: a router's own lease says so. Raises UsageError."""
        self.config = evolve(self.config, dns=dns, domain=domain, search=search)
        self._answers = self.config.answers()

    # -- the world ------------------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, *, source: int = 0, mac: int = 0, guest: str = "", now: Instant) -> list[Action]:
        """A datagram to port 67: from which address, in a frame of whom (0: not known), from which guest."""
        m = self.mib
        try:
            request = msg.parse(data)
            kind = request.kind
        except WireError:
            m.InErrors += 1
            return []
        if request.op != BOOTREQUEST or kind in (Kind.OFFER, Kind.ACK, Kind.NAK):
            m.InOther += 1
            return []
        if int(request.giaddr):
            m.InRelayed += 1
            return []
        if mac and request.mac is not None and int(request.mac) != mac:
            m.InSpoofed += 1
            return []
        self._expire(now)
        key: Key = (guest, request.client)
        self.leases.adopt(key, request.mac, self._there)
        try:
            if kind is Kind.DISCOVER:
                m.InDiscovers += 1
                return self._discover(request, key, now)
            if kind is Kind.REQUEST:
                m.InRequests += 1
                return self._request(request, key, now)
            if kind is Kind.DECLINE:
                m.InDeclines += 1
                self._decline(request, key, now)
            elif kind is Kind.RELEASE:
                m.InReleases += 1
                self._release(request, key)
            else:
                m.InInforms += 1
                return self._inform(request)
        except WireError:
            m.InErrors += 1
        return []

    def next_deadline(self) -> int:
        probing = next(iter(self._probing.values()))[0] if self._probing else NEVER
        return min(probing, self.leases.next_deadline())

    def run(self, now: Instant) -> list[Action]:
        """What is due."""
        self._expire(now)
        actions: list[Action] = []
        while self._probing:
            address, (due, request, lease) = next(iter(self._probing.items()))
            if due > now:
                break
            del self._probing[address]
            if lease.state is State.OFFERED and self.leases.by_address.get(address) is lease:
                actions += self._offer(request, lease)
        return actions

    def answered(self, address: int, now: Instant) -> list[Action]:
        """Somebody has the address: set it aside, and offer another to who waited for it."""
        found = self._probing.pop(address, None)
        if found is None:
            return []
        _, request, lease = found
        self.mib.Conflicts += 1
        if self.leases.by_address.get(address) is not lease:
            return []
        self.leases.set_aside(address, lease.guest, Instant(now + self.config.aside), now)
        options = {code: data for code, data in request.options.items() if code != Option.REQUESTED}
        return self._discover(records.evolve(request, options=options), lease.key, now)

    # -- outliving a restart --------------------------------------------------------------------------------------------------

    def keep(self, now: Instant) -> list[Kept]:
        return self.leases.keep(now)

    def restore(self, kept: Iterable[Kept], now: Instant) -> None:
        """Before the first message. Raises UsageError."""
        static = {int(each.address): each.client or bytes((ETHERNET,)) + bytes(each.mac or b"") for each in self.config.static}
        self.leases.restore(kept, now, static)

    # -- messages -------------------------------------------------------------------------------------------------------------

    def _discover(self, request: DhcpMessage, key: Key, now: Instant) -> list[Action]:
        wanted = request.address(Option.REQUESTED)
        lease = self._lease_for(request, key, None if wanted is None else int(wanted), now)
        if lease is None:
            return []
        probing = self._probing.get(lease.address)
        if probing is not None and probing[2] is lease and lease.state is State.OFFERED:
            return []  # it asks again, and we are asking already
        if lease.state is State.BOUND:
            return self._offer(request, lease)
        known = lease.state is State.OFFERED or lease.static or lease.mac is not None
        self.leases.hold(lease, State.OFFERED, Instant(now + self.config.offer), now)
        if known or not self.config.probe:
            return self._offer(request, lease)
        self._probing.pop(lease.address, None)  # of somebody whose place was taken
        self._probing[lease.address] = (Instant(now + self.config.probe), request, lease)
        return [Probe(Ip4(lease.address))]

    def _lease_for(self, request: DhcpMessage, key: Key, wanted: int | None, now: Instant) -> Lease | None:
        """What to offer (RFC 2131 4.3.1): its static address; what it has; what it had; what it wants; what is free."""
        leases = self.leases
        static = self._static(request)
        if static is not None:
            return self._take_static(static, key)
        lease = leases.of(key)
        if lease is not None and lease.state is not State.FREE:
            return lease
        if not leases.has_room(key[0]):
            self.mib.LimitReached += 1
            return None
        if lease is not None and not lease.static:
            return lease
        address = leases.free_address(wanted)
        if address is None:
            self.mib.PoolEmpty += 1
            return None
        return leases.take(key, address)

    def _static(self, request: DhcpMessage) -> StaticLease | None:
        found = self._by_client.get(request.options.get(Option.CLIENT_ID, b""))
        mac = request.mac
        return found if found is not None or mac is None else self._by_mac.get(mac)

    def _take_static(self, static: StaticLease, key: Key) -> Lease | None:
        address = int(static.address)
        other = self.leases.by_address.get(address)
        if other is not None and other.key != key and other.state is State.BOUND and other.guest != key[0]:
            self.mib.LimitReached += 1  # somebody else's link address, copied: who has it keeps it
            return None
        return self.leases.take(key, address, static=True)

    def _request(self, request: DhcpMessage, key: Key, now: Instant) -> list[Action]:
        """RFC 2131 4.3.2, by what the client has filled in:

        server id   requested ip   ciaddr
            x            x           -      SELECTING: one of the offers
            -            x           -      INIT-REBOOT: what I had before
            -            -           x      RENEWING (to us), REBINDING (to everybody)
        """
        server = request.address(Option.SERVER)
        wanted = request.address(Option.REQUESTED)
        if server is not None and server != self.own:
            self.mib.InOtherServer += 1
            lease = self.leases.of(key)
            if lease is not None and lease.state is State.OFFERED:
                self.leases.free(lease)
            return []
        address = int(request.ciaddr) if wanted is None or int(request.ciaddr) else int(wanted)
        if not address:
            raise WireError("a request for nothing")
        lease = self._entitled(request, key, address, server is not None, now)
        if lease is None:
            return self._refuse(request)
        return self._grant(request, lease, now)

    def _entitled(self, request: DhcpMessage, key: Key, address: int, selecting: bool, now: Instant) -> Lease | None:
        """The lease of this address, if this client may have it."""
        static = self._static(request)
        if static is not None:
            return self._take_static(static, key) if address == int(static.address) else None
        lease = self.leases.of(key)
        if lease is not None and lease.address == address and not lease.static:
            if lease.state is not State.FREE or self.leases.has_room(key[0]):
                return lease
            self.mib.LimitReached += 1
            return None
        if selecting and lease is None:
            return None  # an offer that is over, or that we never made
        # what we don't remember, of somebody who does: where it is free, and he has nothing else, let it be so
        if (lease is None or lease.state is State.FREE) and self.leases.is_free(address) and not selecting:
            if self.leases.has_room(key[0]):
                return self.leases.take(key, address)
            self.mib.LimitReached += 1
        return None

    def _grant(self, request: DhcpMessage, lease: Lease, now: Instant) -> list[Action]:
        self._probing.pop(lease.address, None)
        lease.mac = request.mac
        until = NEVER if self.config.lease == FOR_EVER else Instant(now + self.config.lease)
        self.leases.hold(lease, State.BOUND, until, now)
        static = self._static(request)
        name = static.hostname if static is not None and static.hostname else self._hostname(request)
        self.leases.call(lease, name or lease.hostname)
        if self._on_change is not None:
            self._on_change(lease)
        self.mib.OutAcks += 1
        return [self._reply(request, Kind.ACK, Ip4(lease.address))]

    @staticmethod
    def _hostname(request: DhcpMessage) -> str:
        return opt.hostname(request.options.get(Option.HOSTNAME, b"")) or opt.fqdn(request.options.get(Option.FQDN, b""))

    def _refuse(self, request: DhcpMessage) -> list[Action]:
        self.mib.OutNaks += 1
        options = {Option.KIND: bytes((Kind.NAK,)), Option.SERVER: bytes(self.own)} | self._echo(request)
        reply = DhcpMessage(BOOTREPLY, request.xid, request.chaddr, options, request.htype, flags=request.flags)
        data, _ = msg.build(reply)
        return [Send(data, EVERYBODY)]  # 4.3.2: its client may be on another network

    def _decline(self, request: DhcpMessage, key: Key, now: Instant) -> None:
        wanted = request.address(Option.REQUESTED)
        lease = self.leases.of(key)
        if lease is None or wanted is None or int(wanted) != lease.address or lease.state is State.FREE:
            self.mib.InUnknown += 1
            return
        self.mib.Declined += 1
        was_bound = lease.state is State.BOUND
        self.leases.set_aside(lease.address, key[0], Instant(now + self.config.aside), now)
        if was_bound and self._on_change is not None:
            self._on_change(lease)

    def _release(self, request: DhcpMessage, key: Key) -> None:
        lease = self.leases.of(key)
        if lease is None or lease.state is not State.BOUND or lease.address != int(request.ciaddr):
            self.mib.InUnknown += 1
            return
        self.leases.free(lease)
        if self._on_change is not None:
            self._on_change(lease)

    def _inform(self, request: DhcpMessage) -> list[Action]:
        if not int(request.ciaddr):
            raise WireError("an INFORM of nobody")
        if request.ciaddr not in self.config.own:
            self.mib.InUnknown += 1
            return []
        self.mib.OutAcks += 1
        return [self._reply(request, Kind.ACK, None)]

    # -- replies --------------------------------------------------------------------------------------------------------------

    def _offer(self, request: DhcpMessage, lease: Lease) -> list[Action]:
        self.mib.OutOffers += 1
        return [self._reply(request, Kind.OFFER, Ip4(lease.address))]

    @staticmethod
    def _echo(request: DhcpMessage) -> dict[int, bytes]:
        said = request.options.get(Option.CLIENT_ID)
        return {} if said is None else {Option.CLIENT_ID: said}  # RFC 6842

    def _reply(self, request: DhcpMessage, kind: Kind, address: Ip4 | None) -> Send:
        """An offer or an acknowledgement; without an address the one for an INFORM, which has no lease."""
        config = self.config
        options: dict[int, bytes] = {Option.KIND: bytes((kind,)), Option.SERVER: bytes(self.own)}
        if address is not None:
            time = FOREVER if config.lease == FOR_EVER else config.lease // SECOND
            options[Option.LEASE] = opt.pack_number(time, 4)
            if time != FOREVER:  # 4.4.5's defaults, said aloud for those who have others
                options[Option.T1] = opt.pack_number(time // 2, 4)
                options[Option.T2] = opt.pack_number(time * 7 // 8, 4)
        options |= self._echo(request)
        asked = request.options.get(Option.PARAMETERS)
        for code in self._answers if asked is None else asked:
            if code in self._answers:
                options.setdefault(code, self._answers[code])
        options.setdefault(Option.MASK, self._answers[Option.MASK])  # 4.3.1: what differs from the host requirements' default
        reply = DhcpMessage(
            BOOTREPLY, request.xid, request.chaddr, options, request.htype, flags=request.flags, ciaddr=request.ciaddr,
            yiaddr=address or Ip4(0), siaddr=Ip4(0),
        )  # fmt: skip
        data, left_out = msg.build(reply, request.room)
        self.mib.OptionsLeftOut += len(left_out)
        # 4.1: who has an address answers for it; who can't receive yet says so; the others get it by their link address
        if int(request.ciaddr):
            return Send(data, request.ciaddr)
        if request.broadcast or address is None or request.mac is None or request.mac.is_group or not int(request.mac):
            return Send(data, EVERYBODY)
        return Send(data, address, request.mac)

    def _expire(self, now: Instant) -> None:
        for lease in self.leases.expire(now):
            self.mib.Expired += 1
            if self._on_change is not None:
                self._on_change(lease)


PROBE = Duration(500 * MILLISECOND)  # what neighbours take to answer: ISC's ping-timeout is a second

__all__ = ["CLIENT_PORT", "PROBE", "Action", "DhcpConfig", "DhcpServer", "Probe", "Send", "StaticLease"]
