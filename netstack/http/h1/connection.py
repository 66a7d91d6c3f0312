"""One server-side connection, without the connection: bytes and instants in, events, bytes and deadlines out.

The turn of it, for each request:

    events = receive_data(bytes, now)          RequestHead, Body …, End, and never anything of the next request
    bytes = send(ResponseHead(…), date)        then send(Body(…)) …, send(End()); or all at once: respond(…)
    events = next_request(now)                 when `reusable`: what the client has pipelined meanwhile, or nothing yet

On a `Refusal`, send what `refuse` gives and close. On `Closed`, close. Before each wait for bytes ask `next_deadline(now)`; when it
has come, `handle_timeout(now)`.

Pipelining costs nothing and needs no queue of responses: the next request is not looked at before this response is whole, so they
can't come out of order, and one connection never keeps more than one handler busy.

A response may end before its request does. Then the rest of the body is read and dropped, up to a bound (`draining`), so that the
connection can be used again; beyond the bound it must close.
"""

from ...errors import UsageError
from ...instant import Duration, Instant
from ..config import HttpConfig
from ..events import Body, Closed, End, Event, RawFields, Refusal, RequestHead, ResponseHead, Sent
from . import const as hc
from .reader import Reader
from .state import REQUEST, RESPONSE, Server, Step, flat
from .writer import Writer, field_lines, status_line

REQUESTS = flat(REQUEST)
RESPONSES = flat(RESPONSE)


class ServerConnection:
    """See the module. Raises nothing on what the client sends; UsageError on steps out of turn."""

    __slots__ = (
        "client", "server", "config", "requests",
        "_reader", "_writer", "_method", "_minor", "_keep_alive", "_last", "_owes_continue",
        "_deadline", "_wait_from", "_allowance", "_progress", "_unread", "_drained",
    )  # fmt: skip

    def __init__(self, config: HttpConfig, now: Instant) -> None:
        self.config = config
        self.client = hc.CLIENT_IDLE
        self.server = hc.SERVER_IDLE
        self.requests = 0
        self._reader = Reader(config.limits)
        self._writer = Writer()
        self._method = ""
        self._minor = 1
        self._keep_alive = True
        self._last = False
        self._owes_continue = False
        self._deadline = Instant(now + config.header_timeout)  # of the header section, or of the idle wait before it
        self._wait_from: Instant | None = None  # the wait for a body that goes on, and what it may still take
        self._allowance = config.body_timeout
        self._progress = 0
        self._unread: int | None = 0  # of a sized request body
        self._drained = 0

    # -- what the client sends ------------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes, now: Instant) -> list[Event]:
        """Bytes that came; b"" when the client has ended its side.

        More than `limits.pipeline` bytes beyond the request that is being served are a UsageError: don't receive while
        `wants_data` is False.
        """
        if self.client == hc.CLIENT_DONE and self._reader.buffered + len(data) > max(self.config.limits.pipeline, len(data)):
            raise UsageError("the request being served is complete: answer it, then receive (`wants_data` says when)")
        if self._wait_from is not None:
            self._allowance = Duration(self._allowance - (now - self._wait_from))
            self._wait_from = None
        was_reading_head = self._reader.mid_head
        events = self._follow(self._reader.feed(data))
        if self.client == hc.CLIENT_IDLE and not was_reading_head and self._reader.mid_head and self.requests:
            self._deadline = Instant(now + self.config.header_timeout)
        return events

    def next_request(self, now: Instant) -> list[Event]:
        """On to the next request of a `reusable` connection; what came of it already."""
        if not self.reusable:
            raise UsageError("this connection can't serve another request: close it")
        self._step(hc.NEXT)
        events = self._follow(self._reader.resume())
        timeout = self.config.header_timeout if self._reader.mid_head else self.config.idle_timeout
        self._deadline = Instant(now + timeout)
        return events

    def _follow(self, events: list[Event]) -> list[Event]:
        """Take the steps that the events mean."""
        kept: list[Event] = []
        for event in events:
            if isinstance(event, Body):
                self._owes_continue = False
                size = len(event.data)
                self._progress += size
                if self._unread is not None:
                    self._unread -= size
                if self._progress >= self.config.body_progress:
                    self._progress = 0
                    self._allowance = self.config.body_timeout
                if self.server == hc.SERVER_DONE:
                    self._drained += size
                    if self._drained > self.config.limits.drain:
                        self._keep_alive = False
                    continue
            elif isinstance(event, RequestHead):
                self._step(hc.HEAD)
                self.requests += 1
                self._method = event.method
                self._minor = event.version[1]
                self._keep_alive = event.keep_alive and self.requests < self.config.requests
                self._owes_continue = event.expects_continue
                self._unread = event.length
                self._allowance = self.config.body_timeout
                self._progress = self._drained = 0
            elif isinstance(event, End):
                self._owes_continue = False
                self._step(hc.END)
                if self.server == hc.SERVER_DONE:
                    continue
            elif isinstance(event, Refusal):
                if self.server == hc.SERVER_IDLE:
                    self._method, self._minor = "", 1  # nothing is known of this request: what is remembered is the last one's
                self._step(hc.REFUSE)
            else:
                self._step(hc.EOF)
            kept.append(event)
        return kept

    # -- what we send -------------------------------------------------------------------------------------------------------

    def send(self, event: Sent, date: bytes = b"") -> bytes:
        """The bytes of `event`, which may be none. `date` goes into a `ResponseHead`, unless it has one of its own."""
        if isinstance(event, Body):
            return self.body(event.data)
        if isinstance(event, ResponseHead):
            return self.start(event.status, event.fields, event.length, date)
        if isinstance(event, End):
            return self.finish(event.trailers)
        self._check(hc.INTERIM)
        if not 100 <= event.status < 200 or event.status == 101:
            raise UsageError(f"an interim response is one of 1xx and does not switch protocols: not {event.status}")
        self._owes_continue = False
        if not self._minor:
            return b""  # RFC 9110 15.2: a client of HTTP/1.0 must not be sent any
        return status_line(event.status) + field_lines(event.fields) + b"\r\n"

    def start(self, status: int, fields: RawFields, length: int | None, date: bytes) -> bytes:
        """`send` of a `ResponseHead`, without making one."""
        self._check(hc.START)
        # RFC 9110 10.1.1: who answers at once instead of asking for the body can't know whether it comes
        keep_alive = self._keep_alive and not self._last and not self._owes_continue and self.client != hc.CLIENT_BROKEN
        data = self._writer.start(status, fields, length, self._method, self._minor, keep_alive, date)
        self._keep_alive = not self._writer.close
        self._step(hc.START)
        return data

    def body(self, data: bytes) -> bytes:
        """`send` of a `Body`."""
        if self.server != hc.SERVER_BODY:
            raise UsageError("a body follows the head of a response")
        return self._writer.body(data)

    def span(self, count: int) -> tuple[bytes, bytes]:
        """What goes before and behind `count` bytes of the body that don't pass through here: a file's."""
        if self.server != hc.SERVER_BODY:
            raise UsageError("a body follows the head of a response")
        return self._writer.span(count)

    def finish(self, trailers: RawFields = ()) -> bytes:
        """`send` of an `End`."""
        self._check(hc.FINISH)
        data = self._writer.finish(trailers)
        self._step(hc.FINISH)
        if self.client == hc.CLIENT_BODY and (self._unread or 0) > self.config.limits.drain:
            self._keep_alive = False
        return data

    def switch(self, fields: RawFields) -> tuple[bytes, bytes]:
        """Speak something else from now on: the 101 that says so (RFC 9110 15.2.2), and what the client has sent of it already.
        Only after the whole request."""
        if self.client != hc.CLIENT_DONE or self.server != hc.SERVER_OWED:
            raise UsageError("protocols are switched after a whole request, and before its response")
        rest = self._reader.release()
        self._step(hc.CLOSE)
        return status_line(101) + b"Connection: Upgrade\r\n" + field_lines(fields) + b"\r\n", rest

    def respond(self, head: ResponseHead, data: bytes, date: bytes = b"") -> bytes:
        """A whole response at once. `head.length` is `len(data)`."""
        parts = self.send(head, date)
        try:
            return parts + self.send(Body(data)) + self.send(End())
        except UsageError:
            self.close()
            raise

    def refuse(self, refusal: Refusal, date: bytes = b"") -> bytes:
        """The response to a `Refusal`, or nothing where one has begun: then only closing tells the client. Then close."""
        if self.server != hc.SERVER_OWED:
            return b""
        text = status_line(refusal.status)[9:-2] + b"\n" + refusal.reason.encode() + b"\n"
        fields = ((b"Content-Type", b"text/plain; charset=utf-8"), (b"Connection", b"close"))
        return self.respond(ResponseHead(refusal.status, fields, len(text)), text, date)

    def last(self) -> None:
        """No request after this one: the next head that is sent says so."""
        self._last = True

    def close(self) -> None:
        """Nothing more is read or sent."""
        self._step(hc.CLOSE)
        self._reader.stop()

    # -- where it stands -----------------------------------------------------------------------------------------------------

    @property
    def buffered(self) -> int:
        """Bytes of later requests that came already."""
        return self._reader.buffered

    @property
    def wants_data(self) -> bool:
        """Would more bytes lead to anything?"""
        return self.client == hc.CLIENT_IDLE or self.client == hc.CLIENT_BODY

    @property
    def owes_continue(self) -> bool:
        """The client waits for `Interim(100)`, and has not begun its body anyway. Send it before waiting for the body."""
        return self._owes_continue and self.server == hc.SERVER_OWED

    @property
    def silent(self) -> bool:
        """The response that has begun has no body, whatever is sent: HEAD, 204, 304."""
        return self._writer.silent

    @property
    def begun(self) -> bool:
        """Some of the response has gone, and not all: nothing else can be answered."""
        return self.server in (hc.SERVER_BODY, hc.SERVER_CLOSED)

    @property
    def draining(self) -> bool:
        """The response is whole, the request isn't, and it is worth while to wait for the rest."""
        return self.server == hc.SERVER_DONE and self.client == hc.CLIENT_BODY and self._keep_alive and not self._last

    @property
    def reusable(self) -> bool:
        """Both sides are done, and another request may come.

        Not when either side asked to close (`Connection: close`, HTTP/1.0, a body that only the end of the stream delimits, the
        bound on requests), and not when the request did not end: where the next one begins is then unknown.
        """
        return self.server == hc.SERVER_DONE and self.client == hc.CLIENT_DONE and self._keep_alive and not self._last

    @property
    def idle(self) -> bool:
        """Between two requests, with nothing of the next one here."""
        return self.client == hc.CLIENT_IDLE and not self._reader.mid_head

    @property
    def unread(self) -> bool:
        """Are there bytes of the client that nobody will read? Closing at once would reset the response on its way."""
        return self.client in (hc.CLIENT_BODY, hc.CLIENT_BROKEN) or self._reader.buffered > 0

    # -- time ---------------------------------------------------------------------------------------------------------------

    def next_deadline(self, now: Instant) -> Instant | None:
        """Until when to wait for bytes, for a wait that begins `now`. None: it isn't the client for whom we wait.

        Header sections and idling have fixed deadlines. A body has an allowance, which runs down only while we wait: a handler
        that takes its time between two reads is not the client's fault.
        """
        if self.client == hc.CLIENT_IDLE:
            return self._deadline
        if self.client == hc.CLIENT_BODY:
            if self._wait_from is None:
                self._wait_from = now
            return Instant(self._wait_from + self._allowance)
        return None

    def handle_timeout(self, now: Instant) -> list[Event]:
        """What the deadline means, or nothing when it has not come."""
        deadline = self.next_deadline(now)
        if deadline is None or now < deadline:
            return []
        event: Event
        if self.idle:
            event = Closed()
        elif self.client == hc.CLIENT_IDLE:
            event = Refusal(408, "The header section took too long.")
        else:
            event = Refusal(408, "The body came too slowly.")
        self._reader.stop()
        return self._follow([event])

    # -- steps --------------------------------------------------------------------------------------------------------------

    def _check(self, step: int) -> None:
        if RESPONSES[self.server * hc.STEPS + step] == hc.NOWHERE:
            raise UsageError(f"{Step(step).name} is out of turn: this side of the connection is {Server(self.server).name}")

    def _step(self, step: int) -> None:
        """Both machines take the step, each where its table has it: at least one has."""
        request = REQUESTS[self.client * hc.STEPS + step]
        response = RESPONSES[self.server * hc.STEPS + step]
        assert request != hc.NOWHERE or response != hc.NOWHERE, (step, self.client, self.server)
        if request != hc.NOWHERE:
            self.client = request
        if response != hc.NOWHERE:
            self.server = response
