"""One connection of HTTP/1.1 with a server: the sans-IO connection on one side, a stream on the other.

A small body leaves with the head, in one write. A larger one is sent by a task of its own while this one receives: servers answer
before they have read everything, and two that both only write wait for ever. What the sender can't do, it tells the receiver by
ending the stream under it (`_failed`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress

from ...errors import ClosedError, TimedOut, UsageError
from ...instant import Duration, Instant
from ...runtime.waits import Spawned, Waits
from ...signatures import Stream
from ..config import HttpClientConfig
from ..events import Body, End, Fault, Heard, Interim, RawFields, ReplyHead
from ..h1.clientconnection import ClientConnection
from ..h1.clientstate import They, We
from ..serve.upgraded import Upgraded
from .connection import Deadline, Watcher
from .errors import BadResponse, ConnectionLost, FetchError, Phase
from .request import Outgoing, RequestContent

RECEIVE = 262144  # asked of the stream at once
INLINE = 16384  # up to here, a body leaves with its head, and so little fits into the buffers between any two stacks
BLOCK = 262144  # given to the stream at once: under one time-out


class Connection1:
    """See connection.Connection."""

    version = "1.1"
    streams = 1

    def __init__(self, stream: Stream, config: HttpClientConfig, waits: Waits, watcher: Watcher) -> None:
        self.stream = stream
        self.conn = ClientConnection(config)
        self.config = config
        self.waits = waits
        self.watcher = watcher
        self.events: deque[Heard] = deque()
        self.failed: Exception | None = None  # the sender's, to be raised to the caller
        self.broken: Exception | None = None  # why nothing more can be sent; the server may have said why
        self.sender: Spawned | None = None
        self.sending = False
        self._content: RequestContent | None = None
        self._deadline: Deadline | None = None
        self._answered = False

    @property
    def usable(self) -> bool:
        conn = self.conn
        return conn.we == We.IDLE and conn.they == They.IDLE and self.broken is None and self.failed is None

    async def healthy(self) -> bool:
        if not self.usable:
            return False
        try:
            await self.stream.receive(1, Duration(0))
        except TimedOut:
            return True
        except (OSError, ClosedError):
            return False
        return False  # an end, or something that nobody asked for

    async def aclose(self) -> None:
        self.conn.close()
        with suppress(OSError, ClosedError):  # it is over in any case
            await self.stream.aclose()

    def abort(self) -> None:
        self.conn.close()
        if self.sender is not None:
            self.sender.cancel()
        self.stream.abort()

    async def request(self, request: Outgoing, deadline: Deadline) -> Exchange1:
        conn, content = self.conn, request.content
        self.config = conn.config = deadline.config
        now = Instant(self.waits.now())
        data = conn.start(request.method, request.target, request.fields, content.length, now, expect=request.expect)
        self._deadline = deadline
        self._answered = False
        self.watcher.sent(data)
        self._content = content
        try:
            if conn.we == We.BODY and content.data is not None and len(content.data) <= INLINE:
                await self._first(data + conn.body(content.data) + conn.finish(now), deadline)
                self.watcher.uploaded(len(content.data))
            else:
                await self._first(data, deadline)
            while True:
                event = await self.next_event()
                if isinstance(event, Interim):
                    self.watcher.heard(event)
                elif isinstance(event, ReplyHead):
                    self._answered = True
                    self.watcher.heard(event)
                    if event.status >= 400 and conn.we == We.BODY:
                        await self.stop_sending()  # it has decided, and reads no more than it must
                    return Exchange1(self, event)
        except BaseException:
            self.abort()
            await self.stop_sending()
            raise

    async def _first(self, data: bytes, deadline: Deadline) -> None:
        """What the request begins with. Where that breaks, an answer may have come before."""
        try:
            await self.stream.send_all(data, deadline.left(self.config.write_timeout))
        except TimedOut as error:
            raise deadline.late("write", "the server reads nothing", error) from error
        except FetchError:
            raise
        except (OSError, ClosedError) as error:
            self.broken = error

    # -- the sender -----------------------------------------------------------------------------------------------------------

    def _start_sending(self) -> None:
        """The body may go, and nobody sends it yet."""
        if self.sender is None and self.conn.we == We.BODY and self.broken is None:
            self.sending = True
            self.sender = self.waits.spawn(self._send_body)

    async def _send_body(self) -> None:
        assert self._content is not None
        try:
            async with aclosing(self._content.pieces()) as pieces:
                await self._send_pieces(pieces)
        except Exception as error:  # of the caller's own iterator, or his lengths: he hears it
            self.failed = error
            self.stream.abort()
        finally:
            self.sending = False

    async def _send_pieces(self, pieces: AsyncIterator[bytes]) -> None:
        conn = self.conn
        async for piece in pieces:
            view = memoryview(piece)
            for at in range(0, len(view), BLOCK):
                block = bytes(view[at : at + BLOCK]) if len(view) > BLOCK else piece
                if not await self._send(conn.body(block)):
                    return
                self.watcher.uploaded(len(block))
        await self._send(conn.finish(Instant(self.waits.now())))

    async def _send(self, data: bytes) -> bool:
        """False where the stream is gone: whether the server has said why, the receiver finds out."""
        assert self._deadline is not None
        if not data:
            return True
        try:
            await self.stream.send_all(data, self._deadline.left(self.config.write_timeout))
        except FetchError:
            raise
        except TimedOut as error:
            raise self._deadline.late("write", "the server reads no more of the request", error) from error
        except (OSError, ClosedError) as error:
            self.broken = error
            return False
        return True

    async def stop_sending(self) -> None:
        """Whoever spawns also cancels, and waits."""
        sender, self.sender = self.sender, None
        if sender is not None:
            if self.sending:
                sender.cancel()
                self.broken = self.broken or ClosedError("the request was given up")
            with self.waits.shield():
                await sender.join()

    # -- the receiver ---------------------------------------------------------------------------------------------------------

    async def next_event(self) -> Heard:
        """Raises FetchError for faults."""
        while not self.events:
            self._start_sending()
            await self._receive()
        event = self.events.popleft()
        if isinstance(event, Fault):
            raise self._blame(event)
        return event

    async def _receive(self) -> None:
        conn, deadline = self.conn, self._deadline
        assert deadline is not None
        now = Instant(self.waits.now())
        due = conn.next_deadline(now)
        limit = self.config.first_byte_timeout if due is None else Duration(max(due - now, 0))
        timeout = deadline.left(limit)
        try:
            data = await self.stream.receive(RECEIVE, timeout)
        except TimedOut:
            after = Instant(max(self.waits.now(), now + timeout))
            if timeout == limit:
                self.events.extend(conn.handle_timeout(after, Duration(after - now)))
            else:
                deadline.check()
            return
        except (OSError, ClosedError) as error:
            if self.failed is not None:
                raise self.failed from None
            lost = ConnectionLost(f"the connection broke: {error}", self._phase(), deadline.url)
            lost.unanswered = not conn.began
            raise lost from (self.broken or error)
        self.events.extend(conn.receive_data(data, Instant(self.waits.now())))

    def _blame(self, fault: Fault) -> Exception:
        """The error that a fault is to the caller."""
        deadline = self._deadline
        assert deadline is not None
        phase = self._phase()
        self.abort()
        if self.failed is not None:
            return self.failed
        if fault.late:
            return deadline.late(phase, fault.reason)
        if fault.truncated:
            lost = ConnectionLost(fault.reason, phase, deadline.url)
            lost.unanswered = fault.unanswered
            lost.__cause__ = self.broken
            return lost
        return BadResponse(fault.reason, phase, deadline.url)

    def _phase(self) -> Phase:
        """What it waits for."""
        return "read" if self._answered else "first byte"


class Exchange1:
    """See connection.Exchange."""

    def __init__(self, connection: Connection1, head: ReplyHead) -> None:
        self.head = head
        self.trailers: RawFields = ()
        self.on_over: Callable[[], None] = _nothing
        self.received = 0
        self._connection = connection
        self._over = False
        self._detached = False

    async def receive(self) -> bytes:
        connection = self._connection
        while not self._over and not self.head.switched:
            try:
                event = await connection.next_event()
            except FetchError as error:
                if isinstance(error, ConnectionLost):
                    error.received = self.received
                await self._end(False)
                raise
            if isinstance(event, Body):
                self.received += len(event.data)
                return event.data
            if isinstance(event, End):
                self.trailers = event.trailers
                await self._end(True)
        return b""

    async def aclose(self) -> None:
        if self._over or self._detached:
            return
        while self._connection.events:  # all of it may be here already
            event = self._connection.events.popleft()
            if isinstance(event, End):
                await self._end(True)
                return
        await self._end(False)

    def detach(self) -> Stream:
        if not self.head.switched or self._detached:
            raise UsageError("this response did not change the protocol" if not self._detached else "its stream was taken already")
        self._detached = self._over = True
        rest = self._connection.conn.release()
        self.on_over()
        return Upgraded(self._connection.stream, rest)

    async def _end(self, whole: bool) -> None:
        """The connection is free for others, or over."""
        if self._over:
            return
        self._over = True
        connection = self._connection
        try:
            await connection.stop_sending()
            if whole and connection.conn.reusable and connection.broken is None:
                connection.conn.next_request()
            elif whole:
                await connection.aclose()
            else:
                connection.abort()
        finally:
            connection.watcher.over(connection.usable, connection.stream.remote_address)
            self.on_over()


def _nothing() -> None:
    pass
