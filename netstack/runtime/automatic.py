"""Addresses and name servers that a net doesn't bring along: from DHCP (`netstack.open(…, ip="dhcp")`)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..dhcp.client import ClientLease
from ..dhcp.onstack import ClientOnStack
from ..dns.client.resolver import Resolver
from ..dns.resolve.forward import Forwarder
from ..errors import UsageError
from ..signatures import Rng

if TYPE_CHECKING:
    from .face import NetFace


class LeasedResolver(Resolver[Any, Any]):
    """Asks the servers of the lease, whatever they are at the moment."""

    def serve(self, lease: ClientLease) -> None:
        self._finder = Forwarder(list(map(str, lease.dns)), random.SystemRandom())  # another cache: other servers, other truths
        self.search = lease.search or ((lease.domain,) if lease.domain else ())


def configure(
    net: NetFace,
    rng: Rng,
    hostname: str = "",
    device: int | str = 0,
    on_lease: Callable[[ClientLease | None], object] | None = None,
) -> None:
    """Have `net` configured by DHCP from now on: `net.dhcp` is who does it. Its name servers are asked unless there are others.
    Raises UsageError for a device without link addresses."""
    servers: tuple[object, ...] = ()
    own_dns = net.dns is not None

    def leased(lease: ClientLease | None) -> None:
        nonlocal servers
        if on_lease is not None:
            on_lease(lease)
        if lease is None or own_dns or lease.dns == servers:
            return
        servers = lease.dns
        resolver = net.dns
        if not isinstance(resolver, LeasedResolver):
            if resolver is not None:
                return  # the program has chosen another
            resolver = LeasedResolver(net, net, finder=Forwarder(list(map(str, lease.dns)), random.SystemRandom()))
            net.dns = resolver
        try:
            resolver.serve(lease)
        except UsageError:  # a domain that is none
            resolver.search = ()

    client = ClientOnStack(net.stack, net.turn, rng, hostname=hostname, on_lease=leased, device=device)
    client.start(net.now())
    net.dhcp = client
    net.on_close(client.stop)
