"""The door on a socket of the kernel's: asyncio's protocol, on any of its loops."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from .quick import Quick

PEERS = 4096  # addresses whose numbers are kept; forged ones must not make it grow, so a full one is emptied

Desk = Callable[[bytes, Any, int], bytes | None]  # a message, its sender as sockets have it, now; the answer, if it is there


class KernelDoor(asyncio.DatagramProtocol):
    """What `quick` hands on goes to `desk`, which answers by `transport.sendto`, now or later."""

    def __init__(self, quick: Quick, desk: Desk) -> None:
        self.quick = quick
        self.desk = desk
        self._turn = quick.turn
        self._buf = memoryview(quick.ask.buf)
        self._numbers: dict[str, tuple[int, int, bool]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._send = transport.sendto  # type: ignore[attr-defined]  # asyncio's signature is as wide

    def datagram_received(self, data: bytes, address: Any) -> None:
        numbers = self._numbers.get(address[0])
        if numbers is None:
            numbers = self._learn(address[0])
        now = monotonic_ns()
        n = self._turn(data, 0, len(data), *numbers, now)
        if n > 0:
            self._send(bytes(self._buf[:n]), address)
        elif n < 0:
            said = self.desk(data, address, now)
            self.quick.changed()
            if said is not None:
                self._send(said, address)

    def _learn(self, host: str) -> tuple[int, int, bool]:
        if len(self._numbers) >= PEERS:
            self._numbers.clear()
        ip = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        six = ip.version == 6
        number = int(ip)
        found = self._numbers[host] = (number >> 64, number & 0xFFFFFFFFFFFFFFFF, six)
        return found
