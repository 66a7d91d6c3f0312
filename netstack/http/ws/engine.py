"""One WebSocket without I/O: bytes in and whole messages out, for both roles, after the opening handshake.

wsproto reads and writes the frames, but for the simplest (short.py); `guard` stands between, with bounds and compression. Here
messages are joined, pings answered, silence is noticed, and the end is brought about:

    OPEN      both sides may send
    CLOSING   our close frame is out: what the peer still sends is dropped, until its own comes, or the deadline
    ENDING    both close frames went, or the peer broke a rule and ours told it so: nothing is read any more, and the stream's
              end is waited for, so that no reset overtakes what we sent last
    OVER      there is no stream any more

`Closed` is the last event: it comes on the way to ENDING, or straight to OVER. Events are made one at a time, when they are asked
for: sixty kilobytes that were received may hold sixty messages of a megabyte each, and whoever asks knows how many he can hold.

What must go out by itself (pongs, the answer to a close, pings against silence) waits in `pending`. Bytes go out in the order in
which they were made. The one thing here that isn't an argument is the masking key, which wsproto takes from the system.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Any

from wsproto import events as wsproto_events
from wsproto.connection import CLIENT, SERVER, Connection, ConnectionState

from ...errors import UsageError
from ...instant import SECOND, Instant
from .config import WsConfig
from .deflate import Deflate
from .errors import (
    ABNORMAL,
    INTERNAL_ERROR,
    INVALID_DATA,
    NO_STATUS,
    NORMAL,
    POLICY,
    PROTOCOL_ERROR,
    TOO_BIG,
    WebSocketClosed,
    check_close,
)
from .events import Bytes, Closed, Event, Ping, Pong, Text
from .guard import Guard
from .short import SHORT, Frames, read_message, server_frame

State = Enum("State", ["OPEN", "CLOSING", "ENDING", "OVER"])
OPEN, CLOSING, ENDING, OVER = State

_WHY = {PROTOCOL_ERROR: "a frame breaks the protocol", INVALID_DATA: "a text is not UTF-8", TOO_BIG: "a message is too big"}
_PIECES = 1024  # of a message, until they are joined: a list of single bytes costs forty times what it holds


class Engine:
    """`deflate` as the handshake agreed."""

    def __init__(self, client: bool, config: WsConfig, now: Instant, deflate: Deflate | None = None) -> None:
        self.config = config
        self.state = OPEN
        self.client = client
        self.closed: Closed | None = None  # the event that was given last
        self.answered = False  # the peer's close frame came
        self.timed_out = False  # it was silence that ended it
        self._guard = Guard(client, config, deflate)
        self._proto = Connection(CLIENT if client else SERVER, [self._guard])
        self._ahead = b""  # came, and was not looked at
        self._at = 0  # but for so much of it
        self._most = min(SHORT, config.max_message)
        self._frames = Frames()  # that wsproto was given
        self._between = True  # it has made all of them into events, and no message is under way
        self._cut = False  # a message was sent in part
        self._pieces: list[str] | list[bytes] = []
        self._pongs: deque[bytes] = deque(maxlen=config.pongs)
        self._urgent = b""
        self._last: Closed | None = None  # to be given
        self._heard = now
        self._pinged: Instant | None = None
        self._until = now  # the deadline of CLOSING and ENDING
        self._second = now  # when the counting of controls began
        self._controls = 0

    # -- what goes ------------------------------------------------------------------------------------------------------------

    @property
    def has_pending(self) -> bool:
        return bool(self._pongs or self._urgent)

    def pending(self) -> bytes:
        """What is to be sent by itself, once."""
        if not self._pongs and not self._urgent:
            return b""
        data = b"".join(self._pongs) + self._urgent
        self._pongs.clear()
        self._urgent = b""
        return data

    def send(self, data: str | bytes, final: bool = True) -> bytes:
        """A message, or a piece of one that ends with `final`: pieces are of one type. Raises WebSocketClosed when it can't be sent
        any more."""
        self._check_open()
        try:
            frame = self._whole(data) if final and not self._cut else None
            if frame is None:
                frame = self._through_wsproto(data, final)
        except UnicodeEncodeError:
            raise UsageError("a text with half of a surrogate pair can't be sent: it has no UTF-8") from None
        except TypeError:
            raise UsageError("the pieces of a message are all text or all bytes, and messages are str or bytes") from None
        return self.pending() + frame if self.has_pending else frame

    def _whole(self, data: str | bytes) -> bytes | None:
        """The frame of a message that can go the short way. A client's can't: wsproto has the keys."""
        if self.client or len(data) > SHORT:
            return None
        if isinstance(data, str):
            payload, text = data.encode(), True
        elif isinstance(data, bytes):
            payload, text = data, False
        else:
            return None
        return None if self._guard.compresses(len(payload)) else server_frame(payload, text)

    def _through_wsproto(self, data: str | bytes, final: bool) -> bytes:
        event = wsproto_events.TextMessage if isinstance(data, str) else wsproto_events.BytesMessage
        frame = self._proto.send(event(data=data, message_finished=final))  # type: ignore[arg-type]  # each has its own
        self._cut = not final
        return frame

    def ping(self, data: bytes = b"") -> bytes:
        self._check_open()
        if len(data) > 125:
            raise UsageError("a ping carries 125 bytes at most (RFC 6455 5.5)")
        return self.pending() + self._proto.send(wsproto_events.Ping(payload=data))

    def close(self, now: Instant, code: int = NORMAL, reason: str = "") -> bytes:
        """Begin to close. Nothing to send when it has begun already."""
        check_close(code, reason)
        if self.state is not OPEN:
            return self.pending()
        self.state = CLOSING
        self._begin_end(now)
        self._pieces = []
        return self.pending() + self._close_frame(code, reason)

    def _check_open(self) -> None:
        if self.state is not OPEN:
            last = self.closed or self._last or Closed(NORMAL, "it is being closed")
            raise WebSocketClosed(last.code, last.reason)

    def _close_frame(self, code: int | None, reason: str | None = None) -> bytes:
        return bytes(self._proto.send(wsproto_events.CloseConnection(code=code, reason=reason)))  # type: ignore[arg-type]  # None: 1005

    # -- what comes -----------------------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes, now: Instant) -> None:
        """Something for `next_event`, which is to be asked until it has nothing."""
        self.resume(now)
        if self.state in (OPEN, CLOSING):
            self._ahead = self._ahead[self._at :] + data if self._ahead else data
            self._at = 0

    def resume(self, now: Instant) -> None:
        """Nobody listened until now: so silence begins now."""
        self._heard = now
        self._pinged = None
        if now - self._second >= SECOND:
            self._second = now
            self._controls = 0

    def receive_end(self) -> None:
        """The stream has ended, or is broken."""
        if self.state in (OPEN, CLOSING):
            self._last = self._last or Closed(ABNORMAL, "the peer went without closing")
        self.state = OVER
        self._pongs.clear()
        self._urgent = b""

    def next_event(self) -> Event | None:
        while self._last is None and self.state in (OPEN, CLOSING):
            if self._ahead and self._between:
                found = read_message(self._ahead, self._at, not self.client, self._most)
                if found is not None:
                    data, self._at = found
                    if self._at == len(self._ahead):
                        self._ahead = b""
                    if self.state is OPEN:
                        return Text(data) if isinstance(data, str) else Bytes(data)
                    continue
            if self._ahead:
                self._pass_on()
            self._between = False
            heard = next(self._proto.events(), None)
            if heard is None:
                self._between = self._frames.between and self._guard.between
                return None
            event = self._read(heard)
            if event is not None:
                return event
        last, self._last = self._last, None
        if last is not None:
            self.closed = last
        return last

    def _pass_on(self) -> None:
        """What is ahead is wsproto's."""
        data = self._ahead[self._at :] if self._at else self._ahead
        self._ahead = b""
        self._at = 0
        self._frames.see(data)
        self._proto.receive_data(data)

    def _read(self, heard: wsproto_events.Event) -> Event | None:
        if isinstance(heard, wsproto_events.Message):
            return self._join(heard)
        if isinstance(heard, wsproto_events.CloseConnection):
            if self._proto.state is ConnectionState.OPEN or self._proto.state is ConnectionState.LOCAL_CLOSING:
                self._fail(int(heard.code), self._guard.reason or _WHY.get(int(heard.code), ""))
            else:
                self._closed_by_peer(int(heard.code), heard.reason or "")
            return None
        self._controls += 1
        if self._controls > self.config.control_rate:
            self._fail(POLICY, "too many control frames")
        elif isinstance(heard, wsproto_events.Ping):
            if self.state is OPEN:
                self._pongs.append(bytes(self._proto.send(heard.response())))
                return Ping(bytes(heard.payload))
        elif isinstance(heard, wsproto_events.Pong) and self.state is OPEN:
            return Pong(bytes(heard.payload))
        return None

    def _join(self, heard: wsproto_events.Message[Any]) -> Event | None:
        if self.state is CLOSING:
            return None
        pieces = self._pieces
        if not heard.message_finished:
            if heard.data:
                pieces.append(heard.data)
                if len(pieces) >= _PIECES:
                    self._pieces = [heard.data[:0].join(pieces)]
            elif heard.frame_finished:  # a frame that brings nothing is as good for floods as a ping
                self._controls += 1
                if self._controls > self.config.control_rate:
                    self._fail(POLICY, "too many empty frames")
            return None
        data = heard.data
        if pieces:
            pieces.append(data)
            data = data[:0].join(pieces)
            self._pieces = []
        return Text(data) if isinstance(data, str) else Bytes(bytes(data))

    def _closed_by_peer(self, code: int, reason: str) -> None:
        if self.state is OPEN:  # RFC 6455 5.5.1: answered with its own code
            self._urgent += self._close_frame(None if code == NO_STATUS else code)
            self._begin_end(self._heard)
        self.state = ENDING
        self.answered = True
        self._last = Closed(code, reason)
        self._pieces = []

    def _fail(self, code: int, reason: str) -> None:
        """RFC 6455 7.1.7: say why, and read no further."""
        if self.state is OPEN:
            self._urgent += self._close_frame(code, reason)
            self._begin_end(self._heard)
        self.state = ENDING
        self._last = Closed(code, reason)
        self._pieces = []

    # -- time -----------------------------------------------------------------------------------------------------------------

    def _begin_end(self, now: Instant) -> None:
        self._until = Instant(now + self.config.close_timeout)

    def next_deadline(self) -> Instant | None:
        """When `handle_timeout` is to be called, if nothing comes before."""
        if self.state is OPEN:
            if self._pinged is not None:
                return Instant(self._pinged + self.config.ping_timeout)
            return Instant(self._heard + self.config.ping_interval) if self.config.ping_interval else None
        return None if self.state is OVER else self._until

    def handle_timeout(self, now: Instant) -> None:
        """Nothing before the deadline. Then a ping, or the end."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return
        if self.state is OPEN and self._pinged is None:
            self._pinged = now
            self._urgent += bytes(self._proto.send(wsproto_events.Ping()))
            return
        if self.state is OPEN:
            self._urgent += self._close_frame(INTERNAL_ERROR, "no answer to a ping")
            self._last = Closed(ABNORMAL, "the peer answered no ping")
        elif self.state is CLOSING:
            self._last = Closed(ABNORMAL, "the peer did not answer our closing")
        self.timed_out = True
        self.state = OVER
