"""Names as a net knows them: what `getaddrinfo` and `getnameinfo` answer without asking anybody.

Literals, `localhost` (RFC 6761 6.3), and the table that the user gives, as /etc/hosts is one. A name that is none of them is
asked of the DNS where the net has servers (lookups.py), and else unknown: a question to the system's resolver would leave by the
host's own network, which a program on a net of its own may not even know about. Who wants it says `names="system"`.

Shapes, order and error codes are glibc's, since programs look at them.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from ..address import ip4_text
from ..errors import UsageError

AddrInfo = tuple[int, int, int, str, tuple[Any, ...]]
Host = str | bytes | None
Port = str | bytes | int | None
Resolve = Callable[..., Awaitable[Sequence[AddrInfo]]]  # getaddrinfo of a loop or a net
Special = Callable[[str, int], Awaitable[Sequence[str]]]  # a name and a family; the addresses, none where it has none

REMEMBERED = 1024  # addresses that a program connects to, as numbers; more are looked up each time

MAPPED = b"\0" * 10 + b"\xff\xff"  # RFC 4291 2.5.5.2, before the IPv4 address

# glibc's gaih_inet_typeproto, without the protocols that a net has not got: kind, protocol, what getservbyname calls it
_KINDS = (
    (socket.SOCK_STREAM, socket.IPPROTO_TCP, "tcp"),
    (socket.SOCK_DGRAM, socket.IPPROTO_UDP, "udp"),
    (socket.SOCK_RAW, 0, ""),
)


def mapped_ipv4(host: str) -> str | None:
    """The IPv4 address inside an IPv6 literal, `::ffff:10.0.0.1`; "0.0.0.0" for `::`; None where there is none in it."""
    try:
        packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except (OSError, ValueError):
        return None
    if packed[:12] == MAPPED:
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return "0.0.0.0" if not any(packed) else None


def literal(host: Host, port: Port, family: int, kind: int, proto: int, *rest: int) -> AddrInfo | None:
    """What needs no resolver: an address in numbers, and a port that is one. None for anything else; asyncio's own loops don't ask
    theirs in these cases either."""
    if not isinstance(host, (str, bytes)) or proto not in (0, socket.IPPROTO_TCP, socket.IPPROTO_UDP):
        return None
    if kind not in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        return None
    proto = socket.IPPROTO_TCP if kind == socket.SOCK_STREAM else socket.IPPROTO_UDP
    try:
        number = int(port or 0)
    except (TypeError, ValueError):
        return None
    text = text_of(host)
    if "%" in text:
        return None
    for af in (socket.AF_INET, socket.AF_INET6) if family == socket.AF_UNSPEC else (family,):
        try:
            socket.inet_pton(af, text)
        except (OSError, ValueError):
            continue
        tail = (*rest, 0, 0)[:2] if af == socket.AF_INET6 else ()
        return af, kind, proto, "", (text, number, *tail)
    return None


async def resolved(resolve: Resolve, address: Sequence[Any], family: int, kind: int, proto: int, flags: int) -> Sequence[AddrInfo]:
    """The addresses behind (host, port), at least one, by `resolve` where that is needed."""
    info = literal(address[0], address[1], family, kind, proto, *address[2:])
    if info is not None:
        return [info]
    infos = await resolve(address[0], address[1], family=family, type=kind, proto=proto, flags=flags)
    if not infos:
        raise OSError(f"getaddrinfo({address[0]!r}) returned empty list")
    return infos


class Names:
    """What one net calls its hosts. `hosts` maps names to addresses, one or several; they are asked in any case of letters."""

    def __init__(self, hosts: Mapping[str, str | Iterable[str]] | None = None, system: bool = False) -> None:
        """`system`: the system's resolver may be asked for what is not known here. Raises UsageError for what is no address."""
        self.system = system
        self._hosts: dict[str, tuple[str, ...]] = {}
        self._names: dict[str, str] = {}
        self._at_once: dict[str, tuple[int, ...]] = {}  # answers of `all_ipv4`
        self.special: dict[str, Special] = {}  # the last label of names, "local", and who looks them up
        for name, addresses in (hosts or {}).items():
            self.add(name, addresses)

    def add(self, name: str, addresses: str | Iterable[str]) -> None:
        """One name more, or another meaning of one. Raises UsageError for what is no address."""
        chosen = (addresses,) if isinstance(addresses, str) else tuple(addresses)
        for address in chosen:
            if _number(address) is None and _number6(address) is None:
                raise UsageError(f"{address!r}, which {name!r} shall stand for, is not an address: write one like 10.79.0.2")
            self._names.setdefault(address, name)
        self._hosts[_key(name)] = chosen
        self._at_once.pop(name, None)

    def shared(self) -> Names:
        """Of another host that calls everybody the same, whoever is added here or there; what is `special` is each one's own."""
        twin = Names(system=self.system)
        twin._hosts, twin._names, twin._at_once = self._hosts, self._names, self._at_once
        return twin

    @classmethod
    def read(cls, path: str, system: bool = False) -> Names:
        """From a file like /etc/hosts: an address and its names on each line. Raises OSError, UsageError."""
        hosts: dict[str, list[str]] = {}
        with open(path, encoding="ascii", errors="replace") as lines:
            for line in lines:
                address, *names = line.partition("#")[0].split() or [""]
                for name in names:
                    hosts.setdefault(name, []).append(address)
        return cls(hosts, system)

    def knows(self, host: Host) -> bool:
        """Can it answer for `host` without a resolver?"""
        if isinstance(host, str) and self.all_ipv4(host):
            return True
        return not isinstance(host, (str, bytes)) or not host or bool(self._look_up(text_of(host), 0))

    def specialist(self, host: Host) -> Special | None:
        """Who looks up names that end as `host` does, where it is not known here."""
        if not self.special or self.knows(host):
            return None
        assert isinstance(host, (str, bytes))  # whatever else it is, is known
        return self.special.get(_key(text_of(host)).rpartition(".")[2])

    async def ask_specialist(
        self, ask: Special, host: Host, port: Port, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[AddrInfo]:
        """As `getaddrinfo`, of what he finds."""
        assert isinstance(host, (str, bytes))
        text = text_of(host)
        found = () if flags & socket.AI_NUMERICHOST else await ask(text, family)
        return Names({text: found} if found else {}).getaddrinfo(host, port, family, type, proto, flags)

    def ipv4(self, host: str) -> int:
        """The first IPv4 address of `host`. Raises UsageError where there is none."""
        known = self._at_once.get(host) or self.all_ipv4(host)
        if not known:
            raise UsageError(
                f"{host!r} is neither an IPv4 address nor a host that is known here: write one like 10.79.0.2, name it in hosts=,"
                " or give dns= a server to ask"
            )
        return known[0]

    def all_ipv4(self, host: str) -> tuple[int, ...]:
        """All IPv4 addresses of `host`, in their order; none where it is not known. Said once, it is said at once from then on."""
        known = self._at_once.get(host)
        if known is not None:
            return known
        found = []
        for address in self._look_up(text_of(host), 0) if isinstance(host, str) else ():
            inner = address if _number(address) is not None else mapped_ipv4(address)
            if inner is not None:
                found.append(int.from_bytes(socket.inet_aton(inner), "big"))
        if found and len(self._at_once) < REMEMBERED:
            self._at_once[host] = tuple(found)
        return tuple(found)

    def own(self, host: str | None) -> int:
        """A host to listen on: none, "" and "0.0.0.0" mean all addresses, 0."""
        return self.ipv4(host) if host else 0

    # -- forwards ---------------------------------------------------------------------------------------------------------

    def getaddrinfo(self, host: Host, port: Port, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> list[AddrInfo]:
        """As `socket.getaddrinfo`, and with its errors: `socket.gaierror`, UnicodeError."""
        kinds = kinds_of(host, port, family, type, proto, flags)
        text = None if host is None else text_of(host)
        return infos(self._addresses(text, family, flags), kinds, (text or "") if flags & socket.AI_CANONNAME else "")

    def _addresses(self, host: str | None, family: int, flags: int) -> list[tuple[socket.AddressFamily, str]]:
        """Family and address, all that fit."""
        if host is None:
            if family == socket.AF_INET6:
                return [(socket.AF_INET6, "::" if flags & socket.AI_PASSIVE else "::1")]
            return [(socket.AF_INET, "0.0.0.0" if flags & socket.AI_PASSIVE else "127.0.0.1")]
        found = self._look_up(host, flags)
        if not found:
            raise _error(socket.EAI_NONAME, f"{host!r} is not known here: give an address, or name it in hosts=")
        fitting: list[tuple[socket.AddressFamily, str]] = []
        for address in found:
            inner = address if _number(address) is not None else None
            if inner is None and family == socket.AF_INET:
                inner = mapped_ipv4(address)
                inner = None if inner == "0.0.0.0" else inner
            if family != socket.AF_INET6 and inner is not None:
                fitting.append((socket.AF_INET, inner))
            elif inner is None and family != socket.AF_INET:
                fitting.append((socket.AF_INET6, address))
            elif inner is not None and flags & socket.AI_V4MAPPED:
                fitting.append((socket.AF_INET6, f"::ffff:{inner}"))
        if not fitting:
            wanted = "IPv4" if family == socket.AF_INET else "IPv6"
            is_number = _number(host) is not None or _number6(host) is not None
            code = socket.EAI_ADDRFAMILY if is_number else socket.EAI_NONAME
            raise _error(code, f"{host!r} has no {wanted} address")
        return fitting

    def _look_up(self, host: str, flags: int) -> tuple[str, ...]:
        number = _number(host)
        if number is not None:
            return (number,)
        if _number6(host) is not None:
            return (host,)
        if flags & socket.AI_NUMERICHOST or not host:
            return ()
        key = _key(host)
        known = self._hosts.get(key)
        if known is None and (key == "localhost" or key.endswith(".localhost")):
            return ("127.0.0.1",)
        return known or ()

    # -- backwards --------------------------------------------------------------------------------------------------------

    def getnameinfo(self, sockaddr: Sequence[Any], flags: int = 0) -> tuple[str, str]:
        """As `socket.getnameinfo`: (host, service)."""
        if len(sockaddr) < 2:
            raise TypeError("getnameinfo(): illegal sockaddr argument")
        host, port = str(sockaddr[0]), int(sockaddr[1]) & 0xFFFF
        number = _number(host)
        if number is None and _number6(host) is None:
            raise _error(socket.EAI_NONAME, f"{host!r} is not an address: names are asked for with getaddrinfo")
        address = host if number is None else number
        name = None if flags & socket.NI_NUMERICHOST else self._names.get(address)
        if name is None and not flags & socket.NI_NUMERICHOST and address.startswith("127."):
            name = "localhost"
        if name is None and flags & socket.NI_NAMEREQD:
            raise _error(socket.EAI_NONAME, f"{address} has no name here: give it one in hosts=")
        service = str(port)
        if not flags & socket.NI_NUMERICSERV:
            with contextlib.suppress(OSError):
                service = socket.getservbyport(port, "udp" if flags & socket.NI_DGRAM else "tcp")
        return name or address, service


def kinds_of(
    host: Host, port: Port, family: int, type: int, proto: int, flags: int
) -> list[tuple[socket.SocketKind, int, int]]:
    """Kind, protocol and port of each answer for an address. Raises socket.gaierror, TypeError for what can't be asked."""
    if host is not None and not isinstance(host, (str, bytes)):
        raise TypeError("getaddrinfo() argument 1 must be string or None")
    if family not in (socket.AF_UNSPEC, socket.AF_INET, socket.AF_INET6):
        raise _error(socket.EAI_FAMILY, f"a net has no addresses of family {family}: ask for AF_INET")
    if host is None and port is None:
        raise _error(socket.EAI_NONAME, "neither a host nor a port was given")
    return _ports(port, type, proto, flags)


def infos(
    addresses: Iterable[tuple[socket.AddressFamily, str]], kinds: list[tuple[socket.SocketKind, int, int]], canonical: str
) -> list[AddrInfo]:
    """What `getaddrinfo` gives of them: the first has the canonical name."""
    found: list[AddrInfo] = []
    for af, address in addresses:
        for kind, number, port in kinds:
            tail = _scope(address) if af == socket.AF_INET6 else ()
            sockaddr = (address.partition("%")[0], port, *tail)
            found.append((af, kind, number, "" if found else canonical, sockaddr))
    return found


def text_of(host: str | bytes) -> str:
    """As the resolver gets it. Raises UnicodeError for labels that can't be."""
    if isinstance(host, str):
        return host if host.isascii() and len(host) < 64 and ".." not in host else host.encode("idna").decode("ascii")
    return host.decode("ascii")


def _key(name: str) -> str:
    return name.lower().removesuffix(".")


def _number(host: str) -> str | None:
    """An IPv4 address in numbers, in any of inet_aton's ways to write them, in the common one."""
    if not host or not host[0].isdigit() or any(letter.isspace() for letter in host):
        return None
    try:
        return ip4_text(int.from_bytes(socket.inet_aton(host), "big"))
    except (OSError, ValueError):
        return None


def _number6(host: str) -> str | None:
    if ":" not in host:
        return None
    try:
        socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except (OSError, ValueError):
        return None
    return host


def _scope(address: str) -> tuple[int, int]:
    """Flow information and scope; a zone that is no number stands for an interface of the host's, which a net has not got."""
    zone = address.partition("%")[2]
    return 0, int(zone) if zone.isdigit() else 0


def _ports(port: Port, type: int, proto: int, flags: int) -> list[tuple[socket.SocketKind, int, int]]:
    """Kind, protocol and port of each answer."""
    if isinstance(port, bytes):
        port = port.decode("ascii")
    if port is not None and not isinstance(port, (int, str)):
        raise OSError("Int or String expected")
    kinds = [row for row in _KINDS if type in (0, row[0]) and proto in (0, row[1])]
    if type == socket.SOCK_RAW:
        kinds = [(socket.SOCK_RAW, proto, "")]
    if not kinds:
        if type:
            raise _error(socket.EAI_SOCKTYPE, f"there are no sockets of type {int(type)} and protocol {proto}")
        raise _error(socket.EAI_SERVICE, f"there are no sockets of protocol {proto}")
    if port is None or port == "":
        return [(kind, number, 0) for kind, number, _ in kinds]
    if isinstance(port, int) or port.isdigit():
        if type == socket.SOCK_RAW or int(port) < 0:
            raise _error(socket.EAI_SERVICE, f"{port} is not a port of such a socket")
        return [(kind, number, int(port) & 0xFFFF) for kind, number, _ in kinds]
    if flags & socket.AI_NUMERICSERV:
        raise _error(socket.EAI_NONAME, f"{port!r} is not a port in numbers")
    found = []
    for kind, number, called in kinds:
        try:
            found.append((kind, number, socket.getservbyname(port, called)))
        except OSError:
            continue
    if not found:
        raise _error(socket.EAI_SERVICE, f"{port!r} is not a service of such a socket")
    return found


def _error(code: int, text: str) -> socket.gaierror:
    return socket.gaierror(code, text)
