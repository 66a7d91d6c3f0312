"""Tap and Tun: the netifs, and how text opens them: the entry points `tap` and `tun` of the group `netstack.netif`."""

from collections.abc import Mapping
from typing import Self

from netstack import const
from netstack.address import Cidr, Mac
from netstack.device.core import DeviceCore
from netstack.device.face import SOFTWARE, DeviceFace, Wanted, read_offload, show_offload
from netstack.errors import UsageError
from netstack.netif import SLAB
from netstack.spec import check_options, read_flag, read_int

from . import device
from .device import Handle

HEADERS = 64  # what a frame has beside its datagram: Ethernet, two VLAN tags and a vnet header are 34
GATHER_LIMIT = 16384  # longer frames are worth their own trip up


class Device(DeviceCore, DeviceFace):
    """What Tap and Tun share: all of `signatures.Netif`.

    A device that was not there is made, and goes when it is closed unless it is `persist`; one that was there is opened and
    stays. Opening one's own needs no privilege, as long as there is nothing to set up: see `device.configure`.
    """

    __slots__ = ("_closed", "_handle", "_mac", "_software", "_wanted")
    MODE = ""

    def __init__(
        self,
        name: str = "",
        *,
        offload: "bool | str | None" = None,
        gro: bool = True,
        gso: bool = True,
        multi_queue: bool = False,
        mtu: "int | None" = None,
        host: "Cidr | None" = None,
        persist: bool = False,
        up: bool = True,
    ) -> None:
        """`name` is the interface's, or "" to let the kernel choose.

        offload   what the device does for us, both ways: None for all that this kernel can, False for nothing, or some of
                  "csum,tso4,tso6,tso-ecn,uso"
        gro gso   join segments as they are read, and cut super-segments before they are written, where the device does not
        mtu host  of the kernel's end; `host` is its address and prefix        persist  keep the device when it is closed
        up        bring the interface up; if not, somebody else must before anything passes
        multi_queue  open one queue of a device that may have more: see the package

        Raises UsageError for what can't be, NotAllowed (a PermissionError) and DeviceUnavailable (an OSError) with what helps.
        """
        wanted = read_offload(offload)
        handle = device.create(name, self.MODE, wanted, multi_queue)
        try:
            handle = device.configure(handle, self.MODE, mtu, host, persist, up)
        except BaseException:
            handle.close()
            raise
        self._take(handle, wanted, gro, gso)

    @classmethod
    def from_fd(
        cls,
        fd: int,
        *,
        name: "str | None" = None,
        mtu: "int | None" = None,
        offload: "bool | str | None" = None,
        gro: bool = True,
        gso: bool = True,
    ) -> Self:
        """Over a descriptor that is open already, and is ours from now on: `close` closes it.

        It may be a device of the kernel's, or, with a `name`, any socket that keeps message boundaries, one frame each.
        Raises UsageError, and leaves the descriptor alone then.
        """
        wanted = read_offload(offload)
        self = cls.__new__(cls)
        self._take(device.adopt(fd, cls.MODE, name, mtu, wanted), wanted, gro, gso)
        return self

    def _take(self, handle: Handle, wanted: Wanted, gro: bool, gso: bool) -> None:
        longest = max(2048, handle.mtu + HEADERS)
        gather = longest if gro and not handle.vnet and longest <= GATHER_LIMIT else 0
        slab = SLAB if handle.vnet else longest + (const.M16 + 1 if gather else 0)
        super().__init__(handle.fd, slab, handle.vnet, handle.offload, const.ETH_HEADER if self.MODE == "tap" else 0, gather)
        self._handle = handle
        self._wanted = wanted
        self._software = SOFTWARE if gso else 0
        self._mac: Mac | None = None
        self._closed = False

    def plain(self) -> None:
        """Carry single frames with complete checksums from now on, both ways, as a wire does: for whoever looks at each, loses
        some, or hands them to somebody else. Raises UsageError when offloads were asked for by name."""
        if self._wanted.demanded and self.takes:
            raise UsageError(
                f"{self.name} was opened with offload={show_offload(self.takes)}, and what shall sit on it needs single frames: "
                "leave offload out"
            )
        if self.takes:
            device.make_plain(self.fd)
        self.takes = self.gives = 0
        self.gatherer = None
        self._software = 0

    @property
    def name(self) -> str:
        return self._handle.name

    @property
    def mtu(self) -> int:
        return self._handle.mtu

    def close(self) -> None:
        """Close the device; closing it again does nothing. `poll` raises OSError from now on, what is sent is counted."""
        if not self._closed:
            self._closed = True
            self.fd = -1  # the number may be somebody else's file by the next call
            self._handle.close()


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
        offload: "bool | str | None" = None,
        gro: bool = True,
        gso: bool = True,
        multi_queue: bool = False,
        mtu: "int | None" = None,
        host: "Cidr | None" = None,
        persist: bool = False,
        up: bool = True,
    ) -> None:
        super().__init__(
            name, offload=offload, gro=gro, gso=gso, multi_queue=multi_queue, mtu=mtu, host=host, persist=persist, up=up
        )
        try:
            self._address(mac)
        except BaseException:
            self.close()
            raise

    @classmethod
    def from_fd(
        cls,
        fd: int,
        *,
        name: "str | None" = None,
        mtu: "int | None" = None,
        offload: "bool | str | None" = None,
        gro: bool = True,
        gso: bool = True,
        mac: "Mac | None" = None,
    ) -> Self:
        self = super().from_fd(fd, name=name, mtu=mtu, offload=offload, gro=gro, gso=gso)
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


# -- from text ----------------------------------------------------------------------------------------------------

COMMON = {
    "mtu": "1500", "host": "10.79.0.1/24", "offload": "no", "gro": "no", "gso": "no", "multi_queue": "yes", "persist": "yes",
    "up": "no",
}  # fmt: skip
TAP = {"mac": "02:00:00:00:00:01", **COMMON}


def open_tap(name: str, options: Mapping[str, str]) -> Tap:
    """`tap:NAME?mac=…&mtu=…&host=…&offload=…&gro=…&gso=…&multi_queue=…&persist=…&up=…`; see `Tap`."""
    check_options("tap", options, TAP)
    mac = options.get("mac")
    return Tap(
        name,
        mac=None if mac is None else Mac.parse(mac),
        offload=options.get("offload"),
        gro=_flag(options, "gro", True),
        gso=_flag(options, "gso", True),
        multi_queue=_flag(options, "multi_queue", False),
        mtu=_mtu(options),
        host=_host(options),
        persist=_flag(options, "persist", False),
        up=_flag(options, "up", True),
    )


def open_tun(name: str, options: Mapping[str, str]) -> Tun:
    """`tun:NAME?mtu=…&host=…&offload=…&gro=…&gso=…&multi_queue=…&persist=…&up=…`; see `Tun`."""
    check_options("tun", options, COMMON)
    return Tun(
        name,
        offload=options.get("offload"),
        gro=_flag(options, "gro", True),
        gso=_flag(options, "gso", True),
        multi_queue=_flag(options, "multi_queue", False),
        mtu=_mtu(options),
        host=_host(options),
        persist=_flag(options, "persist", False),
        up=_flag(options, "up", True),
    )


def _flag(options: Mapping[str, str], key: str, default: bool) -> bool:
    return read_flag(key, options[key]) if key in options else default


def _mtu(options: Mapping[str, str]) -> "int | None":
    return read_int("mtu", options["mtu"], 68, 65521) if "mtu" in options else None


def _host(options: Mapping[str, str]) -> "Cidr | None":
    return Cidr.parse_whole(options["host"]) if "host" in options else None
