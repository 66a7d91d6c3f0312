"""Errors of ICMP in a capture: what they quote is mapped to what our host sends now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import attrs

from .. import const
from ..checksum import checksum
from .steps import DatagramStep

if TYPE_CHECKING:
    from .talk import TcpPlay


def requoted(
    step: DatagramStep, connection: Callable[[int, int, int], TcpPlay | None], ports: Mapping[int, int]
) -> DatagramStep:
    """The same step, with the ports and the sequence number that our stack uses in place of those that were captured. `ports` maps
    live ones to captured ones."""
    data = step.payload
    head = (data[0] & 15) << 2
    inner = head + 8
    if len(data) < inner + 28 or data[9] != const.PROTO_ICMP or data[head] not in (3, 4, 11, 12):
        return step
    at = inner + ((data[inner] & 15) << 2)
    if len(data) < at + 8:
        return step
    peer = int.from_bytes(data[inner + 16 : inner + 20], "big")
    ours, theirs, number = (int.from_bytes(data[at + o : at + o + n], "big") for o, n in ((0, 2), (2, 2), (4, 4)))
    new = bytearray(data)
    if data[inner + 9] == const.PROTO_TCP:
        play = connection(ours, peer, theirs)
        if play is None or play.host_port is None or play.host_isn is None or play.talk.our_isn is None:
            return step
        new[at : at + 2] = play.host_port.to_bytes(2, "big")
        new[at + 4 : at + 8] = ((number - play.talk.our_isn + play.host_isn) & const.M32).to_bytes(4, "big")
    elif data[inner + 9] == const.PROTO_UDP:
        live = next((live for live, captured in ports.items() if captured == ours), ours)
        new[at : at + 2] = live.to_bytes(2, "big")
    new[head + 2 : head + 4] = b"\0\0"
    new[head + 2 : head + 4] = checksum(bytes(new[head:])).to_bytes(2, "big")
    return attrs.evolve(step, payload=bytes(new))
