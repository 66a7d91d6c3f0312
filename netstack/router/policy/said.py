"""Whom a guest says that it talks to: the name in its first bytes, of TLS or of HTTP.

A name is believed only where everybody reads the same one. HTTP has two places for it, the target and the Host field, and servers
that look at the wrong one: RFC 9112 3.2.2 has the target win, and here both must agree.
"""

from __future__ import annotations

from attrs import frozen

from ...errors import WireError
from ...http.config import HttpLimits
from ...http.events import Refusal, RequestHead
from ...http.h1.reader import Reader
from ...http.target import split_target
from .hello import read_hello
from .hostnames import shown

FIRST = 16384  # bytes that are looked at: a flow that has not said it by then doesn't
LIMITS = HttpLimits(request_line=8192, header_section=FIRST)
_METHOD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@frozen
class Said:
    """`protocol` is tls, http, or "" for neither. `name` is canonical, "" where it says none, or an address."""

    protocol: str
    name: str = ""


NEITHER = Said("")


def read_said(first: bytes) -> Said | None:
    """What the first bytes of a client say; None where that takes more of them. Raises WireError for TLS or HTTP that is not
    lawful, or could be read in two ways."""
    if not first:
        return None
    if first[0] == 0x16:
        hello = read_hello(first)
        return None if hello is None else Said("tls", hello.name)
    if first[0] not in _METHOD:
        return NEITHER
    line, ended, _ = first.partition(b"\r\n")
    if not ended and b"\n" not in line and len(line) < 16 and b" " not in line:
        return None  # a method, perhaps
    if b" " not in line[:32]:
        return NEITHER  # SSH-2.0-…, EHLO and their like
    if ended and b" HTTP/" not in line:
        return NEITHER
    for event in Reader(LIMITS).feed(first):
        if isinstance(event, RequestHead):
            return Said("http", host_of(event)[0])
        if isinstance(event, Refusal):
            raise WireError(event.reason)
    return None


def host_of(head: RequestHead) -> tuple[str, int | None]:
    """The host that a request is for, canonical, and the port if it says one. "" without a host, or where it is an address.

    Raises WireError where target and Host differ (RFC 9112 3.2.2), and for a host that is neither name nor address.
    """
    fields = [value for name, value in head.fields if name == b"host"]
    hosts = [_split(value.decode("latin-1")) for value in fields if value]
    authority = split_target(head.target)[0]
    if authority is not None:
        hosts.append(_split(authority))
    if not hosts:
        return "", None
    if any(host != hosts[0] for host in hosts):
        raise WireError("the target and the Host field name different hosts")
    return hosts[0]


def _split(authority: str) -> tuple[str, int | None]:
    """`host[:port]`, as `http/target.py` let it pass."""
    if "@" in authority:
        raise WireError("a host with user information")  # RFC 9110 4.2.4
    if authority.startswith("["):
        return "", None  # of IPv6: no name
    host, _, port = authority.partition(":")
    name = shown(host)
    if name is None:
        if not host.replace(".", "").isdigit():
            raise WireError("a host that is neither a name nor an address")
        name = ""
    return name, int(port) if port else None
