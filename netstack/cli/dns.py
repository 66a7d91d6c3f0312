"""`netstack dns`: a server of zones, a forwarder, a resolver that begins at the root; or all of them at once.

SIGHUP reads zone files again, where they have changed: one that can't be read, or isn't a lawful zone, changes nothing. SIGUSR1
shows the counters. SIGTERM ends it when what is owed has been answered.
"""

import argparse
import asyncio
import os
import random
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .dnsfiles import CopyFile, ZoneFile
from .options import add_net_options, count, port_number
from .service import run_service
from .web import web_protocols

if TYPE_CHECKING:
    from ..dns.authority.notify import Target
    from ..dns.authority.secondary import Primary
    from ..dns.resolve.job import Finder
    from ..dns.serve.server import DnsServer
    from ..dns.tsig import Keys
    from ..runtime.asyncio import Net

RULE = "NET, key:NAME, or both as in '10.0.0.0/8 key:NAME'; any for everybody"


def configure(parser: argparse.ArgumentParser) -> None:
    zones = parser.add_argument_group("zones")
    zones.add_argument("--zone", metavar="FILE", action="append", default=[], help="a zone file, or ORIGIN=FILE; repeatable")
    zones.add_argument("--origin", metavar="NAME", help="of the one zone file that doesn't begin with its SOA")
    zones.add_argument("--include", action="store_true", help="zone files may $INCLUDE what lies in their folder")
    example = "keep a copy of the zone that this server has, example.@10.0.0.1[:PORT][#KEY][=FILE], in a file"
    zones.add_argument("--secondary", metavar="ORIGIN@IP[=FILE]", action="append", default=[], help=example)
    zones.add_argument("--notify", metavar="IP[:PORT][#KEY]", action="append", default=[], help="tell this server of changes")
    zones.add_argument("--allow-transfer", metavar="RULE", action="append", default=[], help=RULE)
    zones.add_argument("--allow-update", metavar="RULE", action="append", default=[], help="the same; FILE.jnl keeps them")
    key = "a TSIG key, [ALGORITHM:]NAME:SECRET as for dig -y; @FILE has one a line"
    zones.add_argument("--key", metavar="KEY", action="append", default=[], help=key)
    others = parser.add_argument_group("other names")
    others.add_argument("--forward", metavar="IP[:PORT]", action="append", default=[], help="ask this server; tls://IP#NAME too")
    others.add_argument("--resolve", metavar="HINTS", help="ask from the root down; HINTS is a file with its servers")
    local = "who may ask for other names (default: the loopback and the networks that this host is in)"
    others.add_argument("--allow-recursion", metavar="NET", action="append", default=[], help=local)
    parser.add_argument(
        "--listen", metavar="ADDR", action="append", default=[], help="on this own address (default: all); repeatable"
    )
    parser.add_argument("--port", metavar="N", type=port_number, default=53, help="(53)")
    parser.add_argument("--tls", metavar=("CERT", "KEY"), nargs=2, help="DNS over TLS too, on port 853: files in PEM")
    parser.add_argument(
        "--https", metavar=("CERT", "KEY"), nargs=2, help="DNS over HTTPS too, https://…/dns-query: files in PEM"
    )
    parser.add_argument("--rrl", metavar="N", type=count, help="equal answers a second that one network gets over UDP")
    parser.add_argument("--nsid", metavar="TEXT", default="", help="what this server calls itself, to who asks with +nsid")
    parser.add_argument("--any", action="store_true", help="ANY has all sets over TCP")
    parser.add_argument("--stats", action="store_true", help="show the counters at the end; SIGUSR1 shows them any time")
    parser.add_argument("--pid", metavar="FILE", help="where to write the number of the process")
    add_net_options(parser)


def run(args: argparse.Namespace) -> int:
    if not (args.zone or args.forward or args.resolve or args.secondary):
        raise UsageError("what is to be served? Say --zone FILE, --secondary ORIGIN@IP, --forward IP or --resolve HINTS")
    if args.forward and args.resolve:
        raise UsageError("--forward and --resolve are two ways to the same: choose one")
    if args.origin and len(args.zone) != 1:
        raise UsageError("--origin is for one zone file: write --zone ORIGIN=FILE for each of several")
    keys = read_keys(args.key)
    files = [ZoneFile(said, args.origin, args.include) for said in args.zone]
    finder = find_how(args)
    copies = [primary(said, keys) for said in args.secondary]
    targets = [target(said, keys) for said in args.notify]
    tls = tls_context(args.tls, "--tls", "dot")
    https = tls_context(args.https, "--https", *web_protocols())  # RFC 8484 5.2 wants HTTP/2
    options = server_options(args, keys)  # what can't be is said before the device is opened
    for file in files:
        file.restore()
    old = [file and file.read() for _, _, file in copies]

    @asynccontextmanager
    async def serving(net: "Net") -> AsyncIterator[str]:
        from ..dns.serve.server import DnsServer
        from ..tls.stack import Tls

        zones = [file.zone for file in files if file.zone is not None]
        async with AsyncExitStack() as stack:
            for file in files:
                stack.callback(file.close)
            server = await stack.enter_async_context(DnsServer(net, net, zones, finder=finder, **options))
            for host in args.listen or [""]:
                await server.listen(args.port, host)
                if tls is not None:
                    await server.listen_streams(Tls(net, server=tls), host=host)
            if https is not None:
                from ..dns.serve.doh import DnsOverHttps
                from ..http.serve.server import HttpServer

                web = HttpServer(Tls(net, server=https), DnsOverHttps(server))
                stack.push_async_callback(web.aclose)
                for host in args.listen or [""]:
                    await web.listen(443, host)
            server.notify(*targets)
            if args.allow_update:
                for file in files:
                    assert file.zone is not None
                    server.store(file.zone.origin, file.keep)
            for (name, one, copy), zone in zip(copies, old, strict=True):
                if copy is not None:
                    stack.push_async_callback(copy.aclose)
                    copy.then.append(server.changed)
                server.secondary(name, [one], zone=zone, **({} if copy is None else {"changed": copy.changed}))
            service = Service(server, files)
            service.attach()
            stack.callback(service.detach)
            if args.stats:
                stack.callback(service.show)
            if args.pid:
                Path(args.pid).write_text(f"{os.getpid()}\n", "ascii")
                stack.callback(Path(args.pid).unlink, missing_ok=True)
            yield line_for(args, files)

    return run_service(args, serving)


class Service:
    """What the signals do."""

    def __init__(self, server: "DnsServer[Any, Any]", files: list[ZoneFile]) -> None:
        self._server = server
        self._files = files
        self._reloading: asyncio.Task[None] | None = None

    def attach(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.reload_soon)
        loop.add_signal_handler(signal.SIGUSR1, self.show)

    def detach(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_signal_handler(signal.SIGHUP)
        loop.remove_signal_handler(signal.SIGUSR1)
        if self._reloading is not None:
            self._reloading.cancel()

    def reload_soon(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.get_running_loop().create_task(self.reload())

    async def reload(self) -> None:
        """Each file that has changed, while everything goes on being answered from the old zones."""
        for file in self._files:
            say(await self._reload(file))

    async def _reload(self, file: ZoneFile) -> str:
        old = file.zone
        assert old is not None
        try:
            if not file.changed():
                return f"{file.path}: unchanged"
            if old.serial != file.serial:
                return f"{file.path}: not read: the zone was updated since, and would lose that"
            before = file.serial
            zone = await asyncio.to_thread(file.read)
        except (OSError, UsageError) as error:
            file.zone = old
            return f"{file.path}: {' '.join(str(error).split())}; the old zone stays"
        if zone.origin != old.origin:
            file.zone = old
            return f"{file.path}: is another zone now; the old one stays"
        self._server.zones.add(zone)
        self._server.changed(zone)
        from ..serial import lt

        late = "" if lt(before, zone.serial) else "; its serial has not grown, so no secondary will take it"
        return f"{file.path}: serial {zone.serial}{late}"

    def show(self) -> None:
        """Those that have counted something."""
        for group, values in self._server.counters().items():
            for name, value in values.items():
                if value:
                    say(f"{group}.{name} {value}")


def say(text: str) -> None:
    print(f"netstack: {text}", file=sys.stderr, flush=True)


# -- what was said ------------------------------------------------------------------------------------------------------------


def read_keys(said: list[str]) -> "Keys":
    from ..dns.tsig import Keys, parse

    keys = Keys()
    for each in said:
        for text in Path(each[1:]).read_text("ascii").split() if each.startswith("@") else [each]:
            keys.add(parse(text))
    return keys


def find_how(args: argparse.Namespace) -> "Finder | None":
    if args.forward:
        from ..dns.resolve.forward import Forwarder

        return Forwarder(args.forward, random.SystemRandom())
    if args.resolve:
        from ..dns.resolve.recursion import Recursion

        return Recursion(Path(args.resolve).read_text("utf-8"), random.SystemRandom())
    return None


def server_options(args: argparse.Namespace, keys: "Keys") -> dict[str, Any]:
    from ..dns.authority.access import Access
    from ..dns.serve.client import Networks
    from ..dns.serve.config import DnsConfig
    from ..dns.serve.limits import RateLimits

    n = args.rrl
    Networks(args.allow_recursion)
    return {
        "config": DnsConfig(nsid=args.nsid.encode(), any_over_streams=args.any, recursion=tuple(args.allow_recursion) or None),
        "keys": keys,
        "access": Access(transfer=args.allow_transfer, update=args.allow_update),
        "limits": None if n is None else RateLimits(responses=n, referrals=n, nodata=n, nxdomains=n, errors=n),
    }


def endpoint(said: str, keys: "Keys", option: str) -> tuple[str, int, Any]:
    """Address, port and key of `IP[:PORT][#KEY]`."""
    from ..dns.resolve.servers import server

    where, hash, name = said.partition("#")
    found = server(where)
    key = keys.get(name) if hash else None
    if hash and key is None:
        raise UsageError(f"{option} names the key {name!r}, and there is no --key of that name")
    return found.address, found.port, key


def primary(said: str, keys: "Keys") -> "tuple[str, Primary, CopyFile | None]":
    from ..dns.authority.secondary import Primary

    name, at, where = said.partition("@")
    if not at or not name:
        raise UsageError(f"{said!r} is no zone at a server: write it like example.@10.0.0.1")
    where, _, path = where.partition("=")
    address, port, key = endpoint(where, keys, "--secondary")
    origin = name.rstrip(".") + "."
    return origin, Primary(address, port, key=key), CopyFile(path, origin) if path else None


def target(said: str, keys: "Keys") -> "Target":
    from ..dns.authority.notify import Target

    address, port, key = endpoint(said, keys, "--notify")
    return Target(address, port, key=key)


def tls_context(files: list[str] | None, option: str, *protocols: str) -> ssl.SSLContext | None:
    if files is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(*files)
    except ssl.SSLError as error:
        raise UsageError(f"{option}: {files[0]} and {files[1]} are no certificate and its key: {error.reason}") from None
    context.set_alpn_protocols(protocols)
    return context


def line_for(args: argparse.Namespace, files: list[ZoneFile]) -> str:
    from ..dns import name as names

    parts = [f"{names.text(file.zone.name)} ({file.zone.serial})" for file in files if file.zone is not None]
    parts += [f"a copy of {said}" for said in args.secondary]
    if args.forward:
        parts.append(f"what {', '.join(args.forward)} knows")
    if args.resolve:
        parts.append("what is found from the root")
    return f"serving {', '.join(parts)} on port {args.port}"
