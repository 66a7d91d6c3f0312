"""The short way of small messages: a whole message in one small frame, without compression, which is what most of them are.

Reading and writing such a frame takes a few steps, and wsproto takes a hundred for any frame. So they are looked for here first.
Whatever is anything else, or wrong in any way, is left to wsproto and the guard, which know what it is and what to say about it:
nothing is refused here. Where wsproto has begun with a frame or a message, it goes on with it; `Frames` knows when it is through.
"""

from __future__ import annotations

SHORT = 4096  # bytes of payload; for longer ones masking costs more than all that is saved here
_LARGE = 126  # a length of two bytes follows
_TEXT, _BINARY = 0x81, 0x82  # with FIN, and without any reserved bit


def read_message(data: bytes, at: int, masked: bool, most: int) -> tuple[str | bytes, int] | None:
    """The message of the frame at `at`, of `most` bytes, and where the frame ends; None for anything else."""
    if len(data) - at < 4:
        return None
    first, size = data[at], data[at + 1]
    if (first != _TEXT and first != _BINARY) or (size >= 128) != masked:
        return None
    size &= 127
    start = at + 2
    if size >= _LARGE:
        if size > _LARGE:
            return None
        size = data[at + 2] << 8 | data[at + 3]
        start = at + 4
        if size < _LARGE:
            return None  # RFC 6455 5.2: the minimal number of bytes must be used
    if masked:
        start += 4
    end = start + size
    if size > most or end > len(data):
        return None
    payload = data[start:end]
    if masked and size:
        payload = unmasked(payload, data[start - 4 : start])
    if first == _BINARY:
        return payload, end
    try:
        return payload.decode(), end
    except UnicodeDecodeError:
        return None


def unmasked(payload: bytes, key: bytes) -> bytes:
    """RFC 6455 5.3: each byte with that of the key whose turn it is."""
    size = len(payload)
    keys = int.from_bytes((key * (size // 4 + 1))[:size], "little")
    return (int.from_bytes(payload, "little") ^ keys).to_bytes(size, "little")


def server_frame(payload: bytes, text: bool) -> bytes | None:
    """A message of up to SHORT bytes as a server sends it, without a mask; None for a longer one."""
    first = _TEXT if text else _BINARY
    size = len(payload)
    if size < _LARGE:
        return bytes((first, size)) + payload
    if size <= SHORT:
        return bytes((first, _LARGE, size >> 8, size & 255)) + payload
    return None


class Frames:
    """Where the frames end in what somebody else reads."""

    __slots__ = ("_head", "_left")

    def __init__(self) -> None:
        self._head = b""  # of a frame's header, what is here
        self._left = 0  # of the frame under way

    @property
    def between(self) -> bool:
        """All that was seen are whole frames."""
        return not self._left and not self._head

    def see(self, data: bytes) -> None:
        if self._left >= len(data):
            self._left -= len(data)
            return
        data = self._head + data[self._left :]
        self._head = b""
        at = 0
        while at < len(data):
            size = frame_size(data, at)
            if not size:
                self._head = data[at:]
                at = len(data)
            at += size
        self._left = at - len(data)


def frame_size(data: bytes, at: int) -> int:
    """Of the frame at `at`, header and all; 0 where so much of the header is not here yet."""
    there = len(data) - at
    if there < 2:
        return 0
    size = data[at + 1] & 127
    header = 6 if data[at + 1] & 128 else 2
    if size < _LARGE:
        return header + size
    extended = 2 if size == _LARGE else 8
    if there < 2 + extended:
        return 0
    return header + extended + int.from_bytes(data[at + 2 : at + 2 + extended], "big")
