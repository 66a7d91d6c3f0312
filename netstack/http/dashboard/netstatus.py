"""What a dashboard shows of a net, whatever its event loop: `Dashboard(NetStatus(net), clock=net.now)`."""

import heapq
from collections.abc import Mapping, Sequence
from typing import Any

from ... import const
from ...adapters import Observer
from ...address import Cidr, Ip4, ip4_text
from ...counters import Group
from ...records import asdict
from ...runtime.face import NetFace, connection_row
from ...tcp.connection import Connection
from .status import Pair, Picked, Row

OFFLOADS = {
    "checksums": const.OFFLOAD_CSUM,
    "TCP segmentation": const.OFFLOAD_TSO4,
    "UDP segmentation": const.OFFLOAD_USO,
    "gathering": const.OFFLOAD_GATHER,
}
MINUTE = 60_000_000_000


class NetStatus:
    """`more`: groups of counters beside the stack's own, those of servers that run on it (`HttpServer.mib`,
    `DnsServer.groups()`); it may grow. `facts` are shown as they
    are: "build" and "version"."""

    def __init__(self, net: NetFace, more: Mapping[str, Group] | None = None, facts: Row | None = None) -> None:
        self._net = net
        self._more = {} if more is None else more
        self._facts = facts or {}
        self._observer: Observer | None = None

    def about(self) -> Row:
        netif = self._net.netif
        offload = [name for name, flag in OFFLOADS.items() if netif.offload & flag]
        return {
            "netif": netif.name,
            "addresses": list(self._net.addresses),
            "mac": "" if netif.mac is None else str(netif.mac),
            "mtu": netif.mtu,
            "offloads": offload,
            "congestion": self._net.stack.config.tcp.congestion,
            **self._facts,
        }

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        return self._net.counters() | {name: group.snapshot() for name, group in self._more.items()}

    def meanings(self) -> Mapping[str, Mapping[str, str]]:
        return self._net.meanings() | {name: group.MEANING for name, group in self._more.items()}

    def connections(self) -> Sequence[Row]:
        return self._net.connections()

    def busiest(self, most: int, words: Sequence[str]) -> tuple[int, int, Sequence[Row]]:
        everyone = list(self._net.stack.tcp.connections())
        found = [conn for conn in everyone if all(word in _text(conn) for word in words)] if words else everyone
        shown = heapq.nlargest(most, found, key=lambda conn: conn.heard)
        return len(everyone), len(found), [row_of(conn) for conn in shown]

    def neighbours(self) -> Sequence[Row]:
        arp = self._net.stack.arp
        if arp is None:
            return []
        now = self._net.now()
        return [
            {
                "address": str(entry.ip),
                "link": "" if entry.mac is None else str(entry.mac),
                "state": entry.state.name.lower(),
                "waiting": entry.waiting,
                # in minutes: the table is sent when it has changed, and it should not change with each second
                "confirmed": None if entry.confirmed is None else max(0, now - entry.confirmed) // MINUTE,
            }
            for entry in arp.table()
        ]

    def routes(self) -> Sequence[Row]:
        return [
            {
                "to": str(Cidr(Ip4(route.network), route.length)),
                "gateway": "" if route.gateway is None else ip4_text(route.gateway),
                "mtu": route.interface.mtu,
            }
            for route in self._net.stack.ip.routes.all()
        ]

    def listeners(self) -> Sequence[Row]:
        stack = self._net.stack
        rows: list[Row] = []
        for port, by_address in sorted(stack.tcp.hub.listeners.items()):
            for address, each in sorted(by_address.items()):
                where = ip4_text(address) if address else "every address"
                rows.append(
                    {"protocol": "TCP", "port": port, "address": where, "waiting": each.waiting, "backlog": each.backlog,
                     "half": each.half}
                )  # fmt: skip
        rows += [{"protocol": "UDP", "port": port} for port in sorted(stack.udp.ports)]
        return rows

    def pick(self, pair: Pair) -> Picked | None:
        for conn in self._net.stack.tcp.connections():
            if pair_of(conn) == pair:
                return PickedConnection(conn)
        return None

    @property
    def ethernet(self) -> bool:
        return self._net.netif.mac is not None

    def watch(self, observer: Observer | None) -> None:
        stack = self._net.stack
        if self._observer is not None:
            stack.unwatch(self._observer)
        self._observer = observer
        if observer is not None:
            stack.watch(observer)


class PickedConnection:
    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self.pair = pair_of(conn)
        self.iss = conn.iss

    @property
    def irs(self) -> int:
        return self._conn.irs

    @property
    def over(self) -> bool:
        return self._conn.state_name in ("CLOSED", "TIME-WAIT")

    def row(self) -> Row:
        return connection_row(self._conn)

    @property
    def received(self) -> int:
        return (self._conn.rcv_nxt - self._conn.irs) & const.M32

    @property
    def scales(self) -> tuple[int, int]:
        return max(0, self._conn.rcv_wscale), max(0, self._conn.snd_wscale)


def pair_of(conn: Connection) -> Pair:
    return f"{ip4_text(conn.local)}:{conn.local_port}", f"{ip4_text(conn.remote)}:{conn.remote_port}"


def row_of(conn: Connection) -> dict[str, Any]:
    """As `connection_row`, without what is long."""
    local, remote = pair_of(conn)
    row = {"local": local, "remote": remote} | asdict(conn.info(), recurse=False)
    del row["retransmissions"]
    return row


def _text(conn: Connection) -> str:
    return f"{' '.join(pair_of(conn))} {conn.state_name} {conn.congestion}".lower()
