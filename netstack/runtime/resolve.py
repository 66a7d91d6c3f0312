"""Host names for the faces, until there is a resolver: literals, and the names of oneself."""

from __future__ import annotations

import functools

from ..address import Ip4
from ..errors import UsageError

_LOCALHOST = 0x7F000001


@functools.lru_cache(maxsize=1024)
def ipv4(host: str) -> int:
    """A host as an address. Raises UsageError for what is neither an IPv4 literal nor `localhost`."""
    if host == "localhost":
        return _LOCALHOST
    try:
        return int(Ip4.parse(host))
    except UsageError:
        raise UsageError(f"{host!r} is not an IPv4 address, and names are not resolved here: write one like 10.79.0.2") from None
