"""Who asks, and the networks that he may belong to."""

import ipaddress
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ...errors import UsageError

KEPT = 4096  # verdicts about addresses: forged sources must not make it grow, so a full one is emptied


class Client(NamedTuple):
    """Where a query came from. `address` as text; `stream`: over TCP; `encrypted`: under TLS."""

    address: str
    port: int
    stream: bool = False
    encrypted: bool = False


def numbers(address: str) -> tuple[int, int, bool]:
    """An address as cookies and rate limits take it: `low` of IPv4, `high` and `low`, 64 bits each, of IPv6, and which it is. One
    of IPv4 that a socket for both families shows is one of IPv4."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    number = int(ip)
    return number >> 64, number & 0xFFFFFFFFFFFFFFFF, ip.version == 6


class Networks:
    """A set of networks, `10.0.0.0/8` or `2001:db8::/32`; an address alone is a network of one; `any` is all of both families."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self.texts = tuple(networks)
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._verdicts: dict[str, bool] = {}
        for text in self.texts:
            for each in ("0.0.0.0/0", "::/0") if text == "any" else (text,):
                try:
                    self._networks.append(ipaddress.ip_network(each, strict=False))
                except ValueError:
                    raise UsageError(f"{text!r} is not a network: write one like 10.79.0.0/24, an address, or any") from None

    def __contains__(self, address: object) -> bool:
        verdict = self._verdicts.get(address)  # type: ignore[call-overload]  # whatever it is
        if verdict is None:
            if len(self._verdicts) >= KEPT:
                self._verdicts.clear()
            verdict = self._verdicts[str(address)] = self._find(str(address))
        return bool(verdict)

    def _find(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped  # one socket for both families shows IPv4 clients like this
        return any(address in network for network in self._networks)

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __bool__(self) -> bool:
        return bool(self._networks)
