"""A userland router that a program can steer.

    router = netstack.Router("qemu:/run/vm.sock", default="deny")
    router.allow("api.github.com", ports=[443])

    @router.on_denied
    def denied(denial): log.warning("%s", denial)

    await router.serve_forever()

Guests get their addresses by DHCP and their names from a DNS of ours; each of their connections is accepted by our stack, decided
about (policy/), and goes on through the host's own sockets (nat/). Addresses are those that users of slirp know: the network is
10.0.2.0/24, the router is 10.0.2.2 in it, names are asked at 10.0.2.3, and the first guest is 10.0.2.100.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from ..address import Cidr, Ip4
from ..errors import ClosedError, UsageError
from ..runtime.net import Net
from ..signatures import Netif
from .bare import NETWORK, gateway_in
from .flow import Flow
from .guests.hub import together
from .guests.specs import Guests, open_guests, read_guest
from .household import Household
from .nat.config import NatConfig
from .nat.nat import Nat
from .policy.policy import Policy
from .services.forwards import Forwards
from .services.services import ServicesConfig


class Router:
    """`guests` are what guests hang on: a SPEC ("tap:tap0", "netns:1234", "qemu:/run/vm.sock", "fd:3"), a device, several in
    a list, or a mapping of names to devices. SPECs are opened when the router is entered, and closed with it, as devices are.

    network, gateway   of the guests, and our own address in it; None: the second      mtu   of devices that don't say theirs
    default            "allow" or "deny", for flows that no rule is about              policy  one that is ready, in place of it
    loopback           the gateway's address leads to the host's 127.0.0.1             isolate  guests don't see each other
    nat                limits and time-outs of flows                                   pcap, seed, config  as `netstack.open`'s

    What else there is goes to the services (services.py, `ServicesConfig.of`): dns, dns_address, dhcp, leases, forwards, outward,
    hosts, domain, control, … Raises UsageError.

    Rules and functions are the policy's: `allow`, `deny`, `limit`, `on_flow`, `on_denied`, `on_request`, `secret`, `intercept`.
    """

    def __init__(
        self,
        guests: str | Netif | Iterable[str | Netif] | Mapping[str, Netif],
        *,
        network: str | Cidr = NETWORK,
        gateway: str | Ip4 | None = None,
        default: str = "allow",
        loopback: bool = False,
        policy: Policy | None = None,
        mtu: int | None = None,
        isolate: bool = False,
        nat: NatConfig | None = None,
        pcap: str | None = None,
        seed: int | None = None,
        config: Any = None,
        **services: Any,
    ) -> None:
        self._specs, self._devices = sorted_out(guests)
        self.network, self.gateway = gateway_in(network, gateway)
        try:
            self.config = ServicesConfig.of(self.network, self.gateway, mtu=mtu, **services)
        except TypeError as error:
            raise UsageError(f"a Router has no such option: {str(error).rpartition(' ')[2]}") from None
        if policy is None:
            policy = Policy(default, network=self.network, gateway=self.gateway, loopback=loopback)
        self.policy = policy
        self.allow, self.deny, self.remove, self.limit = policy.allow, policy.deny, policy.remove, policy.limit
        self.may_resolve, self.secret, self.intercept = policy.may_resolve, policy.secret, policy.intercept
        self.on_flow, self.on_denied, self.on_request = policy.on_flow, policy.on_denied, policy.on_request
        self._mtu = mtu
        self._isolate = isolate
        self._options = {"nat": nat, "pcap": pcap, "seed": seed, "config": config}
        self._house: Household | None = None

    @property
    def house(self) -> Household:
        """What works. Raises ClosedError where nothing does."""
        if self._house is None:
            raise ClosedError("this router is not at work: enter it first, async with router")
        return self._house

    @property
    def net(self) -> Net:
        """The guests' side, with a stack of its own: dial guests from here, or serve them."""
        return self.house.net

    @property
    def nat(self) -> Nat:
        return self.house.nat

    @property
    def forwards(self) -> Forwards:
        """Ports of the host that lead to guests, and back: to add and remove at run time."""
        return self.house.forwards

    def flows(self) -> list[Flow]:
        """Those that are there now."""
        return self.house.flows()

    def counters(self) -> dict[str, dict[str, int]]:
        """Those of the stack, of NAT, of policy, of the services, and of each guest's port."""
        return self.house.counters()

    async def __aenter__(self) -> Router:
        if self._house is not None:
            raise UsageError("this router is at work already: make another one")
        guests = open_guests(self._specs, self._mtu) if self._specs else Guests()
        try:
            netifs = [*guests.netifs, *self._devices]
            netif = together(netifs, guests.doors, network=self.network, isolate=self._isolate)
            house = Household(netif, self.config, self.policy, **self._options)
            await house.__aenter__()
        except BaseException:
            guests.close()
            raise
        self._house = house
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        house, self._house = self.house, None
        await house.__aexit__(kind, error, tb)

    def stop(self) -> None:
        """Have `serve_forever` return."""
        self.house.stop()

    async def serve_forever(self) -> None:
        """Until `stop`, or the task is cancelled. Enters the router if it isn't."""
        if self._house is not None:
            await self._house.wait()
            return
        async with self:
            await self.house.wait()


def sorted_out(guests: str | Netif | Iterable[str | Netif] | Mapping[str, Netif]) -> tuple[list[str], list[tuple[str, Netif]]]:
    """SPECs that can be read, and devices with the names of their guests. Raises UsageError."""
    if isinstance(guests, Mapping):
        return [], list(guests.items())
    several = [guests] if isinstance(guests, str) or not isinstance(guests, Iterable) else list(guests)
    specs = [each for each in several if isinstance(each, str)]
    for spec in specs:
        read_guest(spec)
    devices = [(each.name, each) for each in several if not isinstance(each, str)]
    if not specs and not devices:
        raise UsageError("a router needs a guest: name a device, like tap:tap0 or qemu:/run/vm.sock")
    return specs, devices
