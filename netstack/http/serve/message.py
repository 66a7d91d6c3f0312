"""Requests and responses as handlers see them."""

import json
from collections.abc import AsyncIterable, Awaitable, Callable
from functools import cached_property
from typing import TypeAlias

from attrs import field, frozen

from ...errors import NetstackError
from ...signatures import Address
from ..events import RequestHead, Version
from ..headers import Headers, HeadersLike
from ..target import split_target, unescape


class HttpError(NetstackError):
    """Raised by a handler: answer with `status` and one line of text."""

    def __init__(self, status: int, reason: str = "", headers: HeadersLike = ()) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.headers = Headers(headers)


class RequestBody:
    """The body of a request, once: `async for piece in request.body`. Bytes are received only as they are asked for.

    What the client sends unasked waits in the stack, whose window closes: a slow handler slows its client. The length is bounded by
    `HttpLimits.body`. Raises BrokenError when the client breaks off, breaks the framing, exceeds the bound or is too slow.
    """

    __slots__ = ("_next",)

    def __init__(self, next_piece: Callable[[], Awaitable[bytes]]) -> None:
        self._next: Callable[[], Awaitable[bytes]] | None = next_piece

    def __aiter__(self) -> "RequestBody":
        return self

    async def __anext__(self) -> bytes:
        piece = await self._next() if self._next is not None else b""
        if not piece:
            raise StopAsyncIteration
        return piece

    def detach(self) -> None:
        """The response is whole: who kept this body must not read the next one from it."""
        self._next = None

    async def read(self, limit: int = 1 << 20) -> bytes:
        """All of it. Raises HttpError(413) when it has more than `limit` bytes."""
        pieces = []
        size = 0
        async for piece in self:
            size += len(piece)
            if size > limit:
                raise HttpError(413, "The body is too large.")
            pieces.append(piece)
        return b"".join(pieces)


class Request:
    """What a client asks. `path` is unescaped and meant to be compared and shown; `raw_path` is as it came."""

    def __init__(self, head: RequestHead, body: RequestBody, remote_address: Address, local_address: Address) -> None:
        self.method = head.method
        self.target = head.target
        self.version: Version = head.version
        self.length = head.length  # of the body; None when it comes in chunks
        self.authority, self.raw_path, self.query = split_target(head.target)
        self.body = body
        self.remote_address = remote_address
        self.local_address = local_address
        self._fields = head.fields

    @cached_property
    def headers(self) -> Headers:
        return Headers.from_raw(self._fields)

    @cached_property
    def path(self) -> str:
        return unescape(self.raw_path)

    @property
    def host(self) -> str:
        """Whom the client meant: the target's authority goes before the Host field (RFC 9112 3.2.2)."""
        return self.headers.get("host", "") or "" if self.authority is None else self.authority

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.target} from {self.remote_address}>"


@frozen
class Response:
    """What a handler answers. A body in pieces is closed (`aclose`, where it has one) when it was sent, or could not be."""

    status: int = 200
    headers: Headers = field(default=Headers(), converter=Headers)
    body: bytes | AsyncIterable[bytes | memoryview] = b""

    @classmethod
    def text(
        cls, text: str, status: int = 200, content_type: str = "text/plain; charset=utf-8", headers: HeadersLike = ()
    ) -> "Response":
        return cls(status, (("content-type", content_type), *Headers(headers)), text.encode())

    @classmethod
    def html(cls, text: str, status: int = 200, headers: HeadersLike = ()) -> "Response":
        return cls.text(text, status, "text/html; charset=utf-8", headers)

    @classmethod
    def json(cls, value: object, status: int = 200, headers: HeadersLike = ()) -> "Response":
        return cls.text(json.dumps(value, separators=(",", ":")), status, "application/json", headers)


Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
