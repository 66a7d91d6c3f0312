"""Unchanged trio programs on a stack: what `net.install_trio()` puts in the place of the kernel's sockets, for one run of trio.

    trio.open_tcp_stream, serve_tcp, open_ssl_over_tcp_stream, serve_ssl_over_tcp, trio.socket.socket, getaddrinfo
    and who is built of them: httpx, anyio.connect_tcp

What is not of the Internet stays the kernel's: AF_UNIX, netlink. Streams of AF_INET6 are refused as by a kernel without IPv6, and
programs that try both families, as trio's own listeners do, go on with the other.

`trio.socket.from_stdlib_socket` asks no factory, since it is given a kernel's socket; anyio's listeners and hypercorn's are made
that way. `adopt=True` has it take stack sockets as well, and adopt the kernel's that are not connected (adoption.py).
"""

from __future__ import annotations

import errno
import socket as stdlib
from collections.abc import Callable
from typing import Any

import trio

from ..sockets.base import Socket
from ..sockets.failures import failure
from .adoption import adopted
from .current import current_net
from .face import NetFace
from .trio_sockets import TrioSocket

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
        if net is not None and (net.names.knows(host) or not net.names.system):
            return net.names.getaddrinfo(host, port, family, type, proto, flags)
        return await trio.to_thread.run_sync(stdlib.getaddrinfo, host, port, family, type, proto, flags, abandon_on_cancel=True)

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        await trio.lowlevel.checkpoint()
        net = current_net() or self.net
        if net is not None:
            return net.names.getnameinfo(sockaddr, flags)
        return await trio.to_thread.run_sync(stdlib.getnameinfo, sockaddr, flags, abandon_on_cancel=True)


def install(net: NetFace | None, adopt: bool) -> Callable[[], None]:
    """For this run of trio, until the function that this gives is called."""
    factory, resolver = Factory(net), Resolver(net)
    old_factory = trio.socket.set_custom_socket_factory(factory)
    old_resolver = trio.socket.set_custom_hostname_resolver(resolver)
    old_adoption = trio.socket.from_stdlib_socket

    def from_stdlib_socket(sock: Any) -> trio.socket.SocketType:
        core = getattr(sock, "core", None)
        if isinstance(core, Socket):
            return TrioSocket(core)
        here = current_net() or net
        core = adopted(here.sockets, sock) if here is not None else None
        return TrioSocket(core, sock) if core is not None else old_adoption(sock)

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
            trio.socket.from_stdlib_socket = old_adoption

    return restore
