"""The name that a client asks for, out of its ClientHello: OpenSSL tells it to a callback only, and that belongs to the program.

Nothing depends on it: OpenSSL reads the same bytes, and judges. A hello that is not lawful has no name.
"""

from __future__ import annotations

from ..errors import WireError

HANDSHAKE, CLIENT_HELLO = 22, 1  # RFC 8446 5.1, 4
SERVER_NAME, HOST_NAME = 0, 0  # RFC 6066 3
# A hello is some 600 bytes, 1,800 with a post-quantum key share. What is longer than this only OpenSSL looks at, which has bounds
# of its own.
LONGEST = 16384


def asked_name(data: bytes | bytearray) -> str | None:
    """The name in the ClientHello at the front of what a client has sent. None without one, or without a lawful ClientHello."""
    try:
        hello = gather(data)
        return None if hello is None else server_name(hello)
    except WireError:
        return None


def gather(data: bytes | bytearray, records: int = LONGEST, strict: bool = False) -> bytes | None:
    """The body of the ClientHello at the front of a stream of records, None where more is needed. Raises WireError for all else,
    more than `records` and, where it is to be `strict`, records of no version of TLS among them."""
    message = bytearray()
    o = 0
    for _ in range(records):
        if len(data) > o and data[o] != HANDSHAKE:
            raise WireError(f"a record of type {data[o]} where a ClientHello begins")
        if strict and len(data) > o + 1 and data[o + 1] != 3:
            raise WireError("a record of no version of TLS")
        if len(data) < o + 5:
            return None
        n = data[o + 3] << 8 | data[o + 4]
        if not 0 < n <= LONGEST:
            raise WireError(f"a handshake record of {n} bytes")
        message += data[o + 5 : o + 5 + n]
        if message and message[0] != CLIENT_HELLO:
            raise WireError(f"a handshake message of type {message[0]} where a ClientHello begins")
        if len(message) >= 4:
            size = int.from_bytes(message[1:4], "big")
            if size > LONGEST:
                raise WireError(f"a ClientHello of {size} bytes")
            if len(message) >= 4 + size:
                return bytes(message[4 : 4 + size])
        if len(data) < o + 5 + n:
            return None
        o += 5 + n
    raise WireError(f"a ClientHello in more than {records} records")


def server_name(hello: bytes) -> str | None:
    """The host name in the body of a ClientHello (RFC 8446 4.1.2), None without one. Raises WireError."""
    _, o = vector(hello, 34, 1)  # behind version and random: the session id
    _, o = vector(hello, o, 2)  # cipher suites
    _, o = vector(hello, o, 1)  # compression methods
    if o == len(hello):
        return None  # RFC 5246 7.4.1.2: no extensions at all
    extensions, o = vector(hello, o, 2)
    if o != len(hello):
        raise WireError("bytes behind a ClientHello")
    o = 0
    while o < len(extensions):
        kind = number(extensions, o, 2)
        body, o = vector(extensions, o + 2, 2)
        if kind == SERVER_NAME:
            return host_name(body)
    return None


def host_name(body: bytes) -> str | None:
    names, o = vector(body, 0, 2)
    if o != len(body):
        raise WireError("bytes behind a list of server names")
    o = 0
    while o < len(names):
        kind = number(names, o, 1)
        name, o = vector(names, o + 1, 2)
        if kind == HOST_NAME:
            if not name.isascii() or not name or b"\0" in name:
                raise WireError("a server name that is no host name")
            return name.decode()
    return None


def vector(data: bytes, o: int, width: int) -> tuple[bytes, int]:
    """What stands behind a length of `width` bytes at `o`, and where it ends."""
    start = o + width
    end = start + number(data, o, width)
    if end > len(data):
        raise WireError("a length that is longer than its message")
    return data[start:end], end


def number(data: bytes, o: int, width: int) -> int:
    if o + width > len(data):
        raise WireError("a message that ends too soon")
    return int.from_bytes(data[o : o + width], "big")
