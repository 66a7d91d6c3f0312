"""What a host sends at one instant, in an order that its program has no part in.

A chat that keeps its connections in a set, and tells all of them what somebody said, writes in the order of their addresses in
memory: another one in each run, and with it other frames are lost. Nothing that a program may rely on says in which order packets
of different connections leave a host, so here they leave in the order in which the host first sent on them. Those on which it
never has are taken by the address and port that they go to, and what has all this in common stays in the program's order. So what
a program does in a certain order is seen in that order, or in a similar one, and what it does in none, always in the same.

An event loop's driver holds the frames back until nobody can add to them (runtime/worlds.py); a world without a loop has none of
this.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import const
from .inbox import InboxNetif

FRAGMENT = const.IP_MF | const.IP_OFFSET
NO_FLOW = b""  # of what is no IPv4: it goes first
MOST_FLOWS = 65_536  # a scan of all ports must not fill the memory; after so many all are new again


class Outbox:
    """Of one device. `hold(outbox)` is told when it has become worth a `release`."""

    __slots__ = ("_flows", "_frames", "_hold", "_link", "_netif")

    def __init__(self, netif: InboxNetif, hold: Callable[[Outbox], None]) -> None:
        self._netif = netif
        self._hold = hold
        self._link = 0 if netif.mac is None else 14
        self._flows: dict[bytes, int] = {NO_FLOW: 0}
        self._frames: list[tuple[int, bytes, bytes]] = []

    def put(self, frame: bytes, now: int) -> None:
        self._frames.append((now, flow_of(frame, self._link), frame))
        if len(self._frames) == 1:
            self._hold(self)

    def release(self) -> None:
        """Send all, each as of the instant at which it was put here."""
        frames, self._frames = self._frames, []
        flows = self._flows
        new = [item[1] for item in frames if item[1] not in flows]
        if new:
            if len(flows) > MOST_FLOWS:
                flows.clear()
                flows[NO_FLOW] = 0
                new = [item[1] for item in frames]
            if len(new) > 1:
                new.sort(key=_whither)
            for flow in new:
                flows.setdefault(flow, len(flows))
        if len(frames) > 1:
            frames.sort(key=self._rank)
        for now, _, frame in frames:
            self._netif.transmit(frame, now)

    def _rank(self, item: tuple[int, bytes, bytes]) -> tuple[int, int]:
        return item[0], self._flows[item[1]]


def flow_of(frame: bytes, link: int) -> bytes:
    """Who talks to whom in it, behind a header of `link` bytes: protocol, addresses, and the ports of TCP and UDP."""
    if len(frame) < link + 20 or (link and frame[12:14] != b"\x08\x00"):
        return NO_FLOW
    proto = frame[link + 9]
    flow = frame[link + 9 : link + 10] + frame[link + 12 : link + 20]
    fragment = (frame[link + 6] << 8 | frame[link + 7]) & FRAGMENT
    if fragment or proto not in (const.PROTO_TCP, const.PROTO_UDP):
        return flow
    ports = link + (frame[link] & 15) * 4
    return flow + frame[ports : ports + 4]


def _whither(flow: bytes) -> bytes:
    """Where a flow goes: the address, then the port there."""
    return flow[5:9] + flow[:1] + flow[11:]
