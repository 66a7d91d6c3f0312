"""What a watcher tells: one packet as one host saw it, or something that no packet shows."""

from __future__ import annotations

import attrs

from .flow import Flow, Look
from .reading import Segment

SENT, CAME, NOTE = 1, 2, 0


@attrs.define
class Event:
    """`time`: nanoseconds since the tracing began. `notes` are reasons; `states` changes of state with theirs, `(old, new, why)`.

    `data` are the frame's bytes, or the beginning of them, `length` is what it had; a NOTE has none.
    """

    time: int
    host: str
    kind: int
    data: bytes = b""
    length: int = 0
    link: int = 0  # length of the link's header
    partial: bool = False  # its checksum is left to the device
    segment: Segment | None = None
    flow: Flow | None = None
    window: int = 0  # of the segment, in bytes
    gso: int = 0  # the size of segments, when it holds several
    states: list[tuple[int, int, str]] = attrs.Factory(list)
    notes: list[str] = attrs.Factory(list)
    look: Look | None = None  # the connection afterwards
    answered: bool = False  # `notes` are complete
