"""Runs a dig command line: finds the servers, asks, prints."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import json
import socket
import time
from collections.abc import AsyncIterator
from random import SystemRandom
from typing import TYPE_CHECKING, Any, TextIO

from ...dns import name as names
from ...dns.jsonform import message as json_message
from ...dns.numbers import Rcode
from ...dns.present import message_text, short_text
from ...errors import UsageError
from ..options import add_net_options, open_net
from .ask import Asker, BadPacket, Reply, Server, Silence, refuse_source
from .follow import Tracer
from .lookup import Job, Lookup
from .zones import Transferred, first_part, transfer

if TYPE_CHECKING:
    from ...runtime.asyncio import Net

RESOLV_CONF = "/etc/resolv.conf"
MOST_SERVERS = 3  # of resolv.conf: as everybody's resolver


class Shower:
    """One command line on its way."""

    def __init__(self, job: Job, out: TextIO) -> None:
        self.job = job
        self.out = out
        self.status = 0
        self.system = SystemConfig()
        self.addresses: dict[str, int] = {}  # how many a server turned out to have
        self.own = False  # a net of our own, of which resolv.conf says nothing

    async def run(self) -> int:
        """The exit status. Raises UsageError, OSError."""
        async with self.net() as net:
            for lookup in self.job.lookups:
                asker = Asker(net, self.job, SystemRandom(), self.say, self.show, self.introduce)
                refuse_source(self.job, lookup)
                try:
                    await self.one(asker, lookup)
                except Silence as silence:
                    self.status = 9
                    if self.job.json:
                        self.json({"error": str(silence)})
                    else:
                        if silence.sent:
                            self.greet()
                        said = "NS servers could not be reached" if lookup.ns_search else "no servers could be reached"
                        self.say(said)
                except BadPacket as error:
                    self.status = max(self.status, 10)
                    if self.job.json:
                        self.json({"error": str(error)})
                self.out.flush()
        return self.status

    @contextlib.asynccontextmanager
    async def net(self) -> AsyncIterator[Net]:
        """The kernel's sockets, or the stack that was asked for."""
        parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
        add_net_options(parser)
        try:
            args = parser.parse_args(self.job.net)
        except argparse.ArgumentError as error:
            raise UsageError(str(error)) from None
        args.netif = args.netif or "posix:"
        self.own = not args.netif.startswith("posix")
        async with open_net(args) as net:
            yield net

    # -- what is asked ----------------------------------------------------------------------------------------------------------

    async def one(self, asker: Asker, lookup: Lookup) -> None:
        servers = await self.servers(asker.net, lookup)
        name = names.parse(lookup.name, names.ROOT)
        if lookup.trace:
            await Tracer(asker, servers, self.traced).trace(lookup, name)
        elif lookup.ns_search:
            await Tracer(asker, servers, self.traced).search(lookup, name)
        elif lookup.transfer and lookup.over_stream:
            await self.transferred(asker, lookup, servers[0], name)
        else:
            await self.searched(asker, lookup, servers)

    async def searched(self, asker: Asker, lookup: Lookup, servers: list[Server]) -> None:
        """As it stands, or with the names of the search list."""
        tries = self.system.names(lookup.name, self.job)
        for i, name in enumerate(tries):
            reply = await asker.ask(lookup, servers, name)
            last = i == len(tries) - 1 or reply.message.rcode != Rcode.NXDOMAIN
            if last or self.job.show_search:
                self.reply(lookup, reply)
            if last:
                break

    async def servers(self, net: Any, lookup: Lookup) -> list[Server]:
        """Raises UsageError where nobody was named and none is configured."""
        port = self.job.port or lookup.usual_port
        found: list[Server] = []
        for said in lookup.servers or self.configured():
            try:
                addresses = [str(ipaddress.ip_address(said))]
            except ValueError:
                addresses = await self.resolve(net, said)
            self.addresses[said] = len(addresses)
            found += [Server(address, port, said) for address in addresses if self.wanted(address)]
        if not found:
            raise UsageError(f"no server has an IPv{self.job.family} address" if self.job.family else "no server has an address")
        return found

    def configured(self) -> list[str]:
        servers = [] if self.own else self.system.servers
        if not servers:
            where = "with a net of its own" if self.own else f"{RESOLV_CONF} names none"
            raise UsageError(f"which server? {where[0].upper()}{where[1:]}: say one like @192.0.2.1")
        return servers

    def wanted(self, address: str) -> bool:
        return not self.job.family or (":" in address) == (self.job.family == 6)

    async def resolve(self, net: Any, said: str) -> list[str]:
        look = net.getaddrinfo if self.own else asyncio.get_running_loop().getaddrinfo
        try:
            infos = await look(said, 53, type=socket.SOCK_DGRAM)
        except OSError:
            raise OSError(f"couldn't get address for '{said}': not found") from None
        return list(dict.fromkeys(str(info[4][0]) for info in infos))

    # -- what is shown ------------------------------------------------------------------------------------------------------------

    def show(self, text: str) -> None:
        if not self.job.json:
            self.out.write(text)

    def say(self, text: str) -> None:
        self.show(f";; {text}\n")
        self.out.flush()  # who waits wants to know what for

    def json(self, what: dict[str, Any]) -> None:
        self.out.write(json.dumps(what, ensure_ascii=False) + "\n")

    def greet(self) -> None:
        """dig's first lines, before anything else about the first look-up that has an answer to show."""
        due, self.job.greeting = self.job.greeting, None
        if due is not None:
            from ... import __version__

            self.show(due.text(__version__, self.job.words, self.addresses.get(due.server, 0)))

    def introduce(self) -> None:
        """The same, before an answer: there it goes by what was said later, too."""
        if self.job.short or not self.job.cmd:
            self.job.greeting = None
        self.greet()

    def reply(self, lookup: Lookup, reply: Reply) -> None:
        """A whole answer and what there is to know about it."""
        m = reply.message
        if self.job.json:
            self.json(json_reply(reply))
            return
        self.cookie(lookup, reply)
        self.introduce()
        if self.job.short:
            self.show(short_text(m, lookup.style(), after=self.after(lookup, reply)))
            return
        more = ""
        if lookup.edns is not None and m.edns is None and m.rcode in (Rcode.FORMERR, Rcode.NOTIMP):
            extra = "+nodnssec " if lookup.dnssec else ""
            more = f"\n;; WARNING: EDNS query returned status {Rcode(m.rcode).name} - retry with '{extra}+noedns'\n"
        sent = reply.cookie if lookup.cookie and not lookup.cookie_value else lookup.cookie_value[:8]
        self.show(message_text(m, lookup.style(), sent_cookie=sent, more=more))
        self.statistics(lookup, reply, f";; MSG SIZE  rcvd: {len(reply.wire)}", len(reply.wire))

    def cookie(self, lookup: Lookup, reply: Reply) -> None:
        edns = reply.message.edns
        if edns is None and lookup.cookie_value:
            self.say("expected opt record in response")
        data = None if edns is None else edns.option(10)
        sent = lookup.cookie_value[:8] or reply.cookie
        if lookup.cookie and lookup.edns is not None and data:
            if len(data) < 8:
                self.say("Warning: COOKIE bad token (too short)")
            elif data[:8] != sent:
                self.say("Warning: Client COOKIE mismatch")

    def time(self, lookup: Lookup, ns: int) -> tuple[int, str]:
        return (ns // 1000, "u") if lookup.micros else (ns // 1_000_000, "m")

    def after(self, lookup: Lookup, reply: Reply) -> str:
        if not lookup.identify:
            return ""
        n, unit = self.time(lookup, reply.rtt)
        return f" from server {reply.server.said} in {n} {unit}s."

    def statistics(self, lookup: Lookup, reply: Reply, size: str, octets: int) -> None:
        n, unit = self.time(lookup, reply.rtt)
        if self.job.short:
            return
        if lookup.stats:
            self.show(f";; Query time: {n} {unit}sec\n")
            self.show(f";; SERVER: {reply.server}({reply.server.said}) ({reply.way})\n")
            self.show(time.strftime(";; WHEN: %a %b %d %H:%M:%S %Z %Y\n", time.localtime(reply.when)))
            warning = "" if reply.valid else ";; WARNING -- Some TSIG could not be validated\n"
            self.show(f"{size}\n{warning}\n")
        elif lookup.identify:
            self.show(f";; Received {octets} bytes from {reply.server}({reply.server.said}) in {n} {unit}s\n\n")

    def traced(self, lookup: Lookup, reply: Reply) -> None:
        """One step of a walk."""
        if self.job.json:
            self.json(json_reply(reply))
            return
        self.introduce()
        if self.job.short:
            self.show(short_text(reply.message, lookup.style(), typed=True, after=self.after(lookup, reply)))
            return
        self.show(message_text(reply.message, lookup.style()))
        self.statistics(lookup, reply, f";; MSG SIZE  rcvd: {len(reply.wire)}", len(reply.wire))

    async def transferred(self, asker: Asker, lookup: Lookup, server: Server, name: bytes) -> None:
        """A zone, as it comes; the numbers at its end."""
        sums = Transferred()
        last: Reply | None = None
        async for reply in transfer(asker, lookup, server, name, sums):
            last = reply
            if self.job.json:
                self.json(json_reply(reply))
                continue
            self.introduce()
            m = first_part(reply.message, lookup, sums.messages - 1)
            if self.job.short:
                self.show(short_text(m, lookup.style()))
            else:
                self.show(message_text(m, lookup.style()))
        if sums.failure:
            self.show(f"{sums.failure}\n")
        elif last is not None and not self.job.json:
            size = f";; XFR size: {sums.records} records (messages {sums.messages}, bytes {sums.octets})"
            self.statistics(lookup, last, size, sums.octets)


def json_reply(reply: Reply) -> dict[str, Any]:
    """RFC 8427 2.4: query and response, and beside them what only the asker knows."""
    return {
        "queryMessage": json_message(reply.query),
        "responseMessage": json_message(reply.message, len(reply.wire)),
        "server": reply.server.address,
        "port": reply.server.port,
        "protocol": reply.way,
        "rttMicroseconds": reply.rtt // 1000,
        "dateSeconds": round(reply.when, 3),
        **({} if reply.valid else {"tsigInvalid": 1}),
    }


class SystemConfig:
    """What /etc/resolv.conf says that concerns dig."""

    def __init__(self, path: str = RESOLV_CONF) -> None:
        self.servers: list[str] = []
        self.search: list[str] = []
        self.ndots = 1
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = file.read(65536).splitlines()
        except OSError:
            return
        for line in lines:
            words = line.split()
            if len(words) < 2 or words[0][0] in "#;":
                continue
            if words[0] == "nameserver" and len(self.servers) < MOST_SERVERS:
                self.servers.append(words[1])
            elif words[0] in ("search", "domain"):
                self.search = words[1:]
            elif words[0] == "options":
                for option in words[1:]:
                    if option.startswith("ndots:") and option[6:].isdigit():
                        self.ndots = int(option[6:])

    def names(self, said: str, job: Job) -> list[bytes]:
        """What is to be asked for, in turn, until something exists."""
        asis = names.parse(said, names.ROOT)
        if not job.search or said.endswith("."):
            return [asis]
        listed = [names.parse(said, names.parse(origin, names.ROOT)) for origin in ([job.domain] if job.domain else self.search)]
        ndots = self.ndots if job.ndots is None else job.ndots
        return [asis, *listed] if said.count(".") >= ndots else [*listed, asis]
