"""Errors as the kernel gives them: OSErrors by number, which Python turns into its own classes."""

from __future__ import annotations

import errno

from ..errors import ClosedError, NetstackError, UsageError, WouldBlock

TEXTS = {
    errno.EACCES: "Permission denied",
    errno.EADDRINUSE: "Address already in use",
    errno.EADDRNOTAVAIL: "Cannot assign requested address",
    errno.EAFNOSUPPORT: "Address family not supported by protocol",
    errno.EALREADY: "Operation already in progress",
    errno.EBADF: "Bad file descriptor",
    errno.ECONNABORTED: "Software caused connection abort",
    errno.ECONNREFUSED: "Connection refused",
    errno.EDESTADDRREQ: "Destination address required",
    errno.EINPROGRESS: "Operation now in progress",
    errno.EINVAL: "Invalid argument",
    errno.EISCONN: "Transport endpoint is already connected",
    errno.EMSGSIZE: "Message too long",
    errno.ENOPROTOOPT: "Protocol not available",
    errno.ENOTCONN: "Transport endpoint is not connected",
    errno.EOPNOTSUPP: "Operation not supported",
    errno.EPIPE: "Broken pipe",
    errno.EPROTONOSUPPORT: "Protocol not supported",
}


def failure(number: int, text: str = "") -> OSError:
    """The OSError of this number, of the class that Python has for it."""
    return OSError(number, text or TEXTS.get(number, "Error"))


def would_block() -> WouldBlock:
    return WouldBlock(errno.EAGAIN, "Resource temporarily unavailable")


def told(error: Exception) -> OSError:
    """An error of the layers below, as a program with sockets knows it."""
    if isinstance(error, OSError):
        return error
    if isinstance(error, ClosedError):
        return failure(errno.EPIPE, str(error))
    number = errno.EINVAL if isinstance(error, UsageError) else errno.EIO
    new = failure(number, str(error))
    new.__cause__ = error if isinstance(error, NetstackError) else None
    return new
