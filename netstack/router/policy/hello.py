"""The name in a ClientHello, read by somebody who must not be lied to.

`tls/hello.py` reads for our own server, and OpenSSL behind it judges the same bytes. Here the judge is a stranger's server, and
where two readings are possible it may take the other one: so what RFC 8446 forbids and somebody accepts is refused. Two
server_name extensions (4.2), two host names in one (RFC 6066 3), an address for a name, bytes behind the end.

A hello may be cut into records as its sender likes (RFC 8446 5.1); real ones come in one or two, and those of programs that hide
from middleboxes in some ten. Each is bounded here, since the reader begins anew whenever more bytes have come.

With ECH (RFC 9849) the name in the clear is the outer one, of whoever hosts the real one: it is what is told here, and `ech` says
that there is more behind it, or that there might be: browsers send such an extension with nothing in it to everybody (GREASE).
"""

from __future__ import annotations

from attrs import frozen

from ...errors import WireError
from ...tls.hello import HOST_NAME, SERVER_NAME, gather, number, vector
from .hostnames import shown

RECORDS = 64  # with one byte in each, a hello would be read in 16,384 steps, for each byte that comes
ALPN, ECH = 16, 0xFE0D  # RFC 7301 3.1, RFC 9849 5


@frozen
class Hello:
    """What a client says in the clear. `name` is canonical, "" where it says none."""

    name: str = ""
    alpn: tuple[bytes, ...] = ()
    ech: bool = False


def read_hello(data: bytes) -> Hello | None:
    """The ClientHello at the front of a stream, None where more is needed. Raises WireError for all else."""
    message = gather(data, RECORDS, strict=True)
    return None if message is None else _read(message)


def _read(hello: bytes) -> Hello:
    """RFC 8446 4.1.2."""
    _, o = vector(hello, 34, 1)  # behind version and random: the session id
    _, o = vector(hello, o, 2)  # cipher suites
    _, o = vector(hello, o, 1)  # compression methods
    name, ech = "", False
    alpn: tuple[bytes, ...] = ()
    if o == len(hello):
        return Hello()  # RFC 5246 7.4.1.2: no extensions at all
    extensions, o = vector(hello, o, 2)
    if o != len(hello):
        raise WireError("bytes behind a ClientHello")
    seen = set()
    o = 0
    while o < len(extensions):
        kind = number(extensions, o, 2)
        body, o = vector(extensions, o + 2, 2)
        if kind in seen:
            raise WireError(f"extension {kind} twice")  # RFC 8446 4.2
        seen.add(kind)
        if kind == SERVER_NAME:
            name = _server_name(body)
        elif kind == ALPN:
            alpn = _protocols(body)
        elif kind == ECH:
            ech = True
    return Hello(name, alpn, ech)


def _server_name(body: bytes) -> str:
    """RFC 6066 3: a list with room for several kinds of names, of which one was ever defined."""
    names, o = vector(body, 0, 2)
    if o != len(body):
        raise WireError("bytes behind a list of server names")
    if not names or names[0] != HOST_NAME:
        raise WireError("a list of server names without a host name")
    text, o = vector(names, 1, 2)
    if o != len(names):
        raise WireError("more than one server name")
    if not text.isascii() or (name := shown(text.decode())) is None:
        raise WireError("a server name that is no host name")
    return name


def _protocols(body: bytes) -> tuple[bytes, ...]:
    names, o = vector(body, 0, 2)
    if o != len(body):
        raise WireError("bytes behind a list of protocols")
    found = []
    o = 0
    while o < len(names):
        name, o = vector(names, o, 1)
        found.append(name)
    return tuple(found)
