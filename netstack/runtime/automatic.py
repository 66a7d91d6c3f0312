"""Addresses and name servers that a net doesn't bring along: from DHCP (`netstack.open(…, ip="dhcp")`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..dhcp.client import ClientLease
from ..dhcp.clientonstack import ClientOnStack
from ..signatures import Rng

if TYPE_CHECKING:
    from .face import NetFace


def configure(
    net: NetFace,
    rng: Rng,
    hostname: str = "",
    device: int | str = 0,
    on_lease: Callable[[ClientLease | None], object] | None = None,
) -> None:
    """Have `net` configured by DHCP from now on: `net.dhcp` is who does it. Its name servers are asked unless there are others.
    Raises UsageError for a device without link addresses."""
    latest: ClientLease | None = None
    own_dns = net.dns is not None

    def leased(lease: ClientLease | None) -> None:
        nonlocal latest
        if on_lease is not None:
            on_lease(lease)
        if lease is None or own_dns or lease.dns == (() if latest is None else latest.dns):
            return
        before, latest = latest, lease
        if before is None:
            if net.dns is None:
                net.put_off_dns(resolve)
        elif not net.dns_is_put_off:
            from .leased import LeasedResolver

            resolver = net.dns
            if isinstance(resolver, LeasedResolver):  # or the program has chosen another
                resolver.serve(lease)

    def resolve() -> None:
        from .leased import make

        assert latest is not None
        net.dns = make(net, latest)

    client = ClientOnStack(net.stack, net.turn, rng, hostname=hostname, on_lease=leased, device=device)
    client.start(net.now())
    net.dhcp = client
    net.on_close(client.stop)
