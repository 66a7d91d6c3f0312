"""A DHCP client on a stack, without a task (see onstack.py, which has the server's half)."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from ..address import Cidr, Ip4
from ..cores import Turn
from ..errors import TimedOut, UsageError
from ..instant import NEVER, SECOND, Duration, Instant
from ..signatures import Rng
from ..stack import Place, Stack
from ..timers import CallTimer
from ..udp.core import UdpPort
from . import client as c
from .const import CLIENT_PORT, SERVER_PORT
from .port import Received

log = logging.getLogger("netstack.dhcp")

PATIENCE = Duration(30 * SECOND)  # until `open` gives up: three searches, and a server that checks the address first


class Alarm:
    """One deadline of a core, on the wheel of a stack."""

    def __init__(self, stack: Stack, call: Callable[[int], None]) -> None:
        self._timers = stack.timers
        self._timer = CallTimer(call)

    def set(self, deadline: int) -> None:
        if deadline == NEVER:
            self._timers.cancel(self._timer)
        else:
            self._timers.arm(self._timer, deadline)


@contextmanager
def broadcasting(stack: Stack, place: Place) -> Iterator[None]:
    """What is for everybody goes to this link."""
    if place.index == 0:
        yield
        return
    stack.ip.broadcast_on(place.interface)
    try:
        yield
    finally:
        stack.ip.broadcast_on(None)


class ClientOnStack:
    """Has `stack` configured by a DHCP server: address, default route and routes, MTU. The stack must have link addresses.

    Until there is an address the stack is tentative (`Stack.tentative`), as while it probes for one; `on_addresses` hears how that
    ended. `on_lease(lease)` is told of each lease that is new or renewed, `None` when there is none any more. With
    `StackConfig.probe` an address is asked for on the link before it is used, and declined if somebody has it (RFC 2131 4.4.1).
    """

    def __init__(
        self,
        stack: Stack,
        turn: Turn,
        rng: Rng,
        *,
        hostname: str = "",
        previous: c.ClientLease | None = None,
        on_lease: Callable[[c.ClientLease | None], object] | None = None,
        patience: Duration = PATIENCE,
        device: int | str = 0,
    ) -> None:
        place = self._place = stack.place(device)
        mac, arp = place.netif.mac, place.arp
        if mac is None or arp is None:
            raise UsageError(f"{place.netif.name} has no link addresses, and so no DHCP: give the address that the host is to have")
        self.core = c.DhcpClient(mac, rng, c.ClientConfig(hostname=hostname, check=stack.config.probe), previous)
        self.lease: c.ClientLease | None = None
        self._stack = stack
        self._turn = turn
        self._on_lease = on_lease
        self._patience = patience
        self._alarm = Alarm(stack, self._due)
        self._giving_up = Alarm(stack, self._give_up)
        self._port: UdpPort | None = None
        self._held: Cidr | None = None  # an address that the stack has by us
        self._routes: list[Cidr] = []
        self._arp = arp
        self._ready, self._lost = arp.on_ready, arp.on_lost

    def start(self, now: int) -> None:
        """Raises AddressInUse."""
        stack = self._stack
        self._port = stack.udp.bind(0, CLIENT_PORT, Received(self._take))
        self._arp.on_ready, self._arp.on_lost = self._found_free, self._found_taken
        stack.tentative.add(0)
        self._giving_up.set(now + self._patience)
        self._do(self.core.start(Instant(now)), now)
        self._turn.rearm()

    def stop(self) -> None:
        """Give the address back; the stack keeps it for what is still under way."""
        now = self._turn.now()
        port, self._port = self._port, None
        self._giving_up.set(NEVER)
        self._alarm.set(NEVER)
        if port is None:
            return
        for action in self.core.stop(Instant(now)):
            if isinstance(action, c.Send):
                self._send(port, action, now)
        port.close()
        self._turn.rearm()

    # -- events ---------------------------------------------------------------------------------------------------------------

    def _take(self, data: bytes, source: int, mac: int, now: int) -> None:
        if not self._stack.came_by(self._place):
            return
        self._do(self.core.receive(data, Instant(now)), now)
        lease, arp = self.lease, self._arp
        if lease is not None and mac and source == int(lease.server) and source in lease.address:
            with suppress(UsageError):  # so that a farewell needs no question first, whose answer nobody would wait for
                arp.add_heard(source, mac, now)

    def _due(self, now: int) -> None:
        self._do(self.core.run(Instant(now)), now)

    def _give_up(self, now: int) -> None:
        if 0 in self._stack.tentative and self._stack.on_addresses is not None:
            heard = "answered, but has granted nothing" if self.core.mib.InOffers else "answers"
            nobody = "a DHCP server" if self.core.mib.InOffers else "no DHCP server"
            self._stack.on_addresses(TimedOut(f"{nobody} {heard} on {self._place.netif.name}: give the host an address"))

    def _found_free(self, ip: int, now: int) -> None:
        if self._ready is not None:
            self._ready(ip, now)
        if self._held is not None and int(self._held.address) == ip:
            self._do(self.core.free(Instant(now)), now)

    def _found_taken(self, ip: int, mac: int, now: int) -> None:
        if self._held is None or int(self._held.address) != ip:
            if self._lost is not None:
                self._lost(ip, mac, now)
            return
        stack = self._stack  # its link has given the address up already
        stack.tentative.discard(ip)
        stack.addresses = [cidr for cidr in stack.addresses if int(cidr.address) != ip]
        stack.ip.remove_address(ip)
        self._held = None
        self._do(self.core.taken(Instant(now)), now)

    # -- what is to be done ---------------------------------------------------------------------------------------------------

    def _do(self, actions: Iterable[c.Action], now: int) -> None:
        for action in actions:
            if isinstance(action, c.Send):
                if self._port is not None:
                    self._send(self._port, action, now)
            elif isinstance(action, c.Check):
                self._hold(action.lease.address, now)
            elif isinstance(action, c.Use):
                self._use(action.lease, now)
            else:
                log.warning("%s: %s: %s", self._place.netif.name, action.lease.address, action.reason)
                self._drop()
        self._alarm.set(self.core.next_deadline())

    def _send(self, port: UdpPort, action: c.Send, now: int) -> None:
        try:
            with broadcasting(self._stack, self._place):
                port.send(action.data, int(action.to), SERVER_PORT, now, source=int(action.source))
        except OSError as error:  # it will be said again
            if error.errno not in (errno.EHOSTUNREACH, errno.ENETUNREACH):
                raise

    def _hold(self, cidr: Cidr, now: int) -> None:
        if self._held != cidr:
            self._release()
            self._stack.add_address_at(self._place, cidr, Instant(now))
            self._held = cidr

    def _use(self, lease: c.ClientLease, now: int) -> None:
        before, self.lease = self.lease, lease
        if before is None or (before.address, before.routers, before.routes, before.mtu) != (
            lease.address, lease.routers, lease.routes, lease.mtu,
        ):  # fmt: skip
            self._hold(lease.address, now)
            self._route(lease)
        stack = self._stack
        if self._on_lease is not None:
            self._on_lease(lease)
        if 0 in stack.tentative:
            stack.tentative.discard(0)
            self._giving_up.set(NEVER)
            if not stack.tentative and stack.on_addresses is not None:
                stack.on_addresses(None)

    def _route(self, lease: c.ClientLease) -> None:
        """RFC 3442: who is given routes ignores the routers. A router need not be within the mask (clouds give /32 leases)."""
        ip = self._stack.ip
        interface = self._place.interface
        most = min(self._place.link.mtu, 65535)
        ip.set_mtu(most if lease.mtu is None else min(lease.mtu, most), interface)
        self._unroute()
        default = [(Cidr(Ip4(0), 0), router) for router in lease.routers[:1]]
        for cidr, router in lease.routes or default:
            ip.add_route(cidr, None if not int(router) else router, interface)
            self._routes.append(cidr)

    def _unroute(self) -> None:
        for cidr in self._routes:
            self._stack.ip.remove_route(cidr)
        self._routes = []

    def _release(self) -> None:
        if self._held is not None:
            self._stack.tentative.discard(int(self._held.address))
            self._stack.remove_address(self._held)
            self._held = None

    def _drop(self) -> None:
        self.lease = None
        self._unroute()
        self._release()
        if self._on_lease is not None:
            self._on_lease(None)
