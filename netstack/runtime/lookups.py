"""How a net finds out names that it doesn't know itself: the DNS, asked over the net's own stack.

What `hosts=` names and literals never come here. `net.dns` says whom to ask: servers, "system" for those of /etc/resolv.conf, or a
Resolver that the program has made. With a resolver of the net's own, threads ask too (dns/client/blocking.py).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..dns.client.answer import answer, wire_name
from ..dns.client.errors import NoData
from ..dns.client.resolver import Resolver
from ..dns.message import Question
from ..dns.name import text as name_text
from ..dns.numbers import Rcode, Type
from ..dns.resolve.forward import Forwarder
from ..dns.resolve.job import Outcome
from ..dns.resolve.order import MAPPED, Source, mapped, ordered
from ..dns.resolve.search import AddressSearch, candidates
from ..errors import Unreachable, UsageError
from .names import AddrInfo, Host, Port, infos, kinds_of, text_of

if TYPE_CHECKING:
    from ..dns.client.blocking import BlockingResolver
    from .face import NetFace

Servers = str | Sequence[str]
Dns = Resolver[Any, Any]
NAMES_FOR_SYSTEM = "system"

_FAMILIES = {4: socket.AF_INET, 16: socket.AF_INET6}


class Lookups:
    """Of one net. `resolver` may be changed at any time; one that was made here ends with the net."""

    def __init__(self, net: NetFace) -> None:
        self._net = net
        self._resolver: Dns | None = None
        self._made: list[Dns] = []
        self._blocking: BlockingResolver | None = None

    @property
    def resolver(self) -> Dns | None:
        return self._resolver

    def ask(self, whom: Servers | Dns | None) -> None:
        """Whom to ask from now on. Raises UsageError, and OSError where the system's configuration can't be read."""
        made: Dns | None = None
        if whom is None or isinstance(whom, Resolver):
            self._resolver = whom
            return
        net: Any = self._net  # a stack of datagrams and streams, whatever its runtime
        if whom == NAMES_FOR_SYSTEM:
            from ..dns.client.resolvconf import SystemResolver

            made = SystemResolver(net, net)
        elif isinstance(whom, str):
            raise UsageError(f'dns={whom!r}: write "system", or a list of servers like ["10.0.0.1"]')
        else:
            made = Resolver(net, net, whom)
        self._made.append(made)
        self._resolver = made

    def asks(self, host: Host, flags: int = 0) -> bool:
        """Is `host` a name for the DNS, or for somebody of its own (`Names.special`)?"""
        names = self._net.names
        if flags & socket.AI_NUMERICHOST or (self._resolver is None and not names.special) or names.knows(host):
            return False
        return self._resolver is not None or names.specialist(host) is not None

    # -- getaddrinfo ----------------------------------------------------------------------------------------------------------

    async def getaddrinfo(self, host: Host, port: Port, family: int, type: int, proto: int, flags: int) -> list[AddrInfo]:
        """Of a name for which `asks` is true. Raises ResolutionError, which is socket.gaierror with glibc's codes."""
        special = self._net.names.specialist(host)
        if special is not None:
            return await self._net.names.ask_specialist(special, host, port, family, type, proto, flags)
        resolver = self._resolver
        assert resolver is not None and host is not None
        kinds = kinds_of(host, port, family, type, proto, flags)
        search = self._search(resolver, host, family, flags)
        while questions := search.questions:
            search.told(await resolver.seek_all(questions))
        return infos(*self._addresses(search, family, flags, kinds))

    def getaddrinfo_blocking(
        self, make: Callable[[int, int], Any], host: Host, port: Port, family: int, type: int, proto: int, flags: int
    ) -> list[AddrInfo]:
        """The same for threads, by sockets that `make` makes. Servers behind TLS, finders of the program's own, and who has names
        of his own (`Names.special`), are asked by the net's loop, which must run elsewhere then. Raises UsageError where it
        doesn't."""
        resolver = self._resolver
        finder = None if resolver is None or self._net.names.specialist(host) is not None else resolver.finder
        if not isinstance(finder, Forwarder) or any(each.tls is not None for each in finder.servers()):
            loop: asyncio.AbstractEventLoop = self._net.loop  # type: ignore[attr-defined]  # a Net: others have no threads
            if not loop.is_running() or _runs_here(loop):
                raise UsageError("these servers are asked by the net's loop, and it doesn't run: await net.getaddrinfo() in it")
            asked = self.getaddrinfo(host, port, family, type, proto, flags)
            return asyncio.run_coroutine_threadsafe(asked, loop).result()
        assert resolver is not None and host is not None
        if self._blocking is None:
            from ..dns.client.blocking import BlockingResolver

            self._blocking = BlockingResolver(make, self._net.now)
        kinds = kinds_of(host, port, family, type, proto, flags)
        search = self._search(resolver, host, family, flags)
        while questions := search.questions:
            search.told([self._blocking.seek(resolver, question) for question in questions])
        return infos(*self._addresses(search, family, flags, kinds))

    def _search(self, resolver: Dns, host: str | bytes, family: int, flags: int) -> AddressSearch:
        text = text_of(host)
        try:
            name = wire_name(text)
            domains = tuple(wire_name(domain) for domain in resolver.search)
        except UsageError as error:
            raise _unknown(str(error)) from None
        types: tuple[Type, ...] = (Type.A, Type.AAAA)
        if family == socket.AF_INET or (family == socket.AF_UNSPEC and flags & socket.AI_ADDRCONFIG):
            types = (Type.A,)  # a net has no IPv6 address, so AI_ADDRCONFIG wants none
        elif family == socket.AF_INET6 and not flags & socket.AI_V4MAPPED:
            types = (Type.AAAA,)
        return AddressSearch(candidates(name, text.endswith("."), domains, resolver.ndots), types)

    def _addresses(
        self, search: AddressSearch, family: int, flags: int, kinds: list[tuple[socket.SocketKind, int, int]]
    ) -> tuple[list[tuple[socket.AddressFamily, str]], list[tuple[socket.SocketKind, int, int]], str]:
        found = search.found
        if found is None:
            answer(search.failure)
            raise NoData(f"{name_text(search.failure.question.name)} has no addresses", search.failure)
        packed = list(found.addresses)
        if family == socket.AF_INET6 and not flags & socket.AI_ALL and any(len(each) == 16 for each in packed):
            packed = [each for each in packed if len(each) == 16]
        rows: list[tuple[socket.AddressFamily, str]] = []
        for each in ordered(map(mapped, packed), self.source):
            own = each[12:] if each[:12] == MAPPED and family != socket.AF_INET6 else each
            rows.append((_FAMILIES[len(own)], socket.inet_ntop(_FAMILIES[len(own)], own)))
        canonical = name_text(found.canonical).removesuffix(".") if flags & socket.AI_CANONNAME else ""
        return rows, kinds, canonical

    def source(self, destination: bytes) -> Source | None:
        """The address that packets to `destination`, of sixteen octets, leave with; None where there is no way."""
        if destination[:12] != MAPPED:
            return None
        try:
            own = self._net.stack.ip.source_for(int.from_bytes(destination[12:], "big"))
        except OSError:
            return None
        length = max((cidr.length for cidr in self._net.stack.addresses if int(cidr.address) == own), default=32)
        return Source(mapped(own.to_bytes(4, "big")), 96 + length)

    # -- the rest -------------------------------------------------------------------------------------------------------------

    async def ipv4(self, host: str) -> list[int]:
        """The addresses to try, the best first, of a name for which `asks` is true. Raises Unreachable where there is none."""
        try:
            found = await self.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM, 0, 0)
        except socket.gaierror as error:  # a ResolutionError among them
            raise Unreachable(f"{host}: {error.strerror}") from error
        return [int(ipaddress.IPv4Address(info[4][0])) for info in found]

    async def getnameinfo(self, sockaddr: Sequence[Any], flags: int) -> tuple[str, str]:
        """As `Names.getnameinfo`, and the names of addresses that it has none for."""
        names = self._net.names
        host, service = names.getnameinfo(sockaddr, flags & ~socket.NI_NAMEREQD)
        resolver = self._resolver
        if resolver is None or flags & socket.NI_NUMERICHOST or host != sockaddr[0]:
            return names.getnameinfo(sockaddr, flags)
        pointer = Question(wire_name(ipaddress.ip_address(host).reverse_pointer), int(Type.PTR))
        outcome = await resolver.seek(pointer)
        name = _pointed(outcome)
        if name is not None:
            return name, service
        return names.getnameinfo(sockaddr, flags)

    async def aclose(self) -> None:
        for resolver in self._made:
            await resolver.aclose()


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _pointed(outcome: Outcome) -> str | None:
    if outcome.error is not None or outcome.rcode != Rcode.NOERROR:
        return None
    return next((name_text(r.rdata).removesuffix(".") for r in outcome.answer if r.type == Type.PTR), None)


def _unknown(why: str) -> socket.gaierror:
    return socket.gaierror(int(socket.EAI_NONAME), why)
