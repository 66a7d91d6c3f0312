"""`netstack-tap ctl`: talk to a running router by its control socket.

netstack-tap ctl forward 2222:22              a port of the host for the guest; -u for UDP
netstack-tap ctl out 5432:unix:/run/pg.sock   a port of the router, for the guest, that leads to the host's side
netstack-tap ctl forwards                     all of them; ctl remove N takes one away
netstack-tap ctl flows                        who talks to whom
netstack-tap ctl leases                       addresses, and who has them
netstack-tap ctl name db.internal 10.0.2.15   a name for the guests
netstack-tap ctl allow '*.debian.org'         policy: allow, deny; ctl policy shows it
netstack-tap ctl pcap FILE --live 10          frames, as pcapng; - is standard output
netstack-tap ctl trace --seconds 10 > t.json  what TCP does and why, for ui.perfetto.dev; --text for lines
netstack-tap ctl stats  metrics  cam          counters, the same for Prometheus, link addresses
netstack-tap ctl get /PATH                    whatever the API has
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from ...errors import UsageError
from .asking import Asking, add_socket_option, asking, shown, size, socket_of

WORDS = {
    "forwards": (0, 0), "forward": (1, 1), "out": (1, 1), "remove": (1, 1), "flows": (0, 0), "leases": (0, 0), "name": (2, 2),
    "zones": (0, 0), "stats": (0, 0), "metrics": (0, 0), "cam": (0, 0), "policy": (0, 0), "allow": (1, 1), "deny": (1, 1),
    "pcap": (1, 1), "trace": (0, 0), "get": (1, 1),
}  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = __doc__
    add_socket_option(parser)
    parser.add_argument("-j", "--json", action="store_true", help="answers as JSON")
    parser.add_argument("-u", "--udp", action="store_true", help="forward, out: UDP")
    parser.add_argument("--live", metavar="SECONDS", type=float, help="pcap: frames from now on, for so long; 0: until it is ended")
    parser.add_argument("--seconds", metavar="N", type=float, default=10.0, help="trace: for so long (10); 0: until it is ended")
    parser.add_argument("--text", action="store_true", help="trace: as lines")
    parser.add_argument("word", metavar="COMMAND", help=", ".join(WORDS))
    parser.add_argument("arguments", metavar="ARGUMENT", nargs="*")


def run(args: argparse.Namespace) -> int:
    asyncio.run(talk(args))
    return 0


async def talk(args: argparse.Namespace) -> None:
    """Raises UsageError, OSError."""
    if args.word not in WORDS:
        raise UsageError(f"{args.word!r} is nothing to ask a router: there are {', '.join(WORDS)}")
    least, most = WORDS[args.word]
    if not least <= len(args.arguments) <= most:
        wanted = "nothing" if not most else f"{most} argument{'s' if most > 1 else ''}"
        raise UsageError(f"ctl {args.word} takes {wanted}: netstack-tap ctl --help has examples")
    async with asking(socket_of(args)) as router:
        await VERBS[args.word](router, args)


Verb = Callable[[Asking, argparse.Namespace], Awaitable[None]]


def table(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> str:
    """Columns by their key in a row, under their titles."""
    cells = [[shown(str(row.get(key, "") if row.get(key) is not None else "-")) for key in columns] for row in rows]
    titles = list(columns.values())
    widths = [max(map(len, each)) for each in zip(titles, *cells, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in (titles, *cells)]
    return "\n".join(lines)


def show(path: str, columns: Mapping[str, str], rows: Callable[[Any], list[dict[str, Any]]]) -> Verb:
    async def verb(router: Asking, args: argparse.Namespace) -> None:
        said = await router.get(path)
        print(json.dumps(said) if args.json else table(columns, rows(said)))

    return verb


def _forward_rows(said: Any) -> list[dict[str, Any]]:
    found = []
    for row in said:
        host = f"unix:{row['unix']}" if row["unix"] else f"{row['host_addr']}:{row['host_port']}"
        guest = f"{row['guest_addr'] or '(guest)'}:{row['guest_port']}"
        arrow = (host, guest) if row["direction"] == "in" else (guest, host)
        found.append({**row, "from": arrow[0], "to": arrow[1]})
    return found


def flow_rows(said: Any) -> list[dict[str, Any]]:
    found = []
    for row in sorted(said["flows"], key=lambda row: row["idle"]):
        ends = {"from": f"{row['src']}:{row['src_port']}", "to": f"{row['dst']}:{row['dst_port']}"}
        found.append({**row, **ends, "sent": size(row["sent"]), "received": size(row["received"]), "idle": f"{row['idle']:.0f}s"})
    return found


def _lease_rows(said: Any) -> list[dict[str, Any]]:
    return [{**row, "left": "for ever" if row["left"] is None else f"{row['left']}s"} for row in said]


async def _forward(router: Asking, args: argparse.Namespace) -> None:
    key = "forward" if args.word == "forward" else "out"
    answer = await router.ask("POST", "/forwards", {"proto": "udp" if args.udp else "tcp", key: args.arguments[0]})
    print(answer.decode() if args.json else " ".join(map(str, json.loads(answer)["ids"])))


async def _remove(router: Asking, args: argparse.Namespace) -> None:
    number = args.arguments[0]
    if not number.isascii() or not number.isdigit():
        raise UsageError(f"{number!r} is not the number of a forward: ctl forwards shows them")
    await router.ask("DELETE", f"/forwards/{number}")


async def _name(router: Asking, args: argparse.Namespace) -> None:
    name, address = args.arguments
    await router.ask("POST", "/services/dns/add", {"Name": name, "Records": [{"Name": "", "IP": address}]})


async def _rule(router: Asking, args: argparse.Namespace) -> None:
    await router.ask("POST", "/policy", {args.word: args.arguments[0]})


async def _policy(router: Asking, args: argparse.Namespace) -> None:
    said = await router.get("/policy")
    if args.json:
        print(json.dumps(said))
        return
    for i, rule in enumerate(said["rules"]):
        print(f"{i:3}  {shown(rule)}")
    print(f"     {said['default']} the rest")
    for denial in said["denials"]:
        print(f"denied: {shown(denial)}")


async def _get(router: Asking, args: argparse.Namespace) -> None:
    path = args.arguments[0]
    if not path.startswith("/"):
        raise UsageError(f"{path!r} is no path: write it like /flows")
    print((await router.ask("GET", path)).decode().rstrip("\n"))


async def _dump(router: Asking, args: argparse.Namespace) -> None:
    """Counters as JSON, the zones, the metrics: as they come."""
    paths = {"stats": "/stats", "metrics": "/metrics", "cam": "/cam", "zones": "/services/dns/all"}
    text = (await router.ask("GET", paths[args.word])).decode()
    if args.word == "metrics" or args.json:
        print(text.rstrip("\n"))
    else:
        print(json.dumps(json.loads(text), indent=2))


async def _pcap(router: Asking, args: argparse.Namespace) -> None:
    path = "/pcap" if args.live is None else f"/pcap?live={args.live:g}"
    target = args.arguments[0]
    file = None if target == "-" else open(target, "wb")  # noqa: SIM115  (a capture's, closed below)
    out = sys.stdout.buffer if file is None else file
    try:
        async for piece in router.pieces(path):
            out.write(piece)
            out.flush()
    finally:
        if file is not None:
            file.close()


async def _trace(router: Asking, args: argparse.Namespace) -> None:
    async for piece in router.pieces(f"/trace?seconds={args.seconds:g}{'&as=text' if args.text else ''}"):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


FLOW_COLUMNS = {
    "proto": "PROTO", "from": "FROM", "to": "TO", "name": "NAME", "state": "STATE", "sent": "SENT", "received": "RECEIVED",
    "idle": "IDLE",
}  # fmt: skip
VERBS: dict[str, Verb] = {
    "forwards": show(
        "/forwards", {"id": "ID", "proto": "PROTO", "from": "FROM", "to": "TO", "open": "OPEN", "accepted": "ACCEPTED"},
        _forward_rows
    ),
    "forward": _forward,
    "out": _forward,
    "remove": _remove,
    "flows": show("/flows", FLOW_COLUMNS, flow_rows),
    "leases": show(
        "/dhcp", {"address": "ADDRESS", "mac": "LINK ADDRESS", "hostname": "NAME", "guest": "GUEST", "left": "LEFT"}, _lease_rows
    ),
    "name": _name,
    "zones": _dump,
    "stats": _dump,
    "metrics": _dump,
    "cam": _dump,
    "policy": _policy,
    "allow": _rule,
    "deny": _rule,
    "pcap": _pcap,
    "trace": _trace,
    "get": _get,
}  # fmt: skip
