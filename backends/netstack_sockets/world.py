"""What streams, listeners and datagrams share: errors by their names here, addresses as the signatures have them, waiting."""

import asyncio
import errno
import socket
from typing import Any

from netstack.errors import Aborted, AddressInUse, MessageTooLong, NoBuffers, PeerReset, Refused, TimedOut, Unreachable, UsageError
from netstack.instant import SECOND, Duration, check_timeout
from netstack.signatures import Address

_NAMES: dict[int, type[Any]] = {
    errno.ECONNREFUSED: Refused,
    errno.ETIMEDOUT: TimedOut,
    errno.ECONNRESET: PeerReset,
    errno.EPIPE: PeerReset,  # the kernel's word for a reset that was told once already
    errno.ECONNABORTED: Aborted,
    errno.EADDRINUSE: AddressInUse,
    errno.ENOBUFS: NoBuffers,
    errno.ENOMEM: NoBuffers,
    errno.EMSGSIZE: MessageTooLong,
    **dict.fromkeys((errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EADDRNOTAVAIL), Unreachable),
}


def named(error: OSError, doing: str) -> OSError:
    """The kernel's error as the exception that this package has for it, with the same errno; where there is none, as it is."""
    kind = _NAMES.get(error.errno or 0)
    if kind is None or isinstance(error, kind):
        return error
    known: OSError = kind(f"{doing}: {error.strerror}", error.errno)
    return known


def check_port(port: int, least: int = 0) -> int:
    """Raises UsageError for what is no port; `least` 1 where somebody is to be reached."""
    if not isinstance(port, int):
        raise UsageError(f"{port!r} is not a port: those are numbers; which of the arguments is it?")
    if not least <= port <= 65535:
        raise UsageError(f"{port} is not a port: choose one from {least} to 65535")
    return port


def address_of(sockaddr: Any) -> Address:
    """A socket address of either family as host and port. One of IPv4 that came through a socket of IPv6 is one of IPv4."""
    host: str = sockaddr[0]
    return host.removeprefix("::ffff:") if "." in host else host, sockaddr[1]


Endpoint = tuple[int, Any]  # a family, and an address as its sockets want it


def literal(host: str, port: int) -> Endpoint | None:
    """An address that needs no resolver; None for a name."""
    for family, sockaddr in ((socket.AF_INET, (host, port)), (socket.AF_INET6, (host, port, 0, 0))):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return family, sockaddr
    return None


async def resolve(loop: asyncio.AbstractEventLoop, host: str, port: int, kind: int, family: int = 0) -> list[Endpoint]:
    """The addresses of `host`, by the system's resolver if it is a name; at least one. Raises Unreachable, UsageError."""
    found = literal(host, port)
    if found is not None:
        return [found]
    if not host:
        raise UsageError("an address is missing: name a host, like 127.0.0.1")
    try:
        infos = await loop.getaddrinfo(host, port, family=family, type=kind)
    except socket.gaierror as error:
        raise Unreachable(f"{host!r} has no address: {error.strerror}") from error
    except UnicodeError as error:
        raise UsageError(f"{host!r} can't be the name of a host: {error}") from None
    return [(info[0], info[4]) for info in infos]


def for_family(family: int, endpoint: Endpoint) -> Any:
    """The address as a socket of `family` wants it: one of IPv4 is mapped for a socket of IPv6."""
    theirs, sockaddr = endpoint
    return (f"::ffff:{sockaddr[0]}", sockaddr[1], 0, 0) if family == socket.AF_INET6 != theirs else sockaddr


def local_endpoint(host: str, port: int) -> Endpoint:
    """Where to bind to: "" is all addresses of IPv4, "::" those of both families. Raises UsageError for names."""
    found = literal("127.0.0.1" if host == "localhost" else host or "0.0.0.0", check_port(port))
    if found is None:
        raise UsageError(f"{host!r} is not an address to bind to: write one of this machine's, like 127.0.0.1")
    return found


def new_socket(family: int, kind: int) -> socket.socket:
    sock = socket.socket(family, kind)
    sock.setblocking(False)
    return sock


def bound(kind: int, local: Endpoint, reuse: bool = False) -> socket.socket:
    """A socket on `local`; `reuse` it though connections of a listener before linger there. Raises AddressInUse, Unreachable."""
    family, sockaddr = local
    sock = new_socket(family, kind)
    try:
        if reuse:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, sockaddr[0] != "::")
        sock.bind(sockaddr)
    except OSError as error:
        sock.close()
        raise named(error, "binding to {}:{}".format(*address_of(sockaddr))) from error
    return sock


async def wait_for(future: "asyncio.Future[None]", timeout: Duration | None, what: str) -> None:
    """Wait for a future of our own; TimedOut when `timeout` passes first."""
    if timeout is None:
        await future
        return
    check_timeout(timeout)
    handle = future.get_loop().call_later(timeout / SECOND, _expire, future, what)
    try:
        await future
    finally:
        handle.cancel()


def _expire(future: "asyncio.Future[None]", what: str) -> None:
    if not future.done():
        future.set_exception(TimedOut(f"timed out {what}"))


def wake(future: "asyncio.Future[None] | None") -> None:
    if future is not None and not future.done():
        future.set_result(None)
