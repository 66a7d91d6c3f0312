"""A response as its reader sees it: status, fields, and a body that comes as it is asked for."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import cached_property
from types import TracebackType
from typing import Any

from ...errors import UsageError
from ...signatures import Stream
from ..config import HttpClientLimits
from ..events import RawFields
from ..headers import Headers
from .connection import Exchange
from .decoding import CodingError, Decoder, decoded, decoders
from .errors import BadResponse
from .request import Outgoing
from .url import Url

READ_LIMIT = 64 << 20  # of `read`: more is worth being streamed


class ClientResponse:
    """What the server answered. Read it to its end, or close it: until then it has the connection.

        response = await client.get("http://example.com/")
        async for piece in response: …                          as it comes
        data = await response.read()                            all of it

    `async with await client.get(url) as response` closes it in any case.
    """

    def __init__(
        self, exchange: Exchange, request: Outgoing, version: str, history: tuple[Url, ...], limits: HttpClientLimits
    ) -> None:
        head = exchange.head
        self.status = head.status
        self.reason = head.reason
        self.version = "1.0" if version == "1.1" and head.version == (1, 0) else version  # "1.0", "1.1", "2"
        self.url = request.url
        self.method = request.method
        self.history = history  # what was redirected, in order
        self.length = head.length  # of the body as it comes, where it is known
        self.head = head
        self._fields = head.fields
        self._exchange = exchange
        self._chain: list[Decoder] | None = None if request.decode else []
        self._limits = limits
        self._pieces: AsyncIterator[bytes] | None = None
        self._whole: bytes | None = None

    @cached_property
    def headers(self) -> Headers:
        return Headers.from_raw(self._fields)

    def decode(self) -> None:
        """Undo a Content-Encoding, though it was not asked for; before the body is read."""
        self._chain = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def trailers(self) -> RawFields:
        """What came behind a chunked body, once that was read."""
        return self._exchange.trailers

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body in pieces of any size, once. Raises FetchError."""
        if self._pieces is None:
            self._pieces = self._iterate()
        return self._pieces

    async def _iterate(self) -> AsyncIterator[bytes]:
        exchange = self._exchange
        try:
            if self._chain is None:
                self._chain = decoders(self.headers.get("content-encoding", "") or "", self._limits)
            while data := await exchange.receive():
                for piece in decoded(self._chain, data):
                    yield piece
            for decoder in self._chain:
                decoder.finish()
        except CodingError as error:
            raise BadResponse(str(error), "read", str(self.url)) from error
        finally:
            await exchange.aclose()

    async def read(self, limit: int = READ_LIMIT) -> bytes:
        """All of the body. Raises BadResponse when it has more than `limit` bytes; and FetchError."""
        if self._whole is None:
            pieces: list[bytes] = []
            size = 0
            async for piece in self:
                size += len(piece)
                if size > limit:
                    await self.aclose()
                    raise BadResponse(f"the body has more than {limit} bytes: iterate over the response", "read", str(self.url))
                pieces.append(piece)
            self._whole = b"".join(pieces)
        return self._whole

    async def text(self, limit: int = READ_LIMIT) -> str:
        """In the charset of Content-Type, or UTF-8. What isn't in it becomes U+FFFD."""
        data = await self.read(limit)
        charset = "utf-8"
        for word in (self.headers.get("content-type", "") or "").split(";")[1:]:
            name, _, value = word.strip().partition("=")
            if name.lower() == "charset":
                charset = value.strip("\"' ")
        try:
            return data.decode(charset, "replace")
        except LookupError:
            return data.decode("utf-8", "replace")

    async def json(self, limit: int = READ_LIMIT) -> Any:
        """Raises BadResponse for what is no JSON."""
        try:
            return json.loads(await self.read(limit))
        except ValueError as error:
            raise BadResponse(f"the body is no JSON: {error}", "read", str(self.url)) from error

    def detach(self) -> Stream:
        """After 101, or a 2xx to CONNECT: the stream, the caller's from now on. Raises UsageError for other responses."""
        if not self.head.switched:
            raise UsageError(f"the server did not change the protocol: it answered {self.status}")
        return self._exchange.detach()

    async def aclose(self) -> None:
        """Read no more."""
        if self._pieces is not None:
            await self._pieces.aclose()  # type: ignore[attr-defined]  # a generator
        await self._exchange.aclose()

    async def __aenter__(self) -> ClientResponse:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<ClientResponse {self.status} of {self.method} {self.url}>"
