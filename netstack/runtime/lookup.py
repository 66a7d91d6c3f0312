"""Names of the net's world, for what connects on behalf of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .resolve import ipv4

if TYPE_CHECKING:
    from .net import Net


async def look_up(net: Net, host: str) -> str:
    """A name or address as an address. Raises OSError or UsageError where there is none."""
    ipv4(host)
    return host
