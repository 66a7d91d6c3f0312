"""An interface from text: the entry points of the group `netstack.netif`."""

from collections.abc import Mapping
from time import monotonic_ns
from typing import TYPE_CHECKING

from netstack.address import Mac
from netstack.errors import UsageError
from netstack.instant import Instant
from netstack.spec import check_options, read_flag, read_int

from .back.netif import QUEUES, XenBack
from .front.netif import QUEUES_MOST, Xen

if TYPE_CHECKING:
    from .hypervisor import Hypervisor

KNOWN = {"queues": "2", "split": "no", "offload": "no", "mac": "00:16:3e:00:00:01", "steer": "no", "takeover": "yes"}
KNOWN["groups"] = "01:00:5e:00:00:01,01:00:5e:00:00:fb"
KNOWN_BACK = {
    "queues": "2", "split": "no", "control": "no", "gso": "no", "mac": "02:00:00:00:00:01", "mtu": "1500", "hotplug": "wait",
    "wait": "yes",
}  # fmt: skip
HANDLES_MOST = 1 << 16
DOMAINS_MOST = 0x7FF0  # DOMID_FIRST_RESERVED


def _libxen() -> "Hypervisor":
    """This machine's. Raises XenUnavailable where there is none, or its libraries weren't there when this was built."""
    from .libxen import LibXen

    return LibXen()


def open_xen(name: str, options: Mapping[str, str]) -> Xen:
    """`xen:HANDLE?queues=…&split=…&offload=…&mac=…&steer=…&groups=…&takeover=…`; see `Xen`. `takeover=yes` takes the interface away
    from the kernel, if its own driver has it."""
    if not name:
        raise UsageError("xen: says no interface: write its number, as in xen:0")
    check_options("xen", options, KNOWN)
    handle = read_int("the number of an interface", name, 0, HANDLES_MOST - 1)
    queues = read_int("queues", options["queues"], 1, QUEUES_MOST) if "queues" in options else 1
    flags = {key: read_flag(key, options[key]) for key in ("split", "steer", "takeover") if key in options}
    mac = options.get("mac")
    address = None if mac is None else Mac.parse(mac)
    groups = [Mac.parse(word) for word in options["groups"].split(",")] if "groups" in options else None
    from .libxen import held_by, let_go

    driver = held_by(handle)
    if driver is not None:
        if not flags.get("takeover"):
            raise UsageError(
                f"the kernel's own driver ({driver}) has interface {handle}: write xen:{handle}?takeover=yes to take it away, with "
                "all that the kernel has on it"
            )
        let_go(handle)
    hypervisor = _libxen()
    try:
        return Xen(
            hypervisor,
            handle,
            queues=queues,
            split=flags.get("split", True),
            offload=options.get("offload"),
            mac=address,
            steer=flags.get("steer", True),
            groups=groups,
            now=Instant(monotonic_ns()),
            own=True,
        )
    except BaseException:
        hypervisor.close()
        raise


def open_xenback(name: str, options: Mapping[str, str]) -> XenBack:
    """`xenback:DOMID/HANDLE?queues=…&split=…&control=…&gso=…&mac=…&mtu=…&hotplug=wait&wait=…`; see `XenBack`. `hotplug=wait` waits
    for a script to write hotplug-status."""
    front, slash, handle = name.partition("/")
    if not front or not slash or not handle:
        raise UsageError(f"xenback:{name} says no vif: write the frontend's domain and its number, as in xenback:3/0")
    check_options("xenback", options, KNOWN_BACK)
    domid = read_int("the frontend's domain", front, 0, DOMAINS_MOST - 1)
    number = read_int("the number of an interface", handle, 0, HANDLES_MOST - 1)
    queues = read_int("queues", options["queues"], 1, QUEUES_MOST) if "queues" in options else QUEUES
    mtu = read_int("mtu", options["mtu"], 68, 65521) if "mtu" in options else None
    flags = {key: read_flag(key, options[key]) for key in ("split", "control", "gso", "wait") if key in options}
    if options.get("hotplug", "write") not in ("write", "wait"):
        raise UsageError(f"hotplug={options['hotplug']} is not possible: say write or wait")
    mac = options.get("mac")
    address = None if mac is None else Mac.parse(mac)
    hypervisor = _libxen()
    try:
        return XenBack(
            hypervisor,
            domid,
            number,
            now=Instant(monotonic_ns()),
            mac=address,
            mtu=mtu,
            queues=queues,
            split=flags.get("split", True),
            control=flags.get("control", True),
            gso=flags.get("gso", True),
            hotplug=options.get("hotplug", "write") == "write",
            wait=flags.get("wait", False),
            own=True,
        )
    except BaseException:
        hypervisor.close()
        raise
