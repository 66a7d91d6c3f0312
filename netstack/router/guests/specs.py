"""Guests as a user writes them.

tap:tap0                        a tap in this namespace         qemu:/run/vm.sock,server        see netstack_qemu
netns:1234   netns:blue         a tap made in that namespace, and with `address=` set up there:
                                netns:1234?name=eth0&address=10.0.2.100/24&gateway=10.0.2.2&mac=…&mtu=…&up=no
fd:5         fd:vm.socket       a descriptor that we were given, by number, or systemd's by name: a tap, a socket that is
                                connected or listens
web=tap:tap1                    a guest with a name of its own
qemu:/run/vms?guests=8          a path to which several come
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from ... import records
from ...address import Cidr, Ip4, Mac
from ...errors import UsageError
from ...plugins import load, open_netif
from ...signatures import Netif
from ...spec import Spec, check_options, read_flag, read_int
from .hub import Door
from .namespaces import Inside, Place, tap_in

TUNGETIFF = 0x800454D2  # linux/if_tun.h
LISTEN_FDS_START = 3  # sd_listen_fds(3)
MTU_MAX = 65520  # what slirp4netns and pasta allow, and a tap's link header leaves

_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,62})=(?=[a-z])", re.ASCII)
NETNS = {"name": "tap0", "address": "10.0.2.100/24", "gateway": "10.0.2.2", "mac": "02:00:00:00:00:02", "mtu": "1500", "up": "no"}
NETNS_MORE = {"userns": "/proc/1234/ns/user"}


@attrs.frozen
class Guests:
    """What the specs describe, open: names and devices, and doors through which more will come."""

    netifs: list[tuple[str, Netif]] = attrs.field(factory=list)
    doors: list[Door] = attrs.field(factory=list)

    def close(self) -> None:
        for _, netif in self.netifs:
            netif.close()
        for door in self.doors:
            door.close()


def open_guests(texts: list[str], mtu: int | None = None) -> Guests:
    """Open all of them, or none. `mtu` is for those that don't say their own. Raises UsageError, and OSErrors of devices."""
    guests = Guests()
    try:
        for text in texts:
            name, spec = read_guest(text)
            opened = open_guest(spec, mtu)
            if isinstance(opened, tuple):
                guests.doors.append(opened[0])
            else:
                guests.netifs.append((name or _name(spec, opened), opened))
    except BaseException:
        guests.close()
        raise
    return guests


def read_guest(text: str) -> tuple[str, Spec]:
    """A guest's name, "" without, and its SPEC. Raises UsageError."""
    match = _NAMED.match(text)
    name, rest = (match[1], text[match.end() :]) if match else ("", text)
    if ":" not in rest:
        raise UsageError(f"{text!r} does not say which guest: write one like tap:tap0, qemu:/run/vm.sock, netns:1234 or fd:3")
    return name, Spec.parse(rest)


def open_guest(spec: Spec, mtu: int | None) -> Netif | tuple[Door]:
    """A device; or a door, in a tuple, for they look alike. Raises what `open_guests` does."""
    options = dict(spec.options)
    if len(options) < len(spec.options):
        raise UsageError(f"an option stands twice in {spec}: write it once")
    if mtu is not None and "mtu" not in options and spec.kind in ("tap", "qemu", "netns", "fd"):
        options["mtu"] = str(mtu)
    if spec.kind == "netns":
        return open_netns(spec.name, options)
    if spec.kind == "fd":
        return open_fd(spec.name, options)
    if spec.kind == "qemu" and "guests" in options:
        open_door: Callable[[str, Mapping[str, str]], Door] = load("qemu", "netstack_qemu:open_door")
        return (open_door(spec.name, options),)
    return open_netif(records.evolve(spec, options=tuple(options.items())))


def _name(spec: Spec, netif: Netif) -> str:
    """Of a guest that was given none: its device's, or of one in another namespace that one's."""
    return spec.name.rpartition("/")[2] if spec.kind == "netns" else netif.name


def open_netns(name: str, options: Mapping[str, str]) -> Netif:
    check_options("netns", options, NETNS | NETNS_MORE)
    address = options.get("address")
    inside = Inside(
        options.get("name", "tap0"),
        read_int("mtu", options.get("mtu", "1500"), 68, MTU_MAX + 1),
        Mac.parse(options["mac"]) if "mac" in options else None,
        Cidr.parse_whole(address) if address else None,
        Ip4.parse(options["gateway"]) if "gateway" in options else None,
        read_flag("up", options.get("up", "yes")),
    )
    return tap_in(Place.parse(name, options.get("userns")), inside)


def open_fd(name: str, options: Mapping[str, str]) -> Netif:
    """Whatever kind the descriptor turns out to be. It is the device's from now on."""
    check_options("fd", options, {"mtu": "1500", "mac": "02:00:00:00:00:01"})
    fd = find_fd(name)
    mtu = read_int("mtu", options.get("mtu", "1500"), 68, MTU_MAX + 1)
    mac = Mac.parse(options["mac"]) if "mac" in options else None
    try:
        fcntl.ioctl(fd, TUNGETIFF, bytes(40))
    except OSError as error:
        if error.errno == errno.EBADF:
            raise UsageError(f"descriptor {fd} is not open: give one that this program was started with") from None
    else:
        tap: Netif = load("tap", "netstack_tuntap:Tap").from_fd(fd, mtu=mtu if "mtu" in options else None, mac=mac)
        return tap
    try:
        s = socket.socket(fileno=fd)
    except OSError:
        raise UsageError(f"descriptor {fd} is neither a tap nor a socket: give one of those") from None
    if s.family not in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
        s.detach()
        raise UsageError(f"descriptor {fd} is a socket of an unusual kind: give a unix one")
    kind = "QemuStream" if s.type == socket.SOCK_STREAM else "QemuDgram"
    device: Any = load("fd", f"netstack_qemu:{kind}")
    netif: Netif = device.from_socket(s, mac=mac, mtu=mtu)
    return netif


def find_fd(name: str) -> int:
    """A number, or the name of a descriptor from systemd's. Raises UsageError."""
    if name.isascii() and name.isdigit() and len(name) <= 9:
        return int(name)
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        names = os.environ.get("LISTEN_FDNAMES", "").split(":")
        count = int(os.environ.get("LISTEN_FDS", "0"))
        if name in names[:count]:
            return LISTEN_FDS_START + names.index(name)
        raise UsageError(f"no descriptor is called {name!r}: the service manager gave {', '.join(names[:count]) or 'none'}")
    raise UsageError(f"fd:{name} is not possible: write the number of an open descriptor, like fd:5, or a name from systemd's")
