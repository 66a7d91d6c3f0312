"""One connection of HTTP/2 served: the engine on one side, a stream on the other, a task for each request in the middle.

Two more tasks are the connection's own. The reader, in which `run` was called, receives and hands out what the engine hears. The
writer sends what the engine has: it is woken once, however many requests have something to say in one turn of the loop, and all of
that leaves in one `send_all`. Nobody else touches the stream.

A request whose client has gone is told so where it receives or sends, and is not cancelled: as on HTTP/1.1, what an application
does after its response is its own. It counts as a stream until it is over. `run` ends when all of them have, or when the server is
closing and its grace is over: then they are cancelled.
"""

import logging
from contextlib import suppress

from ...errors import BrokenError, ClosedError, PeerReset, TimedOut
from ...instant import Duration, Instant
from ...runtime.waits import Event as Happening
from ...runtime.waits import Waits
from ...signatures import Stream
from ..events import Body, Closed, End, Refusal, RequestHead
from ..h2 import words as hw
from ..h2.engine import Engine
from .environment import Environment
from .exchange2 import Exchange2

log = logging.getLogger("netstack.http")

RECEIVE = 65536  # asked of the stream at once


class Session2:
    """One connection. `run` it in its own task. `data` came already, and begins with the client's preface."""

    __slots__ = ("stream", "since", "engine", "env", "scheme", "serving", "lost", "exchanges",
                 "waits", "_data", "_more", "_awake", "_crowd", "_over", "_left")  # fmt: skip

    def __init__(self, stream: Stream, environment: Environment, scheme: str = "http", data: bytes = b"") -> None:
        self.stream = stream
        self.env = environment
        self.since = environment.clock()
        self.engine = Engine(environment.config, self.since, room=environment.room)
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
        self._left: Happening | None = None

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
            await self._last_exchange()
        finally:
            self._lose(ClosedError("the session is over"))
            with self.waits.shield():
                writer.cancel()
                tasks = [exchange.task for exchange in self.exchanges.values() if exchange.task is not None]
                for task in tasks:
                    task.cancel()
                for task in (writer, *tasks):
                    await task.join()
            self.engine.dispose()

    async def aclose(self) -> None:
        """Take no more requests; those that are on their way are served, and then `run` ends."""
        self.engine.shutdown(self.env.clock())
        self.nudge()
        self.left()
        for exchange in list(self.exchanges.values()):
            if exchange.tunnel is not None and exchange.tunnel.on_closing is not None:
                exchange.tunnel.on_closing()

    async def _last_exchange(self) -> None:
        """Until all applications are done; when the server is closing, no longer than its grace."""
        while self.exchanges:
            now, end = self.env.clock(), self.env.closing_at()
            if end is not None and now >= end:
                return
            self._left = self.waits.event()
            with suppress(TimedOut):
                await self.waits.wait(self._left, None if end is None else Duration(end - now))

    def left(self) -> None:
        """An application is done, or the server is closing."""
        if self._left is not None:
            self._left.set()

    # -- reading --------------------------------------------------------------------------------------------------------

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

    def _refused(self, number: int, exchange: Exchange2 | None, refusal: Refusal) -> None:
        if refusal.status == 408:
            self.env.mib.TimedOut += 1
        else:
            self.env.mib.Refused += 1
        log.info("refused %s:%d: %d %s", *self.stream.remote_address, refusal.status, refusal.reason)
        if exchange is not None:
            exchange.refused(refusal)
        else:
            self.engine.refuse(number, refusal, self.env.date())

    def _reset(self, exchange: Exchange2 | None, word: hw.Reset) -> None:
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

    # -- writing --------------------------------------------------------------------------------------------------------

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

    def crowd(self, exchange: Exchange2) -> None:
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
