"""Names of the net's world, for what connects on behalf of others."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .net import Net


async def look_up(net: Net, host: str) -> str:
    """A name or address as an address. Raises socket.gaierror, an OSError, where there is none."""
    found = await net.getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
    address: str = found[0][4][0]
    return address
