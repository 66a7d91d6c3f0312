"""Making and configuring a tun or tap device, with the kernel's refusals turned into sentences that say what to do.

python-pytun makes the device and sets its addresses; reading and writing is `core.py`'s, on the same descriptor. What pytun
does not wrap (vnet header, offloads, asking about a descriptor that somebody else opened) is an ioctl here.
"""

import contextlib
import errno
import fcntl
import os
import socket
import struct
from _blake2 import blake2s  # hashlib's own; hashlib would start OpenSSL first, for its other functions
from collections.abc import Callable
from typing import Any

from netstack import const
from netstack.address import Cidr, Mac
from netstack.device import sysio
from netstack.device.face import NONE, TSO, Wanted
from netstack.errors import NetstackError, UsageError
from netstack.records import evolve, frozen

NAME_LIMIT = 15  # IFNAMSIZ is 16, with the NUL

# linux/if_tun.h
IFF_TUN = 0x0001
IFF_TAP = 0x0002
IFF_MULTI_QUEUE = 0x0100
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000
TUNGETIFF = 0x800454D2
TUNSETOFFLOAD = 0x400454D0
TUNSETVNETHDRSZ = 0x400454D8
TUN_F_CSUM = 0x01
TUN_F_TSO4 = 0x02
TUN_F_TSO6 = 0x04
TUN_F_TSO_ECN = 0x08
TUN_F_USO4 = 0x20
TUN_F_USO6 = 0x40  # the kernel takes the two together or neither

KERNEL = {
    const.OFFLOAD_CSUM: TUN_F_CSUM,
    const.OFFLOAD_TSO4: TUN_F_TSO4,
    const.OFFLOAD_TSO6: TUN_F_TSO6,
    const.OFFLOAD_TSO_ECN: TUN_F_TSO_ECN,
    const.OFFLOAD_USO: TUN_F_USO4 | TUN_F_USO6,
}

# linux/sockios.h
SIOCGIFFLAGS = 0x8913
SIOCGIFMTU = 0x8921
SIOCGIFHWADDR = 0x8927
IFF_UP = 1


class NotAllowed(NetstackError, PermissionError):
    """The kernel wants a privilege that this process lacks; the message has the command that makes it unnecessary."""


class DeviceUnavailable(NetstackError, OSError):
    """The device can't be opened or set up; the message says why and what to do."""


@frozen
class Handle:
    """An open device: what `netstack.device.core` and the faces need to know."""

    fd: int
    name: str
    mtu: int
    hwaddr: bytes  # of the kernel's end; b"" when there is none or nobody knows
    vnet: int  # length of the vnet header, or 0
    offload: int  # OFFLOAD_* flags: what the device does
    owner: Any  # the pytun object, which closes the descriptor; None when it was given to us

    def close(self) -> None:
        if self.owner is not None:
            self.owner.close()
        else:
            os.close(self.fd)


def check_name(name: str) -> None:
    """Raise UsageError for what can't be the name of an interface; the empty one lets the kernel choose."""
    if len(os.fsencode(name)) > NAME_LIMIT:
        raise UsageError(f"{name!r} is too long for the name of an interface: use at most {NAME_LIMIT} bytes, like tap0")
    if name in (".", "..") or any(c in "/:\0" or c.isspace() for c in name):
        raise UsageError(f"{name!r} can't be the name of an interface: leave out slashes, colons and spaces, like tap0")


def create(name: str, mode: str, wanted: Wanted, multi_queue: bool = False) -> Handle:
    """Make the device `name` of `mode` "tap" or "tun", or open the one that is there; with `multi_queue`, one more queue of it.

    Raises the errors above, UsageError.
    """
    check_name(name)
    try:
        import pytun  # type: ignore[import-untyped, import-not-found, unused-ignore]  # a C extension without stubs
    except ImportError:
        raise DeviceUnavailable(errno.ENOSYS, "tun and tap devices need python-pytun: pip install python-pytun") from None
    flags = (IFF_TAP if mode == "tap" else IFF_TUN) | IFF_NO_PI | (IFF_MULTI_QUEUE if multi_queue else 0)
    vnet_hdr = IFF_VNET_HDR if wanted.flags else 0
    try:
        device = pytun.TunTapDevice(name=name, flags=flags | vnet_hdr)
    except pytun.Error as error:
        if error.errno == errno.EINVAL and vnet_hdr and not wanted.demanded and not _exists(name):
            return create(name, mode, NONE, multi_queue)  # a kernel, or what stands for one, without vnet headers
        raise _refusal(error, name, mode, multi_queue) from None
    try:
        fd = device.fileno()
        _prepare(fd)
        vnet, features = _ask_offloads(fd, wanted) if vnet_hdr else _refuse_offloads(fd)
        actual = str(device.name)
        return Handle(fd, actual, _mtu(actual), _hwaddr(actual) if mode == "tap" else b"", vnet, features, device)
    except BaseException:
        device.close()
        raise


def adopt(fd: int, mode: str, name: "str | None", mtu: "int | None", wanted: Wanted) -> Handle:
    """Take over a descriptor that somebody opened: a tun or tap device, or a socket that keeps message boundaries.

    Raises UsageError when it is a device of the other mode, or a socket without a `name`. The device must have been opened
    with IFF_NO_PI, which nobody can ask: in the kernel's answer IFF_NOFILTER has the same bit.
    """
    try:
        # 40 bytes: struct ifreq, the interface's name and its flags
        answer = fcntl.ioctl(fd, TUNGETIFF, bytes(40))
    except OSError as error:
        if error.errno == errno.EBADF:
            raise UsageError(f"descriptor {fd} is not open: give one of an open {mode} device") from None
        if name is None:
            raise UsageError(f"descriptor {fd} is no {mode} device: give name= if it is a socket that carries frames") from None
        _prepare(fd)
        return Handle(fd, name, mtu or 1500, b"", 0, 0, None)
    flags = struct.unpack_from("=H", answer, 16)[0]
    actual = os.fsdecode(answer[:16].partition(b"\0")[0])
    if not flags & (IFF_TAP if mode == "tap" else IFF_TUN):
        raise UsageError(f"descriptor {fd} is {actual}, which is no {mode} device: use {'Tun' if mode == 'tap' else 'Tap'}.from_fd")
    _prepare(fd)
    vnet, features = _ask_offloads(fd, wanted) if flags & IFF_VNET_HDR else _refuse_offloads(fd)
    try:
        return Handle(fd, name or actual, mtu or _mtu(actual), _hwaddr(actual) if mode == "tap" else b"", vnet, features, None)
    except DeviceUnavailable:
        # opened in another network namespace: the descriptor works, questions by name don't
        return Handle(fd, name or actual, mtu or 1500, b"", vnet, features, None)


def configure(handle: Handle, mode: str, mtu: "int | None", host: "Cidr | None", persist: bool, up: bool) -> Handle:
    """Set up the kernel's end. What is already as it should be is not touched, so that it needs no privilege."""
    device, name = handle.owner, handle.name
    if mtu is not None and mtu != handle.mtu:
        try:
            device.mtu = mtu
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise UsageError(f"mtu={mtu} is not possible on {name}: write a number from 68 to 65521") from None
            raise _not_set_up(error, name, f"sudo ip link set {name} mtu {mtu}") from None
        handle = evolve(handle, mtu=mtu)
    if persist:
        try:
            device.persist(True)
        except OSError as error:
            raise _not_set_up(error, name, f"sudo ip tuntap add dev {name} mode {mode} user $USER") from None
    if host is not None and not _has_address(device, host):
        try:
            device.addr = str(host.address)
            device.netmask = _netmask(host)
        except OSError as error:
            raise _not_set_up(error, name, f"sudo ip addr add {host} dev {name} && sudo ip link set {name} up") from None
    if up and not _ask(name, SIOCGIFFLAGS)[0] & IFF_UP:
        try:
            device.up()
        except OSError as error:
            raise _not_set_up(error, name, f"sudo ip link set {name} up") from None
    return handle


def stack_mac(name: str, hwaddr: bytes) -> Mac:
    """The stack's own address on this device: locally administered, and the same for as long as the device is.

    The stack is another host than the kernel, on the other end of the cable, so it must not have the kernel's `hwaddr`. That
    one goes into the hash, so that devices of one name on two machines of one network differ.
    """
    digest = blake2s(b"netstack\0" + os.fsencode(name) + b"\0" + hwaddr, digest_size=5).digest()
    mac = b"\x02" + digest
    return Mac(int.from_bytes(mac, "big") ^ (mac == hwaddr))


def _prepare(fd: int) -> None:
    os.set_blocking(fd, False)
    os.set_inheritable(fd, False)


def _ask_offloads(fd: int, wanted: Wanted) -> tuple[int, int]:
    """Length of the vnet header, and as many of the wanted offloads as this kernel takes."""
    try:
        fcntl.ioctl(fd, TUNSETVNETHDRSZ, struct.pack("=i", sysio.VNET))
    except OSError as error:
        raise DeviceUnavailable(
            error.errno, f"this kernel does not take a vnet header ({error.strerror}): open with offload=no"
        ) from None

    def takes(flags: int) -> bool:
        try:
            fcntl.ioctl(fd, TUNSETOFFLOAD, of_kernel(flags))
        except OSError:
            return False
        return True

    return sysio.VNET, negotiate(wanted.flags, takes)


def of_kernel(flags: int) -> int:
    """TUN_F_* flags."""
    return sum(theirs for ours, theirs in KERNEL.items() if flags & ours)


def negotiate(wanted: int, takes: Callable[[int], bool]) -> int:
    """Those of `wanted` that the kernel takes: all at once, or else one after another. `takes` sets what it is given."""
    if wanted and takes(wanted):
        return wanted
    have = 0
    for flag in KERNEL:
        if flag & wanted and (flag != const.OFFLOAD_TSO_ECN or have & TSO) and takes(have | flag):
            have |= flag
    takes(have)  # a refused question may have left anything
    return have


def _refuse_offloads(fd: int) -> tuple[int, int]:
    """A device that persists keeps the offloads that its last user took: without a vnet header to say so, the kernel would hand
    out segments that lack their checksum, which TCP must drop."""
    with contextlib.suppress(OSError):  # EINVAL where the kernel has none to refuse
        fcntl.ioctl(fd, TUNSETOFFLOAD, 0)
    return 0, 0


def make_plain(fd: int) -> None:
    """From now on the kernel completes checksums and cuts segments before it hands frames out."""
    _refuse_offloads(fd)


def _ask(name: str, request: int) -> tuple[int, bytes]:
    """What the kernel says of the interface `name`: the value as a number, as two bytes or four, and whole."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as questioner:
        try:
            answer = fcntl.ioctl(questioner, request, struct.pack("16s24x", os.fsencode(name)))
        except OSError as error:
            raise DeviceUnavailable(error.errno, f"{name} does not answer: {error.strerror}") from None
    number: int = struct.unpack_from("=H" if request == SIOCGIFFLAGS else "=i", answer, 16)[0]
    return number, answer[16:]


def _mtu(name: str) -> int:
    return _ask(name, SIOCGIFMTU)[0]


def _hwaddr(name: str) -> bytes:
    return _ask(name, SIOCGIFHWADDR)[1][2:8]


def _netmask(host: Cidr) -> str:
    return ".".join(map(str, host.mask.to_bytes(4, "big")))


def _has_address(device: Any, host: Cidr) -> bool:
    try:
        return bool(device.addr == str(host.address) and device.netmask == _netmask(host))
    except OSError:  # EADDRNOTAVAIL: it has none
        return False


def _exists(name: str) -> bool:
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def _refusal(error: OSError, name: str, mode: str, multi_queue: bool = False) -> NetstackError:
    """Why the device could not be opened, and what would help."""
    shown = name or f"a {mode} device"
    make = f"sudo ip tuntap add dev {name or mode + '0'} mode {mode} user $USER && sudo ip link set {name or mode + '0'} up"
    number = error.errno or errno.EIO
    if number == errno.EPERM and name and _exists(name):
        again = f"sudo ip tuntap del dev {name} mode {mode} && {make}"
        return NotAllowed(number, f"{name} belongs to another user: make it yours with: {again}")
    if number == errno.EPERM:
        return NotAllowed(number, f"making {shown} needs the capability CAP_NET_ADMIN: make it once, for yourself, with: {make}")
    if number == errno.EACCES:
        return NotAllowed(
            number, f"/dev/net/tun may not be opened, so {shown} can't be: allow it with: sudo chmod 666 /dev/net/tun"
        )
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        return DeviceUnavailable(
            number,
            f"/dev/net/tun is missing, so {shown} can't be opened: sudo modprobe tun (a container needs --device /dev/net/tun)",
        )
    if number == errno.EBUSY:
        return DeviceUnavailable(number, f"{shown} is in use by another program: end that one, or choose another name")
    if number == errno.EINVAL and name and _exists(name):
        if multi_queue:
            again = f"sudo ip tuntap del dev {name} mode {mode} && sudo ip tuntap add dev {name} mode {mode} multi_queue user $USER"
            return DeviceUnavailable(number, f"{name} is there and is no {mode} device of many queues: make it one with: {again}")
        return DeviceUnavailable(
            number, f"{name} is there and is no {mode} device with one queue: choose another name, or say multi_queue=yes"
        )
    return DeviceUnavailable(number, f"{shown} can't be opened: {error.strerror or error}")


def _not_set_up(error: OSError, name: str, command: str) -> NetstackError:
    if error.errno in (errno.EPERM, errno.EACCES):
        return NotAllowed(error.errno, f"setting up {name} needs the capability CAP_NET_ADMIN: do it once with: {command}")
    return DeviceUnavailable(error.errno or errno.EIO, f"{name} can't be set up ({error.strerror or error}): try: {command}")
