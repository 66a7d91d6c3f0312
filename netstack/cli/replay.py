"""`netstack replay`: the other hosts of a capture, played to our stack, and what that sends held against the capture.

netstack replay bug.pcap --as 10.1.1.7                      to puppets that say what 10.1.1.7 said: does it come out as it was?
netstack replay bug.pcap --as 10.1.1.7 --serve app:app      to an ASGI application, at the ports that were served in the capture
"""

import argparse
import asyncio
from typing import TYPE_CHECKING

from ..errors import UsageError, WireError
from .options import port_number

if TYPE_CHECKING:
    from ..replaying.replay import Replay
    from ..replaying.report import Report

# what differs from one run to the next in every response
DATE = r"(?im)^date:[^\r\n]*\r\n"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a capture, pcap or pcapng")
    parser.add_argument("--as", dest="host", metavar="HOST", help="who of it we are; on a loopback with a port, 127.0.0.1:8080")
    parser.add_argument("--serve", metavar="MODULE:NAME", help="an ASGI application that answers (default: what was captured does)")
    parser.add_argument("--app-dir", metavar="DIR", default=".", help="where its module is looked for first (default: here)")
    parser.add_argument("--port", metavar="N", type=port_number, action="append", default=[], help="serve here; repeatable")
    speed = "max, without pauses and in virtual time (default); 1, the capture's own pace; 10, ten times as fast"
    parser.add_argument("--speed", metavar="X", default="max", help=speed)
    parser.add_argument("--order", choices=("captured", "reversed", "shuffled"), default="captured", help="of what is under way")
    parser.add_argument("--duplicate", metavar="P", type=float, default=0.0, help="the chance of a segment to be played twice")
    parser.add_argument("--cut", metavar="BYTES", type=int, default=0, help="play segments in pieces of so many bytes")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="of all chance")
    ignore = "a regular expression of bytes that may differ; repeatable (with --serve, the Date of a response may anyway)"
    parser.add_argument("--ignore", metavar="REGEX", action="append", default=[], help=ignore)
    parser.add_argument("--fill", action="store_true", help="play zeros for what the capture lacks")
    parser.add_argument("--pcap", metavar="FILE", help="write what is played and answered to FILE, as pcapng")
    parser.add_argument("-j", "--json", action="store_true", help="the report as JSON")


def run(args: argparse.Namespace) -> int:
    """Exit status 1 when something differs."""
    from ..replaying.replay import replay

    ignore = [*args.ignore, *([DATE] if args.serve else [])]
    if not args.serve and args.port:
        raise UsageError("--port says where --serve serves: without an application, ports are those of the capture")
    try:
        player = replay(
            args.file, args.host, order=args.order, duplicate=args.duplicate, cut=args.cut, seed=args.seed, ignore=ignore or None,
            fill=args.fill, pcap=args.pcap,
        )  # fmt: skip
        report = _serve(player, args) if args.serve else player.deliver(_speed(args.speed))
    except WireError as error:
        raise UsageError(f"{args.file} can't be read: {error}") from error
    print(report.json() if args.json else report)
    return 0 if report.ok else 1


def _speed(text: str) -> float | str:
    try:
        return text if text == "max" else float(text)
    except ValueError:
        raise UsageError(f"--speed {text} is not possible: write a factor like 10, or max") from None


def _serve(player: "Replay", args: argparse.Namespace) -> "Report":
    """At full speed in virtual time: an application's sleeps cost nothing. Else it has the time that the capture took."""
    from ..http.serve.asgi import Asgi
    from ..runtime.virtual import run_virtual
    from .serve import load

    speed = _speed(args.speed)
    ports = args.port or sorted({talk.host_port for talk in player.script.connections if talk.peer_opens and not talk.refused})
    if not ports:
        raise UsageError("nobody connects to our host in this capture: there is nothing to serve")
    application = Asgi(load(args.serve, args.app_dir, False))
    work = _play(player, application, ports, speed)
    return run_virtual(work) if speed == "max" else asyncio.run(work)


async def _play(player: "Replay", application: object, ports: list[int], speed: float | str) -> "Report":
    from contextlib import AsyncExitStack

    from .web import http_server

    async with player, AsyncExitStack() as stack:
        for port in ports:
            await stack.enter_async_context(http_server(player.net, port, application=application))  # type: ignore[arg-type]
        return await player.run(speed)
