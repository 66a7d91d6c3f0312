"""A proxy that a guest doesn't know of, as a machine: bytes of both sides in, bytes for both sides out, and questions in between.

    relay.from_guest(data)   relay.from_far(data)      b"" is the end of that side
    relay.to_guest           relay.to_far              what is to be sent, until `take`n
    relay.asked              a request that waits for `pass_on`, `answer` or `refuse`

Two strict readers stand back to back: what the guest sends is read as a server reads it (http/h1/reader.py, which refuses all that
could be read in two ways), and written anew. So there is no smuggling through here: framing is ours on both sides, and the next
request is not looked at before the last response is whole. What names a hop is dropped on both sides (RFC 9110 7.6.1).

One connection of the guest is one connection to the far side, and ends with it: what a server thinks of a client's connection stays
true, and no guest's request ever leaves on another's.

An upgrade that is allowed makes a pipe of it. CONNECT is refused by the reader: a guest that wants a proxy of its own wants to hide
where it goes.

Backpressure is the caller's: he receives from a side only while `wants_guest` or `wants_far`, and sends what there is before that.
"""

from __future__ import annotations

from ...errors import UsageError
from ...http.config import HttpClientConfig, HttpConfig, HttpLimits
from ...http.events import Body, Closed, End, Event, Fault, Heard, Interim, RawFields, Refusal, ReplyHead, RequestHead, ResponseHead
from ...http.h1 import const as hc
from ...http.h1.clientconnection import ClientConnection
from ...http.h1.clientstate import They, We
from ...http.h1.connection import ServerConnection
from ...instant import NEVER, SECOND, Duration, Instant

# What is bounded here is memory. Patience is the two ends' own: a poll may be answered after an hour, and an upload has no bound
LIMITS = HttpLimits(body=(1 << 62), drain=0)
SERVER = HttpConfig(
    limits=LIMITS,
    header_timeout=Duration(60 * SECOND),
    body_timeout=Duration(600 * SECOND),
    body_progress=1,
    idle_timeout=Duration(7440 * SECOND),  # RFC 5382 5: two hours and four minutes
    requests=1 << 30,
)
CLIENT = HttpClientConfig(first_byte_timeout=Duration(7440 * SECOND), read_timeout=Duration(7440 * SECOND))
HOP = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"))


class HttpRelay:
    """See the module. Raises nothing on what either side sends. `upgrades` are protocols that may be changed to, in lower case."""

    def __init__(self, now: Instant, upgrades: frozenset[bytes] = frozenset()) -> None:
        self.asked: RequestHead | None = None
        self.over = False  # close both sides, once all is sent
        self.broken = False  # reset both sides
        self.refusal: Refusal | None = None  # what the guest sent that is no request
        self.tunnel = b""  # what it has become
        self.ended = [False, False]  # the guest's side, the far side
        self._server = ServerConnection(SERVER, now)
        self._client = ClientConnection(CLIENT)
        self._upgrades = upgrades
        self._pending: list[Body | End] = []  # of the request, that can't go on yet
        self._to_guest: list[bytes] = []
        self._to_far: list[bytes] = []
        self._last = False  # no request after this one
        self._expects = False  # the guest waits for a 100

    # -- what the caller does -------------------------------------------------------------------------------------------------

    @property
    def wants_guest(self) -> int:
        """How many bytes to receive from the guest, at most; 0: none now."""
        if self.over or self.ended[0] or self.asked is not None or self._pending:
            return 0
        if self.tunnel or self._server.wants_data:
            return 65536
        return max(LIMITS.pipeline - self._server.buffered, 0)  # to hear of its end while the far side takes its time

    @property
    def wants_far(self) -> int:
        return 0 if self.over or self.ended[1] else 262144

    @property
    def to_guest(self) -> bool:
        return bool(self._to_guest)

    @property
    def to_far(self) -> bool:
        return bool(self._to_far)

    def take_guest(self) -> bytes:
        """All that is to be sent to the guest, which then is the caller's business."""
        data = self._to_guest[0] if len(self._to_guest) == 1 else b"".join(self._to_guest)
        self._to_guest.clear()
        return data

    def take_far(self) -> bytes:
        data = self._to_far[0] if len(self._to_far) == 1 else b"".join(self._to_far)
        self._to_far.clear()
        return data

    @property
    def answering(self) -> bool:
        """Has the far side begun an answer, and not ended it?"""
        return self._client.they == They.BODY

    @property
    def lingers(self) -> bool:
        """It is over, and the guest may still be sending: closing at once would reset what was answered (RFC 9112 9.6)."""
        return self.over and not self.broken and not self.ended[0] and self._server.unread

    # -- the guest --------------------------------------------------------------------------------------------------------------

    def from_guest(self, data: bytes, now: Instant) -> None:
        if not data:
            self.ended[0] = True
        if self.tunnel:
            self._pipe(data, self._to_far)
        elif not self.over:
            self._heard_guest(self._server.receive_data(data, now), now)

    def _heard_guest(self, events: list[Event], now: Instant) -> None:
        for event in events:
            if isinstance(event, RequestHead):
                self.asked = event
            elif isinstance(event, Body | End):
                self._pending.append(event)
            elif isinstance(event, Refusal):
                self._refused(event)
            else:
                self.over = True
        self._go_on(now)

    def _refused(self, refusal: Refusal) -> None:
        self.refusal = refusal
        self._pending.clear()
        if self._client.we in (We.IDLE, We.CLOSED):
            self._say(self._server.refuse(refusal))
            self.over = True
        else:  # the far side has half a request: only a reset tells it
            self.over = self.broken = True

    def _go_on(self, now: Instant) -> None:
        """Send on what may go on of the request's body."""
        client = self._client
        while self._pending and client.we == We.BODY and not self.over:
            event = self._pending.pop(0)
            if isinstance(event, Body):
                self._to_far.append(client.body(event.data))
            else:
                self._to_far.append(client.finish(now, _lawful(event.trailers)))
        if self._pending and client.held:  # it did not wait for the 100, so nobody else has to
            self._expects = False
            client.handle_timeout(NEVER)
            self._go_on(now)

    # -- what becomes of a request ----------------------------------------------------------------------------------------------

    def pass_on(self, target: str, host: bytes, fields: RawFields, now: Instant) -> None:
        """Send it to the far side: these fields, without those that name a hop, and this Host. Raises UsageError for what can't be
        said; then nothing was."""
        head = self._asked()
        named = _options(head.fields)
        kept = [
            (name, value) for name, value in fields if name not in HOP and name not in named and name not in (b"host", b"expect")
        ]
        wanted = [token.strip() for token in head.upgrade.split(b",") if token.strip().lower() in self._upgrades]
        if wanted and head.length == 0:
            kept += ((b"connection", b"Upgrade"), (b"upgrade", b", ".join(wanted)))
        elif not head.keep_alive:
            kept.append((b"connection", b"close"))
        if b"te" in named and any(name == b"te" and value.lower().strip() == b"trailers" for name, value in head.fields):
            kept += ((b"te", b"trailers"), (b"connection", b"TE"))
        whole = ((b"host", host), *kept)
        data = self._client.start(head.method, target, whole, head.length, now, expect=head.expects_continue)
        self._to_far.append(data)
        self.asked = None
        self._expects = head.expects_continue
        self._go_on(now)

    def answer(self, status: int, fields: RawFields, body: bytes, now: Instant) -> None:
        """Answer it here. Raises UsageError for what can't be said; then nothing was."""
        head = self._asked()
        named = HOP | {b"content-length"}
        kept = tuple((name, value) for name, value in fields if name.lower() not in named)
        if self._server.client == hc.CLIENT_BODY:  # its body is still to come, and nobody wants it
            self._server.last()
            self._last = True
        self._say(self._server.respond(ResponseHead(status, kept, len(body)), body if head.method != "HEAD" else b""))
        self.asked = None
        self._pending.clear()
        self._next(now)

    def refuse(self, status: int, reason: str) -> None:
        """Answer that it may not be, and close. `reason` is a sentence."""
        self._asked()
        self.asked = None
        self._pending.clear()
        self._say(self._server.refuse(Refusal(status, reason)))
        self.over = True

    def _asked(self) -> RequestHead:
        if self.asked is None:
            raise UsageError("no request waits for an answer")
        return self.asked

    # -- the far side -----------------------------------------------------------------------------------------------------------

    def from_far(self, data: bytes, now: Instant) -> None:
        if not data:
            self.ended[1] = True
        if self.tunnel:
            self._pipe(data, self._to_guest)
        elif not self.over:
            self._heard_far(self._client.receive_data(data, now), now)

    def _heard_far(self, events: list[Heard], now: Instant) -> None:
        server = self._server
        for event in events:
            if self.over:
                return
            if isinstance(event, Body):
                self._say(server.body(event.data))
            elif isinstance(event, Interim):
                if event.status != 100 or self._expects:
                    self._expects = self._expects and event.status != 100
                    self._say(server.send(Interim(event.status, _kept(event.fields))))
                self._go_on(now)
            elif isinstance(event, ReplyHead):
                self._replied(event)
            elif isinstance(event, End):
                self._say(server.finish(_lawful(event.trailers)))
                self._next(now)
            elif isinstance(event, Fault):
                self._faulty(event)
            elif isinstance(event, Closed):
                self.over = True

    def _replied(self, head: ReplyHead) -> None:
        server = self._server
        if head.switched:
            data, rest = server.switch(_kept(head.fields, upgrade=True))
            self._say(data)
            self.tunnel = next((value for name, value in head.fields if name == b"upgrade"), b"?")
            self._pipe(rest, self._to_far)
            self._pipe(self._client.release(), self._to_guest)
            return
        if not head.keep_alive or self._client.we != We.DONE:
            server.last()  # the two connections end together
            self._last = True
        self._say(server.start(head.status, _kept(head.fields), head.length, b""))

    def _faulty(self, fault: Fault) -> None:
        """What the far side sent is no response, or there is none."""
        server = self._server
        if server.begun:
            self.broken = True  # what has gone can't be unsaid: only a cut tells the guest that it is not the whole
        elif not fault.unanswered and server.server == hc.SERVER_OWED:
            self._say(server.refuse(Refusal(502, "The far side's answer is not HTTP.")))
        self.over = True  # and without a word where the far side left without one

    def _next(self, now: Instant) -> None:
        """The response is whole."""
        if self._server.reusable and not self._last and (self._client.reusable or self._client.we == We.IDLE):
            if self._client.we != We.IDLE:
                self._client.next_request()
            self._heard_guest(self._server.next_request(now), now)
        else:
            self.over = True

    # -- both -------------------------------------------------------------------------------------------------------------------

    def _say(self, data: bytes) -> None:
        if data:
            self._to_guest.append(data)

    @staticmethod
    def _pipe(data: bytes, way: list[bytes]) -> None:
        if data:
            way.append(data)

    # -- time -------------------------------------------------------------------------------------------------------------------

    def next_deadline(self, now: Instant) -> Instant | None:
        """When `handle_timeout` is due; None: nothing is."""
        if self.over or self.tunnel:
            return None
        due = [] if self.asked is not None else [self._client.next_deadline(now)]
        if self.wants_guest and self._server.wants_data:
            due.append(self._server.next_deadline(now))
        return min((one for one in due if one is not None), default=None)

    def handle_timeout(self, now: Instant) -> None:
        if self.over or self.tunnel:
            return
        if self.wants_guest and self._server.wants_data:
            self._heard_guest(self._server.handle_timeout(now), now)
        if self._client.they == They.AWAITED:
            held = self._client.held
            self._heard_far(self._client.handle_timeout(now), now)
            if held and not self._client.held and self._expects:
                self._expects = False
                self._say(self._server.send(Interim(100)))
                self._go_on(now)


def _options(fields: RawFields) -> set[bytes]:
    """What Connection names."""
    return {option.strip(b" \t") for name, value in fields if name == b"connection" for option in value.lower().split(b",")}


def _kept(fields: RawFields, upgrade: bool = False) -> RawFields:
    """Without those that name a hop."""
    named = HOP | _options(fields)
    if upgrade:
        named = named - {b"upgrade"}
    return tuple((name, value) for name, value in fields if name not in named)


def _lawful(trailers: RawFields) -> RawFields:
    """Without those that would say how the message is to be read (RFC 9110 6.5.1): whoever has read it has read it already."""
    return tuple((name, value) for name, value in trailers if name not in NEVER_TRAILERS)


NEVER_TRAILERS = frozenset((b"content-length", b"transfer-encoding", b"trailer", b"connection", b"host", b"content-encoding"))
