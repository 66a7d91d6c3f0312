"""What the peer sends: bytes to frames, frames past the guard and through the library, its events to our words."""

from typing import Any

from h2.events import (
    DataReceived,
    InformationalResponseReceived,
    PingAckReceived,
    RemoteSettingsChanged,
    RequestReceived,
    ResponseReceived,
    SettingsAcknowledged,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.stream import StreamState as StreamStates

from ...instant import Duration, Instant
from ..events import Body, Closed, End, Interim, Refusal
from ..refused import Refused
from . import fields as hf
from . import guard as gd
from . import words as hw
from .base import EVERY_STREAM, FAREWELL, FRAME, PREFACE, Base
from .guard import Fault
from .stream import StreamState

ENCODER_TABLE = 4096  # whatever the peer offers: it would be our memory
MAY_RECEIVE = frozenset((StreamStates.OPEN, StreamStates.HALF_CLOSED_LOCAL))  # RFC 9113 5.1
WHOLE = End()


class Inbound(Base):
    """The hearing half."""

    def receive_data(self, data: bytes, now: Instant) -> list[hw.Heard]:
        """Bytes that came; b"" when the peer has ended its side, which ends everything."""
        if self._closed:
            return []
        heard = self._heard = []
        if not data:
            self._closed = True
            heard.append((0, Closed()))
            return heard
        if self._buffer:
            data = self._buffer + data
        at = 0
        size = len(data)
        try:
            if self._preface:
                at = self._read_preface(data)
            while size - at >= 9 and not self._closed and not self._preface:
                length = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
                if length > FRAME:
                    raise Fault(hw.FRAME_SIZE_ERROR, "A frame is too long.")
                end = at + 9 + length
                if end > size:
                    break
                stream = int.from_bytes(data[at + 5 : at + 9], "big") & EVERY_STREAM
                if not data[at + 3] and not data[at + 4]:
                    past = self._plain_data(stream, data, at, now)
                    if past > at:
                        at = past
                        continue
                self._frame(data[at + 3], data[at + 4], stream, data[at:end] if at or end < size else data, now)
                at = end
        except Fault as fault:
            self._fail(fault.code, fault.reason)
        self._buffer = data[at:] if at < size else b""
        partial = self._guard.block_of or (self._buffer and not (len(self._buffer) > 3 and self._buffer[3] == gd.DATA))
        if not partial:
            self._frame_by = None
        elif self._frame_by is None:
            self._frame_by = Instant(now + self.config.header_timeout)
        self._busy = self._busy or bool(self.streams)
        return heard

    def _read_preface(self, data: bytes) -> int:
        size = min(len(data), len(PREFACE))
        if data[:size] != PREFACE[:size]:
            raise Fault(hw.PROTOCOL_ERROR, "The connection did not begin with HTTP/2's preface.")
        if size < len(PREFACE):
            return 0
        self._preface = b""
        self._conn.receive_data(PREFACE)
        return size

    def _frame(self, kind: int, flags: int, stream: int, frame: bytes, now: Instant) -> None:
        """One whole frame."""
        self._guard.frame(kind, flags, stream, len(frame) - 9, now)
        if self._settings_by is not None:
            if kind != gd.SETTINGS or flags & gd.ACK:
                raise Fault(hw.PROTOCOL_ERROR, "The first frame is not SETTINGS.")  # RFC 9113 3.4
            self._settings_by = None
        conn = self._conn
        if kind == gd.DATA:
            known = self.streams.get(stream)
            if known is None or known.closed:
                self._answer()
                self._guard.spend(now)
            elif known.expected is not None and not known.ended:
                self._check_length(known, flags, frame, now)
        elif kind == gd.GOAWAY:
            self._goaway(stream, frame)
            return
        elif kind == gd.RST_STREAM:
            if stream > (conn.highest_outbound_stream_id if stream & 1 == self.client else conn.highest_inbound_stream_id):
                raise Fault(hw.PROTOCOL_ERROR, "A stream was reset that was never opened.")  # RFC 9113 6.4
            if stream not in self.streams:
                self._guard.spend(now)
        elif kind == gd.PING or kind == gd.SETTINGS:
            if kind == gd.SETTINGS and flags & gd.ACK and len(frame) > 9:
                raise Fault(hw.FRAME_SIZE_ERROR, "An acknowledgement of SETTINGS has settings.")  # RFC 9113 6.5
            self._answer()
        elif kind == gd.CONTINUATION or kind == gd.HEADERS:
            conn.live = len(self.streams)
        try:
            events = conn.receive_data(frame)
        except ProtocolError as error:
            code = int(error.error_code)
            self._closed = True  # the library has said GOAWAY itself
            self._tell_failure(code, f"The peer broke the protocol: {hw.NAMES.get(code, 'UNKNOWN')}.")
            return
        for event in events:
            act = _ACTS.get(type(event))
            if act is not None:
                act(self, event, now)

    def _answer(self) -> None:
        """The library will put an answer to this frame into its buffer."""
        self._answers += 1
        if self._answers > self.limits.queued_answers:
            raise Fault(hw.ENHANCE_YOUR_CALM, "Too many answers wait for a peer that doesn't read them.")

    def _check_length(self, known: StreamState, flags: int, frame: bytes, now: Instant) -> None:
        """RFC 9113 8.1.1, before the library ends the connection for it."""
        size = len(frame) - 9
        if flags & gd.PADDED and size:
            size -= 1 + frame[9]
        total = known.received + size
        assert known.expected is not None
        if total > known.expected or (flags & gd.END_STREAM and total != known.expected):
            self._malformed(known, "The body is not as long as its Content-Length says.", now)

    def _goaway(self, stream: int, frame: bytes) -> None:
        """RFC 9113 6.8."""
        if stream:
            raise Fault(hw.PROTOCOL_ERROR, "GOAWAY came on a stream.")
        if len(frame) < 17:
            raise Fault(hw.FRAME_SIZE_ERROR, "GOAWAY is too short.")
        last = int.from_bytes(frame[9:13], "big") & EVERY_STREAM
        code = int.from_bytes(frame[13:17], "big")
        if self.peer_going is not None and last > self.peer_going.last_stream:
            raise Fault(hw.PROTOCOL_ERROR, "GOAWAY goes back on an earlier one.")
        self.peer_going = hw.GoingAway(last, code)
        self._heard.append((0, self.peer_going))
        if self.client:
            for number in [number for number in self.streams if number > last]:
                self._drop(self.streams[number], hw.Reset(hw.REFUSED_STREAM, "The server is going away.", True, processed=False))

    # -- the library's events -------------------------------------------------------------------------------------------

    def _request(self, event: RequestReceived, now: Instant) -> None:
        number = event.stream_id
        conn = self._conn
        if number > self._last_taken:
            self._reset_library(number, hw.REFUSED_STREAM)
            return
        if len(self.streams) >= self.limits.concurrent_streams:
            self._reset_library(number, hw.REFUSED_STREAM)  # RFC 9113 5.1.2
            self._guard.reset(now)
            return
        ended = event.stream_ended is not None
        self._guard.control.give(gd.EARNED_BY_REQUEST)
        try:
            head = self._reader.read(event.headers, ended)
        except hf.Malformed as error:
            self._reset_library(number, hw.PROTOCOL_ERROR)
            self._heard.append((number, hw.Reset(hw.PROTOCOL_ERROR, str(error), False)))
            self._guard.reset(now)
            return
        except Refused as error:
            method = dict(event.headers).get(b":method", b"")
            stream = self._open(number, "HEAD" if method == b"HEAD" else "", now)
            stream.ended = ended
            stream.deaf = True
            stream.held = False
            self._heard.append((number, Refusal(error.status, error.reason)))
            return
        self.requests += 1
        stream = StreamState(number, conn.streams[number], head.method, self.config.body_timeout, self.limits.stream_window, now)
        self.streams[number] = stream
        stream.expected = head.length
        stream.ended = ended
        stream.tunnel = bool(head.upgrade)
        heard = self._heard
        heard.append((number, head))
        if ended:
            heard.append((number, WHOLE))
        if self.requests >= self.limits.requests:
            self.shutdown(now)

    def _response(self, event: ResponseReceived, now: Instant) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        try:
            head = hf.read_response(event.headers)
        except hf.Malformed as error:
            self._malformed(stream, str(error), now)
            return
        silent = stream.method == "HEAD" or head.status in (204, 304)
        stream.expected = 0 if silent else head.length
        stream.ended = event.stream_ended is not None
        if stream.ended and stream.expected:
            self._malformed(stream, "The response has no body, and a Content-Length.", now)
            return
        if stream.tunnel and 200 <= head.status < 300:
            stream.expected = None
        self._heard.append((stream.number, head))
        if stream.ended:
            self._end(stream, WHOLE)

    def _interim(self, event: InformationalResponseReceived, now: Instant) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        self._guard.spend(now)  # RFC 9110 15.2 has no bound for how many come before the response
        try:
            head = hf.read_response(event.headers)
        except hf.Malformed as error:
            self._malformed(stream, str(error), now)
            return
        self._heard.append((stream.number, Interim(head.status, head.fields)))

    def _plain_data(self, number: int, data: bytes, at: int, now: Instant) -> int:
        """The short way: whole frames of DATA for one stream, one behind the other, without flags, each where it may be and within
        its windows. Gives where they end, which is `at` when the frame that begins there is none of them."""
        stream = self.streams.get(number)
        if stream is None or stream.closed or stream.ended or self._guard.block_of or self._settings_by is not None:
            return at
        inner: Any = stream.inner
        machine = inner.state_machine
        if machine.state not in MAY_RECEIVE or not machine.headers_received:
            return at
        here, there = self._conn._inbound_flow_control_window_manager, inner._inbound_window_manager
        room = min(here.current_window_size, there.current_window_size)
        if stream.expected is not None:
            room = min(room, stream.expected - stream.received)
        head = data[at + 3 : at + 9]
        pieces: list[memoryview] = []
        view, size = memoryview(data), 0
        while True:
            length = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
            end = at + 9 + length
            if not length or length > FRAME or size + length > room or end > len(data):
                break
            pieces.append(view[at + 9 : end])
            size += length
            at = end
            if data[at + 3 : at + 9] != head:
                break
        if size:
            here.current_window_size -= size
            there.current_window_size -= size
            inner._actual_content_length += size
            self._give_connection(size)
            self._take(stream, b"".join(pieces), now)
        return at

    def _give_connection(self, count: int) -> None:
        self._credit += count
        if self._credit * 2 >= self.limits.connection_window:
            self._conn.increment_flow_control_window(self._credit)
            self._credit = 0

    def _data(self, event: DataReceived, now: Instant) -> None:
        size = event.flow_controlled_length
        self._give_connection(size)
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        data = event.data
        ended = event.stream_ended is not None
        if not data and not ended:
            self._guard.spend(now)
        if ended:
            stream.ended = True
        if size > len(data):
            self._give(stream, size - len(data), now)
        if data:
            self._take(stream, data, now)
        if ended:
            self._end(stream, WHOLE)

    def _take(self, stream: StreamState, data: bytes, now: Instant) -> None:
        """Some of a body."""
        stream.received += len(data)
        if stream.deaf:
            return
        if not self.client and not stream.tunnel and stream.received > self.config.limits.body:
            stream.deaf = True
            self._heard.append((stream.number, Refusal(413, "The body is too large.")))
            return
        if stream.wait_from is not None:
            stream.allowance = Duration(stream.allowance - (now - stream.wait_from))
            stream.wait_from = None
            del self._awaited[stream.number]
        stream.progress += len(data)
        if stream.progress >= self.config.body_progress:
            stream.progress = 0
            stream.allowance = self.config.body_timeout
        elif stream.allowance <= 0 and not stream.ended:  # it trickles: each wait was short, and no deadline was looked at
            stream.deaf = True
            self._heard.append((stream.number, Refusal(408, "The body came too slowly.")))
            return
        stream.unread += len(data)
        self._heard.append((stream.number, Body(data)))

    def _trailers(self, event: TrailersReceived, now: Instant) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        try:
            trailers = hf.read_plain(event.headers)
            if sum(len(name) + len(value) + 4 for name, value in trailers) > self.config.limits.trailer_section:
                raise hf.Malformed("The trailers are too long.")
            if stream.expected is not None and stream.received != stream.expected:
                raise hf.Malformed("The body is not as long as its Content-Length says.")
        except hf.Malformed as error:
            self._malformed(stream, str(error), now)
            return
        stream.ended = True
        self._end(stream, End(trailers))

    def _end(self, stream: StreamState, end: End) -> None:
        """The peer's side is whole."""
        if self._awaited.pop(stream.number, None) is not None:
            stream.wait_from = None
        if not stream.deaf:
            self._heard.append((stream.number, end))
        if stream.finishing and not stream.queued and not self._unsent(stream):
            self._close(stream)

    def _was_reset(self, event: StreamReset, now: Instant) -> None:
        stream = self.streams.get(event.stream_id or 0)
        if stream is None or stream.closed:
            return
        code = int(event.error_code)
        remote = event.remote_reset
        reason = "The peer reset the stream." if remote else "The peer broke the rules of windows."
        self._drop(stream, hw.Reset(code, reason, remote, processed=code != hw.REFUSED_STREAM))
        if not self.client:
            self._guard.reset(now)

    def _window(self, event: WindowUpdated, now: Instant) -> None:
        if event.stream_id:
            stream = self._blocked.pop(event.stream_id, None)
            if stream is not None:
                self._wake(stream)
        else:
            self._wake_all()

    def _settings(self, event: RemoteSettingsChanged, now: Instant) -> None:
        if self._conn.encoder.header_table_size > ENCODER_TABLE:
            self._conn.encoder.header_table_size = ENCODER_TABLE
        self._wake_all()

    def _acknowledged(self, event: SettingsAcknowledged, now: Instant) -> None:
        self._ack_by = None

    def _ponged(self, event: PingAckReceived, now: Instant) -> None:
        if event.ping_data == FAREWELL and self._goaway_by is not None:
            self._say_last()


_ACTS: dict[type, Any] = {
    RequestReceived: Inbound._request,
    ResponseReceived: Inbound._response,
    InformationalResponseReceived: Inbound._interim,
    DataReceived: Inbound._data,
    TrailersReceived: Inbound._trailers,
    StreamReset: Inbound._was_reset,
    WindowUpdated: Inbound._window,
    RemoteSettingsChanged: Inbound._settings,
    SettingsAcknowledged: Inbound._acknowledged,
    PingAckReceived: Inbound._ponged,
}
