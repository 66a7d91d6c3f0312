"""`netstack run`: an asyncio program as it is, on a stack of its own.

netstack run --net tap:tap0?address=10.79.0.2/24 app.py --its options
netstack run --net tap:tap0 --address 10.79.0.2/24 -m uvicorn app:app
netstack run --net posix app.py                          the same on the kernel's sockets
"""

import argparse
import asyncio
import os
import runpy
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from . import complain
from .options import add_trace_option, trace_of

if TYPE_CHECKING:
    from ..runtime.threads.patch import Patch
    from ..tracing.trace import Trace


def configure(parser: argparse.ArgumentParser) -> None:
    parser.usage = "netstack run --net SPEC [options] (FILE | -m MODULE) [argument ...]"
    parser.add_argument("--net", metavar="SPEC", help="the device: tap:tap0, tun:tun0, loopback:, or posix (default: $NETSTACK)")
    parser.add_argument("--address", metavar="CIDR", action="append", default=[], help="own address, 10.79.0.2/24; repeatable")
    parser.add_argument("--gateway", metavar="IP", help="where everything else goes")
    parser.add_argument("--dns", metavar="SERVER", action="append", default=[], help="whom to ask for names; repeatable; or system")
    parser.add_argument("--hosts", metavar="FILE", help="names of hosts, as in /etc/hosts; or system")
    parser.add_argument("--names", choices=("own", "system"), help="system: ask the system's resolver for other names")
    parser.add_argument("--pcap", metavar="FILE", help="write every frame that the stack sees to FILE, as pcapng")
    parser.add_argument("--fault", metavar="FAULTS", help="what to do to the traffic, as in loss=0.01,delay=20ms,seed=7")
    add_trace_option(parser)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), help="the loop below (default: $NETSTACK_LOOP, or asyncio)")
    parser.add_argument("--patch", action="store_true", help="the program's own sockets are the stack's, too (netstack.patch)")
    parser.add_argument("-m", dest="module", action="store_true", help="what follows is the name of a module, not of a file")
    parser.add_argument("program", metavar="FILE", help="the program")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the program gets")


def run(args: argparse.Namespace) -> int:
    """The program's own end is ours: its SystemExit, and its traceback."""
    net = args.net or os.environ.get("NETSTACK")
    if not net:
        example = "--net tap:tap0 --address 10.79.0.2/24, or set NETSTACK=tap:tap0?address=10.79.0.2/24"
        raise UsageError(f"on which net? Say {example}")
    from ..runtime.loop import KERNEL, new_event_loop
    from ..runtime.loops.substitute import loops
    from ..runtime.threads.patch import patch

    said = {"addresses": args.address, "gateway": args.gateway, "hosts": args.hosts, "names": args.names, "pcap": args.pcap}
    said |= {"fault": args.fault, "dns": "system" if args.dns == ["system"] else args.dns}
    options: dict[str, Any] = {name: value for name, value in said.items() if value}
    if net in KERNEL and options:
        raise UsageError(f"{', '.join(options)} can't be said of the kernel's network: leave it out, or name a device in --net")
    sys.argv = [args.program, *args.arguments]
    patches: list[Patch] = []
    traces: list[Trace] = []

    def make(base: type[asyncio.AbstractEventLoop] | None) -> asyncio.AbstractEventLoop:
        try:
            loop: Any = new_event_loop(net, base=args.loop or base, **options)
            if args.trace:
                untrace(traces)
                traces.append(tracing(loop, args.trace))  # until the program's next loop, or its end
        except (UsageError, OSError) as error:
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)  # the program's main: it's over
            raise SystemExit(complain(error, 2 if isinstance(error, UsageError) else 1)) from None
        if args.patch and loop.net is not None:
            unpatch(patches)
            patches.append(patch(loop.net))  # until the program's next loop, or its end
        made: asyncio.AbstractEventLoop = loop
        return made

    with loops(make):
        try:
            if args.module:
                sys.path.insert(0, os.getcwd())
                runpy.run_module(args.program, run_name="__main__", alter_sys=True)
            else:
                sys.path.insert(0, os.path.dirname(os.path.abspath(args.program)))
                runpy.run_path(args.program, run_name="__main__")
        except (UsageError, OSError):  # the program's own, so it is shown as Python shows them
            traceback.print_exc()
            return 1
        finally:
            unpatch(patches)
            untrace(traces)
    return 0


def tracing(loop: Any, file: str) -> "Trace":
    """Of the loop's net; a loop that can't be traced is closed. Raises UsageError, OSError."""
    try:
        return trace_of(loop.net, file).start()
    except BaseException:
        loop.close()
        raise


def untrace(traces: "list[Trace]") -> None:
    while traces:
        trace = traces.pop()
        trace.stop()
        if trace.error is not None:
            print(f"netstack: the trace has ended early: {trace.error}", file=sys.stderr)


def unpatch(patches: "list[Patch]") -> None:
    while patches:
        patches.pop().undo()
