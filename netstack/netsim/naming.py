"""The names of a host's programs: those of the world, and the host's own. Blocking functions of the module `socket`, which event
loops ask in a thread, and programs wherever they are."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import wraps
from typing import Any

from ..runtime.current import current_net
from ..runtime.face import NetFace
from .here import side_here


def _net() -> NetFace | None:
    """Of the host on which the caller runs; nobody's names change for the test itself."""
    return None if side_here() is None else current_net()


def _on_host(original: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`function(net, …)` on a host, and `original(…)` elsewhere."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def asked(*args: Any, **options: Any) -> Any:
            net = _net()
            return original(*args, **options) if net is None else function(net, *args, **options)

        return asked

    return decorate


@_on_host(socket.getaddrinfo)
def _getaddrinfo(net: NetFace, *args: Any, **options: Any) -> Any:
    return net.names.getaddrinfo(*args, **options)


@_on_host(socket.getnameinfo)
def _getnameinfo(net: NetFace, *args: Any, **options: Any) -> Any:
    return net.names.getnameinfo(*args, **options)


def _addresses(net: NetFace, host: str) -> list[str]:
    return [info[4][0] for info in net.names.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)]


@_on_host(socket.gethostbyname)
def _gethostbyname(net: NetFace, hostname: str) -> Any:
    return _addresses(net, hostname)[0]


@_on_host(socket.gethostbyname_ex)
def _gethostbyname_ex(net: NetFace, hostname: str) -> Any:
    return hostname, [], _addresses(net, hostname)


@_on_host(socket.gethostbyaddr)
def _gethostbyaddr(net: NetFace, address: str) -> Any:
    name = net.names.getnameinfo((address, 0), socket.NI_NAMEREQD)[0]
    return name, [], _addresses(net, name)


@_on_host(socket.gethostname)
def _gethostname(net: NetFace) -> Any:
    return net.name


@_on_host(socket.getfqdn)
def _getfqdn(net: NetFace, name: str = "") -> Any:
    return name.strip() or net.name


SUBSTITUTES: list[tuple[Any, Any]] = [
    (socket.getaddrinfo, _getaddrinfo),
    (socket.getnameinfo, _getnameinfo),
    (socket.gethostbyname, _gethostbyname),
    (socket.gethostbyname_ex, _gethostbyname_ex),
    (socket.gethostbyaddr, _gethostbyaddr),
    (socket.gethostname, _gethostname),
    (socket.getfqdn, _getfqdn),
]
