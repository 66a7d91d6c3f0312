"""Tap and Tun: the netifs."""

from collections.abc import Callable
from typing import Self

from netstack import const
from netstack.address import Cidr, Mac
from netstack.cores import NetifCore
from netstack.errors import UsageError
from netstack.instant import Instant
from netstack.netif import SLAB

from . import device
from .core import TapCore
from .device import Handle

HEADERS = 64  # what a frame has beside its datagram: Ethernet, two VLAN tags and a vnet header are 34


class Device(TapCore):
    """What Tap and Tun share: all of `signatures.Netif`.

    A device that was not there is made, and goes when it is closed unless it is `persist`; one that was there is opened and
    stays. Opening one's own needs no privilege, as long as there is nothing to set up: see `device.configure`.
    """

    __slots__ = ("_closed", "_handle", "_mac")
    MODE = ""

    def __init__(
        self,
        name: str = "",
        *,
        offload: bool = False,
        mtu: "int | None" = None,
        host: "Cidr | None" = None,
        persist: bool = False,
        up: bool = True,
    ) -> None:
        """`name` is the interface's, or "" to let the kernel choose.

        offload   let the device complete checksums and cut segments, as far as the kernel can
        mtu host  of the kernel's end; `host` is its address and prefix        persist  keep the device when it is closed
        up        bring the interface up; if not, somebody else must before anything passes

        Raises UsageError for what can't be, NotAllowed (a PermissionError) and DeviceUnavailable (an OSError) with what helps.
        """
        handle = device.create(name, self.MODE, offload)
        try:
            handle = device.configure(handle, self.MODE, mtu, host, persist, up)
        except BaseException:
            handle.close()
            raise
        self._take(handle)

    @classmethod
    def from_fd(cls, fd: int, *, name: "str | None" = None, mtu: "int | None" = None) -> Self:
        """Over a descriptor that is open already, and is ours from now on: `close` closes it.

        It may be a device of the kernel's, or, with a `name`, any socket that keeps message boundaries, one frame each.
        Raises UsageError, and leaves the descriptor alone then.
        """
        self = cls.__new__(cls)
        self._take(device.adopt(fd, cls.MODE, name, mtu))
        return self

    def _take(self, handle: Handle) -> None:
        super().__init__(handle.fd, SLAB if handle.vnet else max(2048, handle.mtu + HEADERS), handle.vnet)
        self._handle = handle
        self._mac: Mac | None = None
        self._closed = False

    @property
    def core(self) -> NetifCore:
        return self

    @property
    def name(self) -> str:
        return self._handle.name

    @property
    def mac(self) -> "Mac | None":
        return self._mac

    @property
    def mtu(self) -> int:
        return self._handle.mtu

    @property
    def offload(self) -> int:
        offload = self._handle.offload
        if offload & const.OFFLOAD_CSUM and offload & const.OFFLOAD_TSO4:
            offload |= const.OFFLOAD_GATHER
        return offload

    def set_waker(self, waker: "Callable[[], None] | None") -> None:
        """Nobody needs waking: the descriptor tells."""

    def fileno(self) -> "int | None":
        return None if self._closed else self.fd

    def next_deadline(self) -> "Instant | None":
        return None

    def close(self) -> None:
        """Close the device; closing it again does nothing. `poll` raises OSError from now on, what is sent is counted."""
        if not self._closed:
            self._closed = True
            self.fd = -1  # the number may be somebody else's file by the next call
            self._handle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}{' closed' if self._closed else ''}>"


class Tap(Device):
    """A tap device: Ethernet frames to and from the kernel.

    The kernel is one host on this cable and the stack another, each with its own address: `mac` is the stack's, and is made
    from the device's name and address unless it is given.
    """

    __slots__ = ()
    MODE = "tap"

    def __init__(
        self,
        name: str = "",
        *,
        mac: "Mac | None" = None,
        offload: bool = False,
        mtu: "int | None" = None,
        host: "Cidr | None" = None,
        persist: bool = False,
        up: bool = True,
    ) -> None:
        super().__init__(name, offload=offload, mtu=mtu, host=host, persist=persist, up=up)
        try:
            self._address(mac)
        except BaseException:
            self.close()
            raise

    @classmethod
    def from_fd(cls, fd: int, *, name: "str | None" = None, mtu: "int | None" = None, mac: "Mac | None" = None) -> Self:
        self = super().from_fd(fd, name=name, mtu=mtu)
        self._address(mac)
        return self

    def _address(self, mac: "Mac | None") -> None:
        hwaddr = self._handle.hwaddr
        if mac is not None and mac.is_group:
            raise UsageError(f"{mac} is a group address: give the stack one of its own, like 02:00:00:00:00:01")
        if mac is not None and bytes(mac) == hwaddr:
            raise UsageError(f"{mac} is the kernel's own address on {self.name}: give the stack another one, or none")
        self._mac = device.stack_mac(self.name, hwaddr) if mac is None else mac


class Tun(Device):
    """A tun device: bare internet datagrams to and from the kernel, no link addresses."""

    __slots__ = ()
    MODE = "tun"
