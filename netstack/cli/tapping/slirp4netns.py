"""slirp4netns's own command line, so that what calls slirp4netns (podman, RootlessKit, scripts) can call this.

    netstack-tap slirp4netns -c --mtu=65520 -r 3 -a /run/api.sock 1234 tap0
    ln -s $(which netstack-tap) ~/bin/slirp4netns

Options, descriptors, addresses, the API socket, what is said on standard output and the exit status (1 for every failure) are
those of 1.2. What is otherwise: IPv6 is not there yet (`-6` is taken with a warning); the sandbox shows Python's files, read-only,
instead of nothing; system calls are filtered by a list of what is denied.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from ...address import Cidr, Ip4, Mac
from ...errors import UsageError
from ...router.guests.namespaces import Inside, Place, tap_in
from ...router.nat.config import NatConfig
from ...router.nat.hostaddresses import outbound_address
from ...signatures import Netif
from .options import GUEST, Addresses

if TYPE_CHECKING:
    from ...router.household import Household

VERSION = "1.2.0"  # whose options these are
MTU, MTU_MAX = 1500, 65521
DHCP_BEGIN, DHCP_END = 15, 30  # in the network
SHORTEST, LONGEST = 25, 8  # of a network's prefix: it holds all of these addresses
HELP = f"""Usage: slirp4netns [OPTION]... PID|PATH [TAPNAME]
User-mode networking for unprivileged network namespaces, by netstack-tap.

-c, --configure          bring up the interface
-e, --exit-fd=FD         end when something happens on this descriptor
-r, --ready-fd=FD        write 1 there when the network is ready
-m, --mtu=MTU            MTU (default={MTU}, max={MTU_MAX})
-6, --enable-ipv6        taken, with a warning: there is no IPv6 yet
-a, --api-socket=PATH    listen there for requests
--cidr=CIDR              the network (default=10.0.2.0/24)
--disable-host-loopback  prohibit connecting to 127.0.0.1:* on the host namespace
--netns-type=TYPE        what PID|PATH is ([path|pid], default=pid)
--userns-path=PATH       the user namespace
--enable-sandbox         a mount namespace of its own, and no capabilities but CAP_NET_BIND_SERVICE
--enable-seccomp         filter system calls
--outbound-addr=IPv4     the host's address that flows leave from, or its interface's name
--outbound-addr6=IPv6    taken, with a warning
--disable-dns            no DNS at network + 3
--macaddress=MAC         the interface's link address (only with -c)
--target-type=TYPE       what is at the other end ([netns|bess], default=netns)
-h, --help               show this help and exit
-v, --version            show version and exit
"""


class SlirpParser(argparse.ArgumentParser):
    """Mistakes as slirp4netns tells them: why on standard error, the usage on standard output, status 1."""

    def error(self, message: str) -> NoReturn:
        print(f"slirp4netns: {message}", file=sys.stderr)
        print(HELP, end="")
        raise SystemExit(1)


def main(words: Sequence[str]) -> int:
    """The exit status."""
    parser = build_parser()
    args = parser.parse_args(list(words))
    if args.help:
        print(HELP, end="")
        return 0
    if args.version:
        from ... import __version__

        print(f"slirp4netns version {VERSION}\ncommit: netstack-tap {__version__}")
        return 0
    try:
        return run(args, parser)
    except UsageError as error:
        parser.error(str(error))
    except OSError as error:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
        print(f"slirp4netns: {text or error}", file=sys.stderr)
        return 1


def build_parser() -> SlirpParser:
    parser = SlirpParser(prog="slirp4netns", add_help=False)
    parser.add_argument("-c", "--configure", action="store_true")
    parser.add_argument("-e", "--exit-fd")
    parser.add_argument("-r", "--ready-fd")
    parser.add_argument("-m", "--mtu", default=str(MTU))
    parser.add_argument("-6", "--enable-ipv6", action="store_true", dest="ipv6")
    parser.add_argument("-a", "--api-socket")
    parser.add_argument("--cidr", default="10.0.2.0/24")
    parser.add_argument("--disable-host-loopback", action="store_true")
    parser.add_argument("--netns-type", default="pid")
    parser.add_argument("--userns-path")
    parser.add_argument("--enable-sandbox", "--create-sandbox", action="store_true", dest="sandbox")
    parser.add_argument("--enable-seccomp", action="store_true", dest="seccomp")
    parser.add_argument("--outbound-addr")
    parser.add_argument("--outbound-addr6")
    parser.add_argument("--disable-dns", action="store_true")
    parser.add_argument("--macaddress")
    parser.add_argument("--target-type", default="netns")
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-v", "--version", action="store_true")
    parser.add_argument("target", nargs="?")
    parser.add_argument("tapname", nargs="?")
    parser.add_argument("rest", nargs="*")
    return parser


def run(args: argparse.Namespace, parser: SlirpParser) -> int:
    from ...runtime.loop import KERNEL
    from ...runtime.loop import run as run_loop
    from . import serving
    from .slirpapi import bind_api

    where = check(args)
    outbound = outbound_address(args.outbound_addr) if args.outbound_addr else None
    ready, end = (number(getattr(args, f"{name}_fd"), f"{name}-fd") for name in ("ready", "exit"))
    for fd, what in ((ready, "ready-fd"), (end, "exit-fd")):
        serving.check_fd(fd, what)
    if args.rest:
        print("WARNING: too many arguments", file=sys.stderr)
    if args.ipv6 or args.outbound_addr6:
        print("WARNING: IPv6 is not there yet, and is left out", file=sys.stderr)
    netif = open_target(args, where)
    try:
        api = bind_api(args.api_socket) if args.api_socket else None
    except BaseException:
        netif.close()
        raise
    print(banner(args, where), flush=True)
    how = serving.Serving(
        ready_fd=ready,
        exit_fd=end,
        quiet=True,
        drop=lambda: give_up(args),
        on_start=None if api is None else lambda router: answering(router, where, api, args.api_socket),
    )
    return run_loop(work(args, where, netif, how, NatConfig(outbound=outbound)), net=KERNEL[0])


async def work(args: argparse.Namespace, where: Addresses, netif: Netif, how: Any, nat: NatConfig) -> int:
    from ...router.household import Household
    from ...router.policy.policy import Policy
    from ...router.services.services import ServicesConfig
    from . import serving

    policy = Policy(network=where.network, gateway=where.gateway, loopback=not args.disable_host_loopback)
    base = where.network.network
    pool = (Ip4(base + DHCP_BEGIN), Ip4(base + DHCP_END))
    dns = None if args.disable_dns else where.dns
    config = ServicesConfig(network=where.network, gateway=where.gateway, dns=dns, pool=pool, mtu=int(args.mtu))
    return await serving.serve(Household(netif, config, policy, nat=nat), netif, how)


@contextlib.asynccontextmanager
async def answering(router: Household, where: Addresses, s: socket.socket, path: str) -> AsyncIterator[None]:
    """The API at work."""
    from .slirpapi import SlirpApi

    api = SlirpApi(router.forwards, where.guest.address)
    await api.start(s)
    try:
        yield
    finally:
        await api.aclose()
        with contextlib.suppress(OSError):
            os.unlink(path)


def check(args: argparse.Namespace) -> Addresses:
    """What contradicts itself, or can't be. Raises UsageError."""
    if args.target is None:
        raise UsageError("which namespace? Give the id of a process in it, or a path with --netns-type=path")
    if args.netns_type not in ("pid", "path"):
        raise UsageError(f"--netns-type={args.netns_type} is not possible: write pid or path")
    if args.target_type not in ("netns", "bess"):
        raise UsageError(f"--target-type={args.target_type} is not possible: write netns or bess")
    if args.target_type == "bess" and (args.configure or args.userns_path or args.netns_type != "pid"):
        raise UsageError("--target-type=bess has no namespace: leave --configure, --netns-type and --userns-path out")
    if args.target_type == "netns" and args.tapname is None:
        raise UsageError("which interface? Write its name behind the namespace, like tap0")
    if args.macaddress and not args.configure:
        raise UsageError("--macaddress sets up an interface: it needs --configure")
    if args.netns_type == "pid" and args.target_type == "netns" and not (args.target.isascii() and args.target.isdigit()):
        raise UsageError(f"{args.target!r} is not a process id: write a number, or --netns-type=path")
    if not (args.mtu.isascii() and args.mtu.isdigit()) or not 0 < int(args.mtu) <= MTU_MAX:
        raise UsageError(f"MTU must be a positive integer (< {MTU_MAX + 1})")
    cidr = Cidr.parse_whole(args.cidr)
    if not LONGEST <= cidr.length <= SHORTEST:
        raise UsageError(f"--cidr={args.cidr} is not possible: its prefix is from /{LONGEST} to /{SHORTEST}, like 10.0.2.0/24")
    if int(cidr.address) != cidr.network:
        raise UsageError(f"--cidr={args.cidr} is an address in a network: write the network, like 10.0.2.0/24")
    return Addresses.read(args.cidr)


def number(text: str | None, what: str) -> int | None:
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) <= 9:
        return int(text)
    raise UsageError(f"{what} must be a non-negative integer")


def open_target(args: argparse.Namespace, where: Addresses) -> Netif:
    """The tap inside, or User Mode Linux's socket. Raises OSError, UsageError."""
    mtu = int(args.mtu)
    if args.target_type == "bess":
        return wait_for_bess(args.target, mtu)
    path = args.target if args.netns_type == "path" else f"/proc/{args.target}/ns/net"
    user = args.userns_path or (f"/proc/{args.target}/ns/user" if args.netns_type == "pid" else None)
    if not os.path.lexists(path):
        raise OSError(2, os.strerror(2), path)
    up = args.configure
    mac = Mac.parse(args.macaddress) if args.macaddress else None
    inside = Inside(args.tapname, mtu, mac, where.guest if up else None, where.gateway if up else None, up)
    return tap_in(Place(path, user), inside)


def wait_for_bess(path: str, mtu: int) -> Netif:
    """Listen as a BESS server does, until User Mode Linux has come."""
    from ...plugins import load
    from .slirpapi import bind_api

    with bind_api(path, socket.SOCK_SEQPACKET) as listening:
        listening.setblocking(True)
        s, _ = listening.accept()
    netif: Netif = load("bess", "netstack_qemu:QemuDgram").from_socket(s, name="bess", mtu=mtu)
    return netif


def give_up(args: argparse.Namespace) -> None:
    from ..tap import give_up as giving
    from .privileges import CAP_NET_BIND_SERVICE

    writable = [os.path.dirname(os.path.abspath(args.api_socket))] if args.api_socket else []
    giving(None, args.sandbox, writable, args.seccomp, (CAP_NET_BIND_SERVICE,))


def banner(args: argparse.Namespace, where: Addresses) -> str:
    """What slirp4netns says, for whoever reads it."""
    base = where.network.network

    def at(place: int) -> str:
        return str(type(where.gateway)(base + place))

    mask = where.network.mask
    lines = [
        "Starting slirp",
        f"* MTU:             {args.mtu}",
        f"* Network:         {at(0)}",
        f"* Netmask:         {type(where.gateway)(mask)}",
        f"* Gateway:         {where.gateway}",
        f"* DNS:             {where.dns}",
        f"* DHCP begin:      {at(DHCP_BEGIN)}",
        f"* DHCP end:        {at(DHCP_END)}",
        f"* Recommended IP:  {at(GUEST)}",
    ]
    if args.api_socket:
        lines.append(f"* API Socket:      {args.api_socket}")
    if not args.disable_host_loopback:
        lines.append(
            f"WARNING: 127.0.0.1:* on the host is accessible as {where.gateway}"
            " (set --disable-host-loopback to prohibit connecting to 127.0.0.1:*)"
        )
    return "\n".join(lines)
