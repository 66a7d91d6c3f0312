"""What is to be asked: a method, a URL, fields and a body that may come in pieces."""

from __future__ import annotations

import json as json_module
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from typing import TypeAlias

from attrs import evolve, frozen

from ...errors import UsageError
from ..events import RawFields
from ..headers import Headers, HeadersLike
from .url import Url

Pieces: TypeAlias = AsyncIterable[bytes] | Iterable[bytes]
BodyLike: TypeAlias = bytes | bytearray | memoryview | Pieces | Callable[[], Pieces] | None
"""All at once; in pieces; or a function that gives the pieces, anew each time that the request is repeated."""

IDEMPOTENT = frozenset(("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"))  # RFC 9110 9.2.2


class RequestContent:
    """The body of one request, to be sent once, or as often as it is `replayable`."""

    __slots__ = ("data", "length", "replayable", "_pieces", "_spent")

    def __init__(self, body: BodyLike, length: int | None = None) -> None:
        self.data: bytes | None = None  # all of it, where it is here
        self._pieces: Pieces | Callable[[], Pieces] = ()
        self._spent = False
        if isinstance(body, str):
            raise UsageError("a body is bytes: encode the text, or say json=")
        if body is None or isinstance(body, bytes | bytearray | memoryview):
            self.data = b"" if body is None else bytes(body)
            self.length: int | None = len(self.data)
            self.replayable = True
            return
        self._pieces = body
        self.length = length
        # a generator is spent after once; what only makes iterators isn't
        self.replayable = callable(body) or not (hasattr(body, "__anext__") or hasattr(body, "__next__"))

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Raises UsageError where they were given already and can't be again."""
        if self._spent and not self.replayable:
            raise UsageError("the pieces of this body were sent already: give a function that makes them")
        self._spent = True
        if self.data is not None:
            if self.data:
                yield self.data
            return
        source = self._pieces() if callable(self._pieces) else self._pieces
        if isinstance(source, AsyncIterable):
            async for piece in source:
                yield piece
        else:
            for piece in source:
                yield piece


@frozen
class Outgoing:
    """One request, as it is to go out: `fields` has all but the framing."""

    method: str
    url: Url
    fields: RawFields
    content: RequestContent
    expect: bool = False
    absolute: bool = False  # to a proxy: the whole URL stands in the request line
    decode: bool = True  # undo a Content-Encoding
    protocol: str = ""  # to which the server is asked to switch: by the fields on HTTP/1.1, by extended CONNECT on HTTP/2

    @property
    def target(self) -> str:
        return str(self.url) if self.absolute else self.url.target

    @property
    def repeatable(self) -> bool:
        """May it be sent again, when nobody knows whether it was read?"""
        return self.method in IDEMPOTENT and self.content.replayable

    def has(self, name: bytes) -> bool:
        return any(key.lower() == name for key, _ in self.fields)

    def without(self, *names: bytes) -> Outgoing:
        return evolve(self, fields=tuple(pair for pair in self.fields if pair[0].lower() not in names))

    def adding(self, name: bytes, value: str) -> Outgoing:
        return evolve(self, fields=(*self.fields, (name, value.encode("latin-1"))))


def outgoing(
    method: str,
    url: Url,
    headers: HeadersLike,
    body: BodyLike,
    json: object,
    length: int | None,
    auth: tuple[str, str] | None,
    expect: bool,
    decode: bool,
    user_agent: str,
) -> Outgoing:
    """Fields that nobody gave are added: Host, User-Agent, Accept, Accept-Encoding, Authorization. Raises UsageError."""
    from .url import basic

    given = Headers(headers)
    if json is not None:
        if body is not None:
            raise UsageError("a request has json= or a body, not both")
        body = json_module.dumps(json, separators=(",", ":")).encode()
        if "content-type" not in given:
            given = Headers((*given, ("content-type", "application/json")))
    stated = given.get("content-length")
    if stated is not None and length is None and stated.isascii() and stated.isdigit():
        length = int(stated)
    fields = list(given.raw())
    if "host" not in given:
        fields.insert(0, (b"host", url.authority.encode("ascii")))  # RFC 9110 7.2: first
    credentials = basic(*auth) if auth is not None else url.credentials
    if credentials is not None and "authorization" not in given:
        fields.append((b"authorization", credentials.encode("latin-1")))
    if user_agent and "user-agent" not in given:
        fields.append((b"user-agent", user_agent.encode("latin-1")))
    if "accept" not in given:
        fields.append((b"accept", b"*/*"))
    if decode and "accept-encoding" not in given:
        fields.append((b"accept-encoding", b"gzip, deflate"))
    # `Accept: ` with an empty value says: none at all, as with curl's -H "Accept:"
    kept = tuple(pair for pair in fields if pair[1] or pair[0] not in (b"accept", b"user-agent", b"accept-encoding"))
    return Outgoing(method, url, kept, RequestContent(body, length), expect, decode=decode)
