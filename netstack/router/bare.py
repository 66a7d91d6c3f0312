"""The NAT of a router alone: the network of the guests on one side, the host's own sockets on the other, and a gate between.

    async with BareRouter("tap:tap0", gate=gate) as router:
        await router.serve_forever()

`Router` (router.py) has services and a policy as well. Addresses as users of slirp know them: the network is 10.0.2.0/24, the
router is 10.0.2.2 in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Callable
from types import TracebackType

import attrs

from .. import records
from ..address import Cidr, Ip4
from ..errors import UsageError
from ..runtime import asyncio as opening
from ..runtime.net import Net
from ..signatures import Netif
from ..stack import StackConfig
from .flow import Flow, Gate
from .gate import OpenGate
from .nat.config import NatConfig
from .nat.nat import Nat

NETWORK = "10.0.2.0/24"
MANY = 1 << 30  # descriptors, where nobody counts them
GATEWAY = 2  # its address in the network, as slirp has it


class BareRouter:
    """`guest` is a device that guests hang on: a SPEC such as "tap:tap0", or a Netif. Enter it to have it work.

    network   of the guests                    gateway   the router's own address in it; None: the second
    gate      who decides about flows; None: an `OpenGate`, for which `loopback` opens the host's 127.0.0.1 at the gateway's address
    nat       limits and time-outs                guest_of  names the guest of an address, for its flows
    reserve   how many, of so many descriptors, are not for flows

    While it works, `net` is the near side, with `net.stack` below it, and `nat` what carries the flows.

    Raises UsageError.
    """

    def __init__(
        self,
        guest: str | Netif,
        *,
        network: str | Cidr = NETWORK,
        gateway: str | Ip4 | None = None,
        gate: Gate | None = None,
        loopback: bool = False,
        nat: NatConfig | None = None,
        config: StackConfig | None = None,
        guest_of: Callable[[int], str] | None = None,
        seed: int | None = None,
        pcap: str | None = None,
        reserve: Callable[[int], int] | None = None,
    ) -> None:
        self.network, self.gateway = gateway_in(network, gateway)
        self._guest = guest
        self._own_gate = OpenGate(self.gateway, network=self.network, loopback=loopback) if gate is None else None
        self.gate: Gate = gate if gate is not None else self._own_gate  # type: ignore[assignment]  # one of them is there
        self._limits = nat or NatConfig()
        self._guest_of = guest_of
        self._reserve = reserve or (lambda descriptors: 0)
        config = config or StackConfig()
        self._config = records.evolve(
            config,
            ip=records.evolve(config.ip, any_ip=True),
            tcp=records.evolve(config.tcp, max_connections=max(config.tcp.max_connections, 2 * self._limits.max_tcp)),
        )
        self._options = {"config": self._config, "seed": seed, "pcap": pcap}
        self._opening: opening.Opening | None = None
        self._over: asyncio.Event | None = None
        self.net: Net = None  # type: ignore[assignment]  # while it works
        self.nat: Nat = None  # type: ignore[assignment]

    async def __aenter__(self) -> BareRouter:
        if self._opening is not None:
            raise UsageError("this router has been entered already: make another one")
        descriptors = room_for_descriptors()
        limits = within(self._limits, descriptors - self._reserve(descriptors))
        address = Cidr(self.gateway, self.network.length)
        self._opening = opening.Opening(self._guest, [address], dict(self._options))
        self.net = await self._opening.__aenter__()
        self._over = asyncio.Event()
        try:
            self.nat = Nat(self.net, self.gate, limits, guest_of=self._guest_of)
            self.nat.start()
        except BaseException:
            await self._opening.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._opening is not None
        if self._over is not None:
            self._over.set()
        try:
            await self.nat.aclose()
        finally:
            await self._opening.__aexit__(kind, error, tb)
            if self._own_gate is not None:
                self._own_gate.close()

    def flows(self) -> list[Flow]:
        """Those that are there now."""
        return self.nat.flows()

    def counters(self) -> dict[str, dict[str, int]]:
        """Those of the stack, and `Nat`."""
        return self.net.counters() | {"Nat": self.nat.counters()}

    def stop(self) -> None:
        """Have `serve_forever` return."""
        if self._over is not None:
            self._over.set()

    async def serve_forever(self) -> None:
        """Until `stop`, or the task is cancelled. Enters the router if it isn't."""
        if self._opening is None:
            async with self:
                await self.serve_forever()
            return
        assert self._over is not None
        await self._over.wait()


def gateway_in(network: str | Cidr, gateway: str | Ip4 | None) -> tuple[Cidr, Ip4]:
    """The guests' network, and the router's own address in it. Raises UsageError."""
    cidr = network if isinstance(network, Cidr) else Cidr.parse(network)
    if cidr.length > 30:
        raise UsageError(f"{cidr} has no room for a router and a guest: choose a network of /30 or larger")
    base = int(cidr.network)
    whole = Cidr(Ip4(base), cidr.length)
    own = Ip4(base + GATEWAY) if gateway is None else gateway if isinstance(gateway, Ip4) else Ip4.parse(gateway)
    if own not in whole or int(own) in (base, int(whole.broadcast or 0)):
        raise UsageError(f"the gateway {own} is no host's address in {whole}: choose one that is")
    return whole, own


def room_for_descriptors() -> int:
    """Each flow is one: take as many as this process may have, and say how many those are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return MANY if soft == resource.RLIM_INFINITY else soft


def within(limits: NatConfig, descriptors: int) -> NatConfig:
    """Tables that are full before the descriptors are used up: or a guest that fills its share has taken the others' too, for whom
    the host has no socket any more."""
    wanted = limits.max_tcp + limits.max_sockets + limits.max_echo
    room = descriptors - max(descriptors // 8, 32)  # for devices, listeners, questions to name servers
    if wanted <= room:
        return limits
    smaller = {name: max(getattr(limits, name) * room // wanted, 1) for name in ("max_tcp", "max_echo", "tcp_per_guest")}
    sockets = min(limits.max_sockets, max(room - smaller["max_echo"], 1))
    return attrs.evolve(limits, **smaller, max_sockets=sockets, descriptors=max(room, 1))
