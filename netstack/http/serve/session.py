"""One connection of HTTP/1.1 served: the sans-IO connection on one side, a stream on the other, an application in the middle.

It knows no runtime: time is the clock it was given, and it waits only in the stream's own methods, which have time-outs. The
application runs in the task of the connection: no task is made for a request. A connection that idles goes on in its task for a
moment, and then, where the stream can rest, without one: its coroutines would take more memory than all else of it. `run` is called
again when there is something to do.

One task at a time may receive from a stream. Mostly that is the session, or the application in `Exchange.receive`. But an
application may also watch, from a task of its own, whether the client is still there (`gone`), and the response may be finished
while it does: then that task goes on receiving, for the session, which waits for what it brings (`_arrived`).
"""

from ...errors import BrokenError, ClosedError, NetstackError, TimedOut, UsageError
from ...instant import MILLISECOND, Duration, Instant
from ...runtime.waits import Event as Happening
from ...signatures import Address, Stream
from ..events import Body, Closed, End, Event, Interim, RawFields, Refusal, RequestHead
from ..h1.connection import ServerConnection
from ..mib import HttpMib
from .accesslog import Entry
from .environment import Environment, http2_available
from .farewell import blame, count, linger
from .fileparts import file_sent, small_file
from .upgraded import Upgraded

RECEIVE = 65536  # asked of the stream at once
BLOCK = 262144  # given to the stream at once: under one time-out
JOIN = 16384  # up to here, copying a piece behind the head costs less than a segment of its own
AWAKE = Duration(100 * MILLISECOND)  # of idling in the task: who asks ten times a second pays for no new one, which takes 5 us
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 3.4: who knows that we speak HTTP/2 begins with it
PREFACE_LINE = 16  # of it are the first line, which is no request of HTTP/1


class Session:
    """One connection, from its first byte to its last. `run` it in its own task; when it returns with `resting` set, let the stream
    rest for `patience`, and run it again."""

    __slots__ = ("stream", "since", "conn", "env", "scheme", "serving", "refusal", "lost", "preface", "resting",
                 "_events", "_receiving", "_rests", "_arrived", "_watchers", "_local_address", "_remote_address",
                 "upgraded")  # fmt: skip

    def __init__(self, stream: Stream, environment: Environment, scheme: str = "http") -> None:
        self.stream = stream
        self.since = environment.clock()
        self.conn = ServerConnection(environment.config, self.since)
        self.scheme = scheme
        self.serving = ""  # the request line, for who looks on
        self.env = environment
        self.refusal: Refusal | None = None  # came while an application was reading its body
        self.lost: Exception | None = None  # the stream's own failure
        self.preface: bytes | None = b""  # all that came, while HTTP/2 may begin so; after `run`: the client speaks that
        self._events: list[Event] = []  # few: a deque would take 760 bytes of each idle connection
        self._receiving = False
        self._rests = hasattr(stream, "rest")
        self.resting = False
        self._local_address: Address | None = None  # which the stream makes anew each time
        self._remote_address: Address | None = None
        self._arrived: Happening | None = None
        self._watchers: list[Happening] = []
        self.upgraded: Upgraded | None = None

    @property
    def idle(self) -> bool:
        return self.conn.idle

    @property
    def requests(self) -> int:
        return self.conn.requests

    @property
    def local_address(self) -> Address:
        if self._local_address is None:
            self._local_address = self.stream.local_address
        return self._local_address

    @property
    def remote_address(self) -> Address:
        if self._remote_address is None:
            self._remote_address = self.stream.remote_address
        return self._remote_address

    @property
    def patience(self) -> Duration:
        """For how long it may rest."""
        now = self.env.clock()
        deadline = self.conn.next_deadline(now)
        assert deadline is not None
        return Duration(max(0, deadline - now))

    async def run(self) -> None:
        """Serve until either side is done, or it is to rest. The stream is left to who opened it, or aborted where a response was
        cut off."""
        self.resting = False
        try:
            await self._serve()
        except (OSError, ClosedError) as error:
            if error is not self.lost:
                raise
            if not self.conn.idle:
                self.env.mib.Broken += 1
            self.preface = None
            self.stream.abort()
        finally:
            if self.resting:
                self._local_address = self._remote_address = None
            else:
                self.conn.close()

    async def aclose(self) -> None:
        """Between two requests: end it. A request in flight goes on, as the last one."""
        if self.conn.idle:
            await self.stream.aclose()
        elif self.upgraded is not None and self.upgraded.on_closing is not None:
            self.upgraded.on_closing()

    async def _serve(self) -> None:
        conn = self.conn
        while True:
            if not self._events:
                await self._wait_for_events()
                if self.resting:
                    return
            event = self._events.pop(0)
            if type(event) is RequestHead:
                self.serving = event.target
                if not await self._exchange(event):
                    return
                self.serving = ""
                while conn.draining:
                    await self._receive()
                for unread in self._events:  # of the body, what the application did not read
                    if isinstance(unread, Refusal):
                        count(self.env.mib, unread, self.remote_address)
                self._events.clear()
                if not conn.reusable:
                    break
                self._events.extend(conn.next_request(self.env.clock()))
            elif isinstance(event, Refusal):
                if self.preface is not None and len(self.preface) >= PREFACE_LINE:
                    return  # the reader has refused its first line, and another session shall read all of it
                self.preface = None
                await self._refuse(event)
                break
            else:
                return
        if conn.unread:
            await linger(self.stream, self.env)

    # -- the two directions of the stream -------------------------------------------------------------------------------------

    async def _receive(self) -> None:
        """Wait for bytes once, or for the deadline."""
        if self._receiving:
            await self._wait_for_other()
            return
        conn, env = self.conn, self.env
        now = env.clock()
        deadline = conn.next_deadline(now)
        assert deadline is not None, "nothing is to be received now"
        end = env.closing_at()
        until = deadline if end is None or end > deadline else end
        left = until - now
        nap = self._rests and left > AWAKE and conn.idle
        if left > 0:
            try:
                self._receiving = True
                data = await self.stream.receive(RECEIVE, AWAKE if nap else Duration(left))
            except TimedOut:
                if nap:
                    self.resting = env.closing_at() is None
                    return
                now = Instant(max(env.clock(), until))
            except (OSError, ClosedError) as error:
                self.lost = error
                raise
            else:
                self._take(data)
                return
            finally:
                self._receiving = False
                if self._watchers:
                    self._wake()
        if now < deadline:  # the server is closing, and its grace is over
            self.lost = ClosedError("the server is closing")
            raise self.lost
        events = conn.handle_timeout(now)
        env.mib.Idle += events == [Closed()]
        self._events.extend(events)

    def _take(self, data: bytes) -> None:
        conn = self.conn
        if self.preface is not None:
            begun = self.preface + data
            self.preface = begun if PREFACE.startswith(begun[: len(PREFACE)]) and http2_available() else None
        self._events.extend(conn.receive_data(data, self.env.clock()))

    async def _wait_for_other(self) -> None:
        """A task of the application's is receiving: until it has brought something, or it is time to look at the clock."""
        waits, now = self.env.waits(), self.env.clock()
        deadline = self.conn.next_deadline(now)
        assert deadline is not None
        if now >= deadline:
            self._events.extend(self.conn.handle_timeout(now))
            return
        self._arrived = waits.event()
        try:
            await waits.wait(self._arrived, Duration(deadline - now))
        except TimedOut:
            pass
        finally:
            self._arrived = None
        if self.lost is not None:
            raise self.lost

    async def watch(self, exchange: "Exchange1") -> None:
        """Receive while a response is made, until the client is gone or the exchange over. Raises nothing."""
        while not exchange.over and self.lost is None:
            room = self.env.config.limits.pipeline - self.conn.buffered
            if self._receiving or room <= 0:  # nothing more is taken of who has pipelined so much: only sending can tell
                turn = exchange.ending = self.env.waits().event()
                self._watchers.append(turn)
                await turn.wait()
                continue
            self._receiving = True
            try:
                data = await self.stream.receive(room)
                if data:
                    self._take(data)
                elif not exchange.over:
                    return  # it may still read; but who waits for this has nobody else to ask
            except (OSError, ClosedError) as error:
                self.lost = error
            finally:
                self._receiving = False
                self._wake()

    def _wake(self) -> None:
        """Whoever waits for another's receiving may look again."""
        if self._arrived is not None:
            self._arrived.set()
        while self._watchers:
            self._watchers.pop().set()

    async def _wait_for_events(self) -> None:
        """Until there are some, or it is to rest."""
        while not self._events and not self.resting:
            if self.conn.owes_continue:
                await self.send(self.conn.send(Interim(100)))
            await self._receive()

    async def send(self, data: bytes | memoryview) -> None:
        timeout = self.env.config.send_timeout
        try:
            if len(data) <= BLOCK:
                await self.stream.send_all(data, timeout)  # type: ignore[arg-type]  # a read-only view is as good
            else:
                for at in range(0, len(data), BLOCK):
                    await self.stream.send_all(data[at : at + BLOCK], timeout)  # type: ignore[arg-type]
        except (OSError, ClosedError) as error:
            self.lost = error
            raise
        self.env.mib.OutBytes += len(data)

    async def send_file(self, descriptor: int, offset: int, count: int) -> None:
        try:
            async for sent in file_sent(self.stream, descriptor, offset, count, self.env.config.send_timeout):
                self.env.mib.OutBytes += sent
        except (OSError, ClosedError) as error:
            if isinstance(error, NetstackError):  # any other is the file's
                self.lost = error
            raise

    # -- one request ------------------------------------------------------------------------------------------------------------

    async def next_piece(self) -> bytes | RawFields:
        """Of the request's body; the trailers, or none, at its end."""
        if self.refusal is not None:
            raise BrokenError(self.refusal.reason)
        if not self._events and not self.conn.wants_data:
            return ()
        if not self._events:
            await self._wait_for_events()
        event = self._events.pop(0)
        if isinstance(event, Body):
            self.env.mib.InBody += len(event.data)
            return event.data
        if isinstance(event, Refusal):
            self.refusal = event
            count(self.env.mib, event, self.remote_address)
            raise BrokenError(event.reason)
        assert isinstance(event, End), event
        return event.trailers

    async def _exchange(self, head: RequestHead) -> bool:
        """From the head of a request to the end of its response. False when that ended the connection."""
        env = self.env
        env.mib.Requests += 1
        exchange = Exchange1(self, head)
        began = env.clock() if env.access is not None else 0
        try:
            await env.application(exchange)
            if not exchange.finished:
                raise UsageError("the application returned before its response was whole")
        except Exception as error:
            if self.lost is not None:
                raise self.lost from None
            if self.refusal is None and not exchange.aborted:
                blame(self.env.mib, head, error)
            if self.conn.begun or exchange.aborted:
                self.stream.abort()  # what has gone can't be unsaid: only a cut tells the client that it is not the whole
                return False
            refusal = self.refusal or Refusal(500, "")
            await self.send(self.conn.refuse(refusal, env.date()))
            exchange.status = refusal.status
            if self.refusal is not None:
                await linger(self.stream, self.env)
                return False
        finally:
            exchange.over = True
            if exchange.ending is not None:
                exchange.ending.set()
            if env.access is not None:
                env.access(Entry(head, self.stream.remote_address, exchange.status, exchange.sent, env.clock() - began))
        if exchange.upgraded:
            return False
        env.mib.Responses += 1
        return True

    # -- the end ------------------------------------------------------------------------------------------------------------------

    async def _refuse(self, refusal: Refusal) -> None:
        count(self.env.mib, refusal, self.remote_address)
        answer = self.conn.refuse(refusal, self.env.date())
        if answer:
            if self.env.access is not None:
                self.env.access(Entry(None, self.remote_address, refusal.status, 0, Duration(0)))
            await self.send(answer)


class Exchange1:
    """`Exchange` over HTTP/1.1."""

    __slots__ = ("head", "trailers", "status", "sent", "over", "finished", "aborted", "upgraded", "ending", "_session", "_held",
                 "_fields", "_length", "_started", "_ended")  # fmt: skip

    def __init__(self, session: Session, head: RequestHead) -> None:
        self.head = head
        self.trailers: RawFields = ()
        self.status = 0  # of the response, 0 before there is one
        self.sent = 0  # bytes of its body
        self.over = False
        self.finished = self.aborted = self.upgraded = False
        self.ending: Happening | None = None  # somebody waits for `over`
        self._session = session
        self._held = False  # the head was started, and not sent yet
        self._fields: RawFields = ()
        self._length: int | None = None
        self._started = False
        self._ended = False  # the request's body

    @property
    def mib(self) -> HttpMib:
        return self._session.env.mib

    @property
    def scheme(self) -> str:
        return self._session.scheme

    @property
    def remote_address(self) -> Address:
        return self._session.remote_address

    @property
    def local_address(self) -> Address:
        return self._session.local_address

    @property
    def sendfile(self) -> bool:
        return getattr(self._session.stream, "sendfile", False)  # a file goes without passing through this process

    @property
    def silent(self) -> bool:
        return self.head.method == "HEAD" or self.status in (204, 304)

    async def receive(self) -> bytes:
        if self._ended:
            return b""
        if self.over:
            raise ClosedError("this exchange is over: its body can't be read any more")
        piece = await self._session.next_piece()
        if isinstance(piece, bytes):
            return piece
        self.trailers = piece
        self._ended = True
        return b""

    async def interim(self, status: int, fields: RawFields = ()) -> None:
        self._check(started=False)
        data = self._session.conn.send(Interim(status, fields))
        if data:
            await self._session.send(data)

    async def start(self, status: int, fields: RawFields, length: int | None = None) -> None:
        self._check(started=False)
        self._fields = fields
        self._length = length
        self._held = True
        self.status = status
        self._started = True

    def _head(self) -> bytes:
        """The head that was held back, or nothing."""
        if not self._held:
            return b""
        self._held = False
        session = self._session
        if session.env.closing_at() is not None:
            session.conn.last()
        return session.conn.start(self.status, self._fields, self._length, session.env.date())

    async def send(self, data: bytes | memoryview) -> None:
        self._check(started=True)
        session = self._session
        head = self._head()
        framed = session.conn.body(data)  # type: ignore[arg-type]  # a read-only view is as good, and sent from where it is
        self.sent += len(data)
        if head:
            if len(framed) <= JOIN:
                framed = head + framed
            else:
                await session.send(head)
        if framed:
            await session.send(framed)

    async def send_file(self, descriptor: int, offset: int, count: int) -> None:
        self._check(started=True)
        if self.silent or not count:
            return
        session = self._session
        if count <= JOIN:
            await self.send(await small_file(descriptor, offset, count))
            return
        head = self._head()
        before, behind = session.conn.span(count)
        if head or before:
            await session.send(head + before)
        await session.send_file(descriptor, offset, count)
        self.sent += count
        if behind:
            await session.send(behind)

    async def finish(self, trailers: RawFields = (), data: bytes = b"") -> None:
        self._check(started=True)
        session = self._session
        conn = session.conn
        if self._held and self._length is None and not trailers:
            self._length = len(data)
        last = self._head()
        if data:
            last += conn.body(data)
            self.sent += len(data)
        last += conn.finish(trailers)
        self.finished = self.over = True
        if last:
            await session.send(last)

    async def flush(self) -> None:
        """Send the head now, though nothing of the body is there."""
        self._check(started=True)
        head = self._head()
        if head:
            await self._session.send(head)

    async def upgrade(self, fields: RawFields) -> Stream:
        self._check(started=False)
        session = self._session
        while await self.receive():
            pass
        self.over = True
        head, rest = session.conn.switch(fields)
        self.status = 101
        self.upgraded = self.finished = True
        await session.send(head)
        session.upgraded = Upgraded(session.stream, rest)
        return session.upgraded

    async def gone(self) -> None:
        if not self.over:
            await self._session.watch(self)

    def abort(self) -> None:
        self.aborted = self.over = True

    def _check(self, started: bool) -> None:
        if self._session.lost is not None:
            raise self._session.lost
        if self.over:
            raise UsageError("the response is whole, or was given up: nothing can follow")
        if self._started != started:
            raise UsageError("a response is started once, before its body" if self._started else "start the response first")
