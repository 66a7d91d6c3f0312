"""`netstack-tap`: a router in user space for guests, containers, virtual machines and namespaces, without rights.

netstack-tap tap:tap0 -t 2222:22
netstack-tap --netns 1234 --config-net
netstack-tap qemu:/run/vm.sock,server --default deny --allow '*.debian.org'
netstack-tap run -- curl https://example.net/
netstack-tap slirp4netns --configure --mtu=65520 1234 tap0         slirp4netns's own command line
netstack-tap ctl …   netstack-tap top   netstack-tap route …         see there
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from ..errors import UsageError
from . import Parser
from .tapping import options

COMMANDS = {  # in cli/tapping
    "run": "a program in a network of its own",
    "slirp4netns": "with slirp4netns's options",
    "ctl": "ask a router at work, and tell it",
    "top": "who talks to whom, live",
    "route": "between devices, with NAT",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None and os.path.basename(sys.argv[0]) == "slirp4netns":
        words.insert(0, "slirp4netns")
    return guarded(dispatch, words)


def guarded(work: Callable[[list[str]], int], words: list[str]) -> int:
    """What goes wrong is one sentence on standard error: 2 for what can't be, 1 where the world said no."""
    try:
        return work(words)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except UsageError as error:
        return complain(error, 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return complain(error, 1)
    except KeyboardInterrupt:
        return 130


def complain(error: Exception, status: int) -> int:
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    print(f"netstack-tap: {' '.join(text.split())}", file=sys.stderr)
    return status


def dispatch(words: list[str]) -> int:
    if words and words[0] in COMMANDS:
        module = import_module(f"netstack.cli.tapping.{words[0]}")
        if hasattr(module, "main"):  # it has a grammar of its own
            status: int = module.main(words[1:])
            return status
        parser = Parser(prog=f"netstack-tap {words[0]}", description=f"{COMMANDS[words[0]].capitalize()}.")
        module.configure(parser)
        status = module.run(parser.parse_args(words[1:]))
        return status  # noqa: RET504  # a number, as mypy is told above
    parser = Parser(prog="netstack-tap", description="A router in user space, for guests that have no other.")
    configure(parser)
    return run(parser.parse_args(words))


def configure(parser: argparse.ArgumentParser) -> None:
    from .. import __version__

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = "\n".join(f"  netstack-tap {name:12} {purpose}" for name, purpose in COMMANDS.items())
    parser.epilog = f"other commands, each with --help:\n{commands}"
    parser.add_argument("--version", action="version", version=f"netstack-tap {__version__}")
    options.add_guest_options(parser)
    options.add_tap_options(parser)
    options.add_router_options(parser)


def run(args: argparse.Namespace) -> int:
    from ..router.guests.hub import together
    from ..router.guests.listening import listening_in
    from ..router.guests.namespaces import Place
    from ..router.guests.specs import open_guests
    from ..runtime.loop import KERNEL
    from ..runtime.loop import run as run_loop
    from .tapping import following
    from .tapping.serving import check_fd

    where = options.addresses(args)
    specs = [*args.specs, *(f"qemu:{path},server" for path in args.socket), *(f"fd:{fd}" for fd in args.fd)]
    specs += [netns_spec(args, where, i, place) for i, place in enumerate(args.netns)]
    if not specs:
        raise UsageError("which guest? Write one like tap:tap0, --netns PID or qemu:/run/vm.sock; or netstack-tap run -- PROGRAM")
    chosen = plan(args, where)  # what can't be is said before anything is opened
    check_fd(args.ready_fd, "--ready-fd")
    check_fd(args.exit_fd, "--exit-fd")
    auto = following.wanted(args)
    seen = listening_in(Place.parse(args.netns[0], args.userns)) if auto and args.netns else None
    serving = serving_of(args, on_start=following.following(auto, seen, str(where.guest.address) if args.config_net else ""))
    guests = open_guests(specs, args.mtu if args.mtu != options.MTU else None)
    extra: dict[str, Any] = {"network": where.network, "isolate": args.isolate, "strict": args.strict}
    try:
        netif = together(guests.netifs, guests.doors, **extra)
    except BaseException:
        guests.close()
        raise
    return run_loop(serve(args, netif, chosen, serving), net=KERNEL[0])


def plan(args: argparse.Namespace, where: options.Addresses) -> tuple[Any, Any, Any]:
    """Configuration of services, the policy without its files, and configuration of NAT."""
    from ..router.policy.policy import Policy

    loopback = options.reaches_loopback(args, where)
    policy = Policy(args.default, network=where.network, gateway=where.gateway, loopback=loopback)
    return options.services_config(args, where), policy, options.nat_config(args)


async def serve(args: argparse.Namespace, netif: Any, chosen: tuple[Any, Any, Any], serving: Any, program: Any = None) -> int:
    from ..router.household import Household
    from ..router.policy.options import use_policy_options
    from .tapping import serving as work

    services, policy, nat = chosen
    house = Household(netif, services, policy, pcap=args.pcap, nat=nat)
    use_policy_options(house, args)
    return await work.serve(house, netif, serving, program)


def netns_spec(args: argparse.Namespace, where: options.Addresses, i: int, place: str) -> str:
    """A guest's SPEC for --netns; each further one has the next address."""
    name = f"?name={args.ns_ifname}"
    if args.userns:
        name += f"&userns={args.userns}"
    if args.ns_mac_addr and i == 0:
        name += f"&mac={args.ns_mac_addr}"
    if not args.config_net:
        return f"netns:{place}{name}&up=no"
    host = type(where.guest.address)(int(where.guest.address) + i)
    return f"netns:{place}{name}&address={host}/{where.network.length}&gateway={where.gateway}"


def serving_of(args: argparse.Namespace, **more: Any) -> Any:
    from .tapping.serving import Serving

    return Serving(
        ready_fd=args.ready_fd,
        exit_fd=args.exit_fd,
        pid=args.pid,
        stats=args.stats,
        json=args.json,
        quiet=args.quiet,
        one_off=getattr(args, "one_off", False),
        drop=dropping(args, kill="program" in args),
        **more,
    )


def dropping(args: argparse.Namespace, kill: bool) -> Callable[[], None]:
    """What gives up privileges, checked before anything is opened. `kill`: signals are to reach a program of another user's."""
    from .tapping import privileges

    user = privileges.read_user(args.runas) if args.runas else None
    writable = [os.path.dirname(os.path.abspath(path)) for path in (args.control, args.leases, args.pid) if path]

    def drop() -> None:
        keep = (privileges.CAP_NET_BIND_SERVICE, privileges.CAP_KILL) if kill and user else (privileges.CAP_NET_BIND_SERVICE,)
        give_up(user, args.sandbox, writable, not args.no_seccomp, keep)

    return drop


def give_up(user: tuple[int, int] | None, sandbox: bool, writable: list[str], seccomp: bool, keep: tuple[int, ...]) -> None:
    """Everything that a router at work does not need. Raises OSError for what was asked for by name."""
    from .tapping import privileges
    from .tapping import seccomp as filter_

    if sandbox:
        privileges.sandbox(writable)
    if user is not None:
        privileges.change_user(*user)
    privileges.drop(keep)
    if seccomp:
        filter_.install()


if __name__ == "__main__":
    sys.exit(main())
