"""`Exchange` over a stream of HTTP/2: what one request and its response ask of the session and its engine."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from ...errors import BrokenError, ClosedError, UsageError
from ...instant import Duration
from ...runtime.fileblocks import read_blocks
from ...runtime.waits import Event as Happening
from ...runtime.waits import Spawned
from ...signatures import Address, Stream
from ..events import RawFields, Refusal, RequestHead
from ..h2 import words as hw
from ..h2.stream import add_piece
from ..mib import HttpMib
from .accesslog import Entry
from .tunnel import Tunnel

if TYPE_CHECKING:
    from .session2 import Session2

log = logging.getLogger("netstack.http")


class Exchange2:
    """`Exchange` over a stream of HTTP/2."""

    __slots__ = ("head", "trailers", "status", "sent", "over", "finished", "aborted", "task", "number", "refusal", "lost",
                 "_session", "_held", "_fields", "_length", "_started", "_pieces", "_ended", "_stirred", "_ending", "_continued",
                 "_upgraded", "tunnel")  # fmt: skip

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
        self.tunnel: Tunnel | None = None

    # -- its task -------------------------------------------------------------------------------------------------------

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
            session.left()
            session.engine.release(self.number)
            session.nudge()
            self._end()
            if env.access is not None:
                env.access(Entry(self.head, session.stream.remote_address, self.status, self.sent, env.clock() - began))

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

    # -- what the session hears -----------------------------------------------------------------------------------------

    def arrived(self, data: bytes) -> None:
        add_piece(self._pieces, data)
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

    # -- `Exchange` -----------------------------------------------------------------------------------------------------

    @property
    def mib(self) -> HttpMib:
        return self._session.env.mib

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
                engine.consumed(self.number, len(data), session.env.clock())
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
        self.tunnel = Tunnel(self, session.engine, session.nudge)
        return self.tunnel

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
