"""Connections that come by a port forward, carried by the NAT's relay (nat/relay.py) in the other direction: the host's socket is
there first, and the guest is connected to. Nothing is read before the guest has accepted; if it doesn't, the client is reset.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from ...address import Ip4
from ...errors import AddressInUse, NetstackError
from ...instant import SECOND
from ...runtime.doors.forward import DIAL_TIMEOUT, Tally
from ...runtime.doors.hostside import RESET, KernelSocket
from ..flow import Flow
from ..nat.nat import Nat
from ..nat.relay import Owner, Relay

NO_LINGER = bytes(len(RESET))


class InwardRelays(Owner):
    """Those of one forward. `changed()` is called when one has ended."""

    def __init__(self, nat: Nat, counts: Tally, changed: Callable[[], object]) -> None:
        self._nat = nat
        self._counts = counts
        self._changed = changed
        self._relays: dict[Relay, Any] = {}  # and what ends those whose guest is silent

    def __len__(self) -> int:
        return len(self._relays)

    def begin(self, sock: socket.socket, flow: Flow, source: tuple[int, int], guest: Ip4, port: int) -> None:
        """`source`: as whom the guest is connected to, 0 for an address or a port of ours."""
        self._counts.accepted += 1
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)  # as long as the guest hasn't answered
        fd = sock.detach()

        def work(now: int) -> bool:
            nat = self._nat
            tcp = nat.net.stack.tcp
            relay = Relay(self, nat.poller, nat.tcp.slabs, nat.timers, fd, None, flow, now)  # type: ignore[arg-type]  # no SYN was held
            try:
                nat.poller.watch(fd, relay)
                try:
                    tcp.connect(*source, int(guest), port, relay, now, prepare=relay.take_over)
                except AddressInUse:  # the client's port has a connection there already
                    tcp.connect(source[0], 0, int(guest), port, relay, now, prepare=relay.take_over)
            except (OSError, NetstackError):
                self._counts.refused += 1
                nat.poller.forget(fd)
                socket.close(fd)
                return False
            flow.state = "connecting"
            self._relays[relay] = nat.loop.call_later(DIAL_TIMEOUT / SECOND, self._give_up, relay)
            return False

        self._nat.turn(work)

    def flows(self) -> list[Flow]:
        for relay in self._relays:
            relay.flow.sent, relay.flow.received, relay.flow.last = relay.sent, relay.received, relay.last
        return [relay.flow for relay in self._relays]

    def close(self) -> None:
        """Reset them all."""

        def work(now: int) -> bool:
            for relay in list(self._relays):
                relay.abort(now)
            return False

        self._nat.turn(work)

    def _give_up(self, relay: Relay) -> None:
        self._nat.turn(relay.abort)

    # -- what relays tell (nat/relay.Owner) -------------------------------------------------------------------------------------

    def connected(self, relay: Relay, error: int, now: int) -> None:
        """The client's socket was connected from the start; but he may have gone while the guest was asked."""
        if error:
            relay.abort(now)

    def opened(self, relay: Relay, now: int) -> None:
        relay.flow.state = "open"
        self._relays[relay].cancel()
        sock = KernelSocket(fileno=relay.fd)
        try:
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        finally:
            sock.detach()

    def over(self, relay: Relay, error: Exception | None, now: int) -> None:
        timer = self._relays.pop(relay, None)
        if timer is None:
            return
        timer.cancel()
        counts = self._counts
        if relay.flow.state == "connecting":
            counts.refused += 1
        elif error is not None:
            counts.broken += 1
        counts.bytes_in += relay.received
        counts.bytes_out += relay.sent
        self._changed()
