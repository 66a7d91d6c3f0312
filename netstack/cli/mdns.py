"""`netstack mdns`: names and services on the link, found and offered, as avahi's tools do it."""

import argparse
import asyncio
import json
from typing import TYPE_CHECKING, Any

import attrs

from ..errors import UsageError
from ..runtime.loop import KERNEL
from ..runtime.loop import run as run_loop
from .options import add_net_options, open_net, positive_seconds
from .service import stop_event

if TYPE_CHECKING:
    from ..dns.multicast.browser import Sighting
    from ..dns.multicast.mdns import Mdns

VERBS = ("browse", "resolve", "register")


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = "browse [TYPE], resolve NAME …, register NAME TYPE PORT [KEY=VALUE …]"
    parser.add_argument("verb", metavar="VERB", choices=VERBS, help=verbs)
    parser.add_argument("words", metavar="WORD", nargs="*", help="a type like _http._tcp; a name like printer.local")
    parser.add_argument("-t", dest="seconds", metavar="SECONDS", type=positive_seconds, help="end after so long (resolve: 5)")
    parser.add_argument("-n", dest="name", metavar="NAME", default="", help="what this host is called (netstack)")
    parser.add_argument("-j", dest="json", action="store_true", help="a JSON object on each line")
    add_net_options(parser)


def run(args: argparse.Namespace) -> int:
    return run_loop(play(args), net=KERNEL[0])


async def play(args: argparse.Namespace) -> int:
    from ..dns.multicast.mdns import Mdns

    verb = {"browse": browse, "resolve": resolve, "register": register}[args.verb]
    stop = stop_event()
    async with open_net(args) as net, Mdns(net, args.name or ("netstack" if args.verb == "register" else "")) as m:
        work = asyncio.ensure_future(verb(m, args))
        ending = asyncio.ensure_future(stop.wait())
        try:
            limit = args.seconds if args.verb != "resolve" else None
            await asyncio.wait({work, ending}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else 0
        finally:
            for each in (work, ending):
                each.cancel()
            await asyncio.gather(work, ending, return_exceptions=True)


async def browse(m: "Mdns", args: argparse.Namespace) -> int:
    """Without a type, the types that there are."""
    if not args.words:
        for type in await m.types(args.seconds * 0.9 if args.seconds else 1.5):
            print(json.dumps({"type": type}) if args.json else type, flush=True)
        return 0
    if len(args.words) > 1:
        raise UsageError(f"{' '.join(args.words)}: browse takes one type, like _http._tcp")
    async for sighting in m.browse(args.words[0]):
        print(told(sighting, args.json), flush=True)
    return 0


def told(sighting: "Sighting", as_json: bool) -> str:
    s = sighting.service
    txt = {key: None if value is None else value.decode("utf-8", "backslashreplace") for key, value in s.txt.items()}
    if as_json:
        fields: dict[str, Any] = attrs.asdict(s) | {"txt": txt}
        return json.dumps({"kind": sighting.kind, **fields}, ensure_ascii=False)
    sign = {"added": "+", "changed": "=", "removed": "-"}[sighting.kind]
    words = [key if value is None else f"{key}={value}" for key, value in txt.items()]
    return f"{sign} {s.name}  {s.host}:{s.port}  {' '.join(s.addresses)}  {' '.join(words)}".rstrip()


async def resolve(m: "Mdns", args: argparse.Namespace) -> int:
    if not args.words:
        raise UsageError("which name? Say netstack mdns resolve printer.local")
    for name in args.words:
        addresses = await m.resolve(name, timeout=args.seconds or 5.0)
        print(json.dumps({"name": name, "addresses": addresses}) if args.json else f"{name}  {' '.join(addresses)}", flush=True)
    return 0


async def register(m: "Mdns", args: argparse.Namespace) -> int:
    from ..dns.multicast.service import Service

    if len(args.words) < 3 or not args.words[2].isdigit():
        raise UsageError("register what? Say netstack mdns register 'My page' _http._tcp 80 path=/")
    instance, type, port, *pairs = args.words
    txt = {key: value if equals else True for key, equals, value in (pair.partition("=") for pair in pairs)}
    registration = m.register(Service(instance, type, int(port), txt=txt))
    name = await registration.settled()
    host = await m.settled()
    print(json.dumps({"name": name, "host": host}, ensure_ascii=False) if args.json else f"{name}  {host}:{port}", flush=True)
    await asyncio.Event().wait()
    return 0
