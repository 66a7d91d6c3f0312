"""One connection of HTTP/2 with a server: the engine on one side, a stream on the other, many exchanges in the middle.

Two tasks are the connection's own, as in serve/session2.py: one receives and hands out what the engine hears, one sends what the
engine has. An exchange waits for its own words; what of its body it has not read yet stops at its stream's window, and no other
exchange waits for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress

from ...errors import ClosedError, PeerReset, TimedOut, UsageError
from ...instant import Duration, Instant
from ...runtime.waits import Event as Happening
from ...runtime.waits import Spawned, Waits
from ...signatures import Stream
from ..config import Http2Limits, HttpClientConfig, HttpConfig, HttpLimits
from ..events import Body, Closed, End, Interim, RawFields, ReplyHead, ResponseHead
from ..h2 import words as hw
from ..h2.engine import Engine
from ..h2.stream import add_piece
from ..h2.windows import Room
from .connection import Deadline, Watcher
from .errors import BadResponse, ConnectionLost, FetchError
from .request import Outgoing
from .tunnel2 import Tunnel2

RECEIVE = 262144
BLOCK = 65536  # of a body, queued at once
QUEUE = 131072  # of a body: what waits for the server's window, beyond which its pieces are not asked for
MOST = 100  # requests at once, whatever the server would take: what RFC 9113 6.5.2 wants of everybody
WINDOW = 1 << 20  # of each response that nobody has read yet, at first: a tenth of a second at 80 Mbit/s
LARGEST = 16 << 20  # and at most: at 1.3 Gbit/s. Reached by a reader who takes all that comes, at once
GROWTH = 32 << 20  # by which all windows of a connection may have grown
# RFC 9113 8.2.2: what concerns one connection of HTTP/1.1
_HOPS = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"host", b"expect", b"te"))
_OF_UPGRADE = _HOPS | {b"sec-websocket-key"}  # RFC 8441 5: the version of HTTP has said what it says


def engine_config(config: HttpClientConfig) -> HttpConfig:
    """What the engine is told of a client's limits. Time-outs of a response are the exchange's own."""
    limits = config.limits
    return HttpConfig(
        limits=HttpLimits(header_section=limits.header_section, header_count=limits.header_count, body=limits.body),
        http2=Http2Limits(
            stream_window=WINDOW,
            stream_window_most=LARGEST,
            window_growth=GROWTH,
            connection_window=2 * LARGEST,
            header_block=max(limits.header_section, 4096),
        ),
        send_timeout=config.write_timeout,
        body_timeout=Duration(1 << 60),
        idle_timeout=Duration(1 << 60),
    )


class Connection2:
    """See connection.Connection."""

    version = "2"

    def __init__(self, stream: Stream, config: HttpClientConfig, waits: Waits, watcher: Watcher, room: Room | None) -> None:
        self.stream = stream
        self.waits = waits
        self.watcher = watcher
        self.engine = Engine(engine_config(config), Instant(waits.now()), client=True, room=room)
        self.exchanges: dict[int, Exchange2] = {}
        self.lost: Exception | None = None
        self._more: Happening = waits.event()
        self._awake = True  # the preface is to be sent
        self._more.set()
        self._tasks: list[Spawned] = []
        self._settled: Happening = waits.event()  # the server's SETTINGS have come, or never will

    @classmethod
    async def open(
        cls, stream: Stream, config: HttpClientConfig, waits: Waits, watcher: Watcher, room: Room | None = None
    ) -> Connection2:
        connection = cls(stream, config, waits, watcher, room)
        connection._tasks = [waits.spawn(connection._read), waits.spawn(connection._write)]
        return connection

    @property
    def streams(self) -> int:
        return max(min(len(self.exchanges) + self.engine.room, MOST), 1)

    @property
    def usable(self) -> bool:
        return self.lost is None and self.engine.room > 0

    async def healthy(self) -> bool:
        return self.usable

    async def aclose(self) -> None:
        self._lose(ClosedError("this connection is closed"))
        with self.waits.shield():
            for task in self._tasks:
                task.cancel()
                await task.join()
        with suppress(OSError, ClosedError):
            await self.stream.aclose()

    def abort(self) -> None:
        self._lose(ClosedError("this connection is closed"))
        for task in self._tasks:
            task.cancel()
        self.stream.abort()

    # -- the two tasks --------------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        engine, waits = self.engine, self.waits
        try:
            while not engine.finished:
                now = Instant(waits.now())
                until = engine.next_deadline(now)
                try:
                    data = await self.stream.receive(RECEIVE, Duration(max(until - now, 0)))
                except TimedOut:
                    self._hear(engine.handle_timeout(Instant(max(waits.now(), until))))
                else:
                    self._hear(engine.receive_data(data, Instant(waits.now())))
                    if engine.settled:
                        self._settled.set()
                if engine.wants_to_send:
                    self.nudge()
            self._lose(PeerReset("the server ended the connection"))
        except (OSError, ClosedError) as error:
            self._lose(error)
        finally:
            self.nudge()

    async def _write(self) -> None:
        engine, waits = self.engine, self.waits
        try:
            while True:
                await waits.wait(self._more)
                self._more, self._awake = waits.event(), False
                while data := engine.data_to_send(Instant(waits.now())):
                    await self.stream.send_all(data, engine.config.send_timeout)
                for exchange in list(self.exchanges.values()):
                    exchange.room()
                if self.lost is not None or (engine.peer_going is not None and not self.exchanges):
                    break
            self._lose(PeerReset("the server takes no more requests"))
            await self.stream.aclose()
        except (OSError, ClosedError) as error:
            self._lose(error)
            self.stream.abort()

    def nudge(self) -> None:
        """There is something to send."""
        if not self._awake:
            self._awake = True
            self._more.set()

    def _hear(self, heard: list[hw.Heard]) -> None:
        for number, word in heard:
            exchange = self.exchanges.get(number)
            if exchange is not None:
                exchange.hear(word)
            elif isinstance(word, hw.Failed):
                self._lose(ProtocolFault(f"the server broke HTTP/2: {word.reason}"))
            elif isinstance(word, Closed):
                self._lose(PeerReset("the server ended the connection"))

    def _lose(self, error: Exception) -> None:
        if self.lost is None:
            self.lost = error
            self.engine.close()
            self.engine.dispose()
            self._settled.set()
            for exchange in list(self.exchanges.values()):
                exchange.wake()

    # -- one request ----------------------------------------------------------------------------------------------------------

    async def request(self, request: Outgoing, deadline: Deadline) -> Exchange2:
        content, engine = request.content, self.engine
        if request.protocol:
            await self._may_connect(deadline)
        if self.lost is not None or not engine.room:
            lost = ConnectionLost("the connection takes no more requests", "write", deadline.url)
            lost.unanswered = lost.unprocessed = True
            raise lost
        authority = next((value.decode("latin-1") for name, value in request.fields if name == b"host"), request.url.authority)
        ours = _OF_UPGRADE if request.protocol else _HOPS
        fields = tuple((name.lower(), value) for name, value in request.fields if name.lower() not in ours)
        if content.length and not any(name == b"content-length" for name, _ in fields):
            fields = (*fields, (b"content-length", b"%d" % content.length))
        now = Instant(self.waits.now())
        method, end = ("CONNECT", False) if request.protocol else (request.method, content.data == b"")
        number = engine.request(
            method, request.url.scheme, authority, request.url.target, fields, end=end, protocol=request.protocol, now=now
        )
        exchange = Exchange2(self, number, request, deadline)
        self.exchanges[number] = exchange
        told = b"".join(b"%b: %b\r\n" % pair for pair in fields)
        self.watcher.sent(f"{method} {request.url.target} HTTP/2\r\nHost: {authority}\r\n".encode() + told + b"\r\n")
        self.nudge()
        try:
            if content.data != b"" and not request.protocol:
                exchange.start_sending()
            while exchange.answer is None:
                await exchange.more("first byte")
            self.watcher.heard(exchange.answer)
            return exchange
        except BaseException:
            await exchange.give_up()
            raise


    async def _may_connect(self, deadline: Deadline) -> None:
        """Until the server has said whether it takes an extended CONNECT (RFC 8441 3)."""
        try:
            await self.waits.wait(self._settled, deadline.left(deadline.config.first_byte_timeout))
        except TimedOut as error:
            raise deadline.late("first byte", "the server did not say what it takes", error) from error
        if self.lost is None and not self.engine.extended_connect:
            raise BadResponse("the server speaks HTTP/2 and switches to nothing there: ask over 1.1", "first byte", deadline.url)


class ProtocolFault(ConnectionError):
    """The engine's word for what the server did."""


class Exchange2:
    """See connection.Exchange."""

    def __init__(self, connection: Connection2, number: int, request: Outgoing, deadline: Deadline) -> None:
        self.answer: ReplyHead | None = None
        self.trailers: RawFields = ()
        self.on_over: Callable[[], None] = _nothing
        self.received = 0
        self.connection = self._connection = connection
        self.number = self._number = number
        self._request = request
        self._deadline = deadline
        self._pieces: deque[bytes] = deque()
        self._whole = False
        self._reset: hw.Reset | None = None
        self._failed: Exception | None = None  # of the caller's own pieces
        self._sender: Spawned | None = None
        self._sending = False
        self._over = self._detached = False
        self._event: Happening | None = None
        self._roomy: Happening | None = None

    @property
    def head(self) -> ReplyHead:
        assert self.answer is not None, "a request gives its exchange when the head is here"
        return self.answer

    # -- what the reader brings -----------------------------------------------------------------------------------------------

    def hear(self, word: hw.Word) -> None:
        if isinstance(word, Body):
            add_piece(self._pieces, word.data)
        elif isinstance(word, ResponseHead):
            length = 0 if self._request.method == "HEAD" or word.status in (204, 304) else word.length
            switched = bool(self._request.protocol) and 200 <= word.status < 300
            self.answer = ReplyHead(word.status, "", (2, 0), word.fields, None if switched else length, switched=switched)
        elif isinstance(word, End):
            self._whole = True
            self.trailers = word.trailers
        elif isinstance(word, hw.Reset):
            if not (self._whole and word.code == hw.NO_ERROR):  # RFC 9113 8.1: it has heard enough of the request
                self._reset = word
        elif isinstance(word, Interim):
            self._connection.watcher.heard(word)
        self.wake()

    def wake(self) -> None:
        if self._event is not None:
            self._event.set()
        self.room()

    def room(self) -> None:
        """Some of the body was sent, perhaps."""
        if self._roomy is not None:
            self._roomy.set()

    async def more(self, phase: str) -> None:
        """Until something has come. Raises FetchError, and what the caller's own pieces raised."""
        connection, deadline = self._connection, self._deadline
        self._check()
        config = deadline.config
        limit = config.read_timeout if phase == "read" else config.first_byte_timeout
        timeout = deadline.left(limit)
        self._event = connection.waits.event()
        try:
            await connection.waits.wait(self._event, timeout)
        except TimedOut as error:
            if self._sending and phase != "read":
                deadline.check()
                return  # nothing is due while we send
            raise deadline.late("read" if phase == "read" else "first byte", "the server did not go on in time", error) from error
        finally:
            self._event = None
        if not self._pieces and not self._whole:
            self._check()

    def _check(self) -> None:
        connection, url = self._connection, self._deadline.url
        if self._failed is not None:
            raise self._failed
        reset, phase = self._reset, "first byte" if self.answer is None else "read"
        if reset is not None:
            if not reset.remote and reset.code == hw.PROTOCOL_ERROR:
                raise BadResponse(reset.reason, "first byte" if self.answer is None else "read", url)
            lost = ConnectionLost(f"the server reset the stream: {reset.reason}", "first byte" if phase != "read" else "read", url)
            lost.unanswered, lost.unprocessed = self.answer is None, not reset.processed
            raise lost
        if connection.lost is not None and not self._whole:
            if isinstance(connection.lost, ProtocolFault):
                raise BadResponse(str(connection.lost), "first byte" if self.answer is None else "read", url) from connection.lost
            lost = ConnectionLost(f"the connection broke: {connection.lost}", "first byte" if phase != "read" else "read", url)
            lost.unanswered = self.answer is None
            raise lost from connection.lost

    # -- the body that goes out -----------------------------------------------------------------------------------------------

    def start_sending(self) -> None:
        self._sending = True
        self._sender = self._connection.waits.spawn(self._send_body)

    async def _send_body(self) -> None:
        engine, number = self._connection.engine, self._number
        try:
            async with aclosing(self._request.content.pieces()) as pieces:
                await self._send_pieces(pieces)
            if number in engine.streams and self._reset is None:
                engine.finish(number)
                self._connection.nudge()
        except Exception as error:
            self._failed = error
            engine.reset(number)
            self._connection.nudge()
            self.wake()
        finally:
            self._sending = False

    async def _send_pieces(self, pieces: AsyncIterator[bytes]) -> None:
        connection, number, deadline = self._connection, self._number, self._deadline
        engine = connection.engine
        left = self._request.content.length
        async for piece in pieces:
            view = memoryview(piece)
            if left is not None:
                left -= len(view)
                if left < 0:
                    raise UsageError(f"the body goes {-left} bytes beyond the length that was announced")
            for at in range(0, len(view), BLOCK):
                if number not in engine.streams or self._reset is not None or connection.lost is not None:
                    return  # why, the receiver finds out
                block = piece if len(view) <= BLOCK and isinstance(piece, bytes) else bytes(view[at : at + BLOCK])
                waiting = engine.body(number, block)
                connection.nudge()
                while waiting > QUEUE and connection.lost is None and self._reset is None:
                    self._roomy = connection.waits.event()
                    try:
                        await connection.waits.wait(self._roomy, deadline.left(deadline.config.write_timeout))
                    except TimedOut as error:
                        raise deadline.late("write", "the server reads no more of the request", error) from error
                    waiting = engine.queued(number)
                connection.watcher.uploaded(len(block))
        if left:
            raise UsageError(f"the body ends {left} bytes before the length that was announced")

    # -- the body that comes --------------------------------------------------------------------------------------------------

    async def receive(self) -> bytes:
        while not self._over and not self.head.switched:
            if self._pieces:
                piece = self._pieces.popleft()
                self.received += len(piece)
                self._connection.engine.consumed(self._number, len(piece), Instant(self._connection.waits.now()))
                self._connection.nudge()
                return piece
            if self._whole:
                await self._end()
                break
            try:
                await self.more("read")
            except FetchError as error:
                if isinstance(error, ConnectionLost):
                    error.received = self.received
                await self._end()
                raise
        return b""

    async def aclose(self) -> None:
        if not self._detached:
            await self._end()

    def detach(self) -> Stream:
        if not self.head.switched or self._over or self._detached:
            raise UsageError("this response did not change the protocol, or its stream was taken already")
        self._detached = True
        return Tunnel2(self)

    # -- what a tunnel asks for -----------------------------------------------------------------------------------------------

    async def piece(self, timeout: Duration | None) -> bytes:
        """As a stream's `receive`: cancelled, it has taken nothing."""
        connection = self._connection
        while not self._pieces:
            if self._whole:
                return b""
            self.check()
            self._event = connection.waits.event()
            try:
                await connection.waits.wait(self._event, timeout)
            finally:
                self._event = None
        piece = self._pieces.popleft()
        connection.engine.consumed(self._number, len(piece), Instant(connection.waits.now()))
        connection.nudge()
        return piece

    async def roomy(self, timeout: Duration | None) -> None:
        self._roomy = self._connection.waits.event()
        await self._connection.waits.wait(self._roomy, timeout)

    def check(self) -> None:
        """Raises ConnectionLost, BadResponse."""
        self._check()

    def leave(self) -> None:
        """The tunnel is closed."""
        if not self._over:
            self._over = True
            self._release()

    async def give_up(self) -> None:
        """Before there was a head."""
        await self._end()

    async def _end(self) -> None:
        if self._over:
            return
        self._over = True
        connection = self._connection
        sender, self._sender = self._sender, None
        if sender is not None:
            if self._sending:
                sender.cancel()
            with connection.waits.shield():
                await sender.join()
        self._release()

    def _release(self) -> None:
        connection, number = self._connection, self._number
        unread = sum(map(len, self._pieces))
        if unread:
            self._pieces.clear()
            connection.engine.consumed(number, unread, Instant(connection.waits.now()))
        connection.exchanges.pop(number, None)
        connection.engine.release(number)
        connection.nudge()
        connection.watcher.over(connection.usable, connection.stream.remote_address)
        self.on_over()


def _nothing() -> None:
    pass
