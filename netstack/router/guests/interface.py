"""Making a tap and setting up an interface, in the network namespace of whoever calls: plain ioctls, so that a child between
`fork` and `exec` needs nothing else."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct

from ...address import Cidr, Ip4, Mac
from ...errors import UsageError

TUN = "/dev/net/tun"
NAME_LIMIT = 15  # IFNAMSIZ is 16, with the NUL

# linux/if_tun.h
TUNSETIFF = 0x400454CA
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000

# linux/sockios.h
SIOCADDRT = 0x890B
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
SIOCSIFADDR = 0x8916
SIOCSIFBRDADDR = 0x891A
SIOCSIFNETMASK = 0x891C
SIOCSIFMTU = 0x8922
SIOCSIFHWADDR = 0x8924
IFF_UP = 1
ARPHRD_ETHER = 1

# linux/route.h
RTF_UP = 1
RTF_GATEWAY = 2
RTENTRY = "@L16s16s16sHhLPhPLLH"  # struct rtentry


def check_name(name: str) -> str:
    """The name of an interface. Raises UsageError."""
    if not name or len(os.fsencode(name)) > NAME_LIMIT or name in (".", "..") or any(c in "/:%\0" or c.isspace() for c in name):
        raise UsageError(f"{name!r} can't be the name of an interface: write up to 15 letters and digits, like tap0")
    return name


def make_tap(name: str) -> int:
    """A new tap with vnet headers; the device is there for as long as a descriptor of it is open. Raises OSError."""
    fd = os.open(TUN, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", os.fsencode(name), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    except BaseException:
        os.close(fd)
        raise
    return fd


def set_up(
    name: str, *, mtu: int | None = None, mac: Mac | None = None, address: Cidr | None = None, gateway: Ip4 | None = None
) -> None:
    """Bring the interface up, with what is given: the default route goes through `gateway`. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        if mac is not None:
            _ask(s, SIOCSIFHWADDR, name, struct.pack("=H6s", ARPHRD_ETHER, bytes(mac)))
        if mtu is not None:
            _ask(s, SIOCSIFMTU, name, struct.pack("=i", mtu))
        if address is not None:
            _ask(s, SIOCSIFADDR, name, _sockaddr(int(address.address)))
            _ask(s, SIOCSIFNETMASK, name, _sockaddr(address.mask))
            if address.broadcast is not None:
                _ask(s, SIOCSIFBRDADDR, name, _sockaddr(address.broadcast))
        flags = struct.unpack_from("=H", _ask(s, SIOCGIFFLAGS, name, b""), 16)[0]
        _ask(s, SIOCSIFFLAGS, name, struct.pack("=H", flags | IFF_UP))
        if gateway is not None:
            route = (0, _sockaddr(0), _sockaddr(int(gateway)), _sockaddr(0), RTF_UP | RTF_GATEWAY, 0, 0, 0, 0, 0, 0, 0, 0)
            try:
                fcntl.ioctl(s, SIOCADDRT, struct.pack(RTENTRY, *route))
            except OSError as error:
                if error.errno != errno.EEXIST:
                    raise


def allow_pings() -> None:
    """Let everybody in this network namespace send echo requests without a privilege, as far as the system lets us."""
    for last in ("2147483647", "0"):  # all the groups that are mapped; of a rootless namespace it is one
        with contextlib.suppress(OSError), open("/proc/sys/net/ipv4/ping_group_range", "w") as file:
            file.write(f"0 {last}")
            file.flush()
            return


def _ask(s: socket.socket, request: int, name: str, value: bytes) -> bytes:
    try:
        return fcntl.ioctl(s, request, struct.pack("16s24s", os.fsencode(name), value))
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from None


def _sockaddr(address: int) -> bytes:
    return struct.pack("=HH4s8x", socket.AF_INET, 0, address.to_bytes(4, "big"))
