"""A DHCP client without sockets, clock or dice (RFC 2131 4.4): messages and deadlines go in, what is to be done comes out.

              start              an offer             ACK
        INIT ------> SELECTING ----------> REQUESTING ----> [CHECKING] ----> BOUND --T1--> RENEWING --T2--> REBINDING
                                                                ^              ^              |                 |
        start, with a lease from before:  REBOOTING --ACK-------+              +------ACK-----+-------ACK-------+

A NAK, the end of the lease, or a neighbour who has the address lead back to INIT. CHECKING is there when the caller wants to see
whether the address is free: he says `free` or `taken`.

It asks to be answered by broadcast, since it can't receive what is sent to an address that it doesn't have yet.
"""

from __future__ import annotations

import enum

from ..address import Cidr, Ip4, Mac
from ..errors import WireError
from ..instant import NEVER, SECOND, Duration, Instant
from ..records import frozen
from ..signatures import Rng
from . import message as msg
from . import options as opt
from .const import BOOTREPLY, BROADCAST, ETHERNET, FOREVER, Kind, Option
from .message import DhcpMessage
from .mib import DhcpClientMib

EVERYBODY = Ip4(0xFFFFFFFF)
FIRST = Duration(4 * SECOND)  # RFC 2131 4.1: then 8, 16, 32, 64, each a second more or less
LONGEST = Duration(64 * SECOND)
REQUESTS = 4  # 4.4.1 leaves it open: after 4 + 8 + 16 + 32 s of silence the search begins anew
RENEWAL = Duration(60 * SECOND)  # 4.4.5: no more often than this
AFTER_CONFLICT = Duration(10 * SECOND)  # 3.1.5: or a network without a free address would be full of us
AFTER_NAK = Duration(1 * SECOND)  # a server that refuses what it has just offered
WANTED = bytes(
    (Option.MASK, Option.ROUTER, Option.DNS, Option.HOSTNAME, Option.DOMAIN, Option.MTU, Option.BROADCAST, Option.SEARCH)
)
PARAMETERS = bytes((Option.ROUTES,)) + WANTED  # RFC 3442: before ROUTER


class State(enum.Enum):
    INIT = "init"
    SELECTING = "selecting"
    REQUESTING = "requesting"
    REBOOTING = "rebooting"
    CHECKING = "checking"
    BOUND = "bound"
    RENEWING = "renewing"
    REBINDING = "rebinding"
    STOPPED = "stopped"


@frozen
class ClientLease:
    """What the server has granted. `t1`, `t2` and `ends` are instants; NEVER for a lease without an end."""

    address: Cidr
    server: Ip4
    routers: tuple[Ip4, ...] = ()
    dns: tuple[Ip4, ...] = ()
    domain: str = ""
    search: tuple[str, ...] = ()
    mtu: int | None = None
    routes: tuple[opt.Route, ...] = ()
    t1: Instant = NEVER
    t2: Instant = NEVER
    ends: Instant = NEVER


@frozen
class ClientConfig:
    """`client` is the client identifier (option 61); without one it is hardware type and address. `check`: see CHECKING."""

    hostname: str = ""
    client: bytes = b""
    vendor: str = "netstack"
    check: bool = False
    parameters: bytes = PARAMETERS


@frozen
class Send:
    """Send to port 67 of `to`, from `source`: 0.0.0.0 as long as there is no address."""

    data: bytes
    to: Ip4
    source: Ip4


@frozen
class Check:
    """Is this address free? Say `free` or `taken`."""

    lease: ClientLease


@frozen
class Use:
    """This is what we have now: for the first time, or renewed."""

    lease: ClientLease


@frozen
class Drop:
    """Stop using it at once."""

    lease: ClientLease
    reason: str


Action = Send | Check | Use | Drop


class DhcpClient:
    """`mac` is the link address. `previous`: what was had before, to be asked for again; its instants don't matter."""

    def __init__(self, mac: Mac, rng: Rng, config: ClientConfig | None = None, previous: ClientLease | None = None) -> None:
        self.mac = mac
        self.rng = rng
        self.config = config or ClientConfig()
        self.mib = DhcpClientMib()
        self.state = State.INIT
        self.lease: ClientLease | None = None  # that is in use
        self._previous = previous
        self._offer: ClientLease | None = None  # that was asked for
        self._xid = 0
        self._began = Instant(0)  # with looking for a server
        self._sent = Instant(0)  # the request that an ACK answers: the lease runs from here (4.4.1)
        self._wait = FIRST
        self._tries = 0
        self._deadline: int = NEVER

    # -- what the world does --------------------------------------------------------------------------------------------------

    def next_deadline(self) -> int:
        return self._deadline

    def start(self, now: Instant) -> list[Action]:
        if self._previous is None:
            return self._discover_anew(now)
        self._begin(now)
        self.state = State.REBOOTING
        self._offer = self._previous
        return [self._ask(now)]

    def run(self, now: Instant) -> list[Action]:
        """The deadline has come."""
        if now < self._deadline:
            return []
        state = self.state
        if state is State.INIT:
            return self._discover_anew(now)
        if state is State.SELECTING:
            return [self._discover(now)]
        if state in (State.REQUESTING, State.REBOOTING):
            self._tries += 1
            return [self._ask(now)] if self._tries < REQUESTS else self._discover_anew(now)
        lease = self.lease
        if lease is None:
            self._deadline = NEVER
            return []
        if now >= lease.ends:
            self.mib.Expired += 1
            return [*self._lose("the lease has ended, and nobody renewed it"), *self._discover_anew(now)]
        if state is State.BOUND:
            self._begin(now)
        self.state = State.REBINDING if now >= lease.t2 else State.RENEWING
        return [self._renew(lease, now)]

    def receive(self, data: bytes, now: Instant) -> list[Action]:
        """A datagram to port 68."""
        m = self.mib
        try:
            reply = msg.parse(data)
            kind = reply.kind
            if reply.op != BOOTREPLY or reply.xid != self._xid or reply.mac != self.mac or self.state is State.STOPPED:
                m.InOther += 1
                return []
            if kind is Kind.OFFER and self.state is State.SELECTING:
                m.InOffers += 1
                self._offer = self._read(reply, now)
                self.state = State.REQUESTING
                self._wait, self._tries = FIRST, 0
                return [self._ask(now)]
            if kind is Kind.ACK and self.state in (State.REQUESTING, State.REBOOTING, State.RENEWING, State.REBINDING):
                return self._acknowledged(self._read(reply, self._sent), now)
            if kind is Kind.NAK and self.state in (State.REQUESTING, State.REBOOTING, State.RENEWING, State.REBINDING):
                return self._refused(reply, now)
        except WireError:
            m.InErrors += 1
            return []
        m.InOther += 1
        return []

    def free(self, now: Instant) -> list[Action]:
        """Nobody answered for the address of `Check`."""
        if self.state is not State.CHECKING or self._offer is None:
            return []
        return self._use(self._offer, now)

    def taken(self, now: Instant) -> list[Action]:
        """Somebody has our address: before or after we began to use it (RFC 2131 3.1.5, RFC 5227 2.1.1)."""
        lease = self._offer if self.state is State.CHECKING else self.lease
        if lease is None:
            return []
        self.mib.OutDeclines += 1
        options: dict[int, bytes] = {Option.REQUESTED: bytes(lease.address.address), Option.SERVER: bytes(lease.server)}
        self._begin(now)
        declined = self._send(Kind.DECLINE, options, now, ciaddr=Ip4(0))
        dropped = self._lose("another host has the address")
        self._rest(now, AFTER_CONFLICT)
        return [*dropped, declined]

    def stop(self, now: Instant) -> list[Action]:
        """Give the address back, and do nothing any more."""
        lease, state = self.lease, self.state
        self.state = State.STOPPED
        self._deadline = NEVER
        if lease is None or state is State.STOPPED:
            return []
        self.mib.OutReleases += 1
        self._begin(now)
        options: dict[int, bytes] = {Option.SERVER: bytes(lease.server)}
        released = self._send(Kind.RELEASE, options, now, ciaddr=lease.address.address, to=lease.server)
        self.lease = None
        return [released, Drop(lease, "given back")]

    # -- what we say ----------------------------------------------------------------------------------------------------------

    def _begin(self, now: Instant) -> None:
        self._xid = self.rng.getrandbits(32)
        self._began = now
        self._wait, self._tries = FIRST, 0

    def _discover_anew(self, now: Instant) -> list[Action]:
        self._begin(now)
        self.state = State.SELECTING
        self._offer = None
        return [self._discover(now)]

    def _discover(self, now: Instant) -> Send:
        self.mib.OutDiscovers += 1
        previous = self._previous
        options: dict[int, bytes] = {} if previous is None else {Option.REQUESTED: bytes(previous.address.address)}
        self._back_off(now)
        return self._send(Kind.DISCOVER, options, now)

    def _ask(self, now: Instant) -> Send:
        """Choose an offer, or ask for what was had before."""
        assert self._offer is not None
        self.mib.OutRequests += 1
        options: dict[int, bytes] = {Option.REQUESTED: bytes(self._offer.address.address)}
        if self.state is State.REQUESTING:
            options[Option.SERVER] = bytes(self._offer.server)
        self._sent = now
        self._back_off(now)
        return self._send(Kind.REQUEST, options, now)

    def _renew(self, lease: ClientLease, now: Instant) -> Send:
        self.mib.OutRequests += 1
        until = lease.t2 if self.state is State.RENEWING else lease.ends
        self._deadline = min(until, now + max((until - now) // 2, RENEWAL))
        self._sent = now
        address = lease.address.address
        to = lease.server if self.state is State.RENEWING else EVERYBODY
        return self._send(Kind.REQUEST, {}, now, ciaddr=address, to=to)

    def _back_off(self, now: Instant) -> None:
        jitter = (self.rng.getrandbits(16) - 32768) * SECOND // 32768  # a second more or less
        self._deadline = now + self._wait + jitter
        self._wait = Duration(min(self._wait * 2, LONGEST))

    def _rest(self, now: Instant, time: Duration) -> None:
        self.state = State.INIT
        self._deadline = now + time

    def _send(self, kind: Kind, said: dict[int, bytes], now: Instant, ciaddr: Ip4 = Ip4(0), to: Ip4 = EVERYBODY) -> Send:  # noqa: B008
        config = self.config
        options: dict[int, bytes] = {Option.KIND: bytes((kind,)), **said}
        if config.client:
            options[Option.CLIENT_ID] = config.client
        if kind in (Kind.DISCOVER, Kind.REQUEST):
            options[Option.MAX_SIZE] = opt.pack_number(1500, 2)
            options[Option.PARAMETERS] = config.parameters
            if config.hostname:
                options[Option.HOSTNAME] = config.hostname.encode("ascii")
            if config.vendor:
                options[Option.VENDOR_CLASS] = config.vendor.encode("ascii")
        m = DhcpMessage(
            xid=self._xid,
            chaddr=bytes(self.mac),
            options=options,
            htype=ETHERNET,
            secs=min((now - self._began) // SECOND, 0xFFFF),
            flags=0 if int(ciaddr) or kind is Kind.DECLINE else BROADCAST,
            ciaddr=ciaddr,
        )
        return Send(msg.build(m)[0], to, ciaddr)

    # -- what we hear ---------------------------------------------------------------------------------------------------------

    def _read(self, reply: DhcpMessage, since: Instant) -> ClientLease:
        """Raises WireError for what can't be lived with; what is only odd is left out."""
        address, server = reply.yiaddr, reply.address(Option.SERVER)
        top = int(address) >> 24
        if top in (0, 127) or top >= 224:
            raise WireError(f"{address} can't be a host's")
        if server is None:
            raise WireError("an offer of nobody")
        time = reply.number(Option.LEASE, 4)
        if not time:
            raise WireError("a lease without a time")
        mask = reply.options.get(Option.MASK)
        length = (8 if top < 128 else 16 if top < 192 else 24) if mask is None else opt.prefix(mask)  # RFC 950's classes
        cidr = Cidr(address, length)
        if int(address) in (cidr.broadcast, cidr.network if length < 31 else -1):
            raise WireError(f"{cidr} can't be a host's")
        t1, t2, ends = NEVER, NEVER, NEVER
        if time != FOREVER:
            ends = Instant(since + time * SECOND)
            first, second = _said(reply, Option.T1), _said(reply, Option.T2)
            if second is None or not 0 < second < time:
                second = time * 7 // 8
            if first is None or not 0 < first < second:
                first = min(time // 2, second)
            t1, t2 = Instant(since + first * SECOND), Instant(since + second * SECOND)
        mtu = _said(reply, Option.MTU, 2)
        routes = _routes(reply)
        return ClientLease(
            cidr,
            server,
            tuple(each for each in _addresses(reply, Option.ROUTER) if int(each) and each != address),
            _addresses(reply, Option.DNS),
            _text(reply, Option.DOMAIN),
            _search(reply),
            mtu if mtu is not None and mtu >= 576 else None,  # below it would be an attack on us: RFC 2132 5.1 allows 68
            routes,
            t1,
            t2,
            ends,
        )

    def _acknowledged(self, lease: ClientLease, now: Instant) -> list[Action]:
        asked = self._offer if self.state in (State.REQUESTING, State.REBOOTING) else self.lease
        if asked is None or lease.address.address != asked.address.address or lease.ends <= now:
            raise WireError("an acknowledgement of something else")
        self.mib.InAcks += 1
        if self.config.check and self.state in (State.REQUESTING, State.REBOOTING):
            self.state = State.CHECKING
            self._offer = lease
            self._deadline = NEVER
            return [Check(lease)]
        return self._use(lease, now)

    def _use(self, lease: ClientLease, now: Instant) -> list[Action]:
        self.state = State.BOUND
        self.lease = self._previous = lease
        self._offer = None
        self._deadline = lease.t1
        return [Use(lease)]

    def _refused(self, reply: DhcpMessage, now: Instant) -> list[Action]:
        server = reply.address(Option.SERVER)
        if self.state is State.REQUESTING and self._offer is not None and server != self._offer.server:
            self.mib.InOther += 1  # another server's, whose offer we have not chosen
            return []
        self.mib.InNaks += 1
        self._previous = None
        again = self.state is State.REBOOTING
        dropped = self._lose("the server has refused to renew it")
        if again:
            return self._discover_anew(now)
        self._rest(now, AFTER_NAK)
        return dropped

    def _lose(self, reason: str) -> list[Action]:
        lease, self.lease, self._offer, self._previous = self.lease, None, None, None
        return [] if lease is None else [Drop(lease, reason)]


def _said(reply: DhcpMessage, code: int, size: int = 4) -> int | None:
    try:
        return reply.number(code, size)
    except WireError:
        return None


def _addresses(reply: DhcpMessage, code: int) -> tuple[Ip4, ...]:
    try:
        return opt.addresses(reply.options[code])
    except (KeyError, WireError):
        return ()


def _routes(reply: DhcpMessage) -> tuple[opt.Route, ...]:
    try:
        return opt.routes(reply.options.get(Option.ROUTES, b""))
    except WireError:
        return ()


def _text(reply: DhcpMessage, code: int) -> str:
    try:
        return opt.text(reply.options.get(code, b""))
    except WireError:
        return ""


def _search(reply: DhcpMessage) -> tuple[str, ...]:
    try:
        return opt.names(reply.options.get(Option.SEARCH, b""))
    except WireError:
        return ()
