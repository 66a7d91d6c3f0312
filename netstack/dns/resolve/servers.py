"""How servers are written: `10.0.0.1`, `10.0.0.1:5353`, `[2001:db8::1]:53`, `tcp://10.0.0.1`, `tls://10.0.0.1#dns.example`,
`https://10.0.0.1/dns-query`, `https://dns.example/dns-query#10.0.0.1`."""

import ipaddress

from ...errors import UsageError
from .upstream import Upstream

PORTS = {"udp": 53, "tcp": 53, "tls": 853, "https": 443}  # RFC 1035 4.2, RFC 7858 3.1, RFC 8484
PATH = "/dns-query"  # of RFC 8484's examples, and of all servers
EXAMPLE = "write one like 10.0.0.1, 10.0.0.1:5353, tcp://10.0.0.1, tls://10.0.0.1#dns.example or https://dns.example/dns-query#10.0.0.1"


def server(text: str) -> Upstream:
    """The server that `text` says. What stands behind `#` is whose certificate it shows (RFC 8310); behind a URL with a name, its
    address, since who looks names up can't be found by one. Raises UsageError."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "udp", text
    if scheme not in PORTS:
        raise UsageError(f"{scheme}:// in {text!r} is no way to a server: {EXAMPLE}")
    rest, hash, named = rest.partition("#")
    if scheme == "https":
        return _https(rest, named, text)
    if hash and (scheme != "tls" or not named):
        raise UsageError(f"{text!r} has a # without TLS or without a name: {EXAMPLE}")
    host, port = _split(rest, text)
    address, number = _address(host, text), _port(port, scheme, text)
    return Upstream(address, number, stream_only=scheme == "tcp", tls=named.rstrip(".") if scheme == "tls" else None)


def _https(rest: str, hint: str, text: str) -> Upstream:
    authority, slash, path = rest.partition("/")
    host, said = _split(authority, text)
    if "@" in host or not host or any(char <= " " or char > "~" for char in rest):
        raise UsageError(f"{text!r} is not the URL of a server: {EXAMPLE}")
    port = _port(said, "https", text)
    if not hint and not _is_address(host):
        raise UsageError(f"{host!r} has to be found without a server: say its address behind the URL, as in {text}#10.0.0.1")
    address = _address(hint.strip("[]") or host, text)
    url = f"https://{f'[{host}]' if ':' in host else host}{f':{port}' if port != 443 else ''}{slash + path if path else PATH}"
    return Upstream(address, port, tls=host, url=url)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _address(host: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise UsageError(f"{host!r} in {text!r} is not an address, and servers have no names yet: {EXAMPLE}") from None


def _port(port: str, scheme: str, text: str) -> int:
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535):
        raise UsageError(f"{port!r} in {text!r} is not a port: choose one from 1 to 65535")
    return int(port) if port else PORTS[scheme]


def _split(said: str, text: str) -> tuple[str, str]:
    """Address and port, "" for none."""
    if said.startswith("["):
        host, bracket, port = said[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise UsageError(f"{text!r} has a bracket without its other half: {EXAMPLE}")
        return host, port[1:]
    if said.count(":") > 1:
        return said, ""
    host, colon, port = said.partition(":")
    if colon and not port:
        raise UsageError(f"{text!r} ends before its port: {EXAMPLE}")
    return host, port
