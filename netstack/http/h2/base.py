"""What both halves of the engine stand on: the library with its settings, the streams, and how either of them ends."""

from collections import deque
from contextlib import suppress
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from ...instant import Instant
from ..config import HttpConfig
from . import fields as hf
from . import words as hw
from .blocks import BlockDecoder, BlockEncoder
from .guard import Guard
from .stream import Piece, StreamState
from .windows import QUICKLY, Room

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # RFC 9113 3.4
FRAME = 16384  # RFC 9113 4.2: what everybody takes, and what we say that we take
EVERY_STREAM = (1 << 31) - 1
FAREWELL = b"farewell"  # of the PING between the two GOAWAYs


class Library(H2Connection):
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


class Few(list[Any]):
    """The values of a setting, as `Settings` wants them: one, mostly."""

    def popleft(self) -> Any:
        return self.pop(0)


class Frugal(Settings):
    """The library's, which has a deque for each setting: eleven kilobytes of a connection, both sides together."""

    def __init__(self, client: bool = True, initial_values: dict[SettingCodes, int] | None = None) -> None:
        super().__init__(client, initial_values)
        for key in self._settings:
            self._shrink(key)

    def __setitem__(self, key: SettingCodes | int, value: int) -> None:
        super().__setitem__(key, value)
        self._shrink(key)

    def _shrink(self, key: SettingCodes | int) -> None:
        values = self._settings[key]
        if isinstance(values, deque):
            self._settings[key] = Few(values)  # type: ignore[assignment]  # with all of a deque's that is asked for


class Base:
    """The state of one connection; what is common to hearing and saying."""

    def __init__(self, config: HttpConfig, now: Instant, client: bool = False, room: Room | None = None) -> None:
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
        self._out: list[Piece] = []  # goes before what the library has
        self._answers = 0  # that may lie in the library's buffer
        self._ready: deque[StreamState] = deque()
        self._blocked: dict[int, StreamState] = {}  # by a window
        self._awaited: dict[int, StreamState] = {}  # somebody waits for their body
        self._credit = 0  # of the connection's window
        self._growth = Room(limits.window_growth, room)
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

    def _begin(self) -> Library:
        limits = self.limits
        conn = Library(
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
        conn.local_settings = Frugal(client=self.client, initial_values=values)
        conn.remote_settings = Frugal(client=not self.client)
        conn.max_inbound_frame_size = FRAME
        conn.decoder, conn.encoder = BlockDecoder(), BlockEncoder()
        conn.decoder.max_header_list_size = limits.header_block
        conn.initiate_connection()
        if limits.connection_window > 65535:
            conn.increment_flow_control_window(limits.connection_window - 65535)
        return conn

    # -- faults ---------------------------------------------------------------------------------------------------------

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
        for stream in list(self.streams.values()):  # the library takes nothing more for them
            self._close(stream)

    def _malformed(self, stream: StreamState, reason: str, now: Instant) -> None:
        self._reset_library(stream.number, hw.PROTOCOL_ERROR)
        self._drop(stream, hw.Reset(hw.PROTOCOL_ERROR, reason, False))
        self._guard.reset(now)

    def _reset_library(self, number: int, code: int) -> None:
        with suppress(ProtocolError):  # it is closed on the library's side already
            self._conn.reset_stream(number, code)

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
            self._forget(stream)

    # -- streams --------------------------------------------------------------------------------------------------------

    def _open(self, number: int, method: str, now: Instant) -> StreamState:
        stream = StreamState(number, self._conn.streams[number], method, self.config.body_timeout, self.limits.stream_window, now)
        self.streams[number] = stream
        return stream

    def _forget(self, stream: StreamState) -> None:
        """It is over, and nobody holds what it brought."""
        if self.streams.pop(stream.number, None) is not None:
            self._growth.give(stream.window - self.limits.stream_window)

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

    def _give(self, stream: StreamState, count: int, now: Instant) -> None:
        """Back to the stream's window, when it is worth a frame; and more, when it is worth that (windows.py)."""
        stream.owed += count
        if stream.owed * 2 < stream.window or stream.ended or stream.closed or stream.deaf:
            return
        if stream.drained and now - stream.given_at < QUICKLY:
            more = self._growth.take(min(stream.window, self.limits.stream_window_most - stream.window))
            stream.window += more
            stream.owed += more
        stream.given_at, stream.drained = now, False
        self._conn.increment_flow_control_window(stream.owed, stream.number)
        stream.owed = 0

    # -- the end --------------------------------------------------------------------------------------------------------

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


def goaway(last_stream: int, code: int) -> bytes:
    """RFC 9113 6.8."""
    return b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + last_stream.to_bytes(4, "big") + code.to_bytes(4, "big")
