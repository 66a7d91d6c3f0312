"""One request and its response, whatever version of HTTP carries them: what a session offers to an application.

A session of HTTP/1.1 has one exchange at a time, one of HTTP/2 many. Above this line nobody asks which: handlers (`message.py`) and
ASGI applications are two shapes of `Application`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias, runtime_checkable

from ...signatures import Address, Stream
from ..events import RawFields, RequestHead
from ..mib import HttpMib


class Exchange(Protocol):
    """In this order: `receive` as often as one likes, `interim` before `start`, `start`, `send` any number of times, `finish`.
    Steps out of turn are a UsageError. What can't be sent any more, because the client is gone, raises BrokenError."""

    @property
    def head(self) -> RequestHead: ...
    @property
    def mib(self) -> HttpMib:
        """The server's counters."""

    @property
    def scheme(self) -> str:
        """ "http" or "https": how the client reached us."""

    @property
    def remote_address(self) -> Address: ...
    @property
    def local_address(self) -> Address: ...
    async def receive(self) -> bytes:
        """The next piece of the request's body; b"" at its end. Raises BrokenError when the client broke off, broke the framing,
        exceeded a bound or is too slow."""

    @property
    def trailers(self) -> RawFields:
        """Of the request, once `receive` has given b""."""

    async def interim(self, status: int, fields: RawFields = ()) -> None:
        """A 1xx response: 103 with links, say. 100 is sent by the session itself, when `receive` waits."""

    async def start(self, status: int, fields: RawFields, length: int | None = None) -> None:
        """The head of the response. It may be held back until there is something to go with it: a `send`, `flush` or `finish`.
        `length` of the body, where it is known."""

    @property
    def silent(self) -> bool:
        """The response that was started has no body, whatever is sent: HEAD, 204, 304."""

    async def send(self, data: bytes | memoryview) -> None:
        """Some of the body; returns when the session holds no more than its bound."""

    async def flush(self) -> None:
        """Send the head, if it was held back."""

    async def send_file(self, descriptor: int, offset: int, count: int) -> None:
        """The same from an open file, without copying where the stack can."""

    async def finish(self, trailers: RawFields = (), data: bytes = b"") -> None:
        """The end of the response, `data` being the last of its body: one write where it can be."""

    async def upgrade(self, fields: RawFields) -> Stream:
        """Switch to what the client asked for by Upgrade (101; RFC 9110 7.8) or by extended CONNECT (200; RFC 8441): bytes both
        ways from now on. The exchange ends with the stream."""

    async def gone(self) -> None:
        """Wait until the client has gone away, or the response is finished."""

    def abort(self) -> None:
        """End it so that the client sees that it is not whole: a reset of the stream, or of the connection."""


Application: TypeAlias = Callable[[Exchange], Awaitable[None]]


@runtime_checkable
class Lifespan(Protocol):
    """An application that wants to know when serving begins and ends."""

    async def startup(self) -> None:
        """Before the first port listens. What it raises ends the start of the server."""

    async def shutdown(self) -> None:
        """After the last response."""
