"""One connection served: the sans-IO connection on one side, a stream on the other, a handler in the middle.

It knows no runtime: time is the clock it was given, and it waits only in the stream's own methods, which have time-outs.
"""

import logging
from collections import deque
from collections.abc import AsyncIterable, Callable

from attrs import frozen

from ...errors import BrokenError, ClosedError, TimedOut
from ...instant import Duration, Instant
from ...signatures import Stream
from ..config import HttpConfig
from ..events import Body, Closed, End, Event, Interim, Refusal, RequestHead, ResponseHead
from ..h1.connection import ServerConnection
from ..mib import HttpMib
from .message import Handler, HttpError, Request, RequestBody, Response

log = logging.getLogger("netstack.http")

RECEIVE = 65536  # asked of the stream at once
BLOCK = 262144  # given to the stream at once: under one time-out
JOIN = 16384  # up to here, copying a piece behind the head costs less than a segment of its own


@frozen
class Environment:
    """What all connections of a server share."""

    handler: Handler
    config: HttpConfig
    clock: Callable[[], Instant]
    date: Callable[[], bytes]
    mib: HttpMib
    closing_at: Callable[[], Instant | None]  # the end of the grace, once the server is closing


class Session:
    """One connection, from its first byte to its last. `run` it in its own task."""

    __slots__ = ("stream", "since", "conn", "_env", "_events", "_refusal", "_lost", "serving")

    def __init__(self, stream: Stream, environment: Environment) -> None:
        self.stream = stream
        self.since = environment.clock()
        self.conn = ServerConnection(environment.config, self.since)
        self.serving = ""  # the request line, for who looks on
        self._env = environment
        self._events: deque[Event] = deque()
        self._refusal: Refusal | None = None  # came while a handler was reading its body
        self._lost: Exception | None = None  # the stream's own failure

    async def run(self) -> None:
        """Serve until either side is done. The stream is left to who opened it, or aborted where a response was cut off."""
        try:
            await self._serve()
        except (OSError, ClosedError) as error:
            if error is not self._lost:
                raise
            if not self.conn.idle:
                self._env.mib.Broken += 1
            self.stream.abort()
        finally:
            self.conn.close()

    async def _serve(self) -> None:
        conn = self.conn
        while True:
            event = await self._next_event()
            if isinstance(event, RequestHead):
                self.serving = f"{event.method} {event.target}"
                if not await self._exchange(event):
                    return
                self.serving = ""
                self._events.clear()  # of the body, what the handler did not read
                while conn.draining:
                    await self._receive()
                if not conn.reusable:
                    break
                self._events.extend(conn.next_request(self._env.clock()))
            elif isinstance(event, Refusal):
                await self._refuse(event)
                break
            else:
                return
        if conn.unread:
            await self._linger()

    # -- the two directions of the stream -------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        """Wait for bytes once, or for the deadline."""
        conn, env = self.conn, self._env
        now = env.clock()
        deadline = conn.next_deadline(now)
        assert deadline is not None, "nothing is to be received now"
        end = env.closing_at()
        until = deadline if end is None or end > deadline else end
        if until > now:
            try:
                data = await self.stream.receive(RECEIVE, Duration(until - now))
            except TimedOut:
                now = Instant(max(env.clock(), until))
            except (OSError, ClosedError) as error:
                self._lost = error
                raise
            else:
                self._events.extend(conn.receive_data(data, env.clock()))
                return
        if now < deadline:  # the server is closing, and its grace is over
            self._lost = ClosedError("the server is closing")
            raise self._lost
        events = conn.handle_timeout(now)
        env.mib.Idle += events == [Closed()]
        self._events.extend(events)

    async def _next_event(self) -> Event:
        while not self._events:
            if self.conn.owes_continue:
                await self._send(self.conn.send(Interim(100)))
            await self._receive()
        return self._events.popleft()

    async def _send(self, data: bytes) -> None:
        if not data:
            return
        timeout = self._env.config.send_timeout
        try:
            if len(data) <= BLOCK:
                await self.stream.send_all(data, timeout)
            else:
                for at in range(0, len(data), BLOCK):
                    await self.stream.send_all(data[at : at + BLOCK], timeout)
        except (OSError, ClosedError) as error:
            self._lost = error
            raise
        self._env.mib.OutBytes += len(data)

    # -- one request ------------------------------------------------------------------------------------------------------------

    async def _next_piece(self) -> bytes:
        """Of the request's body; b"" at its end."""
        if self._refusal is not None:
            raise BrokenError(self._refusal.reason)
        if not self._body_left():
            return b""
        event = await self._next_event()
        if isinstance(event, Body):
            self._env.mib.InBody += len(event.data)
            return event.data
        if isinstance(event, Refusal):
            self._refusal = event
            raise BrokenError(event.reason)
        assert isinstance(event, End), event
        return b""

    def _body_left(self) -> bool:
        return bool(self._events) or self.conn.wants_data

    async def _exchange(self, head: RequestHead) -> bool:
        """From the head of a request to the end of its response. False when the stream was aborted or refused."""
        env = self._env
        env.mib.Requests += 1
        body = RequestBody(self._next_piece)
        request = Request(head, body, self.stream.remote_address, self.stream.local_address)
        try:
            response = await env.handler(request)
        except HttpError as error:
            response = Response.text(f"{error.status} {error.reason}\n", error.status, headers=error.headers)
        except Exception as error:
            if self._lost is not None:
                raise self._lost from None
            if self._refusal is not None:
                await self._refuse(self._refusal)
                await self._linger()
                return False
            self._blame(request, error)
            response = Response.text("500 Internal Server Error\n", 500, headers={"connection": "close"})
        if env.closing_at() is not None:
            self.conn.last()
        try:
            await self._answer(response)
        except Exception as error:
            if self._lost is not None:
                raise self._lost from None
            if self._refusal is not None:
                self._count(self._refusal)  # the response was made of the request's own body
            else:
                self._blame(request, error)
            if self.conn.begun:
                self.stream.abort()  # what has gone can't be unsaid: only a cut tells the client that it is not the whole
                return False
            await self._send(self.conn.refuse(Refusal(500, "The response could not be written."), env.date()))
        finally:
            body.detach()
        env.mib.Responses += 1
        return True

    async def _answer(self, response: Response) -> None:
        conn, date = self.conn, self._env.date()
        fields = tuple(response.headers)
        body = response.body
        if isinstance(body, bytes):
            head = ResponseHead(response.status, fields, len(body))
            if len(body) <= JOIN:
                await self._send(conn.respond(head, body, date))
                return
            await self._send(conn.send(head, date))
            await self._send(conn.send(Body(body)))
            await self._send(conn.send(End()))
            return
        try:
            await self._answer_in_pieces(ResponseHead(response.status, fields, getattr(body, "length", None)), body, date)
        finally:
            aclose = getattr(body, "aclose", None)
            if aclose is not None:
                await aclose()

    async def _answer_in_pieces(self, head: ResponseHead, body: AsyncIterable[bytes | memoryview], date: bytes) -> None:
        conn = self.conn
        waiting = conn.send(head, date)
        if not conn.silent:
            async for piece in body:
                framed = conn.send(Body(piece))  # type: ignore[arg-type]  # a read-only view is as good, and sent from where it is
                if len(framed) <= JOIN:
                    framed = waiting + framed
                else:
                    await self._send(waiting)
                waiting = b""
                await self._send(framed)
        await self._send(waiting + conn.send(End()))

    def _blame(self, request: Request, error: Exception) -> None:
        self._env.mib.HandlerErrors += 1
        log.error("the handler of %r failed", request, exc_info=error)

    # -- the end ------------------------------------------------------------------------------------------------------------------

    async def _refuse(self, refusal: Refusal) -> None:
        self._count(refusal)
        await self._send(self.conn.refuse(refusal, self._env.date()))

    def _count(self, refusal: Refusal) -> None:
        mib = self._env.mib
        if refusal.truncated:
            mib.Truncated += 1
        elif refusal.status == 408:
            mib.TimedOut += 1
        else:
            mib.Refused += 1

    async def _linger(self) -> None:
        """RFC 9112 9.6: end our side, and read on for a little, so that no reset overtakes the response."""
        env = self._env
        env.mib.Lingered += 1
        end = Instant(env.clock() + env.config.linger_timeout)
        spare = env.config.limits.drain
        try:
            await self.stream.send_eof()
            while spare > 0:
                left = end - env.clock()
                if left <= 0:
                    break
                data = await self.stream.receive(RECEIVE, Duration(left))
                if not data:
                    break
                spare -= len(data)
        except (OSError, ClosedError):
            pass  # the response is on its way or lost: there is nobody to tell
