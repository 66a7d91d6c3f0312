"""The options that every command with a stack of its own has, and the net that they describe."""

import argparse
import os
import re
from typing import TYPE_CHECKING

from ..errors import UsageError

if TYPE_CHECKING:
    from ..runtime.asyncio import Opening


def add_net_options(parser: argparse.ArgumentParser) -> None:
    """--netif, --address, --gateway, --dns, --hosts, --pcap, --fault."""
    net = parser.add_argument_group(
        "the net",
        "A SPEC may carry the other options, as in tap:tap0?address=10.79.0.2/24&gateway=10.79.0.1; those given on the command"
        " line win.",
    )
    device = "the device: tap:tap0, packet:eth0, pcap:FILE; or posix, the kernel's own network (default: $NETSTACK)"
    net.add_argument("--netif", "--net", metavar="SPEC", help=device)
    net.add_argument("--address", metavar="CIDR", action="append", default=[], help="own address, 10.79.0.2/24; repeatable")
    net.add_argument("--gateway", metavar="IP", help="where everything else goes")
    dns = "whom to ask for names: 10.0.0.1, tls://10.0.0.1#dns.example, https://10.0.0.1, or system, /etc/resolv.conf's; repeatable"
    net.add_argument("--dns", metavar="SERVER", action="append", default=[], help=dns)
    net.add_argument("--hosts", metavar="FILE", help="names of hosts: a file like /etc/hosts, or system for that one itself")
    net.add_argument("--pcap", metavar="FILE", help="write every frame that the stack sees to FILE, as pcapng")
    net.add_argument("--fault", metavar="FAULTS", help="what to do to the traffic, as in loss=0.01,delay=20ms,seed=7")


def open_net(args: argparse.Namespace) -> "Opening":
    """What the options describe, to be entered with `async with`. Raises UsageError."""
    netif = args.netif or os.environ.get("NETSTACK")
    if not netif:
        example = "--netif tap:tap0 --address 10.79.0.2/24, or set NETSTACK=tap:tap0?address=10.79.0.2/24"
        raise UsageError(f"on which device? Say {example}")
    from ..runtime.asyncio import open as open_

    dns = "system" if args.dns == ["system"] else args.dns or None
    return open_(netif, addresses=args.address, gateway=args.gateway, pcap=args.pcap, fault=args.fault, dns=dns, hosts=args.hosts)


def may_know_names(args: argparse.Namespace) -> bool:
    """Do the options, or the SPEC, say where names are known?"""
    netif = args.netif or os.environ.get("NETSTACK") or ""
    return bool(args.dns or args.hosts) or any(f"{key}=" in netif for key in ("dns", "hosts", "names"))


def port_number(text: str) -> int:
    """For `type=`: a port that can be listened on."""
    if text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port: write a number from 1 to 65535")


def size(text: str) -> int:
    """For `type=`: bytes, in units of 1024 with k, m, g or t."""
    found = re.fullmatch(r"([0-9]{1,15})([kmgt]?)", text.lower())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: write a number of bytes, or one like 20g (k, m, g, t)")
    return int(found[1]) << 10 * " kmgt".index(found[2] or " ")


def count(text: str) -> int:
    """For `type=`: a whole number above 0."""
    if text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a count: write a whole number above 0")


def positive_seconds(text: str) -> float:
    """For `type=`: a time above 0, in seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if 0 < value <= 86400:
        return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a time: write seconds above 0, like 0.2")
