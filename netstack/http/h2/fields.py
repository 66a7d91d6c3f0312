"""Header lists of HTTP/2 to our heads and back (RFC 9113 8.2, 8.3), with the checks that HTTP/1.1's reader makes of text.

A list that is no message is `Malformed`: its stream is reset. One that is a message, but not one that we take, is `Refused` with
the status that HTTP/1.1 gives it. The library could check some of this; it ends the connection where a stream is at fault, and it
reads every byte of every field in a loop.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

from hpack import NeverIndexedHeaderTuple

from ...errors import UsageError, WireError
from ..config import HttpLimits
from ..events import RawFields, RequestHead, ResponseHead
from ..refused import Refused
from ..target import check_authority, check_target

# RFC 9113 8.2.1: a token (RFC 9110 5.6.2) without upper case
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]++")
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++")
_TARGET = re.compile(rb"[\x21-\x7e]++")
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*+")
# a value may hold any byte but controls (RFC 9110 5.5), and no white space around it (RFC 9113 8.2.1)
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]|\A[ \t]|[ \t]\Z")
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_DIGITS = re.compile(rb"[0-9]++")
_LENGTH_DIGITS = 18
_SECRETS = frozenset((b"authorization", b"proxy-authorization"))
REMEMBERED = 32  # fields of the last request
# RFC 9113 8.2.2: they speak of a connection, of which there is more than one behind a proxy: smuggling by downgrade
CONNECTION_FIELDS = frozenset((b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"))
_NO_TRAILERS = frozenset((b"content-length", b"trailer", b"host", b"content-encoding", b"te"))  # RFC 9110 6.5.1
V2 = (2, 0)
Header = tuple[bytes, bytes]


class Malformed(WireError):
    """RFC 9113 8.1.1: a stream error. The reason holds none of the peer's bytes."""


@lru_cache(maxsize=1024)
def _check_name(name: bytes) -> bool:
    """Raises Malformed; True where the name means something here."""
    if _NAME.fullmatch(name) is None:
        raise Malformed("A field's name is no lower-case token.")
    if name in CONNECTION_FIELDS:
        raise Malformed("A field speaks of the connection.")
    return name in (b"host", b"content-length", b"cookie", b"expect", b"te")


class RequestReader:
    """Header lists to `RequestHead`; remembers the fields of the last request, which the next one mostly repeats."""

    __slots__ = ("_limits", "_authority", "_regular", "_read")

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._authority: bytes | None = None
        self._regular: list[Header] | None = None
        self._read: tuple[RawFields, int | None, bool] = ((), None, False)

    def read(self, headers: list[Header], ended: bool) -> RequestHead:
        """Raises Malformed and Refused. `ended`: no body follows."""
        method = scheme = authority = path = protocol = None
        count = 0
        for name, value in headers:
            if name[:1] != b":":
                break
            count += 1
            if name == b":method" and method is None:
                method = value
            elif name == b":path" and path is None:
                path = value
            elif name == b":scheme" and scheme is None:
                scheme = value
            elif name == b":authority" and authority is None:
                authority = value
            elif name == b":protocol" and protocol is None:
                protocol = value
            else:
                raise Malformed("A pseudo-header field is repeated or unknown.")
        if method is None or _METHOD.fullmatch(method) is None:
            raise Malformed("There is no method.")
        upgrade = b""
        if method == b"CONNECT":
            if protocol is None:
                if scheme is not None or path is not None or authority is None:
                    raise Malformed("CONNECT has an authority alone.")  # RFC 9113 8.5
                raise Refused(501, "CONNECT is for proxies.")
            upgrade = protocol  # RFC 8441 4: else it is a request like others
            if _METHOD.fullmatch(upgrade) is None:
                raise Malformed("The protocol is no token.")
        elif protocol is not None:
            raise Malformed("A protocol goes with CONNECT.")
        if not path or not scheme or _SCHEME.fullmatch(scheme) is None:
            raise Malformed("A request has a path and a scheme.")

        regular = headers[count:]
        if regular == self._regular and authority == self._authority:
            fields, length, expects = self._read
        else:
            fields, length, expects = self._fields(regular, authority)
            if len(regular) <= REMEMBERED:
                self._regular, self._authority, self._read = regular, authority, (fields, length, expects)
        if _TARGET.fullmatch(path) is None:
            raise Refused(400, "The target has a character that must be escaped.")
        if path[:1] != b"/" and path != b"*":
            raise Refused(400, "The target is not a path.")  # RFC 9113 8.3.1
        if len(path) > self._limits.request_line:
            raise Refused(414, "The target is too long.")
        check_target(b"GET" if upgrade else method, path)
        if ended:
            if length:
                raise Malformed("Content-Length says more than there is.")
            length, expects = 0, False
        elif upgrade:
            length = None
        elif length and length > self._limits.body:
            raise Refused(413, "The body is too large.")
        return RequestHead(method.decode(), path.decode(), V2, fields, length, True, expects and length != 0, upgrade)

    def _fields(self, regular: list[Header], authority: bytes | None) -> tuple[RawFields, int | None, bool]:
        """The fields as HTTP/1.1 would have them: Host first, cookies joined (RFC 9113 8.2.3, 8.3.1)."""
        fields: list[Header] = []
        host: bytes | None = None
        length: int | None = None
        cookies: list[bytes] = []
        cookie_at = 0
        expects = False
        size = 0
        for name, value in regular:
            size += len(name) + len(value) + 4  # with what HTTP/1.1 has between them
            meant = _check_name(name)
            if _BAD_VALUE.search(value) is not None:
                raise Malformed("A field's value has a control character, or white space around it.")
            if meant:
                if name == b"host":
                    if host is not None:
                        raise Refused(400, "There is more than one Host.")
                    host = value
                    continue
                if name == b"cookie":
                    if not cookies:
                        cookie_at = len(fields)
                        fields.append((name, value))
                    cookies.append(value)
                    continue
                if name == b"content-length":
                    if length is not None:
                        raise Refused(400, "There is more than one Content-Length.")
                    length = content_length(value)
                elif name == b"expect":
                    if value.lower() != b"100-continue":
                        raise Refused(417, "The only expectation that can be met is 100-continue.")
                    expects = True
                elif value.lower() != b"trailers":  # RFC 9113 8.2.2
                    raise Malformed("TE can only be trailers.")
            fields.append((name, value))
        if len(cookies) > 1:
            fields[cookie_at] = (b"cookie", b"; ".join(cookies))
        if len(regular) > self._limits.header_count:
            raise Refused(431, "There are too many header fields.")
        if size > self._limits.header_section:
            raise Refused(431, "The header section is too long.")
        if authority is None:
            authority = host
        elif host is not None and host != authority:
            raise Malformed("Host is not the authority.")  # RFC 9113 8.3.1: two readings of whom it is for
        if not authority:
            raise Refused(400, "There is no Host.")
        check_authority(authority)
        return ((b"host", authority), *fields), length, expects


def content_length(value: bytes) -> int:
    """Raises Malformed and Refused."""
    if _DIGITS.fullmatch(value) is None:
        raise Malformed("Content-Length is not a number.")
    digits = value.lstrip(b"0") or b"0"
    if len(digits) > _LENGTH_DIGITS:
        raise Refused(413, "The body is too large.")
    return int(digits)


def read_response(headers: list[Header]) -> ResponseHead:
    """For a client, interim ones as well. Raises Malformed."""
    if not headers or headers[0][0] != b":status":
        raise Malformed("A response begins with its status.")
    status = headers[0][1]
    if len(status) != 3 or _DIGITS.fullmatch(status) is None or not int(status) >= 100:
        raise Malformed("The status is no number of three digits.")
    fields = read_plain(headers[1:])
    lengths = [value for name, value in fields if name == b"content-length"]
    try:
        length = content_length(lengths[0]) if lengths else None
    except Refused as error:
        raise Malformed(error.reason) from None
    if len(lengths) > 1:
        raise Malformed("There is more than one Content-Length.")
    return ResponseHead(int(status), fields, length)


def read_plain(headers: Iterable[Header]) -> RawFields:
    """Fields without pseudo-header fields: trailers, and those of a response. Raises Malformed."""
    fields = tuple((name, value) for name, value in headers)
    for name, value in fields:
        _check_name(name)
        if _BAD_VALUE.search(value) is not None:
            raise Malformed("A field's value has a control character, or white space around it.")
    return fields


# -- what we send ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _out_name(name: bytes) -> bytes:
    """In lower case; b"" for what HTTP/2 has no place for. Raises UsageError."""
    lower = name.lower()
    if _NAME.fullmatch(lower) is None:
        raise UsageError(f"{name.decode('latin-1')!r} can't be a header's name: letters, digits and !#$%&'*+-.^_`|~ can")
    return b"" if lower in CONNECTION_FIELDS else lower


def out_fields(fields: Iterable[tuple[bytes, bytes]]) -> list[Header]:
    """In lower case, without those of the connection. Raises UsageError for what the peer would have to refuse."""
    made = []
    for name, value in fields:
        lower = _out_name(name)
        if not lower:
            continue
        if _BAD_VALUE.search(value) is not None:
            if _CONTROLS.search(value) is not None:
                text = lower.decode("latin-1")
                raise UsageError(f"the value of header {text} has a line break or a control character")
            value = value.strip(b" \t")
        made.append((lower, value))
    return made


def response_list(status: int, fields: RawFields, length: int | None, silent: bool, date: bytes) -> tuple[list[Header], int | None]:
    """The header list of a response and the length of its body that it states; the same rules as HTTP/1.1's writer.
    Raises UsageError."""
    if not 200 <= status <= 999:
        raise UsageError(f"a final status is a number of three digits, from 200, not {status}")
    told: bytes | None = None
    dated = False
    headers: list[Header] = [(b":status", b"%d" % status)]
    for pair in out_fields(fields):
        name, value = pair
        if name == b"content-length":
            if told is not None:
                raise UsageError("Content-Length is given twice")
            told = value
            continue
        if name == b"date":
            dated = True
        headers.append(pair)
    if told is not None:
        if _DIGITS.fullmatch(told) is None or len(told) > 19:
            raise UsageError(f"Content-Length is a number of bytes, not {told.decode('latin-1')!r}")
        if not silent and length is not None and length != int(told):
            raise UsageError(f"Content-Length says {int(told)} and the body has {length} bytes")
        length = int(told)
    if date and not dated:
        headers.append((b"date", date))
    if silent:  # RFC 9110 8.6: what it says is what the answer to GET would have had
        length = length if told is not None else length or None
        if length is not None and status != 204:
            headers.append((b"content-length", b"%d" % length))
        return headers, 0
    if length is not None:
        headers.append((b"content-length", b"%d" % length))
    return headers, length


def request_list(method: str, scheme: str, authority: str, target: str, fields: RawFields, protocol: str = "") -> list[Header]:
    """The header list of a request; Host becomes the authority. Raises UsageError."""
    if not _METHOD.fullmatch(method.encode("latin-1", "replace")):
        raise UsageError(f"{method!r} is no method")
    if not _TARGET.fullmatch(target.encode("utf-8")):
        raise UsageError(f"the target {target!r} has characters that must be escaped")
    headers = [(b":method", method.encode()), (b":scheme", scheme.encode()), (b":authority", authority.encode("ascii"))]
    headers.append((b":path", target.encode()))
    if method == "CONNECT":
        if protocol:
            headers.append((b":protocol", protocol.encode("ascii")))
        else:
            headers = [headers[0], headers[2]]
    return headers + [pair for pair in out_fields(fields) if pair[0] != b"host"]


def trailer_list(fields: RawFields) -> list[Header]:
    """Raises UsageError."""
    made = out_fields(fields)
    for name, _ in made:
        if name in _NO_TRAILERS:
            raise UsageError(f"{name.decode()} can't be a trailer: it says how the message is to be read")
    return made


def secret(headers: list[Header]) -> list[Header]:
    """Credentials are never indexed: who makes a client send guesses beside them would learn them from sizes (RFC 7541 7.1)."""
    return [NeverIndexedHeaderTuple(*pair) if pair[0] in _SECRETS or (pair[0] == b"cookie" and len(pair[1]) < 20) else pair
            for pair in headers]  # fmt: skip
