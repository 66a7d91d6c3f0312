"""The servers that were met, and whom to ask first.

A table that strangers fill: every referral names servers. So it is bounded, the one unused for longest goes first; and what is
known of a server ages, so that one who has learnt EDNS, or was down, is met anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from ...signatures import Rng
from .upstream import SECOND, Upstream

MOST = 8192  # some 3 MB; a zone of an attacker can name thousands of addresses that don't answer
AGE = 900 * SECOND  # Unbound's infra-host-ttl
UNKNOWN = 50_000_000  # ns that one is taken to need who was never asked: strangers get a chance before the distant
PENALTY = 400_000_000  # ns for every time-out since the last answer
EXPLORE = 16  # every so many choices another than the fastest comes first: it may have become faster


class Roster:
    def __init__(self, rng: Rng, port: int = 53, cookies: bool = True, most: int = MOST) -> None:
        self.rng = rng
        self.port = port
        self.cookies = cookies
        self.most = most
        self._table: OrderedDict[str, tuple[Upstream, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._table)

    def get(self, address: str, now: int) -> Upstream:
        """What is known of the server at `address`."""
        found = self._table.get(address)
        if found is not None and now - found[1] < AGE:
            self._table.move_to_end(address)
            return found[0]
        cookie = self.rng.getrandbits(64).to_bytes(8, "big") if self.cookies else b""  # one for each server: RFC 7873 4.1
        server = Upstream(address, self.port, cookie)
        if found is not None:
            server.srtt, server.rttvar = found[0].srtt, found[0].rttvar
        self._table[address] = server, now
        self._table.move_to_end(address)
        if len(self._table) > self.most:
            self._table.popitem(last=False)
        return server

    def ranked(self, addresses: Iterable[str], now: int) -> list[Upstream]:
        """The servers at `addresses`, the first to be asked first: near ones, with a little chance, the silent ones last."""
        servers = sorted((self.get(address, now) for address in addresses), key=self._cost)
        if len(servers) > 1 and self.rng.getrandbits(16) % EXPLORE == 0:
            servers.insert(0, servers.pop(1 + self.rng.getrandbits(16) % (len(servers) - 1)))
        return servers

    def _cost(self, server: Upstream) -> int:
        cost = (server.srtt or UNKNOWN) + min(server.failures, 16) * PENALTY
        return cost * (192 + self.rng.getrandbits(7)) >> 8  # 0.75 to 1.25: near ones share the load, and a forger must guess whom
