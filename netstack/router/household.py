"""A router with all that belongs to it: guests, NAT, services, policy.

    house = Household(netif, ServicesConfig(network=…, gateway=…), Policy("deny", network=…))
    house.policy.allow("*.debian.org")
    async with house:
        await house.wait()

Each part knows the others only by what it is given here: policy is the gate of the NAT, behind the forwards; DNS tells policy what
it has answered, DHCP tells the switch whose an address is, and the switch tells all of them which guest it was.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from types import TracebackType
from typing import Any

from ..address import Cidr, Ip4
from ..dhcp.leases import Lease, State
from ..errors import UsageError
from ..runtime.net import Net
from ..signatures import Netif
from .bare import BareRouter
from .flow import Decision, Flow
from .guests.hub import Switch
from .nat.hostaddresses import HostAddresses
from .nat.nat import Nat
from .policy.policy import Policy
from .services.everyport import reserve
from .services.forwards import Forwards
from .services.services import Services, ServicesConfig


class Household:
    """`guest` is what guests hang on, a device or a `Switch`; `options` are those of a `BareRouter`: pcap, seed, nat, config.

    While it works there are `net`, `nat`, `services`, `forwards`; `policy` from the beginning.
    """

    def __init__(self, guest: Netif, services: ServicesConfig, policy: Policy, **options: Any) -> None:
        """Raises UsageError."""
        self.policy = policy
        self.config = services
        own: dict[str, Any] = {"gate": self, "reserve": self._reserve, **options}
        self.router = BareRouter(guest, network=services.network, gateway=services.gateway, **own)
        self.network: Cidr = self.router.network
        self.gateway: Ip4 = self.router.gateway
        self.services: Services = None  # type: ignore[assignment]  # while it works
        self._switch = guest if isinstance(guest, Switch) else None
        self._own: HostAddresses | None = None
        if self._switch is not None:
            for address in {services.gateway, services.dns or services.gateway}:
                self._switch.reserve(int(address))

    def _reserve(self, descriptors: int) -> int:
        """For ports of the host that wait for whoever comes."""
        return reserve(descriptors) * sum(said is not None for said in (self.config.tcp_all, self.config.udp_all))

    # -- what may be asked of it --------------------------------------------------------------------------------------------

    @property
    def net(self) -> Net:
        return self.router.net

    @property
    def nat(self) -> Nat:
        return self.router.nat

    @property
    def forwards(self) -> Forwards:
        return self.services.forwards

    def flows(self) -> list[Flow]:
        return self.services.flows()

    def counters(self) -> dict[str, dict[str, int]]:
        """Those of the stack, of NAT, of policy, of the services, and of each guest's port."""
        found = self.router.counters() | {"Policy": self.policy.mib.snapshot()} | self.services.counters()
        if self._switch is not None:
            found |= {f"Guest {name}": counters for name, counters in self._switch.statistics().items()}
        return found

    async def wait(self) -> None:
        """Until `stop`."""
        await self.router.serve_forever()

    def stop(self) -> None:
        self.router.stop()

    # -- the gate -----------------------------------------------------------------------------------------------------------

    def decide(self, flow: Flow) -> Decision | Awaitable[Decision]:
        services = self.services
        if services is None:  # what comes while we begin
            return Decision.deny("the router is starting", "drop")
        forwards = services.forwards
        return (forwards.decide(flow) if forwards.outward else None) or self.policy.decide(flow)

    def over(self, flow: Flow) -> None:
        self.policy.over(flow)

    # -- at work ------------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Household:
        self._own = HostAddresses()
        try:
            self.policy.own = self._own  # type: ignore[assignment]  # it says `in` of ints, and of nothing else
            await self.router.__aenter__()
            try:
                await self._begin()
            except BaseException:
                await self.router.__aexit__(None, None, None)
                raise
        except BaseException:
            self._own.close()
            raise
        return self

    async def _begin(self) -> None:
        switch = self._switch
        if switch is not None:
            self.nat.guest_of = switch.guest_of
        services = Services(
            self.net,
            self.config,
            guest_of=None if switch is None else switch.guest_of_mac,
            there=None if switch is None else switch.there,
            may_ask=self._may_ask,
            on_answer=self.policy.on_answer,
            on_lease=self._leased,
            cam=self._cam,
            policy=self.policy,
            counters=self.counters,
        )
        await services.start(self.nat)
        self.services = services

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._own is not None
        try:
            await self.services.aclose()
        finally:
            await self.router.__aexit__(kind, error, tb)
            self._own.close()

    def _may_ask(self, guest: Ip4, name: str, type: int) -> bool | tuple[()]:
        """What is known here is asked of nobody, so no rule has to allow it; where one may connect to is another question."""
        if self.services is not None and self.services.names.find(name) is not None:
            return True
        return self.policy.may_ask(guest, name, type)

    def _leased(self, lease: Lease) -> None:
        """An address has become a guest's, or nobody's: now nobody else may send from it."""
        if lease.state is State.FREE:
            self.policy.bind(lease.address, "")  # whoever gets it next has asked for no names yet
        if self._switch is None or not lease.guest:
            return
        if lease.state is State.BOUND:
            try:
                self._switch.bind_ip(lease.guest, lease.address)
            except UsageError:  # it has gone meanwhile
                return
        elif lease.state is State.FREE:
            self._switch.release_ip(lease.address)

    def _cam(self) -> Mapping[str, int]:
        """Link addresses and the numbers of their ports."""
        if self._switch is None:
            return {}
        return {f"{mac:012x}": port.number for mac, port in self._switch.macs.items()}
