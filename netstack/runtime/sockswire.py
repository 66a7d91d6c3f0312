"""What a client of the proxy says, decoded: SOCKS5 (RFC 1928, RFC 1929) and the head of an HTTP CONNECT (RFC 9110 9.3.6).

A decoder gets all bytes that came so far. It gives None while more are needed, of which none needs more than `MOST`; what is not
lawful is a WireError, at the first byte that shows it.
"""

from __future__ import annotations

import base64
import binascii
import re
from ipaddress import IPv6Address

import attrs

from ..address import Ip4, ip4_text
from ..errors import UsageError, WireError

VERSION = 5
NO_AUTH, PASSWORD, NO_METHOD = 0x00, 0x02, 0xFF
CONNECT, BIND, UDP_ASSOCIATE = 1, 2, 3
IPV4, DOMAIN, IPV6 = 1, 3, 4

# REP of RFC 1928 6
SUCCEEDED, FAILURE, NOT_ALLOWED, NET_UNREACHABLE, HOST_UNREACHABLE, REFUSED, TTL_EXPIRED, BAD_COMMAND, BAD_ADDRESS = range(9)

HEAD_MOST = 8192  # bytes of an HTTP head: what servers take, and far more than a CONNECT says
MOST = HEAD_MOST
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_AUTHORITY = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,255}):([0-9]{1,5})")
_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")  # of hosts, punycode and all; nothing that a resolver or a log could misread


@attrs.frozen
class Greeting:
    methods: bytes
    used: int


@attrs.frozen
class Credentials:
    user: bytes
    password: bytes
    used: int


@attrs.frozen
class Request:
    """`host` is a name, an IPv4 or an IPv6 address."""

    command: int
    host: str
    port: int
    kind: int
    used: int


@attrs.frozen
class Connect:
    """`authorization` is what Basic said, b"user:password"; None without."""

    method: bytes
    host: str
    port: int
    authorization: bytes | None
    used: int


def greeting(data: bytes) -> Greeting | None:
    """RFC 1928 3: VER NMETHODS METHODS."""
    if data[:1] and data[0] != VERSION:
        raise WireError(f"SOCKS version {data[0]}, not 5")
    if len(data) < 2:
        return None
    n = data[1]
    if n == 0:
        raise WireError("a greeting without a method")
    return None if len(data) < 2 + n else Greeting(bytes(data[2 : 2 + n]), 2 + n)


def credentials(data: bytes) -> Credentials | None:
    """RFC 1929 2: VER ULEN UNAME PLEN PASSWD; ULEN and PLEN are 1 to 255."""
    if data[:1] and data[0] != 1:
        raise WireError(f"version {data[0]} of the user/password negotiation, not 1")
    if len(data) < 2:
        return None
    n = data[1]
    if n == 0:
        raise WireError("an empty user name")
    if len(data) < 3 + n:
        return None
    m = data[2 + n]
    if m == 0:
        raise WireError("an empty password")
    end = 3 + n + m
    return None if len(data) < end else Credentials(bytes(data[2 : 2 + n]), bytes(data[3 + n : end]), end)


def request(data: bytes) -> Request | None:
    """RFC 1928 4: VER CMD RSV ATYP DST.ADDR DST.PORT. Of an unknown ATYP the reply tells: `host` is "" then."""
    if data[:1] and data[0] != VERSION:
        raise WireError(f"SOCKS version {data[0]}, not 5")
    if len(data) >= 3 and data[2]:
        raise WireError("RSV of a request is not 0")
    found = address(data, 3)
    return None if found is None else Request(data[1], *found)


def address(data: bytes, at: int) -> tuple[str, int, int, int] | None:
    """ATYP ADDR PORT at `at`: host, port, kind, and where it ends. An unknown kind has no length, and ends the message."""
    if len(data) <= at:
        return None
    kind = data[at]
    at += 1
    if kind == IPV4:
        end = at + 4
    elif kind == IPV6:
        end = at + 16
    elif kind == DOMAIN:
        if len(data) <= at:
            return None
        if data[at] == 0:
            raise WireError("a name of no length")
        end = at + 1 + data[at]
        at += 1
    else:
        return "", 0, kind, len(data)
    if len(data) < end + 2:
        return None
    octets = bytes(data[at:end])
    port = data[end] << 8 | data[end + 1]
    if kind == IPV4:
        host = ip4_text(int.from_bytes(octets))
    elif kind == IPV6:
        host = str(IPv6Address(octets))
    else:
        host = name(octets)
    return host, port, kind, end + 2


def name(octets: bytes) -> str:
    try:
        text = octets.decode("ascii")
    except UnicodeDecodeError:
        raise WireError("a name that is not ASCII") from None
    if ":" in text:  # curl sends literals of IPv6 as names
        try:
            return str(IPv6Address(text))
        except ValueError:
            raise WireError(f"{text!r} is not a host") from None
    if not _NAME.fullmatch(text):
        raise WireError(f"{text!r} is not a host")
    return text


def packed_address(host: str, port: int) -> bytes:
    """ATYP ADDR PORT. Anything but a literal becomes 0.0.0.0: a reply must have an address."""
    try:
        octets = bytes([IPV6]) + IPv6Address(host).packed if ":" in host else bytes([IPV4]) + int(Ip4.parse(host)).to_bytes(4)
    except (ValueError, UsageError):
        octets = bytes([IPV4]) + bytes(4)
    return octets + port.to_bytes(2)


def reply(code: int, host: str = "0.0.0.0", port: int = 0) -> bytes:
    """RFC 1928 6: VER REP RSV ATYP BND.ADDR BND.PORT."""
    return bytes([VERSION, code, 0]) + packed_address(host, port)


def udp_header(data: bytes) -> tuple[str, int, int] | None:
    """RFC 1928 7: RSV FRAG ATYP DST.ADDR DST.PORT before a datagram: host, port, and where the data begin. None for a fragment,
    which who doesn't reassemble must drop. Raises WireError."""
    if len(data) < 4 or data[0] or data[1]:
        raise WireError("not a SOCKS datagram")
    if data[2]:
        return None
    found = address(data, 3)
    if found is None or not found[0]:
        raise WireError("a SOCKS datagram without an address")
    host, port, _kind, end = found
    return host, port, end


def connect_head(data: bytes) -> Connect | None:
    """The head of an HTTP request to a proxy: request line and fields, up to the empty line. Only CONNECT has a target that is an
    authority; another method comes back with an empty `host`, for the answer to say so."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) >= HEAD_MOST:
            raise WireError(f"a head of more than {HEAD_MOST} bytes")
        line, newline, _ = data.partition(b"\r\n")
        if newline:
            _request_line(line)
        return None
    if end + 4 > HEAD_MOST:
        raise WireError(f"a head of more than {HEAD_MOST} bytes")
    lines = bytes(data[:end]).split(b"\r\n")
    method, target = _request_line(lines[0])
    authorization = None
    for line in lines[1:]:
        field, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(field) or b"\r" in value or b"\n" in value or b"\0" in value:
            raise WireError("a field that is none")  # RFC 9112 5, and obs-fold is none either
        if field.lower() == b"proxy-authorization":
            if authorization is not None:
                raise WireError("two Proxy-Authorization fields")
            authorization = _basic(value.strip(b" \t"))
    if method != b"CONNECT":
        return Connect(method, "", 0, authorization, end + 4)
    match = _AUTHORITY.fullmatch(target)
    if match is None or not 0 < int(match[2]) < 65536:
        raise WireError(f"CONNECT to {target[:80]!r}, which is no HOST:PORT")
    host = match[1].decode("ascii")
    if host.startswith("["):
        host = name(host[1:-1].encode())
    return Connect(method, host, int(match[2]), authorization, end + 4)


def _request_line(line: bytes) -> tuple[bytes, bytes]:
    words = line.split(b" ")
    if len(words) != 3 or not _TOKEN.fullmatch(words[0]) or not words[1] or words[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise WireError("not a request of HTTP/1.1")
    return words[0], words[1]


def _basic(value: bytes) -> bytes:
    """RFC 7617: what Basic says; anything else is a wrong password."""
    scheme, _, token = value.partition(b" ")
    if scheme.lower() != b"basic":
        return b""
    try:
        return base64.b64decode(token.strip(b" "), validate=True)
    except (binascii.Error, ValueError):
        return b""
