"""The `netstack` command. Each subcommand has a file of its own, read only when it is the one that was asked for.

Exit status: 0 all well, also after SIGTERM and SIGINT; 1 the world said no (an OSError), 2 the user asked for what can't be.
Failures are one sentence on standard error, never a traceback.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from ..errors import UsageError

COMMANDS = {
    "demo": "a stack with a page on it, and a fetch of it through the kernel",
    "serve": "serve an ASGI application, or the files of a folder, over HTTP",
    "smallservers": "echo, discard and the character generator (RFC 862, 863, 864)",
    "tap": "a router for guests: containers, virtual machines, namespaces",
    "run": "run an asyncio program, as it is, on a stack of its own",
    "image": "a program, our stack and an interpreter as a machine that boots",
    "dns": "a server of names: zones, forwarding, resolving",
    "forward": "ports of a stack that go on to the host's, and the other way round",
    "socks": "a proxy on the host into a stack, SOCKS5 and HTTP CONNECT",
    "wire": "a bad cable between two devices",
    "capture": "what arrives at a device, into a file",
    "streams": "the TCP connections in a capture, and what was said in them",
    "ping": "send echo requests to a host",
    "curl": "fetch URLs, with curl's options",
    "dig": "ask a name server, and see what it says",
    "explain": "what the connections of a capture did, drawn and in words",
    "mdns": "names and services on the link: browse, resolve, register",
    "replay": "the other hosts of a capture, played to our stack: does it answer as captured?",
    "explore": "the same test in thousands of worlds, and the smallest that fails",
    "doctor": "what this machine can do, and what to do about the rest",
}


class Parser(argparse.ArgumentParser):
    """An argument parser that answers a mistake with one sentence."""

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ")
        self.exit(2, f"{self.prog}: {message} (try {self.prog} --help)\n")


def build_parser(chosen: str | None) -> Parser:
    """All subcommands by name and purpose; the arguments only of the chosen one."""
    from .. import __version__

    parser = Parser(prog="netstack", description="A TCP/IP stack that you import, and run.")
    parser.add_argument("--version", action="version", version=f"netstack {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        if name == chosen:
            import_module(f"netstack.cli.{name}").configure(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    # the first word that is no option: there is no option before it that takes a value
    chosen = next((word for word in words if not word.startswith("-")), None)
    try:
        if chosen is not None and chosen not in COMMANDS:
            raise UsageError(f"{chosen!r} is not a command: there are {', '.join(COMMANDS)}")
        if chosen == "tap":  # a command of its own, netstack-tap
            from .tap import main as tap

            return tap(words[words.index("tap") + 1 :])
        parser = build_parser(chosen)
        args = parser.parse_args(words)
        if chosen is None:
            parser.print_help(sys.stderr)
            return 2
        status: int = import_module(f"netstack.cli.{chosen}").run(args)
        return status
    except SystemExit as end:  # argparse: --help, --version, mistakes
        return end.code if isinstance(end.code, int) else 0
    except UsageError as error:
        return complain(error, 2)
    except BrokenPipeError:  # `netstack ping … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit complains
        return 1
    except OSError as error:
        return complain(error, 1)
    except KeyboardInterrupt:
        return 130


def complain(error: Exception, status: int) -> int:
    """Say what went wrong, in one line; gives `status` back."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    print(f"netstack: {' '.join(text.split())}", file=sys.stderr)
    return status
