"""The asyncio face: `netstack.open` and the `Net` that it gives.

    async with netstack.open("tap:tap0", addresses=["10.79.0.2/24"]) as net:
        reader, writer = await net.open_connection("10.79.0.1", 80)

A `Net` owns all that it starts: listeners, connections, handler tasks, timers, the device. Leaving the block ends them, gives
what was written and closed a moment to be delivered, and leaves nothing behind on the loop.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..address import Cidr, Ip4
from ..errors import UsageError
from ..instant import Instant
from ..loopback import Loopback
from ..plugins import Spec, find_stack, open_netif, open_stack
from ..records import evolve, frozen
from ..signatures import Netif, Rng
from ..stack import Stack, StackConfig
from .current import in_trio
from .names import Names
from .net import Net
from .reactor import clock_of

if TYPE_CHECKING:
    from .face import NetFace
    from .lookups import Dns, Servers
    from .trio.opening import TrioOpening

HOSTS = "/etc/hosts"


class Opening:
    """What `netstack.open` gives: enter it to have the net, leave it to be rid of it."""

    def __init__(self, netif: str | Netif, addresses: Sequence[str | Cidr], options: dict[str, Any]) -> None:
        self._netif = netif
        self._addresses = addresses
        self._options = options
        self._net: Net | None = None
        self._in_trio: TrioOpening | None = None
        self._stack: AbstractAsyncContextManager[Any] | None = None  # in place of a net of ours

    async def __aenter__(self) -> Net:
        spec = Spec.parse(self._netif) if isinstance(self._netif, str) else None
        if spec is not None and find_stack(spec.kind) is not None:
            stack = self._without_device(spec)
            if in_trio() and not getattr(stack, "any_runtime", False):
                raise UsageError(f"{spec.kind}: is a stack for asyncio only: choose a device like tap:tap0")
            self._stack = stack
            net: Net = await stack.__aenter__()  # not a Net, but what answers to the verbs that programs use of one
            return net
        if in_trio():
            from .trio.opening import TrioOpening

            self._in_trio = TrioOpening(self._netif, self._addresses, self._options)
            return await self._in_trio.__aenter__()  # type: ignore[return-value]  # as `open` says
        loop = asyncio.get_running_loop()
        self._net = build(self._netif, self._addresses, self._options, loop)
        try:
            await self._net.wait_addresses()
        except BaseException:
            await self._net.aclose()
            raise
        return self._net

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        if self._in_trio is not None:
            return await self._in_trio.__aexit__(kind, error, tb)
        if self._stack is not None:
            return await self._stack.__aexit__(kind, error, tb)
        assert self._net is not None
        await self._net.aclose()
        return False

    def _without_device(self, spec: Spec) -> AbstractAsyncContextManager[Any]:
        """A stack that somebody else made. Of our arguments it can only take addresses, each as an option of its own."""
        for key, value in self._options.items():
            if value is not None:
                raise UsageError(f"{spec.kind} has no device of ours: leave {key} out, or choose a device like tap:tap0")
        said = tuple(("address", str(cidr).partition("/")[0]) for cidr in self._addresses)
        if said:
            spec = evolve(spec, options=(*(item for item in spec.options if item[0] != "address"), *said))
        stack = open_stack(spec)
        assert stack is not None
        return stack


def prepare(netif: str | Netif, addresses: Sequence[str | Cidr], options: dict[str, Any], now: int) -> tuple[Stack, Plan]:
    """The stack for which `open` was asked, on its device, and what else was said."""
    plan = Plan.merge(netif, addresses, options)
    device = open_netif(plan.spec) if plan.spec is not None else netif
    assert not isinstance(device, str)
    try:
        device = plan.wrap(device)
        config = options.get("config")
        stack = Stack(device, now=Instant(now), rng=plan.rng, addresses=plan.addresses, gateway=plan.gateway, config=config)
    except BaseException:
        device.close()
        raise
    return stack, plan


def build(netif: str | Netif, addresses: Sequence[str | Cidr], options: dict[str, Any], loop: asyncio.AbstractEventLoop) -> Net:
    """A net at work on `loop`, which need not run yet. Whoever has it closes it; its addresses may still be probed for. Raises what
    `open` does."""
    stack, plan = prepare(netif, addresses, options, clock_of(loop)())
    try:
        net = Net(stack, loop, plan.names)
        if plan.dns is not None:
            net.dns = plan.dns
        net.start()
        plan.configure(net)
    except BaseException:
        stack.netif.close()
        raise
    return net


@frozen
class Plan:
    """Arguments and SPEC together; what is said in both places must not differ, and arguments win over nothing."""

    spec: Spec | None
    addresses: list[Cidr]
    gateway: Ip4 | None
    pcap: str | None
    fault: str | None
    rng: Rng
    names: Names
    dns: Servers | Dns | None
    dhcp: bool

    def configure(self, net: NetFace) -> None:
        """Once the net is turned: have others say what hasn't been said here."""
        if self.dhcp:
            from .automatic import configure

            configure(net, self.rng)

    @classmethod
    def merge(cls, netif: str | Netif, addresses: Sequence[str | Cidr], options: dict[str, Any]) -> Plan:
        taken: dict[str, tuple[str, ...]] = {}
        spec = Spec.parse(netif) if isinstance(netif, str) else None
        if spec is not None:
            taken, spec = spec.take("address", "gateway", "ip", "pcap", "fault", "seed", "hosts", "names", "dns")

        def one(key: str) -> str | None:
            said = options.get(key)
            written = taken.get(key, ())
            if len(written) > 1:
                raise UsageError(f"{key} stands {len(written)} times in the netif: give it once")
            return str(said) if said is not None else (written[0] if written else None)

        chosen = list(addresses) or list(taken.get("address", ()))
        ip = one("ip")
        if ip is not None and ip != "dhcp":
            if not any(c.isdigit() for c in ip):
                raise UsageError(f"ip={ip} is neither an address nor a way to get one: write ip=10.79.0.2/24, or ip=dhcp")
            if chosen:
                raise UsageError(f"ip={ip} stands beside other addresses: write all of them in addresses, or one in ip")
            chosen, ip = [ip], None
        cidrs = [cidr if isinstance(cidr, Cidr) else Cidr.parse_whole(cidr) for cidr in chosen]
        if ip is not None and (cidrs or one("gateway")):
            raise UsageError("ip=dhcp has the server say address and gateway: leave them out, or leave it out")
        if not cidrs and ip is None and not isinstance(netif, Loopback) and (spec is None or spec.kind != "loopback"):
            raise UsageError("the host needs an address: give one like 10.79.0.2/24, or write tap:tap0?address=10.79.0.2/24")
        gateway = one("gateway")
        seed = one("seed")
        rng: Rng = random.SystemRandom() if seed is None else random.Random(seed)
        names = read_names(options.get("hosts") or one("hosts"), one("names"))
        dns: Any = options.get("dns")
        if dns is None and (written := taken.get("dns", ())):
            dns = "system" if written == ("system",) else written
        if dns is not None and names.system:
            raise UsageError("names=system has the system's resolver answer, and dns= others: choose one of them")
        return cls(spec, cidrs, Ip4.parse(gateway) if gateway else None, one("pcap"), one("fault"), rng, names, dns, ip is not None)

    def wrap(self, device: Netif) -> Netif:
        """Faults next to the device, the capture above them: it shows what the stack saw."""
        if self.fault:
            from ..testing.faults import Faults
            from ..testing.netifs import FaultInjector

            device = FaultInjector(device, Faults.parse(self.fault))
        if self.pcap:
            from ..testing.netifs import Capture

            device = Capture(device, self.pcap)
        return device


def read_names(hosts: Mapping[str, str | Iterable[str]] | str | None, others: str | None) -> Names:
    """`hosts` as a table or a file of one; `others` says who is asked for other names."""
    if others not in (None, "own", "system"):
        raise UsageError(f"names={others} is neither own nor system: write names=system to ask the system's resolver")
    if isinstance(hosts, str):
        return Names.read(HOSTS if hosts == "system" else hosts, others == "system")
    return Names(hosts, others == "system")


def open(
    netif: str | Netif,
    *,
    addresses: Sequence[str | Cidr] = (),
    ip: str | None = None,
    gateway: str | None = None,
    pcap: str | None = None,
    fault: str | None = None,
    seed: int | None = None,
    config: StackConfig | None = None,
    hosts: Mapping[str, str | Iterable[str]] | str | None = None,
    names: str | None = None,
    dns: Servers | Dns | None = None,
) -> Opening:
    """A host of its own on `netif`, for as long as the `async with` block runs.

    netif      a SPEC such as "tap:tap0", "packet:eth0", "pcap:FILE"; options as in "tap:tap0?address=10.79.0.2/24"; or a Netif.
               "posix:" is the kernel's own network: streams, datagrams and asyncio's functions, and nothing of devices and layers
    addresses  own addresses with prefix lengths, "10.79.0.2/24"; at least one, here or in the SPEC
    ip         the address, where there is one; or "dhcp": address, gateway, MTU and name servers from a DHCP server, as long as
               the net is open; usable when the block begins, and given back at its end. TimedOut where none answers within 30 s
    gateway    where everything else goes
    pcap       a file that gets every frame the stack sees, as pcapng
    fault      what to do to the traffic: "loss=0.01,delay=20ms,seed=7"
    seed       makes chance repeatable (initial sequence numbers, ports); only for tests
    hosts      names of hosts and their addresses, or a file like /etc/hosts, or "system" for that one itself
    dns        who is asked for other names, over this net: servers, ["10.0.0.1"], ["tls://10.0.0.1#dns.example"] or
               ["https://10.0.0.1/dns-query"]; "system" for those of /etc/resolv.conf; or a Resolver. `net.dns` can be set later too
    names      "system" has the system's resolver answer for other names, over the host's own network; "own", the default, doesn't

    In a task of trio's the block gives a `TrioNet`; `netstack.runtime.trio.open` is the same and tells the type checker.

    Raises UsageError for what can't be, OSError where the device can't be had.
    """
    options = {
        "gateway": gateway, "pcap": pcap, "fault": fault, "seed": seed, "config": config, "hosts": hosts, "names": names,
        "dns": dns, "ip": ip,
    }  # fmt: skip
    return Opening(netif, addresses, options)


__all__ = ["Net", "Opening", "open"]
