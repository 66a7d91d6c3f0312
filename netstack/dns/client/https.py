"""Questions over HTTPS (RFC 8484), to servers that are known by their address: each is one POST of a client, which keeps its
connections, and with HTTP/2, where the server takes that, all share one.

A name is never looked up to find who looks names up: the address stands in the URL, or was said beside it. The id goes as 0, so
that equal questions are equal (RFC 8484 4.1). What is sent says nothing of who asks: no user agent, no cookies (8.2). POST, since
then nobody on the way may keep the answer, and its times are true (5.1 is about caches).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from ...errors import ClosedError, NetstackError, TimedOut
from ...http.client.client import HttpClient
from ...http.client.errors import ConnectionLost, FetchError
from ...http.config import HttpClientConfig
from ...instant import SECOND, Duration
from ...signatures import StreamStack
from ..resolve.upstream import Upstream
from .lost import Lost

if TYPE_CHECKING:
    from ...runtime.waits import Event, Spawned, Waits

S_co = TypeVar("S_co", bound=StreamStack, covariant=True)

TYPE = "application/dns-message"
LONGEST = 65535  # octets of a message (RFC 8484 6)
PATIENCE = Duration(10 * SECOND)  # in each phase; the job has its own, which is shorter
IDLE = Duration(30 * SECOND)  # a handshake of TLS is dearer than a connection


class HttpsAsked:
    """A question on its way."""

    def __init__(self, id: bytes, waits: Waits) -> None:
        self._id = id
        self._waits = waits
        self._came: Event = waits.event()
        self._message: bytes | None = None
        self._lost: Lost | None = None

    def came(self, message: bytes) -> None:
        self._message = message
        self._came.set()

    def lost(self, why: str, again: bool = False) -> None:
        self._lost = Lost(why, again)
        self._came.set()

    async def answer(self, timeout: Duration) -> bytes:
        """Once. Raises TimedOut, Lost."""
        if self._message is None and self._lost is None:
            await self._waits.wait(self._came, timeout)
        message, self._message = self._message, None
        if message is None:
            raise self._lost or Lost("the server has answered something else", False)
        return self._id + message[2:]


class Https(Generic[S_co]):
    """All of a driver's servers that are asked so."""

    def __init__(self, streams: S_co, context: ssl.SSLContext | None) -> None:
        self._client: HttpClient[S_co] = HttpClient(
            streams,
            self._where,
            config=HttpClientConfig(
                connect_timeout=PATIENCE, tls_timeout=PATIENCE, write_timeout=PATIENCE, first_byte_timeout=PATIENCE,
                read_timeout=PATIENCE, pool_timeout=PATIENCE, idle_timeout=IDLE, redirects=0,
            ),
            context=context,
            user_agent="",
            decode=False,
        )  # fmt: skip
        self._addresses: dict[tuple[str, int], str] = {}
        self._tasks: set[Spawned] = set()

    async def _where(self, host: str, port: int) -> Sequence[tuple[str, int]]:
        return [(self._addresses[host, port], port)]

    @contextmanager
    def ask(self, server: Upstream, data: bytes, waits: Waits) -> Iterator[HttpsAsked]:
        """A place for the query `data`, until the block is left."""
        self._addresses[server.tls or server.address, server.port] = server.address
        asked = HttpsAsked(data[:2], waits)
        task: Spawned | None = None

        async def post() -> None:
            try:
                await self._post(server, b"\0\0" + data[2:], asked)
            finally:
                if task is not None:
                    self._tasks.discard(task)

        task = waits.spawn(post)
        self._tasks.add(task)
        try:
            yield asked
        finally:
            task.cancel()

    async def _post(self, server: Upstream, query: bytes, asked: HttpsAsked) -> None:
        kept = self._client.connections > 0
        fields = (("content-type", TYPE), ("accept", TYPE))
        try:
            response = await self._client.request("POST", server.url, headers=fields, body=query, decode=False)
            async with response:
                kind = (response.headers.get("content-type", "") or "").partition(";")[0].strip().lower()
                if response.status != 200:  # RFC 8484 4.2.1: not for the DNS to say
                    asked.lost(f"the server answers {response.status} to DNS over HTTPS")
                elif kind != TYPE:
                    asked.lost(f"the server answers with {kind or 'something'} and not with a message")
                else:
                    message = await response.read(LONGEST)
                    if len(message) < 12:
                        asked.lost("the server's answer is too short")
                    else:
                        asked.came(message)
        except FetchError as error:
            # a connection that was kept may be gone; a new one that breaks is no accident
            asked.lost(error.strerror or str(error), kept and isinstance(error, ConnectionLost) and error.unanswered)
        except (NetstackError, ClosedError, TimedOut) as error:
            asked.lost(str(error))

    async def aclose(self) -> None:
        for task in (tasks := list(self._tasks)):
            task.cancel()
        for task in tasks:
            with suppress(ClosedError):
                await task.join()
        await self._client.aclose()
