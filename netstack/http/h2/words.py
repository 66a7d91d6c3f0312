"""What an HTTP/2 connection says beyond the words of events.py: of one stream, or (stream 0) of the whole connection."""

from typing import TypeAlias

from attrs import frozen

from ..events import Event, Interim, ResponseHead

# RFC 9113 7
NO_ERROR = 0
PROTOCOL_ERROR = 1
INTERNAL_ERROR = 2
FLOW_CONTROL_ERROR = 3
SETTINGS_TIMEOUT = 4
STREAM_CLOSED = 5
FRAME_SIZE_ERROR = 6
REFUSED_STREAM = 7
CANCEL = 8
COMPRESSION_ERROR = 9
ENHANCE_YOUR_CALM = 11
NAMES = {
    0: "NO_ERROR", 1: "PROTOCOL_ERROR", 2: "INTERNAL_ERROR", 3: "FLOW_CONTROL_ERROR", 4: "SETTINGS_TIMEOUT", 5: "STREAM_CLOSED",
    6: "FRAME_SIZE_ERROR", 7: "REFUSED_STREAM", 8: "CANCEL", 9: "COMPRESSION_ERROR", 10: "CONNECT_ERROR", 11: "ENHANCE_YOUR_CALM",
    12: "INADEQUATE_SECURITY", 13: "HTTP_1_1_REQUIRED",
}  # fmt: skip


@frozen
class Reset:
    """The stream ended before it was whole, and nothing follows on it."""

    code: int
    reason: str  # a sentence of ours
    remote: bool  # the peer ended it
    processed: bool = True  # False: the peer has done nothing with it, so it may be tried again (RFC 9113 8.7)


@frozen
class GoingAway:
    """The peer takes no more streams, and will not look at those of ours above `last_stream`."""

    last_stream: int
    code: int


@frozen
class Failed:
    """The connection is over: the peer broke the protocol or a bound. What we have to say about it waits in `data_to_send`."""

    code: int
    reason: str


Word: TypeAlias = Event | Interim | ResponseHead | Reset | GoingAway | Failed
Heard: TypeAlias = tuple[int, Word]
"""A stream's number, or 0, and what came of it."""
