"""The opening handshake (RFC 6455 4; over HTTP/2 RFC 8441 5): fields in, fields out.

A server reads a request by `read_request` and answers with `answer_fields`, behind a 101, or a 200 where the request was an
extended CONNECT: there the version of HTTP has said both sides' consent already, and neither key nor Upgrade exist. A client sends
`request_fields` and holds the answer against them by `read_answer`.
"""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Sequence
from hashlib import sha1

from attrs import frozen

from ...errors import UsageError, WireError
from ...signatures import Rng
from ..events import RawFields, RequestHead
from . import deflate
from .deflate import Deflate, Offers
from .errors import HandshakeRefused

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OURS = {b"connection", b"upgrade", b"host"}  # fields that are not the caller's, and everything sec-websocket-


@frozen
class Asked:
    """What a lawful request wants."""

    key: bytes | None  # None over HTTP/2
    subprotocols: tuple[str, ...]
    extensions: Offers


def is_websocket(head: RequestHead) -> bool:
    """Does the client ask for a WebSocket? Rightly or not says `read_request`."""
    return bool(head.upgrade) and any(name.strip().lower() == b"websocket" for name in head.upgrade.split(b","))


def read_request(head: RequestHead) -> Asked:
    """Raises HandshakeRefused."""
    extended = head.version >= (2, 0)
    if head.method != ("CONNECT" if extended else "GET"):
        raise HandshakeRefused(400, "A WebSocket is asked for by GET.")
    version = _one(head.fields, b"sec-websocket-version")
    if version != b"13":
        raise wanted(head, "The version of WebSocket is 13.", ((b"sec-websocket-version", b"13"),))
    key = None
    if not extended:
        key = _one(head.fields, b"sec-websocket-key")
        if key is None or not _is_key(key):
            raise HandshakeRefused(400, "Sec-WebSocket-Key is not one key of 16 bytes.")
    try:
        subprotocols = _tokens(_joined(head.fields, b"sec-websocket-protocol"))
        extensions = deflate.parse_extensions(_joined(head.fields, b"sec-websocket-extensions"))
    except WireError as error:
        raise HandshakeRefused(400, str(error)) from None
    return Asked(key, subprotocols, extensions)


def wanted(head: RequestHead, reason: str, fields: RawFields = ()) -> HandshakeRefused:
    """Only a WebSocket, of this version, is served: 426, which names the protocol in Upgrade (RFC 9110 15.5.22). HTTP/2 has no such
    field (RFC 9113 8.2.2), and so no 426."""
    if head.version >= (2, 0):
        return HandshakeRefused(400, reason, fields)
    return HandshakeRefused(426, reason, (*fields, (b"upgrade", b"websocket")))


def answer_fields(asked: Asked, subprotocol: str | None = None, extensions: str = "", fields: RawFields = ()) -> RawFields:
    """The fields of an acceptance. Raises UsageError for a subprotocol that was not asked for, and for fields that are ours."""
    if subprotocol is not None and subprotocol not in asked.subprotocols:
        offered = ", ".join(asked.subprotocols) or "none"
        raise UsageError(f"subprotocol {subprotocol!r} was not offered: the client has {offered} (RFC 6455 4.2.2)")
    answer: list[tuple[bytes, bytes]] = []
    if asked.key is not None:
        answer += [(b"upgrade", b"websocket"), (b"sec-websocket-accept", accept_key(asked.key))]
    if subprotocol is not None:
        answer.append((b"sec-websocket-protocol", subprotocol.encode("ascii")))
    if extensions:
        answer.append((b"sec-websocket-extensions", extensions.encode("ascii")))
    return (*answer, *check_fields(fields))


def check_fields(fields: RawFields) -> RawFields:
    """Those that a program adds. Raises UsageError for what the handshake says itself."""
    for name, _ in fields:
        if name.lower() in _OURS or name.lower().startswith(b"sec-websocket-"):
            raise UsageError(f"{name.decode('latin-1')} is said by the handshake itself: leave it out")
    return fields


def accept_key(key: bytes) -> bytes:
    """RFC 6455 4.2.2: it shows that the request was read by somebody who speaks this."""
    return b64encode(sha1(key + GUID, usedforsecurity=False).digest())


def request_fields(rng: Rng, subprotocols: Sequence[str] = (), extensions: str = "") -> tuple[bytes, RawFields]:
    """The key and the fields of a request over HTTP/1.1 (RFC 6455 4.1). Raises UsageError for what is no subprotocol."""
    for name in subprotocols:
        if _TOKEN.fullmatch(name) is None or list(subprotocols).count(name) > 1:
            raise UsageError(f"{name!r} as a subprotocol: they are tokens, each once")
    key = b64encode(rng.getrandbits(128).to_bytes(16, "big"))
    fields = [
        (b"upgrade", b"websocket"),
        (b"connection", b"Upgrade"),
        (b"sec-websocket-key", key),
        (b"sec-websocket-version", b"13"),
    ]
    if subprotocols:
        fields.append((b"sec-websocket-protocol", ", ".join(subprotocols).encode("ascii")))
    if extensions:
        fields.append((b"sec-websocket-extensions", extensions.encode("ascii")))
    return key, tuple(fields)


def read_answer(
    fields: RawFields, key: bytes | None, subprotocols: Sequence[str] = (), window_bits: int = 0
) -> tuple[str | None, Deflate | None]:
    """What a 101 agreed to, or over HTTP/2, where there is no key, a 2xx: the subprotocol, and compression, where `window_bits` of
    it were offered. Raises WireError for an answer that RFC 6455 4.1 has us fail."""
    if key is not None:
        _check_upgrade(fields, key)
    chosen = None
    if any(name == b"sec-websocket-protocol" for name, _ in fields):
        chosen = (_one(fields, b"sec-websocket-protocol") or b"").decode("latin-1")
        if chosen not in subprotocols:
            raise WireError("the server chose a subprotocol that was not offered")
    extensions = deflate.parse_extensions(_joined(fields, b"sec-websocket-extensions"))
    if extensions and not window_bits:
        raise WireError("the server chose extensions that were not offered")
    return chosen, deflate.read_answer(extensions, window_bits)


def _check_upgrade(fields: RawFields, key: bytes) -> None:
    if (_one(fields, b"upgrade") or b"").lower() != b"websocket":
        raise WireError("the server switched, but not to WebSocket")
    if b"upgrade" not in [word.strip().lower() for word in _joined(fields, b"connection").encode("latin-1").split(b",")]:
        raise WireError("the server's Connection field has no Upgrade")
    if _one(fields, b"sec-websocket-accept") != accept_key(key):
        raise WireError("the server's Sec-WebSocket-Accept is not that of our key")


def _one(fields: RawFields, name: bytes) -> bytes | None:
    """None also where it comes twice."""
    values = [value for key, value in fields if key == name]
    return values[0] if len(values) == 1 else None


def _joined(fields: RawFields, name: bytes) -> str:
    return b", ".join(value for key, value in fields if key == name).decode("latin-1")


def _is_key(value: bytes) -> bool:
    if len(value) != 24:
        return False
    try:
        return len(a2b_base64(value, strict_mode=True)) == 16
    except Base64Error:
        return False


def _tokens(value: str) -> tuple[str, ...]:
    if not value:
        return ()
    names = tuple(name.strip(" \t") for name in value.split(","))
    names = tuple(name for name in names if name)  # RFC 9110 5.6.1.2: empty elements are passed over
    if len(set(names)) != len(names) or not all(_TOKEN.fullmatch(name) for name in names):
        raise WireError("Sec-WebSocket-Protocol is not a list of different tokens.")
    return names
