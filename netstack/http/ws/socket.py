"""One WebSocket as programs use it, on either side: an engine over a stream.

A task of its own receives (`_pump`): pings are answered and silence is noticed while the program does something else, or only
sends. It stops where the program doesn't take what came: then the stream's window closes, and the peer waits. Frames go out one
after the other: whoever sends has the turn, and sends also what the pump has to say meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ...errors import BusyError, ClosedError, TimedOut, UsageError
from ...instant import Duration, Instant
from ...runtime.waits import Event as Happening
from ...runtime.waits import Spawned, Waits
from ...signatures import Address, Stream
from ..mib import HttpMib, count_close
from .config import WsConfig
from .deflate import Deflate
from .engine import CLOSING, ENDING, OPEN, Engine
from .errors import ABNORMAL, GOING_AWAY, NO_STATUS, NORMAL, WebSocketClosed
from .events import Bytes, Closed, Event, Pong, Text

RECEIVE = 65536  # asked of the stream at once
BLOCK = 262144  # given to the stream at once: under one time-out
DRAIN = 1 << 20  # of what a peer still sends that broke a rule: then it is reset
_ORDERLY = (NORMAL, GOING_AWAY, NO_STATUS)


class _Ping:
    """One that a program sent."""

    __slots__ = ("over", "sent_at", "took")

    def __init__(self, over: Happening, sent_at: int) -> None:
        self.over = over
        self.sent_at = sent_at
        self.took: Duration | None = None


class WebSocket:
    """Messages both ways: `async for message in ws`, `await ws.send(message)`; str is text and bytes are binary.

    Several tasks may send; one at a time receives, a second one gets BusyError. Cancelled, `receive` has taken nothing. A `send`
    that is cancelled has sent nothing while others had their turn; later its message counts as sent, or breaks the WebSocket.
    """

    def __init__(self, waits: Waits, config: WsConfig, mib: HttpMib | None = None) -> None:
        self.config = config
        self._mib = mib or HttpMib()  # a client's counts for nobody
        self.subprotocol: str | None = None
        self._waits = waits
        self._stream: Stream | None = None
        self._engine: Engine | None = None
        self._task: Spawned | None = None
        self._over = waits.event()  # the pump is done
        self._queue: deque[str | bytes] = deque()
        self._held = 0  # bytes in it
        self._arrived: Happening | None = None  # somebody receives
        self._room: Happening | None = None  # the pump waits for the program
        self._sending = False
        self._turns: deque[Happening] = deque()
        self._pings: dict[bytes, _Ping] = {}
        self._pinged = 0
        self._gave_up: Closed | None = None

    def _begin(self, stream: Stream, client: bool, deflate: Deflate | None, subprotocol: str | None) -> None:
        self.subprotocol = subprotocol
        self._stream = stream
        self._mib.WsOpened += 1
        self._engine = Engine(client, self.config, self._now(), deflate)
        self._task = self._waits.spawn(self._pump)

    def _now(self) -> Instant:
        return Instant(self._waits.now())

    # -- about itself -------------------------------------------------------------------------------------------------------

    @property
    def stream(self) -> Stream:
        """What it stands on. To read or write there breaks it."""
        if self._stream is None:
            raise UsageError("this WebSocket is not open yet")
        return self._stream

    @property
    def local_address(self) -> Address:
        return self.stream.local_address

    @property
    def remote_address(self) -> Address:
        return self.stream.remote_address

    @property
    def closed(self) -> Closed | None:
        """How it ended: code and reason. None while both sides may send."""
        return self._gave_up or (None if self._engine is None else self._engine.closed)

    def _failure(self) -> WebSocketClosed:
        closed = self.closed or Closed(NORMAL, "it is being closed")
        return WebSocketClosed(closed.code, closed.reason)

    def _opened(self) -> Engine:
        if self._engine is None:
            raise UsageError("this WebSocket is not open yet")
        return self._engine

    # -- messages -----------------------------------------------------------------------------------------------------------

    async def send(self, message: str | bytes, final: bool = True) -> None:
        """Returns when the stream holds no more than its bound. A message may go in pieces of one type, the last of them `final`;
        then it is on the caller that no other task sends between them.

        Raises WebSocketClosed, also where the peer takes nothing for `send_timeout`.
        """
        engine, mib = self._opened(), self._mib
        await self._transmit(lambda: engine.send(message, final))
        mib.WsOutMessages += final
        mib.WsOutBytes += _bytes(message)

    async def receive(self) -> str | bytes:
        """The next message. Raises WebSocketClosed at the end, however that came."""
        self._opened()
        if self._arrived is not None:
            raise BusyError("another task is receiving from this WebSocket")
        if not self._queue:
            await self._waits.check()
        while not self._queue:
            if self.closed is not None or self._engine is None or self._engine.state is not OPEN:
                await self._over_or_closed()
                raise self._failure()
            self._arrived = self._waits.event()
            try:
                await self._arrived.wait()
            finally:
                self._arrived = None
        message = self._queue.popleft()
        self._held -= len(message)
        if self._room is not None and not self._is_full:
            self._room.set()
        return message

    async def _over_or_closed(self) -> None:
        """Another task is closing: the code is known when the peer has answered."""
        if self.closed is None:
            await self._over.wait()

    def __aiter__(self) -> WebSocket:
        return self

    async def __anext__(self) -> str | bytes:
        """Ends when the WebSocket was closed in order (1000, 1001, no code); any other end is raised."""
        try:
            return await self.receive()
        except WebSocketClosed as error:
            if error.code in _ORDERLY:
                raise StopAsyncIteration from None
            raise

    async def ping(self) -> Duration:
        """How long the peer takes to answer one. Raises WebSocketClosed."""
        engine = self._opened()
        self._pinged += 1
        name = b"%d" % self._pinged
        ping = self._pings[name] = _Ping(self._waits.event(), self._waits.now())
        try:
            await self._transmit(lambda: engine.ping(name))
            await ping.over.wait()
            if ping.took is None:
                raise self._failure()
            return ping.took
        finally:
            self._pings.pop(name, None)

    # -- the end ------------------------------------------------------------------------------------------------------------

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Close it in order: tell the peer, and wait for its answer, within `close_timeout`. What came and nobody received is
        dropped. Again: nothing. Cancelled, it is aborted."""
        engine = self._engine
        if engine is None:
            return
        try:
            if engine.state is OPEN and self._gave_up is None:
                await self._transmit(lambda: engine.close(self._now(), code, reason))
            self._make_room()
            await self._waits.wait(self._over, Duration(2 * self.config.close_timeout))
        except WebSocketClosed:
            pass
        except TimedOut:
            self._give_up("the peer did not answer our closing")
        except UsageError:
            raise
        except BaseException:
            self.abort()
            raise
        await self._join()

    def abort(self) -> None:
        """Drop it at once: the peer sees the stream reset."""
        self._give_up("aborted")

    def _give_up(self, reason: str) -> None:
        if self._stream is None or self._task is None:
            return
        if self.closed is None:
            self._gave_up = Closed(ABNORMAL, reason)
        self._stream.abort()
        self._task.cancel()

    async def _join(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await self._task.join()

    def going_away(self) -> None:
        """The server is closing: say so, from no task of the WebSocket's own."""
        if self._engine is not None and self._engine.state is OPEN:
            self._waits.spawn(lambda: self.close(GOING_AWAY))

    # -- sending ------------------------------------------------------------------------------------------------------------

    async def _transmit(self, make: Callable[[], bytes]) -> None:
        """`make` the bytes when it is their turn: frames must go out in the order in which they were made."""
        if self._gave_up is not None:
            raise self._failure()
        while self._sending:
            turn = self._waits.event()
            self._turns.append(turn)
            try:
                await turn.wait()
            except BaseException:
                if turn in self._turns:
                    self._turns.remove(turn)
                else:
                    self._next_turn()
                raise
        self._sending = True
        try:
            data = make()
            while data:
                await self._write(data)
                data = self._opened().pending()
        finally:
            self._sending = False
            self._next_turn()

    def _next_turn(self) -> None:
        if self._turns and not self._sending:
            self._turns.popleft().set()

    async def _write(self, data: bytes) -> None:
        stream, timeout = self.stream, self.config.send_timeout
        left = len(data)
        try:
            while left:
                block = data if left == len(data) <= BLOCK else data[-left:][:BLOCK]
                left -= len(block)
                await stream.send_all(block, timeout)
        except TimedOut as error:
            self._give_up("the peer takes nothing")
            raise self._failure() from error
        except (OSError, ClosedError) as error:
            self._give_up("the connection is lost")
            raise self._failure() from error
        except BaseException:
            if left:  # cancelled: a stream sends what it has taken, but of this frame it has not seen the rest
                self._give_up("a message was cut off")
            raise

    # -- receiving ----------------------------------------------------------------------------------------------------------

    @property
    def _is_full(self) -> bool:
        return len(self._queue) >= self.config.queue or self._held >= self.config.queue_bytes

    async def _pump(self) -> None:
        engine, stream = self._opened(), self.stream
        try:
            while engine.state in (OPEN, CLOSING):
                deadline = engine.next_deadline()
                timeout = None if deadline is None else Duration(max(deadline - self._now(), 0))
                try:
                    data = await stream.receive(RECEIVE, timeout)
                except TimedOut:
                    engine.handle_timeout(self._now())
                else:
                    if data:
                        engine.receive_data(data, self._now())
                    else:
                        engine.receive_end()
                await self._take_events()
            await self._end()
        except WebSocketClosed:
            pass  # where it was sent to
        except (OSError, ClosedError):
            engine.receive_end()
        finally:
            while (event := engine.next_event()) is not None:
                self._take(event)
            if self.closed is None:
                self._gave_up = Closed(ABNORMAL, "the connection is lost")
            assert self.closed is not None
            count_close(self._mib, self.closed.code)
            self._over.set()
            self._wake()

    async def _take_events(self) -> None:
        engine = self._opened()
        while (event := engine.next_event()) is not None:
            self._take(event)
            if engine.has_pending and not self._sending:
                await self._transmit(engine.pending)
            while self._is_full and engine.state is OPEN:
                self._room = self._waits.event()
                try:
                    await self._room.wait()
                finally:
                    self._room = None
                engine.resume(self._now())
        if engine.has_pending and not self._sending:
            await self._transmit(engine.pending)

    def _take(self, event: Event) -> None:
        if isinstance(event, (Text, Bytes)):  # not Text | Bytes: that would be made anew for each message
            self._queue.append(event.data)
            self._mib.WsInMessages += 1
            self._mib.WsInBytes += _bytes(event.data)
            self._held += len(event.data)
            if self._arrived is not None:
                self._arrived.set()
        elif isinstance(event, Pong):
            self._pong(event.data)
        elif isinstance(event, Closed):
            self._wake()

    def _pong(self, name: bytes) -> None:
        """The answer to one ping answers those before it as well (RFC 6455 5.5.3)."""
        if name not in self._pings:
            return
        now = self._waits.now()
        for each in list(self._pings):
            ping = self._pings.pop(each)
            ping.took = Duration(now - ping.sent_at)
            ping.over.set()
            if each == name:
                break

    def _wake(self) -> None:
        if self._arrived is not None:
            self._arrived.set()
        for ping in self._pings.values():
            ping.over.set()

    def _make_room(self) -> None:
        self._queue.clear()
        self._held = 0
        if self._room is not None:
            self._room.set()

    async def _end(self) -> None:
        """RFC 6455 7.1.1: the server ends the stream first, and waits for the client's end, or a reset could overtake what was sent
        last. What a peer that broke a rule still sends is dropped meanwhile, up to a bound."""
        engine, stream = self._opened(), self.stream
        if engine.timed_out:
            stream.abort()
            return
        if engine.state is ENDING:
            if not engine.client or not engine.answered:
                await stream.send_eof()
            spare = DRAIN
            while spare > 0:
                deadline = engine.next_deadline()
                assert deadline is not None
                try:
                    data = await stream.receive(RECEIVE, Duration(max(deadline - self._now(), 0)))
                except TimedOut:
                    break
                if not data:
                    break
                spare -= len(data)
        await stream.aclose()


def _bytes(message: str | bytes) -> int:
    """As they go over the wire."""
    return len(message) if isinstance(message, bytes) or message.isascii() else len(message.encode())
