"""`netstack-tap run`: a program in user, network and mount namespaces of its own, whose network is a router of ours.

netstack-tap run -- curl https://example.net/
netstack-tap run --default deny --allow 'pypi.org' --allow 'files.pythonhosted.org' -- pip install attrs
netstack-tap run -t 8080:80 -- python3 -m http.server 80

Its exit status is ours. An ordinary user's program is root inside, unless --keep-id says otherwise; what it leaves running loses
its network.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from ...errors import UsageError
from .. import Parser
from . import options


def main(words: Sequence[str]) -> int:
    parser = Parser(
        prog="netstack-tap run",
        usage="netstack-tap run [options] [--] PROGRAM [argument ...]",
        description="A program in a network of its own.",
    )
    configure(parser)
    return run(parser.parse_args(list(words)))


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("program", metavar="PROGRAM", nargs=argparse.REMAINDER, help="and what it gets")
    parser.add_argument("--keep-id", action="store_true", help="the program runs as who you are, not as root in there")
    auto = "more ids than one's own: those that /etc/subuid and /etc/subgid give, by newuidmap (an ordinary user's program)"
    parser.add_argument("--map-auto", action="store_true", help=auto)
    options.add_tap_options(parser)
    options.add_router_options(parser)


def run(args: argparse.Namespace) -> int:
    from ...router.guests.ids import Helpers
    from ...router.guests.listening import listening_of
    from ...router.guests.program import Program, Room
    from ...runtime.loop import KERNEL
    from ...runtime.loop import run as run_loop
    from ..tap import plan, serve, serving_of
    from .following import following, wanted
    from .serving import check_fd

    argv = args.program[1:] if args.program[:1] == ["--"] else args.program
    if not argv:
        raise UsageError("which program shall run? Write it behind the options: netstack-tap run -- curl https://example.net/")
    where = options.addresses(args)
    chosen = plan(args, where)
    check_fd(args.ready_fd, "--ready-fd")
    check_fd(args.exit_fd, "--exit-fd")
    auto = wanted(args)
    dns = () if args.dns == ["none"] else (str(where.dns),)
    helpers = Helpers.find() if args.map_auto and os.geteuid() != 0 else None  # root has all of them
    program = Program(argv, Room(options.inside(args, where, True), dns, tuple(args.search), args.keep_id, helpers))
    try:
        seen = listening_of(program.pid) if auto else None
        serving = serving_of(args, on_start=following(auto, seen, str(where.guest.address)))
        return run_loop(serve(args, program.netif, chosen, serving, program), net=KERNEL[0])
    finally:
        program.close()
