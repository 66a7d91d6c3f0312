"""The codes of closing (RFC 6455 7.4.1), and what a WebSocket raises."""

from __future__ import annotations

from ...errors import BrokenError, UsageError
from ..events import RawFields
from ..refused import Refused

NORMAL = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
NO_STATUS = 1005  # never on the wire: the close frame had no code
ABNORMAL = 1006  # never on the wire: there was no close frame
INVALID_DATA = 1007
POLICY = 1008
TOO_BIG = 1009
INTERNAL_ERROR = 1011

_SENDABLE = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})


def check_close(code: int, reason: str) -> None:
    """Raises UsageError unless a close frame can say so."""
    if code not in _SENDABLE and not 3000 <= code <= 4999:
        raise UsageError(f"{code} is no code to close with: 1000, 1001, another of RFC 6455 7.4.1, or one from 3000 to 4999")
    if len(reason.encode()) > 123:
        raise UsageError("a reason has 123 bytes of UTF-8 at most (RFC 6455 5.5)")


class WebSocketClosed(BrokenError):
    """The WebSocket is over: `code` and `reason`, of the peer's close frame, or of ours where the peer's fault ended it."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"the WebSocket is closed: {code}{' ' + reason if reason else ''}")
        self.code = code
        self.reason = reason


class HandshakeRefused(Refused):
    """A request for a WebSocket that is none: answer `status` with `fields`."""

    def __init__(self, status: int, reason: str, fields: RawFields = ()) -> None:
        super().__init__(status, reason)
        self.fields = fields
