"""How servers are written: `10.0.0.1`, `10.0.0.1:5353`, `[2001:db8::1]:53`, `tcp://10.0.0.1`, `tls://10.0.0.1#dns.example`."""

import ipaddress

from ...errors import UsageError
from .upstream import Upstream

PORTS = {"udp": 53, "tcp": 53, "tls": 853}  # RFC 1035 4.2, RFC 7858 3.1
EXAMPLE = "write one like 10.0.0.1, 10.0.0.1:5353, tcp://10.0.0.1 or tls://10.0.0.1#dns.example"


def server(text: str) -> Upstream:
    """The server that `text` says. What stands behind `#` is whose certificate it shows (RFC 8310). Raises UsageError."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "udp", text
    if scheme not in PORTS:
        raise UsageError(f"{scheme}:// in {text!r} is no way to a server: {EXAMPLE}")
    rest, hash, named = rest.partition("#")
    if hash and (scheme != "tls" or not named):
        raise UsageError(f"{text!r} has a # without TLS or without a name: {EXAMPLE}")
    host, port = _split(rest, text)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise UsageError(f"{host!r} in {text!r} is not an address, and servers have no names yet: {EXAMPLE}") from None
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535):
        raise UsageError(f"{port!r} in {text!r} is not a port: choose one from 1 to 65535")
    number = int(port) if port else PORTS[scheme]
    return Upstream(str(address), number, stream_only=scheme == "tcp", tls=named.rstrip(".") if scheme == "tls" else None)


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
