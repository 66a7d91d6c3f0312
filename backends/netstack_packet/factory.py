"""A card from text: the entry point `packet` of the group `netstack.netif`."""

from collections.abc import Mapping

from netstack.address import Mac
from netstack.errors import UsageError
from netstack.spec import check_options, read_flag

from .netif import Packet

KNOWN = {"mac": "02:00:00:00:00:01", "offload": "no", "gso": "no", "ring": "yes"}


def open_packet(name: str, options: Mapping[str, str]) -> Packet:
    """`packet:NAME?mac=…&offload=…&gso=…&ring=…`; see `Packet`."""
    if not name:
        raise UsageError("packet: says no interface: write its name, as in packet:eth0 (`ip link` lists them)")
    check_options("packet", options, KNOWN)
    mac = options.get("mac")
    return Packet(
        name,
        mac=None if mac is None else Mac.parse(mac),
        offload=options.get("offload"),
        gso=read_flag("gso", options["gso"]) if "gso" in options else True,
        ring=read_flag("ring", options["ring"]) if "ring" in options else False,
    )
