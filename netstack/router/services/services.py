"""All services of a router, put together.

    services = Services(net, ServicesConfig(network=…, gateway=…), may_ask=policy.may_ask, on_answer=policy.on_answer)
    nat = Nat(net, services.gate(policy))
    nat.start()
    await services.start(nat)
    …
    await services.aclose()
    await nat.aclose()

`net` is the guests' side. Where guests are known by more than their link address, policy asks and the control socket is told, the
rest is given as functions; each part can be had alone as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from ...address import Cidr, Ip4
from ...dhcp.leases import Lease
from ...dhcp.options import Route
from ...dhcp.server import DhcpConfig, StaticLease
from ...errors import UsageError
from ...instant import SECOND, Duration
from ..flow import Flow, Gate
from ..nat.nat import Nat
from .dhcp import DhcpService
from .dns import GuestDns, MayAsk, OnAnswer
from .everyport import EveryPort
from .forwards import ForwardGate, Forwards
from .names import DOMAIN, HOST, LocalNames
from .upstreams import HostWorld

if TYPE_CHECKING:
    from .capture import Recorder
    from .control import Control

DAY = Duration(24 * 3600 * SECOND)
NO_PROBE = Duration(0)
DNS = 3
FIRST = 100  # of the pool, in the network: what slirp4netns's users know their guest by


@frozen(kw_only=True)
class ServicesConfig:
    """`network` of the guests, `gateway` the router's own address in it. The rest has slirp4netns's values.

    dns         the address of the name server; None: there is none       servers   whom it asks: "system", or a list
    domain      of the guests' names                                      hosts     names and their addresses, beside `host_names`
    pool        first and last address to be leased; None: from the hundredth on, or what there is
    leases      a file that keeps them; "" none                            tcp, udp  forwards to the guest, tcp_out, udp_out from it
    tcp_any, udp_any   any port of the gateway leads to the host's loopback, but for these (first, beyond the last); None: none does
    tcp_all, udp_all   every port of the host that nobody has leads to the guest's (everyport.py), but for these; None: no
    control     path of the control socket; "" none                        keep_source  guests see who really comes by a forward
    outbound    the host's address from which names are asked; "" whichever its routes choose
    """

    network: Cidr
    gateway: Ip4
    dns: Ip4 | None = None
    servers: tuple[str, ...] | str = "system"
    domain: str = DOMAIN
    host_names: tuple[str, ...] = HOST
    hosts: Mapping[str, str | Iterable[str]] = field(factory=dict)
    dhcp: bool = True
    pool: tuple[Ip4, Ip4] | None = None
    static: tuple[StaticLease, ...] = ()
    routes: tuple[Route, ...] = ()
    search: tuple[str, ...] = ()
    lease: Duration = DAY
    probe: Duration = NO_PROBE
    leases_per_guest: int = 64
    mtu: int | None = None
    leases: str = ""
    tcp: tuple[str, ...] = ()
    udp: tuple[str, ...] = ()
    tcp_out: tuple[str, ...] = ()
    udp_out: tuple[str, ...] = ()
    tcp_any: tuple[tuple[int, int], ...] | None = None
    udp_any: tuple[tuple[int, int], ...] | None = None
    tcp_all: tuple[tuple[int, int], ...] | None = None
    udp_all: tuple[tuple[int, int], ...] | None = None
    outbound: str = ""
    keep_source: bool = False
    control: str = ""
    remember_frames: bool = False

    @classmethod
    def of(
        cls,
        network: Cidr,
        gateway: Ip4,
        *,
        dns: Iterable[str] | str | bool | None = None,
        dns_address: str | Ip4 | None = None,
        first: str | Ip4 | None = None,
        forwards: Iterable[str | tuple[str, str]] = (),
        outward: Iterable[str | tuple[str, str]] = (),
        control: str | None = None,
        leases: str | None = None,
        **more: Any,
    ) -> ServicesConfig:
        """From the words of `Router` and of the command line: `dns` are servers, None or "system" the host's, False no DNS at all;
        it answers at `dns_address`, else at the third address, as slirp's. `first` is the first guest's. Forwards as forwardspec.py
        has them, alone (TCP) or as (proto, text). Raises UsageError."""
        address = None
        if dns is not False:
            address = Ip4(network.network + DNS) if dns_address is None else Ip4.parse(str(dns_address))
            if address not in network:
                raise UsageError(f"the name server's address {address} is not in {network}: give one that is")
        ways: dict[str, Any] = {}
        for said, end in ((forwards, ""), (outward, "_out")):
            pairs = [("tcp", each) if isinstance(each, str) else each for each in said]
            for proto in ("tcp", "udp"):
                ways[proto + end] = tuple(text for each, text in pairs if each == proto)
        for key in ("search", "static", "routes"):
            if key in more:
                more[key] = tuple(more[key])
        pool = None if first is None else (Ip4.parse(str(first)), Ip4(network.network + (1 << 32 - network.length) - 2))
        servers: tuple[str, ...] | str = "system"
        if dns is not None and not isinstance(dns, bool):
            servers = dns if isinstance(dns, str) else tuple(dns)
            servers = "system" if servers in (("system",), "system") else (servers,) if isinstance(servers, str) else servers
        return cls(
            network=network,
            gateway=gateway,
            dns=address,
            servers=servers,
            pool=pool,
            control=control or "",
            leases=leases or "",
            **ways,
            **more,
        )

    def leased(self) -> tuple[Ip4, Ip4]:
        """The pool. Raises UsageError for a network without room."""
        if self.pool is not None:
            return self.pool
        network = self.network.network
        last = network + (1 << 32 - self.network.length) - 2
        taken = {int(self.gateway), int(self.dns or self.gateway)}
        first = network + FIRST if network + FIRST <= last else next((a for a in range(network + 1, last + 1) if a not in taken), 0)
        if not first:
            raise UsageError(f"{self.network} has no address for a guest: choose a larger network, or dhcp=False")
        return Ip4(first), Ip4(last)

    def dhcp_config(self, mtu: int) -> DhcpConfig:
        first, last = self.leased()
        return DhcpConfig(
            own=Cidr(self.gateway, self.network.length),
            first=first,
            last=last,
            router=self.gateway,
            dns=() if self.dns is None else (self.dns,),
            domain=self.domain,
            search=self.search,
            mtu=min(self.mtu or mtu, 65535),
            routes=self.routes,
            static=self.static,
            lease=self.lease,
            probe=self.probe,
            limit=self.leases_per_guest,
        )


class Services:
    """`world` is where names are asked, the host's sockets unless it is given. `guest_of(mac)` says which guest that is, and
    `there(guest)` whether it is there; `may_ask` and `on_answer` are policy's (dns.py). `flows()`, the NAT's unless it is given,
    `cam()`, `counters()`, `meanings()` and `policy` are for the control socket (control.py). `on_lease(lease)` is told of
    leases."""

    def __init__(
        self,
        net: Any,
        config: ServicesConfig,
        *,
        world: Any = None,
        guest_of: Callable[[int], str] | None = None,
        there: Callable[[str], bool] | None = None,
        may_ask: MayAsk | None = None,
        on_answer: OnAnswer | None = None,
        on_lease: Callable[[Lease], object] | None = None,
        flows: Callable[[], Iterable[Flow]] | None = None,
        cam: Callable[[], Mapping[str, int]] | None = None,
        policy: Any = None,
        counters: Callable[[], Mapping[str, Mapping[str, int]]] | None = None,
        meanings: Callable[[], Mapping[str, Mapping[str, str]]] | None = None,
    ) -> None:
        self.config = config
        self.net = net
        self._world = world
        self._opening: AbstractAsyncContextManager[Any] | None = None
        self._asks = (may_ask, on_answer)
        self._flows = flows
        self._shown: dict[str, Any] = {"cam": cam, "policy": policy, "counters": counters, "meanings": meanings}
        own = Cidr(config.gateway, config.network.length)
        self.dhcp: DhcpService | None = None
        if config.dhcp:
            mtu = net.stack.link.mtu
            self.dhcp = DhcpService(
                net, config.dhcp_config(mtu), path=config.leases, guest_of=guest_of, there=there, on_change=on_lease
            )
        self.names = LocalNames(
            config.gateway,
            own,
            host_names=config.host_names,
            domain=config.domain,
            hosts=config.hosts,
            **({} if self.dhcp is None else {"leased": self.dhcp.address_of, "leased_to": self.dhcp.hostname_of}),  # type: ignore[arg-type]  # both
        )
        self.forwards = Forwards(
            net, gateway=config.gateway, default_guest=self._first_guest, keep_source=config.keep_source
        )  # fmt: skip
        self.dns: GuestDns | None = None
        self.recorder: Recorder | None = None
        self.control: Control | None = None

    def _first_guest(self) -> Ip4 | None:
        """The guest that is meant where none is named: the first that has a lease; else who has configured itself as slirp's do."""
        if self.dhcp is not None:
            for lease in self.dhcp.core.leases:
                return Ip4(lease.address)
        return self.config.leased()[0]

    def gate(self, gate: Gate) -> ForwardGate:
        """`gate`, behind the forwards from guests."""
        return ForwardGate(self.forwards, gate)

    def flows(self) -> list[Flow]:
        """The guests' own, and what came by forwards."""
        nat = self.forwards.nat
        own = self._flows() if self._flows is not None else () if nat is None else nat.flows()
        return [*own, *self.forwards.flows()]

    def counters(self) -> dict[str, dict[str, int]]:
        """Those of DHCP and of the DNS for guests, where they are there."""
        found: dict[str, dict[str, int]] = {}
        if self.dhcp is not None:
            found["Dhcp"] = self.dhcp.core.mib.snapshot()
        if self.dns is not None:
            found |= {f"Dns{group}": counters for group, counters in self.dns.counters().items()}
        return found

    async def start(self, nat: Nat | None = None) -> None:
        """With the `nat`, which has begun, streams of forwards are carried as its own are. Raises UsageError, AddressInUse,
        OSError: then nothing is left running."""
        self.forwards.nat = nat
        try:
            await self._start()
        except BaseException:
            await self.aclose()
            raise

    async def _start(self) -> None:
        config = self.config
        if self.dhcp is not None:
            self.dhcp.start()
        if config.dns is not None:
            if self._world is None:
                self._opening = HostWorld(config.outbound)
                self._world = await self._opening.__aenter__()
            if not self.net.stack.ip.is_local(int(config.dns)):
                self.net.stack.add_address(Cidr(config.dns, 32), self.net.now())
            may_ask, on_answer = self._asks
            self.dns = GuestDns(
                self.net, self._world, self.names, servers=config.servers, may_ask=may_ask, on_answer=on_answer
            )  # fmt: skip
            await self.dns.start(dict.fromkeys((str(config.dns), str(config.gateway))))
        for proto, specs in (("tcp", config.tcp), ("udp", config.udp)):
            for text in specs:
                await self.forwards.add_spec(proto, text)
        for proto, specs in (("tcp", config.tcp_out), ("udp", config.udp_out)):
            for text in specs:
                self.forwards.add_out_spec(proto, text)
        for proto, excluded in (("tcp", config.tcp_all), ("udp", config.udp_all)):  # behind those that are named
            if excluded is not None:
                EveryPort(self.forwards, proto, [range(*each) for each in excluded]).open()
        for proto, excluded in (("tcp", config.tcp_any), ("udp", config.udp_any)):
            if excluded is not None:
                self.forwards.open_out(proto, [range(*each) for each in excluded])
        if config.control or config.remember_frames:
            from .capture import Recorder  # with the HTTP server behind it, half of a router's start

            self.recorder = Recorder(self.net.stack, self.net.name, always=config.remember_frames)
        if config.control:
            from .control import Control

            self.control = Control(
                self.net,
                flows=self.flows,
                forwards=self.forwards,
                dhcp=self.dhcp,
                names=self.names,
                dns=self.dns,
                recorder=self.recorder,
                **self._shown,
            )
            await self.control.listen(config.control)

    async def aclose(self) -> None:
        """Leases are kept, where there is a file for them; forwards are closed, and their connections reset."""
        if self.control is not None:
            await self.control.aclose()
        if self.recorder is not None:
            self.recorder.close()
        await self.forwards.aclose()
        if self.dns is not None:
            await self.dns.aclose()
        if self.dhcp is not None:
            self.dhcp.close()
        if self._opening is not None:
            opening, self._opening = self._opening, None
            await opening.__aexit__(None, None, None)
