"""The one exception tree.

    UsageError      you misused the API            also a ValueError
    WireError       they broke the protocol        raised by decoders and by nothing else
    Unreachable, TimedOut, PeerReset, Refused      the world failed; each is also the OSError that programs already catch
    ClosedError     your side closed it
    BrokenError     it was broken for you; the cause is attached
    BusyError       two tasks on one direction
    WouldBlock      an `x_nowait()` that would have to wait

Where *we* are wrong there is no class: the assertion flies.
"""

import errno


class NetstackError(Exception):
    """Everything that this package raises on purpose."""


class UsageError(NetstackError, ValueError):
    """The caller asked for something that cannot be. The message says what would be right."""


class WireError(NetstackError):
    """Bytes from a peer that are not lawful. The only exception that a decoder raises."""


class ClosedError(NetstackError):
    """This side has closed the object; it stays closed."""


class BrokenError(NetstackError, ConnectionError):
    """The object was broken by the other side or by the network; `__cause__` says how."""


class BusyError(NetstackError):
    """Another task is already using this direction of the object."""


class WouldBlock(NetstackError, BlockingIOError):
    """The call would have to wait."""


class _WorldError(NetstackError, OSError):
    """An OSError whose errno comes from the class unless the caller gives another."""

    errnum = errno.EIO

    def __init__(self, message: str = "", number: int | None = None) -> None:
        super().__init__(self.errnum if number is None else number, message or (self.__doc__ or "").partition(".")[0])


class Unreachable(_WorldError):
    """No way to the destination."""

    errnum = errno.EHOSTUNREACH


class TimedOut(_WorldError, TimeoutError):
    """The peer did not answer in time."""

    errnum = errno.ETIMEDOUT


class PeerReset(_WorldError, ConnectionResetError):
    """The peer reset the connection."""

    errnum = errno.ECONNRESET


class Aborted(_WorldError, ConnectionAbortedError):
    """This side aborted the connection."""

    errnum = errno.ECONNABORTED


class Refused(_WorldError, ConnectionRefusedError):
    """Nobody listens there."""

    errnum = errno.ECONNREFUSED


class AddressInUse(_WorldError):
    """The address and port are taken."""

    errnum = errno.EADDRINUSE


class NoBuffers(_WorldError):
    """A bound on memory was reached."""

    errnum = errno.ENOBUFS


class MessageTooLong(_WorldError):
    """The datagram does not fit; `mtu` says what would, where that is known, else 0."""

    errnum = errno.EMSGSIZE

    def __init__(self, message: str = "", number: int | None = None, mtu: int = 0) -> None:
        super().__init__(message, number)
        self.mtu = mtu
