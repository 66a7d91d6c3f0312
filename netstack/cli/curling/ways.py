"""How the servers of a group are reached: the client with its trust, its proxy, its names; and a socket in the file system."""

from __future__ import annotations

import os
import ssl
from collections.abc import Hashable, Sequence
from typing import Any

from attrs import asdict, evolve

from ...errors import UsageError
from ...http.client.client import HttpClient, Resolver, speaks_http2
from ...http.client.cookies import CookieJar
from ...http.client.proxy import Proxy
from ...http.client.url import Url
from ...http.config import HttpClientConfig
from ...instant import Duration, seconds
from ...tls.contexts import client_context
from .options import Options, Wrong
from .show import Tellers
from .words import split_colons

_OF_CLIENTS = frozenset((
    "protocols", "insecure", "cacert", "cert", "key", "tls_least", "tls_max", "proxy", "proxy_user", "proxytunnel", "noproxy",
    "resolve", "connect_to", "unix_socket", "connect_timeout", "expect100_timeout", "max_redirs", "speed_limit",
    "speed_time", "parallel_max",
))  # fmt: skip
_TLS = ssl.TLSVersion
VERSIONS = {"1.0": _TLS.TLSv1, "1.1": _TLS.TLSv1_1, "1.2": _TLS.TLSv1_2, "1.3": _TLS.TLSv1_3}


def key_of(options: Options, keeps_cookies: bool) -> Hashable:
    """Groups of which this is the same share a client, and so its connections."""
    return repr(asdict(options, filter=lambda field, _: field.name in _OF_CLIENTS)), keeps_cookies


def client_of(net: Any, options: Options, cookies: CookieJar | None) -> HttpClient[Any]:
    """Raises Wrong."""
    limit = seconds(options.connect_timeout) if options.connect_timeout else Duration(300_000_000_000)  # curl's own
    forever = Duration(1 << 62)  # curl waits, unless it is told
    slow = options.speed_limit or options.speed_time
    config = HttpClientConfig(
        connect_timeout=limit,
        tls_timeout=limit,
        write_timeout=forever,
        first_byte_timeout=forever,
        read_timeout=seconds(options.speed_time or 30) if slow else forever,
        continue_timeout=Duration(max(seconds(options.expect100_timeout), 1)),
        idle_timeout=Duration(118_000_000_000),
        redirects=options.max_redirs,
        connections=max(options.parallel_max, 100),
        connections_per_origin=max(options.parallel_max, 1),
    )
    if options.unix_socket:
        from .unixsocket import UnixSocket

        net = UnixSocket(options.unix_socket)
    return HttpClient(
        net,
        resolver=_resolver(options, net),
        config=config,
        context=_context(options),
        proxy=_Proxies(options),
        protocols=options.protocols,  # type: ignore[arg-type]  # words.py has no others
        user_agent="",
        decode=False,
        cookies=cookies,
        watcher=Tellers(),
    )


def _context(options: Options) -> ssl.SSLContext:
    alpn = ["http/1.1"] if options.protocols == "1.1" else ["h2", "http/1.1"]
    if not speaks_http2():
        alpn = ["http/1.1"]
    try:
        context = client_context(
            alpn, verify=not options.insecure, ca_file=options.cacert, certificate=options.cert, key=options.key
        )
    except UsageError as error:
        raise Wrong(str(error), 77 if options.cacert else 58) from None
    if options.tls_least:
        context.minimum_version = VERSIONS[options.tls_least]
    if options.tls_max:
        context.maximum_version = VERSIONS[options.tls_max]
    return context


def _resolver(options: Options, net: Any) -> Resolver | None:
    """--connect-to, then --resolve. Raises Wrong."""
    if not (options.resolve or options.connect_to):
        return None
    known: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for entry in options.resolve:
        host, port, addresses = entry.lstrip("+").split(":", 2)
        if not port.isdigit():
            raise Wrong(f"--resolve takes HOST:PORT:ADDRESS, not {entry!r}", 49)
        known[host.lower(), int(port)] = [(each.strip("[]"), int(port)) for each in addresses.split(",")]
    ways = [split_colons(entry) for entry in options.connect_to]
    for way in ways:
        if not all(port.isdigit() or not port for port in (way[1], way[3])):
            raise Wrong(f"--connect-to takes HOST1:PORT1:HOST2:PORT2, not {':'.join(way)!r}", 49)

    async def resolve(host: str, port: int) -> Sequence[tuple[str, int]]:
        moved = False
        for asked, at, to, then in ways:
            if asked.lower() in ("", host) and at in ("", str(port)):
                host, port, moved = to.lower() or host, int(then or port), True
                break
        return known.get((host, port)) or known.get(("*", port)) or (((host, port),) if moved else ())

    return resolve


class _Proxies:
    """-x, or what the environment says: http_proxy in small letters alone, since a CGI's caller can set HTTP_PROXY."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def __call__(self, url: Url) -> Proxy | None:
        options, environ = self._options, os.environ
        text = options.proxy
        if text is None:
            text = environ.get(f"{url.scheme}_proxy") or (environ.get("HTTPS_PROXY") if url.secure else None)
            text = text or environ.get("all_proxy") or environ.get("ALL_PROXY")
        if not text or options.unix_socket:
            return None
        spared = options.noproxy if options.noproxy is not None else environ.get("no_proxy") or environ.get("NO_PROXY") or ""
        for name in spared.replace(" ", ",").split(","):
            name = name.lstrip(".").lower()
            if name == "*" or (name and (url.host == name or url.host.endswith(f".{name}"))):
                return None
        proxy = Proxy.parse(text if ":" in text.rpartition("://")[2].rpartition("@")[2] else f"{text}:1080", options.proxytunnel)
        if options.proxy_user:
            user, _, password = options.proxy_user.partition(":")
            proxy = evolve(proxy, url=evolve(proxy.url, user=user, password=password))
        return proxy
