"""One client-side connection, without the connection: bytes and instants in, events, bytes and deadlines out.

The turn of it, for each request:

    bytes = start("GET", "/", fields, length, now)     then body(…) …, and finish(now)
    events = receive_data(bytes, now)                  Interim …, ReplyHead, Body …, End
    next_request()                                     when `reusable`

The two halves may overlap: the response may begin, and end, before the request has. While `held` the body waits for a 100
(RFC 9110 10.1.1): a server may refuse before it was sent in vain. On a `Fault`, close. Before each wait for bytes ask
`next_deadline(now)`; when it has come, `handle_timeout(now)`.

Nothing is pipelined: who has the answer to another's request in his hands can't know it.
"""

from ...errors import UsageError
from ...instant import Duration, Instant
from ..config import HttpClientConfig
from ..events import Body, End, Fault, Heard, Interim, RawFields, ReplyHead
from .clientstate import REQUEST, RESPONSE, Move, They, We
from .responses import ResponseReader
from .writer import Writer


class ClientConnection:
    """See the module. Raises nothing on what the server sends; UsageError on steps out of turn."""

    __slots__ = ("config", "we", "they", "requests", "_reader", "_writer", "_keep_alive", "_deadline")

    def __init__(self, config: HttpClientConfig) -> None:
        self.config = config
        self.we = We.IDLE
        self.they = They.IDLE
        self.requests = 0
        self._reader = ResponseReader(config.limits)
        self._writer = Writer()
        self._keep_alive = True
        self._deadline: Instant | None = None  # of the 100, or of the response's head

    # -- what we send ---------------------------------------------------------------------------------------------------------

    def start(
        self, method: str, target: str, fields: RawFields, length: int | None, now: Instant, *, expect: bool = False
    ) -> bytes:
        """The head of a request. `length` of its body, None where it isn't known. With `expect` it asks for a 100 first, unless
        there is no body. Raises UsageError for what can't be said, with nothing sent."""
        if self.we != We.IDLE or self.they != They.IDLE:
            raise UsageError("the last request is not over: see `reusable` and `next_request`")
        expect = expect and length != 0
        if expect:
            fields = (*fields, (b"expect", b"100-continue"))
        upgrading = any(name.lower() == b"upgrade" for name, _ in fields)
        data = self._writer.ask(method, target, fields, length)
        self._reader.expect(method, upgrading)
        self._keep_alive = not self._writer.close
        self.requests += 1
        self._move(Move.HOLD if expect else Move.START)
        self._deadline = Instant(now + self.config.continue_timeout) if expect else None
        return data

    def body(self, data: bytes) -> bytes:
        """Some of the body, framed. Raises UsageError beyond the announced length."""
        if self.we != We.BODY:
            raise UsageError(f"a body follows the head of a request, and what it waits for: we are {self.we.name}")
        return self._writer.body(data)

    def finish(self, now: Instant, trailers: RawFields = ()) -> bytes:
        """The end of the request. Raises UsageError when announced bytes are missing: then only closing tells the server."""
        if self.we != We.BODY:
            raise UsageError(f"a request ends after its head: we are {self.we.name}")
        data = self._writer.finish(trailers)
        self._move(Move.FINISH)
        if self.they == They.AWAITED:
            self._deadline = Instant(now + self.config.first_byte_timeout)
        return data

    # -- what the server sends ------------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes, now: Instant) -> list[Heard]:
        """Bytes that came; b"" when the server has ended its side."""
        events = self._reader.feed(data)
        for event in events:
            if isinstance(event, Body):
                continue
            if isinstance(event, End):
                self._move(Move.END)
            elif isinstance(event, Interim):
                if self.we == We.HELD and event.status == 100:
                    self._go()
                elif self.we == We.DONE:
                    self._deadline = Instant(now + self.config.first_byte_timeout)
            elif isinstance(event, ReplyHead):
                self._deadline = None
                self._keep_alive = self._keep_alive and event.keep_alive
                self._move(Move.SWITCH if event.switched else Move.HEAD)
            elif isinstance(event, Fault):
                self._move(Move.FAULT)
            else:
                self._keep_alive = False
                self._move(Move.EOF)
        if self.they in (They.IDLE, They.DONE) and self._reader.buffered:
            # nobody asked: an answer to what we will ask next can't be here yet. Read as one, it would be somebody else's
            self._keep_alive = False
            if self.they == They.IDLE:
                self._reader.stop()
                self._move(Move.FAULT)
                events.append(Fault("The server spoke without being asked.", unanswered=True))
        return events

    def next_request(self) -> None:
        """On to the next request of a `reusable` connection."""
        if not self.reusable:
            raise UsageError("this connection can't carry another request: close it")
        self._move(Move.NEXT)

    def release(self) -> bytes:
        """After a response with `switched`: what came of the other protocol already."""
        if self.they != They.SWITCHED:
            raise UsageError("the protocol was not changed on this connection")
        rest = self._reader.release()
        self._move(Move.CLOSE)
        return rest

    def close(self) -> None:
        """Nothing more is read or sent."""
        self._move(Move.CLOSE)
        self._reader.stop()

    # -- where it stands ------------------------------------------------------------------------------------------------------

    @property
    def held(self) -> bool:
        """The body waits for a 100, and nothing final has come."""
        return self.we == We.HELD and self.they == They.AWAITED

    @property
    def wants_data(self) -> bool:
        """Would more bytes lead to anything?"""
        return self.they in (They.AWAITED, They.BODY)

    @property
    def began(self) -> bool:
        """Some of the answer to this request has come: it was read, and perhaps acted upon."""
        return self._reader.began

    @property
    def reusable(self) -> bool:
        """Both sides are done, neither asked to close, and nothing came that nobody asked for.

        Not where the server answered before the end of the request: whether it read the rest nobody can know.
        """
        return self.we == We.DONE and self.they == They.DONE and self._keep_alive

    # -- time -----------------------------------------------------------------------------------------------------------------

    def next_deadline(self, now: Instant) -> Instant | None:
        """Until when to wait for bytes, for a wait that begins `now`. None: nothing is due, since the request is being sent.

        The head has a fixed deadline, so that a server can't trickle it. A body must bring something in each wait, however long its
        reader took in between.
        """
        if self.they == They.BODY:
            return Instant(now + self.config.read_timeout)
        return self._deadline if self.they == They.AWAITED else None

    def handle_timeout(self, now: Instant, waited: Duration = Duration(0)) -> list[Heard]:  # noqa: B008 (an int)
        """What the deadline means, or nothing when it has not come. `waited` is how long the last wait for the body was."""
        if self.they == They.BODY:
            if waited < self.config.read_timeout:
                return []
            fault = Fault("The body stopped.", late="read")
        elif self.they != They.AWAITED or self._deadline is None or now < self._deadline:
            return []
        elif self.we == We.HELD:
            self._go()  # RFC 9110 10.1.1: don't wait for ever; a server of 1.0 never says it
            return []
        else:
            fault = Fault("No answer came in time.", late="first byte", unanswered=not self.began)
        self._reader.stop()
        self._move(Move.FAULT)
        return [fault]

    # -- moves ----------------------------------------------------------------------------------------------------------------

    def _go(self) -> None:
        self._deadline = None
        self._move(Move.GO)

    def _move(self, move: Move) -> None:
        """Both machines move, each where its table has it: at least one has."""
        we, they = REQUEST[self.we].get(move), RESPONSE[self.they].get(move)
        assert we is not None or they is not None, (move, self.we, self.they)
        self.we = self.we if we is None else we
        self.they = self.they if they is None else they
