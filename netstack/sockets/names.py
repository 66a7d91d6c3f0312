"""Socket addresses as programs write them, and as the stack does: literals only, names are resolved before they come here.

A socket of AF_INET6 speaks IPv4 behind mapped addresses (RFC 4291 2.5.5.2, RFC 3493 3.7): `::ffff:10.0.0.1`, and `::` for any.
There is no IPv6 below it yet, so every other address is as unreachable as on a host without an IPv6 route.
"""

from __future__ import annotations

import errno
import ipaddress
from typing import Any

from ..address import Ip4, ip4_text
from ..errors import UsageError
from . import const as c
from .failures import failure

SockAddr = tuple[Any, ...]
ANY = 0
BROADCAST = 0xFFFFFFFF


def parse(family: int, address: Any, call: str) -> tuple[int, int]:
    """What a program gave to `call`, as an address and a port. Raises TypeError and OverflowError as the standard library does, and
    OSError."""
    name = "AF_INET" if family == c.AF_INET else "AF_INET6"
    if not isinstance(address, tuple):
        raise TypeError(f"{call}(): {name} address must be tuple, not {type(address).__name__}")
    if not 2 <= len(address) <= (2 if family == c.AF_INET else 4):
        shape = "a pair (host, port)" if family == c.AF_INET else "a tuple (host, port[, flowinfo[, scopeid]])"
        raise TypeError(f"{call}(): {name} address must be {shape}")
    host, port = address[0], address[1]
    if not isinstance(port, int):
        raise TypeError(f"{call}(): the port must be an integer, not {type(port).__name__}")
    if not 0 <= port <= 65535:
        raise OverflowError(f"{call}(): port must be 0-65535.")
    if isinstance(host, bytes | bytearray):
        host = bytes(host).decode("ascii", "replace")
    if not isinstance(host, str):
        raise TypeError(f"{call}(): the host must be a string, not {type(host).__name__}")
    return (_mapped(host, call) if family == c.AF_INET6 else _ipv4(host, call)), port


def _ipv4(host: str, call: str) -> int:
    if host == "":
        return ANY
    if host == "<broadcast>":
        return BROADCAST
    try:
        return int(Ip4.parse(host))
    except UsageError:
        raise failure(errno.EINVAL, f"{call}(): {host!r} is not an IPv4 address, and names are resolved before") from None


def _mapped(host: str, call: str) -> int:
    if host in ("", "::"):
        return ANY
    try:
        mapped = ipaddress.IPv6Address(host.partition("%")[0]).ipv4_mapped
    except ipaddress.AddressValueError:
        raise failure(errno.EINVAL, f"{call}(): {host!r} is not an IPv6 address, and names are resolved before") from None
    if mapped is None:
        number = errno.EADDRNOTAVAIL if call == "bind" else errno.ENETUNREACH
        raise failure(number, f"{call}(): there is no IPv6 here, only mapped addresses like ::ffff:10.0.0.1")
    return int(mapped)


def text(family: int, ip: int, port: int) -> SockAddr:
    """As `getsockname` gives it."""
    if family == c.AF_INET:
        return ip4_text(ip), port
    return (f"::ffff:{ip4_text(ip)}" if ip else "::"), port, 0, 0
