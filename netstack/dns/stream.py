"""Messages on a stream: each after its length in two octets (RFC 1035 4.2.2, RFC 7766 8)."""

from ..errors import UsageError, WireError
from . import const as dc


def frame(message: bytes) -> bytes:
    """Length and message, to be written at once (RFC 7766 8). Raises UsageError where it is longer than 65535 octets."""
    if len(message) > dc.MAX_MESSAGE:
        raise UsageError(f"a message of {len(message)} octets: at most 65535 are possible")
    return len(message).to_bytes(2, "big") + message


class Deframer:
    """Takes the stream in pieces, gives messages. Holds at most one unfinished message: 65537 octets."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: "bytes | bytearray | memoryview") -> list[bytes]:
        """The messages that `data` completes. Raises WireError where one can't be as short as it says."""
        rest = self._rest
        rest += data
        found = []
        o = 0
        while len(rest) - o >= 2:
            n = rest[o] << 8 | rest[o + 1]
            if n < dc.HEADER:
                raise WireError(f"a message of {n} octets on a stream: its header has 12")
            if len(rest) - o - 2 < n:
                break
            found.append(bytes(rest[o + 2 : o + 2 + n]))
            o += 2 + n
        del rest[:o]
        return found

    @property
    def unfinished(self) -> bool:
        """Is there a part of a message? An end of the stream would cut it off."""
        return bool(self._rest)
