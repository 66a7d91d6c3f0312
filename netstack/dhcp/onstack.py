"""DHCP on a stack of ours, without a task: the cores are turned by what comes to their ports and by the stack's own timers, so the
same code runs under every loop, and in a world without any. The client's half is a file of its own: a host that asks has no use for
what serves.

A server is bound to the broadcast address and to its own, and to nothing else: on a stack that takes every address for its own,
what a guest sends to a server far away is not for us. What it answers to a client without an address goes to that one's link
address, which is put into the table of neighbours first (as dnsmasq does): nobody could be asked for it.

On a host with several devices each works on one of them, `device`: hears what comes there, and broadcasts there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from .. import const
from ..cores import Turn
from ..errors import NetstackError, UsageError
from ..instant import NEVER, Instant
from ..stack import Stack
from ..udp.core import UdpPort
from . import server as s
from .clientonstack import PATIENCE as PATIENCE
from .clientonstack import Alarm as Alarm
from .clientonstack import ClientOnStack as ClientOnStack
from .clientonstack import broadcasting as broadcasting
from .const import CLIENT_PORT, SERVER_PORT
from .leases import Lease
from .port import Received

PING = b"is anybody there?"


def _nobody(guest: str) -> bool:
    """Guests without names, or one alone."""
    return not guest


class ServerOnStack:
    """Serves DHCP on the link of `stack`, one of whose addresses is `config.own`, from `start` to `close`.

    `guest_of(mac)` says which guest a link address belongs to, `there(guest)` whether there is one of that name. `turn` is who
    turns the stack.
    """

    def __init__(
        self,
        stack: Stack,
        turn: Turn,
        config: s.DhcpConfig,
        *,
        guest_of: Callable[[int], str] | None = None,
        there: Callable[[str], bool] | None = None,
        on_change: Callable[[Lease], object] | None = None,
        device: int | str = 0,
    ) -> None:
        if not stack.ip.is_local(int(config.own.address)):
            raise UsageError(f"{config.own.address} is not an address of this stack: give it that first")
        self.core = s.DhcpServer(config, on_change, there or _nobody)
        self._stack = stack
        self._place = stack.place(device)
        self._turn = turn
        self._guest_of = guest_of
        self._ports: list[UdpPort] = []
        self._alarm = Alarm(stack, self._due)
        self._probed: set[int] = set()

    def start(self) -> None:
        """Raises AddressInUse."""
        user = Received(self._take)
        udp = self._stack.udp
        own = udp.bind(int(self.core.own), SERVER_PORT, user)
        try:
            everybody = udp.bind(const.M32, SERVER_PORT, user)
        except BaseException:
            own.close()
            raise
        self._ports = [own, everybody]
        self._settle()
        self._turn.rearm()

    def close(self) -> None:
        for port in self._ports:
            port.close()
        self._ports = []
        self._alarm.set(NEVER)

    def _take(self, data: bytes, source: int, mac: int, now: int) -> None:
        if not self._stack.came_by(self._place):
            return
        guest = "" if self._guest_of is None else self._guest_of(mac)
        self._do(self.core.receive(data, source=source, mac=mac, guest=guest, now=Instant(now)), now)

    def _due(self, now: int) -> None:
        arp = self._place.arp
        for address in list(self._probed):  # whose probe may be over
            neighbour = None if arp is None else arp.cache.find(address)
            if neighbour is not None and neighbour.state not in (const.NUD_INCOMPLETE, const.NUD_FAILED):
                self._probed.discard(address)
                self._do(self.core.answered(address, Instant(now)), now)
        self._do(self.core.run(Instant(now)), now)

    def _do(self, actions: Iterable[s.Action], now: int) -> None:
        for action in actions:
            try:
                if isinstance(action, s.Probe):
                    self._probed.add(int(action.address))
                    self._stack.icmp.ping(int(action.address), 0, 0, PING, now)
                    continue
                self._probed.discard(int(action.to))
                if action.mac is not None and self._place.arp is not None:
                    self._place.arp.add_heard(int(action.to), action.mac, now)
                with broadcasting(self._stack, self._place):
                    self._ports[0].send(action.data, int(action.to), CLIENT_PORT, now)
            except (OSError, NetstackError):
                self.core.mib.OutErrors += 1
        self._settle()

    def _settle(self) -> None:
        self._alarm.set(self.core.next_deadline())
