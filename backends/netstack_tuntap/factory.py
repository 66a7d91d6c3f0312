"""Tap and Tun from text: the entry points `tap` and `tun` of the group `netstack.netif`."""

from collections.abc import Mapping

from netstack.address import Cidr, Mac
from netstack.spec import check_options, read_flag, read_int

from .netifs import Tap, Tun

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
