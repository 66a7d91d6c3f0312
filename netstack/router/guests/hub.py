"""The switch as a device, and what may hang on it: netifs, and doors through which guests come and go."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from ...address import Cidr, Ip4, Mac
from ...cores import FrameSink, NetifCore
from ...errors import UsageError
from ...instant import Instant
from ...netif import SendOnly
from ...signatures import Netif
from .switch import OFFERS, OWN, Port, SwitchCore


class Door(Protocol):
    """Where guests come: a listening socket of an emulator's, for instance."""

    name: str

    def fileno(self) -> int: ...

    def accept(self, guests: int) -> Netif | None:
        """One that has come, where there are `guests` of this door already; None when nobody has."""

    def close(self) -> None: ...


class Switch(SwitchCore):
    """A netif over several. A guest whose device breaks is gone, and the others don't notice; `poll` raises OSError when nobody is
    left, and nobody can come.

    `on_come` and `on_gone` are told of guests that come through doors, and of those that leave.
    """

    def __init__(
        self,
        guests: Mapping[str, Netif] | None = None,
        *,
        mtu: int = 1500,
        mac: Mac | None = None,
        network: Cidr | None = None,
        isolate: bool = False,
        strict: bool = False,
        name: str = "switch",
    ) -> None:
        """`guests` by their names. `mac` is the stack's, `network` theirs: what comes from outside of it is dropped.

        isolate   they reach the router alone      strict   addresses must have been bound to them
        """
        own = OWN if mac is None else int(mac)
        if own >> 40 & 1:
            raise UsageError(f"{mac} is a group address: give the router one of its own, like 02:00:00:00:00:01")
        super().__init__(own, 0 if network is None else network.network, 0 if network is None else network.mask, isolate, strict)
        self.name = name
        self.mtu = mtu
        self.on_come: Callable[[Port], None] | None = None
        self.on_gone: Callable[[Port, OSError], None] | None = None
        self._doors: dict[int, Door] = {}
        self._through: dict[Port, Door] = {}
        self._by_fd: dict[int, Port] = {}
        self._timed: list[Port] = []  # those that may want to be polled without a frame
        self._without: list[Port] = []  # a descriptor: they call
        self._epoll = select.epoll()
        self._bell = -1  # an eventfd, as soon as one of those is there
        self._waker: Callable[[], None] | None = None
        self._closed = False
        self._turn = 0
        try:
            for each, netif in (guests or {}).items():
                self.add(each, netif)
        except BaseException:
            self.close()
            raise

    # -- who is there -------------------------------------------------------------------------------------------------------

    def add(self, name: str, netif: Netif) -> Port:
        """One more guest; the device is the switch's from now on, unless this raises UsageError."""
        if netif.mac is None:
            raise UsageError(f"{netif.name} has no link addresses, so it can't share a switch: use a tap")
        if netif.mtu < self.mtu:
            raise UsageError(f"{netif.name} carries {netif.mtu} bytes, the others {self.mtu}: give all guests one mtu")
        port = self.join(name, netif, netif.core, netif.mtu, netif.offload)
        try:
            netif.attach(port)
        except BaseException:
            self.leave(port)
            raise
        if not getattr(netif, "frames_alone", False):  # as of taps: the switch is asked after every turn
            self._timed.append(port)
        fd = netif.fileno()
        if fd is None:
            self._without.append(port)
            if self._bell < 0:
                self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
                self._epoll.register(self._bell, select.EPOLLIN)
            netif.set_waker(self._ring)
        else:
            self._by_fd[fd] = port
            self._epoll.register(fd, select.EPOLLIN)
        return port

    def remove(self, port: Port) -> None:
        """Let a guest go, and close its device."""
        netif: Netif = port.netif  # type: ignore[assignment]  # which the core keeps for us, and does not know
        for fd, other in list(self._by_fd.items()):
            if other is port:
                del self._by_fd[fd]
                with contextlib.suppress(OSError):  # closed already: epoll has forgotten it by itself
                    self._epoll.unregister(fd)
        if port in self._without:
            self._without.remove(port)
            netif.set_waker(None)
        if port in self._timed:
            self._timed.remove(port)
        self._through.pop(port, None)
        self.leave(port)
        netif.close()

    def open_door(self, door: Door) -> None:
        """Have guests come through it. The door is the switch's from now on."""
        self._doors[door.fileno()] = door
        self._epoll.register(door.fileno(), select.EPOLLIN)

    def bind(self, name: str, *, ip: Ip4 | None = None, mac: Mac | None = None) -> None:
        """Say whose an address is. Raises UsageError."""
        if ip is not None:
            self.bind_ip(name, int(ip))
        if mac is not None:
            self.bind_mac(name, int(mac))

    def statistics(self) -> dict[str, dict[str, int]]:
        """The counters of each guest's port, by name."""
        return {port.name: port.mib.snapshot() for port in self.ports}

    # -- the Netif signature ------------------------------------------------------------------------------------------------

    @property
    def core(self) -> NetifCore:
        return self

    @property
    def mac(self) -> Mac | None:
        return Mac(self.own)

    @property
    def offload(self) -> int:
        """All of it: what a guest's device doesn't do is done here."""
        return OFFERS

    def attach(self, sink: FrameSink) -> None:
        if not isinstance(self.sink, SendOnly):
            raise UsageError(f"{self.name} already has a stack on it: wrap it to share it")
        self.sink = sink

    def set_waker(self, waker: Callable[[], None] | None) -> None:
        self._waker = waker

    def fileno(self) -> int | None:
        return None if self._closed else self._epoll.fileno()

    def poll(self, now: Instant) -> bool:
        """One batch of each guest that has something. True when one of them may have more."""
        if self._closed:
            return False
        ready = []
        for fd, _ in self._epoll.poll(0, len(self._by_fd) + len(self._doors) + 1):
            port = self._by_fd.get(fd)
            if port is not None:
                ready.append(port)
            elif fd == self._bell:
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(fd)
            elif fd in self._doors:
                self._come(self._doors[fd])
        ready += self._without
        for port in self._timed:
            due = port.netif.next_deadline()  # type: ignore[attr-defined]  # as in remove
            if due is not None and due <= now and port not in ready:
                ready.append(port)
        more = False
        for port in ready:
            try:
                again = port.netif.poll(now)  # type: ignore[attr-defined]
            except OSError as error:
                self._gone(port, error)
            else:
                more = more or again
                if again and port in self._without:
                    self._ring()
        return more

    def next_deadline(self) -> Instant | None:
        if not self._timed:
            return None
        deadlines = [port.netif.next_deadline() for port in self._timed]  # type: ignore[attr-defined]
        return min((due for due in deadlines if due is not None), default=None)

    def close(self) -> None:
        """And all that hangs on it. Closing it again does nothing."""
        if self._closed:
            return
        for port in list(self.ports):
            self.remove(port)
        for door in self._doors.values():
            door.close()
        self._doors.clear()
        self._closed = True
        self._epoll.close()
        if self._bell >= 0:
            os.close(self._bell)
        self.sink = SendOnly()

    def __repr__(self) -> str:
        return f"<Switch {self.name}, {len(self.ports)} guests{', closed' if self._closed else ''}>"

    # -- inside -------------------------------------------------------------------------------------------------------------

    def _ring(self) -> None:
        if self._bell >= 0:
            os.eventfd_write(self._bell, 1)
        if self._waker is not None:
            self._waker()

    def _come(self, door: Door) -> None:
        while (netif := door.accept(sum(1 for other in self._through.values() if other is door))) is not None:
            try:
                port = self.add(netif.name, netif)
            except UsageError:  # too many, or another mtu: the door's options say it, and the guest can't be told
                netif.close()
                continue
            self._through[port] = door
            if self.on_come is not None:
                self.on_come(port)

    def _gone(self, port: Port, error: OSError) -> None:
        self.remove(port)
        if self.on_gone is not None:
            self.on_gone(port, error)
        if not self.ports and not self._doors:
            raise error


def together(guests: Iterable[tuple[str, Netif]], doors: Iterable[Door] = (), **options: object) -> Netif:
    """One netif of all: the device itself where it is the only one, which costs nothing; else a `Switch` with these options."""
    pairs, entrances = list(guests), list(doors)
    if len(pairs) == 1 and not entrances:
        return pairs[0][1]
    if not pairs and not entrances:
        raise UsageError("a router needs a guest: name a device, like tap:tap0 or qemu:/run/vm.sock")
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise UsageError(f"two guests have one name ({', '.join(names)}): give each its own, like a=tap:tap0 b=tap:tap1")
    if "mtu" not in options and pairs:
        options["mtu"] = min(netif.mtu for _, netif in pairs)
    switch = Switch(dict(pairs), **options)  # type: ignore[arg-type]  # as the caller has them
    for door in entrances:
        switch.open_door(door)
    return switch
