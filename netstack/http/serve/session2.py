"""One connection of HTTP/2 served: the engine on one side, a stream on the other, a task for each request in the middle.

Two more tasks are the connection's own. The reader, in which `run` was called, receives and hands out what the engine hears. The
writer sends what the engine has: it is woken once, however many requests have something to say in one turn of the loop, and all of
that leaves in one `send_all`. Nobody else touches the stream.

A request whose client has gone is told so where it receives or sends, and is not cancelled: as on HTTP/1.1, what an application
does after its response is its own. It counts as a stream until it is over. `run` ends when all of them have.
"""

import logging
from collections import deque

from ...errors import BrokenError, ClosedError, PeerReset, TimedOut, UsageError
from ...instant import Duration, Instant
from ...runtime.fileblocks import read_blocks
from ...runtime.waits import Event as Happening
from ...runtime.waits import Spawned, Waits
from ...signatures import Address, Stream
from ..events import Body, Closed, End, RawFields, Refusal, RequestHead
from ..h2 import words as hw
from ..h2.engine import Engine
from .accesslog import Entry
from .session import Environment
from .tunnel import Tunnel

log = logging.getLogger("netstack.http")

RECEIVE = 65536  # asked of the stream at once


class Session2:
    """One connection. `run` it in its own task. `data` came already, and begins with the client's preface."""

    __slots__ = ("stream", "since", "engine", "env", "scheme", "serving", "lost", "exchanges",
                 "waits", "_data", "_more", "_awake", "_crowd", "_over")  # fmt: skip

    def __init__(self, stream: Stream, environment: Environment, scheme: str = "http", data: bytes = b"") -> None:
        self.stream = stream
        self.env = environment
        self.since = environment.clock()
        self.engine = Engine(environment.config, self.since)
        self.scheme = scheme
        self.serving = ""  # the last target, for who looks on
        self.lost: Exception | None = None  # why nothing can be sent any more
        self.exchanges: dict[int, Exchange2] = {}
        self.waits: Waits = environment.waits()
        self._data = data
        self._more: Happening = self.waits.event()  # there is something to send
        self._awake = False  # it is set
        self._crowd: list[Exchange2] = []  # that wait for room to send
        self._over: Happening = self.waits.event()  # nothing more is read

    @property
    def idle(self) -> bool:
        return self.engine.idle

    @property
    def requests(self) -> int:
        return self.engine.requests

    async def run(self) -> None:
        """Serve until either side is done. The stream is left to who opened it, or aborted where it was lost."""
        self.env.mib.Http2 += 1
        writer = self.waits.spawn(self._write)
        try:
            await self._read()
            await writer.join()
            for exchange in list(self.exchanges.values()):
                await exchange.joined()
        finally:
            self._lose(ClosedError("the session is over"))
            with self.waits.shield():
                writer.cancel()
                tasks = [exchange.task for exchange in self.exchanges.values() if exchange.task is not None]
                for task in tasks:
                    task.cancel()
                for task in (writer, *tasks):
                    await task.join()

    async def aclose(self) -> None:
        """Take no more requests; those that are on their way are served, and then `run` ends."""
        self.engine.shutdown(self.env.clock())
        self.nudge()

    # -- reading -------------------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        engine, env = self.engine, self.env
        if env.closing_at() is not None:
            engine.shutdown(env.clock())
        if self._data:
            self._hear(engine.receive_data(self._data, env.clock()))
            self._data = b""
        self.nudge()
        end: Instant | None = None  # of the lingering
        spare = env.config.limits.drain
        try:
            while spare > 0:
                now = env.clock()
                if engine.finished and end is None:
                    end = Instant(now + env.config.linger_timeout)
                until = end if end is not None else engine.next_deadline(now)
                if until > now:
                    try:
                        data = await self.stream.receive(RECEIVE, Duration(until - now))
                    except TimedOut:
                        now = Instant(max(env.clock(), until))
                    else:
                        if not data:
                            if self.exchanges:
                                env.mib.Broken += 1
                                self._lose(PeerReset("the client ended the connection"))
                            return
                        if end is not None:
                            spare -= len(data)
                        self._hear(engine.receive_data(data, env.clock()))
                        if engine.wants_to_send:
                            self.nudge()
                        continue
                if end is not None:
                    return
                self._hear(engine.handle_timeout(now))
                self.nudge()
        except (OSError, ClosedError) as error:
            if not engine.finished:
                env.mib.Broken += bool(self.exchanges)
                self._lose(error)
                self.stream.abort()
        finally:
            self._over.set()
            engine.close()
            self.nudge()

    def _hear(self, heard: list[hw.Heard]) -> None:
        exchanges = self.exchanges
        for number, word in heard:
            exchange = exchanges.get(number)
            if isinstance(word, RequestHead):
                self.env.mib.Requests += 1
                self.serving = word.target
                exchange = exchanges[number] = Exchange2(self, number, word)
                exchange.task = self.waits.spawn(exchange.run)
            elif isinstance(word, Body):
                if exchange is not None:
                    exchange.arrived(word.data)
            elif isinstance(word, End):
                if exchange is not None:
                    exchange.whole(word.trailers)
            elif isinstance(word, Refusal):
                self._refused(number, exchange, word)
            elif isinstance(word, hw.Reset):
                self._reset(exchange, word)
            elif isinstance(word, hw.Failed):
                self._failed(word)
            elif isinstance(word, Closed):
                self.env.mib.Idle += 1

    def _refused(self, number: int, exchange: "Exchange2 | None", refusal: Refusal) -> None:
        if refusal.status == 408:
            self.env.mib.TimedOut += 1
        else:
            self.env.mib.Refused += 1
        log.info("refused %s:%d: %d %s", *self.stream.remote_address, refusal.status, refusal.reason)
        if exchange is not None:
            exchange.refused(refusal)
        else:
            self.engine.refuse(number, refusal, self.env.date())

    def _reset(self, exchange: "Exchange2 | None", word: hw.Reset) -> None:
        if word.code == hw.PROTOCOL_ERROR and not word.remote:
            self.env.mib.Refused += 1
            log.info("refused %s:%d: %s", *self.stream.remote_address, word.reason)
        else:
            self.env.mib.Resets += 1
        if exchange is not None:
            exchange.lose(PeerReset(word.reason))

    def _failed(self, word: hw.Failed) -> None:
        if word.code == hw.ENHANCE_YOUR_CALM:
            self.env.mib.Floods += 1
        else:
            self.env.mib.Faults += 1
        log.info("closed %s:%d: %s %s", *self.stream.remote_address, hw.NAMES.get(word.code, word.code), word.reason)
        self._lose(BrokenError(word.reason))

    def _lose(self, error: Exception) -> None:
        """Nothing can be sent any more: whoever serves a request learns it."""
        if self.lost is None:
            self.lost = error
        self.engine.close()
        for exchange in list(self.exchanges.values()):
            exchange.lose(self.lost)

    # -- writing -------------------------------------------------------------------------------------------------------------------

    def nudge(self) -> None:
        """There may be something to send."""
        if not self._awake:
            self._awake = True
            self._more.set()

    async def _write(self) -> None:
        engine, stream, env = self.engine, self.stream, self.env
        timeout = env.config.send_timeout
        try:
            while True:
                self._awake = False
                data = engine.data_to_send(env.clock())
                if data:
                    env.mib.OutBytes += len(data)
                    await stream.send_all(data, timeout)
                    if self._crowd:
                        self._admit()
                    continue
                if engine.failure is not None and self.lost is None:  # a flood that only sending has shown
                    self._failed(engine.failure)
                    continue
                if engine.finished:
                    break
                if not self._awake:
                    self._more = self.waits.event()
                    await self._more.wait()
        except (OSError, ClosedError) as error:
            if not engine.finished:
                env.mib.Broken += bool(self.exchanges)
            self._lose(error)
            stream.abort()
            return
        try:  # RFC 9113 5.4.1, 6.8: GOAWAY should get there, so no reset may overtake it
            await stream.send_eof()
            await self.waits.wait(self._over, env.config.linger_timeout)
        except TimedOut:
            await stream.aclose()
        except (OSError, ClosedError):
            pass

    def crowd(self, exchange: "Exchange2") -> None:
        """It waits until there is room."""
        self._crowd.append(exchange)

    def _admit(self) -> None:
        limit = self.engine.limits.send_queue
        waiting, self._crowd = self._crowd, []
        for exchange in waiting:
            if self.engine.queued(exchange.number) > limit:
                self._crowd.append(exchange)
            else:
                exchange.stir()


class Exchange2:
    """`Exchange` over a stream of HTTP/2."""

    __slots__ = ("head", "trailers", "status", "sent", "over", "finished", "aborted", "task", "number", "refusal", "lost",
                 "_session", "_held", "_fields", "_length", "_started", "_pieces", "_ended", "_stirred", "_ending", "_continued",
                 "_upgraded")  # fmt: skip

    def __init__(self, session: Session2, number: int, head: RequestHead) -> None:
        self.head = head
        self.number = number
        self.trailers: RawFields = ()
        self.status = 0  # of the response, 0 before there is one
        self.sent = 0  # bytes of its body
        self.over = self.finished = self.aborted = False
        self.task: Spawned | None = None
        self.refusal: Refusal | None = None  # of what came after the head
        self.lost: Exception | None = None
        self._session = session
        self._held = False  # the head was started, and not sent yet
        self._fields: RawFields = ()
        self._length: int | None = None
        self._started = False
        self._pieces: deque[bytes] = deque()
        self._ended = False  # the request's body
        self._stirred: Happening | None = None
        self._ending: Happening | None = None
        self._continued = not head.expects_continue
        self._upgraded = False

    # -- its task --------------------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        session = self._session
        env = session.env
        began = env.clock() if env.access is not None else 0
        try:
            await env.application(self)
            if not self.finished and not self._upgraded:
                raise UsageError("the application returned before its response was whole")
            env.mib.Responses += self.finished
        except Exception as error:
            self._fail(error)
        finally:
            self.over = True
            session.exchanges.pop(self.number, None)
            session.engine.release(self.number)
            session.nudge()
            self._end()
            if env.access is not None:
                env.access(Entry(self.head, session.stream.remote_address, self.status, self.sent, env.clock() - began))

    async def joined(self) -> None:
        if self.task is not None:
            await self.task.join()

    def _fail(self, error: Exception) -> None:
        session = self._session
        engine = session.engine
        if self.lost is not None or self.aborted:
            return
        if self.refusal is None:
            session.env.mib.HandlerErrors += 1
            log.error("the handler of %s %s failed", self.head.method, self.head.target, exc_info=error)
        if self._started and not self._held:
            engine.reset(self.number, hw.INTERNAL_ERROR)
            return
        refusal = self.refusal or Refusal(500, "")
        self.status = refusal.status
        engine.refuse(self.number, refusal, session.env.date())

    def _end(self) -> None:
        if self._ending is not None:
            self._ending.set()
        self.stir()

    # -- what the session hears ------------------------------------------------------------------------------------------------------

    def arrived(self, data: bytes) -> None:
        self._pieces.append(data)
        self.stir()

    def whole(self, trailers: RawFields) -> None:
        self.trailers = trailers
        self._ended = True
        self.stir()

    def refused(self, refusal: Refusal) -> None:
        self.refusal = refusal
        self.stir()

    def lose(self, error: Exception) -> None:
        if self.lost is None:
            self.lost = error
        self._end()

    def stir(self) -> None:
        """Whoever waits may look again."""
        if self._stirred is not None:
            self._stirred.set()
            self._stirred = None

    async def _wait(self, timeout: Duration | None = None) -> None:
        if self._stirred is None:
            self._stirred = self._session.waits.event()
        await self._session.waits.wait(self._stirred, timeout)

    # -- `Exchange` --------------------------------------------------------------------------------------------------------------------

    @property
    def scheme(self) -> str:
        return self._session.scheme

    @property
    def remote_address(self) -> Address:
        return self._session.stream.remote_address

    @property
    def local_address(self) -> Address:
        return self._session.stream.local_address

    @property
    def silent(self) -> bool:
        return self.head.method == "HEAD" or self.status in (204, 304)

    async def receive(self) -> bytes:
        return await self.piece()

    async def piece(self, timeout: Duration | None = None) -> bytes:
        """`receive`, with a time-out."""
        session = self._session
        engine = session.engine
        while True:
            if self._pieces:
                data = self._pieces.popleft()
                session.env.mib.InBody += len(data)
                engine.consumed(self.number, len(data))
                if engine.wants_to_send:
                    session.nudge()
                return data
            if self._ended:
                return b""
            if self.lost is not None:
                raise self.lost
            if self.refusal is not None:
                raise BrokenError(self.refusal.reason)
            if self.over and not self._upgraded:
                raise ClosedError("this exchange is over: its body can't be read any more")
            if not self._continued and not self._started:
                self._continued = True
                engine.interim(self.number, 100)
                session.nudge()
            engine.awaits(self.number, session.env.clock())
            await self._wait(timeout)

    async def interim(self, status: int, fields: RawFields = ()) -> None:
        self._check(started=False)
        self._continued = self._continued or status == 100
        self._session.engine.interim(self.number, status, fields)
        self._session.nudge()

    async def start(self, status: int, fields: RawFields, length: int | None = None) -> None:
        self._check(started=False)
        self._fields = fields
        self._length = length
        self._held = True
        self.status = status
        self._started = True

    def _head(self, last: bool = False) -> None:
        """Send the head that was held back."""
        if self._held:
            session = self._session
            session.engine.start(self.number, self.status, self._fields, self._length, session.env.date(), last)
            self._held = False

    async def send(self, data: bytes | memoryview) -> None:
        self._check(started=True)
        self._head()
        await self.push(data)

    async def push(self, data: bytes | memoryview, timeout: Duration | None = None) -> None:
        """Queue some of a body; wait while more than the bound is queued."""
        session = self._session
        self.sent += len(data)
        # what waits in the stream is the caller's no more, and he may write into a view's memory
        queued = session.engine.body(self.number, data if isinstance(data, bytes) else bytes(data))
        session.nudge()
        while queued > session.engine.limits.send_queue:
            session.crowd(self)
            await self._wait(timeout)
            if self.lost is not None:
                raise self.lost
            queued = session.engine.queued(self.number)

    async def send_file(self, descriptor: int, offset: int, count: int) -> None:
        if self.silent:
            self._check(started=True)
            return
        left = count
        async for block in read_blocks(descriptor, offset, offset + count):
            left -= len(block)
            await self.send(block)
        if left:
            raise UsageError("the file became shorter while it was sent")

    async def finish(self, trailers: RawFields = (), data: bytes = b"") -> None:
        self._check(started=True)
        session = self._session
        engine = session.engine
        if self._held:
            if self._length is None and not trailers:
                self._length = len(data)
            if not trailers and (self.silent or not data):
                self._head(last=True)
                self._finished()
                return
            self._head()
        if data:
            self.sent += len(data)
            engine.body(self.number, data)
        engine.finish(self.number, trailers)
        self._finished()

    def _finished(self) -> None:
        self.finished = self.over = True
        self._session.nudge()
        self._end()

    async def flush(self) -> None:
        """Send the head now, though nothing of the body is there."""
        self._check(started=True)
        self._head()
        self._session.nudge()

    async def upgrade(self, fields: RawFields) -> Stream:
        self._check(started=False)
        if not self.head.upgrade:
            raise UsageError("the client asked for no other protocol")
        self._started = self._upgraded = True
        self.status = 200  # RFC 8441 5
        session = self._session
        session.engine.start(self.number, 200, fields, None, session.env.date())
        session.nudge()
        return Tunnel(self, session.engine, session.nudge)

    async def gone(self) -> None:
        if not self.over and self.lost is None:
            if self._ending is None:
                self._ending = self._session.waits.event()
            await self._ending.wait()

    def abort(self) -> None:
        self.aborted = self.over = True
        self._session.engine.reset(self.number, hw.CANCEL)
        self._session.nudge()
        self._end()

    def _check(self, started: bool) -> None:
        if self.lost is not None:
            raise self.lost
        if self.over:
            raise UsageError("the response is whole, or was given up: nothing can follow")
        if self._started != started:
            raise UsageError("a response is started once, before its body" if self._started else "start the response first")
