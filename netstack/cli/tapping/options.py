"""The options of `netstack-tap`, named as passt, pasta and slirp4netns name them, and what is made of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import attrs

from ...address import Cidr, Ip4, Mac
from ...errors import UsageError
from ...instant import SECOND
from ...router.guests.namespaces import Inside
from ...router.nat.config import NatConfig
from ...router.nat.hostaddresses import outbound_address
from ...router.policy.options import add_policy_options
from ...router.services.forwardspec import inward, outward
from ...router.services.services import ServicesConfig
from .forwarding import automatic, every, split

NETWORK = "10.0.2.0/24"
GATEWAY, DNS, GUEST = 2, 3, 100  # in the network, as slirp4netns has them
MTU = 1500
MTU_MAX = 65520


@attrs.frozen
class Addresses:
    """Who has which address in the guests' network."""

    network: Cidr
    gateway: Ip4
    dns: Ip4
    guest: Cidr

    @classmethod
    def read(cls, network: str, gateway: str | None = None, dns: str | None = None, guest: str | None = None) -> Addresses:
        """What isn't said is as slirp4netns has it. Raises UsageError."""
        cidr = Cidr.parse_whole(network)
        if not 8 <= cidr.length <= 30 and (gateway is None or guest is None):
            raise UsageError(f"{network} is not possible for guests: write one from /8 to /30, like {NETWORK}")
        base = Cidr(Ip4(cidr.network), cidr.length)

        def at(said: str | None, place: int, what: str) -> Ip4:
            size = 1 << 32 - base.length
            address = Ip4(base.network + (place if place < size - 1 else size - 2)) if said is None else Ip4.parse(said)
            if address not in base or int(address) in (base.network, base.broadcast):
                raise UsageError(f"the {what} {address} is no host's address in {base}: give one that is")
            return address

        own = at(gateway, GATEWAY, "gateway")
        address, slash, _ = (guest or "").partition("/")
        if slash and Cidr.parse(guest or "").length != base.length:
            raise UsageError(f"{guest} has another prefix than the network {base}: write /{base.length}, or none")
        host = at(address or None, GUEST, "guest")
        if host == own:
            raise UsageError(f"{host} is the router's: give the guest another address, or another --gateway")
        return cls(base, own, at(dns, DNS, "DNS server"), Cidr(host, base.length))


def add_guest_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("specs", metavar="SPEC", nargs="*", help="tap:NAME, netns:PID, qemu:PATH, fd:N; name=SPEC names a guest")
    guests = parser.add_argument_group("guests")
    place = "a tap in this network namespace: a process, a name of ip-netns(8)'s, or a path; repeatable"
    guests.add_argument("--netns", metavar="PID|NAME|PATH", action="append", default=[], help=place)
    guests.add_argument("--userns", metavar="PATH", help="whose it is (default: the kernel is asked)")
    guests.add_argument("--config-net", action="store_true", help="set up address, route and lo there")
    guests.add_argument("-s", "--socket", metavar="PATH", action="append", default=[], help="listen there for QEMU; repeatable")
    guests.add_argument("-F", "--fd", metavar="N", action="append", default=[], help="a tap or a socket that is open; repeatable")
    guests.add_argument("--isolate", action="store_true", help="keep guests apart: each reaches the router alone")
    guests.add_argument("--strict", action="store_true", help="guests use the addresses that DHCP gave them, and no others")
    guests.add_argument("-1", "--one-off", action="store_true", help="end when the guest has gone")


def add_tap_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-I", "--ns-ifname", metavar="NAME", default="tap0", help="the interface inside (tap0)")
    parser.add_argument("--ns-mac-addr", metavar="MAC", help="its link address")


def add_router_options(parser: argparse.ArgumentParser) -> None:
    net = parser.add_argument_group("the guests' network")
    net.add_argument("--dhcp", "--cidr", "--network", dest="network", metavar="NET", default=NETWORK, help=f"({NETWORK})")
    net.add_argument("--no-dhcp", action="store_true", help="give no addresses")
    net.add_argument("-a", "--address", metavar="IP", help="the first guest's (network + 100)")
    net.add_argument("-g", "--gateway", metavar="IP", help="the router's (network + 2)")
    net.add_argument("-m", "--mtu", metavar="N", type=mtu, default=MTU, help=f"({MTU}; up to {MTU_MAX})")
    net.add_argument("-D", "--dns", metavar="SERVER", action="append", default=[], help="who is asked for names; none: nobody")
    net.add_argument("--dns-forward", metavar="IP", help="where guests ask for names (network + 3)")
    net.add_argument("-S", "--search", metavar="DOMAIN", action="append", default=[], help="where guests look for short names")
    net.add_argument("--hosts", metavar="NAME=IP", action="append", default=[], help="a name that guests know")

    out = parser.add_argument_group("ways in and out")
    ways = "the host's port leads to the guest's: 2222:22, 8000-8010,~8005, 127.0.0.1/80:8080, unix:/run/x.sock:22; auto: those on "
    ways += "which somebody listens in the namespace, as they come and go; all: every one that nobody has"
    out.add_argument("-t", "--tcp-ports", metavar="PORTS", action="append", default=[], help=ways)
    out.add_argument("-u", "--udp-ports", metavar="PORTS", action="append", default=[], help="the same for UDP")
    home = "the gateway's port leads to the host's; auto, all: any of them"
    out.add_argument("-T", "--tcp-ns", metavar="PORTS", action="append", default=[], help=home)
    out.add_argument("-U", "--udp-ns", metavar="PORTS", action="append", default=[], help="the same for UDP")
    home = "what guests send to IP (default: the gateway) goes to the host's 127.0.0.1"
    out.add_argument("--map-host-loopback", metavar="IP", nargs="?", const="gateway", default="none", help=home)
    out.add_argument("--disable-host-loopback", action="store_true", help="the default: guests don't reach it")

    source = "flows leave from this address of the host's, or that of its interface"
    out.add_argument("-o", "--outbound-addr", "--outbound", "--outbound-if4", metavar="IP|NAME", help=source)
    idle = f"when idle flows end, in seconds: {', '.join(f'{each}={default}' for each, default in TIMEOUTS.items())}"
    out.add_argument("--timeouts", metavar="KIND=SEC,…", type=timeouts, default={}, help=idle)

    add_policy_options(parser)

    work = parser.add_argument_group("operation")
    work.add_argument("-p", "--pcap", metavar="FILE", help="write every frame to FILE, as pcapng")
    work.add_argument(
        "--stats", metavar="SEC", nargs="?", const=10.0, type=seconds, help="a line of counters every SEC seconds (10)"
    )
    work.add_argument("-j", "--json", action="store_true", help="events as JSON, a line for each, on standard output")
    work.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors")
    work.add_argument("-r", "--ready-fd", metavar="N", type=descriptor, help="write 1 there when guests may begin, and close it")
    work.add_argument("-e", "--exit-fd", metavar="N", type=descriptor, help="end when it is readable or its other end closed")
    work.add_argument("-P", "--pid", metavar="FILE", help="write our process id there")
    work.add_argument("--control", metavar="PATH", help="listen there for gvisor-tap-vsock's API")
    work.add_argument("--leases", metavar="FILE", help="keep DHCP's leases there over a restart")

    rights = parser.add_argument_group("privileges", "All capabilities are given up as soon as the devices are there.")
    rights.add_argument("--runas", metavar="UID[:GID]|LOGIN", help="become this user as well")
    rights.add_argument("--sandbox", action="store_true", help="see no files but those of /etc and Python's, read-only")
    rights.add_argument("--no-seccomp", action="store_true", help="don't filter system calls")


def addresses(args: argparse.Namespace) -> Addresses:
    return Addresses.read(args.network, args.gateway, args.dns_forward, args.address)


def inside(args: argparse.Namespace, where: Addresses, up: bool) -> Inside:
    """How the tap in a namespace is set up."""
    mac = Mac.parse(args.ns_mac_addr) if args.ns_mac_addr else None
    return Inside(args.ns_ifname, args.mtu, mac, where.guest, where.gateway, up)


def services_config(args: argparse.Namespace, where: Addresses) -> ServicesConfig:
    """What the command line says of services. Raises UsageError."""
    hosts: dict[str, str] = {}
    for each in args.hosts:
        name, equals, address = each.partition("=")
        if not equals or not name:
            raise UsageError(f"{each!r} names no host: write NAME=IP, like db.internal=10.0.2.2")
        hosts[name] = str(Ip4.parse(address))
    forwards: dict[str, Any] = {
        f"{proto}{suffix}": tuple(part for text in getattr(args, f"{proto}_{option}") for part in split(text))
        for proto in ("tcp", "udp")
        for suffix, option in (("", "ports"), ("_out", "ns"))
    }
    for proto in ("tcp", "udp"):  # what can't be is said before anything is opened
        for text in forwards[proto]:
            inward(proto, text)
        for text in forwards[f"{proto}_out"]:
            outward(proto, text)
    wide: dict[str, Any] = {}
    for proto in ("tcp", "udp"):
        wide[f"{proto}_all"] = excluded(getattr(args, f"{proto}_ports"), every)
        either = getattr(args, f"{proto}_ns")  # from guests nothing listens: any port is seen to when it is asked for
        wide[f"{proto}_any"] = joined(excluded(either, automatic), excluded(either, every))
    last = Ip4(where.network.network + (1 << 32 - where.network.length) - 2)
    return ServicesConfig(
        network=where.network,
        gateway=where.gateway,
        dns=None if args.dns == ["none"] else where.dns,
        servers=tuple(args.dns) if args.dns and args.dns != ["none"] else "system",
        hosts=hosts,
        dhcp=not args.no_dhcp,
        pool=(where.guest.address, max(where.guest.address, last)),
        search=tuple(args.search),
        mtu=args.mtu,
        leases=args.leases or "",
        control=args.control or "",
        **forwards,
        outbound=str(outbound_address(args.outbound_addr)) if args.outbound_addr else "",
        **wide,
    )


Ranges = tuple[tuple[int, int], ...]


def excluded(texts: list[str], reading: Callable[[str], list[range] | None]) -> Ranges | None:
    """What `auto` and `all` leave out, (first, beyond the last) each; None where nobody said that word."""
    read = [found for text in texts if (found := reading(text)) is not None]
    return tuple((each.start, each.stop) for found in read for each in found) if read else None


def joined(one: Ranges | None, other: Ranges | None) -> Ranges | None:
    return other if one is None else one if other is None else one + other


def nat_config(args: argparse.Namespace) -> NatConfig:
    """Limits, time-outs, and where flows leave. Raises UsageError."""
    said = {name: round(value * SECOND) for name, value in args.timeouts.items()}
    return NatConfig(outbound=outbound_address(args.outbound_addr) if args.outbound_addr else None, **said)


def reaches_loopback(args: argparse.Namespace, where: Addresses) -> bool:
    """May guests reach the host's 127.0.0.1, at the gateway's address? Raises UsageError."""
    said: str = args.map_host_loopback
    if said not in ("none", "gateway") and Ip4.parse(said) != where.gateway:
        raise UsageError(f"--map-host-loopback {said} is not the gateway, {where.gateway}: leave the address out")
    if args.disable_host_loopback and said != "none":
        raise UsageError("--disable-host-loopback and --map-host-loopback contradict each other: say one of them")
    return said != "none"


TIMEOUTS = {"tcp": 7440, "tcp-transitory": 240, "udp": 300, "udp-dns": 30, "icmp": 60}
_FIELDS = {"tcp": "tcp_idle", "tcp-transitory": "tcp_transitory", "udp": "udp_idle", "udp-dns": "udp_short", "icmp": "echo_idle"}


# -- for `type=` ------------------------------------------------------------------------------------------------------------


def mtu(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 6 and 576 <= int(text) <= MTU_MAX + 1:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not an MTU: write a number from 576 to {MTU_MAX}")


def descriptor(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a descriptor: write its number, like 3")


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if 0.05 <= value <= 86400:
        return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a time: write seconds, like 10")


def timeouts(text: str) -> dict[str, float]:
    """`udp=60,icmp=10`: the fields of NatConfig, in seconds."""
    found: dict[str, float] = {}
    for word in text.split(","):
        kind, _, value = word.partition("=")
        try:
            time = float(value)
        except ValueError:
            time = 0.0
        if kind not in _FIELDS or not 1 <= time <= 1e6:
            raise argparse.ArgumentTypeError(f"{word!r} is no time-out: write {', '.join(TIMEOUTS)} = seconds, like udp=60,icmp=10")
        found[_FIELDS[kind]] = time
    return found
