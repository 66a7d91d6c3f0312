"""The gate that stands where nobody has put another: guests may go everywhere but home.

Home is what only the host itself should reach: its loopback, its own addresses, its link-local neighbours (a cloud's metadata
service lives there), and nobody at all: groups, broadcast, reserved addresses. The host's own loopback can be opened on purpose, at
the gateway's address, as slirp does it.
"""

from __future__ import annotations

from ..address import Cidr, Ip4
from .flow import Decision, Flow
from .nat.hostaddresses import HostAddresses

LOCALHOST = "127.0.0.1"


class OpenGate:
    """`loopback`: what is for `gateway`, and no service of ours, goes to the host's 127.0.0.1. `own` allows its other addresses.
    `network` is the guests', on which nobody is to be found outside of it."""

    def __init__(
        self, gateway: Ip4 | None = None, *, network: Cidr | None = None, loopback: bool = False, own: bool = False
    ) -> None:
        self.gateway = gateway
        self.network = network
        self.loopback = loopback
        self.own = own
        self._addresses = HostAddresses()
        self._connect = Decision.connect()

    def decide(self, flow: Flow) -> Decision:
        if flow.dst == self.gateway:
            if self.loopback and flow.proto != "icmp":
                return Decision.connect((LOCALHOST, flow.dst_port))
            return Decision.deny("the gateway's own address")
        if self.network is not None and flow.dst in self.network:
            return Decision.deny("nobody of the guests' network", "unreachable")
        reason = self.forbids(int(flow.dst))
        return self._connect if reason is None else Decision.deny(reason, "unreachable")

    def forbids(self, dst: int) -> str | None:
        """Why nobody may go there; None where everybody may."""
        top = dst >> 24
        if top == 127:
            return "the host's loopback"
        if dst >> 16 == 0xA9FE:
            return "a link-local address"
        if top == 0 or top >= 224:
            return "not an address of one host"
        if not self.own and dst in self._addresses:
            return "the host's own address"
        return None

    def over(self, flow: Flow) -> None:
        pass

    def close(self) -> None:
        self._addresses.close()
