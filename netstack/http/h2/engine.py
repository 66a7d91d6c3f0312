"""One connection of HTTP/2 (RFC 9113), of either role, without the connection: bytes and instants in, words and bytes out.

    heard = receive_data(bytes, now)      [(stream, word)]: of a server RequestHead, Body …, End or Refusal; of a client Interim,
                                          ResponseHead, Body …, End; of both Reset, and on stream 0 GoingAway, Failed, Closed
    start, body, finish, reset            of a server's response;  request, body, finish, reset of a client's request
    consumed(stream, n, now)              so much of what was heard has been read: the peer may send as much again
    bytes = data_to_send(now)             until there is nothing; each time at most a batch, from all streams in turn
    release(stream)                       nobody asks for the stream any more

The library h2 parses and keeps the states of streams. What is done here: frames are cut and counted before it sees them (guard.py),
so that one frame's fault doesn't lose what came before it; headers are checked as HTTP/1.1's are (fields.py); bodies that don't
fit their Content-Length end their stream and not the connection; GOAWAY is read and written here, because the library is over when
it sees one, and a graceful end only begins there (RFC 9113 6.8).

Flow control: what came is given back to the connection's window at once, and to the stream's when it was consumed. So a stream that
nobody reads stops at its own window, the others go on, and the memory of a connection is bounded by its streams, whose windows grow
as their readers take what comes (windows.py). What is to be sent waits in the stream; frames are made when there is room for them,
never more than a batch ahead of the wire.

Most of what is ever received or sent is DATA in the middle of a body. It takes a short way beside the library, which is told what
it counts; whatever is out of the ordinary with such a frame, down to its padding, takes the long one, and is judged there.
"""

from http import HTTPStatus
from typing import Any

from h2.stream import StreamState as StreamStates

from ...errors import UsageError
from ...instant import Instant
from ..events import Closed, RawFields, Refusal
from . import fields as hf
from . import guard as gd
from . import words as hw
from .base import EVERY_STREAM, FRAME, goaway
from .guard import Fault
from .inbound import Inbound
from .stream import Piece, StreamState

MAY_SEND = frozenset((StreamStates.OPEN, StreamStates.HALF_CLOSED_REMOTE))  # RFC 9113 5.1
SMALL = 1024  # DATA below this, though more is queued, is the peer's window's fault


class Engine(Inbound):
    """See the module. Raises nothing on what the peer sends; UsageError on steps out of turn."""

    # -- what we send ---------------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many more requests a client may have open: none when the server is going away."""
        if self._closed or self.peer_going is not None or self._goaway_by is not None or self._final:
            return 0
        if self._conn.highest_outbound_stream_id >= EVERY_STREAM - 2:
            return 0
        return max(self._conn.remote_settings.max_concurrent_streams - len(self.streams), 0)

    @property
    def settled(self) -> bool:
        """The peer's SETTINGS are here."""
        return self._settings_by is None

    @property
    def extended_connect(self) -> bool:
        """The server takes RFC 8441's CONNECT."""
        return bool(self._conn.remote_settings.enable_connect_protocol)

    def request(
        self,
        method: str,
        scheme: str,
        authority: str,
        target: str,
        fields: RawFields = (),
        *,
        end: bool = False,
        protocol: str = "",
        now: Instant,
    ) -> int:
        """A client's request; its stream. `end`: it has no body. Raises UsageError where there is no `room`."""
        if not self.room:
            raise UsageError("no request can be sent on this connection now (`room` says when)")
        headers = hf.request_list(method, scheme, authority, target, fields, protocol)
        number = int(self._conn.get_next_available_stream_id())
        self._conn.send_headers(number, hf.secret(headers), end_stream=end)
        stream = self._open(number, method, now)
        stream.started = True
        stream.tunnel = bool(protocol)
        stream.finishing = end
        self.requests += 1
        return number

    def interim(self, number: int, status: int, fields: RawFields = ()) -> None:
        """A 1xx response."""
        stream = self._sending(number)
        if stream.started or not 100 <= status < 200 or status == 101:
            raise UsageError(f"an interim response is one of 1xx, comes before the response and switches nothing: not {status}")
        if not stream.closed:
            self._conn.send_headers(number, [(b":status", b"%d" % status), *hf.out_fields(fields)])

    def start(self, number: int, status: int, fields: RawFields, length: int | None, date: bytes, last: bool = False) -> None:
        """The head of a response. `last`: nothing follows it."""
        stream = self._sending(number)
        if stream.started:
            raise UsageError("a response is started once")
        stream.silent = stream.method == "HEAD" or status in (204, 304)
        headers, stream.left = hf.response_list(status, fields, length, stream.silent, date)
        if last and stream.left:
            raise UsageError(f"the body ends {stream.left} bytes before the Content-Length that was announced")
        stream.started = True
        if stream.tunnel and not 200 <= status < 300:
            stream.tunnel = False
        if not stream.closed:
            self._conn.send_headers(number, headers, end_stream=last)
            if last:
                stream.finishing = True
                self._sent_end(stream)

    def body(self, number: int, data: Piece) -> int:
        """Some of a body, kept by reference until it is sent; how many bytes wait now."""
        stream = self._sending(number)
        size = len(data)
        if not stream.started:
            raise UsageError("a body follows the head")
        if not size or stream.silent or stream.closed:
            return stream.queued
        if stream.left is not None:
            if size > stream.left:
                raise UsageError(f"the body goes {size - stream.left} bytes beyond the Content-Length that was announced")
            stream.left -= size
        stream.queue.append(data)
        stream.queued += size
        if number not in self._blocked:
            self._wake(stream)
        return stream.queued

    def finish(self, number: int, trailers: RawFields = ()) -> None:
        """The end of a body. Raises UsageError when announced bytes are missing: then `reset`."""
        stream = self._sending(number)
        if not stream.started:
            raise UsageError("a response ends after it has begun")
        if stream.left and not stream.silent:
            raise UsageError(f"the body ends {stream.left} bytes before the Content-Length that was announced")
        if trailers:
            trailers = tuple(hf.trailer_list(trailers))
        stream.finishing = True
        stream.trailers = trailers
        if number not in self._blocked:
            self._wake(stream)

    def refuse(self, number: int, refusal: Refusal, date: bytes) -> None:
        """The response to a `Refusal`, or a reset where one has begun."""
        stream = self.streams.get(number)
        if stream is None or stream.closed:
            return
        if stream.started:
            self.reset(number, hw.INTERNAL_ERROR if refusal.status >= 500 else hw.CANCEL)
            return
        stream.deaf = True
        text = refusal_text(refusal)
        self.start(number, refusal.status, ((b"content-type", b"text/plain; charset=utf-8"),), len(text), date)
        self.body(number, text)
        self.finish(number)

    def reset(self, number: int, code: int = hw.CANCEL) -> None:
        """End a stream so that the peer sees that it is not whole. Of one that is over: nothing."""
        stream = self.streams.get(number)
        if stream is not None and not stream.closed:
            self._reset_library(number, code)
            self._close(stream)

    def release(self, number: int) -> None:
        """Nobody asks for it any more: what it still brings is dropped, what it still has to send is sent."""
        stream = self.streams.get(number)
        if stream is None:
            return
        stream.held = False
        stream.deaf = True
        if not stream.closed and (not stream.finishing or (self.client and not stream.ended)):
            self.reset(number)
        if stream.closed:
            self._forget(stream)
        elif stream.ended is False and not self._unsent(stream):
            self._sent_end(stream)

    def queued(self, number: int) -> int:
        """Bytes of its body that wait."""
        stream = self.streams.get(number)
        return 0 if stream is None else stream.queued

    def _sending(self, number: int) -> StreamState:
        stream = self.streams.get(number)
        if stream is None:
            raise UsageError("this stream is over")
        if stream.finishing:
            raise UsageError("this side of the stream has ended: nothing can follow")
        return stream

    # -- the wire -------------------------------------------------------------------------------------------------------

    @property
    def wants_to_send(self) -> bool:
        return bool(self._ready or self._out or self._conn._data_to_send)

    def data_to_send(self, now: Instant) -> bytes:
        """What goes on the wire next; b"" when nothing can."""
        ready = self._ready
        room = self.limits.send_batch
        while ready and room > 0:
            stream = ready.popleft()
            stream.waiting = False
            if not stream.closed:
                room -= self._pump(stream, now)
        self._answers = 0
        out = self._out
        if not out:
            return self._conn.data_to_send()
        if self._conn._data_to_send:
            out.append(self._conn.data_to_send())
        data = b"".join(out)
        out.clear()
        return data

    def _pump(self, stream: StreamState, now: Instant) -> int:
        """A frame of `stream`, and its end where that comes behind it."""
        conn = self._conn
        size = 0
        if stream.queued:
            inner: Any = stream.inner
            window = min(conn.outbound_flow_control_window, inner.outbound_flow_control_window)
            if window <= 0:
                self._blocked[stream.number] = stream
                if stream.stalled_at is None:
                    stream.stalled_at, stream.went = now, 0
                return 0
            piece = stream.take(min(window, FRAME))
            size = len(piece)
            more = stream.queued > 0
            last = stream.finishing and not more and not stream.trailers
            if last or inner.state_machine.state not in MAY_SEND:
                conn.send_data(stream.number, piece, last)
            else:
                if conn._data_to_send:
                    self._out.append(conn.data_to_send())  # what was said before
                self._out += (size.to_bytes(3, "big") + b"\0\0" + stream.number.to_bytes(4, "big"), piece)
                conn.outbound_flow_control_window -= size
                inner.outbound_flow_control_window -= size
            if size < SMALL and more:
                try:
                    self._guard.spend(now)
                except Fault as fault:
                    self._fail(fault.code, fault.reason)
                    return size
            else:
                self._guard.control.give(gd.EARNED_BY_DATA)
            if stream.stalled_at is not None:
                stream.went += size
                if not more or stream.went >= self.config.body_progress:
                    stream.stalled_at = None
            if more:
                self._wake(stream)
            elif last:
                self._sent_end(stream)
            if more or last:
                return size
        if stream.finishing:
            if stream.trailers:
                conn.send_headers(stream.number, stream.trailers, end_stream=True)
            else:
                conn.end_stream(stream.number)
            self._sent_end(stream)
        return size

    def _sent_end(self, stream: StreamState) -> None:
        """Our side is whole. A server that has answered needs no more of the request (RFC 9113 8.1)."""
        if not stream.ended:
            if self.client or (stream.tunnel and stream.held):
                return
            self._reset_library(stream.number, hw.NO_ERROR)
        self._close(stream)

    # -- what was read --------------------------------------------------------------------------------------------------

    def consumed(self, number: int, count: int, now: Instant) -> None:
        """`count` bytes of what was heard of the stream have been read."""
        stream = self.streams.get(number)
        if stream is not None:
            stream.unread -= count
            stream.drained = stream.drained or not stream.unread
            self._give(stream, count, now)

    def awaits(self, number: int, now: Instant) -> None:
        """Somebody waits for more of the stream's body from now on: until it comes, its time runs."""
        stream = self.streams.get(number)
        if stream is not None and stream.wait_from is None and not stream.ended and not stream.tunnel:
            stream.wait_from = now
            self._awaited[number] = stream

    def dispose(self) -> None:
        """The connection is over: what it was promised is others' to have."""
        self._growth.give_all()

    # -- where it stands ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Nothing more is read."""
        self._closed = True

    @property
    def finished(self) -> bool:
        """Nothing will follow what `data_to_send` still has."""
        return self._closed or (self._final and not self.streams)

    @property
    def idle(self) -> bool:
        return not self.streams

    def next_deadline(self, now: Instant) -> Instant:
        """When to look at the clock again. Nothing that begins later can be due earlier."""
        config = self.config
        if self.streams or self.client:
            self._busy = True
            when = Instant(now + min(config.send_timeout, config.body_timeout))
        else:
            if self._busy:  # PINGs don't count: who only keeps himself alive is idle
                self._busy = False
                self._idle_by = Instant(now + config.idle_timeout)
            when = self._idle_by
        for other in (self._settings_by, self._ack_by, self._frame_by, self._goaway_by):
            if other is not None and other < when:
                when = other
        for stream in self._blocked.values():
            if stream.stalled_at is not None:
                when = Instant(min(when, stream.stalled_at + config.send_timeout))
        for stream in self._awaited.values():
            if stream.wait_from is not None:
                when = Instant(min(when, stream.wait_from + stream.allowance))
        return when

    def handle_timeout(self, now: Instant) -> list[hw.Heard]:
        """What is due by `now`."""
        heard = self._heard = []
        if self._closed:
            return heard
        config = self.config
        if self._goaway_by is not None and now >= self._goaway_by:
            self._say_last()
        if self._settings_by is not None and now >= self._settings_by:
            self._fail(hw.PROTOCOL_ERROR, "HTTP/2's preface took too long.")
        elif self._frame_by is not None and now >= self._frame_by:
            self._fail(hw.PROTOCOL_ERROR, "A header section took too long.")
        elif self._ack_by is not None and now >= self._ack_by:
            self._fail(hw.SETTINGS_TIMEOUT, "The SETTINGS were not acknowledged.")
        elif not self.streams and not self.client and not self._busy and now >= self._idle_by:
            self._closed = True
            self._out += (self._conn.data_to_send(), goaway(self._conn.highest_inbound_stream_id, hw.NO_ERROR))
            heard.append((0, Closed()))
        if self._closed:
            return heard
        for stream in list(self._awaited.values()):
            if stream.wait_from is not None and now >= stream.wait_from + stream.allowance:
                del self._awaited[stream.number]
                stream.wait_from = None
                if self.client:
                    self._reset_library(stream.number, hw.CANCEL)
                    self._drop(stream, hw.Reset(hw.CANCEL, "The body came too slowly.", False))
                else:
                    stream.deaf = True
                    heard.append((stream.number, Refusal(408, "The body came too slowly.")))
        for stream in list(self._blocked.values()):
            if stream.stalled_at is not None and now >= stream.stalled_at + config.send_timeout:
                self._reset_library(stream.number, hw.CANCEL)
                word = hw.Reset(hw.CANCEL, "The peer's window stayed shut for too long.", False)
                self._drop(stream, word)
        return heard


def refusal_text(refusal: Refusal) -> bytes:
    """The page of an error: our words alone."""
    phrase = HTTPStatus(refusal.status).phrase
    return f"{refusal.status} {phrase}\n{refusal.reason}\n".encode()
