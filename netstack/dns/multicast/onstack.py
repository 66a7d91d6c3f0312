"""Port 5353 of a stack of ours. A datagram is dealt with in the turn that brings it, and the stack's own timers say when the next
step is due: no task, no queue, and nothing that an event loop would have to know."""

from __future__ import annotations

from ...adapters import PyDatagramUser
from ...address import Ip4, ip4_text
from ...cores import Turn
from ...instant import NEVER
from ...stack import Stack
from ...timers import CallTimer
from .core import Core, MdnsConfig
from .message import GROUP, PORT

GROUP_IP = int(Ip4.parse(GROUP))
TTL = 255  # RFC 6762 11


class Ears:
    """What comes to one port: to everybody, or to us alone."""

    def __init__(self, owner: StackPort, to_group: bool) -> None:
        self.owner = owner
        self.to_group = to_group

    def on_datagram(self, data: bytes, address: int, port: int, now: int) -> None:
        self.owner.datagram(data, address, port, self.to_group, now)

    def on_error(self, e: Exception, address: int, port: int, now: int) -> None:
        """Whom we answered has left: nothing depends on it."""


class StackPort:
    """Multicast DNS on a stack, turned by `turn`. After every call of `core` from outside, `stir`.

    There are two ports of this number: one bound to the group, so that what is for everybody is told from what is for us alone.
    """

    __slots__ = ("_addresses", "_group", "_port", "_stack", "_timer", "_turn", "core")

    def __init__(self, stack: Stack, turn: Turn, config: MdnsConfig) -> None:
        """Raises AddressInUse where somebody has the port who does not share it."""
        alone = PORT not in stack.udp.ports
        self._stack = stack
        self._turn = turn
        self._timer = CallTimer(self._step)
        self._addresses = tuple(stack.addresses)
        self.core = Core(stack.ip.rng, turn.now(), self.addresses(), config, alone)
        self._port = stack.udp.bind(0, PORT, PyDatagramUser(Ears(self, False)), None, True)
        self._group = stack.udp.bind(GROUP_IP, PORT, PyDatagramUser(Ears(self, True)), None, True)
        self._group.join(GROUP_IP)
        turn.rearm()

    def now(self) -> int:
        return self._turn.now()

    def addresses(self) -> list[str]:
        """Those that others on the link can use."""
        return [str(cidr.address) for cidr in self._stack.addresses if int(cidr.address) >> 24 != 127]

    def datagram(self, data: bytes, source: int, port: int, to_group: bool, now: int) -> None:
        near = any(source in cidr for cidr in self._stack.addresses)
        self.core.input(data, ip4_text(source), port, to_group, near, now)
        self._step(now)

    def stir(self) -> None:
        """Something was asked of `core`."""
        self._step(self._turn.now())
        self._turn.rearm()

    def _step(self, now: int) -> None:
        if self._port.closed:
            return
        if tuple(self._stack.addresses) != self._addresses:
            self._addresses = tuple(self._stack.addresses)
            self.core.readdress(self.addresses(), now)
        for data, address, port in self.core.run(now):
            self._send(data, address, port, now)
        deadline = self.core.deadline()
        if deadline < NEVER:
            self._stack.timers.arm(self._timer, max(deadline, now + 1))

    def _send(self, data: bytes, address: str, port: int, now: int) -> None:
        try:
            self._port.send(data, GROUP_IP if address == GROUP else int(Ip4.parse(address)), port, now, TTL)
        except OSError:
            return  # no address, or no device any longer: when there is an address again, all is announced

    def close(self) -> None:
        """Say goodbye and go. Closing twice is closing once."""
        if self._port.closed:
            return
        now = self._turn.now()
        for data, address, port in self.core.leave(now):
            self._send(data, address, port, now)
        self._stack.timers.cancel(self._timer)
        self._group.close()
        self._port.close()
        self._turn.rearm()
