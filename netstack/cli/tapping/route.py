"""`netstack-tap route`: a router between devices, with NAT if one likes.

    netstack-tap route lan=tap:lan0?address=192.168.1.1/24 \\
        'wan=tap:wan0?address=203.0.113.2/24&gateway=203.0.113.1' --nat --forward tcp:8080=192.168.1.10:80
    netstack-tap route lan=tap:lan0?address=192.168.1.1/24 wan=tap:wan0?ip=dhcp --nat --dhcp lan

Two taps that the kernel's own hosts hang on; each host sees a gateway, and its packets never enter the kernel's own forwarding.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from ..options import count, positive_seconds
from ..service import stop_event, stop_without_device

if TYPE_CHECKING:
    from ...runtime.routing import RouterNet, RouterOpening

HELP = "a router between devices, with NAT if one likes"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Add the command to those of `netstack-tap`; `args.run(args)` runs it."""
    parser = commands.add_parser("route", help=HELP, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    configure(parser)
    parser.set_defaults(run=run)
    return parser


def configure(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    device = "a device: lan=tap:lan0?address=192.168.1.1/24; the one with gateway= leads to the world"
    add("devices", metavar="NAME=SPEC", nargs="+", help=device)
    add("--address", metavar="NAME=CIDR", action="append", default=[], help="an address on a device; repeatable")
    add("--gateway", metavar="IP", help="where everything else goes")
    add("--route", metavar="CIDR=WAY", action="append", default=[], help="10.0.0.0/8=192.168.1.2, or 10.1.0.0/16=lan; repeatable")
    add("--reverse-path", choices=("strict", "loose", "off"), default="strict", help="what a source must be (RFC 3704)")
    add("--clamp-mss", action="store_true", help="lower the MSS of SYNs to what the links carry")
    home = "hosts there get addresses from us: lan, or lan=192.168.1.100-192.168.1.199; repeatable"
    add("--dhcp", metavar="NAME[=FIRST-LAST]", action="append", default=[], help=home)
    add("-D", "--dns", metavar="IP", action="append", default=[], help="name servers that they are told (those of ip=dhcp)")
    add("--leases", metavar="FILE", default="", help="keep DHCP's leases there over a restart")
    nat = parser.add_argument_group("translation")
    nat.add_argument("--nat", action="store_true", help="translate between the inside and the outside")
    outside = "a device that leads to the world (default: the one with the gateway, or wan); repeatable"
    nat.add_argument("--outside", metavar="NAME", action="append", default=[], help=outside)
    forward = "a port of the outside that goes on inside: tcp:8080=192.168.1.10:80, udp:5000-5010=192.168.1.10; repeatable"
    nat.add_argument("--forward", metavar="RULE", action="append", default=[], help=forward)
    own = "an outside address for an inside host alone; repeatable"
    nat.add_argument("--map", metavar="OUT=IN", action="append", default=[], help=own)
    nat.add_argument("--filter", choices=("endpoint", "address", "address+port"), help="who may come in where somebody spoke")
    nat.add_argument("--unsolicited", choices=("drop", "reject"), default="drop", help="what becomes of others (drop)")
    nat.add_argument("--flows", metavar="N", type=count, default=65536, help="flows at a time (65536)")
    nat.add_argument("--flows-per-host", metavar="N", type=count, help="of one inside host (a quarter of all)")
    shown = parser.add_argument_group("what is shown")
    shown.add_argument("--stats", metavar="SECONDS", type=positive_seconds, help="what was forwarded, so often and at the end")
    shown.add_argument("--list", action="store_true", help="with each of the --stats, the flows too")
    shown.add_argument("-j", "--json", action="store_true", help="a line of JSON each")


def run(args: argparse.Namespace) -> int:
    from ...runtime.loop import KERNEL
    from ...runtime.loop import run as run_loop

    return run_loop(_serve(args), net=KERNEL[0])  # the command opens its net itself


def opening(args: argparse.Namespace) -> RouterOpening:
    """What the options describe. Raises UsageError."""
    from ...routing.config import NatConfig, RoutingConfig
    from ...runtime.routing import open_router

    devices = _pairs(args.devices, "a device", "lan=tap:lan0")
    addresses: dict[str, list[str]] = {}
    for text in args.address:
        name, cidr = _pair(text, "an address", "lan=192.168.1.1/24")
        addresses.setdefault(name, []).append(cidr)
    nat: bool | NatConfig = False
    if args.nat:
        per_host = args.flows_per_host or max(1, args.flows // 4)
        filters = {} if args.filter is None else {"filter_tcp": args.filter, "filter_udp": args.filter}
        try:
            nat = NatConfig(flows=args.flows, flows_per_host=per_host, unsolicited=args.unsolicited, **filters)
        except ValueError as error:
            raise UsageError(f"--flows {args.flows}: choose 16 to {1 << 22}") from error
    routing = RoutingConfig(reverse_path=args.reverse_path, clamp_mss=args.clamp_mss)
    return open_router(
        devices,
        addresses=addresses,
        gateway=args.gateway,
        routes=args.route,
        nat=nat,
        outside=args.outside,
        forwards=args.forward,
        maps=args.map,
        routing=routing,
        dhcp=args.dhcp,
        dns=args.dns,
        leases=args.leases,
    )


def _pair(text: str, what: str, example: str) -> tuple[str, str]:
    name, equals, rest = text.partition("=")
    if not equals or not name.isidentifier() or not rest:
        raise UsageError(f"{text!r} is not {what}: write {example}")
    return name, rest


def _pairs(texts: list[str], what: str, example: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, rest = _pair(text, what, example)
        if name in found:
            raise UsageError(f"there are two devices {name!r}: give each its own name")
        found[name] = rest
    return found


async def _serve(args: argparse.Namespace) -> int:
    stop = stop_event()
    async with opening(args) as net:
        stop_without_device(net, stop)
        names = ", ".join(f"{port.name} ({_addresses(port.addresses)})" for port in net.stack.plane.ports)
        ready = {"ready": True, "devices": [port.name for port in net.stack.plane.ports]}
        print(json.dumps(ready) if args.json else f"routing between {names}; end with Ctrl-C or SIGTERM", flush=True)
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), args.stats)
            except TimeoutError:
                show(net, args)
        if args.stats is not None:
            show(net, args)
        if net.failure is not None:
            raise net.failure
    return 0


def _addresses(addresses: list[tuple[int, int, int]]) -> str:
    from ...address import ip4_text

    return ", ".join(ip4_text(address) for _, _, address in addresses) or "no address"


def figures(net: RouterNet, flows: bool) -> dict[str, Any]:
    """What there is to say of now."""
    from attrs import asdict

    stack = net.stack
    shown: dict[str, Any] = {
        "devices": {
            port.name: {
                "rx_packets": port.rx_packets,
                "rx_bytes": port.rx_octets,
                "tx_packets": port.tx_packets,
                "tx_bytes": port.tx_octets,
            }
            for port in stack.plane.ports
        },
        "forward": {name: value for name, value in stack.plane.mib.snapshot().items() if value},
    }
    if stack.nat is not None:
        shown["conntrack"] = {name: value for name, value in stack.nat.mib.snapshot().items() if value}
        if flows:
            shown["flows"] = [asdict(flow) for flow in stack.flows()]
    return shown


def show(net: RouterNet, args: argparse.Namespace) -> None:
    shown = figures(net, args.list and args.json)
    if args.json:
        print(json.dumps(shown), flush=True)
        return
    for name, port in shown["devices"].items():
        print(f"{name}: {port['rx_packets']} in ({port['rx_bytes']} bytes), {port['tx_packets']} out ({port['tx_bytes']} bytes)")
    for group in ("forward", "conntrack"):
        if shown.get(group):
            print(f"{group}: " + ", ".join(f"{value} {key}" for key, value in shown[group].items()))
    if args.list:
        for flow in net.flows():
            print(flow)
    sys.stdout.flush()


def main(argv: list[str] | None = None) -> int:
    """The command by itself: `python -m netstack.cli.tapping.route`."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="netstack-tap route", description=__doc__, formatter_class=raw)
    configure(parser)
    try:
        return run(parser.parse_args(argv))
    except (UsageError, OSError) as error:
        print(f"netstack-tap: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


if __name__ == "__main__":
    sys.exit(main())
