"""Unchanged trio programs on a stack: what `net.install_trio()` puts in the place of the kernel's sockets, for one run of trio.

    trio.open_tcp_stream, serve_tcp, open_ssl_over_tcp_stream, serve_ssl_over_tcp, trio.socket.socket, getaddrinfo
    and who is built of them: httpx, anyio.connect_tcp

What is not of the Internet stays the kernel's: AF_UNIX, netlink. Streams of AF_INET6 are refused as by a kernel without IPv6, and
programs that try both families, as trio's own listeners do, go on with the other.

`trio.socket.from_stdlib_socket` asks no factory, since it is given a kernel's socket; anyio's listeners are made that way.
With `adopt=True` such a socket becomes one of the stack when it comes there, with its name and its options (adoption.py).
"""

from __future__ import annotations

import contextlib
import errno
import socket as stdlib
from collections.abc import Callable
from typing import Any

import attrs
import trio

from ...sockets.base import Socket
from ...sockets.failures import failure
from ...sockets.table import Sockets
from ..current import current_net
from ..face import NetFace
from ..loops.adoption import core_of
from .sockets import TrioSocket

INTERNET = (stdlib.AF_INET, stdlib.AF_INET6)
KINDS = ~(stdlib.SOCK_NONBLOCK | stdlib.SOCK_CLOEXEC)


class Factory(trio.abc.SocketFactory):
    """Sockets of the current task's net, of `net` where there is none, of the kernel where that is None."""

    def __init__(self, net: NetFace | None) -> None:
        self.net = net

    def socket(
        self,
        family: stdlib.AddressFamily | int = stdlib.AF_INET,
        type: stdlib.SocketKind | int = stdlib.SOCK_STREAM,
        proto: int = 0,
    ) -> trio.socket.SocketType:
        net = current_net() or self.net
        if net is None or family not in INTERNET or type & KINDS not in (stdlib.SOCK_STREAM, stdlib.SOCK_DGRAM):
            return trio.socket.from_stdlib_socket(stdlib.socket(family, type, proto))
        if family == stdlib.AF_INET6 and type & KINDS == stdlib.SOCK_STREAM:
            raise failure(errno.EAFNOSUPPORT, "there is no IPv6 on this net")
        return TrioSocket(net.sockets.open(int(family), int(type), proto))


class Resolver(trio.abc.HostnameResolver):
    """Names as the net knows them. trio has answered literals itself before it asks."""

    def __init__(self, net: NetFace | None) -> None:
        self.net = net

    async def getaddrinfo(
        self, host: bytes | None, port: bytes | str | int | None, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        await trio.lowlevel.checkpoint()
        net = current_net() or self.net
        if net is not None and net.asks(host, flags):
            return await net.lookups.getaddrinfo(host, port, family, type, proto, flags)
        if net is not None and (net.names.knows(host) or not net.names.system):
            return net.names.getaddrinfo(host, port, family, type, proto, flags)
        return await trio.to_thread.run_sync(stdlib.getaddrinfo, host, port, family, type, proto, flags, abandon_on_cancel=True)

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        await trio.lowlevel.checkpoint()
        net = current_net() or self.net
        if net is not None and net.dns is not None:
            return await net.lookups.getnameinfo(sockaddr, flags)
        if net is not None:
            return net.names.getnameinfo(sockaddr, flags)
        return await trio.to_thread.run_sync(stdlib.getnameinfo, sockaddr, flags, abandon_on_cancel=True)


@attrs.frozen
class Place:
    """Where a socket is adopted (adoption.Adopter)."""

    sockets: Sockets
    loop: Run


class Run:
    """This run of trio, as adopted sockets know it: whose sockets they become, and who closes those that nobody has any more."""

    def __init__(self, net: NetFace | None) -> None:
        self._net = net
        self._token = trio.lowlevel.current_trio_token()

    def core_of(self, sock: Any) -> Socket | None:
        """What `sock` is on the stack; None where it is the kernel's, or of another run."""
        if not trio.lowlevel.in_trio_run() or trio.lowlevel.current_trio_token() is not self._token:
            return None
        net = current_net() or self._net
        if net is None:
            return None
        core = core_of(Place(net.sockets, self), sock)
        return core if core is not None and core.table is net.sockets else None

    def is_closed(self) -> bool:
        return False

    def call_soon_threadsafe(self, call: Callable[[], object]) -> None:
        with contextlib.suppress(trio.RunFinishedError):
            self._token.run_sync_soon(call)


def install(net: NetFace | None, adopt: bool) -> Callable[[], None]:
    """For this run of trio, until the function that this gives is called."""
    factory, resolver = Factory(net), Resolver(net)
    old_factory = trio.socket.set_custom_socket_factory(factory)
    old_resolver = trio.socket.set_custom_hostname_resolver(resolver)
    old_from = trio.socket.from_stdlib_socket
    run = Run(net)

    def from_stdlib_socket(sock: Any) -> trio.socket.SocketType:
        core = run.core_of(sock)
        return old_from(sock) if core is None else TrioSocket(core, sock)

    if adopt:
        trio.socket.from_stdlib_socket = from_stdlib_socket

    def restore() -> None:
        """Unless somebody else's are in place by now."""
        sockets = trio.socket.set_custom_socket_factory(old_factory)
        if sockets is not factory:
            trio.socket.set_custom_socket_factory(sockets)
        names = trio.socket.set_custom_hostname_resolver(old_resolver)
        if names is not resolver:
            trio.socket.set_custom_hostname_resolver(names)
        if adopt and trio.socket.from_stdlib_socket is from_stdlib_socket:
            trio.socket.from_stdlib_socket = old_from

    return restore
