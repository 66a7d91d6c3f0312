"""Streams to servers of the DNS, kept and shared (RFC 7766 6.2.1): queries go out as they come, answers come in any order and find
their query by its id. A pipe is one stream with its reader's task; it ends when it was idle, or when the server ends it.

Ids are the queries' own, and random; where two on one stream have the same, the second goes under the next free one.

Bounds: `PIPES` streams in all, of which the one that rested longest makes room; `WAITING` queries on each, above which a server
gets a second stream; an answer that nobody waits for is dropped.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ...errors import ClosedError, TimedOut, WireError
from ...instant import SECOND, Duration
from ...signatures import Stream, StreamStack
from ..resolve.upstream import Upstream
from ..stream import Deframer, frame
from .lost import Lost

if TYPE_CHECKING:
    from ...runtime.waits import Event, Spawned, Waits
    from ...tls import Tls
    from .https import Https, HttpsAsked

S_co = TypeVar("S_co", bound=StreamStack, covariant=True)

PIPES = 64  # streams in all: who may ask us can have us ask many servers, by names whose answers are truncated
WAITING = 256  # queries on one stream, and so answers of a server that we have to keep apart
IDLE = Duration(10 * SECOND)  # RFC 7766 6.2.3: some seconds
CONNECT = Duration(10 * SECOND)  # for connecting, and the handshake of TLS
SILENT = Duration(10 * SECOND)  # nothing came back, and somebody waits: what he sent may be lost with the path


class Asked:
    """A query on a pipe."""

    __slots__ = ("_came", "_id", "_message", "_waits", "fresh", "late", "lost", "place")

    def __init__(self, place: int, id: bytes, waits: Waits, fresh: bool = True) -> None:
        """`place` is the id that it has on the stream, `id` its own. `fresh`: the stream has not answered anything yet."""
        self._waits = waits
        self._id = id
        self._message: bytes | None = None
        self._came: Event | None = None
        self.place = place
        self.late = False  # it was not answered in time
        self.fresh = fresh
        self.lost: str | None = None

    def came(self, message: bytes) -> None:
        """An answer, under this place. A second one before the first was taken is dropped."""
        if self._message is None:
            self._message = message
            self.wake()

    def wake(self) -> None:
        if self._came is not None:
            self._came.set()

    async def answer(self, timeout: Duration) -> bytes:
        """The next message that has its id. Raises TimedOut, Lost."""
        while self._message is None:
            if self.lost is not None:
                raise Lost(self.lost, not self.fresh)
            self._came = self._waits.event()
            try:
                await self._waits.wait(self._came, timeout)
            except TimedOut:
                self.late = True
                raise
        message, self._message = self._message, None
        return self._id + message[2:]


class Pipe:
    """One stream to a server, from the wish to have it to its end."""

    def __init__(self, pipes: Pipes[Any], server: Upstream, waits: Waits) -> None:
        self._pipes = pipes
        self._server = server
        self.key = _key(server)
        self._waits = waits
        self._stream: Stream | None = None
        self._out = bytearray()  # what waits to be sent: at most WAITING queries
        self._work: Event | None = None
        self._waiting: dict[int, Asked] = {}
        self._heard = waits.now()
        self.proven = False  # an answer has come
        self.stuck = False  # an answer didn't come in time, and nothing has since: another try has a stream of its own
        self.rested = waits.now()  # since when nobody waits
        self.over = False
        self._writer: Spawned | None = None
        self._reader = waits.spawn(self._run)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def ask(self, data: bytes) -> Asked:
        place = data[0] << 8 | data[1]
        while place in self._waiting:
            place = place + 1 & 0xFFFF
        asked = self._waiting[place] = Asked(place, data[:2], self._waits, not self.proven)
        if len(self._waiting) == 1:
            self._heard = self._waits.now()
        self._out += frame(place.to_bytes(2, "big") + data[2:])
        if self._work is not None:
            self._work.set()
        return asked

    def forget(self, asked: Asked) -> None:
        if self._waiting.get(asked.place) is asked:
            del self._waiting[asked.place]
            self.stuck = self.stuck or asked.late
        if not self._waiting:
            self.rested = self._waits.now()

    def close(self) -> None:
        self._end("the resolver has closed the stream")
        self._reader.cancel()

    async def join(self) -> None:
        await self._reader.join()
        if self._writer is not None:
            await self._writer.join()

    # -- the tasks ------------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        why = "the server has closed the stream"
        try:
            self._stream = await self._pipes.connect(self._server)
            self._heard = self._waits.now()
            self._writer = self._waits.spawn(self._write)
            await self._read(self._stream)
        except TimedOut:
            why = "no connection in time" if self._stream is None else "the stream is silent"
        except OSError as error:
            why = said(error)
        except (WireError, ClosedError) as error:
            why = str(error)
        finally:
            self._end(why)
            if self._writer is not None:
                self._writer.cancel()
            if self._stream is not None:
                with self._waits.shield():
                    await self._stream.aclose()

    async def _read(self, stream: Stream) -> None:
        deframer = Deframer()
        while True:
            now = self._waits.now()
            left = (self._heard + SILENT if self._waiting else self.rested + IDLE) - now
            if left <= 0:
                if self._waiting:
                    raise TimedOut
                return
            try:
                data = await stream.receive(65536, Duration(left))
            except TimedOut:
                continue  # somebody may have asked meanwhile
            if not data:
                return
            self._heard = self._waits.now()
            self.stuck = False
            for message in deframer.feed(data):
                asked = self._waiting.get(message[0] << 8 | message[1])
                if asked is not None:
                    self.proven = True
                    asked.came(message)

    async def _write(self) -> None:
        assert self._stream is not None
        try:
            while not self.over:
                if not self._out:
                    self._work = self._waits.event()
                    await self._work.wait()
                data, self._out = bytes(self._out), bytearray()
                if data:
                    await self._stream.send_all(data)
        except (OSError, ClosedError):
            return  # the reader learns of it too, and says so

    def _end(self, why: str) -> None:
        if self.over:
            return
        self.over = True
        self._pipes.drop(self)
        for asked in self._waiting.values():
            asked.lost = why
            asked.wake()
        self._waiting.clear()


class Pipes(Generic[S_co]):
    """All of a driver's."""

    def __init__(self, streams: S_co, tls: ssl.SSLContext | None) -> None:
        self._streams = streams
        self._context = tls
        self._tls: Tls[S_co] | None = None
        self._https: Https[S_co] | None = None
        self._pipes: set[Pipe] = set()

    @property
    def streams(self) -> S_co:
        return self._streams

    @contextmanager
    def ask(self, server: Upstream, data: bytes, waits: Waits) -> Iterator[Asked | HttpsAsked]:
        """A place for the query `data` on a stream to `server`, until the block is left."""
        if server.url:
            if self._https is None:
                from .https import Https

                self._https = Https(self._streams, self._context)
            with self._https.ask(server, data, waits) as posted:
                yield posted
            return
        pipe = self._pipe(server, waits)
        if pipe is None:
            asked = Asked(0, data[:2], waits)
            asked.lost = f"{len(self._pipes)} streams are in use, and no more may be"
            yield asked
            return
        asked = pipe.ask(data)
        try:
            yield asked
        finally:
            pipe.forget(asked)

    def _pipe(self, server: Upstream, waits: Waits) -> Pipe | None:
        for pipe in self._pipes:
            if pipe.key == _key(server) and pipe.waiting < WAITING and not (pipe.over or pipe.stuck):
                return pipe
        if len(self._pipes) >= PIPES:
            idle = [pipe for pipe in self._pipes if not pipe.waiting]
            if not idle:
                return None
            min(idle, key=lambda pipe: pipe.rested).close()
        pipe = Pipe(self, server, waits)
        self._pipes.add(pipe)
        return pipe

    async def connect(self, server: Upstream) -> Stream:
        if server.tls is None:
            return await self._streams.connect_stream(server.address, server.port, CONNECT)
        if self._tls is None:
            from ...tls import Tls

            self._tls = Tls(self._streams, client=self._context)
        return await self._tls.connect_stream(server.address, server.port, CONNECT, server_hostname=server.tls or server.address)

    def drop(self, pipe: Pipe) -> None:
        """It is over."""
        self._pipes.discard(pipe)

    async def aclose(self) -> None:
        for pipe in (pipes := list(self._pipes)):
            pipe.close()
        for pipe in pipes:
            await pipe.join()
        if self._https is not None:
            await self._https.aclose()


def said(error: OSError) -> str:
    """Its words, without its number."""
    return error.strerror or str(error) or type(error).__name__


def _key(server: Upstream) -> tuple[str, int, str | None]:
    return server.address, server.port, server.tls
