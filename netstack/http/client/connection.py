"""What a connection with a server is to the pool and the client, whatever version of HTTP it speaks; and who watches."""

from __future__ import annotations

from typing import Protocol

from ...errors import TimedOut
from ...instant import Duration, Instant
from ...runtime.waits import Waits
from ...signatures import Address, Stream
from ..config import HttpClientConfig
from ..events import Interim, RawFields, ReplyHead
from .errors import FetchTimedOut, Phase
from .request import Outgoing


class Exchange(Protocol):
    """One request and its response, whose head is here."""

    @property
    def head(self) -> ReplyHead: ...
    async def receive(self) -> bytes:
        """The next piece of the body; b"" at its end, and then the connection is free for others. Raises FetchError."""

    @property
    def trailers(self) -> RawFields:
        """Once `receive` has given b""."""

    async def aclose(self) -> None:
        """Whoever gives up before the end: what is still to come is not awaited. Again: nothing."""

    def detach(self) -> Stream:
        """After a head with `switched`: the stream, which is the caller's from now on. Raises UsageError for another head."""


class Connection(Protocol):
    """One connection with a server, established."""

    @property
    def version(self) -> str:
        """ "1.1", "2" """

    @property
    def stream(self) -> Stream: ...
    @property
    def streams(self) -> int:
        """How many requests it may carry at once."""

    @property
    def usable(self) -> bool:
        """Can another request begin on it, when fewer than `streams` are under way?"""

    async def healthy(self) -> bool:
        """It has idled: is it still there? Doesn't wait."""

    async def request(self, request: Outgoing, deadline: Deadline) -> Exchange:
        """Send it, and give the response when its head is here. Raises FetchError; what the body's pieces raise goes through.
        Cancelled, or when it raises, the request is given up."""

    async def aclose(self) -> None: ...
    def abort(self) -> None: ...


class Watcher:
    """Who wants to know what happens, in between: derive from it. What it raises, goes to the caller of the request."""

    def connecting(self, host: str, port: int) -> None:
        """A stream is asked for."""

    def connected(self, stream: Stream) -> None: ...
    def tunnelled(self, stream: Stream) -> None:
        """The proxy has connected."""

    def secured(self, stream: Stream) -> None:
        """TLS is up: `stream` is a TlsStream."""

    def reused(self, connection: Connection) -> None: ...
    def sent(self, head: bytes) -> None:
        """The head of a request, as it went out."""

    def heard(self, head: ReplyHead | Interim) -> None: ...
    def uploaded(self, count: int) -> None:
        """So many bytes more of the request's body were taken by the stack."""

    def over(self, left_open: bool, peer: Address) -> None:
        """The response is whole, and the connection stays, or not."""


class Deadline:
    """The end of all of it, and time limits below that."""

    __slots__ = ("_waits", "config", "end", "url")

    def __init__(self, waits: Waits, total: Duration | None, url: str, config: HttpClientConfig) -> None:
        self._waits = waits
        self.config = config  # of this request
        self.end = None if total is None else Instant(waits.now() + total)
        self.url = url

    def left(self, limit: Duration) -> Duration:
        """`limit`, or less. Raises FetchTimedOut when nothing is left."""
        if self.end is None:
            return limit
        self.check()
        return Duration(min(limit, self.end - self._waits.now()))

    def check(self) -> None:
        """Raises FetchTimedOut when nothing is left."""
        if self.end is not None and self._waits.now() >= self.end:
            raise FetchTimedOut(f"{self.url} took longer than it may", "total", self.url)

    def late(self, phase: Phase, what: str, cause: TimedOut | None = None) -> FetchTimedOut:
        """Something timed out: this, or all of it."""
        try:
            self.check()
        except FetchTimedOut as error:
            error.__cause__ = cause
            return error
        made = FetchTimedOut(what, phase, self.url)
        made.__cause__ = cause
        return made
