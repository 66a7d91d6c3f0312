"""One connection of HTTP/2 (RFC 9113), of either role, without the connection: bytes and instants in, words, bytes and deadlines out.

    heard = receive_data(bytes, now)      [(stream, word)]: of a server RequestHead, Body …, End or Refusal; of a client Interim,
                                          ResponseHead, Body …, End; of both Reset, and on stream 0 GoingAway, Failed, Closed
    start, body, finish, reset            of a server's response;  request, body, finish, reset of a client's request
    consumed(stream, n)                   so much of what was heard has been read: the peer may send as much again
    bytes = data_to_send(now)             until there is nothing; each time at most a batch, from all streams in turn
    release(stream)                       nobody asks for the stream any more

The library h2 parses and keeps the states of streams. What is done here: frames are cut and counted before it sees them (guard.py),
so that one frame's fault doesn't lose what came before it; headers are checked as HTTP/1.1's are (fields.py); bodies that don't
fit their Content-Length end their stream and not the connection; GOAWAY is read and written here, because the library is over when
it sees one, and a graceful end only begins there (RFC 9113 6.8).

Flow control: what came is given back to the connection's window at once, and to the stream's when it was consumed. So a stream that
nobody reads stops at its own window, the others go on, and the memory of a connection is bounded by its streams. What is to be sent
waits in the stream; frames are made when there is room for them, never more than a batch ahead of the wire.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
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
from h2.settings import SettingCodes, Settings

from ...errors import UsageError
from ...instant import Duration, Instant
from ..config import HttpConfig
from ..events import Body, Closed, End, Interim, RawFields, Refusal, RequestHead
from ..refused import Refused
from . import fields as hf
from . import guard as gd
from . import words as hw
from .blocks import BlockDecoder, BlockEncoder
from .guard import Fault, Guard
from .stream import Piece, StreamState

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME = 16384  # RFC 9113 4.2: what everybody takes, and what we say that we take
ENCODER_TABLE = 4096  # whatever the peer offers: it would be our memory
EVERY_STREAM = (1 << 31) - 1
FAREWELL = b"farewell"  # of the PING between the two GOAWAYs
SMALL = 1024  # DATA below this, though more is queued, is the peer's window's fault
WHOLE = End()
NEVER = Instant(1 << 62)


class _Library(H2Connection):
    """The library, told what it would bound otherwise or not at all."""

    MAX_CLOSED_STREAMS = 1024  # how many are remembered for whether they were reset; its 65536 are megabytes for a stranger

    @property
    def open_inbound_streams(self) -> int:
        """None, as far as its own bound goes: it ends the connection where RFC 9113 5.1.2 lets one refuse the stream. Asked at
        each new stream, when it drops those that are closed; which is a walk over all, so it is left to when it pays."""
        if len(self.streams) > 2 * self.live + 16:
            self._open_streams(1)
        return 0

    live = 0


class Engine:
    """See the module. Raises nothing on what the peer sends; UsageError on steps out of turn."""

    def __init__(self, config: HttpConfig, now: Instant, client: bool = False) -> None:
        self.config = config
        self.limits = limits = config.http2
        self.client = client
        self.streams: dict[int, StreamState] = {}
        self.requests = 0
        self.failure: hw.Failed | None = None
        self.peer_going: hw.GoingAway | None = None
        self._guard = Guard(limits, now)
        self._reader = hf.RequestReader(config.limits)
        self._buffer = b""
        self._preface = b"" if client else PREFACE
        self._heard: list[hw.Heard] = []
        self._out: list[bytes] = []
        self._answers = 0  # that may lie in the library's buffer
        self._ready: deque[StreamState] = deque()
        self._blocked: dict[int, StreamState] = {}  # by a window
        self._awaited: dict[int, StreamState] = {}  # somebody waits for their body
        self._credit = 0  # of the connection's window
        self._closed = False  # nothing more is to be read
        self._final = False  # the second GOAWAY was sent
        self._last_taken = EVERY_STREAM
        self._settings_by: Instant | None = Instant(now + config.header_timeout)
        self._ack_by: Instant | None = Instant(now + limits.settings_timeout)
        self._frame_by: Instant | None = None
        self._goaway_by: Instant | None = None
        self._idle_by = Instant(now + config.idle_timeout)
        self._busy = False  # there were streams when the clock was last looked at
        self._conn = self._begin()

    def _begin(self) -> _Library:
        limits = self.limits
        conn = _Library(
            H2Configuration(
                client_side=self.client,
                header_encoding=None,
                validate_outbound_headers=False,  # fields.py does, both ways
                normalize_outbound_headers=False,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
            )
        )
        values = {
            SettingCodes.HEADER_TABLE_SIZE: 4096,
            SettingCodes.INITIAL_WINDOW_SIZE: limits.stream_window,
            SettingCodes.MAX_FRAME_SIZE: FRAME,
            SettingCodes.MAX_HEADER_LIST_SIZE: limits.header_block,
        }
        if self.client:
            values[SettingCodes.ENABLE_PUSH] = 0
        else:
            values[SettingCodes.MAX_CONCURRENT_STREAMS] = limits.concurrent_streams
            values[SettingCodes.ENABLE_CONNECT_PROTOCOL] = 1  # RFC 8441 3
        conn.local_settings = Settings(client=self.client, initial_values=values)
        conn.max_inbound_frame_size = FRAME
        conn.decoder, conn.encoder = BlockDecoder(), BlockEncoder()
        conn.decoder.max_header_list_size = limits.header_block
        conn.initiate_connection()
        if limits.connection_window > 65535:
            conn.increment_flow_control_window(limits.connection_window - 65535)
        return conn

    # -- what the peer sends ---------------------------------------------------------------------------------------------------

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
            while size - at >= 9 and not self._closed:
                length = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
                if length > FRAME:
                    raise Fault(hw.FRAME_SIZE_ERROR, "A frame is too long.")
                end = at + 9 + length
                if end > size:
                    break
                stream = int.from_bytes(data[at + 5 : at + 9], "big") & EVERY_STREAM
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
            elif known.expected is not None:
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
            head = self._reader.read(event.headers, ended)  # type: ignore[arg-type]  # bytes, by header_encoding
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
        stream = StreamState(number, conn.streams[number], head.method, self.config.body_timeout)
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

    def _open(self, number: int, method: str, now: Instant) -> StreamState:
        stream = StreamState(number, self._conn.streams[number], method, self.config.body_timeout)
        self.streams[number] = stream
        return stream

    def _response(self, event: ResponseReceived, now: Instant) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        try:
            head = hf.read_response(event.headers)  # type: ignore[arg-type]
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
            head = hf.read_response(event.headers)  # type: ignore[arg-type]
        except hf.Malformed as error:
            self._malformed(stream, str(error), now)
            return
        self._heard.append((stream.number, Interim(head.status, head.fields)))

    def _data(self, event: DataReceived, now: Instant) -> None:
        size = event.flow_controlled_length
        self._credit += size
        if self._credit * 2 >= self.limits.connection_window:
            self._conn.increment_flow_control_window(self._credit)
            self._credit = 0
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
            self._give(stream, size - len(data))
        if data:
            stream.received += len(data)
            if stream.deaf:
                return
            if not self.client and not stream.tunnel and stream.received > self.config.limits.body:
                stream.deaf = True
                self._heard.append((stream.number, Refusal(413, "The body is too large.")))
                return
            stream.unread += len(data)
            if stream.wait_from is not None:
                stream.allowance = Duration(stream.allowance - (now - stream.wait_from))
                stream.wait_from = None
                del self._awaited[stream.number]
            stream.progress += len(data)
            if stream.progress >= self.config.body_progress:
                stream.progress = 0
                stream.allowance = self.config.body_timeout
            self._heard.append((stream.number, Body(data)))
        if ended:
            self._end(stream, WHOLE)

    def _trailers(self, event: TrailersReceived, now: Instant) -> None:
        stream = self.streams.get(event.stream_id)
        if stream is None:
            return
        try:
            trailers = hf.read_plain(event.headers)  # type: ignore[arg-type]
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
        self._drop(stream, hw.Reset(code, "The peer reset the stream." if remote else "The peer broke the rules of windows.", remote,
                                    processed=code != hw.REFUSED_STREAM))  # fmt: skip
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

    # -- faults ----------------------------------------------------------------------------------------------------------------

    def _fail(self, code: int, reason: str) -> None:
        """The connection can't go on: GOAWAY says why (RFC 9113 5.4.1)."""
        if not self._closed:
            self._closed = True
            self._out.append(self._conn.data_to_send())
            self._out.append(goaway(self._conn.highest_inbound_stream_id, code))
            self._tell_failure(code, reason)

    def _tell_failure(self, code: int, reason: str) -> None:
        self.failure = hw.Failed(code, reason)
        self._heard.append((0, self.failure))
        self._ready.clear()

    def _malformed(self, stream: StreamState, reason: str, now: Instant) -> None:
        self._reset_library(stream.number, hw.PROTOCOL_ERROR)
        self._drop(stream, hw.Reset(hw.PROTOCOL_ERROR, reason, False))
        self._guard.reset(now)

    def _reset_library(self, number: int, code: int) -> None:
        try:
            self._conn.reset_stream(number, code)
        except ProtocolError:
            pass  # it is closed on the library's side already

    def _drop(self, stream: StreamState, word: hw.Reset) -> None:
        """It is over, whoever said so."""
        self._close(stream)
        if stream.held:
            self._heard.append((stream.number, word))

    def _close(self, stream: StreamState) -> None:
        stream.closed = True
        stream.queue.clear()
        stream.queued = 0
        self._blocked.pop(stream.number, None)
        self._awaited.pop(stream.number, None)
        if not stream.held:
            self.streams.pop(stream.number, None)

    # -- what we send ------------------------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many more requests a client may have open: none when the server is going away."""
        if self._closed or self.peer_going is not None or self._goaway_by is not None or self._final:
            return 0
        if self._conn.highest_outbound_stream_id >= EVERY_STREAM - 2:
            return 0
        return max(self._conn.remote_settings.max_concurrent_streams - len(self.streams), 0)

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
            raise UsageError(f"an interim response is one of 1xx, comes before the response, and switches no protocol: not {status}")
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
            if stream.left:
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
            self.streams.pop(number, None)
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

    def _unsent(self, stream: StreamState) -> bool:
        return stream.waiting or bool(stream.queued)

    def _wake(self, stream: StreamState) -> None:
        if not stream.waiting and not self._closed:
            stream.waiting = True
            self._ready.append(stream)

    def _wake_all(self) -> None:
        if self._blocked:
            for stream in self._blocked.values():
                self._wake(stream)
            self._blocked.clear()

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
        data = self._conn.data_to_send()
        if self._out:
            self._out.append(data)
            data = b"".join(self._out)
            self._out.clear()
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
            conn.send_data(stream.number, piece, last)
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

    # -- windows -------------------------------------------------------------------------------------------------------------------

    def consumed(self, number: int, count: int) -> None:
        """`count` bytes of what was heard of the stream have been read."""
        stream = self.streams.get(number)
        if stream is not None:
            stream.unread -= count
            self._give(stream, count)

    def _give(self, stream: StreamState, count: int) -> None:
        """Back to the stream's window, when it is worth a frame."""
        stream.owed += count
        if stream.owed * 2 >= self.limits.stream_window and not stream.ended and not stream.closed and not stream.deaf:
            self._conn.increment_flow_control_window(stream.owed, stream.number)
            stream.owed = 0

    def awaits(self, number: int, now: Instant) -> None:
        """Somebody waits for more of the stream's body from now on: until it comes, its time runs."""
        stream = self.streams.get(number)
        if stream is not None and stream.wait_from is None and not stream.ended and not stream.tunnel:
            stream.wait_from = now
            self._awaited[number] = stream

    # -- the end ---------------------------------------------------------------------------------------------------------------------

    def shutdown(self, now: Instant) -> None:
        """Take no more requests, and lose none: what is on its way is still taken (RFC 9113 6.8)."""
        if self._closed or self._goaway_by is not None or self._final:
            return
        if self.client:
            self._final = True
            self._out += (self._conn.data_to_send(), goaway(0, hw.NO_ERROR))
            return
        self._goaway_by = Instant(now + self.limits.goaway_timeout)
        self._out += (self._conn.data_to_send(), goaway(EVERY_STREAM, hw.NO_ERROR))
        self._conn.ping(FAREWELL)

    def _say_last(self) -> None:
        """The second GOAWAY: which request was the last."""
        self._goaway_by = None
        self._final = True
        self._last_taken = self._conn.highest_inbound_stream_id
        self._out += (self._conn.data_to_send(), goaway(self._last_taken, hw.NO_ERROR))

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

    # -- time --------------------------------------------------------------------------------------------------------------------------

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


_ACTS: dict[type, Any] = {
    RequestReceived: Engine._request,
    ResponseReceived: Engine._response,
    InformationalResponseReceived: Engine._interim,
    DataReceived: Engine._data,
    TrailersReceived: Engine._trailers,
    StreamReset: Engine._was_reset,
    WindowUpdated: Engine._window,
    RemoteSettingsChanged: Engine._settings,
    SettingsAcknowledged: Engine._acknowledged,
    PingAckReceived: Engine._ponged,
}


def goaway(last_stream: int, code: int) -> bytes:
    """RFC 9113 6.8."""
    return b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + last_stream.to_bytes(4, "big") + code.to_bytes(4, "big")


def refusal_text(refusal: Refusal) -> bytes:
    """The page of an error: our words alone."""
    from http import HTTPStatus

    phrase = HTTPStatus(refusal.status).phrase if refusal.status in HTTPStatus._value2member_map_ else ""
    return f"{refusal.status} {phrase}\n{refusal.reason}\n".encode()


def heads(heard: Iterable[hw.Heard]) -> list[RequestHead]:
    """The requests among what was heard."""
    return [word for _, word in heard if isinstance(word, RequestHead)]
