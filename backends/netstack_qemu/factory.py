"""Devices from text: the entry point `qemu` of the group `netstack.netif`."""

from collections.abc import Mapping

from netstack.address import Mac
from netstack.errors import UsageError
from netstack.signatures import Netif
from netstack.spec import check_options, read_flag, read_int

from .base import check_path
from .dgram import QemuDgram
from .stream import Door, QemuStream, check_guests

KNOWN = {"mac": "02:00:00:00:00:01", "mtu": "1500", "gro": "no", "gso": "no"}
WORDS = ("server", "client", "dgram")


def split(name: str) -> tuple[str, set[str]]:
    """`/run/vm.sock,server` taken apart. Raises UsageError."""
    path, *words = name.split(",")
    for word in words:
        if word not in WORDS:
            raise UsageError(f"qemu:{name} is not possible: behind the path stand {', '.join(WORDS)}, like qemu:/run/vm,server")
    if "server" in words and "client" in words:
        raise UsageError(f"qemu:{name} is not possible: server listens and client connects, so write one of them")
    return check_path(path), set(words)


def open_qemu(name: str, options: Mapping[str, str]) -> Netif:
    """`qemu:PATH[,server|,client|,dgram]?mac=…&mtu=…&gro=…&gso=…`, and `remote=PATH` with dgram."""
    path, words = split(name)
    dgram = "dgram" in words
    check_options("qemu", options, {**KNOWN, "remote": "/run/vm.sock"} if dgram else KNOWN)
    if dgram and "client" in words:
        raise UsageError(f"qemu:{name} is not possible: datagrams need a path of ours; write qemu:/run/us.sock,dgram?remote={path}")
    mac, mtu, gro, gso = _common(options)
    if dgram:
        return QemuDgram(path, remote=options.get("remote"), mac=mac, mtu=mtu, gro=gro, gso=gso)
    server = True if "server" in words else False if "client" in words else None
    return QemuStream(path, server=server, mac=mac, mtu=mtu, gro=gro, gso=gso)


def open_door(name: str, options: Mapping[str, str]) -> Door:
    """`qemu:PATH?guests=8`, and the options of a device: for guests that come and go."""
    path, words = split(name)
    check_options("qemu", options, {**KNOWN, "guests": "8"})
    if words & {"dgram", "client"}:
        raise UsageError(f"qemu:{name} is not possible with guests=: it listens at a path to which streams come")
    mac, mtu, gro, gso = _common(options)
    return Door(path, limit=check_guests(options["guests"]), mac=mac, mtu=mtu, gro=gro, gso=gso)


def _common(options: Mapping[str, str]) -> "tuple[Mac | None, int, bool, bool]":
    mac = Mac.parse(options["mac"]) if "mac" in options else None
    mtu = read_int("mtu", options["mtu"], 576, 65520) if "mtu" in options else 1500
    gro, gso = (read_flag(key, options[key]) if key in options else True for key in ("gro", "gso"))
    return mac, mtu, gro, gso
