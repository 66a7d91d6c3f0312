"""The resolver of a net that has its name servers by DHCP (automatic.py), imported when the first name is asked for."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from ..dhcp.client import ClientLease
from ..dns.client.resolver import Resolver
from ..dns.resolve.forward import Forwarder
from ..errors import UsageError

if TYPE_CHECKING:
    from .face import NetFace


class LeasedResolver(Resolver[Any, Any]):
    """Asks the servers of the lease, whatever they are at the moment."""

    def serve(self, lease: ClientLease) -> None:
        try:
            self._finder = Forwarder(list(map(str, lease.dns)), random.SystemRandom())  # another cache: other servers, other truths
            self.search = lease.search or ((lease.domain,) if lease.domain else ())
        except UsageError:  # a domain that is none
            self.search = ()


def make(net: NetFace, lease: ClientLease) -> LeasedResolver:
    resolver = LeasedResolver(net, net, finder=Forwarder(list(map(str, lease.dns)), random.SystemRandom()))
    resolver.serve(lease)
    return resolver
