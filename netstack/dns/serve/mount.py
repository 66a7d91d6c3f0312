"""The short way (quick.py) in front of a port that was opened, where its stack lets us that near: on our own UDP inside of the turn
that brings a datagram, on the kernel's sockets by batches. Elsewhere a task receives, and everything goes to the desk.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ...address import ip4_text
from ...errors import NetstackError
from ...signatures import Datagrams
from ...udp.core import UdpPort
from .client import Client
from .door import Door
from .quick import Quick
from .socketdoor import SocketDoor

Reply = Callable[[bytes], None]  # sends one datagram; what the network doesn't take is counted
Take = Callable[[bytes, Client, int, Reply], bytes | None]  # what has no short way; the answer, unless `Reply` gets it


def mount(opened: Datagrams, quick: Quick, take: Take) -> bool:
    """True where `opened` is answered by `quick` and `take` from now on; then nobody is to receive from it."""
    port = getattr(opened, "port", None)
    if isinstance(port, UdpPort):
        _on_our_udp(opened, port, quick, take)
        return True
    attend = getattr(opened, "attend", None)
    if attend is not None and sys.platform.startswith("linux"):
        _on_a_socket(attend, quick, take)
        return True
    return False


def _on_our_udp(opened: Any, port: UdpPort, quick: Quick, take: Take) -> None:
    def hand_on(wire: bytes, address: int, sport: int, now: int) -> bytes | None:
        client = Client(ip4_text(address), sport)
        asked = door.asked

        def reply(data: bytes) -> None:
            try:
                opened.answer_nowait(data, address, sport, asked)  # perhaps long after this turn
            except (OSError, NetstackError):
                quick.mib.OutFailed += 1

        return take(wire, client, now, reply)

    door = Door(quick, hand_on)
    door.port = port
    port.user = door


def _on_a_socket(attend: Callable[[Callable[[], None]], Any], quick: Quick, take: Take) -> None:
    door: SocketDoor

    def hand_on(wire: bytes, address: Any, now: int) -> bytes | None:
        def reply(data: bytes) -> None:
            if door.sock.fileno() >= 0:
                door.send(data, address)
            else:
                quick.mib.OutFailed += 1

        return take(wire, Client(address[0], address[1]), now, reply)

    door = SocketDoor(attend(lambda: door.on_readable()), quick, hand_on)
